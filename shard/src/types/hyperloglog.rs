//! HyperLogLogs: how many different elements a set has, estimated from 16384 registers in a string of at most 12 KiB.
//!
//! The bytes are Redis's. A header of 16 bytes:
//!
//! ```text
//! "HYLL" | encoding (0 dense, 1 sparse) | 3 unused | cached cardinality, 8 bytes le; its highest bit: out of date
//! ```
//! Behind it the registers, in one of two forms: [`dense`], six bits each, or [`sparse`], runs of equal registers.
//! A string becomes dense when a register or the string gets too large for the sparse form, and stays so.
//!
//! Source: Flajolet et al. 2007 for the registers; Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (arXiv:1702.01284) for the estimate; MurmurHash64A by Appleby for the hash.

pub mod dense;
mod estimate;
mod murmur;
pub mod sparse;

use thiserror::Error;

/// How many registers there are.
pub const REGISTER_COUNT: usize = 1 << INDEX_BITS;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Bits of a hash whose zeros are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;
/// Length of the header in bytes.
const HEADER_LEN: usize = 16;
/// Length of a dense string in bytes.
pub const DENSE_LEN: usize = HEADER_LEN + dense::REGISTERS_LEN;

const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the cached cardinality stands.
const CARDINALITY_AT: usize = 8;
/// In the last byte of the cached cardinality: it is out of date.
const OUT_OF_DATE: u8 = 0x80;

/// What is wrong with a string that should be a HyperLogLog.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotValid {
    /// It has no such header, or the wrong length for it.
    #[error("the string is not a HyperLogLog")]
    Foreign,
    /// Its registers are not 16384.
    #[error("the HyperLogLog is corrupted")]
    Corrupted,
}

/// The form of the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Six bits each.
    Dense,
    /// Runs of equal registers.
    Sparse,
}

/// One register each, at its plain value.
pub type Registers = [u8; REGISTER_COUNT];

/// The string of a HyperLogLog that nothing was added to: sparse, and its cardinality known to be 0.
#[must_use]
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = SPARSE;
    bytes.extend_from_slice(&sparse::ALL_ZERO);
    bytes
}

/// The form of the HyperLogLog in `bytes`. Looks at the header and the length only.
///
/// # Errors
/// [`NotValid::Foreign`].
pub fn form(bytes: &[u8]) -> Result<Form, NotValid> {
    if bytes.len() < HEADER_LEN || !bytes.starts_with(MAGIC) {
        return Err(NotValid::Foreign);
    }
    match bytes[ENCODING_AT] {
        DENSE if bytes.len() == DENSE_LEN => Ok(Form::Dense),
        SPARSE => Ok(Form::Sparse),
        _ => Err(NotValid::Foreign),
    }
}

/// The registers in their encoded form. The header has been checked with [`form`].
#[must_use]
pub fn registers(bytes: &[u8]) -> &[u8] {
    &bytes[HEADER_LEN..]
}

/// Adds `element`; says whether a register changed. The header has been checked with [`form`].
///
/// `sparse_len_max`: bytes up to which the string stays sparse. Cost: O(1) in the dense form, O(runs) in the sparse one.
///
/// # Errors
/// [`NotValid::Corrupted`].
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_len_max: usize) -> Result<bool, NotValid> {
    let (index, count) = place(element);
    raise(bytes, index, count, sparse_len_max)
}

/// Raises register `index` to `value`, unless it is as high; says whether it was lower.
///
/// # Errors
/// [`NotValid::Corrupted`].
fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_len_max: usize,
) -> Result<bool, NotValid> {
    if bytes[ENCODING_AT] == SPARSE {
        match sparse::raise(bytes, index, value, sparse_len_max)? {
            sparse::Raised::Unchanged => return Ok(false),
            sparse::Raised::Changed => {
                invalidate(bytes);
                return Ok(true);
            }
            sparse::Raised::TooLarge => {
                make_dense(bytes)?;
            }
        }
    }
    Ok(dense::raise(&mut bytes[HEADER_LEN..], index, value))
}

/// Makes the string dense, if it is not; says whether it was sparse.
///
/// # Errors
/// [`NotValid::Corrupted`]; the string is what it was.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, NotValid> {
    if bytes[ENCODING_AT] == DENSE {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_LEN];
    dense[..HEADER_LEN].copy_from_slice(&bytes[..HEADER_LEN]);
    dense[ENCODING_AT] = DENSE;
    let mut index = 0;
    for run in sparse::runs(registers(bytes)) {
        if run.value != 0 {
            let end = index + run.len;
            if end > REGISTER_COUNT {
                return Err(NotValid::Corrupted);
            }
            (index..end).for_each(|index| {
                dense::raise(&mut dense[HEADER_LEN..], index, run.value);
            });
        }
        index += run.len;
    }
    if index != REGISTER_COUNT {
        return Err(NotValid::Corrupted);
    }
    *bytes = dense;
    Ok(true)
}

/// Raises each of `registers` to the value it has in the HyperLogLog `bytes`.
///
/// # Errors
/// [`NotValid::Foreign`], [`NotValid::Corrupted`].
pub fn merge_into(registers_so_far: &mut Registers, bytes: &[u8]) -> Result<(), NotValid> {
    match form(bytes)? {
        Form::Dense => dense::for_each(registers(bytes), |index, value| {
            registers_so_far[index] = registers_so_far[index].max(value);
        }),
        Form::Sparse => {
            let mut index = 0;
            for run in sparse::runs(registers(bytes)) {
                if run.value != 0 {
                    let covered = registers_so_far.get_mut(index..index + run.len);
                    let covered = covered.ok_or(NotValid::Corrupted)?;
                    covered.iter_mut().for_each(|register| *register = run.value.max(*register));
                }
                index += run.len;
            }
            if index != REGISTER_COUNT {
                return Err(NotValid::Corrupted);
            }
        }
    }
    Ok(())
}

/// Raises the registers of the HyperLogLog `bytes` to `registers`. Its cached cardinality is out of date then.
///
/// # Errors
/// [`NotValid::Corrupted`].
pub fn raise_all(
    bytes: &mut Vec<u8>,
    registers: &Registers,
    sparse_len_max: usize,
) -> Result<(), NotValid> {
    for (index, value) in registers.iter().enumerate().filter(|(_, value)| **value != 0) {
        raise(bytes, index, *value, sparse_len_max)?;
    }
    invalidate(bytes);
    Ok(())
}

/// How many different elements were added, about, from the header alone; `None` if that is out of date.
#[must_use]
pub fn cached_cardinality(bytes: &[u8]) -> Option<u64> {
    let cached = bytes[CARDINALITY_AT..].first_chunk().copied().expect("the header is complete");
    (cached[7] & OUT_OF_DATE == 0).then_some(u64::from_le_bytes(cached))
}

/// The same, computed from the registers. Cost: O(registers).
///
/// # Errors
/// [`NotValid::Corrupted`].
pub fn cardinality(bytes: &[u8]) -> Result<u64, NotValid> {
    let mut histogram = estimate::Histogram::default();
    if bytes[ENCODING_AT] == DENSE {
        dense::for_each(registers(bytes), |_, value| histogram.add(value, 1));
    } else {
        let mut count = 0;
        for run in sparse::runs(registers(bytes)) {
            histogram.add(run.value, run.len);
            count += run.len;
        }
        if count != REGISTER_COUNT {
            return Err(NotValid::Corrupted);
        }
    }
    Ok(histogram.cardinality())
}

/// How many different elements these registers have seen, about.
#[must_use]
pub fn cardinality_of(registers: &Registers) -> u64 {
    let mut histogram = estimate::Histogram::default();
    registers.iter().for_each(|value| histogram.add(*value, 1));
    histogram.cardinality()
}

/// Notes the cardinality in the header.
pub fn cache_cardinality(bytes: &mut [u8], cardinality: u64) {
    bytes[CARDINALITY_AT..HEADER_LEN].copy_from_slice(&cardinality.to_le_bytes());
}

/// Notes in the header that the cached cardinality is out of date.
pub fn invalidate(bytes: &mut [u8]) {
    bytes[HEADER_LEN - 1] |= OUT_OF_DATE;
}

/// The register of `element`, and the value it raises that to: how many zeros its hash has before the first one,
/// plus 1.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur::hash(element);
    let index = hash as usize & (REGISTER_COUNT - 1);
    // One more bit that is set ends the row of zeros in any case.
    let counted = (hash >> INDEX_BITS) | 1 << COUNTED_BITS;
    (index, counted.trailing_zeros() as u8 + 1)
}

#[cfg(test)]
mod tests;
