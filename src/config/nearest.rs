//! Which known name somebody may have meant.
//!
//! Decides how different a name may be from what was written. Names of other lengths are
//! not compared, so that one that is very long costs nothing.

/// The known name that is most like `name`, if one is.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    let near = |known: &&str| known.len().abs_diff(name.len()) <= limit;
    let distances = known.into_iter().filter(near);
    distances
        .map(|known| (strsim::osa_distance(known, name), known))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["VI_1", "VI_22", "haproxy"];
        assert_eq!(nearest("VI_2", known), Some("VI_1"));
        assert_eq!(nearest("VI_222", known), Some("VI_22"));
        assert_eq!(nearest("hapoxry", known), Some("haproxy"));
        assert_eq!(nearest("mail", known), None);
        assert_eq!(nearest(&"x".repeat(4096), known), None);
    }
}
