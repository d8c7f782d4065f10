//! Matrices turned in register tiles: operands that lie the wrong way for `gemm`, and mirror images of triangles.
//!
//! `gemm` reads the second operand along the rows of the result. Where its columns lie side by side instead, as a layer's
//! weights do, `gemm` turns it by itself, once for each part of the product and through lines of cache that push each
//! other out: half of the time of a product of 512. Here it is turned once, by all threads.
//!
//! The compiler builds a turned tile element by element, so the tiles of AVX2 are written down in its instructions.
#![allow(unsafe_code)]
use crate::Real;
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use crate::product::Layout;
use crate::simd::{Level, level};
use std::cell::Cell;
use std::mem::{MaybeUninit, take};
use std::ops::Deref;
use std::thread::LocalKey;

/// Side of the tiles that are turned in registers.
pub const TILE: usize = 8;
/// Rows that a part turns together: as many elements as a line of cache holds.
const LINE: usize = 16;

/// Turns a tile: element `(i, j)` at `from + i · stride + j` goes to `to + j · stride_to + i`.
///
/// # Safety
/// The tile's lines are valid at both places, and share nothing; this processor has the instructions.
pub type TurnTile<E> = unsafe fn(from: *const E, stride: usize, to: *mut E, stride_to: usize);

/// Element types that have tiles.
pub trait Tiles: Sized + 'static {
    /// The fastest that this processor has.
    fn turn_tile() -> TurnTile<Self>;
    /// Memory of this thread that is used again: new memory costs more than what is written to it.
    fn kept() -> &'static LocalKey<Cell<Vec<Self>>>;
}

macro_rules! tiles {
    ($type:ty, $turn:ident) => {
        impl Tiles for $type {
            fn turn_tile() -> TurnTile<Self> {
                #[cfg(target_arch = "x86_64")]
                if level() >= Level::V3 {
                    return avx2::$turn;
                }
                plain
            }
            fn kept() -> &'static LocalKey<Cell<Vec<Self>>> {
                thread_local! {
                    static KEPT: Cell<Vec<$type>> = const { Cell::new(Vec::new()) };
                }
                &KEPT
            }
        }
    };
}

tiles!(f32, turn_f32);
tiles!(f64, turn_f64);

/// Bytes up to which a thread keeps the memory of a turned matrix.
const MOST_KEPT: usize = 4 << 20;

/// A matrix that was turned, row after row.
pub struct Turned<E: Tiles>(Vec<E>);

impl<E: Tiles> Deref for Turned<E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        &self.0
    }
}

impl<E: Tiles> Drop for Turned<E> {
    fn drop(&mut self) {
        if self.0.capacity() * size_of::<E>() <= MOST_KEPT {
            let elements = take(&mut self.0);
            // A thread that ends keeps nothing.
            _ = E::kept().try_with(|kept| kept.set(elements));
        }
    }
}

/// Body of [`TurnTile`] for any processor.
///
/// # Safety
/// As [`TurnTile`].
unsafe fn plain<E: Copy>(from: *const E, stride: usize, to: *mut E, stride_to: usize) {
    for i in 0..TILE {
        for j in 0..TILE {
            // SAFETY: this function's own.
            unsafe { *to.add(j * stride_to + i) = *from.add(i * stride + j) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::TILE;
    use std::arch::x86_64::*;
    use std::array::from_fn;

    /// Body of [`TurnTile`](super::TurnTile): pairs of lines, then of pairs, then of halves of registers.
    ///
    /// # Safety
    /// As [`TurnTile`](super::TurnTile), with AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn turn_f32(from: *const f32, stride: usize, to: *mut f32, stride_to: usize) {
        // SAFETY: the lines are valid, by this function's own contract.
        let [a, b, c, d, e, f, g, h]: [__m256; TILE] =
            from_fn(|i| unsafe { _mm256_loadu_ps(from.add(i * stride)) });
        let pairs = |a, b| [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)];
        let fours = |[a, b]: [__m256; 2], [c, d]: [__m256; 2]| {
            [
                _mm256_shuffle_ps::<0x44>(a, c),
                _mm256_shuffle_ps::<0xEE>(a, c),
                _mm256_shuffle_ps::<0x44>(b, d),
                _mm256_shuffle_ps::<0xEE>(b, d),
            ]
        };
        let above = fours(pairs(a, b), pairs(c, d));
        let below = fours(pairs(e, f), pairs(g, h));
        for j in 0..4 {
            // SAFETY: as above.
            unsafe {
                let (near, far) = (to.add(j * stride_to), to.add((j + 4) * stride_to));
                _mm256_storeu_ps(near, _mm256_permute2f128_ps::<0x20>(above[j], below[j]));
                _mm256_storeu_ps(far, _mm256_permute2f128_ps::<0x31>(above[j], below[j]));
            }
        }
    }

    /// The same for f64: four quarters of four lines each.
    ///
    /// # Safety
    /// As [`turn_f32`].
    #[target_feature(enable = "avx2")]
    pub unsafe fn turn_f64(from: *const f64, stride: usize, to: *mut f64, stride_to: usize) {
        for (i, j) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
            // SAFETY: the lines are valid, by this function's own contract.
            unsafe {
                let [a, b, c, d]: [__m256d; 4] = from_fn(|l| _mm256_loadu_pd(from.add((i + l) * stride + j)));
                let even = [_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d)];
                let odd = [_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d)];
                for (l, [above, below]) in [even, odd].into_iter().enumerate() {
                    let line = |l: usize| to.add((j + l) * stride_to + i);
                    _mm256_storeu_pd(line(l), _mm256_permute2f128_pd::<0x20>(above, below));
                    _mm256_storeu_pd(line(l + 2), _mm256_permute2f128_pd::<0x31>(above, below));
                }
            }
        }
    }
}

/// The elements of `layout`, whose columns lie side by side (a row stride of 1), row after row.
///
/// # Panics
/// When an element lies outside of `x`, or the row stride is not 1.
pub fn turned<E: Real>(x: &[E], layout: Layout) -> Turned<E> {
    let Layout { rows, cols, row_stride, col_stride } = layout;
    assert_eq!(row_stride, 1, "columns that lie side by side");
    let mut out = E::kept().try_with(Cell::take).unwrap_or_default();
    out.clear();
    out.reserve(rows * cols);
    if rows * cols > 0 {
        assert!((cols - 1) * col_stride + rows <= x.len(), "the operand is shorter than its layout");
        let spare = &mut out.spare_capacity_mut()[..rows * cols];
        chunks_mut(spare, rows_per_part(cols).next_multiple_of(LINE) * cols, |start, out| {
            turn_rows(&x[start / cols..], col_stride, cols, out)
        });
    }
    // SAFETY: `turn_rows` writes every element of every part. Test `each_element_is_turned`.
    unsafe { out.set_len(rows * cols) };
    Turned(out)
}

/// Whole rows of the result, from columns that begin at the first element of `x`.
fn turn_rows<E: Real>(x: &[E], col_stride: usize, cols: usize, out: &mut [MaybeUninit<E>]) {
    let turn = E::turn_tile();
    for (i, out) in out.chunks_mut(LINE * cols).enumerate() {
        let (x, rows) = (&x[i * LINE..], out.len() / cols);
        // Whole lines of cache on both sides: four tiles.
        for (col, row) in (0..cols).step_by(LINE).flat_map(|col| [(col, 0), (col, TILE)]) {
            for col in [col, col + TILE] {
                if row >= rows || col >= cols {
                    continue;
                }
                let from = &x[col * col_stride + row..];
                let to = &mut out[row * cols + col..];
                let [height, width] = [rows - row, cols - col].map(|side| side.min(TILE));
                if [height, width] == [TILE; 2] {
                    assert!(
                        from.len() >= (TILE - 1) * col_stride + TILE && to.len() >= (TILE - 1) * cols + TILE
                    );
                    // SAFETY: the tile's lines lie inside both slices, of which one is borrowed mutably;
                    // `turn_tile` has asked the processor.
                    unsafe { turn(from.as_ptr(), col_stride, to.as_mut_ptr().cast(), cols) };
                } else {
                    for i in 0..height {
                        for j in 0..width {
                            to[i * cols + j] = MaybeUninit::new(from[j * col_stride + i]);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::pool::with_threads;

    /// Whole tiles, tiles that are cut off at one side or both, columns with gaps, and more than one part.
    #[test]
    fn each_element_is_turned() {
        fn check<E: Real>() {
            for (rows, cols, gap) in
                [(8, 8, 0), (16, 24, 0), (1, 5, 0), (9, 1, 3), (17, 23, 1), (530, 70, 0), (3, 0, 0)]
            {
                let layout = Layout { rows, cols, row_stride: 1, col_stride: rows + gap };
                let x: Vec<E> = (0..(rows + gap) * cols).map(|i| E::of(i as f64)).collect();
                let want: Vec<E> =
                    (0..rows * cols).map(|at| x[at % cols * (rows + gap) + at / cols]).collect();
                for threads in [1, 2, 7] {
                    let got = with_threads(threads, || turned(&x, layout));
                    assert_eq!(*got, want, "({rows}, {cols}), gaps of {gap}, {threads} threads");
                }
            }
        }
        check::<f32>();
        check::<f64>();
    }

    /// What this processor turns, and what any does.
    #[test]
    fn tiles_agree() {
        let from: Vec<f64> = (0..TILE * 11).map(|i| i as f64).collect();
        let single: Vec<f32> = from.iter().map(|&x| x as f32).collect();
        let (mut wide, mut narrow, mut plainly) =
            (vec![0.0; TILE * 9], vec![0.0; TILE * 9], vec![0.0; TILE * 9]);
        // SAFETY: eight lines of eight, 11 and 9 apart, lie inside these; `turn_tile` has asked the processor.
        unsafe {
            f64::turn_tile()(from.as_ptr(), 11, wide.as_mut_ptr(), 9);
            f32::turn_tile()(single.as_ptr(), 11, narrow.as_mut_ptr(), 9);
            plain(from.as_ptr(), 11, plainly.as_mut_ptr(), 9);
        }
        assert_eq!(plainly[9 * 3 + 5], from[11 * 5 + 3]);
        assert_eq!(wide, plainly);
        assert!(narrow.iter().map(|&x| f64::from(x)).eq(plainly));
    }
}
