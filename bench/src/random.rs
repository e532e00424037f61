//! Seeded randomness: the same seed gives the same feed on every machine.

/// A small generator (SplitMix64; Steele, Lea and Flood 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed; every seed is a good one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`, which must be positive.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0);
        // The high half of the product is uniform up to 2^-64 of bias for any bound of this crate.
        let product = u128::from(self.bits()) * bound as u128;
        (product >> 64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

/// Spreads the bits of `value` evenly over the result; a fixed one-to-one function.
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Chooses among items that were given weights. Cost: O(log n) per choice.
#[derive(Debug, Clone)]
pub struct Weighted {
    /// Sum of the weights up to and including each item.
    cumulative: Vec<f64>,
}

impl Weighted {
    /// `weights` must be positive and at least one.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let cumulative: Vec<f64> = weights
            .into_iter()
            .map(|weight| {
                assert!(weight > 0.0);
                sum += weight;
                sum
            })
            .collect();
        assert!(!cumulative.is_empty());
        Self { cumulative }
    }

    /// The index of the chosen item.
    pub fn choose(&self, random: &mut Random) -> usize {
        let sum = self.cumulative[self.cumulative.len() - 1];
        let point = random.unit() * sum;
        let index = self.cumulative.partition_point(|&upto| upto <= point);
        index.min(self.cumulative.len() - 1)
    }
}

/// Zipf's law: the weight of the item with this rank (0 is the most active).
#[must_use]
pub fn zipf_weight(rank: usize) -> f64 {
    1.0 / (rank as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_seeds_differ() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [random.bits(), random.bits(), random.bits()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(1);
        let mut seen = [false; 5];
        for _ in 0..1000 {
            seen[random.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Random::new(3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn zipf_choices_fall_with_rank() {
        let weighted = Weighted::new((0..10).map(zipf_weight));
        let mut random = Random::new(5);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[weighted.choose(&mut random)] += 1;
        }
        // The harmonic number of 10 is 2.93, so rank 0 gets 34 % and rank 9 gets 3.4 %.
        assert!((33_000..35_500).contains(&counts[0]), "{counts:?}");
        assert!((3_000..3_900).contains(&counts[9]), "{counts:?}");
    }
}
