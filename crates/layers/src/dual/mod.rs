//! Exact second order on dfdx's ordinary tape: a value and its tangent travel together.
//!
//! dfdx has no double backward. A [`Dual`] carries, beside a value $x$, the derivative $\dot x$ of $x$ along some
//! direction (forward mode), computed with ordinary taped operations. `backward()` on a function of the tangent then
//! gives derivatives of a derivative: reverse over forward.
//!
//! $$ \dot y = \frac{\partial f}{\partial x}\,\dot x \;+\; \frac{\partial f}{\partial w}\,\dot w, \qquad y = f_w(x) $$
//!
//! | symbol | code | |
//! |---|---|---|
//! | $x, \dot x$ | [`Dual::new`] | value with its tape, tangent without |
//! | $\dot w$ | `direction` of [`Along`] | a model of the same type that holds the weights' tangent |
//! | $\dot y$ | [`Dual::tangent`] | with the tape: the loss goes on this |
//!
//! What it is for, each exact and differentiable in the weights:
//! - norms of input gradients and their penalties (WGAN-GP, R1): [`input_gradient_norm`], [`gradient_penalty`];
//! - products of the Hessian with a vector: [`hessian_vector_product`];
//! - traces of Jacobians, exact or estimated, as continuous flows need them: [`jacobian_trace`], [`hutchinson_trace`].
//!
//! [`Module`]`<Dual<..>>` is implemented for this crate's layers and activations and for dfdx's `Linear`,
//! `UnbiasedLinear` and element-wise activations; dfdx's tuples, `Residual` and `Repeated` accept a `Dual` unchanged.
//! For a layer of your own implement it too: compute the tangent with taped operations, then [`Dual::join`].
//!
//! **Use it** when a loss contains a derivative. **Not** for plain gradients: one backward pass gives those for all
//! inputs at once, a tangent gives one direction.
//! **Source**: Pearlmutter (1994), Fast exact multiplication by the Hessian.
//! **Cost**: value and tangent together take two to three times the work and memory of the value.
pub(crate) mod along;
mod dfdx_layers;
mod graph;
mod operations;
pub(crate) mod own_layers;
mod second_order;
mod sequence;
mod sparse;

pub use along::Along;
pub(crate) use own_layers::activate;
pub use second_order::{
    gradient_penalty, hessian_vector_product, hutchinson_trace, input_gradient, input_gradient_norm,
    jacobian_trace, try_gradient_penalty, try_hutchinson_trace, try_input_gradient, try_input_gradient_norm,
    try_jacobian_trace,
};

#[cfg(doc)]
use dfdx::nn::Module;
use dfdx::prelude::{Device, Dtype, HasErr, NoneTape, PutTape, Shape, SplitTape, Storage, Tape, Tensor};

/// A value of shape `S` with a tangent of the same shape and one tape, which sits on the value.
///
/// One tape is the point: with a tape on each, a loss on the tangent alone would silently lose the operations of the
/// value (measured: an error of 1.2e-1 in the weight gradient, no panic).
///
/// # Examples
/// The derivative of $\tanh(x)$ at 0.5 along 2, and the derivative of that by $x$:
/// ```
/// use layers::{Dual, prelude::*};
/// let dev = Cpu::default();
/// let x = dev.tensor([0.5_f64]);
/// let y = Tanh.forward(Dual::new(x.leaky_trace(), dev.tensor([2.0])));
/// let (tanh, slope) = (0.5_f64.tanh(), 1.0 - 0.5_f64.tanh().powi(2));
/// let tangent = y.tangent();
/// assert!((tangent.array()[0] - 2.0 * slope).abs() < 1e-15);
/// let second = tangent.sum().backward().get(&x).array()[0];
/// assert!((second - 2.0 * -2.0 * tanh * slope).abs() < 1e-15);
/// ```
#[derive(Clone, Debug)]
pub struct Dual<S: Shape, E: Dtype, D: Storage<E>, T = NoneTape> {
    value: Tensor<S, E, D, T>,
    tangent: Tensor<S, E, D>,
}

impl<S: Shape, E: Dtype, D: Device<E>, T: Tape<E, D>> Dual<S, E, D, T> {
    /// A value that changes along `tangent`. The tangent counts as a tensor of its own: the gradient of a loss reaches
    /// it too, so do not pass a clone of the value (a clone has the value's id, and both gradients would be added up).
    pub fn new(value: Tensor<S, E, D, T>, tangent: Tensor<S, E, D>) -> Self {
        Self { value, tangent }
    }

    /// A value that does not change: data, when only the weights move ([`Along`]).
    ///
    /// # Panics
    /// When the device fails; [`try_constant`](Self::try_constant) returns the error.
    pub fn constant(value: Tensor<S, E, D, T>) -> Self {
        Self::try_constant(value).unwrap()
    }

    /// Fallible twin of [`constant`](Self::constant).
    ///
    /// # Errors
    /// The device's error when the tangent, zeros, cannot be allocated.
    pub fn try_constant(value: Tensor<S, E, D, T>) -> Result<Self, D::Err> {
        let tangent = value.device().try_zeros_like(&value)?;
        Ok(Self { value, tangent })
    }

    /// A dual from a value and its tangent, each with the tape of its own operations: the tapes become one.
    pub fn join(value: Tensor<S, E, D, T>, tangent: Tensor<S, E, D, T>) -> Self {
        let ((value, a), (tangent, b)) = (value.split_tape(), tangent.split_tape());
        Self { value: value.put_tape(a.merge(b)), tangent }
    }

    /// Value and tangent, each with a tape: the value keeps the recorded operations, the tangent starts an empty tape.
    /// [`join`](Self::join) is the way back; that is how a layer is written.
    pub fn split(self) -> (Tensor<S, E, D, T>, Tensor<S, E, D, T>) {
        (self.value, self.tangent.put_tape(T::default()))
    }

    /// The value with the tape.
    pub fn value(self) -> Tensor<S, E, D, T> {
        self.value
    }

    /// The tangent with the tape: put the loss on this.
    pub fn tangent(self) -> Tensor<S, E, D, T> {
        let (_, tape) = self.value.split_tape();
        self.tangent.put_tape(tape)
    }
}

impl<S: Shape, E: Dtype, D: Storage<E>, T> dfdx::prelude::HasShape for Dual<S, E, D, T> {
    type WithShape<New: Shape> = Dual<New, E, D, T>;
    type Shape = S;
    fn shape(&self) -> &S {
        self.value.shape()
    }
}

impl<S: Shape, E: Dtype, D: Storage<E>, T> HasErr for Dual<S, E, D, T> {
    type Err = D::Err;
}
