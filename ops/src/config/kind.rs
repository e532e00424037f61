//! What values a parameter takes: reading them, with Redis's words for what is wrong, and printing them.

use super::choices::Choices;
use super::value::Value;
use super::{number, special};

/// The form of a parameter's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Flag,
    /// An integer from `min` to `max`.
    Integer {
        /// Smallest value.
        min: i128,
        /// Largest value.
        max: i128,
    },
    /// A memory size from `min` to `max` bytes, written with or without a unit.
    Memory {
        /// Smallest value in bytes.
        min: i128,
        /// Largest value in bytes.
        max: i128,
    },
    /// A memory size, or a share of `maxmemory` from `0%` to `100%`.
    MemoryOrPercent,
    /// A file mode, written in octal.
    Octal {
        /// Largest value.
        max: i128,
    },
    /// One word of a few.
    Choice(Choices),
    /// Any of a few words together.
    Flags(Choices),
    /// Any text that the function accepts; it returns what is wrong.
    Text(fn(&[u8]) -> Result<(), &'static str>),
    /// `bind`.
    Bind,
    /// `save`.
    Save,
    /// `client-output-buffer-limit`.
    OutputLimits,
    /// `notify-keyspace-events`.
    Events,
    /// `oom-score-adj-values`.
    OomScores,
    /// `latency-tracking-info-percentiles`.
    Percentiles,
    /// `replicaof`.
    Primary,
    /// `dir`: an existing directory, made absolute.
    Directory,
}

/// Accepts any text.
pub(super) fn any_text(_: &[u8]) -> Result<(), &'static str> {
    Ok(())
}

const WRONG_COUNT: &str = "wrong number of arguments";

impl Kind {
    /// Reads a value from its words. `current` is the present value, of which some parameters change
    /// only a part. The error is what Redis writes behind the parameter's name.
    pub(super) fn parse(self, words: &[Vec<u8>], current: &Value) -> Result<Value, String> {
        match self {
            Kind::Flags(choices) => flags(words, choices),
            Kind::Bind => special::bind(words),
            Kind::Save => special::save(words),
            Kind::OutputLimits => special::output_limits(words, current),
            Kind::OomScores => special::oom_scores(words),
            Kind::Percentiles => special::percentiles(words),
            Kind::Primary => special::primary(words),
            _ => match words {
                [word] => self.parse_word(word),
                _ => Err(WRONG_COUNT.to_owned()),
            },
        }
    }

    fn parse_word(self, word: &[u8]) -> Result<Value, String> {
        match self {
            Kind::Flag if word.eq_ignore_ascii_case(b"yes") => Ok(Value::Flag(true)),
            Kind::Flag if word.eq_ignore_ascii_case(b"no") => Ok(Value::Flag(false)),
            Kind::Flag => Err("argument must be 'yes' or 'no'".to_owned()),
            Kind::Integer { min, max } => {
                let value = number::integer(word)
                    .ok_or("argument couldn't be parsed into an integer".to_owned())?;
                in_range(value, min, max)
            }
            Kind::Memory { min, max } => {
                let bytes =
                    number::memory(word).ok_or("argument must be a memory value".to_owned())?;
                in_range(bytes, min, max)
            }
            Kind::MemoryOrPercent => memory_or_percent(word),
            Kind::Octal { max } => {
                let value = number::lenient_integer(word, 8)
                    .ok_or("argument couldn't be parsed as an octal number".to_owned())?;
                let value = i128::from(value);
                match value {
                    _ if (0..=max).contains(&value) => Ok(Value::Number(value)),
                    _ => Err(format!("argument must be between 0 and {max:o} inclusive")),
                }
            }
            Kind::Choice(choices) => {
                find(choices, word).map(Value::Choice).ok_or_else(|| must_be_one_of(choices))
            }
            Kind::Text(check) => {
                check(word)?;
                Ok(Value::Text(word.to_vec()))
            }
            Kind::Events => special::events(word),
            Kind::Directory => special::directory(word),
            Kind::Flags(_)
            | Kind::Bind
            | Kind::Save
            | Kind::OutputLimits
            | Kind::OomScores
            | Kind::Percentiles
            | Kind::Primary => unreachable!("parse hands these all their words"),
        }
    }

    /// The value as CONFIG GET prints it.
    pub(super) fn print(self, value: &Value) -> Vec<u8> {
        let text = match (self, value) {
            (Kind::Choice(choices), Value::Choice(code)) => word_of(choices, *code).to_owned(),
            (Kind::Flags(choices), Value::Choice(code)) => words_of(choices, *code),
            (Kind::Octal { .. }, Value::Number(mode)) => format!("{mode:o}"),
            (_, Value::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
            (Kind::MemoryOrPercent, Value::Number(percent @ ..0)) => format!("{}%", -percent),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Text(text)) => return text.clone(),
            (_, other) => special::print(other),
        };
        text.into_bytes()
    }

    /// The value as a line of redis.conf writes it, behind the parameter's name.
    pub(super) fn print_for_file(self, value: &Value) -> String {
        match (self, value) {
            (Kind::Memory { .. } | Kind::MemoryOrPercent, Value::Number(bytes @ 0..)) => {
                number::memory_text(*bytes)
            }
            (_, Value::Text(text)) => super::words::quote(text),
            (Kind::Events, events) => super::words::quote(special::print(events).as_bytes()),
            _ => {
                let text = self.print(value);
                match text.as_slice() {
                    b"" => "\"\"".to_owned(),
                    text => String::from_utf8_lossy(text).into_owned(),
                }
            }
        }
    }

    /// The form in words, for the documentation.
    pub(super) fn describe(self) -> String {
        let list = |choices: Choices, glue: &str| {
            choices.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(glue)
        };
        match self {
            Kind::Flag => "`yes` or `no`".to_owned(),
            Kind::Integer { min, max } => format!("integer, {}", describe_range(min, max)),
            Kind::Memory { min, max } => format!("memory, {}", describe_range(min, max)),
            Kind::MemoryOrPercent => "memory, or `0%` to `100%` of `maxmemory`".to_owned(),
            Kind::Octal { max } => format!("octal, 0 to {max:o}"),
            Kind::Choice(choices) => list(choices, ", "),
            Kind::Flags(choices) => format!("any of {}", list(choices, ", ")),
            Kind::Text(_) => "text".to_owned(),
            Kind::Bind => "up to 16 addresses".to_owned(),
            Kind::Save => "pairs `seconds changes`".to_owned(),
            Kind::OutputLimits => "groups `class hard soft soft-seconds`".to_owned(),
            Kind::Events => "letters of `KEg$lshzxetdmnA`".to_owned(),
            Kind::OomScores => "three integers, -2000 to 2000".to_owned(),
            Kind::Percentiles => "numbers, 0 to 100".to_owned(),
            Kind::Primary => "`host port`".to_owned(),
            Kind::Directory => "directory".to_owned(),
        }
    }
}

fn describe_range(min: i128, max: i128) -> String {
    const UNBOUNDED: i128 = i32::MAX as i128;
    match (min, max) {
        (_, UNBOUNDED..) if min < -1 => "any".to_owned(),
        (_, UNBOUNDED..) => format!("from {min}"),
        _ => format!("{min} to {max}"),
    }
}

fn in_range(value: i128, min: i128, max: i128) -> Result<Value, String> {
    match value {
        _ if (min..=max).contains(&value) => Ok(Value::Number(value)),
        _ => Err(format!("argument must be between {min} and {max} inclusive")),
    }
}

fn memory_or_percent(word: &[u8]) -> Result<Value, String> {
    const TOO_LARGE: &str = "percentage argument must be less or equal to 100";
    if let Some(bytes) = number::memory(word) {
        // Redis says it in these words, because it takes so large a number for a percentage.
        return in_range(bytes, 0, i64::MAX.into()).map_err(|_| TOO_LARGE.to_owned());
    }
    match word.strip_suffix(b"%").and_then(number::integer) {
        Some(percent @ 0..=100) => Ok(Value::Number(-percent)),
        Some(101..) => Err(TOO_LARGE.to_owned()),
        _ => Err("argument must be a memory or percent value".to_owned()),
    }
}

fn flags(words: &[Vec<u8>], choices: Choices) -> Result<Value, String> {
    let codes: Option<Vec<u32>> = words.iter().map(|word| find(choices, word)).collect();
    let code = match codes {
        Some(codes) if !codes.is_empty() => codes.into_iter().fold(0, |all, code| all | code),
        _ => return Err(must_be_one_of(choices)),
    };
    let contradiction = find(choices, b"save")
        .zip(find(choices, b"nosave"))
        .is_some_and(|(save, nosave)| code & save != 0 && code & nosave != 0);
    if contradiction {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
    }
    Ok(Value::Choice(code))
}

fn find(choices: Choices, word: &[u8]) -> Option<u32> {
    let is_word = |(known, _): &&(&str, u32)| known.as_bytes().eq_ignore_ascii_case(word);
    choices.iter().find(is_word).map(|(_, code)| *code)
}

fn word_of(choices: Choices, code: u32) -> &'static str {
    let (word, _) = choices
        .iter()
        .find(|(_, known)| *known == code)
        .expect("a value's code comes from its own choices");
    word
}

fn words_of(choices: Choices, code: u32) -> String {
    if code == 0 {
        return word_of(choices, 0).to_owned();
    }
    let is_set = |(_, bit): &&(&str, u32)| code & bit != 0;
    choices.iter().filter(is_set).map(|(word, _)| *word).collect::<Vec<_>>().join(" ")
}

fn must_be_one_of(choices: Choices) -> String {
    let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
    format!("argument(s) must be one of the following: {}", words.join(", "))
}
