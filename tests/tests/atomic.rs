//! A command over several shards in one step is atomic: a reader never sees half an MSET, a DEL or a FLUSHALL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use blackbox::client::Client;
use blackbox::server::{Options, Server};
use blackbox::value::Value;

/// Keys of one write: enough to lie on all of four shards.
const KEYS: usize = 8;
const LOOKS: usize = 3000;
const WRITERS: usize = 3;

fn keys() -> String {
    (0..KEYS).map(|key| format!("part:{key}")).collect::<Vec<_>>().join(" ")
}

fn mset(number: usize) -> String {
    let pairs = (0..KEYS).map(|key| format!("part:{key} {number}"));
    format!("MSET {}", pairs.collect::<Vec<_>>().join(" "))
}

/// Runs what `write` makes of ever new numbers, from several clients at once, until told to stop.
fn writing(
    server: &Server,
    stop: &Arc<AtomicBool>,
    write: fn(usize) -> String,
) -> Vec<thread::JoinHandle<()>> {
    let writer = |writer: usize| {
        let (mut client, stop) = (server.client(), stop.clone());
        thread::spawn(move || {
            let mut number = writer;
            while !stop.load(Ordering::Relaxed) {
                client.run(&write(number));
                number += WRITERS;
            }
        })
    };
    (0..WRITERS).map(writer).collect()
}

/// Looks at all keys at once, again and again, on two and on four shards: all have the same value, or none has any.
fn never_torn(write: fn(usize) -> String) {
    for shards in [2, 4] {
        let server = Options::rialto().shards(shards).start();
        let stop = Arc::new(AtomicBool::new(false));
        let writers = writing(&server, &stop, write);
        let mut client: Client = server.client();
        let mut seen_count = 0;
        for _ in 0..LOOKS {
            let reply = client.run(&format!("MGET {}", keys()));
            let Value::Array(Some(values)) = reply else { panic!("{reply:?}") };
            let is_whole = values.iter().all(|value| *value == values[0]);
            assert!(is_whole, "on {shards} shards MGET saw {values:?}");
            seen_count += usize::from(values[0].as_bytes().is_some());
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.join().expect("the writer was answered");
        }
        assert!(seen_count > 0, "nothing was seen");
    }
}

#[test]
fn mset_is_never_seen_half_done() {
    never_torn(mset);
}

#[test]
fn del_takes_all_keys_at_once() {
    never_torn(|number| match number % 2 {
        0 => mset(number),
        _ => format!("DEL {}", keys()),
    });
}

#[test]
fn flushall_takes_all_keys_at_once() {
    never_torn(|number| match number % 2 {
        0 => mset(number),
        _ => "FLUSHALL".to_owned(),
    });
}
