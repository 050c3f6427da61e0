//! The thread that serves metrics.
//!
//! Decides who is served and for how long. Each of [`CLIENTS_MAX`] clients has two
//! seconds to ask and two to take the answer, whatever it sends or leaves unread;
//! others wait meanwhile in the kernel's queue. The reactor is asked for a view once in
//! `BETWEEN_VIEWS` at most: whoever comes in between gets what the one before got.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use nix::poll::{PollFd, PollFlags};
use tokio::sync::mpsc::UnboundedSender;

use super::client::{Clients, Refusal, Request};
use super::compose;
use super::listener::Listener;
use super::page::Format;
use super::{Order, Orders};
use crate::config::model::MetricsListen;
use crate::daemon::client;
use crate::daemon::status::View;
use crate::daemon::status::server::ViewWanted;
use crate::system::clock::now;
use crate::time::{Instant, Interval};

/// How many clients are served at the same time.
pub const CLIENTS_MAX: usize = 128;

/// How long a view serves: taking one costs the reactor a little for each instance.
const BETWEEN_VIEWS: Interval = Interval::from_secs(1);

/// How long the thread waits for a view.
const VIEW_LIMIT: Interval = Interval::from_secs(5);

/// How long until a socket that could not be made is tried again.
const RETRY_LISTENER: Interval = Interval::from_secs(5);

/// What the thread works with.
pub(super) struct Server {
    orders: Arc<Orders>,
    ask: UnboundedSender<ViewWanted>,
    /// Where it is to listen.
    wanted: Option<MetricsListen>,
    listener: Option<Listener>,
    /// When that is tried again.
    listen_at: Option<Instant>,
    clients: Clients,
    recent: Option<Recent>,
}

/// A view, and the texts that were made of it.
struct Recent {
    at: Instant,
    view: Box<View>,
    open: Option<Arc<Vec<u8>>>,
    plain: Option<Arc<Vec<u8>>>,
}

impl Recent {
    fn text(&mut self, format: Format) -> Arc<Vec<u8>> {
        let text = match format {
            Format::OpenMetrics => &mut self.open,
            Format::Plain => &mut self.plain,
        };
        let view = &self.view;
        Arc::clone(text.get_or_insert_with(|| Arc::new(compose::page(view, format))))
    }
}

impl Server {
    /// Listens nowhere until it is told to.
    pub fn new(orders: Arc<Orders>, ask: UnboundedSender<ViewWanted>) -> Self {
        Self {
            orders,
            ask,
            wanted: None,
            listener: None,
            listen_at: None,
            clients: Clients::new(CLIENTS_MAX),
            recent: None,
        }
    }

    /// Serves until it is told to end, or the reactor is gone.
    pub fn run(mut self) {
        loop {
            self.wait();
            match self.orders.take() {
                Some(Order::End) => return,
                Some(Order::Listen(wanted)) => self.follow(wanted),
                None => {}
            }
            let now = now();
            if self.listen_at.is_some_and(|at| at <= now) {
                self.listen(false);
            }
            self.forget_old(now);
            self.clients.take_on(now, || match &self.listener {
                Some(listener) => listener.accept(),
                None => Err(io::ErrorKind::WouldBlock.into()),
            });
            self.clients.go_on(now);
            let looks = self.clients.is_waiting();
            if looks && !self.answer_waiting() {
                // The reactor is gone, and so will the process be.
                return;
            }
            self.clients.drop_done(now, looks);
        }
    }

    /// Listens there from now on.
    fn follow(&mut self, wanted: Option<MetricsListen>) {
        if self.wanted == wanted && (wanted.is_none() || self.listener.is_some()) {
            return;
        }
        self.wanted = wanted;
        self.listener = None;
        self.listen(true);
    }

    /// Makes the socket that is wanted; says what is wrong the `first` time.
    fn listen(&mut self, first: bool) {
        self.listen_at = None;
        let Some(wanted) = &self.wanted else {
            return;
        };
        match Listener::open(wanted) {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                if first {
                    tracing::error!("Unable to serve metrics on {wanted}: {error}");
                }
                self.listen_at = Some(now() + RETRY_LISTENER);
            }
        }
    }

    /// Until a client can go on, a new one comes, somebody's time is over, or there
    /// are orders.
    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.orders.bell.as_fd(), PollFlags::POLLIN)];
        if let Some(listener) = &self.listener
            && self.clients.has_place()
        {
            fds.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(self.clients.poll_fds());
        client::wait(&mut fds, self.deadline());
    }

    fn deadline(&self) -> Option<Instant> {
        let times = [self.clients.deadline(), self.listen_at, self.old_at()];
        times.into_iter().flatten().min()
    }

    fn old_at(&self) -> Option<Instant> {
        self.recent.as_ref().map(|recent| recent.at + BETWEEN_VIEWS)
    }

    /// A view of ten thousand instances is not kept until somebody asks again.
    fn forget_old(&mut self, now: Instant) {
        if self.old_at().is_some_and(|at| at <= now) {
            self.recent = None;
        }
    }

    /// Answers all that wait. Returns whether there still is somebody to ask.
    fn answer_waiting(&mut self) -> bool {
        self.forget_old(now());
        if self.recent.is_none() {
            let (reply, view): (ViewWanted, Receiver<_>) = sync_channel(1);
            if self.ask.send(reply).is_err() {
                return false;
            }
            let view = view.recv_timeout(VIEW_LIMIT.into()).ok();
            self.recent = view.map(|view| Recent {
                at: now(),
                view,
                open: None,
                plain: None,
            });
        }
        let recent = &mut self.recent;
        self.clients
            .answer(now(), |request: &Request| match recent {
                Some(recent) => request.answer(&recent.text(request.format)),
                None => Refusal::BUSY.answer(),
            });
        true
    }
}
