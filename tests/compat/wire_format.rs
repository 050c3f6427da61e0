//! What a third program says about the adverts.

use crate::bench::{Bench, VIP, VRID, configuration, expect, find_program};
use crate::lab::{Context, Failure, Result, isolation};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The fields that are asked for, in this order.
const FIELDS: [&str; 7] = [
    "vrrp.version",
    "vrrp.virt_rtr_id",
    "vrrp.prio",
    "vrrp.ip_addr",
    "vrrp.checksum.status",
    "ip.checksum.status",
    "_ws.expert.severity",
];

/// The adverts of a master, first to last, are valid VRRPv2 with good checksums
/// to tshark.
pub fn read_by_tshark(bench: &mut Bench) -> Result<()> {
    let Some(tshark) = find_program("tshark") else {
        expect(std::env::var_os("CI").is_none(), || {
            "tshark, which CI requires".to_owned()
        })?;
        isolation::report_skipped("read_by_tshark", "tshark is not installed");
        return Ok(());
    };
    bench.a.start(&configuration(150, ""))?;
    bench.await_holder(bench.lab.observer.beginning(), &bench.a)?;
    bench.await_advert(bench.lab.observer.mark(), &bench.a, 150)?;
    bench.a.stop()?;

    let sightings = bench.lab.observer.since(bench.lab.observer.beginning());
    let adverts: Vec<&[u8]> = sightings
        .iter()
        .filter(|sighting| sighting.advert().is_some())
        .map(|sighting| sighting.frame.as_slice())
        .collect();
    expect(adverts.len() >= 3, || {
        format!("three adverts, not {}", adverts.len())
    })?;
    let lines = dissect(&tshark, &capture_file(&adverts))?;
    expect(lines.len() == adverts.len(), || {
        format!("a line per advert, not {lines:?}")
    })?;
    for (number, line) in lines.iter().enumerate() {
        let priority = if number + 1 == lines.len() { 0 } else { 150 };
        // Status 1 is "good"; no expert information means no complaint.
        let wanted = format!("2|{VRID}|{priority}|{VIP}|1|1|");
        expect(*line == wanted, || format!("{wanted}, not {line}"))?;
    }
    Ok(())
}

/// A capture file as tcpdump writes it; the times do not matter here.
pub fn capture_file(frames: &[&[u8]]) -> Vec<u8> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const LENGTH_MAX: u32 = 65535;
    const ETHERNET: u32 = 1;
    let mut file = Vec::new();
    file.extend(MAGIC.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    for word in [0, 0, LENGTH_MAX, ETHERNET] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        for word in [number as u32, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(*frame);
    }
    file
}

fn dissect(tshark: &Path, capture: &[u8]) -> Result<Vec<String>> {
    let mut command = Command::new(tshark);
    command.args(["-r", "-", "-T", "fields", "-E", "separator=|"]);
    command.args(["-o", "ip.check_checksum:TRUE"]);
    // The preferences of the person who runs this test must not matter.
    command
        .env("HOME", "/nonexistent")
        .env_remove("XDG_CONFIG_HOME");
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting tshark")?;
    let mut input = child
        .stdin
        .take()
        .ok_or_else(|| Failure::new("no input of tshark"))?;
    input.write_all(capture).context("writing to tshark")?;
    drop(input);
    let output = child.wait_with_output().context("waiting for tshark")?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.success(), || {
        format!("tshark to read the capture: {complaint}")
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}
