//! How large the receive buffers for adverts are (`vrrp_rx_bufs_policy`,
//! `vrrp_rx_bufs_multiplier`, `kernel_rx_buf_size`).
//!
//! Decides what is asked of the kernel, which doubles it. A number counts as it
//! stands, once for each instance that the socket serves, as in C keepalived. `MTU` and
//! `ADVERT` only ever make a buffer larger than ours: taken by the word, a few adverts
//! would fill it. Source: specification B.2.

use crate::config::model::{Config, Instance, ReceivePolicy};
use crate::system::sockets::rx::RECEIVE_BUFFER_BYTES;

/// `vrrp_rx_bufs_multiplier`
const MULTIPLIER_DEFAULT: u32 = 3;

/// Bytes for a socket that serves those instances of `config` for which `serves`
/// holds; an advert on it has at most `mtu` bytes.
pub fn receive_bytes(config: &Config, mtu: u32, serves: impl Fn(&Instance) -> bool) -> usize {
    let buffers = &config.globals.buffers;
    let multiplier = u64::from(buffers.receive_multiplier.unwrap_or(MULTIPLIER_DEFAULT));
    let (mut total, mut is_number) = (0_u64, false);
    for instance in &config.instances {
        if !serves(instance) {
            continue;
        }
        let bytes = match (instance.receive_buffer_bytes, buffers.receive) {
            (Some(bytes), _) | (None, Some(ReceivePolicy::Bytes(bytes))) => {
                is_number = true;
                u64::from(bytes)
            }
            (None, Some(ReceivePolicy::Mtu | ReceivePolicy::Advert)) => {
                multiplier.saturating_mul(u64::from(mtu))
            }
            (None, None) => 0,
        };
        total = total.saturating_add(bytes);
    }
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    // The kernel takes a signed number, of which it makes twice as much.
    let total = total.min(1 << 30);
    if is_number {
        total
    } else {
        total.max(RECEIVE_BUFFER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Options};
    use crate::system::files::DiskFiles;

    fn read(globals: &str, instances: usize, own: &str) -> Config {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("keepalived.conf");
        let mut text = format!("global_defs {{\n{globals}\n}}\n");
        for number in 1..=instances {
            text.push_str(&format!(
                "vrrp_instance VI_{number} {{\ninterface eth0\nvirtual_router_id {number}\n\
                 {own}\nvirtual_ipaddress {{\n10.0.0.{number}\n}}\n}}\n"
            ));
        }
        std::fs::write(&main, text).unwrap();
        config::load(&DiskFiles, Path::new(&main), &Options::default()).config
    }

    #[test]
    fn numbers_add_up_and_policies_never_shrink() {
        let cases = [
            ("", 2, "", RECEIVE_BUFFER_BYTES),
            ("vrrp_rx_bufs_policy 100000", 2, "", 200_000),
            (
                "vrrp_rx_bufs_policy 100000",
                2,
                "kernel_rx_buf_size 5000",
                10_000,
            ),
            ("", 3, "kernel_rx_buf_size 5000", 15_000),
            ("vrrp_rx_bufs_policy MTU", 2, "", RECEIVE_BUFFER_BYTES),
            ("vrrp_rx_bufs_policy ADVERT", 2, "", RECEIVE_BUFFER_BYTES),
            (
                "vrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 1000",
                2,
                "",
                3_000_000,
            ),
        ];
        for (globals, instances, own, wanted) in cases {
            let config = read(globals, instances, own);
            assert_eq!(config.instances.len(), instances, "{globals}");
            let bytes = receive_bytes(&config, 1500, |_| true);
            assert_eq!(bytes, wanted, "{globals} {own}");
        }
    }

    #[test]
    fn the_instances_of_other_interfaces_do_not_count() {
        let config = read("vrrp_rx_bufs_policy 1000", 3, "");
        let bytes = receive_bytes(&config, 1500, |it| it.name == "VI_2");
        assert_eq!(bytes, 1_000);
    }
}
