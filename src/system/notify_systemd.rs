//! Tells systemd how far the daemon is (sd_notify(3), specification E.11).
//!
//! Decides the form of the messages; when each is due is the supervisor's matter.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::clock;
use crate::time::Interval;

/// The name of the environment variable. Scripts must not inherit it.
pub const VARIABLE: &str = "NOTIFY_SOCKET";

/// The environment variables of the watchdog (sd_watchdog_enabled(3)): its time in
/// microseconds, and the process that it watches.
pub const WATCHDOG: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];

/// The way to the service manager; without one every message goes nowhere.
#[derive(Debug, Default)]
pub struct ServiceManager {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Interval>,
}

/// Whether the watchdog watches this process: `watched` is the value of
/// `WATCHDOG_PID`; without one it does.
pub fn is_for_us(watched: Option<&str>) -> bool {
    watched.is_none_or(|process| process.parse() == Ok(std::process::id()))
}

impl ServiceManager {
    /// Makes ready to speak to `socket`, the value of `NOTIFY_SOCKET`: a path, or an
    /// abstract name after `@`. `None` means that nobody listens. `watchdog_us`: the
    /// value of `WATCHDOG_USEC`.
    pub fn new(socket: Option<&OsStr>, watchdog_us: Option<&str>) -> io::Result<Self> {
        let Some(socket) = socket.filter(|socket| !socket.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        let sender = UnixDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        Ok(Self {
            to: Some((sender, address)),
            watchdog: watchdog_us
                .and_then(|text| text.parse().ok())
                .filter(|us| *us > 0)
                .map(Interval::from_us),
        })
    }

    /// How long systemd waits for [`ServiceManager::alive`]; `None`: it does not.
    pub fn watchdog(&self) -> Option<Interval> {
        self.watchdog
    }

    /// All is well (`WatchdogSec=`).
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// Every part that the configuration asks for is ready (again). `main_pid`
    /// is the process that systemd shall watch.
    pub fn ready(&self, main_pid: u32) -> io::Result<()> {
        self.send(&format!("READY=1\nMAINPID={main_pid}"))
    }

    /// A reload begins; `ready` ends it.
    pub fn reloading(&self) -> io::Result<()> {
        let now_us = clock::now().as_us();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now_us}"))
    }

    /// The stop begins.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// A line for `systemctl status`.
    pub fn status(&self, line: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}", line.replace('\n', " ")))
    }

    /// A permanent error, before the end.
    pub fn failed(&self, errno: crate::ids::Errno) -> io::Result<()> {
        self.send(&format!("ERRNO={}", errno.0))
    }

    /// Sends one message. Never blocks.
    fn send(&self, message: &str) -> io::Result<()> {
        if let Some((sender, address)) = &self.to {
            sender.send_to_addr(message.as_bytes(), address)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(listener: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = listener.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn each_message_is_one_datagram_to_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        let manager = ServiceManager::new(Some(path.as_os_str()), Some("4000000")).expect("made");
        assert_eq!(manager.watchdog(), Some(Interval::from_secs(4)));
        manager.alive().expect("sent");
        assert_eq!(heard(&listener), "WATCHDOG=1");
        manager.ready(42).expect("sent");
        assert_eq!(heard(&listener), "READY=1\nMAINPID=42");
        manager.status("VI_1\nMASTER").expect("sent");
        assert_eq!(heard(&listener), "STATUS=VI_1 MASTER");
        manager.stopping().expect("sent");
        assert_eq!(heard(&listener), "STOPPING=1");
        let before_us = clock::now().as_us();
        manager.reloading().expect("sent");
        let message = heard(&listener);
        let at_us = message
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .expect("the form");
        assert!(at_us.parse::<u64>().expect("a number") >= before_us);
    }

    #[test]
    fn an_abstract_name_begins_with_an_at_sign() {
        let name = format!("keepalived-rs-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let listener = UnixDatagram::bind_addr(&address).expect("bound");
        let manager = ServiceManager::new(Some(format!("@{name}").as_ref()), None).expect("made");
        manager.failed(crate::ids::Errno(1)).expect("sent");
        assert_eq!(heard(&listener), "ERRNO=1");
    }

    #[test]
    fn without_a_listener_nothing_happens() {
        let manager = ServiceManager::new(None, Some("1")).expect("made");
        manager.ready(1).expect("nothing to send");
        assert_eq!(manager.watchdog(), None);
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        assert!(is_for_us(None));
        assert!(is_for_us(Some(&std::process::id().to_string())));
        assert!(!is_for_us(Some("1")));
        assert!(!is_for_us(Some("x")));
    }
}
