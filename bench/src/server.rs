//! Starting and stopping the servers that are measured or crashed.
//!
//! A [`Server`] owns its process: when it is dropped the process is killed and waited for. Should the
//! measuring program itself be killed, the kernel ends the server with it (`setpriv --pdeathsig`), so
//! nothing is left running. For the same reason [`Server::start`] belongs on the main thread: the
//! kernel watches the thread that started the server.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::clock::Clock;

/// How long a server may take to load its data and answer PING.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at a server that is starting.
const READY_POLL: Duration = Duration::from_millis(10);

/// Whose command line a server binary understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// `rialto serve …`
    Rialto,
    /// `redis-server …`; also Valkey.
    Redis,
    /// `pogocache …`, which has neither a log nor Redis's parameters.
    Pogocache,
}

/// An installed server program.
#[derive(Debug, Clone)]
pub struct Binary {
    /// Path or name on `PATH`.
    pub path: PathBuf,
    /// What `--version` showed it to be.
    pub flavor: Flavor,
    /// Name and version for reports, such as `redis-server 7.0.15`.
    pub version: String,
}

impl Binary {
    /// Asks the program at `path` what it is.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn probe(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .map_err(|error| format!("cannot run {}: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text.lines().next().unwrap_or_default();
        let (flavor, version) = classify(text);
        Ok(Self { path, flavor, version })
    }
}

/// Flavour and name of the program that prints `text` as its version.
fn classify(text: &str) -> (Flavor, String) {
    for (prefix, name) in
        [("Redis server v=", "redis-server"), ("Valkey server v=", "valkey-server")]
    {
        if let Some(rest) = text.strip_prefix(prefix) {
            let number = rest.split_whitespace().next().unwrap_or_default();
            return (Flavor::Redis, format!("{name} {number}"));
        }
    }
    if text.starts_with("pogocache") {
        return (Flavor::Pogocache, text.to_owned());
    }
    (Flavor::Rialto, text.to_owned())
}

/// Whether a server keeps an append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// No log.
    Off,
    /// A log with `appendfsync everysec`. Automatic rewrites are off, so that no server rewrites in
    /// the middle of a measurement.
    EverySecond,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shards of Rialto, threads of Pogocache; Redis has one and ignores it.
    pub shards: usize,
    /// The log.
    pub log: Log,
    /// CPUs the server may use; empty for all.
    pub cpus: Vec<usize>,
}

/// A running server on 127.0.0.1, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts `binary` in the directory `dir` on a free port and waits until it answers PING.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready within a minute; with the end of its output.
    pub fn start(binary: &Binary, options: &Options, dir: &Path) -> Result<Self, String> {
        let describe =
            |error: io::Error| format!("cannot start {}: {error}", binary.path.display());
        let port = free_port().map_err(describe)?;
        let output = dir.join("server.out");
        let log = File::options().create(true).append(true).open(&output).map_err(describe)?;
        let child = command(binary, options, dir, port)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(describe)?)
            .stderr(log)
            .spawn()
            .map_err(describe)?;
        let mut server = Self { child, port };
        server.wait_ready().map_err(|reason| {
            let tail = last_lines(&output);
            format!("{} on port {port}: {reason}\n{tail}", binary.path.display())
        })?;
        Ok(server)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address for the client library.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does and waits for its end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let client = redis::Client::open(self.url()).map_err(|error| error.to_string())?;
        let clock = Clock::start();
        let mut last_error = String::from("no answer");
        while clock.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("ended while starting: {status}"));
            }
            let pong = client
                .get_connection_with_timeout(READY_WITHIN)
                .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
            match pong {
                Ok(_) => return Ok(()),
                Err(error) => last_error = error.to_string(),
            }
            std::thread::sleep(READY_POLL);
        }
        Err(format!("not ready after {} s: {last_error}", READY_WITHIN.as_secs()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill and nothing to report.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The start line of a server.
fn command(binary: &Binary, options: &Options, dir: &Path, port: u16) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if !options.cpus.is_empty() {
        command.args(["taskset", "-c", &cpu_list(&options.cpus)]);
    }
    command.arg(&binary.path);
    let port = port.to_string();
    let count = options.shards.to_string();
    if binary.flavor == Flavor::Pogocache {
        command.args(["-h", "127.0.0.1", "-p", &port, "--threads", &count, "--maxconns", "20000"]);
        return command;
    }
    if binary.flavor == Flavor::Rialto {
        command.args(["serve", "--shards", &count, "--metrics-port", "0"]);
    }
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir);
    command.args(match options.log {
        Log::Off => ["--appendonly", "no"].as_slice(),
        Log::EverySecond => EVERY_SECOND,
    });
    command
}

/// Redis's parameters for [`Log::EverySecond`].
const EVERY_SECOND: &[&str] =
    &["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];

/// CPUs in the form `taskset -c` takes.
#[must_use]
pub fn cpu_list(cpus: &[usize]) -> String {
    cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A port of 127.0.0.1 that nobody listens on at this moment.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The last lines of a server's output, to be shown with an error.
fn last_lines(path: &Path) -> String {
    const LINES_SHOWN: usize = 12;
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

/// A new directory for a server's files, removed when dropped.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes a directory named after `purpose` in the system's place for temporary files (`TMPDIR`).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(purpose: &str) -> Result<Self, String> {
        let unique = format!("rialto-{purpose}-{}-", std::process::id());
        let parent = std::env::temp_dir();
        for number in 0..10_000 {
            let path = parent.join(format!("{unique}{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("cannot make {}: {error}", path.display())),
            }
        }
        Err(format!("too many directories {unique}* in {}", parent.display()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A leftover in the place for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(flavor: Flavor, log: Log, cpus: &[usize]) -> String {
        let binary = Binary { path: "bin".into(), flavor, version: String::new() };
        let options = Options { shards: 2, log, cpus: cpus.to_vec() };
        let command = command(&binary, &options, Path::new("/d"), 7000);
        command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn versions_tell_the_flavor() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(classify(redis), (Flavor::Redis, "redis-server 7.0.15".into()));
        let valkey = "Valkey server v=8.0.1 sha=00000000:0";
        assert_eq!(classify(valkey), (Flavor::Redis, "valkey-server 8.0.1".into()));
        assert_eq!(classify("pogocache 1.3.1").0, Flavor::Pogocache);
        assert_eq!(classify("rialto 0.1.0"), (Flavor::Rialto, "rialto 0.1.0".into()));
    }

    #[test]
    fn each_flavor_has_its_start_line() {
        assert_eq!(
            words(Flavor::Redis, Log::Off, &[0, 1]),
            "--pdeathsig KILL taskset -c 0,1 bin --port 7000 --bind 127.0.0.1 --save  --dir /d \
             --appendonly no"
        );
        assert_eq!(
            words(Flavor::Rialto, Log::EverySecond, &[]),
            "--pdeathsig KILL bin serve --shards 2 --metrics-port 0 --port 7000 --bind 127.0.0.1 \
             --save  --dir /d --appendonly yes --appendfsync everysec --auto-aof-rewrite-percentage 0"
        );
        assert_eq!(
            words(Flavor::Pogocache, Log::Off, &[0]),
            "--pdeathsig KILL taskset -c 0 bin -h 127.0.0.1 -p 7000 --threads 2 --maxconns 20000"
        );
    }

    #[test]
    fn a_temporary_directory_goes_with_its_owner() {
        let dir = TempDir::new("test").expect("the temporary directory is writable");
        let path = dir.path().to_owned();
        assert!(path.is_dir());
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_is_no_server_is_reported_with_its_output() {
        let binary = Binary { path: "false".into(), flavor: Flavor::Redis, version: String::new() };
        let options = Options { shards: 1, log: Log::Off, cpus: Vec::new() };
        let dir = TempDir::new("test").expect("the temporary directory is writable");
        let error = Server::start(&binary, &options, dir.path()).expect_err("false ends at once");
        assert!(error.contains("ended while starting"), "{error}");
    }
}
