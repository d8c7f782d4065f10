//! Segmentation of cells: border weights, overlapping tiles, elastic deformation, metrics of pixels and of instances.
//!
//! $$ w(x) = w_c(x) + w_0 \exp\Bigl(-\frac{(d_1(x) + d_2(x))^2}{2 \sigma^2}\Bigr), \qquad
//!    E = -\frac1N \sum_x w(x) \log p_{\ell(x)}(x) $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $w_c$ | [`class_weights`] | ½ over the share of the pixel's class |
//! | $d_1$, $d_2$ | [`two_distances`] | pixels to the nearest and second nearest cell |
//! | $w_0$, $\sigma$ | [`BorderWeights`] | 10 and 5 pixels in the paper |
//! | $\ell$, $p$ | labels, softmax of the logits | true class and probability of each pixel |
//!
//! **Paper**: Ronneberger et al. (2015), arXiv 1505.04597, whose eq. 1 lacks the minus sign: $E$ as printed is largest
//! for the true classes. **Deviations**: the paper does not say whether the border term counts inside cells, where
//! $d_1 = 0$; the default here is the background only. $E$ is a mean over pixels, not divided by the sum of weights.
use dfdx::prelude::{Axis, Const, Dim, HasShape, Rank0, SumTo, Tape, Tensor, TryMul};
use kernels::random::Key;
use kernels::{Device, Real};

pub mod metrics;

/// A picture of numbers, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<V> {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height · width` values.
    pub values: Vec<V>,
}

/// Why a picture is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentationError {
    /// Values do not fill the picture.
    #[error("{height} x {width} pixels take {} values, got {found}", height * width)]
    Length {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values.
        found: usize,
    },
    /// Pictures of different sizes where one pixel belongs to another.
    #[error("pictures of one size are compared, got {first:?} and {second:?} (rows, columns)")]
    Sizes {
        /// Rows and columns of the first.
        first: (usize, usize),
        /// Rows and columns of the second.
        second: (usize, usize),
    },
    /// A mirror needs more pixels than it shows.
    #[error("mirroring by {margin} needs more than {margin} pixels on a side, got {height} x {width}")]
    Margin {
        /// Mirrored pixels.
        margin: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Tiles larger than the picture, or empty ones.
    #[error("a tile of {tile} pixels must be at least 1 and fit {height} x {width} pixels")]
    Tile {
        /// Side of a tile.
        tile: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

/// Why a picture is not predicted tile by tile.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: std::error::Error + 'static> {
    /// Picture, tile, margin and prediction do not fit each other.
    #[error(transparent)]
    Picture(#[from] SegmentationError),
    /// The prediction of a tile failed.
    #[error("a tile could not be predicted")]
    Prediction(#[source] E),
}

impl<V: Copy> Grid<V> {
    /// A picture of `height` rows.
    ///
    /// # Errors
    /// [`SegmentationError::Length`] unless there are `height · width` values.
    pub fn try_new(height: usize, width: usize, values: Vec<V>) -> Result<Self, SegmentationError> {
        if height.checked_mul(width) == Some(values.len()) {
            Ok(Self { height, width, values })
        } else {
            Err(SegmentationError::Length { height, width, found: values.len() })
        }
    }

    /// The value at a row and a column.
    ///
    /// # Panics
    /// When the point lies outside.
    pub fn at(&self, row: usize, column: usize) -> V {
        assert!(row < self.height && column < self.width, "a point of the picture");
        self.values[row * self.width + column]
    }

    /// The picture with every value mapped.
    pub fn map<U>(&self, f: impl FnMut(V) -> U) -> Grid<U> {
        Grid { height: self.height, width: self.width, values: self.values.iter().copied().map(f).collect() }
    }

    fn same_size<U>(&self, other: &Grid<U>) -> Result<(), SegmentationError> {
        let (first, second) = ((self.height, self.width), (other.height, other.width));
        if first == second { Ok(()) } else { Err(SegmentationError::Sizes { first, second }) }
    }

    /// The picture with `margin` mirrored pixels on each side, the edge not repeated.
    ///
    /// ```
    /// use convnets::segmentation::Grid;
    /// let row = Grid::try_new(1, 4, vec![0, 1, 2, 3]).unwrap();
    /// let tall = Grid::try_new(4, 1, vec![0, 1, 2, 3]).unwrap().mirrored(0).unwrap();
    /// assert_eq!(tall.values, row.values);
    /// let square = Grid::try_new(3, 3, (0..9).collect()).unwrap().mirrored(2).unwrap();
    /// assert_eq!(square.values[..7], [8, 7, 6, 7, 8, 7, 6]);
    /// ```
    ///
    /// # Errors
    /// [`SegmentationError::Margin`] unless both sides are longer than `margin`.
    pub fn mirrored(&self, margin: usize) -> Result<Self, SegmentationError> {
        let (height, width) = (self.height, self.width);
        if margin > 0 && (margin >= height || margin >= width) {
            return Err(SegmentationError::Margin { margin, height, width });
        }
        let (high, wide) = (height + 2 * margin, width + 2 * margin);
        let source = |i: usize, extent: usize| mirror(i as i64 - margin as i64, extent);
        let pixel = |at: usize| self.at(source(at / wide, height), source(at % wide, width));
        Ok(Self { height: high, width: wide, values: (0..high * wide).map(pixel).collect() })
    }
}

/// The pixel that a mirror without repeated edge shows at position `i` of an axis.
fn mirror(i: i64, extent: usize) -> usize {
    if extent == 1 {
        return 0;
    }
    let period = 2 * (extent as i64 - 1);
    let i = i.rem_euclid(period);
    i.min(period - i) as usize
}

/// ½ over the share of the pixel's class, background (0) or cell; 1 where a picture has one class only.
pub fn class_weights(labels: &Grid<u16>) -> Grid<f64> {
    let cells = labels.values.iter().filter(|label| **label > 0).count() as f64;
    let n = labels.values.len() as f64;
    let weight = |count: f64| if count == 0.0 || count == n { 1.0 } else { 0.5 * n / count };
    labels.map(|label| if label > 0 { weight(cells) } else { weight(n - cells) })
}

/// Squared distances of an axis to the nearest place of a function: $\min_q (p - q)^2 + f(q)$ for all $p$, in linear
/// time (Felzenszwalb & Huttenlocher 2012: the lower envelope of parabolas).
fn envelope(f: &[f64], out: &mut [f64]) {
    let mut hull: Vec<(usize, f64)> = Vec::with_capacity(f.len()); // vertex, where its parabola begins to be lowest
    for (q, &height) in f.iter().enumerate().filter(|(_, height)| height.is_finite()) {
        let mut from = f64::NEG_INFINITY;
        while let Some(&(v, start)) = hull.last() {
            let meet = ((height + (q * q) as f64) - (f[v] + (v * v) as f64)) / (2.0 * (q as f64 - v as f64));
            if meet > start {
                from = meet;
                break;
            }
            hull.pop();
        }
        hull.push((q, from));
    }
    let mut k = 0;
    for (p, out) in out.iter_mut().enumerate() {
        while k + 1 < hull.len() && hull[k + 1].1 < p as f64 {
            k += 1;
        }
        *out = hull.get(k).map_or(f64::INFINITY, |&(v, _)| (p as f64 - v as f64).powi(2) + f[v]);
    }
}

/// The exact Euclidean distance of every pixel to the nearest one where `is_inside`; infinite if there is none.
/// **Complexity**: linear in the pixels.
///
/// ```
/// use convnets::segmentation::{Grid, distance};
/// let grid = Grid::try_new(2, 3, vec![true, false, false, false, false, false]).unwrap();
/// assert_eq!(distance(&grid).values, [0.0, 1.0, 2.0, 1.0, 2.0_f64.sqrt(), 5.0_f64.sqrt()]);
/// ```
pub fn distance(is_inside: &Grid<bool>) -> Grid<f64> {
    let (height, width) = (is_inside.height, is_inside.width);
    let mut squared: Vec<f64> =
        is_inside.values.iter().map(|inside| if *inside { 0.0 } else { f64::INFINITY }).collect();
    let mut out = vec![0.0; height.max(width)];
    for column in 0..width {
        let line: Vec<f64> = (0..height).map(|row| squared[row * width + column]).collect();
        envelope(&line, &mut out[..height]);
        (0..height).for_each(|row| squared[row * width + column] = out[row]);
    }
    for row in squared.chunks_mut(width.max(1)) {
        envelope(row, &mut out[..width]);
        row.copy_from_slice(&out[..width]);
    }
    Grid { height, width, values: squared.into_iter().map(f64::sqrt).collect() }
}

/// Distances to the nearest and the second nearest cell. **Complexity**: pixels times cells.
pub fn two_distances(labels: &Grid<u16>) -> [Grid<f64>; 2] {
    let mut cells: Vec<u16> = labels.values.iter().copied().filter(|label| *label > 0).collect();
    cells.sort_unstable();
    cells.dedup();
    let mut nearest = [labels.map(|_| f64::INFINITY), labels.map(|_| f64::INFINITY)];
    for cell in cells {
        let [first, second] = &mut nearest;
        let distances = distance(&labels.map(|label| label == cell)).values;
        for ((d, first), second) in distances.into_iter().zip(&mut first.values).zip(&mut second.values) {
            *second = second.min(first.max(d));
            *first = first.min(d);
        }
    }
    nearest
}

/// Where the border term counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BorderOn {
    /// On pixels of no cell.
    #[default]
    Background,
    /// Also inside cells.
    Everywhere,
}

/// The weight map of the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BorderWeights {
    /// $w_0 \ge 0$; 10. 0 leaves the class weights.
    pub w0: f64,
    /// $\sigma > 0$, pixels; 5.
    pub sigma: f64,
    /// Where the term counts.
    pub border_on: BorderOn,
}

impl Default for BorderWeights {
    fn default() -> Self {
        Self { w0: 10.0, sigma: 5.0, border_on: BorderOn::Background }
    }
}

impl BorderWeights {
    /// $w$ for a picture of cell numbers, 0 for background. With fewer than two cells there is no border term.
    ///
    /// ```
    /// use convnets::segmentation::{BorderWeights, Grid};
    /// let cells = Grid::try_new(1, 5, vec![1, 0, 0, 0, 2]).unwrap();
    /// let weights = BorderWeights::default().of(&cells);
    /// assert!(weights.at(0, 2) > weights.at(0, 0));
    /// ```
    pub fn of(self, labels: &Grid<u16>) -> Grid<f64> {
        // ANCHOR: border
        let [first, second] = two_distances(labels);
        let mut weights = class_weights(labels);
        for (i, weight) in weights.values.iter_mut().enumerate() {
            let counts = self.border_on == BorderOn::Everywhere || labels.values[i] == 0;
            let sum = first.values[i] + second.values[i];
            if counts && sum.is_finite() {
                *weight += self.w0 * (-sum * sum / (2.0 * self.sigma * self.sigma)).exp();
            }
        }
        // ANCHOR_END: border
        weights
    }
}

/// Cells that touch, parted: a pixel becomes background whose right or lower neighbour belongs to another cell.
///
/// ```
/// use convnets::segmentation::{Grid, part_touching};
/// let parted = part_touching(&Grid::try_new(1, 4, vec![1, 1, 2, 2]).unwrap());
/// assert_eq!(parted.values, [1, 0, 2, 2]);
/// ```
pub fn part_touching(labels: &Grid<u16>) -> Grid<u16> {
    let mut parted = labels.clone();
    for row in 0..labels.height {
        for column in 0..labels.width {
            let here = labels.at(row, column);
            let other = |row: usize, column: usize| {
                row < labels.height
                    && column < labels.width
                    && labels.at(row, column) != here
                    && labels.at(row, column) != 0
            };
            if here != 0 && (other(row, column + 1) || other(row + 1, column)) {
                parted.values[row * labels.width + column] = 0;
            }
        }
    }
    parted
}

/// The weighted cross-entropy of pixels: mean over all of $-w \log p_\ell$, in nats.
///
/// # Panics
/// When `labels` or `weights` do not have one number per pixel, a label is not below `K`, or the device fails.
pub fn weighted_cross_entropy<
    N: Dim,
    H: Dim,
    W: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const K: usize,
>(
    logits: Tensor<(N, Const<K>, H, W), E, D, T>,
    labels: &[usize],
    weights: &[f64],
) -> Tensor<Rank0, E, D, T> {
    let (n, _, h, w) = *logits.shape();
    let pixels = h.size() * w.size();
    let all = n.size() * pixels;
    assert_eq!((labels.len(), weights.len()), (all, all), "one label and weight per pixel");
    let mut chosen = vec![E::zero(); all * K];
    for (i, (&label, weight)) in labels.iter().zip(weights).enumerate() {
        assert!(label < K, "label {label} of pixel {i} is not below {K}");
        chosen[(i / pixels * K + label) * pixels + i % pixels] = E::of(-weight / all as f64);
    }
    let mut factors = logits.device().zeros_like(&logits);
    factors.copy_from(&chosen);
    kernels::log_softmax_along(logits, Axis::<1>).try_mul(factors).and_then(|e| e.try_sum()).unwrap()
}

/// Upper left pixels of output tiles of `tile` × `tile` that cover a picture: the last of a row or column is shifted
/// inwards, not made smaller.
///
/// # Errors
/// [`SegmentationError::Tile`] unless a tile fits.
///
/// ```
/// let starts = convnets::segmentation::tiles(5, 4, 4).unwrap();
/// assert_eq!(starts, [(0, 0), (1, 0)]);
/// ```
pub fn tiles(height: usize, width: usize, tile: usize) -> Result<Vec<(usize, usize)>, SegmentationError> {
    if tile == 0 || tile > height || tile > width {
        return Err(SegmentationError::Tile { tile, height, width });
    }
    let starts = |extent: usize| {
        (0..extent.div_ceil(tile)).map(move |i| (i * tile).min(extent - tile)).collect::<Vec<_>>()
    };
    let columns = starts(width);
    Ok(starts(height).into_iter().flat_map(|row| columns.iter().map(move |&column| (row, column))).collect())
}

/// Overlap-tile prediction: each tile of the output is computed from its tile of the mirrored picture, which is larger by
/// `margin` on each side. `predict` gets a square of side `tile + 2 margin` and returns one of side `tile`.
///
/// # Errors
/// [`TileError::Picture`] with [`SegmentationError::Tile`], [`SegmentationError::Margin`], or
/// [`SegmentationError::Length`] for a prediction of another size; [`TileError::Prediction`] with the first error of
/// `predict`, after which it is not called again.
pub fn overlap_tile<V: Copy, U: Copy + Default, E: std::error::Error + 'static>(
    picture: &Grid<V>,
    tile: usize,
    margin: usize,
    mut predict: impl FnMut(Grid<V>) -> Result<Vec<U>, E>,
) -> Result<Grid<U>, TileError<E>> {
    let padded = picture.mirrored(margin)?;
    let mut out = picture.map(|_| U::default());
    let side = tile + 2 * margin;
    for (row, column) in tiles(picture.height, picture.width, tile)? {
        let pixel = |at: usize| padded.at(row + at / side, column + at % side);
        let input = Grid { height: side, width: side, values: (0..side * side).map(pixel).collect() };
        let output = Grid::try_new(tile, tile, predict(input).map_err(TileError::Prediction)?)?;
        for (i, line) in output.values.chunks(tile).enumerate() {
            let start = (row + i) * picture.width + column;
            out.values[start..start + tile].copy_from_slice(line);
        }
    }
    Ok(out)
}

/// Elastic deformation: random displacements on a coarse 3×3 grid, smooth between.
///
/// **Deviation**: the paper says bicubic and no more; here the corners of the coarse grid lie on those of the picture, the
/// cubic is Keys' with a = −0.75, the border is mirrored.
#[derive(Clone, Debug, PartialEq)]
pub struct Elastic {
    /// Displacement of each pixel along the rows, pixels.
    pub down: Grid<f64>,
    /// Displacement of each pixel along the columns, pixels.
    pub across: Grid<f64>,
}

/// Keys' cubic, a = −0.75.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

impl Elastic {
    /// From a coarse grid `(2, 3, 3)`: displacements along the rows, then along the columns.
    pub fn from_coarse(coarse: &[f64; 18], height: usize, width: usize) -> Self {
        let weights = |i: usize, extent: usize| -> [f64; 3] {
            let at = if extent > 1 { i as f64 * 2.0 / (extent as f64 - 1.0) } else { 0.0 };
            let left = at.floor();
            let mut weights = [0.0; 3];
            for tap in -1..=2_i64 {
                let source = left as i64 + tap;
                weights[source.clamp(0, 2) as usize] += cubic(at - left - tap as f64);
            }
            weights
        };
        let field = |grid: &[f64]| {
            let value = |at: usize| {
                let (y, x) = (weights(at / width, height), weights(at % width, width));
                (0..9).map(|k| y[k / 3] * x[k % 3] * grid[k]).sum()
            };
            Grid { height, width, values: (0..height * width).map(value).collect() }
        };
        Self { down: field(&coarse[..9]), across: field(&coarse[9..]) }
    }

    /// Displacements of the coarse grid drawn from N(0, `deviation`²); 10 pixels in the paper.
    pub fn draw(height: usize, width: usize, deviation: f64, key: Key) -> Self {
        let mut coarse = [0.0; 18];
        key.fill_normal(&mut coarse);
        Self::from_coarse(&coarse.map(|value| value * deviation), height, width)
    }

    /// Where pixel `at` is read from: rows and columns, possibly outside.
    fn source(&self, at: usize) -> (f64, f64) {
        let width = self.down.width;
        ((at / width) as f64 + self.down.values[at], (at % width) as f64 + self.across.values[at])
    }

    /// The deformed picture, bilinear between pixels.
    ///
    /// # Errors
    /// [`SegmentationError::Sizes`] for a picture of another size.
    pub fn warp(&self, picture: &Grid<f64>) -> Result<Grid<f64>, SegmentationError> {
        self.down.same_size(picture)?;
        let value = |at: usize| {
            let (y, x) = self.source(at);
            let (top, left) = (y.floor(), x.floor());
            let (down, across) = (y - top, x - left);
            let pixel = |i: i64, j: i64| {
                picture.at(mirror(top as i64 + i, picture.height), mirror(left as i64 + j, picture.width))
            };
            (1.0 - down) * ((1.0 - across) * pixel(0, 0) + across * pixel(0, 1))
                + down * ((1.0 - across) * pixel(1, 0) + across * pixel(1, 1))
        };
        let (height, width) = (picture.height, picture.width);
        Ok(Grid { height, width, values: (0..picture.values.len()).map(value).collect() })
    }

    /// The deformed labels, each the nearest pixel's.
    ///
    /// # Errors
    /// [`SegmentationError::Sizes`] for a picture of another size.
    pub fn warp_labels(&self, labels: &Grid<u16>) -> Result<Grid<u16>, SegmentationError> {
        self.down.same_size(labels)?;
        let value = |at: usize| {
            let (y, x) = self.source(at);
            labels.at(mirror(y.round() as i64, labels.height), mirror(x.round() as i64, labels.width))
        };
        let (height, width) = (labels.height, labels.width);
        Ok(Grid { height, width, values: (0..labels.values.len()).map(value).collect() })
    }
}

/// The threshold in levels `0..=max` that makes the two classes differ most (Otsu 1979): values above it are bright.
///
/// ```
/// assert_eq!(convnets::segmentation::otsu(&[1, 1, 2, 8, 9, 9], 9), 2);
/// ```
pub fn otsu(values: &[u8], max: u8) -> u8 {
    let mut histogram = [0.0_f64; 256];
    values.iter().for_each(|&value| histogram[usize::from(value)] += 1.0);
    let total: f64 = values.len() as f64;
    let sum: f64 = histogram.iter().enumerate().map(|(level, n)| level as f64 * n).sum();
    let (mut below, mut sum_below, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, 0));
    for level in 0..=max {
        below += histogram[usize::from(level)];
        sum_below += f64::from(level) * histogram[usize::from(level)];
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let between = below * above * (sum_below / below - (sum - sum_below) / above).powi(2);
            if between > best.0 {
                best = (between, level);
            }
        }
    }
    best.1
}
