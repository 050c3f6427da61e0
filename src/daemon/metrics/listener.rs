//! The socket on which metrics are asked for.
//!
//! Decides how it is made and what may be replaced: a socket of our own that nobody
//! listens on any more.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::model::MetricsListen;
use crate::daemon::status::socket::{MODE, StatusSocket};

/// How many clients may wait to be taken on.
const BACKLOG: i32 = 128;

/// What the kernel holds for a client that does not read, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    /// Its place in the file system.
    place: Option<StatusSocket>,
}

impl Listener {
    /// Listens there.
    ///
    /// # Errors
    /// Somebody else does, or the kernel refuses.
    pub fn open(listen: &MetricsListen) -> io::Result<Self> {
        match listen {
            MetricsListen::Unix(path) => Self::at(Path::new(path)),
            MetricsListen::Loopback(address) => Self::on(*address),
        }
    }

    fn at(path: &Path) -> io::Result<Self> {
        if is_listened_on(path)? {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let place = StatusSocket::bind_for(path, MODE).map_err(io::Error::other)?;
        let socket = Socket::from(place.for_worker()?);
        Ok(Self {
            socket,
            place: Some(place),
        })
    }

    fn on(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Connections of a worker before may not be forgotten yet.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            socket,
            place: None,
        })
    }

    /// The next client that waits.
    pub fn accept(&self) -> io::Result<Socket> {
        let (client, _) = self.socket.accept()?;
        client.set_nonblocking(true)?;
        client.set_send_buffer_size(SEND_BUFFER)?;
        Ok(client)
    }
}

/// No lock says whether who made it still lives: that it listens does.
fn is_listened_on(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One whose queue is full would be waited for.
    socket.set_nonblocking(true)?;
    let connected = socket.connect(&SockAddr::unix(path)?);
    let kind = connected.err().map(|error| error.kind());
    let is_free = matches!(
        kind,
        Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
    );
    Ok(!is_free)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_somebody_listens_on_is_left_alone_and_one_of_the_dead_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics");
        let listen = MetricsListen::Unix(path.display().to_string());
        let first = Listener::open(&listen).unwrap();
        let refused = Listener::open(&listen).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists(), "it is taken away");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Listener::open(&listen).unwrap();
        std::fs::write(&path, "a file of somebody").unwrap();
        assert!(Listener::open(&listen).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"a file of somebody");
    }
}
