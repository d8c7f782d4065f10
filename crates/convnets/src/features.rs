//! What a unit looks for: the image that it likes best, the images of a collection that it likes best, its weights.
//!
//! | function | picture | paper |
//! |---|---|---|
//! | [`maximise`] | $\arg\max_I S_c(I) - \lambda \lVert I \rVert_2^2$ by gradient ascent | Simonyan et al. (2014), arXiv 1312.6034, section 2 |
//! | [`strongest`] | the images, and the places in them, where a channel is largest | Zeiler & Fergus (2014), arXiv 1311.2901, figure 2 |
//! | [`mosaic`] | filters side by side in levels of grey | Krizhevsky et al. (2012), figure 3 |
//!
//! | symbol | code | unit, range |
//! |---|---|---|
//! | $S_c$ | logit of `class`, before the softmax | any real |
//! | $\lambda$ | [`Ascent::decay`] | logits per squared pixel, ≥ 0 |
//! | $I$ | `start`, [`Maximised::image`] | `(1, C, H, W)`, pixels as the network takes them |
//!
//! **Use them** to see what a trained unit has learnt. **Not** as evidence for a single answer: that is
//! [`explain`]. An image that maximises a logit need not look like anything; what it shows depends on
//! $\lambda$ and on the jitter.
use crate::explain::{self, ExplainError, Image, Logits, Traced};
use crate::segmentation::Grid;
use dfdx::nn::Module;
use dfdx::prelude::{Const, Dim, HasShape, Tensor};
use kernels::random::Key;
use kernels::{Device, Real};
use layers::params::DeviceError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// No steps, images, rows.
    #[error("{what} must be at least 1, got 0")]
    Zero {
        /// Which number.
        what: &'static str,
    },
    /// A number out of its range.
    #[error("{what} must {rule}, got {value}")]
    Range {
        /// Which number.
        what: &'static str,
        /// What it must be.
        rule: &'static str,
        /// What it is.
        value: f64,
    },
    /// Weights that are no filters.
    #[error("filters of {rows} x {cols} need a multiple of so many weights, all finite; got {weights}")]
    Filters {
        /// Weights that were given.
        weights: usize,
        /// Rows of a filter.
        rows: usize,
        /// Columns of a filter.
        cols: usize,
    },
    /// There is no such class, or the device failed.
    #[error(transparent)]
    Explain(#[from] ExplainError),
}

fn device(error: impl std::fmt::Debug + std::fmt::Display) -> FeatureError {
    FeatureError::Explain(ExplainError::Device(DeviceError::new(error)))
}

/// `image` with other pixels.
fn with_pixels<C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>>(
    image: &Image<C, H, W, E, D>,
    pixels: &[E],
) -> Result<Image<C, H, W, E, D>, FeatureError> {
    let mut other = image.device().try_zeros_like(image).map_err(device)?;
    other.copy_from(pixels);
    Ok(other)
}

/// How [`maximise`] climbs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ascent {
    /// Steps, at least 1.
    pub steps: usize,
    /// Length of a step along the gradient, above 0.
    pub learning_rate: f64,
    /// $\lambda \ge 0$. With 0 nothing holds the pixels back.
    pub decay: f64,
    /// Before each step the image is moved by at most so many pixels along both axes, at random, and moved back after it:
    /// what is left are shapes, not single pixels (Mordvintsev et al. 2015). What leaves at one side comes in at the
    /// other. 0 for none, at most the shorter side.
    pub jitter: usize,
    /// Where the moves are drawn from.
    pub key: Key,
}

/// What [`maximise`] found.
#[derive(Clone, Debug)]
pub struct Maximised<C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>> {
    /// $I$ after the last step.
    pub image: Image<C, H, W, E, D>,
    /// $S_c - \lambda \lVert I \rVert^2$ at the start and after each step, without jitter: `steps + 1` numbers.
    pub objective: Vec<E>,
}

/// The image near `start` that a class likes best: gradient ascent on $S_c(I) - \lambda \lVert I \rVert^2$.
///
/// # Examples
/// A linear network's answer is known: its weights over $2 \lambda$.
/// ```
/// use convnets::features::{Ascent, maximise};
/// use kernels::random::Key;
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Flatten, Linear<4, 3>), f64>();
/// let start: Tensor<Rank4<1, 1, 2, 2>, f64, _> = dev.sample_normal();
/// let ascent = Ascent { steps: 60, learning_rate: 0.5, decay: 0.5, jitter: 0, key: Key::new(0) };
/// let found = maximise(&model, &start, 2, ascent)?;
/// for (pixel, weight) in found.image.as_vec().into_iter().zip(&model.1.weight.as_vec()[8..]) {
///     assert!((pixel - weight / (2.0 * 0.5)).abs() < 1e-12);
/// }
/// # Ok::<(), convnets::features::FeatureError>(())
/// ```
///
/// # Errors
/// [`FeatureError::Zero`] without steps, [`FeatureError::Range`] for a learning rate, decay or jitter out of range,
/// [`FeatureError::Explain`] for a class that is not there and for the device's error.
pub fn maximise<M, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, const K: usize>(
    model: &M,
    start: &Image<C, H, W, E, D>,
    class: usize,
    ascent: Ascent,
) -> Result<Maximised<C, H, W, E, D>, FeatureError>
where
    M: Module<Traced<C, H, W, E, D>, Output = Logits<K, E, D>>,
    M: Module<Image<C, H, W, E, D>, Output = Tensor<(Const<1>, Const<K>), E, D>>,
    <M as Module<Traced<C, H, W, E, D>>>::Error: std::fmt::Display,
    <M as Module<Image<C, H, W, E, D>>>::Error: std::fmt::Display,
{
    let Ascent { steps, learning_rate, decay, jitter, key } = ascent;
    let (_, _, h, w) = *start.shape();
    let (rows, cols) = (h.size(), w.size());
    if steps == 0 {
        return Err(FeatureError::Zero { what: "steps" });
    }
    if class >= K {
        return Err(ExplainError::Class { class, classes: K }.into());
    }
    let range = |what, rule, value| Err(FeatureError::Range { what, rule, value });
    if !(learning_rate > 0.0 && learning_rate.is_finite()) {
        return range("learning_rate", "be above 0", learning_rate);
    }
    if !(decay >= 0.0 && decay.is_finite()) {
        return range("decay", "be at least 0", decay);
    }
    if jitter > rows.min(cols) {
        return range("jitter", "be at most the shorter side of the image", jitter as f64);
    }
    let objective = |pixels: &[E]| -> Result<E, FeatureError> {
        let x: Image<C, H, W, E, D> = with_pixels(start, pixels)?;
        let y = model.try_forward(x).map_err(device)?.as_vec()[class];
        Ok(y - E::of(decay) * pixels.iter().fold(E::zero(), |sum, v| sum + *v * *v))
    };
    let (rate, shrink) = (E::of(learning_rate), E::of(2.0 * decay));
    let mut pixels = start.as_vec();
    let mut history = vec![objective(&pixels)?];
    for step in 0..steps {
        let mut draws = [0.0_f64; 2];
        key.fold(step as u64).fill_uniform(&mut draws);
        // A whole number of pixels from -jitter to jitter, as a move forward.
        let moved = |draw: f64, extent: usize| {
            let by = (draw * (2 * jitter + 1) as f64) as usize;
            (by + extent - jitter) % extent
        };
        let (down, across) = (moved(draws[0], rows), moved(draws[1], cols));
        let shifted = with_pixels(start, &rolled(&pixels, (rows, cols), (down, across)))?;
        let slopes = explain::gradient(model, &shifted, class)?.as_vec();
        let slopes = rolled(&slopes, (rows, cols), ((rows - down) % rows, (cols - across) % cols));
        for (pixel, slope) in pixels.iter_mut().zip(slopes) {
            *pixel += rate * (slope - shrink * *pixel);
        }
        history.push(objective(&pixels)?);
    }
    Ok(Maximised { image: with_pixels(start, &pixels)?, objective: history })
}

/// Planes of `rows` × `cols`, moved down and to the right; what leaves comes in on the other side.
fn rolled<E: Copy>(values: &[E], (rows, cols): (usize, usize), (down, across): (usize, usize)) -> Vec<E> {
    let source = |i: usize| {
        let (plane, row, col) = (i / (rows * cols), i / cols % rows, i % cols);
        (plane * rows + (row + rows - down) % rows) * cols + (col + cols - across) % cols
    };
    (0..values.len()).map(|i| values[source(i)]).collect()
}

/// Where a channel was strongest in one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen<E> {
    /// Number of the image in the collection.
    pub image: usize,
    /// Row and column of the map; [`ReceptiveField::pixels`](crate::receptive_field::ReceptiveField::pixels) says which
    /// pixels that is.
    pub position: (usize, usize),
    /// The channel's value there.
    pub activation: E,
}

/// For every channel that `features` ends in, the `count` images where it is largest, strongest first; each image counts
/// once, with its strongest place. Of equal ones the earlier comes first, and NaN is never large. Nine make
/// the usual picture.
///
/// # Examples
/// ```
/// use convnets::features::strongest;
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let image = |value: f32| {
///     let mut pixels = dev.zeros::<Rank4<1, 1, 3, 3>>();
///     pixels.copy_from(&[0.0, 0.0, 0.0, 0.0, 0.0, value, 0.0, 0.0, 0.0]);
///     pixels
/// };
/// let best = strongest(&Relu, [3.0, 1.0, 2.0].map(image), 2)?;
/// let channel: Vec<_> = best[0].iter().map(|seen| (seen.image, seen.position, seen.activation)).collect();
/// assert_eq!(channel, [(0, (1, 2), 3.0), (2, (1, 2), 2.0)]);
/// # Ok::<(), convnets::features::FeatureError>(())
/// ```
///
/// # Errors
/// [`FeatureError::Zero`] for a count of 0, the device's error.
pub fn strongest<F, C, H, W, P, Q, R, E, D>(
    features: &F,
    images: impl IntoIterator<Item = Image<C, H, W, E, D>>,
    count: usize,
) -> Result<Vec<Vec<Seen<E>>>, FeatureError>
where
    C: Dim,
    H: Dim,
    W: Dim,
    P: Dim,
    Q: Dim,
    R: Dim,
    E: Real,
    D: Device<E>,
    F: Module<Image<C, H, W, E, D>, Output = Image<P, Q, R, E, D>>,
    F::Error: std::fmt::Display,
{
    if count == 0 {
        return Err(FeatureError::Zero { what: "count" });
    }
    let mut best: Vec<Vec<Seen<E>>> = Vec::new();
    for (image, x) in images.into_iter().enumerate() {
        let maps = features.try_forward(x).map_err(device)?;
        let (_, channels, rows, cols) = *maps.shape();
        let (area, cols) = (rows.size() * cols.size(), cols.size());
        best.resize(channels.size(), Vec::new());
        for (seen, map) in best.iter_mut().zip(maps.as_vec().chunks(area.max(1))) {
            let numbers = map.iter().enumerate().filter(|(_, value)| !value.as_f64().is_nan());
            let larger = |most: Option<(usize, E)>, (at, &value): (usize, &E)| match most {
                Some((_, largest)) if value <= largest => most,
                _ => Some((at, value)),
            };
            let Some((at, activation)) = numbers.fold(None, larger) else { continue };
            let place = seen.partition_point(|other| other.activation >= activation);
            if place < count {
                seen.truncate(count - 1);
                seen.insert(place, Seen { image, position: (at / cols, at % cols), activation });
            }
        }
    }
    Ok(best)
}

/// What is white and black in a [`mosaic`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contrast {
    /// The largest magnitude of all filters: strong filters look strong.
    #[default]
    Shared,
    /// Each filter's own: shapes are seen in weak filters too.
    Each,
}

/// Filters of `rows` × `cols` weights side by side, `across` in a line, with black lines of one pixel between: a picture
/// in levels of grey.
///
/// 128 is the weight 0; the largest magnitude becomes 1 or 255, so the scale is symmetric and nothing is cut off.
///
/// # Examples
/// ```
/// use convnets::features::{Contrast, mosaic};
/// let picture = mosaic(&[0.5, -1.0, 0.25, 0.0], (1, 2), 2, Contrast::Shared)?;
/// assert_eq!((picture.height, picture.width), (1, 5));
/// assert_eq!(picture.values, [192, 1, 0, 160, 128]);
/// # Ok::<(), convnets::features::FeatureError>(())
/// ```
///
/// # Errors
/// [`FeatureError::Zero`] when `rows`, `cols` or `across` is 0; [`FeatureError::Filters`] when the weights are no whole
/// number of filters, or one is not finite.
pub fn mosaic<E: Real>(
    filters: &[E],
    (rows, cols): (usize, usize),
    across: usize,
    contrast: Contrast,
) -> Result<Grid<u8>, FeatureError> {
    for (what, size) in [("rows", rows), ("cols", cols), ("across", across)] {
        if size == 0 {
            return Err(FeatureError::Zero { what });
        }
    }
    let weights: Vec<f64> = filters.iter().map(|weight| weight.as_f64()).collect();
    let area = rows.saturating_mul(cols);
    if !weights.len().is_multiple_of(area) || !weights.iter().all(|weight| weight.is_finite()) {
        return Err(FeatureError::Filters { weights: weights.len(), rows, cols });
    }
    let largest = |part: &[f64]| part.iter().fold(0.0_f64, |most, weight| most.max(weight.abs()));
    let all = largest(&weights);
    let n = weights.len() / area;
    let (lines, across) = (n.div_ceil(across), across.min(n));
    let with_gaps = |count: usize, size: usize| (count * (size + 1)).saturating_sub(1);
    let (height, width) = (with_gaps(lines, rows), with_gaps(across, cols));
    let mut values = vec![0; height * width];
    for (i, filter) in weights.chunks_exact(area).enumerate() {
        let most = match contrast {
            Contrast::Shared => all,
            Contrast::Each => largest(filter),
        };
        let (top, left) = (i / across * (rows + 1), i % across * (cols + 1));
        for (j, weight) in filter.iter().enumerate() {
            let level = if most == 0.0 { 128.0 } else { 128.0 + (127.0 * (weight / most)).round() };
            values[(top + j / cols) * width + left + j % cols] = level as u8;
        }
    }
    Ok(Grid { height, width, values })
}
