//! Initialisers against closed forms and PyTorch's gains, and against what they draw.
use kernels::random::Key;
use layers::init::{self, Fan, Init, gain};
use layers::params::{self, Parameter};
use layers::prelude::*;
use layers::{assert_close, testing::Golden};

fn weight(shape: &[usize]) -> Parameter {
    Parameter { name: "weight".into(), shape: shape.to_vec(), is_trainable: true }
}

fn deviation(init: Init) -> f64 {
    match init {
        Init::Normal { standard_deviation } => standard_deviation,
        other => panic!("{other:?} is not normal"),
    }
}

fn bound(init: Init) -> f64 {
    match init {
        Init::Uniform { bound } => bound,
        other => panic!("{other:?} is not uniform"),
    }
}

#[test]
fn schemes_are_those_of_the_papers() {
    let golden = Golden::open(crate::golden("init.json"));
    for run in golden.keys("runs") {
        let number = |key: &str| golden.number(&format!("runs/{run}/{key}"));
        let sizes = (number("fan_in") as usize, number("fan_out") as usize);
        // The last run is a convolution: 3 channels of 5×5 taps to 32.
        let p = if sizes == (75, 800) { weight(&[32, 3, 5, 5]) } else { weight(&[sizes.1, sizes.0]) };
        assert_eq!((Fan::In.of(&p), Fan::Out.of(&p)), (sizes.0 as f64, sizes.1 as f64));
        assert_close!(deviation(Init::lecun_normal(&p)), number("lecun_std"), 1e-14);
        assert_close!(bound(Init::lecun_uniform(&p)), 3.0_f64.sqrt() * number("lecun_std"), 1e-14);
        assert_close!(deviation(Init::glorot_normal(&p, 1.0)), number("glorot_normal_std"), 1e-14);
        assert_close!(bound(Init::glorot_uniform(&p, 1.0)), number("glorot_uniform_bound"), 1e-14);
        assert_close!(deviation(Init::he_normal(&p, Fan::In, gain::RELU)), number("he_normal_std"), 1e-14);
        assert_close!(bound(Init::he_uniform(&p, Fan::In, gain::RELU)), number("he_uniform_bound"), 1e-14);
        assert_close!(deviation(Init::he_normal(&p, Fan::Out, gain::RELU)), number("he_fan_out_std"), 1e-14);
        let leaky = Init::he_normal(&p, Fan::In, gain::leaky_relu(0.2));
        assert_close!(deviation(leaky), number("he_leaky_0_2_std"), 1e-14);
        assert_close!(Fan::In.of(&p).powf(-0.5), number("dfdx_linear_bound"), 1e-14);
        assert_close!((3.0 * Fan::In.of(&p)).powf(-0.5), number("dfdx_linear_std"), 1e-14);
    }
    for (name, value) in [
        ("linear", gain::LINEAR),
        ("sigmoid", gain::SIGMOID),
        ("tanh", gain::TANH),
        ("relu", gain::RELU),
        ("selu", gain::SELU),
    ] {
        assert_close!(value, golden.number(&format!("gains/{name}")), 1e-15);
    }
    golden.skip("gaussian_moments_of_unit_preactivation"); // activation functions
    golden.skip("truncated_normal_2sigma"); // of 40,000 draws, below
    golden.skip("orthogonal"); // a description of the test below
    golden.skip("source");
    golden.finish();
}

/// Moments and limits of 40,000 draws: four standard errors.
#[test]
fn draws_have_the_moments_asked_for() {
    let dev = Cpu::default();
    let drawn = |init: Init| {
        let mut layer = dev.build_module::<Conv2D<16, 100, 5>, f64>();
        init::draw(&mut layer, |p| if p.ndim() > 1 { init } else { Init::Constant(0.25) }, Key::new(1))
            .unwrap();
        assert_eq!(layer.bias.as_vec(), [0.25; 100]);
        layer.weight.as_vec()
    };
    let moments = |values: &[f64]| {
        let mean = |f: &dyn Fn(f64) -> f64| values.iter().map(|v| f(*v)).sum::<f64>() / values.len() as f64;
        (mean(&|v| v), mean(&|v| v * v), values.iter().fold(0.0, |a: f64, v| a.max(v.abs())))
    };
    let normal = drawn(Init::Normal { standard_deviation: 0.5 });
    let uniform = drawn(Init::Uniform { bound: 0.5 });
    let cut = drawn(Init::TruncatedNormal { standard_deviation: 0.5 });
    // Variance of v²: 2σ⁴, b⁴ 4/45, and less than the normal's.
    for (values, variance, of_square) in [
        (&normal, 0.25, 2.0 * 0.0625),
        (&uniform, 0.25 / 3.0, 0.0625 * 4.0 / 45.0),
        (&cut, 0.25, 2.0 * 0.0625),
    ] {
        let (mean, square, _) = moments(values);
        assert!(mean.abs() < 4.0 * (variance / 4e4_f64).sqrt(), "mean {mean}");
        assert!((square - variance).abs() < 4.0 * (of_square / 4e4_f64).sqrt(), "mean square {square}");
    }
    assert!(moments(&normal).2 > 4.0 * 0.5 * 0.85);
    assert!((0.499..=0.5).contains(&moments(&uniform).2));
    let limit = 2.0 * 0.5 / 0.879_625_661_034_239_8;
    assert!((0.99 * limit..=limit).contains(&moments(&cut).2));
}

#[test]
fn orthogonal_matrices_keep_lengths() {
    let dev = Cpu::default();
    type Net = (Linear<12, 20>, Linear<20, 12>, Conv2D<3, 5, 2>); // tall, wide, (5, 12)
    let mut net = dev.build_module::<Net, f64>();
    let gain = 1.5;
    init::draw(&mut net, |p| if p.ndim() > 1 { Init::Orthogonal { gain } } else { Init::Keep }, Key::new(2))
        .unwrap();
    for (values, rows, cols) in
        [(net.0.weight.as_vec(), 20, 12), (net.1.weight.as_vec(), 12, 20), (net.2.weight.as_vec(), 5, 12)]
    {
        let at = |i: usize, k: usize| if rows <= cols { values[i * cols + k] } else { values[k * cols + i] };
        let (few, many) = (rows.min(cols), rows.max(cols));
        for (i, j) in (0..few).flat_map(|i| (0..few).map(move |j| (i, j))) {
            let dot: f64 = (0..many).map(|k| at(i, k) * at(j, k)).sum();
            assert_close!(dot, if i == j { gain * gain } else { 0.0 }, 1e-13, 1e-13);
        }
    }
}

/// The numbers of one tensor do not depend on its neighbours, and the same key gives the same numbers.
#[test]
fn a_tensor_has_numbers_of_its_own() {
    let dev = Cpu::default();
    let he = |p: &Parameter| if p.ndim() > 1 { Init::he_normal(p, Fan::In, gain::RELU) } else { Init::Keep };
    let mut small = dev.build_module::<(Linear<3, 2>, Linear<4, 5>), f32>();
    let mut large = dev.build_module::<(Linear<7, 9>, Linear<4, 5>), f32>();
    init::draw(&mut small, he, Key::new(3)).unwrap();
    init::draw(&mut large, he, Key::new(3)).unwrap();
    assert_eq!(small.1.weight.array(), large.1.weight.array());
    assert_ne!(params::flatten(&small.0)[..6], small.1.weight.as_vec()[..6]);
}

#[test]
#[should_panic(expected = "bias has 1 axes: only weights of two or more have a fan")]
fn a_bias_has_no_fan() {
    Fan::In.of(&Parameter { name: "bias".into(), ..weight(&[3]) });
}
