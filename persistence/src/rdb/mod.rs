//! The RDB format, version 11: how Redis writes values to files, replicas and payloads of DUMP. Bytes in, bytes out;
//! what a value is stands in the shard.
//!
//! # A file
//! ```text
//! "REDIS0011"                        magic and version, four digits
//! FA string string                   a name and a value, any number of them          opcode::AUX
//! FE length                          the database of the keys that follow            opcode::SELECT
//! FB length length                   how many keys, how many of them expire          opcode::RESIZE
//!   FC u64                           the next key expires then, ms since 1970        opcode::EXPIRE_MS
//!   type string body                 a key and its value                             ValueType
//! FF u64                             the end; CRC-64 of all that came before         opcode::END
//! ```
//! # A payload of DUMP
//! ```text
//! type body u16 u64                  version, CRC-64 of all before it; both le       payload
//! ```
//! # Lengths and strings
//! ```text
//! 00xxxxxx                           length, 6 bits
//! 01xxxxxx x                         length, 14 bits be
//! 10000000 xxxx                      length, 32 bits be
//! 10000001 xxxxxxxx                  length, 64 bits be
//! 11000000 x                         as a string: the text of an 8-bit integer
//! 11000001 xx                        of a 16-bit integer le
//! 11000010 xxxx                      of a 32-bit integer le
//! 11000011 length length bytes       compressed (LZF): length in the file, length of the text, bytes
//! ```
//! Reading never trusts a length: nothing is allocated that the bytes at hand cannot fill (compressed text: at most
//! [`lzf::RATIO_MAX`] times as much). What is damaged gives an [`RdbError`] with its offset, never a panic.
//!
//! Reading order: [`opcode`], [`Reader`], [`Writer`], [`payload`], then what collections are made of: [`listpack`],
//! [`intset`], and those of older servers, [`ziplist`] and [`zipmap`].
//! Source: what Redis 7.2.6 writes and accepts.

pub mod crc64;
mod element;
mod error;
pub mod intset;
pub mod listpack;
pub mod lzf;
pub mod opcode;
pub mod payload;
mod reader;
mod writer;
pub mod ziplist;
pub mod zipmap;

pub use element::Element;
pub use error::{PayloadError, RdbError};
pub use opcode::ValueType;
pub use reader::Reader;
pub use writer::{Compression, Writer};

/// The version this writes, and the newest it reads.
pub const VERSION: u16 = 11;
