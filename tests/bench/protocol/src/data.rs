//! Inputs and weights that every side can make alike, in any language: a counter, hashed; and fingerprints.
//!
//! Element `i` of stream `seed` is the counter `seed · 0x9E3779B1 + i` (mod 2³²) through Wellons' 32-bit mixer
//! `x ^= x >> 16; x *= 0x21F0AAAD; x ^= x >> 15; x *= 0xD35A2D97; x ^= x >> 15`.

/// Element `i` of stream `seed`: 32 bits.
pub fn hashed(seed: u32, i: u32) -> u32 {
    let mut x = seed.wrapping_mul(0x9E37_79B1).wrapping_add(i);
    x ^= x >> 16;
    x = x.wrapping_mul(0x21F0_AAAD);
    x ^= x >> 15;
    x = x.wrapping_mul(0xD35A_2D97);
    x ^ (x >> 15)
}

/// `n` numbers in `[-bound, bound)`: 24 bits of the hash, exact in f32, times the bound.
pub fn uniform(seed: u32, n: usize, bound: f64) -> Vec<f32> {
    let unit = |i| (hashed(seed, i) >> 8) as f32 / 8_388_608.0 - 1.0;
    (0..n as u32).map(|i| unit(i) * bound as f32).collect()
}

/// `n` integers in `[0, classes)`.
pub fn labels(seed: u32, n: usize, classes: usize) -> Vec<usize> {
    (0..n as u32).map(|i| (hashed(seed, i) >> 8) as usize % classes).collect()
}

/// The values of tensor `k` of a model: uniform in ±1/√(fan in), the fan in being the elements behind the first axis.
pub fn weights(k: u32, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape[1..].iter().product();
    uniform(k, shape.iter().product(), (fan_in as f64).sqrt().recip())
}

/// Two numbers that change with any element of `x`: `NAME.rms`, the root mean square, and `NAME.angle`, the product
/// with a fixed random direction over the length of `x`, a number of the size of one.
pub fn fingerprint(name: &str, x: impl IntoIterator<Item = f64>) -> Vec<(String, f64)> {
    let (mut n, mut square, mut along) = (0_u32, 0.0, 0.0);
    for x in x {
        square += x * x;
        along += x * (f64::from(hashed(999, n) >> 8) / 8_388_608.0 - 1.0);
        n += 1;
    }
    let length = if square > 0.0 { f64::sqrt(square) } else { 1.0 };
    vec![(format!("{name}.rms"), (square / f64::from(n)).sqrt()), (format!("{name}.angle"), along / length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_those_of_the_python_side() {
        // From tests/peers/torch/data.py: `hashed(3, 4)`, `uniform(1, 3)`, `labels(2, 5, 10)`.
        assert_eq!(
            [0, 1, 2, 3].map(|i| hashed(3, i)),
            [3_909_239_472, 3_621_317_880, 980_639_833, 1_375_172_185]
        );
        assert_eq!(uniform(1, 3, 1.0), [0.770_397_2, 0.151_224_26, 0.742_985]);
        assert_eq!(labels(2, 5, 10), [1, 9, 1, 1, 2]);
    }

    #[test]
    fn numbers_fill_their_range() {
        let x = uniform(7, 10_000, 2.0);
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e4;
        let variance = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e4;
        // Standard errors: 1.15 / 100 of the mean, 1.19 / 100 of the square.
        assert!(mean.abs() < 0.047 && (variance - 4.0 / 3.0).abs() < 0.048, "{mean} {variance}");
        assert!(x.iter().all(|x| (-2.0..2.0).contains(x)));
    }

    #[test]
    fn a_fingerprint_sees_exchanged_elements() {
        let [a, b] = [[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]].map(|x| fingerprint("x", x));
        assert_eq!(a[0], ("x.rms".into(), (14.0_f64 / 3.0).sqrt()));
        assert_eq!(a[0], b[0]);
        assert!((a[1].1 - b[1].1).abs() > 0.01, "{a:?} {b:?}");
    }
}
