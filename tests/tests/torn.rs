//! A damaged append-only file: a torn end is cut off with a warning; damage anywhere else refuses the
//! start, names file and offset, and leaves the file alone.
//!
//! What a frame looks like is Rialto's own, so most of this does not concern a real Redis.

use std::fs;
use std::path::{Path, PathBuf};

use blackbox::fixture::{TempDir, files_below};
use blackbox::server::{Options, Program, Server};

const KEYS: usize = 2000;

fn options(dir: &TempDir, shards: usize) -> Options {
    let durable = Options::rialto().param("appendonly", &["yes"]);
    durable.param("appendfsync", &["everysec"]).shards(shards).dir(dir.path())
}

/// A folder in which `KEYS` keys were written and a server was shut down.
fn written(shards: usize) -> TempDir {
    let dir = TempDir::new();
    let mut server = options(&dir, shards).start();
    let mut client = server.client();
    for number in 0..KEYS {
        client.send(&["SET", &format!("key:{number}"), &format!("value {number}")]);
    }
    client.read_many(KEYS);
    assert_eq!(server.terminate().code(), Some(0), "{}", server.log_tail());
    dir
}

/// The log segments: the files that hold the writes.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let holds_writes = |path: &PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.windows(6).any(|text| text == b"value "))
    };
    let segments: Vec<PathBuf> = files_below(dir).into_iter().filter(holds_writes).collect();
    assert!(!segments.is_empty(), "no file holds the writes: {:?}", files_below(dir));
    segments
}

fn key_count(server: &Server) -> usize {
    let count = server.client().run("DBSIZE").as_integer().expect("a number");
    usize::try_from(count).expect("not negative")
}

fn warns_of_truncation(server: &Server) -> bool {
    server.log().to_lowercase().contains("truncat")
}

#[test]
fn a_segment_that_ends_in_the_middle_of_a_write_is_cut_with_a_warning() {
    for shards in [1, 2] {
        let dir = written(shards);
        let segment = segments(dir.path()).remove(0);
        let bytes = fs::read(&segment).expect("readable");
        fs::write(&segment, &bytes[..bytes.len() - 5]).expect("writable");
        let mut server = options(&dir, shards).start();
        assert!(warns_of_truncation(&server), "{}", server.log_tail());
        let name = segment.file_name().expect("a file").to_string_lossy().into_owned();
        if !server.program().is_redis() {
            assert!(
                server.log().contains(&name),
                "the warning names {name}\n{}",
                server.log_tail()
            );
        }
        // Only what stood in the last frame may be gone; and it stays gone.
        let left = key_count(&server);
        assert!(left <= KEYS, "{left} keys");
        assert!(server.client().run("SET more 1").is_ok());
        assert_eq!(server.terminate().code(), Some(0));
        let server = options(&dir, shards).start();
        assert!(!warns_of_truncation(&server), "warned twice\n{}", server.log_tail());
        assert_eq!(key_count(&server), left + 1);
    }
}

#[test]
fn garbage_after_the_last_write_is_cut_with_a_warning() {
    if Program::rialto().is_redis() {
        return;
    }
    let garbage: [&[u8]; 4] =
        [b"\x00", b"#", &[0x5a; 5000], b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nhalf"];
    for garbage in garbage {
        let dir = written(2);
        for segment in segments(dir.path()) {
            let bytes = [&fs::read(&segment).expect("readable")[..], garbage].concat();
            fs::write(&segment, bytes).expect("writable");
        }
        let mut server = options(&dir, 2).start();
        assert!(warns_of_truncation(&server), "{}", server.log_tail());
        assert_eq!(key_count(&server), KEYS, "no complete write is lost");
        assert_eq!(server.terminate().code(), Some(0));
        let server = options(&dir, 4).start();
        assert_eq!(key_count(&server), KEYS);
    }
}

#[test]
fn with_aof_load_truncated_no_a_torn_end_refuses_the_start() {
    let dir = written(1);
    let segment = segments(dir.path()).remove(0);
    let bytes = fs::read(&segment).expect("readable");
    fs::write(&segment, &bytes[..bytes.len() - 5]).expect("writable");
    let refusal = options(&dir, 1).param("aof-load-truncated", &["no"]).start_and_fail();
    assert_eq!(refusal.status.code(), Some(1));
    assert_eq!(fs::read(&segment).expect("readable").len(), bytes.len() - 5, "left alone");
}

#[test]
fn damage_in_the_middle_refuses_the_start_and_names_file_and_offset() {
    if Program::rialto().is_redis() {
        return;
    }
    for (part, whole) in [(1, 4), (1, 2), (3, 4)] {
        let dir = written(2);
        for segment in segments(dir.path()) {
            let good = fs::read(&segment).expect("readable");
            let mut bad = good.clone();
            bad[good.len() * part / whole] ^= 0x01;
            fs::write(&segment, &bad).expect("writable");

            let refusal = options(&dir, 2).start_and_fail();
            assert_eq!(refusal.status.code(), Some(1), "{refusal:?}");
            let name = segment.file_name().expect("a file").to_string_lossy().into_owned();
            assert!(refusal.stderr.contains(&name), "{name} is not named: {refusal:?}");
            assert!(names_an_offset(&refusal.stderr), "no offset is named: {refusal:?}");
            assert!(!refusal.stderr.contains("panicked"), "{refusal:?}");
            assert_eq!(fs::read(&segment).expect("readable"), bad, "the file is left alone");

            fs::write(&segment, &good).expect("writable");
        }
        let server = options(&dir, 2).start();
        assert_eq!(key_count(&server), KEYS, "repaired by hand, everything is there");
    }
}

/// Whether a text says "offset" and a number after it.
fn names_an_offset(text: &str) -> bool {
    text.split("offset").skip(1).any(|after| {
        after.trim_start_matches([' ', ':', '=']).starts_with(|c: char| c.is_ascii_digit())
    })
}

#[test]
fn a_segment_that_is_missing_refuses_the_start() {
    if Program::rialto().is_redis() {
        return;
    }
    let dir = written(2);
    let segment = segments(dir.path()).remove(0);
    fs::remove_file(&segment).expect("removable");
    let refusal = options(&dir, 2).start_and_fail();
    assert_eq!(refusal.status.code(), Some(1));
    let name = segment.file_name().expect("a file").to_string_lossy().into_owned();
    assert!(refusal.stderr.contains(&name), "{name} is not named: {refusal:?}");
}
