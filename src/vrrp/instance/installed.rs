//! The VIPs of one instance in the kernel: put on, taken off, put back.
//!
//! When they go on and off is decided in `state_machine.rs`.

use std::net::IpAddr;

use crate::config::model::{Instance, VirtualAddress};
use crate::ids::{Errno, IfIndex};

use super::super::action::{Action, NotifyState, Operation, Token};
use super::super::event::InterfaceState;
use super::super::interfaces::Interfaces;
use super::super::log_lines::{InstanceLine, LogLine};
use super::{Context, Purpose, Running};

/// Whether the VIPs are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Installed {
    No,
    Asked(Token),
    Yes,
}

impl Running {
    pub(super) fn install(&mut self, cx: &mut Context<'_>) {
        self.tell_addition(cx);
        self.put_on = Self::vips(&self.config, cx.interfaces)
            .map(|(on, vip)| (on, vip.clone()))
            .collect();
        if let Some(token) = cx.requests.gathering() {
            self.installed = Installed::Asked(token);
            return;
        }
        let operations = self.put_on.iter().cloned();
        let operations = operations
            .map(|(on, address)| Operation::AddAddress { on, address })
            .collect();
        let token = cx.request(Purpose::Install(self.id), operations);
        self.installed = Installed::Asked(token);
    }

    pub(super) fn remove(&mut self, cx: &mut Context<'_>) {
        self.tell_removal(cx);
        self.installed = Installed::No;
        self.gained = None;
        self.announcing.clear();
        cx.pacer.cancel(self.id);
        self.disarm_bursts(cx);
        if cx.requests.gathering().is_some() {
            self.put_on.clear();
            return;
        }
        let mut there: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .map(|(on, vip)| (on, vip.clone()))
            .collect();
        // An interface may have got another name since, and keeps its addresses.
        for (on, vip) in std::mem::take(&mut self.put_on) {
            let is_known = there.contains(&(on, vip.clone()));
            if cx.interfaces.get(on).is_some() && !is_known {
                there.push((on, vip));
            }
        }
        let operations = there
            .into_iter()
            .map(|(on, address)| Operation::RemoveAddress { on, address })
            .collect();
        cx.request(Purpose::Remove(self.id), operations);
    }

    pub(super) fn tell_addition(&self, cx: &mut Context<'_>) {
        let [vips, excluded] = [InstanceLine::SettingVips, InstanceLine::SettingExcludedVips];
        self.tell_vips(vips, excluded, cx);
    }

    fn tell_removal(&self, cx: &mut Context<'_>) {
        let [vips, excluded] = [
            InstanceLine::RemovingVips,
            InstanceLine::RemovingExcludedVips,
        ];
        self.tell_vips(vips, excluded, cx);
    }

    /// A line for each list that has an address.
    fn tell_vips(&self, vips: InstanceLine, excluded: InstanceLine, cx: &mut Context<'_>) {
        if !self.config.virtual_addresses.is_empty() {
            self.log(vips, cx);
        }
        if !self.config.excluded_addresses.is_empty() {
            self.log(excluded, cx);
        }
    }

    /// Takes VIPs off that an earlier run left behind (specification F.2).
    pub fn remove_leftovers(&self, cx: &mut Context<'_>) {
        let left = |on: IfIndex, vip: &VirtualAddress| {
            cx.interfaces.get(on).is_some_and(|state| holds(state, vip))
        };
        let operations: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| left(*on, vip))
            .map(|(on, vip)| Operation::RemoveAddress {
                on,
                address: vip.clone(),
            })
            .collect();
        if !operations.is_empty() {
            self.tell_removal(cx);
            cx.request(Purpose::Remove(self.id), operations);
        }
    }

    /// The VIPs have been added: announces them, and tells the outside.
    pub fn installed(&mut self, token: Token, result: Result<(), Errno>, cx: &mut Context<'_>) {
        if self.installed != Installed::Asked(token) {
            return;
        }
        self.installed = Installed::Yes;
        if let Err(errno) = result {
            let line = InstanceLine::KernelRefused {
                adding: true,
                errno,
            };
            self.log(line, cx);
        }
        self.find_targets(cx);
        self.burst(self.config.garp.master_repeat, cx);
        self.arm_bursts(cx);
        self.notify(NotifyState::Master, cx);
    }

    /// Somebody else took an address off an interface: as MASTER, puts it back
    /// if it is a VIP of ours that was on.
    pub fn address_removed(
        &mut self,
        on: IfIndex,
        address: IpAddr,
        prefix_length: u8,
        cx: &mut Context<'_>,
    ) {
        if self.installed != Installed::Yes {
            return;
        }
        let lost = Self::vips(&self.config, cx.interfaces).find(|(index, vip)| {
            *index == on
                && vip.address == address
                && vip.prefix_length == prefix_length
                && !vip.no_track
        });
        let Some((_, vip)) = lost else { return };
        let (vip, interface) = (vip.clone(), vip.interface.clone());
        let line = LogLine::AddressRemoved { address, interface };
        cx.actions.push_back(Action::Log(line));
        let operation = Operation::AddAddress { on, address: vip };
        cx.request(Purpose::Restore(self.id), vec![operation]);
    }

    /// After reports were missed: puts back, as MASTER, what is not there.
    pub fn restore_missing(&mut self, cx: &mut Context<'_>) {
        let is_there = |on: IfIndex, vip: &VirtualAddress| {
            cx.interfaces.get(on).is_some_and(|state| holds(state, vip))
        };
        let missing: Vec<_> = Self::vips(&self.config, cx.interfaces)
            .filter(|(on, vip)| !is_there(*on, vip))
            .map(|(on, vip)| (on, vip.address, vip.prefix_length))
            .collect();
        for (on, address, prefix_length) in missing {
            self.address_removed(on, address, prefix_length, cx);
        }
    }

    /// A VIP is back: announces all of them once more.
    pub fn restored(&mut self, result: Result<(), Errno>, cx: &mut Context<'_>) {
        match result {
            // By way of the timer, so that many VIPs that come back together are
            // announced once.
            Ok(()) => self.announce_all_at(cx.now, cx),
            Err(errno) => self.log(
                InstanceLine::KernelRefused {
                    adding: true,
                    errno,
                },
                cx,
            ),
        }
    }

    /// Each VIP with the number of its interface; those without one are left
    /// out (they keep the instance in FAULT unless they are not tracked).
    pub(super) fn vips<'c>(
        config: &'c Instance,
        interfaces: &'c Interfaces,
    ) -> impl Iterator<Item = (IfIndex, &'c VirtualAddress)> {
        config.all_addresses().filter_map(|vip| {
            let state = interfaces.named(&vip.interface)?;
            Some((state.index, vip))
        })
    }
}

/// Whether the interface has this address, with this prefix length.
fn holds(state: &InterfaceState, vip: &VirtualAddress) -> bool {
    let mut there = state.addresses.iter();
    there.any(|on| on.address == vip.address && on.prefix_length == vip.prefix_length)
}
