//! Random commands: those on data from the grammar that Redis tells of itself, the others from templates; mostly
//! sensible, sometimes wrong, always the same for a seed.
//!
//! What is left to chance or time even so is listed in [`crate::rules`].

use crate::grammar::{Form, Node, Version};
use crate::pools;
use crate::rng::Rng;
use std::collections::VecDeque;

/// Commands that are not about data, and those that fill sorted sets with equal scores, in a small grammar: `WORD` stands for itself, `<name:type>` is filled in as the
/// argument of that name, `[a|b c]` is one of these or nothing, `(a b)+` is repeated one to four times.
const TEMPLATES: &[&str] = &[
    "PING",
    "PING <value:string>",
    "ECHO <value:string>",
    "SELECT <db:integer>",
    "PUBLISH <channel:key> <value:string>",
    "DBSIZE",
    "SWAPDB <db:integer> <db:integer>",
    "NONSENSE <value:string>",
    "COMMAND GETKEYS MSET (<key:key> <value:string>)+",
    "OBJECT NONSENSE <key:key>",
    "CONFIG GET maxmemory-policy",
    "ZADD <key:lex-key> (0 <member:string>)+",
    "ZADD <key:lex-key> (0 <member:string>)+",
    "CLIENT GETNAME",
    "CLIENT SETNAME <field:string>",
];

/// Commands that come up more often than others, so that there is something to work on.
const FREQUENT: &[&str] = &[
    "append",
    "geoadd",
    "hset",
    "lpush",
    "pfadd",
    "rpush",
    "sadd",
    "set",
    "setbit",
    "xadd",
    "zadd",
    "xgroup create",
    "xreadgroup",
];
/// How many times as often.
const FREQUENT_WEIGHT: usize = 5;

/// Values of all kinds that are wrong in most places. None of them is a short expiry.
const JUNK: &[&[u8]] = &[
    b"",
    b" 1",
    b"abc",
    b"0",
    b"-1",
    b"1.5",
    b"inf",
    b"nan",
    b"+5000",
    b"05000",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"\xff\x00",
];

/// How often (once in n commands) something rarer happens.
const SPOILT_ONE_IN: usize = 25;
const BLOCKING_ONE_IN: usize = 400;
const FLUSH_ONE_IN: usize = 1000;
const WAITING_ONE_IN: usize = 60;
/// Most keys where a command says how many they are.
const KEYS_MAX: usize = 3;
/// More than any collection has elements, so that a scan gives all at once.
const WHOLE: &[u8] = b"100000";

/// An endless stream of commands.
#[derive(Clone, Debug)]
pub struct Commands {
    rng: Rng,
    /// Each as often as its weight.
    forms: Vec<Form>,
    blocking: Vec<Form>,
    /// The next ones, where several belong together: see [`Commands::next_command`].
    pending: VecDeque<Vec<Vec<u8>>>,
    /// Whether reading for a group makes the consumer only if there is something to read (before 7.2).
    are_consumers_lazy: bool,
}

impl Commands {
    /// The stream of a seed, of commands that both servers know, the older of which has this version.
    pub fn new(seed: u64, forms: &[Form], version: Version) -> Self {
        let weight = |form: &Form| match FREQUENT.contains(&form.name().as_str()) {
            true => FREQUENT_WEIGHT,
            false => 1,
        };
        let (blocking, others): (Vec<_>, Vec<_>) =
            forms.iter().cloned().partition(|form| form.is_blocking && !is_often_ready(form));
        let weighted = others.iter().flat_map(|form| std::iter::repeat_n(form, weight(form)));
        let templates = TEMPLATES.iter().map(|text| template(text));
        Commands {
            rng: Rng::new(seed),
            forms: weighted.cloned().chain(templates).collect(),
            blocking,
            pending: VecDeque::new(),
            are_consumers_lazy: version < (7, 2),
        }
    }

    /// The next command. Where chance decides what a command writes (SPOP), the key is removed behind it; where the
    /// version decides whether it makes a consumer, that is made before it.
    pub fn next_command(&mut self) -> Vec<Vec<u8>> {
        if let Some(command) = self.pending.pop_front() {
            return command;
        }
        if self.rng.one_in(FLUSH_ONE_IN) {
            let flush: &[u8] = if self.rng.one_in(2) { b"FLUSHALL" } else { b"FLUSHDB" };
            return vec![flush.to_vec()];
        }
        let is_blocking = !self.blocking.is_empty() && self.rng.one_in(BLOCKING_ONE_IN);
        let forms = if is_blocking { &self.blocking } else { &self.forms };
        let form = self.rng.pick(forms).clone();
        let mut args = self.expand(&form);
        let is_by_member = args.iter().any(|arg| arg.starts_with(pools::LEX_PREFIX.as_bytes()));
        // One that may wait could wait for ever if its last argument changed; another score would leave the order of
        // members to chance.
        if !form.is_blocking && !is_by_member && self.rng.one_in(SPOILT_ONE_IN) {
            self.spoil(&mut args);
        }
        if self.rng.one_in(4) {
            args[0].make_ascii_uppercase();
        }
        if form.words[0] == "spop" && args.len() > 1 {
            self.pending.push_back(vec![b"DEL".to_vec(), args[1].clone()]);
        }
        if self.are_consumers_lazy {
            self.pending.extend(consumers_of(&args));
            self.pending.push_back(args);
            return self.pending.pop_front().expect("one was just put there");
        }
        args
    }

    /// Makes a command wrong in one place: an argument less, more, or another one.
    fn spoil(&mut self, args: &mut Vec<Vec<u8>>) {
        let junk = self.rng.pick(JUNK).to_vec();
        let at = self.rng.below(args.len());
        // A cursor is a place in the server's own hash table: another one leads anywhere.
        let is_cursor = args[0].to_ascii_lowercase().ends_with(b"scan");
        match self.rng.below(3) {
            0 if args.len() > 1 => drop(args.pop()),
            1 if at > 0 && !is_cursor => args[at] = junk,
            _ => args.push(junk),
        }
    }

    fn expand(&mut self, form: &Form) -> Vec<Vec<u8>> {
        let words = form.words.iter().map(|word| word.clone().into_bytes());
        let mut expansion = Expansion { form, args: words.collect(), key_count: None };
        expansion.all(&mut self.rng, &form.arguments);
        let mut args = expansion.args;
        tidy(&mut self.rng, &mut args);
        args
    }
}

/// Commands that make the consumers for which `args` read or claim.
fn consumers_of(args: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let (keys, group) = match args[0].to_ascii_lowercase().as_slice() {
        b"xclaim" | b"xautoclaim" => (args.get(1..2), args.get(2..4)),
        b"xreadgroup" => {
            let streams = args.iter().position(|arg| arg == b"STREAMS").map(|at| &args[at + 1..]);
            (streams.map(|streams| &streams[..streams.len() / 2]), args.get(2..4))
        }
        _ => return Vec::new(),
    };
    let (Some(keys), Some([group, consumer])) = (keys, group) else { return Vec::new() };
    let create = |key: &Vec<u8>| {
        let words = [&b"XGROUP"[..], b"CREATECONSUMER", key, group, consumer];
        words.map(<[u8]>::to_vec).to_vec()
    };
    keys.iter().map(create).collect()
}

/// Whether this option makes a command wait.
fn is_waiting(node: &Node) -> bool {
    matches!(node, Node::All(nodes) if nodes.first() == Some(&Node::Word("BLOCK".into())))
}

/// XREAD and XREADGROUP may wait, but only with BLOCK.
fn is_often_ready(form: &Form) -> bool {
    form.group == "stream"
}

/// Takes out what would leave the reply to chance.
fn tidy(rng: &mut Rng, args: &mut Vec<Vec<u8>>) {
    let position = |args: &[Vec<u8>], word: &[u8]| args.iter().position(|arg| arg == word);
    match args[0].as_slice() {
        name if name.ends_with(b"scan") => match position(args, b"COUNT") {
            Some(at) => args[at + 1] = WHOLE.to_vec(),
            None => args.extend([b"COUNT".to_vec(), WHOLE.to_vec()]),
        },
        b"zrange" | b"zrangestore" if position(args, b"BYLEX").is_some() => {
            let source = if args[0] == b"zrange" { 1 } else { 2 };
            args[source] = pools::lex_key(rng).into_bytes();
        }
        // Elements whose weights are equal texts come in any order.
        b"sort" | b"sort_ro" if position(args, b"BY").is_some() => {
            args.retain(|arg| arg != b"ALPHA");
        }
        _ => {}
    }
}

/// A command while it is made.
struct Expansion<'a> {
    form: &'a Form,
    args: Vec<Vec<u8>>,
    /// How many keys there are, once that has been said or they have been written.
    key_count: Option<usize>,
}

impl Expansion<'_> {
    fn all(&mut self, rng: &mut Rng, nodes: &[Node]) {
        nodes.iter().for_each(|node| self.node(rng, node));
    }

    fn node(&mut self, rng: &mut Rng, node: &Node) {
        match node {
            Node::Word(word) => self.args.push(word.clone().into_bytes()),
            Node::All(nodes) => self.all(rng, nodes),
            Node::OneOf(choices) => {
                let choice = rng.pick(choices);
                self.node(rng, choice);
            }
            Node::Optional(node) => {
                if rng.one_in(if is_waiting(node) { WAITING_ONE_IN } else { 3 }) {
                    self.node(rng, node);
                }
            }
            Node::Repeated(node) => {
                let count = self.repetitions(rng, node);
                (0..count).for_each(|_| self.node(rng, node));
            }
            Node::Value { name, .. } if name == "numkeys" => {
                let count = 1 + rng.below(KEYS_MAX);
                self.key_count = Some(count);
                self.args.push(count.to_string().into_bytes());
            }
            Node::Value { name, kind } => {
                self.args.push(pools::fill(rng, self.form, name, kind));
            }
        }
    }

    /// How often `node` is repeated: keys as often as was said, weights and ids of streams as often as keys.
    fn repetitions(&mut self, rng: &mut Rng, node: &Node) -> usize {
        let Node::Value { name, kind } = node else { return 1 + rng.below(4) };
        let is_reading_streams = self.form.words[0].starts_with("xread");
        match self.key_count {
            Some(count) if kind == "key" || name == "weight" => count,
            Some(count) if is_reading_streams && name == "id" => count,
            _ => {
                let count = 1 + rng.below(if kind == "key" { KEYS_MAX } else { 4 });
                if kind == "key" {
                    self.key_count = Some(count);
                }
                count
            }
        }
    }
}

/// Reads a template.
///
/// # Panics
/// When it is not well formed: templates are constants of this file.
fn template(text: &str) -> Form {
    let (mut nodes, rest) = parse_until(text, &[]);
    assert_eq!(rest, "", "a bracket too many in {text}");
    let arguments = nodes.split_off(1);
    let Some(Node::Word(name)) = nodes.pop() else { panic!("{text} begins with a name") };
    Form { words: vec![name], group: String::new(), arguments, is_blocking: false }
}

/// Reads up to one of `ends`, which is left in the rest.
fn parse_until<'a>(mut text: &'a str, ends: &[char]) -> (Vec<Node>, &'a str) {
    let mut nodes = Vec::new();
    loop {
        text = text.trim_start();
        let Some(first) = text.chars().next() else { return (nodes, text) };
        if ends.contains(&first) {
            return (nodes, text);
        }
        match first {
            '[' => {
                let mut choices = Vec::new();
                loop {
                    let (choice, rest) = parse_until(&text[1..], &['|', ']']);
                    choices.push(Node::All(choice));
                    text = rest;
                    if text.starts_with(']') {
                        break;
                    }
                }
                text = &text[1..];
                nodes.push(Node::Optional(Box::new(Node::OneOf(choices))));
            }
            '(' => {
                let (group, rest) = parse_until(&text[1..], &[')']);
                text = rest.strip_prefix(")+").expect("a group is repeated");
                nodes.push(Node::Repeated(Box::new(Node::All(group))));
            }
            _ => {
                let end = text.find([' ', '|', ']', ')']).unwrap_or(text.len());
                let word = &text[..end];
                let hole = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
                nodes.push(match hole.and_then(|hole| hole.split_once(':')) {
                    Some((name, kind)) => Node::Value { name: name.into(), kind: kind.into() },
                    None => Node::Word(word.into()),
                });
                text = &text[end..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::forms;
    use std::collections::BTreeSet;

    #[test]
    fn templates_are_read() {
        let word = |text: &str| Node::Word(text.into());
        let db = || Node::Value { name: "db".into(), kind: "integer".into() };
        assert_eq!(
            template("A [B|C <db:integer>] (<db:integer> D)+").arguments,
            [
                Node::Optional(Box::new(Node::OneOf(vec![
                    Node::All(vec![word("B")]),
                    Node::All(vec![word("C"), db()])
                ]))),
                Node::Repeated(Box::new(Node::All(vec![db(), word("D")]))),
            ]
        );
    }

    #[test]
    fn a_seed_gives_the_same_commands() {
        let forms = forms((7, 2));
        let (mut left, mut right) =
            (Commands::new(5, &forms, (7, 2)), Commands::new(5, &forms, (7, 2)));
        for _ in 0..1000 {
            assert_eq!(left.next_command(), right.next_command());
        }
    }

    #[test]
    fn consumers_are_made_before_they_read_where_reading_may_not_make_them() {
        let forms = forms((7, 0));
        let mut commands = Commands::new(3, &forms, (7, 0));
        let mut read_count = 0;
        let mut before: Vec<Vec<u8>> = vec![Vec::new()];
        for _ in 0..20_000 {
            let args = commands.next_command();
            if let Some(last) = consumers_of(&args).pop() {
                assert_eq!(before, last, "{args:?}");
                read_count += 1;
            }
            before = args;
        }
        assert!(read_count > 100, "{read_count}");
    }

    #[test]
    fn every_command_and_every_option_comes_up() {
        let forms = forms((7, 2));
        let mut commands = Commands::new(1, &forms, (7, 2));
        let mut words = BTreeSet::new();
        for _ in 0..200_000 {
            let args = commands.next_command();
            let name = args[0].to_ascii_lowercase();
            words.extend(args.iter().map(|arg| (name.clone(), arg.to_ascii_uppercase())));
        }
        for form in forms {
            for option in options(&form.arguments) {
                let word = (form.words[0].clone().into_bytes(), option.clone().into_bytes());
                assert!(words.contains(&word), "{} {option}", form.name());
            }
            let name = form.words[0].clone().into_bytes();
            let last = form.words.last().unwrap().to_ascii_uppercase().into_bytes();
            assert!(words.contains(&(name, last)), "{}", form.name());
        }
    }

    fn options(nodes: &[Node]) -> Vec<String> {
        let inside = |node: &Node| match node {
            Node::Word(word) => vec![word.to_ascii_uppercase()],
            Node::Value { .. } => Vec::new(),
            Node::All(nodes) | Node::OneOf(nodes) => options(nodes),
            Node::Optional(node) | Node::Repeated(node) => options(std::slice::from_ref(&**node)),
        };
        nodes.iter().flat_map(inside).collect()
    }
}
