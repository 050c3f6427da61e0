//! Every word of every block: for lists, for braces that must follow, and for
//! sentences that help somebody who wrote an unknown word.

use std::sync::LazyLock;

use crate::hashing::QuickMap;

use super::super::tree::Wants;
use super::{
    Content, Keyword, Row, auth_hmac, authentication, companion, garp_group, global_defs, lvs,
    root, track_file, track_group, vrrp_instance, vrrp_script, vrrp_sync_group, vrrp_track_process,
};

/// Every keyword of every block of the main file.
pub fn rows() -> Vec<Row> {
    let mut out = Vec::new();
    add(&mut out, "", root::KEYWORDS);
    add(&mut out, "global_defs", global_defs::KEYWORDS);
    add(&mut out, "garp_group", garp_group::KEYWORDS);
    add(&mut out, "track_group", track_group::KEYWORDS);
    add(&mut out, "vrrp_script", vrrp_script::KEYWORDS);
    add(&mut out, "vrrp_instance", vrrp_instance::KEYWORDS);
    add(&mut out, "authentication", authentication::KEYWORDS);
    add(&mut out, "auth_hmac", auth_hmac::KEYWORDS);
    add(&mut out, "vrrp_sync_group", vrrp_sync_group::KEYWORDS);
    add(&mut out, "track_file", track_file::KEYWORDS);
    add(&mut out, "vrrp_track_file", track_file::KEYWORDS);
    add(&mut out, "vrrp_track_process", vrrp_track_process::KEYWORDS);
    add(&mut out, "virtual_server", lvs::virtual_server::KEYWORDS);
    add(
        &mut out,
        "virtual_server_group",
        lvs::virtual_server_group::KEYWORDS,
    );
    add(&mut out, "real_server", lvs::real_server::KEYWORDS);
    add(&mut out, "TCP_CHECK", lvs::tcp_check::KEYWORDS);
    add(&mut out, "HTTP_GET", lvs::http_get::HTTP_KEYWORDS);
    add(&mut out, "HTTP_GET/url", lvs::http_get::URL);
    add(&mut out, "SSL_GET", lvs::http_get::SSL_KEYWORDS);
    add(&mut out, "SSL_GET/url", lvs::http_get::SSL_URL_KEYWORDS);
    add(&mut out, "SMTP_CHECK", lvs::smtp_check::KEYWORDS);
    add(&mut out, "SMTP_CHECK/host", lvs::checker::CONNECTION);
    add(&mut out, "MISC_CHECK", lvs::misc_check::KEYWORDS);
    add(&mut out, "DNS_CHECK", lvs::dns_check::KEYWORDS);
    add(&mut out, "PING_CHECK", lvs::ping_check::KEYWORDS);
    add(&mut out, "UDP_CHECK", lvs::udp_check::KEYWORDS);
    add(&mut out, "FILE_CHECK", lvs::file_check::KEYWORDS);
    add(&mut out, "BFD_CHECK", lvs::bfd_check::KEYWORDS);
    add(&mut out, "SSL", lvs::ssl::KEYWORDS);
    add(&mut out, "bfd_instance", lvs::bfd_instance::KEYWORDS);
    out
}

/// Every keyword of every block of `keepalived-rs.conf`, which is beside it.
pub fn companion_rows() -> Vec<Row> {
    let mut out = Vec::new();
    add(&mut out, "", companion::KEYWORDS);
    add(&mut out, "global_defs", companion::global_defs::KEYWORDS);
    add(
        &mut out,
        "vrrp_instance",
        companion::vrrp_instance::KEYWORDS,
    );
    add(
        &mut out,
        "vrrp_sync_group",
        companion::vrrp_sync_group::KEYWORDS,
    );
    out
}

fn add<T>(out: &mut Vec<Row>, block: &'static str, table: &'static [Keyword<T>]) {
    out.extend(table.iter().map(|row| Row {
        block,
        name: row.name,
        args: row.args,
        doc: row.doc,
        status: row.status,
        content: row.content,
        reload: row.reload,
    }));
}

type ByName<T> = QuickMap<&'static str, T>;

/// The rows of one file, to be looked up without knowing their types.
pub struct Vocabulary {
    blocks: ByName<ByName<Content>>,
    /// Of `keepalived-rs.conf`, not of the main file.
    is_companion: bool,
}

impl Vocabulary {
    fn new(rows: &[Row], is_companion: bool) -> Self {
        let mut blocks: ByName<ByName<Content>> = QuickMap::default();
        for row in rows {
            let words = blocks.entry(row.block).or_default();
            words.insert(row.name, row.content);
        }
        Self {
            blocks,
            is_companion,
        }
    }

    /// The one vocabulary of the main file; it never changes.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new(&rows(), false));
        &SHARED
    }

    /// The one vocabulary of `keepalived-rs.conf`; it never changes.
    pub fn companion() -> &'static Self {
        static SHARED: LazyLock<Vocabulary> =
            LazyLock::new(|| Vocabulary::new(&companion_rows(), true));
        &SHARED
    }

    /// That of the other file.
    fn other(&self) -> &'static Self {
        if self.is_companion {
            Self::shared()
        } else {
            Self::companion()
        }
    }

    /// Where this file is, seen from the other one.
    fn whereabouts(&self) -> String {
        if self.is_companion {
            let name = companion::FILE_NAME;
            return format!("in the file {name} beside this one, because C does not know it");
        }
        "in the main file, which C keepalived reads, too".to_string()
    }

    /// What a word in a block must have behind it.
    pub fn wants(&self, block: &str, word: &str) -> Wants {
        match self.blocks.get(block).and_then(|words| words.get(word)) {
            Some(Content::Values) => Wants::Values,
            Some(Content::Keywords) => Wants::Keywords,
            Some(Content::Line) | None => Wants::Line,
        }
    }

    /// Sentences that may help somebody who wrote an unknown word.
    pub(in crate::config) fn advice(&self, block: &str, word: &str) -> Vec<String> {
        let elsewhere = self.blocks_with(word);
        if !elsewhere.is_empty() {
            return vec![format!("`{word}` belongs {}.", elsewhere.join(" or "))];
        }
        let other = self.other();
        let elsewhere = other.blocks_with(word);
        if !elsewhere.is_empty() {
            let places = elsewhere.join(" or ");
            return vec![format!(
                "`{word}` belongs {places}, {}.",
                other.whereabouts()
            )];
        }
        let limit = (word.chars().count() / 3).clamp(1, 4);
        if word.len() > 64 {
            return Vec::new();
        }
        let known = self.blocks.get(block).into_iter().flat_map(QuickMap::keys);
        // Most words are too long or too short to be near; the rest is slow to compare.
        let nearest = known
            .filter(|known| known.len().abs_diff(word.len()) <= limit)
            .map(|known| (strsim::osa_distance(known, word), *known))
            .filter(|(distance, _)| *distance <= limit)
            .min();
        nearest
            .map(|(_, known)| format!("Did you mean `{known}`?"))
            .into_iter()
            .collect()
    }

    fn blocks_with(&self, word: &str) -> Vec<String> {
        let own = self
            .blocks
            .iter()
            .filter(|(_, words)| words.contains_key(word));
        let mut blocks: Vec<&str> = own.map(|(block, _)| *block).collect();
        blocks.sort_unstable();
        if blocks.len() > BLOCKS_MAX && blocks.iter().all(|block| self.is_checker(block)) {
            return vec!["into a checker of a `real_server`".to_string()];
        }
        let mut balancer = Vec::new();
        if blocks.len() > BLOCKS_MAX && blocks.contains(&"virtual_server") {
            blocks.retain(|block| !self.is_of_balancer(block));
            balancer.push("into `virtual_server` or a block in it".to_string());
        }
        let mut places: Vec<String> = blocks.into_iter().map(place).collect();
        places.sort_unstable();
        places.dedup();
        places.extend(balancer);
        places
    }

    fn is_of_balancer(&self, block: &str) -> bool {
        block == "virtual_server" || block == "real_server" || self.is_checker(block)
    }

    /// Whether a block is one of the checkers, or stands in one.
    fn is_checker(&self, block: &str) -> bool {
        let outer = block.split_once('/').map_or(block, |(outer, _)| outer);
        let Some(words) = self.blocks.get("real_server") else {
            return false;
        };
        words.get(outer) == Some(&Content::Keywords)
    }
}

/// More places are not listed one by one.
const BLOCKS_MAX: usize = 3;

/// Where the words of a block belong, for people.
fn place(block: &str) -> String {
    match block.split_once('/') {
        Some((outer, inner)) => format!("into `{inner}` of `{outer}`"),
        None if block.is_empty() => {
            "at the outer level, outside of all blocks (is a '}' missing above?)".to_string()
        }
        None if block == "authentication" || block == "auth_hmac" => {
            format!("into `{block}` of a `vrrp_instance`")
        }
        None if block == "vrrp_track_file" => "into `track_file`".to_string(),
        None => format!("into `{block}`"),
    }
}
