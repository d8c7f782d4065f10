//! Every operation in one table, and the laws that each row must keep: agreement with its composition of dfdx
//! operations, central differences, the same bits for any number of threads, f32 near f64, inputs in any layout.
use crate::pool::with_threads;
use crate::{ActivationKind, Device, InputGradient, Real, composed, random::Key};
use ActivationKind::{Gelu, Identity, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
use dfdx::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Matrix<E, T = NoneTape> = Tensor<(usize, usize), E, Cpu, T>;
type Traced<E> = OwnedTape<E, Cpu>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Activate(ActivationKind),
    Slope(ActivationKind),
    Softmax,
    LogSoftmax,
    Matmul,
    Linear(ActivationKind),
    CrossEntropy,
    Bce,
    Mse,
    SumAll,
    MeanAll,
}

const KINDS: [ActivationKind; 9] =
    [Identity, Relu, LeakyRelu(0.1), LeakyRelu(-0.5), Sigmoid, Tanh, Gelu, Silu, Softplus];

fn table() -> Vec<Op> {
    use Op::*;
    let each = |op: fn(ActivationKind) -> Op| KINDS.map(op);
    [Softmax, LogSoftmax, Matmul, CrossEntropy, Bce, Mse, SumAll, MeanAll]
        .into_iter()
        .chain(each(Activate))
        .chain(each(Slope))
        .chain(each(Linear))
        .collect()
}

/// How the elements of a matrix lie in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    RowMajor,
    ColumnMajor,
    /// One row, repeated.
    RowRepeated,
    /// One column, repeated.
    ColumnRepeated,
}

const LAYOUTS: [Layout; 4] =
    [Layout::RowMajor, Layout::ColumnMajor, Layout::RowRepeated, Layout::ColumnRepeated];

/// The memory behind an input, and how to see it as a matrix. The view keeps the id of the leaf.
#[derive(Clone)]
struct Input<E: Real> {
    layout: Layout,
    shape: (usize, usize),
    leaf: Tensor<(usize,), E, Cpu>,
}

impl<E: Real> Input<E>
where
    Cpu: Device<E>,
{
    /// Normal numbers at least 0.01 away from 0, where some functions have a kink; the same for f32 and f64.
    fn draw(key: Key, layout: Layout, shape: (usize, usize)) -> Self {
        let n = match layout {
            Layout::RowMajor | Layout::ColumnMajor => shape.0 * shape.1,
            Layout::RowRepeated => shape.1,
            Layout::ColumnRepeated => shape.0,
        };
        let mut z = vec![0.0_f32; n];
        key.fill_normal(&mut z);
        let away = |z: f32| if z < 0.0 { z - 0.01 } else { z + 0.01 };
        let leaf = Cpu::default().tensor_from_vec(z.iter().map(|&z| E::of(away(z).into())).collect(), (n,));
        Self { layout, shape, leaf }
    }

    fn scaled(self, by: f64) -> Self {
        Self { leaf: self.leaf * E::of(by), ..self }
    }

    fn view(&self) -> Matrix<E> {
        let (rows, cols) = self.shape;
        let leaf = self.leaf.clone();
        match self.layout {
            Layout::RowMajor => leaf.reshape_like(&self.shape),
            Layout::ColumnMajor => leaf.reshape_like(&(cols, rows)).permute::<_, Axes2<1, 0>>(),
            Layout::RowRepeated => leaf.broadcast_like::<_, Axis<0>>(&self.shape),
            Layout::ColumnRepeated => leaf.broadcast_like::<_, Axis<1>>(&self.shape),
        }
    }

    /// The same input with one element of the leaf moved by `h`.
    fn moved(&self, element: usize, h: f64) -> Self {
        let mut elements = self.leaf.as_vec();
        elements[element] += E::of(h);
        Self { leaf: self.leaf.device().tensor_from_vec(elements, *self.leaf.shape()), ..self.clone() }
    }
}

/// Inputs of an operation on a matrix of the given shape, in one layout.
fn inputs<E: Real>(op: Op, key: Key, layout: Layout, (rows, cols): (usize, usize)) -> Vec<Input<E>>
where
    Cpu: Device<E>,
{
    let input = |i, layout, shape| Input::draw(key.fold(i), layout, shape);
    match op {
        Op::Matmul => vec![input(0, layout, (rows, cols)), input(1, layout, (cols, rows.min(5) + 1))],
        Op::Mse => vec![input(0, layout, (rows, cols)), input(1, layout, (rows, cols))],
        Op::Linear(_) => vec![
            input(0, layout, (rows, cols)),
            input(1, layout, (OUT, cols)).scaled((cols as f64).sqrt().recip()), // pre-activations of order 1
            input(2, Layout::RowMajor, (1, OUT)),
        ],
        _ => vec![input(0, layout, (rows, cols))],
    }
}

/// The elements of a tensor; dfdx's `as_vec` panics when there are none.
fn elements<S: Shape, E: Real, T>(t: &Tensor<S, E, Cpu, T>) -> Vec<E> {
    if t.shape().num_elements() == 0 { vec![] } else { t.as_vec() }
}

/// Outputs of the linear layer.
const OUT: usize = 3;

/// The operation, by the fused body or the composed one, as a flat tensor with its tape.
fn apply<E: Real>(op: Op, fused: bool, x: &[Input<E>]) -> Tensor<(usize,), E, Cpu, Traced<E>>
where
    Cpu: Device<E>,
{
    fn flat<S: Shape, E: Real>(y: Tensor<S, E, Cpu, Traced<E>>) -> Tensor<(usize,), E, Cpu, Traced<E>> {
        let n = y.shape().num_elements();
        y.reshape_like(&(n,))
    }
    fn linear<const I: usize, E: Real>(
        kind: ActivationKind,
        fused: bool,
        x: &[Input<E>],
    ) -> Tensor<(usize,), E, Cpu, Traced<E>>
    where
        Cpu: Device<E>,
    {
        let data = x[0].view().realize::<(usize, Const<I>)>().leaky_trace();
        let weight = x[1].view().realize::<Rank2<OUT, I>>();
        let bias = x[2].leaf.clone().realize::<Rank1<OUT>>();
        let needed = InputGradient::Needed;
        let y = match fused {
            true => Cpu::linear(data, &weight, &bias, kind, needed),
            false => composed::linear(data, &weight, &bias, kind, needed),
        };
        flat(y.unwrap())
    }
    let first = || x[0].view().leaky_trace();
    let second = || x[1].view();
    let probs = || {
        let z = elements(&x[0].view());
        let p = z.iter().map(|z| E::of(z.as_f64().sin().powi(2))).collect();
        Cpu::default().tensor_from_vec(p, x[0].shape)
    };
    let labels = || (0..x[0].shape.0).map(|row| (row * 7 + 3) % x[0].shape.1).collect::<Vec<_>>();
    match (op, fused) {
        (Op::Activate(kind), true) => flat(Cpu::activate(first(), kind).unwrap()),
        (Op::Activate(kind), false) => flat(composed::activate(first(), kind).unwrap()),
        (Op::Slope(kind), true) => flat(Cpu::activation_slope(first(), kind).unwrap()),
        (Op::Slope(kind), false) => flat(composed::activation_slope(first(), kind).unwrap()),
        (Op::Softmax, true) => flat(Cpu::softmax(first()).unwrap()),
        (Op::Softmax, false) => flat(composed::softmax(first()).unwrap()),
        (Op::LogSoftmax, true) => flat(Cpu::log_softmax(first()).unwrap()),
        (Op::LogSoftmax, false) => flat(composed::log_softmax(first()).unwrap()),
        (Op::Matmul, true) => flat(Cpu::matmul(first(), second()).unwrap()),
        (Op::Matmul, false) => flat(composed::matmul(first(), second()).unwrap()),
        (Op::CrossEntropy, true) => flat(Cpu::cross_entropy_mean(first(), &labels()).unwrap()),
        (Op::CrossEntropy, false) => flat(composed::cross_entropy_mean(first(), &labels()).unwrap()),
        (Op::Bce, true) => flat(Cpu::bce_with_logits_mean(first(), &probs()).unwrap()),
        (Op::Bce, false) => flat(composed::bce_with_logits_mean(first(), &probs()).unwrap()),
        (Op::Mse, true) => flat(Cpu::mse_mean(first(), second().retaped::<Traced<E>>()).unwrap()),
        (Op::Mse, false) => flat(composed::mse_mean(first(), second().retaped::<Traced<E>>()).unwrap()),
        (Op::SumAll, true) => flat(Cpu::sum_all(first()).unwrap()),
        (Op::SumAll, false) => flat(composed::sum_all(first()).unwrap()),
        (Op::MeanAll, true) => flat(Cpu::mean_all(first()).unwrap()),
        (Op::MeanAll, false) => flat(composed::mean_all(first()).unwrap()),
        (Op::Linear(kind), fused) => match x[0].shape.1 {
            1 => linear::<1, E>(kind, fused, x),
            2 => linear::<2, E>(kind, fused, x),
            7 => linear::<7, E>(kind, fused, x),
            33 => linear::<33, E>(kind, fused, x),
            1001 => linear::<1001, E>(kind, fused, x),
            other => panic!("no linear layer with {other} inputs in the table"),
        },
    }
}

/// Σ w y with fixed weights, so that every output has a gradient of its own.
fn weights<E: Real>(n: usize) -> Tensor<(usize,), E, Cpu> {
    Cpu::default().tensor_from_vec((0..n).map(|i| E::of(1.0 + (i as f64).sin())).collect(), (n,))
}

/// Value, and the gradient of Σ w y with respect to every leaf.
fn outcome<E: Real>(op: Op, fused: bool, x: &[Input<E>]) -> (Vec<E>, Vec<Vec<E>>)
where
    Cpu: Device<E>,
{
    let y = apply(op, fused, x);
    let value = y.as_vec();
    // Σ w y through dfdx, which this crate does not replace.
    let gradients = (y * weights::<E>(value.len())).sum::<Rank0, _>().backward();
    (value, x.iter().map(|x| gradients.get(&x.leaf).as_vec()).collect())
}

/// The largest difference in units of the largest number.
fn difference<A: Real, B: Real>(a: &[A], b: &[B]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().map(|b| b.as_f64().abs()).fold(f64::MIN_POSITIVE, f64::max);
    let worst = a.iter().zip(b).map(|(a, b)| (a.as_f64() - b.as_f64()).abs() / scale);
    worst.fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
}

const SHAPES: [(usize, usize); 5] = [(1, 1), (1, 7), (5, 1), (6, 2), (13, 33)];

/// Row-wise functions of one column, and matrices of one row, are the only ones that repeat nothing.
fn rows_of_the_table() -> impl Iterator<Item = (Op, Layout, (usize, usize))> {
    table().into_iter().flat_map(|op| {
        LAYOUTS.into_iter().flat_map(move |layout| SHAPES.into_iter().map(move |shape| (op, layout, shape)))
    })
}

#[test]
fn fused_and_composed_agree() {
    for (op, layout, shape) in rows_of_the_table() {
        let key = Key::new(1).fold(shape.0 as u64).fold(shape.1 as u64);
        let x = inputs::<f64>(op, key, layout, shape);
        let (value, gradients) = outcome(op, true, &x);
        let (want, want_gradients) = outcome(op, false, &x);
        let off = difference(&value, &want);
        // Measured 1.1e-14, sums of cancelling terms among them.
        assert!(off <= 1e-13, "{op:?} {layout:?} {shape:?}: values differ by {off:e}");
        for (i, (got, want)) in gradients.iter().zip(&want_gradients).enumerate() {
            let off = difference(got, want);
            let scale = want.iter().map(|w| w.abs()).fold(0.0, f64::max);
            // A gradient that is 0 in exact arithmetic is compared with 1.
            let off = if scale < 1e-12 { off * scale } else { off };
            assert!(off <= 1e-12, "{op:?} {layout:?} {shape:?}: gradient {i} differs by {off:e}");
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for (op, layout, shape) in rows_of_the_table() {
        let x = inputs::<f64>(op, Key::new(2).fold(shape.1 as u64), layout, shape);
        let (_, gradients) = outcome(op, true, &x);
        let loss = |x: &[Input<f64>]| -> f64 {
            let y = apply(op, true, x).as_vec();
            y.iter().zip(weights::<f64>(y.len()).as_vec()).map(|(y, w)| y * w).sum()
        };
        for (i, gradient) in gradients.iter().enumerate() {
            for element in (0..gradient.len()).step_by(gradient.len().div_ceil(5)) {
                // Labels and probabilities are made from the first input, so only logits may move.
                let at = x[i].leaf.as_vec()[element];
                let h = 6e-6 * at.abs().max(1.0);
                let moved = |h: f64| {
                    let mut x = x.clone();
                    x[i] = x[i].moved(element, h);
                    if op == Op::Bce {
                        bce_with_fixed_probs(&x, &inputs(op, Key::new(2).fold(shape.1 as u64), layout, shape))
                    } else {
                        loss(&x)
                    }
                };
                let want = (moved(h) - moved(-h)) / (2.0 * h);
                let scale = gradient.iter().map(|g| g.abs()).fold(want.abs(), f64::max).max(1e-3);
                let off = (gradient[element] - want).abs() / scale;
                // Measured 3e-9.
                assert!(
                    off <= 1e-7,
                    "{op:?} {layout:?} {shape:?}: input {i}, element {element}: {} instead of {want}",
                    gradient[element]
                );
            }
        }
    }
}

/// The binary cross-entropy of moved logits with the probabilities of the unmoved ones.
fn bce_with_fixed_probs(x: &[Input<f64>], unmoved: &[Input<f64>]) -> f64 {
    let p = unmoved[0].view().as_vec().iter().map(|z| z.sin().powi(2)).collect();
    let p = Cpu::default().tensor_from_vec(p, x[0].shape);
    let loss = Cpu::bce_with_logits_mean(x[0].view(), &p).unwrap().array();
    loss * weights::<f64>(1).as_vec()[0]
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    for op in table() {
        for layout in [Layout::RowMajor, Layout::ColumnMajor] {
            let x = inputs::<f32>(op, Key::new(3), layout, (60, 1001));
            let run = |threads| {
                with_threads(threads, || {
                    let (value, gradients) = outcome(op, true, &x);
                    let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
                    (bits(value), gradients.into_iter().map(bits).collect::<Vec<_>>())
                })
            };
            let want = run(1);
            for threads in [2, 7] {
                assert!(run(threads) == want, "{op:?} {layout:?} with {threads} threads");
            }
        }
    }
}

#[test]
fn f32_is_near_f64() {
    for (op, layout, shape) in rows_of_the_table() {
        let single = outcome(op, true, &inputs::<f32>(op, Key::new(4), layout, shape));
        let double = outcome(op, true, &inputs::<f64>(op, Key::new(4), layout, shape));
        // Measured 6e-7 for values and 1.1e-6 for gradients.
        let off = difference(&single.0, &double.0);
        assert!(off <= 5e-6, "{op:?} {layout:?} {shape:?}: values differ by {off:e}");
        for (i, (single, double)) in single.1.iter().zip(&double.1).enumerate() {
            let scale = double.iter().map(|g| g.abs()).fold(0.0, f64::max);
            let off = difference(single, double) * if scale < 1e-6 { scale } else { 1.0 };
            assert!(off <= 1e-5, "{op:?} {layout:?} {shape:?}: gradient {i} differs by {off:e}");
        }
    }
}

/// Without a tape the loops differ (nothing is kept): the values may not.
#[test]
fn values_are_the_same_without_a_tape() {
    let x = inputs::<f32>(Op::Softmax, Key::new(5), Layout::RowMajor, (13, 33));
    let taped = |op| apply(op, true, &x).as_vec();
    for kind in KINDS {
        let plain = Cpu::activate(x[0].view(), kind).unwrap().as_vec();
        assert_eq!(plain, taped(Op::Activate(kind)), "{kind:?}");
    }
    let plain = Cpu::cross_entropy_mean(x[0].view(), &[1; 13]).unwrap().array();
    let with_tape = Cpu::cross_entropy_mean(x[0].view().leaky_trace(), &[1; 13]).unwrap().array();
    assert_eq!(plain, with_tape);
}

#[test]
fn empty_inputs_give_empty_outputs_and_gradients() {
    for op in table() {
        for shape in [(0, 7), (0, 1)] {
            let x = inputs::<f64>(op, Key::new(6), Layout::RowMajor, shape);
            let y = apply(op, true, &x);
            match op {
                Op::SumAll => assert_eq!(elements(&y), [0.0], "{op:?}"),
                Op::CrossEntropy | Op::Bce | Op::Mse | Op::MeanAll => {
                    assert!(elements(&y)[0].is_nan(), "{op:?}: the mean of nothing")
                }
                Op::Matmul => assert_eq!(elements(&y), [0.0; 0]),
                _ => assert!(elements(&y).is_empty(), "{op:?}"),
            }
            // Sums over nothing: weights and biases have gradient 0.
            let gradients = crate::sum_all(y).backward();
            let all = x.iter().flat_map(|x| elements(&gradients.get(&x.leaf))).collect::<Vec<_>>();
            assert!(all.iter().all(|&g| g == 0.0), "{op:?}: {all:?}");
        }
    }
    // An inner dimension of 0: a sum over nothing.
    let device = Cpu::default();
    let (x, y): (Matrix<f32>, Matrix<f32>) = (device.zeros_like(&(2, 0)), device.zeros_like(&(0, 3)));
    assert_eq!(crate::matmul(x, y).as_vec(), [0.0; 6]);
}

/// x xᵀ: both operands have one id and different strides.
#[test]
fn a_gram_matrix_has_both_halves_of_its_gradient() {
    let device = Cpu::default();
    let x = Key::new(7).normal::<Rank2<4, 3>, f64, _>(&device, Default::default());
    let w = Key::new(8).normal::<Rank2<4, 4>, f64, _>(&device, Default::default());
    let transposed = x.clone().permute::<Rank2<3, 4>, Axes2<1, 0>>();
    let gram = crate::matmul(x.leaky_trace(), transposed);
    let gradient = (gram * w.clone()).sum::<Rank0, _>().backward().get(&x).array();
    let (x, w) = (x.array(), w.array());
    for i in 0..4 {
        for j in 0..3 {
            let want: f64 = (0..4).map(|k| (w[i][k] + w[k][i]) * x[k][j]).sum(); // (W + Wᵀ) X
            assert!(
                (gradient[i][j] - want).abs() < 1e-13,
                "({i}, {j}): {} instead of {want}",
                gradient[i][j]
            );
        }
    }
}

/// One tensor as both inputs of a loss, and one weight in two layers.
#[test]
fn tensors_used_twice_collect_both_gradients() {
    let device = Cpu::default();
    let x = Key::new(9).normal::<Rank2<5, 3>, f64, _>(&device, Default::default());
    let y = x.leaky_trace();
    let loss = crate::mse_mean(y.with_empty_tape(), y);
    let gradient = loss.backward().get(&x).array();
    assert_eq!(gradient, [[0.0; 3]; 5]);

    let w = Key::new(10).normal::<Rank2<3, 3>, f64, _>(&device, Default::default());
    let b = device.zeros::<Rank1<3>>();
    let deep = |w: &Tensor<Rank2<3, 3>, f64, Cpu>| {
        let hidden = crate::linear(x.leaky_trace(), w, &b, crate::Tanh, InputGradient::Skipped);
        crate::sum_all(crate::linear(hidden, w, &b, crate::Tanh, InputGradient::Needed))
    };
    let gradient = deep(&w).backward().get(&w).array();
    for i in 0..3 {
        for j in 0..3 {
            let moved = |h: f64| {
                let mut w = w.clone();
                w[[i, j]] += h;
                deep(&w).array()
            };
            let want = (moved(6e-6) - moved(-6e-6)) / 1.2e-5;
            assert!(
                (gradient[i][j] - want).abs() <= 1e-8,
                "({i}, {j}): {} instead of {want}",
                gradient[i][j]
            );
        }
    }
}

#[test]
fn a_skipped_input_gradient_is_not_computed() {
    let device = Cpu::default();
    let x = Key::new(11).normal::<Rank2<4, 7>, f32, _>(&device, Default::default());
    let w = Key::new(12).normal::<Rank2<2, 7>, f32, _>(&device, Default::default());
    let b = device.zeros::<Rank1<2>>();
    let run = |wanted, fused| {
        let x = x.leaky_trace();
        let y = match fused {
            true => Cpu::linear(x, &w, &b, Tanh, wanted),
            false => composed::linear(x, &w, &b, Tanh, wanted),
        };
        y.unwrap().sum::<Rank0, _>().backward()
    };
    for fused in [true, false] {
        let mut skipped = run(InputGradient::Skipped, fused);
        assert!(skipped.get_or_alloc_mut(&x).unwrap().iter().all(|&g| g == 0.0), "allocated here, as zeros");
        let needed = run(InputGradient::Needed, fused);
        assert!(needed.get(&x).as_vec().iter().any(|&g| g != 0.0));
        assert_eq!(skipped.get(&w).array(), needed.get(&w).array());
    }
}

/// Leading axes are rows.
#[test]
fn linear_takes_one_to_four_axes() {
    let device = Cpu::default();
    let x = Key::new(13).normal::<Rank4<2, 3, 1, 4>, f32, _>(&device, Default::default());
    let w = Key::new(14).normal::<Rank2<5, 4>, f32, _>(&device, Default::default());
    let b = Key::new(15).normal::<Rank1<5>, f32, _>(&device, Default::default());
    let needed = InputGradient::Needed;
    let four = crate::linear(x.clone(), &w, &b, crate::Gelu, needed).as_vec();
    let two: Tensor<Rank2<6, 5>, f32, _> =
        crate::linear(x.clone().reshape::<Rank2<6, 4>>(), &w, &b, crate::Gelu, needed);
    let three: Tensor<Rank3<6, 1, 5>, f32, _> =
        crate::linear(x.clone().reshape::<Rank3<6, 1, 4>>(), &w, &b, crate::Gelu, needed);
    assert_eq!((two.as_vec(), three.as_vec()), (four.clone(), four.clone()));
    let row: Tensor<Rank1<4>, f32, _> = x.reshape::<Rank2<6, 4>>().select(device.tensor(2_usize));
    let one: Tensor<Rank1<5>, f32, _> = crate::linear(row, &w, &b, crate::Gelu, needed);
    assert_eq!(one.as_vec(), four[10..15]);
}

/// The same cases in every run; `PROPTEST_CASES` sets how many.
fn cases() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// Drawn shapes and numbers: fused against composed.
    #[test]
    fn fused_and_composed_agree_on_drawn_shapes(
        op in prop::sample::select(table()),
        layout in prop::sample::select(LAYOUTS.to_vec()),
        rows in 1_usize..70,
        cols in prop::sample::select(vec![1_usize, 2, 7, 33]),
        seed in any::<u64>(),
    ) {
        let x = inputs::<f64>(op, Key::new(seed), layout, (rows, cols));
        let (value, gradients) = outcome(op, true, &x);
        let (want, want_gradients) = outcome(op, false, &x);
        prop_assert!(difference(&value, &want) <= 1e-10, "values differ by {:e}", difference(&value, &want));
        for (got, want) in gradients.iter().zip(&want_gradients) {
            let scale = want.iter().map(|w| w.abs()).fold(0.0, f64::max);
            let off = difference(got, want) * if scale < 1e-10 { scale } else { 1.0 };
            prop_assert!(off <= 1e-10, "a gradient differs by {off:e}");
        }
    }

    /// Softmax sums to 1, ignores a shift of all logits, and its gradient has rows that sum to 0.
    #[test]
    fn softmax_keeps_its_laws(rows in 1_usize..20, cols in 1_usize..40, shift in -50.0..50.0_f64, seed in any::<u64>()) {
        let x = Input::<f64>::draw(Key::new(seed), Layout::RowMajor, (rows, cols));
        let shifted: Matrix<f64> = x.view() + shift;
        let y = crate::softmax(x.view()).as_vec();
        let z = crate::softmax(shifted).as_vec();
        prop_assert!(difference(&z, &y) <= 1e-13);
        let (_, gradients) = outcome(Op::Softmax, true, std::slice::from_ref(&x));
        for (y, g) in y.chunks(cols).zip(gradients[0].chunks(cols)) {
            prop_assert!((y.iter().sum::<f64>() - 1.0).abs() <= 1e-14);
            prop_assert!(g.iter().sum::<f64>().abs() <= 1e-14);
        }
    }
}
