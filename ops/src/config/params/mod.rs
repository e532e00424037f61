//! The rows of the table, by subject.

use super::parameter::Parameter;

mod cluster;
mod limits;
mod memory;
mod network;
mod ours;
mod persistence;
mod process;
mod replication;
mod tls;

/// A subject of the table, in the order of docs/config.md.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) rows: &'static [Parameter],
}

/// Every parameter, exactly once.
pub(super) const TABLE: &[Group] = &[
    Group { title: "Network", rows: network::ROWS },
    Group { title: "Clients and limits", rows: limits::ROWS },
    Group { title: "Memory and encodings", rows: memory::ROWS },
    Group { title: "Persistence", rows: persistence::ROWS },
    Group { title: "Replication", rows: replication::ROWS },
    Group { title: "Cluster", rows: cluster::ROWS },
    Group { title: "TLS", rows: tls::ROWS },
    Group { title: "Process, log and observation", rows: process::ROWS },
    Group { title: "Rialto's own", rows: ours::ROWS },
];

// The widths of the C types whose ranges Redis prints in its errors.
const INT_MIN: i128 = i32::MIN as i128;
const INT_MAX: i128 = i32::MAX as i128;
const UINT_MAX: i128 = u32::MAX as i128;
const LONG_MAX: i128 = i64::MAX as i128;
const ULONG_MAX: i128 = u64::MAX as i128;
const PORT_MAX: i128 = u16::MAX as i128;
