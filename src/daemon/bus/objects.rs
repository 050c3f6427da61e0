//! The objects on the bus: their paths, what they show and what they answer.
//!
//! Decides everything that a client sees, and does nothing about it: how messages
//! come and go is decided in `service.rs`, who may give orders as well. What is
//! refused has the error names that clients of C keepalived see.
//!
//! Source: specification E.12.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{FromService, Member, Settings, Standing};
use crate::daemon::state_files::StateFile;

/// The interface of the object that stands for the daemon.
pub const VRRP: &str = "org.keepalived.Vrrp1.Vrrp";
/// The interface of an instance.
pub const INSTANCE: &str = "org.keepalived.Vrrp1.Instance";
/// The standard interfaces that are served.
pub const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
const PEER: &str = "org.freedesktop.DBus.Peer";

const ROOT: &str = "/org/keepalived/Vrrp1";

/// Names of errors.
pub mod error {
    /// There is no such method, interface or object.
    pub const UNKNOWN: &str = "org.freedesktop.DBus.Error.UnknownMethod";
    /// The arguments are wrong.
    pub const ARGUMENTS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
    /// C keepalived's name for what is not built in.
    pub const NOT_IMPLEMENTED: &str = "org.freedesktop.DBus.Error.MatchRuleNotFound";
    /// The caller is not root.
    pub const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
    /// Too many others wait.
    pub const BUSY: &str = "org.freedesktop.DBus.Error.LimitsExceeded";
    /// It did not work.
    pub const FAILED: &str = "org.freedesktop.DBus.Error.Failed";
}

/// Every method: interface, name, signature of its arguments.
const METHODS: [(&str, &str, &str); 11] = [
    (PROPERTIES, "Get", "ss"),
    (PROPERTIES, "GetAll", "s"),
    (PROPERTIES, "Set", "ssv"),
    (INTROSPECTABLE, "Introspect", ""),
    (PEER, "Ping", ""),
    (PEER, "GetMachineId", ""),
    (VRRP, "PrintData", ""),
    (VRRP, "PrintStats", ""),
    (VRRP, "PrintStatsClear", ""),
    (VRRP, "ReloadConfig", ""),
    (INSTANCE, "SendGarp", ""),
];

/// A call, without the value of a `Set`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// The path of the object.
    pub path: String,
    /// The interface, if the caller names one.
    pub interface: Option<String>,
    /// The method.
    pub member: String,
    /// The signature of the arguments, without the brackets of a structure.
    pub signature: String,
    /// The strings that the arguments begin with, two at most.
    pub words: Vec<String>,
}

/// What follows from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A reply without a value.
    Nothing,
    /// A text.
    Text(String),
    /// The name of this machine.
    MachineId,
    /// A property.
    Property(Property),
    /// Properties with their names.
    Properties(Vec<(&'static str, Property)>),
    /// Only root may ask for this.
    Order(FromService),
    /// An error: its name and its text.
    Refused(&'static str, String),
}

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// `Name`, `(s)`
    Name(String),
    /// `State`, `(us)`
    State(Standing),
}

/// What to tell everybody about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: String,
    /// Where it stands now.
    pub standing: Standing,
    /// It stood elsewhere before.
    pub is_new: bool,
}

/// What follows from other instances.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Followed {
    /// The names of those whose object is gone, with what it says last.
    pub gone: Vec<(String, Option<Change>)>,
    /// Paths and names of those that have no object, because their path is another one's.
    pub without_path: Vec<(String, String)>,
}

/// All objects.
#[derive(Debug)]
pub struct Objects {
    /// The path that all paths begin with.
    root: String,
    no_interface: String,
    /// The path of the daemon's own object.
    vrrp: String,
    instances: BTreeMap<String, Instance>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Instance {
    name: String,
    standing: Standing,
    notify_deleted: bool,
}

impl Objects {
    /// The daemon's own object.
    pub fn new(settings: &Settings) -> Self {
        let mut root = ROOT.to_owned();
        for part in [&settings.namespace, &settings.instance]
            .into_iter()
            .flatten()
        {
            root = format!("{root}/{}", element(part));
        }
        Self {
            vrrp: format!("{root}/Vrrp"),
            root,
            no_interface: element(&settings.no_interface),
            instances: BTreeMap::new(),
        }
    }

    /// The path of the daemon's own object.
    pub fn vrrp(&self) -> &str {
        &self.vrrp
    }

    /// These are the instances from now on; they are told before anything that they do.
    pub fn follow(&mut self, members: Vec<Member>) -> Followed {
        let mut before = std::mem::take(&mut self.instances);
        let mut followed = Followed::default();
        for member in members {
            let path = self.path_of(&member);
            if self.instances.contains_key(&path) {
                followed.without_path.push((path, member.name));
                continue;
            }
            let standing = before.remove(&path).map(|it| it.standing);
            let instance = Instance {
                name: member.name,
                standing: standing.unwrap_or_default(),
                notify_deleted: member.notify_deleted,
            };
            self.instances.insert(path, instance);
        }
        for (path, it) in before {
            let last = match it.standing {
                _ if it.notify_deleted => Some(Standing::Deleted),
                Standing::Backup | Standing::Master => Some(Standing::Fault),
                _ => None,
            };
            let last = last.map(|standing| Change {
                path,
                standing,
                is_new: true,
            });
            followed.gone.push((it.name, last));
        }
        followed
    }

    /// An instance stands there now; `None` if it has no object: its path is another
    /// one's, or a reload has taken it out, which [`Objects::follow`] has told.
    pub fn stands(&mut self, member: &Member, standing: Standing) -> Option<Change> {
        let path = self.path_of(member);
        let object = self.instances.get_mut(&path)?;
        if object.name != member.name {
            return None;
        }
        let before = std::mem::replace(&mut object.standing, standing);
        Some(Change {
            path,
            standing,
            is_new: before != standing,
        })
    }

    /// Nobody does VRRP: all are as before their start.
    pub fn nobody_stands(&mut self) -> Vec<Change> {
        let standing = Standing::Init;
        let others = self.instances.iter_mut();
        let others = others.filter(|(_, it)| it.standing != standing);
        others
            .map(|(path, it)| {
                it.standing = standing;
                Change {
                    path: path.clone(),
                    standing,
                    is_new: true,
                }
            })
            .collect()
    }

    /// What follows from a call.
    pub fn answer(&self, call: &Call) -> Answer {
        let own = self.own_interface(&call.path);
        if let Some(wanted) = call.interface.as_deref()
            && wanted != INTROSPECTABLE
            && wanted != PEER
        {
            let Some(own) = own else {
                return self.no_object(&call.path);
            };
            if wanted != own && wanted != PROPERTIES {
                let path = &call.path;
                let text = format!("No such interface “{wanted}” on object at path {path}");
                return Answer::Refused(error::UNKNOWN, text);
            }
        }
        let is_served = |interface: &str| match &call.interface {
            Some(wanted) => wanted == interface,
            None => [INTROSPECTABLE, PEER].contains(&interface) || own == Some(interface),
        };
        let mut methods = METHODS.iter();
        let found = methods.find(|(interface, member, _)| {
            *member == call.member
                && (is_served(interface) || (*interface == PROPERTIES && own.is_some()))
        });
        match found {
            Some((_, _, expected)) if *expected != call.signature => {
                let found = &call.signature;
                let text = format!(
                    "Type of message, “({found})”, does not match expected type “({expected})”"
                );
                Answer::Refused(error::ARGUMENTS, text)
            }
            Some((_, member, _)) => self.carry_out(member, call),
            None if own == Some(VRRP)
                && ["CreateInstance", "DestroyInstance"].contains(&call.member.as_str()) =>
            {
                let text = "Method not implemented".to_owned();
                Answer::Refused(error::NOT_IMPLEMENTED, text)
            }
            None => {
                let text = format!("No such method “{}”", call.member);
                Answer::Refused(error::UNKNOWN, text)
            }
        }
    }

    fn carry_out(&self, member: &str, call: &Call) -> Answer {
        let instance = self.instances.get(&call.path);
        let order = match member {
            "Introspect" => return Answer::Text(self.introspected(&call.path)),
            "Ping" => return Answer::Nothing,
            "GetMachineId" => return Answer::MachineId,
            "Get" | "GetAll" | "Set" => return self.property(member, call, instance),
            "PrintData" => FromService::Show(StateFile::Data),
            "PrintStats" => FromService::Show(StateFile::Statistics),
            "PrintStatsClear" => FromService::Show(StateFile::StatisticsAndClear),
            "ReloadConfig" => FromService::Reload,
            _ => match instance {
                Some(instance) => FromService::Announce(instance.name.clone()),
                None => return self.no_object(&call.path),
            },
        };
        Answer::Order(order)
    }

    fn property(&self, member: &str, call: &Call, instance: Option<&Instance>) -> Answer {
        let refused = |text| Answer::Refused(error::ARGUMENTS, text);
        let word = |at: usize| call.words.get(at).map_or("", String::as_str);
        let (interface, name) = (word(0), word(1));
        if self.own_interface(&call.path) != Some(interface) {
            return refused(format!("No such interface “{interface}”"));
        }
        let all = match instance {
            Some(it) => vec![
                ("Name", Property::Name(it.name.clone())),
                ("State", Property::State(it.standing)),
            ],
            None => Vec::new(),
        };
        if member == "GetAll" {
            return Answer::Properties(all);
        }
        match all.into_iter().find(|(known, _)| *known == name) {
            None => refused(format!("No such property “{name}”")),
            Some(_) if member == "Set" => refused(format!("Property “{name}” is not writable")),
            Some((_, value)) => Answer::Property(value),
        }
    }

    fn own_interface(&self, path: &str) -> Option<&'static str> {
        if path == self.vrrp {
            Some(VRRP)
        } else {
            self.instances.contains_key(path).then_some(INSTANCE)
        }
    }

    fn no_object(&self, path: &str) -> Answer {
        let below = path.strip_prefix(self.root.as_str());
        match below.and_then(|it| it.strip_prefix("/Instance/")) {
            Some(which) if which.split('/').count() == 3 => {
                let text = format!("Instance '{which}' not found");
                Answer::Refused(error::ARGUMENTS, text)
            }
            _ => {
                let text = format!("Object does not exist at path “{path}”");
                Answer::Refused(error::UNKNOWN, text)
            }
        }
    }

    fn path_of(&self, member: &Member) -> String {
        let interface = match member.interface.as_str() {
            "" => self.no_interface.clone(),
            name => element(name),
        };
        let family = if member.ipv6 { "IPv6" } else { "IPv4" };
        let Self { root, .. } = self;
        format!("{root}/Instance/{interface}/{}/{family}", member.vrid)
    }

    /// What is at `path` and below, as XML (D-Bus specification, "Introspection Data
    /// Format").
    fn introspected(&self, path: &str) -> String {
        let mut xml = XML_HEAD.to_owned();
        match self.own_interface(path) {
            Some(own) => {
                xml.push_str(XML_STANDARD);
                xml.push_str(if own == VRRP { XML_VRRP } else { XML_INSTANCE });
            }
            None => {
                for name in self.children(path) {
                    // Writing to a text does not fail.
                    let _ = writeln!(xml, "  <node name=\"{name}\"/>");
                }
            }
        }
        xml.push_str("</node>\n");
        xml
    }

    fn children(&self, path: &str) -> BTreeSet<&str> {
        let above = path.trim_end_matches('/');
        let paths = self.instances.keys().chain([&self.vrrp]);
        let below = paths.filter_map(|it| it.strip_prefix(above)?.strip_prefix('/'));
        below.filter_map(|rest| rest.split('/').next()).collect()
    }
}

/// A word as a part of a path, which has letters, digits and `_` only.
fn element(word: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    match word {
        "" => "_".to_owned(),
        _ => word.chars().map(allowed).collect(),
    }
}

const XML_HEAD: &str = r#"<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
                      "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
"#;

const XML_STANDARD: &str = r#"  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg type="s" name="interface_name" direction="in"/>
      <arg type="s" name="property_name" direction="in"/>
      <arg type="v" name="value" direction="out"/>
    </method>
    <method name="GetAll">
      <arg type="s" name="interface_name" direction="in"/>
      <arg type="a{sv}" name="properties" direction="out"/>
    </method>
    <method name="Set">
      <arg type="s" name="interface_name" direction="in"/>
      <arg type="s" name="property_name" direction="in"/>
      <arg type="v" name="value" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg type="s" name="interface_name"/>
      <arg type="a{sv}" name="changed_properties"/>
      <arg type="as" name="invalidated_properties"/>
    </signal>
  </interface>
  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg type="s" name="xml_data" direction="out"/>
    </method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId">
      <arg type="s" name="machine_uuid" direction="out"/>
    </method>
  </interface>
"#;

const XML_VRRP: &str = r#"  <interface name="org.keepalived.Vrrp1.Vrrp">
    <method name="PrintData"/>
    <method name="PrintStats"/>
    <method name="PrintStatsClear"/>
    <method name="ReloadConfig"/>
    <signal name="VrrpStarted"/>
    <signal name="VrrpReloaded"/>
    <signal name="VrrpStopped"/>
  </interface>
"#;

const XML_INSTANCE: &str = r#"  <interface name="org.keepalived.Vrrp1.Instance">
    <method name="SendGarp"/>
    <signal name="VrrpStatusChange">
      <arg type="u" name="status"/>
    </signal>
    <property type="(s)" name="Name" access="read"/>
    <property type="(us)" name="State" access="read"/>
  </interface>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            service_name: "org.keepalived.Vrrp1".to_owned(),
            namespace: None,
            instance: None,
            no_interface: "none".to_owned(),
        }
    }

    fn member(name: &str, interface: &str, vrid: u8, ipv6: bool) -> Member {
        let (name, interface) = (name.to_owned(), interface.to_owned());
        Member {
            name,
            interface,
            vrid,
            ipv6,
            notify_deleted: false,
        }
    }

    fn objects() -> Objects {
        let mut objects = Objects::new(&settings());
        objects.follow(vec![
            member("VI_1", "eth0", 51, false),
            member("VI_2", "", 52, true),
        ]);
        objects
    }

    const VI_1: &str = "/org/keepalived/Vrrp1/Instance/eth0/51/IPv4";
    const DAEMON: &str = "/org/keepalived/Vrrp1/Vrrp";

    fn call(path: &str, method: &str, signature: &str, words: &[&str]) -> Call {
        let (interface, member) = method.rsplit_once('.').expect("interface.method");
        Call {
            path: path.to_owned(),
            interface: (!interface.is_empty()).then(|| interface.to_owned()),
            member: member.to_owned(),
            signature: signature.to_owned(),
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    fn state_of(objects: &Objects, path: &str) -> Answer {
        let words = [INSTANCE, "State"];
        objects.answer(&call(
            path,
            "org.freedesktop.DBus.Properties.Get",
            "ss",
            &words,
        ))
    }

    fn refused(answer: &Answer) -> (&str, &str) {
        match answer {
            Answer::Refused(name, text) => {
                let (_, last) = name.rsplit_once('.').expect("a name");
                (last, text)
            }
            other => panic!("refused, not {other:?}"),
        }
    }

    #[test]
    fn paths_have_letters_digits_and_underscores() {
        let strange = Settings {
            namespace: Some("blue-1".to_owned()),
            instance: Some("a/b".to_owned()),
            no_interface: "no one".to_owned(),
            ..settings()
        };
        let mut objects = Objects::new(&strange);
        let root = "/org/keepalived/Vrrp1/blue_1/a_b";
        assert_eq!(objects.vrrp(), format!("{root}/Vrrp"));
        let long = "e".repeat(100_000);
        let long_path = format!("{long}/7/IPv4");
        let members = [
            (&*long, false, &*long_path),
            ("v-x.1", false, "v_x_1/7/IPv4"),
            ("", true, "no_one/7/IPv6"),
            ("\u{e9}\u{0}\"", false, "___/7/IPv4"),
        ];
        for (interface, ipv6, path) in members {
            let member = member("VI", interface, 7, ipv6);
            objects.follow(vec![member.clone()]);
            let change = objects.stands(&member, Standing::Backup);
            let path = format!("{root}/Instance/{path}");
            assert_eq!(change.map(|it| it.path), Some(path));
        }
    }

    #[test]
    fn a_state_is_told_and_kept() {
        let mut objects = objects();
        let init = Answer::Property(Property::State(Standing::Init));
        assert_eq!(state_of(&objects, VI_1), init);
        let vi_1 = member("VI_1", "eth0", 51, false);
        let change = |is_new| {
            Some(Change {
                path: VI_1.to_owned(),
                standing: Standing::Master,
                is_new,
            })
        };
        let told = objects.stands(&vi_1, Standing::Master);
        assert_eq!(told, change(true));
        assert_eq!(objects.stands(&vi_1, Standing::Master), change(false));
        let master = Answer::Property(Property::State(Standing::Master));
        assert_eq!(state_of(&objects, VI_1), master);
        let gone: Vec<String> = objects
            .nobody_stands()
            .into_iter()
            .map(|it| it.path)
            .collect();
        assert_eq!(gone, [VI_1], "the other one has not begun");
        assert_eq!(state_of(&objects, VI_1), init);
    }

    #[test]
    fn an_object_that_goes_says_so() {
        let mut objects = objects();
        let vi_1 = member("VI_1", "eth0", 51, false);
        objects.stands(&vi_1, Standing::Master);
        let mut renamed = member("new name", "", 52, true);
        renamed.notify_deleted = true;
        let followed = objects.follow(vec![renamed.clone()]);
        let [(name, Some(last))] = &*followed.gone else {
            panic!("one is gone, not {followed:?}");
        };
        assert_eq!((&**name, last.standing), ("VI_1", Standing::Fault));
        let text = "Instance 'eth0/51/IPv4' not found";
        assert_eq!(refused(&state_of(&objects, VI_1)), ("InvalidArgs", text));
        // What it did last comes too late.
        assert_eq!(objects.stands(&vi_1, Standing::Fault), None);
        assert!(objects.stands(&renamed, Standing::Fault).is_some());

        let followed = objects.follow(vec![vi_1]);
        let last = followed.gone.first().and_then(|(_, last)| last.as_ref());
        assert_eq!(last.map(|it| it.standing), Some(Standing::Deleted));
        let followed = objects.follow(Vec::new());
        let silent = [("VI_1".to_owned(), None)];
        assert_eq!(followed.gone, silent, "it had not begun");
    }

    #[test]
    fn of_two_with_one_path_the_first_has_it() {
        let mut objects = Objects::new(&settings());
        let (dot, dash) = (
            member("dot", "e.1", 5, false),
            member("dash", "e-1", 5, false),
        );
        let followed = objects.follow(vec![dot.clone(), dash.clone()]);
        let path = "/org/keepalived/Vrrp1/Instance/e_1/5/IPv4";
        let without = [(path.to_owned(), "dash".to_owned())];
        assert_eq!(followed.without_path, without);
        assert_eq!(objects.stands(&dash, Standing::Master), None);
        assert!(objects.stands(&dot, Standing::Backup).is_some());
        let backup = Answer::Property(Property::State(Standing::Backup));
        assert_eq!(state_of(&objects, path), backup);
    }

    #[test]
    fn orders_are_known_and_what_is_wrong_is_refused() {
        let objects = objects();
        let ask = |path: &str, method: &str, signature: &str| {
            objects.answer(&call(path, method, signature, &[]))
        };
        let show = |file| Answer::Order(FromService::Show(file));
        let print = "org.keepalived.Vrrp1.Vrrp.PrintData";
        assert_eq!(ask(DAEMON, print, ""), show(StateFile::Data));
        assert_eq!(ask(DAEMON, ".PrintData", ""), show(StateFile::Data));
        let clear = "org.keepalived.Vrrp1.Vrrp.PrintStatsClear";
        let expected = show(StateFile::StatisticsAndClear);
        assert_eq!(ask(DAEMON, clear, ""), expected);
        let garp = "org.keepalived.Vrrp1.Instance.SendGarp";
        let expected = Answer::Order(FromService::Announce("VI_1".to_owned()));
        assert_eq!(ask(VI_1, garp, ""), expected);

        let cases = [
            (DAEMON, garp, "", "UnknownMethod"),
            (VI_1, print, "", "UnknownMethod"),
            (VI_1, ".PrintData", "", "UnknownMethod"),
            (DAEMON, print, "s", "InvalidArgs"),
            ("/", print, "", "UnknownMethod"),
            ("/nonsense", garp, "", "UnknownMethod"),
            (
                "/org/keepalived/Vrrp1/Instance/eth0/9/IPv4",
                garp,
                "",
                "InvalidArgs",
            ),
            (
                DAEMON,
                "org.keepalived.Vrrp1.Vrrp.Nonsense",
                "",
                "UnknownMethod",
            ),
        ];
        for (path, method, signature, error) in cases {
            let answer = ask(path, method, signature);
            assert_eq!(refused(&answer).0, error, "{method} at {path}");
        }
        for method in ["CreateInstance", "DestroyInstance"] {
            let answer = ask(DAEMON, &format!("{VRRP}.{method}"), "s");
            let expected = ("MatchRuleNotFound", "Method not implemented");
            assert_eq!(refused(&answer), expected);
        }
    }

    #[test]
    fn properties_are_read_only() {
        let objects = objects();
        let set = "org.freedesktop.DBus.Properties.Set";
        let answer = objects.answer(&call(VI_1, set, "ssv", &[INSTANCE, "Name"]));
        let text = "Property “Name” is not writable";
        assert_eq!(refused(&answer), ("InvalidArgs", text));
        let all = "org.freedesktop.DBus.Properties.GetAll";
        let answer = objects.answer(&call(VI_1, all, "s", &[INSTANCE]));
        let expected = vec![
            ("Name", Property::Name("VI_1".to_owned())),
            ("State", Property::State(Standing::Init)),
        ];
        assert_eq!(answer, Answer::Properties(expected));
        let answer = objects.answer(&call(DAEMON, all, "s", &[VRRP]));
        assert_eq!(answer, Answer::Properties(Vec::new()));
        let answer = objects.answer(&call(DAEMON, all, "s", &[INSTANCE]));
        assert_eq!(refused(&answer).0, "InvalidArgs");
    }

    #[test]
    fn every_path_tells_what_is_below() {
        let objects = objects();
        let below = |path: &str| -> Vec<String> {
            let method = "org.freedesktop.DBus.Introspectable.Introspect";
            let Answer::Text(xml) = objects.answer(&call(path, method, "", &[])) else {
                panic!("no text for {path}");
            };
            let names = xml.split("<node name=\"").skip(1);
            names
                .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
                .collect()
        };
        assert_eq!(below("/"), ["org"]);
        assert_eq!(below("/org"), ["keepalived"]);
        assert_eq!(below("/org/keepalived/Vrrp1"), ["Instance", "Vrrp"]);
        let instances = "/org/keepalived/Vrrp1/Instance";
        assert_eq!(below(instances), ["eth0", "none"]);
        assert_eq!(below(&format!("{instances}/none/52")), ["IPv6"]);
        assert_eq!(below(VI_1), [""; 0]);
        assert_eq!(below("/org/keep"), [""; 0]);
    }
}
