//! The crash test: the feed runs, the server is killed with -9 in the middle, restarts, and must still
//! have what it had acknowledged; then the feed goes on.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::Builder;

use super::report::Report;
use super::world::Ending;
use super::{Options, check, run};
use crate::output::line;
use crate::random::{Random, mix};
use crate::server::{self, Binary, Log, Server, TempDir};

/// What a crash test is made of.
#[derive(Debug)]
pub struct CrashTest {
    /// The server program.
    pub server: PathBuf,
    /// Its shards.
    pub shards: usize,
    /// How many times it is killed.
    pub crashes: u32,
    /// What may be lost, in microseconds before the last acknowledgement.
    pub allow_lost_us: u64,
    /// The feed; its address and record file are the test's own.
    pub feed: Options,
}

/// Runs the test and prints what happens.
///
/// # Errors
/// Says what did not hold.
pub fn crash_test(test: &CrashTest) -> Result<(), String> {
    let binary = Binary::probe(&test.server)?;
    let dir = TempDir::new("crash")?;
    let record = dir.path().join("feed-record");
    let options = server::Options { shards: test.shards, log: Log::EverySecond, cpus: Vec::new() };
    let mut random = Random::new(mix(test.feed.seed));
    let mut server = Server::start(&binary, &options, dir.path())?;
    line(format!("crash test of {}, seed {}", binary.version, test.feed.seed));
    for crash in 1..=test.crashes {
        let feed = Options { url: server.url(), record: Some(record.clone()), ..test.feed.clone() };
        let after = feed.duration.mul_f64(0.3 + 0.4 * random.unit());
        let report = run_and_kill(feed, server, after)?;
        line(format!("\n{}\n", report.text()));
        expect_disconnect(&report)?;
        server = Server::start(&binary, &options, dir.path())?;
        let findings = check::check(&server.url(), &record, test.allow_lost_us)?;
        line(format!(
            "killed {crash} of {}: after {} ticks; restarted: {}",
            test.crashes,
            report.ticks,
            findings.summary()
        ));
        if !findings.violations.is_empty() {
            return Err(findings.violations.join("\n"));
        }
    }
    let report = run(Options { url: server.url(), ..test.feed.clone() })?;
    line(format!("\nthe feed goes on:\n{}", report.text()));
    match report.exit_code(false) {
        0 => Ok(()),
        _ => Err("the feed that went on after the restart did not hold".to_owned()),
    }
}

/// Runs the feed and kills the server after this long.
fn run_and_kill(
    feed: Options,
    server: Server,
    after: std::time::Duration,
) -> Result<Report, String> {
    let (ended, end) = mpsc::channel();
    let feed = Builder::new()
        .name("feed".to_owned())
        .spawn(move || {
            let report = run(feed);
            // The other side listens only until it kills the server.
            let _ = ended.send(());
            report
        })
        .map_err(|error| format!("cannot start the feed: {error}"))?;
    let is_running = end.recv_timeout(after) == Err(RecvTimeoutError::Timeout);
    server.kill().map_err(|error| format!("cannot kill the server: {error}"))?;
    let report = feed.join().expect("the feed returns its errors and does not panic")?;
    if is_running { Ok(report) } else { Err(format!("ended too early:\n{}", report.text())) }
}

/// A killed server breaks connections and nothing else.
fn expect_disconnect(report: &Report) -> Result<(), String> {
    match report.exit_code(true) {
        3 if report.ticks > 0 => Ok(()),
        3 => Err("the server was killed before the first tick".to_owned()),
        _ if report.ending == Ending::Completed => {
            Err("the feed did not notice the kill".to_owned())
        }
        _ => Err("an invariant broke before the kill".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_is_named() {
        let test = CrashTest {
            server: "/nonexistent/server".into(),
            shards: 1,
            crashes: 1,
            allow_lost_us: 0,
            feed: Options::default(),
        };
        let error = crash_test(&test).unwrap_err();
        assert!(error.starts_with("cannot run /nonexistent/server"), "{error}");
    }
}
