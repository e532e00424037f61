//! What a command is, as data: everything COMMAND INFO, COMMAND DOCS, the ACL, the router and the tests' generators know.
//!
//! The tables themselves stand beside the command functions, in `shard::commands` and `server::commands`.
//! A test compares every row with facts recorded from a running Redis 7.2.

pub mod argument;
pub mod category;
pub mod check;
pub mod flags;
pub mod key_spec;

pub use argument::{Argument, ArgumentKind};
pub use category::Categories;
pub use flags::Flags;
pub use key_spec::{BeginSearch, FindKeys, KeyFlags, KeySpec};

/// Metadata of one command or subcommand, as COMMAND INFO and COMMAND DOCS report it.
#[derive(Debug)]
pub struct CommandSpec {
    /// Lower case; of a subcommand only its own word (`list`, not `client|list`).
    pub name: &'static str,
    /// Argument count, the name (and the container's name) included; negative means "at least".
    pub arity: i8,
    /// Flags as COMMAND INFO prints them.
    pub flags: Flags,
    /// ACL categories beyond those that follow from the flags; see [`CommandSpec::categories`].
    pub categories: Categories,
    /// Where the keys are.
    pub keys: &'static [KeySpec],
    /// Tips for clients and proxies.
    pub tips: &'static [&'static str],
    /// Group in COMMAND DOCS; also the data type's ACL category.
    pub group: Group,
    /// Documentation.
    pub docs: &'static Docs,
    /// Subcommands, if this is a container.
    pub subcommands: &'static [CommandSpec],
}

impl CommandSpec {
    /// A row with nothing but a name: the base of struct update syntax.
    #[must_use]
    pub const fn new(name: &'static str, group: Group) -> Self {
        CommandSpec {
            name,
            arity: 1,
            flags: Flags::NONE,
            categories: Categories::NONE,
            keys: &[],
            tips: &[],
            group,
            docs: &Docs::NONE,
            subcommands: &[],
        }
    }

    /// Whether `argc` arguments (name included) satisfy the arity.
    #[must_use]
    pub const fn accepts(&self, argc: usize) -> bool {
        let bound = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { argc >= bound } else { argc == bound }
    }

    /// Finds a subcommand by its word, in any case.
    #[must_use]
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static CommandSpec> {
        self.subcommands.iter().find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(word))
    }

    /// All ACL categories: the explicit ones and those that Redis derives from the flags.
    #[must_use]
    pub const fn categories(&self) -> Categories {
        let implied = Categories::implied_by(self.flags);
        // What a script reads is not for the row to say.
        match self.categories.contains(Categories::SCRIPTING) {
            true => self.categories.union(implied.without(Categories::READ)),
            false => self.categories.union(implied),
        }
    }
}

/// Group of a command, as COMMAND DOCS names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Bitmaps.
    Bitmap,
    /// Cluster.
    Cluster,
    /// Connection management.
    Connection,
    /// Any key.
    Generic,
    /// Geospatial indices.
    Geo,
    /// Hashes.
    Hash,
    /// HyperLogLog.
    HyperLogLog,
    /// Lists.
    List,
    /// Publish and subscribe.
    PubSub,
    /// Scripts and functions.
    Scripting,
    /// Sentinel.
    Sentinel,
    /// Server management.
    Server,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Streams.
    Stream,
    /// Strings.
    String,
    /// MULTI and its kin.
    Transactions,
}

impl Group {
    /// The name COMMAND DOCS prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Cluster => "cluster",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Geo => "geo",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Sentinel => "sentinel",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }
}

/// Documentation of one command: COMMAND DOCS, `docs/commands.md` and examples that are run as tests.
#[derive(Debug)]
pub struct Docs {
    /// One sentence, ours.
    pub summary: &'static str,
    /// First Redis version that had it.
    pub since: &'static str,
    /// Cost, ours.
    pub complexity: &'static str,
    /// Argument tree.
    pub arguments: &'static [Argument],
    /// `(version, change)` pairs.
    pub history: &'static [(&'static str, &'static str)],
    /// Version that deprecated it, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Whether COMMAND DOCS marks it as a system command.
    pub is_syscmd: bool,
    /// Dialogues in redis-cli's notation (`> SET k v\nOK`), run on one shard, on several, over TCP and on a real Redis.
    pub examples: &'static [&'static str],
}

impl Docs {
    /// Nothing documented: the base of struct update syntax.
    pub const NONE: Docs = Docs {
        summary: "",
        since: "1.0.0",
        complexity: "",
        arguments: &[],
        history: &[],
        deprecated: None,
        is_syscmd: false,
        examples: &[],
    };
}
