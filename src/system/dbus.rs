//! D-Bus: the way to the system bus, and its messages as plain values.
//!
//! Decides how long the bus may take, and that nothing here waits for longer. Which
//! objects there are and what they answer is not decided here.
//!
//! Calls are answered one after the other by whoever reads them: the library's own
//! server would begin as many at the same time as somebody sends. A question to the
//! bus is sent without waiting for its answer, which comes among the other messages:
//! with a full queue of calls in front of it, who waits would wait for himself.
//!
//! Source: D-Bus specification 0.43.

use std::future::{Future, poll_fn};
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::time::Duration;

use zbus::connection::Builder;
use zbus::export::futures_core::Stream;
use zbus::message::{Flags, Type};
use zbus::wire::StructureBuilder;
use zbus::{Connection, DynamicType, Message, MessageStream, Variant};

/// How long connecting may take, and how long the bus may take for a message.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// How many messages wait for us here; more wait in the kernel and in the bus. Each may
/// have as many bytes as the bus allows.
const MESSAGES_MAX: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// No name on the bus has more bytes, and no path of ours. What is longer is cut: an
/// answer that quotes it could be too long for the bus, which ends the connection.
const NAME_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 1024;

/// The bus itself, as a client sees it.
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// What `RequestName` answers if the name is ours, now or already.
const OWNER: [u32; 2] = [1, 4];

/// A connection to the system bus.
#[derive(Debug)]
pub struct Bus {
    connection: Connection,
    messages: MessageStream,
}

/// Something that came over the bus.
#[derive(Debug)]
pub enum Incoming {
    /// Somebody calls a method.
    Call(Called, Caller),
    /// The bus answers [`Bus::ask_user`] with this number; `None`: it does not know.
    User(NonZeroU32, Option<u32>),
    /// The bus says that this name is ours from now on.
    NameAcquired(String),
    /// The bus says that this name is not ours any more.
    NameLost(String),
    /// Nothing that concerns us.
    Other,
}

/// What is called.
#[derive(Debug, Clone)]
pub struct Called {
    /// The path of the object.
    pub path: String,
    /// The interface, if the caller names one.
    pub interface: Option<String>,
    /// The method.
    pub member: String,
    /// The signature of the arguments.
    pub signature: String,
    /// The strings that the arguments begin with, two at most.
    pub words: Vec<String>,
}

/// To whom an answer goes.
#[derive(Debug, Clone)]
pub struct Caller {
    call: Message,
}

/// A value in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `s`
    Text(String),
    /// `u`
    Number(u32),
    /// A structure.
    Structure(Vec<Self>),
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// `s`
    Text(String),
    /// `u`
    Number(u32),
    /// `v`
    Variant(Value),
    /// `a{sv}`
    Properties(Vec<(&'static str, Value)>),
    /// `sa{sv}as`, the arguments of `PropertiesChanged`.
    Changed(&'static str, Vec<(&'static str, Value)>),
}

impl Bus {
    /// Connects to the bus that `DBUS_SYSTEM_BUS_ADDRESS` names, or to the system's.
    /// Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn connect() -> Result<Self, String> {
        let connecting = Builder::system().max_queued(MESSAGES_MAX).build();
        let connection = limited(CONNECT_LIMIT, connecting).await?;
        let messages = MessageStream::from(&connection);
        Ok(Self {
            connection,
            messages,
        })
    }

    /// Asks for a name; returns whether it is ours now. If it is not, we wait in the
    /// bus's queue for it.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn request_name(&self, name: &str) -> Result<bool, String> {
        let arguments = (name, 0_u32);
        let bus = Some(BUS);
        let call = self
            .connection
            .call_method(bus, BUS_PATH, bus, "RequestName", &arguments);
        let reply = limited(CONNECT_LIMIT, call).await?;
        let answer = reply.body().deserialize::<u32>();
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(OWNER.contains(&answer))
    }

    /// Gives a name back, without waiting for an answer.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn release_name(&self, name: &str) -> Result<(), String> {
        let call =
            Message::method_call(BUS_PATH, "ReleaseName").with_flags(Flags::NO_REPLY_EXPECTED);
        let call = call.destination(BUS).interface(BUS).build(&name);
        self.send(call).await
    }

    /// The next message; `None` once the bus is gone. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Incoming> {
        let messages = &mut self.messages;
        let next = poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await;
        Some(incoming(&next?.ok()?))
    }

    /// Asks who the caller is. The number is that of the answer.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn ask_user(&self, caller: &Caller) -> Result<NonZeroU32, String> {
        let header = caller.call.header();
        let sender = header.sender().map_or("", |it| it.as_str());
        let call = Message::method_call(BUS_PATH, "GetConnectionUnixUser");
        let call = call.destination(BUS).interface(BUS).build(&sender);
        let number = call.as_ref().map(|it| it.primary_header().serial_num());
        let number = number.map_err(ToString::to_string)?;
        self.send(call).await?;
        Ok(number)
    }

    /// Answers a call, if the caller wants to hear it.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn answer(&self, caller: &Caller, body: &Body) -> Result<(), String> {
        if !caller.wants_answer() {
            return Ok(());
        }
        let reply = Message::method_return(&caller.call.header());
        self.send(filled(reply, body)).await
    }

    /// Answers a call with an error.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn refuse(&self, caller: &Caller, name: &str, text: &str) -> Result<(), String> {
        if !caller.wants_answer() {
            return Ok(());
        }
        let header = caller.call.header();
        let reply = Message::error(&header, name).build(&text);
        self.send(reply).await
    }

    /// Tells everybody who listens.
    ///
    /// # Errors
    /// Why not, in words.
    pub async fn signal(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &Body,
    ) -> Result<(), String> {
        let signal = Message::signal(path, interface, member);
        self.send(filled(signal, body)).await
    }

    async fn send(&self, message: zbus::Result<Message>) -> Result<(), String> {
        let message = message.map_err(|error| error.to_string())?;
        limited(SEND_LIMIT, self.connection.send(&message)).await
    }
}

impl Caller {
    fn wants_answer(&self) -> bool {
        let flags = self.call.primary_header().flags();
        !flags.contains(Flags::NO_REPLY_EXPECTED)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the process that speaks to the bus has no reactor"
)]
async fn limited<T>(
    limit: Duration,
    doing: impl Future<Output = zbus::Result<T>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, doing).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}

fn incoming(message: &Message) -> Incoming {
    let header = message.header();
    let body = message.body();
    let from_bus = header.sender().is_some_and(|it| it.as_str() == BUS);
    match message.message_type() {
        Type::MethodCall => {
            let (Some(path), Some(member)) = (header.path(), header.member()) else {
                return Incoming::Other;
            };
            let signature = body.signature().to_string_no_parens();
            let called = Called {
                path: cut(path.as_str(), PATH_BYTES_MAX),
                interface: header.interface().map(|it| it.as_str().to_owned()),
                member: member.as_str().to_owned(),
                words: words(message, &signature).unwrap_or_default(),
                signature,
            };
            let call = message.clone();
            Incoming::Call(called, Caller { call })
        }
        Type::MethodReturn | Type::Error if from_bus => match header.reply_serial() {
            Some(number) => Incoming::User(number, body.deserialize::<u32>().ok()),
            None => Incoming::Other,
        },
        Type::Signal if from_bus => {
            let name = || body.deserialize::<String>();
            match header.member().map(|it| it.as_str()) {
                Some("NameAcquired") => name().map_or(Incoming::Other, Incoming::NameAcquired),
                Some("NameLost") => name().map_or(Incoming::Other, Incoming::NameLost),
                _ => Incoming::Other,
            }
        }
        _ => Incoming::Other,
    }
}

fn words(call: &Message, signature: &str) -> zbus::Result<Vec<String>> {
    let body = call.body();
    let words = match signature {
        "s" => vec![body.deserialize::<&str>()?],
        "ss" => <[&str; 2]>::from(body.deserialize::<(&str, &str)>()?).to_vec(),
        "ssv" => {
            let (one, two, _) = body.deserialize::<(&str, &str, Variant<'_>)>()?;
            vec![one, two]
        }
        _ => Vec::new(),
    };
    let words = words.into_iter();
    Ok(words.map(|word| cut(word, NAME_BYTES_MAX)).collect())
}

fn cut(text: &str, bytes_max: usize) -> String {
    let end = text.floor_char_boundary(bytes_max);
    text.get(..end).unwrap_or_default().to_owned()
}

fn filled(builder: zbus::message::Builder<'_>, body: &Body) -> zbus::Result<Message> {
    fn with<B: serde::Serialize + DynamicType>(
        builder: zbus::message::Builder<'_>,
        body: &B,
    ) -> zbus::Result<Message> {
        builder.build(body)
    }
    match body {
        Body::Nothing => with(builder, &()),
        Body::Text(text) => with(builder, text),
        Body::Number(number) => with(builder, number),
        Body::Variant(value) => with(builder, &variant(value)?),
        Body::Properties(all) => with(builder, &dictionary(all)?),
        Body::Changed(interface, all) => {
            let gone: [&str; 0] = [];
            with(builder, &(*interface, dictionary(all)?, gone.as_slice()))
        }
    }
}

type Dictionary = std::collections::BTreeMap<&'static str, Variant<'static>>;

fn dictionary(all: &[(&'static str, Value)]) -> zbus::Result<Dictionary> {
    let all = all.iter();
    all.map(|(name, value)| Ok((*name, variant(value)?)))
        .collect()
}

fn variant(value: &Value) -> zbus::Result<Variant<'static>> {
    Ok(match value {
        Value::Text(text) => Variant::from(text.clone()),
        Value::Number(number) => Variant::from(*number),
        Value::Structure(fields) => {
            let mut structure = StructureBuilder::new();
            for field in fields {
                structure.push_value(variant(field)?);
            }
            Variant::from(structure.build()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(path: &str, signature: &str, word: &str) -> Called {
        let call = Message::method_call(path, "Get").interface(BUS);
        let call = match signature {
            "s" => call.build(&word),
            "ss" => call.build(&(word, word)),
            "ssv" => call.build(&(word, word, Variant::from(3_u32))),
            _ => call.build(&(1_u32, word)),
        };
        match incoming(&call.unwrap()) {
            Incoming::Call(called, _) => called,
            other => panic!("a call, not {other:?}"),
        }
    }

    #[test]
    fn the_words_of_a_call_are_read_and_those_without_end_are_cut() {
        for (signature, count) in [("s", 1), ("ss", 2), ("ssv", 2), ("us", 0)] {
            let called = received("/a", signature, "word");
            assert_eq!(called.signature, signature);
            assert_eq!(called.words, vec!["word"; count], "{signature}");
        }
        let long = "\u{e9}".repeat(1 << 20);
        let called = received(&format!("/{}", "a".repeat(1 << 20)), "ss", &long);
        assert_eq!(called.path.len(), PATH_BYTES_MAX);
        assert!(
            called
                .words
                .iter()
                .all(|word| word.len() == NAME_BYTES_MAX - 1)
        );
    }

    #[test]
    fn a_structure_with_one_text_is_no_text() {
        let name = Value::Structure(vec![Value::Text("VI_1".to_owned())]);
        let state = Value::Structure(vec![Value::Number(1), Value::Text("Backup".to_owned())]);
        let signature = |body: &Body| {
            let signal = Message::signal("/a", "a.b", "C");
            let message = filled(signal, body).unwrap();
            message.body().signature().to_string_no_parens()
        };
        let inner = |value: &Value| variant(value).unwrap().value_signature().to_string();
        assert_eq!(
            (inner(&name), inner(&state)),
            ("(s)".to_owned(), "(us)".to_owned())
        );
        assert_eq!(signature(&Body::Variant(name.clone())), "v");
        assert_eq!(signature(&Body::Properties(vec![("Name", name)])), "a{sv}");
        let changed = Body::Changed("a.b", vec![("State", state)]);
        assert_eq!(signature(&changed), "sa{sv}as");
        assert_eq!(signature(&Body::Nothing), "");
    }
}
