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
}

/// Matrices of one layout in one slice: entry `(i, j)` of the batch begins at `i · strides[0] + j · strides[1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub layout: Layout,
    pub strides: [usize; 2],
}

impl Batch {
    /// Each matrix read the other way round.
    pub fn transposed(self) -> Self {
        Self { layout: self.layout.transposed(), ..self }
    }

    /// Lengths and strides of all axes.
    fn axes(self, lengths: [usize; 2]) -> [(usize, usize); 4] {
        let Layout { rows, cols, row_stride, col_stride } = self.layout;
        [(lengths[0], self.strides[0]), (lengths[1], self.strides[1]), (rows, row_stride), (cols, col_stride)]
    }
}

/// Number of elements of memory that axes of these lengths and strides reach over.
fn span(axes: [(usize, usize); 4]) -> usize {
    if axes.iter().any(|&(length, _)| length == 0) {
        return 0;
    }
    axes.iter().map(|(length, stride)| (length - 1) * stride).sum::<usize>() + 1
}

/// Whether no two elements share memory (none do if there are none), told by each stride being larger than what all smaller ones reach over.
fn is_injective(mut axes: [(usize, usize); 4]) -> bool {
    axes.sort_by_key(|&(_, stride)| stride);
    let mut reach = 0;
    let is_empty = axes.iter().any(|&(length, _)| length == 0);
    is_empty
        || axes.iter().filter(|&&(length, _)| length > 1).all(|&(length, stride)| {
            let is_free = stride > reach;
            reach += (length - 1) * stride;
            is_free
        })
}

/// Multiplications below which a product is not cut: a part then takes as long as ten joins.
const PART: usize = 1 << 18;
/// Each part packs its operands again, so beyond the first few parts only those are cut that take a tenth of a
/// millisecond. Cutting on to [`MOST_PARTS`] cost a fifth of the product's time in packing.
const FEW_PARTS: usize = 4;
const LARGE_PART: usize = 1 << 22;
const MOST_PARTS: usize = 16;
/// Parts are cut at multiples of these, near the sizes of `gemm`'s register tiles, and small enough that halves of the
/// usual sides are equal.
const ROWS: usize = 8;
const COLS: usize = 16;
/// Columns below which a part is not cut.
const FEWEST_COLS: usize = 48;

/// Side of the tiles in which a triangle is mirrored.
const MIRROR: usize = 8;

/// Most block rows of a triangle: 21 parts, each of which packs its operands again.
const MOST_BLOCK_ROWS: usize = 6;

/// Where part `i` of `parts` of a side of length `len` begins, in whole tiles.
fn cut(len: usize, tile: usize, i: usize, parts: usize) -> usize {
    (len.div_ceil(tile) * i / parts * tile).min(len)
}

/// Into how many row blocks and column blocks each of `entries` products is cut.
fn grid(entries: usize, m: usize, k: usize, n: usize) -> [usize; 2] {
    let [mut rows, mut cols] = [1, 1];
    loop {
        let (parts, part) = (entries * rows * cols, (m / rows) * (n / cols) * k);
        if parts >= MOST_PARTS || part < 2 * if parts < FEW_PARTS { PART } else { LARGE_PART } {
            break;
        }
        let can_cut_rows = m / rows >= 2 * ROWS;
        let can_cut_cols = n / cols >= 2 * FEWEST_COLS;
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
    let [a_batch, b_batch, c_batch] =
        [a_layout, b_layout, c_layout].map(|layout| Batch { layout, strides: [0, 0] });
    multiply_batch([1, 1], (a, a_batch), (b, b_batch), (c, c_batch), E::ONE, accumulate);
}

/// `c = scale a b` for every entry of a batch of `lengths`, or `c += scale a b` when `accumulate`.
///
/// A batch stride of 0 uses one operand for all entries. Small entries share a part.
///
/// # Panics
/// As [`multiply`].
pub fn multiply_batch<E: Real>(
    lengths: [usize; 2],
    (a, a_batch): (&[E], Batch),
    (b, b_batch): (&[E], Batch),
    (c, c_batch): (&mut [E], Batch),
    scale: E,
    accumulate: bool,
) {
    let (a_layout, b_layout, c_layout) = (a_batch.layout, b_batch.layout, c_batch.layout);
    let (m, k, n) = (a_layout.rows, a_layout.cols, b_layout.cols);
    assert_eq!((b_layout.rows, c_layout.rows, c_layout.cols), (k, m, n), "shapes of a product");
    assert!(span(a_batch.axes(lengths)) <= a.len(), "the first operand is shorter than its layout");
    assert!(span(b_batch.axes(lengths)) <= b.len(), "the second operand is shorter than its layout");
    assert!(span(c_batch.axes(lengths)) <= c.len(), "the result is shorter than its layout");
    assert!(is_injective(c_batch.axes(lengths)), "elements of the result share memory");
    let entries = lengths[0] * lengths[1];
    if entries * m * n == 0 {
        return;
    }
    let [row_parts, col_parts] = grid(entries, m, k, n);
    let blocks = row_parts * col_parts;
    // A part is some blocks of one entry, or some whole entries.
    let together = if blocks > 1 { 1 } else { (PART / (m * k * n).max(1)).clamp(1, entries) };
    let target = Target(c.as_mut_ptr());
    let block = |entry: usize, block: usize| {
        let (i, j) = (block % row_parts, block / row_parts);
        let [top, bottom] = [i, i + 1].map(|i| cut(m, ROWS, i, row_parts));
        let [left, right] = [j, j + 1].map(|j| cut(n, COLS, j, col_parts));
        if top == bottom || left == right {
            return;
        }
        let index = [entry / lengths[1], entry % lengths[1]];
        let start = |batch: Batch| index[0] * batch.strides[0] + index[1] * batch.strides[1];
        let c = &target;
        // SAFETY: the block (top..bottom, left..right) of this entry of `c` lies inside its slice by the assertions
        // above, blocks of different parts share no element because the layout is injective and parts do not overlap,
        // `parallel` runs each part once, and `a` and `b` are only read, inside their slices. The strides of a slice
        // fit isize. Tests `products_agree_with_three_loops`, `batches_agree_with_single_products` and
        // `parts_cover_the_result_once`.
        unsafe {
            gemm::gemm(
                bottom - top,
                right - left,
                k,
                c.0.add(start(c_batch) + top * c_layout.row_stride + left * c_layout.col_stride),
                c_layout.col_stride as isize,
                c_layout.row_stride as isize,
                accumulate,
                a.as_ptr().wrapping_add(start(a_batch) + top * a_layout.row_stride),
                a_layout.col_stride as isize,
                a_layout.row_stride as isize,
                b.as_ptr().wrapping_add(start(b_batch) + left * b_layout.col_stride),
                b_layout.col_stride as isize,
                b_layout.row_stride as isize,
                E::ONE,
                scale,
                false,
                false,
                false,
                Parallelism::None,
            )
        }
    };
    if blocks > 1 {
        parallel(entries * blocks, |part| block(part / blocks, part % blocks));
    } else {
        parallel(entries.div_ceil(together), |part| {
            for entry in part * together..entries.min((part + 1) * together) {
                block(entry, 0);
            }
        });
    }
}

/// `c = a aᵀ`: the blocks on and below the diagonal are computed, and mirrored. `c` is row-major and symmetric to the
/// bit.
///
/// # Panics
/// When `c` is not square with one row per row of `a`, or a layout reaches over the end of its slice.
pub fn multiply_by_transposed<E: Real>((a, layout): (&[E], Layout), c: &mut [E]) {
    let (m, k) = (layout.rows, layout.cols);
    let axes = Batch { layout, strides: [0, 0] }.axes([1, 1]);
    assert!(span(axes) <= a.len(), "the operand is shorter than its layout");
    assert_eq!(c.len(), m * m, "the result is square");
    let parts = triangle_parts(m, k);
    let target = Target(c.as_mut_ptr());
    parallel(parts * (parts + 1) / 2, |part| {
        let (i, j) = triangle(part);
        let [top, bottom] = [i, i + 1].map(|i| cut(m, COLS, i, parts));
        let [left, right] = [j, j + 1].map(|j| cut(m, COLS, j, parts));
        if top == bottom || left == right {
            return;
        }
        let c = &target;
        // SAFETY: the blocks (top..bottom, left..right) with j ≤ i and their mirror images cover the square without
        // overlap, each belongs to one part, and `parallel` runs each part once. `a` is only read, inside its slice.
        // Test `gram_matrices_are_symmetric_products`.
        unsafe {
            gemm::gemm(
                bottom - top,
                right - left,
                k,
                c.0.add(top * m + left),
                1,
                m as isize,
                false,
                a.as_ptr().wrapping_add(top * layout.row_stride),
                layout.col_stride as isize,
                layout.row_stride as isize,
                a.as_ptr().wrapping_add(left * layout.row_stride),
                layout.row_stride as isize,
                layout.col_stride as isize,
                E::ONE,
                E::ONE,
                false,
                false,
                false,
                Parallelism::None,
            );
            // In small tiles: a column of the square is spread over as many lines of cache as it has rows.
            for first_row in (top..bottom).step_by(MIRROR) {
                for first_col in (left..right.min(bottom)).step_by(MIRROR) {
                    for col in first_col..right.min(first_col + MIRROR) {
                        for row in first_row.max(col + 1)..bottom.min(first_row + MIRROR) {
                            *c.0.add(col * m + row) = *c.0.add(row * m + col);
                        }
                    }
                }
            }
        }
    });
}

/// Block row and block column, `column ≤ row`, of entry `part` of a triangle read row by row.
pub fn triangle(part: usize) -> (usize, usize) {
    let mut row = ((8 * part + 1).isqrt() - 1) / 2;
    while (row + 1) * (row + 2) / 2 <= part {
        row += 1;
    }
    (row, part - row * (row + 1) / 2)
}

/// Into how many block rows a square of side `m` is cut whose elements take `work` multiplications each.
pub fn triangle_parts(m: usize, work: usize) -> usize {
    let wanted = (m * m * work / (2 * PART)).isqrt();
    wanted.clamp(1, MOST_BLOCK_ROWS).min(m.div_ceil(COLS)).max(1)
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
            let [rows, cols] = grid(1, m, k, n);
            assert!(rows * cols <= MOST_PARTS);
            for (len, tile, parts) in [(m, ROWS, rows), (n, COLS, cols)] {
                assert_eq!((cut(len, tile, 0, parts), cut(len, tile, parts, parts)), (0, len));
                assert!((0..parts).all(|i| cut(len, tile, i, parts) <= cut(len, tile, i + 1, parts)));
            }
        }
        assert!(grid(1, 512, 784, 128).iter().product::<usize>() > 1, "a large product must be cut");
        assert_eq!(grid(1, 32, 64, 64), [1, 1], "a small one must not");
    }

    /// Contiguous batches, batches inside rows as attention heads are, and one operand for all entries.
    #[test]
    fn batches_agree_with_single_products() {
        for (lengths, m, k, n) in [
            ([2, 3], 4, 5, 6),
            ([3, 1], 70, 80, 96),
            ([1, 40], 9, 1, 2),
            ([0, 3], 2, 2, 2),
            ([2, 2], 3, 0, 2),
        ] {
            let entries = lengths[0] * lengths[1];
            let separate = |rows, cols| Batch {
                layout: Layout::row_major(rows, cols),
                strides: [lengths[1] * rows * cols, rows * cols],
            };
            let interleaved = |rows: usize, cols| Batch {
                layout: Layout { rows, cols, row_stride: lengths[1] * cols, col_stride: 1 },
                strides: [rows * lengths[1] * cols, cols],
            };
            let shared = |rows, cols| Batch { layout: Layout::row_major(rows, cols), strides: [0, 0] };
            let (a, b) = (numbers(entries * m * k, 5), numbers(entries * k * n, 7));
            for (a_batch, b_batch, c_batch) in [
                (separate(m, k), separate(k, n), separate(m, n)),
                (interleaved(m, k), separate(n, k).transposed(), interleaved(m, n)),
                (interleaved(k, m).transposed(), shared(k, n), separate(n, m).transposed()),
            ] {
                for accumulate in [false, true] {
                    let before = numbers(entries * m * n, 11);
                    let mut c = before.clone();
                    multiply_batch(
                        lengths,
                        (&a, a_batch),
                        (&b, b_batch),
                        (&mut c, c_batch),
                        -2.0,
                        accumulate,
                    );
                    let at = |x: &[f64], batch: Batch, entry: [usize; 2], i, j| {
                        let [p, q] = [0, 1].map(|axis| entry[axis] * batch.strides[axis]);
                        x[p + q + i * batch.layout.row_stride + j * batch.layout.col_stride]
                    };
                    for entry in (0..entries).map(|e| [e / lengths[1], e % lengths[1]]) {
                        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                            let product: f64 = (0..k)
                                .map(|l| at(&a, a_batch, entry, i, l) * at(&b, b_batch, entry, l, j))
                                .sum();
                            let old = if accumulate { at(&before, c_batch, entry, i, j) } else { 0.0 };
                            assert_eq!(
                                at(&c, c_batch, entry, i, j),
                                old - 2.0 * product,
                                "{lengths:?} {m} {k} {n}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gram_matrices_are_symmetric_products() {
        for (m, k) in [(0, 3), (1, 1), (3, 0), (7, 5), (49, 200), (300, 40)] {
            for layout in [Layout::row_major(m, k), Layout::row_major(k, m).transposed()] {
                let a = numbers(m * k, 5);
                let mut c = vec![f64::NAN; m * m];
                multiply_by_transposed((&a, layout), &mut c);
                let at = |i: usize, l: usize| a[i * layout.row_stride + l * layout.col_stride];
                for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
                    let want: f64 = (0..k).map(|l| at(i, l) * at(j, l)).sum();
                    assert_eq!(c[i * m + j], want, "{m} {k} at ({i}, {j})");
                }
            }
        }
        assert!(triangle_parts(300, 40) > 1, "a large one must be cut");
        let blocks: Vec<_> = (0..6).map(triangle).collect();
        assert_eq!(blocks, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]);
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
