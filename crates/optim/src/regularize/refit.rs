//! After an early stop: train on the examples that said when to stop as well.
//!
//! | | from | how long | |
//! |---|---|---|---|
//! | [`Refit::after`] | fresh weights | as many passes, or as many updates, as the best weights had | ends for certain; which of the two is better is not known |
//! | [`continue_until`] | the best weights | until the loss on the held-out data is down to the training loss at the stop | no second training; may never get there |
//!
//! **Use it** when labels are so few that a fifth of them is missed. **Not** to compare models: nothing is held out any more.
//! **Source**: Goodfellow, Bengio & Courville (2016), algorithms 7.2 and 7.3; [`early_stop`](super::early_stop) is 7.1.
use crate::Error;

/// How long to train fresh weights on all data (algorithm 7.2), counted in updates.
///
/// ```
/// use optim::regularize::refit::Refit;
/// // Stopped after 12 epochs over 800 of 1000 examples in batches of 50.
/// let refit = Refit::after(12, 800, 1000, 50)?;
/// assert_eq!((refit.same_updates, refit.same_passes), (192, 240));
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refit {
    /// As many updates as the best weights had: fewer passes, since a pass is longer now.
    pub same_updates: u64,
    /// As many passes over the data: more updates.
    pub same_passes: u64,
}

impl Refit {
    /// After `best_epoch` epochs over `train` of `all` examples; the last batch of a pass may be smaller.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a number that is 0, or fewer examples in `all` than in `train`.
    pub fn after(best_epoch: usize, train: usize, all: usize, batch: usize) -> Result<Self, Error> {
        let named = [("best_epoch", best_epoch), ("train", train), ("batch", batch)];
        if let Some((name, _)) = named.into_iter().find(|(_, value)| *value == 0) {
            return Err(Error::InvalidHyper { name, rule: "at least 1", value: 0.0 });
        }
        if all < train {
            let rule = "at least the examples that trained";
            return Err(Error::InvalidHyper { name: "all", rule, value: all as f64 });
        }
        let updates = |examples: usize| best_epoch as u64 * examples.div_ceil(batch) as u64;
        Ok(Self { same_updates: updates(train), same_passes: updates(all) })
    }
}

/// What [`continue_until`] came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continued {
    /// Epochs made.
    pub epochs: usize,
    /// The last loss on the held-out data.
    pub loss: f64,
    /// Whether it is at most the target.
    pub has_reached: bool,
}

// ANCHOR: continue
/// Algorithm 7.3: goes on from the best weights with all data until the loss on the data held out before, which
/// `epoch()` returns after each pass, is at most `target`, the training loss at the stop.
///
/// # Errors
/// [`Error::InvalidHyper`] for a target that is not finite or no epoch at all; [`Error::NonFinite`] when the loss is NaN;
/// and what `epoch` returns.
pub fn continue_until(
    target: f64,
    max_epochs: usize,
    mut epoch: impl FnMut() -> Result<f64, Error>,
) -> Result<Continued, Error> {
    if !target.is_finite() {
        return Err(Error::InvalidHyper { name: "target", rule: "finite", value: target });
    }
    if max_epochs == 0 {
        return Err(Error::InvalidHyper { name: "max_epochs", rule: "at least 1", value: 0.0 });
    }
    let mut epochs = 0;
    loop {
        let loss = epoch()?;
        epochs += 1;
        if loss.is_nan() {
            return Err(Error::NonFinite {
                path: "loss on the held-out data",
                step: epochs as u64,
                value: loss,
            });
        }
        if loss <= target || epochs == max_epochs {
            return Ok(Continued { epochs, loss, has_reached: loss <= target });
        }
    }
}
// ANCHOR_END: continue
