//! What a running script may ask of the server.

use protocol::reply::Resp;
use protocol::request::Argv;

/// The server, as a script sees it.
pub trait Host {
    /// Runs the command `argv` and appends its reply, an error too, in the form of `resp`.
    fn call(&self, argv: Argv<'_>, resp: Resp, reply: &mut Vec<u8>);

    /// Whether the client may run `argv` (`redis.acl_check_cmd`); `None` if there is no such command.
    fn may_run(&self, argv: Argv<'_>) -> Option<bool>;

    /// Writes a line to the server's log; `level` is 0 (debug) to 3 (warning).
    fn log(&self, level: u8, text: &[u8]);

    /// Sets which of journal (1) and replicas (2) get what the script writes from now on (`redis.set_repl`).
    fn set_propagation(&self, targets: u8);

    /// Seconds on a clock that only goes forward (`os.clock`).
    fn clock(&self) -> f64;

    /// Asked every 100,000 instructions: whether the script must end now.
    fn is_killed(&self) -> bool;
}
