//! A script over several shards: its keys are locked, then it runs on one core and asks the shards for each command.
//!
//! Path: [`Core::finish_script`], EXEC -> [`Wandering::run`] -> `transaction::run` for each command, under the locks.
//! A script that turns out to touch keys that it has not declared runs anew with all shards locked, as long as it has
//! not written; from then on it begins so.

use super::host::{SET_TYPE, Scope, ScriptHost, Wanted};
use super::paused::show;
use super::request::Request;
use super::run::Wandering;
use super::sorting;
use crate::core::{Caller, Core};
use crate::registry::{Kind, Registered};
use crate::router::{self, Home};
use crate::runtime::clock::Moment;
use crate::transaction::{self, Held, Wanted as WantedLocks};
use protocol::command::Flags;
use protocol::reply::Writer;
use protocol::request::{Argv, ArgvBuf};
use script::{Ended, Job, Progress};
use shard::Outcome;
use shard::locks::{Claims, Mode};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What has become of one run.
enum Ran {
    /// It has ended with this reply.
    Ended(Vec<u8>, Ended),
    /// It wants to touch more than it has locked.
    Left,
}

impl Wandering {
    /// Runs the script to its end, under locks of its own or those of the transaction around it; returns its reply.
    pub(crate) async fn run(self, core: &Rc<Core>, around: Option<&mut Option<Held>>) -> Vec<u8> {
        let mut is_everything = !self.request.is_plain;
        let mut own = None;
        let (held, is_around) = match around {
            Some(held) => (held, true),
            None => (&mut own, false),
        };
        let (reply, ended) = loop {
            if !is_around {
                let wanted = self.wanted(core, is_everything);
                *held = match Held::acquire(core, wanted).await {
                    Ok((locks, _)) => Some(locks),
                    Err(busy) => {
                        let mut reply = Vec::new();
                        Writer::new(&mut reply, self.caller.resp).error(&busy.as_bytes());
                        break (reply, Ended::Failed { is_counted: false });
                    }
                };
            }
            let ran = self.run_once(core, is_everything, held).await;
            if !is_around && let Some(held) = held.take() {
                held.release(core);
            }
            match ran {
                Ran::Ended(reply, ended) => break (reply, ended),
                Ran::Left => is_everything = true,
            }
        };
        let _outcome = core.outcome_of_script(ended, &reply);
        reply
    }

    async fn run_once(&self, core: &Rc<Core>, is_everything: bool, held: &mut Option<Held>) -> Ran {
        let interpreter = core.scripts.borrow_mut().take_interpreter();
        let mut interpreter = match interpreter {
            Ok(interpreter) => interpreter,
            Err(text) => {
                let mut reply = Vec::new();
                Writer::new(&mut reply, self.caller.resp).error(text.as_bytes());
                return Ran::Ended(reply, Ended::Failed { is_counted: false });
            }
        };
        let argv = self.argv.as_argv();
        let scope = match is_everything {
            true => Scope::Everything,
            false => {
                let keys = argv.iter().skip(3).take(self.request.key_count);
                Scope::Declared(keys.map(Into::into).collect())
            }
        };
        let home = self.request.home(core, argv).map_or(Home::Several, Home::Shard);
        let session = (self.db, self.caller);
        let host =
            ScriptHost::new(core.clone(), &self.request, scope, home, session, Moment::now());
        let host = Rc::new(host);
        let job = Job {
            what: self.request.what.clone(),
            argv: self.argv.clone(),
            key_count: self.request.key_count,
            resp: self.caller.resp,
            host: host.clone(),
            reply: Vec::new(),
        };
        held.as_mut().expect("locks were taken first").set_moment(Some(host.now()));
        let mut shown = None;
        let mut progress = interpreter.start(job);
        let (job, ended) = loop {
            match progress {
                Progress::Ended(job, ended) => break (job, ended),
                Progress::Paused => match host.take_wanted() {
                    Some(wanted) => {
                        if let Some(running) = &shown {
                            core.watch_script(running);
                        }
                        let answer = ask(core, self.caller, wanted, held).await;
                        host.set_answer(answer);
                    }
                    None if host.has_left() => {}
                    None => {
                        if shown.is_none() {
                            let running = show(&self.request, argv, core.now(), host.holds());
                            host.set_running(running.clone());
                            core.shared.scripts.enter(running.clone());
                            shown = Some(running);
                        }
                        if let Some(running) = &shown {
                            core.watch_script(running);
                        }
                        core.let_others_run().await;
                        host.begin_slice();
                    }
                },
            }
            progress = interpreter.resume();
        };
        held.as_mut().expect("a script gives back no locks").set_moment(None);
        if let Some(running) = shown {
            core.shared.scripts.leave(&running);
        }
        core.scripts.borrow_mut().give_back(interpreter);
        if host.has_left() {
            self.request.note_way(true);
            return Ran::Left;
        }
        if is_everything && matches!(home, Home::Shard(_)) {
            self.request.note_way(!host.has_kept_home());
        }
        Ran::Ended(job.reply, ended)
    }

    /// The locks it needs.
    fn wanted(&self, core: &Core, is_everything: bool) -> BTreeMap<usize, WantedLocks> {
        let mut wanted: BTreeMap<usize, WantedLocks> = BTreeMap::new();
        let claims = |shard: usize, claims| wanted.entry(shard).or_default().claims.join(claims);
        self.request.claim(core, self.argv.as_argv(), is_everything, claims);
        wanted
    }
}

impl Request {
    /// Tells `claim` what a script wants of each shard: its keys, or everything.
    fn claim(
        &self,
        core: &Core,
        argv: Argv<'_>,
        is_everything: bool,
        mut claim: impl FnMut(usize, Claims),
    ) {
        let mode = if self.is_read_only { Mode::Shared } else { Mode::Exclusive };
        if is_everything {
            (0..core.shared.shard_count()).for_each(|shard| claim(shard, Claims::whole(mode)));
            return;
        }
        for key in argv.iter().skip(3).take(self.key_count) {
            let mut claims = Claims::default();
            claims.add(key, mode);
            claim(router::shard_of(core, Some(key)), claims);
        }
    }
}

impl Core {
    /// Tells `claim` what a script wants of each shard that EXEC is to run: its keys, if its text shows that it touches no
    /// others. One that nobody knows yet may be known by then.
    pub(crate) fn claim_for_script(
        &self,
        command: &Registered,
        argv: Argv<'_>,
        mut claim: impl FnMut(usize, Claims),
    ) {
        let kind = command.script().expect("it is a script");
        let is_read_only = command.is(Flags::READONLY);
        match Request::read(self, kind, is_read_only, argv) {
            Ok(request) => request.claim(self, argv, !request.is_plain, claim),
            Err(_) => {
                let whole = || Claims::whole(Mode::Exclusive);
                (0..self.shared.shard_count()).for_each(|shard| claim(shard, whole()));
            }
        }
    }
}

/// Runs a command of a script under its locks; returns the reply.
pub(super) async fn ask(
    core: &Rc<Core>,
    caller: Caller,
    wanted: Wanted,
    held: &mut Option<Held>,
) -> Vec<u8> {
    let command = core.shared.registry.get(wanted.command);
    if let Kind::Server(server_command) = command.kind {
        return core.run_for_script(command, server_command, wanted).await;
    }
    let mut reply = Vec::new();
    let caller = Caller { resp: wanted.resp, ..caller };
    let mut request = wanted.argv;
    if let Some(by_text) = sorting::by_text(request.as_argv()) {
        let key = request.as_argv().get(1).unwrap_or_default();
        let question: ArgvBuf = [b"TYPE", key].into_iter().collect();
        let argv = question.as_argv();
        let row = core.shared.registry.find(b"type").unwrap_or(command);
        let asked = transaction::run(core, row, wanted.db, argv, caller, held, &mut reply).await;
        if asked == Outcome::Replied && reply == SET_TYPE {
            request = by_text;
        }
        reply.clear();
    }
    let argv = request.as_argv();
    core.restart_stopwatch();
    let outcome = transaction::run(core, command, wanted.db, argv, caller, held, &mut reply).await;
    if outcome == Outcome::Blocked {
        crate::core::write_empty(command, &mut Writer::new(&mut reply, caller.resp));
    }
    core.account(command, outcome);
    reply
}
