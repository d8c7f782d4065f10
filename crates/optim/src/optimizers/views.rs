//! The weights that are trained and the weights that are evaluated, as two types.
//!
//! Schedule-free learning, [`NesterovAgd`](super::NesterovAgd), [`Asgd`](super::Asgd) and every [`Average`](super::Average)
//! train at one point and are worth evaluating at another. [`Optim::evaluation`] gives a copy for that; nothing but care
//! keeps a program from evaluating the model that trains. Inside a [`TrainView`] it cannot be done: the view passes
//! inputs with a tape, and none without. [`TrainView::evaluation`] gives an [`EvalView`], which passes inputs without a tape, and
//! none with: it cannot be trained.
//!
//! | | trains | evaluates | weights |
//! |---|---|---|---|
//! | [`TrainView`] | `forward_mut(x.leaky_trace())`, [`step`](TrainView::step) | does not compile | $y$ |
//! | [`EvalView`] | does not compile | `forward(x)` | $x$, an average |
//!
//! ```
//! use layers::prelude::*;
//! use optim::optimizers::{ScheduleFreeSgd, ScheduleFreeSgdConfig, TrainView};
//!
//! let dev = Cpu::seed_from_u64(0);
//! let model = dev.build_module::<(Linear<2, 8>, BatchNorm1D<8>, Tanh, Linear<8, 1>), f32>();
//! let rule = ScheduleFreeSgd::try_new(&model, ScheduleFreeSgdConfig { learning_rate: 0.5, ..Default::default() })?;
//! let mut training = TrainView::new(model, rule);
//! let x: Tensor<Rank2<16, 2>, f32, _> = dev.sample_normal();
//! for _ in 0..50 {
//!     let loss = (training.forward_mut(x.leaky_trace()) - 1.0).square().mean();
//!     training.step(&mut loss.backward())?;
//! }
//! let mut evaluation = training.evaluation()?;
//! evaluation.recalibrate(|model| drop(model.forward_mut(x.clone()))); // batch norm of the weights that are averaged
//! assert!((evaluation.forward(x) - 1.0).square().mean::<Rank0, _>().array() < 0.05);
//! # Ok::<(), layers::StepError>(())
//! ```
//!
//! The other way round is no program:
//! ```compile_fail,E0277
//! # use layers::prelude::*;
//! # use optim::optimizers::{ScheduleFreeSgd, ScheduleFreeSgdConfig, TrainView};
//! # let dev = Cpu::seed_from_u64(0);
//! # let model = dev.build_module::<Linear<2, 1>, f32>();
//! # let rule = ScheduleFreeSgd::try_new(&model, ScheduleFreeSgdConfig::default())?;
//! # let mut training = TrainView::new(model, rule);
//! # let x: Tensor<Rank2<16, 2>, f32, _> = dev.sample_normal();
//! training.forward_mut(x); // no tape: whoever wants no gradient wants the evaluation
//! # Ok::<(), layers::StepError>(())
//! ```
use dfdx::nn::{Module, ModuleMut, TensorCollection};
use dfdx::prelude::{Dtype, Gradients, NoneTape, OwnedTape, Shape, Storage, Tensor};
use kernels::{Device, Real};
use layers::{Optim, Rule, Step, StepError, StepReport};

/// An input that carries a tape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no tape, and weights under training are not evaluated",
    note = "`evaluation()` gives the view to evaluate; to train, trace the input: `x.leaky_trace()`"
)]
pub trait Taped {}
impl<S: Shape, E: Dtype, D: Storage<E>> Taped for Tensor<S, E, D, OwnedTape<E, D>> {}

/// An input that carries no tape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries a tape, and weights of an evaluation are not trained",
    note = "train the view that `evaluation()` was called on, or pass the input without `leaky_trace()`"
)]
pub trait Untaped {}
impl<S: Shape, E: Dtype, D: Storage<E>> Untaped for Tensor<S, E, D, NoneTape> {}

/// A model that trains, with its optimiser; see the [module](self).
#[derive(Debug)]
pub struct TrainView<R, M, E: Real, D: Device<E>> {
    model: M,
    optimizer: Optim<R, M, E, D>,
}

impl<R: Rule, M: TensorCollection<E, D>, E: Real, D: Device<E>> TrainView<R, M, E, D> {
    /// A model and the optimiser that was made for it.
    pub fn new(model: M, optimizer: Optim<R, M, E, D>) -> Self {
        Self { model, optimizer }
    }

    /// [`Step::step`] on the model.
    ///
    /// # Errors
    /// Those of [`Step::step`].
    pub fn step(&mut self, gradients: &mut Gradients<E, D>) -> Result<StepReport, StepError> {
        self.optimizer.step(&mut self.model, gradients)
    }

    /// A copy of the model with the weights of [`Optim::evaluation`].
    ///
    /// # Errors
    /// [`StepError::Device`].
    pub fn evaluation(&self) -> Result<EvalView<M>, StepError>
    where
        M: Clone,
    {
        Ok(EvalView { model: self.optimizer.evaluation(&self.model)? })
    }

    /// The optimiser, for its state.
    pub fn optimizer(&self) -> &Optim<R, M, E, D> {
        &self.optimizer
    }

    /// The optimiser, to change its rate or to load a state.
    pub fn optimizer_mut(&mut self) -> &mut Optim<R, M, E, D> {
        &mut self.optimizer
    }

    /// Model and optimiser without the protection: for a checkpoint, say.
    pub fn into_parts(self) -> (M, Optim<R, M, E, D>) {
        (self.model, self.optimizer)
    }
}

impl<X: Taped, R, M: ModuleMut<X>, E: Real, D: Device<E>> ModuleMut<X> for TrainView<R, M, E, D> {
    type Output = M::Output;
    type Error = M::Error;
    fn try_forward_mut(&mut self, x: X) -> Result<M::Output, M::Error> {
        self.model.try_forward_mut(x)
    }
}

/// A model that is evaluated; see the [module](self).
#[derive(Clone, Debug)]
pub struct EvalView<M> {
    model: M,
}

impl<M> EvalView<M> {
    /// Takes running statistics anew, which the weights of an average have none of:
    /// [`layers::normalisation::recalibrate`].
    pub fn recalibrate<E: Real, D: Device<E>, T>(&mut self, run: impl FnOnce(&mut M) -> T) -> T
    where
        M: TensorCollection<E, D>,
    {
        layers::normalisation::recalibrate(&mut self.model, run)
    }

    /// The model without the protection.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<X: Untaped, M: Module<X>> Module<X> for EvalView<M> {
    type Output = M::Output;
    type Error = M::Error;
    fn try_forward(&self, x: X) -> Result<M::Output, M::Error> {
        self.model.try_forward(x)
    }
}
