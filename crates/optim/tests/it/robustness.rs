//! Bad data and bad settings: the typed error, with the values that broke the rule, and never a panic.
use std::ops::ControlFlow;

use nalgebra::{SVector, vector};
use optim::Error;
use optim::nielsen::{Example, Layer, Network, SgdConfig};
use optim::perceptron::{
    AveragedPerceptron, MarginConfig, MaxEpochs, MulticlassPerceptron, Perceptron, hard_margin,
};
use rand::{SeedableRng, rngs::StdRng};

/// Exclusive or, which no plane separates.
const XOR: ([[f64; 2]; 4], [i8; 4]) = ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [-1, 1, 1, -1]);

/// The error of each function that learns from binary labels.
fn errors(x: &[SVector<f64, 2>], labels: &[i8]) -> Vec<Error> {
    let few = MarginConfig::default().max_passes(100);
    vec![
        Perceptron::train(x, labels, MaxEpochs(10)).unwrap_err(),
        Perceptron::fit(x, labels, MaxEpochs(10)).unwrap_err(),
        Perceptron::zeros().accuracy(x, labels).unwrap_err(),
        AveragedPerceptron::train(x, labels, MaxEpochs(10)).unwrap_err(),
        hard_margin(x, labels, few).unwrap_err(),
    ]
}

#[test]
fn bad_data_for_two_classes_is_refused() {
    let x = XOR.0.map(SVector::from);
    for error in errors(&[], &[]) {
        assert!(matches!(error, Error::Empty { .. }), "{error}");
    }
    for error in errors(&x, &[1, -1, 1]) {
        assert!(matches!(error, Error::LengthMismatch { examples: 4, labels: 3 }), "{error}");
    }
    for label in [0, 2, -2, i8::MIN, i8::MAX] {
        for error in errors(&x, &[1, -1, label, 1]) {
            assert!(matches!(error, Error::LabelNotSign { index: 2, label: l } if l == label), "{error}");
        }
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut broken = x;
        broken[3][1] = value;
        for error in errors(&broken, &XOR.1) {
            assert!(matches!(error, Error::FeatureNotFinite { example: 3, feature: 1, .. }), "{error}");
            assert!(error.to_string().contains(&value.to_string()), "{error}");
        }
    }
}

#[test]
fn classes_that_overlap_are_not_separable() {
    let x = XOR.0.map(SVector::from);
    let error = Perceptron::fit(&x, &XOR.1, MaxEpochs(1000)).unwrap_err();
    assert!(matches!(error, Error::NotSeparable { passes: 1000, wrong: 1..=3 }), "{error}");
    let error = hard_margin(&x, &XOR.1, MarginConfig::default().max_passes(1000)).unwrap_err();
    assert!(matches!(error, Error::NotSeparable { passes: 1000, wrong: 1..=4 }), "{error}");
    // One point with both labels: the nearest that two classes can be.
    let twice = [vector![0.5, 0.5]; 2];
    let error = hard_margin(&twice, &[1, -1], MarginConfig::default().max_passes(1000)).unwrap_err();
    assert!(matches!(error, Error::NotSeparable { .. }), "{error}");
    // Separable, but not to this accuracy in one pass.
    let (x3, y3) = ([vector![0.1, 0.9], vector![0.2, 0.3], vector![0.8, 0.1]], [1, -1, -1]);
    let error = hard_margin(&x3, &y3, MarginConfig::default().max_passes(1)).unwrap_err();
    assert!(
        matches!(error, Error::GapTooWide { passes: 1, lower, upper } if 0.0 < lower && lower < upper),
        "{error}"
    );
    // Training without the demand for a plane reports what it has.
    let fit = Perceptron::train(&x, &XOR.1, MaxEpochs(1000)).unwrap();
    assert!(!fit.converged && fit.epochs == 1000 && fit.mistakes.len() >= 1000);
}

/// Values near the largest f64 overflow the score to NaN, which must not pass for a separating plane.
#[test]
fn overflow_is_an_error_not_a_success() {
    let huge = [vector![1e308, 1e308], vector![-1e308, 1e308], vector![1e308, -1e308]];
    let fit = Perceptron::fit(&huge, &[1, -1, -1], MaxEpochs(10));
    assert!(matches!(fit, Err(Error::NonFinite { path: "perceptron", .. })), "{fit:?}");
    let margin = hard_margin(&huge, &[1, -1, -1], MarginConfig::default());
    assert!(matches!(margin, Err(Error::NonFinite { path: "radius", .. })), "{margin:?}");
}

#[test]
fn settings_out_of_range_are_named() {
    let (x, labels) = ([vector![1.0], vector![-1.0]], [1, -1]);
    let name_of = |error: Error| match error {
        Error::InvalidHyper { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(name_of(Perceptron::train(&x, &labels, MaxEpochs(0)).unwrap_err()), "max_epochs");
    assert_eq!(name_of(AveragedPerceptron::train(&x, &labels, MaxEpochs(0)).unwrap_err()), "max_epochs");
    for tolerance in [0.0, 1.0, -1.0, f64::NAN] {
        let config = MarginConfig::default().tolerance_rel(tolerance);
        assert_eq!(name_of(hard_margin(&x, &labels, config).unwrap_err()), "tolerance_rel");
    }
    let config = MarginConfig::default().max_passes(0);
    assert_eq!(name_of(hard_margin(&x, &labels, config).unwrap_err()), "max_passes");
    assert_eq!(name_of(SgdConfig::default().epochs(0).check().unwrap_err()), "epochs");
    assert_eq!(name_of(SgdConfig::default().batch_size(0).check().unwrap_err()), "batch_size");
    for rate in [0.0, -3.0, f64::NAN, f64::INFINITY] {
        assert_eq!(name_of(SgdConfig::default().learning_rate(rate).check().unwrap_err()), "learning_rate");
    }
}

#[test]
fn bad_classes_are_refused() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut model = MulticlassPerceptron::<1, 3>::default();
    let error = model.epoch(&[vector![1.0], vector![2.0]], &[2, 3], &mut rng).unwrap_err();
    assert!(matches!(error, Error::LabelOutOfRange { index: 1, label: 3, classes: 3 }), "{error}");
    assert!(matches!(model.epoch(&[], &[], &mut rng), Err(Error::Empty { .. })));
    assert!(matches!(model.last().accuracy(&[vector![f64::NAN]], &[0]), Err(Error::FeatureNotFinite { .. })));
    let error = Example::<1, 3>::labelled(vector![1.0], 3).unwrap_err();
    assert!(matches!(error, Error::LabelOutOfRange { label: 3, classes: 3, .. }), "{error}");
}

#[test]
fn bad_examples_leave_the_network_as_it_was() {
    let mut rng = StdRng::seed_from_u64(0);
    let before = Network::<2, 3, 1>::new(&mut rng);
    let mut network = before.clone();
    let proceed = |_: optim::nielsen::Epoch<'_, 2, 3, 1>| ControlFlow::Continue(());
    assert!(matches!(
        network.sgd(&[], SgdConfig::default(), &mut rng, proceed),
        Err(Error::Empty { what: "Network::sgd" })
    ));
    for (example, position) in [
        (Example { x: vector![0.0, f64::NAN], y: vector![1.0] }, 1),
        (Example { x: vector![0.0, 1.0], y: vector![f64::INFINITY] }, 2),
    ] {
        let error = network.sgd(&[example], SgdConfig::default(), &mut rng, proceed).unwrap_err();
        assert!(
            matches!(error, Error::FeatureNotFinite { example: 0, feature, .. } if feature == position),
            "{error}"
        );
    }
    assert!(matches!(network.update_mini_batch([], 3.0), Err(Error::Empty { .. })));
    assert!(matches!(network.evaluate(&[]), Err(Error::Empty { .. })));
    assert_eq!(network, before);
}

/// At zero weights the neurons are not saturated, so that one step of 1e200 times an input of 1e200 overflows.
#[test]
fn overflowing_parameters_are_named() {
    let hidden = Layer::<1, 2>::from_fn(|_, _| 0.0, |_| 0.0);
    let mut network = Network::<1, 2, 1>::from_layers(hidden, Layer::from_fn(|_, _| 1.0, |_| 0.0));
    let data = [Example { x: vector![1e200], y: vector![1.0] }];
    let config = SgdConfig::default().learning_rate(1e200);
    let mut rng = StdRng::seed_from_u64(0);
    let error = network.sgd(&data, config, &mut rng, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::NonFinite { path: "hidden", step: 1, .. }), "{error}");
}

#[test]
fn a_monitor_can_stop_the_training() {
    let mut rng = StdRng::seed_from_u64(0);
    let mut network = Network::<1, 2, 1>::new(&mut rng);
    let data = [Example { x: vector![1.0], y: vector![1.0] }];
    let mut seen = Vec::new();
    let stop_after_two = |epoch: optim::nielsen::Epoch<'_, 1, 2, 1>| {
        seen.push(epoch.number);
        if epoch.number == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    network.sgd(&data, SgdConfig::default(), &mut rng, stop_after_two).unwrap();
    assert_eq!(seen, [1, 2]);
}

#[test]
fn broken_weight_files_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let network = Network::<3, 4, 2>::new(&mut StdRng::seed_from_u64(0));
    network.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Network::<3, 4, 2>::load(&path)
    };
    assert_eq!(load(&whole).unwrap(), network);
    for length in 0..whole.len() {
        assert!(matches!(load(&whole[..length]), Err(Error::Checkpoint(_))), "cut to {length} bytes");
    }
    // A flipped bit in the header or the lengths is found; among the numbers it is another number, or not finite.
    for position in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x40;
        let result = load(&flipped);
        assert!(!matches!(&result, Ok(same) if *same == network), "byte {position} does not matter");
    }
    assert!(matches!(Network::<3, 4, 2>::load(folder.path().join("none")), Err(Error::Checkpoint(_))));
    assert!(matches!(Network::<3, 5, 2>::load(&path), Err(Error::Checkpoint(_))));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let output = Layer::<2, 1>::from_fn(|_, _| f64::NAN, |_| 0.0);
    Network::<1, 2, 1>::from_layers(Layer::from_fn(|_, _| 1.0, |_| 0.0), output).save(&path).unwrap();
    let error = Network::<1, 2, 1>::load(&path).unwrap_err();
    assert!(matches!(error, Error::NonFinite { path: "output", .. }), "{error}");
}

/// What was there before a failed save is still there.
#[test]
fn a_failed_save_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::<1, 2, 1>::new(&mut StdRng::seed_from_u64(0));
    let error = network.save(folder.path().join("missing folder").join("network.safetensors")).unwrap_err();
    assert!(matches!(error, Error::Checkpoint(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Settings of losses out of their range are named; a probability above 1 pulls without end and is found beforehand.
#[test]
fn settings_of_losses_are_refused() {
    use dfdx::prelude::{AsArray, Cpu, TensorFrom};
    use kernels::{ClassLoss, Classes, bce_with_logits_mean, check_probabilities, try_class_loss_mean};
    let dev = Cpu::default();
    let name = |loss| {
        let logits = dev.tensor([[0.5_f64, -1.0, 2.0], [0.0, 1.0, 0.0]]);
        match try_class_loss_mean(logits, &[0, 2], loss, Classes::default()) {
            Err(kernels::Error::LossSetting { name, .. }) => Some(name),
            other => other.map(|_| None).unwrap(),
        }
    };
    for wrong in [-0.1, 1.0, 1.1, f64::NAN] {
        assert_eq!(name(ClassLoss::CrossEntropy { label_smoothing: wrong }), Some("label_smoothing"));
    }
    for wrong in [-0.1, 1.1, f64::NAN] {
        assert_eq!(name(ClassLoss::GeneralisedCrossEntropy { q: wrong }), Some("q"));
    }
    for wrong in [-0.1, f64::INFINITY, f64::NAN] {
        assert_eq!(name(ClassLoss::Focal { gamma: wrong }), Some("gamma"));
    }
    assert_eq!(name(ClassLoss::GeneralisedCrossEntropy { q: 0.0 }), Some("q"));
    assert_eq!(name(ClassLoss::CrossEntropy { label_smoothing: 0.999 }), None);
    let loss = |z: f64| bce_with_logits_mean(dev.tensor([z]), &dev.tensor([2.0])).array();
    assert!([1.0, 10.0, 1e3, 1e6].windows(2).all(|z| loss(z[1]) < loss(z[0])), "no minimum");
    for wrong in [-0.1, 1.1, f64::INFINITY, f64::NAN] {
        let found = check_probabilities(&dev.tensor([[0.0, 0.5], [1.0, wrong]]));
        assert!(matches!(found, Err(kernels::Error::Probability { index: 3, .. })), "{wrong}: {found:?}");
    }
    check_probabilities(&dev.tensor([0.0, 1.0, 0.5])).unwrap();
}
