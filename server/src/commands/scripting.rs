//! Scripts: EVAL EVAL_RO EVALSHA EVALSHA_RO FCALL FCALL_RO SCRIPT. How they run stands in `crate::scripting`.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::scripting::{Kind, Unkillable};
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MAY_REPLICATE,
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: Some(
                    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
                ),
            }],
            docs: &EVAL,
            ..CommandSpec::new("eval", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Text),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::READONLY,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: Some(
                    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
                ),
            }],
            docs: &EVAL_RO,
            ..CommandSpec::new("eval_ro", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Text),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MAY_REPLICATE,
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &EVALSHA,
            ..CommandSpec::new("evalsha", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Sha),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::READONLY,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: None,
            }],
            docs: &EVALSHA_RO,
            ..CommandSpec::new("evalsha_ro", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Sha),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MAY_REPLICATE,
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: Some(
                    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE",
                ),
            }],
            docs: &FCALL,
            ..CommandSpec::new("fcall", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Function),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -3,
            flags: Flags::of(&[
                Flags::MOVABLEKEYS,
                Flags::NO_MANDATORY_KEYS,
                Flags::NOSCRIPT,
                Flags::READONLY,
                Flags::SKIP_MONITOR,
                Flags::STALE,
            ]),
            categories: Categories::SCRIPTING,
            keys: &[KeySpec {
                flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
                begin: BeginSearch::Index(2),
                find: FindKeys::KeyNum { count_index: 0, first: 1, step: 1 },
                notes: Some(
                    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS",
                ),
            }],
            docs: &FCALL_RO,
            ..CommandSpec::new("fcall_ro", Group::Scripting)
        },
        run: ServerRun::Script(Kind::Function),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -2,
            docs: &SCRIPT,
            subcommands: &[
                CommandSpec {
                    arity: 3,
                    flags: Flags::NOSCRIPT,
                    categories: Categories::SCRIPTING,
                    docs: &SCRIPT_DEBUG,
                    ..CommandSpec::new("debug", Group::Scripting)
                },
                CommandSpec {
                    arity: -3,
                    flags: Flags::NOSCRIPT,
                    categories: Categories::SCRIPTING,
                    tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
                    docs: &SCRIPT_EXISTS,
                    ..CommandSpec::new("exists", Group::Scripting)
                },
                CommandSpec {
                    arity: -2,
                    flags: Flags::NOSCRIPT,
                    categories: Categories::SCRIPTING,
                    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                    docs: &SCRIPT_FLUSH,
                    ..CommandSpec::new("flush", Group::Scripting)
                },
                CommandSpec {
                    arity: 2,
                    flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                    categories: Categories::SCRIPTING,
                    docs: &SCRIPT_HELP,
                    ..CommandSpec::new("help", Group::Scripting)
                },
                CommandSpec {
                    arity: 2,
                    flags: Flags::of(&[Flags::ALLOW_BUSY, Flags::NOSCRIPT]),
                    categories: Categories::SCRIPTING,
                    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
                    docs: &SCRIPT_KILL,
                    ..CommandSpec::new("kill", Group::Scripting)
                },
                CommandSpec {
                    arity: 3,
                    flags: Flags::of(&[Flags::NOSCRIPT, Flags::STALE]),
                    categories: Categories::SCRIPTING,
                    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                    docs: &SCRIPT_LOAD,
                    ..CommandSpec::new("load", Group::Scripting)
                },
            ],
            ..CommandSpec::new("script", Group::Scripting)
        },
        run: ServerRun::Now(script),
    },
];

fn script(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let core = connection.core.clone();
    let scripts = &core.shared.scripts;
    match args.bytes()?.to_ascii_lowercase().as_slice() {
        b"load" => {
            let problem = |text: String| CommandError::Text(text.into());
            let source = core.load_script(args.bytes()?).map_err(problem)?;
            connection.reply(|writer| writer.bulk(source.sha.as_bytes()));
        }
        b"exists" => {
            let is_known = |sha: &[u8]| {
                let sha = std::str::from_utf8(sha).map(str::to_ascii_lowercase);
                sha.is_ok_and(|sha| scripts.find(&sha).is_some())
            };
            let known: Vec<bool> = args.rest().map(is_known).collect();
            connection.reply(|writer| {
                writer.array(known.len());
                known.iter().for_each(|known| writer.integer(i64::from(*known)));
            });
        }
        b"flush" => {
            check_flush_word(&mut args, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")?;
            scripts.flush();
            connection.reply(|writer| writer.ok());
        }
        b"kill" => {
            kill(connection, false)?;
        }
        b"debug" => {
            // What is there is the end of a session that never began.
            if !args.bytes()?.eq_ignore_ascii_case(b"no") {
                return Err(CommandError::text(
                    "ERR SCRIPT DEBUG is not supported: there is no debugger",
                ));
            }
            connection.reply(|writer| writer.ok());
        }
        _ => connection.reply_help(&COMMANDS[COMMANDS.len() - 1].spec),
    }
    Ok(())
}

/// Reads ASYNC or SYNC, one of which may stand behind FLUSH: here both mean the same.
pub(super) fn check_flush_word(
    args: &mut Args<'_>,
    problem: &'static str,
) -> Result<(), CommandError> {
    let is_known =
        |word: &[u8]| word.eq_ignore_ascii_case(b"sync") || word.eq_ignore_ascii_case(b"async");
    match (args.remaining(), args.bytes()) {
        (0, _) => Ok(()),
        (1, Ok(word)) if is_known(word) => Ok(()),
        _ => Err(CommandError::text(problem)),
    }
}

/// Ends scripts, or functions, that run for long.
pub(super) fn kill(connection: &mut Connection, is_function: bool) -> Result<(), CommandError> {
    let text = match connection.core.shared.scripts.kill(is_function) {
        Ok(()) => {
            connection.reply(|writer| writer.ok());
            return Ok(());
        }
        Err(Unkillable::NotBusy) => "NOTBUSY No scripts in execution right now.",
        Err(Unkillable::HasWritten) => {
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
        }
        Err(Unkillable::OtherKind) if is_function => BUSY_SCRIPT,
        Err(Unkillable::OtherKind) => BUSY_FUNCTION,
    };
    Err(CommandError::text(text))
}

/// What a command gets that would have to wait for a script that has been running for too long.
pub(crate) const BUSY_SCRIPT: &str =
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
/// The same for a function.
pub(crate) const BUSY_FUNCTION: &str =
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

const EVAL: Docs = Docs {
    summary: "Runs a Lua script.",
    since: "2.6.0",
    complexity: "that of the script",
    arguments: &[
        Argument::string("script"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &[
        "> EVAL \"return {KEYS[1], ARGV[1]}\" 1 k a\n1) \"k\"\n2) \"a\"",
        "> EVAL \"return redis.call('INCRBY', KEYS[1], ARGV[1])\" 1 n 5\n(integer) 5",
    ],
    ..Docs::NONE
};

const EVAL_RO: Docs = Docs {
    summary: "Runs a Lua script that only reads.",
    since: "7.0.0",
    complexity: "that of the script",
    arguments: &[
        Argument::string("script"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &["> SET k v\nOK\n> EVAL_RO \"return redis.call('GET', KEYS[1])\" 1 k\n\"v\""],
    ..Docs::NONE
};

const EVALSHA: Docs = Docs {
    summary: "Runs a script that the server knows, by the SHA-1 of its text.",
    since: "2.6.0",
    complexity: "that of the script",
    arguments: &[
        Argument::string("sha1"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &[
        "> SCRIPT LOAD \"return 1\"\n\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"\n> EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0\n(integer) 1",
    ],
    ..Docs::NONE
};

const EVALSHA_RO: Docs = Docs {
    summary: "Runs a script that the server knows and that only reads, by the SHA-1 of its text.",
    since: "7.0.0",
    complexity: "that of the script",
    arguments: &[
        Argument::string("sha1"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &[
        "> SCRIPT LOAD \"return 1\"\n\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\"\n> EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0\n(integer) 1",
    ],
    ..Docs::NONE
};

const FCALL: Docs = Docs {
    summary: "Calls a function of a library.",
    since: "7.0.0",
    complexity: "that of the function",
    arguments: &[
        Argument::string("function"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &["> FCALL nosuch 0\n(error) ERR Function not found"],
    ..Docs::NONE
};

const FCALL_RO: Docs = Docs {
    summary: "Calls a function that only reads.",
    since: "7.0.0",
    complexity: "that of the function",
    arguments: &[
        Argument::string("function"),
        Argument::integer("numkeys"),
        Argument::key("key").optional().repeated(),
        Argument::string("arg").optional().repeated(),
    ],
    examples: &["> FCALL_RO nosuch 0\n(error) ERR Function not found"],
    ..Docs::NONE
};

const SCRIPT: Docs = Docs {
    summary: "Manages the scripts that the server knows.",
    since: "2.6.0",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const SCRIPT_DEBUG: Docs = Docs {
    summary: "Would begin a session of Lua's debugger, which this server does not have.",
    since: "3.2.0",
    complexity: "O(1)",
    arguments: &[Argument::one_of(
        "mode",
        &[Argument::word("yes", "YES"), Argument::word("sync", "SYNC"), Argument::word("no", "NO")],
    )],
    ..Docs::NONE
};

const SCRIPT_EXISTS: Docs = Docs {
    summary: "Says which of some scripts the server knows.",
    since: "2.6.0",
    complexity: "O(scripts)",
    arguments: &[Argument::string("sha1").repeated()],
    examples: &["> SCRIPT EXISTS 0000000000000000000000000000000000000000\n1) (integer) 0"],
    ..Docs::NONE
};

const SCRIPT_FLUSH: Docs = Docs {
    summary: "Forgets all scripts.",
    since: "2.6.0",
    complexity: "O(scripts)",
    arguments: &[Argument::one_of(
        "flush-type",
        &[Argument::word("async", "ASYNC"), Argument::word("sync", "SYNC")],
    )
    .optional()
    .since("6.2.0")],
    examples: &["> SCRIPT FLUSH\nOK"],
    ..Docs::NONE
};

const SCRIPT_HELP: Docs = Docs {
    summary: "Lists the subcommands of SCRIPT.",
    since: "5.0.0",
    complexity: "O(1)",
    ..Docs::NONE
};

const SCRIPT_KILL: Docs = Docs {
    summary: "Ends scripts that run for long and have not written.",
    since: "2.6.0",
    complexity: "O(1)",
    examples: &["> SCRIPT KILL\n(error) NOTBUSY No scripts in execution right now."],
    ..Docs::NONE
};

const SCRIPT_LOAD: Docs = Docs {
    summary: "Makes a script known to the server and answers its SHA-1.",
    since: "2.6.0",
    complexity: "O(length of the script)",
    arguments: &[Argument::string("script")],
    examples: &["> SCRIPT LOAD \"return 1\"\n\"e0e1f9fabfc9d4800c877a703b823ac0578ff8db\""],
    ..Docs::NONE
};
