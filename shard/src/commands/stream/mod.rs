//! Commands on streams.

pub mod add;
mod arguments;
pub mod claim;
pub mod group;
pub mod info;
pub mod pending;
pub mod range;
pub mod read;
pub mod read_group;
pub mod trim;
