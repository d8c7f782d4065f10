//! Linear and activations as modules.
use dfdx::nn::builders as theirs;
use dfdx::nn::modules as nn;
use layers::activation::Activation;
use layers::prelude::*;
use layers::testing::{Golden, gradient_check};
use layers::{Dual, assert_close, modules, params};

#[test]
fn activations_and_their_derivatives_are_those_of_pytorch() {
    let golden = Golden::open(crate::golden("activations.json"));
    let points = golden.numbers("x");
    let dev = Cpu::default();
    let check = |run: &str, module: &dyn Fn(Dual1) -> Dual1| {
        for (i, x) in points.iter().enumerate() {
            let x = dev.tensor([*x]);
            let y = module(Dual::new(x.leaky_trace(), dev.tensor([1.0])));
            let (value, tangent) = (y.clone_value(), y.tangent());
            let slope = tangent.array()[0];
            let mut gradients: Gradients<f64, Cpu> = tangent.sum().backward();
            gradients.try_alloc_for(&x).unwrap();
            let second = gradients.get(&x).array()[0];
            let at = |what: &str| golden.number(&format!("runs/{run}/{what}/{i}"));
            // The file has 13 digits; where a derivative is nearly 1 or 0, torch rounds to 1e-16 before it subtracts,
            // and above 20 its softplus is the identity.
            let absolute = match run {
                "softplus" | "softplus_beta2" if x.array()[0] > 9.0 => 1e-12,
                "gelu_tanh" | "gelu_erf" | "squareplus" | "mish" => 1e-14,
                _ => 1e-15,
            };
            assert_close!(value, at("y"), 1e-11, absolute, "{run} at {:?}", x.array());
            assert_close!(slope, at("dy"), 1e-11, absolute, "slope of {run} at {:?}", x.array());
            assert_close!(
                second,
                at("d2y"),
                1e-10,
                10.0 * absolute,
                "second derivative of {run} at {:?}",
                x.array()
            );
        }
    };
    macro_rules! check {
        ($($run:literal: $($module:expr),+;)*) => {$($(check($run, &|x| $module.forward(x));)+)*};
    }
    check! {
        "sigmoid": Sigmoid, nn::Sigmoid;
        "tanh": Tanh, nn::Tanh;
        "relu": Relu, nn::ReLU;
        "leaky_relu_0_01": LeakyRelu::default();
        "elu_1": Elu::default();
        "celu_2": Celu(2.0);
        "selu": Selu;
        "gelu_erf": Gelu;
        "gelu_tanh": GeluTanh, nn::FastGeLU;
        "silu": Silu, Swish::default();
        "mish": Mish;
        "softplus": Softplus;
        "softplus_beta2": SoftplusBeta(2.0);
        "softsign": Softsign;
        "hardtanh": HardTanh;
        "hardswish": HardSwish;
        "relu6": Relu6;
        "logsigmoid": LogSigmoid;
        "squareplus": Squareplus::default();
        "lecun_tanh": LecunTanh;
        "relu_squared": ReluSquared;
        "prelu_0_25": dev.build_module::<PRelu, f64>();
    }
    // PyTorch's slope of the hard sigmoid is the f32 nearest to 1/6.
    golden.skip("runs/hardsigmoid");
    ["source", "note", "maxout_k2"].iter().for_each(|about| golden.skip(about));
    golden.finish();
}
type Dual1 = Dual<Rank1<1>, f64, Cpu, OwnedTape<f64, Cpu>>;
trait CloneValue {
    fn clone_value(&self) -> f64;
}
impl CloneValue for Dual1 {
    fn clone_value(&self) -> f64 {
        self.with_empty_tape().value().array()[0]
    }
}

#[test]
fn a_layer_is_the_layer_of_dfdx_with_the_same_seed() {
    let (ours, theirs) = (
        Cpu::seed_from_u64(9).build_module::<Linear<5, 3>, f32>(),
        Cpu::seed_from_u64(9).build_module::<theirs::Linear<5, 3>, f32>(),
    );
    assert_eq!(params::flatten(&ours), params::flatten(&theirs));

    let dev = Cpu::seed_from_u64(10);
    let ours = dev.build_module::<Linear<5, 3>, f64>();
    let theirs = nn::Linear { weight: ours.weight.clone(), bias: ours.bias.clone() };
    let x: Tensor<Rank3<2, 4, 5>, f64, _> = dev.sample_normal();
    let (a, b) = (ours.forward(x.leaky_trace()), theirs.forward(x.leaky_trace()));
    assert_close!(a, b, 1e-15);
    let (a, b) = (a.square().sum().backward(), b.square().sum().backward());
    assert_close!(a.get(&x), b.get(&x), 1e-14);
    assert_close!(a.get(&ours.weight), b.get(&ours.weight), 1e-14);
    assert_close!(a.get(&ours.bias), b.get(&ours.bias), 1e-14);

    // Every number of axes gives the same rows.
    let rows = ours.forward(x.clone()).array();
    let row: Tensor<Rank1<5>, f64, _> = dev.tensor(x.array()[1][2]);
    assert_close!(ours.forward(row), rows[1][2], 1e-15);
    let batch: Tensor<(usize, Const<5>), f64, _> = dev.tensor((x.as_vec(), (8, Const)));
    assert_close!(ours.forward(batch), rows, 1e-15);
    let four: Tensor<Rank4<1, 2, 4, 5>, f64, _> = dev.tensor(x.as_vec());
    assert_close!(ours.forward(four), rows, 1e-15);
}

fn fused<A: Activation + Module<Tensor<Rank2<4, 2>, f64, Cpu>, Output = Tensor<Rank2<4, 2>, f64, Cpu>>>() {
    let dev = Cpu::seed_from_u64(11);
    let layer: modules::Linear<3, 2, f64, Cpu, A> = BuildModule::build(&dev);
    let plain = nn::Linear { weight: layer.weight.clone(), bias: layer.bias.clone() };
    for _ in 0..3 {
        let x: Tensor<Rank2<4, 3>, f64, _> = dev.sample_normal();
        assert_close!(layer.forward(x.clone()), A::default().forward(plain.forward(x.clone())), 1e-14);
        gradient_check(&(layer.clone(), x), |(layer, x)| layer.forward(x.leaky_trace()).square().sum())
            .assert(1e-8);
    }
}

#[test]
fn every_fused_activation_has_the_right_value_and_gradient() {
    fused::<Identity>();
    fused::<Relu>();
    fused::<Sigmoid>();
    fused::<Tanh>();
    fused::<Gelu>();
    fused::<Silu>();
    fused::<Softplus>();
}

#[test]
fn skipping_the_gradient_of_the_input_changes_nothing_else() {
    let dev = Cpu::seed_from_u64(12);
    let mut layer = dev.build_module::<Linear<3, 2, Tanh>, f64>();
    let x: Tensor<Rank2<4, 3>, f64, _> = dev.sample_normal();
    let all = layer.forward(x.leaky_trace()).square().sum().backward();
    layer.input_gradient = InputGradient::Skipped;
    let mut some = layer.forward(x.leaky_trace()).square().sum().backward();
    assert_eq!(all.get(&layer.weight).array(), some.get(&layer.weight).array());
    assert_eq!(all.get(&layer.bias).array(), some.get(&layer.bias).array());
    assert_ne!(all.get(&x).array(), [[0.0; 3]; 4]);
    some.try_alloc_for(&x).unwrap();
    assert_eq!(some.get(&x).array(), [[0.0; 3]; 4]);
}

#[test]
fn evaluation_and_training_take_any_tape() {
    let dev = Cpu::seed_from_u64(13);
    type Net =
        (Linear<3, 3, Gelu>, Residual<(Linear<3, 3>, LeakyRelu)>, theirs::Repeated<(Linear<3, 3>, Silu), 2>);
    let mut model = dev.build_module::<Net, f64>();
    let x: Tensor<Rank2<4, 3>, f64, _> = dev.sample_normal();
    let y = model.forward(x.clone()).array();
    assert_eq!(model.forward_mut(x.clone()).array(), y);
    assert_eq!(model.forward_mut(x.leaky_trace()).array(), y);
    assert_eq!(model.forward(x.leaky_trace()).array(), y);
    let single: <Net as BuildOnDevice<Cpu, f32>>::Built = model.to_dtype();
    assert_close!(single.forward(x.to_dtype::<f32>()), y, 1e-6);
}

#[test]
fn one_key_gives_each_tensor_its_own_normal_numbers() {
    use kernels::random::Key;
    let dev = Cpu::default();
    let mut model = dev.build_module::<(Linear<40, 50>, theirs::BatchNorm1D<50>, Linear<50, 20>), f64>();
    let statistics = model.1.running_var.array();
    let draw =
        |model: &mut _, key| layers::init::normal(model, |p| if p.ndim() == 2 { 0.5 } else { 2.0 }, key);
    draw(&mut model, Key::new(3)).unwrap();
    assert_eq!(model.1.running_var.array(), statistics, "not trainable");
    let moments = |values: Vec<f64>| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt(), n)
    };
    for (values, sd) in
        [(model.0.weight.as_vec(), 0.5), (model.2.weight.as_vec(), 0.5), (model.0.bias.as_vec(), 2.0)]
    {
        let (mean, deviation, n) = moments(values);
        // four standard errors of mean and standard deviation
        assert!(mean.abs() < 4.0 * sd / n.sqrt() && (deviation / sd - 1.0).abs() < 4.0 / (2.0 * n).sqrt());
    }
    assert_ne!(model.0.bias.as_vec()[..20], model.2.bias.as_vec(), "each tensor has a key of its own");
    let first = params::flatten(&model);
    draw(&mut model, Key::new(3)).unwrap();
    assert_eq!(params::flatten(&model), first);
    draw(&mut model, Key::new(4)).unwrap();
    assert!(params::flatten(&model).iter().zip(&first).all(|(a, b)| a != b));
    let mut part = dev.build_module::<Linear<40, 50>, f64>();
    draw_part(&mut part);
    assert_eq!(part.weight.as_vec(), first[..2000], "does not depend on what follows");
    fn draw_part(part: &mut modules::Linear<40, 50, f64, Cpu>) {
        layers::init::normal(part, |p| if p.ndim() == 2 { 0.5 } else { 2.0 }, Key::new(3)).unwrap();
    }
}

#[test]
fn maxout_is_that_of_pytorch() {
    let golden = Golden::open(crate::golden("activations.json"));
    let dev = Cpu::default();
    let x: Tensor<Rank2<2, 6>, f64, _> = dev.tensor(golden.numbers("maxout_k2/x"));
    let y: Tensor<Rank2<2, 3>, f64, _, _> = Maxout::<6, 3>.forward(x.leaky_trace());
    assert_close!(y.array(), golden.numbers("maxout_k2/y"), 1e-13);
    let upstream = dev.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let gradient = (y * upstream).sum().backward().get(&x);
    assert_close!(gradient, golden.numbers("maxout_k2/grad_for_upstream_1_to_6"), 1e-13);
    // The functions of one number are another test's.
    ["source", "note", "x", "runs", "maxout_k2/note"].iter().for_each(|about| golden.skip(about));
    golden.finish();
}

#[test]
fn gated_units_and_learned_slopes_have_the_right_gradients() {
    let dev = Cpu::seed_from_u64(31);
    let x: Tensor<Rank2<4, 6>, f64, _> = dev.sample_normal();
    let y: Tensor<Rank2<4, 3>, f64, _> = Glu::<6, 3, Silu>::default().forward(x.clone());
    let (a, b) = (x.clone().slice((.., ..3)), x.clone().slice((.., 3..)));
    let want = a * Silu.forward(b);
    assert_close!(y, want.as_vec(), 1e-15);
    gradient_check(&x, |x| {
        let y: Tensor<Rank2<4, 3>, f64, _, _> = Glu::<6, 3, Tanh>::default().forward(x.leaky_trace());
        y.square().sum()
    })
    .assert(1e-8);
    let prelu = dev.build_module::<PRelu, f64>();
    gradient_check(&(prelu, x), |(prelu, x)| prelu.forward(x.leaky_trace()).square().sum()).assert(1e-8);
}

#[test]
fn numbers_of_activations_and_learned_slopes_survive_a_file() {
    let dev = Cpu::default();
    type Net = (Elu, PRelu, (Swish, Squareplus));
    let mut model = dev.build_module::<Net, f64>();
    (model.0, model.2) = (Elu(0.3), (Swish(1.5), Squareplus(0.5)));
    model.1.slope = dev.tensor(0.1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    layers::save(&model, &path).unwrap();
    let mut loaded = dev.build_module::<Net, f64>();
    layers::load(&mut loaded, &path).unwrap();
    assert_eq!((loaded.0, loaded.2), (Elu(0.3), (Swish(1.5), Squareplus(0.5))));
    assert_eq!(loaded.1.slope.array(), 0.1);
    let x = dev.tensor([-1.0, 2.0]);
    assert_eq!(params::names(&model), params::names(&loaded));
    assert_eq!(loaded.1.forward(x.clone()).array(), model.1.forward(x).array());
}
