//! The real nginx and the real haproxy, with the checks that people write for
//! them: killed, hung, started again, and started again before anybody minds.

use crate::bench::Program::{self, Ours};
use crate::bench::{
    Bench, Machine, PATIENCE, VIP, configuration, expect, find_program, run_scripts,
};
use crate::lab::process::send_signal;
use crate::lab::{Failure, Process, Result, isolation};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Long enough for two runs of a check.
const TWO_RUNS: Duration = Duration::from_millis(2500);

/// 150 and 100, and this much less for a check that fails.
const LESS: u8 = 60;

/// What is balanced with.
struct Balancer {
    name: &'static str,
    file: &'static str,
    text: &'static str,
    arguments: &'static [&'static str],
    check: &'static str,
    /// The check sees a process that is there and does not answer.
    sees_hanging: bool,
}

const NGINX: Balancer = Balancer {
    name: "nginx",
    file: "/run/nginx.conf",
    text: "daemon off;
pid /run/nginx.pid;
user root;
worker_processes 1;
events {
    worker_connections 64;
}
http {
    access_log off;
    client_body_temp_path /run/body;
    proxy_temp_path /run/proxy;
    fastcgi_temp_path /run/fastcgi;
    uwsgi_temp_path /run/uwsgi;
    scgi_temp_path /run/scgi;
    server {
        listen 127.0.0.1:8080;
        return 200 'fine';
    }
}
",
    arguments: &["-e", "stderr", "-c", "/run/nginx.conf"],
    check: "script \"/usr/bin/curl -fsS --noproxy * --max-time 1 -o /dev/null \
            http://127.0.0.1:8080/\"\n    interval 1\n    timeout 3",
    sees_hanging: true,
};

const HAPROXY: Balancer = Balancer {
    name: "haproxy",
    file: "/run/haproxy.cfg",
    text: "global
    maxconn 64
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend front
    bind 127.0.0.1:8080
    http-request return status 200
",
    arguments: &["-db", "-f", "/run/haproxy.cfg"],
    check: "script \"killall -0 haproxy\"\n    interval 1",
    sees_hanging: false,
};

/// nginx, asked by curl.
pub fn nginx(bench: &mut Bench) -> Result<()> {
    balance(bench, &NGINX)
}

/// haproxy, looked for by name.
pub fn haproxy(bench: &mut Bench) -> Result<()> {
    balance(bench, &HAPROXY)
}

/// Runs a scenario for a pair, where the programs that it needs are installed.
pub fn run(a: Program, b: Program, scenario: fn(&mut Bench) -> Result<()>) {
    let needed = ["nginx", "haproxy", "curl", "killall"];
    let missing = needed.iter().find(|name| find_program(name).is_none());
    if let Some(missing) = missing.filter(|_| !isolation::is_inside()) {
        assert!(std::env::var_os("CI").is_none(), "no {missing} in CI");
        let thread = std::thread::current();
        let why = format!("{missing} is not installed");
        isolation::report_skipped(thread.name().unwrap_or("a test"), &why);
        return;
    }
    run_scripts(a, b, scenario);
}

fn balance(bench: &mut Bench, what: &Balancer) -> Result<()> {
    for machine in [&bench.a, &bench.b] {
        machine.node.write_file(what.file, what.text)?;
    }
    let mut first = begin(&mut bench.a, what)?;
    begin(&mut bench.b, what)?;
    bench.start(&file(what, 150), &file(what, 100))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;

    // Started again before the second run of the check: nobody minds.
    kill(&bench.a, what, libc::SIGKILL)?;
    first.await_end(PATIENCE)?;
    first = begin(&mut bench.a, what)?;
    let a = bench.a.node.address();
    bench.expect_no_advert(TWO_RUNS, "a lower priority", |advert| {
        advert.source == a && advert.priority != 150
    })?;
    bench.expect_holder(&bench.a)?;

    // Killed: the other node has the address, until it runs again.
    let mark = bench.lab.observer.mark();
    kill(&bench.a, what, libc::SIGKILL)?;
    first.await_end(PATIENCE)?;
    let (_, mark) = bench.await_advert(mark, &bench.a, 150 - LESS)?;
    bench.await_holder(mark, &bench.b)?;
    let mark = bench.lab.observer.mark();
    begin(&mut bench.a, what)?;
    bench.await_holder(mark, &bench.a)?;

    // It is there, and does not answer.
    if what.sees_hanging {
        let mark = bench.lab.observer.mark();
        kill(&bench.a, what, libc::SIGSTOP)?;
        let (_, mark) = bench.await_advert(mark, &bench.a, 150 - LESS)?;
        bench.await_holder(mark, &bench.b)?;
        let mark = bench.lab.observer.mark();
        kill(&bench.a, what, libc::SIGCONT)?;
        bench.await_holder(mark, &bench.a)?;
    }

    // An orderly stop is as good as a crash.
    let mark = bench.lab.observer.mark();
    kill(&bench.a, what, libc::SIGTERM)?;
    let (_, mark) = bench.await_advert(mark, &bench.a, 150 - LESS)?;
    bench.await_holder(mark, &bench.b)?;
    if bench.a.program == Ours {
        bench
            .a
            .expect_line("VRRP_Script(chk) failed (exited with status ")?;
    }
    bench.stop()
}

fn file(what: &Balancer, priority: u8) -> String {
    let track = "track_script {\n        chk\n    }";
    format!(
        "global_defs {{\n    script_user root\n}}\nvrrp_script chk {{\n    {}\n    fall 2\n    \
         weight -{LESS}\n}}\n{}",
        what.check,
        configuration(priority, track)
    )
}

/// Starts it and waits until it answers.
fn begin(machine: &mut Machine, what: &Balancer) -> Result<Arc<Process>> {
    let program = find_program(what.name).ok_or_else(|| Failure::new("no such program"))?;
    let process = machine.node.start(&program, what.arguments, &[])?;
    let deadline = Instant::now() + PATIENCE;
    let answers = || Ok(std::net::TcpStream::connect("127.0.0.1:8080").is_ok());
    while !machine.node.inside(answers)? {
        let running = process.is_running() && Instant::now() < deadline;
        expect(running, || format!("{} to answer for {VIP}", what.name))?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(process)
}

/// Sends a signal to every process of it.
fn kill(machine: &Machine, what: &Balancer, signal: libc::c_int) -> Result<()> {
    let processes = machine.node.processes()?;
    for (id, _, _) in processes.iter().filter(|(_, _, name)| name == what.name) {
        // One may end with another.
        let _ = send_signal(*id, signal);
    }
    Ok(())
}
