//! Commands on sorted sets.

pub mod member;
pub mod pop;
pub mod range;
pub mod rank;
pub mod remove_range;

mod bounds;
