//! Search for hyperparameters: a grid, random points, and successive halving.
//!
//! | method | trials | each trained for | draws |
//! |---|---|---|---|
//! | [`grid`] | the product of the axes | the whole budget | nothing |
//! | [`random`] | as many as you say | the whole budget | every coordinate of every point |
//! | [`successive_halving`] | many, then the best share of them, … | little, then more, … | nothing |
//!
//! **Why not a grid?** With $k$ axes of $n$ values it costs $n^k$ trials and tries only $n$ values of each. If one axis
//! matters, $n^k$ random points try $n^k$ values of it (Bergstra & Bengio 2012, Random search for hyper-parameter
//! optimization). Draw rates and decays on a logarithmic axis: [`Axis::LogUniform`].
//!
//! **Halving** trains all candidates briefly and gives the best $1/\eta$ of them $\eta$ times as much, again and again
//! (Jamieson & Talwalkar 2016, arXiv 1502.07943). **Not** where good settings start slowly: a small learning rate with a
//! long schedule is thrown out in the first round.
//!
//! A loss that is not a number counts as the worst: a setting that breaks loses to any that does not.
//!
//! ```
//! use optim::search::{Axis, random, successive_halving};
//! use rand::{SeedableRng, rngs::StdRng};
//!
//! let axes = [Axis::LogUniform { low: 1e-4, high: 10.0 }];
//! let candidates = random(&axes, 27, &mut StdRng::seed_from_u64(0))?;
//! // Gradient descent on x²/2 from 1: the best rate is 1.
//! let train = |point: &[f64], steps: usize| (1.0 - point[0]).powi(steps as i32).abs();
//! let rounds = successive_halving(candidates, 1, 3, train)?;
//! assert_eq!(rounds.iter().map(|round| round.trials.len()).collect::<Vec<_>>(), [27, 9, 3, 1]);
//! let best = rounds[3].best();
//! assert!((best.point[0] - 1.0).abs() < 0.6);
//! # Ok::<(), optim::Error>(())
//! ```
use rand::Rng;

use crate::Error;

/// Where one hyperparameter may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Each value as likely as any other.
    Uniform {
        /// Lowest value.
        low: f64,
        /// Highest value, above `low`.
        high: f64,
    },
    /// Each order of magnitude as likely as any other.
    LogUniform {
        /// Lowest value, above 0.
        low: f64,
        /// Highest value, above `low`.
        high: f64,
    },
}

impl Axis {
    fn check(self) -> Result<Self, Error> {
        let (Self::Uniform { low, high } | Self::LogUniform { low, high }) = self;
        if !(low.is_finite() && high.is_finite() && low < high) {
            return Err(Error::InvalidHyper { name: "high", rule: "finite and above low", value: high });
        }
        if matches!(self, Self::LogUniform { .. }) && low <= 0.0 {
            let rule = "above 0 on a logarithmic axis";
            return Err(Error::InvalidHyper { name: "low", rule, value: low });
        }
        Ok(self)
    }

    /// The value at `share` of the way, 0 is the low end and 1 the high one.
    pub fn at(self, share: f64) -> f64 {
        match self {
            Self::Uniform { low, high } => low + share * (high - low),
            Self::LogUniform { low, high } => low * (high / low).powf(share),
        }
    }
}

fn checked(axes: &[Axis]) -> Result<(), Error> {
    axes.iter().try_for_each(|axis| axis.check().map(drop))
}

/// All combinations of `values[k]` values on axis `k`, ends included; the middle of the axis for one value. The last axis
/// changes fastest.
///
/// # Errors
/// [`Error::InvalidHyper`] for an axis whose ends are not ordered, a logarithmic one that reaches 0, or no values on one;
/// [`Error::LengthMismatch`] unless there is one number for each axis.
pub fn grid(axes: &[Axis], values: &[usize]) -> Result<Vec<Vec<f64>>, Error> {
    checked(axes)?;
    if axes.len() != values.len() {
        return Err(Error::LengthMismatch { examples: axes.len(), labels: values.len() });
    }
    if values.contains(&0) {
        return Err(Error::InvalidHyper { name: "values", rule: "at least 1 on each axis", value: 0.0 });
    }
    let mut points = vec![Vec::new()];
    for (axis, &n) in axes.iter().zip(values) {
        let share = |i: usize| if n == 1 { 0.5 } else { i as f64 / (n - 1) as f64 };
        points = points
            .iter()
            .flat_map(|point| (0..n).map(|i| [point.as_slice(), &[axis.at(share(i))]].concat()))
            .collect();
    }
    Ok(points)
}

// ANCHOR: random
/// `trials` points, every coordinate drawn by itself.
///
/// # Errors
/// [`Error::InvalidHyper`] for an axis whose ends are not ordered or a logarithmic one that reaches 0.
pub fn random<R: Rng + ?Sized>(axes: &[Axis], trials: usize, rng: &mut R) -> Result<Vec<Vec<f64>>, Error> {
    checked(axes)?;
    Ok((0..trials).map(|_| axes.iter().map(|axis| axis.at(rng.r#gen())).collect()).collect())
}
// ANCHOR_END: random

/// One setting and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// One value for each axis.
    pub point: Vec<f64>,
    /// What was minimised.
    pub loss: f64,
}

/// Settings that were trained equally long.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// What each trial was given: epochs, steps, images.
    pub budget: usize,
    /// From the lowest loss to the highest; those that are not a number last.
    pub trials: Vec<Trial>,
}

impl Round {
    /// The trial of lowest loss.
    pub fn best(&self) -> &Trial {
        &self.trials[0] // a round has at least one trial
    }
}

/// Trains every point with the same budget.
///
/// # Errors
/// [`Error::Empty`] without a point.
pub fn evaluate(
    points: Vec<Vec<f64>>,
    budget: usize,
    mut train: impl FnMut(&[f64], usize) -> f64,
) -> Result<Round, Error> {
    if points.is_empty() {
        return Err(Error::Empty { what: "a search for hyperparameters" });
    }
    let trial = |point: Vec<f64>| Trial { loss: train(&point, budget), point };
    let mut trials: Vec<Trial> = points.into_iter().map(trial).collect();
    let key = |trial: &Trial| if trial.loss.is_nan() { f64::INFINITY } else { trial.loss };
    trials.sort_by(|a, b| key(a).total_cmp(&key(b)));
    Ok(Round { budget, trials })
}

// ANCHOR: halving
/// Trains all points with `budget`, keeps the best $1/\eta$ of them, at least one, for $\eta$ times the budget, until one
/// is left and has been trained; from scratch in each round.
///
/// # Errors
/// [`Error::Empty`] without a point, [`Error::InvalidHyper`] for no budget or $\eta$ below 2.
pub fn successive_halving(
    points: Vec<Vec<f64>>,
    budget: usize,
    eta: usize,
    mut train: impl FnMut(&[f64], usize) -> f64,
) -> Result<Vec<Round>, Error> {
    if eta < 2 {
        return Err(Error::InvalidHyper { name: "eta", rule: "at least 2", value: eta as f64 });
    }
    if budget == 0 {
        return Err(Error::InvalidHyper { name: "budget", rule: "at least 1", value: 0.0 });
    }
    let mut rounds = vec![evaluate(points, budget, &mut train)?];
    loop {
        let last = &rounds[rounds.len() - 1];
        if last.trials.len() == 1 {
            return Ok(rounds);
        }
        let kept = &last.trials[..(last.trials.len() / eta).max(1)];
        let points = kept.iter().map(|trial| trial.point.clone()).collect();
        rounds.push(evaluate(points, last.budget.saturating_mul(eta), &mut train)?);
    }
}
// ANCHOR_END: halving
