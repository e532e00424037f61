//! What memory costs: how many bytes the allocator really takes for a request.
//!
//! Accounting adds up blocks, not lengths, so that what is reported agrees with what the process holds. The sizes are
//! those of mimalloc, which the server uses; other allocators of the same kind are close.

/// Requests up to this many bytes are rounded to 16.
const SMALL_MAX: usize = 64;
/// Requests above this many bytes are rounded to whole pages.
const MEDIUM_MAX: usize = 128 * 1024;
/// Bytes of a page of the operating system.
const PAGE: usize = 4096;

/// Bytes that the allocator takes for an allocation of `len` bytes; 0 for none.
///
/// Up to 8 bytes a block is 8 bytes long, up to 64 a multiple of 16; above that there are four sizes for each doubling
/// (64, 80, 96, 112, 128, 160, …). Cost: a few instructions.
#[must_use]
pub const fn block_size(len: usize) -> usize {
    match len {
        0 => 0,
        1..=8 => 8,
        9..=SMALL_MAX => len.next_multiple_of(16),
        _ if len > MEDIUM_MAX => len.next_multiple_of(PAGE),
        _ => {
            let doubling = usize::BITS - 1 - (len - 1).leading_zeros();
            len.next_multiple_of(1 << (doubling - 2))
        }
    }
}

/// Moves the items of `vec` to an allocation for `capacity` of them, or as many as there are. Other than
/// [`Vec::shrink_to`] this frees memory: asked to make a block smaller, the allocator leaves it as it is as long as half
/// of it is used. Cost: O(n).
pub fn shrink<T>(vec: &mut Vec<T>, capacity: usize) {
    let mut smaller = Vec::with_capacity(capacity.max(vec.len()));
    smaller.append(vec);
    *vec = smaller;
}

/// Entries that a node of the standard library's trees has room for.
const NODE_LEN: usize = 11;
/// Entries that a node has where they came in ascending order: full nodes are split so.
const NODE_LEN_USUAL: usize = 7;

/// About the bytes that a `BTreeMap` or `BTreeSet` of `len` entries takes, where an entry has `entry_size` bytes: exact up
/// to eleven entries. An empty one must be new: one that was emptied keeps a node.
#[must_use]
pub const fn tree_size(len: usize, entry_size: usize) -> usize {
    const LINKS: usize = 16;
    let leaf = NODE_LEN * entry_size + LINKS;
    let leaf_count = match len {
        0 => return 0,
        1..=NODE_LEN => 1,
        _ => len.div_ceil(NODE_LEN_USUAL),
    };
    let inner = leaf + (NODE_LEN + 1) * size_of::<usize>();
    leaf_count * block_size(leaf) + leaf_count / NODE_LEN_USUAL * block_size(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_the_allocator() {
        let cases = [
            (0, 0),
            (1, 8),
            (8, 8),
            (9, 16),
            (33, 48),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (1000, 1024),
            (1025, 1280),
            (10_000, 10_240),
            (131_072, 131_072),
            (131_073, 135_168),
        ];
        for (len, block) in cases {
            assert_eq!(block_size(len), block, "{len}");
        }
    }
}
