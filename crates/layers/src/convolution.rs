//! Convolution as modules: of images `(B, C, H, W)` and of sequences `(B, C, L)`.
//!
//! Formulas and algorithms stand in [`kernels::convolution`]; here is what a module adds: weights, their start, an
//! activation, tangents.
//!
//! | module | weight | output |
//! |---|---|---|
//! | [`Conv2D`], [`UnbiasedConv2D`] | `(O, I, K, K)` | `(B, O, H′, W′)`, $H' = \lfloor (H + 2P - L(K-1) - 1)/S \rfloor + 1$ |
//! | [`GroupedConv2D`] | `(O, I / G, K, K)` | the same |
//! | [`RectConv2D`] | `(O, I / G, KH, KW)`: all of the above are this type | per axis |
//! | [`ConvTranspose2D`], [`GroupedConvTranspose2D`] | `(I, O / G, K, K)` | $H' = (H - 1) S - 2P + L(K-1) + Q + 1$ |
//! | [`Conv1D`], [`UnbiasedConv1D`] | `(O, I, K)` | `(B, O, L′)` |
//! | [`GroupedConv1D`] | `(O, I / G, K)` | the same |
//! | [`ConvTranspose1D`], [`GroupedConvTranspose1D`] | `(I, O / G, K)` | the same |
//! | [`Flatten`] | none | `(B, C H W)` |
//!
//! Zeros are padded; [`Pad1D`](crate::resampling::Pad1D) and [`Pad2D`](crate::resampling::Pad2D) before a convolution mirror
//! or repeat the border instead. `H`, `W` and the length `L` may be `Const`, and then the compiler knows the output's, or `usize`.
//! **Initialisation**: weights and biases uniform in $\pm 1/\sqrt{\text{fan in}}$, PyTorch's, where the fan is the number
//! of elements of one row of the weight (for the transposed convolution too, although an output of it sums over another
//! number). [`crate::init`] has others.
//! **Errors**: a run-time image that a window does not fit panics with the message of [`kernels::Error`], since a module
//! in a tuple of dfdx can return a device's error only; the kernels return it.
use crate::activation::{Activation, Identity};
use crate::dual::along::detached;
use crate::dual::own_layers::activate;
use crate::normalisation::{Weighted, device_error};
use crate::pooling::bare;
use crate::{Along, Cost, Dual};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{
    Const, ConstDim, Dim, Dtype, HasShape, Rank1, Storage, Tape, Tensor, TryAdd, WithEmptyTape,
};
use kernels::convolution::{Axis, Sizes};
use kernels::shape::{Over, Taps, Times, UpWindow, Window};
use kernels::{ActivationKind, Device, InputGradient, Real, RowMajor};
use rand_distr::Uniform;
use std::fmt::Debug;
use std::marker::PhantomData;

mod sequences;

pub use kernels::convolution::Steps;
pub use sequences::{Conv1D, ConvTranspose1D, GroupedConv1D, GroupedConvTranspose1D, UnbiasedConv1D};

/// Descriptions of the convolutions, for `build_module`.
pub mod builder {
    use super::{Biased, Groups, Identity, OneGroup, PhantomData, Steps, Unbiased};

    /// Builds a [`RectConv2D`](super::RectConv2D) from `I` to `O` channels with `KH` × `KW` taps, whose [`Steps`] are
    /// `Y` along the height and `X` along the width, followed by the activation `A`.
    ///
    /// # Examples
    /// ```
    /// use layers::{convolution::Steps, prelude::*};
    /// type Row = RectConv2D<3, 4, 1, 7, Steps, Steps<1, 3>, Relu>; // 1×7, keeps the size
    /// let row = Cpu::default().build_module::<Row, f32>();
    /// let x = Cpu::default().zeros::<Rank4<2, 3, 17, 17>>();
    /// let y: Tensor<Rank4<2, 4, 17, 17>, f32, _> = row.forward(x);
    /// ```
    #[derive(Clone, Copy, Debug, Default)]
    #[allow(clippy::type_complexity)]
    pub struct RectConv2D<
        const I: usize,
        const O: usize,
        const KH: usize,
        const KW: usize,
        Y = Steps,
        X = Steps,
        A = Identity,
        B = Biased,
        G = OneGroup,
    >(PhantomData<(Y, X, A, B, G)>);
    /// Builds a convolution of `K` × `K` taps, stride `S`, padding `P`, dilation `L`, with a bias.
    pub type Conv2D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
    > = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, A>;
    /// Builds a convolution without bias: what a batch normalisation follows.
    pub type UnbiasedConv2D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
    > = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, A, Unbiased>;
    /// Builds a convolution in `G` groups; `G` = `I` is the depthwise convolution.
    pub type GroupedConv2D<
        const I: usize,
        const O: usize,
        const K: usize,
        const G: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
        B = Biased,
    > = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, A, B, Groups<G>>;
    /// Builds a [`ConvTranspose2D`](super::ConvTranspose2D): `Q` is the output padding.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct ConvTranspose2D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        const Q: usize = 0,
        A = Identity,
        G = OneGroup,
    >(PhantomData<(A, G)>);
    /// Builds a [`ConvTranspose2D`](super::ConvTranspose2D) in `G` groups; `G` = `O` is the depthwise one.
    pub type GroupedConvTranspose2D<
        const I: usize,
        const O: usize,
        const K: usize,
        const G: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        const Q: usize = 0,
        A = Identity,
    > = ConvTranspose2D<I, O, K, S, P, L, Q, A, Groups<G>>;
    /// Builds a [`Conv1D`](super::Conv1D) of `K` taps along a sequence, stride `S`, padding `P`, dilation `L`.
    #[derive(Clone, Copy, Debug, Default)]
    #[allow(clippy::type_complexity)]
    pub struct Conv1D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
        B = Biased,
        G = OneGroup,
    >(PhantomData<(A, B, G)>);
    /// Builds a [`Conv1D`](super::Conv1D) without bias: what a batch normalisation follows.
    pub type UnbiasedConv1D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
    > = Conv1D<I, O, K, S, P, L, A, Unbiased>;
    /// Builds a [`Conv1D`](super::Conv1D) in `G` groups; `G` = `I` is the depthwise convolution.
    pub type GroupedConv1D<
        const I: usize,
        const O: usize,
        const K: usize,
        const G: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        A = Identity,
        B = Biased,
    > = Conv1D<I, O, K, S, P, L, A, B, Groups<G>>;
    /// Builds a [`ConvTranspose1D`](super::ConvTranspose1D): `Q` is the output padding.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct ConvTranspose1D<
        const I: usize,
        const O: usize,
        const K: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        const Q: usize = 0,
        A = Identity,
        G = OneGroup,
    >(PhantomData<(A, G)>);
    /// Builds a [`ConvTranspose1D`](super::ConvTranspose1D) in `G` groups; `G` = `O` is the depthwise one.
    pub type GroupedConvTranspose1D<
        const I: usize,
        const O: usize,
        const K: usize,
        const G: usize,
        const S: usize = 1,
        const P: usize = 0,
        const L: usize = 1,
        const Q: usize = 0,
        A = Identity,
    > = ConvTranspose1D<I, O, K, S, P, L, Q, A, Groups<G>>;
}

/// Every output channel sees every input channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OneGroup;
/// The channels are in `G` groups; an output channel sees those of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups<const G: usize>;

/// How `C` channels are grouped: [`OneGroup`] or [`Groups`]. They are those of the images, a convolution's input and a
/// transposed convolution's output.
pub trait Grouping<const C: usize>: Copy + Default + Debug + 'static {
    /// Channels of a group.
    type Channels: ConstDim;
    /// $G$.
    const COUNT: usize;
}
impl<const I: usize> Grouping<I> for OneGroup {
    type Channels = Const<I>;
    const COUNT: usize = 1;
}
impl<const I: usize, const G: usize> Grouping<I> for Groups<G>
where
    Const<I>: Over<Const<G>, Out: ConstDim>,
{
    type Channels = <Const<I> as Over<Const<G>>>::Out;
    const COUNT: usize = G;
}

/// A number is added to each output channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Biased;
/// Nothing is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unbiased;

/// Whether a convolution has a bias: [`Biased`] or [`Unbiased`].
pub trait BiasOption: Copy + Default + Debug + 'static {
    /// The bias of `O` channels, or nothing.
    type Of<const O: usize, E: Dtype, D: Storage<E>>: Clone + Debug;
    /// Whether there is one.
    const EXISTS: bool;
    /// The bias as an operand of the kernels.
    fn operand<const O: usize, E: Dtype, D: Storage<E>>(
        bias: &Self::Of<O, E, D>,
    ) -> Option<&Tensor<Rank1<O>, E, D>>;
}
impl BiasOption for Biased {
    type Of<const O: usize, E: Dtype, D: Storage<E>> = Tensor<Rank1<O>, E, D>;
    const EXISTS: bool = true;
    fn operand<const O: usize, E: Dtype, D: Storage<E>>(
        bias: &Tensor<Rank1<O>, E, D>,
    ) -> Option<&Tensor<Rank1<O>, E, D>> {
        Some(bias)
    }
}
impl BiasOption for Unbiased {
    type Of<const O: usize, E: Dtype, D: Storage<E>> = ();
    const EXISTS: bool = false;
    fn operand<const O: usize, E: Dtype, D: Storage<E>>((): &()) -> Option<&Tensor<Rank1<O>, E, D>> {
        None
    }
}

/// Shape of a convolution's weight.
type WeightShape<const I: usize, const O: usize, const KH: usize, const KW: usize, G> =
    (Const<O>, <G as Grouping<I>>::Channels, Const<KH>, Const<KW>);

/// A convolution of images; [`builder::RectConv2D`] and its short forms describe it without dtype and device.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut first = dev.build_module::<Conv2D<1, 6, 5, 1, 0, 1, Tanh>, f32>(); // LeNet-5's C1
/// first.input_gradient = InputGradient::Skipped; // it reads data
/// let images: Tensor<Rank4<8, 1, 32, 32>, f32, _> = dev.sample_normal();
/// let maps: Tensor<Rank4<8, 6, 28, 28>, f32, _> = first.forward(images);
/// ```
#[derive(Clone, Debug)]
pub struct RectConv2D<
    const I: usize,
    const O: usize,
    const KH: usize,
    const KW: usize,
    Y,
    X,
    E: Dtype,
    D: Storage<E>,
    A = Identity,
    B: BiasOption = Biased,
    G: Grouping<I> = OneGroup,
> {
    /// $W$, `(O, I / G, KH, KW)`.
    pub weight: Tensor<WeightShape<I, O, KH, KW, G>, E, D>,
    /// $b$, `(O)`, or `()`.
    pub bias: B::Of<O, E, D>,
    /// $\varphi$.
    pub activation: A,
    /// Whether backward computes the gradient of the input, a third of its work. Skip it on the first layer of a model
    /// that is not asked for the gradient of its data. Building and dfdx's `to_dtype` set it to `Needed`.
    pub input_gradient: InputGradient,
    steps: PhantomData<(Y, X, G)>,
}

impl<const I: usize, const O: usize, const KH: usize, const KW: usize, Y, X, E, D, A, B, G> Weighted<O, E, D>
    for RectConv2D<I, O, KH, KW, Y, X, E, D, A, B, G>
where
    Y: Clone,
    X: Clone,
    E: Dtype,
    D: Storage<E>,
    A: Activation,
    B: BiasOption,
    G: Grouping<I>,
{
    type Weight = WeightShape<I, O, KH, KW, G>;
    fn weight(&self) -> &Tensor<Self::Weight, E, D> {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor<Self::Weight, E, D>) -> Self {
        Self { weight, ..self.clone() }
    }
}

/// A convolution of `K` × `K` taps with a bias.
pub type Conv2D<
    const I: usize,
    const O: usize,
    const K: usize,
    E,
    D,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    A = Identity,
> = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, E, D, A>;
/// A convolution without bias.
pub type UnbiasedConv2D<
    const I: usize,
    const O: usize,
    const K: usize,
    E,
    D,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    A = Identity,
> = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, E, D, A, Unbiased>;
/// A convolution in `G` groups.
pub type GroupedConv2D<
    const I: usize,
    const O: usize,
    const K: usize,
    const G: usize,
    E,
    D,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    A = Identity,
    B = Biased,
> = RectConv2D<I, O, K, K, Steps<S, P, L>, Steps<S, P, L>, E, D, A, B, Groups<G>>;

/// What the pre-activation is followed by.
const LINEAR: ActivationKind = ActivationKind::Identity;

/// PyTorch's start: uniform within one by the square root of the fan-in.
fn uniform<E: Real>(fan_in: usize) -> Uniform<E> {
    let bound = E::one() / E::of(fan_in as f64).sqrt();
    Uniform::new(-bound, bound)
}

macro_rules! tensors {
    ($bias:ident, $($field:ident)?) => {
        impl<const I: usize, const O: usize, const KH: usize, const KW: usize, Y, X, E, D, A, G> BuildOnDevice<D, E>
            for builder::RectConv2D<I, O, KH, KW, Y, X, A, $bias, G>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
            A: Activation,
            G: Grouping<I>,
        {
            type Built = RectConv2D<I, O, KH, KW, Y, X, E, D, A, $bias, G>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<const I: usize, const O: usize, const KH: usize, const KW: usize, Y, X, E, D, A, G>
            TensorCollection<E, D> for RectConv2D<I, O, KH, KW, Y, X, E, D, A, $bias, G>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
            A: Activation,
            G: Grouping<I>,
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> =
                RectConv2D<I, O, KH, KW, Y, X, E2, D2, A, $bias, G>;

            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                visitor.visit_fields(
                    (
                        Self::tensor(
                            "weight",
                            |s| &s.weight,
                            |s| &mut s.weight,
                            TensorOptions::reset_with(|weight| {
                                weight.try_fill_with_distr(uniform(I / G::COUNT * KH * KW))
                            }),
                        ),
                        $(Self::tensor(
                            stringify!($field),
                            |s| &s.$field,
                            |s| &mut s.$field,
                            TensorOptions::reset_with(|bias| {
                                bias.try_fill_with_distr(uniform(I / G::COUNT * KH * KW))
                            }),
                        ),)?
                    ),
                    |fields| {
                        let (weight, bias) = tensors!(@parts fields $($field)?);
                        RectConv2D {
                            weight,
                            bias,
                            activation: A::default(),
                            input_gradient: InputGradient::Needed,
                            steps: PhantomData,
                        }
                    },
                )
            }
        }
    };
    (@parts $fields:ident bias) => {
        $fields
    };
    (@parts $fields:ident) => {
        ($fields.0, ())
    };
}
tensors!(Biased, bias);
tensors!(Unbiased,);

impl<const I: usize, const O: usize, const KH: usize, const KW: usize, Y, X, E: Dtype, D, A, B, G>
    NonMutableModule for RectConv2D<I, O, KH, KW, Y, X, E, D, A, B, G>
where
    D: Storage<E>,
    B: BiasOption,
    G: Grouping<I>,
{
}

/// The three ways through a convolution, each for inputs `(N, I, H, W)`.
macro_rules! passes {
    ($(#[$doc:meta])* $trait:ident<$operand:ident> { $($body:tt)* }) => {
        $(#[$doc])*
        impl<
            N: Dim,
            H: Window<KH, SY, PY, LY>,
            W: Window<KW, SX, PX, LX>,
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
            A: Activation,
            B: BiasOption,
            G: Grouping<I>,
            const I: usize,
            const O: usize,
            const KH: usize,
            const KW: usize,
            const SY: usize,
            const PY: usize,
            const LY: usize,
            const SX: usize,
            const PX: usize,
            const LX: usize,
        > $trait<$operand<(N, Const<I>, H, W), E, D, T>>
            for RectConv2D<I, O, KH, KW, Steps<SY, PY, LY>, Steps<SX, PX, LX>, E, D, A, B, G>
        {
            type Output = $operand<(N, Const<O>, H::Out, W::Out), E, D, T>;
            type Error = D::Err;
            $($body)*
        }
    };
}

impl<
    const I: usize,
    const O: usize,
    const KH: usize,
    const KW: usize,
    const SY: usize,
    const PY: usize,
    const LY: usize,
    const SX: usize,
    const PX: usize,
    const LX: usize,
    E: Real,
    D: Device<E>,
    A,
    B: BiasOption,
    G: Grouping<I>,
> RectConv2D<I, O, KH, KW, Steps<SY, PY, LY>, Steps<SX, PX, LX>, E, D, A, B, G>
{
    /// The layer's map with other numbers in place of its own.
    #[allow(clippy::type_complexity)]
    fn convolve<N: Dim, H: Window<KH, SY, PY, LY>, W: Window<KW, SX, PX, LX>, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>, H, W), E, D, T>,
        weight: &Tensor<WeightShape<I, O, KH, KW, G>, E, D>,
        bias: Option<&Tensor<Rank1<O>, E, D>>,
        (input_gradient, activation): (InputGradient, ActivationKind),
    ) -> Result<Tensor<(N, Const<O>, H::Out, W::Out), E, D, T>, D::Err> {
        const { assert!(O.is_multiple_of(G::COUNT), "output channels must be divisible by groups") };
        let (n, _, h, w) = *x.shape();
        let rows = h.try_window().map_err(device_error::<D, E>)?;
        let cols = w.try_window().map_err(device_error::<D, E>)?;
        let y = Taps { kernel: KH, stride: SY, padding: PY, dilation: LY };
        let across = Taps { kernel: KW, stride: SX, padding: PX, dilation: LX };
        let sizes = Sizes {
            images: n.size(),
            groups: G::COUNT,
            image_channels: I / G::COUNT,
            window_channels: O / G::COUNT,
            y: Axis { extent: h.size(), windows: rows.size(), taps: y },
            x: Axis { extent: w.size(), windows: cols.size(), taps: across },
            input_gradient,
            activation,
        };
        D::conv2d(x, weight, bias, sizes, (n, Const, rows, cols))
    }

    /// Value and tangent before the activation: the layer is linear in its input, the bias does not move with it.
    #[allow(clippy::type_complexity)]
    fn pre_activation<N: Dim, H: Window<KH, SY, PY, LY>, W: Window<KW, SX, PX, LX>, T: Tape<E, D>>(
        &self,
        x: Dual<(N, Const<I>, H, W), E, D, T>,
    ) -> Result<Dual<(N, Const<O>, H::Out, W::Out), E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let z = self.convolve(x, &self.weight, B::operand(&self.bias), (self.input_gradient, LINEAR))?;
        Ok(Dual::join(z, self.convolve(dx, &self.weight, None, (InputGradient::Needed, LINEAR))?))
    }
}

passes!(Module<Tensor> {
    fn try_forward(&self, x: Tensor<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        self.convolve(x, &self.weight, B::operand(&self.bias), (self.input_gradient, A::KIND))
    }
});
passes!(Module<Dual> {
    fn try_forward(&self, x: Dual<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
});
passes!(
    /// $\dot z = \dot x * W + x * \dot W + \dot b$.
    Along<Dual> {
    fn try_along(&self, direction: &Self, x: Dual<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let weight = detached(&direction.weight)?;
        let bias = B::operand(&direction.bias).map(detached).transpose()?;
        let at = x.with_empty_tape().value();
        let moved = self.convolve(at, &weight, bias.as_ref(), (self.input_gradient, LINEAR))?;
        let (z, dz) = self.pre_activation(x)?.split();
        activate(Dual::join(z, dz.try_add(moved)?), A::KIND)
    }
});

/// Shape of a transposed convolution's weight.
type UpWeightShape<const I: usize, const O: usize, const K: usize, G> =
    (Const<I>, <G as Grouping<O>>::Channels, Const<K>, Const<K>);

/// A transposed convolution: the adjoint of a convolution from `O` to `I` channels, with a bias. U-Net's
/// "up-convolution" is `ConvTranspose2D<I, O, 2, 2>`.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let up = dev.build_module::<ConvTranspose2D<8, 4, 2, 2>, f32>();
/// let y: Tensor<Rank4<1, 4, 56, 56>, f32, _> = up.forward(dev.zeros::<Rank4<1, 8, 28, 28>>());
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose2D<
    const I: usize,
    const O: usize,
    const K: usize,
    E: Dtype,
    D: Storage<E>,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    const Q: usize = 0,
    A = Identity,
    G: Grouping<O> = OneGroup,
> {
    /// $W$, `(I, O / G, K, K)`.
    pub weight: Tensor<UpWeightShape<I, O, K, G>, E, D>,
    /// $b$, `(O)`.
    pub bias: Tensor<Rank1<O>, E, D>,
    /// $\varphi$.
    pub activation: A,
    /// As [`RectConv2D::input_gradient`].
    pub input_gradient: InputGradient,
    groups: PhantomData<G>,
}

/// A transposed convolution in `G` groups.
pub type GroupedConvTranspose2D<
    const I: usize,
    const O: usize,
    const K: usize,
    const G: usize,
    E,
    D,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    const Q: usize = 0,
    A = Identity,
> = ConvTranspose2D<I, O, K, E, D, S, P, L, Q, A, Groups<G>>;

/// `impl ... for` the transposed convolution.
macro_rules! transposed {
    ([$($generics:tt)*] $($trait:ident<$($argument:ty),*>)? [$($bounds:tt)*] $body:tt) => {
        impl<
            $($generics)*
            const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize,
            const Q: usize, A, G,
        > $($trait<$($argument),*> for)? ConvTranspose2D<I, O, K, E, D, S, P, L, Q, A, G>
        where G: Grouping<O>, $($bounds)*
        $body
    };
}

impl<
    E: Real,
    D: dfdx::prelude::Device<E>,
    const I: usize,
    const O: usize,
    const K: usize,
    const S: usize,
    const P: usize,
    const L: usize,
    const Q: usize,
    A: Activation,
    G: Grouping<O>,
> BuildOnDevice<D, E> for builder::ConvTranspose2D<I, O, K, S, P, L, Q, A, G>
{
    type Built = ConvTranspose2D<I, O, K, E, D, S, P, L, Q, A, G>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

transposed!([E: Real, D: dfdx::prelude::Device<E>,] TensorCollection<E, D> [A: Activation] {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = ConvTranspose2D<I, O, K, E2, D2, S, P, L, Q, A, G>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor(
                    "weight",
                    |s| &s.weight,
                    |s| &mut s.weight,
                    TensorOptions::reset_with(|weight| weight.try_fill_with_distr(uniform(O / G::COUNT * K * K))),
                ),
                Self::tensor(
                    "bias",
                    |s| &s.bias,
                    |s| &mut s.bias,
                    TensorOptions::reset_with(|bias| bias.try_fill_with_distr(uniform(O / G::COUNT * K * K))),
                ),
            ),
            |(weight, bias)| ConvTranspose2D {
                weight,
                bias,
                activation: A::default(),
                input_gradient: InputGradient::Needed,
                groups: PhantomData,
            },
        )
    }
});
transposed!([E: Dtype, D: Storage<E>,] NonMutableModule<> [] {});
transposed!([E: Real, D: Device<E>,] [] {
    #[allow(clippy::type_complexity)]
    fn convolve<N: Dim, H: UpWindow<K, S, P, L, Q>, W: UpWindow<K, S, P, L, Q>, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>, H, W), E, D, T>,
        weight: &Tensor<UpWeightShape<I, O, K, G>, E, D>,
        bias: Option<&Tensor<Rank1<O>, E, D>>,
        (input_gradient, activation): (InputGradient, ActivationKind),
    ) -> Result<Tensor<(N, Const<O>, H::Out, W::Out), E, D, T>, D::Err> {
        const { assert!(I.is_multiple_of(G::COUNT), "input channels must be divisible by groups") };
        let (n, _, h, w) = *x.shape();
        let rows = h.try_up_window().map_err(device_error::<D, E>)?;
        let cols = w.try_up_window().map_err(device_error::<D, E>)?;
        let taps = Taps { kernel: K, stride: S, padding: P, dilation: L };
        let sizes = Sizes {
            images: n.size(),
            groups: G::COUNT,
            image_channels: O / G::COUNT,
            window_channels: I / G::COUNT,
            y: Axis { extent: rows.size(), windows: h.size(), taps },
            x: Axis { extent: cols.size(), windows: w.size(), taps },
            input_gradient,
            activation,
        };
        D::conv_transpose2d(x, weight, bias, sizes, (n, Const, rows, cols))
    }

    #[allow(clippy::type_complexity)]
    fn pre_activation<N: Dim, H: UpWindow<K, S, P, L, Q>, W: UpWindow<K, S, P, L, Q>, T: Tape<E, D>>(
        &self,
        x: Dual<(N, Const<I>, H, W), E, D, T>,
    ) -> Result<Dual<(N, Const<O>, H::Out, W::Out), E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let z = self.convolve(x, &self.weight, Some(&self.bias), (self.input_gradient, LINEAR))?;
        Ok(Dual::join(z, self.convolve(dx, &self.weight, None, (InputGradient::Needed, LINEAR))?))
    }
});
transposed!([N: Dim, H: UpWindow<K, S, P, L, Q>, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Tensor<(N, Const<I>, H, W), E, D, T>> [A: Activation] {
    type Output = Tensor<(N, Const<O>, H::Out, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        self.convolve(x, &self.weight, Some(&self.bias), (self.input_gradient, A::KIND))
    }
});
transposed!([N: Dim, H: UpWindow<K, S, P, L, Q>, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Dual<(N, Const<I>, H, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, H::Out, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
});
transposed!([N: Dim, H: UpWindow<K, S, P, L, Q>, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Along<Dual<(N, Const<I>, H, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, H::Out, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_along(&self, direction: &Self, x: Dual<(N, Const<I>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let (weight, bias) = (detached(&direction.weight)?, detached(&direction.bias)?);
        let at = x.with_empty_tape().value();
        let moved = self.convolve(at, &weight, Some(&bias), (self.input_gradient, LINEAR))?;
        let (z, dz) = self.pre_activation(x)?.split();
        activate(Dual::join(z, dz.try_add(moved)?), A::KIND)
    }
});

/// All maps of an image, or of a sequence, as one vector, row-major: what stands between convolutions and a fully connected layer. dfdx's
/// `Flatten2D` needs a nightly compiler.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y: Tensor<Rank2<2, 400>, f32, _> = Flatten.forward(dev.zeros::<Rank4<2, 16, 5, 5>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;
bare!([] Flatten);

/// Both inputs of [`Flatten`], with and without a tangent.
macro_rules! flatten {
    (($($axis:ident),*), $features:ty, [$($bounds:tt)*], |$($size:ident),*| $size_of:expr) => {
        impl<B: Dim, $($axis,)* E, D, T> Module<Tensor<(B, $($axis),*), E, D, T>> for Flatten
        where
            $($bounds)*
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Tensor<(B, $features), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(B, $($axis),*), E, D, T>) -> Result<Self::Output, D::Err> {
                let (b, $($size),*) = *x.shape();
                x.try_reshaped(&(b, $size_of.map_err(device_error::<D, E>)?))
            }
        }

        impl<B: Dim, $($axis,)* E, D, T> Module<Dual<(B, $($axis),*), E, D, T>> for Flatten
        where
            $($bounds)*
            E: Real,
            D: Device<E>,
            T: Tape<E, D>,
        {
            type Output = Dual<(B, $features), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<(B, $($axis),*), E, D, T>) -> Result<Self::Output, D::Err> {
                let (x, dx) = x.split();
                Ok(Dual::join(self.try_forward(x)?, self.try_forward(dx)?))
            }
        }
    };
}
flatten!(
    (C, H, W), C::Out, [H: Times<W>, W: Dim, C: Times<H::Out>,],
    |c, h, w| h.try_times(w).and_then(|plane| c.try_times(plane))
);
flatten!((C, L), C::Out, [C: Times<L>, L: Dim,], |c, l| c.try_times(l));
