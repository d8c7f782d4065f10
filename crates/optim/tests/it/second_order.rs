//! Curvature: golden iterates, conjugacy, the Wolfe conditions, and methods that must agree on quadratics.
use dfdx::prelude::*;
use layers::testing::Golden;
use layers::{Along, Dual, assert_close, builders, params};
use nalgebra::{DMatrix, DVector};
use optim::Error;
use optim::second_order::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn golden(name: &str) -> Golden {
    Golden::open(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR")))
}

fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
    (a * a + 100.0 * b * b, vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b])
}

fn quadratic(a: DMatrix<f64>, b: DVector<f64>) -> impl Fn(&[f64]) -> (f64, Vec<f64>) + Clone {
    move |x| {
        let x = DVector::from_column_slice(x);
        let image = &a * &x;
        (0.5 * x.dot(&image) - b.dot(&x), (image - &b).as_slice().to_vec())
    }
}

/// Every iterate of scipy and numpy.
#[test]
fn iterates_are_those_of_the_references() {
    let golden = golden("second_order.json");
    let (a, b) = (DMatrix::from_row_slice(5, 5, &golden.numbers("A")), golden.numbers("b"));
    let product = |v: &[f64]| (&a * DVector::from_column_slice(v)).as_slice().to_vec();
    let config = CgConfig { tolerance: 0.0, max_iterations: 5 };
    let found = conjugate_gradient(product, &b, config);
    assert_close!(found.iterates.concat(), golden.numbers("cg_iterates"), 1e-9, 0.0);
    assert_close!(found.x, golden.numbers("solution"), 1e-9, 0.0);

    let full = |x: &[f64]| {
        let (value, gradient) = rosenbrock(x);
        let h = [1200.0 * x[0] * x[0] - 400.0 * x[1] + 2.0, -400.0 * x[0], -400.0 * x[0], 200.0];
        (value, DVector::from_vec(gradient), DMatrix::from_row_slice(2, 2, &h))
    };
    let (found, iterates) = newton(full, &[-1.2, 1.0], NewtonKind::Plain, 0.0, 7).unwrap();
    assert_close!(
        iterates.concat(),
        golden.numbers("rosenbrock/newton")[..iterates.len() * 2].to_vec(),
        1e-9,
        0.0
    );
    assert!(iterates.len() >= 7 && found.value < 1e-20);

    let residuals = |x: &[f64]| {
        let r = DVector::from_vec(vec![10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]]);
        (r, DMatrix::from_row_slice(2, 2, &[-20.0 * x[0], 10.0, -1.0, 0.0]))
    };
    let mut x = DVector::from_vec(vec![-1.2, 1.0]);
    let mut path = x.as_slice().to_vec();
    for _ in 0..3 {
        let (r, j) = residuals(x.as_slice());
        x += gauss_newton_step(&r, &j).unwrap();
        path.extend(x.iter());
    }
    assert_close!(path, golden.numbers("rosenbrock/gauss_newton"), 1e-9, 0.0);

    let config = LevenbergMarquardtConfig { tolerance: 0.0, max_iterations: 25, ..Default::default() };
    let (found, iterates) = levenberg_marquardt(residuals, &[-1.2, 1.0], config).unwrap();
    let want = golden.numbers("rosenbrock/levenberg_marquardt");
    assert!(iterates.len() >= 24, "it ends early only where the gradient is 0: {found:?}");
    assert_close!(iterates.concat(), want[..2 * iterates.len()].to_vec(), 1e-9, 0.0);
    assert_close!(found.x, want[50..].to_vec(), 1e-9);

    let found =
        Bfgs::try_new(BfgsConfig::default()).unwrap().minimise(rosenbrock, &[-1.2, 1.0], 100).unwrap();
    assert_eq!(found.stop, Stop::Converged);
    assert_close!(found.x, golden.numbers("rosenbrock/bfgs_minimum"), 1e-6); // scipy stops at 1e-5

    for elsewhere in
        ["source", "eigenvalues", "rates", "clipping", "reddi_counterexample", "rosenbrock/lm_rule"]
    {
        golden.skip(elsewhere);
    }
    golden.finish();
}

/// PyTorch's L-BFGS with one iteration per step, fixed steps and strong Wolfe: iterates and counts of evaluations.
#[test]
fn lbfgs_follows_pytorch() {
    for (problem, n) in [("quadratic", 4), ("rosenbrock", 2), ("logistic", 3)] {
        let golden = golden(&format!("trajectories_{problem}.json"));
        let mut function: Box<dyn FnMut(&[f64]) -> (f64, Vec<f64>)> = match problem {
            "quadratic" => {
                let a = DMatrix::from_row_slice(n, n, &golden.numbers("A"));
                Box::new(quadratic(a, DVector::from_vec(golden.numbers("b"))))
            }
            "rosenbrock" => Box::new(rosenbrock),
            _ => {
                let (x, y, l2) = (golden.numbers("X"), golden.numbers("y"), golden.number("l2"));
                Box::new(move |w: &[f64]| {
                    let mut value = 0.5 * l2 * w.iter().map(|w| w * w).sum::<f64>();
                    let mut gradient: Vec<f64> = w.iter().map(|w| l2 * w).collect();
                    for (row, y) in x.chunks(n).zip(&y) {
                        let z: f64 = row.iter().zip(w).map(|(x, w)| x * w).sum();
                        let count = (x.len() / n) as f64;
                        value += (z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z) / count;
                        let error = (1.0 / (1.0 + (-z).exp()) - y) / count;
                        gradient.iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                    }
                    (value, gradient)
                })
            }
        };
        let is_ours = |key: &str| matches!(key, "runs" | "x0" | "A" | "b" | "X" | "y" | "l2");
        golden.keys("").into_iter().filter(|key| !is_ours(key)).for_each(|key| golden.skip(key));
        let others = golden.keys("runs").into_iter().filter(|run| !run.starts_with("lbfgs"));
        others.for_each(|run| golden.skip(&format!("runs/{run}"))); // in `optimizers`
        for (run, line_search) in [
            ("lbfgs_fixed_step", None),
            ("lbfgs_strong_wolfe", Some(StrongWolfe { max_evaluations: 24, ..Default::default() })),
        ] {
            let path = format!("runs/{run}");
            let config = LbfgsConfig {
                learning_rate: golden.number(&format!("{path}/params/lr")),
                history: golden.number(&format!("{path}/params/history_size")) as usize,
                line_search,
                tolerance: 1e-7,
            };
            let mut lbfgs = Lbfgs::try_new(config).unwrap();
            let want = golden.numbers(&format!("{path}/x"));
            let values = golden.numbers(&format!("{path}/f"));
            let found = lbfgs.minimise(&mut *function, &golden.numbers("x0"), 50).unwrap();
            assert_close!(
                found.history,
                values[..found.history.len()].to_vec(),
                1e-7,
                1e-9,
                "{problem}: {run}"
            );
            // After convergence PyTorch stays where it is.
            let last = want[want.len() - n..].to_vec();
            assert_close!(found.x, last, 1e-7, 1e-9, "{problem}: {run}");
            let evaluations = golden.number(&format!("{path}/function_evaluations"));
            for key in golden.keys(&format!("{path}/params")) {
                if !matches!(key, "lr" | "history_size") {
                    golden.skip(&format!("{path}/params/{key}")); // one iteration per step: see the generator
                }
            }
            if line_search.is_some() {
                // PyTorch evaluates once more in each of its 50 steps, and goes on after convergence.
                assert_eq!(found.evaluations as f64 + 49.0, evaluations, "{problem}: {run}");
            } else {
                assert_eq!(evaluations, 50.0);
            }
        }
    }
}

fn spd(seed: [f64; 9], n: usize) -> DMatrix<f64> {
    let m = DMatrix::from_fn(n, n, |i, j| seed[(3 * i + j) % 9] + if i == j { 2.0 } else { 0.0 });
    &m * m.transpose() + DMatrix::identity(n, n)
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(2026), failure_persistence: None, cases: 64, ..Default::default()
    })]

    #[test]
    fn conjugate_gradients_are_conjugate_and_end(
        entries in prop::array::uniform9(-1.0..1.0_f64), b in prop::array::uniform3(-2.0..2.0_f64),
    ) {
        let a = spd(entries, 3);
        let product = |v: &[f64]| (&a * DVector::from_column_slice(v)).as_slice().to_vec();
        let found = conjugate_gradient(product, &b, CgConfig { tolerance: 1e-9, max_iterations: 9 });
        prop_assert!(found.stop == CgStop::Converged && found.iterates.len() <= 3, "as many steps as unknowns: {found:?}");
        let b = DVector::from_column_slice(&b);
        let mut residuals = vec![b.clone()];
        residuals.extend(found.iterates.iter().map(|x| &b - &a * DVector::from_column_slice(x)));
        for (i, r) in residuals.iter().enumerate() {
            for q in &residuals[..i] {
                // The last one is rounding and has no direction.
                prop_assert!(r.dot(q).abs() <= 1e-9 * b.norm_squared(), "{:e}", r.dot(q));
            }
        }
        for (i, p) in found.directions.iter().enumerate() {
            for q in &found.directions[..i] {
                let inner = DVector::from_column_slice(p).dot(&(&a * DVector::from_column_slice(q)));
                let scale = DVector::from_column_slice(p).norm() * DVector::from_column_slice(q).norm() * a.norm();
                prop_assert!(inner.abs() <= 1e-9 * scale.max(1e-12), "{inner:e}");
            }
        }
    }

    #[test]
    fn newton_solves_a_quadratic_in_one_step(
        entries in prop::array::uniform9(-1.0..1.0_f64), b in prop::array::uniform3(-2.0..2.0_f64),
    ) {
        let a = spd(entries, 3);
        let f = quadratic(a.clone(), DVector::from_column_slice(&b));
        let full = |x: &[f64]| { let (v, g) = f(x); (v, DVector::from_vec(g), a.clone()) };
        let (found, _) = newton(full, &[1.0, -1.0, 0.5], NewtonKind::Plain, 1e-9, 2).unwrap();
        prop_assert!(found.stop == Stop::Converged && found.iterations <= 1, "{found:?}");
    }

    #[test]
    fn accepted_steps_satisfy_the_strong_wolfe_conditions(
        start in prop::array::uniform2(-2.0..2.0_f64), first in 0.001..10.0_f64,
    ) {
        let (value, gradient) = rosenbrock(&start);
        prop_assume!(gradient.iter().any(|g| g.abs() > 1e-3));
        let direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let constants = StrongWolfe { max_evaluations: 60, tolerance: 1e-14, ..Default::default() };
        let at = (value, &gradient[..]);
        let found = strong_wolfe(&mut rosenbrock, &start, at, &direction, first, constants).unwrap();
        let slope: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let new_slope: f64 = found.gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        prop_assert!(found.value <= value + 1e-4 * found.step * slope);
        prop_assert!(new_slope.abs() <= 0.9 * slope.abs(), "slope {new_slope} of {slope}");
    }
}

/// A smooth, strictly convex function that is not a quadratic, Σ ln cosh(aᵢ·x − bᵢ) + |x|²/2, made small: then no method
/// shortens its first step by the absolute sum of the gradient, which depends on the coordinates.
#[derive(Clone, Debug)]
struct Valley {
    rows: DMatrix<f64>,
    shifts: DVector<f64>,
    scale: f64,
}

impl Valley {
    fn new(entries: [f64; 9]) -> Self {
        let rows = DMatrix::from_row_slice(3, 2, &entries[..6]);
        Self { rows, shifts: DVector::from_column_slice(&entries[6..]), scale: 0.05 }
    }

    /// Value, gradient and Hessian.
    fn at(&self, x: &DVector<f64>) -> (f64, DVector<f64>, DMatrix<f64>) {
        let z = &self.rows * x - &self.shifts;
        let value = z.iter().map(|z| z.cosh().ln()).sum::<f64>() + 0.5 * x.norm_squared();
        let gradient = self.rows.tr_mul(&z.map(f64::tanh)) + x;
        let bend = DMatrix::from_diagonal(&z.map(|z| z.cosh().powi(-2)));
        let hessian = self.rows.tr_mul(&(bend * &self.rows)) + DMatrix::identity(2, 2);
        (self.scale * value, gradient * self.scale, hessian * self.scale)
    }

    /// The same function of z, where x = T z + s.
    fn through<'a>(
        &'a self,
        t: &'a DMatrix<f64>,
        s: &'a DVector<f64>,
    ) -> impl Fn(&[f64]) -> (f64, DVector<f64>, DMatrix<f64>) + Clone + 'a {
        move |z| {
            let (value, gradient, hessian) = self.at(&(t * DVector::from_column_slice(z) + s));
            (value, t.tr_mul(&gradient), t.tr_mul(&(hessian * t)))
        }
    }
}

/// Value and gradient alone.
fn first_order(
    f: impl Fn(&[f64]) -> (f64, DVector<f64>, DMatrix<f64>),
) -> impl Fn(&[f64]) -> (f64, Vec<f64>) {
    move |x| {
        let (value, gradient, _) = f(x);
        (value, gradient.as_slice().to_vec())
    }
}

/// How far the points that a method visits in other coordinates, x = T z + s, are from those it visits in x, at most.
fn path_difference(
    f: &Valley,
    t: &DMatrix<f64>,
    s: &DVector<f64>,
    path: impl Fn(&dyn Fn(&[f64]) -> (f64, DVector<f64>, DMatrix<f64>), &[f64], &DMatrix<f64>) -> Vec<Vec<f64>>,
) -> f64 {
    let start = DVector::from_vec(vec![0.6, -0.3]);
    let inverse = t.clone().try_inverse().unwrap();
    let (plain, nothing) = (DMatrix::identity(2, 2), DVector::zeros(2));
    let here = path(&f.through(&plain, &nothing), start.as_slice(), &plain);
    let there = path(&f.through(t, s), (&inverse * (start - s)).as_slice(), &inverse);
    assert!(here.len() == there.len() && here.len() > 2, "{} and {} points", here.len(), there.len());
    let back = |z: &Vec<f64>| t * DVector::from_column_slice(z) + s;
    let off = here.iter().zip(&there).map(|(x, z)| (DVector::from_column_slice(x) - back(z)).amax());
    off.fold(0.0, f64::max)
}

/// Every point of a method that is asked for one step at a time.
fn points(steps: usize, start: &[f64], mut step: impl FnMut(&[f64]) -> Minimum) -> Vec<Vec<f64>> {
    let mut path = vec![start.to_vec()];
    for _ in 0..steps {
        path.push(step(&path[path.len() - 1]).x);
    }
    path
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(2027), failure_persistence: None, cases: 64, ..Default::default()
    })]

    /// Newton's method and BFGS do not see an affine change of the coordinates, if the first inverse Hessian changes with
    /// them; gradient descent, conjugate gradients and BFGS from the identity do.
    #[test]
    fn newton_and_bfgs_do_not_see_the_coordinates(
        entries in prop::array::uniform9(-1.5..1.5_f64), t in prop::array::uniform4(-1.0..1.0_f64),
        s in prop::array::uniform2(-1.0..1.0_f64),
    ) {
        let t = DMatrix::from_row_slice(2, 2, &t) + DMatrix::from_row_slice(2, 2, &[2.5, 0.0, 0.0, 1.2]);
        prop_assume!(t.determinant().abs() > 0.3);
        let (f, s) = (Valley::new(entries), DVector::from_column_slice(&s));
        for kind in [NewtonKind::Plain, NewtonKind::Damped(0.05)] {
            let off = path_difference(&f, &t, &s, |f, start, _| newton(f, start, kind, 0.0, 4).unwrap().1);
            // Damping adds λI, which is another matrix in other coordinates.
            prop_assert!((off < 1e-9) == (kind == NewtonKind::Plain), "{kind:?}: {off:e}");
        }
        let bfgs = |follows: bool| {
            path_difference(&f, &t, &s, |f, start, inverse| {
                let first = if follows { inverse * inverse.transpose() } else { DMatrix::identity(2, 2) };
                let config = BfgsConfig { tolerance: 0.0, ..Default::default() };
                let mut bfgs = Bfgs::try_new(config).unwrap().with_inverse(first);
                points(4, start, |x| bfgs.minimise(first_order(f), x, 1).unwrap())
            })
        };
        prop_assert!(bfgs(true) < 1e-7, "{:e}", bfgs(true));
        prop_assert!(bfgs(false) > 1e-6, "{:e}", bfgs(false));
        let descent = path_difference(&f, &t, &s, |f, start, _| {
            let mut path = vec![start.to_vec()];
            for _ in 0..4 {
                let last = path[path.len() - 1].clone();
                path.push(last.iter().zip(f(&last).1.iter()).map(|(z, g)| z - g).collect());
            }
            path
        });
        prop_assert!(descent > 1e-6, "{descent:e}");
    }

    /// A rotation is seen by none of the methods of this module that build on inner products.
    #[test]
    fn rotations_are_not_seen(entries in prop::array::uniform9(-1.5..1.5_f64), turn in 0.2..1.4_f64) {
        let (sin, cos) = turn.sin_cos();
        let (q, zero) = (DMatrix::from_row_slice(2, 2, &[cos, -sin, sin, cos]), DVector::zeros(2));
        let f = Valley::new(entries);
        for update in
            [CgUpdate::FletcherReeves, CgUpdate::PolakRibiere, CgUpdate::HestenesStiefel, CgUpdate::DaiYuan]
        {
            let config = NonlinearCgConfig { update, tolerance: 0.0, restart: 9, ..Default::default() };
            let off = path_difference(&f, &q, &zero, |f, start, _| {
                let after = |steps| NonlinearCg::try_new(config).unwrap().minimise(first_order(f), start, steps);
                (0..4).map(|steps| after(steps).unwrap().x).collect()
            });
            prop_assert!(off < 1e-7, "{update:?}: {off:e}");
        }
        let off = path_difference(&f, &q, &zero, |f, start, _| {
            let mut lbfgs = Lbfgs::try_new(LbfgsConfig { tolerance: 0.0, ..Default::default() }).unwrap();
            points(3, start, |x| lbfgs.minimise(first_order(f), x, 1).unwrap())
        });
        prop_assert!(off < 1e-7, "L-BFGS: {off:e}");
        let off = path_difference(&f, &q, &zero, |f, start, _| {
            newton(f, start, NewtonKind::SaddleFree(1e-6), 0.0, 3).unwrap().1
        });
        prop_assert!(off < 1e-9, "saddle-free Newton: {off:e}");
    }

    /// The two loops over all pairs are the product with the matrix that BFGS's update gives, from the same start.
    #[test]
    fn the_two_loops_are_the_update_of_bfgs(
        entries in prop::array::uniform9(-1.5..1.5_f64), vector in prop::array::uniform2(-1.0..1.0_f64),
    ) {
        let f = Valley::new(entries);
        let at = first_order(|x: &[f64]| f.at(&DVector::from_column_slice(x)));
        let mut lbfgs = Lbfgs::try_new(LbfgsConfig { tolerance: 1e-4, ..Default::default() }).unwrap();
        let path = points(3, &[0.6, -0.3], |x| lbfgs.minimise(&at, x, 1).unwrap());
        let mut pairs = Vec::new();
        for ends in path.windows(2).filter(|ends| ends[0] != ends[1]) {
            let [a, b] = [0, 1].map(|i| DVector::from_column_slice(&ends[i]));
            let [before, after] = [0, 1].map(|i| DVector::from_vec(at(&ends[i]).1));
            pairs.push((b - a, after - before));
        }
        let (s, y) = pairs.last().unwrap();
        let mut inverse = DMatrix::identity(2, 2) * (s.dot(y) / y.dot(y));
        for (s, y) in &pairs {
            let rho = 1.0 / s.dot(y);
            let left = DMatrix::identity(2, 2) - s * y.transpose() * rho;
            inverse = &left * inverse * left.transpose() + s * s.transpose() * rho;
        }
        let want = -(inverse * DVector::from_column_slice(&vector));
        assert_close!(lbfgs.direction(&vector), want.as_slice().to_vec(), 1e-6, 1e-8);
    }
}

/// The Gauss–Newton matrix of a classifier is the mean of g gᵀ over labels drawn from its own answers, so it is never
/// negative in any direction; the Hessian is, away from a minimum.
#[test]
fn gauss_newton_is_the_fisher_matrix_and_never_negative() {
    use optim::autodiff::hvp::{Sizes, second_order};
    let (sizes, n) = (Sizes { inputs: 2, hidden: 3, outputs: 3 }, 4);
    let count = sizes.parameters();
    let draw = |length: usize, key: u64| {
        let mut values = vec![0.0_f64; length];
        kernels::random::Key::new(key).fill_normal(&mut values);
        values
    };
    let unit = |i: usize| (0..count).map(|j| f64::from(u8::from(i == j))).collect::<Vec<_>>();
    let mut saddles = 0;
    for seed in 0..16 {
        let w = draw(count, 2 * seed);
        let x = DMatrix::from_row_slice(n, 2, &draw(2 * n, 2 * seed + 1));
        let at = |i: usize| second_order(sizes, &w, &unit(i), &x, &[0, 1, 2, 0]).unwrap();
        let columns: Vec<_> = (0..count).map(at).collect();
        let of = |f: &dyn Fn(usize) -> Vec<f64>| {
            DMatrix::from_columns(&(0..count).map(|i| DVector::from_vec(f(i))).collect::<Vec<_>>())
        };
        let gauss_newton = of(&|i| columns[i].gauss_newton_vector.clone());
        let hessian = of(&|i| columns[i].hessian_vector.clone());
        let mut fisher = DMatrix::zeros(count, count);
        for example in 0..n {
            for label in 0..3 {
                let one = x.rows(example, 1).into_owned();
                let told = second_order(sizes, &w, &unit(0), &one, &[label]).unwrap();
                let g = DVector::from_vec(told.gradient);
                fisher += &g * g.transpose() * ((-told.loss).exp() / n as f64); // the loss is −ln p
            }
        }
        assert_close!(gauss_newton.as_slice(), fisher.as_slice(), 1e-10, 1e-13, "seed {seed}");
        let least = |m: &DMatrix<f64>| ((m + m.transpose()) * 0.5).symmetric_eigenvalues().min();
        assert!(least(&gauss_newton) > -1e-12 * gauss_newton.trace(), "seed {seed}");
        saddles += u64::from(least(&hessian) < -1e-3 * gauss_newton.trace());
    }
    assert!(saddles > 8, "only {saddles} of 16 Hessians have a negative direction");
}

/// With full memory and nearly exact line searches, all of these are conjugate gradients on a quadratic.
#[test]
fn quasi_newton_and_conjugate_gradients_agree_on_a_quadratic() {
    let a = spd([0.3, -0.7, 0.2, 0.9, -0.1, 0.4, -0.5, 0.8, 0.6], 3);
    let f = quadratic(a.clone(), DVector::from_vec(vec![1.0, -2.0, 0.5]));
    let exact = StrongWolfe { curvature: 1e-10, decrease: 1e-12, max_evaluations: 200, tolerance: 1e-16 };
    let start = [0.0; 3];
    let solution = a.lu().solve(&DVector::from_vec(vec![1.0, -2.0, 0.5])).unwrap();
    let bfgs = BfgsConfig { line_search: exact, tolerance: 1e-9 };
    let bfgs = Bfgs::try_new(bfgs).unwrap().minimise(f.clone(), &start, 3).unwrap();
    let config = LbfgsConfig { line_search: Some(exact), tolerance: 1e-9, ..Default::default() };
    let lbfgs = Lbfgs::try_new(config).unwrap().minimise(f.clone(), &start, 3).unwrap();
    let mut ends = vec![bfgs.x, lbfgs.x];
    for update in
        [CgUpdate::FletcherReeves, CgUpdate::PolakRibiere, CgUpdate::HestenesStiefel, CgUpdate::DaiYuan]
    {
        let config = NonlinearCgConfig { update, line_search: exact, ..Default::default() };
        ends.push(NonlinearCg::try_new(config).unwrap().minimise(f.clone(), &start, 3).unwrap().x);
    }
    for x in ends {
        assert_close!(x, solution.as_slice().to_vec(), 1e-6, 1e-7);
    }
}

#[test]
fn nonlinear_conjugate_gradients_find_the_minimum_of_rosenbrock() {
    for update in
        [CgUpdate::FletcherReeves, CgUpdate::PolakRibiere, CgUpdate::HestenesStiefel, CgUpdate::DaiYuan]
    {
        let config = NonlinearCgConfig { update, ..Default::default() };
        let found = NonlinearCg::try_new(config).unwrap().minimise(rosenbrock, &[-1.2, 1.0], 400).unwrap();
        assert!((found.x[0] - 1.0).abs() < 1e-4 && (found.x[1] - 1.0).abs() < 1e-4, "{update:?}: {found:?}");
    }
}

/// x² − y² + y⁴/4: plain Newton stays at the saddle, saddle-free Newton leaves it for a minimum at y = ±√2.
#[test]
fn saddle_free_newton_leaves_saddles() {
    let f = |x: &[f64]| {
        let (a, b) = (x[0], x[1]);
        let hessian = DMatrix::from_row_slice(2, 2, &[2.0, 0.0, 0.0, 3.0 * b * b - 2.0]);
        (a * a - b * b + 0.25 * b.powi(4), DVector::from_vec(vec![2.0 * a, b.powi(3) - 2.0 * b]), hessian)
    };
    let start = [0.5, 0.1];
    let (plain, _) = newton(f, &start, NewtonKind::Plain, 1e-10, 50).unwrap();
    assert!(plain.x[1].abs() < 1e-9, "{plain:?}");
    let (free, _) = newton(f, &start, NewtonKind::SaddleFree(1e-3), 1e-10, 200).unwrap();
    assert!((free.x[1].abs() - 2.0_f64.sqrt()).abs() < 1e-8, "{free:?}");
}

type Net = (builders::Linear<2, 6, builders::Tanh>, builders::Linear<6, 1>);
type Built = <Net as BuildOnDevice<Cpu, f64>>::Built;

/// A network by Hessian-free steps, whose products are those of `layers`, against L-BFGS from the same start.
#[test]
fn hessian_free_trains_a_network() {
    let dev = Cpu::seed_from_u64(3);
    let mut model: Built = BuildModule::build(&dev);
    let x: Tensor<Rank2<20, 2>, f64, _> = dev.sample_normal();
    let y: Tensor<Rank2<20, 1>, f64, _> = (x.clone().sum::<Rank1<20>, _>() * 0.7).sin().reshape();
    let loss = |model: &Built| {
        let loss = kernels::mse_mean(model.forward(x.leaky_trace()), y.clone());
        Ok((loss.array(), loss.backward()))
    };
    let start = params::flatten(&model);
    let mut twin = model.clone();
    let product = |at: &[f64], v: &[f64]| -> Result<Vec<f64>, Error> {
        params::unflatten(&mut twin, at)?;
        Ok(layers::hessian_vector_product(&twin, v, |model, direction| {
            model.along(direction, Dual::constant(x.leaky_trace())).mse_mean(y.clone())
        })?)
    };
    let config = HessianFreeConfig { max_iterations: 40, ..Default::default() };
    let objective = ModelObjective::new(&mut model, loss);
    let found = hessian_free(objective, product, &start, config).unwrap();
    assert!(found.history.windows(2).all(|pair| pair[1] < pair[0]), "every step descends");
    assert!(found.value < 0.02 * found.history[0], "{} from {}", found.value, found.history[0]);
    let objective = ModelObjective::new(&mut model, loss);
    let by_lbfgs = Lbfgs::try_new(LbfgsConfig::default()).unwrap().minimise(objective, &start, 200).unwrap();
    assert!(by_lbfgs.value < 0.02 * by_lbfgs.history[0]);
}

/// Softmax regression on the 1200 digits that the pilot of this lecture drew with numpy's generator, whose minimum
/// 0.264029331564 it notes: by Newton's method with products of the Hessian, and by L-BFGS, which shares the gradient with it and
/// nothing else. The experiment `second-order-digits` takes the first 1200 instead, whose minimum is another.
#[cfg(feature = "experiments")]
#[test]
fn softmax_regression_ends_at_the_minimum_of_the_pilot() {
    type Regression = <builders::Linear<64, 10> as BuildOnDevice<Cpu, f64>>::Built;
    let golden = golden("softmax_regression.json");
    let rows: Vec<usize> = golden.numbers("rows").into_iter().map(|row| row as usize).collect();
    let (penalty, minimum) = (golden.number("penalty"), golden.number("minimum"));
    golden.skip("source");
    golden.finish();
    assert!((minimum - 0.264029331564).abs() < 1e-12);
    let (dev, images) = (Cpu::default(), datasets::digits());
    let x: Tensor<(usize, Const<64>), f64, Cpu> = images.flat_batch(&rows, &dev);
    let labels = images.batch_labels(&rows);
    let mut model: Regression = BuildModule::build(&dev);
    let start = vec![0.0; params::count(&model)];
    let mut twin = model.clone();
    let mut inner = ModelObjective::new(&mut model, |model: &Regression| {
        let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &labels);
        Ok((loss.array(), loss.backward()))
    });
    let mut objective = |w: &[f64]| {
        let (value, mut gradient) = inner.evaluate(w).unwrap();
        gradient.iter_mut().zip(w).for_each(|(g, w)| *g += penalty * w);
        (value + 0.5 * penalty * w.iter().map(|w| w * w).sum::<f64>(), gradient)
    };
    let product = |at: &[f64], v: &[f64]| -> Result<Vec<f64>, Error> {
        params::unflatten(&mut twin, at)?;
        let mut image = layers::hessian_vector_product(&twin, v, |model, direction| {
            model.along(direction, Dual::constant(x.leaky_trace())).cross_entropy_mean(&labels)
        })?;
        image.iter_mut().zip(v).for_each(|(image, v)| *image += penalty * v);
        Ok(image)
    };
    let config = HessianFreeConfig { max_iterations: 30, tolerance: 1e-8, ..Default::default() };
    let newton = hessian_free(&mut objective, product, &start, config).unwrap();
    assert!((newton.value - minimum).abs() < 1e-9, "Newton: {} off", newton.value - minimum);
    let config = LbfgsConfig { tolerance: 1e-8, ..Default::default() };
    let lbfgs = Lbfgs::try_new(config).unwrap().minimise(&mut objective, &start, 500).unwrap();
    // It stops, as PyTorch's, where its direction falls by less than 1e-9 per unit.
    assert!((lbfgs.value - minimum).abs() < 1e-8, "L-BFGS: {} off", lbfgs.value - minimum);
}

/// On a quadratic the gradient uphill is known: SAM's step is that of plain descent with H(w + ρ g/|g|).
#[test]
fn sam_takes_the_gradient_uphill() {
    let mut w = Cpu::default().tensor([3.0_f64, 4.0]);
    let config = layers::SgdConfig { learning_rate: 0.5, ..Default::default() };
    let inner = layers::Sgd::try_new(&w, config).unwrap();
    let mut sam = Sam::try_new(inner, SamConfig { radius: 0.5 }).unwrap();
    sam.step(&mut w, |w: &Tensor<Rank1<2>, f64, Cpu>| Ok(w.leaky_trace().square().sum().backward())).unwrap();
    // g = (6, 8), uphill (3.3, 4.4), gradient there (6.6, 8.8).
    assert_close!(w.array(), [3.0 - 3.3, 4.0 - 4.4], 1e-12, 1e-14);
    assert!(matches!(
        Sam::try_new((), SamConfig { radius: f64::NAN }),
        Err(Error::InvalidHyper { name: "radius", .. })
    ));
}

#[test]
fn broken_functions_and_hyperparameters_are_told() {
    let nan = |x: &[f64]| (f64::NAN, vec![f64::NAN; x.len()]);
    let found = Lbfgs::try_new(LbfgsConfig::default()).unwrap().minimise(nan, &[1.0], 5).unwrap();
    assert_eq!((found.stop, found.iterations), (Stop::NotFinite, 0));
    let refused = |config: LbfgsConfig| match Lbfgs::try_new(config) {
        Err(Error::InvalidHyper { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    for wrong in [0.0, -1.0, f64::NAN] {
        assert_eq!(refused(LbfgsConfig { learning_rate: wrong, ..Default::default() }), "learning_rate");
        let search = StrongWolfe { curvature: wrong, ..Default::default() };
        assert_eq!(refused(LbfgsConfig { line_search: Some(search), ..Default::default() }), "curvature");
    }
    assert_eq!(refused(LbfgsConfig { history: 0, ..Default::default() }), "history");
    let singular = newton_step(&DVector::from_vec(vec![1.0]), &DMatrix::zeros(1, 1), NewtonKind::Plain);
    assert!(matches!(singular, Err(Error::Singular { .. })), "{singular:?}");
    let indefinite = conjugate_gradient(|v| vec![v[0], -v[1]], &[1.0, 2.0], CgConfig::default());
    assert_eq!(indefinite.stop, CgStop::NegativeCurvature);
    let uphill =
        armijo(&mut rosenbrock, &[0.0, 0.0], (1.0, &[-2.0, 0.0]), &[-1.0, 0.0], 1.0, [1e-4, 0.5]).unwrap();
    assert!(uphill.is_none());
}

/// The multiplier and the projection find the same point, which meets the conditions of Karush, Kuhn and Tucker; where
/// there is room the constraint does nothing.
#[test]
fn least_squares_in_a_ball_meets_its_conditions() {
    use optim::second_order::constrained::{by_multiplier, by_projection};
    let mut seed = 0.37_f64;
    let mut next = || {
        seed = (seed * 997.0 + 0.123).fract();
        seed - 0.5
    };
    let a = DMatrix::from_fn(12, 5, |_, _| next());
    let b = DVector::from_fn(12, |_, _| 3.0 * next());
    let free = a.clone().svd(true, true).solve(&b, 1e-12).unwrap();
    let mut last = f64::INFINITY;
    for share in [0.1, 0.5, 0.9] {
        let radius = share * free.norm();
        let one = by_multiplier(&a, &b, radius).unwrap();
        let two = by_projection(&a, &b, radius, 1e-13, 100_000).unwrap();
        assert!((&one.x - &two.x).norm() < 1e-9 * radius, "{share}: {} against {}", one.x, two.x);
        assert_close!(one.multiplier, two.multiplier, 1e-8);
        assert_close!(one.x.norm(), radius, 1e-12);
        let balance = a.tr_mul(&(&a * &one.x - &b)) + &one.x * one.multiplier;
        assert!(balance.norm() < 1e-10 && one.multiplier > 0.0 && one.multiplier < last, "{share}");
        last = one.multiplier;
        // The value of a little more room is λc: the envelope theorem.
        let value = |c: f64| 0.5 * (&a * by_multiplier(&a, &b, c).unwrap().x - &b).norm_squared();
        let slope = (value(radius * (1.0 - 1e-5)) - value(radius * (1.0 + 1e-5))) / (2e-5 * radius);
        assert_close!(slope, one.multiplier * radius, 1e-5);
    }
    let one = by_multiplier(&a, &b, 1.1 * free.norm()).unwrap();
    let two = by_projection(&a, &b, 1.1 * free.norm(), 1e-13, 100_000).unwrap();
    assert!((&one.x - &free).norm() < 1e-10 && (&two.x - &free).norm() < 1e-9);
    assert_eq!((one.multiplier, two.multiplier), (0.0, 0.0));
    // Fewer equations than unknowns: the shortest solution, if it fits.
    let wide = DMatrix::from_row_slice(1, 2, &[1.0, 1.0]);
    let found = by_multiplier(&wide, &DVector::from_vec(vec![2.0]), 5.0).unwrap();
    assert_close!(found.x.as_slice().to_vec(), vec![1.0, 1.0], 1e-12);
    assert!(matches!(by_multiplier(&a, &b, 0.0), Err(Error::InvalidHyper { name: "radius", .. })));
    assert!(matches!(by_projection(&a, &b, 1e-3, 1e-13, 2), Err(Error::NotConverged { .. })));
    assert!(matches!(by_multiplier(&a, &DVector::zeros(3), 1.0), Err(Error::LengthMismatch { .. })));
    let nan = DVector::from_element(12, f64::NAN);
    assert!(matches!(by_multiplier(&a, &nan, 1.0), Err(Error::NotFiniteMatrix { .. })));
}

/// The four updates of nonlinear conjugate gradients, written out from their formulas beside the same line search; on the
/// way the Polak–Ribière quotient becomes negative, where it must count as 0.
#[test]
fn nonlinear_updates_are_their_formulas() {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut negative = 0;
    for update in
        [CgUpdate::FletcherReeves, CgUpdate::PolakRibiere, CgUpdate::HestenesStiefel, CgUpdate::DaiYuan]
    {
        for start in [[-1.2, 1.0], [2.0, -1.0], [0.5, 3.0], [-2.0, -2.0], [3.0, 0.1]] {
            let config = NonlinearCgConfig { update, restart: 1000, tolerance: 0.0, ..Default::default() };
            let found = NonlinearCg::try_new(config).unwrap().minimise(rosenbrock, &start, 8).unwrap();
            let mut x = start.to_vec();
            let (mut value, mut g) = rosenbrock(&x);
            let mut last: Option<(Vec<f64>, Vec<f64>, f64)> = None;
            for _ in 0..found.iterations {
                let down: Vec<f64> = g.iter().map(|g| -g).collect();
                let short = (1.0 / g.iter().map(|g| g.abs()).sum::<f64>()).min(1.0);
                let (mut d, mut first) = (down.clone(), short);
                if let Some((before, old, step)) = &last {
                    let y: Vec<f64> = g.iter().zip(before).map(|(g, b)| g - b).collect();
                    let beta = match update {
                        CgUpdate::FletcherReeves => dot(&g, &g) / dot(before, before),
                        CgUpdate::HestenesStiefel => dot(&g, &y) / dot(old, &y),
                        CgUpdate::DaiYuan => dot(&g, &g) / dot(old, &y),
                        _ => {
                            let quotient = dot(&g, &y) / dot(before, before);
                            negative += usize::from(quotient < 0.0);
                            if quotient < 0.0 { 0.0 } else { quotient }
                        }
                    };
                    d = down.iter().zip(old).map(|(down, old)| down + beta * old).collect();
                    first = step * dot(before, old) / dot(&g, &d);
                }
                if dot(&g, &d) >= 0.0 || first <= 0.0 {
                    (d, first) = (down, short);
                }
                let at = (value, &g[..]);
                let next = strong_wolfe(&mut rosenbrock, &x, at, &d, first, config.line_search).unwrap();
                x.iter_mut().zip(&d).for_each(|(x, d)| *x += next.step * d);
                last = Some((g, d, next.step));
                (value, g) = (next.value, next.gradient);
            }
            assert_close!(x, found.x, 1e-9, 1e-9, "{update:?} from {start:?}");
        }
    }
    assert!(negative > 0, "no start makes the quotient negative");
}
