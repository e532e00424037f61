//! What a running script may ask of the server.

use protocol::reply::Resp;
use protocol::request::Argv;

/// The server, as a script sees it.
pub trait Host {
    /// Runs the command `argv` and appends its reply, an error too, in the form of `resp`.
    ///
    /// [`Called::Waits`]: the reply is not there yet. The script is suspended until it is resumed, and then asks for it
    /// with [`Host::answer`].
    fn call(&self, argv: Argv<'_>, resp: Resp, reply: &mut Vec<u8>) -> Called;

    /// Appends the reply that a script has waited for.
    fn answer(&self, reply: &mut Vec<u8>);

    /// Whether the client may run `argv` (`redis.acl_check_cmd`); `None` if there is no such command.
    fn may_run(&self, argv: Argv<'_>) -> Option<bool>;

    /// Writes a line to the server's log; `level` is 0 (debug) to 3 (warning).
    fn log(&self, level: u8, text: &[u8]);

    /// Sets which of journal (1) and replicas (2) get what the script writes from now on (`redis.set_repl`).
    fn set_propagation(&self, targets: u8);

    /// Seconds on a clock that only goes forward (`os.clock`).
    fn clock(&self) -> f64;

    /// Asked every [`INSTRUCTIONS_PER_LOOK`](crate::vm::INSTRUCTIONS_PER_LOOK) instructions, and whenever the script is
    /// resumed: how it goes on.
    fn look(&self) -> Look;
}

/// Whether a command has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It has; its reply has been appended.
    Done,
    /// The same, and it is time to let others run.
    Pauses,
    /// Somebody else must be asked first.
    Waits,
}

/// How a script goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It runs on.
    GoOn,
    /// It lets others run, and is resumed later.
    Pause,
    /// It ends with this error, whatever it catches.
    End(&'static str),
}

/// How a script that was killed by a client ends.
pub const KILLED: &str = "ERR Script killed by user with SCRIPT KILL...";
