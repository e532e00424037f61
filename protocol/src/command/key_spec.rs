//! Key specifications: where the keys of a command are, and what it does to them.
//!
//! Path: `server::router` asks [`key_indices`] for the keys of every command that is not keyless.
//! Commands with [`BeginSearch::Unknown`] have an extractor of their own beside their function.

use crate::request::Argv;

/// One key specification.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// What the command does to these keys.
    pub flags: KeyFlags,
    /// Where the search begins.
    pub begin: BeginSearch,
    /// How the keys lie from there.
    pub find: FindKeys,
    /// Remark printed by COMMAND INFO.
    pub notes: Option<&'static str>,
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginSearch {
    /// At this argument; the command name is 0.
    Index(usize),
    /// Behind this keyword, looked for from `start_from` on; negative counts from the end, searching backwards.
    Keyword {
        /// The keyword, upper case.
        keyword: &'static str,
        /// First argument that may be the keyword.
        start_from: i32,
    },
    /// Only the command itself can tell.
    Unknown,
}

/// How the keys lie from where the search began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// Every `step`-th argument up to `last`, counted from the beginning; negative `last` counts from the end.
    Range {
        /// Last key, relative to the first (0: only the first) or to the end (-1: the last argument).
        last: i32,
        /// Distance between keys.
        step: usize,
        /// With `last` -1: 0 and 1 mean no limit, n means only the first n-th part of the rest.
        limit: usize,
    },
    /// The number of keys is itself an argument.
    KeyNum {
        /// The argument with the number, relative to the beginning.
        count_index: usize,
        /// The first key, relative to the beginning.
        first: usize,
        /// Distance between keys.
        step: usize,
    },
    /// Only the command itself can tell.
    Unknown,
}

/// What a command does to the keys of one specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFlags(u16);

macro_rules! key_flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl KeyFlags {
            $($(#[$doc])* pub const $name: KeyFlags = KeyFlags(1 << $bit);)*

            /// Every flag with the word COMMAND INFO uses, in the order Redis prints them.
            pub const NAMES: &'static [(KeyFlags, &'static str)] = &[$((KeyFlags::$name, $text)),*];
        }
    };
}

key_flags! {
    /// Reads the value, changes nothing.
    RO = 0, "RO";
    /// Reads and changes the value.
    RW = 1, "RW";
    /// Overwrites the value without reading it.
    OW = 2, "OW";
    /// Removes the key.
    RM = 3, "RM";
    /// Returns or copies the user's data.
    ACCESS = 4, "access";
    /// Changes existing data.
    UPDATE = 5, "update";
    /// Adds data.
    INSERT = 6, "insert";
    /// Deletes data.
    DELETE = 7, "delete";
    /// A channel or the like: no key, but routed like one.
    NOT_KEY = 8, "not_key";
    /// The specification does not find all keys.
    INCOMPLETE = 9, "incomplete";
    /// The flags depend on the arguments.
    VARIABLE_FLAGS = 10, "variable_flags";
}

impl KeyFlags {
    /// The union of `flags`.
    #[must_use]
    pub const fn of(flags: &[KeyFlags]) -> KeyFlags {
        let mut bits = 0;
        let mut i = 0;
        while i < flags.len() {
            bits |= flags[i].0;
            i += 1;
        }
        KeyFlags(bits)
    }

    /// Whether every flag of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: KeyFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of the flags in this set, in Redis's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        KeyFlags::NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}

impl KeySpec {
    /// Keys at `first`, `first + step`, … up to `last` (see [`FindKeys::Range`]).
    #[must_use]
    pub const fn range(flags: KeyFlags, first: usize, last: i32, step: usize) -> KeySpec {
        KeySpec {
            flags,
            begin: BeginSearch::Index(first),
            find: FindKeys::Range { last, step, limit: 0 },
            notes: None,
        }
    }

    /// One key, the first argument: the form of most commands.
    #[must_use]
    pub const fn first(flags: KeyFlags) -> KeySpec {
        KeySpec::range(flags, 1, 0, 1)
    }

    /// The same specification with a remark.
    #[must_use]
    pub const fn noted(self, notes: &'static str) -> KeySpec {
        KeySpec { notes: Some(notes), ..self }
    }

    /// Calls `found` with the index of each key of this specification, in order.
    ///
    /// Indices are always inside `argv`; a count that does not fit yields no key, and the command reports it.
    pub fn for_each_key(&self, argv: Argv<'_>, mut found: impl FnMut(usize)) {
        let argc = argv.len();
        let begin = match self.begin {
            BeginSearch::Index(index) => index,
            BeginSearch::Keyword { keyword, start_from } => {
                match find_keyword(argv, keyword.as_bytes(), start_from) {
                    Some(index) => index + 1,
                    None => return,
                }
            }
            BeginSearch::Unknown => return,
        };
        match self.find {
            FindKeys::Range { last, step, limit } => {
                let end = match usize::try_from(last) {
                    Ok(last) => begin + last + 1,
                    Err(_) if last == -1 && limit > 1 => begin + argc.saturating_sub(begin) / limit,
                    Err(_) => (argc + 1).saturating_sub(last.unsigned_abs() as usize),
                };
                (begin..end.min(argc)).step_by(step).for_each(&mut found);
            }
            FindKeys::KeyNum { count_index, first, step } => {
                let count = argv.get(begin + count_index).and_then(crate::number::parse_i64);
                let Some(count) = count.and_then(|n| usize::try_from(n).ok()) else { return };
                let fits = count.checked_sub(1).and_then(|n| n.checked_mul(step));
                let Some(last) = fits.and_then(|n| n.checked_add(begin + first)) else { return };
                if last < argc {
                    (begin + first..=last).step_by(step).for_each(&mut found);
                }
            }
            FindKeys::Unknown => {}
        }
    }
}

/// Position of `keyword`; a negative `start_from` searches backwards from that place counted from the end.
fn find_keyword(argv: Argv<'_>, keyword: &[u8], start_from: i32) -> Option<usize> {
    let is_keyword =
        |&index: &usize| argv.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(keyword));
    match usize::try_from(start_from) {
        Ok(start) => (start..argv.len()).find(is_keyword),
        Err(_) => {
            let start = (argv.len() + 1).checked_sub(start_from.unsigned_abs() as usize)?;
            (1..start).rev().find(is_keyword)
        }
    }
}

/// Calls `found` with the index of each key that `specs` describe, channels ([`KeyFlags::NOT_KEY`]) left out.
pub fn key_indices(specs: &[KeySpec], argv: Argv<'_>, mut found: impl FnMut(usize)) {
    for spec in specs.iter().filter(|spec| !spec.flags.contains(KeyFlags::NOT_KEY)) {
        spec.for_each_key(argv, &mut found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::ArgvBuf;

    fn keys(spec: KeySpec, line: &str) -> Vec<String> {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let mut keys = Vec::new();
        spec.for_each_key(argv.as_argv(), |index| {
            let key = argv.as_argv().get(index).unwrap();
            keys.push(String::from_utf8_lossy(key).into_owned());
        });
        keys
    }

    #[test]
    fn a_range_counts_from_the_first_key_or_from_the_end() {
        assert_eq!(keys(KeySpec::first(KeyFlags::RO), "GET a"), ["a"]);
        assert_eq!(keys(KeySpec::range(KeyFlags::OW, 1, -1, 2), "MSET a 1 b 2"), ["a", "b"]);
        assert_eq!(keys(KeySpec::range(KeyFlags::RW, 1, -2, 1), "BLPOP a b 0"), ["a", "b"]);
    }

    #[test]
    fn a_limit_takes_a_part_of_the_rest() {
        let find = FindKeys::Range { last: -1, step: 1, limit: 2 };
        let begin = BeginSearch::Keyword { keyword: "STREAMS", start_from: 1 };
        let spec = KeySpec { flags: KeyFlags::RO, begin, find, notes: None };
        assert_eq!(keys(spec, "XREAD COUNT 2 STREAMS a b 0 0"), ["a", "b"]);
        assert!(keys(spec, "XREAD COUNT 2").is_empty());
    }

    #[test]
    fn a_count_that_does_not_fit_yields_no_key() {
        let find = FindKeys::KeyNum { count_index: 0, first: 1, step: 1 };
        let spec = KeySpec { flags: KeyFlags::RO, begin: BeginSearch::Index(1), find, notes: None };
        assert_eq!(keys(spec, "SINTERCARD 2 a b"), ["a", "b"]);
        assert!(keys(spec, "SINTERCARD 3 a b").is_empty());
        assert!(keys(spec, "SINTERCARD -1 a b").is_empty());
        assert!(keys(spec, "SINTERCARD 9223372036854775807 a b").is_empty());
    }
}
