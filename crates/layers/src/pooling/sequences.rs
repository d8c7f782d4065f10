//! Pooling of sequences `(B, C, L)`: that of images of height 1.
use super::{bare, linear_map};
use crate::normalisation::device_error;
use crate::{Along, Cost, Dual};
use dfdx::nn::{Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Const, Dim, HasShape, Tape, Tensor};
use kernels::pooling::{PoolIndices, Windows};
use kernels::shape::{CeilWindow, PoolWindow, Taps};
use kernels::{CountPadding, Device, DeviceError, Error, Real, RowMajor};

/// A sequence as the image of height 1 that it is in memory.
fn image<B: Dim, C: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
) -> Result<Tensor<(B, C, Const<1>, L), E, D, T>, Error> {
    let (batch, channels, length) = *x.shape();
    x.try_reshaped(&(batch, channels, Const, length)).map_err(|error| Error::Device(DeviceError::new(error)))
}

/// Back.
fn sequence<B: Dim, C: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, Const<1>, L), E, D, T>,
) -> Result<Tensor<(B, C, L), E, D, T>, Error> {
    let (batch, channels, _, length) = *x.shape();
    x.try_reshaped(&(batch, channels, length)).map_err(|error| Error::Device(DeviceError::new(error)))
}

/// A map of images, applied to a sequence.
pub(crate) fn as_image<B: Dim, C: Dim, L: Dim, O: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    map: impl FnOnce(Tensor<(B, C, Const<1>, L), E, D, T>) -> Result<Tensor<(B, C, Const<1>, O), E, D, T>, Error>,
) -> Result<Tensor<(B, C, O), E, D, T>, Error> {
    sequence(map(image(x)?)?)
}

macro_rules! windows {
    ($(#[$doc:meta])* $name:ident, $axis:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        struct $name<const K: usize, const S: usize, const P: usize, const W: usize>;

        impl<const K: usize, const S: usize, const P: usize, const W: usize, L: $axis<K, S, P, W>>
            Windows<Const<1>, L> for $name<K, S, P, W>
        {
            type Rows = Const<1>;
            type Cols = L::Out;
            fn taps(self) -> [Taps; 2] {
                [Taps::new(1), Taps { kernel: K, stride: S, padding: P, dilation: W }]
            }
            fn outputs(self, rows: Const<1>, cols: L) -> Result<(Const<1>, L::Out), Error> {
                Ok((rows, cols.$method()?))
            }
        }
    };
}
windows!(
    /// Windows along a sequence; what does not fill one at the end is left out.
    Floor, PoolWindow, try_pool_window
);
windows!(
    /// Windows along a sequence, with one more at the end where something is left.
    Ceil, CeilWindow, try_ceil_window
);

macro_rules! max_pool {
    ($(#[$doc:meta])* $name:ident, $windows:ident, $axis:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const K: usize, const S: usize, const P: usize = 0, const W: usize = 1>;
        bare!([const K: usize, const S: usize, const P: usize, const W: usize] $name<K, S, P, W>);

        impl<const K: usize, const S: usize, const P: usize, const W: usize> $name<K, S, P, W> {
            /// The largest elements and where they stand.
            #[allow(clippy::type_complexity)]
            fn pool<B: Dim, C: Dim, L: $axis<K, S, P, W>, E: Real, D: Device<E>, T: Tape<E, D>>(
                x: Tensor<(B, C, L), E, D, T>,
            ) -> Result<(Tensor<(B, C, Const<1>, L::Out), E, D, T>, PoolIndices<Const<1>, L>), Error> {
                let pooled = kernels::try_max_pool2d(image(x)?, $windows::<K, S, P, W>)?;
                Ok((pooled.output, pooled.indices))
            }
        }

        impl<const K: usize, const S: usize, const P: usize, const W: usize, B, C, L, E, D, T>
            Module<Tensor<(B, C, L), E, D, T>> for $name<K, S, P, W>
        where
            B: Dim,
            C: Dim,
            L: $axis<K, S, P, W>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Tensor<(B, C, L::Out), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(B, C, L), E, D, T>) -> Result<Self::Output, D::Err> {
                Self::pool(x).and_then(|(output, _)| sequence(output)).map_err(device_error::<D, E>)
            }
        }

        impl<const K: usize, const S: usize, const P: usize, const W: usize, B, C, L, E, D, T>
            Module<Dual<(B, C, L), E, D, T>> for $name<K, S, P, W>
        where
            B: Dim,
            C: Dim,
            L: $axis<K, S, P, W>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Dual<(B, C, L::Out), E, D, T>;
            type Error = D::Err;
            /// The tangent is picked where the value was largest.
            fn try_forward(&self, x: Dual<(B, C, L), E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, dx) = x.split();
                let run = || {
                    let (output, indices) = Self::pool(x)?;
                    let tangent = kernels::try_pick(image(dx)?, &indices, output.shape())?;
                    Ok(Dual::join(sequence(output)?, sequence(tangent)?))
                };
                run().map_err(device_error::<D, E>)
            }
        }
    };
}

max_pool!(
    /// The largest element of each window of `K` taps along a sequence, stride `S`, padding `P`, dilation `W`.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let x = Cpu::default().tensor([[[1.0_f32, 5.0, 2.0, 3.0, 4.0]]]);
    /// let y: Tensor<Rank3<1, 1, 2>, f32, _> = MaxPool1D::<2, 2>.forward(x);
    /// assert_eq!(y.array(), [[[5.0, 3.0]]]);
    /// ```
    MaxPool1D, Floor, PoolWindow
);
max_pool!(
    /// As [`MaxPool1D`], with one more window at the end where something is left.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let x = Cpu::default().tensor([[[1.0_f32, 5.0, 2.0, 3.0, 4.0]]]);
    /// let y: Tensor<Rank3<1, 1, 3>, f32, _> = MaxPool1DCeil::<2, 2>.forward(x);
    /// assert_eq!(y.array(), [[[5.0, 3.0, 4.0]]]);
    /// ```
    MaxPool1DCeil, Ceil, CeilWindow
);

macro_rules! avg_pool {
    ($(#[$doc:meta])* $name:ident, $windows:ident, $axis:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const K: usize, const S: usize, const P: usize = 0> {
            /// What a window that reaches into the padding is divided by.
            pub count: CountPadding,
        }
        bare!([const K: usize, const S: usize, const P: usize] $name<K, S, P>);
        linear_map!(
            [const K: usize, const S: usize, const P: usize,] $name<K, S, P>,
            (B, C, L) -> (B, C, <L as $axis<K, S, P>>::Out),
            [L: $axis<K, S, P>,],
            |s, x| as_image(x, |x| kernels::try_avg_pool2d(x, $windows::<K, S, P, 1>, s.count))
        );
    };
}

avg_pool!(
    /// The mean of each window of `K` taps along a sequence, stride `S`, padding `P`.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let x = Cpu::default().tensor([[[1.0_f32, 5.0, 2.0, 4.0, 6.0]]]);
    /// let y: Tensor<Rank3<1, 1, 2>, f32, _> = AvgPool1D::<2, 2>::default().forward(x);
    /// assert_eq!(y.array(), [[[3.0, 3.0]]]);
    /// ```
    AvgPool1D, Floor, PoolWindow
);
avg_pool!(
    /// As [`AvgPool1D`], with one more window at the end where something is left.
    AvgPool1DCeil, Ceil, CeilWindow
);

/// The means of `O` windows that cover a sequence, whatever its length.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 2.0, 6.0]]]);
/// let y: Tensor<Rank3<1, 1, 2>, f32, _> = AdaptiveAvgPool1D::<2>.forward(x);
/// assert_eq!(y.array(), [[[1.5, 4.0]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdaptiveAvgPool1D<const O: usize>;
bare!([const O: usize] AdaptiveAvgPool1D<O>);
linear_map!(
    [const O: usize,] AdaptiveAvgPool1D<O>,
    (B, C, L) -> (B, C, Const<O>), [],
    |_s, x| as_image(x, |x| kernels::try_adaptive_avg_pool2d(x, Const::<1>, Const::<O>))
);

linear_map!(
    [] super::GlobalAvgPool, (B, C, L) -> (B, C), [],
    |_s, x| image(x).and_then(kernels::try_global_avg_pool)
);

/// As an image of height 1.
impl<B: Dim, C: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<(B, C, L), E, D, T>>
    for super::GlobalMaxPool
{
    type Output = Tensor<(B, C), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(B, C, L), E, D, T>) -> Result<Self::Output, D::Err> {
        self.try_forward(image(x).map_err(device_error::<D, E>)?)
    }
}

/// As an image of height 1.
impl<B: Dim, C: Dim, L: Dim, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<(B, C, L), E, D, T>>
    for super::GlobalMaxPool
{
    type Output = Dual<(B, C), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, C, L), E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let [x, dx] = [image(x), image(dx)].map(|x| x.map_err(device_error::<D, E>));
        self.try_forward(Dual::join(x?, dx?))
    }
}
