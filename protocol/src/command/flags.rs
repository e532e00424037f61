//! Command flags, as COMMAND INFO prints them.

/// A set of command flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $name: Flags = Flags(1 << $bit);)*

            /// Every flag with the word COMMAND INFO uses, in the order Redis prints them.
            pub const NAMES: &'static [(Flags, &'static str)] = &[$((Flags::$name, $text)),*];
        }
    };
}

flags! {
    /// May change the dataset.
    WRITE = 0, "write";
    /// Only reads the dataset.
    READONLY = 1, "readonly";
    /// Refused when memory is over `maxmemory`, since it may need more.
    DENYOOM = 2, "denyoom";
    /// For administrators.
    ADMIN = 3, "admin";
    /// About publish and subscribe.
    PUBSUB = 4, "pubsub";
    /// Not allowed in scripts.
    NOSCRIPT = 5, "noscript";
    /// May block the client.
    BLOCKING = 6, "blocking";
    /// Allowed while the dataset is loading.
    LOADING = 7, "loading";
    /// Allowed on a replica with stale data.
    STALE = 8, "stale";
    /// Not shown by MONITOR.
    SKIP_MONITOR = 9, "skip_monitor";
    /// Not recorded by SLOWLOG.
    SKIP_SLOWLOG = 10, "skip_slowlog";
    /// Allowed on a slot that is being imported.
    ASKING = 11, "asking";
    /// Constant or logarithmic time.
    FAST = 12, "fast";
    /// Allowed before authentication.
    NO_AUTH = 13, "no_auth";
    /// Keys are optional.
    NO_MANDATORY_KEYS = 15, "no_mandatory_keys";
    /// Not allowed while a replica loads a new dataset beside the old one.
    NO_ASYNC_LOADING = 17, "no_async_loading";
    /// Not allowed inside MULTI.
    NO_MULTI = 18, "no_multi";
    /// Keys are not at fixed positions.
    MOVABLEKEYS = 19, "movablekeys";
    /// Allowed while a script blocks the server.
    ALLOW_BUSY = 16, "allow_busy";
}

impl Flags {
    /// May replicate although it is no write. Redis shows it to nobody, so it has no word.
    pub const MAY_REPLICATE: Flags = Flags(1 << 14);

    /// No flag.
    pub const NONE: Flags = Flags(0);

    /// The union of `flags`.
    #[must_use]
    pub const fn of(flags: &[Flags]) -> Flags {
        let mut bits = 0;
        let mut i = 0;
        while i < flags.len() {
            bits |= flags[i].0;
            i += 1;
        }
        Flags(bits)
    }

    /// These without those of `other`.
    #[must_use]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether every flag of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words of the flags in this set, in Redis's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| *name)
    }
}
