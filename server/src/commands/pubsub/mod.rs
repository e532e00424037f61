//! Publish and subscribe: PUBLISH SPUBLISH, SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE, PUBSUB.

mod docs;
mod inspect;
mod subscribe;

use super::{LaterFn, ServerCommand, ServerRun};
use crate::pubsub::Topic;
use protocol::command::{CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: 3,
            flags: PUBLISHES,
            docs: &docs::PUBLISH,
            ..CommandSpec::new("publish", Group::PubSub)
        },
        run: ServerRun::Publish(Topic::Channel),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: 3,
            flags: PUBLISHES,
            keys: &[KeySpec::first(KeyFlags::NOT_KEY)],
            docs: &docs::SPUBLISH,
            ..CommandSpec::new("spublish", Group::PubSub)
        },
        run: ServerRun::Publish(Topic::ShardChannel),
    },
    row("subscribe", -2, &[], &docs::SUBSCRIBE, subscribe::subscribe),
    row("unsubscribe", -1, &[], &docs::UNSUBSCRIBE, subscribe::unsubscribe),
    row("psubscribe", -2, &[], &docs::PSUBSCRIBE, subscribe::psubscribe),
    row("punsubscribe", -1, &[], &docs::PUNSUBSCRIBE, subscribe::punsubscribe),
    row("ssubscribe", -2, SHARD_CHANNELS, &docs::SSUBSCRIBE, subscribe::ssubscribe),
    row("sunsubscribe", -1, SHARD_CHANNELS, &docs::SUNSUBSCRIBE, subscribe::sunsubscribe),
    ServerCommand { spec: inspect::PUBSUB, run: ServerRun::Later(inspect::pubsub) },
];

const PUBLISHES: Flags =
    Flags::of(&[Flags::FAST, Flags::LOADING, Flags::PUBSUB, Flags::STALE, Flags::MAY_REPLICATE]);
const LISTENS: Flags = Flags::of(&[Flags::LOADING, Flags::NOSCRIPT, Flags::PUBSUB, Flags::STALE]);
const SHARD_CHANNELS: &[KeySpec] = &[KeySpec::range(KeyFlags::NOT_KEY, 1, -1, 1)];

/// A command that begins or ends subscriptions.
const fn row(
    name: &'static str,
    arity: i8,
    keys: &'static [KeySpec],
    docs: &'static Docs,
    run: LaterFn,
) -> ServerCommand {
    let spec =
        CommandSpec { arity, flags: LISTENS, keys, docs, ..CommandSpec::new(name, Group::PubSub) };
    ServerCommand { spec, run: ServerRun::Later(run) }
}
