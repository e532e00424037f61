//! The value of one parameter, as the table holds it.

use std::fmt;
use std::net::IpAddr;

/// A parsed value. Which variant a parameter has follows from its [`Kind`](super::Kind).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Flag(bool),
    /// An integer, a memory size in bytes or a file mode; a percentage is held as a negative number.
    Number(i128),
    /// Code of a word, or the sum of the codes of several.
    Choice(u32),
    /// Any text.
    Text(Vec<u8>),
    /// `bind`.
    Bind(Vec<BindAddress>),
    /// `save`.
    Save(Vec<SavePoint>),
    /// `client-output-buffer-limit`: normal, replica, pubsub.
    OutputLimits([OutputLimit; 3]),
    /// `notify-keyspace-events`.
    Events(KeyspaceEvents),
    /// `oom-score-adj-values`.
    Numbers(Vec<i64>),
    /// `latency-tracking-info-percentiles`.
    Percentiles(Vec<f64>),
    /// `replicaof`: host and port of the primary.
    Primary(Option<(String, u16)>),
}

impl Value {
    /// Whether it asks for nothing: no save point.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Value::Save(points) if points.is_empty())
    }

    pub(super) fn flag(&self) -> bool {
        match self {
            Value::Flag(flag) => *flag,
            other => unreachable!("the row's kind is a flag, the value is {other:?}"),
        }
    }

    pub(super) fn number<T: TryFrom<i128>>(&self) -> T {
        match self {
            Value::Number(number) => {
                T::try_from(*number).ok().expect("the row's range fits the field")
            }
            other => unreachable!("the row's kind is a number, the value is {other:?}"),
        }
    }

    pub(super) fn size_or_percent(&self) -> SizeOrPercent {
        match self.number::<i128>() {
            percent @ ..0 => SizeOrPercent::Percent(
                u8::try_from(-percent).expect("the row's range ends at 100 percent"),
            ),
            bytes => {
                SizeOrPercent::Bytes(u64::try_from(bytes).expect("the row's range ends below 2^64"))
            }
        }
    }

    pub(super) fn code(&self) -> u32 {
        match self {
            Value::Choice(code) => *code,
            other => unreachable!("the row's kind is a choice, the value is {other:?}"),
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Text(text) => text.clone(),
            other => unreachable!("the row's kind is a text, the value is {other:?}"),
        }
    }

    /// A text that names a file, an address or the like; bytes that are not UTF-8 are kept visible.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// A path; empty means that none is given.
    pub(super) fn path(&self) -> Option<std::path::PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;

        let bytes = self.bytes();
        (!bytes.is_empty()).then(|| std::ffi::OsString::from_vec(bytes).into())
    }
}

/// A limit given as bytes or as a share of `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeOrPercent {
    /// Bytes; 0 means no limit.
    Bytes(u64),
    /// Percent of `maxmemory`, 0 to 100.
    Percent(u8),
}

impl Default for SizeOrPercent {
    fn default() -> SizeOrPercent {
        SizeOrPercent::Bytes(0)
    }
}

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    /// An IP address, a host name, `*` (all of IPv4) or `::*` (all of IPv6).
    pub host: String,
    /// Written with a leading `-`: it is fine if this machine does not have the address.
    pub is_optional: bool,
}

impl BindAddress {
    pub(super) fn parse(text: &[u8]) -> BindAddress {
        let text = String::from_utf8_lossy(text);
        match text.strip_prefix('-') {
            Some(host) => BindAddress { host: host.to_owned(), is_optional: true },
            None => BindAddress { host: text.into_owned(), is_optional: false },
        }
    }

    /// The address if it is written as a number or a wildcard; a host name must be resolved.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host.as_str() {
            "*" => Some(IpAddr::from([0, 0, 0, 0])),
            "::*" => Some(IpAddr::from([0u16; 8])),
            host => host.parse().ok(),
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_optional { "-" } else { "" };
        write!(f, "{mark}{}", self.host)
    }
}

/// A snapshot is due after `seconds` if at least `changes` keys changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// At least 1.
    pub seconds: u64,
    /// Number of changed keys.
    pub changes: u64,
}

/// When a client that does not read its replies is closed; 0 means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Closed at once above this many bytes.
    pub hard_bytes: u64,
    /// Closed after `soft_seconds` above this many bytes.
    pub soft_bytes: u64,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

/// Which keyspace notifications are published, one bit per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyspaceEvents(u32);

impl KeyspaceEvents {
    /// Classes in the order Redis prints them; those before `K` are what `A` stands for.
    const LETTERS: &'static [u8] = b"g$lshzxetdnKEm";
    /// The classes that `A` stands for: all of [`Self::LETTERS`] up to `d`.
    const ALL_CLASSES: u32 = (1 << 10) - 1;

    /// Reads letters such as `KEA`; `None` if one of them is unknown.
    #[must_use]
    pub fn parse(letters: &[u8]) -> Option<KeyspaceEvents> {
        let mut bits = 0;
        for &letter in letters {
            bits |= match letter {
                b'A' => Self::ALL_CLASSES,
                _ => Self::bit(letter)?,
            };
        }
        Some(KeyspaceEvents(bits))
    }

    /// Says whether the class with this letter (`K`, `E`, `g`, `$`, ...) is published.
    #[must_use]
    pub fn has(self, letter: u8) -> bool {
        Self::bit(letter).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Nothing is published, the default.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(letter: u8) -> Option<u32> {
        Self::LETTERS.iter().position(|&known| known == letter).map(|index| 1 << index)
    }
}

impl fmt::Display for KeyspaceEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_all = self.0 & Self::ALL_CLASSES == Self::ALL_CLASSES;
        if has_all {
            f.write_str("A")?;
        }
        for (index, &letter) in Self::LETTERS.iter().enumerate() {
            // After an `A` Redis leaves out every class, `n` with them though `A` does not cover it.
            if self.0 & (1 << index) != 0 && !(has_all && index <= 10) {
                write!(f, "{}", char::from(letter))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyspace_events_print_in_one_order() {
        let cases = [
            ("", ""),
            ("KEA", "AKE"),
            ("KEg$lshzxet", "g$lshzxetKE"),
            ("Kx", "xK"),
            ("mEA", "AEm"),
            ("KEnA", "AKE"),
            ("nK", "nK"),
            ("g$lshzxetdK", "AK"),
        ];
        for (written, printed) in cases {
            let events = KeyspaceEvents::parse(written.as_bytes()).expect("known letters");
            assert_eq!(events.to_string(), printed, "{written}");
        }
        assert_eq!(KeyspaceEvents::parse(b"Kq"), None);
    }

    #[test]
    fn events_answer_for_single_classes() {
        let events = KeyspaceEvents::parse(b"EA").expect("known letters");
        assert!(events.has(b'E') && events.has(b'x') && !events.has(b'K') && !events.has(b'n'));
    }

    #[test]
    fn bind_addresses_know_wildcards_and_the_optional_mark() {
        let any = BindAddress::parse(b"-::*");
        assert!(any.is_optional);
        assert_eq!(any.ip(), "::".parse().ok());
        assert_eq!(any.to_string(), "-::*");
        assert_eq!(BindAddress::parse(b"*").ip(), "0.0.0.0".parse().ok());
        assert_eq!(BindAddress::parse(b"localhost").ip(), None);
    }
}
