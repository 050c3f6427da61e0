//! The alternatives in braces of an `include` pattern, for C libraries whose
//! `glob` does not know them (musl; `GLOB_BRACE` is an addition of GNU and BSD).
//!
//! Decides which patterns stand for one with braces, in the order of glob(3) of
//! GNU. Source: specification A.5.

/// More patterns are not made of one: each pair of braces multiplies them.
const PATTERNS_MAX: usize = 4096;

/// The patterns that `pattern` stands for. One without a whole pair of braces, or
/// with too many of them, stands for itself. `{}` is no pair, as in a shell.
pub fn expand(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_vec()];
    while let Some(next) = open.pop() {
        if done.len() + open.len() > PATTERNS_MAX {
            return vec![pattern.to_vec()];
        }
        match alternatives(&next) {
            // The last one is looked at first.
            Some(several) => open.extend(several.into_iter().rev()),
            None => done.push(next),
        }
    }
    done
}

/// The pattern with the first pair of braces replaced by each of its alternatives.
fn alternatives(pattern: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (begin, commas, end) = first_pair(pattern)?;
    let mut found = Vec::with_capacity(commas.len() + 1);
    let mut from = begin + 1;
    for to in commas.into_iter().chain([end]) {
        let parts = [
            pattern.get(..begin)?,
            pattern.get(from..to)?,
            pattern.get(end + 1..)?,
        ];
        found.push(parts.concat());
        from = to + 1;
    }
    Some(found)
}

/// Where the first pair of braces begins, where the commas between its alternatives
/// are, and where it ends.
fn first_pair(pattern: &[u8]) -> Option<(usize, Vec<usize>, usize)> {
    let (mut begin, mut commas, mut depth) = (None, Vec::new(), 0_usize);
    let mut bytes = pattern.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'{' if pattern.get(at + 1) == Some(&b'}') => {
                bytes.next();
            }
            b'{' => {
                begin = begin.or(Some(at));
                depth += 1;
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth == 1 => return begin.map(|begin| (begin, commas, at)),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str) -> Vec<String> {
        let found = expand(pattern.as_bytes());
        let text = |pattern| String::from_utf8(pattern).unwrap();
        found.into_iter().map(text).collect()
    }

    #[test]
    fn alternatives_come_in_their_order() {
        assert_eq!(expanded("*.conf"), ["*.conf"]);
        assert_eq!(expanded("{c,a}.conf"), ["c.conf", "a.conf"]);
        assert_eq!(expanded("x{a,b}{1,2}"), ["xa1", "xa2", "xb1", "xb2"]);
        assert_eq!(expanded("{a,b{1,2},}c"), ["ac", "b1c", "b2c", "c"]);
        assert_eq!(expanded("{one}"), ["one"]);
    }

    #[test]
    fn what_is_no_pair_stays() {
        for pattern in ["", "{", "}", "{}", "a{b", "a}b,c", "\\{a,b\\}", "\\"] {
            assert_eq!(expanded(pattern), [pattern]);
        }
        assert_eq!(expanded("{a,b}\\{c,d}"), ["a\\{c,d}", "b\\{c,d}"]);
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        let bomb = "{a,b}".repeat(64);
        assert_eq!(expanded(&bomb), [bomb.as_str()]);
    }
}
