//! Support vector machines: scikit-learn's optima, the conditions of an optimum on random problems, and what is refused.
use convnets::support_vectors::{Gamma, SupportVectorConfig, SupportVectorError, SupportVectors};
use datasets::Images;
use dfdx::prelude::*;
use kernels::random::Key;
use layers::assert_close;
use layers::testing::Golden;
use proptest::prelude::*;

type Rows = Tensor<(usize, usize), f64, Cpu>;

fn rows(columns: usize, values: &[f64]) -> Rows {
    Cpu::default().tensor_from_vec(values.to_vec(), (values.len() / columns, columns))
}

fn whole(numbers: Vec<f64>) -> Vec<usize> {
    numbers.into_iter().map(|number| number as usize).collect()
}

/// Nearly exact: optima are unique, so this is how far from scikit-learn's we may be.
const TIGHT: f64 = 1e-11;

#[test]
fn optima_are_those_of_scikit_learn() {
    let golden = Golden::open(crate::golden("support_vectors.json"));
    for name in ["two", "four"] {
        let at = |key: &str| format!("{name}/{key}");
        let labels = whole(golden.numbers(&at("labels")));
        let x = golden.numbers(&at("x"));
        let columns = x.len() / labels.len();
        let gamma = golden.number(&at("gamma"));
        let config = SupportVectorConfig {
            c: golden.number(&at("c")),
            // The file holds the number that scikit-learn's rule gives: ours must be the same.
            gamma: if name == "four" { Gamma::Scale } else { Gamma::Value(gamma) },
            tolerance: TIGHT,
            ..SupportVectorConfig::default()
        };
        let fitted = SupportVectors::fit(config, &rows(columns, &x), &labels).unwrap();
        assert_close!(fitted.gamma(), gamma, 1e-14);
        let of = |f: fn(&convnets::support_vectors::Machine) -> f64| -> Vec<f64> {
            fitted.machines().iter().map(f).collect()
        };
        // Observed, of the largest: 2e-16, 1e-11, 3e-12. A step that is not the whole way to the optimum leaves far more.
        assert_close!(
            of(|machine| machine.objective),
            golden.numbers(&at("objectives")),
            1e-14,
            0.0,
            "{name}"
        );
        assert_close!(of(|machine| machine.bias), golden.numbers(&at("offsets")), 1e-10, 0.0, "{name}");
        let new = rows(columns, &golden.numbers(&at("new")));
        let values = fitted.decisions(&new).unwrap().concat();
        assert_close!(values, golden.numbers(&at("values")), 1e-10, 0.0, "{name}");
        assert_eq!(fitted.predict(&new).unwrap(), whole(golden.numbers(&at("predictions"))), "{name}");
        assert_eq!(fitted.num_vectors() as f64, golden.number(&at("vectors")), "{name}");
    }
    for name in ["source", "digits", "clothes"] {
        golden.skip(name); // the next test's
    }
    golden.finish();
}

/// Pixels with the mean 0 and the deviation 1 of the training part.
fn standardised<const S: usize>(parts: [&Images<1, S, S>; 2]) -> [Rows; 2] {
    let levels = |images: &Images<1, S, S>| -> Vec<f64> {
        (0..images.len()).flat_map(|i| images.unit_values::<f64>(i).collect::<Vec<_>>()).collect()
    };
    let train = levels(parts[0]);
    let n = train.len() as f64;
    let mean = train.iter().sum::<f64>() / n;
    let deviation = (train.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    parts.map(|images| {
        let numbers: Vec<f64> = levels(images).into_iter().map(|x| (x - mean) / deviation).collect();
        rows(S * S, &numbers)
    })
}

/// Picture by picture, at the usual tolerance: ten classes, 45 machines, votes.
fn reads_as_scikit_learn_does<const S: usize>(name: &str, train: &Images<1, S, S>, test: &Images<1, S, S>) {
    let golden = Golden::open(crate::golden("support_vectors.json"));
    let [x, unseen] = standardised([train, test]);
    let config = SupportVectorConfig { c: 10.0, ..SupportVectorConfig::default() };
    let fitted = SupportVectors::fit(config, &x, &train.labels()).unwrap();
    let predictions = whole(golden.numbers(&format!("{name}/predictions")));
    assert_eq!(fitted.predict(&unseen).unwrap(), predictions);
    let right = fitted.accuracy(&unseen, &test.labels()).unwrap() * test.len() as f64;
    assert_close!(right, golden.number(&format!("{name}/right")), 1e-12);
    for other in ["source", "two", "four", "digits", "clothes"] {
        golden.skip(other);
    }
}

#[test]
fn digits_are_read_as_scikit_learn_reads_them() {
    let split = datasets::digits().by_writer();
    reads_as_scikit_learn_does("digits", &split.train, &split.test);
}

#[test]
fn clothes_are_read_as_scikit_learn_reads_them() {
    let split = datasets::fashion();
    reads_as_scikit_learn_does("clothes", &split.train, &split.test);
}

/// Rows in clouds, labelled with some mistakes, and every class there.
fn problem(seed: u64, n: usize, columns: usize, classes: usize) -> (Vec<f64>, Vec<usize>) {
    let mut values = vec![0.0; n * columns];
    Key::new(seed).fill_normal(&mut values);
    let labels: Vec<usize> = (0..n).map(|row| row % classes).collect();
    for (row, numbers) in values.chunks_mut(columns).enumerate() {
        numbers.iter_mut().for_each(|number| *number += labels[row] as f64);
    }
    (values, labels)
}

fn likeness(a: &[f64], b: &[f64], gamma: f64) -> f64 {
    (-gamma * a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>()).exp()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Karush, Kuhn and Tucker, from the definitions alone: α within its bounds, no sum of αy, and y f at least 1 outside, at most
    /// 1 at the upper bound, 1 between.
    #[test]
    fn an_optimum_keeps_its_conditions(
        seed in any::<u64>(),
        n in 4..40_usize,
        columns in 1..5_usize,
        classes in 2..4_usize,
        c in prop_oneof![Just(0.01), Just(1.0), Just(100.0)],
        gamma in 0.05..3.0_f64,
    ) {
        let (values, labels) = problem(seed, n, columns, classes);
        let tolerance = 1e-6;
        let config = SupportVectorConfig { c, gamma: Gamma::Value(gamma), tolerance, ..SupportVectorConfig::default() };
        let x = rows(columns, &values);
        let fitted = SupportVectors::fit(config, &x, &labels).unwrap();
        let decisions = fitted.decisions(&x).unwrap();
        for (at, machine) in fitted.machines().iter().enumerate() {
            let sum: f64 = machine.coefficients.iter().sum();
            prop_assert!(sum.abs() <= 1e-12 * c * n as f64, "sum {sum}");
            let mut worth = 0.0;
            for row in (0..n).filter(|&row| machine.classes.contains(&labels[row])) {
                let sign = if labels[row] == machine.classes[0] { 1.0 } else { -1.0 };
                let place = machine.rows.iter().position(|&other| other == row);
                let alpha = place.map_or(0.0, |place| sign * machine.coefficients[place]);
                prop_assert!((0.0..=c).contains(&alpha), "row {row}: alpha {alpha}");
                let f: f64 = machine.rows.iter().zip(&machine.coefficients).map(|(&other, weight)| {
                    let (a, b) = (&values[row * columns..][..columns], &values[other * columns..][..columns]);
                    weight * likeness(a, b, gamma)
                }).sum();
                worth += alpha - 0.5 * alpha * sign * f;
                let value = f + machine.bias;
                // The sum of up to 40 weights of 100 rounds at 1e-13 of each.
                prop_assert!((value - decisions[row][at]).abs() < 1e-10, "row {row}: {value}, {}", decisions[row][at]);
                let margin = sign * value;
                let slack = tolerance + 1e-10;
                prop_assert!(alpha == c || margin >= 1.0 - slack, "row {row}: alpha {alpha}, margin {margin}");
                prop_assert!(alpha == 0.0 || margin <= 1.0 + slack, "row {row}: alpha {alpha}, margin {margin}");
            }
            prop_assert!((worth - machine.objective).abs() <= 1e-9 * (1.0 + worth), "{worth} {}", machine.objective);
        }
    }

    /// The names of the classes mean nothing, and of the columns neither their order nor a common offset or unit.
    #[test]
    fn only_distances_and_groups_count(seed in any::<u64>(), n in 6..30_usize, offset in -5.0..5.0_f64) {
        let (values, labels) = problem(seed, n, 3, 3);
        let config = SupportVectorConfig { tolerance: 1e-9, ..SupportVectorConfig::default() };
        let fitted = SupportVectors::fit(config, &rows(3, &values), &labels).unwrap();
        let moved: Vec<f64> =
            values.chunks(3).flat_map(|row| [row[2], row[0], row[1]]).map(|x| 4.0 * x + offset).collect();
        let renamed: Vec<usize> = labels.iter().map(|label| 10 * label + 7).collect();
        let other = SupportVectors::fit(config, &rows(3, &moved), &renamed).unwrap();
        prop_assert_eq!(other.classes(), &[7, 17, 27]);
        let (a, b) = (fitted.decisions(&rows(3, &values)).unwrap(), other.decisions(&rows(3, &moved)).unwrap());
        for (a, b) in a.concat().into_iter().zip(b.concat()) {
            prop_assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    /// Whatever the numbers are: an answer or a typed error.
    #[test]
    fn hostile_numbers_never_panic(
        values in prop::collection::vec(prop_oneof![
            4 => -2.0..2.0_f64, 1 => Just(f64::MAX), 1 => Just(1e200), 1 => Just(f64::MIN_POSITIVE), 1 => Just(f64::NAN), 1 => Just(0.0),
        ], 12),
        labels in prop::collection::vec(prop_oneof![0..3_usize, Just(usize::MAX)], 5..8),
        c in prop_oneof![Just(1.0), Just(1e300), Just(1e-300), Just(0.0), Just(-1.0), Just(f64::NAN), Just(f64::INFINITY)],
        gamma in prop_oneof![Just(Gamma::Scale), any::<f64>().prop_map(Gamma::Value)],
    ) {
        let config = SupportVectorConfig { c, gamma, max_steps: 1000, ..SupportVectorConfig::default() };
        let x = rows(2, &values);
        if let Ok(fitted) = SupportVectors::fit(config, &x, &labels) {
            prop_assert!(values.iter().all(|value| value.is_finite()) && labels.len() == 6 && c > 0.0);
            let read = fitted.predict(&x).unwrap();
            prop_assert!(read.iter().all(|label| labels.contains(label)));
        }
    }
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let fit = |config, columns, values: &[f64], labels: &[usize]| {
        SupportVectors::fit(config, &rows(columns, values), labels).unwrap_err()
    };
    let usual = SupportVectorConfig::default();
    let four = [0.0, 1.0, 2.0, 3.0];
    for c in [0.0, -1.0, f64::INFINITY, f64::NAN] {
        let error = fit(SupportVectorConfig { c, ..usual }, 1, &four, &[0, 0, 1, 1]);
        assert!(matches!(error, SupportVectorError::Setting { name: "c", .. }), "{error}");
        assert!(error.to_string().starts_with("c must be finite and above 0, got "), "{error}");
    }
    for gamma in [0.0, -2.0, f64::NAN] {
        let error = fit(SupportVectorConfig { gamma: Gamma::Value(gamma), ..usual }, 1, &four, &[0, 0, 1, 1]);
        assert!(matches!(error, SupportVectorError::Setting { name: "gamma", .. }), "{error}");
    }
    let error = fit(SupportVectorConfig { tolerance: 0.0, ..usual }, 1, &four, &[0, 0, 1, 1]);
    assert!(matches!(error, SupportVectorError::Setting { name: "tolerance", .. }), "{error}");
    let error = fit(usual, 1, &four, &[5; 4]);
    assert_eq!(error, SupportVectorError::Classes { classes: 1 });
    assert!(error.to_string().contains("at least two classes, found 1"), "{error}");
    assert_eq!(fit(usual, 1, &four, &[0, 1, 0]), SupportVectorError::Labels { rows: 4, labels: 3 });
    let error = fit(usual, 2, &[0.0, 1.0, 2.0, f64::NEG_INFINITY], &[0, 1]);
    assert_eq!(error, SupportVectorError::NotFinite { row: 1, column: 1, value: f64::NEG_INFINITY });
    // Equal rows that are labelled differently: with a large C the way to the optimum is as long as C allows.
    let stuck = SupportVectorConfig { c: 1e300, max_steps: 50, ..usual };
    let error = fit(stuck, 1, &[1.0, 1.0, 2.0], &[4, 9, 9]);
    assert_eq!(error, SupportVectorError::Steps { classes: [4, 9], steps: 50 });
    assert!(error.to_string().contains("raise tolerance or max_steps"), "{error}");
    let fitted = SupportVectors::fit(usual, &rows(2, &four), &[0, 1]).unwrap();
    let error = fitted.predict(&rows(1, &four)).unwrap_err();
    assert_eq!(error, SupportVectorError::Columns { expected: 2, found: 1 });
    let wide = fitted.predict(&rows(3, &[0.0; 3])).unwrap_err();
    assert_eq!(wide, SupportVectorError::Columns { expected: 2, found: 3 });
    assert!(matches!(fitted.predict(&rows(2, &[0.0, f64::NAN])), Err(SupportVectorError::NotFinite { .. })));
}

/// Two rows: the optimum is known, α = min(C, 1/(1 − K)), and the boundary lies in the middle.
#[test]
fn two_rows_have_a_closed_form() {
    let x = rows(1, &[0.0, 2.0]);
    for c in [0.3_f64, 50.0] {
        let config = SupportVectorConfig {
            c,
            gamma: Gamma::Value(0.5),
            tolerance: 1e-12,
            ..SupportVectorConfig::default()
        };
        let fitted = SupportVectors::fit(config, &x, &[8, 2]).unwrap();
        let machine = &fitted.machines()[0];
        let (gap, alpha) = (1.0 - (-2.0_f64).exp(), c.min(1.0 / (1.0 - (-2.0_f64).exp())));
        assert_eq!((machine.classes, &machine.rows[..]), ([2, 8], &[1, 0][..]));
        assert_close!(machine.coefficients, [alpha, -alpha], 1e-14);
        assert_close!(machine.objective, 2.0 * alpha - alpha * alpha * gap, 1e-14);
        assert_close!(machine.bias, 0.0, 0.0, 1e-14);
        assert_eq!(fitted.predict(&rows(1, &[0.9, 1.1])).unwrap(), [8, 2]);
    }
}

/// Far from all rows every likeness is 0, so every value is the offset; between three rows in a circle that is 0, and each
/// machine votes for its second class: two of three for the largest label.
#[test]
fn a_value_of_zero_votes_for_the_larger_label() {
    let angle = |part: i32| 2.0 * std::f64::consts::PI * f64::from(part) / 3.0;
    let corners: Vec<f64> = (0..3).flat_map(|i| [angle(i).cos(), angle(i).sin()]).collect();
    let config = SupportVectorConfig { gamma: Gamma::Value(1.0), ..SupportVectorConfig::default() };
    let fitted = SupportVectors::fit(config, &rows(2, &corners), &[6, 4, 5]).unwrap();
    assert_eq!(fitted.predict(&rows(2, &corners)).unwrap(), [6, 4, 5]);
    let far = rows(2, &[1e6, 0.0]);
    assert_eq!(fitted.decisions(&far).unwrap(), [[0.0; 3]]);
    assert_eq!(fitted.predict(&far).unwrap(), [6]);
}
