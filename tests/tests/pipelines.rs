//! A pipeline means the same wherever the network cuts it, also behind a command that waits for those before it, and on
//! whatever shards the keys of its commands lie. `PIPELINE_SEED=n` repeats the choices.

use blackbox::client::encode;
use blackbox::rng::{Rng, seed_from_env};
use blackbox::server::Options;
use blackbox::value::Value;
use std::collections::BTreeMap;

#[test]
fn a_request_cut_in_two_behind_a_waiting_command_stays_whole() {
    // BLPOP may have to wait, so it runs once everything before it is answered, and what follows is parsed later.
    let first: [&[&str]; 3] =
        [&["RPUSH", "list", "x"], &["BLPOP", "list", "0"], &["SET", "k", "1"]];
    let first: Vec<u8> = first.iter().flat_map(|args| encode(args)).collect();
    let cut = encode(&["GET", "k"]);
    for shards in [1, 2] {
        let server = Options::rialto().shards(shards).start();
        let mut client = server.client();
        for end in 1..cut.len() {
            client.send_raw(&[first.as_slice(), &cut[..end]].concat());
            let replies = client.read_many(3);
            assert!(replies[2].value.is_ok(), "{shards} shards, cut at {end}: {replies:?}");
            client.send_raw(&cut[end..]);
            assert_eq!(client.read().value.text(), "1", "{shards} shards, cut at {end}");
        }
    }
}

/// One request on some of twelve keys, and what a server that holds `model` answers.
fn request(rng: &mut Rng, model: &mut BTreeMap<String, String>) -> (Vec<u8>, String) {
    let some_keys = |rng: &mut Rng| -> Vec<String> {
        (0..1 + rng.below(6)).map(|_| format!("key:{}", rng.below(12))).collect()
    };
    let keys = some_keys(rng);
    let value = rng.below(1000).to_string();
    let line = |name: &str, args: &[String]| {
        let args = args.iter().map(String::as_str);
        encode(&[name].into_iter().chain(args).collect::<Vec<_>>())
    };
    let shown = |value: Option<&String>| value.map_or("(nil)".to_owned(), String::clone);
    match rng.below(6) {
        0 => (line("GET", &keys[..1]), shown(model.get(&keys[0]))),
        1 => {
            model.insert(keys[0].clone(), value.clone());
            (line("SET", &[keys[0].clone(), value]), "OK".to_owned())
        }
        2 => {
            let pairs: Vec<(String, String)> = keys
                .into_iter()
                .enumerate()
                .map(|(at, key)| (key, format!("{value}-{at}")))
                .collect();
            let args = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
            let line = line("MSET", &args.collect::<Vec<_>>());
            model.extend(pairs);
            (line, "OK".to_owned())
        }
        3 => {
            let values: Vec<String> = keys.iter().map(|key| shown(model.get(key))).collect();
            (line("MGET", &keys), values.join(" "))
        }
        4 => {
            let count = keys.iter().filter(|key| model.contains_key(*key)).count();
            (line("EXISTS", &keys), count.to_string())
        }
        _ => {
            let count = keys.iter().filter(|key| model.remove(*key).is_some()).count();
            (line("DEL", &keys), count.to_string())
        }
    }
}

#[test]
fn commands_of_many_keys_keep_their_place_in_a_pipeline() {
    let seed = seed_from_env("PIPELINE_SEED");
    println!("PIPELINE_SEED={seed}");
    // Without a log they may run on borrowed shards, with one they are sent.
    for (shards, appendonly) in [(1, "no"), (2, "no"), (2, "yes"), (4, "no"), (4, "yes")] {
        let mut rng = Rng::new(seed);
        let server = Options::rialto().shards(shards).param("appendonly", &[appendonly]).start();
        let mut client = server.client();
        let mut model = BTreeMap::new();
        for _ in 0..100 {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for _ in 0..1 + rng.below(60) {
                let (line, reply) = request(&mut rng, &mut model);
                bytes.extend(line);
                expected.push(reply);
            }
            client.send_raw(&bytes);
            let replies = client.read_many(expected.len());
            for (reply, expected) in replies.iter().zip(&expected) {
                let shown = match reply.value.elements() {
                    Some(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
                    None => shown(&reply.value),
                };
                assert_eq!(shown, *expected, "{shards} shards, appendonly {appendonly}");
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bulk(None) | Value::Null => "(nil)".to_owned(),
        value => value.as_integer().map_or_else(|| value.text(), |number| number.to_string()),
    }
}
