//! Cases from numbers: a fuzz target that draws everything it does from one seed.
//!
//! `FUZZ_SECONDS` is how long (5), `FUZZ_SEED` is the first case; a case that
//! fails is repeated with its number as `FUZZ_SEED`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

/// The whole program of such a target.
pub fn run(target: &str, case: impl Fn(u64)) -> ExitCode {
    let first = number("FUZZ_SEED").unwrap_or_else(random);
    let seconds = number("FUZZ_SECONDS").unwrap_or(5);
    say(&format!("fuzz {target}: FUZZ_SEED={first}, {seconds} s"));
    let until = now() + Duration::from_secs(seconds);
    let mut count = 0;
    while count == 0 || now() < until {
        let seed = first.wrapping_add(count);
        if catch_unwind(AssertUnwindSafe(|| case(seed))).is_err() {
            say(&format!("fuzz {target}: FUZZ_SEED={seed} fails"));
            return ExitCode::FAILURE;
        }
        count += 1;
    }
    say(&format!("fuzz {target}: {count} cases, all well"));
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_macros, reason = "a test tells its reader")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::disallowed_methods, reason = "a test has a clock")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() >> 32
}

/// SplitMix64.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    pub fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}
