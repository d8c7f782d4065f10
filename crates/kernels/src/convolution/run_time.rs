//! The run-time twins: kernel, stride, padding, dilation and groups are numbers of the run, and so are the lengths that
//! follow from them. What the compiler checks of [`conv2d`](super::conv2d) is a typed error here.
use super::{Axis, Sizes, same};
use crate::shape::{Over, Taps, Times};
use crate::{ActivationKind, Device, Error, InputGradient, Real};
use dfdx::prelude::*;

/// A convolution but its weights, in numbers: the run-time twin of [`Convolution`](super::Convolution). Pairs are rows,
/// columns; a sequence uses the second alone.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{DynConvolution, try_conv2d_dyn};
/// let device = Cpu::default();
/// let x = device.zeros_like(&(1, 6, 9, 9)).leaky_trace();
/// let weight: Tensor<(usize, usize, usize, usize), f32, _> = device.zeros_like(&(4, 3, 3, 3));
/// let halved = DynConvolution { stride: [2, 2], padding: [1, 1], groups: 2, ..DynConvolution::default() };
/// let y = try_conv2d_dyn(x, &weight, None, halved)?;
/// assert_eq!(*y.shape(), (1, 4, 5, 5));
/// let error = try_conv2d_dyn(y, &weight, None, halved).map(|_| ()).unwrap_err();
/// assert_eq!(error.to_string(), "the number of channels per group of the input is 2 but must be 3; give an input of that size");
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DynConvolution {
    /// Pixels from one window to the next, at least 1.
    pub stride: [usize; 2],
    /// Zeros before and after each axis.
    pub padding: [usize; 2],
    /// Pixels from one tap to the next, at least 1.
    pub dilation: [usize; 2],
    /// Groups of channels, at least 1: output channels of a group see its input channels alone.
    pub groups: usize,
    /// Positions that a transposed convolution adds at the end of each axis; a convolution ignores them.
    pub output_padding: [usize; 2],
    /// Whether backward computes the gradient of the input.
    pub input_gradient: InputGradient,
    /// What is applied to the sum of products and bias.
    pub activation: ActivationKind,
}

/// Stride and dilation 1, no padding, one group, nothing that follows.
impl Default for DynConvolution {
    fn default() -> Self {
        Self {
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
            output_padding: [0; 2],
            input_gradient: InputGradient::Needed,
            activation: ActivationKind::Identity,
        }
    }
}

/// Lengths of images, channels, rows and columns.
type Lengths = [usize; 4];

impl DynConvolution {
    /// With nothing along the rows of a sequence, which has one.
    fn of<X: Maps>(self) -> Self {
        let Self { stride, padding, dilation, output_padding, .. } = self;
        let along =
            |[rows, columns]: [usize; 2], one| if X::IS_SEQUENCE { [one, columns] } else { [rows, columns] };
        Self {
            stride: along(stride, 1),
            padding: along(padding, 0),
            dilation: along(dilation, 1),
            output_padding: along(output_padding, 0),
            ..self
        }
    }

    /// The window along an axis.
    fn taps(&self, axis: usize, kernel: usize) -> Taps {
        Taps { kernel, stride: self.stride[axis], padding: self.padding[axis], dilation: self.dilation[axis] }
    }

    /// The convolution of an image with weights of `(O, C / G, KH, KW)`.
    fn sizes(
        &self,
        [n, c, h, w]: Lengths,
        [o, per_group, kh, kw]: Lengths,
        bias: Option<usize>,
    ) -> Result<Sizes, Error> {
        let axis = |axis, extent, kernel| -> Result<Axis, Error> {
            let taps = self.taps(axis, kernel);
            Ok(Axis { extent, windows: taps.positions(extent)?, taps })
        };
        same("number of channels per group", per_group, c.try_over(self.groups)?)?;
        let window_channels = o.try_over(self.groups)?;
        self.with_axes(
            [n, per_group, window_channels],
            [axis(0, h, kh)?, axis(1, w, kw)?],
            bias.map(|bias| [o, bias]),
        )
    }

    /// The transposed convolution of windows with weights of `(C, O / G, KH, KW)`.
    fn transposed_sizes(
        &self,
        [n, c, h, w]: Lengths,
        [channels, per_group, kh, kw]: Lengths,
        bias: Option<usize>,
    ) -> Result<Sizes, Error> {
        let axis = |axis: usize, windows, kernel| -> Result<Axis, Error> {
            let taps = self.taps(axis, kernel);
            Ok(Axis { extent: taps.transposed(windows, self.output_padding[axis])?, windows, taps })
        };
        same("number of channels", channels, c)?;
        let window_channels = c.try_over(self.groups)?;
        let o = per_group.try_times(self.groups)?;
        self.with_axes(
            [n, per_group, window_channels],
            [axis(0, h, kh)?, axis(1, w, kw)?],
            bias.map(|bias| [o, bias]),
        )
    }

    fn with_axes(
        &self,
        [images, image_channels, window_channels]: [usize; 3],
        [y, x]: [Axis; 2],
        bias: Option<[usize; 2]>,
    ) -> Result<Sizes, Error> {
        if let Some([channels, found]) = bias {
            same("length of the bias", channels, found)?;
        }
        let Self { groups, input_gradient, activation, .. } = *self;
        Ok(Sizes { images, groups, image_channels, window_channels, y, x, input_gradient, activation })
    }
}

/// Images or sequences of any kind of axes, and what a convolution makes of them.
pub trait Maps: Shape {
    /// Whether there are columns alone.
    const IS_SEQUENCE: bool;
    /// The lengths of the result are numbers of the run, but for the batch.
    type Out: Shape;
    /// Images, channels, rows, columns; a sequence is an image of height 1.
    fn lengths(&self) -> Lengths;
    /// The shape of the result.
    fn with(&self, channels: usize, rows: usize, columns: usize) -> Self::Out;
}
impl<N: Dim, C: Dim, H: Dim, W: Dim> Maps for (N, C, H, W) {
    const IS_SEQUENCE: bool = false;
    type Out = (N, usize, usize, usize);
    fn lengths(&self) -> Lengths {
        [self.0.size(), self.1.size(), self.2.size(), self.3.size()]
    }
    fn with(&self, channels: usize, rows: usize, columns: usize) -> Self::Out {
        (self.0, channels, rows, columns)
    }
}
impl<N: Dim, C: Dim, L: Dim> Maps for (N, C, L) {
    const IS_SEQUENCE: bool = true;
    type Out = (N, usize, usize);
    fn lengths(&self) -> Lengths {
        [self.0.size(), self.1.size(), 1, self.2.size()]
    }
    fn with(&self, channels: usize, _: usize, columns: usize) -> Self::Out {
        (self.0, channels, columns)
    }
}

/// [`conv2d`](super::conv2d), and with three axes [`conv1d`](super::conv1d), in numbers of the run: `x` is `(N, C, H, W)` and
/// `weight` `(O, C / G, KH, KW)`, or `(N, C, L)` and `(O, C / G, K)`. See [`DynConvolution`].
///
/// # Panics
/// On the errors of [`try_conv2d_dyn`].
pub fn conv2d_dyn<X: Maps, W: Maps, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(usize,), E, D>>,
    convolution: DynConvolution,
) -> Tensor<X::Out, E, D, T> {
    try_conv2d_dyn(x, weight, bias, convolution).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`conv2d_dyn`].
///
/// # Errors
/// Those of [`Taps::positions`]: no tap, no step, a window that is longer than the padded axis;
/// [`Error::Indivisible`] channels, [`Error::AxisLength`] where the lengths of two operands differ. And the device's.
pub fn try_conv2d_dyn<X: Maps, W: Maps, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(usize,), E, D>>,
    convolution: DynConvolution,
) -> Result<Tensor<X::Out, E, D, T>, Error> {
    let weights = weight.shape().lengths();
    let sizes = convolution.of::<X>().sizes(x.shape().lengths(), weights, bias.map(|bias| bias.shape().0))?;
    let shape = x.shape().with(weights[0], sizes.y.windows, sizes.x.windows);
    D::conv2d(x, weight, bias, sizes, shape).map_err(Error::device)
}

/// [`conv_transpose2d`](super::conv_transpose2d), and with three axes its twin for sequences, in numbers of the run: `x` is
/// `(N, C, H, W)` and `weight` `(C, O / G, KH, KW)`, or `(N, C, L)` and `(C, O / G, K)`. See [`DynConvolution`].
///
/// # Panics
/// On the errors of [`try_conv_transpose2d_dyn`].
pub fn conv_transpose2d_dyn<X: Maps, W: Maps, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(usize,), E, D>>,
    convolution: DynConvolution,
) -> Tensor<X::Out, E, D, T> {
    try_conv_transpose2d_dyn(x, weight, bias, convolution).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`conv_transpose2d_dyn`].
///
/// # Errors
/// Those of [`Taps::transposed`]; [`Error::Indivisible`] channels, [`Error::AxisLength`] where the lengths of two operands
/// differ. And the device's.
pub fn try_conv_transpose2d_dyn<X: Maps, W: Maps, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<X, E, D, T>,
    weight: &Tensor<W, E, D>,
    bias: Option<&Tensor<(usize,), E, D>>,
    convolution: DynConvolution,
) -> Result<Tensor<X::Out, E, D, T>, Error> {
    let weights = weight.shape().lengths();
    let bias_length = bias.map(|bias| bias.shape().0);
    let sizes = convolution.of::<X>().transposed_sizes(x.shape().lengths(), weights, bias_length)?;
    let shape = x.shape().with(sizes.groups * sizes.image_channels, sizes.y.extent, sizes.x.extent);
    D::conv_transpose2d(x, weight, bias, sizes, shape).map_err(Error::device)
}
