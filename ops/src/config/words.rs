//! Splitting a configuration line into words, and writing a word so that it reads back the same.
//!
//! Words are separated by blanks. `"..."` knows `\n \r \t \b \a \xHH` and a backslash before any other
//! byte; `'...'` knows only `\'`. A closing quote must be followed by a blank or the end of the line.
//! redis.conf, the command line and CONFIG REWRITE share these rules.

/// The line has a quote that is not closed, or text right behind a closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnbalancedQuotes;

/// Splits a line into its words; an empty line has none. Cost: one pass.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = split_first(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// Takes one word from a text that starts with one. A quote may open in the middle of a word.
fn split_first(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => return Ok((word, rest)),
            [b' ' | b'\n' | b'\r' | b'\t', after @ ..] => return Ok((word, after)),
            [b'"', after @ ..] => {
                rest = double_quoted(after, &mut word)?;
                return end_of_word(rest, word);
            }
            [b'\'', after @ ..] => {
                rest = single_quoted(after, &mut word)?;
                return end_of_word(rest, word);
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn end_of_word(rest: &[u8], word: Vec<u8>) -> Result<(Vec<u8>, &[u8]), UnbalancedQuotes> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(UnbalancedQuotes),
        _ => Ok((word, rest)),
    }
}

/// Reads up to and with the closing `"`; returns what follows it.
fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'"', after @ ..] => return Ok(after),
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex_value(*high) * 16 + hex_value(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads up to and with the closing `'`; returns what follows it.
fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\'', after @ ..] => return Ok(after),
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// Writes a word between double quotes; anything not printable ASCII becomes an escape.
pub(super) fn quote(word: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for &byte in word {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            0x07 => quoted.push_str("\\a"),
            0x08 => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => write!(quoted, "\\x{byte:02x}").expect("writing to a String cannot fail"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).expect("balanced");
        words.into_iter().map(|word| String::from_utf8(word).expect("text")).collect()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words("  save 3600\t1 \r\n"), ["save", "3600", "1"]);
        assert!(words(" \t ").is_empty());
    }

    #[test]
    fn double_quotes_know_escapes_and_single_quotes_do_not() {
        assert_eq!(words(r#"requirepass "a b\n\x41\q""#), ["requirepass", "a b\nAq"]);
        assert_eq!(words(r"logfile 'a \n\'b'"), ["logfile", r"a \n'b"]);
        assert_eq!(words(r#"save """#), ["save", ""]);
        assert_eq!(words(r#"x \xzz "\xzz""#), ["x", r"\xzz", "xzz"]);
    }

    #[test]
    fn quotes_must_be_closed_and_end_the_word() {
        for line in [r#"a "b"#, "a 'b", r#"a "b"c"#, "a 'b'c", r#"a "b\"#] {
            assert_eq!(split(line.as_bytes()), Err(UnbalancedQuotes), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_word_reads_back(word: Vec<u8>) {
            prop_assert_eq!(split(quote(&word).as_bytes()), Ok(vec![word]));
        }

        #[test]
        fn any_line_is_split_or_refused(line: Vec<u8>) {
            let _ = split(&line);
        }
    }
}
