//! Convolutions of sequences `(B, C, L)`: features first, as [`kernels::convolution::conv1d`] has them. A sequence is an
//! image of height 1 whose memory is read as it is.
use super::{BiasOption, Biased, Grouping, Groups, LINEAR, OneGroup, Unbiased, builder, uniform};
use crate::activation::{Activation, Identity};
use crate::dual::along::detached;
use crate::dual::own_layers::activate;
use crate::normalisation::{Weighted, device_error};
use crate::{Along, Dual};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{Const, Dim, Dtype, HasShape, Rank1, Storage, Tape, Tensor, TryAdd, WithEmptyTape};
use kernels::convolution::{Axis, Sizes};
use kernels::shape::{Taps, UpWindow, Window};
use kernels::{ActivationKind, Device, InputGradient, Real};
use std::marker::PhantomData;

/// The height of a sequence.
const LINE: Axis = Axis { extent: 1, windows: 1, taps: Taps::new(1) };

/// Shape of the weight.
type WeightShape<const I: usize, const O: usize, const K: usize, G> =
    (Const<O>, <G as Grouping<I>>::Channels, Const<K>);

/// A convolution of sequences `(B, I, T)` along `T`; [`builder::Conv1D`] and its short forms describe it without dtype
/// and device.
///
/// Zeros are padded on both sides. Other paddings stand before it: a causal convolution is
/// `(Pad1D<Zeros<0, 0, 4, 0>>, Conv1D<I, O, 5>)`, see [`Pad1D`](crate::resampling::Pad1D).
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let layer = dev.build_module::<Conv1D<3, 8, 5, 2, 2, 1, Relu>, f32>(); // halves the length
/// let series: Tensor<Rank3<4, 3, 64>, f32, _> = dev.sample_normal();
/// let y: Tensor<Rank3<4, 8, 32>, f32, _> = layer.forward(series);
/// ```
#[derive(Clone, Debug)]
pub struct Conv1D<
    const I: usize,
    const O: usize,
    const K: usize,
    E: Dtype,
    D: Storage<E>,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    A = Identity,
    B: BiasOption = Biased,
    G: Grouping<I> = OneGroup,
> {
    /// $W$, `(O, I / G, K)`.
    pub weight: Tensor<WeightShape<I, O, K, G>, E, D>,
    /// $b$, `(O)`, or `()`.
    pub bias: B::Of<O, E, D>,
    /// $\varphi$.
    pub activation: A,
    /// As [`RectConv2D::input_gradient`](super::RectConv2D::input_gradient).
    pub input_gradient: InputGradient,
    groups: PhantomData<G>,
}

/// A convolution of sequences without bias.
pub type UnbiasedConv1D<
    const I: usize,
    const O: usize,
    const K: usize,
    E,
    D,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    A = Identity,
> = Conv1D<I, O, K, E, D, S, P, L, A, Unbiased>;
/// A convolution of sequences in `G` groups.
pub type GroupedConv1D<
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
> = Conv1D<I, O, K, E, D, S, P, L, A, B, Groups<G>>;

macro_rules! tensors {
    ($bias:ident, $($field:ident)?) => {
        impl<
            const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize, E, D, A, G,
        > BuildOnDevice<D, E> for builder::Conv1D<I, O, K, S, P, L, A, $bias, G>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
            A: Activation,
            G: Grouping<I>,
        {
            type Built = Conv1D<I, O, K, E, D, S, P, L, A, $bias, G>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<
            const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize, E, D, A, G,
        > TensorCollection<E, D> for Conv1D<I, O, K, E, D, S, P, L, A, $bias, G>
        where
            E: Real,
            D: dfdx::prelude::Device<E>,
            A: Activation,
            G: Grouping<I>,
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Conv1D<I, O, K, E2, D2, S, P, L, A, $bias, G>;

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
                                weight.try_fill_with_distr(uniform(I / G::COUNT * K))
                            }),
                        ),
                        $(Self::tensor(
                            stringify!($field),
                            |s| &s.$field,
                            |s| &mut s.$field,
                            TensorOptions::reset_with(|bias| bias.try_fill_with_distr(uniform(I / G::COUNT * K))),
                        ),)?
                    ),
                    |fields| {
                        let (weight, bias) = tensors!(@parts fields $($field)?);
                        Conv1D {
                            weight,
                            bias,
                            activation: A::default(),
                            input_gradient: InputGradient::Needed,
                            groups: PhantomData,
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

/// `impl ... for` the convolution of sequences.
macro_rules! line {
    ([$($generics:tt)*] $($trait:ident<$($argument:ty),*>)? [$($bounds:tt)*] $body:tt) => {
        impl<
            $($generics)*
            const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize, A, B, G,
        > $($trait<$($argument),*> for)? Conv1D<I, O, K, E, D, S, P, L, A, B, G>
        where B: BiasOption, G: Grouping<I>, $($bounds)*
        $body
    };
}

line!([E: Dtype, D: Storage<E>,] NonMutableModule<> [] {});

impl<
    const I: usize,
    const O: usize,
    const K: usize,
    const S: usize,
    const P: usize,
    const L: usize,
    E,
    D,
    A,
    B,
    G,
> Weighted<O, E, D> for Conv1D<I, O, K, E, D, S, P, L, A, B, G>
where
    E: Dtype,
    D: Storage<E>,
    A: Activation,
    B: BiasOption,
    G: Grouping<I>,
{
    type Weight = WeightShape<I, O, K, G>;
    fn weight(&self) -> &Tensor<Self::Weight, E, D> {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor<Self::Weight, E, D>) -> Self {
        Self { weight, ..self.clone() }
    }
}

line!([E: Real, D: Device<E>,] [] {
    /// The layer's map with other numbers in place of its own.
    #[allow(clippy::type_complexity)]
    fn convolve<N: Dim, W: Window<K, S, P, L>, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>, W), E, D, T>,
        weight: &Tensor<WeightShape<I, O, K, G>, E, D>,
        bias: Option<&Tensor<Rank1<O>, E, D>>,
        (input_gradient, activation): (InputGradient, ActivationKind),
    ) -> Result<Tensor<(N, Const<O>, W::Out), E, D, T>, D::Err> {
        const { assert!(O.is_multiple_of(G::COUNT), "output channels must be divisible by groups") };
        let (n, _, length) = *x.shape();
        let windows = length.try_window().map_err(device_error::<D, E>)?;
        let taps = Taps { kernel: K, stride: S, padding: P, dilation: L };
        let sizes = Sizes {
            images: n.size(),
            groups: G::COUNT,
            image_channels: I / G::COUNT,
            window_channels: O / G::COUNT,
            y: LINE,
            x: Axis { extent: length.size(), windows: windows.size(), taps },
            input_gradient,
            activation,
        };
        D::conv2d(x, weight, bias, sizes, (n, Const, windows))
    }

    /// Value and tangent before the activation: the layer is linear in its input, the bias does not move with it.
    #[allow(clippy::type_complexity)]
    fn pre_activation<N: Dim, W: Window<K, S, P, L>, T: Tape<E, D>>(
        &self,
        x: Dual<(N, Const<I>, W), E, D, T>,
    ) -> Result<Dual<(N, Const<O>, W::Out), E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let z = self.convolve(x, &self.weight, B::operand(&self.bias), (self.input_gradient, LINEAR))?;
        Ok(Dual::join(z, self.convolve(dx, &self.weight, None, (InputGradient::Needed, LINEAR))?))
    }
});
line!([N: Dim, W: Window<K, S, P, L>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Tensor<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Tensor<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
        self.convolve(x, &self.weight, B::operand(&self.bias), (self.input_gradient, A::KIND))
    }
});
line!([N: Dim, W: Window<K, S, P, L>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Dual<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
});
line!([N: Dim, W: Window<K, S, P, L>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Along<Dual<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    /// $\dot z = \dot x * W + x * \dot W + \dot b$.
    fn try_along(&self, direction: &Self, x: Dual<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
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
    (Const<I>, <G as Grouping<O>>::Channels, Const<K>);

/// A transposed convolution of sequences: the adjoint of a convolution from `O` to `I` channels, with a bias.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let up = dev.build_module::<ConvTranspose1D<8, 4, 4, 2, 1>, f32>(); // doubles the length
/// let y: Tensor<Rank3<1, 4, 64>, f32, _> = up.forward(dev.zeros::<Rank3<1, 8, 32>>());
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose1D<
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
    /// $W$, `(I, O / G, K)`.
    pub weight: Tensor<UpWeightShape<I, O, K, G>, E, D>,
    /// $b$, `(O)`.
    pub bias: Tensor<Rank1<O>, E, D>,
    /// $\varphi$.
    pub activation: A,
    /// As [`RectConv2D::input_gradient`](super::RectConv2D::input_gradient).
    pub input_gradient: InputGradient,
    groups: PhantomData<G>,
}

/// A transposed convolution of sequences in `G` groups.
pub type GroupedConvTranspose1D<
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
> = ConvTranspose1D<I, O, K, E, D, S, P, L, Q, A, Groups<G>>;

/// `impl ... for` the transposed convolution of sequences.
macro_rules! transposed {
    ([$($generics:tt)*] $($trait:ident<$($argument:ty),*>)? [$($bounds:tt)*] $body:tt) => {
        impl<
            $($generics)*
            const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize,
            const Q: usize, A, G,
        > $($trait<$($argument),*> for)? ConvTranspose1D<I, O, K, E, D, S, P, L, Q, A, G>
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
> BuildOnDevice<D, E> for builder::ConvTranspose1D<I, O, K, S, P, L, Q, A, G>
{
    type Built = ConvTranspose1D<I, O, K, E, D, S, P, L, Q, A, G>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

transposed!([E: Real, D: dfdx::prelude::Device<E>,] TensorCollection<E, D> [A: Activation] {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = ConvTranspose1D<I, O, K, E2, D2, S, P, L, Q, A, G>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor(
                    "weight",
                    |s| &s.weight,
                    |s| &mut s.weight,
                    TensorOptions::reset_with(|weight| weight.try_fill_with_distr(uniform(O / G::COUNT * K))),
                ),
                Self::tensor(
                    "bias",
                    |s| &s.bias,
                    |s| &mut s.bias,
                    TensorOptions::reset_with(|bias| bias.try_fill_with_distr(uniform(O / G::COUNT * K))),
                ),
            ),
            |(weight, bias)| ConvTranspose1D {
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
    fn convolve<N: Dim, W: UpWindow<K, S, P, L, Q>, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>, W), E, D, T>,
        weight: &Tensor<UpWeightShape<I, O, K, G>, E, D>,
        bias: Option<&Tensor<Rank1<O>, E, D>>,
        (input_gradient, activation): (InputGradient, ActivationKind),
    ) -> Result<Tensor<(N, Const<O>, W::Out), E, D, T>, D::Err> {
        const { assert!(I.is_multiple_of(G::COUNT), "input channels must be divisible by groups") };
        let (n, _, windows) = *x.shape();
        let length = windows.try_up_window().map_err(device_error::<D, E>)?;
        let taps = Taps { kernel: K, stride: S, padding: P, dilation: L };
        let sizes = Sizes {
            images: n.size(),
            groups: G::COUNT,
            image_channels: O / G::COUNT,
            window_channels: I / G::COUNT,
            y: LINE,
            x: Axis { extent: length.size(), windows: windows.size(), taps },
            input_gradient,
            activation,
        };
        D::conv_transpose2d(x, weight, bias, sizes, (n, Const, length))
    }

    #[allow(clippy::type_complexity)]
    fn pre_activation<N: Dim, W: UpWindow<K, S, P, L, Q>, T: Tape<E, D>>(
        &self,
        x: Dual<(N, Const<I>, W), E, D, T>,
    ) -> Result<Dual<(N, Const<O>, W::Out), E, D, T>, D::Err> {
        let (x, dx) = x.split();
        let z = self.convolve(x, &self.weight, Some(&self.bias), (self.input_gradient, LINEAR))?;
        Ok(Dual::join(z, self.convolve(dx, &self.weight, None, (InputGradient::Needed, LINEAR))?))
    }
});
transposed!([N: Dim, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Tensor<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Tensor<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
        self.convolve(x, &self.weight, Some(&self.bias), (self.input_gradient, A::KIND))
    }
});
transposed!([N: Dim, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Module<Dual<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
        activate(self.pre_activation(x)?, A::KIND)
    }
});
transposed!([N: Dim, W: UpWindow<K, S, P, L, Q>, E: Real, D: Device<E>, T: Tape<E, D>,]
    Along<Dual<(N, Const<I>, W), E, D, T>> [A: Activation] {
    type Output = Dual<(N, Const<O>, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_along(&self, direction: &Self, x: Dual<(N, Const<I>, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let (weight, bias) = (detached(&direction.weight)?, detached(&direction.bias)?);
        let at = x.with_empty_tape().value();
        let moved = self.convolve(at, &weight, Some(&bias), (self.input_gradient, LINEAR))?;
        let (z, dz) = self.pre_activation(x)?.split();
        activate(Dual::join(z, dz.try_add(moved)?), A::KIND)
    }
});
