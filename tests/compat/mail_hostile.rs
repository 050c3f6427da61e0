//! Mail servers that are broken or mean: the VIP moves in time, the log says what
//! happened, and the daemon stops within its second.

use crate::bench::{Bench, Machine, PATIENCE, PROMPT, VIP, configuration, expect, skew};
use crate::lab::{Context, Failure, Result};
use crate::lateness::{BEAT, expect_in_time};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

const SERVER: &str = "127.0.0.1:2525";
/// What the daemon gives mail when it stops, and what the rest of a stop needs.
const STOP_MAX: Duration = Duration::from_millis(1_500);
/// More than the daemon needs, far less than a server can say in a second.
const MEMORY_MAX_KIB: u64 = 100 << 10;

/// What a server does with a client; it tells what it has heard.
type Manners = fn(TcpStream, &Sender<String>) -> io::Result<()>;

/// It accepts and says nothing.
pub fn silent(bench: &mut Bench) -> Result<()> {
    let manners: Manners = |mut client, _| io::copy(&mut client, &mut io::sink()).map(drop);
    let told = "Timeout connecting SMTP server [127.0.0.1]:2525.";
    nothing_delivered(bench, manners, told)?;
    bench
        .a
        .expect_line("Mail was still waiting at the end and is lost")
}

/// Its answers are no answers.
pub fn garbage(bench: &mut Bench) -> Result<()> {
    let manners: Manners = |mut client, _| client.write_all(b"\0\xff\xfe%s%n\r\n250 OK\r\n");
    let told = "SMTP connection ERROR to [127.0.0.1]:2525. network error";
    nothing_delivered(bench, manners, told)
}

/// It greets, and hangs up when it is greeted and told the sender.
pub fn half_way(bench: &mut Bench) -> Result<()> {
    let manners: Manners = |client, heard| converse(client, heard, 2, "");
    let told = "SMTP connection ERROR to [127.0.0.1]:2525. response error: incomplete response";
    nothing_delivered(bench, manners, told)
}

/// It has a lot to say, all on one line.
pub fn endless_line(bench: &mut Bench) -> Result<()> {
    let manners: Manners = |mut client, _| {
        loop {
            client.write_all(&[b'2'; 1 << 16])?;
        }
    };
    let told = "SMTP connection ERROR to [127.0.0.1]:2525. The server said more than 1024 KiB";
    nothing_delivered(bench, manners, told)
}

/// It sends each answer byte by byte: every mail is delivered.
pub fn byte_by_byte(bench: &mut Bench) -> Result<()> {
    all_delivered(bench, |client, heard| {
        converse(client, heard, usize::MAX, "")
    })
}

/// It refuses one of two recipients: the other one gets every mail, and the log
/// says who does not.
pub fn refused_recipient(bench: &mut Bench) -> Result<()> {
    all_delivered(bench, |client, heard| {
        converse(client, heard, usize::MAX, "RCPT TO:<root@example.com>")
    })?;
    bench.a.expect_line(
        "Error processing RCPT cmd on SMTP server [127.0.0.1]:2525. SMTP status code = 550: \
         root@example.com gets no mail",
    )
}

/// A password file and certificates that cannot be read are told at the start and
/// at a reload; the words of a reload count for the next mail.
pub fn reload(bench: &mut Bench) -> Result<()> {
    let heard = serve(&bench.a, |client, heard| {
        converse(client, heard, usize::MAX, "")
    })?;
    let a = &mut bench.a;
    own_words(
        a,
        "smtp_tls starttls\nsmtp_user lb1\nsmtp_password_file /run/nothing\nsmtp_retry_for 0",
    )?;
    a.start(&file())?;
    a.expect_line(
        "No mail can be sent: smtp_password_file '/run/nothing' cannot be read: \
         No such file or directory (os error 2)",
    )?;
    a.node.await_address(VIP, true, PATIENCE)?;
    own_words(
        a,
        "smtp_tls tls\nsmtp_ca_file /run/keepalived-rs.conf\nsmtp_retry_for 0",
    )?;
    reload_and_wait(a, &file())?;
    a.expect_line(
        "No mail can be sent: smtp_ca_file '/run/keepalived-rs.conf' has no certificate",
    )?;
    expect(heard.try_recv().is_err(), || "no mail so far".to_owned())?;

    own_words(a, "smtp_retry_for 60")?;
    reload_and_wait(a, &file().replace("router_id lb1", "router_id lb2"))?;
    a.node.set_carrier(false)?;
    expect_subject(&heard, "[lb2] VRRP Instance VI_1 - Entering FAULT state")?;
    a.stop()
}

fn own_words(machine: &Machine, words: &str) -> Result<()> {
    let text = format!("global_defs {{\n{words}\n}}\n");
    machine.node.write_file("/run/keepalived-rs.conf", &text)
}

fn reload_and_wait(machine: &Machine, text: &str) -> Result<()> {
    let mark = machine.daemon()?.line_mark();
    machine.reload(text)?;
    let daemon = machine.daemon()?;
    daemon.await_line_after(mark, PATIENCE, "Reload complete")?;
    Ok(())
}

/// With a server that takes no mail.
fn nothing_delivered(bench: &mut Bench, manners: Manners, told: &str) -> Result<()> {
    let _heard = serve(&bench.a, manners)?;
    start(bench, &(file() + BEAT))?;
    expect_in_time(bench, |bench| bench.a.expect_line(told))?;
    bench.a.expect_line("SMTP alerts are tried again in 5 s")?;
    for (outside, _, name) in bench.a.node.processes()? {
        let used = memory_kib(outside)?;
        expect(used < MEMORY_MAX_KIB, || {
            format!("at most {MEMORY_MAX_KIB} KiB, not {used} of {name}")
        })?;
    }
    stop_in_time(bench)
}

/// With a server that takes every mail, that about the stop, too.
fn all_delivered(bench: &mut Bench, manners: Manners) -> Result<()> {
    let heard = serve(&bench.a, manners)?;
    start(bench, &file())?;
    bench.expect_holder(&bench.a)?;
    for state in ["Entering BACKUP state", "Entering MASTER state"] {
        expect_subject(&heard, &format!("[lb1] VRRP Instance VI_1 - {state}"))?;
    }
    stop_in_time(bench)?;
    expect_subject(&heard, "[lb1] VRRP Instance VI_1 - Stopping")
}

fn start(bench: &mut Bench, file: &str) -> Result<()> {
    bench.start(file, &configuration(100, ""))?;
    bench
        .lab
        .observer
        .await_announcement(
            bench.lab.observer.beginning(),
            PATIENCE,
            VIP,
            bench.a.node.mac(),
        )
        .map(drop)
}

/// The other node takes the VIP over a skew time after the farewell, and the
/// daemon ends whatever the mail server does.
fn stop_in_time(bench: &mut Bench) -> Result<()> {
    let mark = bench.lab.observer.mark();
    let asked = Instant::now();
    bench.a.daemon()?.signal(libc::SIGTERM);
    let (farewell, mark) = bench.await_advert(mark, &bench.a, 0)?;
    bench.expect_due("the farewell", asked, Duration::ZERO, farewell)?;
    let (takeover, _) = bench.await_advert(mark, &bench.b, 100)?;
    bench.expect_due("takeover", farewell, skew(100), takeover)?;
    let (ended, _) = bench.a.daemon()?.await_end(PATIENCE)?;
    let took = ended.saturating_duration_since(asked);
    let limit = STOP_MAX + PROMPT + bench.lab.canary.worst_since(asked);
    expect(took <= limit, || {
        format!("a stop within {limit:?}, not {took:?}")
    })?;
    bench.a.expect_stopped()?;
    bench.await_holder(mark, &bench.b)?;
    bench.b.stop()
}

/// Listens on the node; the threads live as long as this process.
fn serve(machine: &Machine, manners: Manners) -> Result<Receiver<String>> {
    let bind = || TcpListener::bind(SERVER).context(SERVER);
    let listener = machine.node.inside(bind)?;
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let tell = tell.clone();
            // A client that hangs up is none of this server's business.
            thread::spawn(move || manners(client, &tell));
        }
    });
    Ok(heard)
}

/// Answers so many times, byte by byte, and then hangs up. A line that begins with
/// `refused` is refused; every line is told.
fn converse(
    mut client: TcpStream,
    heard: &Sender<String>,
    answers_max: usize,
    refused: &str,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let mut answer = "220 ready";
    for _ in 0..answers_max {
        for byte in format!("{answer}\r\n").bytes() {
            client.write_all(&[byte])?;
        }
        let Some(line) = lines.next().transpose()? else {
            break;
        };
        answer = match line.as_str() {
            "DATA" => "354 go on",
            _ if !refused.is_empty() && line.starts_with(refused) => "550 no",
            _ => "250 fine",
        };
        // Nobody may be listening any more.
        let _ = heard.send(line);
        if answer == "354 go on" {
            client.write_all(b"354 go on\r\n")?;
            for text in lines.by_ref() {
                let text = text?;
                if text == "." {
                    break;
                }
                let _ = heard.send(text);
            }
            answer = "250 taken";
        }
    }
    Ok(())
}

/// Waits for the next subject of a mail, and checks it.
fn expect_subject(heard: &Receiver<String>, subject: &str) -> Result<()> {
    loop {
        let line = heard
            .recv_timeout(PATIENCE)
            .map_err(|_| Failure::new(format!("no mail with the subject {subject}")))?;
        if let Some(found) = line.strip_prefix("Subject: ") {
            return expect(found == subject, || format!("{subject}, not {found}"));
        }
    }
}

/// The most memory that a process ever used.
fn memory_kib(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).context(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::new(format!("no VmHWM in {path}")))
}

/// One instance that writes to the server of these scenarios, which has two
/// seconds for each step.
fn file() -> String {
    format!(
        "global_defs {{
    router_id lb1
    notification_email {{
        root@example.com
        ops@example.com
    }}
    notification_email_from ka@example.com
    smtp_server 127.0.0.1 2525
    smtp_connect_timeout 2
    smtp_alert
}}
{}",
        configuration(150, "")
    )
}
