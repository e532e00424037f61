//! PUBSUB: who listens to what. Channels are asked for where they are owned; patterns are known on every core.

use super::docs;
use crate::commands::LaterReply;
use crate::commands::help::wrong_arguments;
use crate::connection::Connection;
use crate::message::{Answer, CoreQuestion, Question};
use crate::pubsub::Topic;
use crate::router;
use protocol::command::{CommandSpec, Docs, Flags, Group};
use shard::args::Args;

pub(super) const PUBSUB: CommandSpec = CommandSpec {
    arity: -2,
    docs: &docs::PUBSUB,
    subcommands: &[
        row("channels", -2, &docs::CHANNELS),
        CommandSpec {
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            ..row("help", 2, &docs::HELP)
        },
        row("numpat", 2, &docs::NUMPAT),
        row("numsub", -2, &docs::NUMSUB),
        row("shardchannels", -2, &docs::SHARDCHANNELS),
        row("shardnumsub", -2, &docs::SHARDNUMSUB),
    ],
    ..CommandSpec::new("pubsub", Group::PubSub)
};

const fn row(name: &'static str, arity: i8, docs: &'static Docs) -> CommandSpec {
    CommandSpec {
        arity,
        flags: Flags::of(&[Flags::LOADING, Flags::PUBSUB, Flags::STALE]),
        docs,
        ..CommandSpec::new(name, Group::PubSub)
    }
}

pub(super) fn pubsub<'a>(connection: &'a mut Connection, mut args: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        let word = args.bytes()?;
        let subcommand = PUBSUB.subcommand(word).expect("the gates let known subcommands through");
        match subcommand.name {
            "help" => connection.reply_help(&PUBSUB),
            "numpat" => {
                let count = connection.core.pubsub.borrow().pattern_count();
                connection.reply(|writer| writer.integer(count as i64));
            }
            "channels" | "shardchannels" => {
                if args.remaining() > 1 {
                    return Err(wrong_arguments(args.argv()));
                }
                let pattern = args.bytes().ok();
                list_channels(connection, topic_of(subcommand.name), pattern).await;
            }
            _ => count_subscribers(connection, topic_of(subcommand.name), args).await,
        }
        Ok(())
    })
}

fn topic_of(subcommand: &str) -> Topic {
    if subcommand.starts_with("shard") { Topic::ShardChannel } else { Topic::Channel }
}

async fn list_channels(connection: &mut Connection, topic: Topic, pattern: Option<&[u8]>) {
    let core = connection.core.clone();
    let question = |_| Question::Core(CoreQuestion::Channels(topic, pattern.map(<[u8]>::to_vec)));
    let names = core.ask_all(question).await.into_iter().flat_map(|answer| match answer {
        Answer::Names(names) => names,
        _ => unreachable!("channels are answered with names"),
    });
    let names: Vec<Vec<u8>> = names.collect();
    connection.reply(|writer| {
        writer.array(names.len());
        names.iter().for_each(|name| writer.bulk(name));
    });
}

async fn count_subscribers(connection: &mut Connection, topic: Topic, args: Args<'_>) {
    let core = connection.core.clone();
    let channels: Vec<&[u8]> = args.rest().collect();
    let owners: Vec<usize> =
        channels.iter().map(|name| router::shard_of(&core, Some(name))).collect();
    let question = |owner: usize| {
        let owned = channels.iter().zip(&owners).filter(|(_, at)| **at == owner);
        let owned = owned.map(|(name, _)| name.to_vec()).collect();
        Question::Core(CoreQuestion::SubscriberCounts(topic, owned))
    };
    let mut counts: Vec<_> = core
        .ask_all(question)
        .await
        .into_iter()
        .map(|answer| match answer {
            Answer::Counts(counts) => counts.into_iter(),
            _ => unreachable!("subscribers are answered with counts"),
        })
        .collect();
    connection.reply(|writer| {
        writer.array(2 * channels.len());
        for (name, owner) in channels.iter().zip(&owners) {
            writer.bulk(name);
            let count = counts[*owner].next().expect("one count for each channel asked for");
            writer.integer(count as i64);
        }
    });
}
