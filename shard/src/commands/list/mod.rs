//! Commands on lists.

pub mod edit;
pub mod index;
pub mod pop;
pub mod push;
