//! Schedule-free learning: an average in place of a schedule that falls.
//!
//! $$ y_t = (1-\beta) z_t + \beta x_t, \qquad z_{t+1} = z_t - \eta\, d(y_t), \qquad x_{t+1} = (1-c)\, x_t + c\, z_{t+1},
//!    \qquad c = \frac{\eta_{\max}^2}{\sum \eta_{\max}^2} $$
//!
//! | symbol | code | |
//! |---|---|---|
//! | $y$ | the weights of the model | where gradients are taken |
//! | $z$ | the slot `z` | the fast sequence |
//! | $x$ | the slot `x`, [`Optim::evaluation`](layers::Optim::evaluation) | what to evaluate |
//! | $d$ | | $g$, or $g/(\sqrt{\hat v}+\epsilon) + \lambda y$ |
//! | $\eta_{\max}$ | | the largest learning rate so far |
//!
//! The model under training never holds $x$, and `evaluation` gives a copy. In a [`TrainView`](super::TrainView) the two have
//! two types, and evaluating $y$ by mistake does not compile. Running statistics (batch norm) belong to $y$; compute them
//! again for $x$ ([`EvalView::recalibrate`](super::EvalView::recalibrate)).
//!
//! **Paper**: Defazio et al. (2024), The road less scheduled, arXiv 2405.15682. **Deviation**, shared with the authors'
//! package: weights of the average are squared rates, and decay acts at $y$.
//! **Golden**: the authors' package, both $y$ and $x$; 50 steps on three problems, to 1e-9.
use super::{WeightDecay, adaptive::divide, rule};
use kernels::Real;
use kernels::update::{Element, Run};
use layers::rule::{At, SlotSpec};

const Z: SlotSpec = SlotSpec::weights("z");
const X: SlotSpec = SlotSpec::weights("x");
const SCALARS: [(&str, f64); 2] = [("largest_rate", 0.0), ("sum_of_squares", 0.0)];

fn advance(rate: f64, scalars: &mut [f64]) {
    let largest = scalars[0].max(rate);
    scalars.copy_from_slice(&[largest, scalars[1] + largest * largest]);
}

/// $c$; 1 while every rate has been 0.
fn share(scalars: &[f64]) -> f64 {
    if scalars[1] > 0.0 { scalars[0] * scalars[0] / scalars[1] } else { 1.0 }
}

/// The three sequences after a step `direction` of `z`.
#[derive(Clone, Copy)]
struct Sequences<E> {
    rate: E,
    share: E,
    beta: E,
}
impl<E: Real> Sequences<E> {
    #[inline(always)]
    fn step(self, direction: E, z: E, x: E) -> [E; 3] {
        let z = direction.mul_add(-self.rate, z);
        let x = (E::ONE - self.share) * x + self.share * z;
        [(E::ONE - self.beta) * z + self.beta * x, z, x]
    }
}

rule! {
    /// Hyperparameters of [`ScheduleFreeSgd`].
    ScheduleFreeSgdConfig,
    /// Schedule-free gradient descent; see the [module](self).
    ScheduleFreeSgd, "schedule_free_sgd", Coupled(0.0),
    {
        /// $\eta$, larger than that of SGD: 1 to 10 in the package's advice.
        learning_rate: 1.0, rate;
        /// $\beta$.
        beta: 0.9, coefficient;
        /// Steps over which the rate rises linearly to $\eta$.
        warmup: 0.0, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![Z, X]
    }
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        SCALARS.to_vec()
    }
    fn advance(&self, step: u64, scalars: &mut [f64]) {
        advance(self.learning_rate * warmed(step, self.warmup), scalars)
    }
    fn evaluation_slot(&self) -> Option<usize> {
        Some(1)
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E>(Sequences<E>);
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, _: E, g: E, [z, x]: [E; 2]) -> (E, [E; 2]) {
                let [y, z, x] = self.0.step(g, z, x);
                (y, [z, x])
            }
        }
        run.each(Step(Sequences {
            rate: E::of(at.learning_rate * warmed(at.step, self.warmup)),
            share: E::of(share(at.scalars)),
            beta: E::of(self.beta),
        }))
    }
}

/// The share of the full rate in step `step`.
fn warmed(step: u64, warmup: f64) -> f64 {
    if warmup > 0.0 { (step as f64 / warmup).min(1.0) } else { 1.0 }
}

rule! {
    /// Hyperparameters of [`ScheduleFreeAdamW`]; the defaults are the package's.
    ScheduleFreeAdamWConfig,
    /// Schedule-free AdamW; see the [module](self).
    ScheduleFreeAdamW, "schedule_free_adamw", InRule(0.0),
    {
        /// $\eta$.
        learning_rate: 2.5e-3, rate;
        /// $\beta$, which takes the place of $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the corrected root.
        epsilon: 1e-8, not_negative;
        /// Steps over which the rate rises linearly to $\eta$.
        warmup: 0.0, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![Z, X, SlotSpec::zeros("square")]
    }
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        SCALARS.to_vec()
    }
    fn advance(&self, step: u64, scalars: &mut [f64]) {
        advance(self.learning_rate * warmed(step, self.warmup), scalars)
    }
    fn evaluation_slot(&self) -> Option<usize> {
        Some(1)
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            sequences: Sequences<E>,
            beta2: E,
            share2: E,
            of_root: E,
            epsilon: E,
            decay: E,
        }
        impl<E: Real> Element<E, 3> for Step<E> {
            #[inline(always)]
            fn apply(self, y: E, g: E, [z, x, v]: [E; 3]) -> (E, [E; 3]) {
                let v = self.beta2.mul_add(v, self.share2 * (g * g));
                let normalised = divide(g, v.sqrt().mul_add(self.of_root, self.epsilon));
                let [y, z, x] = self.sequences.step(self.decay.mul_add(y, normalised), z, x);
                (y, [z, x, v])
            }
        }
        let sequences = Sequences {
            rate: E::of(at.learning_rate * warmed(at.step, self.warmup)),
            share: E::of(share(at.scalars)),
            beta: E::of(self.beta1),
        };
        run.each(Step {
            sequences,
            beta2: E::of(self.beta2),
            share2: E::of(1.0 - self.beta2),
            of_root: E::of(1.0 / (1.0 - self.beta2.powf(at.step as f64)).sqrt()),
            epsilon: E::of(self.epsilon),
            decay: E::of(at.weight_decay),
        })
    }
}
