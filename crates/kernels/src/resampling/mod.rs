//! Maps of images to another size: nearest, bilinear, pixel shuffle; and the concatenation of channels.
//!
//! Nearest, bilinear, and all averages of [`pooling`](crate::pooling) are *separable*: a matrix $R$ `(O_h, H)` for the
//! rows and $C$ `(O_w, W)` for the columns, each with few numbers per row, make of every plane
//!
//! $$ Y = R X C^\top, \qquad \frac{\partial L}{\partial X} = R^\top \frac{\partial L}{\partial Y} C $$
//!
//! so one pair of loops serves them all, forward and backward. The axis that becomes shorter is treated first.
//!
//! | function | shape | |
//! |---|---|---|
//! | [`resize_nearest`] | `(B, C, H, W)` → `(B, C, O, P)` | input $\lfloor i H / O \rfloor$ |
//! | [`resize_bilinear`] | `(B, C, H, W)` → `(B, C, O, P)` | two neighbours per axis, see [`Corners`] |
//! | [`pixel_shuffle`] | `(B, C r², H, W)` → `(B, C, H r, W r)` | Shi et al. (2016), arXiv 1609.05158 |
//! | [`pixel_unshuffle`] | its inverse | |
//! | [`pixel_shuffle1d`] | `(B, C r, L)` → `(B, C, L r)` | the same of sequences |
//! | [`pixel_unshuffle1d`] | its inverse | |
//! | [`pad2d`] | `(B, C, H, W)` → `(B, C, H + t + b, W + l + r)` | [`Zeros`], [`Reflection`], … |
//! | [`concat_channels`] | `(B, C, ..)`, `(B, K, ..)` → `(B, C + K, ..)` | |
//! | [`Channels`] | the same of any number of batches, each copied once | |
//!
//! All are linear, so a tangent is mapped as the value is.
//! **Deviations**: PyTorch computes positions in `f32`; ours are exact for nearest and in `f64` for bilinear.
use crate::shape::{Over, Plus, Times, divided};
use crate::{BaseDevice, ChannelsSecond, Device, Error, Real, RowMajor};
use dfdx::prelude::*;

pub(crate) mod band;
#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
pub(crate) mod composed;
mod cpu;
mod padding;
mod passes;
#[cfg(all(test, not(loom)))]
mod tests;

pub use band::{Band, Corners, CountPadding};
pub use padding::{
    Border, Bordered, Circular, Edge, Filling, Reflection, Replication, Zeros, pad1d, pad2d, try_pad1d,
    try_pad2d,
};
pub(crate) use passes::Resampling;

/// Which way [`pixel_shuffle`] and [`pixel_shuffle1d`] go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearrangement {
    /// Channels into rectangles of pixels.
    Shuffle,
    /// Rectangles of pixels into channels.
    Unshuffle,
}

impl Rearrangement {
    /// The shape that `(N, C, H, W)` becomes with rectangles of `p` × `q` pixels.
    pub fn shape(self, (n, c, h, w): Maps, [p, q]: [usize; 2]) -> Maps {
        match self {
            Self::Shuffle => (n, c / (p * q), h * p, w * q),
            Self::Unshuffle => (n, c * p * q, h / p, w / q),
        }
    }
    /// The way back.
    pub fn back(self) -> Self {
        match self {
            Self::Shuffle => Self::Unshuffle,
            Self::Unshuffle => Self::Shuffle,
        }
    }
}

type Planes = (usize, usize, usize);
type Maps = (usize, usize, usize, usize);

/// Bodies of the maps to another size.
pub trait ResamplingDevice<E: Real>: BaseDevice<E> {
    /// Body of everything separable: a banded matrix for the rows and one for the columns of each plane.
    fn separable<T: Tape<E, Self>>(
        x: Tensor<Planes, E, Self, T>,
        axes: [&Band; 2],
    ) -> Result<Tensor<Planes, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::separable(x, axes)
    }

    /// Body of [`try_pad2d`]: `edges` of the rows and of the columns, which have been checked.
    fn pad<T: Tape<E, Self>>(
        x: Tensor<Planes, E, Self, T>,
        filling: Filling,
        edges: [Edge; 2],
    ) -> Result<Tensor<Planes, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::pad(x, filling, edges)
    }

    /// Body of [`try_pixel_shuffle`], [`try_pixel_shuffle1d`] and their inverses: rows and columns of a rectangle.
    fn rearrange<T: Tape<E, Self>>(
        x: Tensor<Maps, E, Self, T>,
        factors: [usize; 2],
        way: Rearrangement,
    ) -> Result<Tensor<Maps, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::rearrange(x, factors, way)
    }

    /// Body of [`Channels::try_concat`]: `first` and all `others`, which differ in their channels only; `tape` is that of
    /// all.
    fn concat_channels<T: Tape<E, Self>>(
        first: Tensor<Planes, E, Self>,
        others: Vec<Tensor<Planes, E, Self>>,
        tape: T,
    ) -> Result<Tensor<Planes, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::concat_channels(first, others, tape)
    }
}

#[cfg(feature = "cuda")]
impl ResamplingDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl ResamplingDevice<f64> for Cuda {}

/// Applies a banded matrix to the rows and one to the columns of every plane.
#[allow(clippy::type_complexity)]
pub(crate) fn resize<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    OH: Dim,
    OW: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    shape: (OH, OW),
    axes: [&Band; 2],
) -> Result<Tensor<(B, C, OH, OW), E, D, T>, Error> {
    resize_shape(x, shape, |planes| D::separable(planes, axes))
}

/// Applies a map of planes to images.
#[allow(clippy::type_complexity)]
fn resize_shape<B: Dim, C: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    shape: (OH, OW),
    map: impl FnOnce(Tensor<Planes, E, D, T>) -> Result<Tensor<Planes, E, D, T>, D::Err>,
) -> Result<Tensor<(B, C, OH, OW), E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let planes = (batch.size() * channels.size(), height.size(), width.size());
    let run = || map(x.try_reshaped(&planes)?)?.try_reshaped(&(batch, channels, shape.0, shape.1));
    run().map_err(Error::device)
}

/// Images of another size, each pixel that of the input at $\lfloor i H / O \rfloor$.
///
/// `rows` and `cols` may be `Const` or numbers.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::resize_nearest;
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0]]]]);
/// let y = resize_nearest(x, Const::<1>, Const::<4>);
/// assert_eq!(y.array(), [[[[1.0, 1.0, 2.0, 2.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_resize_nearest`].
pub fn resize_nearest<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    OH: Dim,
    OW: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    rows: OH,
    cols: OW,
) -> Tensor<(B, C, OH, OW), E, D, T> {
    try_resize_nearest(x, rows, cols).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`resize_nearest`].
///
/// # Errors
/// [`Error::WindowTooLong`] for an empty image, [`Error::NoOutputs`] for an empty result, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_resize_nearest<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    OH: Dim,
    OW: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    rows: OH,
    cols: OW,
) -> Result<Tensor<(B, C, OH, OW), E, D, T>, Error> {
    let (height, width) = (x.shape().2.size(), x.shape().3.size());
    let axes = [Band::nearest(height, rows.size())?, Band::nearest(width, cols.size())?];
    resize(x, (rows, cols), [&axes[0], &axes[1]])
}

/// Images of another size, interpolated between the two neighbours along each axis; where the neighbours lie is
/// decided by [`Corners`].
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Corners, resize_bilinear};
/// let x = Cpu::default().tensor([[[[0.0_f64, 3.0]]]]);
/// let centres = resize_bilinear(x.clone(), Const::<1>, Const::<4>, Corners::Centres);
/// assert_eq!(centres.array(), [[[[0.0, 1.0, 2.0, 3.0]]]]);
/// let edges = resize_bilinear(x, 1, 4, Corners::Edges);
/// assert_eq!(edges.as_vec(), [0.0, 0.75, 2.25, 3.0]);
/// ```
///
/// # Panics
/// On the errors of [`try_resize_bilinear`].
pub fn resize_bilinear<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    OH: Dim,
    OW: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    rows: OH,
    cols: OW,
    corners: Corners,
) -> Tensor<(B, C, OH, OW), E, D, T> {
    try_resize_bilinear(x, rows, cols, corners).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`resize_bilinear`].
///
/// # Errors
/// As [`try_resize_nearest`].
#[allow(clippy::type_complexity)]
pub fn try_resize_bilinear<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    OH: Dim,
    OW: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    rows: OH,
    cols: OW,
    corners: Corners,
) -> Result<Tensor<(B, C, OH, OW), E, D, T>, Error> {
    let (height, width) = (x.shape().2.size(), x.shape().3.size());
    let axes = [Band::linear(height, rows.size(), corners)?, Band::linear(width, cols.size(), corners)?];
    resize(x, (rows, cols), [&axes[0], &axes[1]])
}

/// What is left of channels whose squares of `F` × `F` have become pixels.
pub type Shuffled<C, F> = <<C as Over<F>>::Out as Over<F>>::Out;
/// Channels when squares of `F` × `F` pixels have become channels.
pub type Unshuffled<C, F> = <<C as Times<F>>::Out as Times<F>>::Out;

/// Turns each group of $r^2$ channels into squares of $r \times r$ pixels:
/// $y_{c,\,hr+a,\,wr+b} = x_{c r^2 + a r + b,\,h,\,w}$.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[[1.0_f32]], [[2.0]], [[3.0]], [[4.0]]]]); // (1, 4, 1, 1)
/// let y: Tensor<Rank4<1, 1, 2, 2>, f32, _> = kernels::pixel_shuffle(x, Const::<2>);
/// assert_eq!(y.array(), [[[[1.0, 2.0], [3.0, 4.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pixel_shuffle`].
#[allow(clippy::type_complexity)]
pub fn pixel_shuffle<B: Dim, C, H, W, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    factor: F,
) -> Tensor<(B, Shuffled<C, F>, <H as Times<F>>::Out, <W as Times<F>>::Out), E, D, T>
where
    C: Over<F, Out: Over<F>>,
    H: Times<F>,
    W: Times<F>,
{
    try_pixel_shuffle(x, factor).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pixel_shuffle`].
///
/// # Errors
/// [`Error::Indivisible`] when $r^2$ does not divide a run-time number of channels, [`Error::SizeOverflow`], and the
/// device's error.
#[allow(clippy::type_complexity)]
pub fn try_pixel_shuffle<B: Dim, C, H, W, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    factor: F,
) -> Result<Tensor<(B, Shuffled<C, F>, <H as Times<F>>::Out, <W as Times<F>>::Out), E, D, T>, Error>
where
    C: Over<F, Out: Over<F>>,
    H: Times<F>,
    W: Times<F>,
{
    let (b, c, h, w) = *x.shape();
    divided(c.size(), factor.size().saturating_mul(factor.size()))?;
    let shape = (b, c.try_over(factor)?.try_over(factor)?, h.try_times(factor)?, w.try_times(factor)?);
    let maps = (b.size(), c.size(), h.size(), w.size());
    let run = || {
        let x = x.try_reshaped(&maps)?;
        D::rearrange(x, [factor.size(); 2], Rearrangement::Shuffle)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// Turns squares of $r \times r$ pixels into $r^2$ channels: the inverse of [`pixel_shuffle`].
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0], [3.0, 4.0]]]]);
/// let y: Tensor<Rank4<1, 4, 1, 1>, f32, _> = kernels::pixel_unshuffle(x, Const::<2>);
/// assert_eq!(y.array(), [[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pixel_unshuffle`].
#[allow(clippy::type_complexity)]
pub fn pixel_unshuffle<B: Dim, C, H, W, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    factor: F,
) -> Tensor<(B, Unshuffled<C, F>, <H as Over<F>>::Out, <W as Over<F>>::Out), E, D, T>
where
    C: Times<F, Out: Times<F>>,
    H: Over<F>,
    W: Over<F>,
{
    try_pixel_unshuffle(x, factor).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pixel_unshuffle`].
///
/// # Errors
/// [`Error::Indivisible`] when $r$ does not divide a run-time height or width, [`Error::SizeOverflow`], and the
/// device's error.
#[allow(clippy::type_complexity)]
pub fn try_pixel_unshuffle<B: Dim, C, H, W, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    factor: F,
) -> Result<Tensor<(B, Unshuffled<C, F>, <H as Over<F>>::Out, <W as Over<F>>::Out), E, D, T>, Error>
where
    C: Times<F, Out: Times<F>>,
    H: Over<F>,
    W: Over<F>,
{
    let (b, c, h, w) = *x.shape();
    let shape = (b, c.try_times(factor)?.try_times(factor)?, h.try_over(factor)?, w.try_over(factor)?);
    let maps = (b.size(), c.size(), h.size(), w.size());
    let run = || {
        let x = x.try_reshaped(&maps)?;
        D::rearrange(x, [factor.size(); 2], Rearrangement::Unshuffle)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// Turns each group of $r$ channels of a sequence into $r$ positions: $y_{c,\,lr+a} = x_{c r + a,\,l}$, the
/// [`pixel_shuffle`] of a signal.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 3.0], [2.0, 4.0]]]); // (1, 2, 2)
/// let y: Tensor<Rank3<1, 1, 4>, f32, _> = kernels::pixel_shuffle1d(x, Const::<2>);
/// assert_eq!(y.array(), [[[1.0, 2.0, 3.0, 4.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pixel_shuffle1d`].
#[allow(clippy::type_complexity)]
pub fn pixel_shuffle1d<B: Dim, C: Over<F>, L: Times<F>, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    factor: F,
) -> Tensor<(B, C::Out, L::Out), E, D, T> {
    try_pixel_shuffle1d(x, factor).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pixel_shuffle1d`].
///
/// # Errors
/// [`Error::Indivisible`] when $r$ does not divide a run-time number of channels, [`Error::SizeOverflow`], and the
/// device's error.
#[allow(clippy::type_complexity)]
pub fn try_pixel_shuffle1d<B: Dim, C: Over<F>, L: Times<F>, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    factor: F,
) -> Result<Tensor<(B, C::Out, L::Out), E, D, T>, Error> {
    let (b, c, l) = *x.shape();
    let shape = (b, c.try_over(factor)?, l.try_times(factor)?);
    rearrange_line(x, shape, factor.size(), Rearrangement::Shuffle)
}

/// Turns $r$ positions into $r$ channels: the inverse of [`pixel_shuffle1d`].
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 2.0, 3.0, 4.0]]]);
/// let y: Tensor<Rank3<1, 2, 2>, f32, _> = kernels::pixel_unshuffle1d(x, Const::<2>);
/// assert_eq!(y.array(), [[[1.0, 3.0], [2.0, 4.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pixel_unshuffle1d`].
#[allow(clippy::type_complexity)]
pub fn pixel_unshuffle1d<B: Dim, C: Times<F>, L: Over<F>, F: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    factor: F,
) -> Tensor<(B, C::Out, L::Out), E, D, T> {
    try_pixel_unshuffle1d(x, factor).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pixel_unshuffle1d`].
///
/// # Errors
/// [`Error::Indivisible`] when $r$ does not divide a run-time length, [`Error::SizeOverflow`], and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_pixel_unshuffle1d<
    B: Dim,
    C: Times<F>,
    L: Over<F>,
    F: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, L), E, D, T>,
    factor: F,
) -> Result<Tensor<(B, C::Out, L::Out), E, D, T>, Error> {
    let (b, c, l) = *x.shape();
    let shape = (b, c.try_times(factor)?, l.try_over(factor)?);
    rearrange_line(x, shape, factor.size(), Rearrangement::Unshuffle)
}

/// A sequence is an image of height 1.
fn rearrange_line<B: Dim, C: Dim, L: Dim, S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    shape: S,
    factor: usize,
    way: Rearrangement,
) -> Result<Tensor<S, E, D, T>, Error> {
    let (b, c, l) = *x.shape();
    let run = || {
        let maps = x.try_reshaped(&(b.size(), c.size(), 1, l.size()))?;
        D::rearrange(maps, [1, factor], way)?.try_reshaped(&shape)
    };
    run().map_err(Error::device)
}

/// The second batch's channels behind the first one's: what Inception modules and U-Nets do with their branches.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::concat_channels;
/// let device = Cpu::default();
/// let (x, y) = (device.tensor([[[1.0_f32, 2.0]]]), device.tensor([[[3.0, 4.0], [5.0, 6.0]]]));
/// let z: Tensor<Rank3<1, 3, 2>, f32, _> = concat_channels(x, y);
/// assert_eq!(z.array(), [[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_concat_channels`].
#[allow(clippy::type_complexity)]
pub fn concat_channels<S, K, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    y: Tensor<S::WithChannels<K>, E, D, R>,
) -> Tensor<S::WithChannels<<S::Channels as Plus<K>>::Out>, E, D, T>
where
    K: Dim,
    S: ChannelsSecond<Channels: Plus<K>>,
{
    try_concat_channels::<S, K, E, D, T, R>(x, y).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`concat_channels`].
///
/// # Errors
/// [`Error::AxisLength`] when run-time axes other than the channels differ, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_concat_channels<S, K, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    y: Tensor<S::WithChannels<K>, E, D, R>,
) -> Result<Tensor<S::WithChannels<<S::Channels as Plus<K>>::Out>, E, D, T>, Error>
where
    K: Dim,
    S: ChannelsSecond<Channels: Plus<K>>,
{
    Channels::try_new(x)?.try_push::<K, R>(y)?.try_concat()
}

/// Batches that wait until all are there whose channels are to stand behind each other.
///
/// Joining two at a time copies the first ones again and again: with $n$ batches of one size $(n^2 + n - 2)/2$ batches are
/// copied instead of $n$, forward, and as many gradients are added up backward.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::resampling::Channels;
/// let device = Cpu::default();
/// let [x, y, z] = [1.0_f32, 2.0, 3.0].map(|value| device.tensor([[[value; 2]]]));
/// let all: Tensor<Rank3<1, 3, 2>, f32, _> =
///     Channels::try_new(x)?.try_push::<Const<1>, _>(y)?.try_push::<Const<1>, _>(z)?.try_concat()?;
/// assert_eq!(all.array(), [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]);
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Channels<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> {
    /// Of all together.
    shape: S,
    first: Tensor<Planes, E, D>,
    others: Vec<Tensor<Planes, E, D>>,
    tape: T,
}

impl<S: ChannelsSecond, E: Real, D: Device<E>, T: Tape<E, D>> Channels<S, E, D, T> {
    /// The first batch.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_new(x: Tensor<S, E, D, T>) -> Result<Self, Error> {
        let (shape, planes) = (*x.shape(), x.shape().volume());
        let (first, tape) = x.try_reshaped(&planes).map_err(Error::device)?.split_tape();
        Ok(Self { shape, first, others: Vec::new(), tape })
    }

    /// One more batch, whose channels go behind those that are there.
    ///
    /// # Errors
    /// [`Error::AxisLength`] when run-time axes other than the channels differ, and the device's error.
    #[allow(clippy::type_complexity)]
    pub fn try_push<K: Dim, R: Tape<E, D>>(
        self,
        y: Tensor<S::WithChannels<K>, E, D, R>,
    ) -> Result<Channels<S::WithChannels<<S::Channels as Plus<K>>::Out>, E, D, T>, Error>
    where
        S::Channels: Plus<K>,
        T: Merge<R>,
    {
        let (first, second) = (self.shape.concrete(), y.shape().concrete());
        for (axis, (first, second)) in first.into_iter().zip(second).enumerate() {
            if axis != 1 && first != second {
                let axis = ["batch size", "channels", "rows", "columns"][axis];
                return Err(Error::AxisLength { axis, expected: first, found: second });
            }
        }
        let shape = self.shape.with_channels(self.shape.channels().try_plus(y.shape().channels())?);
        let planes = y.shape().volume();
        let (y, tape) = y.try_reshaped(&planes).map_err(Error::device)?.split_tape();
        let mut others = self.others;
        others.push(y);
        Ok(Channels { shape, first: self.first, others, tape: self.tape.merge(tape) })
    }

    /// All of them as one batch. Complexity: each element is copied once; backward, each gradient is added once.
    ///
    /// # Errors
    /// The device's error.
    pub fn try_concat(self) -> Result<Tensor<S, E, D, T>, Error> {
        let all = D::concat_channels(self.first, self.others, self.tape);
        all.and_then(|all| all.try_reshaped(&self.shape)).map_err(Error::device)
    }
}
