//! The process that speaks to the bus.
//!
//! Decides when it connects, who may give orders, how many orders may wait and how
//! fast they follow each other. What the objects look like is decided in
//! `objects.rs`. Ends when the supervisor closes its end of the channel.
//!
//! A policy of the bus lets nobody but root give orders. Should it be missing or
//! wrong, the user of the caller is asked for here as well.
//!
//! Source: specification E.12.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::future::{pending, ready};
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::OFlag;
use nix::unistd::{geteuid, pipe2};
use tokio::io::unix::AsyncFd;

use super::objects::{Answer, Call, Change, INSTANCE, Objects, PROPERTIES, Property, VRRP, error};
use super::{FromService, Happening, Member, Receipt, ServiceEnd, Settings, ToService};
use crate::daemon::channel::{Channel, ChannelError};
use crate::daemon::{exit_code, places};
use crate::system::capabilities;
use crate::system::clock::{Timer, now};
use crate::system::dbus::{Body, Bus, Called, Caller, Incoming, Value};
use crate::system::logging;
use crate::time::{Instant, Interval};

/// Whether this program has the service.
pub const BUILT_IN: bool = true;

/// The name under which it writes to the log.
pub const IDENT: &str = "Keepalived_dbus";

/// How many orders may wait.
const ORDERS_MAX: usize = 16;

/// How long an order may take.
const ORDER_LIMIT: Interval = Interval::from_secs(5);

/// The least time between two orders: one that has the worker look at all that it
/// knows, and any other.
const BETWEEN_LOOKS: Interval = Interval::from_ms(100);
const BETWEEN_ORDERS: Interval = Interval::from_ms(5);

/// How long we wait before we try again to connect; the second, each time twice as
/// long up to the first.
const RETRY_MAX: Interval = Interval::from_secs(30);
const RETRY_MIN: Interval = Interval::from_secs(1);

/// Messages of the supervisor that are read before the bus has its turn.
const MESSAGES_PER_TURN: usize = 64;

/// Where the name of this machine is.
const MACHINE_ID: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// Runs until the supervisor closes the channel; returns the exit code of the process.
pub fn run(channel: OwnedFd, settings: &Settings) -> u8 {
    let (namespace, instance) = (settings.namespace.as_deref(), settings.instance.as_deref());
    logging::begin_child(&places::ident(IDENT, namespace, instance), "dbus");
    let code = work(channel, settings);
    logging::finish();
    code
}

fn work(channel: OwnedFd, settings: &Settings) -> u8 {
    // Before the log begins a thread, which would keep its rights.
    if let Err(error) = capabilities::give_up_all() {
        tracing::error!("Unable to give up rights: {error}");
        return exit_code::FATAL;
    }
    logging::write_in_thread();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async { Service::new(channel, settings)?.serve().await })
    });
    match served {
        Ok(()) => exit_code::OK,
        Err(error) => {
            tracing::error!("Unable to serve D-Bus: {error}");
            exit_code::FATAL
        }
    }
}

struct Service {
    channel: AsyncFd<ServiceEnd>,
    timer: Timer,
    name: String,
    objects: Objects,
    /// `None`: there is no bus.
    bus: Option<Bus>,
    /// When we try to connect, and how long we wait if that fails.
    retry_at: Instant,
    delay: Interval,
    /// What was said last about there being no bus.
    complaint: Option<String>,
    /// Orders of callers whose user the bus was asked for, by the number of its answer.
    unknown: BTreeMap<NonZeroU32, (Caller, FromService)>,
    /// Orders that are to be given.
    waiting: VecDeque<(Caller, FromService)>,
    given: Option<Given>,
    /// Not before then the next one is given, and the next that is a look at all.
    next_order: Instant,
    next_look: Instant,
    /// The last turn left messages of the supervisor unread.
    more: bool,
    ended: bool,
}

/// An order that is being carried out.
struct Given {
    caller: Caller,
    receipt: AsyncFd<File>,
    until: Instant,
}

/// What a turn begins with.
enum Woken {
    Bus(Option<Incoming>),
    Receipt,
    Channel,
    Timer,
}

// The loop.
impl Service {
    fn new(channel: OwnedFd, settings: &Settings) -> io::Result<Self> {
        let channel = Channel::new(channel);
        Ok(Self {
            // SAFETY: the descriptor is owned by what is registered and is open as long as that.
            channel: unsafe { AsyncFd::register(channel) }?,
            timer: Timer::new()?,
            name: settings.service_name.clone(),
            objects: Objects::new(settings),
            bus: None,
            retry_at: now(),
            delay: RETRY_MIN,
            complaint: None,
            unknown: BTreeMap::new(),
            waiting: VecDeque::new(),
            given: None,
            next_order: now(),
            next_look: now(),
            more: false,
            ended: false,
        })
    }

    async fn serve(mut self) -> io::Result<()> {
        while !self.ended {
            if self.bus.is_none() && self.retry_at <= now() {
                self.connect().await;
            }
            self.give_next().await;
            self.timer.arm(self.deadline())?;
            match self.wait().await? {
                Woken::Bus(Some(incoming)) => self.incoming(incoming).await,
                Woken::Bus(None) => self.bus_is_gone("the connection was closed"),
                Woken::Receipt => self.look_at_receipt().await,
                Woken::Channel => self.read_channel().await,
                Woken::Timer => {}
            }
            if self.given.as_ref().is_some_and(|it| it.until <= now()) {
                self.finish_order(Err("it takes too long")).await;
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> io::Result<Woken> {
        let Self {
            bus,
            channel,
            given,
            timer,
            more,
            ..
        } = self;
        let from_bus = async {
            match bus {
                Some(bus) => bus.next().await,
                None => pending().await,
            }
        };
        let receipt = async {
            match given {
                Some(given) => given
                    .receipt
                    .readable()
                    .await
                    .map(|mut it| it.clear_ready()),
                None => pending().await,
            }
        };
        let is_waiting = channel.get_ref().is_waiting();
        tokio::select! {
            incoming = from_bus => Ok(Woken::Bus(incoming)),
            ready = receipt => ready.map(|()| Woken::Receipt),
            ready = channel.readable() => ready.map(|mut it| it.clear_ready()).map(|()| Woken::Channel),
            ready = channel.writable(), if is_waiting => ready.map(|mut it| it.clear_ready()).map(|()| Woken::Channel),
            () = ready(()), if *more => Ok(Woken::Channel),
            fired = timer.expired() => fired.map(|()| Woken::Timer),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let retry_at = self.bus.is_none().then_some(self.retry_at);
        let given = self.given.as_ref().map(|it| it.until);
        let next = self.waiting.front().map(|(_, order)| self.due(order));
        let next = next.filter(|_| self.given.is_none());
        [retry_at, given, next].into_iter().flatten().min()
    }
}

// The bus.
impl Service {
    async fn connect(&mut self) {
        let name = &self.name;
        let connected = match Bus::connect().await {
            Ok(bus) => bus.request_name(name).await.map(|is_ours| (bus, is_ours)),
            Err(error) => Err(error),
        };
        match connected {
            Ok((bus, is_ours)) => {
                tracing::info!("Acquired DBus bus {name}");
                if !is_ours {
                    tracing::warn!("The name {name} is somebody else's on the system bus");
                }
                self.bus = Some(bus);
                (self.delay, self.complaint) = (RETRY_MIN, None);
            }
            Err(error) => self.complain(&error),
        }
    }

    /// There is no bus for now. It is said once, until there is another reason.
    fn complain(&mut self, why: &str) {
        self.bus = None;
        self.retry_at = now() + self.delay;
        self.delay = self.delay.times(2).clamp(RETRY_MIN, RETRY_MAX);
        if self.complaint.as_deref() != Some(why) {
            let name = &self.name;
            tracing::warn!(
                "Unable to serve {name} on D-Bus, VRRP goes on without, trying again: {why}"
            );
            self.complaint = Some(why.to_owned());
        }
    }

    fn bus_is_gone(&mut self, why: &str) {
        self.unknown.clear();
        self.waiting.clear();
        self.given = None;
        self.delay = RETRY_MIN;
        self.complain(why);
    }

    /// A bus that does not take a message is as good as gone.
    fn sent(&mut self, sent: Result<(), String>) {
        if let Err(error) = sent {
            self.bus_is_gone(&error);
        }
    }

    async fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Call(called, caller) => self.called(called, caller).await,
            Incoming::User(number, user) => {
                if let Some((caller, order)) = self.unknown.remove(&number) {
                    self.decide(caller, order, user).await;
                }
            }
            Incoming::NameAcquired(name) if name == self.name => {
                tracing::info!("Acquired the name {name} on the system bus");
            }
            Incoming::NameLost(name) if name == self.name => {
                tracing::warn!("Lost the name {name} on the system bus");
            }
            Incoming::NameAcquired(_) | Incoming::NameLost(_) | Incoming::Other => {}
        }
    }

    async fn signal(&mut self, path: &str, interface: &str, member: &str, body: Body) {
        if let Some(bus) = &self.bus {
            let sent = bus.signal(path, interface, member, &body).await;
            self.sent(sent);
        }
    }

    async fn answer(&mut self, caller: &Caller, body: Body) {
        if let Some(bus) = &self.bus {
            let sent = bus.answer(caller, &body).await;
            self.sent(sent);
        }
    }

    async fn refuse(&mut self, caller: &Caller, name: &str, text: &str) {
        if let Some(bus) = &self.bus {
            let sent = bus.refuse(caller, name, text).await;
            self.sent(sent);
        }
    }
}

// Calls and orders.
impl Service {
    async fn called(&mut self, called: Called, caller: Caller) {
        let call = Call {
            path: called.path,
            interface: called.interface,
            member: called.member,
            signature: called.signature,
            words: called.words,
        };
        let body = match self.objects.answer(&call) {
            Answer::Nothing => Body::Nothing,
            Answer::Text(text) => Body::Text(text),
            Answer::MachineId => Body::Text(machine_id()),
            Answer::Property(it) => Body::Variant(value(it)),
            Answer::Properties(all) => {
                let all = all.into_iter();
                Body::Properties(all.map(|(name, it)| (name, value(it))).collect())
            }
            Answer::Order(order) => return self.ordered(caller, order).await,
            Answer::Refused(name, text) => return self.refuse(&caller, name, &text).await,
        };
        self.answer(&caller, body).await;
    }

    /// Somebody gives an order: first we have to know who.
    async fn ordered(&mut self, caller: Caller, order: FromService) {
        if self.unknown.len().saturating_add(self.waiting.len()) >= ORDERS_MAX {
            let text = "Too many orders wait";
            return self.refuse(&caller, error::BUSY, text).await;
        }
        let Some(bus) = &self.bus else { return };
        match bus.ask_user(&caller).await {
            Ok(number) => {
                self.unknown.insert(number, (caller, order));
            }
            Err(error) => self.bus_is_gone(&error),
        }
    }

    async fn decide(&mut self, caller: Caller, order: FromService, user: Option<u32>) {
        if user.is_some_and(|it| it == 0 || it == geteuid().as_raw()) {
            self.waiting.push_back((caller, order));
        } else {
            let text = "only root may do that";
            self.refuse(&caller, error::DENIED, text).await;
        }
    }

    /// When an order may be given.
    fn due(&self, order: &FromService) -> Instant {
        match order {
            FromService::Show(_) => self.next_look.max(self.next_order),
            FromService::Reload | FromService::Announce(_) => self.next_order,
        }
    }

    async fn give_next(&mut self) {
        let now = now();
        let next = self.waiting.front();
        if self.given.is_some() || next.is_none_or(|(_, order)| self.due(order) > now) {
            return;
        }
        let Some((caller, order)) = self.waiting.pop_front() else {
            return;
        };
        self.next_order = now + BETWEEN_ORDERS;
        if matches!(order, FromService::Show(_)) {
            self.next_look = now + BETWEEN_LOOKS;
        }
        match self.give(&order) {
            Ok(receipt) => {
                let until = now + ORDER_LIMIT;
                self.given = Some(Given {
                    caller,
                    receipt,
                    until,
                });
            }
            Err(error) => {
                tracing::error!("Order of D-Bus not passed on: {error}");
                self.refuse(&caller, error::FAILED, &error).await;
            }
        }
    }

    fn give(&mut self, order: &FromService) -> Result<AsyncFd<File>, String> {
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let (receipt, theirs) = pipe2(flags).map_err(|errno| errno.to_string())?;
        let channel = self.channel.get_mut();
        let sent = channel.send(order, Some(theirs.as_fd()));
        sent.map_err(|error| error.to_string())?;
        // SAFETY: the descriptor is owned by what is registered and is open as long as that.
        unsafe { AsyncFd::register(File::from(receipt)) }.map_err(|error| error.to_string())
    }

    async fn look_at_receipt(&mut self) {
        let Some(given) = &self.given else { return };
        let mut byte = [0];
        let mut receipt = given.receipt.get_ref();
        match receipt.read(&mut byte) {
            Ok(1..) if byte == [Receipt::DONE] => self.finish_order(Ok(())).await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => self.finish_order(Err("it was not carried out")).await,
        }
    }

    async fn finish_order(&mut self, outcome: Result<(), &str>) {
        let Some(given) = self.given.take() else {
            return;
        };
        match outcome {
            Ok(()) => self.answer(&given.caller, Body::Nothing).await,
            Err(text) => self.refuse(&given.caller, error::FAILED, text).await,
        }
    }
}

// The supervisor.
impl Service {
    async fn read_channel(&mut self) {
        self.more = false;
        let _ = self.channel.get_mut().flush();
        for _ in 0..MESSAGES_PER_TURN {
            match self.channel.get_mut().receive() {
                Ok(None) => return,
                Ok(Some((message, descriptor))) => self.message(message, descriptor).await,
                Err(ChannelError::Closed) => {
                    self.ended = true;
                    return;
                }
                Err(error) => {
                    tracing::error!("Message to the D-Bus service dropped: {error}");
                }
            }
        }
        // There may be more, and nobody would wake us for it.
        self.more = true;
    }

    async fn message(&mut self, message: ToService, descriptor: Option<OwnedFd>) {
        match message {
            ToService::Members => match descriptor.map(members) {
                Some(Ok(members)) => self.follow(members).await,
                Some(Err(error)) => tracing::error!("Instances not understood: {error}"),
                None => tracing::error!("Instances without a list"),
            },
            ToService::Stands(member, standing) => {
                if let Some(change) = self.objects.stands(&member, standing) {
                    self.changed(change).await;
                }
            }
            ToService::NobodyStands => {
                for change in self.objects.nobody_stands() {
                    self.changed(change).await;
                }
            }
            ToService::Happened(happening) => self.happened(happening).await,
        }
    }

    async fn follow(&mut self, members: Vec<Member>) {
        let followed = self.objects.follow(members);
        for (name, last) in followed.gone {
            if let Some(change) = last {
                self.changed(change).await;
            }
            tracing::info!("Deleted DBus object for instance {name}");
        }
        for (path, name) in followed.without_path {
            tracing::warn!("({name}) is not on D-Bus: {path} is another instance's path");
        }
    }

    async fn changed(&mut self, change: Change) {
        let Change {
            path,
            standing,
            is_new,
        } = change;
        let number = Body::Number(standing.number());
        self.signal(&path, INSTANCE, "VrrpStatusChange", number)
            .await;
        if is_new {
            let state = ("State", value(Property::State(standing)));
            let body = Body::Changed(INSTANCE, vec![state]);
            self.signal(&path, PROPERTIES, "PropertiesChanged", body)
                .await;
        }
    }

    async fn happened(&mut self, happening: Happening) {
        let signal = match happening {
            Happening::Started => "VrrpStarted",
            Happening::Reloaded => "VrrpReloaded",
            Happening::Stopped => "VrrpStopped",
        };
        let path = self.objects.vrrp().to_owned();
        self.signal(&path, VRRP, signal, Body::Nothing).await;
        if happening == Happening::Stopped
            && let Some(bus) = &self.bus
        {
            // Who is gone has no name.
            let _ = bus.release_name(&self.name).await;
            tracing::info!("Released DBus");
            self.ended = true;
        }
    }
}

fn members(descriptor: OwnedFd) -> io::Result<Vec<Member>> {
    let mut text = Vec::new();
    File::from(descriptor).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

fn value(property: Property) -> Value {
    Value::Structure(match property {
        Property::Name(name) => vec![Value::Text(name)],
        Property::State(it) => vec![
            Value::Number(it.number()),
            Value::Text(it.name().to_owned()),
        ],
    })
}

/// The name of this machine; empty if it has none.
fn machine_id() -> String {
    let mut files = MACHINE_ID.iter();
    let found = files.find_map(|path| std::fs::read_to_string(path).ok());
    found.unwrap_or_default().trim().to_owned()
}
