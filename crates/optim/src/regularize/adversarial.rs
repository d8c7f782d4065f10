//! Examples moved against the network: the fast gradient sign method, projected gradient steps, adversarial training.
//!
//! $$ \text{FGSM: } \tilde x = x + \epsilon \operatorname{sign} \nabla_x L \qquad
//!    \text{PGD: } x_{k+1} = \Pi_{\lVert x - x_0\rVert_\infty \le \epsilon} (x_k + \alpha \operatorname{sign} \nabla_x L(x_k)) $$
//!
//! | symbol | code | unit |
//! |---|---|---|
//! | $\epsilon$ | `epsilon` | that of the inputs |
//! | $\alpha$ | [`Pgd::step`] | the same |
//!
//! Training minimises $\alpha J(x) + (1 - \alpha) J(\tilde x)$ with $\tilde x$ as data: the attack is made first, and no
//! gradient flows through it.
//! **Papers**: Goodfellow, Shlens & Szegedy (2015), arXiv 1412.6572; Madry et al. (2018), arXiv 1706.06083.
//! **Deviation**: where a derivative is exactly 0 its sign is 0, so that input stays.
use dfdx::nn::Module;
use dfdx::prelude::{Dim, Gradients, HasShape, OwnedTape, Shape, Tensor, Trace};
use kernels::{Device, Real};
use layers::params::DeviceError;

use crate::Error;

/// $\nabla_x$ of the mean cross-entropy of the batch, and the loss.
///
/// # Errors
/// [`Error::Kernel`] when labels do not fit the outputs; [`Error::Device`] without memory.
pub fn input_gradient<M, S, B, C, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    labels: &[usize],
) -> Result<(f64, Vec<E>), Error>
where
    S: Shape,
    B: Dim,
    C: Dim,
    E: Real,
    D: Device<E>,
    M: Module<
            Tensor<S, E, D, OwnedTape<E, D>>,
            Output = Tensor<(B, C), E, D, OwnedTape<E, D>>,
            Error = D::Err,
        >,
{
    let output = model.try_forward(x.leaky_trace()).map_err(DeviceError::new)?;
    let loss = kernels::try_cross_entropy_mean(output, labels)?;
    let value = loss.as_vec()[0].as_f64();
    let gradients: Gradients<E, D> = dfdx::prelude::Backward::try_backward(loss).map_err(DeviceError::new)?;
    Ok((value, gradients.get(x).as_vec()))
}

// ANCHOR: fgsm
/// The fast gradient sign method: one step of size `epsilon` along the sign of the gradient.
///
/// # Errors
/// As [`input_gradient`]; [`Error::InvalidHyper`] unless `epsilon` is finite and not negative.
pub fn fgsm<M, S, B, C, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    labels: &[usize],
    epsilon: f64,
) -> Result<Tensor<S, E, D>, Error>
where
    S: Shape,
    B: Dim,
    C: Dim,
    E: Real,
    D: Device<E>,
    M: Module<
            Tensor<S, E, D, OwnedTape<E, D>>,
            Output = Tensor<(B, C), E, D, OwnedTape<E, D>>,
            Error = D::Err,
        >,
{
    pgd(model, x, labels, Pgd { epsilon, step: epsilon, steps: 1 })
}
// ANCHOR_END: fgsm

/// Settings of [`pgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    /// $\epsilon$: no input moves farther.
    pub epsilon: f64,
    /// $\alpha$: length of a step.
    pub step: f64,
    /// Number of steps.
    pub steps: usize,
}

// ANCHOR: pgd
/// `settings.steps` steps along the sign of the gradient, each followed by the projection on the box around `x`.
///
/// # Errors
/// As [`input_gradient`]; [`Error::InvalidHyper`] unless `epsilon` and `step` are finite and not negative.
pub fn pgd<M, S, B, C, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    labels: &[usize],
    settings: Pgd,
) -> Result<Tensor<S, E, D>, Error>
where
    S: Shape,
    B: Dim,
    C: Dim,
    E: Real,
    D: Device<E>,
    M: Module<
            Tensor<S, E, D, OwnedTape<E, D>>,
            Output = Tensor<(B, C), E, D, OwnedTape<E, D>>,
            Error = D::Err,
        >,
{
    check("epsilon", settings.epsilon)?;
    check("step", settings.step)?;
    let start: Vec<f64> = x.as_vec().into_iter().map(Real::as_f64).collect();
    let mut at = x.clone();
    for _ in 0..settings.steps {
        let (_, gradient) = input_gradient(model, &at, labels)?;
        let moved = at.as_vec().into_iter().zip(gradient).zip(&start).map(|((x, g), start)| {
            let moved = x.as_f64() + settings.step * sign(g.as_f64());
            E::of(moved.clamp(start - settings.epsilon, start + settings.epsilon))
        });
        at = tensor(x, moved.collect())?;
    }
    Ok(at)
}
// ANCHOR_END: pgd

fn check(name: &'static str, value: f64) -> Result<(), Error> {
    let is_legal = value.is_finite() && value >= 0.0;
    if is_legal { Ok(()) } else { Err(Error::InvalidHyper { name, rule: "finite, not negative", value }) }
}

/// −1, 0 or 1.
pub(crate) fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

/// A tensor like `x` with other values.
fn tensor<S: Shape, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    values: Vec<E>,
) -> Result<Tensor<S, E, D>, Error> {
    let made = x.device().try_tensor_from_vec(values, *x.shape());
    made.map_err(|error| Error::Device(DeviceError::new(error)))
}
