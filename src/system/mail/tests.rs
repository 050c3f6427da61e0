//! Mail as a server gets it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::*;
use crate::config::model::{InitialState, Instance, Notify, SmtpTls, SyncGroup};
use crate::ids::{InstanceId, Priority, Vrid};
use crate::system::clock;
use crate::system::testing::{in_namespace, ip};
use crate::vrrp::action::{Cause, Evidence};

fn globals(port: u16) -> Globals {
    Globals {
        router_id: Some("lb1".into()),
        notification_email: vec!["root@localhost".into(), "Ops Team <ops@example.com>".into()],
        notification_email_from: Some("Keeper <ka@example.com>".into()),
        smtp_server: Some(SmtpServer {
            host: "127.0.0.1".into(),
            port,
        }),
        smtp_connect_timeout: Interval::from_secs(5),
        ..Globals::default()
    }
}

fn notification(name: &str, state: NotifyState, smtp_alert: bool) -> Notification {
    Notification {
        id: InstanceId(1),
        instance: Arc::new(Box::new(Instance {
            smtp_alert,
            ..Instance::new(name, "eth0", Vrid::new(51).expect("not 0"))
        })),
        state,
        previous: None,
        cause: Cause::Started,
        evidence: Evidence::default(),
        priority: Priority::DEFAULT,
    }
}

/// Serves `connections` mails and gives every line that was said; refuses the
/// command that begins with `refused`.
fn serve(listener: &TcpListener, connections: usize, refused: &str) -> Vec<String> {
    let mut said = Vec::new();
    for _ in 0..connections {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("a reader")).lines();
        stream.write_all(b"220 ready\r\n").expect("greeted");
        let mut in_message = false;
        while let Some(Ok(line)) = lines.next() {
            said.push(line.clone());
            let answer = match line.as_str() {
                "." => "250 taken",
                _ if in_message => continue,
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ if !refused.is_empty() && line.starts_with(refused) => "550 no",
                _ => "250 fine",
            };
            in_message = line == "DATA";
            stream
                .write_all(format!("{answer}\r\n").as_bytes())
                .expect("answered");
            if line == "QUIT" {
                break;
            }
        }
    }
    said
}

fn listener() -> (TcpListener, u16) {
    ip("link set lo up");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

#[test]
fn a_mail_has_the_headers_and_texts_of_keepalived() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        let said = serve(&listener, 1, "");
        let date = said.get(5).expect("a date");
        assert!(date.starts_with("Date: "), "{date}");
        let expected = [
            "EHLO node-a",
            "MAIL FROM:<ka@example.com>",
            "RCPT TO:<root@localhost>",
            "RCPT TO:<ops@example.com>",
            "DATA",
            date,
            "From: Keeper <ka@example.com>",
            "Subject: [lb1] VRRP Instance VI_1 - Entering MASTER state",
            "X-Mailer: Keepalived",
            "To: root@localhost,",
            " Ops Team <ops@example.com>",
            "",
            "=> VRRP Instance is now owning VRRP VIPs <=",
            "Why: started",
            "Seen: no advert heard yet, own priority 0",
            "",
            ".",
            "QUIT",
        ];
        assert_eq!(said, expected);
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn a_group_is_told_of_apart_from_an_instance_of_the_same_name() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        let group = |smtp_alert, state| GroupNotification {
            group: Arc::new(SyncGroup {
                name: "VI_1".to_owned(),
                instances: vec!["VI_1".to_owned()],
                initial_state: InitialState::Backup,
                track_interfaces: Vec::new(),
                track_scripts: Vec::new(),
                track_files: Vec::new(),
                track_processes: Vec::new(),
                track_bfds: Vec::new(),
                tracking_weight: false,
                notify: Notify::default(),
                smtp_alert,
                notify_priority_changes: None,
            }),
            state,
            previous: None,
            cause: Cause::Started,
        };
        mailer.send(&notification("VI_1", NotifyState::Fault, true));
        mailer.send_group(&group(false, NotifyState::Backup));
        mailer.send_group(&group(true, NotifyState::Fault));
        mailer.send_group(&group(true, NotifyState::Fault));
        mailer.send_group(&group(true, NotifyState::Stop));
        let said = serve(&listener, 3, "");
        let told = |start| said.iter().filter(move |line| line.starts_with(start));
        let subjects: Vec<_> = told("Subject: ").collect();
        assert_eq!(
            subjects,
            [
                "Subject: [lb1] VRRP Instance VI_1 - Entering FAULT state",
                "Subject: [lb1] VRRP Group VI_1 - Entering FAULT state",
                "Subject: [lb1] VRRP Group VI_1 - Stopping",
            ]
        );
        let bodies: Vec<_> = told("=> All").collect();
        assert_eq!(
            bodies,
            [
                "=> All VRRP group instances are now in FAULT state <=",
                "=> All VRRP group instances are now stopping <=",
            ]
        );
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn a_state_is_mailed_once_and_only_where_mail_is_wanted() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("silent", NotifyState::Master, false));
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        mailer.send(&notification("VI_2", NotifyState::Backup, true));
        let mut changed = globals(port);
        changed.router_id = None;
        mailer.configure(&changed);
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        mailer.send(&notification("VI_1", NotifyState::Stop, true));
        let said = serve(&listener, 3, "");
        let subjects: Vec<_> = said
            .iter()
            .filter_map(|line| line.strip_prefix("Subject: "))
            .collect();
        assert_eq!(
            subjects,
            [
                "[lb1] VRRP Instance VI_1 - Entering BACKUP state",
                "[lb1] VRRP Instance VI_2 - Entering BACKUP state",
                "[node-a] VRRP Instance VI_1 - Stopping",
            ]
        );
        assert!(mailer.finish(Interval::from_secs(5)));
        listener.set_nonblocking(true).expect("non-blocking");
        assert!(listener.accept().is_err(), "nothing else was mailed");
    });
}

#[test]
fn a_refusal_ends_the_dialogue_politely_and_the_next_mail_is_sent() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        let said = serve(&listener, 1, "RCPT");
        let expected = [
            "RCPT TO:<root@localhost>",
            "RCPT TO:<ops@example.com>",
            "QUIT",
        ];
        assert_eq!(said.get(2..).expect("a dialogue"), expected);
        mailer.send(&notification("VI_1", NotifyState::Fault, true));
        assert!(serve(&listener, 1, "").contains(&".".to_owned()));
        assert!(mailer.finish(Interval::from_secs(5)));
        // What is refused for good is not tried again.
        listener.set_nonblocking(true).expect("non-blocking");
        assert!(listener.accept().is_err());
    });
}

#[test]
fn a_recipient_who_is_refused_does_not_cost_the_others_their_mail() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        let said = serve(&listener, 1, "RCPT TO:<root@localhost>");
        assert!(said.contains(&".".to_owned()), "{said:?}");
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn a_mail_that_the_server_did_not_take_is_tried_again_in_the_order_of_the_changes() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        // Accepted and closed without a word.
        drop(listener.accept().expect("a connection"));
        // While the server counts as away, it is left alone.
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        let said = serve(&listener, 2, "");
        let subjects: Vec<_> = said
            .iter()
            .filter_map(|line| line.strip_prefix("Subject: [lb1] VRRP Instance "))
            .collect();
        let expected = [
            "VI_1 - Entering MASTER state",
            "VI_1 - Entering BACKUP state",
        ];
        assert_eq!(subjects, expected);
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn without_retries_a_mail_is_tried_once() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mut once = globals(port);
        once.mail.retry_for = Interval::ZERO;
        let mailer = Mailer::start(&once, "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        drop(listener.accept().expect("a connection"));
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        let said = serve(&listener, 1, "");
        let told = said.iter().any(|line| line.ends_with("BACKUP state"));
        assert!(told, "{said:?}");
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn a_stop_tries_what_waits_once_more() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        drop(listener.accept().expect("a connection"));
        mailer.send(&notification("VI_1", NotifyState::Stop, true));
        let server = std::thread::spawn(move || serve(&listener, 2, ""));
        assert!(mailer.finish(Interval::from_secs(4)));
        let said = server.join().expect("a dialogue");
        let subjects = said.iter().filter(|line| line.starts_with("Subject: "));
        assert_eq!(subjects.count(), 2, "{said:?}");
    });
}

#[test]
fn faults_are_not_mailed_where_nobody_wants_to_know() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mut quiet = globals(port);
        quiet.no_email_faults = true;
        let mailer = Mailer::start(&quiet, "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        mailer.send(&notification("VI_1", NotifyState::Fault, true));
        // What was mailed last is still BACKUP.
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        let said = serve(&listener, 2, "");
        assert!(!said.iter().any(|line| line.contains("FAULT")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("MASTER")), "{said:?}");
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn an_encrypted_connection_that_cannot_be_had_is_no_connection() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mut private = globals(port);
        private.mail.tls = SmtpTls::StartTls;
        private.mail.retry_for = Interval::ZERO;
        let mailer = Mailer::start(&private, "node-a").expect("started");
        mailer.send(&notification("VI_1", NotifyState::Master, true));
        // This server offers no STARTTLS.
        let said = serve(&listener, 1, "");
        assert!(
            !said.iter().any(|line| line.starts_with("MAIL")),
            "{said:?}"
        );
        private.mail.tls = SmtpTls::Opportunistic;
        mailer.configure(&private);
        mailer.send(&notification("VI_1", NotifyState::Backup, true));
        assert!(serve(&listener, 1, "").contains(&".".to_owned()));
        assert!(mailer.finish(Interval::from_secs(5)));
    });
}

#[test]
fn a_dead_server_neither_blocks_nor_lets_the_queue_grow() {
    in_namespace(|| {
        let (listener, port) = listener();
        let mailer = Mailer::start(&globals(port), "node-a").expect("started");
        mailer.send(&notification("VI_0", NotifyState::Master, true));
        // The first letter is on its way, and the server never says a word.
        let _silent = listener.accept().expect("a connection");
        let before = clock::now();
        for number in 1..100 {
            let name = format!("VI_{number}");
            mailer.send(&notification(&name, NotifyState::Master, true));
        }
        assert!(clock::now().since(before) < Interval::from_secs(1));
        assert_eq!(mailer.queue.take_dropped(), 99 - 64);
        assert!(!mailer.finish(Interval::from_ms(10)));
    });
}

#[test]
fn of_a_burst_the_last_states_are_told() {
    const ALERTS: u64 = 10_000;
    const INSTANCES: u64 = 20;
    in_namespace(|| {
        let (listener, port) = listener();
        let mut once = globals(port);
        once.mail.retry_for = Interval::ZERO;
        let mailer = Mailer::start(&once, "node-a").expect("started");
        mailer.send(&notification("VI_first", NotifyState::Master, true));
        // The first letter is on its way, and the server says nothing yet.
        let silent = listener.accept().expect("a connection");
        for number in 0..ALERTS {
            let name = format!("VI_{}", number % INSTANCES);
            let is_even = (number / INSTANCES).is_multiple_of(2);
            let state = [NotifyState::Master, NotifyState::Fault][usize::from(is_even)];
            mailer.send(&notification(&name, state, true));
        }
        let dropped = mailer.queue.take_dropped();
        drop(silent);
        let letters = usize::try_from(ALERTS - dropped).expect("few");
        assert!(letters < 200, "{letters} letters wait");
        let said = serve(&listener, letters, "");
        let mut last_told = HashMap::new();
        for subject in said.iter().filter(|line| line.starts_with("Subject: ")) {
            let (about, state) = subject.split_once(" - ").expect("a state");
            last_told.insert(about, state);
        }
        assert_eq!(last_told.len(), 20);
        assert!(
            last_told
                .values()
                .all(|state| *state == "Entering MASTER state")
        );
        assert_eq!(mailer.queue.take_dropped(), 0, "each is counted once");
        assert!(mailer.finish(Interval::from_secs(5)));
        listener.set_nonblocking(true).expect("non-blocking");
        assert!(listener.accept().is_err(), "nothing else was mailed");
    });
}

#[test]
fn without_a_server_or_recipients_there_is_no_mail() {
    let mut nobody = globals(25);
    nobody.notification_email.clear();
    assert!(post(&nobody, "node-a").is_none());
    let mut nowhere = globals(25);
    nowhere.smtp_server = None;
    assert!(post(&nowhere, "node-a").is_none());
}

#[test]
fn addresses_are_read_with_and_without_a_name() {
    let address = |written| {
        let found = mailbox(written, "node-a").expect("an address");
        (found.written, found.address.to_string())
    };
    let own = |written: &str, address: &str| (written.to_owned(), address.to_owned());
    assert_eq!(address("a@b.c"), own("a@b.c", "a@b.c"));
    assert_eq!(
        address("\"X, Y\" <a@b.c>"),
        own("\"X, Y\" <a@b.c>", "a@b.c")
    );
    assert_eq!(address("root"), own("root@node-a", "root@node-a"));
    assert_eq!(
        address("X\r\nBcc: y <a@b.c>"),
        own("X  Bcc: y <a@b.c>", "a@b.c")
    );
    for wrong in ["", "a b@c", "a@b.c\r\nRCPT TO:x@y.z", "<>"] {
        assert!(mailbox(wrong, "node-a").is_none(), "{wrong:?}");
    }
}
