//! The process, its log, and what can be observed.

use super::{INT_MAX, LONG_MAX};
use crate::config::choices::{
    LogLevel, OOM_SCORE_ADJ, SHUTDOWN_FLAGS, SYSLOG_FACILITY, ShutdownFlags, Supervised,
};
use crate::config::kind::Kind;
use crate::config::parameter::Parameter;
use crate::config::value::Value;

const NO_CPU_LISTS: &str = "cores are pinned to the CPUs this process may use; see `shards`";
const NO_SYSLOG: &str = "the log goes to standard output or `logfile`";
const NO_CRASH_LOG: &str = "a crash report is always written";

const NO_HISTOGRAMS: &str = "histograms of commands are not built yet";

const NO_REPLICAS: &str = "there are no replicas to wait for yet";

pub(super) const ROWS: &[Parameter] = &[
    Parameter::integer("slowlog-log-slower-than", -1, LONG_MAX, "10000")
        .store(|s, v| s.slowlog_log_slower_than_us = v.number())
        .docs("Microseconds from which a command enters the slow log; -1: never, 0: always."),
    Parameter::integer("slowlog-max-len", 0, LONG_MAX, "128")
        .store(|s, v| s.slowlog_max_len = v.number())
        .docs("Entries of the slow log."),
    Parameter::integer("latency-monitor-threshold", 0, LONG_MAX, "0")
        .store(|s, v| s.latency_monitor_threshold_ms = v.number())
        .docs("Milliseconds from which an event is a latency spike; 0: never."),
    Parameter::flag("latency-tracking", "yes")
        .store(|s, v| s.latency_tracking = v.flag())
        .docs("Keep a latency histogram per command.")
        .no_effect(NO_HISTOGRAMS),
    Parameter::of_kind("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9")
        .store(|s, v| {
            if let Value::Percentiles(percentiles) = v {
                s.latency_tracking_info_percentiles.clone_from(percentiles);
            }
        })
        .docs("Percentiles that INFO latencystats prints.")
        .no_effect(NO_HISTOGRAMS),
    Parameter::of_kind("notify-keyspace-events", Kind::Events, "")
        .store(|s, v| {
            if let Value::Events(events) = v {
                s.notify_keyspace_events = *events;
            }
        })
        .docs("Keyspace notifications that are published."),
    Parameter::choice("loglevel", LogLevel::CHOICES, "notice")
        .store(|s, v| s.loglevel = LogLevel::from_code(v.code()))
        .docs("The least important line that is still written to the log."),
    Parameter::text("logfile", "")
        .fixed()
        .store(|s, v| s.logfile = v.path())
        .docs("File of the log; empty: standard output."),
    Parameter::text("pidfile", "")
        .fixed()
        .store(|s, v| s.pidfile = v.path())
        .docs("File that holds the process id while the server runs."),
    Parameter::flag("daemonize", "no")
        .fixed()
        .store(|s, v| s.daemonize = v.flag())
        .refused("Rialto stays in the foreground; leave it to a service manager, setsid or nohup"),
    Parameter::choice("supervised", Supervised::CHOICES, "no")
        .fixed()
        .store(|s, v| s.supervised = Supervised::from_code(v.code()))
        .docs("Who starts and watches the process, and wants to be told that it is ready."),
    Parameter::integer("shutdown-timeout", 0, INT_MAX, "10")
        .store(|s, v| s.shutdown_timeout_s = v.number())
        .docs("Seconds that a shutdown waits for replicas.")
        .no_effect(NO_REPLICAS),
    Parameter::of_kind("shutdown-on-sigint", Kind::Flags(SHUTDOWN_FLAGS), "default")
        .store(|s, v| s.shutdown_on_sigint = ShutdownFlags::from_code(v.code()))
        .docs("What SIGINT asks for."),
    Parameter::of_kind("shutdown-on-sigterm", Kind::Flags(SHUTDOWN_FLAGS), "default")
        .store(|s, v| s.shutdown_on_sigterm = ShutdownFlags::from_code(v.code()))
        .docs("What SIGTERM asks for."),
    Parameter::flag("dynamic-hz", "yes").no_effect("periodic work is budgeted per tick"),
    Parameter::flag("always-show-logo", "no").fixed().no_effect("there is no logo"),
    Parameter::flag("set-proc-title", "yes").fixed().no_effect("the process title is left alone"),
    Parameter::of_kind(
        "proc-title-template",
        Kind::Text(title_template),
        "{title} {listen-addr} {server-mode}",
    )
    .no_effect("the process title is left alone"),
    Parameter::text("ignore-warnings", "").no_effect("no start-up warning needs to be silenced"),
    Parameter::text("locale-collate", "").no_effect("text is compared byte by byte"),
    Parameter::choice("oom-score-adj", OOM_SCORE_ADJ, "no")
        .no_effect("the kernel's choice at out-of-memory is left to the service manager"),
    Parameter::of_kind("oom-score-adj-values", Kind::OomScores, "0 200 800")
        .no_effect("the kernel's choice at out-of-memory is left to the service manager"),
    Parameter::flag("crash-log-enabled", "yes").no_effect(NO_CRASH_LOG),
    Parameter::flag("crash-memcheck-enabled", "yes")
        .no_effect("memory is not tested after a crash"),
    Parameter::flag("use-exit-on-panic", "no").hidden().no_effect("a panic always aborts"),
    Parameter::integer("watchdog-period", 0, INT_MAX, "0")
        .hidden()
        .no_effect("there is no software watchdog"),
    Parameter::flag("syslog-enabled", "no").fixed().no_effect(NO_SYSLOG),
    Parameter::choice("syslog-facility", SYSLOG_FACILITY, "local0").fixed().no_effect(NO_SYSLOG),
    Parameter::text("syslog-ident", "redis").fixed().no_effect(NO_SYSLOG),
    Parameter::text("server_cpulist", "").fixed().no_effect(NO_CPU_LISTS),
    Parameter::text("bio_cpulist", "").fixed().no_effect(NO_CPU_LISTS),
    Parameter::text("aof_rewrite_cpulist", "").fixed().no_effect(NO_CPU_LISTS),
    Parameter::text("bgsave_cpulist", "").fixed().no_effect(NO_CPU_LISTS),
];

/// Known `{variables}` and `{{` for a brace; something must be left when the title itself is empty.
fn title_template(template: &[u8]) -> Result<(), &'static str> {
    const WRONG: &str = "template format is invalid or contains unknown variables";
    const NEVER_EMPTY: [&[u8]; 4] = [b"listen-addr", b"port", b"tls-port", b"config-file"];
    const MAYBE_EMPTY: [&[u8]; 3] = [b"title", b"server-mode", b"unixsocket"];

    let mut is_empty = true;
    let mut rest = template;
    loop {
        match rest {
            [] if is_empty => return Err(WRONG),
            [] => return Ok(()),
            [b'{', b'{', after @ ..] => {
                is_empty = false;
                rest = after;
            }
            [b'{', after @ ..] => {
                let close = after.iter().position(|&byte| byte == b'}').ok_or(WRONG)?;
                let variable = &after[..close];
                let is_never_empty = NEVER_EMPTY.contains(&variable);
                if !is_never_empty && !MAYBE_EMPTY.contains(&variable) {
                    return Err(WRONG);
                }
                is_empty &= !is_never_empty;
                rest = &after[close + 1..];
            }
            [_, after @ ..] => {
                is_empty = false;
                rest = after;
            }
        }
    }
}
