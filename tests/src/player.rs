//! Plays the scenes of a script on a server and tells what it saw.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use crate::client::{self, Client, Reply};
use crate::notation;
use crate::quoting;
use crate::script::{Action, Expect, Line, MAIN_CLIENT, Order, Scene, Script, Step};
use crate::server::{Options, Server};
use crate::wait::{self, PATIENCE};

/// What one step led to.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The step.
    pub step: &'a Step,
    /// The reply, where one was read.
    pub reply: Option<Reply>,
    /// What is wrong with it, as several lines of text.
    pub problem: Option<String>,
}

/// Whether a scene goes on after a step that did not meet its expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterProblem {
    /// No: what follows would only confuse.
    Stop,
    /// Yes: for recording.
    GoOn,
}

/// Plays all scenes of a script that are meant for the server; one text for each that failed.
pub fn failures(script: &Script, options: &Options) -> Vec<String> {
    let server = start(script, options);
    let scenes = script.scenes.iter().filter(|scene| scene.is_for(server.program()));
    scenes
        .filter_map(|scene| failure(script, scene, &play(&server, scene, AfterProblem::Stop)))
        .collect()
}

/// A server for a script.
pub fn start(script: &Script, options: &Options) -> Server {
    script.args.iter().fold(options.clone(), |options, arg| options.arg(arg)).start()
}

/// The text of a scene's first problem: where, what was said, what was wrong.
pub fn failure(script: &Script, scene: &Scene, observed: &[Observed<'_>]) -> Option<String> {
    let failed = observed.iter().find(|step| step.problem.is_some())?;
    let said = match &failed.step.action {
        Action::Say(line) => format!("> {line}"),
        Action::Raw(bytes) => format!("! {}", quoting::quote(bytes)),
        Action::Listen => "<".into(),
    };
    Some(format!(
        "{}:{}: scene \"{}\"\n{}{said}\n{}",
        script.name,
        failed.step.line,
        scene.title,
        failed.step.client,
        failed.problem.as_deref().unwrap_or_default()
    ))
}

/// Plays one scene on an emptied server.
pub fn play<'a>(
    server: &Server,
    scene: &'a Scene,
    after_problem: AfterProblem,
) -> Vec<Observed<'a>> {
    let mut stage = Stage { server, control: empty_stage(server), clients: BTreeMap::new() };
    let mut observed = Vec::new();
    for step in &scene.steps {
        let seen = stage.step(step);
        let stop = seen.problem.is_some() && after_problem == AfterProblem::Stop;
        observed.push(seen);
        if stop {
            return observed;
        }
    }
    if let (Some(name), Some(last)) = (stage.talkative(), observed.last_mut()) {
        last.problem.get_or_insert(format!("client {name} received more than the scene reads"));
    }
    observed
}

/// Empties the server and waits until the clients of the scene before are gone.
fn empty_stage(server: &Server) -> Client {
    let mut control = server.client();
    let gone = wait::within(PATIENCE, || control.run("CLIENT LIST").text().lines().count() == 1);
    assert!(
        gone,
        "a scene begins with one client; CLIENT LIST says: {:?}\n{}",
        control.run("CLIENT LIST"),
        server.log_tail()
    );
    control.ok("FLUSHALL");
    control
}

/// A scene being played.
struct Stage<'a> {
    server: &'a Server,
    /// Knows what the clients on stage cannot know: who is blocked, which ids they have.
    control: Client,
    clients: BTreeMap<String, Client>,
}

impl Stage<'_> {
    fn step<'a>(&mut self, step: &'a Step) -> Observed<'a> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (reply, problem) = match self.act(step) {
                Ok(reply) => {
                    let problem = self.judge(step, reply.as_ref()).err();
                    (reply, problem)
                }
                Err(problem) => (None, Some(problem)),
            };
            if problem.is_none() || !step.until || Instant::now() > deadline {
                return Observed { step, reply, problem };
            }
        }
    }

    /// Does what the step says and reads the reply, if one is expected.
    fn act(&mut self, step: &Step) -> Result<Option<Reply>, String> {
        let bytes = match &step.action {
            Action::Say(line) => client::encode(&quoting::split(&self.substitute(line)?)?),
            Action::Raw(bytes) => bytes.clone(),
            Action::Listen => Vec::new(),
        };
        let client = self.client(&step.client);
        match client.try_send_raw(&bytes) {
            Err(error) if !(client::is_close(&error) && step.expect == Expect::Closed) => {
                return Err(format!("cannot send: {error}"));
            }
            _ => {}
        }
        match step.expect {
            Expect::Reply(..) | Expect::Missing => match client.try_read() {
                Ok(reply) => Ok(Some(reply)),
                Err(error) => Err(format!("no reply: {}", describe(&error))),
            },
            Expect::Blocks | Expect::Closed | Expect::Nothing => Ok(None),
        }
    }

    fn judge(&mut self, step: &Step, reply: Option<&Reply>) -> Result<(), String> {
        match (&step.expect, reply) {
            _ if step.is_open() => Ok(()),
            (Expect::Reply(order, expected), Some(reply)) => compare(*order, expected, reply),
            (Expect::Blocks, _) => self.await_blocked(&step.client),
            (Expect::Closed, _) => self.client(&step.client).expect_close(),
            _ => Ok(()),
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        let server = self.server;
        self.clients.entry(name.to_owned()).or_insert_with(|| server.client())
    }

    /// Replaces `{a.id}` and `{a.addr}`.
    fn substitute(&mut self, line: &str) -> Result<String, String> {
        let mut line = line.to_owned();
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in names.iter().map(String::as_str).chain([MAIN_CLIENT]) {
            let (id, addr) = (format!("{{{name}.id}}"), format!("{{{name}.addr}}"));
            if line.contains(&addr) {
                line = line.replace(&addr, &self.client(name).local_address().to_string());
            }
            if line.contains(&id) {
                let row =
                    self.client_list_row(name).ok_or(format!("client {name} is not listed"))?;
                line = line.replace(&id, field(&row, "id"));
            }
        }
        Ok(line)
    }

    /// The row of a client in CLIENT LIST.
    fn client_list_row(&mut self, name: &str) -> Option<String> {
        let address = self.client(name).local_address().to_string();
        let list = self.control.run("CLIENT LIST").text();
        list.lines().find(|row| field(row, "addr") == address).map(str::to_owned)
    }

    fn await_blocked(&mut self, name: &str) -> Result<(), String> {
        let mut answered = false;
        let blocked = wait::within(PATIENCE, || {
            answered = !self.client(name).is_silent();
            let row = self.client_list_row(name);
            answered || row.is_some_and(|row| field(&row, "flags").contains('b'))
        });
        if answered || !self.client(name).is_silent() {
            return Err("it should block, but it received something".into());
        }
        if !blocked {
            let row = self.client_list_row(name);
            return Err(format!("not blocked; CLIENT LIST says: {row:?}"));
        }
        Ok(())
    }

    /// A client that has received something no step has read.
    fn talkative(&mut self) -> Option<String> {
        for (name, client) in &mut self.clients {
            // A closed connection is not silent either, but has nothing to say.
            if !client.is_silent() && client.expect_close().is_err() {
                return Some(name.clone());
            }
        }
        None
    }
}

/// The value of `name=value` in a row of CLIENT LIST; "" if there is none.
pub fn field<'a>(row: &'a str, name: &str) -> &'a str {
    row.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock => format!("nothing came within {PATIENCE:?}"),
        _ if client::is_close(error) => "the connection is closed".into(),
        _ => error.to_string(),
    }
}

/// The lines of a reply as they are compared.
pub fn reply_lines(order: Order, reply: &Reply) -> Vec<String> {
    match order {
        Order::Kept => notation::lines(&reply.value),
        Order::Any => notation::sorted_lines(&reply.value, false),
        Order::AnyPairs => notation::sorted_lines(&reply.value, true),
    }
}

fn compare(order: Order, expected: &[Line], reply: &Reply) -> Result<(), String> {
    // A script's lines have no blanks at their end, which only the oracle, comparing bytes, can see.
    let lines: Vec<String> =
        reply_lines(order, reply).iter().map(|line| line.trim_end().to_owned()).collect();
    let fits = lines.len() == expected.len()
        && expected.iter().zip(&lines).all(|(expected, line)| match expected {
            Line::Exact(text) => text == line,
            Line::Pattern(pattern) => notation::fits(pattern, line),
        });
    if fits {
        return Ok(());
    }
    let expected: Vec<String> = expected
        .iter()
        .map(|line| match line {
            Line::Exact(text) => text.clone(),
            Line::Pattern(pattern) => format!("~ {pattern}"),
        })
        .collect();
    Err(format!("expected:\n{}\ngot:\n{}", expected.join("\n"), lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures_of(text: &str) -> Vec<String> {
        let script = Script::parse("t", text).expect("well formed");
        failures(&script, &Options::oracle())
    }

    #[test]
    fn a_true_dialogue_passes() {
        let none: [&str; 0] = [];
        assert_eq!(
            failures_of(
                "## s\n> SET k v PX 1\nOK\nuntil> GET k\n(nil)\na> BLPOP q 0\n(blocks)\n\
                 > CLIENT UNBLOCK {a.id}\n(integer) 1\na<\n(nil)\na! \"PING\\r\\n\"\nPONG\n\
                 a> QUIT\nOK\na<\n(closed)\n"
            ),
            none
        );
    }

    #[test]
    fn every_kind_of_lie_is_found() {
        for (lie, text) in [
            ("another reply", "## s\n> PING\nPANG\n"),
            ("a missing line", "## s\n> MGET a b\n1) (nil)\n"),
            ("blocks", "## s\n> RPUSH q x\n(integer) 1\n> BLPOP q 0\n(blocks)\n"),
            ("closed", "## s\n> PING\n(closed)\n"),
            ("no reply", "## s\n> PING\n(no reply)\n> ECHO a\n\"a\"\n"),
            ("unread", "## s\n> SUBSCRIBE a b\n1) \"subscribe\"\n2) \"a\"\n3) (integer) 1\n"),
        ] {
            assert_eq!(failures_of(text).len(), 1, "{lie}");
        }
    }
}
