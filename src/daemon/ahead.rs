//! A configuration that the worker reads while the supervisor still judges it.
//!
//! Decides what becomes of a reading that is under way when it is wanted, or is wanted no
//! more. The supervisor reads the same text meanwhile, on another processor, and says
//! whether it is gone over to (`supervisor/reload.rs`). Adverts do not wait for a reading:
//! it has a thread of its own, which ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::key_files;
use super::worker::{Text, bytes_in};
use crate::config::model::Config;
use crate::system::memory;

/// What is read ahead.
#[derive(Debug, Default)]
pub struct Ahead {
    present: Option<Reading>,
    /// The thread that was started last. There is never a second one: a row of reloads
    /// must not pile them up.
    thread: Option<JoinHandle<()>>,
    /// It is to be gone over to, with these secrets.
    wanted: Option<Option<OwnedFd>>,
}

#[derive(Debug)]
enum Reading {
    /// A thread is at it.
    UnderWay(oneshot::Receiver<io::Result<Box<Config>>>),
    Done(io::Result<Box<Config>>),
    /// It has to be read when it is wanted.
    NotBegun(OwnedFd),
}

impl Ahead {
    /// Begins to read `sources`; what was read before is forgotten.
    pub fn begin(&mut self, text: &Text, sources: OwnedFd) {
        self.forget();
        if self.thread.as_ref().is_some_and(|it| !it.is_finished()) {
            self.present = Some(Reading::NotBegun(sources));
            return;
        }
        let (text, spare) = (text.clone(), sources.try_clone());
        let (tell, told) = oneshot::channel();
        let thread = std::thread::Builder::new().name("reload".to_owned());
        let begun = thread.spawn(move || {
            let read = read(&text, sources);
            if tell.send(read).is_err() {
                // Nobody wants it any more.
                memory::give_back();
            }
        });
        self.present = Some(match begun {
            Ok(thread) => {
                self.thread = Some(thread);
                Reading::UnderWay(told)
            }
            Err(_) => spare.map_or_else(|error| Reading::Done(Err(error)), Reading::NotBegun),
        });
    }

    /// Whatever was read is not gone over to.
    pub fn forget(&mut self) {
        *self = Self {
            thread: self.thread.take(),
            ..Self::default()
        };
    }

    /// It is gone over to as soon as it is read; `secrets` has what stands in files that
    /// this process does not open.
    pub fn want(&mut self, secrets: Option<OwnedFd>) {
        self.wanted = Some(secrets);
    }

    /// Whether something is to be gone over to.
    pub fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Returns once the thread is done with what is wanted; never, if nothing is.
    pub async fn is_read(&mut self) {
        if let Some(Reading::UnderWay(told)) =
            self.present.as_mut().filter(|_| self.wanted.is_some())
        {
            let told = told.await;
            self.present = Some(Reading::Done(told.unwrap_or_else(|_| Err(nothing_read()))));
            return;
        }
        std::future::pending().await
    }

    /// What is wanted, if it has been read; `None` while it is being read.
    pub fn take(&mut self, text: &Text) -> Option<io::Result<Config>> {
        if let Some(Reading::UnderWay(told)) = &mut self.present {
            let told = match told.try_recv() {
                Ok(told) => told,
                Err(oneshot::error::TryRecvError::Empty) => return None,
                Err(oneshot::error::TryRecvError::Closed) => Err(nothing_read()),
            };
            self.present = Some(Reading::Done(told));
        }
        let secrets = self.wanted.take()?;
        let done = match self.present.take() {
            Some(Reading::Done(done)) => done,
            Some(Reading::NotBegun(sources)) => read(text, sources),
            Some(Reading::UnderWay(_)) | None => Err(nothing_read()),
        };
        Some(done.and_then(|config| with_secrets(*config, secrets)))
    }
}

fn read(text: &Text, sources: OwnedFd) -> io::Result<Box<Config>> {
    text.read(sources).map(|loaded| Box::new(loaded.config))
}

fn with_secrets(mut config: Config, secrets: Option<OwnedFd>) -> io::Result<Config> {
    if let Some(secrets) = secrets {
        let handed = key_files::Handed::from_bytes(&bytes_in(secrets)?)?;
        handed.put_into(&mut config);
    }
    Ok(config)
}

fn nothing_read() -> io::Error {
    io::Error::other("nothing was read ahead")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::PathBuf;

    use super::*;
    use crate::config::Options;
    use crate::daemon::process::memory_file;

    fn text() -> Text {
        Text {
            config_file: PathBuf::from("/k"),
            options: Options::default(),
        }
    }

    fn sources(priority: u8) -> OwnedFd {
        let main = format!(
            "vrrp_instance VI_1 {{\ninterface e0\nvirtual_router_id 1\npriority {priority}\n\
             virtual_ipaddress {{\n10.0.0.1\n}}\n}}\n"
        );
        let files = vec![(PathBuf::from("/k"), main.into_bytes())];
        let loaded = crate::config::load(&files, &text().config_file, &text().options);
        memory_file(&loaded.sources.to_bytes()).unwrap()
    }

    fn wait_for_thread(ahead: &Ahead) {
        while !ahead.thread.as_ref().unwrap().is_finished() {
            std::thread::yield_now();
        }
    }

    fn priority_of(read: Option<io::Result<Config>>) -> u8 {
        read.unwrap().unwrap().instances[0].priority.0
    }

    #[test]
    fn what_is_read_before_or_after_it_is_wanted_is_gone_over_to() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        let mut ahead = Ahead::default();
        ahead.begin(&text(), sources(7));
        wait_for_thread(&ahead);
        assert!(!ahead.is_wanted());
        ahead.want(None);
        assert_eq!(priority_of(ahead.take(&text())), 7);
        assert!(!ahead.is_wanted());

        ahead.begin(&text(), sources(8));
        ahead.want(None);
        runtime.block_on(ahead.is_read());
        assert_eq!(priority_of(ahead.take(&text())), 8);
        assert!(ahead.take(&text()).is_none());
    }

    #[test]
    fn the_last_one_counts_and_never_two_threads_read() {
        // A reading that waits for its text.
        let (mut writer, reader) = {
            let (reader, writer) = nix::unistd::pipe().unwrap();
            (std::fs::File::from(writer), reader)
        };
        let mut ahead = Ahead::default();
        ahead.begin(&text(), reader);
        ahead.want(None);
        assert!(ahead.take(&text()).is_none());
        assert!(ahead.is_wanted());
        ahead.forget();
        assert!(!ahead.is_wanted());
        ahead.begin(&text(), sources(9));
        assert!(matches!(ahead.present, Some(Reading::NotBegun(_))));
        ahead.want(None);
        assert_eq!(priority_of(ahead.take(&text())), 9);
        writer.write_all(b"no text").unwrap();
        drop(writer);
        wait_for_thread(&ahead);
        ahead.begin(&text(), sources(10));
        assert!(matches!(ahead.present, Some(Reading::UnderWay(_))));
        ahead.want(None);
        wait_for_thread(&ahead);
        assert_eq!(priority_of(ahead.take(&text())), 10);
    }

    #[test]
    fn what_cannot_be_read_is_an_answer() {
        let mut ahead = Ahead::default();
        ahead.want(None);
        assert!(ahead.take(&text()).unwrap().is_err());
        ahead.begin(&text(), memory_file(b"no text").unwrap());
        ahead.want(None);
        wait_for_thread(&ahead);
        assert!(ahead.take(&text()).unwrap().is_err());
        ahead.begin(&text(), sources(7));
        ahead.want(Some(memory_file(b"garbage").unwrap()));
        wait_for_thread(&ahead);
        assert!(ahead.take(&text()).unwrap().is_err());
    }
}
