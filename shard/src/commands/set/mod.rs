//! Commands on sets.

pub mod algebra;
pub mod member;
pub mod random;
pub mod read;
pub mod store;

use crate::types::set::Member;
use protocol::reply::Writer;

/// Replies with a member.
fn write_member(member: Member<'_>, reply: &mut Writer<'_>) {
    member.with_bytes(|bytes| reply.bulk(bytes));
}
