//! The loops of resampling: a banded matrix on each axis of a plane, and the copies of pixel shuffle.
use super::band::{Band, Run};
use super::{Edge, Filling};
use crate::Real;
use crate::loops::lane_dot;
use crate::simd::{Body, simd};

/// A [`Band`] in the element type.
#[derive(Clone, Debug)]
pub struct Bands<E> {
    inputs: usize,
    rows: Vec<Run>,
    weights: Vec<E>,
}

impl<E: Real> Bands<E> {
    pub fn of(band: &Band) -> Self {
        let weights = band.weights().iter().map(|&weight| E::of(weight)).collect();
        Self { inputs: band.inputs(), rows: band.rows().to_vec(), weights }
    }
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    pub fn outputs(&self) -> usize {
        self.rows.len()
    }
    #[inline(always)]
    fn row(&self, i: usize) -> (usize, &[E]) {
        let run = self.rows[i];
        (run.start, &self.weights[run.from..run.to])
    }
    /// Whether it makes the axis shorter, so that it had better come first.
    fn shortens(&self) -> bool {
        self.rows.len() <= self.inputs
    }
}

/// Runs longer than this are added in lanes.
const LONG: usize = 32;

/// y (+)= x with `bands` along each row of `width` elements.
#[inline(always)]
fn along_rows<E: Real>(bands: &Bands<E>, x: &[E], y: &mut [E], is_added: bool) {
    for (x, y) in x.chunks_exact(bands.inputs).zip(y.chunks_exact_mut(bands.rows.len())) {
        for (i, y) in y.iter_mut().enumerate() {
            let (start, weights) = bands.row(i);
            let x = &x[start..start + weights.len()];
            let sum = match weights {
                [only] => *only * x[0],
                [first, second] => second.mul_add(x[1], *first * x[0]),
                weights if weights.len() > LONG => lane_dot(weights, x),
                weights => weights.iter().zip(x).fold(E::zero(), |sum, (&w, &x)| w.mul_add(x, sum)),
            };
            *y = if is_added { *y + sum } else { sum };
        }
    }
}

/// y (+)= x with `bands` down each column of `width` columns.
#[inline(always)]
fn down_columns<E: Real>(bands: &Bands<E>, width: usize, x: &[E], y: &mut [E], is_added: bool) {
    for (i, y) in y.chunks_exact_mut(width).enumerate() {
        if !is_added {
            y.fill(E::zero());
        }
        let (start, weights) = bands.row(i);
        for (&w, x) in weights.iter().zip(x[start * width..].chunks_exact(width)) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = w.mul_add(x, *y);
            }
        }
    }
}

/// y (+)= R x Cᵀ for whole planes.
struct Planes<'a, E> {
    rows: &'a Bands<E>,
    cols: &'a Bands<E>,
    x: &'a [E],
    y: &'a mut [E],
    is_added: bool,
    room: &'a mut [E],
}
impl<E: Real> Body for Planes<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { rows, cols, x, y, is_added, room } = self;
        let planes = x.chunks_exact(rows.inputs * cols.inputs);
        for (x, y) in planes.zip(y.chunks_exact_mut(rows.rows.len() * cols.rows.len())) {
            if rows.shortens() {
                let between = &mut room[..rows.rows.len() * cols.inputs];
                down_columns(rows, cols.inputs, x, between, false);
                along_rows(cols, between, y, is_added);
            } else {
                let between = &mut room[..rows.inputs * cols.rows.len()];
                along_rows(cols, x, between, false);
                down_columns(rows, cols.rows.len(), between, y, is_added);
            }
        }
    }
}

/// Elements between the two maps of [`Resampling::planes`].
pub fn room<E: Real>(rows: &Bands<E>, cols: &Bands<E>) -> usize {
    if rows.shortens() { rows.outputs() * cols.inputs() } else { rows.inputs() * cols.outputs() }
}

/// Where pixels go when the `p` × `q` channels of a group become a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squares {
    /// p and q.
    pub factors: [usize; 2],
    /// Rows and columns of the many channels' planes.
    pub plane: [usize; 2],
}

impl Squares {
    /// Elements of a group.
    pub fn group(self) -> usize {
        self.factors[0] * self.factors[1] * self.plane[0] * self.plane[1]
    }
}

/// Whole groups: `many (+)= one` or the other way round, where `one` has the squares and `many` the channels.
#[inline(always)]
fn squares<A, B>(
    squares: Squares,
    many: impl Iterator<Item = A>,
    one: impl Iterator<Item = B>,
    mut each: impl FnMut(&mut A, &mut B, usize, usize),
) {
    let Squares { factors: [p, q], plane: [height, width] } = squares;
    for (mut many, mut one) in many.zip(one) {
        for channel in 0..p * q {
            let (down, right) = (channel / q, channel % q);
            for row in 0..height {
                let narrow = (channel * height + row) * width;
                let wide = (row * p + down) * width * q + right;
                each(&mut many, &mut one, narrow, wide);
            }
        }
    }
}

struct Shuffle<'a, E>(Squares, &'a [E], &'a mut [E], bool);
impl<E: Real> Body for Shuffle<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(shape, many, one, is_added) = self;
        let (width, step, group) = (shape.plane[1], shape.factors[1], shape.group());
        squares(shape, many.chunks_exact(group), one.chunks_exact_mut(group), |many, one, narrow, wide| {
            let to = one[wide..].iter_mut().step_by(step);
            for (&x, y) in many[narrow..narrow + width].iter().zip(to) {
                *y = if is_added { *y + x } else { x };
            }
        });
    }
}

struct Unshuffle<'a, E>(Squares, &'a [E], &'a mut [E], bool);
impl<E: Real> Body for Unshuffle<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(shape, one, many, is_added) = self;
        let (width, step, group) = (shape.plane[1], shape.factors[1], shape.group());
        squares(shape, many.chunks_exact_mut(group), one.chunks_exact(group), |many, one, narrow, wide| {
            let from = one[wide..].iter().step_by(step);
            for (y, &x) in many[narrow..narrow + width].iter_mut().zip(from) {
                *y = if is_added { *y + x } else { x };
            }
        });
    }
}

/// What the rows and columns of padded planes show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Elements of a plane before and after.
    pub sizes: [usize; 2],
    rows: Vec<Option<usize>>,
    cols: Vec<Option<usize>>,
    /// Columns that are not padding, and where they begin.
    width: usize,
    left: usize,
}

impl Shown {
    pub fn new(filling: Filling, edges: [Edge; 2]) -> Self {
        let [rows, cols] =
            edges.map(|edge| (0..edge.padded()).map(|i| filling.shown(edge, i)).collect::<Vec<_>>());
        let [height, width] = edges.map(|edge| edge.extent);
        let sizes = [height * width, rows.len() * cols.len()];
        Self { sizes, rows, cols, width, left: edges[1].before }
    }
    /// Columns of padding and what they show.
    #[inline(always)]
    fn beside(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        let right = self.left + self.width..self.cols.len();
        (0..self.left).chain(right).map(|col| (col, self.cols[col]))
    }
    /// The same map back, for gradients.
    #[inline(always)]
    fn plane_back<E: Real>(&self, gy: &[E], gx: &mut [E]) {
        for (shown, gy) in self.rows.iter().zip(gy.chunks_exact(self.cols.len())) {
            let &Some(row) = shown else { continue };
            let gx = &mut gx[row * self.width..][..self.width];
            for (gx, &gy) in gx.iter_mut().zip(&gy[self.left..]) {
                *gx += gy;
            }
            for (col, shown) in self.beside() {
                if let Some(shown) = shown {
                    gx[shown] += gy[col];
                }
            }
        }
    }
    #[inline(always)]
    fn plane<E: Real>(&self, x: &[E], y: &mut [E]) {
        for (shown, y) in self.rows.iter().zip(y.chunks_exact_mut(self.cols.len())) {
            let &Some(row) = shown else {
                y.fill(E::zero());
                continue;
            };
            let x = &x[row * self.width..][..self.width];
            y[self.left..][..self.width].copy_from_slice(x);
            for (col, shown) in self.beside() {
                y[col] = shown.map_or(E::zero(), |shown| x[shown]);
            }
        }
    }
}

/// y = x with its border, for whole planes of y.
struct PadPlanes<'a, E>(&'a Shown, &'a [E], &'a mut [E]);
impl<E: Real> Body for PadPlanes<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [before, after] = self.0.sizes;
        for (i, y) in self.2.chunks_exact_mut(after).enumerate() {
            self.0.plane(&self.1[i * before..][..before], y);
        }
    }
}

/// gx += what all positions that show it got, for whole planes of gx.
struct PadBack<'a, E>(&'a Shown, &'a [E], &'a mut [E]);
impl<E: Real> Body for PadBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let [before, after] = self.0.sizes;
        for (gx, gy) in self.2.chunks_exact_mut(before).zip(self.1.chunks_exact(after)) {
            self.0.plane_back(gy, gx);
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Resampling: Sized {
    /// y (+)= R x Cᵀ for whole planes; `between` has [`room`] for one.
    fn planes(
        rows: &Bands<Self>,
        cols: &Bands<Self>,
        x: &[Self],
        y: &mut [Self],
        is_added: bool,
        between: &mut [Self],
    );
    /// y = x with its border, for whole planes of y.
    fn pad(shown: &Shown, x: &[Self], y: &mut [Self]);
    /// gx += gy at all positions that show it, for whole planes of gx.
    fn pad_back(shown: &Shown, gy: &[Self], gx: &mut [Self]);
    /// Whole groups of channels into planes of squares.
    fn shuffle(shape: Squares, x: &[Self], y: &mut [Self], is_added: bool);
    /// Whole planes of squares into groups of channels.
    fn unshuffle(shape: Squares, x: &[Self], y: &mut [Self], is_added: bool);
}

macro_rules! resampling {
    ($type:ty) => {
        impl Resampling for $type {
            fn planes(
                rows: &Bands<Self>,
                cols: &Bands<Self>,
                x: &[Self],
                y: &mut [Self],
                is_added: bool,
                room: &mut [Self],
            ) {
                simd(Planes { rows, cols, x, y, is_added, room })
            }
            fn pad(shown: &Shown, x: &[Self], y: &mut [Self]) {
                simd(PadPlanes(shown, x, y))
            }
            fn pad_back(shown: &Shown, gy: &[Self], gx: &mut [Self]) {
                simd(PadBack(shown, gy, gx))
            }
            fn shuffle(shape: Squares, x: &[Self], y: &mut [Self], is_added: bool) {
                simd(Shuffle(shape, x, y, is_added))
            }
            fn unshuffle(shape: Squares, x: &[Self], y: &mut [Self], is_added: bool) {
                simd(Unshuffle(shape, x, y, is_added))
            }
        }
    };
}

resampling!(f32);
resampling!(f64);
