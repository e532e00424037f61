//! What the kernel says about this process.

/// Numbers of /proc/self/status; `None` where it does not have them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) thread_count: Option<u64>,
}

impl Status {
    pub(super) fn read() -> Status {
        std::fs::read_to_string("/proc/self/status")
            .map(|text| Status::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Status {
        let number = |name: &str| -> Option<u64> {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim_start_matches(':').split_whitespace().next()?.parse().ok()
        };
        let bytes = |name| number(name).and_then(|kibibytes| kibibytes.checked_mul(1024));
        Status {
            resident_bytes: bytes("VmRSS"),
            virtual_bytes: bytes("VmSize"),
            thread_count: number("Threads"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_lines_it_knows() {
        let text = "Name:\trialto\nVmSize:\t    2048 kB\nVmRSS:\t     512 kB\nThreads:\t4\n";
        let status = Status::parse(text);
        assert_eq!(status.resident_bytes, Some(512 << 10));
        assert_eq!(status.virtual_bytes, Some(2 << 20));
        assert_eq!(status.thread_count, Some(4));
    }

    #[test]
    fn what_is_missing_stays_unknown() {
        assert_eq!(Status::parse("VmRSS: x kB\n"), Status::default());
    }
}
