//! Layers on graphs: what every node makes of itself and of its neighbours, and what a graph makes of its nodes.
//!
//! $$ Y = \varphi(S X W^\top + b) \quad\text{([`GraphConvolution`])}, \qquad
//!    Y = \varphi(X W_{\text{self}}^\top + S X W_{\text{near}}^\top + b) \quad\text{([`NeighbourConvolution`])} $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $X$ | features of the nodes | `(N, I)` |
//! | $S$ | a sparse matrix with one row per result: [`Csr`] | `M` × `N` |
//! | $W$, $b$ | weights and bias | `(O, I)`, `(O)` |
//!
//! The graph comes with the features, for a model may see many: [`OnGraph`] carries both through a tuple of layers. What
//! S holds decides the method: $\tilde D^{-1/2}(A + 1)\tilde D^{-1/2}$ makes a [`GraphConvolution`] that of Kipf &
//! Welling (2017, equation 2), $D^{-1} A$ makes a [`NeighbourConvolution`] GraphSAGE with the mean (Hamilton, Ying &
//! Leskovec 2017, algorithm 1, the concatenation written as two products; without its normalisation to length one), A
//! itself the sums of neighbours.
//!
//! | I want | write |
//! |---|---|
//! | a whole graph through several layers | a tuple and [`OnGraph`]; [`PerNode`] for layers that know no graph |
//! | sampled neighbours, other results than nodes | [`GraphConvolution::try_run`], [`NeighbourConvolution::try_run`] |
//! | one vector for each graph of a batch | [`SumReadout`], [`MeanReadout`], [`MaxReadout`] and [`Grouped`] |
//!
//! **Order of products**: S (X Wᵀ) and (S X) Wᵀ are equal but for rounding; the layers take the one of fewer
//! multiplications, N I O + entries · O or M I O + entries · I, which the sizes alone decide: 500 features of a graph to
//! 16 go through the weights first, the many neighbours of a few sampled nodes are added first.
//! **Complexity**: the smaller of the two.
use crate::Dual;
use crate::activation::{Activation, Identity};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, ModuleMut, NonMutableModule};
use dfdx::prelude::{
    Axis, Const, Dim, Dtype, HasShape, PutTape, Rank1, Rank2, SplitTape, Storage, Tape, Tensor,
};
use kernels::sparse::{Csr, Reduction, Segments, SparseDevice, SparseError, try_segment_reduce, try_spmm};
use kernels::{DeviceError, InputGradient, Real, try_activate, try_add, try_add_along, try_linear};
use rand_distr::Uniform;

/// Descriptions of layers on graphs, for `build_module`.
pub mod builder {
    use super::Identity;
    use std::marker::PhantomData;

    /// Builds a [`GraphConvolution`](super::GraphConvolution) from `I` to `O` features, followed by the activation `A`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct GraphConvolution<const I: usize, const O: usize, A = Identity>(PhantomData<A>);
    /// Builds a [`NeighbourConvolution`](super::NeighbourConvolution) from `I` to `O` features, followed by `A`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct NeighbourConvolution<const I: usize, const O: usize, A = Identity>(PhantomData<A>);
}

/// Features of the nodes of a graph, with the graph: what goes through a tuple of layers on graphs. `x` is a tensor or a
/// [`Dual`] of shape `(N, F)`.
///
/// # Examples
/// ```
/// use kernels::sparse::Csr;
/// use layers::{graph::OnGraph, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// type Model = (GraphConvolution<3, 8, Relu>, PerNode<Dropout>, GraphConvolution<8, 2>);
/// let model = dev.build_module::<Model, f32>();
/// let path = Csr::try_from_edges(Const::<4>, Const::<4>, &[(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0)])?;
/// let x: Tensor<Rank2<4, 3>, f32, _> = dev.sample_normal();
/// let y: Tensor<Rank2<4, 2>, f32, _> = model.forward(OnGraph { x, graph: &path }).x;
/// # Ok::<(), kernels::sparse::SparseError>(())
/// ```
/// Widths that do not fit are a compile error:
/// ```compile_fail
/// use kernels::sparse::Csr;
/// use layers::{graph::OnGraph, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(GraphConvolution<3, 8>, GraphConvolution<9, 2>), f32>();
/// let graph = Csr::<f32, _, _>::try_from_edges(Const::<4>, Const::<4>, &[]).unwrap();
/// model.forward(OnGraph { x: dev.zeros::<Rank2<4, 3>>(), graph: &graph });
/// ```
#[derive(Clone, Debug)]
pub struct OnGraph<'a, X, E: Real, N: Dim = usize> {
    /// Features of the nodes, `(N, F)`.
    pub x: X,
    /// $S$, N × N: row i holds what node i receives from the others.
    pub graph: &'a Csr<E, N, N>,
}

/// Rows of features with their cut into groups, as the nodes of the graphs of a batch: what a readout takes.
#[derive(Clone, Debug)]
pub struct Grouped<'a, X> {
    /// Features, `(V, F)`.
    pub x: X,
    /// The groups.
    pub segments: &'a Segments,
}

/// An error of the device among those of the sparse operations.
pub(crate) fn device(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> SparseError {
    SparseError::Device(DeviceError::new(error))
}

/// S X Wᵀ, in the order of fewer multiplications.
pub(crate) fn gathered<const I: usize, const O: usize, M: Dim, N: Dim, E, D, T>(
    graph: &Csr<E, M, N>,
    x: Tensor<(N, Const<I>), E, D, T>,
    weight: &Tensor<Rank2<O, I>, E, D>,
    input_gradient: InputGradient,
) -> Result<Tensor<(M, Const<O>), E, D, T>, SparseError>
where
    E: Real,
    D: SparseDevice<E>,
    T: Tape<E, D>,
{
    let [rows, nodes, entries] =
        [graph.pattern().rows().size(), graph.pattern().cols().size(), graph.pattern().len()];
    if nodes * I * O + entries * O <= rows * I * O + entries * I {
        return try_spmm(graph, product(x, weight, input_gradient)?);
    }
    match input_gradient {
        InputGradient::Needed => product(try_spmm(graph, x)?, weight, input_gradient),
        InputGradient::Skipped => {
            let (x, tape) = x.split_tape();
            product(try_spmm(graph, x)?.put_tape(tape), weight, input_gradient)
        }
    }
}

/// X Wᵀ.
pub(crate) fn product<const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    x: Tensor<(N, Const<I>), E, D, T>,
    weight: &Tensor<Rank2<O, I>, E, D>,
    input_gradient: InputGradient,
) -> Result<Tensor<(N, Const<O>), E, D, T>, SparseError> {
    let no_bias = x.device().try_zeros_like(&(Const::<O>,)).map_err(device)?;
    try_linear(x, weight, &no_bias, kernels::Identity, input_gradient).map_err(device)
}

/// Z + b in every row.
pub(crate) fn with_bias<const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>(
    z: Tensor<(N, Const<O>), E, D, T>,
    bias: &Tensor<Rank1<O>, E, D>,
) -> Result<Tensor<(N, Const<O>), E, D, T>, SparseError> {
    try_add_along(z, bias.clone(), Axis::<0>).map_err(device)
}

macro_rules! convolutions {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$tensor_doc:meta])* $tensor:ident: $shape:ty = $reset:expr,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A = Identity> {
            $($(#[$tensor_doc])* pub $tensor: Tensor<$shape, E, D>,)*
            /// $\varphi$.
            pub activation: A,
            /// Whether backward computes the gradient of the input; see [`Linear`](crate::modules::Linear).
            pub input_gradient: InputGradient,
        }

        impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation>
            BuildOnDevice<D, E> for builder::$name<I, O, A>
        {
            type Built = $name<I, O, E, D, A>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<const I: usize, const O: usize, E: Real, D: dfdx::prelude::Device<E>, A: Activation>
            TensorCollection<E, D> for $name<I, O, E, D, A>
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<I, O, E2, D2, A>;

            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                visitor.visit_fields(
                    ($(Self::tensor(
                        stringify!($tensor),
                        |s| &s.$tensor,
                        |s| &mut s.$tensor,
                        TensorOptions::reset_with($reset),
                    ),)*),
                    |($($tensor,)*)| $name {
                        $($tensor,)*
                        activation: A::default(),
                        input_gradient: InputGradient::Needed,
                    },
                )
            }
        }

        impl<const I: usize, const O: usize, E: Dtype, D: Storage<E>, A> NonMutableModule
            for $name<I, O, E, D, A>
        {
        }

        impl<'a, const I: usize, const O: usize, N: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>, A>
            Module<OnGraph<'a, Tensor<(N, Const<I>), E, D, T>, E, N>> for $name<I, O, E, D, A>
        where
            A: Activation,
        {
            type Output = OnGraph<'a, Tensor<(N, Const<O>), E, D, T>, E, N>;
            type Error = D::Err;
            fn try_forward(
                &self,
                OnGraph { x, graph }: OnGraph<'a, Tensor<(N, Const<I>), E, D, T>, E, N>,
            ) -> Result<Self::Output, D::Err> {
                let y = self.try_on_nodes(x, graph).unwrap_or_else(|error| panic!("{error}"));
                Ok(OnGraph { x: y, graph })
            }
        }
    )*};
}

/// Uniform in ±√(6 / (inputs + outputs)): Glorot & Bengio (2010), as Kipf & Welling start.
fn glorot<E: Real>(inputs: usize, outputs: usize) -> Uniform<E> {
    let bound = E::of((6.0 / (inputs + outputs) as f64).sqrt());
    Uniform::new(-bound, bound)
}

convolutions! {
    /// Every node takes the weighted sum of its neighbours' features, then one linear layer:
    /// $\varphi(S X W^\top + b)$ (Kipf & Welling 2017, equation 2).
    ///
    /// **Initialisation**: Glorot's uniform weights, no bias. **Deviation** from the paper: it has a bias, as the code
    /// of its authors can have.
    ///
    /// # Examples
    /// A node without entries receives nothing but the bias:
    /// ```
    /// use kernels::sparse::Csr;
    /// use layers::{Cost, graph::OnGraph, prelude::*};
    /// let dev = Cpu::seed_from_u64(0);
    /// let mut layer = dev.build_module::<GraphConvolution<1, 1>, f64>();
    /// layer.weight = dev.tensor([[10.0]]);
    /// layer.bias = dev.tensor([0.5]);
    /// let graph = Csr::try_from_edges(3, 3, &[(0, 1, 0.5), (0, 2, 0.5), (1, 0, 1.0)])?;
    /// let x = dev.tensor_from_vec(vec![1.0, 2.0, 4.0], (3, Const::<1>));
    /// assert_eq!(layer.forward(OnGraph { x, graph: &graph }).x.as_vec(), [30.5, 10.5, 0.5]);
    /// assert_eq!(GraphConvolution::<500, 16>::PARAMS, 8_016);
    /// # Ok::<(), kernels::sparse::SparseError>(())
    /// ```
    ///
    /// # Panics
    /// The forward pass, when the graph has another number of nodes than the features and neither is known to the
    /// compiler; [`try_run`](Self::try_run) returns the error.
    GraphConvolution {
        /// $W$, `(O, I)`.
        weight: Rank2<O, I> = |weight| weight.try_fill_with_distr(glorot(I, O)),
        /// $b$, `(O)`.
        bias: Rank1<O> = |bias| bias.try_fill_with_zeros(),
    }

    /// Every node keeps its own features and takes its neighbours' beside them, each with weights of its own:
    /// $\varphi(X W_{\text{self}}^\top + S X W_{\text{near}}^\top + b)$ (Hamilton, Ying & Leskovec 2017, algorithm 1,
    /// with S the mean of the neighbours).
    ///
    /// **Initialisation**: Glorot's uniform weights, no bias. **Deviation** from the paper: two products in place of one
    /// of concatenated features (the same function); normalisation to length one is left to a layer of its own.
    ///
    /// # Examples
    /// ```
    /// use kernels::sparse::Csr;
    /// use layers::{graph::OnGraph, prelude::*};
    /// let dev = Cpu::seed_from_u64(0);
    /// let mut layer = dev.build_module::<NeighbourConvolution<1, 1>, f64>();
    /// (layer.weight_self, layer.weight_near) = (dev.tensor([[1.0]]), dev.tensor([[100.0]]));
    /// let means = Csr::try_from_edges(2, 2, &[(0, 1, 1.0)])?;
    /// let x = dev.tensor_from_vec(vec![2.0, 3.0], (2, Const::<1>));
    /// assert_eq!(layer.forward(OnGraph { x, graph: &means }).x.as_vec(), [302.0, 3.0]);
    /// # Ok::<(), kernels::sparse::SparseError>(())
    /// ```
    ///
    /// # Panics
    /// As [`GraphConvolution`].
    NeighbourConvolution {
        /// $W_{\text{self}}$, `(O, I)`.
        weight_self: Rank2<O, I> = |weight| weight.try_fill_with_distr(glorot(I, O)),
        /// $W_{\text{near}}$, `(O, I)`.
        weight_near: Rank2<O, I> = |weight| weight.try_fill_with_distr(glorot(I, O)),
        /// $b$, `(O)`.
        bias: Rank1<O> = |bias| bias.try_fill_with_zeros(),
    }
}

impl<const I: usize, const O: usize, E: Real, D: SparseDevice<E>, A: Activation>
    GraphConvolution<I, O, E, D, A>
{
    /// $\varphi(S X W^\top + b)$ for any M × N matrix: `(N, I)` → `(M, O)`, as for a batch of sampled nodes.
    ///
    /// # Errors
    /// Those of [`try_spmm`].
    pub fn try_run<M: Dim, N: Dim, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>), E, D, T>,
        graph: &Csr<E, M, N>,
    ) -> Result<Tensor<(M, Const<O>), E, D, T>, SparseError> {
        let z = gathered(graph, x, &self.weight, self.input_gradient)?;
        try_activate(with_bias(z, &self.bias)?, A::KIND).map_err(device)
    }

    fn try_on_nodes<N: Dim, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>), E, D, T>,
        graph: &Csr<E, N, N>,
    ) -> Result<Tensor<(N, Const<O>), E, D, T>, SparseError> {
        self.try_run(x, graph)
    }
}

impl<const I: usize, const O: usize, E: Real, D: SparseDevice<E>, A: Activation>
    NeighbourConvolution<I, O, E, D, A>
{
    /// $\varphi(X_{\text{self}} W_{\text{self}}^\top + S X W_{\text{near}}^\top + b)$ for any M × N matrix: the
    /// results' own features `(M, I)` and those of their neighbours `(N, I)` → `(M, O)`.
    ///
    /// # Errors
    /// Those of [`try_spmm`], and [`SparseError::LengthMismatch`] when `own` has another number of rows than the matrix.
    pub fn try_run<M: Dim, N: Dim, T: Tape<E, D>>(
        &self,
        own: Tensor<(M, Const<I>), E, D, T>,
        x: Tensor<(N, Const<I>), E, D, T>,
        graph: &Csr<E, M, N>,
    ) -> Result<Tensor<(M, Const<O>), E, D, T>, SparseError> {
        let near = gathered(graph, x, &self.weight_near, self.input_gradient)?;
        let (rows, want) = (own.shape().0.size(), near.shape().0.size());
        if rows != want {
            return Err(SparseError::LengthMismatch {
                operand: "own features",
                length: rows,
                expected: want,
            });
        }
        let own = product(own, &self.weight_self, self.input_gradient)?;
        let z = try_add(own, near).map_err(device)?;
        try_activate(with_bias(z, &self.bias)?, A::KIND).map_err(device)
    }

    fn try_on_nodes<N: Dim, T: Tape<E, D>>(
        &self,
        x: Tensor<(N, Const<I>), E, D, T>,
        graph: &Csr<E, N, N>,
    ) -> Result<Tensor<(N, Const<O>), E, D, T>, SparseError> {
        let own = x.retaped::<T>();
        self.try_run(x, own, graph)
    }
}

/// A layer that knows no graph, applied to the features of every node: dropout, activations, linear layers,
/// normalisation between layers on graphs.
///
/// # Examples
/// ```
/// use kernels::sparse::Csr;
/// use layers::{graph::OnGraph, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<PerNode<(Linear<3, 2>, Relu)>, f32>();
/// let graph = Csr::<f32, _, _>::try_from_edges(Const::<4>, Const::<4>, &[])?;
/// let x = dev.sample_normal::<Rank2<4, 3>>();
/// let y = model.forward(OnGraph { x: x.clone(), graph: &graph }).x;
/// assert_eq!(y.array(), model.0.forward(x).array());
/// # Ok::<(), kernels::sparse::SparseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PerNode<L>(
    /// The layer.
    pub L,
);

impl<L: BuildOnDevice<D, E>, E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for PerNode<L> {
    type Built = PerNode<L::Built>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Ok(PerNode(L::try_build_on_device(device)?))
    }
}

impl<L: TensorCollection<E, D>, E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for PerNode<L> {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = PerNode<L::To<E2, D2>>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(Self::module("0", |s| &s.0, |s| &mut s.0), PerNode)
    }
}

impl<'a, X, L: Module<X>, E: Real, N: Dim> Module<OnGraph<'a, X, E, N>> for PerNode<L> {
    type Output = OnGraph<'a, L::Output, E, N>;
    type Error = L::Error;
    fn try_forward(&self, OnGraph { x, graph }: OnGraph<'a, X, E, N>) -> Result<Self::Output, L::Error> {
        Ok(OnGraph { x: self.0.try_forward(x)?, graph })
    }
}

impl<'a, X, L: ModuleMut<X>, E: Real, N: Dim> ModuleMut<OnGraph<'a, X, E, N>> for PerNode<L> {
    type Output = OnGraph<'a, L::Output, E, N>;
    type Error = L::Error;
    fn try_forward_mut(
        &mut self,
        OnGraph { x, graph }: OnGraph<'a, X, E, N>,
    ) -> Result<Self::Output, L::Error> {
        Ok(OnGraph { x: self.0.try_forward_mut(x)?, graph })
    }
}

macro_rules! readouts {
    ($($(#[$doc:meta])* $name:ident = $reduction:ident, $dual:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// The forward pass, when the groups hold another number of rows than the features.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl dfdx::nn::ZeroSizedModule for $name {}
        impl NonMutableModule for $name {}

        impl<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>
            Module<Grouped<'_, Tensor<(V, F), E, D, T>>> for $name
        {
            type Output = Tensor<(usize, F), E, D, T>;
            type Error = D::Err;
            fn try_forward(
                &self,
                Grouped { x, segments }: Grouped<'_, Tensor<(V, F), E, D, T>>,
            ) -> Result<Self::Output, D::Err> {
                let y = try_segment_reduce(x, segments, Reduction::$reduction);
                Ok(y.unwrap_or_else(|error| panic!("{error}")))
            }
        }

        impl<V: Dim, F: Dim, E: Real, D: SparseDevice<E>, T: Tape<E, D>>
            Module<Grouped<'_, Dual<(V, F), E, D, T>>> for $name
        {
            type Output = Dual<(usize, F), E, D, T>;
            type Error = D::Err;
            fn try_forward(
                &self,
                Grouped { x, segments }: Grouped<'_, Dual<(V, F), E, D, T>>,
            ) -> Result<Self::Output, D::Err> {
                Ok(x.$dual(segments).unwrap_or_else(|error| panic!("{error}")))
            }
        }
    )*};
}
readouts! {
    /// The sum of the nodes of each graph: tells multisets apart that means and maxima confuse (Xu et al. 2019).
    ///
    /// # Examples
    /// ```
    /// use kernels::sparse::Segments;
    /// use layers::{graph::Grouped, prelude::*};
    /// let x = Cpu::default().tensor([[1.0_f32], [2.0], [4.0]]);
    /// let segments = Segments::from_lengths(&[2, 1]);
    /// assert_eq!(SumReadout.forward(Grouped { x: x.clone(), segments: &segments }).as_vec(), [3.0, 4.0]);
    /// assert_eq!(MeanReadout.forward(Grouped { x: x.clone(), segments: &segments }).as_vec(), [1.5, 4.0]);
    /// assert_eq!(MaxReadout.forward(Grouped { x, segments: &segments }).as_vec(), [2.0, 4.0]);
    /// ```
    SumReadout = Sum, try_segment_sum;
    /// The mean of the nodes of each graph; 0 for a graph without nodes.
    MeanReadout = Mean, try_segment_mean;
    /// The largest value of each feature over the nodes of each graph; 0 for a graph without nodes.
    MaxReadout = Max, try_segment_max;
}
