//! The grammar of commands, from the argument trees that Redis tells of itself (`facts/commands-7.2.json`): every
//! command on data with every option, in a form that [`crate::random`] makes commands of.

use serde_json::Value as Json;
use std::path::Path;

/// A version of Redis: major, minor.
pub type Version = (u32, u32);

/// The groups whose commands are about data.
const GROUPS: &[&str] = &[
    "bitmap",
    "generic",
    "geo",
    "hash",
    "hyperloglog",
    "list",
    "set",
    "sorted-set",
    "stream",
    "string",
];

/// Commands that are left out, each with its reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("migrate", "needs another server"),
    ("restore", "its payloads come from DUMP of the same version"),
    ("dump", "the payload names the version"),
    ("wait", "about replicas, not data"),
    ("waitaof", "about files, not data"),
    ("pfselftest", "takes seconds"),
    ("object help", "the text is our own"),
    ("xgroup help", "the text is our own"),
    ("xinfo help", "the text is our own"),
];

/// Commands that mean something else since some version, with the reason: older servers are not asked.
const CHANGED: &[(&str, Version, &str)] =
    &[("xsetid", (7, 2), "an id below that of a removed entry was accepted")];

/// Words of commands that are left out, each with its reason.
const LEFT_OUT_WORDS: &[(&str, &str, &str)] = &[
    ("xadd", "*", "the id would be the time of day"),
    ("expire", "GT", "the two servers are told one after the other"),
    ("expire", "LT", "the two servers are told one after the other"),
    ("pexpire", "GT", "the two servers are told one after the other"),
    ("pexpire", "LT", "the two servers are told one after the other"),
];

/// Words of commands that came later than the facts tell, and when.
const YOUNGER_WORDS: &[(&str, &str, Version)] =
    &[("zrank", "WITHSCORE", (7, 2)), ("zrevrank", "WITHSCORE", (7, 2))];

/// A command: its words, and what may follow them.
#[derive(Clone, Debug)]
pub struct Form {
    /// Its name, and its subcommand if it has one; lower case.
    pub words: Vec<String>,
    /// The group that COMMAND DOCS puts it in.
    pub group: String,
    /// What follows.
    pub arguments: Vec<Node>,
    /// Whether it may wait.
    pub is_blocking: bool,
}

impl Form {
    /// The words with a blank between them.
    pub fn name(&self) -> String {
        self.words.join(" ")
    }
}

/// A part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Stands for itself.
    Word(String),
    /// A value of a kind that the name of the argument and its type tell.
    Value {
        /// Name of the argument.
        name: String,
        /// Its type.
        kind: String,
    },
    /// All of these, in order.
    All(Vec<Node>),
    /// One of these.
    OneOf(Vec<Node>),
    /// This or nothing.
    Optional(Box<Node>),
    /// This, once or several times.
    Repeated(Box<Node>),
}

/// The forms of all commands on data that a Redis of `version` knows.
///
/// # Panics
/// When the file of facts is missing or not what it should be.
pub fn forms(version: Version) -> Vec<Form> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("facts/commands-7.2.json");
    let text = std::fs::read_to_string(&path).expect("the facts are part of the repository");
    let facts: Json = serde_json::from_str(&text).expect("the facts are JSON");
    let commands = facts["commands"].as_object().expect("the facts name commands");
    let mut forms = Vec::new();
    for (name, facts) in commands {
        let docs = &facts["docs"];
        if !docs["group"].as_str().is_some_and(|group| GROUPS.contains(&group)) {
            continue;
        }
        match docs["subcommands"].as_object() {
            None => forms.push(form(vec![name.clone()], docs, facts, version)),
            Some(subcommands) => {
                for (full_name, docs) in subcommands {
                    let words = full_name.split('|').map(str::to_owned).collect();
                    let facts = &facts["subcommands"][full_name];
                    forms.push(form(words, docs, facts, version));
                }
            }
        }
    }
    forms.into_iter().flatten().collect()
}

/// The form of one command; `None` if it is left out or younger than `version`.
fn form(words: Vec<String>, docs: &Json, facts: &Json, version: Version) -> Option<Form> {
    let name = words.join(" ");
    let is_left_out = LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
        || CHANGED.iter().any(|(changed, since, _)| *changed == name && *since > version);
    if is_left_out || is_younger(docs, version) {
        return None;
    }
    let flags = facts["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
    Some(Form {
        arguments: all(docs["arguments"].as_array(), &name, version),
        group: text(&docs["group"]),
        is_blocking: flags.iter().any(|flag| flag == "blocking"),
        words,
    })
}

fn all(arguments: Option<&Vec<Json>>, command: &str, version: Version) -> Vec<Node> {
    let arguments = arguments.map(Vec::as_slice).unwrap_or_default();
    arguments.iter().filter_map(|argument| node(argument, command, version)).collect()
}

/// One argument of the tree; `None` if it is left out or younger than `version`.
fn node(argument: &Json, command: &str, version: Version) -> Option<Node> {
    let token = argument["token"].as_str();
    let is_left_out = |word: &str| {
        let is_this = |name: &str, other: &str| name == command && other == word;
        LEFT_OUT_WORDS.iter().any(|(name, other, _)| is_this(name, other))
            || YOUNGER_WORDS
                .iter()
                .any(|(name, other, since)| is_this(name, other) && *since > version)
    };
    if is_younger(argument, version) || token.is_some_and(is_left_out) {
        return None;
    }
    let kind = text(&argument["type"]);
    let inner = || all(argument["arguments"].as_array(), command, version);
    let value = match kind.as_str() {
        "pure-token" => None,
        "oneof" => match inner() {
            choices if choices.is_empty() => return None,
            mut choices if choices.len() == 1 => choices.pop(),
            choices => Some(Node::OneOf(choices)),
        },
        "block" => Some(Node::All(inner())),
        _ => Some(Node::Value { name: text(&argument["name"]), kind }),
    };
    let flags = argument["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |flag: &str| flags.iter().any(|other| other == flag);
    let word = token.map(|token| Node::Word(token.to_owned()));
    let repeated = |node: Node| Node::Repeated(Box::new(node));
    let node = match (word, value) {
        (Some(word), Some(value)) if has("multiple_token") => {
            repeated(Node::All(vec![word, value]))
        }
        (Some(word), Some(value)) if has("multiple") => Node::All(vec![word, repeated(value)]),
        (Some(word), Some(value)) => Node::All(vec![word, value]),
        (None, Some(value)) if has("multiple") => repeated(value),
        (Some(node), None) | (None, Some(node)) => node,
        (None, None) => return None,
    };
    Some(if has("optional") { Node::Optional(Box::new(node)) } else { node })
}

/// Whether the command or argument came after `version`.
fn is_younger(facts: &Json, version: Version) -> bool {
    let since = text(&facts["since"]);
    let mut numbers = since.split('.').map_while(|number| number.parse().ok());
    let since: Version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    since > version
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str, version: Version) -> Option<Form> {
        forms(version).into_iter().find(|form| form.name() == name)
    }

    fn value(name: &str, kind: &str) -> Node {
        Node::Value { name: name.into(), kind: kind.into() }
    }

    #[test]
    fn arguments_become_nodes() {
        let word = |word: &str| Node::Word(word.into());
        let lpos = find("lpos", (7, 0)).unwrap();
        let option = |token: &str, name: &str| {
            Node::Optional(Box::new(Node::All(vec![word(token), value(name, "integer")])))
        };
        let expected = [
            value("key", "key"),
            value("element", "string"),
            option("RANK", "rank"),
            option("COUNT", "num-matches"),
            option("MAXLEN", "len"),
        ];
        assert_eq!(lpos.arguments, expected);
        assert!(find("blpop", (7, 0)).unwrap().is_blocking);
        assert!(!lpos.is_blocking);
    }

    #[test]
    fn what_is_younger_than_the_server_is_left_out() {
        let has_score =
            |version| format!("{:?}", find("zrank", version).unwrap()).contains("WITHSCORE");
        assert!(has_score((7, 2)) && !has_score((7, 0)));
        assert!(find("sintercard", (7, 0)).is_some() && find("sintercard", (6, 2)).is_none());
        for (name, since, reason) in CHANGED {
            assert!(
                find(name, *since).is_some() && find(name, (7, 0)).is_none(),
                "{name}: {reason}"
            );
        }
    }

    #[test]
    fn what_is_left_out_exists() {
        let known = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("facts/commands-7.2.json");
            let text = std::fs::read_to_string(path).unwrap();
            text.contains(&format!("\"{}\": {{", name.replace(' ', "|")))
        };
        for (name, reason) in LEFT_OUT {
            assert!(known(name) && find(name, (99, 0)).is_none(), "{name}: {reason}");
        }
        for (name, word, reason) in LEFT_OUT_WORDS {
            let form = format!("{:?}", find(name, (99, 0)).unwrap());
            assert!(!form.contains(&format!("Word(\"{word}\")")), "{name} {word}: {reason}");
        }
    }
}
