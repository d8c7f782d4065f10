//! Stochastic gradient descent with momentum, fused and with a state that can be saved.
//!
//! $$ \hat g = g + \lambda w, \qquad v \leftarrow \mu v + \hat g, \qquad w \leftarrow w - \eta d, \qquad
//!    d = \begin{cases} \hat g & \text{no momentum} \\ v & \text{heavy ball} \\ \hat g + \mu v & \text{Nesterov} \end{cases} $$
//!
//! | symbol | code | range |
//! |---|---|---|
//! | $\eta$ | [`SgdConfig::learning_rate`] | finite, above 0; a schedule may end at 0 |
//! | $\mu$ | [`Momentum`] | \[0, 1) |
//! | $\lambda$ | [`SgdConfig::weight_decay`] | finite, not negative |
//! | $v$ | the slots `velocity` of [`Step::state`](crate::Step::state) | starts at 0 |
//!
//! **Papers**: Polyak (1964), Some methods of speeding up the convergence of iteration methods; Nesterov (1983);
//! Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in deep learning.
//! **Deviation** from these, shared with PyTorch and dfdx: $\eta$ multiplies $v$ and not $g$, so a change of the
//! learning rate acts on the whole velocity at once.
//! **Golden**: PyTorch's `torch.optim.SGD`, 50 steps.
use crate::optimizer::Optim;
use crate::rule::{
    At, Rule, SlotSpec, WeightDecay, check_coefficient, check_learning_rate, check_not_negative,
};
use crate::step::{StepError, check_hyperparameter};
use kernels::Real;
use kernels::update::{Formula, Run, SgdMomentum};

/// How past gradients enter a step of [`Sgd`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Momentum {
    /// Not at all.
    #[default]
    None,
    /// Polyak's heavy ball with coefficient $\mu$ in \[0, 1); 0.9 is usual.
    HeavyBall(f64),
    /// Nesterov's accelerated gradient with coefficient $\mu$ in (0, 1).
    Nesterov(f64),
    /// A heavy ball that takes a share of each gradient, $v \leftarrow \mu v + (1 - \tau) \hat g$, but all of the first.
    Dampened {
        /// $\mu$ in \[0, 1).
        coefficient: f64,
        /// $\tau$ in \[0, 1).
        dampening: f64,
    },
    /// The heavy ball as Sutskever et al. write it, $v \leftarrow \mu v + \eta \hat g$ and $w \leftarrow w - v$: the same
    /// while $\eta$ stays the same; afterwards a new learning rate acts on new gradients only.
    Sutskever(f64),
}

impl Momentum {
    fn coefficient(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::HeavyBall(coefficient)
            | Self::Nesterov(coefficient)
            | Self::Dampened { coefficient, .. }
            | Self::Sutskever(coefficient) => coefficient,
        }
    }
    fn dampening(self) -> f64 {
        if let Self::Dampened { dampening, .. } = self { dampening } else { 0.0 }
    }
}

/// Hyperparameters of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdConfig {
    /// $\eta$, finite and above 0. Default 0.01, as dfdx's; PyTorch's is 0.001.
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

const VELOCITY: SlotSpec = SlotSpec::zeros("velocity");

/// Stochastic gradient descent for one model; see the [module](self) for the formulas and [`Optim`] for groups,
/// clipping and averages.
///
/// Memory: one velocity per weight with momentum, nothing without.
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
pub type Sgd<M, E, D> = Optim<SgdConfig, M, E, D>;

impl Rule for SgdConfig {
    const NAME: &'static str = "sgd";

    fn check(&self) -> Result<(), StepError> {
        check_learning_rate(self.learning_rate)?;
        let momentum = self.momentum.coefficient();
        check_coefficient("momentum", momentum)?;
        let is_nesterov = matches!(self.momentum, Momentum::Nesterov(_));
        let holds = !is_nesterov || momentum > 0.0;
        check_hyperparameter("momentum", momentum, "in (0, 1) for Nesterov's method", holds)?;
        check_coefficient("dampening", self.momentum.dampening())?;
        check_not_negative("weight_decay", self.weight_decay)
    }
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Coupled(self.weight_decay)
    }
    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        let is = |yes: bool| f64::from(u8::from(yes));
        vec![
            ("momentum", self.momentum.coefficient()),
            ("nesterov", is(matches!(self.momentum, Momentum::Nesterov(_)))),
            ("sutskever", is(matches!(self.momentum, Momentum::Sutskever(_)))),
            ("dampening", self.momentum.dampening()),
            ("weight_decay", self.weight_decay),
        ]
    }
    fn slots(&self) -> Vec<SlotSpec> {
        if self.momentum == Momentum::None { Vec::new() } else { vec![VELOCITY] }
    }
    // ANCHOR: step
    fn formula(&self, at: &At<'_>) -> Option<Formula> {
        Some(self.of_step(at))
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        self.of_step(at).apply(run)
    }
    // ANCHOR_END: step
}

impl SgdConfig {
    /// The step in numbers.
    fn of_step(&self, at: &At<'_>) -> Formula {
        let coefficient = self.momentum.coefficient();
        let plain = SgdMomentum { coefficient, share: 1.0, is_nesterov: false };
        let (learning_rate, momentum) = match self.momentum {
            Momentum::None => (at.learning_rate, None),
            Momentum::HeavyBall(_) => (at.learning_rate, Some(plain)),
            Momentum::Nesterov(_) => (at.learning_rate, Some(SgdMomentum { is_nesterov: true, ..plain })),
            Momentum::Dampened { dampening, .. } => {
                let share = if at.step == 1 { 1.0 } else { 1.0 - dampening };
                (at.learning_rate, Some(SgdMomentum { share, ..plain }))
            }
            Momentum::Sutskever(_) => (1.0, Some(SgdMomentum { share: at.learning_rate, ..plain })),
        };
        Formula::Sgd { learning_rate, momentum }
    }
}
