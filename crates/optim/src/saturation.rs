//! One sigmoid neuron that is wrong and certain: why the quadratic cost is slow there and cross-entropy is not.
//!
//! The neuron has one input, $x = 1$, the target 0 and the output $a = \sigma(w + b)$:
//!
//! $$ \frac{\partial}{\partial w} \tfrac12 a^2 = a\,\sigma'(z), \qquad
//!    \frac{\partial}{\partial w} \bigl(-\ln(1 - a)\bigr) = a $$
//!
//! [`Cost`] is that of a whole network; these are its derivatives for one output.
//!
//! **Source**: Nielsen (2015), ch. 3, The cross-entropy cost function.
use crate::Error;
use crate::nielsen::{Cost, sigmoid};

/// The neuron.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neuron {
    /// $w$.
    pub weight: f64,
    /// $b$.
    pub bias: f64,
}

impl Neuron {
    /// $a = \sigma(w + b)$.
    pub fn output(&self) -> f64 {
        sigmoid(self.weight + self.bias)
    }

    // ANCHOR: epoch
    /// One step of gradient descent on the one example, $x = 1$ with target 0.
    pub fn epoch(&mut self, cost: Cost, learning_rate: f64) {
        let a = self.output();
        let slope = match cost {
            Cost::Quadratic => a * a * (1.0 - a), // the error a, times the slope of the sigmoid
            Cost::CrossEntropy => a,              // the slope has cancelled
        };
        self.weight -= learning_rate * slope;
        self.bias -= learning_rate * slope;
    }
    // ANCHOR_END: epoch

    /// The outputs before training and after each of `epochs` epochs.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless the learning rate is finite and above 0.
    pub fn train(&mut self, cost: Cost, learning_rate: f64, epochs: usize) -> Result<Vec<f64>, Error> {
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            let rule = "finite and above 0";
            return Err(Error::InvalidHyper { name: "learning_rate", rule, value: learning_rate });
        }
        let mut outputs = vec![self.output()];
        for _ in 0..epochs {
            self.epoch(cost, learning_rate);
            outputs.push(self.output());
        }
        Ok(outputs)
    }
}
