//! Timers of one core: a heap of deadlines, each with the waker of the task that waits for it.
//!
//! The reactor asks for the soonest deadline before it sleeps, and fires what is due when it wakes.

use super::clock::Moment;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::task::Waker;

/// The timers of one core.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Deadlines, soonest first. One whose id has no waker any more was cancelled.
    deadlines: BinaryHeap<Reverse<(Moment, u64)>>,
    wakers: HashMap<u64, Waker>,
    next_id: u64,
}

impl Timers {
    /// Starts a timer; the task of `waker` is woken once, at or soon after `deadline`.
    pub(super) fn start(&mut self, deadline: Moment, waker: Waker) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.deadlines.push(Reverse((deadline, id)));
        self.wakers.insert(id, waker);
        id
    }

    /// Whether timer `id` has still to fire.
    pub(super) fn is_pending(&self, id: u64) -> bool {
        self.wakers.contains_key(&id)
    }

    /// Hands timer `id` to another task.
    pub(super) fn set_waker(&mut self, id: u64, waker: &Waker) {
        if let Some(known) = self.wakers.get_mut(&id) {
            known.clone_from(waker);
        }
    }

    /// Forgets timer `id`.
    pub(super) fn cancel(&mut self, id: u64) {
        self.wakers.remove(&id);
        // Cancelled deadlines stay in the heap; once most are, it is built anew.
        if self.deadlines.len() > 64 && self.deadlines.len() > 4 * self.wakers.len() {
            let wakers = &self.wakers;
            self.deadlines.retain(|Reverse((_, id))| wakers.contains_key(id));
        }
    }

    /// The soonest deadline.
    pub(super) fn soonest(&mut self) -> Option<Moment> {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            if self.wakers.contains_key(&id) {
                return Some(deadline);
            }
            self.deadlines.pop();
        }
        None
    }

    /// Wakes every task whose deadline has come.
    pub(super) fn fire(&mut self, now: Moment) {
        while let Some(&Reverse((deadline, id))) = self.deadlines.peek() {
            if deadline > now {
                return;
            }
            self.deadlines.pop();
            if let Some(waker) = self.wakers.remove(&id) {
                waker.wake();
            }
        }
    }
}
