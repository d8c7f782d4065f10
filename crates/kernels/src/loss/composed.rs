//! The losses composed of dfdx operations: what `Cuda` runs, and the slow twin in the tests.
use super::{ClassLoss, DistributionLoss, LN_TAU, PairKind};
use crate::composed::{attach, softplus, sum_all};
use crate::{Device, Real, RowMajor};
use dfdx::prelude::*;

/// Value and derivatives by x and by t, as data.
fn derivatives<S: Shape, E: Real, D: Device<E>>(
    x: Tensor<S, E, D>,
    t: Tensor<S, E, D>,
    kind: PairKind,
) -> Result<[Tensor<S, E, D>; 3], D::Err> {
    let number = |value: f64| x.device().try_ones_like(&x)?.try_mul(E::of(value));
    let sign = |d: &Tensor<S, E, D>| -> Result<_, D::Err> {
        let below = d.try_lt(E::zero())?.try_choose(number(-1.0)?, number(0.0)?)?;
        d.try_gt(E::zero())?.try_choose(number(1.0)?, below)
    };
    let d = x.clone().try_sub(t.clone())?;
    // A function of the difference.
    let opposite = |value, slope: Tensor<S, E, D>| Ok([value, slope.clone(), slope.try_negate()?]);
    let huber = |delta: f64, scale: f64| -> Result<_, D::Err> {
        let size = d.clone().try_abs()?;
        let near = d.clone().try_square()?.try_mul(E::of(0.5 * scale))?;
        let far = size.clone().try_sub(E::of(0.5 * delta))?.try_mul(E::of(delta * scale))?;
        let is_near = size.try_le(E::of(delta))?;
        let slope = is_near.clone().try_choose(d.clone(), sign(&d)?.try_mul(E::of(delta))?)?;
        opposite(is_near.try_choose(near, far)?, slope.try_mul(E::of(scale))?)
    };
    let one_less = |t: Tensor<S, E, D>| t.try_negate()?.try_add(E::ONE);
    match kind {
        PairKind::Squared => opposite(d.clone().try_square()?, d.try_mul(E::of(2.0))?),
        PairKind::Absolute => opposite(d.clone().try_abs()?, sign(&d)?),
        PairKind::Huber(delta) => huber(delta, 1.0),
        PairKind::SmoothL1(beta) => huber(beta, beta.recip()),
        PairKind::LogCosh => {
            let size = d.clone().try_abs()?;
            let tail = softplus(size.clone().try_mul(E::of(-2.0))?)?;
            let value = size.try_add(tail)?.try_sub(E::of(std::f64::consts::LN_2))?;
            opposite(value, d.try_tanh()?)
        }
        PairKind::Quantile(tau) => {
            let falls = d.try_lt(E::zero())?; // t > x
            let value = falls
                .clone()
                .try_choose(d.clone().try_mul(E::of(-tau))?, d.clone().try_mul(E::of(1.0 - tau))?)?;
            let rising = d.try_gt(E::zero())?.try_choose(number(1.0 - tau)?, number(0.0)?)?;
            opposite(value, falls.try_choose(number(-tau)?, rising)?)
        }
        PairKind::BceWithLogits { positive_weight } => {
            let rest = one_less(t.clone())?;
            let (rising, falling) = (softplus(x.clone())?, softplus(x.clone().try_negate()?)?);
            let p = x.clone().try_sigmoid()?;
            let weighted = t.try_mul(E::of(positive_weight))?;
            let value =
                rest.clone().try_mul(rising.clone())?.try_add(weighted.clone().try_mul(falling.clone())?)?;
            let slope = rest.try_mul(p.clone())?.try_sub(weighted.try_mul(one_less(p)?)?)?;
            Ok([value, slope, falling.try_mul(E::of(positive_weight))?.try_sub(rising)?])
        }
        PairKind::Focal { gamma, alpha } => {
            let p = x.clone().try_sigmoid()?;
            let rest = one_less(p.clone())?;
            let power = |p: Tensor<S, E, D>| if gamma == 0.0 { number(1.0) } else { p.try_powf(gamma) };
            let if_true = power(rest.clone())?.try_mul(E::of(alpha))?;
            let if_false = power(p.clone())?.try_mul(E::of(1.0 - alpha))?;
            let (a, b) = (softplus(x.clone().try_negate()?)?, softplus(x.clone())?);
            let inner = |p: Tensor<S, E, D>, rest: Tensor<S, E, D>, a: Tensor<S, E, D>| {
                p.try_mul(E::of(gamma))?.try_mul(a)?.try_add(rest)
            };
            let falling = inner(p.clone(), rest.clone(), a.clone())?.try_mul(if_true.clone())?;
            let rising = inner(rest, p, b.clone())?.try_mul(if_false.clone())?;
            let (a, b) = (a.try_mul(if_true)?, b.try_mul(if_false)?);
            let mix = |a: Tensor<S, E, D>, b: Tensor<S, E, D>| {
                t.clone().try_mul(a)?.try_add(one_less(t.clone())?.try_mul(b)?)
            };
            let slope = mix(falling.try_negate()?, rising)?;
            Ok([mix(a.clone(), b.clone())?, slope, a.try_sub(b)?])
        }
        PairKind::Hinge | PairKind::SquaredHinge => {
            let margin = one_less(t.clone().try_mul(x.clone())?)?;
            let is_outside = margin.try_gt(E::zero())?;
            let value = margin.try_relu()?;
            let (value, factor) = match kind {
                PairKind::Hinge => (value, is_outside.try_choose(number(-1.0)?, number(0.0)?)?),
                _ => (value.clone().try_square()?, value.try_mul(E::of(-2.0))?),
            };
            Ok([value, factor.clone().try_mul(t)?, factor.try_mul(x)?])
        }
        PairKind::KlDiv => {
            let is_positive = t.try_gt(E::zero())?;
            let ln = is_positive.clone().try_choose(t.clone().try_ln()?, number(0.0)?)?;
            let value = t.clone().try_mul(ln.clone().try_sub(x.clone())?)?;
            let by_target = is_positive.try_choose(ln.try_sub(x.clone())?.try_add(E::ONE)?, number(0.0)?)?;
            Ok([value, t.try_negate()?, by_target])
        }
        PairKind::PoissonNll => {
            let rate = x.clone().try_exp()?;
            let value = rate.clone().try_sub(t.clone().try_mul(x.clone())?)?;
            Ok([value, rate.try_sub(t)?, x.try_negate()?])
        }
        PairKind::GaussianNll => {
            let precision = t.clone().try_negate()?.try_exp()?;
            let slope = x.clone().try_mul(precision)?;
            let square = x.try_mul(slope.clone())?;
            let value = t.try_add(square.clone())?.try_add(E::of(LN_TAU))?.try_mul(E::of(0.5))?;
            Ok([value, slope, one_less(square)?.try_mul(E::of(0.5))?])
        }
    }
}

pub fn pair_each<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    kind: PairKind,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let (x, target) = (x.try_row_major()?, target.try_row_major()?);
    let [value, dx, dt] = derivatives(x.retaped::<NoneTape>(), target.retaped::<NoneTape>(), kind)?;
    let zeros = value.device().try_zeros_like(&value)?;
    attach(x, value, dx)?.try_add(attach(target, zeros, dt)?)
}

pub fn pair_total<S: Shape, E: Real, D: Device<E>, T: Tape<E, D> + Merge<R>, R: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    target: Tensor<S, E, D, R>,
    kind: PairKind,
    scale: f64,
) -> Result<Tensor<Rank0, E, D, T>, D::Err> {
    sum_all(pair_each(x, target, kind)?)?.try_mul(E::of(scale))
}

/// Σ over the classes.
fn sum_rows<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C), E, D, T>,
) -> Result<Tensor<(B,), E, D, T>, D::Err> {
    x.try_sum::<(B,), Axis<1>>()
}

pub fn class_loss<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    labels: &[usize],
    loss: ClassLoss,
    weights: &[f64],
    ignored: Option<usize>,
) -> Result<Tensor<(B,), E, D, T>, D::Err> {
    let logits = logits.try_row_major()?;
    let (shape, device) = (*logits.shape(), logits.device().clone());
    let classes = shape.1.size();
    let weight = |class: usize| weights.get(class).copied().unwrap_or(1.0);
    let rows: Vec<(usize, f64)> = labels
        .iter()
        .map(|&label| if ignored == Some(label) { (0, 0.0) } else { (label, weight(label)) })
        .collect();
    let matrix = |f: &dyn Fn(usize, usize, f64) -> f64| {
        let all =
            rows.iter().flat_map(|&(label, w)| (0..classes).map(move |k| E::of(f(label, k, w)))).collect();
        device.try_tensor_from_vec(all, shape)
    };
    let column = |f: &dyn Fn(f64) -> f64| {
        device.try_tensor_from_vec(rows.iter().map(|row| E::of(f(row.1))).collect(), (shape.0,))
    };
    let onehot = matrix(&|label, k, w| if k == label && w > 0.0 { w } else { 0.0 })?;
    let is = |label: usize, k: usize| if k == label { 1.0 } else { 0.0 };
    match loss {
        ClassLoss::Nll => sum_rows(logits.try_mul(onehot.try_negate()?)?),
        ClassLoss::CrossEntropy { label_smoothing } => {
            let share = label_smoothing / classes as f64;
            let target = matrix(&|label, k, w| {
                let kept = (1.0 - label_smoothing) * w * is(label, k);
                if w == 0.0 { 0.0 } else { -kept - share * weight(k) }
            })?;
            sum_rows(logits.try_log_softmax::<Axis<1>>()?.try_mul(target)?)
        }
        ClassLoss::ConfidencePenalty { beta } => {
            let ln = logits.try_log_softmax::<Axis<1>>()?;
            let negative_entropy = sum_rows(ln.with_empty_tape().try_exp()?.try_mul(ln.with_empty_tape())?)?;
            let penalty = negative_entropy.try_mul(column(&|w| w * beta)?)?;
            sum_rows(ln.try_mul(onehot.try_negate()?)?)?.try_add(penalty)
        }
        ClassLoss::MultiMargin { margin } | ClassLoss::CrammerSinger { margin } => {
            let mask = matrix(&|label, k, _| is(label, k))?;
            let of_label = sum_rows(logits.with_empty_tape().try_mul(mask.clone())?)?;
            let bound = of_label
                .try_negate()?
                .try_add(E::of(margin))?
                .try_broadcast_like::<(B, C), Axis<1>>(&shape)?;
            let others = mask.try_negate()?.try_add(E::ONE)?;
            let violations = logits.try_add(bound)?.try_relu()?.try_mul(others)?;
            match loss {
                ClassLoss::MultiMargin { .. } => {
                    sum_rows(violations)?.try_mul(column(&|w| w / classes as f64)?)
                }
                _ => {
                    let worst = crate::reduce::composed::reduce::<(B, C), Axis<1>, E, D, T>;
                    worst(violations, crate::Reduction::Max)?.try_mul(column(&|w| w)?)
                }
            }
        }
        of_probability => {
            let mask = matrix(&|label, k, _| is(label, k))?;
            let ln = sum_rows(logits.try_log_softmax::<Axis<1>>()?.try_mul(mask)?)?;
            // Few numbers: on the host, in f64.
            let all = if rows.is_empty() { vec![] } else { ln.as_vec() };
            let values: Vec<[f64; 2]> =
                all.iter().map(|ln| of_log_probability(of_probability, ln.as_f64())).collect();
            let pick = |i: usize| {
                let picked = values.iter().zip(&rows).map(|(value, row)| E::of(value[i] * row.1)).collect();
                device.try_tensor_from_vec(picked, (shape.0,))
            };
            attach(ln, pick(0)?, pick(1)?)
        }
    }
}

/// Loss and its derivative by ln p of the label.
fn of_log_probability(loss: ClassLoss, ln: f64) -> [f64; 2] {
    let p = ln.exp();
    match loss {
        ClassLoss::Focal { gamma } => {
            let power = (1.0 - p).powf(gamma);
            let inner = if gamma == 0.0 { 0.0 } else { gamma * (1.0 - p).powf(gamma - 1.0) * p * ln };
            [-power * ln, inner - power]
        }
        ClassLoss::GeneralisedCrossEntropy { q } => [(1.0 - p.powf(q)) / q, -p.powf(q)],
        ClassLoss::AbsoluteError => [2.0 * (1.0 - p), -2.0 * p],
        ClassLoss::SymmetricCrossEntropy { alpha, beta, log_zero } => {
            [-alpha * ln - beta * log_zero * (1.0 - p), beta * log_zero * p - alpha]
        }
        other => unreachable!("{other:?} is no function of one probability"),
    }
}

pub fn distribution_loss<B: Dim, C: Dim, E: Real, D: Device<E>, T: Tape<E, D>>(
    logits: Tensor<(B, C), E, D, T>,
    targets: &Tensor<(B, C), E, D>,
    loss: DistributionLoss,
) -> Result<Tensor<(B,), E, D, T>, D::Err> {
    let q = targets.clone().try_row_major()?;
    let ln = logits.try_row_major()?.try_log_softmax::<Axis<1>>()?;
    // q ln q, 0 at 0
    let zeros = q.device().try_zeros_like(&q)?;
    let ln_q = q.clone().try_ln()?;
    let own = || q.try_gt(E::zero())?.try_choose(q.clone().try_mul(ln_q.clone())?, zeros.clone());
    match loss {
        DistributionLoss::CrossEntropy => sum_rows(ln.try_mul(q.try_negate()?)?),
        DistributionLoss::KlForward => {
            let own = own()?;
            sum_rows(ln.try_mul(q.try_negate()?)?.try_add(own)?)
        }
        DistributionLoss::KlReverse => {
            let p = ln.with_empty_tape().try_exp()?;
            sum_rows(ln.try_sub(ln_q)?.try_mul(p)?)
        }
        DistributionLoss::JensenShannon => {
            let own = own()?;
            let p = ln.with_empty_tape().try_exp()?;
            let ln_m = p.with_empty_tape().try_add(q.clone())?.try_mul(E::of(0.5))?.try_ln()?;
            let of_p = ln.try_sub(ln_m.with_empty_tape())?.try_mul(p)?;
            let of_q = ln_m.try_mul(q)?.try_negate()?.try_add(own)?;
            sum_rows(of_p.try_add(of_q)?)?.try_mul(E::of(0.5))
        }
    }
}
