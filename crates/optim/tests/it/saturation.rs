//! Lecture 5: the golden neuron, Gaussian moments, orthogonal starts, laws of losses and activations.
use dfdx::prelude::*;
use kernels::random::Key;
use kernels::{ActivationKind, ClassLoss, Classes, DistributionLoss, activate};
use layers::assert_close;
use layers::testing::Golden;
use nalgebra::vector;
use optim::Error;
use optim::chain::{Chain, glorot, he};
use optim::init::{lsuv, orthogonal};
use optim::mean_field::{MeanField, critical_weight_variance, moments};
use optim::nielsen::Cost;
use optim::saturation::Neuron;
use proptest::prelude::*;

fn open(name: &str) -> Golden {
    Golden::open(format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR")))
}

/// All six runs of the file, every fiftieth output and the last weights.
#[test]
fn neuron_agrees_with_python() {
    let golden = open("classical");
    let read_in_golden_rs = ["source", "X", "y", "labels", "perceptron", "nielsen_minibatch"];
    let of_other_lectures = [
        "least_squares",
        "sgd_path",
        "minibatch_variance_at_zero",
        "polynomial",
        "ridge_bias_variance",
        "estimators",
    ];
    read_in_golden_rs.iter().chain(&of_other_lectures).for_each(|key| golden.skip(key));
    golden.skip("learning_slowdown/note");
    let names: Vec<String> = golden.keys("learning_slowdown/runs").iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 6);
    for name in names {
        let at = |key: &str| format!("learning_slowdown/runs/{name}/{key}");
        let (cost, rest) = match name.strip_prefix("quadratic_w") {
            Some(rest) => (Cost::Quadratic, rest),
            None => (Cost::CrossEntropy, name.strip_prefix("cross_entropy_w").unwrap()),
        };
        let numbers: Vec<f64> =
            rest.split(['_', 'b', 'e', 't', 'a']).filter_map(|part| part.parse().ok()).collect();
        let [weight, bias, rate] = numbers[..] else { panic!("{name}: {numbers:?}") };
        let mut neuron = Neuron { weight, bias };
        // The file lists the output before each of 301 epochs; its last weights are those after the 301st.
        let outputs = neuron.train(cost, rate, 300).unwrap();
        let every: Vec<f64> = outputs.iter().copied().step_by(50).collect();
        assert_close!(every, golden.numbers(&at("outputs_every_50")), 1e-9);
        neuron.epoch(cost, rate);
        assert_close!(neuron.weight, golden.number(&at("final_w")), 1e-9);
        assert_close!(neuron.bias, golden.number(&at("final_b")), 1e-9, 1e-12);
    }
}

/// The step is the derivative of the cost.
#[test]
fn neuron_descends_its_cost() {
    for (cost, value) in [
        (Cost::Quadratic, (|a: f64| 0.5 * a * a) as fn(f64) -> f64),
        (Cost::CrossEntropy, |a| -(1.0 - a).ln()),
    ] {
        let start = Neuron { weight: 0.7, bias: -0.3 };
        let mut moved = start;
        moved.epoch(cost, 1e-3);
        let h = 1e-6;
        let at = |weight: f64| value(Neuron { weight, ..start }.output());
        let slope = (at(start.weight + h) - at(start.weight - h)) / (2.0 * h);
        assert_close!((start.weight - moved.weight) / 1e-3, slope, 1e-8);
        assert_close!(start.bias - moved.bias, start.weight - moved.weight, 1e-12);
        // The same number as for a network with this output.
        let delta = cost.delta(&vector![start.output()], &vector![0.0])[0];
        assert_close!((start.weight - moved.weight) / 1e-3, delta, 5e-12); // observed 3.4e-13
    }
}

#[test]
fn gaussian_moments_agree_with_quadrature() {
    let golden = open("init");
    for key in ["source", "runs", "gains", "truncated_normal_2sigma", "orthogonal"] {
        golden.skip(key); // weights by size are tested beside layers::init
    }
    let block = "gaussian_moments_of_unit_preactivation";
    for name in golden.keys(block).iter().map(ToString::to_string).collect::<Vec<_>>() {
        let kind = match name.as_str() {
            "relu" => ActivationKind::Relu,
            "tanh" => ActivationKind::Tanh,
            "sigmoid" => ActivationKind::Sigmoid,
            "gelu" => ActivationKind::Gelu,
            "silu" => ActivationKind::Silu,
            "leaky_0_01" => ActivationKind::LeakyRelu(0.01),
            "elu" => ActivationKind::Elu(1.0),
            other => panic!("{other} is not known"),
        };
        let got = moments(kind, 1.0).unwrap();
        let want = |key: &str| golden.number(&format!("{block}/{name}/{key}"));
        assert_close!(got.mean, want("mean"), 1e-8, 1e-8);
        assert_close!(got.second, want("second_moment"), 1e-8);
        assert_close!(got.slope, want("mean_squared_derivative"), 1e-8);
    }
    golden.finish();
}

/// SELU's constants make mean 0 and variance 1 a fixed point; ReLU halves; the critical ReLU weights are He's.
#[test]
fn fixed_points() {
    let selu = moments(ActivationKind::Selu, 1.0).unwrap();
    assert_close!([selu.mean, selu.second], [0.0, 1.0], 1e-7, 1e-7);
    for q in [0.3, 1.0, 7.0] {
        assert_close!(critical_weight_variance(ActivationKind::Relu, q).unwrap(), 2.0, 1e-9);
        let field = MeanField { activation: ActivationKind::Relu, weight_variance: 2.0, bias_variance: 0.0 };
        assert_close!(field.depth(q, 5).unwrap(), vec![q; 5], 1e-8);
        assert_close!(field.chi(q).unwrap(), 1.0, 1e-9);
        // The default of the library: q / 6 + 1 / (3 n), down to a floor of 0.4 / n.
        let field = MeanField {
            activation: ActivationKind::Relu,
            weight_variance: 1.0 / 3.0,
            bias_variance: 1.0 / 300.0,
        };
        assert_close!(field.q_map(q).unwrap(), q / 6.0 + 1.0 / 300.0, 1e-9);
        assert_close!(field.depth(q, 60).unwrap()[59], 0.4 / 100.0, 1e-9);
    }
    assert!(critical_weight_variance(ActivationKind::Sigmoid, 1.0).unwrap() > 20.0);
}

#[test]
fn orthogonal_rows_or_columns() {
    for (rows, columns) in [(5, 3), (3, 5), (4, 4), (1, 6)] {
        let q = orthogonal(rows, columns, 1.5, Key::new(7));
        let gram = if rows >= columns { q.transpose() * &q } else { &q * q.transpose() };
        let identity = nalgebra::DMatrix::identity(rows.min(columns), rows.min(columns)) * 2.25;
        assert!((gram - identity).amax() < 1e-12);
    }
    // Haar: each entry has mean 0, whatever the signs of a decomposition.
    let mean: f64 = (0..2000).map(|seed| orthogonal(3, 3, 1.0, Key::new(seed))[(0, 0)]).sum::<f64>() / 2000.0;
    assert!(mean.abs() < 4.0 * (1.0_f64 / 3.0 / 2000.0).sqrt(), "{mean}");
}

#[test]
fn lsuv_gives_every_layer_variance_one() {
    let dev = Cpu::default();
    let mut net =
        Chain::<f64, Cpu>::new(&dev, &[20, 30, 30, 10], kernels::Tanh, glorot, Key::new(1)).unwrap();
    let x: Tensor<(usize, usize), f64, Cpu> = Key::new(2).normal(&dev, (200, 20));
    let x = x * 3.0;
    let reached = lsuv(&mut net, &x, 0.1, Key::new(3)).unwrap();
    assert_eq!(reached.len(), 3);
    assert!(reached.iter().all(|variance| (variance - 1.0).abs() < 0.1), "{reached:?}");
    let still: Tensor<(usize, usize), f64, Cpu> = dev.zeros_like(&(4, 20));
    assert!(matches!(lsuv(&mut net, &still, 0.1, Key::new(3)), Err(Error::NonFinite { .. })));
    assert!(matches!(lsuv(&mut net, &x, 0.0, Key::new(3)), Err(Error::InvalidHyper { .. })));
}

/// dfdx's own exact GELU has a wrong derivative; this fails the day it is repaired, and our warning can go.
#[test]
fn dfdx_accurate_gelu_is_wrong() {
    let dev = Cpu::default();
    let x = dev.tensor([1.0_f64]);
    let theirs = x.leaky_trace().accurate_gelu().sum().backward().get(&x).array()[0];
    let ours = activate(x.leaky_trace(), kernels::Gelu).sum().backward().get(&x).array()[0];
    assert_close!(ours, 1.083_315, 1e-6);
    assert_close!(theirs, 1.183_543, 1e-6);
}

fn logits(values: Vec<f64>) -> Tensor<(usize, usize), f64, Cpu> {
    Cpu::default().tensor_from_vec(values, (2, 3))
}

fn class(z: &[f64], labels: &[usize], loss: ClassLoss) -> f64 {
    kernels::class_loss_mean(logits(z.to_vec()), labels, loss, Classes::default()).array()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn laws_of_losses(z in prop::collection::vec(-4.0_f64..4.0, 6), q in prop::collection::vec(0.05_f64..1.0, 6),
                      labels in prop::collection::vec(0_usize..3, 2), shift in -50.0_f64..50.0) {
        let plain = ClassLoss::CrossEntropy { label_smoothing: 0.0 };
        let ce = class(&z, &labels, plain);
        let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + b.abs());
        let moved: Vec<f64> = z.iter().map(|z| z + shift).collect();
        prop_assert!(close(class(&moved, &labels, plain), ce, 1e-12));
        let focal = class(&z, &labels, ClassLoss::Focal { gamma: 0.0 });
        prop_assert!(close(focal, ce, 1e-12));
        let general = class(&z, &labels, ClassLoss::GeneralisedCrossEntropy { q: 1e-7 });
        prop_assert!(close(general, ce, 1e-5));
        let one = class(&z, &labels, ClassLoss::GeneralisedCrossEntropy { q: 1.0 });
        prop_assert!(close(class(&z, &labels, ClassLoss::AbsoluteError), 2.0 * one, 1e-12));
        // A batch is the mean of its rows, and classes have no order.
        let rows: f64 = (0..2).map(|row| {
            let z = Cpu::default().tensor_from_vec(z[3 * row..3 * row + 3].to_vec(), (1, 3));
            kernels::class_loss_mean(z, &labels[row..=row], plain, Classes::default()).array()
        }).sum::<f64>() / 2.0;
        prop_assert!(close(rows, ce, 1e-12));
        let turned: Vec<f64> = z.chunks(3).flat_map(|z| [z[2], z[0], z[1]]).collect();
        let names: Vec<usize> = labels.iter().map(|label| (label + 1) % 3).collect();
        prop_assert!(close(class(&turned, &names, plain), ce, 1e-12));
        // The gradient of a row sums to 0.
        let x = logits(z.clone());
        let loss = kernels::class_loss_mean(x.leaky_trace(), &labels, plain, Classes::default());
        for row in loss.backward().get(&x).as_vec().chunks(3) {
            prop_assert!(row.iter().sum::<f64>().abs() < 1e-12);
        }
        // Distributions: CE ≥ entropy, KL ≥ 0, JS symmetric and at most ln 2.
        let q: Vec<f64> = q.chunks(3).flat_map(|q| { let s: f64 = q.iter().sum(); q.iter().map(move |q| q / s) }).collect();
        let loss = |z: Vec<f64>, q: &[f64], kind| kernels::distribution_loss_mean(logits(z), &logits(q.to_vec()), kind).array();
        let entropy = -q.iter().map(|q| q * q.ln()).sum::<f64>() / 2.0;
        prop_assert!(loss(z.clone(), &q, DistributionLoss::CrossEntropy) >= entropy - 1e-12);
        let log_q: Vec<f64> = q.iter().map(|q| q.ln()).collect();
        prop_assert!(close(loss(log_q.clone(), &q, DistributionLoss::CrossEntropy), entropy, 1e-12));
        prop_assert!(loss(z.clone(), &q, DistributionLoss::KlForward) >= -1e-12);
        prop_assert!(loss(z.clone(), &q, DistributionLoss::KlReverse) >= -1e-12);
        let js = loss(z.clone(), &q, DistributionLoss::JensenShannon);
        let p: Vec<f64> = kernels::softmax(logits(z)).as_vec();
        prop_assert!(js <= 2.0_f64.ln() && close(loss(log_q, &p, DistributionLoss::JensenShannon), js, 1e-10));
    }

    #[test]
    fn laws_of_activations(a in -12.0_f64..12.0, b in -12.0_f64..12.0) {
        let value = |kind: ActivationKind, x: f64| activate(Cpu::default().tensor([x]), kind).array()[0];
        for (kind, steepest, rises) in [
            (ActivationKind::Sigmoid, 0.25, true), (ActivationKind::Tanh, 1.0, true), (ActivationKind::Relu, 1.0, true),
            (ActivationKind::Gelu, 1.129, false), (ActivationKind::Silu, 1.0999, false),
            (ActivationKind::Softplus, 1.0, true), (ActivationKind::Softsign, 1.0, true),
            (ActivationKind::Elu(1.0), 1.0, true), (ActivationKind::Mish, 1.0885, false),
        ] {
            let (fa, fb) = (value(kind, a), value(kind, b));
            prop_assert!((fa - fb).abs() <= steepest * (a - b).abs() + 1e-12, "{kind:?}");
            if rises {
                prop_assert!((fa - fb) * (a - b) >= 0.0, "{kind:?}");
            }
        }
        prop_assert!((value(ActivationKind::Tanh, a) - (2.0 * value(ActivationKind::Sigmoid, 2.0 * a) - 1.0)).abs() < 1e-12);
        prop_assert!((value(ActivationKind::Sigmoid, a) + value(ActivationKind::Sigmoid, -a) - 1.0).abs() < 1e-12);
        prop_assert!((value(ActivationKind::Gelu, a) - value(ActivationKind::Gelu, -a) - a).abs() < 1e-11);
    }
}

#[test]
fn bad_values_are_refused() {
    let hyper = |error: Error| matches!(error, Error::InvalidHyper { .. });
    assert!(hyper(moments(kernels::Relu, -1.0).unwrap_err()));
    assert!(hyper(moments(kernels::Relu, f64::NAN).unwrap_err()));
    let field = MeanField { activation: kernels::Relu, weight_variance: f64::INFINITY, bias_variance: 0.0 };
    assert!(hyper(field.q_map(1.0).unwrap_err()));
    assert!(hyper(Neuron { weight: 0.0, bias: 0.0 }.train(Cost::Quadratic, 0.0, 1).unwrap_err()));
    let dev = Cpu::default();
    let nan = Chain::<f32, Cpu>::new(&dev, &[2, 2], kernels::Relu, |_, _| f64::NAN, Key::new(0));
    assert!(hyper(nan.unwrap_err()));
    assert!(he(8, 1) == 0.5);
}

/// Uniform among the orthogonal matrices (Haar): every entry has the mean 0 and the mean square 1/n.
#[test]
fn orthogonal_starts_prefer_no_sign() {
    let (n, draws) = (3, 600_u32);
    let mut sums = vec![[0.0_f64; 2]; n * n];
    for draw in 0..draws {
        let q = optim::init::orthogonal(n, n, 1.0, Key::new(u64::from(draw)));
        for (sum, q) in sums.iter_mut().zip(q.iter()) {
            *sum = [sum[0] + q, sum[1] + q * q];
        }
    }
    let count = f64::from(draws);
    for [first, second] in sums {
        assert!((first / count).abs() < 4.5 / (3.0 * count).sqrt(), "mean {}", first / count);
        assert!((second / count - 1.0 / 3.0).abs() < 0.06, "mean square {}", second / count);
    }
}
