//! The lines of `unicast_peer { ADDR [min_ttl N] [max_ttl N] }` (specification D.7).

use super::super::arguments;
use super::super::model::UnicastPeer;
use super::super::tree::Statement;
use super::Context;
use super::vrrp_instance::Draft;

/// Reads the block.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.unicast = Some(statement.keyword_origin());
    for value in statement.inner() {
        cx.expect_no_block(value);
        peer(draft, value, cx);
    }
}

fn peer(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let instance = draft.name.text.clone();
    let Some(word) = statement.word(0) else {
        return;
    };
    let Some(address) = arguments::address(arguments::address_and_length(&word.text).0) else {
        let text = format!(
            "Configuration error: VRRP instance[{instance}] malformed unicast peer \
             address[{}]. Skipping...",
            word.text
        );
        cx.error("unicast-peer", word, text);
        return;
    };
    if !draft.fixes_family(address, &word.origin) {
        let text = format!(
            "Configuration error: VRRP instance[{instance}] and unicast peer address[{address}] \
             MUST be of the same family !!! Skipping..."
        );
        cx.error("family", word, text);
        return;
    }
    if !draft.known_peers.insert(address) {
        let text = format!("({instance}) {address} - duplicate unicast_peer");
        cx.error("duplicate-peer", word, text);
        return;
    }
    let mut peer = UnicastPeer::from(address);
    options(&mut peer, &instance, statement, cx);
    if let (Some(min), Some(max)) = (peer.min_ttl, peer.max_ttl)
        && min > max
    {
        let text =
            format!("({instance}) min_ttl {min} > max_ttl {max} - all packets will be discarded");
        cx.error("peer-ttl", word, text);
    }
    draft.peers.push((peer, word.origin));
}

fn options(peer: &mut UnicastPeer, instance: &str, statement: &Statement, cx: &mut Context<'_>) {
    let mut words = statement.arguments().iter();
    while let Some(option) = words.next() {
        let Some(value) = words.next() else {
            let text = format!("({instance}) {} is missing a value", option.text);
            cx.error("peer-option", option, text);
            return;
        };
        if option.text != "min_ttl" && option.text != "max_ttl" {
            let text = format!("({instance}) unknown unicast_peer option {}", option.text);
            cx.error("peer-option", option, text);
            continue;
        }
        let ttl = match arguments::number(&value.text, 0..=255) {
            Ok(ttl) => u8::try_from(ttl).ok(),
            Err(problem) => {
                cx.error("number", value, problem.text);
                continue;
            }
        };
        if option.text == "min_ttl" {
            peer.min_ttl = ttl;
        } else {
            peer.max_ttl = ttl;
        }
    }
}
