//! The server as a script sees it: the gates for its commands, and how they run.
//!
//! Path: `script::Interpreter` -> [`ScriptHost`] -> `Shard::execute`, at once if the script runs on the shard of its keys
//! ([`Scope::Shard`]). Otherwise, and for what only another core can do, the script waits: [`ScriptHost::take_wanted`] says
//! what for, and [`ScriptHost::set_answer`] brings it.

use super::request::Request;
use super::shared::{CANNOT_WIDEN, Holds, Running};
use super::{server_commands, sorting};
use crate::commands::{ServerCommand, ServerRun, debug};
use crate::core::{self, Caller, Core};
use crate::dispatch::OUT_OF_MEMORY;
use crate::registry::{CommandId, Kind, Registered};
use crate::router;
use crate::runtime::clock::Moment;
use protocol::command::Flags;
use protocol::number::parse_i64;
use protocol::reply::{Resp, Writer};
use protocol::request::{Argv, ArgvBuf};
use script::host::KILLED;
use script::{Called, Host, Look};
use shard::locks::Claims;
use shard::{Call, Now, Outcome};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The reply of TYPE for a set.
pub(super) const SET_TYPE: &[u8] = b"+set\r\n";
/// How long a script runs in one go before it lets others run.
pub(super) const FIRST_SLICE: Duration = Duration::from_millis(5);
/// How long each time after that.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Where a script runs, and what it may touch there.
#[derive(Debug)]
pub(super) enum Scope {
    /// On the shard of its keys: everything of that shard.
    Shard,
    /// Over all shards, which are all locked whole.
    Everything,
    /// Over several shards: the keys that it has declared, which are locked.
    Declared(BTreeSet<Box<[u8]>>),
}

/// What a script waits for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) command: CommandId,
    pub(super) argv: ArgvBuf,
    pub(super) resp: Resp,
    pub(super) db: u16,
}

/// The host of one run of a script.
pub(super) struct ScriptHost {
    core: Rc<Core>,
    scope: Scope,
    caller: Caller,
    now: Now,
    is_read_only: bool,
    allows_oom: bool,
    /// Whether memory was full when the script began.
    is_full: bool,
    db: Cell<u16>,
    has_written: Cell<bool>,
    /// Whether what it writes enters the journal.
    is_journaled: Cell<bool>,
    /// It has wanted to touch what its scope does not hold, and has not written: it is to run anew.
    has_left: Cell<bool>,
    /// Where all keys lie that it has touched, with that of the keys it was given, if it may touch everything.
    home: Cell<router::Home>,
    /// What it has touched of its shard, if it may yet want more than that.
    touched: Option<RefCell<Claims>>,
    /// Whether it wants more than its shard, and has written.
    wants_all: Cell<bool>,
    /// Whether it has got that.
    has_all: Cell<bool>,
    wanted: RefCell<Option<Wanted>>,
    answer: RefCell<Vec<u8>>,
    slice_ends_at: Cell<Moment>,
    /// Set once it has been running for long.
    running: RefCell<Option<Arc<Running>>>,
}

impl ScriptHost {
    pub(super) fn new(
        core: Rc<Core>,
        request: &Request,
        scope: Scope,
        home: router::Home,
        (db, caller): (u16, Caller),
        begun_at: Moment,
    ) -> Self {
        let is_full = !request.allows_oom && !core.make_room();
        let now = core.now();
        let is_watched = matches!(scope, Scope::Shard) && core.shared.shard_count() > 1;
        let touched = (is_watched && !request.is_plain).then(RefCell::default);
        ScriptHost {
            core,
            scope,
            caller,
            now,
            is_read_only: request.is_read_only,
            allows_oom: request.allows_oom,
            is_full,
            db: Cell::new(db),
            has_written: Cell::new(false),
            is_journaled: Cell::new(true),
            has_left: Cell::new(false),
            home: Cell::new(home),
            touched,
            wants_all: Cell::new(false),
            has_all: Cell::new(false),
            wanted: RefCell::default(),
            answer: RefCell::default(),
            slice_ends_at: Cell::new(begun_at.after(FIRST_SLICE)),
            running: RefCell::default(),
        }
    }

    /// The moment at which all of it happens.
    pub(super) fn now(&self) -> Now {
        self.now
    }

    pub(super) fn has_written(&self) -> bool {
        self.has_written.get()
    }

    /// Whether it must run anew where it may touch more.
    pub(super) fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// Whether all keys that it has touched lie where those lie that it was given.
    pub(super) fn has_kept_home(&self) -> bool {
        matches!(self.home.get(), router::Home::Shard(_))
    }

    /// What it has touched, if it wants more than its shard now.
    pub(super) fn take_wish(&self) -> Option<Claims> {
        self.wants_all.take().then(|| self.touched.as_ref().map(|t| t.borrow().clone()))?
    }

    /// All shards are locked for it from now on.
    pub(super) fn set_everything(&self) {
        self.has_all.set(true);
    }

    /// What it waits for, if that is why it is suspended.
    pub(super) fn take_wanted(&self) -> Option<Wanted> {
        self.wanted.borrow_mut().take()
    }

    /// The reply that it waits for.
    pub(super) fn set_answer(&self, reply: Vec<u8>) {
        if reply.first() == Some(&b'-') {
            self.core.note_error(&reply);
        }
        *self.answer.borrow_mut() = reply;
    }

    /// Whether there is a reply that it has not taken yet.
    pub(super) fn has_answer(&self) -> bool {
        !self.answer.borrow().is_empty()
    }

    /// It may run for another slice from now on.
    pub(super) fn begin_slice(&self) {
        self.slice_ends_at.set(Moment::now().after(SLICE));
    }

    /// It runs for long: others see it, and may end it.
    pub(super) fn set_running(&self, running: Arc<Running>) {
        running.has_written.store(self.has_written(), Ordering::Release);
        *self.running.borrow_mut() = Some(running);
    }

    /// What it has locked from the beginning.
    pub(super) fn holds(&self) -> Holds {
        match &self.scope {
            Scope::Shard => Holds::Shard(self.core.id),
            Scope::Everything => Holds::Everything,
            Scope::Declared(keys) => Holds::Keys(keys.clone()),
        }
    }

    fn note_write(&self) {
        if !self.has_written.replace(true)
            && let Some(running) = &*self.running.borrow()
        {
            running.has_written.store(true, Ordering::Release);
        }
    }

    /// Finds the command, and says why it may not run, in Redis's order.
    fn admit(&self, argv: Argv<'_>) -> Result<&Registered, Vec<u8>> {
        let refuse = |text: &str| Err(text.as_bytes().to_vec());
        let command = self.core.shared.registry.find_request(argv);
        let Some(command) = command else {
            return refuse("ERR Unknown Redis command called from script");
        };
        if !command.spec.accepts(argv.len()) {
            return refuse("ERR Wrong number of args calling Redis command from script");
        }
        if server_commands::is_kept_from_scripts(&self.core, command) {
            return refuse("ERR This Redis command is not allowed from script");
        }
        if matches!(command.spec.name, "xread" | "xreadgroup") && blocks(argv) {
            let name = String::from_utf8_lossy(argv.get(0).unwrap_or_default());
            let text = format!("ERR {name} command is not allowed with BLOCK option from scripts");
            return Err(text.into_bytes());
        }
        let is_write = command.is(Flags::WRITE);
        if self.is_read_only && (is_write || command.is(Flags::MAY_REPLICATE)) {
            return refuse("ERR Write commands are not allowed from read-only scripts.");
        }
        if is_write && !self.has_written() {
            let log = self.core.shared.log.as_ref();
            if let Some(log) = log.filter(|log| log.is_failed()) {
                let text = format!("MISCONF Errors writing to the AOF file: {}", log.cause());
                return Err(text.into_bytes());
            }
            if self.core.lacks_replicas() {
                return refuse("NOREPLICAS Not enough good replicas to write.");
            }
        }
        if self.is_full && !self.allows_oom && !self.has_written() && command.is(Flags::DENYOOM) {
            return Err(OUT_OF_MEMORY.to_vec());
        }
        Ok(command)
    }

    /// Writes an error of the gates.
    fn refuse(&self, argv: Argv<'_>, text: &[u8], resp: Resp, reply: &mut Vec<u8>) {
        if let Some(command) = self.core.shared.registry.find_request(argv) {
            let statistics = &self.core.shared.command_statistics[self.core.id];
            statistics.command(command.id).rejected.increment();
        }
        self.core.note_error(text);
        Writer::new(reply, resp).error(text);
    }

    /// The script waits for a command that is to run elsewhere.
    fn wait_for(&self, command: &Registered, argv: Argv<'_>, resp: Resp) -> Called {
        let argv = ArgvBuf::from_argv(argv);
        let wanted = Wanted { command: command.id, argv, resp, db: self.db.get() };
        *self.wanted.borrow_mut() = Some(wanted);
        Called::Waits
    }

    /// The script wants to touch what its scope does not hold: it ends here and runs anew. If it is too late for that, it
    /// waits until it has everything.
    fn leave(
        &self,
        command: &Registered,
        argv: Argv<'_>,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> Called {
        if !self.has_written() {
            self.has_left.set(true);
            return Called::Waits;
        }
        if self.touched.is_none() {
            self.core.note_error(CANNOT_WIDEN.as_bytes());
            Writer::new(reply, resp).error(CANNOT_WIDEN.as_bytes());
            return Called::Done;
        }
        self.wants_all.set(true);
        self.wait_for(command, argv, resp)
    }

    /// A command of the shards, on the shard where the script runs.
    fn call_here(
        &self,
        registered: &Registered,
        command: &'static shard::commands::Command,
        argv: Argv<'_>,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> Called {
        let core = &self.core;
        let is_here = match router::home(core, registered, argv) {
            router::Home::Any => true,
            router::Home::Shard(shard) => shard == core.id,
            router::Home::Several => false,
        };
        if !is_here {
            return self.leave(registered, argv, resp, reply);
        }
        if let Some(touched) = &self.touched {
            touched.borrow_mut().join(core.claims(command, argv));
        }
        if registered.is(Flags::WRITE) {
            self.note_write();
        }
        let by_text = sorting::by_text(argv).filter(|_| self.is_set_here(argv));
        let argv = by_text.as_ref().map_or(argv, ArgvBuf::as_argv);
        let call = Call { command, argv, db: self.db.get(), resp, client: self.caller.client };
        let start = reply.len();
        let mark = core.shard_mut().effects_mut().journal.mark();
        let outcome = core.execute_at(self.now, &call, reply);
        if !self.is_journaled.get() {
            core.shard_mut().effects_mut().journal.rewind(mark);
        }
        if outcome == Outcome::Blocked {
            core::write_empty(registered, &mut Writer::new(reply, resp));
        }
        if outcome == Outcome::Failed {
            core.note_error(&reply[start..]);
        }
        core.account(registered, outcome);
        Called::Done
    }

    /// Whether the key of a command, which lies on this shard, holds a set.
    fn is_set_here(&self, argv: Argv<'_>) -> bool {
        let command = shard::commands::find(b"type").expect("TYPE is a command");
        let request: ArgvBuf = [b"TYPE", argv.get(1).unwrap_or_default()].into_iter().collect();
        let (argv, db, client) = (request.as_argv(), self.db.get(), self.caller.client);
        let mut reply = Vec::new();
        let call = Call { command, argv, db, resp: Resp::V2, client };
        let outcome = self.core.execute_at(self.now, &call, &mut reply);
        outcome == Outcome::Replied && reply == SET_TYPE
    }

    /// A command of the shards, for a script whose keys are locked.
    fn call_locked(
        &self,
        command: &Registered,
        declared: Option<&BTreeSet<Box<[u8]>>>,
        argv: Argv<'_>,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> Called {
        if let Some(declared) = declared {
            let keys = router::keys(&self.core, command, argv);
            let is_declared = |index: usize| argv.get(index).is_some_and(|k| declared.contains(k));
            let is_bounded = match command.kind {
                Kind::Shard(shard_command) => !router::is_everywhere(shard_command, argv),
                Kind::Server(_) => false,
            };
            if !is_bounded || keys.is_empty() || !keys.iter().all(|(index, _)| is_declared(*index))
            {
                return self.leave(command, argv, resp, reply);
            }
        }
        self.home.set(self.home.get().and(router::home(&self.core, command, argv)));
        if command.is(Flags::WRITE) {
            self.note_write();
        }
        self.wait_for(command, argv, resp)
    }

    /// A command of the server: those that need no connection.
    fn call_server(
        &self,
        command: &Registered,
        server_command: &ServerCommand,
        argv: Argv<'_>,
        resp: Resp,
        reply: &mut Vec<u8>,
    ) -> Called {
        let start = reply.len();
        let mut writer = Writer::new(reply, resp);
        match (command.top_name(), server_command.run) {
            ("publish" | "spublish", ServerRun::Publish(_)) => {
                if router::shard_of(&self.core, argv.get(1)) != self.core.id {
                    return self.wait_for(command, argv, resp);
                }
                let caller = Caller { resp, ..self.caller };
                self.core.publish_here(command, argv, caller, reply);
            }
            ("ping", _) => match argv.get(1) {
                Some(text) => writer.bulk(text),
                None => writer.status("PONG"),
            },
            ("echo", _) => writer.bulk(argv.get(1).unwrap_or_default()),
            ("time", _) => {
                let us = self.now.unix_us;
                writer.array(2);
                for part in [us / 1_000_000, us % 1_000_000] {
                    writer.bulk(itoa::Buffer::new().format(part).as_bytes());
                }
            }
            ("select", _) => match self.select(argv) {
                Ok(()) => writer.ok(),
                Err(text) => {
                    self.core.note_error(text.as_bytes());
                    writer.error(text.as_bytes());
                }
            },
            ("debug", _) if self.debug(argv, &mut writer) => {}
            _ if server_commands::is_about_server(command) => {
                return self.wait_for(command, argv, resp);
            }
            _ => {
                let text = b"ERR This command of the server is not allowed from script";
                self.core.note_error(text);
                writer.error(text);
            }
        }
        let is_error = reply.get(start) == Some(&b'-');
        self.core.account(command, if is_error { Outcome::Failed } else { Outcome::Replied });
        Called::Done
    }

    /// DEBUG PROTOCOL and DEBUG SLEEP, for tests that allow scripts everything; `false` if it is another one.
    fn debug(&self, argv: Argv<'_>, writer: &mut Writer<'_>) -> bool {
        let (Some(word), Some(argument)) = (argv.get(1), argv.get(2)) else { return false };
        match word.to_ascii_lowercase().as_slice() {
            b"protocol" => {
                if let Err(error) = debug::write_of_type(argument, writer) {
                    self.core.note_error(&error.as_bytes());
                    writer.error(&error.as_bytes());
                }
            }
            b"sleep" => {
                std::thread::sleep(debug::duration_of(argument));
                writer.ok();
            }
            _ => return false,
        }
        true
    }

    fn select(&self, argv: Argv<'_>) -> Result<(), &'static str> {
        let index = argv.get(1).and_then(parse_i64);
        let index = index.ok_or("ERR value is not an integer or out of range")?;
        let database_count = self.core.shard().keyspace().database_count();
        let index = u16::try_from(index).ok().filter(|db| usize::from(*db) < database_count);
        self.db.set(index.ok_or("ERR DB index is out of range")?);
        Ok(())
    }
}

impl Host for ScriptHost {
    fn call(&self, argv: Argv<'_>, resp: Resp, reply: &mut Vec<u8>) -> Called {
        let command = match self.admit(argv) {
            Ok(command) => command,
            Err(text) => {
                self.refuse(argv, &text, resp, reply);
                return Called::Done;
            }
        };
        if self.core.shared.is_monitored() {
            self.core.feed_monitors_of_script(command, self.db.get(), argv);
        }
        let called = match (command.kind, &self.scope) {
            (Kind::Server(server), _) => self.call_server(command, server, argv, resp, reply),
            (Kind::Shard(_), _) if self.has_all.get() => {
                self.call_locked(command, None, argv, resp, reply)
            }
            (Kind::Shard(shard), Scope::Shard) => self.call_here(command, shard, argv, resp, reply),
            (Kind::Shard(_), Scope::Everything) => {
                self.call_locked(command, None, argv, resp, reply)
            }
            (Kind::Shard(_), Scope::Declared(keys)) => {
                self.call_locked(command, Some(keys), argv, resp, reply)
            }
        };
        // Counting the command has read the clock.
        let is_due = called == Called::Done && self.core.tick_start() >= self.slice_ends_at.get();
        if is_due { Called::Pauses } else { called }
    }

    fn answer(&self, reply: &mut Vec<u8>) {
        reply.append(&mut self.answer.borrow_mut());
    }

    fn may_run(&self, argv: Argv<'_>) -> Option<bool> {
        self.core.shared.registry.find_request(argv).map(|_| true)
    }

    fn log(&self, level: u8, text: &[u8]) {
        log(level, text);
    }

    fn set_propagation(&self, targets: u8) {
        self.is_journaled.set(targets & 1 != 0);
    }

    fn clock(&self) -> f64 {
        Moment::now().ns_since(Moment::default()) as f64 / 1e9
    }

    fn look(&self) -> Look {
        if self.has_left() && !self.has_written() {
            return Look::End("ERR Script runs anew where it may touch more");
        }
        if let Some(running) = &*self.running.borrow()
            && running.is_killed.load(Ordering::Acquire)
            && !self.has_written()
        {
            return Look::End(KILLED);
        }
        if Moment::now() >= self.slice_ends_at.get() { Look::Pause } else { Look::GoOn }
    }
}

/// Writes a line of a script to the server's log.
pub(super) fn log(level: u8, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => tracing::debug!("{text}"),
        1 | 2 => tracing::info!("{text}"),
        _ => tracing::warn!("{text}"),
    }
}

/// Whether a XREAD or XREADGROUP would wait: BLOCK stands before STREAMS.
fn blocks(argv: Argv<'_>) -> bool {
    let options = argv.iter().skip(1).take_while(|arg| !arg.eq_ignore_ascii_case(b"streams"));
    options.into_iter().any(|arg| arg.eq_ignore_ascii_case(b"block"))
}
