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

    fn run(&mut self, words: &[&[u8]]) {
        let argv: ArgvBuf = words.iter().copied().collect();
        let argv = argv.as_argv();
        let command = commands::find(words[0]).expect("a command");
        let client = ClientFacts::default();
        let call = Call { command, argv, db: 0, resp: Resp::V2, client };
        self.reply.clear();
        let _ = self.shard.execute(NOW, &call, &mut self.reply);
        assert!(!self.reply.starts_with(b"-"), "{}", self.reply.escape_ascii());
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
