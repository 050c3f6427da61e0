//! Tracked scripts, files, processes and interfaces: their blocks and the lines
//! that name them. The texts are those of C 2.2.7.

use super::*;
use crate::config::model::ParameterMatch;
use crate::time::Interval;

const DEFINITIONS: &str = "global_defs {\nenable_script_security\n}\nvrrp_script s {\nscript /s\n\
                           weight 3\n}\ntrack_file f {\nfile /f\n}\nvrrp_track_process p {\n\
                           process nginx\nweight 4\n}\n";

/// Lines before the first line that `with` adds.
const OFFSET: usize = 17;

fn told(loaded: &Loaded) -> Vec<String> {
    let told = loaded.diagnostics.iter().filter(|found| {
        let is_ours = ["does-not-work-yet", "unused-script"].contains(&found.code);
        found.severity > diagnostic::Severity::Hint && !is_ours
    });
    told.map(|found| found.as_c_line(&loaded.sources)).collect()
}

/// Each case: a block and a line in it, and what is told of the line.
#[test]
fn lines_are_checked_as_c_checks_them() {
    for (block, line, said) in [
        (
            "interface",
            "e1 weight 300",
            "(VI) weight 300 for e1 must be between [-253..253] inclusive. Ignoring...",
        ),
        (
            "interface",
            "e1 weight 254",
            "(VI) weight for e1 cannot be +/-254. Setting to +/-253",
        ),
        (
            "interface",
            "e1 weight",
            "(VI) weight without value specified for track_interface e1 - ignoring",
        ),
        (
            "interface",
            "e1 foo",
            "(VI) unknown track_interface e1 option foo - ignoring",
        ),
        (
            "interface",
            "e1 weight 5 noreverse",
            "(VI) unknown track_interace e1 weight option noreverse - ignoring",
        ),
        (
            "script",
            "s weight 300",
            "(VI) track script s: weight must be between [-253..253] inclusive, ignoring...",
        ),
        (
            "script",
            "s weight 254",
            "(VI) weight for s cannot be +/-254. Setting to +/-253",
        ),
        (
            "script",
            "s weight",
            "(VI) weight without value specified for track script s - ignoring",
        ),
        (
            "script",
            "s foo",
            "(VI) unknown track script option foo - ignoring",
        ),
        (
            "script",
            "s weight 5 foo",
            "(VI) unknown track_script s weight option foo - ignoring",
        ),
        (
            "file",
            "f weight 300",
            "(VI) weight for track file f must be in [-254..254] inclusive. Ignoring...",
        ),
        (
            "file",
            "f weight",
            "(VI) weight without value specified for track file f - ignoring",
        ),
        (
            "file",
            "f foo",
            "(VI) unknown track file option foo - ignoring",
        ),
        (
            "file",
            "f weight 5 foo",
            "(VI) unknown track file f weight option foo - ignoring",
        ),
        ("file", "g", "(VI) track file g not found, ignoring..."),
        (
            "process",
            "p weight 300",
            "(VI) weight for track process p must be in [-254..254] inclusive. Ignoring...",
        ),
        (
            "process",
            "p foo",
            "(VI) unknown track process option foo - ignoring",
        ),
        (
            "process",
            "p weight 5 foo",
            "(VI) unknown track_process p weight option foo - ignoring",
        ),
        (
            "process",
            "q",
            "(VI) track process q not found, ignoring...",
        ),
        ("bfd", "b", "(VI) track bfd b not found, ignoring..."),
    ] {
        let text = format!(
            "{DEFINITIONS}{}",
            with(&format!("track_{block} {{\n{line}\n}}"))
        );
        let loaded = parse(&text);
        let expected = format!("(Line {}) {said}", OFFSET + 2);
        assert_eq!(told(&loaded), [expected], "{block} {line}");
        assert_eq!(loaded.exit_code(), 5);
    }
}

#[test]
fn lines_count_once_and_take_over_the_weight_of_the_block() {
    let text = format!(
        "{DEFINITIONS}{}",
        with(
            "track_interface {\ne1 weight -5 reverse\ne1\n}\ntrack_script {\ns\ns\n}\n\
             track_file {\nf weight 9 reverse\nf\n}\ntrack_process {\np\np weight 2\n}"
        )
    );
    let loaded = parse(&text);
    let said: Vec<String> = [
        (3, "interface e1"),
        (7, "script s"),
        (11, "file f"),
        (15, "process p"),
    ]
    .iter()
    .map(|(line, what)| {
        format!(
            "(Line {}) (VI) duplicate track_{what} - ignoring",
            OFFSET + line
        )
    })
    .collect();
    assert_eq!(told(&loaded), said);
    let instance = &loaded.config.instances[0];
    let interface = &instance.track_interfaces[0];
    assert_eq!((interface.weight, interface.reverse), (-5, true));
    assert_eq!(instance.track_scripts[0].weight, 3);
    let file = &instance.track_files[0];
    assert_eq!((file.weight, file.reverse, file.file.weight), (9, true, 1));
    assert_eq!(instance.track_processes[0].weight, 4);
    assert!(loaded.is_usable());
}

#[test]
fn the_own_interface_is_tracked_anyway() {
    let loaded = parse(&with("track_interface {\ne0\n}"));
    assert_eq!(
        told(&loaded),
        ["(VI) Ignoring track_interface e0 since own interface"]
    );
    assert!(loaded.config.instances[0].track_interfaces.is_empty());
}

#[test]
fn the_owner_of_addresses_has_no_weights() {
    let more = "priority 255\ntrack_interface {\ne1 weight 5\ne2\n}\ntrack_script {\ns\n}\n\
                track_file {\nf\n}\ntrack_process {\np\n}";
    let loaded = parse(&format!("{DEFINITIONS}{}", with(more)));
    assert_eq!(
        told(&loaded),
        [
            "(VI) ignoring e1 tracked interface due to address owner",
            "(VI) ignoring tracked script s with weights due to address_owner",
            "(VI) ignoring weight from tracked file f due to address_owner. specify weight 0",
        ]
    );
    let instance = &loaded.config.instances[0];
    assert_eq!(instance.track_interfaces[0].interface, "e2");
    assert_eq!(instance.track_files[0].weight, 0);
    assert!(instance.track_scripts.is_empty());
}

#[test]
fn blocks_of_files_are_checked() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["(Line 2) No file set for track_file f - ignoring"]),
        (
            "file\n",
            &[
                "(Line 2) track file file name missing",
                "(Line 3) No file set for track_file f - ignoring",
            ],
        ),
        (
            "file /a\nfile /b\nweight\n",
            &[
                "(Line 3) File already set for track file f - ignoring /b",
                "(Line 4) No weight specified for track file f - ignoring",
            ],
        ),
        (
            "file /a\nweight 300\nweight 5\nweight 6\n",
            &[
                "(Line 3) Weight (300) for track_file f must be between [-254..254] inclusive. \
                 Ignoring...",
                "(Line 5) Weight already set for track file f - ignoring 6",
            ],
        ),
        (
            "file /a\nweight 5 foo\ninit_file x\n",
            &[
                "(Line 3) track_file f unknown weight option foo",
                "(Line 4) Unknown track file init option x",
            ],
        ),
        (
            "file /a\ninit_file 300 foo\n",
            &[
                "(Line 3) Track file f init value 300 is outside sensible range [-254, 254]",
                "(Line 3) Unknown track file init option foo",
            ],
        ),
        (
            "file /a\ninit_file 5x\n",
            &["(Line 3) Track file f init value 5x is invalid"],
        ),
    ];
    for (inner, said) in cases {
        let loaded = parse(&format!("track_file f {{\n{inner}}}\n"));
        assert_eq!(
            (told(&loaded).as_slice(), loaded.exit_code()),
            (&owned(said)[..], 5),
            "{inner}"
        );
    }
    let config = clean("track_file f {\nfile /a\nweight -7 reverse\ninit_file overwrite -3\n}\n");
    let file = &config.track_files[0];
    assert_eq!(
        (file.path.as_str(), file.weight, file.reverse),
        ("/a", -7, true)
    );
    assert_eq!((file.initial_value, file.overwrite), (Some(-3), true));
    let config = clean("vrrp_track_file f {\nfile /a\n}\ntrack_file f {\nfile /b\n}\n");
    assert_eq!(
        (config.track_files.len(), config.track_files[0].weight),
        (1, 1)
    );
    assert_eq!(parse("track_file {\nfile /a\n}\n").exit_code(), 2);
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_string()).collect()
}

#[test]
fn blocks_of_processes_are_checked() {
    let loaded = parse("vrrp_track_process p {\n}\n");
    assert_eq!(
        told(&loaded),
        ["(Line 2) track process 'p' process name not specified"]
    );
    let loaded = parse(
        "vrrp_track_process p {\nprocess nginx\nprocess foo\nquorum 0\nquorum_max x\ndelay 4000\n\
         fork_delay 0\nweight 300\nweight 5 foo\nweight 6\nparam_match foo\nquorum 5\n\
         quorum_max 2\n}\n",
    );
    assert_eq!(
        told(&loaded),
        [
            "(Line 3) Process already set for track process p - ignoring foo",
            "(Line 4) Quorum (0) for vrrp_track_process p must be between [1..65535] inclusive. \
             Ignoring...",
            "(Line 5) quorum_max (x) for vrrp_track_process p must be between [0..65535] \
             inclusive. Ignoring...",
            "(Line 6) delay (4000) for vrrp_track_process p must be between [0.000001..3600] \
             inclusive. Ignoring...",
            "(Line 7) fork_delay (0) for vrrp_track_process p must be between [0.000001..3600] \
             inclusive. Ignoring...",
            "(Line 8) Weight (300) for vrrp_track_process p must be between [-254..254] \
             inclusive. Ignoring...",
            "(Line 9) vrrp_track_process p unknown weight option foo",
            "(Line 10) Weight already set for track process p - ignoring 6",
            "(Line 11) Invalid param_match type foo - ignoring",
            "(Line 14) quorum_max is less than quorum - ignoring",
        ]
    );
    let config = clean(
        "vrrp_track_process p {\nprocess nginx -g x\nquorum_max 0\ndelay 2\nfork_delay 3\n\
         full_command\n}\n",
    );
    let process = &config.track_processes[0];
    assert_eq!(
        (process.program.as_str(), process.parameters.len()),
        ("nginx", 2)
    );
    assert_eq!(process.parameter_match, ParameterMatch::Exact);
    assert_eq!((process.quorum, process.quorum_max), (0, Some(0)));
    assert_eq!(
        (process.terminate_delay, process.fork_delay),
        (Interval::from_secs(2), Interval::from_secs(3))
    );
    assert!(process.full_command);
}

#[test]
fn blocks_of_scripts_are_checked() {
    let text = "global_defs {\nenable_script_security\n}\nvrrp_script a {\nscript /bin/true\n\
                weight 300\nrise 0\nfall x\ninterval x\ntimeout 0\ntimeout y\nweight 5 foo\n}\n";
    assert_eq!(
        told(&parse(text)),
        [
            "(Line 6) vrrp_script a weight 300 must be in [-253, 253]",
            "(Line 7) (a): vrrp script rise value '0' invalid, defaulting to 1",
            "(Line 8) (a): vrrp script fall value 'x' invalid, defaulting to 1",
            "(Line 9) (a): vrrp script interval 'x' must be between 1 and 4294 - ignoring",
            "(Line 10) (a): vrrp script timeout must be greater than 0, setting to 1",
            "(Line 11) (a): vrrp script timeout 'y' invalid - ignoring",
            "(Line 12) vrrp_script a unknown weight option foo",
        ]
    );
    let empty = parse("vrrp_script x {\n}\n");
    assert_eq!(
        told(&empty),
        ["(Line 2) No script set for vrrp_script x - removing"]
    );
}

mod scripts {
    use super::*;

    const SECURE: &str = "global_defs {\nenable_script_security\n}\n";

    #[test]
    fn are_tracked_by_name_with_weights() {
        let loaded = parse(&format!(
            "{SECURE}vrrp_script a {{\nscript \"/a 'b c'\" x\ninterval 2\nweight 5\nfall 3\n}}\n\
             vrrp_script unused {{\nscript /u\n}}\n\
             vrrp_script b {{\nscript /b\nweight -7 reverse\ntimeout 0.5\nrise 2\nuser u g\n}}\n{}",
            with("track_script {\nb weight 254 noreverse\na\na\nnone\nunused foo\n}")
        ));
        let instance = &loaded.config.instances[0];
        let tracked: Vec<_> = instance
            .track_scripts
            .iter()
            .map(|t| (t.script.name.as_str(), t.weight, t.reverse))
            .collect();
        assert_eq!(tracked, [("b", 253, false), ("a", 5, false)]);
        let [a, b] = loaded.config.scripts.as_slice() else {
            panic!("{:?}", loaded.config)
        };
        assert_eq!(a.command.argv, ["/a", "b c"]);
        assert_eq!(
            (a.interval.as_secs(), a.timeout, a.rise, a.fall),
            (2, a.interval, 1, 3)
        );
        assert_eq!((b.timeout.as_us(), b.rise), (500_000, 2));
        assert_eq!(b.command.user.as_ref().unwrap().group.as_deref(), Some("g"));
        assert_eq!(
            lines(&loaded),
            [
                "(Line 5) 'x' is ignored",
                "(Line 24) (VI) weight for b cannot be +/-254. Setting to +/-253",
                "(Line 26) (VI) duplicate track_script a - ignoring",
                "(Line 28) (VI) unknown track script option foo - ignoring",
                "(Line 27) (VI) track script none not found, ignoring...",
                "Warning - script unused is not used",
            ]
        );
    }

    #[test]
    fn must_stand_before_who_tracks_them() {
        let loaded = parse(&format!(
            "{SECURE}{}vrrp_script a {{\nscript /a\n}}\n",
            with("track_script {\na\n}")
        ));
        assert_eq!(
            lines(&loaded)[0],
            "(Line 8) (VI) track script a not found, ignoring..."
        );
        assert!(loaded.config.instances[0].track_scripts.is_empty());
    }

    #[test]
    fn with_weights_do_not_move_the_address_owner() {
        let loaded = parse(&format!(
            "{SECURE}vrrp_script a {{\nscript /a\nweight 5\n}}\n{}",
            with("priority 255\ntrack_script {\na\n}")
        ));
        let text = "(VI) ignoring tracked script a with weights due to address_owner";
        assert_eq!(lines(&loaded), [text]);
    }

    #[test]
    fn without_security_are_only_a_warning_to_a_daemon() {
        let loaded = parse(&with(
            "notify_master \"/m.sh a\" bob\nnotify_master /second",
        ));
        let notify = loaded.config.instances[0].notify.master.as_ref().unwrap();
        assert_eq!(notify.argv, ["/m.sh", "a"]);
        assert_eq!(
            lines(&loaded),
            [
                "(Line 5) (VI) notify_master script already specified - ignoring /second",
                "SECURITY VIOLATION - scripts are being executed but script_security not enabled."
            ]
        );
        assert_eq!((loaded.exit_code(), loaded.is_usable()), (6, true));
    }
}
