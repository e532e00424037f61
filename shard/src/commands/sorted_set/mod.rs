//! Commands on sorted sets.

pub mod algebra;
pub mod blocking;
pub mod member;
pub mod pop;
pub mod random;
pub mod range;
pub mod rank;
pub mod remove_range;
pub mod store;

mod bounds;
mod combine;
