//! Penalties on weights: as gradients, as proximal operators, and what each leaves of a quadratic minimum.
//!
//! | penalty | $\Omega(w)$ | subgradient | $\operatorname{prox}_{s\Omega}(w) = \arg\min_x \tfrac12\lVert x - w\rVert^2 + s\,\Omega(x)$ |
//! |---|---|---|---|
//! | [`Penalty::L2`] | $\frac\lambda2 \lVert w\rVert_2^2$ | $\lambda w$ | $w / (1 + s\lambda)$ |
//! | [`Penalty::L1`] | $\lambda \lVert w\rVert_1$ | $\lambda\operatorname{sgn} w$, 0 at 0 | $\operatorname{sgn}(w) \max(\lvert w\rvert - s\lambda, 0)$ |
//! | [`Penalty::ElasticNet`] | the sum of both | the sum | the second, then the first |
//! | [`Penalty::GroupLasso`] | $\lambda \sum_g \lVert w_g\rVert_2$ | $\lambda w_g / \lVert w_g\rVert$ | $w_g \max(1 - s\lambda / \lVert w_g\rVert, 0)$ |
//!
//! **Use the proximal operator** after a step of plain gradient descent when weights should become exactly 0: the
//! subgradient only makes them small. **Use `weight_decay` of an optimiser** for L2 on a whole model.
//! **Sources**: Goodfellow, Bengio & Courville (2016), ch. 7.1; Parikh & Boyd (2014), Proximal algorithms; Yuan & Lin
//! (2006) for the groups.
use crate::Error;

/// A penalty; its factors are finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Penalty {
    /// $\frac\lambda2 \lVert w\rVert_2^2$.
    L2(f64),
    /// $\lambda \lVert w\rVert_1$.
    L1(f64),
    /// Both.
    ElasticNet {
        /// Factor of $\lVert w\rVert_1$.
        l1: f64,
        /// Factor of $\frac12 \lVert w\rVert_2^2$.
        l2: f64,
    },
    /// $\lambda \sum_g \lVert w_g\rVert_2$ over groups of neighbours.
    GroupLasso {
        /// $\lambda$.
        factor: f64,
        /// Elements of a group: the inputs of a unit, say; the last group may be shorter.
        group: usize,
    },
}

impl Penalty {
    fn check(self) -> Result<(), Error> {
        let (factors, group) = match self {
            Self::L2(factor) | Self::L1(factor) => ([factor, 0.0], 1),
            Self::ElasticNet { l1, l2 } => ([l1, l2], 1),
            Self::GroupLasso { factor, group } => ([factor, 0.0], group),
        };
        if let Some(value) = factors.into_iter().find(|f| !(f.is_finite() && *f >= 0.0)) {
            return Err(Error::InvalidHyper { name: "penalty", rule: "finite and not negative", value });
        }
        if group == 0 {
            return Err(Error::InvalidHyper { name: "group", rule: "at least 1 element", value: 0.0 });
        }
        Ok(())
    }

    /// $\Omega(w)$.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for an illegal factor or a group of 0 elements; so do all methods.
    pub fn value(self, w: &[f64]) -> Result<f64, Error> {
        self.check()?;
        let squares = || w.iter().map(|w| w * w).sum::<f64>();
        let sizes = || w.iter().map(|w| w.abs()).sum::<f64>();
        Ok(match self {
            Self::L2(factor) => factor / 2.0 * squares(),
            Self::L1(factor) => factor * sizes(),
            Self::ElasticNet { l1, l2 } => l1 * sizes() + l2 / 2.0 * squares(),
            Self::GroupLasso { factor, group } => factor * w.chunks(group).map(norm).sum::<f64>(),
        })
    }

    /// Adds a subgradient of $\Omega$ at `w` to `gradient`; the one of least size where there are several.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn add_gradient(self, w: &[f64], gradient: &mut [f64]) -> Result<(), Error> {
        self.check()?;
        assert_eq!(w.len(), gradient.len(), "a gradient has one element per weight");
        let sign = |w: f64| if w == 0.0 { 0.0 } else { w.signum() };
        let mut add = |slope: &dyn Fn(usize) -> f64| {
            gradient.iter_mut().enumerate().for_each(|(i, g)| *g += slope(i));
        };
        match self {
            Self::L2(factor) => add(&|i| factor * w[i]),
            Self::L1(factor) => add(&|i| factor * sign(w[i])),
            Self::ElasticNet { l1, l2 } => add(&|i| l1 * sign(w[i]) + l2 * w[i]),
            Self::GroupLasso { factor, group } => {
                let norms: Vec<f64> = w.chunks(group).map(norm).collect();
                add(&|i| if norms[i / group] > 0.0 { factor * w[i] / norms[i / group] } else { 0.0 });
            }
        }
        Ok(())
    }

    // ANCHOR: prox
    /// Replaces `w` by the minimiser of $\tfrac12 \lVert x - w\rVert^2 + s\,\Omega(x)$: after a gradient step of size $s$
    /// on the loss alone, the step on the penalty.
    ///
    /// ```
    /// use optim::regularize::penalty::Penalty;
    /// let mut w = [1.5, -0.2, 0.5];
    /// Penalty::L1(1.0).prox(&mut w, 0.5)?;
    /// assert_eq!(w, [1.0, 0.0, 0.0]);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`value`](Self::value), and unless `step` is finite and not negative.
    pub fn prox(self, w: &mut [f64], step: f64) -> Result<(), Error> {
        self.check()?;
        if !(step.is_finite() && step >= 0.0) {
            return Err(Error::InvalidHyper { name: "step", rule: "finite and not negative", value: step });
        }
        let soft = |w: f64, by: f64| w.signum() * (w.abs() - by).max(0.0);
        match self {
            Self::L2(factor) => w.iter_mut().for_each(|w| *w /= 1.0 + step * factor),
            Self::L1(factor) => w.iter_mut().for_each(|w| *w = soft(*w, step * factor)),
            Self::ElasticNet { l1, l2 } => {
                w.iter_mut().for_each(|w| *w = soft(*w, step * l1) / (1.0 + step * l2));
            }
            Self::GroupLasso { factor, group } => {
                for group in w.chunks_mut(group) {
                    let norm = norm(group);
                    let keep = if norm > 0.0 { (1.0 - step * factor / norm).max(0.0) } else { 0.0 };
                    group.iter_mut().for_each(|w| *w *= keep);
                }
            }
        }
        Ok(())
    }
    // ANCHOR_END: prox
}

fn norm(w: &[f64]) -> f64 {
    w.iter().map(|w| w * w).sum::<f64>().sqrt()
}

/// What is left of the minimum of a quadratic with curvature $h > 0$ in one eigendirection.
///
/// | | share of $w^*$ |
/// |---|---|
/// | [`left_by_l2`](Self::left_by_l2) | $h / (h + \alpha)$ |
/// | [`left_by_early_stop`](Self::left_by_early_stop) | $1 - (1 - \epsilon h)^\tau$ |
/// | [`equivalent_l2`](Self::equivalent_l2) | the $\alpha$ that leaves as much as stopping: $h q / (1 - q)$, $q = (1 - \epsilon h)^\tau$ |
///
/// **Source**: Goodfellow et al. (2016), eq. 7.13 and 7.38 to 7.45. Their $\tau \approx 1/(\epsilon\alpha)$ is the limit
/// $h \to 0$ of the last line; for $\epsilon h$ near 1 stopping hardly shrinks, where L2 still does.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// $h$, above 0.
    pub curvature: f64,
}

impl Filter {
    /// $h / (h + \alpha)$.
    pub fn left_by_l2(self, alpha: f64) -> f64 {
        self.curvature / (self.curvature + alpha)
    }

    /// $1 - (1 - \epsilon h)^\tau$, from a start at 0.
    pub fn left_by_early_stop(self, step: f64, steps: u32) -> f64 {
        1.0 - (1.0 - step * self.curvature).powf(f64::from(steps))
    }

    /// The L2 factor with the same effect in this direction.
    pub fn equivalent_l2(self, step: f64, steps: u32) -> f64 {
        let forgotten = (1.0 - step * self.curvature).powf(f64::from(steps));
        self.curvature * forgotten / (1.0 - forgotten)
    }
}
