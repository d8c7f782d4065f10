//! Laws of the operators that the networks are made of, beyond the reference values that `kernels` compares.
use convnets::wide::{AnyChannels, Channels};
use kernels::loss::{ClassLoss, Classes, DistributionLoss};
use kernels::pooling::Floor;
use kernels::{CountPadding, LocalResponse};
use layers::assert_close;
use layers::prelude::*;
use layers::testing::Golden;

type Maps<const C: usize> = Tensor<(usize, Const<C>, usize, usize), f64, Cpu>;

fn maps<const C: usize>(dev: &Cpu, n: usize, rows: usize, cols: usize) -> Maps<C> {
    dev.sample_like(&(n, Const, rows, cols), rand_distr::StandardNormal)
}

/// A convolution is a matrix with the same few weights along its diagonals: the block Toeplitz matrix written down by
/// hand against the images of unit pixels.
#[test]
fn a_convolution_is_a_toeplitz_matrix() {
    const SIDE: usize = 5;
    let dev = Cpu::seed_from_u64(1);
    let layer = dev.build_module::<Conv2D<1, 1, 3, 1, 1>, f64>();
    let (weight, bias) = (layer.weight.as_vec(), layer.bias.as_vec()[0]);
    let mut image = dev.zeros_like(&(1, Const::<1>, SIDE, SIDE));
    let mut unit = vec![0.0; SIDE * SIDE];
    for pixel in 0..SIDE * SIDE {
        unit.fill(0.0);
        unit[pixel] = 1.0;
        image.copy_from(&unit);
        let column: Vec<f64> = layer.forward(image.clone()).as_vec().iter().map(|y| y - bias).collect();
        let entry = |output: usize| {
            // Output (i, j) sees pixel (r, c) through the weight (r - i + 1, c - j + 1).
            let (u, v) = (pixel / SIDE + 1, pixel % SIDE + 1);
            match (u.checked_sub(output / SIDE), v.checked_sub(output % SIDE)) {
                (Some(u @ 0..3), Some(v @ 0..3)) => weight[u * 3 + v],
                _ => 0.0,
            }
        };
        assert_close!(column, (0..SIDE * SIDE).map(entry).collect::<Vec<_>>(), 1e-13, 1e-13, "pixel {pixel}");
    }
}

/// An image moved by the stride gives maps moved by one.
#[test]
fn a_convolution_moves_with_its_image() {
    let dev = Cpu::seed_from_u64(2);
    let layer = dev.build_module::<Conv2D<2, 3, 3, 2, 0, 1, Relu>, f64>();
    let x = maps::<2>(&dev, 1, 13, 11);
    let mut moved = x.clone();
    let pixels = x.as_vec();
    // Two rows down and two columns to the right; what is new at the top and the left is 0.
    let source = |i: usize| {
        let (plane, row, col) = (i / 143, i / 11 % 13, i % 11);
        if row < 2 || col < 2 { 0.0 } else { pixels[plane * 143 + (row - 2) * 11 + col - 2] }
    };
    moved.copy_from(&(0..286).map(source).collect::<Vec<_>>());
    let (before, after) = (layer.forward(x).as_vec(), layer.forward(moved).as_vec());
    for (channel, row, col) in (0..3).flat_map(|c| (1..6).flat_map(move |r| (1..5).map(move |k| (c, r, k)))) {
        let (now, then) =
            (after[(channel * 6 + row) * 5 + col], before[(channel * 6 + row - 1) * 5 + col - 1]);
        assert_close!(now, then, 1e-13, 1e-13, "channel {channel}, row {row}, column {col}");
    }
}

/// Pooling hands on exactly the gradient that it gets, whatever the padding.
#[test]
fn pooling_keeps_the_mass_of_the_gradient() {
    let dev = Cpu::seed_from_u64(3);
    let x = maps::<2>(&dev, 2, 7, 6);
    let pooled = kernels::max_pool2d(x.leaky_trace(), Floor::<3, 2, 1>).output;
    let upstream = dev.sample_like(pooled.shape(), rand_distr::StandardNormal);
    let mass = |gradient: Maps<2>| gradient.as_vec().iter().sum::<f64>();
    let given = mass(upstream.clone());
    let gradients = (pooled * upstream.clone()).sum::<Rank0, _>().backward();
    assert_close!(mass(gradients.get(&x)), given, 1e-12, 1e-12);
    let pooled = kernels::avg_pool2d(x.leaky_trace(), Floor::<3, 2, 1>, CountPadding::Excluded);
    let gradients = (pooled * upstream).sum::<Rank0, _>().backward();
    assert_close!(mass(gradients.get(&x)), given, 1e-12, 1e-12);
}

/// Batch normalisation does not see gain and offset of a channel, so its gradient has no part along them.
#[test]
fn batch_normalisation_is_blind_to_gain_and_offset() {
    let dev = Cpu::seed_from_u64(4);
    let mut layer = dev.build_module::<BatchNorm2D<3>, f64>();
    layer.epsilon = 0.0;
    let x = maps::<3>(&dev, 2, 4, 5);
    let normed = layer.forward_mut(x.leaky_trace());
    let standard = normed.as_vec(); // the layer's own gain is 1, its offset 0
    let moved = layer.forward_mut(x.clone() * 7.0 - 3.0);
    assert_close!(moved.as_vec(), standard.clone(), 1e-12, 1e-12);
    let upstream = maps::<3>(&dev, 2, 4, 5);
    let gradient = (normed * upstream).sum::<Rank0, _>().backward().get(&x).as_vec();
    for channel in 0..3 {
        let of_channel = |i: &usize| i / 20 % 3 == channel;
        let along = |direction: &dyn Fn(usize) -> f64| {
            (0..120).filter(of_channel).map(|i| gradient[i] * direction(i)).sum::<f64>()
        };
        assert!(along(&|_| 1.0).abs() < 1e-12, "offset of channel {channel}");
        assert!(along(&|i| standard[i]).abs() < 1e-12, "gain of channel {channel}");
        assert!(along(&|i| gradient[i]) > 1e-3, "channel {channel} has no gradient at all");
    }
}

/// Windows of the response normalisation by their definition, odd and even.
#[test]
fn response_windows_reach_as_stated() {
    let dev = Cpu::seed_from_u64(5);
    let x = maps::<7>(&dev, 1, 1, 2);
    let values = x.as_vec();
    for size in 1..=6 {
        let (k, alpha, beta) = (2.0, 0.3, 0.75);
        let found = kernels::local_response_norm(x.clone(), LocalResponse { size, k, alpha, beta }).as_vec();
        let expected = |i: usize| {
            let (channel, pixel) = (i / 2, i % 2);
            let reach = channel.saturating_sub(size / 2)..=(channel + (size - 1) / 2).min(6);
            let sum: f64 = reach.map(|c| values[2 * c + pixel].powi(2)).sum();
            values[i] / (k + alpha * sum).powf(beta)
        };
        assert_close!(found, (0..14).map(expected).collect::<Vec<_>>(), 1e-11, 1e-13, "window of {size}");
    }
}

fn smoothed(logits: &Tensor<Rank2<4, 6>, f64, Cpu>, targets: &[usize], share: f64) -> (f64, Vec<f64>) {
    let loss = ClassLoss::CrossEntropy { label_smoothing: share };
    let loss = kernels::class_loss_mean(logits.leaky_trace(), targets, loss, Classes::default());
    (loss.array(), loss.backward().get(logits).as_vec())
}

/// Szegedy et al. (2015), section 7: values and gradients of PyTorch, and the loss's two parts.
#[test]
fn label_smoothing_agrees_with_torch_and_has_two_parts() {
    let golden = Golden::open(crate::golden("label_smoothing.json"));
    let dev = Cpu::default();
    let mut logits = dev.zeros::<Rank2<4, 6>>();
    logits.copy_from(&golden.numbers("logits/data"));
    let targets: Vec<usize> = golden.numbers("targets").into_iter().map(|target| target as usize).collect();
    let cases = golden.value("cases").as_array().unwrap().len();
    assert!(cases >= 3);
    for case in 0..cases {
        let at = |key: &str| format!("cases/{case}/{key}");
        let share = golden.number(&at("eps"));
        let (loss, gradient) = smoothed(&logits, &targets, share);
        assert_close!(loss, golden.number(&at("loss")), 1e-12);
        assert_close!(gradient, golden.numbers(&at("grad/data")), 1e-10, 1e-12);
        // H(q', p) = (1 - eps) H(q, p) + eps H(u, p), u the same share for every class.
        let mut uniform = dev.zeros::<Rank2<4, 6>>();
        uniform.copy_from(&[1.0 / 6.0; 24]);
        let even = kernels::distribution_loss_mean(logits.clone(), &uniform, DistributionLoss::CrossEntropy);
        let parts = (1.0 - share) * smoothed(&logits, &targets, 0.0).0 + share * even.array();
        assert_close!(loss, parts, 1e-12);
    }
    golden.skip("");
    golden.finish();
}

/// The logits of one example stop at a finite distance: $\ln \frac{K (1 - \epsilon) + \epsilon}{\epsilon}$ = ln 91.
#[test]
fn label_smoothing_ends_at_a_finite_gap() {
    let dev = Cpu::default();
    let mut logits = dev.zeros::<Rank2<1, 10>>();
    for _ in 0..600 {
        let loss = ClassLoss::CrossEntropy { label_smoothing: 0.1 };
        let loss = kernels::class_loss_mean(logits.leaky_trace(), &[3], loss, Classes::default());
        let gradient: Tensor<Rank2<1, 10>, f64, Cpu> = loss.backward().get(&logits);
        logits = logits - gradient * 3.0;
    }
    let [row] = logits.array();
    for other in (0..10).filter(|other| *other != 3) {
        assert_close!(row[3] - row[other], 91.0_f64.ln(), 1e-6);
    }
}

/// What the compiler does not add up is added at run time, and the sum is checked.
#[test]
#[should_panic(expected = "channels of the maps")]
fn declared_channels_are_checked() {
    let dev = Cpu::seed_from_u64(6);
    let x = maps::<2>(&dev, 1, 2, 2);
    let joined = Concat((AnyChannels, Identity)).forward(x.clone());
    assert_eq!(joined.shape().1, 4);
    let same: Maps<4> = Channels::<4>.forward(joined);
    assert_eq!(same.as_vec(), [x.as_vec(), x.as_vec()].concat());
    Channels::<5>.forward(same);
}
