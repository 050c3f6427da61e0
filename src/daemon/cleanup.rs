//! Takes off what a configuration may have put into the kernel, after the
//! worker that did so is gone.
//!
//! Needs no ledger: what may be there follows from the configuration. The
//! worker must be dead before this begins; else it might put everything back.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::model::{Config, Instance};
use crate::ids::Errno;
use crate::system::clock::epoch_us;
use crate::system::netlink::{self, nftables};
use crate::system::sockets::tx::Sender;
use crate::vrrp::action::Operation;
use crate::vrrp::authentication::Sequences;
use crate::vrrp::interfaces::{Interfaces, Place, place_of};
use crate::vrrp::kernel_set::{additions_of, comes_off_later, is_surely_ours, removals};
use crate::vrrp::outgoing::{Outgoing, Signing};

use super::exit_code;

/// Takes off every VIP of `config`, with the routes and rules of its instances; then,
/// for each instance that had a VIP on, tells its peers with an advert of priority 0,
/// so that they need not wait for the master-down time. Runs in a process of its own;
/// returns its exit code, 0 for success.
pub fn run(config: &Config) -> u8 {
    let mut vips = config
        .instances
        .iter()
        .flat_map(|instance| instance.all_addresses().cloned())
        .collect::<Vec<_>>();
    vips.sort_by_key(comes_off_later);
    let mut removed = Vec::new();
    let cleaned = netlink::clean_up(&vips, &mut removed);
    let opened = open_firewall(config);
    if let Err(error) = &opened {
        tracing::error!("Unable to remove the firewall drop rules: {error}");
    }
    let held = |instance: &&Arc<Instance>| {
        let mut own = instance.all_addresses();
        own.any(|vip| removed.contains(vip))
    };
    let cleaned = cleaned.and(netlink::take_out(&ways(config, held)));
    if let Err(error) = &cleaned {
        tracing::error!("Unable to take off every VIP, route and rule: {error}");
    }
    let resigning = config.instances.iter().filter(held);
    let told = resign(config, resigning.map(AsRef::as_ref));
    if let Err(error) = &told {
        tracing::error!("Unable to tell the peers: {error}");
    }
    match cleaned.and(opened).and(told) {
        Ok(()) => exit_code::OK,
        Err(_) => exit_code::FATAL,
    }
}

/// What takes out the routes and rules of instances: of one that had no VIP on only
/// those that nobody else has. What is static stays for the next worker.
fn ways(config: &Config, held: impl Fn(&&Arc<Instance>) -> bool) -> Vec<Operation> {
    let mut additions = Vec::new();
    for instance in &config.instances {
        let mut own: Vec<Operation> =
            additions_of(&instance.virtual_routes, &instance.virtual_rules).collect();
        if !held(&instance) {
            own.retain(is_surely_ours);
        }
        additions.append(&mut own);
    }
    removals(&additions)
}

/// Takes away what drops packets to VIPs, if anything may have been put there.
fn open_firewall(config: &Config) -> std::io::Result<()> {
    if config.instances.iter().all(|instance| instance.accept) {
        return Ok(());
    }
    nftables::clean_up(nftables::Options::from(&config.globals.firewall))
}

fn resign<'a>(config: &Config, held: impl Iterator<Item = &'a Instance>) -> std::io::Result<()> {
    let mut interfaces = Interfaces::default();
    for state in netlink::interfaces_now()? {
        interfaces.insert(&state);
    }
    let mut sender = Sender::open()?;
    let vips = config
        .instances
        .iter()
        .flat_map(|instance| instance.all_addresses().map(|vip| vip.address))
        .collect();
    for instance in held {
        let Some(place) = place_of(instance, &interfaces, &vips) else {
            continue;
        };
        let source = place.source;
        let sent = source.map(|source| send_priority_zero(instance, place, source, &mut sender));
        match sent {
            Some(Ok(())) => tracing::info!("({}) sent 0 priority", instance.name),
            Some(Err(errno)) => {
                let name = &instance.name;
                tracing::info!("({name}): send advert error {} ({errno})", errno.0);
            }
            None => {}
        }
    }
    Ok(())
}

fn send_priority_zero(
    instance: &Instance,
    place: Place,
    source: IpAddr,
    sender: &mut Sender,
) -> Result<(), Errno> {
    let mut outgoing = Outgoing::default();
    outgoing.build(instance, instance.priority, source, place.mtu);
    let unix_us = epoch_us();
    let mut sequences = Sequences::new(instance);
    // One more than the time says: the worker may have sent just before its end.
    sequences.next_header(unix_us);
    let mut signing = Signing {
        sequences: &mut sequences,
        unix_us,
    };
    outgoing.send_priority_zero(instance, place.on, &mut signing, sender)
}
