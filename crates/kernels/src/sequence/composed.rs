//! The slow twins of the tests: the same operations, made of dfdx's own.
use super::position::cos_sin;
use super::recurrent::{Direction, Recurrence, RecurrentOutput, RecurrentWeights, RnnActivation};
use super::{Attention, SequenceDevice};
use crate::Real;
use crate::matrix::cases::matmul;
use dfdx::prelude::*;

type Sequence<const C: usize, E, T = NoneTape> = Tensor<(usize, usize, Const<C>), E, Cpu, T>;
type Matrix<E, T = NoneTape> = Tensor<(usize, usize), E, Cpu, T>;
type State<const H: usize, E, T = NoneTape> = Tensor<(usize, Const<H>), E, Cpu, T>;

fn constant<S: Shape, E: Real>(shape: S, of: impl Fn(usize) -> f64) -> Tensor<S, E, Cpu>
where
    Cpu: SequenceDevice<E>,
{
    Cpu::default().tensor_from_vec((0..shape.num_elements()).map(|i| E::of(of(i))).collect(), shape)
}

/// The product with a matrix that picks rows: `count` columns, a 1 in column `rows[m]` of row m.
fn picking<E: Real>(rows: &[usize], count: usize) -> Matrix<E>
where
    Cpu: SequenceDevice<E>,
{
    constant((rows.len(), count), |i| f64::from(u8::from(rows[i / count] == i % count)))
}

pub fn gather_rows<const C: usize, E: Real, T: Tape<E, Cpu>>(
    x: State<C, E, T>,
    rows: &[usize],
) -> State<C, E, T>
where
    Cpu: SequenceDevice<E>,
{
    let count = x.shape().0;
    matmul(picking(rows, count).retaped::<T>(), x).unwrap()
}

pub fn scatter_add_rows<const C: usize, E: Real, T: Tape<E, Cpu>>(
    x: State<C, E, T>,
    rows: &[usize],
    count: usize,
) -> State<C, E, T>
where
    Cpu: SequenceDevice<E>,
{
    let turned = picking::<E>(rows, count).permute::<(usize, usize), Axes2<1, 0>>();
    matmul(turned.retaped::<T>(), x).unwrap()
}

pub fn top_k<E: Real, T: Tape<E, Cpu>>(x: Matrix<E, T>, k: usize) -> Matrix<E, T>
where
    Cpu: SequenceDevice<E>,
{
    let (batch, columns) = *x.shape();
    let values = x.as_vec();
    let mut picked = Vec::new();
    for (b, row) in values.chunks(columns).enumerate() {
        let mut order: Vec<usize> = (0..columns).collect();
        order.sort_by(|&i, &j| row[j].partial_cmp(&row[i]).unwrap());
        picked.extend(order[..k].iter().map(|i| b * columns + i));
    }
    let elements = x.contiguous().reshape_like(&(batch * columns, Const::<1>));
    gather_rows(elements, &picked).reshape_like(&(batch, k))
}

/// The rotation as a matrix of one position, block by block.
pub fn rotary<const C: usize, E: Real, T: Tape<E, Cpu>>(
    x: Sequence<C, E, T>,
    heads: usize,
    start: usize,
    base: f64,
) -> Sequence<C, E, T>
where
    Cpu: SequenceDevice<E>,
{
    let shape = *x.shape();
    let pairs = C / heads / 2;
    let angle = |t: usize, c: usize| cos_sin(start + t, pairs, base).nth(c % (2 * pairs) / 2).unwrap();
    let at = |i: usize| (i / C % shape.1, i % C);
    let cos = constant(shape, |i| angle(at(i).0, at(i).1)[0]);
    let sin = constant(shape, |i| angle(at(i).0, at(i).1)[1] * if i.is_multiple_of(2) { -1.0 } else { 1.0 });
    // The neighbour of each column.
    let swap = constant((C, C), |i| f64::from(u8::from(i / C == (i % C) ^ 1)));
    let rows = x.contiguous().reshape_like(&(shape.0 * shape.1, C));
    let neighbours = matmul(rows.with_empty_tape(), swap.retaped::<T>()).unwrap().reshape_like(&shape);
    rows.reshape_like(&shape) * cos + neighbours * sin
}

type Heads<E, T> = Tensor<(usize, usize, usize, usize), E, Cpu, T>;

/// `(B, N, C)` → `(B, heads, N, C / heads)`.
fn split<const C: usize, E: Real, T: Tape<E, Cpu>>(x: Sequence<C, E, T>, heads: usize) -> Heads<E, T>
where
    Cpu: SequenceDevice<E>,
{
    let (batch, rows, _) = *x.shape();
    let x = x.contiguous().reshape_like(&(batch, rows, heads, C / heads));
    x.permute::<_, Axes4<0, 2, 1, 3>>().contiguous()
}

pub fn attention<const C: usize, const V: usize, E: Real, T: Tape<E, Cpu>>(
    q: Sequence<C, E, T>,
    k: Sequence<C, E, T>,
    v: Sequence<V, E, T>,
    options: &Attention<'_, C, E, Cpu>,
) -> Sequence<V, E, T>
where
    Cpu: SequenceDevice<E>,
{
    let (batch, queries, _) = *q.shape();
    let keys = k.shape().1;
    let heads = options.heads;
    let is_causal = options.mask.is_causal();
    let shape = (batch, heads, queries, keys);
    let position = |i: usize| if is_causal { keys - queries + i } else { i };
    let q = q.contiguous();
    let q_all = q.with_empty_tape();
    let turned = split(k, heads).permute::<_, Axes4<0, 1, 3, 2>>().contiguous();
    let mut products = split(q, heads).matmul(turned);
    // The row of each pair in a table of distances; pairs that are masked may have none.
    let row = |rows: usize, i: usize, j: usize| {
        let zero = if is_causal { rows - 1 } else { (rows - 1) / 2 };
        (zero + j).wrapping_sub(position(i)).min(rows - 1)
    };
    let of_pairs = |rows: usize| -> Vec<usize> {
        (0..queries * keys).map(|pair| row(rows, pair / keys, pair % keys)).collect()
    };
    if let Some(table) = options.relative_keys {
        let e = gather_rows(table.retaped::<T>(), &of_pairs(table.shape().0));
        let all = (batch, queries, keys, heads, C / heads);
        let e = e.reshape_like(&(queries, keys, heads, C / heads)).broadcast_like::<_, Axis<0>>(&all);
        let q = q_all.reshape_like(&(batch, queries, heads, C / heads)).broadcast_like::<_, Axis<2>>(&all);
        let r: Heads<E, T> = (q * e).sum::<_, Axis<4>>();
        products = products + r.permute::<_, Axes4<0, 3, 1, 2>>().contiguous();
    }
    let mut logits = products * E::of(options.scale.unwrap_or(((C / heads) as f64).sqrt().recip()));
    if let Some(table) = options.relative_bias {
        let rows = table.shape().0;
        let picked = matmul(picking(&of_pairs(rows), rows).retaped::<T>(), table.retaped::<T>()).unwrap();
        let picked = picked.reshape_like(&(queries, keys, heads)).permute::<_, Axes3<2, 0, 1>>();
        logits = logits + picked.contiguous().broadcast_like::<_, Axis<0>>(&shape);
    }
    let masked = constant(shape, |at| {
        let (b, i, j) = (at / keys / queries / heads, at / keys % queries, at % keys);
        let may_be_used = (!is_causal || j <= position(i))
            && options.mask.key_mask().is_none_or(|keep| keep[b * keys + j])
            && options.mask.pair_mask().is_none_or(|keep| keep[i * keys + j]);
        if may_be_used { 0.0 } else { -1e30 }
    });
    let p = (logits + masked).softmax::<Axis<3>>();
    let y = p.matmul(split(v, heads)).permute::<(usize, usize, usize, usize), Axes4<0, 2, 1, 3>>();
    y.contiguous().reshape_like(&(batch, queries, Const::<V>))
}

/// The states of one step.
struct Step<const H: usize, E: Real, T: Tape<E, Cpu>>
where
    Cpu: SequenceDevice<E>,
{
    h: State<H, E, T>,
    c: State<H, E, T>,
}

/// Unrolls a recurrence: `cell(gates of x, gates of h, state)`, each gate `(B, H)`.
fn unroll<const G: usize, const I: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
    x: Sequence<I, E, T>,
    weights: &RecurrentWeights<'_, G, I, H, E, Cpu>,
    options: &Recurrence<'_, usize, H, E, Cpu>,
    cell: impl Fn([State<H, E, T>; G], [State<H, E, T>; G], Step<H, E, T>) -> Step<H, E, T>,
) -> RecurrentOutput<usize, usize, H, E, Cpu, T>
where
    Cpu: SequenceDevice<E>,
{
    let (batch, positions, _) = *x.shape();
    let lengths = options.lengths.map_or(vec![positions; batch], <[usize]>::to_vec);
    let x = x.contiguous().reshape_like(&(batch * positions, Const::<I>));
    let (x, tape) = x.split_tape();
    let zeros: State<H, E> = constant((batch, Const), |_| 0.0);
    let start = |state: Option<&State<H, E>>| state.unwrap_or(&zeros).retaped::<T>().contiguous();
    let mut state = Step { h: start(options.hidden), c: start(options.cell) };
    state.h = {
        let (h, more) = state.h.split_tape();
        h.put_tape(more.merge(tape))
    };
    // Row `g H + j` of a weight, as rows of its own, turned.
    fn gate<const K: usize, const G: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
        weight: &Tensor<Rank3<G, H, K>, E, Cpu>,
        g: usize,
    ) -> Tensor<(Const<K>, Const<H>), E, Cpu, T>
    where
        Cpu: SequenceDevice<E>,
    {
        let rows: Vec<usize> = (g * H..(g + 1) * H).collect();
        let all = weight.retaped::<T>().contiguous().reshape_like(&(G * H, Const::<K>));
        gather_rows(all, &rows)
            .reshape_like(&(Const, Const))
            .permute::<(Const<K>, Const<H>), Axes2<1, 0>>()
            .contiguous()
    }
    let bias = |bias: &Tensor<Rank2<G, H>, E, Cpu>, g: usize| {
        let all = bias.retaped::<T>().contiguous().reshape_like(&(G, Const::<H>));
        gather_rows(all, &vec![g; batch])
    };
    let mut outputs: Vec<State<H, E, T>> = Vec::new();
    for step in 0..positions {
        let at = |b: usize| match options.direction {
            Direction::Forward => step,
            Direction::Reverse => (lengths[b].max(step + 1)) - 1 - step,
        };
        let rows: Vec<usize> = (0..batch).map(|b| b * positions + at(b)).collect();
        let x_t = gather_rows(x.retaped::<T>(), &rows);
        let of_x = std::array::from_fn(|g| {
            matmul(x_t.with_empty_tape(), gate::<I, G, H, E, T>(weights.input, g)).unwrap()
                + bias(weights.bias_input, g)
        });
        let of_h = std::array::from_fn(|g| {
            matmul(state.h.with_empty_tape(), gate::<H, G, H, E, T>(weights.hidden, g)).unwrap()
                + bias(weights.bias_hidden, g)
        });
        let before = Step { h: state.h.with_empty_tape(), c: state.c.with_empty_tape() };
        let after = cell(of_x, of_h, before);
        let is_read: State<H, E> = constant((batch, Const), |i| f64::from(u8::from(step < lengths[i / H])));
        let keep = |old: State<H, E, T>, new: State<H, E, T>| {
            // A cell that is passed on is one tensor twice, which dfdx's subtraction refuses: give it an id.
            let change = (new - old.with_empty_tape() * E::ONE) * is_read.clone();
            old + change
        };
        // The rows of x on the tape too.
        let (_, of_rows) = x_t.split_tape();
        state = Step { h: keep(state.h, after.h), c: keep(state.c, after.c) };
        let (h, mine) = state.h.split_tape();
        state.h = h.put_tape(mine.merge(of_rows));
        outputs.push(state.h.with_empty_tape() * is_read);
    }
    // Each output to its position; the others stay 0.
    let mut y: State<H, E, T> = constant((batch * positions, Const), |_| 0.0).retaped::<T>();
    for (step, output) in outputs.into_iter().enumerate() {
        let rows: Vec<usize> = (0..batch)
            .map(|b| match options.direction {
                Direction::Reverse if step < lengths[b] => b * positions + lengths[b] - 1 - step,
                _ => b * positions + step,
            })
            .collect();
        y = y + scatter_add_rows(output, &rows, batch * positions);
    }
    let (hidden, tape) = state.h.split_tape();
    let (cell, more) = state.c.split_tape();
    let (y, mine) = y.split_tape();
    let y = y.put_tape(mine.merge(tape).merge(more)).reshape_like(&(batch, positions, Const));
    RecurrentOutput { y, hidden, cell }
}

pub fn rnn<const I: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
    x: Sequence<I, E, T>,
    activation: RnnActivation,
    leak: f64,
    weights: &RecurrentWeights<'_, 1, I, H, E, Cpu>,
    options: &Recurrence<'_, usize, H, E, Cpu>,
) -> RecurrentOutput<usize, usize, H, E, Cpu, T>
where
    Cpu: SequenceDevice<E>,
{
    unroll(x, weights, options, |[a], [b], state| {
        let y = match activation {
            RnnActivation::Tanh => (a + b).tanh(),
            RnnActivation::Relu => (a + b).relu(),
        };
        Step { h: state.h * E::of(1.0 - leak) + y * E::of(leak), c: state.c }
    })
}

pub fn lstm<const I: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
    x: Sequence<I, E, T>,
    weights: &RecurrentWeights<'_, 4, I, H, E, Cpu>,
    options: &Recurrence<'_, usize, H, E, Cpu>,
) -> RecurrentOutput<usize, usize, H, E, Cpu, T>
where
    Cpu: SequenceDevice<E>,
{
    let peep = |gate: State<H, E, T>, c: State<H, E, T>, i: usize| match options.peepholes {
        Some(weights) => {
            let rows = vec![i; c.shape().0];
            let weights = weights.retaped::<T>().contiguous().reshape_like(&(3, Const::<H>));
            gate + c * gather_rows(weights, &rows)
        }
        None => gate,
    };
    unroll(x, weights, options, |[ai, af, ag, ao], [bi, bf, bg, bo], state| {
        let i = peep(ai + bi, state.c.with_empty_tape(), 0).sigmoid();
        let f = peep(af + bf, state.c.with_empty_tape(), 1).sigmoid();
        let c = f * state.c + i * (ag + bg).tanh();
        let o = peep(ao + bo, c.with_empty_tape(), 2).sigmoid();
        Step { h: o * c.with_empty_tape().tanh(), c }
    })
}

pub fn gru<const I: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
    x: Sequence<I, E, T>,
    weights: &RecurrentWeights<'_, 3, I, H, E, Cpu>,
    options: &Recurrence<'_, usize, H, E, Cpu>,
) -> RecurrentOutput<usize, usize, H, E, Cpu, T>
where
    Cpu: SequenceDevice<E>,
{
    unroll(x, weights, options, |[ar, az, an], [br, bz, bn], state| {
        let z = (az + bz).sigmoid();
        let n = (an + (ar + br).sigmoid() * bn).tanh();
        let change = z * (state.h - n.with_empty_tape());
        Step { h: n + change, c: state.c }
    })
}
