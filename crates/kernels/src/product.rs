//! Matrix products on slices: `gemm`'s single-threaded kernels on parts that we cut.
//!
//! `gemm` reaches the speed of vendor libraries on one thread, but its own threading does not at the sizes of
//! training. Here the longer side of the result is halved again and again until a part is small, by sizes alone, so
//! that the result has the same bits for any number of threads.
//!
//! Parts with a side of at most four are multiplied by loops of our own ([`slender`]), and operands that lie the wrong
//! way are [`turned`] before; both with the bits that `gemm` gives without them.
#![allow(unsafe_code)]
pub(crate) mod slender;
pub(crate) mod turned;

use crate::Real;
use crate::pool::parallel;
use crate::product::slender::View;
use crate::product::turned::{TILE, turned};
use gemm::Parallelism;
use std::ops::Range;

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

/// Multiplications in the time that an element of a triangle takes to be written and mirrored.
const MIRRORED: usize = 8;

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

/// Rows of the first operand from which on turning the second one pays.
const REUSED: usize = 8;
/// Elements of a part up to which `gemm` adds up dot products across, in another order, where it can.
const FEW_ELEMENTS: usize = 256;

/// Whether a product of `(m, k)` and `(k, n)`, cut into so many parts each way, first turns its second operand: where
/// its columns lie side by side, the rows of the result do, and `gemm` adds up in the same order afterwards.
fn should_turn([m, k, n]: [usize; 3], parts: [usize; 2], b: Layout, c: Layout) -> bool {
    let smallest = |len, tile, parts| {
        let ends = (0..=parts).map(|i| cut(len, tile, i, parts));
        ends.clone().zip(ends.skip(1)).map(|(from, to)| to - from).filter(|&len| len > 0).min().unwrap_or(0)
    };
    let [rows, cols] = [smallest(m, ROWS, parts[0]), smallest(n, COLS, parts[1])];
    let is_across = b.row_stride == 1 && b.col_stride != 1 && c.col_stride == 1;
    is_across && m >= REUSED && k >= TILE && n >= TILE && rows.min(cols) > 1 && rows * cols > FEW_ELEMENTS
}

/// `c = scale a b` for one block of a result, whose first element and strides are given, or `c += scale a b`.
///
/// # Safety
/// Each element of the block is valid, no two are the same, and nobody else uses them in the meantime. The elements of
/// `a` and `b` lie inside their slices.
unsafe fn multiply_block<E: Real>(
    [m, k, n]: [usize; 3],
    a: View<'_, E>,
    b: View<'_, E>,
    (c, c_strides): (*mut E, [usize; 2]),
    scale: E,
    accumulate: bool,
) {
    if scale == E::ONE
        && let Some(form) = slender::form([m, k, n], a.strides, b.strides, c_strides)
    {
        // SAFETY: this function's own.
        let target = unsafe { slender::Target::new(c, [m, n], c_strides) };
        return slender::multiply(form, k, (a, b), accumulate, target);
    }
    let [a_strides, b_strides, c_strides] =
        [a.strides, b.strides, c_strides].map(|strides| strides.map(|stride| stride as isize));
    // SAFETY: this function's own. The strides of a slice fit isize.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            c_strides[1],
            c_strides[0],
            accumulate,
            a.elements.as_ptr().wrapping_add(a.start),
            a_strides[1],
            a_strides[0],
            b.elements.as_ptr().wrapping_add(b.start),
            b_strides[1],
            b_strides[0],
            E::ONE,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        )
    }
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
    let is_turned = should_turn([m, k, n], [row_parts, col_parts], b_layout, c_layout);
    let turned_once = (is_turned && (entries == 1 || b_batch.strides == [0, 0])).then(|| turned(b, b_layout));
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
        let a = View::new(a, start(a_batch) + top * a_layout.row_stride, a_layout);
        let b_start = start(b_batch) + left * b_layout.col_stride;
        let here;
        let b = match &turned_once {
            Some(turned) => View::new(turned, left, Layout::row_major(k, n)),
            None if is_turned => {
                here = turned(&b[b_start..], Layout { cols: right - left, ..b_layout });
                View::new(&here, 0, Layout::row_major(k, right - left))
            }
            None => View::new(b, b_start, b_layout),
        };
        let first = start(c_batch) + top * c_layout.row_stride + left * c_layout.col_stride;
        let target = &target;
        // SAFETY: the block (top..bottom, left..right) of this entry of `c` lies inside its slice by the assertions
        // above, blocks of different parts share no element because the layout is injective and parts do not overlap,
        // `parallel` runs each part once, and `a` and `b` are only read, inside their slices. Tests
        // `products_agree_with_three_loops`, `batches_agree_with_single_products` and `parts_cover_the_result_once`.
        unsafe {
            let c = (target.0.add(first), [c_layout.row_stride, c_layout.col_stride]);
            multiply_block([bottom - top, k, right - left], a, b, c, scale, accumulate)
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
    let transposed = layout.transposed();
    let is_turned = should_turn([m, k, m], [parts; 2], transposed, Layout::row_major(m, m));
    let turned = is_turned.then(|| turned(a, transposed));
    let target = Target(c.as_mut_ptr());
    parallel(parts * (parts + 1) / 2, |part| {
        let (i, j) = triangle(part);
        let [top, bottom] = [i, i + 1].map(|i| cut(m, COLS, i, parts));
        let [left, right] = [j, j + 1].map(|j| cut(m, COLS, j, parts));
        if top == bottom || left == right {
            return;
        }
        let rows = View::new(a, top * layout.row_stride, layout);
        let cols = match &turned {
            Some(turned) => View::new(turned, left, Layout::row_major(k, m)),
            None => View::new(a, left * layout.row_stride, transposed),
        };
        let c = &target;
        // SAFETY: the blocks (top..bottom, left..right) with j ≤ i and their mirror images cover the square without
        // overlap, each belongs to one part, and `parallel` runs each part once. `a` is only read, inside its slice.
        // Test `gram_matrices_are_symmetric_products`.
        unsafe {
            let block = (c.0.add(top * m + left), [m, 1]);
            multiply_block([bottom - top, k, right - left], rows, cols, block, E::ONE, false);
            mirror(c.0, m, top..bottom, left..right);
        }
    });
}

/// Writes the mirror image of a block on or below the diagonal of a square of side `m`, in tiles: a column of the square
/// is spread over as many lines of cache as it has rows.
///
/// # Safety
/// The square is valid, and nobody else uses the block or its mirror image in the meantime.
unsafe fn mirror<E: Real>(c: *mut E, m: usize, rows: Range<usize>, cols: Range<usize>) {
    let turn = E::turn_tile();
    for row in rows.clone().step_by(TILE) {
        for col in cols.clone().step_by(TILE).take_while(|&col| col <= row) {
            let is_whole = row + TILE <= rows.end && col + TILE <= cols.end;
            // SAFETY: all places lie in the block or its mirror image. A tile is turned where it is below the diagonal
            // as a whole, and shares nothing with its image; `turn_tile` has asked the processor.
            unsafe {
                if is_whole && col + TILE <= row {
                    turn(c.add(row * m + col), m, c.add(col * m + row), m);
                    continue;
                }
                for row in row..rows.end.min(row + TILE) {
                    for col in col..cols.end.min(col + TILE).min(row) {
                        *c.add(col * m + row) = *c.add(row * m + col);
                    }
                }
            }
        }
    }
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
    let wanted = (m * m * (work + MIRRORED) / (2 * PART)).isqrt();
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

    /// The sums of a part are the same to the bit, whichever way the second operand lies.
    #[test]
    fn turned_operands_change_no_bit() {
        fn check<E: Real>(bits: impl Fn(&E) -> u64) {
            let mut seen = 0;
            for m in [8, 9, 33, 64, 70, 131] {
                for n in [8, 16, 31, 48, 64, 67, 130] {
                    for k in [8, 9, 64, 100, 255, 256, 257, 700] {
                        let (b_layout, c_layout) =
                            (Layout::row_major(n, k).transposed(), Layout::row_major(m, n));
                        if !should_turn([m, k, n], [1, 1], b_layout, c_layout) {
                            continue;
                        }
                        seen += 1;
                        let noise = |n: usize, step: usize| -> Vec<E> {
                            (0..n).map(|i| E::of(((i * step + 3) % 1009) as f64 / 333.0 - 1.5)).collect()
                        };
                        let (a, b, before) = (noise(m * k, 7919), noise(k * n, 104_729), noise(m * n, 11));
                        let turned = turned(&b, b_layout);
                        for accumulate in [false, true] {
                            for a_layout in [Layout::row_major(m, k), Layout::row_major(k, m).transposed()] {
                                let (mut c, mut want) = (before.clone(), before.clone());
                                let a = View::new(&a, 0, a_layout);
                                for (b, c) in [
                                    (View::new(&turned, 0, Layout::row_major(k, n)), &mut c),
                                    (View::new(&b, 0, b_layout), &mut want),
                                ] {
                                    // SAFETY: `c` has m · n elements, which only this call uses.
                                    unsafe {
                                        multiply_block(
                                            [m, k, n],
                                            a,
                                            b,
                                            (c.as_mut_ptr(), [n, 1]),
                                            E::ONE,
                                            accumulate,
                                        )
                                    };
                                }
                                assert!(c.iter().map(&bits).eq(want.iter().map(&bits)), "({m}, {k}, {n})");
                            }
                        }
                    }
                }
            }
            assert!(seen > 200, "{seen} shapes are turned");
        }
        check::<f32>(|x| x.to_bits().into());
        check::<f64>(|x| x.to_bits());
    }

    /// Dot products that `gemm` adds up across, vectors, and operands that lie right are left alone.
    #[test]
    fn what_gains_nothing_is_not_turned() {
        let across = |k, n| Layout::row_major(n, k).transposed();
        let turns = |m, k, n, b, parts| should_turn([m, k, n], parts, b, Layout::row_major(m, n));
        assert!(turns(64, 64, 64, across(64, 64), [1, 1]));
        assert!(!turns(64, 64, 64, Layout::row_major(64, 64), [1, 1]), "lies right");
        assert!(!turns(16, 64, 16, across(64, 16), [1, 1]), "a result of few elements");
        assert!(!turns(32, 64, 32, across(64, 32), [4, 1]), "parts of few elements");
        assert!(!turns(7, 64, 64, across(64, 64), [1, 1]), "few rows");
        assert!(
            !should_turn([64; 3], [1, 1], across(64, 64), Layout::row_major(64, 64).transposed()),
            "columns of a result"
        );
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
