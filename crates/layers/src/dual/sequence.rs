//! `Module<Dual>` for recurrent layers and attention, composed step by step: an exact tangent needs the derivative of
//! every gate on the tape, which the fused operations keep to themselves.
use super::{Dual, own_layers::activate};
use crate::activation::Activation;
use crate::attention::{MultiHeadAttention, Rotation, Visibility, device_error};
use crate::recurrent::{Bidirectional, Gru, Lstm, PeepholeLstm, Rnn};
use crate::transformer::{NormPlacement, TransformerDecoderBlock, TransformerEncoderBlock, sublayer};
use dfdx::nn::Module;
use dfdx::prelude::{
    Axes3, Axes4, Axis, BroadcastTo, Const, Dim, HasShape, PermuteTo, PutTape, Rank2, Rank3, ReshapeTo,
    SplitTape, SumTo, Tape, Tensor, TryAdd, TryConcatAlong, TryMatMul, TryMul, TryStack, TrySub,
    WithEmptyTape,
};
use kernels::sequence::{Mask, RnnActivation, SequenceDevice, try_gather_rows};
use kernels::{ActivationKind, Error, InputGradient, Real, try_linear, try_softmax};

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

/// A sequence of `M` features with its tangent.
type Sequence<B, S, const M: usize, E, D, T> = Dual<(B, S, Const<M>), E, D, T>;

impl<const M: usize, const H: usize, E: Real, D: SequenceDevice<E>, V: Visibility, P: Rotation>
    MultiHeadAttention<M, H, E, D, V, P>
{
    /// [`try_attend`](Self::try_attend) of duals: $\dot P = P \odot (\dot Z - \sum_j P_{ij} \dot Z_{ij})$ with
    /// $\dot Z = s (\dot Q K^\top + Q \dot K^\top)$, and $\dot Y = \dot P V + P \dot V$. Keeps $P$ and $\dot P$, so memory
    /// is quadratic in the length.
    ///
    /// # Errors
    /// Those of [`try_attend`](Self::try_attend).
    pub fn try_attend_dual<B: Dim, Q: Dim, K: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, Q, M, E, D, T>,
        memory: Sequence<B, K, M, E, D, T>,
        mask: &Mask,
    ) -> Result<Sequence<B, Q, M, E, D, T>, Error> {
        let shape = *x.shape();
        let (queries, keys) = (shape.1.size(), memory.shape().1.size());
        let all = (shape.0.size(), H, queries, keys);
        let table = V::restrict(mask.clone()).try_table(all.0, queries, keys)?;
        let start = keys.saturating_sub(queries);
        let (q, dq) = self.w_q.try_forward(x).map_err(device_error)?.split();
        let (k, dk) = self.w_k.try_forward(memory.with_empty_tape()).map_err(device_error)?.split();
        let (v, dv) = self.w_v.try_forward(memory).map_err(device_error)?.split();
        let (q, dq) = (Self::rotated(q, start)?, Self::rotated(dq, start)?);
        let (k, dk) = (Self::rotated(k, 0)?, Self::rotated(dk, 0)?);
        let mut terms = Vec::with_capacity(table.len() * H);
        for sequence in table.chunks(queries * keys) {
            for _ in 0..H {
                terms.extend(sequence.iter().map(|&used| if used { E::zero() } else { -E::infinity() }));
            }
        }
        let attend = || -> Result<_, D::Err> {
            let [q, dq] = [split_heads(q, H)?, split_heads(dq, H)?];
            let [k, dk] = [turned(split_heads(k, H)?)?, turned(split_heads(dk, H)?)?];
            let [v, dv] = [split_heads(v, H)?, split_heads(dv, H)?];
            let scale = E::of(((M / H) as f64).sqrt().recip());
            let mask = q.device().try_tensor_from_vec(terms, all)?;
            let change = dq.try_matmul(k.with_empty_tape())?.try_add(q.with_empty_tape().try_matmul(dk)?)?;
            let p = try_softmax(q.try_matmul(k)?.try_mul(scale)?.try_add(mask)?)?;
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
        };
        attend().map_err(device_error)
    }
}

/// `(B, heads, N, C)` → `(B, heads, C, N)`.
fn turned<E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(k: Heads<E, D, T>) -> Result<Heads<E, D, T>, D::Err> {
    k.try_permute::<(usize, usize, usize, usize), Axes4<0, 1, 3, 2>>()?.try_contiguous()
}

impl<const M: usize, const H: usize, B: Dim, S: Dim, E, D, T, V, P> Module<Sequence<B, S, M, E, D, T>>
    for MultiHeadAttention<M, H, E, D, V, P>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    V: Visibility,
    P: Rotation,
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Sequence<B, S, M, E, D, T>) -> Result<Self::Output, D::Err> {
        let y = self.try_attend_dual(x.with_empty_tape(), x, &Mask::all());
        Ok(y.unwrap_or_else(|error| panic!("{error}")))
    }
}

impl<const M: usize, const H: usize, const F: usize, E, D, N, A, V, P>
    TransformerEncoderBlock<M, H, F, E, D, N, A, V, P>
where
    E: Real,
    D: SequenceDevice<E>,
    N: NormPlacement,
    A: Activation,
    V: Visibility,
    P: Rotation,
{
    /// [`try_run`](Self::try_run) of duals.
    ///
    /// # Errors
    /// Those of [`MultiHeadAttention::try_attend`].
    pub fn try_run_dual<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, S, M, E, D, T>,
        mask: &Mask,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        let x = sublayer(self.placement, &self.norm1, x, |x| {
            self.self_attn.try_attend_dual(x.with_empty_tape(), x, mask)
        })?;
        sublayer(self.placement, &self.norm2, x, |x| {
            self.linear2.try_forward(self.linear1.try_forward(x).map_err(device_error)?).map_err(device_error)
        })
    }
}

impl<const M: usize, const H: usize, const F: usize, E, D, N, A> TransformerDecoderBlock<M, H, F, E, D, N, A>
where
    E: Real,
    D: SequenceDevice<E>,
    N: NormPlacement,
    A: Activation,
{
    /// [`try_run`](Self::try_run) of duals; the memory moves too.
    ///
    /// # Errors
    /// Those of [`MultiHeadAttention::try_attend`].
    pub fn try_run_dual<B: Dim, S: Dim, K: Dim, T: Tape<E, D>>(
        &self,
        x: Sequence<B, S, M, E, D, T>,
        memory: Sequence<B, K, M, E, D, T>,
        mask: &Mask,
        memory_mask: &Mask,
    ) -> Result<Sequence<B, S, M, E, D, T>, Error> {
        let x = sublayer(self.placement, &self.norm1, x, |x| {
            self.self_attn.try_attend_dual(x.with_empty_tape(), x, mask)
        })?;
        let x = sublayer(self.placement, &self.norm2, x, |x| {
            self.cross_attn.try_attend_dual(x, memory, memory_mask)
        })?;
        sublayer(self.placement, &self.norm3, x, |x| {
            self.linear2.try_forward(self.linear1.try_forward(x).map_err(device_error)?).map_err(device_error)
        })
    }
}

impl<const M: usize, const H: usize, const F: usize, B: Dim, S: Dim, E, D, T, N, A, V, P>
    Module<Sequence<B, S, M, E, D, T>> for TransformerEncoderBlock<M, H, F, E, D, N, A, V, P>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    N: NormPlacement,
    A: Activation,
    V: Visibility,
    P: Rotation,
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Sequence<B, S, M, E, D, T>) -> Result<Self::Output, D::Err> {
        Ok(self.try_run_dual(x, &Mask::all()).unwrap_or_else(|error| panic!("{error}")))
    }
}

impl<const M: usize, const H: usize, const F: usize, B: Dim, S: Dim, K: Dim, E, D, T, N, A>
    Module<(Sequence<B, S, M, E, D, T>, Sequence<B, K, M, E, D, T>)>
    for TransformerDecoderBlock<M, H, F, E, D, N, A>
where
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
    N: NormPlacement,
    A: Activation,
{
    type Output = Sequence<B, S, M, E, D, T>;
    type Error = D::Err;
    fn try_forward(
        &self,
        (x, memory): (Sequence<B, S, M, E, D, T>, Sequence<B, K, M, E, D, T>),
    ) -> Result<Self::Output, D::Err> {
        let y = self.try_run_dual(x, memory, &Mask::all(), &Mask::all());
        Ok(y.unwrap_or_else(|error| panic!("{error}")))
    }
}

/// The positions of each sequence in reverse order.
fn reversed<const F: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
    x: Sequence<B, S, F, E, D, T>,
) -> Result<Sequence<B, S, F, E, D, T>, D::Err> {
    let shape = *x.shape();
    let (batch, positions) = (shape.0.size(), shape.1.size());
    let rows: Vec<usize> =
        (0..batch).flat_map(|b| (0..positions).rev().map(move |t| b * positions + t)).collect();
    let turn = |x: Tensor<(B, S, Const<F>), E, D, T>| {
        let x = x.try_contiguous()?.try_reshape_like(&(rows.len(), Const::<F>))?;
        pick(x, &rows).try_reshape_like(&shape)
    };
    let (x, dx) = x.split();
    Ok(Dual::join(turn(x)?, turn(dx)?))
}

/// Both directions of one kind of layer, side by side, over whole sequences.
macro_rules! bidirectional {
    ($($name:ident)*) => {$(
        impl<const I: usize, const H: usize, const O: usize, B: Dim, S: Dim, E, D, T>
            Module<Sequence<B, S, I, E, D, T>> for Bidirectional<$name<I, H, E, D>, O>
        where
            E: Real,
            D: SequenceDevice<E>,
            T: Tape<E, D>,
        {
            type Output = Sequence<B, S, O, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Sequence<B, S, I, E, D, T>) -> Result<Self::Output, D::Err> {
                const {
                    assert!(O == 2 * H, "a bidirectional layer has twice the outputs of each direction");
                }
                let shape = (x.shape().0, x.shape().1, Const::<O>);
                let flat = (shape.0.size(), shape.1.size(), H);
                let (ahead, ahead_tangent) = self.forward.try_forward(x.with_empty_tape())?.split();
                let (back, back_tangent) = reversed(self.reverse.try_forward(reversed(x)?)?)?.split();
                let join = |ahead: Tensor<(B, S, Const<H>), E, D, T>, back: Tensor<(B, S, Const<H>), E, D, T>| {
                    let (ahead, back) = (ahead.try_reshape_like(&flat)?, back.try_reshape_like(&flat)?);
                    (ahead, back).try_concat_along(Axis::<2>)?.try_reshape_like(&shape)
                };
                Ok(Dual::join(join(ahead, back)?, join(ahead_tangent, back_tangent)?))
            }
        }
    )*};
}
bidirectional!(Rnn Lstm PeepholeLstm Gru);
