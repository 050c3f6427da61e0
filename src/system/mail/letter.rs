//! What a mail says: headers and texts of specification E.7, byte for byte.
//!
//! Decides also which written addresses are addresses. Does not decide whether a
//! mail is due, nor how it gets to the server.

use std::sync::Arc;

use lettre::Address;

use super::Post;
use crate::system::clock;
use crate::vrrp::action::NotifyState;

/// An address as written, and what of it the mail server gets.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub written: String,
    pub address: Address,
}

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Instance,
    Group,
}

/// One mail to send.
#[derive(Debug)]
pub(super) struct Letter {
    pub post: Arc<Post>,
    /// When it was written, which may be long before it is delivered.
    date: String,
    pub subject: String,
    body: &'static str,
    /// Why it happened, in words of our own.
    why: String,
}

/// The most bytes of a line of the body: SMTP allows 998.
const LINE_MAX: usize = 900;

impl Letter {
    /// Tells of the new `state` of the instance or group `name`, and why.
    pub fn new(
        post: Arc<Post>,
        kind: Kind,
        name: &str,
        state: NotifyState,
        why: [&str; 2],
    ) -> Self {
        let what = match state {
            NotifyState::Master => "Entering MASTER state",
            NotifyState::Backup => "Entering BACKUP state",
            NotifyState::Fault => "Entering FAULT state",
            NotifyState::Stop => "Stopping",
            NotifyState::Deleted => "Deleted",
        };
        let (kind, body) = match kind {
            Kind::Instance => ("Instance", instance_body(state)),
            Kind::Group => ("Group", group_body(state)),
        };
        let subject = format!("[{}] VRRP {kind} {name} - {what}", post.router_id);
        Self {
            post,
            date: clock::mail_date(),
            subject: one_line(&subject),
            body,
            why: why_lines(why),
        }
    }

    /// The message: headers in C keepalived's order, a blank line, its body, and then
    /// why.
    pub fn message(&self) -> String {
        let to: Vec<_> = self.post.to.iter().map(|to| to.written.as_str()).collect();
        format!(
            "Date: {}\r\nFrom: {}\r\nSubject: {}\r\nX-Mailer: Keepalived\r\nTo: {}\r\n\r\n{}\r\n{}",
            self.date,
            self.post.from.written,
            self.subject,
            to.join(",\r\n "),
            self.body,
            self.why
        )
    }
}

/// Reads `ADDRESS` or `NAME <ADDRESS>`. A user without a host is one of this
/// host. `None`, with a warning, if that is no address.
pub(super) fn mailbox(written: &str, host_name: &str) -> Option<Mailbox> {
    let bare = match written.rsplit_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => written,
    }
    .trim();
    let (user, host) = bare.rsplit_once('@').unwrap_or((bare, host_name));
    match Address::new(user, host) {
        Ok(address) => Some(Mailbox {
            written: match bare.contains('@') {
                true => one_line(written),
                false => address.to_string(),
            },
            address,
        }),
        Err(error) => {
            tracing::warn!("No mail to or from {}: {error}", one_line(written));
            None
        }
    }
}

fn instance_body(state: NotifyState) -> &'static str {
    match state {
        NotifyState::Master => "=> VRRP Instance is now owning VRRP VIPs <=",
        NotifyState::Backup | NotifyState::Fault => {
            "=> VRRP Instance is no longer owning VRRP VIPs <="
        }
        NotifyState::Stop => "=> VRRP Instance stopping <=",
        NotifyState::Deleted => "=> VRRP Deleted at reload <=",
    }
}

fn group_body(state: NotifyState) -> &'static str {
    match state {
        NotifyState::Master => "=> All VRRP group instances are now in MASTER state <=",
        NotifyState::Backup => "=> All VRRP group instances are now in BACKUP state <=",
        NotifyState::Fault => "=> All VRRP group instances are now in FAULT state <=",
        // A group is never told of as deleted.
        NotifyState::Stop | NotifyState::Deleted => {
            "=> All VRRP group instances are now stopping <="
        }
    }
}

/// The cause, and what was seen, a line each.
fn why_lines([cause, evidence]: [&str; 2]) -> String {
    let lines = [("Why", cause), ("Seen", evidence)].into_iter();
    let lines = lines.filter(|(_, text)| !text.is_empty());
    lines
        .map(|(name, text)| {
            let text = one_line(text);
            let end = text.floor_char_boundary(LINE_MAX);
            format!("{name}: {}\r\n", text.get(..end).unwrap_or_default())
        })
        .collect()
}

/// The text without line ends, which would begin another header.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}
