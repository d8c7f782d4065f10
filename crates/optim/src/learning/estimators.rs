//! Estimators of one or two numbers: maximum likelihood, maximum a posteriori, posterior.
//!
//! | model | data | likelihood | conjugate prior |
//! |---|---|---|---|
//! | [`Bernoulli`] | `heads` of `n` | $\theta^h(1-\theta)^{n-h}$ | $\mathrm{Beta}(a, b)$ |
//! | [`Gaussian`] | `x_1 … x_n` | $\prod N(x_i; \mu, \sigma^2)$ | $N(m, v)$ for $\mu$ |
//!
//! The maximum-likelihood variance divides by $n$, and its expectation is $\frac{n-1}n\sigma^2$: the mean that it measures
//! from is fitted to the same points. Dividing by $n - 1$ removes that bias.
//!
//! **Golden**: numpy. **Closed form**: the expectation of the biased variance, by enumeration.
use super::{check_count, check_penalty};
use crate::Error;

/// Heads and tails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bernoulli {
    heads: u64,
    n: u64,
}

/// A Beta distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beta {
    /// Weight of heads, above 0.
    pub a: f64,
    /// Weight of tails, above 0.
    pub b: f64,
}

impl Beta {
    /// $a/(a + b)$.
    pub fn mean(self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// $ab/((a + b)^2(a + b + 1))$.
    pub fn variance(self) -> f64 {
        let sum = self.a + self.b;
        self.a * self.b / (sum * sum * (sum + 1.0))
    }
}

impl Bernoulli {
    /// `heads` of `n` throws.
    ///
    /// # Errors
    /// [`Error::Empty`] for no throws, [`Error::InvalidHyper`] for more heads than throws.
    pub fn new(heads: u64, n: u64) -> Result<Self, Error> {
        if n == 0 {
            return Err(Error::Empty { what: "Bernoulli::new" });
        }
        if heads > n {
            let rule = "at most the number of throws";
            return Err(Error::InvalidHyper { name: "heads", rule, value: heads as f64 });
        }
        Ok(Self { heads, n })
    }

    /// The share of heads.
    pub fn mle(self) -> f64 {
        self.heads as f64 / self.n as f64
    }

    /// The distribution of $\theta$ after the throws.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a prior weight not above 0.
    pub fn posterior(self, prior: Beta) -> Result<Beta, Error> {
        for (name, value) in [("a", prior.a), ("b", prior.b)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::InvalidHyper { name, rule: "above 0", value });
            }
        }
        Ok(Beta { a: prior.a + self.heads as f64, b: prior.b + (self.n - self.heads) as f64 })
    }

    /// The most probable $\theta$: $(a + h - 1)/(a + b + n - 2)$.
    ///
    /// # Errors
    /// As [`posterior`](Self::posterior), and [`Error::InvalidHyper`] when the posterior has no single largest value
    /// inside (0, 1).
    pub fn map(self, prior: Beta) -> Result<f64, Error> {
        let Beta { a, b } = self.posterior(prior)?;
        if a < 1.0 || b < 1.0 || a + b == 2.0 {
            let rule = "large enough that both posterior weights are at least 1 and one is above";
            return Err(Error::InvalidHyper { name: "prior", rule, value: a.min(b) });
        }
        Ok((a - 1.0) / (a + b - 2.0))
    }
}

/// Points from a normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    n: usize,
    mean: f64,
    squares: f64,
}

/// A normal distribution of one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normal {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

impl Gaussian {
    /// Mean and squares of the points, in two passes.
    ///
    /// # Errors
    /// [`Error::Empty`] or [`Error::TargetNotFinite`].
    pub fn new(x: &[f64]) -> Result<Self, Error> {
        if x.is_empty() {
            return Err(Error::Empty { what: "Gaussian::new" });
        }
        if let Some((example, &value)) = x.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(Error::TargetNotFinite { example, output: 0, value });
        }
        let n = x.len();
        let mean = x.iter().sum::<f64>() / n as f64;
        Ok(Self { n, mean, squares: x.iter().map(|x| (x - mean).powi(2)).sum() })
    }

    // ANCHOR: gaussian
    /// Maximum likelihood: the mean, and the variance with divisor $n$, which is too small by $(n - 1)/n$.
    pub fn mle(self) -> Normal {
        Normal { mean: self.mean, variance: self.squares / self.n as f64 }
    }

    /// The variance with divisor $n - 1$, whose expectation is $\sigma^2$.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a single point.
    pub fn unbiased_variance(self) -> Result<f64, Error> {
        check_count("points beside the first", self.n - 1)?;
        Ok(self.squares / (self.n - 1) as f64)
    }

    /// The distribution of $\mu$ for a known variance of the noise and a normal prior; its mean is also the MAP.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a variance not above 0.
    pub fn posterior(self, noise: f64, prior: Normal) -> Result<Normal, Error> {
        for (name, value) in [("noise", noise), ("prior variance", prior.variance)] {
            check_penalty(value)?;
            if value == 0.0 {
                return Err(Error::InvalidHyper { name, rule: "above 0", value });
            }
        }
        let precision = self.n as f64 / noise + 1.0 / prior.variance;
        let mean = (self.n as f64 * self.mean / noise + prior.mean / prior.variance) / precision;
        Ok(Normal { mean, variance: 1.0 / precision })
    }
    // ANCHOR_END: gaussian
}
