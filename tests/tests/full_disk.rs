//! A disk that fills up: writes get MISCONF and reads go on, nothing acknowledged is lost, and once there is room again
//! the server goes on by itself.
//!
//! The disk is a small file system in a mount namespace of the server's own; the test sees it through /proc.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use blackbox::fixture::TempDir;
use blackbox::server::{Options, Program, Server};
use blackbox::value::Value;
use blackbox::wait;

/// Writes that certainly do not fit.
const WRITES_MAX: usize = 10_000;

/// A program that starts the server on a disk of 4 MiB, 3 of which are taken by a file called `ballast`.
fn on_a_small_disk(dir: &TempDir) -> (PathBuf, PathBuf) {
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).expect("a folder can be made");
    let program = dir.path().join("start");
    let (disk_text, rialto) = (disk.display(), Program::rialto().path().display());
    let script = format!(
        "#!/bin/sh\nexec unshare --mount --map-root-user sh -c '\n\
         mount -t tmpfs -o size=4m none {disk_text} &&\n\
         head -c 3145728 /dev/zero > {disk_text}/ballast &&\n\
         mkdir {disk_text}/data &&\n\
         exec {rialto} serve \"$@\"' sh \"$@\"\n"
    );
    fs::write(&program, script).expect("a script can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    (program, disk)
}

/// A path of the server's, as it is seen from outside its namespace.
fn outside(server: &Server, path: &Path) -> PathBuf {
    let below_root = path.strip_prefix("/").expect("an absolute path");
    Path::new("/proc").join(server.pid().to_string()).join("root").join(below_root)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("it can be listed").flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
    }
}

#[test]
fn writes_are_refused_while_the_disk_is_full_and_none_is_lost() {
    if Program::rialto().is_redis() {
        return;
    }
    let dir = TempDir::new();
    let (program, disk) = on_a_small_disk(&dir);
    let durable = |data: &Path| Options::rialto().param("appendonly", &["yes"]).dir(data);
    let data = disk.join("data");
    let server = durable(&data).run_as(&program).start();
    let mut client = server.client();

    let value = "x".repeat(1000);
    let mut refused = None;
    let mut acknowledged_count = 0;
    for number in 0..WRITES_MAX {
        let reply = client.run(&format!("SET key:{number} {value}"));
        if let Value::Error(text) = reply {
            refused = Some(String::from_utf8_lossy(&text).into_owned());
            break;
        }
        assert!(reply.is_ok(), "{reply:?}");
        acknowledged_count += 1;
    }
    let refused = refused.expect("the disk is full at last");
    assert!(refused.starts_with("MISCONF Errors writing to the AOF file: "), "{refused}");
    assert!(refused.contains("No space left on device"), "{refused}");
    assert_eq!(client.run("GET key:0").text(), value, "reads go on");
    assert_eq!(client.run("PING").text(), "PONG");

    fs::remove_file(outside(&server, &disk.join("ballast"))).expect("the test sees the disk");
    wait::until("writes are accepted again", || client.run("SET after 1").is_ok());

    let copy = dir.path().join("copy");
    copy_folder(&outside(&server, &data.join("appendonlydir")), &copy.join("appendonlydir"));
    let restarted = durable(&copy).start();
    let mut client = restarted.client();
    for number in 0..acknowledged_count {
        assert_eq!(client.run(&format!("GET key:{number}")).text(), value, "key:{number}");
    }
    assert_eq!(client.run("GET after").text(), "1");
}
