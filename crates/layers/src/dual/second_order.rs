//! Gradient norms and penalties, Hessian-vector products, Jacobian traces.
use super::Dual;
use super::operations::{per_sample_sum, samples_and_features};
use crate::params::{self, DeviceError, ParamsError};
use dfdx::nn::Module;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{
    Axis, Backward, BroadcastTo, ChooseFrom, Const, Dim, Gradients, HasShape, OwnedTape, Rank0, Shape, SumTo,
    Tensor, Trace, TryAdd, TryDiv, TryEq, TryMul, TrySub,
};
use kernels::{Device, Real, RowMajor};

type Taped<S, E, D> = Tensor<S, E, D, OwnedTape<E, D>>;
type TapedDual<S, E, D> = Dual<S, E, D, OwnedTape<E, D>>;

/// $\nabla_x \sum f(x)$: the gradient of the sum of all outputs by the input, without a tape. When each sample has one
/// output, row n is the gradient of output n by sample n (samples must not interact in the model).
///
/// # Examples
/// ```
/// use layers::{input_gradient, prelude::*};
/// let dev = Cpu::default();
/// let model = dev.build_module::<(Linear<2, 1>, Tanh), f64>();
/// let x: Tensor<Rank2<3, 2>, f64, _> = dev.sample_normal();
/// let slope = model.forward(x.clone()).square().negate() + 1.0; // (3, 1): 1 - tanh²
/// let gradient = input_gradient(&model, &x).array();
/// assert!((gradient[0][1] - slope.array()[0][0] * model.0.weight.array()[0][1]).abs() < 1e-15);
/// ```
///
/// # Panics
/// When the device fails; [`try_input_gradient`] returns the error.
pub fn input_gradient<M, S, O, E, D>(model: &M, x: &Tensor<S, E, D>) -> Tensor<S, E, D>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    try_input_gradient(model, x).unwrap()
}

/// Fallible twin of [`input_gradient`].
///
/// # Errors
/// The device's error.
pub fn try_input_gradient<M, S, O, E, D>(model: &M, x: &Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    let mut gradients = kernels::try_sum_all(model.try_forward(x.leaky_trace())?)?.try_backward()?;
    gradients.try_alloc_for(x)?; // zeros if the output does not depend on x
    Ok(gradients.get(x))
}

/// $|\nabla_x f(x_n)|$ of every sample, with a tape: its gradient by the weights is exact.
///
/// The direction $v = g/|g|$ of the gradient $g$ is held fixed. The derivative along it equals $|g|$, and because the
/// derivative of a norm is the unit vector, its weight gradient is that of the norm. Where $g = 0$ the norm is not
/// differentiable: its gradient counts as zero there.
///
/// `x` is data: the result has no gradient for it. Outputs of one sample are added up first.
///
/// # Examples
/// The R1 penalty of a discriminator (Mescheder et al. 2018), half the mean squared norm:
/// ```
/// use layers::{input_gradient_norm, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let discriminator = dev.build_module::<(Linear<2, 16, Softplus>, Linear<16, 1>), f32>();
/// let real: Tensor<Rank2<8, 2>, f32, _> = dev.sample_normal();
/// let r1 = input_gradient_norm(&discriminator, &real).square().mean() * 0.5;
/// let gradients = r1.backward();
/// assert!(gradients.get(&discriminator.0.weight).array()[0][0] != 0.0);
/// ```
///
/// # Panics
/// When the device fails; [`try_input_gradient_norm`] returns the error.
pub fn input_gradient_norm<M, S, O, E, D>(model: &M, x: &Tensor<S, E, D>) -> Taped<(usize,), E, D>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>
        + Module<TapedDual<S, E, D>, Output = TapedDual<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    try_input_gradient_norm(model, x).unwrap()
}

/// Fallible twin of [`input_gradient_norm`].
///
/// # Errors
/// The device's error.
// ANCHOR: input_gradient_norm
pub fn try_input_gradient_norm<M, S, O, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
) -> Result<Taped<(usize,), E, D>, D::Err>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>
        + Module<TapedDual<S, E, D>, Output = TapedDual<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    let gradient = try_input_gradient(model, x)?;
    let (samples, features) = samples_and_features(x.shape());
    let rows = gradient.try_reshaped(&(samples, features))?;
    let norm = rows.clone().try_square()?.try_sum::<(usize,), Axis<1>>()?.try_sqrt()?;
    let one = norm.device().try_ones_like(&norm)?;
    let norm = norm.try_eq(E::zero())?.try_choose(one, norm)?; // 0 / 1 and not 0 / 0
    let direction = rows
        .try_div(norm.try_broadcast_like::<_, Axis<1>>(&(samples, features))?)?
        .try_reshaped(x.shape())?;
    let along = model.try_forward(Dual::new(x.leaky_trace(), direction))?;
    per_sample_sum(along.tangent())
}
// ANCHOR_END: input_gradient_norm

/// Mean over samples of $(|\nabla_x f(x_n)| - t)^2$ with a tape: with `target` 1 the penalty of WGAN-GP.
///
/// **Paper**: Gulrajani et al. (2017), Improved Training of Wasserstein GANs, arXiv 1704.00028. There `x` lies between
/// real and generated samples; choosing it is the caller's part, and so is the coefficient (10 in the paper).
///
/// # Examples
/// ```
/// use layers::{gradient_penalty, prelude::*};
/// let dev = Cpu::default();
/// let mut critic = dev.build_module::<Linear<2, 1>, f64>();
/// critic.weight = dev.tensor([[3.0, 4.0]]); // the gradient is (3, 4) everywhere
/// let x: Tensor<Rank2<7, 2>, f64, _> = dev.sample_normal();
/// let penalty = gradient_penalty(&critic, &x, 1.0);
/// assert!((penalty.array() - 16.0).abs() < 1e-13);
/// let gradient = penalty.backward().get(&critic.weight).array(); // 2 (|w| - 1) w / |w|
/// assert!((gradient[0][0] - 4.8).abs() < 1e-13 && (gradient[0][1] - 6.4).abs() < 1e-13);
/// ```
///
/// # Panics
/// When the device fails; [`try_gradient_penalty`] returns the error.
pub fn gradient_penalty<M, S, O, E, D>(model: &M, x: &Tensor<S, E, D>, target: f64) -> Taped<Rank0, E, D>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>
        + Module<TapedDual<S, E, D>, Output = TapedDual<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    try_gradient_penalty(model, x, target).unwrap()
}

/// Fallible twin of [`gradient_penalty`].
///
/// # Errors
/// The device's error.
pub fn try_gradient_penalty<M, S, O, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    target: f64,
) -> Result<Taped<Rank0, E, D>, D::Err>
where
    M: Module<Taped<S, E, D>, Output = Taped<O, E, D>, Error = D::Err>
        + Module<TapedDual<S, E, D>, Output = TapedDual<O, E, D>, Error = D::Err>,
    S: Shape,
    O: Shape,
    E: Real,
    D: Device<E>,
{
    kernels::try_mean_all(try_input_gradient_norm(model, x)?.try_sub(E::of(target))?.try_square()?)
}

/// $H v$, the Hessian of a loss by the weights of `model` times a flat vector, in the order of [`params::flatten`].
///
/// `loss(model, direction)` must run the model with [`Along`](super::Along) and end in a scalar dual. The Hessian is
/// never formed: the cost is that of two or three gradients, whatever the number of weights.
///
/// # Examples
/// ```
/// use layers::{Along, Dual, hessian_vector_product, params, prelude::*};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Linear<2, 3, Tanh>, Linear<3, 1>), f64>();
/// let (x, y): (Tensor<Rank2<5, 2>, f64, _>, Tensor<Rank2<5, 1>, f64, _>) = (dev.sample_normal(), dev.sample_normal());
/// let v = vec![1.0; params::count(&model)];
/// let hv = hessian_vector_product(&model, &v, |model, direction| {
///     model.along(direction, Dual::constant(x.leaky_trace())).mse_mean(y.clone())
/// })?;
/// assert_eq!(hv.len(), v.len());
/// # Ok::<(), params::ParamsError>(())
/// ```
///
/// # Errors
/// [`ParamsError::Length`] when `vector` has another length than the model, and the device's error.
pub fn hessian_vector_product<M, E, D>(
    model: &M,
    vector: &[E],
    loss: impl FnOnce(&M, &M) -> TapedDual<Rank0, E, D>,
) -> Result<Vec<E>, ParamsError>
where
    M: TensorCollection<E, D> + Clone,
    E: Real,
    D: Device<E>,
{
    let mut direction = model.clone();
    params::unflatten(&mut direction, vector)?;
    let slope = loss(model, &direction).tangent(); // v . grad L, a number whose gradient is H v
    let mut gradients: Gradients<E, D> = slope.try_backward().map_err(DeviceError::new)?;
    Ok(params::flatten_gradients(model, &mut gradients)?)
}

/// $\mathrm{tr}\,\partial f/\partial x = \sum_i e_i^\top J e_i$ of every sample, exact, with a tape.
///
/// **Use it** for up to some ten features: it takes one forward pass per feature. Beyond, estimate with
/// [`hutchinson_trace`].
///
/// # Examples
/// ```
/// use layers::{jacobian_trace, prelude::*};
/// let dev = Cpu::default();
/// let mut field = dev.build_module::<Linear<2, 2>, f64>();
/// field.weight = dev.tensor([[1.0, 5.0], [7.0, 2.0]]);
/// let x: Tensor<Rank2<4, 2>, f64, _> = dev.sample_normal();
/// assert_eq!(jacobian_trace(&field, &x).as_vec(), [3.0; 4]);
/// ```
///
/// # Panics
/// When the device fails; [`try_jacobian_trace`] returns the error.
pub fn jacobian_trace<M, B, const F: usize, E, D>(
    model: &M,
    x: &Tensor<(B, Const<F>), E, D>,
) -> Taped<(usize,), E, D>
where
    M: Module<TapedDual<(B, Const<F>), E, D>, Output = TapedDual<(B, Const<F>), E, D>, Error = D::Err>,
    B: Dim,
    E: Real,
    D: Device<E>,
{
    try_jacobian_trace(model, x).unwrap()
}

/// Fallible twin of [`jacobian_trace`].
///
/// # Errors
/// The device's error.
pub fn try_jacobian_trace<M, B, const F: usize, E, D>(
    model: &M,
    x: &Tensor<(B, Const<F>), E, D>,
) -> Result<Taped<(usize,), E, D>, D::Err>
where
    M: Module<TapedDual<(B, Const<F>), E, D>, Output = TapedDual<(B, Const<F>), E, D>, Error = D::Err>,
    B: Dim,
    E: Real,
    D: Device<E>,
{
    let (samples, features) = samples_and_features(x.shape());
    let mut trace: Taped<(usize,), E, D> = x.device().try_zeros_like(&(samples,))?.leaky_traced();
    for feature in 0..features {
        let mut unit = vec![E::zero(); samples * features];
        unit.iter_mut().skip(feature).step_by(features).for_each(|element| *element = E::one());
        let unit = x.device().try_tensor_from_vec(unit, *x.shape())?;
        trace = trace.try_add(try_hutchinson_trace(model, x, &unit)?)?;
    }
    Ok(trace)
}

/// $\varepsilon^\top J \varepsilon$ of every sample, with a tape: an unbiased estimate of the trace of the Jacobian when
/// the elements of `probe` are independent with mean 0 and variance 1 (signs have the smaller variance).
///
/// **Papers**: Hutchinson (1989), A stochastic estimator of the trace of the influence matrix; Grathwohl et al. (2019),
/// FFJORD, arXiv 1810.01367.
///
/// # Panics
/// When the device fails; [`try_hutchinson_trace`] returns the error.
pub fn hutchinson_trace<M, S, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    probe: &Tensor<S, E, D>,
) -> Taped<(usize,), E, D>
where
    M: Module<TapedDual<S, E, D>, Output = TapedDual<S, E, D>, Error = D::Err>,
    S: Shape,
    E: Real,
    D: Device<E>,
{
    try_hutchinson_trace(model, x, probe).unwrap()
}

/// Fallible twin of [`hutchinson_trace`].
///
/// # Errors
/// The device's error.
pub fn try_hutchinson_trace<M, S, E, D>(
    model: &M,
    x: &Tensor<S, E, D>,
    probe: &Tensor<S, E, D>,
) -> Result<Taped<(usize,), E, D>, D::Err>
where
    M: Module<TapedDual<S, E, D>, Output = TapedDual<S, E, D>, Error = D::Err>,
    S: Shape,
    E: Real,
    D: Device<E>,
{
    let along = model.try_forward(Dual::new(x.leaky_trace(), probe.clone()))?;
    per_sample_sum(along.tangent().try_mul(probe.clone())?)
}
