//! Every operation in one table: each family's cases against each law of [`laws`](super::laws), and what is left to
//! say of single operations.
//!
//! A method of a device trait without a row does not compile: see [`is_registered`].
//!
//! With the feature `cuda` the laws are left out: they are about `Cpu`, and a program that travels to a machine with a
//! GPU compiles in a fraction of the time without them.
use super::core::{OnMatrix, Op, operations};
use super::laws::{
    Case, Composed, CpuCase, Fused, Layout, Traced, difference, draw, elements, outcome, visitors,
};
use crate::{ActivationKind, Device, InputGradient, composed, random::Key};
use ActivationKind::Tanh;
use dfdx::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Matrix<E, T = NoneTape> = Tensor<(usize, usize), E, Cpu, T>;

/// Whether every method of the device trait in `source` is in one of the lists. Evaluated by the compiler.
const fn is_registered(source: &str, lists: &[&[&str]]) -> bool {
    const fn starts_with(text: &[u8], at: usize, word: &[u8]) -> bool {
        let mut i = 0;
        while i < word.len() {
            if at + i >= text.len() || text[at + i] != word[i] {
                return false;
            }
            i += 1;
        }
        true
    }
    const fn is_listed(text: &[u8], at: usize, lists: &[&[&str]]) -> bool {
        let mut list = 0;
        while list < lists.len() {
            let mut name = 0;
            while name < lists[list].len() {
                let word = lists[list][name].as_bytes();
                if starts_with(text, at, word) {
                    let next = text[at + word.len()];
                    if next == b'<' || next == b'(' {
                        return true;
                    }
                }
                name += 1;
            }
            list += 1;
        }
        false
    }
    let text = source.as_bytes();
    let method = b"\n    fn "; // of a trait, at the first indentation
    let (mut at, mut in_device_trait) = (0, false);
    while at < text.len() {
        if starts_with(text, at, b"\npub trait ") {
            // `BaseDevice` holds no operation.
            in_device_trait = !starts_with(text, at, b"\npub trait BaseDevice");
        } else if starts_with(text, at, b"\n}") {
            in_device_trait = false;
        }
        if in_device_trait && starts_with(text, at, method) && !is_listed(text, at + method.len(), lists) {
            return false;
        }
        at += 1;
    }
    true
}

/// One family: the file that declares its device trait, the names of its methods, its cases. Each law is a test.
/// Names after `elsewhere` are tested by other means, which the family's list says.
macro_rules! family {
    ($family:ident, $source:literal, $cases:path $(, elsewhere $($name:literal),+)?) => {
        mod $family {
            use super::visitors;
            use $cases as rows;
            #[cfg(not(feature = "cuda"))]
            use crate::random::Key;

            const _: () = assert!(
                super::is_registered(include_str!($source), &[rows::OPERATIONS, &[$($($name),+)?]]),
                "a method of this device trait is in no row of the table"
            );

            #[test]
            fn every_registered_operation_has_a_case() {
                let mut names = visitors::Names::default();
                rows::cases(&mut names);
                let want = rows::OPERATIONS.iter().copied().collect();
                assert_eq!(names.0, want);
                let mut names = visitors::Names::default();
                rows::large_cases(&mut names);
                assert_eq!(names.0, want, "cases of several parts");
            }

            super::family!(@laws bodies_agree 1, gradients_are_differences 2, f32_is_near_f64 4,
                a_tape_changes_no_value 5, linear_operators_are_adjoint 6);

            #[cfg(not(feature = "cuda"))]
            #[test]
            fn threads_change_no_bit() {
                rows::large_cases(&mut visitors::threads_change_no_bit(Key::new(3)));
            }
        }
    };
    (@laws $($law:ident $seed:literal),*) => { $(
        #[cfg(not(feature = "cuda"))]
        #[test]
        fn $law() {
            rows::cases(&mut visitors::$law(Key::new($seed)));
        }
    )* };
}
use family;

family!(sparse, "../sparse/mod.rs", crate::sparse::cases);
family!(core, "../device.rs", super::super::core);
family!(convolution, "../convolution/mod.rs", crate::convolution::cases);
family!(
    sequence,
    "../sequence/mod.rs",
    crate::sequence::cases,
    elsewhere "attention_weights", "attend_cached", "read_pair"
);
family!(dropout, "../dropout/device.rs", crate::dropout::cases);
family!(matrix, "../matrix/device.rs", crate::matrix::cases);
family!(reduce, "../reduce/mod.rs", crate::reduce::cases, elsewhere "arg_extreme");
family!(elementwise, "../elementwise/mod.rs", crate::elementwise::cases);
family!(loss, "../loss/mod.rs", crate::loss::cases, elsewhere "kind", "batch");
family!(normalisation, "../normalisation/mod.rs", crate::normalisation::cases);
family!(pooling, "../pooling/mod.rs", crate::pooling::cases);
family!(resampling, "../resampling/mod.rs", crate::resampling::cases);

// A step is not a function of tensors: the tests of this family stand beside it, in `update/tests.rs`.
// On a device `tests::cuda::update` runs them.
const _: () = assert!(is_registered(
    include_str!("../update/device.rs"),
    &[&["with_tensors", "resident", "from_resident", "step_resident"]]
));

#[test]
fn an_operation_without_a_row_is_noticed() {
    let source = "\npub trait Device {\n    fn seen<S>(x: S);\n    fn forgotten(x: u8);\n}\n";
    assert!(is_registered(source, &[&["seen", "forgotten"]]));
    assert!(is_registered(source, &[&["forgotten"], &["seen"]]));
    assert!(!is_registered(source, &[&["seen"]]));
    assert!(!is_registered(source, &[&["seen", "forgot"]]), "a prefix is another name");
}

#[test]
fn empty_inputs_give_empty_outputs_and_gradients() {
    for op in operations() {
        for (rows, cols) in [(0, 7), (0, 1)] {
            let case = OnMatrix { op, rows, cols };
            let x = draw::<f64>(case, Key::new(6), Layout::RowMajor);
            let y = case.run::<Fused, f64, Traced<f64>>(&x);
            match op {
                Op::SumAll => assert_eq!(elements(&y), [0.0], "{op:?}"),
                Op::CrossEntropy | Op::Bce | Op::Mse | Op::MeanAll => {
                    assert!(elements(&y)[0].is_nan(), "{op:?}: the mean of nothing")
                }
                _ => assert!(elements(&y).is_empty(), "{op:?}"),
            }
            // Sums over nothing: weights and biases have gradient 0.
            let gradients = crate::sum_all(y).backward();
            let all = x
                .iter()
                .filter(|x| x.has_gradient)
                .flat_map(|x| elements(&gradients.get(&x.leaf)))
                .collect::<Vec<_>>();
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
        op in prop::sample::select(operations()),
        rows in 1_usize..70,
        cols in prop::sample::select(vec![1_usize, 2, 7, 33]),
        seed in any::<u64>(),
    ) {
        let case = OnMatrix { op, rows, cols };
        for &layout in case.layouts() {
            let x = draw::<f64>(case, Key::new(seed), layout);
            let (value, gradients) = outcome::<Fused, _>(case, &x);
            let (want, want_gradients) = outcome::<Composed, _>(case, &x);
            prop_assert!(difference(&value, &want) <= 1e-10, "values differ by {:e}", difference(&value, &want));
            for (got, want) in gradients.iter().zip(&want_gradients) {
                let scale = want.iter().map(|w| w.abs()).fold(0.0, f64::max);
                let off = difference(got, want) * if scale < 1e-10 { scale } else { 1.0 };
                prop_assert!(off <= 1e-10, "a gradient differs by {off:e}");
            }
        }
    }

    /// Softmax sums to 1, ignores a shift of all logits, and its gradient has rows that sum to 0.
    #[test]
    fn softmax_keeps_its_laws(rows in 1_usize..20, cols in 1_usize..40, shift in -50.0..50.0_f64, seed in any::<u64>()) {
        let case = OnMatrix { op: Op::Softmax, rows, cols };
        let x = draw::<f64>(case, Key::new(seed), Layout::RowMajor);
        let logits = x[0].plain((rows, cols));
        let shifted: Matrix<f64> = logits.clone() + shift;
        let y = crate::softmax(logits).as_vec();
        let z = crate::softmax(shifted).as_vec();
        prop_assert!(difference(&z, &y) <= 1e-13);
        let (_, gradients) = outcome::<Fused, _>(case, &x);
        for (y, g) in y.chunks(cols).zip(gradients[0].chunks(cols)) {
            prop_assert!((y.iter().sum::<f64>() - 1.0).abs() <= 1e-14);
            prop_assert!(g.iter().sum::<f64>().abs() <= 1e-14);
        }
    }
}
