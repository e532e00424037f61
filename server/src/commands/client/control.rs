//! How connections are served: CLIENT KILL UNBLOCK PAUSE UNPAUSE REPLY NO-EVICT NO-TOUCH.

use super::describe::ClientType;
use super::on_or_off;
use crate::clients::{Client, ClientFlags};
use crate::commands::connection::DEFAULT_USER;
use crate::commands::help::wrong_arguments;
use crate::connection::{Connection, ReplyMode};
use crate::core::Core;
use crate::message::{Answer, CoreQuestion, Message, Notice, Question};
use crate::peer::Close;
use crate::runtime::reactor::SocketKey;
use protocol::command::Flags;
use protocol::number;
use shard::CommandError;
use shard::args::Args;
use std::sync::atomic::Ordering;

/// Which connections CLIENT KILL closes: those that pass every filter given.
struct Filters<'a> {
    id: Option<u64>,
    kind: Option<ClientType>,
    address: Option<&'a [u8]>,
    server_address: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    is_self_spared: bool,
}

impl<'a> Filters<'a> {
    const NONE: Filters<'static> = Filters {
        id: None,
        kind: None,
        address: None,
        server_address: None,
        user: None,
        is_self_spared: true,
    };

    /// Reads `ID 3 TYPE normal …`.
    fn parse(mut args: Args<'a>) -> Result<Filters<'a>, CommandError> {
        let mut filters = Filters::NONE;
        while !args.is_empty() {
            let name = args.bytes()?;
            let value = args.bytes()?;
            match name.to_ascii_lowercase().as_slice() {
                b"id" => filters.id = Some(client_id(value)?),
                b"type" => filters.kind = Some(ClientType::parse(value)?),
                b"addr" => filters.address = Some(value),
                b"laddr" => filters.server_address = Some(value),
                b"user" if value == DEFAULT_USER => filters.user = Some(value),
                b"user" => {
                    return Err(CommandError::showing("ERR No such user '", value, "'"));
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filters.is_self_spared = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filters.is_self_spared = false,
                _ => return Err(CommandError::Syntax),
            }
        }
        Ok(filters)
    }

    fn accept(&self, client: &Client, own_id: u64) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind.is_of(client))
            && self.address.is_none_or(|address| address == client.address().as_bytes())
            && self.server_address.is_none_or(|a| a == client.server_address().as_bytes())
            && self.user.is_none_or(|user| user == &*client.names().user)
            && !(self.is_self_spared && client.id == own_id)
    }
}

fn client_id(text: &[u8]) -> Result<u64, CommandError> {
    match number::parse_i64(text) {
        Some(id @ 1..) => Ok(id.unsigned_abs()),
        _ => Err(CommandError::text("ERR client-id should be greater than 0")),
    }
}

pub(super) async fn kill(
    connection: &mut Connection,
    mut args: Args<'_>,
) -> Result<(), CommandError> {
    let is_old_form = args.remaining() == 1;
    let filters = match is_old_form {
        true => Filters { address: Some(args.bytes()?), is_self_spared: false, ..Filters::NONE },
        false => Filters::parse(args)?,
    };
    let core = connection.core.clone();
    let own_id = connection.peer.client.id;
    let mut killed_count = 0;
    for client in core.shared.clients.all() {
        if !filters.accept(&client, own_id) {
            continue;
        }
        if client.id == own_id {
            connection.peer.order_close(Close::AfterReplies);
            killed_count += 1;
            continue;
        }
        let token = SocketKey::from_token(client.token.load(Ordering::Relaxed));
        let question = Question::Core(CoreQuestion::CloseClient(token));
        let is_closed = core.ask(client.core.into(), question).await;
        killed_count += i64::from(matches!(is_closed, Answer::Done(true)));
    }
    if is_old_form && killed_count == 0 {
        return Err(CommandError::text("ERR No such client"));
    }
    connection.reply(|writer| match is_old_form {
        true => writer.ok(),
        false => writer.integer(killed_count),
    });
    Ok(())
}

pub(super) async fn unblock(
    connection: &mut Connection,
    mut args: Args<'_>,
) -> Result<(), CommandError> {
    if args.remaining() > 2 {
        return Err(wrong_arguments(args.argv()));
    }
    let id = args.bytes()?;
    let is_error = match args.is_empty() {
        true => false,
        false if args.take_token("timeout") => false,
        false if args.take_token("error") => true,
        false => {
            let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(CommandError::text(text));
        }
    };
    let id = number::parse_i64(id).ok_or(CommandError::NotInteger)?;
    let core = connection.core.clone();
    let mut is_unblocked = false;
    if let Some(client) = core.shared.clients.get(id.cast_unsigned()) {
        let token = SocketKey::from_token(client.token.load(Ordering::Relaxed));
        let question = Question::Core(CoreQuestion::UnblockClient { token, is_error });
        is_unblocked = matches!(core.ask(client.core.into(), question).await, Answer::Done(true));
    }
    connection.reply(|writer| writer.integer(is_unblocked.into()));
    Ok(())
}

pub(super) fn pause(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 2 {
        return Err(wrong_arguments(args.argv()));
    }
    let timeout = args.bytes()?;
    let is_writes_only = match args.is_empty() {
        true => false,
        false if args.take_token("write") => true,
        false if args.take_token("all") => false,
        false => return Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let until_ms = pause_end_ms(timeout, connection.core.now().unix_ms())?;
    connection.core.pause(until_ms, is_writes_only);
    connection.reply(|writer| writer.ok());
    Ok(())
}

/// When a pause of `timeout` milliseconds that begins now ends; 0 for none at all.
fn pause_end_ms(timeout: &[u8], now_ms: i64) -> Result<i64, CommandError> {
    let text = "ERR timeout is not an integer or out of range";
    match number::parse_i64(timeout).ok_or(CommandError::text(text))? {
        0 => Ok(0),
        ms @ 1.. => ms.checked_add(now_ms).ok_or(CommandError::text("ERR timeout is out of range")),
        _ => Err(CommandError::TimeoutNegative),
    }
}

pub(super) fn unpause(connection: &mut Connection) {
    let core = connection.core.clone();
    core.shared.paused_until_ms.store(0, Ordering::Release);
    for other in 0..core.shared.shard_count() {
        core.post(other, Message::Tell(Box::new(Notice::Unpaused)));
    }
    connection.reply(|writer| writer.ok());
}

pub(super) fn reply(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let mode = &mut connection.session.reply_mode;
    if args.take_token("on") {
        *mode = ReplyMode::On;
        connection.reply(|writer| writer.ok());
    } else if args.take_token("off") {
        *mode = ReplyMode::Off;
    } else if args.take_token("skip") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

pub(super) fn no_evict(connection: &mut Connection, args: Args<'_>) -> Result<(), CommandError> {
    connection.peer.client.set_flag(ClientFlags::NO_EVICT, on_or_off(args)?);
    connection.reply(|writer| writer.ok());
    Ok(())
}

pub(super) fn no_touch(connection: &mut Connection, args: Args<'_>) -> Result<(), CommandError> {
    connection.set_no_touch(on_or_off(args)?);
    connection.reply(|writer| writer.ok());
    Ok(())
}

impl Core {
    /// Holds back commands until then, on all cores. A pause under way is neither shortened nor made milder.
    fn pause(&self, until_ms: i64, is_writes_only: bool) {
        let shared = &self.shared;
        let is_all_paused = shared.paused_until_ms.load(Ordering::Acquire) > self.now().unix_ms()
            && !shared.is_pausing_writes_only.load(Ordering::Relaxed);
        shared.is_pausing_writes_only.store(is_writes_only && !is_all_paused, Ordering::Relaxed);
        shared.paused_until_ms.fetch_max(until_ms, Ordering::AcqRel);
        self.shard_mut().hold_expiry(self.is_paused(Flags::WRITE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn error_of(words: &[&str]) -> String {
        let argv: ArgvBuf = words.iter().map(|word| word.as_bytes()).collect();
        let error = Filters::parse(Args::new(argv.as_argv())).err().expect("an error");
        String::from_utf8(error.as_bytes().into_owned()).unwrap()
    }

    #[test]
    fn filters_are_pairs_of_words() {
        assert_eq!(error_of(&["client", "ID"]), "ERR syntax error");
        assert_eq!(error_of(&["client", "COLOUR", "red"]), "ERR syntax error");
        assert_eq!(error_of(&["client", "SKIPME", "maybe"]), "ERR syntax error");
        assert_eq!(error_of(&["client", "USER", "nobody"]), "ERR No such user 'nobody'");
        assert_eq!(error_of(&["client", "ID", "0"]), "ERR client-id should be greater than 0");
    }

    #[test]
    fn a_pause_ends_some_time_from_now() {
        assert_eq!(pause_end_ms(b"0", 1000), Ok(0));
        assert_eq!(pause_end_ms(b"5", 1000), Ok(1005));
        assert_eq!(pause_end_ms(b"-1", 1000), Err(CommandError::TimeoutNegative));
        assert!(pause_end_ms(b"9223372036854775807", 1000).is_err());
        assert!(pause_end_ms(b"soon", 1000).is_err());
    }
}
