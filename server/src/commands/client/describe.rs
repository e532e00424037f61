//! CLIENT INFO and CLIENT LIST: connections in words, read from the registry all cores share.

use crate::clients::{Client, ClientFlags, last_command};
use crate::connection::Connection;
use crate::registry::Registry;
use protocol::number;
use shard::args::Args;
use shard::{CommandError, Now};
use std::sync::atomic::Ordering;

/// Bytes of an idle connection that are in no buffer: its task, its state and its row.
const BASE_SIZE: usize =
    size_of::<Connection>() + size_of::<crate::peer::Peer>() + size_of::<Client>();
/// Bytes of waiting replies that Redis keeps in the connection itself (`obl`); what exceeds them it lists as `omem`.
const REPLY_BUFFER_SIZE: usize = 16 << 10;

pub(super) fn info(connection: &mut Connection) {
    let core = connection.core.clone();
    let mut text = Vec::new();
    describe(&connection.peer.client, &core.shared.registry, core.now(), &mut text);
    connection.reply(|writer| writer.verbatim(b"txt", &text));
}

pub(super) fn list(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let clients = &core.shared.clients;
    let chosen = if args.is_empty() {
        clients.all()
    } else if args.remaining() == 2 && args.take_token("type") {
        let kind = ClientType::parse(args.bytes()?)?;
        let mut all = clients.all();
        all.retain(|client| kind.is_of(client));
        all
    } else if args.remaining() >= 2 && args.take_token("id") {
        let mut chosen = Vec::new();
        for id in args.rest() {
            let id = number::parse_i64(id).ok_or(CommandError::text("ERR Invalid client ID"))?;
            chosen.extend(clients.get(id.cast_unsigned()));
        }
        chosen
    } else {
        return Err(CommandError::Syntax);
    };
    let mut text = Vec::new();
    for client in chosen {
        describe(&client, &core.shared.registry, core.now(), &mut text);
    }
    connection.reply(|writer| writer.verbatim(b"txt", &text));
    Ok(())
}

/// What CLIENT LIST and CLIENT KILL call a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientType {
    Normal,
    PubSub,
    Replica,
    Primary,
}

impl ClientType {
    pub(super) fn parse(word: &[u8]) -> Result<ClientType, CommandError> {
        let types = [
            ("normal", ClientType::Normal),
            ("slave", ClientType::Replica),
            ("replica", ClientType::Replica),
            ("pubsub", ClientType::PubSub),
            ("master", ClientType::Primary),
        ];
        let found = types.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word));
        let unknown = || CommandError::showing("ERR Unknown client type '", word, "'");
        found.map(|(_, kind)| *kind).ok_or_else(unknown)
    }

    pub(super) fn is_of(self, client: &Client) -> bool {
        let kind = match client.has_flag(ClientFlags::PUBSUB) {
            true => ClientType::PubSub,
            false => ClientType::Normal,
        };
        kind == self
    }
}

/// Appends the line of one connection, in the words and the order of Redis 7.2.
fn describe(client: &Client, registry: &Registry, now: Now, text: &mut Vec<u8>) {
    let seconds_since = |at_ms: i64| (now.unix_ms() - at_ms).max(0) / 1000;
    let query_len = client.query_len.load(Ordering::Relaxed) as usize;
    let query_free =
        (client.query_capacity.load(Ordering::Relaxed) as usize).saturating_sub(query_len);
    let output_len = client.output_len.load(Ordering::Relaxed);
    let output_excess = output_len.saturating_sub(REPLY_BUFFER_SIZE);
    let redirect = match client.has_flag(ClientFlags::TRACKING) {
        true => client.redirect.load(Ordering::Relaxed) as i64,
        false => -1,
    };
    let names = client.names();
    let mut field = |name: &str, value: &[u8]| {
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b' ');
        }
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value);
    };
    let show = |number: i64| number.to_string().into_bytes();
    field("id", &show(client.id as i64));
    field("addr", client.address().as_bytes());
    field("laddr", client.server_address().as_bytes());
    field("fd", &show(client.fd.load(Ordering::Relaxed).into()));
    field("name", &names.name);
    field("age", &show(seconds_since(client.connected_at_ms)));
    field("idle", &show(seconds_since(client.active_at_ms.load(Ordering::Relaxed))));
    let flags = client.flags.load(Ordering::Relaxed);
    field("flags", flag_letters(flags, client.is_waiting()).as_bytes());
    field("db", &show(client.db.load(Ordering::Relaxed).into()));
    field("sub", &show(client.channel_count.load(Ordering::Relaxed).into()));
    field("psub", &show(client.pattern_count.load(Ordering::Relaxed).into()));
    field("ssub", &show(client.shard_channel_count.load(Ordering::Relaxed).into()));
    field("multi", &show(client.queued_count.load(Ordering::Relaxed).into()));
    field("qbuf", &show(query_len as i64));
    field("qbuf-free", &show(query_free as i64));
    let queued_len = client.queued_len.load(Ordering::Relaxed) as usize;
    // Requests run from the buffer they arrived in, and replies wait in one buffer that grows as needed.
    field("argv-mem", b"0");
    field("multi-mem", &show(queued_len as i64));
    field("rbs", b"0");
    field("rbp", b"0");
    field("obl", &show((output_len - output_excess) as i64));
    field("oll", if output_excess > 0 { b"1" } else { b"0" });
    field("omem", &show(output_excess as i64));
    field("tot-mem", &show((BASE_SIZE + query_len + query_free + queued_len + output_len) as i64));
    field("events", if output_len > 0 { b"rw" } else { b"r" });
    field("cmd", command_name(client, registry).as_bytes());
    field("user", &names.user);
    field("redir", &show(redirect));
    field("resp", &show(client.resp.load(Ordering::Relaxed).into()));
    field("lib-name", &names.library);
    field("lib-ver", &names.library_version);
    text.push(b'\n');
}

/// The last command, `client|list` for a subcommand, `NULL` before the first.
fn command_name(client: &Client, registry: &Registry) -> String {
    match last_command(client) {
        Some(id) => registry.get(id).full_name().into_owned(),
        None => "NULL".to_owned(),
    }
}

/// The letters of `flags=`, in Redis's order; `N` if there is none.
fn flag_letters(flags: u32, is_waiting: bool) -> String {
    let has = |flag| flags & flag != 0;
    let letters = [
        (has(ClientFlags::MONITOR), 'O'),
        (has(ClientFlags::PUBSUB), 'P'),
        (has(ClientFlags::MULTI), 'x'),
        (is_waiting, 'b'),
        (has(ClientFlags::TRACKING), 't'),
        (has(ClientFlags::TRACKING_BROKEN_REDIRECT), 'R'),
        (has(ClientFlags::TRACKING_BCAST), 'B'),
        (has(ClientFlags::CLOSE_AFTER_REPLY), 'c'),
        (has(ClientFlags::UNIX_SOCKET), 'U'),
        (has(ClientFlags::NO_EVICT), 'e'),
        (has(ClientFlags::NO_TOUCH), 'T'),
    ];
    let set = letters.iter().filter(|(is_set, _)| *is_set);
    let shown: String = set.map(|(_, letter)| *letter).collect();
    if shown.is_empty() { "N".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_a_fixed_order() {
        assert_eq!(flag_letters(0, false), "N");
        assert_eq!(flag_letters(ClientFlags::AUTHENTICATED, false), "N");
        let flags = ClientFlags::NO_TOUCH | ClientFlags::PUBSUB;
        assert_eq!(flag_letters(flags, true), "PbT");
    }

    #[test]
    fn types_have_old_and_new_names() {
        assert_eq!(ClientType::parse(b"SLAVE"), Ok(ClientType::Replica));
        assert_eq!(ClientType::parse(b"replica"), Ok(ClientType::Replica));
        assert!(ClientType::parse(b"nonsense").is_err());
    }
}
