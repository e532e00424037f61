//! The estimate of the cardinality from how often each register value occurs.
//!
//! Every operation on doubles is done in the order Redis does it, so that the last digit is the same.

use super::{COUNTED_BITS, REGISTER_COUNT};

/// 0.5 / ln(2)
const ALPHA: f64 = std::f64::consts::LOG2_E / 2.0;
/// The highest value that a hash can give.
const VALUE_MAX: usize = COUNTED_BITS as usize + 1;

/// How many registers have each value. A corrupted string may hold values up to 63.
#[derive(Debug)]
pub(super) struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; 64])
    }
}

impl Histogram {
    /// Counts `count` registers with the value `value`, which is below 64.
    pub(super) fn add(&mut self, value: u8, count: usize) {
        self.0[usize::from(value)] += count as u32;
    }

    /// The estimate.
    pub(super) fn cardinality(&self) -> u64 {
        let count = |value: usize| f64::from(self.0[value]);
        let total = REGISTER_COUNT as f64;
        let mut z = total * tau((total - count(VALUE_MAX)) / total);
        for value in (1..VALUE_MAX).rev() {
            z += count(value);
            z *= 0.5;
        }
        z += total * sigma(count(0) / total);
        let estimate = (ALPHA * total * total / z).round();
        // All registers above what a hash can give: Redis converts infinity and gets this.
        if estimate.is_finite() { estimate as u64 } else { 1 << 63 }
    }
}

/// The correction for registers that nothing was added to; `x` is their share.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// The correction for registers that are full; `x` is the share of the others.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
