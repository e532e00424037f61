//! Primary and replicas.

use super::{INT_MAX, LONG_MAX, PORT_MAX};
use crate::config::choices::{PROPAGATION_ERROR_BEHAVIOR, REPL_DISKLESS_LOAD};
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;

const LATER: &str = "replication is not built yet";

pub(super) const ROWS: &[Parameter] = &[
    Parameter::integer("min-replicas-to-write", 0, INT_MAX, "0")
        .alias("min-slaves-to-write")
        .store(|s, v| s.min_replicas_to_write = v.number())
        .docs("Replicas without which writes are refused; 0 needs none."),
    Parameter::integer("min-replicas-max-lag", 0, INT_MAX, "10")
        .alias("min-slaves-max-lag")
        .store(|s, v| s.min_replicas_max_lag_s = v.number())
        .docs("Seconds after which a silent replica does not count."),
    Parameter::of_kind("replicaof", Kind::Primary, "").alias("slaveof").fixed().refused(LATER),
    Parameter::text("masterauth", "").sensitive().no_effect(LATER),
    Parameter::text("masteruser", "").sensitive().no_effect(LATER),
    Parameter::text("replica-announce-ip", "").alias("slave-announce-ip").no_effect(LATER),
    Parameter::integer("replica-announce-port", 0, PORT_MAX, "0")
        .alias("slave-announce-port")
        .no_effect(LATER),
    Parameter::flag("replica-announced", "yes").no_effect(LATER),
    Parameter::flag("replica-ignore-disk-write-errors", "no").no_effect(LATER),
    Parameter::flag("replica-ignore-maxmemory", "yes")
        .alias("slave-ignore-maxmemory")
        .no_effect(LATER),
    Parameter::flag("replica-lazy-flush", "no").alias("slave-lazy-flush").no_effect(LATER),
    Parameter::integer("replica-priority", 0, INT_MAX, "100")
        .alias("slave-priority")
        .no_effect(LATER),
    Parameter::flag("replica-read-only", "yes").alias("slave-read-only").no_effect(LATER),
    Parameter::flag("replica-serve-stale-data", "yes")
        .alias("slave-serve-stale-data")
        .no_effect(LATER),
    Parameter::memory("repl-backlog-size", 1, LONG_MAX, "1048576")
        .clamped(16 << 10, LONG_MAX)
        .no_effect(LATER),
    Parameter::integer("repl-backlog-ttl", 0, LONG_MAX, "3600").no_effect(LATER),
    Parameter::flag("repl-disable-tcp-nodelay", "no").no_effect(LATER),
    Parameter::choice("repl-diskless-load", REPL_DISKLESS_LOAD, "disabled")
        .denied_while_loading()
        .no_effect(LATER),
    Parameter::flag("repl-diskless-sync", "yes").no_effect(LATER),
    Parameter::integer("repl-diskless-sync-delay", 0, INT_MAX, "5").no_effect(LATER),
    Parameter::integer("repl-diskless-sync-max-replicas", 0, INT_MAX, "0").no_effect(LATER),
    Parameter::integer("repl-ping-replica-period", 1, INT_MAX, "10")
        .alias("repl-ping-slave-period")
        .no_effect(LATER),
    Parameter::integer("repl-timeout", 1, INT_MAX, "60").no_effect(LATER),
    Parameter::choice("propagation-error-behavior", PROPAGATION_ERROR_BEHAVIOR, "ignore")
        .no_effect(LATER),
];
