//! The first byte of everything in an RDB file: what follows, and as what a value is encoded.

macro_rules! value_types {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// How the value behind a key is encoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ValueType {
            $($(#[$doc])* $name = $code,)*
        }

        impl ValueType {
            /// Every one, by code.
            pub const ALL: &[ValueType] = &[$(ValueType::$name,)*];

            /// The type with this byte, unless it is none (or a module's, which this server cannot read).
            #[must_use]
            pub const fn from_code(code: u8) -> Option<ValueType> {
                match code {
                    $($code => Some(ValueType::$name),)*
                    _ => None,
                }
            }
        }
    };
}

value_types! {
    /// A string.
    String = 0;
    /// Count, then each element as a string. Written before Redis 3.2.
    List = 1;
    /// Count, then each member as a string.
    Set = 2;
    /// Count, then each member as a string and its score as text. Written before Redis 4.0.
    SortedSetText = 3;
    /// Count, then each field and value as strings.
    Hash = 4;
    /// Count, then each member as a string and its score as 8 bytes; the highest score first.
    SortedSet = 5;
    /// A zipmap in a string. Written before Redis 2.6.
    HashZipmap = 9;
    /// A ziplist in a string. Written before Redis 3.2.
    ListZiplist = 10;
    /// An intset in a string.
    SetIntset = 11;
    /// A ziplist of members and scores in a string. Written before Redis 7.0.
    SortedSetZiplist = 12;
    /// A ziplist of fields and values in a string. Written before Redis 7.0.
    HashZiplist = 13;
    /// Count of nodes, each a ziplist in a string. Written before Redis 7.0.
    ListQuicklist = 14;
    /// A stream without offsets. Written before Redis 7.0.
    Stream = 15;
    /// A listpack of fields and values in a string.
    HashListpack = 16;
    /// A listpack of members and scores in a string, the lowest score first.
    SortedSetListpack = 17;
    /// Count of nodes, each [`NODE_PLAIN`] and the element as a string, or [`NODE_PACKED`] and a listpack in a string.
    ListQuicklist2 = 18;
    /// A stream with offsets, its consumers without the time they were last active. Written before Redis 7.2.
    Stream2 = 19;
    /// A listpack of members in a string. Written since Redis 7.2.
    SetListpack = 20;
    /// A stream whose consumers have it. Written since Redis 7.2.
    Stream3 = 21;
}

impl ValueType {
    /// Its byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// A node of a list that is one element.
pub const NODE_PLAIN: u64 = 1;
/// A node of a list that is a listpack.
pub const NODE_PACKED: u64 = 2;

// In a file these stand where a value type could.

/// Functions: their source as a string.
pub const FUNCTION: u8 = 245;
/// Data of a module that belongs to no key.
pub const MODULE_AUX: u8 = 247;
/// Seconds for which the next key has not been used, as a length.
pub const IDLE: u8 = 248;
/// How often the next key is used, as one byte.
pub const FREQUENCY: u8 = 249;
/// A name and a value, as strings.
pub const AUX: u8 = 250;
/// How many keys the database has and how many of them expire, as lengths.
pub const RESIZE: u8 = 251;
/// When the next key expires, in milliseconds since 1970, as 8 bytes le.
pub const EXPIRE_MS: u8 = 252;
/// When the next key expires, in seconds since 1970, as 4 bytes le.
pub const EXPIRE_SECONDS: u8 = 253;
/// The database of the keys that follow, as a length.
pub const SELECT: u8 = 254;
/// The end; the checksum follows.
pub const END: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_types_agree() {
        for &value_type in ValueType::ALL {
            assert_eq!(ValueType::from_code(value_type.code()), Some(value_type));
        }
        for module in [6, 7, 8, 22, 255] {
            assert_eq!(ValueType::from_code(module), None);
        }
    }
}
