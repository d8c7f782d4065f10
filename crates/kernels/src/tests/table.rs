//! Every operation in one table: each family's cases against each law of [`laws`](super::laws), and what is left to
//! say of single operations.
//!
//! A method of a device trait without a row does not compile, nor does a public function: see [`is_registered`].
//!
//! With the feature `cuda` the laws are left out: they are about `Cpu`, and a program that travels to a machine with a
//! GPU compiles in a fraction of the time without them.
use super::core::{OnMatrix, Op, operations};
use super::hostile::{Hostile, Operations};
use super::laws::{Case, Composed, Fused, Layout, difference, draw, outcome, visitors};
use crate::{ActivationKind, Device, InputGradient, composed, random::Key};
use ActivationKind::Tanh;
use dfdx::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;

type Matrix<E, T = NoneTape> = Tensor<(usize, usize), E, Cpu, T>;

/// Whether every operation that `source` declares has rows: each method of a device trait among the `operations` of the
/// family, each public function (a fallible twin under the name of the other) with some method of `all` families. Names
/// in `elsewhere` need no rows. Evaluated by the compiler.
///
/// A function is what `pub fn` begins at the margin, or an argument of a macro that makes functions: at the first
/// indentation a name before its fallible twin (`exp try_exp`), or before the variant that it stands for
/// (`segment_sum, Sum`).
const fn is_registered(
    source: &str,
    operations: &Operations,
    all: &[&Operations],
    elsewhere: &[&str],
) -> bool {
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
    /// Where the name that begins at `at` ends.
    const fn end(text: &[u8], mut at: usize) -> usize {
        while at < text.len() && (text[at].is_ascii_alphanumeric() || text[at] == b'_') {
            at += 1;
        }
        at
    }
    const fn is_in(text: &[u8], at: usize, names: &[&str]) -> bool {
        let mut i = 0;
        while i < names.len() {
            if starts_with(text, at, names[i].as_bytes()) && end(text, at) == at + names[i].len() {
                return true;
            }
            i += 1;
        }
        false
    }
    const fn is_method(text: &[u8], at: usize, operations: &Operations) -> bool {
        let mut i = 0;
        while i < operations.len() {
            if is_in(text, at, &[operations[i].0]) {
                return true;
            }
            i += 1;
        }
        false
    }
    const fn is_function(text: &[u8], at: usize, all: &[&Operations], elsewhere: &[&str]) -> bool {
        let at = if starts_with(text, at, b"try_") { at + 4 } else { at };
        let mut family = 0;
        while family < all.len() {
            let mut i = 0;
            while i < all[family].len() {
                if is_in(text, at, all[family][i].1) {
                    return true;
                }
                i += 1;
            }
            family += 1;
        }
        is_in(text, at, elsewhere)
    }
    let text = source.as_bytes();
    let (mut at, mut in_device_trait) = (0, false);
    while at < text.len() {
        if text[at] != b'\n' {
            at += 1;
            continue;
        }
        at += 1;
        if starts_with(text, at, b"pub trait ") {
            // `BaseDevice` holds no operation.
            let name = at + "pub trait ".len();
            let end = end(text, name);
            in_device_trait =
                starts_with(text, end - "Device".len(), b"Device") && !is_in(text, name, &["BaseDevice"]);
        } else if starts_with(text, at, b"}") {
            in_device_trait = false;
        } else if starts_with(text, at, b"pub fn ") {
            let name = at + "pub fn ".len();
            if !is_function(text, name, all, elsewhere) {
                return false;
            }
        } else if in_device_trait && starts_with(text, at, b"    fn ") {
            let name = at + "    fn ".len();
            if !is_method(text, name, operations) && !is_in(text, name, elsewhere) {
                return false;
            }
        } else if starts_with(text, at, b"    ") {
            let name = at + 4;
            let end = end(text, name);
            let is_argument = name < end
                && text[name].is_ascii_lowercase()
                && (starts_with(text, end, b" try_")
                    || starts_with(text, end, b", ")
                        && end + 2 < text.len()
                        && text[end + 2].is_ascii_uppercase());
            if is_argument && !is_function(text, name, all, elsewhere) {
                return false;
            }
        }
    }
    true
}

/// One family: the files that declare its device trait and its functions, its cases. Each law is a test. Names after
/// `elsewhere` are tested by other means, which the family's list says.
macro_rules! family {
    ($family:ident, [$($source:literal),+], $cases:path $(, elsewhere $($name:literal),+)?) => {
        mod $family {
            use super::visitors;
            use $cases as rows;
            #[cfg(not(feature = "cuda"))]
            use crate::random::Key;
            use std::collections::BTreeSet;

            pub const ELSEWHERE: &[&str] = &[$($($name),+)?];
            $(
                const _: () = assert!(
                    super::is_registered(include_str!($source), rows::OPERATIONS, super::ALL, ELSEWHERE),
                    "a method of the device trait, or a public function, is in no row of the table"
                );
            )+

            #[test]
            fn every_registered_operation_has_a_case() {
                let mut names = visitors::Names::default();
                rows::cases(&mut names);
                let want: BTreeSet<_> = rows::OPERATIONS.iter().map(|(name, _)| *name).collect();
                assert_eq!(names.0, want);
                let mut names = visitors::Names::default();
                rows::large_cases(&mut names);
                assert_eq!(names.0, want, "cases of several parts");
            }

            #[test]
            fn hostile_shapes_are_answered() {
                let mut hostile = super::Hostile::default();
                rows::hostile(&mut hostile);
                hostile.finish(rows::OPERATIONS, ELSEWHERE);
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

/// The rows of all families. A function may call a method of another family: means of pooling are resampling.
const ALL: &[&Operations] = &[
    super::core::OPERATIONS,
    crate::convolution::cases::OPERATIONS,
    crate::dropout::cases::OPERATIONS,
    crate::elementwise::cases::OPERATIONS,
    crate::loss::cases::OPERATIONS,
    crate::matrix::cases::OPERATIONS,
    crate::normalisation::cases::OPERATIONS,
    crate::pooling::cases::OPERATIONS,
    crate::reduce::cases::OPERATIONS,
    crate::resampling::cases::OPERATIONS,
    crate::sequence::cases::OPERATIONS,
    crate::sparse::cases::OPERATIONS,
];

family!(
    sparse,
    ["../sparse/mod.rs", "../sparse/segments.rs", "../sparse/neighbours.rs"],
    crate::sparse::cases,
    elsewhere "knn_graph", "radius_graph" // of points, which get no gradient: `sparse/tests.rs`
);
family!(
    core,
    ["../device.rs", "../activation.rs", "../linear.rs", "../softmax.rs", "../gradient.rs"],
    super::super::core,
    elsewhere "backward_from" // what gives gradients: `gradient.rs`
);
family!(
    convolution,
    ["../convolution/mod.rs", "../convolution/patches.rs", "../convolution/run_time.rs"],
    crate::convolution::cases
);
family!(
    sequence,
    [
        "../sequence/mod.rs", "../sequence/attention.rs", "../sequence/indexing.rs",
        "../sequence/position.rs", "../sequence/recurrent.rs"
    ],
    crate::sequence::cases,
    // Without gradients: held against `attention` or the formula in `sequence/tests.rs` and in examples.
    elsewhere "attention_weights", "attend_cached", "read_pair", "unique_rows", "sinusoid"
);
family!(
    dropout,
    ["../dropout/device.rs", "../dropout/mod.rs"],
    crate::dropout::cases,
    elsewhere "feature_span" // a number
);
family!(matrix, ["../matrix/device.rs", "../matrix/mod.rs"], crate::matrix::cases);
family!(
    reduce,
    ["../reduce/mod.rs"],
    crate::reduce::cases,
    elsewhere "arg_extreme", "argmax_along", "argmin_along" // indices: `reduce/tests.rs`
);
family!(elementwise, ["../elementwise/mod.rs"], crate::elementwise::cases);
family!(loss, ["../loss/mod.rs"], crate::loss::cases, elsewhere "check_probabilities"); // says yes or no
family!(
    normalisation,
    ["../normalisation/mod.rs", "../normalisation/weights.rs"],
    crate::normalisation::cases
);
family!(pooling, ["../pooling/mod.rs"], crate::pooling::cases);
family!(resampling, ["../resampling/mod.rs", "../resampling/padding.rs"], crate::resampling::cases);

// A step is not a function of tensors: the tests of this family stand beside it, in `update/tests.rs`.
// On a device `tests::cuda::update` runs them.
const STEPS: &[&str] = &[
    "with_tensors",
    "resident",
    "from_resident",
    "step_resident",
    "for_each_run",
    "squares",
    "first_not_finite",
    "prepared_squares",
    "descend",
    "clip_gradients",
];
const _: () = assert!(
    is_registered(include_str!("../update/device.rs"), &[], &[], STEPS)
        && is_registered(include_str!("../update/mod.rs"), &[], &[], STEPS)
        && is_registered(include_str!("../update/clip.rs"), &[], &[], STEPS)
);

#[test]
fn an_operation_without_a_row_is_noticed() {
    const SEEN: &Operations = &[("seen", &["seen"])];
    const BOTH: &Operations = &[("forgotten", &["forgotten", "more"]), ("seen", &["seen"])];
    let source = "\npub trait SomeDevice {\n    fn seen<S>(x: S);\n    fn forgotten(x: u8);\n}\n";
    assert!(is_registered(source, BOTH, &[], &[]));
    assert!(is_registered(source, SEEN, &[], &["forgotten"]));
    assert!(!is_registered(source, SEEN, &[BOTH], &[]), "a method needs a row of its own family");
    assert!(!is_registered(source, SEEN, &[], &["forgot", "forgotten_too"]), "a prefix is another name");
    let other = "\npub trait Shapes {\n    fn forgotten(x: u8);\n}\n";
    assert!(is_registered(other, SEEN, &[], &[]), "operations are methods of devices");

    for function in [
        "\npub fn forgotten<S>(x: S) {}\n",
        "\npub fn try_forgotten(x: u8) {}\n",
        "\nmake! {\n    forgotten try_forgotten Kind: \"said\";\n}\n",
        "\nmake! {\n    forgotten, Kind, \"said\";\n}\n",
    ] {
        assert!(is_registered(function, SEEN, &[SEEN, BOTH], &[]), "any family will do: {function}");
        assert!(is_registered(function, SEEN, &[SEEN], &["forgotten"]), "{function}");
        assert!(!is_registered(function, SEEN, &[SEEN], &["forgot"]), "{function}");
    }
    assert!(is_registered("\nfn private() {\n    let x = try_it();\n}\n", SEEN, &[SEEN], &[]));
}

/// A file that no family names escapes the compiler; what it gives to the root of the crate does not escape here.
#[test]
fn every_function_at_the_root_is_registered() {
    let lists = ALL.iter().flat_map(|operations| operations.iter().flat_map(|(_, functions)| *functions));
    let elsewhere = [core::ELSEWHERE, reduce::ELSEWHERE, loss::ELSEWHERE, &["flat", "flat_mut"]]; // slices
    let known: BTreeSet<&str> = lists.chain(elsewhere.into_iter().flatten()).copied().collect();
    let mut seen = 0;
    for uses in include_str!("../lib.rs").split("\npub use ").skip(1) {
        let (path, _) = uses.split_once(';').expect("a statement ends");
        let names = path.split(|c: char| ",{}".contains(c) || c.is_whitespace());
        let names = names.filter_map(|name| name.rsplit("::").next());
        for name in names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())) {
            seen += 1;
            assert!(
                known.contains(name.strip_prefix("try_").unwrap_or(name)),
                "{name} is in no row of the table"
            );
        }
    }
    assert!(seen > 150, "{seen} names read");
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
