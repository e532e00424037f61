//! BUSY: what happens to others once a script has been running for longer than `busy-reply-threshold`.
//!
//! Until then who needs what the script holds waits. From then on such a command gets an error, as do those that have
//! waited already; whatever lies on other shards goes on, and so do the commands by which one looks at the server.

use super::shared::{Holds, Running};
use crate::commands::scripting::{BUSY_FUNCTION, BUSY_SCRIPT};
use crate::core::Core;
use crate::message::{Message, Notice};
use crate::registry::{Kind, Registered};
use crate::router;
use protocol::command::{Flags, Group};
use protocol::request::Argv;
use std::rc::Rc;
use std::sync::Arc;

impl Running {
    /// The error that others get.
    #[must_use]
    pub fn busy_error(&self) -> &'static str {
        if self.is_function { BUSY_FUNCTION } else { BUSY_SCRIPT }
    }
}

impl Core {
    /// Why a command may not run now, or not be queued, if a script has been running for too long. Nothing is queued
    /// while any script is busy, whatever it holds: a client learns of it at the same command as with Redis.
    #[cold]
    pub(crate) fn busy_error(
        &self,
        command: &Registered,
        argv: Argv<'_>,
        is_in_multi: bool,
    ) -> Option<&'static str> {
        if command.is(Flags::ALLOW_BUSY) {
            return None;
        }
        let is_needed = |holds: &Holds| is_in_multi || self.needs(command, argv, holds);
        self.shared.scripts.busy(is_needed).map(|running| running.busy_error())
    }

    /// Whether a command needs what a script holds.
    pub(crate) fn needs(&self, command: &Registered, argv: Argv<'_>, holds: &Holds) -> bool {
        let keys = match command.kind {
            Kind::Shard(shard_command) if router::is_everywhere(shard_command, argv) => {
                return true;
            }
            // How the server is may be asked at any time.
            Kind::Server(_) if command.spec.keys.is_empty() => {
                let top = command.container.unwrap_or(command.spec);
                return top.group != Group::Server && top.name != "client";
            }
            Kind::Server(_)
                if command.script().is_some_and(|k| self.may_script_wander(k, argv)) =>
            {
                return true;
            }
            _ => router::keys(self, command, argv),
        };
        if keys.is_empty() {
            return true;
        }
        keys.iter().any(|(index, shard)| match holds {
            Holds::Everything => true,
            Holds::Shard(held) => held == shard,
            Holds::Keys(held) => argv.get(*index).is_some_and(|key| held.contains(key)),
        })
    }

    /// Looks whether a script that has paused has been running for too long.
    pub(super) fn watch_script(self: &Rc<Self>, running: &Arc<Running>) {
        let threshold_ms = self.settings_ref().busy_reply_threshold_ms as i64;
        let ran_ms = (crate::runtime::clock::unix_us() - running.began_at_us) / 1000;
        let is_busy = running.is_busy.load(std::sync::atomic::Ordering::Relaxed);
        if is_busy || threshold_ms == 0 || ran_ms < threshold_ms {
            return;
        }
        tracing::warn!(
            "Slow script detected: still in execution after {ran_ms} milliseconds. You can try killing the script \
             using the {} KILL command. Script name is: {}.",
            if running.is_function { "FUNCTION" } else { "SCRIPT" },
            running.name
        );
        self.shared.scripts.note_busy(running);
        let cores = match running.holds {
            Holds::Shard(shard) => shard..shard + 1,
            Holds::Everything | Holds::Keys(_) => 0..self.shared.shard_count(),
        };
        for core in cores {
            let notice = Notice::Busy(running.clone());
            self.post_in_turn(core, Message::Tell(Box::new(notice)));
        }
    }
}
