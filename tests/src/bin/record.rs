//! Fills in the replies that a script leaves open, with what a server answers.
//!
//! `cargo run -p blackbox --bin record -- FILE...` writes each file anew: a command without a reply gets
//! the one of the server under test (`RIALTO_BIN`; name a Redis 7.2 there). Replies that stand in the
//! file are kept, and those the server does not agree with are reported. What was recorded must be read:
//! whatever changes from run to run has to become a pattern.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use blackbox::player::{self, AfterProblem};
use blackbox::script::{Expect, Order, Script};
use blackbox::server::Options;

fn main() -> ExitCode {
    let mut all_agree = true;
    for path in std::env::args().skip(1) {
        match record(&path) {
            Ok(agrees) => all_agree &= agrees,
            Err(problem) => {
                eprintln!("{path}: {problem}");
                return ExitCode::FAILURE;
            }
        }
    }
    if all_agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Completes one file; false if the server contradicts a reply in it.
fn record(path: &str) -> Result<bool, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let script = Script::parse(path, &text)?;
    let server = player::start(&script, &Options::rialto());
    let mut agrees = true;
    let mut recorded: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for scene in script.scenes.iter().filter(|scene| scene.is_for(server.program())) {
        let observed = player::play(&server, scene, AfterProblem::GoOn);
        if let Some(failure) = player::failure(&script, scene, &observed) {
            eprintln!("{failure}\n");
            agrees = false;
        }
        for seen in observed.iter().filter(|seen| seen.step.is_open()) {
            let Some(reply) = &seen.reply else { continue };
            // An order stands on the line after the command, so the reply comes after that.
            let (order, line) = match seen.step.expect {
                Expect::Reply(order, _) => (order, seen.step.line + 1),
                _ => (Order::Kept, seen.step.line),
            };
            recorded.insert(line, player::reply_lines(order, reply));
        }
    }
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        lines.push(line.to_owned());
        lines.extend(recorded.remove(&(index + 1)).unwrap_or_default());
    }
    fs::write(path, lines.join("\n") + "\n").map_err(|error| error.to_string())?;
    Ok(agrees)
}
