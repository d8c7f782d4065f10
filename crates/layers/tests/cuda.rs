//! Training on a GPU: the same models from the same weights on `Cuda` and on `Cpu`, step by step.
//!
//! A program of its own, because what is linked with CUDA starts only where CUDA is; `cargo xtask gpu-pack` packs it.
use dfdx::optim::Sgd as DfdxSgd;
use kernels::Real;
use kernels::random::Key;
use layers::dropout::reseed;
use layers::init::{self, Init, gain};
use layers::losses::cross_entropy_mean;
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
    ($Device:ty, $Net:ty, $E:ty, $Input:ty, $Optimizer:ident, $config:expr) => {{
        let device = <$Device>::default();
        let mut model = device.build_module::<$Net, $E>();
        init::draw(&mut model, start, Key::new(1)).expect("weights reach the device");
        reseed(&mut model, Key::new(2)).expect("keys are on the host");
        let x: Tensor<$Input, $E, _> = Key::new(3).normal(&device, Default::default());
        let labels: Vec<usize> = (0..x.shape().concrete()[0]).map(|i| i * 7 % CLASSES).collect();
        let mut optimizer = training!(@optimizer $Optimizer, &model, $config);
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
    ($Net:ty, $E:ty, $Input:ty, $Optimizer:ident, $config:expr, $tolerance:expr) => {{
        let (on_cpu, weights_cpu) = training!(Cpu, $Net, $E, $Input, $Optimizer, $config);
        let (on_cuda, weights_cuda) = training!(Cuda, $Net, $E, $Input, $Optimizer, $config);
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
