//! Who a script runs as.
//!
//! Decides the numbers that belong to a configured user, and the default user.
//! Source: specification B.3 (script user resolution).

use std::ffi::CString;

use nix::unistd::{Group, User, getegid, geteuid, getgrouplist};

use super::Policy;
use crate::config::model::ScriptUser;
use crate::config::scripts::DEFAULT_USER;
use crate::ids::Errno;

/// Who a script runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// As this process.
    Ours,
    /// As somebody else.
    Other {
        /// User number.
        user: u32,
        /// Group number.
        group: u32,
        /// All groups, `group` included.
        groups: Vec<u32>,
    },
}

impl Identity {
    /// Whether root's rights come with it.
    pub fn is_root(&self) -> bool {
        match self {
            Self::Ours => geteuid().is_root() || getegid().as_raw() == 0,
            Self::Other { user, group, .. } => *user == 0 || *group == 0,
        }
    }
}

/// Finds out who `user` is; `None` asks for the default.
///
/// # Errors
/// `EPERM` if we may not become that user, or if security is asked for and
/// there is no default user; `ENOENT` if there is no such user or group.
pub fn resolve(user: Option<&ScriptUser>, policy: Policy) -> Result<Identity, Errno> {
    let Some(wanted) = user else {
        return default_user(policy);
    };
    let account = find_user(&wanted.user)?;
    let (number, own_group) = match &account {
        Account::Known(user) => (user.uid.as_raw(), Some(user.gid.as_raw())),
        Account::Number(number) => (*number, None),
    };
    let group = match &wanted.group {
        Some(name) => find_group(name)?,
        None => own_group.unwrap_or_else(|| getegid().as_raw()),
    };
    let mut groups = vec![group];
    if (wanted.supplementary_groups || policy.supplementary_groups)
        && let Account::Known(user) = &account
    {
        groups = groups_of(user, group)?;
    }
    become_user(number, group, groups)
}

enum Account {
    Known(User),
    Number(u32),
}

fn default_user(policy: Policy) -> Result<Identity, Errno> {
    match User::from_name(DEFAULT_USER) {
        Ok(Some(user)) => {
            let group = user.gid.as_raw();
            let groups = match policy.supplementary_groups {
                true => groups_of(&user, group)?,
                false => vec![group],
            };
            become_user(user.uid.as_raw(), group, groups)
        }
        _ if policy.security => Err(Errno(libc::EPERM)),
        _ => Ok(Identity::Ours),
    }
}

fn become_user(user: u32, group: u32, groups: Vec<u32>) -> Result<Identity, Errno> {
    if user == geteuid().as_raw() && group == getegid().as_raw() && groups == [group] {
        return Ok(Identity::Ours);
    }
    if !geteuid().is_root() {
        return Err(Errno(libc::EPERM));
    }
    Ok(Identity::Other {
        user,
        group,
        groups,
    })
}

fn find_user(name: &str) -> Result<Account, Errno> {
    if let Ok(Some(user)) = User::from_name(name) {
        return Ok(Account::Known(user));
    }
    let number = name.parse().map_err(|_| Errno(libc::ENOENT))?;
    match User::from_uid(nix::unistd::Uid::from_raw(number)) {
        Ok(Some(user)) => Ok(Account::Known(user)),
        _ => Ok(Account::Number(number)),
    }
}

fn find_group(name: &str) -> Result<u32, Errno> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => name.parse().map_err(|_| Errno(libc::ENOENT)),
    }
}

fn groups_of(user: &User, group: u32) -> Result<Vec<u32>, Errno> {
    let name = CString::new(user.name.as_str()).map_err(|_| Errno(libc::EINVAL))?;
    let groups = getgrouplist(&name, nix::unistd::Gid::from_raw(group))
        .map_err(|errno| Errno(errno as i32))?;
    Ok(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Policy = Policy {
        security: false,
        supplementary_groups: false,
    };

    fn named(user: &str, group: Option<&str>, supplementary_groups: bool) -> ScriptUser {
        ScriptUser {
            user: user.to_owned(),
            group: group.map(str::to_owned),
            supplementary_groups,
        }
    }

    #[test]
    fn a_user_that_does_not_exist_is_no_entry() {
        let nobody = named("no_such_user_here", None, false);
        assert_eq!(resolve(Some(&nobody), OPEN), Err(Errno(libc::ENOENT)));
        let nobody = named("root", Some("no_such_group_here"), false);
        assert_eq!(resolve(Some(&nobody), OPEN), Err(Errno(libc::ENOENT)));
    }

    #[test]
    fn names_and_numbers_mean_the_same() {
        if !geteuid().is_root() {
            return;
        }
        let by_name = resolve(Some(&named("daemon", Some("nogroup"), false)), OPEN).unwrap();
        let by_number = resolve(Some(&named("1", Some("65534"), false)), OPEN).unwrap();
        assert_eq!(by_name, by_number);
        assert_eq!(
            by_name,
            Identity::Other {
                user: 1,
                group: 65534,
                groups: vec![65534]
            }
        );
        assert!(!by_name.is_root());
    }

    #[test]
    fn root_asked_for_by_root_changes_nothing() {
        if !geteuid().is_root() {
            return;
        }
        let root = resolve(Some(&named("root", None, false)), OPEN).unwrap();
        assert_eq!(root, Identity::Ours);
        assert!(root.is_root());
    }
}
