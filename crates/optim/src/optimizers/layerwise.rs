//! Rules that scale the step of each tensor to the norm of the tensor, for very large batches.
//!
//! | rule | update | paper |
//! |---|---|---|
//! | [`Lars`] | $v = \mu v + \eta\,\tau\frac{\lvert w\rvert}{\lvert g\rvert} g$; $w \mathrel{-}= v$ | You, Gitman & Ginsburg 2017, 1708.03888 |
//! | [`Lamb`] | $u = \hat m/(\sqrt{\hat v}+\epsilon) + \lambda w$; $w \mathrel{-}= \eta\frac{\phi(\lvert w\rvert)}{\lvert u\rvert}u$ | You et al. 2020, 1904.00962 |
//!
//! Norms are those of one tensor. Where either norm is 0 the ratio is 1, and so it is for the parameters of a group with
//! [`is_layerwise`](super::Group::is_layerwise) false: exclude biases and the scales of normalisation layers, as the
//! papers do.
//!
//! **Deviation**: in LARS, $g$ contains the decay, so the ratio is $\lvert w\rvert / \lvert g + \lambda w\rvert$ as in optax; the
//! paper divides by $\lvert g\rvert + \lambda\lvert w\rvert$, which is never smaller.
//! **Golden**: optax; 50 steps on three problems, to 1e-9.
use super::{WeightDecay, rule};
use kernels::Real;
use kernels::update::{Element, Run};
use layers::rule::{At, SlotSpec};

fn ratio(at: &At<'_>, norm: f64, of: f64) -> f64 {
    if at.is_layerwise && norm > 0.0 && of > 0.0 { norm / of } else { 1.0 }
}

rule! {
    /// Hyperparameters of [`Lars`].
    LarsConfig,
    /// LARS; see the [table](crate::optimizers).
    Lars, "lars", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.1, rate;
        /// $\mu$.
        momentum: 0.9, coefficient;
        /// $\tau$.
        trust: 1e-3, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("velocity")]
    }
    fn needs_norms(&self) -> bool {
        true
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            momentum: E,
        }
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [v]: [E; 1]) -> (E, [E; 1]) {
                let v = self.momentum.mul_add(v, self.rate * g);
                (w - v, [v])
            }
        }
        let scales = at.is_layerwise && at.weight_norm > 0.0 && at.gradient_norm > 0.0;
        let trust = if scales { self.trust * at.weight_norm / at.gradient_norm } else { 1.0 };
        run.each(Step { rate: E::of(at.learning_rate * trust), momentum: E::of(self.momentum) })
    }
}

rule! {
    /// Hyperparameters of [`Lamb`]; the defaults are the paper's.
    LambConfig,
    /// LAMB; see the [table](crate::optimizers).
    Lamb, "lamb", InRule(0.01),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the corrected root.
        epsilon: 1e-6, not_negative;
        /// $\gamma_l$: a smaller norm of the weights counts as this.
        smallest: 0.0, not_negative;
        /// $\gamma_u$: a larger norm of the weights counts as this. Some implementations have 10; the default is no bound.
        largest: f64::MAX, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("mean"), SlotSpec::zeros("square"), SlotSpec::scratch("direction")]
    }
    fn needs_norms(&self) -> bool {
        true
    }
    fn two_passes(&self) -> Option<usize> {
        Some(2)
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Direction<E> {
            beta: [E; 2],
            share: [E; 2],
            of_mean: E,
            of_root: E,
            epsilon: E,
            decay: E,
        }
        impl<E: Real> Element<E, 3> for Direction<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, v, _]: [E; 3]) -> (E, [E; 3]) {
                let m = self.beta[0].mul_add(m, self.share[0] * g);
                let v = self.beta[1].mul_add(v, self.share[1] * (g * g));
                let root = v.sqrt().mul_add(self.of_root, self.epsilon);
                (w, [m, v, self.decay.mul_add(w, super::adaptive::divide(self.of_mean * m, root))])
            }
        }
        #[derive(Clone, Copy)]
        struct Move<E>(E);
        impl<E: Real> Element<E, 3> for Move<E> {
            #[inline(always)]
            fn apply(self, w: E, _: E, [m, v, direction]: [E; 3]) -> (E, [E; 3]) {
                (w - self.0 * direction, [m, v, direction])
            }
        }
        if at.phase == 1 {
            let norm = at.weight_norm.max(self.smallest).min(self.largest);
            return run.each(Move(E::of(at.learning_rate * ratio(at, norm, at.slot_norm))));
        }
        let t = at.step as f64;
        let betas = [self.beta1, self.beta2];
        run.each(Direction {
            beta: betas.map(E::of),
            share: betas.map(|beta| E::of(1.0 - beta)),
            of_mean: E::of(1.0 / (1.0 - self.beta1.powf(t))),
            of_root: E::of(1.0 / (1.0 - self.beta2.powf(t)).sqrt()),
            epsilon: E::of(self.epsilon),
            decay: E::of(at.weight_decay),
        })
    }
}
