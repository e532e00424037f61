//! Starts a server as a program of its own, on a free port and in a folder of its own, and ends it.
//!
//! Always holds: a [`Server`] that goes out of scope is killed, by its pid, and its folder removed.
//!
//! Which program: Rialto is `RIALTO_BIN`, or `target/quick/rialto` of the workspace; the oracle, a real
//! Redis 7.0, is `ORACLE_BIN`, or `redis-server` from the PATH. `RIALTO_BIN` may name a Redis server
//! too: that is how the tests themselves are tested.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::fixture::TempDir;
use crate::process;
use crate::wait::{self, PATIENCE};

/// How often a start is tried again because somebody else took the free port in the meantime.
const PORT_ATTEMPTS: usize = 5;

/// The files that take what a server prints.
const STDOUT: &str = "server.stdout";
const STDERR: &str = "server.stderr";

/// How much of a server's log a failure shows.
const LOG_TAIL_LINES: usize = 40;

/// A server program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    /// A real Redis: it knows neither `serve` nor `--shards`.
    is_redis: bool,
    /// Major and minor version of the Redis it is or is compatible with.
    version: (u32, u32),
}

impl Program {
    /// The server under test.
    ///
    /// # Panics
    /// When it has not been built.
    pub fn rialto() -> &'static Program {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        PROGRAM.get_or_init(|| {
            let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/quick/rialto");
            let path = std::env::var_os("RIALTO_BIN").map_or(built, PathBuf::from);
            Program::probe(&path).unwrap_or_else(|problem| {
                panic!(
                    "no server to test at {}: {problem}. `make test` builds it; RIALTO_BIN names another.",
                    path.display()
                )
            })
        })
    }

    /// The real Redis that replies are compared with.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn oracle() -> &'static Program {
        static PROGRAM: OnceLock<Program> = OnceLock::new();
        PROGRAM.get_or_init(|| {
            let path = std::env::var_os("ORACLE_BIN").unwrap_or_else(|| "redis-server".into());
            Program::probe(Path::new(&path)).unwrap_or_else(|problem| {
                panic!(
                    "no {} to compare with: {problem}. Install it (apt-get install redis-server) \
                     or name one with ORACLE_BIN.",
                    path.display()
                )
            })
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a real Redis.
    pub fn is_redis(&self) -> bool {
        self.is_redis
    }

    /// Major and minor version of Redis that it behaves like.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    fn probe(path: &Path) -> Result<Program, String> {
        let output =
            Command::new(path).arg("--version").output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_redis = text.contains("Redis server");
        let version = if is_redis { redis_version(&text) } else { Some((7, 2)) };
        let version = version.ok_or_else(|| format!("unknown version: {text}"))?;
        Ok(Program { path: path.to_path_buf(), is_redis, version })
    }
}

/// Major and minor version in the text of `redis-server --version`.
fn redis_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_once(" v=")?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Options {
    program: Program,
    shards: usize,
    args: Vec<String>,
    dir: Option<PathBuf>,
    port: Option<u16>,
    metrics_port: u16,
    bind: Vec<String>,
    config_file: Option<PathBuf>,
    run_as: Option<PathBuf>,
}

impl Options {
    /// The server under test with one shard and nothing on disk.
    pub fn rialto() -> Self {
        Options::of(Program::rialto())
    }

    /// The real Redis, with nothing on disk.
    pub fn oracle() -> Self {
        Options::of(Program::oracle())
    }

    /// Which program it will be.
    pub fn program(&self) -> &Program {
        &self.program
    }

    fn of(program: &Program) -> Self {
        Options {
            program: program.clone(),
            shards: 1,
            args: Vec::new(),
            dir: None,
            port: None,
            metrics_port: 0,
            bind: vec![Ipv4Addr::LOCALHOST.to_string()],
            config_file: None,
            run_as: None,
        }
    }

    /// Number of shards; a real Redis does not know the word and always has one.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// One more parameter, without its dashes, and its values: `("save", &["60", "100"])`.
    pub fn param(mut self, name: &str, values: &[&str]) -> Self {
        self.args.push(format!("--{name}"));
        self.args.extend(values.iter().map(|value| (*value).to_owned()));
        self
    }

    /// One more argument as it is.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// The folder for its data, instead of one that is removed with the server.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_path_buf());
        self
    }

    /// The port, instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The port for metrics and health; without it they are turned off.
    pub fn metrics_port(mut self, port: u16) -> Self {
        self.metrics_port = port;
        self
    }

    /// The addresses it listens on, the first of them 127.0.0.1, instead of that one alone.
    pub fn bind(mut self, addresses: &[&str]) -> Self {
        self.bind = addresses.iter().map(|address| (*address).to_owned()).collect();
        self
    }

    /// A configuration file, read before the parameters.
    pub fn config_file(mut self, path: &Path) -> Self {
        self.config_file = Some(path.to_path_buf());
        self
    }

    /// Another name for the program, one of `redis-server`, under which it needs no `serve`.
    pub fn run_as(mut self, path: &Path) -> Self {
        self.run_as = Some(path.to_path_buf());
        self
    }

    /// Starts it and waits until it answers PING (or asks for a password).
    ///
    /// # Panics
    /// With the end of its log, when it does not answer in time or ends.
    pub fn start(&self) -> Server {
        for _ in 1..PORT_ATTEMPTS {
            let mut server = self.spawn();
            match server.await_answer() {
                Ok(()) => return server,
                Err(_) if self.port.is_none() && server.log().contains("ddress already in use") => {
                }
                Err(problem) => panic!("{problem}\n{}", server.log_tail()),
            }
        }
        panic!("no free port in {PORT_ATTEMPTS} attempts");
    }

    /// Starts it where it must refuse to serve, and waits for its end.
    ///
    /// # Panics
    /// When it still runs after the usual patience.
    pub fn start_and_fail(&self) -> Refusal {
        let mut server = self.spawn();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = server.ended() {
                return Refusal { status, stdout: server.output(), stderr: server.errors() };
            }
            wait::within(Duration::from_millis(20), || false);
        }
        panic!("it serves where it should refuse to\n{}", server.log_tail());
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&self) -> Server {
        let temp = TempDir::new();
        let dir = self.dir.clone().unwrap_or_else(|| temp.path().to_path_buf());
        let port = self.port.unwrap_or_else(free_port);
        let file = |name: &str| File::create(temp.path().join(name)).expect("a log can be made");
        let (stdout, stderr) = (file(STDOUT), file(STDERR));
        let mut command = Command::new(self.run_as.as_ref().unwrap_or(&self.program.path));
        if !self.program.is_redis && self.run_as.is_none() {
            command.arg("serve");
        }
        command.args(&self.config_file);
        if !self.program.is_redis {
            command.args(["--shards", &self.shards.to_string()]);
            command.args(["--metrics-port", &self.metrics_port.to_string()]);
        }
        command
            .args(["--port", &port.to_string(), "--save", "", "--bind"])
            .args(&self.bind)
            .arg("--dir")
            .arg(&dir)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("{} cannot start: {error}", self.program.path.display())
        });
        Server { child, port, dir, temp, program: self.program.clone() }
    }
}

/// How a server ended that refused to serve.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    dir: PathBuf,
    /// Holds what it prints, and the data unless a folder was given.
    temp: TempDir,
    program: Program,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder of its data.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which program it is.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// A new connection.
    ///
    /// # Panics
    /// With the end of its log, when it does not accept.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
            .unwrap_or_else(|error| panic!("no connection: {error}\n{}", self.log_tail()))
    }

    /// Everything it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        self.output() + &self.errors()
    }

    fn output(&self) -> String {
        self.printed(STDOUT)
    }

    fn errors(&self) -> String {
        self.printed(STDERR)
    }

    fn printed(&self, name: &str) -> String {
        let bytes = fs::read(self.temp.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its log, headed, for the message of a failure.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("--- log of the server ---\n{}\n--- end of log ---", tail.join("\n"))
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(&mut self) -> ExitStatus {
        process::signal(self.pid(), "TERM");
        let mut status = None;
        wait::until("the server ends after SIGTERM", || {
            status = self.ended();
            status.is_some()
        });
        status.expect("just seen")
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    fn await_answer(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return Err(format!("the server ended at start: {status}"));
            }
            let failure = match self.ping() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                return Err(format!("the server does not answer PING: {failure}"));
            }
            wait::within(Duration::from_millis(5), || false);
        }
    }

    fn ping(&self) -> io::Result<()> {
        // Somebody else may have taken the free port before this server could.
        if !process::listens_on(self.pid(), self.port) {
            return Err(io::Error::other("it does not listen on its port"));
        }
        let reply = Client::connect(self.address())?.try_call(&["PING"])?;
        if reply.text() == "PONG" || reply.is_error("NOAUTH") {
            return Ok(());
        }
        Err(io::Error::other(format!("{reply:?}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has already ended and been waited for.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
            eprintln!("files of the server: {}", self.temp.path().display());
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    listener.local_addr().expect("a listener has an address").port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_redis_is_read() {
        let text = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(redis_version(text), Some((7, 0)));
        assert_eq!(redis_version("rialto 0.1.0"), None);
    }

    #[test]
    fn a_server_serves_until_it_is_dropped() {
        let server = Options::oracle().start();
        let address = server.address();
        assert_eq!(server.client().run("PING").text(), "PONG");
        drop(server);
        assert!(Client::connect(address).is_err());
    }

    #[test]
    fn a_refusal_tells_status_and_log() {
        let refusal = Options::oracle().param("no-such-parameter", &["1"]).start_and_fail();
        assert!(!refusal.status.success());
        assert!(refusal.stderr.contains("no-such-parameter"), "{refusal:?}");
    }
}
