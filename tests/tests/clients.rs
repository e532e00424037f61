//! Programs that people use, used for real: redis-cli, redis-benchmark and redis-py.
//!
//! redis-cli and redis-benchmark come with Debian's redis-tools; redis-py is installed from PyPI into an
//! environment below the target folder (`tests/clients/setup.sh`), in the version of today's users and
//! in the newest one.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use blackbox::client::encode;
use blackbox::fixture::TempDir;
use blackbox::process;
use blackbox::server::{Options, Server};

/// What a tool may take, in seconds; then it is ended.
const TOOL_TIME_MAX: &str = "60";

/// A tool that must be installed.
fn tool(name: &str) -> Command {
    let found = Command::new(name).arg("--version").output().is_ok();
    assert!(found, "{name} is not installed: apt-get install redis-tools");
    let mut command = Command::new("timeout");
    command.args([TOOL_TIME_MAX, name]);
    command
}

/// What redis-cli prints for some arguments, with something on its standard input.
fn cli_with_input(server: &Server, args: &[&str], input: &[u8]) -> String {
    let mut child = tool("redis-cli")
        .args(["-p", &server.port().to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-cli starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input).expect("redis-cli reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("redis-cli ends");
    text(&output)
}

fn cli(server: &Server, args: &[&str]) -> String {
    cli_with_input(server, args, b"")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn redis_cli_talks() {
    let server = Options::rialto().shards(2).start();
    assert_eq!(cli(&server, &["PING"]), "PONG\n");
    assert_eq!(cli(&server, &["SET", "k", "v w"]), "OK\n");
    assert_eq!(cli(&server, &["GET", "k"]), "v w\n");
    assert_eq!(cli(&server, &["--no-raw", "GET", "k"]), "\"v w\"\n");
    assert_eq!(cli(&server, &["-n", "3", "DBSIZE"]), "0\n");
    assert_eq!(cli_with_input(&server, &["-x", "SET", "x"], b"from stdin"), "OK\n");
    assert_eq!(cli(&server, &["GET", "x"]), "from stdin\n");
    let dialogue = cli_with_input(&server, &[], b"INCR n\nINCR n\nSELECT 2\nDBSIZE\nNONSENSE\n");
    assert_eq!(
        dialogue,
        "1\n2\nOK\n0\nERR unknown command 'NONSENSE', with args beginning with: \n\n"
    );
    cli(&server, &["HSET", "h", "f", "v"]);
    assert_eq!(cli(&server, &["-3", "--no-raw", "HGETALL", "h"]), "1# \"f\" => \"v\"\n");
    assert_eq!(cli(&server, &["-r", "3", "-i", "0", "INCR", "repeated"]), "1\n2\n3\n");
    assert!(cli(&server, &["INFO", "server"]).contains("redis_version:7."));
    assert!(cli(&server, &["--no-raw", "COMMAND", "INFO", "get"]).contains("\"get\""));
}

#[test]
fn redis_cli_scans_deletes_and_measures() {
    const KEYS: usize = 3000;
    let server = Options::rialto().shards(4).start();
    let mut client = server.client();
    for number in 0..KEYS {
        client.send(&["SET", &format!("physics:state:{number}"), "x"]);
    }
    client.read_many(KEYS);
    client.ok("SET other 1");
    client.run("HSET hash a 1 b 2");
    let scanned = cli(&server, &["--scan", "--pattern", "physics:state:*"]);
    let mut keys: Vec<&str> = scanned.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), KEYS);
    let largest = cli(&server, &["--bigkeys"]);
    assert!(largest.contains(&format!("Sampled {} keys", KEYS + 2)), "{largest}");

    let pipeline = format!(
        "redis-cli -p {port} --scan --pattern 'physics:state:*' | xargs redis-cli -p {port} DEL",
        port = server.port()
    );
    let output = Command::new("sh").args(["-c", &pipeline]).output().expect("sh runs");
    let deleted: usize = text(&output).lines().filter_map(|line| line.parse::<usize>().ok()).sum();
    assert_eq!(deleted, KEYS, "{}", text(&output));
    assert_eq!(client.run("DBSIZE").as_integer(), Some(2));
}

#[test]
fn redis_cli_loads_a_pipe() {
    const COMMANDS: usize = 20_000;
    let server = Options::rialto().shards(4).start();
    let mut input = Vec::new();
    for number in 0..COMMANDS {
        input.extend(encode(&["SET".into(), format!("k:{number}"), number.to_string()]));
    }
    let report = cli_with_input(&server, &["--pipe"], &input);
    assert!(report.contains(&format!("errors: 0, replies: {COMMANDS}")), "{report}");
    assert_eq!(cli(&server, &["DBSIZE"]), format!("{COMMANDS}\n"));
}

#[test]
fn redis_cli_logs_in() {
    let server = Options::rialto().param("requirepass", &["secret"]).start();
    assert!(cli(&server, &["PING"]).starts_with("NOAUTH Authentication required."));
    let with = |args: &[&str]| cli(&server, &[&["--no-auth-warning"], args].concat());
    assert_eq!(with(&["-a", "secret", "ping"]), "PONG\n");
    assert_eq!(with(&["--user", "default", "--pass", "secret", "ping"]), "PONG\n");
    let url = format!("redis://default:secret@127.0.0.1:{}/0", server.port());
    assert_eq!(with(&["-u", &url, "ping"]), "PONG\n");
    assert!(with(&["-a", "wrong", "ping"]).contains("WRONGPASS"));
}

#[test]
fn redis_cli_listens() {
    let server = Options::rialto().shards(2).start();
    let mut listening = tool("redis-cli")
        .args(["-p", &server.port().to_string(), "SUBSCRIBE", "state_update"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli starts");
    let stdout = BufReader::new(listening.stdout.take().expect("it is piped"));
    let mut lines = stdout.lines().map(|line| line.expect("text"));
    let mut next = |count| lines.by_ref().take(count).collect::<Vec<_>>().join(" ");
    assert_eq!(next(3), "subscribe state_update 1");
    assert_eq!(cli(&server, &["PUBLISH", "state_update", "hello"]), "1\n");
    assert_eq!(next(3), "message state_update hello");
    assert!(process::signal(listening.id(), "TERM"));
    listening.wait().expect("it is our child");
}

#[test]
fn redis_benchmark_runs() {
    let server = Options::rialto().shards(2).start();
    let run = |args: &[&str]| {
        let output = tool("redis-benchmark")
            .args(["-p", &server.port().to_string(), "-q", "-n", "20000", "-r", "1000"])
            .args(args)
            .output()
            .expect("redis-benchmark starts");
        let report = text(&output);
        assert!(output.status.success(), "{report}");
        assert!(!report.to_lowercase().contains("error"), "{report}");
        assert!(report.contains("requests per second"), "{report}");
    };
    let tests =
        "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,hset,zadd,lrange_100,mset";
    run(&["-t", tests]);
    run(&["-t", "set,get", "-P", "16", "-c", "50", "-d", "64"]);
    run(&["-t", "set,get", "--threads", "2"]);
    run(&["-3", "-t", "set,get"]);
}

/// A Python with the libraries of a requirements file. Tests share it, so only one makes it.
fn python(requirements: &str) -> PathBuf {
    static SETUP: Mutex<()> = Mutex::new(());
    let _one_at_a_time = SETUP.lock();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(requirements.replace(".txt", ""));
    let output = Command::new(clients_folder().join("setup.sh"))
        .arg(folder)
        .arg(requirements)
        .output()
        .expect("setup.sh runs");
    assert!(output.status.success(), "no redis-py: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim().into()
}

fn clients_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

fn redis_py_works(requirements: &str) {
    let server = Options::rialto().shards(2).param("requirepass", &["secret"]).start();
    let output = Command::new(python(requirements))
        .arg(clients_folder().join("test_redis_py.py"))
        .env("REDIS_URL", format!("redis://:secret@127.0.0.1:{}/0", server.port()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn redis_py_does_what_platforms_do_all_day() {
    redis_py_works("requirements.txt");
}

#[test]
fn the_newest_redis_py_does_too() {
    redis_py_works("requirements-newest.txt");
}

#[test]
fn redis_py_survives_a_restart() {
    let dir = TempDir::new();
    let durable = Options::rialto().param("appendonly", &["yes"]).dir(dir.path());
    let mut server = durable.clone().shards(2).start();
    let port = server.port();
    let mut child = Command::new(python("requirements.txt"))
        .arg(clients_folder().join("survive_restart.py"))
        .env("REDIS_URL", format!("redis://127.0.0.1:{port}/0"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut hear = || {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        line
    };
    assert_eq!(hear(), "ready\n");
    assert_eq!(server.terminate().code(), Some(0));
    assert_eq!(hear(), "away\n");

    let server = durable.shards(4).port(port).start();
    stdin.write_all(b"restarted\n").expect("Python reads");
    drop(stdin);
    let last_word = hear();
    let output = child.wait_with_output().expect("Python ends");
    assert_eq!(last_word, "done\n", "{}", text(&output));
    assert_eq!(server.client().run("EXISTS last").as_integer(), Some(1));
}
