//! Models as objectives, and the optimiser that evaluates twice: SAM.
use super::Objective;
use crate::Error;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::Gradients;
use kernels::{Device, Real};
use layers::{Step, StepError, StepReport, params};
use std::marker::PhantomData;

/// A model and its loss as a function of the flat weights, for every method of [`second_order`](super).
///
/// ```
/// use layers::{params, prelude::*};
/// use optim::second_order::{Lbfgs, LbfgsConfig, ModelObjective};
///
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<(Linear<2, 8, Tanh>, Linear<8, 1>), f64>();
/// let x: Tensor<Rank2<16, 2>, f64, _> = dev.sample_normal();
/// let y = (x.clone().sum::<Rank1<16>, _>() * 0.5).sin();
/// let loss = |model: &<(Linear<2, 8, Tanh>, Linear<8, 1>) as BuildOnDevice<Cpu, f64>>::Built| {
///     let error = model.forward(x.leaky_trace()).reshape::<Rank1<16>>() - y.clone();
///     let loss = error.square().mean();
///     Ok((loss.array(), loss.backward()))
/// };
/// let start = params::flatten(&model);
/// let objective = ModelObjective::new(&mut model, loss);
/// let minimum = Lbfgs::try_new(LbfgsConfig::default())?.minimise(objective, &start, 200)?;
/// params::unflatten(&mut model, &minimum.x)?; // the model holds the last point tried until then
/// assert!(minimum.value < 1e-4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ModelObjective<'a, M, E, D, F> {
    model: &'a mut M,
    loss: F,
    types: PhantomData<fn(E, D)>,
}

impl<'a, M, E, D, F> ModelObjective<'a, M, E, D, F>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
    F: FnMut(&M) -> Result<(E, Gradients<E, D>), Error>,
{
    /// `loss(model)` gives the value and the gradients of a full pass over the data.
    pub fn new(model: &'a mut M, loss: F) -> Self {
        Self { model, loss, types: PhantomData }
    }
}

impl<M, E, D, F> Objective for ModelObjective<'_, M, E, D, F>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
    F: FnMut(&M) -> Result<(E, Gradients<E, D>), Error>,
{
    fn evaluate(&mut self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        let flat: Vec<E> = x.iter().map(|&x| E::of(x)).collect();
        params::unflatten(self.model, &flat)?;
        let (value, mut gradients) = (self.loss)(self.model)?;
        let gradient = params::flatten_gradients(self.model, &mut gradients)?;
        Ok((value.as_f64(), gradient.into_iter().map(E::as_f64).collect()))
    }
}

/// Hyperparameters of [`Sam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamConfig {
    /// $\rho$: how far uphill the second gradient is taken; above 0. Default 0.05, the paper's.
    pub radius: f64,
}

impl Default for SamConfig {
    fn default() -> Self {
        Self { radius: 0.05 }
    }
}

/// Sharpness-aware minimisation: a step of any optimiser with the gradient at $w + \rho g/|g|$.
///
/// **Paper**: Foret et al. (2021), Sharpness-aware minimization for efficiently improving generalization, arXiv
/// 2010.01412. Two gradients per step.
#[derive(Clone, Debug)]
pub struct Sam<O> {
    /// The optimiser that makes the step.
    pub inner: O,
    config: SamConfig,
}

impl<O> Sam<O> {
    /// Around an optimiser.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] when the radius is not finite and above 0.
    pub fn try_new(inner: O, config: SamConfig) -> Result<Self, Error> {
        let radius = config.radius;
        super::check("radius", "finite and above 0", radius, radius > 0.0 && radius.is_finite())?;
        Ok(Self { inner, config })
    }

    /// One step; `loss(model)` gives the gradients of one batch, and is called twice. The model is as before after an
    /// error of the second call.
    ///
    /// # Errors
    /// Those of `loss` and of the optimiser.
    pub fn step<M, E, D>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> Result<Gradients<E, D>, StepError>,
    ) -> Result<StepReport, StepError>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
        O: Step<M, E, D>,
    {
        let mut gradients = loss(model)?;
        let gradient = params::flatten_gradients(model, &mut gradients)?;
        let norm = kernels::update::squares(&[&gradient[..]])[0].sqrt();
        let here = params::flatten(model);
        let scale = if norm > 0.0 { E::of(self.config.radius / norm) } else { E::zero() };
        let uphill: Vec<E> = here.iter().zip(&gradient).map(|(&w, &g)| g.mul_add(scale, w)).collect();
        let write = |model: &mut M, flat: &[E]| match params::unflatten(model, flat) {
            Err(params::ParamsError::Device(error)) => Err(StepError::Device(error)),
            _ => Ok(()), // as many numbers as were read from this model
        };
        write(model, &uphill)?;
        let sharp = loss(model);
        write(model, &here)?;
        self.inner.step(model, &mut sharp?)
    }
}
