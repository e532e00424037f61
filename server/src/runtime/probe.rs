//! Start-up probes: what the runtime needs of this machine, each failure one sentence with its remedy.

use super::patience::{is_out_of_memory, patiently};
use io_uring::IoUring;
use std::{fs, io};

/// Locked memory the executor needs per process, in bytes.
const MEMLOCK_MIN: u64 = 512 << 10;
/// Oldest kernel whose io_uring has all that the ring uses (multishot receive, deferred task work).
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Why this machine cannot run the server.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel is too old.
    #[error("the kernel is {found}, but Rialto needs Linux 6.1 or newer; update the kernel")]
    Kernel {
        /// Release as the kernel names it.
        found: String,
    },
    /// `RLIMIT_MEMLOCK` is too low.
    #[error(
        "the limit on locked memory is {found} bytes, but io_uring needs at least 524288; raise it \
         (ulimit -l 512, LimitMEMLOCK=512K in systemd, --ulimit memlock=524288 in docker)"
    )]
    Memlock {
        /// The soft limit in bytes.
        found: u64,
    },
    /// io_uring is switched off or filtered.
    #[error(
        "io_uring is not allowed here ({source}); set kernel.io_uring_disabled=0, or allow io_uring_setup, \
         io_uring_enter and io_uring_register in the container's seccomp profile"
    )]
    Uring {
        /// What the kernel answered.
        source: io::Error,
    },
}

/// Checks kernel, locked memory and io_uring.
///
/// # Errors
/// The first thing that is missing.
pub fn check() -> Result<(), ProbeError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if parse_release(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Err(ProbeError::Kernel { found: release.trim().to_owned() });
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(found) = parse_memlock(&limits).filter(|&found| found < MEMLOCK_MIN) {
        return Err(ProbeError::Memlock { found });
    }
    let ring = || {
        IoUring::<io_uring::squeue::Entry>::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .build(8)
    };
    let made = patiently(is_out_of_memory, ring);
    made.map(drop).map_err(|source| ProbeError::Uring { source })
}

/// Whether listening failed because this machine simply does not have the address, or its family.
#[must_use]
pub fn is_address_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
    )
}

/// Reads `6.1.0-13-amd64`.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.trim().split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The soft limit of `Max locked memory`; `None` if unlimited or not told.
fn parse_memlock(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_compared_by_its_first_two_numbers() {
        assert_eq!(parse_release("6.1.0-13-amd64\n"), Some((6, 1)));
        assert!(parse_release("5.15.0").unwrap() < KERNEL_MIN);
        assert_eq!(parse_release("unknown"), None);
    }

    #[test]
    fn an_unlimited_memlock_is_no_limit() {
        let line = "Max locked memory         65536                65536                bytes\n";
        assert_eq!(parse_memlock(line), Some(65536));
        assert_eq!(parse_memlock("Max locked memory   unlimited   unlimited   bytes"), None);
    }
}
