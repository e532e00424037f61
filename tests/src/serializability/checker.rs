//! Looks for an order of a history's operations that one client alone could have seen.
//!
//! The history is read in the order of time. Kept are all situations the server may be in: what it holds, and which
//! operations that are under way have already had their effect. When a reply comes, each situation in which its
//! operation has had no effect yet is led on by operations that are under way, in every order, until it has; situations
//! that do not fit the reply are dropped. If none is left, there is no such order. This is the just-in-time
//! linearization of Lowe, "Testing for linearizability" (2017), with the whole keyspace as one object, so that its
//! operations are transactions.

use super::model::{Command, Model, Operation};
use crate::value::Value;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which client.
    pub client: usize,
    /// What it asked.
    pub operation: Operation,
    /// When, in nanoseconds.
    pub asked_at: u64,
    /// When it was answered and what; `None` if nobody knows whether it has run, or will.
    pub answered: Option<(u64, Value)>,
}

/// Nothing explains what was seen.
#[derive(Debug)]
pub struct Violation {
    /// The reply that fits nothing.
    pub event: Event,
    /// What was under way when it came.
    pub concurrent: Vec<Event>,
    /// Some of the situations that were possible before it.
    pub before: Vec<Model>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "no order of the operations explains {:#?}", self.event)?;
        writeln!(f, "under way were {:#?}", self.concurrent)?;
        write!(f, "the server held one of {:#?}", self.before)
    }
}

/// One possible situation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Situation {
    model: Model,
    /// Operations that are under way and have had their effect.
    done: BTreeSet<usize>,
    /// The operation that has made the new lists of the model, if there are any.
    lists_by: Option<usize>,
}

/// Checks a history. Cost: grows fast with the operations that are under way at the same time, and with those whose end
/// is unknown.
///
/// # Errors
/// The first reply that no order explains.
pub fn check(history: &[Event]) -> Result<(), Box<Violation>> {
    // At equal times an operation begins before another ends: they overlap, which allows more.
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (index, event) in history.iter().enumerate() {
        // An operation that changes nothing and was not answered says nothing.
        if event.answered.is_none() && !event.operation.is_write() {
            continue;
        }
        moments.push((event.asked_at, false, index));
        moments.extend(event.answered.iter().map(|(at, _)| (*at, true, index)));
    }
    moments.sort_unstable();
    let mut under_way: BTreeSet<usize> = BTreeSet::new();
    let first = Situation { model: Model::default(), done: BTreeSet::new(), lists_by: None };
    let mut situations = HashSet::from([first]);
    for (_, is_answer, index) in moments {
        if !is_answer {
            under_way.insert(index);
            continue;
        }
        let next = answered(history, &under_way, &situations, index);
        if next.is_empty() {
            under_way.remove(&index);
            return Err(Box::new(Violation {
                event: history[index].clone(),
                concurrent: under_way.iter().map(|index| history[*index].clone()).collect(),
                before: situations.into_iter().map(|one| one.model).take(5).collect(),
            }));
        }
        under_way.remove(&index);
        situations = next;
        let over = over(history, &under_way, &situations);
        if !over.is_empty() {
            under_way.retain(|index| !over.contains(index));
            let forget = |mut situation: Situation| {
                situation.done.retain(|index| !over.contains(index));
                situation
            };
            situations = situations.into_iter().map(forget).collect();
        }
    }
    Ok(())
}

/// Operations that can have no effect any more: the end of a time that no key is waiting for. Values are never set twice.
fn over(
    history: &[Event],
    under_way: &BTreeSet<usize>,
    situations: &HashSet<Situation>,
) -> BTreeSet<usize> {
    let is_being_set = |value: &str| {
        let mut commands = under_way.iter().flat_map(|index| &history[*index].operation.commands);
        commands.any(|command| matches!(command, Command::SetExpiring(_, set, _) if set == value))
    };
    let is_awaited = |event: &Event| match event.operation.commands.as_slice() {
        [Command::Expire(key, value)] => {
            is_being_set(value) || situations.iter().any(|one| one.model.holds(key, value))
        }
        _ => true,
    };
    under_way.iter().copied().filter(|index| !is_awaited(&history[*index])).collect()
}

/// Marks operations as done that fit the situation and can change nothing in any: if they fit later, they do now too.
fn let_readers_pass(history: &[Event], under_way: &BTreeSet<usize>, situation: &mut Situation) {
    for index in under_way {
        let event = &history[*index];
        let Some((_, reply)) = &event.answered else { continue };
        // A write that changes nothing here, such as COPY of what is there already, may change something later.
        let did_not_run = event.operation.is_transaction && *reply == Value::Array(None);
        let is_harmless = did_not_run || !event.operation.is_write();
        let is_new = is_harmless && !situation.done.contains(index);
        if is_new && situation.model.step(&event.operation, Some(reply), false).is_some() {
            situation.done.insert(*index);
        }
    }
}

/// The situations that are possible once operation `index` has been answered.
fn answered(
    history: &[Event],
    under_way: &BTreeSet<usize>,
    situations: &HashSet<Situation>,
    index: usize,
) -> HashSet<Situation> {
    let mut next = HashSet::new();
    let mut seen: HashSet<Situation> = HashSet::new();
    let mut open: Vec<Situation> = situations.iter().cloned().collect();
    while let Some(mut situation) = open.pop() {
        let_readers_pass(history, under_way, &mut situation);
        if situation.done.remove(&index) {
            next.insert(situation);
            continue;
        }
        for other in under_way.difference(&situation.done) {
            let event = &history[*other];
            let reply = event.answered.as_ref().map(|(_, reply)| reply);
            let lists_at = situation.lists_by.and_then(|by| history[by].answered.as_ref());
            let may_have_waited = lists_at.is_none_or(|(at, _)| event.asked_at <= *at);
            let step = situation.model.step(&event.operation, reply, may_have_waited);
            let Some(model) = step else { continue };
            // What nobody knows the end of, and changes nothing here, may as well come later.
            if reply.is_none() && model == situation.model {
                continue;
            }
            let mut done = situation.done.clone();
            done.insert(*other);
            let lists_by = match event.operation.is_transaction {
                true => Some(*other),
                false => situation.lists_by,
            };
            let lists_by = lists_by.filter(|_| model.has_new_lists());
            let led_on = Situation { model, done, lists_by };
            if seen.insert(led_on.clone()) {
                open.push(led_on);
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok() -> Value {
        Value::Simple(b"OK".to_vec())
    }

    fn texts(texts: &[Option<&str>]) -> Value {
        let bulk = |text: &Option<&str>| Value::Bulk(text.map(|text| text.as_bytes().to_vec()));
        Value::Array(Some(texts.iter().map(bulk).collect()))
    }

    fn event(asked_at: u64, answered_at: u64, command: Command, reply: Value) -> Event {
        let operation = Operation::single(command);
        Event { client: 0, operation, asked_at, answered: Some((answered_at, reply)) }
    }

    fn set_both(number: &str) -> Command {
        Command::SetAll(vec![("a".into(), number.into()), ("b".into(), number.into())])
    }

    fn get_both() -> Command {
        Command::GetAll(vec!["a".into(), "b".into()])
    }

    #[test]
    fn what_overlaps_may_have_happened_in_any_order() {
        for seen in [texts(&[None, None]), texts(&[Some("1"), Some("1")])] {
            let history = [event(0, 10, set_both("1"), ok()), event(5, 6, get_both(), seen)];
            check(&history).unwrap();
        }
    }

    #[test]
    fn a_torn_write_is_found() {
        let seen = texts(&[Some("1"), None]);
        check(&[event(0, 10, set_both("1"), ok()), event(5, 6, get_both(), seen)]).unwrap_err();
    }

    #[test]
    fn a_stale_read_is_found() {
        let seen = texts(&[None, None]);
        check(&[event(0, 4, set_both("1"), ok()), event(5, 6, get_both(), seen)]).unwrap_err();
    }

    #[test]
    fn two_readers_that_disagree_on_the_order_are_found() {
        let get = |key: &str| Command::Get(key.into());
        let bulk = |text: Option<&str>| Value::Bulk(text.map(|text| text.as_bytes().to_vec()));
        let history = [
            event(0, 100, Command::Set("a".into(), "1".into()), ok()),
            event(0, 100, Command::Set("b".into(), "1".into()), ok()),
            event(10, 11, get("a"), bulk(Some("1"))),
            event(12, 13, get("b"), bulk(None)),
            event(10, 11, get("b"), bulk(Some("1"))),
        ];
        check(&history).unwrap_err();
        check(&history[..4]).unwrap();
    }

    #[test]
    fn who_has_waited_for_lists_that_come_together_gets_any_but_only_then() {
        let push = |key: &str| Command::Push(key.into(), "x".into());
        let pushes = Operation::transaction(vec![push("l1"), push("l0")]);
        let one = Value::Integer(1);
        let replies = Value::Array(Some(vec![one.clone(), one]));
        let both =
            Event { client: 1, operation: pushes, asked_at: 10, answered: Some((20, replies)) };
        let pop = |at, key| {
            let seen = texts(&[Some(key), Some("x")]);
            event(at, 30, Command::PopAny(vec!["l0".into(), "l1".into()]), seen)
        };
        for key in ["l0", "l1"] {
            check(&[pop(0, key), both.clone()]).unwrap();
        }
        check(&[pop(0, "l1"), pop(0, "l0"), both.clone()]).unwrap();
        check(&[both.clone(), pop(25, "l0")]).unwrap();
        check(&[both, pop(25, "l1")]).unwrap_err();
    }

    #[test]
    fn a_lost_update_is_found() {
        let add =
            |at, reply| event(at, at + 10, Command::Add("n".into(), 1), Value::Integer(reply));
        check(&[add(0, 1), add(5, 1)]).unwrap_err();
        check(&[add(0, 2), add(5, 1)]).unwrap();
    }

    #[test]
    fn a_write_without_effect_may_have_one_later() {
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        let copy = Command::Copy("a".into(), "b".into());
        let first = vec![pair("a", "1"), pair("b", "1")];
        let history = [
            event(0, 1, Command::SetAll(first), ok()),
            event(2, 20, copy, Value::Integer(1)),
            event(3, 4, get_both(), texts(&[Some("1"), Some("1")])),
            event(5, 6, Command::Set("a".into(), "2".into()), ok()),
            event(21, 22, get_both(), texts(&[Some("2"), Some("2")])),
        ];
        check(&history).unwrap();
    }

    #[test]
    fn what_nobody_knows_the_end_of_may_have_happened_or_not() {
        let lost = Event {
            client: 1,
            operation: Operation::single(set_both("1")),
            asked_at: 0,
            answered: None,
        };
        let none = || event(10, 11, get_both(), texts(&[None, None]));
        let both = || event(20, 21, get_both(), texts(&[Some("1"), Some("1")]));
        check(&[lost.clone(), none(), both()]).unwrap();
        check(&[lost.clone(), none()]).unwrap();
        let gone_again = event(30, 31, get_both(), texts(&[None, None]));
        check(&[lost, none(), both(), gone_again]).unwrap_err();
    }

    #[test]
    fn a_transaction_runs_only_on_what_its_client_has_read() {
        let set = |at| event(at, at + 1, Command::Set("a".into(), "1".into()), ok());
        let guarded = |reply| Event {
            client: 1,
            operation: Operation {
                commands: vec![Command::Set("a".into(), "2".into())],
                is_transaction: true,
                guard: Some(("a".into(), None)),
            },
            asked_at: 10,
            answered: Some((11, reply)),
        };
        let ran = || Value::Array(Some(vec![ok()]));
        check(&[guarded(ran())]).unwrap();
        check(&[set(0), guarded(ran())]).unwrap_err();
        check(&[set(0), guarded(Value::Array(None))]).unwrap();
    }
}
