//! Mixup: train on points between two examples, with targets between their labels.
//!
//! $$ \tilde x = \mu x_i + (1 - \mu) x_j, \qquad \tilde q = \mu\,\mathrm{onehot}(y_i) + (1 - \mu)\,\mathrm{onehot}(y_j),
//!    \qquad \mu \sim \mathrm{Beta}(\alpha, \alpha) $$
//!
//! One $\mu$ for a batch, and $j$ a permutation of $i$. Cross-entropy is linear in the targets, so the loss is the mixture
//! of the two losses.
//!
//! **Paper**: Zhang, Cisse, Dauphin & Lopez-Paz (2018), arXiv 1710.09412.
use dfdx::prelude::{HasShape, Tensor};
use kernels::{Device, Real};
use layers::params::DeviceError;
use rand::Rng;
use rand_distr::{Beta, Distribution};

use crate::Error;

/// Draws $\mu$.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `alpha` is finite and above 0.
pub fn share<R: Rng + ?Sized>(alpha: f64, rng: &mut R) -> Result<f64, Error> {
    let refused = || Error::InvalidHyper { name: "alpha", rule: "finite and above 0", value: alpha };
    if !alpha.is_finite() {
        return Err(refused());
    }
    Ok(Beta::new(alpha, alpha).map_err(|_| refused())?.sample(rng))
}

/// A mixed batch.
#[derive(Clone, Debug)]
pub struct Mixed<E: Real, D: Device<E>> {
    /// $\tilde x$, `(B, F)`.
    pub x: Tensor<(usize, usize), E, D>,
    /// $\tilde q$, `(B, classes)`: for `kernels::distribution_loss_mean` with `DistributionLoss::CrossEntropy`.
    pub targets: Tensor<(usize, usize), E, D>,
}

// ANCHOR: mix
/// Mixes row `i` with row `partner[i]`, with weight `share` on row `i`.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `share` lies in \[0, 1\]; [`Error::LengthMismatch`] unless there are as many labels and
/// partners as rows; [`Error::LabelOutOfRange`] for a label or a partner that does not exist; [`Error::Device`].
pub fn mix<E: Real, D: Device<E>>(
    x: &Tensor<(usize, usize), E, D>,
    labels: &[usize],
    classes: usize,
    partner: &[usize],
    share: f64,
) -> Result<Mixed<E, D>, Error> {
    let (rows, features) = *x.shape();
    check(rows, labels, classes, partner, share)?;
    let values = x.as_vec();
    let (one, other) = (E::of(share), E::of(1.0 - share));
    let (mut mixed, mut targets) = (Vec::new(), vec![E::of(0.0); rows * classes]);
    for i in 0..rows {
        let row = |r: usize| &values[r * features..(r + 1) * features];
        mixed.extend(row(i).iter().zip(row(partner[i])).map(|(a, b)| one * *a + other * *b));
        targets[i * classes + labels[i]] += one;
        targets[i * classes + labels[partner[i]]] += other;
    }
    let tensor =
        |values, columns| x.device().try_tensor_from_vec(values, (rows, columns)).map_err(DeviceError::new);
    Ok(Mixed { x: tensor(mixed, features)?, targets: tensor(targets, classes)? })
}
// ANCHOR_END: mix

fn check(rows: usize, labels: &[usize], classes: usize, partner: &[usize], share: f64) -> Result<(), Error> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::InvalidHyper { name: "share", rule: "in [0, 1]", value: share });
    }
    for numbers in [labels, partner] {
        if numbers.len() != rows {
            return Err(Error::LengthMismatch { examples: rows, labels: numbers.len() });
        }
    }
    for (numbers, classes) in [(labels, classes), (partner, rows)] {
        if let Some(index) = numbers.iter().position(|&label| label >= classes) {
            return Err(Error::LabelOutOfRange { index, label: numbers[index], classes });
        }
    }
    Ok(())
}
