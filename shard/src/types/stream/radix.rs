//! How many nodes Redis's radix tree of the same blocks would have: XINFO STREAM shows the number.
//!
//! Path: `types::stream::entries` -> here.
//! The tree's keys are the ids of the blocks as sixteen bytes. It has a node for each place where keys part, one for
//! each run of bytes between such places, and one for each end of a key; without keys it has its root alone. So the
//! number changes by what one key adds, which its neighbours tell.

use super::id::StreamId;

/// Bytes of a key.
const KEY_LEN: u32 = 16;

/// Nodes of a tree without keys.
pub(super) const EMPTY: usize = 1;

/// How many nodes `key` adds to a tree that does not have it yet. `neighbours` are the keys before and behind it;
/// `has_key` says whether a key lies in a range of ids, both ends included. Cost: some questions to `has_key`.
pub(super) fn added_by(
    key: StreamId,
    neighbours: [Option<StreamId>; 2],
    has_key: impl Fn(StreamId, StreamId) -> bool,
) -> usize {
    let key = key.bits();
    let shared = |other: u128| (key ^ other).leading_zeros() / 8;
    let others = neighbours.into_iter().flatten().map(StreamId::bits);
    let Some(other) = others.max_by_key(|&other| shared(other)) else { return 1 };
    let parting = shared(other);
    let is_parted_at = |depth| {
        let same = prefix_range(other, depth + 1);
        let all = prefix_range(other, depth);
        let has_below = same.0 > all.0 && has_key(id(all.0), id(same.0 - 1));
        has_below || (same.1 < all.1 && has_key(id(same.1 + 1), id(all.1)))
    };
    // The end of the key, and the run of bytes before it.
    let mut added = 1 + usize::from(parting + 1 < KEY_LEN);
    if !is_parted_at(parting) {
        // A run is cut in two by a place where keys part; either half may be empty.
        added += usize::from(parting > 0 && !is_parted_at(parting - 1));
        added += usize::from(parting + 1 < KEY_LEN && !is_parted_at(parting + 1));
    }
    added
}

/// The least and the greatest key with the first `depth` bytes of `key`.
fn prefix_range(key: u128, depth: u32) -> (u128, u128) {
    let rest = u128::MAX.checked_shr(8 * depth).unwrap_or(0);
    (key & !rest, key | rest)
}

fn id(bits: u128) -> StreamId {
    StreamId::from_bits(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::collections::{BTreeMap, BTreeSet};

    /// The nodes of the tree, built by the letter.
    fn count(keys: &BTreeSet<StreamId>) -> usize {
        let mut children: BTreeMap<Vec<u8>, BTreeSet<u8>> = BTreeMap::new();
        for key in keys {
            let bytes = key.bits().to_be_bytes();
            for depth in 0..bytes.len() {
                children.entry(bytes[..depth].to_vec()).or_default().insert(bytes[depth]);
            }
        }
        let is_branch = |prefix: &[u8]| children[prefix].len() > 1;
        let runs = children.iter().filter(|(prefix, next)| {
            next.len() == 1 && (prefix.is_empty() || is_branch(&prefix[..prefix.len() - 1]))
        });
        let branches = children.values().filter(|next| next.len() > 1);
        (keys.len() + branches.count() + runs.count()).max(EMPTY)
    }

    #[test]
    fn each_key_adds_what_the_tree_grows_by() {
        let seed = 0x4ad1;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        for round in 0..200 {
            let mut keys = BTreeSet::new();
            let mut node_count = EMPTY;
            for _ in 0..60 {
                let (ms, seq) = match round % 3 {
                    0 => (rng.next_u64(), 0),
                    1 => (1_700_000_000_000 + rng.below(2_000) as u64, rng.below(3) as u64 * 256),
                    _ => (5, rng.below(70_000) as u64),
                };
                let key = StreamId::new(ms, seq);
                let is_new = !keys.remove(&key);
                let before = keys.range(..key).next_back().copied();
                let behind = keys.range(key..).next().copied();
                let has_key = |from, to| keys.range(from..=to).next().is_some();
                let added = added_by(key, [before, behind], has_key);
                if is_new {
                    node_count += added;
                    keys.insert(key);
                } else {
                    node_count -= added;
                }
                assert_eq!(node_count, count(&keys), "{keys:?}");
            }
        }
    }
}
