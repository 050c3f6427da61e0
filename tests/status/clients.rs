//! Clients that do not behave, and many instances: the adverts go out in their
//! time, and an honest client gets its answer.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, SockAddr, Socket, Type};

use super::lab::Result;
use super::{Daemon, PATIENCE, SOCKET, in_lab, instance, state};

/// Every tenth of a second.
const QUICK: &str = "version 3\n advert_int 0.1";

/// How far apart two adverts may be, if the machine wakes threads in time: their
/// peers wait longer.
const GAP_MAX: Duration = Duration::from_millis(300);

/// What an honest client asks.
const STATUS: &[u8] = b"{\"version\":1,\"request\":\"status\"}\n";

/// Connects and sends, without waiting for an answer.
fn client(daemon: &Daemon, bytes: &[u8]) -> Result<UnixStream> {
    daemon.node.inside(|| {
        let mut stream = UnixStream::connect(SOCKET).expect("a daemon");
        // Perhaps it is dropped already.
        let _ = stream.write_all(bytes);
        Ok(stream)
    })
}

/// What comes back until the daemon closes the connection, and after how long.
fn answer(mut stream: UnixStream) -> (String, Duration) {
    let begin = Instant::now();
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut text = Vec::new();
    // It may close while something of ours is unread.
    let _ = stream.read_to_end(&mut text);
    (String::from_utf8_lossy(&text).into_owned(), begin.elapsed())
}

#[test]
fn clients_that_do_not_behave_never_delay_an_advert() {
    in_lab(|lab| {
        let a = Daemon::start(lab, "a", 1, &instance("VI_1", 1, 255, QUICK))?;
        a.json_when("MASTER", |seen| state(seen, 0) == "MASTER")?;
        let mark = lab.observer.mark();
        let begin = Instant::now();
        a_hundred_that_say_nothing(&a)?;
        garbage(&a)?;
        halves(&a)?;
        // As fast as one can ask, without ever reading.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            drop(client(&a, STATUS)?);
        }
        let adverts = lab.observer.adverts_since(mark);
        let gaps = adverts.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let longest = gaps.max().unwrap_or(PATIENCE);
        let allowed = GAP_MAX + lab.canary.worst_since(begin);
        assert!(longest < allowed, "{longest:?}, allowed are {allowed:?}");
        assert!(adverts.len() > 20, "{}", adverts.len());
        assert!(adverts.iter().all(|(_, advert)| advert.priority == 255));
        assert_eq!(state(&a.json(&[])?, 0), "MASTER");
        Ok(())
    });
}

/// They neither ask nor read, and the kernel lets some of them wait. The honest
/// one is behind them, and has its turn.
fn a_hundred_that_say_nothing(a: &Daemon) -> Result<()> {
    let silent = a.node.inside(|| {
        let connect = |_| {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let address = SockAddr::unix(SOCKET).expect("a path");
            // As many as fit.
            socket.connect(&address).is_ok().then_some(socket)
        };
        Ok((0..100).map(connect).collect::<Vec<_>>())
    })?;
    let taken = silent.iter().flatten().count();
    assert!(taken >= 16, "{taken}");
    assert_eq!(state(&a.json(&[])?, 0), "MASTER");
    Ok(())
}

fn garbage(a: &Daemon) -> Result<()> {
    for (bytes, expected) in [
        (&b"\xff\xfe\x00\x01\n"[..], "bad-request"),
        (b"GET / HTTP/1.1\r\n\r\n", "bad-request"),
        (b"{}\n", "bad-request"),
        (b"[[[[[[[[[[[[[[[[[[[[[[\n", "bad-request"),
        (b"{\"version\":2,\"request\":\"status\"}\n", "version 2"),
        (
            b"{\"version\":1,\"request\":\"drain\"}\n",
            "'drain' is not known",
        ),
        (&[b'x'; 5000], "at most 4096 bytes"),
    ] {
        let (text, took) = answer(client(a, bytes)?);
        let told: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text:?}"));
        assert_eq!(told["error"]["code"], "bad-request");
        assert!(text.contains(expected), "{text}");
        assert!(took < PATIENCE / 2, "{took:?}");
    }
    Ok(())
}

/// Half a request, and connections that are closed at once or one way only.
fn halves(a: &Daemon) -> Result<()> {
    let (text, took) = answer(client(a, b"{\"version\":1,")?);
    assert_eq!(text, "");
    assert!(
        took > Duration::from_secs(1) && took < PATIENCE / 2,
        "it is waited for, but not for long: {took:?}"
    );
    for _ in 0..200 {
        drop(client(a, b"")?);
    }
    let stream = client(a, STATUS)?;
    stream.shutdown(Shutdown::Write).expect("a connection");
    let (text, _) = answer(stream);
    assert!(text.contains("\"VI_1\""), "{text}");
    let stream = client(a, b"{\"version\":1,\"request\":\"st")?;
    stream.shutdown(Shutdown::Write).expect("a connection");
    assert_eq!(answer(stream).0, "");
    Ok(())
}

#[test]
fn two_hundred_and_fifty_instances_are_a_table() {
    in_lab(|lab| {
        // The scripts make the answer longer than what the kernel keeps for a reader.
        let scripts: String = (1..=10)
            .map(|number| {
                format!(
                    "vrrp_script chk_{number} {{\n script /bin/true\n interval 1000\n weight 1\n}}\n"
                )
            })
            .collect();
        let tracked: String = (1..=10).map(|number| format!("  chk_{number}\n")).collect();
        let instances: String = (1..=250)
            .map(|number| {
                format!(
                    "vrrp_instance VI_{number} {{\n interface eth0\n virtual_router_id {number}\n \
                     priority 200\n virtual_ipaddress {{\n  10.0.0.{number}/32\n }}\n \
                     track_script {{\n{tracked} }}\n}}\n"
                )
            })
            .collect();
        let text = format!("global_defs {{\n script_user root\n}}\n{scripts}{instances}");
        let a = Daemon::start(lab, "a", 1, &text)?;
        a.json_when("all MASTER", |seen| {
            let instances = seen["instances"].as_array().expect("an array");
            instances.len() == 250
                && instances
                    .iter()
                    .all(|it| it["state"] == "MASTER" && it["vips"][0]["installed"] == true)
        })?;
        let text = a.text(&[])?;
        assert!(text.contains("\n250 instances, 250 MASTER\n"), "{text}");
        assert!(text.contains("\nINSTANCE  STATE   ON"), "{text}");
        assert!(!text.contains("Trouble"), "{text}");
        let lines = text.lines().filter(|line| line.starts_with("VI_")).count();
        assert_eq!(lines, 250);
        // Who asks and does not read: the answer is longer than the kernel keeps.
        let deaf = (0..16)
            .map(|_| client(&a, STATUS))
            .collect::<Result<Vec<_>>>()?;
        let one = a.text(&["VI_77"])?;
        // It had its turn when the time of the first of them was over.
        let first = deaf.into_iter().next().expect("sixteen");
        let (text, _) = answer(first);
        assert!(text.starts_with("{\"version\":1,"), "{text:.20}");
        assert!(!text.ends_with('\n'), "all {} bytes of it", text.len());
        assert!(
            one.contains("\n  VIPs        10.0.0.77/32 installed\n"),
            "{one}"
        );
        assert!(!one.contains("VI_78"), "{one}");
        Ok(())
    });
}
