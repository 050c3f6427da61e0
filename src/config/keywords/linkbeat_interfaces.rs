//! The lines of `linkbeat_interfaces { IF [MII|ETHTOOL|IOCTL] }` (specification D.6).

use super::super::diagnostic::{Class, Diagnostic, Severity};
use super::super::lex::Word;
use super::super::model::{LinkbeatInterface, LinkbeatMethod};
use super::super::tree::Statement;
use super::{Context, root};

/// Reads the block.
pub fn set(root: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    for line in statement.inner() {
        cx.expect_no_block(line);
        let Some(interface) = line.word(0) else {
            continue;
        };
        tell_if_missing(interface, "linkbeat interface", cx);
        let method = match line.word(1).map(|word| word.text.as_str()) {
            Some("MII") => Some(LinkbeatMethod::Mii),
            Some("ETHTOOL") => Some(LinkbeatMethod::Ethtool),
            Some("IOCTL") => Some(LinkbeatMethod::Ioctl),
            _ => None,
        };
        if let Some(extra) = line.word(if method.is_some() { 2 } else { 1 }) {
            let text = format!("extra characters {} in linkbeat interface", extra.text);
            cx.error("extra-parameters", extra, text);
        }
        root.linkbeat_interfaces.push(LinkbeatInterface {
            interface: interface.text.clone(),
            method,
        });
    }
}

/// C ends with exit code 4; here an interface may appear later.
pub(super) fn tell_if_missing(interface: &Word, what: &str, cx: &mut Context<'_>) {
    if cx.machine.interface(&interface.text).is_some() {
        return;
    }
    let text = format!("unknown interface {} specified for {what}", interface.text);
    let (severity, class) = (Severity::Warning, Class::Fatal);
    let diagnostic = Diagnostic::new("no-such-interface", severity, class, text);
    cx.found.push(diagnostic.at(&interface.origin));
}
