//! The thread that answers on the status socket.
//!
//! Decides who is served and for how long. A client can hold a place among
//! [`CLIENTS_MAX`] for [`PATIENCE`] to ask and as long again to take the answer,
//! whatever it sends or leaves unread; others wait meanwhile in the kernel's
//! queue. Adverts never wait: the reactor only takes the view, at most once in
//! `BETWEEN_VIEWS`, and hands it over.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{SockFlag, accept4};
use tokio::sync::mpsc::UnboundedSender;

pub use super::client::REQUEST_MAX;
use super::client::{self, Clients, line};
use super::compose::{answer, refusal};
use super::document::Document;
use super::events::{self, Hearer, Item};
use super::listeners::{LISTENERS_MAX, Listener};
use super::{EVENTS, Request, View};
pub use crate::daemon::client::PATIENCE;
use crate::daemon::client::wait;
use crate::system::clock::{epoch_us, now};
use crate::time::{Instant, Interval, WallClock};

/// How many clients are served at the same time.
pub const CLIENTS_MAX: usize = 16;

/// The least time between two views: taking one costs the reactor a little for
/// each instance.
const BETWEEN_VIEWS: Interval = Interval::from_ms(100);

/// How long the thread waits for a view.
const VIEW_LIMIT: Interval = Interval::from_secs(5);

/// Where a view is sent to.
pub type ViewWanted = SyncSender<Box<View>>;

/// Serves `listener`, a descriptor of a `StatusSocket`, on a thread of its own,
/// for as long as the process lives. Each value in `ask` asks for a view. What happens
/// is told to what is given back.
///
/// # Errors
/// There are too many threads or descriptors.
pub fn start(
    listener: Option<OwnedFd>,
    ask: UnboundedSender<ViewWanted>,
) -> io::Result<events::Teller> {
    let (teller, hearer) = events::pair()?;
    let Some(listener) = listener else {
        return Ok(teller);
    };
    let server = Server {
        listener: UnixListener::from(listener),
        clients: Clients::new(CLIENTS_MAX),
        listeners: Vec::new(),
        hearer,
        ask,
        last_view: None,
    };
    std::thread::Builder::new()
        .name("status".to_owned())
        .spawn(move || server.run())?;
    Ok(teller)
}

/// Answers everybody who is waiting at `listener` without having been asked.
/// For a supervisor without a worker; never waits.
pub fn answer_unasked(listener: BorrowedFd<'_>, document: impl Fn() -> Document) {
    for _ in 0..CLIENTS_MAX {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(client) = accept4(listener.as_raw_fd(), flags) else {
            return;
        };
        // SAFETY: the kernel has just given us this descriptor; nobody else knows of it.
        let mut client = unsafe { UnixStream::from_raw_fd(client) };
        // What does not fit into the kernel's buffer at once is not worth more.
        let _ = client.write(&line(&document()));
    }
}

/// The wall clock of now.
pub fn wall_clock() -> WallClock {
    WallClock::new(now(), epoch_us())
}

fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

struct Server {
    listener: UnixListener,
    clients: Clients<Request>,
    listeners: Vec<Listener>,
    hearer: Hearer,
    ask: UnboundedSender<ViewWanted>,
    /// When the reactor was last asked.
    last_view: Option<Instant>,
}

impl Server {
    fn run(mut self) {
        loop {
            self.wait();
            let now = now();
            self.clients.take_on(now, || accept(&self.listener));
            self.clients.go_on(now);
            self.pass_events_on(now);
            self.hearer.set_listeners(self.listeners.len());
            let looks = self.is_view_due(now);
            if looks && !self.answer_waiting() {
                // The reactor is gone, and so will the process be.
                return;
            }
            self.clients.drop_done(now, looks);
        }
    }

    /// Until a client can go on, a new one comes, or somebody's time is over.
    fn wait(&self) {
        let mut fds: Vec<PollFd<'_>> = self.clients.poll_fds().collect();
        fds.extend(self.listeners.iter().map(Listener::wants));
        fds.push(PollFd::new(self.hearer.as_fd(), PollFlags::POLLIN));
        if self.clients.has_place() {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
        }
        wait(&mut fds, self.deadline());
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = self.clients.is_waiting();
        let view = self.last_view.filter(|_| waits);
        let view = view.map(|last| last + BETWEEN_VIEWS);
        let listeners = self.listeners.iter().filter_map(Listener::deadline);
        listeners.chain(view).chain(self.clients.deadline()).min()
    }

    fn is_view_due(&self, now: Instant) -> bool {
        self.clients.is_waiting()
            && self
                .last_view
                .is_none_or(|last| now.since(last) >= BETWEEN_VIEWS)
    }

    /// Tells the listeners what has happened.
    fn pass_events_on(&mut self, now: Instant) {
        self.hearer.rest();
        let mut finish = None;
        while let Some(item) = self.hearer.next() {
            match item {
                Item::Event(number, event) => {
                    for listener in &mut self.listeners {
                        listener.hear(number, &event, now);
                    }
                }
                Item::Finish(done) => finish = Some(done),
            }
        }
        if self.hearer.has_lost() {
            // They come again, and are told how things stand by then.
            self.listeners.clear();
        }
        for listener in &mut self.listeners {
            listener.go_on(now);
        }
        self.listeners.retain(|listener| !listener.is_gone());
        if let Some(done) = finish {
            let _ = done.try_send(());
        }
    }

    /// Those who asked for events stay as listeners, and the others as they are.
    fn take_on_listeners(&mut self, view: &View, now: Instant) {
        let asking = self.clients.take(|request| request.request == EVENTS);
        for mut client in asking {
            let Some(request) = client.waits_for().cloned() else {
                continue;
            };
            let answer = if self.listeners.len() < LISTENERS_MAX {
                answer(&request, view)
            } else {
                let text = format!("{LISTENERS_MAX} others listen already");
                Err(refusal("too-many", text))
            };
            match answer {
                Ok(document) => {
                    let current = events::current(&document);
                    let stream = client.into_stream();
                    let listener =
                        Listener::new(stream, request.instance, &current, view.events, now);
                    self.listeners.push(listener);
                }
                Err(refusal) => {
                    client.answer(client::answer(&refusal), now);
                    self.clients.put_back(client);
                }
            }
        }
    }

    /// Answers all that wait, from one view. Returns whether there still is
    /// somebody to ask.
    fn answer_waiting(&mut self) -> bool {
        // From before the view is taken, so that nothing is missed between the two.
        let listeners = self.listeners.len().saturating_add(1);
        self.hearer.set_listeners(listeners);
        let (reply, view): (ViewWanted, Receiver<_>) = sync_channel(1);
        if self.ask.send(reply).is_err() {
            return false;
        }
        let view = view.recv_timeout(VIEW_LIMIT.into()).ok();
        let now = now();
        self.last_view = Some(now);
        // Before the queue is read: what was told since the view was taken is for new
        // listeners too. What the view shows already they do not hear again.
        if let Some(view) = &view {
            self.take_on_listeners(view, now);
        }
        self.pass_events_on(now);
        self.clients.answer(now, |request| {
            let answer = match &view {
                Some(view) => answer(request, view),
                None => Err(refusal(
                    "not-available",
                    "the VRRP process is too busy to answer".to_owned(),
                )),
            };
            match answer {
                Ok(document) => client::answer(&document),
                Err(refusal) => client::answer(&refusal),
            }
        });
        self.hearer.set_listeners(self.listeners.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::sync::Arc;

    use super::*;
    use crate::config::model::Config;
    use crate::daemon::status::events::Event;
    use crate::vrrp::Engine;

    fn event(name: &str) -> Option<Event> {
        Some(Event {
            event: name.to_owned(),
            ..Event::default()
        })
    }

    /// Between the moment at which the view was taken and the one at which it arrives.
    #[test]
    fn a_new_listener_hears_what_happens_after_its_view() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let mut teller = start(Some(OwnedFd::from(listener)), ask).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        let limit = Some(std::time::Duration::from_secs(10));
        client.set_read_timeout(limit).unwrap();
        client.write_all(&line(&Request::events(None))).unwrap();
        let reply = asked.blocking_recv().unwrap();
        teller.tell(|| event("before"));
        let view = View {
            snapshot: Engine::new(Config::default()).snapshot(now()),
            wall: wall_clock(),
            about: Arc::default(),
            refusals: std::collections::BTreeMap::new(),
            skipped: std::collections::BTreeMap::new(),
            events: teller.last(),
        };
        teller.tell(|| event("after"));
        reply.send(Box::new(view)).unwrap();
        let lines = BufReader::new(client).lines().take(2);
        let heard = lines.map(|line| serde_json::from_str::<Event>(&line.unwrap()).unwrap());
        let heard: Vec<String> = heard.map(|it| it.event).collect();
        assert_eq!(heard, ["daemon", "after"]);
    }
}
