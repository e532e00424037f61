//! A command whose keys are spread over shards, each of which runs it with its own keys (`Run::Split`): which arguments go
//! where, and how the replies become one.
//!
//! Path: `connection::split`, `steps` -> here. What stands from one key to the next goes with the key: the value of MSET.

use crate::core::Core;
use crate::registry::Registered;
use crate::router;
use protocol::reply::{Resp, Writer, parse};
use protocol::request::{Argv, Span};
use shard::Outcome;
use shard::commands::Merge;
use smallvec::SmallVec;

/// The arguments of one command, by shard.
pub(crate) struct Parts<'a> {
    argv: Argv<'a>,
    /// Where the arguments begin that not all parts have.
    pub(crate) head_len: usize,
    /// Arguments from one key to the next.
    step: usize,
    keys: SmallVec<[PlacedKey; 16]>,
    shards: SmallVec<[usize; 4]>,
}

/// A key of the command.
#[derive(Clone, Copy)]
struct PlacedKey {
    /// Its index among the arguments.
    index: u32,
    shard: u32,
}

impl<'a> Parts<'a> {
    /// `None` if something is missing behind the last key: any one shard says so, and none may write.
    pub(crate) fn of(core: &Core, command: &Registered, argv: Argv<'a>) -> Option<Parts<'a>> {
        let mut keys = SmallVec::<[PlacedKey; 16]>::new();
        let mut shards = SmallVec::<[usize; 4]>::new();
        router::key_indices(command, argv, |index| {
            let shard = router::shard_of(core, argv.get(index));
            keys.push(PlacedKey { index: index as u32, shard: shard as u32 });
            if let Err(place) = shards.binary_search(&shard) {
                shards.insert(place, shard);
            }
        });
        let head_len = keys.first()?.index as usize;
        let step = keys.get(1).map_or(1, |second| second.index as usize - head_len);
        let last = keys.last().map_or(head_len, |key| key.index as usize);
        if last + step != argv.len() {
            return None;
        }
        Some(Parts { argv, head_len, step, keys, shards })
    }

    /// The shards of the keys, each once.
    pub(crate) fn shards(&self) -> &[usize] {
        &self.shards
    }

    /// The request for one shard.
    pub(crate) fn args(&self, shard: usize) -> impl Iterator<Item = &'a [u8]> + Clone + '_ {
        self.indices(shard).filter_map(|index| self.argv.get(index))
    }

    /// The same without a copy; `spans` is memory for it.
    pub(crate) fn argv<'b>(&self, shard: usize, spans: &'b mut Vec<Span>) -> Argv<'b>
    where
        'a: 'b,
    {
        self.argv.pick(self.indices(shard), spans)
    }

    fn indices(&self, shard: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        let own = self.keys.iter().filter(move |key| key.shard as usize == shard);
        let own = own.flat_map(|key| key.index as usize..key.index as usize + self.step);
        (0..self.head_len).chain(own)
    }

    /// The places of a shard's keys among all keys.
    pub(crate) fn orders(&self, shard: usize) -> impl Iterator<Item = usize> + '_ {
        let keys = self.keys.iter().enumerate();
        keys.filter(move |(_, key)| key.shard as usize == shard).map(|(order, _)| order)
    }
}

/// Makes one reply of several; the first error wins. With each part the places of its keys among all keys.
pub(crate) fn merge_replies(
    merge: Merge,
    resp: Resp,
    parts: &[(&[u8], &[usize])],
    reply: &mut Vec<u8>,
) -> Outcome {
    let is_error = |(part, _): &&(&[u8], &[usize])| part.first() == Some(&b'-');
    if let Some((error, _)) = parts.iter().find(is_error) {
        reply.extend_from_slice(error);
        return Outcome::Failed;
    }
    let mut writer = Writer::new(reply, resp);
    match merge {
        Merge::AllOk => writer.ok(),
        Merge::Sum => {
            let counts = parts.iter().filter_map(|(part, _)| parse::integer(part).ok());
            writer.integer(counts.sum());
        }
        Merge::Concat => {
            writer.array(parts.iter().map(|(part, _)| elements(part).count()).sum());
            parts.iter().flat_map(|(part, _)| elements(part)).for_each(|one| writer.raw(one));
        }
        Merge::ByKey => {
            let key_count = parts.iter().map(|(_, orders)| orders.len()).sum();
            let mut by_key: SmallVec<[&[u8]; 16]> = SmallVec::from_elem(&[][..], key_count);
            for (part, orders) in parts {
                for (order, element) in orders.iter().zip(elements(part)) {
                    by_key[*order] = element;
                }
            }
            writer.array(key_count);
            by_key.into_iter().for_each(|element| writer.raw(element));
        }
    }
    Outcome::Replied
}

/// The elements of an encoded array; none of anything else.
pub(crate) fn elements(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    parse::elements(encoded).into_iter().flatten().flatten()
}
