//! `Module<Dual>` for recurrent layers and attention, composed step by step: an exact tangent needs the derivative of
//! every gate on the tape, which the fused operations keep to themselves.
use super::{Dual, own_layers::activate};
use crate::attention::{MultiHeadAttention, Visibility};
use crate::recurrent::{Gru, Lstm, PeepholeLstm, Rnn};
use dfdx::nn::Module;
use dfdx::prelude::{
    Axes3, Axes4, Axis, BroadcastTo, Const, Dim, HasShape, PermuteTo, PutTape, Rank2, Rank3, ReshapeTo,
    SplitTape, SumTo, Tape, Tensor, TryAdd, TryMatMul, TryMul, TryStack, TrySub, WithEmptyTape,
};
use kernels::sequence::{RnnActivation, SequenceDevice, try_gather_rows};
use kernels::{ActivationKind, InputGradient, Real, try_linear, try_softmax};

/// Rows of `F` features with their tangents.
type Rows<const F: usize, E, D, T> = Dual<(usize, Const<F>), E, D, T>;

/// Takes the tape off a dual and keeps it with those of all other operations.
fn settle<const F: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    tape: &mut T,
    x: Rows<F, E, D, T>,
) -> Rows<F, E, D, T> {
    let (value, tangent) = x.split();
    let (value, more) = value.split_tape();
    *tape = std::mem::take(tape).merge(more);
    Dual::join(value.put_tape(T::default()), tangent)
}

/// Rows by index, which the caller knows to exist.
fn pick<const F: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(usize, Const<F>), E, D, T>,
    rows: &[usize],
) -> Tensor<(usize, Const<F>), E, D, T> {
    try_gather_rows(x, rows).unwrap_or_else(|error| panic!("{error}"))
}

/// $a = W_g x + b_g$ for one gate $g$.
fn gate<const G: usize, const H: usize, const I: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    g: usize,
    x: &Rows<I, E, D, T>,
    weight: &Tensor<Rank3<G, H, I>, E, D>,
    bias: &Tensor<Rank2<G, H>, E, D>,
) -> Result<Rows<H, E, D, T>, D::Err> {
    let rows: Vec<usize> = (g * H..(g + 1) * H).collect();
    let all = weight.retaped::<T>().try_contiguous()?.try_reshape_like(&(G * H, Const::<I>))?;
    let (weight, of_weight) = pick(all, &rows).try_reshape_like(&(Const::<H>, Const::<I>))?.split_tape();
    let all = bias.retaped::<T>().try_contiguous()?.try_reshape_like(&(G, Const::<H>))?;
    let (bias, of_bias) = pick(all, &[g]).try_reshape_like(&(Const::<H>,))?.split_tape();
    let (value, tangent) = x.with_empty_tape().split();
    let (value, tape) = value.split_tape();
    let value = value.put_tape(tape.merge(of_weight).merge(of_bias));
    let no_bias = tangent.device().try_zeros_like(&(Const::<H>,))?;
    let kind = ActivationKind::Identity;
    Ok(Dual::join(
        try_linear(value, &weight, &bias, kind, InputGradient::Needed)?,
        try_linear(tangent, &weight, &no_bias, kind, InputGradient::Needed)?,
    ))
}

fn scaled<const F: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Rows<F, E, D, T>,
    by: f64,
) -> Result<Rows<F, E, D, T>, D::Err> {
    let (x, dx) = x.split();
    Ok(Dual::join(x.try_mul(E::of(by))?, dx.try_mul(E::of(by))?))
}

/// State and cell of one step.
struct States<const H: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>> {
    h: Rows<H, E, D, T>,
    c: Rows<H, E, D, T>,
}

/// Runs `step(gates of x, gates of h, states)` from position to position.
fn unroll<const G: usize, const I: usize, const H: usize, B: Dim, S: Dim, E, D, T>(
    x: Dual<(B, S, Const<I>), E, D, T>,
    (weight_ih, bias_ih): (&Tensor<Rank3<G, H, I>, E, D>, &Tensor<Rank2<G, H>, E, D>),
    (weight_hh, bias_hh): (&Tensor<Rank3<G, H, H>, E, D>, &Tensor<Rank2<G, H>, E, D>),
    step: impl Fn(Vec<[Rows<H, E, D, T>; 2]>, States<H, E, D, T>) -> Result<States<H, E, D, T>, D::Err>,
) -> Result<Dual<(B, S, Const<H>), E, D, T>, D::Err>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
{
    let shape = (x.shape().0, x.shape().1, Const::<H>);
    let (batch, positions) = (shape.0.size(), shape.1.size());
    let rows = (batch * positions, Const::<I>);
    let (x, dx) = x.split();
    let x = x.try_contiguous()?.try_reshape_like(&rows)?;
    let dx = dx.try_contiguous()?.try_reshape_like(&rows)?;
    let device = x.device().clone();
    let mut tape = T::default();
    let x = settle(&mut tape, Dual::join(x, dx));
    let inputs: Vec<_> = (0..G)
        .map(|g| Ok(settle(&mut tape, gate(g, &x, weight_ih, bias_ih)?)))
        .collect::<Result<_, D::Err>>()?;
    let zeros = || -> Result<Rows<H, E, D, T>, D::Err> {
        Dual::try_constant(device.try_zeros_like(&(batch, Const::<H>))?.put_tape(T::default()))
    };
    let mut states = States { h: zeros()?, c: zeros()? };
    let (mut values, mut tangents) = (Vec::new(), Vec::new());
    for t in 0..positions {
        let rows: Vec<usize> = (0..batch).map(|b| b * positions + t).collect();
        let mut gates = Vec::with_capacity(G);
        for (g, input) in inputs.iter().enumerate() {
            let (a, da) = input.with_empty_tape().split();
            let of_x = settle(&mut tape, Dual::join(pick(a, &rows), pick(da, &rows)));
            let of_h = settle(&mut tape, gate(g, &states.h, weight_hh, bias_hh)?);
            gates.push([of_x, of_h]);
        }
        let next = step(gates, states)?;
        states = States { h: settle(&mut tape, next.h), c: settle(&mut tape, next.c) };
        let (h, dh) = states.h.with_empty_tape().split();
        values.push(h);
        tangents.push(dh);
    }
    if positions == 0 {
        return Dual::try_constant(device.try_zeros_like(&shape)?.put_tape(tape));
    }
    // (T, B, H), then batch first.
    let turn = |all: Vec<Tensor<(usize, Const<H>), E, D, T>>| {
        let all = all.try_stack()?.try_permute::<(usize, usize, Const<H>), Axes3<1, 0, 2>>()?;
        all.try_contiguous()?.try_reshape_like(&shape)
    };
    let (value, tangent) = Dual::join(turn(values)?, turn(tangents)?).split();
    let (value, more) = value.split_tape();
    Ok(Dual::join(value.put_tape(tape.merge(more)), tangent))
}

/// Both shares of a gate.
fn sum<const F: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    [of_x, of_h]: [Rows<F, E, D, T>; 2],
) -> Result<Rows<F, E, D, T>, D::Err> {
    of_x.try_add(of_h)
}

impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<I>), E, D, T>> for Rnn<I, H, E, D>
{
    type Output = Dual<(B, S, Const<H>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
        let kind = match self.activation {
            RnnActivation::Tanh => ActivationKind::Tanh,
            RnnActivation::Relu => ActivationKind::Relu,
        };
        unroll(x, (&self.weight_ih, &self.bias_ih), (&self.weight_hh, &self.bias_hh), |gates, states| {
            let [a] = <[_; 1]>::try_from(gates).unwrap_or_else(|_| unreachable!("one gate"));
            let new = scaled(activate(sum(a)?, kind)?, self.leak)?;
            Ok(States { h: scaled(states.h, 1.0 - self.leak)?.try_add(new)?, c: states.c })
        })
    }
}

/// `a + p c` with the peephole weights of one gate.
fn peep<const H: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    peepholes: Option<&Tensor<Rank2<3, H>, E, D>>,
    gate: usize,
    a: Rows<H, E, D, T>,
    c: &Rows<H, E, D, T>,
) -> Result<Rows<H, E, D, T>, D::Err> {
    let Some(peepholes) = peepholes else { return Ok(a) };
    let (c, dc) = c.with_empty_tape().split();
    let all = peepholes.retaped::<T>().try_contiguous()?.try_reshape_like(&(3, Const::<H>))?;
    let p = pick(all, &vec![gate; c.shape().0]);
    a.try_add(Dual::join(c.try_mul(p.with_empty_tape())?, dc.try_mul(p)?))
}

/// One step of an LSTM.
fn lstm_step<const H: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    gates: Vec<[Rows<H, E, D, T>; 2]>,
    states: States<H, E, D, T>,
    peepholes: Option<&Tensor<Rank2<3, H>, E, D>>,
) -> Result<States<H, E, D, T>, D::Err> {
    let [i, f, g, o] = <[_; 4]>::try_from(gates).unwrap_or_else(|_| unreachable!("four gates"));
    let i = activate(peep(peepholes, 0, sum(i)?, &states.c)?, ActivationKind::Sigmoid)?;
    let f = activate(peep(peepholes, 1, sum(f)?, &states.c)?, ActivationKind::Sigmoid)?;
    let g = activate(sum(g)?, ActivationKind::Tanh)?;
    let c = f.try_mul(states.c)?.try_add(i.try_mul(g)?)?;
    let o = activate(peep(peepholes, 2, sum(o)?, &c)?, ActivationKind::Sigmoid)?;
    let h = o.try_mul(activate(c.with_empty_tape(), ActivationKind::Tanh)?)?;
    Ok(States { h, c })
}

impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<I>), E, D, T>> for Lstm<I, H, E, D>
{
    type Output = Dual<(B, S, Const<H>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (input, hidden) = ((&self.weight_ih, &self.bias_ih), (&self.weight_hh, &self.bias_hh));
        unroll(x, input, hidden, |gates, states| lstm_step(gates, states, None))
    }
}

impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<I>), E, D, T>> for PeepholeLstm<I, H, E, D>
{
    type Output = Dual<(B, S, Const<H>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (input, hidden) = ((&self.weight_ih, &self.bias_ih), (&self.weight_hh, &self.bias_hh));
        unroll(x, input, hidden, |gates, states| lstm_step(gates, states, Some(&self.peepholes)))
    }
}

impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
    Module<Dual<(B, S, Const<I>), E, D, T>> for Gru<I, H, E, D>
{
    type Output = Dual<(B, S, Const<H>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
        let (input, hidden) = ((&self.weight_ih, &self.bias_ih), (&self.weight_hh, &self.bias_hh));
        unroll(x, input, hidden, |gates, states| {
            let [r, z, [a, b]] = <[_; 3]>::try_from(gates).unwrap_or_else(|_| unreachable!("three gates"));
            let r = activate(sum(r)?, ActivationKind::Sigmoid)?;
            let z = activate(sum(z)?, ActivationKind::Sigmoid)?;
            let n = activate(a.try_add(r.try_mul(b)?)?, ActivationKind::Tanh)?;
            let change = states.h.try_add(scaled(n.with_empty_tape(), -1.0)?)?;
            Ok(States { h: n.try_add(z.try_mul(change)?)?, c: states.c })
        })
    }
}

/// `(B, heads, N, M / heads)`.
type Heads<E, D, T> = Tensor<(usize, usize, usize, usize), E, D, T>;

/// `(B, N, M)` → `(B, heads, N, M / heads)`.
fn split_heads<const M: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Tensor<(B, S, Const<M>), E, D, T>,
    heads: usize,
) -> Result<Heads<E, D, T>, D::Err> {
    let shape = (x.shape().0.size(), x.shape().1.size(), heads, M / heads);
    let x = x.try_contiguous()?.try_reshape_like(&shape)?;
    x.try_permute::<(usize, usize, usize, usize), Axes4<0, 2, 1, 3>>()?.try_contiguous()
}

impl<const M: usize, const H: usize, B: Dim, S: Dim, E, D, T, V> Module<Dual<(B, S, Const<M>), E, D, T>>
    for MultiHeadAttention<M, H, E, D, V>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    V: Visibility,
{
    type Output = Dual<(B, S, Const<M>), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Dual<(B, S, Const<M>), E, D, T>) -> Result<Self::Output, D::Err> {
        let shape = *x.shape();
        let positions = shape.1.size();
        let (q, dq) = self.w_q.try_forward(x.with_empty_tape())?.split();
        let (k, dk) = self.w_k.try_forward(x.with_empty_tape())?.split();
        let (v, dv) = self.w_v.try_forward(x)?.split();
        let [q, dq] = [split_heads(q, H)?, split_heads(dq, H)?];
        let turned = |k: Tensor<(B, S, Const<M>), E, D, T>| {
            let k = split_heads(k, H)?.try_permute::<(usize, usize, usize, usize), Axes4<0, 1, 3, 2>>()?;
            k.try_contiguous()
        };
        let [k, dk] = [turned(k)?, turned(dk)?];
        let [v, dv] = [split_heads(v, H)?, split_heads(dv, H)?];
        let scale = E::of(((M / H) as f64).sqrt().recip());
        let all = (shape.0.size(), H, positions, positions);
        let hidden = |i: usize| V::IS_CAUSAL && i % positions > i / positions % positions;
        let term = |i| if hidden(i) { -E::infinity() } else { E::zero() };
        let mask = (0..all.0 * H * positions * positions).map(term).collect();
        let mask = q.device().try_tensor_from_vec(mask, all)?;

        let change = dq.try_matmul(k.with_empty_tape())?.try_add(q.with_empty_tape().try_matmul(dk)?)?;
        let logits = q.try_matmul(k)?.try_mul(scale)?.try_add(mask)?;
        let p = try_softmax(logits)?;
        // dP = P (dZ − Σ P dZ)
        let weighted = change.try_mul(scale)?.try_mul(p.with_empty_tape())?;
        let sums = weighted.with_empty_tape().try_sum::<(usize, usize, usize), Axis<3>>()?;
        let sums = sums.try_broadcast_like::<_, Axis<3>>(&all)?;
        let dp = weighted.try_sub(sums.try_mul(p.with_empty_tape())?)?;
        let dy = dp.try_matmul(v.with_empty_tape())?.try_add(p.with_empty_tape().try_matmul(dv)?)?;
        let y = p.try_matmul(v)?;
        let merge = |y: Heads<E, D, T>| {
            let y = y.try_permute::<(usize, usize, usize, usize), Axes4<0, 2, 1, 3>>()?;
            y.try_contiguous()?.try_reshape_like(&shape)
        };
        self.w_o.try_forward(Dual::join(merge(y)?, merge(dy)?))
    }
}
