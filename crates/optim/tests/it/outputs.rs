//! Heads of networks: mixtures of Gaussians and calibrated probabilities, against closed forms and differences.
use dfdx::prelude::*;
use kernels::random::Key;
use layers::{assert_close, modules, testing::gradient_check};
use optim::Error;
use optim::calibration::{probabilities, reliability, temperature};
use optim::mixture::{Mixture, mixture_nll_mean};
use rand::Rng;

fn normal(count: usize, key: Key) -> Vec<f64> {
    let mut values = vec![0.0; count];
    key.fill_normal(&mut values);
    values
}

/// Value: the density of each row written out. Gradient: shares of the components, the formulas of the module.
#[test]
fn the_mixture_loss_is_the_density_and_its_gradient_the_shares() {
    let dev = Cpu::default();
    let outputs = dev.tensor_from_vec(normal(5 * 9, Key::new(1)), (5, Const::<9>));
    let y = dev.tensor_from_vec(normal(5, Key::new(2)), (5,));
    let loss = mixture_nll_mean(outputs.leaky_trace(), &y);
    let (flat, targets) = (outputs.as_vec(), y.as_vec());
    let mixtures: Vec<Mixture> = flat.chunks(9).map(|row| Mixture::from_outputs(row).unwrap()).collect();
    let want = mixtures.iter().zip(&targets).map(|(m, &y)| -m.density(y).ln()).sum::<f64>() / 5.0;
    assert_close!(loss.array(), want, 1e-12);
    let gradient = loss.backward().get(&outputs).as_vec();
    for ((m, &y), row) in mixtures.iter().zip(&targets).zip(gradient.chunks(9)) {
        for k in 0..3 {
            let (mean, s) = (m.means[k], m.deviations[k]);
            let z = (y - mean) / s;
            let part = m.weights[k] * (-0.5 * z * z).exp() / (s * std::f64::consts::TAU.sqrt());
            let share = part / m.density(y);
            let by = [m.weights[k] - share, share * (mean - y) / (s * s), share * (1.0 - z * z)];
            assert_close!([row[k], row[3 + k], row[6 + k]], by.map(|g| g / 5.0), 1e-11, 1e-14);
        }
    }
    // Through a network, every weight.
    let mut model: (modules::Linear<2, 4, f64, Cpu, modules::Tanh>, modules::Linear<4, 6, f64, Cpu>) =
        (BuildModule::build(&dev), BuildModule::build(&dev));
    model.reset_params();
    let x = dev.tensor_from_vec(normal(10, Key::new(3)), (5, Const::<2>));
    gradient_check(&model, |model| mixture_nll_mean(model.forward(x.leaky_trace()), &y)).assert(1e-6);
}

/// One component is a Gaussian; and where every density is too small for a number, loss and gradient are finite.
#[test]
fn one_component_is_a_gaussian_and_far_targets_stay_finite() {
    let dev = Cpu::default();
    let outputs = dev.tensor([[7.0_f64, 0.4, -0.3], [-2.0, 1.5, 0.2]]);
    let y = dev.tensor([1.0, -0.5]);
    let log_var = dev.tensor([2.0 * -0.3, 2.0 * 0.2]);
    let want = kernels::gaussian_nll_mean(dev.tensor([0.4, 1.5]), log_var, &y).array();
    assert_close!(mixture_nll_mean(outputs, &y).array(), want, 1e-12);
    let outputs = dev.tensor([[1e4_f32, -1e4, 0.0, 5.0, -10.0, -10.0]]);
    for target in [1e4, 0.0, -1e4, 2.5] {
        let loss = mixture_nll_mean(outputs.leaky_trace(), &dev.tensor([target]));
        assert!(loss.array().is_finite(), "{target}: {}", loss.array());
        let gradient = loss.backward().get(&outputs).as_vec();
        assert!(gradient.iter().all(|g| g.is_finite()), "{target}: {gradient:?}");
    }
}

#[test]
fn moments_of_a_mixture_are_integrals() {
    let mixture = Mixture::from_outputs(&[0.3, -0.5, 1.0, -2.0, 0.0, 1.5, -0.7, 0.1, -1.2]).unwrap();
    assert_close!(mixture.weights.iter().sum::<f64>(), 1.0, 1e-14);
    let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
    let step = 1e-3;
    for i in -12_000..12_000 {
        let y = (f64::from(i) + 0.5) * step;
        let p = mixture.density(y) * step;
        (total, first, second) = (total + p, first + p * y, second + p * y * y);
    }
    assert_close!(total, 1.0, 1e-9);
    assert_close!(first, mixture.mean(), 1e-8);
    assert_close!(second - first * first, mixture.variance(), 1e-6);
    for outputs in [vec![], vec![1.0; 4]] {
        assert!(matches!(Mixture::from_outputs(&outputs), Err(Error::Dimension { .. })), "{outputs:?}");
    }
}

/// Labels drawn from softmax(z / 2.5): the temperature is found again, and the mean vote of the labels is the mean vote.
#[test]
fn the_temperature_is_found_again() {
    let (n, classes, hot) = (4000, 4, 2.5);
    let logits: Vec<f64> = normal(n * classes, Key::new(5)).iter().map(|z| 4.0 * z).collect();
    let probs = probabilities(&logits, classes, hot).unwrap();
    let mut rng = Key::new(6).rng();
    let labels: Vec<usize> = probs
        .chunks(classes)
        .map(|row| {
            let mut left: f64 = rng.r#gen();
            row.iter().position(|p| {
                left -= p;
                left < 0.0
            })
        })
        .map(|found| found.unwrap_or(classes - 1))
        .collect();
    let found = temperature(&logits, classes, &labels).unwrap();
    assert!((found / hot - 1.0).abs() < 0.1, "{found}");
    let under = |t: f64| {
        let probs = probabilities(&logits, classes, t).unwrap();
        let mean: f64 = logits.iter().zip(&probs).map(|(z, p)| z * p).sum();
        let own: f64 = logits.chunks(classes).zip(&labels).map(|(row, &label)| row[label]).sum();
        (mean, own, reliability(&probs, classes, &labels, 10).unwrap())
    };
    let (mean, own, calibrated) = under(found);
    assert_close!(mean, own, 1e-9);
    let (_, _, certain) = under(1.0);
    assert!(calibrated.expected_error < 0.03 && certain.expected_error > 0.1, "{calibrated:?} {certain:?}");
    // The order of the classes, and so every answer, is untouched.
    let right = |found: &optim::calibration::Reliability| -> f64 {
        found.bins.iter().map(|bin| bin.accuracy * bin.count as f64).sum()
    };
    assert_close!(right(&calibrated), right(&certain), 1e-12);
    assert!(calibrated.largest_error >= calibrated.expected_error);
}

#[test]
fn calibration_refuses_what_it_cannot_judge() {
    assert!(matches!(reliability(&[], 2, &[], 5), Err(Error::Empty { .. })));
    assert!(matches!(reliability(&[0.5, 0.5], 2, &[0, 1], 5), Err(Error::LengthMismatch { .. })));
    assert!(matches!(reliability(&[0.5, 0.5], 2, &[2], 5), Err(Error::LabelOutOfRange { .. })));
    assert!(matches!(reliability(&[0.5, 0.5], 2, &[1], 0), Err(Error::InvalidHyper { name: "bins", .. })));
    let nan = reliability(&[f64::NAN, 0.5], 2, &[1], 5);
    assert!(matches!(nan, Err(Error::InvalidHyper { name: "probability", .. })), "{nan:?}");
    let cold = probabilities(&[1.0, 2.0], 2, 0.0);
    assert!(matches!(cold, Err(Error::InvalidHyper { name: "temperature", .. })));
    // Always right: as cold as it may be. Extreme logits stay finite.
    assert!(temperature(&[5.0, 0.0, 0.0, 5.0], 2, &[0, 1]).unwrap() < 2e-3);
    assert_eq!(probabilities(&[1e308, -1e308], 2, 1.0).unwrap(), [1.0, 0.0]);
}
