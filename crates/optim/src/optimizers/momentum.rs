//! Gradient descent with more than one kind of memory.
//!
//! | rule | update | paper |
//! |---|---|---|
//! | [`NesterovAgd`] | $x_t = y_t - \eta\nabla f(y_t)$; $y_{t+1} = x_t + \frac{\theta_t-1}{\theta_{t+1}}(x_t-x_{t-1})$, $\theta_{t+1} = \frac{1+\sqrt{1+4\theta_t^2}}2$ | Nesterov 1983; Beck & Teboulle 2009 |
//! | [`Asgd`] | $w \leftarrow (1-\lambda\eta_t)w - \eta_t g$, $\eta_t = \eta/(1+\lambda\eta (t-1))^\alpha$; average from $t_0$ | Polyak & Juditsky 1992; Xu 2011 |
//! | [`Qhm`] | $m = \beta m+(1-\beta)g$; $w \mathrel{-}= \eta((1-\nu)g+\nu m)$ | Ma & Yarats 2019, 1810.06801 |
//! | [`AggMo`] | $v_i = \beta_i v_i + g$; $w \mathrel{-}= \frac\eta3\sum_i v_i$ | Lucas et al. 2019, 1804.00325 |
//!
//! Momentum itself is [`Sgd`](super::Sgd).
//!
//! **Golden**: PyTorch (ASGD), the formulas in numpy (all others); 50 steps on three problems, to 1e-9.
use super::{WeightDecay, rule};
use kernels::Real;
use kernels::update::{Element, Run};
use layers::rule::{At, SlotSpec};

rule! {
    /// Hyperparameters of [`NesterovAgd`].
    NesterovAgdConfig,
    /// Nesterov's accelerated gradient descent; see the [table](crate::optimizers).
    ///
    /// The model holds $y$, where gradients are taken; [`Optim::evaluation`](layers::Optim::evaluation) gives $x$. On a
    /// convex function with Lipschitz constant $1/\eta$ of the gradient, $f(x_t) - f^* \le 2|x_0-x^*|^2/(\eta(t+1)^2)$.
    NesterovAgd, "nesterov_agd", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.01, rate;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::weights("x")]
    }
    fn scalars(&self) -> Vec<(&'static str, f64)> {
        vec![("theta", 1.0), ("momentum", 0.0)]
    }
    fn advance(&self, _: u64, scalars: &mut [f64]) {
        let theta = scalars[0];
        let next = 0.5 * (1.0 + (1.0 + 4.0 * theta * theta).sqrt());
        scalars.copy_from_slice(&[next, (theta - 1.0) / next]);
    }
    fn evaluation_slot(&self) -> Option<usize> {
        Some(0)
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            momentum: E,
        }
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, y: E, g: E, [previous]: [E; 1]) -> (E, [E; 1]) {
                let x = g.mul_add(-self.rate, y);
                (self.momentum.mul_add(x - previous, x), [x])
            }
        }
        run.each(Step { rate: E::of(at.learning_rate), momentum: E::of(at.scalars[1]) })
    }
}

rule! {
    /// Hyperparameters of [`Asgd`]; the defaults are PyTorch's.
    AsgdConfig,
    /// Averaged stochastic gradient descent; see the [table](crate::optimizers).
    ///
    /// [`Optim::evaluation`](layers::Optim::evaluation) gives the average. Any rule can be averaged:
    /// [`Average::Uniform`](super::Average::Uniform).
    Asgd, "asgd", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.01, rate;
        /// $\lambda$.
        lambda: 1e-4, not_negative;
        /// $\alpha$.
        alpha: 0.75, not_negative;
        /// $t_0$: steps before the average starts.
        start: 1e6, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::weights("average")]
    }
    fn evaluation_slot(&self) -> Option<usize> {
        Some(0)
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            keep: E,
            share: E,
        }
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [average]: [E; 1]) -> (E, [E; 1]) {
                let w = g.mul_add(-self.rate, w * self.keep);
                let average = self.share.mul_add(w - average, average);
                (w, [if self.share == E::ONE { w } else { average }])
            }
        }
        let made = (at.step - 1) as f64;
        let rate = at.learning_rate / (1.0 + self.lambda * at.learning_rate * made).powf(self.alpha);
        let share = 1.0 / (made - self.start).max(1.0);
        run.each(Step { rate: E::of(rate), keep: E::of(1.0 - self.lambda * rate), share: E::of(share) })
    }
}

rule! {
    /// Hyperparameters of [`Qhm`]; the defaults are the paper's.
    QhmConfig,
    /// Quasi-hyperbolic momentum; see the [table](crate::optimizers). $\nu = 1$ is momentum, $\nu = 0$ plain descent.
    Qhm, "qhm", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.1, rate;
        /// $\beta$.
        beta: 0.999, coefficient;
        /// $\nu$, usually in [0, 1].
        nu: 0.7, not_negative;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        vec![SlotSpec::zeros("mean")]
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            beta: E,
            share: E,
            of_gradient: E,
            of_mean: E,
        }
        impl<E: Real> Element<E, 1> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, [m]: [E; 1]) -> (E, [E; 1]) {
                let m = self.beta.mul_add(m, self.share * g);
                (w - self.of_gradient.mul_add(g, self.of_mean * m), [m])
            }
        }
        run.each(Step {
            beta: E::of(self.beta),
            share: E::of(1.0 - self.beta),
            of_gradient: E::of(at.learning_rate * (1.0 - self.nu)),
            of_mean: E::of(at.learning_rate * self.nu),
        })
    }
}

rule! {
    /// Hyperparameters of [`AggMo`]; the defaults are the paper's.
    AggMoConfig,
    /// Aggregated momentum: three velocities, of which the slow ones are damped by the fast; see the [table](crate::optimizers).
    AggMo, "aggmo", Coupled(0.0),
    {
        /// $\eta$.
        learning_rate: 0.1, rate;
        /// $\beta_1$.
        beta1: 0.0, coefficient;
        /// $\beta_2$.
        beta2: 0.9, coefficient;
        /// $\beta_3$.
        beta3: 0.99, coefficient;
    }
    {}
    fn slots(&self) -> Vec<SlotSpec> {
        ["velocity_1", "velocity_2", "velocity_3"].map(SlotSpec::zeros).to_vec()
    }
    fn update<E: Real>(&self, at: &At<'_>, run: Run<'_, E>) {
        #[derive(Clone, Copy)]
        struct Step<E> {
            rate: E,
            beta: [E; 3],
        }
        impl<E: Real> Element<E, 3> for Step<E> {
            #[inline(always)]
            fn apply(self, w: E, g: E, mut v: [E; 3]) -> (E, [E; 3]) {
                let mut sum = E::zero();
                for (v, beta) in v.iter_mut().zip(self.beta) {
                    *v = beta.mul_add(*v, g);
                    sum += *v;
                }
                (w - self.rate * sum, v)
            }
        }
        run.each(Step {
            rate: E::of(at.learning_rate / 3.0),
            beta: [self.beta1, self.beta2, self.beta3].map(E::of),
        })
    }
}
