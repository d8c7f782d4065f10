//! Training on a GPU: the same models from the same weights on `Cuda` and on `Cpu`, step by step.
//!
//! A program of its own, because what is linked with CUDA starts only where CUDA is; `cargo xtask gpu-pack` packs it.
use dfdx::optim::Sgd as DfdxSgd;
use kernels::Real;
use kernels::random::Key;
use layers::StepError;
use layers::dropout::reseed;
use layers::init::{self, Init, gain};
use layers::losses::cross_entropy_mean;
use layers::optimizer::{Average, Clip, Group, NonFinite};
use layers::params::{self, Parameter};
use layers::prelude::*;

const STEPS: usize = 20;
const CLASSES: usize = 5;

/// Any fixed start will do; vectors are biases and the factors of normalisations.
fn start(parameter: &Parameter) -> Init {
    match parameter.ndim() {
        1 => Init::Constant(0.5),
        _ => Init::glorot_uniform(parameter, gain::TANH),
    }
}

/// The loss before each step on one device, and the weights after the last.
macro_rules! training {
    ($Device:ty, $Net:ty, $E:ty, $Input:ty, $Optimizer:ident, $config:expr, [$($option:tt)*]) => {{
        let device = <$Device>::default();
        let mut model = device.build_module::<$Net, $E>();
        init::draw(&mut model, start, Key::new(1)).expect("weights reach the device");
        reseed(&mut model, Key::new(2)).expect("keys are on the host");
        let x: Tensor<$Input, $E, _> = Key::new(3).normal(&device, Default::default());
        let labels: Vec<usize> = (0..x.shape().concrete()[0]).map(|i| i * 7 % CLASSES).collect();
        let mut optimizer = training!(@optimizer $Optimizer, &model, $config) $($option)*;
        let mut losses = Vec::new();
        for _ in 0..STEPS {
            let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
            losses.push(loss.array().as_f64());
            optimizer.step(&mut model, &mut loss.backward()).expect("a step");
        }
        let weights: Vec<f64> = params::flatten(&model).into_iter().map(Real::as_f64).collect();
        (losses, weights)
    }};
    (@optimizer DfdxSgd, $model:expr, $config:expr) => { DfdxSgd::new($model, $config) };
    (@optimizer $Optimizer:ident, $model:expr, $config:expr) => {
        $Optimizer::try_new($model, $config).expect("a legal configuration")
    };
}

/// Both devices, and how far they may be apart at the end.
macro_rules! agrees {
    ($Net:ty, $E:ty, $Input:ty, $Optimizer:ident, $config:expr, $tolerance:expr) => {
        agrees!($Net, $E, $Input, $Optimizer, $config, $tolerance, [])
    };
    ($Net:ty, $E:ty, $Input:ty, $Optimizer:ident, $config:expr, $tolerance:expr, $options:tt) => {{
        let (on_cpu, weights_cpu) = training!(Cpu, $Net, $E, $Input, $Optimizer, $config, $options);
        let (on_cuda, weights_cuda) = training!(Cuda, $Net, $E, $Input, $Optimizer, $config, $options);
        assert_close(&on_cuda, &on_cpu, &weights_cuda, &weights_cpu, $tolerance)
    }};
}

fn assert_close(losses: &[f64], want: &[f64], weights: &[f64], want_weights: &[f64], tolerance: f64) {
    let apart = |a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len());
        let largest = b.iter().fold(0.0_f64, |largest, b| largest.max(b.abs()));
        // Not `max`, which forgets NaN.
        let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs() / largest);
        worst.fold(0.0, |worst, off| if off > worst || off.is_nan() { off } else { worst })
    };
    let first = (losses[0] - want[0]).abs() / want[0].abs();
    let (losses_off, weights_off) = (apart(losses, want), apart(weights, want_weights));
    println!(
        "measured\tlosses {:.4} to {:.4}\tfirst {first:.1e}\tall {losses_off:.1e}\tweights {weights_off:.1e}",
        want[0],
        want[STEPS - 1]
    );
    assert!(want[STEPS - 1] < 0.9 * want[0], "the model learns: {want:?}");
    assert!(losses_off <= tolerance, "losses\n{losses:?} instead of\n{want:?}");
    assert!(weights_off <= tolerance, "weights differ by {weights_off:e} of the largest");
}

type Perceptron = (Linear<20, 32, Tanh>, Linear<32, CLASSES>);

fn heavy_ball() -> SgdConfig {
    SgdConfig { learning_rate: 0.1, momentum: Momentum::HeavyBall(0.9), ..Default::default() }
}

fn adam() -> AdamConfig {
    AdamConfig { learning_rate: 2e-3, ..Default::default() }
}

#[test]
fn a_perceptron_in_double_precision() {
    agrees!(Perceptron, f64, Rank2<33, 20>, Sgd, heavy_ball(), 1e-11);
}

#[test]
fn a_perceptron_in_single_precision() {
    agrees!(Perceptron, f32, Rank2<33, 20>, Sgd, heavy_ball(), 1e-4);
}

/// dfdx's own optimiser, whose step stays on the device.
#[test]
fn a_perceptron_by_the_optimiser_of_dfdx() {
    let config = dfdx::optim::SgdConfig { lr: 0.1, ..Default::default() };
    agrees!(Perceptron, f32, Rank2<33, 20>, DfdxSgd, config, 1e-4);
}

type LeNet = (
    (Conv2D<1, 6, 5, 1, 2, 1, Tanh>, MaxPool2D<2, 2>),
    (Conv2D<6, 16, 5, 1, 0, 1, Tanh>, AvgPool2D<2, 2>),
    Flatten,
    Linear<400, 84, Relu>,
    Linear<84, CLASSES>,
);

#[test]
fn lenet_by_adam() {
    agrees!(LeNet, f32, Rank4<8, 1, 28, 28>, Adam, adam(), 1e-3);
}

type Normalised = (
    UnbiasedConv2D<3, 8, 3, 2, 1>,
    BatchNorm2D<8, Relu>,
    Residual<(GroupedConv2D<8, 8, 3, 8, 1, 1>, GroupNorm<8, 4>, Silu)>,
    GlobalAvgPool,
    Linear<8, CLASSES>,
);

#[test]
fn normalised_convolutions_by_momentum() {
    agrees!(Normalised, f32, Rank4<16, 3, 12, 12>, Sgd, heavy_ball(), 1e-3);
}

type Regularised = (Linear<20, 64>, LayerNorm1D<64>, Gelu, Dropout, Linear<64, CLASSES>);

#[test]
fn layer_normalisation_and_dropout_by_adam() {
    agrees!(Regularised, f32, Rank2<33, 20>, Adam, adam(), 1e-3);
}

/// The norms of all gradients, a group of its own, decoupled decay.
#[test]
fn adamw_with_clipping_and_groups() {
    let config = AdamWConfig { learning_rate: 2e-2, weight_decay: 0.1, ..Default::default() };
    agrees!(Perceptron, f64, Rank2<33, 20>, AdamW, config, 1e-10, [
        .clip(Clip::GlobalNorm(0.5)).expect("a bound")
        .group(|p| p.ndim() < 2, Group { weight_decay: Some(0.0), learning_rate_scale: 0.5, ..Default::default() })
        .expect("biases")
    ]);
}

#[test]
fn rmsprop_with_everything() {
    let config = RmsPropConfig {
        learning_rate: 2e-3,
        momentum: 0.5,
        is_centred: true,
        weight_decay: 0.01,
        ..Default::default()
    };
    agrees!(Perceptron, f64, Rank2<33, 20>, RmsProp, config, 1e-9, [.clip(Clip::Value(0.05)).expect("a bound")]);
}

#[test]
fn nesterov_with_clipping_of_each_tensor() {
    let config = SgdConfig { learning_rate: 0.2, momentum: Momentum::Nesterov(0.9), weight_decay: 0.01 };
    agrees!(Perceptron, f32, Rank2<33, 20>, Sgd, config, 1e-4, [.clip(Clip::Norm(0.3)).expect("a bound")]);
}

/// An average is kept in the memory of the host, and the steps go there with it.
#[test]
fn an_average_takes_the_steps_to_the_host() {
    let option = Average::Exponential { decay: 0.9 };
    agrees!(Perceptron, f64, Rank2<33, 20>, Adam, adam(), 1e-10, [.average(option).expect("a decay")]);
}

/// A state goes from the device to the host and back, and the run goes on with the same bits.
#[test]
fn a_state_is_saved_from_the_device() {
    let device = Cuda::default();
    let mut model = device.build_module::<Perceptron, f32>();
    init::draw(&mut model, start, Key::new(1)).expect("weights reach the device");
    let x: Tensor<Rank2<33, 20>, f32, _> = Key::new(3).normal(&device, Default::default());
    let labels: Vec<usize> = (0..33).map(|i| i * 7 % CLASSES).collect();
    let mut optimizer = Adam::try_new(&model, adam()).expect("a legal configuration");
    assert!(optimizer.slot("mean", "0.weight").is_some());
    let mut slopes = cross_entropy_mean(model.forward(x.leaky_trace()), &labels).backward();
    optimizer.step(&mut model, &mut slopes).expect("a step");
    assert!(optimizer.slot("mean", "0.weight").is_none(), "it is on the device");
    let state = optimizer.state().expect("the device gives it back");
    assert!(state.slots.iter().all(|slot| slot.values.iter().any(|&value| value != 0.0)), "{state:?}");
    let mut twin = model.clone();
    let mut resumed = Adam::try_new(&twin, adam()).expect("as above");
    resumed.load_state(&state).expect("of the same optimiser");
    // A clone has the tensors' ids, so these are the gradients of both.
    let mut slopes = cross_entropy_mean(model.forward(x.leaky_trace()), &labels).backward();
    optimizer.step(&mut model, &mut slopes.clone()).expect("a step");
    resumed.step(&mut twin, &mut slopes).expect("a step");
    assert_eq!(params::flatten(&model), params::flatten(&twin));
    assert_eq!(optimizer.state().expect("as above"), resumed.state().expect("as above"));
}

#[test]
fn a_gradient_that_is_not_finite_is_refused_on_the_device() {
    let device = Cuda::default();
    let mut model: Tensor<Rank1<3>, f32, _> = device.tensor([1.0, 2.0, 3.0]);
    let mut optimizer = Adam::try_new(&model, adam()).expect("a legal configuration");
    let mut slopes = (model.leaky_trace() * f32::INFINITY).sum::<Rank0, _>().backward();
    let error = optimizer.step(&mut model, &mut slopes).expect_err("it is infinite");
    assert!(matches!(error, StepError::NotFinite { step: 1, .. }), "{error}");
    assert_eq!((model.array(), optimizer.steps()), ([1.0, 2.0, 3.0], 0));
    let mut lenient = Adam::try_new(&model, adam()).expect("as above").non_finite(NonFinite::Skip);
    assert!(lenient.step(&mut model, &mut slopes).expect("it is left out").is_skipped);
    assert_eq!((model.array(), lenient.steps()), ([1.0, 2.0, 3.0], 0));
}
