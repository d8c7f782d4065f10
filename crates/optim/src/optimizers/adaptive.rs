//! Rules that divide each coordinate by the size of its own gradients.
//!
//! | rule | update | paper |
//! |---|---|---|
//! | [`AdaGrad`] | $s \mathrel{+}= g^2$; $w \mathrel{-}= \frac{\eta}{1+(t-1)\delta} \frac{g}{\sqrt s+\epsilon}$ | Duchi, Hazan & Singer 2011 |
//! | [`Adadelta`] | $v = \rho v+(1-\rho)g^2$; $\Delta = \frac{\sqrt{u+\epsilon}}{\sqrt{v+\epsilon}}g$; $u = \rho u+(1-\rho)\Delta^2$; $w \mathrel{-}= \eta\Delta$ | Zeiler 2012, 1212.5701 |
//! | [`Adamax`] | $m$ as Adam; $u = \max(\beta_2 u, \lvert g\rvert+\epsilon)$; $w \mathrel{-}= \frac{\eta}{1-\beta_1^t} \frac mu$ | Kingma & Ba 2015, 1412.6980 |
//! | [`NAdam`] | $\mu_t = \beta_1(1-\frac12 0.96^{t\psi})$; $w \mathrel{-}= \eta\big[\frac{(1-\mu_t)g}{1-\prod\mu} + \frac{\mu_{t+1}m}{1-\mu_{t+1}\prod\mu}\big]/(\sqrt{\hat v}+\epsilon)$ | Dozat 2016 |
//! | [`RAdam`] | Adam times $r_t$ once the variance of $\hat v$ is finite | Liu et al. 2020, 1908.03265 |
//! | [`AmsGrad`] | Adam with the largest $v$ so far | Reddi, Kale & Kumar 2018, 1904.09237 |
//! | [`Yogi`] | $v \mathrel{-}= (1-\beta_2)\operatorname{sign}(v-g^2)g^2$ | Zaheer et al. 2018 |
//! | [`AdaBelief`] | $v = \beta_2 v+(1-\beta_2)(g-m)^2+\epsilon'$ | Zhuang et al. 2020, 2010.07468 |
//! | [`AdaBound`] | the rate of each coordinate is clipped between bounds that close on $\eta^*$ | Luo et al. 2019, 1902.09843 |
//!
//! $m = \beta_1 m + (1-\beta_1) g$, $v = \beta_2 v + (1-\beta_2) g^2$, and hats divide by $1-\beta^t$, as in
//! [`Adam`](super::Adam).
//!
//! **Golden**: PyTorch (AdaGrad to AMSGrad), optax (Yogi, AdaBelief, AMSGrad after correction), the formula of the authors'
//! code (AdaBound); 50 steps on three problems, to 1e-9.
use super::{Code, WeightDecay, rule};
use kernels::Real;
use kernels::update::{AdamStep, Element, Run, adam};
use layers::rule::{At, SlotSpec};

const MEAN: SlotSpec = SlotSpec::zeros("mean");
const SQUARE: SlotSpec = SlotSpec::zeros("square");

/// $1 - \beta^t$.
fn correction(beta: f64, step: u64) -> f64 {
    1.0 - beta.powf(step as f64)
}

/// Both moments of Adam.
#[derive(Clone, Copy)]
struct Moments<E> {
    beta1: E,
    beta2: E,
    share1: E,
    share2: E,
}
impl<E: Real> Moments<E> {
    fn new(beta1: f64, beta2: f64) -> Self {
        Self {
            beta1: E::of(beta1),
            beta2: E::of(beta2),
            share1: E::of(1.0 - beta1),
            share2: E::of(1.0 - beta2),
        }
    }
    #[inline(always)]
    fn mean(self, m: E, g: E) -> E {
        self.beta1.mul_add(m, self.share1 * g)
    }
    #[inline(always)]
    fn square(self, v: E, g: E) -> E {
        self.beta2.mul_add(v, self.share2 * (g * g))
    }
}

rule! {
    /// Hyperparameters of [`AdaGrad`]; the defaults are PyTorch's.
    AdaGradConfig,
    /// AdaGrad; see the [table](crate::optimizers).
    ///
    /// The sum only grows, so the rate falls as $1/\sqrt t$: right for convex problems and rare features, too fast for
    /// deep networks.
    AdaGrad, "adagrad", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.01, rate;
        /// $\delta$: the rate falls further as $1/(1+(t-1)\delta)$.
        rate_decay: 0.0, not_negative;
        /// What $s$ starts at.
        initial: 0.0, not_negative;
        /// $\epsilon$, beside the root.
        epsilon: 1e-10, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::filled("sum", self.initial)]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            epsilon: E,
        }
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [s]: [E; 1]) -> (E, [E; 1]) {
                let s = g.mul_add(g, s);
                (w - self.rate * divide(g, s.sqrt() + self.epsilon), [s])
            }
        }
        let rate = at.learning_rate / (1.0 + (at.step - 1) as f64 * self.rate_decay);
        run.each(Step { rate: E::of(rate), epsilon: E::of(self.epsilon) })
    }
}

/// a / b, and 0 for 0 / 0: with $\epsilon = 0$ a coordinate that has never had a gradient does not move.
#[inline(always)]
pub(super) fn divide<E: Real>(a: E, b: E) -> E {
    if a == E::zero() { a } else { a / b }
}

rule! {
    /// Hyperparameters of [`Adadelta`].
    AdadeltaConfig,
    /// Adadelta; see the [table](crate::optimizers).
    ///
    /// Steps have the unit of the weights, so the paper has no learning rate ($\eta = 1$). Everything starts from
    /// $\epsilon$: with $\epsilon = 0$ it never moves.
    Adadelta, "adadelta", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1.0, rate;
        /// $\rho$.
        rho: 0.9, coefficient;
        /// $\epsilon$, under both roots.
        epsilon: 1e-6, positive;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SQUARE, SlotSpec::zeros("delta_square")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            rho: E,
            share: E,
            epsilon: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [v, u]: [E; 2]) -> (E, [E; 2]) {
                let v = self.rho.mul_add(v, self.share * (g * g));
                let delta = (u + self.epsilon).sqrt() / (v + self.epsilon).sqrt() * g;
                let u = self.rho.mul_add(u, self.share * (delta * delta));
                (w - self.rate * delta, [v, u])
            }
        }
        let share = E::of(1.0 - self.rho);
        let (rate, rho, epsilon) = (E::of(at.learning_rate), E::of(self.rho), E::of(self.epsilon));
        run.each(Step { rate, rho, share, epsilon })
    }
}

rule! {
    /// Hyperparameters of [`Adamax`].
    AdamaxConfig,
    /// Adamax, Adam with the largest gradient in place of the root mean square; see the [table](crate::optimizers).
    Adamax, "adamax", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 2e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside $|g|$.
        epsilon: 1e-8, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SlotSpec::zeros("largest")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            moments: Moments<E>,
            epsilon: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, u]: [E; 2]) -> (E, [E; 2]) {
                let m = self.moments.mean(m, g);
                let (kept, new) = (self.moments.beta2 * u, g.abs() + self.epsilon);
                let u = if new > kept { new } else { kept };
                (w - self.rate * divide(m, u), [m, u])
            }
        }
        let rate = E::of(at.learning_rate / correction(self.beta1, at.step));
        run.each(Step { rate, moments: Moments::new(self.beta1, self.beta2), epsilon: E::of(self.epsilon) })
    }
}

/// A step of Adam's kind: $w \leftarrow w - (a\,g + b\,m) / (c\sqrt v + \epsilon)$ with the moments in slots 0 and 1.
#[derive(Clone, Copy)]
struct General<E> {
    of_gradient: E,
    of_mean: E,
    moments: Moments<E>,
    of_root: E,
    epsilon: E,
}
impl<E: Real> Element<E, 2> for General<E> {
    #[inline(always)]
    fn apply(self, w: E, g: E, [m, v]: [E; 2]) -> (E, [E; 2]) {
        let (m, v) = (self.moments.mean(m, g), self.moments.square(v, g));
        let direction = self.of_gradient.mul_add(g, self.of_mean * m);
        (w - divide(direction, v.sqrt().mul_add(self.of_root, self.epsilon)), [m, v])
    }
}

rule! {
    /// Hyperparameters of [`NAdam`]; the defaults are PyTorch's.
    NAdamConfig,
    /// NAdam, Adam with Nesterov's momentum; see the [table](crate::optimizers).
    NAdam, "nadam", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 2e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the corrected root.
        epsilon: 1e-8, not_negative;
        /// $\psi$: how fast $\mu_t$ rises from $\beta_1/2$ to $\beta_1$.
        psi: 4e-3, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SQUARE]
    }
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("product", 1.0)]
    }
    fn advance(&self, step: u64, scalars: &mut [f64]) {
        scalars[0] *= self.momentum(step);
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        let (now, next, product) = (self.momentum(at.step), self.momentum(at.step + 1), at.scalars[0]);
        run.each(General {
            of_gradient: E::of(at.learning_rate * (1.0 - now) / (1.0 - product)),
            of_mean: E::of(at.learning_rate * next / (1.0 - product * next)),
            moments: Moments::new(self.beta1, self.beta2),
            of_root: E::of(1.0 / correction(self.beta2, at.step).sqrt()),
            epsilon: E::of(self.epsilon),
        })
    }
}
impl NAdamConfig {
    /// $\mu_t$.
    fn momentum(&self, step: u64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96_f64.powf(step as f64 * self.psi))
    }
}

/// What [`RAdam`] does in its first steps, in which the variance of $1/\sqrt{\hat v}$ is infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColdStart {
    /// A step along the mean that is not divided by anything, as the paper and PyTorch. With a learning rate that suits
    /// Adam it diverges where gradients are large.
    #[default]
    Mean,
    /// No step, the default of the authors' code.
    Still,
}
impl Code for ColdStart {
    fn code(self) -> f64 {
        (self == Self::Still).code()
    }
}

rule! {
    /// Hyperparameters of [`RAdam`].
    RAdamConfig,
    /// Rectified Adam; see the [table](crate::optimizers).
    ///
    /// With $\rho_\infty = 2/(1-\beta_2) - 1$ and $\rho_t = \rho_\infty - 2t\beta_2^t/(1-\beta_2^t)$ the step of Adam is
    /// multiplied by $r_t = \sqrt{\frac{(\rho_t-4)(\rho_t-2)\rho_\infty}{(\rho_\infty-4)(\rho_\infty-2)\rho_t}}$ where
    /// $\rho_t$ exceeds [`threshold`](RAdamConfig::threshold). $\epsilon$ stands beside the root before correction.
    RAdam, "radam", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$.
        epsilon: 1e-8, not_negative;
        /// $\rho_t$ from which the step is rectified: 5 in PyTorch, 4 in the paper. At least 4, since $r_t$ is the root of a
        /// negative number below.
        threshold: 5.0, at_least_four;
    }
    {
        /// The steps before that.
        cold_start: ColdStart = ColdStart::Mean;
    }
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SQUARE]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        let (t, power) = (at.step as f64, self.beta2.powf(at.step as f64));
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        let length = limit - 2.0 * t * power / (1.0 - power);
        let rate = at.learning_rate / correction(self.beta1, at.step);
        let moments = Moments::new(self.beta1, self.beta2);
        let of_gradient = E::zero();
        if length > self.threshold {
            let rectified = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length);
            let of_mean = E::of(rate * rectified.sqrt() * (1.0 - power).sqrt());
            run.each(General { of_gradient, of_mean, moments, of_root: E::ONE, epsilon: E::of(self.epsilon) })
        } else {
            let rate = if self.cold_start == ColdStart::Mean { rate } else { 0.0 };
            let of_mean = E::of(rate);
            run.each(General { of_gradient, of_mean, moments, of_root: E::zero(), epsilon: E::ONE })
        }
    }
}

/// Which largest second moment [`AmsGrad`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmsGradVariant {
    /// $\max v$, divided by $1-\beta_2^t$ under the root, as PyTorch.
    #[default]
    Torch,
    /// $\max v$, no bias correction at all, as the paper.
    Paper,
    /// $\max \hat v$, as optax.
    Corrected,
}
impl Code for AmsGradVariant {
    fn code(self) -> f64 {
        match self {
            Self::Torch => 0.0,
            Self::Paper => 1.0,
            Self::Corrected => 2.0,
        }
    }
}

rule! {
    /// Hyperparameters of [`AmsGrad`]; Adam's.
    AmsGradConfig,
    /// AMSGrad, Adam whose rates never grow; see the [table](crate::optimizers).
    ///
    /// Adam forgets large, rare gradients and can converge to the worst point; this is the paper's cure.
    AmsGrad, "amsgrad", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the root.
        epsilon: 1e-8, not_negative;
    }
    {
        /// Whose.
        variant: AmsGradVariant = AmsGradVariant::Torch;
    }
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SQUARE, SlotSpec::zeros("largest_square")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Corrected<E> {
            rate: E,
            moments: Moments<E>,
            scale: E,
            epsilon: E,
        }
        impl<E: Real> Element<E, 3> for Corrected<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, v, max]: [E; 3]) -> (E, [E; 3]) {
                let (m, v) = (self.moments.mean(m, g), self.moments.square(v, g));
                let corrected = v * self.scale;
                let max = if corrected > max { corrected } else { max };
                (w - self.rate * divide(m, max.sqrt() + self.epsilon), [m, v, max])
            }
        }
        let Self { beta1, beta2, epsilon, .. } = *self;
        let (of_mean, of_square) = (correction(beta1, at.step), correction(beta2, at.step));
        let step = AdamStep {
            rate: at.learning_rate / of_mean,
            beta1,
            beta2,
            root_correction: of_square.sqrt(),
            epsilon,
            keeps_maximum: true,
        };
        match self.variant {
            AmsGradVariant::Torch => adam(run, step),
            AmsGradVariant::Paper => adam(run, AdamStep { rate: at.learning_rate, root_correction: 1.0, ..step }),
            AmsGradVariant::Corrected => run.each(Corrected {
                rate: E::of(step.rate),
                moments: Moments::new(beta1, beta2),
                scale: E::of(1.0 / of_square),
                epsilon: E::of(epsilon),
            }),
        }
    }
}

rule! {
    /// Hyperparameters of [`Yogi`]; the defaults are the paper's.
    YogiConfig,
    /// Yogi, Adam whose second moment changes by at most $(1-\beta_2) g^2$ in either direction; see the [table](crate::optimizers).
    Yogi, "yogi", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.01, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the corrected root.
        epsilon: 1e-3, not_negative;
        /// What both moments start at.
        initial: 1e-6, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::filled("mean", self.initial), SlotSpec::filled("square", self.initial)]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            moments: Moments<E>,
            of_root: E,
            epsilon: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, v]: [E; 2]) -> (E, [E; 2]) {
                let (m, square) = (self.moments.mean(m, g), g * g);
                let v = v - self.moments.share2 * super::sign::sign(v - square) * square;
                (w - self.rate * divide(m, v.sqrt().mul_add(self.of_root, self.epsilon)), [m, v])
            }
        }
        run.each(Step {
            rate: E::of(at.learning_rate / correction(self.beta1, at.step)),
            moments: Moments::new(self.beta1, self.beta2),
            of_root: E::of(1.0 / correction(self.beta2, at.step).sqrt()),
            epsilon: E::of(self.epsilon),
        })
    }
}

rule! {
    /// Hyperparameters of [`AdaBelief`].
    AdaBeliefConfig,
    /// AdaBelief: long steps where gradients agree with their mean; see the [table](crate::optimizers).
    AdaBelief, "adabelief", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the corrected root.
        epsilon: 1e-16, not_negative;
        /// $\epsilon'$, added to $v$ in every step.
        epsilon_square: 1e-16, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SlotSpec::zeros("deviation_square")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            moments: Moments<E>,
            of_root: E,
            epsilon: E,
            epsilon_square: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, v]: [E; 2]) -> (E, [E; 2]) {
                let m = self.moments.mean(m, g);
                let v = self.moments.square(v, g - m) + self.epsilon_square;
                (w - self.rate * divide(m, v.sqrt().mul_add(self.of_root, self.epsilon)), [m, v])
            }
        }
        run.each(Step {
            rate: E::of(at.learning_rate / correction(self.beta1, at.step)),
            moments: Moments::new(self.beta1, self.beta2),
            of_root: E::of(1.0 / correction(self.beta2, at.step).sqrt()),
            epsilon: E::of(self.epsilon),
            epsilon_square: E::of(self.epsilon_square),
        })
    }
}

rule! {
    /// Hyperparameters of [`AdaBound`]; the defaults are those of the authors' code.
    AdaBoundConfig,
    /// AdaBound, Adam that becomes SGD; see the [table](crate::optimizers).
    ///
    /// The rate of each coordinate, $\eta\sqrt{1-\beta_2^t}/(1-\beta_1^t)/(\sqrt v+\epsilon)$, is clipped to
    /// $\eta^*(1-\frac1{\gamma t+1})$ and $\eta^*(1+\frac1{\gamma t})$.
    ///
    /// **Deviation**: this is the authors' code; the paper's algorithm has no bias correction and divides the clipped rate
    /// by $\sqrt t$.
    AdaBound, "adabound", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 1e-3, rate;
        /// $\beta_1$.
        beta1: 0.9, coefficient;
        /// $\beta_2$.
        beta2: 0.999, coefficient;
        /// $\epsilon$, beside the root.
        epsilon: 1e-8, not_negative;
        /// $\eta^*$.
        final_rate: 0.1, positive;
        /// $\gamma$.
        gamma: 1e-3, positive;
    }
    {
        /// The learning rate that $\eta^*$ belongs to: with a schedule, $\eta^*$ is scaled by $\eta$ over this. `None` does
        /// not scale.
        base_rate: Option<f64> = None;
    }
    fn slots(&self) -> Vec<SlotSpec> {
        vec![MEAN, SQUARE]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            moments: Moments<E>,
            epsilon: E,
            low: E,
            high: E,
        }
        impl<E: Real> Element<E, 2> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m, v]: [E; 2]) -> (E, [E; 2]) {
                let (m, v) = (self.moments.mean(m, g), self.moments.square(v, g));
                let rate = self.rate / (v.sqrt() + self.epsilon);
                let rate = if rate > self.high { self.high } else { rate };
                let rate = if rate < self.low { self.low } else { rate };
                (w - rate * m, [m, v])
            }
        }
        let scale = self.base_rate.map_or(1.0, |base| at.learning_rate / base);
        let (end, time) = (self.final_rate * scale, self.gamma * at.step as f64);
        let corrected = correction(self.beta2, at.step).sqrt() / correction(self.beta1, at.step);
        run.each(Step {
            rate: E::of(at.learning_rate * corrected),
            moments: Moments::new(self.beta1, self.beta2),
            epsilon: E::of(self.epsilon),
            low: E::of(end * (1.0 - 1.0 / (time + 1.0))),
            high: E::of(end * (1.0 + 1.0 / time)),
        })
    }
}
