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

/// All objects.
#[derive(Debug)]
pub struct Objects {
    /// The path that all paths begin with.
    root: String,
    no_interface: String,
    /// The path of the daemon's own object.
    vrrp: String,
    instances: BTreeMap<String, Instance>,
    /// Instances, by path and name, whose path is another one's.
    without_path: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Instance {
    name: String,
    standing: Standing,
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
            without_path: BTreeSet::new(),
        }
    }

    /// The path of the daemon's own object.
    pub fn vrrp(&self) -> &str {
        &self.vrrp
    }

    /// These are the instances from now on. Gives the paths of which some instance
    /// already has the name, with the instance that goes without.
    pub fn follow(&mut self, members: Vec<Member>) -> Vec<(String, String)> {
        let mut before = std::mem::take(&mut self.instances);
        self.without_path.clear();
        for member in members {
            let path = self.path_of(&member);
            if self.instances.contains_key(&path) {
                self.without_path.insert((path, member.name));
                continue;
            }
            let standing = before.remove(&path).map(|it| it.standing);
            let instance = Instance {
                name: member.name,
                standing: standing.unwrap_or_default(),
            };
            self.instances.insert(path, instance);
        }
        self.without_path.iter().cloned().collect()
    }

    /// An instance stands there now; `None` if it has no object.
    pub fn stands(&mut self, member: Member, standing: Standing) -> Option<Change> {
        let path = self.path_of(&member);
        let name = member.name;
        if self.without_path.contains(&(path.clone(), name.clone())) {
            return None;
        }
        let before = match standing {
            // What ends is not there any more if it was not there before.
            Standing::Stop | Standing::Deleted => {
                let object = self.instances.get_mut(&path);
                object.map(|it| std::mem::replace(&mut it.standing, standing))
            }
            _ => {
                let now = Instance { name, standing };
                let before = self.instances.insert(path.clone(), now);
                before.map(|it| it.standing)
            }
        };
        Some(Change {
            path,
            standing,
            is_new: before != Some(standing),
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
#[path = "objects_tests.rs"]
mod tests;
