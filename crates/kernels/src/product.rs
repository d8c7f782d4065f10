//! Matrix products on slices: `gemm`'s single-threaded kernels on parts that we cut.
//!
//! `gemm` reaches the speed of vendor libraries on one thread, but its own threading does not at the sizes of
//! training. Here the longer side of the result is halved again and again until a part is small, by sizes alone, so
//! that the result has the same bits for any number of threads.
#![allow(unsafe_code)]
use crate::Real;
use crate::pool::parallel;
use gemm::Parallelism;

/// A matrix in memory: element `(i, j)` lies at `i · row_stride + j · col_stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub rows: usize,
    pub cols: usize,
    pub row_stride: usize,
    pub col_stride: usize,
}

impl Layout {
    /// Rows one after the other.
    pub fn row_major(rows: usize, cols: usize) -> Self {
        Self { rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// The same memory read the other way round.
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    fn is_empty(self) -> bool {
        self.rows == 0 || self.cols == 0
    }

    /// Number of elements of memory that the matrix reaches over.
    fn span(self) -> usize {
        if self.is_empty() {
            0
        } else {
            (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
        }
    }

    /// Whether no two elements share memory.
    fn is_injective(self) -> bool {
        let row_major = self.rows <= 1 || self.row_stride >= self.cols * self.col_stride;
        let col_major = self.cols <= 1 || self.col_stride >= self.rows * self.row_stride;
        self.is_empty()
            || (self.rows <= 1 || self.row_stride > 0)
                && (self.cols <= 1 || self.col_stride > 0)
                && (row_major || col_major)
    }
}

/// Multiplications below which a product is not cut: a part then takes as long as ten joins.
const PART: usize = 1 << 18;
/// Parts are cut at multiples of these, the sizes of `gemm`'s register tiles.
const ROWS: usize = 8;
const COLS: usize = 48;
/// Most parts of one product: each part packs its operands again.
const MOST_PARTS: usize = 16;

/// Where part `i` of `parts` of a side of length `len` begins, in whole tiles.
fn cut(len: usize, tile: usize, i: usize, parts: usize) -> usize {
    (len.div_ceil(tile) * i / parts * tile).min(len)
}

/// Into how many row blocks and column blocks a product is cut.
fn grid(m: usize, k: usize, n: usize) -> [usize; 2] {
    let [mut rows, mut cols] = [1, 1];
    while rows * cols < MOST_PARTS && (m / rows) * (n / cols) * k >= 2 * PART {
        let can_cut_rows = m / rows >= 2 * ROWS;
        let can_cut_cols = n / cols >= 2 * COLS;
        if can_cut_rows && (m / rows >= n / cols || !can_cut_cols) {
            rows *= 2;
        } else if can_cut_cols {
            cols *= 2;
        } else {
            break;
        }
    }
    [rows, cols]
}

/// `c = a b`, or `c += a b` when `accumulate`; `c` is written in place.
///
/// # Panics
/// When shapes do not fit each other, a layout reaches over the end of its slice, or two elements of `c` share memory.
pub fn multiply<E: Real>(
    (a, a_layout): (&[E], Layout),
    (b, b_layout): (&[E], Layout),
    (c, c_layout): (&mut [E], Layout),
    accumulate: bool,
) {
    let (m, k, n) = (a_layout.rows, a_layout.cols, b_layout.cols);
    assert_eq!((b_layout.rows, c_layout.rows, c_layout.cols), (k, m, n), "shapes of a product");
    assert!(a_layout.span() <= a.len(), "the first operand is shorter than its layout");
    assert!(b_layout.span() <= b.len(), "the second operand is shorter than its layout");
    assert!(c_layout.span() <= c.len(), "the result is shorter than its layout");
    assert!(c_layout.is_injective(), "elements of the result share memory");
    if c_layout.is_empty() {
        return;
    }
    let [row_parts, col_parts] = grid(m, k, n);
    let target = Target(c.as_mut_ptr());
    parallel(row_parts * col_parts, |part| {
        let (i, j) = (part % row_parts, part / row_parts);
        let [top, bottom] = [i, i + 1].map(|i| cut(m, ROWS, i, row_parts));
        let [left, right] = [j, j + 1].map(|j| cut(n, COLS, j, col_parts));
        if top == bottom || left == right {
            return;
        }
        let c = &target;
        // SAFETY: the block (top..bottom, left..right) of `c` lies inside its slice by the assertions above, blocks
        // of different parts share no element because the layout is injective and parts do not overlap, `parallel`
        // runs each part once, and `a` and `b` are only read, inside their slices. The strides of a slice fit isize.
        // Tests `products_agree_with_three_loops` and `parts_cover_the_result_once`.
        unsafe {
            gemm::gemm(
                bottom - top,
                right - left,
                k,
                c.0.add(top * c_layout.row_stride + left * c_layout.col_stride),
                c_layout.col_stride as isize,
                c_layout.row_stride as isize,
                accumulate,
                a.as_ptr().wrapping_add(top * a_layout.row_stride),
                a_layout.col_stride as isize,
                a_layout.row_stride as isize,
                b.as_ptr().wrapping_add(left * b_layout.col_stride),
                b_layout.col_stride as isize,
                b_layout.row_stride as isize,
                E::ONE,
                E::ONE,
                false,
                false,
                false,
                Parallelism::None,
            )
        }
    });
}

/// The memory of a result, which parts write in different places.
struct Target<E>(*mut E);

// SAFETY: the pointer comes from a `&mut [E]` that lives as long as the parts; who uses it keeps parts apart.
unsafe impl<E: Send> Sync for Target<E> {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::pool::with_threads;

    fn numbers(n: usize, step: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * step + 3) % 17) as f64 - 8.0).collect()
    }

    /// Small integers: every order of additions gives the same.
    #[test]
    fn products_agree_with_three_loops() {
        for (m, k, n) in
            [(1, 1, 1), (3, 5, 2), (17, 1, 9), (8, 64, 8), (100, 40, 131), (129, 70, 67), (5, 0, 4)]
        {
            for (ta, tb, tc) in
                [(false, false, false), (true, false, false), (false, true, true), (true, true, false)]
            {
                let layout = |rows, cols, transposed| match transposed {
                    false => Layout::row_major(rows, cols),
                    true => Layout::row_major(cols, rows).transposed(),
                };
                let (a_layout, b_layout, c_layout) = (layout(m, k, ta), layout(k, n, tb), layout(m, n, tc));
                let (a, b, before) = (numbers(m * k, 5), numbers(k * n, 7), numbers(m * n, 11));
                let at = |x: &[f64], l: Layout, i, j| x[i * l.row_stride + j * l.col_stride];
                for accumulate in [false, true] {
                    let mut c = before.clone();
                    multiply((&a, a_layout), (&b, b_layout), (&mut c, c_layout), accumulate);
                    for i in 0..m {
                        for j in 0..n {
                            let product: f64 =
                                (0..k).map(|l| at(&a, a_layout, i, l) * at(&b, b_layout, l, j)).sum();
                            let old = if accumulate { at(&before, c_layout, i, j) } else { 0.0 };
                            assert_eq!(
                                at(&c, c_layout, i, j),
                                old + product,
                                "({m}, {k}, {n}) {ta} {tb} {tc} {accumulate} at ({i}, {j})"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn parts_cover_the_result_once() {
        for (m, k, n) in [
            (512, 784, 128),
            (128, 784, 512),
            (10, 4096, 512),
            (512, 4096, 10),
            (2048, 64, 7),
            (1, 9999, 300),
        ] {
            let [rows, cols] = grid(m, k, n);
            assert!(rows * cols <= MOST_PARTS);
            for (len, tile, parts) in [(m, ROWS, rows), (n, COLS, cols)] {
                assert_eq!((cut(len, tile, 0, parts), cut(len, tile, parts, parts)), (0, len));
                assert!((0..parts).all(|i| cut(len, tile, i, parts) <= cut(len, tile, i + 1, parts)));
            }
        }
        assert!(grid(512, 784, 128).iter().product::<usize>() > 1, "a large product must be cut");
        assert_eq!(grid(32, 64, 64), [1, 1], "a small one must not");
    }

    #[test]
    fn threads_do_not_change_bits() {
        let (m, k, n) = (130, 333, 190);
        let a: Vec<f32> = (0..m * k).map(|i| ((i * 7919) % 1009) as f32 / 333.0 - 1.5).collect();
        let b: Vec<f32> = (0..k * n).map(|i| ((i * 104_729) % 1013) as f32 / 333.0 - 1.5).collect();
        let run = |threads| {
            with_threads(threads, || {
                let mut c = vec![0.5; m * n];
                multiply(
                    (&a, Layout::row_major(m, k)),
                    (&b, Layout::row_major(k, n)),
                    (&mut c, Layout::row_major(m, n)),
                    true,
                );
                c.iter().map(|c: &f32| c.to_bits()).collect::<Vec<_>>()
            })
        };
        let want = run(1);
        assert!(run(2) == want && run(7) == want);
    }

    #[test]
    #[should_panic(expected = "share memory")]
    fn a_broadcast_result_is_refused() {
        let broadcast = Layout { rows: 2, cols: 2, row_stride: 0, col_stride: 1 };
        let one = Layout::row_major(2, 2);
        multiply((&[1.0; 4], one), (&[1.0; 4], one), (&mut [0.0; 4], broadcast), true);
    }

    #[test]
    #[should_panic(expected = "shorter than its layout")]
    fn a_short_operand_is_refused() {
        let two = Layout::row_major(2, 2);
        multiply((&[1.0_f32; 3], two), (&[1.0; 4], two), (&mut [0.0; 4], two), false);
    }
}
