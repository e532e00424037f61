//! Clients that do random things to a few keys at the same time, and write down what they saw.

use super::checker::Event;
use super::model::{Command, Operation, Script};
use crate::client::Client;
use crate::rng::Rng;
use crate::server::Server;
use crate::value::Value;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Instant;

/// Keys of each kind; their names lie on several shards.
const REGISTERS: &[&str] = &["r0", "r1", "r2", "r3"];
const COUNTERS: &[&str] = &["{c0}", "{c1}", "{c2}"];
const LISTS: &[&str] = &["l0", "l1"];
const EXPIRING: &[&str] = &["e0", "e1"];
/// How long a key with an expiry lives, in milliseconds.
const TTL_MS: u64 = 3;
/// Scripts per history that make up a key.
const SCRIPTS: u64 = 8;
/// Runs after which the server expects a script to keep to the shard of the keys that it declares.
const HOME_RUNS: usize = 64;
/// Operations per history whose end nobody knows: each multiplies the work of the checker.
const LOST_MAX: usize = 3;

/// How many do how much.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients at the same time.
    pub clients: usize,
    /// Operations of each.
    pub operations: usize,
    /// What makes their choices.
    pub seed: u64,
}

/// Empties the server, lets the clients do their work, and returns what they saw, in no order.
///
/// # Panics
/// When the server answers what no command can answer, or not at all.
pub fn record(server: &Server, plan: Plan) -> Vec<Event> {
    accustom(&mut server.client(), plan.seed);
    server.client().ok("FLUSHALL");
    let begun_at = Instant::now();
    let events = Mutex::new(Vec::new());
    let lost_count = Mutex::new(0);
    let barrier = Barrier::new(plan.clients);
    thread::scope(|scope| {
        for number in 0..plan.clients {
            let recorder = Recorder {
                server,
                client: server.client(),
                seed: plan.seed,
                number,
                rng: Rng::new(plan.seed.wrapping_mul(1_000).wrapping_add(number as u64)),
                value_count: 0,
                begun_at,
                events: &events,
                lost_count: &lost_count,
            };
            let barrier = &barrier;
            scope.spawn(move || {
                let mut recorder = recorder;
                barrier.wait();
                for _ in 0..plan.operations {
                    recorder.act();
                }
            });
        }
    });
    events.into_inner().expect("no client has panicked")
}

/// Runs the scripts of a history until the server expects no key of them but the declared one, so that they surprise it.
fn accustom(client: &mut Client, seed: u64) {
    let mut request = Vec::new();
    for number in 0..SCRIPTS {
        let text = made_up_transfer(seed, number);
        let line = ["EVAL", &text, "1", COUNTERS[0]];
        (0..HOME_RUNS).for_each(|_| request.extend(crate::client::encode(&line)));
    }
    client.send_raw(&request);
    client.read_many(SCRIPTS as usize * HOME_RUNS);
}

/// The text of a script that takes one from its key, and adds it to the one that its argument names, if there is one.
fn made_up_transfer(seed: u64, number: u64) -> String {
    format!(
        "-- {seed} {number}\nlocal sum = redis.call('DECR', KEYS[1]) \
         if #ARGV == 0 then return sum end return {{sum, redis.call('INCR', ARGV[1])}}"
    )
}

struct Recorder<'a> {
    server: &'a Server,
    client: Client,
    seed: u64,
    number: usize,
    rng: Rng,
    value_count: usize,
    begun_at: Instant,
    events: &'a Mutex<Vec<Event>>,
    lost_count: &'a Mutex<usize>,
}

impl Recorder<'_> {
    fn now(&self) -> u64 {
        self.begun_at.elapsed().as_nanos() as u64
    }

    fn act(&mut self) {
        match self.rng.below(40) {
            0 => self.lose(),
            1..5 => self.watch(),
            5..8 => self.expire(),
            _ => {
                let operation = self.operation();
                let asked_at = self.now();
                let reply = self.ask(&operation);
                self.note(operation, asked_at, Some(reply));
            }
        }
    }

    fn note(&self, operation: Operation, asked_at: u64, reply: Option<Value>) {
        let answered = reply.map(|reply| (self.now(), reply));
        let event = Event { client: self.number, operation, asked_at, answered };
        self.events.lock().expect("no client has panicked").push(event);
    }

    /// Asks and goes away without waiting for the answer.
    fn lose(&mut self) {
        let operation = self.operation();
        if operation.may_be_half_done() {
            return;
        }
        {
            let mut lost_count = self.lost_count.lock().expect("no client has panicked");
            if *lost_count == LOST_MAX {
                return;
            }
            *lost_count += 1;
        }
        let asked_at = self.now();
        self.send(&operation);
        self.client = self.server.client();
        self.note(operation, asked_at, None);
    }

    /// Reads a watched key and changes others if it has not changed.
    fn watch(&mut self) {
        let key = self.register();
        self.client.call(&["WATCH", &key]);
        let read = Operation::single(Command::Get(key.clone()));
        let asked_at = self.now();
        let reply = self.ask(&read);
        let seen = reply.as_bytes().map(|text| String::from_utf8_lossy(text).into_owned());
        self.note(read, asked_at, Some(reply));
        let mut operation = Operation::transaction(self.transaction());
        operation.commands.push(Command::Set(key.clone(), self.value()));
        operation.guard = Some((key, seen));
        let asked_at = self.now();
        let reply = self.ask(&operation);
        self.note(operation, asked_at, Some(reply));
    }

    /// Sets a key that expires soon, or looks at such keys.
    fn expire(&mut self) {
        let key = (*self.rng.pick(EXPIRING)).to_owned();
        if self.rng.one_in(2) {
            let operation = Operation::single(Command::GetAll(owned(EXPIRING)));
            let asked_at = self.now();
            let reply = self.ask(&operation);
            self.note(operation, asked_at, Some(reply));
            return;
        }
        let value = self.value();
        let set = Command::SetExpiring(key.clone(), value.clone(), TTL_MS);
        let operation = Operation::single(set);
        let asked_at = self.now();
        let reply = self.ask(&operation);
        self.note(operation, asked_at, Some(reply));
        // A core reads its clock before it takes what has arrived, and may lose its CPU in between: so the key's time may
        // come earlier than this clock says.
        self.note(Operation::expire(&key, &value), asked_at, None);
    }

    /// Sends an operation and waits for its reply.
    fn ask(&mut self, operation: &Operation) -> Value {
        let count = self.send(operation);
        let replies = self.client.read_many(count);
        let mut replies: Vec<Value> = replies.into_iter().map(|reply| reply.value).collect();
        replies.pop().expect("an operation has a reply")
    }

    /// Sends an operation in one piece; returns how many replies will come.
    fn send(&mut self, operation: &Operation) -> usize {
        let mut lines: Vec<Vec<String>> =
            operation.commands.iter().map(|command| words(self.seed, command)).collect();
        if operation.is_transaction {
            lines.insert(0, vec!["MULTI".to_owned()]);
            lines.push(vec!["EXEC".to_owned()]);
        }
        let bytes: Vec<u8> = lines.iter().flat_map(|line| crate::client::encode(line)).collect();
        self.client.send_raw(&bytes);
        lines.len()
    }

    fn value(&mut self) -> String {
        self.value_count += 1;
        format!("{}.{}", self.number, self.value_count)
    }

    fn register(&mut self) -> String {
        (*self.rng.pick(REGISTERS)).to_owned()
    }

    fn two_registers(&mut self) -> (String, String) {
        let first = self.rng.below(REGISTERS.len());
        let second = (first + 1 + self.rng.below(REGISTERS.len() - 1)) % REGISTERS.len();
        (REGISTERS[first].to_owned(), REGISTERS[second].to_owned())
    }

    fn two_counters(&mut self) -> (String, String) {
        let first = self.rng.below(COUNTERS.len());
        let second = (first + 1) % COUNTERS.len();
        (COUNTERS[first].to_owned(), COUNTERS[second].to_owned())
    }

    fn pairs(&mut self) -> Vec<(String, String)> {
        let (one, two) = self.two_registers();
        vec![(one, self.value()), (two, self.value())]
    }

    fn operation(&mut self) -> Operation {
        match self.rng.below(4) {
            0 => Operation::transaction(self.transaction()),
            _ => Operation::single(self.command()),
        }
    }

    /// Commands for a transaction: a transfer, or any.
    fn transaction(&mut self) -> Vec<Command> {
        if self.rng.one_in(2) {
            let (from, to) = self.two_counters();
            return vec![Command::Add(from, -1), Command::Add(to, 1)];
        }
        let count = 1 + self.rng.below(4);
        let mut commands = Vec::new();
        while commands.len() < count {
            commands.push(self.command());
        }
        commands
    }

    fn command(&mut self) -> Command {
        match self.rng.below(20) {
            0 => Command::Get(self.register()),
            1 => Command::Set(self.register(), self.value()),
            2 | 3 => Command::GetAll(owned(REGISTERS)),
            4 => Command::GetAll(owned(COUNTERS)),
            5 | 6 => Command::SetAll(self.pairs()),
            7 => Command::SetAllNew(self.pairs()),
            8 => Command::Delete(owned(&REGISTERS[..2])),
            9 => Command::Exists(owned(REGISTERS)),
            10 => {
                let (from, to) = self.two_registers();
                Command::Rename(from, to)
            }
            11 => {
                let (from, to) = self.two_registers();
                match self.rng.one_in(2) {
                    true => Command::Copy(from, to),
                    false => Command::RenameNew(from, to),
                }
            }
            12 => Command::Add((*self.rng.pick(COUNTERS)).to_owned(), 1),
            13 => Command::Push((*self.rng.pick(LISTS)).to_owned(), self.value()),
            14 => Command::Pop((*self.rng.pick(LISTS)).to_owned()),
            15 => Command::List((*self.rng.pick(LISTS)).to_owned()),
            16 => Command::PopAny(owned(LISTS)),
            17 => {
                let (from, to) = self.two_counters();
                Command::Transfer(Script::Declared, from, to)
            }
            _ => {
                let (from, to) = self.two_counters();
                let number = self.rng.below(SCRIPTS as usize) as u64;
                Command::Transfer(Script::MadeUp(number), from, to)
            }
        }
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// A command as it is sent.
fn words(seed: u64, command: &Command) -> Vec<String> {
    let line = |name: &str, rest: Vec<String>| [vec![name.to_owned()], rest].concat();
    let flat = |pairs: &[(String, String)]| {
        pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect()
    };
    match command.clone() {
        Command::Get(key) => line("GET", vec![key]),
        Command::Set(key, value) => line("SET", vec![key, value]),
        Command::SetExpiring(key, value, ms) => {
            line("SET", vec![key, value, "PX".to_owned(), ms.to_string()])
        }
        Command::GetAll(keys) => line("MGET", keys),
        Command::SetAll(pairs) => line("MSET", flat(&pairs)),
        Command::SetAllNew(pairs) => line("MSETNX", flat(&pairs)),
        Command::Delete(keys) => line("DEL", keys),
        Command::Exists(keys) => line("EXISTS", keys),
        Command::Rename(from, to) => line("RENAME", vec![from, to]),
        Command::RenameNew(from, to) => line("RENAMENX", vec![from, to]),
        Command::Copy(from, to) => line("COPY", vec![from, to, "REPLACE".to_owned()]),
        Command::Add(key, by) => line("INCRBY", vec![key, by.to_string()]),
        Command::Transfer(Script::Declared, from, to) => {
            let text = "return {redis.call('DECR', KEYS[1]), redis.call('INCR', KEYS[2])}";
            line("EVAL", vec![text.to_owned(), "2".to_owned(), from, to])
        }
        Command::Transfer(Script::MadeUp(number), from, to) => {
            line("EVAL", vec![made_up_transfer(seed, number), "1".to_owned(), from, to])
        }
        Command::Push(key, value) => line("RPUSH", vec![key, value]),
        Command::Pop(key) => line("LPOP", vec![key]),
        Command::List(key) => line("LRANGE", vec![key, "0".to_owned(), "-1".to_owned()]),
        Command::PopAny(keys) => line("BLPOP", [keys, vec!["0.002".to_owned()]].concat()),
        Command::Expire(..) => unreachable!("no client sends it"),
    }
}
