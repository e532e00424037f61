//! Random commands on keys against a simple model: whatever expires, is renamed, moved, flushed or swapped, a shard holds
//! what a map would, a scan meets every key that stays, and the journal makes the same data again.

use protocol::number;
use protocol::reply::Resp;
use protocol::request::ArgvBuf;
use shard::rng::Rng;
use shard::types::string::StrRef;
use shard::value::ValueRef;
use shard::{Call, Now, Options, Outcome, Shard, call::ClientFacts, commands};
use std::collections::{BTreeMap, BTreeSet};

const DATABASES: u16 = 3;
const START_MS: i64 = 1_700_000_000_000;

/// What a database should hold: values with their expiry.
type Model = BTreeMap<String, (i64, Option<i64>)>;

struct World {
    shard: Shard,
    models: Vec<Model>,
    now_ms: i64,
    db: u16,
    rng: Rng,
    /// Keys are drawn below this; it breathes, so that tables grow and shrink.
    key_range: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let options = Options { is_journaling: true, ..Options::default() };
        World {
            shard: Shard::new(options, usize::from(DATABASES), seed),
            models: vec![Model::new(); usize::from(DATABASES)],
            now_ms: START_MS,
            db: 0,
            rng: Rng::new(seed),
            key_range: 50,
        }
    }

    fn run(&mut self, line: &str) -> String {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let (argv, client) = (argv.as_argv(), ClientFacts::default());
        let command = argv.get(0).and_then(commands::find).expect("a command");
        let call = Call { command, argv, db: self.db, resp: Resp::V2, client };
        let mut reply = Vec::new();
        let now = Now { unix_us: self.now_ms * 1000 };
        assert_ne!(self.shard.execute(now, &call, &mut reply), Outcome::Blocked);
        String::from_utf8(reply).expect("plain text")
    }

    /// Runs a request that replies with an integer.
    fn ask(&mut self, line: &str) -> i64 {
        let reply = self.run(line);
        let integer = reply.strip_prefix(':').and_then(|rest| rest.strip_suffix("\r\n"));
        integer.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{line}: {reply}"))
    }

    fn model(&mut self) -> &mut Model {
        let now_ms = self.now_ms;
        let model = &mut self.models[usize::from(self.db)];
        model.retain(|_, (_, at_ms)| at_ms.is_none_or(|at| at >= now_ms));
        model
    }

    fn key(&mut self) -> String {
        format!("k{}", self.rng.below(self.key_range))
    }

    fn step(&mut self) {
        let (key, other) = (self.key(), self.key());
        match self.rng.below(24) {
            0..6 => {
                let value = self.rng.below(1_000) as i64;
                assert_eq!(self.run(&format!("SET {key} {value}")), "+OK\r\n");
                self.model().insert(key, (value, None));
            }
            6 | 7 => {
                let found = self.model().remove(&key).is_some();
                let found = i64::from(found) + i64::from(self.model().remove(&other).is_some());
                assert_eq!(self.ask(&format!("DEL {key} {other}")), found);
            }
            8..11 => self.expire(key),
            11 => {
                let had = self.model().get_mut(&key).and_then(|(_, at_ms)| at_ms.take());
                assert_eq!(self.ask(&format!("PERSIST {key}")), i64::from(had.is_some()));
            }
            12..14 => self.look(&key),
            14 => self.rename(&key, &other),
            15 => self.copy(&key, &other),
            16 => self.move_key(&key),
            17 => self.now_ms += self.rng.below(400) as i64,
            18 => {
                let now = Now { unix_us: self.now_ms * 1000 };
                let _ = self.shard.expire_cycle(now, self.rng.below(300));
            }
            19 => self.db = self.rng.below(usize::from(DATABASES)) as u16,
            20 => self.key_range = [20, 300, 3_000][self.rng.below(3)],
            21 => {
                let present = self.model().len();
                let reply = self.run("KEYS *");
                assert!(reply.starts_with(&format!("*{present}\r\n")), "{present} {reply}");
            }
            22 => {
                let reply = self.run("RANDOMKEY");
                let name = reply.split("\r\n").nth(1).unwrap_or_default().to_owned();
                let model = self.model();
                assert!(if model.is_empty() { name.is_empty() } else { model.contains_key(&name) });
            }
            _ if self.rng.below(40) == 0 => {
                assert_eq!(self.run("FLUSHDB"), "+OK\r\n");
                self.model().clear();
            }
            _ => {
                let first = self.rng.below(usize::from(DATABASES));
                let second = self.rng.below(usize::from(DATABASES));
                assert_eq!(self.run(&format!("SWAPDB {first} {second}")), "+OK\r\n");
                self.models.swap(first, second);
            }
        }
    }

    fn expire(&mut self, key: String) {
        let ttl_ms = self.rng.below(2_000) as i64 - 100;
        let at_ms = self.now_ms + ttl_ms;
        let is_found = self.model().contains_key(&key);
        if ttl_ms <= 0 {
            self.model().remove(&key);
        } else if let Some((_, expiry)) = self.model().get_mut(&key) {
            *expiry = Some(at_ms);
        }
        assert_eq!(self.ask(&format!("PEXPIRE {key} {ttl_ms}")), i64::from(is_found));
    }

    fn look(&mut self, key: &str) {
        let now_ms = self.now_ms;
        let found = self.model().get(key).copied();
        let ttl_ms = match found {
            None => -2,
            Some((_, None)) => -1,
            Some((_, Some(at_ms))) => at_ms - now_ms,
        };
        assert_eq!(self.ask(&format!("PTTL {key}")), ttl_ms);
        assert_eq!(self.ask(&format!("EXISTS {key}")), i64::from(found.is_some()));
        let value = found.map_or("$-1\r\n".to_owned(), |(value, _)| {
            let text = value.to_string();
            format!("${}\r\n{text}\r\n", text.len())
        });
        assert_eq!(self.run(&format!("GET {key}")), value);
    }

    fn rename(&mut self, key: &str, other: &str) {
        let reply = self.run(&format!("RENAME {key} {other}"));
        match self.model().remove(key) {
            Some(entry) => {
                assert_eq!(reply, "+OK\r\n");
                self.model().insert(other.to_owned(), entry);
            }
            None => assert_eq!(reply, "-ERR no such key\r\n"),
        }
    }

    fn copy(&mut self, key: &str, other: &str) {
        if key == other {
            return;
        }
        let replace = ["", " REPLACE"][self.rng.below(2)];
        let done = self.ask(&format!("COPY {key} {other}{replace}"));
        let entry = self.model().get(key).copied();
        let is_free = !replace.is_empty() || !self.model().contains_key(other);
        assert_eq!(done == 1, entry.is_some() && is_free);
        if let (Some(entry), 1) = (entry, done) {
            self.model().insert(other.to_owned(), entry);
        }
    }

    fn move_key(&mut self, key: &str) {
        let (source, target) = (self.db, (self.db + 1) % DATABASES);
        let done = self.ask(&format!("MOVE {key} {target}"));
        self.db = target;
        let is_free = !self.model().contains_key(key);
        self.db = source;
        let entry = self.model().get(key).copied().filter(|_| is_free);
        assert_eq!(done == 1, entry.is_some());
        if let Some(entry) = entry {
            self.model().remove(key);
            self.models[usize::from(target)].insert(key.to_owned(), entry);
        }
    }

    /// One walk over the database while it changes.
    fn scan(&mut self) {
        let mut staying: BTreeSet<String> = self.model().keys().cloned().collect();
        let mut seen = BTreeMap::<String, usize>::new();
        let mut cursor = "0".to_owned();
        loop {
            let count = 1 + self.rng.below(30);
            let reply = self.run(&format!("SCAN {cursor} COUNT {count}"));
            let mut bulks = reply.split("\r\n").filter(|part| !part.starts_with(['*', '$']));
            cursor = bulks.next().expect("a cursor").to_owned();
            for key in bulks.filter(|part| !part.is_empty()) {
                *seen.entry(key.to_owned()).or_default() += 1;
            }
            if cursor == "0" {
                break;
            }
            let db = self.db;
            for _ in 0..self.rng.below(40) {
                self.step();
                self.db = db;
                let present: BTreeSet<String> = self.model().keys().cloned().collect();
                staying.retain(|key| present.contains(key));
            }
        }
        for key in &staying {
            assert!(seen.contains_key(key), "{key} was there all the time");
        }
    }

    /// Everything that is in a shard: database, key, value, expiry.
    fn contents(shard: &Shard) -> BTreeSet<(usize, Vec<u8>, i64, Option<i64>)> {
        let mut contents = BTreeSet::new();
        for (index, database) in shard.keyspace().databases().iter().enumerate() {
            for (key, entry) in database.iter() {
                let ValueRef::String(StrRef::Int(value)) = entry.value else {
                    panic!("an integer")
                };
                assert!(contents.insert((index, key.to_vec(), value, entry.expire_at_ms())));
            }
        }
        contents
    }

    /// Removes all that is due, then compares the shard, the model and what the journal makes.
    fn compare(&mut self) {
        let now = Now { unix_us: self.now_ms * 1000 };
        while self.shard.expire_cycle(now, 1_000) {}
        // Segments that merged on the way may have carried a few entries to where the round had been.
        while self.shard.expire_cycle(now, 1_000) {}
        let mut expected = BTreeSet::new();
        for db in 0..DATABASES {
            self.db = db;
            let entries = self.model().clone();
            assert_eq!(self.ask("DBSIZE"), entries.len() as i64);
            for (key, (value, at_ms)) in entries {
                expected.insert((usize::from(db), key.into_bytes(), value, at_ms));
            }
        }
        assert_eq!(World::contents(&self.shard), expected);

        let mut copy = Shard::new(Options::default(), usize::from(DATABASES), 99);
        let mut db = 0;
        for argv in commands_of(self.shard.effects_mut().journal.as_bytes()) {
            let argv = argv.as_argv();
            if argv.get(0) == Some(b"SELECT") {
                let index = argv.get(1).and_then(number::parse_i64).expect("an index");
                db = u16::try_from(index).expect("an index");
            } else {
                copy.replay(now, db, argv).expect("the journal can be replayed");
            }
        }
        assert_eq!(World::contents(&copy), expected);
    }
}

/// The commands of a journal.
fn commands_of(journal: &[u8]) -> Vec<ArgvBuf> {
    let text = std::str::from_utf8(journal).expect("plain text");
    let command = |text: &str| text.split("\r\n").skip(2).step_by(2).map(str::as_bytes).collect();
    text.split('*').skip(1).map(command).collect()
}

#[test]
fn a_shard_holds_what_a_map_holds_and_its_journal_makes_it_again() {
    for seed in 0..12 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..6 {
            (0..3_000).for_each(|_| world.step());
            world.compare();
        }
    }
}

#[test]
fn a_scan_meets_every_key_that_stays() {
    for seed in 100..112 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..8 {
            (0..1_500).for_each(|_| world.step());
            world.scan();
        }
    }
}
