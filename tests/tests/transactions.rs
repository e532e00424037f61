//! Transactions over several shards: all of one or nothing, also after kill -9; nobody starves; no update is lost.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use blackbox::client::{Client, encode};
use blackbox::fixture::TempDir;
use blackbox::server::{Options, Server};
use blackbox::value::Value;

/// Clients that write at the same time.
const WRITERS: usize = 4;

/// The lines as one piece of requests.
fn requests(lines: &[String]) -> Vec<u8> {
    let words = |line: &String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    lines.iter().flat_map(|line| encode(&words(line))).collect()
}

/// A transaction that counts on keys of several shards. Every other one has a command of the server in the middle, so
/// that it cannot be done at one moment and needs locks.
fn counting(writer: usize, number: usize) -> Vec<String> {
    let mut lines = vec!["MULTI".to_owned()];
    for part in ["a", "b", "c", "d"] {
        lines.push(format!("INCR {part}:{writer}"));
        if number % 2 == 1 && part == "b" {
            lines.push("ECHO between".to_owned());
        }
    }
    lines.push(format!("RPUSH list:{writer} {number}"));
    lines.push("EXEC".to_owned());
    lines
}

fn durable(dir: &TempDir, shards: usize) -> Server {
    let options = Options::rialto().param("appendonly", &["yes"]);
    options.param("appendfsync", &["everysec"]).shards(shards).dir(dir.path()).start()
}

fn count(client: &mut Client, key: &str) -> i64 {
    match client.run(&format!("GET {key}")).as_bytes() {
        Some(text) => String::from_utf8_lossy(text).parse().expect("a counter is a number"),
        None => 0,
    }
}

/// Counts until the connection breaks; every reply must be that of a transaction that has run.
fn count_until_broken(mut client: Client, writer: usize) -> usize {
    let mut ran_count = 0;
    loop {
        let lines = counting(writer, ran_count);
        if client.try_send_raw(&requests(&lines)).is_err() {
            return ran_count;
        }
        for _ in 0..lines.len() {
            match client.try_read() {
                Ok(reply) => assert!(!matches!(reply.value, Value::Error(_)), "{:?}", reply.value),
                Err(_) => return ran_count,
            }
        }
        ran_count += 1;
    }
}

#[test]
fn after_kill_9_all_of_a_transaction_is_there_or_nothing() {
    let dir = TempDir::new();
    for shards in [2, 4, 4, 1] {
        let mut server = durable(&dir, shards);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let client = server.client();
                thread::spawn(move || count_until_broken(client, writer))
            })
            .collect();
        // The writers are what happens meanwhile; there is no condition to wait for.
        thread::sleep(Duration::from_millis(1500));
        server.kill();
        let ran_count: usize =
            writers.into_iter().map(|writer| writer.join().expect("a writer ends")).sum();
        assert!(ran_count > 0);
        let server = durable(&dir, 3);
        let mut client = server.client();
        let mut kept_count = 0;
        for writer in 0..WRITERS {
            let counts =
                ["a", "b", "c", "d"].map(|part| count(&mut client, &format!("{part}:{writer}")));
            let list = client.run(&format!("LLEN list:{writer}")).as_integer();
            assert_eq!(counts, [list.unwrap_or(-1); 4], "on {shards} shards, of writer {writer}");
            kept_count += counts[0];
        }
        assert!(kept_count > 0, "more than a second of transactions cannot be lost");
    }
}

#[test]
fn clients_on_the_same_three_keys_all_make_progress() {
    const CLIENTS: usize = 16;
    for shards in [1, 2, 4] {
        let server = Options::rialto().shards(shards).start();
        let barrier = Barrier::new(CLIENTS);
        let end = Duration::from_secs(2);
        let work = |number: usize| {
            let mut client = server.client();
            barrier.wait();
            let begun_at = Instant::now();
            let (mut longest, mut done_count) = (Duration::ZERO, 0_usize);
            while begun_at.elapsed() < end {
                let lines: Vec<String> = match (number + done_count) % 4 {
                    0 => vec!["MSET x 1 y 2 z 3".to_owned()],
                    1 => vec!["COPY x y REPLACE".to_owned()],
                    2 => ["MULTI", "SET x 1", "ECHO e", "INCR y", "MGET x y z", "EXEC"]
                        .map(str::to_owned)
                        .to_vec(),
                    _ => vec!["MSETNX x 1 w 2".to_owned()],
                };
                let asked_at = Instant::now();
                client.send_raw(&requests(&lines));
                client.read_many(lines.len());
                longest = longest.max(asked_at.elapsed());
                done_count += 1;
            }
            (longest, done_count)
        };
        let done: Vec<(Duration, usize)> = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CLIENTS).map(|number| scope.spawn(move || work(number))).collect();
            clients.into_iter().map(|one| one.join().expect("it was answered")).collect()
        });
        let longest = done.iter().map(|(longest, _)| *longest).max().unwrap_or_default();
        let fewest = done.iter().map(|(_, count)| *count).min().unwrap_or_default();
        let total: usize = done.iter().map(|(_, count)| count).sum();
        eprintln!("{shards} shards: {total} operations, longest wait {longest:?}, fewest {fewest}");
        assert!(fewest > 0, "a client has got nothing done");
        assert!(longest < Duration::from_secs(5), "a client has waited {longest:?}");
    }
}

#[test]
fn no_update_of_a_watched_key_is_lost() {
    const UPDATES: usize = 40;
    for shards in [1, 2, 4] {
        let server = Options::rialto().shards(shards).start();
        let update = || {
            let mut client = server.client();
            let mut update_count = 0;
            while update_count < UPDATES {
                client.ok("WATCH counter");
                let next = count(&mut client, "counter") + 1;
                client.ok("MULTI");
                client.run(&format!("SET counter {next}"));
                client.run(&format!("RPUSH history {next}"));
                update_count += usize::from(client.run("EXEC") != Value::Array(None));
            }
        };
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(update);
            }
        });
        let mut client = server.client();
        assert_eq!(count(&mut client, "counter"), (WRITERS * UPDATES) as i64, "on {shards} shards");
        let history = client.run("LRANGE history 0 -1");
        let history: Vec<String> =
            history.elements().expect("a list").iter().map(Value::text).collect();
        let expected: Vec<String> = (1..=WRITERS * UPDATES).map(|n| n.to_string()).collect();
        assert_eq!(history, expected, "on {shards} shards");
    }
}

#[test]
fn pipelined_transactions_answer_in_order() {
    const TRANSACTIONS: usize = 200;
    for shards in [1, 2, 4] {
        let server = Options::rialto().shards(shards).start();
        let mut client = server.client();
        let transaction = |number: usize| {
            let key = format!("{{{}}}", number % 7);
            let other =
                if number.is_multiple_of(3) { "elsewhere".to_owned() } else { format!("{key}b") };
            let set = format!("SET {key}a {number}");
            [
                "MULTI".to_owned(),
                set,
                format!("GET {key}a"),
                format!("SET {other} 1"),
                "EXEC".to_owned(),
            ]
        };
        let lines: Vec<String> = (0..TRANSACTIONS).flat_map(transaction).collect();
        client.send_raw(&requests(&lines));
        let replies = client.read_many(lines.len());
        for (number, replies) in replies.chunks(5).enumerate() {
            let Value::Array(Some(results)) = &replies[4].value else { panic!("{:?}", replies[4]) };
            assert_eq!(results[1].text(), number.to_string(), "on {shards} shards");
        }
    }
}
