//! Sparse representations: a penalty on what a layer says, not on what it is.
//!
//! $$ \tilde J = J + \frac{\lambda}{B} \sum_b \lVert h_b \rVert_1 $$
//!
//! **Use it** for features that are to be read by people, and in autoencoders wider than their input. **Not** for small
//! models: the weights stay dense; [`Penalty::L1`](super::penalty::Penalty) makes those sparse.
//! **Source**: Goodfellow et al. (2016), section 7.10.
use dfdx::prelude::{HasShape, Rank0, Shape, Tape, Tensor, TryMul};
use kernels::{Device, Real};
use layers::params::DeviceError;

use crate::Error;

/// $\frac{\lambda}{B} \sum_b \lVert h_b\rVert_1$ of a layer's activations $h$, with the batch as the first axis, on the tape: a
/// term of the loss that makes most units silent most of the time.
///
/// ```
/// use layers::prelude::*;
/// use optim::regularize::activity::activity;
/// let h = Cpu::default().tensor([[1.0_f64, -2.0], [0.0, 0.5]]);
/// let gradients = {
///     let penalty = activity(h.leaky_trace(), 0.1)?;
///     assert!((penalty.array() - 0.175).abs() < 1e-15);
///     penalty.backward()
/// };
/// assert_eq!(gradients.get(&h).array(), [[0.05, -0.05], [0.0, 0.05]]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] unless `factor` is finite and not negative; [`Error::Empty`] without a row; [`Error::Device`].
pub fn activity<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    h: Tensor<S, E, D, T>,
    factor: f64,
) -> Result<Tensor<Rank0, E, D, T>, Error> {
    if !(factor.is_finite() && factor >= 0.0) {
        return Err(Error::InvalidHyper { name: "factor", rule: "finite and not negative", value: factor });
    }
    let rows = h.shape().concrete().into_iter().next().unwrap_or(1);
    if rows == 0 {
        return Err(Error::Empty { what: "activity (rows)" });
    }
    let sum = kernels::try_abs(h).and_then(kernels::try_sum_all);
    let mean = sum.and_then(|sum| sum.try_mul(E::of(factor / rows as f64)));
    Ok(mean.map_err(DeviceError::new)?)
}
