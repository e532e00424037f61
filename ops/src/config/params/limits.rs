//! What a client may do and how much of it.

use super::{INT_MAX, LONG_MAX, UINT_MAX};
use crate::config::choices::Access;
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;
use crate::config::value::Value;

pub(super) const ROWS: &[Parameter] = &[
    Parameter::integer("maxclients", 1, UINT_MAX, "10000")
        .store(|s, v| s.maxclients = v.number())
        .docs("Connections at a time; one more gets an error and is closed."),
    Parameter::text("requirepass", "")
        .sensitive()
        .store(|s, v| s.requirepass = v.bytes())
        .docs("Password of the default user; empty: none is needed."),
    Parameter::integer("databases", 1, INT_MAX, "16")
        .fixed()
        .store(|s, v| s.databases = v.number())
        .docs("Number of databases that SELECT can choose."),
    Parameter::of_kind(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    )
    .store(|s, v| {
        if let Value::OutputLimits([normal, replica, pubsub]) = v {
            s.output_limit_normal = *normal;
            s.output_limit_replica = *replica;
            s.output_limit_pubsub = *pubsub;
        }
    })
    .docs("A client with more unread reply bytes than `hard`, or than `soft` for that long, is closed."),
    Parameter::memory("client-query-buffer-limit", 1 << 20, LONG_MAX, "1073741824")
        .store(|s, v| s.client_query_buffer_limit_bytes = v.number())
        .docs("Bytes of requests a client may have sent and not yet had executed."),
    Parameter::memory("proto-max-bulk-len", 1 << 20, LONG_MAX, "536870912")
        .store(|s, v| s.proto_max_bulk_len_bytes = v.number())
        .docs("Bytes of one argument."),
    Parameter::integer("tracking-table-max-keys", 0, LONG_MAX, "1000000")
        .store(|s, v| s.tracking_table_max_keys = v.number())
        .docs("Keys remembered for client-side caching; 0: no limit.")
        .no_effect("client-side caching is not built yet"),
    Parameter::integer("busy-reply-threshold", 0, LONG_MAX, "5000")
        .alias("lua-time-limit")
        .store(|s, v| s.busy_reply_threshold_ms = v.number())
        .docs("Milliseconds after which a running script makes other clients get BUSY; 0: never."),
    Parameter::choice("enable-debug-command", Access::CHOICES, "no")
        .fixed()
        .store(|s, v| s.enable_debug_command = Access::from_code(v.code()))
        .docs("Who may use DEBUG."),
    Parameter::choice("enable-protected-configs", Access::CHOICES, "no")
        .fixed()
        .store(|s, v| s.enable_protected_configs = Access::from_code(v.code()))
        .docs("Who may change protected parameters (`dir`, `dbfilename`) with CONFIG SET."),
    Parameter::choice("enable-module-command", Access::CHOICES, "no")
        .fixed()
        .store(|s, v| s.enable_module_command = Access::from_code(v.code()))
        .docs("Who may try MODULE LOAD, which then says that there are no modules."),
    Parameter::text("aclfile", "")
        .fixed()
        .refused("users other than the default one are not built yet; use requirepass"),
    Parameter::integer("acllog-max-len", 0, LONG_MAX, "128").no_effect("ACL LOG is not built yet"),
    Parameter::choice(
        "acl-pubsub-default",
        crate::config::choices::ACL_PUBSUB_DEFAULT,
        "resetchannels",
    )
    .no_effect("users other than the default one are not built yet"),
];
