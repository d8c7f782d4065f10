//! Every operation composed of dfdx's own: what `Cuda` runs, and the slow twin that tests hold the fused form against.
use crate::formulas::SELU;
use crate::{ActivationKind, Device, FeaturesLast, InputGradient, Real, RowMajor};
use dfdx::prelude::*;

/// `value + slope * (x - x)`: has the value `value` and, on the tape, the derivative `slope` with respect to `x`.
/// It takes both from formulas that dfdx can compute but not differentiate rightly at every point.
pub(crate) fn attach<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
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
pub(crate) fn softplus<S: Shape, E: Real, D: Device<E>>(
    x: Tensor<S, E, D>,
) -> Result<Tensor<S, E, D>, D::Err> {
    let tail = x.clone().try_abs()?.try_negate()?.try_exp()?.try_add(E::ONE)?.try_ln()?;
    x.try_relu()?.try_add(tail)
}

/// φ(x), φ′(x) and φ″(x) as data.
fn derivatives<S: Shape, E: Real, D: Device<E>>(
    x: Tensor<S, E, D>,
    kind: ActivationKind,
) -> Result<[Tensor<S, E, D>; 3], D::Err> {
    use ActivationKind as K;
    let number = |value: f64| -> Result<_, D::Err> { x.device().try_ones_like(&x)?.try_mul(E::of(value)) };
    let sigmoid = |x: Tensor<S, E, D>| x.try_sigmoid();
    // `above` where x > bound, else `otherwise`.
    let choose =
        |bound: f64, above: Tensor<S, E, D>, otherwise| x.try_gt(E::of(bound))?.try_choose(above, otherwise);
    let choose_at_least =
        |bound: f64, above: Tensor<S, E, D>, otherwise| x.try_ge(E::of(bound))?.try_choose(above, otherwise);
    // λ x for positive x, else λ α (eʳˣ − 1).
    let elu = |above: f64, below: f64, rate: f64| -> Result<_, D::Err> {
        let negative = x.clone().try_minimum(number(0.0)?)?; // e to the power of what is not chosen may not overflow
        let e = negative.clone().try_mul(E::of(rate))?.try_exp()?;
        let falling = expm1(negative.try_mul(E::of(rate))?)?.try_mul(E::of(below))?;
        let curvature = e.clone().try_mul(E::of(below * rate * rate))?;
        Ok([
            choose(0.0, x.clone().try_mul(E::of(above))?, falling)?,
            choose(0.0, number(above)?, e.try_mul(E::of(below * rate))?)?,
            choose_at_least(0.0, number(0.0)?, curvature)?,
        ])
    };
    // 1 between the bounds, `edge` at them, 0 outside.
    let inside = |low: f64, high: f64, edge: f64| -> Result<_, D::Err> {
        let above = choose_at_least(low, choose(low, number(1.0)?, number(edge)?)?, number(0.0)?)?;
        choose_at_least(high, choose(high, number(0.0)?, number(edge)?)?, above)
    };
    let swish = |beta: f64| -> Result<_, D::Err> {
        let z = x.clone().try_mul(E::of(beta))?;
        let s = sigmoid(z.clone())?;
        let rest = complement(s.clone())?;
        let slope = z.clone().try_mul(rest.clone())?.try_add(E::ONE)?.try_mul(s.clone())?;
        let difference = rest.clone().try_sub(s.clone())?; // 1 - 2 sigmoid
        let curvature = z.try_mul(difference)?.try_add(E::of(2.0))?.try_mul(s.clone())?.try_mul(rest)?;
        Ok([x.clone().try_mul(s)?, slope, curvature.try_mul(E::of(beta))?])
    };
    let softplus_of = |beta: f64| -> Result<_, D::Err> {
        let z = x.clone().try_mul(E::of(beta))?;
        let s = sigmoid(z.clone())?;
        let curvature = s.clone().try_mul(complement(s.clone())?)?.try_mul(E::of(beta))?;
        Ok([softplus(z)?.try_mul(E::of(beta.recip()))?, s, curvature])
    };
    let tanh = |a: f64, b: f64| -> Result<_, D::Err> {
        let t = x.clone().try_mul(E::of(b))?.try_tanh()?;
        let slope = complement(t.clone().try_square()?)?.try_mul(E::of(a * b))?;
        let curvature = t.clone().try_mul(slope.clone())?.try_mul(E::of(-2.0 * b))?;
        Ok([t.try_mul(E::of(a))?, slope, curvature])
    };
    // xᵖ; a factor of 0 stays 0 also where the power is infinite.
    let power = |factor: f64, p: f64| -> Result<_, D::Err> {
        match (factor, p) {
            (0.0, _) => number(0.0),
            (_, 0.0) => number(factor),
            _ => x.clone().try_powf(p)?.try_mul(E::of(factor)),
        }
    };
    let powers = |p: f64| Ok([power(1.0, p)?, power(p, p - 1.0)?, power(p * (p - 1.0), p - 2.0)?]);
    match kind {
        K::Identity => Ok([x.clone(), number(1.0)?, number(0.0)?]),
        K::Relu => Ok([x.clone().try_relu()?, where_positive(&x, 0.0)?, number(0.0)?]),
        K::LeakyRelu(negative_slope) => {
            let slope = where_positive(&x, negative_slope)?;
            Ok([x.clone().try_mul(slope.clone())?, slope, number(0.0)?])
        }
        K::Relu6 => Ok([x.clone().try_clamp(0.0, 6.0)?, inside(0.0, 6.0, 0.0)?, number(0.0)?]),
        K::ReluSquared => {
            let y = x.clone().try_relu()?;
            let curvature = where_positive(&x, 0.0)?.try_mul(E::of(2.0))?;
            Ok([y.clone().try_square()?, y.try_mul(E::of(2.0))?, curvature])
        }
        K::Elu(alpha) => elu(1.0, alpha, 1.0),
        K::Celu(alpha) => elu(1.0, alpha, alpha.recip()),
        K::Selu => elu(SELU[0], SELU[0] * SELU[1], 1.0),
        K::Sigmoid => {
            let s = sigmoid(x.clone())?;
            let rest = complement(s.clone())?;
            let slope = s.clone().try_mul(rest.clone())?;
            let curvature = slope.clone().try_mul(rest.try_sub(s.clone())?)?;
            Ok([s, slope, curvature])
        }
        K::Tanh => tanh(1.0, 1.0),
        K::LecunTanh => tanh(1.7159, 2.0 / 3.0),
        K::Gelu => {
            let density = normal_density(x.clone())?;
            let slope = x.clone().try_mul(density.clone())?.try_add(normal_distribution(x.clone())?)?;
            let curvature = x.clone().try_square()?.try_negate()?.try_add(E::of(2.0))?.try_mul(density)?;
            Ok([x.clone().try_accurate_gelu()?, slope, curvature])
        }
        K::GeluTanh => {
            // x σ(v), v = c (x + k x³)
            let (c, k) = (2.0 * std::f64::consts::FRAC_2_PI.sqrt(), 0.044715);
            let square = x.clone().try_square()?;
            let v = square.clone().try_mul(E::of(c * k))?.try_add(E::of(c))?.try_mul(x.clone())?;
            let dv = square.try_mul(E::of(3.0 * c * k))?.try_add(E::of(c))?;
            let s = sigmoid(v)?;
            let rest = complement(s.clone())?;
            let ds = s.clone().try_mul(rest.clone())?; // by v
            let slope = x.clone().try_mul(ds.clone())?.try_mul(dv.clone())?.try_add(s.clone())?;
            let bend = rest.try_sub(s.clone())?.try_mul(dv.clone().try_square()?)?;
            let bend = bend.try_add(x.clone().try_mul(E::of(6.0 * c * k))?)?.try_mul(x.clone())?;
            let curvature = dv.try_mul(E::of(2.0))?.try_add(bend)?.try_mul(ds)?;
            Ok([x.clone().try_mul(s)?, slope, curvature])
        }
        K::Silu => swish(1.0),
        K::Swish(beta) => swish(beta),
        K::Mish => {
            let t = softplus(x.clone())?.try_tanh()?;
            let s = sigmoid(x.clone())?;
            let dt = complement(t.clone().try_square()?)?.try_mul(s.clone())?;
            let slope = x.clone().try_mul(dt.clone())?.try_add(t.clone())?;
            let bend = complement(s.clone())?.try_sub(t.clone().try_mul(s)?.try_mul(E::of(2.0))?)?;
            let curvature = bend.try_mul(x.clone())?.try_add(E::of(2.0))?.try_mul(dt)?;
            Ok([x.clone().try_mul(t)?, slope, curvature])
        }
        K::Softplus => softplus_of(1.0),
        K::SoftplusBeta(beta) => softplus_of(beta),
        K::LogSigmoid => softplus_of(-1.0),
        K::Squareplus(b) => {
            let root = x.clone().try_square()?.try_add(E::of(b))?.try_sqrt()?;
            let value = x.clone().try_add(root.clone())?.try_mul(E::of(0.5))?;
            let slope = value.clone().try_div(root.clone())?;
            let cube = root.clone().try_square()?.try_mul(root)?;
            Ok([value, slope, number(0.5 * b)?.try_div(cube)?])
        }
        K::Softsign => {
            let r = x.clone().try_abs()?.try_add(E::ONE)?.try_recip()?;
            let value = x.clone().try_mul(r.clone())?;
            let slope = r.clone().try_square()?;
            let sign = choose(0.0, number(-2.0)?, choose_at_least(0.0, number(0.0)?, number(2.0)?)?)?;
            Ok([value, slope.clone(), slope.try_mul(r)?.try_mul(sign)?])
        }
        K::HardTanh => Ok([x.clone().try_clamp(-1.0, 1.0)?, inside(-1.0, 1.0, 0.0)?, number(0.0)?]),
        K::HardSigmoid => {
            let value = x.clone().try_add(E::of(3.0))?.try_clamp(0.0, 6.0)?.try_div(E::of(6.0))?;
            Ok([value, inside(-3.0, 3.0, 0.0)?.try_div(E::of(6.0))?, number(0.0)?])
        }
        K::HardSwish => {
            let gate = x.clone().try_add(E::of(3.0))?.try_clamp(0.0, 6.0)?.try_div(E::of(6.0))?;
            let middle = x.clone().try_div(E::of(3.0))?.try_add(E::of(0.5))?;
            let slope = choose(-3.0, choose_at_least(3.0, number(1.0)?, middle)?, number(0.0)?)?;
            Ok([x.clone().try_mul(gate)?, slope, inside(-3.0, 3.0, 0.0)?.try_div(E::of(3.0))?])
        }
        K::Exp => {
            let y = x.clone().try_exp()?;
            Ok([y.clone(), y.clone(), y])
        }
        K::Expm1 => {
            let e = x.clone().try_exp()?;
            Ok([expm1(x.clone())?, e.clone(), e])
        }
        K::Ln => {
            let slope = x.clone().try_recip()?;
            Ok([x.clone().try_ln()?, slope.clone(), slope.try_square()?.try_negate()?])
        }
        K::Ln1p => {
            // Kahan: ln(u) x / (u - 1) with u = 1 + x, and x itself where u is rounded to 1.
            let u = x.clone().try_add(E::ONE)?;
            let long = u.clone().try_ln()?.try_mul(x.clone().try_div(u.clone().try_sub(E::ONE)?)?)?;
            let value = u.try_eq(E::ONE)?.try_choose(x.clone(), long)?;
            let slope = u.try_recip()?;
            Ok([value, slope.clone(), slope.try_square()?.try_negate()?])
        }
        K::Sqrt => {
            let y = x.clone().try_sqrt()?;
            let slope = y.clone().try_recip()?.try_mul(E::of(0.5))?;
            let curvature = slope.clone().try_div(x.clone())?.try_mul(E::of(-0.5))?;
            Ok([y, slope, curvature])
        }
        K::Power(p) => powers(p),
        K::Abs => {
            let sign = choose(0.0, number(1.0)?, choose_at_least(0.0, number(0.0)?, number(-1.0)?)?)?;
            Ok([x.clone().try_abs()?, sign, number(0.0)?])
        }
        K::Clamp { low, high } => {
            Ok([x.clone().try_clamp(low, high)?, inside(low, high, 1.0)?, number(0.0)?])
        }
        K::Erf => {
            // 2 Φ(√2 x) − 1
            let z = x.clone().try_mul(E::of(std::f64::consts::SQRT_2))?;
            let value = normal_distribution(z)?.try_mul(E::of(2.0))?.try_sub(E::ONE)?;
            let bell = x.clone().try_square()?.try_negate()?.try_exp()?;
            let slope = bell.try_mul(E::of(std::f64::consts::FRAC_2_SQRT_PI))?;
            let curvature = slope.clone().try_mul(x.clone())?.try_mul(E::of(-2.0))?;
            Ok([value, slope, curvature])
        }
        K::Sin => {
            let y = x.clone().try_sin()?;
            Ok([y.clone(), x.clone().try_cos()?, y.try_negate()?])
        }
        K::Cos => {
            let y = x.clone().try_cos()?;
            Ok([y.clone(), x.clone().try_sin()?.try_negate()?, y.try_negate()?])
        }
    }
}

/// eˣ − 1 = tanh(x/2) (eˣ + 1), which does not cancel.
fn expm1<S: Shape, E: Real, D: Device<E>>(x: Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err> {
    let half = x.clone().try_mul(E::of(0.5))?.try_tanh()?;
    x.try_exp()?.try_add(E::ONE)?.try_mul(half)
}

pub fn activate<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    kind: ActivationKind,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    // Those that dfdx differentiates rightly itself.
    match kind {
        ActivationKind::Identity => Ok(x),
        ActivationKind::Relu => x.try_relu(),
        ActivationKind::Sigmoid => x.try_sigmoid(),
        ActivationKind::Tanh => x.try_tanh(),
        ActivationKind::Exp => x.try_exp(),
        ActivationKind::Sin => x.try_sin(),
        ActivationKind::Cos => x.try_cos(),
        kind => {
            let [value, slope, _] = derivatives(x.retaped::<NoneTape>(), kind)?;
            attach(x, value, slope)
        }
    }
}

pub fn activation_slope<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    kind: ActivationKind,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    match kind {
        ActivationKind::Sigmoid => {
            let y = x.try_sigmoid()?;
            let rest = y.with_empty_tape().try_negate()?.try_add(E::ONE)?;
            y.try_mul(rest)
        }
        ActivationKind::Tanh => x.try_tanh()?.try_square()?.try_negate()?.try_add(E::ONE),
        kind => {
            let [_, slope, curvature] = derivatives(x.retaped::<NoneTape>(), kind)?;
            attach(x, slope, curvature)
        }
    }
}

pub fn softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    // dfdx's reductions give wrong gradients for permuted inputs.
    x.try_row_major()?.try_softmax::<S::LastAxis>()
}

pub fn log_softmax<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    x.try_row_major()?.try_log_softmax::<S::LastAxis>()
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
    let x = x.try_reshaped(&(rows, Const::<I>))?;
    let weight = weight.retaped::<T>().try_row_major()?.try_permute::<Rank2<I, O>, Axes2<1, 0>>()?;
    let bias = bias.retaped::<T>().try_broadcast_like::<_, Axis<0>>(&(rows, Const::<O>))?;
    activate(x.try_matmul(weight)?.try_add(bias)?, kind)?.try_reshaped(&shape)
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
