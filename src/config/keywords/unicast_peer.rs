//! The lines of `unicast_peer { ADDR }` (specification D.7).

use super::super::arguments;
use super::super::diagnostic::Diagnostic;
use super::super::tree::Statement;
use super::Context;
use super::vrrp_instance::Draft;

/// Reads the block.
pub fn set(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let instance = draft.name.text.clone();
    draft.unicast = Some(statement.keyword_origin());
    for value in statement.inner() {
        cx.expect_no_block(value);
        let Some(word) = value.word(0) else { continue };
        let Some(address) = arguments::address(arguments::address_and_length(&word.text).0) else {
            let text = format!(
                "Configuration error: VRRP instance[{instance}] malformed unicast peer \
                 address[{}]. Skipping...",
                word.text
            );
            cx.error("unicast-peer", word, text);
            continue;
        };
        if address.is_ipv6() {
            let text = format!("({instance}) unicast over IPv6 does not work yet");
            cx.found
                .push(Diagnostic::fatal("does-not-work-yet", text).at(&word.origin));
            continue;
        }
        if !draft.known_peers.insert(address) {
            let text = format!("({instance}) {address} - duplicate unicast_peer");
            cx.error("duplicate-peer", word, text);
            continue;
        }
        if let Some(option) = value.word(1) {
            let text = format!("({instance}) '{}' does not work yet", option.text);
            cx.found
                .push(Diagnostic::fatal("does-not-work-yet", text).at(&option.origin));
        }
        draft.peers.push((address, word.origin));
    }
}
