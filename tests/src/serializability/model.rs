//! What one client alone would see: registers, counters and lists, and transactions of their commands.

use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One command. Keys of lists and of texts are different ones, so that no type is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// GET
    Get(String),
    /// SET
    Set(String, String),
    /// SET … PX: the key is there until [`Operation::expire`] takes it.
    SetExpiring(String, String, u64),
    /// MGET
    GetAll(Vec<String>),
    /// MSET
    SetAll(Vec<(String, String)>),
    /// MSETNX
    SetAllNew(Vec<(String, String)>),
    /// DEL
    Delete(Vec<String>),
    /// EXISTS
    Exists(Vec<String>),
    /// RENAME
    Rename(String, String),
    /// RENAMENX
    RenameNew(String, String),
    /// COPY … REPLACE
    Copy(String, String),
    /// INCRBY
    Add(String, i64),
    /// EVAL of a script that takes one from the first and adds it to the second
    Transfer(Script, String, String),
    /// RPUSH
    Push(String, String),
    /// LPOP
    Pop(String),
    /// LRANGE of everything
    List(String),
    /// BLPOP of several keys with a short timeout
    PopAny(Vec<String>),
    /// The time of a key has come: it goes, if it still holds this. No client sends it.
    Expire(String, String),
}

/// How a script says what it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// It declares both keys.
    Declared,
    /// It declares the first, writes there, and makes up the second: the script with this number.
    MadeUp(u64),
}

/// The beginning of the error of a script that has written and cannot have another shard any more: it is half done.
const HALF_DONE: &[u8] = b"ERR Script touched a key of another shard";

/// What a client asks for at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// One command, or those of a transaction.
    pub commands: Vec<Command>,
    /// Whether they are sent with MULTI and EXEC.
    pub is_transaction: bool,
    /// For a transaction that depends on a watched key: what the client has read there.
    pub guard: Option<(String, Option<String>)>,
}

impl Operation {
    /// A command alone.
    pub fn single(command: Command) -> Operation {
        Operation { commands: vec![command], is_transaction: false, guard: None }
    }

    /// Commands between MULTI and EXEC.
    pub fn transaction(commands: Vec<Command>) -> Operation {
        Operation { commands, is_transaction: true, guard: None }
    }

    /// The end of a key's time.
    pub fn expire(key: &str, value: &str) -> Operation {
        Operation::single(Command::Expire(key.to_owned(), value.to_owned()))
    }

    /// Whether it may end after half of it, as a script may that fails in its middle.
    pub fn may_be_half_done(&self) -> bool {
        let is_it = |command: &Command| matches!(command, Command::Transfer(Script::MadeUp(_), ..));
        self.commands.iter().any(is_it)
    }

    /// Whether it can change anything.
    pub fn is_write(&self) -> bool {
        use Command::{Exists, Get, GetAll, List};
        let is_read =
            |command: &Command| matches!(command, Get(_) | GetAll(_) | Exists(_) | List(_));
        !self.commands.iter().all(is_read)
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Data {
    Text(String),
    List(VecDeque<String>),
}

/// All keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Model {
    keys: BTreeMap<String, Data>,
    /// Lists that the last operation has made, if that was a transaction and there were none before: who has waited for
    /// several of them is served from any.
    new_lists: BTreeSet<String>,
}

impl Model {
    /// Runs an operation; `None` if a server could not have answered `seen` here. Without `seen` every answer is good.
    /// `may_have_waited` says whether it was there before the operation that made the new lists was over.
    pub fn step(
        &self,
        operation: &Operation,
        seen: Option<&Value>,
        may_have_waited: bool,
    ) -> Option<Model> {
        if may_have_waited
            && let ([Command::PopAny(_)], Some(Value::Array(Some(seen)))) =
                (operation.commands.as_slice(), seen)
            && let Some(next) = self.served_from_new(seen)
        {
            return Some(next);
        }
        if operation.is_transaction && seen == Some(&Value::Array(None)) {
            // A watched key may have changed and changed back, so a transaction that did not run proves nothing.
            return operation.guard.is_some().then(|| self.clone());
        }
        if let Some((key, read)) = &operation.guard
            && self.text(key) != read.as_deref()
        {
            return None;
        }
        if let ([Command::Transfer(_, from, _)], Some(Value::Error(text))) =
            (operation.commands.as_slice(), seen)
        {
            let mut next = self.clone();
            next.new_lists.clear();
            next.add(from, -1);
            return text.starts_with(HALF_DONE).then_some(next);
        }
        let mut next = self.clone();
        let replies: Vec<Value> =
            operation.commands.iter().map(|command| next.run(command)).collect();
        let reply = match operation.is_transaction {
            true => Value::Array(Some(replies)),
            false => replies.into_iter().next()?,
        };
        next.new_lists.clear();
        if operation.is_transaction && self.lists().next().is_none() {
            next.new_lists = next.lists().cloned().collect();
        }
        seen.is_none_or(|seen| *seen == reply).then_some(next)
    }

    /// A client that has waited gets what it has `seen`, from one of the new lists; `None` if it could not.
    fn served_from_new(&self, seen: &[Value]) -> Option<Model> {
        let key = self.new_lists.iter().find(|key| seen.first() == Some(&bulk(Some(key))))?;
        let mut next = self.clone();
        let popped = next.pop(key)?;
        (seen.get(1) == Some(&bulk(Some(&popped)))).then_some(next)
    }

    /// Whether the last operation has made lists for clients that wait.
    pub fn has_new_lists(&self) -> bool {
        !self.new_lists.is_empty()
    }

    fn lists(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().filter(|(_, data)| matches!(data, Data::List(_))).map(|(key, _)| key)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.keys.get(key)? {
            Data::Text(text) => Some(text),
            Data::List(_) => None,
        }
    }

    /// Whether `key` holds this text.
    pub fn holds(&self, key: &str, text: &str) -> bool {
        self.text(key) == Some(text)
    }

    fn bulk(&self, key: &str) -> Value {
        bulk(self.text(key))
    }

    fn set(&mut self, key: &str, value: &str) {
        self.keys.insert(key.to_owned(), Data::Text(value.to_owned()));
    }

    fn add(&mut self, key: &str, by: i64) -> i64 {
        let number = self.text(key).and_then(|text| text.parse().ok()).unwrap_or(0) + by;
        self.set(key, &number.to_string());
        number
    }

    fn pop(&mut self, key: &str) -> Option<String> {
        let Some(Data::List(list)) = self.keys.get_mut(key) else { return None };
        let popped = list.pop_front();
        if list.is_empty() {
            self.keys.remove(key);
        }
        popped
    }

    fn run(&mut self, command: &Command) -> Value {
        let ok = || Value::Simple(b"OK".to_vec());
        let yes = |is: bool| Value::Integer(i64::from(is));
        match command {
            Command::Get(key) => self.bulk(key),
            Command::Set(key, value) | Command::SetExpiring(key, value, _) => {
                self.set(key, value);
                ok()
            }
            Command::GetAll(keys) => {
                Value::Array(Some(keys.iter().map(|key| self.bulk(key)).collect()))
            }
            Command::SetAll(pairs) => {
                pairs.iter().for_each(|(key, value)| self.set(key, value));
                ok()
            }
            Command::SetAllNew(pairs) => {
                let is_new = pairs.iter().all(|(key, _)| !self.keys.contains_key(key));
                if is_new {
                    pairs.iter().for_each(|(key, value)| self.set(key, value));
                }
                yes(is_new)
            }
            Command::Delete(keys) => {
                let removed = keys.iter().filter(|key| self.keys.remove(*key).is_some());
                Value::Integer(removed.count() as i64)
            }
            Command::Exists(keys) => {
                let there = keys.iter().filter(|key| self.keys.contains_key(*key));
                Value::Integer(there.count() as i64)
            }
            Command::Rename(from, to) => match self.keys.remove(from) {
                Some(data) => {
                    self.keys.insert(to.clone(), data);
                    ok()
                }
                None => Value::Error(b"ERR no such key".to_vec()),
            },
            Command::RenameNew(from, to) => {
                if !self.keys.contains_key(from) {
                    return Value::Error(b"ERR no such key".to_vec());
                }
                let is_new = !self.keys.contains_key(to);
                if is_new && let Some(data) = self.keys.remove(from) {
                    self.keys.insert(to.clone(), data);
                }
                yes(is_new)
            }
            Command::Copy(from, to) => {
                let data = self.keys.get(from).cloned();
                let is_there = data.is_some();
                self.keys.extend(data.map(|data| (to.clone(), data)));
                yes(is_there)
            }
            Command::Add(key, by) => Value::Integer(self.add(key, *by)),
            Command::Transfer(_, from, to) => {
                let sums = [self.add(from, -1), self.add(to, 1)];
                Value::Array(Some(sums.map(Value::Integer).to_vec()))
            }
            Command::Push(key, value) => {
                let empty = || Data::List(VecDeque::new());
                let list = self.keys.entry(key.clone()).or_insert_with(empty);
                let Data::List(list) = list else { return Value::Null };
                list.push_back(value.clone());
                Value::Integer(list.len() as i64)
            }
            Command::Pop(key) => bulk(self.pop(key).as_deref()),
            Command::List(key) => {
                let list = match self.keys.get(key) {
                    Some(Data::List(list)) => list.iter().map(|one| bulk(Some(one))).collect(),
                    _ => Vec::new(),
                };
                Value::Array(Some(list))
            }
            Command::PopAny(keys) => {
                let popped = keys.iter().find_map(|key| Some((key, self.pop(key)?)));
                let both = |(key, value): (&String, String)| {
                    vec![bulk(Some(key.as_str())), bulk(Some(value.as_str()))]
                };
                Value::Array(popped.map(both))
            }
            Command::Expire(key, value) => {
                if self.text(key) == Some(value) {
                    self.keys.remove(key);
                }
                ok()
            }
        }
    }
}

fn bulk(text: Option<&str>) -> Value {
    Value::Bulk(text.map(|text| text.as_bytes().to_vec()))
}
