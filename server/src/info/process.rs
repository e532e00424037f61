//! What the kernel says of this process and its machine, read from /proc when somebody asks.

use std::fs;

/// Clock ticks per second in /proc/self/stat; Linux shows 100 to programs on every machine we run on.
const TICKS_PER_SECOND: u64 = 100;

/// Memory of the process, in bytes; 0 where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) resident_peak: u64,
}

impl Memory {
    pub(crate) fn read() -> Memory {
        Memory::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn parse(status: &str) -> Memory {
        let resident = kibibytes(status, "VmRSS:");
        // The kernel notes the peak only now and then.
        Memory { resident, resident_peak: kibibytes(status, "VmHWM:").max(resident) }
    }
}

/// What the kernel says of this process's memory, one line for each figure.
pub(crate) fn status_lines() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_memory = |line: &&str| line.starts_with("Vm") || line.starts_with("Rss");
    status.lines().filter(is_memory).map(|line| format!("{line}\n")).collect()
}

/// Memory of the machine, in bytes.
pub(crate) fn system_memory() -> u64 {
    kibibytes(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:")
}

fn kibibytes(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default().saturating_mul(1024)
}

/// CPU time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTimes {
    pub(super) user_us: u64,
    pub(super) system_us: u64,
    pub(super) children_user_us: u64,
    pub(super) children_system_us: u64,
}

impl CpuTimes {
    pub(super) fn read() -> CpuTimes {
        CpuTimes::parse(&fs::read_to_string("/proc/self/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> CpuTimes {
        // The name of the program, in parentheses, may hold blanks and parentheses itself.
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut times = behind_name.split_whitespace().skip(11).map(|field| {
            field.parse::<u64>().unwrap_or_default().saturating_mul(1_000_000 / TICKS_PER_SECOND)
        });
        let mut next = || times.next().unwrap_or_default();
        CpuTimes {
            user_us: next(),
            system_us: next(),
            children_user_us: next(),
            children_system_us: next(),
        }
    }
}

/// `Linux 6.12.0 x86_64`.
pub(super) fn operating_system() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!("{} {} {}", read("ostype"), read("osrelease"), std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_cpu_times_are_read() {
        let status = "Name:\trialto\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\n";
        let expected = Memory { resident: 2 << 20, resident_peak: 4 << 20 };
        assert_eq!(Memory::parse(status), expected);
        assert_eq!(Memory::parse(""), Memory::default());
        let stat = "1 (a) (b) S 1 1 1 0 -1 4194560 100 0 0 0 250 75 3 4 20 0 1 0 12 0";
        let times = CpuTimes::parse(stat);
        assert_eq!((times.user_us, times.system_us), (2_500_000, 750_000));
        assert_eq!((times.children_user_us, times.children_system_us), (30_000, 40_000));
        assert_eq!(CpuTimes::parse("nonsense"), CpuTimes::default());
    }

    #[test]
    fn this_process_has_memory_and_a_kernel() {
        assert!(Memory::read().resident > 0);
        assert!(system_memory() > Memory::read().resident);
        assert!(operating_system().starts_with("Linux "));
    }
}
