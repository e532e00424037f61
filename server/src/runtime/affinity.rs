//! Which CPUs this process may use: the affinity mask (which taskset and cpusets set), and the quota of its cgroup.

use std::fs;

/// The CPUs of the affinity mask, ascending.
///
/// # Errors
/// If the kernel does not tell.
pub fn allowed_cpus() -> std::io::Result<Vec<usize>> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(|list| parse_cpu_list(list.trim()))
        .ok_or_else(|| std::io::Error::other("no readable Cpus_allowed_list in /proc"))
}

/// How many CPUs' worth of time the cgroup grants (`cpu.max`), rounded up; `None` without a limit.
#[must_use]
pub fn quota_cpus() -> Option<usize> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut best: Option<usize> = None;
    // A limit may stand in any ancestor; inside a container the own path is often "/".
    let mut folder = format!("/sys/fs/cgroup{path}");
    loop {
        if let Ok(text) = fs::read_to_string(format!("{}/cpu.max", folder.trim_end_matches('/'))) {
            best = match (best, parse_cpu_max(&text)) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        match folder.rfind('/') {
            Some(end) if end >= "/sys/fs/cgroup".len() => folder.truncate(end),
            _ => return best,
        }
    }
}

/// The CPUs to pin cores to: `wanted` of them, or as many as mask and quota allow when `wanted` is 0. With more
/// shards than CPUs, CPUs repeat.
///
/// # Errors
/// If the kernel does not tell the affinity mask.
pub fn plan(wanted: usize) -> std::io::Result<Vec<usize>> {
    let cpus = allowed_cpus()?;
    let count = match wanted {
        0 => cpus.len().min(quota_cpus().unwrap_or(usize::MAX)).max(1),
        count => count,
    };
    Ok(cpus.iter().copied().cycle().take(count).collect())
}

/// Reads `0-3,8`.
fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last);
    }
    (!cpus.is_empty()).then_some(cpus)
}

/// Reads `max 100000` or `150000 100000` (microseconds of CPU per microseconds of time).
fn parse_cpu_max(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (usize, usize) = (quota.parse().ok()?, period.parse().ok()?);
    Some(quota.div_ceil(period.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_list_has_ranges_and_single_cpus() {
        assert_eq!(parse_cpu_list("0-2,8"), Some(vec![0, 1, 2, 8]));
        assert_eq!(parse_cpu_list("5"), Some(vec![5]));
        assert_eq!(parse_cpu_list(""), None);
    }

    #[test]
    fn a_quota_is_rounded_up_and_max_is_none() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(2));
        assert_eq!(parse_cpu_max("50000 100000"), Some(1));
        assert_eq!(parse_cpu_max("max 100000"), None);
    }

    #[test]
    fn a_plan_repeats_cpus_when_there_are_more_shards() {
        let cpus = allowed_cpus().unwrap();
        assert_eq!(plan(cpus.len() + 1).unwrap().len(), cpus.len() + 1);
        assert!(plan(0).unwrap().len() <= cpus.len());
    }
}
