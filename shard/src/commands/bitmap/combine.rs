//! BITOP: strings combined bit by bit.
//!
//! Path: `shard::Shard::execute` -> here -> `commands::bytes`. The keys may lie on different shards: then the strings
//! travel as pieces.

use crate::args::Args;
use crate::call::Now;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, KeyWrite, Piece, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::event::Event;
use crate::options::Options;
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[Command {
    spec: CommandSpec {
        arity: -4,
        flags: Flags::of(&[Flags::DENYOOM, Flags::WRITE]),
        categories: Categories::BITMAP,
        keys: &[
            KeySpec::range(KeyFlags::of(&[KeyFlags::OW, KeyFlags::UPDATE]), 2, 0, 1),
            KeySpec::range(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]), 3, -1, 1),
        ],
        docs: &BITOP,
        ..CommandSpec::new("bitop", Group::Bitmap)
    },
    run: Run::GatherWrite { local: bitop, piece: bitop_piece, plan: bitop_plan },
}];

const _: () = check(COMMANDS);

/// Where the key of the result stands in argv.
const TARGET: usize = 2;

/// How bits are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    /// Takes the operation and the key of the result; what is left are the keys to combine.
    fn parse(args: &mut Args<'_>) -> Result<Operation, CommandError> {
        let operation = match args.bytes()?.to_ascii_uppercase().as_slice() {
            b"AND" => Operation::And,
            b"OR" => Operation::Or,
            b"XOR" => Operation::Xor,
            b"NOT" => Operation::Not,
            _ => return Err(CommandError::Syntax),
        };
        args.key()?;
        if operation == Operation::Not && args.remaining() != 1 {
            return Err(CommandError::text(
                "ERR BITOP NOT must be called with a single source key.",
            ));
        }
        Ok(operation)
    }
}

/// The strings combined so far. A shorter one counts as if it went on with zero bytes.
struct Combined {
    operation: Operation,
    /// `None` before the first string.
    bytes: Option<Vec<u8>>,
}

impl Combined {
    fn new(operation: Operation) -> Self {
        Combined { operation, bytes: None }
    }

    fn add(&mut self, other: &[u8]) {
        let Some(bytes) = &mut self.bytes else {
            self.bytes = Some(match self.operation {
                Operation::Not => other.iter().map(|byte| !byte).collect(),
                Operation::And | Operation::Or | Operation::Xor => other.to_vec(),
            });
            return;
        };
        if bytes.len() < other.len() {
            bytes.resize(other.len(), 0);
        }
        // Loops this plain are made wide by the compiler.
        let (both, only) = bytes.split_at_mut(other.len());
        let pairs = both.iter_mut().zip(other);
        match self.operation {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                only.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => unreachable!("NOT has one string"),
        }
    }

    /// The result; empty if all strings were.
    fn finish(self) -> Vec<u8> {
        self.bytes.unwrap_or_default()
    }
}

/// Combines strings and stores the result, or removes its key if that is empty.
///
/// Args: `operation destkey key [key ...]`. Reply: integer, the length of the result. Errors: syntax, WRONGTYPE.
/// Journal: verbatim. Cost: O(N) with N the bytes of all strings.
fn bitop(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let mut combined = Combined::new(Operation::parse(&mut args)?);
    for key in args.rest() {
        if bytes::read_in_write(ctx, key, |bytes| combined.add(bytes))?.is_none() {
            combined.add(b"");
        }
    }
    let result = combined.finish();
    reply.integer(result.len() as i64);
    let target = args.argv().get(TARGET).expect("the arity guarantees it");
    if !result.is_empty() {
        ctx.insert(target, bytes::raw(result));
        return Ok(Written::changed(Event::SET));
    }
    Ok(if ctx.remove(target) { Written::changed(Event::DEL) } else { Written::unchanged() })
}

fn bitop_piece(
    ctx: &ReadContext<'_>,
    key_index: usize,
    mut args: Args<'_>,
) -> Result<Piece, CommandError> {
    Operation::parse(&mut args)?;
    if key_index == TARGET {
        return Ok(Piece::Missing); // whatever it holds is replaced
    }
    Ok(bytes::piece(ctx, key_index, args.argv()))
}

fn bitop_plan(
    _options: &Options,
    _now: Now,
    db: u16,
    mut args: Args<'_>,
    pieces: Vec<Piece>,
    reply: &mut Writer<'_>,
) -> Result<Vec<KeyWrite>, CommandError> {
    let mut combined = Combined::new(Operation::parse(&mut args)?);
    for piece in &pieces[1..] {
        if bytes::read_piece(piece, |bytes| combined.add(bytes))?.is_none() {
            combined.add(b"");
        }
    }
    let result = combined.finish();
    reply.integer(result.len() as i64);
    let write = |entry, event| KeyWrite { key_index: TARGET, db, entry, event };
    Ok(vec![match result.is_empty() {
        true => write(None, Event::DEL),
        false => write(Some(Box::new(bytes::raw(result))), Event::SET),
    }])
}

const BITOP: Docs = Docs {
    summary: "Combines strings bit by bit and stores the result; a shorter string goes on with zero bytes.",
    since: "2.6.0",
    complexity: "O(N) with N the bytes of all strings",
    arguments: &[
        Argument::one_of(
            "operation",
            &[
                Argument::word("and", "AND"),
                Argument::word("or", "OR"),
                Argument::word("xor", "XOR"),
                Argument::word("not", "NOT"),
            ],
        ),
        Argument::key("destkey"),
        Argument::key("key").key_spec(1).repeated(),
    ],
    examples: &[
        "> MSET a abc b ABCD\nOK\n> BITOP OR both a b\n(integer) 4\n> GET both\n\"abcD\"",
        "> SET a \"\\x0f\"\nOK\n> BITOP NOT inverted a\n(integer) 1\n> GET inverted\n\"\\xf0\"",
    ],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check;
    use protocol::reply::Resp;
    use protocol::request::ArgvBuf;

    #[test]
    fn shorter_strings_go_on_with_zero_bytes() {
        check(
            r#"
            > MSET a "\xff\x0f\xff\xff" b "\x0f\xff" n 12
            OK
            > BITOP AND t a b
            (integer) 4
            > GET t
            "\x0f\x0f\x00\x00"
            > BITOP AND t b a
            (integer) 4
            > GET t
            "\x0f\x0f\x00\x00"
            > BITOP or t b a
            (integer) 4
            > GET t
            "\xff\xff\xff\xff"
            > BITOP XOR t a b none
            (integer) 4
            > GET t
            "\xf0\xf0\xff\xff"
            > BITOP AND t a none
            (integer) 4
            > GET t
            "\x00\x00\x00\x00"
            > BITOP NOT t b
            (integer) 2
            > GET t
            "\xf0\x00"
            > BITOP OR t n
            (integer) 2
            > GET t
            "12"
            > OBJECT ENCODING t
            "raw"
        "#,
        );
    }

    #[test]
    fn an_empty_result_removes_the_key() {
        check(
            r#"
            > MSET empty "" t x
            OK
            > BITOP OR t empty none
            (integer) 0
            > EXISTS t
            (integer) 0
            > BITOP NOT t none
            (integer) 0
            > HSET t f v
            (integer) 1
            > SET a a
            OK
            > BITOP XOR t a
            (integer) 1
            > SET t old EX 100
            OK
            > BITOP AND t t
            (integer) 3
            > TTL t
            (integer) -1
            ~ journal
            MSET empty "" t x
            BITOP OR t empty none
            HSET t f v
            SET a a
            BITOP XOR t a
            SET t old PXAT 1700000100000
            BITOP AND t t
            ~ events
            set empty
            set t
            del t
            hset t
            set a
            set t
            set t
            expire t
            set t
        "#,
        );
    }

    #[test]
    fn the_operation_is_checked_before_the_keys() {
        check(
            r#"
            > HSET h f v
            (integer) 1
            > BITOP NAND t h
            (error) ERR syntax error
            > BITOP NOT t h h
            (error) ERR BITOP NOT must be called with a single source key.
            > BITOP OR t none h
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > EXISTS t
            (integer) 0
        "#,
        );
    }

    #[test]
    fn pieces_of_several_shards_give_the_same_result() {
        let argv: ArgvBuf =
            ["BITOP", "XOR", "t", "a", "b"].map(str::as_bytes).into_iter().collect();
        let plan = |a: Piece, b: Piece| {
            let mut out = Vec::new();
            let mut reply = Writer::new(&mut out, Resp::V2);
            let pieces = vec![Piece::Missing, a, b];
            let args = Args::new(argv.as_argv());
            (
                bitop_plan(&Options::default(), Now::default(), 2, args, pieces, &mut reply)
                    .unwrap(),
                out,
            )
        };
        let piece = |text: &[u8]| Piece::Entry(Box::new(bytes::raw(text.to_vec())));
        let write = |entry, event| [KeyWrite { key_index: 2, db: 2, entry, event }];
        let (writes, reply) = plan(piece(b"\x01\x02"), piece(b"\x03"));
        assert_eq!(writes, write(Some(Box::new(bytes::raw(vec![2, 2]))), Event::SET));
        assert_eq!(reply, b":2\r\n");
        let (writes, reply) = plan(Piece::Missing, Piece::Missing);
        assert_eq!(
            (writes.as_slice(), reply.as_slice()),
            (&write(None, Event::DEL)[..], &b":0\r\n"[..])
        );
    }
}
