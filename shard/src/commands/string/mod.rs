//! Commands on strings.

pub mod value;
