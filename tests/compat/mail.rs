//! Mail: the texts of C keepalived for each change, caught by a mail server; and
//! ours over encrypted connections with a log-in, to a real mail server.

use crate::bench::{Bench, Machine, PATIENCE, Program, expect, find_program};
use crate::lab::isolation;
use crate::lab::smtp_sink::SmtpSink;
use crate::lab::{Context, Failure, Process, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const VIP: &str = "192.0.2.200";

/// Start, takeover, fault, return, stop: one mail for each change of each
/// instance and of the group, to the byte but for the date.
pub fn texts(bench: &mut Bench) -> Result<()> {
    let a = &mut bench.a;
    let sink = SmtpSink::new(&a.node, "127.0.0.1:25")?;
    a.start(&file(""))?;
    await_change(&sink, "Entering MASTER state", 1)?;
    a.node.set_carrier(false)?;
    await_change(&sink, "Entering FAULT state", 1)?;
    a.node.set_carrier(true)?;
    await_change(&sink, "Entering MASTER state", 2)?;
    let is_c = a.program == Program::C;
    a.stop()?;
    if !is_c {
        // C ends before it has sent these.
        await_change(&sink, "Stopping", 1)?;
    }

    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in sink.mails() {
        let recipients = ["<root@example.com>", "<ops@example.com>"];
        expect(mail.recipients == recipients, || {
            format!("both recipients, not {:?}", mail.recipients)
        })?;
        expect(mail.sender == "<ka@example.com>", || mail.sender.clone())?;
        let (date, rest) = mail.text.split_once('\n').unwrap_or_default();
        expect(
            date.starts_with("Date: ") && date.ends_with(" +0000"),
            || format!("a date, not {date:?}"),
        )?;
        let about = mail.subject.split(" - ").next().unwrap_or_default();
        let (why, rest) = apart(rest);
        expect(why.is_empty() == is_c, || format!("why: {why:?}"))?;
        told.entry(about.to_owned())
            .or_default()
            // C folds the header since 2.3.
            .push(rest.replace(",\n ", ", "));
    }
    for (about, kind) in [
        ("[lb1] VRRP Instance VI_1", Kind::Instance),
        ("[lb1] VRRP Instance VI_2", Kind::Instance),
        ("[lb1] VRRP Group G", Kind::Group),
    ] {
        let told = told.remove(about).unwrap_or_default();
        let mut expected = expected(about, kind);
        if is_c && told.len() < expected.len() {
            expected.pop();
        }
        expect(told == expected, || {
            format!("about {about}\n{expected:#?}\nnot\n{told:#?}")
        })?;
    }
    expect(told.is_empty(), || format!("nothing else: {told:?}"))
}

/// What ours adds behind C's text, and the mail without it.
fn apart(text: &str) -> (Vec<&str>, String) {
    let is_ours = |line: &&str| line.starts_with("Why: ") || line.starts_with("Seen: ");
    let (ours, theirs): (Vec<_>, Vec<_>) = text.split('\n').partition(is_ours);
    (ours, theirs.join("\n"))
}

#[derive(Clone, Copy)]
enum Kind {
    Instance,
    Group,
}

/// All mails about one instance or group, without their dates.
fn expected(about: &str, kind: Kind) -> Vec<String> {
    let is_group = matches!(kind, Kind::Group);
    let changes = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "stop"];
    let mail = |state| {
        let subject = match state {
            "stop" => "Stopping".to_owned(),
            state => format!("Entering {state} state"),
        };
        let body = match (is_group, state) {
            (false, "MASTER") => "VRRP Instance is now owning VRRP VIPs".to_owned(),
            (false, "stop") => "VRRP Instance stopping".to_owned(),
            (false, _) => "VRRP Instance is no longer owning VRRP VIPs".to_owned(),
            (true, "stop") => "All VRRP group instances are now stopping".to_owned(),
            (true, state) => format!("All VRRP group instances are now in {state} state"),
        };
        format!(
            "From: ka@example.com\nSubject: {about} - {subject}\nX-Mailer: Keepalived\n\
             To: root@example.com, ops@example.com\n\n=> {body} <=\n\n"
        )
    };
    changes.map(mail).to_vec()
}

/// Waits until all three have told of a change for the `number`th time.
fn await_change(sink: &SmtpSink, change: &str, number: usize) -> Result<()> {
    sink.await_mails(PATIENCE, 3 * number, |mail| mail.subject.ends_with(change))
}

/// STARTTLS, encryption from the first byte, and a log-in, at Debian's aiosmtpd.
pub fn encrypted(bench: &mut Bench) -> Result<()> {
    let server = MailServer::start(&mut bench.a)?;
    let a = &mut bench.a;
    for (words, port, login) in [
        ("smtp_tls starttls", 2525, false),
        ("smtp_tls opportunistic", 2525, false),
        ("smtp_tls tls", 4465, false),
        (
            "smtp_tls starttls\nsmtp_user lb1\nsmtp_password_file /run/secret",
            2525,
            true,
        ),
        (
            "smtp_tls tls\nsmtp_user lb1\nsmtp_password s3cret",
            4465,
            true,
        ),
    ] {
        let own = format!("global_defs {{\nsmtp_ca_file {DIRECTORY}/cert.pem\n{words}\n}}\n");
        a.node.write_file("/run/keepalived-rs.conf", &own)?;
        let mark = server.process.line_mark();
        a.start(&file(&port.to_string()))?;
        let user = if login { "lb1" } else { "None" };
        let line =
            format!("MAIL tls=True user={user} subject=[lb1] VRRP Group G - Entering MASTER state");
        server.process.await_line_after(mark, PATIENCE, &line)?;
        a.stop()?;
    }
    Ok(())
}

/// A certificate that nobody vouches for, a wrong password: no mail, and the
/// log says why; the VIP is there all the same.
pub fn refused(bench: &mut Bench) -> Result<()> {
    let server = MailServer::start(&mut bench.a)?;
    let a = &mut bench.a;
    let ca = format!("smtp_ca_file {DIRECTORY}/cert.pem\n");
    for (words, told) in [
        ("smtp_tls starttls\n".to_owned(), "invalid peer certificate"),
        (
            format!("{ca}smtp_tls tls\nsmtp_user lb1\nsmtp_password wrong\n"),
            "Error processing AUTH cmd on SMTP server [localhost]:4465. SMTP status code = 535",
        ),
    ] {
        let port = if words.contains("starttls") {
            "2525"
        } else {
            "4465"
        };
        let own = format!("global_defs {{\n{words}}}\n");
        a.node.write_file("/run/keepalived-rs.conf", &own)?;
        let mark = server.process.line_mark();
        a.start(&file(port))?;
        let daemon = a.daemon()?;
        daemon.await_line(PATIENCE, told)?;
        daemon.await_line(PATIENCE, "SMTP alerts are tried again in 5 s")?;
        let vip = VIP.parse().context("an address")?;
        a.node.await_address(vip, true, PATIENCE)?;
        a.stop()?;
        let delivered = server
            .process
            .count_lines_after(mark, |line| line.contains("MAIL tls="));
        expect(delivered == 0, || {
            format!("{delivered} mails in spite of {told}")
        })?;
    }
    Ok(())
}

/// Runs a scenario where Debian's mail server can run.
pub fn run(scenario: fn(&mut Bench) -> Result<()>) {
    let has = |program: &str, arguments: &[&str]| {
        let found = Command::new(program).args(arguments).output();
        found.is_ok_and(|output| output.status.success())
    };
    let obstacle = if !has(PYTHON, &["-c", "import aiosmtpd"]) {
        Some("python3-aiosmtpd is not installed")
    } else if !has("openssl", &["version"]) {
        Some("openssl is not installed")
    } else {
        None
    };
    if let Some(why) = obstacle {
        let thread = std::thread::current();
        return isolation::report_skipped(thread.name().unwrap_or("a test"), why);
    }
    crate::bench::run(Program::Ours, Program::Ours, scenario);
}

/// The one that Debian's packages belong to.
const PYTHON: &str = "/usr/bin/python3";
/// Where the mail server keeps its certificate, private to the node.
const DIRECTORY: &str = "/run";

struct MailServer {
    process: Arc<Process>,
}

impl MailServer {
    /// Starts the server of `mail_server.py` with a certificate that is made here.
    fn start(machine: &mut Machine) -> Result<Self> {
        let node = &mut machine.node;
        let openssl = find_program("openssl").ok_or_else(|| Failure::new("no program openssl"))?;
        node.write_file(&format!("{DIRECTORY}/server.py"), SERVER)?;
        node.write_file("/run/secret", "s3cret\n")?;
        let (key, certificate) = (
            format!("{DIRECTORY}/key.pem"),
            format!("{DIRECTORY}/cert.pem"),
        );
        let made = node.start(
            &openssl,
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
            &[],
        )?;
        made.await_end(PATIENCE)?;
        let server = format!("{DIRECTORY}/server.py");
        let process = node.start(Path::new(PYTHON), &[&server, &certificate, &key], &[])?;
        process.await_line(PATIENCE, "ready")?;
        Ok(Self { process })
    }
}

const SERVER: &str = include_str!("mail_server.py");

/// Two instances in a group that write to a server at this port.
fn file(port: &str) -> String {
    let mut text = format!(
        "global_defs {{
    router_id lb1
    notification_email {{
        root@example.com
        ops@example.com
    }}
    notification_email_from ka@example.com
    smtp_server {host} {port}
    smtp_connect_timeout 10
    smtp_alert
}}
vrrp_sync_group G {{
    group {{
        VI_1
        VI_2
    }}
}}
",
        // The name stands in the certificate of the encrypted server.
        host = if port.is_empty() {
            "127.0.0.1"
        } else {
            "localhost"
        },
    );
    for (number, vip) in [(1, VIP), (2, "192.0.2.201")] {
        text.push_str(&format!(
            "vrrp_instance VI_{number} {{
    interface eth0
    virtual_router_id 6{number}
    priority 150
    advert_int 1
    virtual_ipaddress {{
        {vip}/24
    }}
}}
"
        ));
    }
    text
}
