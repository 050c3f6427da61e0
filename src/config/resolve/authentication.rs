//! Which authentication remains (specification D.7, authentication and auth_hmac).

use super::super::diagnostic::Diagnostic;
use super::super::keywords::authentication::Kind;
use super::super::keywords::vrrp_instance::Draft;
use super::super::model::{AuthHmac, Authentication, HmacMode, InitialState, Instance, Version};
use super::Resolver;
use crate::time::Interval;

impl Resolver<'_, '_> {
    /// Decides on the extension; needs the authentication and the interval.
    pub(super) fn hmac(&mut self, draft: &Draft, instance: &mut Instance) {
        let Some(hmac) = &draft.hmac else {
            return;
        };
        let name = &draft.name.text;
        if instance.authentication.take().is_some() {
            let text = format!(
                "({name}) auth_hmac cannot be combined with authentication, dropping legacy auth"
            );
            self.warn("hmac-and-authentication", text, &hmac.origin);
        }
        if instance.strict && hmac.mode != HmacMode::Enforce {
            let text = format!("({name}) strict mode requires auth_hmac mode enforce - setting");
            self.warn("strict", text, &hmac.origin);
        }
        let window = instance
            .advert_interval
            .times(3)
            .max(Interval::from_secs(5));
        instance.auth_hmac = Some(Box::new(AuthHmac {
            keys: hmac.keys.clone(),
            active_key: hmac.active_key.map_or(0, |(key, _)| key),
            time_window: hmac.time_window.unwrap_or(window),
            monotonic: hmac.monotonic,
            mode: if instance.strict {
                HmacMode::Enforce
            } else {
                hmac.mode
            },
        }));
    }

    /// Decides on the authentication of version 2; needs version, family and state.
    pub(super) fn authentication(
        &mut self,
        draft: &Draft,
        instance: &mut Instance,
    ) -> Option<Authentication> {
        let (kind, origin) = draft.auth_type?;
        let name = &draft.name.text;
        let (code, text) = if instance.strict {
            (
                "strict",
                format!("({name}) Strict mode does not support authentication. Ignoring."),
            )
        } else if instance.version == Version::V3 {
            let text =
                format!("({name}) VRRP version 3 does not support authentication. Ignoring.");
            ("version-authentication", text)
        } else if draft.password.is_none() {
            let text = format!("({name}) Authentication specified but no password given. Ignoring");
            ("no-password", text)
        } else if kind == Kind::Header && instance.ipv6 {
            let text = format!("({name}) Cannot use AH authentication with IPv6. ignoring");
            ("ah-ipv6", text)
        } else {
            let password = draft.password.clone()?;
            if kind == Kind::Password {
                return Some(Authentication::Password(password));
            }
            if instance.initial_state == InitialState::Master && !instance.priority.is_owner() {
                let text = format!(
                    "({name}) Initial state master is incompatible with AH authentication - \
                     clearing"
                );
                self.after(Diagnostic::warning("ah-master", text), &origin);
                instance.initial_state = InitialState::Backup;
            }
            return Some(Authentication::Header(password));
        };
        self.warn(code, text, &origin);
        None
    }
}
