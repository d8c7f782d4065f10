//! Products with a side of at most four: there a general kernel spends its time on packing and on empty tiles.
//!
//! Two of the shapes need no packing, and their transposes: few terms in each sum (a layer of few inputs, the gradient of
//! a layer of few outputs), and few rows in the result (the weights' gradients of both). Each element is one chain in the
//! order of the terms, as in `gemm`, so both give the same bits (where nothing is scaled): of fused multiply-adds that
//! begin at zero and are added to what was there, or, with one term or two, of products that are rounded and added to
//! what was there one by one.
#![allow(unsafe_code)]
use crate::Real;
use crate::product::Layout;
use crate::simd::{Body, simd};
use std::marker::PhantomData;
use std::ops::Range;
use std::slice;

/// The most that a side has which counts as short.
const SHORT: usize = 4;
/// Columns that are computed at a time, and at least so many must be there.
const WIDE: usize = 32;
/// Up to so many terms are rounded and added to the result one after the other; the fused sum of more is added as a whole.
const CHAINED: usize = 2;
/// Elements of a result up to which `gemm` forms dot products, where the terms of both operands lie side by side.
const DOTTED: usize = 256;
/// Terms beyond which `gemm` adds up in several blocks.
const MOST_TERMS: usize = 256;

/// A matrix inside a slice: element `(i, j)` is at `start + i · strides[0] + j · strides[1]`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, E> {
    pub elements: &'a [E],
    pub start: usize,
    pub strides: [usize; 2],
}

impl<'a, E: Copy> View<'a, E> {
    /// A matrix of this layout, whose first element is at `start`.
    pub fn new(elements: &'a [E], start: usize, layout: Layout) -> Self {
        Self { elements, start, strides: [layout.row_stride, layout.col_stride] }
    }
    fn transposed(self) -> Self {
        Self { strides: [self.strides[1], self.strides[0]], ..self }
    }
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> E {
        self.elements[self.start + i * self.strides[0] + j * self.strides[1]]
    }
    /// Columns of a row whose elements lie side by side.
    #[inline(always)]
    fn row(self, i: usize, columns: Range<usize>) -> &'a [E] {
        let start = self.start + i * self.strides[0];
        &self.elements[start + columns.start..start + columns.end]
    }
}

/// The elements of the result, which several parts write in different places.
#[derive(Debug)]
pub struct Target<'a, E> {
    /// Element (0, 0).
    first: *mut E,
    sides: [usize; 2],
    strides: [usize; 2],
    borrowed: PhantomData<&'a mut E>,
}

impl<E: Real> Target<'_, E> {
    /// # Safety
    /// For as long as this lives, element (i, j) at `first + i · strides[0] + j · strides[1]` is valid and used by nobody
    /// else, for all i and j below `sides`; no two of them are the same.
    pub unsafe fn new(first: *mut E, sides: [usize; 2], strides: [usize; 2]) -> Self {
        Self { first, sides, strides, borrowed: PhantomData }
    }
    fn transposed(self) -> Self {
        let ([m, n], [down, right]) = (self.sides, self.strides);
        Self { sides: [n, m], strides: [right, down], ..self }
    }
    /// Columns of row i, whose elements lie side by side.
    #[inline(always)]
    fn row(&mut self, i: usize, columns: Range<usize>) -> &mut [E] {
        let is_inside = i < self.sides[0] && columns.start <= columns.end && columns.end <= self.sides[1];
        assert!(is_inside && self.strides[1] == 1, "a row of the result");
        // SAFETY: elements (i, columns) are this target's own by `new`, and lie side by side. `&mut self` lends them once.
        unsafe {
            slice::from_raw_parts_mut(self.first.add(i * self.strides[0] + columns.start), columns.len())
        }
    }
    #[inline(always)]
    fn write(&mut self, i: usize, j: usize, x: E, accumulate: bool) {
        assert!(i < self.sides[0] && j < self.sides[1], "an element of the result");
        // SAFETY: element (i, j) is this target's own by `new`.
        write(unsafe { &mut *self.first.add(i * self.strides[0] + j * self.strides[1]) }, x, accumulate);
    }
}

/// `c = x`, or `c += x`.
#[inline(always)]
fn write<E: Real>(c: &mut E, x: E, accumulate: bool) {
    *c = if accumulate { *c + x } else { x };
}

/// Which of the two forms a product takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// At most four terms in each sum; the result's rows are contiguous.
    Terms,
    /// At most four rows; the rows of the second operand are contiguous.
    Rows,
    /// [`Terms`](Self::Terms) of the transposed product.
    TermsTransposed,
    /// [`Rows`](Self::Rows) of the transposed product.
    RowsTransposed,
}

/// The form of a product of (m, k) and (k, n), if it has one; strides as in [`View`]. A product with a vector has none:
/// `gemm` knows them.
pub fn form([m, k, n]: [usize; 3], a: [usize; 2], b: [usize; 2], c: [usize; 2]) -> Option<Form> {
    let is_dotted = m * n <= DOTTED && a[1] == 1 && b[0] == 1;
    let few_terms = (1..=SHORT).contains(&k) && !is_dotted;
    let few_rows = |m: usize| m <= SHORT && (CHAINED + 1..=MOST_TERMS).contains(&k);
    match () {
        () if m < 2 || n < 2 => None,
        () if few_terms && n >= WIDE && c[1] == 1 => Some(Form::Terms),
        () if few_terms && m >= WIDE && c[0] == 1 => Some(Form::TermsTransposed),
        () if few_rows(m) && n >= WIDE && b[1] == 1 => Some(Form::Rows),
        () if few_rows(n) && m >= WIDE && a[0] == 1 => Some(Form::RowsTransposed),
        () => None,
    }
}

/// Computes `c = a b` of this form, or `c += a b` when `accumulate`.
///
/// # Panics
/// When an element lies outside of its slice, or the sides are not those of the form.
pub fn multiply<E: Real>(
    form: Form,
    terms: usize,
    (a, b): (View<'_, E>, View<'_, E>),
    accumulate: bool,
    c: Target<'_, E>,
) {
    let is_transposed = matches!(form, Form::TermsTransposed | Form::RowsTransposed);
    let (a, b, c) = if is_transposed { (b.transposed(), a.transposed(), c.transposed()) } else { (a, b, c) };
    let task = Task { terms, a, b, accumulate, c };
    match form {
        Form::Terms | Form::TermsTransposed => E::few_terms(task),
        Form::Rows | Form::RowsTransposed => E::few_rows(task),
    }
}

/// One product.
#[derive(Debug)]
pub struct Task<'a, E> {
    terms: usize,
    a: View<'a, E>,
    b: View<'a, E>,
    accumulate: bool,
    c: Target<'a, E>,
}

/// `K` terms: each row of the result is a sum of `K` rows.
struct FewTerms<'a, E, const K: usize>(Task<'a, E>);
impl<E: Real, const K: usize> Body for FewTerms<'_, E, K> {
    type Out = ();
    #[allow(clippy::needless_range_loop, reason = "one index into three arrays")]
    #[inline(always)]
    fn run(self) {
        let Task { a, b, accumulate, mut c, .. } = self.0;
        let [m, n] = c.sides;
        for left in (0..n).step_by(WIDE) {
            let right = n.min(left + WIDE);
            let mut block = [[E::zero(); WIDE]; K];
            for (l, row) in block.iter_mut().enumerate() {
                for (j, x) in (left..right).zip(row) {
                    *x = b.at(l, j);
                }
            }
            for i in 0..m {
                let row = c.row(i, left..right);
                let mut sums = [E::zero(); WIDE];
                let mut from = 0;
                if K <= CHAINED && accumulate {
                    match row.as_array::<WIDE>() {
                        Some(row) => sums = *row,
                        None => sums[..row.len()].copy_from_slice(row),
                    }
                } else if K <= CHAINED {
                    // Not added to a zero, which would lose the sign of a product that is -0.
                    let factor = a.at(i, 0);
                    for j in 0..WIDE {
                        sums[j] = factor * block[0][j];
                    }
                    from = 1;
                }
                for l in from..K {
                    let factor = a.at(i, l);
                    for j in 0..WIDE {
                        sums[j] = if K <= CHAINED {
                            factor * block[l][j] + sums[j]
                        } else {
                            factor.mul_add(block[l][j], sums[j])
                        };
                    }
                }
                let adds = K > CHAINED && accumulate;
                match row.as_mut_array::<WIDE>() {
                    Some(row) if adds => {
                        for j in 0..WIDE {
                            row[j] += sums[j];
                        }
                    }
                    Some(row) => *row = sums,
                    None => row.iter_mut().zip(sums).for_each(|(c, x)| write(c, x, adds)),
                }
            }
        }
    }
}

/// `M` rows: their sums stay in registers while the rows of the second operand go by.
struct FewRows<'a, E, const M: usize>(Task<'a, E>);
impl<E: Real, const M: usize> Body for FewRows<'_, E, M> {
    type Out = ();
    #[allow(clippy::needless_range_loop, reason = "one index into three arrays")]
    #[inline(always)]
    fn run(self) {
        let Task { terms, a, b, accumulate, mut c } = self.0;
        let n = c.sides[1];
        for left in (0..n).step_by(WIDE) {
            let right = n.min(left + WIDE);
            let mut sums = [[E::zero(); WIDE]; M];
            for l in 0..terms {
                let row = b.row(l, left..right);
                let mut padded = [E::zero(); WIDE];
                let row = match row.as_array::<WIDE>() {
                    Some(row) => row,
                    None => {
                        padded[..row.len()].copy_from_slice(row);
                        &padded
                    }
                };
                for i in 0..M {
                    let factor = a.at(i, l);
                    for j in 0..WIDE {
                        sums[i][j] = factor.mul_add(row[j], sums[i][j]);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (j, &x) in (left..right).zip(sums) {
                    c.write(i, j, x, accumulate);
                }
            }
        }
    }
}

/// The loops, compiled in this crate for both element types.
pub trait SlenderProducts: Sized {
    /// Body of [`Form::Terms`].
    fn few_terms(task: Task<'_, Self>);
    /// Body of [`Form::Rows`].
    fn few_rows(task: Task<'_, Self>);
}

macro_rules! slender {
    ($type:ty) => {
        impl SlenderProducts for $type {
            fn few_terms(task: Task<'_, Self>) {
                match task.terms {
                    1 => simd(FewTerms::<_, 1>(task)),
                    2 => simd(FewTerms::<_, 2>(task)),
                    3 => simd(FewTerms::<_, 3>(task)),
                    4 => simd(FewTerms::<_, 4>(task)),
                    terms => unreachable!("a form of at most {SHORT} terms, not {terms}"),
                }
            }
            fn few_rows(task: Task<'_, Self>) {
                match task.c.sides[0] {
                    2 => simd(FewRows::<_, 2>(task)),
                    3 => simd(FewRows::<_, 3>(task)),
                    4 => simd(FewRows::<_, 4>(task)),
                    rows => unreachable!("a form of at most {SHORT} rows, not {rows}"),
                }
            }
        }
    };
}

slender!(f32);
slender!(f64);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Numbers with zeros of both signs among them.
    fn numbers(n: usize, step: usize) -> Vec<f32> {
        (0..n)
            .map(|i| match (i * step + 3) % 1009 {
                i if i % 5 == 0 => [0.0, -0.0][i % 2],
                i => i as f32 / 333.0 - 1.5,
            })
            .collect()
    }

    /// Every form in every layout that it serves, against `gemm` and at the edges of a block, to the bit.
    #[test]
    fn every_form_has_the_bits_of_the_general_product() {
        let strides =
            |rows: usize, cols: usize, is_transposed| if is_transposed { [1, rows] } else { [cols, 1] };
        let mut seen = Vec::new();
        for (m, k, n) in (1..=4).flat_map(|short| {
            [32, 33, 64, 95].into_iter().flat_map(move |wide| {
                [
                    (5, short, wide),
                    (wide, short, 7),
                    (short, 70, wide),
                    (wide, 256, short),
                    (short, short, wide),
                ]
            })
        }) {
            for at in 0..8 {
                let [a_strides, b_strides, c_strides] =
                    [strides(m, k, at & 1 > 0), strides(k, n, at & 2 > 0), strides(m, n, at & 4 > 0)];
                let Some(form) = form([m, k, n], a_strides, b_strides, c_strides) else { continue };
                seen.push(form);
                let (a, b) = (numbers(m * k, 7919), numbers(k * n, 104_729));
                let (a, b) = (
                    View { elements: &a, start: 0, strides: a_strides },
                    View { elements: &b, start: 0, strides: b_strides },
                );
                for accumulate in [false, true] {
                    let before = numbers(m * n, 11);
                    let (mut c, mut want) = (before.clone(), before);
                    // SAFETY: `c` has m · n elements, which only this call uses.
                    let target = unsafe { Target::new(c.as_mut_ptr(), [m, n], c_strides) };
                    multiply(form, k, (a, b), accumulate, target);
                    general([m, k, n], (a, b), accumulate, (&mut want, c_strides));
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&c), bits(&want), "({m}, {k}, {n}) {form:?} {accumulate}");
                }
            }
        }
        for form in [Form::Terms, Form::Rows, Form::TermsTransposed, Form::RowsTransposed] {
            assert!(seen.contains(&form), "{form:?}");
        }
    }

    fn general(
        [m, k, n]: [usize; 3],
        (a, b): (View<'_, f32>, View<'_, f32>),
        accumulate: bool,
        (c, strides): (&mut [f32], [usize; 2]),
    ) {
        let [a_strides, b_strides, c_strides] =
            [a.strides, b.strides, strides].map(|s| s.map(|s| s as isize));
        // SAFETY: the slices hold m · k, k · n and m · n elements, read and written at these strides.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c.as_mut_ptr(),
                c_strides[1],
                c_strides[0],
                accumulate,
                a.elements.as_ptr(),
                a_strides[1],
                a_strides[0],
                b.elements.as_ptr(),
                b_strides[1],
                b_strides[0],
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            )
        }
    }

    #[test]
    fn what_is_not_slender_has_no_form() {
        let rows = |cols| [cols, 1];
        assert_eq!(form([64, 5, 64], rows(5), rows(64), rows(64)), None);
        assert_eq!(form([64, 2, 31], rows(2), rows(31), rows(31)), None, "too narrow");
        assert_eq!(form([2, 257, 64], rows(257), rows(64), rows(64)), None, "too many terms");
        assert_eq!(form([64, 2, 64], rows(2), rows(64), [128, 2]), None, "a result with gaps");
        assert_eq!(form([64, 64, 2], rows(64), rows(2), rows(2)), None, "rows of both operands");
        assert_eq!(form([2, 0, 64], rows(0), rows(64), rows(64)), None, "no terms");
        assert_eq!(form([1, 3, 64], rows(3), rows(64), rows(64)), None, "a vector");
        assert_eq!(form([2, 2, 64], rows(2), rows(64), [1, 2]), None, "few terms, but no rows to write");
    }

    #[test]
    #[should_panic(expected = "out of")]
    fn a_short_operand_is_refused() {
        let view = |elements, strides| View { elements, start: 0, strides };
        let (a, b) = (vec![1.0_f32; 63], vec![1.0; 2 * 64]);
        let mut c = vec![0.0; 32 * 64];
        // SAFETY: `c` has 32 · 64 elements, which only this call uses.
        let target = unsafe { Target::new(c.as_mut_ptr(), [32, 64], [64, 1]) };
        multiply(Form::Terms, 2, (view(&a, [2, 1]), view(&b, [64, 1])), false, target);
    }
}
