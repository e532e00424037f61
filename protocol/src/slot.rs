//! Hash slots: which of 16384 parts of the keyspace a key belongs to, as in Redis Cluster.
//!
//! Path: `server::router` -> here. A slot range belongs to a shard, a channel to a slot like a key.

/// Slots in all.
pub const SLOT_COUNT: u16 = 16384;

/// The slot of a key: CRC16 of its hash tag, or of all of it, modulo [`SLOT_COUNT`].
///
/// The hash tag is what stands between the first `{` and the first `}` after it, if that is not nothing.
///
/// Cost: about 10 ns for a key of 16 bytes.
#[must_use]
#[inline]
pub fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) % SLOT_COUNT
}

#[inline]
fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let tail = &key[open + 1..];
    match memchr::memchr(b'}', tail) {
        None | Some(0) => key,
        Some(len) => &tail[..len],
    }
}

/// CRC-16/XMODEM: polynomial 0x1021, initial value 0, nothing reflected.
///
/// Eight bytes at a time: `TABLES[n][b]` is what byte `b` adds to the checksum when `n` bytes follow it, and the
/// checksum so far is added to the first two bytes, so that the eight look-ups do not wait for each other.
#[must_use]
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in chunks {
        let [high, low] = u16::to_be_bytes(crc);
        crc = add(7, a ^ high)
            ^ add(6, b ^ low)
            ^ add(5, c)
            ^ add(4, d)
            ^ add(3, e)
            ^ add(2, f)
            ^ add(1, g)
            ^ add(0, h);
    }
    for &byte in rest {
        let [high, low] = u16::to_be_bytes(crc);
        crc = u16::from_be_bytes([low, 0]) ^ add(0, byte ^ high);
    }
    crc
}

#[inline]
fn add(following: usize, byte: u8) -> u16 {
    TABLES[following][usize::from(byte)]
}

static TABLES: [[u16; 256]; 8] = tables();

const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut following = 0;
        while following < 8 {
            let mut bit = 0;
            while bit < 8 {
                let is_carry = crc & 0x8000 != 0;
                crc <<= 1;
                if is_carry {
                    crc ^= 0x1021;
                }
                bit += 1;
            }
            tables[following][byte] = crc;
            following += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, bit by bit.
    fn crc16_slow(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                (crc << 1) ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 }
            })
        })
    }

    #[test]
    fn crc16_of_the_standard_check_input() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn slots_are_those_of_cluster_keyslot() {
        // As CLUSTER KEYSLOT of Redis 7.2 answers.
        let facts: &[(&[u8], u16)] = &[
            (b"", 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"123456789", 12739),
            (b"somekey", 11058),
            (b"foo{hash_tag}", 2515),
        ];
        for &(key, slot) in facts {
            assert_eq!(slot_of(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn only_the_first_hash_tag_counts_unless_it_is_empty() {
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"x{user1000}{y}"));
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo}{bar"), b"foo}{bar");
        assert_eq!(hash_tag(b"{"), b"{");
        assert_eq!(hash_tag(b"}{a}"), b"a");
    }

    proptest::proptest! {
        #[test]
        fn crc16_equals_its_definition(bytes: Vec<u8>) {
            assert_eq!(crc16(&bytes), crc16_slow(&bytes));
        }
    }
}
