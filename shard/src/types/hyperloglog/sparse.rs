//! The sparse form: runs of equal registers, one or two bytes each.
//!
//! ```text
//! 00nnnnnn            n + 1 registers are 0
//! 01nnnnnn nnnnnnnn   n + 1 registers are 0 (high bits first)
//! 1vvvvvnn            n + 1 registers have the value v + 1
//! ```
//! Where a run is written, the shortest form is chosen; runs of equal values are joined only next to a change, as
//! Redis does it, so that the bytes are the same.

use super::{HEADER_LEN, NotValid, REGISTER_COUNT};
use smallvec::SmallVec;

/// Highest value of a register.
const VALUE_MAX: u8 = 32;
/// Longest run of registers with a value.
const VALUE_RUN_MAX: usize = 4;
/// Longest run of zeros in one byte.
const SHORT_RUN_MAX: usize = 64;
/// How many runs from the one before the change are looked at to join equal ones.
const JOINED_RUNS_MAX: usize = 5;

/// All registers 0.
pub(super) const ALL_ZERO: [u8; 2] = [0x7F, 0xFF];
const _: () = assert!(REGISTER_COUNT == 1 << 14, "the longest run of zeros is all registers");

/// Registers in a row with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Their value.
    pub value: u8,
    /// How many they are.
    pub len: usize,
    /// Bytes it is written in.
    pub size: usize,
}

impl Run {
    /// Reads the run that `bytes`, which are not empty, begin with. A second byte that is missing counts as 0.
    fn read(bytes: &[u8]) -> Run {
        let first = bytes[0];
        match first >> 6 {
            0 => Run { value: 0, len: usize::from(first) + 1, size: 1 },
            1 => {
                let second = bytes.get(1).copied().unwrap_or(0);
                let len = usize::from(first & 0x3F) << 8 | usize::from(second);
                Run { value: 0, len: len + 1, size: 2 }
            }
            _ => Run { value: (first >> 2 & 0x1F) + 1, len: usize::from(first & 3) + 1, size: 1 },
        }
    }

    /// Whether it is a run of zeros in two bytes.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.size == 2
    }
}

/// The runs in `registers`, in order. Whether they are 16384 registers is not checked.
pub fn runs(registers: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = registers;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let run = Run::read(rest);
        rest = rest.get(run.size..).unwrap_or_default();
        Some(run)
    })
}

/// What came of [`raise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raised {
    /// The register is as high.
    Unchanged,
    /// It was lower.
    Changed,
    /// It was lower, but the sparse form cannot hold the value, or the string would get too long.
    TooLarge,
}

/// Raises register `index` of the HyperLogLog `bytes` to `value`.
///
/// # Errors
/// [`NotValid::Corrupted`].
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    len_max: usize,
) -> Result<Raised, NotValid> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let Spot { at, before, first } = find(bytes, index).ok_or(NotValid::Corrupted)?;
    let run = Run::read(&bytes[at..]);
    if run.value >= value {
        return Ok(Raised::Unchanged);
    }
    if run.len == 1 && !run.is_long() {
        bytes[at] = value_run(value, 1);
    } else {
        let mut split = SmallVec::<[u8; 5]>::new();
        push_run(&mut split, run.value, index - first);
        split.push(value_run(value, 1));
        push_run(&mut split, run.value, first + run.len - 1 - index);
        if split.len() > run.size && bytes.len() + split.len() - run.size > len_max {
            return Ok(Raised::TooLarge);
        }
        let end = (at + run.size).min(bytes.len());
        bytes.splice(at..end, split);
    }
    join_equal_runs(bytes, before);
    Ok(Raised::Changed)
}

/// Where a register is.
struct Spot {
    /// Where its run begins in the string.
    at: usize,
    /// Where the run before begins, or its own if it is the first.
    before: usize,
    /// The first register of its run.
    first: usize,
}

fn find(bytes: &[u8], index: usize) -> Option<Spot> {
    let mut spot = Spot { at: HEADER_LEN, before: HEADER_LEN, first: 0 };
    while spot.at < bytes.len() {
        let run = Run::read(&bytes[spot.at..]);
        if index < spot.first + run.len {
            return Some(spot);
        }
        spot = Spot { at: spot.at + run.size, before: spot.at, first: spot.first + run.len };
    }
    None
}

fn value_run(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

/// Appends a run, unless it is empty.
fn push_run(out: &mut SmallVec<[u8; 5]>, value: u8, len: usize) {
    if len == 0 {
        return;
    }
    let [high, low] = ((len - 1) as u16).to_be_bytes();
    match value {
        0 if len <= SHORT_RUN_MAX => out.push(low),
        0 => out.extend_from_slice(&[0x40 | high, low]),
        _ => out.push(value_run(value, len)),
    }
}

/// Joins neighbours of equal value among the first few runs from `at` on.
fn join_equal_runs(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS_MAX {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { return };
        let run = Run::read(rest);
        let next = rest.get(run.size..).filter(|rest| !rest.is_empty()).map(Run::read);
        let joined_len = next.filter(|next| next.value == run.value).map(|next| run.len + next.len);
        match joined_len.filter(|len| run.value != 0 && *len <= VALUE_RUN_MAX) {
            Some(len) => {
                // The joined run may be joined with the one behind it.
                bytes[at] = value_run(run.value, len);
                bytes.remove(at + 1);
            }
            None => at += run.size,
        }
    }
}
