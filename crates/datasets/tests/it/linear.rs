//! The linear opponents agree with scikit-learn, and with what can be worked out by hand.
use std::path::Path;

use datasets::baseline::{InterpolatedCounts, LogisticRegression, NearestRows, Ridge};
use datasets::tsv::Table;
use datasets::*;

/// Training and test features and labels of a set, and its number of classes.
type Task = (Features, Vec<usize>, Features, Vec<usize>, usize);

fn task(name: &str) -> Task {
    fn images<const H: usize, const W: usize>(split: Split<Images<1, H, W>>) -> Task {
        let (train, test) = (&split.train, &split.test);
        (train.features(), train.labels(), test.features(), test.labels(), 10)
    }
    let table = |table: Tabular<usize>| {
        let split = table.split();
        let parts =
            [&split.train, &split.test].map(|part| (part.features().clone(), part.targets().to_vec()));
        let [(a, b), (c, d)] = parts;
        (a, b, c, d, table.class_names().len())
    };
    match name {
        "digits" => images(digits().by_writer()),
        "fashion" => images(fashion()),
        "pbmc" => {
            let Split { train, test, .. } = pbmc().split();
            let log = |part: &Cells| part.log_normalised(500.0);
            (log(&train), train.labels(), log(&test), test.labels(), 10)
        }
        "hsmm" => {
            let Split { train, test, .. } = hsmm().split();
            (train.features(), train.labels(), test.features(), test.labels(), 4)
        }
        "iris" => table(iris()),
        "wine" => table(wine()),
        "breast_cancer" => table(breast_cancer()),
        other => panic!("no task {other}"),
    }
}

/// Neighbours to the row. Logistic regression to one row of the test part: both stop near the same minimum, and a row on
/// the border may fall on either side.
#[test]
fn right_answers_agree_with_scikit_learn_to_the_row() {
    let columns = ["set", "method", "value", "penalty"];
    let golden =
        Table::parse(Path::new("linear.tsv"), include_bytes!("../golden/linear.tsv"), &columns).unwrap();
    let (values, penalties) = (golden.numbers("value").unwrap(), golden.numbers("penalty").unwrap());
    assert_eq!(golden.len(), 15);
    for row in 0..golden.len() {
        let (name, want) = (golden.text(row, "set").unwrap(), values[row]);
        match golden.text(row, "method").unwrap() {
            "neighbours" => {
                let (a, b, c, d, classes) = task(name);
                let got = NearestRows::fit(&a, &b, classes, 5).unwrap().num_correct(&c, &d).unwrap();
                assert_eq!(got as f64, want, "{name}");
            }
            "logistic" => {
                let (a, b, c, d, classes) = task(name);
                let model = LogisticRegression::fit(&a, &b, classes, penalties[row]).unwrap();
                let got = model.accuracy(&c, &d).unwrap() * d.len() as f64;
                assert!((got - want).abs() <= 1.01, "{name}: {got} for {want} of {}", d.len());
            }
            _ => {
                let split = diabetes().split();
                let scale = Standardiser::fit(split.train.features()).unwrap();
                let x = split.as_ref().map(|part| scale.transform(part.features()).unwrap());
                let alphas: Vec<f64> = (0..13).map(|i| 10f64.powf(-3.0 + 0.5 * f64::from(i))).collect();
                let ridge = Ridge::fit_best(&x.train, split.train.targets(), &alphas).unwrap();
                assert!((ridge.alpha / penalties[row] - 1.0).abs() < 1e-9, "{}", ridge.alpha);
                let rmse = ridge.rmse(&x.test, split.test.targets()).unwrap();
                assert!((rmse / want - 1.0).abs() < 1e-9, "{rmse} for {want}");
            }
        }
    }
}

#[test]
fn ridge_is_the_closed_form_and_leaves_the_mean_alone() {
    // y = 2 x: Σ x² = 2 after centring, so w = 4 / (2 + α); the line goes through the means.
    let x = Features::try_new(1, vec![1.0, 2.0, 3.0]).unwrap();
    let y = [2.0, 4.0, 6.0];
    for alpha in [1e-9, 1.0, 2.0] {
        let ridge = Ridge::fit(&x, &y, alpha).unwrap();
        let want = [1.0, 2.0, 3.0].map(|x| 4.0 + (x - 2.0) * 4.0 / (2.0 + alpha));
        let got = ridge.predict(&x).unwrap();
        assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12), "{got:?}");
    }
    // Leaving one out by hand: without row i, the mean of two and the slope of two points.
    let y = [1.0, 0.0, 4.0];
    let alphas = [0.1, 1.0, 10.0, 100.0];
    let error = |alpha: f64| {
        let without = |i: usize| {
            let others: Vec<usize> = (0..3).filter(|&j| j != i).collect();
            let targets: Vec<f64> = others.iter().map(|&j| y[j]).collect();
            let ridge = Ridge::fit(&x.select(others), &targets, alpha).unwrap();
            (ridge.predict(&x.select([i])).unwrap()[0] - y[i]).powi(2)
        };
        (0..3).map(without).sum::<f64>()
    };
    let best = alphas.into_iter().min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap();
    assert_eq!(Ridge::fit_best(&x, &y, &alphas).unwrap().alpha, best);
}

#[test]
fn logistic_regression_is_stationary_and_symmetric() {
    // Two points, one each: the derivative by w is w − C (1 − p), with p = σ(2 w) by symmetry.
    let x = Features::try_new(1, vec![-1.0, 1.0]).unwrap();
    let model = LogisticRegression::fit(&x, &[0, 1], 2, 1.0).unwrap();
    let probe = Features::try_new(1, vec![-0.1, 0.1, 0.0]).unwrap();
    assert_eq!(model.predict(&probe).unwrap()[..2], [0, 1]);
    assert_eq!(model.accuracy(&x, &[0, 0]).unwrap(), 0.5);
}

#[test]
fn what_cannot_be_fitted_is_an_error_that_says_why() {
    let x = Features::try_new(1, vec![1.0, 2.0]).unwrap();
    let none = x.select([]);
    let message = |error: DataError| error.to_string();
    assert_eq!(
        message(LogisticRegression::fit(&x, &[0, 2], 2, 1.0).unwrap_err()),
        "a label must be below 2, row 1 has 2; count the classes from 0"
    );
    assert_eq!(
        message(LogisticRegression::fit(&x, &[0], 2, 1.0).unwrap_err()),
        "each row needs one target, got 1 for 2 rows; give both from the same part"
    );
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let want = format!("a penalty must be positive and finite, got {c}; 1 is the usual choice");
        assert_eq!(message(LogisticRegression::fit(&x, &[0, 1], 2, c).unwrap_err()), want);
        assert_eq!(message(Ridge::fit(&x, &[0.0, 1.0], c).unwrap_err()), want);
    }
    assert!(matches!(Ridge::fit_best(&x, &[0.0, 1.0], &[]), Err(DataError::Penalty { .. })));
    assert!(matches!(LogisticRegression::fit(&none, &[], 2, 1.0), Err(DataError::NoRows)));
    assert!(matches!(Ridge::fit(&none, &[], 1.0), Err(DataError::NoRows)));
    assert!(matches!(NearestRows::fit(&none, &[], 2, 1), Err(DataError::NoRows)));
    assert!(matches!(NearestRows::fit(&x, &[0, 1], 2, 3), Err(DataError::Neighbours { k: 3, rows: 2 })));
    let wide = Features::try_new(2, vec![1.0, 2.0]).unwrap();
    let model = Ridge::fit(&x, &[0.0, 1.0], 1.0).unwrap();
    assert!(matches!(model.predict(&wide), Err(DataError::Columns { expected: 1, found: 2 })));
}

#[test]
fn ties_between_rows_go_to_the_earlier_and_the_smaller_label() {
    let x = Features::try_new(1, vec![4.0, 6.0, 4.0, 6.0]).unwrap();
    let probe = Features::try_new(1, vec![5.0]).unwrap();
    let predict = |k| NearestRows::fit(&x, &[2, 1, 0, 1], 3, k).unwrap().predict(&probe).unwrap();
    assert_eq!([predict(1), predict(3), predict(4)], [[2], [0], [1]]);
}

/// The recorded bits per character of the novel, orders 0 to 4, counted before the test part.
#[test]
fn counts_give_the_recorded_bits_per_character() {
    let text = prose().text().as_bytes();
    let (before, test) = text.split_at(text.len() - 32_000);
    for (order, want) in [(0, 4.45), (1, 3.53), (2, 2.73), (3, 2.20), (4, 2.040)] {
        let mut counts = InterpolatedCounts::new(order, 4.0, 75);
        counts.learn(before, 0);
        let bits = counts.bits_per_token(test);
        assert!((bits - want).abs() < 0.0051, "order {order}: {bits} for {want}");
    }
}

#[test]
fn counted_probabilities_sum_to_one() {
    let mut counts = InterpolatedCounts::new(2, 5.0, 4);
    counts.learn(&[0, 1, 2, 0, 1, 3, 0, 1], 0);
    for before in [&[][..], &[0], &[0, 1], &[3, 3], &[2, 0, 1]] {
        let sum: f64 = (0..4).map(|next| counts.probability(before, &next)).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{before:?}: {sum}");
    }
}
