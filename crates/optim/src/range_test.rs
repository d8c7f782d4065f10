//! The learning-rate range test: which learning rates make a loss fall, and which make it explode?
//!
//! The rate grows by the same factor in every step while a model trains; the loss, averaged over the last steps, falls
//! while the rate is useful, then rises. The suggestion is the rate at the steepest fall on the way to the smallest average. Model and optimiser are put back
//! afterwards, bit for bit.
//!
//! **Source**: Smith (2017), Cyclical learning rates for training neural networks, arXiv 1506.01186, section 3.3. There the
//! rate grows linearly; the exponential sweep, the average and the rule to stop are later practice.
use crate::Error;
use dfdx::prelude::{Gradients, Storage};
use kernels::Real;
use layers::{Step, StepError};

/// Hyperparameters of [`range_test`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeTestConfig {
    /// Rate of the first step, above 0. Default 1e-6.
    pub first: f64,
    /// Rate of the last step, above the first. Default 10.
    pub last: f64,
    /// At least 2. Default 100.
    pub steps: u64,
    /// Share of the old average in the new, in [0, 1). Default 0.98.
    pub smoothing: f64,
    /// The test stops at this multiple of the smallest average. Default 4.
    pub stop_factor: f64,
}

impl Default for RangeTestConfig {
    fn default() -> Self {
        Self { first: 1e-6, last: 10.0, steps: 100, smoothing: 0.98, stop_factor: 4.0 }
    }
}

/// What a range test saw.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeTest {
    /// The rate of each step.
    pub rates: Vec<f64>,
    /// The loss before each step.
    pub losses: Vec<f64>,
    /// Its average, corrected for the start.
    pub averages: Vec<f64>,
    /// The rate at the steepest fall of the average before its smallest value.
    pub suggestion: f64,
    /// The rate at which the loss became [`stop_factor`](RangeTestConfig::stop_factor) times its smallest average, or not
    /// finite; `None` when it never did.
    pub divergence: Option<f64>,
}

/// Sweeps the learning rate of an optimiser; `loss(model, step)` gives the loss and the gradients of a batch.
///
/// # Errors
/// [`Error::InvalidHyper`] names the first hyperparameter out of range; [`Error::Step`] when the optimiser refuses a step
/// for another reason than gradients that are not finite, or has a private state. Model and optimiser are put back then
/// too.
///
/// ```
/// use layers::{SgdConfig, Sgd, Step, params, prelude::*};
/// use optim::range_test::{RangeTestConfig, range_test};
///
/// let mut w = Cpu::default().tensor([1.0_f64, -2.0]);
/// let mut optimizer = Sgd::try_new(&w, SgdConfig::default())?;
/// let before = (w.array(), optimizer.state()?);
/// let found = range_test(&mut w, &mut optimizer, |w, _| {
///     let loss = w.leaky_trace().square().sum(); // stable for rates below 1
///     Ok((loss.array(), loss.backward()))
/// }, RangeTestConfig::default())?;
/// assert!(found.suggestion < 1.0 && found.divergence.unwrap() > 1.0);
/// assert_eq!((w.array(), optimizer.state()?), before);
/// # Ok::<(), optim::Error>(())
/// ```
pub fn range_test<M: Clone, E: Real, D: Storage<E>, O: Step<M, E, D>>(
    model: &mut M,
    optimizer: &mut O,
    loss: impl FnMut(&M, u64) -> Result<(f64, Gradients<E, D>), StepError>,
    config: RangeTestConfig,
) -> Result<RangeTest, Error> {
    let RangeTestConfig { first, last, steps, smoothing, stop_factor } = config;
    let refuse = |name, rule, value| Err(Error::InvalidHyper { name, rule, value });
    if !(first > 0.0 && first.is_finite()) {
        return refuse("first", "finite and above 0", first);
    }
    if !(last > first && last.is_finite()) {
        return refuse("last", "finite and above the first rate", last);
    }
    if steps < 2 {
        return refuse("steps", "at least 2", steps as f64);
    }
    if !(0.0..1.0).contains(&smoothing) {
        return refuse("smoothing", "in [0, 1)", smoothing);
    }
    if stop_factor.is_nan() || stop_factor <= 1.0 {
        return refuse("stop_factor", "above 1", stop_factor);
    }
    let saved = (model.clone(), optimizer.state()?);
    let swept = sweep(model, optimizer, loss, config);
    *model = saved.0;
    optimizer.load_state(&saved.1)?;
    Ok(swept?)
}

fn sweep<M, E: Real, D: Storage<E>, O: Step<M, E, D>>(
    model: &mut M,
    optimizer: &mut O,
    mut loss: impl FnMut(&M, u64) -> Result<(f64, Gradients<E, D>), StepError>,
    config: RangeTestConfig,
) -> Result<RangeTest, StepError> {
    let RangeTestConfig { first, last, steps, smoothing, stop_factor } = config;
    let (mut rates, mut losses, mut averages) = (Vec::new(), Vec::new(), Vec::<f64>::new());
    let (mut average, mut smallest, mut divergence) = (0.0, f64::INFINITY, None);
    for step in 0..steps {
        let rate = first * (last / first).powf(step as f64 / (steps - 1) as f64);
        let (value, mut gradients) = loss(model, step)?;
        average = smoothing * average + (1.0 - smoothing) * value;
        let corrected = average / (1.0 - smoothing.powf((step + 1) as f64));
        if !(corrected <= stop_factor * smallest || averages.is_empty()) || !value.is_finite() {
            divergence = Some(rate);
            break;
        }
        smallest = smallest.min(corrected);
        rates.push(rate);
        losses.push(value);
        averages.push(corrected);
        optimizer.set_learning_rate(rate)?;
        match optimizer.step(model, &mut gradients) {
            Err(StepError::NotFinite { .. }) => {
                divergence = Some(rate);
                break;
            }
            other => _ = other?,
        }
    }
    // The average after a step with rates[i] is averages[i + 1]. Only falls on the way to the smallest average count: after
    // an explosion the average falls back, more steeply than it ever did while the rate was useful.
    let fall = |i: &usize| averages[i + 1] - averages[*i];
    let lowest = (0..averages.len()).min_by(|&a, &b| averages[a].total_cmp(&averages[b])).unwrap_or(0);
    let steepest = (0..lowest).min_by(|a, b| fall(a).total_cmp(&fall(b)));
    let suggestion = steepest.map_or(first, |i| rates[i]);
    Ok(RangeTest { rates, losses, averages, suggestion, divergence })
}
