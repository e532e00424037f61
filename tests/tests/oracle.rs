//! Rialto sends the same bytes as a real Redis: for every dialogue, and for random commands sent one by
//! one and pipelined in pieces. What may differ is listed, with reasons, in `src/oracle.rs`.
//!
//! `ORACLE_SEED=n` repeats a run, `ORACLE_COMMANDS=n` makes it longer, `ORACLE_BIN` names the Redis.

use blackbox::events;
use blackbox::oracle::{self, Sending};
use blackbox::rng;
use blackbox::script::Script;
use blackbox::server::Options;

/// Commands of one random stream, unless `ORACLE_COMMANDS` says otherwise.
const COMMANDS: usize = 20_000;

#[test]
fn dialogues_give_the_same_bytes() {
    let (theirs, ours) = (Options::oracle(), Options::rialto().shards(4));
    let failures: Vec<String> = Script::all()
        .iter()
        .flat_map(|script| oracle::compare_script(script, &theirs, &ours))
        .collect();
    assert!(failures.is_empty(), "{} differ:\n\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn random_commands_give_the_same_bytes_one_by_one() {
    compare(2, Sending::OneByOne, 4);
}

#[test]
fn random_commands_give_the_same_bytes_pipelined() {
    compare(2, Sending::Pipelined, 4);
}

#[test]
fn random_commands_give_the_same_bytes_in_resp3() {
    compare(3, Sending::Pipelined, 4);
}

#[test]
fn random_commands_give_the_same_bytes_on_one_shard() {
    compare(3, Sending::Pipelined, 1);
}

#[test]
fn random_commands_give_the_same_events() {
    let (seed, count) = seed_and_count();
    let (theirs, ours) = (Options::oracle().start(), Options::rialto().start());
    if let Err(difference) = events::compare_events((&theirs, &ours), (seed, count / EVENTS_SHARE))
    {
        panic!("{difference}\nORACLE_SEED={seed} repeats this");
    }
}

/// So that collections change their encoding all the time.
#[test]
fn random_commands_give_the_same_bytes_where_only_tiny_collections_are_packed() {
    let tiny = |mut options: Options| {
        for (name, value, since) in TINY_LIMITS {
            if options.program().version() >= *since {
                options = options.param(name, &[value]);
            }
        }
        options
    };
    compare_servers(
        3,
        Sending::Pipelined,
        tiny(Options::oracle()),
        tiny(Options::rialto().shards(4)),
    );
}

/// Events are asked for command by command, so only one in so many is.
const EVENTS_SHARE: usize = 4;

/// Where encodings change: parameter, value, and the version that brought it.
const TINY_LIMITS: &[(&str, &str, (u32, u32))] = &[
    ("hash-max-listpack-entries", "3", (7, 0)),
    ("hash-max-listpack-value", "16", (7, 0)),
    ("list-max-listpack-size", "3", (7, 0)),
    ("set-max-intset-entries", "3", (2, 0)),
    ("set-max-listpack-entries", "3", (7, 2)),
    ("stream-node-max-entries", "3", (5, 0)),
    ("zset-max-listpack-entries", "3", (7, 0)),
    ("zset-max-listpack-value", "16", (7, 0)),
];

fn compare(protocol: u8, sending: Sending, shards: usize) {
    compare_servers(protocol, sending, Options::oracle(), Options::rialto().shards(shards));
}

fn compare_servers(protocol: u8, sending: Sending, theirs: Options, ours: Options) {
    let (seed, count) = seed_and_count();
    let (theirs, ours) = (theirs.start(), ours.start());
    let compared = oracle::compare_stream((&theirs, &ours), (seed, count), (protocol, sending));
    if let Err(difference) = compared {
        panic!("{difference}\nORACLE_SEED={seed} repeats this");
    }
}

/// Which commands, and how many.
fn seed_and_count() -> (u64, usize) {
    let seed = rng::seed_from_env("ORACLE_SEED");
    let count = std::env::var("ORACLE_COMMANDS")
        .map_or(COMMANDS, |text| text.parse().expect("ORACLE_COMMANDS is a number"));
    eprintln!("ORACLE_SEED={seed}");
    (seed, count)
}
