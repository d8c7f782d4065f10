//! Concatenated rectifiers: a feature and its negative, both rectified.
//!
//! $$ \mathrm{CReLU}(x) = \bigl(\max(x, 0), \max(-x, 0)\bigr) $$
//!
//! Filters of the first layers of a trained network come in pairs of opposite signs, since a rectifier throws one half away.
//! With both halves kept, half of the filters are enough; the difference of the halves is the input, and the length of the
//! output is that of the input. **Use it** in the first convolutions. **Not** in later layers: the pairs are rare there.
//!
//! **Paper**: Shang, Sohn, Almeida & Lee (2016), Understanding and improving convolutional neural networks via concatenated
//! rectified linear units, arXiv 1603.05201.
use dfdx::nn::{Module, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Shape, Tape, Tensor};
use kernels::{Device, Real};
use layers::prelude::{Concat, Relu};

/// Twice as many features or channels, `(B, C, ..)` → `(B, 2 C, ..)`.
///
/// ```
/// use layers::prelude::*;
/// use optim::architecture::crelu::CRelu;
/// let dev = Cpu::default();
/// let crelu = dev.build_module::<CRelu, f32>();
/// let y: Tensor<Rank2<1, 4>, f32, _> = crelu.forward(dev.tensor([[3.0, -4.0]]));
/// assert_eq!(y.array(), [[3.0, 0.0, 0.0, 4.0]]);
/// ```
pub type CRelu = Concat<(Relu, NegativePart)>;

/// $\max(-x, 0)$: what a rectifier throws away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegativePart;

impl ZeroSizedModule for NegativePart {}
impl NonMutableModule for NegativePart {}

impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for NegativePart {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        kernels::try_activate(x.try_negate()?, kernels::Relu)
    }
}
