//! The frame of a payload of DUMP: the value, then the version and a checksum.

use super::error::PayloadError;
use super::{VERSION, crc64};

/// Whether the checksum of a payload must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It must.
    Checked,
    /// It is not looked at: for tests that damage a payload on purpose.
    Ignored,
}

/// Closes a payload: appends version and checksum to the value's type and body.
pub fn seal(payload: &mut Vec<u8>) {
    payload.extend_from_slice(&VERSION.to_le_bytes());
    payload.extend_from_slice(&crc64::checksum(payload).to_le_bytes());
}

/// What stands inside a payload: type and body of a value.
///
/// # Errors
/// Too short, of a newer version, or not with its checksum.
pub fn open(payload: &[u8], checksum: Checksum) -> Result<&[u8], PayloadError> {
    let (rest, sum) = payload.split_last_chunk().ok_or(PayloadError::TooShort)?;
    let (value, version) = rest.split_last_chunk().ok_or(PayloadError::TooShort)?;
    let version = u16::from_le_bytes(*version);
    if version > VERSION {
        return Err(PayloadError::TooNew(version));
    }
    if checksum == Checksum::Checked && crc64::checksum(rest) != u64::from_le_bytes(*sum) {
        return Err(PayloadError::Checksum);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_what_redis_makes() {
        // What Redis 7.2.6 answers to DUMP of a key with the value 10.
        let redis = b"\x00\xc0\x0a\x0b\x00\x07@\xea6\xf31\x8a2";
        let mut ours = redis[..3].to_vec();
        seal(&mut ours);
        assert_eq!(ours, redis);
        assert_eq!(open(redis, Checksum::Checked), Ok(&redis[..3]));
    }

    #[test]
    fn frames_that_are_wrong() {
        let mut payload = b"\x00\x01a".to_vec();
        seal(&mut payload);
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 1;
            assert!(open(&damaged, Checksum::Checked).is_err(), "byte {at}");
        }
        let mut newer = b"\x00\x01a".to_vec();
        newer.extend_from_slice(&12_u16.to_le_bytes());
        newer.extend_from_slice(&crc64::checksum(&newer).to_le_bytes());
        assert_eq!(open(&newer, Checksum::Ignored), Err(PayloadError::TooNew(12)));
        assert_eq!(open(&payload[..9], Checksum::Checked), Err(PayloadError::TooShort));
        let last = payload.len() - 1;
        payload[last] ^= 1;
        assert_eq!(open(&payload, Checksum::Ignored), Ok(&b"\x00\x01a"[..]));
    }
}
