//! The data types: what the value of a key can be, without any knowledge of commands.

pub mod geohash;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;

pub mod chunks;
pub mod decimal;
pub mod element;
pub mod hash_index;
pub mod intset;
pub mod packed;
pub mod paged_table;
pub mod pages;
pub mod ranked;
pub mod rdb;
pub mod rebuild;
