//! `virtual_server_group NAME { ... }`: addresses and marks (keepalived-lvs.md A.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::super::arguments;
use super::super::super::lex::Word;
use super::super::super::tree::Statement;
use super::super::root;
use super::super::{Context, Keyword};
use super::{UNSIGNED, WITHOUT_CHECKERS, error, error_at_end, number, part, port_of, read_block};

/// The rows; every other line is an address, a range or a network.
#[rustfmt::skip] // One row, one line.
pub const KEYWORDS: &[Keyword<Draft>] = &[
    part("fwmark", "0..4294967295 [inet|inet6]", "A mark that packets carry", fwmark),
];

/// What was read of one group.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The name.
    pub name: String,
    /// The first address or range as C shows it, with its port (0: none).
    first: Option<(String, u16)>,
    /// The first one of another port.
    first_other: Option<(String, u16)>,
    /// Whether there is an IPv4 address.
    pub has_ipv4: bool,
    /// Whether there is an IPv6 address.
    pub has_ipv6: bool,
    /// Whether there is an address without a port.
    pub has_open_port: bool,
    /// How many marks there are.
    pub marks: usize,
    /// Whether one of the marks belongs to no family.
    pub has_open_mark: bool,
}

impl Draft {
    /// Whether there is anything but marks.
    pub const fn has_ranges(&self) -> bool {
        self.first.is_some()
    }

    /// An address or a range whose port is not this one.
    pub fn with_other_port(&self, port: u16) -> Option<&(String, u16)> {
        let differs = |(_, own): &&(String, u16)| *own != port;
        let first = self.first.as_ref().filter(differs);
        first.or_else(|| self.first_other.as_ref().filter(differs))
    }

    fn add_range(&mut self, shown: String, port: u16) {
        match &self.first {
            None => self.first = Some((shown, port)),
            Some((_, first)) if *first != port && self.first_other.is_none() => {
                self.first_other = Some((shown, port));
            }
            Some(_) => {}
        }
    }
}

/// Reads the block.
pub fn set(draft: &mut root::Draft, statement: &Statement, cx: &mut Context<'_>) {
    let is_left_out = cx.options.without_checkers;
    read_block(statement, is_left_out, WITHOUT_CHECKERS, cx, |cx| {
        if let Some(group) = read(statement, cx) {
            draft.lvs.groups.push(group);
        }
    });
}

fn read(statement: &Statement, cx: &mut Context<'_>) -> Option<Draft> {
    let name = cx.argument(statement, 1)?.text.clone();
    let mut group = Draft {
        name: name.clone(),
        ..Draft::default()
    };
    for line in statement.inner() {
        cx.expect_no_block(line);
        match KEYWORDS.iter().find(|row| row.name == line.keyword()) {
            Some(row) => (row.set)(&mut group, line, cx),
            None => entry(&mut group, line, cx),
        }
    }
    if !group.has_ranges() && group.marks == 0 {
        let text = format!("virtual server group {name} has no entries - removing");
        error_at_end(cx, "virtual-server-group", statement, text);
        return None;
    }
    if group.has_ipv4 && group.has_ipv6 && group.has_open_mark {
        let text = format!(
            "virtual server group {name} cannot have IPv4, IPv6 and fwmark without family - removing"
        );
        error_at_end(cx, "virtual-server-group", statement, text);
        return None;
    }
    Some(group)
}

fn fwmark(group: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let name = group.name.clone();
    let invalid =
        |text: &str| format!("({name}): fwmark '{text}' must be in [0, 4294967295] - ignoring");
    let Some(mark) = number(cx, statement, UNSIGNED, invalid) else {
        return;
    };
    match statement.word(2).map(|word| word.text.as_str()) {
        Some("inet" | "inet6") => {}
        None => group.has_open_mark = true,
        Some(other) => {
            let text = format!("({name}): fwmark '{mark}' family {other} unknown - ignoring");
            error(cx, "fwmark", statement, text);
            return;
        }
    }
    group.marks = group.marks.saturating_add(1);
}

fn entry(group: &mut Draft, statement: &Statement, cx: &mut Context<'_>) {
    let Some(first) = statement.word(0) else {
        return;
    };
    let port_word = statement.word(1);
    let port = port_word.map_or(Ok(None), |port| port_of(&port.text));
    let result = match port {
        Ok(port) => range(&first.text).map(|range| (range, port)),
        Err(_) => Err(Problem::Invalid),
    };
    let ((from, shown), port) = match result {
        Ok(read) => read,
        Err(problem) => {
            let text = problem.text(first, port_word);
            error(cx, "virtual-server-group", statement, text);
            return;
        }
    };
    group.has_ipv4 |= from.is_ipv4();
    group.has_ipv6 |= from.is_ipv6();
    group.has_open_port |= port.is_none();
    group.add_range(shown, port.unwrap_or(0));
}

enum Problem {
    Invalid,
    NotGreater,
    Less,
    TooLarge(String),
    Netmask,
    HostBits,
}

impl Problem {
    fn text(&self, range: &Word, port: Option<&Word>) -> String {
        let range = &range.text;
        match self {
            Self::Invalid => {
                let port = port.map_or(String::new(), |port| format!("/port/{}", port.text));
                format!("Invalid virtual server group IP address {range} {port} - skipping")
            }
            Self::NotGreater => format!(
                "Address range end is not greater than address range start - {range} - skipping"
            ),
            Self::Less => {
                format!("Address range end is less than address range start - {range} - skipping")
            }
            Self::TooLarge(end) => {
                format!("Virtual server group range '{range}' end '{end}' too large")
            }
            Self::Netmask => format!("Invalid netmask - {range} - skipping"),
            Self::HostBits => format!("Address mask bits not empty - {range} - skipping"),
        }
    }
}

/// `IP`, `IP-IP`, `IP-LAST`, `IP/LEN`: the first address, and C's text of it.
fn range(text: &str) -> Result<(IpAddr, String), Problem> {
    if let Some((address, length)) = text.split_once('/') {
        let address = arguments::address(address).ok_or(Problem::Invalid)?;
        check_network(address, length)?;
        return Ok((address, text.to_string()));
    }
    let Some((first, last)) = text.split_once('-') else {
        let address = arguments::address(text).ok_or(Problem::Invalid)?;
        return Ok((address, address.to_string()));
    };
    let first = arguments::address(first).ok_or(Problem::Invalid)?;
    let end = if last.contains(['.', ':']) {
        let end = arguments::address(last).ok_or(Problem::Invalid)?;
        if end.is_ipv4() != first.is_ipv4() {
            return Err(Problem::Invalid);
        }
        if end < first {
            return Err(Problem::Less);
        }
        end
    } else {
        let end = with_last_part(first, last)?;
        if end <= first {
            return Err(Problem::NotGreater);
        }
        end
    };
    Ok((first, format!("{first}-{end}")))
}

/// The address whose last octet, or last 16 bits in hexadecimal, is `last`.
fn with_last_part(first: IpAddr, last: &str) -> Result<IpAddr, Problem> {
    let (radix, max) = match first {
        IpAddr::V4(_) => (10, 0xff),
        IpAddr::V6(_) => (16, 0xffff),
    };
    let value = u32::from_str_radix(last, radix).map_err(|_| Problem::Invalid)?;
    if value > max {
        return Err(Problem::TooLarge(last.to_string()));
    }
    Ok(match first {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !max | value).into(),
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & !u128::from(max) | u128::from(value)).into()
        }
    })
}

fn check_network(address: IpAddr, length: &str) -> Result<(), Problem> {
    let (bits, all) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let length = arguments::number(length, 1..=i64::from(all)).map_err(|_| Problem::Netmask)?;
    let host = u32::try_from(length).map_or(0, |length| all.saturating_sub(length));
    let host_bits = 1_u128
        .checked_shl(host)
        .map_or(u128::MAX, |bit| bit.wrapping_sub(1));
    if bits & host_bits != 0 {
        return Err(Problem::HostBits);
    }
    Ok(())
}
