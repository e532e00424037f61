//! The string of a HyperLogLog is the same, byte for byte, as a real Redis makes it: sparse, dense, counted, merged,
//! and damaged.
//!
//! `HYPERLOGLOG_SEED=n` repeats a run.

use blackbox::client::Client;
use blackbox::quoting::quote;
use blackbox::rng::{self, Rng};
use blackbox::server::Options;

/// How many commands are sent.
const COMMANDS: usize = 1500;
/// How many HyperLogLogs there are.
const KEYS: usize = 6;

#[test]
fn strings_are_the_same_bytes() {
    let seed = rng::seed_from_env("HYPERLOGLOG_SEED");
    eprintln!("HYPERLOGLOG_SEED={seed}");
    let servers = [Options::oracle().start(), Options::rialto().shards(4).start()];
    let mut clients = servers.each_ref().map(|server| server.client());
    let mut rng = Rng::new(seed);
    let mut forms = [0, 0];
    for number in 0..COMMANDS {
        let command = command(&mut rng);
        let context = format!("command {number} of HYPERLOGLOG_SEED={seed}: {}", line(&command));
        let [expected, got] = clients.each_mut().map(|client| client.call(&command));
        assert_eq!(got, expected, "{context}");
        let [expected, got] = clients.each_mut().map(|client| string(client, &command[1]));
        assert!(expected == got, "{context}\nexpected {}\ngot {}", quote(&expected), quote(&got));
        if let Some(encoding) = expected.get(4).filter(|encoding| **encoding < 2) {
            forms[usize::from(*encoding)] += 1;
        }
    }
    assert!(forms.iter().all(|count| *count > 50), "both forms come up: {forms:?}");
}

/// A random command; its second word is the key it may change.
fn command(rng: &mut Rng) -> Vec<Vec<u8>> {
    let mut key = || format!("hll:{}", rng.below(KEYS)).into_bytes();
    let keys = [key(), key(), key()];
    let word = |word: &str| word.as_bytes().to_vec();
    match rng.below(20) {
        0 => vec![word("DEL"), keys[0].clone()],
        1 | 2 => [vec![word("PFMERGE")], keys.to_vec()].concat(),
        3 => [vec![word("PFCOUNT")], keys.to_vec()].concat(),
        4 | 5 => vec![word("PFCOUNT"), keys[0].clone()],
        // Damage somewhere behind the header, or in it.
        6 => {
            let len = if rng.one_in(4) { 18 } else { 400 };
            let at = rng.below(len).to_string().into_bytes();
            let byte = vec![rng.next_u64().to_le_bytes()[0]];
            vec![word("SETRANGE"), keys[0].clone(), at, byte]
        }
        // A few elements keep a string sparse, thousands make it dense.
        _ => {
            let count = if rng.one_in(15) { 2000 } else { rng.below(60) };
            let range = if rng.one_in(2) { 100 } else { 1_000_000 };
            let element = |_| {
                let number = rng.below(range).to_string();
                let padding = "x".repeat(rng.below(20));
                format!("{padding}{number}").into_bytes()
            };
            let elements: Vec<Vec<u8>> = (0..count).map(element).collect();
            [vec![word("PFADD"), keys[0].clone()], elements].concat()
        }
    }
}

/// The bytes under `key`; none if there is no such key.
fn string(client: &mut Client, key: &[u8]) -> Vec<u8> {
    client.call(&[b"GET", key]).as_bytes().map(<[u8]>::to_vec).unwrap_or_default()
}

/// The first words of a command.
fn line(command: &[Vec<u8>]) -> String {
    let words = command.iter().take(12).map(|word| quote(word));
    format!("{} ({} words)", words.collect::<Vec<_>>().join(" "), command.len())
}
