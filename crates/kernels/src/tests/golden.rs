//! Values from PyTorch and from 60-digit arithmetic, beside their generators in `tests/golden`.
use crate::ActivationKind as K;
use crate::{
    AbsoluteError, Activation, ActivationKind, BceWithLogits, ClassLoss, Classes, DistributionLoss, Focal,
    Hinge, Huber, KlDiv, LogCosh, PoissonNll, Quantile, SmoothL1, SquaredError, SquaredHinge, activate,
    activation_slope, bce_with_logits_mean, class_loss_mean, cosine_embedding_per_sample, cross_entropy_mean,
    distribution_loss_mean, gaussian_nll_mean, log_softmax, loss_mean, loss_sum, mean_all, mse_mean,
};
use dfdx::prelude::*;
use serde_json::Value;

fn open(json: &str) -> Value {
    serde_json::from_str(json).expect("a generator wrote it")
}

/// All numbers of a nested array, in order.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}

/// The files hold 14 digits of inputs and results. Measured 1.6e-13; PyTorch's own second derivative of SiLU at 30
/// is off by 2.7e-15, a thousandth of its value, so small numbers are compared with 0.1.
#[track_caller]
fn assert_close(got: &[f64], want: &[f64], what: &str) {
    assert_near(got, want, 0.0, what);
}

/// With an absolute error beside the relative one.
#[track_caller]
fn assert_near(got: &[f64], want: &[f64], absolute: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let bound = 1e-12 * want.abs().max(0.1) + absolute;
        assert!((got - want).abs() <= bound, "{what} [{i}]: {got} instead of {want}");
    }
}

#[test]
fn activations_agree_with_pytorch() {
    let file = open(include_str!("../../tests/golden/activations.json"));
    let xs = numbers(&file["x"]);
    let device = Cpu::default();
    let x = device.tensor_from_vec(xs.clone(), (xs.len(),));
    fn row(file: &Value, x: &Tensor<(usize,), f64, Cpu>, name: &str, activation: impl Activation) {
        let run = &file["runs"][name];
        let y = activate(x.leaky_trace(), activation);
        assert_close(&y.as_vec(), &numbers(&run["y"]), name);
        let dy = y.sum::<(), _>().backward().get(x).as_vec();
        // PyTorch's slope of the hard sigmoid is the f32 nearest to 1/6, and its softplus is the identity above 20.
        let off = if name == "hardsigmoid" { 5e-9 } else { 0.0 };
        assert_near(&dy, &numbers(&run["dy"]), off, &format!("{name}'"));
        let slope = activation_slope(x.leaky_trace(), activation);
        assert_near(&slope.as_vec(), &numbers(&run["dy"]), off, &format!("slope of {name}"));
        let d2y = slope.sum::<(), _>().backward().get(x).as_vec();
        assert_close(&d2y, &numbers(&run["d2y"]), &format!("{name}''"));
    }
    let runs: &[(&str, ActivationKind)] = &[
        ("sigmoid", K::Sigmoid),
        ("tanh", K::Tanh),
        ("relu", K::Relu),
        ("leaky_relu_0_01", K::LeakyRelu(0.01)),
        ("prelu_0_25", K::LeakyRelu(0.25)),
        ("elu_1", K::Elu(1.0)),
        ("celu_2", K::Celu(2.0)),
        ("selu", K::Selu),
        ("gelu_erf", K::Gelu),
        ("gelu_tanh", K::GeluTanh),
        ("silu", K::Silu),
        ("mish", K::Mish),
        ("softplus", K::Softplus),
        ("softplus_beta2", K::SoftplusBeta(2.0)),
        ("softsign", K::Softsign),
        ("hardtanh", K::HardTanh),
        ("hardsigmoid", K::HardSigmoid),
        ("hardswish", K::HardSwish),
        ("relu6", K::Relu6),
        ("logsigmoid", K::LogSigmoid),
        ("squareplus", K::Squareplus(4.0)),
        ("lecun_tanh", K::LecunTanh),
        ("relu_squared", K::ReluSquared),
    ];
    for &(name, kind) in runs {
        row(&file, &x, name, kind);
    }
    assert_eq!(runs.len(), file["runs"].as_object().expect("runs by name").len(), "every run is compared");
}

#[test]
fn losses_agree_with_pytorch() {
    let file = open(include_str!("../../tests/golden/losses.json"));
    let device = Cpu::default();
    let matrix = |key: &str| -> Tensor<Rank2<4, 5>, f64, _> {
        device.tensor_from_vec(numbers(&file[key]), Default::default())
    };
    let labels: Vec<usize> = numbers(&file["labels"]).iter().map(|&label| label as usize).collect();
    let logits = matrix("logits");
    let traced = || logits.leaky_trace();
    let (real, binary, soft) =
        (|| matrix("real_targets"), || matrix("binary_targets"), matrix("soft_targets"));
    let signs = || binary() * 2.0 - 1.0;
    let onehot = || -> Tensor<Rank2<4, 5>, f64, _> {
        let all = labels.iter().flat_map(|&label| (0..5).map(move |k| if k == label { 1.0 } else { 0.0 }));
        device.tensor_from_vec(all.collect(), Default::default())
    };
    let class = |loss| class_loss_mean(traced(), &labels, loss, Classes::default());
    let spread: Vec<f64> = (0..5).map(|k| 0.5 + 0.25 * f64::from(k)).collect();
    let weighted = Classes { weights: &spread, ignored: None };
    let plain = ClassLoss::CrossEntropy { label_smoothing: 0.0 };
    let log_p = || log_softmax(traced());
    let runs = [
        ("nielsen_quadratic", loss_sum(activate(traced(), K::Sigmoid), onehot(), SquaredError) / 8.0),
        ("nielsen_cross_entropy", loss_sum(traced(), onehot(), BceWithLogits::default()) / 4.0),
        ("mse", mse_mean(traced(), real())),
        ("mse", loss_mean(traced(), real(), SquaredError)),
        ("mae", loss_mean(traced(), real(), AbsoluteError)),
        ("huber_delta_0.7", loss_mean(traced(), real(), Huber(0.7))),
        ("smooth_l1_beta_0.7", loss_mean(traced(), real(), SmoothL1(0.7))),
        ("log_cosh", loss_mean(traced(), real(), LogCosh)),
        ("cross_entropy", cross_entropy_mean(traced(), &labels)),
        ("cross_entropy", class(plain)),
        (
            "cross_entropy_soft_targets",
            distribution_loss_mean(traced(), &soft, DistributionLoss::CrossEntropy),
        ),
        ("label_smoothing_0.1", class(ClassLoss::CrossEntropy { label_smoothing: 0.1 })),
        ("cross_entropy_class_weights", class_loss_mean(traced(), &labels, plain, weighted)),
        ("nll_of_log_softmax", class_loss_mean(log_p(), &labels, ClassLoss::Nll, Classes::default())),
        ("bce_with_logits", bce_with_logits_mean(traced(), &binary())),
        ("bce_with_logits", loss_mean(traced(), binary(), BceWithLogits::default())),
        ("focal_gamma2_alpha0.25", loss_mean(traced(), binary(), Focal::default())),
        ("focal_multiclass_gamma2", class(ClassLoss::Focal { gamma: 2.0 })),
        ("hinge", loss_mean(traced(), signs(), Hinge)),
        ("squared_hinge", loss_mean(traced(), signs(), SquaredHinge)),
        ("multi_margin", class(ClassLoss::MultiMargin { margin: 1.0 })),
        ("kl_forward", distribution_loss_mean(traced(), &soft, DistributionLoss::KlForward)),
        ("kl_forward", loss_sum(log_p(), soft.clone(), KlDiv) / 4.0),
        ("kl_reverse", distribution_loss_mean(traced(), &soft, DistributionLoss::KlReverse)),
        ("js", distribution_loss_mean(traced(), &soft, DistributionLoss::JensenShannon)),
        ("confidence_penalty_0.1", class(ClassLoss::ConfidencePenalty { beta: 0.1 })),
        ("gaussian_nll", gaussian_nll_mean(traced(), activate(soft.clone(), K::Ln), &real())),
        ("poisson_nll", loss_mean(traced(), binary(), PoissonNll)),
        ("quantile_0.9", loss_mean(traced(), real(), Quantile(0.9))),
        ("cosine_embedding", mean_all(cosine_embedding_per_sample(traced(), real()))),
        ("generalised_ce_q0.7", class(ClassLoss::GeneralisedCrossEntropy { q: 0.7 })),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (name, loss) in runs {
        seen.insert(name);
        let run = &file["runs"][name];
        // The inputs have 14 digits; 10 of the results are asked for, and 12 agree.
        assert_near(&[loss.array()], &numbers(&run["value"]), 1e-12, name);
        let gradient = loss.backward().get(&logits).as_vec();
        assert_near(&gradient, &numbers(&run["grad"]), 1e-12, &format!("gradient of {name}"));
    }
    assert_eq!(seen.len(), file["runs"].as_object().expect("runs by name").len(), "every run is compared");
}

#[test]
fn extreme_logits_give_finite_losses_and_gradients() {
    let file = open(include_str!("../../tests/golden/losses.json"));
    let extreme = &file["extreme"];
    let device = Cpu::default();
    let logits: Tensor<Rank2<2, 3>, f64, _> =
        device.tensor_from_vec(numbers(&extreme["logits"]), Default::default());
    let labels: Vec<usize> = numbers(&extreme["labels"]).iter().map(|&label| label as usize).collect();
    for (name, loss) in [
        ("cross_entropy", cross_entropy_mean(logits.leaky_trace(), &labels)),
        ("bce_with_logits_target0", bce_with_logits_mean(logits.leaky_trace(), &device.zeros_like(&logits))),
    ] {
        assert_close(&[loss.array()], &numbers(&extreme[name]), name);
        let gradient = loss.backward().get(&logits).as_vec();
        assert!(gradient.iter().all(|g| g.is_finite()), "{name}: {gradient:?}");
    }
    // Every activation, value and gradient, far out and near 0, in f32.
    let x = device.tensor([-1e4_f32, -100.0, -1e-40, -0.0, 0.0, 1e-40, 100.0, 1e4]);
    fn finite(x: &Tensor<Rank1<8>, f32, Cpu>, activation: impl Activation) {
        let y = activate(x.leaky_trace(), activation);
        let slope = activation_slope(x.leaky_trace(), activation);
        for z in [y, slope] {
            let values = z.array();
            let gradient = z.sum::<(), _>().backward().get(x).array();
            assert!(
                values.iter().chain(&gradient).all(|z| z.is_finite()),
                "{activation:?}: {values:?} {gradient:?}"
            );
        }
    }
    use crate::tests::core::{KINDS, MORE_KINDS};
    for kind in KINDS.into_iter().chain(MORE_KINDS) {
        // Those that overflow or have a pole there.
        if !matches!(kind, K::Exp | K::Expm1 | K::Ln | K::Ln1p | K::Sqrt | K::Power(_)) {
            finite(&x, kind);
        }
    }
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let logits: Tensor<Rank2<2, 3>, f32, _> = Cpu::default().zeros();
    let count = crate::try_cross_entropy_mean(logits.clone(), &[0]).unwrap_err();
    assert!(matches!(count, crate::Error::LabelCount { labels: 1, rows: 2 }), "{count}");
    let range = crate::try_cross_entropy_mean(logits, &[0, 3]).unwrap_err();
    assert!(matches!(range, crate::Error::LabelOutOfRange { index: 1, label: 3, classes: 3 }), "{range}");
}
