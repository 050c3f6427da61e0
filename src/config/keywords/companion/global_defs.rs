//! `global_defs` of `keepalived-rs.conf`.

use std::net::SocketAddr;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::lex::Word;
use super::super::super::model::{MetricsListen, Secret, SmtpPassword, SmtpTls};
use super::super::{Context, Keyword, works};
use crate::config::tree::Statement;
use crate::time::Interval;

/// The rows.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    works("fast_handover", "[BOOL]", "Default for all instances: a MASTER that falls behind a peer hands over at once", fast_handover),
    works("vip_loss", "heal|reelect", "Default for all instances: what somebody else takes away from a MASTER is put back (default), or the instance gives up and is elected again, as with C", vip_loss),
    works("vip_loss_limit", "LOSSES [SECONDS]", "Default for all instances: the same VIP, route or rule lost so often within this time means FAULT for a while; 1 to 1000 within 1 to 3600; LOSSES 0: never; default 5 10", vip_loss_limit),
    works("smtp_tls", "off|opportunistic|starttls|tls", "Encryption of mail: never, where the server offers STARTTLS, with STARTTLS or no mail, from the first byte; default off", smtp_tls),
    works("smtp_ca_file", "PATH", "Whose certificates are believed (PEM), instead of those that this machine believes", smtp_ca_file),
    works("smtp_user", "NAME", "Who logs in to the mail server; needs a password, and smtp_tls starttls or tls", smtp_user),
    works("smtp_password", "PASSWORD", "Password for the mail server", smtp_password),
    works("smtp_password_file", "PATH", "File whose first line is the password", smtp_password_file),
    works("smtp_retry_for", "SECONDS", "For how long a mail that could not be delivered is tried again; 0: tried once; default 3600", smtp_retry_for),
    works("worker_stall_limit", "SECONDS", "A VRRP process that makes no turn for so long is killed and replaced, 2 to 86400; 0: never; default: three times the longest master-down time, at least 5", worker_stall_limit),
    works("worker_confinement", "[BOOL]", "Whether the VRRP process gives up the rights of root, the files and the system calls that it does not need; default: yes", worker_confinement),
    works("metrics_listen", "unix:PATH|ADDRESS:PORT", "Where metrics are served over HTTP: on a Unix socket, or on a loopback address; default: nowhere", metrics_listen),
];

/// A day: nobody wants to read an older alert.
const RETRY_FOR_MAX_S: u64 = 86_400;

/// Settings of the whole daemon.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// `fast_handover`
    pub fast_handover: Option<bool>,
    /// `vip_loss` and `vip_loss_limit`
    pub vip_loss: super::VipLossDraft,
    /// `smtp_tls`
    pub smtp_tls: Option<SmtpTls>,
    /// `smtp_ca_file`
    pub smtp_ca_file: Option<Word>,
    /// `smtp_user`
    pub smtp_user: Option<Word>,
    /// `smtp_password` or `smtp_password_file`, and where it stands.
    pub smtp_password: Option<(SmtpPassword, Word)>,
    /// `smtp_retry_for`
    pub smtp_retry_for: Option<Interval>,
    /// `worker_stall_limit`
    pub worker_stall_limit: Option<Interval>,
    /// `worker_confinement`
    pub worker_confinement: Option<bool>,
    /// `metrics_listen`
    pub metrics_listen: Option<MetricsListen>,
}

/// What the kernel takes as the path of a socket, without the end of the text.
const SOCKET_PATH_MAX: usize = 107;

fn fast_handover(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.fast_handover = super::switch(statement, cx).or(draft.fast_handover);
}

fn worker_confinement(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.worker_confinement = super::switch(statement, cx).or(draft.worker_confinement);
}

fn vip_loss(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.vip_loss.read_answer(statement, cx);
}

fn vip_loss_limit(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.vip_loss.read_limit(statement, cx);
}

fn smtp_tls(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    draft.smtp_tls = Some(match word.text.as_str() {
        "off" => SmtpTls::Off,
        "opportunistic" => SmtpTls::Opportunistic,
        "starttls" => SmtpTls::StartTls,
        "tls" => SmtpTls::Tls,
        other => {
            let text = format!("Invalid smtp_tls '{other}' - ignoring");
            let found = Diagnostic::error("smtp-tls", text)
                .at(&word.origin)
                .help("off, opportunistic, starttls and tls are possible.".to_owned());
            return cx.found.push(found);
        }
    });
}

fn smtp_ca_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.smtp_ca_file = cx.argument(statement, 1).cloned();
}

fn smtp_user(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    draft.smtp_user = cx.argument(statement, 1).cloned();
}

fn smtp_password(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        let secret = Secret::from(word.text.clone().into_bytes());
        set_password(draft, SmtpPassword::Written(secret), statement, cx);
    }
}

fn smtp_password_file(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    if let Some(word) = cx.argument(statement, 1) {
        let file = SmtpPassword::File(word.text.clone());
        set_password(draft, file, statement, cx);
    }
}

fn set_password(
    draft: &mut Draft,
    password: SmtpPassword,
    statement: &Statement,
    cx: &mut Context<'_>,
) {
    let Some(keyword) = statement.word(0) else {
        return;
    };
    if draft.smtp_password.is_some() {
        let text = format!("{}: there is a password already - ignoring", keyword.text);
        return cx.error("smtp-password", keyword, text);
    }
    draft.smtp_password = Some((password, keyword.clone()));
}

fn smtp_retry_for(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid = |text: &str| {
        format!("smtp_retry_for '{text}' must be in [0, {RETRY_FOR_MAX_S}] - ignoring")
    };
    let value = cx.number(statement, 0..=86_400, invalid);
    if let Some(seconds) = value.and_then(|value| u64::try_from(value).ok()) {
        draft.smtp_retry_for = Some(Interval::from_secs(seconds));
    }
}

/// The worker gives a sign of life after 1.5 s at the latest: less than 2 s say nothing.
fn worker_stall_limit(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let invalid =
        |text: &str| format!("worker_stall_limit '{text}' must be 0 or in [2, 86400] - ignoring");
    let value = cx.number(statement, 0..=86_400, invalid);
    match value.and_then(|value| u64::try_from(value).ok()) {
        Some(1) => {
            if let Some(word) = statement.word(1) {
                cx.error("worker-stall-limit", word, invalid("1"));
            }
        }
        Some(seconds) => draft.worker_stall_limit = Some(Interval::from_secs(seconds)),
        None => {}
    }
}

/// Nobody but this machine is served: the answers are not encrypted, and anybody who
/// can connect gets them.
fn metrics_listen(draft: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(word) = cx.argument(statement, 1) else {
        return;
    };
    let listen = match word.text.strip_prefix("unix:") {
        Some(path) if !path.starts_with('/') => Err("the path of a socket begins with /"),
        Some(path) if path.len() > SOCKET_PATH_MAX => Err("the path of a socket is too long"),
        Some(path) => Ok(MetricsListen::Unix(path.to_owned())),
        None => match word.text.parse::<SocketAddr>() {
            Ok(address) if !address.ip().is_loopback() => {
                Err("only a loopback address is possible")
            }
            Ok(address) if address.port() == 0 => Err("the port must not be 0"),
            Ok(address) => Ok(MetricsListen::Loopback(address)),
            Err(_) => Err("neither unix:PATH nor ADDRESS:PORT"),
        },
    };
    match listen {
        Ok(listen) => draft.metrics_listen = Some(listen),
        Err(wrong) => {
            let text = format!("Invalid metrics_listen '{}': {wrong} - ignoring", word.text);
            let found = Diagnostic::error("metrics-listen", text)
                .at(&word.origin)
                .help(
                    "unix:/run/keepalived.metrics, 127.0.0.1:9165 and [::1]:9165 are possible."
                        .to_owned(),
                );
            cx.found.push(found);
        }
    }
}
