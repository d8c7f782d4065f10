//! The crate's own shuffle: SplitMix64 and Fisher–Yates, both fixed for ever.
//!
//! Which rows a split or an epoch holds is part of what a number in the book means, so the generator must not
//! change with a dependency (`rand` reserves that right for `StdRng`). A change of any line here breaks the pinned
//! permutations in the tests on purpose.
//!
//! **Source**: Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA, figure 16
//! (constants as in S. Vigna's `splitmix64.c`); Durstenfeld (1964), algorithm 235; Lemire (2019), Fast random
//! integer generation in an interval, algorithm 5.

/// A counter that is mixed into 64 random bits.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15); // 2^64 / golden ratio, odd
        mix(self.0)
    }

    /// Uniform in `0..bound`, without bias. `bound` > 0.
    fn below(&mut self, bound: u64) -> u64 {
        let mut wide = u128::from(self.next()) * u128::from(bound);
        if (wide as u64) < bound {
            let threshold = bound.wrapping_neg() % bound; // 2^64 mod bound low halves are one too many
            while (wide as u64) < threshold {
                wide = u128::from(self.next()) * u128::from(bound);
            }
        }
        (wide >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A uniform permutation of `0..n` that depends on `(n, seed, stream)` alone.
pub(crate) fn permutation(n: usize, seed: u64, stream: u64) -> Vec<usize> {
    // Two rounds, so that neighbouring seeds and neighbouring streams start far apart.
    let mut random = SplitMix64(mix(mix(seed).wrapping_add(stream)));
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, random.below(last as u64 + 1) as usize);
    }
    order
}
