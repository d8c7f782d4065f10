//! A sparse start: every unit listens to a few others only.
//!
//! | symbol | code | usual |
//! |---|---|---|
//! | $k$ | `incoming` | 15 |
//! | $\sigma$ | `deviation` | 1 |
//!
//! The votes $\sum_j w_{ij} a_j$ of a unit have the variance $k\sigma^2 E a^2$ whatever the width of the layer below, and
//! units start as different as their places are. **Use it** with saturating units and second-order descent, for which it
//! was made. **Not** for convolutions of few taps, or for rectifiers without He's scale: take
//! $\sigma = \sqrt{2 / k}$ there.
//!
//! **Paper**: Martens (2010), Deep learning via Hessian-free optimization, ICML, section 5.
use dfdx::nn::TensorCollection;
use kernels::random::Key;
use kernels::{Device, Real};
use layers::params;
use rand::Rng;
use rand_distr::StandardNormal;

use crate::Error;

// ANCHOR: sparse
/// Gives every unit `incoming` weights of N(0, `deviation`²) at random places and 0 everywhere else; biases and whatever else
/// has one axis become 0. A unit is an index of the first axis; one with fewer inputs gets all of them.
///
/// Martens' biases of tanh are 0.5: set them afterwards.
///
/// **Deviation**: tensors of one axis become 0 whatever they are; draw the scales of normalisation layers again after it.
///
/// ```
/// use kernels::random::Key;
/// use layers::{params, prelude::*};
/// use optim::sparse_start::sparse;
/// let mut model = Cpu::default().build_module::<Linear<100, 30>, f32>();
/// sparse(&mut model, 15, 1.0, Key::new(0))?;
/// assert_eq!(model.weight.as_vec().iter().filter(|w| **w != 0.0).count(), 30 * 15);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] when `incoming` is 0 or `deviation` not finite or negative; [`Error::Device`].
pub fn sparse<M, E, D>(model: &mut M, incoming: usize, deviation: f64, key: Key) -> Result<(), Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    if incoming == 0 {
        return Err(Error::InvalidHyper { name: "incoming", rule: "at least 1; 15 is usual", value: 0.0 });
    }
    if !(deviation.is_finite() && deviation >= 0.0) {
        return Err(Error::InvalidHyper {
            name: "deviation",
            rule: "finite, not negative",
            value: deviation,
        });
    }
    let mut position = 0;
    params::visit_mut(model, |parameter, values: &mut [E]| {
        if !parameter.is_trainable {
            return;
        }
        let mut rng = key.fold(position).rng();
        position += 1;
        values.fill(E::zero());
        let units = parameter.shape.first().copied().unwrap_or(0);
        if parameter.ndim() < 2 || values.is_empty() {
            return;
        }
        let inputs = values.len() / units;
        for unit in values.chunks_mut(inputs) {
            for place in rand::seq::index::sample(&mut rng, inputs, incoming.min(inputs)) {
                unit[place] = E::of(deviation * rng.sample::<f64, _>(StandardNormal));
            }
        }
    })?;
    Ok(())
}
// ANCHOR_END: sparse
