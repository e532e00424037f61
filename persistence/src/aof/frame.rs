//! Frames: the unit of writing and of trust. One tick of one core, or one marker.
//!
//! Path: `writer` encodes them, `scan` and `reader` parse them.
//!
//! ```text
//! #rialto 1 commands epoch=17 synced=4096 len=27 sum=5c1e0f3a crc=9d3b70aa\r\n    header: one line, at most 512 bytes
//! *2\r\n$4\r\nINCR\r\n$1\r\nn\r\n...                                            payload: `len` bytes of RESP commands
//! ```
//!
//! | kind | fields after it | payload | says |
//! |---|---|---|---|
//! | `commands` | `epoch=E [tx=ID/SHARDS]` | yes | these commands ran in epoch E, as (part of) transaction ID over SHARDS |
//! | `closed` | `epoch=E` | none | no frame of epoch E or before follows in this segment |
//! | `start` | `epoch=N kept=L generation=G shard=K/OF` | none | a server starts: epochs count from N; of all before it, those after L are void, in every segment |
//!
//! Then, for all kinds: `synced`, the offset up to which the writer knew this file to be durable; `len`; `sum`, the
//! CRC32C of the payload; `crc`, the CRC32C of sequence number of the segment (u64 le), offset of the frame (u64 le)
//! and the header up to ` crc=`. So a frame is believed only where it was written: bytes of a value that look like a
//! frame, or blocks of another file, are not. The header has a sum of its own, so that its length is trusted before the
//! payload has been read, and `synced` even if the payload is torn.
//!
//! Numbers are decimal without leading zeros, checksums 8 hex digits, SHARDS the hex digits of a bit set (bit K for shard
//! K). Redis 7 and redis-check-aof skip lines that begin with `#`, of at most 1023 bytes.

use super::epoch::Epoch;
use std::fmt;

/// How every frame begins.
pub const MAGIC: &[u8] = b"#rialto ";

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// Longest header, its line end included.
pub const HEADER_LEN_MAX: usize = 512;

/// Most shards that a server can have.
pub const SHARD_COUNT_MAX: u16 = 1024;

/// Where a frame stands; part of its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Sequence number of the segment.
    pub seq: u64,
    /// Offset of the frame in the segment, in bytes.
    pub offset: u64,
}

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Its epoch.
    pub epoch: Epoch,
    /// Bytes of the segment that the writer knew to be durable when it wrote this frame.
    pub synced: u64,
    /// Bytes of payload.
    pub payload_len: u64,
    /// CRC32C of the payload.
    pub payload_sum: u32,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Commands that ran in its epoch.
    Commands {
        /// Set if they are one shard's part of a transaction over several shards.
        transaction: Option<Transaction>,
    },
    /// Its epoch is over on this shard.
    Closed,
    /// A server starts to write here, in its epoch.
    Start(Start),
}

/// What a start frame says beside its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The last epoch before this start that counts; later ones that are before this start's epoch are void.
    pub kept: Epoch,
    /// Count of changes of the number of shards so far, from 1.
    pub generation: u64,
    /// Which shard, from 0.
    pub shard: u16,
    /// Of how many.
    pub shard_count: u16,
}

/// A transaction that wrote on several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its id, unique since the log began.
    pub id: u64,
    /// The shards that have a part of it.
    pub shards: ShardSet,
}

/// A set of shards.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ShardSet {
    words: [u64; SHARD_COUNT_MAX as usize / 64],
}

impl ShardSet {
    /// Adds `shard`; it must be less than [`SHARD_COUNT_MAX`].
    pub fn insert(&mut self, shard: u16) {
        assert!(shard < SHARD_COUNT_MAX);
        self.words[usize::from(shard / 64)] |= 1 << (shard % 64);
    }

    /// The shards, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..SHARD_COUNT_MAX)
            .filter(|shard| self.words[usize::from(shard / 64)] >> (shard % 64) & 1 == 1)
    }
}

impl FromIterator<u16> for ShardSet {
    fn from_iter<I: IntoIterator<Item = u16>>(shards: I) -> Self {
        let mut set = ShardSet::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Why there is no intact frame header at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes do not begin like a frame.
    #[error("a frame, which begins with `#rialto `")]
    NotAFrame,
    /// The line does not end within the bytes given.
    #[error("a frame header that ends with a line end within {HEADER_LEN_MAX} bytes")]
    Incomplete,
    /// A field is missing or is not as it should be.
    #[error("the header field {0}")]
    Field(&'static str),
    /// The header does not fit its checksum.
    #[error("a frame header with checksum {computed:08x} instead of {found:08x}")]
    Checksum {
        /// What the header should say.
        computed: u32,
        /// What it says.
        found: u32,
    },
    /// Written by a later version of this program.
    #[error("a frame of version {VERSION} instead of {0} (written by a newer Rialto)")]
    Version(u64),
}

impl Header {
    /// Appends the header line to `out`. The payload must follow it.
    pub fn encode(&self, place: Place, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        number(out, b"", VERSION);
        match &self.kind {
            Kind::Commands { transaction } => {
                out.extend_from_slice(b" commands");
                number(out, b" epoch=", self.epoch.get());
                if let Some(transaction) = transaction {
                    number(out, b" tx=", transaction.id);
                    out.push(b'/');
                    shard_set(out, &transaction.shards);
                }
            }
            Kind::Closed => {
                out.extend_from_slice(b" closed");
                number(out, b" epoch=", self.epoch.get());
            }
            Kind::Start(start) => {
                out.extend_from_slice(b" start");
                number(out, b" epoch=", self.epoch.get());
                number(out, b" kept=", start.kept.get());
                number(out, b" generation=", start.generation);
                number(out, b" shard=", start.shard.into());
                number(out, b"/", start.shard_count.into());
            }
        }
        number(out, b" synced=", self.synced);
        number(out, b" len=", self.payload_len);
        out.extend_from_slice(b" sum=");
        hex(out, self.payload_sum);
        let crc = checksum(place, &out[start..]);
        out.extend_from_slice(b" crc=");
        hex(out, crc);
        out.extend_from_slice(b"\r\n");
        debug_assert!(out.len() - start <= HEADER_LEN_MAX);
    }

    /// Reads the header at the beginning of `bytes`, which stand at `place`; returns it and its length.
    ///
    /// Whether `payload_len` bytes really follow is for the caller to find out.
    pub fn parse(bytes: &[u8], place: Place) -> Result<(Header, usize), HeaderError> {
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderError::NotAFrame);
        }
        let head = &bytes[..bytes.len().min(HEADER_LEN_MAX)];
        let line_end = memchr::memchr(b'\n', head).ok_or(HeaderError::Incomplete)?;
        let mut fields = Fields(&head[..line_end]);
        fields.expect(MAGIC, "`#rialto `")?;
        let version = fields.number(b"", "version")?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let (kind, epoch) = fields.kind()?;
        let synced = fields.number(b" synced=", "synced")?;
        let payload_len = fields.number(b" len=", "len")?;
        fields.expect(b" sum=", "sum")?;
        let payload_sum = fields.hex("sum")?;
        let covered = line_end - fields.0.len();
        fields.expect(b" crc=", "crc")?;
        let found = fields.hex("crc")?;
        fields.expect(b"\r", "crc, then the line end")?;
        if !fields.0.is_empty() {
            return Err(HeaderError::Field("crc, then the line end"));
        }
        let computed = checksum(place, &head[..covered]);
        if computed != found {
            return Err(HeaderError::Checksum { computed, found });
        }
        Ok((Header { kind, epoch, synced, payload_len, payload_sum }, line_end + 1))
    }
}

/// The sum of a header: it covers where the frame stands.
fn checksum(place: Place, covered: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&place.seq.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &place.offset.to_le_bytes());
    crc32c::crc32c_append(crc, covered)
}

fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn hex(out: &mut Vec<u8>, value: u32) {
    for shift in (0..8).rev() {
        out.push(hex_digit(u64::from(value >> (4 * shift))));
    }
}

fn shard_set(out: &mut Vec<u8>, set: &ShardSet) {
    let highest = set.iter().last().unwrap_or(0);
    for digit in (0..=highest / 4).rev() {
        out.push(hex_digit(set.words[usize::from(digit / 16)] >> (4 * (digit % 16))));
    }
}

/// The hex digit of the lowest four bits.
fn hex_digit(value: u64) -> u8 {
    b"0123456789abcdef"[usize::from((value & 0xf) as u8)]
}

/// What is left of a header line.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn expect(&mut self, text: &[u8], what: &'static str) -> Result<(), HeaderError> {
        self.0 = self.0.strip_prefix(text).ok_or(HeaderError::Field(what))?;
        Ok(())
    }

    /// `name`, then a decimal number without sign or leading zero.
    fn number(&mut self, name: &[u8], what: &'static str) -> Result<u64, HeaderError> {
        self.expect(name, what)?;
        let len = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        if len == 0 || (len > 1 && digits[0] == b'0') {
            return Err(HeaderError::Field(what));
        }
        let text = std::str::from_utf8(digits).expect("digits are ASCII");
        self.0 = rest;
        text.parse().map_err(|_| HeaderError::Field(what))
    }

    fn small_number(&mut self, name: &[u8], what: &'static str) -> Result<u16, HeaderError> {
        u16::try_from(self.number(name, what)?).map_err(|_| HeaderError::Field(what))
    }

    /// Eight hex digits.
    fn hex(&mut self, what: &'static str) -> Result<u32, HeaderError> {
        let digits = self.0.get(..8).ok_or(HeaderError::Field(what))?;
        let mut value = 0;
        for byte in digits {
            value = value << 4 | hex_value(*byte).ok_or(HeaderError::Field(what))?;
        }
        self.0 = &self.0[8..];
        u32::try_from(value).map_err(|_| HeaderError::Field(what))
    }

    fn kind(&mut self) -> Result<(Kind, Epoch), HeaderError> {
        if self.0.starts_with(b" commands ") {
            self.expect(b" commands", "kind")?;
            let epoch = self.number(b" epoch=", "epoch")?;
            let transaction = self.transaction()?;
            Ok((Kind::Commands { transaction }, Epoch::new(epoch)))
        } else if self.0.starts_with(b" closed ") {
            self.expect(b" closed", "kind")?;
            Ok((Kind::Closed, Epoch::new(self.number(b" epoch=", "epoch")?)))
        } else {
            self.expect(b" start", "kind")?;
            let epoch = self.number(b" epoch=", "epoch")?;
            let kept = Epoch::new(self.number(b" kept=", "kept")?);
            let generation = self.number(b" generation=", "generation")?;
            let shard = self.small_number(b" shard=", "shard")?;
            let shard_count = self.small_number(b"/", "shard")?;
            Ok((Kind::Start(Start { kept, generation, shard, shard_count }), Epoch::new(epoch)))
        }
    }

    fn transaction(&mut self) -> Result<Option<Transaction>, HeaderError> {
        if !self.0.starts_with(b" tx=") {
            return Ok(None);
        }
        let id = self.number(b" tx=", "tx")?;
        self.expect(b"/", "tx")?;
        let len = self.0.iter().take_while(|byte| hex_value(**byte).is_some()).count();
        if len == 0 || len > usize::from(SHARD_COUNT_MAX / 4) {
            return Err(HeaderError::Field("tx"));
        }
        let (digits, rest) = self.0.split_at(len);
        let mut shards = ShardSet::default();
        for (index, byte) in digits.iter().rev().enumerate() {
            let digit = hex_value(*byte).ok_or(HeaderError::Field("tx"))?;
            shards.words[index / 16] |= digit << (4 * (index % 16));
        }
        self.0 = rest;
        Ok(Some(Transaction { id, shards }))
    }
}

fn hex_value(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a') + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { seq: 3, offset: 1234 };

    fn header() -> impl Strategy<Value = Header> {
        let transaction = proptest::option::of(
            (any::<u64>(), proptest::collection::vec(0..SHARD_COUNT_MAX, 0..8))
                .prop_map(|(id, shards)| Transaction { id, shards: shards.into_iter().collect() }),
        );
        let start = (any::<u64>(), any::<u64>(), any::<u16>(), any::<u16>()).prop_map(
            |(kept, generation, shard, shard_count)| {
                Kind::Start(Start { kept: Epoch::new(kept), generation, shard, shard_count })
            },
        );
        let kind = prop_oneof![
            transaction.prop_map(|transaction| Kind::Commands { transaction }),
            Just(Kind::Closed),
            start,
        ];
        (kind, any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>()).prop_map(
            |(kind, epoch, synced, payload_len, payload_sum)| Header {
                kind,
                epoch: Epoch::new(epoch),
                synced,
                payload_len,
                payload_sum,
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_reads_back_as_it_was_written(header in header(), tail: Vec<u8>) {
            let mut bytes = Vec::new();
            header.encode(PLACE, &mut bytes);
            let len = bytes.len();
            prop_assert!(len <= HEADER_LEN_MAX);
            bytes.extend(tail);
            prop_assert_eq!(Header::parse(&bytes, PLACE), Ok((header, len)));
        }

        #[test]
        fn any_other_byte_anywhere_is_noticed(header in header(), at: prop::sample::Index, byte: u8) {
            let mut bytes = Vec::new();
            header.encode(PLACE, &mut bytes);
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            prop_assert!(Header::parse(&bytes, PLACE).is_err());
        }

        #[test]
        fn a_header_is_not_believed_elsewhere(header in header(), seq: u64, offset: u64) {
            let elsewhere = Place { seq, offset };
            prop_assume!(elsewhere != PLACE);
            let mut bytes = Vec::new();
            header.encode(PLACE, &mut bytes);
            prop_assert!(Header::parse(&bytes, elsewhere).is_err());
        }

        #[test]
        fn arbitrary_bytes_are_refused_without_a_panic(
            prefix in "(#rialto (1 (commands|closed|start)?( epoch=[0-9]{0,22})?)?)?",
            bytes: Vec<u8>,
        ) {
            let bytes = [prefix.as_bytes(), &bytes].concat();
            prop_assert!(Header::parse(&bytes, PLACE).is_err());
        }
    }

    #[test]
    fn a_header_is_one_readable_line() {
        let mut bytes = Vec::new();
        let transaction = Transaction { id: 9, shards: [0, 5].into_iter().collect() };
        let kind = Kind::Commands { transaction: Some(transaction) };
        let epoch = Epoch::new(17);
        Header { kind, epoch, synced: 4096, payload_len: 27, payload_sum: 0xabc }
            .encode(PLACE, &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let covered = "#rialto 1 commands epoch=17 tx=9/21 synced=4096 len=27 sum=00000abc crc=";
        assert!(text.starts_with(covered), "{text}");
        assert_eq!(text.len(), covered.len() + 10);
    }

    #[test]
    fn a_later_version_is_named() {
        let error = Header::parse(b"#rialto 2 new\r\n", PLACE).unwrap_err();
        assert_eq!(error, HeaderError::Version(2));
    }
}
