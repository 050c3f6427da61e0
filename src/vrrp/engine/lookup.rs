//! Which instances a key means, in little room: with thousands of instances a map of
//! lists would be a tenth of the memory. Decides nothing.

use crate::ids::InstanceId;

/// Built at once, and not changed.
#[derive(Debug)]
pub(super) struct Lookup<K>(Vec<(K, InstanceId)>);

impl<K> Default for Lookup<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord + Copy> Lookup<K> {
    /// The instances of `key`, each once and in their order.
    pub(super) fn of(&self, key: K) -> impl Iterator<Item = InstanceId> + Clone {
        let first = self.0.partition_point(|(other, _)| *other < key);
        let rest = self.0.get(first..).unwrap_or_default();
        let those = rest.iter().take_while(move |(other, _)| *other == key);
        those.map(|(_, id)| *id)
    }
}

impl<K: Ord> FromIterator<(K, InstanceId)> for Lookup<K> {
    fn from_iter<I: IntoIterator<Item = (K, InstanceId)>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_means_its_instances_in_their_order() {
        let pairs = [(5, 2), (3, 9), (5, 1), (5, 2), (7, 0)];
        let lookup: Lookup<u8> = pairs
            .map(|(key, id)| (key, InstanceId(id)))
            .into_iter()
            .collect();
        let of = |key| lookup.of(key).map(|id| id.0).collect::<Vec<_>>();
        assert_eq!([of(3), of(4), of(5)], [vec![9], vec![], vec![1, 2]]);
        assert_eq!([of(7), of(8)], [vec![0], vec![]]);
    }
}
