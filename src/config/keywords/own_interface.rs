//! `interface`, `vrf`, `use_vmac` and `use_ipvlan` of a `vrrp_instance`
//! (specification D.7).

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::lex::Word;
use super::super::model::{HardwareAddress, Ipvlan, IpvlanMode, Vmac};
use super::super::tree::Statement;
use super::Context;
use super::vrrp_instance::Draft;

/// Linux allows 15 bytes in the name of an interface.
const NAME_MAX: usize = 15;

/// `interface IFNAME`
pub fn interface(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        draft.lacks_interface_name = true;
        return;
    };
    if word.text.len() > NAME_MAX {
        let text = format!("Interface name '{}' too long - ignoring", word.text);
        cx.error("interface-name", word, text);
        return;
    }
    draft.interface = Some(word.clone());
}

/// `vrf IFNAME`
pub fn vrf(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let name = &draft.name.text;
    if word.text.len() > NAME_MAX {
        let text = format!(
            "({name}) VRF interface name '{}' too long - ignoring",
            word.text
        );
        cx.error("interface-name", word, text);
        return;
    }
    if let Some(other) = &draft.vrf {
        let text = format!(
            "({name}) VRF interface already specified as '{}' - ignoring",
            other.text
        );
        cx.error("vrf-twice", word, text);
        return;
    }
    draft.vrf = Some(word.clone());
}

/// The value of an option that has one.
fn option_value<'s>(
    draft: &Draft,
    option: &Word,
    words: &mut impl Iterator<Item = &'s Word>,
    cx: &mut Context<'_>,
) -> Option<&'s Word> {
    let value = words.next();
    if value.is_none() {
        let text = format!("({}) {} is missing a value", draft.name.text, option.text);
        cx.error("link-option", option, text);
    }
    value
}

fn group(word: &Word, draft: &Draft, cx: &mut Context<'_>) -> Option<u32> {
    let name = &draft.name.text;
    let invalid = || {
        format!(
            "({name}) interface group '{}' invalid - ignoring",
            word.text
        )
    };
    let result = arguments::number(&word.text, 0..=i64::from(u32::MAX));
    u32::try_from(cx.usable(word, result, invalid)?).ok()
}

fn is_interface_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_MAX
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

/// `use_vmac [[name] IFNAME] [MAC] [group G] [netlink_notify_msg]`
pub fn use_vmac(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let mut vmac = Vmac::default();
    let mut words = statement.arguments().iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "netlink_notify_msg" => vmac.netlink_notify = true,
            "group" => {
                if let Some(value) = option_value(draft, word, &mut words, cx) {
                    vmac.group = group(value, draft, cx);
                }
            }
            "name" => {
                if let Some(value) = option_value(draft, word, &mut words, cx) {
                    vmac_name(&mut vmac, value, draft, cx);
                }
            }
            text if text.contains(':') => hardware_address(&mut vmac, word, cx),
            _ => vmac_name(&mut vmac, word, draft, cx),
        }
    }
    draft.vmac = Some(vmac);
}

fn vmac_name(vmac: &mut Vmac, word: &Word, draft: &mut Draft, cx: &mut Context<'_>) {
    let text = &word.text;
    if vmac.interface.is_some() {
        cx.error(
            "vmac-name",
            word,
            "VMAC interface name already specified".to_string(),
        );
    } else if is_interface_name(text) {
        vmac.interface = Some(text.clone());
        draft.link_name = Some(word.origin);
    } else {
        let text =
            format!("VMAC interface name '{text}' too long or invalid characters - ignoring");
        cx.error("vmac-name", word, text);
    }
}

/// Six bytes, or five before the VRID.
fn hardware_address(vmac: &mut Vmac, word: &Word, cx: &mut Context<'_>) {
    let text = &word.text;
    let problem = match parse_hardware_address(text).as_deref() {
        Some([first, ..]) if first & 1 == 1 => {
            format!("VMAC MAC address is multicast {text} - ignoring")
        }
        Some([0, 0, 0x5e, 0, 1 | 2] | [0, 0, 0x5e, 0, 1 | 2, _]) => {
            format!("VMAC MAC address not allowed to be RFC5798 address ({text}) - ignoring")
        }
        Some(&[a, b, c, d, e]) => {
            vmac.hardware_address = Some(HardwareAddress::BeforeVrid([a, b, c, d, e]));
            return;
        }
        Some(&[a, b, c, d, e, f]) => {
            vmac.hardware_address = Some(HardwareAddress::Whole([a, b, c, d, e, f]));
            return;
        }
        _ => format!("VMAC invalid MAC address {text}"),
    };
    cx.error("vmac-address", word, problem);
}

fn parse_hardware_address(text: &str) -> Option<Vec<u8>> {
    let byte = |part: &str| {
        let is_byte = matches!(part.len(), 1 | 2);
        u8::from_str_radix(part, 16).ok().filter(|_| is_byte)
    };
    text.split(':').map(byte).collect()
}

/// `use_ipvlan [[name] IF] [ADDR] [bridge|private|vepa] [group G]`
pub fn use_ipvlan(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if draft.ipvlan.is_some() {
        let text = format!("({}) use_ipvlan already specified", draft.name.text);
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("ipvlan-twice", text).at(&origin));
        return;
    }
    let mut ipvlan = Ipvlan::default();
    let mut words = statement.arguments().iter();
    while let Some(word) = words.next() {
        let mode = match word.text.as_str() {
            "bridge" => Some(IpvlanMode::Bridge),
            "private" => Some(IpvlanMode::Private),
            "vepa" => Some(IpvlanMode::Vepa),
            _ => None,
        };
        let address = arguments::address_and_length(&word.text);
        match (word.text.as_str(), mode) {
            (_, Some(_)) if ipvlan.mode.is_some() => {
                ipvlan_twice(draft, "ipvlan type", word, cx);
            }
            (_, Some(mode)) => ipvlan.mode = Some(mode),
            ("group", _) => {
                if let Some(value) = option_value(draft, word, &mut words, cx) {
                    ipvlan.group = group(value, draft, cx);
                }
            }
            ("name", _) => {
                if let Some(value) = option_value(draft, word, &mut words, cx) {
                    ipvlan_name(&mut ipvlan, value, draft, cx);
                }
            }
            _ if arguments::address(address.0).is_some() => {
                ipvlan_address(&mut ipvlan, word, draft, cx);
            }
            _ => ipvlan_name(&mut ipvlan, word, draft, cx),
        }
    }
    draft.ipvlan = Some(ipvlan);
}

fn ipvlan_twice(draft: &Draft, what: &str, word: &Word, cx: &mut Context<'_>) {
    let text = format!(
        "({}) {what} already specified - ignoring '{}'",
        draft.name.text, word.text
    );
    cx.error("ipvlan-twice", word, text);
}

fn ipvlan_name(ipvlan: &mut Ipvlan, word: &Word, draft: &mut Draft, cx: &mut Context<'_>) {
    if ipvlan.interface.is_some() {
        ipvlan_twice(draft, "IPVLAN interface", word, cx);
    } else if is_interface_name(&word.text) {
        ipvlan.interface = Some(word.text.clone());
        draft.link_name = Some(word.origin);
    } else {
        let text = format!(
            "({}) IPVLAN interface name '{}' too long - ignoring",
            draft.name.text, word.text
        );
        cx.error("ipvlan-name", word, text);
    }
}

fn ipvlan_address(ipvlan: &mut Ipvlan, word: &Word, draft: &mut Draft, cx: &mut Context<'_>) {
    let (text, length) = arguments::address_and_length(&word.text);
    let Some(address) = arguments::address(text) else {
        return;
    };
    if ipvlan.address.is_some() {
        ipvlan_twice(draft, "ipvlan address", word, cx);
        return;
    }
    if !draft.fixes_family(address, &word.origin) {
        let text = format!(
            "({}) ipvlan address[{address}] MUST match vrrp instance family !!! Skipping...",
            draft.name.text
        );
        cx.error("family", word, text);
        return;
    }
    let max: u8 = if address.is_ipv4() { 32 } else { 128 };
    let invalid =
        || format!("Invalid address prefix len {text} for address {address} - using {max}");
    let length = length
        .and_then(|length| {
            let result = arguments::number(length, 0..=i64::from(max));
            cx.usable(word, result, invalid)
        })
        .and_then(|length| u8::try_from(length).ok());
    ipvlan.address = Some((address, length.unwrap_or(max)));
}
