//! What a shard is asked, and what it answers.

use crate::commands::Command;
use protocol::reply::Resp;
use protocol::request::Argv;

/// The moment a call runs at. Read once per tick by the core: every command of a tick sees the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Microseconds since 1970.
    pub unix_us: i64,
}

impl Now {
    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.unix_us / 1000
    }
}

/// One command for one shard: every key in `argv` belongs to it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The row of the command table.
    pub command: &'static Command,
    /// The request, command name first.
    pub argv: Argv<'a>,
    /// Index of the selected database.
    pub db: u16,
    /// Protocol version of the client.
    pub resp: Resp,
    /// The client that asked, for client tracking and CLIENT NO-TOUCH.
    pub client: ClientFacts,
}

/// What a shard must know of the client behind a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// Identifier as CLIENT ID prints it; 0 for the server itself (loading, expiry).
    pub id: u64,
    /// CLIENT NO-TOUCH: reads leave the access clock alone.
    pub is_no_touch: bool,
    /// CLIENT TRACKING: remember the keys that this client reads.
    pub is_tracking: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The reply has been written.
    Replied,
    /// An error reply has been written.
    Failed,
    /// Nothing to serve yet: the client waits on the keys of the call until one of them can serve it.
    Blocked,
}
