//! Argument trees: what COMMAND DOCS prints, and the grammar that random tests generate commands from.

/// One argument, possibly made of others.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: ArgumentKind,
    /// Name shown to people, where it differs from `name`.
    pub display: Option<&'static str>,
    /// Literal word before it, or the word itself for [`ArgumentKind::PureToken`].
    pub token: Option<&'static str>,
    /// Version that added it, where younger than its command.
    pub since: Option<&'static str>,
    /// Version that deprecated it.
    pub deprecated_since: Option<&'static str>,
    /// Index of its key specification.
    pub key_spec: Option<u8>,
    /// May be left out.
    pub is_optional: bool,
    /// May be repeated.
    pub is_multiple: bool,
    /// The token is repeated with it.
    pub is_multiple_token: bool,
    /// Parts of a [`ArgumentKind::OneOf`] or [`ArgumentKind::Block`].
    pub parts: &'static [Argument],
}

/// Kind of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// A signed 64-bit integer.
    Integer,
    /// A double.
    Double,
    /// A key.
    Key,
    /// A glob pattern.
    Pattern,
    /// Seconds or milliseconds since 1970.
    UnixTime,
    /// Only a word.
    PureToken,
    /// One of its parts.
    OneOf,
    /// All of its parts, in order.
    Block,
}

impl ArgumentKind {
    /// The word COMMAND DOCS prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }
}

impl Argument {
    const fn new(name: &'static str, kind: ArgumentKind) -> Argument {
        Argument {
            name,
            kind,
            display: None,
            token: None,
            since: None,
            deprecated_since: None,
            key_spec: None,
            is_optional: false,
            is_multiple: false,
            is_multiple_token: false,
            parts: &[],
        }
    }

    /// A key, found by key specification 0.
    #[must_use]
    pub const fn key(name: &'static str) -> Argument {
        Argument { key_spec: Some(0), ..Argument::new(name, ArgumentKind::Key) }
    }

    /// Any bytes.
    #[must_use]
    pub const fn string(name: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::String)
    }

    /// An integer.
    #[must_use]
    pub const fn integer(name: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::Integer)
    }

    /// A double.
    #[must_use]
    pub const fn double(name: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::Double)
    }

    /// A glob pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::Pattern)
    }

    /// A point in time.
    #[must_use]
    pub const fn unix_time(name: &'static str) -> Argument {
        Argument::new(name, ArgumentKind::UnixTime)
    }

    /// A word that stands for itself.
    #[must_use]
    pub const fn word(name: &'static str, token: &'static str) -> Argument {
        Argument { token: Some(token), ..Argument::new(name, ArgumentKind::PureToken) }
    }

    /// One of `parts`.
    #[must_use]
    pub const fn one_of(name: &'static str, parts: &'static [Argument]) -> Argument {
        Argument { parts, ..Argument::new(name, ArgumentKind::OneOf) }
    }

    /// All of `parts`, in order.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Argument]) -> Argument {
        Argument { parts, ..Argument::new(name, ArgumentKind::Block) }
    }

    /// The same, but it may be left out.
    #[must_use]
    pub const fn optional(self) -> Argument {
        Argument { is_optional: true, ..self }
    }

    /// The same, but it may be repeated.
    #[must_use]
    pub const fn repeated(self) -> Argument {
        Argument { is_multiple: true, ..self }
    }

    /// The same, and a repetition repeats the token too.
    #[must_use]
    pub const fn token_repeated(self) -> Argument {
        Argument { is_multiple: true, is_multiple_token: true, ..self }
    }

    /// The same behind a literal word.
    #[must_use]
    pub const fn token(self, token: &'static str) -> Argument {
        Argument { token: Some(token), ..self }
    }

    /// The same, younger than its command.
    #[must_use]
    pub const fn since(self, version: &'static str) -> Argument {
        Argument { since: Some(version), ..self }
    }

    /// The same, deprecated.
    #[must_use]
    pub const fn deprecated(self, version: &'static str) -> Argument {
        Argument { deprecated_since: Some(version), ..self }
    }

    /// The same, shown to people under another name.
    #[must_use]
    pub const fn shown_as(self, display: &'static str) -> Argument {
        Argument { display: Some(display), ..self }
    }

    /// The same, found by another key specification.
    #[must_use]
    pub const fn key_spec(self, index: u8) -> Argument {
        Argument { key_spec: Some(index), ..self }
    }
}
