//! Keyspace events: two servers get the same random commands, and must tell of the same events in the same order.
//!
//! Only where all keys lie on one shard is there one order of events.

use crate::client::Client;
use crate::notation;
use crate::oracle;
use crate::random::Commands;
use crate::server::Server;
use crate::value::Value;

/// All classes of events, also those of keys that are looked for in vain and of new ones.
const ALL_EVENTS: &str = "AKEmn";
/// A message to this channel ends the events of a command.
const END: &str = "the end of a command";

/// One server: who sends commands, and who listens.
struct Ears {
    speaker: Client,
    listener: Client,
}

impl Ears {
    fn new(server: &Server) -> Ears {
        let (mut speaker, mut listener) = (server.client(), server.client());
        speaker.ok(&format!("CONFIG SET notify-keyspace-events {ALL_EVENTS}"));
        listener.call(&["PSUBSCRIBE", "__key*__:*"]);
        listener.call(&["SUBSCRIBE", END]);
        Ears { speaker, listener }
    }

    /// Sends a command, and returns what happened to the keys: channels and messages.
    fn events_of(&mut self, args: &[Vec<u8>]) -> Vec<Value> {
        self.speaker.call(args);
        self.speaker.call(&["PUBLISH", END, "."]);
        let mut events = Vec::new();
        loop {
            let event = self.listener.read().value;
            if event.elements().is_some_and(|parts| parts[0].text() == "message") {
                return events;
            }
            events.push(event);
        }
    }
}

/// Whether events that are not the same may differ: SORT looks up its weights in the order of a hash table, and how
/// often a command that waits looks for its keys is its own business.
fn may_differ(args: &[Vec<u8>], theirs: &[Value], ours: &[Value]) -> bool {
    let lines = |events: &[Value]| events.iter().map(notation::lines).collect::<Vec<_>>();
    let (mut theirs, mut ours) = (lines(theirs), lines(ours));
    if args[0].to_ascii_lowercase().starts_with(b"sort") {
        theirs.sort();
        ours.sort();
    }
    if args.iter().any(|arg| arg == b"BLOCK") {
        let is_miss = |event: &[String]| event.concat().contains("keymiss");
        theirs.retain(|event| !is_miss(event));
        ours.retain(|event| !is_miss(event));
    }
    theirs == ours
}

/// Sends `count` random commands that both servers know, and compares the events of each.
///
/// # Errors
/// The first difference, with the commands that led to it.
pub fn compare_events(
    (theirs, ours): (&Server, &Server),
    (seed, count): (u64, usize),
) -> Result<(), String> {
    let version = theirs.program().version();
    let forms = oracle::common_forms(version, &mut [theirs.client(), ours.client()]);
    let mut commands = Commands::new(seed, &forms, version);
    let mut servers = [Ears::new(theirs), Ears::new(ours)];
    let mut history: Vec<Vec<Vec<u8>>> = Vec::new();
    for index in 0..count {
        history.push(commands.next_command());
        let [expected, got] = servers.each_mut().map(|ears| ears.events_of(&history[index]));
        if expected != got && !may_differ(&history[index], &expected, &got) {
            let lines = |events| notation::lines(&Value::Array(Some(events))).join("\n         ");
            return Err(format!(
                "events of command {index} of seed {seed}:\nexpected {}\ngot      {}\n\
                 the last commands on the same keys, latest last:\n{}",
                lines(expected),
                lines(got),
                oracle::story(&history)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quoting::split;

    fn events(names: &[&str]) -> Vec<Value> {
        let event = |name: &&str| Value::Bulk(Some(name.as_bytes().to_vec()));
        names.iter().map(event).collect()
    }

    #[test]
    fn only_the_order_of_sort_and_the_misses_of_who_waits_may_differ() {
        let may = |line: &str, theirs: &[&str], ours: &[&str]| {
            may_differ(&split(line).unwrap(), &events(theirs), &events(ours))
        };
        assert!(may("SORT k BY w:*", &["a", "b"], &["b", "a"]));
        assert!(!may("SORT k BY w:*", &["a", "b"], &["b", "b"]));
        assert!(!may("LPUSH k x", &["a", "b"], &["b", "a"]));
        assert!(may("XREAD BLOCK 1 STREAMS k 0", &["keymiss k", "a"], &["a"]));
        assert!(!may("XREAD BLOCK 1 STREAMS k 0", &["keymiss k", "a"], &["b"]));
        assert!(!may("XREAD STREAMS k 0", &["keymiss k", "a"], &["a"]));
    }
}
