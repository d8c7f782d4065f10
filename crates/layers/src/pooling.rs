//! Pooling of images `(B, C, H, W)` and sequences `(B, C, L)` as modules: no parameters, the same in training and
//! evaluation.
//!
//! | module | output | kernel |
//! |---|---|---|
//! | [`MaxPool2D`], [`MaxPool2DCeil`] | largest element of each window | [`kernels::max_pool2d`] |
//! | [`IndexedMaxPool2D`] | the same, and where they stood | [`kernels::max_pool2d`] |
//! | [`MaxUnpool2D`] | each element where the largest of its window stood, zeros elsewhere | [`kernels::max_unpool2d`] |
//! | [`AvgPool2D`], [`AvgPool2DCeil`] | mean of each window | [`kernels::avg_pool2d`] |
//! | [`AdaptiveAvgPool2D`] | `(B, C, O, P)` means | [`kernels::adaptive_avg_pool2d`] |
//! | [`GlobalAvgPool`], [`GlobalMaxPool`] | `(B, C)` | [`kernels::global_avg_pool`], [`kernels::global_max_pool`] |
//! | [`MaxPool1D`], [`MaxPool1DCeil`], [`AvgPool1D`], [`AvgPool1DCeil`], [`AdaptiveAvgPool1D`] | the same of a sequence | those of an image of height 1 |
//!
//! `H`, `W` and `L` may be `Const`, and then the compiler knows the output's, or `usize`.
//! **Errors**: a run-time image that a window does not fit panics with the message of [`kernels::Error`], since a module
//! in a tuple of dfdx can return a device's error only; the kernels return it.
use crate::normalisation::device_error;
use crate::{Along, Cost, Dual};
use dfdx::nn::{Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Const, Dim, HasShape, Tape, Tensor};
use kernels::pooling::{Ceil, Floor, PoolIndices, Pooled, Windows};
use kernels::{CountPadding, Device, Real, RowMajor};

mod sequences;

pub(crate) use sequences::as_image;
pub use sequences::{AdaptiveAvgPool1D, AvgPool1D, AvgPool1DCeil, MaxPool1D, MaxPool1DCeil};

/// A module without parameters that costs nothing, and has no weights to move.
macro_rules! bare {
    ($([$($generics:tt)*] $name:ty),*) => { $(
        impl<X, $($generics)*> Along<X> for $name
        where
            Self: Module<X>,
        {
            type Output = <Self as Module<X>>::Output;
            type Error = <Self as Module<X>>::Error;
            fn try_along(&self, _: &Self, x: X) -> Result<Self::Output, Self::Error> {
                self.try_forward(x)
            }
        }
        impl<$($generics)*> ZeroSizedModule for $name {}
        impl<$($generics)*> NonMutableModule for $name {}
        impl<$($generics)*> Cost for $name {
            const PARAMS: usize = 0;
            const MACS: usize = 0;
        }
    )* };
}

macro_rules! max_pool {
    ($(#[$doc:meta])* $name:ident, $windows:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const K: usize, const S: usize, const P: usize = 0, const L: usize = 1>;
        bare!([const K: usize, const S: usize, const P: usize, const L: usize] $name<K, S, P, L>);

        impl<const K: usize, const S: usize, const P: usize, const L: usize, B, C, H, W, E, D, T>
            Module<Tensor<(B, C, H, W), E, D, T>> for $name<K, S, P, L>
        where
            B: Dim,
            C: Dim,
            H: Dim,
            W: Dim,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
            $windows<K, S, P, L>: Windows<H, W>,
        {
            type Output = Tensor<Pooled<B, C, H, W, $windows<K, S, P, L>>, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
                let pooled = kernels::try_max_pool2d(x, $windows::<K, S, P, L>);
                pooled.map(|pooled| pooled.output).map_err(device_error::<D, E>)
            }
        }

        impl<const K: usize, const S: usize, const P: usize, const L: usize, B, C, H, W, E, D, T>
            Module<Dual<(B, C, H, W), E, D, T>> for $name<K, S, P, L>
        where
            B: Dim,
            C: Dim,
            H: Dim,
            W: Dim,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
            $windows<K, S, P, L>: Windows<H, W>,
        {
            type Output = Dual<Pooled<B, C, H, W, $windows<K, S, P, L>>, E, D, T>;
            type Error = D::Err;
            /// The tangent is picked where the value was largest.
            fn try_forward(&self, x: Dual<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, dx) = x.split();
                let pooled = kernels::try_max_pool2d(x, $windows::<K, S, P, L>).map_err(device_error::<D, E>)?;
                let shape = *pooled.output.shape();
                let tangent = kernels::try_pick(dx, &pooled.indices, &shape).map_err(device_error::<D, E>)?;
                Ok(Dual::join(pooled.output, tangent))
            }
        }
    };
}

max_pool!(
    /// The largest element of each window of `K` × `K` taps, stride `S`, padding `P`, dilation `L`.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let x = dev.zeros::<Rank4<2, 3, 28, 28>>();
    /// let y: Tensor<Rank4<2, 3, 14, 14>, f32, _> = MaxPool2D::<2, 2>.forward(x);
    /// ```
    MaxPool2D, Floor
);
max_pool!(
    /// As [`MaxPool2D`], with one more window at the end of an axis where something is left: GoogLeNet's.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let x = dev.zeros::<Rank4<2, 3, 112, 112>>();
    /// let y: Tensor<Rank4<2, 3, 56, 56>, f32, _> = MaxPool2DCeil::<3, 2>.forward(x);
    /// ```
    MaxPool2DCeil, Ceil
);

/// As [`MaxPool2D`], with where the largest elements stood beside them: what [`MaxUnpool2D`] takes.
///
/// # Examples
/// The pooling step of SegNet (Badrinarayanan et al. 2017, arXiv 1511.00561) and its way back; what stands between them
/// in the network gets the pooled maps, and [`MaxUnpool2D`] its output with the indices.
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let x = dev.tensor([[[[1.0_f32, 5.0], [3.0, 4.0]]]]);
/// let (pooled, indices) = IndexedMaxPool2D::<2, 2>.forward(x);
/// assert_eq!(pooled.array(), [[[[5.0]]]]);
/// assert_eq!(MaxUnpool2D.forward((pooled * 2.0, indices)).array(), [[[[0.0, 10.0], [0.0, 0.0]]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexedMaxPool2D<const K: usize, const S: usize, const P: usize = 0, const L: usize = 1>;
/// Each element where the largest of its window stood, zeros elsewhere, in planes of the size before the pooling:
/// takes maps with the indices of an [`IndexedMaxPool2D`]. What windows that overlap put on one place is added up.
///
/// **Errors**: indices of maps of another size panic with the message of [`kernels::Error`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxUnpool2D;
bare!([const K: usize, const S: usize, const P: usize, const L: usize] IndexedMaxPool2D<K, S, P, L>, [] MaxUnpool2D);

impl<const K: usize, const S: usize, const P: usize, const L: usize, B, C, H, W, E, D, T>
    Module<Tensor<(B, C, H, W), E, D, T>> for IndexedMaxPool2D<K, S, P, L>
where
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    Floor<K, S, P, L>: Windows<H, W>,
{
    type Output = (Tensor<Pooled<B, C, H, W, Floor<K, S, P, L>>, E, D, T>, PoolIndices<H, W>);
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let pooled = kernels::try_max_pool2d(x, Floor::<K, S, P, L>).map_err(device_error::<D, E>)?;
        Ok((pooled.output, pooled.indices))
    }
}

impl<const K: usize, const S: usize, const P: usize, const L: usize, B, C, H, W, E, D, T>
    Module<Dual<(B, C, H, W), E, D, T>> for IndexedMaxPool2D<K, S, P, L>
where
    B: Dim,
    C: Dim,
    H: Dim,
    W: Dim,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    Floor<K, S, P, L>: Windows<H, W>,
{
    type Output = (Dual<Pooled<B, C, H, W, Floor<K, S, P, L>>, E, D, T>, PoolIndices<H, W>);
    type Error = D::Err;
    /// The tangent is picked where the value was largest.
    fn try_forward(&self, x: Dual<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let (output, indices) = self.try_forward(x)?;
        let tangent = kernels::try_pick(dx, &indices, output.shape()).map_err(device_error::<D, E>)?;
        Ok((Dual::join(output, tangent), indices))
    }
}

impl<B: Dim, C: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>
    Module<(Tensor<(B, C, OH, OW), E, D, T>, PoolIndices<H, W>)> for MaxUnpool2D
{
    type Output = Tensor<(B, C, H, W), E, D, T>;
    type Error = D::Err;
    fn try_forward(
        &self,
        (x, indices): (Tensor<(B, C, OH, OW), E, D, T>, PoolIndices<H, W>),
    ) -> Result<Self::Output, D::Err> {
        kernels::try_max_unpool2d(x, &indices).map_err(device_error::<D, E>)
    }
}

impl<B: Dim, C: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>
    Module<(Dual<(B, C, OH, OW), E, D, T>, PoolIndices<H, W>)> for MaxUnpool2D
{
    type Output = Dual<(B, C, H, W), E, D, T>;
    type Error = D::Err;
    /// Linear in the maps, whose places do not move.
    fn try_forward(
        &self,
        (x, indices): (Dual<(B, C, OH, OW), E, D, T>, PoolIndices<H, W>),
    ) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let put = |x| kernels::try_max_unpool2d(x, &indices).map_err(device_error::<D, E>);
        Ok(Dual::join(put(x)?, put(dx)?))
    }
}

/// A map that is linear in its input: value and tangent go the same way.
macro_rules! linear_map {
    (
        [$($generics:tt)*] $name:ty, ($($axis:ident),*) -> $out:ty,
        [$($bounds:tt)*],
        |$module:ident, $x:ident| $forward:expr
    ) => {
        impl<$($generics)* $($axis,)* E, D, T> Module<Tensor<($($axis),*), E, D, T>> for $name
        where
            $($axis: Dim,)*
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
            $($bounds)*
        {
            type Output = Tensor<$out, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, $x: Tensor<($($axis),*), E, D, T>) -> Result<Self::Output, D::Err> {
                let $module = self;
                $forward.map_err(device_error::<D, E>)
            }
        }

        impl<$($generics)* $($axis,)* E, D, T> Module<Dual<($($axis),*), E, D, T>> for $name
        where
            $($axis: Dim,)*
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
            $($bounds)*
        {
            type Output = Dual<$out, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<($($axis),*), E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, dx) = x.split();
                Ok(Dual::join(self.try_forward(x)?, self.try_forward(dx)?))
            }
        }
    };
}
pub(crate) use {bare, linear_map};

macro_rules! avg_pool {
    ($(#[$doc:meta])* $name:ident, $windows:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const K: usize, const S: usize, const P: usize = 0> {
            /// What a window that reaches into the padding is divided by.
            pub count: CountPadding,
        }
        bare!([const K: usize, const S: usize, const P: usize] $name<K, S, P>);
        linear_map!(
            [const K: usize, const S: usize, const P: usize,] $name<K, S, P>,
            (B, C, H, W) -> Pooled<B, C, H, W, $windows<K, S, P>>,
            [$windows<K, S, P>: Windows<H, W>,],
            |s, x| kernels::try_avg_pool2d(x, $windows::<K, S, P>, s.count)
        );
    };
}

avg_pool!(
    /// The mean of each window of `K` × `K` taps, stride `S`, padding `P`.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let pool = AvgPool2D::<2, 2>::default();
    /// let y: Tensor<Rank4<1, 1, 1, 1>, f32, _> = pool.forward(dev.tensor([[[[1.0, 2.0], [3.0, 6.0]]]]));
    /// assert_eq!(y.as_vec(), [3.0]);
    /// ```
    AvgPool2D, Floor
);
avg_pool!(
    /// As [`AvgPool2D`], with one more window at the end of an axis where something is left.
    AvgPool2DCeil, Ceil
);

/// The means of `O` × `P` windows that cover the image, whatever its size: what a classifier of fixed size needs.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let image: Tensor<_, f32, _> = dev.zeros_like(&(1, Const::<3>, 300, 200));
/// let y: Tensor<(usize, Const<3>, Const<7>, Const<7>), f32, _> = AdaptiveAvgPool2D::<7, 7>.forward(image);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdaptiveAvgPool2D<const O: usize, const P: usize>;
/// The mean of each plane, or of each channel of a sequence.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y = GlobalAvgPool.forward(dev.tensor([[[[1.0_f32, 2.0], [3.0, 6.0]]]]));
/// assert_eq!(y.array(), [[3.0]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalAvgPool;
/// The largest element of each plane, or of each channel of a sequence.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y = GlobalMaxPool.forward(dev.tensor([[[[1.0_f32, 2.0], [3.0, 6.0]]]]));
/// assert_eq!(y.array(), [[6.0]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalMaxPool;
bare!([const O: usize, const P: usize] AdaptiveAvgPool2D<O, P>, [] GlobalAvgPool, [] GlobalMaxPool);
linear_map!(
    [const O: usize, const P: usize,] AdaptiveAvgPool2D<O, P>,
    (B, C, H, W) -> (B, C, Const<O>, Const<P>), [],
    |_s, x| kernels::try_adaptive_avg_pool2d(x, Const::<O>, Const::<P>)
);
linear_map!([] GlobalAvgPool, (B, C, H, W) -> (B, C), [], |_s, x| kernels::try_global_avg_pool(x));

impl<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>>
    Module<Tensor<(B, C, H, W), E, D, T>> for GlobalMaxPool
{
    type Output = Tensor<(B, C), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_global_max_pool(x).map_err(device_error::<D, E>)
    }
}

impl<B: Dim, C: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<(B, C, H, W), E, D, T>>
    for GlobalMaxPool
{
    type Output = Dual<(B, C), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let (b, c, h, w) = *x.shape();
        let taps = |extent: usize| kernels::shape::Taps::new(extent);
        let rounding = kernels::shape::Rounding::Down;
        let plane = kernels::pooling::Sliding { rows: taps(h.size()), cols: taps(w.size()), rounding };
        let pooled = kernels::try_max_pool2d(x, plane).map_err(device_error::<D, E>)?;
        let shape = *pooled.output.shape();
        let tangent = kernels::try_pick(dx, &pooled.indices, &shape).map_err(device_error::<D, E>)?;
        Ok(Dual::join(pooled.output.try_reshaped(&(b, c))?, tangent.try_reshaped(&(b, c))?))
    }
}
