//! Second order. Every loss here is a function of the tangent only: with a lost tape such a loss goes wrong silently.
use dfdx::nn::builders as theirs;
use dfdx::nn::modules as nn;
use layers::prelude::*;
use layers::testing::{Golden, gradient_check};
use layers::{
    Along, Dual, assert_close, gradient_penalty, hessian_vector_product, hutchinson_trace, input_gradient,
    input_gradient_norm, jacobian_trace, modules, params,
};
use proptest::prelude::*;

type D2<const B: usize, const F: usize> = Dual<Rank2<B, F>, f64, Cpu, OwnedTape<f64, Cpu>>;
type Batch<const F: usize> = Tensor<Rank2<4, F>, f64, Cpu>;

/// A net from 3 to 2 features, checked three ways: the tangent against a difference of values, and the gradient of a
/// loss of the tangent by weights, input and direction; first for a moving input, then for moving weights.
fn second_order_is_exact<N>(tolerance: f64)
where
    N: BuildOnDevice<Cpu, f64>,
    N::Built: TensorCollection<f64, Cpu>
        + Clone
        + Module<Batch<3>, Output = Batch<2>>
        + Module<D2<4, 3>, Output = D2<4, 2>>
        + Along<D2<4, 3>, Output = D2<4, 2>>,
{
    const H: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(21);
    let name = std::any::type_name::<N>();
    for _ in 0..3 {
        let (net, direction) = (dev.build_module::<N, f64>(), dev.build_module::<N, f64>());
        let (x, v): (Batch<3>, Batch<3>) = (dev.sample_normal(), dev.sample_normal());

        let tangent = net.forward(Dual::new(x.leaky_trace(), v.clone())).tangent();
        let moved = |h: f64| net.forward(x.clone() + v.clone() * h);
        assert_close!(tangent, (moved(H) - moved(-H)) / (2.0 * H), 1e-8, 1e-9, "{name}");
        gradient_check(&(net.clone(), x.clone(), v), |(net, x, v)| {
            net.forward(Dual::new(x.leaky_trace(), v.clone())).tangent().square().mean()
        })
        .assert(tolerance);

        let tangent = net.along(&direction, Dual::constant(x.leaky_trace())).tangent();
        let (w, dw) = (params::flatten(&net), params::flatten(&direction));
        let moved = |h: f64| {
            let mut net = net.clone();
            let weights: Vec<f64> = w.iter().zip(&dw).map(|(w, dw)| w + h * dw).collect();
            params::unflatten(&mut net, &weights).unwrap();
            net.forward(x.clone())
        };
        assert_close!(tangent, (moved(H) - moved(-H)) / (2.0 * H), 1e-8, 1e-9, "weights of {name}");
        gradient_check(&(net, x), |(net, x)| {
            net.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean()
        })
        .assert(tolerance);
    }
}

#[test]
fn our_layers() {
    second_order_is_exact::<(Linear<3, 5>, Tanh, Linear<5, 2>)>(1e-7);
    second_order_is_exact::<(
        Linear<3, 5, Sigmoid>,
        Linear<5, 4, Gelu>,
        Linear<4, 3, Silu>,
        Linear<3, 2, Softplus>,
    )>(1e-7);
    second_order_is_exact::<(Linear<3, 5, Relu>, Linear<5, 5>, LeakyRelu, (Gelu,), Linear<5, 2, Tanh>)>(1e-7);
}

#[test]
fn our_activations() {
    second_order_is_exact::<(
        Linear<3, 5, Mish>,
        Linear<5, 5, GeluTanh>,
        (Elu, Celu, Swish),
        Linear<5, 4, LecunTanh>,
        (SoftplusBeta, Squareplus),
        Linear<4, 2, Softsign>,
    )>(1e-6);
    second_order_is_exact::<(
        Linear<3, 5, Selu>,
        (Sin, Cos, Erf, HardTanh),
        Linear<5, 5, LogSigmoid>,
        (HardSwish, Relu6),
        Linear<5, 2>,
        (ReluSquared, HardSigmoid, Abs),
    )>(1e-6);
    second_order_is_exact::<(Linear<3, 5>, (Exp, Sqrt, Ln), Linear<5, 2>, PRelu)>(1e-6);
    second_order_is_exact::<(Linear<3, 8>, Glu<8, 4, Gelu>, Linear<4, 6>, Maxout<6, 2>, PRelu)>(1e-6);
}

#[test]
fn layers_of_dfdx() {
    use theirs::{Cos, Exp, FastGeLU, LeakyReLU, ReLU, Sin, Square, UnbiasedLinear};
    second_order_is_exact::<(theirs::Linear<3, 5>, theirs::Tanh, theirs::Linear<5, 2>)>(1e-7);
    second_order_is_exact::<(UnbiasedLinear<3, 5>, theirs::Sigmoid, Exp, Sin, theirs::Linear<5, 2>, Square)>(
        1e-7,
    );
    second_order_is_exact::<(theirs::Linear<3, 5>, ReLU, Cos, FastGeLU, theirs::Linear<5, 2>, LeakyReLU<f64>)>(
        1e-7,
    );
    second_order_is_exact::<(
        theirs::Linear<3, 5>,
        Square,
        Exp,
        (theirs::Sqrt, theirs::Ln),
        UnbiasedLinear<5, 2>,
    )>(1e-6);
    second_order_is_exact::<((theirs::Linear<3, 2>, theirs::Abs, Square),)>(1e-7);
}

#[test]
fn wrappers_of_dfdx() {
    second_order_is_exact::<(Residual<(Linear<3, 4, Tanh>, Linear<4, 3>)>, Linear<3, 2>)>(1e-7);
    second_order_is_exact::<(Repeated<(theirs::Linear<3, 3>, Tanh), 3>, theirs::Linear<3, 2>)>(1e-7);
    second_order_is_exact::<(Residual<Repeated<Residual<Linear<3, 3, Softplus>>, 2>>, (Linear<3, 2>,))>(1e-7);
}

#[test]
fn vectors_and_sequences() {
    let dev = Cpu::seed_from_u64(22);
    let ours = dev.build_module::<Linear<3, 2, Tanh>, f64>();
    let theirs = (nn::Linear { weight: ours.weight.clone(), bias: ours.bias.clone() }, nn::Tanh);
    let (x, v): (Tensor<Rank3<2, 4, 3>, f64, _>, _) = (dev.sample_normal(), dev.sample_normal());
    let a = ours.forward(Dual::new(x.leaky_trace(), v.clone())).tangent();
    let b = theirs.forward(Dual::new(x.leaky_trace(), v)).tangent();
    assert_close!(a, b, 1e-14);
    let (a, b) = (a.square().sum().backward(), b.square().sum().backward());
    assert_close!(a.get(&ours.weight), b.get(&ours.weight), 1e-13);
    assert_close!(a.get(&x), b.get(&x), 1e-13);
    let (x, v): (Tensor<Rank1<3>, f64, _>, Tensor<Rank1<3>, f64, _>) =
        (dev.sample_normal(), dev.sample_normal());
    let a = ours.forward(Dual::new(x.leaky_trace(), v.clone())).tangent();
    assert_close!(a, theirs.forward(Dual::new(x.leaky_trace(), v)).tangent(), 1e-14);
}

#[test]
fn arithmetic_of_duals() {
    let dev = Cpu::seed_from_u64(23);
    let sample = || dev.sample_normal::<Rank2<3, 4>>();
    let (x, dx, y, dy, c) = (sample(), sample(), sample(), sample(), sample());
    gradient_check(&(x, dx, y, dy), |(x, dx, y, dy)| {
        let (a, b) = (Dual::new(x.leaky_trace(), dx.clone()), Dual::new(y.leaky_trace(), dy.clone()));
        let product = a.with_empty_tape().try_mul(b).unwrap();
        let sum = (product + a).try_sub_constant(c.clone()).unwrap();
        let mean = sum.with_empty_tape().try_mean_all().unwrap().tangent();
        sum.try_mul_self().mse_mean(c.clone()).tangent().square() + mean
    })
    .assert(1e-7);

    let (z, dz) = (sample(), sample());
    gradient_check(&(z, dz), |(z, dz)| {
        Dual::new(z.leaky_trace(), dz.clone()).cross_entropy_mean(&[3, 0, 1]).tangent().square()
    })
    .assert(1e-7);

    let (z, dz) = (sample(), sample());
    let probs = c.clone().sigmoid();
    gradient_check(&(z, dz), |(z, dz)| {
        let z = || Dual::new(z.leaky_trace(), dz.clone());
        let two = z().try_softmax().unwrap().mse_mean(c.clone()).tangent().square()
            + z().try_log_softmax().unwrap().mse_mean(c.clone()).tangent().square();
        let lse = z().try_logsumexp_along(Axis::<1>).unwrap().tangent().square().sum();
        two + lse + z().try_bce_with_logits_mean(&probs).unwrap().tangent().square()
    })
    .assert(1e-7);

    // Each tangent is the slope of its value.
    let probs = c.clone().sigmoid();
    let scalars: [&dyn Fn(D2<3, 4>) -> Dual<Rank0, f64, Cpu, OwnedTape<f64, Cpu>>; 9] = [
        &|x| x.try_softmax().unwrap().mse_mean(c.clone()),
        &|x| x.try_log_softmax().unwrap().mse_mean(c.clone()),
        &|x| x.try_logsumexp_along(Axis::<0>).unwrap().try_sum_all().unwrap(),
        &|x| x.try_bce_with_logits_mean(&probs).unwrap(),
        &|x| x.try_sum_all().unwrap(),
        &|x| x.try_mean_all().unwrap(),
        &|x| x.mse_mean(c.clone()),
        &|x| x.cross_entropy_mean(&[3, 0, 1]),
        &|x| {
            (x.with_empty_tape().try_mul(x.try_sub_constant(c.clone()).unwrap()).unwrap())
                .try_sum_all()
                .unwrap()
        },
    ];
    for (i, scalar) in scalars.iter().enumerate() {
        let (x, v, h) = (sample(), sample(), 6e-6);
        let value =
            |h: f64| scalar(Dual::constant((x.clone() + v.clone() * h).leaky_traced())).value().array();
        let tangent = scalar(Dual::new(x.leaky_trace(), v.clone())).tangent().array();
        assert_close!(tangent, (value(h) - value(-h)) / (2.0 * h), 1e-8, 1e-10, "operation {i}");
    }

    let wrong = Dual::new(sample().leaky_traced(), sample()).try_cross_entropy_mean(&[0, 4, 0]);
    assert!(matches!(wrong, Err(kernels::Error::LabelOutOfRange { index: 1, label: 4, classes: 4 })));
}
trait MulSelf {
    fn try_mul_self(self) -> Self;
}
impl MulSelf for D2<3, 4> {
    fn try_mul_self(self) -> Self {
        theirs::Square.forward(self)
    }
}

type Mlp = (Linear<3, 4, Tanh>, Linear<4, 2>);
type MlpBuilt = <Mlp as BuildOnDevice<Cpu, f64>>::Built;

/// Hessian of the mean cross-entropy times a vector.
fn hv(model: &MlpBuilt, x: &Batch<3>, labels: &[usize], vector: &[f64]) -> Vec<f64> {
    hessian_vector_product(model, vector, |model, direction| {
        model.along(direction, Dual::constant(x.leaky_trace())).cross_entropy_mean(labels)
    })
    .unwrap()
}

fn gradient(model: &MlpBuilt, x: &Batch<3>, labels: &[usize]) -> Vec<f64> {
    let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), labels);
    params::flatten_gradients(model, &mut loss.backward()).unwrap()
}

#[test]
fn second_derivatives_are_those_of_jax() {
    let golden = Golden::open(crate::golden("autodiff.json"));
    let dev = Cpu::default();
    assert_eq!(golden.numbers("mlp/dims"), [3.0, 4.0, 2.0]);
    let mut model = dev.build_module::<Mlp, f64>();
    params::unflatten(&mut model, &golden.numbers("mlp/params")).unwrap();
    let x: Batch<3> = dev.tensor(golden.numbers("mlp/X"));
    let labels: Vec<usize> = golden.numbers("mlp/labels").iter().map(|label| *label as usize).collect();
    let v = golden.numbers("mlp/v");
    let close = |got: &[f64], path: &str| assert_close!(got, golden.numbers(path), 1e-11, 0.0, "{path}"); // 13 digits

    let mut direction = model.clone();
    params::unflatten(&mut direction, &v).unwrap();
    let dual = model.along(&direction, Dual::constant(x.leaky_trace())).cross_entropy_mean(&labels);
    close(&[dual.with_empty_tape().value().array()], "mlp/loss");
    close(&[dual.tangent().array()], "mlp/jvp");
    close(&gradient(&model, &x, &labels), "mlp/grad");
    close(&hv(&model, &x, &labels, &v), "mlp/hvp");

    let basis = |i: usize| (0..v.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    let diagonal: Vec<f64> = (0..v.len()).map(|i| hv(&model, &x, &labels, &basis(i))[i]).collect();
    close(&diagonal, "mlp/hessian_diagonal");
    let g = gradient(&model, &x, &labels);
    let twice: Vec<f64> = hv(&model, &x, &labels, &g).iter().map(|h| 2.0 * h).collect();
    close(&twice, "mlp/grad_of_half_squared_gradient_norm_times_2");

    // sum_n |grad_x sum_k f_k(x_n)|²
    let penalty = input_gradient_norm(&model, &x).square().sum::<Rank0, _>();
    close(&params::flatten_gradients(&model, &mut penalty.backward()).unwrap(), "mlp/double_backprop/grad");

    // Products with the generalised Gauss-Newton matrix, eigenvalues, and the scalar expressions belong to others.
    for other in ["layout", "hessian_eigenvalues", "gauss_newton_vector_product", "gauss_newton_trace"] {
        golden.skip(&format!("mlp/{other}"));
    }
    for other in ["mlp/per_example_grad_norms", "mlp/double_backprop/penalty", "source", "scalars"] {
        golden.skip(other);
    }
    golden.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_hessian_is_symmetric_and_linear_and_the_slope_of_the_gradient(
        seed in 0..1000_u64, scale in 0.1..2.0_f64, labels in prop::array::uniform4(0..2_usize),
    ) {
        let dev = Cpu::seed_from_u64(seed);
        let (model, other) = (dev.build_module::<Mlp, f64>(), dev.build_module::<Mlp, f64>());
        let x: Batch<3> = dev.sample_normal::<Rank2<4, 3>>() * scale;
        let u = params::flatten(&other);
        let v: Vec<f64> = params::flatten(&dev.build_module::<Mlp, f64>());
        let (hu, hv_) = (hv(&model, &x, &labels, &u), hv(&model, &x, &labels, &v));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert_close!(dot(&u, &hv_), dot(&v, &hu), 1e-9, 1e-13, "u.Hv = v.Hu");
        let sum: Vec<f64> = u.iter().zip(&v).map(|(u, v)| 2.0 * u - v).collect();
        let want: Vec<f64> = hu.iter().zip(&hv_).map(|(u, v)| 2.0 * u - v).collect();
        assert_close!(hv(&model, &x, &labels, &sum), want, 1e-11, 1e-13, "linear");
        let at = |h: f64| {
            let mut moved = model.clone();
            let weights: Vec<f64> = params::flatten(&model).iter().zip(&v).map(|(w, v)| w + h * v).collect();
            params::unflatten(&mut moved, &weights).unwrap();
            gradient(&moved, &x, &labels)
        };
        let h = 6e-6;
        let numeric: Vec<f64> = at(h).iter().zip(at(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect();
        assert_close!(hv_, numeric, 1e-7, 1e-9, "difference of gradients");
    }

    #[test]
    fn forward_and_backward_are_adjoint(seed in 0..1000_u64) {
        // u . (J v) = (Jᵀ u) . v
        let dev = Cpu::seed_from_u64(seed);
        let model = dev.build_module::<Mlp, f64>();
        let (x, v, u): (Batch<3>, Batch<3>, Batch<2>) = (dev.sample_normal(), dev.sample_normal(), dev.sample_normal());
        let forward = (model.forward(Dual::new(x.leaky_trace(), v.clone())).tangent() * u.clone()).sum::<Rank0, _>().array();
        let gradients = (model.forward(x.leaky_trace()) * u).sum().backward();
        let backward = (gradients.get(&x) * v).sum::<Rank0, _>().array();
        assert_close!(forward, backward, 1e-11, 1e-14);
    }
}

#[test]
fn a_clone_of_the_model_may_be_the_direction() {
    // A clone has the tensor ids of the model: its gradient must not be added to the model's.
    let dev = Cpu::seed_from_u64(24);
    fn check<M>(model: &M, x: &Batch<3>)
    where
        M: TensorCollection<f64, Cpu, To<f64, Cpu> = M> + Clone + Along<D2<4, 3>, Output = D2<4, 2>>,
    {
        use dfdx::nn::BuildModule;
        let mut fresh = M::build(&Cpu::default());
        params::unflatten(&mut fresh, &params::flatten(model)).unwrap();
        let [clone, fresh] = [model.clone(), fresh].map(|direction| {
            let loss = model.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean();
            params::flatten_gradients(model, &mut loss.backward()).unwrap()
        });
        assert_eq!(clone, fresh);
    }
    let x: Batch<3> = dev.sample_normal();
    check(&dev.build_module::<Mlp, f64>(), &x);
    check(&dev.build_module::<(theirs::Linear<3, 5>, nn::Tanh, theirs::UnbiasedLinear<5, 2>), f64>(), &x);
}

#[test]
fn gradient_penalties_have_exact_weight_gradients() {
    let dev = Cpu::seed_from_u64(25);
    type Ours = (Linear<3, 6, Softplus>, Linear<6, 5, Tanh>, Linear<5, 1>);
    type Theirs = (theirs::Linear<3, 6>, theirs::Sigmoid, theirs::Linear<6, 1>);
    for _ in 0..3 {
        let x: Batch<3> = dev.sample_normal();
        let critic = dev.build_module::<Ours, f64>();
        gradient_check(&critic, |critic| gradient_penalty(critic, &x, 1.0)).assert(1e-7);
        gradient_check(&critic, |critic| input_gradient_norm(critic, &x).mean()).assert(1e-7);
        gradient_check(&dev.build_module::<Theirs, f64>(), |critic| gradient_penalty(critic, &x, 0.5))
            .assert(1e-7);

        let (norms, gradient) =
            (input_gradient_norm(&critic, &x).as_vec(), input_gradient(&critic, &x).array());
        for (norm, row) in norms.iter().zip(gradient) {
            assert_close!(*norm, row.iter().map(|g| g * g).sum::<f64>().sqrt(), 1e-13);
        }
    }
}

#[test]
fn a_gradient_of_zero_has_norm_zero_and_no_nan() {
    let dev = Cpu::default();
    let mut critic = dev.build_module::<(Linear<3, 2, Relu>, Linear<2, 1>), f32>();
    critic.0.bias = dev.tensor([-1e9, -1e9]); // dead
    let x: Tensor<(usize, Const<3>), f32, _> = dev.sample_normal_like(&(5, Const));
    let penalty = gradient_penalty(&critic, &x, 1.0);
    assert_eq!(penalty.array(), 1.0);
    let flat = params::flatten_gradients(&critic, &mut penalty.backward()).unwrap();
    assert_eq!(flat, vec![0.0; flat.len()]);
}

#[test]
fn traces_of_jacobians() {
    let dev = Cpu::seed_from_u64(26);
    let field = dev.build_module::<(Linear<3, 5, Tanh>, Linear<5, 3>), f64>();
    let x: Batch<3> = dev.sample_normal();
    let trace = jacobian_trace(&field, &x).as_vec();

    // The diagonal of the Jacobian by one backward pass per output.
    let mut want = [0.0; 4];
    for feature in 0..3 {
        let mut select = [[0.0; 3]; 4];
        select.iter_mut().for_each(|row| row[feature] = 1.0);
        let gradients = (field.forward(x.leaky_trace()) * dev.tensor(select)).sum().backward();
        gradients.get(&x).array().iter().zip(&mut want).for_each(|(row, want)| *want += row[feature]);
    }
    assert_close!(trace, want, 1e-13);

    // Over all sign vectors the estimate is exact: the mean of e_i e_j is 1 for i = j and 0 else.
    let mut mean = [0.0; 4];
    for signs in 0..8_u8 {
        let probe = [0, 1, 2].map(|bit| if signs >> bit & 1 == 1 { 1.0 } else { -1.0 });
        let estimate = hutchinson_trace(&field, &x, &dev.tensor([probe; 4])).as_vec();
        mean.iter_mut().zip(estimate).for_each(|(mean, e)| *mean += e / 8.0);
    }
    assert_close!(mean, want, 1e-13);

    gradient_check(&field, |field| jacobian_trace(field, &x).square().mean()).assert(1e-7);
    let probe: Batch<3> = dev.sample_normal();
    gradient_check(&field, |field| hutchinson_trace(field, &x, &probe).square().mean()).assert(1e-7);
}

#[test]
fn a_skipped_input_gradient_keeps_the_weight_gradients() {
    let dev = Cpu::seed_from_u64(27);
    let mut net = dev.build_module::<Mlp, f64>();
    let direction = dev.build_module::<Mlp, f64>();
    let x: Batch<3> = dev.sample_normal();
    let flat = |net: &MlpBuilt| {
        let loss = net.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean();
        params::flatten_gradients(net, &mut loss.backward()).unwrap()
    };
    let needed = flat(&net);
    net.0.input_gradient = layers::InputGradient::Skipped;
    assert_eq!(flat(&net), needed);
    let _: &modules::Linear<3, 4, f64, Cpu, Tanh> = &net.0;
}
