//! What the reading makes of files: conditions, definitions, sequences,
//! includes and limits. Unknown words show which lines were read.

use super::*;

/// The unknown words of a file, in order, with their lines.
#[track_caller]
fn words(text: &str) -> Vec<String> {
    let said = lines(&parse(text));
    let word = |line: &String| {
        let (line, rest) = line
            .strip_prefix("(Line ")?
            .split_once(") Unknown keyword '")?;
        Some(format!("{line} {}", rest.strip_suffix('\'')?))
    };
    said.iter()
        .map(|line| word(line).unwrap_or_else(|| panic!("{said:#?} in\n{text}")))
        .collect()
}

/// A finding as it is shown on a terminal.
#[track_caller]
fn shown(loaded: &Loaded, code: &str) -> String {
    let found = loaded.diagnostics.iter().find(|found| found.code == code);
    let found = found.unwrap_or_else(|| panic!("no {code} in {:#?}", loaded.diagnostics));
    found.as_snippet(&loaded.sources)
}

mod conditions {
    use super::*;

    #[test]
    fn keep_the_lines_of_this_node() {
        let text = "@box a\n@other b\n@^box c\n@^other   d\n@\tbox e\n@BOX f\n@boxes g\n@^boxes h";
        assert_eq!(words(text), ["1 a", "4 d", "8 h"]);
        // Alone, or with a name that cannot be.
        assert_eq!(words("@box\n@^other\n@@box a\n@ b\n@^ c"), ["5 c"]);
        assert_eq!(words("@box @box a"), ["1 @box"], "only one on a line");
    }

    #[test]
    fn stand_before_anything() {
        let text = "@box $N=7\n@other $N=8\n@box vrrp_instance VI {\n@other vrrp_instance VJ {\n\
                    interface e0\nvirtual_router_id 5\n@box priority ${N}\n@other priority 9\n\
                    virtual_ipaddress {\n@box 192.0.2.1\n@^box 192.0.2.2\n@box }\n}\n@box ~SEQ(i, 2) x_$i";
        let loaded = parse(text);
        assert_eq!(
            lines(&loaded),
            [
                "(Line 14) Unknown keyword 'x_1'",
                "(Line 14) Unknown keyword 'x_2'"
            ]
        );
        let instance = &loaded.config.instances[0];
        assert_eq!((instance.name.as_str(), instance.priority.0), ("VI", 7));
        assert_eq!(instance.virtual_addresses.len(), 1);
    }

    #[test]
    fn may_come_out_of_definitions() {
        assert_eq!(
            words("$IF=@box\n$NO=@no\n$E=\n$IF a\n$NO b\n${E}@no c\n${E}@box d"),
            ["4 a", "7 d"]
        );
        assert_eq!(words("$IF=@box @no\n$IF a"), ["2 @no"]);
    }

    #[test]
    fn keep_their_places() {
        let loaded = parse("@box   prioritie 5");
        assert!(
            shown(&loaded, "unknown-keyword").contains("keepalived.conf:1:8\n"),
            "{}",
            shown(&loaded, "unknown-keyword")
        );
    }
}

mod long_definitions {
    use super::*;

    #[test]
    fn are_lines_at_the_end_of_a_line() {
        assert_eq!(
            words("$A= \\\na1 \\\na2\n$A\n${A}\nx_$A"),
            ["4 a1", "4 a2", "5 a1", "5 a2", "6 x_a1", "6 a2"]
        );
        assert_eq!(words("$A=a0 \\\na1\\\na2\n$A"), ["4 a0", "4 a1", "4 a2"]);
        let loaded = parse("$A= \\\na\n$A b");
        assert_eq!(
            lines(&loaded)[0],
            "(Line 3) '$A' has several lines and does not end this one"
        );
    }

    #[test]
    fn end_at_a_line_without_backslash_and_at_an_empty_line() {
        assert_eq!(words("$A= \\\na1 \\\n\nb\n$A"), ["4 b", "5 a1"]);
        assert_eq!(
            words("$A= \\\na1 \\ # x\n# y\n  \na2\n$A"),
            ["6 a1", "6 a2"]
        );
        assert_eq!(words("$A= \\\n\nb\n$A\nc $A"), ["3 b", "5 c"]);
        let loaded = parse_files(&[("/k/a", "include b\n$A"), ("/k/b", "$A= \\\nx \\")]);
        assert_eq!(lines(&loaded), ["(/k/a: Line 2) Unknown keyword 'x'"]);
    }

    #[test]
    fn may_hold_whatever_a_file_may_hold() {
        assert_eq!(
            words(
                "$B= \\\nb1 \\\nb2\n$A= \\\n@box a1 \\\n@no a2 \\\n$N=5 \\\na_${N} \\\n$B \\\n\
                 ~SEQ(i, 1, 2) s_${i} \\\na3\n$A\n$N"
            ),
            [
                "12 a1", "12 a_5", "12 b1", "12 b2", "12 s_1", "12 s_2", "12 a3", "13 5"
            ]
        );
        let loaded = parse_files(&[
            ("/k/a", "$A= \\\ninclude b \\\nx\n$A\n$C"),
            ("/k/b", "$C= \\\nc1 \\\nc2"),
        ]);
        let said = lines(&loaded);
        let words: Vec<_> = said
            .iter()
            .map(|line| line.split('\'').nth(1).unwrap())
            .collect();
        assert_eq!(words, ["x", "c1", "c2"]);
    }

    #[test]
    fn make_whole_blocks() {
        let config = clean(
            "$VI= \\\nvrrp_instance VI_${ID} { \\\n interface e${ID} \\\n virtual_router_id ${ID} \\\n\
             virtual_ipaddress { \\\n 192.0.2.${ID} \\\n } \\\n}\n~SEQ(ID, 10, 20, 50) $VI\n",
        );
        let found: Vec<_> = config
            .instances
            .iter()
            .map(|instance| (instance.name.as_str(), instance.vrid.get()))
            .collect();
        assert_eq!(found, [("VI_10", 10), ("VI_30", 30), ("VI_50", 50)]);
    }

    #[test]
    fn show_where_they_are_used_and_where_they_are_written() {
        let loaded = parse("$A= \\\nglobal_defs { \\\n  rooter_id ${X} \\\n}\n$X=1\n$A\n");
        let snippet = shown(&loaded, "unknown-keyword");
        assert!(snippet.contains("keepalived.conf:6:1\n"), "{snippet}");
        assert!(snippet.contains("note: defined here\n"), "{snippet}");
        assert!(snippet.contains("keepalived.conf:3:3\n"), "{snippet}");
        assert!(snippet.contains("|   ^^^^^^^^^\n"), "{snippet}");
    }
}

mod self_reference {
    use super::*;

    fn told(text: &str) -> String {
        let loaded = parse(text);
        assert!(!loaded.is_usable());
        assert_eq!(loaded.exit_code(), 4, "{:?}", lines(&loaded));
        shown(&loaded, "recursive-definition")
    }

    #[test]
    fn is_an_error_with_all_places() {
        let snippet = told("$IF=$IF\nglobal_defs {\nrouter_id x$IF\n}");
        assert!(
            snippet.contains("definition 'IF' refers to itself"),
            "{snippet}"
        );
        assert!(
            snippet.contains(":3:12\n") && snippet.contains(":1:1\n"),
            "{snippet}"
        );

        let snippet = told("$A=x ${B}\n$B=y $C\n$C=$A\nglobal_defs {\nrouter_id $B\n}");
        assert!(snippet.contains("definition '"), "{snippet}");
        for name in ["'A'", "'B'", "'C'"] {
            assert!(
                snippet.contains(&format!("{name} is defined here")),
                "{snippet}"
            );
        }

        let snippet = told("$A= \\\n$B\n$B= \\\n$A\n$A\n");
        assert!(
            snippet.contains("definition 'A' refers to itself"),
            "{snippet}"
        );
        for place in [":5:1\n", ":1:1\n", ":3:1\n"] {
            assert!(snippet.contains(place), "{snippet}");
        }
    }

    #[test]
    fn is_found_where_the_text_doubles() {
        let snippet = told("$A=$A $A\nglobal_defs {\nrouter_id $A\n}");
        assert!(snippet.contains("'A' is defined here"), "{snippet}");
    }

    #[test]
    fn is_no_matter_as_long_as_nobody_uses_it() {
        assert_eq!(words("$IF=$IF\n$IF=a\n$IF"), ["3 a"]);
        assert_eq!(
            words("$A=${B}\n$B=b\n$A\n$B=c\n$A"),
            ["3 b", "5 c"],
            "replaced when used"
        );
    }
}

mod built_in {
    use super::*;

    #[test]
    fn names_give_what_they_say() {
        assert_eq!(
            words("i_${_INSTANCE}\nj_$_INSTANCE"),
            ["1 i_box", "2 j_box"]
        );
        assert_eq!(
            words("p_${_PWD}\n$_PWD=over\np_${_PWD}"),
            ["1 p_/etc/keepalived", "3 p_over"]
        );
        assert_eq!(words("a${_HASH}b${_BANG}c"), ["1 a#b!c"]);
        assert_eq!(words("r_${_RANDOM 7 7}\n${_RANDOM 3 3}"), ["1 r_7", "2 3"]);
    }

    #[test]
    fn names_take_the_right_parameters_only() {
        for (used, said) in [
            (
                "${_RANDOM a b}",
                "Definition _RANDOM requires numeric parameters only.",
            ),
            (
                "${_RANDOM 1 2 3}",
                "Definition _RANDOM requires between 0 and 2 parameters, 3 specified.",
            ),
            (
                "${_ENV}",
                "Definition _ENV requires between 1 and 1 parameters, 0 specified.",
            ),
            (
                "${_PWD x}",
                "Definition _PWD requires between 0 and 0 parameters, 1 specified.",
            ),
            ("${_RANDOM 9 5}", "_RANDOM: 9 is greater than 5, so it is 9"),
        ] {
            let loaded = parse(&format!("global_defs {{\nrouter_id {used}\n}}"));
            assert_eq!(lines(&loaded), [format!("(Line 2) {said}")]);
            assert_eq!(loaded.exit_code(), 5);
        }
    }

    #[test]
    fn numbers_follow_from_the_seed_alone() {
        let numbers = |seed: u64, text: &str| {
            let files = vec![(PathBuf::from("/k"), text.as_bytes().to_vec())];
            let options = Options {
                random_seed: seed,
                ..options()
            };
            lines(&load(&files, Path::new("/k"), &options))
        };
        let text = "~SEQ(i, 20) ${_RANDOM 1 1000}\n";
        assert_eq!(numbers(1, text), numbers(1, text));
        assert_ne!(numbers(1, text), numbers(2, text));
        let number = |line: &str| line.split('\'').nth(1).unwrap().parse::<u32>().unwrap();
        assert!(
            numbers(1, text)
                .iter()
                .all(|line| (1..=1000).contains(&number(line)))
        );
        let text = format!("global_defs {{\nrandom_seed 5\n}}\n{text}");
        assert_eq!(numbers(1, &text), numbers(2, &text), "the file's seed wins");
    }

    struct Environment;

    impl source::Files for Environment {
        fn read(&self, path: &Path) -> Result<Vec<u8>, source::FileProblem> {
            if path != Path::new("/k") {
                return Err(source::FileProblem::Missing);
            }
            Ok(b"global_defs {\nrouter_id a${_ENV NODE}b${_ENV NONE}c\n}\n".to_vec())
        }

        fn matching(&self, pattern: &Path, _: &Path) -> Vec<PathBuf> {
            vec![pattern.to_path_buf()]
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "NODE").then(|| "n1".to_string())
        }
    }

    #[test]
    fn environment_is_part_of_what_was_read() {
        let loaded = load(&Environment, Path::new("/k"), &options());
        assert_eq!(lines(&loaded), [""; 0]);
        assert_eq!(loaded.config.globals.router_id.as_deref(), Some("an1bc"));
        let replay = source::Sources::from_bytes(&loaded.sources.to_bytes()).unwrap();
        let again = load(&replay, Path::new("/k"), &options());
        assert_eq!(again.config, loaded.config);
    }
}

mod sequences {
    use super::*;

    fn values(text: &str) -> String {
        let words = words(text);
        let words = words.iter().map(|word| word.split_once(' ').unwrap().1);
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn of_numbers() {
        for (text, expected) in [
            ("~SEQ(a, 3) x${a}", "x1 x2 x3"),
            ("~SEQ(a,-2) x${a}", "x-1 x-2"),
            ("~SEQ(a, 0) x${a}", "x1 x0"),
            ("~SEQ(a, 2, 4) x${a}", "x2 x3 x4"),
            ("~SEQ(a, 4, 2) x${a}", "x4 x3 x2"),
            ("~SEQ(a, 1, 2, 6) x${a}", "x1 x3 x5"),
            ("~SEQ(a, 6, -2, 1) x${a}", "x6 x4 x2"),
            ("~SEQ(a, 1, 1) x${a}", "x1"),
            ("~SEQx(a, 9, 11) x${a}", "x9 xa xb"),
            ("~SEQ(a, 0x9, 012) x${a}", "x9 x10"),
            ("~SEQ ( a , 2 )x${a}", "x1 x2"),
            (
                "~SEQ(a, 1, 2) ~SEQ(b, 3, 4) x${a}_${b}",
                "x1_3 x1_4 x2_3 x2_4",
            ),
            ("$N=2\n~SEQ(a, $N) x${a}\ny${a}", "x1 x2 y2"),
            ("$L=~SEQ(a, 2) x${a}\n$a=9\n$L", "x1 x2"),
            ("~SEQ(a, 2)", ""),
            ("~FOO(a)", "~FOO(a)"),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn of_lists() {
        for (text, expected) in [
            ("~LST(a, p, q) x${a}", "xp xq"),
            ("~LST(a,) x${a}", "x"),
            ("~LST(a, p,, q) x${a}", "xp x xq"),
            ("~LST({a, b}, {1, p}, {2, q}) x${a}${b}", "x1p x2q"),
            ("~LST({a, b}, {1}, 2) x${a}${b}y", "x1y x2y"),
            ("~LST(a, p, q) ~SEQ(b, 2) x${a}${b}", "xp1 xp2 xq1 xq2"),
            ("~SEQ(b, 2) ~LST(a, p, q) x${b}${a}", "x1p x1q x2p x2q"),
        ] {
            assert_eq!(values(text), expected, "{text}");
        }
    }

    #[test]
    fn that_are_wrong_are_told_once() {
        for (text, said) in [
            ("~SEQ(a, 1, 0, 6) x", "Invalid ~SEQ values"),
            ("~SEQ(a, 1, -1, 6) x", "Invalid ~SEQ values"),
            (
                "~SEQx(a, -1, 2) x",
                "~SEQx is only valid for positive numbers",
            ),
            ("~SEQ(a) x", "Invalid ~SEQ definition"),
            ("~SEQ(a, x) x", "Invalid ~SEQ definition"),
            ("~SEQ(a, --1) x", "Invalid ~SEQ definition"),
            ("~SEQ(a, 99999999999) x", "Invalid ~SEQ definition"),
            ("~SEQ(a, 1, 2, 3, 4) x", "Invalid ~SEQ definition"),
            ("~SEQ", "Invalid ~SEQ specification"),
            ("~SEQ(a, 1", "Invalid ~SEQ specification"),
            ("~SEQ(1a, 1) x", "Invalid ~SEQ specification"),
            ("~LST(a) x", "Invalid ~LST specification"),
            ("~LSTx(a, b) x", "Invalid ~LST specification"),
            ("~LST(a, b c) x", "Invalid ~LST specification"),
            ("~LST({a, b}, {1) x", "Invalid ~LST specification"),
            (
                "~LST({a, b}, {1, 2, 3}) x",
                "~LST specification has too many values",
            ),
        ] {
            let loaded = parse(text);
            assert_eq!(lines(&loaded), [format!("(Line 1) {said} '{text}'")]);
            assert_eq!(loaded.exit_code(), 5);
        }
    }

    #[test]
    fn show_the_use_and_the_sequence() {
        let loaded = parse(&with("~SEQ(i, 300, 300) priority ${i}"));
        let snippet = shown(&loaded, "number");
        assert!(snippet.contains("keepalived.conf:4:28\n"), "{snippet}");
        assert!(snippet.contains("note: defined here\n"), "{snippet}");
        assert!(snippet.contains("| ^^^^^^^^^^^^^^^^^\n"), "{snippet}");
    }
}

mod limits {
    use super::*;

    /// Reads a file that is too much, and gives the finding that says so.
    #[track_caller]
    fn refused(text: &str) -> String {
        let loaded = parse(text);
        assert!(!loaded.is_usable());
        let fatal = loaded
            .diagnostics
            .iter()
            .find(|found| found.severity == Severity::Fatal);
        fatal.unwrap().as_c_line(&loaded.sources)
    }

    #[test]
    fn of_sequences_and_definitions() {
        let lines = "(Line 2) more than 200000 lines are produced";
        assert_eq!(refused("a\n~SEQ(i, 2000000000)"), lines);
        assert_eq!(
            refused("a\n~SEQ(i, 1000) ~SEQ(j, 1000) ~SEQ(k, 1000) @no x"),
            lines
        );
        let nested = "~SEQ(i, 1) ".repeat(100);
        assert_eq!(
            refused(&format!("{nested}x")),
            "(Line 1) sequences are nested deeper than 32"
        );
        let mut text = String::from("$D0= \\\nx \\\ny\n");
        for level in 1..20 {
            let inner = level - 1;
            text.push_str(&format!("$D{level}= \\\n$D{inner} \\\n$D{inner}\n"));
        }
        assert_eq!(
            refused(&format!("{text}$D19\n")),
            "(Line 61) more than 200000 lines are produced"
        );
        let wide = "y".repeat(60_000);
        assert_eq!(
            refused(&format!("$Y={wide}\n~SEQ(i, 100000) $Y\n")),
            "(Line 2) the definitions produce too much text"
        );
    }

    #[test]
    fn of_lines_that_grow() {
        let mut text = String::from("$D0=x\n");
        for level in 1..30 {
            let inner = format!("${{D{}}}", level - 1);
            text.push_str(&format!("$D{level}={}\n", inner.repeat(8)));
        }
        text.push_str("global_defs {\nrouter_id x${D29}\n}\n");
        let said = refused(&text);
        assert!(
            said.starts_with("(Line 32) Parameter substitution on line 'router_id x"),
            "{said}"
        );
        assert!(said.ends_with("would exceed maximum line length"), "{said}");
    }

    #[test]
    fn keep_what_was_read_before() {
        let loaded = parse(&format!(
            "{}$A= \\\nfoo {{ \\\nbar\n~SEQ(i, 999999999) $A\n",
            with("")
        ));
        assert_eq!(lines(&loaded).len(), 1, "{:?}", lines(&loaded));
        assert_eq!(loaded.config.instances.len(), 1);
    }

    #[test]
    fn of_includes() {
        let deep: Vec<(String, String)> = (0..50)
            .map(|level| (format!("/k/{level}"), format!("include {}", level + 1)))
            .collect();
        let deep: Vec<(&str, &str)> = deep
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let loaded = parse_files(&deep);
        assert_eq!(
            lines(&loaded),
            ["(/k/32: Line 1) includes are nested deeper than 32"]
        );
        assert!(!loaded.is_usable());

        let many = "include b\n".repeat(20_000);
        let loaded = parse_files(&[("/k/a", &many), ("/k/b", "")]);
        assert_eq!(
            lines(&loaded),
            ["(/k/b: Line 1) the configuration is too large"]
        );
        let braces = "{a,b}".repeat(20);
        assert_eq!(
            refused(&format!("include {braces}")),
            "(Line 1) the braces stand for more than 1024 names"
        );
    }
}

mod definitions {
    use super::*;

    #[test]
    fn are_replaced_when_used() {
        let config = clean(&format!(
            "$IF=e${{N}} # which\n$N=7\n$EMPTY=\n{}",
            "vrrp_instance VI_${N}${EMPTY} {\ninterface $IF\nvirtual_router_id ${N}\n\
             virtual_ipaddress {\n192.0.2.${N} label ${_INSTANCE}\n}\n}"
        ));
        let instance = &config.instances[0];
        assert_eq!(
            (instance.name.as_str(), &*instance.interface),
            ("VI_7", "e7")
        );
        assert_eq!(instance.virtual_addresses[0].label.as_deref(), Some("box"));
    }

    #[test]
    fn may_hold_braces_and_are_known_behind_an_include() {
        let loaded = parse_files(&[
            (
                "/k/main.conf",
                "include sub/*.conf\nglobal_defs $OPEN\nrouter_id ${PATH} }\n\
                 vrrp_instance VI $OPEN\n$END",
            ),
            (
                "/k/sub/a.conf",
                "$OPEN={\n$END=interface e0 }\n$PATH=${_PWD}\n",
            ),
        ]);
        assert_eq!(
            loaded.config.globals.router_id.as_deref(),
            Some("/k"),
            "where it is used"
        );
        assert_eq!(lines(&loaded), ["(VI) the virtual router id must be set"]);
    }

    #[test]
    fn that_are_missing_or_circular_are_named() {
        let loaded = parse("$ROUTER=x\nglobal_defs {\nrouter_id ${ROUTR}\n}");
        assert_eq!(lines(&loaded), ["(Line 3) 'ROUTR' is not defined"]);
        let loaded = parse("$A=${B}\n$B=$A\nglobal_defs {\nrouter_id $A\n}");
        assert_eq!(
            lines(&loaded)[0],
            "(Line 4) definition 'A' refers to itself"
        );
        assert!(!loaded.is_usable());
    }

    #[test]
    fn in_quotes_that_are_missing_stay_for_the_shell() {
        let (instance, said) = instance("notify \"/s.sh ${HOME}\"");
        assert_eq!(instance.notify.any.unwrap().argv, ["/s.sh", "${HOME}"]);
        let security = "SECURITY VIOLATION - scripts are being executed but script_security not \
                        enabled.";
        assert_eq!(said, [security]);
    }
}
