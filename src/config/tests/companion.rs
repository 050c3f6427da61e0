//! `keepalived-rs.conf` beside the main file.

use super::super::model::{MailDelivery, MetricsListen, Secret, SmtpPassword, SmtpTls};
use super::super::source::Sources;
use super::*;
use crate::time::Interval;

const MAIN: &str = "/etc/keepalived/keepalived.conf";
const OWN: &str = "/etc/keepalived/keepalived-rs.conf";

/// Instances A and B, and C in the group G.
fn main_file() -> String {
    let mut text = String::new();
    for (index, name) in ["A", "B", "C"].iter().enumerate() {
        text.push_str(&format!(
            "vrrp_instance {name} {{\ninterface e0\nvirtual_router_id {}\n\
             virtual_ipaddress {{\n192.0.2.{index}\n}}\n}}\n",
            index + 1
        ));
    }
    text.push_str("vrrp_sync_group G {\ngroup {\nB\nC\n}\n}\n");
    text
}

fn beside(own: &str) -> Loaded {
    parse_files(&[(MAIN, &main_file()), (OWN, own)])
}

/// Of A, B and C.
fn switches(own: &str) -> [bool; 3] {
    let loaded = beside(own);
    assert_eq!(lines(&loaded), [""; 0], "in\n{own}");
    let instances = &loaded.config.instances;
    let on = |name: &str| {
        instances
            .iter()
            .any(|it| it.name == name && it.fast_handover)
    };
    ["A", "B", "C"].map(on)
}

#[test]
fn the_nearest_switch_counts() {
    assert_eq!(switches(""), [false; 3]);
    assert_eq!(switches("global_defs {\nfast_handover\n}\n"), [true; 3]);
    let global_defs = "global_defs {\nfast_handover on\n}\n";
    let group = "vrrp_sync_group G {\nfast_handover off\n}\n";
    let instance = "vrrp_instance C {\nfast_handover\n}\n";
    assert_eq!(
        switches(&format!("{instance}{group}{global_defs}")),
        [true, false, true]
    );
    assert_eq!(switches(instance), [false, false, true]);
}

#[test]
fn a_file_that_is_missing_is_no_matter_and_stays_missing() {
    let without = parse_files(&[(MAIN, &main_file())]);
    assert_eq!(lines(&without), [""; 0]);
    let replay = Sources::from_bytes(&without.sources.to_bytes()).unwrap();
    let again = load(&replay, Path::new(MAIN), &options());
    assert_eq!(again.config, without.config);
}

/// The second process reads what the first one read, whatever is on disk by then.
#[test]
fn a_replay_has_the_file() {
    let loaded = beside("@box global_defs {\n@box fast_handover\n@box }\n");
    assert!(loaded.config.instances[0].fast_handover);
    let replay = Sources::from_bytes(&loaded.sources.to_bytes()).unwrap();
    assert_eq!(
        load(&replay, Path::new(MAIN), &options()).config,
        loaded.config
    );
}

#[test]
fn mistakes_name_this_file() {
    for (own, expected) in [
        (
            "vrrp_instance A {\nfast_handover maybe\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 2) Invalid value 'maybe' for \
             fast_handover specified",
        ),
        (
            "global_defs {\nfast_handover\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 1) There are 1 missing '}'s or extra '{'s",
        ),
        (
            "vrrp_instance A {\n}\nvrrp_instance A {\nfast_handover\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 3) vrrp instance A already defined",
        ),
        (
            "vrrp_instance {\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 1) vrrp_instance must have a name",
        ),
        (
            "vrrp_sync_group H {\n}\n",
            "(/etc/keepalived/keepalived-rs.conf: Line 1) No vrrp sync group H in the main file \
             - ignoring",
        ),
    ] {
        let loaded = beside(own);
        assert_eq!(lines(&loaded), [expected], "in\n{own}");
        assert_eq!(loaded.exit_code(), 5);
        let snippet = loaded.diagnostics[0].as_snippet(&loaded.sources);
        assert!(snippet.contains(OWN), "{snippet}");
    }
}

/// The help of the only finding.
fn help(main: &str, own: &str) -> String {
    let loaded = parse_files(&[(MAIN, main), (OWN, own)]);
    let [found] = loaded.diagnostics.as_slice() else {
        panic!("{:?}", lines(&loaded));
    };
    found.help.join(" ")
}

#[test]
fn a_name_that_no_instance_has_gets_the_nearest() {
    let main = main_file().replace("A {", "web_front {");
    let found = help(&main, "vrrp_instance web_frnt {\nfast_handover\n}\n");
    assert_eq!(found, "Did you mean `web_front`?");
}

#[test]
fn words_of_the_other_file_are_sent_there() {
    let found = help(&main_file(), "vrrp_instance A {\npriority 100\n}\n");
    let expected = "`priority` belongs into `vrrp_instance`, in the main file, which C keepalived \
                    reads, too.";
    assert_eq!(found, expected);
    let main = main_file().replacen("interface", "fast_handover\ninterface", 1);
    let found = help(&main, "");
    assert!(
        found.contains("`vrrp_instance`")
            && found.ends_with(
                "in the file keepalived-rs.conf beside this one, because C does not know it."
            ),
        "{found}"
    );
    let found = help(&main_file(), "vrrp_instance A {\nfast_hand_over\n}\n");
    assert_eq!(found, "Did you mean `fast_handover`?");
}

#[test]
fn a_main_file_of_this_name_has_nothing_beside_it() {
    let loaded = parse_files(&[(OWN, &main_file())]);
    assert_eq!(lines(&loaded), [""; 0]);
    assert_eq!(loaded.config.instances.len(), 3);
    assert_eq!(loaded.sources.len(), 1);
}

#[test]
fn nothing_is_read_where_vrrp_is_not_wanted() {
    let files = vec![
        (PathBuf::from(MAIN), main_file().into_bytes()),
        (PathBuf::from(OWN), b"vrrp_instance A {\n}\n".to_vec()),
    ];
    let options = Options {
        without_vrrp: true,
        ..options()
    };
    let loaded = load(&files, Path::new(MAIN), &options);
    assert_eq!(lines(&loaded), [""; 0]);
}

/// How mail is sent, and what is told of it.
fn mail(own: &str) -> (MailDelivery, Vec<String>) {
    let loaded = beside(&format!("global_defs {{\n{own}\n}}\n"));
    let told = lines(&loaded).iter().map(ToString::to_string).collect();
    (loaded.config.globals.mail, told)
}

#[test]
fn mail_goes_out_as_c_sends_it_and_is_tried_again_for_an_hour() {
    let (mail, told) = mail("");
    assert_eq!(told, [""; 0]);
    assert_eq!(mail.tls, SmtpTls::Off);
    assert_eq!((mail.user, mail.password), (None, None));
    assert_eq!(mail.retry_for, Interval::from_secs(3_600));
}

#[test]
fn mail_is_encrypted_with_a_login_where_it_is_asked_for() {
    let words = "smtp_tls starttls\nsmtp_ca_file /etc/ca.pem\nsmtp_user lb1\n\
                 smtp_password s3cret\nsmtp_retry_for 0";
    let (found, told) = mail(words);
    assert_eq!(told, [""; 0]);
    let expected = MailDelivery {
        tls: SmtpTls::StartTls,
        ca_file: Some("/etc/ca.pem".into()),
        ca_text: None,
        user: Some("lb1".into()),
        password: Some(SmtpPassword::Written(Secret::from(b"s3cret".to_vec()))),
        retry_for: Interval::ZERO,
    };
    assert_eq!(found, expected);
    assert!(!format!("{found:?}").contains("s3cret"));
    let (found, _) = mail("smtp_tls tls\nsmtp_user lb1\nsmtp_password_file /etc/p");
    assert_eq!(found.password, Some(SmtpPassword::File("/etc/p".into())));
}

#[test]
fn a_password_is_never_sent_in_the_clear() {
    for tls in ["", "smtp_tls off", "smtp_tls opportunistic"] {
        let (found, told) = mail(&format!("{tls}\nsmtp_user lb1\nsmtp_password s3cret"));
        assert_eq!((found.user, found.password), (None, None), "{tls}");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("smtp_user without encryption - ignoring"));
        assert!(!told[0].contains("s3cret"));
    }
}

#[test]
fn what_is_incomplete_for_a_login_is_told() {
    for (words, expected) in [
        (
            "smtp_tls tls\nsmtp_user lb1",
            "smtp_user without a password - ignoring",
        ),
        (
            "smtp_password x",
            "smtp_password without smtp_user - ignoring",
        ),
        (
            "smtp_password_file /p",
            "smtp_password_file without smtp_user - ignoring",
        ),
        ("smtp_tls ssl", "Invalid smtp_tls 'ssl' - ignoring"),
        (
            "smtp_retry_for 90000",
            "smtp_retry_for '90000' must be in [0, 86400] - ignoring",
        ),
        (
            "smtp_ca_file /ca",
            "smtp_ca_file has no effect without smtp_tls",
        ),
        (
            "smtp_tls tls\nsmtp_user u\nsmtp_password x\nsmtp_password_file /p",
            "smtp_password_file: there is a password already - ignoring",
        ),
    ] {
        let (_, told) = mail(words);
        assert!(
            told.len() == 1 && told[0].contains(expected),
            "{words}: {told:?}"
        );
    }
}

#[test]
fn metrics_are_served_on_this_machine_only() {
    let listen = |word: &str| {
        let loaded = beside(&format!("global_defs {{\nmetrics_listen {word}\n}}\n"));
        let told = lines(&loaded).join("\n");
        (loaded.config.globals.metrics_listen, told)
    };
    assert_eq!(beside("").config.globals.metrics_listen, None);
    let (found, told) = listen("unix:/run/m");
    assert_eq!(found, Some(MetricsListen::Unix("/run/m".into())));
    assert_eq!(told, "");
    for word in ["127.0.0.1:9165", "127.1.2.3:1", "[::1]:65535"] {
        let address = word.parse().expect("an address");
        assert_eq!(
            listen(word),
            (Some(MetricsListen::Loopback(address)), String::new())
        );
    }
    let long = format!("unix:/{}", "x".repeat(107));
    for (word, wrong) in [
        ("0.0.0.0:9165", "only a loopback address is possible"),
        ("192.0.2.1:9165", "only a loopback address is possible"),
        ("[2001:db8::1]:9165", "only a loopback address is possible"),
        ("127.0.0.1:0", "the port must not be 0"),
        ("localhost:9165", "neither unix:PATH nor ADDRESS:PORT"),
        ("9165", "neither unix:PATH nor ADDRESS:PORT"),
        ("unix:m", "the path of a socket begins with /"),
        (&long, "the path of a socket is too long"),
    ] {
        let (found, told) = listen(word);
        assert_eq!(found, None, "{word}");
        let expected = format!("Invalid metrics_listen '{word}': {wrong} - ignoring");
        assert!(told.ends_with(&expected), "{told}");
    }
}

/// What A, B and C do about losses.
fn losses(own: &str) -> [String; 3] {
    let loaded = beside(own);
    assert_eq!(lines(&loaded), [""; 0], "in\n{own}");
    ["A", "B", "C"].map(|name| {
        let mut instances = loaded.config.instances.iter();
        let instance = instances.find(|it| it.name == name).unwrap();
        instance.vip_loss.to_string()
    })
}

#[test]
fn the_nearest_word_about_losses_counts() {
    let default = "heal, limit 5 in 10 s";
    assert_eq!(losses(""), [default; 3]);
    assert_eq!(
        losses("global_defs {\nvip_loss reelect\n}\n"),
        ["reelect"; 3]
    );
    let global_defs = "global_defs {\nvip_loss_limit 0\n}\n";
    let group = "vrrp_sync_group G {\nvip_loss_limit 3 60\n}\n";
    let instance = "vrrp_instance C {\nvip_loss reelect\n}\n";
    assert_eq!(
        losses(&format!("{instance}{group}{global_defs}")),
        ["heal, without a limit", "heal, limit 3 in 60 s", "reelect"]
    );
    // Each word for itself: the group's limit is that of C when it heals.
    let back = "vrrp_instance C {\nvip_loss heal\n}\nglobal_defs {\nvip_loss reelect\n}\n";
    assert_eq!(
        losses(&format!("{back}{group}")),
        ["reelect", "reelect", "heal, limit 3 in 60 s"]
    );
    assert_eq!(
        losses("global_defs {\nvip_loss_limit 1000\n}\n"),
        ["heal, limit 1000 in 10 s"; 3]
    );
}

#[test]
fn words_about_losses_that_mean_nothing_are_told() {
    for (line, expected) in [
        ("vip_loss", "is missing a parameter"),
        ("vip_loss never", "Invalid vip_loss 'never' - ignoring"),
        (
            "vip_loss_limit 1001",
            "vip_loss_limit '1001' must be in [0, 1000] - ignoring",
        ),
        (
            "vip_loss_limit 5 0",
            "vip_loss_limit: '0' seconds must be in [1, 3600] - ignoring",
        ),
        (
            "vip_loss_limit 5 3601",
            "vip_loss_limit: '3601' seconds must be in [1, 3600] - ignoring",
        ),
    ] {
        let loaded = beside(&format!("global_defs {{\n{line}\n}}\n"));
        let lines = lines(&loaded);
        let told = lines
            .iter()
            .any(|it| it.to_lowercase().contains(&expected.to_lowercase()));
        assert!(told, "{line}: {lines:?}");
        let limits = loaded.config.instances.iter().map(|it| it.vip_loss);
        assert!(
            limits.into_iter().all(|it| it == Default::default()),
            "{line}"
        );
    }
}

#[test]
fn the_worker_is_confined_unless_told_otherwise() {
    for (word, is_confined) in [
        ("", true),
        ("worker_confinement", true),
        ("worker_confinement yes", true),
        ("worker_confinement no", false),
        ("worker_confinement off", false),
    ] {
        let loaded = beside(&format!("global_defs {{\n{word}\n}}\n"));
        assert_eq!(lines(&loaded), [""; 0], "{word}");
        let globals = &loaded.config.globals;
        assert_eq!(globals.worker_confinement, is_confined, "{word}");
    }
    let loaded = beside("global_defs {\nworker_confinement maybe\n}\n");
    assert!(loaded.config.globals.worker_confinement);
    assert_eq!(lines(&loaded).len(), 1);
}
