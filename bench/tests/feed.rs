//! The feed against a real Redis: it holds when left alone, and each kind of damage is found.
//!
//! Needs `redis-server` on the path. A test damages what the feed works on while it runs, from a
//! connection of its own, until the feed has ended.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use bench::feed::check::check;
use bench::feed::content::{EVENT_CHANNEL, snapshot_key, state_json, state_key, symbol_name};
use bench::feed::crash::{CrashTest, crash_test};
use bench::feed::report::Report;
use bench::feed::world::{Ending, Violation};
use bench::feed::{Options, run};
use bench::server::{self, Binary, Log, Server, TempDir};
use redis::Connection;

/// A Redis of the test's own, and where its files are.
fn redis_server() -> (Server, TempDir) {
    let binary = Binary::probe("redis-server").expect("redis-server is installed");
    let options = server::Options { shards: 1, log: Log::Off, cpus: Vec::new() };
    let dir = TempDir::new("feed-test").expect("the temporary directory is writable");
    (Server::start(&binary, &options, dir.path()).expect("redis-server starts"), dir)
}

fn options(server: &Server) -> Options {
    let duration = Duration::from_millis(700);
    Options { url: server.url(), symbols: 20, duration, rate: 4_000, ..Options::default() }
}

fn connect(server: &Server) -> Connection {
    let client = redis::Client::open(server.url()).expect("the address is well formed");
    client.get_connection().expect("the server answers")
}

/// Runs the feed while `damage` is done again and again.
fn run_damaged(options: Options, server: &Server, damage: impl Fn(&mut Connection)) -> Report {
    let mut connection = connect(server);
    std::thread::scope(|scope| {
        let feed = scope.spawn(|| run(options).expect("the feed begins"));
        while !feed.is_finished() {
            damage(&mut connection);
            std::thread::yield_now();
        }
        feed.join().expect("the feed does not panic")
    })
}

/// The most active symbol of a feed with the default seed and one writer is among the first twenty;
/// damage is done to all of them.
fn symbols() -> impl Iterator<Item = String> {
    (0..20).map(symbol_name)
}

#[track_caller]
fn assert_found(report: &Report, violation: Violation) {
    assert!(report.broken.contains_key(&violation), "{violation:?}: {}", report.text());
    assert_eq!(report.exit_code(true), 1);
}

#[test]
fn a_run_holds_and_the_next_goes_on_where_it_ended() {
    let (server, _dir) = redis_server();
    for protocol in ["resp2", "resp3"] {
        let url = format!("{}?protocol={protocol}", server.url());
        let report = run(Options { url, ..options(&server) }).unwrap();
        assert_eq!(report.exit_code(false), 0, "{}", report.text());
        assert_eq!(report.ending, Ending::Completed);
        assert!(report.ticks > 100, "{}", report.text());
    }
}

#[test]
fn one_seed_writes_the_same_whatever_the_pace() {
    let written = |rate| {
        let (server, dir) = redis_server();
        let record = dir.path().join("record");
        let feed = Options { rate, writers: 1, record: Some(record.clone()), ..options(&server) };
        assert_eq!(run(feed).unwrap().exit_code(false), 0);
        let text = std::fs::read_to_string(record).unwrap();
        let ticks = text.lines().filter(|line| line.starts_with("t "));
        ticks
            .map(|line| line.split_once(' ').unwrap().1.split_once(' ').unwrap().1.to_owned())
            .collect::<Vec<String>>()
    };
    let (slow, fast) = (written(1_000), written(0));
    assert!(slow.len() > 100 && fast.len() > slow.len());
    assert_eq!(slow[..], fast[..slow.len()]);
}

#[test]
fn a_torn_snapshot_is_found() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        for symbol in symbols() {
            let mut damage = redis::cmd("HSET");
            damage.arg(snapshot_key(&symbol)).arg("price").arg("0.01").exec(connection).unwrap();
        }
    });
    assert_found(&report, Violation::Torn);
}

#[test]
fn a_state_that_goes_back_is_found() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        for symbol in symbols() {
            let mut damage = redis::cmd("SET");
            damage.arg(state_key(&symbol)).arg(state_json(&symbol, 1)).exec(connection).unwrap();
        }
    });
    assert_found(&report, Violation::Stale);
}

#[test]
fn values_that_vanish_are_found() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        redis::cmd("FLUSHALL").exec(connection).unwrap();
    });
    assert_found(&report, Violation::Missing);
}

#[test]
fn events_of_nobody_are_found() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        let event = bench::feed::content::event_json(&symbol_name(0), 1_000_000, 0);
        redis::cmd("PUBLISH").arg(EVENT_CHANNEL).arg(event).exec(connection).unwrap();
    });
    assert_found(&report, Violation::Gap);
    assert_found(&report, Violation::Order);
}

#[test]
fn stolen_and_shuffled_tasks_are_found() {
    let (server, _dir) = redis_server();
    let feed = Options { workers: 1, ..options(&server) };
    let report = run_damaged(feed, &server, |connection| {
        redis::cmd("LPOP").arg("queue:tasks").exec(connection).unwrap();
    });
    assert_found(&report, Violation::Task);
}

#[test]
fn a_ranking_that_never_was_is_found() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        let mut damage = redis::cmd("ZADD");
        damage.arg("leaderboard:strategies").arg(99).arg("strategy:00").exec(connection).unwrap();
    });
    assert_found(&report, Violation::Ranking);
}

#[test]
fn error_replies_end_the_run() {
    let (server, _dir) = redis_server();
    let report = run_damaged(options(&server), &server, |connection| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1").exec(connection).unwrap();
    });
    assert_found(&report, Violation::Reply);
    assert_eq!(report.ending, Ending::Stopped);
    assert!(report.text().contains("OOM"), "{}", report.text());
}

#[test]
fn a_foreign_state_is_refused_at_the_start() {
    let (server, _dir) = redis_server();
    let mut set = redis::cmd("SET");
    set.arg(state_key(&symbol_name(3))).arg("hello").exec(&mut connect(&server)).unwrap();
    let error = run(options(&server)).unwrap_err();
    assert!(error.contains("was not written by this feed"), "{error}");
}

#[test]
fn a_check_finds_what_was_lost() {
    let (server, dir) = redis_server();
    let record = dir.path().join("record");
    let report = run(Options { record: Some(record.clone()), ..options(&server) }).unwrap();
    assert_eq!(report.exit_code(false), 0, "{}", report.text());
    let check_us = |allow_lost_us| check(&server.url(), &record, allow_lost_us).unwrap();
    assert_eq!(check_us(0).violations, Vec::<String>::new());
    assert!(check_us(0).required > 10);

    let mut connection = connect(&server);
    for symbol in symbols() {
        let mut set = redis::cmd("SET");
        set.arg(state_key(&symbol)).arg(state_json(&symbol, 1)).exec(&mut connection).unwrap();
    }
    let findings = check_us(100_000);
    assert!(findings.violations.iter().any(|text| text.contains("is required")), "{findings:?}");
    assert!(findings.lost_us > 100_000 && findings.behind > 10, "{findings:?}");
    assert_eq!(check_us(60_000_000).violations, Vec::<String>::new(), "all of it may be lost");

    redis::cmd("FLUSHALL").exec(&mut connection).unwrap();
    assert!(check_us(100_000).violations.iter().any(|text| text.contains("is gone")));
}

/// A program in `dir` that starts redis-server with `extra` parameters after those of the caller.
fn redis_with(dir: &TempDir, extra: &str) -> PathBuf {
    let path = dir.path().join("redis-server");
    std::fs::write(&path, format!("#!/bin/sh\nexec redis-server \"$@\" {extra}\n"))
        .and_then(|()| std::fs::set_permissions(&path, Permissions::from_mode(0o755)))
        .expect("the temporary directory is writable");
    path
}

#[test]
fn the_crash_test_tells_a_server_that_remembers_from_one_that_does_not() {
    let crash_test_of = |extra| {
        let dir = TempDir::new("feed-test").expect("the temporary directory is writable");
        crash_test(&CrashTest {
            server: redis_with(&dir, extra),
            shards: 2,
            crashes: 2,
            allow_lost_us: 100_000,
            feed: Options { symbols: 50, duration: Duration::from_secs(1), ..Options::default() },
        })
    };
    // With `everysec` Redis holds its log back while an fsync runs and loses up to two seconds; with
    // `no` everything acknowledged is with the kernel, which survives the kill.
    assert_eq!(crash_test_of("--appendfsync no"), Ok(()));
    let error = crash_test_of("--appendonly no").unwrap_err();
    assert!(error.contains("is gone"), "{error}");
}
