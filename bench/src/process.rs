//! What the kernel knows of another process: its CPU time, its resident memory; and which CPUs are ours.

use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// CPU time that all threads of a process have used so far, user and system, in nanoseconds' resolution.
///
/// It reads the process's CPU clock and not `/proc/PID/stat` (10 ms ticks) nor the sum over
/// `/proc/PID/task` (which forgets threads that ended, such as idle io_uring workers).
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
    Ok(clock.now()?.into())
}

/// Resident bytes of a process (`VmRSS`).
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    kilobytes(pid, "VmRSS:")
}

/// A figure of a process that the kernel gives in kilobytes, in bytes.
fn kilobytes(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = field_after(&status, name)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| io::Error::other("no such line"))
}

/// The most resident bytes that a process has had (`VmHWM`).
///
/// # Errors
/// When there is no such process.
pub fn peak_resident_bytes(pid: u32) -> io::Result<u64> {
    kilobytes(pid, "VmHWM:")
}

/// The CPUs this process may use, ascending.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = field_after(&status, "Cpus_allowed_list:").unwrap_or_default();
    parse_cpu_list(list.trim()).ok_or_else(|| io::Error::other("unreadable Cpus_allowed_list"))
}

/// Raises the limit of open files of this process, which its children inherit, to the hard limit.
/// Returns the limit that holds now.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_file_limit() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// The machine as reports name it: CPU model, CPUs usable, kernel.
#[must_use]
pub fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field_after(&cpuinfo, "model name").unwrap_or(" unknown CPU");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpu_count = allowed_cpus().map_or(0, |cpus| cpus.len());
    format!("{model}, {cpu_count} CPUs, Linux {}", kernel.trim())
}

/// How many threads of the whole machine wanted a CPU over the last minute, on average. A measurement on
/// a machine that is busy with something else is worth little.
#[must_use]
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// The rest of the first line of `text` that begins with `name`.
fn field_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// Reads the kernel's list form: `0-3,6`.
fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_read() {
        assert_eq!(parse_cpu_list("0-1"), Some(vec![0, 1]));
        assert_eq!(parse_cpu_list("2,5-7"), Some(vec![2, 5, 6, 7]));
        assert_eq!(parse_cpu_list("x"), None);
    }

    #[test]
    fn work_shows_in_the_cpu_time_of_this_process() {
        let before = cpu_time(std::process::id()).expect("this process exists");
        let mut sum = 0_u64;
        while cpu_time(std::process::id()).expect("exists") < before + Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(sum > 0);
    }

    #[test]
    fn this_process_has_memory_and_cpus() {
        assert!(resident_bytes(std::process::id()).expect("this process exists") > 100_000);
        assert!(!allowed_cpus().expect("/proc is mounted").is_empty());
        assert!(resident_bytes(u32::MAX >> 1).is_err());
    }
}
