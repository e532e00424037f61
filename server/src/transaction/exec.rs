//! EXEC of commands that one shard cannot run alone: keys on several shards, or commands of the server among them.
//!
//! Path: `commands::transactions` -> here -> `Connection::run_deferred_command` for each command.

use crate::connection::{Connection, Multi};
use crate::registry::Kind;
use protocol::reply::Writer;
use protocol::request::ArgvBuf;
use shard::CommandError;

impl Connection {
    /// EXEC, once the replies before it are complete.
    pub(crate) async fn exec(&mut self) -> Result<(), CommandError> {
        if !self.session.is_in_multi() {
            return Err(CommandError::text("ERR EXEC without MULTI"));
        }
        let multi = self.take_multi().expect("it was just there");
        let core = self.core.clone();
        if multi.is_spoilt {
            self.end_watches(&multi);
            return Err(CommandError::text(
                "EXECABORT Transaction discarded because of previous errors.",
            ));
        }
        self.session.is_in_exec = true;
        self.exec_queue(&multi).await;
        self.session.is_in_exec = false;
        core.recycle_batch(multi.queue);
        Ok(())
    }

    async fn exec_queue(&mut self, multi: &Multi) {
        let core = self.core.clone();
        let start = self.replies.len();
        let resp = self.session.resp;
        self.end_watches(multi);
        if multi.watch.is_broken() {
            self.reply(|writer| writer.null_array());
            return;
        }
        Writer::new(&mut self.replies, resp).array(multi.queue.len());
        for index in 0..multi.queue.len() {
            let (id, _, argv) = multi.queue.call(index);
            let command = core.shared.registry.get(id);
            let argv = ArgvBuf::from_argv(argv);
            core.restart_stopwatch();
            core.counters().commands_processed.add(1);
            let is_shown_first = matches!(command.kind, Kind::Shard(_));
            if is_shown_first {
                core.feed_monitors(command, &self.session, &self.peer.client, argv.as_argv());
            }
            let outcome = self.run_deferred_command(&core, command, &argv).await;
            if !is_shown_first {
                core.feed_monitors(command, &self.session, &self.peer.client, argv.as_argv());
            }
            let us = core.account(command, outcome);
            if us >= core.slow_after_us() {
                self.log_slow(argv.as_argv(), us);
            }
        }
        if !self.session.wants_reply() {
            self.replies.truncate(start);
        }
    }
}
