//! Lecture 6: regularisers that need no labels, silent units, and what comes after an early stop.
use dfdx::prelude::*;
use layers::assert_close;
use nalgebra::{DMatrix, dmatrix};
use optim::Error;
use optim::chain::Batch;
use optim::regularize::activity::activity;
use optim::regularize::refit::{Refit, continue_until};
use optim::regularize::semi_supervised::{TemporalEnsemble, consistency, entropy, ramp_up};
use proptest::prelude::*;

fn logits(values: Vec<f64>) -> Batch<f64, Cpu> {
    let rows = values.len() / 3;
    Cpu::default().tensor_from_vec(values, (rows, 3))
}

/// Central differences of `f` at every entry.
fn differences(f: impl Fn(Batch<f64, Cpu>) -> f64, at: &Batch<f64, Cpu>) -> Vec<f64> {
    let values = at.as_vec();
    let moved = |i: usize, h: f64| {
        let mut values = values.clone();
        values[i] += h;
        f(logits(values))
    };
    (0..values.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Gradients are differences, through both evaluations; values are those of the sums, symmetric, and blind to what a
    /// softmax does not see.
    #[test]
    fn agreement_and_certainty(a in prop::collection::vec(-3.0..3.0_f64, 6), b in prop::collection::vec(-3.0..3.0_f64, 6),
        shift in -5.0..5.0_f64) {
        let (z, other) = (logits(a.clone()), logits(b));
        let value = |z: &Batch<f64, Cpu>, other: &Batch<f64, Cpu>| {
            consistency(z.clone(), other.clone()).unwrap().array()
        };
        let gradients = consistency(z.leaky_trace(), other.leaky_trace()).unwrap().backward();
        assert_close!(gradients.get(&z).as_vec(), differences(|z| value(&z, &other), &z), 1e-6, 1e-9);
        assert_close!(gradients.get(&other).as_vec(), differences(|other| value(&z, &other), &other), 1e-6, 1e-9);
        assert_close!(value(&z, &other), value(&other, &z), 1e-14);
        assert_close!(value(&z, &logits(a.iter().map(|z| z + shift).collect())), 0.0, 0.0, 1e-15);
        let p = |z: &Batch<f64, Cpu>| kernels::softmax(z.clone()).as_vec();
        let sum: f64 = p(&z).iter().zip(p(&other)).map(|(p, q)| (p - q).powi(2)).sum();
        assert_close!(value(&z, &other), sum / 6.0, 1e-12, 1e-15);

        let h = |z: &Batch<f64, Cpu>| entropy(z.clone()).unwrap().array();
        let gradient = entropy(z.leaky_trace()).unwrap().backward();
        assert_close!(gradient.get(&z).as_vec(), differences(|z| h(&z), &z), 1e-6, 1e-9);
        prop_assert!(h(&z) >= 0.0 && h(&z) <= 3.0_f64.ln() + 1e-12);
        let want = -p(&z).iter().map(|p| p * p.ln()).sum::<f64>() / 2.0;
        assert_close!(h(&z), want, 1e-12);
        assert_close!(h(&z), h(&logits(a.iter().map(|z| z + shift).collect())), 1e-12);
    }
}

#[test]
fn extreme_answers_are_finite() {
    let sure = logits(vec![1e4, -1e4, 0.0]);
    assert_eq!(entropy(sure.clone()).unwrap().array(), 0.0);
    assert!(entropy(sure.leaky_trace()).unwrap().backward().get(&sure).as_vec().iter().all(|g| *g == 0.0));
    let flat = logits(vec![2.0; 6]);
    assert_close!(entropy(flat.clone()).unwrap().array(), 3.0_f64.ln(), 1e-15);
    let gradient = entropy(flat.leaky_trace()).unwrap().backward().get(&flat).as_vec();
    assert_close!(gradient, [0.0; 6], 0.0, 1e-15); // the maximum
    let none = logits(vec![]);
    assert!(matches!(entropy(none.clone()), Err(Error::Empty { .. })));
    assert!(matches!(consistency(none.clone(), none), Err(Error::Empty { .. })));
    let refused = consistency(flat, logits(vec![0.0; 3]));
    assert!(matches!(refused, Err(Error::Shape { got: (1, 3), want: (2, 3), .. })));
}

#[test]
fn the_weight_rises_slowly_and_ensembles_forget() {
    let rise: Vec<f64> = (0..=120).map(|step| ramp_up(step, 80).unwrap()).collect();
    assert_close!(
        [rise[0], rise[40], rise[80], rise[120]],
        [(-5.0_f64).exp(), (-1.25_f64).exp(), 1.0, 1.0],
        1e-15
    );
    assert!(rise[..81].windows(2).all(|pair| pair[1] > pair[0]));
    assert!(matches!(ramp_up(1, 0), Err(Error::InvalidHyper { name: "length", .. })));

    let mut ensemble = TemporalEnsemble::try_new(3, 2, 0.6).unwrap();
    let (first, second) = (dmatrix![0.9, 0.1; 0.2, 0.8], dmatrix![0.5, 0.5; 0.2, 0.8]);
    ensemble.update(&[2, 0], &first).unwrap();
    ensemble.update(&[2, 0], &second).unwrap();
    let targets = ensemble.targets(&[0, 1, 2]).unwrap();
    // (0.6 · 0.4 z₁ + 0.4 z₂) / (1 − 0.36); an answer that stays is its own mean.
    let mixed = (&first * 0.24 + &second * 0.4) / 0.64;
    assert_close!(targets.row(2).clone_owned().as_slice(), mixed.row(0).clone_owned().as_slice(), 1e-14);
    assert_close!(targets.row(0).clone_owned().as_slice(), [0.2, 0.8], 1e-14);
    assert_eq!(targets.row(1).clone_owned().as_slice(), [0.0, 0.0]);
    for decay in [1.0, -0.1, f64::NAN] {
        let refused = TemporalEnsemble::try_new(1, 1, decay);
        assert!(matches!(refused, Err(Error::InvalidHyper { name: "decay", .. })), "{decay}");
    }
    let refused = ensemble.update(&[0, 3], &first);
    assert!(matches!(refused, Err(Error::LabelOutOfRange { index: 1, label: 3, classes: 3 })));
    assert!(matches!(ensemble.targets(&[7]), Err(Error::LabelOutOfRange { label: 7, .. })));
    let refused = ensemble.update(&[0], &DMatrix::zeros(1, 3));
    assert!(matches!(refused, Err(Error::Shape { got: (1, 3), want: (1, 2), .. })));
}

/// A penalty on activations: its value, its gradient on a hidden layer by differences, and fewer units that speak.
#[test]
fn a_penalty_on_activations_makes_units_silent() {
    let z = logits(vec![0.3, -0.7, 1.2, -0.4, 0.9, -1.1]);
    let value = |z: &Batch<f64, Cpu>| activity(z.clone().tanh(), 0.5).unwrap().array();
    let gradient = activity(z.leaky_trace().tanh(), 0.5).unwrap().backward().get(&z).as_vec();
    assert_close!(gradient, differences(|z| value(&z), &z), 1e-6, 1e-9);
    assert_close!(value(&z), 0.5 / 2.0 * z.as_vec().iter().map(|z| z.tanh().abs()).sum::<f64>(), 1e-14);
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(
            matches!(activity(z.clone(), factor), Err(Error::InvalidHyper { name: "factor", .. })),
            "{factor}"
        );
    }
    assert!(matches!(activity(logits(vec![]), 1.0), Err(Error::Empty { .. })));
    // One example alone is a batch of one.
    let one: Tensor<Rank0, f64, _> = Cpu::default().tensor(-2.0);
    assert_eq!(activity(one, 0.5).unwrap().array(), 1.0);
}

#[test]
fn after_an_early_stop_all_data_train() {
    let refit = Refit::after(3, 70, 100, 32).unwrap(); // 3 batches, then 4
    assert_eq!(refit, Refit { same_updates: 9, same_passes: 12 });
    assert_eq!(Refit::after(5, 64, 64, 64).unwrap(), Refit { same_updates: 5, same_passes: 5 });
    for (arguments, name) in [
        ((0, 70, 100, 32), "best_epoch"),
        ((3, 0, 100, 32), "train"),
        ((3, 70, 100, 0), "batch"),
        ((3, 70, 69, 32), "all"),
    ] {
        let (best, train, all, batch) = arguments;
        let refused = Refit::after(best, train, all, batch);
        assert!(matches!(refused, Err(Error::InvalidHyper { name: n, .. }) if n == name), "{refused:?}");
    }

    // A loss that halves with every epoch: 0.8, 0.4, 0.2, 0.1.
    let mut loss = 1.6;
    let mut halve = || {
        loss /= 2.0;
        Ok(loss)
    };
    let done = continue_until(0.2, 100, &mut halve).unwrap();
    assert_eq!((done.epochs, done.has_reached), (3, true));
    assert_close!(done.loss, 0.2, 1e-15);
    let given_up = continue_until(1e-3, 2, &mut halve).unwrap();
    assert_eq!((given_up.epochs, given_up.has_reached), (2, false));
    assert!(matches!(
        continue_until(f64::NAN, 2, &mut halve),
        Err(Error::InvalidHyper { name: "target", .. })
    ));
    assert!(matches!(
        continue_until(0.0, 0, &mut halve),
        Err(Error::InvalidHyper { name: "max_epochs", .. })
    ));
    assert!(matches!(continue_until(0.0, 9, || Ok(f64::NAN)), Err(Error::NonFinite { step: 1, .. })));
    let failed = continue_until(0.0, 9, || Err(Error::Empty { what: "epoch" }));
    assert!(matches!(failed, Err(Error::Empty { what: "epoch" })));
}
