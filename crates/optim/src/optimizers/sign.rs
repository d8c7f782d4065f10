//! Rules that look at the sign of the gradient.
//!
//! | rule | update | paper |
//! |---|---|---|
//! | [`Lion`] | $w \mathrel{-}= \eta \operatorname{sign}(\beta_1 m+(1-\beta_1)g)$; $m = \beta_2 m+(1-\beta_2)g$ | Chen et al. 2023, 2302.06675 |
//! | [`Rprop`] | the step of each coordinate grows by $\eta^+$ while the sign stays, shrinks by $\eta^-$ when it turns | Riedmiller & Braun 1993; iRprop⁻: Igel & Hüsken 2000 |
//!
//! **Golden**: optax (Lion), PyTorch (Rprop); 50 steps on three problems, to 1e-9.
use super::{WeightDecay, rule};
use kernels::Real;
use kernels::update::{Element, Run};
use layers::rule::{At, SlotSpec};

/// −1, 0 or 1, where `signum` has no 0.
#[inline(always)]
pub(super) fn sign<E: Real>(x: E) -> E {
    let positive = if x > E::zero() { E::ONE } else { E::zero() };
    if x < E::zero() { -E::ONE } else { positive }
}

rule! {
    /// Hyperparameters of [`Lion`]; the defaults are the paper's.
    LionConfig,
    /// Lion; see the [table](crate::optimizers).
    ///
    /// Every coordinate moves by $\eta$, so the learning rate is 3 to 10 times smaller than Adam's, and the decay as much
    /// larger. One slot where Adam has two.
    Lion, "lion", Decoupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-4, rate;
        /// $\beta_1$, for the step.
        beta1: 0.9, coefficient;
        /// $\beta_2$, for the memory.
        beta2: 0.99, coefficient;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("mean")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            beta: [E; 2],
            share: [E; 2],
        }
        // ANCHOR: lion
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m]: [E; 1]) -> (E, [E; 1]) {
                let step = sign(self.beta[0].mul_add(m, self.share[0] * g));
                (w - self.rate * step, [self.beta[1].mul_add(m, self.share[1] * g)])
            }
        }
        // ANCHOR_END: lion
        let betas = [self.beta1, self.beta2];
        run.each(Step { rate: E::of(at.learning_rate), beta: betas.map(E::of), share: betas.map(|b| E::of(1.0 - b)) })
    }
}

rule! {
    /// Hyperparameters of [`Rprop`]; the defaults are PyTorch's.
    RpropConfig,
    /// Rprop; see the [table](crate::optimizers). For full gradients: noise turns signs, and steps collapse.
    ///
    /// The learning rate is the first step of every coordinate; changing it later does nothing.
    Rprop, "rprop", Coupled(0.0),
    {
        /// Step of every coordinate at the start.
        learning_rate: 0.01, rate;
        /// $\eta^-$.
        shrink: 0.5, coefficient;
        /// $\eta^+$.
        grow: 1.2, above_one;
        /// Smallest step.
        smallest: 1e-6, positive;
        /// Largest step.
        largest: 50.0, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("previous"), SlotSpec::filled("size", self.learning_rate)]
    }
    fn update<E: Real>(&self, _: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            shrink: E,
            grow: E,
            smallest: E,
            largest: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [previous, size]: [E; 2]) -> (E, [E; 2]) {
                let agreement = sign(g) * sign(previous);
                let factor = if agreement > E::zero() { self.grow } else { E::ONE };
                let factor = if agreement < E::zero() { self.shrink } else { factor };
                let size = size * factor;
                let size = if size > self.largest { self.largest } else { size };
                let size = if size < self.smallest { self.smallest } else { size };
                let g = if agreement < E::zero() { E::zero() } else { g };
                (w - sign(g) * size, [g, size])
            }
        }
        let Self { shrink, grow, smallest, largest, .. } = *self;
        run.each(Step {
            shrink: E::of(shrink),
            grow: E::of(grow),
            smallest: E::of(smallest),
            largest: E::of(largest),
        })
    }
}
