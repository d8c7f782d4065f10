//! Tangent propagation: outputs shall not change along directions that do not change the class.
//!
//! $$ \Omega = \frac1B \sum_n \lVert J_f(x_n)\, t_n \rVert^2 $$
//!
//! $J_f t$ is computed forward, by [`layers::Dual`], on the ordinary tape; so `backward` of $\Omega$ is exact, although
//! $\Omega$ contains a derivative. The direction $t_n$ of an image is the difference between the image and the same
//! image shifted or rotated a little ([`super::augment`]).
//!
//! **Paper**: Simard, Victorri, LeCun & Denker (1992), Tangent prop.
//! **Deviation**: the sum of squares over outputs, averaged over the batch; Simard adds a weight $\mu$, which the caller
//! multiplies.
use dfdx::nn::Module;
use dfdx::prelude::{Dim, HasShape, OwnedTape, Rank0, Shape, Tensor, Trace, TryMul};
use kernels::{Device, Real};
use layers::Dual;

// ANCHOR: tangent
/// $\Omega$ with its tape, for one direction per sample.
///
/// # Errors
/// The device's error.
pub fn tangent_penalty<M, S, B, C, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    directions: Tensor<S, E, D>,
) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, D::Err>
where
    S: Shape,
    B: Dim,
    C: Dim,
    E: Real,
    D: Device<E>,
    M: Module<Dual<S, E, D, OwnedTape<E, D>>, Output = Dual<(B, C), E, D, OwnedTape<E, D>>, Error = D::Err>,
{
    let slope = model.try_forward(Dual::new(x.leaky_trace(), directions))?.tangent();
    let samples = slope.shape().0.size() as f64;
    kernels::try_sum_all(slope.try_square()?)?.try_mul(E::of(1.0 / samples))
}
// ANCHOR_END: tangent
