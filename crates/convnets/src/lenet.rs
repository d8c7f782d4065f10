//! LeNet-5, as it was published and as it is built today, and Nielsen's ladder of convolutional networks.
//!
//! | type | input | parameters |
//! |---|---|---|
//! | [`LeNet5`]`<Tanh, AvgPool2D<2, 2>>` | 32×32 | 61,706: full connections, softmax |
//! | [`LeNet5Padded`] | 28×28 | 61,706 |
//! | [`LeNet1998`] | 32×32 | 60,000, up to its output |
//! | [`LeNet1998Whole`] | 32×32 | the same with its output: 840 connections to fixed drawings ([`output`]) |
//! | [`NielsenOne`] … [`NielsenDropout`] | 28×28 | see each |
//!
//! **1998's four differences.** C3's maps see only some of S2's ([`CONNECTIONS`]): 1,516 weights in place of 2,416, and
//! the maps cannot all become alike. S2 and S4 are trained: a gain and a bias per map ([`SubSample2D`]). The activation
//! is $1.7159 \tanh(\tfrac23 a)$, [`LecunTanh`]. The output is a squared distance from a drawing of each digit,
//! [`output::RadialBasis`]: the smallest is the answer.
//! **Papers**: LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document recognition; Nielsen
//! (2015), Neural networks and deep learning, chapter 6.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, NonMutableModule};
use dfdx::prelude::{Dtype, Storage};
use kernels::{Device, InputGradient, Real};
use layers::convolution::Steps;
use layers::dropout::Dropout;
use layers::plan::{Plan, PlanError, Planned, Taps};
use layers::prelude::*;

pub mod output;

// ANCHOR: lenet5
/// LeNet-5 with full connections for 32×32 pixels: activation `A`, pooling `P`.
pub type LeNet5<A = Tanh, P = AvgPool2D<2, 2>> = (
    (Conv2D<1, 6, 5, 1, 0, 1, A>, P),
    (Conv2D<6, 16, 5, 1, 0, 1, A>, P),
    (Flatten, Linear<400, 120, A>, Linear<120, 84, A>, Linear<84, 10>),
);
// ANCHOR_END: lenet5
/// [`LeNet5`] for 28×28 pixels, padded by two.
pub type LeNet5Padded<A = Tanh, P = AvgPool2D<2, 2>> = (
    (Conv2D<1, 6, 5, 1, 2, 1, A>, P),
    (Conv2D<6, 16, 5, 1, 0, 1, A>, P),
    (Flatten, Linear<400, 120, A>, Linear<120, 84, A>, Linear<84, 10>),
);
/// The network of 1998 up to its output layer: 84 numbers. C5 is a convolution, so that a larger image gives a grid of
/// readings.
pub type LeNet1998 = (
    (Conv2D<1, 6, 5, 1, 0, 1, LecunTanh>, SubSample2D<6>, LecunTanh),
    (C3, LecunTanh, SubSample2D<16>, LecunTanh),
    (Conv2D<16, 120, 5, 1, 0, 1, LecunTanh>, Flatten, Linear<120, 84, LecunTanh>),
);
/// The network of 1998 with its output `R`: ten squared distances, the smallest of which is the answer.
///
/// ```
/// use convnets::lenet::LeNet1998Whole;
/// use layers::{Planned, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<LeNet1998Whole, f32>();
/// let distances: Tensor<Rank2<4, 10>, f32, _> = model.forward(dev.zeros::<Rank4<4, 1, 32, 32>>());
/// assert_eq!(<LeNet1998Whole>::PLAN.totals_of([1, 32, 32]).params, 60_000);
/// ```
pub type LeNet1998Whole<R = output::RadialBasis> = (
    (Conv2D<1, 6, 5, 1, 0, 1, LecunTanh>, SubSample2D<6>, LecunTanh),
    (C3, LecunTanh, SubSample2D<16>, LecunTanh),
    (Conv2D<16, 120, 5, 1, 0, 1, LecunTanh>, Flatten, Linear<120, 84, LecunTanh>),
    R,
);

/// Chapter 6, first step: one hidden layer of 100 (97.80 % in the book).
pub type NielsenDense = (Flatten, Linear<784, 100, Sigmoid>, Linear<100, 10>);
/// One convolutional layer of 20 maps (98.78 %): 26 · 20 = 520 shared parameters, where a dense layer of 30 has 23,550.
pub type NielsenOne = (
    Conv2D<1, 20, 5, 1, 0, 1, Sigmoid>,
    MaxPool2D<2, 2>,
    Flatten,
    Linear<2880, 100, Sigmoid>,
    Linear<100, 10>,
);
/// Two convolutional layers (99.06 %); with `A` = [`Relu`] 99.23 %, and on expanded data 99.37 %.
pub type NielsenTwo<A = Sigmoid> = (
    (Conv2D<1, 20, 5, 1, 0, 1, A>, MaxPool2D<2, 2>),
    (Conv2D<20, 40, 5, 1, 0, 1, A>, MaxPool2D<2, 2>),
    (Flatten, Linear<640, 100, A>, Linear<100, 10>),
);
/// Two convolutional layers and two of 1,000 with dropout ½ (99.60 % on expanded data).
pub type NielsenDropout = (
    (Conv2D<1, 20, 5, 1, 0, 1, Relu>, MaxPool2D<2, 2>),
    (Conv2D<20, 40, 5, 1, 0, 1, Relu>, MaxPool2D<2, 2>),
    (
        Flatten,
        Dropout,
        Linear<640, 1000, Relu>,
        Dropout,
        Linear<1000, 1000, Relu>,
        (Dropout, Linear<1000, 10>),
    ),
);

/// Which of S2's six maps each of C3's sixteen sees (Table I of the paper): three neighbours, four neighbours, four with
/// gaps, all.
///
/// ```
/// let connections: usize = convnets::lenet::CONNECTIONS.iter().flatten().filter(|&&sees| sees).count();
/// assert_eq!(25 * connections + 16, 1_516);
/// ```
pub const CONNECTIONS: [[bool; 6]; 16] = connections();

const fn connections() -> [[bool; 6]; 16] {
    let mut table = [[false; 6]; 16];
    let gaps = [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5]];
    let mut map = 0;
    while map < 16 {
        let mut i = 0;
        while i < 6 {
            let sees = match map {
                0..6 => (i + 6 - map) % 6 < 3,
                6..12 => (i + 12 - map) % 6 < 4,
                12..15 => {
                    let row: [usize; 4] = gaps[map - 12];
                    row[0] == i || row[1] == i || row[2] == i || row[3] == i
                }
                _ => true,
            };
            table[map][i] = sees;
            i += 1;
        }
        map += 1;
    }
    table
}

/// What the paper calls connections of a layer: weights and biases times the positions where they are used.
///
/// ```
/// use convnets::lenet::connections_of;
/// let layers = [
///     connections_of(156, 28 * 28), // C1
///     connections_of(6 * (4 + 1), 14 * 14), // S2: four inputs and a bias, although its gain is one number
///     connections_of(1_516, 10 * 10), // C3
///     connections_of(16 * (4 + 1), 5 * 5), // S4
///     connections_of(48_120, 1), // C5
///     connections_of(10_164, 1), // F6
///     connections_of(840, 1), // output
/// ];
/// assert_eq!(layers, [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]);
/// assert_eq!(layers.iter().sum::<u64>(), 340_908);
/// ```
pub const fn connections_of(weights: u64, positions: u64) -> u64 {
    weights * positions
}

/// A layer of the network of 1998.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layer {
    /// Its name in the paper.
    pub name: &'static str,
    /// Trainable numbers.
    pub parameters: u64,
    /// What the paper counts as connections, see [`connections_of`].
    pub connections: u64,
}

/// The layers of [`LeNet1998Whole`] from the image on, read from its plan.
///
/// ```
/// let layers = convnets::lenet::layers()?;
/// assert_eq!(layers.iter().map(|layer| layer.parameters).sum::<u64>(), 60_000);
/// assert_eq!(layers.iter().map(|layer| layer.connections).sum::<u64>(), 340_908);
/// assert_eq!((layers[1].name, layers[1].parameters, layers[1].connections), ("S2", 12, 5_880));
/// # Ok::<(), layers::plan::PlanError>(())
/// ```
///
/// # Errors
/// None: the plan fits its own image; the type is that of [`Plan::rows`].
pub fn layers() -> Result<Vec<Layer>, PlanError> {
    let rows = <LeNet1998Whole>::PLAN.rows([1, 32, 32])?;
    let counted = rows.iter().filter(|row| row.plan != Plan::Flatten);
    let names = ["C1", "S2", "C3", "S4", "C5", "F6", "output"];
    let layers = names.into_iter().zip(counted).map(|(name, row)| {
        let [_, height, width] = row.cost.output;
        let weights = match row.plan {
            // A unit of a subsampling has four inputs and a bias, although its map has two numbers.
            Plan::Other { macs_per_pixel: 0, taps, to, .. } => to * (taps.kernel * taps.kernel + 1),
            Plan::Other { params: 0, macs_per_pixel, .. } => macs_per_pixel,
            _ => row.cost.params as usize,
        };
        let connections = connections_of(weights as u64, (height * width) as u64);
        Layer { name, parameters: row.cost.params, connections }
    });
    Ok(layers.collect())
}

/// Descriptions of the layers of 1998, for `build_module`: [`SubSample2D`], [`C3`].
pub use self::builder::{C3, SubSample2D};

/// Descriptions of the layers of this module.
pub mod builder {
    /// Builds a [`super::BuiltSubSample2D`] of `C` maps.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct SubSample2D<const C: usize>;
    /// Builds a [`super::BuiltC3`].
    #[derive(Clone, Copy, Debug, Default)]
    pub struct C3;
}

/// LeNet's subsampling: $y = a_c \sum_{2 \times 2} x + b_c$, the squashing left to the next module.
///
/// # Examples
/// ```
/// use convnets::lenet::SubSample2D;
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let mut layer = dev.build_module::<SubSample2D<1>, f32>();
/// layer.bias = dev.tensor([0.5]);
/// let y = layer.forward(dev.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]));
/// assert_eq!(y.array(), [[[[0.25 * 10.0 + 0.5]]]]);
/// ```
#[derive(Clone, Debug)]
pub struct BuiltSubSample2D<const C: usize, E: Dtype, D: Storage<E>> {
    /// $a$, `(C)`; starts as ¼, the mean.
    pub coefficient: Tensor<Rank1<C>, E, D>,
    /// $b$, `(C)`; starts as 0.
    pub bias: Tensor<Rank1<C>, E, D>,
}

const SUBSAMPLE: Taps = Taps { kernel: 2, stride: 2, padding: 0, dilation: 1 };

impl<const C: usize> Planned for SubSample2D<C> {
    const PLAN: Plan = Plan::Other { params: 2 * C, macs_per_pixel: 0, taps: SUBSAMPLE, to: C };
}
impl<const C: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for SubSample2D<C> {
    type Built = BuiltSubSample2D<C, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}
impl<const C: usize, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for BuiltSubSample2D<C, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = BuiltSubSample2D<C, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor(
                    "coefficient",
                    |s| &s.coefficient,
                    |s| &mut s.coefficient,
                    TensorOptions::reset_with(|a| {
                        a.try_fill_with_ones()?;
                        a.copy_from(&[E::of(0.25); C]);
                        Ok(())
                    }),
                ),
                Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, TensorOptions::reset_to_zeros()),
            ),
            |(coefficient, bias)| BuiltSubSample2D { coefficient, bias },
        )
    }
}
impl<const C: usize, E: Dtype, D: Storage<E>> NonMutableModule for BuiltSubSample2D<C, E, D> {}

impl<N: Dim, H, W, E, D, T, const C: usize> Module<Tensor<(N, Const<C>, H, W), E, D, T>>
    for BuiltSubSample2D<C, E, D>
where
    H: kernels::shape::PoolWindow<2, 2>,
    W: kernels::shape::PoolWindow<2, 2>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    AvgPool2D<2, 2>: Module<
            Tensor<(N, Const<C>, H, W), E, D, T>,
            Output = Tensor<(N, Const<C>, H::Out, W::Out), E, D, T>,
            Error = D::Err,
        >,
{
    type Output = Tensor<(N, Const<C>, H::Out, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<C>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let sum = AvgPool2D::<2, 2>::default().try_forward(x)?.try_mul(E::of(4.0))?;
        let shape = *sum.shape();
        let gain = self.coefficient.retaped::<T>().try_broadcast_like::<_, Axes3<0, 2, 3>>(&shape)?;
        let bias = self.bias.retaped::<T>().try_broadcast_like::<_, Axes3<0, 2, 3>>(&shape)?;
        sum.try_mul(gain)?.try_add(bias)
    }
}

/// C3: 16 maps of 5×5 taps, each over those of S2's maps that [`CONNECTIONS`] says.
///
/// # Examples
/// ```
/// use convnets::lenet::C3;
/// use layers::{params, prelude::*};
/// let dev = Cpu::default();
/// let layer = dev.build_module::<C3, f32>();
/// assert_eq!(params::count(&layer), 1_516);
/// let y: Tensor<Rank4<2, 16, 10, 10>, f32, _> = layer.forward(dev.zeros::<Rank4<2, 6, 14, 14>>());
/// ```
#[derive(Clone, Debug)]
pub struct BuiltC3<E: Dtype, D: Storage<E>> {
    /// The 60 kernels, `(60, 25)`: C3's maps in order, S2's maps within.
    pub weight: Tensor<Rank2<60, 25>, E, D>,
    /// `(16)`.
    pub bias: Tensor<Rank1<16>, E, D>,
    /// Whether backward computes the gradient of the input.
    pub input_gradient: InputGradient,
}

impl Planned for C3 {
    const PLAN: Plan = Plan::Other {
        params: 1_516,
        macs_per_pixel: 1_500,
        taps: Taps { kernel: 5, stride: 1, padding: 0, dilation: 1 },
        to: 16,
    };
}
impl<E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for C3 {
    type Built = BuiltC3<E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}
impl<E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for BuiltC3<E, D> {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = BuiltC3<E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        // The paper: uniform in ±2.4 / fan in; a map sees 75 to 150 inputs, 93.75 on average.
        visitor.visit_fields(
            (
                Self::tensor(
                    "weight",
                    |s| &s.weight,
                    |s| &mut s.weight,
                    TensorOptions::reset_with(|weight| {
                        let bound = E::of(2.4 / 93.75);
                        weight.try_fill_with_distr(rand_distr::Uniform::new(-bound, bound))
                    }),
                ),
                Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, TensorOptions::reset_to_zeros()),
            ),
            |(weight, bias)| BuiltC3 { weight, bias, input_gradient: InputGradient::Needed },
        )
    }
}
impl<E: Dtype, D: Storage<E>> NonMutableModule for BuiltC3<E, D> {}

impl<N: Dim, H, W, E, D, T> Module<Tensor<(N, Const<6>, H, W), E, D, T>> for BuiltC3<E, D>
where
    H: kernels::shape::Window<5>,
    W: kernels::shape::Window<5>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
{
    type Output = Tensor<(N, Const<16>, H::Out, W::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, Const<6>, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        // The full weight is a product with a matrix of zeros and ones, recorded before the convolution.
        let mut places = vec![E::zero(); 96 * 60];
        let sees = CONNECTIONS.iter().flatten().enumerate().filter(|(_, sees)| **sees);
        for (kernel, (place, _)) in sees.enumerate() {
            places[place * 60 + kernel] = E::one();
        }
        let mut matrix: Tensor<Rank2<96, 60>, E, D> = x.device().try_zeros()?;
        matrix.copy_from(&places);
        let weight = matrix.retaped::<T>().try_matmul(self.weight.clone())?;
        let (weight, tape) = weight.try_reshape_like(&(Const, Const, Const, Const))?.split_tape();
        let (x, operations) = x.split_tape();
        let convolution =
            kernels::convolution::Convolution::square(Steps::<1>).with_input_gradient(self.input_gradient);
        kernels::convolution::try_conv2d(
            x.put_tape(operations.merge(tape)),
            &weight,
            Some(&self.bias),
            convolution,
        )
        .map_err(|error| error.into_device::<D::Err>().unwrap_or_else(|error| panic!("{error}")))
    }
}
