//! Streams with deleted entries, groups, consumers and pending entries, to Redis and back.

use blackbox::client::Client;
use blackbox::quoting::quote;
use blackbox::rng::{Rng, seed_from_env};
use blackbox::server::Options;
use blackbox::value::Value;

use super::{
    Command, VERSION, command, digest_of_value, dump, reframed, restore, rialto, start, text,
    version,
};

/// The type byte of a stream of version 11, and that of version 10, which notes no active time of a consumer.
const STREAM_NEW: u8 = 21;
const STREAM_OLD: u8 = 19;

/// What makes a stream under the key `stream`.
struct Story {
    commands: Vec<Command>,
    has_consumers: bool,
}

/// Entries, most of them with the same fields, some of them deleted or trimmed away; then groups.
fn story(rng: &mut Rng) -> Story {
    let mut commands = Vec::new();
    let mut ids = Vec::new();
    let count = if rng.one_in(3) { 150 + rng.below(400) } else { 1 + rng.below(40) };
    let (mut ms, mut seq) = (1 + rng.next_u64() % (1 << 42), rng.next_u64() % 3);
    for _ in 0..count {
        if rng.one_in(3) {
            seq += 1 + rng.next_u64() % 100;
        } else {
            ms += 1 + (rng.next_u64() >> (20 + rng.below(44)));
            seq = if rng.one_in(4) { rng.next_u64() % 1000 } else { 0 };
        }
        let id = format!("{ms}-{seq}").into_bytes();
        let mut add = command(&["XADD", "stream"]);
        add.push(id.clone());
        if rng.one_in(8) {
            (0..=rng.below(4)).for_each(|_| add.extend([text(rng), text(rng)]));
        } else {
            add.extend([b"price".to_vec(), text(rng), b"volume".to_vec(), text(rng)]);
        }
        commands.push(add);
        ids.push(id);
    }
    for _ in 0..rng.below(ids.len()) / 3 {
        let mut delete = command(&["XDEL", "stream"]);
        delete.push(rng.pick(&ids).clone());
        commands.push(delete);
    }
    match rng.below(6) {
        0 => commands.push(command(&["XTRIM", "stream", "MAXLEN", &(count / 2).to_string()])),
        1 => commands.push(command(&["XTRIM", "stream", "MAXLEN", "~", "100"])),
        2 => commands.push(command(&["XSETID", "stream", "18446744073709551615-7"])),
        3 => commands.push(command(&["XTRIM", "stream", "MAXLEN", "0"])),
        _ => {}
    }
    let mut has_consumers = false;
    for group in ["g", "", "another group"].into_iter().take(rng.below(4)) {
        let mut create = command(&["XGROUP", "CREATE", "stream", group]);
        create.push(if rng.one_in(2) { b"0".to_vec() } else { rng.pick(&ids).clone() });
        if rng.one_in(3) {
            create.extend(command(&["ENTRIESREAD", &rng.below(count).to_string()]));
        }
        commands.push(create);
        if rng.one_in(3) {
            continue;
        }
        has_consumers = true;
        commands.push(command(&["XGROUP", "CREATECONSUMER", "stream", group, "idle"]));
        for consumer in ["alice", "bob", ""].into_iter().take(rng.below(4)) {
            let len = (1 + rng.below(30)).to_string();
            let read = ["XREADGROUP", "GROUP", group, consumer, "COUNT", &len, "STREAMS", "stream"];
            commands.push([command(&read), command(&[">"])].concat());
            let mut claim = command(&["XCLAIM", "stream", group, consumer, "0"]);
            claim.push(rng.pick(&ids).clone());
            let time = (rng.next_u64() % (1 << 40)).to_string();
            claim.extend(command(&["TIME", &time, "RETRYCOUNT", "300", "FORCE", "JUSTID"]));
            commands.push(claim);
            let mut acknowledge = command(&["XACK", "stream", group]);
            acknowledge.extend((0..3).map(|_| rng.pick(&ids).clone()));
            commands.push(acknowledge);
        }
    }
    Story { commands, has_consumers }
}

/// All that XINFO tells of a stream, without what a Redis before 7.2 does not know.
fn described(client: &mut Client, key: &str) -> Value {
    without_active_times(client.call(&["XINFO", "STREAM", key, "FULL", "COUNT", "0"]))
}

fn without_active_times(value: Value) -> Value {
    let Value::Array(Some(elements)) = value else { return value };
    let mut kept = Vec::new();
    let mut elements = elements.into_iter();
    while let Some(element) = elements.next() {
        if element.as_bytes() == Some(b"active-time") {
            let _time = elements.next();
        } else {
            kept.push(without_active_times(element));
        }
    }
    Value::Array(Some(kept))
}

#[test]
fn streams_come_to_redis_and_back_with_their_groups() {
    let seed = seed_from_env("RDB_SEED");
    eprintln!("RDB_SEED={seed}");
    let mut rng = Rng::new(seed);
    let redis = start(Options::oracle().param("sanitize-dump-payload", &["yes"]));
    let rialto = rialto(4);
    let (mut theirs, mut ours) = (redis.client(), rialto.client());
    let mut sent_count = 0;
    for round in 0..60 {
        let story = story(&mut rng);
        for client in [&mut theirs, &mut ours] {
            client.call(&["DEL", "stream"]);
        }
        for command in &story.commands {
            let replies = [&mut theirs, &mut ours].map(|client| client.call(command));
            assert_eq!(replies[0], replies[1], "RDB_SEED={seed}: {command:?}");
        }
        let context = format!("round {round}, RDB_SEED={seed}");
        let digest = digest_of_value(&mut theirs, "stream");
        assert_eq!(digest_of_value(&mut ours, "stream"), digest, "{context}");

        let their_dump = dump(&mut theirs, "stream");
        assert!(restore(&mut ours, "restored", &their_dump).is_ok(), "{context}");
        assert_eq!(digest_of_value(&mut ours, "restored"), digest, "{context}");
        assert_eq!(described(&mut ours, "restored"), described(&mut theirs, "stream"), "{context}");

        let mut our_dump = dump(&mut ours, "stream");
        assert_eq!(our_dump[0], STREAM_NEW);
        if version(&their_dump) < VERSION {
            if story.has_consumers {
                continue; // a form that is new in this version
            }
            our_dump[0] = STREAM_OLD;
        }
        let our_dump = reframed(&our_dump, version(&their_dump).min(VERSION));
        let reply = restore(&mut theirs, "restored", &our_dump);
        assert!(reply.is_ok(), "{context}: {reply:?}\n{}", quote(&our_dump));
        assert_eq!(digest_of_value(&mut theirs, "restored"), digest, "{context}");
        assert_eq!(described(&mut theirs, "restored"), described(&mut ours, "stream"), "{context}");
        sent_count += 1;
    }
    assert!(sent_count > 5, "{sent_count}");
}
