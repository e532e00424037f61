//! Commands that all their keys serve at once: XREAD and XREADGROUP.
//!
//! Each key is checked before any is served, so an error leaves everything as it was. Over several shards the router
//! asks them all to check ([`Shard::check_keys`]), if serving changes something, and then to serve
//! ([`Shard::serve_keys`]). A client that waits is looked at again whenever one of its keys changes, and gets what all
//! its keys on that shard have then; so that it misses nothing, it waits with what `$` meant in the beginning.

use super::{Shard, finish, key_at};
use crate::args::Args;
use crate::call::{Call, ClientFacts, Now, Outcome};
use crate::commands::{KeyState, Run, ServeEach};
use crate::error::CommandError;
use crate::value::Kind;
use crate::waiters::{DbKey, Served, Waiter};
use protocol::reply::{Resp, Writer};

/// An error, and the place among the keys of the one that it is about.
pub type KeyError = (usize, CommandError);

/// What one key has to do with a command: how it was found, and its element of the reply, empty if it has nothing.
pub type KeyPart = (KeyState, Vec<u8>);

impl Shard {
    /// Looks at the keys at `key_indices`, which belong to this shard.
    ///
    /// # Errors
    /// Of the first key that is not right.
    pub fn check_keys(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_indices: &[usize],
    ) -> Result<Vec<KeyState>, KeyError> {
        let checks = key_indices.iter().enumerate().map(|(place, &key_index)| {
            self.check_key(now, call, key_index).map_err(|error| (place, error))
        });
        let checks = checks.collect();
        self.settle(now);
        checks
    }

    /// Serves from the keys at `key_indices`, which belong to this shard, if all of them are right.
    ///
    /// # Errors
    /// Of the first key that is not right; nothing has been served then.
    pub fn serve_keys(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_indices: &[usize],
    ) -> Result<Vec<KeyPart>, KeyError> {
        let checks = self.check_keys(now, call, key_indices)?;
        let mut parts = Vec::with_capacity(checks.len());
        for (place, (check, &key_index)) in checks.into_iter().zip(key_indices).enumerate() {
            let mut reply = Vec::new();
            let mut writer = Writer::new(&mut reply, call.resp);
            self.serve_key(now, call, key_index, &mut writer).map_err(|error| (place, error))?;
            parts.push((check, reply));
        }
        self.settle(now);
        Ok(parts)
    }

    /// Serves from all these keys in one reply; `false`, and nothing appended, if none has anything.
    pub(super) fn serve_all(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_indices: &[usize],
        reply: &mut Writer<'_>,
    ) -> Result<bool, CommandError> {
        let mut ready_count = 0;
        for &key_index in key_indices {
            ready_count += usize::from(self.check_key(now, call, key_index)?.is_ready);
        }
        // Only where a key stands twice may the first serving leave nothing for the second.
        let is_count_certain = ready_count <= 1;
        let start = reply.position();
        if is_count_certain && ready_count > 0 {
            head(reply, ready_count);
        }
        let mut served_count = 0;
        for &key_index in key_indices {
            served_count += usize::from(self.serve_key(now, call, key_index, reply)?);
        }
        if !is_count_certain {
            match reply.resp() {
                Resp::V2 => reply.array_before(start, served_count),
                Resp::V3 => reply.map_before(start, served_count),
            }
        }
        Ok(served_count > 0)
    }

    fn check_key(
        &self,
        now: Now,
        call: &Call<'_>,
        key_index: usize,
    ) -> Result<KeyState, CommandError> {
        let Run::AllOf { look, .. } = call.command.run else { unreachable_form() };
        look(&self.read_context(now, call), key_index, Args::new(call.argv))
    }

    fn serve_key(
        &mut self,
        now: Now,
        call: &Call<'_>,
        key_index: usize,
        reply: &mut Writer<'_>,
    ) -> Result<bool, CommandError> {
        let Run::AllOf { serve, .. } = call.command.run else { unreachable_form() };
        let args = Args::new(call.argv);
        match serve {
            ServeEach::Read(read) => read(&self.read_context(now, call), key_index, args, reply),
            ServeEach::Write(write) => {
                write(&mut self.write_context(now, call), key_index, args, reply)
            }
        }
    }

    /// Registers a client that waits until one of the keys at `key_indices` has something; serves it at once if one
    /// has become ready since the client was told to wait.
    pub(super) fn wait_for_any(&mut self, now: Now, waiter: &Waiter, key_indices: &[usize]) {
        let waiter = Waiter { own_keys: key_indices.into(), ..waiter.clone() };
        if self.wake_reader(now, &waiter) {
            self.settle(now);
            return;
        }
        let argv = waiter.argv.as_argv();
        for (place, &key_index) in key_indices.iter().enumerate() {
            let is_same = |&other: &usize| key_at(argv, other) == key_at(argv, key_index);
            if !key_indices[..place].iter().any(is_same) {
                self.waiters.push(key_index, waiter.clone());
            }
        }
    }

    /// Looks at all clients that wait for `key` to have something, in the order they came.
    pub(super) fn wake_readers(&mut self, now: Now, key: &DbKey) {
        let waiting = self.waiters.take_readers(key);
        if waiting.is_empty() {
            return;
        }
        let kind = self.keyspace.database(key.0).find(&key.1, now).map(|e| e.value.kind());
        let mut still_waiting = Vec::new();
        for (key_index, waiter) in waiting {
            // Who only reads waits through anything; a group is gone with its stream.
            let looks = kind == Some(Kind::Stream) || is_write(&waiter);
            if looks && self.wake_reader(now, &waiter) {
                let argv = waiter.argv.as_argv();
                for &other in &*waiter.own_keys {
                    if key_at(argv, other) != &*key.1 {
                        self.waiters.remove(waiter.db, key_at(argv, other), waiter.id);
                    }
                }
            } else {
                still_waiting.push((key_index, waiter));
            }
        }
        self.waiters.put_back(key, still_waiting);
    }

    /// Serves a client if one of its keys here has something, or is no longer right; says whether it waits no more.
    fn wake_reader(&mut self, now: Now, waiter: &Waiter) -> bool {
        let call = Call {
            command: waiter.command,
            argv: waiter.argv.as_argv(),
            db: waiter.db,
            resp: waiter.resp,
            client: ClientFacts::default(),
        };
        let is_settled = waiter.own_keys.iter().any(|&key_index| {
            self.check_key(now, &call, key_index).map_or(true, |check| check.is_ready)
        });
        if !is_settled {
            return false;
        }
        if waiter.claim.take() {
            let mut reply = Vec::new();
            let mut writer = Writer::new(&mut reply, waiter.resp);
            let result = self.serve_all(now, &call, &waiter.own_keys, &mut writer);
            let _ = finish(result.map(|_| Outcome::Replied), 0, &mut writer);
            self.effects.served.push(Served { id: waiter.id, reply });
        }
        true
    }
}

/// Head of a reply with `count` keys, each with what it has.
fn head(reply: &mut Writer<'_>, count: usize) {
    match reply.resp() {
        Resp::V2 => reply.array(count),
        Resp::V3 => reply.map(count),
    }
}

/// Whether serving this client changes something.
fn is_write(waiter: &Waiter) -> bool {
    matches!(waiter.command.run, Run::AllOf { serve: ServeEach::Write(_), .. })
}

fn unreachable_form() -> ! {
    unreachable!("only commands that all their keys serve come here")
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_client_gets_what_all_its_keys_have() {
        check(
            r#"
            > XADD b 1-1 f v
            "1-1"
            > XADD c 2-1 f w
            "2-1"
            > XREAD STREAMS a b c 0 0 0
            1) 1) "b"
               2) 1) 1) "1-1"
                     2) 1) "f"
                        2) "v"
            2) 1) "c"
               2) 1) 1) "2-1"
                     2) 1) "f"
                        2) "w"
        "#,
        );
    }

    #[test]
    fn all_who_wait_for_a_key_are_served_and_the_others_go_on() {
        check(
            r#"
            > XREAD BLOCK 0 STREAMS a b $ $
            (blocked)
            > XREAD BLOCK 0 STREAMS b b 5-0 6-0
            (blocked)
            > XREAD BLOCK 0 STREAMS b 0
            (blocked)
            > XADD b 3-0 f v
            "3-0"
            ~ served
            1) 1) "b"
               2) 1) 1) "3-0"
                     2) 1) "f"
                        2) "v"
            1) 1) "b"
               2) 1) 1) "3-0"
                     2) 1) "f"
                        2) "v"
            > XADD a 1-0 f v
            "1-0"
            ~ served
            > XADD b 7-0 f v
            "7-0"
            ~ served
            1) 1) "b"
               2) 1) 1) "7-0"
                     2) 1) "f"
                        2) "v"
            2) 1) "b"
               2) 1) 1) "7-0"
                     2) 1) "f"
                        2) "v"
        "#,
        );
    }

    #[test]
    fn a_reader_waits_through_other_types_and_a_group_does_not() {
        check(
            r#"
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XREAD BLOCK 0 STREAMS s $
            (blocked)
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            > SET s text
            OK
            ~ served
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > DEL s
            (integer) 1
            > XADD s 1-0 f v
            "1-0"
            ~ served
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
        "#,
        );
    }

    #[test]
    fn a_group_that_goes_wakes_its_clients() {
        check(
            r#"
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            > XGROUP DESTROY s g
            (integer) 1
            ~ served
            (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
            > XGROUP CREATE s g $
            OK
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            > PEXPIRE s 10
            (integer) 1
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            ~ advance 11ms
            > EXISTS s
            (integer) 0
            ~ served
            (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
            (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            > FLUSHALL
            OK
            ~ served
            (error) NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option
        "#,
        );
    }

    #[test]
    fn a_group_serves_its_clients_in_the_order_they_came() {
        check(
            r#"
            > XGROUP CREATE s g $ MKSTREAM
            OK
            > XGROUP CREATE s h $
            OK
            > XREADGROUP GROUP g alice BLOCK 0 STREAMS s >
            (blocked)
            > XREADGROUP GROUP g bob BLOCK 0 STREAMS s >
            (blocked)
            > XREADGROUP GROUP h carl BLOCK 0 STREAMS s >
            (blocked)
            > XADD s 1-0 f v
            "1-0"
            ~ served
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            > XPENDING s g - + 10 alice
            1) 1) "1-0"
               2) "alice"
               3) (integer) 0
               4) (integer) 1
            > XGROUP SETID s g 0
            OK
            ~ served
            > XADD s 2-0 f v
            "2-0"
            ~ served
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
                  2) 1) "2-0"
                     2) 1) "f"
                        2) "v"
        "#,
        );
    }
}
