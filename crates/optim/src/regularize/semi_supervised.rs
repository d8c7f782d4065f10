//! Learning from examples without labels: answers that agree with themselves, and answers that are sure.
//!
//! $$ L = \frac1{\lvert B_l\rvert} \sum_{i \in B_l} -\ln p_{y_i}(x_i) + w(t)\,\Omega(B), \qquad
//!    w(t) = w_{\max}\,e^{-5 (1 - \min(t/T, 1))^2} $$
//!
//! | regulariser | $\Omega(B)$ | |
//! |---|---|---|
//! | Π-model | [`consistency`]`(z, z')`$ = \frac1{C B} \sum_i \lVert p(z_i) - p(z'_i) \rVert^2$ | two evaluations with other noise (dropout, shifts), gradients through both |
//! | temporal ensembling | the same with [`TemporalEnsemble::targets`] for the second | one evaluation; targets from the epochs before |
//! | entropy minimisation | [`entropy`]`(z)`$ = -\frac1B \sum_i \sum_k p_{ik} \ln p_{ik}$ | the boundary moves to where there are few examples |
//!
//! Logits are `(B, C)`, $p$ is their softmax, $w(t)$ is [`ramp_up`] times a factor; $B_l$ are the rows with labels
//! (`kernels::Classes::ignored` leaves out the others). A mean teacher is the first of these with
//! `layers::optimizer::Average::Exponential` for the second evaluation.
//!
//! **Use it** when labels are few and inputs many. **Not** before the labelled part teaches something: both regularisers
//! confirm what the network believes, and without the slow rise of $w$ it learns to give the same answer to everything.
//!
//! **Papers**: Laine & Aila (2017), Temporal ensembling for semi-supervised learning, arXiv 1610.02242 (Π-model, ramp over
//! $T$ = 80 epochs); Grandvalet & Bengio (2004), Semi-supervised learning by entropy minimization; Tarvainen & Valpola
//! (2017), arXiv 1703.01780 (mean teacher); Goodfellow et al. (2016), section 7.6.
use dfdx::prelude::{HasShape, Merge, Rank0, Tape, Tensor, TryMul, TrySub, WithEmptyTape};
use kernels::{Device, Real};
use layers::params::DeviceError;
use nalgebra::DMatrix;

use crate::Error;
use crate::chain::Batch;

/// Refuses logits without rows or classes.
fn rows_of<E: Real, D: Device<E>, T>(z: &Batch<E, D, T>, what: &'static str) -> Result<f64, Error> {
    let (rows, classes) = *z.shape();
    if rows * classes == 0 { Err(Error::Empty { what }) } else { Ok(rows as f64) }
}

// ANCHOR: consistency
/// Mean squared difference of two softmax distributions over rows and classes; the logits `z` and `other` may both be on
/// the tape.
///
/// ```
/// use layers::prelude::*;
/// use optim::regularize::semi_supervised::consistency;
/// let dev = Cpu::default();
/// let sure = dev.tensor_from_vec(vec![800.0_f64, 0.0], (1, 2));
/// let opposite = dev.tensor_from_vec(vec![0.0, 800.0], (1, 2));
/// assert_eq!(consistency(sure, opposite)?.array(), 1.0); // the most that two can disagree
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] for logits without entries; [`Error::Shape`] unless both have one shape; [`Error::Device`].
pub fn consistency<E, D, T, R>(
    z: Batch<E, D, T>,
    other: Batch<E, D, R>,
) -> Result<Tensor<Rank0, E, D, T>, Error>
where
    E: Real,
    D: Device<E>,
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    rows_of(&z, "consistency (logits)")?;
    if z.shape() != other.shape() {
        return Err(Error::Shape { what: "the second evaluation", got: *other.shape(), want: *z.shape() });
    }
    let mean = || -> Result<_, D::Err> {
        let difference = kernels::try_softmax(z)?.try_sub(kernels::try_softmax(other)?)?;
        kernels::try_mean_all(difference.try_square()?)
    };
    Ok(mean().map_err(DeviceError::new)?)
}
// ANCHOR_END: consistency

/// Mean entropy of the answers in nats, between 0 and the logarithm of the number of classes.
///
/// # Errors
/// [`Error::Empty`] for logits without entries; [`Error::Device`].
pub fn entropy<E: Real, D: Device<E>, T: Tape<E, D>>(
    z: Batch<E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    let rows = rows_of(&z, "entropy (logits)")?;
    let sum = || -> Result<_, D::Err> {
        let p = kernels::try_softmax(z.with_empty_tape())?;
        kernels::try_sum_all(kernels::try_log_softmax(z)?.try_mul(p)?)?.try_mul(E::of(-1.0 / rows))
    };
    Ok(sum().map_err(DeviceError::new)?)
}

/// $e^{-5 (1 - \min(t/T, 1))^2}$: from 0.0067 at step 0 to 1 at step `length` and after it.
///
/// # Errors
/// [`Error::InvalidHyper`] when `length` is 0.
pub fn ramp_up(step: u64, length: u64) -> Result<f64, Error> {
    if length == 0 {
        return Err(Error::InvalidHyper { name: "length", rule: "at least 1 step", value: 0.0 });
    }
    let left = 1.0 - (step as f64 / length as f64).min(1.0);
    Ok((-5.0 * left * left).exp())
}

/// The answers of all epochs so far, later ones counted more, as targets for the next:
/// $Z \leftarrow \alpha Z + (1 - \alpha) z$, $\tilde z = Z / (1 - \alpha^t)$ after $t$ epochs.
///
/// ```
/// use nalgebra::dmatrix;
/// use optim::regularize::semi_supervised::TemporalEnsemble;
/// let mut ensemble = TemporalEnsemble::try_new(2, 2, 0.6)?;
/// ensemble.update(&[0], &dmatrix![0.9, 0.1])?;
/// assert!((ensemble.targets(&[0])? - dmatrix![0.9, 0.1]).norm() < 1e-15); // the only answer so far
/// assert_eq!(ensemble.targets(&[1])?, dmatrix![0.0, 0.0]); // none yet: no pull, as in the paper
/// # Ok::<(), optim::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TemporalEnsemble {
    decay: f64,
    totals: DMatrix<f64>,
    epochs: Vec<i32>,
}

impl TemporalEnsemble {
    /// For `examples` answers of `classes` probabilities; `decay` is $\alpha$, 0.6 in the paper.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless `decay` lies in \[0, 1).
    pub fn try_new(examples: usize, classes: usize, decay: f64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::InvalidHyper { name: "decay", rule: "in [0, 1), 0.6 is usual", value: decay });
        }
        Ok(Self { decay, totals: DMatrix::zeros(examples, classes), epochs: vec![0; examples] })
    }

    fn check(&self, examples: &[usize]) -> Result<(), Error> {
        match examples.iter().position(|&example| example >= self.epochs.len()) {
            Some(index) => {
                let (label, classes) = (examples[index], self.epochs.len());
                Err(Error::LabelOutOfRange { index, label, classes })
            }
            None => Ok(()),
        }
    }

    /// Takes this epoch's answers, `(B, C)`, to the examples with these numbers.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`] for an example that does not exist; [`Error::Shape`] unless there is an answer of all
    /// classes for each.
    pub fn update(&mut self, examples: &[usize], answers: &DMatrix<f64>) -> Result<(), Error> {
        self.check(examples)?;
        let want = (examples.len(), self.totals.ncols());
        if answers.shape() != want {
            return Err(Error::Shape { what: "the answers", got: answers.shape(), want });
        }
        for (&example, answer) in examples.iter().zip(answers.row_iter()) {
            let mixed = self.totals.row(example) * self.decay + answer * (1.0 - self.decay);
            self.totals.set_row(example, &mixed);
            self.epochs[example] = self.epochs[example].saturating_add(1);
        }
        Ok(())
    }

    /// $\tilde z$ of these examples, `(B, C)`; 0 where there has been no answer.
    ///
    /// # Errors
    /// [`Error::LabelOutOfRange`] for an example that does not exist.
    pub fn targets(&self, examples: &[usize]) -> Result<DMatrix<f64>, Error> {
        self.check(examples)?;
        Ok(DMatrix::from_fn(examples.len(), self.totals.ncols(), |i, k| match self.epochs[examples[i]] {
            0 => 0.0,
            t => self.totals[(examples[i], k)] / (1.0 - self.decay.powi(t)),
        }))
    }
}
