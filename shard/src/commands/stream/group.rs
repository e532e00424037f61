//! Groups and their consumers: XGROUP CREATE, SETID, DESTROY, CREATECONSUMER, DELCONSUMER, HELP.
//!
//! Path: `shard::Shard::execute` -> here -> `types::stream::group`.

use super::arguments::{no_group_of_key, parse_any_id, parse_id, wrong_subcommand};
use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::ValueMut;
use crate::types::stream::{Stream, StreamId};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::number;
use protocol::reply::Writer;
use protocol::request::Argv;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -2,
        docs: &XGROUP,
        subcommands: &[
            CommandSpec {
                arity: -5,
                flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]), 2, 0, 1)],
                docs: &XGROUP_CREATE,
                ..CommandSpec::new("create", Group::Stream)
            },
            CommandSpec {
                arity: 5,
                flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::INSERT]), 2, 0, 1)],
                docs: &XGROUP_CREATECONSUMER,
                ..CommandSpec::new("createconsumer", Group::Stream)
            },
            CommandSpec {
                arity: 5,
                flags: Flags::WRITE,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]), 2, 0, 1)],
                docs: &XGROUP_DELCONSUMER,
                ..CommandSpec::new("delconsumer", Group::Stream)
            },
            CommandSpec {
                arity: 4,
                flags: Flags::WRITE,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::DELETE]), 2, 0, 1)],
                docs: &XGROUP_DESTROY,
                ..CommandSpec::new("destroy", Group::Stream)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                categories: Categories::STREAM,
                docs: &XGROUP_HELP,
                ..CommandSpec::new("help", Group::Stream)
            },
            CommandSpec {
                arity: -5,
                flags: Flags::WRITE,
                categories: Categories::STREAM,
                keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::UPDATE]), 2, 0, 1)],
                docs: &XGROUP_SETID,
                ..CommandSpec::new("setid", Group::Stream)
            },
        ],
        ..CommandSpec::new("xgroup", Group::Stream)
    },
    run: Run::Write(xgroup),
}];
const _: () = check(COMMANDS);

/// What XGROUP HELP replies.
const HELP_LINES: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Makes a group that has read up to <id>. Options:",
    "    * MKSTREAM",
    "      Make an empty stream if there is none.",
    "    * ENTRIESREAD entries_read",
    "      How many entries it has read (for internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Makes a consumer of a group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Removes a consumer of a group.",
    "DESTROY <key> <groupname>",
    "    Removes a group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Sets how far a group has read.",
    "HELP",
    "    These lines.",
];

/// A subcommand with its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create { makes_stream: bool, entries_read: Option<i64> },
    SetId { entries_read: Option<i64> },
    Destroy,
    CreateConsumer,
    DeleteConsumer,
}

/// Runs a subcommand, which the dispatcher has found to exist and to have enough arguments. Journal: verbatim.
fn xgroup(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let argv = args.argv();
    if args.take_token("HELP") {
        reply.array(HELP_LINES.len());
        HELP_LINES.iter().for_each(|line| reply.status(line));
        return Ok(Written::unchanged());
    }
    let action = parse(argv)?;
    args.skip();
    let (key, group) = (args.key()?, args.bytes()?);
    let is_stream_there = match ctx.get::<Stream>(key)? {
        None if !matches!(action, Action::Create { makes_stream: true, .. }) => {
            return Err(CommandError::text(
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may \
                 want to use the MKSTREAM option to create an empty stream automatically.",
            ));
        }
        found => found.is_some(),
    };
    match action {
        Action::Create { entries_read, .. } => {
            create(ctx, (key, group), args.bytes()?, entries_read)?;
            reply.ok();
            if is_stream_there {
                ctx.changed_aside(key, Event::XGROUP_CREATE);
            } else {
                ctx.changed(key, Event::XGROUP_CREATE);
            }
        }
        Action::SetId { entries_read } => {
            let mut stream = existing_group(ctx, key, group)?;
            let id = match args.bytes()? {
                b"$" => stream.entries.last_id(),
                text => parse_any_id(text, 0)?,
            };
            let mut group = stream.groups.get_mut(group).expect("it was found");
            (group.last_id, group.entries_read) = (id, entries_read);
            drop(group);
            drop(stream);
            reply.ok();
            ctx.changed_aside(key, Event::XGROUP_SETID);
        }
        Action::Destroy => {
            let mut stream = ctx.get_mut::<Stream>(key)?.expect("it was found");
            let is_destroyed = stream.groups.remove(group);
            drop(stream);
            reply.integer(i64::from(is_destroyed));
            if !is_destroyed {
                return Ok(Written::unchanged());
            }
            ctx.changed_aside(key, Event::XGROUP_DESTROY);
            ctx.wake_waiters(key);
        }
        Action::CreateConsumer => {
            let now_ms = ctx.now.unix_ms();
            let mut stream = existing_group(ctx, key, group)?;
            let mut group = stream.groups.get_mut(group).expect("it was found");
            let name = args.bytes()?;
            let is_new = group.find(name).is_none();
            if is_new {
                group.add_consumer(name, now_ms);
            }
            drop(group);
            drop(stream);
            reply.integer(i64::from(is_new));
            if !is_new {
                return Ok(Written::unchanged());
            }
            ctx.changed_aside(key, Event::XGROUP_CREATECONSUMER);
        }
        Action::DeleteConsumer => {
            let mut stream = existing_group(ctx, key, group)?;
            let mut group = stream.groups.get_mut(group).expect("it was found");
            let removed = group.find(args.bytes()?).map(|consumer| group.remove_consumer(consumer));
            drop(group);
            drop(stream);
            reply.integer(removed.unwrap_or(0) as i64);
            if removed.is_none() {
                return Ok(Written::unchanged());
            }
            ctx.changed_aside(key, Event::XGROUP_DELCONSUMER);
        }
    }
    Ok(Written::reported())
}

/// Reads the subcommand and its options, which Redis does before it looks at the key.
fn parse(argv: Argv<'_>) -> Result<Action, CommandError> {
    let word = argv.get(1).unwrap_or_default().to_ascii_lowercase();
    let takes_entries_read = matches!(&*word, b"create" | b"setid");
    let mut makes_stream = false;
    let mut entries_read = None;
    let mut index = 5;
    while let Some(option) = argv.get(index) {
        if &*word == b"create" && option.eq_ignore_ascii_case(b"MKSTREAM") {
            makes_stream = true;
            index += 1;
        } else if takes_entries_read
            && option.eq_ignore_ascii_case(b"ENTRIESREAD")
            && let Some(count) = argv.get(index + 1)
        {
            let count = number::parse_i64(count).ok_or(CommandError::NotInteger)?;
            if count < -1 {
                return Err(CommandError::text("ERR value for ENTRIESREAD must be positive or -1"));
            }
            entries_read = Some(count).filter(|count| *count >= 0);
            index += 2;
        } else {
            return Err(wrong_subcommand(argv));
        }
    }
    match (&*word, argv.len()) {
        (b"create", 5..=8) => Ok(Action::Create { makes_stream, entries_read }),
        (b"setid", 5 | 7) => Ok(Action::SetId { entries_read }),
        (b"destroy", 4) => Ok(Action::Destroy),
        (b"createconsumer", 5) => Ok(Action::CreateConsumer),
        (b"delconsumer", 5) => Ok(Action::DeleteConsumer),
        _ => Err(wrong_subcommand(argv)),
    }
}

/// The stream, which exists, if it has the group.
fn existing_group<'c>(
    ctx: &'c mut WriteContext<'_>,
    key: &[u8],
    group: &[u8],
) -> Result<ValueMut<'c, Stream>, CommandError> {
    let stream = ctx.get_mut::<Stream>(key)?.expect("it was found");
    match stream.groups.get(group) {
        Some(_) => Ok(stream),
        None => Err(no_group_of_key(key, group)),
    }
}

/// Makes a group, and the stream if it is not there.
fn create(
    ctx: &mut WriteContext<'_>,
    (key, group): (&[u8], &[u8]),
    id: &[u8],
    entries_read: Option<i64>,
) -> Result<(), CommandError> {
    let given_id = if id == b"$" { None } else { Some(parse_id(id)?) };
    let mut stream = ctx.get_or_create::<Stream>(key)?;
    let last_id: StreamId = given_id.unwrap_or(stream.entries.last_id());
    if !stream.groups.add(group, last_id, entries_read) {
        return Err(CommandError::text("BUSYGROUP Consumer Group name already exists"));
    }
    Ok(())
}

const XGROUP: Docs = Docs {
    summary: "Manages consumer groups; a container.",
    since: "5.0.0",
    complexity: "Depends on the subcommand",
    ..Docs::NONE
};

const XGROUP_CREATE: Docs = Docs {
    summary: "Makes a consumer group.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::one_of("id-selector", &[Argument::string("id"), Argument::word("new-id", "$")]),
        Argument::word("mkstream", "MKSTREAM").optional(),
        Argument::integer("entries-read").token("ENTRIESREAD").optional(),
    ],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XGROUP CREATE jobs painters $\n(error) BUSYGROUP Consumer Group name already exists",
    ],
    ..Docs::NONE
};

const XGROUP_CREATECONSUMER: Docs = Docs {
    summary: "Makes a consumer of a group.",
    since: "6.2.0",
    complexity: "O(1)",
    arguments: &[Argument::key("key"), Argument::string("group"), Argument::string("consumer")],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XGROUP CREATECONSUMER jobs painters alice\n(integer) 1\n> XGROUP CREATECONSUMER jobs painters alice\n(integer) 0",
    ],
    ..Docs::NONE
};

const XGROUP_DELCONSUMER: Docs = Docs {
    summary: "Removes a consumer of a group, and forgets what it has not acknowledged.",
    since: "5.0.0",
    complexity: "O(m log n), m entries pending",
    arguments: &[Argument::key("key"), Argument::string("group"), Argument::string("consumer")],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XGROUP CREATECONSUMER jobs painters alice\n(integer) 1\n> XGROUP DELCONSUMER jobs painters alice\n(integer) 0",
    ],
    ..Docs::NONE
};

const XGROUP_DESTROY: Docs = Docs {
    summary: "Removes a consumer group.",
    since: "5.0.0",
    complexity: "O(n), n entries pending",
    arguments: &[Argument::key("key"), Argument::string("group")],
    examples: &[
        "> XGROUP CREATE jobs painters $ MKSTREAM\nOK\n> XGROUP DESTROY jobs painters\n(integer) 1\n> XGROUP DESTROY jobs painters\n(integer) 0",
    ],
    ..Docs::NONE
};

const XGROUP_HELP: Docs = Docs {
    summary: "Lists the subcommands of XGROUP.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const XGROUP_SETID: Docs = Docs {
    summary: "Sets how far a consumer group has read.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::key("key"),
        Argument::string("group"),
        Argument::one_of("id-selector", &[Argument::string("id"), Argument::word("new-id", "$")]),
        Argument::integer("entriesread").token("ENTRIESREAD").shown_as("entries-read").optional(),
    ],
    examples: &[
        "> XADD jobs 1-0 job paint\n\"1-0\"\n> XGROUP CREATE jobs painters $\nOK\n> XGROUP SETID jobs painters 0\nOK\n> XREADGROUP GROUP painters alice STREAMS jobs >\n1) 1) \"jobs\"\n   2) 1) 1) \"1-0\"\n         2) 1) \"job\"\n            2) \"paint\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn mistakes_are_found_in_the_order_of_redis() {
        check(
            r#"
            > XGROUP CREATE s g x
            (error) ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
            > XGROUP CREATE s g x MKSTREAM
            (error) ERR Invalid stream ID specified as stream command argument
            > EXISTS s
            (integer) 0
            > XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 5
            OK
            > XGROUP CREATE s h $ ENTRIESREAD -2
            (error) ERR value for ENTRIESREAD must be positive or -1
            > XGROUP CREATE s h $ ENTRIESREAD x
            (error) ERR value is not an integer or out of range
            > XGROUP create s h $ ENTRIESREAD
            (error) ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.
            > XGROUP CREATE s h $ MKSTREAM MKSTREAM MKSTREAM MKSTREAM
            (error) ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.
            > XGROUP SETID s g $ MKSTREAM
            (error) ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.
            > XGROUP SETID s h $
            (error) NOGROUP No such consumer group 'h' for key name 's'
            > XGROUP CREATECONSUMER s h c
            (error) NOGROUP No such consumer group 'h' for key name 's'
            > XGROUP DELCONSUMER s h c
            (error) NOGROUP No such consumer group 'h' for key name 's'
            > XGROUP DESTROY s h
            (integer) 0
            > SET text x
            OK
            > XGROUP CREATE text g $ MKSTREAM
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > XGROUP DESTROY none g
            (error) ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.
            > XGROUP SETID s g +
            OK
            > XGROUP CREATE s i -
            (error) ERR Invalid stream ID specified as stream command argument
            ~ journal
            XGROUP CREATE s g $ MKSTREAM ENTRIESREAD 5
            SET text x
            XGROUP SETID s g +
            ~ events
            xgroup-create s
            set text
            xgroup-setid s
        "#,
        );
    }

    #[test]
    fn a_consumer_goes_with_what_it_had() {
        check(
            r#"
            > XADD s 1-0 f v
            "1-0"
            > XGROUP CREATE s g 0
            OK
            > XREADGROUP GROUP g alice STREAMS s >
            1) 1) "s"
               2) 1) 1) "1-0"
                     2) 1) "f"
                        2) "v"
            > XGROUP DELCONSUMER s g bob
            (integer) 0
            > XGROUP DELCONSUMER s g alice
            (integer) 1
            > XPENDING s g
            1) (integer) 0
            2) (nil)
            3) (nil)
            4) (nil)
            ~ events
            xadd s
            xgroup-create s
            xgroup-createconsumer s
            xgroup-delconsumer s
        "#,
        );
    }
}
