//! What stands between the mail library and a server that is not to be trusted.
//!
//! The library reads a line of any length, and each byte of it may take as long as
//! a step: a hostile server could fill the memory or hold up all mail for ever.
//! So it is connected to this relay, which passes on what both say. Decides how
//! much a server may say and how long a dialogue may last; knows nothing of what
//! is said.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::time::{TimeVal, TimeValLike};

use crate::system::clock;
use crate::time::{Instant, Interval};

/// More than any server says in one dialogue, certificates included.
pub(super) const SAID_BYTES_MAX: usize = 1 << 20;
/// The time of a whole dialogue.
pub(super) const DIALOGUE_LIMIT: Interval = Interval::from_secs(300);

/// A connection to a server through a relay, which ends with the dialogue.
#[derive(Debug)]
pub(super) struct Relay {
    /// Where the library has to connect to, once.
    pub address: SocketAddr,
    exceeded: Arc<OnceLock<Exceeded>>,
}

/// Why a relay ended a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// `DIALOGUE_LIMIT`
    Time,
    /// `SAID_BYTES_MAX`
    Bytes,
}

impl Relay {
    /// Connects to the server within `timeout`; a dialogue may last `limit`. A
    /// machine whose loopback interface is down has no relay: then `address` is
    /// the server's own.
    pub fn new(server: SocketAddr, timeout: Option<Duration>, limit: Interval) -> io::Result<Self> {
        let exceeded = Arc::new(OnceLock::new());
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)) else {
            return Ok(Self {
                address: server,
                exceeded,
            });
        };
        let address = listener.local_addr()?;
        let patience = TimeVal::seconds(i64::try_from(limit.as_secs()).unwrap_or(i64::MAX));
        setsockopt(&listener, ReceiveTimeout, &patience)?;
        let to_server = match timeout {
            Some(timeout) => TcpStream::connect_timeout(&server, timeout)?,
            None => TcpStream::connect(server)?,
        };
        let until = clock::now() + limit;
        let told = Arc::clone(&exceeded);
        std::thread::Builder::new()
            .name("mail relay".into())
            .spawn(move || {
                // Whatever goes wrong here, the library sees that its connection ends.
                let _ = relay(listener, &to_server, until, &told);
            })?;
        Ok(Self { address, exceeded })
    }

    /// Whether and why the dialogue was ended.
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded.get().copied()
    }
}

/// Passes on both ways until one side ends or says too much.
fn relay(
    listener: TcpListener,
    server: &TcpStream,
    until: Instant,
    exceeded: &OnceLock<Exceeded>,
) -> io::Result<()> {
    let (library, _) = listener.accept()?;
    // Nobody else has any business here.
    drop(listener);
    // A limit of nothing would be none.
    let limit = until.since(clock::now()).max(Interval::from_ms(1)).into();
    library.set_write_timeout(Some(limit))?;
    server.set_write_timeout(Some(limit))?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // What the library says is our own and needs no limit.
            let _ = io::copy(&mut &library, &mut &*server);
            end(&library, server);
        });
        let said = pass_on(server, &library, until);
        if let Ok(Some(why)) = said {
            let _ = exceeded.set(why);
        }
        end(&library, server);
        said.map(drop)
    })
}

/// Passes on what the server says; whether it was too much.
fn pass_on(
    mut server: &TcpStream,
    mut library: &TcpStream,
    until: Instant,
) -> io::Result<Option<Exceeded>> {
    let mut buffer = [0; 4096];
    let mut left = SAID_BYTES_MAX;
    loop {
        let time = until.since(clock::now());
        if time.is_zero() {
            return Ok(Some(Exceeded::Time));
        }
        server.set_read_timeout(Some(time.into()))?;
        let count = match server.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        left = left.saturating_sub(count);
        if left == 0 {
            return Ok(Some(Exceeded::Bytes));
        }
        library.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

/// Wakes everybody who waits for one of them.
fn end(library: &TcpStream, server: &TcpStream) {
    // One that is closed already cannot be closed again.
    let _ = library.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::testing::{in_namespace, ip};

    /// A server that does `serve` with its only client, and what the library reads
    /// of it until the end, and why that came.
    fn read_all(
        limit: Interval,
        serve: impl FnOnce(TcpStream) + Send,
    ) -> (Vec<u8>, Option<Exceeded>) {
        ip("link set lo up");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        let server = listener.local_addr().expect("an address");
        std::thread::scope(|scope| {
            scope.spawn(move || serve(listener.accept().expect("a client").0));
            let relay = Relay::new(server, None, limit).expect("a relay");
            assert_ne!(relay.address, server);
            let mut library = TcpStream::connect(relay.address).expect("connected");
            library.write_all(b"hello").expect("written");
            let mut read = Vec::new();
            let _ = library.read_to_end(&mut read);
            (read, relay.exceeded())
        })
    }

    #[test]
    fn both_sides_hear_each_other_until_one_ends() {
        in_namespace(|| {
            let (read, exceeded) = read_all(DIALOGUE_LIMIT, |mut client| {
                let mut heard = [0; 5];
                client.read_exact(&mut heard).expect("heard");
                assert_eq!(&heard, b"hello");
                client.write_all(b"good-bye").expect("answered");
            });
            assert_eq!((read.as_slice(), exceeded), (&b"good-bye"[..], None));
        });
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        in_namespace(|| {
            let (read, exceeded) = read_all(DIALOGUE_LIMIT, |mut client| {
                while client.write_all(&[b'x'; 4096]).is_ok() {}
            });
            assert_eq!(exceeded, Some(Exceeded::Bytes));
            assert!(!read.is_empty() && read.len() < SAID_BYTES_MAX);
        });
    }

    #[test]
    fn a_dialogue_without_an_end_is_cut() {
        in_namespace(|| {
            let (read, exceeded) = read_all(Interval::from_ms(200), |mut client| {
                client.write_all(b"2").expect("written");
                // Until the relay hangs up.
                let _ = io::copy(&mut client, &mut io::sink());
            });
            // On a busy machine nothing may have been passed on.
            assert!(read.len() <= 1, "{read:?}");
            assert_eq!(exceeded, Some(Exceeded::Time));
        });
    }
}
