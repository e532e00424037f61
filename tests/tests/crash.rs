//! kill -9 during writes: after the restart, on any number of shards, nothing is missing that was
//! acknowledged more than a second before, and of each client's writes there is a prefix: no write
//! without all those the client sent before it, and no effect without its cause.
//!
//! `CRASH_SEED=n` repeats the lengths of the rounds (not their timing), `CRASH_ROUNDS=n` makes more.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use blackbox::client::{Client, encode};
use blackbox::fixture::TempDir;
use blackbox::rng::{Rng, seed_from_env};
use blackbox::server::{Options, Program, Server};
use blackbox::value::Value;

/// Clients that write at the same time.
const WRITERS: u64 = 4;
/// Keys and fields a client writes in turn, so that later writes hide earlier ones.
const RING: u64 = 40;
/// Commands a client has on their way.
const BATCH: u64 = 32;

/// What `appendfsync everysec` may lose. A real Redis puts off writing for up to two seconds while its
/// disk is busy; Rialto does not.
fn loss_max() -> Duration {
    Duration::from_secs(if Program::rialto().is_redis() { 2 } else { 1 })
}

/// Shards of the rounds: the same number again, more, fewer.
const SHARDS: &[usize] = &[1, 2, 2, 4, 4, 1, 2];

/// Write number `number` of a client. Every kind of value takes part, on keys of several shards.
fn write(writer: u64, number: u64) -> Vec<String> {
    let at = number % RING;
    let number = number.to_string();
    let command: &[&str] = match at % 4 {
        0 => &["SET", &format!("w{writer}:string:{at}"), &number],
        1 => &["HSET", &format!("w{writer}:hash"), &at.to_string(), &number],
        2 => &["RPUSH", &format!("w{writer}:list"), &number],
        _ => &["INCRBY", &format!("w{writer}:sum"), &number],
    };
    command.iter().map(|arg| (*arg).to_owned()).collect()
}

/// What a client's keys must hold after its writes `1..=last`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    strings: BTreeMap<u64, u64>,
    fields: BTreeMap<u64, u64>,
    list: Vec<u64>,
    sum: u64,
}

impl Model {
    fn after(last: u64) -> Model {
        let mut model =
            Model { strings: BTreeMap::new(), fields: BTreeMap::new(), list: Vec::new(), sum: 0 };
        for number in 1..=last {
            let at = number % RING;
            match at % 4 {
                0 => drop(model.strings.insert(at, number)),
                1 => drop(model.fields.insert(at, number)),
                2 => model.list.push(number),
                _ => model.sum += number,
            }
        }
        model
    }

    /// What the server holds.
    fn of(client: &mut Client, writer: u64) -> Model {
        let mut strings = BTreeMap::new();
        for at in (0..RING).step_by(4) {
            let value = client.run(&format!("GET w{writer}:string:{at}"));
            if value.as_bytes().is_some() {
                strings.insert(at, number(&value));
            }
        }
        let flat = client.run(&format!("HGETALL w{writer}:hash"));
        let flat: Vec<u64> = flat.elements().expect("a hash").iter().map(number).collect();
        let list = client.run(&format!("LRANGE w{writer}:list 0 -1"));
        let sum = client.run(&format!("GET w{writer}:sum"));
        Model {
            strings,
            fields: flat.chunks(2).map(|pair| (pair[0], pair[1])).collect(),
            list: list.elements().expect("a list").iter().map(number).collect(),
            sum: if sum.as_bytes().is_some() { number(&sum) } else { 0 },
        }
    }

    /// The last write that left a trace, the sum aside.
    fn last_seen(&self) -> u64 {
        let strings = self.strings.values();
        strings.chain(self.fields.values()).chain(self.list.last()).copied().max().unwrap_or(0)
    }
}

fn number(value: &Value) -> u64 {
    value.text().parse().unwrap_or_else(|_| panic!("no number: {value:?}"))
}

/// The number of a client's last write that survived.
///
/// # Panics
/// When what survived is no prefix of what the client wrote.
fn survived(client: &mut Client, writer: u64) -> u64 {
    let found = Model::of(client, writer);
    let seen = found.last_seen();
    // The write after the last one seen may be one that only counts in the sum.
    let prefix = [seen, seen + 1].into_iter().find(|&last| Model::after(last) == found);
    prefix.unwrap_or_else(|| {
        panic!("client {writer}: not a prefix of its writes up to {seen}: {found:?}")
    })
}

/// What a writer knows when its connection breaks.
struct Written {
    /// After each batch: when its last reply came, and the number of its last write.
    acknowledged: Vec<(Instant, u64)>,
}

/// Writes from `first` on until the connection breaks. In each batch the client also tells how far its
/// neighbour was when it looked: an effect of the neighbour's write.
fn write_until_broken(mut client: Client, writer: u64, first: u64) -> Written {
    let neighbour = (writer + 1) % WRITERS;
    let mut written = Written { acknowledged: Vec::new() };
    let mut next = first;
    let mut seen = 0;
    loop {
        let last = next + BATCH - 1;
        let mut bytes: Vec<u8> = encode(&["SET", &format!("seen:{writer}"), &seen.to_string()]);
        bytes.extend((next..=last).flat_map(|number| encode(&write(writer, number))));
        bytes.extend(encode(&["SET", &format!("head:{writer}"), &last.to_string()]));
        bytes.extend(encode(&["GET", &format!("head:{neighbour}")]));
        if client.try_send_raw(&bytes).is_err() {
            return written;
        }
        for _ in 0..BATCH + 2 {
            match client.try_read() {
                Ok(reply) => assert!(!matches!(reply.value, Value::Error(_)), "{:?}", reply.value),
                Err(_) => return written,
            }
        }
        match client.try_read() {
            Ok(reply) if reply.value.as_bytes().is_some() => seen = number(&reply.value),
            Ok(_) => {}
            Err(_) => return written,
        }
        written.acknowledged.push((Instant::now(), last));
        next = last + 1;
    }
}

fn start(dir: &TempDir, shards: usize) -> Server {
    let durable = Options::rialto().param("appendonly", &["yes"]);
    durable.param("appendfsync", &["everysec"]).shards(shards).dir(dir.path()).start()
}

/// Every client's last write that survived; checks prefixes, causes, and what must not be lost.
fn check(server: &Server, at_least: &[u64]) -> Vec<u64> {
    let mut client = server.client();
    let survived: Vec<u64> = (0..WRITERS).map(|writer| survived(&mut client, writer)).collect();
    for (writer, (&survived, &promised)) in survived.iter().zip(at_least).enumerate() {
        assert!(
            survived >= promised,
            "client {writer}: write {promised} was acknowledged more than {:?} before the \
             kill, but its writes end with {survived}",
            loss_max()
        );
    }
    for writer in 0..WRITERS {
        let seen = client.run(&format!("GET seen:{writer}"));
        let neighbour = (writer + 1) % WRITERS;
        let head = client.run(&format!("GET head:{neighbour}"));
        let told = if seen.as_bytes().is_some() { number(&seen) } else { 0 };
        let head = if head.as_bytes().is_some() { number(&head) } else { 0 };
        assert!(
            told <= head,
            "client {writer} saw write {told} of {neighbour}, which ends at {head}"
        );
    }
    survived
}

#[test]
fn nothing_promised_is_lost_by_kill_9() {
    let seed = seed_from_env("CRASH_SEED");
    eprintln!("CRASH_SEED={seed}");
    let rounds = std::env::var("CRASH_ROUNDS")
        .map_or(SHARDS.len(), |text| text.parse().expect("CRASH_ROUNDS is a number"));
    let mut rng = Rng::new(seed);
    let dir = TempDir::new();
    let mut promised = vec![0; WRITERS as usize];
    for round in 0..rounds {
        let shards = SHARDS[round % SHARDS.len()];
        let mut server = start(&dir, shards);
        let last = check(&server, &promised);
        let writers: Vec<_> = (0..WRITERS)
            .zip(last.clone())
            .map(|(writer, last)| {
                let client = server.client();
                thread::spawn(move || write_until_broken(client, writer, last + 1))
            })
            .collect();
        // The writers are what happens meanwhile; there is no condition to wait for.
        thread::sleep(Duration::from_millis(1200 + rng.below(900) as u64));
        let killed_at = Instant::now();
        server.kill();
        promised = last;
        let mut acknowledged = 0;
        for (promised, writer) in promised.iter_mut().zip(writers) {
            let written = writer.join().expect("a writer ends when its connection breaks");
            let batches = written.acknowledged.iter();
            let old = batches.filter(|(at, _)| *at + loss_max() < killed_at).map(|(_, last)| *last);
            *promised = old.max().unwrap_or(*promised);
            acknowledged += written.acknowledged.len() as u64 * BATCH;
        }
        eprintln!("round {round}: {shards} shards, {acknowledged} writes acknowledged");
    }
    check(&start(&dir, 2), &promised);
}

#[test]
fn nothing_at_all_is_lost_by_a_shutdown() {
    const WRITES: u64 = 2000;
    let dir = TempDir::new();
    for (shards, first) in [(2, 1), (4, WRITES + 1), (1, 2 * WRITES + 1)] {
        let mut server = start(&dir, shards);
        let mut client = server.client();
        for number in first..first + WRITES {
            client.send(&write(0, number));
        }
        for reply in client.read_many(WRITES as usize) {
            assert!(!matches!(reply.value, Value::Error(_)), "{reply:?}");
        }
        let status = server.terminate();
        assert_eq!(status.code(), Some(0), "{}", server.log_tail());
    }
    let server = start(&dir, 4);
    assert_eq!(survived(&mut server.client(), 0), 3 * WRITES);
}

#[test]
fn databases_types_and_expiries_come_back() {
    let dir = TempDir::new();
    let commands = [
        "SET plain 1",
        "SET timed 1 PXAT 4102444800123",
        "HSET h a 1 b 2",
        "HDEL h a",
        "RPUSH l a b c",
        "LPOP l",
        "ZADD z 1.5 a inf b",
        "ZADD z INCR 1 a",
        "INCRBYFLOAT f 0.1",
        "SET gone 1",
        "DEL gone",
        "RENAME plain renamed",
        "COPY renamed copied",
        "MSET m1 1 m2 2 m3 3",
        "APPEND m1 x",
        "SETRANGE m2 3 y",
        "GETDEL m3",
        "GETEX m2 PXAT 4102444800999",
        "EXPIREAT l 4102444801",
        "SET persisted 1 EX 1000",
        "PERSIST persisted",
        "SET past 1",
        "PEXPIREAT past 1",
        "SELECT 5",
        "SET five 5",
        "MOVE five 6",
        "SET five again",
        "SWAPDB 5 7",
        "SELECT 9",
        "SET nine 9",
        "FLUSHDB",
        "SET after-flush 1",
    ];
    let ask = |client: &mut Client| {
        let mut answers = Vec::new();
        for db in 0..16 {
            client.ok(&format!("SELECT {db}"));
            let keys = client.run("KEYS *");
            let mut keys: Vec<String> =
                keys.elements().expect("an array").iter().map(Value::text).collect();
            keys.sort();
            for key in keys {
                let kind = client.run(&format!("TYPE {key}")).text();
                let value = match kind.as_str() {
                    "string" => client.run(&format!("GET {key}")),
                    "hash" => client.run(&format!("HGETALL {key}")),
                    "list" => client.run(&format!("LRANGE {key} 0 -1")),
                    _ => client.run(&format!("ZRANGE {key} 0 -1 WITHSCORES")),
                };
                let expiry = client.run(&format!("PEXPIRETIME {key}"));
                answers.push((db, key, kind, value, expiry));
            }
        }
        answers
    };
    let mut server = start(&dir, 4);
    let mut client = server.client();
    for command in commands {
        let reply = client.run(command);
        assert!(!matches!(reply, Value::Error(_)), "{command}: {reply:?}");
    }
    let before = ask(&mut client);
    assert_eq!(before.len(), 13, "{before:?}");
    assert_eq!(server.terminate().code(), Some(0));
    for shards in [4, 1, 3] {
        let mut server = start(&dir, shards);
        assert_eq!(ask(&mut server.client()), before, "on {shards} shards");
        assert_eq!(server.terminate().code(), Some(0));
    }
}
