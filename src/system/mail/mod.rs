//! Mail about changes of state (specification E.7), on a thread of its own.
//!
//! Decides whether a mail is due, and that mail never holds up the daemon:
//! letters wait in bounded queues, what does not fit is dropped and counted. What
//! a mail says is in `letter`, how it gets to the server in `dialogue`, behind a
//! `relay` that limits what a server can do, and when it is tried again in
//! `postman`.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::config::model::{Globals, MailDelivery, SmtpServer};
use crate::time::Interval;
use crate::vrrp::action::{GroupNotification, Notification, NotifyState};

use self::dialogue::Prepared;
pub use self::dialogue::{ca_file, password_file};
use self::letter::{Kind, Letter, Mailbox, mailbox};
use self::postman::Order;
use self::queue::Queue;

mod dialogue;
mod letter;
mod postman;
mod queue;
mod relay;
#[cfg(test)]
mod tests;

/// The way to the mail thread, which ends when this is dropped and the letters
/// before are dealt with.
#[derive(Debug)]
pub struct Mailer {
    host_name: String,
    queue: Arc<Queue>,
    ended: Receiver<()>,
    memory: Mutex<Memory>,
}

/// What is changed by a reload and by each mail.
#[derive(Debug)]
struct Memory {
    /// `None`: no server or nobody to write to, so there is no mail.
    post: Option<Arc<Post>>,
    /// `no_email_faults`
    no_faults: bool,
    /// The state that was last mailed, by the name of the instance or group: the
    /// name outlives a reload.
    mailed: HashMap<(Kind, String), NotifyState>,
}

/// Everything that all letters share.
#[derive(Debug)]
struct Post {
    server: SmtpServer,
    /// The server as the log names it.
    server_name: String,
    hello_name: String,
    timeout: Interval,
    router_id: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    delivery: MailDelivery,
    prepared: OnceLock<Result<Prepared, String>>,
}

impl Post {
    fn server_name(&self) -> &str {
        &self.server_name
    }

    /// What the files say that the settings name. Blocks, the first time.
    fn prepared(&self) -> Result<&Prepared, String> {
        self.prepared
            .get_or_init(|| Prepared::new(&self.delivery, &self.server.host))
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl Mailer {
    /// Starts the thread. `host_name` is the name of this host.
    pub fn start(globals: &Globals, host_name: &str) -> io::Result<Self> {
        own_user();
        let queue = Arc::new(Queue::default());
        let (ending, ended) = mpsc::channel();
        let orders = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("mail".into())
            .spawn(move || {
                postman::work(&orders);
                // Nobody may be waiting.
                let _ = ending.send(());
            })?;
        let mailer = Self {
            host_name: host_name.to_owned(),
            queue,
            ended,
            memory: Mutex::new(Memory {
                post: None,
                no_faults: false,
                mailed: HashMap::new(),
            }),
        };
        mailer.configure(globals);
        Ok(mailer)
    }

    /// Replaces the settings; letters that wait keep theirs.
    pub fn configure(&self, globals: &Globals) {
        let post = post(globals, &self.host_name);
        if let Some(post) = &post {
            self.queue.give(Order::Prepare(Arc::clone(post)));
        }
        let mut memory = self.memory();
        memory.post = post;
        memory.no_faults = globals.no_email_faults;
    }

    /// Queues a mail about this change, if the instance wants mail, there is
    /// somebody to write to, and the state is not the one that was mailed last.
    /// Never blocks.
    pub fn send(&self, notification: &Notification) {
        let instance = &notification.instance;
        if instance.smtp_alert {
            let why = [
                notification.cause.to_string(),
                notification.evidence.to_string(),
            ];
            self.queue(Kind::Instance, &instance.name, notification.state, &why);
        }
    }

    /// The same for a sync group.
    pub fn send_group(&self, notification: &GroupNotification) {
        let group = &notification.group;
        if group.smtp_alert {
            // What was seen differs from member to member.
            let why = [notification.cause.to_string(), String::new()];
            self.queue(Kind::Group, &group.name, notification.state, &why);
        }
    }

    fn queue(&self, kind: Kind, name: &str, state: NotifyState, why: &[String; 2]) {
        let letter = {
            let mut memory = self.memory();
            if memory.no_faults && state == NotifyState::Fault {
                return;
            }
            let Some(post) = memory.post.clone() else {
                return;
            };
            let before = memory.mailed.insert((kind, name.to_owned()), state);
            if before == Some(state) {
                return;
            }
            Letter::new(post, kind, name, state, why.each_ref().map(String::as_str))
        };
        self.queue.give(Order::Deliver(letter));
    }

    /// Takes no more letters and waits until those that are queued have been dealt
    /// with, but no longer than `limit`; whether they have. For the end of the
    /// process: it blocks.
    pub fn finish(self, limit: Interval) -> bool {
        self.queue.close();
        self.ended.recv_timeout(limit.into()).is_ok()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What the settings mean; `None` if there can be no mail.
fn post(globals: &Globals, host_name: &str) -> Option<Arc<Post>> {
    let server = globals.smtp_server.clone()?;
    let to: Vec<_> = globals
        .notification_email
        .iter()
        .filter_map(|written| mailbox(written, host_name))
        .collect();
    if to.is_empty() {
        return None;
    }
    let from = match &globals.notification_email_from {
        Some(written) => mailbox(written, host_name)?,
        None => mailbox(&default_sender(host_name), host_name)?,
    };
    let or_host_name = |name: &Option<String>| name.as_deref().unwrap_or(host_name).to_owned();
    Some(Arc::new(Post {
        server_name: format!("[{}]:{}", server.host, server.port),
        server,
        hello_name: or_host_name(&globals.smtp_helo_name),
        timeout: globals.smtp_connect_timeout,
        router_id: or_host_name(&globals.router_id),
        from,
        to,
        delivery: globals.mail.clone(),
        prepared: OnceLock::new(),
    }))
}

/// Who sends mail if `notification_email_from` does not say it: the user that the
/// daemon runs as, at this host.
pub fn default_sender(host_name: &str) -> String {
    format!("{}@{host_name}", own_user())
}

/// Looked up once: later the list of users may be another file, which the worker must
/// not open.
fn own_user() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let user = nix::unistd::geteuid();
        match nix::unistd::User::from_uid(user) {
            Ok(Some(entry)) => entry.name,
            _ => user.to_string(),
        }
    })
}
