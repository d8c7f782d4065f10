//! Stochastic gradient descent with momentum, fused and with a state that can be saved.
//!
//! $$ \hat g = g + \lambda w, \qquad v \leftarrow \mu v + \hat g, \qquad w \leftarrow w - \eta d, \qquad
//!    d = \begin{cases} \hat g & \text{no momentum} \\ v & \text{heavy ball} \\ \hat g + \mu v & \text{Nesterov} \end{cases} $$
//!
//! | symbol | code | range |
//! |---|---|---|
//! | $\eta$ | [`SgdConfig::learning_rate`] | finite, not negative |
//! | $\mu$ | [`Momentum`] | \[0, 1) |
//! | $\lambda$ | [`SgdConfig::weight_decay`] | finite, not negative |
//! | $v$ | the slots `velocity` of [`Sgd::state`](Step::state) | starts at 0 |
//!
//! **Papers**: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Nesterov (1983);
//! Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in deep learning.
//! **Deviation** from these, shared with PyTorch and dfdx: $\eta$ multiplies $v$ and not $g$, so a change of the
//! learning rate acts on the whole velocity at once.
//! **Golden**: PyTorch's `torch.optim.SGD`, 50 steps.
use crate::params::{self, DeviceError, MissingGradients, Parameter};
use crate::step::{Slot, SlotKey, Step, StepError, StepReport, StepState, check_hyperparameter};
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorMut, ViewTensorRef,
};
use dfdx::prelude::{Gradients, HasShape, Shape, Tensor};
use kernels::{Device, Real, SgdStep, try_sgd_update};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// How past gradients enter a step of [`Sgd`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Momentum {
    /// Not at all.
    #[default]
    None,
    /// Polyak's heavy ball with coefficient $\mu$ in \[0, 1); 0.9 is usual.
    HeavyBall(f64),
    /// Nesterov's accelerated gradient with coefficient $\mu$ in \[0, 1).
    Nesterov(f64),
}

impl Momentum {
    fn coefficient(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::HeavyBall(coefficient) | Self::Nesterov(coefficient) => coefficient,
        }
    }
}

/// Hyperparameters of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// $\eta$, finite and not negative. Default 0.01, as dfdx's; PyTorch's is 0.001.
    pub learning_rate: f64,
    /// Default [`Momentum::None`].
    pub momentum: Momentum,
    /// $\lambda$, finite and not negative: adds $\lambda w$ to the gradient before momentum (an L2 penalty
    /// $\tfrac\lambda2 |w|^2$ on weights and biases alike). Default 0.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: Momentum::None, weight_decay: 0.0 }
    }
}

impl SgdConfig {
    /// The configuration itself when every value is in its range.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] names the first value that is not.
    pub fn check(self) -> Result<Self, StepError> {
        check_learning_rate(self.learning_rate)?;
        let momentum = self.momentum.coefficient();
        check_hyperparameter("momentum", momentum, "in [0, 1)", (0.0..1.0).contains(&momentum))?;
        let decay = self.weight_decay;
        check_hyperparameter("weight_decay", decay, NOT_NEGATIVE, decay >= 0.0 && decay.is_finite())?;
        Ok(self)
    }
}

const NOT_NEGATIVE: &str = "finite and not negative";
const RULE: &str = "sgd";
const VELOCITY: &str = "velocity";

fn check_learning_rate(learning_rate: f64) -> Result<(), StepError> {
    let holds = learning_rate >= 0.0 && learning_rate.is_finite();
    check_hyperparameter("learning_rate", learning_rate, NOT_NEGATIVE, holds)
}

/// Stochastic gradient descent for one model; see the [module](self) for the formulas.
///
/// It belongs to models of the type `M`, whose tensors have the same names and shapes in every value: dfdx's walk sees
/// the type only. Memory: one velocity per weight with momentum, nothing without.
///
/// # Examples
/// A step, a saved state, and a second optimiser that goes on from it with the same bits:
/// ```
/// use layers::{Momentum, Sgd, SgdConfig, Step, params, prelude::*};
///
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<(Linear<2, 4>, Tanh, Linear<4, 1>), f32>();
/// let config = SgdConfig { momentum: Momentum::Nesterov(0.9), ..Default::default() };
/// let mut optimizer = Sgd::try_new(&model, config)?;
/// let x: Tensor<Rank2<8, 2>, f32, _> = dev.sample_normal();
/// let mut gradients = model.forward(x.leaky_trace()).square().mean().backward();
/// optimizer.step(&mut model, &mut gradients)?;
///
/// let mut twin = model.clone();
/// let mut resumed = Sgd::try_new(&twin, config)?;
/// resumed.load_state(&optimizer.state()?)?;
/// optimizer.step(&mut model, &mut gradients.clone())?;
/// resumed.step(&mut twin, &mut gradients)?;
/// assert_eq!(params::flatten(&model), params::flatten(&twin));
/// # Ok::<(), layers::StepError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<M, E: Real, D: Device<E>> {
    config: SgdConfig,
    step: u64,
    /// The trainable tensors of the model, in order.
    parameters: Vec<Parameter>,
    /// One per parameter, empty without momentum.
    velocities: Vec<Tensor<(usize,), E, D>>,
    missing: MissingGradients<E, D>,
    model: PhantomData<fn(&mut M)>,
}

impl<M: TensorCollection<E, D>, E: Real, D: Device<E>> Sgd<M, E, D> {
    /// An optimiser for `model`, which is only looked at.
    ///
    /// # Errors
    /// [`StepError::Hyperparameter`] when a hyperparameter is out of range, [`StepError::Device`] when there is no
    /// memory for the velocities.
    pub fn try_new(model: &M, config: SgdConfig) -> Result<Self, StepError> {
        let config = config.check()?;
        let mut velocities = Vec::new();
        if config.momentum != Momentum::None {
            let mut allocate = AllocateFlat(&mut velocities);
            M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut allocate }).map_err(DeviceError::new)?;
        }
        let parameters = params::list(model).into_iter().filter(|p| p.is_trainable).collect();
        Ok(Self {
            config,
            step: 0,
            parameters,
            velocities,
            missing: MissingGradients::default(),
            model: PhantomData,
        })
    }

    /// The hyperparameters; the learning rate is that of the next step.
    pub fn config(&self) -> SgdConfig {
        self.config
    }

    /// Number of steps made, those before [`Step::load_state`] included.
    pub fn steps(&self) -> u64 {
        self.step
    }

    fn hyperparameters(&self) -> BTreeMap<String, f64> {
        let nesterov = f64::from(u8::from(matches!(self.config.momentum, Momentum::Nesterov(_))));
        let pairs = [
            ("momentum", self.config.momentum.coefficient()),
            ("nesterov", nesterov),
            ("weight_decay", self.config.weight_decay),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Keys of the slots, in order: one velocity per parameter, or none.
    fn keys(&self) -> impl Iterator<Item = SlotKey> {
        self.parameters.iter().take(self.velocities.len()).map(|parameter| SlotKey {
            name: VELOCITY.to_owned(),
            parameter: parameter.name.clone(),
            shape: parameter.shape.clone(),
        })
    }
}

impl<M: TensorCollection<E, D>, E: Real, D: Device<E>> Step<M, E, D> for Sgd<M, E, D> {
    // ANCHOR: step
    fn step(&mut self, model: &mut M, gradients: &mut Gradients<E, D>) -> Result<StepReport, StepError> {
        let names = self.missing.find(model, gradients)?;
        if !names.is_empty() {
            return Err(StepError::Unused { names });
        }
        let mut update = Update { config: self.config, gradients, velocities: self.velocities.iter_mut() };
        M::iter_tensors(&mut RecursiveWalker { m: model, f: &mut update }).map_err(DeviceError::new)?;
        self.step += 1;
        Ok(StepReport::new(self.config.learning_rate))
    }
    // ANCHOR_END: step

    fn learning_rate(&self) -> f64 {
        self.config.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), StepError> {
        check_learning_rate(learning_rate)?;
        self.config.learning_rate = learning_rate;
        Ok(())
    }

    fn state(&self) -> Result<StepState, StepError> {
        let values =
            self.velocities.iter().map(|v| params::read_row_major(v).into_iter().map(E::as_f64).collect());
        Ok(StepState {
            rule: RULE.to_owned(),
            step: self.step,
            learning_rate: self.config.learning_rate,
            hyperparameters: self.hyperparameters(),
            slots: self.keys().zip(values).map(|(key, values)| Slot { key, values }).collect(),
        })
    }

    fn load_state(&mut self, state: &StepState) -> Result<(), StepError> {
        check_learning_rate(state.learning_rate)?;
        state.check(RULE, &self.hyperparameters(), self.keys())?;
        let velocities = state.slots.iter().map(Slot::exact_values).collect::<Result<Vec<Vec<E>>, _>>()?;
        for (velocity, values) in self.velocities.iter_mut().zip(velocities) {
            velocity.copy_from(&values);
        }
        self.step = state.step;
        self.config.learning_rate = state.learning_rate;
        Ok(())
    }
}

struct AllocateFlat<'a, E: Real, D: Device<E>>(&'a mut Vec<Tensor<(usize,), E, D>>);
impl<E: Real, D: Device<E>> TensorVisitor<E, D> for AllocateFlat<'_, E, D> {
    type Viewer = ViewTensorRef;
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        tensor: &Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            self.0.push(tensor.device().try_zeros_like(&(tensor.shape().num_elements(),))?);
        }
        Ok(None)
    }
}

struct Update<'a, E: Real, D: Device<E>> {
    config: SgdConfig,
    gradients: &'a mut Gradients<E, D>,
    velocities: std::slice::IterMut<'a, Tensor<(usize,), E, D>>,
}
impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Update<'_, E, D> {
    type Viewer = ViewTensorMut;
    type Err = kernels::Error;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        parameter: &mut Tensor<S, E, D>,
    ) -> Result<Option<Tensor<S, E, D>>, kernels::Error> {
        if options.do_gradient_update {
            let momentum = match (self.config.momentum, self.velocities.next()) {
                (Momentum::HeavyBall(coefficient), Some(velocity)) => {
                    kernels::Momentum::HeavyBall { coefficient, velocity }
                }
                (Momentum::Nesterov(coefficient), Some(velocity)) => {
                    kernels::Momentum::Nesterov { coefficient, velocity }
                }
                _ => kernels::Momentum::None, // velocities are allocated exactly if there is momentum
            };
            let SgdConfig { learning_rate, weight_decay, .. } = self.config;
            try_sgd_update(parameter, self.gradients, momentum, SgdStep { learning_rate, weight_decay })?;
        }
        Ok(None)
    }
}
