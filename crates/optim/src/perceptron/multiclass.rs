//! `K` perceptrons that compete: the class with the largest score wins.

use nalgebra::{RealField, SVector, convert};
use rand::{Rng, seq::SliceRandom};

use super::{Perceptron, check_features};
use crate::Error;

/// `K` planes; an input belongs to the class whose score $w_k\cdot x + b_k$ is largest.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearClassifier<const D: usize, const K: usize, E = f64> {
    classes: Vec<Perceptron<D, E>>, // K of them; on the heap, since K * D may be large
}

impl<const D: usize, const K: usize, E: RealField + Copy> LinearClassifier<D, K, E> {
    fn zeros() -> Self {
        const { assert!(K >= 2, "a classifier needs at least two classes") };
        Self { classes: vec![Perceptron::zeros(); K] }
    }

    /// The plane of each class, `K` of them.
    pub fn classes(&self) -> &[Perceptron<D, E>] {
        &self.classes
    }

    /// The class with the largest score, in `0..K`; the first of them when scores tie.
    pub fn predict(&self, x: &SVector<E, D>) -> usize {
        let mut best = (0, self.classes[0].score(x));
        for (k, class) in self.classes.iter().enumerate().skip(1) {
            let score = class.score(x);
            if score > best.1 {
                best = (k, score);
            }
        }
        best.0
    }

    /// The share of examples whose label is predicted, in \[0, 1\].
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelOutOfRange`], [`Error::FeatureNotFinite`].
    pub fn accuracy(&self, x: &[SVector<E, D>], labels: &[usize]) -> Result<f64, Error> {
        check_classes::<D, K, E>("LinearClassifier::accuracy", x, labels)?;
        let right = x.iter().zip(labels).filter(|(x, label)| self.predict(x) == **label).count();
        Ok(right as f64 / x.len() as f64)
    }
}

/// The multiclass perceptron: on a mistake the right class gains the input and the predicted one loses it,
/// $w_y \leftarrow w_y + x$, $w_{\hat y} \leftarrow w_{\hat y} - x$, and the biases likewise.
///
/// It keeps the last planes and what is needed for their mean over all examples seen (the lazy form of
/// [`AveragedPerceptron`](super::AveragedPerceptron)).
#[derive(Clone, Debug, PartialEq)]
pub struct MulticlassPerceptron<const D: usize, const K: usize, E = f64> {
    last: LinearClassifier<D, K, E>,
    lag: LinearClassifier<D, K, E>,
    seen: usize,
}

impl<const D: usize, const K: usize, E: RealField + Copy> Default for MulticlassPerceptron<D, K, E> {
    /// All weights and biases zero.
    fn default() -> Self {
        Self { last: LinearClassifier::zeros(), lag: LinearClassifier::zeros(), seen: 0 }
    }
}

impl<const D: usize, const K: usize, E: RealField + Copy> MulticlassPerceptron<D, K, E> {
    // ANCHOR: multiclass
    /// One pass over the data in an order drawn from `rng`; returns the number of mistakes.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::LengthMismatch`], [`Error::LabelOutOfRange`] and
    /// [`Error::FeatureNotFinite`].
    pub fn epoch<R: Rng + ?Sized>(
        &mut self,
        x: &[SVector<E, D>],
        labels: &[usize],
        rng: &mut R,
    ) -> Result<usize, Error> {
        check_classes::<D, K, E>("MulticlassPerceptron::epoch", x, labels)?;
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.shuffle(rng);
        let mut mistakes = 0;
        for i in order {
            let (x, label) = (&x[i], labels[i]);
            let predicted = self.last.predict(x);
            if predicted != label {
                self.update(label, x, E::one());
                self.update(predicted, x, -E::one());
                mistakes += 1;
            }
            self.seen += 1;
        }
        Ok(mistakes)
    }
    // ANCHOR_END: multiclass

    fn update(&mut self, class: usize, x: &SVector<E, D>, sign: E) {
        let before: E = convert(self.seen as f64);
        for (model, factor) in [(&mut self.last, sign), (&mut self.lag, before * sign)] {
            model.classes[class].weights.axpy(factor, x, E::one());
            model.classes[class].bias += factor;
        }
    }

    /// The planes after the last example.
    pub fn last(&self) -> &LinearClassifier<D, K, E> {
        &self.last
    }

    /// The mean of the planes over all examples seen; zero before the first.
    pub fn mean(&self) -> LinearClassifier<D, K, E> {
        let seen: E = convert(self.seen.max(1) as f64);
        let pairs = self.last.classes.iter().zip(&self.lag.classes);
        let mean = pairs.map(|(last, lag)| Perceptron {
            weights: last.weights - lag.weights / seen,
            bias: last.bias - lag.bias / seen,
        });
        LinearClassifier { classes: mean.collect() }
    }
}

fn check_classes<const D: usize, const K: usize, E: RealField + Copy>(
    what: &'static str,
    x: &[SVector<E, D>],
    labels: &[usize],
) -> Result<(), Error> {
    check_features(what, x, labels.len())?;
    match labels.iter().position(|&label| label >= K) {
        Some(index) => Err(Error::LabelOutOfRange { index, label: labels[index], classes: K }),
        None => Ok(()),
    }
}
