//! The row of COMMAND, and what COMMAND DOCS says of it.

use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};

/// COMMAND.
pub(super) const SPEC: CommandSpec = CommandSpec {
    arity: -1,
    flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
    categories: Categories::CONNECTION,
    tips: &["nondeterministic_output_order"],
    docs: &COMMAND,
    subcommands: &[
        CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &COMMAND_COUNT,
            ..CommandSpec::new("count", Group::Server)
        },
        CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            tips: &["nondeterministic_output_order"],
            docs: &COMMAND_DOCS,
            ..CommandSpec::new("docs", Group::Server)
        },
        CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &COMMAND_GETKEYS,
            ..CommandSpec::new("getkeys", Group::Server)
        },
        CommandSpec {
            arity: -3,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &COMMAND_GETKEYSANDFLAGS,
            ..CommandSpec::new("getkeysandflags", Group::Server)
        },
        CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &COMMAND_HELP,
            ..CommandSpec::new("help", Group::Server)
        },
        CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            tips: &["nondeterministic_output_order"],
            docs: &COMMAND_INFO,
            ..CommandSpec::new("info", Group::Server)
        },
        CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            tips: &["nondeterministic_output_order"],
            docs: &COMMAND_LIST,
            ..CommandSpec::new("list", Group::Server)
        },
    ],
    ..CommandSpec::new("command", Group::Server)
};

const COMMAND: Docs = Docs {
    summary: "Describes every command.",
    since: "2.8.13",
    complexity: "O(commands)",
    ..Docs::NONE
};

const COMMAND_COUNT: Docs =
    Docs { summary: "Counts the commands.", since: "2.8.13", complexity: "O(1)", ..Docs::NONE };

const COMMAND_DOCS: Docs = Docs {
    summary: "Documents commands: what they do and which arguments they take.",
    since: "7.0.0",
    complexity: "O(commands asked for)",
    arguments: &[Argument::string("command-name").optional().repeated()],
    ..Docs::NONE
};

const COMMAND_GETKEYS: Docs = Docs {
    summary: "Picks the keys out of a whole command.",
    since: "2.8.13",
    complexity: "O(arguments)",
    arguments: &[Argument::string("command"), Argument::string("arg").optional().repeated()],
    examples: &["> COMMAND GETKEYS MSET a 1 b 2\n1) \"a\"\n2) \"b\""],
    ..Docs::NONE
};

const COMMAND_GETKEYSANDFLAGS: Docs = Docs {
    summary: "Picks the keys out of a whole command, and says what it does to each.",
    since: "7.0.0",
    complexity: "O(arguments)",
    arguments: &[Argument::string("command"), Argument::string("arg").optional().repeated()],
    examples: &["> COMMAND GETKEYSANDFLAGS GET k\n1) 1) \"k\"\n   2) 1) RO\n      2) access"],
    ..Docs::NONE
};

const COMMAND_HELP: Docs = Docs {
    summary: "Lists the subcommands of COMMAND.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const COMMAND_INFO: Docs = Docs {
    summary: "Describes the commands named, or all of them.",
    since: "2.8.13",
    complexity: "O(commands asked for)",
    arguments: &[Argument::string("command-name").optional().repeated()],
    ..Docs::NONE
};

const COMMAND_LIST: Docs = Docs {
    summary: "Lists the names of commands, perhaps only of those that pass a filter.",
    since: "7.0.0",
    complexity: "O(commands)",
    arguments: &[Argument::one_of(
        "filterby",
        &[
            Argument::string("module-name").token("MODULE"),
            Argument::string("category").token("ACLCAT"),
            Argument::pattern("pattern").token("PATTERN"),
        ],
    )
    .token("FILTERBY")
    .optional()],
    examples: &["> COMMAND LIST FILTERBY PATTERN nothing\n(empty array)"],
    ..Docs::NONE
};
