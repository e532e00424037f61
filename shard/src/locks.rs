//! Key locks of one shard: who must wait for whom while something runs over several shards in more than one step.
//!
//! Path: `server::core::locking` -> here. A request claims all that it needs at once ([`Claims`]) and stands in the queues
//! of its keys from then on; it is granted when nothing that came before it conflicts. Requests arrive in the same order
//! on all shards (`server::mailbox`), so whoever waits waits only for somebody who came before: there is no deadlock, and
//! nobody is overtaken. What meets no lock is never entered here; it asks [`Locks::is_empty`] and goes on.
//!
//! A lock is of a key's name in whatever database, so that MOVE, COPY … DB and SWAPDB need no rule of their own.

use std::collections::{BTreeMap, VecDeque};

/// Number of a request at its shard, in the order in which they came.
pub type LockId = u64;

/// What a request does with what it claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It reads: others may read too.
    Shared,
    /// It may write: nobody else may do anything.
    Exclusive,
}

/// What a request claims on one shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    /// All keys there are and will be.
    whole: Option<Mode>,
    /// Single keys.
    keys: BTreeMap<Box<[u8]>, Mode>,
}

impl Claims {
    /// Claims the whole shard.
    #[must_use]
    pub fn whole(mode: Mode) -> Self {
        Claims { whole: Some(mode), keys: BTreeMap::new() }
    }

    /// Claims `key` too.
    pub fn add(&mut self, key: &[u8], mode: Mode) {
        match self.keys.get_mut(key) {
            Some(claimed) => *claimed = mode.max(*claimed),
            None => drop(self.keys.insert(key.into(), mode)),
        }
    }

    /// Claims what `other` claims too.
    pub fn join(&mut self, other: Claims) {
        self.whole = self.whole.max(other.whole);
        for (key, mode) in other.keys {
            self.add(&key, mode);
        }
    }

    /// Whether `key` is claimed.
    #[must_use]
    pub fn has(&self, key: &[u8]) -> bool {
        self.whole.is_some() || self.keys.contains_key(key)
    }

    /// Whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.whole.is_none() && self.keys.is_empty()
    }

    /// The same with the least that has the same effect: a shard that is claimed whole needs no keys.
    fn reduced(self) -> Self {
        let Some(whole) = self.whole else { return self };
        Claims::whole(self.keys.values().copied().fold(whole, Mode::max))
    }

    /// Whether what one of them does may be seen by the other.
    fn conflicts_with(&self, other: &Claims) -> bool {
        let with_keys = |mode: Mode, claims: &Claims| {
            claims.whole.is_some_and(|other| conflict(mode, other))
                || claims.keys.values().any(|other| conflict(mode, *other))
        };
        self.whole.is_some_and(|mode| with_keys(mode, other))
            || other.whole.is_some_and(|mode| with_keys(mode, self))
            || self
                .keys
                .iter()
                .any(|(key, mode)| other.keys.get(key).is_some_and(|other| conflict(*mode, *other)))
    }

    fn is_exclusive(&self) -> bool {
        let is_exclusive = |mode: &Mode| *mode == Mode::Exclusive;
        self.whole.as_ref().is_some_and(is_exclusive) || self.keys.values().any(is_exclusive)
    }
}

fn conflict(one: Mode, other: Mode) -> bool {
    one.max(other) == Mode::Exclusive
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Request {
    claims: Claims,
    is_granted: bool,
}

/// What has become of a request that was widened; see [`Locks::widen`].
#[derive(Debug, PartialEq, Eq)]
pub struct Widened {
    /// Its new number.
    pub id: LockId,
    /// Those behind it: old number and new.
    pub moved: Vec<(LockId, LockId)>,
    /// Who is granted something now, itself perhaps among them.
    pub granted: Vec<LockId>,
}

/// The locks of one shard. Invariant: a request is granted if and only if nothing before it conflicts with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locks {
    next_id: LockId,
    requests: BTreeMap<LockId, Request>,
    /// Who has claimed each key, in order.
    queues: BTreeMap<Box<[u8]>, VecDeque<(LockId, Mode)>>,
    /// Who has claimed the whole shard.
    wholes: BTreeMap<LockId, Mode>,
}

impl Locks {
    /// Whether there is no lock: the only question a command asks on the way.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many requests there are, granted and waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// What a request claims that has not been granted yet.
    #[must_use]
    pub fn awaited(&self, id: LockId) -> Option<&Claims> {
        self.requests.get(&id).filter(|one| !one.is_granted).map(|one| &one.claims)
    }

    /// Whether a request with these claims would have to wait.
    #[must_use]
    pub fn is_in_the_way(&self, claims: &Claims) -> bool {
        self.is_before(claims, self.next_id)
    }

    /// Enters a request; says whether it is granted at once.
    pub fn request(&mut self, claims: Claims) -> (LockId, bool) {
        let claims = claims.reduced();
        let id = self.next_id;
        self.next_id += 1;
        let is_granted = !self.is_before(&claims, id);
        for (key, mode) in &claims.keys {
            self.queues.entry(key.clone()).or_default().push_back((id, *mode));
        }
        self.wholes.extend(claims.whole.map(|mode| (id, mode)));
        self.requests.insert(id, Request { claims, is_granted });
        (id, is_granted)
    }

    /// Takes a request out, granted or not; returns those that may be granted now, for [`Locks::grant`].
    pub fn remove(&mut self, id: LockId) -> Vec<LockId> {
        let Some(request) = self.requests.remove(&id) else { return Vec::new() };
        let mut freed: Vec<LockId> = Vec::new();
        if self.wholes.remove(&id).is_some() {
            freed.extend(self.requests.keys());
        }
        for key in request.claims.keys.keys() {
            let Some(queue) = self.queues.get_mut(key) else { continue };
            queue.retain(|(other, _)| *other != id);
            // Behind the first that excludes others nobody can be granted.
            let last = queue.iter().position(|(_, mode)| *mode == Mode::Exclusive);
            let front = last.map_or(queue.len(), |last| last + 1);
            freed.extend(queue.iter().take(front).map(|(other, _)| *other));
            if queue.is_empty() {
                self.queues.remove(key);
            }
        }
        freed.extend(self.wholes.keys());
        freed.sort_unstable();
        freed.dedup();
        freed
    }

    /// Those that came behind `id` and conflict with `touched`, or with another of these that stays, in their order: those
    /// that stay, and those of which `may_go` is true.
    #[must_use]
    pub fn behind(
        &self,
        id: LockId,
        touched: &Claims,
        may_go: impl Fn(LockId) -> bool,
    ) -> (Vec<LockId>, Vec<LockId>) {
        let mut all = touched.clone();
        let (mut staying, mut going) = (Vec::new(), Vec::new());
        for (other, request) in self.requests.range(id + 1..) {
            if !request.claims.conflicts_with(&all) {
                continue;
            }
            if may_go(*other) {
                going.push(*other);
            } else {
                all.join(request.claims.clone());
                staying.push(*other);
            }
        }
        (staying, going)
    }

    /// Turns a granted request into one for the whole shard, as if it came now. Those in `behind` ([`Locks::behind`])
    /// come behind it; all others that were waiting stay before it.
    pub fn widen(&mut self, id: LockId, behind: &[LockId]) -> Widened {
        let claims: Vec<(LockId, Claims)> = behind
            .iter()
            .filter_map(|other| Some((*other, self.requests.get(other)?.claims.clone())))
            .collect();
        let mut freed = self.remove(id);
        behind.iter().for_each(|other| freed.extend(self.remove(*other)));
        freed.sort_unstable();
        freed.dedup();
        let mut granted = self.grant(freed);
        let (id, is_granted) = self.request(Claims::whole(Mode::Exclusive));
        granted.extend(is_granted.then_some(id));
        let moved = claims.into_iter().map(|(old, claims)| (old, self.request(claims).0)).collect();
        Widened { id, moved, granted }
    }

    /// Grants those of `freed` that wait for nobody any more; returns them in order.
    pub fn grant(&mut self, mut freed: Vec<LockId>) -> Vec<LockId> {
        freed.retain(|id| {
            let Some(request) = self.requests.get(id) else { return false };
            !request.is_granted && !self.is_before(&request.claims, *id)
        });
        for id in &freed {
            self.requests.get_mut(id).expect("it was just there").is_granted = true;
        }
        freed
    }

    /// Whether somebody who may be in the middle of something has claimed `key`.
    #[must_use]
    pub fn is_held(&self, key: &[u8]) -> bool {
        let is_granted = |id: &LockId| self.requests.get(id).is_some_and(|one| one.is_granted);
        let queue = self.queues.get(key).into_iter().flatten();
        queue.map(|(id, _)| id).chain(self.wholes.keys()).any(is_granted)
    }

    /// Whether somebody has claimed `key` or waits for it.
    #[must_use]
    pub fn is_claimed(&self, key: &[u8]) -> bool {
        self.queues.contains_key(key) || !self.wholes.is_empty()
    }

    /// Whether a request that came before `id` conflicts with `claims`.
    fn is_before(&self, claims: &Claims, id: LockId) -> bool {
        let is_early = |other: &LockId| *other < id;
        let whole_conflicts =
            |mode: Mode| self.wholes.range(..id).any(|(_, other)| conflict(mode, *other));
        if let Some(mode) = claims.whole {
            let mut before = self.requests.range(..id);
            return match mode {
                Mode::Exclusive => before.next().is_some(),
                Mode::Shared => before.any(|(_, request)| request.claims.is_exclusive()),
            };
        }
        claims.keys.iter().any(|(key, mode)| {
            let queue = self.queues.get(key).into_iter().flatten();
            let mut before = queue.take_while(|(other, _)| is_early(other));
            before.any(|(_, other)| conflict(*mode, *other)) || whole_conflicts(*mode)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [LockId; 0] = [];

    fn claims(keys: &[(&str, Mode)]) -> Claims {
        let mut claims = Claims::default();
        keys.iter().for_each(|(key, mode)| claims.add(key.as_bytes(), *mode));
        claims
    }

    fn exclusive(keys: &[&str]) -> Claims {
        claims(&keys.iter().map(|key| (*key, Mode::Exclusive)).collect::<Vec<_>>())
    }

    fn shared(keys: &[&str]) -> Claims {
        claims(&keys.iter().map(|key| (*key, Mode::Shared)).collect::<Vec<_>>())
    }

    fn release(locks: &mut Locks, id: LockId) -> Vec<LockId> {
        let freed = locks.remove(id);
        locks.grant(freed)
    }

    #[test]
    fn a_key_is_granted_in_the_order_of_the_requests() {
        let mut locks = Locks::default();
        assert_eq!(locks.request(exclusive(&["a", "b"])), (0, true));
        assert_eq!(locks.request(exclusive(&["b", "c"])), (1, false));
        assert_eq!(locks.request(exclusive(&["c"])), (2, false), "it came behind one that waits");
        assert_eq!(locks.request(exclusive(&["d"])), (3, true));
        assert!(locks.is_held(b"a") && !locks.is_held(b"c") && locks.is_claimed(b"c"));
        assert_eq!(release(&mut locks, 0), [1]);
        assert_eq!(release(&mut locks, 1), [2]);
        assert_eq!(release(&mut locks, 3), NOBODY);
        assert_eq!(release(&mut locks, 2), NOBODY);
        assert_eq!(locks, Locks { next_id: 4, ..Locks::default() });
    }

    #[test]
    fn readers_share_and_do_not_overtake_a_writer() {
        let mut locks = Locks::default();
        assert!(locks.request(shared(&["a"])).1);
        assert!(locks.request(shared(&["a", "b"])).1);
        assert!(!locks.request(exclusive(&["a"])).1);
        assert!(!locks.request(shared(&["a"])).1);
        assert!(!locks.request(shared(&["a"])).1);
        assert_eq!(release(&mut locks, 0), NOBODY);
        assert_eq!(release(&mut locks, 1), [2]);
        assert_eq!(release(&mut locks, 2), [3, 4]);
    }

    #[test]
    fn a_whole_shard_waits_for_all_and_all_wait_for_it() {
        let mut locks = Locks::default();
        locks.request(exclusive(&["a"]));
        assert_eq!(locks.request(Claims::whole(Mode::Shared)), (1, false));
        assert_eq!(locks.request(shared(&["b"])), (2, true), "both only read");
        assert_eq!(locks.request(exclusive(&["b"])), (3, false));
        assert_eq!(locks.request(Claims::whole(Mode::Exclusive)), (4, false));
        assert_eq!(locks.request(shared(&["z"])), (5, false));
        assert_eq!(release(&mut locks, 0), [1]);
        assert_eq!(release(&mut locks, 2), NOBODY);
        assert_eq!(release(&mut locks, 1), [3]);
        assert_eq!(release(&mut locks, 3), [4]);
        assert!(locks.is_held(b"anything"));
        assert_eq!(release(&mut locks, 4), [5]);
    }

    #[test]
    fn a_key_claimed_twice_is_claimed_once_in_the_stronger_mode() {
        let mut locks = Locks::default();
        locks.request(claims(&[("a", Mode::Exclusive), ("a", Mode::Shared)]));
        assert!(locks.is_in_the_way(&shared(&["a"])));
        let mut both = Claims::whole(Mode::Shared);
        both.join(exclusive(&["b"]));
        assert_eq!(both.reduced(), Claims::whole(Mode::Exclusive));
    }

    #[test]
    fn a_request_is_widened_behind_those_that_do_not_need_what_it_has_touched() {
        let mut locks = Locks::default();
        locks.request(Claims::whole(Mode::Exclusive));
        locks.request(exclusive(&["a", "x"]));
        locks.request(exclusive(&["b"]));
        locks.request(shared(&["x"]));
        locks.request(exclusive(&["c"]));
        let behind = |may_go: &dyn Fn(LockId) -> bool| locks.behind(0, &exclusive(&["a"]), may_go);
        assert_eq!(behind(&|_| false), (vec![1, 3], vec![]), "x is wanted behind one that wants a");
        assert_eq!(behind(&|id| id == 1), (vec![], vec![1]), "nobody is behind one that goes");
        assert_eq!(behind(&|id| id == 3), (vec![1], vec![3]));
        let widened = locks.widen(0, &[1, 3]);
        let expected = Widened { id: 5, moved: vec![(1, 6), (3, 7)], granted: vec![2, 4] };
        assert_eq!(widened, expected);
        assert!(!locks.request(exclusive(&["d"])).1);
        assert_eq!(release(&mut locks, 2), NOBODY);
        assert_eq!(release(&mut locks, 4), [5]);
        assert_eq!(release(&mut locks, 5), [6, 8]);
        assert_eq!(release(&mut locks, 6), [7]);
    }

    #[test]
    fn a_request_alone_is_widened_at_once() {
        let mut locks = Locks::default();
        locks.request(Claims::whole(Mode::Exclusive));
        locks.request(exclusive(&["a"]));
        let (behind, _) = locks.behind(0, &shared(&["a"]), |_| false);
        let widened = locks.widen(0, &behind);
        assert_eq!(widened, Widened { id: 2, moved: vec![(1, 3)], granted: vec![2] });
        assert_eq!(release(&mut locks, 2), [3]);
    }

    #[test]
    fn claims_conflict_where_one_writes_what_the_other_touches() {
        let whole = Claims::whole;
        for (one, other, is_conflict) in [
            (shared(&["a"]), shared(&["a"]), false),
            (shared(&["a"]), exclusive(&["a", "b"]), true),
            (exclusive(&["a"]), exclusive(&["b"]), false),
            (whole(Mode::Shared), shared(&["a"]), false),
            (whole(Mode::Shared), exclusive(&["a"]), true),
            (whole(Mode::Exclusive), shared(&["a"]), true),
            (whole(Mode::Shared), whole(Mode::Shared), false),
            (whole(Mode::Shared), whole(Mode::Exclusive), true),
            (whole(Mode::Exclusive), Claims::default(), false),
        ] {
            assert_eq!(one.conflicts_with(&other), is_conflict, "{one:?} {other:?}");
            assert_eq!(other.conflicts_with(&one), is_conflict, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_request_that_gives_up_lets_others_go_on() {
        let mut locks = Locks::default();
        locks.request(exclusive(&["a"]));
        locks.request(exclusive(&["a", "b"]));
        locks.request(exclusive(&["b"]));
        assert_eq!(release(&mut locks, 1), [2]);
    }
}
