//! Orders to real daemons, what happens in them as a stream, verdicts for monitoring,
//! and the screen that is drawn again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{Failure, Lab, Node, Result, isolation};
use super::{Daemon, PATIENCE, SOCKET, in_lab, instance, program, state};

const CONTROL: &str = "/run/keepalived.control";

/// Runs our program on a node.
fn run(node: &Node, arguments: &[&str]) -> Result<Output> {
    node.inside(|| {
        let output = Command::new(program()).args(arguments).output();
        output.map_err(|error| Failure::new(error.to_string()))
    })
}

/// Runs it and compares the exit code; gives all that it said.
fn said(node: &Node, arguments: &[&str], code: i32) -> Result<String> {
    let output = run(node, arguments)?;
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {output:?}"
    );
    let all = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8(all).expect("UTF-8"))
}

/// A MASTER that knows its peer: that one was MASTER before it.
fn pair(lab: &mut Lab) -> Result<[Daemon; 2]> {
    let b = Daemon::start(lab, "b", 2, &instance("VI_1", 51, 100, ""))?;
    b.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
    let a = Daemon::start(lab, "a", 1, &instance("VI_1", 51, 150, ""))?;
    a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
    Ok([a, b])
}

/// Lines of a program, as they come.
struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    fn of(node: &Node, arguments: &[&str]) -> Result<Self> {
        let mut child = node.inside(|| {
            let mut command = Command::new(program());
            let child = command.args(arguments).stdout(Stdio::piped()).spawn();
            child.map_err(|error| Failure::new(error.to_string()))
        })?;
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(std::result::Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines })
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The next one of this kind.
    fn await_event(&self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let event = self.next();
            if event["event"] == kind {
                return event;
            }
        }
        panic!("no event {kind}");
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_drained_node_stays_so_over_a_reload_and_the_death_of_its_worker() {
    in_lab(|lab| {
        let [a, b] = pair(lab)?;
        let events = Lines::of(&a.node, &["events", "VI_1"])?;
        let first = events.next();
        assert_eq!(
            (&first["event"], &first["current"]),
            (&"daemon".into(), &true.into())
        );
        let second = events.next();
        assert_eq!(
            (&second["event"], &second["state"]),
            (&"state".into(), &"MASTER".into())
        );
        assert_eq!(second["priority"], 150);

        let text = said(&a.node, &["drain", "VI_1"], 0)?;
        let line = "VI_1: drained, asks 192.0.2.2 (priority 100) to take over\n\
                    No address is here any more after ";
        assert!(text.starts_with(line), "{text}");
        b.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        assert_eq!(events.await_event("drained")["instance"], "VI_1");
        assert_eq!(events.await_event("hands-over")["peer"], "192.0.2.2");
        let left = events.await_event("state");
        assert_eq!(
            (&left["state"], &left["previous"]),
            (&"BACKUP".into(), &"MASTER".into())
        );
        let text = a.text(&[])?;
        for line in [
            "\n  DRAINED     since ",
            "\n  Priority    1 = 150 base - 149 (drained)\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        let text = said(&a.node, &["explain", "VI_1"], 0)?;
        assert!(
            text.contains("It is drained: it counts with the lowest priority"),
            "{text}"
        );

        let mark = a.process.line_mark();
        said(&a.node, &["reload"], 0)?;
        a.process
            .await_line_after(mark, PATIENCE, "Reload complete")?;
        assert_eq!(events.await_event("reload")["accepted"], true);
        let seen = a.json(&[])?;
        assert_eq!(seen["instances"][0]["priority"]["effective"], 1);
        let worker = seen["daemon"]["vrrp_pid"].as_i64().expect("a number");
        a.node.inside(|| {
            let kill = Command::new("kill")
                .args(["-KILL", &worker.to_string()])
                .status();
            assert!(kill.is_ok_and(|status| status.success()));
            Ok(())
        })?;
        assert_eq!(events.await_event("lost")["version"], 1);
        let again = events.await_event("drained");
        assert_eq!(
            again["current"], true,
            "how it stands after the loss: {again}"
        );
        let seen = a.json_when("BACKUP in a new worker", |seen| {
            seen["daemon"]["replaced"] == 1 && state(seen, 0) == "BACKUP"
        })?;
        assert_ne!(seen["instances"][0]["drained"], Value::Null);
        assert_eq!(seen["instances"][0]["priority"]["effective"], 1);

        assert_eq!(
            said(&a.node, &["resume"], 0)?,
            "VI_1: resumed, with priority 150\n"
        );
        a.json_when("MASTER again", |seen| state(seen, 0) == "MASTER")?;
        assert_eq!(a.json(&[])?["instances"][0]["drained"], Value::Null);
        a.process.signal(libc::SIGTERM);
        let last = loop {
            let event = events.await_event("state");
            if event["state"] != "MASTER" && event["state"] != "BACKUP" {
                break event;
            }
        };
        assert_eq!(last["state"], "STOP");
        Ok(())
    });
}

/// Who waits for an answer gets one, and the reason, if the worker dies over it.
#[test]
fn a_worker_that_dies_over_an_order_keeps_nobody_waiting() {
    in_lab(|lab| {
        let [a, _b] = pair(lab)?;
        let worker = a.json(&[])?["daemon"]["vrrp_pid"].to_string();
        let signal = |name: &str| {
            a.node.inside(|| {
                let kill = Command::new("kill").args([name, &worker]).status();
                assert!(kill.is_ok_and(|status| status.success()));
                Ok(())
            })
        };
        signal("-STOP")?;
        let child = a.node.inside(|| {
            let mut command = Command::new(program());
            let child = command.arg("drain").stderr(Stdio::piped()).spawn();
            child.map_err(|error| Failure::new(error.to_string()))
        })?;
        a.process.await_line(PATIENCE, "Order of uid 0, process ")?;
        signal("-KILL")?;
        let output = child.wait_with_output().expect("a child");
        let told = String::from_utf8_lossy(&output.stderr);
        let text = "The VRRP process died; look at the status before you try again.\n";
        assert_eq!((&*told, output.status.code()), (text, Some(2)));
        let seen = a.json_when("a new worker", |seen| {
            seen["daemon"]["replaced"] == 1 && state(seen, 0) != "none"
        })?;
        assert_eq!(seen["instances"][0]["drained"], Value::Null);
        Ok(())
    });
}

#[test]
fn a_priority_for_some_time_and_an_announcement() {
    in_lab(|lab| {
        let [a, b] = pair(lab)?;
        let text = said(&a.node, &["priority", "VI_1", "50", "--for", "1h"], 0)?;
        assert_eq!(text, "VI_1: priority 50, was 150; for 3600 s\n");
        let seen = a.json(&[])?;
        let ordered = &seen["instances"][0]["ordered_priority"];
        let left = ordered["seconds_left"].as_f64().expect("a number");
        assert!((3_500.0..=3_600.0).contains(&left), "{left}");
        let text = a.text(&[])?;
        assert!(
            text.contains("\n  Priority    50 = 150 base - 100 by order\n"),
            "{text}"
        );
        assert!(text.contains("\n  Order       priority 50, for "), "{text}");
        b.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        let text = said(&a.node, &["priority", "VI_1", "--reset"], 0)?;
        assert_eq!(text, "VI_1: priority 150, was 50\n");
        a.json_when("MASTER", |seen| {
            state(seen, 0) == "MASTER" && seen["instances"][0]["vips"][0]["installed"] == true
        })?;
        said(&a.node, &["priority", "VI_1", "200", "--for", "1"], 0)?;
        a.json_when("the end of an order", |seen| {
            let it = &seen["instances"][0];
            it["priority"]["effective"] == 150 && it["ordered_priority"].is_null()
        })?;

        let mark = lab.observer.mark();
        assert_eq!(
            said(&a.node, &["garp", "VI_1"], 0)?,
            "VI_1: announces 1 address\n"
        );
        let vip = std::net::Ipv4Addr::new(192, 0, 2, 151);
        lab.observer
            .await_announcement(mark, PATIENCE, vip, a.node.mac())?;
        let text = said(&b.node, &["garp", "VI_1"], 1)?;
        assert_eq!(
            text,
            "It is in BACKUP: only a MASTER that has its addresses announces them.\n"
        );
        Ok(())
    });
}

#[test]
fn what_cannot_be_ordered_is_refused_in_clear_words() {
    in_lab(|lab| {
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 51, 255, ""))?;
        a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        for (arguments, code, text) in [
            (
                &["drain"][..],
                1,
                "VI_1 has the priority 255 of an address owner",
            ),
            (
                &["drain", "VI_9"],
                3,
                "There is no instance 'VI_9'; the nearest name is 'VI_1'.",
            ),
            (&["priority", "VI_1", "7"], 1, "VI_1 has the priority 255"),
            (&["priority", "VI_1", "255"], 1, "255 is not in 1..=254"),
            (&["priority", "VI_1"], 1, "<N>"),
            (
                &["priority", "VI_1", "7", "--for", "soon"],
                1,
                "no span of time",
            ),
            (&["garp"], 1, "<INSTANCE>"),
            (
                &["garp", "VI_1", "-p", "/run/x.pid"],
                2,
                "there is no /run/x.control",
            ),
            (
                &["events", "VI_9"],
                3,
                "There is no instance 'VI_9'. The nearest name is 'VI_1'.",
            ),
            (&["explain", "VI_9"], 3, "No message has the code 'VI_9'"),
        ] {
            let told = said(&a.node, arguments, code)?;
            assert!(told.contains(text), "{text:?} in {told}");
        }
        assert_eq!(state(&a.json(&[])?, 0), "MASTER");
        if isolation::needs_user_namespace() {
            // There is nobody else to be.
            return Ok(());
        }
        // In the group of the sockets: who may ask may not order.
        let output = a.node.inside(|| {
            std::fs::set_permissions(CONTROL, std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .expect("a socket");
            let mut command = Command::new(program());
            let output = command
                .args(["drain", "--force"])
                .uid(65_534)
                .gid(0)
                .output();
            output.map_err(|error| Failure::new(error.to_string()))
        })?;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (&*told, output.status.code()),
            ("Only root may do that.\n", Some(2))
        );
        let output = a.node.inside(|| {
            std::fs::set_permissions(CONTROL, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .expect("a socket");
            let mut command = Command::new(program());
            let output = command
                .args(["drain", "--force"])
                .uid(65_534)
                .gid(0)
                .output();
            output.map_err(|error| Failure::new(error.to_string()))
        })?;
        let told = String::from_utf8_lossy(&output.stderr);
        let text = "Only root may do that: /run/keepalived.control is root's.\nTry sudo.\n";
        assert_eq!((&*told, output.status.code()), (text, Some(2)));
        let output = a.node.inside(|| {
            let mut command = Command::new(program());
            let output = command
                .args(["explain", "VI_1"])
                .uid(65_534)
                .gid(0)
                .output();
            output.map_err(|error| Failure::new(error.to_string()))
        })?;
        assert!(
            output.status.success(),
            "reading is for the group: {output:?}"
        );
        assert_eq!(state(&a.json(&[])?, 0), "MASTER");
        Ok(())
    });
}

#[test]
fn monitoring_gets_its_four_exit_codes() {
    in_lab(|lab| {
        let node = lab.node("c", std::net::Ipv4Addr::new(192, 0, 2, 3), 24)?;
        let text = said(&node, &["status", "--expect", "MASTER"], 2)?;
        let line = "KEEPALIVED CRITICAL: No daemon is running: there is no /run/keepalived.sock.\n";
        assert_eq!(text, line);
        let [a, b] = pair(lab)?;
        let line = "KEEPALIVED OK: VI_1 is MASTER | master=1 backup=0 fault=0\n";
        assert_eq!(said(&a.node, &["status", "--expect", "master"], 0)?, line);
        let text = said(&b.node, &["status", "VI_1", "--expect", "MASTER"], 2)?;
        let line = "KEEPALIVED CRITICAL: VI_1 is BACKUP (192.0.2.1 has priority 150) | master=0";
        assert!(text.starts_with(line), "{text}");
        said(&b.node, &["status", "--expect", "MASTER,BACKUP"], 0)?;
        said(&b.node, &["drain"], 0)?;
        let text = said(&b.node, &["status", "--expect", "BACKUP"], 1)?;
        assert!(
            text.starts_with("KEEPALIVED WARNING: VI_1 is drained |"),
            "{text}"
        );
        said(&a.node, &["status", "--expect", "MASTR"], 3)?;
        let text = said(&a.node, &["status", "VI_9", "--expect", "MASTER"], 3)?;
        assert!(
            text.starts_with("KEEPALIVED UNKNOWN: There is no instance 'VI_9'."),
            "{text}"
        );
        Ok(())
    });
}

/// Connects to a socket of the daemon and sends, without reading.
fn client(daemon: &Daemon, socket: &str, bytes: &[u8]) -> Result<UnixStream> {
    daemon.node.inside(|| {
        let mut stream = UnixStream::connect(socket).expect("a daemon");
        let _ = stream.write_all(bytes);
        Ok(stream)
    })
}

fn answer(mut stream: UnixStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Who listens and never reads, and who talks nonsense to the control socket, is in
/// nobody's way: neither of adverts nor of orders.
#[test]
fn clients_that_do_not_behave_are_in_nobodys_way() {
    in_lab(|lab| {
        let quick = "version 3\n advert_int 0.1";
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 51, 200, quick))?;
        a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        let (mark, begin) = (lab.observer.mark(), Instant::now());
        for (bytes, expected) in [
            (&b"\xff\xfe\n"[..], "bad-request"),
            (b"{\"version\":1,\"request\":\"status\"}\n", "'status' is not known"),
            (b"{\"version\":1,\"request\":\"garp\"}\n", "'garp' needs an instance"),
            (b"{\"version\":1,\"request\":\"priority\",\"instance\":\"VI_1\",\"priority\":300}\n", "bad-request"),
            (b"{\"version\":1,\"request\":\"priority\",\"instance\":\"VI_1\",\"priority\":0}\n", "a priority is 1 to 254, not 0"),
            (&[b'x'; 5000], "at most 4096 bytes"),
        ] {
            let text = answer(client(&a, CONTROL, bytes)?);
            assert!(text.contains(expected), "{expected} in {text}");
        }
        let silent: Vec<UnixStream> = (0..8)
            .map(|_| client(&a, CONTROL, b""))
            .collect::<Result<_>>()?;
        // A hundred who listen, of whom sixteen are taken on, and never read.
        let ask = b"{\"version\":1,\"request\":\"events\"}\n";
        let deaf: Vec<UnixStream> = (0..100)
            .map(|_| client(&a, SOCKET, ask))
            .collect::<Result<_>>()?;
        // Each of these makes events for all of them.
        for number in 0..40 {
            let priority = (100 + number).to_string();
            said(&a.node, &["priority", "VI_1", &priority], 0)?;
        }
        assert_eq!(state(&a.json(&[])?, 0), "MASTER");
        let refused = deaf.into_iter().last().expect("a hundred");
        refused
            .shutdown(std::net::Shutdown::Write)
            .expect("a socket");
        assert!(answer(refused).contains("16 others listen already"));
        drop(silent);
        let adverts = lab.observer.adverts_since(mark);
        let gaps = adverts.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let longest = gaps.max().unwrap_or(PATIENCE);
        let allowed = Duration::from_millis(300) + lab.canary.worst_since(begin) * 2;
        assert!(longest < allowed, "{longest:?}, allowed are {allowed:?}");
        Ok(())
    });
}

/// A terminal of 24 lines of 80 columns, and our end of it.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (0, 0);
    let size = libc::winsize {
        ws_row: 24,
        ws_col: 80,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: both places and the size are there, and nothing else is asked for.
    let result = unsafe {
        libc::openpty(
            &mut ours,
            &mut theirs,
            std::ptr::null_mut(),
            std::ptr::null(),
            &size,
        )
    };
    assert_eq!(result, 0, "a terminal");
    // SAFETY: the kernel has just given us both.
    unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// Runs our program on a terminal.
fn on_terminal(node: &Node, arguments: &[&str]) -> Result<(Child, std::fs::File)> {
    let (ours, theirs) = terminal();
    let child = node.inside(|| {
        let mut command = Command::new(program());
        let copy = || Stdio::from(theirs.try_clone().expect("a descriptor"));
        command
            .args(arguments)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        command.stdin(copy()).stdout(copy()).stderr(copy());
        // SAFETY: both calls may be made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        command
            .spawn()
            .map_err(|error| Failure::new(error.to_string()))
    })?;
    drop(theirs);
    Ok((child, std::fs::File::from(ours)))
}

/// What comes until `wanted` is in it.
fn read_until(terminal: &mut std::fs::File, wanted: &str) -> String {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut fds = [libc::pollfd {
            fd: terminal.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }];
        // SAFETY: one descriptor, which is open.
        let ready = unsafe { libc::poll(fds.as_mut_ptr(), 1, 100) };
        if ready > 0 {
            let length = terminal.read(&mut part).unwrap_or(0);
            seen.extend_from_slice(&part[..length]);
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        if text.contains(wanted) {
            return text;
        }
        assert!(Instant::now() < deadline, "no {wanted:?} in {text:?}");
    }
}

#[test]
fn a_screen_is_drawn_again_and_left_as_it_was() {
    in_lab(|lab| {
        let [a, _b] = pair(lab)?;
        let arguments = ["status", "--watch", "--interval", "0.2"];
        let (mut child, mut terminal) = on_terminal(&a.node, &arguments)?;
        let first = read_until(&mut terminal, "  Adverts     ");
        assert!(
            first.starts_with("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J"),
            "{first:?}"
        );
        assert!(
            first.contains("\u{1b}[1;1Hevery 0.2 s, q quits\u{1b}[K"),
            "{first:?}"
        );
        assert!(first.contains("VI_1  MASTER  since "), "{first:?}");
        // The name of the host does not change, and is not drawn again.
        said(&a.node, &["drain", "VI_1"], 0)?;
        let next = read_until(&mut terminal, "VI_1  BACKUP  since ");
        assert!(!next.contains("keepalived-rs 0"), "{next:?}");
        terminal.write_all(b"q").expect("a terminal");
        read_until(&mut terminal, "\u{1b}[?25h\u{1b}[?1049l");
        assert!(child.wait().expect("a child").success());

        // Without a terminal once is enough.
        let text = said(&a.node, &["status", "--watch"], 0)?;
        assert!(
            text.contains("VI_1  BACKUP  since ") && !text.contains('\u{1b}'),
            "{text:?}"
        );
        Ok(())
    });
}
