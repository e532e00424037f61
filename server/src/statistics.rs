//! What INFO commandstats says: counters of each command on each core, written by that core alone.
//!
//! The counters of a core as a whole are `ops::metrics::CoreCounters`.

use crate::registry::CommandId;
use ops::metrics::Tally;

/// Counters of one command on one core.
#[derive(Debug, Default)]
pub struct CommandCounters {
    /// Times it ran.
    pub calls: Tally,
    /// Nanoseconds it ran.
    pub ns: Tally,
    /// Times it was refused before it ran.
    pub rejected: Tally,
    /// Times it answered an error.
    pub failed: Tally,
}

/// Counters of all commands on one core. Aligned so that two cores never write the same cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct CommandStatistics(Vec<CommandCounters>);

impl CommandStatistics {
    /// Zero for each of `command_count` commands.
    #[must_use]
    pub fn new(command_count: usize) -> Self {
        CommandStatistics((0..command_count).map(|_| CommandCounters::default()).collect())
    }

    /// The counters of one command.
    #[must_use]
    pub fn command(&self, id: CommandId) -> &CommandCounters {
        &self.0[usize::from(id.0)]
    }

    /// Sets all to zero, as CONFIG RESETSTAT does. Only their core may call it.
    pub fn reset(&self) {
        for command in &self.0 {
            for tally in [&command.calls, &command.ns, &command.rejected, &command.failed] {
                tally.set(0);
            }
        }
    }
}
