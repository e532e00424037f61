//! Commands on lists.

pub mod blocking;
pub mod edit;
pub mod index;
pub mod pop;
pub mod push;
pub mod transfer;
