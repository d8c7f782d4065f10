//! A counter-based random generator: every draw is a function of a key and a position, nothing is hidden state.
//!
//! Philox4x32-10 maps a 128-bit counter to 128 random bits under a 64-bit key, by ten rounds of two 32-bit
//! multiplications. Element `i` of a fill depends on the key and on `i` alone, so a fill has the same bits for any
//! number of threads, and a checkpoint that holds keys and step counts resumes with the same draws.
//!
//! **Use it** by folding: one root key per run, one key per purpose, one per step.
//! ```
//! use kernels::random::Key;
//! const DROPOUT: u64 = 1;
//! let root = Key::new(42);
//! let mask_of_step_7 = root.fold(DROPOUT).fold(7);
//! let mut u = [0.0_f32; 3];
//! mask_of_step_7.fill_uniform(&mut u);
//! assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
//! ```
//! Draw from a key once: two fills from one key, or a fill and a [`Key::rng`], repeat the same random words.
//!
//! **Paper**: Salmon, Moraes, Dror & Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11.
//! **Deviation**: `fold` is ours; it takes the next key from the output of Philox under a tweaked key, 128 bits wide,
//! so that different paths of folds meet with probability 2⁻¹²⁸ per pair.
use crate::{Device, Real};
use dfdx::prelude::*;

/// One block of Philox4x32-10: 128 random bits for a counter and a key, as Random123 defines it.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// The two halves of a 64-bit number, low first.
fn halves(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// A source of random numbers that never changes: 128 bits that name one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    key: [u32; 2],
    stream: [u32; 2],
}

/// Sets the keys of `fold` apart from those that draw: "FOLD" in ASCII.
const FOLD: u32 = 0x464F_4C44;

impl Key {
    /// The root key of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: halves(seed), stream: [0, 0] }
    }

    /// The key of a purpose, a step, an example: independent of `self` and of the keys of all other `data`.
    ///
    /// ```
    /// use kernels::random::Key;
    /// let key = Key::new(1);
    /// assert_eq!(key.fold(2).fold(3), key.fold(2).fold(3));
    /// assert_ne!(key.fold(2).fold(3), key.fold(3).fold(2));
    /// ```
    pub fn fold(self, data: u64) -> Self {
        let [low, high] = halves(data);
        let tweaked = [self.key[0] ^ FOLD, self.key[1]];
        let [a, b, c, d] = philox([low, high, self.stream[0], self.stream[1]], tweaked);
        Self { key: [a, b], stream: [c, d] }
    }

    /// The 128 bits of the key, for a checkpoint.
    ///
    /// ```
    /// use kernels::random::Key;
    /// let key = Key::new(7).fold(1);
    /// assert_eq!(Key::from_bits(key.to_bits()), key);
    /// ```
    pub fn to_bits(self) -> u128 {
        [self.key[0], self.key[1], self.stream[0], self.stream[1]]
            .iter()
            .rev()
            .fold(0, |bits, &word| bits << 32 | u128::from(word))
    }

    /// The key that [`Key::to_bits`] wrote.
    pub fn from_bits(bits: u128) -> Self {
        let word = |i: u32| (bits >> (32 * i)) as u32;
        Self { key: [word(0), word(1)], stream: [word(2), word(3)] }
    }

    /// The random words of block `block`.
    fn block(self, block: u64) -> [u32; 4] {
        let [low, high] = halves(block);
        philox([low, high, self.stream[0], self.stream[1]], self.key)
    }

    /// Fills a slice with uniform draws from \[0, 1): multiples of 2⁻²⁴ in `f32`, of 2⁻⁵³ in `f64`.
    ///
    /// ```
    /// let mut u = [0.0_f64; 1000];
    /// kernels::random::Key::new(3).fill_uniform(&mut u);
    /// let mean = u.iter().sum::<f64>() / 1000.0;
    /// assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12000.0_f64).sqrt()); // four standard errors
    /// ```
    pub fn fill_uniform<E: Real>(self, elements: &mut [E]) {
        E::fill_uniform(self, elements);
    }

    /// Fills a slice with draws from the standard normal distribution (Box & Muller 1958).
    ///
    /// ```
    /// let mut z = [0.0_f32; 1000];
    /// kernels::random::Key::new(3).fill_normal(&mut z);
    /// let mean = z.iter().sum::<f32>() / 1000.0;
    /// assert!(mean.abs() < 4.0 * (1.0 / 1000.0_f32).sqrt()); // four standard errors
    /// ```
    pub fn fill_normal<E: Real>(self, elements: &mut [E]) {
        E::fill_normal(self, elements);
    }

    /// A tensor of uniform draws from \[0, 1).
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// let device = Cpu::default();
    /// let u: Tensor<Rank2<2, 3>, f32, _> = kernels::random::Key::new(0).uniform(&device, Default::default());
    /// assert!(u.as_vec().iter().all(|u| (0.0..1.0).contains(u)));
    /// ```
    ///
    /// # Panics
    /// When the device fails; [`Key::try_uniform`] returns the error.
    pub fn uniform<S: Shape, E: Real, D: Device<E>>(self, device: &D, shape: S) -> Tensor<S, E, D> {
        self.try_uniform(device, shape).unwrap()
    }

    /// Fallible twin of [`Key::uniform`].
    ///
    /// # Errors
    /// The device's error when an allocation fails.
    pub fn try_uniform<S: Shape, E: Real, D: Device<E>>(
        self,
        device: &D,
        shape: S,
    ) -> Result<Tensor<S, E, D>, D::Err> {
        device.filled(shape, |elements| self.fill_uniform(elements))
    }

    /// A tensor of draws from the standard normal distribution.
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// let device = Cpu::default();
    /// let z: Tensor<(usize, Const<2>), f64, _> = kernels::random::Key::new(0).normal(&device, (5, Const));
    /// assert_eq!(z.as_vec().len(), 10);
    /// ```
    ///
    /// # Panics
    /// When the device fails; [`Key::try_normal`] returns the error.
    pub fn normal<S: Shape, E: Real, D: Device<E>>(self, device: &D, shape: S) -> Tensor<S, E, D> {
        self.try_normal(device, shape).unwrap()
    }

    /// Fallible twin of [`Key::normal`].
    ///
    /// # Errors
    /// The device's error when an allocation fails.
    pub fn try_normal<S: Shape, E: Real, D: Device<E>>(
        self,
        device: &D,
        shape: S,
    ) -> Result<Tensor<S, E, D>, D::Err> {
        device.filled(shape, |elements| self.fill_normal(elements))
    }

    /// A uniformly random order of `0..n` (Fisher & Yates).
    ///
    /// ```
    /// let mut order = kernels::random::Key::new(5).permutation(10);
    /// order.sort();
    /// assert_eq!(order, (0..10).collect::<Vec<_>>());
    /// ```
    pub fn permutation(self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        let mut rng = self.rng();
        for last in (1..n).rev() {
            order.swap(last, rng.below(last as u64 + 1) as usize);
        }
        order
    }

    /// The key's words in order, for the distributions of `rand` and `rand_distr`.
    ///
    /// ```
    /// use rand::Rng;
    /// let mut rng = kernels::random::Key::new(9).rng();
    /// let die = rng.gen_range(1..=6);
    /// assert!((1..=6).contains(&die));
    /// ```
    pub fn rng(self) -> KeyRng {
        KeyRng { key: self, block: 0, words: [0; 4], used: 4 }
    }
}

/// Reads the words of a [`Key`] one after the other.
#[derive(Clone, Debug)]
pub struct KeyRng {
    key: Key,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl KeyRng {
    /// A uniform draw from `0..bound`, without bias (Lemire 2019, arXiv 1805.10941).
    ///
    /// ```
    /// assert!(kernels::random::Key::new(9).rng().below(3) < 3);
    /// ```
    ///
    /// # Panics
    /// When `bound` is 0: there is nothing to draw.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "nothing lies below 0");
        let refused = bound.wrapping_neg() % bound; // 2⁶⁴ mod bound
        loop {
            let product = u128::from(rand::RngCore::next_u64(self)) * u128::from(bound);
            if product as u64 >= refused {
                return (product >> 64) as u64;
            }
        }
    }
}

impl rand::RngCore for KeyRng {
    fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = self.key.block(self.block);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | u64::from(self.next_u32()) << 32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for bytes in bytes.chunks_mut(4) {
            bytes.copy_from_slice(&self.next_u32().to_le_bytes()[..bytes.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Blocks that are drawn together: their words lie side by side, so that the loops vectorise.
const LANES: usize = 16;

/// The fills, compiled for both element types.
pub trait Fill: Sized {
    /// See [`Key::fill_uniform`].
    fn fill_uniform(key: Key, elements: &mut [Self]);
    /// See [`Key::fill_normal`].
    fn fill_normal(key: Key, elements: &mut [Self]);
}

/// Element `64 i + 16 w + j` of a fill comes from word `w` of block `16 i + j`.
fn batch(key: Key, batch: usize) -> [[u32; LANES]; 4] {
    let mut words = [[0; LANES]; 4];
    for lane in 0..LANES {
        let block = key.block((batch * LANES + lane) as u64);
        for (words, word) in words.iter_mut().zip(block) {
            words[lane] = word;
        }
    }
    words
}

impl Fill for f32 {
    fn fill_uniform(key: Key, elements: &mut [Self]) {
        for (i, elements) in elements.chunks_mut(4 * LANES).enumerate() {
            let words = batch(key, i);
            for (element, word) in elements.iter_mut().zip(words.as_flattened()) {
                *element = (word >> 8) as f32 * (1.0 / (1 << 24) as f32);
            }
        }
    }

    fn fill_normal(key: Key, elements: &mut [Self]) {
        for (i, elements) in elements.chunks_mut(4 * LANES).enumerate() {
            let words = batch(key, i);
            let mut normals = [[0.0; LANES]; 4];
            for pair in [0, 2] {
                for lane in 0..LANES {
                    let u = ((words[pair][lane] >> 1) as f32 + 0.5) * (1.0 / (1_u32 << 31) as f32);
                    let radius = (-2.0 * u.ln()).sqrt();
                    let turn =
                        std::f32::consts::TAU * ((words[pair + 1][lane] >> 8) as f32 / (1 << 24) as f32);
                    normals[pair][lane] = radius * turn.cos();
                    normals[pair + 1][lane] = radius * turn.sin();
                }
            }
            elements.copy_from_slice(&normals.as_flattened()[..elements.len()]);
        }
    }
}

/// 53 random bits as a number in \[0, 1).
fn unit(high: u32, low: u32) -> f64 {
    (f64::from(high) * f64::from(1 << 21) + f64::from(low >> 11)) * (1.0 / (1_u64 << 53) as f64)
}

impl Fill for f64 {
    fn fill_uniform(key: Key, elements: &mut [Self]) {
        for (i, elements) in elements.chunks_mut(2 * LANES).enumerate() {
            let [a, b, c, d] = batch(key, i);
            let mut draws = [[0.0; LANES]; 2];
            for lane in 0..LANES {
                draws[0][lane] = unit(a[lane], b[lane]);
                draws[1][lane] = unit(c[lane], d[lane]);
            }
            elements.copy_from_slice(&draws.as_flattened()[..elements.len()]);
        }
    }

    fn fill_normal(key: Key, elements: &mut [Self]) {
        for (i, elements) in elements.chunks_mut(2 * LANES).enumerate() {
            let [a, b, c, d] = batch(key, i);
            let mut normals = [[0.0; LANES]; 2];
            for lane in 0..LANES {
                let radius = (-2.0 * (1.0 - unit(a[lane], b[lane])).ln()).sqrt();
                let turn = std::f64::consts::TAU * unit(c[lane], d[lane]);
                normals[0][lane] = radius * turn.cos();
                normals[1][lane] = radius * turn.sin();
            }
            elements.copy_from_slice(&normals.as_flattened()[..elements.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that Random123 publishes for philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_the_published_answers() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        for (counter, key, want) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ] {
            assert_eq!(philox(counter, key), want, "counter {counter:x?}, key {key:x?}");
        }
    }
}
