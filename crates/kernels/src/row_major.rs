//! Elements side by side in row-major order, with a right gradient on every device.
use crate::{BaseDevice, Real};
use dfdx::prelude::*;

/// dfdx's `contiguous` and `reshape_like`, with a right gradient on `Cuda` too.
///
/// There dfdx 0.13 goes, in the backward pass of a reshape, over the elements that the input *stores* (`reshape_bwd` in
/// `reshape_to/cuda_kernel.rs`): when the input is broadcast, most of the gradient is lost without a word. Here a
/// broadcast tensor is multiplied by ones first, whose backward pass adds up all of it. On `Cpu` this is dfdx's own.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::RowMajor;
/// let x = Cpu::default().tensor([1.0_f64, 2.0]);
/// let rows = x.leaky_trace().broadcast::<Rank2<3, 2>, _>();
/// let flat = rows.try_reshaped(&(6,))?;
/// assert_eq!(flat.as_vec(), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
/// assert_eq!(flat.sum::<Rank0, _>().backward().get(&x).array(), [3.0, 3.0]);
/// # Ok::<(), CpuError>(())
/// ```
pub trait RowMajor: HasShape + HasErr {
    /// Makes the elements lie side by side in row-major order. Free when they do already; otherwise a copy with an id
    /// of its own.
    ///
    /// # Errors
    /// The device's error when an allocation fails.
    fn try_row_major(self) -> Result<Self::WithShape<Self::Shape>, Self::Err>;

    /// The elements in row-major order as a tensor of another shape.
    ///
    /// # Errors
    /// The device's error when an allocation fails.
    ///
    /// # Panics
    /// When `shape` has another number of elements.
    fn try_reshaped<Q: Shape>(self, shape: &Q) -> Result<Self::WithShape<Q>, Self::Err>;
}

impl<S: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>> RowMajor for Tensor<S, E, D, T> {
    fn try_row_major(self) -> Result<Self::WithShape<S>, D::Err> {
        D::row_major(self)
    }

    fn try_reshaped<Q: Shape>(self, shape: &Q) -> Result<Self::WithShape<Q>, D::Err> {
        D::row_major(self)?.try_reshape_like(shape)
    }
}
