//! Lecture 4: values of JAX, agreement of forward, reverse and dfdx, laws of graphs and of checkpointing.
use layers::prelude::*;
use layers::{Along, Dual, assert_close, hessian_vector_product, params, testing::Golden};
use nalgebra::DMatrix;
use optim::Error;
use optim::autodiff::checkpoint::{self, ChainStep, Plan, optimal_steps};
use optim::autodiff::dual::{DualNumber, gradient, gradient_and_hessian};
use optim::autodiff::gradcheck::gradcheck;
use optim::autodiff::graph::ComputationGraph;
use optim::autodiff::hvp::{Sizes, second_order};
use optim::autodiff::scalar::{ScalarTape, Var as ScalarVar};
use optim::autodiff::tensor::{Tape, Var};
use optim::autodiff::{Number, hessian_times_model};
use optim::learning::one_hot;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

fn golden() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/autodiff.json"))
}

fn normal(rows: usize, columns: usize, rng: &mut StdRng) -> DMatrix<f64> {
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
fn on_tensors<'t>(name: &str, [x, y, z]: [Var<'t>; 3]) -> Var<'t> {
    match name {
        "poly_trig" => x * y + x.sin() * z.exp() - y / (z * z).shift(1.0),
        "fan_out" => (x + x * x) * (x * y) * (x * z).tanh() + x,
        "deep" => ((x * y).sin().powi(3) + (z + x * x).sqrt()).exp().shift(1.0).ln(),
        "power" => {
            let power = |a: Var<'t>, b: Var<'t>| (b * a.ln()).exp();
            power(x, y) + power(y, z) + power(z, x)
        }
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
fn split(sizes: Sizes, flat: &[f64]) -> [DMatrix<f64>; 4] {
    let Sizes { inputs, hidden, outputs } = sizes;
    let (w1, rest) = flat.split_at(inputs * hidden);
    let (b1, rest) = rest.split_at(hidden);
    let (w2, b2) = rest.split_at(hidden * outputs);
    [(hidden, inputs, w1), (1, hidden, b1), (outputs, hidden, w2), (1, outputs, b2)]
        .map(|(rows, columns, numbers)| DMatrix::from_row_slice(rows, columns, numbers))
}

fn join(parts: &[Var<'_>]) -> Vec<f64> {
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

/// A random graph with re-use and dead branches, on any kind of number.
fn random_graph<T: Number>(x: &[T], choices: &[(u8, u16, u16)]) -> T {
    let mut values = x.to_vec();
    for &(op, i, j) in choices {
        let (a, b) = (values[i as usize % values.len()], values[j as usize % values.len()]);
        let bounded = b.tanh();
        values.push(match op % 9 {
            0 => (a + b) * T::from(0.5), // sums must not double from node to node
            1 => (a - b).tanh() + (b - a).sin() * T::from(0.5), // two nodes that differ in the order only
            2 => a.tanh() * bounded,
            3 => a / (one::<T>() + b * b),
            4 => -a,
            5 => (a.tanh()).exp(),
            6 => (one::<T>() + a * a).ln(),
            7 => a.sin() * b.cos(),
            _ => (one::<T>() + a * a).sqrt().powi(-2),
        });
    }
    values[x.len()..].iter().fold(T::from(0.0), |sum, v| sum + *v) * values[values.len() - 1].tanh()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn forward_reverse_and_differences_agree(
        x in prop::array::uniform4(-1.5..1.5_f64),
        choices in prop::collection::vec((0..9_u8, any::<u16>(), any::<u16>()), 3..40),
    ) {
        let tape = ScalarTape::new();
        let vars = x.map(|x| tape.var(x));
        let y = random_graph(&vars, &choices);
        let adjoints = tape.backward(y);
        let reverse = vars.map(|v| adjoints.wrt(v));
        let (value, forward) = gradient(|x| random_graph(&x, &choices), x);
        prop_assert_eq!(value, y.value);
        assert_close!(reverse, forward, 1e-12, 1e-12);
        let report = gradcheck(|x| random_graph(x, &choices), &x, &reverse).unwrap();
        prop_assert!(report.error < 1e-6, "{report:?}");
    }

    /// The same network on dfdx's tape and on ours, values and every derivative.
    #[test]
    fn the_tape_of_matrices_is_dfdxs(seed: u64, n in 1..6_usize) {
        let mut rng = StdRng::seed_from_u64(seed);
        let dev = Cpu::seed_from_u64(seed);
        let model = dev.build_module::<(Linear<5, 7, Relu>, Linear<7, 3>), f64>();
        let sizes = Sizes { inputs: 5, hidden: 7, outputs: 3 };
        let x = normal(n, 5, &mut rng);
        let labels: Vec<usize> = (0..n).map(|_| rng.gen_range(0..3)).collect();
        let targets = one_hot(&labels, 3).unwrap();

        let tape = Tape::new();
        let named = tape.inputs_of(&model).unwrap();
        let names = named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        prop_assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
        let parameters: [Var<'_>; 4] = std::array::from_fn(|i| named[i].1);
        prop_assert_eq!(parameters.map(|p| p.value()), split(sizes, &params::flatten(&model)).map(std::rc::Rc::new));
        let [w1, b1, w2, b2] = parameters;
        let input = tape.constant(x.clone());
        let hidden = (input.matmul(w1.transpose()) + b1.repeat_rows(n)).relu();
        let logits = hidden.matmul(w2.transpose()) + b2.repeat_rows(n);
        let loss = logits.cross_entropy(tape.constant(targets.clone()));
        let forward = tape.cost();
        let ours = join(&tape.gradient(loss, &parameters));
        // Reverse mode costs at most five times the function, for any number of parameters.
        prop_assert!(tape.cost() - forward <= 5 * forward, "{} after {forward}", tape.cost() - forward);

        let rows = |m: &DMatrix<f64>| m.transpose().as_slice().to_vec();
        let batch: Tensor<(usize, Const<5>), f64, _> = dev.tensor_from_vec(rows(&x), (n, Const::<5>));
        let targets = dev.tensor_from_vec(rows(&targets), (n, Const::<3>));
        let want = cross_entropy_with_logits_loss(model.forward(batch.leaky_trace()), targets);
        assert_close!(loss.number(), want.array(), 1e-12);
        assert_close!(ours, params::flatten_gradients(&model, &mut want.backward()).unwrap(), 1e-12, 1e-15);
    }

    /// Linearity of the Hessian, its symmetry, and (Jv)·u = v·(Jᵀu).
    #[test]
    fn products_are_linear_and_adjoint(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let tape = Tape::new();
        let w = tape.input(normal(3, 4, &mut rng));
        let x = tape.constant(normal(5, 4, &mut rng));
        let y = x.matmul(w.transpose()).tanh().sum_rows().sigmoid();
        let loss = (y * y).sum().sqrt();
        let [u, v] = [(); 2].map(|()| tape.constant(normal(3, 4, &mut rng)));
        let times = |v: Var<'_>| tape.hessian_times(loss, &[w], &[v])[0].value();
        let both = tape.hessian_times(loss, &[w], &[u.scale(2.0) - v])[0].value();
        assert_close!(both.as_slice(), (&*times(u) * 2.0 - &*times(v)).as_slice(), 1e-12, 1e-14);
        prop_assert!((v.value().dot(&times(u)) - u.value().dot(&times(v))).abs() < 1e-12);
        let seed = tape.constant(normal(1, 3, &mut rng));
        let back = tape.vjp(y, &[w], seed)[0].value();
        let other = tape.constant(normal(1, 3, &mut rng));
        let mixed = tape.vjp(y, &[w], seed.scale(3.0) - other)[0].value();
        let parts = &*back * 3.0 - &*tape.vjp(y, &[w], other)[0].value();
        assert_close!(mixed.as_slice(), parts.as_slice(), 1e-12, 1e-14);
        let along = tape.directional(y, &[w], &[v]).value();
        prop_assert!((along.dot(&seed.value()) - v.value().dot(&back)).abs() < 1e-12);
    }
}

/// The random graph of the numbers above, on the tape of matrices.
fn random_tensors<'t>(x: &[Var<'t>], choices: &[(u8, u16, u16)]) -> Var<'t> {
    let mut values = x.to_vec();
    let one = |x: Var<'t>| x.scale(0.0).shift(1.0);
    for &(op, i, j) in choices {
        let (a, b) = (values[i as usize % values.len()], values[j as usize % values.len()]);
        values.push(match op % 9 {
            0 => (a + b).scale(0.5),
            1 => (a - b).tanh() + (b - a).sin().scale(0.5),
            2 => a.tanh() * b.tanh(),
            3 => a / (b * b).shift(1.0),
            4 => -a,
            5 => a.tanh().exp(),
            6 => (a * a).shift(1.0).ln(),
            7 => a.sin() * b.cos(),
            _ => one(a) / (a * a).shift(1.0),
        });
    }
    let last = values[values.len() - 1];
    values[x.len()..].iter().fold(x[0].scale(0.0), |sum, v| sum + *v) * last.tanh()
}

/// What a picture in Graphviz's language says: the label of each node, and (from, to, which argument) of each edge.
type Drawn = (Vec<(usize, String)>, Vec<(usize, usize, usize)>);

/// Reads the language that `to_dot` writes; anything else is a failure.
fn parse_dot(text: &str) -> Drawn {
    let node = |text: &str| text.strip_prefix('n').unwrap().parse::<usize>().unwrap();
    let body = text.strip_prefix("digraph {\n  rankdir=LR;\n").unwrap().strip_suffix("}\n").unwrap();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for line in body.lines() {
        let line = line.trim().strip_suffix("\"];").unwrap();
        if let Some((ends, position)) = line.split_once(" [taillabel=\"") {
            let (from, to) = ends.split_once(" -> ").unwrap();
            edges.push((node(from), node(to), position.parse().unwrap()));
            continue;
        }
        let (name, quoted) = line.split_once(" [label=\"").unwrap();
        let (mut label, mut characters) = (String::new(), quoted.chars());
        while let Some(c) = characters.next() {
            assert_ne!(c, '"', "a quote ends the label: {line}");
            label.push(match c {
                '\\' => match characters.next().unwrap() {
                    'n' => '\n',
                    other => other,
                },
                c => c,
            });
        }
        nodes.push((node(name), label));
    }
    (nodes, edges)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any graph and for the graph of its gradient: an order in which every edge points forwards, as petgraph finds one
    /// too; a simplification that computes the same, at another point as well; a picture that can be read back. And the
    /// gradient costs at most five times the function.
    #[test]
    fn graphs_of_values_and_of_gradients_keep_their_laws(
        x in prop::array::uniform3(-1.5..1.5_f64), other in prop::array::uniform3(-1.5..1.5_f64),
        choices in prop::collection::vec((0..9_u8, any::<u16>(), any::<u16>()), 3..25),
    ) {
        let number = |x: f64| DMatrix::from_element(1, 1, x);
        let at = |x: [f64; 3]| {
            let tape = Tape::new();
            let vars = x.map(|x| tape.input(number(x)));
            let y = random_tensors(&vars, &choices);
            let gradient = tape.gradient(y, &vars);
            [y, gradient[0], gradient[1], gradient[2]].map(|v| v.number())
        };
        let (value, [a, b, c]) = gradient(|x| random_graph(&x, &choices), x); // dual numbers
        assert_close!(at(x), [value, a, b, c], 1e-11, 1e-12);
        let tape = Tape::new();
        let vars = x.map(|x| tape.input(number(x)));
        let y = random_tensors(&vars, &choices);
        let forward = tape.cost();
        let slopes = tape.gradient(y, &vars);
        let backward = tape.cost() - forward;
        prop_assert!(backward <= 5 * forward, "{backward} after {forward}");
        let names = [(vars[0], "a \\ and \"b\""), (vars[1], "line\nfeed"), (vars[2], "z")];
        for (i, result) in [y, slopes[0], slopes[1], slopes[2]].into_iter().enumerate() {
            let graph = ComputationGraph::from_tape(&tape, result, &names);
            let simple = graph.simplify().unwrap();
            prop_assert!(simple.graph().node_count() <= graph.graph().node_count());
            for graph in [graph, simple] {
                let order = graph.topological_order().unwrap();
                prop_assert_eq!(order.len(), graph.graph().node_count());
                prop_assert_eq!(petgraph::algo::toposort(graph.graph(), None).unwrap().len(), order.len());
                let place = |node| order.iter().position(|n| *n == node).unwrap();
                let ends = |edge| graph.graph().edge_endpoints(edge).unwrap();
                prop_assert!(graph.graph().edge_indices().map(ends).all(|(from, to)| place(from) < place(to)));
                // A result need not depend on every input, and the graph has those that it does depend on.
                let label = |n: petgraph::graph::NodeIndex| graph.graph()[n].label.clone();
                let of = |name: String| names.iter().position(|(_, known)| *known == name).unwrap();
                let read: Vec<usize> = graph.graph().node_indices().filter_map(label).map(of).collect();
                for point in [x, other] {
                    let inputs: Vec<_> = read.iter().map(|&i| number(point[i])).collect();
                    let value = graph.evaluate(&inputs).unwrap()[0];
                    assert_close!(value, at(point)[i], 1e-12, 1e-14, "result {i}");
                }
                let (nodes, mut edges) = parse_dot(&graph.to_dot());
                let mut want: Vec<_> = graph.graph().node_indices().map(|n| (n.index(), graph.label(n))).collect();
                want.sort();
                prop_assert_eq!(nodes, want);
                let mut want: Vec<_> = graph
                    .graph()
                    .edge_indices()
                    .map(|e| (ends(e).0.index(), ends(e).1.index(), graph.graph()[e]))
                    .collect();
                want.sort_unstable();
                edges.sort_unstable();
                prop_assert_eq!(edges, want);
            }
        }
    }
}

#[test]
fn graphs_are_ordered_simplified_and_drawn() {
    let tape = Tape::new();
    let [x, y] = [0.5, -2.0].map(|x| tape.input(DMatrix::from_element(1, 1, x)));
    let _dead = x.exp();
    let two = tape.constant(DMatrix::from_element(1, 1, 2.0));
    let four = two * two; // foldable
    let result = (x * y).sin() * four + (x * y).sin(); // the same sine twice
    let graph = ComputationGraph::from_tape(&tape, result, &[(x, "x"), (y, "the \"y\"")]);
    assert_eq!(graph.graph().node_count(), tape.len() - 1, "the dead branch is left out");
    for graph in [graph.clone(), graph.simplify().unwrap()] {
        let order = graph.topological_order().unwrap();
        let place = |node| order.iter().position(|n| *n == node).unwrap();
        for edge in graph.graph().edge_indices() {
            let (from, to) = graph.graph().edge_endpoints(edge).unwrap();
            assert!(place(from) < place(to));
        }
        assert_eq!(petgraph::algo::toposort(graph.graph(), None).unwrap().len(), order.len());
        let inputs = [0.3, 1.7].map(|x| DMatrix::from_element(1, 1, x));
        let value = graph.evaluate(&inputs).unwrap()[(0, 0)];
        assert_close!(value, 5.0 * (0.3_f64 * 1.7).sin(), 1e-15);
        assert!(matches!(graph.evaluate(&inputs[..1]), Err(Error::Dimension { got: 1, want: 2, .. })));
        // The text parses back.
        let dot = graph.to_dot();
        let edges = dot.lines().filter(|line| line.contains("->")).count();
        let nodes = dot.lines().filter(|line| line.contains("[label=")).count();
        assert_eq!((nodes, edges), (graph.graph().node_count(), graph.graph().edge_count()));
        assert!(dot.contains("the \\\"y\\\""), "quotes are escaped: {dot}");
        let places = graph.layout().unwrap();
        assert_eq!(places.len(), nodes);
        for (i, a) in places.iter().enumerate() {
            assert!(places[..i].iter().all(|b| a.1 != b.1), "two nodes in one place");
        }
    }
    // x, y, x·y, sin, the constant four, the product, the sum: one each.
    let simple = graph.simplify().unwrap();
    assert_eq!(simple.graph().node_count(), 7);
    assert_eq!(simple.depth().unwrap(), 4);
    assert!(simple.peak_memory().unwrap() <= graph.peak_memory().unwrap());
}

/// Operations that differ in the order of their arguments are two operations: of a pair in both orders neither goes.
#[test]
fn simplification_keeps_the_order_of_arguments() {
    let tape = Tape::new();
    let [a, b] = [3.0, 5.0].map(|x| tape.input(DMatrix::from_row_slice(2, 2, &[x, 1.0, 0.5, -x])));
    type Pair<'t> = fn(Var<'t>, Var<'t>) -> Var<'t>;
    let pairs: [(Pair<'_>, Pair<'_>); 4] = [
        (|a, b| a - b, |a, b| b - a),
        (|a, b| a / b, |a, b| b / a),
        (|a, b| a.matmul(b), |a, b| b.matmul(a)),
        (|a, b| a.stack(b), |a, b| b.stack(a)),
    ];
    for (i, (one, other)) in pairs.into_iter().enumerate() {
        let result = (one(a, b).sin() * other(a, b)).sum();
        let twice = (one(a, b).sin() * one(a, b)).sum();
        let graph = ComputationGraph::from_tape(&tape, result, &[]).simplify().unwrap();
        assert_eq!(graph.graph().node_count(), 2 + 2 + 4, "pair {i}"); // inputs, the pair, sine, product, two sums
        let inputs = [a, b].map(|x| x.value().as_ref().clone());
        assert_close!(graph.evaluate(&inputs).unwrap()[0], result.number(), 1e-15, 0.0, "pair {i}");
        let one = ComputationGraph::from_tape(&tape, twice, &[]).simplify().unwrap();
        assert_eq!(one.graph().node_count(), 2 + 1 + 4, "pair {i}: the same operation twice is one");
        assert!((result.number() - twice.number()).abs() > 0.1, "pair {i}");
    }
}

/// tanh(w x + b) on a vector of two, parameters w (2 × 2) and b.
struct Layer {
    w: [[f64; 2]; 2],
    b: [f64; 2],
}

impl ChainStep for Layer {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        (0..2).map(|i| (self.w[i][0] * x[0] + self.w[i][1] * x[1] + self.b[i]).tanh()).collect()
    }

    fn backward(&self, x: &[f64], up: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let y = self.forward(x);
        let d: Vec<f64> = (0..2).map(|i| up[i] * (1.0 - y[i] * y[i])).collect();
        let dx = (0..2).map(|j| self.w[0][j] * d[0] + self.w[1][j] * d[1]).collect();
        (dx, vec![d[0] * x[0], d[0] * x[1], d[1] * x[0], d[1] * x[1], d[0], d[1]])
    }
}

fn chain(n: usize) -> Vec<Layer> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut number = || rng.sample::<f64, _>(StandardNormal);
    (0..n)
        .map(|_| Layer { w: [[number(), number()], [number(), number()]], b: [number(), number()] })
        .collect()
}

#[test]
fn checkpoints_change_the_cost_and_not_one_bit() {
    let loss = |end: &[f64]| vec![end[0], 2.0 * end[1]];
    for n in [1, 2, 7, 100] {
        let steps = chain(n);
        let start = [0.3, -0.4];
        let plain = checkpoint::gradient(&steps, &start, loss, Plan::KeepAll).unwrap();
        assert_eq!((plain.forward_steps, plain.peak_states), (n, n + 1));
        let value = |start: &[f64]| {
            let end = steps.iter().fold(start.to_vec(), |state, step| step.forward(&state));
            0.5 * end[0] * end[0] + end[1] * end[1]
        };
        assert!(gradcheck(value, &start, &plain.start).unwrap().error < 1e-8);
        for segments in [1, 2, 10].into_iter().filter(|&s| s <= n) {
            let got = checkpoint::gradient(&steps, &start, loss, Plan::Uniform { segments }).unwrap();
            assert_eq!((&got.start, &got.parameters), (&plain.start, &plain.parameters));
            assert!(got.forward_steps <= 2 * n && got.peak_states <= segments + n.div_ceil(segments) + 1);
        }
        for checkpoints in [1, 2, 3, 8] {
            let got = checkpoint::gradient(&steps, &start, loss, Plan::Optimal { checkpoints }).unwrap();
            assert_eq!((&got.start, &got.parameters), (&plain.start, &plain.parameters));
            assert_eq!(
                got.forward_steps,
                optimal_steps(n, checkpoints),
                "{n} steps, {checkpoints} checkpoints"
            );
            assert!(got.peak_states <= checkpoints + 1);
        }
    }
    // 10 segments of 10: 9 segments without keeping, then each once more but for its last step, the last to its end.
    let got = checkpoint::gradient(&chain(100), &[0.3, -0.4], loss, Plan::Uniform { segments: 10 }).unwrap();
    assert_eq!(got.forward_steps, 90 + 9 * 9 + 10);
    for plan in
        [Plan::Uniform { segments: 0 }, Plan::Uniform { segments: 3 }, Plan::Optimal { checkpoints: 0 }]
    {
        let refused = checkpoint::gradient(&chain(2), &[0.0, 0.0], loss, plan);
        assert!(matches!(refused, Err(Error::InvalidHyper { .. })), "{plan:?}");
    }
    let none: [Layer; 0] = [];
    assert!(matches!(checkpoint::gradient(&none, &[], loss, Plan::KeepAll), Err(Error::Empty { .. })));
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

#[test]
#[should_panic = "equal inner sides"]
fn products_of_wrong_shapes_are_refused() {
    let tape = Tape::new();
    let _ = tape.input(DMatrix::zeros(2, 3)).matmul(tape.input(DMatrix::zeros(2, 3)));
}

/// Extreme logits: finite value and gradient.
#[test]
fn cross_entropy_is_stable() {
    let tape = Tape::new();
    let z = tape.input(DMatrix::from_row_slice(2, 3, &[1e4, -1e4, 0.0, -800.0, 800.0, 800.0]));
    let loss = z.cross_entropy(tape.constant(one_hot(&[1, 0], 3).unwrap()));
    assert_close!(loss.number(), (2e4 + 1600.0 + 2.0_f64.ln()) / 2.0, 1e-14);
    let gradient = tape.gradient(loss, &[z])[0].value();
    assert_close!(gradient.transpose().as_slice(), [0.5, -0.5, 0.0, -0.5, 0.25, 0.25], 1e-14, 1e-15);
}

/// Every operation that moves entries around: against differences, forward against reverse, and twice.
#[test]
fn moved_entries_take_their_derivatives_along() {
    let mut rng = StdRng::seed_from_u64(11);
    let start = normal(3, 4, &mut rng);
    fn f<'t>(x: Var<'t>, y: Var<'t>) -> Var<'t> {
        let table = x.stack(y).gather(&[4, 0, 4, 2]); // (4, 4); row 4 is used twice
        let parts = table.rows(1, 2).beside(x.rows(0, 2)); // (2, 8)
        let square = parts.reshape(4, 4) * table.tanh();
        (square.reshape(1, 16) * square.reshape(1, 16)).sum() + x.reshape(4, 3).sum_rows().exp().sum()
    }
    let other = normal(2, 4, &mut rng);
    let value = |x: &DMatrix<f64>| {
        let tape = Tape::new();
        f(tape.input(x.clone()), tape.constant(other.clone())).number()
    };
    let tape = Tape::new();
    let (x, y) = (tape.input(start.clone()), tape.input(other.clone()));
    // Row by row, as an order of entries: the reshape is not nalgebra's.
    let rows = tape.constant(DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).reshape(3, 2);
    assert_eq!(*rows.value(), DMatrix::from_row_slice(3, 2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let loss = f(x, y);
    let [by_x, by_y] = [0, 1].map(|i| tape.gradient(loss, &[x, y])[i]);
    for i in 0..12 {
        let at = |h: f64| {
            let mut moved = start.clone();
            moved[i] += h;
            value(&moved)
        };
        assert_close!(by_x.value()[i], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-7, 1e-9);
    }
    let [u, v] = [(3, 4), (2, 4)].map(|(r, c)| tape.constant(normal(r, c, &mut rng)));
    let along = tape.directional(loss, &[x, y], &[u, v]).number();
    assert_close!(along, by_x.value().dot(&u.value()) + by_y.value().dot(&v.value()), 1e-12);
    // Only one of the two parts of a stack moves.
    let along = tape.directional(loss, &[y], &[v]).number();
    assert_close!(along, by_y.value().dot(&v.value()), 1e-12);
    // Second derivatives: forward over reverse is reverse over reverse, and symmetric.
    let times = |d: Var<'_>| tape.hessian_times(loss, &[x], &[d])[0].value();
    let other = tape.constant(normal(3, 4, &mut rng));
    assert_close!(other.value().dot(&times(u)), u.value().dot(&times(other)), 1e-11);
    let twice = tape.gradient((by_x * u).sum(), &[x])[0].value();
    assert_close!(twice.as_slice(), times(u).as_slice(), 1e-11, 1e-13);
    // The graph of it evaluates to the same and draws every name.
    let graph = ComputationGraph::from_tape(&tape, loss, &[(x, "x"), (y, "y")]);
    assert_close!(
        graph.simplify().unwrap().evaluate(&[start, y.value().as_ref().clone()]).unwrap()[0],
        loss.number(),
        1e-13
    );
    assert!(graph.to_dot().contains("gather") && graph.to_dot().contains("stack"));
}

#[test]
fn variables_of_two_tapes_are_a_typed_error() {
    let (one, two) = (Tape::new(), Tape::new());
    let a = one.input(DMatrix::from_element(1, 2, 1.0));
    let b = two.input(DMatrix::from_element(1, 2, 1.0));
    for result in [a.try_add(b), a.try_sub(b), a.try_mul(b), a.try_div(b), a.try_matmul(b)] {
        assert!(matches!(result, Err(Error::ForeignVariable { index: 0 })));
    }
    let loss = a.sum();
    assert!(matches!(one.try_gradient(loss, &[b]), Err(Error::ForeignVariable { .. })));
    assert!(matches!(two.try_gradient(loss, &[a]), Err(Error::ForeignVariable { .. })));
    assert!(matches!(one.try_vjp(a, &[a], b), Err(Error::ForeignVariable { .. })));
    assert!(matches!(one.try_directional(loss, &[a], &[b]), Err(Error::ForeignVariable { .. })));
    // Shapes that do not fit, likewise.
    let tall = one.input(DMatrix::from_element(3, 1, 1.0));
    assert!(matches!(a.try_add(tall), Err(Error::Shape { got: (3, 1), want: (1, 2), .. })));
    assert!(matches!(a.try_matmul(tall), Err(Error::Shape { want: (2, 1), .. })));
    assert!(matches!(one.try_gradient(a, &[a]), Err(Error::Shape { .. })));
    assert!(matches!(one.try_vjp(a, &[a], tall), Err(Error::Shape { .. })));
    assert!(matches!(one.try_directional(a, &[a], &[tall]), Err(Error::Shape { .. })));
    assert!(matches!(one.try_directional(a, &[a], &[]), Err(Error::LengthMismatch { .. })));
    let cube: Tensor<Rank3<2, 2, 2>, f32, _> = Cpu::default().zeros();
    let refused = one.inputs_of(&cube);
    assert!(
        matches!(refused, Err(Error::NotAMatrix { ref shape, .. }) if *shape == [2, 2, 2]),
        "{refused:?}"
    );
    // And what fits is what the operators give.
    assert_eq!(one.try_gradient(loss, &[a]).unwrap()[0].value(), one.gradient(loss, &[a])[0].value());
    assert_eq!(a.try_div(a).unwrap().value(), (a / a).value());
    assert!(one.check(&[a, tall]).is_ok());
}
