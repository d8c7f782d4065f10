//! Stochastic gradient descent: $w_{t+1} = w_t - \eta_t g_t$ with $\E g_t = \nabla f(w_t)$ (Robbins & Monro 1951).
//!
//! | step size | Robbins–Monro | error of the last iterate, strongly convex |
//! |---|---|---|
//! | constant $\eta$ | sum diverges, squares too | down to a ball of size ∝ η |
//! | $c/(t + t_0)$ | both hold | O(1/t) if $c > 1/2\mu$, slower otherwise |
//! | $c/\sqrt{t + t_0}$ | squares diverge | O(1/√t) |
//!
//! **Golden**: iterates of a cyclic run in numpy. **Closed form**: the cycle's matrix; the tutorial whose printed rate
//! diverges.
use super::FiniteSum;
use crate::Error;
use rand::{Rng, seq::SliceRandom};

/// Which examples make a gradient.
#[derive(Clone, Debug, PartialEq)]
pub enum Sampling {
    /// Every example equally likely, each time anew.
    WithReplacement,
    /// A new random order in each epoch. Its error is smaller; do not put both in one plot.
    Shuffled,
    /// In the order of the data.
    Cyclic,
    /// Example $i$ with probability $p_i$, its gradient divided by $n p_i$, so that the mean stays right.
    Importance(Vec<f64>),
}

/// $\eta_t$, with $t$ from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepSize {
    /// $\eta$.
    Constant(f64),
    /// $c/(t + t_0)$.
    InverseTime {
        /// $c$.
        c: f64,
        /// $t_0$, at least 1.
        t0: f64,
    },
    /// $c/\sqrt{t + t_0}$.
    InverseSqrt {
        /// $c$.
        c: f64,
        /// $t_0$, at least 1.
        t0: f64,
    },
    /// $c/(1 + t)^p$.
    Polynomial {
        /// $c$.
        c: f64,
        /// $p \ge 0$.
        p: f64,
    },
    /// From $\epsilon_0$ to $\epsilon_\tau$ in a straight line over $\tau$ steps, then constant (Goodfellow, eq. 8.14).
    LinearDecay {
        /// $\epsilon_0$.
        first: f64,
        /// $\epsilon_\tau$.
        last: f64,
        /// $\tau$.
        steps: u64,
    },
}

/// The two conditions under which stochastic approximation converges almost surely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RobbinsMonro {
    /// $\sum\eta_t = \infty$: it can reach any point.
    pub sum_diverges: bool,
    /// $\sum\eta_t^2 < \infty$: the noise dies out.
    pub squares_converge: bool,
}

impl StepSize {
    // ANCHOR: steps
    /// $\eta_t$.
    pub fn at(&self, t: u64) -> f64 {
        let time = t as f64;
        match *self {
            Self::Constant(rate) => rate,
            Self::InverseTime { c, t0 } => c / (time + t0),
            Self::InverseSqrt { c, t0 } => c / (time + t0).sqrt(),
            Self::Polynomial { c, p } => c / (1.0 + time).powf(p),
            Self::LinearDecay { first, last, steps } => {
                let share = if t >= steps { 1.0 } else { time / steps as f64 };
                (1.0 - share) * first + share * last
            }
        }
    }

    /// The conditions of Robbins and Monro, decided by the exponent: $\sum t^{-p}$ diverges for $p \le 1$.
    pub fn robbins_monro(&self) -> RobbinsMonro {
        let exponent = match *self {
            Self::Constant(_) => 0.0,
            Self::LinearDecay { last, .. } if last > 0.0 => 0.0,
            Self::LinearDecay { .. } => f64::INFINITY, // no step after the last one
            Self::InverseTime { .. } => 1.0,
            Self::InverseSqrt { .. } => 0.5,
            Self::Polynomial { p, .. } => p,
        };
        RobbinsMonro { sum_diverges: exponent <= 1.0, squares_converge: 2.0 * exponent > 1.0 }
    }
    // ANCHOR_END: steps

    fn check(&self) -> Result<(), Error> {
        let positive = |name, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(Error::InvalidHyper { name, rule: "finite and above 0", value })
            }
        };
        match *self {
            Self::Constant(rate) => positive("learning_rate", rate),
            Self::InverseTime { c, t0 } | Self::InverseSqrt { c, t0 } => {
                positive("c", c).and(positive("t0", t0))
            }
            Self::Polynomial { c, p } if p >= 0.0 && p.is_finite() => positive("c", c),
            Self::Polynomial { p, .. } => {
                Err(Error::InvalidHyper { name: "p", rule: "finite and at least 0", value: p })
            }
            Self::LinearDecay { first, last, .. } if last >= 0.0 && last <= first => positive("first", first),
            Self::LinearDecay { last, .. } => {
                Err(Error::InvalidHyper { name: "last", rule: "between 0 and the first rate", value: last })
            }
        }
    }
}

/// How to descend.
#[derive(Clone, Debug, PartialEq)]
pub struct Descent {
    step_size: StepSize,
    sampling: Sampling,
    batch: usize,
    steps: u64,
}

/// What is seen after a step.
#[derive(Clone, Copy, Debug)]
pub struct Iterate<'a> {
    /// Steps made, from 1.
    pub step: u64,
    /// The weights.
    pub w: &'a [f64],
}

impl Descent {
    /// One example per step, drawn with replacement; 1000 steps.
    pub fn new(step_size: StepSize) -> Self {
        Self { step_size, sampling: Sampling::WithReplacement, batch: 1, steps: 1000 }
    }

    /// Which examples.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Examples per step.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Steps.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// Descends from `start` and shows every iterate.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`], [`Error::Dimension`] for another number of weights, and [`Error::Unstable`] when a weight
    /// exceeds 1e12 or is no number.
    pub fn run<P: FiniteSum, R: Rng + ?Sized>(
        &self,
        problem: &P,
        start: &[f64],
        rng: &mut R,
        mut see: impl FnMut(Iterate<'_>),
    ) -> Result<Vec<f64>, Error> {
        self.step_size.check()?;
        let n = problem.terms();
        if start.len() != problem.dim() {
            return Err(Error::Dimension { what: "weights", got: start.len(), want: problem.dim() });
        }
        if self.batch == 0 || (self.batch > n && self.sampling != Sampling::WithReplacement) {
            let rule =
                "at least 1, and at most the number of examples unless they are drawn with replacement";
            return Err(Error::InvalidHyper { name: "batch", rule, value: self.batch as f64 });
        }
        let mut draw = Draw::new(&self.sampling, n)?;
        let (mut w, mut gradient) = (start.to_vec(), vec![0.0; start.len()]);
        for t in 0..self.steps {
            // ANCHOR: step
            gradient.fill(0.0);
            for _ in 0..self.batch {
                let (i, weight) = draw.next(rng); // weight 1, or 1/(n p_i)
                problem.add_gradient(i, &w, weight / self.batch as f64, &mut gradient);
            }
            let rate = self.step_size.at(t);
            w.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= rate * g);
            // ANCHOR_END: step
            if let Some(&value) = w.iter().find(|w| w.is_nan() || w.abs() > LARGEST) {
                let curvature = (0..n).map(|i| problem.curvature(i)).fold(0.0, f64::max);
                let (step, learning_rate) = (t + 1, rate);
                return Err(Error::Unstable { step, value, learning_rate, safe: 2.0 / curvature });
            }
            see(Iterate { step: t + 1, w: &w });
        }
        Ok(w)
    }
}

/// A weight beyond this has diverged.
const LARGEST: f64 = 1e12;

struct Draw<'a> {
    sampling: &'a Sampling,
    order: Vec<usize>,
    at: usize,
    /// Running sums of the probabilities.
    sums: Vec<f64>,
}

impl<'a> Draw<'a> {
    fn new(sampling: &'a Sampling, n: usize) -> Result<Self, Error> {
        let mut sums = Vec::new();
        if let Sampling::Importance(p) = sampling {
            if p.len() != n {
                return Err(Error::LengthMismatch { examples: n, labels: p.len() });
            }
            let mut sum = 0.0;
            for &p in p {
                if !(p > 0.0 && p.is_finite()) {
                    return Err(Error::InvalidHyper { name: "probability", rule: "above 0", value: p });
                }
                sum += p;
                sums.push(sum);
            }
            if (sum - 1.0).abs() > 1e-9 {
                return Err(Error::InvalidHyper { name: "probabilities", rule: "1 in sum", value: sum });
            }
        }
        Ok(Self { sampling, order: (0..n).collect(), at: 0, sums })
    }

    fn next<R: Rng + ?Sized>(&mut self, rng: &mut R) -> (usize, f64) {
        let n = self.order.len();
        match self.sampling {
            Sampling::WithReplacement => (rng.gen_range(0..n), 1.0),
            Sampling::Importance(p) => {
                let u = rng.gen_range(0.0..self.sums[n - 1]);
                let i = self.sums.partition_point(|&sum| sum <= u).min(n - 1);
                (i, 1.0 / (n as f64 * p[i]))
            }
            Sampling::Shuffled | Sampling::Cyclic => {
                if self.at == 0 && *self.sampling == Sampling::Shuffled {
                    self.order.shuffle(rng);
                }
                let i = self.order[self.at];
                self.at = (self.at + 1) % n;
                (i, 1.0)
            }
        }
    }
}
