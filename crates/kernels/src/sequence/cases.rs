//! Rows of the table for the operations of [`SequenceDevice`](super::SequenceDevice).
use super::attention::attention;
use super::indexing::embedding;
use super::recurrent::{Direction, Recurrence, RecurrentWeights, RnnActivation, gru, lstm, rnn};
use super::{
    Attention, Mask, composed, gather_rows, position, scatter_add_rows, sinusoid, top_k, try_attention,
    try_attention_weights, try_embedding, try_gather_rows, try_gru, try_lstm, try_rnn, try_rotary,
    try_scatter_add_rows, try_sinusoid, try_top_k,
};
use crate::random::Key;
use crate::tests::hostile::{Hostile, Leaf, Operations, refuses, zeros};
use crate::tests::laws::{
    Body, Case, CpuCase, Everything, Flat, Input, Numbers, Spec, VisitCpu, elements, flat,
};
use crate::{Error, Real};
use dfdx::prelude::*;

/// Every method that has rows here; the cache and the weights are held against `attention` in `tests.rs`.
pub const OPERATIONS: &Operations = &[
    ("attention", &["attention"]),
    ("recurrent", &["rnn", "lstm", "gru"]),
    ("gather_rows", &["gather_rows", "embedding"]),
    ("scatter_add_rows", &["scatter_add_rows"]),
    ("top_k", &["top_k"]),
    ("rotary", &["rotary"]),
];

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

/// Weights of a recurrence with so many gates, from 3 inputs to 2 hidden units.
#[derive(Clone)]
struct Gates<const G: usize> {
    input: Tensor<Rank3<G, 2, 3>, f64, Cpu>,
    hidden: Tensor<Rank3<G, 2, 2>, f64, Cpu>,
    biases: [Tensor<Rank2<G, 2>, f64, Cpu>; 2],
}

impl<const G: usize> Gates<G> {
    fn ones() -> Self {
        let device = Cpu::default();
        Self { input: device.ones(), hidden: device.ones(), biases: [device.ones(), device.ones()] }
    }
    fn weights(&self) -> RecurrentWeights<'_, G, 3, 2, f64, Cpu> {
        let [bias_input, bias_hidden] = &self.biases;
        RecurrentWeights { input: &self.input, hidden: &self.hidden, bias_input, bias_hidden }
    }
    fn leaves(&self) -> [&dyn Leaf; 4] {
        [&self.input, &self.hidden, &self.biases[0], &self.biases[1]]
    }
}

/// No sequences, no positions, no rows; masks, tables, states, lengths and indices that do not fit.
pub fn hostile(hostile: &mut Hostile) {
    let sequence = |b, s| zeros((b, s, Const::<4>));
    let new = Attention::<4, f64, Cpu>::new;
    for (batch, queries) in [(0, 3), (2, 0)] {
        let (q, k, v) = (sequence(batch, queries), sequence(batch, 5), zeros((batch, 5, Const::<6>)));
        let y = attention(q.leaky_trace(), k.retaped(), v.retaped(), &new(2));
        hostile.empty("attention", y, &[batch, queries, 6], 0.0, &[&q, &k, &v]);
        let y = position::rotary(q.leaky_trace(), 2, 3, 50.0);
        hostile.empty("rotary", y, &[batch, queries, 4], 0.0, &[&q]);
    }
    let (q, k) = (sequence(2, 3), sequence(2, 5));
    let run = |options: Attention<'_, 4, f64, Cpu>| try_attention(q.clone(), k.clone(), k.clone(), &options);
    let keys = |n| Mask::all().keys(vec![true; n]);
    assert!(run(new(2)).is_ok() && run(new(1).mask(keys(10))).is_ok());
    for heads in [0, 3, 8] {
        refuses! { hostile:
            "attention", run(new(heads)) => Error::Heads { features: 4, .. }, [4, heads];
            "rotary", try_rotary(q.clone(), heads, 0, 10.0) => Error::Heads { features: 4, .. }, [4, heads];
            "attention_weights", try_attention_weights(&q, &k, &new(heads))
                => Error::Heads { .. }, [4, heads];
        }
    }
    let mut one_without = vec![true; 15];
    one_without[5..10].fill(false);
    // Causal: query 0 is position 2 of 5 and may use keys 0 to 2, which are masked.
    let late = Mask::causal().keys((0..10).map(|i| i % 5 > 2).collect());
    let causal = new(1).mask(Mask::causal());
    let (short, even, wide) = (zeros((4, Const)), zeros((10, Const)), zeros((9, 3)));
    let none = sequence(2, 0);
    let other = sequence(1, 5);
    refuses! { hostile:
        "attention", run(new(1).mask(keys(9))) => Error::MaskLength { length: 9, expected: 10 }, [9, 10];
        "attention", run(new(1).mask(Mask::all().pairs(vec![true; 16])))
            => Error::MaskLength { length: 16, expected: 15 }, [16, 15];
        "attention", run(new(1).mask(Mask::all().lengths(&[5, 0], 5)))
            => Error::NothingToAttend { sequence: 1, query: 0 }, [1, 0];
        "attention", run(new(1).mask(Mask::all().pairs(one_without)))
            => Error::NothingToAttend { sequence: 0, query: 1 }, [0, 1];
        "attention", run(new(1).mask(late)) => Error::NothingToAttend { sequence: 0, query: 0 }, [0];
        "attention", try_attention(q.clone(), none.clone(), none, &new(2))
            => Error::NothingToAttend { .. }, [0];
        "attention", try_attention(k.clone(), q.clone(), q.clone(), &causal)
            => Error::CausalQueries { queries: 5, keys: 3 }, [5, 3];
        "attention", run(causal.clone().relative_keys(&short))
            => Error::RelativeRows { rows: 4, needed: 5 }, [4, 5];
        // An even number has no middle.
        "attention", run(new(1).relative_keys(&even)) => Error::RelativeRows { rows: 10, needed: 9 }, [10, 9];
        "attention", run(new(1).relative_bias(&wide))
            => Error::RelativeBiasColumns { columns: 3, heads: 1 }, [3, 1];
        "attention", try_attention(q.clone(), other.clone(), other.clone(), &new(1))
            => Error::SequenceShapes { left: 2, right: 1, .. }, [2, 1];
        "attention", try_attention(q.clone(), k.clone(), other.clone(), &new(1))
            => Error::SequenceShapes { left: 2, right: 1, .. }, [2, 1];
        "attention", try_attention(q.clone(), k.clone(), sequence(2, 4), &new(1))
            => Error::SequenceShapes { left: 5, right: 4, .. }, [5, 4];
        "attention_weights", try_attention_weights(&q, &other, &new(1))
            => Error::SequenceShapes { left: 2, right: 1, .. }, [2, 1];
        "rotary", try_rotary(zeros((1, 2, Const::<6>)), 2, 0, 10.0) => Error::OddColumns { columns: 3 }, [3];
        "sinusoid", try_sinusoid::<5, f64, _>(&Cpu::default(), 0, 1) => Error::OddColumns { columns: 5 }, [5];
    }
    hostile.holds("sinusoid", &sinusoid::<4, f64, _>(&Cpu::default(), 3, 0), &[0, 4], 0.0);

    macro_rules! recurrences {
        ($($name:literal $cell:ident $try_cell:ident $gates:literal ($($more:expr),*);)*) => { $(
            let gates = Gates::<$gates>::ones();
            for (batch, positions) in [(0, 3), (2, 0)] {
                let h = Key::new(4).normal(&Cpu::default(), (batch, Const));
                let x = zeros((batch, positions, Const));
                let options = Recurrence { hidden: Some(&h), ..Default::default() };
                let output = $cell(x.leaky_trace(), $($more,)* &gates.weights(), &options);
                assert_eq!(elements(&output.hidden), elements(&h), "no position: the state stays");
                hostile.empty($name, output.y, &[batch, positions, 2], 0.0, &gates.leaves());
            }
            let plain = Recurrence::default();
            let run = |options: &Recurrence<'_, usize, 2, f64, Cpu>| {
                $try_cell(zeros((2, 4, Const)), $($more,)* &gates.weights(), options)
            };
            assert!(run(&plain).is_ok());
            let state = zeros((3, Const));
            refuses! { hostile:
                $name, run(&Recurrence { lengths: Some(&[1, 2, 3]), ..plain })
                    => Error::LengthCount { lengths: 3, sequences: 2 }, [3, 2];
                $name, run(&Recurrence { lengths: Some(&[4, 5]), ..plain })
                    => Error::LengthOutOfRange { sequence: 1, length: 5, positions: 4 }, [1, 5, 4];
                $name, run(&Recurrence { hidden: Some(&state), ..plain })
                    => Error::SequenceShapes { left: 2, right: 3, .. }, [2, 3];
            }
        )* };
    }
    recurrences! {
        "rnn" rnn try_rnn 1 (RnnActivation::Tanh, 1.0);
        "lstm" lstm try_lstm 4 ();
        "gru" gru try_gru 3 ();
    }
    let (one, three, four) = (Gates::<1>::ones(), Gates::<3>::ones(), Gates::<4>::ones());
    let (x, plain) = (|| zeros((2, 4, Const)), Recurrence::default());
    for leak in [0.0, 1.5, f64::NAN] {
        refuses! { hostile:
            "rnn", try_rnn(x(), RnnActivation::Tanh, leak, &one.weights(), &plain)
                => Error::LeakOutOfRange { .. }, [leak];
        }
    }
    let (cell, peepholes, state) = (zeros((2, Const)), Cpu::default().zeros(), zeros((3, Const)));
    let with_cell = Recurrence { cell: Some(&cell), ..plain };
    let with_peepholes = Recurrence { peepholes: Some(&peepholes), ..plain };
    refuses! { hostile:
        "rnn", try_rnn(x(), RnnActivation::Tanh, 1.0, &one.weights(), &with_cell) => Error::NoCell, ["cell"];
        "gru", try_gru(x(), &three.weights(), &with_peepholes) => Error::NoCell, ["peepholes"];
        "lstm", try_lstm(x(), &four.weights(), &Recurrence { cell: Some(&state), ..plain })
            => Error::SequenceShapes { left: 2, right: 3, .. }, [2, 3];
    }

    let (nothing, table) = (zeros((0, Const::<3>)), zeros((3, Const::<2>)));
    let ids = |ids: &[usize], shape| Cpu::default().tensor_from_vec(ids.to_vec(), shape);
    hostile.empty("gather_rows", gather_rows(nothing.leaky_trace(), &[]), &[0, 3], 0.0, &[&nothing]);
    hostile.empty("gather_rows", gather_rows(table.leaky_trace(), &[]), &[0, 2], 0.0, &[&table]);
    let y = embedding(&table, ids(&[], (0, 2)).put_tape(OwnedTape::default()));
    hostile.empty("embedding", y, &[0, 2, 2], 0.0, &[&table]);
    hostile.empty(
        "scatter_add_rows",
        scatter_add_rows(nothing.leaky_trace(), &[], 2),
        &[2, 3],
        0.0,
        &[&nothing],
    );
    hostile.empty(
        "scatter_add_rows",
        scatter_add_rows(nothing.leaky_trace(), &[], 0),
        &[0, 3],
        0.0,
        &[&nothing],
    );
    let (wide, tall) = (zeros((0, 3)), zeros((2, 3)));
    hostile.empty("top_k", top_k(wide.leaky_trace(), 2).values, &[0, 2], 0.0, &[&wide]);
    hostile.empty("top_k", top_k(tall.leaky_trace(), 0).values, &[2, 0], 0.0, &[&tall]);
    refuses! { hostile:
        "gather_rows", try_gather_rows(table.clone(), &[0, 3])
            => Error::IndexOutOfRange { position: 1, index: 3, rows: 3 }, [1, 3];
        "gather_rows", try_gather_rows(nothing.clone(), &[0])
            => Error::IndexOutOfRange { position: 0, index: 0, rows: 0 }, [0];
        "embedding", try_embedding(&table, ids(&[0, 1, 2, 3], (2, 2)))
            => Error::IndexOutOfRange { position: 3, index: 3, .. }, [3];
        "scatter_add_rows", try_scatter_add_rows(table.clone(), &[0], 3)
            => Error::SequenceShapes { left: 3, right: 1, .. }, [3, 1];
        "scatter_add_rows", try_scatter_add_rows(table.clone(), &[0, 1, 2], 2)
            => Error::IndexOutOfRange { index: 2, rows: 2, .. }, [2];
        "top_k", try_top_k(table.clone(), 3) => Error::TopK { k: 3, columns: 2 }, [3, 2];
    }
}
