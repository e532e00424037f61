//! `maxmemory`: the limit holds for all shards together, by every policy; what leaves is told to everybody whom it
//! concerns; and where nothing may leave, writes are refused and reads go on.

use blackbox::client::{Client, encode};
use blackbox::fixture::TempDir;
use blackbox::process::resident_bytes;
use blackbox::rng::Rng;
use blackbox::server::{Options, Server};
use blackbox::value::Value;
use blackbox::wait;
use std::time::{Duration, Instant};

const MIB: i64 = 1 << 20;

/// A number of INFO.
fn info(client: &mut Client, name: &str) -> i64 {
    let text = client.run("INFO").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// What is compared with the limit.
fn counted(client: &mut Client) -> i64 {
    info(client, "used_memory") - info(client, "mem_not_counted_for_evict")
}

fn start(shards: usize, limit: &str, policy: &str) -> Server {
    Options::rialto()
        .shards(shards)
        .param("maxmemory", &[limit])
        .param("maxmemory-policy", &[policy])
        .start()
}

/// Sets `key:<number>` for each number to a value of `value_len` bytes, with `tail` behind; returns how many were
/// refused with the OOM error. Panics at any other error.
fn fill(
    client: &mut Client,
    numbers: std::ops::Range<usize>,
    value_len: usize,
    tail: &[&str],
) -> usize {
    let value = "v".repeat(value_len);
    let mut refused_count = 0;
    let numbers: Vec<usize> = numbers.collect();
    for chunk in numbers.chunks(500) {
        let mut bytes = Vec::new();
        for number in chunk {
            let key = format!("key:{number}");
            let args = [&["SET", &key, &value], tail].concat();
            bytes.extend(encode(&args));
        }
        client.send_raw(&bytes);
        for reply in client.read_many(chunk.len()) {
            if !reply.value.is_ok() {
                let oom = "OOM command not allowed when used memory > 'maxmemory'.";
                assert!(reply.value.is_error(oom), "{:?}", reply.value);
                refused_count += 1;
            }
        }
    }
    refused_count
}

#[test]
fn without_eviction_writes_are_refused_and_reads_go_on() {
    for shards in [1, 4] {
        let server = start(shards, "4mb", "noeviction");
        let mut client = server.client();
        client.ok("SET first value");
        let refused_count = fill(&mut client, 0..8_000, 1_000, &[]);
        assert!((3_000..5_500).contains(&refused_count), "{refused_count} on {shards} shards");
        assert!(counted(&mut client) < 5 * MIB);
        assert_eq!(client.run("GET first").text(), "value");
        let key_count = client.run("DBSIZE").as_integer();
        // Over several shards nothing is written either.
        for line in ["MSET a 1 b 2 c 3 d 4", "LPUSH list x", "HSET h f v", "APPEND first x"] {
            assert!(client.run(line).is_error("OOM "), "{line} on {shards} shards");
        }
        assert_eq!(client.run("EXISTS a b c d list h").as_integer(), Some(0));
        assert_eq!(client.run("DBSIZE").as_integer(), key_count);
        assert_eq!(client.run("EXPIRE first 1000").as_integer(), Some(1), "needs no memory");
        // What waits for EXEC takes memory too, whatever it does.
        client.ok("MULTI");
        assert!(client.run("GET first").is_error("OOM "));
        assert!(client.run("EXEC").is_error("EXECABORT Transaction discarded because of previous"));
        // And what was queued while there was room does not run when there is none.
        client.ok("CONFIG SET maxmemory 0");
        client.ok("MULTI");
        assert_eq!(client.run("SET first other").text(), "QUEUED");
        server.client().ok("CONFIG SET maxmemory 4mb");
        let abort = "EXECABORT Transaction discarded because of: OOM command not allowed";
        assert!(client.run("EXEC").is_error(abort), "on {shards} shards");
        client.ok("MULTI");
        client.ok("DISCARD");
        assert_eq!(client.run("GET first").text(), "value");
        assert_eq!(info(&mut client, "evicted_keys"), 0);
        assert!(info(&mut client, "total_eviction_exceeded_time") >= 0);
        client.ok("FLUSHALL");
        wait::until("there is room again", || client.run("SET k v").is_ok());
        assert_eq!(info(&mut client, "current_eviction_exceeded_time"), 0);
    }
}

#[test]
fn every_policy_keeps_to_the_limit() {
    for shards in [1, 4] {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let server = start(shards, "4mb", policy);
            let mut client = server.client();
            assert_eq!(fill(&mut client, 0..12_000, 1_000, &[]), 0, "{policy}");
            wait::until("memory is below the limit", || counted(&mut client) <= 4 * MIB);
            let evicted = info(&mut client, "evicted_keys");
            let left = client.run("DBSIZE").as_integer().expect("a number");
            assert_eq!(evicted + left, 12_000, "{policy} on {shards} shards");
            assert!(left > 2_500, "{policy} on {shards} shards leaves {left}");
        }
    }
}

#[test]
fn volatile_policies_take_only_keys_with_an_expiry() {
    for shards in [1, 4] {
        for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
            let server = start(shards, "4mb", policy);
            let mut client = server.client();
            assert_eq!(fill(&mut client, 0..1_000, 1_000, &[]), 0);
            assert_eq!(fill(&mut client, 1_000..9_000, 1_000, &["EX", "10000"]), 0, "{policy}");
            wait::until("memory is below the limit", || counted(&mut client) <= 4 * MIB);
            assert!(info(&mut client, "evicted_keys") > 4_000);
            // The others stay, also when they are all there is: then writes are refused.
            let refused_count = fill(&mut client, 20_000..26_000, 1_000, &[]);
            assert!(refused_count > 1_000, "{policy} on {shards} shards: {refused_count}");
            for number in (0..1_000).step_by(97) {
                let exists = client.run(&format!("EXISTS key:{number}")).as_integer();
                assert_eq!(exists, Some(1), "key:{number} by {policy}");
            }
        }
    }
}

#[test]
fn keys_that_are_used_often_stay() {
    let server = start(1, "4mb", "allkeys-lfu");
    let mut client = server.client();
    fill(&mut client, 0..100, 1_000, &[]);
    for number in 0..100 {
        let get = encode(&["GET", &format!("key:{number}")]);
        client.send_raw(&get.repeat(200));
        client.read_many(200);
    }
    // The counter of one key is a matter of chance.
    let frequencies =
        (0..100).filter_map(|number| client.run(&format!("OBJECT FREQ key:{number}")).as_integer());
    let sum: i64 = frequencies.sum();
    assert!(sum > 800, "{sum} together, and 500 for new keys");
    fill(&mut client, 1_000..20_000, 1_000, &[]);
    let hot = (0..100)
        .filter(|number| client.run(&format!("EXISTS key:{number}")).as_integer() == Some(1));
    let hot_count = hot.count();
    assert!(hot_count >= 98, "{hot_count} of 100 are left");
}

#[test]
fn a_lower_limit_takes_effect_at_once_and_stalls_nobody() {
    /// Generous: a loaded machine takes its share.
    const STALL_MAX: Duration = Duration::from_millis(500);
    for shards in [1, 4] {
        let server = start(shards, "0", "allkeys-lru");
        let mut client = server.client();
        fill(&mut client, 0..60_000, 500, &[]);
        assert!(counted(&mut client) > 25 * MIB);
        client.ok("CONFIG SET maxmemory 8mb");
        let mut longest = Duration::ZERO;
        wait::until("the rest has been evicted", || {
            let asked = Instant::now();
            client.run("PING");
            longest = longest.max(asked.elapsed());
            counted(&mut client) <= 8 * MIB
        });
        eprintln!("longest PING on {shards} shards meanwhile: {longest:?}");
        assert!(longest < STALL_MAX, "{longest:?}");
        assert!(info(&mut client, "total_eviction_exceeded_time") > 0);
        let left = client.run("DBSIZE").as_integer().expect("a number");
        assert!(left > 8_000, "no more than needed: {left} keys are left");
    }
}

#[test]
fn a_shard_with_all_the_keys_may_use_all_the_memory() {
    let server = start(4, "8mb", "allkeys-lru");
    let mut client = server.client();
    let value = "v".repeat(1_000);
    for number in 0..5_000 {
        client.send(&["SET", &format!("{{tag}}:{number}"), &value]);
    }
    assert!(client.read_many(5_000).iter().all(|reply| reply.value.is_ok()));
    assert!(counted(&mut client) > 5 * MIB, "more than a quarter of the limit, on one shard");
    assert_eq!(info(&mut client, "evicted_keys"), 0);
    // When memory is full, the shard that has the most gives the most.
    fill(&mut client, 0..4_000, 1_000, &[]);
    wait::until("memory is below the limit", || counted(&mut client) <= 8 * MIB);
    let evicted = info(&mut client, "evicted_keys");
    assert!(evicted > 500, "{evicted}");
    let others = client.run("DBSIZE").as_integer().expect("a number");
    assert!(others > 6_000, "{others} of 9000 keys are left");
}

#[test]
fn whoever_is_concerned_hears_of_an_eviction() {
    let dir = TempDir::new();
    let durable = Options::rialto()
        .shards(2)
        .dir(dir.path())
        .param("appendonly", &["yes"])
        .param("maxmemory-policy", &["allkeys-random"])
        .param("notify-keyspace-events", &["Ee"]);
    let mut server = durable.start();
    let mut client = server.client();
    client.run("HELLO 3");
    client.ok("CLIENT TRACKING ON BCAST PREFIX key:1");
    client.run("HELLO 3");
    let mut listener = server.client();
    listener.run("SUBSCRIBE __keyevent@0__:evicted");
    let mut writer = server.client();
    fill(&mut writer, 0..2_000, 1_000, &[]);
    let mut watcher = server.client();
    let keys: Vec<String> = (0..2_000).map(|number| format!("key:{number}")).collect();
    watcher.ok(&format!("WATCH {}", keys.join(" ")));
    writer.ok("CONFIG SET maxmemory 1mb");
    wait::until("memory is below the limit", || counted(&mut writer) <= MIB);
    let evicted = info(&mut writer, "evicted_keys");
    assert!(evicted > 800, "{evicted}");
    for _ in 0..evicted {
        let message = listener.read().value;
        let parts = message.elements().expect("a message").to_vec();
        assert_eq!(parts[1].text(), "__keyevent@0__:evicted");
        assert!(parts[2].text().starts_with("key:"));
    }
    let left = writer.run("DBSIZE").as_integer();
    assert_eq!(left, Some(2_000 - evicted));
    watcher.ok("MULTI");
    assert_eq!(watcher.run("DBSIZE").text(), "QUEUED");
    assert_eq!(watcher.run("EXEC"), Value::Array(None), "watched keys have gone");
    assert_eq!(server.terminate().code(), Some(0));
    // What was evicted does not come back.
    let server = durable.start();
    assert_eq!(server.client().run("DBSIZE").as_integer(), left);
}

#[test]
fn values_of_mixed_sizes_that_come_and_go_leave_resident_memory_near_the_limit() {
    const LIMIT: u64 = 64 << 20;
    const WRITES: usize = 250_000;
    let seed = 20;
    println!("seed {seed}");
    for shards in [1, 2] {
        let mut rng = Rng::new(seed);
        let server = start(shards, &LIMIT.to_string(), "allkeys-lru");
        let mut client = server.client();
        let text = "x".repeat(8 << 10);
        // The program itself and its buffers are no data.
        let before = resident_bytes(server.pid());
        let mut peak = 0;
        for _ in 0..WRITES / 100 {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                // Sizes spread evenly over the doublings from 8 bytes to 4 KiB.
                let size = 8 << rng.below(9);
                let key = format!("key:{}", rng.below(400_000));
                bytes.extend(encode(&["SET", &key, &text[..size + rng.below(size)]]));
            }
            client.send_raw(&bytes);
            assert!(client.read_many(100).iter().all(|reply| reply.value.is_ok()));
            peak = peak.max(resident_bytes(server.pid()));
        }
        assert!(info(&mut client, "evicted_keys") > 20_000);
        let ratio = (peak - before) as f64 / LIMIT as f64;
        eprintln!("resident memory grew to {ratio:.2} times maxmemory on {shards} shards");
        assert!(ratio < 1.25, "{ratio:.2} on {shards} shards, seed {seed}");
    }
}

#[test]
fn memory_tells_where_it_goes() {
    let server = start(2, "0", "noeviction");
    let mut client = server.client();
    let before = info(&mut client, "used_memory_dataset");
    fill(&mut client, 0..2_000, 1_000, &[]);
    let dataset = info(&mut client, "used_memory_dataset");
    assert!((2_000_000..3_000_000).contains(&(dataset - before)), "{before} -> {dataset}");
    let used = info(&mut client, "used_memory");
    assert_eq!(used, dataset + info(&mut client, "used_memory_overhead"));
    assert!(info(&mut client, "used_memory_peak") >= used);
    let stats = client.run("MEMORY STATS");
    let fields = stats.elements().expect("names and values");
    let value = |name: &str| {
        let at = fields.iter().step_by(2).position(|field| field.text() == name);
        fields[2 * at.unwrap_or_else(|| panic!("no {name}")) + 1].clone()
    };
    assert_eq!(value("keys.count").as_integer(), Some(2_000));
    let per_key = value("keys.bytes-per-key").as_integer().expect("a number");
    assert!((1_000..1_300).contains(&per_key), "{per_key}");
    assert_eq!(value("db.0").elements().map(<[_]>::len), Some(6));
    let usage = client.run("MEMORY USAGE key:1").as_integer().expect("a number");
    assert!((1_000..1_300).contains(&usage), "{usage}");
    client.ok("MEMORY PURGE");
    assert!(client.run("MEMORY DOCTOR").text().contains("next to no data"));
    assert!(client.run("MEMORY MALLOC-STATS").text().contains("client buffers"));
}

#[test]
fn a_large_collection_is_freed_behind_the_command() {
    let server = start(1, "0", "noeviction");
    let mut client = server.client();
    for command in ["DEL", "UNLINK"] {
        let pushes = encode(&[&["RPUSH", "list"][..], &["element"; 1_000]].concat());
        client.send_raw(&pushes.repeat(100));
        client.read_many(100);
        let freed = info(&mut client, "lazyfreed_objects");
        assert_eq!(client.run(&format!("{command} list")).as_integer(), Some(1));
        wait::until("it has been freed", || {
            info(&mut client, "lazyfree_pending_objects") == 0
                && info(&mut client, "lazyfreed_objects") == freed + 1
        });
    }
    fill(&mut client, 0..20_000, 10, &[]);
    let freed = info(&mut client, "lazyfreed_objects");
    client.ok("FLUSHALL ASYNC");
    wait::until("they have been freed", || {
        info(&mut client, "lazyfree_pending_objects") == 0
            && info(&mut client, "lazyfreed_objects") == freed + 20_000
    });
}
