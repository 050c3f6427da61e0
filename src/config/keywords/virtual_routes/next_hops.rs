//! `nexthop ...` at the end of a route, and the old `or ADDR`.

use std::net::IpAddr;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::{Family, NextHop};
use super::super::{Context, routing_words};
use super::{Reader, accept_family, encapsulation, realms};

impl<'s> Reader<'s, '_> {
    /// Everything behind the first `nexthop`.
    pub(super) fn next_hops(&mut self, cx: &mut Context<'_>) -> Option<()> {
        let mut hop = NextHop::default();
        while let Some(word) = self.words.next() {
            if word.text == "nexthop" {
                self.route.next_hops.push(std::mem::take(&mut hop));
            } else {
                self.next_hop_word(&mut hop, word, cx)?;
            }
        }
        self.route.next_hops.push(hop);
        Some(())
    }

    fn next_hop_word(
        &mut self,
        hop: &mut NextHop,
        word: &'s Word,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        match word.text.as_str() {
            "via" => {
                let family = accept_family(&mut self.words);
                let value = self.words.argument(cx)?;
                hop.via = Some(self.next_hop_address(family, value, cx)?);
            }
            "dev" | "oif" => {
                let value = self.words.argument(cx)?;
                hop.interface = Some(value.text.clone());
                self.devices.push(value.clone());
            }
            "weight" => {
                let value = self.words.argument(cx)?;
                let invalid = |text: &str| format!("Invalid weight {text} specified for route");
                let weight: u16 = routing_words::number(value, 256, cx, invalid)?;
                if weight == 0 {
                    cx.error("number", value, invalid("0"));
                    return None;
                }
                hop.weight = Some(weight);
            }
            "onlink" => hop.onlink = true,
            "realms" => {
                let value = self.words.argument(cx)?;
                let message = "realms are only supported for IPv4";
                self.only_for(Family::Inet, value, cx, message.to_string())?;
                hop.realms = Some(realms(value, cx)?);
            }
            "encap" => {
                let value = self.words.argument(cx)?;
                hop.encapsulation = Some(encapsulation::read(value, &mut self.words, cx)?);
            }
            text => {
                let text = format!("Route has trailing nonsense after nexthops - {text}");
                let diagnostic = Diagnostic::error("route", text).at(&word.origin);
                let help = "Other options stand before the first `nexthop`.";
                cx.found.push(diagnostic.help(help));
                return None;
            }
        }
        Some(())
    }

    fn next_hop_address(
        &mut self,
        written: Option<Family>,
        value: &Word,
        cx: &mut Context<'_>,
    ) -> Option<IpAddr> {
        let Some(address) = routing_words::address(value) else {
            let text = format!("invalid nexthop address {}", value.text);
            cx.error("route", value, text);
            return None;
        };
        let family = Family::of(&address);
        let fits = |written| family == written && self.family.is_none_or(|of| of == written);
        if written.is_some_and(|written| !fits(written)) {
            let text = "IPv4/6 mismatch for nexthop";
            cx.error("route", value, text.to_string());
            return None;
        }
        let message = "Address family mismatch for next hop";
        self.only_for(family, value, cx, message.to_string())?;
        Some(address)
    }

    /// `via A or B`: two ways of the same weight. `dev` may follow.
    pub(super) fn or(&mut self, option: &Word, cx: &mut Context<'_>) -> Option<()> {
        let text = "\"or\" for routes is deprecated. Please use \"nexthop\"";
        let diagnostic = Diagnostic::warning("deprecated", text);
        cx.found.push(diagnostic.at(&option.origin));
        let value = self.words.argument(cx)?;
        let invalid = |text: &str| format!("Invalid \"or\" address {text}");
        let second = self.address(value, cx, invalid)?;
        let ways = [self.route.via.take(), Some(second)];
        for via in ways.into_iter().filter(Option::is_some) {
            let interface = self.route.interface.clone();
            self.route.next_hops.push(NextHop {
                via,
                interface,
                ..NextHop::default()
            });
        }
        while let Some(word) = self.words.next() {
            self.word(word, cx)?;
        }
        Some(())
    }
}
