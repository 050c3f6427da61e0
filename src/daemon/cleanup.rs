//! Takes off what a configuration may have put into the kernel, after the
//! worker that did so is gone.
//!
//! Needs no ledger: what may be there follows from the configuration. The
//! worker must be dead before this begins; else it might put everything back.

use std::net::IpAddr;

use crate::config::model::{Config, Instance, SharedInstance, VirtualAddress};
use crate::ids::Errno;
use crate::system::clock::epoch_us;
use crate::system::netlink::{self, LeftLink, nftables};
use crate::system::sockets::tx::Sender;
use crate::vrrp::action::{Operation, OwnLinkKind};
use crate::vrrp::authentication::Sequences;
use crate::vrrp::interfaces::{Interfaces, Place, place_of};
use crate::vrrp::kernel_set::{additions_of, comes_off_later, is_surely_ours, removals};
use crate::vrrp::outgoing::{Outgoing, Signing};
use crate::vrrp::virtual_links::{VirtualLinks, links_of};

use super::exit_code;

/// Takes off every VIP of `config`, with the routes and rules of its instances; then,
/// for each instance that had a VIP on, tells its peers with an advert of priority 0,
/// so that they need not wait for the master-down time. Runs in a process of its own;
/// returns its exit code, 0 for success.
pub fn run(config: &Config) -> u8 {
    let mut removed = Vec::new();
    let cleaned = take_off(config, &mut removed);
    let held = |instance: &&SharedInstance| {
        let mut own = instance.all_addresses();
        own.any(|vip| removed.contains(&(&***instance, vip)))
    };
    let cleaned = cleaned.and(netlink::take_out(&ways(config, held)));
    if let Err(error) = &cleaned {
        tracing::error!("Unable to take off every VIP, route and rule: {error}");
    }
    let resigning = config.instances.iter().filter(held);
    let told = resign(config, resigning.map(|it| &***it));
    if let Err(error) = &told {
        tracing::error!("Unable to tell the peers: {error}");
    }
    // Not before: a virtual MAC is what their adverts leave by.
    let deleted = remove_links(config);
    if let Err(error) = &deleted {
        tracing::error!("Unable to remove every virtual MAC: {error}");
    }
    // Not before either: until then it keeps them silent.
    let opened = open_firewall(config);
    if let Err(error) = &opened {
        tracing::error!("Unable to remove the firewall drop rules: {error}");
    }
    match cleaned.and(told).and(deleted).and(opened) {
        Ok(()) => exit_code::OK,
        Err(_) => exit_code::FATAL,
    }
}

/// Takes the VIPs off the interfaces that they are on, and adds those that were there
/// to `removed`, with their instances.
fn take_off<'c>(
    config: &'c Config,
    removed: &mut Vec<(&'c Instance, &'c VirtualAddress)>,
) -> std::io::Result<()> {
    let interfaces = interfaces(config)?;
    let (mut vips, mut owners) = (Vec::new(), Vec::new());
    for instance in &config.instances {
        for vip in instance.all_addresses() {
            let Some(state) = interfaces.of_vip(instance, vip) else {
                continue;
            };
            let mut there = vip.clone();
            there.interface = state.name.as_str().into();
            owners.push((there.clone(), (&***instance, vip)));
            vips.push(there);
        }
    }
    vips.sort_by_key(comes_off_later);
    let mut were_there = Vec::new();
    let outcome = netlink::clean_up(&vips, &mut were_there);
    let were_on = owners
        .into_iter()
        .filter(|(vip, _)| were_there.contains(vip));
    removed.extend(were_on.map(|(_, owner)| owner));
    outcome
}

/// Deletes the links that were made for instances of `config`: those with our mark, and
/// those of which name, hardware address and place are as ours would be. A worker that
/// is killed a moment after it made one has not marked it yet.
fn remove_links(config: &Config) -> std::io::Result<()> {
    let mut links = VirtualLinks::default();
    links.follow(config);
    if links.iter().next().is_none() {
        return Ok(());
    }
    let there = netlink::interfaces_now()?;
    let mut left = Vec::new();
    for (key, link) in links.iter() {
        let left_as = |name| LeftLink {
            name,
            parent: key.parent.clone(),
            kind: link.wish.kind,
        };
        left.push(left_as(None));
        if matches!(link.wish.kind, OwnLinkKind::Macvlan(_)) {
            let names = there.iter().map(|it| &it.name);
            let fitting = names.filter(|name| link.wish.fits(name));
            left.extend(fitting.map(|name| left_as(Some(name.clone()))));
        }
    }
    let mut removed = Vec::new();
    let outcome = netlink::clean_up_links(&left, &mut removed);
    for name in removed {
        tracing::info!("Success removing VMAC interface {name}");
    }
    outcome
}

/// What there is, with the links of our own that `config` has.
fn interfaces(config: &Config) -> std::io::Result<Interfaces> {
    let mut interfaces = Interfaces::default();
    for state in netlink::interfaces_now()? {
        interfaces.insert(&state);
    }
    interfaces.follow_links(config);
    interfaces.find_links();
    Ok(interfaces)
}

/// What takes out the routes and rules of instances: of one that had no VIP on only
/// those that nobody else has. What is static stays for the next worker.
fn ways(config: &Config, held: impl Fn(&&SharedInstance) -> bool) -> Vec<Operation> {
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
    let is_there = |it: &SharedInstance| !it.accept || links_of(it).next().is_some();
    if !config.instances.iter().any(is_there) {
        return Ok(());
    }
    nftables::clean_up(nftables::Options::from(&config.globals.firewall))
}

fn resign<'a>(config: &Config, held: impl Iterator<Item = &'a Instance>) -> std::io::Result<()> {
    let interfaces = interfaces(config)?;
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
    outgoing.send_priority_zero(instance, place.via, &mut signing, sender)
}
