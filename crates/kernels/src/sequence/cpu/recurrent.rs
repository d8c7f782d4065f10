//! Recurrences: one product for the inputs of all positions, then groups of sequences side by side.
use super::{next, parallel_items};
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::contiguous;
use crate::loops::rows_per_part;
use crate::pool::chunks_mut;
use crate::product::{Layout, multiply};
use crate::sequence::passes::{GruStep, GruStepBack, LstmStep, LstmStepBack, RnnStep, RnnStepBack};
use crate::sequence::recurrent::{CellKind, Direction, Recurrence, RecurrentOutput, RecurrentWeights};
use crate::{InputGradient, Real};
use dfdx::prelude::*;
use std::mem::take;

/// Sequences that run together: fixed, so that results do not depend on the number of threads.
const GROUP: usize = 8;

/// Sizes of a recurrence, and which position comes when.
#[derive(Clone)]
struct Plan {
    kind: CellKind,
    gates: usize,
    hidden: usize,
    positions: usize,
    lengths: Vec<usize>,
    direction: Direction,
}

impl Plan {
    /// The position that sequence `b` reads in step `step`, if it is that long.
    fn position(&self, b: usize, step: usize) -> Option<usize> {
        let length = self.lengths[b];
        (step < length).then(|| match self.direction {
            Direction::Forward => step,
            Direction::Reverse => length - 1 - step,
        })
    }

    /// The sequences of each group.
    fn groups(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let batch = self.lengths.len();
        (0..batch).step_by(GROUP).map(move |first| first..(first + GROUP).min(batch))
    }

    fn steps(&self, group: std::ops::Range<usize>) -> usize {
        if self.hidden == 0 { 0 } else { self.lengths[group].iter().copied().max().unwrap_or(0) }
    }
}

/// What every group reads.
struct Shared<'a, E> {
    plan: &'a Plan,
    /// U, `(G H, H)` for backward, its transpose for forward.
    hidden: &'a [E],
    /// What is added to U h: both biases, but for n of the GRU the hidden one alone.
    bias: &'a [E],
    /// b^x of n of the GRU.
    bias_n: &'a [E],
    peepholes: &'a [E],
}

/// What one group writes in the forward pass. `kept` and `tape` are empty when nothing is recorded.
struct ForwardPart<'a, E> {
    group: std::ops::Range<usize>,
    gates: &'a mut [E],
    y: &'a mut [E],
    /// c of the LSTM, U h + b of n of the GRU.
    kept: &'a mut [E],
    tanh_c: &'a mut [E],
    h: &'a mut [E],
    c: &'a mut [E],
}

fn forward<E: Real>(shared: &Shared<'_, E>, part: ForwardPart<'_, E>) {
    let plan = shared.plan;
    let (n, width) = (plan.hidden, plan.gates * plan.hidden);
    let ForwardPart { group, gates, y, kept, tanh_c, h, c } = part;
    let rows = group.len();
    let mut products = vec![E::zero(); rows * width];
    let mut scratch = vec![E::zero(); n];
    y.fill(E::zero());
    for step in 0..plan.steps(group.clone()) {
        for row in products.chunks_exact_mut(width) {
            row.copy_from_slice(shared.bias);
        }
        let u = (shared.hidden, Layout::row_major(n, width));
        multiply((h, Layout::row_major(rows, n)), u, (&mut products, Layout::row_major(rows, width)), true);
        for r in 0..rows {
            let Some(t) = plan.position(group.start + r, step) else { continue };
            let at = r * plan.positions + t;
            let gates = &mut gates[at * width..(at + 1) * width];
            let recurrent = &products[r * width..(r + 1) * width];
            let h = &mut h[r * n..(r + 1) * n];
            match plan.kind {
                CellKind::Rnn { activation, leak } => {
                    E::rnn_step(RnnStep { gates, recurrent, h, activation, leak: E::of(leak) })
                }
                CellKind::Lstm => {
                    let c = &mut c[r * n..(r + 1) * n];
                    let tanh_c =
                        if tanh_c.is_empty() { &mut scratch[..] } else { &mut tanh_c[at * n..(at + 1) * n] };
                    E::lstm_step(LstmStep { gates, recurrent, peepholes: shared.peepholes, c, tanh_c, h });
                    if !kept.is_empty() {
                        kept[at * n..(at + 1) * n].copy_from_slice(c);
                    }
                }
                CellKind::Gru => {
                    E::gru_step(GruStep { gates, recurrent, bias_n: shared.bias_n, h });
                    if !kept.is_empty() {
                        kept[at * n..(at + 1) * n].copy_from_slice(&recurrent[2 * n..]);
                    }
                }
            }
            y[at * n..(at + 1) * n].copy_from_slice(h);
        }
    }
}

/// What one group reads of the forward pass and writes in the backward pass.
struct BackwardPart<'a, E> {
    group: std::ops::Range<usize>,
    /// Gradients of W x + b.
    da: &'a mut [E],
    /// Gradients of U h + b where they differ: of the GRU.
    dr: &'a mut [E],
    /// h before each position.
    before: &'a mut [E],
    /// In: the gradients of the final states; out: of the initial ones.
    dh: &'a mut [E],
    dc: &'a mut [E],
    d_peepholes: &'a mut [E],
}

/// What the forward pass has kept, of the whole batch.
struct Kept<'a, E> {
    gates: &'a [E],
    y: &'a [E],
    kept: &'a [E],
    tanh_c: &'a [E],
    h0: &'a [E],
    c0: &'a [E],
    gy: &'a [E],
}

fn backward<'a, E: Real>(shared: &Shared<'_, E>, kept: &Kept<'a, E>, part: BackwardPart<'_, E>) {
    let plan = shared.plan;
    let (n, width, first) = (plan.hidden, plan.gates * plan.hidden, part.group.start * plan.positions);
    let BackwardPart { group, da, dr, before, dh, dc, d_peepholes } = part;
    let rows = group.len();
    for slice in [&mut *da, &mut *dr, &mut *before, &mut *d_peepholes] {
        slice.fill(E::zero());
    }
    let mut packed = vec![E::zero(); rows * width];
    for step in (0..plan.steps(group.clone())).rev() {
        for r in 0..rows {
            let packed = &mut packed[r * width..(r + 1) * width];
            let Some(t) = plan.position(group.start + r, step) else {
                packed.fill(E::zero());
                continue;
            };
            let local = r * plan.positions + t;
            let at = first + local; // in the whole batch
            let start = (group.start + r) * n;
            // The position read one step earlier, in the whole batch; before the first there is the initial state.
            let earlier = step.checked_sub(1).and_then(|step| plan.position(group.start + r, step));
            let state = |of: &'a [E], initial: &'a [E]| match earlier {
                Some(t) => &of[(first + r * plan.positions + t) * n..][..n],
                None => &initial[start..start + n],
            };
            let h_before = &mut before[local * n..(local + 1) * n];
            h_before.copy_from_slice(state(kept.y, kept.h0));
            let gates = &kept.gates[at * width..(at + 1) * width];
            let da = &mut da[local * width..(local + 1) * width];
            let dh = &mut dh[r * n..(r + 1) * n];
            E::add_to(&kept.gy[at * n..(at + 1) * n], dh);
            match plan.kind {
                CellKind::Rnn { activation, leak } => {
                    E::rnn_step_back(RnnStepBack { gates, dh, da, activation, leak: E::of(leak) });
                    packed.copy_from_slice(da);
                }
                CellKind::Lstm => {
                    E::lstm_step_back(LstmStepBack {
                        gates,
                        peepholes: shared.peepholes,
                        c_before: state(kept.kept, kept.c0),
                        c: &kept.kept[at * n..(at + 1) * n],
                        tanh_c: &kept.tanh_c[at * n..(at + 1) * n],
                        dh,
                        dc: &mut dc[r * n..(r + 1) * n],
                        da,
                        d_peepholes,
                    });
                    packed.copy_from_slice(da);
                }
                CellKind::Gru => {
                    let dr = &mut dr[local * width..(local + 1) * width];
                    let product_n = &kept.kept[at * n..(at + 1) * n];
                    E::gru_step_back(GruStepBack { gates, product_n, h_before, dh, da, dr });
                    packed.copy_from_slice(dr);
                }
            }
        }
        let u = (shared.hidden, Layout::row_major(width, n));
        multiply((&packed, Layout::row_major(rows, width)), u, (dh, Layout::row_major(rows, n)), true);
    }
}

/// Column sums of a matrix with rows of `width`, in parts of fixed size that are added in order.
fn add_column_sums<E: Real>(x: &[E], width: usize, sums: &mut [E]) {
    if width == 0 {
        return;
    }
    let chunk = rows_per_part(width) * width;
    let mut parts = vec![E::zero(); x.len().div_ceil(chunk) * width];
    chunks_mut(&mut parts, width, |start, sums| {
        let from = start / width * chunk;
        E::sum_rows(&x[from..(from + chunk).min(x.len())], sums)
    });
    for part in parts.chunks_exact(width) {
        E::add_to(part, sums);
    }
}

/// An initial state, and the tape with what making it contiguous took.
type State<B, const H: usize, E, T> = (Option<Tensor<(B, Const<H>), E, Cpu>>, T);

fn initial<B: Dim, const H: usize, E: Real, T: Tape<E, Cpu>>(
    state: Option<&Tensor<(B, Const<H>), E, Cpu>>,
    tape: T,
) -> Result<State<B, H, E, T>, CpuError> {
    match state {
        Some(state) => contiguous(state, tape).map(|(state, tape)| (Some(state), tape)),
        None => Ok((None, tape)),
    }
}

/// A buffer that holds the state, or zeros.
fn filled<B: Dim, const H: usize, E: Real>(
    device: &Cpu,
    state: Option<&Tensor<(B, Const<H>), E, Cpu>>,
    elements: usize,
) -> Result<Vec<E>, CpuError> {
    let mut buffer = buffer(device, elements)?;
    match state {
        Some(state) => buffer.copy_from_slice(flat(state)),
        None => buffer.fill(E::zero()),
    }
    Ok(buffer)
}

pub fn recurrent<const G: usize, B: Dim, S: Dim, const I: usize, const H: usize, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<(B, S, Const<I>), E, Cpu, T>,
    kind: CellKind,
    weights: &RecurrentWeights<'_, G, I, H, E, Cpu>,
    options: &Recurrence<'_, B, H, E, Cpu>,
) -> Result<RecurrentOutput<B, S, H, E, Cpu, T>, CpuError> {
    let (x, tape) = x.try_contiguous()?.split_tape();
    let (w, tape) = contiguous(weights.input, tape)?;
    let (u, tape) = contiguous(weights.hidden, tape)?;
    let (bias_input, tape) = contiguous(weights.bias_input, tape)?;
    let (bias_hidden, tape) = contiguous(weights.bias_hidden, tape)?;
    let (h0, tape) = initial(options.hidden, tape)?;
    let (c0, mut tape) = initial(options.cell, tape)?;
    let mut peepholes = None;
    if let Some(weights) = options.peepholes {
        let (weights, more) = contiguous(weights, tape)?;
        (peepholes, tape) = (Some(weights), more);
    }
    let device = x.device().clone();
    let [batch, positions, _] = x.shape().concrete();
    let (rows, width) = (batch * positions, G * H);
    let lengths = options.lengths.map_or_else(|| vec![positions; batch], <[usize]>::to_vec);
    let plan = Plan { kind, gates: G, hidden: H, positions, lengths, direction: options.direction };
    let (x_layout, a_layout) = (Layout::row_major(rows, I), Layout::row_major(rows, width));
    let w_layout = Layout::row_major(width, I);

    let mut gates = buffer(&device, rows * width)?;
    multiply((flat(&x), x_layout), (flat(&w), w_layout.transposed()), (&mut gates, a_layout), false);
    let mut y = buffer(&device, rows * H)?;
    let is_recorded = |needed: bool| if T::OWNS_TAPE && needed { rows * H } else { 0 };
    let mut kept = buffer(&device, is_recorded(matches!(kind, CellKind::Lstm | CellKind::Gru)))?;
    let mut tanh_c = buffer(&device, is_recorded(kind == CellKind::Lstm))?;
    let mut h = filled(&device, h0.as_ref(), batch * H)?;
    let mut c = filled(&device, c0.as_ref(), batch * H)?;
    let mut transposed = buffer(&device, H * width)?;
    chunks_mut(&mut transposed, (width * 16).max(1), |start, rows| {
        for (k, row) in rows.chunks_exact_mut(width.max(1)).enumerate() {
            for (to, from) in row.iter_mut().zip(flat(&u).chunks_exact(H.max(1))) {
                *to = from[start / width.max(1) + k];
            }
        }
    });
    let mut bias = flat(&bias_hidden).to_vec();
    let summed = if kind == CellKind::Gru { 2 * H } else { width };
    E::add_to(&flat(&bias_input)[..summed], &mut bias[..summed]);
    {
        let shared = Shared {
            plan: &plan,
            hidden: &transposed,
            bias: &bias,
            bias_n: &flat(&bias_input)[summed..],
            peepholes: peepholes.as_ref().map_or(&[], flat),
        };
        let [mut gates, mut y, mut kept, mut tanh_c, mut h, mut c] =
            [&mut gates, &mut y, &mut kept, &mut tanh_c, &mut h, &mut c].map(|buffer| &mut buffer[..]);
        let parts: Vec<_> = plan
            .groups()
            .map(|group| {
                let (m, n) = (group.len() * H, group.len() * positions);
                let [kept_n, tanh_n] = [&kept, &tanh_c].map(|all| if all.is_empty() { 0 } else { n * H });
                ForwardPart {
                    gates: next(&mut gates, n * width),
                    y: next(&mut y, n * H),
                    kept: next(&mut kept, kept_n),
                    tanh_c: next(&mut tanh_c, tanh_n),
                    h: next(&mut h, m),
                    c: next(&mut c, m),
                    group,
                }
            })
            .collect();
        parallel_items(parts, |part| forward(&shared, part));
    }
    recycle(&device, transposed);
    let y = device.try_tensor_from_vec(y, (x.shape().0, x.shape().1, Const::<H>))?;
    let state = (x.shape().0, Const::<H>);
    let hidden = device.try_tensor_from_vec(h, state)?;
    let cell = device.try_tensor_from_vec(c, state)?;
    if !T::OWNS_TAPE {
        for buffer in [gates, kept, tanh_c] {
            recycle(&device, buffer);
        }
        return Ok(RecurrentOutput { y: y.put_tape(tape), hidden, cell });
    }
    let (kept_y, hidden_ghost, cell_ghost) = (y.clone(), hidden.ghost(), cell.ghost());
    let input_gradient = options.input_gradient;
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&kept_y)?);
        let (mut dh, mut dc) = (buffer(&device, batch * H)?, buffer(&device, batch * H)?);
        dh.copy_from_slice(grads.get_or_alloc_mut(&hidden_ghost)?);
        dc.copy_from_slice(grads.get_or_alloc_mut(&cell_ghost)?);
        let mut da = buffer(&device, rows * width)?;
        let mut dr = buffer(&device, if kind == CellKind::Gru { rows * width } else { 0 })?;
        let mut before = buffer(&device, rows * H)?;
        let [h_start, c_start] = [&h0, &c0].map(|state| filled(&device, state.as_ref(), batch * H));
        let (h_start, c_start) = (h_start?, c_start?);
        let peephole_gradient = if peepholes.is_some() { 3 * H } else { 0 };
        let mut d_peepholes = vec![E::zero(); plan.groups().count() * peephole_gradient];
        {
            let shared = Shared {
                plan: &plan,
                hidden: flat(&u),
                bias: &[],
                bias_n: &[],
                peepholes: peepholes.as_ref().map_or(&[], flat),
            };
            let [h0, c0] = [&h_start[..], &c_start[..]];
            let kept =
                Kept { gates: &gates, y: flat(&kept_y), kept: &kept, tanh_c: &tanh_c, h0, c0, gy: &gy };
            let [mut da, mut dr, mut before, mut dh, mut dc, mut d_peepholes] =
                [&mut da, &mut dr, &mut before, &mut dh, &mut dc, &mut d_peepholes]
                    .map(|buffer| &mut buffer[..]);
            let parts: Vec<_> = plan
                .groups()
                .map(|group| {
                    let (m, n) = (group.len() * H, group.len() * positions);
                    let dr_n = if dr.is_empty() { 0 } else { n * width };
                    BackwardPart {
                        da: next(&mut da, n * width),
                        dr: next(&mut dr, dr_n),
                        before: next(&mut before, n * H),
                        dh: next(&mut dh, m),
                        dc: next(&mut dc, m),
                        d_peepholes: next(&mut d_peepholes, peephole_gradient),
                        group,
                    }
                })
                .collect();
            parallel_items(parts, |part| backward(&shared, &kept, part));
        }
        let of_hidden = if dr.is_empty() { &da } else { &dr };
        let u_layout = Layout::row_major(width, H);
        let before_layout = Layout::row_major(rows, H);
        let gw = grads.get_or_alloc_mut(&w)?;
        multiply((&da, a_layout.transposed()), (flat(&x), x_layout), (gw, w_layout), true);
        let gu = grads.get_or_alloc_mut(&u)?;
        multiply((of_hidden, a_layout.transposed()), (&before, before_layout), (gu, u_layout), true);
        add_column_sums(&da, width, grads.get_or_alloc_mut(&bias_input)?);
        add_column_sums(of_hidden, width, grads.get_or_alloc_mut(&bias_hidden)?);
        if input_gradient == InputGradient::Needed {
            let gx = grads.get_or_alloc_mut(&x)?;
            multiply((&da, a_layout), (flat(&w), w_layout), (gx, x_layout), true);
        }
        for (state, gradient) in [(&h0, &dh), (&c0, &dc)] {
            if let Some(state) = state {
                E::add_to(gradient, grads.get_or_alloc_mut(state)?);
            }
        }
        if let Some(peepholes) = &peepholes {
            let gradient = grads.get_or_alloc_mut(peepholes)?;
            for part in d_peepholes.chunks_exact(peephole_gradient.max(1)) {
                E::add_to(part, gradient);
            }
        }
        **grads.get_or_alloc_mut(&kept_y)? = gy;
        for buffer in [gates, kept, tanh_c, da, dr, before, dh, dc, h_start, c_start] {
            recycle(&device, buffer);
        }
        Ok(())
    });
    Ok(RecurrentOutput { y: y.put_tape(tape), hidden, cell })
}
