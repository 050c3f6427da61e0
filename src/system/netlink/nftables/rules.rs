//! The table, its sets, its chains and its rules, with the names that C keepalived
//! gives them, so that what an administrator knows by heart still prints.
//!
//! Each packet from or to a blocked address is dropped, except neighbour discovery,
//! without which nobody would find the MASTER. A link-local address is one only
//! together with its interface, so those have a set and chains of their own.

use super::message::{Attributes, Batch, Family, Request};
use super::{Guard, Options};

/// The set of the addresses that are blocked on every interface.
pub(super) const VIPS: &str = "vips";
/// The set of link-local addresses, each with the number of its interface.
pub(super) const LINK_LOCAL: &str = "vips_link_local";

/// The map from the number of each VMAC to that of the interface below.
const PARENTS: &str = "vmac_map";
/// The set of the VMACs that must not look for routers.
pub(super) const SILENT: &str = "vmac_set";

/// What a VMAC must not send: switches would learn its address where it is not used.
const IGMP: u8 = 2;
const MLD2_REPORT: u8 = 143;
const ROUTER_SOLICITATION: u8 = 133;

/// The kinds of neighbour discovery that pass.
const DISCOVERY: &str = "neighbor-discovery";
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ICMPV6: u8 = 58;

/// What `nft` calls the keys of the sets.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_INTERFACE: u32 = 20;
const TYPE_ICMPV6: u32 = 29;
/// Two keys in one; six bits for each.
const TYPE_IPV6_AND_INTERFACE: u32 = TYPE_IPV6 << 6 | TYPE_INTERFACE;

/// The set never changes (`NFT_SET_CONSTANT`).
const CONSTANT: u32 = 2;

/// What `nft` notes beside a set of numbers in the byte order of the machine, so that
/// it prints them as names: what it is said of, four bytes, `BYTEORDER_HOST_ENDIAN`.
const KEYS_AS_HERE: [u8; 6] = in_order_of_host(0);
const VALUES_AS_HERE: [u8; 6] = in_order_of_host(1);

const fn in_order_of_host(kind: u8) -> [u8; 6] {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [kind, 4, a, b, c, d]
}

/// The set has a value for each key (`NFT_SET_MAP`).
const MAP: u32 = 8;

/// Hooks and verdicts of netfilter.
const HOOK_IN: u32 = 1;
const HOOK_OUT: u32 = 3;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// `NFT_GOTO`, -4.
const GOTO: u32 = 0xffff_fffc;

/// Registers of sixteen bytes; the first of all takes the verdict.
const VERDICT: u32 = 0;
const FIRST: u32 = 1;
const SECOND: u32 = 2;

/// Keys of the expression `meta`.
const META_IN_INTERFACE: u32 = 4;
const META_OUT_INTERFACE: u32 = 5;
const META_PROTOCOL: u32 = 16;
const META_OUT_KIND: u32 = 27;

/// A direction, with all that differs by it.
struct Direction {
    chain: &'static str,
    link_local: &'static str,
    hook: u32,
    interface: u32,
    ipv4_offset: u32,
    ipv6_offset: u32,
}

/// Who sends to the address.
const IN: Direction = Direction {
    chain: "in",
    link_local: "in_link_local",
    hook: HOOK_IN,
    interface: META_IN_INTERFACE,
    ipv4_offset: 16,
    ipv6_offset: 24,
};

/// Who sends from it.
const OUT: Direction = Direction {
    chain: "out",
    link_local: "out_link_local",
    hook: HOOK_OUT,
    interface: META_OUT_INTERFACE,
    ipv4_offset: 12,
    ipv6_offset: 8,
};

/// Adds the table of a family, with the chain that everything needs.
pub(super) fn create(batch: &mut Batch, family: Family, options: &Options) {
    let table = options.table.as_str();
    batch.ask(Request::NewTable, family, |it| it.text(1, table));
    Builder::new(batch, family, options).base_chain(&OUT);
}

/// Adds what drops packets to and from addresses, of which there are none yet.
pub(super) fn create_vips(batch: &mut Batch, family: Family, options: &Options) {
    let table = options.table.as_str();
    let builder = &mut Builder::new(batch, family, options);
    match family {
        Family::Inet => {
            builder.set(VIPS, 1, TYPE_IPV4, 4, 0);
            builder.base_chain(&IN);
            for direction in [&OUT, &IN] {
                builder.drop_ipv4(direction);
            }
        }
        Family::Inet6 => {
            builder.set(VIPS, 1, TYPE_IPV6, 16, 0);
            builder.set(DISCOVERY, 2, TYPE_ICMPV6, 1, CONSTANT);
            let kinds = [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT];
            builder.batch.ask(Request::NewElement, family, |it| {
                elements(it, table, DISCOVERY, kinds.map(|kind| [kind]));
            });
            builder.set(LINK_LOCAL, 3, TYPE_IPV6_AND_INTERFACE, 20, 0);
            builder.base_chain(&IN);
            for direction in [&IN, &OUT] {
                builder.chain(direction.link_local);
                builder.drop_link_local(direction);
                builder.pass_discovery(direction);
                builder.sort_link_local(direction);
                builder.drop_ipv6(direction);
            }
        }
    }
}

/// Adds what keeps VMACs silent, of which there are none yet. It comes before all else
/// in its chain: what goes to the chain of link-local addresses does not come back.
pub(super) fn create_guards(batch: &mut Batch, family: Family, options: &Options) {
    let builder = &mut Builder::new(batch, family, options);
    builder.map(PARENTS, 4);
    match family {
        Family::Inet => builder.redirect_reports_ipv4(),
        Family::Inet6 => {
            builder.interfaces(SILENT, 5);
            builder.drop_solicitations();
            builder.redirect_reports_ipv6();
        }
    }
}

/// The attributes that name elements of a set.
pub(super) fn elements<const N: usize>(
    attributes: &mut Attributes<'_>,
    table: &str,
    set: &str,
    keys: impl IntoIterator<Item = [u8; N]>,
) {
    attributes.text(1, table);
    attributes.text(2, set);
    attributes.nest(3, |list| {
        for key in keys {
            list.element(|element| element.nest(1, |it| it.bytes(1, &key)));
        }
    });
}

/// The attributes that name an element of the map of VMACs: which interface it is, and
/// which it stands on, if that matters.
pub(super) fn guarded(attributes: &mut Attributes<'_>, table: &str, guard: Guard) {
    attributes.text(1, table);
    attributes.text(2, PARENTS);
    attributes.nest(3, |list| {
        list.element(|element| {
            element.nest(1, |it| it.bytes(1, &guard.on.0.to_ne_bytes()));
            element.nest(2, |it| it.bytes(1, &guard.parent.0.to_ne_bytes()));
        });
    });
}

struct Builder<'a> {
    batch: &'a mut Batch,
    family: Family,
    options: &'a Options,
}

impl<'a> Builder<'a> {
    fn new(batch: &'a mut Batch, family: Family, options: &'a Options) -> Self {
        Self {
            batch,
            family,
            options,
        }
    }
}

impl Builder<'_> {
    /// A set without more than this; `number` tells it from the others of this batch.
    fn set(&mut self, name: &str, number: u32, key: u32, key_bytes: u32, flags: u32) {
        self.any_set(name, number, (key, key_bytes), flags, |_| {});
    }

    /// A map from interfaces to interfaces.
    fn map(&mut self, name: &str, number: u32) {
        let interface = (TYPE_INTERFACE, 4);
        self.any_set(name, number, interface, MAP, |it| {
            it.number(6, interface.0);
            it.number(7, interface.1);
            it.bytes(13, &[KEYS_AS_HERE, VALUES_AS_HERE].concat());
        });
    }

    /// A set of interfaces.
    fn interfaces(&mut self, name: &str, number: u32) {
        self.any_set(name, number, (TYPE_INTERFACE, 4), 0, |it| {
            it.bytes(13, &KEYS_AS_HERE);
        });
    }

    /// A set of keys of this type and length in bytes, with more attributes.
    fn any_set(
        &mut self,
        name: &str,
        number: u32,
        (key, key_bytes): (u32, u32),
        flags: u32,
        more: impl FnOnce(&mut Attributes<'_>),
    ) {
        let table = &self.options.table;
        self.batch.ask(Request::NewSet, self.family, |it| {
            it.text(1, table);
            it.text(2, name);
            it.number(3, flags);
            it.number(4, key);
            it.number(5, key_bytes);
            it.number(10, number);
            more(it);
        });
    }

    /// A chain that others go to.
    fn chain(&mut self, name: &str) {
        let table = &self.options.table;
        self.batch.ask(Request::NewChain, self.family, |it| {
            it.text(1, table);
            it.text(3, name);
        });
    }

    /// A chain that the kernel calls for each packet.
    fn base_chain(&mut self, direction: &Direction) {
        let Options {
            table, priority, ..
        } = self.options;
        self.batch.ask(Request::NewChain, self.family, |it| {
            it.text(1, table);
            it.text(3, direction.chain);
            it.nest(4, |hook| {
                hook.number(1, direction.hook);
                hook.bytes(2, &priority.to_be_bytes());
            });
            it.number(5, ACCEPT);
            it.text(7, "filter");
        });
    }

    fn drop_ipv4(&mut self, direction: &Direction) {
        self.rule(direction.chain, DROP, None, |it| {
            it.load_header(direction.ipv4_offset, 4);
            it.look_up(VIPS);
        });
    }

    fn drop_ipv6(&mut self, direction: &Direction) {
        self.rule(direction.chain, DROP, None, |it| {
            it.load_header(direction.ipv6_offset, 16);
            it.look_up(VIPS);
        });
    }

    fn pass_discovery(&mut self, direction: &Direction) {
        self.rule(direction.chain, ACCEPT, None, |it| {
            // The field of the header that says what follows it.
            it.load_header(6, 1);
            it.equals(&[ICMPV6]);
            it.load_transport(0, 1);
            it.look_up(DISCOVERY);
        });
    }

    /// Whatever is in fe80::/10 goes to the chain of link-local addresses.
    fn sort_link_local(&mut self, direction: &Direction) {
        let (mut mask, mut prefix) = ([0; 16], [0; 16]);
        mask[..2].copy_from_slice(&[0xff, 0xc0]);
        prefix[..2].copy_from_slice(&[0xfe, 0x80]);
        self.rule(direction.chain, GOTO, Some(direction.link_local), |it| {
            it.load_header(direction.ipv6_offset, 16);
            it.mask(&mask);
            it.equals(&prefix);
        });
    }

    fn drop_link_local(&mut self, direction: &Direction) {
        self.rule(direction.link_local, DROP, None, |it| {
            it.load_header(direction.ipv6_offset, 16);
            // It continues what stands in the first register.
            it.load_meta(direction.interface, SECOND);
            it.look_up(LINK_LOCAL);
        });
    }

    /// A report of multicast groups goes out of the interface below.
    fn redirect_reports_ipv4(&mut self) {
        let request = Request::NewFirstRule;
        self.any_rule(request, OUT.chain, DROP, None, |it| {
            // The field of the header that says what follows it.
            it.load_header(9, 1);
            it.equals(&[IGMP]);
            // The destination.
            it.load_header(16, 4);
            it.redirect();
        });
    }

    /// The same of IPv6.
    fn redirect_reports_ipv6(&mut self) {
        let request = Request::NewFirstRule;
        self.any_rule(request, OUT.chain, DROP, None, |it| {
            it.is_icmpv6(MLD2_REPORT);
            it.load_header(24, 16);
            it.redirect();
        });
    }

    fn drop_solicitations(&mut self) {
        let request = Request::NewFirstRule;
        self.any_rule(request, OUT.chain, DROP, None, |it| {
            it.is_icmpv6(ROUTER_SOLICITATION);
            it.is_macvlan();
            it.load_meta(META_OUT_INTERFACE, FIRST);
            it.look_up(SILENT);
        });
    }

    /// A rule behind all others of its chain.
    fn rule(
        &mut self,
        chain: &str,
        verdict: u32,
        target: Option<&str>,
        conditions: impl FnOnce(&mut Expressions<'_, '_>),
    ) {
        self.any_rule(Request::NewRule, chain, verdict, target, conditions);
    }

    /// A rule: what it looks at, and then its verdict.
    fn any_rule(
        &mut self,
        request: Request,
        chain: &str,
        verdict: u32,
        target: Option<&str>,
        conditions: impl FnOnce(&mut Expressions<'_, '_>),
    ) {
        let Options {
            table, counters, ..
        } = self.options;
        self.batch.ask(request, self.family, |it| {
            it.text(1, table);
            it.text(2, chain);
            it.nest(4, |list| {
                let mut expressions = Expressions { list };
                conditions(&mut expressions);
                if *counters {
                    expressions.add("counter", |_| {});
                }
                expressions.decide(verdict, target);
            });
        });
    }
}

/// The expressions of a rule, carried out in order until one says no.
struct Expressions<'a, 'b> {
    list: &'a mut Attributes<'b>,
}

impl Expressions<'_, '_> {
    /// Takes bytes of the IP header into the first register.
    fn load_header(&mut self, offset: u32, length: u32) {
        self.load(1, offset, length);
    }

    /// The same of what follows the IP header.
    fn load_transport(&mut self, offset: u32, length: u32) {
        self.load(2, offset, length);
    }

    fn load(&mut self, base: u32, offset: u32, length: u32) {
        self.add("payload", |it| {
            it.number(1, FIRST);
            it.number(2, base);
            it.number(3, offset);
            it.number(4, length);
        });
    }

    fn load_meta(&mut self, key: u32, register: u32) {
        self.add("meta", |it| {
            it.number(1, register);
            it.number(2, key);
        });
    }

    /// It is a message of ICMPv6 of this kind.
    fn is_icmpv6(&mut self, kind: u8) {
        self.load_meta(META_PROTOCOL, FIRST);
        self.equals(&[ICMPV6]);
        self.load_transport(0, 1);
        self.equals(&[kind]);
    }

    /// It leaves by a macvlan.
    fn is_macvlan(&mut self) {
        let mut kind = [0; 16];
        kind[..7].copy_from_slice(b"macvlan");
        self.load_meta(META_OUT_KIND, SECOND);
        self.compare(SECOND, &kind);
    }

    /// What leaves by a VMAC is sent to the address in the first register by way of
    /// the interface below instead.
    fn redirect(&mut self) {
        self.is_macvlan();
        self.load_meta(META_OUT_INTERFACE, SECOND);
        self.add("lookup", |it| {
            it.text(1, PARENTS);
            it.number(2, SECOND);
            it.number(3, SECOND);
        });
        self.add("dup", |it| {
            it.number(1, FIRST);
            it.number(2, SECOND);
        });
    }

    fn mask(&mut self, mask: &[u8; 16]) {
        self.add("bitwise", |it| {
            it.number(1, FIRST);
            it.number(2, FIRST);
            it.number(3, 16);
            it.nest(4, |value| value.bytes(1, mask));
            it.nest(5, |value| value.bytes(1, &[0; 16]));
        });
    }

    fn equals(&mut self, value: &[u8]) {
        self.compare(FIRST, value);
    }

    fn compare(&mut self, register: u32, value: &[u8]) {
        self.add("cmp", |it| {
            it.number(1, register);
            it.number(2, 0);
            it.nest(3, |it| it.bytes(1, value));
        });
    }

    fn look_up(&mut self, set: &str) {
        self.add("lookup", |it| {
            it.text(1, set);
            it.number(2, FIRST);
        });
    }

    fn decide(&mut self, verdict: u32, target: Option<&str>) {
        self.add("immediate", |it| {
            it.number(1, VERDICT);
            it.nest(2, |value| {
                value.nest(2, |it| {
                    it.number(1, verdict);
                    if let Some(chain) = target {
                        it.text(2, chain);
                    }
                });
            });
        });
    }

    fn add(&mut self, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
        self.list.element(|it| {
            it.text(1, name);
            it.nest(2, data);
        });
    }
}
