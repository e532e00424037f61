//! A shard to play with, and tests of what is in none of the files beside this one.

use super::Shard;
use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::commands::{self, Command};
use crate::event::EventClasses;
use crate::options::Options;
use crate::testing::START_MS;
use protocol::reply::Resp;
use protocol::request::{Argv, ArgvBuf};

/// The words of `line` as a request.
pub(crate) fn argv_of(line: &str) -> ArgvBuf {
    line.split(' ').map(str::as_bytes).collect()
}

/// A shard with a clock and a selected database.
pub(crate) struct Rig {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) db: u16,
    pub(crate) client: ClientFacts,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let classes = EventClasses::parse(b"KEA").unwrap();
        let options =
            Options { is_journaling: true, notify_keyspace_events: classes, ..Options::default() };
        let now = Now { unix_us: START_MS * 1000 };
        Rig { shard: Shard::new(options, 16, 1), now, db: 0, client: ClientFacts::default() }
    }

    pub(crate) fn call<'a>(&self, command: &'static Command, argv: Argv<'a>) -> Call<'a> {
        Call { command, argv, db: self.db, resp: Resp::V2, client: self.client }
    }

    /// Runs a request of plain words and returns its reply.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let argv = argv_of(line);
        let argv = argv.as_argv();
        let command = commands::find(argv.get(0).unwrap()).expect(line);
        let mut reply = Vec::new();
        let outcome = self.shard.execute(self.now, &self.call(command, argv), &mut reply);
        assert_ne!(outcome, Outcome::Blocked);
        String::from_utf8(reply).unwrap()
    }

    pub(crate) fn advance_ms(&mut self, by_ms: i64) {
        self.now.unix_us += by_ms * 1000;
    }

    /// The journal since the last look, one line for each command of plain words.
    pub(crate) fn take_journal(&mut self) -> Vec<String> {
        let journal = &mut self.shard.effects_mut().journal;
        let text = String::from_utf8(journal.as_bytes().to_vec()).unwrap();
        journal.clear();
        let commands = text.split('*').skip(1).map(|command| {
            let words = command.split("\r\n").skip(2).step_by(2);
            words.collect::<Vec<_>>().join(" ")
        });
        commands.collect()
    }
}

#[test]
fn a_client_that_does_not_touch_leaves_the_access_clock_alone() {
    let mut rig = Rig::new();
    rig.run("HSET k f v");
    rig.advance_ms(5_000);
    rig.client.is_no_touch = true;
    rig.run("HGET k f");
    rig.run("HSET k f w");
    assert_eq!(rig.run("OBJECT IDLETIME k"), ":5\r\n");
    rig.run("TOUCH k");
    assert_eq!(rig.run("OBJECT IDLETIME k"), ":0\r\n");
}

#[test]
fn misses_and_new_keys_are_reported_if_somebody_asks() {
    let mut rig = Rig::new();
    let classes = EventClasses::parse(b"Kmn").unwrap();
    rig.shard.set_options(Options { notify_keyspace_events: classes, ..Options::default() });
    rig.run("GET none");
    rig.run("HSET k f v");
    rig.run("HSET k f w");
    let events: Vec<_> =
        rig.shard.effects_mut().events.iter().map(|event| event.event.name).collect();
    assert_eq!(events, ["keymiss", "new"]);
}

#[test]
fn replay_rebuilds_the_data_and_tells_nobody() {
    let mut rig = Rig::new();
    let mut replay = |line: &str| {
        let argv = argv_of(line);
        rig.shard.replay(rig.now, 2, argv.as_argv())
    };
    replay("SET a 1").unwrap();
    replay("HSET h f v").unwrap();
    // Long past: the entry stays until the load is over, a later entry may still want it.
    replay("PEXPIREAT h 1000").unwrap();
    replay("HSET h g w").unwrap();
    // A blocking command would have been journaled as what it did, but other servers' files may hold one.
    replay("RPUSH l x y").unwrap();
    replay("BLPOP none l 0").unwrap();
    replay("BLPOP none 0").unwrap();
    assert!(replay("GET a").is_err());
    assert!(replay("NOSUCH a").is_err());
    assert!(replay("SET a").is_err());
    assert!(replay("HSET a f v").is_err());
    let effects = rig.shard.effects_mut();
    assert!(effects.journal.as_bytes().is_empty() && effects.events.is_empty());
    assert_eq!(effects.change_count, 0);
    rig.db = 2;
    assert_eq!(rig.run("DBSIZE"), ":3\r\n");
    assert_eq!(rig.run("LRANGE l 0 -1"), "*1\r\n$1\r\ny\r\n");
    assert_eq!(rig.run("HGET h g"), "$-1\r\n");
    assert_eq!(rig.take_journal(), ["SELECT 2", "DEL h"]);
}

#[test]
fn entries_move_to_another_shard_at_load() {
    let mut rig = Rig::new();
    rig.run("SET a 1");
    rig.run("PEXPIRE a 1000");
    rig.db = 3;
    rig.run("HSET b f v");
    let mut other = Rig::new();
    rig.shard.drain(|db, key, entry| other.shard.adopt(db, &key, entry));
    assert_eq!(rig.run("DBSIZE"), ":0\r\n");
    assert_eq!(other.run("PTTL a"), ":1000\r\n");
    other.db = 3;
    assert_eq!(other.run("HGET b f"), "$1\r\nv\r\n");
}

#[test]
fn while_nothing_may_change_expired_keys_are_hidden_and_stay() {
    let mut rig = Rig::new();
    rig.run("SET a 1 PX 10");
    rig.advance_ms(11);
    rig.take_journal();
    rig.shard.hold_expiry(true);
    assert_eq!(rig.run("GET a"), "$-1\r\n");
    assert_eq!(rig.run("EXISTS a"), ":0\r\n");
    assert!(rig.take_journal().is_empty());
    assert_eq!(rig.shard.stats(rig.now).expired, 0);
    rig.shard.hold_expiry(false);
    assert_eq!(rig.run("GET a"), "$-1\r\n");
    assert_eq!(rig.take_journal(), ["DEL a"]);
}
