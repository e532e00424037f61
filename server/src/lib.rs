//! temp
pub mod runtime;
