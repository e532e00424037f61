//! The oracle: two servers get the same requests and must send the same bytes.
//!
//! Where bytes may differ is listed in [`crate::rules`], with the reason.

use crate::client::{Client, Reply, encode};
use crate::dataset;
use crate::grammar::{self, Form, Version};
use crate::notation::{self, sorted};
use crate::player::{self, AfterProblem, Observed};
use crate::quoting::quote;
use crate::random::Commands;
use crate::rng::Rng;
use crate::rules;
use crate::script::{Action, Expect, Line, Order, Script};
use crate::server::{Options, Server};
use crate::value::Value;

/// What is wrong with our reply, if the two differ more than the tables allow, theirs being of a Redis of `version`.
pub fn difference(
    version: Version,
    args: &[Vec<u8>],
    theirs: &Reply,
    ours: &Reply,
) -> Option<String> {
    if theirs.raw == ours.raw {
        return None;
    }
    if rules::allow(version, args, &theirs.value, &ours.value) {
        return None;
    }
    Some(format!(
        "expected {}\ngot      {}\nexpected bytes {}\ngot bytes      {}",
        notation::lines(&theirs.value).join("\n         "),
        notation::lines(&ours.value).join("\n         "),
        quote(&theirs.raw),
        quote(&ours.raw),
    ))
}

/// Plays a script on both servers and compares bytes: one text for each scene that differs.
pub fn compare_script(script: &Script, theirs: &Options, ours: &Options) -> Vec<String> {
    let (theirs, ours) = (player::start(script, theirs), player::start(script, ours));
    let mut failures = Vec::new();
    for scene in &script.scenes {
        if !scene.is_for(theirs.program()) || !scene.is_for(ours.program()) {
            continue;
        }
        let expected = player::play(&theirs, scene, AfterProblem::Stop);
        let observed = player::play(&ours, scene, AfterProblem::Stop);
        let failed = player::failure(script, scene, &expected)
            .map(|failure| format!("the oracle itself: {failure}"))
            .or_else(|| player::failure(script, scene, &observed))
            .or_else(|| first_difference(theirs.program().version(), script, &expected, &observed));
        failures.extend(failed);
    }
    failures
}

fn first_difference(
    version: Version,
    script: &Script,
    theirs: &[Observed<'_>],
    ours: &[Observed<'_>],
) -> Option<String> {
    theirs.iter().zip(ours).find_map(|(theirs, ours)| {
        let (Some(expected), Some(got)) = (&theirs.reply, &ours.reply) else { return None };
        let order = match &theirs.step.expect {
            Expect::Reply(order, lines)
                if lines.iter().all(|line| matches!(line, Line::Exact(_))) =>
            {
                *order
            }
            // What is described by a pattern has already been held against it.
            _ => return None,
        };
        let line = match &theirs.step.action {
            Action::Say(line) => line.as_str(),
            Action::Raw(_) | Action::Listen => "",
        };
        let args = crate::quoting::split(line).expect("it has been sent");
        let same_set = match order {
            Order::Kept => false,
            Order::Any => sorted(&expected.value, false) == sorted(&got.value, false),
            Order::AnyPairs => sorted(&expected.value, true) == sorted(&got.value, true),
        };
        let difference = difference(version, &args, expected, got).filter(|_| !same_set)?;
        Some(format!("{}:{}: {line}\n{difference}", script.name, theirs.step.line))
    })
}

/// How a random stream is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Each command waits for the reply of the one before.
    OneByOne,
    /// Many at once, cut into pieces at random places.
    Pipelined,
}

/// Most commands that are on their way at once.
const BATCH_MAX: usize = 60;
/// How many commands that concern the same keys a failure shows.
const HISTORY_MAX: usize = 30;

/// Sends `count` random commands that both servers know, compares every reply, and in the end all data.
///
/// # Errors
/// The first difference, with the commands that led to it.
pub fn compare_stream(
    (theirs, ours): (&Server, &Server),
    (seed, count): (u64, usize),
    (protocol, sending): (u8, Sending),
) -> Result<(), String> {
    let mut clients = [theirs.client(), ours.client()];
    let version = theirs.program().version();
    let forms = common_forms(version, &mut clients);
    let mut commands = Commands::new(seed, &forms, version);
    let mut rng = Rng::new(!seed);
    for client in &mut clients {
        client.call(&["HELLO", &protocol.to_string()]);
    }
    let mut history: Vec<Vec<Vec<u8>>> = Vec::new();
    while history.len() < count {
        let batch_len = match sending {
            Sending::OneByOne => 1,
            Sending::Pipelined => 1 + rng.below(BATCH_MAX),
        };
        let first = history.len();
        history.extend((0..batch_len).map(|_| commands.next_command()));
        let bytes: Vec<u8> = history[first..].iter().flat_map(|args| encode(args)).collect();
        for client in &mut clients {
            match sending {
                Sending::OneByOne => client.send_raw(&bytes),
                Sending::Pipelined => send_in_pieces(client, &bytes, &mut rng),
            }
        }
        for index in first..history.len() {
            let [expected, got] = clients.each_mut().map(Client::try_read);
            let expected = expected.map_err(|error| format!("the oracle is silent: {error}"))?;
            let problem = match got {
                Ok(got) => difference(version, &history[index], &expected, &got),
                Err(error) => Some(format!(
                    "expected {}\ngot no reply: {error}",
                    notation::lines(&expected.value).join("\n         ")
                )),
            };
            if let Some(problem) = problem {
                return Err(format!(
                    "command {index} of seed {seed}, RESP{protocol}, {sending:?}:\n{problem}\n\
                     the last commands on the same keys, latest last:\n{}",
                    story(&history[..=index])
                ));
            }
        }
    }
    dataset::difference(version, &mut clients).map_or(Ok(()), |difference| {
        let key = difference.key.clone();
        let commands = history.iter().filter(|args| args[1..].contains(&key)).cloned();
        let mut commands: Vec<_> = commands.collect();
        commands.push(vec![b"THE KEY".to_vec(), key]);
        Err(format!(
            "after seed {seed}, RESP{protocol}, {sending:?}: {difference}\n\
             the last commands on this key, latest last:\n{}",
            story(&commands)
        ))
    })
}

/// The commands of the oracle's version that both servers have.
pub fn common_forms(version: Version, clients: &mut [Client; 2]) -> Vec<Form> {
    let mut forms = grammar::forms(version);
    forms.retain(|form| {
        clients.iter_mut().all(|client| {
            let info = client.call(&["COMMAND", "INFO", &form.words.join("|")]);
            let is_known = |elements: &[Value]| elements[0].elements().is_some();
            info.elements().is_some_and(is_known)
        })
    });
    forms
}

fn send_in_pieces(client: &mut Client, mut bytes: &[u8], rng: &mut Rng) {
    while !bytes.is_empty() {
        let longest = if rng.one_in(3) { 8 } else { 400 };
        let len = (1 + rng.below(longest)).min(bytes.len());
        client.send_raw(&bytes[..len]);
        bytes = &bytes[len..];
    }
}

/// The commands before the last one that share an argument with it, or change all keys.
pub fn story(history: &[Vec<Vec<u8>>]) -> String {
    let Some(last) = history.last() else { return String::new() };
    let concerns = |args: &&Vec<Vec<u8>>| {
        let everything: [&[u8]; 4] = [b"FLUSHALL", b"FLUSHDB", b"SELECT", b"SWAPDB"];
        everything.iter().any(|name| args[0].eq_ignore_ascii_case(name))
            || args[1..].iter().any(|arg| last[1..].contains(arg))
    };
    let mut lines: Vec<String> =
        history.iter().rev().filter(concerns).take(HISTORY_MAX).map(|args| line(args)).collect();
    lines.reverse();
    lines.join("\n")
}

/// A command as it would be typed into redis-cli.
fn line(args: &[Vec<u8>]) -> String {
    let quoted = args.iter().map(|arg| {
        let plain =
            !arg.is_empty() && arg.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
        if plain { String::from_utf8_lossy(arg).into_owned() } else { quote(arg) }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse;

    fn reply(raw: &str) -> Reply {
        let (value, _) = parse(raw.as_bytes()).unwrap().unwrap();
        Reply { value, raw: raw.into() }
    }

    fn differs(command: &str, theirs: &str, ours: &str) -> bool {
        let args = crate::quoting::split(command).unwrap();
        difference((7, 0), &args, &reply(theirs), &reply(ours)).is_some()
    }

    #[test]
    fn bytes_count() {
        assert!(!differs("GET k", "$1\r\na\r\n", "$1\r\na\r\n"));
        assert!(differs("GET k", "$-1\r\n", "*-1\r\n"));
        assert!(differs("GET k", "+OK\r\n", "$2\r\nOK\r\n"));
        assert!(differs("LRANGE l 0 1", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n"));
    }

    #[test]
    fn the_story_of_a_command_is_what_touched_its_keys() {
        let history: Vec<_> = ["SET a 1", "SET b 2", "FLUSHDB", "GET a"]
            .iter()
            .map(|line| crate::quoting::split(line).unwrap())
            .collect();
        assert_eq!(story(&history), "SET a 1\nFLUSHDB\nGET a");
    }
}
