//! Noise on inputs, on weights and on labels, and the penalty that each of them is.
//!
//! | noise | to second order in its size it adds | source |
//! |---|---|---|
//! | inputs $x + \sigma\xi$ | $\sigma^2 \lVert\partial f/\partial x\rVert_F^2$ to the mean squared error | Bishop (1995), Training with noise is equivalent to Tikhonov regularization |
//! | weights $w + \sigma\xi$ | $\sigma^2 \lVert\partial f/\partial w\rVert_F^2$: flat places are preferred | Goodfellow et al. (2016), section 7.5 |
//! | labels, replaced with probability $\epsilon$ by any class | nothing else than label smoothing: the mean over labels *is* the smoothed loss | Xie et al. (2016), DisturbLabel, arXiv 1605.00055 |
//!
//! Noise on inputs is a layer, `layers::modules::GaussianNoise`; here are the other two, and the length of a unit's weights
//! that keeps noise from being outgrown ([`max_norm`]).
//!
//! **Deviation**: Bishop's formula has a second term with the residual, which vanishes where the model fits.
use dfdx::nn::TensorCollection;
use kernels::random::Key;
use kernels::{Device, Real};
use layers::params;
use rand::Rng;
use rand_distr::StandardNormal;

use crate::Error;

fn check(name: &'static str, rule: &'static str, value: f64, is_legal: bool) -> Result<(), Error> {
    if is_legal { Ok(()) } else { Err(Error::InvalidHyper { name, rule, value }) }
}

// ANCHOR: weights
/// A copy of the model with N(0, `deviation`²) added to every trained number. The copy has the ids of the model's tensors,
/// so the gradients of *its* loss make a step of the model.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `deviation` is finite and not negative; [`Error::Device`].
pub fn with_noisy_weights<M, E, D>(model: &M, deviation: f64, key: Key) -> Result<M, Error>
where
    M: TensorCollection<E, D> + Clone,
    E: Real,
    D: Device<E>,
{
    let is_legal = deviation.is_finite() && deviation >= 0.0;
    check("deviation", "finite, not negative", deviation, is_legal)?;
    let (mut noisy, mut rng) = (model.clone(), key.rng());
    params::visit_mut(&mut noisy, |_, values| {
        for value in values {
            *value += E::of(deviation * rng.sample::<f64, _>(StandardNormal));
        }
    })?;
    Ok(noisy)
}
// ANCHOR_END: weights

// ANCHOR: labels
/// Each label, replaced with probability `share` by a class drawn from all, the true one among them; draw anew for each
/// minibatch.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `share` lies in \[0, 1\]; [`Error::Empty`] without a class.
pub fn disturb_labels<R: Rng + ?Sized>(
    labels: &[usize],
    classes: usize,
    share: f64,
    rng: &mut R,
) -> Result<Vec<usize>, Error> {
    check("share", "in [0, 1]", share, (0.0..=1.0).contains(&share))?;
    if classes == 0 {
        return Err(Error::Empty { what: "disturb_labels (classes)" });
    }
    let draw = |&label: &usize| if rng.r#gen::<f64>() < share { rng.gen_range(0..classes) } else { label };
    Ok(labels.iter().map(draw).collect())
}
// ANCHOR_END: labels

// ANCHOR: max_norm
/// Shortens each row of `width` weights, the incoming ones of a unit, to at most `limit`; how many had to be shortened.
/// A limit that never acts looks like a regulariser that does no harm: look at the count.
///
/// On a dfdx model `layers::optimizer::Constraint::MaxNorm` does it after each step.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `limit` is finite and above 0 and `width` at least 1.
///
/// **Source**: Srebro & Shraibman (2005); Srivastava et al. (2014), section 5.1.
pub fn max_norm<E: Real>(weights: &mut [E], width: usize, limit: f64) -> Result<usize, Error> {
    check("limit", "finite and above 0", limit, limit.is_finite() && limit > 0.0)?;
    check("width", "at least 1", width as f64, width > 0)?;
    let mut shortened = 0;
    for row in weights.chunks_mut(width) {
        let norm = row.iter().map(|w| w.as_f64().powi(2)).sum::<f64>().sqrt();
        if norm > limit {
            row.iter_mut().for_each(|w| *w *= E::of(limit / norm));
            shortened += 1;
        }
    }
    Ok(shortened)
}
// ANCHOR_END: max_norm
