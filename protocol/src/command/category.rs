//! ACL categories of commands, explicit and derived from flags.

use super::Flags;

/// A set of ACL categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Categories(u32);

macro_rules! categories {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Categories {
            $($(#[$doc])* pub const $name: Categories = Categories(1 << $bit);)*

            /// Every category with its name as ACL CAT prints it, in Redis's order.
            pub const NAMES: &'static [(Categories, &'static str)] =
                &[$((Categories::$name, $text)),*];
        }
    };
}

categories! {
    /// Works on any key.
    KEYSPACE = 0, "keyspace";
    /// Reads values.
    READ = 1, "read";
    /// Changes values.
    WRITE = 2, "write";
    /// Sets.
    SET = 3, "set";
    /// Sorted sets.
    SORTEDSET = 4, "sortedset";
    /// Lists.
    LIST = 5, "list";
    /// Hashes.
    HASH = 6, "hash";
    /// Strings.
    STRING = 7, "string";
    /// Bitmaps.
    BITMAP = 8, "bitmap";
    /// HyperLogLog.
    HYPERLOGLOG = 9, "hyperloglog";
    /// Geospatial indices.
    GEO = 10, "geo";
    /// Streams.
    STREAM = 11, "stream";
    /// Publish and subscribe.
    PUBSUB = 12, "pubsub";
    /// For administrators.
    ADMIN = 13, "admin";
    /// Constant or logarithmic time.
    FAST = 14, "fast";
    /// Everything that is not fast.
    SLOW = 15, "slow";
    /// May block the client.
    BLOCKING = 16, "blocking";
    /// Dangerous in the wrong hands.
    DANGEROUS = 17, "dangerous";
    /// About the connection itself.
    CONNECTION = 18, "connection";
    /// MULTI and its kin.
    TRANSACTION = 19, "transaction";
    /// Scripts and functions.
    SCRIPTING = 20, "scripting";
}

impl Categories {
    /// No category.
    pub const NONE: Categories = Categories(0);

    /// The union of `categories`.
    #[must_use]
    pub const fn of(categories: &[Categories]) -> Categories {
        let mut union = Categories::NONE;
        let mut i = 0;
        while i < categories.len() {
            union = union.union(categories[i]);
            i += 1;
        }
        union
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Categories) -> Categories {
        Categories(self.0 | other.0)
    }

    /// This set without the categories of `other`.
    #[must_use]
    pub const fn without(self, other: Categories) -> Categories {
        Categories(self.0 & !other.0)
    }

    /// Whether every category of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Categories) -> bool {
        self.0 & other.0 == other.0
    }

    /// The categories that Redis derives from `flags` (`setImplicitACLCategories` in server.c).
    #[must_use]
    pub const fn implied_by(flags: Flags) -> Categories {
        let mut implied =
            if flags.contains(Flags::FAST) { Categories::FAST } else { Categories::SLOW };
        if flags.contains(Flags::WRITE) {
            implied = implied.union(Categories::WRITE);
        }
        if flags.contains(Flags::READONLY) {
            implied = implied.union(Categories::READ);
        }
        if flags.contains(Flags::ADMIN) {
            implied = implied.union(Categories::ADMIN).union(Categories::DANGEROUS);
        }
        if flags.contains(Flags::PUBSUB) {
            implied = implied.union(Categories::PUBSUB);
        }
        if flags.contains(Flags::BLOCKING) {
            implied = implied.union(Categories::BLOCKING);
        }
        implied
    }

    /// The names of the categories in this set, without `@`, in Redis's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Categories::NAMES.iter().filter(move |(one, _)| self.contains(*one)).map(|(_, name)| *name)
    }

    /// Finds a category by its name without `@`, in any case.
    #[must_use]
    pub fn by_name(name: &[u8]) -> Option<Categories> {
        let found = Categories::NAMES.iter().find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name));
        found.map(|(one, _)| *one)
    }
}
