//! The rectifier whose slope for negative inputs is learned.
//!
//! $$ y = \max(x, 0) - a \max(-x, 0), \qquad \frac{\partial y}{\partial a} = \min(x, 0) $$
//!
//! One slope $a$ for all elements, 0.25 at the start. The derivative at 0 is that of PyTorch for the other rectifiers, 0
//! times each side. **Paper**: He, Zhang, Ren & Sun (2015), Delving deep into rectifiers, arXiv 1502.01852; do not put
//! weight decay on $a$, which would pull it towards the plain rectifier.
use crate::{Along, Dual};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{
    BroadcastTo, Dtype, HasShape, Rank0, Shape, Storage, Tape, Tensor, TryAdd, TryMul, TrySub, WithEmptyTape,
};
use kernels::{Device, Real, Relu, try_activate, try_activation_slope};

/// The description of the layer, for `build_module`.
pub mod builder {
    /// Builds a [`PRelu`](super::PRelu).
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let prelu = dev.build_module::<PRelu, f32>();
    /// assert_eq!(prelu.forward(dev.tensor([-2.0, 3.0])).array(), [-0.5, 3.0]);
    /// ```
    #[derive(Clone, Copy, Debug, Default)]
    pub struct PRelu;
}

/// The layer itself; [`builder::PRelu`] describes it without dtype and device.
#[derive(Clone, Debug)]
pub struct PRelu<E: Dtype, D: Storage<E>> {
    /// $a$.
    pub slope: Tensor<Rank0, E, D>,
}

impl<E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for builder::PRelu {
    type Built = PRelu<E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for PRelu<E, D> {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = PRelu<E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let slope = Self::tensor(
            "slope",
            |s| &s.slope,
            |s| &mut s.slope,
            TensorOptions::reset_with(|slope| {
                slope.copy_from(&[E::of(0.25)]);
                Ok(())
            }),
        );
        visitor.visit_fields(slope, |slope| PRelu { slope })
    }
}

impl<E: Dtype, D: Storage<E>> NonMutableModule for PRelu<E, D> {}

/// a times x, with the gradient of both.
fn scaled<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    slope: &Tensor<Rank0, E, D>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let slope = slope.retaped::<T>().try_broadcast_like::<_, S::AllAxes>(x.shape())?;
    x.try_mul(slope)
}

/// min(x, 0), also at ∞.
fn negative<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    try_activate(x.try_negate()?, Relu)?.try_negate()
}

impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for PRelu<E, D> {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let falling = scaled(negative(x.with_empty_tape())?, &self.slope)?;
        try_activate(x, Relu)?.try_add(falling)
    }
}

impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for PRelu<E, D> {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let (x, dx) = x.split();
        let above = dx.with_empty_tape().try_mul(try_activation_slope(x.with_empty_tape(), Relu)?)?;
        let below = scaled(dx.try_sub(above.with_empty_tape())?, &self.slope)?;
        Ok(Dual::join(self.try_forward(x)?, above.try_add(below)?))
    }
}

impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Along<Dual<S, E, D, T>> for PRelu<E, D> {
    type Output = Dual<S, E, D, T>;
    type Error = D::Err;
    fn try_along(&self, direction: &Self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
        let slope = direction.slope.clone().try_mul(E::ONE)?; // an id of its own: see `along`
        let moved = scaled(negative(x.with_empty_tape().value())?, &slope)?;
        let (y, dy) = self.try_forward(x)?.split();
        Ok(Dual::join(y, dy.try_add(moved)?))
    }
}
