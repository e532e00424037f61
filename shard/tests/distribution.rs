//! Commands that draw members or keys draw each with the same probability, from every encoding: a chi-square test with a
//! fixed seed, so it gives the same result each time.

use protocol::reply::Resp;
use protocol::reply::parse;
use protocol::request::ArgvBuf;
use shard::Options;
use shard::testing::TestShard;
use shard::testing::dialogue::{Answer, Peer};
use std::collections::BTreeMap;

/// How many members the collections have.
const MEMBER_COUNT: usize = 50;
/// What the random numbers of every shard begin with.
const SEED: u64 = 0x5eed_0f05;
/// With 49 degrees of freedom chi-square stays below this with a probability of 0.9999.
const CHI_SQUARE_MAX: f64 = 94.0;

struct World(TestShard);

impl World {
    /// The members of the reply.
    fn run(&mut self, line: &str) -> Vec<String> {
        let argv = line.split(' ').map(str::as_bytes).collect::<ArgvBuf>();
        let Answer::Reply(reply) = self.0.request(argv.as_argv(), Resp::V2) else {
            panic!("{line} blocks")
        };
        assert!(!parse::is_error(&reply), "{line}: {}", reply.escape_ascii());
        let text = |bulk: &[u8]| Some(parse::bulk(bulk)?.escape_ascii().to_string());
        match parse::elements(&reply) {
            Ok(elements) => elements.flatten().filter_map(text).collect(),
            Err(_) => text(&reply).into_iter().collect(),
        }
    }
}

impl World {
    fn new(options: Options) -> World {
        eprintln!("seed {SEED:#x}");
        World(TestShard::seeded(options, SEED))
    }
}

/// Shards for collections of all encodings, and how the member with this number is called.
fn worlds() -> Vec<(World, fn(usize) -> String)> {
    let small = Options::default();
    let large = Options {
        set_max_listpack_entries: 5,
        hash_max_listpack_entries: 5,
        zset_max_listpack_entries: 5,
        ..Options::default()
    };
    let texts: fn(usize) -> String = |number| format!("m{number}");
    let integers: fn(usize) -> String = |number| number.to_string();
    vec![
        (World::new(small.clone()), texts),
        (World::new(small), integers),
        (World::new(large), texts),
    ]
}

fn assert_uniform(counts: &BTreeMap<String, usize>, what: &str) {
    let total = counts.values().sum::<usize>() as f64;
    let expected = total / MEMBER_COUNT as f64;
    let square = |&count: &usize| (count as f64 - expected).powi(2) / expected;
    let chi_square = counts.values().map(square).sum::<f64>();
    assert_eq!(counts.len(), MEMBER_COUNT, "{what} misses members");
    assert!(chi_square < CHI_SQUARE_MAX, "{what}: {chi_square}, {counts:?}");
}

#[test]
fn every_member_is_drawn_equally_often() {
    for (mut world, name) in worlds() {
        for number in 0..MEMBER_COUNT {
            world.run(&format!("SADD s {}", name(number)));
            world.run(&format!("HSET h {} v", name(number)));
            world.run(&format!("ZADD z {} {}", number % 20, name(number)));
        }
        let one = ["SRANDMEMBER s", "HRANDFIELD h", "ZRANDMEMBER z"];
        let several = ["SRANDMEMBER s -7", "HRANDFIELD h -7", "ZRANDMEMBER z -7"];
        for draw in one.into_iter().chain(several) {
            let mut counts = BTreeMap::new();
            for _ in 0..5000 {
                for member in world.run(draw) {
                    *counts.entry(member).or_default() += 1;
                }
            }
            assert_uniform(&counts, draw);
        }
        // Different members in one reply lower the variance, so this is a weaker test of the same.
        let few = ["SRANDMEMBER s 7", "HRANDFIELD h 7", "ZRANDMEMBER z 7"];
        let many = ["SRANDMEMBER s 45", "HRANDFIELD h 45", "ZRANDMEMBER z 45"];
        for draw in few.into_iter().chain(many) {
            let mut counts = BTreeMap::new();
            for _ in 0..3000 {
                for member in world.run(draw) {
                    *counts.entry(member).or_default() += 1;
                }
            }
            assert_uniform(&counts, draw);
        }
    }
}

#[test]
fn every_member_is_popped_equally_often() {
    for (mut world, name) in worlds() {
        for pop in ["SPOP s", "SPOP s 7"] {
            for number in 0..MEMBER_COUNT {
                world.run(&format!("SADD s {}", name(number)));
            }
            let mut counts = BTreeMap::new();
            for _ in 0..5000 {
                for member in world.run(pop) {
                    world.run(&format!("SADD s {member}"));
                    *counts.entry(member).or_default() += 1;
                }
            }
            assert_uniform(&counts, pop);
        }
    }
}

#[test]
fn every_key_is_drawn_equally_often() {
    // In one segment of the table, and in many; keys are counted by classes.
    for keys_per_class in [1, 40] {
        let mut world = World::new(Options::default());
        for number in 0..MEMBER_COUNT * keys_per_class {
            world.run(&format!("SET {number} v"));
        }
        let mut counts = BTreeMap::new();
        for _ in 0..20_000 {
            for key in world.run("RANDOMKEY") {
                let number: usize = key.parse().expect("the keys are numbers");
                *counts.entry((number % MEMBER_COUNT).to_string()).or_default() += 1;
            }
        }
        assert_uniform(&counts, &format!("RANDOMKEY, {keys_per_class} keys a class"));
    }
}
