//! Ranked list: a sequence in which finding, inserting and removing by position cost O(log n).
//!
//! Path: the large form of `types::sorted_set` -> here. The list knows positions only; whoever keeps it sorted finds
//! places with [`RankedList::partition_point`].
//! A B+ tree that counts: items stand in leaves, a branch knows of each child how many items it holds and which is
//! the first. Source: order statistics in B-trees, Knuth, The Art of Computer Programming 3, 6.2.3 and 6.2.4.
//!
//! A vector of items or children grows to the next block that the allocator has, not by doubling.
//!
//! Invariant: leaves are equally deep; every node but the root holds between a quarter of its limit and its limit;
//! counts and first items are those of the children.

use crate::memory::{self, block_size};
use std::ops::Range;

/// Most items in a leaf.
const LEAF_LEN_MAX: usize = 64;
/// Most children of a branch.
const BRANCH_LEN_MAX: usize = 32;

/// A sequence of small items.
#[derive(Debug)]
pub struct RankedList<T> {
    root: Node<T>,
    len: usize,
    /// Bytes of heap of all nodes.
    heap: usize,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Leaf(Vec<T>),
    Branch(Vec<Child<T>>),
}

#[derive(Clone, Debug)]
struct Child<T> {
    /// Items below.
    count: usize,
    /// The first of them.
    first: T,
    node: Box<Node<T>>,
}

impl<T: Copy> Clone for RankedList<T> {
    fn clone(&self) -> Self {
        // A copied vector has no room that its original has.
        let root = self.root.clone();
        let heap = root.heap_size();
        RankedList { root, len: self.len, heap }
    }
}

impl<T> Default for RankedList<T> {
    fn default() -> Self {
        RankedList { root: Node::Leaf(Vec::new()), len: 0, heap: 0 }
    }
}

impl<T: Copy> RankedList<T> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of heap this holds, as the allocator counts them. Cost: O(1).
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.heap
    }

    /// How many items stand before the first one for which `is_before` says no; it must say yes for a beginning of the
    /// list and no for the rest. Cost: O(log n).
    #[must_use]
    pub fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let mut node = &self.root;
        let mut passed_count = 0;
        loop {
            match node {
                Node::Leaf(items) => return passed_count + items.partition_point(&is_before),
                Node::Branch(children) => {
                    // The last child that begins before the point contains it.
                    let begun = children.partition_point(|child| is_before(&child.first));
                    let child = begun.saturating_sub(1);
                    passed_count += children[..child].iter().map(|c| c.count).sum::<usize>();
                    node = &children[child].node;
                }
            }
        }
    }

    /// Item `index`. Cost: O(log n).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        self.range(index..index.saturating_add(1)).next()
    }

    /// Puts `item` in the place of item `index`, which exists. Cost: O(log n).
    pub fn set(&mut self, index: usize, item: T) {
        assert!(index < self.len, "the item exists");
        self.root.set(index, item);
    }

    /// Inserts `item` so that it gets `index`, which is at most the length. Cost: O(log n).
    pub fn insert(&mut self, index: usize, item: T) {
        assert!(index <= self.len, "the place lies inside the list or at its end");
        self.len += 1;
        if let Some(sibling) = self.root.insert(index, item, &mut self.heap) {
            let root = std::mem::replace(&mut self.root, Node::Leaf(Vec::new()));
            self.root = Node::Branch(vec![Child::new(root), sibling]);
            self.heap += self.root.own_heap() + Child::<T>::BOX;
        }
    }

    /// Takes item `index` out, which exists. Cost: O(log n).
    pub fn remove(&mut self, index: usize) -> T {
        assert!(index < self.len, "the item exists");
        self.len -= 1;
        let item = self.root.remove(index, &mut self.heap);
        let root_heap = self.root.own_heap();
        if let Node::Branch(children) = &mut self.root
            && children.len() == 1
        {
            self.root = *children.pop().expect("there is one").node;
            self.heap -= root_heap + Child::<T>::BOX;
        }
        item
    }

    /// Drops about `budget` items from the end on; says whether some are left. Cost: O(log n) for each.
    pub fn free_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget.min(self.len) {
            self.remove(self.len - 1);
        }
        !self.is_empty()
    }

    /// The items of `range` that exist, from either end. Cost: O(log n) for each end, O(1) for each item.
    pub fn range(&self, range: Range<usize>) -> Items<'_, T> {
        let end = range.end.min(self.len);
        let start = range.start.min(end);
        Items { list: self, range: start..end, front: &[], back: &[] }
    }

    /// The leaf of item `index` and the place of the item in it.
    fn leaf(&self, mut index: usize) -> (&[T], usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(items) => return (items, index),
                Node::Branch(children) => {
                    let (child, inside) = child_of(children, index);
                    index = inside;
                    node = &children[child].node;
                }
            }
        }
    }

    /// Panics unless counts, first items, sizes and depths are right.
    #[cfg(test)]
    fn check_invariants(&self)
    where
        T: PartialEq + std::fmt::Debug,
    {
        assert_eq!(self.root.check(true).0, self.len);
        assert_eq!(self.root.heap_size(), self.heap);
    }
}

/// Items of a [`RankedList`], from either end.
#[derive(Clone, Debug)]
pub struct Items<'a, T> {
    list: &'a RankedList<T>,
    /// Positions that are not in `front` or `back` yet.
    range: Range<usize>,
    front: &'a [T],
    back: &'a [T],
}

impl<T: Copy> Iterator for Items<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.front.is_empty() && !self.range.is_empty() {
            let (items, at) = self.list.leaf(self.range.start);
            let count = (items.len() - at).min(self.range.len());
            self.front = &items[at..at + count];
            self.range.start += count;
        }
        let from = if self.front.is_empty() { &mut self.back } else { &mut self.front };
        from.split_off_first().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.front.len() + self.range.len() + self.back.len();
        (len, Some(len))
    }
}

impl<T: Copy> DoubleEndedIterator for Items<'_, T> {
    fn next_back(&mut self) -> Option<T> {
        if self.back.is_empty() && !self.range.is_empty() {
            let (items, at) = self.list.leaf(self.range.end - 1);
            let count = (at + 1).min(self.range.len());
            self.back = &items[at + 1 - count..=at];
            self.range.end -= count;
        }
        let from = if self.back.is_empty() { &mut self.front } else { &mut self.back };
        from.split_off_last().copied()
    }
}

impl<T: Copy> ExactSizeIterator for Items<'_, T> {}

impl<T: Copy> Child<T> {
    /// Bytes of heap of a node itself, without its vector.
    const BOX: usize = block_size(size_of::<Node<T>>());

    fn new(node: Node<T>) -> Self {
        let (count, first) = match &node {
            Node::Leaf(items) => (items.len(), items[0]),
            Node::Branch(children) => (count(children), children[0].first),
        };
        Child { count, first, node: Box::new(node) }
    }

    /// Brings the first item up to date after a change below.
    fn refresh_first(&mut self) {
        self.first = match &*self.node {
            Node::Leaf(items) => items[0],
            Node::Branch(children) => children[0].first,
        };
    }
}

impl<T: Copy> Node<T> {
    /// Bytes of heap of its vector.
    fn own_heap(&self) -> usize {
        match self {
            Node::Leaf(items) => block_size(items.capacity() * size_of::<T>()),
            Node::Branch(children) => block_size(children.capacity() * size_of::<Child<T>>()),
        }
    }

    /// Bytes of heap of its vector and of all below.
    fn heap_size(&self) -> usize {
        let below = match self {
            Node::Leaf(_) => 0,
            Node::Branch(children) => {
                children.iter().map(|child| Child::<T>::BOX + child.node.heap_size()).sum()
            }
        };
        self.own_heap() + below
    }

    /// Gives back memory that is not needed.
    fn shrink(&mut self) {
        match self {
            Node::Leaf(items) => shrink(items),
            Node::Branch(children) => shrink(children),
        }
    }

    /// Items or children, whichever this has.
    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Branch(children) => children.len(),
        }
    }

    fn len_max(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_LEN_MAX,
            Node::Branch(_) => BRANCH_LEN_MAX,
        }
    }

    fn set(&mut self, index: usize, item: T) {
        match self {
            Node::Leaf(items) => items[index] = item,
            Node::Branch(children) => {
                let (child, index) = child_of(children, index);
                children[child].node.set(index, item);
                children[child].refresh_first();
            }
        }
    }

    /// Inserts an item; if this node is too large for it, its end is cut off and returned. Adds to `heap` what is used
    /// in addition.
    fn insert(&mut self, index: usize, item: T, heap: &mut usize) -> Option<Child<T>> {
        if self.len() == self.len_max() {
            let mut sibling = self.split(heap);
            let kept_count = match self {
                Node::Leaf(items) => items.len(),
                Node::Branch(children) => count(children),
            };
            let more = if index <= kept_count {
                self.insert(index, item, heap)
            } else {
                let more = sibling.node.insert(index - kept_count, item, heap);
                sibling.count += 1;
                sibling.refresh_first();
                more
            };
            debug_assert!(more.is_none(), "what has been cut in two has room");
            return Some(sibling);
        }
        *heap -= self.own_heap();
        match self {
            Node::Leaf(items) => {
                grow(items);
                items.insert(index, item);
            }
            Node::Branch(children) => {
                let (at, index) = child_of(children, index);
                let child = &mut children[at];
                let sibling = child.node.insert(index, item, heap);
                child.count += 1;
                child.refresh_first();
                if let Some(sibling) = sibling {
                    child.count -= sibling.count;
                    grow(children);
                    children.insert(at + 1, sibling);
                }
            }
        }
        *heap += self.own_heap();
        None
    }

    /// Cuts off the second half. A node that is filled from left to right would stay half empty, but for the last
    /// one: so the cut is late, at three quarters.
    fn split(&mut self, heap: &mut usize) -> Child<T> {
        *heap -= self.own_heap();
        let at = self.len() * 3 / 4;
        let cut_off = match self {
            Node::Leaf(items) => Node::Leaf(cut_off(items, at)),
            Node::Branch(children) => Node::Branch(cut_off(children, at)),
        };
        *heap += self.own_heap() + cut_off.own_heap() + Child::<T>::BOX;
        Child::new(cut_off)
    }

    fn remove(&mut self, index: usize, heap: &mut usize) -> T {
        *heap -= self.own_heap();
        let item = match self {
            Node::Leaf(items) => items.remove(index),
            Node::Branch(children) => {
                let (at, index) = child_of(children, index);
                let child = &mut children[at];
                let item = child.node.remove(index, heap);
                child.count -= 1;
                if child.node.len() < child.node.len_max() / 4 {
                    join_with_neighbour(children, at, heap);
                } else {
                    child.refresh_first();
                }
                item
            }
        };
        self.shrink();
        *heap += self.own_heap();
        item
    }

    /// Checks this node and returns how many items it holds, the first of them and how deep the leaves are.
    #[cfg(test)]
    fn check(&self, is_root: bool) -> (usize, Option<T>, usize)
    where
        T: PartialEq + std::fmt::Debug,
    {
        assert!(self.len() <= self.len_max());
        assert!(is_root || self.len() >= self.len_max() / 4, "{} children", self.len());
        match self {
            Node::Leaf(items) => (items.len(), items.first().copied(), 0),
            Node::Branch(children) => {
                let mut depths = Vec::new();
                for child in children {
                    let (count, first, depth) = child.node.check(false);
                    assert_eq!((count, first), (child.count, Some(child.first)));
                    depths.push(depth);
                }
                depths.dedup();
                assert_eq!(depths.len(), 1);
                (count(children), Some(children[0].first), depths[0] + 1)
            }
        }
    }
}

/// Makes room for one more.
fn grow<E>(vec: &mut Vec<E>) {
    if vec.len() == vec.capacity() {
        vec.reserve_exact(fitting::<E>(vec.len() + 1) - vec.len());
    }
}

/// Gives back what is far more than there is.
fn shrink<E>(vec: &mut Vec<E>) {
    let capacity = fitting::<E>(vec.len());
    if vec.capacity() > capacity + capacity / 4 {
        memory::shrink(vec, capacity);
    }
}

/// Cuts off what stands from `at` on, and leaves neither part more room than its block has anyway.
fn cut_off<E>(vec: &mut Vec<E>, at: usize) -> Vec<E> {
    let mut end = Vec::with_capacity(fitting::<E>(vec.len() - at));
    end.extend(vec.drain(at..));
    memory::shrink(vec, fitting::<E>(at));
    end
}

/// How many there is room for in the block that the allocator gives for `len`.
fn fitting<E>(len: usize) -> usize {
    block_size(len * size_of::<E>()) / size_of::<E>()
}

fn count<T>(children: &[Child<T>]) -> usize {
    children.iter().map(|child| child.count).sum()
}

/// The child that holds item `index`, and the place of the item in it; the last one for the place behind the end.
fn child_of<T>(children: &[Child<T>], mut index: usize) -> (usize, usize) {
    let last = children.len() - 1;
    for (at, child) in children[..last].iter().enumerate() {
        if index < child.count {
            return (at, index);
        }
        index -= child.count;
    }
    (last, index)
}

/// Joins child `at`, which has become too small, with the one beside it, and cuts the two apart again if they are too
/// large for one.
fn join_with_neighbour<T: Copy>(children: &mut Vec<Child<T>>, at: usize, heap: &mut usize) {
    debug_assert!(children.len() > 1, "a branch with one child is replaced by it at once");
    let left = at.saturating_sub(1);
    let right = children.remove(left + 1);
    let mut joined = *children.remove(left).node;
    *heap -= joined.own_heap() + right.node.own_heap() + Child::<T>::BOX;
    match (&mut joined, *right.node) {
        (Node::Leaf(items), Node::Leaf(mut more)) => items.append(&mut more),
        (Node::Branch(items), Node::Branch(mut more)) => items.append(&mut more),
        _ => unreachable!("neighbours are equally deep"),
    }
    *heap += joined.own_heap();
    let sibling = (joined.len() > joined.len_max()).then(|| joined.split(heap));
    children.insert(left, Child::new(joined));
    if let Some(sibling) = sibling {
        children.insert(left + 1, sibling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn it_does_what_a_vector_does() {
        let seed = 0x4a6b_ed01;
        println!("seed {seed:#x}");
        let mut rng = Rng::new(seed);
        let mut list = RankedList::default();
        let mut model: Vec<u64> = Vec::new();
        for step in 0..60_000 {
            let is_growing = (step / 10_000) % 2 == 0;
            let index = rng.below(model.len() + 1);
            match rng.below(4) {
                0 if index < model.len() => {
                    list.set(index, step);
                    model[index] = step;
                }
                choice if (choice == 1 || is_growing) && choice != 3 => {
                    list.insert(index, step);
                    model.insert(index, step);
                }
                _ if index < model.len() && (!is_growing || rng.below(4) == 0) => {
                    assert_eq!(list.remove(index), model.remove(index), "step {step}");
                }
                _ => assert_eq!(list.get(index), model.get(index).copied(), "step {step}"),
            }
            assert_eq!(list.len(), model.len());
            if step % 500 == 0 {
                list.check_invariants();
                let end = (index + rng.below(300)).min(model.len());
                assert!(list.range(index..end).eq(model[index..end].iter().copied()));
                assert!(list.range(index..end).rev().eq(model[index..end].iter().rev().copied()));
                assert!(list.range(0..usize::MAX).eq(model.iter().copied()), "step {step}");
            }
        }
        while !list.is_empty() {
            let index = rng.below(list.len());
            assert_eq!(list.remove(index), model.remove(index));
        }
        list.check_invariants();
    }

    #[test]
    fn items_come_from_both_ends_at_once() {
        let mut list = RankedList::default();
        (0..1000).for_each(|item| list.insert(item, item));
        let mut items = list.range(100..900);
        let mut rng = Rng::new(11);
        let (mut front, mut back) = (100, 900);
        while front < back {
            assert_eq!(items.len(), back - front);
            if rng.below(2) == 0 {
                assert_eq!(items.next(), Some(front));
                front += 1;
            } else {
                back -= 1;
                assert_eq!(items.next_back(), Some(back));
            }
        }
        assert_eq!((items.next(), items.next_back()), (None, None));
        assert_eq!(list.range(1000..1001).next(), None);
    }

    #[test]
    fn a_partition_point_is_where_the_answer_changes() {
        let mut list = RankedList::default();
        assert_eq!(list.partition_point(|_: &usize| true), 0);
        (0..5000).for_each(|item| list.insert(item, 2 * item));
        list.check_invariants();
        for bound in 0..10_001 {
            assert_eq!(list.partition_point(|&item| item < bound), bound.div_ceil(2).min(5000));
        }
    }
}
