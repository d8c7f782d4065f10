//! Means of iterates (Polyak & Juditsky 1992, Ruppert 1988).
//!
//! A constant step size keeps the last iterate in a noisy ball; the mean of the iterates moves to its centre. For
//! strongly convex sums the mean attains the best possible error $\operatorname{tr}(H^{-1}\Sigma)/2t$ without knowledge of
//! $\mu$.
//!
//! **Golden**: the mean of a run in numpy. **Closed form**: running mean = mean of all.
use crate::Error;

/// Which iterates are averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Averaging {
    /// All from step `start` on; a late start forgets a bad beginning, which otherwise costs O(1/t).
    Polyak {
        /// First step that counts, from 1.
        start: u64,
    },
    /// $\bar w \leftarrow \beta\bar w + (1 - \beta)w$, corrected for its start at zero.
    Exponential {
        /// $\beta \in [0, 1)$.
        beta: f64,
    },
}

/// A mean that is brought up to date after each step.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningAverage {
    averaging: Averaging,
    mean: Vec<f64>,
    seen: u64,
    weight: f64,
}

impl RunningAverage {
    /// Of vectors of this length.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a β outside of \[0, 1).
    pub fn new(averaging: Averaging, dim: usize) -> Result<Self, Error> {
        if let Averaging::Exponential { beta } = averaging
            && !(0.0..1.0).contains(&beta)
        {
            return Err(Error::InvalidHyper { name: "beta", rule: "in [0, 1)", value: beta });
        }
        Ok(Self { averaging, mean: vec![0.0; dim], seen: 0, weight: 0.0 })
    }

    // ANCHOR: average
    /// Takes in the iterate of this step, from 1.
    pub fn see(&mut self, step: u64, w: &[f64]) {
        let share = match self.averaging {
            Averaging::Polyak { start } if step < start => return,
            Averaging::Polyak { .. } => 1.0 / (self.seen + 1) as f64,
            Averaging::Exponential { beta } => {
                self.weight = beta * self.weight + (1.0 - beta);
                (1.0 - beta) / self.weight
            }
        };
        self.seen += 1;
        self.mean.iter_mut().zip(w).for_each(|(mean, w)| *mean += share * (w - *mean));
    }
    // ANCHOR_END: average

    /// The mean so far; zeros before the first iterate that counts.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }
}
