//! Mail: who sends it, where to, and through which server.

use crate::time::Interval;

use super::super::super::arguments;
use super::super::super::diagnostic::Diagnostic;
use super::super::super::model::SmtpServer;
use super::super::super::tree::Statement;
use super::super::Context;
use super::{Draft, wanted};

/// `router_id`
pub fn router_id(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = wanted(statement, "routerid name missing - ignoring", cx) {
        draft.globals.router_id = Some(word.text.clone());
    }
}

/// `notification_email`
pub fn notification_email(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if statement.inner().is_empty() {
        let text = "Warning - empty notification_email block";
        let origin = statement.end();
        cx.found
            .push(Diagnostic::warning("no-recipients", text).at(&origin));
    }
    for value in statement.inner() {
        cx.expect_no_block(value);
        let addresses = value.words.iter().map(|word| word.text.clone());
        draft.globals.notification_email.extend(addresses);
    }
}

/// `notification_email_from`
pub fn notification_email_from(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = wanted(statement, "emailfrom missing - ignoring", cx) {
        draft.globals.notification_email_from = Some(word.text.clone());
    }
}

/// `smtp_server`. The name is looked up again for each mail, so one that is not
/// known now stays.
pub fn server(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(host) = cx.argument(statement, 1) else {
        return;
    };
    let mut port = 25;
    if let Some(word) = statement.word(2) {
        let invalid = || format!("Invalid smtp server {} {}", host.text, word.text);
        let value = cx.usable(word, arguments::number(&word.text, 1..=65_535), invalid);
        let Some(value) = value.and_then(|value| u16::try_from(value).ok()) else {
            return;
        };
        port = value;
    }
    if !cx.machine.resolves(&host.text) {
        let text = format!("Invalid smtp server {} {port}", host.text);
        let help = "The name is not known on this machine now; it is looked up for each mail.";
        let diagnostic = Diagnostic::warning("smtp-server", text);
        cx.found.push(diagnostic.at(&host.origin).help(help));
    }
    draft.globals.smtp_server = Some(SmtpServer {
        host: host.text.clone(),
        port,
    });
}

/// `smtp_helo_name`
pub fn helo_name(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    match statement.word(1) {
        Some(word) => draft.globals.smtp_helo_name = Some(word.text.clone()),
        // C takes it without a word.
        None => super::tell(
            "no-name",
            "smtp_helo_name without a name is ignored",
            statement,
            cx,
        ),
    }
}

/// `smtp_connect_timeout`
pub fn connect_timeout(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("smtp_connect_timeout '{text}' must be in [0, 4294] - ignoring");
    let Some(mut value) = cx.number(statement, 0..=4_294, invalid) else {
        return;
    };
    if value == 0 {
        let text = "smtp_conect_timeout must be greater than 0, setting to 1";
        let origin = statement.line.whole();
        cx.found
            .push(Diagnostic::error("smtp-connect-timeout", text).at(&origin));
        value = 1;
    }
    draft.globals.smtp_connect_timeout = Interval::from_secs(u64::try_from(value).unwrap_or(1));
}
