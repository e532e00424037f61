//! Commands that remove keys or ask whether they exist: DEL.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Body, Command, Merge, Run};
use crate::context::WriteContext;
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -2,
        flags: Flags::WRITE,
        categories: Categories::KEYSPACE,
        keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RM, KeyFlags::DELETE]), 1, -1, 1)],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        docs: &DEL,
        ..CommandSpec::new("del", Group::Generic)
    },
    run: Run::Split { body: Body::Write(del), merge: Merge::Sum },
}];
const _: () = check(COMMANDS);

fn del(
    ctx: &mut WriteContext<'_>,
    args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut removed_count = 0;
    for key in args.rest() {
        if ctx.find(key).is_some() {
            ctx.db().remove(key);
            ctx.changed(key, Event::DEL);
            removed_count += 1;
        }
    }
    reply.integer(removed_count);
    Ok(if removed_count == 0 { Written::unchanged() } else { Written::reported() })
}

const DEL: Docs = Docs {
    summary: "Removes keys.",
    since: "1.0.0",
    complexity: "O(1) per key",
    arguments: &[Argument::key("key").repeated()],
    examples: &["> SET a 1\nOK\n> DEL a b\n(integer) 1"],
    ..Docs::NONE
};
