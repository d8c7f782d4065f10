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
use crate::dropout::Noise;
use crate::loops::CHUNK;
use crate::pool::chunks_mut;
use crate::simd::{Body, simd};
use crate::{Device, Real, math};
use dfdx::prelude::*;

/// The key of round `round`.
#[inline(always)]
fn round_key(key: [u32; 2], round: u32) -> [u32; 2] {
    let [a, b] = [0x9E37_79B9_u32, 0xBB67_AE85].map(|weyl| weyl.wrapping_mul(round));
    [key[0].wrapping_add(a), key[1].wrapping_add(b)]
}

/// One of the ten rounds of Philox4x32-10.
#[inline(always)]
fn round(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let a = u64::from(counter[0]).wrapping_mul(0xD251_1F53);
    let b = u64::from(counter[2]).wrapping_mul(0xCD9E_8D57);
    [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32]
}

/// One block of Philox4x32-10: 128 random bits for a counter and a key, as Random123 defines it.
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    (0..10).fold(counter, |counter, i| round(counter, round_key(key, i)))
}

/// The two halves of a 64-bit number, low first.
#[inline(always)]
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
        E::fill(self, false, elements);
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
        E::fill(self, true, elements);
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

/// The words of blocks `first` to `first + 15`: word `w` of block `first + j` at `[w][j]`.
#[inline(always)]
fn blocks(key: Key, first: u64) -> [[u32; LANES]; 4] {
    let [mut a, mut b] = [[0; LANES]; 2];
    for lane in 0..LANES {
        [a[lane], b[lane]] = halves(first.wrapping_add(lane as u64));
    }
    let [mut c, mut d] = [[key.stream[0]; LANES], [key.stream[1]; LANES]];
    for i in 0..10 {
        let key = round_key(key.key, i);
        for lane in 0..LANES {
            [a[lane], b[lane], c[lane], d[lane]] = round([a[lane], b[lane], c[lane], d[lane]], key);
        }
    }
    [a, b, c, d]
}

/// Elements whose noise comes from one batch of blocks.
pub(crate) const BATCH: usize = 4 * LANES;

/// The words of the noise of elements `BATCH · number` and on, one each.
#[inline(always)]
pub(crate) fn batch(key: Key, number: u64) -> [u32; BATCH] {
    let words = blocks(key, number.wrapping_mul(LANES as u64));
    let mut flat = [0; BATCH];
    flat.copy_from_slice(words.as_flattened());
    flat
}

/// The noise of one element is dropped where its word, without the last eight bits, lies below this: 24 bits, which
/// f32 holds, so that the rate is the same to 6e-8 for both element types.
#[inline(always)]
pub(crate) fn threshold(rate: f64) -> u32 {
    (rate * f64::from(1_u32 << 24)) as u32
}

/// Standard normal numbers of one batch of words, those of f32's [`Key::fill_normal`] for either element type.
#[inline(always)]
pub(crate) fn normals<E: Real>(words: [u32; BATCH], numbers: &mut [E; BATCH]) {
    for half in 0..2 {
        for lane in 0..LANES {
            let at = 2 * LANES * half + lane;
            [numbers[at], numbers[at + LANES]] = normal_pair(words[at], words[at + LANES]);
        }
    }
}

/// Two normals from two words; u from 31 bits, so that the tails reach 6.6 standard deviations.
#[inline(always)]
fn normal_pair<E: Real>(a: u32, b: u32) -> [E; 2] {
    let u = (whole::<E>((a >> 1) as i32) + E::of(0.5)) * E::of(1.0 / f64::from(1_u32 << 31));
    let v = whole::<E>((b >> 8) as i32) * E::of(1.0 / f64::from(1_u32 << 24));
    box_muller(u, v)
}

/// The nearest number.
#[inline(always)]
fn whole<E: Real>(n: i32) -> E {
    E::from_i32(n).expect("every i32 has a nearest float")
}

impl Key {
    /// The noise word of element `i`.
    fn word(self, i: u64) -> u32 {
        let (batch, within) = (i / BATCH as u64, i as usize % BATCH);
        self.block(batch * LANES as u64 + (within % LANES) as u64)[within / LANES]
    }

    /// Whether noise that drops a share of `rate` keeps element `i`.
    pub(crate) fn keeps(self, rate: f64, i: u64) -> bool {
        self.word(i) >> 8 >= threshold(rate)
    }

    /// The normal number of element `i` in noise.
    pub(crate) fn normal_at(self, i: u64) -> f64 {
        let first = i - if i as usize % (2 * LANES) < LANES { 0 } else { LANES as u64 };
        let pair = normal_pair::<f64>(self.word(first), self.word(first + LANES as u64));
        pair[usize::from(first != i)]
    }

    /// A tensor of ones with probability `probability`, and zeros: its elements are those that
    /// [`dropout`](crate::dropout()) with the rate `1 - probability` and this key keeps.
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// let device = Cpu::default();
    /// let b: Tensor<Rank1<1000>, f64, _> = kernels::random::Key::new(1).bernoulli(0.3, &device, Default::default());
    /// let ones = b.array().iter().sum::<f64>();
    /// assert!((ones - 300.0).abs() < 4.0 * (1000.0 * 0.3 * 0.7_f64).sqrt()); // four standard errors
    /// ```
    ///
    /// # Panics
    /// When the device fails; [`Key::try_bernoulli`] returns the error.
    pub fn bernoulli<S: Shape, E: Real, D: Device<E>>(
        self,
        probability: f64,
        device: &D,
        shape: S,
    ) -> Tensor<S, E, D> {
        self.try_bernoulli(probability, device, shape).unwrap()
    }

    /// Fallible twin of [`Key::bernoulli`]. Probabilities below 0 count as 0, above 1 as 1.
    ///
    /// # Errors
    /// The device's error when an allocation fails.
    pub fn try_bernoulli<S: Shape, E: Real, D: Device<E>>(
        self,
        probability: f64,
        device: &D,
        shape: S,
    ) -> Result<Tensor<S, E, D>, D::Err> {
        let rate = (1.0 - probability).clamp(0.0, 1.0);
        let noise = Noise::Either { rate, kept: [0.0, 1.0], dropped: 0.0, span: 1 };
        D::noise(device.try_zeros_like(&shape)?, noise, self)
    }
}

/// How an element type makes numbers out of sixteen blocks. Element `N i + j` of a fill is number `j` of the batch of
/// blocks from `16 i` on, so it depends on the key and its own position alone.
trait Draw: Real {
    /// Numbers in a batch.
    const N: usize;
    /// Uniform on \[0, 1).
    fn uniform(words: [[u32; LANES]; 4], numbers: &mut [Self]);
    /// Standard normal.
    fn normal(words: [[u32; LANES]; 4], numbers: &mut [Self]);
}

/// Two independent normals from u in (0, 1] and v in \[0, 1): radius √(−2 ln u), angle 2πv.
#[inline(always)]
fn box_muller<E: Real>(u: E, v: E) -> [E; 2] {
    let radius = (E::of(-2.0) * math::ln(u)).sqrt();
    math::sin_cos_turns(v).map(|x| radius * x)
}

impl Draw for f32 {
    const N: usize = 4 * LANES;
    #[inline(always)]
    fn uniform(words: [[u32; LANES]; 4], numbers: &mut [f32]) {
        for (x, &word) in numbers.iter_mut().zip(words.as_flattened()) {
            *x = (word >> 8) as i32 as f32 * (1.0 / (1 << 24) as f32);
        }
    }
    #[inline(always)]
    fn normal([a, b, c, d]: [[u32; LANES]; 4], numbers: &mut [f32]) {
        let (first, second) = numbers.split_at_mut(2 * LANES);
        for (numbers, (us, vs)) in [(first, (a, b)), (second, (c, d))] {
            for lane in 0..LANES {
                [numbers[lane], numbers[LANES + lane]] = normal_pair(us[lane], vs[lane]);
            }
        }
    }
}

/// 53 random bits as a number in \[0, 1).
#[inline(always)]
fn unit(high: u32, low: u32) -> f64 {
    (f64::from(high) * f64::from(1 << 21) + f64::from(low >> 11)) * (1.0 / (1_u64 << 53) as f64)
}

impl Draw for f64 {
    const N: usize = 2 * LANES;
    #[inline(always)]
    fn uniform([a, b, c, d]: [[u32; LANES]; 4], numbers: &mut [f64]) {
        for lane in 0..LANES {
            numbers[lane] = unit(a[lane], b[lane]);
            numbers[LANES + lane] = unit(c[lane], d[lane]);
        }
    }
    #[inline(always)]
    fn normal([a, b, c, d]: [[u32; LANES]; 4], numbers: &mut [f64]) {
        for lane in 0..LANES {
            [numbers[lane], numbers[LANES + lane]] =
                box_muller(1.0 - unit(a[lane], b[lane]), unit(c[lane], d[lane]));
        }
    }
}

/// Fills a part that begins with the batch of blocks from `first` on.
struct Numbers<'a, E> {
    key: Key,
    first: u64,
    is_normal: bool,
    numbers: &'a mut [E],
}

impl<E: Draw> Body for Numbers<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let mut batch = [E::zero(); 4 * LANES];
        for (i, numbers) in self.numbers.chunks_mut(E::N).enumerate() {
            let words = blocks(self.key, self.first.wrapping_add((i * LANES) as u64));
            let batch = &mut batch[..E::N];
            if self.is_normal {
                E::normal(words, batch)
            } else {
                E::uniform(words, batch)
            }
            numbers.copy_from_slice(&batch[..numbers.len()]);
        }
    }
}

/// The fills, compiled in this crate for both element types.
pub trait Fill: Sized {
    /// See [`Key::fill_uniform`] and [`Key::fill_normal`].
    fn fill(key: Key, is_normal: bool, numbers: &mut [Self]);
}

macro_rules! fill {
    ($type:ty) => {
        impl Fill for $type {
            fn fill(key: Key, is_normal: bool, numbers: &mut [Self]) {
                chunks_mut(numbers, CHUNK, |start, numbers| {
                    let first = (start / Self::N * LANES) as u64; // a chunk holds whole batches
                    simd(Numbers { key, first, is_normal, numbers })
                });
            }
        }
    };
}

fill!(f32);
fill!(f64);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::pool::with_threads;

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

    /// A fill against the words it is made of, read one by one.
    #[test]
    fn fills_are_functions_of_key_and_position() {
        let key = Key::new(11).fold(3);
        let mut u = [0.0_f32; 200];
        key.fill_uniform(&mut u);
        let mut v = [0.0_f64; 100];
        key.fill_uniform(&mut v);
        for (i, &u) in u.iter().enumerate() {
            let word = key.block((i / 64 * 16 + i % 16) as u64)[i % 64 / 16];
            assert_eq!(u, (word >> 8) as f32 / (1 << 24) as f32, "element {i}");
        }
        for (i, &v) in v.iter().enumerate() {
            let words = key.block((i / 32 * 16 + i % 16) as u64);
            let pair = &words[i % 32 / 16 * 2..];
            let bits = u64::from(pair[0]) << 21 | u64::from(pair[1] >> 11);
            assert_eq!(v, bits as f64 / (1_u64 << 53) as f64, "element {i}");
        }
        let mut part = [0.0_f32; 70];
        key.fill_uniform(&mut part);
        assert_eq!(part, u[..70], "a shorter fill is a prefix");
    }

    #[test]
    fn threads_do_not_change_bits() {
        let run = |threads| {
            with_threads(threads, || {
                let (mut a, mut b) = (vec![0.0_f32; 100_001], vec![0.0_f64; 50_001]);
                Key::new(1).fill_normal(&mut a);
                Key::new(1).fill_normal(&mut b);
                (a, b)
            })
        };
        let want = run(1);
        assert!(run(2) == want && run(7) == want);
    }

    /// Mean, variance, skewness, kurtosis and a tail, each within four standard errors of its estimate.
    #[test]
    fn normals_have_the_moments_of_a_normal() {
        fn check<E: Real>() {
            let n = 200_000;
            let mut z = vec![E::zero(); n];
            Key::new(2026).fill_normal(&mut z);
            let moment = |p: i32| z.iter().map(|z| z.as_f64().powi(p)).sum::<f64>() / n as f64;
            // The variance of z^p is E z^2p − (E z^p)²: 1, 3 − 1, 15, 105 − 9.
            for (p, want, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
                let error = (moment(p) - want) / (variance / n as f64).sqrt();
                assert!(error.abs() < 4.0, "moment {p}: {} is {error:.1} standard errors off", moment(p));
            }
            let beyond = z.iter().filter(|z| z.abs().as_f64() > 3.0).count() as f64;
            let want = 0.002_699_796 * n as f64; // 2 Φ(−3)
            assert!((beyond - want).abs() < 4.0 * want.sqrt(), "{beyond} beyond 3, expected {want}");
            assert!(z.iter().all(|z| z.is_finite()));
        }
        check::<f32>();
        check::<f64>();
    }

    /// Neighbours in a fill, and the same position under neighbouring keys, are not correlated.
    #[test]
    fn neighbours_are_uncorrelated() {
        let n = 100_000;
        let draw = |key: Key| {
            let mut z = vec![0.0_f64; n];
            key.fill_normal(&mut z);
            z
        };
        let root = Key::new(5);
        let (a, b) = (draw(root.fold(0)), draw(root.fold(1)));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (n as f64).sqrt();
        for (name, r) in [("lag 1", dot(&a, &a[1..])), ("lag 16", dot(&a, &a[16..])), ("folds", dot(&a, &b))]
        {
            assert!(r.abs() < 4.0, "{name}: {r:.1} standard errors");
        }
    }

    #[test]
    fn permutations_are_uniform() {
        // All 6 orders of 3 elements, 6000 keys: chi-squared with 5 degrees of freedom, 99.9 % quantile 20.5.
        let mut counts = [0_u32; 6];
        for seed in 0..6000 {
            let order = Key::new(seed).permutation(3);
            counts[order[0] * 2 + usize::from(order[1] > order[2])] += 1;
        }
        let chi2: f64 = counts.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi2 < 20.5, "{counts:?}: chi-squared {chi2}");
        assert_eq!(Key::new(0).permutation(0), [0; 0]);
        assert_eq!(Key::new(0).permutation(1), [0]);
    }

    #[test]
    fn keys_survive_a_checkpoint_and_bytes_follow_words() {
        use rand::RngCore;
        let key = Key::new(u64::MAX).fold(17);
        assert_eq!(Key::from_bits(key.to_bits()), key);
        let mut bytes = [0; 7];
        key.rng().fill_bytes(&mut bytes);
        let words = key.block(0);
        assert_eq!(bytes[..4], words[0].to_le_bytes());
        assert_eq!(bytes[4..], words[1].to_le_bytes()[..3]);
        assert_eq!(key.rng().next_u64(), u64::from(words[1]) << 32 | u64::from(words[0]));
    }
}
