//! Two models that should be alike: a penalty on how far apart their weights are, or the same weights for both.
//!
//! $$ \Omega(w^{(A)}, w^{(B)}) = \lambda\,\lVert w^{(A)} - w^{(B)} \rVert_2^2 $$
//!
//! | | what is tied | gradient |
//! |---|---|---|
//! | soft, [`distance`] | two models, each with weights of its own | $\pm 2\lambda(w^{(A)} - w^{(B)})$ beside that of each loss |
//! | hard, a clone | one set of weights, used in several places | the sum over the places |
//!
//! **Soft** when two tasks are similar but not equal; **hard** when they are the same function of other inputs, as a
//! convolution is of its windows. A dfdx tensor keeps its id when it is cloned, and gradients are filed by id: whatever a
//! clone receives belongs to the original.
//!
//! **Source**: Goodfellow et al. (2016), section 7.9.
//!
//! # Examples
//! Hard sharing: one encoder for both of two inputs. A step changes the original; clones are made anew for the next pass,
//! since they keep the old values.
//! ```
//! use layers::prelude::*;
//!
//! let dev = Cpu::default();
//! let encoder = dev.build_module::<Linear<2, 3>, f64>();
//! let twin = encoder.clone();
//! let (left, right) = (dev.tensor([1.0, 0.0]), dev.tensor([0.0, 5.0]));
//! let sum = encoder.forward(left.leaky_trace()).sum::<Rank0, _>() + twin.forward(right.leaky_trace()).sum();
//! let gradients = sum.backward();
//! assert_eq!(gradients.get(&encoder.weight).array(), [[1.0, 5.0]; 3]); // of both uses
//! assert_eq!(gradients.get(&encoder.bias).array(), [2.0; 3]);
//! ```
use dfdx::nn::tensor_collection::{
    RecursiveWalker, TensorCollection, TensorOptions, TensorVisitor, ViewTensorRef,
};
use dfdx::prelude::{OwnedTape, Rank0, Shape, Tensor, Trace, TryAdd, TryMul, TrySub};
use kernels::{Device, Real};
use layers::params::DeviceError;

use crate::Error;

/// $\lambda \lVert w^{(A)} - w^{(B)}\rVert^2$ over all trained tensors of two models, on the tape: a term of the loss that
/// draws both towards each other.
///
/// ```
/// use layers::prelude::*;
/// use optim::regularize::tying::distance;
///
/// let dev = Cpu::default();
/// let mut a = dev.build_module::<Linear<2, 1>, f64>();
/// let mut b = dev.build_module::<Linear<2, 1>, f64>();
/// (a.weight, a.bias) = (dev.tensor([[1.0, 2.0]]), dev.tensor([0.5]));
/// (b.weight, b.bias) = (dev.tensor([[1.0, 0.0]]), dev.tensor([1.5]));
/// let apart = distance(&a, &b, 0.1)?;
/// assert_eq!(apart.array(), 0.5); // 0.1 · (4 + 1)
/// let gradients = apart.backward();
/// assert_eq!(gradients.get(&a.weight).array(), [[0.0, 0.4]]);
/// assert_eq!(gradients.get(&b.weight).array(), [[0.0, -0.4]]);
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidHyper`] unless `factor` is finite and not negative; [`Error::Device`].
pub fn distance<M, E, D>(a: &M, b: &M, factor: f64) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, Error>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    if !(factor.is_finite() && factor >= 0.0) {
        return Err(Error::InvalidHyper { name: "factor", rule: "finite and not negative", value: factor });
    }
    let mut walk = Apart { sum: None };
    M::iter_tensors(&mut RecursiveWalker { m: (a, b), f: &mut walk }).map_err(DeviceError::new)?;
    let sum = walk.sum.unwrap_or_else(|| D::default().zeros::<Rank0>().leaky_trace());
    Ok(sum.try_mul(E::of(factor)).map_err(DeviceError::new)?)
}

/// Sum of squared differences so far; `None` before the first.
struct Apart<E: Real, D: Device<E>> {
    sum: Option<Tensor<Rank0, E, D, OwnedTape<E, D>>>,
}

impl<E: Real, D: Device<E>> TensorVisitor<E, D> for Apart<E, D> {
    type Viewer = (ViewTensorRef, ViewTensorRef);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (a, b): (&Tensor<S, E, D>, &Tensor<S, E, D>),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            let apart = a.leaky_trace().try_sub(b.leaky_trace())?;
            let square = kernels::try_sum_all(apart.try_square()?)?;
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum.try_add(square)?,
                None => square,
            });
        }
        Ok(None)
    }
}
