//! A typed cursor over the arguments of a command: reads straight down, the first error wins.

use crate::error::CommandError;
use protocol::number::{self, LongDouble};
use protocol::request::Argv;

/// Longest timeout in milliseconds: added to the time of day, until the year 2248, it is still a 64-bit integer.
pub(crate) const TIMEOUT_MS_MAX: i64 = i64::MAX - (1 << 43);

/// The arguments behind the command name, taken one by one.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    argv: Argv<'a>,
    next: usize,
}

impl<'a> Args<'a> {
    /// Starts behind the command name.
    #[must_use]
    pub fn new(argv: Argv<'a>) -> Self {
        Args { argv, next: 1 }
    }

    /// The whole request, command name first.
    #[must_use]
    pub fn argv(&self) -> Argv<'a> {
        self.argv
    }

    /// Index in [`Args::argv`] of the next argument.
    #[must_use]
    pub fn position(&self) -> usize {
        self.next
    }

    /// How many arguments are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.argv.len() - self.next
    }

    /// Whether none is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next argument, which the arity guarantees or the syntax demands.
    ///
    /// # Errors
    /// `ERR syntax error` if none is left.
    pub fn bytes(&mut self) -> Result<&'a [u8], CommandError> {
        let arg = self.argv.get(self.next).ok_or(CommandError::Syntax)?;
        self.next += 1;
        Ok(arg)
    }

    /// The next argument, a key. The same as [`Args::bytes`], named for the reader.
    ///
    /// # Errors
    /// `ERR syntax error` if none is left.
    pub fn key(&mut self) -> Result<&'a [u8], CommandError> {
        self.bytes()
    }

    /// The next argument as an integer.
    ///
    /// # Errors
    /// `ERR value is not an integer or out of range`.
    pub fn integer(&mut self) -> Result<i64, CommandError> {
        number::parse_i64(self.bytes()?).ok_or(CommandError::NotInteger)
    }

    /// The next argument as an integer that is not negative.
    ///
    /// # Errors
    /// `ERR value is out of range, must be positive`, also where it is no integer.
    pub fn count(&mut self) -> Result<usize, CommandError> {
        self.count_or("ERR value is out of range, must be positive")
    }

    /// The same with an error text of its own, code included.
    ///
    /// # Errors
    /// `text`.
    pub fn count_or(&mut self, text: &'static str) -> Result<usize, CommandError> {
        let integer = number::parse_i64(self.bytes()?);
        let count = integer.and_then(|integer| usize::try_from(integer).ok());
        count.ok_or(CommandError::text(text))
    }

    /// The next argument as an integer whose negative exists too: every 64-bit one but the smallest.
    ///
    /// # Errors
    /// `ERR value is not an integer or out of range`; for the smallest one a text that names the range.
    pub fn symmetric(&mut self) -> Result<i64, CommandError> {
        let integer = self.integer()?;
        integer.checked_neg().map(|_| integer).ok_or(CommandError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ))
    }

    /// Reads the timeout of a blocking command: seconds with a fraction, rounded up to milliseconds, 0 for ever.
    ///
    /// # Errors
    /// `ERR timeout is not a float or out of range`, `ERR timeout is negative`, `ERR timeout is out of range`.
    pub fn timeout_ms(text: &[u8]) -> Result<u64, CommandError> {
        // Redis reads a long double here: what is too great or too small for a double is still a number.
        let seconds = LongDouble::parse(text).and_then(|_| number::double::parse_f64_bound(text));
        let ms = (seconds.ok_or(CommandError::TimeoutNotFloat)? * 1000.0).ceil();
        if ms > TIMEOUT_MS_MAX as f64 {
            return Err(CommandError::text("ERR timeout is out of range"));
        }
        if ms < 0.0 {
            return Err(CommandError::TimeoutNegative);
        }
        Ok(ms as u64)
    }

    /// Takes the next argument if it is the word `token`, in any case.
    pub fn take_token(&mut self, token: &str) -> bool {
        let is_token = self.peek().is_some_and(|arg| arg.eq_ignore_ascii_case(token.as_bytes()));
        self.next += usize::from(is_token);
        is_token
    }

    /// Leaves out the next argument, which [`Args::peek`] has shown.
    pub fn skip(&mut self) {
        self.next += 1;
    }

    /// The next argument without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.argv.get(self.next)
    }

    /// All arguments that are left.
    pub fn rest(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.argv.iter().skip(self.next)
    }
}
