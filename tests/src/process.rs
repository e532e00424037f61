//! What is asked of the operating system about processes: limits, memory, signals.
//!
//! Done with the usual commands (`kill`, `prlimit`) and `/proc`, so no system call binding is needed.

use std::fs;
use std::process::Command;

/// Sends a signal ("TERM", "KILL", "STOP", "CONT") to one process; false if there is no such process.
pub fn signal(pid: u32, name: &str) -> bool {
    Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status()
        .expect("kill(1) is installed")
        .success()
}

/// Resident memory of a process, in bytes.
///
/// # Panics
/// When the process does not exist.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux tells VmRSS");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("VmRSS is a number of kB");
    kib << 10
}

/// Number of open file descriptors of a process.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs and is ours").count()
}

/// Whether a process of ours listens on a TCP port of IPv4.
pub fn listens_on(pid: u32, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux tells the sockets");
    // Columns: number, local address:port (hexadecimal), remote, state, ..., inode as the tenth.
    let inodes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_ours = columns.get(1)?.ends_with(&format!(":{port:04X}")) && columns[3] == LISTEN;
        is_ours.then(|| format!("socket:[{}]", columns[9]))
    });
    let inodes: Vec<String> = inodes.collect();
    // The process may have ended in the meantime, and then listens no more.
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets.any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
}

/// Raises this process's limit of open files to the hard limit and returns it. Servers started
/// afterwards inherit it.
pub fn raise_open_files_limit() -> u64 {
    let hard = open_files_limit(1);
    let done = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={hard}:{hard}")])
        .status()
        .expect("prlimit(1) of util-linux is installed")
        .success();
    assert!(done, "the soft limit of open files can be raised to the hard limit");
    open_files_limit(0)
}

/// The soft (0) or hard (1) limit of open files of this process.
fn open_files_limit(column: usize) -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").expect("Linux tells the limits");
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("it is listed");
    line.split_whitespace()
        .nth(column)
        .and_then(|number| number.parse().ok())
        .expect("a limit is a number")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_who_listens_is_said_to_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(listens_on(std::process::id(), port));
        assert!(!listens_on(1, port));
        drop(listener);
        assert!(!listens_on(std::process::id(), port));
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let pid = std::process::id();
        assert!(resident_bytes(pid) > 0);
        assert!(open_files(pid) >= 3);
        assert_eq!(raise_open_files_limit(), open_files_limit(1));
    }
}
