//! Cuts a payload into RESP commands.
//!
//! Path: `reader` -> here -> the server routes each command by key. A payload has passed its checksum, so an error here
//! means that it was written wrongly; nothing is believed all the same.

use protocol::request::{Argv, Span};

/// Most arguments of one command.
const ARGUMENT_COUNT_MAX: usize = i32::MAX as usize;

/// Shortest argument on the wire: `$0`, CR LF, CR LF.
const ARGUMENT_LEN_MIN: usize = 6;

/// Walks over the commands of one payload. Reuses the memory for spans from one command to the next.
#[derive(Debug)]
pub struct Commands<'a> {
    payload: &'a [u8],
    at: usize,
    spans: Vec<Span>,
}

/// Where a payload is not a run of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {offset} of its frame")]
pub struct CommandsError {
    /// Offset in the payload, in bytes.
    pub offset: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl<'a> Commands<'a> {
    /// Begins at the first command of `payload`.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Self {
        Commands { payload, at: 0, spans: Vec::new() }
    }

    /// Begins at the first command of another payload, with the memory of this one.
    #[must_use]
    pub fn restart<'b>(self, payload: &'b [u8]) -> Commands<'b> {
        Commands { payload, at: 0, spans: self.spans }
    }

    /// Where the next command begins in the payload, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next command; `None` after the last. Cost: its length, nothing is copied.
    pub fn next_command(&mut self) -> Result<Option<Argv<'_>>, CommandsError> {
        let start = self.at;
        if start == self.payload.len() {
            return Ok(None);
        }
        let (count, mut at) = self.number(start, b'*', "a command, which begins with `*`")?;
        let possible = (self.payload.len() - at) / ARGUMENT_LEN_MIN;
        if count == 0 || count > possible.min(ARGUMENT_COUNT_MAX) {
            return Err(CommandsError { offset: start, expected: "a possible count of arguments" });
        }
        self.spans.clear();
        for _ in 0..count {
            let (len, first) = self.number(at, b'$', "an argument, which begins with `$`")?;
            let expected = "an argument that ends in the frame";
            let error = CommandsError { offset: at, expected };
            let end = first.checked_add(len).ok_or(error)?;
            let line_end = self.payload.get(end..).and_then(|rest| rest.get(..2)).ok_or(error)?;
            if line_end != b"\r\n" {
                return Err(CommandsError { offset: end, expected: "CR LF after an argument" });
            }
            let span = |value| u32::try_from(value).map_err(|_| error);
            self.spans.push(Span { start: span(first - start)?, len: span(len)? });
            at = end + 2;
        }
        self.at = at;
        Ok(Some(Argv::new(&self.payload[start..at], &self.spans)))
    }

    /// `sigil`, a decimal number, CR LF; returns the number and the offset after it.
    fn number(
        &self,
        offset: usize,
        sigil: u8,
        expected: &'static str,
    ) -> Result<(usize, usize), CommandsError> {
        let rest = &self.payload[offset..];
        if rest.first() != Some(&sigil) {
            return Err(CommandsError { offset, expected });
        }
        let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = std::str::from_utf8(&rest[1..1 + digits]).expect("digits are ASCII");
        let error = CommandsError { offset: offset + 1, expected: "a number and CR LF" };
        let value = text.parse().map_err(|_| error)?;
        if !rest[1 + digits..].starts_with(b"\r\n") {
            return Err(error);
        }
        Ok((value, offset + 1 + digits + 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn encode(command: &[Vec<u8>]) -> Vec<u8> {
        let mut out = format!("*{}\r\n", command.len()).into_bytes();
        for arg in command {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    fn decode(payload: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, CommandsError> {
        let mut commands = Commands::new(payload);
        let mut out = Vec::new();
        while let Some(argv) = commands.next_command()? {
            out.push(argv.iter().map(<[u8]>::to_vec).collect());
        }
        Ok(out)
    }

    proptest! {
        #[test]
        fn commands_read_back_as_they_were_written(
            commands in vec(vec(vec(any::<u8>(), 0..20), 1..5), 0..5),
        ) {
            let payload: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
            prop_assert_eq!(decode(&payload), Ok(commands));
        }

        #[test]
        fn arbitrary_bytes_never_panic(prefix in r"(\*[0-9]{1,20}\r\n(\$[0-9]{1,20}\r\n)?)?", bytes: Vec<u8>) {
            let _ = decode(&[prefix.as_bytes(), &bytes].concat());
        }
    }

    #[test]
    fn errors_name_the_offset() {
        for (payload, offset, expected) in [
            ("PING\r\n", 0, "a command, which begins with `*`"),
            ("*x\r\n", 1, "a number and CR LF"),
            ("*0\r\n", 0, "a possible count of arguments"),
            ("*99999999\r\n$1\r\na\r\n", 0, "a possible count of arguments"),
            ("*1\r\n$4\r\nPING\r\n*1\r\n+PING!!\r\n", 18, "an argument, which begins with `$`"),
            ("*1\r\n$9\r\nPING\r\n", 4, "an argument that ends in the frame"),
            ("*1\r\n$3\r\nPING\r\n", 11, "CR LF after an argument"),
            ("*1\r\n$18446744073709551615\r\nPING\r\n", 4, "an argument that ends in the frame"),
        ] {
            let error = decode(payload.as_bytes()).unwrap_err();
            assert_eq!(error, CommandsError { offset, expected }, "{payload}");
        }
    }
}
