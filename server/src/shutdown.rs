//! The end of the server, at the wish of a client or a signal.
//!
//! Order: nobody is told any more that the server is ready; every core gets the notice, sends what it has answered,
//! writes and seals its segment, and ends; then the files that only a running server has are removed (`startup`).

use crate::core::Core;
use crate::message::{Message, Notice};
use crate::shared::Shared;
use ops::config::ShutdownFlags;
use ops::http::StopSignal;

/// Why the server goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShutdownError {
    /// A snapshot was asked for.
    #[error("snapshots are not built yet, so SAVE can be granted only together with FORCE")]
    NoSnapshots,
}

impl Shared {
    /// Ends the server; the cores stop at their next tick.
    ///
    /// # Errors
    /// What was asked for cannot be done; then the server goes on.
    pub fn shut_down(&self, flags: ShutdownFlags) -> Result<(), ShutdownError> {
        if flags.save {
            if !flags.force {
                return Err(ShutdownError::NoSnapshots);
            }
            tracing::warn!("no snapshot is saved: snapshots are not built yet");
        }
        if self.log.is_none() {
            tracing::warn!("the data is gone with the server: there is no append-only file");
        }
        self.metrics.set_ready(false);
        // By the inboxes, which are never full: every core gets the notice, whatever it is in the middle of.
        for inbox in &self.inboxes {
            inbox.post(Message::Tell(Box::new(Notice::Shutdown)));
        }
        Ok(())
    }
}

impl Core {
    /// Does what `shutdown-on-sigterm` or `shutdown-on-sigint` says.
    pub(crate) fn heed_signal(&self, signal: StopSignal) {
        let settings = self.settings();
        let (name, flags) = match signal {
            StopSignal::Terminate => ("SIGTERM", settings.shutdown_on_sigterm),
            StopSignal::Interrupt => ("SIGINT", settings.shutdown_on_sigint),
        };
        tracing::info!("{name} asks for a shutdown");
        if let Err(error) = self.shared.shut_down(flags) {
            tracing::warn!("no shutdown: {error}");
        }
    }
}
