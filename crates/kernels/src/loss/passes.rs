//! The loops of the losses: one formula per loss of a prediction and a target, one row function for losses of classes.
use super::{ClassLoss, DistributionLoss, PairKind};
use crate::loops::{lane_max, lane_sum, lane_sum_of};
use crate::simd::{Body, simd};
use crate::{Real, math};

/// Value, and derivatives by the prediction and by the target.
trait Pair<E>: Copy {
    fn of(self, x: E, t: E) -> [E; 3];
}

/// d², |d|, ln cosh d, and Huber's, of d = x − t: the derivatives are opposite.
#[derive(Clone, Copy)]
struct Squared;
#[derive(Clone, Copy)]
struct Absolute;
#[derive(Clone, Copy)]
struct LogCosh;
#[derive(Clone, Copy)]
struct Huber<E> {
    delta: E,
    scale: E,
}
#[derive(Clone, Copy)]
struct Quantile<E>(E);
#[derive(Clone, Copy)]
struct Bce<E>(E);
#[derive(Clone, Copy)]
struct Focal<E> {
    gamma: f64,
    alpha: E,
}
#[derive(Clone, Copy)]
struct Hinge;
#[derive(Clone, Copy)]
struct SquaredHinge;
#[derive(Clone, Copy)]
struct KlDiv;
#[derive(Clone, Copy)]
struct PoissonNll;
#[derive(Clone, Copy)]
struct GaussianNll;

/// −1, 0 or 1; NaN of NaN.
#[inline(always)]
fn sign<E: Real>(x: E) -> E {
    let sign = if x > E::zero() { E::ONE } else { x };
    if x < E::zero() { -E::ONE } else { sign }
}

#[inline(always)]
fn positive<E: Real>(x: E) -> E {
    if x < E::zero() { E::zero() } else { x }
}

/// ln(1 + eˣ).
#[inline(always)]
fn softplus<E: Real>(x: E) -> E {
    positive(x) + math::ln_1p(math::exp(-x.abs()))
}

impl<E: Real> Pair<E> for Squared {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let d = x - t;
        [d * d, d + d, -d - d]
    }
}
impl<E: Real> Pair<E> for Absolute {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let s = sign(x - t);
        [(x - t).abs(), s, -s]
    }
}
impl<E: Real> Pair<E> for LogCosh {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let d = x - t;
        let size = d.abs();
        let slope = math::tanh(d);
        // Below 1/8 the two terms cancel: d²/2 − d⁴/12 + d⁶/45 − 17 d⁸/2520 + 31 d¹⁰/14175 − 691 d¹²/935550.
        let s = d * d;
        let series = [-691.0 / 935_550.0, 31.0 / 14_175.0, -17.0 / 2520.0, 1.0 / 45.0, -1.0 / 12.0, 0.5];
        let small = series.into_iter().fold(E::zero(), |p, c| p.mul_add(s, E::of(c))) * s;
        let large = size + math::ln_1p(math::exp(-size - size)) - E::of(std::f64::consts::LN_2);
        [if size < E::of(0.125) { small } else { large }, slope, -slope]
    }
}
impl<E: Real> Pair<E> for Huber<E> {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let Self { delta, scale } = self;
        let (d, half) = (x - t, E::of(0.5));
        let is_near = d.abs() <= delta;
        let value = if is_near { half * d * d } else { delta * (d.abs() - half * delta) };
        let slope = if is_near { d } else { delta.copysign(d) };
        [scale * value, scale * slope, -scale * slope]
    }
}
impl<E: Real> Pair<E> for Quantile<E> {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let e = t - x;
        let factor = if e > E::zero() { self.0 } else { self.0 - E::ONE };
        let slope = if e == E::zero() { E::zero() } else { factor };
        [factor * e, -slope, slope]
    }
}
impl<E: Real> Pair<E> for Bce<E> {
    /// (1 − t) x + (1 + (w − 1) t) ln(1 + e⁻ˣ).
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let more = self.0 - E::ONE;
        let factor = more.mul_add(t, E::ONE);
        let s = softplus(-x);
        // The two terms cancel for large negative x: (1 − t) x + f s = f ln(1 + e^−|x|) + (f − 1 + t) |x| there.
        let tail = math::ln_1p(math::exp(-x.abs()));
        let linear = if x < E::zero() { (t - E::ONE + factor) * -x } else { (E::ONE - t) * x };
        let [p, rest] = math::sigmoids(x);
        [factor.mul_add(tail, linear), (E::ONE - t) * p - self.0 * t * rest, more.mul_add(s, -x)]
    }
}
impl<E: Real> Pair<E> for Focal<E> {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let gamma = E::of(self.gamma);
        let [p, rest] = math::sigmoids(x);
        let power = |p: E| if self.gamma == 0.0 { E::ONE } else { p.size_to(self.gamma) };
        let (if_true, if_false) = (self.alpha * power(rest), (E::ONE - self.alpha) * power(p));
        let (a, b) = (softplus(-x), softplus(x));
        let rising = if_false * (gamma * rest).mul_add(b, p);
        let falling = -if_true * (gamma * p).mul_add(a, rest);
        let (a, b) = (if_true * a, if_false * b);
        [t * a + (E::ONE - t) * b, t * falling + (E::ONE - t) * rising, a - b]
    }
}
impl<E: Real> Pair<E> for Hinge {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let margin = (-t).mul_add(x, E::ONE);
        let is_inside = margin <= E::zero();
        let [dx, dt] = if is_inside { [E::zero(); 2] } else { [-t, -x] };
        [positive(margin), dx, dt]
    }
}
impl<E: Real> Pair<E> for SquaredHinge {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let margin = positive((-t).mul_add(x, E::ONE));
        [margin * margin, (margin + margin) * -t, (margin + margin) * -x]
    }
}
impl<E: Real> Pair<E> for KlDiv {
    /// t (ln t − x); 0 at t = 0, where also the derivative by t, −∞, is left out.
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let ln = math::ln(t);
        let is_zero = t == E::zero();
        let [value, dt] = if is_zero { [E::zero(); 2] } else { [t * (ln - x), ln + E::ONE - x] };
        [value, -t, dt]
    }
}
impl<E: Real> Pair<E> for PoissonNll {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let rate = math::exp(x);
        [(-t).mul_add(x, rate), rate - t, -x]
    }
}
impl<E: Real> Pair<E> for GaussianNll {
    #[inline(always)]
    fn of(self, x: E, t: E) -> [E; 3] {
        let half = E::of(0.5);
        let precision = math::exp(-t);
        let square = x * x * precision;
        [half * (t + square) + E::of(0.5 * super::LN_TAU), x * precision, half * (E::ONE - square)]
    }
}

/// Σ of the values, in the lanes and tree of `lane_sum`.
struct Total<'a, E, P>(P, &'a [E], &'a [E]);
impl<E: Real, P: Pair<E>> Body for Total<'_, E, P> {
    type Out = E;
    #[inline(always)]
    fn run(self) -> E {
        let mut total = E::zero();
        for (x, t) in self.1.chunks(1024).zip(self.2.chunks(1024)) {
            total += lane_sum_of(x, t, |x, t| self.0.of(x, t)[0]);
        }
        total
    }
}

/// The values.
struct Each<'a, E, P>(P, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real, P: Pair<E>> Body for Each<'_, E, P> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((y, &x), &t) in self.3.iter_mut().zip(self.1).zip(self.2) {
            *y = self.0.of(x, t)[0];
        }
    }
}

/// out += g times the derivative by x, or by t; `g` is one number for all, or one for each.
struct Back<'a, E, P> {
    pair: P,
    x: &'a [E],
    t: &'a [E],
    g: &'a [E],
    scale: E,
    by_target: bool,
    out: &'a mut [E],
}
impl<E: Real, P: Pair<E>> Body for Back<'_, E, P> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { pair, x, t, g, scale, by_target, out } = self;
        let mut one = [scale; 256];
        for (i, ((out, x), t)) in out.chunks_mut(256).zip(x.chunks(256)).zip(t.chunks(256)).enumerate() {
            if !g.is_empty() {
                one[..x.len()].copy_from_slice(&g[256 * i..256 * i + x.len()]);
            }
            for (((out, &x), &t), &g) in out.iter_mut().zip(x).zip(t).zip(&one) {
                let [_, dx, dt] = pair.of(x, t);
                *out = g.mul_add(if by_target { dt } else { dx }, *out);
            }
        }
    }
}

macro_rules! with_pair {
    ($kind:expr, $p:ident => $body:expr) => {
        match $kind {
            PairKind::Squared => with_pair!(@ Squared, $p => $body),
            PairKind::Absolute => with_pair!(@ Absolute, $p => $body),
            PairKind::LogCosh => with_pair!(@ LogCosh, $p => $body),
            PairKind::Huber(delta) => with_pair!(@ Huber { delta: delta as E, scale: 1.0 }, $p => $body),
            PairKind::SmoothL1(beta) => {
                with_pair!(@ Huber { delta: beta as E, scale: beta.recip() as E }, $p => $body)
            }
            PairKind::Quantile(tau) => with_pair!(@ Quantile(tau as E), $p => $body),
            PairKind::BceWithLogits { positive_weight } => with_pair!(@ Bce(positive_weight as E), $p => $body),
            PairKind::Focal { gamma, alpha } => with_pair!(@ Focal { gamma, alpha: alpha as E }, $p => $body),
            PairKind::Hinge => with_pair!(@ Hinge, $p => $body),
            PairKind::SquaredHinge => with_pair!(@ SquaredHinge, $p => $body),
            PairKind::KlDiv => with_pair!(@ KlDiv, $p => $body),
            PairKind::PoissonNll => with_pair!(@ PoissonNll, $p => $body),
            PairKind::GaussianNll => with_pair!(@ GaussianNll, $p => $body),
        }
    };
    (@ $pair:expr, $p:ident => $body:expr) => {{
        let $p = $pair;
        $body
    }};
}

/// What a row of logits is compared with.
#[derive(Clone, Copy, Debug)]
pub enum RowLoss<'a, E> {
    /// One label per row; weights of the classes, none or one each; a label to leave out.
    Labels(ClassLoss, &'a [usize], &'a [E], Option<usize>),
    /// One distribution per row.
    Rows(DistributionLoss, &'a [E]),
}

/// The loss of each row of logits, and its gradient.
struct Rows<'a, E> {
    loss: RowLoss<'a, E>,
    x: &'a [E],
    losses: &'a mut [E],
    gradient: &'a mut [E],
}
impl<E: Real> Body for Rows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.x.len() / self.losses.len();
        let rows = self.x.chunks_exact(n).zip(self.gradient.chunks_exact_mut(n)).zip(self.losses);
        for (i, ((x, g), out)) in rows.enumerate() {
            *out = match self.loss {
                RowLoss::Labels(_, labels, _, ignored) if ignored == Some(labels[i]) => {
                    g.fill(E::zero());
                    E::zero()
                }
                RowLoss::Labels(loss, labels, weights, _) => class_row(loss, x, labels[i], weights, g),
                RowLoss::Rows(loss, targets) => distribution_row(loss, x, &targets[i * n..(i + 1) * n], g),
            };
        }
    }
}

/// Softmax into `p`; returns what to subtract from a logit for its log-probability, as two numbers.
#[inline(always)]
fn probabilities<E: Real>(x: &[E], p: &mut [E]) -> [E; 2] {
    let max = lane_max(x);
    math::exps(x, max, p);
    let sum = lane_sum(p);
    let scale = E::ONE / sum;
    for p in p {
        *p *= scale;
    }
    [max, math::ln(sum)]
}

#[inline(always)]
fn class_row<E: Real>(loss: ClassLoss, x: &[E], label: usize, weights: &[E], g: &mut [E]) -> E {
    let classes = E::of(x.len() as f64);
    let weight = if weights.is_empty() { E::ONE } else { weights[label] };
    let of_label = match loss {
        ClassLoss::Nll => {
            g.fill(E::zero());
            g[label] = -weight;
            return weight * -x[label];
        }
        ClassLoss::MultiMargin { margin } | ClassLoss::CrammerSinger { margin } => {
            let bound = E::of(margin) - x[label];
            g.fill(E::zero());
            let mut total = E::zero();
            if let ClassLoss::MultiMargin { .. } = loss {
                let share = weight / classes;
                for (j, (g, &x)) in g.iter_mut().zip(x).enumerate() {
                    let violation = if j == label { E::zero() } else { positive(bound + x) };
                    *g = if violation > E::zero() { share } else { E::zero() };
                    total += violation;
                }
                g[label] = -lane_sum(g);
                return share * total;
            }
            let mut worst = None;
            for (j, &x) in x.iter().enumerate() {
                if j != label && bound + x > total {
                    (total, worst) = (bound + x, Some(j));
                }
            }
            if let Some(worst) = worst {
                g[worst] = weight;
                g[label] = -weight;
            }
            return weight * total;
        }
        ClassLoss::CrossEntropy { label_smoothing } => {
            let [max, ln_sum] = probabilities(x, g);
            let smooth = E::of(label_smoothing) / classes;
            let kept = E::of(1.0 - label_smoothing) * weight;
            let of_label = -((x[label] - max) - ln_sum);
            if label_smoothing == 0.0 {
                for g in &mut *g {
                    *g *= weight;
                }
                g[label] -= weight;
                return weight * of_label;
            }
            let (mut total, mut all) = (kept * of_label, kept);
            for (j, &x) in x.iter().enumerate() {
                let share = smooth * if weights.is_empty() { E::ONE } else { weights[j] };
                total += share * -((x - max) - ln_sum);
                all += share;
            }
            for (j, g) in g.iter_mut().enumerate() {
                *g = all * *g - smooth * if weights.is_empty() { E::ONE } else { weights[j] };
            }
            g[label] -= kept;
            return total;
        }
        ClassLoss::ConfidencePenalty { beta } => {
            let [max, ln_sum] = probabilities(x, g);
            let beta = E::of(beta) * weight;
            let mut entropy = E::zero();
            for (&p, &x) in g.iter().zip(x) {
                entropy -= p * ((x - max) - ln_sum);
            }
            for (g, &x) in g.iter_mut().zip(x) {
                let ln = (x - max) - ln_sum;
                *g *= beta * (ln + entropy) + weight;
            }
            g[label] -= weight;
            return weight * -((x[label] - max) - ln_sum) - beta * entropy;
        }
        of_label => of_label,
    };
    // Functions of the probability of the label alone: dL/dz = L′ (onehot − p), L′ by ln p.
    let [max, ln_sum] = probabilities(x, g);
    let (ln, p) = ((x[label] - max) - ln_sum, g[label]);
    let [value, slope] = of_probability(of_label, ln, p);
    for g in &mut *g {
        *g *= -slope * weight;
    }
    g[label] += slope * weight;
    weight * value
}

/// Loss as a function of ln p and p of the label, and its derivative by ln p.
#[inline(always)]
fn of_probability<E: Real>(loss: ClassLoss, ln: E, p: E) -> [E; 2] {
    match loss {
        ClassLoss::Focal { gamma } => {
            let rest = -math::expm1(ln); // 1 − p
            if gamma == 0.0 {
                return [-ln, -E::ONE];
            }
            let power = rest.size_to(gamma);
            // At rest = 0 the power of γ − 1 may be infinite, but p ln p falls faster for γ > 0.
            let inner = if rest == E::zero() { E::zero() } else { E::of(gamma) * power / rest * p * ln };
            [-power * ln, inner - power]
        }
        ClassLoss::GeneralisedCrossEntropy { q } => {
            let q = E::of(q);
            [-math::expm1(q * ln) / q, -math::exp(q * ln)]
        }
        ClassLoss::AbsoluteError => [E::of(-2.0) * math::expm1(ln), E::of(-2.0) * p],
        ClassLoss::SymmetricCrossEntropy { alpha, beta, log_zero } => {
            let (alpha, reverse) = (E::of(alpha), E::of(beta * log_zero));
            [-alpha * ln + reverse * math::expm1(ln), reverse * p - alpha]
        }
        // The others are not functions of this probability alone, and have returned.
        _ => [E::nan(); 2],
    }
}

#[inline(always)]
fn distribution_row<E: Real>(loss: DistributionLoss, x: &[E], q: &[E], g: &mut [E]) -> E {
    let [max, ln_sum] = probabilities(x, g);
    let log_p = |x: E| (x - max) - ln_sum;
    let half = E::of(0.5);
    // a ln(a / b) with 0 ln 0 = 0.
    let relative = |a: E, ln_a: E, ln_b: E| if a == E::zero() { E::zero() } else { a * (ln_a - ln_b) };
    let mut total = E::zero();
    match loss {
        DistributionLoss::CrossEntropy | DistributionLoss::KlForward => {
            let is_kl = loss == DistributionLoss::KlForward;
            for (&x, &q) in x.iter().zip(q) {
                let ln_q = if is_kl { math::ln(q) } else { E::zero() };
                total += relative(q, ln_q, log_p(x));
            }
            let sum = lane_sum(q);
            for (g, &q) in g.iter_mut().zip(q) {
                *g = sum * *g - q;
            }
            total
        }
        DistributionLoss::KlReverse => {
            for ((&p, &x), &q) in g.iter().zip(x).zip(q) {
                total += relative(p, log_p(x), math::ln(q));
            }
            for ((g, &x), &q) in g.iter_mut().zip(x).zip(q) {
                *g = relative(*g, log_p(x), math::ln(q)) - *g * total;
            }
            total
        }
        DistributionLoss::JensenShannon => {
            let mut of_p = E::zero(); // Σ p ln(p / m), with m the mean of p and q
            for ((&p, &x), &q) in g.iter().zip(x).zip(q) {
                let ln_m = math::ln(half * (p + q));
                of_p += relative(p, log_p(x), ln_m);
                total += relative(q, math::ln(q), ln_m);
            }
            for ((g, &x), &q) in g.iter_mut().zip(x).zip(q) {
                let ln_m = math::ln(half * (*g + q));
                *g = half * (relative(*g, log_p(x), ln_m) - *g * of_p);
            }
            half * (of_p + total)
        }
    }
}

/// gx += g of the row times the row's gradient.
struct ScaleRows<'a, E>(&'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for ScaleRows<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.2.len() / self.0.len();
        for ((out, rows), &g) in self.2.chunks_exact_mut(n).zip(self.1.chunks_exact(n)).zip(self.0) {
            for (out, &row) in out.iter_mut().zip(rows) {
                *out = g.mul_add(row, *out);
            }
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait Losses: Sized {
    /// Σ of a loss.
    fn pair_total(kind: PairKind, x: &[Self], t: &[Self]) -> Self;
    /// A loss of each element.
    fn pair_each(kind: PairKind, x: &[Self], t: &[Self], y: &mut [Self]);
    /// out += g times the derivative by x or t; `g` empty stands for `scale` everywhere.
    fn pair_back(kind: PairKind, x: [&[Self]; 2], g: &[Self], scale: Self, by_target: bool, out: &mut [Self]);
    /// The loss of each row and its gradient.
    fn row_losses(loss: RowLoss<'_, Self>, x: &[Self], losses: &mut [Self], gradient: &mut [Self]);
    /// gx += gy of the row times the row's gradient.
    fn scale_rows(gy: &[Self], rows: &[Self], gx: &mut [Self]);
}

macro_rules! losses {
    ($type:ty) => {
        impl Losses for $type {
            fn pair_total(kind: PairKind, x: &[Self], t: &[Self]) -> Self {
                type E = $type;
                with_pair!(kind, p => simd(Total(p, x, t)))
            }
            fn pair_each(kind: PairKind, x: &[Self], t: &[Self], y: &mut [Self]) {
                type E = $type;
                with_pair!(kind, p => simd(Each(p, x, t, y)))
            }
            fn pair_back(
                kind: PairKind,
                [x, t]: [&[Self]; 2],
                g: &[Self],
                scale: Self,
                by_target: bool,
                out: &mut [Self],
            ) {
                type E = $type;
                with_pair!(kind, pair => simd(Back { pair, x, t, g, scale, by_target, out }))
            }
            fn row_losses(loss: RowLoss<'_, Self>, x: &[Self], losses: &mut [Self], gradient: &mut [Self]) {
                simd(Rows { loss, x, losses, gradient })
            }
            fn scale_rows(gy: &[Self], rows: &[Self], gx: &mut [Self]) {
                simd(ScaleRows(gy, rows, gx))
            }
        }
    };
}

losses!(f32);
losses!(f64);
