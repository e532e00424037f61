//! LATENCY: spikes that reached `latency-monitor-threshold`; `ops::latency` keeps them.

use super::{ServerCommand, ServerRun};
use crate::connection::Connection;
use crate::registry::Registered;
use ops::latency::{LatestSpike, Sample};
use protocol::command::{Argument, CommandSpec, Docs, Flags, Group};
use shard::CommandError;
use shard::args::Args;
use std::fmt::Write;

/// Rows of this topic.
pub const COMMANDS: &[ServerCommand] = &[ServerCommand {
    spec: CommandSpec {
        arity: -2,
        docs: &LATENCY,
        subcommands: &[
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: &LATENCY_DOCTOR,
                ..CommandSpec::new("doctor", Group::Server)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: &LATENCY_GRAPH,
                ..CommandSpec::new("graph", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::LOADING, Flags::STALE]),
                docs: &LATENCY_HELP,
                ..CommandSpec::new("help", Group::Server)
            },
            CommandSpec {
                arity: -2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: &LATENCY_HISTOGRAM,
                ..CommandSpec::new("histogram", Group::Server)
            },
            CommandSpec {
                arity: 3,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: &LATENCY_HISTORY,
                ..CommandSpec::new("history", Group::Server)
            },
            CommandSpec {
                arity: 2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &[
                    "nondeterministic_output",
                    "request_policy:all_nodes",
                    "response_policy:special",
                ],
                docs: &LATENCY_LATEST,
                ..CommandSpec::new("latest", Group::Server)
            },
            CommandSpec {
                arity: -2,
                flags: Flags::of(&[Flags::ADMIN, Flags::LOADING, Flags::NOSCRIPT, Flags::STALE]),
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                docs: &LATENCY_RESET,
                ..CommandSpec::new("reset", Group::Server)
            },
        ],
        ..CommandSpec::new("latency", Group::Server)
    },
    run: ServerRun::Now(latency),
}];

fn latency(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let shared = connection.core.shared.clone();
    let monitor = &shared.latency;
    match args.bytes()?.to_ascii_lowercase().as_slice() {
        b"doctor" => {
            let threshold_ms = connection.core.settings().latency_monitor_threshold_ms;
            let text = diagnosis(threshold_ms, &monitor.latest());
            connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
        }
        b"graph" => {
            let event = args.bytes()?;
            let samples = monitor.history(event);
            if samples.is_empty() {
                let before = "ERR No samples available for event '";
                return Err(CommandError::showing(before, event, "'"));
            }
            let all_time_max_ms = monitor.max_ms(event);
            let text = graph(event, &samples, all_time_max_ms);
            connection.reply(|writer| writer.verbatim(b"txt", text.as_bytes()));
        }
        b"histogram" => histogram(connection, args),
        b"history" => {
            let samples = monitor.history(args.bytes()?);
            connection.reply(|writer| {
                writer.array(samples.len());
                for sample in &samples {
                    writer.array(2);
                    writer.integer(sample.unix_time_s as i64);
                    writer.integer(sample.latency_ms as i64);
                }
            });
        }
        b"latest" => {
            let spikes = monitor.latest();
            connection.reply(|writer| {
                writer.array(spikes.len());
                for LatestSpike { event, sample, max_ms } in &spikes {
                    writer.array(4);
                    writer.bulk(event.as_bytes());
                    writer.integer(sample.unix_time_s as i64);
                    writer.integer(sample.latency_ms as i64);
                    writer.integer(*max_ms as i64);
                }
            });
        }
        b"reset" => {
            let count = match args.is_empty() {
                true => monitor.reset_all(),
                false => args.rest().map(|event| monitor.reset(event)).sum(),
            };
            connection.reply(|writer| writer.integer(count as i64));
        }
        _ => connection.reply_help(&COMMANDS[0].spec),
    }
    Ok(())
}

/// Writes how run times are distributed: of the commands named, or of all that have run.
fn histogram(connection: &mut Connection, args: Args<'_>) {
    let shared = connection.core.shared.clone();
    let registry = &shared.registry;
    let commands: Vec<&Registered> = match args.is_empty() {
        true => registry.rows().iter().collect(),
        false => {
            // A command with subcommands stands for all of them; a name that nobody has for nothing.
            let named = args.rest().filter_map(|name| registry.find_full(name));
            named.flat_map(|one| [one].into_iter().chain(registry.subcommands(one))).collect()
        }
    };
    let times = commands.into_iter().map(|command| (command, shared.run_times(command.id)));
    let times: Vec<_> = times.filter(|(_, times)| times.count() > 0).collect();
    connection.reply(|writer| {
        writer.map(times.len());
        for (command, times) in &times {
            writer.bulk(command.full_name().as_bytes());
            writer.map(2);
            writer.bulk(b"calls");
            writer.integer(times.count() as i64);
            writer.bulk(b"histogram_usec");
            let steps = times.steps();
            writer.map(steps.len());
            for (us, count) in steps {
                writer.integer(us as i64);
                writer.integer(count as i64);
            }
        }
    });
}

/// What LATENCY DOCTOR says.
fn diagnosis(threshold_ms: u64, spikes: &[LatestSpike]) -> String {
    let mut text = String::new();
    if threshold_ms == 0 {
        text.push_str(
            "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n",
        );
    }
    if spikes.is_empty() {
        text.push_str("No spike was noticed.\n");
    }
    for LatestSpike { event, sample, max_ms } in spikes {
        let latest_ms = sample.latency_ms;
        let line = format!("{event}: the last spike took {latest_ms} ms, the worst {max_ms} ms.\n");
        text.push_str(&line);
    }
    if spikes.iter().any(|spike| spike.event == "command") {
        text.push_str(
            "Long commands hold up everybody whose keys lie on the same shard: SLOWLOG GET shows them.\n",
        );
    }
    text
}

/// The range, then one line per sample: time, milliseconds and a bar in proportion to the worst.
fn graph(event: &[u8], samples: &[Sample], all_time_max_ms: u64) -> String {
    const BAR_LEN_MAX: u64 = 40;
    let all_ms = || samples.iter().map(|sample| sample.latency_ms);
    let (low_ms, high_ms) =
        (all_ms().min().unwrap_or_default(), all_ms().max().unwrap_or_default());
    let event = String::from_utf8_lossy(event);
    let mut text = format!(
        "{event} - high {high_ms} ms, low {low_ms} ms (all time high {all_time_max_ms} ms)\n"
    );
    let max_ms = high_ms.max(1);
    for Sample { unix_time_s, latency_ms } in samples {
        let bar = "#".repeat((latency_ms * BAR_LEN_MAX / max_ms) as usize);
        writeln!(text, "{unix_time_s} {latency_ms:>8} ms {bar}").expect("a String takes all");
    }
    text
}

const LATENCY: Docs = Docs {
    summary: "Shows latency spikes that the server noticed.",
    since: "2.8.13",
    complexity: "depends on the subcommand",
    ..Docs::NONE
};

const LATENCY_DOCTOR: Docs = Docs {
    summary: "Explains in words what was slow.",
    since: "2.8.13",
    complexity: "O(events)",
    ..Docs::NONE
};

const LATENCY_GRAPH: Docs = Docs {
    summary: "Draws the latency spikes of an event.",
    since: "2.8.13",
    complexity: "O(1)",
    arguments: &[Argument::string("event")],
    ..Docs::NONE
};

const LATENCY_HELP: Docs = Docs {
    summary: "Lists the subcommands of LATENCY.",
    since: "2.8.13",
    complexity: "O(1)",
    ..Docs::NONE
};

const LATENCY_HISTOGRAM: Docs = Docs {
    summary: "Shows how the run times of commands are distributed.",
    since: "7.0.0",
    complexity: "O(commands)",
    arguments: &[Argument::string("command").optional().repeated()],
    ..Docs::NONE
};

const LATENCY_HISTORY: Docs = Docs {
    summary: "Shows the latest spikes of an event, with their times.",
    since: "2.8.13",
    complexity: "O(1)",
    arguments: &[Argument::string("event")],
    examples: &["> LATENCY HISTORY command\n(empty array)"],
    ..Docs::NONE
};

const LATENCY_LATEST: Docs = Docs {
    summary: "Shows the last and the worst spike of every event.",
    since: "2.8.13",
    complexity: "O(events)",
    examples: &["> LATENCY LATEST\n(empty array)"],
    ..Docs::NONE
};

const LATENCY_RESET: Docs = Docs {
    summary: "Forgets the spikes of some events, or of all.",
    since: "2.8.13",
    complexity: "O(1) per event",
    arguments: &[Argument::string("event").optional().repeated()],
    examples: &["> LATENCY RESET\n(integer) 0"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_has_a_bar_per_sample() {
        let samples = [(100, 5), (101, 10)];
        let samples = samples.map(|(unix_time_s, latency_ms)| Sample { unix_time_s, latency_ms });
        let expected = format!(
            "command - high 10 ms, low 5 ms (all time high 12 ms)\n100        5 ms {}\n101       10 ms {}\n",
            "#".repeat(20),
            "#".repeat(40)
        );
        assert_eq!(graph(b"command", &samples, 12), expected);
    }

    #[test]
    fn the_doctor_names_what_was_slow() {
        let sample = Sample { unix_time_s: 1, latency_ms: 120 };
        let spike = LatestSpike { event: "command", sample, max_ms: 300 };
        let text = diagnosis(100, &[spike]);
        assert!(text.contains("120 ms") && text.contains("300 ms") && text.contains("SLOWLOG"));
        assert!(diagnosis(0, &[]).contains("latency-monitor-threshold"));
        assert_eq!(diagnosis(1, &[]), "No spike was noticed.\n");
    }
}
