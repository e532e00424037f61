//! Commands that draw members draw each with the same probability, from every encoding: a chi-square test with a fixed
//! seed, so it gives the same result each time.

use protocol::reply::Resp;
use protocol::reply::parse;
use protocol::request::ArgvBuf;
use shard::Options;
use shard::testing::TestShard;
use shard::testing::dialogue::{Answer, Peer};
use std::collections::BTreeMap;

/// How many members the collections have.
const MEMBER_COUNT: usize = 50;
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

/// Sets and hashes of all encodings: options, and how the member with this number is called.
fn worlds() -> Vec<(World, fn(usize) -> String)> {
    let small = Options::default();
    let large =
        Options { set_max_listpack_entries: 5, hash_max_listpack_entries: 5, ..Options::default() };
    let texts: fn(usize) -> String = |number| format!("m{number}");
    let integers: fn(usize) -> String = |number| number.to_string();
    vec![
        (World(TestShard::new(small.clone())), texts),
        (World(TestShard::new(small)), integers),
        (World(TestShard::new(large)), texts),
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
        }
        for draw in ["SRANDMEMBER s", "SRANDMEMBER s -7", "HRANDFIELD h", "HRANDFIELD h -7"] {
            let mut counts = BTreeMap::new();
            for _ in 0..5000 {
                for member in world.run(draw) {
                    *counts.entry(member).or_default() += 1;
                }
            }
            assert_uniform(&counts, draw);
        }
        // Different members in one reply lower the variance, so this is a weaker test of the same.
        for draw in ["SRANDMEMBER s 7", "SRANDMEMBER s 45", "HRANDFIELD h 7"] {
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
