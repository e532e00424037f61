//! All data of two servers, compared key by key with what is read of each type.

use crate::client::Client;
use crate::grammar::Version;
use crate::notation;
use crate::quoting::quote;
use crate::rules;
use crate::value::Value;
use std::collections::BTreeSet;
use std::fmt;

/// How many databases are compared.
const DATABASES: usize = 16;

/// Where two servers hold different data.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The key.
    pub key: Vec<u8>,
    /// Its database.
    db: usize,
    /// What was asked, of each server.
    question: String,
    answers: [Value; 2],
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [expected, got] =
            self.answers.each_ref().map(|value| notation::lines(value).join("\n  "));
        let Difference { key, db, question, .. } = self;
        write!(
            f,
            "{question} {} in database {db}:\nexpected\n  {expected}\ngot\n  {got}",
            quote(key)
        )
    }
}

/// The first difference between the data of two servers, of which the first is a Redis of `version`: keys, types,
/// encodings, expiry, values.
pub fn difference(version: Version, clients: &mut [Client; 2]) -> Option<Difference> {
    (0..DATABASES).find_map(|db| {
        let db_name = db.to_string();
        let keys: BTreeSet<Vec<u8>> = clients
            .iter_mut()
            .flat_map(|client| {
                client.call(&["SELECT", &db_name]);
                let keys = client.call(&["KEYS", "*"]);
                let keys = keys.elements().map(<[Value]>::to_vec).unwrap_or_default();
                keys.into_iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec))
            })
            .collect();
        keys.into_iter().find_map(|key| key_difference(version, clients, db, &key))
    })
}

fn key_difference(
    version: Version,
    clients: &mut [Client; 2],
    db: usize,
    key: &[u8],
) -> Option<Difference> {
    let kind = clients[0].call(&[&b"TYPE"[..], key]).text();
    let mut questions: Vec<Vec<&[u8]>> =
        vec![vec![b"TYPE", key], vec![b"OBJECT", b"ENCODING", key], vec![b"PEXPIRETIME", key]];
    match kind.as_str() {
        "string" => questions.push(vec![b"GET", key]),
        "list" => questions.push(vec![b"LRANGE", key, b"0", b"-1"]),
        "set" => questions.push(vec![b"SMEMBERS", key]),
        "zset" => questions.push(vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "hash" => questions.push(vec![b"HGETALL", key]),
        "stream" => {
            questions.push(vec![b"XRANGE", key, b"-", b"+"]);
            questions.push(vec![b"XINFO", b"GROUPS", key]);
        }
        _ => {}
    }
    questions.into_iter().find_map(|question| {
        let answers = clients.each_mut().map(|client| client.call(&question));
        let args: Vec<Vec<u8>> = question.iter().map(|arg| arg.to_vec()).collect();
        let is_same =
            answers[0] == answers[1] || rules::allow(version, &args, &answers[0], &answers[1]);
        let question = String::from_utf8_lossy(question[0]).into_owned();
        (!is_same).then(|| Difference { key: key.to_vec(), db, question, answers })
    })
}
