//! Tables of vectors: one row per token, looked up by id, and the same table as output weights; one row per position.
//!
//! $$ y_t = E_{w_t}, \qquad z = x E^\top \text{ (tied output weights)} $$
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $w$ | input, a `usize` tensor | `(T)` or `(B, T)` |
//! | $E$ | [`Embedding::weight`] | `(V, C)` |
//! | $y$ | output | `(T, C)` or `(B, T, C)` |
//!
//! **Initialisation**: standard normal, as PyTorch; GPT-2 uses the standard deviation 0.02 ([`crate::init::normal`]).
//! **Papers**: Bengio et al. (2003), JMLR 3; tied weights: Press & Wolf (2017), arXiv 1608.05859.
//! **Large tables**: dfdx keeps a dense gradient, $V C$ numbers a step; [`Embedding::try_sparse`] trains the rows of a
//! batch alone.
use crate::dual::along::detached;
use crate::{Along, Dual};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{Const, Cpu, Dim, Dtype, HasShape, PutTape, Rank2, Storage, Tape, Tensor, TryAdd};
use kernels::sequence::{
    AppendFeatures, SequenceDevice, try_embedding, try_gather_rows, try_sinusoid, unique_rows,
};
use kernels::{Device, Error, FeaturesLast, InputGradient, Real, try_linear};
use rand_distr::{Distribution, StandardNormal};

/// The description of an embedding, for `build_module`.
pub mod builder {
    /// Builds an [`Embedding`](super::Embedding) of `V` tokens in `C` dimensions.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Embedding<const V: usize, const C: usize>;

    /// Builds [`LearnedPositions`](super::LearnedPositions) for up to `N` positions of `M` features.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct LearnedPositions<const N: usize, const M: usize>;
}

/// The normal distribution with mean 0 and the given standard deviation, for f32 and f64.
struct Gaussian(f64);
impl<E: Real> Distribution<E> for Gaussian {
    fn sample<R: rand::Rng + ?Sized>(&self, rng: &mut R) -> E {
        let z: f64 = StandardNormal.sample(rng);
        E::of(self.0 * z)
    }
}

/// A table of `V` vectors in `C` dimensions.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let table = dev.build_module::<Embedding<7, 2>, f32>();
/// let ids = dev.tensor([[6, 0, 6], [1, 2, 3]]);
/// let y: Tensor<Rank3<2, 3, 2>, f32, _> = table.forward(ids);
/// assert_eq!(y.array()[0][2], table.weight.array()[6]);
/// let logits: Tensor<Rank3<2, 3, 7>, f32, _> = table.logits(y); // tied output weights
/// ```
///
/// # Panics
/// The forward pass, on an id outside of the table: [`try_lookup`](Self::try_lookup) returns an error.
#[derive(Clone, Debug)]
pub struct Embedding<const V: usize, const C: usize, E: Dtype, D: Storage<E>> {
    /// $E$, `(V, C)`.
    pub weight: Tensor<Rank2<V, C>, E, D>,
}

impl<const V: usize, const C: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
    for builder::Embedding<V, C>
{
    type Built = Embedding<V, C, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<const V: usize, const C: usize, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for Embedding<V, C, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Embedding<V, C, E2, D2>;

    fn iter_tensors<W: ModuleVisitor<Self, E, D>>(
        visitor: &mut W,
    ) -> Result<Option<Self::To<W::E2, W::D2>>, W::Err> {
        let weight = Self::tensor(
            "weight",
            |s| &s.weight,
            |s| &mut s.weight,
            TensorOptions::reset_with(|weight| weight.try_fill_with_distr(Gaussian(1.0))),
        );
        visitor.visit_fields(weight, |weight| Embedding { weight })
    }
}

impl<const V: usize, const C: usize, E: Dtype, D: Storage<E>> NonMutableModule for Embedding<V, C, E, D> {}

impl<const V: usize, const C: usize, E: Real, D: SequenceDevice<E>> Embedding<V, C, E, D> {
    /// The rows of the given ids, with the tape that comes with them.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] for an id outside of the table, and the device's error.
    pub fn try_lookup<S: AppendFeatures<C>, T: Tape<E, D>>(
        &self,
        ids: Tensor<S, usize, D, T>,
    ) -> Result<Tensor<S::With, E, D, T>, Error> {
        try_embedding(&self.weight, ids)
    }

    /// The distinct rows that a batch uses, as a tensor of their own to be trained.
    ///
    /// # Errors
    /// Those of [`try_lookup`](Self::try_lookup).
    pub fn try_sparse(&self, ids: &[usize]) -> Result<SparseRows<C, E, D>, Error> {
        let (rows, inverse) = unique_rows(ids);
        let table = try_gather_rows(self.weight.clone(), &rows)?;
        Ok(SparseRows { rows, table, inverse })
    }
}

impl<const V: usize, const C: usize, E: Real, D: Device<E>> Embedding<V, C, E, D> {
    /// Scores of all `V` tokens, $x E^\top$: the table as output weights, without bias.
    ///
    /// # Panics
    /// When the device fails; [`try_logits`](Self::try_logits) returns the error.
    pub fn logits<S: FeaturesLast<C>, T: Tape<E, D>>(
        &self,
        x: Tensor<S, E, D, T>,
    ) -> Tensor<S::With<V>, E, D, T> {
        self.try_logits(x).unwrap()
    }

    /// Fallible twin of [`logits`](Self::logits).
    ///
    /// # Errors
    /// The device's error.
    pub fn try_logits<S: FeaturesLast<C>, T: Tape<E, D>>(
        &self,
        x: Tensor<S, E, D, T>,
    ) -> Result<Tensor<S::With<V>, E, D, T>, D::Err> {
        let no_bias = x.device().try_zeros_like(&(Const::<V>,))?;
        try_linear(x, &self.weight, &no_bias, kernels::Identity, InputGradient::Needed)
    }
}

impl<const V: usize, const C: usize, E: Real> Embedding<V, C, E, Cpu> {
    /// Writes trained rows back.
    ///
    /// # Examples
    /// One step of gradient descent whose cost does not depend on the size of the table:
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::seed_from_u64(0);
    /// let mut table = dev.build_module::<Embedding<10_000, 2>, f32>();
    /// let before = table.weight.array()[7];
    /// let mut batch = table.try_sparse(&[7, 3, 7])?;
    /// let y = batch.lookup(OwnedTape::<f32, Cpu>::default());
    /// let gradients = y.sum().backward();
    /// let step = gradients.get(&batch.table) * 0.5; // row 7 was used twice
    /// batch.table = batch.table.clone() - step;
    /// table.write_rows(&batch);
    /// assert_eq!(table.weight.array()[7], before.map(|w| w - 1.0));
    /// # Ok::<(), kernels::Error>(())
    /// ```
    ///
    /// # Panics
    /// When the rows come from a larger table.
    pub fn write_rows(&mut self, rows: &SparseRows<C, E, Cpu>) {
        if rows.rows.is_empty() || C == 0 {
            return;
        }
        let weight = kernels::flat_mut(&mut self.weight);
        for (&row, values) in rows.rows.iter().zip(kernels::flat(&rows.table).chunks_exact(C)) {
            weight[row * C..(row + 1) * C].copy_from_slice(values);
        }
    }
}

impl<const V: usize, const C: usize, S, E, D, T> Module<Tensor<S, usize, D, T>> for Embedding<V, C, E, D>
where
    S: AppendFeatures<C>,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
{
    type Output = Tensor<S::With, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, ids: Tensor<S, usize, D, T>) -> Result<Self::Output, D::Err> {
        Ok(self.try_lookup(ids).unwrap_or_else(|error| panic!("{error}")))
    }
}

/// The rows of an embedding that one batch uses. The gradient of [`table`](Self::table) is the sparse gradient.
#[derive(Clone, Debug)]
pub struct SparseRows<const C: usize, E: Dtype, D: Storage<E>> {
    /// Ids of the rows, ascending.
    pub rows: Vec<usize>,
    /// The rows, `(rows.len(), C)`.
    pub table: Tensor<(usize, Const<C>), E, D>,
    inverse: Vec<usize>,
}

impl<const C: usize, E: Real, D: SequenceDevice<E>> SparseRows<C, E, D> {
    /// One row per id of the batch, recorded on `tape`.
    ///
    /// # Panics
    /// When the device fails, or rows were taken out of `table`.
    pub fn lookup<T: Tape<E, D>>(&self, tape: T) -> Tensor<(usize, Const<C>), E, D, T> {
        let rows = try_gather_rows(self.table.clone().put_tape(tape), &self.inverse);
        rows.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Number of distinct rows.
    pub fn len(&self) -> usize {
        self.table.shape().0
    }

    /// Whether the batch has no id.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// `x` plus row `start + t` of a table at each position `t`.
fn add_positions<const M: usize, N: Dim, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, S, Const<M>), E, D, T>,
    table: &Tensor<(N, Const<M>), E, D>,
    start: usize,
) -> Result<Tensor<(B, S, Const<M>), E, D, T>, Error> {
    let shape = *x.shape();
    let (batch, positions, rows) = (shape.0.size(), shape.1.size(), table.shape().0.size());
    if let Some(index) = (start + positions).checked_sub(1).filter(|&last| positions > 0 && last >= rows) {
        return Err(Error::IndexOutOfRange { position: positions - 1, index, rows });
    }
    let rows = (0..batch).flat_map(|_| start..start + positions).collect();
    let table = D::gather_rows(table.clone().put_tape(T::default()), rows, shape)?;
    x.try_add(table).map_err(crate::attention::device_error)
}

/// Sinusoidal positions, added to the input: `(B, T, M)` → `(B, T, M)`; no weights. See [`kernels::sequence::sinusoid`].
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x: Tensor<Rank3<1, 2, 2>, f64, _> = Cpu::default().zeros();
/// assert_eq!(SinusoidalPositions.forward(x).array(), [[[0.0, 1.0], [1_f64.sin(), 1_f64.cos()]]]);
/// ```
///
/// # Panics
/// When `M` is odd, or the device fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinusoidalPositions;
impl dfdx::nn::ZeroSizedModule for SinusoidalPositions {}
impl NonMutableModule for SinusoidalPositions {}

impl SinusoidalPositions {
    /// The positions from `start` on, for a sequence that comes in pieces.
    ///
    /// # Errors
    /// [`Error::OddColumns`], and the device's error.
    pub fn try_add_from<const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
        &self,
        start: usize,
        x: Tensor<(B, S, Const<M>), E, D, T>,
    ) -> Result<Tensor<(B, S, Const<M>), E, D, T>, Error> {
        let table = try_sinusoid::<M, E, D>(x.device(), start, x.shape().1.size())?;
        add_positions(x, &table, 0)
    }
}

impl<const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Tensor<(B, S, Const<M>), E, D, T>> for SinusoidalPositions
{
    type Output = Tensor<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        Ok(self.try_add_from(0, x).unwrap_or_else(|error| panic!("{error}")))
    }
}

/// Positions do not move: the tangent is that of the input.
impl<const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<M>), E, D, T>> for SinusoidalPositions
{
    type Output = Dual<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        Ok(Dual::join(self.try_forward(x)?, dx))
    }
}

impl<const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Along<Dual<(B, S, Const<M>), E, D, T>> for SinusoidalPositions
{
    type Output = Dual<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_along(&self, _: &Self, x: Dual<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        self.try_forward(x)
    }
}

/// One learnt vector for each of up to `N` positions, added to the input: `(B, T, M)` → `(B, T, M)`.
///
/// Starts from a normal distribution with standard deviation 0.01, as the released code of GPT-2.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let positions = dev.build_module::<LearnedPositions<4, 2>, f64>();
/// let x: Tensor<Rank3<1, 3, 2>, f64, _> = dev.zeros();
/// assert_eq!(positions.forward(x.clone()).array()[0], positions.weight.array()[..3]);
/// assert_eq!(positions.try_add_from(1, x.clone())?.array()[0], positions.weight.array()[1..]);
/// assert!(positions.try_add_from(2, x).is_err(), "there is no position 4");
/// # Ok::<(), kernels::Error>(())
/// ```
///
/// # Panics
/// The forward pass, on a sequence of more than `N` positions.
#[derive(Clone, Debug)]
pub struct LearnedPositions<const N: usize, const M: usize, E: Dtype, D: Storage<E>> {
    /// `(N, M)`.
    pub weight: Tensor<Rank2<N, M>, E, D>,
}

impl<const N: usize, const M: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
    for builder::LearnedPositions<N, M>
{
    type Built = LearnedPositions<N, M, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<const N: usize, const M: usize, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for LearnedPositions<N, M, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = LearnedPositions<N, M, E2, D2>;

    fn iter_tensors<W: ModuleVisitor<Self, E, D>>(
        visitor: &mut W,
    ) -> Result<Option<Self::To<W::E2, W::D2>>, W::Err> {
        let weight = Self::tensor(
            "weight",
            |s| &s.weight,
            |s| &mut s.weight,
            TensorOptions::reset_with(|weight| weight.try_fill_with_distr(Gaussian(0.01))),
        );
        visitor.visit_fields(weight, |weight| LearnedPositions { weight })
    }
}

impl<const N: usize, const M: usize, E: Dtype, D: Storage<E>> NonMutableModule
    for LearnedPositions<N, M, E, D>
{
}

impl<const N: usize, const M: usize, E: Real, D: SequenceDevice<E>> LearnedPositions<N, M, E, D> {
    /// The positions from `start` on, for a sequence that comes in pieces.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`] when a position is not below `N`, and the device's error.
    pub fn try_add_from<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        start: usize,
        x: Tensor<(B, S, Const<M>), E, D, T>,
    ) -> Result<Tensor<(B, S, Const<M>), E, D, T>, Error> {
        add_positions(x, &self.weight, start)
    }
}

impl<const N: usize, const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Tensor<(B, S, Const<M>), E, D, T>> for LearnedPositions<N, M, E, D>
{
    type Output = Tensor<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        Ok(self.try_add_from(0, x).unwrap_or_else(|error| panic!("{error}")))
    }
}

/// Positions do not move: the tangent is that of the input.
impl<const N: usize, const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<M>), E, D, T>> for LearnedPositions<N, M, E, D>
{
    type Output = Dual<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        Ok(Dual::join(self.try_forward(x)?, dx))
    }
}

impl<const N: usize, const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Along<Dual<(B, S, Const<M>), E, D, T>> for LearnedPositions<N, M, E, D>
{
    type Output = Dual<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_along(
        &self,
        direction: &Self,
        x: Dual<(B, S, Const<M>), E, D, T>,
    ) -> Result<Self::Output, D::Err> {
        let direction = Self { weight: detached(&direction.weight)? };
        let (x, dx) = x.split();
        Ok(Dual::join(self.try_forward(x)?, direction.try_forward(dx)?))
    }
}
