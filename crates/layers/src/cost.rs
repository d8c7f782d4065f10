//! What a model costs: parameters, multiply-adds, and a table of its tensors.
use crate::activation::{Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
use crate::dropout::{AlphaDropout, Dropout, FeatureDropout, GaussianDropout, GaussianNoise};
use crate::params::{self, Parameter};
use crate::{activation, linear, modules};
use dfdx::nn::modules as nn;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Device, Dtype, Storage};
use std::fmt::{self, Display};

/// Size and work of a module whose cost its type fixes; known to the compiler, so a limit can be a compile error.
///
/// Tuples, `Residual` and `Repeated` add up their parts. It is implemented for the descriptions that `build_module`
/// takes and for the built modules.
///
/// # Examples
/// ```
/// use layers::{Cost, prelude::*};
/// type Digits = (Linear<784, 30, Sigmoid>, Linear<30, 10, Sigmoid>);
/// const _: () = assert!(Digits::PARAMS < 25_000, "must fit in 100 kB of f32");
/// assert_eq!((Digits::PARAMS, Digits::MACS), (23_860, 23_820));
/// ```
#[diagnostic::on_unimplemented(
    message = "the cost of `{Self}` is not known from its type",
    note = "`Cost` holds for layers with compile-time sizes and for tuples, `Residual` and `Repeated` of them"
)]
pub trait Cost {
    /// Trainable parameters.
    const PARAMS: usize;
    /// Multiply-adds of matrix products in one forward pass of one sample (one row of the input). Additions of biases
    /// and element-wise functions are not counted, as usual in the literature. Training costs about three times this.
    const MACS: usize;
}

impl<const I: usize, const O: usize, A> Cost for linear::builder::Linear<I, O, A> {
    const PARAMS: usize = I * O + O;
    const MACS: usize = I * O;
}
impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A> Cost for modules::Linear<I, O, E, D, A> {
    const PARAMS: usize = I * O + O;
    const MACS: usize = I * O;
}
impl<const I: usize, const O: usize> Cost for dfdx::nn::builders::Linear<I, O> {
    const PARAMS: usize = I * O + O;
    const MACS: usize = I * O;
}
impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>> Cost for nn::Linear<I, O, E, D> {
    const PARAMS: usize = I * O + O;
    const MACS: usize = I * O;
}
impl<const I: usize, const O: usize> Cost for dfdx::nn::builders::UnbiasedLinear<I, O> {
    const PARAMS: usize = I * O;
    const MACS: usize = I * O;
}
impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>> Cost for nn::UnbiasedLinear<I, O, E, D> {
    const PARAMS: usize = I * O;
    const MACS: usize = I * O;
}
impl<F: Cost> Cost for nn::Residual<F> {
    const PARAMS: usize = F::PARAMS;
    const MACS: usize = F::MACS;
}
impl<F: Cost, const N: usize> Cost for nn::Repeated<F, N> {
    const PARAMS: usize = N * F::PARAMS;
    const MACS: usize = N * F::MACS;
}

/// The description and the built module of one layer: positions count as samples of a sequence layer.
macro_rules! cost_of {
    ($([$($generics:tt)*] $builder:ty, [$($more:tt)*] $module:ty: $params:expr, $macs:expr;)*) => {$(
        impl<$($generics)*> Cost for $builder {
            const PARAMS: usize = $params;
            const MACS: usize = $macs;
        }
        impl<$($generics)* $($more)*> Cost for $module {
            const PARAMS: usize = $params;
            const MACS: usize = $macs;
        }
    )*};
}

/// Per position of the sequence. Products of queries and keys depend on the length, which no type knows: they are
/// 2 `M` more for each key.
mod sequence {
    use super::{Cost, Dtype, Storage};
    use crate::{attention, embedding, modules, recurrent, transformer};

    cost_of! {
        [const V: usize, const C: usize,] embedding::builder::Embedding<V, C>,
            [E: Dtype, D: Storage<E>] modules::Embedding<V, C, E, D>: V * C, 0;
        [const N: usize, const M: usize,] embedding::builder::LearnedPositions<N, M>,
            [E: Dtype, D: Storage<E>] modules::LearnedPositions<N, M, E, D>: N * M, 0;
        [const I: usize, const H: usize,] recurrent::builder::Rnn<I, H>,
            [E: Dtype, D: Storage<E>] modules::Rnn<I, H, E, D>: H * (I + H + 2), H * (I + H);
        [const I: usize, const H: usize,] recurrent::builder::Lstm<I, H>,
            [E: Dtype, D: Storage<E>] modules::Lstm<I, H, E, D>: 4 * H * (I + H + 2), 4 * H * (I + H);
        [const I: usize, const H: usize,] recurrent::builder::PeepholeLstm<I, H>,
            [E: Dtype, D: Storage<E>] modules::PeepholeLstm<I, H, E, D>:
                4 * H * (I + H + 2) + 3 * H, 4 * H * (I + H) + 3 * H;
        [const I: usize, const H: usize,] recurrent::builder::Gru<I, H>,
            [E: Dtype, D: Storage<E>] modules::Gru<I, H, E, D>: 3 * H * (I + H + 2), 3 * H * (I + H);
        [R: Cost, const O: usize,] recurrent::builder::Bidirectional<R, O>,
            [] modules::Bidirectional<R, O>: 2 * R::PARAMS, 2 * R::MACS;
        [const M: usize, const H: usize, X, P,] attention::builder::MultiHeadAttention<M, H, X, P>,
            [E: Dtype, D: Storage<E>] modules::MultiHeadAttention<M, H, E, D, X, P>: 4 * M * (M + 1), 4 * M * M;
        [const M: usize, const H: usize, const F: usize, N, A, X, P,]
            transformer::builder::TransformerEncoderBlock<M, H, F, N, A, X, P>,
            [E: Dtype, D: Storage<E>] modules::TransformerEncoderBlock<M, H, F, E, D, N, A, X, P>:
                4 * M * (M + 1) + 2 * M * F + F + M + 4 * M, 4 * M * M + 2 * M * F;
        [const M: usize, const H: usize, const F: usize, N, A,]
            transformer::builder::TransformerDecoderBlock<M, H, F, N, A>,
            [E: Dtype, D: Storage<E>] modules::TransformerDecoderBlock<M, H, F, E, D, N, A>:
                8 * M * (M + 1) + 2 * M * F + F + M + 6 * M, 8 * M * M + 2 * M * F;
    }
}

/// Per node. The sums over neighbours depend on the graph, which no type knows: min(`I`, `O`) additions for each entry.
mod graph {
    use super::{Cost, Dtype, Storage};
    use crate::{graph, modules};

    cost_of! {
        [const I: usize, const O: usize, A,] graph::builder::GraphConvolution<I, O, A>,
            [E: Dtype, D: Storage<E>] modules::GraphConvolution<I, O, E, D, A>: I * O + O, I * O;
        [const I: usize, const O: usize, A,] graph::builder::NeighbourConvolution<I, O, A>,
            [E: Dtype, D: Storage<E>] modules::NeighbourConvolution<I, O, E, D, A>: 2 * I * O + O, 2 * I * O;
    }

    impl<L: Cost> Cost for graph::PerNode<L> {
        const PARAMS: usize = L::PARAMS;
        const MACS: usize = L::MACS;
    }
}

macro_rules! free {
    ($($module:ty)*) => {$(
        impl Cost for $module {
            const PARAMS: usize = 0;
            const MACS: usize = 0;
        }
    )*};
}
free!(() crate::embedding::SinusoidalPositions crate::graph::SumReadout crate::graph::MeanReadout crate::graph::MaxReadout AlphaDropout Dropout FeatureDropout GaussianDropout GaussianNoise
      Identity Relu LeakyRelu Sigmoid Tanh Gelu Silu Softplus
      activation::Relu6 activation::ReluSquared activation::Selu activation::Elu activation::Celu
      activation::LogSigmoid activation::LecunTanh activation::GeluTanh activation::Swish activation::Mish
      activation::SoftplusBeta activation::Squareplus activation::Softsign activation::HardTanh
      activation::HardSigmoid activation::HardSwish activation::Exp activation::Expm1 activation::Ln activation::Ln1p
      activation::Sqrt activation::Abs activation::Erf activation::Sin activation::Cos activation::Clamp
      activation::Power activation::Softmax activation::LogSoftmax
      nn::ReLU nn::Sigmoid nn::Tanh nn::FastGeLU nn::Sin nn::Cos nn::Ln nn::Exp nn::Square nn::Sqrt nn::Abs
      nn::Softmax nn::LogSoftmax nn::Dropout);

impl<const I: usize, const O: usize, A> Cost for modules::Glu<I, O, A> {
    const PARAMS: usize = 0;
    const MACS: usize = 0;
}
impl<const I: usize, const O: usize> Cost for modules::Maxout<I, O> {
    const PARAMS: usize = 0;
    const MACS: usize = 0;
}
impl Cost for crate::prelu::builder::PRelu {
    const PARAMS: usize = 1;
    const MACS: usize = 0;
}
impl<E: Dtype, D: Storage<E>> Cost for modules::PRelu<E, D> {
    const PARAMS: usize = 1;
    const MACS: usize = 0;
}

macro_rules! tuple {
    ($($module:ident)+) => {
        impl<$($module: Cost),+> Cost for ($($module,)+) {
            const PARAMS: usize = 0 $(+ $module::PARAMS)+;
            const MACS: usize = 0 $(+ $module::MACS)+;
        }
    };
}
tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C F);
tuple!(A B C F G);
tuple!(A B C F G H);

/// The tensors of a model as a table: [`Display`] prints it.
///
/// # Examples
/// ```
/// use layers::{prelude::*, summary};
/// let model = Cpu::default().build_module::<(Linear<784, 30, Sigmoid>, Linear<30, 10>), f32>();
/// let expected = "\
/// tensor    shape      elements
/// 0.weight  (30, 784)    23,520
/// 0.bias    (30)             30
/// 1.weight  (10, 30)        300
/// 1.bias    (10)             10
/// 23,860 trainable parameters, 95,440 bytes";
/// assert_eq!(summary(&model).to_string(), expected);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Every tensor in order.
    pub tensors: Vec<Parameter>,
    /// Trainable elements.
    pub trainable: usize,
    /// Elements that gradients do not update, as running statistics.
    pub fixed: usize,
    /// Memory of all tensors.
    pub bytes: usize,
}

/// Lists the tensors of `model`; see [`Summary`].
pub fn summary<M, E, D>(model: &M) -> Summary
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: Device<E>,
{
    let tensors = params::list(model);
    let sum =
        |is_trainable| tensors.iter().filter(|p| p.is_trainable == is_trainable).map(Parameter::numel).sum();
    let (trainable, fixed): (usize, usize) = (sum(true), sum(false));
    Summary { tensors, trainable, fixed, bytes: (trainable + fixed) * size_of::<E>() }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["tensor".to_owned(), "shape".to_owned(), "elements".to_owned()]];
        rows.extend(self.tensors.iter().map(|tensor| {
            let sizes: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            let mark = if tensor.is_trainable { "" } else { " fixed" };
            [tensor.name.clone(), format!("({}){mark}", sizes.join(", ")), thousands(tensor.numel())]
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (names, shapes, elements) = (width(0), width(1), width(2));
        for [name, shape, count] in &rows {
            writeln!(f, "{name:names$}  {shape:shapes$}  {count:>elements$}")?;
        }
        write!(f, "{} trainable parameters", thousands(self.trainable))?;
        if self.fixed > 0 {
            write!(f, ", {} fixed", thousands(self.fixed))?;
        }
        write!(f, ", {} bytes", thousands(self.bytes))
    }
}

/// `1234567` as `1,234,567`.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (!head.is_empty()).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}
