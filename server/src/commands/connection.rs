//! Commands about the connection itself: AUTH ECHO HELLO PING QUIT RESET SELECT.
//!
//! What they change stands in three places, the session, the peer and the client registry; `connection::session` has
//! the functions that keep them in step.

use super::{LaterReply, ServerCommand, ServerRun};
use crate::clients::{ClientFlags, Names};
use crate::connection::{Connection, ReplyMode};
use crate::peer::Close;
use crate::startup::REDIS_VERSION;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group};
use protocol::number;
use protocol::reply::Resp;
use shard::CommandError;
use shard::args::Args;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[
    ServerCommand {
        spec: CommandSpec {
            arity: -2,
            flags: ALWAYS_ALLOWED,
            categories: Categories::CONNECTION,
            docs: &AUTH,
            ..CommandSpec::new("auth", Group::Connection)
        },
        run: ServerRun::Now(auth),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &ECHO,
            ..CommandSpec::new("echo", Group::Connection)
        },
        run: ServerRun::Now(echo),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: ALWAYS_ALLOWED,
            categories: Categories::CONNECTION,
            docs: &HELLO,
            ..CommandSpec::new("hello", Group::Connection)
        },
        run: ServerRun::Now(hello),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: Flags::FAST,
            categories: Categories::CONNECTION,
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            docs: &PING,
            ..CommandSpec::new("ping", Group::Connection)
        },
        run: ServerRun::Now(ping),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: -1,
            flags: ALWAYS_ALLOWED,
            categories: Categories::CONNECTION,
            docs: &QUIT,
            ..CommandSpec::new("quit", Group::Connection)
        },
        run: ServerRun::Now(quit),
    },
    ServerCommand {
        spec: CommandSpec {
            flags: ALWAYS_ALLOWED,
            categories: Categories::CONNECTION,
            docs: &RESET,
            ..CommandSpec::new("reset", Group::Connection)
        },
        run: ServerRun::Later(reset),
    },
    ServerCommand {
        spec: CommandSpec {
            arity: 2,
            flags: Flags::of(&[Flags::FAST, Flags::LOADING, Flags::STALE]),
            categories: Categories::CONNECTION,
            docs: &SELECT,
            ..CommandSpec::new("select", Group::Connection)
        },
        run: ServerRun::Now(select),
    },
];

/// Flags of the commands that a client may send in any state of it or the server.
const ALWAYS_ALLOWED: Flags = Flags::of(&[
    Flags::ALLOW_BUSY,
    Flags::FAST,
    Flags::LOADING,
    Flags::NO_AUTH,
    Flags::NOSCRIPT,
    Flags::STALE,
]);

/// The only user there is.
pub const DEFAULT_USER: &[u8] = b"default";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD_SET: &str = "ERR AUTH <password> called without any password configured for the default user. \
     Are you sure your configuration is correct?";
const HELLO_NEEDS_LOGIN: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
     HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
     version at the same time";

fn auth(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 2 {
        return Err(CommandError::Syntax);
    }
    let is_user_given = args.remaining() == 2;
    if !is_user_given && connection.core.settings().requirepass.is_empty() {
        return Err(CommandError::text(NO_PASSWORD_SET));
    }
    let user = if is_user_given { args.bytes()? } else { DEFAULT_USER };
    log_in(connection, user, args.bytes()?)?;
    connection.reply(|writer| writer.ok());
    Ok(())
}

/// Lets the client in if user and password are right.
fn log_in(connection: &mut Connection, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let settings = connection.core.settings();
    let required = &settings.requirepass;
    let is_right = user == DEFAULT_USER && (required.is_empty() || is_same(required, password));
    if !is_right {
        return Err(CommandError::text(WRONG_PASSWORD));
    }
    connection.set_authenticated(true);
    Ok(())
}

/// Compares without stopping at the first difference, so that the time taken does not tell where it is.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |difference, (l, r)| difference | (l ^ r));
    left.len() == right.len() && difference == 0
}

fn echo(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let message = args.bytes()?;
    connection.reply(|writer| writer.bulk(message));
    Ok(())
}

fn hello(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let version = match args.bytes() {
        Ok(text) => Some(protocol_version(text)?),
        Err(_) => None,
    };
    let mut login = None;
    let mut name = None;
    while !args.is_empty() {
        let option = args.bytes()?;
        if option.eq_ignore_ascii_case(b"auth") && args.remaining() >= 2 {
            login = Some((args.bytes()?, args.bytes()?));
        } else if option.eq_ignore_ascii_case(b"setname") && !args.is_empty() {
            let given = args.bytes()?;
            super::client::check_name(given)?;
            name = Some(given);
        } else {
            return Err(CommandError::showing("ERR Syntax error in HELLO option '", option, "'"));
        }
    }
    if let Some((user, password)) = login {
        log_in(connection, user, password)?;
    }
    if connection.core.needs_login(&connection.session) {
        return Err(CommandError::text(HELLO_NEEDS_LOGIN));
    }
    if let Some(version) = version {
        connection.set_resp(version);
    }
    if let Some(name) = name {
        super::client::set_name(connection, name);
    }
    introduce(connection);
    Ok(())
}

fn protocol_version(text: &[u8]) -> Result<Resp, CommandError> {
    match number::parse_i64(text) {
        Some(2) => Ok(Resp::V2),
        Some(3) => Ok(Resp::V3),
        Some(_) => Err(CommandError::text("NOPROTO unsupported protocol version")),
        None => Err(CommandError::text("ERR Protocol version is not an integer or out of range")),
    }
}

/// Tells the client what it is talking to.
fn introduce(connection: &mut Connection) {
    let id = connection.peer.client.id;
    let version = if connection.session.resp == Resp::V2 { 2 } else { 3 };
    connection.reply(|writer| {
        writer.map(7);
        for (field, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
            writer.bulk(field.as_bytes());
            writer.bulk(value.as_bytes());
        }
        writer.bulk(b"proto");
        writer.integer(version);
        writer.bulk(b"id");
        writer.integer(id as i64);
        for (field, value) in [("mode", "standalone"), ("role", "master")] {
            writer.bulk(field.as_bytes());
            writer.bulk(value.as_bytes());
        }
        writer.bulk(b"modules");
        writer.array(0);
    });
}

fn ping(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    if args.remaining() > 1 {
        return Err(CommandError::WrongArity("ping".into()));
    }
    let message = args.bytes().ok();
    let is_subscribed = connection.session.is_in_pubsub_mode();
    connection.reply(|writer| match (is_subscribed, message) {
        (true, message) => {
            writer.array(2);
            writer.bulk(b"pong");
            writer.bulk(message.unwrap_or_default());
        }
        (false, Some(message)) => writer.bulk(message),
        (false, None) => writer.status("PONG"),
    });
    Ok(())
}

fn quit(connection: &mut Connection, _: Args<'_>) -> Result<(), CommandError> {
    connection.reply(|writer| writer.ok());
    connection.peer.order_close(Close::AfterReplies);
    Ok(())
}

/// Makes the connection what it was when it began; what CLIENT SETINFO has told is kept.
fn reset<'a>(connection: &'a mut Connection, _: Args<'a>) -> LaterReply<'a> {
    Box::pin(async move {
        connection.release_held();
        connection.discard();
        connection.leave().await;
        connection.stop_monitoring();
        connection.stop_tracking().await;
        let is_open = connection.core.settings().requirepass.is_empty();
        connection.set_authenticated(is_open);
        connection.set_db(0);
        connection.set_resp(Resp::V2);
        connection.set_no_touch(false);
        connection.session.reply_mode = ReplyMode::On;
        let client = &connection.peer.client;
        client.set_flag(ClientFlags::NO_EVICT, false);
        let mut names = client.names();
        let kept = std::mem::take(&mut *names);
        *names = Names { name: Box::default(), user: DEFAULT_USER.into(), ..kept };
        drop(names);
        connection.reply(|writer| writer.status("RESET"));
        Ok(())
    })
}

fn select(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let index = args.integer()?;
    if i32::try_from(index).is_err() {
        return Err(CommandError::text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    let count = connection.core.settings().databases;
    if !(0..i64::from(count)).contains(&index) {
        return Err(CommandError::text("ERR DB index is out of range"));
    }
    connection.set_db(index as u16);
    connection.reply(|writer| writer.ok());
    Ok(())
}

const AUTH: Docs = Docs {
    summary: "Proves by a password that the client may use the server.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[
        Argument::string("username").optional().since("6.0.0"),
        Argument::string("password"),
    ],
    examples: &["> AUTH default any\nOK"],
    ..Docs::NONE
};

const ECHO: Docs = Docs {
    summary: "Answers with the message given.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("message")],
    examples: &["> ECHO hello\n\"hello\""],
    ..Docs::NONE
};

const HELLO: Docs = Docs {
    summary: "Chooses the protocol version, may log in and name the client, and tells what the server is.",
    since: "6.0.0",
    complexity: "O(1)",
    arguments: &[Argument::block(
        "arguments",
        &[
            Argument::integer("protover"),
            Argument::block("auth", &[Argument::string("username"), Argument::string("password")])
                .token("AUTH")
                .optional(),
            Argument::string("clientname").token("SETNAME").optional(),
        ],
    )
    .optional()],
    examples: &["> HELLO 4\n(error) NOPROTO unsupported protocol version"],
    ..Docs::NONE
};

const PING: Docs = Docs {
    summary: "Answers PONG, or the message given.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::string("message").optional()],
    examples: &["> PING\nPONG"],
    ..Docs::NONE
};

const QUIT: Docs = Docs {
    summary: "Closes the connection once everything asked before is answered.",
    since: "1.0.0",
    complexity: "O(1)",
    deprecated: Some(("7.2.0", "just closing the connection")),
    examples: &["> QUIT\nOK"],
    ..Docs::NONE
};

const RESET: Docs = Docs {
    summary: "Makes the connection what it was when it began.",
    since: "6.2.0",
    complexity: "O(1), plus O(1) per subscription",
    examples: &["> RESET\nRESET"],
    ..Docs::NONE
};

const SELECT: Docs = Docs {
    summary: "Selects the database that the connection's commands work on.",
    since: "1.0.0",
    complexity: "O(1)",
    arguments: &[Argument::integer("index")],
    examples: &["> SELECT 1\nOK"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_compare_whole() {
        assert!(is_same(b"secret", b"secret"));
        assert!(!is_same(b"secret", b"secre"));
        assert!(!is_same(b"secret", b"Secret"));
        assert!(!is_same(b"secret", b""));
    }

    #[test]
    fn only_versions_2_and_3_exist() {
        assert_eq!(protocol_version(b"2"), Ok(Resp::V2));
        assert_eq!(protocol_version(b"3"), Ok(Resp::V3));
        let text = |version: &[u8]| protocol_version(version).unwrap_err().as_bytes().to_vec();
        assert!(text(b"4").starts_with(b"NOPROTO"));
        assert!(text(b"three").starts_with(b"ERR Protocol version"));
    }
}
