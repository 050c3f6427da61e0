//! Whether the packet filter of this machine lets VRRP in.
//!
//! Runs `nft` and `iptables-save`, which only `check` does and no daemon, and
//! reads what they print. Decides for the common case: a chain for incoming
//! packets that drops by default, or a rule that drops protocol 112. When in
//! doubt a packet is taken to pass.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What was seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What drops VRRP, one text for each place.
    pub drops: Vec<String>,
    /// What could not be looked at.
    pub not_checked: Vec<String>,
}

/// Asks the tools of both kinds of packet filter.
pub fn look() -> Seen {
    let mut seen = Seen::default();
    let nft = printed("nft", &["-j", "list", "ruleset"]).and_then(|text| {
        let rules: Result<Value, _> = serde_json::from_str(&text);
        rules.map_err(|_| "nft printed no JSON".to_string())
    });
    let tables = printed("iptables-save", &["-t", "filter"]);
    match (&nft, &tables) {
        (Ok(_), _) => {}
        (Err(why), Ok(_)) => seen
            .not_checked
            .push(format!("the rules of nftables: {why}")),
        (Err(one), Err(other)) => seen
            .not_checked
            .push(format!("the firewall of this machine: {one}; {other}")),
    }
    if let Ok(rules) = nft {
        seen.drops.extend(nft_drops(&rules));
    }
    // iptables is often the other name of the same rules.
    if let (Ok(text), true) = (tables, seen.drops.is_empty()) {
        seen.drops.extend(iptables_drops(&text));
    }
    seen
}

fn printed(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or("failed").trim();
        return Err(format!("{program}: {first}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Chains for incoming packets of `nft -j list ruleset` that drop VRRP.
pub fn nft_drops(rules: &Value) -> Vec<String> {
    let objects = rules.get("nftables").and_then(Value::as_array);
    let objects: Vec<&Value> = objects.into_iter().flatten().collect();
    let of = |kind: &'static str| objects.iter().filter_map(move |one| one.get(kind));
    let mut drops = Vec::new();
    for chain in of("chain") {
        if chain.get("hook").and_then(Value::as_str) != Some("input") {
            continue;
        }
        let same_table = |rule: &&Value| {
            ["family", "table"]
                .iter()
                .all(|key| rule.get(key) == chain.get(key))
        };
        let in_table: Vec<NftRule> = of("rule").filter(same_table).map(NftRule::of).collect();
        let own = |rule: &&NftRule| Some(rule.chain.as_str()) == text(chain.get("name"));
        let falls_through = chain.get("policy").and_then(Value::as_str) == Some("drop")
            || in_table.iter().filter(own).any(|rule| rule.drops_all);
        let named = in_table.iter().any(|rule| rule.drops_vrrp);
        let passes = in_table.iter().any(|rule| rule.may_accept);
        if (falls_through || named) && !passes {
            let part = |key| text(chain.get(key)).unwrap_or("?").to_string();
            drops.push(format!(
                "the chain `{} {} {}` drops incoming packets of IP protocol 112 (VRRP)",
                part("family"),
                part("table"),
                part("name")
            ));
        }
    }
    drops
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

struct NftRule {
    chain: String,
    drops_all: bool,
    drops_vrrp: bool,
    may_accept: bool,
}

impl NftRule {
    fn of(rule: &Value) -> Self {
        let expressions = rule.get("expr").and_then(Value::as_array);
        let expressions: Vec<&Value> = expressions.into_iter().flatten().collect();
        let has = |word: &str| expressions.iter().any(|one| one.get(word).is_some());
        let matches: Vec<&Value> = expressions
            .iter()
            .filter_map(|one| one.get("match"))
            .collect();
        let drops = has("drop") || has("reject");
        let fits = matches.iter().all(|one| may_be_vrrp(one));
        Self {
            chain: text(rule.get("chain")).unwrap_or_default().to_string(),
            drops_all: drops && matches.is_empty(),
            drops_vrrp: drops && matches.len() == 1 && matches.iter().all(|one| names_vrrp(one)),
            may_accept: has("accept") && fits,
        }
    }
}

/// Whether a match asks for protocol 112.
fn names_vrrp(condition: &Value) -> bool {
    asks_for_protocol(condition) && has_vrrp(condition.get("right"))
}

fn has_vrrp(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(word)) => word == "vrrp" || word == "112",
        Some(Value::Number(number)) => number.as_u64() == Some(112),
        Some(Value::Array(all)) => all.iter().any(|one| has_vrrp(Some(one))),
        Some(Value::Object(_)) => has_vrrp(value.and_then(|set| set.get("set"))),
        _ => false,
    }
}

fn asks_for_protocol(condition: &Value) -> bool {
    let left = condition.get("left");
    let meta = left.and_then(|left| left.get("meta"));
    let payload = left.and_then(|left| left.get("payload"));
    let key = text(meta.and_then(|meta| meta.get("key")));
    let field = text(payload.and_then(|payload| payload.get("field")));
    key == Some("l4proto") || matches!(field, Some("protocol" | "nexthdr"))
}

/// Whether an advert of another node can meet a condition.
fn may_be_vrrp(condition: &Value) -> bool {
    let is_equal = matches!(text(condition.get("op")), Some("==" | "in") | None);
    if asks_for_protocol(condition) {
        let named = text(condition.get("right")).is_some_and(|name| name.starts_with('@'));
        return named || names_vrrp(condition) == is_equal;
    }
    let left = condition.get("left");
    if left.and_then(|left| left.get("ct")).is_some() {
        let words = condition.get("right").map(Value::to_string);
        return words.is_some_and(|words| words.contains("new") || words.contains("untracked"));
    }
    let payload = left.and_then(|left| left.get("payload"));
    let protocol = text(payload.and_then(|payload| payload.get("protocol")));
    if let Some(protocol) = protocol {
        return matches!(protocol, "ip" | "ip6" | "ether");
    }
    let is_loopback = condition.get("right").and_then(Value::as_str) == Some("lo");
    is_loopback != is_equal
}

/// What in the output of `iptables-save` drops VRRP.
pub fn iptables_drops(rules: &str) -> Vec<String> {
    let policy_drops = rules.lines().any(|line| line.starts_with(":INPUT DROP"));
    let mut drops_vrrp = false;
    let mut passes = false;
    let mut drops_all = false;
    for line in rules.lines().filter(|line| line.starts_with("-A ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let after = |names: &[&str]| {
            let mut pairs = words.windows(2);
            pairs
                .find(|pair| pair.first().is_some_and(|word| names.contains(word)))
                .and_then(|pair| pair.get(1).copied())
        };
        let protocol = after(&["-p", "--protocol"]);
        let is_vrrp = matches!(protocol, Some("vrrp" | "112"));
        let negated = words.contains(&"!");
        match after(&["-j", "--jump"]) {
            Some("DROP" | "REJECT") if is_vrrp && line.starts_with("-A INPUT -p") => {
                drops_vrrp = true;
            }
            Some("DROP" | "REJECT") if line.starts_with("-A INPUT -j") => drops_all = true,
            Some("ACCEPT") => {
                let is_any = protocol.is_none_or(|name| name == "all");
                let is_restricted = words.contains(&"conntrack") || words.contains(&"state");
                let is_loopback = after(&["-i"]) == Some("lo");
                let elsewhere = matches!(words.get(1), Some(&"OUTPUT" | &"FORWARD"));
                let fits = is_vrrp || negated || (is_any && !is_restricted && !is_loopback);
                passes |= fits && !elsewhere;
            }
            _ => {}
        }
    }
    if (policy_drops || drops_all || drops_vrrp) && !passes {
        return vec![
            "the chain INPUT of iptables drops packets of IP protocol 112 (VRRP)".to_string(),
        ];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ruleset(policy: &str, rules: &[Value]) -> Value {
        let chain = json!({"chain": {"family": "inet", "table": "filter", "name": "input",
            "type": "filter", "hook": "input", "prio": 0, "policy": policy}});
        let mut objects = vec![json!({"metainfo": {"json_schema_version": 1}}), chain];
        objects.extend(rules.iter().map(|expressions| {
            json!({"rule": {"family": "inet", "table": "filter", "chain": "input",
                "expr": expressions}})
        }));
        json!({ "nftables": objects })
    }

    fn matching(left: Value, right: Value) -> Value {
        json!({"match": {"op": "==", "left": left, "right": right}})
    }

    #[test]
    fn a_chain_of_nft_that_drops_by_default_needs_a_rule_for_vrrp() {
        let accept = json!({"accept": null});
        let established = matching(json!({"ct": {"key": "state"}}), json!(["established"]));
        let lo = matching(json!({"meta": {"key": "iifname"}}), json!("lo"));
        let ssh = matching(
            json!({"payload": {"protocol": "tcp", "field": "dport"}}),
            json!(22),
        );
        let common = [
            json!([established, accept]),
            json!([lo, accept]),
            json!([ssh, accept]),
        ];
        assert_eq!(nft_drops(&ruleset("accept", &common)), [""; 0]);
        assert_eq!(
            nft_drops(&ruleset("drop", &common)),
            ["the chain `inet filter input` drops incoming packets of IP protocol 112 (VRRP)"]
        );
        for good in [
            matching(json!({"meta": {"key": "l4proto"}}), json!("vrrp")),
            matching(
                json!({"payload": {"protocol": "ip", "field": "protocol"}}),
                json!({"set": [51, 112]}),
            ),
            matching(
                json!({"payload": {"protocol": "ip", "field": "saddr"}}),
                json!("192.0.2.2"),
            ),
            matching(json!({"meta": {"key": "iifname"}}), json!("eth1")),
        ] {
            let mut rules = common.to_vec();
            rules.push(json!([good, accept]));
            assert_eq!(nft_drops(&ruleset("drop", &rules)), [""; 0], "{good}");
        }
    }

    #[test]
    fn a_rule_of_nft_can_drop_vrrp() {
        let vrrp = matching(json!({"meta": {"key": "l4proto"}}), json!(112));
        let rules = [json!([vrrp, {"drop": null}])];
        assert_eq!(nft_drops(&ruleset("accept", &rules)).len(), 1);
        let rest = [json!([{"counter": {}}, {"reject": {}}])];
        assert_eq!(nft_drops(&ruleset("accept", &rest)).len(), 1);
    }

    #[test]
    fn iptables_is_read_alike() {
        let common = "*filter\n:INPUT DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -i lo -j ACCEPT\n\
                      -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                      -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A OUTPUT -j ACCEPT\n";
        assert_eq!(iptables_drops(common).len(), 1);
        for good in [
            "-A INPUT -p vrrp -j ACCEPT\n",
            "-A INPUT -p 112 -j ACCEPT\n",
            "-A INPUT -s 192.0.2.2/32 -j ACCEPT\n",
        ] {
            assert_eq!(
                iptables_drops(&format!("{common}{good}")),
                [""; 0],
                "{good}"
            );
        }
        assert_eq!(iptables_drops(&common.replace("DROP", "ACCEPT")), [""; 0]);
        let last = ":INPUT ACCEPT [0:0]\n-A INPUT -j REJECT\n";
        assert_eq!(iptables_drops(last).len(), 1);
    }
}
