//! One step of stochastic gradient descent on one parameter tensor, in one pass over its memory.
//!
//! $$ \hat g = g + \lambda w, \qquad v \leftarrow \mu v + \hat g, \qquad w \leftarrow w - \eta d, \qquad
//!    d = \begin{cases} \hat g & \text{no momentum} \\ v & \text{heavy ball} \\ \hat g + \mu v & \text{Nesterov} \end{cases} $$
//!
//! | symbol | code | range |
//! |---|---|---|
//! | $\eta$ | `learning_rate` | any |
//! | $\lambda$ | `weight_decay` | 0 turns it off |
//! | $\mu$ | `coefficient` | usually \[0, 1) |
//! | $v$ | `velocity` | starts at 0 |
//!
//! This is PyTorch's `torch.optim.SGD` without dampening: its first step, $v = g$, is the step from $v = 0$.
//! **Deviation** from Polyak's and Nesterov's papers, shared with PyTorch: $\eta$ multiplies $v$ rather than $g$,
//! so a change of learning rate acts on the whole velocity at once.
use crate::{Device, Error, Real};
use dfdx::prelude::*;

/// Learning rate and weight decay of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// $\eta$.
    pub learning_rate: f64,
    /// $\lambda$: coupled L2, added to the gradient before momentum; 0 turns it off.
    pub weight_decay: f64,
}

/// Momentum, with the velocity that it carries from step to step.
///
/// The velocity is flat, so that one type holds it for parameters of every shape.
#[derive(Debug)]
pub enum Momentum<'a, E: Real, D: Storage<E>> {
    /// Plain gradient descent.
    None,
    /// Polyak's heavy ball.
    HeavyBall {
        /// $\mu$.
        coefficient: f64,
        /// $v$, one element per element of the parameter in row-major order.
        velocity: &'a mut Tensor<(usize,), E, D>,
    },
    /// Nesterov's momentum.
    Nesterov {
        /// $\mu$.
        coefficient: f64,
        /// $v$, one element per element of the parameter in row-major order.
        velocity: &'a mut Tensor<(usize,), E, D>,
    },
}

impl<E: Real, D: Storage<E>> Momentum<'_, E, D> {
    /// The velocity must have as many elements as the parameter.
    pub(crate) fn check(&self, parameter: usize) -> Result<(), Error> {
        match self {
            Self::HeavyBall { velocity, .. } | Self::Nesterov { velocity, .. }
                if velocity.shape().0 != parameter =>
            {
                Err(Error::VelocityLength { velocity: velocity.shape().0, parameter })
            }
            _ => Ok(()),
        }
    }
}

/// Updates a parameter in place from its gradient. A parameter without a gradient counts as having gradient 0.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::{Momentum, SgdStep, sgd_update};
/// let device = Cpu::default();
/// let mut w = device.tensor([1.0_f64, -2.0]);
/// let mut velocity = device.zeros_like(&(2,));
/// for _ in 0..2 {
///     let mut gradients = w.leaky_trace().square().sum().backward(); // gradient 2 w
///     let momentum = Momentum::HeavyBall { coefficient: 0.5, velocity: &mut velocity };
///     sgd_update(&mut w, &mut gradients, momentum, SgdStep { learning_rate: 0.1, weight_decay: 0.0 });
/// }
/// // 1 → 0.8 with v = 2; then v = 0.5 · 2 + 1.6 = 2.6, 0.8 → 0.54
/// assert!((w.array()[0] - 0.54).abs() < 1e-15 && (w.array()[1] + 1.08).abs() < 1e-15);
/// ```
///
/// # Panics
/// On the errors of [`try_sgd_update`].
pub fn sgd_update<S: Shape, E: Real, D: Device<E>>(
    parameter: &mut Tensor<S, E, D>,
    gradients: &mut Gradients<E, D>,
    momentum: Momentum<'_, E, D>,
    step: SgdStep,
) {
    try_sgd_update(parameter, gradients, momentum, step).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`sgd_update`].
///
/// # Errors
/// [`Error::VelocityLength`] when the velocity does not fit the parameter, [`Error::Device`] when an allocation or a
/// kernel fails. The parameter is unchanged then.
pub fn try_sgd_update<S: Shape, E: Real, D: Device<E>>(
    parameter: &mut Tensor<S, E, D>,
    gradients: &mut Gradients<E, D>,
    momentum: Momentum<'_, E, D>,
    step: SgdStep,
) -> Result<(), Error> {
    D::sgd_update(parameter, gradients, momentum, step)
}
