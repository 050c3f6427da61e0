//! The notify FIFO: the same bytes as C's, whoever reads, or does not.

use crate::bench::{Bench, Machine, PATIENCE, VRRP_PID_FILE, configuration, expect};
use crate::lab::frames::advert_frame;
use crate::lab::process::send_signal;
use crate::lab::{Context, Failure, Result};
use crate::lateness::{BEAT, expect_in_time};
use crate::owner::stranger;
use crate::scripts::expect_little_memory;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

const FIFO: &str = "/run/fifo";
const SPARE: &str = "spare0";

/// Whoever reads the FIFO.
struct Reader {
    file: File,
    text: String,
}

impl Reader {
    /// Opens the FIFO at `path`, which has to be there.
    fn open(machine: &Machine, path: &str) -> Result<Self> {
        let file = machine.node.inside(|| {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(path)
                .context(path)
        })?;
        let text = String::new();
        Ok(Self { file, text })
    }

    /// Reads until that is there, in all that was ever read.
    fn await_text(&mut self, wanted: impl Fn(&str) -> bool, what: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let text = &self.text;
            expect(!left.is_zero(), || format!("{what} in {text}"))?;
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            poll(&mut fds, timeout).context("poll")?;
            let mut bytes = [0; 65_536];
            match self.file.read(&mut bytes) {
                Ok(count) => self.text += &String::from_utf8_lossy(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(Failure::new(error.to_string())),
            }
        }
        Ok(())
    }

    /// Waits for the last line so far of this instance or group.
    fn await_line(&mut self, line: &str) -> Result<()> {
        let (kind, _) = line.split_once("\" ").unwrap_or((line, ""));
        let last = format!("{line}\n");
        let is_last = |text: &str| {
            let own = text.split_inclusive('\n').rfind(|it| it.starts_with(kind));
            own == Some(last.as_str())
        };
        self.await_text(is_last, &format!("{line} last"))
    }

    /// What was told of each instance and group, in order.
    fn lines(&self) -> BTreeMap<String, Vec<String>> {
        let mut lines = BTreeMap::<String, Vec<String>>::new();
        for line in self.text.split_inclusive('\n') {
            let (who, what) = line.split_once("\" ").unwrap_or((line, ""));
            lines
                .entry(who.to_owned())
                .or_default()
                .push(what.to_owned());
        }
        lines
    }
}

fn with_fifo(global: &str, rest: &str) -> String {
    format!(
        "global_defs {{\n    script_user root\n    vrrp_notify_fifo {FIFO}\n    {global}\n}}\n{rest}"
    )
}

/// One instance beside the usual one, in a group of its own.
fn in_group() -> String {
    let second = configuration(120, "")
        .replace("VI_1", "VI_2")
        .replace("virtual_router_id 51", "virtual_router_id 52")
        .replace("192.0.2.100", "192.0.2.102");
    format!("{second}vrrp_sync_group G {{\n    group {{\n        VI_2\n    }}\n}}\n")
}

/// Start, priority, takeover, return, fault, reload, stop: for an instance, and for
/// another one in a group. What is told of each is equal, byte for byte.
pub fn lines(bench: &mut Bench) -> Result<()> {
    bench.a.node.add_spare(SPARE)?;
    let tracked = format!("track_interface {{\n        {SPARE} weight -70\n    }}");
    let first = configuration(150, &tracked);
    let file = with_fifo("vrrp_notify_priority_changes", &(first + &in_group()));
    bench.a.start(&file)?;
    bench.a.expect_line("(VI_1) Entering BACKUP STATE")?;
    let mut reader = Reader::open(&bench.a, FIFO)?;
    bench.b.start(&configuration(100, ""))?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    reader.await_line("GROUP \"G\" MASTER 0")?;

    let heard = bench.lab.observer.mark();
    bench.a.node.set_link_up(SPARE, false)?;
    reader.await_line("INSTANCE \"VI_1\" BACKUP 80")?;
    bench.await_advert(heard, &bench.b, 100)?;
    bench.a.node.set_link_up(SPARE, true)?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    let heard = bench.lab.observer.mark();
    bench.a.node.set_carrier(false)?;
    reader.await_line("INSTANCE \"VI_1\" FAULT 150")?;
    reader.await_line("GROUP \"G\" FAULT 0")?;
    bench.await_advert(heard, &bench.b, 100)?;
    bench.a.node.set_carrier(true)?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    reader.await_line("GROUP \"G\" MASTER 0")?;
    bench.b.stop()?;

    let heard = bench.lab.observer.mark();
    bench.lab.observer.send(&advert_frame(&stranger(2, 100)))?;
    bench.await_advert(heard, &bench.a, 150)?;
    reader.await_line("INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 150")?;
    bench.a.stop()?;
    reader.await_line("INSTANCE \"VI_1\" STOP 150")?;
    reader.await_line("GROUP \"G\" STOP 0")?;

    let told = |words: &[&str]| words.iter().map(|word| format!("{word}\n")).collect();
    let first = [
        "BACKUP 150",
        "MASTER 150",
        "MASTER_PRIORITY 80",
        "BACKUP 80",
        "BACKUP_PRIORITY 150",
        "MASTER 150",
        "FAULT 150",
        "BACKUP 150",
        "MASTER 150",
        "MASTER_RX_LOWER_PRI 150",
        "STOP 150",
    ];
    let states = ["BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP"];
    let of_instance = states.map(|state| format!("{state} 120\n")).to_vec();
    let of_group = states.map(|state| format!("{state} 0\n")).to_vec();
    let all = BTreeMap::from([
        ("GROUP \"G".to_owned(), of_group),
        ("INSTANCE \"VI_1".to_owned(), told(&first)),
        ("INSTANCE \"VI_2".to_owned(), of_instance),
    ]);
    let lines = reader.lines();
    expect(lines == all, || format!("{all:#?}, not {lines:#?}"))?;
    let left = bench.a.node.read_file(FIFO);
    expect(left.is_err(), || "the FIFO removed".to_owned())
}

/// The script gets the path as its last word, is begun again by a reload, and is
/// told to end by it and by the stop. The FIFO has the same owner and mode.
pub fn script(bench: &mut Bench) -> Result<()> {
    let script = "#!/bin/sh\nexec 3< \"$3\"\necho \"begins $*\" >> /run/told\n\
                  stat -c '%F %a %U' \"$3\" >> /run/told\n\
                  trap 'echo ends >> /run/told; exit 0' TERM\n\
                  while read -r line <&3; do echo \"$line\" >> /run/told; done\n";
    bench.a.node.write_file("/run/read", script)?;
    let words = "vrrp_notify_fifo_script \"/run/read a 'b c'\"";
    let file = with_fifo(words, &configuration(150, ""));
    bench.a.start(&file)?;
    let begins = ["begins a b c /run/fifo", "fifo 600 root"];
    let states = [
        "INSTANCE \"VI_1\" BACKUP 150",
        "INSTANCE \"VI_1\" MASTER 150",
    ];
    await_told(&bench.a, &[&begins[..], &states].concat())?;
    bench.a.reload(&file)?;
    bench.a.expect_line("Reload complete")?;
    await_told(
        &bench.a,
        &[&begins[..], &states, &["ends"], &begins].concat(),
    )?;
    bench.a.stop()?;
    // Whether it still reads of the stop is its own affair.
    let told = bench.a.node.read_file("/run/told")?;
    let ends = told.lines().filter(|line| *line == "ends").count();
    expect(ends == 2, || format!("two ends in {told}"))?;
    let torn = told.lines().filter(|line| line.contains("STOP"));
    let torn = torn.filter(|line| *line != "INSTANCE \"VI_1\" STOP 150");
    expect(torn.count() == 0, || format!("whole lines in {told}"))
}

/// The lines of the reader, in any order: two of them may write at once.
fn await_told(machine: &Machine, lines: &[&str]) -> Result<()> {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = machine.node.read_file("/run/told").unwrap_or_default();
        let mut told: Vec<&str> = text.lines().collect();
        told.sort_unstable();
        if told == lines {
            return Ok(());
        }
        expect(Instant::now() < deadline, || {
            format!("{lines:?}, not {told:?}")
        })?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A file, then a link, where the FIFO should be: nothing is written into either,
/// the log says so, and the daemon does its work. C 2.2.7 writes into the file.
pub fn replaced(bench: &mut Bench) -> Result<()> {
    let file = with_fifo("", &configuration(150, ""));
    bench.a.start(&file)?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    let mut reader = Reader::open(&bench.a, FIFO)?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;

    bench.a.node.remove_file(FIFO)?;
    bench.a.node.write_file(FIFO, "precious")?;
    bench.a.reload(&file)?;
    bench
        .a
        .expect_line(&format!("vrrp notify fifo {FIFO} was replaced"))?;
    let refused = format!("vrrp notify fifo {FIFO} is not a fifo we own - not using");
    bench.a.expect_line(&refused)?;
    flap(bench)?;
    let text = bench.a.node.read_file(FIFO)?;
    expect(text == "precious", || {
        format!("the file untouched, not {text}")
    })?;

    bench.a.node.remove_file(FIFO)?;
    bench.a.node.write_file("/run/theirs", "precious")?;
    let link = || std::os::unix::fs::symlink("/run/theirs", FIFO).context(FIFO);
    bench.a.node.inside(link)?;
    bench.a.reload(&file)?;
    let refused = format!("Unable to open vrrp notify fifo {FIFO} - errno 40");
    bench.a.expect_line(&refused)?;
    flap(bench)?;
    let text = bench.a.node.read_file("/run/theirs")?;
    expect(text == "precious", || {
        format!("the file untouched, not {text}")
    })?;

    bench.a.node.remove_file(FIFO)?;
    bench.a.reload(&file)?;
    bench.a.expect_line("Reload complete")?;
    let is_fifo = |machine: &Machine| {
        let found = machine
            .node
            .inside(|| std::fs::metadata(FIFO).context(FIFO));
        found.is_ok_and(|it| it.file_type().is_fifo())
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_fifo(&bench.a) {
        expect(Instant::now() < deadline, || "a new FIFO".to_owned())?;
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut reader = Reader::open(&bench.a, FIFO)?;
    flap(bench)?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    bench.a.stop()
}

/// The link goes and comes back; the instance is MASTER again.
fn flap(bench: &Bench) -> Result<()> {
    let mark = bench.a.daemon()?.line_mark();
    bench.a.node.set_carrier(false)?;
    let daemon = bench.a.daemon()?;
    daemon.await_line_after(mark, PATIENCE, "(VI_1) Entering FAULT STATE")?;
    bench.a.node.set_carrier(true)?;
    daemon.await_line_after(mark, PATIENCE, "(VI_1) Entering MASTER STATE")?;
    Ok(())
}

/// The FIFO outlives the VRRP process and a reload, its reader hears of the new
/// process; all states are written again if that is asked for. The end of a script
/// is told, and it is not begun again.
pub fn kept(bench: &mut Bench) -> Result<()> {
    bench
        .a
        .node
        .write_file("/run/ends", "#!/bin/sh\necho run >> /run/runs\n")?;
    let words = "fifo_write_vrrp_states_on_reload\n    vrrp_notify_fifo_script /run/ends";
    let file = with_fifo(words, &(configuration(150, "") + &in_group()));
    bench.a.start(&file)?;
    bench.a.expect_line("vrrp notify fifo script terminated")?;
    let mut reader = Reader::open(&bench.a, FIFO)?;
    reader.await_line("GROUP \"G\" MASTER 0")?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    reader.text.clear();
    bench.a.reload(&file)?;
    reader.await_line("GROUP \"G\" MASTER 0")?;
    let all = "INSTANCE \"VI_1\" MASTER 150\nINSTANCE \"VI_2\" MASTER 120\nGROUP \"G\" MASTER 0\n";
    let text = reader.text.clone();
    expect(text == all, || format!("{all}, not {text}"))?;

    reader.text.clear();
    let id = bench.a.node.read_file(VRRP_PID_FILE)?;
    let id = id.trim().parse().context("the process number")?;
    send_signal(bench.a.node.outer_id(id)?, libc::SIGKILL)?;
    reader.await_line("GROUP \"G\" MASTER 0")?;
    reader.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    bench.a.stop()?;
    let runs = bench.a.node.read_file("/run/runs")?;
    expect(runs == "run\nrun\n", || {
        format!("one run for each configuration: {runs}")
    })
}

/// 10,000 changes of state while nobody reads; before, a reader came and died. The
/// master goes on in its rhythm, needs no memory to speak of, says that lines are
/// lost, and whoever comes to read later gets whole lines, the first ones.
pub fn burst(bench: &mut Bench) -> Result<()> {
    const INSTANCES: usize = 200;
    const FLAPS: usize = 25;
    bench.a.node.add_spare(SPARE)?;
    let mut file = configuration(150, "") + BEAT;
    let vrids = (1..=250).filter(|vrid| *vrid != 51).take(INSTANCES);
    for vrid in vrids {
        file += &format!(
            "vrrp_instance a_rather_long_name_{vrid} {{
    interface eth0
    virtual_router_id {vrid}
    priority 100
    advert_int 200
    virtual_ipaddress {{
        10.9.{vrid}.1/32
    }}
    track_interface {{
        {SPARE}
    }}
}}
"
        );
    }
    bench.a.start(&with_fifo("", &file))?;
    bench.a.expect_line("(VI_1) Entering MASTER STATE")?;
    let mut dies = Reader::open(&bench.a, FIFO)?;
    dies.await_line("INSTANCE \"VI_1\" MASTER 150")?;
    drop(dies);

    expect_in_time(bench, |bench| {
        for up in (0..2 * FLAPS).map(|change| change % 2 == 1) {
            let mark = bench.a.daemon()?.line_mark();
            bench.a.node.set_link_up(SPARE, up)?;
            let state = if up { "BACKUP" } else { "FAULT" };
            let line = format!("(a_rather_long_name_201) Entering {state} STATE");
            bench.a.daemon()?.await_line_after(mark, PATIENCE, &line)?;
        }
        Ok(())
    })?;
    let lost = format!("vrrp notify fifo {FIFO}: its reader does not keep up, lines are lost");
    bench.a.expect_line(&lost)?;
    let daemon = bench.a.daemon()?;
    let count = daemon.count_lines(&lost);
    expect(count == 1, || format!("one such line, not {count}"))?;
    expect_little_memory(&bench.a)?;

    let mut late = Reader::open(&bench.a, FIFO)?;
    let first = |text: &str| text.lines().count() > 4096;
    late.await_text(first, "what has waited")?;
    let text = &late.text;
    let is_whole = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        matches!(words[..], ["INSTANCE", name, "FAULT" | "BACKUP", "100"]
            if name.starts_with("\"a_rather_long_name_") && name.ends_with('"'))
    };
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let torn = complete.lines().find(|line| !is_whole(line));
    expect(torn.is_none(), || format!("whole lines, not {torn:?}"))?;
    bench.a.expect_line("its reader keeps up again, ")?;
    bench.a.stop()
}
