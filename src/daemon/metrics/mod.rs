//! Metrics for Prometheus over HTTP, where `metrics_listen` says so.
//!
//! Decides when the thread that serves them begins and what it is told; who is served
//! and for how long is decided in `server.rs`, what is asked in `client.rs`, which
//! metrics there are in `families.rs`, their values in `compose.rs`, and how all of it
//! is written in `page.rs`. Where the socket comes from is in `listener.rs`.
//!
//! The worker serves them: with it gone nothing answers, and that is what Prometheus
//! says then. Adverts never wait for it: the reactor only takes a view, as it does for
//! the status socket.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc::UnboundedSender;

use super::status::server::ViewWanted;
use crate::config::model::MetricsListen;
use crate::time::Interval;

mod client;
mod compose;
pub mod families;
mod listener;
mod page;
mod server;

pub use client::REQUEST_MAX;
pub use server::CLIENTS_MAX;

/// The way to the thread. It begins with the first configuration that wants it.
#[derive(Debug)]
pub struct Metrics {
    ask: UnboundedSender<ViewWanted>,
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    orders: Arc<Orders>,
    ended: Receiver<()>,
}

impl Metrics {
    /// Nothing is served yet. Each value in `ask` asks for a view.
    pub fn new(ask: UnboundedSender<ViewWanted>) -> Self {
        Self { ask, thread: None }
    }

    /// Serves there from now on, and nowhere else.
    ///
    /// # Errors
    /// There are too many threads or descriptors.
    pub fn follow(&mut self, listen: &Option<MetricsListen>) -> io::Result<()> {
        match &self.thread {
            Some(thread) => thread.orders.give(Order::Listen(listen.clone())),
            None if listen.is_none() => Ok(()),
            None => {
                let orders = Arc::new(Orders::new()?);
                orders.give(Order::Listen(listen.clone()))?;
                let (ending, ended) = channel();
                let server = server::Server::new(Arc::clone(&orders), self.ask.clone());
                std::thread::Builder::new()
                    .name("metrics".to_owned())
                    .spawn(move || {
                        server.run();
                        // Nobody may be waiting.
                        let _ = ending.send(());
                    })?;
                self.thread = Some(Thread { orders, ended });
                Ok(())
            }
        }
    }

    /// Takes the socket away, but waits no longer than `limit` for that. For the end of
    /// the process: it blocks.
    pub fn finish(&mut self, limit: Interval) {
        if let Some(Thread { orders, ended }) = self.thread.take()
            && orders.give(Order::End).is_ok()
        {
            // A socket that stays is replaced by the next worker.
            let _ = ended.recv_timeout(limit.into());
        }
    }
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Listen(Option<MetricsListen>),
    End,
}

/// The last order that was not taken yet.
#[derive(Debug)]
struct Orders {
    next: Mutex<Option<Order>>,
    bell: EventFd,
}

impl Orders {
    fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self {
            next: Mutex::new(None),
            bell: EventFd::from_flags(flags)?,
        })
    }

    fn give(&self, order: Order) -> io::Result<()> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
        self.bell.write(1)?;
        Ok(())
    }

    /// The order that was given since the last call.
    fn take(&self) -> Option<Order> {
        // That it does not ring means that there is nothing new.
        let _ = self.bell.read();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }
}
