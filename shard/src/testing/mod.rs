//! Tests as dialogues: what a user types and what redis-cli shows. [`check`] holds one with a fresh shard.
//!
//! [`dialogue`] has the notation and is shared with the black-box tests, which talk to a server over TCP;
//! [`facts`] compares rows of a command table with what Redis says of itself. Compiled for tests only (feature
//! `testing`).

pub mod dialogue;
pub mod facts;
pub mod print;

use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::commands::{self, Command, Run};
use crate::effects::KeyEvent;
use crate::event::EventClasses;
use crate::options::Options;
use crate::shard::Shard;
use crate::waiters::{Claim, Waiter, WaiterId};
use dialogue::{Answer, Peer};
use protocol::command::CommandSpec;
use protocol::number;
use protocol::reply::{Resp, Writer};
use protocol::request::{Argv, ArgvBuf};
use std::sync::Arc;

/// When a test begins, in milliseconds since 1970. Time stands still until `~ advance` moves it.
pub const START_MS: i64 = 1_700_000_000_000;

/// Databases of a [`TestShard`].
const DATABASE_COUNT: u16 = 16;

/// Holds the dialogue `script` with a fresh shard. See [`dialogue`] for the notation.
///
/// # Panics
/// At the first reply that differs, naming the line, what was expected and what came.
#[track_caller]
pub fn check(script: &str) {
    check_with(options(), script);
}

/// The parameters of [`check`]: Redis's defaults, with a journal and the keyspace events `KEA`.
#[must_use]
pub fn options() -> Options {
    let classes = EventClasses::parse(b"KEA").expect("letters that exist");
    Options { is_journaling: true, notify_keyspace_events: classes, ..Options::default() }
}

/// The same with parameters of one's own, such as `Options { proto_max_bulk_len: 5, ..options() }`.
///
/// # Panics
/// As [`check`].
#[track_caller]
pub fn check_with(options: Options, script: &str) {
    if let Err(difference) = dialogue::hold(script, &mut TestShard::new(options)) {
        panic!("{difference}");
    }
}

/// A shard with what a server would do around it: the selected database, the gates before a command, a clock.
#[derive(Debug)]
pub struct TestShard {
    shard: Shard,
    now: Now,
    db: u16,
    /// How many clients have been left waiting.
    waiter_count: u64,
}

impl TestShard {
    /// A fresh shard with 16 databases.
    #[must_use]
    pub fn new(options: Options) -> Self {
        TestShard::seeded(options, 1)
    }

    /// The same, with random numbers that begin with `seed`.
    #[must_use]
    pub fn seeded(options: Options, seed: u64) -> Self {
        TestShard {
            shard: Shard::new(options, usize::from(DATABASE_COUNT), seed),
            now: Now { unix_us: START_MS * 1000 },
            db: 0,
            waiter_count: 0,
        }
    }

    /// Leaves the client of `call` waiting; the next request comes from another one.
    fn wait(&mut self, call: &Call<'_>) {
        self.waiter_count += 1;
        let keys = call.command.waited_keys(call.argv);
        let argv = match call.command.run {
            Run::AllOf { .. } => {
                let checks = self.shard.check_keys(self.now, call, &keys);
                let checks = checks.expect("they were right a moment ago");
                commands::waiting_argv(call.argv, checks.iter())
            }
            _ => ArgvBuf::from_argv(call.argv),
        };
        let waiter = Waiter {
            id: WaiterId { core: 0, token: self.waiter_count },
            claim: Claim::default(),
            command: call.command,
            argv: Arc::new(argv),
            db: call.db,
            resp: call.resp,
            is_remote: false,
            is_back: false,
            own_keys: Arc::default(),
        };
        self.shard.wait(self.now, &waiter, &keys);
    }

    fn select(&mut self, index: Option<&[u8]>, reply: &mut Writer<'_>) {
        let index = index.and_then(number::parse_i64).and_then(|index| u16::try_from(index).ok());
        match index.filter(|&index| index < DATABASE_COUNT) {
            Some(index) => {
                self.db = index;
                reply.ok();
            }
            None => reply.error(b"ERR DB index is out of range"),
        }
    }
}

impl Peer for TestShard {
    fn request(&mut self, argv: Argv<'_>, resp: Resp) -> Answer {
        let mut reply = Vec::new();
        let name = argv.get(0).expect("a request has a name");
        if name.eq_ignore_ascii_case(b"select") {
            self.select(argv.get(1), &mut Writer::new(&mut reply, resp));
            return Answer::Reply(reply);
        }
        let command = match find(name, argv) {
            Ok(command) => command,
            Err(text) => {
                Writer::new(&mut reply, resp).error(text.as_bytes());
                return Answer::Reply(reply);
            }
        };
        let call = Call { command, argv, db: self.db, resp, client: ClientFacts::default() };
        match self.shard.execute(self.now, &call, &mut reply) {
            Outcome::Replied | Outcome::Failed => Answer::Reply(reply),
            Outcome::Blocked => {
                self.wait(&call);
                Answer::Blocked
            }
        }
    }

    fn advance(&mut self, by_us: i64) {
        self.now.unix_us += by_us;
    }

    fn take_served(&mut self) -> Vec<u8> {
        let served = std::mem::take(&mut self.shard.effects_mut().served);
        served.into_iter().flat_map(|served| served.reply).collect()
    }

    fn take_journal(&mut self) -> Vec<u8> {
        let journal = &mut self.shard.effects_mut().journal;
        let entries = journal.as_bytes().to_vec();
        journal.clear();
        entries
    }

    fn take_events(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.shard.effects_mut().events);
        let print = |event: KeyEvent| {
            let key = print::word(&event.key);
            match event.db {
                0 => format!("{} {key}", event.event.name),
                db => format!("{} {key} in {db}", event.event.name),
            }
        };
        events.into_iter().map(print).collect()
    }
}

/// Finds the row of a request and checks what a server checks before it runs a command: name, subcommand, arity.
///
/// # Errors
/// Redis's error text.
fn find(name: &[u8], argv: Argv<'_>) -> Result<&'static Command, String> {
    let command = commands::find(name)
        .ok_or_else(|| format!("ERR unknown command '{}'", name.escape_ascii()))?;
    let mut spec: &CommandSpec = &command.spec;
    let mut full_name = spec.name.to_owned();
    if let (false, Some(word)) = (spec.subcommands.is_empty(), argv.get(1)) {
        spec = spec.subcommand(word).ok_or_else(|| {
            let container = full_name.to_ascii_uppercase();
            format!("ERR unknown subcommand '{}'. Try {container} HELP.", word.escape_ascii())
        })?;
        full_name = format!("{full_name}|{}", spec.name);
    }
    if spec.accepts(argv.len()) {
        Ok(command)
    } else {
        Err(format!("ERR wrong number of arguments for '{full_name}' command"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_subcommands_and_arity_are_checked_as_a_server_does() {
        check(
            r#"
            > NOSUCH a
            (error) ERR unknown command 'NOSUCH'
            > get
            (error) ERR wrong number of arguments for 'get' command
        "#,
        );
    }

    #[test]
    fn databases_are_apart() {
        check(
            r#"
            > SET k v
            OK
            > SELECT 1
            OK
            > GET k
            (nil)
            > SELECT 16
            (error) ERR DB index is out of range
            ~ journal
            SET k v
            ~ events
            set k
        "#,
        );
    }

    #[test]
    fn clients_that_wait_are_served_in_the_order_they_came() {
        check(
            r#"
            > BLPOP a b 0
            (blocked)
            > BRPOP b 0
            (blocked)
            > RPUSH b 1 2 3
            (integer) 3
            ~ served
            1) "b"
            2) "1"
            1) "b"
            2) "3"
            ~ served
            > LLEN b
            (integer) 1
            ~ journal
            RPUSH b 1 2 3
            LPOP b
            RPOP b
        "#,
        );
    }
}
