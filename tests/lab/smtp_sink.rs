//! A mail server that accepts everything and keeps it, to count mails.

use super::failure::{Context, Failure, Result};
use super::node::Node;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Where the mails of a node end up.
#[derive(Debug, Clone)]
pub struct SmtpSink {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    mails: Mutex<Vec<Mail>>,
    change: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mail as it was delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    /// The argument of MAIL FROM.
    pub sender: String,
    /// The arguments of RCPT TO.
    pub recipients: Vec<String>,
    /// The subject header, unfolded.
    pub subject: String,
    /// Headers and body.
    pub text: String,
}

impl SmtpSink {
    /// Listens at a local address of the node, such as "127.0.0.1:25". The
    /// threads live as long as this process.
    pub fn new(node: &Node, address: &str) -> Result<Self> {
        let listener = node.inside(|| TcpListener::bind(address).context(address))?;
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    let shared = Arc::clone(&shared);
                    // A client that hangs up in the middle delivered nothing.
                    thread::spawn(move || serve(stream, &shared));
                }
            }
        });
        Ok(Self { shared })
    }

    /// All mails so far, in the order of delivery.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.lock().clone()
    }

    /// Waits until a mail with `subject` in its subject was delivered.
    pub fn await_mail(&self, timeout: Duration, subject: &str) -> Result<Mail> {
        let is_it = |mail: &Mail| mail.subject.contains(subject);
        self.await_mails(timeout, 1, is_it)?;
        let mails = self.mails();
        let found = mails.into_iter().find(is_it);
        found.ok_or_else(|| Failure::new("a mail went away"))
    }

    /// Waits until this many mails that are `wanted` were delivered.
    pub fn await_mails(
        &self,
        timeout: Duration,
        number: usize,
        wanted: impl Fn(&Mail) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut mails = self.shared.lock();
        while mails.iter().filter(|mail| wanted(mail)).count() < number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
                return Err(Failure::new(format!("not {number} mails, only {seen:?}")));
            }
            mails = match self.shared.change.wait_timeout(mails, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        Ok(())
    }
}

/// The server's side of RFC 5321, as far as a daemon's alert needs it.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reply = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    reply.write_all(b"220 sink ready\r\n")?;
    let mut mail = Mail::default();
    while let Some(line) = lines.next().transpose()? {
        let command = line.to_ascii_uppercase();
        if let Some(sender) = command.strip_prefix("MAIL FROM:") {
            mail.sender = line[line.len() - sender.len()..].trim().to_owned();
        } else if let Some(recipient) = command.strip_prefix("RCPT TO:") {
            mail.recipients
                .push(line[line.len() - recipient.len()..].trim().to_owned());
        } else if command == "DATA" {
            reply.write_all(b"354 go on\r\n")?;
            while let Some(text) = lines.next().transpose()? {
                if text == "." {
                    break;
                }
                mail.text.push_str(&text);
                mail.text.push('\n');
            }
            mail.subject = header(&mail.text, "Subject");
            shared.lock().push(std::mem::take(&mut mail));
            shared.change.notify_all();
        } else if command == "QUIT" {
            reply.write_all(b"221 bye\r\n")?;
            return Ok(());
        }
        reply.write_all(b"250 ok\r\n")?;
    }
    Ok(())
}

/// A header of a mail, its folded lines joined.
fn header(text: &str, name: &str) -> String {
    let mut value = String::new();
    let mut inside = false;
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if inside {
                value.push_str(line);
            }
            continue;
        }
        let prefix = line.get(..name.len()).unwrap_or_default();
        inside = prefix.eq_ignore_ascii_case(name) && line[name.len()..].starts_with(':');
        if inside {
            value.push_str(line[name.len() + 1..].trim());
        }
    }
    value
}
