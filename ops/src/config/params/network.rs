//! Where the server listens and how it treats connections.

use super::{INT_MAX, PORT_MAX, UINT_MAX};
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;
use crate::config::value::Value;

pub(super) const ROWS: &[Parameter] = &[
    Parameter::of_kind("bind", Kind::Bind, "* -::*")
        .store(|s, v| {
            if let Value::Bind(addresses) = v {
                s.bind.clone_from(addresses);
            }
        })
        .docs(
            "Addresses to listen on; `-` before one: fine if this machine lacks it; empty: no TCP.",
        ),
    Parameter::integer("port", 0, PORT_MAX, "6379")
        .store(|s, v| s.port = v.number())
        .docs("TCP port; 0 turns TCP off."),
    Parameter::text("unixsocket", "")
        .fixed()
        .store(|s, v| s.unixsocket = v.path())
        .docs("Path of a Unix socket to listen on as well."),
    Parameter::of_kind("unixsocketperm", Kind::Octal { max: 0o777 }, "0")
        .fixed()
        .store(|s, v| s.unixsocketperm = v.number())
        .docs("File mode of the Unix socket; 0 leaves it to the umask."),
    Parameter::integer("tcp-backlog", 0, INT_MAX, "511")
        .fixed()
        .store(|s, v| s.tcp_backlog = v.number())
        .docs("Length of the queue of connections not accepted yet."),
    Parameter::integer("tcp-keepalive", 0, INT_MAX, "300")
        .store(|s, v| s.tcp_keepalive_s = v.number())
        .docs("Seconds between keep-alive probes on idle connections; 0 sends none."),
    Parameter::integer("timeout", 0, INT_MAX, "0")
        .store(|s, v| s.timeout_s = v.number())
        .docs("Seconds after which an idle client is closed; 0 keeps it."),
    Parameter::flag("protected-mode", "yes")
        .store(|s, v| s.protected_mode = v.flag())
        .docs("Refuse other machines while there is neither a password nor a `bind`."),
    Parameter::text("bind-source-addr", "")
        .no_effect("used by outgoing links, which do not exist yet"),
    Parameter::integer("socket-mark-id", 0, UINT_MAX, "0")
        .fixed()
        .no_effect("sockets are not marked"),
    Parameter::integer("io-threads", 1, 128, "1")
        .fixed()
        .no_effect("every core does its own network I/O; see `shards`"),
    Parameter::flag("io-threads-do-reads", "no")
        .fixed()
        .no_effect("every core does its own network I/O; see `shards`"),
];
