//! Tracked things: what names stand for, which weights remain, and what nobody
//! uses (specification D.1 to D.5, F.8).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::super::keywords::tracking::{self as draft, Kind};
use super::super::keywords::{root, track_file, vrrp_instance, vrrp_script, vrrp_track_process};
use super::super::lex::{Origin, Word};
use super::super::model::{
    Instance, Script, ScriptUser, TrackBfd, TrackFile, TrackInterface, TrackProcess, TrackScript,
    TrackedFile, TrackedProcess,
};
use super::Resolver;

/// Everything that can be tracked by name.
pub(super) struct Definitions<'d> {
    scripts: Table<'d, Script>,
    files: Table<'d, TrackedFile>,
    processes: Table<'d, TrackedProcess>,
    /// Weights of scripts belong to the line that tracks them.
    script_drafts: &'d [vrrp_script::Draft],
    used_scripts: HashSet<usize>,
    suggestions: usize,
}

/// Searching for the nearest name is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;

/// Definitions in the order of the file.
struct Table<'d, T> {
    names: Vec<&'d Word>,
    values: Vec<Arc<T>>,
    /// The first of each name; C finds only that one.
    by_name: HashMap<&'d str, usize>,
}

impl<'d, T> Table<'d, T> {
    fn new(definitions: impl Iterator<Item = (&'d Word, T)>) -> Self {
        let mut table = Self {
            names: Vec::new(),
            values: Vec::new(),
            by_name: HashMap::new(),
        };
        for (name, value) in definitions {
            let index = table.values.len();
            table.by_name.entry(name.text.as_str()).or_insert(index);
            table.names.push(name);
            table.values.push(Arc::new(value));
        }
        table
    }

    fn find(&self, name: &str) -> Option<(usize, Arc<T>)> {
        let index = *self.by_name.get(name)?;
        Some((index, self.values.get(index)?.clone()))
    }

    /// Those that are the first of their name.
    fn unique(self) -> Vec<Arc<T>> {
        let Self {
            names,
            values,
            by_name,
        } = self;
        let values = names.into_iter().zip(values).enumerate();
        values
            .filter(|(index, (name, _))| by_name.get(name.text.as_str()) == Some(index))
            .map(|(_, (_, value))| value)
            .collect()
    }
}

/// What goes into the configuration.
pub(super) struct Tracked {
    pub(super) scripts: Vec<Arc<Script>>,
    pub(super) files: Vec<Arc<TrackedFile>>,
    pub(super) processes: Vec<Arc<TrackedProcess>>,
}

impl<'d> Definitions<'d> {
    pub(super) fn new(draft: &'d root::Draft) -> Self {
        let user = draft.globals.globals.script_user.as_ref();
        let scripts = draft.scripts.iter();
        let files = draft.track_files.iter();
        let processes = draft.track_processes.iter();
        Self {
            scripts: Table::new(
                scripts.filter_map(|draft| Some((&draft.name, script(draft, user)?))),
            ),
            files: Table::new(files.filter_map(|draft| Some((&draft.name, file(draft)?)))),
            processes: Table::new(
                processes.filter_map(|draft| Some((&draft.name, process(draft)?))),
            ),
            script_drafts: &draft.scripts,
            used_scripts: HashSet::new(),
            suggestions: 0,
        }
    }

    /// The scripts that are tracked, and all files and processes.
    pub(super) fn finish(self, found: &mut Collector) -> Tracked {
        let mut scripts = Vec::new();
        let all = self.scripts.names.iter().zip(self.scripts.values);
        for (index, (name, script)) in all.enumerate() {
            if self.used_scripts.contains(&index) {
                scripts.push(script);
                continue;
            }
            let text = format!("Warning - script {} is not used", name.text);
            let diagnostic = Diagnostic::new("unused-script", Severity::Warning, Class::None, text);
            found.push(diagnostic.at(&name.origin).after_reading());
        }
        Tracked {
            scripts,
            files: self.files.unique(),
            processes: self.processes.unique(),
        }
    }

    fn names(&self, kind: Kind) -> &[&'d Word] {
        match kind {
            Kind::Script => &self.scripts.names,
            Kind::File => &self.files.names,
            Kind::Process => &self.processes.names,
            Kind::Interface | Kind::Bfd => &[],
        }
    }

    /// Where something of this name is defined.
    fn place(&self, kind: Kind, name: &str) -> Option<Origin> {
        let index = match kind {
            Kind::Script => self.scripts.by_name.get(name),
            Kind::File => self.files.by_name.get(name),
            Kind::Process => self.processes.by_name.get(name),
            Kind::Interface | Kind::Bfd => None,
        };
        Some(self.names(kind).get(*index?)?.origin)
    }

    /// What may help somebody who tracks a name that nothing above defines.
    fn explain(&mut self, kind: Kind, name: &str, diagnostic: Diagnostic) -> Diagnostic {
        if let Some(later) = self.place(kind, name) {
            let help = format!("A `{}` must stand before who tracks it.", kind.definition());
            return diagnostic.label(later.span, "it is here").help(help);
        }
        if self.suggestions >= SUGGESTIONS_MAX {
            return diagnostic;
        }
        let names = self.names(kind);
        let near = names
            .iter()
            .take(100)
            .map(|word| (strsim::osa_distance(&word.text, name), word.text.as_str()))
            .filter(|(distance, _)| *distance <= 2)
            .min();
        let near = near.map(|(_, near)| format!("Did you mean `{near}`?"));
        self.suggestions = self.suggestions.saturating_add(1);
        match near {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

/// Every draft has a command; one without was dropped when its block ended.
fn script(draft: &vrrp_script::Draft, user: Option<&ScriptUser>) -> Option<Script> {
    let (mut command, _) = draft.command.clone()?;
    command.user = draft.user.as_ref().map(|(user, _)| user).or(user).cloned();
    Some(Script {
        name: draft.name.text.clone(),
        command,
        interval: draft.interval,
        timeout: draft.timeout.unwrap_or(draft.interval),
        rise: draft.rise,
        fall: draft.fall,
        init_fail: draft.init_fail,
    })
}

fn file(draft: &track_file::Draft) -> Option<TrackedFile> {
    Some(TrackedFile {
        name: draft.name.text.clone(),
        path: draft.path.clone()?,
        weight: draft.weight.unwrap_or(1),
        reverse: draft.reverse,
        initial_value: draft.initial_value,
        overwrite: draft.overwrite,
    })
}

fn process(draft: &vrrp_track_process::Draft) -> Option<TrackedProcess> {
    let (program, parameters) = draft.process.clone()?;
    Some(TrackedProcess {
        name: draft.name.text.clone(),
        program,
        parameters,
        parameter_match: draft.parameter_match,
        weight: draft.weight.unwrap_or(0),
        reverse: draft.reverse,
        quorum: draft.quorum,
        quorum_max: draft.quorum_max,
        terminate_delay: draft.terminate_delay,
        fork_delay: draft.fork_delay,
        full_command: draft.full_command,
    })
}

/// The tracked things of an instance or group, each with the place of its line.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) interfaces: Vec<(TrackInterface, Origin)>,
    pub(super) scripts: Vec<(TrackScript, Origin)>,
    pub(super) files: Vec<(TrackFile, Origin)>,
    pub(super) processes: Vec<(TrackProcess, Origin)>,
    pub(super) bfds: Vec<(TrackBfd, Origin)>,
}

/// Values without their places.
pub(super) fn plain<T>(lines: Vec<(T, Origin)>) -> Vec<T> {
    lines.into_iter().map(|(value, _)| value).collect()
}

impl Resolver<'_, '_> {
    /// What an instance tracks.
    pub(super) fn tracking(&mut self, draft: &vrrp_instance::Draft, instance: &mut Instance) {
        let Some(tracking) = &draft.tracking else {
            return;
        };
        let name = draft.name.text.clone();
        let mut lines = self.lines(&name, tracking);
        lines.interfaces.retain(|(line, origin)| {
            let is_own = *line.interface == *instance.interface;
            if is_own {
                let text = format!(
                    "({name}) Ignoring track_interface {} since own interface",
                    line.interface
                );
                self.warn("own-interface", text, origin);
            }
            !is_own
        });
        let in_group = self
            .group_of(&name)
            .is_some_and(|group| !group.tracking_weight);
        if instance.priority.is_owner() {
            self.drop_weights(&name, "address_owner", "address owner", &mut lines);
        } else if in_group {
            self.drop_weights(&name, "SYNC group", "SYNC group", &mut lines);
        }
        instance.track_interfaces = plain(lines.interfaces);
        instance.track_scripts = plain(lines.scripts);
        instance.track_files = plain(lines.files);
        instance.track_processes = plain(lines.processes);
        instance.track_bfds = plain(lines.bfds);
    }

    /// Resolves the names; tells of those that nothing defines.
    pub(super) fn lines(&mut self, owner: &str, draft: &draft::Draft) -> Lines {
        let mut lines = Lines::default();
        for line in &draft.interfaces {
            let interface = line.name.text.clone();
            if self.machine.interface(&interface).is_none() {
                let text = format!("({owner}) tracked interface {interface} doesn't exist");
                self.on_machine("no-such-interface", text, &line.name.origin);
            }
            let tracked = TrackInterface {
                interface,
                weight: line.weight.unwrap_or(0),
                reverse: line.reverse.unwrap_or(false),
            };
            lines.interfaces.push((tracked, line.name.origin));
        }
        for line in &draft.scripts {
            lines.scripts.extend(self.script_line(line));
        }
        for line in &draft.files {
            if let Some((_, file)) = self.definitions.files.find(&line.name.text) {
                let weight = line.weight.unwrap_or(file.weight);
                let reverse = line.reverse.unwrap_or(file.reverse);
                let tracked = TrackFile {
                    file,
                    weight,
                    reverse,
                };
                lines.files.push((tracked, line.name.origin));
            }
        }
        for line in &draft.processes {
            if let Some((_, process)) = self.definitions.processes.find(&line.name.text) {
                let weight = line.weight.unwrap_or(process.weight);
                let reverse = line.reverse.unwrap_or(process.reverse);
                let tracked = TrackProcess {
                    process,
                    weight,
                    reverse,
                };
                lines.processes.push((tracked, line.name.origin));
            }
        }
        for line in &draft.bfds {
            let tracked = TrackBfd {
                name: line.name.text.clone(),
                weight: line.weight.unwrap_or(0),
                reverse: line.reverse.unwrap_or(false),
            };
            lines.bfds.push((tracked, line.name.origin));
        }
        lines
    }

    /// C has forgotten the script by now; here it is tracked, and it fails.
    fn tell_of_removed(&mut self, owner: &str, line: &draft::Line) {
        let name = &line.name.text;
        if self.scripts.removed.contains(name) {
            let text = format!("({owner}) track script {name} not found, ignoring...");
            let help = "Nobody can run it on this machine: here it counts as failed.";
            let diagnostic = Diagnostic::warning("no-such-script", text).help(help);
            self.found.push(diagnostic.at(&line.name.origin));
        }
    }

    fn script_line(&mut self, line: &draft::Line) -> Option<(TrackScript, Origin)> {
        let (index, script) = self.definitions.scripts.find(&line.name.text)?;
        let definition = self.definitions.script_drafts.get(index)?;
        self.definitions.used_scripts.insert(index);
        let tracked = TrackScript {
            script,
            weight: line.weight.unwrap_or(definition.weight),
            reverse: line.reverse.unwrap_or(definition.reverse),
        };
        Some((tracked, line.name.origin))
    }

    /// Tells of names that nothing defines. C does so while it reads, whatever
    /// becomes of their owner.
    pub(super) fn tell_of_missing(&mut self, owner: &str, draft: &draft::Draft) {
        for line in &draft.scripts {
            self.tell_of_removed(owner, line);
        }
        for (kind, name) in &draft.missing {
            let text = format!(
                "({owner}) {} {} not found, ignoring...",
                kind.words(),
                name.text
            );
            let code = match kind {
                Kind::Script => "no-such-script",
                _ => "no-such-tracked",
            };
            let diagnostic = Diagnostic::error(code, text).at(&name.origin);
            let diagnostic = self.definitions.explain(*kind, &name.text, diagnostic);
            self.found.push(diagnostic);
        }
    }

    /// Weights cannot move the priority of an address owner, and not that of a
    /// member of a group: what has one is left out, or counts as FAULT.
    fn drop_weights(&mut self, owner: &str, why: &str, why_interface: &str, lines: &mut Lines) {
        let is_owner = why == "address_owner";
        for (line, origin) in &mut lines.interfaces {
            if line.weight != 0 {
                let what = if is_owner { "" } else { "weight " };
                let text = format!(
                    "({owner}) ignoring {} tracked interface {what}due to {why_interface}",
                    line.interface
                );
                self.warn("ignored-weight", text, origin);
            }
        }
        lines
            .interfaces
            .retain(|(line, _)| !is_owner || line.weight == 0);
        for (line, _) in &mut lines.interfaces {
            line.weight = 0;
            // Without a weight C knows no reverse for interfaces either.
        }
        lines.scripts.retain(|(line, origin)| {
            let name = &line.script.name;
            if self.scripts.disabled.contains(name) {
                // C has told that it is not there at all.
                return line.weight == 0;
            }
            let text =
                format!("({owner}) ignoring tracked script {name} with weights due to {why}");
            self.warn_unless(line.weight == 0, text, origin)
        });
        lines.files.retain_mut(|(line, origin)| {
            let name = &line.file.name;
            if line.weight == 1 {
                let text = format!(
                    "({owner}) ignoring weight from tracked file {name} due to {why}. specify \
                     weight 0"
                );
                self.warn("ignored-weight", text, origin);
                line.weight = 0;
                return true;
            }
            let text = format!(
                "({owner}) ignoring tracked file {name} with weight {} due to {why}",
                line.weight
            );
            self.warn_unless(line.weight == 0, text, origin)
        });
        lines.bfds.retain(|(line, origin)| {
            let text = format!(
                "({owner}) ignoring tracked bfd {} with weight {} due to {why}",
                line.name, line.weight
            );
            self.warn_unless(line.weight == 0, text, origin)
        });
    }

    fn warn_unless(&mut self, fine: bool, text: String, origin: &Origin) -> bool {
        if !fine {
            self.warn("ignored-weight", text, origin);
        }
        fine
    }
}
