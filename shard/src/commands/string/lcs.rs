//! LCS: the longest common subsequence of two strings.
//!
//! Path: `shard::Shard::execute` -> here. Source: the textbook table of lengths for all pairs of prefixes, walked back
//! from its end; of several longest ones Redis's walk chooses which, so the order of its steps matters.

use crate::args::Args;
use crate::commands::check::check;
use crate::commands::{Command, Piece, Run};
use crate::context::ReadContext;
use crate::error::CommandError;
use crate::options::Options;
use crate::types::string::{Str, StrRef};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -3,
        flags: Flags::READONLY,
        categories: Categories::STRING,
        keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 1, 1, 1)],
        docs: &LCS,
        ..CommandSpec::new("lcs", Group::String)
    },
    run: Run::Gather { local: lcs, piece: lcs_piece, finish: lcs_finish },
}];

const _: () = check(COMMANDS);

const NO_STRINGS: CommandError =
    CommandError::text("ERR The specified keys must contain string values");
const LEN_AND_IDX: CommandError =
    CommandError::text("ERR If you want both the length and indexes, please just use IDX.");
const STRING_TOO_LONG: CommandError = CommandError::text("ERR String too long for LCS");
const TABLE_TOO_LARGE: CommandError = CommandError::text(
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
);
const NO_MEMORY: CommandError =
    CommandError::text("ERR Insufficient memory, failed allocating transient memory for LCS");

/// Compares two strings; a missing key counts as an empty one.
///
/// Args: `key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]`. Reply: the subsequence; with LEN its length; with IDX
/// a map of the matching ranges, last first, and the length. Errors: no strings, syntax, too much memory.
/// Cost: time and transient memory in proportion to the product of the lengths.
fn lcs(
    ctx: &ReadContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let (a, b) = (args.key()?, args.key()?);
    // Both lookups count, even if the first one finds no string.
    let (a, b) = (ctx.get_string(a), ctx.get_string(b));
    let (Ok(a), Ok(b)) = (a, b) else { return Err(NO_STRINGS) };
    with_text(a, |a| with_text(b, |b| answer(ctx.options, args, a, b, reply)))
}

fn lcs_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    args: Args<'_>,
) -> Result<Piece, CommandError> {
    let key = args.argv().get(key_index).expect("an index of a key");
    let Some(entry) = ctx.find(key) else { return Ok(Piece::Missing) };
    entry.value.as_type::<Str>().map_err(|_| NO_STRINGS)?;
    Ok(Piece::Entry(Box::new(entry.to_entry())))
}

fn lcs_finish(
    options: &Options,
    mut args: Args<'_>,
    pieces: &[Piece],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    args.key()?;
    args.key()?;
    let [a, b] = pieces else { unreachable!("LCS has two keys") };
    let (a, b) = (piece_string(a)?, piece_string(b)?);
    with_text(a, |a| with_text(b, |b| answer(options, args, a, b, reply)))
}

fn piece_string(piece: &Piece) -> Result<Option<StrRef<'_>>, CommandError> {
    match piece {
        Piece::Entry(entry) => entry.value.view().as_type::<Str>().map(Some),
        Piece::Missing | Piece::Present => Ok(None),
    }
}

fn with_text<T>(string: Option<StrRef<'_>>, read: impl FnOnce(&[u8]) -> T) -> T {
    match string {
        Some(string) => string.with_bytes(read),
        None => read(b""),
    }
}

/// Reads the options and writes what they ask for.
fn answer(
    options: &Options,
    args: Args<'_>,
    a: &[u8],
    b: &[u8],
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let wanted = Wanted::read(args)?;
    let table = Table::new(a, b, options.proto_max_bulk_len)?;
    if wanted.ranges {
        reply.map(2);
        reply.bulk(b"matches");
        let position = reply.position();
        let mut count = 0;
        for_each_match(&table, a, b, |matched| {
            if matched.len >= wanted.match_len_min {
                matched.write(wanted.match_len, reply);
                count += 1;
            }
        });
        reply.array_before(position, count);
        reply.bulk(b"len");
        reply.integer(i64::from(table.total()));
    } else if wanted.len {
        reply.integer(i64::from(table.total()));
    } else {
        let mut common = vec![0; table.total() as usize];
        let mut end = common.len();
        for_each_match(&table, a, b, |matched| {
            let len = matched.len;
            common[end - len..end].copy_from_slice(&a[matched.a_start..matched.a_start + len]);
            end -= len;
        });
        reply.bulk(&common);
    }
    Ok(())
}

/// The options.
#[derive(Default)]
struct Wanted {
    /// `LEN`
    len: bool,
    /// `IDX`
    ranges: bool,
    /// `WITHMATCHLEN`
    match_len: bool,
    /// `MINMATCHLEN`, bytes.
    match_len_min: usize,
}

impl Wanted {
    fn read(mut args: Args<'_>) -> Result<Self, CommandError> {
        let mut wanted = Wanted::default();
        while !args.is_empty() {
            if args.take_token("IDX") {
                wanted.ranges = true;
            } else if args.take_token("LEN") {
                wanted.len = true;
            } else if args.take_token("WITHMATCHLEN") {
                wanted.match_len = true;
            } else if args.take_token("MINMATCHLEN") && !args.is_empty() {
                wanted.match_len_min = usize::try_from(args.integer()?).unwrap_or(0);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if wanted.len && wanted.ranges { Err(LEN_AND_IDX) } else { Ok(wanted) }
    }
}

/// For each pair of prefixes of `a` and `b` the length of their longest common subsequence.
struct Table {
    lens: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8], size_max: usize) -> Result<Self, CommandError> {
        const STRING_LEN_MAX: usize = u32::MAX as usize - 1;
        if a.len() >= STRING_LEN_MAX || b.len() >= STRING_LEN_MAX {
            return Err(STRING_TOO_LONG);
        }
        let width = b.len() + 1;
        let cell_count = (a.len() + 1) * width; // both below 2^32
        if cell_count.checked_mul(size_of::<u32>()).is_none_or(|size| size > size_max) {
            return Err(TABLE_TOO_LARGE);
        }
        let mut lens = Vec::new();
        lens.try_reserve_exact(cell_count).map_err(|_| NO_MEMORY)?;
        lens.resize(cell_count, 0);
        let mut table = Table { lens, width };
        for (i, a_byte) in a.iter().enumerate() {
            let (above, row) = table.lens[i * width..(i + 2) * width].split_at_mut(width);
            for (j, b_byte) in b.iter().enumerate() {
                let is_match = a_byte == b_byte;
                row[j + 1] = if is_match { above[j] + 1 } else { above[j + 1].max(row[j]) };
            }
        }
        Ok(table)
    }

    /// For the first `i` bytes of `a` and the first `j` of `b`.
    fn len(&self, i: usize, j: usize) -> u32 {
        self.lens[i * self.width + j]
    }

    /// For both strings.
    fn total(&self) -> u32 {
        self.lens.last().copied().unwrap_or(0)
    }
}

/// Bytes that follow each other in both strings and belong to the subsequence.
struct Match {
    a_start: usize,
    b_start: usize,
    len: usize,
}

impl Match {
    /// `[[a first, a last], [b first, b last]]`, and the length if it is wanted.
    fn write(&self, with_len: bool, reply: &mut Writer<'_>) {
        reply.array(2 + usize::from(with_len));
        for start in [self.a_start, self.b_start] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + self.len - 1) as i64);
        }
        if with_len {
            reply.integer(self.len as i64);
        }
    }
}

/// Walks back from the end of both strings and hands out each match, the last first.
fn for_each_match(table: &Table, a: &[u8], b: &[u8], mut found: impl FnMut(&Match)) {
    let (mut i, mut j) = (a.len(), b.len());
    let mut matched = Match { a_start: 0, b_start: 0, len: 0 };
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            i -= 1;
            j -= 1;
            let len = matched.len + 1;
            matched = Match { a_start: i, b_start: j, len };
            continue;
        }
        // A step aside ends the match.
        if matched.len > 0 {
            found(&matched);
            matched.len = 0;
        }
        if table.len(i - 1, j) > table.len(i, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    if matched.len > 0 {
        found(&matched);
    }
}

const LCS: Docs = Docs {
    summary: "Returns the longest common subsequence of two strings, its length, or where it lies in them.",
    since: "7.0.0",
    complexity: "O(N*M) with N and M the lengths of the strings",
    arguments: &[
        Argument::key("key1"),
        Argument::key("key2"),
        Argument::word("len", "LEN").optional(),
        Argument::word("idx", "IDX").optional(),
        Argument::integer("min-match-len").token("MINMATCHLEN").optional(),
        Argument::word("withmatchlen", "WITHMATCHLEN").optional(),
    ],
    examples: &[
        "> MSET {k}a ohmytext {k}b mynewtext\nOK\n> LCS {k}a {k}b\n\"mytext\"\n> LCS {k}a {k}b LEN\n(integer) 6",
        concat!(
            "> MSET a ohmytext b mynewtext\nOK\n> LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN\n",
            "1) \"matches\"\n2) 1) 1) 1) (integer) 4\n         2) (integer) 7\n",
            "      2) 1) (integer) 5\n         2) (integer) 8\n      3) (integer) 4\n",
            "3) \"len\"\n4) (integer) 6",
        ),
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::entry::Entry;
    use crate::testing::{check, check_with, options};
    use crate::value::Value;
    use protocol::reply::Resp;
    use protocol::request::ArgvBuf;

    #[test]
    fn matches_are_reported_last_first() {
        check(
            r#"
            > MSET a ohmytext b mynewtext
            OK
            > LCS a b IDX
            1) "matches"
            2) 1) 1) 1) (integer) 4
                     2) (integer) 7
                  2) 1) (integer) 5
                     2) (integer) 8
               2) 1) 1) (integer) 2
                     2) (integer) 3
                  2) 1) (integer) 0
                     2) (integer) 1
            3) "len"
            4) (integer) 6
            # resp3
            > LCS a b idx minmatchlen 4
            1# "matches" =>
               1) 1) 1) (integer) 4
                     2) (integer) 7
                  2) 1) (integer) 5
                     2) (integer) 8
            2# "len" => (integer) 6
        "#,
        );
    }

    #[test]
    fn missing_keys_are_empty_and_integers_are_text() {
        check(
            r#"
            > LCS none nothing
            ""
            > LCS none nothing LEN
            (integer) 0
            > LCS none nothing IDX
            1) "matches"
            2) (empty array)
            3) "len"
            4) (integer) 0
            > MSET a 12345 b 2040
            OK
            > LCS a b
            "24"
        "#,
        );
    }

    #[test]
    fn options_and_types_are_checked_in_redis_order() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > LCS h none FOO
            (error) ERR The specified keys must contain string values
            > LCS none h
            (error) ERR The specified keys must contain string values
            > LCS a b FOO
            (error) ERR syntax error
            > LCS a b MINMATCHLEN
            (error) ERR syntax error
            > LCS a b MINMATCHLEN x
            (error) ERR value is not an integer or out of range
            > LCS a b MINMATCHLEN -1 LEN
            (integer) 0
            > LCS a b LEN IDX
            (error) ERR If you want both the length and indexes, please just use IDX.
        "#,
        );
    }

    #[test]
    fn the_table_must_fit_proto_max_bulk_len() {
        let script = r#"
            > MSET a abcde b abcd
            OK
            > LCS a b
            {}
        "#;
        let hold = |proto_max_bulk_len, expected: &str| {
            let options = Options { proto_max_bulk_len, ..options() };
            check_with(options, &script.replace("{}", expected));
        };
        hold(6 * 5 * 4, "\"abcd\"");
        let error = TABLE_TOO_LARGE.as_bytes().into_owned();
        hold(6 * 5 * 4 - 1, &format!("(error) {}", String::from_utf8(error).unwrap()));
    }

    #[test]
    fn pieces_of_two_shards_give_the_same_reply() {
        let argv: ArgvBuf = [b"LCS".as_slice(), b"a", b"b"].into_iter().collect();
        let piece = |text: &[u8]| Piece::Entry(Box::new(Entry::new(Value::String(Str::new(text)))));
        let finish = |pieces: &[Piece]| {
            let mut out = Vec::new();
            let mut reply = Writer::new(&mut out, Resp::V2);
            lcs_finish(&options(), Args::new(argv.as_argv()), pieces, &mut reply).unwrap();
            out
        };
        assert_eq!(finish(&[piece(b"ohmytext"), piece(b"mynewtext")]), b"$6\r\nmytext\r\n");
        assert_eq!(finish(&[piece(b"12"), Piece::Missing]), b"$0\r\n\r\n");
    }
}
