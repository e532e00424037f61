//! Where a server cannot work it says so in one clear sentence on stderr and ends with exit code 1: a
//! data folder that is missing, read-only or in use, a port in use, a configuration that makes no sense.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use blackbox::fixture::TempDir;
use blackbox::server::{Options, Program, Refusal};

/// Checks that a refusal is one sentence of use to a human, and gives it.
fn sentence(refusal: &Refusal, words: &[&str]) -> String {
    assert_eq!(refusal.status.code(), Some(1), "{refusal:?}");
    if Program::rialto().is_redis() {
        // A real Redis tells its log; which words it chooses is not our business.
        return format!("{}{}", refusal.stdout, refusal.stderr);
    }
    let text = refusal.stderr.trim_end();
    assert!(!text.contains("panicked") && !text.contains("stack backtrace"), "{text}");
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    for word in words {
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "\"{word}\" is not in: {text}");
    }
    text.to_owned()
}

fn durable() -> Options {
    Options::rialto().param("appendonly", &["yes"])
}

#[test]
fn a_missing_folder() {
    let dir = TempDir::new();
    let missing = dir.path().join("missing");
    for options in [durable(), Options::rialto()] {
        let refusal = options.dir(&missing).start_and_fail();
        let text = sentence(&refusal, &["no such file or directory"]);
        assert!(text.contains(&missing.display().to_string()), "{text}");
    }
    assert!(!missing.exists(), "it is not made silently");
}

#[test]
fn a_file_instead_of_a_folder() {
    let dir = TempDir::new();
    let file = dir.path().join("file");
    fs::write(&file, "x").expect("writable");
    let refusal = durable().dir(&file).start_and_fail();
    let text = sentence(&refusal, &["not a directory"]);
    assert!(text.contains(&file.display().to_string()), "{text}");
}

/// A folder in which this user can make no file: one without the right to write, or, for the
/// superuser, who needs no right, one of the kernel's.
fn read_only_folder(dir: &TempDir) -> PathBuf {
    let is_root = fs::metadata("/proc/self").expect("Linux has it").uid() == 0;
    if is_root {
        return Path::new("/sys/kernel").to_path_buf();
    }
    let path = dir.path().join("read-only");
    fs::create_dir(&path).expect("a folder can be made");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).expect("it is ours");
    path
}

#[test]
fn a_read_only_folder() {
    let dir = TempDir::new();
    let read_only = read_only_folder(&dir);
    let refusal = durable().dir(&read_only).start_and_fail();
    let text = sentence(&refusal, &[]);
    if !Program::rialto().is_redis() {
        assert!(text.contains(&read_only.display().to_string()), "{text}");
    }
}

#[test]
fn a_folder_of_another_running_server() {
    if Program::rialto().is_redis() {
        return;
    }
    let dir = TempDir::new();
    let mut first = durable().dir(dir.path()).start();
    first.client().ok("SET k 1");
    for shards in [1, 2] {
        let refusal = durable().shards(shards).dir(dir.path()).start_and_fail();
        let text = sentence(&refusal, &["another"]);
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
    }
    assert_eq!(first.client().run("GET k").text(), "1", "the first is not disturbed");
    first.kill();
    let next = durable().dir(dir.path()).start();
    assert_eq!(
        next.client().run("PING").text(),
        "PONG",
        "the lock of a dead server does not count"
    );
}

#[test]
fn a_port_in_use() {
    let first = Options::rialto().shards(2).start();
    for shards in [1, 2] {
        let refusal = Options::rialto().shards(shards).port(first.port()).start_and_fail();
        let text = sentence(&refusal, &["address already in use"]);
        assert!(text.contains(&first.port().to_string()), "{text}");
    }
    assert_eq!(first.client().run("PING").text(), "PONG");
}

#[test]
fn a_parameter_that_does_not_exist() {
    let refusal = Options::rialto().param("no-such-parameter", &["1"]).start_and_fail();
    assert_eq!(refusal.status.code(), Some(1), "{refusal:?}");
    assert!(refusal.stderr.contains("no-such-parameter"), "{refusal:?}");
}

#[test]
fn values_that_make_no_sense() {
    for (name, value) in [
        ("maxmemory", "abc"),
        ("maxmemory-policy", "nonsense"),
        ("appendfsync", "sometimes"),
        ("timeout", "-1"),
        ("databases", "0"),
        ("maxclients", "0"),
        ("appendonly", "maybe"),
        ("client-output-buffer-limit", "pubsub"),
    ] {
        let refusal = Options::rialto().param(name, &[value]).start_and_fail();
        assert_eq!(refusal.status.code(), Some(1), "{name} {value}: {refusal:?}");
        assert!(refusal.stderr.contains(name), "{name} {value}: {refusal:?}");
        assert!(!refusal.stderr.contains("panicked"), "{refusal:?}");
    }
}

#[test]
fn a_configuration_file_is_read_and_its_errors_are_shown_with_their_line() {
    let dir = TempDir::new();
    let path = dir.path().join("redis.conf");
    let included = dir.path().join("included.conf");
    fs::write(&included, "maxmemory-policy allkeys-lru\n").expect("writable");
    let text = format!(
        "# a comment\n\nmaxmemory 100mb\nTimeout 77\nrequirepass \"se cret\"\n\
         client-output-buffer-limit pubsub 1mb 512kb 10\ninclude {}\n",
        included.display()
    );
    fs::write(&path, &text).expect("writable");
    // The file comes first: what is given after it on the command line counts.
    let server = Options::rialto().config_file(&path).param("timeout", &["78"]).start();
    let mut client = server.client();
    assert!(client.run("GET k").is_error("NOAUTH"));
    client.ok("AUTH \"se cret\"");
    for (name, value) in [
        ("maxmemory", "104857600"),
        ("timeout", "78"),
        ("maxmemory-policy", "allkeys-lru"),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 524288 10",
        ),
    ] {
        let reply = client.run(&format!("CONFIG GET {name}"));
        assert_eq!(reply.elements().expect("a pair")[1].text(), value, "{name}");
    }

    fs::write(&path, format!("{text}nonsense 1\n")).expect("writable");
    let refusal = Options::rialto().config_file(&path).start_and_fail();
    assert_eq!(refusal.status.code(), Some(1));
    assert!(refusal.stderr.contains("nonsense"), "{refusal:?}");
    assert!(refusal.stderr.contains("line 8"), "{refusal:?}");

    let refusal = Options::rialto().config_file(&dir.path().join("missing.conf")).start_and_fail();
    assert_eq!(refusal.status.code(), Some(1));
    let text = format!("{}{}", refusal.stdout, refusal.stderr);
    assert!(text.contains("missing.conf"), "{text}");
}

#[test]
fn under_the_name_of_redis_server_it_serves_without_being_told() {
    let dir = TempDir::new();
    let link = dir.path().join("redis-server");
    std::os::unix::fs::symlink(Program::rialto().path(), &link).expect("a link can be made");
    let server = Options::rialto().run_as(&link).param("appendonly", &["no"]).start();
    assert_eq!(server.client().run("PING").text(), "PONG");
}

#[test]
fn it_tells_its_version_and_its_usage() {
    let output = |arg: &str| {
        let output = Command::new(Program::rialto().path()).arg(arg).output().expect("it runs");
        assert!(output.status.code() == Some(0) || Program::rialto().is_redis(), "{output:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(output("--version").contains(|c: char| c.is_ascii_digit()));
    assert!(output("--help").to_lowercase().contains("usage"));
}
