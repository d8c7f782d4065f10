//! RMSprop: the gradient divided by the root of its mean square.
//!
//! $$ v \leftarrow \alpha v + (1-\alpha) g^2, \qquad b \leftarrow \mu b + \frac{g}{\sqrt{v} + \epsilon}, \qquad
//!    w \leftarrow w - \eta b $$
//!
//! | symbol | code | range |
//! |---|---|---|
//! | $\eta$ | [`RmsPropConfig::learning_rate`] | finite, above 0; a schedule may end at 0 |
//! | $\alpha$ | [`RmsPropConfig::alpha`] | \[0, 1) |
//! | $\mu$ | [`RmsPropConfig::momentum`] | \[0, 1) |
//! | $\epsilon$ | [`RmsPropConfig::epsilon`] | finite, not negative |
//! | $v, b$ | the slots `square`, `buffer` of [`Step::state`](crate::Step::state) | start at 0, or $v$ at 1 |
//!
//! Centred, the divisor is $\sqrt{v - \bar g^2} + \epsilon$ with the mean gradient $\bar g$, kept like $v$: an estimate
//! of the standard deviation instead of the root mean square.
//!
//! **Source**: Hinton, Srivastava & Swersky (2012), Neural networks for machine learning, lecture 6e; Graves (2013),
//! Generating sequences with recurrent neural networks, arXiv 1308.0850 (centred).
//! **Deviations**: implementations differ. [`RmsPropVariant::Torch`] adds $\epsilon$ to the root and starts $v$ at 0;
//! [`RmsPropVariant::Tf`] adds it under the root and starts $v$ at 1, which makes the first steps small. dfdx's own is
//! the latter.
//! **Golden**: PyTorch's `RMSprop`, 50 steps on three problems, in the tests of `optim`; dfdx's own for `Tf`.
use crate::optimizer::Optim;
use crate::rule::{
    At, Rule, SlotSpec, WeightDecay, check_coefficient, check_learning_rate, check_not_negative,
};
use crate::step::StepError;
use kernels::Real;
use kernels::update::{Formula, RmsPropStep, Run};

/// Whose RMSprop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RmsPropVariant {
    /// $\epsilon$ beside the root, $v$ starts at 0.
    #[default]
    Torch,
    /// $\epsilon$ under the root, $v$ starts at 1.
    Tf,
}

/// Hyperparameters of [`RmsProp`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropConfig {
    /// $\eta$. Default 0.01.
    pub learning_rate: f64,
    /// $\alpha$. Default 0.99; TensorFlow and dfdx have 0.9.
    pub alpha: f64,
    /// $\epsilon$. Default 1e-8.
    pub epsilon: f64,
    /// $\mu$. Default 0.
    pub momentum: f64,
    /// Whether the mean gradient is subtracted. Default false.
    pub is_centred: bool,
    /// $\lambda$, an L2 penalty. Default 0.
    pub weight_decay: f64,
    /// Default [`RmsPropVariant::Torch`].
    pub variant: RmsPropVariant,
}

impl Default for RmsPropConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            is_centred: false,
            weight_decay: 0.0,
            variant: RmsPropVariant::Torch,
        }
    }
}

/// RMSprop for one model; see the [module](self) for the formulas and [`Optim`] for groups, clipping and averages.
pub type RmsProp<M, E, D> = Optim<RmsPropConfig, M, E, D>;

impl Rule for RmsPropConfig {
    const NAME: &'static str = "rmsprop";

    fn check(&self) -> Result<(), StepError> {
        check_learning_rate(self.learning_rate)?;
        check_coefficient("alpha", self.alpha)?;
        check_coefficient("momentum", self.momentum)?;
        check_not_negative("epsilon", self.epsilon)?;
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
            ("alpha", self.alpha),
            ("epsilon", self.epsilon),
            ("momentum", self.momentum),
            ("centred", is(self.is_centred)),
            ("weight_decay", self.weight_decay),
            ("tf", is(self.variant == RmsPropVariant::Tf)),
        ]
    }
    fn slots(&self) -> Vec<SlotSpec> {
        let square = match self.variant {
            RmsPropVariant::Torch => SlotSpec::zeros("square"),
            RmsPropVariant::Tf => SlotSpec::filled("square", 1.0),
        };
        if self.is_centred || self.momentum != 0.0 {
            vec![square, SlotSpec::zeros("mean"), SlotSpec::zeros("buffer")]
        } else {
            vec![square]
        }
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

impl RmsPropConfig {
    /// The step in numbers.
    fn of_step(&self, at: &At<'_>) -> Formula {
        Formula::RmsProp(RmsPropStep {
            rate: at.learning_rate,
            alpha: self.alpha,
            epsilon: self.epsilon,
            epsilon_in_root: self.variant == RmsPropVariant::Tf,
            is_centred: self.is_centred,
            momentum: self.momentum,
        })
    }
}
