//! `keepalived-rs status --watch`: the same text, again and again.
//!
//! Decides what is drawn anew: only lines that have changed, so that it is of use over
//! a slow line, too. What the lines are is decided in `text.rs`, what a terminal can do
//! in `system/terminal.rs`.

use std::fmt::Write;
use std::time::Duration;

use crate::system::clock::now;
use crate::system::terminal::{Key, Screen};

/// How a turn came out: the text, or why there is none.
pub type Seen = Result<String, String>;

/// Draws what `look` gives until somebody wants no more of it.
pub fn run(screen: &mut Screen, every: Duration, mut look: impl FnMut() -> Seen) {
    let mut canvas = Canvas::default();
    let mut text = String::new();
    let mut top = 0_usize;
    'frames: loop {
        let begun = now();
        let problem = match look() {
            Ok(new) => {
                text = new;
                None
            }
            Err(problem) => Some(problem),
        };
        loop {
            let size = screen.size();
            let lines = page(&text, problem.as_deref(), every, &mut top, size);
            if screen.draw(canvas.draw(lines, size).as_bytes()).is_err() {
                return;
            }
            let elapsed = || Duration::from(now().since(begun));
            let left = every.saturating_sub(elapsed());
            match screen.key(left) {
                Some(Key::Quit) => return,
                Some(Key::Up) => top = top.saturating_sub(1),
                Some(Key::Down) => top = top.saturating_add(1),
                Some(Key::Other) => {}
                None => continue 'frames,
            }
            if elapsed() >= every {
                continue 'frames;
            }
        }
    }
}

/// The lines that fit on the screen, from line `top` of the text, which is kept within
/// the text.
fn page(
    text: &str,
    problem: Option<&str>,
    every: Duration,
    top: &mut usize,
    (rows, _): (usize, usize),
) -> Vec<String> {
    let mut lines = vec![match problem {
        None => format!("every {} s, q quits", every.as_secs_f64()),
        Some(_) => "NO ANSWER; what is below is what was known before; q quits".to_owned(),
    }];
    lines.extend(problem.into_iter().flat_map(str::lines).map(str::to_owned));
    lines.push(String::new());
    let all: Vec<&str> = text.lines().collect();
    // The last row says what is left out.
    let room = rows.saturating_sub(lines.len());
    if all.len() <= room {
        *top = 0;
        lines.extend(all.into_iter().map(str::to_owned));
        return lines;
    }
    let room = room.saturating_sub(1);
    *top = (*top).min(all.len().saturating_sub(room));
    let shown = all.iter().skip(*top).take(room);
    lines.extend(shown.map(|line| (*line).to_owned()));
    let below = all.len().saturating_sub(top.saturating_add(room));
    lines.push(format!(
        "-- {top} lines above, {below} below: arrow keys --"
    ));
    lines
}

/// At most `columns` of a line; escape sequences take none.
fn cut(line: &str, columns: usize) -> String {
    let (mut shown, mut used, mut escaped) = (String::new(), 0_usize, false);
    for letter in line.chars() {
        if letter == '\u{1b}' {
            escaped = true;
        } else if !escaped {
            if used == columns {
                // Whatever colour it had ends with it.
                shown.push_str("\u{1b}[0m");
                break;
            }
            used = used.saturating_add(1);
        }
        shown.push(letter);
        escaped &= letter != 'm';
    }
    shown
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Canvas {
    lines: Vec<String>,
    size: (usize, usize),
}

impl Canvas {
    /// What changes the screen into these lines.
    fn draw(&mut self, mut lines: Vec<String>, size: (usize, usize)) -> String {
        let (rows, columns) = size;
        let mut sequence = String::new();
        if self.size != size {
            // Nobody knows what a terminal made of its lines.
            sequence.push_str("\x1b[2J");
            (self.lines, self.size) = (Vec::new(), size);
        }
        lines.truncate(rows);
        for line in &mut lines {
            *line = cut(line, columns);
        }
        for row in 0..lines.len().max(self.lines.len()) {
            let (old, new) = (self.lines.get(row), lines.get(row));
            if old == new {
                continue;
            }
            let new = new.map_or("", String::as_str);
            let row = row.saturating_add(1);
            let _ = write!(sequence, "\x1b[{row};1H{new}\x1b[K");
        }
        self.lines = lines;
        sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (24, 80);

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn only_what_has_changed_is_drawn() {
        let mut canvas = Canvas::default();
        let first = canvas.draw(lines("one\ntwo\nthree"), SIZE);
        assert_eq!(
            first,
            "\x1b[2J\x1b[1;1Hone\x1b[K\x1b[2;1Htwo\x1b[K\x1b[3;1Hthree\x1b[K"
        );
        assert_eq!(canvas.draw(lines("one\ntwo\nthree"), SIZE), "");
        assert_eq!(
            canvas.draw(lines("one\n2\nthree"), SIZE),
            "\x1b[2;1H2\x1b[K"
        );
        assert_eq!(
            canvas.draw(lines("one"), SIZE),
            "\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K"
        );
        // Another size: all of it.
        assert_eq!(
            canvas.draw(lines("one"), (10, 2)),
            "\x1b[2J\x1b[1;1Hon\x1b[0m\x1b[K"
        );
    }

    #[test]
    fn a_long_line_loses_its_end_and_no_colour_runs_out_of_it() {
        assert_eq!(cut("MASTER", 6), "MASTER");
        assert_eq!(cut("\x1b[1;32mMASTER\x1b[0m x", 3), "\x1b[1;32mMAS\x1b[0m");
        assert_eq!(
            cut("\x1b[1;32mMASTER\x1b[0m x", 8),
            "\x1b[1;32mMASTER\x1b[0m x"
        );
    }

    #[test]
    fn what_does_not_fit_is_counted_and_can_be_reached() {
        let text: String = (1..=30).map(|number| format!("{number}\n")).collect();
        let every = Duration::from_secs(1);
        let mut top = 0;
        let shown = page(&text, None, every, &mut top, SIZE);
        assert_eq!(shown.len(), 24);
        assert_eq!(shown[..3], ["every 1 s, q quits", "", "1"]);
        assert_eq!(shown[23], "-- 0 lines above, 9 below: arrow keys --");
        top = 99;
        let shown = page(&text, None, every, &mut top, SIZE);
        assert_eq!(
            shown[22..],
            ["30", "-- 9 lines above, 0 below: arrow keys --"]
        );
        let short = page(
            "1\n",
            Some("It is gone.\nTry again."),
            every,
            &mut top,
            SIZE,
        );
        assert_eq!(short[1..], ["It is gone.", "Try again.", "", "1"]);
        assert_eq!(top, 0);
        // A window of one line shows what it can.
        page(&text, None, every, &mut top, (1, 1));
    }
}
