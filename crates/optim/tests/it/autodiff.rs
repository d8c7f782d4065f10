//! Lecture 4: values of JAX, agreement of forward and reverse, spectra, gradient checks.
use layers::prelude::*;
use layers::{Along, Dual, assert_close, hessian_vector_product, params, testing::Golden};
use nalgebra::DMatrix;
use optim::Error;
use optim::autodiff::dual::{DualNumber, gradient, gradient_and_hessian};
use optim::autodiff::gradcheck::{Directions, GradCheck, gradcheck};
use optim::autodiff::hvp::{Sizes, second_order};
use optim::autodiff::scalar::{ScalarTape, Var as ScalarVar};
use optim::autodiff::tensor::{Tape, Var, hvp};
use optim::autodiff::{Number, hessian_times_model};
use optim::learning::one_hot;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

pub(crate) fn golden() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/autodiff.json"))
}

pub(crate) fn normal(rows: usize, columns: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

fn one<T: Number>() -> T {
    T::from(1.0)
}

fn poly_trig<T: Number>([x, y, z]: [T; 3]) -> T {
    x * y + x.sin() * z.exp() - y / (one::<T>() + z * z)
}
fn fan_out<T: Number>([x, y, z]: [T; 3]) -> T {
    (x + x * x) * (x * y) * (x * z).tanh() + x
}
fn deep<T: Number>([x, y, z]: [T; 3]) -> T {
    (one::<T>() + ((x * y).sin().powi(3) + (z + x * x).sqrt()).exp()).ln()
}
fn power<T: Number>([x, y, z]: [T; 3]) -> T {
    x.powf(y) + y.powf(z) + z.powf(x)
}

/// The same expressions on the tape of matrices.
pub(crate) fn on_tensors<'t>(name: &str, [x, y, z]: [Var<'t>; 3]) -> Var<'t> {
    match name {
        "poly_trig" => x * y + x.sin() * z.exp() - y / (z * z).shift(1.0),
        "fan_out" => (x + x * x) * (x * y) * (x * z).tanh() + x,
        "deep" => ((x * y).sin().powi(3) + (z + x * x).sqrt()).exp().shift(1.0).ln(),
        "power" => x.pow(y) + y.pow(z) + z.pow(x),
        _ => panic!("no expression `{name}`"),
    }
}

type Tangents = DualNumber<f64, 3>;
type Hessians = DualNumber<Tangents, 3>;
type Mixed<'t> = ScalarVar<'t, Tangents>;

#[test]
fn scalar_expressions_agree_with_jax() {
    let golden = golden();
    let x = ["x", "y", "z"].map(|name| golden.number(&format!("scalars/{name}")));
    for name in golden.keys("scalars/runs") {
        let key = |what: &str| format!("scalars/runs/{name}/{what}");
        golden.skip(&format!("scalars/formulas/{name}"));
        let functions: (fn([Tangents; 3]) -> Tangents, fn([Hessians; 3]) -> Hessians) = match name {
            "poly_trig" => (poly_trig, poly_trig),
            "fan_out" => (fan_out, fan_out),
            "deep" => (deep, deep),
            "power" => (power, power),
            _ => panic!("no expression `{name}`"),
        };
        let (value, want) = (golden.number(&key("value")), golden.numbers(&key("grad")));
        let hessian = golden.numbers(&key("hessian"));
        // Forward, and forward over forward.
        let (forward, tangent) = gradient(functions.0, x);
        assert_close!(forward, value, 1e-13);
        assert_close!(tangent, want, 1e-12, 0.0, "{name}");
        let (_, tangent, second) = gradient_and_hessian(functions.1, x);
        assert_close!(tangent, want, 1e-12, 0.0, "{name}");
        assert_close!(second, hessian, 1e-12, 1e-14, "{name}");
        // Reverse.
        let tape = ScalarTape::new();
        let vars = x.map(|x| tape.var(x));
        let y = match name {
            "poly_trig" => poly_trig(vars),
            "fan_out" => fan_out(vars),
            "deep" => deep(vars),
            _ => power(vars),
        };
        let adjoints = tape.backward(y);
        assert_close!(vars.map(|v| adjoints.wrt(v)), want, 1e-12, 0.0, "{name}");
        // Forward over reverse: a tape of dual numbers.
        let tape: ScalarTape<Tangents> = ScalarTape::new();
        let vars: [Mixed<'_>; 3] = std::array::from_fn(|i| tape.var(DualNumber::input(x[i], i)));
        let y = match name {
            "poly_trig" => poly_trig(vars),
            "fan_out" => fan_out(vars),
            "deep" => deep(vars),
            _ => power(vars),
        };
        let adjoints = tape.backward(y);
        assert_close!(vars.map(|v| adjoints.wrt(v).tangent), hessian, 1e-12, 1e-14, "{name}");
        // Symbol to symbol: forward over reverse, and reverse over reverse.
        let tape = Tape::new();
        let vars = x.map(|x| tape.input(DMatrix::from_element(1, 1, x)));
        let y = on_tensors(name, vars);
        let first = tape.gradient(y, &vars);
        assert_close!(first.iter().map(|g| g.number()).collect::<Vec<_>>(), want, 1e-12, 0.0, "{name}");
        let second: Vec<f64> =
            first.iter().flat_map(|&g| tape.gradient(g, &vars)).map(|g| g.number()).collect();
        assert_close!(second, hessian, 1e-12, 1e-14, "{name}");
        let unit =
            |i: usize, j: usize| tape.constant(DMatrix::from_element(1, 1, f64::from(u8::from(i == j))));
        for i in 0..3 {
            let column = tape.hessian_times(y, &vars, &[unit(i, 0), unit(i, 1), unit(i, 2)]);
            let column: Vec<f64> = column.iter().map(|g| g.number()).collect();
            assert_close!(column, &hessian[3 * i..3 * i + 3], 1e-12, 1e-13, "{name}");
        }
    }
    golden.skip("source");
    golden.skip("mlp"); // the next test
    golden.finish();
}

/// The network of the golden file on the tape of matrices: (tape variables, loss) for flat parameters.
struct Mlp<'t> {
    parameters: [Var<'t>; 4],
    x: Var<'t>,
    logits: Var<'t>,
    loss: Var<'t>,
}

fn mlp<'t>(tape: &'t Tape, sizes: Sizes, flat: &[f64], x: &DMatrix<f64>, labels: &[usize]) -> Mlp<'t> {
    let parameters = split(sizes, flat).map(|m| tape.input(m));
    let [w1, b1, w2, b2] = parameters;
    let x = tape.input(x.clone());
    let n = x.shape().0;
    let hidden = (x.matmul(w1.transpose()) + b1.repeat_rows(n)).tanh();
    let logits = hidden.matmul(w2.transpose()) + b2.repeat_rows(n);
    let loss = logits.cross_entropy(tape.constant(one_hot(labels, sizes.outputs).unwrap()));
    Mlp { parameters, x, logits, loss }
}

/// `[W1 (H, I), b1 (1, H), W2 (O, H), b2 (1, O)]` of a flat vector.
pub(crate) fn split(sizes: Sizes, flat: &[f64]) -> [DMatrix<f64>; 4] {
    let Sizes { inputs, hidden, outputs } = sizes;
    let (w1, rest) = flat.split_at(inputs * hidden);
    let (b1, rest) = rest.split_at(hidden);
    let (w2, b2) = rest.split_at(hidden * outputs);
    [(hidden, inputs, w1), (1, hidden, b1), (outputs, hidden, w2), (1, outputs, b2)]
        .map(|(rows, columns, numbers)| DMatrix::from_row_slice(rows, columns, numbers))
}

pub(crate) fn join(parts: &[Var<'_>]) -> Vec<f64> {
    parts.iter().flat_map(|part| part.value().transpose().as_slice().to_vec()).collect()
}

#[test]
fn second_order_of_a_network_agrees_with_jax_three_times() {
    let golden = golden();
    let numbers = |key: &str| golden.numbers(&format!("mlp/{key}"));
    let dims: Vec<usize> = numbers("dims").iter().map(|d| *d as usize).collect();
    let sizes = Sizes { inputs: dims[0], hidden: dims[1], outputs: dims[2] };
    let (w, v) = (numbers("params"), numbers("v"));
    let labels: Vec<usize> = numbers("labels").iter().map(|l| *l as usize).collect();
    let x = DMatrix::from_row_slice(labels.len(), sizes.inputs, &numbers("X"));
    let (loss, want, hvp) = (golden.number("mlp/loss"), numbers("grad"), numbers("hvp"));

    // By hand.
    let hand = second_order(sizes, &w, &v, &x, &labels).unwrap();
    assert_close!(hand.loss, loss, 1e-12);
    assert_close!(hand.gradient, want, 1e-11);
    assert_close!(hand.directional, golden.number("mlp/jvp"), 1e-11);
    assert_close!(hand.hessian_vector, hvp, 1e-11);
    assert_close!(hand.gauss_newton_vector, numbers("gauss_newton_vector_product"), 1e-11);
    let unit = |i: usize| (0..w.len()).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    let at = |i: usize| second_order(sizes, &w, &unit(i), &x, &labels).unwrap();
    let diagonal: Vec<f64> = (0..w.len()).map(|i| at(i).hessian_vector[i]).collect();
    assert_close!(diagonal, numbers("hessian_diagonal"), 1e-11);
    let trace: f64 = (0..w.len()).map(|i| at(i).gauss_newton_vector[i]).sum();
    assert_close!(trace, golden.number("mlp/gauss_newton_trace"), 1e-11);
    let hessian = DMatrix::from_fn(w.len(), w.len(), |i, j| at(j).hessian_vector[i]);
    assert_close!(hessian.as_slice(), hessian.transpose().as_slice(), 1e-13);
    let mut spectrum = hessian.symmetric_eigenvalues().as_slice().to_vec();
    spectrum.sort_by(f64::total_cmp);
    assert_close!(spectrum, numbers("hessian_eigenvalues"), 1e-11);

    // Symbol to symbol.
    let tape = Tape::new();
    let net = mlp(&tape, sizes, &w, &x, &labels);
    let gradient = tape.gradient(net.loss, &net.parameters);
    assert_close!(join(&gradient), want, 1e-11);
    let direction = split(sizes, &v).map(|m| tape.constant(m));
    let jvp = tape.directional(net.loss, &net.parameters, &direction);
    assert_close!(jvp.number(), golden.number("mlp/jvp"), 1e-11);
    assert_close!(join(&tape.hessian_times(net.loss, &net.parameters, &direction)), hvp, 1e-11);
    let zero = tape.constant(DMatrix::zeros(1, 1));
    let dot = gradient.iter().zip(direction).fold(zero, |sum, (g, d)| sum + (*g * d).sum());
    assert_close!(join(&tape.gradient(dot, &net.parameters)), &hvp, 1e-11, 0.0, "reverse over reverse");
    let squared = gradient.iter().fold(zero, |sum, g| sum + (*g * *g).sum());
    let of_norm = numbers("grad_of_half_squared_gradient_norm_times_2");
    assert_close!(join(&tape.gradient(squared, &net.parameters)), of_norm, 1e-11);
    // A penalty on the derivative by the inputs.
    let slope = tape.gradient(net.logits.sum(), &[net.x])[0];
    let penalty = tape.gradient((slope * slope).sum(), &net.parameters);
    golden.skip("mlp/double_backprop/penalty"); // its formula
    assert_close!(join(&penalty), numbers("double_backprop/grad"), 1e-11);
    let norms: Vec<f64> = (0..labels.len())
        .map(|i| {
            let one = second_order(sizes, &w, &v, &x.rows(i, 1).into_owned(), &labels[i..=i]).unwrap();
            one.gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
        })
        .collect();
    assert_close!(norms, numbers("per_example_grad_norms"), 1e-11);

    // dfdx's tape, with a dual along the direction.
    let dev = Cpu::default();
    let mut model = dev.build_module::<(Linear<3, 4, Tanh>, Linear<4, 2>), f64>();
    params::unflatten(&mut model, &w).unwrap();
    let batch = dev.tensor_from_vec(numbers("X"), (labels.len(), Const::<3>));
    let targets = one_hot(&labels, 2).unwrap().transpose().as_slice().to_vec();
    let targets = dev.tensor_from_vec(targets, (labels.len(), Const::<2>));
    let logits = model.forward(batch.leaky_trace());
    let loss = cross_entropy_with_logits_loss(logits, targets.clone());
    assert_close!(params::flatten_gradients(&model, &mut loss.backward()).unwrap(), want, 1e-11);
    let got = hessian_vector_product(&model, &v, |model, direction| {
        model.along(direction, Dual::constant(batch.leaky_trace())).cross_entropy_mean(&labels)
    });
    let got = got.unwrap();
    assert_close!(got, hand.hessian_vector, 1e-12, 1e-15);
    // The same as a model.
    let mut direction = model.clone();
    params::unflatten(&mut direction, &v).unwrap();
    let product = hessian_times_model(&model, &direction, |model, direction| {
        model.along(direction, Dual::constant(batch.leaky_trace())).cross_entropy_mean(&labels)
    });
    assert_eq!(params::flatten(&product.unwrap()), got);
    for key in ["source", "scalars", "mlp/layout"] {
        golden.skip(key);
    }
    golden.finish();
}

/// The larger of two, of which the first wins ties.
fn larger<T: Number>(a: T, b: T) -> T {
    if a.real() >= b.real() { a } else { b }
}

/// Every public way to a product of the Hessian and a vector, against the central difference of dfdx's gradients along it,
/// $(\nabla f(w + \epsilon v) - \nabla f(w - \epsilon v))/2\epsilon$ with $\epsilon = 10^{-5}(1 + \lvert w\rvert)/\lvert v\rvert$.
#[test]
fn hessian_products_are_differences_of_gradients() {
    let dev = Cpu::default();
    let sizes = Sizes { inputs: 3, hidden: 4, outputs: 2 };
    for seed in 0..8 {
        let mut rng = StdRng::seed_from_u64(seed);
        let w = normal(1, sizes.parameters(), &mut rng).as_slice().to_vec();
        let v = normal(1, sizes.parameters(), &mut rng).as_slice().to_vec();
        let x = normal(6, 3, &mut rng);
        let labels: Vec<usize> = (0..6).map(|_| rng.gen_range(0..2)).collect();
        let batch = dev.tensor_from_vec(x.transpose().as_slice().to_vec(), (6, Const::<3>));

        let mut model = dev.build_module::<(Linear<3, 4, Tanh>, Linear<4, 2>), f64>();
        let mut gradient_at = |by: f64| {
            let at: Vec<f64> = w.iter().zip(&v).map(|(w, v)| w + by * v).collect();
            params::unflatten(&mut model, &at).unwrap();
            let loss = kernels::cross_entropy_mean(model.forward(batch.leaky_trace()), &labels);
            params::flatten_gradients(&model, &mut loss.backward()).unwrap()
        };
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let step = 1e-5 * (1.0 + norm(&w)) / norm(&v);
        let [ahead, behind] = [step, -step].map(&mut gradient_at);
        let want: Vec<f64> = ahead.iter().zip(behind).map(|(a, b)| (a - b) / (2.0 * step)).collect();

        params::unflatten(&mut model, &w).unwrap();
        let flat = hessian_vector_product(&model, &v, |model, direction| {
            model.along(direction, Dual::constant(batch.leaky_trace())).cross_entropy_mean(&labels)
        });
        assert_close!(flat.unwrap(), want, 1e-8, 0.0, "layers, seed {seed}");
        let mut direction = model.clone();
        params::unflatten(&mut direction, &v).unwrap();
        let product = hessian_times_model(&model, &direction, |model, direction| {
            model.along(direction, Dual::constant(batch.leaky_trace())).cross_entropy_mean(&labels)
        });
        assert_close!(params::flatten(&product.unwrap()), want, 1e-8, 0.0, "as a model, seed {seed}");
        let by_hand = second_order(sizes, &w, &v, &x, &labels).unwrap().hessian_vector;
        assert_close!(by_hand, want, 1e-8, 0.0, "by hand, seed {seed}");
        let targets = one_hot(&labels, 2).unwrap();
        let on_tape = hvp(
            |w| {
                let input = w[0].tape().constant(x.clone());
                let hidden = (input.matmul(w[0].transpose()) + w[1].repeat_rows(6)).tanh();
                let logits = hidden.matmul(w[2].transpose()) + w[3].repeat_rows(6);
                logits.cross_entropy(w[0].tape().constant(targets.clone()))
            },
            &split(sizes, &w),
            &split(sizes, &v),
        );
        let rows: Vec<f64> =
            on_tape.unwrap().iter().flat_map(|m| m.transpose().as_slice().to_vec()).collect();
        assert_close!(rows, want, 1e-8, 0.0, "on the tape of matrices, seed {seed}");
    }
}

/// A random graph with re-use and dead branches, on any kind of number.
pub(crate) fn random_graph<T: Number>(x: &[T], choices: &[(u8, u16, u16)]) -> T {
    graph_and_kink(x, choices).0
}

/// The same, and how near to a kink it is: the smallest difference of two numbers whose maximum it takes.
pub(crate) fn graph_and_kink<T: Number>(x: &[T], choices: &[(u8, u16, u16)]) -> (T, f64) {
    let (mut values, mut kink) = (x.to_vec(), f64::INFINITY);
    for &(op, i, j) in choices {
        let (i, j) = (i as usize % values.len(), j as usize % values.len());
        let (a, b) = (values[i], values[j]);
        let bounded = b.tanh();
        values.push(match op % OPERATIONS {
            0 => (a + b) * T::from(0.5), // sums must not double from node to node
            1 => (a - b).tanh() + (b - a).sin() * T::from(0.5), // two nodes that differ in the order only
            2 => a.tanh() * bounded,
            3 => a / (one::<T>() + b * b),
            4 => -a,
            5 => (a.tanh()).exp(),
            6 => (one::<T>() + a * a).ln(),
            7 => a.sin() * b.cos(),
            8 => {
                kink = if i == j { kink } else { kink.min((a.real() - b.real()).abs()) };
                larger(a, b)
            }
            9 => (one::<T>() + a.tanh() * a.tanh()).powf(bounded),
            10 => (one::<T>() + bounded * bounded).powf(T::from(-1.5)),
            _ => (one::<T>() + a * a).sqrt().powi(-2),
        });
    }
    let sum = values[x.len()..].iter().fold(T::from(0.0), |sum, v| sum + *v);
    (sum * values[values.len() - 1].tanh(), kink)
}

/// Kinds of nodes in a random graph.
pub(crate) const OPERATIONS: u8 = 12;

/// The random graph of the numbers above, on the tape of matrices.
pub(crate) fn random_tensors<'t>(x: &[Var<'t>], choices: &[(u8, u16, u16)]) -> Var<'t> {
    let mut values = x.to_vec();
    let one = |x: Var<'t>| x.scale(0.0).shift(1.0);
    for &(op, i, j) in choices {
        let (a, b) = (values[i as usize % values.len()], values[j as usize % values.len()]);
        values.push(match op % OPERATIONS {
            0 => (a + b).scale(0.5),
            1 => (a - b).tanh() + (b - a).sin().scale(0.5),
            2 => a.tanh() * b.tanh(),
            3 => a / (b * b).shift(1.0),
            4 => -a,
            5 => a.tanh().exp(),
            6 => (a * a).shift(1.0).ln(),
            7 => a.sin() * b.cos(),
            8 => a.maximum(b),
            9 => (a.tanh() * a.tanh()).shift(1.0).pow(b.tanh()),
            10 => (b.tanh() * b.tanh()).shift(1.0).powf(-1.5),
            _ => one(a) / (a * a).shift(1.0),
        });
    }
    let last = values[values.len() - 1];
    values[x.len()..].iter().fold(x[0].scale(0.0), |sum, v| sum + *v) * last.tanh()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn forward_reverse_and_differences_agree(
        x in prop::array::uniform4(-1.5..1.5_f64),
        choices in prop::collection::vec((0..OPERATIONS, any::<u16>(), any::<u16>()), 3..40),
    ) {
        let tape = ScalarTape::new();
        let vars = x.map(|x| tape.var(x));
        let y = random_graph(&vars, &choices);
        let adjoints = tape.backward(y);
        let reverse = vars.map(|v| adjoints.wrt(v));
        let (value, forward) = gradient(|x| random_graph(&x, &choices), x);
        prop_assume!(graph_and_kink(&x, &choices).1 > 1e-3); // a difference across a kink means nothing
        prop_assert_eq!(value, y.value);
        assert_close!(reverse, forward, 1e-12, 1e-12);
        let report = gradcheck(|x| random_graph(x, &choices), &x, &reverse).unwrap();
        prop_assert!(report.error < 1e-6, "{report:?}");
    }

}

#[test]
fn wrong_gradients_are_found() {
    let f = |x: &[f64]| x[0] * x[0] * x[1];
    assert!(gradcheck(f, &[2.0, 3.0], &[12.0, 4.0]).unwrap().error < 1e-9);
    let wrong = gradcheck(f, &[2.0, 3.0], &[12.0, 5.0]).unwrap();
    assert!(wrong.index == 1 && wrong.error > 0.1, "{wrong:?}");
    assert!(gradcheck(f, &[2.0, 3.0], &[f64::NAN, 4.0]).unwrap().error.is_nan());
    assert!(gradcheck(f, &[2.0, 3.0], &[12.0]).is_err() && gradcheck(f, &[], &[]).is_err());
}

/// What a gradient check may be told: the tolerance decides, the step shows in the error, random directions see one wrong
/// coordinate among many, and the report names the worst.
#[test]
fn gradient_checks_have_options() {
    let f = |x: &[f64]| x.iter().map(|x| x.powi(3)).sum::<f64>();
    let x: Vec<f64> = (0..400).map(|i| f64::from(i).sin()).collect();
    let right: Vec<f64> = x.iter().map(|x| 3.0 * x * x).collect();
    let random =
        |count, seed| GradCheck { directions: Directions::Random { count, seed }, ..GradCheck::default() };
    // The central difference of a cube is off by h² exactly, so the step can be read off.
    let coarse = GradCheck { epsilon: 0.1, tolerance: 0.02, ..GradCheck::default() };
    let report = coarse.run(f, &x[..3], &right[..3]).unwrap();
    assert!(report.is_within);
    assert_close!(report.numeric - report.analytic, 0.01, 1e-10);
    assert!(!GradCheck { tolerance: 0.001, ..coarse }.run(f, &x[..3], &right[..3]).unwrap().is_within);
    // An error e in one of n coordinates is e/sqrt(n) along every direction.
    let mut wrong = right.clone();
    wrong[237] += 0.5;
    let report = GradCheck::default().run(f, &x, &wrong).unwrap();
    assert!(report.index == 237 && !report.is_within, "{report:?}");
    assert_close!([report.analytic, report.numeric], [right[237] + 0.5, right[237]], 1e-8);
    for seed in 0..20 {
        let report = random(1, seed).run(f, &x, &right).unwrap();
        assert!(report.is_within && report.error < 1e-8, "{report:?}"); // observed: below 1e-9
        let report = random(3, seed).run(f, &x, &wrong).unwrap();
        assert!(!report.is_within && report.index < 3, "{report:?}");
        assert_close!((report.analytic - report.numeric).abs(), 0.5 / 20.0, 1e-6);
    }
    // The seed decides the directions, and nothing else does.
    let analytic = |seed| random(1, seed).run(f, &x, &right).unwrap().analytic;
    assert_eq!(analytic(3), analytic(3));
    assert_ne!(analytic(3), analytic(4));
    // A value that is not a number never passes.
    wrong[237] = f64::NAN;
    assert!(!random(1, 0).run(f, &x, &wrong).unwrap().is_within);
    let refused = |check: GradCheck| match check.run(f, &x, &right) {
        Err(Error::InvalidHyper { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(GradCheck { epsilon: 0.0, ..GradCheck::default() }), "epsilon");
    assert_eq!(refused(GradCheck { epsilon: f64::NAN, ..GradCheck::default() }), "epsilon");
    assert_eq!(refused(GradCheck { tolerance: -1.0, ..GradCheck::default() }), "tolerance");
    assert_eq!(refused(GradCheck { tolerance: f64::NAN, ..GradCheck::default() }), "tolerance");
    assert_eq!(refused(random(0, 0)), "count");
}

#[test]
fn a_long_tape_needs_no_deep_stack_and_is_used_again() {
    let mut tape = ScalarTape::new();
    for _ in 0..2 {
        tape.clear();
        let x = tape.var(0.5);
        let mut y = x;
        for _ in 0..100_000 {
            y = y * 0.999_99 + 1e-5 * x;
        }
        let length = tape.len();
        // y = x at every step, so the derivative is 1.
        assert_close!(tape.backward(y).wrt(x), 1.0, 1e-9);
        assert_eq!(length, 300_001);
    }
}

/// A plain number on either side of each operator: value and derivative in closed form, and no node for the number.
#[test]
fn plain_numbers_mix_with_variables() {
    let tape = ScalarTape::new();
    let x: ScalarVar<'_> = tape.var(0.8);
    let results = [x + 2.0, 2.0 + x, x - 2.0, 2.0 - x, x * 2.0, 2.0 * x, x / 2.0, 2.0 / x];
    assert_eq!(tape.len(), 9);
    let values = [2.8, 2.8, -1.2, 1.2, 1.6, 1.6, 0.4, 2.5];
    let slopes = [1.0, 1.0, 1.0, -1.0, 2.0, 2.0, 0.5, -2.0 / 0.64];
    for ((y, value), slope) in results.into_iter().zip(values).zip(slopes) {
        assert_close!(y.value, value, 1e-15);
        assert_close!(tape.backward(y).wrt(x), slope, 1e-15);
    }
}

/// Every value that Lanczos finds for the Hessian of a network is an eigenvalue of JAX's, the ends among them; the weighted
/// values are the moments of the start; power iteration finds the largest.
#[test]
fn the_spectrum_of_a_hessian_is_that_of_jax() {
    use optim::autodiff::spectrum::{lanczos, power_iteration};
    let golden = golden();
    let numbers = |key: &str| golden.numbers(&format!("mlp/{key}"));
    let dims: Vec<usize> = numbers("dims").iter().map(|d| *d as usize).collect();
    let sizes = Sizes { inputs: dims[0], hidden: dims[1], outputs: dims[2] };
    let (w, want) = (numbers("params"), numbers("hessian_eigenvalues"));
    let labels: Vec<usize> = numbers("labels").iter().map(|l| *l as usize).collect();
    let x = DMatrix::from_row_slice(labels.len(), sizes.inputs, &numbers("X"));
    let product = |v: &[f64]| Ok(second_order(sizes, &w, v, &x, &labels)?.hessian_vector);
    let start = normal(w.len(), 1, &mut StdRng::seed_from_u64(3));
    let found = lanczos(product, start.as_slice(), w.len()).unwrap();
    let distance = |value: f64| want.iter().map(|w| (w - value).abs()).fold(f64::INFINITY, f64::min);
    let largest = want.iter().fold(0.0, |l: f64, w| l.max(w.abs()));
    assert!(found.values.iter().all(|&value| distance(value) < 1e-10 * largest), "{found:?} {want:?}");
    let ends = [want.iter().copied().fold(f64::INFINITY, f64::min), want.iter().copied().fold(0.0, f64::max)];
    assert_close!([found.values[0], found.values[found.values.len() - 1]], ends, 1e-10);
    let unit = &start / start.norm();
    let image = DMatrix::from_vec(w.len(), 1, product(unit.as_slice()).unwrap());
    let moment =
        |power: i32| found.values.iter().zip(&found.weights).map(|(v, s)| s * v.powi(power)).sum::<f64>();
    assert_close!([moment(0), moment(1), moment(2)], [1.0, unit.dot(&image), image.norm_squared()], 1e-11);
    // Few steps: each value is as near to an eigenvalue as is said, and the residuals are not all nothing.
    let few = lanczos(product, start.as_slice(), 4).unwrap();
    assert!(few.values.iter().zip(&few.residuals).all(|(&v, r)| distance(v) <= r * (1.0 + 1e-9) + 1e-12));
    assert!(few.values.len() == 4 && few.residuals.iter().any(|r| *r > 1e-4 * largest), "{few:?}");
    let (value, vector) = power_iteration(product, start.as_slice(), 1e-9, 100_000).unwrap();
    assert_close!(value.abs(), largest, 1e-9);
    let residual = DMatrix::from_vec(w.len(), 1, product(&vector).unwrap())
        - DMatrix::from_vec(w.len(), 1, vector) * value;
    assert!(residual.norm() <= 1e-9 * largest);
    for key in ["source", "scalars", "mlp"] {
        golden.skip(key); // what is left of them: the tests above
    }

    // What is none of it is told.
    let plain = |v: &[f64]| Ok(v.to_vec());
    assert_eq!(
        lanczos(plain, &[1.0, 2.0, 3.0], 3).unwrap().values.len(),
        1,
        "the powers of the identity end"
    );
    assert!(matches!(lanczos(plain, &[1.0], 0), Err(Error::InvalidHyper { name: "steps", .. })));
    for start in [vec![], vec![0.0; 2], vec![f64::NAN, 1.0]] {
        assert!(
            matches!(lanczos(plain, &start, 1), Err(Error::InvalidHyper { name: "start", .. })),
            "{start:?}"
        );
    }
    let short = lanczos(|_| Ok(vec![1.0]), &[1.0, 2.0], 1);
    assert!(matches!(short, Err(Error::Dimension { got: 1, want: 2, .. })));
    let broken = lanczos(|_| Ok(vec![f64::NAN, 1.0]), &[1.0, 2.0], 1);
    assert!(matches!(broken, Err(Error::NotFiniteMatrix { .. })));
    let turning = power_iteration(|v| Ok(vec![v[0], -v[1]]), &[1.0, 1.0], 1e-9, 50);
    assert!(matches!(turning, Err(Error::NotConverged { passes: 50, .. })), "{turning:?}");
}

#[test]
#[should_panic = "different tapes"]
fn variables_of_two_tapes_do_not_mix() {
    let (a, b) = (ScalarTape::new(), ScalarTape::new());
    let _ = a.var(1.0) * b.var(2.0);
}
