//! COMMAND: the command table, told to clients.
//!
//! Everything is read from the rows, so that what is told is what the dispatcher does.

mod describe;
mod docs;
mod list;

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::registry::{Kind, Registered};
use protocol::command::{CommandSpec, Flags, KeyFlags, KeySpec, key_spec};
use protocol::request::{Argv, ArgvBuf};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] =
    &[ServerCommand { spec: docs::SPEC, run: ServerRun::Now(command) }];

fn command(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.is_empty() {
        info(connection, args);
        return Ok(());
    }
    match args.bytes()?.to_ascii_lowercase().as_slice() {
        b"count" => {
            let count = connection.core.shared.registry.callable().len();
            connection.reply(|writer| writer.integer(count as i64));
        }
        b"docs" => document(connection, args),
        b"getkeys" => get_keys(connection, args, false)?,
        b"getkeysandflags" => get_keys(connection, args, true)?,
        b"info" => info(connection, args),
        b"list" => list::list(connection, args)?,
        _ => connection.reply_help(&COMMANDS[0].spec),
    }
    Ok(())
}

fn info(connection: &mut Connection, args: Args<'_>) {
    let core = connection.core.clone();
    let registry = &core.shared.registry;
    let rows: Vec<Option<&Registered>> = match args.is_empty() {
        true => registry.callable().into_iter().map(Some).collect(),
        false => args.rest().map(|name| registry.find_full(name)).collect(),
    };
    connection.reply(|writer| {
        writer.array(rows.len());
        for row in rows {
            match row {
                Some(row) => describe::info(writer, registry, row),
                None => writer.null(),
            }
        }
    });
}

fn document(connection: &mut Connection, args: Args<'_>) {
    let core = connection.core.clone();
    let registry = &core.shared.registry;
    let rows: Vec<&Registered> = match args.is_empty() {
        true => registry.callable(),
        false => args.rest().filter_map(|name| registry.find_full(name)).collect(),
    };
    connection.reply(|writer| {
        writer.map(rows.len());
        for row in rows {
            writer.bulk(row.full_name().as_bytes());
            describe::document(writer, registry, row);
        }
    });
}

/// GETKEYS and GETKEYSANDFLAGS.
fn get_keys(
    connection: &mut Connection,
    args: Args<'_>,
    is_with_flags: bool,
) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let request: ArgvBuf = args.rest().collect();
    let request = request.as_argv();
    let row = core.shared.registry.find_request(request);
    let row = row.ok_or(CommandError::text("ERR Invalid command specified"))?;
    let has_keys = |flags: KeyFlags| !flags.contains(KeyFlags::NOT_KEY);
    if !row.spec.keys.iter().any(|spec| has_keys(spec.flags)) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !row.spec.accepts(request.len()) {
        return Err(CommandError::text("ERR Invalid number of arguments specified for command"));
    }
    let mut keys: Vec<(usize, KeyFlags)> = Vec::new();
    for spec in row.spec.keys {
        key_spec::key_indices(std::slice::from_ref(spec), request, |index| {
            keys.push((index, flags_of(row.spec, spec, request)));
        });
    }
    if let Kind::Shard(command) = row.kind
        && let Some(index) = command.extra_key(request)
    {
        keys.push((index, KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE])));
    }
    if keys.is_empty() && !row.is(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::text("ERR Invalid arguments specified for command"));
    }
    connection.reply(|writer| {
        writer.array(keys.len());
        for (index, flags) in &keys {
            let key = request.get(*index).unwrap_or_default();
            if is_with_flags {
                writer.array(2);
                writer.bulk(key);
                describe::words(writer, flags.names());
            } else {
                writer.bulk(key);
            }
        }
    });
    Ok(())
}

/// What a request does to its keys, where that depends on its arguments.
fn flags_of(command: &CommandSpec, keys: &KeySpec, request: Argv<'_>) -> KeyFlags {
    if !keys.flags.contains(KeyFlags::VARIABLE_FLAGS) {
        return keys.flags;
    }
    const READ_AND_CHANGE: KeyFlags =
        KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]);
    let mut options = request.iter().skip(2);
    let has = |word: &[u8], arg: &[u8]| arg.eq_ignore_ascii_case(word);
    match command.name {
        "set" if options.clone().skip(1).any(|arg| has(b"get", arg)) => READ_AND_CHANGE,
        "set" => KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]),
        "bitfield" if options.any(|arg| has(b"set", arg) || has(b"incrby", arg)) => READ_AND_CHANGE,
        "bitfield" => KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
        _ => keys.flags,
    }
}
