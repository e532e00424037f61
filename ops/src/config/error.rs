//! What can be wrong with a configuration: at start (one sentence for the operator), in CONFIG SET and
//! CONFIG REWRITE (Redis's bytes for the client).

use std::fmt;
use std::path::PathBuf;

/// Where a line of configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file and the line in it, counted from 1.
    File {
        /// As it was named.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Standard input, and the line counted from 1.
    Stdin {
        /// Counted from 1.
        line: usize,
    },
    /// The command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{} line {line}", path.display()),
            Origin::Stdin { line } => write!(f, "standard input line {line}"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// The configuration cannot be used. Each prints as one sentence: where, which parameter, what is wrong,
/// what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value does not fit its parameter.
    #[error("{origin}: {name} cannot be {value}: {problem}; change the value or delete the line")]
    Value {
        /// Where it stands.
        origin: Origin,
        /// The parameter, as written.
        name: String,
        /// The value, quoted.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no such parameter.
    #[error("{origin}: there is no parameter '{name}'{hint}; docs/config.md lists them all")]
    Unknown {
        /// Where it stands.
        origin: Origin,
        /// As written.
        name: String,
        /// Empty, or names a parameter that looks similar.
        hint: String,
    },
    /// A directive of Redis that Rialto refuses, because ignoring it would be dangerous.
    #[error("{origin}: '{name}' is not available: {why}; delete the line")]
    Refused {
        /// Where it stands.
        origin: Origin,
        /// As written.
        name: String,
        /// The reason.
        why: &'static str,
    },
    /// A directive has too few or too many words.
    #[error("{origin}: '{name}' takes {expected}; correct the line")]
    WordCount {
        /// Where it stands.
        origin: Origin,
        /// As written.
        name: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A quote is not closed, or text follows a closing quote.
    #[error("{origin}: the quotes are unbalanced; close them, and put a blank behind")]
    Quotes {
        /// Where it stands.
        origin: Origin,
    },
    /// A word of the command line stands alone.
    #[error("command line: '{word}' belongs to no parameter; write --name value")]
    StrayWord {
        /// The word.
        word: String,
    },
    /// A file cannot be read.
    #[error("cannot read the configuration {path}: {problem}; check the path and its permissions")]
    Read {
        /// The file, or `standard input`.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// A file is not a configuration: it is far too large.
    #[error("the configuration {path} is larger than {limit_bytes} bytes; is it the right file?")]
    TooLarge {
        /// The file, or `standard input`.
        path: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// Files include one another too deeply, most likely in a circle.
    #[error(
        "{origin}: includes are nested more than {depth_max} deep; break the circle of includes"
    )]
    IncludeDepth {
        /// Where it stands.
        origin: Origin,
        /// The limit.
        depth_max: usize,
    },
}

/// CONFIG SET failed; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A name is not in the table.
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")]
    Unknown {
        /// As the client wrote it.
        name: String,
    },
    /// The parameter or its value is refused.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {problem}")]
    Failed {
        /// As Redis prints it.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The parameter cannot change while data is loading.
    #[error("LOADING Redis is loading the dataset in memory")]
    Loading,
    /// The arguments are not pairs.
    #[error("ERR syntax error")]
    NotPairs,
}

impl SetError {
    /// The error for a new value that was valid but could not be put into effect: the caller rolled back.
    #[must_use]
    pub fn not_applied(parameter: &super::Parameter, problem: &str) -> SetError {
        SetError::Failed { name: parameter.name.to_owned(), problem: problem.to_owned() }
    }

    /// The text behind the `-` of an error reply; line breaks in it have become blanks.
    #[must_use]
    pub fn reply(&self) -> String {
        self.to_string().replace(['\r', '\n'], " ")
    }
}

/// CONFIG REWRITE failed; the file is as it was. Prints as the reply's text.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The server was started without a file.
    #[error("ERR The server is running without a config file")]
    NoFile,
    /// The file cannot be read or replaced.
    #[error("ERR Rewriting config file: {problem}")]
    Io {
        /// What the system says.
        problem: String,
    },
}
