//! One network for several tasks: a shared trunk, a head for each.
//!
//! $$ L(w, w_1, \dots, w_K) = \sum_k \alpha_k\, L_k\bigl(h_k(t(x; w); w_k)\bigr), \qquad
//!    \frac{\partial L}{\partial w} = \sum_k \alpha_k \frac{\partial L_k}{\partial w} $$
//!
//! dfdx's `SplitInto<(A, B, …)>` after the trunk makes the heads. The trunk sees more examples than any task has, and
//! must find features that serve them all; each head learns from its own task alone.
//!
//! **Use it** when tasks share what they look at, as the strokes of digits for "which?" and "how slanted?". **Not** when
//! they do not: then they pull the trunk apart.
//! **The step that people get wrong**: dfdx keeps the trunk's operations on the tape of the *first* output only.
//! Backward from another head's loss alone does not reach the trunk; add the losses, as [`joint`] does.
//! **Source**: Goodfellow et al. (2016), section 7.7; Caruana (1997), Multitask learning.
//!
//! # Examples
//! ```
//! use layers::prelude::*;
//! use optim::regularize::multitask::{MultiTask, joint};
//!
//! let dev = Cpu::default();
//! // Two numbers to four features; three classes, and one number.
//! type Net = MultiTask<(Linear<2, 4>, Tanh), (Linear<4, 3>, Linear<4, 1>)>;
//! let net = dev.build_module::<Net, f64>();
//! let x = dev.tensor([[0.1, 0.2], [-1.0, 0.3]]);
//! let (logits, sizes) = net.forward(x.leaky_trace());
//! let which = cross_entropy_with_logits_loss(logits, dev.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]));
//! let how_large = mse_loss(sizes, dev.tensor([[0.5], [0.7]]));
//! let gradients = joint([which, how_large], [1.0, 0.3])?.backward();
//! assert_ne!(gradients.get(&net.0.0.weight).array(), [[0.0; 2]; 4]);
//! # Ok::<(), optim::Error>(())
//! ```
use dfdx::prelude::{OwnedTape, Rank0, SplitInto, Tensor, TryAdd, TryMul};
use kernels::{Device, Real};
use layers::params::DeviceError;

use crate::Error;

/// A trunk, and a tuple of heads that read it; the output is a tuple of theirs.
pub type MultiTask<Trunk, Heads> = (Trunk, SplitInto<Heads>);

/// $\sum_k \alpha_k L_k$ of the tasks' losses, with the tapes of all.
///
/// # Errors
/// [`Error::Empty`] without a task; [`Error::InvalidHyper`] unless the weights are finite and not negative;
/// [`Error::Device`].
pub fn joint<E: Real, D: Device<E>, const K: usize>(
    losses: [Tensor<Rank0, E, D, OwnedTape<E, D>>; K],
    weights: [f64; K],
) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, Error> {
    if let Some(value) = weights.into_iter().find(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(Error::InvalidHyper { name: "weights", rule: "finite and not negative", value });
    }
    let mut sum = None;
    for (loss, weight) in losses.into_iter().zip(weights) {
        let part = loss.try_mul(E::of(weight)).map_err(DeviceError::new)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => Tensor::try_add(sum, part).map_err(DeviceError::new)?,
        });
    }
    sum.ok_or(Error::Empty { what: "multitask::joint" })
}
