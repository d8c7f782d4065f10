//! Rosenblatt's perceptron, its average, its multiclass form, and the bound on its mistakes.
//!
//! $$ \hat y = \begin{cases} +1 & w\cdot x + b > 0 \\ -1 & \text{else} \end{cases} \qquad
//!    y\,(w\cdot x + b) \le 0 \;\Rightarrow\; w \leftarrow w + y\,x,\quad b \leftarrow b + y $$
//!
//! | symbol | code | shape | unit, range |
//! |---|---|---|---|
//! | $x$ | `x` | `D` each | any finite real |
//! | $y$ | `labels` | one per example | −1 or +1 |
//! | $w$ | [`Perceptron::weights`] | `D` | starts at 0 |
//! | $b$ | [`Perceptron::bias`] | 1 | starts at 0 |
//! | $R$ | [`Margin::radius`] | 1 | $\max_i \lVert(x_i, 1)\rVert$ |
//! | $\gamma$ | [`Margin::lower`] | 1 | smallest distance of a $(x_i, 1)$ from the plane |
//!
//! [`Perceptron::fit`] demands a separating plane; [`Perceptron::train`] stops after a number of passes with or
//! without one; [`AveragedPerceptron`] returns the mean of all planes on the way, which generalises better when
//! the classes overlap; [`MulticlassPerceptron`] lets `K` perceptrons compete. [`hard_margin`] measures how far
//! apart two classes are, [`novikoff_bound`] turns that into a bound on the mistakes.
//!
//! **Use it** as the first baseline on any data, and where updates must be cheap and online. **Not** when
//! probabilities are needed, nor (without averaging) when the classes overlap: the last plane then depends on
//! the last example.
//!
//! **Papers**: Rosenblatt (1958), The perceptron, Psychological Review 65(6); Novikoff (1962), On convergence
//! proofs on perceptrons; Freund & Schapire (1999), Large margin classification using the perceptron
//! algorithm, Machine Learning 37; Hsieh et al. (2008), A dual coordinate descent method for large-scale linear
//! SVM, ICML.
//!
//! **Deviations**: Freund and Schapire vote with all planes; we average them (their section 5 reports the same
//! accuracy), because one plane is what can be drawn and kept.
//!
//! ```
//! use nalgebra::vector;
//! use optim::perceptron::{MaxEpochs, Perceptron};
//!
//! let x = [vector![2.0, 1.0], vector![1.0, 3.0], vector![-1.0, -0.5], vector![-2.0, 1.0]];
//! let fit = Perceptron::fit(&x, &[1, 1, -1, -1], MaxEpochs(10))?;
//! assert_eq!(fit.mistakes, [0]); // one update, then a pass without a mistake
//! assert_eq!(fit.perceptron.predict(&vector![3.0, 0.0]), 1);
//! # Ok::<(), optim::Error>(())
//! ```
mod averaged;
mod margin;
mod multiclass;

pub use averaged::AveragedPerceptron;
pub use margin::{Margin, MarginConfig, hard_margin, novikoff_bound};
pub use multiclass::{LinearClassifier, MulticlassPerceptron};

use nalgebra::{RealField, SVector};

use crate::Error;

/// Largest number of passes over the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxEpochs(pub usize);

/// One threshold neuron: weights `D`, bias, and the side of the plane $w\cdot x + b = 0$ on which an input lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Perceptron<const D: usize, E = f64> {
    /// $w$, one weight per input.
    pub weights: SVector<E, D>,
    /// $b$, minus the threshold.
    pub bias: E,
}

/// What training left behind: the perceptron and the complete record of its mistakes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fit<const D: usize, E = f64> {
    /// The perceptron after the last pass.
    pub perceptron: Perceptron<D, E>,
    /// The examples that caused an update, in order; the weights are the sum of their $y\,x$.
    pub mistakes: Vec<usize>,
    /// Passes made, the last one without a mistake included.
    pub epochs: usize,
    /// Mistakes of each pass, `epochs` numbers.
    pub mistakes_per_epoch: Vec<usize>,
    /// Whether the last pass made no mistake, so that the plane separates the data.
    pub converged: bool,
}

impl<const D: usize, E: RealField + Copy> Perceptron<D, E> {
    /// The perceptron with these weights and this bias.
    pub fn new(weights: [E; D], bias: E) -> Self {
        Self { weights: SVector::from(weights), bias }
    }

    /// All weights and the bias zero: where Rosenblatt's rule starts.
    pub fn zeros() -> Self {
        Self { weights: SVector::zeros(), bias: E::zero() }
    }

    // ANCHOR: output
    /// $w\cdot x + b$: positive on one side of the plane, negative on the other.
    pub fn score(&self, x: &SVector<E, D>) -> E {
        self.weights.dot(x) + self.bias
    }

    /// Whether the neuron fires: 1 if $w\cdot x + b > 0$, else 0.
    pub fn fires(&self, x: &SVector<E, D>) -> bool {
        self.score(x) > E::zero()
    }
    // ANCHOR_END: output

    /// The label of the side on which `x` lies: +1 if the neuron fires, else −1.
    pub fn predict(&self, x: &SVector<E, D>) -> i8 {
        if self.fires(x) { 1 } else { -1 }
    }

    /// The share of examples whose label is predicted, in \[0, 1\].
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelNotSign`], [`Error::FeatureNotFinite`].
    pub fn accuracy(&self, x: &[SVector<E, D>], labels: &[i8]) -> Result<f64, Error> {
        check_binary("Perceptron::accuracy", x, labels)?;
        let right = x.iter().zip(labels).filter(|(x, label)| self.predict(x) == **label).count();
        Ok(right as f64 / x.len() as f64)
    }

    // ANCHOR: rule
    /// Rosenblatt's rule for one example with label $y = \pm1$; returns whether it was a mistake.
    fn learn(&mut self, x: &SVector<E, D>, y: E) -> bool {
        // On the plane is a mistake, or w = 0 would never change.
        let is_right = y * self.score(x) > E::zero();
        if !is_right {
            self.weights.axpy(y, x, E::one());
            self.bias += y;
        }
        !is_right
    }
    // ANCHOR_END: rule

    // ANCHOR: train
    /// Passes over the data in the given order until a pass makes no mistake, at most `max_epochs` times.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelNotSign`], [`Error::FeatureNotFinite`];
    /// [`Error::InvalidHyper`] for no passes; [`Error::NonFinite`] when the weights overflow.
    pub fn train(x: &[SVector<E, D>], labels: &[i8], max_epochs: MaxEpochs) -> Result<Fit<D, E>, Error> {
        check_binary("Perceptron::train", x, labels)?;
        check_epochs(max_epochs.0)?;
        let mut fit = Fit::new();
        while fit.epochs < max_epochs.0 && !fit.converged {
            let before = fit.mistakes.len();
            for (i, (x, &label)) in x.iter().zip(labels).enumerate() {
                if fit.perceptron.learn(x, sign(label)) {
                    fit.mistakes.push(i);
                }
            }
            fit.epochs += 1;
            fit.mistakes_per_epoch.push(fit.mistakes.len() - before);
            fit.converged = fit.mistakes.len() == before;
        }
        fit.perceptron.check_finite(fit.mistakes.len())?;
        Ok(fit)
    }
    // ANCHOR_END: train

    /// [`train`](Self::train), with an error unless the plane found separates the data.
    ///
    /// # Errors
    /// Those of [`train`](Self::train), and [`Error::NotSeparable`] when each of `max_epochs` passes made a mistake.
    pub fn fit(x: &[SVector<E, D>], labels: &[i8], max_epochs: MaxEpochs) -> Result<Fit<D, E>, Error> {
        let fit = Self::train(x, labels, max_epochs)?;
        if fit.converged {
            return Ok(fit);
        }
        let wrong = x.iter().zip(labels).filter(|(x, label)| fit.perceptron.predict(x) != **label).count();
        Err(Error::NotSeparable { passes: fit.epochs, wrong })
    }

    /// Finite inputs can still add up to an infinite weight.
    fn check_finite(&self, updates: usize) -> Result<(), Error> {
        let broken = self.weights.iter().chain([&self.bias]).find(|value| !value.is_finite());
        broken.map_or(Ok(()), |value| {
            Err(Error::NonFinite { path: "perceptron", step: updates as u64, value: to_f64(*value) })
        })
    }
}

impl<const D: usize, E: RealField + Copy> Fit<D, E> {
    /// Before the first pass.
    fn new() -> Self {
        let perceptron = Perceptron::zeros();
        Self { perceptron, mistakes: Vec::new(), epochs: 0, mistakes_per_epoch: Vec::new(), converged: false }
    }

    /// The perceptron after each mistake, rebuilt from the record: entry `k` is the sum of the first `k + 1`
    /// mistakes.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::LabelNotSign`] when `x` and `labels` are not the data of the
    /// training.
    pub fn replay(&self, x: &[SVector<E, D>], labels: &[i8]) -> Result<Vec<Perceptron<D, E>>, Error> {
        check_binary("Fit::replay", x, labels)?;
        let mut perceptron = Perceptron::<D, E>::zeros();
        let after = self.mistakes.iter().map(|&i| {
            let (x, &label) = x
                .get(i)
                .zip(labels.get(i))
                .ok_or(Error::LengthMismatch { examples: x.len(), labels: labels.len() })?;
            perceptron.weights.axpy(sign(label), x, E::one());
            perceptron.bias += sign(label);
            Ok(perceptron.clone())
        });
        after.collect()
    }
}

/// ±1 as a number; `label` has been checked to be one of the two.
fn sign<E: RealField>(label: i8) -> E {
    if label > 0 { E::one() } else { -E::one() }
}

/// The value for an error message; exact for f32 and f64.
fn to_f64<E: RealField>(value: E) -> f64 {
    value.to_subset().unwrap_or(f64::NAN)
}

fn check_epochs(max_epochs: usize) -> Result<(), Error> {
    if max_epochs == 0 {
        return Err(Error::InvalidHyper {
            name: "max_epochs",
            rule: "at least 1; 100 is a usual choice",
            value: 0.0,
        });
    }
    Ok(())
}

fn check_features<const D: usize, E: RealField + Copy>(
    what: &'static str,
    x: &[SVector<E, D>],
    labels: usize,
) -> Result<(), Error> {
    if x.len() != labels {
        return Err(Error::LengthMismatch { examples: x.len(), labels });
    }
    if x.is_empty() {
        return Err(Error::Empty { what });
    }
    for (example, x) in x.iter().enumerate() {
        if let Some(feature) = x.iter().position(|value| !value.is_finite()) {
            return Err(Error::FeatureNotFinite { example, feature, value: to_f64(x[feature]) });
        }
    }
    Ok(())
}

fn check_binary<const D: usize, E: RealField + Copy>(
    what: &'static str,
    x: &[SVector<E, D>],
    labels: &[i8],
) -> Result<(), Error> {
    check_features(what, x, labels.len())?;
    match labels.iter().position(|label| !matches!(label, -1 | 1)) {
        Some(index) => Err(Error::LabelNotSign { index, label: labels[index] }),
        None => Ok(()),
    }
}
