//! DEBUG DIGEST, DIGEST-VALUE, RELOAD, LOADAOF: what a data set is, and whether it survives being stored.
//!
//! RELOAD and LOADAOF touch no file: each shard makes every value anew in memory, RELOAD from the RDB bytes a snapshot
//! would hold, LOADAOF from the commands an append-only file rewritten now would hold.

use crate::connection::Connection;
use crate::message::{Answer, CoreQuestion, Question};
use crate::router;
use persistence::rdb::payload::Checksum;
use shard::CommandError;
use shard::args::Args;
use shard::digest::{self, Digest};

impl Connection {
    /// Answers the digest of all databases of all shards, as of one moment.
    pub(super) async fn digest(&mut self) {
        let core = self.core.clone();
        let mut databases: Vec<Option<Digest>> = Vec::new();
        for answer in core.ask_all(|_| Question::Core(CoreQuestion::Digests)).await {
            let Answer::Digests(parts) = answer else {
                unreachable!("the core answers digests, not {answer:?}")
            };
            databases.resize(databases.len().max(parts.len()), None);
            for (database, part) in databases.iter_mut().zip(parts) {
                if let Some(part) = part {
                    database.get_or_insert_default().join(part);
                }
            }
        }
        let digest = digest::of_databases(databases).to_string();
        self.reply(|writer| writer.status(&digest));
    }

    /// Answers the digest of the value of each key.
    pub(super) async fn digests_of_values(&mut self, args: Args<'_>) {
        let core = self.core.clone();
        let db = self.session.db;
        let asks = args.rest().map(|key| {
            let question = CoreQuestion::DigestOfValue(db, key.to_vec());
            core.start_ask(router::shard_of(&core, Some(key)), Question::Core(question))
        });
        let asks: Vec<_> = asks.collect();
        let mut digests = Vec::with_capacity(asks.len());
        for ask in asks {
            match ask.await {
                Answer::Text(Some(digest)) => digests.push(digest),
                other => unreachable!("the core answers a digest, not {other:?}"),
            }
        }
        self.reply(|writer| {
            writer.array(digests.len());
            digests.iter().for_each(|digest| writer.status(digest));
        });
    }

    /// Makes every value anew from its RDB bytes.
    pub(super) async fn reload(&mut self, args: Args<'_>) -> Result<(), CommandError> {
        const UNREADABLE: CommandError =
            CommandError::text("ERR Error trying to load the RDB dump, check server logs.");
        let (mut may_merge, mut is_flushing) = (false, true);
        for option in args.rest().map(<[u8]>::to_ascii_lowercase) {
            match option.as_slice() {
                b"merge" => may_merge = true,
                b"noflush" => is_flushing = false,
                b"nosave" => {
                    tracing::warn!("DEBUG RELOAD NOSAVE: there is no snapshot to load");
                    return Err(UNREADABLE);
                }
                _ => {
                    return Err(CommandError::text(
                        "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                    ));
                }
            }
        }
        // The same keys and libraries are there before and after.
        if !is_flushing && !may_merge && self.has_data().await {
            tracing::warn!("DEBUG RELOAD NOFLUSH: what is to be loaded is there already");
            return Err(UNREADABLE);
        }
        self.renew(CoreQuestion::Reload, UNREADABLE).await
    }

    /// Whether there is a library of functions or a key.
    async fn has_data(&self) -> bool {
        let core = self.core.clone();
        let has_keys = |answer: &Answer| match answer {
            Answer::Digests(databases) => databases.iter().any(Option::is_some),
            _ => unreachable!("the core answers digests, not {answer:?}"),
        };
        core.shared.scripts.catalog().libraries().len() > 0
            || core.ask_all(|_| Question::Core(CoreQuestion::Digests)).await.iter().any(has_keys)
    }

    /// Makes every value anew from its journal entries.
    pub(super) async fn load_aof(&mut self) -> Result<(), CommandError> {
        let text = "ERR Error trying to load the AOF files, check server logs.";
        self.renew(CoreQuestion::Rebuild, CommandError::text(text)).await
    }

    async fn renew(
        &mut self,
        question: CoreQuestion,
        failed: CommandError,
    ) -> Result<(), CommandError> {
        let core = self.core.clone();
        for (shard, answer) in
            core.ask_all(|_| Question::Core(question.clone())).await.iter().enumerate()
        {
            if let Answer::Result(Err(error)) = answer {
                tracing::error!("{question:?}: shard {shard}: {error}");
                return Err(failed);
            }
        }
        self.reply(|writer| writer.ok());
        Ok(())
    }

    /// Switches on all shards whether RESTORE looks at checksums.
    pub(super) async fn set_payload_checksum(&mut self, checksum: Checksum) {
        let question = || Question::Core(CoreQuestion::SetPayloadChecksum(checksum));
        self.core.clone().ask_all(|_| question()).await;
        self.reply(|writer| writer.ok());
    }
}
