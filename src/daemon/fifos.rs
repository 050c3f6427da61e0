//! The supervisor's part of the notify FIFOs.
//!
//! Decides which FIFOs there are, who made them and removes them, and when the
//! scripts that read them begin and end. The worker only writes: it gets open
//! descriptors, so that it needs no file system, and a worker that takes the
//! place of one that died goes on where that one stopped. Source: specification
//! B.2, E.6.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use crate::config::model::{Config, Globals, NotifyFifo};
use crate::ids::Errno;
use crate::system::fifo::{self, Opened, Owner, Trouble, Which};
use crate::system::scripts::{self, Identity, Policy, Scripts};
use crate::time::Instant;
use crate::vrrp::action::NotifyState;
use crate::vrrp::snapshot::Snapshot;
use crate::vrrp::state_machine::State;

/// The mode of a FIFO before the mask is applied, and the mask unless another one
/// is configured.
const MODE: u32 = 0o644;
const MASK: u32 = 0o177;

/// What a worker is to do about one FIFO.
#[derive(Debug)]
pub struct Handed {
    /// Which one.
    pub which: Which,
    /// Where it is.
    pub path: String,
    /// Where its lines go from now on; `None`: there are none any more.
    pub fd: Option<OwnedFd>,
}

/// The FIFOs that are open.
#[derive(Debug, Default)]
pub struct Fifos {
    open: [Option<Kept>; Which::ALL.len()],
}

#[derive(Debug)]
struct Kept {
    path: String,
    owner: Option<Owner>,
    opened: Opened,
}

impl Kept {
    fn hand(&self, which: Which) -> Option<Handed> {
        let fd = self.opened.file.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| tracing::error!("Unable to hand over a notify fifo: {error}"));
        Some(Handed {
            which,
            path: self.path.clone(),
            fd: Some(fd.ok()?),
        })
    }

    /// Closes it.
    fn end(self) {
        if self.opened.made {
            fifo::remove(Path::new(&self.path), self.opened.identity);
        }
    }
}

impl Fifos {
    /// Goes over to what `config` says: at the start, and at each reload. A FIFO
    /// that stays the same stays open; its script is ended and begun again all the
    /// same, because it may read a configuration of its own. `mask` is that of the
    /// command line. Gives what changes for the worker.
    pub fn follow(
        &mut self,
        config: &Config,
        mask: Option<u32>,
        scripts: &mut Scripts,
        now: Instant,
    ) -> Vec<Handed> {
        let mut changes = Vec::new();
        scripts.end_readers(now);
        scripts.set_policy(Policy::of(&config.globals));
        for which in Which::ALL {
            let wanted = wanted(config, which);
            changes.extend(self.follow_one(which, wanted, &config.globals, mask));
            let slot = self.open.get(which as usize).and_then(Option::as_ref);
            if let (Some(kept), Some(wanted)) = (slot, wanted)
                && let Some(script) = &wanted.script
            {
                let mut command = script.clone();
                command.argv.push(kept.path.clone());
                scripts.start_reader(which, &command);
            }
        }
        changes
    }

    /// What a worker begins with.
    pub fn for_worker(&self) -> Vec<Handed> {
        let open = Which::ALL.into_iter().zip(&self.open);
        open.filter_map(|(which, kept)| kept.as_ref()?.hand(which))
            .collect()
    }

    /// What a child closes that has nothing to do with them.
    pub fn raw_fds(&self) -> impl Iterator<Item = RawFd> {
        let open = self.open.iter().flatten();
        open.map(|kept| kept.opened.file.as_raw_fd())
    }

    /// Closes all, and removes those that were made here.
    pub fn end(self) {
        self.open.into_iter().flatten().for_each(Kept::end);
    }

    fn follow_one(
        &mut self,
        which: Which,
        wanted: Option<&NotifyFifo>,
        globals: &Globals,
        mask: Option<u32>,
    ) -> Option<Handed> {
        let slot = self.open.get_mut(which as usize)?;
        let path = wanted.and_then(|wanted| wanted.path.clone());
        let owner = wanted.map_or(Ok(None), |wanted| owner(wanted, Policy::of(globals)));
        if let (Some(kept), Some(path), Ok(owner)) = (&*slot, &path, owner)
            && kept.path == *path
            && kept.owner == owner
        {
            if kept.opened.identity.is_at(Path::new(path)) {
                return None;
            }
            tracing::warn!("{}notify fifo {path} was replaced", which.prefix());
        }
        let before = slot.take();
        let closed = before.as_ref().map(|kept| Handed {
            which,
            path: kept.path.clone(),
            fd: None,
        });
        if let Some(kept) = before {
            kept.end();
        }
        let Some(path) = path else { return closed };
        let mode = MODE & !mask.or(globals.umask).unwrap_or(MASK);
        let opened = owner
            .map_err(Trouble::Owner)
            .and_then(|owner| Ok((owner, fifo::open(Path::new(&path), mode, owner)?)));
        match opened {
            Ok((owner, opened)) => {
                let kept = slot.insert(Kept {
                    path,
                    owner,
                    opened,
                });
                kept.hand(which).or(closed)
            }
            Err(trouble) => {
                let text = trouble.describe(which.prefix(), &PathBuf::from(path));
                tracing::warn!("{text}");
                closed
            }
        }
    }
}

/// The lines for the states of all that have one: instances, then groups, each in
/// the order of the configuration.
pub fn lines_of_states(snapshot: &Snapshot) -> Vec<String> {
    let instances = snapshot.instances.iter().filter_map(|it| {
        let state = word_of(it.state)?;
        Some(fifo::instance_line(&it.config.name, state, it.priority.0))
    });
    let groups = snapshot
        .groups
        .iter()
        .filter_map(|it| Some(fifo::group_line(&it.config.name, word_of(it.state)?)));
    instances.chain(groups).collect()
}

fn word_of(state: State) -> Option<&'static str> {
    let state = match state {
        State::Master => NotifyState::Master,
        State::Backup => NotifyState::Backup,
        State::Fault => NotifyState::Fault,
        State::Init | State::Stopped => return None,
    };
    Some(state.as_str())
}

/// What is configured, if it is to be used: without instances there is nothing to
/// tell, and of two at the same place the second would only repeat the first.
fn wanted(config: &Config, which: Which) -> Option<&NotifyFifo> {
    let globals = &config.globals;
    let wanted = match which {
        Which::Global => &globals.notify_fifo,
        Which::Vrrp if globals.vrrp_notify_fifo.path == globals.notify_fifo.path => return None,
        Which::Vrrp => &globals.vrrp_notify_fifo,
    };
    Some(wanted).filter(|wanted| wanted.path.is_some() && !config.instances.is_empty())
}

fn owner(wanted: &NotifyFifo, policy: Policy) -> Result<Option<Owner>, Errno> {
    let Some(user) = &wanted.owner else {
        return Ok(None);
    };
    Ok(match scripts::resolve(Some(user), policy)? {
        Identity::Ours => None,
        Identity::Other { user, group, .. } => Some(Owner { user, group }),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileTypeExt;
    use std::sync::Arc;

    use super::*;
    use crate::config::model::Instance;
    use crate::ids::Vrid;

    const NOW: Instant = Instant::ZERO;

    fn config(global: Option<&Path>, vrrp: Option<&Path>) -> Config {
        let mut config = Config::default();
        let instance = Instance::new("VI", "e0", Vrid::new(5).unwrap());
        config.instances.push(Arc::new(Box::new(instance)));
        let text = |path: &Path| path.display().to_string();
        config.globals.notify_fifo.path = global.map(text);
        config.globals.vrrp_notify_fifo.path = vrrp.map(text);
        config
    }

    fn follow(fifos: &mut Fifos, config: &Config) -> Vec<(Which, bool)> {
        let mut scripts = Scripts::default();
        let changes = fifos.follow(config, None, &mut scripts, NOW);
        let changes = changes.iter();
        changes.map(|it| (it.which, it.fd.is_some())).collect()
    }

    #[test]
    fn a_reload_changes_what_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        let mut fifos = Fifos::default();
        let first = config(Some(&one), None);
        assert_eq!(follow(&mut fifos, &first), [(Which::Global, true)]);
        assert_eq!(follow(&mut fifos, &first), []);
        assert_eq!(fifos.for_worker().len(), 1);
        let second = config(Some(&two), Some(&one));
        let both = [(Which::Global, true), (Which::Vrrp, true)];
        assert_eq!(follow(&mut fifos, &second), both);
        assert!(one.exists() && two.exists());
        let none = config(None, Some(&one));
        assert_eq!(follow(&mut fifos, &none), [(Which::Global, false)]);
        assert!(!two.exists());
        fifos.end();
        assert!(!one.exists());
    }

    #[test]
    fn the_same_place_is_used_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifos = Fifos::default();
        let same = config(Some(&path), Some(&path));
        assert_eq!(follow(&mut fifos, &same), [(Which::Global, true)]);
    }

    #[test]
    fn one_that_was_replaced_is_left_alone_and_made_again_when_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut fifos = Fifos::default();
        let same = config(None, Some(&path));
        follow(&mut fifos, &same);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert_eq!(follow(&mut fifos, &same), [(Which::Vrrp, false)]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        assert_eq!(follow(&mut fifos, &same), [(Which::Vrrp, true)]);
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
    }

    #[test]
    fn without_instances_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let mut empty = config(Some(&path), None);
        empty.instances.clear();
        assert_eq!(follow(&mut Fifos::default(), &empty), []);
        assert!(!path.exists());
    }
}
