//! Mail about changes of state (specification E.7), on the slow thread.
//!
//! Decides what a mail says, whether one is due, and that mail never holds up
//! the daemon: letters wait in a bounded queue, what does not fit is dropped and
//! counted, a letter that cannot be delivered is logged and not tried again.
//! The greeting is EHLO, where C keepalived says HELO.

use std::collections::HashMap;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::clock;
use crate::config::model::{Globals, SmtpServer};
use crate::time::Interval;
use crate::vrrp::action::{GroupNotification, Notification, NotifyState};

/// How many letters may wait.
const QUEUE_LETTERS_MAX: usize = 64;

/// The way to the slow thread, which ends when this is dropped and the letters
/// before are dealt with.
#[derive(Debug)]
pub struct Mailer {
    host_name: String,
    queue: SyncSender<Letter>,
    ended: Receiver<()>,
    /// Letters that found the queue full and were not told of yet.
    dropped: AtomicU64,
    memory: Mutex<Memory>,
}

/// What is changed by a reload and by each mail.
#[derive(Debug)]
struct Memory {
    /// `None`: no server or nobody to write to, so there is no mail.
    post: Option<Arc<Post>>,
    /// The state that was last mailed, by the name of the instance or group: the
    /// name outlives a reload.
    mailed: HashMap<(Kind, String), NotifyState>,
}

/// What a letter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Instance,
    Group,
}

/// Everything that all letters share.
#[derive(Debug)]
struct Post {
    server: SmtpServer,
    hello_name: String,
    timeout: Interval,
    router_id: String,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// An address as written, and what of it the mail server gets.
#[derive(Debug)]
struct Mailbox {
    written: String,
    address: Address,
}

/// One mail to send.
#[derive(Debug)]
struct Letter {
    post: Arc<Post>,
    subject: String,
    body: &'static str,
}

impl Mailer {
    /// Starts the thread. `host_name` is the name of this host.
    pub fn start(globals: &Globals, host_name: &str) -> io::Result<Self> {
        let (queue, letters) = mpsc::sync_channel::<Letter>(QUEUE_LETTERS_MAX);
        let (ending, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("mail".into())
            .spawn(move || {
                for letter in letters {
                    deliver(&letter);
                }
                // Nobody may be waiting.
                let _ = ending.send(());
            })?;
        Ok(Self {
            host_name: host_name.to_owned(),
            queue,
            ended,
            dropped: AtomicU64::new(0),
            memory: Mutex::new(Memory {
                post: post(globals, host_name),
                mailed: HashMap::new(),
            }),
        })
    }

    /// Replaces the settings; letters that wait keep theirs.
    pub fn configure(&self, globals: &Globals) {
        self.memory().post = post(globals, &self.host_name);
    }

    /// Queues a mail about this change, if the instance wants mail, there is
    /// somebody to write to, and the state is not the one that was mailed last.
    /// Never blocks.
    pub fn send(&self, notification: &Notification) {
        let instance = &notification.instance;
        if instance.smtp_alert {
            self.queue(Kind::Instance, &instance.name, notification.state);
        }
    }

    /// The same for a sync group.
    pub fn send_group(&self, notification: &GroupNotification) {
        let group = &notification.group;
        if group.smtp_alert {
            self.queue(Kind::Group, &group.name, notification.state);
        }
    }

    fn queue(&self, kind: Kind, name: &str, state: NotifyState) {
        let letter = {
            let mut memory = self.memory();
            let Some(post) = memory.post.clone() else {
                return;
            };
            let before = memory.mailed.insert((kind, name.to_owned()), state);
            if before == Some(state) {
                return;
            }
            letter(post, kind, name, state)
        };
        if self.queue.try_send(letter).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!("{dropped} SMTP alerts were dropped: the queue was full");
        }
    }

    /// Takes no more letters and waits until those that are queued have been dealt
    /// with, but no longer than `limit`; whether they have. For the end of the
    /// process: it blocks.
    pub fn finish(self, limit: Interval) -> bool {
        drop(self.queue);
        self.ended.recv_timeout(limit.into()).is_ok()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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
        server,
        hello_name: or_host_name(&globals.smtp_helo_name),
        timeout: globals.smtp_connect_timeout,
        router_id: or_host_name(&globals.router_id),
        from,
        to,
    }))
}

/// Who sends mail if `notification_email_from` does not say it: the user that the
/// daemon runs as, at this host.
pub fn default_sender(host_name: &str) -> String {
    let user = nix::unistd::geteuid();
    let name = match nix::unistd::User::from_uid(user) {
        Ok(Some(entry)) => entry.name,
        _ => user.to_string(),
    };
    format!("{name}@{host_name}")
}

/// Reads `ADDRESS` or `NAME <ADDRESS>`. A user without a host is one of this
/// host. `None`, with a warning, if that is no address.
fn mailbox(written: &str, host_name: &str) -> Option<Mailbox> {
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

/// The texts of specification E.7.
fn letter(post: Arc<Post>, kind: Kind, name: &str, state: NotifyState) -> Letter {
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
    Letter {
        post,
        subject: one_line(&subject),
        body,
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

/// The text without line ends, which would begin another header.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

/// The message: headers in C keepalived's order, a blank line, the body.
fn message(letter: &Letter) -> String {
    let to: Vec<_> = letter
        .post
        .to
        .iter()
        .map(|to| to.written.as_str())
        .collect();
    format!(
        "Date: {}\r\nFrom: {}\r\nSubject: {}\r\nX-Mailer: Keepalived\r\nTo: {}\r\n\r\n{}\r\n",
        clock::mail_date(),
        letter.post.from.written,
        letter.subject,
        to.join(",\r\n "),
        letter.body
    )
}

/// Delivers one letter, and logs how it went.
fn deliver(letter: &Letter) {
    let SmtpServer { host, port } = &letter.post.server;
    let server = format!("[{host}]:{port}");
    match dialogue(letter, &server) {
        Ok(()) => tracing::debug!("SMTP alert successfully sent."),
        Err(Failure::Refused { command, code }) => tracing::info!(
            "Error processing {command} cmd on SMTP server {server}. SMTP status code = {code}"
        ),
        Err(Failure::TimedOut) => tracing::info!("Timeout connecting SMTP server {server}."),
        Err(Failure::Broken) => tracing::info!("SMTP connection ERROR to {server}."),
    }
}

/// Why a letter was not delivered.
enum Failure {
    /// The server answered with this code.
    Refused { command: &'static str, code: String },
    /// A step took too long.
    TimedOut,
    /// No connection, or it broke, or the name of the server is unknown.
    Broken,
}

impl Failure {
    fn of(command: &'static str, error: &smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::Refused {
                command,
                code: code.to_string(),
            },
            None if error.is_timeout() => Self::TimedOut,
            None => Self::Broken,
        }
    }
}

/// The whole dialogue with the mail server.
fn dialogue(letter: &Letter, server: &str) -> Result<(), Failure> {
    let post = &letter.post;
    let mut connection = connect(post)?;
    tracing::debug!("Remote SMTP server {server} connected.");
    let result = transfer(&mut connection, letter);
    // The letter is delivered or not; what the server says to this changes nothing.
    let _ = connection.quit();
    result
}

/// Connects to the first address of the server that answers.
#[expect(clippy::disallowed_methods, reason = "the slow thread may wait")]
fn connect(post: &Post) -> Result<SmtpConnection, Failure> {
    let SmtpServer { host, port } = &post.server;
    let addresses = (host.as_str(), *port)
        .to_socket_addrs()
        .map_err(|_| Failure::Broken)?;
    let timeout = Some(Duration::from(post.timeout)).filter(|timeout| !timeout.is_zero());
    let hello = ClientId::Domain(post.hello_name.clone());
    let mut failure = Failure::Broken;
    for address in addresses {
        match SmtpConnection::connect(address, timeout, &hello, None, None) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = Failure::of("HELO", &error),
        }
    }
    Err(failure)
}

/// Sender, recipients, message.
fn transfer(connection: &mut SmtpConnection, letter: &Letter) -> Result<(), Failure> {
    let post = &letter.post;
    let from = Mail::new(Some(post.from.address.clone()), Vec::new());
    connection
        .command(from)
        .map_err(|error| Failure::of("MAIL", &error))?;
    for to in &post.to {
        connection
            .command(Rcpt::new(to.address.clone(), Vec::new()))
            .map_err(|error| Failure::of("RCPT", &error))?;
    }
    connection
        .command(Data)
        .map_err(|error| Failure::of("DATA", &error))?;
    connection
        .message(message(letter).as_bytes())
        .map_err(|error| Failure::of("BODY", &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::config::model::{InitialState, Instance, Notify, SyncGroup};
    use crate::ids::{InstanceId, Priority, Vrid};
    use crate::system::testing::{in_namespace, ip};
    use crate::vrrp::action::Cause;

    fn globals(port: u16) -> Globals {
        Globals {
            router_id: Some("lb1".into()),
            notification_email: vec!["root@localhost".into(), "Ops Team <ops@example.com>".into()],
            notification_email_from: Some("Keeper <ka@example.com>".into()),
            smtp_server: Some(SmtpServer {
                host: "127.0.0.1".into(),
                port,
            }),
            smtp_connect_timeout: Interval::from_secs(5),
            ..Globals::default()
        }
    }

    fn notification(name: &str, state: NotifyState, smtp_alert: bool) -> Notification {
        Notification {
            id: InstanceId(1),
            instance: Arc::new(Instance {
                smtp_alert,
                ..Instance::new(name, "eth0", Vrid::new(51).expect("not 0"))
            }),
            state,
            previous: None,
            cause: Cause::Started,
            priority: Priority::DEFAULT,
        }
    }

    /// Serves `connections` mails and gives every line that was said; refuses the
    /// command that begins with `refused`.
    fn serve(listener: &TcpListener, connections: usize, refused: &str) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a reader")).lines();
            stream.write_all(b"220 ready\r\n").expect("greeted");
            let mut in_message = false;
            while let Some(Ok(line)) = lines.next() {
                said.push(line.clone());
                let answer = match line.as_str() {
                    "." => "250 taken",
                    _ if in_message => continue,
                    "DATA" => "354 go on",
                    "QUIT" => "221 bye",
                    _ if !refused.is_empty() && line.starts_with(refused) => "550 no",
                    _ => "250 fine",
                };
                in_message = line == "DATA";
                stream
                    .write_all(format!("{answer}\r\n").as_bytes())
                    .expect("answered");
                if line == "QUIT" {
                    break;
                }
            }
        }
        said
    }

    fn listener() -> (TcpListener, u16) {
        ip("link set lo up");
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        (listener, port)
    }

    #[test]
    fn a_mail_has_the_headers_and_texts_of_keepalived() {
        in_namespace(|| {
            let (listener, port) = listener();
            let mailer = Mailer::start(&globals(port), "node-a").expect("started");
            mailer.send(&notification("VI_1", NotifyState::Master, true));
            let said = serve(&listener, 1, "");
            let date = said.get(5).expect("a date");
            assert!(date.starts_with("Date: "), "{date}");
            let expected = [
                "EHLO node-a",
                "MAIL FROM:<ka@example.com>",
                "RCPT TO:<root@localhost>",
                "RCPT TO:<ops@example.com>",
                "DATA",
                date,
                "From: Keeper <ka@example.com>",
                "Subject: [lb1] VRRP Instance VI_1 - Entering MASTER state",
                "X-Mailer: Keepalived",
                "To: root@localhost,",
                " Ops Team <ops@example.com>",
                "",
                "=> VRRP Instance is now owning VRRP VIPs <=",
                "",
                ".",
                "QUIT",
            ];
            assert_eq!(said, expected);
            assert!(mailer.finish(Interval::from_secs(5)));
        });
    }

    #[test]
    fn a_group_is_told_of_apart_from_an_instance_of_the_same_name() {
        in_namespace(|| {
            let (listener, port) = listener();
            let mailer = Mailer::start(&globals(port), "node-a").expect("started");
            let group = |smtp_alert, state| GroupNotification {
                group: Arc::new(SyncGroup {
                    name: "VI_1".to_owned(),
                    instances: vec!["VI_1".to_owned()],
                    initial_state: InitialState::Backup,
                    track_interfaces: Vec::new(),
                    track_scripts: Vec::new(),
                    track_files: Vec::new(),
                    track_processes: Vec::new(),
                    track_bfds: Vec::new(),
                    tracking_weight: false,
                    notify: Notify::default(),
                    smtp_alert,
                    notify_priority_changes: None,
                }),
                state,
                previous: None,
                cause: Cause::Started,
            };
            mailer.send(&notification("VI_1", NotifyState::Fault, true));
            mailer.send_group(&group(false, NotifyState::Backup));
            mailer.send_group(&group(true, NotifyState::Fault));
            mailer.send_group(&group(true, NotifyState::Fault));
            mailer.send_group(&group(true, NotifyState::Stop));
            let said = serve(&listener, 3, "");
            let told = |start| said.iter().filter(move |line| line.starts_with(start));
            let subjects: Vec<_> = told("Subject: ").collect();
            assert_eq!(
                subjects,
                [
                    "Subject: [lb1] VRRP Instance VI_1 - Entering FAULT state",
                    "Subject: [lb1] VRRP Group VI_1 - Entering FAULT state",
                    "Subject: [lb1] VRRP Group VI_1 - Stopping",
                ]
            );
            let bodies: Vec<_> = told("=> All").collect();
            assert_eq!(
                bodies,
                [
                    "=> All VRRP group instances are now in FAULT state <=",
                    "=> All VRRP group instances are now stopping <=",
                ]
            );
            assert!(mailer.finish(Interval::from_secs(5)));
        });
    }

    #[test]
    fn a_state_is_mailed_once_and_only_where_mail_is_wanted() {
        in_namespace(|| {
            let (listener, port) = listener();
            let mailer = Mailer::start(&globals(port), "node-a").expect("started");
            mailer.send(&notification("silent", NotifyState::Master, false));
            mailer.send(&notification("VI_1", NotifyState::Backup, true));
            mailer.send(&notification("VI_1", NotifyState::Backup, true));
            mailer.send(&notification("VI_2", NotifyState::Backup, true));
            let mut changed = globals(port);
            changed.router_id = None;
            mailer.configure(&changed);
            mailer.send(&notification("VI_1", NotifyState::Backup, true));
            mailer.send(&notification("VI_1", NotifyState::Stop, true));
            let said = serve(&listener, 3, "");
            let subjects: Vec<_> = said
                .iter()
                .filter_map(|line| line.strip_prefix("Subject: "))
                .collect();
            assert_eq!(
                subjects,
                [
                    "[lb1] VRRP Instance VI_1 - Entering BACKUP state",
                    "[lb1] VRRP Instance VI_2 - Entering BACKUP state",
                    "[node-a] VRRP Instance VI_1 - Stopping",
                ]
            );
            assert!(mailer.finish(Interval::from_secs(5)));
            listener.set_nonblocking(true).expect("non-blocking");
            assert!(listener.accept().is_err(), "nothing else was mailed");
        });
    }

    #[test]
    fn a_refusal_ends_the_dialogue_politely_and_the_next_mail_is_sent() {
        in_namespace(|| {
            let (listener, port) = listener();
            let mailer = Mailer::start(&globals(port), "node-a").expect("started");
            mailer.send(&notification("VI_1", NotifyState::Master, true));
            let said = serve(&listener, 1, "RCPT");
            assert_eq!(
                said.get(2..),
                Some(&["RCPT TO:<root@localhost>".to_owned(), "QUIT".to_owned()][..])
            );
            mailer.send(&notification("VI_1", NotifyState::Fault, true));
            assert!(serve(&listener, 1, "").contains(&".".to_owned()));
            assert!(mailer.finish(Interval::from_secs(5)));
        });
    }

    #[test]
    fn a_dead_server_neither_blocks_nor_lets_the_queue_grow() {
        in_namespace(|| {
            let (listener, port) = listener();
            let mailer = Mailer::start(&globals(port), "node-a").expect("started");
            mailer.send(&notification("VI_0", NotifyState::Master, true));
            // The first letter is on its way, and the server never says a word.
            let _silent = listener.accept().expect("a connection");
            let before = clock::now();
            for number in 1..100 {
                let name = format!("VI_{number}");
                mailer.send(&notification(&name, NotifyState::Master, true));
            }
            assert!(clock::now().since(before) < Interval::from_secs(1));
            assert_eq!(mailer.dropped.load(Ordering::Relaxed), 99 - 64);
            assert!(!mailer.finish(Interval::from_ms(10)));
        });
    }

    #[test]
    fn without_a_server_or_recipients_there_is_no_mail() {
        let mut nobody = globals(25);
        nobody.notification_email.clear();
        assert!(post(&nobody, "node-a").is_none());
        let mut nowhere = globals(25);
        nowhere.smtp_server = None;
        assert!(post(&nowhere, "node-a").is_none());
    }

    #[test]
    fn addresses_are_read_with_and_without_a_name() {
        let address = |written| {
            let found = mailbox(written, "node-a").expect("an address");
            (found.written, found.address.to_string())
        };
        let own = |written: &str, address: &str| (written.to_owned(), address.to_owned());
        assert_eq!(address("a@b.c"), own("a@b.c", "a@b.c"));
        assert_eq!(
            address("\"X, Y\" <a@b.c>"),
            own("\"X, Y\" <a@b.c>", "a@b.c")
        );
        assert_eq!(address("root"), own("root@node-a", "root@node-a"));
        assert_eq!(
            address("X\r\nBcc: y <a@b.c>"),
            own("X  Bcc: y <a@b.c>", "a@b.c")
        );
        for wrong in ["", "a b@c", "a@b.c\r\nRCPT TO:x@y.z", "<>"] {
            assert!(mailbox(wrong, "node-a").is_none(), "{wrong:?}");
        }
    }
}
