//! Early stopping: keep the weights that were best on data that do not train.
//!
//! Algorithm 7.1 of Goodfellow, Bengio & Courville (2016): evaluate after every epoch, remember the best weights, stop
//! after `patience` evaluations without an improvement of more than `min_delta`. Algorithm 7.2 then trains a fresh
//! model on all data for [`EarlyStopping::best_epoch`] epochs.
use crate::Error;

/// What to do after an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The best so far: save the weights.
    Best,
    /// Not better; go on.
    Continue,
    /// Not better for too long: restore the saved weights.
    Stop,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Losses, error rates.
    Lower,
    /// Accuracies.
    Higher,
}

/// Watches one number per epoch.
///
/// ```
/// use optim::regularize::early_stop::{Better, EarlyStopping, Verdict};
/// let mut stopping = EarlyStopping::try_new(Better::Lower, 2, 0.0)?;
/// let verdicts = [0.9, 0.5, 0.6, 0.55].map(|loss| stopping.observe(loss));
/// assert_eq!(verdicts, [Verdict::Best, Verdict::Best, Verdict::Continue, Verdict::Stop]);
/// assert_eq!(stopping.best_epoch(), Some(2));
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    better: Better,
    patience: usize,
    min_delta: f64,
    best: Option<(usize, f64)>,
    epochs: usize,
}

impl EarlyStopping {
    /// Stops after `patience` evaluations in a row that do not improve on the best by more than `min_delta`.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a patience of 0 or a `min_delta` that is negative or not finite.
    pub fn try_new(better: Better, patience: usize, min_delta: f64) -> Result<Self, Error> {
        if patience == 0 {
            return Err(Error::InvalidHyper { name: "patience", rule: "at least 1 evaluation", value: 0.0 });
        }
        if !(min_delta.is_finite() && min_delta >= 0.0) {
            return Err(Error::InvalidHyper {
                name: "min_delta",
                rule: "finite, not negative",
                value: min_delta,
            });
        }
        Ok(Self { better, patience, min_delta, best: None, epochs: 0 })
    }

    // ANCHOR: observe
    /// Takes the number of the next epoch. NaN never counts as an improvement.
    pub fn observe(&mut self, value: f64) -> Verdict {
        self.epochs += 1;
        let gain = |best: f64| match self.better {
            Better::Lower => best - value,
            Better::Higher => value - best,
        };
        let improves = match self.best {
            None => !value.is_nan(),
            Some((_, best)) => gain(best) > self.min_delta,
        };
        if improves {
            self.best = Some((self.epochs, value));
            return Verdict::Best;
        }
        let since = self.epochs - self.best.map_or(0, |(epoch, _)| epoch);
        if since >= self.patience { Verdict::Stop } else { Verdict::Continue }
    }
    // ANCHOR_END: observe

    /// The epoch of the best number, counted from 1.
    pub fn best_epoch(&self) -> Option<usize> {
        self.best.map(|(epoch, _)| epoch)
    }

    /// The best number.
    pub fn best(&self) -> Option<f64> {
        self.best.map(|(_, value)| value)
    }
}
