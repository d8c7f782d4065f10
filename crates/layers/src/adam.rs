//! Adam and AdamW: steps of the size of the learning rate, whatever the scale of the gradients.
//!
//! $$ m \leftarrow \beta_1 m + (1-\beta_1) g, \qquad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \qquad
//!    w \leftarrow w - \eta \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon} $$
//!
//! | symbol | code | range |
//! |---|---|---|
//! | $\eta$ | `learning_rate` | finite, above 0; a schedule may end at 0 |
//! | $\beta_1, \beta_2$ | `beta1`, `beta2` | \[0, 1) |
//! | $\epsilon$ | `epsilon` | finite, not negative; added to the corrected root |
//! | $\lambda$ | `weight_decay` | finite, not negative |
//! | $m, v$ | the slots `mean`, `square` of [`Step::state`](crate::Step::state) | start at 0 |
//! | $t$ | | steps made, from 1 |
//!
//! [`Adam`] adds $\lambda w$ to the gradient, where $\sqrt v$ divides it again; [`AdamW`] shrinks the weights by
//! $1 - \eta\lambda$ before the step, so that decay does not depend on the gradients.
//!
//! **Use it** when gradients differ in scale between tensors (transformers, generators) or there is no time to tune;
//! **not** where [`Sgd`](crate::Sgd) with momentum is tuned already: it often generalises better on images.
//! **Papers**: Kingma & Ba (2015), Adam: a method for stochastic optimization, arXiv 1412.6980; Loshchilov & Hutter
//! (2019), Decoupled weight decay regularization, arXiv 1711.05101.
//! **Deviations**: the bias corrections are computed once per step in f64 (dfdx computes them per element in the dtype,
//! which costs five digits of $1 - \beta_2$ in f32). AdamW's paper multiplies $\lambda$ by the multiplier of the schedule
//! alone, PyTorch by the whole learning rate: so do we, unless [`AdamWConfig::decay_base`] is set.
//! **Golden**: PyTorch's `Adam` and `AdamW`, 50 steps on three problems, in the tests of `optim`.
use crate::optimizer::Optim;
use crate::rule::{
    At, Rule, SlotSpec, WeightDecay, check_coefficient, check_learning_rate, check_not_negative,
    check_positive,
};
use crate::step::StepError;
use kernels::Real;
use kernels::update::{AdamStep, Formula, Run};

/// Hyperparameters of [`Adam`]; the defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// $\eta$. Default 0.001.
    pub learning_rate: f64,
    /// $\beta_1$: the mean looks back about $1/(1-\beta_1)$ steps. Default 0.9.
    pub beta1: f64,
    /// $\beta_2$: the mean square looks back about $1/(1-\beta_2)$ steps. Default 0.999.
    pub beta2: f64,
    /// $\epsilon$. Default 1e-8.
    pub epsilon: f64,
    /// $\lambda$, an L2 penalty. Default 0.
    pub weight_decay: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

/// Hyperparameters of [`AdamW`]; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// $\eta$. Default 0.001.
    pub learning_rate: f64,
    /// $\beta_1$. Default 0.9.
    pub beta1: f64,
    /// $\beta_2$. Default 0.999.
    pub beta2: f64,
    /// $\epsilon$. Default 1e-8.
    pub epsilon: f64,
    /// $\lambda$: weights shrink by $1 - \eta\lambda$. Default 0.01.
    pub weight_decay: f64,
    /// $\eta_0$, for the paper's form: weights shrink by $1 - \lambda\eta/\eta_0$, so that $\lambda$ is a share per step.
    /// Default `None`.
    pub decay_base: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        let AdamConfig { learning_rate, beta1, beta2, epsilon, .. } = AdamConfig::default();
        Self { learning_rate, beta1, beta2, epsilon, weight_decay: 0.01, decay_base: None }
    }
}

/// Adam for one model; see the [module](self) for the formulas and [`Optim`] for groups, clipping and averages.
///
/// # Examples
/// The first step is $\eta$ in every coordinate, whatever the gradient:
/// ```
/// use layers::{Adam, AdamConfig, Step, prelude::*};
/// let mut w = Cpu::default().tensor([1.0_f64, -2.0]);
/// let mut optimizer = Adam::try_new(&w, AdamConfig { learning_rate: 0.25, ..Default::default() })?;
/// let mut gradients = (w.leaky_trace().square() * 1e4).sum().backward();
/// optimizer.step(&mut w, &mut gradients)?;
/// assert!((w.array()[0] - 0.75).abs() < 1e-12 && (w.array()[1] + 1.75).abs() < 1e-12);
/// # Ok::<(), layers::StepError>(())
/// ```
pub type Adam<M, E, D> = Optim<AdamConfig, M, E, D>;

/// AdamW for one model; see the [module](self) for the formulas and [`Optim`] for groups, clipping and averages.
pub type AdamW<M, E, D> = Optim<AdamWConfig, M, E, D>;

const SLOTS: [SlotSpec; 2] = [SlotSpec::zeros("mean"), SlotSpec::zeros("square")];

// ANCHOR: step
fn formula(at: &At<'_>, [beta1, beta2]: [f64; 2], epsilon: f64) -> Formula {
    let t = at.step as f64;
    let rate = at.learning_rate / (1.0 - beta1.powf(t));
    let root_correction = (1.0 - beta2.powf(t)).sqrt();
    Formula::Adam(AdamStep { rate, beta1, beta2, root_correction, epsilon, keeps_maximum: false })
}
// ANCHOR_END: step

macro_rules! adam_rule {
    ($config:ident, $name:literal) => {
        impl Rule for $config {
            const NAME: &'static str = $name;

            fn check(&self) -> Result<(), StepError> {
                check_learning_rate(self.learning_rate)?;
                check_coefficient("beta1", self.beta1)?;
                check_coefficient("beta2", self.beta2)?;
                check_not_negative("epsilon", self.epsilon)?;
                check_not_negative("weight_decay", self.weight_decay)?;
                self.check_more()
            }
            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }
            fn set_learning_rate(&mut self, learning_rate: f64) {
                self.learning_rate = learning_rate;
            }
            fn weight_decay(&self) -> WeightDecay {
                self.decay()
            }
            fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
                vec![
                    ("beta1", self.beta1),
                    ("beta2", self.beta2),
                    ("epsilon", self.epsilon),
                    ("weight_decay", self.weight_decay),
                    ("decay_base", self.base()),
                ]
            }
            fn slots(&self) -> Vec<SlotSpec> {
                SLOTS.to_vec()
            }
            fn formula(&self, at: &At<'_>) -> Option<Formula> {
                Some(formula(at, [self.beta1, self.beta2], self.epsilon))
            }
            fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
                formula(at, [self.beta1, self.beta2], self.epsilon).apply(run)
            }
        }
    };
}
adam_rule!(AdamConfig, "adam");
adam_rule!(AdamWConfig, "adamw");

impl AdamConfig {
    fn check_more(&self) -> Result<(), StepError> {
        Ok(())
    }
    fn decay(&self) -> WeightDecay {
        WeightDecay::Coupled(self.weight_decay)
    }
    fn base(&self) -> f64 {
        0.0
    }
}

impl AdamWConfig {
    fn check_more(&self) -> Result<(), StepError> {
        self.decay_base.map_or(Ok(()), |base| check_positive("decay_base", base))
    }
    fn decay(&self) -> WeightDecay {
        match self.decay_base {
            None => WeightDecay::Decoupled(self.weight_decay),
            Some(base) => WeightDecay::Scheduled { decay: self.weight_decay, base },
        }
    }
    /// 0 for none.
    fn base(&self) -> f64 {
        self.decay_base.unwrap_or(0.0)
    }
}
