//! The expiry options of SET and GETEX: EX, PX, EXAT, PXAT, KEEPTTL and PERSIST.

use crate::args::Args;
use crate::call::Now;
use crate::error::CommandError;
use protocol::number;
use std::borrow::Cow;

/// How an expiry is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiryKind {
    /// `EX`: seconds from now.
    Seconds,
    /// `PX`: milliseconds from now.
    Milliseconds,
    /// `EXAT`: seconds since 1970.
    UnixSeconds,
    /// `PXAT`: milliseconds since 1970.
    UnixMilliseconds,
    /// `KEEPTTL` of SET: as it was.
    Keep,
    /// `PERSIST` of GETEX: none any more.
    Persist,
}

impl ExpiryKind {
    /// Whether it names a point in time, and not a distance from now.
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, ExpiryKind::UnixSeconds | ExpiryKind::UnixMilliseconds)
    }
}

/// An expiry option as it was given. Its amount is looked at only when all options have been read, because syntax
/// errors come first.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpiryOption<'a> {
    pub(super) kind: ExpiryKind,
    amount: &'a [u8],
}

impl<'a> ExpiryOption<'a> {
    /// Takes one of EX, PX, EXAT, PXAT and its amount, or the word `lone` that stands alone, into `option`. Says
    /// whether there was one.
    ///
    /// The same option may come again, and the last one counts, as in Redis.
    ///
    /// # Errors
    /// A syntax error if `option` already holds another kind, or an amount is missing.
    pub(super) fn take(
        args: &mut Args<'a>,
        lone: (&str, ExpiryKind),
        option: &mut Option<ExpiryOption<'a>>,
    ) -> Result<bool, CommandError> {
        const WITH_AMOUNT: [(&str, ExpiryKind); 4] = [
            ("EX", ExpiryKind::Seconds),
            ("PX", ExpiryKind::Milliseconds),
            ("EXAT", ExpiryKind::UnixSeconds),
            ("PXAT", ExpiryKind::UnixMilliseconds),
        ];
        let taken = if args.take_token(lone.0) {
            ExpiryOption { kind: lone.1, amount: b"" }
        } else {
            let found = WITH_AMOUNT.iter().find(|(token, _)| args.take_token(token));
            let Some(&(_, kind)) = found else { return Ok(false) };
            ExpiryOption { kind, amount: args.bytes()? }
        };
        if option.is_some_and(|before| before.kind != taken.kind) {
            return Err(CommandError::Syntax);
        }
        *option = Some(taken);
        Ok(true)
    }

    /// The point in time it names, in milliseconds since 1970; of an option with an amount only.
    ///
    /// # Errors
    /// As [`expire_at_ms`].
    pub(super) fn at_ms(self, now: Now, command: &'static str) -> Result<i64, CommandError> {
        expire_at_ms(self.kind, self.amount, now, command)
    }
}

/// Reads the amount of an expiry and turns it into milliseconds since 1970.
///
/// # Errors
/// `ERR value is not an integer…` and, if it is not positive or too large, `ERR invalid expire time in '<command>'…`.
pub(super) fn expire_at_ms(
    kind: ExpiryKind,
    amount: &[u8],
    now: Now,
    command: &'static str,
) -> Result<i64, CommandError> {
    let amount = number::parse_i64(amount).ok_or(CommandError::NotInteger)?;
    let amount_ms = match kind {
        ExpiryKind::Seconds | ExpiryKind::UnixSeconds => amount.checked_mul(1000),
        _ => Some(amount),
    };
    let at_ms = amount_ms
        .filter(|&ms| ms > 0)
        .and_then(|ms| if kind.is_absolute() { Some(ms) } else { ms.checked_add(now.unix_ms()) });
    at_ms.ok_or(CommandError::InvalidExpire(Cow::Borrowed(command)))
}
