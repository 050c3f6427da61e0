//! The dialogue with the mail server: connection, encryption, log-in, sender,
//! recipients, message.
//!
//! Decides what counts as delivered, and what a failure says about the next try.
//! Does not decide when that is, nor how much a server may say (`relay`). The greeting is EHLO, where C keepalived says HELO.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;

use super::Post;
use super::letter::Letter;
use super::relay::{self, Exceeded, Relay};
use crate::config::model::{MailDelivery, Secret, SmtpPassword, SmtpServer, SmtpTls};

/// More than any password file or bundle of certificates.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[cfg(feature = "smtp-tls")]
type Tls = smtp::client::TlsParameters;
/// A program that was built without TLS has no such value.
#[cfg(not(feature = "smtp-tls"))]
type Tls = std::convert::Infallible;

/// What the settings need from files, read once.
pub(super) struct Prepared {
    tls: Option<Tls>,
    credentials: Option<Credentials>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of it is for eyes.
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Prepared {
    /// Reads the files that the settings name. An error says which and why.
    pub fn new(delivery: &MailDelivery, host: &str) -> Result<Self, String> {
        let tls = match delivery.tls {
            SmtpTls::Off => None,
            _ => Some(tls(delivery, host)?),
        };
        let password = match &delivery.password {
            None => None,
            Some(SmtpPassword::Written(secret)) => Some(secret.clone()),
            Some(SmtpPassword::File(path)) => Some(password_file(path)?),
        };
        let credentials = match (&delivery.user, password) {
            (Some(user), Some(password)) => {
                let password = String::from_utf8_lossy(password.bytes()).into_owned();
                Some(Credentials::new(user.clone(), password))
            }
            _ => None,
        };
        Ok(Self { tls, credentials })
    }
}

/// Why a letter was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server answered with this code; no letter will be taken in another
    /// way than this one.
    Refused {
        /// The command that it answered.
        command: &'static str,
        /// Three digits.
        code: String,
        /// It may say otherwise later.
        is_transient: bool,
    },
    /// A step took too long.
    TimedOut,
    /// No connection, or it broke, or it is not as private as it must be; and why.
    Broken(String),
}

impl Failure {
    fn of(command: &'static str, error: &smtp::Error) -> Self {
        match error.status() {
            Some(code) => Self::Refused {
                command,
                code: code.to_string(),
                is_transient: error.is_transient(),
            },
            None if error.is_timeout() || has_run_out(error) => Self::TimedOut,
            None => Self::Broken(causes(error)),
        }
    }

    /// A server that says too much, or takes too long for all of it, is told of
    /// as such, whatever the library makes of it.
    fn through(self, relay: &Relay) -> Self {
        match relay.exceeded() {
            None => self,
            Some(Exceeded::Time) => {
                let limit_s = relay::DIALOGUE_LIMIT.as_secs();
                Self::Broken(format!("The dialogue took more than {limit_s} s"))
            }
            Some(Exceeded::Bytes) => {
                let limit_kib = relay::SAID_BYTES_MAX / 1024;
                Self::Broken(format!("The server said more than {limit_kib} KiB"))
            }
        }
    }

    /// Whether there is still a dialogue after it.
    fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether another letter would meet the same at this moment.
    pub fn is_of_server(&self) -> bool {
        !matches!(self, Self::Refused { command, .. } if *command != "HELO" && *command != "AUTH")
    }

    /// Whether the same letter may be delivered later.
    pub fn may_pass(&self) -> bool {
        !matches!(
            self,
            Self::Refused {
                is_transient: false,
                ..
            }
        ) || self.is_of_server()
    }

    /// The line of the log, in C keepalived's words where it has some.
    pub fn describe(&self, server: &str) -> String {
        match self {
            Self::Refused { command, code, .. } => format!(
                "Error processing {command} cmd on SMTP server {server}. SMTP status code = {code}"
            ),
            Self::TimedOut => format!("Timeout connecting SMTP server {server}."),
            Self::Broken(why) => format!("SMTP connection ERROR to {server}. {why}"),
        }
    }
}

/// Delivers one letter to those who may get it.
pub(super) fn deliver(letter: &Letter) -> Result<(), Failure> {
    let post = &letter.post;
    let prepared = post.prepared().map_err(Failure::Broken)?;
    let (mut connection, relay) = connect(post, prepared)?;
    tracing::debug!("Remote SMTP server {} connected.", post.server_name());
    let result = transfer(&mut connection, letter);
    if result.as_ref().err().is_none_or(Failure::is_answer) {
        // The letter is delivered or not; what the server says to this changes nothing.
        let _ = connection.quit();
    }
    result.map_err(|failure| failure.through(&relay))
}

/// Connects to the first address of the server that answers.
#[expect(clippy::disallowed_methods, reason = "the mail thread may wait")]
fn connect(post: &Post, prepared: &Prepared) -> Result<(SmtpConnection, Relay), Failure> {
    let SmtpServer { host, port } = &post.server;
    let addresses = (host.as_str(), *port)
        .to_socket_addrs()
        .map_err(|error| Failure::Broken(error.to_string()))?;
    let mut failure = Failure::Broken("its name has no address".to_owned());
    let timeout = Some(Duration::from(post.timeout)).filter(|timeout| !timeout.is_zero());
    for address in addresses {
        let relay = match Relay::new(address, timeout, relay::DIALOGUE_LIMIT) {
            Ok(relay) => relay,
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                failure = Failure::TimedOut;
                continue;
            }
            Err(error) => {
                failure = Failure::Broken(error.to_string());
                continue;
            }
        };
        match greet(post, prepared, relay.address, timeout) {
            Ok(connection) => return Ok((connection, relay)),
            Err(why) => failure = why.through(&relay),
        }
    }
    Err(failure)
}

/// A connection that is ready for a letter.
fn greet(
    post: &Post,
    prepared: &Prepared,
    address: SocketAddr,
    timeout: Option<Duration>,
) -> Result<SmtpConnection, Failure> {
    let hello = ClientId::Domain(post.hello_name.clone());
    let mut connection = open(post, prepared, address, timeout, &hello)
        .map_err(|error| Failure::of("HELO", &error))?;
    #[cfg(feature = "smtp-tls")]
    if let Some(tls) = &prepared.tls {
        let wanted = match post.delivery.tls {
            SmtpTls::Off | SmtpTls::Tls => false,
            SmtpTls::StartTls => true,
            SmtpTls::Opportunistic => connection.can_starttls(),
        };
        if wanted {
            connection
                .starttls(tls, &hello)
                .map_err(|error| Failure::of("STARTTLS", &error))?;
        }
    }
    if let Some(credentials) = &prepared.credentials {
        if !connection.is_encrypted() {
            let why = "No log-in without encryption".to_owned();
            return Err(Failure::Broken(why));
        }
        connection
            .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
            .map_err(|error| Failure::of("AUTH", &error))?;
    }
    Ok(connection)
}

#[cfg(feature = "smtp-tls")]
fn open(
    post: &Post,
    prepared: &Prepared,
    address: SocketAddr,
    timeout: Option<Duration>,
    hello: &ClientId,
) -> Result<SmtpConnection, smtp::Error> {
    let from_the_start = post.delivery.tls == SmtpTls::Tls;
    let tls = prepared.tls.as_ref().filter(|_| from_the_start);
    SmtpConnection::connect(address, timeout, hello, tls, None)
}

#[cfg(not(feature = "smtp-tls"))]
fn open(
    _: &Post,
    prepared: &Prepared,
    address: SocketAddr,
    timeout: Option<Duration>,
    hello: &ClientId,
) -> Result<SmtpConnection, smtp::Error> {
    match prepared.tls {
        None => SmtpConnection::connect(address, timeout, hello, None, None),
        Some(never) => match never {},
    }
}

/// Sender, recipients, message. A recipient that the server refuses for good
/// does not keep the mail from the others.
fn transfer(connection: &mut SmtpConnection, letter: &Letter) -> Result<(), Failure> {
    let post = &letter.post;
    let from = Mail::new(Some(post.from.address.clone()), Vec::new());
    connection
        .command(from)
        .map_err(|error| Failure::of("MAIL", &error))?;
    let mut refused = Vec::new();
    for to in &post.to {
        let asked = connection.command(Rcpt::new(to.address.clone(), Vec::new()));
        match asked.map_err(|error| Failure::of("RCPT", &error)) {
            Ok(_) => {}
            Err(failure) if failure.may_pass() => return Err(failure),
            Err(failure) => refused.push((to, failure)),
        }
    }
    if let Some((_, failure)) = refused.first()
        && refused.len() == post.to.len()
    {
        return Err(failure.clone());
    }
    for (to, failure) in &refused {
        let line = failure.describe(post.server_name());
        tracing::info!("{line}: {} gets no mail", to.address);
    }
    connection
        .command(Data)
        .map_err(|error| Failure::of("DATA", &error))?;
    connection
        .message(letter.message().as_bytes())
        .map_err(|error| Failure::of("BODY", &error))?;
    Ok(())
}

/// Whom to believe that it is `host`: those whom this machine believes, or the
/// authorities of `ca_file` alone.
#[cfg(feature = "smtp-tls")]
fn tls(delivery: &MailDelivery, host: &str) -> Result<Tls, String> {
    use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};

    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &delivery.ca_file {
        let text = match &delivery.ca_text {
            Some(text) => text.clone(),
            None => ca_file(path)?,
        };
        // The library takes a text without any for an empty list.
        let begin = b"-----BEGIN CERTIFICATE-----";
        let certificate = text
            .windows(begin.len())
            .any(|window| window == begin)
            .then(|| Certificate::from_pem(&text).ok())
            .flatten()
            .ok_or_else(|| format!("smtp_ca_file '{path}' has no certificate"))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    builder
        .build()
        .map_err(|error| format!("No TLS: {}", causes(&error)))
}

#[cfg(not(feature = "smtp-tls"))]
fn tls(_: &MailDelivery, _: &str) -> Result<Tls, String> {
    Err("No TLS: this program was built without the feature smtp-tls".to_owned())
}

/// What is in the file with the certificates of those who are believed.
///
/// # Errors
/// It cannot be read; the text is for the log.
pub fn ca_file(path: &str) -> Result<Vec<u8>, String> {
    read(path).map_err(|why| format!("smtp_ca_file '{path}' {why}"))
}

/// The password on the first line of a file.
///
/// # Errors
/// There is none that can be read; the text is for the log.
pub fn password_file(path: &str) -> Result<Secret, String> {
    let about = |why| format!("smtp_password_file '{path}' {why}");
    // Wiped when it goes.
    let bytes = Secret::from(read(path).map_err(about)?);
    let line = bytes.bytes().split(|&byte| byte == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [] => Err(about("is empty".to_owned())),
        _ => Ok(Secret::from(line.to_vec())),
    }
}

/// The bytes of a regular file of reasonable size.
fn read(path: &str) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    // Without O_NONBLOCK a pipe of that name would hold up all mail.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok(bytes)
}

/// Whether a read or a write took longer than the socket allows, which the
/// system calls "would block".
fn has_run_out(error: &dyn std::error::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let io = inner.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::WouldBlock) {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// An error with what caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
