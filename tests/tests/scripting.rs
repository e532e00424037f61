//! Scripts: a long one stops what it must and nothing else; nobody sees one half done, also after kill -9; functions
//! outlive the server.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use blackbox::client::{Client, encode};
use blackbox::fixture::TempDir;
use blackbox::server::{Options, Server};
use blackbox::wait;

/// Keys of four shards, one each: slots 3300, 7365, 11298 and 15495.
const KEYS: [&str; 4] = ["b", "c", "d", "a"];
/// A script that never ends; it reads its key first, if it has one.
const ENDLESS: &str =
    "if KEYS[1] then redis.call('GET', KEYS[1]) end while true do pcall(function() end) end";
/// The same, but it has written.
const ENDLESS_WRITER: &str = "redis.call('SET', KEYS[1], 'half') while true do end";
const BUSY: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL";

fn start(shards: usize) -> Server {
    Options::rialto().shards(shards).param("busy-reply-threshold", &["100"]).start()
}

fn eval(client: &mut Client, script: &str, keys: &[&str]) {
    let count = keys.len().to_string();
    let mut request = vec!["EVAL", script, &count];
    request.extend(keys);
    client.send(&request);
}

/// Asks until the answer is BUSY.
fn await_busy(client: &mut Client, line: &str) {
    wait::until("the script to be called long", || client.run(line).is_error(BUSY));
}

#[test]
fn a_long_script_stops_its_shard_alone() {
    let server = start(4);
    let (mut one, mut two) = (server.client(), server.client());
    eval(&mut one, ENDLESS, &["{a}"]);
    await_busy(&mut two, "GET a");
    for key in ["b", "c", "d"] {
        two.ok(&format!("SET {key} v"));
        assert_eq!(two.run(&format!("GET {key}")).text(), "v");
    }
    assert!(two.run("MGET a b").is_error(BUSY));
    assert!(two.run("DBSIZE").is_error(BUSY));
    assert!(two.run("INFO server").text().contains("redis_version"));
    assert!(two.run("CLIENT LIST").text().contains("cmd=eval"));
    assert!(two.run("FUNCTION KILL").is_error("BUSY"));
    assert!(two.run("SHUTDOWN").is_error("BUSY"));
    two.ok("SCRIPT KILL");
    assert!(one.read().value.is_error("ERR Script killed by user with SCRIPT KILL"));
    assert_eq!(two.run("GET a").text(), "");
    assert!(two.run("SCRIPT KILL").is_error("NOTBUSY"));
}

#[test]
fn a_long_script_over_several_shards_stops_its_keys() {
    let server = start(4);
    let (mut one, mut two) = (server.client(), server.client());
    eval(&mut one, ENDLESS, &["a", "b"]);
    await_busy(&mut two, "GET b");
    assert!(two.run("SET a x").is_error(BUSY));
    two.ok("SET c x");
    two.ok("SCRIPT KILL");
    assert!(one.read().value.is_error("ERR Script killed"));
    two.ok("SET a x");
}

#[test]
fn who_has_waited_for_a_long_script_is_told() {
    for shards in [1, 4] {
        let server = start(shards);
        let (mut one, mut two, mut three) = (server.client(), server.client(), server.client());
        eval(&mut one, ENDLESS, &["a"]);
        // Either it waits first and is told then, or it is told at once.
        wait::until("somebody to be told", || two.run("SET a x").is_error(BUSY));
        three.ok("SCRIPT KILL");
        assert!(one.read().value.is_error("ERR Script killed"));
        three.ok("SET a y");
    }
}

#[test]
fn who_has_waited_for_a_long_script_with_a_transaction_is_told() {
    for shards in [1, 4] {
        let server = start(shards);
        let (mut one, mut two, mut three) = (server.client(), server.client(), server.client());
        let (mut four, mut five) = (server.client(), server.client());
        four.ok("WATCH b");
        five.ok("SET a v");
        eval(&mut one, ENDLESS, &["a"]);
        wait::until("the script to run", || three.run("CLIENT LIST").text().contains("cmd=eval"));
        // Either it waits first and is told then, or it is told at once.
        two.send_raw(
            b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nx\r\n*1\r\n$4\r\nEXEC\r\n",
        );
        four.send_raw(
            b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nx\r\n*1\r\n$4\r\nEXEC\r\n",
        );
        five.send(&["RENAME", "a", "b"]);
        for client in [&mut two, &mut four] {
            let last = client.read_many(3).pop().expect("a reply").value;
            assert!(last.is_error("EXECABORT Transaction discarded because of: "), "{last:?}");
        }
        assert!(five.read().value.is_error(BUSY));
        three.ok("SCRIPT KILL");
        assert!(one.read().value.is_error("ERR Script killed"));
        assert_eq!(three.run("GET a").text(), "v");
        // Nobody is left in the middle of anything.
        for client in [&mut two, &mut four, &mut five] {
            client.ok("SET b x");
            assert!(client.run("EXEC").is_error("ERR EXEC without MULTI"));
        }
    }
}

#[test]
fn nothing_is_queued_and_no_transaction_runs_while_a_script_is_busy() {
    for shards in [1, 4] {
        let server = start(shards);
        let (mut one, mut two, mut three) = (server.client(), server.client(), server.client());
        let queue = |client: &mut Client| {
            client.ok("MULTI");
            assert_eq!(client.run("SET b x").text(), "QUEUED");
        };
        queue(&mut two);
        queue(&mut three);
        eval(&mut one, ENDLESS, &["a"]);
        await_busy(&mut server.client(), "GET a");
        let last = two.run("EXEC");
        assert!(last.is_error("EXECABORT Transaction discarded because of: BUSY"), "{last:?}");
        assert!(three.run("SET b y").is_error(BUSY));
        two.ok("MULTI");
        assert!(two.run("INFO").is_error(BUSY));
        two.ok("DISCARD");
        two.ok("SCRIPT KILL");
        assert!(one.read().value.is_error("ERR Script killed"));
        let last = three.run("EXEC");
        assert!(last.is_error("EXECABORT Transaction discarded because of previous"), "{last:?}");
        assert_eq!(two.run("GET b").text(), "");
    }
}

#[test]
fn a_pause_of_writes_holds_scripts_that_may_write() {
    for shards in [1, 4] {
        let server = start(shards);
        let mut control = server.client();
        control.call(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=f\nredis.register_function{function_name='reads', callback=function() return 1 end, \
             flags={'no-writes'}}\nredis.register_function('writes', function() return 1 end)",
        ]);
        let sha = control.call(&["SCRIPT", "LOAD", "#!lua flags=no-writes\nreturn 1"]).text();
        let writing = [
            &["EVAL", "return 1", "0"][..],
            &["EVAL", "#!lua\nreturn 1", "0"],
            &["FCALL", "writes", "1", "b"],
        ];
        let mut held: Vec<Client> = Vec::new();
        for request in writing {
            let mut client = server.client();
            client.ok("MULTI");
            assert_eq!(client.call(request).text(), "QUEUED");
            held.push(client);
        }
        control.ok("CLIENT PAUSE 1000000 WRITE");
        let mut free = server.client();
        for request in [
            &["EVAL", "#!lua flags=no-writes\nreturn 1", "0"][..],
            &["EVAL", "#!lua flags=no-writes\nreturn redis.call('EXISTS', KEYS[1]) + 1", "1", "a"],
            &["EVAL_RO", "return 1", "2", "a", "b"],
            &["EVALSHA", &sha, "0"],
            &["FCALL", "reads", "1", "b"],
            &["FCALL_RO", "reads", "0"],
        ] {
            assert_eq!(free.call(request).as_integer(), Some(1), "{request:?}");
            free.ok("MULTI");
            assert_eq!(free.call(request).text(), "QUEUED");
            assert_eq!(free.run("EXEC").elements().expect("an array")[0].as_integer(), Some(1));
        }
        held.iter_mut().for_each(|client| client.send(&["EXEC"]));
        for request in writing {
            let mut client = server.client();
            client.send(request);
            held.push(client);
        }
        let count = format!("blocked_clients:{}", held.len());
        wait::until("all to be held", || control.run("INFO clients").text().contains(&count));
        control.ok("CLIENT UNPAUSE");
        for client in &mut held {
            let value = client.read().value;
            let first = value.elements().map_or(value.clone(), |all| all[0].clone());
            assert_eq!(first.as_integer(), Some(1));
        }
    }
}

/// A script that counts at its key, and at another one if that is named.
const COUNTER: &str = "local n = redis.call('INCR', KEYS[1]) \
    if ARGV[2] then for i = 1, ARGV[2] do n = n + 0 end end \
    if ARGV[1] then return redis.call('INCR', ARGV[1]) end return n";

/// Runs a script until it is expected to keep to the shard of its key.
fn accustom(client: &mut Client, script: &str, key: &str) {
    for _ in 0..64 {
        let reply = client.call(&["EVAL", script, "1", key]);
        assert!(reply.as_integer().is_some(), "{reply:?}");
    }
}

#[test]
fn a_script_that_has_written_may_touch_a_key_of_another_shard() {
    for shards in [1, 2, 4] {
        let server = start(shards);
        let mut client = server.client();
        // The second takes longer than one go before it does that.
        for (round, length) in ["0", "3000000"].into_iter().enumerate() {
            for (number, key) in KEYS.into_iter().enumerate() {
                let script = format!("-- {round} {number}\n{COUNTER}");
                accustom(&mut client, &script, "{a}n");
                let before = client.run("GET {a}n").text().parse::<i64>().expect("a number");
                for again in 0..2 {
                    let request = ["EVAL", &script, "1", "{a}n", key, length];
                    let expected = Some((2 * round + again + 1) as i64);
                    assert_eq!(client.call(&request).as_integer(), expected, "{shards} {key}");
                }
                let after = client.run("GET {a}n").text().parse::<i64>().expect("a number");
                assert_eq!(after, before + 2, "it has not begun anew");
            }
        }
        let library = format!(
            "#!lua name=f\nredis.register_function('count', function(KEYS, ARGV) {COUNTER} end)"
        );
        client.call(&["FUNCTION", "LOAD", &library]);
        for _ in 0..64 {
            client.call(&["FCALL", "count", "1", "{a}n"]);
        }
        assert_eq!(client.call(&["FCALL", "count", "1", "{a}n", "b"]).as_integer(), Some(5));
    }
}

#[test]
fn what_stands_behind_a_script_in_a_pipeline_does_not_overtake_it() {
    for shards in [1, 2, 4] {
        let server = start(shards);
        let mut other = server.client();
        // Connections of every core, with or without somebody who makes the script wait for its shard.
        for number in 0..4 * shards {
            let mut client = server.client();
            for (round, key) in ["b", "{a}n"].into_iter().enumerate() {
                let script = format!("-- {number} {round}\n{COUNTER}");
                accustom(&mut client, &script, "{a}n");
                client.ok("MSET b 0 {a}n 0");
                if number % 2 == 1 {
                    let long = "for i = 1, 3000000 do end return redis.call('EXISTS', KEYS[1])";
                    other.send(&["EVAL", long, "1", "{a}m"]);
                }
                let eval = ["EVAL", &script, "1", "{a}n", "b"].map(str::to_owned);
                let set = ["SET", key, "10"].map(str::to_owned);
                let [eval, set] = [encode(&eval), encode(&set)];
                client.send_raw(&[eval, set].concat());
                let count = client.read().value.as_integer();
                assert_eq!(count, Some(1), "{shards} shards, connection {number}, SET {key}");
                assert!(client.read().value.is_ok());
                assert_eq!(client.run(&format!("GET {key}")).text(), "10");
                if number % 2 == 1 {
                    assert_eq!(other.read().value.as_integer(), Some(0));
                }
            }
        }
    }
}

#[test]
fn a_script_that_has_written_ends_only_with_the_server() {
    let dir = TempDir::new();
    let options = || {
        let options = Options::rialto().shards(2).dir(dir.path());
        options.param("busy-reply-threshold", &["100"]).param("appendonly", &["yes"])
    };
    let mut server = options().start();
    let (mut one, mut two) = (server.client(), server.client());
    two.ok("SET a whole");
    eval(&mut one, ENDLESS_WRITER, &["a"]);
    await_busy(&mut two, "GET a");
    assert!(two.run("SCRIPT KILL").is_error("UNKILLABLE"));
    assert!(two.run("SHUTDOWN").is_error("BUSY"));
    two.send(&["SHUTDOWN", "NOSAVE"]);
    two.expect_close().expect("the server ends");
    wait::until("the end of the server", || server.ended().is_some());
    let server = options().start();
    assert_eq!(server.client().run("GET a").text(), "whole", "half a script is in the log");
}

#[test]
fn scripts_on_other_keys_run_beside_a_long_one() {
    let server = start(1);
    let (mut one, mut two) = (server.client(), server.client());
    eval(&mut one, "local n = 0 for i = 1, 30000000 do n = n + 1 end return n", &[]);
    // The server answers while the script runs, and has something to tell about it.
    wait::until("the script to be seen", || {
        two.run("CLIENT LIST").text().contains("cmd=eval") && two.run("TIME").elements().is_some()
            || two.run("TIME").is_error(BUSY)
    });
    assert_eq!(one.read().value.as_integer(), Some(30_000_000));
    eval(&mut two, "return redis.call('INCR', KEYS[1])", &["n"]);
    assert_eq!(two.read().value.as_integer(), Some(1));
}

#[test]
fn functions_outlive_the_server() {
    let dir = TempDir::new();
    let library = |name: &str, number: u32| {
        format!(
            "#!lua name={name}\nredis.register_function('{name}', function() return {number} end)"
        )
    };
    let mut dump = Vec::new();
    for (round, shards) in [1, 4, 2].into_iter().enumerate() {
        let options = Options::rialto().param("appendonly", &["yes"]).dir(dir.path());
        let mut server = options.shards(shards).start();
        let mut client = server.client();
        if round == 0 {
            for (name, number) in [("first", 1), ("second", 2), ("third", 3)] {
                assert_eq!(client.call(&["FUNCTION", "LOAD", &library(name, number)]).text(), name);
            }
            dump = client.run("FUNCTION DUMP").as_bytes().expect("a payload").to_vec();
            client.ok("FUNCTION FLUSH");
            client.call(&[b"FUNCTION".as_slice(), b"RESTORE", &dump]);
            client.ok("FUNCTION DELETE third");
            client.call(&["FUNCTION", "LOAD", "REPLACE", &library("second", 22)]);
        }
        assert_eq!(client.run("FCALL first 0").as_integer(), Some(1));
        assert_eq!(client.run("FCALL second 0").as_integer(), Some(22));
        assert!(client.run("FCALL third 0").is_error("ERR Function not found"));
        server.terminate();
    }
    assert!(!dump.is_empty());
}

/// Moves money between accounts of all shards; whoever reads sees always the same sum.
#[test]
fn nobody_sees_a_script_half_done() {
    const SUM: i64 = 4000;
    const ROUNDS: usize = 300;
    // One script names its keys, the other makes them up: then all shards are locked.
    let named =
        "redis.call('DECRBY', KEYS[1], ARGV[1]) return redis.call('INCRBY', KEYS[2], ARGV[1])";
    let made_up =
        "redis.call('DECRBY', ARGV[1], ARGV[3]) return redis.call('INCRBY', ARGV[2], ARGV[3])";
    for shards in [1, 2, 4] {
        let server = start(shards);
        let mut client = server.client();
        for key in KEYS {
            client.ok(&format!("SET {key} 1000"));
        }
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for worker in 0..3 {
                let (barrier, mut client) = (&barrier, server.client());
                scope.spawn(move || {
                    barrier.wait();
                    for round in 0..ROUNDS {
                        let from = KEYS[(round + worker) % 4];
                        let to = KEYS[(round * 3 + worker + 1) % 4];
                        let amount = (round % 7).to_string();
                        let reply = match (round + worker) % 2 {
                            0 => client.call(&["EVAL", named, "2", from, to, &amount]),
                            _ => client.call(&["EVAL", made_up, "0", from, to, &amount]),
                        };
                        assert!(reply.as_integer().is_some(), "{reply:?}");
                    }
                });
            }
            let (barrier, mut client) = (&barrier, server.client());
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..ROUNDS {
                    let reply = client.call(&[&["MGET"][..], &KEYS].concat());
                    let values = reply.elements().expect("an array").iter();
                    let sum: i64 = values.map(|v| v.text().parse::<i64>().unwrap()).sum();
                    assert_eq!(sum, SUM);
                }
            });
        });
    }
}

#[test]
fn nobody_sees_half_of_a_transaction_with_long_scripts() {
    const LONG: &str = "for i = 1, 1000000 do end return redis.call('INCR', KEYS[1])";
    for shards in [1, 2, 4] {
        let server = start(shards);
        let mut looking = server.client();
        for (number, tag) in KEYS.into_iter().enumerate() {
            let mut client = server.client();
            let (first, last) = (format!("{{{tag}}}1"), format!("{{{tag}}}2"));
            let script = format!("-- {number}\n{LONG}");
            for round in 1..4 {
                for line in ["MULTI".to_owned(), format!("INCR {first}")] {
                    client.send(&line.split(' ').collect::<Vec<_>>());
                }
                for key in [&first, &last] {
                    eval(&mut client, &script, &[key]);
                }
                client.send(&["LPOP", &first]);
                client.send(&["INCR", &last]);
                client.send(&["EXEC"]);
                loop {
                    let seen = looking.run(&format!("MGET {first} {last}"));
                    let seen = seen.elements().expect("an array").iter().map(|one| one.text());
                    let [one, two] = seen.collect::<Vec<_>>().try_into().expect("two values");
                    assert_eq!(one, two, "{shards} shards, {tag}");
                    if one == (2 * round).to_string() {
                        break;
                    }
                }
                let replies = client.read_many(7);
                let reply = replies[6].value.elements().expect("the reply of EXEC").to_vec();
                let counts = [0, 1, 2, 4].map(|index: usize| reply[index].as_integer());
                assert_eq!(counts, [-1, 0, -1, 0].map(|less| Some(2 * round + less)));
                assert!(reply[3].is_error("WRONGTYPE"));
            }
        }
        let calls = looking.run("INFO commandstats").text().to_owned();
        let evals = format!("cmdstat_eval:calls={},", 2 * 3 * KEYS.len());
        assert!(calls.contains(&evals), "{calls}");
    }
}

#[test]
fn nobody_sees_half_of_a_command_that_stands_behind_a_long_script() {
    const ROUNDS: usize = 12;
    let script = "for i = 1, 2000000 do end return redis.call('EXISTS', KEYS[1])";
    for shards in [1, 2, 4] {
        let server = start(shards);
        server.client().ok("MSET a 0 b 0");
        let is_done = AtomicBool::new(false);
        thread::scope(|scope| {
            let (mut reader, is_done) = (server.client(), &is_done);
            scope.spawn(move || {
                while !is_done.load(Ordering::Relaxed) {
                    let reply = reader.run("MGET a b");
                    let values = reply.elements().expect("an array");
                    assert_eq!(values[0].text(), values[1].text(), "{shards} shards");
                }
            });
            let mut writer = server.client();
            for round in 1..=ROUNDS {
                let number = round.to_string();
                let lines =
                    [&["EVAL", script, "1", "a"][..], &["MSET", "a", &number, "b", &number]];
                writer.send_raw(&lines.map(encode).concat());
                assert!(writer.read_many(2)[1].value.is_ok());
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn after_kill_9_a_script_over_a_key_it_has_made_up_is_there_on_both_shards_or_on_none() {
    let dir = TempDir::new();
    for (round, shards) in [2, 4].into_iter().enumerate() {
        let options = Options::rialto().param("appendonly", &["yes"]).dir(dir.path());
        let options = options.param("appendfsync", &["everysec"]).shards(shards);
        let mut server = options.start();
        let mut client = server.client();
        let writer = thread::spawn(move || {
            for number in 0.. {
                let script = format!("-- {round} {number}\n{COUNTER}");
                for _ in 0..64 {
                    if client.try_call(&["EVAL", &script, "1", "{a}home"]).is_err() {
                        return;
                    }
                }
                if client.try_call(&["EVAL", &script, "1", "{a}n", "b"]).is_err() {
                    return;
                }
            }
        });
        // The writer is what happens meanwhile; there is no condition to wait for.
        thread::sleep(Duration::from_millis(1200));
        server.kill();
        writer.join().expect("it ends with its connection");
        let mut server = options.start();
        let mut client = server.client();
        let count = client.run("GET b").text();
        assert!(!count.is_empty(), "nothing was written in time");
        assert_eq!(client.run("GET {a}n").text(), count, "{shards} shards");
        server.terminate();
    }
}

#[test]
fn after_kill_9_all_of_a_script_is_there_or_nothing() {
    let dir = TempDir::new();
    let script =
        "for i = 1, #KEYS do redis.call('INCR', KEYS[i]) end return redis.call('RPUSH', 'l', 1)";
    for shards in [2, 4, 1] {
        let options = Options::rialto().param("appendonly", &["yes"]).dir(dir.path());
        let options = options.param("appendfsync", &["everysec"]).shards(shards);
        let mut server = options.start();
        let mut client = server.client();
        let writer = thread::spawn(move || {
            let request = [&["EVAL", script, "4"][..], &KEYS].concat();
            while client.try_call(&request).is_ok() {}
        });
        // The writer is what happens meanwhile; there is no condition to wait for.
        thread::sleep(Duration::from_millis(1200));
        server.kill();
        writer.join().expect("it ends with its connection");
        let mut server = options.start();
        let mut client = server.client();
        let counts = KEYS.map(|key| client.run(&format!("GET {key}")).text());
        let length = client.run("LLEN l").as_integer().unwrap_or_default();
        assert!(length > 0, "nothing was written in time");
        for count in counts {
            assert_eq!(count.parse(), Ok(length), "{shards} shards");
        }
        server.terminate();
    }
}
