//! Maps against PyTorch, and what must hold for any network.
use convnets::explain::{self, Cover, DeconvRelu, ExplainError, GuidedRelu, Noise};
use kernels::random::Key;
use layers::prelude::*;
use layers::testing::Golden;
use layers::{assert_close, params};

type Features<A> = ((Conv2D<1, 4, 3, 1, 1>, A, MaxPool2D<2, 2>), (Conv2D<4, 6, 3, 1, 1>, A));
type Tiny<A> = (Features<A>, (GlobalAvgPool, Linear<6, 3>));
type Picture = Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu>;
const SHAPE: (Const<1>, Const<1>, usize, usize) = (Const, Const, 8, 8);

fn noise_picture(dev: &Cpu) -> Picture {
    dev.sample_like(&SHAPE, rand_distr::StandardNormal)
}

fn noise(samples: usize) -> Noise {
    Noise { samples, standard_deviation: 0.5, key: Key::new(1) }
}

#[test]
fn maps_agree_with_torch() {
    let golden = Golden::open(crate::golden("explanations.json"));
    let dev = Cpu::default();
    let phase = golden.number("phase");
    let class = golden.number("class") as usize;
    let mut net = dev.build_module::<Tiny<Relu>, f64>();
    crate::fill(&mut net, phase);
    let mut x: Picture = dev.zeros_like(&SHAPE);
    x.copy_from(&crate::input(64, phase));
    let data = |key: &str| golden.numbers(&format!("{key}/data"));
    assert_close!(x.as_vec(), data("x"), 1e-10, 1e-11);
    assert_close!(net.forward(x.clone()).as_vec(), data("logits"), 1e-10);

    let map = explain::gradient(&net, &x, class).unwrap();
    assert_close!(map.as_vec(), data("gradient"), 1e-10, 1e-12);
    let map = explain::gradient_x_input(&net, &x, class).unwrap();
    assert_close!(map.as_vec(), data("gradient_x_input"), 1e-10, 1e-12);
    let weights = params::flatten(&net);
    let mut guided = dev.build_module::<Tiny<GuidedRelu>, f64>();
    params::unflatten(&mut guided, &weights).unwrap();
    let map = explain::gradient(&guided, &x, class).unwrap();
    assert_close!(map.as_vec(), data("guided_backprop"), 1e-10, 1e-12);
    let mut deconv = dev.build_module::<Tiny<DeconvRelu>, f64>();
    params::unflatten(&mut deconv, &weights).unwrap();
    let map = explain::gradient(&deconv, &x, class).unwrap();
    assert_close!(map.as_vec(), data("deconvnet"), 1e-10, 1e-12);

    let cam = explain::grad_cam(&net.0, &net.1, &x, class).unwrap();
    assert_close!(cam.weights, data("gradcam_alpha"), 1e-10);
    assert_close!(cam.map, data("gradcam"), 1e-10, 1e-12);
    assert_close!(cam.upsampled, data("gradcam_upsampled_bilinear"), 1e-10, 1e-12);
    assert_eq!(cam.size, (4, 4));
    let product =
        data("guided_backprop").into_iter().zip(data("gradcam_upsampled_bilinear")).map(|(a, b)| a * b);
    let map = explain::guided_grad_cam(&guided, (&net.0, &net.1), &x, class).unwrap();
    assert_close!(map.as_vec(), product.collect::<Vec<_>>(), 1e-10, 1e-12);

    let drops =
        explain::occlusion(&net, &x, class, Cover { window: 3, stride: 1, fill: 0.0 }).unwrap().concat();
    assert_close!(drops, data("occlusion_3x3_stride1_fill0_drop"), 1e-9, 1e-12);

    let zeros: Picture = dev.zeros_like(&SHAPE);
    let map = explain::integrated_gradients(&net, &x, &zeros, class, 50).unwrap();
    assert_close!(map.as_vec(), data("integrated_gradients_midpoint50"), 1e-10, 1e-12);
    let sum = |map: Picture| map.as_vec().iter().sum::<f64>();
    assert_close!(sum(map), golden.number("ig_completeness_lhs_sum"), 1e-10);
    let difference = net.forward(x.clone()).as_vec()[class] - net.forward(zeros.clone()).as_vec()[class];
    assert_close!(difference, golden.number("ig_completeness_rhs"), 1e-10);
    // Completeness: the sum of the map is the difference of the logits, the better the more steps.
    let fine = sum(explain::integrated_gradients(&net, &x, &zeros, class, 5_000).unwrap());
    assert!((fine - difference).abs() < 1e-5, "{fine} against {difference}");
    golden.skip("network");
    for shape in [
        "x",
        "logits",
        "gradient",
        "gradient_x_input",
        "guided_backprop",
        "deconvnet",
        "gradcam_alpha",
        "gradcam",
        "gradcam_upsampled_bilinear",
        "occlusion_3x3_stride1_fill0_drop",
        "integrated_gradients_midpoint50",
    ] {
        golden.skip(&format!("{shape}/shape"));
    }
    golden.finish();
}

/// Grad-CAM of a network that ends in a global mean and a linear layer is its class activation map, up to the area
/// (Zhou et al. 2016).
#[test]
fn grad_cam_generalises_class_activation_maps() {
    let dev = Cpu::seed_from_u64(1);
    let net = dev.build_module::<Tiny<Relu>, f64>();
    let x = noise_picture(&dev);
    let cam = explain::grad_cam(&net.0, &net.1, &x, 2).unwrap();
    let (maps, weight) = (net.0.forward(x).as_vec(), net.1.1.weight.array()[2]);
    for (pixel, value) in cam.map.iter().enumerate() {
        let class_map: f64 = (0..6).map(|k| weight[k] * maps[16 * k + pixel]).sum();
        assert_close!(*value, class_map.max(0.0) / 16.0, 1e-12, 1e-15);
    }
}

/// Gradient × input and integrated gradients of a linear network are the same; noise averages to nothing.
#[test]
fn linear_networks_have_one_explanation() {
    let dev = Cpu::seed_from_u64(2);
    let net = dev.build_module::<(Conv2D<1, 2, 3>, GlobalAvgPool, Linear<2, 3>), f64>();
    let (x, zeros) = (noise_picture(&dev), dev.zeros_like(&SHAPE));
    let gradient = explain::gradient(&net, &x, 1).unwrap();
    let path = explain::integrated_gradients(&net, &x, &zeros, 1, 7).unwrap();
    assert_close!(path, explain::gradient_x_input(&net, &x, 1).unwrap(), 1e-10, 1e-13);
    let smooth = explain::smooth_grad(&net, &x, 1, noise(5)).unwrap();
    assert_close!(smooth, gradient, 1e-12);
}

/// The map is the derivative of the class's logit, pixel by pixel, and of no other class's.
#[test]
fn gradients_are_differences_of_the_logit() {
    const STEP: f64 = 1e-6;
    let dev = Cpu::seed_from_u64(9);
    type Smooth = ((Conv2D<2, 4, 3, 1, 1>, Tanh, AvgPool2D<2, 2>), (GlobalAvgPool, Linear<4, 3>));
    let net = dev.build_module::<Smooth, f64>();
    let x: Tensor<(Const<1>, Const<2>, usize, usize), f64, _> =
        dev.sample_like(&(Const, Const, 4, 6), rand_distr::StandardNormal);
    let logit = |values: &[f64], class: usize| {
        let mut moved = x.clone();
        moved.copy_from(values);
        net.forward(moved).as_vec()[class]
    };
    for class in 0..3 {
        let map = explain::gradient(&net, &x, class).unwrap().as_vec();
        let product = explain::gradient_x_input(&net, &x, class).unwrap().as_vec();
        for (pixel, (slope, pixels)) in map.iter().zip(x.as_vec()).enumerate() {
            let [more, less] = [STEP, -STEP].map(|step| {
                let mut values = x.as_vec();
                values[pixel] += step;
                logit(&values, class)
            });
            // Logits of size 1 round by some 2e-16, which over twice the step is 1e-10; room for ten times that and more.
            let difference = (more - less) / (2.0 * STEP);
            assert!((slope - difference).abs() < 2e-9, "class {class}, pixel {pixel}: {slope}, {difference}");
            assert_close!(product[pixel], slope * pixels, 1e-14, 1e-16);
        }
    }
}

/// The rules of both rectifiers, sign by sign: what goes forward is a ReLU's, and of a gradient only what is allowed comes
/// back. A tensor that goes two ways gets both gradients.
#[test]
fn rectifiers_pass_back_what_they_say() {
    let dev = Cpu::default();
    // Inputs below, at and above 0, each with gradients of both signs.
    let x = dev.tensor([-2.0, -2.0, 0.0, 0.0, 3.0, 3.0]);
    let slopes = dev.tensor([5.0, -5.0, 5.0, -5.0, 5.0, -5.0]);
    let back = |y: Tensor<Rank1<6>, f64, Cpu, OwnedTape<f64, Cpu>>| {
        assert_eq!(y.array(), [0.0, 0.0, 0.0, 0.0, 3.0, 3.0]);
        (y * slopes.clone()).sum::<Rank0, _>().backward().get(&x).array()
    };
    assert_eq!(back(Relu.forward(x.leaky_trace())), [0.0, 0.0, 0.0, 0.0, 5.0, -5.0]);
    assert_eq!(back(GuidedRelu.forward(x.leaky_trace())), [0.0, 0.0, 0.0, 0.0, 5.0, 0.0]);
    assert_eq!(back(DeconvRelu.forward(x.leaky_trace())), [5.0, 0.0, 5.0, 0.0, 5.0, 0.0]);
    let both = GuidedRelu.forward(x.leaky_trace()) * slopes.clone();
    let past = x.clone() * 0.5;
    let sum = (both.sum::<Rank0, _>() + (x.leaky_trace() * past).sum::<Rank0, _>()).backward();
    assert_eq!(sum.get(&x).array(), [-1.0, -1.0, 0.0, 0.0, 6.5, 1.5]);
}

/// A weight of Grad-CAM is how the logit moves when the whole map is raised, over its area.
#[test]
fn weights_of_grad_cam_are_differences() {
    const STEP: f64 = 1e-6;
    let dev = Cpu::seed_from_u64(10);
    type Whole = (Conv2D<1, 4, 3>, (Conv2D<4, 5, 3>, Tanh, GlobalAvgPool, Linear<5, 3>));
    let net = dev.build_module::<Whole, f64>();
    let x = noise_picture(&dev);
    let cam = explain::grad_cam(&net.0, &net.1, &x, 2).unwrap();
    let maps = net.0.forward(x);
    let area = cam.size.0 * cam.size.1;
    assert_eq!((cam.size, cam.weights.len()), ((6, 6), 4));
    for (k, weight) in cam.weights.iter().enumerate() {
        let [more, less] = [STEP, -STEP].map(|step| {
            let mut values = maps.as_vec();
            values[k * area..][..area].iter_mut().for_each(|value| *value += step);
            let mut raised = maps.clone();
            raised.copy_from(&values);
            net.1.forward(raised).as_vec()[2]
        });
        let difference = (more - less) / (2.0 * STEP) / area as f64;
        // Rounding of 1e-10 as above, over 36 places; ten times that.
        assert!((weight - difference).abs() < 3e-11, "map {k}: {weight}, {difference}");
    }
}

/// Of a linear network a cover takes away what gradient times distance to the fill adds up to below it.
#[test]
fn covers_of_linear_networks_add_up() {
    const FILL: f64 = 0.4;
    let dev = Cpu::seed_from_u64(11);
    let net = dev.build_module::<(Flatten, Linear<30, 3>), f64>();
    let x: Tensor<Rank4<1, 1, 5, 6>, f64, _> = dev.sample_normal();
    let slopes = explain::gradient(&net, &x, 1).unwrap().as_vec();
    let shares: Vec<f64> =
        slopes.iter().zip(x.as_vec()).map(|(slope, pixel)| slope * (pixel - FILL)).collect();
    let drops = explain::occlusion(&net, &x, 1, Cover { window: 3, stride: 1, fill: FILL }).unwrap();
    for (top, row) in drops.iter().enumerate() {
        for (left, drop) in row.iter().enumerate() {
            let below = (0..9).map(|at| shares[(top + at / 3) * 6 + left + at % 3]).sum::<f64>();
            assert_close!(*drop, below, 1e-11, 1e-13, "{top}, {left}");
        }
    }
}

/// The midpoint rule's error falls with the square of the steps on a smooth network.
#[test]
fn twice_the_steps_quarter_the_gap() {
    let dev = Cpu::seed_from_u64(12);
    let net = dev.build_module::<(Flatten, Linear<9, 6, Tanh>, Linear<6, 2>), f64>();
    let (x, from): (Tensor<Rank4<1, 1, 3, 3>, f64, _>, _) = (dev.sample_normal(), dev.zeros());
    let logit = |x: &Tensor<Rank4<1, 1, 3, 3>, f64, Cpu>| net.forward(x.clone()).array()[0][0];
    let gap = |steps| {
        let map = explain::integrated_gradients(&net, &x, &from, 0, steps).unwrap();
        (map.as_vec().iter().sum::<f64>() - (logit(&x) - logit(&from))).abs()
    };
    let gaps = [16, 32, 64, 128].map(gap);
    for pair in gaps.windows(2) {
        let order = (pair[0] / pair[1]).log2();
        // The next term falls with the fourth power of the steps.
        assert!((order - 2.0).abs() < 0.1, "{gaps:?}");
    }
}

/// Of $e^{v \cdot x}$ the gradient's mean over normal noise is known: $e^{v \cdot x + \sigma^2 \lvert v\rvert^2 / 2} v$.
#[test]
fn noise_is_drawn_anew_for_every_sample() {
    let dev = Cpu::seed_from_u64(5);
    let mut net = dev.build_module::<(Flatten, Linear<4, 1>, Exp, Linear<1, 2>), f64>();
    net.1.weight = dev.tensor([[0.3, -0.5, 0.2, 0.4]]);
    net.3.weight = dev.tensor([[1.0], [-2.0]]);
    let x: Tensor<Rank4<1, 1, 2, 2>, f64, _> = dev.sample_normal();
    let plain = explain::gradient(&net, &x, 1).unwrap().as_vec();
    let samples = 4000;
    let smooth = explain::smooth_grad(&net, &x, 1, noise(samples)).unwrap().as_vec();
    let square = 0.5 * 0.5 * net.1.weight.clone().square().sum::<Rank0, _>().array(); // of the deviation of v · x
    // The standard error of the mean of a factor whose logarithm has that variance and the mean 0.
    let error = ((square.exp() - 1.0) * square.exp() / samples as f64).sqrt();
    assert!((square / 2.0).exp_m1() > 4.0 * error, "or noise could not be told from none");
    for (smooth, plain) in smooth.iter().zip(&plain) {
        let factor = smooth / plain;
        assert!(
            (factor - (square / 2.0).exp()).abs() < 4.0 * error,
            "{factor}, want {}",
            (square / 2.0).exp()
        );
    }
}

/// From a picture that is not black: the sum is the difference of the logits, and for one weight a pixel its share.
#[test]
fn paths_begin_at_the_baseline() {
    let dev = Cpu::seed_from_u64(6);
    type Pixels = Tensor<Rank4<1, 1, 2, 3>, f64, Cpu>;
    let net = dev.build_module::<(Flatten, Linear<6, 5, Tanh>, Linear<5, 3>), f64>();
    let (x, from): (Pixels, Pixels) = (dev.sample_normal(), dev.sample_normal());
    let map = explain::integrated_gradients(&net, &x, &from, 2, 1000).unwrap();
    let logit = |x: &Pixels| net.forward(x.clone()).array()[0][2];
    let difference = logit(&x) - logit(&from);
    assert!((map.as_vec().iter().sum::<f64>() - difference).abs() < 1e-5 * difference.abs().max(1.0));
    let linear = dev.build_module::<(Flatten, Linear<6, 3>), f64>();
    let map = explain::integrated_gradients(&linear, &x, &from, 2, 3).unwrap().as_vec();
    let way = (x - from).as_vec();
    let want: Vec<f64> = linear.1.weight.array()[2].iter().zip(way).map(|(w, way)| w * way).collect();
    assert_close!(map, want, 1e-12, 1e-13);
}

/// Two channels and a picture that is no square: every pixel of guided backpropagation times the coarse map at its place,
/// which at the size of the picture is the map itself.
#[test]
fn coarse_maps_lie_over_every_channel() {
    type Channels<A> = (Conv2D<2, 4, 3, 1, 1>, A);
    let dev = Cpu::seed_from_u64(7);
    let net = dev.build_module::<(Channels<Relu>, (GlobalAvgPool, Linear<4, 3>)), f64>();
    let mut guided = dev.build_module::<(Channels<GuidedRelu>, (GlobalAvgPool, Linear<4, 3>)), f64>();
    params::unflatten(&mut guided, &params::flatten(&net)).unwrap();
    let x: Tensor<(Const<1>, Const<2>, usize, usize), f64, _> =
        dev.sample_like(&(Const, Const, 5, 7), rand_distr::StandardNormal);
    let cam = explain::grad_cam(&net.0, &net.1, &x, 1).unwrap();
    assert_eq!(cam.size, (5, 7));
    assert_close!(cam.upsampled.clone(), cam.map.clone(), 1e-14);
    let fine = explain::gradient(&guided, &x, 1).unwrap().as_vec();
    let map = explain::guided_grad_cam(&guided, (&net.0, &net.1), &x, 1).unwrap().as_vec();
    assert!(map.iter().any(|v| *v != 0.0));
    for channel in 0..2 {
        for pixel in 0..35 {
            assert_eq!(map[channel * 35 + pixel], fine[channel * 35 + pixel] * cam.map[pixel]);
        }
    }
}

/// Two channels, a picture that is no square, a stride, a grey cover: against pixels written by hand.
#[test]
fn covers_lie_where_the_stride_puts_them() {
    let dev = Cpu::seed_from_u64(8);
    let net = dev.build_module::<(Flatten, Linear<84, 5, Tanh>, Linear<5, 3>), f64>();
    let x: Tensor<Rank4<1, 2, 6, 7>, f64, _> = dev.sample_normal();
    let drops = explain::occlusion(&net, &x, 1, Cover { window: 2, stride: 3, fill: 0.3 }).unwrap();
    assert_eq!((drops.len(), drops[0].len()), (2, 2)); // rows 0 and 3, columns 0 and 3
    let logit = |x: Tensor<Rank4<1, 2, 6, 7>, f64, Cpu>| net.forward(x).array()[0][1];
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut covered = x.clone();
        for (channel, down, across) in
            [0, 1].iter().flat_map(|c| [(*c, 0, 0), (*c, 0, 1), (*c, 1, 0), (*c, 1, 1)])
        {
            covered[[0, channel, 3 * i + down, 3 * j + across]] = 0.3;
        }
        assert_close!(drops[i][j], logit(x.clone()) - logit(covered), 1e-12, 1e-14, "{i}, {j}");
    }
}

/// Equal values share the mean of their ranks: 0, 3/2, 3/2, 3 beside 0, 1, 2, 3.
#[test]
fn ties_have_a_mean_rank() {
    let [a, b] = [[1.0, 2.0, 2.0, 3.0], [1.0, 2.0, 5.0, 9.0]];
    assert_close!(explain::rank_correlation(&a, &b), 0.9_f64.sqrt(), 1e-15);
    assert_close!(explain::rank_correlation(&b, &a), 0.9_f64.sqrt(), 1e-15);
    assert!(explain::rank_correlation(&a, &[7.0; 4]).is_nan());
}

#[test]
fn wrong_requests_are_refused() {
    let dev = Cpu::seed_from_u64(3);
    let net = dev.build_module::<Tiny<Relu>, f64>();
    let x = noise_picture(&dev);
    assert_eq!(explain::gradient(&net, &x, 3).unwrap_err(), ExplainError::Class { class: 3, classes: 3 });
    assert!(matches!(explain::gradient_x_input(&net, &x, 3), Err(ExplainError::Class { .. })));
    assert!(matches!(
        explain::guided_grad_cam(&net, (&net.0, &net.1), &x, 3),
        Err(ExplainError::Class { .. })
    ));
    assert!(matches!(
        explain::occlusion(&net, &x, 3, Cover { window: 3, stride: 1, fill: 0.0 }),
        Err(ExplainError::Class { .. })
    ));
    for (window, stride) in [(0, 1), (3, 0), (9, 1)] {
        let error = explain::occlusion(&net, &x, 0, Cover { window, stride, fill: 0.0 }).unwrap_err();
        assert_eq!(error, ExplainError::Window { window, stride, rows: 8, cols: 8 });
    }
    let none = explain::integrated_gradients(&net, &x, &x, 0, 0).unwrap_err();
    assert_eq!(none.to_string(), "steps must be at least 1, got 0");
    assert!(explain::smooth_grad(&net, &x, 0, noise(0)).is_err());
}
