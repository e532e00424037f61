//! One measurement: a server, a number of operations, and the CPU time it took the server.
//!
//! A sample that is not what it seems is an error, not a figure: `redis-benchmark` must have ended well, the
//! server must have counted as many calls as were asked for, must not have answered an error, and
//! every GET must have hit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use redis::{Connection, IntoConnectionInfo, RedisResult};

use super::plan::{Cell, Operation};
use crate::process::cpu_time;
use crate::server::{Server, cpu_list};

/// Keys of a database; `redis-benchmark -r` draws from them.
pub const KEY_COUNT: u64 = 100_000;
/// Bytes of a value.
pub const VALUE_SIZE: usize = 64;
/// Connections of the client.
pub const CONNECTION_COUNT: u64 = 50;

/// Operations that are sent before the first sample of a server, uncounted.
const WARM_UP: u64 = 32_000;
/// Keys per pipeline when a database is loaded.
const PRELOAD_BATCH: usize = 1_000;

/// What one measurement found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Microseconds of server CPU per operation.
    pub cpu_us: f64,
    /// Operations per second of wall time.
    pub per_second: f64,
    /// Median latency that the client saw, in milliseconds.
    pub p50_ms: f64,
}

/// The load generator.
#[derive(Debug, Clone)]
pub struct Client {
    /// `redis-benchmark`, or a program that takes the same parameters.
    pub program: PathBuf,
    /// CPUs it may use.
    pub cpus: Vec<usize>,
}

/// What `redis-benchmark` reports of itself.
#[derive(Debug, PartialEq)]
struct Load {
    per_second: f64,
    p50_ms: f64,
}

impl Client {
    fn run(&self, server: &Server, cell: &Cell, operations: u64) -> Result<Load, String> {
        let operation = cell.operation.name();
        let output = Command::new("taskset")
            .args(["-c", &cpu_list(&self.cpus)])
            .arg(&self.program)
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &server.port().to_string(),
                "--csv",
                "--precision",
                "3",
            ])
            .args(["-t", &operation.to_ascii_lowercase()])
            .args(["-n", &operations.to_string(), "-r", &KEY_COUNT.to_string()])
            .args(["-d", &VALUE_SIZE.to_string(), "-c", &CONNECTION_COUNT.to_string()])
            .args(["-P", &cell.pipeline.to_string()])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match parse_load(&text, operation) {
            Some(load) if output.status.success() => Ok(load),
            _ => {
                let errors = String::from_utf8_lossy(&output.stderr);
                Err(format!("{} did not finish: {text}{errors}", self.program.display()))
            }
        }
    }
}

/// Finds the line of `operation` in the CSV output of `redis-benchmark`.
fn parse_load(csv: &str, operation: &str) -> Option<Load> {
    let rows: Vec<Vec<&str>> = csv
        .lines()
        .map(|line| line.split(',').map(|cell| cell.trim_matches('"')).collect())
        .collect();
    let header = rows.iter().find(|row| row[0] == "test")?;
    let row = rows.iter().find(|row| row[0] == operation)?;
    let value = |name: &str| {
        let column = header.iter().position(|&cell| cell == name)?;
        row.get(column)?.parse::<f64>().ok()
    };
    Some(Load { per_second: value("rps")?, p50_ms: value("p50_latency_ms")? })
}

/// Puts every key of the benchmark into the server, and warms it up.
///
/// # Errors
/// When the server does not hold them all afterwards.
pub fn preload(server: &Server, client: &Client, cell: &Cell) -> Result<(), String> {
    let loaded = connect(server).and_then(|mut connection| {
        let value = "x".repeat(VALUE_SIZE);
        let keys: Vec<u64> = (0..KEY_COUNT).collect();
        for keys in keys.chunks(PRELOAD_BATCH) {
            let mut pipeline = redis::pipe();
            for key in keys {
                // The form in which redis-benchmark draws keys.
                pipeline.cmd("SET").arg(format!("key:{key:012}")).arg(&value).ignore();
            }
            pipeline.exec(&mut connection)?;
        }
        redis::cmd("DBSIZE").query::<u64>(&mut connection)
    });
    match loaded.map_err(|error| format!("cannot load the keys: {error}"))? {
        KEY_COUNT => client.run(server, cell, WARM_UP).map(drop),
        count => Err(format!("the server holds {count} keys of {KEY_COUNT}")),
    }
}

/// Takes one sample of a server that was preloaded.
///
/// # Errors
/// When the run was not what it should have been; see the head of this file.
pub fn measure(
    server: &Server,
    client: &Client,
    cell: &Cell,
    operations: u64,
) -> Result<Sample, String> {
    let before = Counters::read(server);
    let cpu_before = cpu_time(server.pid()).map_err(|error| format!("no CPU time: {error}"))?;
    let load = client.run(server, cell, operations)?;
    let cpu_after = cpu_time(server.pid()).map_err(|error| format!("no CPU time: {error}"))?;
    let after = Counters::read(server);
    let calls = Counters::verify(&before, &after, cell.operation, operations)?;
    let cpu = cpu_after.saturating_sub(cpu_before);
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / calls as f64,
        per_second: load.per_second,
        p50_ms: load.p50_ms,
    })
}

/// What a server counts of itself; a server without INFO has none, and is not held to them.
#[derive(Debug, Default)]
struct Counters {
    fields: HashMap<String, u64>,
}

impl Counters {
    fn read(server: &Server) -> Self {
        let sections = ["stats", "commandstats"].into_iter();
        let info = sections.filter_map(|section| {
            let mut connection = connect(server).ok()?;
            redis::cmd("INFO").arg(section).query::<String>(&mut connection).ok()
        });
        Self::parse(&info.collect::<Vec<_>>().join("\n"))
    }

    fn parse(info: &str) -> Self {
        let field = |line: &str| {
            let (name, value) = line.trim().split_once(':')?;
            let value = value.strip_prefix("calls=").unwrap_or(value);
            let value = value.split(',').next()?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { fields: info.lines().filter_map(field).collect() }
    }

    /// How much a counter grew, if the server has it. Redis lists a command after its first call.
    fn growth(before: &Self, after: &Self, name: &str) -> Option<u64> {
        let start = before.fields.get(name).copied().unwrap_or(0);
        after.fields.get(name).map(|end| end.saturating_sub(start))
    }

    /// The number of calls that the server counted, if they are what was asked for.
    fn verify(
        before: &Self,
        after: &Self,
        operation: Operation,
        operations: u64,
    ) -> Result<u64, String> {
        let growth = |name: &str| Self::growth(before, after, name);
        let errors = growth("total_error_replies").unwrap_or(0);
        if errors > 0 {
            return Err(format!("the server answered {errors} errors"));
        }
        let misses = growth("keyspace_misses").unwrap_or(0);
        if operation == Operation::Get && misses > 0 {
            return Err(format!("{misses} of {operations} GETs missed"));
        }
        let name = format!("cmdstat_{}", operation.name().to_ascii_lowercase());
        match growth(&name) {
            Some(calls) if calls < operations => {
                Err(format!("the server counted {calls} calls of {operations}"))
            }
            calls => Ok(calls.unwrap_or(operations)),
        }
    }
}

/// A connection that does not introduce itself: Redis 7.0 answers that with an error, and errors are
/// counted here.
fn connect(server: &Server) -> RedisResult<Connection> {
    let info = server.url().into_connection_info()?;
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    redis::Client::open(info.set_redis_settings(settings))?.get_connection()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_redis_benchmark_is_read() {
        let csv = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\"\n\
                   \"GET\",\"588235.31\",\"1.216\",\"0.360\",\"1.231\"\n";
        let load = Load { per_second: 588_235.31, p50_ms: 1.231 };
        assert_eq!(parse_load(csv, "GET"), Some(load));
        assert_eq!(parse_load(csv, "SET"), None);
        assert_eq!(parse_load("", "GET"), None);
    }

    #[test]
    fn samples_that_are_not_what_they_seem_are_refused() {
        let counters = |get: u64, misses: u64, errors: u64| {
            Counters::parse(&format!(
                "# Stats\r\nkeyspace_misses:{misses}\r\ntotal_error_replies:{errors}\r\n\
                 # Commandstats\r\ncmdstat_get:calls={get},usec=5,usec_per_call=0.1\r\n"
            ))
        };
        let before = counters(10, 3, 1);
        let verify = |after| Counters::verify(&before, &after, Operation::Get, 100);
        assert_eq!(verify(counters(115, 3, 1)), Ok(105));
        assert!(verify(counters(109, 3, 1)).unwrap_err().contains("99 calls of 100"));
        assert!(verify(counters(110, 4, 1)).unwrap_err().contains("1 of 100 GETs missed"));
        assert!(verify(counters(110, 3, 2)).unwrap_err().contains("1 errors"));
        let none = Counters::default();
        assert_eq!(Counters::verify(&none, &none, Operation::Set, 100), Ok(100));
    }
}
