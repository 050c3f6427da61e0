//! What `keepalived-rs.conf` adds to the instances, and to mail.
//!
//! Decides which setting counts where several speak: that of the instance, then that
//! of its sync group, then the global one. A block of a name that the main file does
//! not have is an error: its settings would be lost without a word.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::diagnostic::{Collector, Diagnostic};
use super::super::keywords::{companion, root};
use super::super::lex::Word;
use super::super::model::{MailDelivery, SharedInstance, SmtpTls};
use super::super::nearest::nearest;
use super::sync_group::Members;

/// Searching for the nearest name is slow, and nobody reads more of them.
const SUGGESTIONS_MAX: usize = 20;

/// Adds the settings of `companion` to `instances`.
pub(super) fn apply(
    companion: &companion::Draft,
    draft: &root::Draft,
    members: &Members<'_>,
    instances: &mut [SharedInstance],
    found: &mut Collector,
) {
    tell_of_unknown(companion, draft, found);
    let globals = &companion.globals;
    let of_groups: HashMap<&str, &companion::vrrp_sync_group::Draft> = companion
        .sync_groups
        .iter()
        .map(|group| (group.name.text.as_str(), &group.settings))
        .collect();
    let of_instances: HashMap<&str, &companion::vrrp_instance::Draft> = companion
        .instances
        .iter()
        .map(|instance| (instance.name.text.as_str(), &instance.settings))
        .collect();
    for instance in instances {
        let name = instance.name.as_str();
        let group = members.by_instance.get(name);
        let group = group.and_then(|index| draft.sync_groups.get(*index));
        let group = group.and_then(|group| of_groups.get(group.name.text.as_str()));
        let own = of_instances.get(name);
        let fast_handover = own.and_then(|it| it.fast_handover);
        let fast_handover = fast_handover
            .or(group.and_then(|it| it.fast_handover))
            .or(globals.fast_handover)
            .unwrap_or(false);
        let vip_loss = own.map(|it| it.vip_loss).unwrap_or_default();
        let vip_loss = vip_loss
            .or(group.map(|it| it.vip_loss).unwrap_or_default())
            .or(globals.vip_loss)
            .complete();
        if instance.fast_handover != fast_handover || instance.vip_loss != vip_loss {
            let instance = Arc::make_mut(instance);
            instance.fast_handover = fast_handover;
            instance.vip_loss = vip_loss;
        }
    }
}

/// How mail gets to the server. A password is never sent in the clear, whatever
/// the file says.
pub(super) fn mail(draft: &companion::global_defs::Draft, found: &mut Collector) -> MailDelivery {
    let defaults = MailDelivery::default();
    let tls = draft.smtp_tls.unwrap_or(defaults.tls);
    let mut tell = |word: &Word, text: &str, help: &str| {
        let told = Diagnostic::error("smtp-login", text.to_owned());
        found.push(told.at(&word.origin).help(help.to_owned()));
    };
    let is_private = matches!(tls, SmtpTls::StartTls | SmtpTls::Tls);
    let login = match (&draft.smtp_user, &draft.smtp_password) {
        (Some(user), _) if !is_private => {
            let help = "Add `smtp_tls starttls`, or `smtp_tls tls` with port 465.";
            tell(user, "smtp_user without encryption - ignoring", help);
            None
        }
        (Some(user), None) => {
            let help = "Add `smtp_password_file` or `smtp_password`.";
            tell(user, "smtp_user without a password - ignoring", help);
            None
        }
        (None, Some((_, keyword))) => {
            let text = format!("{} without smtp_user - ignoring", keyword.text);
            tell(keyword, &text, "Say who logs in with `smtp_user`.");
            None
        }
        (Some(user), Some((password, _))) => Some((user.text.clone(), password.clone())),
        (None, None) => None,
    };
    if let (Some(path), SmtpTls::Off) = (&draft.smtp_ca_file, tls) {
        let text = "smtp_ca_file has no effect without smtp_tls";
        found.push(Diagnostic::warning("smtp-login", text).at(&path.origin));
    }
    let (user, password) = login.unzip();
    MailDelivery {
        tls,
        ca_file: draft.smtp_ca_file.as_ref().map(|word| word.text.clone()),
        ca_text: None,
        user,
        password,
        retry_for: draft.smtp_retry_for.unwrap_or(defaults.retry_for),
    }
}

/// Tells of blocks whose name stands nowhere in the main file.
fn tell_of_unknown(companion: &companion::Draft, draft: &root::Draft, found: &mut Collector) {
    let mut suggestions = 0_usize;
    let mut tell = |code: &'static str, kind: &str, name: &Word, known: &[&str]| {
        let text = format!("No {kind} {} in the main file - ignoring", name.text);
        let mut diagnostic = Diagnostic::error(code, text).at(&name.origin);
        suggestions = suggestions.saturating_add(1);
        if suggestions <= SUGGESTIONS_MAX
            && let Some(near) = nearest(&name.text, known.iter().copied())
        {
            diagnostic = diagnostic.help(format!("Did you mean `{near}`?"));
        }
        found.push(diagnostic);
    };
    let groups = draft.sync_groups.iter();
    let groups: Vec<&str> = groups.map(|group| group.name.text.as_str()).collect();
    for group in &companion.sync_groups {
        if !draft.group_names.contains(&group.name.text) {
            tell("no-such-group", "vrrp sync group", &group.name, &groups);
        }
    }
    let instances = draft.instances.iter();
    let instances: Vec<&str> = instances.map(|one| one.name.text.as_str()).collect();
    for instance in &companion.instances {
        if !draft.instance_names.contains(&instance.name.text) {
            tell(
                "no-such-instance",
                "vrrp instance",
                &instance.name,
                &instances,
            );
        }
    }
}
