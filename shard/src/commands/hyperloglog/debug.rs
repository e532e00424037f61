//! Commands that look inside: PFDEBUG PFSELFTEST.
//!
//! Path: `shard::Shard::execute` -> here -> `types::hyperloglog`.

use crate::args::Args;
use crate::commands::bytes;
use crate::commands::check::check;
use crate::commands::{Command, Run};
use crate::context::{ReadContext, WriteContext};
use crate::effects::Written;
use crate::error::CommandError;
use crate::rng::Rng;
use crate::types::hyperloglog::{self as hll, Form, REGISTER_COUNT, dense, sparse};
use protocol::command::{Argument, Categories, CommandSpec, Docs, Flags, Group, KeyFlags, KeySpec};
use protocol::reply::Writer;

/// Rows of this topic.
pub const COMMANDS: &[Command] = &[
    Command {
        spec: CommandSpec {
            arity: 3,
            flags: Flags::of(&[Flags::ADMIN, Flags::DENYOOM, Flags::WRITE]),
            categories: Categories::HYPERLOGLOG,
            keys: &[KeySpec::range(KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS]), 2, 0, 1)],
            docs: &PFDEBUG,
            ..CommandSpec::new("pfdebug", Group::HyperLogLog)
        },
        run: Run::Write(pfdebug),
    },
    Command {
        spec: CommandSpec {
            flags: Flags::ADMIN,
            categories: Categories::HYPERLOGLOG,
            docs: &PFSELFTEST,
            ..CommandSpec::new("pfselftest", Group::HyperLogLog)
        },
        run: Run::Read(pfselftest),
    },
];

const _: () = check(COMMANDS);

/// Shows the inside of a HyperLogLog.
///
/// Args: `GETREG|DECODE|ENCODING|TODENSE key`. Reply: the registers (and it becomes dense); the runs of the sparse
/// form; the form; whether it became dense. Errors: no such key, no HyperLogLog, a corrupted one, not sparse.
/// Journal: verbatim, if it became dense.
fn pfdebug(
    ctx: &mut WriteContext<'_>,
    mut args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<Written, CommandError> {
    let word = args.bytes()?;
    let key = args.key()?;
    if !ctx.entry(key).exists() {
        return Err(CommandError::text("ERR The specified key does not exist"));
    }
    let is_word = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let has_become_dense = bytes::edit(ctx, key, |string| {
        let form = string.look(hll::form)?;
        let bytes = string.bytes();
        if is_word("GETREG") {
            let has_become_dense = hll::make_dense(bytes)?;
            reply.array(REGISTER_COUNT);
            dense::for_each(hll::registers(bytes), |_, value| reply.integer(i64::from(value)));
            Ok(has_become_dense)
        } else if is_word("DECODE") {
            if form != Form::Sparse {
                return Err(CommandError::text("ERR HLL encoding is not sparse"));
            }
            reply.bulk(decode(hll::registers(bytes)).as_bytes());
            Ok(false)
        } else if is_word("ENCODING") {
            reply.status(if form == Form::Dense { "dense" } else { "sparse" });
            Ok(false)
        } else if is_word("TODENSE") {
            let has_become_dense = hll::make_dense(bytes)?;
            reply.integer(i64::from(has_become_dense));
            Ok(has_become_dense)
        } else {
            Err(CommandError::showing("ERR Unknown PFDEBUG subcommand '", word, "'"))
        }
    })??;
    if has_become_dense {
        ctx.touched(key);
        return Ok(Written::reported());
    }
    Ok(Written::unchanged())
}

/// The runs of the sparse form: `z:n` and `Z:n` for n zeros in one byte or two, `v:x,n` for n times x.
fn decode(registers: &[u8]) -> String {
    let words = sparse::runs(registers).map(|run| match run.value {
        0 if run.is_long() => format!("Z:{}", run.len),
        0 => format!("z:{}", run.len),
        value => format!("v:{value},{}", run.len),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How often all registers are written and read.
const REGISTER_ROUNDS: usize = 20;
/// How many elements are added.
const ELEMENT_COUNT: u64 = 100_000;

/// Tests HyperLogLogs: registers do not disturb each other, both forms agree, and estimates are as good as promised.
///
/// Reply: OK. Errors: what failed. Cost: a few hundredths of a second, in which the shard serves nobody.
fn pfselftest(
    ctx: &ReadContext<'_>,
    _args: Args<'_>,
    reply: &mut Writer<'_>,
) -> Result<(), CommandError> {
    let mut rng = ctx.rng();
    for _ in 0..REGISTER_ROUNDS {
        test_registers(&mut rng)?;
    }
    test_estimates(&mut rng, ctx.options.hll_sparse_max_bytes)?;
    reply.ok();
    Ok(())
}

fn failed(text: String) -> CommandError {
    CommandError::Text(format!("ERR TESTFAILED {text}").into())
}

/// Writes random values into all registers of the dense form and reads them back.
fn test_registers(rng: &mut Rng) -> Result<(), CommandError> {
    let mut bytes = hll::empty();
    hll::make_dense(&mut bytes)?;
    let mut registers = hll::registers(&bytes).to_vec();
    let values: Vec<u8> = (0..REGISTER_COUNT).map(|_| rng.below(64) as u8).collect();
    for (index, value) in values.iter().enumerate() {
        dense::set(&mut registers, index, *value);
    }
    for (index, value) in values.iter().enumerate() {
        let found = dense::get(&registers, index);
        if found != *value {
            return Err(failed(format!("Register {index} should be {value} but is {found}")));
        }
    }
    Ok(())
}

/// Adds elements to a HyperLogLog that begins sparse and to a dense one, and compares at each power of ten.
fn test_estimates(rng: &mut Rng, sparse_len_max: usize) -> Result<(), CommandError> {
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense)?;
    let seed = rng.next_u64();
    let standard_error = 1.04 / (REGISTER_COUNT as f64).sqrt();
    let mut checkpoint = 1;
    for number in 1..=ELEMENT_COUNT {
        let element = (number ^ seed).to_le_bytes();
        hll::add(&mut sparse, &element, sparse_len_max)?;
        hll::add(&mut dense, &element, sparse_len_max)?;
        if number < checkpoint {
            continue;
        }
        // At most five bytes of the sparse form are an element's.
        if number < sparse_len_max as u64 / 5 && hll::form(&sparse)? != Form::Sparse {
            return Err(failed("sparse encoding not used".to_owned()));
        }
        let count = hll::cardinality(&dense)?;
        if hll::cardinality(&sparse)? != count {
            return Err(failed("dense/sparse disagree".to_owned()));
        }
        let error_max = (standard_error * 6.0 * number as f64).ceil() as u64;
        let error = count.abs_diff(number);
        if error > error_max {
            return Err(failed(format!("Too big error. card:{number} abserr:{error}")));
        }
        checkpoint *= 10;
    }
    Ok(())
}

const PFDEBUG: Docs = Docs {
    summary: "Shows the inside of a HyperLogLog: registers, runs, form; or makes it dense.",
    since: "2.8.9",
    complexity: "O(1), the number of registers",
    arguments: &[Argument::string("subcommand"), Argument::key("key")],
    is_syscmd: true,
    examples: &[
        "> PFADD k a\n(integer) 1\n> PFDEBUG ENCODING k\nsparse\n> PFDEBUG DECODE k\n\"Z:12711 v:2,1 Z:3672\"",
    ],
    ..Docs::NONE
};

const PFSELFTEST: Docs = Docs {
    summary: "Tests the HyperLogLogs of this server.",
    since: "2.8.9",
    complexity: "O(1), but a few hundredths of a second",
    is_syscmd: true,
    examples: &["> PFSELFTEST\nOK"],
    ..Docs::NONE
};

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn a_string_becomes_dense_on_request() {
        check(
            r#"
            > PFADD k a
            (integer) 1
            > PFDEBUG encoding k
            sparse
            > PFDEBUG TODENSE k
            (integer) 1
            > PFDEBUG TODENSE k
            (integer) 0
            > PFDEBUG ENCODING k
            dense
            > PFDEBUG DECODE k
            (error) ERR HLL encoding is not sparse
            > PFCOUNT k
            (integer) 1
            ~ journal
            PFADD k a
            PFDEBUG TODENSE k
            PFCOUNT k
            ~ events
            pfadd k
        "#,
        );
    }

    #[test]
    fn mistakes_get_redis_errors() {
        check(
            r#"
            > PFDEBUG FOO none
            (error) ERR The specified key does not exist
            > SET s text
            OK
            > PFDEBUG FOO s
            (error) WRONGTYPE Key is not a valid HyperLogLog string value.
            > PFADD k
            (integer) 1
            > PFDEBUG FOO k
            (error) ERR Unknown PFDEBUG subcommand 'FOO'
            > PFDEBUG GETREG k x
            (error) ERR wrong number of arguments for 'pfdebug' command
            > APPEND k x
            (integer) 19
            > PFDEBUG TODENSE k
            (error) INVALIDOBJ Corrupted HLL object detected
        "#,
        );
    }
}
