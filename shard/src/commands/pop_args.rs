//! Arguments of the commands that take from the first of several keys: LMPOP, ZMPOP and their blocking forms.

use crate::args::Args;
use crate::error::CommandError;

/// What is taken: from which end, and how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PopArgs<E> {
    /// The end to take from.
    pub end: E,
    /// At least 1.
    pub count_max: usize,
}

impl<E> PopArgs<E> {
    /// Reads `numkeys key [key ...] end [COUNT count]`; `parse_end` knows the words for the ends.
    ///
    /// # Errors
    /// `ERR numkeys should be greater than 0`, `ERR count should be greater than 0`, `ERR syntax error`.
    pub(crate) fn parse(
        mut args: Args<'_>,
        parse_end: impl FnOnce(&[u8]) -> Option<E>,
    ) -> Result<Self, CommandError> {
        let key_count = positive(&mut args, "ERR numkeys should be greater than 0")?;
        if args.remaining() <= key_count {
            return Err(CommandError::Syntax);
        }
        (0..key_count).for_each(|_| args.skip());
        let end = parse_end(args.bytes()?).ok_or(CommandError::Syntax)?;
        let mut count = None;
        while !args.is_empty() {
            if count.is_some() || args.remaining() < 2 || !args.take_token("COUNT") {
                return Err(CommandError::Syntax);
            }
            count = Some(positive(&mut args, "ERR count should be greater than 0")?);
        }
        Ok(PopArgs { end, count_max: count.unwrap_or(1) })
    }
}

fn positive(args: &mut Args<'_>, error: &'static str) -> Result<usize, CommandError> {
    match args.count_or(error)? {
        0 => Err(CommandError::text(error)),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn parse(line: &str) -> Result<(char, usize), String> {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let end = |word: &[u8]| (word == b"L").then_some('L');
        PopArgs::parse(Args::new(argv.as_argv()), end)
            .map(|pop| (pop.end, pop.count_max))
            .map_err(|error| String::from_utf8(error.as_bytes().into_owned()).unwrap())
    }

    #[test]
    fn keys_are_counted_and_the_end_follows() {
        assert_eq!(parse("X 2 a b L"), Ok(('L', 1)));
        assert_eq!(parse("X 1 a L count 7"), Ok(('L', 7)));
        for line in ["X 2 a L", "X 1 a M", "X 1 a L COUNT", "X 1 a L 1", "X 1 a L COUNT 1 COUNT 1"]
        {
            assert_eq!(parse(line), Err("ERR syntax error".into()), "{line}");
        }
        let no_keys = Err("ERR numkeys should be greater than 0".into());
        for line in ["X 0 L", "X -1 a L", "X a a L", "X 9223372036854775808 a L"] {
            assert_eq!(parse(line), no_keys, "{line}");
        }
        assert_eq!(parse("X 9223372036854775807 a L"), Err("ERR syntax error".into()));
        for line in ["X 1 a L COUNT 0", "X 1 a L COUNT -1", "X 1 a L COUNT x"] {
            assert_eq!(parse(line), Err("ERR count should be greater than 0".into()), "{line}");
        }
    }
}
