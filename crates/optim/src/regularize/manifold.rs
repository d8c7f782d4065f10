//! Manifold mixup: train on points between the states of a hidden layer, another layer for each batch.
//!
//! $$ f(x) = g_l(h_l(x)), \qquad \tilde h = \mu h_l(x_i) + (1 - \mu) h_l(x_j), \qquad
//!    L = -\sum_k \tilde q_k \ln \mathrm{softmax}(g_l(\tilde h))_k $$
//!
//! | symbol | code | |
//! |---|---|---|
//! | $l$ | `level` | layers below the mixed states; 0 mixes the inputs, which is [`mixup`](super::mixup) |
//! | $\mu$ | `share`, from [`mixup::share`](super::mixup::share) | one for a batch |
//! | $j$ | `partner` | a permutation of the rows |
//! | $\tilde q$ | [`mix_targets`] | for `kernels::distribution_loss_mean` with `DistributionLoss::CrossEntropy` |
//!
//! **Use it** for deep networks, where the mean of two inputs is no example but the mean of two states is a thought between
//! two; [`cut_mix`](super::cut_mix) where a mean of two pictures is not natural. **Not** in a network without hidden layers:
//! there mixing before and after is the same.
//!
//! **Paper**: Verma et al. (2019), Manifold mixup: better representations by interpolating hidden states, arXiv 1806.05236
//! (levels 0 to 2 of a residual network, $\mu \sim \mathrm{Beta}(2, 2)$).
use dfdx::prelude::{GatherTo, HasShape, Tape, Tensor, TryAdd, TryMul, WithEmptyTape};
use kernels::{Device, Real};
use layers::params::DeviceError;

use crate::Error;
use crate::chain::{Batch, Chain};

/// $\tilde q$, `(B, classes)`: `share` for the label of row `i`, the rest for that of row `partner[i]`.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `share` lies in \[0, 1\]; [`Error::LengthMismatch`] unless there are as many labels as
/// partners; [`Error::LabelOutOfRange`] for a label or a partner that does not exist; [`Error::Device`].
pub fn mix_targets<E: Real, D: Device<E>>(
    device: &D,
    labels: &[usize],
    classes: usize,
    partner: &[usize],
    share: f64,
) -> Result<Tensor<(usize, usize), E, D>, Error> {
    let rows = partner.len();
    check(rows, partner, rows, share)?;
    check(rows, labels, classes, share)?;
    let mut targets = vec![E::of(0.0); rows * classes];
    for (i, &partner) in partner.iter().enumerate() {
        targets[i * classes + labels[i]] += E::of(share);
        targets[i * classes + labels[partner]] += E::of(1.0 - share);
    }
    Ok(device.try_tensor_from_vec(targets, (rows, classes)).map_err(DeviceError::new)?)
}

/// As many numbers as rows, all of them below `end`.
fn check(rows: usize, numbers: &[usize], end: usize, share: f64) -> Result<(), Error> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::InvalidHyper { name: "share", rule: "in [0, 1]", value: share });
    }
    if numbers.len() != rows {
        return Err(Error::LengthMismatch { examples: rows, labels: numbers.len() });
    }
    match numbers.iter().position(|&number| number >= end) {
        Some(index) => Err(Error::LabelOutOfRange { index, label: numbers[index], classes: end }),
        None => Ok(()),
    }
}

// ANCHOR: manifold
/// Row `i` mixed with row `partner[i]`, on the tape: both rows receive their share of the gradient.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `share` lies in \[0, 1\]; [`Error::LengthMismatch`] unless there are as many partners as
/// rows; [`Error::LabelOutOfRange`] for a partner that does not exist; [`Error::Device`].
pub fn mix_states<E: Real, D: Device<E>, T: Tape<E, D>>(
    states: Batch<E, D, T>,
    partner: &[usize],
    share: f64,
) -> Result<Batch<E, D, T>, Error> {
    let rows = states.shape().0;
    check(rows, partner, rows, share)?;
    Ok(mix_checked(states, partner, share).map_err(DeviceError::new)?)
}

fn mix_checked<E: Real, D: Device<E>, T: Tape<E, D>>(
    states: Batch<E, D, T>,
    partner: &[usize],
    share: f64,
) -> Result<Batch<E, D, T>, D::Err> {
    let partner = states.device().try_tensor_from_vec(partner.to_vec(), (partner.len(),))?;
    let others: Batch<E, D, T> = states.with_empty_tape().try_gather(partner)?;
    states.try_mul(E::of(share))?.try_add(others.try_mul(E::of(1.0 - share))?)
}

/// The votes of a chain whose states are mixed after `level` of its layers. Draw the level for each batch among the eligible
/// ones, and train with [`mix_targets`].
///
/// # Errors
/// [`Error::InvalidHyper`] for a level that is not followed by a layer, and as [`mix_states`].
pub fn manifold_votes<E: Real, D: Device<E>, T: Tape<E, D>>(
    chain: &Chain<E, D>,
    x: Batch<E, D, T>,
    level: usize,
    partner: &[usize],
    share: f64,
) -> Result<Batch<E, D, T>, Error> {
    if level >= chain.layers.len() {
        let rule = "below the number of layers; the votes themselves are not mixed";
        return Err(Error::InvalidHyper { name: "level", rule, value: level as f64 });
    }
    let rows = x.shape().0;
    check(rows, partner, rows, share)?;
    let x = if level == 0 { mix_checked(x, partner, share).map_err(DeviceError::new)? } else { x };
    let hook =
        |l: usize, a: Batch<E, D, T>| if l + 1 == level { mix_checked(a, partner, share) } else { Ok(a) };
    Ok(chain.try_forward_with(x, hook).map_err(DeviceError::new)?)
}
// ANCHOR_END: manifold
