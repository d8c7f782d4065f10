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
