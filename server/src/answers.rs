//! What this core answers when another core, or it itself, asks ([`Question`]).

use crate::core::Core;
use crate::message::{Answer, CoreQuestion, CoreReport, OwnedCall, Question};
use crate::peer::{Close, Unblocked};
use crate::pubsub::Topic;
use crate::tracking::KeysRead;
use shard::{Call, CommandError, Outcome};

impl Core {
    /// Answers a question at once.
    pub(crate) fn answer(&self, question: Question) -> Answer {
        let now = self.now();
        match question {
            Question::Run(call) => {
                let mut reply = Vec::new();
                let _ = self.execute(&borrow(&call), &mut reply);
                Answer::Reply(reply)
            }
            Question::RunAll(calls) => {
                let run = |call| {
                    let mut reply = Vec::new();
                    let _ = self.execute(&borrow(call), &mut reply);
                    reply
                };
                Answer::Replies(calls.iter().map(run).collect())
            }
            Question::Pieces(call, key_indices) => {
                let mut shard = self.shard_mut();
                let pieces = key_indices.iter().enumerate().map(|(place, key_index)| {
                    let piece = shard.piece(now, &borrow(&call), *key_index);
                    piece.map_err(|error| (place, error))
                });
                let pieces = pieces.collect();
                self.track(&mut shard, &borrow(&call), KeysRead::At(&key_indices));
                Answer::Pieces(pieces)
            }
            Question::Apply(call, writes) => {
                let mut shard = self.shard_mut();
                shard.apply(now, &borrow(&call), writes);
                self.track(&mut shard, &borrow(&call), KeysRead::At(&[]));
                Answer::Done(true)
            }
            Question::TryServe(call, key_index) => {
                let mut reply = Vec::new();
                let mut shard = self.shard_mut();
                let outcome = shard.try_serve(now, &borrow(&call), key_index, &mut reply);
                self.track(&mut shard, &borrow(&call), KeysRead::At(&[key_index]));
                if outcome == Outcome::Blocked {
                    reply.clear();
                }
                Answer::Reply(reply)
            }
            Question::CheckKeys(call, key_indices) => {
                let states = self.shard_mut().check_keys(now, &borrow(&call), &key_indices);
                let parts = states.map(|states| states.into_iter().map(|s| (s, Vec::new())));
                Answer::KeyParts(parts.map(Iterator::collect))
            }
            Question::ServeKeys(call, key_indices) => {
                let mut shard = self.shard_mut();
                let parts = shard.serve_keys(now, &borrow(&call), &key_indices);
                self.track(&mut shard, &borrow(&call), KeysRead::At(&key_indices));
                Answer::KeyParts(parts)
            }
            Question::Wait(waiter, key_indices) => {
                self.shard_mut().wait(now, &waiter, &key_indices);
                Answer::Done(true)
            }
            Question::All(questions) => {
                self.shard_mut().begin_unit();
                let answers = questions.into_iter().map(|question| self.answer(question)).collect();
                self.shard_mut().end_unit(now);
                Answer::All(answers)
            }
            Question::Lock { .. }
            | Question::Widen { .. }
            | Question::Under { .. }
            | Question::Publish(..) => {
                unreachable!("they are answered in turn, see `core::locking`")
            }
            Question::EndWatch(watched) => {
                let mut shard = self.shard_mut();
                let is_broken = watched.is_broken(now, &mut shard);
                watched.end(&mut shard);
                Answer::Done(is_broken)
            }
            Question::Watch(watched) => {
                self.watch(&watched);
                Answer::Done(true)
            }
            Question::Subscribe(changes) => {
                let mut pubsub = self.pubsub.borrow_mut();
                changes.into_iter().for_each(|change| pubsub.apply(change));
                Answer::Done(true)
            }
            Question::Core(question) => self.answer_about_core(question),
        }
    }

    fn answer_about_core(&self, question: CoreQuestion) -> Answer {
        match question {
            CoreQuestion::Settings => {
                self.take_over_settings();
                Answer::Done(true)
            }
            CoreQuestion::Report => Answer::Report(Box::new(self.report())),
            CoreQuestion::DebugObject(db, key) => {
                Answer::Text(self.shard().debug_object(self.now(), db, &key))
            }
            CoreQuestion::Digests => Answer::Digests(self.shard().digests()),
            CoreQuestion::DigestOfValue(db, key) => {
                let digest = self.shard().digest_of_value(self.now(), db, &key);
                Answer::Text(Some(digest.to_string()))
            }
            CoreQuestion::Reload => {
                let result = self.shard_mut().reload(self.now());
                Answer::Result(result.map_err(|error| error.to_string()))
            }
            CoreQuestion::Rebuild => {
                let result = self.shard_mut().rebuild(self.now());
                let text = |error: CommandError| String::from_utf8_lossy(&error.as_bytes()).into();
                Answer::Result(result.map_err(text))
            }
            CoreQuestion::SetPayloadChecksum(payload_checksum) => {
                let mut shard = self.shard_mut();
                let options = shard.options().clone();
                shard.set_options(shard::Options { payload_checksum, ..options });
                Answer::Done(true)
            }
            CoreQuestion::MemoryUsage(db, key) => {
                let usage = self.shard().memory_usage(self.now(), db, &key);
                Answer::Count(usage.unwrap_or_default() as u64)
            }
            CoreQuestion::KeyCount(db) => {
                Answer::Count(self.shard().keyspace().database(db).len() as u64)
            }
            CoreQuestion::Channels(topic, pattern) => {
                Answer::Names(self.pubsub.borrow().channels(topic, pattern.as_deref()))
            }
            CoreQuestion::SubscriberCounts(topic, channels) => {
                let pubsub = self.pubsub.borrow();
                let counts = channels.iter().map(|name| pubsub.subscriber_count(topic, name));
                Answer::Counts(counts.collect())
            }
            CoreQuestion::Track { client_id, prefixes } => {
                self.start_tracking(client_id, &prefixes);
                Answer::Done(true)
            }
            CoreQuestion::Untrack { client_id, prefixes } => {
                self.forget_prefixes(client_id, &prefixes);
                Answer::Done(true)
            }
            CoreQuestion::InvalidateAll => {
                self.invalidate_all();
                Answer::Done(true)
            }
            CoreQuestion::CloseClient(token) => match self.peer(token) {
                Some(peer) if peer.close.get() != Some(Close::Now) => {
                    self.close_peer(&peer, Close::Now);
                    // From now on nobody sees it, though its task takes a moment to end.
                    self.shared.clients.remove(peer.client.id);
                    Answer::Done(true)
                }
                _ => Answer::Done(false),
            },
            CoreQuestion::UnblockClient { token, is_error } => match self.peer(token) {
                Some(peer) if peer.client.take_claim() => {
                    let how = if is_error { Unblocked::Error } else { Unblocked::TimedOut };
                    peer.unblock(how);
                    Answer::Done(true)
                }
                _ => Answer::Done(false),
            },
            CoreQuestion::Sleep(duration) => {
                std::thread::sleep(duration);
                Answer::Done(true)
            }
            CoreQuestion::SetActiveExpire(is_on) => {
                self.is_expiring.set(is_on);
                Answer::Done(true)
            }
            CoreQuestion::ResetStatistics => {
                self.reset_statistics();
                Answer::Done(true)
            }
            CoreQuestion::ChangeFunctions(change) => Answer::Named(self.change_functions(&change)),
            CoreQuestion::CloseJournal => Answer::Done(true),
        }
    }
}

impl Core {
    fn report(&self) -> CoreReport {
        let shard = self.publish_counters();
        let pubsub = self.pubsub.borrow();
        CoreReport {
            shard,
            channel_count: pubsub.owned_count(Topic::Channel),
            pattern_count: pubsub.owned_count(Topic::Pattern),
            shard_channel_count: pubsub.owned_count(Topic::ShardChannel),
            tracking: self.tracking.borrow().figures(),
            interpreter_bytes: self.scripts.borrow().memory(),
        }
    }
}

fn borrow(call: &OwnedCall) -> Call<'_> {
    let OwnedCall { command, ref argv, db, resp, client } = *call;
    Call { command, argv: argv.as_argv(), db, resp, client }
}
