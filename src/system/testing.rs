//! What the tests of this floor share: a network namespace for each test.

use std::collections::BTreeSet;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::clock::{Timer, now};
use super::netlink::{self, Report};
use crate::time::Interval;

/// Runs `test` on a thread of its own in a fresh network namespace, which ends
/// with the thread. Without the right to do so the test fails where `CI` is
/// `true`, and is loudly skipped elsewhere.
pub fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if let Err(errno) = unshare(CloneFlags::CLONE_NEWNET) {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "cannot make a network namespace: {errno}"
            );
            #[expect(clippy::disallowed_macros, reason = "a test tells its reader")]
            {
                eprintln!("SKIPPED: cannot make a network namespace: {errno}");
            }
            return;
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` with these words in the namespace of the caller and gives its output.
pub fn ip(words: &str) -> String {
    let output = Command::new("ip")
        .args(words.split_whitespace())
        .output()
        .expect("the ip command");
    assert!(
        output.status.success(),
        "ip {words}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a cable between two interfaces, `left` with 10.0.0.1/24 and `right`
/// without an address, in the namespace of the caller; both up, and carrying.
pub fn make_cable() {
    ip("link add left type veth peer name right");
    ip("addr add 10.0.0.1/24 dev left");
    ip("link set left up");
    ip("link set right up");
    block_on(until_up(&["left", "right"]));
}

/// Waits until all these interfaces are up: the kernel drops what is sent before.
async fn until_up(names: &[&str]) {
    let (_handle, mut reports) =
        netlink::Handle::start(netlink::nftables::Options::default()).expect("the netlink thread");
    let mut up = BTreeSet::new();
    while !names.iter().all(|name| up.contains(*name)) {
        let states = match reports.recv().await {
            Some(Report::All(states)) => states,
            Some(Report::Interface(state)) => vec![state],
            other => panic!("no state: {other:?}"),
        };
        up.extend(
            states
                .into_iter()
                .filter(|state| state.up)
                .map(|state| state.name),
        );
    }
}

/// Runs a future on a runtime like that of the reactor, with a limit of ten
/// seconds for the whole of it.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime")
        .block_on(async {
            let limit = Timer::new().expect("a timer");
            limit
                .arm(Some(now() + Interval::from_secs(10)))
                .expect("to arm the timer");
            tokio::select! {
                done = future => done,
                _ = limit.expired() => panic!("not done within ten seconds"),
            }
        })
}
