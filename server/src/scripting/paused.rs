//! A script that takes long: it holds the lock of its whole shard, and goes on in slices. So does one that has written and
//! then wants more than its shard: from then on it holds all of them, if it can have them, and asks them for each command.
//!
//! Path: [`Core::start_script`] -> [`Paused`] -> a task of the core, which runs it to its end whatever becomes of the
//! client. Its journal entries are kept with its lock, and enter the journal when it ends.

use super::host::Wanted;
use super::request::Request;
use super::rest::RestOfUnit;
use super::run::Running;
use super::shared::{self, CANNOT_WIDEN, Holds};
use super::{across, server_commands};
use crate::commands::{ServerCommand, ServerRun};
use crate::core::{Caller, Core, ScriptLock};
use crate::message::{Answer, Question, TransactionId};
use crate::registry::Registered;
use crate::router;
use crate::runtime::executor;
use crate::transaction::Held;
use protocol::reply::{Resp, Writer};
use protocol::request::Argv;
use script::Progress;
use shard::effects::Journal;
use shard::locks::{Claims, Mode};
use shard::{Now, Outcome};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A script that has paused.
pub(crate) struct Paused {
    running: Running,
    request: Request,
    caller: Caller,
    shown: Arc<shared::Running>,
    lock: ScriptLock,
}

impl Paused {
    /// Notes that a script has paused, and asks for the lock of the whole shard before anything else can run there.
    pub(super) fn new(
        core: &Rc<Core>,
        running: Running,
        request: Request,
        journal: Journal,
        argv: Argv<'_>,
        caller: Caller,
    ) -> Self {
        let shown = enter(core, &running, &request, argv);
        let lock = core.lock_for_script(Claims::whole(Mode::Exclusive), journal);
        Paused { running, request, caller, shown, lock }
    }

    /// Runs it to its end, and then the rest of the transaction that it belongs to; returns the reply.
    pub(super) async fn run_to_end(self, core: &Rc<Core>, rest: Option<RestOfUnit>) -> Vec<u8> {
        let Paused { running, request, caller, shown, lock } = self;
        let id = lock.id;
        let mut held: Option<Held> = None;
        core.wait_for_script_lock(lock).await;
        let (mut reply, outcome) =
            run_in_slices(core, id, running, &request, shown, caller, &mut held).await;
        if let Some(rest) = rest {
            reply = rest.run(core, id, caller, &reply, outcome, &mut held).await;
        }
        match held {
            Some(held) => held.release(core),
            None => core.unlock_for_script(id),
        }
        reply
    }
}

/// Runs a script that has paused, under the lock `id`, to its end.
pub(super) async fn run_in_slices(
    core: &Rc<Core>,
    id: TransactionId,
    mut running: Running,
    request: &Request,
    mut shown: Arc<shared::Running>,
    caller: Caller,
    held: &mut Option<Held>,
) -> (Vec<u8>, Outcome) {
    let (job, ended) = loop {
        if let Some(touched) = running.host.take_wish() {
            request.note_way(true);
            match widen(core, id, touched).await {
                Ok(mut everything) => {
                    everything.set_moment(Some(running.host.now()));
                    *held = Some(everything);
                    running.host.set_everything();
                    shown = core.shared.scripts.hold_everything(&shown);
                    running.host.set_running(shown.clone());
                }
                Err(text) => {
                    let resp = running.host.take_wanted().map_or(caller.resp, |one| one.resp);
                    running.host.set_answer(error(text, resp));
                }
            }
        }
        core.watch_script(&shown);
        match running.host.take_wanted() {
            Some(wanted) => {
                let answer = across::ask(core, caller, wanted, held).await;
                running.host.set_answer(answer);
            }
            None if running.host.has_answer() => {}
            None => core.let_others_run().await,
        }
        let progress = core.within_script_lock(id, || {
            core.shard_mut().begin_unit();
            running.host.begin_slice();
            let progress = running.interpreter.resume();
            core.shard_mut().suspend_unit();
            progress
        });
        if let Progress::Ended(job, ended) = progress {
            break (job, ended);
        }
    };
    core.shared.scripts.leave(&shown);
    core.scripts.borrow_mut().give_back(running.interpreter);
    let outcome = core.outcome_of_script(ended, &job.reply);
    (job.reply, outcome)
}

/// Shows to others a script that runs for long on this core's shard.
pub(super) fn enter(
    core: &Core,
    running: &Running,
    request: &Request,
    argv: Argv<'_>,
) -> Arc<shared::Running> {
    let shown = show(request, argv, core.now(), Holds::Shard(core.id));
    running.host.set_running(shown.clone());
    core.shared.scripts.enter(shown.clone());
    shown
}

/// Takes the locks of all shards for a script that has written: one script at a time.
async fn widen(core: &Rc<Core>, id: TransactionId, touched: Claims) -> Result<Held, &'static str> {
    let scripts = &core.shared.scripts;
    if !scripts.begin_widening() {
        return Err(CANNOT_WIDEN);
    }
    let widened = Held::widen(core, id, touched).await;
    scripts.end_widening();
    widened
}

fn error(text: &str, resp: Resp) -> Vec<u8> {
    let mut reply = Vec::new();
    Writer::new(&mut reply, resp).error(text.as_bytes());
    reply
}

/// What others see of a script that runs for long.
pub(super) fn show(
    request: &Request,
    argv: Argv<'_>,
    now: Now,
    holds: Holds,
) -> Arc<shared::Running> {
    Arc::new(shared::Running {
        name: request.name().to_owned(),
        argv: argv.iter().map(<[u8]>::to_vec).collect(),
        is_function: request.is_function(),
        began_at_us: now.unix_us,
        has_written: AtomicBool::new(false),
        is_killed: AtomicBool::new(false),
        holds,
        is_busy: AtomicBool::new(false),
    })
}

impl Core {
    /// Lets everything else that is ready run, and the core go through a round.
    pub(super) async fn let_others_run(&self) {
        self.reactor.note_activity();
        executor::yield_now().await;
    }

    /// Runs a command of the server where it must run, for a script that waits.
    pub(super) async fn run_for_script(
        self: &Rc<Self>,
        command: &Registered,
        server_command: &ServerCommand,
        wanted: Wanted,
    ) -> Vec<u8> {
        if !matches!(server_command.run, ServerRun::Publish(_)) {
            return server_commands::run(self, command, server_command, wanted).await;
        }
        let owner = router::shard_of(self, wanted.argv.as_argv().get(1));
        let question = Question::Publish(wanted.command, wanted.argv, wanted.resp);
        match self.start_ask(owner, question).await {
            Answer::Reply(reply) => reply,
            _ => unreachable!("a reply was asked for"),
        }
    }
}
