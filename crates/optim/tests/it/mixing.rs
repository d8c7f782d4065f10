//! Lecture 6: examples mixed in inputs, states and parts of images; erased parts; dropped weights and feature maps.
use dfdx::prelude::*;
use kernels::random::Key;
use layers::prelude::{Conv2D, FeatureDropout};
use layers::{assert_close, modules, params};
use optim::Error;
use optim::chain::{Batch, Chain, he};
use optim::regularize::augment::Augment;
use optim::regularize::cut_mix::{Patch, cut_mix};
use optim::regularize::drop_connect::DropConnect;
use optim::regularize::erasing::RandomErasing;
use optim::regularize::manifold::{manifold_votes, mix_states, mix_targets};
use optim::regularize::mixup::{self, mix};
use proptest::prelude::*;

fn inputs(rows: usize, columns: usize, seed: u64) -> Batch<f64, Cpu> {
    Key::new(seed).normal(&Cpu::default(), (rows, columns))
}

/// Mixed inputs are mixup; through layers without activation it does not matter where one mixes; a share of 1 changes nothing.
#[test]
fn states_are_mixed_where_they_are() {
    let dev = Cpu::default();
    let (x, partner, share) = (inputs(5, 4, 1), [3, 0, 2, 4, 1], 0.3);
    let net = |activation| {
        let mut net = Chain::<f64, Cpu>::new(&dev, &[4, 6, 5, 3], kernels::Tanh, he, Key::new(2)).unwrap();
        net.layers.iter_mut().for_each(|layer| Key::new(3).fill_normal(kernels::flat_mut(&mut layer.bias)));
        net.activation = activation;
        net
    };
    let votes =
        |net: &_, level, share| manifold_votes(net, x.clone(), level, &partner, share).unwrap().as_vec();
    let tanh = net(kernels::ActivationKind::Tanh);
    let mixed = mix(&x, &[0, 1, 2, 0, 1], 3, &partner, share).unwrap();
    assert_close!(votes(&tanh, 0, share), tanh.forward(mixed.x.clone()).as_vec(), 1e-13, 1e-14);
    assert_close!(mix_states(x.clone(), &partner, share).unwrap().as_vec(), mixed.x.as_vec(), 0.0, 1e-15);
    let linear = net(kernels::ActivationKind::Identity);
    for level in 1..3 {
        assert_close!(votes(&linear, level, share), votes(&linear, 0, share), 1e-12, 1e-13);
        let (here, before) = (votes(&tanh, level, share), votes(&tanh, level - 1, share));
        assert!(here.iter().zip(before).any(|(a, b)| (a - b).abs() > 1e-2), "level {level} is another place");
        assert_close!(votes(&tanh, level, 1.0), tanh.forward(x.clone()).as_vec(), 1e-15, 1e-15);
    }
    // One hidden layer by hand: the last layer reads the mean of two rows of states.
    let states = tanh.layers[..2].iter().fold(x.clone(), |a, layer| {
        let chain = Chain { layers: vec![layer.clone()], activation: tanh.activation };
        chain.forward(a).tanh()
    });
    let both = mix_states(states, &partner, share).unwrap();
    let last = Chain { layers: vec![tanh.layers[2].clone()], activation: tanh.activation };
    assert_close!(votes(&tanh, 2, share), last.forward(both).as_vec(), 1e-12, 1e-13);
    let targets = mix_targets::<f64, _>(&dev, &[0, 1, 2, 0, 1], 3, &partner, share).unwrap();
    assert_eq!(targets.as_vec(), mixed.targets.as_vec());
    assert_close!(targets.as_vec()[..3].to_vec(), [1.0, 0.0, 0.0], 1e-15); // both rows have label 0
    assert_close!(targets.as_vec()[3..6].to_vec(), [0.7, 0.3, 0.0], 1e-15);
}

/// The gradient reaches the layers below through both rows.
#[test]
fn mixed_states_pass_gradients_to_both_rows() {
    let dev = Cpu::default();
    let net = Chain::<f64, Cpu>::new(&dev, &[3, 4, 2], kernels::Tanh, he, Key::new(5)).unwrap();
    let (x, partner, labels) = (inputs(4, 3, 6), [2, 2, 1, 0], [0, 1, 1, 0]);
    let targets = mix_targets::<f64, _>(&dev, &labels, 2, &partner, 0.4).unwrap();
    let loss = |net: &Chain<f64, Cpu>, x: &Batch<f64, Cpu>| {
        let votes = manifold_votes(net, x.leaky_trace(), 1, &partner, 0.4).unwrap();
        kernels::distribution_loss_mean(votes, &targets, kernels::DistributionLoss::CrossEntropy)
    };
    let gradients = loss(&net, &x).backward();
    let by_weight = gradients.get(&net.layers[0].weight).as_vec();
    for (i, analytic) in by_weight.into_iter().enumerate() {
        let at = |h: f64| {
            let mut net = net.clone();
            kernels::flat_mut(&mut net.layers[0].weight)[i] += h;
            loss(&net, &x).array()
        };
        assert_close!(analytic, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6, 1e-9, "weight {i}");
    }
    let by_input = gradients.get(&x).as_vec();
    for (i, analytic) in by_input.into_iter().enumerate() {
        let at = |h: f64| {
            let mut values = x.as_vec();
            values[i] += h;
            loss(&net, &dev.tensor_from_vec(values, (4, 3))).array()
        };
        assert_close!(analytic, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6, 1e-9, "input {i}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every pixel is that of one of the two images, at its place in all channels; the share of the labels is that of the
    /// pixels, and never less than what was drawn.
    #[test]
    fn labels_follow_the_pixels(height in 1_usize..9, width in 1_usize..9, channels in 1_usize..4, lambda in 0.0..=1.0_f64,
        seed: u64) {
        let size = (height, width);
        let patch = Patch::draw(size, lambda, &mut Key::new(seed).rng()).unwrap();
        prop_assert!(patch.top + patch.rows <= height && patch.left + patch.columns <= width);
        let share = patch.share(size);
        prop_assert!(share >= lambda - 1e-12 && share <= 1.0, "{share} for {lambda}");
        let pixels = height * width;
        let values = (0..2 * channels * pixels).map(|i| i as f64).collect::<Vec<_>>();
        let x = Cpu::default().tensor_from_vec(values, (2, channels * pixels));
        let mixed = cut_mix(&x, size, &[1, 0], 2, &[1, 0], patch).unwrap();
        let got = mixed.x.as_vec();
        let features = channels * pixels;
        let mut own = 0;
        prop_assert_eq!(got.len(), 2 * features);
        for (i, &value) in got.iter().enumerate() {
            let (image, place) = (i / features, i % features);
            let (row, column) = (place % pixels / width, place % width);
            let inside = row >= patch.top && row < patch.top + patch.rows
                && column >= patch.left && column < patch.left + patch.columns;
            let from = if inside { 1 - image } else { image };
            prop_assert_eq!(value, (from * features + place) as f64);
            own += usize::from(!inside);
        }
        assert_close!(share, own as f64 / (2 * features) as f64, 1e-12);
        assert_close!(mixed.targets.as_vec(), [1.0 - share, share, share, 1.0 - share], 1e-12, 1e-15);
    }

    /// What was erased is one rectangle of legal area and shape, or nothing; the rest is as it was.
    #[test]
    fn one_rectangle_is_erased(height in 4_usize..20, width in 4_usize..20, seed: u64) {
        let image = vec![2.0_f32; height * width]; // no noise is 2
        let erasing = RandomErasing::try_new(1.0, [0.1, 0.3], [0.5, 2.0]).unwrap();
        let got = erasing.apply(&image, (height, width), &mut Key::new(seed).rng());
        let erased: Vec<usize> = (0..got.len()).filter(|&i| got[i] != 2.0).collect();
        prop_assert!(!erased.is_empty(), "a hundred tries should find a place");
        let (rows, columns): (Vec<usize>, Vec<usize>) = erased.iter().map(|i| (i / width, i % width)).unzip();
        let span = |v: &[usize]| v.iter().max().unwrap() - v.iter().min().unwrap() + 1;
        let (h, w) = (span(&rows), span(&columns));
        prop_assert_eq!(h * w, erased.len());
        prop_assert!(erased.iter().all(|&i| (0.0..1.0).contains(&got[i])));
        let (h, w, all) = (h as f32, w as f32, (height * width) as f32);
        // Sides were rounded down: the true ones are up to a pixel longer.
        prop_assert!(h * w <= 0.3 * all + 1e-3 && (h + 1.0) * (w + 1.0) >= 0.1 * all - 1e-3, "{h} x {w} of {all}");
        prop_assert!(h / (w + 1.0) <= 2.0 + 1e-3 && (h + 1.0) / w >= 0.5 - 1e-3, "{h} x {w}");
    }
}

/// Of 9 × 7 pixels a quarter by area has 4 × 3 sides, rounded down, about a middle that is anywhere: nine heights and seven
/// widths, each as often as any other, cut off at the border.
#[test]
fn patches_have_the_area_that_was_drawn_anywhere() {
    let (mut rows, mut columns) = ([0.0; 9], [0.0; 7]);
    let (n, mut rng) = (4000, Key::new(4).rng());
    for _ in 0..n {
        let patch = Patch::draw((9, 7), 0.75, &mut rng).unwrap();
        let spans = |side: usize, end: usize| -> Vec<(usize, usize)> {
            let from = |middle: usize| middle.saturating_sub(side / 2);
            (0..end)
                .map(|middle| (from(middle), (middle + side - side / 2).min(end) - from(middle)))
                .collect()
        };
        let place = |spans: Vec<(usize, usize)>, span| spans.iter().position(|other| *other == span);
        rows[place(spans(4, 9), (patch.top, patch.rows)).unwrap_or_else(|| panic!("{patch:?}"))] += 1.0;
        columns[place(spans(3, 7), (patch.left, patch.columns)).unwrap_or_else(|| panic!("{patch:?}"))] +=
            1.0;
    }
    for counts in [&rows[..], &columns] {
        let share = 1.0 / counts.len() as f64;
        let error = 4.0 * (n as f64 * share * (1.0 - share)).sqrt();
        assert!(counts.iter().all(|count| (count - n as f64 * share).abs() < error), "{counts:?}");
    }
    // All of the image stays, or one whose middle is in the corner loses a quarter.
    let patch = Patch::draw((9, 7), 1.0, &mut rng).unwrap();
    assert_eq!((patch.rows * patch.columns, patch.share((9, 7))), (0, 1.0));
    assert!((0..100).all(|_| Patch::draw((8, 8), 0.0, &mut rng).unwrap().share((8, 8)) <= 0.75));
}

/// Height over width, not width over height; the place uniform over all that fit; uniform noise.
#[test]
fn erased_rectangles_are_high_where_the_aspect_is_large() {
    let image = vec![2.0_f32; 1600];
    let mut rng = Key::new(6).rng();
    let box_of = |got: &[f32], width: usize| {
        let at: Vec<usize> = (0..got.len()).filter(|&i| got[i] != 2.0).collect();
        let (first, last) = (at[0], at[at.len() - 1]);
        let (left, right) = (first % width, last % width);
        (first / width, left, last / width - first / width + 1, right - left + 1)
    };
    // A fifth of 1600 pixels, four times as high as wide: √1280 by √80.
    let erasing = RandomErasing::try_new(1.0, [0.2, 0.2], [4.0, 4.0]).unwrap();
    let (n, mut tops, mut lefts, mut noise) = (3000, [0.0; 6], [0.0; 33], Vec::new());
    for _ in 0..n {
        let got = erasing.apply(&image, (40, 40), &mut rng);
        if got == image {
            continue; // a hundred places that do not fit
        }
        let (top, left, rows, columns) = box_of(&got, 40);
        assert_eq!((rows, columns), (35, 8));
        tops[top] += 1.0;
        lefts[left] += 1.0;
        noise.extend(got.iter().filter(|v| **v != 2.0).take(10).map(|v| f64::from(*v)));
    }
    for counts in [&tops[..], &lefts] {
        let (n, share) = (counts.iter().sum::<f64>(), 1.0 / counts.len() as f64);
        let error = 4.0 * (n * share * (1.0 - share)).sqrt();
        assert!(counts.iter().all(|count| (count - n * share).abs() < error), "{counts:?}");
    }
    let (count, mean) = (noise.len() as f64, noise.iter().sum::<f64>() / noise.len() as f64);
    let variance = noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / count).sqrt(), "{mean}");
    // The fourth moment of a uniform number is 1/80.
    assert!((variance - 1.0 / 12.0).abs() < 4.0 * ((1.0 / 80.0 - 1.0 / 144.0) / count).sqrt(), "{variance}");
    assert_eq!(
        RandomErasing::default(),
        RandomErasing::try_new(0.5, [0.02, 0.4], [0.3, 1.0 / 0.3]).unwrap() // the paper's
    );
}

/// Area and aspect are drawn uniformly, and again with the place until the rectangle fits: the mean sides of many against
/// the sum over a fine grid of draws, each with the share of the places where it fits.
#[test]
fn areas_and_aspects_are_drawn_uniformly() {
    let (side, image) = (50_usize, vec![2.0_f32; 2500]);
    let mut rng = Key::new(7).rng();
    for (area, aspect) in [([0.01, 0.16], [1.0, 1.0]), ([0.04, 0.04], [0.25, 4.0])] {
        let erasing = RandomErasing::try_new(1.0, area, aspect).unwrap();
        let n = 4000;
        let rows: Vec<f64> = (0..n)
            .map(|_| {
                let got = erasing.apply(&image, (side, side), &mut rng);
                let erased = |row: &&[f32]| row.iter().any(|v| *v != 2.0);
                got.chunks(side).filter(erased).count() as f64
            })
            .collect();
        let mean = rows.iter().sum::<f64>() / f64::from(n);
        let variance = rows.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(n);
        let (mut weight, mut sum) = (0.0, 0.0);
        for i in 0..10_000 {
            let share = (f64::from(i) + 0.5) / 10_000.0;
            let between = |[low, high]: [f32; 2]| f64::from(low) + share * f64::from(high - low);
            let (pixels, ratio) = (2500.0 * between(area), between(aspect));
            let (high, wide) = ((pixels * ratio).sqrt().floor(), (pixels / ratio).sqrt().floor());
            let fits = (51.0 - high) * (51.0 - wide);
            weight += fits;
            sum += fits * high;
        }
        let want = sum / weight;
        assert!((mean - want).abs() < 4.0 * (variance / f64::from(n)).sqrt(), "{mean}, want {want}");
    }
}

#[test]
fn erasing_happens_as_often_as_asked() {
    let mut rng = Key::new(8).rng();
    let image = [2.0_f32; 64];
    for probability in [0.0, 0.25, 1.0] {
        let erasing = RandomErasing::try_new(probability, [0.02, 0.4], [0.3, 3.0]).unwrap();
        let n = 2000;
        let erased = (0..n).filter(|_| erasing.apply(&image, (8, 8), &mut rng) != image).count();
        let error = 4.0 * (probability * (1.0 - probability) / f64::from(n)).sqrt();
        assert!((erased as f64 / f64::from(n) - probability).abs() <= error, "{probability}: {erased}");
    }
    assert!(RandomErasing::default().apply(&[], (0, 5), &mut rng).is_empty());
    for (probability, area, aspect, name) in [
        (1.5, [0.1, 0.2], [1.0, 1.0], "probability"),
        (f64::NAN, [0.1, 0.2], [1.0, 1.0], "probability"),
        (0.5, [0.0, 0.2], [1.0, 1.0], "area"),
        (0.5, [0.3, 0.2], [1.0, 1.0], "area"),
        (0.5, [0.3, 1.2], [1.0, 1.0], "area"),
        (0.5, [0.1, 0.2], [1.0, f32::INFINITY], "aspect"),
        (0.5, [0.1, 0.2], [-1.0, 1.0], "aspect"),
    ] {
        let refused = RandomErasing::try_new(probability, area, aspect);
        assert!(matches!(refused, Err(Error::InvalidHyper { name: n, .. }) if n == name), "{refused:?}");
    }
}

type Layer = DropConnect<3, 2, f64, Cpu, modules::Relu>;

fn layer(rate: f64, key: u64) -> Layer {
    let mut layer: Layer = BuildModule::build(&Cpu::default());
    params::unflatten(&mut layer, &[0.5, -1.0, 2.0, 1.5, 0.3, -0.7, 0.4, -0.2]).unwrap();
    layer.noise = modules::Dropout::new(rate).with_key(Key::new(key));
    layer
}

/// One example many times in a batch: votes have the mean and the variance over all masks.
#[test]
fn dropped_weights_have_the_moments_of_their_masks() {
    let n = 20_000;
    let x = [0.8, -0.5, 1.2];
    let batch = Cpu::default().tensor_from_vec(x.repeat(n), (n, Const::<3>));
    let rate = 0.4;
    let DropConnect { linear, noise } = layer(rate, 3);
    let linear: modules::Linear<3, 2, f64, Cpu> = modules::Linear {
        weight: linear.weight,
        bias: linear.bias,
        activation: modules::Identity,
        input_gradient: linear.input_gradient,
    };
    let mut votes_only = DropConnect { linear, noise };
    let votes = votes_only.forward_mut(batch.clone()).as_vec();
    let (weight, bias) = (votes_only.linear.weight.array(), votes_only.linear.bias.array());
    for output in 0..2 {
        let drawn: Vec<f64> = votes.iter().skip(output).step_by(2).copied().collect();
        let mean = drawn.iter().sum::<f64>() / n as f64;
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        let terms: Vec<f64> = (0..3).map(|i| weight[output][i] * x[i]).chain([bias[output]]).collect();
        let want_mean: f64 = terms.iter().sum();
        let want = rate / (1.0 - rate) * terms.iter().map(|t| t * t).sum::<f64>();
        assert!((mean - want_mean).abs() < 4.0 * (want / n as f64).sqrt(), "{mean} against {want_mean}");
        assert!((variance / want - 1.0).abs() < 0.05, "{variance} against {want}");
    }
    // Inference: the mean rectified normal vote, μ Φ(μ/σ) + σ φ(μ/σ), with Φ(z) = (1 + erf(z/√2))/2.
    let one = Cpu::default().tensor([x]);
    let samples = 40_000;
    let got = layer(rate, 3).infer(&one, samples, Key::new(9)).unwrap().array()[0];
    for output in 0..2 {
        let terms: Vec<f64> = (0..3).map(|i| weight[output][i] * x[i]).chain([bias[output]]).collect();
        let mean: f64 = terms.iter().sum();
        let deviation = (rate / (1.0 - rate) * terms.iter().map(|t| t * t).sum::<f64>()).sqrt();
        let z = mean / deviation;
        let erf = kernels::activate(Cpu::default().tensor(z / 2.0_f64.sqrt()), kernels::Erf).array();
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let want = mean * 0.5 * (1.0 + erf) + deviation * density;
        let error = 4.0 * deviation / (samples as f64).sqrt();
        assert!((got[output] - want).abs() < error, "{} against {want}", got[output]);
    }
    let evaluated = layer(rate, 3).forward(one.clone());
    assert_close!(evaluated.array()[0][0], (0.4 + 0.5 + 2.4 + 0.4_f64).max(0.0), 1e-12);
    assert!(
        (got[0] - evaluated.array()[0][0]).abs() > 1e-3,
        "the mean of the activation is not that of the mean"
    );
    let refused = layer(rate, 3).infer(&one, 0, Key::new(0));
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "samples", .. })));
}

/// Of an input of 0 only the bias is left: it is dropped as often as a weight, and counts in the variance of the inference.
#[test]
fn biases_are_dropped_too() {
    let (rate, n) = (0.4, 5000);
    let nothing = Cpu::default().tensor_from_vec(vec![0.0; 3 * n], (n, Const::<3>));
    let mut training = layer(rate, 21);
    let votes = training.forward_mut(nothing).as_vec();
    // The first bias is 0.4, the second −0.2, which the rectifier hides.
    let drawn: Vec<f64> = votes.iter().copied().step_by(2).collect();
    let kept = drawn.iter().filter(|vote| **vote != 0.0);
    assert!(kept.clone().all(|vote| (vote - 0.4 / (1.0 - rate)).abs() < 1e-12));
    let share = kept.count() as f64 / n as f64;
    assert!((share - (1.0 - rate)).abs() < 4.0 * (rate * (1.0 - rate) / n as f64).sqrt(), "{share}");
    // Rectified votes of mean c and variance c² p/(1−p): c Φ(1/k) + c k φ(1/k) with k² = p/(1−p).
    let samples = 40_000;
    let one = Cpu::default().tensor([[0.0; 3]]);
    let got = layer(rate, 21).infer(&one, samples, Key::new(10)).unwrap().array()[0];
    for (got, c) in got.into_iter().zip([0.4, -0.2_f64]) {
        let deviation = c.abs() * (rate / (1.0 - rate)).sqrt();
        let z = c / deviation;
        let erf = kernels::activate(Cpu::default().tensor(z / 2.0_f64.sqrt()), kernels::Erf).array();
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        let want = c * 0.5 * (1.0 + erf) + deviation * density;
        assert!((got - want).abs() < 4.0 * deviation / (samples as f64).sqrt(), "{got} against {want}");
    }
    // Without dropped weights all draws are alike, and their mean is what evaluation says.
    let x = Cpu::default().tensor([[0.8, -0.5, 1.2]]);
    let plain = layer(0.0, 21);
    assert_close!(plain.infer(&x, 3, Key::new(11)).unwrap(), plain.forward(x), 1e-14);
}

/// Gradients through the masks of a key; the same key gives the same masks, no rate the plain layer.
#[test]
fn dropped_weights_have_gradients_and_keys() {
    let dev = Cpu::default();
    let x = dev.tensor([[0.8, -0.5, 1.2], [0.3, 1.1, -0.9], [0.8, -0.5, 1.2], [-1.4, 0.2, 0.6]]);
    let start = layer(0.4, 12);
    let loss = |layer: &Layer, x: &Tensor<Rank2<4, 3>, f64, Cpu>| {
        layer.clone().forward_mut(x.leaky_trace()).square().mean::<Rank0, _>()
    };
    let mut gradients = loss(&start, &x).backward();
    let analytic = params::flatten_gradients(&start, &mut gradients).unwrap();
    assert!(analytic.iter().filter(|g| **g != 0.0).count() >= 4, "{analytic:?}");
    for (i, analytic) in analytic.into_iter().enumerate() {
        let at = |h: f64| {
            let mut moved = start.clone();
            let mut flat = params::flatten(&moved);
            flat[i] += h;
            params::unflatten(&mut moved, &flat).unwrap();
            loss(&moved, &x).array()
        };
        assert_close!(analytic, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-6, 1e-8, "parameter {i}");
    }
    for (i, analytic) in gradients.get(&x).as_vec().into_iter().enumerate() {
        let at = |h: f64| {
            let mut values = x.as_vec();
            values[i] += h;
            loss(&start, &dev.tensor_from_vec(values, (Const, Const))).array()
        };
        assert_close!(analytic, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-6, 1e-8, "input {i}");
    }
    let run = |mut layer: Layer| layer.forward_mut(x.clone()).array();
    assert_eq!(run(layer(0.4, 12)), run(layer(0.4, 12)));
    assert_ne!(run(layer(0.4, 12)), run(layer(0.4, 13)));
    let many: Tensor<Rank2<16, 3>, f64, _> = dev.ones();
    let rows = layer(0.4, 12).forward_mut(many).array();
    assert!(rows[1..].iter().any(|row| *row != rows[0]), "equal examples have masks of their own");
    let plain = layer(0.0, 12);
    assert_close!(run(plain.clone()), plain.linear.forward(x.clone()).array(), 1e-14, 1e-15);
    assert_eq!(params::names(&plain), ["linear.weight", "linear.bias"]);
    let mut seeded = layer(0.4, 1);
    layers::dropout::reseed(&mut seeded, Key::new(5)).unwrap();
    assert!(
        seeded.noise.noise_key.key() != layer(0.4, 1).noise.noise_key.key(),
        "a model's key reaches the layer"
    );
}

#[test]
fn what_cannot_be_mixed_is_refused() {
    let dev = Cpu::default();
    let (x, mut rng) = (inputs(2, 4, 1), Key::new(0).rng());
    let hyper = |error: Error| matches!(error, Error::InvalidHyper { .. });
    let net = Chain::<f64, Cpu>::new(&dev, &[4, 3, 2], kernels::Tanh, he, Key::new(2)).unwrap();
    assert!(hyper(manifold_votes(&net, x.clone(), 2, &[0, 1], 0.5).unwrap_err()));
    assert!(hyper(mix_states(x.clone(), &[0, 1], f64::NAN).unwrap_err()));
    for level in 0..2 {
        let refused = manifold_votes(&net, x.clone(), level, &[0, 2], 0.5);
        assert!(matches!(refused, Err(Error::LabelOutOfRange { index: 1, label: 2, classes: 2 })), "{level}");
    }
    assert!(matches!(mix_states(x.clone(), &[0], 0.5), Err(Error::LengthMismatch { .. })));
    let refused = mix_targets::<f64, _>(&dev, &[0, 3], 2, &[0, 1], 0.5);
    assert!(matches!(refused, Err(Error::LabelOutOfRange { index: 1, label: 3, .. })));
    assert!(hyper(mixup::share(f64::INFINITY, &mut rng).unwrap_err()));
    for lambda in [1.1, -0.1, f64::NAN] {
        assert!(hyper(Patch::draw((2, 2), lambda, &mut rng).unwrap_err()), "{lambda}");
    }
    assert!(matches!(Patch::draw((0, 2), 0.5, &mut rng), Err(Error::Empty { .. })));
    let patch = Patch { top: 0, left: 0, rows: 1, columns: 2 };
    let cut = |size, partner: &[usize], patch| cut_mix(&x, size, &[0, 1], 2, partner, patch);
    assert!(cut((2, 2), &[1, 0], patch).is_ok());
    assert!(matches!(cut((1, 3), &[1, 0], patch), Err(Error::Dimension { got: 4, want: 3, .. })));
    assert!(matches!(cut((0, 0), &[1, 0], patch), Err(Error::Dimension { .. })));
    assert!(matches!(cut((2, 2), &[1], patch), Err(Error::LengthMismatch { .. })));
    assert!(matches!(cut((2, 2), &[1, 2], patch), Err(Error::LabelOutOfRange { index: 1, .. })));
    let outside = Patch { top: usize::MAX, ..patch };
    assert!(matches!(cut((2, 2), &[1, 0], outside), Err(Error::Dimension { want: 2, .. })));
}

/// Spatial dropout between two convolutions, with the masks of a key: gradients through what is kept, none through what is
/// dropped.
#[test]
fn dropped_maps_have_gradients_and_keys() {
    type Net = ((Conv2D<2, 5, 2>, modules::Tanh), FeatureDropout, Conv2D<5, 2, 2>);
    type Images = Tensor<Rank4<3, 2, 4, 4>, f64, Cpu>;
    let dev = Cpu::seed_from_u64(2);
    let mut net = dev.build_module::<Net, f64>();
    net.1 = FeatureDropout::new(0.4).with_key(Key::new(5));
    let x: Images = Key::new(6).normal(&dev, Default::default());
    // A clone at each call: the same call of the same key, hence the same masks.
    let loss = |net: &<Net as BuildOnDevice<Cpu, f64>>::Built, x: &Images| {
        net.clone().forward_mut(x.leaky_trace()).square().mean::<Rank0, _>()
    };
    let mut gradients = loss(&net, &x).backward();
    let analytic = params::flatten_gradients(&net, &mut gradients).unwrap();
    for (i, analytic) in analytic.into_iter().enumerate() {
        let at = |h: f64| {
            let (mut moved, mut flat) = (net.clone(), params::flatten(&net));
            flat[i] += h;
            params::unflatten(&mut moved, &flat).unwrap();
            loss(&moved, &x).array()
        };
        assert_close!(analytic, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-6, 1e-8, "parameter {i}");
    }
    for (i, analytic) in gradients.get(&x).as_vec().into_iter().enumerate() {
        let at = |h: f64| {
            let mut values = x.as_vec();
            values[i] += h;
            loss(&net, &dev.tensor_from_vec(values, Default::default())).array()
        };
        assert_close!(analytic, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-6, 1e-8, "pixel {i}");
    }
    // The layer alone: a slope of 1 / 0.6 at every place of a map that is kept, of 0 at every place of one that is dropped.
    let maps: Tensor<Rank4<3, 5, 3, 3>, f64, _> = Key::new(7).normal(&dev, Default::default());
    let slopes = |key: u64| {
        let mut layer = FeatureDropout::new(0.4).with_key(Key::new(key));
        layer.forward_mut(maps.leaky_trace()).sum::<Rank0, _>().backward().get(&maps).as_vec()
    };
    let (of_five, mut kept) = (slopes(5), 0);
    for map in of_five.chunks(9) {
        assert!(map.iter().all(|slope| slope == &map[0]), "{map:?}");
        assert!(map[0] == 0.0 || (map[0] - 1.0 / 0.6).abs() < 1e-15, "{map:?}");
        kept += usize::from(map[0] > 0.0);
    }
    assert!((1..15).contains(&kept), "{kept} of 15: nothing dropped, or all");
    assert_eq!(slopes(5), of_five);
    assert_ne!(slopes(6), of_five);
}
