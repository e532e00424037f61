//! The form that people type: words on one line, `SET greeting "hello\nworld"`.
//!
//! A line ends at `\n`; one `\r` before it is dropped. As in Redis, a NUL byte hides the rest of the line.

use super::{ArgvBuf, Parsed, Span};
use crate::error::ProtocolError;
use crate::limits::INLINE_LEN_MAX;

/// Looks for one line at the start of `input` and splits it into words.
///
/// `searched` is how many bytes are known to hold no line end; zero between requests.
pub(super) fn parse(
    searched: &mut usize,
    input: &[u8],
    spans: &mut Vec<Span>,
) -> Result<Parsed, ProtocolError> {
    let window = &input[..input.len().min(INLINE_LEN_MAX + 1)];
    let found = memchr::memchr2(b'\n', 0, &window[*searched..]);
    *searched = found.map_or(window.len(), |offset| *searched + offset);
    if window.get(*searched) != Some(&b'\n') {
        if input.len() > INLINE_LEN_MAX {
            return Err(ProtocolError::InlineTooBig);
        }
        return Ok(Parsed::Incomplete { wanted: 1 });
    }
    let line = &window[..*searched];
    let len = line.len() + 1;
    *searched = 0;

    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if memchr::memchr2(b'"', b'\'', line).is_some() {
        let argv = unquote(line).ok_or(ProtocolError::UnbalancedQuotes)?;
        return Ok(Parsed::Quoted { len, argv });
    }
    let spans_before = spans.len();
    split(line, spans);
    if spans.len() == spans_before {
        return Ok(Parsed::Empty { len });
    }
    Ok(Parsed::Request { len })
}

/// Pushes the words of a line without quotes.
fn split(line: &[u8], spans: &mut Vec<Span>) {
    let mut position = 0;
    while let Some(start) = next_word(line, position) {
        let word = &line[start..];
        let len = word.iter().position(|&byte| ends_word(byte)).unwrap_or(word.len());
        // A line is at most 64 KiB long.
        spans.push(Span { start: start as u32, len: len as u32 });
        position = start + len;
    }
}

/// The words of a line with quotes taken off and escapes resolved. `None` if the quotes do not match up, or a closing
/// quote does not end its word.
///
/// Double quotes know `\n \r \t \b \a`, `\xHH` and a backslash before any other byte; single quotes know `\'` only.
/// A quote may open in the middle of a word. Also the notation of redis.conf.
pub fn unquote(line: &[u8]) -> Option<ArgvBuf> {
    let mut argv = ArgvBuf::new();
    let mut word = Vec::new();
    let mut position = 0;
    while let Some(start) = next_word(line, position) {
        word.clear();
        position = start;
        while let Some(&byte) = line.get(position).filter(|&&byte| !ends_word(byte)) {
            position += 1;
            if byte != b'"' && byte != b'\'' {
                word.push(byte);
                continue;
            }
            position += match byte {
                b'"' => double_quoted(&line[position..], &mut word)?,
                _ => single_quoted(&line[position..], &mut word)?,
            };
            if line.get(position).is_some_and(|&byte| !is_space(byte)) {
                return None;
            }
            break;
        }
        argv.push(&word);
    }
    Some(argv)
}

/// Appends what stands before the closing quote; returns the bytes taken, that quote included.
fn double_quoted(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut position = 0;
    loop {
        let (byte, len) = match text[position..] {
            [] => return None,
            [b'"', ..] => return Some(position + 1),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_digit(high) << 4 | hex_digit(low), 4)
            }
            [b'\\', escaped, ..] => (unescape(escaped), 2),
            [byte, ..] => (byte, 1),
        };
        word.push(byte);
        position += len;
    }
}

/// Appends what stands before the closing quote; returns the bytes taken, that quote included.
fn single_quoted(text: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut position = 0;
    loop {
        let (byte, len) = match text[position..] {
            [] => return None,
            [b'\'', ..] => return Some(position + 1),
            [b'\\', b'\'', ..] => (b'\'', 2),
            [byte, ..] => (byte, 1),
        };
        word.push(byte);
        position += len;
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

/// Where the next word begins, from `position` on.
fn next_word(line: &[u8], position: usize) -> Option<usize> {
    let offset = line[position..].iter().position(|&byte| !is_space(byte))?;
    Some(position + offset)
}

/// What may stand between words: `isspace` of the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word that is not quoted. Vertical tab and form feed only separate: inside a word they belong to it.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
