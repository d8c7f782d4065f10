//! The mean of all perceptrons seen during training.

use nalgebra::{RealField, SVector, convert};

use super::{MaxEpochs, Perceptron, check_binary, check_epochs, sign};
use crate::Error;

/// A perceptron that is averaged over **all** examples seen, not only over its updates.
///
/// With $T$ examples seen and an update $y\,x$ at example $t$ (from 1), that update is part of the $T - t + 1$
/// planes that follow, so
///
/// $$ \bar w = \frac1T \sum_{t=1}^{T} w_t = w_T - \frac1T \sum_{\text{mistakes}} (t - 1)\,y\,x . $$
///
/// Only mistakes cost `O(D)` (the lazy form); a running sum of the planes would cost it at every example.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragedPerceptron<const D: usize, E = f64> {
    last: Perceptron<D, E>,
    lag: Perceptron<D, E>, // sum of (t - 1) y x over the mistakes
    seen: usize,           // T
}

impl<const D: usize, E: RealField + Copy> AveragedPerceptron<D, E> {
    // ANCHOR: averaged
    /// Makes `epochs` passes over the data in the given order; it does not stop early, since a
    /// plane that survives long deserves its weight in the mean.
    ///
    /// # Errors
    /// Those of [`Perceptron::train`].
    pub fn train(x: &[SVector<E, D>], labels: &[i8], epochs: MaxEpochs) -> Result<Self, Error> {
        check_binary("AveragedPerceptron::train", x, labels)?;
        check_epochs(epochs.0)?;
        let mut model = Self { last: Perceptron::zeros(), lag: Perceptron::zeros(), seen: 0 };
        for _ in 0..epochs.0 {
            for (x, &label) in x.iter().zip(labels) {
                let y: E = sign(label);
                if model.last.learn(x, y) {
                    let before: E = convert(model.seen as f64); // t - 1
                    model.lag.weights.axpy(before * y, x, E::one());
                    model.lag.bias += before * y;
                }
                model.seen += 1;
            }
        }
        model.lag.check_finite(model.seen)?;
        Ok(model)
    }
    // ANCHOR_END: averaged

    /// The plane after the last example.
    pub fn last(&self) -> &Perceptron<D, E> {
        &self.last
    }

    /// The mean plane $\bar w$, $\bar b$.
    pub fn mean(&self) -> Perceptron<D, E> {
        let seen: E = convert(self.seen as f64);
        Perceptron {
            weights: self.last.weights - self.lag.weights / seen,
            bias: self.last.bias - self.lag.bias / seen,
        }
    }
}
