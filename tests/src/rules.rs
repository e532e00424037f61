//! Where the replies of two servers may differ, with the reason: [`RULES`] for commands whose replies depend on chance,
//! order or time, [`DIFFERENCES`] for what Rialto answers otherwise than every Redis, [`CHANGES`] for what a Redis 7.2
//! answers otherwise than one before.

use crate::grammar::Version;
use crate::notation::sorted;
use crate::value::Value;

/// How the replies of a command are compared when their bytes differ.
#[derive(Clone, Copy, Debug)]
pub enum Compare {
    /// The elements of the array may come in any order.
    Unordered,
    /// A flat array is a list of pairs, which may come in any order.
    UnorderedPairs,
    /// A step of a scan: the elements of its second element may come in any order.
    UnorderedPage,
    /// The same with pairs.
    UnorderedPagePairs,
    /// The same with pairs whose second is a number, however that is written.
    UnorderedPageNumbers,
    /// Integers may be this far apart, wherever they stand.
    Within(i64),
    /// Arrays must be equally long, other replies of the same kind.
    Shape,
    /// Texts may differ that are numbers at most this far apart, wherever they stand.
    Numbers(f64),
    /// Their text or error may be the first of one of these pairs where ours is the second.
    Became(&'static [(&'static str, &'static str)]),
}

/// One row of [`RULES`] or [`DIFFERENCES`].
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The command, or the command and its first argument; lower case. A `*` at the end of a word stands for the
    /// rest of it.
    pub command: &'static [&'static str],
    /// What is still compared.
    pub compare: Compare,
    /// Why the bytes may differ.
    pub reason: &'static str,
}

const HASH_ORDER: &str = "elements come in the order of the hash table";
const CHANCE: &str = "any element will do";
const ASKED_APART: &str = "the two servers are asked one after the other";

const fn rule(command: &'static [&'static str], compare: Compare, reason: &'static str) -> Rule {
    Rule { command, compare, reason }
}

/// Commands whose replies may differ between two runs of the same server.
pub const RULES: &[Rule] = &[
    rule(&["keys"], Compare::Unordered, HASH_ORDER),
    rule(&["scan"], Compare::UnorderedPage, HASH_ORDER),
    rule(&["sscan"], Compare::UnorderedPage, HASH_ORDER),
    rule(&["hscan"], Compare::UnorderedPagePairs, HASH_ORDER),
    rule(&["zscan"], Compare::UnorderedPagePairs, HASH_ORDER),
    rule(&["smembers"], Compare::Unordered, HASH_ORDER),
    rule(&["sinter"], Compare::Unordered, HASH_ORDER),
    rule(&["sunion"], Compare::Unordered, HASH_ORDER),
    rule(&["sdiff"], Compare::Unordered, HASH_ORDER),
    rule(&["hkeys"], Compare::Unordered, HASH_ORDER),
    rule(&["hvals"], Compare::Unordered, HASH_ORDER),
    rule(&["hgetall"], Compare::UnorderedPairs, HASH_ORDER),
    rule(&["randomkey"], Compare::Shape, CHANCE),
    rule(&["hrandfield"], Compare::Shape, CHANCE),
    rule(&["srandmember"], Compare::Shape, CHANCE),
    rule(&["zrandmember"], Compare::Shape, CHANCE),
    rule(&["spop"], Compare::Shape, CHANCE),
    rule(&["ttl"], Compare::Within(2), ASKED_APART),
    rule(&["pttl"], Compare::Within(2000), ASKED_APART),
    rule(&["expiretime"], Compare::Within(2), "the two servers were told one after the other"),
    rule(&["pexpiretime"], Compare::Within(2000), "the two servers were told one after the other"),
    rule(
        &["object", "idletime"],
        Compare::Within(100_000),
        "small integers are shared objects in Redis, used whenever one of them is",
    ),
    rule(&["xpending"], Compare::Within(100_000), "how long an entry is pending is a time"),
    rule(&["xinfo", "stream"], Compare::Shape, "nodes and times are the server's own"),
    rule(&["xinfo", "consumers"], Compare::Shape, "since 7.2 one more time is told"),
];

/// Where Rialto answers otherwise than Redis (docs/differences.md).
pub const DIFFERENCES: &[Rule] = &[
    rule(
        &["object", "encoding"],
        Compare::Became(&[("skiplist", "listpack")]),
        "in Redis SORT leaves a small sorted set as a skiplist; here it changes nothing",
    ),
    rule(
        &["object", "refcount"],
        Compare::Within(i64::MAX),
        "small integers are shared objects in Redis unless they came by COPY; here nothing is shared",
    ),
];

/// Where Redis 7.2 answers otherwise than 7.0.
pub const CHANGES: &[Rule] = &[
    rule(
        &["object", "encoding"],
        Compare::Became(&[("quicklist", "listpack"), ("hashtable", "listpack")]),
        "since 7.2 a small list and a small set are one listpack",
    ),
    rule(
        &["object", "encoding"],
        Compare::Became(&[("listpack", "skiplist"), ("listpack", "hashtable")]),
        "since 7.2 ZADD and HSET count beforehand what they are given, also what comes twice",
    ),
    rule(
        &["zrank"],
        Compare::Became(&[(
            "ERR wrong number of arguments for 'zrank' command",
            "ERR syntax error",
        )]),
        "since 7.2 there is an option",
    ),
    rule(
        &["zrevrank"],
        Compare::Became(&[(
            "ERR wrong number of arguments for 'zrevrank' command",
            "ERR syntax error",
        )]),
        "since 7.2 there is an option",
    ),
    rule(
        &["lpos"],
        Compare::Became(&[(
            "",
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )]),
        "since 7.2 the least of all ranks, which has no positive twin, is refused",
    ),
    rule(
        &["z*"],
        Compare::Numbers(0.0),
        "since 7.2 a score is printed with as few digits as it needs",
    ),
    rule(
        &["zscan"],
        Compare::UnorderedPageNumbers,
        "since 7.2 a score is printed with as few digits as it needs",
    ),
    rule(
        &["bz*"],
        Compare::Numbers(0.0),
        "since 7.2 a score is printed with as few digits as it needs",
    ),
    rule(
        &["geo*"],
        Compare::Numbers(0.000_101),
        "since 7.2 the last digit of a distance is rounded otherwise",
    ),
];

/// Whether these two replies to `args` are as good as the same, if the other server is a Redis of `version`.
pub fn allow(version: Version, args: &[Vec<u8>], theirs: &Value, ours: &Value) -> bool {
    let changes = if version < (7, 2) { CHANGES } else { &[] };
    let rules = RULES.iter().chain(DIFFERENCES).chain(changes);
    let mut rules = rules.filter(|rule| rule.is_for(args));
    rules.any(|rule| rule.compare.allows(theirs, ours))
}

impl Rule {
    fn is_for(&self, args: &[Vec<u8>]) -> bool {
        let is_word = |(word, arg): (&&str, &Vec<u8>)| match word.strip_suffix('*') {
            Some(start) => {
                arg.get(..start.len()).is_some_and(|arg| arg.eq_ignore_ascii_case(start.as_bytes()))
            }
            None => word.as_bytes().eq_ignore_ascii_case(arg),
        };
        self.command.len() <= args.len() && self.command.iter().zip(args).all(is_word)
    }
}

impl Compare {
    fn allows(self, theirs: &Value, ours: &Value) -> bool {
        match self {
            Compare::Unordered => sorted(theirs, false) == sorted(ours, false),
            Compare::UnorderedPairs => sorted(theirs, true) == sorted(ours, true),
            Compare::UnorderedPage => is_same_page(theirs, ours, false),
            Compare::UnorderedPagePairs => is_same_page(theirs, ours, true),
            Compare::UnorderedPageNumbers => {
                is_same_page(&with_plain_numbers(theirs), &with_plain_numbers(ours), true)
            }
            Compare::Within(distance) => is_alike(theirs, ours, &|theirs, ours| match (
                theirs.as_integer(),
                ours.as_integer(),
            ) {
                (Some(theirs), Some(ours)) => theirs.abs_diff(ours) <= distance.unsigned_abs(),
                _ => false,
            }),
            Compare::Numbers(distance) => {
                is_alike(theirs, ours, &|theirs, ours| match (number(theirs), number(ours)) {
                    (Some(theirs), Some(ours)) => (theirs - ours).abs() <= distance,
                    _ => false,
                })
            }
            Compare::Shape => match (theirs.elements(), ours.elements()) {
                (Some(theirs), Some(ours)) => theirs.len() == ours.len(),
                (None, None) => match (theirs, ours) {
                    (Value::Map(theirs), Value::Map(ours)) => theirs.len() == ours.len(),
                    _ => matches!((theirs, ours), (Value::Bulk(Some(_)), Value::Bulk(Some(_)))),
                },
                _ => false,
            },
            Compare::Became(pairs) => {
                let texts = [theirs, ours].map(|value| match value {
                    Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
                    other => other.text(),
                });
                pairs.contains(&(texts[0].as_str(), texts[1].as_str()))
            }
        }
    }
}

fn is_same_page(theirs: &Value, ours: &Value, pairs: bool) -> bool {
    match (theirs.elements(), ours.elements()) {
        (Some([cursor, page]), Some([our_cursor, our_page])) => {
            cursor == our_cursor && sorted(page, pairs) == sorted(our_page, pairs)
        }
        _ => false,
    }
}

/// A page of pairs whose second numbers are all written in the same way.
fn with_plain_numbers(reply: &Value) -> Value {
    let mut plain = reply.clone();
    if let Value::Array(Some(step)) = &mut plain
        && let Some(Value::Array(Some(page))) = step.get_mut(1)
    {
        for score in page.iter_mut().skip(1).step_by(2) {
            if let Some(number) = number(score) {
                *score = Value::Bulk(Some(format!("{number:e}").into_bytes()));
            }
        }
    }
    plain
}

/// Whether two replies are the same but for parts that `is_close`.
fn is_alike(theirs: &Value, ours: &Value, is_close: &dyn Fn(&Value, &Value) -> bool) -> bool {
    match (theirs, ours) {
        (Value::Map(theirs), Value::Map(ours)) => {
            let is_alike =
                |((key, value), (our_key, our_value)): (&(Value, Value), &(Value, Value))| {
                    is_alike(key, our_key, is_close) && is_alike(value, our_value, is_close)
                };
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(is_alike)
        }
        _ => match (theirs.elements(), ours.elements()) {
            (Some(inner), Some(our_inner)) => {
                std::mem::discriminant(theirs) == std::mem::discriminant(ours)
                    && inner.len() == our_inner.len()
                    && inner
                        .iter()
                        .zip(our_inner)
                        .all(|(theirs, ours)| is_alike(theirs, ours, is_close))
            }
            _ => theirs == ours || is_close(theirs, ours),
        },
    }
}

/// The number that a text or a double is.
fn number(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Double(text) | Value::Bulk(Some(text)) => text,
        _ => return None,
    };
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse;

    fn differs(command: &str, theirs: &str, ours: &str) -> bool {
        differs_from((7, 0), command, theirs, ours)
    }

    fn differs_from(version: Version, command: &str, theirs: &str, ours: &str) -> bool {
        let args = crate::quoting::split(command).unwrap();
        let [theirs, ours] = [theirs, ours].map(|raw| parse(raw.as_bytes()).unwrap().unwrap().0);
        !allow(version, &args, &theirs, &ours)
    }

    #[test]
    fn rules_allow_no_more_than_they_say() {
        assert!(!differs("keys *", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n"));
        assert!(differs("keys *", "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:2\r\n"));
        assert!(!differs("TTL k", ":100\r\n", ":99\r\n"));
        assert!(differs("TTL k", ":100\r\n", ":90\r\n"));
        assert!(!differs("RANDOMKEY", "$1\r\na\r\n", "$1\r\nb\r\n"));
        assert!(differs("RANDOMKEY", "$1\r\na\r\n", "$-1\r\n"));
        assert!(!differs("OBJECT ENCODING l", "$9\r\nquicklist\r\n", "$8\r\nlistpack\r\n"));
        assert!(differs_from(
            (7, 2),
            "OBJECT ENCODING l",
            "$9\r\nquicklist\r\n",
            "$8\r\nlistpack\r\n"
        ));
        assert!(differs("OBJECT ENCODING l", "$8\r\nlistpack\r\n", "$9\r\nquicklist\r\n"));
        assert!(differs("OBJECT ENCODING l", "$9\r\nquicklist\r\n", "$9\r\nhashtable\r\n"));
        assert!(!differs(
            "SCAN 0",
            "*2\r\n:0\r\n*2\r\n:1\r\n:2\r\n",
            "*2\r\n:0\r\n*2\r\n:2\r\n:1\r\n"
        ));
        assert!(differs("GET k", "$1\r\na\r\n", "$1\r\nb\r\n"));
    }

    #[test]
    fn scores_of_a_page_may_be_written_otherwise_and_come_in_any_order() {
        let theirs = "*2\r\n:0\r\n*4\r\n$1\r\na\r\n$4\r\n1e+1\r\n$1\r\nb\r\n$1\r\n2\r\n";
        let ours = |score: &str| {
            format!("*2\r\n:0\r\n*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n$2\r\n{score}\r\n")
        };
        assert!(!differs("ZSCAN z 0", theirs, &ours("10")));
        assert!(differs("ZSCAN z 0", theirs, &ours("11")));
        assert!(differs("HSCAN h 0", theirs, &ours("10")));
        assert!(differs_from((7, 2), "ZSCAN z 0", theirs, &ours("10")));
    }

    #[test]
    fn pairs_stay_together() {
        let pairs = "*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n";
        assert!(!differs("HGETALL h", pairs, "*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n"));
        assert!(differs("HGETALL h", pairs, "*4\r\n:2\r\n:1\r\n:3\r\n:4\r\n"));
        assert!(!differs(
            "HSCAN h 0",
            &format!("*2\r\n:0\r\n{pairs}"),
            "*2\r\n:0\r\n*4\r\n:3\r\n:4\r\n:1\r\n:2\r\n"
        ));
    }

    #[test]
    fn numbers_may_be_printed_otherwise() {
        let long = "$18\r\n166.27415156960033\r\n";
        assert!(!differs("ZSCORE z a", "$19\r\n166.274151569600330\r\n", long));
        assert!(differs("ZSCORE z a", "$19\r\n166.274151569600390\r\n", long));
        assert!(!differs("GEODIST g a b", "$6\r\n1.2345\r\n", "$6\r\n1.2346\r\n"));
        assert!(differs("GEODIST g a b", "$6\r\n1.2345\r\n", "$6\r\n1.2347\r\n"));
        assert!(differs("ZRANGE z 0 -1", "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\nb\r\n"));
        assert!(differs("ZRANGE z 0 -1", "*1\r\n$1\r\na\r\n", "*0\r\n"));
    }
}
