//! Every operation composed of dfdx's own: what `Cuda` runs, and the slow twin that tests hold the fused form against.
use crate::{ActivationKind, Device, Error, FeaturesLast, InputGradient, Momentum, Real, SgdStep};
use dfdx::prelude::*;

/// `value + slope * (x - x)`: has the value `value` and, on the tape, the derivative `slope` with respect to `x`.
/// It takes both from formulas that dfdx can compute but not differentiate rightly at every point.
fn attach<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    value: Tensor<S, E, D>,
    slope: Tensor<S, E, D>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let fixed = detached(&x)?;
    x.try_sub(fixed)?.try_mul(slope)?.try_add(value)
}

/// A copy with an id of its own, so that no gradient reaches `x` through it.
fn detached<S: Shape, E: Real, D: Device<E>, T>(x: &Tensor<S, E, D, T>) -> Result<Tensor<S, E, D>, D::Err> {
    x.retaped::<NoneTape>().try_mul(E::ONE)
}

/// 1 where `x > 0`, `otherwise` elsewhere.
fn where_positive<S: Shape, E: Real, D: Device<E>>(
    x: &Tensor<S, E, D>,
    otherwise: f64,
) -> Result<Tensor<S, E, D>, D::Err> {
    let ones = x.device().try_ones_like(x)?;
    x.try_gt(E::zero())?.try_choose(ones.clone(), ones.try_mul(E::of(otherwise))?)
}

/// Standard normal density.
fn normal_density<S: Shape, E: Real, D: Device<E>>(x: Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err> {
    let scale = E::of(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
    x.try_square()?.try_mul(E::of(-0.5))?.try_exp()?.try_mul(scale)
}

/// Standard normal distribution function: GELU(x) / x, whose limit at 0 is one half. dfdx's GELU has the right
/// value but a wrong derivative (1.1835 instead of 1.0833 at x = 1), so only its value is used.
fn normal_distribution<S: Shape, E: Real, D: Device<E>>(
    x: Tensor<S, E, D>,
) -> Result<Tensor<S, E, D>, D::Err> {
    x.clone().try_accurate_gelu()?.try_div(x)?.try_nans_to(0.5)
}

/// 1 - x.
fn complement<S: Shape, E: Real, D: Device<E>>(x: Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err> {
    x.try_negate()?.try_add(E::ONE)
}

/// max(x, 0) + ln(1 + exp(-|x|)).
fn softplus<S: Shape, E: Real, D: Device<E>>(x: Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err> {
    let tail = x.clone().try_abs()?.try_negate()?.try_exp()?.try_add(E::ONE)?.try_ln()?;
    x.try_relu()?.try_add(tail)
}

pub fn activate<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    kind: ActivationKind,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let fixed = x.retaped::<NoneTape>();
    match kind {
        ActivationKind::Identity => Ok(x),
        ActivationKind::Relu => x.try_relu(),
        ActivationKind::Sigmoid => x.try_sigmoid(),
        ActivationKind::Tanh => x.try_tanh(),
        ActivationKind::LeakyRelu(negative_slope) => {
            let slope = where_positive(&fixed, negative_slope)?;
            x.try_mul(slope)
        }
        ActivationKind::Gelu => {
            let distribution = normal_distribution(fixed.clone())?;
            let slope = fixed.clone().try_mul(normal_density(fixed.clone())?)?.try_add(distribution)?;
            attach(x, fixed.try_accurate_gelu()?, slope)
        }
        ActivationKind::Silu => {
            let sigmoid = x.with_empty_tape().try_sigmoid()?;
            x.try_mul(sigmoid)
        }
        ActivationKind::Softplus => attach(x, softplus(fixed.clone())?, fixed.try_sigmoid()?),
    }
}

pub fn activation_slope<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    kind: ActivationKind,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let fixed = x.retaped::<NoneTape>();
    let flat = |x, slope| {
        let zeros = fixed.device().try_zeros_like(&fixed)?;
        attach(x, slope, zeros)
    };
    match kind {
        ActivationKind::Identity => flat(x, fixed.device().try_ones_like(&fixed)?),
        ActivationKind::Relu => flat(x, where_positive(&fixed, 0.0)?),
        ActivationKind::LeakyRelu(negative_slope) => flat(x, where_positive(&fixed, negative_slope)?),
        ActivationKind::Sigmoid => {
            let y = x.try_sigmoid()?;
            let rest = y.with_empty_tape().try_negate()?.try_add(E::ONE)?;
            y.try_mul(rest)
        }
        ActivationKind::Tanh => x.try_tanh()?.try_square()?.try_negate()?.try_add(E::ONE),
        ActivationKind::Gelu => {
            let density = normal_density(fixed.clone())?;
            let slope =
                fixed.clone().try_mul(density.clone())?.try_add(normal_distribution(fixed.clone())?)?;
            let curvature = fixed.try_square()?.try_negate()?.try_add(E::of(2.0))?.try_mul(density)?;
            attach(x, slope, curvature)
        }
        ActivationKind::Silu => {
            let s = fixed.clone().try_sigmoid()?;
            let rest = complement(s.clone())?;
            let slope = fixed.clone().try_mul(rest.clone())?.try_add(E::ONE)?.try_mul(s.clone())?;
            let difference = rest.clone().try_sub(s.clone())?; // 1 - 2 sigmoid
            let curvature = fixed.try_mul(difference)?.try_add(E::of(2.0))?.try_mul(s)?.try_mul(rest)?;
            attach(x, slope, curvature)
        }
        ActivationKind::Softplus => x.try_sigmoid(),
    }
}

pub fn softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    // dfdx's reductions give wrong gradients for permuted inputs.
    x.try_contiguous()?.try_softmax::<S::LastAxis>()
}

pub fn log_softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    x.try_contiguous()?.try_log_softmax::<S::LastAxis>()
}

pub fn linear<const I: usize, const O: usize, S: FeaturesLast<I>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: &Tensor<Rank1<O>, E, D>,
    kind: ActivationKind,
    input_gradient: InputGradient,
) -> Result<Tensor<S::With<O>, E, D, T>, D::Err> {
    let shape = x.shape().with::<O>();
    let rows = shape.num_elements() / O.max(1);
    let x = match input_gradient {
        InputGradient::Needed => x,
        InputGradient::Skipped => {
            let (x, tape) = x.split_tape();
            detached(&x)?.put_tape(tape)
        }
    };
    let x = x.try_reshape_like(&(rows, Const::<I>))?;
    let weight = weight.retaped::<T>().try_contiguous()?.try_permute::<Rank2<I, O>, Axes2<1, 0>>()?;
    let bias = bias.retaped::<T>().try_broadcast_like::<_, Axis<0>>(&(rows, Const::<O>))?;
    activate(x.try_matmul(weight)?.try_add(bias)?, kind)?.try_reshape_like(&shape)
}

pub fn cross_entropy_mean<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    let shape = *logits.shape();
    let classes = shape.1.size();
    let mut weights = vec![E::zero(); shape.num_elements()];
    for (row, label) in labels.iter().enumerate() {
        weights[row * classes + label] = -E::ONE / E::of(labels.len() as f64);
    }
    let weights = logits.device().try_tensor_from_vec(weights, shape)?;
    sum_all(log_softmax(logits)?.try_mul(weights)?)
}

pub fn bce_with_logits_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<S, E, D, T>,
    probs: &Tensor<S, E, D>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    let product = logits.with_empty_tape().try_mul(probs.clone())?;
    mean_all(activate(logits, ActivationKind::Softplus)?.try_sub(product)?)
}

pub fn mse_mean<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    y: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    mean_all(y.try_sub(target)?.try_square()?)
}

pub fn sum_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    x.try_sum::<Rank0, S::AllAxes>()
}

pub fn mean_all<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    let count = E::of(x.shape().num_elements() as f64);
    sum_all(x)?.try_div(count)
}

pub fn sgd_update<S: Shape, E: Real, D: Device<E>>(
    parameter: &mut Tensor<S, E, D>,
    gradients: &mut Gradients<E, D>,
    momentum: Momentum<'_, E, D>,
    step: SgdStep,
) -> Result<(), Error> {
    // The parameter keeps its id: its elements are replaced, not the tensor.
    let shape = *parameter.shape();
    let flat = (shape.num_elements(),);
    momentum.check(flat.0)?;
    let run = || -> Result<Vec<E>, D::Err> {
        gradients.try_alloc_for(&*parameter)?;
        let decay = parameter.clone().try_mul(E::of(step.weight_decay))?;
        let gradient = gradients.get(&*parameter).try_add(decay)?.try_reshape_like(&flat)?;
        let direction = match momentum {
            Momentum::None => gradient,
            Momentum::HeavyBall { coefficient, velocity } => {
                *velocity = velocity.clone().try_mul(E::of(coefficient))?.try_add(gradient)?;
                velocity.clone()
            }
            Momentum::Nesterov { coefficient, velocity } => {
                *velocity = velocity.clone().try_mul(E::of(coefficient))?.try_add(gradient.clone())?;
                velocity.clone().try_mul(E::of(coefficient))?.try_add(gradient)?
            }
        };
        let change = direction.try_mul(E::of(step.learning_rate))?.try_reshape_like(&shape)?;
        Ok(parameter.clone().try_sub(change)?.as_vec())
    };
    let updated = run().map_err(Error::device)?;
    parameter.copy_from(&updated);
    Ok(())
}
