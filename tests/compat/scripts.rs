//! Check scripts of every kind, well-behaved and hostile: what the log says of
//! them, what their weights do on the wire, and that none of them harms the
//! daemon.

use crate::bench::Program::Ours;
use crate::bench::{Bench, Machine, PATIENCE, PID_FILE, VIP, VRID, VRRP_PID_FILE, expect, run};
use crate::lab::process::LineMark;
use crate::lab::{Context, Result, isolation};
use crate::lateness::{BEAT, expect_in_time};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::Duration;

/// More than a daemon with its scripts ever needs.
const MEMORY_MAX_KB: u64 = 64 * 1024;

const CHECK: &str = "/run/scripts/check";
const THEIRS: &str = "/run/theirs";

/// Runs a scenario with script security, for ours. In a user namespace there is
/// one user only, and the root directory belongs to nobody.
pub fn run_with_security(scenario: fn(&mut Bench) -> Result<()>) {
    if !isolation::is_inside() && isolation::needs_user_namespace() {
        let thread = std::thread::current();
        let why = "script security is root's matter";
        isolation::report_skipped(thread.name().unwrap_or("a test"), why);
        return;
    }
    run(Ours, Ours, scenario);
}

/// One instance, alone on its segment, that tracks `chk`.
fn tracking(global: &str, check: &str) -> String {
    format!(
        "global_defs {{
    script_user root
    {global}
}}
vrrp_script chk {{
    {check}
}}
{}",
        instance("advert_int 1", &["chk"])
    )
}

fn instance(interval: &str, tracked: &[&str]) -> String {
    format!(
        "vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id {VRID}
    priority 100
    {interval}
    virtual_ipaddress {{
        {VIP}/24
    }}
    track_script {{
        {}
    }}
}}
",
        tracked.join("\n        ")
    )
}

/// What C writes of exit codes, signals and changes, and of nothing else.
pub fn results(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\nread code < /run/code\ncase $code in\n\
                  kill) kill -KILL $$ ;;\nhang) sleep 30 ;;\nesac\nexit $code\n";
    bench.a.node.write_file("/run/check", script)?;
    bench.a.node.write_file("/run/code", "0\n")?;
    let check = "script /run/check\n    interval 1\n    timeout 1\n    weight -10";
    bench.a.start(&tracking("", check))?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    let steps: [(&str, &[&str]); 6] = [
        (
            "1",
            &[
                "Script `chk` now returning 1",
                "VRRP_Script(chk) failed (exited with status 1)",
                "(VI_1) Changing effective priority from 100 to 90",
            ],
        ),
        ("127", &["Script `chk` now returning 127"]),
        (
            "0",
            &[
                "Script `chk` now returning 0",
                "VRRP_Script(chk) succeeded",
                "(VI_1) Changing effective priority from 90 to 100",
            ],
        ),
        ("kill", &["VRRP_Script(chk) failed (due to signal 9)"]),
        ("0", &["VRRP_Script(chk) succeeded"]),
        ("hang", &["VRRP_Script(chk) timed_out"]),
    ];
    for (code, lines) in steps {
        let mark = bench.a.daemon()?.line_mark();
        // In one piece: the script may be reading it.
        let node = &bench.a.node;
        node.write_file("/run/code.new", &format!("{code}\n"))?;
        node.inside(|| std::fs::rename("/run/code.new", "/run/code").context("the code"))?;
        for line in lines {
            bench.a.daemon()?.await_line_after(mark, PATIENCE, line)?;
        }
        if code == "127" {
            expect(count(&bench.a, mark, "VRRP_Script(")? == 0, || {
                "no line for what has failed already".to_owned()
            })?;
        }
    }
    bench.a.stop()
}

/// Sums, signs, both ends of the range, in the log and on the wire.
pub fn weights(bench: &mut Bench) -> Result<()> {
    let mut text = "global_defs {\n    script_user root\n}\n".to_owned();
    let lines = [
        ("one", "20"),
        ("two", "-30"),
        ("three", "10 reverse"),
        ("four", "253"),
        ("five", "-253"),
        ("six", "-7 reverse"),
    ];
    for (name, weight) in lines {
        text.push_str(&format!(
            "vrrp_script {name} {{\n    script \"/usr/bin/test -e /run/{name}\"\n    \
             interval 1\n    weight {weight}\n}}\n"
        ));
    }
    let names = lines.map(|(name, _)| name);
    text.push_str(&instance("advert_int 1", &names));
    for name in ["five", "six"] {
        bench.a.node.write_file(&format!("/run/{name}"), "")?;
    }
    bench.a.start(&text)?;
    bench.await_advert(bench.lab.observer.beginning(), &bench.a, 70)?;
    let steps = [
        ("one", true, 70, 90),
        ("two", true, 90, 120),
        ("three", true, 120, 110),
        ("four", true, 110, 254),
        ("four", false, 254, 110),
        ("five", false, 110, 1),
        ("five", true, 1, 110),
        ("six", false, 110, 117),
        ("one", false, 117, 97),
    ];
    for (name, there, before, after) in steps {
        let mark = bench.lab.observer.mark();
        let lines = bench.a.daemon()?.line_mark();
        let path = format!("/run/{name}");
        match there {
            true => bench.a.node.write_file(&path, "")?,
            false => bench.a.node.remove_file(&path)?,
        }
        let line = format!("(VI_1) Changing effective priority from {before} to {after}");
        bench.a.daemon()?.await_line_after(lines, PATIENCE, &line)?;
        bench.await_advert(mark, &bench.a, after)?;
    }
    bench.a.stop()
}

/// A script that ignores SIGTERM counts as failed when its time is over, and is
/// killed; once it behaves again, all is well.
pub fn stubborn(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\ntest -e /run/good && exit 0\ntrap '' TERM\n\
                  sh -c 'trap \"\" TERM; exec sleep 600' &\nwhile :; do sleep 1; done\n";
    bench.a.node.write_file("/run/check", script)?;
    let check = "script /run/check\n    interval 1\n    timeout 1";
    bench.a.start(&(tracking("", check) + BEAT))?;
    let daemon = bench.a.daemon()?;
    let (timed_out, _) = daemon.await_line(PATIENCE, "VRRP_Script(chk) timed_out")?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench
        .a
        .expect_line("Track script chk is being timed out, expect idle - skipping run")?;
    let text = ") ignores SIGTERM, killing it";
    let (killed, _) = daemon.await_line(PATIENCE, text)?;
    bench.expect_due("the kill", timed_out, Duration::from_secs(2), killed)?;
    expect_in_time(bench, |_| Ok(()))?;
    bench.a.node.write_file("/run/good", "")?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    // Whatever it had started went with it.
    let left = bench.a.node.processes()?;
    let left: Vec<_> = left.iter().filter(|(_, _, name)| name == "sleep").collect();
    expect(left.is_empty(), || format!("nothing left, not {left:?}"))?;
    bench.a.stop()
}

/// A script leaves a process behind that belongs to another session and lives
/// on: what counts is the script itself, and nobody waits for the other one.
pub fn detached(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\necho run >> /run/runs\n\
                  test -e /run/detached || { > /run/detached; setsid sleep 600 & }\nexit 0\n";
    bench.a.node.write_file("/run/check", script)?;
    let check = "script /run/check\n    interval 1\n    timeout 1";
    bench.a.start(&(tracking("", check) + BEAT))?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    let start = bench.lab.observer.beginning();
    bench.await_advert(start, &bench.a, 100)?;
    let runs = bench.a.node.read_file("/run/runs")?.lines().count();
    expect(runs >= 3, || format!("a run each second, not {runs}"))?;
    let skipped = count(&bench.a, LineMark::BEGINNING, "skipping run")?;
    expect(skipped == 0, || "no run skipped".to_owned())?;
    expect_little_memory(&bench.a)?;
    expect_in_time(bench, |_| Ok(()))?;
    bench.a.stop()
}

/// A gigabyte on standard output goes nowhere, and costs nothing.
pub fn torrent(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\nhead -c 1000000000 /dev/zero && head -c 1000000 /dev/zero >&2\n";
    bench.a.node.write_file("/run/check", script)?;
    let check = "script /run/check\n    interval 1\n    timeout 30";
    bench.a.start(&(tracking("", check) + BEAT))?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    bench.await_advert(bench.lab.observer.beginning(), &bench.a, 100)?;
    expect_in_time(bench, |_| Ok(()))?;
    expect_little_memory(&bench.a)?;
    bench.a.stop()
}

/// With script security, a script that becomes a link to another user's file is
/// refused at its next run; without, it runs. A link to root's own is as good as
/// the file.
pub fn swapped(bench: &mut Bench) -> Result<()> {
    make_guarded(&bench.a)?;
    bench.a.node.inside(|| {
        std::fs::create_dir(THEIRS).context(THEIRS)?;
        chown(THEIRS, Some(1), Some(1)).context(THEIRS)
    })?;
    let theirs = format!("{THEIRS}/check");
    bench
        .a
        .node
        .write_file(&theirs, "#!/bin/sh\necho \"$0\" > /run/owned\n")?;
    let check = format!("script {CHECK}\n    interval 1");
    let file = tracking("enable_script_security", &check) + BEAT;
    bench.a.start(&file)?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;

    replace_by_link(&bench.a, &theirs)?;
    let reason = "/run/theirs belongs to daemon:daemon and has mode 0755";
    let remedy = "this mends it: chown root /run/theirs";
    bench.a.expect_line(&format!(
        "Unsafe permissions found for script '{CHECK}' - disabling. {reason}; {remedy}"
    ))?;
    bench
        .a
        .expect_line("VRRP_Script(chk) failed (cannot be run: Operation not permitted)")?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    expect(bench.a.node.read_file("/run/owned").is_err(), || {
        "that the other user's file was not run".to_owned()
    })?;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_keepalived-rs"));
    let arguments = ["status", "--json", "-p", PID_FILE];
    let status = bench.a.node.start(program, &arguments, &[])?;
    let disabled = format!("unsafe permissions: {reason}");
    status.await_line(PATIENCE, &disabled)?;

    // The same file in a place of root's.
    let mark = bench.a.daemon()?.line_mark();
    bench
        .a
        .node
        .write_file("/run/scripts/other", "#!/bin/sh\nexit 0\n")?;
    replace_by_link(&bench.a, "/run/scripts/other")?;
    let daemon = bench.a.daemon()?;
    daemon.await_line_after(mark, PATIENCE, "VRRP_Script(chk) succeeded")?;
    expect_in_time(bench, |_| Ok(()))?;
    expect_little_memory(&bench.a)?;

    // Nobody asked for security: it is run as it is.
    replace_by_link(&bench.a, &theirs)?;
    bench.a.reload(&tracking("", &check))?;
    let deadline = std::time::Instant::now() + PATIENCE;
    while bench.a.node.read_file("/run/owned").is_err() {
        expect(std::time::Instant::now() < deadline, || {
            "the script to be run without security".to_owned()
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
    bench.a.stop()
}

/// A directory that everybody can write to: the start tells what is wrong and
/// which command mends it, and once it is mended the script runs.
pub fn open_directory(bench: &mut Bench) -> Result<()> {
    make_guarded(&bench.a)?;
    allow(&bench.a, "/run/scripts", 0o777)?;
    let check = format!("script {CHECK}\n    interval 1");
    bench.a.start(&tracking("enable_script_security", &check))?;
    bench
        .a
        .expect_line("Disabling track script chk due to insecure")?;
    bench.a.expect_line(
        "/run/scripts belongs to root:root and has mode 0777; \
                         this mends it: chmod o-w /run/scripts",
    )?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    allow(&bench.a, "/run/scripts", 0o755)?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    let told = count(&bench.a, LineMark::BEGINNING, "this mends it")?;
    expect(told == 1, || format!("one complaint, not {told}"))?;
    bench.a.stop()
}

/// A script that is not there has failed, and is run as soon as it is there.
pub fn appears(bench: &mut Bench) -> Result<()> {
    let check = "script /run/late\n    interval 1";
    bench.a.start(&tracking("enable_script_security", check))?;
    bench
        .a
        .expect_line("Script /run/late cannot be accessed - No such file or directory")?;
    bench
        .a
        .expect_line("VRRP_Script(chk) failed (cannot be run: No such file or directory)")?;
    bench.a.expect_line("(VI_1) Entering FAULT STATE")?;
    bench
        .a
        .node
        .write_file("/run/late.new", "#!/bin/sh\nexit 0\n")?;
    let node = &bench.a.node;
    node.inside(|| std::fs::rename("/run/late.new", "/run/late").context("the script"))?;
    bench.a.expect_line("VRRP_Script(chk) succeeded")?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    bench.a.stop()
}

/// Two hundred scripts every two seconds: adverts leave in time all the same.
pub fn crowd(bench: &mut Bench) -> Result<()> {
    const SCRIPTS: usize = 200;
    let names: Vec<String> = (0..SCRIPTS).map(|number| format!("chk_{number}")).collect();
    let mut text =
        "global_defs {\n    script_user root\n    enable_script_security\n}\n".to_owned();
    for name in &names {
        text.push_str(&format!(
            "vrrp_script {name} {{\n    script /bin/true\n    interval 2\n    timeout 20\n    \
             weight 1\n}}\n"
        ));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    text.push_str(&instance("advert_int 1", &names));
    bench.a.start(&(text + BEAT))?;
    // Every script has run once by then.
    bench.await_advert(bench.lab.observer.beginning(), &bench.a, 254)?;
    expect_in_time(bench, |_| Ok(()))?;
    for number in [0, SCRIPTS / 2, SCRIPTS - 1] {
        bench
            .a
            .expect_line(&format!("VRRP_Script(chk_{number}) succeeded"))?;
    }
    expect_little_memory(&bench.a)?;
    bench.a.stop()
}

/// A script that only root can change.
fn make_guarded(machine: &Machine) -> Result<()> {
    machine
        .node
        .inside(|| std::fs::create_dir("/run/scripts").context("/run/scripts"))?;
    allow(machine, "/run/scripts", 0o755)?;
    machine.node.write_file(CHECK, "#!/bin/sh\nexit 0\n")
}

fn allow(machine: &Machine, path: &str, mode: u32) -> Result<()> {
    machine.node.inside(|| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).context(path)
    })
}

/// In one step, so that no run finds nothing.
fn replace_by_link(machine: &Machine, target: &str) -> Result<()> {
    machine.node.inside(|| {
        let new = "/run/scripts/new";
        symlink(target, new).context(new)?;
        std::fs::rename(new, CHECK).context(CHECK)
    })
}

fn count(machine: &Machine, mark: LineMark, text: &str) -> Result<usize> {
    let daemon = machine.daemon()?;
    Ok(daemon.count_lines_after(mark, |line| line.contains(text)))
}

/// Both processes of the daemon, at their largest.
pub fn expect_little_memory(machine: &Machine) -> Result<()> {
    for file in [PID_FILE, VRRP_PID_FILE] {
        let id: u32 = machine.node.read_file(file)?.trim().parse().context(file)?;
        let id = machine.node.outer_id(id)?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).context(file)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let text = line.unwrap_or_default().trim().trim_end_matches(" kB");
        let used: u64 = text.parse().context("the memory of a process")?;
        expect(used <= MEMORY_MAX_KB, || {
            format!("at most {MEMORY_MAX_KB} kB for {file}, not {used}")
        })?;
    }
    Ok(())
}
