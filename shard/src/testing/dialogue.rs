//! The notation of dialogues, and holding one with whoever answers.
//!
//! ```text
//! > SET key "a\x00b" EX 10     a request, quoted as for redis-cli
//! OK                           its reply, as redis-cli prints it to a terminal
//! > BLPOP list 0
//! (blocked)                    there is no reply yet; another client goes on with the dialogue
//! > RPUSH list a
//! (integer) 1
//! ~ served                     the replies that waiting clients got since the last look, in order
//! 1) "list"
//! 2) "a"
//! ~ advance 1500ms             moves the clock (us, ms, s)
//! ~ journal                    the entries that the journal got since the last look, one on each line
//! SET key "a\x00b" PXAT 1700000010000
//! ~ events                     the keyspace events since the last look, one on each line
//! set key
//! # resp3                      speaks RESP3 from here on; `# resp2` goes back
//! ```
//! The indentation of the first line is taken off every line. Empty lines before and after a reply do not count, and
//! a line that begins with `#` is a remark unless it names a protocol version.

use super::print;
use protocol::reply::Resp;
use protocol::request::{Argv, ArgvBuf, unquote};

/// Whoever answers a dialogue: a shard in this process, a server behind a socket.
pub trait Peer {
    /// Sends a request in the given protocol version and returns the answer.
    fn request(&mut self, argv: Argv<'_>, resp: Resp) -> Answer;

    /// Moves the clock forward by `by_us` microseconds.
    ///
    /// # Panics
    /// If this peer has a clock that cannot be moved.
    fn advance(&mut self, by_us: i64) {
        panic!("the clock of this peer cannot be moved by {by_us} us");
    }

    /// The replies that waiting clients got since the last look, one behind the other.
    ///
    /// # Panics
    /// If this peer keeps no client waiting.
    fn take_served(&mut self) -> Vec<u8> {
        panic!("this peer keeps no client waiting");
    }

    /// The journal entries since the last look, as RESP commands.
    ///
    /// # Panics
    /// If this peer does not show them.
    fn take_journal(&mut self) -> Vec<u8> {
        panic!("this peer does not show its journal");
    }

    /// The keyspace events since the last look: `event key`, and ` in db` if that is not 0.
    ///
    /// # Panics
    /// If this peer does not show them.
    fn take_events(&mut self) -> Vec<String> {
        panic!("this peer does not show its events");
    }
}

/// What a [`Peer`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The bytes of one reply.
    Reply(Vec<u8>),
    /// None yet: the command waits.
    Blocked,
}

/// One step of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of its line in the script, from 1.
    pub line: usize,
    /// What is done.
    pub action: Action,
    /// What is expected, as text.
    pub expected: String,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends a request.
    Request(ArgvBuf),
    /// Moves the clock by so many microseconds.
    Advance(i64),
    /// Looks at the replies of clients that waited.
    Served,
    /// Looks at the journal.
    Journal,
    /// Looks at the keyspace events.
    Events,
    /// Changes the protocol version.
    Speak(Resp),
}

/// Holds the dialogue `script` with `peer`.
///
/// # Errors
/// The first difference or mistake in the notation, for people to read.
pub fn hold(script: &str, peer: &mut impl Peer) -> Result<(), String> {
    let mut resp = Resp::V2;
    for step in parse(script)? {
        let came = perform(&step.action, peer, &mut resp);
        let came = came.map_err(|malformed| format!("line {}: {malformed}", step.line))?;
        if came != step.expected {
            let what = script.lines().nth(step.line - 1).unwrap_or_default().trim();
            let Step { line, expected, .. } = step;
            return Err(format!("line {line}: {what}\nexpected:\n{expected}\ncame:\n{came}"));
        }
    }
    Ok(())
}

/// Does what a step says and prints what came of it.
fn perform(action: &Action, peer: &mut impl Peer, resp: &mut Resp) -> Result<String, String> {
    match action {
        Action::Request(argv) => match peer.request(argv.as_argv(), *resp) {
            Answer::Reply(bytes) => return print::whole_reply(&bytes),
            Answer::Blocked => return Ok("(blocked)".to_owned()),
        },
        Action::Served => return print::replies(&peer.take_served()),
        Action::Journal => return print::commands(&peer.take_journal()),
        Action::Events => return Ok(peer.take_events().join("\n")),
        Action::Advance(by_us) => peer.advance(*by_us),
        Action::Speak(version) => *resp = *version,
    }
    Ok(String::new())
}

/// Reads a script.
///
/// # Errors
/// What is wrong with the notation, and where.
pub fn parse(script: &str) -> Result<Vec<Step>, String> {
    let first = script.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let indent = first.len() - first.trim_start().len();
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let number = index + 1;
        let text = match line.get(indent..) {
            Some(text) if line[..indent].trim().is_empty() => text.trim_end(),
            _ if line.trim().is_empty() => "",
            _ => return Err(format!("line {number} is indented less than the first: {line}")),
        };
        if let Some(action) = action(text).map_err(|e| format!("line {number}: {e}"))? {
            steps.push(Step { line: number, action, expected: String::new() });
        } else if !text.starts_with('#') {
            match steps.last_mut() {
                Some(step) => {
                    step.expected.push_str(text);
                    step.expected.push('\n');
                }
                None if text.is_empty() => {}
                None => return Err(format!("line {number} answers nothing: {text}")),
            }
        }
    }
    for step in &mut steps {
        step.expected = step.expected.trim_matches('\n').to_owned();
    }
    Ok(steps)
}

/// What a line does; `None` if it is part of a reply or a remark.
fn action(text: &str) -> Result<Option<Action>, String> {
    if let Some(request) = text.strip_prefix("> ") {
        let argv = unquote(request.as_bytes()).ok_or("unbalanced quotes")?;
        return if argv.as_argv().is_empty() {
            Err("an empty request".to_owned())
        } else {
            Ok(Some(Action::Request(argv)))
        };
    }
    match text {
        "# resp2" => return Ok(Some(Action::Speak(Resp::V2))),
        "# resp3" => return Ok(Some(Action::Speak(Resp::V3))),
        "~ served" => return Ok(Some(Action::Served)),
        "~ journal" => return Ok(Some(Action::Journal)),
        "~ events" => return Ok(Some(Action::Events)),
        _ => {}
    }
    let Some(advance) = text.strip_prefix("~ ") else { return Ok(None) };
    let duration = advance.strip_prefix("advance ").ok_or_else(|| format!("unknown: {text}"))?;
    let by_us = duration_us(duration).ok_or_else(|| format!("not a duration: {duration}"))?;
    Ok(Some(Action::Advance(by_us)))
}

/// Reads `1500ms`, `10us`, `2s`.
fn duration_us(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit_us = match &text[digits.len()..] {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request with its arguments, or blocks.
    struct Echo;

    impl Peer for Echo {
        fn request(&mut self, argv: Argv<'_>, _resp: Resp) -> Answer {
            if argv.get(0) == Some(b"wait") {
                return Answer::Blocked;
            }
            let mut reply = Vec::new();
            let mut writer = protocol::reply::Writer::new(&mut reply, Resp::V2);
            writer.array(argv.len());
            argv.iter().for_each(|arg| writer.bulk(arg));
            Answer::Reply(reply)
        }
    }

    #[test]
    fn a_dialogue_that_goes_as_written_holds() {
        let script = r#"
            > say 'it\'s' ""
            1) "say"
            2) "it's"
            3) ""

            # a remark
            > wait
            (blocked)
        "#;
        assert_eq!(hold(script, &mut Echo), Ok(()));
    }

    #[test]
    fn requests_are_quoted_as_for_redis_cli() {
        let long = "x".repeat(100_000);
        for (line, args) in [
            (r#"say  b"#, r#"["say", "b"]"#),
            (r#"say "a \"b\"" "\x00\n""#, r#"["say", "a \\\"b\\\"", "\\x00\\n"]"#),
            (r#"say 'it\'s' """#, r#"["say", "it\\'s", ""]"#),
            (&format!("say {long}"), &format!("[\"say\", \"{long}\"]")),
        ] {
            let steps = parse(&format!("> {line}")).unwrap();
            let [Step { action: Action::Request(argv), .. }] = &steps[..] else { panic!() };
            assert_eq!(format!("{:?}", argv.as_argv()), args);
        }
        assert!(parse("> 'a'b").unwrap_err().contains("unbalanced quotes"));
    }

    #[test]
    fn a_difference_names_the_line_and_both_texts() {
        let difference = hold("> say\n1) \"no\"", &mut Echo).unwrap_err();
        assert_eq!(difference, "line 1: > say\nexpected:\n1) \"no\"\ncame:\n1) \"say\"");
        let missing = hold("\n> wait", &mut Echo).unwrap_err();
        assert_eq!(missing, "line 2: > wait\nexpected:\n\ncame:\n(blocked)");
    }

    #[test]
    fn mistakes_in_the_notation_are_reported() {
        assert!(parse("OK").unwrap_err().contains("answers nothing"));
        assert!(parse("  > A\nOK").unwrap_err().contains("indented less"));
        assert!(parse("> \"A").unwrap_err().contains("unbalanced quotes"));
        assert!(parse("~ wait 3s").unwrap_err().contains("unknown"));
        assert!(parse("~ advance 3").unwrap_err().contains("not a duration"));
    }

    #[test]
    fn the_clock_moves_in_three_units() {
        let steps = parse("~ advance 2s\n~ advance 3ms\n~ advance 4us").unwrap();
        let actions: Vec<Action> = steps.into_iter().map(|step| step.action).collect();
        assert_eq!(
            actions,
            [Action::Advance(2_000_000), Action::Advance(3_000), Action::Advance(4)]
        );
    }
}
