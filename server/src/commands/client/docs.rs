//! Documentation of CLIENT and its subcommands.

use protocol::command::{Argument, Docs};

pub(super) const CLIENT: Docs = Docs {
    summary: "Looks at connections and changes how they are served.",
    since: "2.4.0",
    complexity: "Depends on the subcommand.",
    ..Docs::NONE
};

pub(super) const GETNAME: Docs = Docs {
    summary: "Answers the name of the connection.",
    since: "2.6.9",
    complexity: "O(1)",
    examples: &[
        "> CLIENT GETNAME\n(nil)\n> CLIENT SETNAME worker\nOK\n> CLIENT GETNAME\n\"worker\"",
    ],
    ..Docs::NONE
};

pub(super) const HELP: Docs =
    Docs { summary: "Lists the subcommands.", since: "5.0.0", complexity: "O(1)", ..Docs::NONE };

pub(super) const ID: Docs = Docs {
    summary: "Answers the id of the connection, which no other connection ever gets.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

pub(super) const INFO: Docs = Docs {
    summary: "Describes the connection in one line.",
    since: "6.2.0",
    complexity: "O(1)",
    ..Docs::NONE
};

pub(super) const KILL: Docs = Docs {
    summary: "Closes connections: that from one address, or all that pass every filter given.",
    since: "2.4.0",
    complexity: "O(connections)",
    arguments: &[Argument::one_of(
        "filter",
        &[
            Argument::string("old-format").shown_as("ip:port").deprecated("2.8.12"),
            Argument::one_of(
                "new-format",
                &[
                    Argument::integer("client-id").token("ID").optional().since("2.8.12"),
                    Argument::one_of(
                        "client-type",
                        &[
                            Argument::word("normal", "NORMAL"),
                            Argument::word("master", "MASTER").since("3.2.0"),
                            Argument::word("slave", "SLAVE"),
                            Argument::word("replica", "REPLICA").since("5.0.0"),
                            Argument::word("pubsub", "PUBSUB"),
                        ],
                    )
                    .token("TYPE")
                    .optional()
                    .since("2.8.12"),
                    Argument::string("username").token("USER").optional(),
                    Argument::string("addr").token("ADDR").shown_as("ip:port").optional(),
                    Argument::string("laddr")
                        .token("LADDR")
                        .shown_as("ip:port")
                        .optional()
                        .since("6.2.0"),
                    Argument::one_of(
                        "skipme",
                        &[Argument::word("yes", "YES"), Argument::word("no", "NO")],
                    )
                    .token("SKIPME")
                    .optional(),
                ],
            )
            .repeated(),
        ],
    )],
    examples: &["> CLIENT KILL ID 123456789\n(integer) 0"],
    ..Docs::NONE
};

pub(super) const LIST: Docs = Docs {
    summary: "Describes connections, one line each: all, those of a type, or those with the ids given.",
    since: "2.4.0",
    complexity: "O(connections)",
    arguments: &[
        Argument::one_of(
            "client-type",
            &[
                Argument::word("normal", "NORMAL"),
                Argument::word("master", "MASTER"),
                Argument::word("replica", "REPLICA"),
                Argument::word("pubsub", "PUBSUB"),
            ],
        )
        .token("TYPE")
        .optional()
        .since("5.0.0"),
        Argument::integer("client-id").token("ID").optional().repeated().since("6.2.0"),
    ],
    examples: &["> CLIENT LIST TYPE master\n\"\""],
    ..Docs::NONE
};

pub(super) const NO_EVICT: Docs = Docs {
    summary: "Keeps the connection although clients are closed to save memory.",
    since: "7.0.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "enabled",
        &[Argument::word("on", "ON"), Argument::word("off", "OFF")],
    )],
    examples: &["> CLIENT NO-EVICT on\nOK"],
    ..Docs::NONE
};

pub(super) const NO_TOUCH: Docs = Docs {
    summary: "Lets the connection's commands leave the access time of keys alone.",
    since: "7.2.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "enabled",
        &[Argument::word("on", "ON"), Argument::word("off", "OFF")],
    )],
    examples: &["> CLIENT NO-TOUCH on\nOK"],
    ..Docs::NONE
};

pub(super) const PAUSE: Docs = Docs {
    summary: "Holds back the commands of all clients, or only their writes, for some milliseconds.",
    since: "3.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::integer("timeout"),
        Argument::one_of("mode", &[Argument::word("write", "WRITE"), Argument::word("all", "ALL")])
            .optional()
            .since("6.2.0"),
    ],
    examples: &["> CLIENT PAUSE 1 WRITE\nOK"],
    ..Docs::NONE
};

pub(super) const REPLY: Docs = Docs {
    summary: "Says which replies the connection gets: all, none, or all but the next.",
    since: "3.2.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "action",
        &[Argument::word("on", "ON"), Argument::word("off", "OFF"), Argument::word("skip", "SKIP")],
    )],
    examples: &["> CLIENT REPLY on\nOK"],
    ..Docs::NONE
};

pub(super) const SETINFO: Docs = Docs {
    summary: "Tells the name or version of the client library.",
    since: "7.2.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "attr",
        &[
            Argument::string("libname").token("LIB-NAME"),
            Argument::string("libver").token("LIB-VER"),
        ],
    )],
    examples: &["> CLIENT SETINFO LIB-NAME mine\nOK"],
    ..Docs::NONE
};

pub(super) const SETNAME: Docs = Docs {
    summary: "Names the connection; the empty name takes the name away.",
    since: "2.6.9",
    complexity: "O(1)",
    arguments: &[Argument::string("connection-name")],
    examples: &["> CLIENT SETNAME worker\nOK"],
    ..Docs::NONE
};

pub(super) const UNBLOCK: Docs = Docs {
    summary: "Ends the blocking command of another connection.",
    since: "5.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::integer("client-id"),
        Argument::one_of(
            "unblock-type",
            &[Argument::word("timeout", "TIMEOUT"), Argument::word("error", "ERROR")],
        )
        .optional(),
    ],
    examples: &["> CLIENT UNBLOCK 123456789\n(integer) 0"],
    ..Docs::NONE
};

pub(super) const UNPAUSE: Docs = Docs {
    summary: "Ends CLIENT PAUSE.",
    since: "6.2.0",
    complexity: "O(1), plus O(1) per command held back",
    examples: &["> CLIENT UNPAUSE\nOK"],
    ..Docs::NONE
};
pub(super) const CACHING: Docs = Docs {
    summary: "Says whether the keys of the next command are tracked, in the modes OPTIN and OPTOUT.",
    since: "6.0.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "mode",
        &[Argument::word("yes", "YES"), Argument::word("no", "NO")],
    )],
    examples: &["> CLIENT TRACKING on OPTIN\nOK\n> CLIENT CACHING yes\nOK"],
    ..Docs::NONE
};

pub(super) const GETREDIR: Docs = Docs {
    summary: "Answers the id of the client that gets this one's invalidations; 0 for itself, -1 without tracking.",
    since: "6.0.0",
    complexity: "O(1)",
    examples: &["> CLIENT GETREDIR\n(integer) -1"],
    ..Docs::NONE
};

pub(super) const TRACKING: Docs = Docs {
    summary: "Tells the client when keys change that it may hold a copy of.",
    since: "6.0.0",
    complexity: "O(1), with prefixes O(prefixes)",
    arguments: &[
        Argument::one_of("status", &[Argument::word("on", "ON"), Argument::word("off", "OFF")]),
        Argument::integer("client-id").token("REDIRECT").optional(),
        Argument::string("prefix").token("PREFIX").optional().token_repeated(),
        Argument::word("bcast", "BCAST").optional(),
        Argument::word("optin", "OPTIN").optional(),
        Argument::word("optout", "OPTOUT").optional(),
        Argument::word("noloop", "NOLOOP").optional(),
    ],
    examples: &["> CLIENT TRACKING on\nOK\n> CLIENT TRACKING off\nOK"],
    ..Docs::NONE
};

pub(super) const TRACKINGINFO: Docs = Docs {
    summary: "Describes how keys are tracked for the connection.",
    since: "6.2.0",
    complexity: "O(1)",
    ..Docs::NONE
};
