//! Reductions of a slice in 32 lanes and a fixed tree.
//!
//! Floating-point addition may not be reordered, so the compiler does not vectorise a plain sum. Here the order is
//! written down: element `i` goes to lane `i mod 32`, and the lanes are added in a fixed tree. The result is the same
//! for every instruction set, and more exact than a running sum.
use crate::Real;
use crate::pool;

/// Elements per part of cheap element-wise work: fixed, so that no result depends on the number of threads.
pub const CHUNK: usize = 16 * 1024;

/// Lanes of a sum: four registers of eight f32.
pub const LANES: usize = 32;

/// Whole rows of `row` elements that make about [`CHUNK`] elements; at least one.
pub fn rows_per_part(row: usize) -> usize {
    (CHUNK / row.max(1)).max(1)
}

/// Lanes as they are, but written to memory: from neighbouring stores the compiler builds the loop before in whole
/// vectors. From a tree of scalars alone it often builds pairs, which costs a sum a factor of two to three.
#[inline(always)]
fn settled<E: Real>(lanes: [E; FEW_LANES]) -> [E; FEW_LANES] {
    std::hint::black_box(lanes)
}

/// Eight lanes folded in a fixed tree.
#[inline(always)]
pub fn fold_few<E: Real>(lanes: [E; FEW_LANES], fold: impl Fn(E, E) -> E) -> E {
    let s = settled(lanes);
    let low = fold(fold(s[0], s[4]), fold(s[2], s[6]));
    let high = fold(fold(s[1], s[5]), fold(s[3], s[7]));
    fold(low, high)
}

/// The lanes folded in a fixed tree, and what was left over.
#[inline(always)]
pub fn fold_tree<E: Real>(lanes: [E; LANES], rest: E, fold: impl Fn(E, E) -> E) -> E {
    let mut s = [E::zero(); FEW_LANES];
    for j in 0..FEW_LANES {
        s[j] = fold(fold(lanes[j], lanes[j + 8]), fold(lanes[j + 16], lanes[j + 24]));
    }
    fold(fold_few(s, &fold), rest)
}

/// The lanes added in a fixed tree, and what was left over.
#[inline(always)]
pub fn tree<E: Real>(lanes: [E; LANES], rest: E) -> E {
    fold_tree(lanes, rest, |a, b| a + b)
}

/// Σ x.
#[inline(always)]
pub fn lane_sum<E: Real>(x: &[E]) -> E {
    let mut lanes = [E::zero(); LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for j in 0..LANES {
            lanes[j] += block[j];
        }
    }
    let mut left = E::zero();
    for &x in rest {
        left += x;
    }
    tree(lanes, left)
}

/// Σ x y.
#[inline(always)]
pub fn lane_dot<E: Real>(x: &[E], y: &[E]) -> E {
    let mut lanes = [E::zero(); LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        for j in 0..LANES {
            lanes[j] = x[j].mul_add(y[j], lanes[j]);
        }
    }
    let mut left = E::zero();
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        left = x.mul_add(y, left);
    }
    tree(lanes, left)
}

/// Σ f(x, y).
#[inline(always)]
pub fn lane_sum_of<E: Real>(x: &[E], y: &[E], f: impl Fn(E, E) -> E) -> E {
    let mut lanes = [E::zero(); LANES];
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        for j in 0..LANES {
            lanes[j] += f(x[j], y[j]);
        }
    }
    let mut left = E::zero();
    for (&x, &y) in x_rest.iter().zip(y_rest) {
        left += f(x, y);
    }
    tree(lanes, left)
}

/// Largest element; −∞ for an empty slice. A NaN is passed over, and shows in what is computed with the maximum.
#[inline(always)]
pub fn lane_max<E: Real>(x: &[E]) -> E {
    let mut lanes = [E::neg_infinity(); LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for j in 0..LANES {
            lanes[j] = if block[j] > lanes[j] { block[j] } else { lanes[j] };
        }
    }
    let larger = |max: E, x: E| if x > max { x } else { max };
    fold_tree(lanes, rest.iter().fold(E::neg_infinity(), |max, &x| larger(max, x)), larger)
}

/// Elements that a block of short rows holds, and rows that are reduced at once.
pub const BLOCK: usize = 2048;
/// See [`BLOCK`].
pub const ROWS: usize = 16;
/// Rows up to this length are short: a loop over one of them costs more to start than to run. Loops over a block of
/// [`ROWS`] of them run over all its elements at once, with what belongs to a row repeated along it.
pub const SHORT: usize = BLOCK / ROWS;

/// Each of `small`, `n` times.
#[inline(always)]
pub fn repeat<E: Real>(small: &[E], n: usize, out: &mut [E; BLOCK]) {
    for (out, &small) in out.chunks_exact_mut(n).zip(small) {
        out.fill(small);
    }
}

/// Lanes of a row that is short and not very short.
pub const FEW_LANES: usize = 8;

/// `fold` over each of at most [`ROWS`] rows of `n` elements: in [`FEW_LANES`] lanes, or, where a row does not fill
/// them, element by element for all rows at once, whose steps do not wait for each other.
#[inline(always)]
fn fold_short_rows<E: Real>(x: &[E], n: usize, start: E, out: &mut [E], fold: impl Fn(E, E) -> E) {
    if n >= FEW_LANES {
        for (row, out) in x.chunks_exact(n).zip(out) {
            let mut lanes = [start; FEW_LANES];
            let (blocks, rest) = row.as_chunks::<FEW_LANES>();
            for block in blocks {
                for j in 0..FEW_LANES {
                    lanes[j] = fold(lanes[j], block[j]);
                }
            }
            let left = rest.iter().fold(start, |folded, &x| fold(folded, x));
            *out = fold(fold_few(lanes, &fold), left);
        }
    } else if out.len() == ROWS {
        let x = &x[..ROWS * n];
        let mut folded = [start; ROWS];
        for j in 0..n {
            for (r, folded) in folded.iter_mut().enumerate() {
                *folded = fold(*folded, x[r * n + j]);
            }
        }
        out.copy_from_slice(&folded);
    } else {
        for (row, out) in x.chunks_exact(n).zip(out) {
            *out = row.iter().fold(start, |folded, &x| fold(folded, x));
        }
    }
}

/// Σ of each row.
#[inline(always)]
pub fn sum_short_rows<E: Real>(x: &[E], n: usize, out: &mut [E]) {
    fold_short_rows(x, n, E::zero(), out, |sum, x| sum + x);
}

/// Largest element of each row, as [`lane_max`].
#[inline(always)]
pub fn max_short_rows<E: Real>(x: &[E], n: usize, out: &mut [E]) {
    fold_short_rows(x, n, E::neg_infinity(), out, |max, x| if x > max { x } else { max });
}

/// Adds `part(0)` to `part(parts - 1)`, computed in parallel, in the fixed tree of [`lane_sum`].
pub fn sum_of_parts<E: Real>(parts: usize, part: impl Fn(usize) -> E + Sync) -> E {
    if parts == 1 {
        return part(0);
    }
    let mut sums = vec![E::zero(); parts];
    pool::chunks_mut(&mut sums, 1, |i, sum| sum[0] = part(i));
    E::total(&sums)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The same for rows that are reduced together: a full block, and one that is not.
    #[test]
    fn short_rows_see_every_element_once() {
        for (rows, n) in [(ROWS, 1), (ROWS, 10), (ROWS, SHORT), (3, 7), (5, 8), (2, 31), (1, 1)] {
            let x: Vec<f64> = (0..rows * n).map(|i| ((i * 37) % 101) as f64 - 50.0).collect();
            let (mut sums, mut max) = (vec![0.0; rows], vec![0.0; rows]);
            sum_short_rows(&x, n, &mut sums);
            max_short_rows(&x, n, &mut max);
            for (r, row) in x.chunks(n).enumerate() {
                assert_eq!(sums[r], row.iter().sum::<f64>(), "sum of row {r}, {rows} x {n}");
                assert_eq!(max[r], row.iter().copied().fold(f64::NEG_INFINITY, f64::max), "max of row {r}");
            }
        }
    }

    /// Integers add without rounding, so every order must give the same.
    #[test]
    fn lanes_see_every_element_once() {
        for n in [0, 1, 31, 32, 33, 64, 1000] {
            let x: Vec<f64> = (0..n).map(|i| ((i * 37) % 101) as f64 - 50.0).collect();
            let y: Vec<f64> = (0..n).map(|i| ((i * 53) % 89) as f64).collect();
            assert_eq!(lane_sum(&x), x.iter().sum::<f64>(), "sum of {n}");
            assert_eq!(lane_dot(&x, &y), x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>(), "dot of {n}");
            assert_eq!(lane_max(&x), x.iter().copied().fold(f64::NEG_INFINITY, f64::max), "max of {n}");
        }
    }
}
