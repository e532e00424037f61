//! Commands on hashes.

pub mod counter;
pub mod field;
pub mod iterate;
