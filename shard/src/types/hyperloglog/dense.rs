//! The dense form: six bits for each register, the lowest bits of a byte first, so that four registers fill three
//! bytes.

use super::REGISTER_COUNT;

/// Bits of one register.
const BITS: usize = 6;
/// Length of all registers in bytes.
pub(super) const REGISTERS_LEN: usize = REGISTER_COUNT * BITS / 8;
const MASK: u16 = (1 << BITS) - 1;

/// The value of register `index`.
#[must_use]
pub fn get(registers: &[u8], index: usize) -> u8 {
    let (at, shift) = spot(index);
    ((pair(registers, at) >> shift) & MASK) as u8
}

/// Raises register `index` to `value`, unless it is as high; says whether it was lower.
pub fn raise(registers: &mut [u8], index: usize, value: u8) -> bool {
    let is_lower = get(registers, index) < value;
    if is_lower {
        set(registers, index, value);
    }
    is_lower
}

/// Gives register `index` the value `value`, which is below 64.
pub fn set(registers: &mut [u8], index: usize, value: u8) {
    let (at, shift) = spot(index);
    let [low, high] =
        (pair(registers, at) & !(MASK << shift) | u16::from(value) << shift).to_le_bytes();
    registers[at] = low;
    // The last register ends with its byte.
    if let Some(next) = registers.get_mut(at + 1) {
        *next = high;
    }
}

/// Hands out each register and its value.
pub fn for_each(registers: &[u8], mut visit: impl FnMut(usize, u8)) {
    let (groups, _) = registers.as_chunks::<3>();
    for (group, [first, second, third]) in groups.iter().enumerate() {
        let bits = u32::from_le_bytes([*first, *second, *third, 0]);
        for place in 0..4 {
            visit(group * 4 + place, ((bits >> (place * BITS)) as u16 & MASK) as u8);
        }
    }
}

/// The byte in which register `index` begins, and how many of its bits belong to others.
fn spot(index: usize) -> (usize, usize) {
    (index * BITS / 8, index * BITS % 8)
}

/// Two bytes from `at` on.
fn pair(registers: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([registers[at], registers.get(at + 1).copied().unwrap_or(0)])
}
