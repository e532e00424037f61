//! Random commands from templates: mostly sensible, sometimes wrong, always the same for a seed.
//!
//! What depends on the clock or on chance is left out by construction: an expiry lies in the past or so
//! far ahead that no run sees it, relative expiries are never asked to be greater or less, and scores are multiples of 0.25, which every version of Redis prints
//! alike. What is left (order of KEYS, RANDOMKEY, ...) is listed in [`crate::oracle::RULES`].

use crate::rng::Rng;

/// What a stream consists of, in a small grammar: `WORD` stands for itself, `<hole>` is filled in,
/// `[a|b c]` is one of these or nothing, `(a b)+` is repeated one to four times.
const TEMPLATES: &[&str] = &[
    "PING",
    "PING <value>",
    "ECHO <value>",
    "SELECT <db>",
    "PUBLISH <key> <value>",
    "DBSIZE",
    "DBSIZE",
    "SWAPDB <db> <db>",
    "SET <key> <value>",
    "SET <key> <value>",
    "SET <key> <number>",
    "SET <key> <value> [NX|XX] [GET] [EX <far>|PX <far-ms>|EXAT <at>|PXAT <at-ms>|KEEPTTL]",
    "SETNX <key> <value>",
    "SETEX <key> <far> <value>",
    "PSETEX <key> <far-ms> <value>",
    "GET <key>",
    "GET <key>",
    "GETSET <key> <value>",
    "GETDEL <key>",
    "GETEX <key> [EX <far>|PX <far-ms>|EXAT <at>|PXAT <at-ms>|PERSIST]",
    "MGET (<key>)+",
    "MSET (<key> <value>)+",
    "MSETNX (<key> <value>)+",
    "INCR <key>",
    "DECR <key>",
    "INCRBY <key> <number>",
    "DECRBY <key> <number>",
    "INCRBYFLOAT <key> <float>",
    "APPEND <key> <value>",
    "STRLEN <key>",
    "GETRANGE <key> <index> <index>",
    "SUBSTR <key> <index> <index>",
    "SETRANGE <key> <offset> <value>",
    "LCS <key> <key> [LEN|IDX|IDX WITHMATCHLEN|IDX MINMATCHLEN 2]",
    "DEL (<key>)+",
    "UNLINK (<key>)+",
    "EXISTS (<key>)+",
    "TOUCH (<key>)+",
    "TYPE <key>",
    "OBJECT ENCODING <key>",
    "OBJECT REFCOUNT <key>",
    "EXPIRE <key> <far> [NX|XX]",
    "PEXPIRE <key> <far-ms> [NX|XX]",
    "EXPIREAT <key> <at> [NX|XX|GT|LT]",
    "PEXPIREAT <key> <at-ms> [NX|XX|GT|LT]",
    "EXPIRE <key> -1",
    "TTL <key>",
    "PTTL <key>",
    "EXPIRETIME <key>",
    "PEXPIRETIME <key>",
    "PERSIST <key>",
    "RENAME <key> <key>",
    "RENAMENX <key> <key>",
    "COPY <key> <key> [DB <db>] [REPLACE]",
    "MOVE <key> <db>",
    "DUMP <key>",
    "RESTORE <key> <restore-ttl> <payload> [REPLACE] [IDLETIME 10|FREQ 5]",
    "RESTORE <key> <at-ms> <payload> REPLACE ABSTTL",
    "RESTORE-ASKING <key> 0 <payload> REPLACE",
    "KEYS <pattern>",
    "SCAN 0 COUNT 100000 [MATCH <pattern>] [TYPE string|TYPE hash|TYPE list|TYPE zset]",
    "RANDOMKEY",
    "HSET <key> (<field> <value>)+",
    "HSET <key> (<field> <number>)+",
    "HMSET <key> (<field> <value>)+",
    "HSETNX <key> <field> <value>",
    "HGET <key> <field>",
    "HMGET <key> (<field>)+",
    "HGETALL <key>",
    "HKEYS <key>",
    "HVALS <key>",
    "HDEL <key> (<field>)+",
    "HEXISTS <key> <field>",
    "HLEN <key>",
    "HSTRLEN <key> <field>",
    "HINCRBY <key> <field> <number>",
    "HINCRBYFLOAT <key> <field> <float>",
    "HRANDFIELD <key> [5|-3|0|5 WITHVALUES]",
    "HSCAN <key> 0 [MATCH <pattern>] [COUNT 100000]",
    "LPUSH <key> (<value>)+",
    "RPUSH <key> (<value>)+",
    "RPUSH <key> (<value>)+",
    "LPOP <key> [1|2|0]",
    "RPOP <key> [1|2|0]",
    "LLEN <key>",
    "LRANGE <key> <index> <index>",
    "ZADD <key> [NX|XX] [GT|LT] [CH] (<score> <field>)+",
    "ZADD <key> (<score> <field>)+",
    "ZADD <key> [NX|XX] INCR <score> <field>",
    "ZSCORE <key> <field>",
    "ZRANGE <key> <index> <index> [REV] [WITHSCORES]",
    "ZRANGE <key> <bound> <bound> BYSCORE [REV] [LIMIT <offset> <index>] [WITHSCORES]",
    "ZREVRANGE <key> <index> <index> [WITHSCORES]",
    "NONSENSE <value>",
    "COMMAND GETKEYS MSET (<key> <value>)+",
    "OBJECT NONSENSE <key>",
    "CONFIG GET maxmemory-policy",
    "CLIENT GETNAME",
    "CLIENT SETNAME <field>",
];

/// Commands that could wait if their last argument changed, so they are not spoilt.
const BLOCKING_TEMPLATES: &[&str] = &["BLPOP (<key>)+ 0.001", "BRPOP (<key>)+ 0.001"];

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

/// Payloads of DUMP that every Redis since 7.0 knows, the last ones damaged.
const PAYLOADS: &[&[u8]] = &[
    b"\x00\x05hello\x0a\x00cr\xdfve4 \x0a",
    b"\x00\xc190\x0a\x00\x9d\x94\xea'\x93\xfc\x08\xb9",
    b"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x0a\x01\xff\x0a\x00Y\x07\xe1c\xd4\xea*\xfe",
    b"\x12\x02\x02\x0d\x0d\x00\x00\x00\x02\x00\x81a\x02\x81b\x02\xff\x02\x09\x09\x00\x00\x00\x01\x00\x0a\x01\xff\x0a\x00J^g\x8egX\x82P",
    b"\x10\x12\x12\x00\x00\x00\x04\x00\x81f\x02\x81v\x02\x81g\x02\x0a\x01\xff\x0a\x00\x9a\xdd\xef\xca\xce\xde\x9b\xc0",
    b"\x04\x02\x01f\x01v\x01g\xc0\x0a\x0a\x00\xfd\xd9\x1f\x19\xba\xe1\x02s",
    b"\x11\x1c\x1c\x00\x00\x00\x06\x00\x81a\x02\x01\x01\x81b\x02\x832.5\x04\x81c\x02\x83inf\x04\xff\x0a\x00k\x1d\xde\xdc\xe8\xe2\xc3\x99",
    b"\x05\x03\x01c\x00\x00\x00\x00\x00\x00\xf0\x7f\x01b\x00\x00\x00\x00\x00\x00\x04@\x01a\x00\x00\x00\x00\x00\x00\xf0?\x0a\x00\xd0]#\xaf>\x18\x0f\xa6",
    b"\x01\x01a\x0a\x00\xbf\xfe\xef\x9b\x8f6}\xb4",
    b"\x10\x07\x07\x00\x00\x00\x00\x00\xff\x0a\x00\xda\x12\x96\x88t\x99Z8",
    b"\x16\x00\x0a\x00\xa7\x5cN\xdbB\xf6\x882",
    b"\x00?hello\x0a\x00\xcc\xca\xae.\x1b\x88\xbf\xbe",
    b"\x00\x05hellomore\x0a\x00\xf16R\x8e\x04W\xc7\x97",
];

const KEYS: usize = 20;
const DATABASES: usize = 4;

/// How often (once in n commands) something rarer happens.
const SPOILT_ONE_IN: usize = 25;
const BLOCKING_ONE_IN: usize = 400;
const FLUSH_ONE_IN: usize = 400;

/// An endless stream of commands.
#[derive(Clone, Debug)]
pub struct Commands {
    rng: Rng,
    templates: Vec<Vec<Node>>,
    blocking: Vec<Vec<Node>>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Word(String),
    Hole(String),
    Optional(Vec<Vec<Node>>),
    Repeated(Vec<Node>),
}

impl Commands {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let parsed = |templates: &[&str]| templates.iter().map(|text| parse(text)).collect();
        Commands {
            rng: Rng::new(seed),
            templates: parsed(TEMPLATES),
            blocking: parsed(BLOCKING_TEMPLATES),
        }
    }

    /// The next command.
    pub fn next_command(&mut self) -> Vec<Vec<u8>> {
        if self.rng.one_in(FLUSH_ONE_IN) {
            let flush: &[u8] = if self.rng.one_in(2) { b"FLUSHALL" } else { b"FLUSHDB" };
            return vec![flush.to_vec()];
        }
        if self.rng.one_in(BLOCKING_ONE_IN) {
            let template = self.rng.pick(&self.blocking).clone();
            return self.expand(&template);
        }
        let template = self.rng.pick(&self.templates).clone();
        let mut args = self.expand(&template);
        if self.rng.one_in(SPOILT_ONE_IN) {
            self.spoil(&mut args);
        }
        if self.rng.one_in(4) {
            args[0].make_ascii_lowercase();
        }
        args
    }

    /// Makes a command wrong in one place: an argument less, more, or another one.
    fn spoil(&mut self, args: &mut Vec<Vec<u8>>) {
        let junk = self.rng.pick(JUNK).to_vec();
        let at = self.rng.below(args.len());
        // A cursor is a place in the server's own hash table: another one leads anywhere.
        let is_cursor = at == 1 && args[0] == b"SCAN";
        match self.rng.below(3) {
            0 if args.len() > 1 => drop(args.pop()),
            1 if at > 0 && !is_cursor => args[at] = junk,
            _ => args.push(junk),
        }
    }

    fn expand(&mut self, nodes: &[Node]) -> Vec<Vec<u8>> {
        let mut args = Vec::new();
        for node in nodes {
            match node {
                Node::Word(word) => args.push(word.clone().into_bytes()),
                Node::Hole(name) => args.push(self.fill(name)),
                Node::Optional(choices) => {
                    let chosen = self.rng.below(choices.len() + 1);
                    if let Some(choice) = choices.get(chosen) {
                        args.extend(self.expand(choice));
                    }
                }
                Node::Repeated(nodes) => {
                    for _ in 0..=self.rng.below(4) {
                        args.extend(self.expand(nodes));
                    }
                }
            }
        }
        args
    }

    fn fill(&mut self, hole: &str) -> Vec<u8> {
        let rng = &mut self.rng;
        let text = match hole {
            "key" => match rng.below(KEYS) {
                0 => String::new(),
                1 => "{tag}a".into(),
                2 => "{tag}b".into(),
                number => format!("key:{number}"),
            },
            "field" => format!("f{}", rng.below(10)),
            "value" => return value(rng),
            "payload" => return rng.pick(PAYLOADS).to_vec(),
            "restore-ttl" => rng.pick(&["0", "0", "100000000"]).to_string(),
            "number" => match rng.below(12) {
                0 => i64::MAX.to_string(),
                1 => i64::MIN.to_string(),
                2 => "9223372036854775808".into(),
                number => (number as i64 * 7 - 40).to_string(),
            },
            "float" => rng.pick(&["0.1", "-2.5", "1e3", "3", "100.25", "-0.001"]).to_string(),
            "score" => match rng.below(20) {
                0 => "inf".into(),
                1 => "-inf".into(),
                quarters => (quarters as f64 / 4.0 - 2.0).to_string(),
            },
            "bound" => rng.pick(&["-inf", "+inf", "(0", "1", "-1.5", "(2"]).to_string(),
            "index" => (rng.below(16) as i64 - 8).to_string(),
            "offset" => rng.below(12).to_string(),
            "db" => rng.below(DATABASES).to_string(),
            "far" => (100_000 + rng.below(5) * 1000).to_string(),
            "far-ms" => (100_000_000 + rng.below(5) * 1000).to_string(),
            "at" => (4_102_444_800 + rng.below(5)).to_string(),
            "at-ms" => (4_102_444_800_000 + rng.below(5) * 1000).to_string(),
            "pattern" => rng.pick(&["*", "key:*", "key:1?", "f[1-3]", "{tag}?", "x"]).to_string(),
            other => panic!("a template has a hole <{other}>"),
        };
        text.into_bytes()
    }
}

/// A value that is short enough to leave every collection in its packed encoding.
fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(8) {
        0 => Vec::new(),
        1 => rng.below(1000).to_string().into_bytes(),
        2 => b"-17".to_vec(),
        3 => b"1.5".to_vec(),
        4 => b"\x00\r\n\xff".to_vec(),
        5 => vec![b'x'; rng.below(60)],
        _ => format!("value {}", rng.below(100)).into_bytes(),
    }
}

/// Reads a template.
///
/// # Panics
/// When it is not well formed: templates are constants of this file.
fn parse(text: &str) -> Vec<Node> {
    let (nodes, rest) = parse_until(text, &[]);
    assert_eq!(rest, "", "a bracket too many in {text}");
    nodes
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
                    choices.push(choice);
                    text = rest;
                    if text.starts_with(']') {
                        break;
                    }
                }
                text = &text[1..];
                nodes.push(Node::Optional(choices));
            }
            '(' => {
                let (group, rest) = parse_until(&text[1..], &[')']);
                text = rest.strip_prefix(")+").expect("a group is repeated");
                nodes.push(Node::Repeated(group));
            }
            _ => {
                let end = text.find([' ', '|', ']', ')']).unwrap_or(text.len());
                let word = &text[..end];
                let hole = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
                nodes.push(match hole {
                    Some(name) => Node::Hole(name.into()),
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

    #[test]
    fn templates_are_read() {
        let word = |text: &str| Node::Word(text.into());
        assert_eq!(
            parse("A <key> [B|C <db>] (<key> D)+"),
            [
                word("A"),
                Node::Hole("key".into()),
                Node::Optional(vec![vec![word("B")], vec![word("C"), Node::Hole("db".into())]]),
                Node::Repeated(vec![Node::Hole("key".into()), word("D")]),
            ]
        );
    }

    #[test]
    fn a_seed_gives_the_same_commands() {
        let (mut left, mut right) = (Commands::new(5), Commands::new(5));
        for _ in 0..1000 {
            assert_eq!(left.next_command(), right.next_command());
        }
    }

    #[test]
    fn every_template_comes_up() {
        let mut commands = Commands::new(1);
        let mut names = std::collections::BTreeSet::new();
        for _ in 0..20_000 {
            names.insert(commands.next_command()[0].to_ascii_uppercase());
        }
        for template in TEMPLATES.iter().chain(BLOCKING_TEMPLATES) {
            let name = template.split(' ').next().unwrap();
            assert!(names.contains(name.as_bytes()), "{name}");
        }
    }
}
