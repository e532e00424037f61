//! Keyspace events: what `notify-keyspace-events` can report, and how its letters are read.

/// Classes of events, one bit each, as the letters of `notify-keyspace-events` select them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventClasses(u16);

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl EventClasses {
            $($(#[$doc])* pub const $name: EventClasses = EventClasses(1 << $bit);)*
        }
    };
}

classes! {
    /// `K`: publish on `__keyspace@<db>__:<key>`.
    KEYSPACE = 0;
    /// `E`: publish on `__keyevent@<db>__:<event>`.
    KEYEVENT = 1;
    /// `g`: commands on any type.
    GENERIC = 2;
    /// `$`: strings.
    STRING = 3;
    /// `l`: lists.
    LIST = 4;
    /// `s`: sets.
    SET = 5;
    /// `h`: hashes.
    HASH = 6;
    /// `z`: sorted sets.
    SORTED_SET = 7;
    /// `x`: expired keys.
    EXPIRED = 8;
    /// `e`: evicted keys.
    EVICTED = 9;
    /// `t`: streams.
    STREAM = 10;
    /// `m`: misses.
    KEY_MISS = 11;
    /// `d`: module types.
    MODULE = 12;
    /// `n`: new keys.
    NEW = 13;
}

impl EventClasses {
    /// No class.
    pub const NONE: EventClasses = EventClasses(0);

    /// `A`: every class but misses and new keys.
    pub const ALL: EventClasses = EventClasses(0b0001_0111_1111_1100);

    /// Each letter and its class.
    const LETTERS: [(u8, EventClasses); 15] = [
        (b'K', EventClasses::KEYSPACE),
        (b'E', EventClasses::KEYEVENT),
        (b'g', EventClasses::GENERIC),
        (b'$', EventClasses::STRING),
        (b'l', EventClasses::LIST),
        (b's', EventClasses::SET),
        (b'h', EventClasses::HASH),
        (b'z', EventClasses::SORTED_SET),
        (b'x', EventClasses::EXPIRED),
        (b'e', EventClasses::EVICTED),
        (b't', EventClasses::STREAM),
        (b'm', EventClasses::KEY_MISS),
        (b'd', EventClasses::MODULE),
        (b'n', EventClasses::NEW),
        (b'A', EventClasses::ALL),
    ];

    /// Reads letters such as `KEA`; `None` if one is unknown.
    #[must_use]
    pub fn parse(letters: &[u8]) -> Option<EventClasses> {
        let mut classes = EventClasses::NONE;
        for letter in letters {
            let (_, class) = EventClasses::LETTERS.iter().find(|(known, _)| known == letter)?;
            classes.0 |= class.0;
        }
        Some(classes)
    }

    /// Whether every class of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: EventClasses) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its class.
    pub class: EventClasses,
    /// Its name, as published.
    pub name: &'static str,
}

macro_rules! events {
    ($($name:ident = $class:ident, $text:literal;)*) => {
        impl Event {
            $(
                #[doc = concat!("`", $text, "`")]
                pub const $name: Event = Event { class: EventClasses::$class, name: $text };
            )*
        }
    };
}

events! {
    DEL = GENERIC, "del";
    EXPIRE = GENERIC, "expire";
    PERSIST = GENERIC, "persist";
    RENAME_FROM = GENERIC, "rename_from";
    RENAME_TO = GENERIC, "rename_to";
    COPY_TO = GENERIC, "copy_to";
    MOVE_FROM = GENERIC, "move_from";
    MOVE_TO = GENERIC, "move_to";
    RESTORE = GENERIC, "restore";
    EXPIRED = EXPIRED, "expired";
    EVICTED = EVICTED, "evicted";
    NEW = NEW, "new";
    KEY_MISS = KEY_MISS, "keymiss";
    SET = STRING, "set";
    SETRANGE = STRING, "setrange";
    APPEND = STRING, "append";
    INCRBY = STRING, "incrby";
    DECRBY = STRING, "decrby";
    INCRBYFLOAT = STRING, "incrbyfloat";
    SETBIT = STRING, "setbit";
    PFADD = STRING, "pfadd";
    LPUSH = LIST, "lpush";
    RPUSH = LIST, "rpush";
    LPOP = LIST, "lpop";
    RPOP = LIST, "rpop";
    LSET = LIST, "lset";
    LINSERT = LIST, "linsert";
    LREM = LIST, "lrem";
    LTRIM = LIST, "ltrim";
    SORTSTORE = LIST, "sortstore";
    HSET = HASH, "hset";
    HDEL = HASH, "hdel";
    HINCRBY = HASH, "hincrby";
    HINCRBYFLOAT = HASH, "hincrbyfloat";
    ZADD = SORTED_SET, "zadd";
    ZINCR = SORTED_SET, "zincr";
    ZREM = SORTED_SET, "zrem";
    ZREMRANGEBYRANK = SORTED_SET, "zremrangebyrank";
    ZREMRANGEBYSCORE = SORTED_SET, "zremrangebyscore";
    ZREMRANGEBYLEX = SORTED_SET, "zremrangebylex";
    ZPOPMIN = SORTED_SET, "zpopmin";
    ZPOPMAX = SORTED_SET, "zpopmax";
    ZUNIONSTORE = SORTED_SET, "zunionstore";
    ZINTERSTORE = SORTED_SET, "zinterstore";
    ZDIFFSTORE = SORTED_SET, "zdiffstore";
    ZRANGESTORE = SORTED_SET, "zrangestore";
    GEOSEARCHSTORE = SORTED_SET, "geosearchstore";
    GEORADIUSSTORE = SORTED_SET, "georadiusstore";
    SADD = SET, "sadd";
    SREM = SET, "srem";
    SPOP = SET, "spop";
    SINTERSTORE = SET, "sinterstore";
    SUNIONSTORE = SET, "sunionstore";
    SDIFFSTORE = SET, "sdiffstore";
    XADD = STREAM, "xadd";
    XDEL = STREAM, "xdel";
    XTRIM = STREAM, "xtrim";
    XSETID = STREAM, "xsetid";
    XGROUP_CREATE = STREAM, "xgroup-create";
    XGROUP_SETID = STREAM, "xgroup-setid";
    XGROUP_DESTROY = STREAM, "xgroup-destroy";
    XGROUP_CREATECONSUMER = STREAM, "xgroup-createconsumer";
    XGROUP_DELCONSUMER = STREAM, "xgroup-delconsumer";
}
