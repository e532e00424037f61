//! Who is served when, with commands of our own that take from lists.

use super::super::tests::{Rig, argv_of};
use super::*;
use crate::args::Args;
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::types::list::{End, List, ListLimit};
use crate::waiters::{Claim, WaiterId};
use protocol::command::{CommandSpec, Docs, Flags, KeyFlags, KeySpec};
use protocol::reply::Resp;
use std::sync::Arc;

/// `TAKE key [key ...] timeout`: BLPOP without its details.
static TAKE: Command = command("take", take);
/// `PASS source target`: takes from one list and puts the element into another, as BLMOVE does.
static PASS: Command = command("pass", pass);

/// All arguments but the last.
const KEYS: &[KeySpec] = &[KeySpec::range(KeyFlags::RW, 1, -2, 1)];

const fn command(name: &'static str, serve: ServeFn) -> Command {
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::WRITE,
            keys: KEYS,
            docs: &Docs::NONE,
            ..CommandSpec::new(name, Group::List)
        },
        run: Run::FirstOf {
            check: |_| Ok(()),
            serve,
            timeout: Some(|_| Ok(0)),
            empty: |reply| reply.null_array(),
        },
    }
}

fn pop(ctx: &mut WriteContext<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
    let Some(mut list) = ctx.get_mut::<List>(key)? else { return Ok(None) };
    let element = list.get(0).map(|element| element.text().to_vec());
    list.remove(0..1);
    let is_emptied = list.is_empty();
    drop(list);
    if is_emptied {
        ctx.db().remove(key);
    }
    Ok(element)
}

fn take(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).unwrap();
    let Some(element) = pop(ctx, key)? else { return Ok(None) };
    reply.array(2);
    reply.bulk(key);
    reply.bulk(&element);
    let lpop = [b"LPOP".as_slice(), key].into_iter().collect();
    Ok(Some(Written::changed(Event::LPOP).rewritten(lpop)))
}

fn pass(
    ctx: &mut WriteContext<'_>,
    key_index: usize,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Option<Written>, CommandError> {
    let key = args.argv().get(key_index).unwrap();
    let target = args.argv().get(2).unwrap();
    let limit = ListLimit::from(ctx.options);
    ctx.get_mut::<List>(target)?;
    let Some(element) = pop(ctx, key)? else { return Ok(None) };
    let mut list = ctx.get_or_create::<List>(target)?;
    list.prepare(1, element.len(), limit);
    list.push(End::Right, &element);
    drop(list);
    ctx.changed(target, Event::RPUSH);
    reply.bulk(&element);
    let lpop = [b"LPOP".as_slice(), key].into_iter().collect();
    let rpush = [b"RPUSH".as_slice(), target, &element].into_iter().collect();
    Ok(Some(Written::changed(Event::LPOP).rewritten_all(vec![lpop, rpush])))
}

fn waiter(token: u64, command: &'static Command, line: &str) -> Waiter {
    Waiter {
        id: WaiterId { core: 0, token },
        claim: Claim::default(),
        command,
        argv: Arc::new(argv_of(line)),
        db: 0,
        resp: Resp::V2,
        is_remote: false,
        is_back: false,
        own_keys: Arc::default(),
    }
}

impl Rig {
    /// Blocks a client on all keys of its request and returns it.
    fn wait(&mut self, token: u64, line: &str) -> Waiter {
        let command = if line.starts_with("TAKE") { &TAKE } else { &PASS };
        let waiter = waiter(token, command, line);
        let key_indices = command.waited_keys(waiter.argv.as_argv());
        self.shard.wait(self.now, &waiter, &key_indices);
        waiter
    }

    /// Who has been served since the last look: token and reply, its parts joined by spaces.
    fn take_served(&mut self) -> Vec<String> {
        let served = std::mem::take(&mut self.shard.effects_mut().served);
        let print = |served: Served| {
            let reply = String::from_utf8(served.reply).unwrap();
            let parts = reply.split("\r\n").filter(|part| !part.starts_with(['*', '$']));
            format!("{} {}", served.id.token, parts.collect::<Vec<_>>().join(" ").trim_end())
        };
        served.into_iter().map(print).collect()
    }
}

#[test]
fn who_came_first_is_served_first() {
    let mut rig = Rig::new();
    for token in 1..=3 {
        rig.wait(token, "TAKE q 0");
    }
    assert_eq!(rig.run("RPUSH q a b"), ":2\r\n");
    assert_eq!(rig.take_served(), ["1 q a", "2 q b"]);
    assert_eq!(rig.run("LLEN q"), ":0\r\n");
    rig.run("RPUSH q c d");
    assert_eq!(rig.take_served(), ["3 q c"]);
    assert!(!rig.shard.has_waiters());
    assert_eq!(rig.run("LRANGE q 0 -1"), "*1\r\n$1\r\nd\r\n");
}

#[test]
fn the_journal_has_the_push_before_the_pop_it_served() {
    let mut rig = Rig::new();
    rig.wait(1, "TAKE q 0");
    rig.run("RPUSH q a");
    assert_eq!(rig.take_journal(), ["RPUSH q a", "LPOP q"]);
    let events: Vec<_> =
        rig.shard.effects_mut().events.iter().map(|event| event.event.name).collect();
    assert_eq!(events, ["rpush", "lpop"]);
}

#[test]
fn a_client_on_several_keys_is_served_once_and_forgotten_on_the_others() {
    let mut rig = Rig::new();
    rig.wait(1, "TAKE a b a 0");
    rig.run("RPUSH b x");
    assert_eq!(rig.take_served(), ["1 b x"]);
    rig.run("RPUSH a y");
    assert!(rig.take_served().is_empty());
    assert!(!rig.shard.has_waiters());
}

#[test]
fn a_client_whose_claim_is_taken_elsewhere_is_passed_over() {
    let mut rig = Rig::new();
    let gone = rig.wait(1, "TAKE q 0");
    rig.wait(2, "TAKE q 0");
    assert!(gone.claim.take());
    rig.run("RPUSH q a");
    assert_eq!(rig.take_served(), ["2 q a"]);
    assert!(!rig.shard.has_waiters());
}

#[test]
fn a_forgotten_client_waits_no_more() {
    let mut rig = Rig::new();
    let gone = rig.wait(1, "TAKE a b 0");
    rig.shard.forget_waiter(rig.now, &gone, &[1, 2]);
    assert!(!rig.shard.has_waiters());
    rig.run("RPUSH a x");
    assert!(rig.take_served().is_empty());
}

#[test]
fn another_type_does_not_serve_and_does_not_disturb() {
    let mut rig = Rig::new();
    rig.wait(1, "TAKE q 0");
    rig.run("SET q text");
    assert!(rig.take_served().is_empty());
    rig.run("DEL q");
    rig.run("RPUSH q a");
    assert_eq!(rig.take_served(), ["1 q a"]);
}

#[test]
fn a_key_that_became_ready_before_the_client_waits_serves_it_at_once() {
    let mut rig = Rig::new();
    rig.run("RPUSH b x");
    let waiter = rig.wait(1, "TAKE a b 0");
    assert!(waiter.claim.is_taken());
    assert_eq!(rig.take_served(), ["1 b x"]);
    let waiter = waiter_that_has_gone();
    rig.run("RPUSH b y");
    rig.shard.wait(rig.now, &waiter, &[1]);
    assert!(rig.take_served().is_empty());
    assert_eq!(rig.run("LLEN b"), ":1\r\n");
}

fn waiter_that_has_gone() -> Waiter {
    let waiter = waiter(9, &TAKE, "TAKE b 0");
    assert!(waiter.claim.take());
    waiter
}

#[test]
fn serving_one_client_may_make_another_ready() {
    let mut rig = Rig::new();
    rig.wait(1, "TAKE c 0");
    rig.wait(2, "PASS b c");
    rig.wait(3, "PASS a b");
    rig.run("RPUSH a x");
    assert_eq!(rig.take_served(), ["3 x", "2 x", "1 c x"]);
    assert_eq!(
        rig.take_journal(),
        ["RPUSH a x", "LPOP a", "RPUSH b x", "LPOP b", "RPUSH c x", "LPOP c"]
    );
    assert_eq!(rig.run("DBSIZE"), ":0\r\n");
}

#[test]
fn an_error_while_serving_is_the_clients_reply_and_the_next_is_served() {
    let mut rig = Rig::new();
    rig.run("SET text t");
    rig.wait(1, "PASS q text");
    rig.wait(2, "TAKE q 0");
    rig.run("RPUSH q a");
    let served = rig.take_served();
    assert!(served[0].starts_with("1 -WRONGTYPE"), "{served:?}");
    assert_eq!(served[1..], ["2 q a"]);
}

#[test]
fn a_swapped_or_renamed_or_copied_key_serves_too() {
    let mut rig = Rig::new();
    rig.db = 1;
    rig.run("RPUSH q x");
    rig.db = 0;
    rig.wait(1, "TAKE q 0");
    rig.run("SWAPDB 0 1");
    assert_eq!(rig.take_served(), ["1 q x"]);
    rig.wait(2, "TAKE q 0");
    rig.wait(3, "TAKE q 0");
    rig.run("RPUSH other y");
    rig.run("COPY other q");
    assert_eq!(rig.take_served(), ["2 q y"]);
    rig.run("RENAME other q");
    assert_eq!(rig.take_served(), ["3 q y"]);
}

#[test]
fn one_key_is_tried_without_waiting() {
    let mut rig = Rig::new();
    let argv = argv_of("TAKE a b 0");
    let mut reply = Vec::new();
    let mut attempt = |rig: &mut Rig, key_index| {
        let call = rig.call(&TAKE, argv.as_argv());
        rig.shard.try_serve(rig.now, &call, key_index, &mut reply)
    };
    assert_eq!(attempt(&mut rig, 1), Outcome::Blocked);
    rig.run("RPUSH b x");
    rig.run("SET a text");
    assert_eq!(attempt(&mut rig, 2), Outcome::Replied);
    assert_eq!(attempt(&mut rig, 2), Outcome::Blocked);
    assert_eq!(attempt(&mut rig, 1), Outcome::Failed);
    assert!(reply.starts_with(b"*2\r\n$1\r\nb\r\n$1\r\nx\r\n-WRONGTYPE"));
    let events = &rig.shard.effects_mut().events;
    let popped = events.last().unwrap();
    assert_eq!((popped.event, &*popped.key), (Event::LPOP, b"b".as_slice()));
}

#[test]
fn a_client_whose_element_goes_elsewhere_is_told_to_come_and_the_others_wait() {
    let mut rig = Rig::new();
    let mut remote = Waiter { is_remote: true, ..waiter(1, &PASS, "PASS q t") };
    rig.shard.wait(rig.now, &remote, &[1]);
    rig.wait(2, "TAKE q 0");
    rig.run("RPUSH q a");
    assert_eq!(rig.take_served(), ["1 "], "told, with an empty reply");
    rig.run("RPUSH q b");
    assert!(rig.take_served().is_empty(), "the key is kept");
    rig.run("LPOP q");
    rig.run("LPOP q");
    rig.shard.forget_waiter(rig.now, &remote, &[1]);
    assert!(rig.take_served().is_empty());
    // Somebody else has taken everything: it waits again, before the others.
    remote.claim = Claim::default();
    remote.is_back = true;
    rig.shard.wait(rig.now, &remote, &[1]);
    rig.run("RPUSH q c d");
    assert_eq!(rig.take_served(), ["1 "]);
    assert_eq!(rig.run("LPOP q"), "$1\r\nc\r\n");
    assert!(rig.take_served().is_empty());
    rig.shard.forget_waiter(rig.now, &remote, &[1]);
    assert_eq!(rig.take_served(), ["2 q d"]);
    assert!(!rig.shard.has_waiters());
}
