//! The commands that touch keys: one file per topic, each with its rows, functions, documentation and tests.
//!
//! A row says how a command runs over shards ([`Run`]); the router needs nothing else. The command function never
//! knows how many shards there are. To add a command, add its row, function, docs and tests to the topic's file.

pub mod bitmap;
mod bytes;
mod check;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
mod indices;
pub mod key;
pub mod list;
mod pop_args;
mod sample;
mod scan_args;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;

use crate::args::Args;
use crate::call::Now;
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::options::Options;
use ahash::RandomState;
use hashbrown::HashMap;
use protocol::command::{CommandSpec, KeySpec, key_spec};
use protocol::reply::Writer;
use protocol::request::{Argv, ArgvBuf};
use smallvec::SmallVec;
use std::sync::OnceLock;

/// A row of the command table.
#[derive(Debug)]
pub struct Command {
    /// What it is.
    pub spec: CommandSpec,
    /// How it runs.
    pub run: Run,
}

impl Command {
    /// How long a client that sends `args`, which are right, waits for a key: milliseconds, 0 for ever; `None` if it
    /// does not wait.
    #[must_use]
    pub fn waits_ms(&self, args: Args<'_>) -> Option<u64> {
        match self.run {
            Run::AllOf { patience, .. } => patience(args).ok().flatten(),
            _ => self.timeout().and_then(|timeout| timeout(args).ok()),
        }
    }

    /// Where the keys of the request `argv` are: of its subcommand, if the command has any.
    #[must_use]
    #[inline]
    pub fn keys(&self, argv: Argv<'_>) -> &'static [KeySpec] {
        if self.spec.subcommands.is_empty() {
            return self.spec.keys;
        }
        argv.get(1).and_then(|word| self.spec.subcommand(word)).map_or(&[], |spec| spec.keys)
    }

    /// For a command that may leave its client waiting for a key: how long.
    #[must_use]
    pub fn timeout(&self) -> Option<TimeoutFn> {
        match self.run {
            Run::FirstOf { timeout, .. } | Run::Transfer(Transfer { timeout, .. }) => timeout,
            _ => None,
        }
    }

    /// The indices in `argv` of the keys that a client may wait for: not the one that an element goes to.
    #[must_use]
    pub fn waited_keys(&self, argv: Argv<'_>) -> SmallVec<[usize; 8]> {
        let mut key_indices = SmallVec::new();
        key_spec::key_indices(self.keys(argv), argv, |index| key_indices.push(index));
        if matches!(self.run, Run::Transfer(_)) {
            key_indices.truncate(1);
        }
        key_indices
    }
}

impl Command {
    /// The key of the request `argv` that the row cannot describe, an index into it: the target of SORT.
    #[must_use]
    pub fn extra_key(&self, argv: Argv<'_>) -> Option<usize> {
        let Run::Steps(steps) = self.run else { return None };
        match (steps.reach)(Args::new(argv)) {
            Reach::Row => None,
            Reach::And(index) => Some(index),
            Reach::Anywhere(index) => index,
        }
    }
}

/// A command that only reads: one shard, keyspace borrowed immutably.
pub type ReadFn = fn(&ReadContext<'_>, Args<'_>, &mut Writer<'_>) -> Result<(), CommandError>;
/// A command that writes, on one shard.
pub type WriteFn =
    fn(&mut WriteContext<'_>, Args<'_>, &mut Writer<'_>) -> Result<Written, CommandError>;

/// A command that takes from the first key that has something: tries key number `usize` (an index into argv);
/// `None` if there is nothing to take.
pub type ServeFn = fn(
    &mut WriteContext<'_>,
    usize,
    Args<'_>,
    &mut Writer<'_>,
) -> Result<Option<Written>, CommandError>;
/// Reads what a command over several shards needs of key number `usize` (an index into argv).
pub type PieceFn = fn(&ReadContext<'_>, usize, Args<'_>) -> Result<Piece, CommandError>;
/// Computes the reply from the pieces of all keys, in the order of the keys.
pub type FinishFn = fn(&Options, Args<'_>, &[Piece], &mut Writer<'_>) -> Result<(), CommandError>;
/// Computes the reply and what is to be written from the pieces of all keys, in the order of the keys.
pub type PlanFn = fn(
    &Options,
    Now,
    u16,
    Args<'_>,
    Vec<Piece>,
    &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError>;
/// Says what is wrong with a request before any key is looked at.
pub type CheckFn = fn(Args<'_>) -> Result<(), CommandError>;
/// Says which keys a command has beyond those that its row describes.
pub type ReachFn = fn(Args<'_>) -> Reach;
/// Says, from the pieces of all keys, which other commands are to be run before the end: each on one key, which is its
/// first argument.
pub type NextFn = fn(Args<'_>, &[Piece]) -> Result<Vec<ArgvBuf>, CommandError>;
/// Computes the reply and what is to be written, in the given database, from all that has been gathered.
pub type EndFn =
    fn(&Options, u16, Args<'_>, Gathered, &mut Writer<'_>) -> Result<Vec<KeyWrite>, CommandError>;
/// Reads the timeout of a blocking command: milliseconds, 0 for ever.
pub type TimeoutFn = fn(Args<'_>) -> Result<u64, CommandError>;

/// Looks at key number `usize` (an index into argv) of a command that all its keys serve.
pub type LookFn = fn(&ReadContext<'_>, usize, Args<'_>) -> Result<KeyState, CommandError>;
/// Checks the arguments of a command that all its keys serve; `None` if it does not wait, else milliseconds, 0 for ever.
pub type PatienceFn = fn(Args<'_>) -> Result<Option<u64>, CommandError>;

/// Appends what one key, number `usize` in argv, has for the client, its name first; says whether it has anything.
#[derive(Clone, Copy, Debug)]
pub enum ServeEach {
    /// It only reads.
    Read(fn(&ReadContext<'_>, usize, Args<'_>, &mut Writer<'_>) -> Result<bool, CommandError>),
    /// It writes, and tells the context all about that itself.
    Write(
        fn(&mut WriteContext<'_>, usize, Args<'_>, &mut Writer<'_>) -> Result<bool, CommandError>,
    ),
}

/// What a key is to a command that all its keys serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyState {
    /// Whether it has something for the client now.
    pub is_ready: bool,
    /// An argument, by its index in argv, that means something now (`$`: the last id), and what a client that waits
    /// keeps of it.
    pub now_means: Option<(usize, Vec<u8>)>,
}

/// The arguments with which a client waits: those of the request, but for what they mean now.
#[must_use]
pub fn waiting_argv<'a>(argv: Argv<'_>, states: impl Iterator<Item = &'a KeyState>) -> ArgvBuf {
    let mut waiting = ArgvBuf::from_argv(argv);
    for (index, meaning) in states.filter_map(|state| state.now_means.as_ref()) {
        waiting.set(*index, meaning);
    }
    waiting
}

/// How a command runs over shards.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Reads one shard.
    Read(ReadFn),
    /// Writes one shard.
    Write(WriteFn),
    /// Each shard runs the command with its own keys, and the replies become one (DEL, MGET, MSET).
    Split {
        /// What each shard runs.
        body: Body,
        /// How the replies become one.
        merge: Merge,
    },
    /// The pieces of all keys come to one place, which computes the reply (LCS, SINTER).
    Gather {
        /// The whole command, when all keys lie on one shard.
        local: ReadFn,
        /// What is read of one key.
        piece: PieceFn,
        /// What is computed of the pieces.
        finish: FinishFn,
    },
    /// The same, and then some keys are written (RENAME, COPY, MSETNX).
    GatherWrite {
        /// The whole command, when all keys lie on one shard.
        local: WriteFn,
        /// What is read of one key.
        piece: PieceFn,
        /// What is written, from the pieces.
        plan: PlanFn,
    },
    /// The pieces of all keys say what else is to be run where, and all of that together what is written (SMOVE,
    /// SINTERSTORE, SORT).
    Steps(Steps),
    /// The first key, in the order of the arguments, that can serve does (BLPOP, LMPOP); a client may wait for one.
    FirstOf {
        /// Whether the request is well formed, asked before any key is looked at.
        check: CheckFn,
        /// Tries one key.
        serve: ServeFn,
        /// For a command that blocks: its timeout. `None` for one that does not.
        timeout: Option<TimeoutFn>,
        /// The reply when no key can serve and the client does not wait.
        empty: fn(&mut Writer<'_>),
    },
    /// All keys that can serve do, each with one element of the reply; a client may wait until one can (XREAD).
    AllOf {
        /// Looks at one key.
        look: LookFn,
        /// Serves one key.
        serve: ServeEach,
        /// Checks the arguments and reads how long the client waits.
        patience: PatienceFn,
    },
    /// One element goes from the first key to the second (LMOVE); a client may wait for the first key to have one. What
    /// travels is the element, however much the keys hold.
    Transfer(Transfer),
    /// Every shard runs it, and the replies become one (DBSIZE, KEYS, FLUSHALL).
    EveryShard {
        /// What each shard runs.
        body: Body,
        /// How the replies become one.
        merge: Merge,
    },
    /// SCAN: the cursor says which shard, and each shard sees a cursor of its own.
    Scan(ReadFn),
    /// RANDOMKEY: any shard with keys, chosen by how many it has.
    AnyShard(ReadFn),
}

/// How a command runs that goes over shards in steps.
///
/// On one shard `local` does everything. Over several, all keys are asked with `piece`; then the commands that `next`
/// names run, all at once, each on the shard of its key, with journal and events of their own (the SREM and the SADD of
/// a SMOVE; the GET of each key that SORT refers to); then `finish` replies and says what is written.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// The whole command, when all keys lie on one shard.
    pub local: Body,
    /// Which keys there are beyond those of the row.
    pub reach: ReachFn,
    /// What is read of one key.
    pub piece: PieceFn,
    /// What is run after that.
    pub next: NextFn,
    /// What is replied and written.
    pub finish: EndFn,
}

/// The keys of a command beyond those that its row describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There are none.
    Row,
    /// This one, an index into argv.
    And(usize),
    /// Keys that the data names, so any; and perhaps this one, an index into argv.
    Anywhere(Option<usize>),
}

/// What a command in [`Steps`] has gathered before its last one.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// The pieces of all keys, in the order of the keys.
    pub pieces: Vec<Piece>,
    /// The replies, in version 2 of the protocol, to the commands that were run, in their order.
    pub replies: Vec<Vec<u8>>,
}

/// How an element goes from one key to another.
///
/// On one shard `local` does everything. Over two: both keys are asked with `piece`; then the first one's shard runs the
/// command `take`, which answers the element, and the second one's the command `give`, so that each shard has a
/// journal, events and served clients of its own.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// The whole command, when both keys lie on one shard; `None` if there is no element.
    pub local: ServeFn,
    /// Whether a key is there; an error if it holds another type.
    pub piece: PieceFn,
    /// The command that takes the element out and answers it.
    pub take: fn(Args<'_>) -> Result<ArgvBuf, CommandError>,
    /// The command that puts the element in.
    pub give: fn(Args<'_>, &[u8]) -> Result<ArgvBuf, CommandError>,
    /// For a command that blocks: its timeout. `None` for one that does not.
    pub timeout: Option<TimeoutFn>,
    /// The reply when there is no element and the client does not wait.
    pub empty: fn(&mut Writer<'_>),
}

/// The function that each shard of several runs.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// It only reads.
    Read(ReadFn),
    /// It writes.
    Write(WriteFn),
}

/// What a command over several shards has read of one key.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// There is no such key.
    Missing,
    /// There is one, and that is all the command wants to know.
    Present,
    /// A copy of the entry.
    Entry(Box<Entry>),
}

/// One key that a command over several shards writes.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyWrite {
    /// The key, as an index into argv.
    pub key_index: usize,
    /// Its database.
    pub db: u16,
    /// The new entry; `None` removes the key.
    pub entry: Option<Box<Entry>>,
    /// The event it is reported as.
    pub event: Event,
}

/// How the replies of several shards become one. The first error wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// OK if all say OK.
    AllOk,
    /// Arrays with one element per key, put back in the order of the keys.
    ByKey,
    /// Arrays are joined.
    Concat,
}

/// All topics' rows.
pub const TABLES: &[&[Command]] = &[
    string::value::COMMANDS,
    string::multi::COMMANDS,
    string::counter::COMMANDS,
    string::range::COMMANDS,
    string::lcs::COMMANDS,
    hash::field::COMMANDS,
    hash::counter::COMMANDS,
    hash::iterate::COMMANDS,
    list::push::COMMANDS,
    list::pop::COMMANDS,
    list::index::COMMANDS,
    list::edit::COMMANDS,
    list::transfer::COMMANDS,
    list::blocking::COMMANDS,
    set::member::COMMANDS,
    set::read::COMMANDS,
    set::random::COMMANDS,
    set::algebra::COMMANDS,
    set::store::COMMANDS,
    sorted_set::member::COMMANDS,
    sorted_set::rank::COMMANDS,
    sorted_set::range::COMMANDS,
    sorted_set::remove_range::COMMANDS,
    sorted_set::pop::COMMANDS,
    sorted_set::blocking::COMMANDS,
    sorted_set::algebra::COMMANDS,
    sorted_set::store::COMMANDS,
    sorted_set::random::COMMANDS,
    bitmap::bit::COMMANDS,
    bitmap::count::COMMANDS,
    bitmap::combine::COMMANDS,
    bitmap::field::COMMANDS,
    hyperloglog::count::COMMANDS,
    hyperloglog::debug::COMMANDS,
    geo::place::COMMANDS,
    geo::search::COMMANDS,
    geo::radius::COMMANDS,
    stream::add::COMMANDS,
    stream::trim::COMMANDS,
    stream::range::COMMANDS,
    stream::read::COMMANDS,
    stream::read_group::COMMANDS,
    stream::group::COMMANDS,
    stream::pending::COMMANDS,
    stream::claim::COMMANDS,
    stream::info::COMMANDS,
    key::delete::COMMANDS,
    key::expire::COMMANDS,
    key::rename::COMMANDS,
    key::scan::COMMANDS,
    key::object::COMMANDS,
    key::sort::COMMANDS,
    key::dump::COMMANDS,
    key::database::COMMANDS,
];

/// The row of the command `name`, in any case. Cost: one lookup.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    static ROWS: OnceLock<HashMap<&'static [u8], &'static Command, RandomState>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| {
        let rows = TABLES.iter().copied().flatten();
        rows.map(|command| (command.spec.name.as_bytes(), command)).collect()
    });
    let mut lower = [0; NAME_LEN_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    rows.get(&*lower).copied()
}

/// Longer than any command's name.
const NAME_LEN_MAX: usize = 32;
