//! `DNS_CHECK { ... }`: a query to a name server (keepalived-lvs.md B.6).

use super::super::super::tree::Statement;
use super::super::{Context, Keyword};
use super::checker::{self, CONNECTION, Draft};
use super::{joined, part, real_server};

#[rustfmt::skip] // One row, one line.
const OWN: &[Keyword<Draft>] = &[
    part("type", "A|NS|CNAME|SOA|MX|TXT|AAAA|RRSIG|DNSKEY", "What is asked for, default SOA", kind),
    part("name", "DOMAIN", "The name that is asked for, default the root", name),
];

const ROWS: [Keyword<Draft>; CONNECTION.len() + OWN.len()] = joined(CONNECTION, OWN);

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &ROWS;

/// Reads the block.
pub fn set(server: &mut real_server::Draft, statement: &Statement, cx: &mut Context<'_>) {
    checker::read("DNS_CHECK", KEYWORDS, server, statement, cx);
}

const TYPES: &[&str] = &[
    "A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY",
];

fn kind(_: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if !TYPES
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&word.text))
    {
        let text = format!("Unknown DNS check type {} - ignoring", word.text);
        cx.error("dns-type", word, text);
    }
}

/// C refuses a first label of one letter, too, by mistake.
fn name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if draft.name.is_some() {
        let text = "DNS_CHECK name already specified - ignoring";
        cx.error("dns-name", word, text.to_string());
        return;
    }
    let labels = word.text.strip_suffix('.').unwrap_or(&word.text);
    if word.text != "." && labels.split('.').any(str::is_empty) {
        let text = format!("DNS_CHECK name '{}' has empty label - ignoring", word.text);
        cx.error("dns-name", word, text);
        return;
    }
    draft.name = Some(word.text.clone());
}
