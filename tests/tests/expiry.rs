//! Expiry: a key is there until its time and never after, whether somebody looks (passive) or not
//! (active), in every database and on every shard, and across a restart.

use std::time::{Duration, Instant};

use blackbox::client::{Client, encode};
use blackbox::fixture::TempDir;
use blackbox::server::{Options, Server};
use blackbox::wait;

fn count(client: &mut Client, line: &str) -> i64 {
    client.run(line).as_integer().expect("a number")
}

/// A number of INFO stats.
fn stat(client: &mut Client, name: &str) -> i64 {
    let text = client.run("INFO stats").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

fn without_active_expiry(shards: usize) -> Server {
    let server = Options::rialto().shards(shards).param("enable-debug-command", &["yes"]).start();
    server.client().ok("DEBUG SET-ACTIVE-EXPIRE 0");
    server
}

#[test]
fn a_key_is_there_until_its_time_and_not_after() {
    const TTL: Duration = Duration::from_millis(40);
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    for round in 0..10 {
        let key = format!("key:{round}");
        let before = Instant::now();
        assert!(client.call(&["SET", &key, "v", "PX", &TTL.as_millis().to_string()]).is_ok());
        let after = Instant::now();
        loop {
            let asked = Instant::now();
            let exists = count(&mut client, &format!("EXISTS {key}")) == 1;
            let answered = Instant::now();
            if answered < before + TTL {
                assert!(exists, "gone {:?} after SET", answered - before);
            }
            // A millisecond is the grain of the clock that expiries are measured with.
            if asked > after + TTL + Duration::from_millis(1) {
                assert!(!exists, "still there {:?} after SET", asked - after);
            }
            if !exists {
                break;
            }
        }
    }
}

#[test]
fn an_expired_key_is_invisible_before_it_is_removed() {
    for shards in [1, 4] {
        let server = without_active_expiry(shards);
        let mut client = server.client();
        client.ok("MSET kept:1 v kept:2 v");
        for number in 0..50 {
            client.ok(&format!("SET gone:{number} v PX 1"));
        }
        client.run("RPUSH gone:list a b");
        client.run("PEXPIRE gone:list 1");
        wait::until("the last one is over", || {
            client.run("EXISTS gone:list").as_integer() == Some(0)
        });
        let keys = client.run("KEYS *");
        assert_eq!(keys.elements().map(<[_]>::len), Some(2), "{keys:?}");
        let page = client.run("SCAN 0 COUNT 1000");
        let page = page.elements().expect("cursor and keys");
        assert_eq!(page[1].elements().map(<[_]>::len), Some(2), "{page:?}");
        for _ in 0..50 {
            assert!(client.run("RANDOMKEY").text().starts_with("kept:"));
        }
        assert!(client.run("GET gone:1").as_bytes().is_none());
        assert_eq!(client.run("TYPE gone:2").text(), "none");
        assert_eq!(count(&mut client, "TTL gone:3"), -2);
        assert_eq!(count(&mut client, "STRLEN gone:4"), 0);
        assert_eq!(count(&mut client, "EXISTS gone:5 gone:6"), 0);
        assert_eq!(count(&mut client, "DEL gone:7"), 0);
        assert!(client.run("RENAME gone:8 other").is_error("ERR no such key"));
        assert_eq!(count(&mut client, "COPY gone:9 other"), 0);
        assert_eq!(count(&mut client, "EXPIRE gone:10 100"), 0);
        assert_eq!(count(&mut client, "PERSIST gone:11"), 0);
        assert_eq!(count(&mut client, "SETNX gone:12 fresh"), 1);
        assert_eq!(count(&mut client, "APPEND gone:13 fresh"), 5);
        assert_eq!(count(&mut client, "TTL gone:13"), -1);
        assert_eq!(count(&mut client, "INCR gone:14"), 1);
        assert_eq!(count(&mut client, "RPUSH gone:list c"), 1);
    }
}

#[test]
fn keys_that_nobody_looks_at_are_removed_in_every_database() {
    const KEYS: i64 = 5000;
    for shards in [1, 4] {
        let server = Options::rialto().shards(shards).start();
        let mut client = server.client();
        for db in [0, 3, 15] {
            client.ok(&format!("SELECT {db}"));
            let mut bytes = encode(&["SET", "kept", "v"]);
            for number in 0..KEYS {
                let ttl = (1 + number % 300).to_string();
                bytes.extend(encode(&["SET", &format!("key:{number}"), "v", "PX", &ttl]));
            }
            client.send_raw(&bytes);
            client.read_many(KEYS as usize + 1);
        }
        for db in [0, 3, 15] {
            client.ok(&format!("SELECT {db}"));
            // DBSIZE counts what is stored and looks at no key.
            wait::until("only the key without expiry is left", || {
                count(&mut client, "DBSIZE") == 1
            });
        }
        assert_eq!(stat(&mut client, "expired_keys"), 3 * KEYS, "on {shards} shards");
    }
}

#[test]
fn with_active_expiry_turned_off_nothing_goes_by_itself() {
    const KEYS: i64 = 500;
    let server = without_active_expiry(2);
    let mut client = server.client();
    for number in 0..KEYS {
        client.ok(&format!("SET key:{number} v PX 1"));
    }
    client.ok("SET last v PX 20");
    wait::until("the last one is over", || count(&mut client, "EXISTS last") == 0);
    assert_eq!(count(&mut client, "DBSIZE"), KEYS, "the one that was looked at is gone");
    client.ok("DEBUG SET-ACTIVE-EXPIRE 1");
    wait::until("all are gone", || count(&mut client, "DBSIZE") == 0);
}

#[test]
fn expiring_many_keys_at_once_stalls_nobody() {
    const KEYS: usize = 100_000;
    /// Generous: a loaded machine takes its share.
    const STALL_MAX: Duration = Duration::from_millis(250);
    let server = Options::rialto().shards(2).start();
    let mut client = server.client();
    let mut written = 0;
    while written < KEYS {
        let bytes: Vec<u8> = (written..written + 10_000)
            .flat_map(|number| encode(&["SET", &format!("key:{number}"), "v", "PX", "700"]))
            .collect();
        client.send_raw(&bytes);
        client.read_many(10_000);
        written += 10_000;
    }
    let mut longest = Duration::ZERO;
    wait::until("all are gone", || {
        let asked = Instant::now();
        let left = count(&mut client, "DBSIZE");
        longest = longest.max(asked.elapsed());
        left == 0
    });
    eprintln!("longest DBSIZE while {KEYS} keys expired: {longest:?}");
    assert!(longest < STALL_MAX, "{longest:?}");
}

#[test]
fn a_restart_does_not_prolong_a_life() {
    let dir = TempDir::new();
    let durable = Options::rialto().param("appendonly", &["yes"]).dir(dir.path());
    let mut server = durable.clone().shards(2).start();
    let mut client = server.client();
    client.ok("SET long v PX 500000");
    client.ok("SET short v PX 1");
    client.ok("SET relative v");
    client.run("EXPIRE relative 1000");
    client.ok("SET kept v EX 1000");
    client.run("PERSIST kept");
    let deadline = count(&mut client, "PEXPIRETIME long");
    let relative = count(&mut client, "PEXPIRETIME relative");
    assert_eq!(server.terminate().code(), Some(0));

    let server = durable.shards(4).start();
    let mut client = server.client();
    assert_eq!(count(&mut client, "PEXPIRETIME long"), deadline);
    assert_eq!(count(&mut client, "PEXPIRETIME relative"), relative);
    assert_eq!(count(&mut client, "TTL kept"), -1);
    assert_eq!(count(&mut client, "EXISTS short"), 0);
}
