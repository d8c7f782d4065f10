//! Convolution and transposed convolution over images and sequences.
//!
//! $$ Y_{n,o,i,j} = b_o + \sum_{c,u,v} W_{o,c,u,v}\; X_{n,\;g(o) C/G + c,\;\; i S_y - P_y + u L_y,\;\; j S_x - P_x + v L_x},
//!    \qquad g(o) = \Bigl\lfloor \frac{o}{O/G} \Bigr\rfloor $$
//!
//! with $X = 0$ outside of the image. This is cross-correlation, as everywhere in deep learning: convolution in the
//! sense of mathematics turns the kernel around. The transposed convolution is the adjoint of the same map, not its
//! inverse: $\langle \mathrm{conv}(x, w), y \rangle = \langle x, \mathrm{conv}^\top(y, w) \rangle$.
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $X$ | `x` | `(N, C, H, W)` |
//! | $W$ | `weight` | `(O, C / G, KH, KW)`; transposed: `(C, O / G, KH, KW)` |
//! | $b$ | `bias` | `(O,)` |
//! | $S$, $P$, $L$ | [`Steps`], [`Convolution`] | stride, padding, dilation per axis |
//! | $G$ | [`Convolution`] | groups; $G = C$ is the depthwise convolution, with $O / C$ maps per channel |
//! | $Y$ | result | `(N, O, H′, W′)`, see [`shape`](crate::shape) |
//!
//! Where sizes are known at run time only, [`conv2d_dyn`] and [`conv_transpose2d_dyn`] take all of them as
//! numbers. [`im2col`] writes the matrix of patches, [`col2im`] adds it up again.
//!
//! A sequence `(N, C, L)` is an image of height 1: [`conv1d`] and [`conv_transpose1d`] read and write it in place. What
//! follows a convolution element by element, such as ReLU, is part of it if the [`Convolution`] says so: its pass over
//! the result, and that over the gradient, are made while both are in the cache.
//!
//! **Algorithm** on the CPU: each image is copied once into padded planes whose rows are joined, one plane per phase of
//! the stride. A tap of the kernel is then one offset, and the convolution a sum of shifted lines, computed by a tile
//! that keeps 3 vectors of 4 or 8 output channels in registers. The gradient of the input is the same loop over the
//! padded gradient, once per phase. For the gradient of the weight the output's gradient is turned around, channels
//! last, so that a vector lies along the channels and a tap is one number of the image; with fewer than 4 channels a
//! group, as in a depthwise convolution, it is inner products of shifted lines. No matrix of patches is built. A 1×1
//! kernel of step 1 is a matrix product. On `Cuda` a kernel writes a matrix of patches, which cuBLAS multiplies.
//! **Complexity**: $N O H' W' \frac{C}{G} K_h K_w$ multiplications forward and twice that backward, a third less with
//! [`InputGradient::Skipped`](crate::InputGradient); $\frac{C}{G} H W$ numbers of memory per thread beside the result, and
//! up to 8 times the weight in backward.
//! **Not finite**: with fewer than 4 channels a group the gradient of the weight multiplies columns that lie between two
//! rows by zero, so that an infinite `x` can make the gradient of taps NaN that do not see it.
pub(crate) mod composed;
mod cpu;
mod maps;
pub(crate) mod passes;
pub(crate) mod patches;
mod run_time;

pub use patches::{Patches, col2im, im2col, try_col2im, try_im2col};
pub use run_time::{
    DynConvolution, Maps, conv_transpose2d_dyn, conv2d_dyn, try_conv_transpose2d_dyn, try_conv2d_dyn,
};

use crate::device::BaseDevice;
use crate::shape::{Over, Taps, Times, UpWindow, Window};
use crate::{Activation, ActivationKind, Device, Error, InputGradient, Real};
use dfdx::prelude::*;

/// Step `S`, padding `P` and dilation `L` of a convolution along one axis, as types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps<const S: usize = 1, const P: usize = 0, const L: usize = 1>;

/// A convolution but its weights: steps along both axes, groups `G`, what backward computes, what follows.
///
/// ```
/// use kernels::Relu;
/// use kernels::convolution::{Convolution, Steps};
/// let same = Convolution::square(Steps::<1, 1>).with_activation(Relu); // 3×3, keeps the size
/// let halved = Convolution::square(Steps::<2, 1>).in_groups::<4>();
/// let row = Convolution::new(Steps::<1, 0>, Steps::<1, 3>); // 1×7, keeps the size
/// let causal = Convolution::line(Steps::<1, 0, 2>); // a sequence, dilated by 2
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Convolution<Y, X, const G: usize = 1> {
    /// Along the height.
    pub y: Y,
    /// Along the width.
    pub x: X,
    /// Whether backward computes the gradient of the input, a third of all work.
    pub input_gradient: InputGradient,
    /// What is applied to the sum of products and bias.
    pub activation: ActivationKind,
}

impl<Y, X> Convolution<Y, X> {
    /// Different steps along height and width, one group, nothing that follows.
    pub fn new(y: Y, x: X) -> Self {
        Self { y, x, input_gradient: InputGradient::Needed, activation: ActivationKind::Identity }
    }
}

impl<X> Convolution<Steps, X> {
    /// Steps along a sequence, one group.
    pub fn line(steps: X) -> Self {
        Self::new(Steps, steps)
    }
}

impl<S: Copy> Convolution<S, S> {
    /// The same steps along both axes, one group.
    pub fn square(steps: S) -> Self {
        Self::new(steps, steps)
    }
}

impl<Y, X, const G: usize> Convolution<Y, X, G> {
    /// `NEW` groups: output channels of a group see its input channels alone.
    pub fn in_groups<const NEW: usize>(self) -> Convolution<Y, X, NEW> {
        let Self { y, x, input_gradient, activation } = self;
        Convolution { y, x, input_gradient, activation }
    }

    /// With or without the gradient of the input.
    pub fn with_input_gradient(self, input_gradient: InputGradient) -> Self {
        Self { input_gradient, ..self }
    }

    /// Followed by an activation function, in the same pass.
    pub fn with_activation(self, activation: impl Activation) -> Self {
        Self { activation: activation.kind(), ..self }
    }
}

/// One axis of a convolution in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Length on the side of the image, which the taps of a window see.
    pub extent: usize,
    /// Number of windows.
    pub windows: usize,
    /// The window.
    pub taps: Taps,
}

/// A convolution in numbers, which its types have checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Length of the batch.
    pub images: usize,
    /// $G$.
    pub groups: usize,
    /// Channels of a group on the side of the image.
    pub image_channels: usize,
    /// Channels of a group on the side of the windows.
    pub window_channels: usize,
    /// Height.
    pub y: Axis,
    /// Width.
    pub x: Axis,
    /// Whether backward computes the gradient of the input.
    pub input_gradient: InputGradient,
    /// What is applied to the result.
    pub activation: ActivationKind,
}

/// A device that runs the convolutions for elements of type `E`.
///
/// The methods are the bodies of the functions of [`convolution`](crate::convolution): call those. They read images and
/// sequences alike, for the numbers in [`Sizes`] say how the elements lie.
pub trait ConvolutionDevice<E: Real>: BaseDevice<E> {
    /// Body of [`try_conv2d`]: `x` is the image, `shape` that of the windows.
    fn conv2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<E, Self>>(
        x: Tensor<X, E, Self, T>,
        weight: &Tensor<W, E, Self>,
        bias: Option<&Tensor<(O,), E, Self>>,
        sizes: Sizes,
        shape: Y,
    ) -> Result<Tensor<Y, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::conv2d(x, weight, bias, sizes, shape)
    }

    /// Body of [`try_conv_transpose2d`]: `x` are the windows, `shape` that of the image.
    fn conv_transpose2d<X: Shape, W: Shape, O: Dim, Y: Shape, T: Tape<E, Self>>(
        x: Tensor<X, E, Self, T>,
        weight: &Tensor<W, E, Self>,
        bias: Option<&Tensor<(O,), E, Self>>,
        sizes: Sizes,
        shape: Y,
    ) -> Result<Tensor<Y, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        composed::conv_transpose2d(x, weight, bias, sizes, shape)
    }

    /// Body of [`try_im2col`].
    fn im2col<X: Shape, Y: Shape, T: Tape<E, Self>>(
        x: Tensor<X, E, Self, T>,
        patches: Patches,
        shape: Y,
    ) -> Result<Tensor<Y, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        patches::composed_im2col(x, patches, shape)
    }

    /// Body of [`try_col2im`].
    fn col2im<X: Shape, Y: Shape, T: Tape<E, Self>>(
        x: Tensor<X, E, Self, T>,
        patches: Patches,
        shape: Y,
    ) -> Result<Tensor<Y, E, Self, T>, Self::Err>
    where
        Self: Device<E>,
    {
        patches::composed_col2im(x, patches, shape)
    }
}

/// Two lengths of one axis, of which at least one is a number of the run.
fn same(axis: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::AxisLength { axis, expected, found }) }
}

/// Convolution of `x` with `weight`, plus `bias`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{Convolution, Steps, conv2d};
/// let device = Cpu::default();
/// let x = device.tensor([[[[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]);
/// let edges = device.tensor([[[[-1.0_f32, 1.0]]]]); // (O, C, KH, KW)
/// let bias = device.tensor([0.5_f32]);
/// let y: Tensor<Rank4<1, 1, 3, 2>, f32, _> =
///     conv2d(x, &edges, Some(&bias), Convolution::square(Steps::<1>));
/// assert_eq!(y.array(), [[[[1.5; 2]; 3]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_conv2d`].
pub fn conv2d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    H: Window<KH, SY, PY, LY>,
    W: Window<KW, SX, PX, LX>,
    O: Dim + Over<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const KH: usize,
    const KW: usize,
    const SY: usize,
    const PY: usize,
    const LY: usize,
    const SX: usize,
    const PX: usize,
    const LX: usize,
    const G: usize,
>(
    x: Tensor<(N, C, H, W), E, D, T>,
    weight: &Tensor<(O, C::Out, Const<KH>, Const<KW>), E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    convolution: Convolution<Steps<SY, PY, LY>, Steps<SX, PX, LX>, G>,
) -> Tensor<(N, O, H::Out, W::Out), E, D, T> {
    try_conv2d(x, weight, bias, convolution).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`conv2d`].
///
/// # Errors
/// For axes that are a `usize`: those of [`Taps::positions`], [`Error::Indivisible`] channels,
/// [`Error::AxisLength`] where the lengths of two operands differ. And the device's error.
pub fn try_conv2d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    H: Window<KH, SY, PY, LY>,
    W: Window<KW, SX, PX, LX>,
    O: Dim + Over<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const KH: usize,
    const KW: usize,
    const SY: usize,
    const PY: usize,
    const LY: usize,
    const SX: usize,
    const PX: usize,
    const LX: usize,
    const G: usize,
>(
    x: Tensor<(N, C, H, W), E, D, T>,
    weight: &Tensor<(O, <C as Over<Const<G>>>::Out, Const<KH>, Const<KW>), E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    convolution: Convolution<Steps<SY, PY, LY>, Steps<SX, PX, LX>, G>,
) -> Result<Tensor<(N, O, H::Out, W::Out), E, D, T>, Error> {
    let (n, c, h, w) = *x.shape();
    let (o, per_group, ..) = *weight.shape();
    let shape = (n, o, h.try_window()?, w.try_window()?);
    same("number of channels per group", per_group.size(), c.try_over(Const::<G>)?.size())?;
    if let Some(bias) = bias {
        same("length of the bias", o.size(), bias.shape().0.size())?;
    }
    let sizes = Sizes {
        images: n.size(),
        groups: G,
        image_channels: per_group.size(),
        window_channels: o.try_over(Const::<G>)?.size(),
        y: Axis {
            extent: h.size(),
            windows: shape.2.size(),
            taps: Taps { kernel: KH, stride: SY, padding: PY, dilation: LY },
        },
        x: Axis {
            extent: w.size(),
            windows: shape.3.size(),
            taps: Taps { kernel: KW, stride: SX, padding: PX, dilation: LX },
        },
        input_gradient: convolution.input_gradient,
        activation: convolution.activation,
    };
    D::conv2d(x, weight, bias, sizes, shape).map_err(Error::device)
}

/// Transposed convolution of `x` with `weight`, plus `bias`; `QY` and `QX` are the output paddings of
/// [`UpWindow`].
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{Convolution, OutputPadding, Steps, conv_transpose2d};
/// let device = Cpu::default();
/// let x = device.tensor([[[[1.0_f32, 2.0]]]]);
/// let weight = device.tensor([[[[1.0_f32, 10.0], [100.0, 1000.0]]]]); // (C, O, KH, KW)
/// let y: Tensor<Rank4<1, 1, 2, 4>, f32, _> =
///     conv_transpose2d(x, &weight, None, Convolution::square(Steps::<2>), OutputPadding::<0, 0>);
/// assert_eq!(y.array(), [[[[1.0, 10.0, 2.0, 20.0], [100.0, 1000.0, 200.0, 2000.0]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_conv_transpose2d`].
pub fn conv_transpose2d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    H: UpWindow<KH, SY, PY, LY, QY>,
    W: UpWindow<KW, SX, PX, LX, QX>,
    OG: Dim + Times<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const KH: usize,
    const KW: usize,
    const SY: usize,
    const PY: usize,
    const LY: usize,
    const SX: usize,
    const PX: usize,
    const LX: usize,
    const G: usize,
    const QY: usize,
    const QX: usize,
>(
    x: Tensor<(N, C, H, W), E, D, T>,
    weight: &Tensor<(C, OG, Const<KH>, Const<KW>), E, D>,
    bias: Option<&Tensor<(<OG as Times<Const<G>>>::Out,), E, D>>,
    convolution: Convolution<Steps<SY, PY, LY>, Steps<SX, PX, LX>, G>,
    output_padding: OutputPadding<QY, QX>,
) -> Tensor<(N, <OG as Times<Const<G>>>::Out, H::Out, W::Out), E, D, T> {
    try_conv_transpose2d(x, weight, bias, convolution, output_padding)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Positions added at the end of height and width by a transposed convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputPadding<const QY: usize = 0, const QX: usize = 0>;

/// Fallible twin of [`conv_transpose2d`].
///
/// # Errors
/// For axes that are a `usize`: those of [`Taps::transposed`], [`Error::Indivisible`] channels,
/// [`Error::AxisLength`] where the lengths of two operands differ. And the device's error.
pub fn try_conv_transpose2d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    H: UpWindow<KH, SY, PY, LY, QY>,
    W: UpWindow<KW, SX, PX, LX, QX>,
    OG: Dim + Times<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const KH: usize,
    const KW: usize,
    const SY: usize,
    const PY: usize,
    const LY: usize,
    const SX: usize,
    const PX: usize,
    const LX: usize,
    const G: usize,
    const QY: usize,
    const QX: usize,
>(
    x: Tensor<(N, C, H, W), E, D, T>,
    weight: &Tensor<(C, OG, Const<KH>, Const<KW>), E, D>,
    bias: Option<&Tensor<(<OG as Times<Const<G>>>::Out,), E, D>>,
    convolution: Convolution<Steps<SY, PY, LY>, Steps<SX, PX, LX>, G>,
    _: OutputPadding<QY, QX>,
) -> Result<Tensor<(N, <OG as Times<Const<G>>>::Out, H::Out, W::Out), E, D, T>, Error> {
    let (n, c, h, w) = *x.shape();
    let (channels, per_group, ..) = *weight.shape();
    same("number of channels", channels.size(), c.size())?;
    let o = per_group.try_times(Const::<G>)?;
    let shape = (n, o, h.try_up_window()?, w.try_up_window()?);
    if let Some(bias) = bias {
        same("length of the bias", o.size(), bias.shape().0.size())?;
    }
    let sizes = Sizes {
        images: n.size(),
        groups: G,
        image_channels: per_group.size(),
        window_channels: c.try_over(Const::<G>)?.size(),
        y: Axis {
            extent: shape.2.size(),
            windows: h.size(),
            taps: Taps { kernel: KH, stride: SY, padding: PY, dilation: LY },
        },
        x: Axis {
            extent: shape.3.size(),
            windows: w.size(),
            taps: Taps { kernel: KW, stride: SX, padding: PX, dilation: LX },
        },
        input_gradient: convolution.input_gradient,
        activation: convolution.activation,
    };
    D::conv_transpose2d(x, weight, bias, sizes, shape).map_err(Error::device)
}

/// The height of a sequence.
const LINE: Axis = Axis { extent: 1, windows: 1, taps: Taps::new(1) };

/// Convolution of sequences `(N, C, L)` with `weight` `(O, C / G, K)`, plus `bias`.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{Convolution, Steps, conv1d};
/// let device = Cpu::default();
/// let x = device.tensor([[[1.0_f32, 4.0, 9.0, 16.0]]]);
/// let difference = device.tensor([[[-1.0_f32, 1.0]]]);
/// let y: Tensor<Rank3<1, 1, 3>, f32, _> =
///     conv1d(x, &difference, None, Convolution::line(Steps::<1>));
/// assert_eq!(y.array(), [[[3.0, 5.0, 7.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_conv1d`].
pub fn conv1d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    L: Window<K, S, P, DILATION>,
    O: Dim + Over<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const K: usize,
    const S: usize,
    const P: usize,
    const DILATION: usize,
    const G: usize,
>(
    x: Tensor<(N, C, L), E, D, T>,
    weight: &Tensor<(O, C::Out, Const<K>), E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    convolution: Convolution<Steps, Steps<S, P, DILATION>, G>,
) -> Tensor<(N, O, L::Out), E, D, T> {
    try_conv1d(x, weight, bias, convolution).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`conv1d`].
///
/// # Errors
/// As [`try_conv2d`].
pub fn try_conv1d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    L: Window<K, S, P, DILATION>,
    O: Dim + Over<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const K: usize,
    const S: usize,
    const P: usize,
    const DILATION: usize,
    const G: usize,
>(
    x: Tensor<(N, C, L), E, D, T>,
    weight: &Tensor<(O, <C as Over<Const<G>>>::Out, Const<K>), E, D>,
    bias: Option<&Tensor<(O,), E, D>>,
    convolution: Convolution<Steps, Steps<S, P, DILATION>, G>,
) -> Result<Tensor<(N, O, L::Out), E, D, T>, Error> {
    let (n, c, length) = *x.shape();
    let (o, per_group, _) = *weight.shape();
    let shape = (n, o, length.try_window()?);
    same("number of channels per group", per_group.size(), c.try_over(Const::<G>)?.size())?;
    if let Some(bias) = bias {
        same("length of the bias", o.size(), bias.shape().0.size())?;
    }
    let sizes = Sizes {
        images: n.size(),
        groups: G,
        image_channels: per_group.size(),
        window_channels: o.try_over(Const::<G>)?.size(),
        y: LINE,
        x: Axis {
            extent: length.size(),
            windows: shape.2.size(),
            taps: Taps { kernel: K, stride: S, padding: P, dilation: DILATION },
        },
        input_gradient: convolution.input_gradient,
        activation: convolution.activation,
    };
    D::conv2d(x, weight, bias, sizes, shape).map_err(Error::device)
}

/// Transposed convolution of sequences `(N, C, L)` with `weight` `(C, O / G, K)`, plus `bias`; `Q` is the output padding
/// of [`UpWindow`].
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::convolution::{Convolution, OutputPadding, Steps, conv_transpose1d};
/// let device = Cpu::default();
/// let x = device.tensor([[[1.0_f32, 2.0, 3.0]]]);
/// let weight = device.tensor([[[1.0_f32, 10.0]]]);
/// let y: Tensor<Rank3<1, 1, 6>, f32, _> =
///     conv_transpose1d(x, &weight, None, Convolution::line(Steps::<2>), OutputPadding::<0, 0>);
/// assert_eq!(y.array(), [[[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_conv_transpose1d`].
pub fn conv_transpose1d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    L: UpWindow<K, S, P, DILATION, Q>,
    OG: Dim + Times<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const K: usize,
    const S: usize,
    const P: usize,
    const DILATION: usize,
    const G: usize,
    const Q: usize,
>(
    x: Tensor<(N, C, L), E, D, T>,
    weight: &Tensor<(C, OG, Const<K>), E, D>,
    bias: Option<&Tensor<(<OG as Times<Const<G>>>::Out,), E, D>>,
    convolution: Convolution<Steps, Steps<S, P, DILATION>, G>,
    output_padding: OutputPadding<0, Q>,
) -> Tensor<(N, <OG as Times<Const<G>>>::Out, L::Out), E, D, T> {
    try_conv_transpose1d(x, weight, bias, convolution, output_padding)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`conv_transpose1d`].
///
/// # Errors
/// As [`try_conv_transpose2d`].
pub fn try_conv_transpose1d<
    N: Dim,
    C: Dim + Over<Const<G>>,
    L: UpWindow<K, S, P, DILATION, Q>,
    OG: Dim + Times<Const<G>>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    const K: usize,
    const S: usize,
    const P: usize,
    const DILATION: usize,
    const G: usize,
    const Q: usize,
>(
    x: Tensor<(N, C, L), E, D, T>,
    weight: &Tensor<(C, OG, Const<K>), E, D>,
    bias: Option<&Tensor<(<OG as Times<Const<G>>>::Out,), E, D>>,
    convolution: Convolution<Steps, Steps<S, P, DILATION>, G>,
    _: OutputPadding<0, Q>,
) -> Result<Tensor<(N, <OG as Times<Const<G>>>::Out, L::Out), E, D, T>, Error> {
    let (n, c, length) = *x.shape();
    let (channels, per_group, _) = *weight.shape();
    same("number of channels", channels.size(), c.size())?;
    let o = per_group.try_times(Const::<G>)?;
    let shape = (n, o, length.try_up_window()?);
    if let Some(bias) = bias {
        same("length of the bias", o.size(), bias.shape().0.size())?;
    }
    let sizes = Sizes {
        images: n.size(),
        groups: G,
        image_channels: per_group.size(),
        window_channels: c.try_over(Const::<G>)?.size(),
        y: LINE,
        x: Axis {
            extent: shape.2.size(),
            windows: length.size(),
            taps: Taps { kernel: K, stride: S, padding: P, dilation: DILATION },
        },
        input_gradient: convolution.input_gradient,
        activation: convolution.activation,
    };
    D::conv_transpose2d(x, weight, bias, sizes, shape).map_err(Error::device)
}

#[cfg(all(test, not(loom)))]
pub(crate) mod cases;
#[cfg(all(test, not(loom)))]
mod tests;
