//! Convolutions as modules: values by their definition, tangents, gradients, directions of weights, files.
use crate::pooling::is_exact_to;
use layers::convolution::{Groups, Steps, Unbiased};
use layers::prelude::*;
use layers::testing::gradient_check;
use layers::{Along, Dual, assert_close, load, params, save, summary};

type Images = Tensor<Rank4<2, 4, 6, 5>, f64, Cpu>;
/// Different steps along both axes, two groups, no bias.
type Odd = RectConv2D<4, 6, 3, 2, Steps<2, 1>, Steps<1, 0, 2>, Identity, Unbiased, Groups<2>>;

#[test]
fn convolutions_are_exact() {
    let dev = Cpu::seed_from_u64(1);
    let images = || -> Images { dev.sample_normal() };
    is_exact_to(1e-6, &dev.build_module::<Conv2D<4, 3, 3, 2, 1, 1, Tanh>, f64>(), images);
    is_exact_to(1e-6, &dev.build_module::<Odd, f64>(), images);
    is_exact_to(1e-6, &dev.build_module::<ConvTranspose2D<4, 3, 3, 2, 1, 1, 1, Sigmoid>, f64>(), images);
    is_exact_to(1e-6, &dev.build_module::<GroupedConvTranspose2D<4, 2, 3, 2, 2, 1, 1, 1>, f64>(), images);
    is_exact_to(1e-6, &Flatten, images);
}

/// The sum of the definition, tap by tap, on the grid that `Odd` and `Conv2D<4, 6, 3, 1, 1>` share.
#[test]
fn values_are_those_of_the_definition() {
    let dev = Cpu::seed_from_u64(2);
    let x: Images = dev.sample_normal();
    let same = dev.build_module::<Conv2D<4, 6, 3, 1, 1>, f64>();
    let odd = dev.build_module::<Odd, f64>();
    let y: Tensor<Rank4<2, 6, 6, 5>, f64, _> = same.forward(x.clone());
    let z: Tensor<Rank4<2, 6, 3, 3>, f64, _> = odd.forward(x.clone());
    let (pixels, x) = (x.array(), |n: usize, c: usize, i: i64, j: i64, pixels: &[[[[f64; 5]; 6]; 4]; 2]| {
        let inside = (0..6).contains(&i) && (0..5).contains(&j);
        if inside { pixels[n][c][i as usize][j as usize] } else { 0.0 }
    });
    let (mut full, mut halves) = (vec![], vec![]);
    for n in 0..2 {
        for o in 0..6 {
            for (i, j) in (0..6).flat_map(|i| (0..5).map(move |j| (i, j))) {
                let mut sum = same.bias.array()[o];
                for (c, u, v) in taps(4, 3, 3) {
                    let (at, across) = (i + u as i64 - 1, j + v as i64 - 1);
                    sum += same.weight.array()[o][c][u][v] * x(n, c, at, across, &pixels);
                }
                full.push(sum);
            }
            for (i, j) in (0..3).flat_map(|i| (0..3).map(move |j| (i, j))) {
                let weight = odd.weight.array();
                let term = |(c, u, v): (usize, usize, usize)| {
                    let (at, across) = (2 * i + u as i64 - 1, j + 2 * v as i64);
                    weight[o][c][u][v] * x(n, o / 3 * 2 + c, at, across, &pixels)
                };
                halves.push(taps(2, 3, 2).map(term).sum::<f64>());
            }
        }
    }
    assert_close!(y.as_vec(), full, 1e-12, 1e-13);
    assert_close!(z.as_vec(), halves, 1e-12, 1e-13);
}

fn taps(channels: usize, rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..channels * rows * cols).map(move |at| (at / (rows * cols), at / cols % rows, at % cols))
}

/// The derivative along a direction in weight space, and the gradients of a loss of it.
#[test]
fn weights_move_along_a_direction() {
    const H: f64 = 6e-6;
    type Net = (Conv2D<4, 3, 3, 2, 1, 1, Tanh>, ConvTranspose2D<3, 2, 2, 2>, Flatten, Linear<120, 2>);
    let dev = Cpu::seed_from_u64(3);
    let (net, direction) = (dev.build_module::<Net, f64>(), dev.build_module::<Net, f64>());
    let x: Tensor<Rank4<2, 4, 6, 9>, f64, _> = dev.sample_normal();
    let (w, dw) = (params::flatten(&net), params::flatten(&direction));
    let at = |h: f64| {
        let mut net = net.clone();
        let weights: Vec<f64> = w.iter().zip(&dw).map(|(w, dw)| w + h * dw).collect();
        params::unflatten(&mut net, &weights).unwrap();
        net.forward(x.clone())
    };
    let tangent = net.along(&direction, Dual::constant(x.leaky_trace())).tangent();
    assert_close!(tangent, (at(H) - at(-H)) / (2.0 * H), 1e-8, 1e-9);
    gradient_check(&(net, x), |(net, x)| {
        net.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean()
    })
    .assert(1e-7);
}

#[test]
fn names_start_and_files() {
    type Net = (Conv2D<1, 6, 5, 1, 0, 1, Tanh>, UnbiasedConv2D<6, 8, 3>, ConvTranspose2D<8, 2, 2, 2>);
    let dev = Cpu::seed_from_u64(4);
    let mut net = dev.build_module::<Net, f32>();
    assert_eq!(params::names(&net), ["0.weight", "0.bias", "1.weight", "2.weight", "2.bias"]);
    assert!(summary(&net).to_string().contains("1.weight  (8, 6, 3, 3)       432"));
    let largest = |values: Vec<f32>| values.into_iter().fold(0.0, |a: f32, v| a.max(v.abs()));
    for (values, fan_in) in [
        (net.0.weight.as_vec(), 25.0_f32),
        (net.0.bias.as_vec(), 25.0),
        (net.1.weight.as_vec(), 54.0),
        (net.2.weight.as_vec(), 8.0), // PyTorch takes the elements of a row: O K K
    ] {
        let ratio = largest(values) * fan_in.sqrt();
        assert!((0.5..=1.0).contains(&ratio), "{ratio} of the bound for fan in {fan_in}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    save(&net, &path).unwrap();
    let before = params::flatten(&net);
    net.reset_params();
    assert_ne!(params::flatten(&net), before);
    load(&mut net, &path).unwrap();
    assert_eq!(params::flatten(&net), before);
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("0.weight").unwrap().shape(), [6, 1, 5, 5]);
}

/// The discriminators' convolution: divided by the largest singular value of `(O, I K K)`.
#[test]
fn a_weight_can_be_normalised() {
    let dev = Cpu::seed_from_u64(6);
    let mut layer = dev.build_module::<WeightNorm<Conv2D<4, 3, 3>, 3>, f64>();
    layer.keep_lengths().unwrap();
    let x: Images = dev.sample_normal();
    assert_close!(layer.forward(x.clone()), layer.module.forward(x), 1e-13);
    let mut layer = dev.build_module::<SpectralNorm<Conv2D<4, 3, 3>, 3>, f64>();
    let x: Images = dev.sample_normal();
    (0..50).for_each(|_| drop(layer.forward_mut(x.clone())));
    layer.module.bias = dev.zeros();
    let weight = layer.module.weight.clone();
    let ratio = layer.module.forward(x.clone()) / layer.forward(x);
    let sigma = ratio.array()[0][0][0][0];
    let norm = weight.square().sum::<Rank0, _>().sqrt().array();
    assert!(norm / 3.0_f64.sqrt() <= sigma && sigma <= norm, "{sigma} against {norm}");
}

#[test]
fn the_gradient_of_the_data_can_be_skipped() {
    let dev = Cpu::seed_from_u64(5);
    let mut layer = dev.build_module::<Conv2D<4, 3, 3>, f64>();
    let x: Images = dev.sample_normal();
    let gradients = |layer: &modules::Conv2D<4, 3, 3, f64, Cpu>| {
        let mut gradients = layer.forward(x.leaky_trace()).square().sum().backward();
        gradients.try_alloc_for(&x).unwrap(); // zeros where nothing arrived
        (gradients.get(&layer.weight).as_vec(), gradients.get(&x).as_vec())
    };
    let (weight, input) = gradients(&layer);
    layer.input_gradient = kernels::InputGradient::Skipped;
    let (same, none) = gradients(&layer);
    assert_eq!(weight, same);
    assert!(input.iter().any(|g| *g != 0.0) && none.iter().all(|g| *g == 0.0));
}

/// Images of a size known at run time, and one that is too small.
#[test]
#[should_panic(expected = "a window that spans 5 positions does not fit an axis of 4")]
fn run_time_sizes() {
    let dev = Cpu::default();
    let layer = dev.build_module::<Conv2D<1, 2, 5>, f32>();
    let image: Tensor<(usize, Const<1>, usize, usize), f32, _> = dev.zeros_like(&(3, Const, 9, 7));
    assert_eq!(*layer.forward(image).shape(), (3, Const::<2>, 5, 3));
    layer.forward(dev.zeros_like(&(3, Const::<1>, 4, 9)));
}
