//! What this machine has, for the messages about a configuration.
//!
//! Decides how the questions of `config::machine` are answered; nothing that is
//! answered here changes what a configuration means. Source: specification
//! A.11, B.3, D.8.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use super::netlink;
use super::routing_names;
use super::scripts;
use crate::config::machine::{Anywhere, Interface, Machine, RoutingNames, ScriptFinding};
use crate::config::model::ScriptUser;
use crate::vrrp::event::LinkKind;

/// The machine that we run on, as it is at the first question.
#[derive(Debug, Default)]
pub struct ThisMachine {
    /// `None`: the kernel does not say.
    interfaces: OnceCell<Option<HashMap<String, Known>>>,
    /// Names of mail servers are looked up.
    asks_name_servers: bool,
}

#[derive(Debug)]
struct Known {
    interface: Interface,
    is_private_macvlan: bool,
}

impl ThisMachine {
    /// For a test of a configuration.
    pub fn new() -> Self {
        Self {
            asks_name_servers: true,
            ..Self::default()
        }
    }

    /// For a daemon: no name server is asked, because that may take long, and
    /// the scripts would wait. Every name counts as known.
    pub fn for_daemon() -> Self {
        Self::default()
    }
}

impl Machine for ThisMachine {
    fn interface(&self, name: &str) -> Option<Interface> {
        match self.interfaces.get_or_init(interfaces) {
            Some(interfaces) => interfaces.get(name).map(|known| known.interface),
            None => Anywhere.interface(name),
        }
    }

    fn is_no_vmac(&self, name: &str) -> bool {
        let interfaces = self.interfaces.get_or_init(interfaces).as_ref();
        let known = interfaces.and_then(|interfaces| interfaces.get(name));
        known.is_some_and(|known| !known.is_private_macvlan)
    }

    fn networks(&self, name: &str) -> Option<Vec<(IpAddr, u32)>> {
        let entries = getifaddrs()
            .ok()?
            .filter(|entry| entry.interface_name == name);
        let networks = entries.filter_map(|entry| {
            let ones = match ip_of(entry.netmask.as_ref()?)? {
                IpAddr::V4(mask) => mask.to_bits().count_ones(),
                IpAddr::V6(mask) => mask.to_bits().count_ones(),
            };
            Some((ip_of(entry.address.as_ref()?)?, ones))
        });
        Some(networks.collect())
    }

    #[expect(clippy::disallowed_methods, reason = "not in a daemon, see for_daemon")]
    fn resolves(&self, host: &str) -> bool {
        use std::net::ToSocketAddrs;
        !self.asks_name_servers || (host, 25).to_socket_addrs().is_ok()
    }

    fn user_exists(&self, user: &ScriptUser) -> bool {
        scripts::user_exists(user)
    }

    fn knows_routing_name(&self, names: RoutingNames, name: &str) -> bool {
        routing_names::knows(names, name)
    }

    fn script(
        &self,
        argv: &[String],
        user: Option<&ScriptUser>,
        security: bool,
    ) -> Vec<ScriptFinding> {
        scripts::examine(argv, user, security)
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let four = address.as_sockaddr_in().map(|four| IpAddr::V4(four.ip()));
    four.or_else(|| address.as_sockaddr_in6().map(|six| IpAddr::V6(six.ip())))
}

/// Every interface by name.
fn interfaces() -> Option<HashMap<String, Known>> {
    let mut interfaces = HashMap::new();
    for (state, ethernet) in netlink::links_now().ok()? {
        let known = Known {
            interface: Interface {
                loopback: state.loopback,
                multicast: state.multicast,
                ethernet,
                mtu: state.mtu,
            },
            is_private_macvlan: state.link.kind == LinkKind::Macvlan { private: true },
        };
        interfaces.insert(state.name, known);
    }
    Some(interfaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_known() {
        let machine = ThisMachine::new();
        let interface = machine.interface("lo").unwrap();
        assert!(interface.loopback && !interface.ethernet);
        assert!(interface.mtu >= 1_280);
        assert!(machine.is_no_vmac("lo") && !machine.is_no_vmac("no-such-device"));
        assert_eq!(machine.interface("no-such-device"), None);
        assert_eq!(machine.networks("no-such-device"), Some(Vec::new()));
        let networks = machine.networks("lo").unwrap();
        let is_sound = |(address, length): &(IpAddr, u32)| match address {
            IpAddr::V4(_) => *length <= 32,
            IpAddr::V6(_) => *length <= 128,
        };
        assert!(networks.iter().all(is_sound), "{networks:?}");
    }

    #[test]
    fn an_address_needs_no_name_server() {
        assert!(ThisMachine::new().resolves("192.0.2.1"));
        assert!(!ThisMachine::new().resolves("no..such..host"));
        assert!(ThisMachine::for_daemon().resolves("no..such..host"));
    }
}
