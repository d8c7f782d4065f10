//! AdamWR: AdamW whose rate restarts, with a decay that fits the length of each period.
use dfdx::nn::tensor_collection::TensorCollection;
use kernels::{Device, Real};
use layers::Schedule;
use layers::Step;

use super::{AdamW, AdamWConfig};
use crate::Error;
use crate::schedules::Sgdr;

/// $\lambda = \lambda_{\text{norm}} \sqrt{b / (B T)}$: the decay for $T$ epochs over $B$ examples in batches of $b$.
///
/// $B T / b$ is the number of updates: four times the updates, half the decay. The best $\lambda_{\text{norm}}$ depends less
/// on the length of a run than the best $\lambda$ does; the paper finds 0.025 to 0.05 on CIFAR-10. For
/// [`AdamWConfig::weight_decay`] together with [`AdamWConfig::decay_base`], the paper's form.
///
/// ```
/// use optim::optimizers::normalised_decay;
/// let once = normalised_decay(0.05, 128, 50_000, 100.0)?;
/// let longer = normalised_decay(0.05, 128, 50_000, 400.0)?;
/// assert!((once / longer - 2.0).abs() < 1e-12);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] unless `norm` is finite and not negative, `batch` and `examples` at least 1, and `epochs` finite
/// and above 0.
///
/// **Paper**: Loshchilov & Hutter (2019), Decoupled weight decay regularization, arXiv 1711.05101, appendix B.1.
pub fn normalised_decay(norm: f64, batch: usize, examples: usize, epochs: f64) -> Result<f64, Error> {
    let refuse = |name, rule, value| Err(Error::InvalidHyper { name, rule, value });
    if !(norm.is_finite() && norm >= 0.0) {
        return refuse("norm", "finite, not negative; 0.025 to 0.05 are usual", norm);
    }
    if batch == 0 || examples == 0 {
        return refuse("batch and examples", "at least 1", 0.0);
    }
    if !(epochs.is_finite() && epochs > 0.0) {
        return refuse("epochs", "finite and above 0", epochs);
    }
    Ok(norm * (batch as f64 / (examples as f64 * epochs)).sqrt())
}

/// The rates and decays of AdamWR: cosines with warm restarts, and in period $i$ of $P_i$ steps the decay
/// $\lambda_i = \lambda_{\text{norm}} / \sqrt{P_i}$, which is [`normalised_decay`] over the epochs of that period alone.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// use optim::optimizers::{AdamW, AdamWConfig, WarmRestarts};
/// use optim::schedules::Sgdr;
///
/// let cosines = Sgdr { base: 0.01, period: 50, growth: 2, minimum: 0.0 };
/// let restarts = WarmRestarts::try_new(cosines, 0.05)?;
/// let dev = Cpu::seed_from_u64(0);
/// let mut model = dev.build_module::<Linear<3, 1>, f32>();
/// let x: Tensor<Rank2<16, 3>, f32, _> = dev.sample_normal();
/// let mut adam = AdamW::try_new(&model, AdamWConfig { decay_base: Some(0.01), ..Default::default() })?;
/// for step in 0..150 {
///     restarts.set(step, &mut adam)?;
///     let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean();
///     adam.step(&mut model, &mut loss.backward())?;
/// }
/// assert_eq!(adam.rule().weight_decay, 0.05 / 100.0_f64.sqrt()); // the second period has 100 steps
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WarmRestarts {
    cosines: Sgdr,
    norm: f64,
}

impl WarmRestarts {
    /// These cosines with this $\lambda_{\text{norm}}$.
    ///
    /// # Errors
    /// What [`Sgdr::check`] says; [`Error::InvalidHyper`] unless `norm` is finite and not negative.
    pub fn try_new(cosines: Sgdr, norm: f64) -> Result<Self, Error> {
        normalised_decay(norm, 1, 1, 1.0)?;
        Ok(Self { cosines: cosines.check()?, norm })
    }

    /// $\lambda_i$ of the period that `step`, counted from 0, belongs to.
    pub fn weight_decay(&self, step: u64) -> f64 {
        let Sgdr { mut period, growth, .. } = self.cosines;
        let mut end = period;
        while growth > 1 && step >= end {
            period = period.saturating_mul(growth);
            end = end.saturating_add(period);
        }
        self.norm / (period as f64).sqrt()
    }

    /// Sets the rate and the decay of step `step`. With [`AdamWConfig::decay_base`] at the schedule's `base` a weight shrinks
    /// by $1 - \lambda_i\eta_t/\eta_0$, as in the paper.
    ///
    /// # Errors
    /// [`Error::Step`] when the optimiser refuses them.
    pub fn set<M, E, D>(&self, step: u64, optimizer: &mut AdamW<M, E, D>) -> Result<(), Error>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
        AdamW<M, E, D>: Step<M, E, D>,
    {
        let decay = self.weight_decay(step);
        optimizer.change_rule(|rule: &mut AdamWConfig| rule.weight_decay = decay)?;
        Ok(optimizer.set_learning_rate(self.cosines.learning_rate(step))?)
    }
}
