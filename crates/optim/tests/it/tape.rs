//! Lecture 4: the tape of matrices against dfdx, JAX and differences; laws of its derivatives.
use layers::prelude::*;
use layers::{assert_close, params};
use nalgebra::DMatrix;
use optim::Error;
use optim::autodiff::dual::gradient_and_hessian;
use optim::autodiff::gradcheck::{Directions, GradCheck};
use optim::autodiff::graph::ComputationGraph;
use optim::autodiff::hvp::Sizes;
use optim::autodiff::tensor::{GradMode, Tape, Var, hessian, hvp, jacobian, jvp, vjp};
use optim::learning::one_hot;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::cell::Cell;

use crate::autodiff::{
    OPERATIONS, golden, graph_and_kink, join, normal, on_tensors, random_graph, random_tensors, split,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
    assert!(matches!(one.try_gradient(a, &[a]), Err(Error::NotANumber { shape: (1, 2) })));
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

fn number(x: f64) -> DMatrix<f64> {
    DMatrix::from_element(1, 1, x)
}

/// Entries row by row, one matrix after the other.
fn rows(parts: &[DMatrix<f64>]) -> Vec<f64> {
    parts.iter().flat_map(|part| part.transpose().as_slice().to_vec()).collect()
}

fn bits(x: &DMatrix<f64>) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The functions of functions on what JAX says: Hessians of four expressions; gradient, products, Jacobian and Hessian of
/// a network.
#[test]
fn derivatives_of_functions_agree_with_jax() {
    let golden = golden();
    let x = ["x", "y", "z"].map(|name| number(golden.number(&format!("scalars/{name}"))));
    for name in golden.keys("scalars/runs") {
        let key = |what: &str| format!("scalars/runs/{name}/{what}");
        golden.skip(&format!("scalars/formulas/{name}"));
        let f = |v: &[Var<'_>]| -> f64 { on_tensors(name, [v[0], v[1], v[2]]).number() };
        let tape = Tape::new();
        let vars: Vec<Var<'_>> = x.iter().map(|x| tape.input(x.clone())).collect();
        assert_close!(f(&vars), golden.number(&key("value")), 1e-13);
        let gradient = jacobian(|v| on_tensors(name, [v[0], v[1], v[2]]), &x).unwrap();
        assert_close!(gradient.as_slice(), golden.numbers(&key("grad")), 1e-12, 0.0, "{name}");
        let second = hessian(|v| on_tensors(name, [v[0], v[1], v[2]]), &x).unwrap();
        assert_close!(second.as_slice(), golden.numbers(&key("hessian")), 1e-12, 1e-13, "{name}");
    }
    let numbers = |key: &str| golden.numbers(&format!("mlp/{key}"));
    let dims: Vec<usize> = numbers("dims").iter().map(|d| *d as usize).collect();
    let sizes = Sizes { inputs: dims[0], hidden: dims[1], outputs: dims[2] };
    let labels: Vec<usize> = numbers("labels").iter().map(|l| *l as usize).collect();
    let x = DMatrix::from_row_slice(labels.len(), sizes.inputs, &numbers("X"));
    let targets = one_hot(&labels, sizes.outputs).unwrap();
    let (w, v) = (split(sizes, &numbers("params")), split(sizes, &numbers("v")));
    fn logits<'t>(w: &[Var<'t>], x: &DMatrix<f64>) -> Var<'t> {
        let n = x.nrows();
        let hidden = w[0].tape().constant(x.clone()).matmul(w[0].transpose()) + w[1].repeat_rows(n);
        hidden.tanh().matmul(w[2].transpose()) + w[3].repeat_rows(n)
    }
    fn loss<'t>(w: &[Var<'t>], x: &DMatrix<f64>, targets: &DMatrix<f64>) -> Var<'t> {
        logits(w, x).cross_entropy(w[0].tape().constant(targets.clone()))
    }
    let (value, gradient) = vjp(|w| loss(w, &x, &targets), &w, &number(1.0)).unwrap();
    assert_close!(value[0], golden.number("mlp/loss"), 1e-12);
    assert_close!(rows(&gradient), numbers("grad"), 1e-11);
    assert!(gradient.iter().zip(&w).all(|(g, w)| g.shape() == w.shape()));
    let (value, along) = jvp(|w| loss(w, &x, &targets), &w, &v).unwrap();
    assert_close!(value[0], golden.number("mlp/loss"), 1e-12);
    assert_close!(along[0], golden.number("mlp/jvp"), 1e-11);
    let product = hvp(|w| loss(w, &x, &targets), &w, &v).unwrap();
    assert_close!(rows(&product), numbers("hvp"), 1e-11);
    assert!(product.iter().zip(&w).all(|(p, w)| p.shape() == w.shape()));
    let second = hessian(|w| loss(w, &x, &targets), &w).unwrap();
    assert_close!(second.diagonal().as_slice(), numbers("hessian_diagonal"), 1e-11);
    assert_close!(second.as_slice(), second.transpose().as_slice(), 1e-12, 1e-15, "symmetric");
    let mut spectrum = second.symmetric_eigenvalues().as_slice().to_vec();
    spectrum.sort_by(f64::total_cmp);
    assert_close!(spectrum, numbers("hessian_eigenvalues"), 1e-11);
    // Gauss–Newton by Jacobians alone: J^T H_L J v with the softmax's Hessian; more inputs than outputs, so row by row.
    let by_weights = jacobian(|w| logits(w, &x), &w).unwrap();
    let (n, classes) = (labels.len(), sizes.outputs);
    let direction = DMatrix::from_vec(by_weights.ncols(), 1, rows(&v));
    let change = &by_weights * &direction;
    let z = {
        let tape = Tape::new();
        let w: Vec<_> = w.iter().map(|w| tape.input(w.clone())).collect();
        logits(&w, &x).value()
    };
    let weighted = DMatrix::from_fn(n * classes, 1, |k, _| {
        let (i, class) = (k / classes, k % classes);
        let sum: f64 = z.row(i).iter().map(|z| z.exp()).sum();
        let p = |class: usize| z[(i, class)].exp() / sum;
        let mean: f64 = (0..classes).map(|c| p(c) * change[i * classes + c]).sum();
        p(class) * (change[k] - mean) / n as f64
    });
    let got = by_weights.transpose() * weighted;
    assert_close!(got.as_slice(), numbers("gauss_newton_vector_product"), 1e-11);
    for key in ["source", "mlp"] {
        golden.skip(key);
    }
    golden.finish();
}

/// A random graph on matrices of three by three, with re-use and dead branches; `kink` takes the smallest difference of
/// two entries between which a maximum decides.
fn random_matrices<'t>(x: &[Var<'t>], choices: &[(u8, u16, u16)], kink: &Cell<f64>) -> Var<'t> {
    let mut values = x.to_vec();
    let near = |distance: f64| {
        if distance > 0.0 {
            kink.set(kink.get().min(distance)); // equal entries come from one number by two ways
        }
    };
    for &(op, i, j) in choices {
        let (a, b) = (values[i as usize % values.len()], values[j as usize % values.len()]);
        values.push(match op % 11 {
            0 => (a + b).scale(0.5),
            1 => a.matmul(b).scale(0.5).tanh(),
            2 => a.tanh() * b.transpose().tanh(),
            3 => {
                (&*a.value() - &*b.value()).iter().for_each(|d| near(d.abs()));
                a.maximum(b)
            }
            4 => {
                for row in a.value().row_iter() {
                    row.iter().for_each(|x| near(row.max() - x));
                }
                a.max_columns().repeat_columns(3) * b.tanh()
            }
            5 => {
                for column in b.value().column_iter() {
                    column.iter().for_each(|x| near(column.max() - x));
                }
                b.max_rows().repeat_rows(3).sin() + a.tanh()
            }
            6 => (a.tanh() * a.tanh()).shift(1.0).pow(b.tanh()),
            7 => b.tanh().shift(1.5).powf(2.5).scale(0.1),
            8 => a / (b * b).shift(1.0),
            9 => a.rows(1, 2).stack(b.rows(0, 1)).sin(),
            _ => a.log_sum_exp().repeat_columns(3).scale(0.3) - b.tanh(),
        });
    }
    let sum = values[x.len()..].iter().fold(x[0].scale(0.1), |sum, v| sum + *v);
    sum.tanh() * values[values.len() - 1].tanh()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Second derivatives of the random graph of numbers, maxima and powers among them: nested duals find the same.
    #[test]
    fn hessians_of_random_graphs_are_those_of_duals(
        x in prop::array::uniform3(-1.5..1.5_f64),
        choices in prop::collection::vec((0..OPERATIONS, any::<u16>(), any::<u16>()), 3..25),
    ) {
        prop_assume!(graph_and_kink(&x, &choices).1 > 0.0);
        let (_, slopes, want) = gradient_and_hessian(|x| random_graph(&x, &choices), x);
        let inputs = x.map(number);
        let got = hessian(|v| random_tensors(v, &choices), &inputs).unwrap();
        let size = 1.0 + want.iter().flatten().fold(0.0, |most: f64, h| most.max(h.abs()));
        assert_close!(got.as_slice(), want, 1e-10, 1e-11 * size);
        let got = jacobian(|v| random_tensors(v, &choices), &inputs).unwrap();
        assert_close!(got.as_slice(), slopes, 1e-11, 1e-12 * size);
    }

    /// Laws of all five on random graphs of matrices: (J v)·u = v·(Jᵀu), both are the Jacobian's; the Hessian is symmetric
    /// and gives the products; differences agree with gradient and product; and without a graph not one bit changes.
    #[test]
    fn derivatives_of_random_matrices_keep_their_laws(
        seed: u64, choices in prop::collection::vec((0..11_u8, any::<u16>(), any::<u16>()), 2..14),
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let x = [(); 2].map(|()| normal(3, 3, &mut rng));
        let v = [(); 2].map(|()| normal(3, 3, &mut rng));
        let u = normal(3, 3, &mut rng);
        let kink = Cell::new(f64::INFINITY);
        let (y, back) = vjp(|x| random_matrices(x, &choices, &kink), &x, &u).unwrap();
        let (same, along) = jvp(|x| random_matrices(x, &choices, &kink), &x, &v).unwrap();
        prop_assert_eq!(&y, &same);
        let size = rows(&back).iter().fold(1.0, |most: f64, b| most.max(b.abs()));
        let by_back: f64 = back.iter().zip(&v).map(|(b, v)| b.dot(v)).sum();
        prop_assert!((along.dot(&u) - by_back).abs() < 1e-12 * size, "{} {by_back}", along.dot(&u));
        let all = jacobian(|x| random_matrices(x, &choices, &kink), &x).unwrap();
        let column = |x: Vec<f64>| DMatrix::from_vec(x.len(), 1, x);
        let product = &all * column(rows(&v));
        assert_close!(product.as_slice(), rows(&[along]), 1e-11, 1e-12 * size);
        let product = all.transpose() * column(rows(std::slice::from_ref(&u)));
        assert_close!(product.as_slice(), rows(&back), 1e-11, 1e-12 * size);

        let f = |x: &[Var<'_>]| -> f64 { let y = random_matrices(x, &choices, &kink); (y * y).sum().number() };
        fn square(y: Var<'_>) -> Var<'_> { (y * y).sum() }
        let second = hessian(|x| square(random_matrices(x, &choices, &kink)), &x).unwrap();
        let size = 1.0 + second.amax();
        assert_close!(second.as_slice(), second.transpose().as_slice(), 1e-11, 1e-12 * size);
        let times = rows(&hvp(|x| square(random_matrices(x, &choices, &kink)), &x, &v).unwrap());
        assert_close!((&second * column(rows(&v))).as_slice(), times, 1e-11, 1e-12 * size);

        // Values without a graph.
        let tape = Tape::new();
        let vars = x.clone().map(|x| tape.input(x));
        let y = square(random_matrices(&vars, &choices, &kink));
        let cost = tape.cost();
        let values = tape.grad(y, &vars, GradMode::Values).unwrap();
        let spent = tape.cost() - cost;
        let graph = tape.grad(y, &vars, GradMode::Graph).unwrap();
        prop_assert_eq!(tape.cost() - cost, 2 * spent);
        for (value, graph) in values.iter().zip(&graph) {
            prop_assert_eq!(bits(&value.value()), bits(&graph.value()));
        }

        // Differences, away from kinks.
        prop_assume!(kink.get() > 1e-3);
        let parts = |flat: &[f64]| [0, 9].map(|from| DMatrix::from_row_slice(3, 3, &flat[from..from + 9]));
        let check = GradCheck {
            directions: Directions::Random { count: 4, seed }, tolerance: 1e-6 * size, ..GradCheck::default()
        };
        let at = |flat: &[f64]| {
            let tape = Tape::new();
            f(&parts(flat).map(|x| tape.input(x)))
        };
        let report = check.run(at, &rows(&x), &rows(&graph.iter().map(|g| (*g.value()).clone()).collect::<Vec<_>>()));
        prop_assert!(report.as_ref().unwrap().is_within, "{report:?}");
        let slope = |flat: &[f64]| {
            let (_, gradient) = vjp(|x| square(random_matrices(x, &choices, &kink)), &parts(flat), &number(1.0)).unwrap();
            gradient.iter().zip(&v).map(|(g, v)| g.dot(v)).sum::<f64>()
        };
        let report = check.run(slope, &rows(&x), &times);
        prop_assert!(report.as_ref().unwrap().is_within, "{report:?}");
    }
}

/// A gradient without its graph: the same bits, and of a chain of layers no more kept at once than a few matrices, where
/// the graph keeps all.
#[test]
fn without_a_graph_memory_is_freed_on_the_way() {
    let (layers, size) = (30, 8 * 8);
    let mut rng = StdRng::seed_from_u64(4);
    let tape = Tape::new();
    let w: Vec<Var<'_>> = (0..layers).map(|_| tape.input(normal(8, 8, &mut rng).scale(0.4))).collect();
    let x = tape.constant(normal(8, 8, &mut rng));
    let end = w.iter().fold(x, |x, w| x.matmul(*w).tanh());
    let y = (end * end).sum();
    let forward = tape.peak();
    assert_eq!(forward, tape.variables().iter().map(|x| x.value().len()).sum::<usize>());
    let values = tape.grad(y, &w, GradMode::Values).unwrap();
    let without = tape.peak() - forward;
    // The gradients, one for each layer, and a few matrices of the layer at work: four nodes of tanh's rule, their input.
    assert!(without >= layers * size && without <= (layers + 8) * size, "{without}");
    let graph = tape.grad(y, &w, GradMode::Graph).unwrap();
    assert_eq!(tape.peak(), tape.variables().iter().map(|x| x.value().len()).sum::<usize>());
    let with = tape.peak() - forward - layers * size; // the values from before are still there
    assert!(with > 8 * layers * size, "{with}"); // two transposes, two products, four nodes of tanh a layer
    for (value, graph) in values.iter().zip(&graph) {
        assert_eq!(bits(&value.value()), bits(&graph.value()));
    }
    // Asked for the first layer alone, it keeps one gradient.
    let before = tape.peak();
    let first = tape.grad(y, &w[..1], GradMode::Values).unwrap()[0];
    assert!(tape.peak() - before <= 8 * size, "{}", tape.peak() - before);
    assert_eq!(first.value(), graph[0].value());
    // A value has no derivative any more; what does not depend is 0 in both.
    let nothing = tape.grad(first.sum(), &w[..1], GradMode::Values).unwrap()[0];
    assert_eq!(*nothing.value(), DMatrix::zeros(8, 8));
    for mode in [GradMode::Values, GradMode::Graph] {
        let apart = tape.input(DMatrix::zeros(2, 3));
        assert_eq!(*tape.grad(y, &[apart], mode).unwrap()[0].value(), DMatrix::zeros(2, 3));
        assert!(matches!(tape.grad(end, &w, mode), Err(Error::NotANumber { shape: (8, 8) })));
        let other = Tape::new();
        let stranger = other.input(number(1.0));
        assert!(matches!(tape.grad(stranger, &w, mode), Err(Error::ForeignVariable { .. })));
        assert!(matches!(tape.grad(y, &[stranger], mode), Err(Error::ForeignVariable { .. })));
    }
}

/// Powers at 0: derivatives are limits from the right and those by the exponent are 0; where none is finite the fallible
/// twins say so.
#[test]
fn powers_of_zero_have_the_derivatives_that_are_promised() {
    let second = |a: f64, p: f64| {
        let x = [number(a)];
        let first = jacobian(|v| v[0].powf(p), &x).unwrap()[0];
        (first, hessian(|v| v[0].powf(p), &x).unwrap()[0])
    };
    assert_eq!(second(0.0, 3.5), (0.0, 0.0));
    assert_eq!(second(0.0, 2.0), (0.0, 2.0));
    assert_eq!(second(0.0, 1.5), (0.0, f64::INFINITY));
    assert_eq!(second(0.0, 1.0), (1.0, 0.0));
    assert_eq!(second(0.0, 0.0), (0.0, 0.0));
    assert_eq!(second(0.0, 0.5).0, f64::INFINITY);
    assert_eq!(second(-2.0, 3.0), (12.0, -12.0));
    assert_close!(second(4.0, 1.5).0, 3.0, 1e-15);
    // The trap: the same as e^(b ln a).
    let (a, b) = (number(0.0), number(3.0));
    let naive = jacobian(|v| (v[1] * v[0].ln()).exp(), &[a.clone(), b.clone()]).unwrap();
    assert!(naive[0].is_nan() && naive[1].is_nan());
    // With an exponent that moves: rows (a, b), (derivative by a, by b).
    let cases = [
        ((0.0, 3.0), (0.0, 0.0)),
        ((0.0, 1.0), (1.0, 0.0)),
        ((0.0, 0.0), (0.0, 0.0)),
        ((2.0, 0.0), (0.0, 2_f64.ln())),
        ((2.0, 3.0), (12.0, 8.0 * 2_f64.ln())),
    ];
    for ((a, b), want) in cases {
        let got = jacobian(|v| v[0].pow(v[1]), &[number(a), number(b)]).unwrap();
        assert_eq!((got[0], got[1]), want, "{a}^{b}");
        let (_, along) =
            jvp(|v| v[0].pow(v[1]), &[number(a), number(b)], &[number(1.0), number(10.0)]).unwrap();
        assert_close!(along[0], want.0 + 10.0 * want.1, 1e-14);
    }
    // a^b at b = 0: mixed derivative 1/a, which a guard against 0 must not touch elsewhere.
    let got = hessian(|v| v[0].pow(v[1]), &[number(2.0), number(0.0)]).unwrap();
    assert_close!(got.as_slice(), [0.0, 0.5, 0.5, 2_f64.ln().powi(2)], 1e-15);
    // At 0 with room above the order of the derivative: 0 is the limit.
    assert_eq!(hessian(|v| v[0].pow(v[1]), &[number(0.0), number(2.5)]).unwrap(), DMatrix::zeros(2, 2));

    let tape = Tape::new();
    let base = |x: f64| tape.input(DMatrix::from_row_slice(2, 2, &[1.0, 1.0, x, 1.0]));
    let place = |result: Result<Var<'_>, Error>| match result {
        Err(Error::Power { row, column, base, exponent }) => (row, column, base, exponent),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(base(0.0).try_powf(0.5)), (1, 0, 0.0, 0.5));
    assert_eq!(place(base(0.0).try_powf(-1.0)), (1, 0, 0.0, -1.0));
    assert_eq!(place(base(-1.0).try_powf(1.5)), (1, 0, -1.0, 1.5));
    for (x, p) in [(0.0, 1.0), (0.0, 0.0), (0.0, 2.5), (-1.0, 3.0), (-1.0, -2.0)] {
        assert_eq!(base(x).try_powf(p).unwrap().value(), base(x).powf(p).value());
    }
    let half = tape.input(DMatrix::from_element(2, 2, 0.5));
    assert_eq!(place(base(0.0).try_pow(half)), (1, 0, 0.0, 0.5));
    assert_eq!(place(base(-1.0).try_pow(half)), (1, 0, -1.0, 0.5));
    assert_eq!(base(0.0).try_pow(half.shift(1.0)).unwrap().value(), base(0.0).pow(half.shift(1.0)).value());
    assert!(matches!(half.try_pow(tape.input(number(1.0))), Err(Error::Shape { .. })));
}

/// The largest entries receive the derivative, and equal ones share it equally.
#[test]
fn maxima_share_the_derivative_at_ties() {
    let tape = Tape::new();
    let a = tape.input(DMatrix::from_row_slice(2, 3, &[1.0, 5.0, 5.0, 2.0, 2.0, 2.0]));
    let b = tape.input(DMatrix::from_row_slice(2, 3, &[0.0, 5.0, 6.0, 2.0, 3.0, 1.0]));
    let both = a.maximum(b);
    assert_eq!(*both.value(), DMatrix::from_row_slice(2, 3, &[1.0, 5.0, 6.0, 2.0, 3.0, 2.0]));
    let weights = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let of = |y: Var<'_>, x: Var<'_>| tape.vjp(y, &[x], tape.constant(weights.clone()))[0].value();
    assert_eq!(*of(both, a), DMatrix::from_row_slice(2, 3, &[1.0, 1.0, 0.0, 2.0, 0.0, 6.0]));
    assert_eq!(*of(both, b), DMatrix::from_row_slice(2, 3, &[0.0, 1.0, 3.0, 2.0, 5.0, 0.0]));
    assert_eq!(*of(a.maximum(a), a), weights, "a number against itself");
    let row = a.max_columns();
    assert_eq!(*row.value(), DMatrix::from_row_slice(2, 1, &[5.0, 2.0]));
    let seed = tape.constant(DMatrix::from_row_slice(2, 1, &[4.0, 6.0]));
    let want = DMatrix::from_row_slice(2, 3, &[0.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
    assert_eq!(*tape.vjp(row, &[a], seed)[0].value(), want);
    let column = b.max_rows();
    assert_eq!(*column.value(), DMatrix::from_row_slice(1, 3, &[2.0, 5.0, 6.0]));
    let by_b = tape.vjp(column, &[b], tape.constant(DMatrix::from_element(1, 3, 1.0)))[0].value();
    assert_eq!(*by_b, DMatrix::from_row_slice(2, 3, &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]));
    // Second derivatives of what is made of maxima: of max(x)^2 of a row, 2 at the largest, and a quarter each at a tie.
    let square = |x: &[f64]| {
        let x = [DMatrix::from_row_slice(1, 2, x)];
        hessian(|v| v[0].max_columns().powi(2), &x).unwrap()
    };
    assert_eq!(square(&[1.0, 3.0]), DMatrix::from_row_slice(2, 2, &[0.0, 0.0, 0.0, 2.0]));
    assert_eq!(square(&[3.0, 3.0]), DMatrix::from_element(2, 2, 0.5));
    // What is not a number stays one.
    let broken = tape.input(DMatrix::from_row_slice(1, 2, &[f64::NAN, 1.0]));
    let fine = tape.input(DMatrix::from_row_slice(1, 2, &[2.0, f64::NAN]));
    assert!(
        broken.maximum(fine).value().iter().all(|x| x.is_nan()) && broken.max_columns().number().is_nan()
    );
    assert!(matches!(a.try_maximum(row), Err(Error::Shape { got: (2, 1), want: (2, 3), .. })));
    let other = Tape::new();
    let stranger = other.input(weights.clone());
    assert!(matches!(a.try_maximum(stranger), Err(Error::ForeignVariable { .. })));
}

#[test]
fn functions_that_do_not_fit_their_arguments_are_typed_errors() {
    let x = [DMatrix::from_element(2, 3, 1.0), number(2.0)];
    let wide = DMatrix::from_element(2, 3, 1.0);
    let tall = DMatrix::from_element(3, 2, 1.0);
    assert!(matches!(vjp(|v| v[0], &x, &tall), Err(Error::Shape { got: (3, 2), want: (2, 3), .. })));
    let short = [wide.clone()];
    let turned = [tall.clone(), number(1.0)];
    assert!(matches!(jvp(|v| v[0], &x, &short), Err(Error::LengthMismatch { examples: 2, labels: 1 })));
    assert!(matches!(jvp(|v| v[0], &x, &turned), Err(Error::Shape { got: (3, 2), want: (2, 3), .. })));
    assert!(matches!(hvp(|v| v[1], &x, &short), Err(Error::LengthMismatch { .. })));
    assert!(matches!(hvp(|v| v[1], &x, &turned), Err(Error::Shape { .. })));
    assert!(matches!(hvp(|v| v[0], &x, &x), Err(Error::NotANumber { shape: (2, 3) })));
    assert!(matches!(hessian(|v| v[0], &x), Err(Error::NotANumber { shape: (2, 3) })));
    // Another tape's variable only gets in when that tape lives for ever.
    let other: &'static Tape = Box::leak(Box::default());
    let stranger = other.input(number(1.0));
    assert!(matches!(jacobian(|_| stranger, &x), Err(Error::ForeignVariable { .. })));
    assert!(matches!(vjp(|_| stranger, &x, &number(1.0)), Err(Error::ForeignVariable { .. })));
    // A result that does not depend on an argument has zeros there, and one that is an argument the identity.
    let (_, back) = vjp(|v| v[0], &x, &wide).unwrap();
    assert_eq!(back, [wide.clone(), number(0.0)]);
    let all = jacobian(|v| v[0], &x).unwrap();
    assert_eq!(all, DMatrix::identity(7, 7).rows(0, 6).into_owned());
    let fewer = jacobian(|v| v[0].repeat_rows(5), &[DMatrix::from_element(1, 2, 1.0)]).unwrap(); // forward
    assert_eq!(fewer, DMatrix::from_fn(10, 2, |i, j| f64::from(u8::from(i % 2 == j))));
}
