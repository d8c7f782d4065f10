//! Pooling of images: the largest element or the mean of each window, and back again.
//!
//! $$ y_{ij} = \max_{u,v} x_{iS + uL - P,\; jS + vL - P} \qquad
//!    y_{ij} = \frac{1}{n_{ij}} \sum_{u,v} x_{iS + u - P,\; jS + v - P} $$
//!
//! | function | output | backward |
//! |---|---|---|
//! | [`max_pool2d`] | largest element of each window, and where it stood | to the first largest in row-major order |
//! | [`avg_pool2d`] | mean of each window | spread evenly |
//! | [`adaptive_avg_pool2d`] | mean of $O \times P$ windows that cover the plane | spread evenly |
//! | [`global_avg_pool`], [`global_max_pool`] | one number per plane | as above |
//! | [`max_unpool2d`] | elements put back where they were largest | picked there |
//! | [`pick`] | the elements that [`max_pool2d`] chose, of another tensor: the tangent | put back |
//!
//! Windows are values: [`Floor`] and [`Ceil`] know kernel $K$, stride $S$, padding $P$ and dilation $L$ at compile time
//! and give compile-time shapes; [`Sliding`] holds them as numbers, with separate rules for rows and columns.
//!
//! **Ties and NaN**: of equal elements the first wins, as in PyTorch; a NaN wins over everything. Padding never wins: it
//! counts as $-\infty$, not 0. **Means** are separable, see [`resampling`](crate::resampling).
//! **Complexity**: $K^2$ comparisons per output; a mean takes $2K$ multiply-adds per output or less.
use crate::resampling::{Band, CountPadding, resize};
use crate::shape::{Rounding, Taps};
use crate::{BaseDevice, Device, Error, Real, RowMajor};
use dfdx::prelude::*;
use std::sync::Arc;

#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
pub(crate) mod composed;
mod cpu;
mod passes;
#[cfg(all(test, not(loom)))]
mod tests;
mod windows;

pub(crate) use passes::Pooling;
pub use windows::{Ceil, Floor, Sliding, Windows};

/// Planes of rows and columns.
type Planes = (usize, usize, usize);

/// The windows of a plane, all checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaneWindows {
    /// Height and width.
    pub extents: [usize; 2],
    /// Rules for rows and columns.
    pub taps: [Taps; 2],
    /// Windows along each axis.
    pub outputs: [usize; 2],
}

impl PlaneWindows {
    /// Elements of a plane before and after.
    pub fn sizes(&self) -> [usize; 2] {
        [self.extents, self.outputs].map(|[height, width]| height * width)
    }
}

/// A choice of elements of each plane, by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// Elements per plane to choose from, and chosen.
    pub sizes: [usize; 2],
    /// One index within its plane for each chosen element, plane by plane.
    pub indices: Arc<Vec<u32>>,
}

/// Bodies of max pooling; means are a matter of [`ResamplingDevice`](crate::resampling::ResamplingDevice).
pub trait PoolingDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_max_pool2d`].
    #[allow(clippy::type_complexity)]
    fn max_pool<T: Tape<E, Self>>(
        x: Tensor<Planes, E, Self, T>,
        windows: PlaneWindows,
    ) -> Result<(Tensor<Planes, E, Self, T>, Pick), Self::Err>
    where
        Self: Device<E>,
    {
        composed::max_pool(x, windows)
    }

    /// Body of [`try_pick`].
    fn pick<T: Tape<E, Self>>(
        x: Tensor<Planes, E, Self, T>,
        by: &Pick,
    ) -> Result<Tensor<(usize, usize), E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::pick(x, by)
    }

    /// Body of [`try_max_unpool2d`].
    fn place<T: Tape<E, Self>>(
        x: Tensor<Planes, E, Self, T>,
        by: &Pick,
    ) -> Result<Tensor<(usize, usize), E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::place(x, by)
    }
}

#[cfg(feature = "cuda")]
impl PoolingDevice<f32> for Cuda {}
#[cfg(feature = "cuda")]
impl PoolingDevice<f64> for Cuda {}

/// Where the largest elements of windows stood, from [`max_pool2d`] over planes of `H` rows and `W` columns.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolIndices<H, W> {
    pick: Pick,
    plane: (H, W),
}

impl<H: Dim, W: Dim> PoolIndices<H, W> {
    /// One index per output, `row · W + column` within its plane, in the order of the outputs.
    pub fn as_slice(&self) -> &[u32] {
        &self.pick.indices
    }
}

/// What [`max_pool2d`] gives back.
#[derive(Clone, Debug)]
pub struct MaxPooled<S: Shape, H, W, E: Real, D: Storage<E>, T> {
    /// The largest elements.
    pub output: Tensor<S, E, D, T>,
    /// Where they stood.
    pub indices: PoolIndices<H, W>,
}

/// The shape of pooled maps.
pub type Pooled<B, C, H, W, V> = (B, C, <V as Windows<H, W>>::Rows, <V as Windows<H, W>>::Cols);

/// The largest element of each window.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{max_pool2d, pooling::{Ceil, Floor}};
/// let x = Cpu::default().tensor([[[[1.0_f32, 5.0, 2.0], [3.0, 4.0, 6.0]]]]);
/// let pooled = max_pool2d(x.leaky_trace(), Floor::<2, 1>);
/// assert_eq!(pooled.output.array(), [[[[5.0, 6.0]]]]);
/// assert_eq!(pooled.indices.as_slice(), [1, 5]);
/// let y: Tensor<Rank4<1, 1, 1, 2>, f32, _> = max_pool2d(x, Ceil::<2, 2>).output;
/// assert_eq!(y.array(), [[[[5.0, 6.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_max_pool2d`].
#[allow(clippy::type_complexity)]
pub fn max_pool2d<B: Dim, C: Dim, H: Dim, W: Dim, V: Windows<H, W>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    windows: V,
) -> MaxPooled<Pooled<B, C, H, W, V>, H, W, E, D, T> {
    try_max_pool2d(x, windows).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`max_pool2d`].
///
/// # Errors
/// For run-time sizes those of [`Taps::pool_positions`], and [`Error::WindowTooLong`] for an empty axis;
/// [`Error::SizeOverflow`] for a plane of more than `u32::MAX` elements, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_max_pool2d<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    V: Windows<H, W>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    windows: V,
) -> Result<MaxPooled<Pooled<B, C, H, W, V>, H, W, E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let outputs = windows.outputs(height, width)?;
    let windows = PlaneWindows {
        extents: [height.size(), width.size()],
        taps: windows.taps(),
        outputs: [outputs.0.size(), outputs.1.size()],
    };
    for (extent, taps) in windows.extents.into_iter().zip(windows.taps) {
        if extent == 0 {
            return Err(Error::WindowTooLong { extent, padding: taps.padding, span: taps.span()? });
        }
    }
    if u32::try_from(windows.sizes()[0]).is_err() {
        return Err(Error::SizeOverflow);
    }
    let planes = (batch.size() * channels.size(), height.size(), width.size());
    let run = || -> Result<_, D::Err> {
        let (y, pick) = D::max_pool(x.try_reshaped(&planes)?, windows)?;
        let output = y.try_reshaped(&(batch, channels, outputs.0, outputs.1))?;
        Ok(MaxPooled { output, indices: PoolIndices { pick, plane: (height, width) } })
    };
    run().map_err(Error::device)
}

/// The elements of `x` at the places where those of another batch were largest: a linear function of `x`, and the
/// tangent of [`max_pool2d`].
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{max_pool2d, pick, pooling::Floor};
/// let device = Cpu::default();
/// let x = device.tensor([[[[1.0_f32, 5.0], [3.0, 4.0]]]]);
/// let dx = device.tensor([[[[0.1_f32, 0.2], [0.3, 0.4]]]]);
/// let pooled = max_pool2d(x, Floor::<2, 2>);
/// assert_eq!(pick(dx, &pooled.indices, pooled.output.shape()).array(), [[[[0.2]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pick`].
pub fn pick<B: Dim, C: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    indices: &PoolIndices<H, W>,
    shape: &(B, C, OH, OW),
) -> Tensor<(B, C, OH, OW), E, D, T> {
    try_pick(x, indices, shape).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pick`]; `shape` is that of the pooled maps.
///
/// # Errors
/// [`Error::IndexCount`] when the indices come from maps of another size, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_pick<B: Dim, C: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    indices: &PoolIndices<H, W>,
    shape: &(B, C, OH, OW),
) -> Result<Tensor<(B, C, OH, OW), E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let planes = (batch.size() * channels.size(), height.size(), width.size());
    let fits = indices.pick.sizes == [planes.1 * planes.2, shape.2.size() * shape.3.size()];
    check_count(indices, fits, shape.num_elements())?;
    let run = || D::pick(x.try_reshaped(&planes)?, &indices.pick)?.try_reshaped(shape);
    run().map_err(Error::device)
}

fn check_count<H: Dim, W: Dim>(
    indices: &PoolIndices<H, W>,
    fits: bool,
    elements: usize,
) -> Result<(), Error> {
    let indices = indices.as_slice().len();
    if fits && indices == elements { Ok(()) } else { Err(Error::IndexCount { indices, elements }) }
}

/// Puts each element where the largest of its window stood, in planes of zeros of the size before pooling: what
/// deconvolutional networks do on their way back (Zeiler & Fergus 2014, arXiv 1311.2901).
///
/// Where windows overlap and one element was the largest of several, what is put there is added up.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{max_pool2d, max_unpool2d, pooling::Floor};
/// let x = Cpu::default().tensor([[[[1.0_f32, 5.0], [3.0, 4.0]]]]);
/// let pooled = max_pool2d(x, Floor::<2, 2>);
/// assert_eq!(max_unpool2d(pooled.output * 2.0, &pooled.indices).array(), [[[[0.0, 10.0], [0.0, 0.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_max_unpool2d`].
pub fn max_unpool2d<
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
    x: Tensor<(B, C, OH, OW), E, D, T>,
    indices: &PoolIndices<H, W>,
) -> Tensor<(B, C, H, W), E, D, T> {
    try_max_unpool2d(x, indices).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`max_unpool2d`].
///
/// # Errors
/// [`Error::IndexCount`] when the indices come from maps of another size, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_max_unpool2d<
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
    x: Tensor<(B, C, OH, OW), E, D, T>,
    indices: &PoolIndices<H, W>,
) -> Result<Tensor<(B, C, H, W), E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let planes = (batch.size() * channels.size(), height.size(), width.size());
    check_count(indices, indices.pick.sizes[1] == planes.1 * planes.2, x.shape().num_elements())?;
    let shape = (batch, channels, indices.plane.0, indices.plane.1);
    let run = || D::place(x.try_reshaped(&planes)?, &indices.pick)?.try_reshaped(&shape);
    run().map_err(Error::device)
}

/// The mean of each window; [`CountPadding`] says what a window that reaches into the padding is divided by. A window
/// that [`Ceil`] lets reach beyond the padding counts no position there.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{CountPadding, avg_pool2d, pooling::Floor};
/// let x = Cpu::default().tensor([[[[4.0_f32, 8.0], [4.0, 8.0]]]]);
/// let y = avg_pool2d(x.clone(), Floor::<2, 2, 1>, CountPadding::Included);
/// assert_eq!(y.array(), [[[[1.0, 2.0], [1.0, 2.0]]]]);
/// let y = avg_pool2d(x, Floor::<2, 2, 1>, CountPadding::Excluded);
/// assert_eq!(y.array(), [[[[4.0, 8.0], [4.0, 8.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_avg_pool2d`].
#[allow(clippy::type_complexity)]
pub fn avg_pool2d<B: Dim, C: Dim, H: Dim, W: Dim, V: Windows<H, W>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    windows: V,
    count: CountPadding,
) -> Tensor<Pooled<B, C, H, W, V>, E, D, T> {
    try_avg_pool2d(x, windows, count).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`avg_pool2d`].
///
/// # Errors
/// For run-time sizes those of [`Taps::pool_positions`], and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_avg_pool2d<
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    V: Windows<H, W>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, C, H, W), E, D, T>,
    windows: V,
    count: CountPadding,
) -> Result<Tensor<Pooled<B, C, H, W, V>, E, D, T>, Error> {
    let (_, _, height, width) = *x.shape();
    let outputs = windows.outputs(height, width)?;
    let [rows, cols] = windows.taps();
    let rows = Band::windows(height.size(), rows, outputs.0.size(), count);
    let cols = Band::windows(width.size(), cols, outputs.1.size(), count);
    resize(x, outputs, [&rows, &cols])
}

/// The means of `rows` × `cols` windows that cover each plane: window $i$ is
/// $\lfloor i H / O \rfloor .. \lceil (i + 1) H / O \rceil$. They overlap where $O$ does not divide $H$.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::adaptive_avg_pool2d;
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0, 6.0]]]]);
/// let y: Tensor<Rank4<1, 1, 1, 2>, f32, _> = adaptive_avg_pool2d(x, Const::<1>, Const::<2>);
/// assert_eq!(y.array(), [[[[1.5, 4.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_adaptive_avg_pool2d`].
pub fn adaptive_avg_pool2d<
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
    try_adaptive_avg_pool2d(x, rows, cols).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`adaptive_avg_pool2d`].
///
/// # Errors
/// [`Error::WindowTooLong`] for an empty image, [`Error::NoOutputs`] for an empty result, and the device's error.
#[allow(clippy::type_complexity)]
pub fn try_adaptive_avg_pool2d<
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
    let axes = [Band::adaptive(height, rows.size())?, Band::adaptive(width, cols.size())?];
    resize(x, (rows, cols), [&axes[0], &axes[1]])
}

/// The mean of each plane.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0], [3.0, 6.0]]]]);
/// assert_eq!(kernels::global_avg_pool(x).array(), [[3.0]]);
/// ```
///
/// # Panics
/// On the errors of [`try_global_avg_pool`].
pub fn global_avg_pool<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
) -> Tensor<(B, C), E, D, T> {
    try_global_avg_pool(x).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`global_avg_pool`].
///
/// # Errors
/// [`Error::WindowTooLong`] for an empty image, and the device's error.
pub fn try_global_avg_pool<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
) -> Result<Tensor<(B, C), E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let positions = height.size() * width.size();
    let (rows, cols) = (Band::identity(1), Band::mean(positions)?);
    let planes = (batch.size() * channels.size(), 1, positions);
    let run = || D::separable(x.try_reshaped(&planes)?, [&rows, &cols])?.try_reshaped(&(batch, channels));
    run().map_err(Error::device)
}

/// The largest element of each plane; its gradient goes to the first of equal ones.
///
/// ```
/// use dfdx::prelude::*;
/// let x = Cpu::default().tensor([[[[1.0_f32, 6.0], [3.0, 6.0]]]]);
/// let y = kernels::global_max_pool(x.leaky_trace());
/// assert_eq!(y.array(), [[6.0]]);
/// assert_eq!(y.sum().backward().get(&x).array(), [[[[0.0, 1.0], [0.0, 0.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_global_max_pool`].
pub fn global_max_pool<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
) -> Tensor<(B, C), E, D, T> {
    try_global_max_pool(x).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`global_max_pool`].
///
/// # Errors
/// [`Error::WindowTooLong`] for an empty image, and the device's error.
pub fn try_global_max_pool<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
) -> Result<Tensor<(B, C), E, D, T>, Error> {
    let (batch, channels, height, width) = *x.shape();
    let [rows, cols] = [height.size(), width.size()].map(|extent| Taps::new(extent.max(1)));
    let pooled = try_max_pool2d(x, Sliding { rows, cols, rounding: Rounding::Down })?;
    pooled.output.try_reshaped(&(batch, channels)).map_err(Error::device)
}
