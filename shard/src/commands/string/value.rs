//! Commands that read or replace a whole string: GET SET.
//!
//! Path: `shard::Shard::execute` -> here -> `types::string`.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::types::string::Str;
use crate::value::Value;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
            docs: &GET,
            ..CommandSpec::new("get", Group::String)
        },
        run: Run::Read(get),
    },
    Command {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::STRING,
            keys: &[KeySpec::first(KeyFlags::of(&[
                KeyFlags::RW,
                KeyFlags::ACCESS,
                KeyFlags::UPDATE,
                KeyFlags::VARIABLE_FLAGS,
            ]))
            .noted("RW and ACCESS due to the optional `GET` argument")],
            docs: &SET,
            ..CommandSpec::new("set", Group::String)
        },
        run: Run::Write(set),
    },
];
const _: () = check(COMMANDS);

/// Reads a string.
fn get(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    match ctx.get::<Str>(args.key()?)? {
        Some(string) => string.with_bytes(|bytes| reply.bulk(bytes)),
        None => reply.null(),
    }
    Ok(())
}

fn set(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let key = args.key()?;
    let value = args.bytes()?;
    ctx.db().insert(key, Entry::new(Value::String(Str::new(value))));
    reply.ok();
    Ok(Written::changed(Event::SET))
}

const GET: Docs = Docs {
    summary: "Returns the string that a key holds.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key")],
    examples: &["> SET k v\nOK\n> GET k\n\"v\"\n> GET none\n(nil)"],
    ..Docs::NONE
};

const SET: Docs = Docs {
    summary: "Stores a string under a key.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("value")],
    examples: &["> SET k v\nOK"],
    ..Docs::NONE
};
