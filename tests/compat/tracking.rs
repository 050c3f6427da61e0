//! Tracked files and processes: who is MASTER after each change, and what the
//! log says of it.

use crate::bench::{Bench, PATIENCE, VIP, VRID, find_program};
use crate::lab::{Context, Failure, Mark, Process, Result};
use std::sync::Arc;
use std::time::Duration;

/// Longer than the kernel's news take, shorter than the delay of the tests.
const MOMENT: Duration = Duration::from_millis(1500);

const FILE: &str = "/run/tracked";

/// One of the two, which tracks with `line` what `block` says.
fn tracking(block: &str, line: &str, priority: u8) -> String {
    format!(
        "{block}
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id {VRID}
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {VIP}/24
    }}
    {line}
}}
"
    )
}

/// In one piece, as an administrator's script should.
fn put(bench: &Bench, value: &str) -> Result<()> {
    let node = &bench.a.node;
    node.write_file("/run/tracked.new", &format!("{value}\n"))?;
    node.inside(|| std::fs::rename("/run/tracked.new", FILE).context("the file"))
}

/// With a weight the number moves the priority, and the other one takes over.
pub fn file_with_weight(bench: &mut Bench) -> Result<()> {
    let block = format!("track_file number {{\n    file {FILE}\n    weight 2\n}}");
    let line = "track_file {\n        number\n    }";
    bench.a.start(&tracking(&block, line, 150))?;
    bench.b.start(&tracking("", "", 120))?;
    bench.a.await_master(PATIENCE)?;
    for (value, before, after, master) in [
        ("-20", 150, 110, false),
        ("-10 and more", 110, 130, true),
        ("0x10", 130, 182, true),
        ("-126", 182, 1, false),
        ("nothing", 1, 150, true),
    ] {
        let mark = bench.a.daemon()?.line_mark();
        put(bench, value)?;
        let line = format!("(VI_1) Changing effective priority from {before} to {after}");
        bench.a.daemon()?.await_line_after(mark, PATIENCE, &line)?;
        match master {
            true => bench.a.await_master(PATIENCE)?,
            false => bench.b.await_master(PATIENCE)?,
        };
    }
    bench.a.stop()?;
    bench.b.stop()
}
