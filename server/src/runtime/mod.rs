//! The seam to kernel, clock and executor. Nothing outside this folder knows glommio, io_uring or a system call;
//! everybody else sees async functions and plain data, so the runtime can be replaced, and simulated.
//!
//! Reading order: [`executor`] (one pinned thread per core), [`reactor`] (what a core waits for: sockets, timers,
//! wakes), `ring` (io_uring itself), [`socket`], `spares` (buffers used again), [`timer`], [`clock`], [`affinity`],
//! [`limits`] and [`probe`] (what this machine allows), [`patience`] (what it refuses only for a moment).

pub mod affinity;
mod buffers;
pub mod clock;
pub mod executor;
pub mod limits;
pub mod patience;
pub mod probe;
pub mod reactor;
mod ring;
pub mod socket;
mod spares;
pub mod timer;
