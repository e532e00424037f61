//! What random commands are filled with: few keys, fields and numbers, so that commands meet what others wrote.
//!
//! What depends on the clock or on chance is left out by construction: an expiry lies in the past or so far ahead that
//! no run sees it, and scores are multiples of 0.25, which every version of Redis prints alike.

use crate::grammar::Form;
use crate::rng::Rng;

/// How many databases a stream uses.
const DATABASES: usize = 4;

/// Fills in the argument `name` of type `kind` of the command `form`.
///
/// # Panics
/// When a template asks for what does not exist: templates are constants.
pub fn fill(rng: &mut Rng, form: &Form, name: &str, kind: &str) -> Vec<u8> {
    let command = form.words[0].as_str();
    if let Some(special) = special(rng, form, command, name) {
        return special.into_bytes();
    }
    match kind {
        "key" if is_by_member(command) => lex_key(rng).into_bytes(),
        "lex-key" => lex_key(rng).into_bytes(),
        "key" => key(rng, &form.group).into_bytes(),
        "integer" => integer(rng, name).into_bytes(),
        "double" => double(rng, name).into_bytes(),
        "unix-time" => instant(rng, name).into_bytes(),
        "pattern" => pattern(rng).into_bytes(),
        "string" => string(rng, form, name),
        other => panic!("{}: an argument has the type {other}", form.name()),
    }
}

/// Arguments whose name alone does not tell what they are.
fn special(rng: &mut Rng, form: &Form, command: &str, name: &str) -> Option<String> {
    let text = match (command, name) {
        ("setbit" | "getbit", "offset") => bit_offset(rng),
        ("bitfield" | "bitfield_ro", "offset") => match rng.below(3) {
            0 => format!("#{}", rng.below(5)),
            _ => bit_offset(rng),
        },
        ("bitfield" | "bitfield_ro", "encoding") => {
            let types =
                ["u1", "u5", "u8", "i8", "i5", "u16", "u32", "u63", "i64", "i33", "u64", "i65"];
            rng.pick(&types).to_string()
        }
        ("setbit", "value") | ("bitpos", "bit") => rng.below(2).to_string(),
        ("xread" | "xreadgroup", "milliseconds") => "1".into(),
        ("sort" | "sort_ro", "by-pattern") => rng.pick(&["w:*", "*", "h:*->f1"]).to_string(),
        ("sort" | "sort_ro", "get-pattern") => rng.pick(&["#", "w:*", "h:*->f1"]).to_string(),
        ("scan", "type") => {
            let types = ["string", "hash", "list", "zset", "set", "stream", "nothing"];
            rng.pick(&types).to_string()
        }
        ("pfdebug", "subcommand") => {
            rng.pick(&["ENCODING", "DECODE", "TODENSE", "GETREG", "NOTHING"]).to_string()
        }
        _ if name == "cursor" => "0".into(),
        _ if form.group == "stream" => return stream(rng, name),
        _ => return None,
    };
    Some(text)
}

/// Whether the command goes by the order of members. That is only defined where all scores are equal, so such commands
/// have sorted sets of their own.
fn is_by_member(command: &str) -> bool {
    ["zrangebylex", "zrevrangebylex", "zlexcount", "zremrangebylex"].contains(&command)
}

/// A key of a sorted set in which all scores are 0.
pub fn lex_key(rng: &mut Rng) -> String {
    format!("{LEX_PREFIX}{}", rng.below(4))
}

/// What the keys of sorted sets begin with in which all scores are 0.
pub const LEX_PREFIX: &str = "y:";

/// Numbers of bits: mostly near the beginning.
fn bit_offset(rng: &mut Rng) -> String {
    match rng.below(20) {
        0 => 20_000 + rng.below(9),
        _ => rng.below(100),
    }
    .to_string()
}

/// A key, mostly one of those of the command's group.
fn key(rng: &mut Rng, group: &str) -> String {
    const PREFIXES: &[(&str, &str)] = &[
        ("bitmap", "b"),
        ("geo", "g"),
        ("hash", "h"),
        ("hyperloglog", "p"),
        ("list", "l"),
        ("set", "u"),
        ("sorted-set", "z"),
        ("stream", "x"),
        ("string", "s"),
    ];
    let own = PREFIXES.iter().find(|(name, _)| *name == group).map(|(_, prefix)| *prefix);
    match rng.below(40) {
        0 => return String::new(),
        1 => return "{tag}a".into(),
        2 => return "{tag}b".into(),
        3 => return format!("w:{}", rng.below(4)),
        _ => {}
    }
    // Two groups work on each other's values.
    let own = match own {
        Some("b") if rng.one_in(3) => Some("s"),
        Some("z") if rng.one_in(5) => Some(*rng.pick(&["g", "u"])),
        own => own,
    };
    let prefix = match own {
        Some(own) if !rng.one_in(8) => own,
        _ => rng.pick(PREFIXES).1,
    };
    format!("{prefix}:{}", rng.below(4))
}

fn integer(rng: &mut Rng, name: &str) -> String {
    match name {
        "seconds" => (100_000 + rng.below(5) * 1000).to_string(),
        "milliseconds" => (100_000_000 + rng.below(5) * 1000).to_string(),
        "db" | "destination-db" => rng.below(DATABASES).to_string(),
        "index" | "start" | "stop" | "end" => (rng.below(16) as i64 - 8).to_string(),
        "increment" | "decrement" | "value" => match rng.below(12) {
            0 => i64::MAX.to_string(),
            1 => i64::MIN.to_string(),
            2 => "9223372036854775808".into(),
            number => (number as i64 * 7 - 40).to_string(),
        },
        "offset" => rng.below(12).to_string(),
        "weight" => rng.pick(&["1", "2", "-1", "0.25", "0"]).to_string(),
        _ => match rng.below(12) {
            0 => "-1".into(),
            1 => "100".into(),
            2 => "-3".into(),
            _ => rng.below(6).to_string(),
        },
    }
}

fn double(rng: &mut Rng, name: &str) -> String {
    match name {
        "timeout" => "0.001".into(),
        "longitude" => {
            rng.pick(&["13.361389", "15.087269", "-122.4", "0", "179.99", "13.4", "2.35", "-180"])
        }
        .to_string(),
        "latitude" => {
            { rng.pick(&["38.115556", "37.502669", "37.7", "0", "85.05", "52.5", "48.85", "-70"]) }
                .to_string()
        }
        "radius" | "width" | "height" => {
            rng.pick(&["0", "1", "100", "200.5", "1000", "5000", "20000", "1e6"]).to_string()
        }
        "min" | "max" => bound(rng),
        "score" => score(rng),
        _ => rng.pick(&["0.1", "-2.5", "1e3", "3", "100.25", "-0.001"]).to_string(),
    }
}

fn score(rng: &mut Rng) -> String {
    match rng.below(20) {
        0 => "inf".into(),
        1 => "-inf".into(),
        quarters => (quarters as f64 / 4.0 - 2.0).to_string(),
    }
}

fn bound(rng: &mut Rng) -> String {
    rng.pick(&["-inf", "+inf", "(0", "1", "-1.5", "(2", "0.25", "3"]).to_string()
}

/// Moments around the year 2100.
fn instant(rng: &mut Rng, name: &str) -> String {
    match name {
        "unix-time-seconds" => (4_102_444_800 + rng.below(5)).to_string(),
        _ => (4_102_444_800_000 + rng.below(5) * 1000).to_string(),
    }
}

fn pattern(rng: &mut Rng) -> String {
    rng.pick(&["*", "h:*", "s:?", "[hl]:[12]", "f[1-3]", "{tag}?", "x", "*:1"]).to_string()
}

fn string(rng: &mut Rng, form: &Form, name: &str) -> Vec<u8> {
    let text = match (form.group.as_str(), name) {
        ("hyperloglog", "element") => format!("element {}", rng.below(400)),
        ("sorted-set", "min" | "max" | "start" | "stop") => match rng.below(3) {
            0 => rng.pick(&["-", "+", "[f1", "(f3", "[f7", "[", "f1"]).to_string(),
            1 => bound(rng),
            _ => (rng.below(16) as i64 - 8).to_string(),
        },
        ("set" | "geo" | "sorted-set", _) | (_, "field") => member(rng),
        ("list", "element" | "pivot") if !rng.one_in(3) => member(rng),
        ("hash" | "string" | "bitmap", "value") if rng.one_in(3) => integer(rng, "value"),
        _ => return value(rng),
    };
    text.into_bytes()
}

/// Members and fields: words, and small integers, which have encodings of their own.
fn member(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => rng.below(10).to_string(),
        _ => format!("f{}", rng.below(10)),
    }
}

/// Arguments of commands on streams; `None` for those that are like everywhere else.
fn stream(rng: &mut Rng, name: &str) -> Option<String> {
    const IDS: &[&str] =
        &["0", "0-1", "1-1", "1-2", "2", "2-5", "3-0", "4-1", "5", "9-9", "12-1", "20"];
    let text = match name {
        "group" => rng.pick(&["g1", "g2"]).to_string(),
        "consumer" => rng.pick(&["c1", "c2", "c3"]).to_string(),
        "field" => member(rng),
        "min-idle-time" => rng.pick(&["0", "1000000"]).to_string(),
        "start" | "end" => rng.pick(&["-", "+", "(1-1", "(2", "0", "1-2", "5", "20"]).to_string(),
        "threshold" => rng.pick(&["0", "1", "3", "5", "2-0"]).to_string(),
        "id" => match rng.below(12) {
            0 => ">".into(),
            1 => "$".into(),
            2 => format!("{}-*", rng.below(30)),
            3..=6 => format!("{}-{}", rng.below(40), rng.below(3)),
            _ => rng.pick(IDS).to_string(),
        },
        "last-id" | "lastid" | "max-deleted-id" => rng.pick(IDS).to_string(),
        _ => return None,
    };
    Some(text)
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
