//! Lecture 3: values of numpy, closed forms and laws of stochastic gradient descent.
use layers::{assert_close, testing::Golden};
use nalgebra::{DMatrix, dmatrix};
use optim::Error;
use optim::autodiff::gradcheck::gradcheck;
use optim::sgd::averaging::{Averaging, RunningAverage};
use optim::sgd::gradient_noise::{covariance, minibatch_share, noise_scale, stationary};
use optim::sgd::stochastic::{Descent, RobbinsMonro, Sampling, StepSize};
use optim::sgd::variance_reduction::{Saga, Svrg};
use optim::sgd::{FiniteSum, LeastSquares, Logistic};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

fn normal(rows: usize, columns: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

/// The keys of lecture 3 in `classical.json`.
pub fn golden(golden: &Golden) {
    let x = DMatrix::from_row_slice(20, 3, &golden.numbers("X"));
    let problem = LeastSquares::new(x, golden.numbers("y"), 1.0).unwrap();
    golden.skip("sgd_path/note");
    // 0.05/(1 + 0.02 t) = 2.5/(t + 50).
    let descent =
        Descent::new(StepSize::InverseTime { c: 2.5, t0: 50.0 }).sampling(Sampling::Cyclic).steps(60);
    let mut average = RunningAverage::new(Averaging::Polyak { start: 1 }, 3).unwrap();
    let mut path = Vec::new();
    let mut rng = StdRng::seed_from_u64(0);
    let see = |iterate: optim::sgd::stochastic::Iterate<'_>| {
        average.see(iterate.step, iterate.w);
        if iterate.step.is_multiple_of(10) {
            path.extend_from_slice(iterate.w);
        }
    };
    descent.run(&problem, &[0.0; 3], &mut rng, see).unwrap();
    assert_close!(path, golden.numbers("sgd_path/w"), 1e-12);
    assert_close!(average.mean(), golden.numbers("sgd_path/average"), 1e-12);

    let key = |key: &str| format!("minibatch_variance_at_zero/{key}");
    assert_close!(problem.gradient(&[0.0; 3]), golden.numbers(&key("full_gradient")), 1e-12);
    let noise = covariance(&problem, &[0.0; 3]);
    assert_close!(noise.as_slice(), golden.numbers(&key("per_example_cov")), 1e-12);
    assert_close!(noise.trace(), golden.number(&key("trace")), 1e-12);
    for (kind, with_replacement) in [("trace_with_replacement", true), ("trace_without_replacement", false)] {
        for batch in golden.keys(&key(kind)) {
            let share = minibatch_share(batch.parse().unwrap(), 20, with_replacement).unwrap();
            assert_close!(share * noise.trace(), golden.number(&key(&format!("{kind}/{batch}"))), 1e-12);
        }
    }
    let squared: f64 = golden.numbers(&key("full_gradient")).iter().map(|g| g * g).sum();
    assert_close!(noise_scale(&problem, &[0.0; 3]), golden.number(&key("trace")) / squared, 1e-12);
    // All 190 minibatches of two different examples.
    let full = problem.gradient(&[0.0; 3]);
    let mut sum = 0.0;
    for i in 0..20 {
        for j in 0..i {
            let mut off: Vec<f64> = full.iter().map(|g| -g).collect();
            problem.add_gradient(i, &[0.0; 3], 0.5, &mut off);
            problem.add_gradient(j, &[0.0; 3], 0.5, &mut off);
            sum += off.iter().map(|g| g * g).sum::<f64>() / 190.0;
        }
    }
    assert_close!(sum, golden.number(&key("trace_without_replacement/2")), 1e-12);
}

/// The six rows of a tutorial, y = x₁ − 2x₂, with a column of ones, squared error without the half.
pub fn tutorial() -> LeastSquares {
    let x = dmatrix![
        4.0, 1.0, 1.0; 2.0, 8.0, 1.0; 1.0, 0.0, 1.0; 3.0, 2.0, 1.0; 1.0, 4.0, 1.0; 6.0, 7.0, 1.0
    ];
    LeastSquares::new(x, vec![2.0, -14.0, 1.0, -1.0, -7.0, -8.0], 1.0).unwrap()
}

#[test]
fn the_tutorials_rate_diverges() {
    let problem = tutorial();
    let run = |rate: f64, epochs: u64| {
        let descent = Descent::new(StepSize::Constant(rate)).sampling(Sampling::Cyclic).steps(6 * epochs);
        descent.run(&problem, &[0.0; 3], &mut StdRng::seed_from_u64(0), |_| {})
    };
    assert_close!(run(0.05, 1).unwrap(), [-18.63536, -35.1044, -1.20616], 1e-12);
    assert_close!(run(0.01, 1).unwrap(), [0.693995, -1.0973271, 0.03886865], 1e-7);
    assert_close!(run(0.01, 2000).unwrap(), [1.0, -2.0, 0.0], 1e-12);
    let error = run(0.05, 100).unwrap_err();
    let Error::Unstable { step, learning_rate, safe, .. } = error else { panic!("{error}") };
    assert_eq!((step.div_ceil(6), learning_rate), (16, 0.05));
    // Largest curvature 2(6² + 7² + 1) = 172; sufficient, not necessary: 0.0116 against 0.027.
    assert_close!(safe, 2.0 / 172.0, 1e-12);
    let radius = |rate| {
        let values = problem.cycle(rate).complex_eigenvalues();
        values.iter().map(|value| value.norm()).fold(0.0, f64::max)
    };
    for (rate, want) in [(0.01, 0.9643), (0.02, 0.9426), (0.05, 5.117)] {
        assert_close!(radius(rate), want, 1e-4);
    }
    assert!(radius(0.02703) < 1.0 && radius(0.02705) > 1.0);
    // Features between 0 and 1 converge at the printed rate, to y = 5x₁ − 16x₂ + 1.
    let scaled = dmatrix![
        0.6, 0.125, 1.0; 0.2, 1.0, 1.0; 0.0, 0.0, 1.0; 0.4, 0.25, 1.0; 0.0, 0.5, 1.0; 1.0, 0.875, 1.0
    ];
    let scaled = LeastSquares::new(scaled, vec![2.0, -14.0, 1.0, -1.0, -7.0, -8.0], 1.0).unwrap();
    let descent = Descent::new(StepSize::Constant(0.05)).sampling(Sampling::Cyclic).steps(60_000);
    let end = descent.run(&scaled, &[0.0; 3], &mut StdRng::seed_from_u64(0), |_| {}).unwrap();
    assert_close!(end, [5.0, -16.0, 1.0], 1e-9);
}

#[test]
fn step_sizes_are_classified() {
    let classes = |step: StepSize| {
        let RobbinsMonro { sum_diverges, squares_converge } = step.robbins_monro();
        (sum_diverges, squares_converge)
    };
    assert_eq!(classes(StepSize::Constant(0.1)), (true, false));
    assert_eq!(classes(StepSize::InverseTime { c: 1.0, t0: 1.0 }), (true, true));
    assert_eq!(classes(StepSize::InverseSqrt { c: 1.0, t0: 1.0 }), (true, false));
    for (p, want) in [(0.5, (true, false)), (0.6, (true, true)), (1.0, (true, true)), (1.1, (false, true))] {
        assert_eq!(classes(StepSize::Polynomial { c: 1.0, p }), want, "p = {p}");
    }
    let decay = StepSize::LinearDecay { first: 1.0, last: 0.2, steps: 4 };
    assert_eq!(classes(decay), (true, false));
    let rates: Vec<f64> = (0..6).map(|t| decay.at(t)).collect();
    assert_close!(rates, [1.0, 0.8, 0.6, 0.4, 0.2, 0.2], 1e-15);
    assert_close!(StepSize::InverseSqrt { c: 0.5, t0: 25.0 }.at(0), 0.1, 1e-15);
}

#[test]
fn a_full_batch_is_gradient_descent_and_shuffling_sees_all() {
    let mut rng = StdRng::seed_from_u64(1);
    let x = normal(7, 2, &mut rng);
    let problem = LeastSquares::new(x, (0..7).map(f64::from).collect(), 0.5).unwrap();
    let descent = Descent::new(StepSize::Constant(0.1)).batch(7).steps(3).sampling(Sampling::Shuffled);
    let got = descent.run(&problem, &[1.0, -1.0], &mut rng, |_| {}).unwrap();
    let mut want = vec![1.0, -1.0];
    for _ in 0..3 {
        let gradient = problem.gradient(&want);
        want.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.1 * g);
    }
    assert_close!(got, want, 1e-14);
    let end = Descent::new(StepSize::Constant(0.05))
        .steps(20_000)
        .run(&problem, &[0.0; 2], &mut rng, |_| {})
        .unwrap();
    let least = problem.minimiser().unwrap();
    assert!(problem.value(&least) < problem.value(&end), "the minimiser is the minimum");
    assert!(problem.gradient(&least).iter().all(|g| g.abs() < 1e-12));
}

/// A cloud around the minimum in two dimensions: simulated against the equation of its covariance.
#[test]
fn the_stationary_cloud_solves_its_equation() {
    let mut rng = StdRng::seed_from_u64(2);
    let x = normal(200, 2, &mut rng) * dmatrix![1.0, 0.6; 0.0, 0.5];
    let y = (0..200).map(|i| x[(i, 0)] - x[(i, 1)] + rng.sample::<f64, _>(StandardNormal)).collect();
    let problem = LeastSquares::new(x, y, 0.5).unwrap();
    let least = problem.minimiser().unwrap();
    let (rate, steps) = (0.01, 6_000_000);
    let want = stationary(&problem.hessian(), &covariance(&problem, &least), rate).unwrap();
    let residual = problem.hessian() * &want + &want * problem.hessian();
    assert_close!(residual.as_slice(), (covariance(&problem, &least) * rate).as_slice(), 1e-12);
    let mut sums = [0.0; 3];
    let see = |iterate: optim::sgd::stochastic::Iterate<'_>| {
        let (a, b) = (iterate.w[0] - least[0], iterate.w[1] - least[1]);
        [a * a, a * b, b * b].into_iter().zip(&mut sums).for_each(|(v, sum)| *sum += v / steps as f64);
    };
    Descent::new(StepSize::Constant(rate)).steps(steps).run(&problem, &least, &mut rng, see).unwrap();
    let want = [want[(0, 0)], want[(0, 1)], want[(1, 1)]];
    assert_close!(sums, want, 0.06); // first order in the rate, and 6 million correlated draws: 2 % and 1.4 %
    assert!(stationary(&dmatrix![1.0, 0.0; 0.0, -1.0], &dmatrix![1.0, 0.0; 0.0, 1.0], 0.1).is_err());
}

fn logistic() -> (Logistic, Vec<f64>) {
    let mut rng = StdRng::seed_from_u64(3);
    let x = normal(100, 4, &mut rng);
    let labels: Vec<i8> = (0..100)
        .map(|i| if x[(i, 0)] + 0.5 * rng.sample::<f64, _>(StandardNormal) > 0.0 { 1 } else { -1 })
        .collect();
    let problem = Logistic::new(x, &labels, 0.1).unwrap();
    let mut w = vec![0.0; 4];
    for _ in 0..5000 {
        let gradient = problem.gradient(&w);
        w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.5 * g);
    }
    (problem, w)
}

#[test]
fn variance_reduction_converges_linearly() {
    let (problem, least) = logistic();
    assert!(problem.gradient(&least).iter().all(|g| g.abs() < 1e-13));
    let excess = |w: &[f64]| problem.value(w) - problem.value(&least);
    let learning_rate = 0.1;
    let svrg = Svrg { learning_rate, snapshots: 30 }
        .run(&problem, &[0.0; 4], &mut StdRng::seed_from_u64(4))
        .unwrap();
    let saga =
        Saga { learning_rate, epochs: 30 }.run(&problem, &[0.0; 4], &mut StdRng::seed_from_u64(4)).unwrap();
    let plain = Descent::new(StepSize::Constant(learning_rate)).steps(3000);
    let plain = plain.run(&problem, &[0.0; 4], &mut StdRng::seed_from_u64(4), |_| {}).unwrap();
    assert!(
        excess(&svrg[29]) < 1e-10 && excess(&saga[29]) < 1e-10,
        "{} {}",
        excess(&svrg[29]),
        excess(&saga[29])
    );
    assert!(excess(&plain) > 1e-5, "the noise of plain descent stays: {}", excess(&plain));
    // No noise at the minimum, and the right mean anywhere.
    let full = problem.gradient(&least);
    for i in 0..100 {
        let estimate = Svrg::estimate(&problem, i, &least, &least, &full);
        assert!(estimate.iter().all(|g| g.abs() < 1e-12));
    }
    let at = [0.3, -0.2, 0.7, 0.1];
    let mut mean = [0.0; 4];
    for i in 0..100 {
        let estimate = Svrg::estimate(&problem, i, &at, &least, &full);
        mean.iter_mut().zip(estimate).for_each(|(mean, g)| *mean += g / 100.0);
    }
    assert_close!(mean, problem.gradient(&at), 1e-12, 1e-15);
}

#[test]
fn importance_sampling_keeps_the_mean_and_lowers_the_noise() {
    let mut rng = StdRng::seed_from_u64(5);
    let scales = normal(50, 1, &mut rng).map(|s: f64| s.exp());
    let x = DMatrix::from_fn(50, 3, |i, _| scales[i] * rng.sample::<f64, _>(StandardNormal));
    let y: Vec<f64> = (0..50).map(|i| x.row(i).sum() + rng.sample::<f64, _>(StandardNormal)).collect();
    let problem = LeastSquares::new(x, y, 0.5).unwrap();
    let total: f64 = (0..50).map(|i| problem.curvature(i)).sum();
    let p: Vec<f64> = (0..50).map(|i| problem.curvature(i) / total).collect();
    let full = problem.gradient(&[0.0; 3]);
    let (mut mean, mut second) = (vec![0.0; 3], 0.0);
    for (i, &p) in p.iter().enumerate() {
        let mut gradient = vec![0.0; 3];
        problem.add_gradient(i, &[0.0; 3], 1.0 / (50.0 * p), &mut gradient);
        mean.iter_mut().zip(&gradient).for_each(|(mean, g)| *mean += p * g);
        second += p * gradient.iter().map(|g| g * g).sum::<f64>();
    }
    assert_close!(mean, full, 1e-12);
    let noise = second - full.iter().map(|g| g * g).sum::<f64>();
    assert!(noise < covariance(&problem, &[0.0; 3]).trace(), "{noise}");
    let descent = Descent::new(StepSize::InverseTime { c: 2.0, t0: 100.0 })
        .sampling(Sampling::Importance(p))
        .steps(20_000);
    let end = descent.run(&problem, &[0.0; 3], &mut rng, |_| {}).unwrap();
    assert_close!(end, problem.minimiser().unwrap(), 0.05);
}

#[test]
fn bad_settings_are_refused() {
    let problem = tutorial();
    let mut rng = StdRng::seed_from_u64(0);
    let mut run = |descent: Descent| descent.run(&problem, &[0.0; 3], &mut rng, |_| {}).unwrap_err();
    let is_hyper =
        |error: Error, wanted: &str| matches!(error, Error::InvalidHyper { name, .. } if name == wanted);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(is_hyper(run(Descent::new(StepSize::Constant(rate))), "learning_rate"), "{rate}");
    }
    assert!(is_hyper(run(Descent::new(StepSize::InverseTime { c: 1.0, t0: 0.0 })), "t0"));
    assert!(is_hyper(run(Descent::new(StepSize::Polynomial { c: 1.0, p: -1.0 })), "p"));
    assert!(is_hyper(run(Descent::new(StepSize::LinearDecay { first: 0.1, last: 0.2, steps: 3 })), "last"));
    let good = Descent::new(StepSize::Constant(0.01));
    assert!(is_hyper(run(good.clone().batch(0)), "batch"));
    assert!(is_hyper(run(good.clone().batch(7).sampling(Sampling::Shuffled)), "batch"));
    assert!(is_hyper(run(good.clone().sampling(Sampling::Importance(vec![0.5; 6]))), "probabilities"));
    assert!(is_hyper(run(good.clone().sampling(Sampling::Importance(vec![0.0; 6]))), "probability"));
    let short = run(good.clone().sampling(Sampling::Importance(vec![1.0])));
    assert!(matches!(short, Error::LengthMismatch { .. }));
    let wide = good.run(&problem, &[0.0; 2], &mut StdRng::seed_from_u64(0), |_| {});
    assert!(matches!(wide, Err(Error::Dimension { got: 2, want: 3, .. })));
    assert!(RunningAverage::new(Averaging::Exponential { beta: 1.0 }, 2).is_err());
    assert!(minibatch_share(0, 5, true).is_err() && minibatch_share(6, 5, false).is_err());
    assert!(matches!(Logistic::new(dmatrix![1.0], &[0], 0.0), Err(Error::LabelNotSign { .. })));
    assert!(LeastSquares::new(dmatrix![1.0], vec![1.0], 0.0).is_err());
    assert!(LeastSquares::new(DMatrix::zeros(0, 1), vec![], 1.0).is_err());
    assert!(
        Svrg { learning_rate: f64::NAN, snapshots: 1 }
            .run(&problem, &[0.0; 3], &mut StdRng::seed_from_u64(0))
            .is_err()
    );
    assert!(
        Saga { learning_rate: 0.1, epochs: 1 }
            .run(&problem, &[0.0; 2], &mut StdRng::seed_from_u64(0))
            .is_err()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gradients_of_sums_are_derivatives(seed: u64, n in 1..6_usize, penalty in 0.0..1.0_f64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let x = normal(n, 3, &mut rng);
        let w: Vec<f64> = normal(1, 3, &mut rng).as_slice().to_vec();
        let least = LeastSquares::new(x.clone(), vec![0.5; n], 0.5).unwrap();
        prop_assert!(gradcheck(|w| least.value(w), &w, &least.gradient(&w)).unwrap().error < 1e-8);
        let labels: Vec<i8> = (0..n).map(|_| if rng.gen_bool(0.5) { 1 } else { -1 }).collect();
        let logistic = Logistic::new(x, &labels, penalty).unwrap();
        prop_assert!(gradcheck(|w| logistic.value(w), &w, &logistic.gradient(&w)).unwrap().error < 1e-8);
        // One example drawn at random has the full gradient as its mean.
        fn mean_of_single<P: FiniteSum>(problem: &P, w: &[f64]) -> Vec<f64> {
            let n = problem.terms();
            let mut mean = vec![0.0; problem.dim()];
            for i in 0..n {
                let mut gradient = vec![0.0; problem.dim()];
                problem.add_gradient(i, w, 1.0, &mut gradient);
                mean.iter_mut().zip(gradient).for_each(|(mean, g)| *mean += g / n as f64);
            }
            mean
        }
        assert_close!(mean_of_single(&least, &w), least.gradient(&w), 1e-12, 1e-14);
        assert_close!(mean_of_single(&logistic, &w), logistic.gradient(&w), 1e-12, 1e-14);
    }

    /// The running mean is the mean; a late start forgets the beginning.
    #[test]
    fn running_averages_are_means(values in prop::collection::vec(-5.0..5.0_f64, 1..30), start in 1..10_u64, beta in 0.0..0.99_f64) {
        let mut polyak = RunningAverage::new(Averaging::Polyak { start }, 1).unwrap();
        let mut exponential = RunningAverage::new(Averaging::Exponential { beta }, 1).unwrap();
        for (i, value) in values.iter().enumerate() {
            polyak.see(i as u64 + 1, &[*value]);
            exponential.see(i as u64 + 1, &[*value]);
        }
        let late: Vec<f64> = values.iter().skip(start as usize - 1).copied().collect();
        let want = if late.is_empty() { 0.0 } else { late.iter().sum::<f64>() / late.len() as f64 };
        prop_assert!((polyak.mean()[0] - want).abs() < 1e-12);
        let weight = |i: usize| beta.powi((values.len() - 1 - i) as i32);
        let weights: f64 = (0..values.len()).map(weight).sum();
        let want = values.iter().enumerate().map(|(i, v)| weight(i) * v).sum::<f64>() / weights;
        prop_assert!((exponential.mean()[0] - want).abs() < 1e-11);
    }
}

/// Two examples: the mean gradient is half their sum, the covariance a quarter of the square of their difference.
#[test]
fn the_noise_scale_of_two_examples_is_computed_by_hand() {
    let data = LeastSquares::new(dmatrix![1.0, 2.0; 3.0, -1.0], vec![1.0, -2.0], 0.5).unwrap();
    let w = [0.5, -1.0];
    // (x·w − y) x: residuals −2.5 and 4.5.
    let (one, two) = ([-2.5_f64, -5.0], [13.5_f64, -4.5]);
    let mean = [0, 1].map(|i| (one[i] + two[i]) / 2.0);
    let trace = [0, 1].map(|i| (one[i] - two[i]).powi(2) / 4.0).iter().sum::<f64>();
    assert_close!(noise_scale(&data, &w), trace / mean.iter().map(|g| g * g).sum::<f64>(), 1e-13);
}
