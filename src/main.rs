//! The program `keepalived-rs`: from arguments to exit code.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use keepalived_rs::cli::{self, Answer, Request};
use keepalived_rs::daemon;

fn main() -> ExitCode {
    let code = match cli::understand(env::args_os()) {
        Request::Answer(Answer {
            stdout,
            stderr,
            code,
        }) => {
            say(&stdout, &stderr);
            code
        }
        Request::Test(task, log, format) => {
            say(&task.stdout, &task.stderr);
            daemon::test_configuration(&task.settings, log.as_deref(), format)
        }
        Request::Check(task) => {
            let (text, code) = daemon::check::run(&task);
            say(&text, "");
            code
        }
        Request::Status(task) => said(&cli::status::run(&task)),
        Request::Reload(task) => said(&cli::reload::run(&task)),
        Request::Events(task) => said(&cli::events::run(&task)),
        Request::Order(task) => said(&cli::orders::run(&task)),
        Request::Explain(task) => said(&cli::explain::run(&task)),
        Request::Simulate(task) => match daemon::simulate::run(&task) {
            Ok(printed) => {
                say(&printed.result, &printed.warnings);
                0
            }
            Err((text, code)) => {
                say("", &text);
                code
            }
        },
        Request::CleanUp(task) => {
            say(&task.stdout, &task.stderr);
            daemon::left_behind::run(&task.settings)
        }
        Request::Run(task) => {
            say(&task.stdout, &task.stderr);
            daemon::run(&task.settings)
        }
    };
    ExitCode::from(code)
}

fn said(answer: &Answer) -> u8 {
    say(&answer.stdout, &answer.stderr);
    answer.code
}

/// A reader that has gone away changes nothing about what we do.
fn say(stdout: &str, stderr: &str) {
    let _ = io::stdout().write_all(stdout.as_bytes());
    let _ = io::stderr().write_all(stderr.as_bytes());
}
