//! Dialogues: what clients say and what the server answers, as text.
//!
//! ```text
//! # A comment. `# args: --maxclients 10` gives arguments to the server of this file.
//! ## first scene
//! > SET k v              the client without a name says it, quoted as in redis-cli
//! OK                     and this is the whole reply, as redis-cli prints it
//! until> GET k           said again and again until the reply is the expected one
//! (nil)
//! > TTL k
//! ~ (integer) {99..100}  a line that is a pattern: `*`, `{int}`, `{low..high}`
//!
//! ## second scene (since 7.2)
//! a> BLPOP q 0           another client, connected when it first speaks
//! (blocks)               the server has noticed it and does not answer
//! > RPUSH q x
//! (integer) 1
//! a<                     the next thing that client receives
//! 1) "q"
//! 2) "x"
//! a! "PING\r\n"          bytes as they are
//! PONG
//! ```
//!
//! Instead of a reply may stand: `(blocks)`; `(closed)`, the server closed the connection;
//! `(no reply)`; and before a reply `(unordered)` or `(unordered pairs)`: its elements are sorted by
//! their text before they are compared. `{a.id}` and `{a.addr}` in a command stand for client `a`'s
//! id and address; the client without a name is called `main`.
//!
//! A scene begins with an empty server and no other client; its title may end with `(since 7.2)`, for
//! what Redis 7.0 does differently, or with `(rialto)`, for what no Redis knows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture;
use crate::quoting;

/// The name of the client that is written without one.
pub const MAIN_CLIENT: &str = "main";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `<group>/<topic>.resp`, or where it was read from.
    pub name: String,
    /// Extra arguments of its server.
    pub args: Vec<String>,
    /// In the order of the file.
    pub scenes: Vec<Scene>,
}

/// A dialogue that stands on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// Without its condition.
    pub title: String,
    /// Line of the title, from 1.
    pub line: usize,
    /// Which servers it is for.
    pub audience: Audience,
    /// In the order of the file.
    pub steps: Vec<Step>,
}

/// Which servers a scene is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every Redis from 7.0 on, and Rialto.
    All,
    /// Redis from 7.2 on, and Rialto.
    Since72,
    /// Rialto only.
    Rialto,
}

/// One thing that happens, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// Who speaks or listens.
    pub client: String,
    /// What happens.
    pub action: Action,
    /// Repeat until the expectation is met.
    pub until: bool,
    /// What must follow.
    pub expect: Expect,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends a command, still quoted and with its `{a.id}`.
    Say(String),
    /// Sends bytes.
    Raw(Vec<u8>),
    /// Sends nothing.
    Listen,
}

/// What must follow an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A reply with these lines.
    Reply(Order, Vec<Line>),
    /// The client is blocked.
    Blocks,
    /// The connection is closed.
    Closed,
    /// Nothing at all.
    Nothing,
    /// The file does not say (yet).
    Missing,
}

/// Whether the elements of a reply have an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they come.
    Kept,
    /// Compared as a set.
    Any,
    /// A flat array of pairs, compared as a set of pairs.
    AnyPairs,
}

/// One line of an expected reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Exactly this text.
    Exact(String),
    /// Anything that fits; see [`crate::notation::fits`].
    Pattern(String),
}

impl Step {
    /// Whether the file does not say (yet) what must be answered.
    pub fn is_open(&self) -> bool {
        match &self.expect {
            Expect::Missing => true,
            Expect::Reply(_, lines) => lines.is_empty(),
            Expect::Blocks | Expect::Closed | Expect::Nothing => false,
        }
    }
}

impl Scene {
    /// Whether it is meant for such a server.
    pub fn is_for(&self, program: &crate::server::Program) -> bool {
        match self.audience {
            Audience::All => true,
            Audience::Since72 => program.version() >= (7, 2),
            Audience::Rialto => !program.is_redis(),
        }
    }
}

impl Script {
    /// Reads all scripts of `tests/scripts`, sorted by name.
    ///
    /// # Panics
    /// When one is not well formed or leaves a reply open.
    pub fn all() -> Vec<Script> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
        let files: Vec<PathBuf> = fixture::files_below(&folder);
        let scripts: Vec<Script> = files
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "resp"))
            .map(|path| {
                let name = path.strip_prefix(&folder).expect("it lies below").display().to_string();
                let text = fs::read_to_string(path).expect("a script is text");
                let script = Script::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
                script.check_complete().unwrap_or_else(|error| panic!("{error}"));
                script
            })
            .collect();
        assert!(!scripts.is_empty(), "no script below {}", folder.display());
        scripts
    }

    /// Reads a script.
    ///
    /// # Errors
    /// File, line and problem, when it is not well formed.
    pub fn parse(name: &str, text: &str) -> Result<Script, String> {
        let mut script = Script { name: name.into(), args: Vec::new(), scenes: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            script
                .add_line(index + 1, line.trim_end())
                .map_err(|problem| format!("{name}:{}: {problem}", index + 1))?;
        }
        Ok(script)
    }

    /// Whether every step says what is expected.
    ///
    /// # Errors
    /// File and line of the first that does not.
    pub fn check_complete(&self) -> Result<(), String> {
        let mut steps = self.scenes.iter().flat_map(|scene| &scene.steps);
        match steps.find(|step| step.is_open()) {
            None => Ok(()),
            Some(step) => Err(format!(
                "{}:{}: no reply is given; `cargo run -p blackbox --bin record` fills it in",
                self.name, step.line
            )),
        }
    }

    fn add_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(title) = line.strip_prefix("## ") {
            let (title, audience) = audience(title);
            let title = title.to_owned();
            self.scenes.push(Scene { title, line: number, audience, steps: Vec::new() });
            return Ok(());
        }
        if line.starts_with('#') {
            if let Some(args) = line.strip_prefix("# args: ") {
                let args = quoting::split(args)?;
                self.args.extend(args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()));
            }
            return Ok(());
        }
        let scene = self.scenes.last_mut().ok_or("a dialogue begins with `## title`")?;
        match step(number, line)? {
            Some(step) => scene.steps.push(step),
            None => {
                let step = scene.steps.last_mut().ok_or("a reply without a command")?;
                add_expected(&mut step.expect, line)?;
            }
        }
        Ok(())
    }
}

/// Takes the condition off the end of a title.
fn audience(title: &str) -> (&str, Audience) {
    if let Some(title) = title.strip_suffix(" (since 7.2)") {
        return (title, Audience::Since72);
    }
    match title.strip_suffix(" (rialto)") {
        Some(title) => (title, Audience::Rialto),
        None => (title, Audience::All),
    }
}

/// The step a line begins, or `None` if the line is (part of) a reply.
fn step(number: usize, line: &str) -> Result<Option<Step>, String> {
    let (until, rest) = match line.strip_prefix("until") {
        Some(rest) if rest.starts_with([' ', '>']) => (true, rest.trim_start()),
        _ => (false, line),
    };
    let name_len = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let (name, rest) = rest.split_at(name_len);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(None);
    }
    let Some(kind) = rest.chars().next() else { return Ok(None) };
    let rest = &rest[kind.len_utf8()..];
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Ok(None);
    }
    let action = match kind {
        '>' => Action::Say(rest.trim_start().to_owned()),
        '!' => Action::Raw(quoting::split(rest)?.concat()),
        '<' if rest.trim().is_empty() => Action::Listen,
        _ => return Ok(None),
    };
    let client = if name.is_empty() { MAIN_CLIENT } else { name }.to_owned();
    Ok(Some(Step { line: number, client, action, until, expect: Expect::Missing }))
}

fn add_expected(expect: &mut Expect, line: &str) -> Result<(), String> {
    let text = match line.strip_prefix("~ ") {
        Some(pattern) => Line::Pattern(pattern.to_owned()),
        None => Line::Exact(line.to_owned()),
    };
    match (expect, line) {
        (expect @ Expect::Missing, _) => {
            *expect = match line {
                "(blocks)" => Expect::Blocks,
                "(closed)" => Expect::Closed,
                "(no reply)" => Expect::Nothing,
                "(unordered)" => Expect::Reply(Order::Any, Vec::new()),
                "(unordered pairs)" => Expect::Reply(Order::AnyPairs, Vec::new()),
                _ => Expect::Reply(Order::Kept, vec![text]),
            };
            Ok(())
        }
        (Expect::Reply(_, lines), _) => {
            lines.push(text);
            Ok(())
        }
        _ => Err(format!("nothing can follow here: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Script {
        Script::parse("t", text).expect("well formed")
    }

    #[test]
    fn scenes_have_steps_and_replies() {
        let script = parse(
            "# args: --save ''\n## one\n> SET k v\nOK\n\n## two (since 7.2)\nuntil a> GET k\n\
             ~ \"*\"\na<\n(closed)\n",
        );
        assert_eq!(script.args, ["--save", ""]);
        assert_eq!(script.scenes[0].title, "one");
        assert_eq!(script.scenes[1].audience, Audience::Since72);
        let steps = &script.scenes[1].steps;
        assert_eq!(steps[0].client, "a");
        assert!(steps[0].until);
        assert_eq!(
            steps[0].expect,
            Expect::Reply(Order::Kept, vec![Line::Pattern("\"*\"".into())])
        );
        assert_eq!((&steps[1].action, &steps[1].expect), (&Action::Listen, &Expect::Closed));
    }

    #[test]
    fn pushes_and_nested_replies_are_no_commands() {
        let script = parse("## s\n> X\n1> \"message\"\n2> 1) \"a\"\n   2) \"b\"\n3~ x\n");
        assert_eq!(script.scenes[0].steps.len(), 1);
        let Expect::Reply(Order::Kept, lines) = &script.scenes[0].steps[0].expect else {
            panic!("a reply")
        };
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn raw_bytes_are_unquoted() {
        let script = parse("## s\n! \"PI\\r\\n\"\n(no reply)\n");
        assert_eq!(script.scenes[0].steps[0].action, Action::Raw(b"PI\r\n".to_vec()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_line() {
        for (text, problem) in [
            ("> PING", "t:1: a dialogue begins"),
            ("## s\nOK", "t:2: a reply without"),
            ("## s\n> X\n(blocks)\nOK", "t:4: nothing can follow"),
            ("## s\n! \"x", "t:2: a quote is not closed"),
        ] {
            let error = Script::parse("t", text).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
        let open = parse("## s\n> PING\n");
        assert!(open.check_complete().unwrap_err().starts_with("t:2: no reply"));
    }
}
