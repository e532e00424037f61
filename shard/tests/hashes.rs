//! Random commands on hashes against maps: a hash is what it was, whether it lies in the record of its key, beside it, or
//! in a table, whatever is done to its fields and its key, while segments of the keyspace split and merge.

use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::rng::Rng;
use shard::value::ValueRef;
use shard::{Call, Now, Options, Outcome, Shard, call::ClientFacts, commands};
use std::collections::BTreeMap;

/// Fields with values, and when the key expires, in milliseconds since 1970.
type Hash = (BTreeMap<Vec<u8>, Vec<u8>>, Option<i64>);

/// Fields with values, as a command has replied.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

const START_MS: i64 = 1_700_000_000_000;
const ENTRIES_MAX: usize = 12;
const VALUE_LEN_MAX: usize = 64;
/// Longest record of a key: docs/keyspace.md.
const RECORD_MAX: usize = 256;

struct World {
    shard: Shard,
    model: BTreeMap<Vec<u8>, Hash>,
    now_ms: i64,
    rng: Rng,
    /// Keys are drawn below this; it breathes, so that the table grows and shrinks.
    key_range: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let options = Options {
            hash_max_listpack_entries: ENTRIES_MAX,
            hash_max_listpack_value: VALUE_LEN_MAX,
            ..Options::default()
        };
        World {
            shard: Shard::new(options, 1, seed),
            model: BTreeMap::new(),
            now_ms: START_MS,
            rng: Rng::new(seed),
            key_range: 900,
        }
    }

    fn now(&self) -> Now {
        Now { unix_us: self.now_ms * 1000 }
    }

    fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let argv: ArgvBuf = words.iter().copied().collect();
        let (argv, client) = (argv.as_argv(), ClientFacts::default());
        let command = commands::find(words[0]).expect("a command");
        let call = Call { command, argv, db: 0, resp: Resp::V2, client };
        let mut reply = Vec::new();
        assert_ne!(self.shard.execute(self.now(), &call, &mut reply), Outcome::Blocked);
        reply
    }

    fn ask(&mut self, words: &[&[u8]]) -> i64 {
        let reply = String::from_utf8(self.run(words)).expect("a number");
        let digits = reply.strip_prefix(':').and_then(|rest| rest.strip_suffix("\r\n"));
        digits.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{reply}"))
    }

    fn model(&mut self) -> &mut BTreeMap<Vec<u8>, Hash> {
        let now_ms = self.now_ms;
        self.model.retain(|_, (_, at_ms)| at_ms.is_none_or(|at| at >= now_ms));
        &mut self.model
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.rng.below(self.key_range);
        let mut key = format!("hash:{number}").into_bytes();
        key.resize(key.len() + [0, 0, 0, 100, 155, 200][number % 6], b'-');
        key
    }

    fn field(&mut self) -> Vec<u8> {
        match self.rng.below(3) {
            0 => self.rng.below(6).to_string().into_bytes(),
            _ => format!("field{}", self.rng.below(12)).into_bytes(),
        }
    }

    /// Integers of all widths, and texts of lengths about those where something changes.
    fn value(&mut self) -> Vec<u8> {
        let len = [0, 1, 6, 20, 40, 63, 64, 65][self.rng.below(8)];
        match self.rng.below(8) {
            0..4 => (self.rng.next_u64() as i64 >> self.rng.below(64)).to_string().into_bytes(),
            4 => b"101.25".to_vec(),
            _ if len > VALUE_LEN_MAX && self.rng.below(8) > 0 => b"-0".to_vec(),
            _ => vec![b'a' + self.rng.below(26) as u8; len],
        }
    }

    fn step(&mut self) {
        let (key, other) = (self.key(), self.key());
        let (field, value) = (self.field(), self.value());
        match self.rng.below(40) {
            0..16 => {
                let mut words = vec![b"HSET".to_vec(), key.clone()];
                let mut added_count = 0;
                let mut pairs = vec![(field, value)];
                (0..self.rng.below(4)).for_each(|_| pairs.push((self.field(), self.value())));
                for (field, value) in pairs {
                    words.extend([field.clone(), value.clone()]);
                    let hash = &mut self.model().entry(key.clone()).or_default().0;
                    added_count += i64::from(hash.insert(field, value).is_none());
                }
                let words = words.iter().map(Vec::as_slice).collect::<Vec<_>>();
                assert_eq!(self.ask(&words), added_count);
            }
            16..22 => {
                let second = self.field();
                let removed_count = match self.model().get_mut(&key) {
                    None => 0,
                    Some((hash, _)) => {
                        let first = hash.remove(&field).is_some();
                        i64::from(first) + i64::from(hash.remove(&second).is_some())
                    }
                };
                self.model().retain(|_, (hash, _)| !hash.is_empty());
                assert_eq!(self.ask(&[b"HDEL", &key, &field, &second]), removed_count);
            }
            22..27 => self.increase(&key, &field),
            27..29 => {
                let at_ms = self.now_ms + 1 + self.rng.below(3_000) as i64;
                let found = self.model().get_mut(&key);
                let is_found = found.is_some();
                if let Some((_, expiry)) = found {
                    *expiry = Some(at_ms);
                }
                let digits = at_ms.to_string();
                let reply = self.ask(&[b"PEXPIREAT", &key, digits.as_bytes()]);
                assert_eq!(reply, i64::from(is_found));
            }
            29 => {
                let had = self.model().get_mut(&key).and_then(|(_, expiry)| expiry.take());
                assert_eq!(self.ask(&[b"PERSIST", &key]), i64::from(had.is_some()));
            }
            30..32 => match self.model().remove(&key) {
                Some(hash) => {
                    self.model().insert(other.clone(), hash);
                    assert_eq!(self.run(&[b"RENAME", &key, &other]), b"+OK\r\n");
                }
                None => assert_eq!(self.run(&[b"RENAME", &key, &other]), b"-ERR no such key\r\n"),
            },
            32..34 if key != other => {
                let found = self.model().get(&key).cloned();
                let is_done = self.ask(&[b"COPY", &key, &other, b"REPLACE"]);
                assert_eq!(is_done, i64::from(found.is_some()));
                found.map(|hash| self.model().insert(other, hash));
            }
            34 | 35 => {
                let is_found = self.model().remove(&key).is_some();
                assert_eq!(self.ask(&[b"UNLINK", &key]), i64::from(is_found));
            }
            36 => self.now_ms += self.rng.below(60) as i64,
            37 => {
                let (now, budget) = (self.now(), self.rng.below(300));
                let _ = self.shard.expire_cycle(now, budget);
            }
            _ => self.look(&key, &field),
        }
    }

    fn increase(&mut self, key: &[u8], field: &[u8]) {
        let increment = self.rng.next_u64() as i64 >> (8 + self.rng.below(56));
        let old = self.model().get(key).and_then(|(hash, _)| hash.get(field).cloned());
        let number = old.as_deref().map_or(Some(0), protocol::number::parse_i64);
        let sum = number.and_then(|number| number.checked_add(increment));
        let digits = increment.to_string();
        let reply = self.run(&[b"HINCRBY", key, field, digits.as_bytes()]);
        match sum {
            Some(sum) => {
                assert_eq!(reply, format!(":{sum}\r\n").into_bytes());
                let hash = &mut self.model().entry(key.to_vec()).or_default().0;
                hash.insert(field.to_vec(), sum.to_string().into_bytes());
            }
            None => assert!(reply.starts_with(b"-ERR"), "{}", reply.escape_ascii()),
        }
    }

    fn look(&mut self, key: &[u8], field: &[u8]) {
        let found = self.model().get(key).map(|(hash, _)| hash.clone()).unwrap_or_default();
        assert_eq!(self.ask(&[b"HLEN", key]), found.len() as i64);
        assert_eq!(self.ask(&[b"HEXISTS", key, field]), i64::from(found.contains_key(field)));
        let len = found.get(field).map_or(0, Vec::len);
        assert_eq!(self.ask(&[b"HSTRLEN", key, field]), len as i64);
        let mut pairs = pairs_of(&self.run(&[b"HGETALL", key]));
        pairs.sort();
        assert!(pairs.into_iter().eq(found));
    }

    /// Compares everything, and counts hashes by where they lie: in their record, beside it, in a table.
    fn compare(&mut self, places: &mut [usize; 3]) {
        let model = self.model().clone();
        let now = self.now();
        let database = self.shard.keyspace().database(0);
        let mut found_count = 0;
        for (key, entry) in database.iter().filter(|(_, entry)| !entry.is_expired(now)) {
            let (expected, at_ms) = &model[key];
            let ValueRef::Hash(hash) = entry.value else { panic!("a hash") };
            let pairs =
                hash.iter().map(|(field, value)| (field.text().to_vec(), value.text().to_vec()));
            assert_eq!(&pairs.collect::<BTreeMap<_, _>>(), expected);
            assert_eq!(entry.expire_at_ms(), *at_ms);
            let size = hash.packed().map(|packed| packed.bytes().len());
            places[match size {
                Some(size) if key.len() + size < RECORD_MAX / 2 => 0,
                Some(size) if key.len() + size > RECORD_MAX => 1,
                Some(_) => continue,
                None => 2,
            }] += 1;
            found_count += 1;
        }
        assert!(found_count <= model.len());
        let keys = model.keys().filter(|key| database.find(key, now).is_none()).count();
        assert_eq!(keys, 0, "keys are missing");
    }
}

/// The pairs of a reply to HGETALL.
fn pairs_of(reply: &[u8]) -> Pairs {
    let mut words = Vec::new();
    let mut rest = &reply[reply.iter().position(|byte| *byte == b'\n').expect("a head") + 1..];
    while let Some(end) = rest.iter().position(|byte| *byte == b'\r') {
        let len = protocol::number::parse_i64(&rest[1..end]).expect("a length") as usize;
        words.push(rest[end + 2..end + 2 + len].to_vec());
        rest = &rest[end + 2 + len + 2..];
    }
    words.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[test]
fn hashes_hold_what_maps_hold_wherever_they_lie() {
    let mut places = [0; 3];
    for seed in 0..3 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for round in 0..6 {
            world.key_range = [900, 60][round % 2];
            (0..3_000).for_each(|_| world.step());
            world.compare(&mut places);
            if world.key_range == 900 {
                // Few keys are left to the next round, so that segments merge.
                for key in world.model().keys().cloned().collect::<Vec<_>>() {
                    if world.rng.below(8) > 0 {
                        world.model.remove(&key);
                        assert_eq!(world.ask(&[b"DEL", &key]), 1);
                    }
                }
            }
        }
    }
    println!("{places:?} in records, beside them, and in tables");
    assert!(places.iter().all(|count| *count > 100), "{places:?}");
}
