//! What nobody should do to a daemon that reloads: storms of signals, files that are
//! half written, gone or something else, a full disk, a frozen or killed worker.

use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Result};
use crate::site::{
    FILE, FIRST_VIP, PATIENCE, PID_FILE, SECOND_VIP, Site, expect, instance, isolated, run, start,
    two_instances,
};
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long the storm lasts, in seconds; a minute by hand.
const STORM_VARIABLE: &str = "RELOAD_STORM_SECONDS";

/// Good texts, a broken one and a half one in turn, and a signal every 10 ms: no
/// address is ever absent, and the daemon goes on.
#[test]
fn a_storm_of_signals() {
    let seconds = std::env::var(STORM_VARIABLE).ok();
    let seconds = seconds.and_then(|it| it.parse().ok()).unwrap_or(3);
    let good = two_instances("");
    let texts = [
        good.clone(),
        good.replace("priority 150", "priority 140"),
        good.replace("virtual_router_id 52", ""),
        good.get(..good.len() - 30).unwrap_or_default().to_owned(),
        format!("{good}{}", instance(3, 150)),
    ];
    run(&good, |site| {
        let worker = site.worker()?;
        let daemon = &site.daemon;
        site.watched(|| {
            let end = Instant::now() + Duration::from_secs(seconds);
            for text in texts.iter().cycle() {
                if Instant::now() >= end {
                    break;
                }
                fs::write(FILE, text).context(FILE)?;
                daemon.signal(libc::SIGHUP);
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        })?;
        site.reload(&good, "Reload complete")?;
        // What was asked last may still have been under way.
        site.run(&["reload", "-p", PID_FILE])?;
        expect(site.worker()? == worker, || "the same worker".to_owned())?;
        let third = Ipv4Addr::new(192, 0, 2, 103);
        site.node.await_address(third, false, PATIENCE)?;
        site.watched(|| Ok(()))
    });
}

/// Somebody is in the middle of writing, exactly between two instances: the daemon
/// waits for the end of it. The same in a file that is included.
#[test]
fn a_half_written_file_is_waited_for() {
    run(&two_instances(""), |site| {
        let included = "/run/part.conf";
        let main = format!("include {included}\n{}", instance(2, 150));
        site.node.write_file(included, &instance(1, 150))?;
        site.reload(&main, "Reload complete")?;
        for (path, text) in [(included, instance(1, 130)), (FILE, two_instances(""))] {
            let mark = site.daemon.line_mark();
            let half = text.find("virtual_ipaddress").unwrap_or_default();
            let half = if path == FILE {
                text.find("vrrp_instance VI_2").unwrap_or_default()
            } else {
                half
            };
            let (first, second) = text.split_at(half);
            let daemon = &site.daemon;
            site.watched(|| {
                let mut writer = File::create(path).context(path)?;
                writer.write_all(first.as_bytes()).context(path)?;
                daemon.signal(libc::SIGHUP);
                let waits = format!("Reload waits: {path} is being written");
                daemon.await_line_after(mark, PATIENCE, &waits)?;
                writer.write_all(second.as_bytes()).context(path)?;
                drop(writer);
                daemon
                    .await_line_after(mark, PATIENCE, "Reload complete")
                    .map(drop)
            })?;
            let refused = daemon.count_lines_after(mark, |line| line.contains("refused"));
            expect(refused == 0, || "no refusal".to_owned())?;
        }
        Ok(())
    });
}

/// A writer that never ends does not hold up the daemon for ever, and a text that
/// was cut off within a block is no text.
#[test]
fn half_a_file_is_refused() {
    let text = two_instances("");
    run(&text, |site| {
        let daemon = &site.daemon;
        site.watched(|| {
            let cut = text.find("virtual_router_id 52").unwrap_or_default();
            fs::write(FILE, text.get(..cut).unwrap_or_default()).context(FILE)?;
            let mark = daemon.line_mark();
            daemon.signal(libc::SIGHUP);
            daemon.await_line_after(mark, PATIENCE, "Reload refused")?;
            let mut writer = File::create(FILE).context(FILE)?;
            writer
                .write_all(instance(1, 150).as_bytes())
                .context(FILE)?;
            let mark = daemon.line_mark();
            daemon.signal(libc::SIGHUP);
            daemon.await_line_after(mark, PATIENCE, "is being written")?;
            daemon.await_line_after(mark, PATIENCE, "Reload refused")?;
            drop(writer);
            Ok(())
        })
    });
}

/// The worker dies while something broken is on disk: the next one has what ran.
#[test]
fn a_new_worker_has_the_last_good_text() {
    run(&two_instances(""), |site| {
        site.reload("vrrp_instance X {\n", "Reload refused")?;
        let mark = site.daemon.line_mark();
        send_signal(site.worker()?, libc::SIGKILL)?;
        site.expect_after(mark, "Starting VRRP child process")?;
        for vip in [FIRST_VIP, SECOND_VIP] {
            let state = format!("(VI_{}) Entering MASTER STATE", vip.octets()[3] - 100);
            site.expect_after(mark, &state)?;
            site.node.await_address(vip, true, PATIENCE)?;
        }
        site.reload(&two_instances(""), "Reload complete")
    });
}

/// A worker that stands still does not answer: it is replaced, and the text that it
/// may have died of is not used.
#[test]
fn a_worker_that_does_not_answer_is_replaced() {
    run(&two_instances(""), |site| {
        send_signal(site.worker()?, libc::SIGSTOP)?;
        let mark = site.daemon.line_mark();
        let other = two_instances("").replace("priority 150", "priority 140");
        site.reload(&other, "has not answered a reload for 10 seconds")?;
        site.expect_after(mark, "Reload abandoned")?;
        site.expect_after(mark, "(VI_1) Entering MASTER STATE")?;
        let observer = &site.lab.observer;
        let wanted = |advert: &crate::lab::frames::Advert| advert.vrid == 51;
        let (_, _) = observer.await_advert(observer.mark(), PATIENCE, "an advert", wanted)?;
        let last = observer.adverts_since(observer.beginning()).pop();
        expect(last.is_some_and(|(_, it)| it.priority == 150), || {
            "the text before".to_owned()
        })?;
        site.node.await_address(FIRST_VIP, true, PATIENCE).map(drop)
    });
}

/// Gone, a directory, a pipe: refused at once, as the main file and as a part.
#[test]
fn what_is_no_file_is_refused() {
    run(&two_instances(""), |site| {
        type Change = fn(&str) -> std::io::Result<()>;
        let changes: [(&str, Change); 3] = [
            ("gone", |_| Ok(())),
            ("a directory", |path| fs::create_dir(path)),
            ("a pipe", |path| {
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).map_err(Into::into)
            }),
        ];
        let part = "/run/part.conf";
        let main = format!("include {part}\n{}", instance(2, 150));
        for path in [FILE, part] {
            for (what, change) in changes {
                let daemon = &site.daemon;
                let begin = Instant::now();
                site.watched(|| {
                    fs::write(FILE, &main).context(FILE)?;
                    fs::write(part, instance(1, 150)).context(part)?;
                    fs::remove_file(path).context(path)?;
                    change(path).context(path)?;
                    let mark = daemon.line_mark();
                    daemon.signal(libc::SIGHUP);
                    daemon
                        .await_line_after(mark, PATIENCE, "Reload refused")
                        .context(format!("{path} is {what}"))?;
                    let _ = fs::remove_dir(path).or_else(|_| fs::remove_file(path));
                    Ok(())
                })?;
                expect(begin.elapsed() < Duration::from_secs(4), || {
                    format!("{what} to hold up nobody")
                })?;
            }
        }
        site.reload(&two_instances(""), "Reload complete")
    });
}

/// Where nothing can be written, a reload works all the same, and says what is
/// missing.
#[test]
fn a_full_disk_and_a_read_only_directory() {
    let globals = "reload_file /run/full/marker\nreload_check_config /run/full/log";
    isolated(|| {
        let mut lab = crate::lab::Lab::new()?;
        let mut node = lab.node("a", Ipv4Addr::new(192, 0, 2, 1), 24)?;
        node.inside(|| {
            fs::create_dir("/run/full").context("/run/full")?;
            mount(
                "tmpfs",
                "/run/full",
                libc::MS_NOSUID,
                "size=16k,nr_inodes=4",
            )
        })?;
        let daemon = start(
            &mut node,
            &two_instances(globals),
            "/run/full/keepalived.pid",
        )?;
        let mut site = Site { lab, node, daemon };
        for vip in [FIRST_VIP, SECOND_VIP] {
            site.node.await_address(vip, true, PATIENCE)?;
        }
        let result = on_a_disk_where_nothing_is_left(&mut site, globals);
        if result.is_err() {
            println!("{}", site.daemon.output(site.lab.start));
        }
        result
    });
}

fn on_a_disk_where_nothing_is_left(site: &mut Site, globals: &str) -> Result<()> {
    let good = two_instances(globals);
    let other = good.replace("priority 150", "priority 140");
    let broken = good.replace("virtual_router_id 52", "");
    let cases = [
        (&other, "Reload complete"),
        (
            &broken,
            "Unable to write the config check log /run/full/log",
        ),
        (&good, "Reload complete"),
    ];
    for is_read_only in [false, true] {
        let daemon = &site.daemon;
        site.watched(|| {
            if is_read_only {
                // The files that the daemon has open keep the first one writable.
                mount("/run/full", "/run/full", libc::MS_BIND, "")?;
                let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
                mount("none", "/run/full", flags, "")?;
            } else {
                let mut names = (0..9).map(|number| format!("/run/full/{number}"));
                expect(names.any(|name| File::create(name).is_err()), || {
                    "no place on the disk".to_owned()
                })?;
            }
            for (text, end) in cases {
                let mark = daemon.line_mark();
                fs::write(FILE, text).context(FILE)?;
                daemon.signal(libc::SIGHUP);
                let marker = "Unable to create reload file /run/full/marker";
                daemon.await_line_after(mark, PATIENCE, marker)?;
                daemon.await_line_after(mark, PATIENCE, end)?;
            }
            Ok(())
        })?;
    }
    // The order that needs the socket in that directory works, too.
    let (code, process) = site.run(&["reload", "-p", "/run/full/keepalived.pid"])?;
    expect(code == 0, || process.output(site.lab.start))
}

fn mount(what: &str, on: &str, flags: libc::c_ulong, options: &str) -> Result<()> {
    let texts = [what, on, options].map(std::ffi::CString::new);
    let [what, on, options] = texts.map(|it| it.unwrap_or_default());
    // SAFETY: all four strings are NUL-terminated and live through the call.
    let result = unsafe {
        libc::mount(
            what.as_ptr(),
            on.as_ptr(),
            what.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        let error = std::io::Error::last_os_error();
        Err(Failure::new(format!("mounting on {on:?}: {error}")))
    }
}
