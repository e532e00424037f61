//! What a shard says it holds, against what an allocator has handed out: after random commands on each type and encoding
//! the two agree within five per cent, and nothing is left of what was removed.

use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::event::EventClasses;
use shard::memory::block_size;
use shard::rng::Rng;
use shard::{Call, Now, Options, Shard, call::ClientFacts, commands};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting for each thread the blocks that mimalloc would have given.
struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

fn count(grown: usize, shrunk: usize) {
    // A thread that ends frees memory after this is gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get().wrapping_add(block_size(grown)).wrapping_sub(block_size(shrunk)));
    });
}

#[expect(unsafe_code, reason = "U-05: the trait of allocators is unsafe to implement")]
// SAFETY: every call is handed on as it is to the system's allocator, which keeps the contract; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Now = Now { unix_us: 1_700_000_000_000_000 };

struct World {
    shard: Shard,
    rng: Rng,
    reply: Vec<u8>,
    /// What the thread held before there was a shard.
    before: usize,
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let before = HELD.get();
        let options = Options { notify_keyspace_events: EventClasses::NONE, ..options };
        let shard = Shard::new(options, 1, seed);
        let mut world = World { shard, rng: Rng::new(seed), reply: Vec::new(), before };
        // What a shard has beside its data, such as queues of effects, is there after the first commands.
        (0..100).for_each(|_| world.run(&[b"SET", b"key", b"value"]));
        world.run(&[b"FLUSHALL"]);
        let (said, held) = world.held();
        world.before = before.wrapping_add(held).wrapping_sub(said);
        world
    }

    /// Runs a command that succeeds.
    fn run(&mut self, words: &[&[u8]]) {
        self.run_any(words);
        assert!(!self.reply.starts_with(b"-"), "{}", self.reply.escape_ascii());
    }

    /// Runs a command that may be refused.
    fn run_any(&mut self, words: &[&[u8]]) {
        let argv: ArgvBuf = words.iter().copied().collect();
        let argv = argv.as_argv();
        let command = commands::find(words[0]).expect("a command");
        let client = ClientFacts::default();
        let call = Call { command, argv, db: 0, resp: Resp::V2, client };
        self.reply.clear();
        let _ = self.shard.execute(NOW, &call, &mut self.reply);
    }

    /// A word of up to `len_max` bytes that is no number.
    fn word(&mut self, len_max: usize) -> Vec<u8> {
        let len = 1 + self.rng.below(len_max);
        (0..len).map(|_| b'a' + self.rng.below(26) as u8).collect()
    }

    fn key(&mut self, count: usize) -> Vec<u8> {
        format!("key:{}", self.rng.below(count)).into_bytes()
    }

    /// Bytes that the shard says it holds, and those that it does hold.
    fn held(&mut self) -> (usize, usize) {
        self.reply = Vec::new();
        let keyspace = self.shard.keyspace();
        let said = keyspace.data_bytes() + keyspace.overhead_bytes() + keyspace.discarded_bytes();
        (said, HELD.get().wrapping_sub(self.before))
    }

    fn check(&mut self, what: &str) {
        let (said, held) = self.held();
        let part = said as f64 / held as f64;
        assert!((0.95..=1.05).contains(&part), "{what}: {said} bytes said, {held} held");
    }
}

/// Runs random steps of one kind, with deletions, expiries and renames among them, and compares.
fn compare(what: &str, options: &Options, step: impl Fn(&mut World, &[u8])) {
    let seed = what.bytes().map(u64::from).sum();
    let mut world = World::new(seed, options.clone());
    let key_count = 2_000 + world.rng.below(3_000);
    for round in 0..4 {
        for _ in 0..10 * key_count {
            let (key, other) = (world.key(key_count), world.key(key_count));
            match world.rng.below(20) {
                0 | 1 => world.run(&[b"DEL", &key]),
                2 => world.run(&[b"PEXPIREAT", &key, b"1900000000000"]),
                3 => world.run(&[b"PERSIST", &key]),
                4 => world.run(&[b"COPY", &key, &[&other[..], b"c"].concat(), b"REPLACE"]),
                _ => step(&mut world, &key),
            }
        }
        world.check(&format!("{what}, seed {seed}, round {round}"));
    }
    world.run(&[b"FLUSHALL"]);
    while world.shard.free_cycle(10_000) {}
    let (said, held) = world.held();
    let left = held.cast_signed() - said.cast_signed();
    assert!(left < 32 << 10, "{left} bytes are left");
}

#[test]
fn integers() {
    compare("integers", &Options::default(), |world, key| {
        let number = world.rng.next_u64() as i64 >> world.rng.below(64);
        match world.rng.below(3) {
            0 => world.run(&[b"INCRBY", key, b"1"]),
            _ => world.run(&[b"SET", key, number.to_string().as_bytes()]),
        }
    });
}

#[test]
fn short_strings() {
    compare("short strings", &Options::default(), |world, key| {
        let value = world.word(60);
        world.run(&[b"SET", key, &value]);
    });
}

#[test]
fn strings_of_all_lengths() {
    compare("strings of all lengths", &Options::default(), |world, key| {
        let len_max = [10, 100, 1_000, 10_000][world.rng.below(4)];
        let value = world.word(len_max);
        world.run(&[b"SET", key, &value]);
    });
}

#[test]
fn strings_that_are_changed_in_place() {
    compare("strings that are changed in place", &Options::default(), |world, key| {
        let value = world.word(100);
        match world.rng.below(4) {
            0 => world.run(&[b"SET", key, &value]),
            1 => world.run(&[b"SETRANGE", key, b"50", &value]),
            _ => world.run(&[b"APPEND", key, &value]),
        }
    });
}

#[test]
fn long_keys() {
    compare("long keys", &Options::default(), |world, key| {
        let key = [key, &[b'-'; 300][..50 * (key.len() % 6)]].concat();
        let value = world.word(60);
        match world.rng.below(4) {
            0 => world.run(&[b"DEL", &key]),
            _ => world.run(&[b"SET", &key, &value]),
        }
    });
}

#[test]
fn large_hashes() {
    let options = Options { hash_max_listpack_entries: 4, ..Options::default() };
    compare("large hashes", &options, |world, key| {
        let (field, value) = (world.word(2), world.word(100));
        match world.rng.below(4) {
            0 => world.run(&[b"HDEL", key, &field]),
            _ => world.run(&[b"HSET", key, &field, &value, b"always", b"there", &value, b""]),
        }
    });
}

#[test]
fn small_hashes() {
    compare("small hashes", &Options::default(), |world, key| {
        let (field, value) = (world.word(6), world.word(20));
        match world.rng.below(4) {
            0 => world.run(&[b"HDEL", key, &field]),
            _ => world.run(&[b"HSET", key, &field, &value, b"always", b"there"]),
        }
    });
}

#[test]
fn small_hashes_of_numbers() {
    compare("small hashes of numbers", &Options::default(), |world, key| {
        let field = world.word(2);
        let price = format!("{}.{}", world.rng.below(1_000), world.rng.below(100_000));
        match world.rng.below(4) {
            0 => world.run(&[b"HDEL", key, &field]),
            1 => world.run(&[b"HINCRBYFLOAT", key, b"price", b"0.25"]),
            _ => world.run(&[b"HSET", key, b"price", price.as_bytes(), &field, b"1700000000.125"]),
        }
    });
}

#[test]
fn packed_hashes_of_all_lengths() {
    let options = Options { hash_max_listpack_entries: 20, ..Options::default() };
    compare("packed hashes of all lengths", &options, |world, key| {
        let (field, value) = (world.word(1), world.word(60));
        match world.rng.below(3) {
            0 => world.run(&[b"HDEL", key, &field, b"a", b"b", b"c", b"d"]),
            _ => world.run(&[b"HSET", key, &field, &value]),
        }
    });
}

#[test]
fn lists() {
    compare("lists", &Options::default(), |world, key| {
        let len_max = [8, 100, 3_000][world.rng.below(3)];
        let element = world.word(len_max);
        match world.rng.below(6) {
            0 => world.run(&[b"LPOP", key, b"2"]),
            1 => world.run(&[b"RPOP", key]),
            2 => world.run(&[b"LTRIM", key, b"1", b"-2"]),
            3 => world.run(&[b"LPUSH", key, &element, b"12345"]),
            _ => world.run(&[b"RPUSH", key, &element]),
        }
    });
}

#[test]
fn sets_of_integers() {
    compare("sets of integers", &Options::default(), |world, key| {
        let bits = world.rng.below(64);
        let member = (world.rng.next_u64() as i64 >> bits).to_string().into_bytes();
        match world.rng.below(4) {
            0 => world.run(&[b"SPOP", key]),
            _ => world.run(&[b"SADD", key, &member, b"1", b"20"]),
        }
    });
}

#[test]
fn packed_sets() {
    compare("packed sets", &Options::default(), |world, key| {
        let member = world.word(12);
        match world.rng.below(4) {
            0 => world.run(&[b"SPOP", key]),
            _ => world.run(&[b"SADD", key, &member, b"always"]),
        }
    });
}

#[test]
fn large_sets() {
    let options = Options { set_max_listpack_entries: 4, ..Options::default() };
    compare("large sets", &options, |world, key| {
        let member = world.word(30);
        match world.rng.below(6) {
            0 => world.run(&[b"SPOP", key]),
            _ => world.run(&[b"SADD", key, &member, b"always"]),
        }
    });
}

#[test]
fn packed_sorted_sets() {
    compare("packed sorted sets", &Options::default(), |world, key| {
        let member = world.word(12);
        let score = world.rng.below(1_000).to_string().into_bytes();
        match world.rng.below(4) {
            0 => world.run(&[b"ZPOPMIN", key]),
            _ => world.run(&[b"ZADD", key, &score, &member, b"1.5", b"always"]),
        }
    });
}

#[test]
fn large_sorted_sets() {
    let options = Options { zset_max_listpack_entries: 4, ..Options::default() };
    compare("large sorted sets", &options, |world, key| {
        let member = world.word(30);
        let score = world.rng.below(1_000).to_string().into_bytes();
        match world.rng.below(6) {
            0 => world.run(&[b"ZPOPMAX", key]),
            _ => world.run(&[b"ZADD", key, &score, &member, b"1.5", b"always"]),
        }
    });
}

#[test]
fn one_large_collection_of_each_type() {
    let options = Options::default();
    let mut world = World::new(7, options);
    for round in 0..30 {
        for _ in 0..2_000 {
            let (word, long) = (world.word(20), world.word(100));
            let score = world.rng.below(100_000).to_string().into_bytes();
            world.run(&[b"HSET", b"hash", &word, &long]);
            world.run(&[b"SADD", b"set", &word]);
            world.run(&[b"ZADD", b"zset", &score, &word]);
            world.run(&[b"RPUSH", b"list", &word]);
        }
        world.check(&format!("large collections, seed 7, round {round}"));
    }
}

#[test]
fn streams() {
    compare("streams", &Options::default(), |world, key| {
        let (field, value) = (world.word(6), world.word(40));
        match world.rng.below(8) {
            0 => world.run(&[b"XTRIM", key, b"MAXLEN", b"20"]),
            1 => world.run(&[b"XADD", key, b"MAXLEN", b"~", b"30", b"*", &field, &value]),
            _ => world.run(&[b"XADD", key, b"*", b"name", &value, &field, b"5"]),
        }
    });
}

#[test]
fn streams_with_groups() {
    compare("streams with groups", &Options::default(), |world, key| {
        let (value, consumer) = (world.word(20), world.word(1));
        world.run(&[b"XADD", key, b"*", b"name", &value]);
        match world.rng.below(4) {
            0 => world.run_any(&[b"XGROUP", b"CREATE", key, b"group", b"0"]),
            1 => world.run_any(&[b"XGROUP", b"DELCONSUMER", key, b"group", &consumer]),
            _ => world.run_any(&[
                b"XREADGROUP",
                b"GROUP",
                b"group",
                &consumer,
                b"COUNT",
                b"3",
                b"STREAMS",
                key,
                b">",
            ]),
        }
    });
}
