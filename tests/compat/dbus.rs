//! D-Bus: what clients see of ours and of C keepalived, who may give orders, and what
//! a bus that is not there, or is flooded, does to VRRP.
//!
//! Each node has a system bus of its own, in its own /run, with the policy that the
//! packages install.

use crate::bench::{
    Bench, Machine, PATIENCE, VIP, VRID, VRRP_PID_FILE, configuration, expect, find_program,
};
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Process, Result, isolation};
use crate::lateness::{BEAT, expect_in_time};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NAME: &str = "org.keepalived.Vrrp1";
const DAEMON: &str = "/org/keepalived/Vrrp1/Vrrp";
const VRRP: &str = "org.keepalived.Vrrp1.Vrrp";
const INSTANCE: &str = "org.keepalived.Vrrp1.Instance";

const SOCKET: &str = "/run/dbus/system_bus_socket";
const BUS_FILE: &str = "/run/bus.conf";
/// The rules of every system bus, and the line that lets root listen to all.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  POLICY
</busconfig>
"#;

/// What the packages install.
const OUR_POLICY: &str = concat!(
    "<include>",
    env!("CARGO_MANIFEST_DIR"),
    "/etc/dbus-1/org.keepalived.Vrrp1.conf</include>"
);
/// The mistake of an administrator: everybody may do everything.
const NO_POLICY: &str = r#"<policy context="default">
    <allow own="*"/>
    <allow send_type="method_call"/>
  </policy>"#;

fn file(priority: u8) -> String {
    format!(
        "global_defs {{\nenable_dbus\n}}\n{}",
        configuration(priority, "")
    )
}

fn instance(vrid: u8) -> String {
    format!("/org/keepalived/Vrrp1/Instance/eth0/{vrid}/IPv4")
}

/// A MASTER and a BACKUP, one of ours and one of C: every value, every path and every
/// error are the same, to the character.
pub fn same_as_c(bench: &mut Bench) -> Result<()> {
    start_bus(&mut bench.a, OUR_POLICY)?;
    start_bus(&mut bench.b, OUR_POLICY)?;
    bench.start(&file(150), &file(100))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;
    await_state(&bench.b, VRID, "(us) 1 \"Backup\"\n")?;
    let both = |arguments: &[&str]| -> Result<[String; 2]> {
        Ok([busctl(&bench.a, arguments)?, busctl(&bench.b, arguments)?])
    };
    let own = instance(VRID);
    let [a, b] = both(&["get-property", NAME, &own, INSTANCE, "Name"])?;
    expect(a == "(s) \"VI_1\"\n" && a == b, || {
        format!("VI_1, not {a}{b}")
    })?;

    let none = instance(9);
    let asked: [&[&str]; 9] = [
        &["tree", NAME],
        &["introspect", NAME, DAEMON],
        &["call", NAME, DAEMON, VRRP, "PrintData"],
        &["call", NAME, DAEMON, VRRP, "PrintData", "s", "x"],
        &["call", NAME, DAEMON, VRRP, "Nonsense"],
        &["call", NAME, &own, INSTANCE, "SendGarp"],
        &["call", NAME, &own, VRRP, "PrintData"],
        &["set-property", NAME, &own, INSTANCE, "Name", "s", "x"],
        &["get-property", NAME, &own, INSTANCE, "Nonsense"],
    ];
    for arguments in asked {
        let [a, b] = both(arguments)?;
        expect(a == b, || format!("{arguments:?}: the same, not\n{a}{b}"))?;
    }
    // C says that `Name` is a string, and gives a structure.
    let [a, b] = both(&["introspect", NAME, &own])?;
    let untyped = |text: &str| text.replace(" (s) ", " s   ");
    expect(
        untyped(&a) == untyped(&b) && a.contains(" (s) ") != b.contains(" (s) "),
        || format!("the same but for the type of Name, not\n{a}{b}"),
    )?;
    for node in [&bench.a, &bench.b] {
        let answer = busctl(node, &["get-property", NAME, &none, INSTANCE, "State"])?;
        expect(answer.starts_with("Failed to get property"), || {
            format!("no instance with VRID 9, not {answer}")
        })?;
    }
    bench.stop()
}

/// Every change is told, in its order, from the start to the stop.
pub fn signals(bench: &mut Bench) -> Result<()> {
    let a = &mut bench.a;
    start_bus(a, OUR_POLICY)?;
    let monitor = start_program(a, "busctl", &["--system", "--json=short", "monitor"])?;
    monitor.await_line(PATIENCE, "Monitoring bus message stream")?;
    a.start(&file(150))?;
    await_state(a, VRID, "(us) 2 \"Master\"\n")?;
    a.node.set_carrier(false)?;
    await_state(a, VRID, "(us) 3 \"Fault\"\n")?;
    a.node.set_carrier(true)?;
    await_state(a, VRID, "(us) 2 \"Master\"\n")?;
    let other = file(150).replace("virtual_router_id 51", "virtual_router_id 52");
    a.node.write_file("/run/keepalived.conf", &other)?;
    order(a, DAEMON, VRRP, "ReloadConfig")?;
    await_state(a, 52, "(us) 2 \"Master\"\n")?;
    let tree = busctl(a, &["tree", "--list", NAME])?;
    expect(!tree.contains(&instance(VRID)), || {
        format!("no {VRID} any more, not {tree}")
    })?;
    a.stop()?;
    monitor.await_line(PATIENCE, "VrrpStopped")?;

    let of = |vrid: u8, states: &[u32]| -> Vec<String> {
        let path = instance(vrid);
        let states = states.iter();
        states
            .map(|it| format!("{path} VrrpStatusChange [{it}]"))
            .collect()
    };
    let daemon = |signal: &str| vec![format!("{DAEMON} {signal} []")];
    let expected = [
        daemon("VrrpStarted"),
        of(VRID, &[1, 2, 3, 1, 2, 3]),
        daemon("VrrpReloaded"),
        of(52, &[1, 2, 98]),
        daemon("VrrpStopped"),
    ]
    .concat();
    let found = signals_of(&monitor, bench.lab.start);
    expect(found == expected, || {
        format!("{expected:#?}, not {found:#?}")
    })
}

/// The signals of the daemon's own interfaces, in their order.
fn signals_of(monitor: &Process, start: Instant) -> Vec<String> {
    let output = monitor.output(start);
    let messages = output.lines().filter_map(|line| {
        let (_, text) = line.split_once("  {")?;
        serde_json::from_str::<serde_json::Value>(&format!("{{{text}")).ok()
    });
    messages
        .filter(|it| {
            let interface = it["interface"].as_str().unwrap_or_default();
            it["type"] == "signal" && interface.starts_with(NAME)
        })
        .map(|it| {
            let text = |field: &str| it[field].as_str().unwrap_or_default().to_owned();
            let data = &it["payload"]["data"];
            let data = if data.is_null() {
                "[]".to_owned()
            } else {
                data.to_string()
            };
            format!("{} {} {data}", text("path"), text("member"))
        })
        .collect()
}

/// An order is carried out when its caller has the answer; nobody but root may give
/// one, whatever the policy of the bus says.
pub fn orders(bench: &mut Bench) -> Result<()> {
    start_bus(&mut bench.a, OUR_POLICY)?;
    bench.a.start(&file(150))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;
    for (method, written) in [
        ("PrintData", "/run/keepalived.data"),
        ("PrintStats", "/run/keepalived.stats"),
        ("PrintStatsClear", "/run/keepalived.stats"),
    ] {
        order(&bench.a, DAEMON, VRRP, method)?;
        bench.a.node.read_file(written)?;
        bench.a.node.remove_file(written)?;
    }
    let observer = &bench.lab.observer;
    let mark = observer.mark();
    order(&bench.a, &instance(VRID), INSTANCE, "SendGarp")?;
    observer.await_announcement(mark, PATIENCE, VIP, bench.a.node.mac())?;
    let answer = busctl(
        &bench.a,
        &["call", NAME, DAEMON, VRRP, "DestroyInstance", "s", "VI_1"],
    )?;
    let expected = "Call failed: Method not implemented\n";
    expect(answer == expected, || format!("{expected}, not {answer}"))?;

    if !isolation::needs_user_namespace() {
        refused_by_the_bus(&mut bench.a)?;
        refused_by_us(bench)?;
    }
    bench.a.stop()
}

fn refused_by_the_bus(a: &mut Machine) -> Result<()> {
    let state = as_nobody(
        a,
        &["get-property", NAME, &instance(VRID), INSTANCE, "State"],
    )?;
    expect(state == "(us) 2 \"Master\"\n", || {
        format!("the state, not {state}")
    })?;
    for (path, interface, method) in [
        (DAEMON, VRRP, "ReloadConfig"),
        (&*instance(VRID), INSTANCE, "SendGarp"),
    ] {
        let answer = as_nobody(a, &["call", NAME, path, interface, method])?;
        expect(answer == "Call failed: Access denied\n", || {
            format!("no {method} for everybody, not {answer}")
        })?;
    }
    Ok(())
}

fn refused_by_us(bench: &mut Bench) -> Result<()> {
    let b = &mut bench.b;
    start_bus(b, NO_POLICY)?;
    b.start(&file(100))?;
    await_state(b, VRID, "(us) 1 \"Backup\"\n")?;
    // busctl has words of its own for this error.
    let name = format!("--dest={NAME}");
    let method = format!("{VRRP}.PrintData");
    let asked = ["--system", "--print-reply", &name, DAEMON, &method];
    let answer = run_as_nobody(b, "dbus-send", &asked)?;
    let expected = "Error org.freedesktop.DBus.Error.AccessDenied: only root may do that\n";
    expect(answer == expected, || {
        format!("not for everybody, not {answer}")
    })?;
    let written = b.node.read_file("/run/keepalived.data");
    expect(written.is_err(), || "no file".to_owned())?;
    b.stop()
}

/// Without a bus, and when it is gone, VRRP goes on and the log says so; with one the
/// name is there, and stays there when the VRRP process is replaced.
pub fn bus_comes_and_goes(bench: &mut Bench) -> Result<()> {
    bench.a.start(&file(150))?;
    bench
        .a
        .expect_line("Unable to serve org.keepalived.Vrrp1 on D-Bus, VRRP goes on without")?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    let bus = start_bus(&mut bench.a, OUR_POLICY)?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;

    let (mark, line) = (bench.lab.observer.mark(), bench.a.daemon()?.line_mark());
    bus.signal(libc::SIGKILL);
    bus.await_end(PATIENCE)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line_after(
        line,
        PATIENCE,
        "Unable to serve org.keepalived.Vrrp1 on D-Bus",
    )?;
    bench.a.node.remove_file(SOCKET)?;
    let (_, mark) = bench.await_advert(mark, &bench.a, 150)?;
    bench.await_advert(mark, &bench.a, 150)?;
    bench.expect_holder(&bench.a)?;
    start_bus(&mut bench.a, OUR_POLICY)?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;

    let owner = |bench: &Bench| busctl(&bench.a, &["status", NAME]);
    let before = owner(bench)?;
    let worker = bench.a.node.read_file(VRRP_PID_FILE)?;
    let worker: u32 = worker.trim().parse().context("the VRRP pid file")?;
    let line = bench.a.daemon()?.line_mark();
    send_signal(bench.a.node.outer_id(worker)?, libc::SIGKILL)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line_after(line, PATIENCE, "Entering BACKUP STATE")?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;
    let unique = |text: &str| {
        text.lines()
            .find(|it| it.starts_with("UniqueName="))
            .map(str::to_owned)
    };
    let after = owner(bench)?;
    expect(
        unique(&before).is_some() && unique(&before) == unique(&after),
        || format!("the same owner of the name, not\n{before}{after}"),
    )?;
    bench.a.stop()
}

/// The service dies or hangs: another one takes its place, and knows the states.
pub fn service_killed(bench: &mut Bench) -> Result<()> {
    let a = &mut bench.a;
    start_bus(a, OUR_POLICY)?;
    a.start(&file(150))?;
    await_state(a, VRID, "(us) 2 \"Master\"\n")?;
    let status = busctl(a, &["status", NAME])?;
    let service = status.lines().find_map(|it| it.strip_prefix("PID="));
    let service: u32 = service
        .unwrap_or_default()
        .parse()
        .context("PID of the service")?;
    let line = a.daemon()?.line_mark();
    send_signal(a.node.outer_id(service)?, libc::SIGKILL)?;
    a.daemon()?
        .await_line_after(line, PATIENCE, "Acquired the name")?;
    await_state(a, VRID, "(us) 2 \"Master\"\n")?;

    // It may not do more than anybody.
    let status = busctl(a, &["status", NAME])?;
    let mut rights = status
        .lines()
        .filter_map(|it| it.strip_prefix("EffectiveCapabilities="));
    expect(rights.all(str::is_empty), || {
        format!("no rights, not those of\n{status}")
    })?;

    // A reload takes it from the bus and brings it back.
    a.reload(&configuration(150, ""))?;
    let gone = "The name org.keepalived.Vrrp1 was not provided by any .service files";
    await_answer(a, &["status", NAME], |answer| {
        answer.contains(gone) || answer.contains("No such")
    })?;
    a.reload(&file(150).replace(
        "enable_dbus",
        "enable_dbus\ndbus_service_name org.keepalived.Vrrp1",
    ))?;
    await_state(a, VRID, "(us) 2 \"Master\"\n")?;
    a.stop()
}

/// Who calls methods as fast as the bus lets him does not make adverts late.
pub fn flood(bench: &mut Bench) -> Result<()> {
    start_bus(&mut bench.a, OUR_POLICY)?;
    bench.a.start(&(file(150) + BEAT))?;
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;
    await_state(&bench.a, 254, "(us) 2 \"Master\"\n")?;
    let mut calls = 0;
    expect_in_time(bench, |bench| {
        let connect = || UnixStream::connect(SOCKET).context(SOCKET);
        let stream = bench.a.node.inside(connect)?;
        calls += call_without_end(stream).map_err(|error| Failure::new(error.to_string()))?;
        Ok(())
    })?;
    expect(calls > 500, || format!("a flood, not {calls} calls"))?;
    // It has more orders than it takes, and is there all the same.
    await_state(&bench.a, VRID, "(us) 2 \"Master\"\n")?;
    bench.a.stop()
}

/// Calls methods for two seconds; how many.
fn call_without_end(stream: UnixStream) -> zbus::Result<u32> {
    const FOR: Duration = Duration::from_secs(2);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        stream.set_nonblocking(true)?;
        let builder = zbus::connection::Builder::unix_stream(stream);
        let connection = builder.build().await?;
        let call = |path: &str, interface: &str, method: &str| {
            zbus::Message::method_call(path.to_owned(), method.to_owned())
                .destination(NAME)
                .interface(interface.to_owned())
                .build(&())
        };
        let own = instance(VRID);
        let calls = [
            call(DAEMON, VRRP, "PrintData")?,
            call(&own, INSTANCE, "SendGarp")?,
            call(DAEMON, "org.freedesktop.DBus.Introspectable", "Introspect")?,
        ];
        let (end, mut count) = (Instant::now() + FOR, 0);
        while Instant::now() < end {
            connection.send_all(&calls).await?;
            count += 3;
            // The answers are read as well.
            tokio::task::yield_now().await;
        }
        Ok(count)
    })
}

/// Starts the system bus of a node and waits until it listens.
fn start_bus(machine: &mut Machine, policy: &str) -> Result<Arc<Process>> {
    machine
        .node
        .inside(|| std::fs::create_dir_all("/run/dbus").context("/run/dbus"))?;
    machine
        .node
        .write_file(BUS_FILE, &BUS.replace("POLICY", policy))?;
    let file = format!("--config-file={BUS_FILE}");
    let arguments = [
        &*file,
        "--nofork",
        "--nopidfile",
        "--nosyslog",
        "--print-address",
    ];
    let bus = start_program(machine, "dbus-daemon", &arguments)?;
    bus.await_line(PATIENCE, "unix:path=")?;
    Ok(bus)
}

fn start_program(machine: &mut Machine, name: &str, arguments: &[&str]) -> Result<Arc<Process>> {
    machine.node.start(&program(name)?, arguments, &[ADDRESS])
}

/// Wherever this machine's programs look for a bus.
const ADDRESS: (&str, &str) = (
    "DBUS_SYSTEM_BUS_ADDRESS",
    "unix:path=/run/dbus/system_bus_socket",
);

fn program(name: &str) -> Result<std::path::PathBuf> {
    find_program(name).ok_or_else(|| Failure::new(format!("{name} is not installed")))
}

/// What busctl prints, wherever it does.
fn busctl(machine: &Machine, arguments: &[&str]) -> Result<String> {
    run(machine, &program("busctl")?, arguments)
}

fn as_nobody(machine: &Machine, arguments: &[&str]) -> Result<String> {
    run_as_nobody(machine, "busctl", arguments)
}

fn run_as_nobody(machine: &Machine, name: &str, arguments: &[&str]) -> Result<String> {
    let path = program(name)?.display().to_string();
    let before = ["--reuid=65534", "--regid=65534", "--clear-groups", &path];
    run(
        machine,
        &program("setpriv")?,
        &[&before, arguments].concat(),
    )
}

fn run(machine: &Machine, program: &Path, arguments: &[&str]) -> Result<String> {
    machine.node.inside(|| {
        let mut command = Command::new(program);
        command.args(arguments).env(ADDRESS.0, ADDRESS.1);
        let output = command.output().context(program.display().to_string())?;
        let all = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&all).into_owned())
    })
}

/// Gives an order that has to succeed.
fn order(machine: &Machine, path: &str, interface: &str, method: &str) -> Result<()> {
    let answer = busctl(machine, &["call", NAME, path, interface, method])?;
    expect(answer.is_empty(), || {
        format!("{method} to succeed, not {answer}")
    })
}

fn await_state(machine: &Machine, vrid: u8, expected: &str) -> Result<()> {
    let path = instance(vrid);
    let asked = ["get-property", NAME, &path, INSTANCE, "State"];
    await_answer(machine, &asked, |answer| answer == expected)
}

/// Asks until the answer is that. C keepalived does not say when a property changes.
fn await_answer(
    machine: &Machine,
    arguments: &[&str],
    wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = busctl(machine, arguments)?;
        if wanted(&answer) {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            let node = machine.node.name();
            format!("another answer to {arguments:?} on {node} than {answer}")
        })?;
        std::thread::sleep(Duration::from_millis(50));
    }
}
