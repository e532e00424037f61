//! What DEBUG asks of a whole shard: digests, and making every value anew from what it would be stored as.

use super::Shard;
use crate::call::Now;
use crate::digest::{self, Digest};
use crate::error::CommandError;
use crate::keyspace::access::Access;
use crate::keyspace::entry::Entry;
use crate::types::{rdb, rebuild};
use persistence::rdb::{Compression, RdbError, Reader, Writer};

impl Shard {
    /// This shard's part of the data set's digest, for each database: `None` if it has no keys there. Parts of several
    /// shards are joined database by database, then [`digest::of_databases`] makes one of them. Cost: O(size).
    #[must_use]
    pub fn digests(&self) -> Vec<Option<Digest>> {
        let databases = self.keyspace.databases().iter();
        databases.map(|db| (!db.is_empty()).then(|| digest::of_keys(db))).collect()
    }

    /// The digest of the value of `key`; all zero if there is no such key. Cost: O(size).
    #[must_use]
    pub fn digest_of_value(&self, now: Now, db: u16, key: &[u8]) -> Digest {
        let entry = self.keyspace.database(db).find(key, now);
        entry.as_ref().map(digest::of_entry).unwrap_or_default()
    }

    /// Makes every value anew from the RDB bytes it is written as, as if they had been saved and loaded. Expiries, when
    /// keys were used, clients that wait, counters and the journal stay as they are. Cost: O(size), and the memory of one value more.
    ///
    /// # Errors
    /// What cannot be read of our own bytes: a mistake in this program. Values behind it stay as they were.
    pub fn reload(&mut self, now: Now) -> Result<(), RdbError> {
        let mut result = Ok(());
        for (db, key, entry) in self.keyspace.drain().collect::<Vec<_>>() {
            let reloaded = match result {
                Ok(()) => self.reloaded(&entry, now),
                Err(_) => Ok(None),
            };
            let entry = match reloaded {
                Ok(new) => new.unwrap_or(entry),
                Err(error) => {
                    result = Err(error);
                    entry
                }
            };
            self.adopt(db, &key, entry);
        }
        result
    }

    fn reloaded(&self, entry: &Entry, now: Now) -> Result<Option<Entry>, RdbError> {
        let mut bytes = Vec::new();
        rdb::save(entry.value.view(), &mut Writer::new(&mut bytes, Compression::Lzf));
        let value_type = rdb::value_type(entry.value.view());
        let value = rdb::load(value_type, &mut Reader::new(&bytes), &self.options)?;
        let access = entry.access().unwrap_or(Access::new(now, self.options.use_rule));
        Ok(Some(Entry::new(value).with_expiry(entry.expire_at_ms()).with_access(access)))
    }

    /// Makes every value anew from the commands that a journal written now would hold. Clients that wait, counters and
    /// the journal stay as they are. Cost: O(size), and the memory of the commands of one value.
    ///
    /// # Errors
    /// What cannot be replayed of our own commands: a mistake in this program. That key is lost.
    pub fn rebuild(&mut self, now: Now) -> Result<(), CommandError> {
        let mut result = Ok(());
        for (db, key, entry) in self.keyspace.drain().collect::<Vec<_>>() {
            let mut commands = Vec::new();
            let value = entry.value.view();
            rebuild::commands(&key, value, entry.expire_at_ms(), &mut |command| {
                commands.push(command);
            });
            for command in commands {
                result = result.and(self.replay(now, db, command.as_argv()));
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tests::Rig;

    /// Runs the commands on a fresh shard.
    fn rig(commands: &[&str]) -> Rig {
        let mut rig = Rig::new();
        commands.iter().for_each(|command| _ = rig.run(command));
        rig
    }

    /// What fills a data set with all types, encodings and kinds of scores.
    const COMMANDS: &[&str] = &[
        "SET text hello",
        "SET integer -12345",
        "SET expiring value PXAT 4000000000000",
        "RPUSH list a b 10 a 10",
        "HSET hash f v g 10 h 3.5",
        "ZADD zset 1 a 2.5 b inf c -inf d 100000000 e 1e20 f -0 g 123456.789 h",
    ];

    /// The same in their large encodings, made of many members.
    fn fill_large(mut run: impl FnMut(&str)) {
        for number in 0..600 {
            run(&format!("RPUSH large-list element-with-a-longer-name-{number}"));
            run(&format!("HSET large-hash field-{number} {number}"));
            run(&format!("ZADD large-zset {number}e3 member-{number}"));
        }
        run("ZADD large-zset -0 zero"); // only the large form knows it
    }

    #[test]
    fn digests_are_those_of_redis() {
        let mut rig = rig(COMMANDS);
        fill_large(|command| _ = rig.run(command));
        rig.db = 3;
        rig.run("SET other 1");
        // What Redis 7.2.6 answers to DEBUG DIGEST-VALUE and DEBUG DIGEST after the same commands.
        let facts = [
            ("none", "0000000000000000000000000000000000000000"),
            ("text", "36b23a1456b2dce2c3ed252c456761301dba8060"),
            ("integer", "9364d007acb0ba24016c9866e6283671e674924f"),
            ("expiring", "331b37c26446a68dd4cdd72701d1acee416ae7b6"),
            ("list", "438e8277209b264cb14c633d269c7d69058ce81e"),
            ("hash", "12db5f2ae9331998e50a73e4ff55211c7c955c88"),
            ("zset", "e06ba0011b33b6409cf3783d520e87c10fc885ec"),
            ("large-list", "9066c7a4d431ebe9bcca8713531a0cc297d3adb4"),
            ("large-hash", "22f994b98037cf3bab782d334c9271e40d643df0"),
            ("large-zset", "6117a750d581fbbbdb1580c3a18406adaa20aae6"),
        ];
        for (key, digest) in facts {
            let ours = rig.shard.digest_of_value(rig.now, 0, key.as_bytes());
            assert_eq!(ours.to_string(), digest, "{key}");
        }
        let all = digest::of_databases(rig.shard.digests());
        assert_eq!(all.to_string(), "9ea0946af6b0b62bf5d5144afd8a08ff2f0e19d5");
    }

    #[test]
    fn parts_of_a_database_join_to_the_whole() {
        let mut whole = Rig::new();
        let (mut first, mut second) = (Rig::new(), Rig::new());
        for number in 0..50 {
            let command = format!("HSET k{number} f {number}");
            whole.run(&command);
            if number % 3 == 0 { &mut first } else { &mut second }.run(&command);
        }
        let part = |rig: &Rig| rig.shard.digests()[0].unwrap();
        let mut joined = part(&first);
        joined.join(part(&second));
        assert_eq!(joined, part(&whole));
        let alone = digest::of_databases([Some(joined)]);
        assert_ne!(alone, digest::of_databases([None, Some(joined)]));
        assert_eq!(digest::of_databases([None, None]).to_string(), "0".repeat(40));
    }

    #[test]
    fn making_everything_anew_changes_nothing() {
        let mut rig = rig(COMMANDS);
        fill_large(|command| _ = rig.run(command));
        rig.take_journal();
        let keys =
            ["text", "integer", "list", "hash", "zset", "large-list", "large-hash", "large-zset"];
        let look = |rig: &mut Rig| {
            let encodings = keys.map(|key| rig.run(&format!("OBJECT ENCODING {key}")));
            (rig.shard.digests(), encodings)
        };
        let before = look(&mut rig);
        rig.shard.reload(rig.now).unwrap();
        assert_eq!(look(&mut rig), before);
        rig.shard.rebuild(rig.now).unwrap();
        assert_eq!(look(&mut rig), before);
        assert_eq!(rig.run("PEXPIRETIME expiring"), ":4000000000000\r\n");
        assert_eq!(rig.take_journal(), Vec::<String>::new());
    }
}
