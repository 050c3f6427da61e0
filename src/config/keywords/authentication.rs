//! `authentication` of a `vrrp_instance` (specification D.7).

use super::super::diagnostic::Diagnostic;
use super::super::model::Password;
use super::super::tree::Statement;
use super::vrrp_instance::Draft;
use super::{Context, Keyword, works};

/// The rows.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works(
        "auth_type",
        "PASS|AH",
        "Kind of authentication: password in clear text, or IP authentication header",
        auth_type,
    ),
    works(
        "auth_pass",
        "STRING",
        "Password; the first 8 bytes count",
        auth_pass,
    ),
];

/// What `auth_type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `PASS`
    Password,
    /// `AH`
    Header,
}

fn auth_type(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    match word.text.as_str() {
        "PASS" => draft.auth_type = Some((Kind::Password, statement.keyword_origin())),
        "AH" => draft.auth_type = Some((Kind::Header, statement.keyword_origin())),
        other => {
            let text = format!(
                "({}) unknown authentication type '{other}'",
                draft.name.text
            );
            let diagnostic = Diagnostic::error("auth-type", text).at(&word.origin);
            cx.found.push(diagnostic.help("It is `PASS` or `AH`."));
        }
    }
}

/// The password itself never gets into a message.
fn auth_pass(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    if word.text.contains('\u{fffd}') {
        let text = format!("({}) auth_pass is not valid UTF-8", draft.name.text);
        cx.found
            .push(Diagnostic::fatal("encoding", text).at(&word.origin));
        return;
    }
    let bytes = word.text.as_bytes();
    if bytes.len() > 8 {
        let text = "Truncating auth_pass to 8 characters";
        cx.found
            .push(Diagnostic::warning("auth-pass-length", text).at(&word.origin));
    }
    let mut password = [0; 8];
    for (to, from) in password.iter_mut().zip(bytes) {
        *to = *from;
    }
    draft.password = Some(Password(password));
}
