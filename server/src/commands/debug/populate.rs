//! DEBUG POPULATE: many strings at once, made by SET … NX like those of a client.

use crate::connection::Connection;
use crate::registry::Kind;
use crate::router;
use protocol::request::ArgvBuf;
use shard::CommandError;
use shard::args::Args;

/// Keys that are made before their replies are awaited.
const ROUND_COUNT: usize = 1000;
/// Bytes of one round, which also bounds the memory that the values on their way take.
const ROUND_SIZE_MAX: usize = 8 << 20;

impl Connection {
    /// Makes `<prefix>:0`, `<prefix>:1`, … where there is no such key.
    pub(super) async fn populate(&mut self, mut args: Args<'_>) -> Result<(), CommandError> {
        let count = args.count()?;
        let prefix = if args.is_empty() { b"key" } else { args.bytes()? };
        let size = if args.is_empty() { 0 } else { args.count()? };
        if size as u64 > self.core.settings().proto_max_bulk_len_bytes {
            return Err(CommandError::StringTooLong);
        }
        let mut next = 0;
        while next < count {
            let size_max = (ROUND_SIZE_MAX / (size + prefix.len() + 64)).max(1);
            let end = count.min(next + ROUND_COUNT.min(size_max));
            self.populate_round(prefix, next..end, size).await;
            next = end;
        }
        self.reply(|writer| writer.ok());
        Ok(())
    }

    async fn populate_round(
        &mut self,
        prefix: &[u8],
        numbers: std::ops::Range<usize>,
        size: usize,
    ) {
        let core = self.core.clone();
        let set = core.shared.registry.rows().iter().find(|row| {
            matches!(row.kind, Kind::Shard(_)) && row.container.is_none() && row.spec.name == "set"
        });
        let set = set.expect("SET is a command of the shards");
        let (db, caller) = (self.session.db, self.caller());
        let start = self.replies.len();
        for number in numbers {
            let key = [prefix, format!(":{number}").as_bytes()].concat();
            let mut value = format!("value:{number}").into_bytes();
            if size > 0 {
                value.resize(size, 0);
            }
            let argv: ArgvBuf = [b"SET", key.as_slice(), &value, b"NX"].into_iter().collect();
            let owner = router::shard_of(&core, Some(&key));
            if owner == core.id {
                let (_outcome, _us) =
                    core.run_here(set, db, argv.as_argv(), caller, &mut self.replies);
            } else {
                self.send_away(owner, set, argv.as_argv());
            }
        }
        self.finish_exchange().await;
        self.replies.truncate(start);
    }
}
