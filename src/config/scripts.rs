//! What is told about the commands of a configuration.
//!
//! Decides which findings about users and permissions are told, and in whose
//! words. What the machine has is asked through [`Machine`]. Nothing here
//! changes the configuration or keeps a daemon from starting: a script that
//! cannot run is kept, and it fails. Source: specification B.3 (script user
//! resolution), D.8.

use std::collections::{HashMap, HashSet};

use super::diagnostic::{Class, Collector, Diagnostic, Severity};
use super::keywords::{root, vrrp_script};
use super::lex::Origin;
use super::machine::{Machine, ScriptFinding};
use super::model::{Command, ScriptUser};

/// The user of scripts whose configuration names none, if it exists.
pub const DEFAULT_USER: &str = "keepalived_script";

/// A command of the configuration, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptUse {
    /// Where the command stands.
    pub origin: Origin,
    /// The keyword of its line.
    pub keyword: String,
    /// A user can stand behind the command; if not, a line of the block says.
    pub takes_user: bool,
    /// The command, with the user that stands behind it, or in the block of a
    /// checker.
    pub command: Command,
    /// What runs it.
    pub owner: Owner,
}

/// What runs a command, where it matters for what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An instance, a server, a FIFO, the daemon.
    Other,
    /// This one of the sync groups. Without members there is no such group.
    SyncGroup(usize),
    /// A checker, whose block ends there.
    Checker(Origin),
}

/// Tells what is wrong with the commands of a configuration, and returns what
/// is to be told in the end.
pub fn check(draft: &root::Draft, machine: &dyn Machine, found: &mut Collector) -> Violations {
    let globals = &draft.globals.globals;
    let security = globals.enable_script_security;
    let mut checker = Checker {
        machine,
        found,
        security,
        supplementary_groups: globals.set_supplementary_groups,
        default_user: globals.script_user.as_ref(),
        told_of_default_user: false,
        violations: Violations::default(),
    };
    let with_place = draft.scripts.iter().filter_map(|script| {
        let (_, place) = script.command.as_ref()?;
        Some((*place, script))
    });
    let blocks: HashMap<Origin, &vrrp_script::Draft> = with_place.collect();
    let memberless = memberless_groups(draft);
    // C reads `global_defs` first, then what the checkers need.
    for group in [Group::StartOrShutdown, Group::Checker, Group::Vrrp] {
        let uses = draft.scripts_seen.iter();
        for used in uses.filter(|used| Group::of(&used.keyword) == group) {
            match (group, blocks.get(&used.origin)) {
                (Group::StartOrShutdown, _) => checker.start_or_shutdown(used),
                (_, Some(script)) => checker.tracked(script),
                // A `vrrp_script` that was removed, or a line that a later one replaced.
                (Group::Vrrp, None) if !used.takes_user => {}
                (_, None) => match used.owner {
                    Owner::Checker(end) => checker.misc_check(used, &end),
                    Owner::SyncGroup(index) if memberless.contains(&index) => {
                        checker.has_user(used.command.user.as_ref(), &used.origin);
                    }
                    Owner::Other | Owner::SyncGroup(_) => checker.notify(used, group),
                },
            }
        }
    }
    checker.violations
}

/// The sync groups that come to nothing. An instance belongs to the first group
/// that names it.
fn memberless_groups(draft: &root::Draft) -> HashSet<usize> {
    let mut taken = HashSet::new();
    let mut memberless = HashSet::new();
    for (index, group) in draft.sync_groups.iter().enumerate() {
        let before = taken.len();
        let members = group.members.iter().flatten().map(|word| &word.text);
        taken.extend(members.filter(|name| draft.instance_names.contains(*name)));
        if taken.len() == before {
            memberless.insert(index);
        }
    }
    memberless
}

/// What runs although nobody looks at its permissions.
#[derive(Debug, Default)]
pub struct Violations {
    /// `vrrp_script` blocks that C removes while it reads, because nobody can run
    /// them.
    pub removed: HashSet<String>,
    /// `vrrp_script` blocks that C takes out of all instances, because they cannot
    /// be run.
    pub disabled: HashSet<String>,
    start: Violation,
    track: Violation,
    check: Violation,
}

#[derive(Debug, Default)]
struct Violation {
    /// A command of this kind.
    place: Option<Origin>,
    insecure: bool,
}

/// Commands that C warns of together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    StartOrShutdown,
    Checker,
    Vrrp,
}

impl Group {
    fn of(keyword: &str) -> Self {
        match keyword {
            "startup_script" | "shutdown_script" => Self::StartOrShutdown,
            "misc_path"
            | "quorum_up"
            | "quorum_down"
            | "notify_up"
            | "notify_down"
            | "lvs_notify_fifo_script" => Self::Checker,
            _ => Self::Vrrp,
        }
    }
}

impl Violations {
    /// C's warning about scripts without checks of their permissions, which
    /// comes after everything else.
    pub fn finish(self, found: &mut Collector) {
        let kinds = [
            (self.start, "start/shutdown scripts"),
            (self.check, "check scripts"),
            (self.track, "scripts"),
        ];
        for (violation, scripts) in kinds {
            let Some(place) = violation.place else {
                continue;
            };
            let insecure = match violation.insecure {
                true => " There are insecure scripts.",
                false => "",
            };
            let text = format!(
                "SECURITY VIOLATION - {scripts} are being executed but script_security not \
                 enabled.{insecure}"
            );
            let code = "script-security";
            let help = "Add `enable_script_security` to `global_defs`, and `script_user NAME` \
                        unless there is a user keepalived_script.";
            let diagnostic = Diagnostic::new(code, Severity::Warning, Class::Security, text);
            found.push(diagnostic.at(&place).after_reading().help(help));
        }
    }

    fn of(&mut self, group: Group) -> &mut Violation {
        match group {
            Group::StartOrShutdown => &mut self.start,
            Group::Checker => &mut self.check,
            Group::Vrrp => &mut self.track,
        }
    }
}

struct Checker<'a> {
    machine: &'a dyn Machine,
    found: &'a mut Collector,
    security: bool,
    supplementary_groups: bool,
    /// `script_user`
    default_user: Option<&'a ScriptUser>,
    told_of_default_user: bool,
    violations: Violations,
}

/// What is told of a script that is kept although C drops it.
const KEPT: &str =
    "C keepalived goes on as if the script were not there; here it counts as failed.";

impl Checker<'_> {
    /// A script of an instance, a group, a server or a FIFO: what is wrong with it
    /// is only logged by C.
    fn notify(&mut self, used: &ScriptUse, group: Group) {
        let user = used.command.user.as_ref();
        if !self.has_user(user, &used.origin) {
            return;
        }
        for finding in self.examine(&used.command, user, &used.origin, group) {
            self.tell(&finding, &used.origin);
        }
    }

    /// A script of a checker; C goes on without it. Its line about a user who does
    /// not exist comes from the row.
    fn misc_check(&mut self, used: &ScriptUse, end: &Origin) {
        let user = used.command.user.as_ref();
        if user.is_some_and(|user| !self.machine.user_exists(user)) {
            return;
        }
        if !self.has_user(user, end) {
            let script = quoted(&used.command.argv);
            let text = format!("Unable to set default user for misc script {script} - removing");
            let diagnostic = Diagnostic::warning("script-default-user", text).at(end);
            let help = "Add `script_user NAME` to `global_defs`, or `user NAME` to the block.";
            self.found.push(diagnostic.help(help));
            return;
        }
        for finding in self.examine(&used.command, user, &used.origin, Group::Checker) {
            self.tell(&finding, &used.origin);
        }
    }

    fn start_or_shutdown(&mut self, used: &ScriptUse) {
        let kind = used.keyword.trim_end_matches("_script");
        let user = used.command.user.as_ref();
        if !self.has_user(user, &used.origin) {
            let text = format!("Invalid {kind} script");
            let diagnostic = Diagnostic::warning("script-user", text).at(&used.origin);
            self.found
                .push(diagnostic.help("There is no user to run it."));
            return;
        }
        let group = Group::StartOrShutdown;
        for finding in self.examine(&used.command, user, &used.origin, group) {
            self.tell(&finding, &used.origin);
        }
    }

    /// A `vrrp_script` block; C tells of it and goes on without it.
    fn tracked(&mut self, script: &vrrp_script::Draft) {
        let Some((command, origin)) = &script.command else {
            return;
        };
        let name = &script.name.text;
        let user = script.user.as_ref().map(|(user, _)| user);
        if let Some((user, place)) = &script.user
            && !self.machine.user_exists(user)
        {
            self.violations.removed.insert(name.clone());
            let text = format!("Unable to set uid/gid for script {}", quoted(&command.argv));
            let diagnostic = Diagnostic::warning("script-user", text).at(place);
            self.found
                .push(diagnostic.help(no_such_user(user)).help(KEPT));
            return;
        }
        if !self.has_user(user, &script.end) {
            self.violations.removed.insert(name.clone());
            let text = format!("Unable to set default user for vrrp script {name} - removing");
            let diagnostic = Diagnostic::warning("script-default-user", text).at(&script.end);
            let help = "Add `script_user NAME` to `global_defs`, or `user NAME` to the block.";
            let label = "this script";
            let diagnostic = diagnostic.label(script.name.origin.span, label);
            self.found.push(diagnostic.help(help).help(KEPT));
            return;
        }
        for finding in self.examine(command, user, origin, Group::Vrrp) {
            if !finding.disables {
                self.tell(&finding, origin);
                continue;
            }
            self.violations.disabled.insert(name.clone());
            let reason = match finding.security {
                true => "due to insecure",
                false => "since not found/accessible",
            };
            let text = format!("Disabling track script {name} {reason}");
            let mut diagnostic = Diagnostic::warning(finding.code, text).at(origin);
            diagnostic = diagnostic.after_reading().help(finding.text);
            for help in finding.help {
                diagnostic = diagnostic.help(help);
            }
            self.found.push(diagnostic.help(KEPT));
        }
    }

    /// Whether there is a user to run a command; C tells once that there is no
    /// default user.
    fn has_user(&mut self, user: Option<&ScriptUser>, origin: &Origin) -> bool {
        if let Some(user) = user {
            let exists = self.machine.user_exists(user);
            if !exists {
                let class = Class::None;
                let text = no_such_user(user);
                let diagnostic =
                    Diagnostic::new("script-user", Severity::Warning, class, text).at(origin);
                let help = "The words behind a command are the user and the group that run it; \
                            arguments stand in the quotes of the command.";
                self.found.push(diagnostic.help(help));
            }
            return exists;
        }
        if self.has_default_user() {
            return true;
        }
        if self.default_user.is_none() && !self.told_of_default_user {
            self.told_of_default_user = true;
            let text = format!("Unable to set default user {DEFAULT_USER} for script");
            let help = "Add `script_user NAME` to `global_defs`, or create that user.";
            let diagnostic = Diagnostic::warning("script-default-user", text).at(origin);
            self.found.push(diagnostic.help(help));
        }
        false
    }

    /// Whether there is a user for scripts that name none. Only with security C
    /// does not fall back on its own user.
    fn has_default_user(&self) -> bool {
        if let Some(user) = self.default_user {
            return self.machine.user_exists(user);
        }
        let default = ScriptUser {
            user: DEFAULT_USER.to_string(),
            group: None,
            supplementary_groups: false,
        };
        !self.security || self.machine.user_exists(&default)
    }

    /// What the machine says of a command whose user exists.
    fn examine(
        &mut self,
        command: &Command,
        user: Option<&ScriptUser>,
        origin: &Origin,
        group: Group,
    ) -> Vec<ScriptFinding> {
        let mut user = user.or(self.default_user).cloned();
        if let Some(user) = &mut user {
            user.supplementary_groups |= self.supplementary_groups;
        }
        let findings = self
            .machine
            .script(&command.argv, user.as_ref(), self.security);
        // C does not look at a redirection, which it takes for a test of existence.
        let is_command = !command
            .argv
            .first()
            .is_some_and(|word| word.starts_with('<'));
        let is_there = !findings
            .iter()
            .any(|finding| finding.disables && !finding.security);
        if !self.security && is_command && is_there {
            let violation = self.violations.of(group);
            violation.place = violation.place.or(Some(*origin));
            violation.insecure |= findings.iter().any(|finding| finding.security);
        }
        findings
    }

    fn tell(&mut self, finding: &ScriptFinding, origin: &Origin) {
        let (severity, class) = (Severity::Warning, Class::None);
        let text = finding.text.as_str();
        let mut diagnostic = Diagnostic::new(finding.code, severity, class, text).at(origin);
        for help in finding.help.clone() {
            diagnostic = diagnostic.help(help);
        }
        self.found.push(diagnostic);
    }
}

/// A command as C shows it.
pub(super) fn quoted(argv: &[String]) -> String {
    let words: Vec<String> = argv.iter().map(|word| format!("'{word}'")).collect();
    words.join(" ")
}

/// What the log of C says.
pub(super) fn no_such_user(user: &ScriptUser) -> String {
    match &user.group {
        Some(group) => format!(
            "Script user '{}' or group '{group}' does not exist",
            user.user
        ),
        None => format!("Script user '{}' does not exist", user.user),
    }
}
