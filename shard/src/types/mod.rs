//! The data types: what the value of a key can be, without any knowledge of commands.

pub mod string;
