//! Parameters that are one word out of a few: the words, in the order error texts list them, and the
//! Rust enums that the rest of the server matches on.

/// Words of a choice with their codes. Words with the same code mean the same; the first is printed.
pub type Choices = &'static [(&'static str, u32)];

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// The words, in the order error texts list them.
            pub const CHOICES: Choices = &[$(($word, $name::$variant as u32),)*];

            /// The word as configuration spells it.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            pub(super) fn from_code(code: u32) -> Self {
                [$($name::$variant,)*]
                    .into_iter()
                    .find(|variant| *variant as u32 == code)
                    .expect("codes come from CHOICES of the same type")
            }
        }
    };
}

choice! {
    /// Which keys leave when memory is full, and in which order.
    MaxmemoryPolicy {
        /// Least recently used, among keys with an expiry.
        VolatileLru = "volatile-lru",
        /// Least frequently used, among keys with an expiry.
        VolatileLfu = "volatile-lfu",
        /// Any key with an expiry.
        VolatileRandom = "volatile-random",
        /// The key that expires soonest.
        VolatileTtl = "volatile-ttl",
        /// Least recently used of all keys.
        AllkeysLru = "allkeys-lru",
        /// Least frequently used of all keys.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// None: writes that need memory are refused.
        #[default]
        Noeviction = "noeviction",
    }
}

choice! {
    /// When the append-only file is forced to disk.
    AppendFsync {
        /// Once a second.
        #[default]
        Everysec = "everysec",
        /// Before the reply to the write.
        Always = "always",
        /// When the kernel likes.
        No = "no",
    }
}

choice! {
    /// The least important line that is still written to the log.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Rarely useful details.
        Verbose = "verbose",
        /// What an operator wants to know.
        #[default]
        Notice = "notice",
        /// Only what needs attention.
        Warning = "warning",
        /// No line at all.
        Nothing = "nothing",
    }
}

choice! {
    /// Who starts and watches the process.
    Supervised {
        /// Upstart.
        Upstart = "upstart",
        /// Systemd, told through `NOTIFY_SOCKET`.
        Systemd = "systemd",
        /// Found out from the environment.
        Auto = "auto",
        /// Nobody.
        #[default]
        No = "no",
    }
}

choice! {
    /// Which clients may use a protected feature.
    Access {
        /// None.
        #[default]
        No = "no",
        /// All.
        Yes = "yes",
        /// Clients on this machine.
        Local = "local",
    }
}

choice! {
    /// Whether RESTORE checks the whole payload.
    SanitizeDumpPayload {
        /// Never.
        #[default]
        No = "no",
        /// Always.
        Yes = "yes",
        /// For client connections only.
        Clients = "clients",
    }
}

pub(super) const OOM_SCORE_ADJ: Choices =
    &[("no", 0), ("yes", 1), ("relative", 1), ("absolute", 2)];

pub(super) const SYSLOG_FACILITY: Choices = &[
    ("user", 0),
    ("local0", 1),
    ("local1", 2),
    ("local2", 3),
    ("local3", 4),
    ("local4", 5),
    ("local5", 6),
    ("local6", 7),
    ("local7", 8),
];

pub(super) const REPL_DISKLESS_LOAD: Choices =
    &[("disabled", 0), ("on-empty-db", 1), ("swapdb", 2)];

pub(super) const TLS_AUTH_CLIENTS: Choices = &[("no", 0), ("yes", 1), ("optional", 2)];

pub(super) const ACL_PUBSUB_DEFAULT: Choices = &[("allchannels", 0), ("resetchannels", 1)];

pub(super) const ENDPOINT_TYPE: Choices = &[("ip", 0), ("hostname", 1), ("unknown-endpoint", 2)];

pub(super) const PROPAGATION_ERROR_BEHAVIOR: Choices =
    &[("ignore", 0), ("panic", 1), ("panic-on-replicas", 2)];

/// What a shutdown signal asks for; codes are bits and may be combined.
pub(super) const SHUTDOWN_FLAGS: Choices =
    &[("default", 0), ("save", 1), ("nosave", 2), ("now", 4), ("force", 8)];

/// What SIGTERM or SIGINT asks for (`shutdown-on-sigterm`, `shutdown-on-sigint`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownFlags {
    /// Save a snapshot even if no save point is configured.
    pub save: bool,
    /// Save no snapshot even if save points are configured.
    pub nosave: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// Exit even if saving fails.
    pub force: bool,
}

impl ShutdownFlags {
    pub(super) fn from_code(code: u32) -> ShutdownFlags {
        ShutdownFlags {
            save: code & 1 != 0,
            nosave: code & 2 != 0,
            now: code & 4 != 0,
            force: code & 8 != 0,
        }
    }
}
