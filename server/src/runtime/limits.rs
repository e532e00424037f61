//! Limits of the process: how many descriptors it may have open, and so how many clients.

use rlimit::Resource;

/// Descriptors that are no connections: files, listeners, rings, pipes.
const RESERVED_COUNT: u64 = 96;
/// Fewest connections that are worth serving.
const CLIENTS_MIN: u64 = 1;

/// Raises the limit on open descriptors so that `wanted` clients fit; returns how many fit now, at most `wanted`.
#[must_use]
pub fn allow_clients(wanted: u32) -> u32 {
    let needed = u64::from(wanted) + RESERVED_COUNT;
    let (soft, hard) = match Resource::NOFILE.get() {
        Ok(limits) => limits,
        // A kernel that does not tell its limit will say so when a connection does not fit.
        Err(_) => return wanted,
    };
    if soft >= needed {
        return wanted;
    }
    // Raising the hard limit is for the superuser; up to it anyone may go.
    let raised = [(needed, hard.max(needed)), (hard, hard)]
        .into_iter()
        .find(|(soft, hard)| Resource::NOFILE.set(*soft, *hard).is_ok());
    let reached = raised.map_or(soft, |(soft, _)| soft).min(needed);
    let clients = reached.saturating_sub(RESERVED_COUNT).max(CLIENTS_MIN);
    u32::try_from(clients).expect("at most what was wanted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_clients_always_fit_and_never_more_than_wanted() {
        assert_eq!(allow_clients(1), 1);
        assert_eq!(allow_clients(100), 100);
        let (soft, _) = Resource::NOFILE.get().unwrap();
        assert!(u64::from(allow_clients(u32::MAX)) <= u64::from(u32::MAX));
        let (raised, _) = Resource::NOFILE.get().unwrap();
        assert!(raised >= soft, "the limit is never lowered");
    }
}
