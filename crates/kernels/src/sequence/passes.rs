//! The inner loops of the sequence operations, compiled for f32 and f64.
use super::recurrent::RnnActivation;
use crate::loops::{lane_dot, lane_max, lane_sum};
use crate::simd::{Body, simd};
use crate::{Real, math};

/// What turns a block of products `q · k` into probabilities.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a, E> {
    /// Columns of the block.
    pub width: usize,
    /// Factor on the products.
    pub scale: E,
    /// Columns that row 0 may use.
    pub first: usize,
    /// Further columns that each next row may use: 1 for causal attention, else 0.
    pub step: usize,
    /// 0 or −∞ for each column; empty without a mask of keys.
    pub keys: &'a [E],
    /// 0 or −∞ for each row of `pairs_stride` columns; empty without a mask of pairs.
    pub pairs: &'a [E],
    /// Columns of `pairs`.
    pub pairs_stride: usize,
    /// A number for each distance; empty without a relative bias.
    pub bias: &'a [E],
    /// Where row 0 begins in `bias`; each next row begins one earlier.
    pub bias_start: usize,
}

struct Probabilities<'a, E>(Terms<'a, E>, &'a mut [E]);
impl<E: Real> Body for Probabilities<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let terms = self.0;
        for (i, row) in self.1.chunks_exact_mut(terms.width).enumerate() {
            let (row, rest) = row.split_at_mut((terms.first + i * terms.step).min(terms.width));
            rest.fill(E::zero());
            for s in &mut *row {
                *s *= terms.scale;
            }
            if !terms.bias.is_empty() {
                let bias = &terms.bias[terms.bias_start - i..];
                for (s, &b) in row.iter_mut().zip(bias) {
                    *s += b;
                }
            }
            if !terms.keys.is_empty() {
                for (s, &m) in row.iter_mut().zip(terms.keys) {
                    *s += m;
                }
            }
            if !terms.pairs.is_empty() {
                for (s, &m) in row.iter_mut().zip(&terms.pairs[i * terms.pairs_stride..]) {
                    *s += m;
                }
            }
            let max = lane_max(row);
            math::exps_in_place(row, max);
            let scale = E::ONE / lane_sum(row);
            for s in row {
                *s *= scale;
            }
        }
    }
}

/// d = scale p (d − Σ p d), for rows of `width`.
struct ProbabilitiesBack<'a, E>(usize, E, &'a [E], &'a mut [E]);
impl<E: Real> Body for ProbabilitiesBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (p, d) in self.2.chunks_exact(self.0).zip(self.3.chunks_exact_mut(self.0)) {
            let dot = lane_dot(p, d);
            for (d, &p) in d.iter_mut().zip(p) {
                *d = p * (*d - dot) * self.1;
            }
        }
    }
}

/// out += from, where `out` has rows of `heads × width` and `from` holds, for each head, `rows` rows of `width`.
struct AddHeads<'a, E> {
    out: &'a mut [E],
    from: &'a [E],
    width: usize,
    heads: usize,
    rows: usize,
    first: usize,
}
impl<E: Real> Body for AddHeads<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.width;
        for (i, row) in self.out.chunks_exact_mut(n * self.heads).enumerate() {
            for (h, out) in row.chunks_exact_mut(n).enumerate() {
                let at = (h * self.rows + self.first + i) * n;
                for (out, &x) in out.iter_mut().zip(&self.from[at..at + n]) {
                    *out += x;
                }
            }
        }
    }
}

/// y += scale x.
struct AddScaled<'a, E>(E, &'a [E], &'a mut [E]);
impl<E: Real> Body for AddScaled<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.2.iter_mut().zip(self.1) {
            *y = x.mul_add(self.0, *y);
        }
    }
}

/// One step of one row of a plain recurrent network.
#[derive(Debug)]
pub struct RnnStep<'a, E> {
    /// In: W x; out: φ(a).
    pub gates: &'a mut [E],
    /// U h + b.
    pub recurrent: &'a [E],
    /// In: the state before; out: after.
    pub h: &'a mut [E],
    pub activation: RnnActivation,
    /// Share of the new value.
    pub leak: E,
}
impl<E: Real> Body for RnnStep<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (g, &r) in self.gates.iter_mut().zip(self.recurrent) {
            let a = *g + r;
            *g = match self.activation {
                RnnActivation::Tanh => math::tanh(a),
                RnnActivation::Relu => {
                    if a > E::zero() {
                        a
                    } else {
                        E::zero()
                    }
                }
            };
        }
        let keep = E::ONE - self.leak;
        for (h, &g) in self.h.iter_mut().zip(&*self.gates) {
            *h = keep * *h + self.leak * g;
        }
    }
}

/// Backward of [`RnnStep`].
#[derive(Debug)]
pub struct RnnStepBack<'a, E> {
    /// φ(a).
    pub gates: &'a [E],
    /// In: the gradient of the state after; out: what reaches the state before without passing a weight.
    pub dh: &'a mut [E],
    /// Out: the gradient of a.
    pub da: &'a mut [E],
    pub activation: RnnActivation,
    pub leak: E,
}
impl<E: Real> Body for RnnStepBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let keep = E::ONE - self.leak;
        for ((da, dh), &y) in self.da.iter_mut().zip(self.dh).zip(self.gates) {
            let slope = match self.activation {
                RnnActivation::Tanh => (-y).mul_add(y, E::ONE),
                RnnActivation::Relu => {
                    if y > E::zero() {
                        E::ONE
                    } else {
                        E::zero()
                    }
                }
            };
            *da = self.leak * *dh * slope;
            *dh *= keep;
        }
    }
}

/// One step of one row of an LSTM; gates in the order i, f, g, o.
#[derive(Debug)]
pub struct LstmStep<'a, E> {
    /// In: W x; out: the activated gates.
    pub gates: &'a mut [E],
    /// U h + b.
    pub recurrent: &'a [E],
    /// Peephole weights of i, f, o; empty without.
    pub peepholes: &'a [E],
    /// In: the cell before; out: after.
    pub c: &'a mut [E],
    /// Out: tanh of the cell after.
    pub tanh_c: &'a mut [E],
    /// Out: the state after.
    pub h: &'a mut [E],
}
impl<E: Real> Body for LstmStep<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.h.len();
        for (g, &r) in self.gates.iter_mut().zip(self.recurrent) {
            *g += r;
        }
        let (i_f, g_o) = self.gates.split_at_mut(2 * n);
        let (g, o) = g_o.split_at_mut(n);
        let peep = !self.peepholes.is_empty();
        if peep {
            let (p_i, p) = self.peepholes.split_at(n);
            let (i, f) = i_f.split_at_mut(n);
            for (((i, f), (&p_i, &p_f)), &c) in i.iter_mut().zip(f).zip(p_i.iter().zip(p)).zip(&*self.c) {
                *i = p_i.mul_add(c, *i);
                *f = p_f.mul_add(c, *f);
            }
        }
        for x in &mut *i_f {
            *x = math::sigmoid(*x);
        }
        for x in &mut *g {
            *x = math::tanh(*x);
        }
        let (i, f) = i_f.split_at(n);
        for ((c, (&i, &f)), &g) in self.c.iter_mut().zip(i.iter().zip(f)).zip(&*g) {
            *c = f.mul_add(*c, i * g);
        }
        if peep {
            for ((o, &p), &c) in o.iter_mut().zip(&self.peepholes[2 * n..]).zip(&*self.c) {
                *o = p.mul_add(c, *o);
            }
        }
        for x in &mut *o {
            *x = math::sigmoid(*x);
        }
        for (((t, h), &c), &o) in self.tanh_c.iter_mut().zip(self.h).zip(&*self.c).zip(&*o) {
            *t = math::tanh(c);
            *h = o * *t;
        }
    }
}

/// Backward of [`LstmStep`].
#[derive(Debug)]
pub struct LstmStepBack<'a, E> {
    pub gates: &'a [E],
    pub peepholes: &'a [E],
    /// The cell before the step.
    pub c_before: &'a [E],
    /// The cell after the step.
    pub c: &'a [E],
    pub tanh_c: &'a [E],
    /// In: the gradient of the state after; out: 0, everything passes the gates.
    pub dh: &'a mut [E],
    /// In: the gradient of the cell after; out: before.
    pub dc: &'a mut [E],
    /// Out: the gradients of the gates before their activation.
    pub da: &'a mut [E],
    /// Added to: the gradients of the peephole weights.
    pub d_peepholes: &'a mut [E],
}
impl<E: Real> Body for LstmStepBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.dh.len();
        let one = E::ONE;
        let (i, rest) = self.gates.split_at(n);
        let (f, rest) = rest.split_at(n);
        let (g, o) = rest.split_at(n);
        let (di, rest) = self.da.split_at_mut(n);
        let (df, rest) = rest.split_at_mut(n);
        let (dg, d_o) = rest.split_at_mut(n);
        for ((((d_o, dh), dc), &t), &o) in
            d_o.iter_mut().zip(&mut *self.dh).zip(&mut *self.dc).zip(self.tanh_c).zip(o)
        {
            *d_o = *dh * t * o * (one - o);
            *dc += *dh * o * (-t).mul_add(t, one);
            *dh = E::zero();
        }
        let peep = !self.peepholes.is_empty();
        if peep {
            for ((dc, &d_o), &p) in self.dc.iter_mut().zip(&*d_o).zip(&self.peepholes[2 * n..]) {
                *dc = d_o.mul_add(p, *dc);
            }
        }
        for (((di, df), dg), (((dc, &i), (&f, &g)), &c)) in di
            .iter_mut()
            .zip(&mut *df)
            .zip(dg)
            .zip(self.dc.iter_mut().zip(i).zip(f.iter().zip(g)).zip(self.c_before))
        {
            *di = *dc * g * i * (one - i);
            *df = *dc * c * f * (one - f);
            *dg = *dc * i * (-g).mul_add(g, one);
            *dc *= f;
        }
        if peep {
            let (p_i, p_f) = self.peepholes.split_at(n);
            for (((dc, &di), &df), (&p_i, &p_f)) in
                self.dc.iter_mut().zip(&*di).zip(&*df).zip(p_i.iter().zip(p_f))
            {
                *dc += di * p_i + df * p_f;
            }
            let (d_i, rest) = self.d_peepholes.split_at_mut(n);
            let (d_f, d_out) = rest.split_at_mut(n);
            for ((d, &x), &c) in d_i.iter_mut().zip(&*di).zip(self.c_before) {
                *d = x.mul_add(c, *d);
            }
            for ((d, &x), &c) in d_f.iter_mut().zip(&*df).zip(self.c_before) {
                *d = x.mul_add(c, *d);
            }
            for ((d, &x), &c) in d_out.iter_mut().zip(&*d_o).zip(self.c) {
                *d = x.mul_add(c, *d);
            }
        }
    }
}

/// One step of one row of a GRU; gates in the order r, z, n.
#[derive(Debug)]
pub struct GruStep<'a, E> {
    /// In: W x; out: the activated gates.
    pub gates: &'a mut [E],
    /// U h + b, where the bias of n is the one inside of the product with r.
    pub recurrent: &'a [E],
    /// The bias of n outside of the product with r.
    pub bias_n: &'a [E],
    /// In: the state before; out: after.
    pub h: &'a mut [E],
}
impl<E: Real> Body for GruStep<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.h.len();
        let (rz, new) = self.gates.split_at_mut(2 * n);
        let (rec, rec_n) = self.recurrent.split_at(2 * n);
        for (g, &r) in rz.iter_mut().zip(rec) {
            *g = math::sigmoid(*g + r);
        }
        let (r, z) = rz.split_at(n);
        for (((x, &r), &q), &b) in new.iter_mut().zip(r).zip(rec_n).zip(self.bias_n) {
            *x = math::tanh(r.mul_add(q, *x + b));
        }
        for ((h, &z), &x) in self.h.iter_mut().zip(z).zip(&*new) {
            *h = z.mul_add(*h - x, x);
        }
    }
}

/// Backward of [`GruStep`].
#[derive(Debug)]
pub struct GruStepBack<'a, E> {
    pub gates: &'a [E],
    /// U h + b of n.
    pub product_n: &'a [E],
    /// The state before the step.
    pub h_before: &'a [E],
    /// In: the gradient of the state after; out: what reaches the state before without passing a weight.
    pub dh: &'a mut [E],
    /// Out: the gradients of W x + b.
    pub da: &'a mut [E],
    /// Out: the gradients of U h + b.
    pub dr: &'a mut [E],
}
impl<E: Real> Body for GruStepBack<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.dh.len();
        let one = E::ONE;
        let (r, rest) = self.gates.split_at(n);
        let (z, new) = rest.split_at(n);
        let (d_r, rest) = self.da.split_at_mut(n);
        let (d_z, d_n) = rest.split_at_mut(n);
        for (((d_n, d_z), dh), (((&z, &x), &h), d_r)) in d_n
            .iter_mut()
            .zip(&mut *d_z)
            .zip(self.dh)
            .zip(z.iter().zip(new).zip(self.h_before).zip(&mut *d_r))
        {
            *d_n = *dh * (one - z) * (-x).mul_add(x, one);
            *d_z = *dh * (h - x) * z * (one - z);
            *d_r = *d_n;
            *dh *= z;
        }
        for ((d_r, &q), &r) in d_r.iter_mut().zip(self.product_n).zip(r) {
            *d_r *= q * r * (one - r);
        }
        let (both, inner) = self.dr.split_at_mut(2 * n);
        let (first, second) = both.split_at_mut(n);
        first.copy_from_slice(d_r);
        second.copy_from_slice(d_z);
        for ((inner, &d_n), &r) in inner.iter_mut().zip(&*d_n).zip(r) {
            *inner = d_n * r;
        }
    }
}

/// y += R x: rotates each pair of elements by the angle whose cosine and sine are given, `sign` −1 for backwards.
struct Rotate<'a, E> {
    x: &'a [E],
    y: &'a mut [E],
    /// `cos, sin` for each pair of a head.
    angles: &'a [E],
    sign: E,
}
impl<E: Real> Body for Rotate<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.angles.len();
        for (x, y) in self.x.chunks_exact(n).zip(self.y.chunks_exact_mut(n)) {
            for ((x, y), a) in x.chunks_exact(2).zip(y.chunks_exact_mut(2)).zip(self.angles.chunks_exact(2)) {
                let (cos, sin) = (a[0], a[1] * self.sign);
                y[0] += x[0] * cos - x[1] * sin;
                y[1] += x[0] * sin + x[1] * cos;
            }
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait SequencePasses: Sized {
    /// Products to probabilities, for rows of `terms.width`.
    fn probabilities(terms: Terms<'_, Self>, rows: &mut [Self]);
    /// d = scale p (d − Σ p d), for rows of `width`.
    fn probabilities_back(width: usize, scale: Self, p: &[Self], d: &mut [Self]);
    /// `out += from`: `from` is head-major with `rows` rows each, of which `out` holds those from `first` on.
    fn add_heads(out: &mut [Self], from: &[Self], width: usize, heads: usize, rows: usize, first: usize);
    /// y += scale x.
    fn add_scaled(scale: Self, x: &[Self], y: &mut [Self]);
    /// See [`RnnStep`].
    fn rnn_step(step: RnnStep<'_, Self>);
    /// See [`RnnStepBack`].
    fn rnn_step_back(step: RnnStepBack<'_, Self>);
    /// See [`LstmStep`].
    fn lstm_step(step: LstmStep<'_, Self>);
    /// See [`LstmStepBack`].
    fn lstm_step_back(step: LstmStepBack<'_, Self>);
    /// See [`GruStep`].
    fn gru_step(step: GruStep<'_, Self>);
    /// See [`GruStepBack`].
    fn gru_step_back(step: GruStepBack<'_, Self>);
    /// y += R x, for rows of `angles.len()` elements.
    fn rotate(x: &[Self], y: &mut [Self], angles: &[Self], sign: Self);
}

macro_rules! passes {
    ($type:ty) => {
        impl SequencePasses for $type {
            fn probabilities(terms: Terms<'_, Self>, rows: &mut [Self]) {
                simd(Probabilities(terms, rows))
            }
            fn probabilities_back(width: usize, scale: Self, p: &[Self], d: &mut [Self]) {
                simd(ProbabilitiesBack(width, scale, p, d))
            }
            fn add_heads(
                out: &mut [Self],
                from: &[Self],
                width: usize,
                heads: usize,
                rows: usize,
                first: usize,
            ) {
                simd(AddHeads { out, from, width, heads, rows, first })
            }
            fn add_scaled(scale: Self, x: &[Self], y: &mut [Self]) {
                simd(AddScaled(scale, x, y))
            }
            fn rnn_step(step: RnnStep<'_, Self>) {
                simd(step)
            }
            fn rnn_step_back(step: RnnStepBack<'_, Self>) {
                simd(step)
            }
            fn lstm_step(step: LstmStep<'_, Self>) {
                simd(step)
            }
            fn lstm_step_back(step: LstmStepBack<'_, Self>) {
                simd(step)
            }
            fn gru_step(step: GruStep<'_, Self>) {
                simd(step)
            }
            fn gru_step_back(step: GruStepBack<'_, Self>) {
                simd(step)
            }
            fn rotate(x: &[Self], y: &mut [Self], angles: &[Self], sign: Self) {
                simd(Rotate { x, y, angles, sign })
            }
        }
    };
}
passes!(f32);
passes!(f64);
