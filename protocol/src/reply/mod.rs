//! Replies: values to RESP2 or RESP3 bytes, and back.
//!
//! Path: `shard::commands` and `server::commands` write with a [`Writer`]; `server::connection::output` sends the
//! bytes. [`parse`] cuts encoded replies apart, so that the parts of a multi-shard command become one reply without
//! being decoded; [`Reply`] is a decoded reply, for clients and tests.
//!
//! | | RESP2 | RESP3 |
//! |---|---|---|
//! | status, error, integer, bulk string, array | `+` `-` `:` `$` `*` | the same |
//! | null | `$-1`, or `*-1` where an array is due | `_` |
//! | double, big number, verbatim string | bulk string | `,` `(` `=` |
//! | boolean | integer 0 or 1 | `#t` `#f` |
//! | map, set, push | array (a map flat) | `%` `~` `>` |
//! | attribute | none | `\|` |

pub mod parse;
mod value;
mod writer;

pub use value::Reply;
pub use writer::Writer;

/// Protocol version of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resp {
    /// RESP2: what every client speaks until it says HELLO 3.
    #[default]
    V2,
    /// RESP3.
    V3,
}
