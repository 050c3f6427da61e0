//! A large configuration: twice the instances take twice the time, and each of
//! them little memory. How this compares to C keepalived is for
//! `tests/bench/config`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keepalived_rs::config::{Loaded, Options, load};
use nix::time::{ClockId, clock_gettime};

static BYTES: AtomicUsize = AtomicUsize::new(0);
static BYTES_MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

impl Counting {
    fn more(bytes: usize) {
        let now = BYTES.fetch_add(bytes, Relaxed) + bytes;
        BYTES_MOST.fetch_max(now, Relaxed);
    }

    fn less(bytes: usize) {
        BYTES.fetch_sub(bytes, Relaxed);
    }
}

// SAFETY: everything is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::more(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Self::less(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::more(size);
        Self::less(layout.size());
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A plain instance with one address.
fn instance(text: &mut String, number: usize) {
    let (interface, vrid) = (number / 255, number % 255 + 1);
    let (high, low) = (number / 250, number % 250 + 1);
    let _ = write!(
        text,
        "vrrp_instance VI_{number} {{
    state BACKUP
    interface e{interface}
    virtual_router_id {vrid}
    priority 200
    advert_int 1
    virtual_ipaddress {{
        10.100.{high}.{low}/32 dev e{interface}
    }}
}}
"
    );
}

fn configuration(instances: usize) -> Vec<(PathBuf, Vec<u8>)> {
    let mut text = String::new();
    for number in 0..instances {
        instance(&mut text, number);
    }
    vec![(PathBuf::from("/k"), text.into_bytes())]
}

fn read(files: &Vec<(PathBuf, Vec<u8>)>) -> Loaded {
    load(files, Path::new("/k"), &Options::default())
}

/// The least time of three readings: of this process, so that others do not count.
fn processor_time_us(files: &Vec<(PathBuf, Vec<u8>)>) -> i64 {
    let now = || {
        let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
        now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000
    };
    let once = |_| {
        let start = now();
        drop(read(files));
        now() - start
    };
    (0..3).map(once).min().unwrap()
}

/// What reading takes at most, beside the files themselves.
fn bytes_at_most(files: &Vec<(PathBuf, Vec<u8>)>) -> usize {
    let before = BYTES.load(Relaxed);
    BYTES_MOST.store(before, Relaxed);
    let loaded = read(files);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics[0]);
    BYTES_MOST.load(Relaxed) - before
}

// One test: what is counted is counted for the whole process.
#[test]
fn of_a_large_configuration_each_instance_takes_its_share() {
    let (small, large) = (configuration(5_000), configuration(10_000));
    assert_eq!(read(&large).config.instances.len(), 10_000);

    let (bytes_small, bytes_large) = (bytes_at_most(&small), bytes_at_most(&large));
    let each = bytes_large / 10_000;
    println!("{each} bytes for each instance");
    assert!(each < 4_096, "{each} bytes for each instance");
    // The text itself, and what the two have in common.
    let more = bytes_large - bytes_small;
    assert!(
        more < bytes_small * 3 / 2,
        "{bytes_small}, then {bytes_large}"
    );

    let (time_small, time_large) = (processor_time_us(&small), processor_time_us(&large));
    println!("{time_small} us, then {time_large} us");
    assert!(
        time_large < 4 * time_small,
        "{time_small} us, then {time_large} us"
    );
}
