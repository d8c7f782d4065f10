//! A head that answers with a mixture of Gaussians: what to predict where one input has several answers.
//!
//! $$ p(y \mid x) = \sum_{k=1}^K \pi_k(x)\, \mathrm N\bigl(y;\, \mu_k(x), \sigma_k(x)^2\bigr), \qquad
//!    L = -\frac1B \sum_n \ln p(y_n \mid x_n) $$
//!
//! | symbol | code | shape, range |
//! |---|---|---|
//! | $\pi_k$ | softmax of outputs `0..K` | `(B, K)`, sums to 1 |
//! | $\mu_k$ | outputs `K..2K` | `(B, K)` |
//! | $\ln\sigma_k$ | outputs `2K..3K` | `(B, K)`, natural logarithm; between −20 and 20 in f32 |
//! | $\gamma_k$ | share of component $k$ in the density at $y$ | |
//!
//! The loss is $\ln \sum_k \exp(\ln\pi_k + \ln \mathrm N_k)$ with both logarithms taken directly, so that a density too
//! small for a number still has a finite loss and gradient: $\partial L/\partial z_k = \pi_k - \gamma_k$,
//! $\partial L/\partial\mu_k = \gamma_k (\mu_k - y)/\sigma_k^2$, $\partial L/\partial\ln\sigma_k = \gamma_k (1 - (y -
//! \mu_k)^2/\sigma_k^2)$ per example.
//!
//! **Use it** where the mean of the answers is no answer: inverse problems, several futures. **Not** with repeated exact
//! targets: a component that sits on one with $\sigma \to 0$ makes the loss fall without bound; stop early, or clamp.
//! **Paper**: Bishop (1994), Mixture density networks; Goodfellow et al. (2016), section 6.2.2.4.
//! **Deviation**: one output dimension, as in the paper's example; $\ln\sigma$ instead of $\sigma = e^z$, which is the same.
use dfdx::prelude::{
    Axis, Const, Dim, HasShape, Rank0, ReshapeTo, Tape, Tensor, TryAdd, TryMul, TrySub, WithEmptyTape,
};
use kernels::{Device, Real};

/// Mean negative log-likelihood, in nats, of one target per row under the mixture that the row of `M = 3K` outputs
/// describes.
///
/// ```
/// use dfdx::prelude::*;
/// use optim::mixture::mixture_nll_mean;
///
/// let dev = Cpu::default();
/// // Two components at ±1 with standard deviation 1 and equal weights; the target lies between them.
/// let outputs = dev.tensor([[0.0_f64, 0.0, -1.0, 1.0, 0.0, 0.0]]);
/// let loss = mixture_nll_mean(outputs, &dev.tensor([0.0]));
/// let density = (-0.5_f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
/// assert!((loss.array() + density.ln()).abs() < 1e-12);
/// ```
///
/// # Panics
/// When the device fails; [`try_mixture_nll_mean`] returns the error.
pub fn mixture_nll_mean<const M: usize, B: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    outputs: Tensor<(B, Const<M>), E, D, T>,
    targets: &Tensor<(B,), E, D>,
) -> Tensor<Rank0, E, D, T> {
    try_mixture_nll_mean(outputs, targets).unwrap()
}

// ANCHOR: loss
/// Fallible twin of [`mixture_nll_mean`].
///
/// # Errors
/// The device's error when an allocation or a kernel fails.
///
/// # Panics
/// When there is not one target for each row, as dfdx's operations do.
pub fn try_mixture_nll_mean<const M: usize, B: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    outputs: Tensor<(B, Const<M>), E, D, T>,
    targets: &Tensor<(B,), E, D>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    const { assert!(M > 0 && M.is_multiple_of(3), "a mixture of K Gaussians has 3K outputs") };
    let (rows, components) = (outputs.shape().0.size(), M / 3);
    assert_eq!(targets.shape().0.size(), rows, "one target for each row of outputs");
    let part = |x: Tensor<(B, Const<M>), E, D, T>, i: usize| {
        x.try_reshape_like(&(rows, M))?.try_slice((0..rows, i * components..(i + 1) * components))
    };
    let y = targets.as_vec().into_iter().flat_map(|y| std::iter::repeat_n(y, components)).collect();
    let y = outputs.device().try_tensor_from_vec(y, (rows, components))?;
    let means = part(outputs.with_empty_tape(), 1)?;
    let log_deviations = part(outputs.with_empty_tape(), 2)?;
    let log_weights = kernels::try_log_softmax(part(outputs, 0)?)?;
    let precision = log_deviations.with_empty_tape().try_negate()?.try_exp()?;
    let z = means.try_sub(y)?.try_mul(precision)?;
    let half_log_tau = E::of(0.5 * std::f64::consts::TAU.ln());
    let log_density = z.try_square()?.try_mul(E::of(-0.5))?.try_sub(log_deviations)?.try_sub(half_log_tau)?;
    let joint = log_weights.try_add(log_density)?;
    kernels::try_mean_all(kernels::try_logsumexp_along(joint, Axis::<1>)?)?.try_negate()
}
// ANCHOR_END: loss

/// One row of outputs as a distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// $\pi_k$.
    pub weights: Vec<f64>,
    /// $\mu_k$.
    pub means: Vec<f64>,
    /// $\sigma_k$.
    pub deviations: Vec<f64>,
}

impl Mixture {
    /// From the $3K$ outputs of one row.
    ///
    /// # Errors
    /// [`crate::Error::Dimension`] unless their number is a multiple of 3 above 0.
    pub fn from_outputs<E: Real>(outputs: &[E]) -> Result<Self, crate::Error> {
        let components = outputs.len() / 3;
        if components == 0 || !outputs.len().is_multiple_of(3) {
            let want = 3 * components.max(1);
            return Err(crate::Error::Dimension { what: "outputs of a mixture", got: outputs.len(), want });
        }
        let values: Vec<f64> = outputs.iter().map(|value| value.as_f64()).collect();
        let (logits, rest) = values.split_at(components);
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
        let total: f64 = shares.iter().sum();
        Ok(Self {
            weights: shares.iter().map(|share| share / total).collect(),
            means: rest[..components].to_vec(),
            deviations: rest[components..].iter().map(|z| z.exp()).collect(),
        })
    }

    /// $p(y)$.
    pub fn density(&self, y: f64) -> f64 {
        let components = self.weights.iter().zip(&self.means).zip(&self.deviations);
        let one = |((weight, mean), deviation): ((&f64, &f64), &f64)| {
            let z = (y - mean) / deviation;
            weight * (-0.5 * z * z).exp() / (deviation * std::f64::consts::TAU.sqrt())
        };
        components.map(one).sum()
    }

    /// $\sum_k \pi_k\mu_k$: what least squares would answer.
    pub fn mean(&self) -> f64 {
        self.weights.iter().zip(&self.means).map(|(weight, mean)| weight * mean).sum()
    }

    /// $\sum_k \pi_k(\sigma_k^2 + \mu_k^2)$ less the square of the mean.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        let components = self.weights.iter().zip(&self.means).zip(&self.deviations);
        components.map(|((weight, m), s)| weight * (s * s + (m - mean).powi(2))).sum()
    }
}
