//! Documentation of the commands of publish and subscribe.

use protocol::command::{Argument, Docs};

pub(super) const PUBLISH: Docs = Docs {
    summary: "Sends a message to the subscribers of a channel.",
    since: "2.0.0",
    complexity: "O(patterns), plus one message per core with subscribers and one send per subscriber",
    arguments: &[Argument::string("channel"), Argument::string("message")],
    examples: &["> PUBLISH news hello\n(integer) 0"],
    ..Docs::NONE
};

pub(super) const SPUBLISH: Docs = Docs {
    summary: "Sends a message to the subscribers of a shard channel.",
    since: "7.0.0",
    complexity: "O(1), plus one message per core with subscribers and one send per subscriber",
    arguments: &[Argument::string("shardchannel"), Argument::string("message")],
    examples: &["> SPUBLISH news hello\n(integer) 0"],
    ..Docs::NONE
};

pub(super) const SUBSCRIBE: Docs = Docs {
    summary: "Listens to messages of channels.",
    since: "2.0.0",
    complexity: "O(1) per channel",
    arguments: &[Argument::string("channel").repeated()],
    examples: &["> SUBSCRIBE news\n1) \"subscribe\"\n2) \"news\"\n3) (integer) 1"],
    ..Docs::NONE
};

pub(super) const PSUBSCRIBE: Docs = Docs {
    summary: "Listens to messages of all channels whose name matches a pattern.",
    since: "2.0.0",
    complexity: "O(cores) per pattern; every message published is then compared with it",
    arguments: &[Argument::pattern("pattern").repeated()],
    examples: &["> PSUBSCRIBE n*\n1) \"psubscribe\"\n2) \"n*\"\n3) (integer) 1"],
    ..Docs::NONE
};

pub(super) const SSUBSCRIBE: Docs = Docs {
    summary: "Listens to messages of shard channels.",
    since: "7.0.0",
    complexity: "O(1) per channel",
    arguments: &[Argument::string("shardchannel").repeated()],
    examples: &["> SSUBSCRIBE news\n1) \"ssubscribe\"\n2) \"news\"\n3) (integer) 1"],
    ..Docs::NONE
};

pub(super) const UNSUBSCRIBE: Docs = Docs {
    summary: "Listens no longer to these channels, or to any.",
    since: "2.0.0",
    complexity: "O(subscribers) per channel on this core",
    arguments: &[Argument::string("channel").optional().repeated()],
    examples: &["> UNSUBSCRIBE news\n1) \"unsubscribe\"\n2) \"news\"\n3) (integer) 0"],
    ..Docs::NONE
};

pub(super) const PUNSUBSCRIBE: Docs = Docs {
    summary: "Listens no longer to channels that match these patterns, or any.",
    since: "2.0.0",
    complexity: "O(cores), plus O(subscribers) on this core, per pattern",
    arguments: &[Argument::pattern("pattern").optional().repeated()],
    examples: &["> PUNSUBSCRIBE n*\n1) \"punsubscribe\"\n2) \"n*\"\n3) (integer) 0"],
    ..Docs::NONE
};

pub(super) const SUNSUBSCRIBE: Docs = Docs {
    summary: "Listens no longer to these shard channels, or to any.",
    since: "7.0.0",
    complexity: "O(subscribers) per channel on this core",
    arguments: &[Argument::string("shardchannel").optional().repeated()],
    examples: &["> SUNSUBSCRIBE news\n1) \"sunsubscribe\"\n2) \"news\"\n3) (integer) 0"],
    ..Docs::NONE
};

pub(super) const PUBSUB: Docs = Docs {
    summary: "Tells which channels and patterns have subscribers.",
    since: "2.8.0",
    complexity: "Depends on the subcommand.",
    ..Docs::NONE
};

pub(super) const CHANNELS: Docs = Docs {
    summary: "Lists the channels with subscribers, or those whose name matches a pattern.",
    since: "2.8.0",
    complexity: "O(channels)",
    arguments: &[Argument::pattern("pattern").optional()],
    examples: &["> PUBSUB CHANNELS\n(empty array)"],
    ..Docs::NONE
};

pub(super) const HELP: Docs =
    Docs { summary: "Lists the subcommands.", since: "6.2.0", complexity: "O(1)", ..Docs::NONE };

pub(super) const NUMPAT: Docs = Docs {
    summary: "Counts the patterns that somebody listens to.",
    since: "2.8.0",
    complexity: "O(1)",
    examples: &["> PUBSUB NUMPAT\n(integer) 0"],
    ..Docs::NONE
};

pub(super) const NUMSUB: Docs = Docs {
    summary: "Counts the subscribers of each channel given, those by pattern left out.",
    since: "2.8.0",
    complexity: "O(1) per channel",
    arguments: &[Argument::string("channel").optional().repeated()],
    examples: &["> PUBSUB NUMSUB news\n1) \"news\"\n2) (integer) 0"],
    ..Docs::NONE
};

pub(super) const SHARDCHANNELS: Docs = Docs {
    summary: "Lists the shard channels with subscribers, or those whose name matches a pattern.",
    since: "7.0.0",
    complexity: "O(shard channels)",
    arguments: &[Argument::pattern("pattern").optional()],
    examples: &["> PUBSUB SHARDCHANNELS\n(empty array)"],
    ..Docs::NONE
};

pub(super) const SHARDNUMSUB: Docs = Docs {
    summary: "Counts the subscribers of each shard channel given.",
    since: "7.0.0",
    complexity: "O(1) per channel",
    arguments: &[Argument::string("shardchannel").optional().repeated()],
    examples: &["> PUBSUB SHARDNUMSUB news\n1) \"news\"\n2) (integer) 0"],
    ..Docs::NONE
};
