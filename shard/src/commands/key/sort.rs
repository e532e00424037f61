//! Sorting the elements of a list, set or sorted set: SORT SORT_RO.
//!
//! Path: `shard::Shard::execute` -> here -> `keyspace`. The patterns of BY and GET name keys that only the elements
//! tell, on any shard: then the elements come as a piece, each key is asked with a GET or HGET, and the rest is done
//! where all of that comes together ([`Steps`]).

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Body, Command, Gathered, KeyWrite, Piece, Reach, Run, Steps};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::keyspace::entry::Entry;
use crate::options::Options;
use crate::types::hash::Hash;
use crate::types::list::{End, List, ListLimit};
use crate::types::rebuild;
use crate::types::set::Member;
use crate::types::string::Str;
use crate::value::{Typed, ValueRef};
use ahash::RandomState;
use hashbrown::HashMap;
use protocol::command::{
    Argument, BeginSearch, Categories, CommandSpec, Docs, FindKeys, Flags, Group, KeyFlags, KeySpec,
};
use protocol::number;
use protocol::reply::{Writer, parse};
use protocol::request::ArgvBuf;
use std::cmp::Ordering;
use std::ops::Range;

const CATEGORIES: Categories = Categories::of(&[
    Categories::DANGEROUS,
    Categories::LIST,
    Categories::SET,
    Categories::SORTEDSET,
]);
const SOURCE: KeySpec = KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]));
const REFERENCED: KeySpec = KeySpec {
    flags: KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]),
    begin: BeginSearch::Unknown,
    find: FindKeys::Unknown,
    notes: Some(
        "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort",
    ),
};
const TARGET: KeySpec = KeySpec {
    flags: KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]),
    begin: BeginSearch::Unknown,
    find: FindKeys::Unknown,
    notes: Some(
        "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array",
    ),
};

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::DENYOOM, Flags::MOVABLEKEYS, Flags::WRITE]),
            categories: CATEGORIES,
            keys: &[SOURCE, REFERENCED, TARGET],
            docs: &SORT,
            ..CommandSpec::new("sort", Group::Generic)
        },
        run: Run::Steps(Steps { local: Body::Write(sort), reach, piece, next, finish }),
    },
    Command {
        spec: CommandSpec {
            arity: -2,
            flags: Flags::of(&[Flags::MOVABLEKEYS, Flags::READONLY]),
            categories: CATEGORIES,
            keys: &[SOURCE, REFERENCED],
            docs: &SORT_RO,
            ..CommandSpec::new("sort_ro", Group::Generic)
        },
        run: Run::Steps(Steps { local: Body::Read(sort_ro), reach, piece, next, finish }),
    },
];
const _: () = check(COMMANDS);

/// What a request asks for.
#[derive(Clone, Debug, Default)]
struct Request<'a> {
    is_descending: bool,
    /// `ALPHA`: by bytes, not by number.
    is_text: bool,
    /// `LIMIT`: how many to leave out, and how many to give.
    limit: Option<(i64, i64)>,
    /// `BY`, the last one.
    by: Option<&'a [u8]>,
    /// A `BY` without `*` was there: nothing is sorted.
    is_unsorted: bool,
    /// `GET`, all of them.
    gets: Vec<&'a [u8]>,
    /// `STORE`: where the target stands in argv.
    store: Option<usize>,
}

impl<'a> Request<'a> {
    /// Reads the options behind the key. SORT_RO knows no STORE.
    fn parse(mut args: Args<'a>) -> Result<Self, CommandError> {
        let name = args.argv().get(0).unwrap_or_default();
        let may_store = !name.eq_ignore_ascii_case(b"sort_ro");
        args.key()?;
        let mut request = Request::default();
        while !args.is_empty() {
            let behind_count = args.remaining() - 1;
            if args.take_token("ASC") {
                request.is_descending = false;
            } else if args.take_token("DESC") {
                request.is_descending = true;
            } else if args.take_token("ALPHA") {
                request.is_text = true;
            } else if behind_count >= 2 && args.take_token("LIMIT") {
                request.limit = Some((args.integer()?, args.integer()?));
            } else if behind_count >= 1 && may_store && args.take_token("STORE") {
                request.store = Some(args.position());
                args.skip();
            } else if behind_count >= 1 && args.take_token("BY") {
                let pattern = args.bytes()?;
                request.is_unsorted |= !pattern.contains(&b'*');
                request.by = Some(pattern);
            } else if behind_count >= 1 && args.take_token("GET") {
                request.gets.push(args.bytes()?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(request)
    }

    /// The pattern of the keys that give the weights.
    fn weights(&self) -> Option<&'a [u8]> {
        self.by.filter(|_| !self.is_unsorted)
    }

    /// Which of `len` elements are asked for, once they are in order.
    fn range(&self, len: usize) -> Range<usize> {
        let Some((offset, count)) = self.limit else { return 0..len };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let end = usize::try_from(count).map_or(len, |count| start.saturating_add(count).min(len));
        start..end
    }
}

/// What a pattern names for one element: a key, or a field of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reference {
    key: Vec<u8>,
    field: Option<Vec<u8>>,
}

impl Reference {
    /// Puts `element` in the place of the first `*` of `pattern`; `None` if there is none. A `->` behind it, with
    /// something behind that, names a field.
    fn new(pattern: &[u8], element: &[u8]) -> Option<Self> {
        let star = pattern.iter().position(|&byte| byte == b'*')?;
        let (before, behind) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = behind.windows(2).position(|pair| pair == b"->");
        let (behind, field) = match arrow {
            Some(arrow) if arrow + 2 < behind.len() => {
                (&behind[..arrow], Some(behind[arrow + 2..].to_vec()))
            }
            _ => (behind, None),
        };
        Some(Reference { key: [before, element, behind].concat(), field })
    }

    /// The command that answers the value.
    fn command(&self) -> ArgvBuf {
        match &self.field {
            None => [b"GET", &*self.key].into_iter().collect(),
            Some(field) => [b"HGET", &*self.key, field].into_iter().collect(),
        }
    }

    /// The value, as `entry` of the key has it; `None` if it is of another type.
    fn value_in(&self, value: ValueRef<'_>) -> Option<Vec<u8>> {
        match &self.field {
            None => Some(value.as_type::<Str>().ok()?.with_bytes(<[u8]>::to_vec)),
            Some(field) => value.as_type::<Hash>().ok()?.get(field).map(|value| value.to_vec()),
        }
    }
}

/// The elements on their way to the reply.
#[derive(Debug)]
struct Sorting<'a> {
    request: Request<'a>,
    /// Those asked for, in order; all, in no order, while weights are needed.
    elements: Vec<Vec<u8>>,
}

impl<'a> Sorting<'a> {
    /// Takes the elements out of `value` and, if that needs no other keys, sorts them.
    fn new(mut request: Request<'a>, value: Option<ValueRef<'_>>) -> Result<Self, CommandError> {
        let mut elements: Vec<Vec<u8>> = match value {
            None => Vec::new(),
            Some(ValueRef::List(list)) => {
                list.iter().map(|element| element.text().to_vec()).collect()
            }
            Some(ValueRef::Set(set)) => set.iter().map(Member::to_vec).collect(),
            Some(ValueRef::SortedSet(set)) => {
                set.iter().map(|(member, _)| member.to_vec()).collect()
            }
            Some(_) => return Err(CommandError::WrongType),
        };
        let has_order = !matches!(value, Some(ValueRef::Set(_)));
        if request.is_unsorted && !has_order && request.store.is_some() {
            // What is stored must not depend on the order of a set.
            request.is_unsorted = false;
            request.is_text = true;
            request.by = None;
        }
        if request.is_unsorted {
            if has_order && request.is_descending {
                elements.reverse();
            }
        } else if request.by.is_none() {
            let weights = elements.clone().into_iter().map(Some).collect();
            elements = in_order(&request, elements, weights)?;
        }
        if request.weights().is_none() {
            elements = select(&request, elements);
        }
        Ok(Sorting { request, elements })
    }

    /// All values of other keys that may be needed.
    fn references(&self) -> impl Iterator<Item = Reference> {
        let patterns = self.request.weights().into_iter().chain(self.request.gets.iter().copied());
        let patterns = patterns.collect::<Vec<_>>();
        self.elements.iter().flat_map(move |element| {
            let references = patterns.iter().map(|pattern| Reference::new(pattern, element));
            references.flatten().collect::<Vec<_>>()
        })
    }

    /// What is replied or stored; `value_of` looks a reference up.
    fn finish(
        self,
        mut value_of: impl FnMut(Reference) -> Option<Vec<u8>>,
    ) -> Result<Vec<Option<Vec<u8>>>, CommandError> {
        let Sorting { request, mut elements } = self;
        let mut look_up =
            |pattern, element: &[u8]| Reference::new(pattern, element).and_then(&mut value_of);
        if let Some(pattern) = request.weights() {
            let weights = elements.iter().map(|element| look_up(pattern, element)).collect();
            elements = select(&request, in_order(&request, elements, weights)?);
        }
        if request.gets.is_empty() {
            return Ok(elements.into_iter().map(Some).collect());
        }
        let mut values = Vec::with_capacity(elements.len() * request.gets.len());
        for element in &elements {
            for &pattern in &request.gets {
                let is_itself = pattern == b"#";
                values.push(if is_itself {
                    Some(element.clone())
                } else {
                    look_up(pattern, element)
                });
            }
        }
        Ok(values)
    }
}

/// The elements that LIMIT asks for.
fn select(request: &Request<'_>, mut elements: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let range = request.range(elements.len());
    elements.truncate(range.end);
    elements.drain(..range.start.min(elements.len()));
    elements
}

/// Sorts elements by their weights. An element without one weighs nothing: zero among numbers, and less than any text.
///
/// # Errors
/// If a weight that must be a number is none.
fn in_order(
    request: &Request<'_>,
    elements: Vec<Vec<u8>>,
    weights: Vec<Option<Vec<u8>>>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let directed = |order: Ordering| if request.is_descending { order.reverse() } else { order };
    if request.is_text {
        let is_exact = request.store.is_some();
        let mut pairs = elements.into_iter().zip(weights).collect::<Vec<_>>();
        pairs
            .sort_by(|(_, a), (_, b)| directed(compare_text(a.as_deref(), b.as_deref(), is_exact)));
        return Ok(pairs.into_iter().map(|(element, _)| element).collect());
    }
    let mut pairs = Vec::with_capacity(elements.len());
    for (element, weight) in elements.into_iter().zip(weights) {
        let score = weight.map_or(Some(0.0), |weight| score(&weight));
        let score = score
            .ok_or(CommandError::text("ERR One or more scores can't be converted into double"))?;
        pairs.push((score, element));
    }
    pairs.sort_by(|(a_score, a), (b_score, b)| {
        let by_score = a_score.partial_cmp(b_score).expect("no score is NaN");
        directed(by_score.then_with(|| a.cmp(b)))
    });
    Ok(pairs.into_iter().map(|(_, element)| element).collect())
}

/// Compares texts: to the end for what is stored, else as C strings, up to the first NUL, as in Redis.
fn compare_text(a: Option<&[u8]>, b: Option<&[u8]>, is_exact: bool) -> Ordering {
    let shown = |text| if is_exact { text } else { protocol::error::shown(text) };
    a.map(shown).cmp(&b.map(shown))
}

/// Reads a number as C's `strtod` does: space before it is skipped, a NUL byte ends it, and nothing at all is zero.
fn score(text: &[u8]) -> Option<f64> {
    let text = protocol::error::shown(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !is_space(byte))?;
    number::parse_f64(&text[start..])
}

/// Sorts. Reply: an array; with STORE how many elements were stored. Journal: the list that was stored.
fn sort(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let argv = args.argv();
    let request = Request::parse(args)?;
    let target = request.store.and_then(|index| argv.get(index));
    let source = ctx.entry(args.key()?).counted();
    let sorting = Sorting::new(request, source.get().map(|entry| entry.value))?;
    let values = sorting.finish(|reference| {
        ctx.entry(&reference.key).counted().get().and_then(|entry| reference.value_in(entry.value))
    })?;
    let Some(target) = target else {
        write_values(&values, reply);
        return Ok(Written::unchanged());
    };
    reply.integer(values.len() as i64);
    let mut commands = Vec::new();
    let event = if let Some(entry) = stored(&values, ctx.options) {
        let value = entry.value.view();
        rebuild::commands(target, value, None, &mut |command| commands.push(command));
        if ctx.insert(target, entry) {
            commands.insert(0, [b"DEL", target].into_iter().collect());
        }
        Event::SORTSTORE
    } else {
        if !ctx.remove(target) {
            return Ok(Written::unchanged());
        }
        commands.push([b"DEL", target].into_iter().collect());
        Event::DEL
    };
    ctx.changed(target, event);
    Ok(Written::reported().rewritten_all(commands))
}

/// Sorts. Reply: an array.
fn sort_ro(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let request = Request::parse(args)?;
    let source = ctx.find(args.key()?);
    let sorting = Sorting::new(request, source.map(|entry| entry.value))?;
    let values = sorting.finish(|reference| {
        ctx.find(&reference.key).and_then(|entry| reference.value_in(entry.value))
    })?;
    write_values(&values, reply);
    Ok(())
}

fn write_values(values: &[Option<Vec<u8>>], reply: &mut Writer<'_>) {
    reply.array(values.len());
    for value in values {
        match value {
            Some(value) => reply.bulk(value),
            None => reply.null(),
        }
    }
}

/// The list of the values, those that are missing as empty strings; `None` if there is no value at all.
fn stored(values: &[Option<Vec<u8>>], options: &Options) -> Option<Entry> {
    let values = values.iter().map(|value| value.as_deref().unwrap_or_default());
    let mut list = List::default();
    list.prepare(values.len(), values.clone().map(<[u8]>::len).sum(), ListLimit::from(options));
    values.for_each(|value| list.push(End::Right, value));
    (!list.is_empty()).then(|| Entry::new(list.into_value()))
}

/// Whether the request names keys that only the elements tell.
fn reach(args: Args<'_>) -> Reach {
    let Ok(request) = Request::parse(args) else { return Reach::Row };
    let is_reference = |pattern: &&[u8]| pattern.contains(&b'*');
    match request.store {
        store if request.weights().is_some() || request.gets.iter().any(is_reference) => {
            Reach::Anywhere(store)
        }
        Some(store) => Reach::And(store),
        None => Reach::Row,
    }
}

/// Of the key to sort a copy; of the target nothing, whatever it holds.
fn piece(ctx: &ReadContext<'_>, key_index: usize, args: Args<'_>) -> Result<Piece, CommandError> {
    Request::parse(args)?;
    let key = args.argv().get(key_index).filter(|_| key_index == 1);
    let Some(entry) = key.and_then(|key| ctx.find(key)) else { return Ok(Piece::Missing) };
    match entry.value {
        ValueRef::List(_) | ValueRef::Set(_) | ValueRef::SortedSet(_) => {
            Ok(Piece::Entry(Box::new(entry.to_entry())))
        }
        _ => Err(CommandError::WrongType),
    }
}

/// The sorting that the piece of the first key allows.
fn sorting<'a>(args: Args<'a>, pieces: &[Piece]) -> Result<Sorting<'a>, CommandError> {
    let value = match pieces.first() {
        Some(Piece::Entry(entry)) => Some(entry.value.view()),
        _ => None,
    };
    Sorting::new(Request::parse(args)?, value)
}

fn next(args: Args<'_>, pieces: &[Piece]) -> Result<Vec<ArgvBuf>, CommandError> {
    Ok(sorting(args, pieces)?.references().map(|reference| reference.command()).collect())
}

fn finish(
    options: &Options,
    db: u16,
    args: Args<'_>,
    gathered: Gathered,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let sorting = sorting(args, &gathered.pieces)?;
    let store = sorting.request.store;
    let replies = gathered.replies.iter().map(|reply| parse::bulk(reply));
    let values = sorting.references().zip(replies);
    let values = values.collect::<HashMap<_, _, RandomState>>();
    let values = sorting
        .finish(|reference| values.get(&reference).copied().flatten().map(<[u8]>::to_vec))?;
    let Some(key_index) = store else {
        write_values(&values, reply);
        return Ok(Vec::new());
    };
    reply.integer(values.len() as i64);
    let entry = stored(&values, options).map(Box::new);
    let event = if entry.is_some() { Event::SORTSTORE } else { Event::DEL };
    Ok(vec![KeyWrite { key_index, db, entry, event }])
}

const BY: Argument =
    Argument::pattern("by-pattern").token("BY").shown_as("pattern").key_spec(1).optional();
const LIMIT: Argument =
    Argument::block("limit", &[Argument::integer("offset"), Argument::integer("count")])
        .token("LIMIT")
        .optional();
const GET: Argument = Argument::pattern("get-pattern")
    .token("GET")
    .shown_as("pattern")
    .key_spec(1)
    .optional()
    .token_repeated();
const ORDER: Argument =
    Argument::one_of("order", &[Argument::word("asc", "ASC"), Argument::word("desc", "DESC")])
        .optional();
const ALPHA: Argument = Argument::word("sorting", "ALPHA").optional();

const SORT: Docs = Docs {
    summary: "Sorts the elements of a list, set or sorted set, by themselves or by the values of other keys, and returns or stores them.",
    since: "1.0.0",
    complexity: "O(n+m*log(m)), n elements, m of them returned; without sorting O(n)",
    arguments: &[
        Argument::key("key"),
        BY,
        LIMIT,
        GET,
        ORDER,
        ALPHA,
        Argument::key("destination").token("STORE").key_spec(2).optional(),
    ],
    examples: &[
        "> RPUSH l 30 4 100\n(integer) 3\n> SORT l\n1) \"4\"\n2) \"30\"\n3) \"100\"\n> SORT l ALPHA DESC LIMIT 0 2\n1) \"4\"\n2) \"30\"",
        concat!(
            "> RPUSH {k}l a b\n(integer) 2\n> MSET {k}weight_a 2 {k}weight_b 1\nOK\n> HSET {k}of_b name Bid\n(integer) 1\n",
            "> SORT {k}l BY {k}weight_* GET # GET {k}of_*->name\n1) \"b\"\n2) \"Bid\"\n3) \"a\"\n4) (nil)\n",
            "> SORT {k}l BY {k}weight_* STORE {k}sorted\n(integer) 2\n> LRANGE {k}sorted 0 -1\n1) \"b\"\n2) \"a\"",
        ),
    ],
    ..Docs::NONE
};

const SORT_RO: Docs = Docs {
    summary: "Sorts the elements of a list, set or sorted set as SORT does, but cannot store them.",
    since: "7.0.0",
    complexity: "O(n+m*log(m)), n elements, m of them returned; without sorting O(n)",
    arguments: &[Argument::key("key"), BY, LIMIT, GET, ORDER, ALPHA],
    examples: &["> SADD s 3 1 2\n(integer) 3\n> SORT_RO s DESC\n1) \"3\"\n2) \"2\"\n3) \"1\""],
    ..Docs::NONE
};

#[cfg(test)]
mod tests;
