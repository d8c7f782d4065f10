//! Rows of the table for the operations of [`SequenceDevice`](super::SequenceDevice).
use super::attention::attention;
use super::recurrent::{Direction, Recurrence, RecurrentWeights, RnnActivation, gru, lstm, rnn};
use super::{Attention, Mask, composed, position, top_k};
use crate::Real;
use crate::tests::laws::{Body, Case, CpuCase, Everything, Flat, Input, Numbers, Spec, VisitCpu, flat};
use dfdx::prelude::*;

/// Every method that has rows here; the cache and the weights are held against `attention` in `tests.rs`.
pub const OPERATIONS: &[&str] =
    &["attention", "recurrent", "gather_rows", "scatter_add_rows", "top_k", "rotary"];

/// Columns of q, k and x; of v; of the hidden state.
const C: usize = 4;
const V: usize = 6;
const H: usize = 3;
const HEADS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Masked {
    Nothing,
    Causal,
    Keys,
    CausalKeys,
    Pairs,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relative {
    Nothing,
    Keys,
    Bias,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Rnn(RnnActivation, f64),
    Lstm { peepholes: bool },
    Gru,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Attention(Masked, Relative),
    Recurrent(Cell, Direction, bool),
    Gather,
    Scatter,
    TopK(usize),
    Rotary,
}

#[derive(Clone, Copy, Debug)]
struct OnSequence {
    op: Op,
    batch: usize,
    positions: usize,
    /// Keys of attention; rows of the table of look-ups.
    others: usize,
}

impl OnSequence {
    fn gates(self) -> usize {
        match self.op {
            Op::Recurrent(Cell::Lstm { .. }, ..) => 4,
            Op::Recurrent(Cell::Gru, ..) => 3,
            _ => 1,
        }
    }

    fn mask(self, masked: Masked) -> Mask {
        let (batch, queries, keys) = (self.batch, self.positions, self.others);
        // At least the first key of each sequence may be used.
        let lengths: Vec<usize> = (0..batch).map(|b| 1 + (b * 5 + 2) % keys).collect();
        let pair = |i: usize| i.is_multiple_of(keys) || !(i * 7 + i / keys).is_multiple_of(3);
        match masked {
            Masked::Nothing => Mask::all(),
            Masked::Causal => Mask::causal(),
            Masked::Keys => Mask::all().lengths(&lengths, keys),
            Masked::CausalKeys => Mask::causal().lengths(&lengths, keys),
            Masked::Pairs => Mask::all().pairs((0..queries * keys).map(pair).collect()),
        }
    }

    /// Rows of a table of relative positions.
    fn distances(self, masked: Masked) -> usize {
        match masked {
            Masked::Causal | Masked::CausalKeys => self.others + 1,
            _ => 2 * self.positions.max(self.others) + 1,
        }
    }

    fn indices(self, count: usize) -> Vec<usize> {
        (0..count).map(|i| (i * 5 + i / 3 + 1) % self.others).collect()
    }
}

impl Case for OnSequence {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Attention(..) => "attention",
            Op::Recurrent(..) => "recurrent",
            Op::Gather => "gather_rows",
            Op::Scatter => "scatter_add_rows",
            Op::TopK(_) => "top_k",
            Op::Rotary => "rotary",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let Self { op, batch, positions, others } = self;
        let x = Spec::new([batch, positions, C]);
        match op {
            Op::Attention(masked, relative) => {
                let mut inputs = vec![x, Spec::new([batch, others, C]), Spec::new([batch, others, V])];
                // Pinned: with equal rows a table changes nothing, and its gradient is rounding.
                if matches!(relative, Relative::Keys | Relative::Both) {
                    inputs.push(Spec::new([self.distances(masked), C]).pinned());
                }
                if matches!(relative, Relative::Bias | Relative::Both) {
                    inputs.push(Spec::new([self.distances(masked), HEADS]).pinned());
                }
                inputs
            }
            Op::Recurrent(cell, ..) => {
                let g = self.gates();
                let mut inputs = vec![
                    x,
                    Spec::new([g, H, C]).scaled(0.5),
                    Spec::new([g, H, H]).scaled(0.5),
                    Spec::new([g, H]),
                    Spec::new([g, H]),
                    Spec::new([batch, H]),
                ];
                if let Cell::Lstm { peepholes } = cell {
                    inputs.push(Spec::new([batch, H]));
                    if peepholes {
                        inputs.push(Spec::new([3, H]));
                    }
                }
                inputs
            }
            Op::Gather => vec![Spec::new([others, C])],
            Op::Scatter => vec![Spec::new([batch * positions, C])],
            Op::TopK(_) => vec![Spec::new([batch, positions]).holding(Numbers::Distinct).pinned()],
            Op::Rotary => vec![x],
        }
    }

    fn is_linear(self) -> bool {
        matches!(self.op, Op::Gather | Op::Scatter | Op::Rotary)
    }
}

impl CpuCase for OnSequence {
    fn run<B: Body, E: Real, T: Tape<E, Cpu>>(self, x: &[Input<E>]) -> Flat<E, T>
    where
        Cpu: Everything<E>,
    {
        let Self { op, batch, positions, others } = self;
        let sequence = || x[0].taped::<_, T>((batch, positions, Const::<C>));
        match op {
            Op::Attention(masked, relative) => {
                let k = x[1].taped::<_, T>((batch, others, Const::<C>));
                let v = x[2].taped::<_, T>((batch, others, Const::<V>));
                let rows = self.distances(masked);
                let keys = matches!(relative, Relative::Keys | Relative::Both)
                    .then(|| x[3].plain((rows, Const::<C>)));
                let bias = matches!(relative, Relative::Bias | Relative::Both)
                    .then(|| x[x.len() - 1].plain((rows, HEADS)));
                let options = Attention {
                    heads: HEADS,
                    mask: self.mask(masked),
                    scale: None,
                    relative_keys: keys.as_ref(),
                    relative_bias: bias.as_ref(),
                };
                flat(match B::IS_FUSED {
                    true => attention(sequence(), k, v, &options),
                    false => composed::attention(sequence(), k, v, &options),
                })
            }
            Op::Recurrent(cell, direction, has_lengths) => {
                let lengths: Vec<usize> = (0..batch).map(|b| (b * 3 + 1) % (positions + 1)).collect();
                let h = x[5].plain((batch, Const::<H>));
                let c = matches!(cell, Cell::Lstm { .. }).then(|| x[6].plain((batch, Const::<H>)));
                let peepholes =
                    (cell == Cell::Lstm { peepholes: true }).then(|| x[7].plain((Const::<3>, Const::<H>)));
                let options = Recurrence {
                    lengths: has_lengths.then_some(&lengths[..]),
                    direction,
                    hidden: Some(&h),
                    cell: c.as_ref(),
                    peepholes: peepholes.as_ref(),
                    ..Default::default()
                };
                macro_rules! run {
                    ($gates:literal, $name:ident($($more:expr),*)) => {{
                        let input = x[1].plain((Const::<$gates>, Const::<H>, Const::<C>));
                        let hidden = x[2].plain((Const::<$gates>, Const::<H>, Const::<H>));
                        let bias_input = x[3].plain((Const::<$gates>, Const::<H>));
                        let bias_hidden = x[4].plain((Const::<$gates>, Const::<H>));
                        let weights = RecurrentWeights {
                            input: &input,
                            hidden: &hidden,
                            bias_input: &bias_input,
                            bias_hidden: &bias_hidden,
                        };
                        match B::IS_FUSED {
                            true => $name(sequence(), $($more,)* &weights, &options),
                            false => composed::$name(sequence(), $($more,)* &weights, &options),
                        }
                    }};
                }
                let output = match cell {
                    Cell::Rnn(activation, leak) => run!(1, rnn(activation, leak)),
                    Cell::Lstm { .. } => run!(4, lstm()),
                    Cell::Gru => run!(3, gru()),
                };
                let states = (flat(output.hidden.retaped::<T>()), flat(output.cell.retaped::<T>()));
                (flat(output.y), states.concat_along(Axis::<0>)).concat_along(Axis::<0>)
            }
            Op::Gather => {
                let (x, rows) = (x[0].taped::<_, T>((others, Const::<C>)), self.indices(batch * positions));
                flat(match B::IS_FUSED {
                    true => super::gather_rows(x, &rows),
                    false => composed::gather_rows(x, &rows),
                })
            }
            Op::Scatter => {
                let rows = self.indices(batch * positions);
                let x = x[0].taped::<_, T>((batch * positions, Const::<C>));
                flat(match B::IS_FUSED {
                    true => super::scatter_add_rows(x, &rows, others),
                    false => composed::scatter_add_rows(x, &rows, others),
                })
            }
            Op::TopK(k) => {
                let x = x[0].taped::<_, T>((batch, positions));
                flat(match B::IS_FUSED {
                    true => top_k(x, k).values,
                    false => composed::top_k(x, k),
                })
            }
            Op::Rotary => flat(match B::IS_FUSED {
                true => position::rotary(sequence(), 2, 3, 50.0),
                false => composed::rotary(sequence(), 2, 3, 50.0),
            }),
        }
    }
}

fn recurrences() -> impl Iterator<Item = Op> {
    let cells = [
        Cell::Rnn(RnnActivation::Tanh, 1.0),
        Cell::Rnn(RnnActivation::Relu, 1.0),
        Cell::Rnn(RnnActivation::Tanh, 0.3),
        Cell::Lstm { peepholes: false },
        Cell::Lstm { peepholes: true },
        Cell::Gru,
    ];
    let ways = [(Direction::Forward, false), (Direction::Forward, true), (Direction::Reverse, true)];
    cells.into_iter().flat_map(move |cell| ways.map(|(way, lengths)| Op::Recurrent(cell, way, lengths)))
}

fn attentions() -> Vec<Op> {
    use Masked as M;
    use Relative as R;
    [
        (M::Nothing, R::Nothing),
        (M::Causal, R::Nothing),
        (M::Keys, R::Nothing),
        (M::CausalKeys, R::Both),
        (M::Pairs, R::Nothing),
        (M::Nothing, R::Both),
        (M::Causal, R::Keys),
        (M::Causal, R::Bias),
    ]
    .map(|(masked, relative)| Op::Attention(masked, relative))
    .to_vec()
}

fn others() -> [Op; 5] {
    [Op::Gather, Op::Scatter, Op::TopK(1), Op::TopK(3), Op::Rotary]
}

/// Small cases.
pub fn cases(visit: &mut impl VisitCpu) {
    for op in attentions() {
        for (batch, positions, others) in [(1, 1, 1), (2, 3, 5)] {
            visit.visit(OnSequence { op, batch, positions, others });
        }
    }
    // Several blocks of queries, with the probabilities kept and computed again.
    for others in [70, 257] {
        let op = Op::Attention(Masked::CausalKeys, Relative::Both);
        visit.visit(OnSequence { op, batch: 1, positions: 67, others });
    }
    for op in recurrences() {
        for (batch, positions) in [(1, 1), (3, 4)] {
            visit.visit(OnSequence { op, batch, positions, others: 1 });
        }
    }
    for op in others() {
        visit.visit(OnSequence { op, batch: 2, positions: 5, others: 7 });
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl VisitCpu) {
    for op in attentions() {
        visit.visit(OnSequence { op, batch: 3, positions: 130, others: 131 });
    }
    let op = Op::Attention(Masked::Causal, Relative::Both);
    visit.visit(OnSequence { op, batch: 2, positions: 300, others: 300 });
    for op in recurrences() {
        visit.visit(OnSequence { op, batch: 21, positions: 33, others: 1 });
    }
    for op in others() {
        visit.visit(OnSequence { op, batch: 100, positions: 200, others: 5000 });
    }
}
