//! Test functions against finite differences, rates against closed forms, descent that must break in the right way.
use layers::{assert_close, testing::Golden};
use nalgebra::DMatrix;
use optim::Error;
use optim::descent::{Descent, Memory, PerturbedConfig, perturbed};
use optim::landscape::critical::{Critical, classify};
use optim::problems::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{SeedableRng, rngs::StdRng};

/// A problem without its `impl Trait`, and the slice of the drawn numbers that it takes.
type Case = (&'static str, Box<dyn Fn(&[f64]) -> (f64, Vec<f64>, DMatrix<f64>)>, usize, Option<Vec<f64>>);

fn case<P: Problem + 'static>(name: &'static str, problem: P) -> Case {
    let (dimension, minimiser) = (problem.dimension(), problem.minimiser());
    assert_eq!(problem.start().len(), dimension, "{name}");
    let all = move |x: &[f64]| (problem.value(x), problem.gradient(x), problem.hessian(x));
    (name, Box::new(all), dimension, minimiser)
}

fn logistic() -> Logistic {
    let features =
        DMatrix::from_row_slice(4, 3, &[1.0, 0.5, -1.0, 0.2, -2.0, 1.0, -1.0, 0.3, 0.1, 3.0, 1.0, -0.5]);
    Logistic::try_new(features, &[1, -1, -1, 1], 0.1).unwrap()
}

fn cases() -> Vec<Case> {
    vec![
        case("quadratic", Quadratic::log_spaced(4, 100.0).unwrap()),
        case("ravine", Ravine { condition: 30.0, angle: 0.7 }),
        case("rosenbrock", Rosenbrock { dimension: 4 }),
        case("beale", Beale),
        case("himmelblau", Himmelblau),
        case("saddle", Saddle { dimension: 3 }),
        case("monkey saddle", MonkeySaddle),
        case("cliff", Cliff { steps: 3 }),
        case("rastrigin", Rastrigin { dimension: 3 }),
        case("styblinski-tang", StyblinskiTang { dimension: 3 }),
        case("logistic", logistic()),
        case("cycling parabola", CyclingParabola),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(8), ..ProptestConfig::default() })]

    /// Gradient and Hessian are central differences of value and gradient.
    #[test]
    fn derivatives_are_differences(point in prop::array::uniform4(-1.5..1.5_f64)) {
        for (name, problem, dimension, _) in cases() {
            let x = &point[..dimension];
            // The derivative of the parabola jumps at 1 and 2.
            if name == "cycling parabola" && [1.0, 2.0].iter().any(|kink| (x[0] - kink).abs() < 1e-3) {
                continue;
            }
            let (_, gradient, hessian) = problem(x);
            let step = 1e-5;
            for i in 0..dimension {
                let moved = |by: f64| {
                    let mut x = x.to_vec();
                    x[i] += by;
                    problem(&x)
                };
                let ((up, slope_up, _), (down, slope_down, _)) = (moved(step), moved(-step));
                let difference = (up - down) / (2.0 * step);
                prop_assert!(
                    (gradient[i] - difference).abs() <= 1e-5 * (1.0 + difference.abs() + up.abs()),
                    "{} gradient {}: {} and {}", name, i, gradient[i], difference
                );
                for j in 0..dimension {
                    let difference = (slope_up[j] - slope_down[j]) / (2.0 * step);
                    prop_assert!(
                        (hessian[(i, j)] - difference).abs() <= 1e-5 * (1.0 + difference.abs() + slope_up[j].abs()),
                        "{} hessian {} {}: {} and {}", name, i, j, hessian[(i, j)], difference
                    );
                }
            }
        }
    }

    /// The named minimiser is a critical point, and no drawn point lies lower.
    #[test]
    fn minimisers_are_lowest(point in prop::array::uniform4(-4.0..4.0_f64)) {
        for (name, problem, dimension, minimiser) in cases() {
            let Some(minimiser) = minimiser else { continue };
            let (least, gradient, _) = problem(&minimiser);
            prop_assert!(gradient.iter().all(|g| g.abs() < 1e-12), "{}: {:?}", name, gradient);
            prop_assert!(problem(&point[..dimension]).0 >= least - 1e-12, "{} at {:?}", name, point);
        }
    }

    /// Gradient descent never rises below a step of 2/L, and leaves every ball above it.
    #[test]
    fn two_over_l_is_the_limit(share in 0.05..0.99_f64, start in prop::array::uniform4(0.1..1.0_f64)) {
        let bowl = Quadratic::log_spaced(4, 50.0).unwrap();
        let below = Descent::gradient(share * 2.0 / 50.0);
        let path = below.run(bowl.objective(), &start, 100, |_| false).unwrap();
        let values: Vec<f64> = path.points.iter().map(|x| bowl.value(x)).collect();
        prop_assert!(values.windows(2).all(|pair| pair[1] <= pair[0]), "{:?}", values);
        let above = Descent::gradient((2.01 - share) * 2.0 / 50.0);
        let error = above.run(bowl.objective(), &start, 1_000_000, |_| false);
        prop_assert!(matches!(error, Err(Error::Diverged { .. })), "{:?}", error.map(|path| path.steps()));
    }
}

/// Best step, momentum and factor for κ = 100, from the reference file.
#[test]
fn optimal_numbers_are_those_of_the_theory() {
    let golden = Golden::open(format!("{}/tests/golden/second_order.json", env!("CARGO_MANIFEST_DIR")));
    let rate = |key: &str| golden.number(&format!("rates/{key}"));
    let l = rate("kappa");
    let of = |memory| Descent::optimal(memory, 1.0, l).unwrap();
    let (plain, heavy, nesterov) = (of(Memory::None), of(Memory::HeavyBall), of(Memory::Nesterov));
    assert_close!(
        vec![plain.0.learning_rate, plain.1, heavy.0.learning_rate, heavy.0.momentum, heavy.1],
        vec![
            rate("gd_step"),
            rate("gd_rate"),
            rate("heavy_ball_step"),
            rate("heavy_ball_beta"),
            rate("heavy_ball_rate")
        ],
        1e-14
    );
    let (step, momentum, bound) =
        (rate("nesterov_step"), rate("nesterov_beta"), rate("nesterov_rate_bound_on_f"));
    assert_close!(
        vec![nesterov.0.learning_rate, nesterov.0.momentum, nesterov.1 * nesterov.1],
        vec![step, momentum, bound],
        1e-14
    );
    // The bound of conjugate gradients after two steps, 2 ((√κ − 1)/(√κ + 1))².
    assert_close!(vec![2.0 * heavy.1 * heavy.1], vec![rate("cg_bound")], 1e-14);
    golden.keys("").into_iter().filter(|key| *key != "rates").for_each(|key| golden.skip(key));
    golden.finish();
}

/// The error of the last eigen-direction shrinks by exactly the optimal factor per step of gradient descent.
#[test]
fn gradient_descent_shrinks_by_its_factor() {
    let bowl = Quadratic::try_new([1.0, 100.0]).unwrap();
    let (method, factor) = Descent::optimal(Memory::None, 1.0, 100.0).unwrap();
    let path = method.run(bowl.objective(), &[1.0, 1.0], 50, |_| false).unwrap();
    let last = &path.points[50];
    assert_close!(vec![last[0], last[1]], vec![factor.powi(50), factor.powi(50)], 1e-12);
}

#[test]
fn critical_points_are_classified() {
    let of = |hessian: DMatrix<f64>| classify(&hessian, 1e-9).unwrap();
    let saddle = Saddle { dimension: 7 };
    assert_eq!(of(saddle.hessian(&saddle.start())), Critical::Saddle { index: 1 });
    assert_eq!(of(saddle.hessian(&saddle.minimiser().unwrap())), Critical::Minimum);
    assert_eq!(of(-Quadratic::log_spaced(3, 10.0).unwrap().hessian(&[0.0; 3])), Critical::Maximum);
    assert_eq!(of(MonkeySaddle.hessian(&[0.0, 0.0])), Critical::Degenerate { index: 0, flat: 2 });
    let broken = DMatrix::from_row_slice(2, 2, &[1.0, f64::NAN, f64::NAN, 1.0]);
    assert!(matches!(classify(&broken, 1e-9), Err(Error::NotFiniteMatrix { .. })));
    assert!(matches!(
        classify(&DMatrix::zeros(2, 3), 1e-9),
        Err(Error::InvalidHyper { name: "hessian", .. })
    ));
    assert!(matches!(
        classify(&DMatrix::zeros(0, 0), 1e-9),
        Err(Error::InvalidHyper { name: "hessian", .. })
    ));
    assert!(matches!(
        classify(&DMatrix::identity(2, 2), -1.0),
        Err(Error::InvalidHyper { name: "tolerance", .. })
    ));
}

/// A kick that comes to nothing ends the descent at the minimum; at a saddle it does not.
#[test]
fn kicks_settle_at_minima_only() {
    let bowl = Quadratic::log_spaced(3, 10.0).unwrap();
    let mut rng = StdRng::seed_from_u64(0);
    let found = perturbed(bowl.objective(), &[1.0; 3], PerturbedConfig::default(), &mut rng).unwrap();
    assert!(found.has_settled && found.kicks.len() == 1 && found.value < 1e-8, "{found:?}");
    let saddle = Saddle { dimension: 3 };
    let found = perturbed(saddle.objective(), &saddle.start(), PerturbedConfig::default(), &mut rng).unwrap();
    assert!(found.has_settled && found.kicks.len() == 2 && (found.value + 0.25).abs() < 1e-8, "{found:?}");
}

#[test]
fn settings_out_of_range_are_named() {
    fn name<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
        match result.unwrap_err() {
            Error::InvalidHyper { name, .. } => name,
            other => panic!("{other}"),
        }
    }
    assert_eq!(name(Quadratic::try_new([])), "eigenvalues");
    assert_eq!(name(Quadratic::try_new([1.0, f64::NAN])), "eigenvalues");
    assert_eq!(name(Quadratic::log_spaced(3, 0.5)), "condition");
    assert_eq!(name(Descent::optimal(Memory::None, 0.0, 1.0)), "mu");
    assert_eq!(name(Descent::optimal(Memory::None, 2.0, 1.0)), "l");
    let run = |method: Descent| method.run(Beale.objective(), &[1.0, 1.0], 1, |_| false);
    assert_eq!(name(run(Descent::gradient(f64::NAN))), "learning_rate");
    let momentum = Descent { memory: Memory::HeavyBall, learning_rate: 0.1, momentum: 1.0 };
    assert_eq!(name(run(momentum)), "momentum");
    let kicked = |config| perturbed(Beale.objective(), &[1.0, 1.0], config, &mut StdRng::seed_from_u64(0));
    assert_eq!(name(kicked(PerturbedConfig { radius: 0.0, ..Default::default() })), "radius");
    assert_eq!(name(kicked(PerturbedConfig { wait: 0, ..Default::default() })), "wait");
    let x = DMatrix::from_element(2, 1, 1.0);
    assert!(matches!(Logistic::try_new(x.clone(), &[1], 0.0), Err(Error::LengthMismatch { .. })));
    assert!(matches!(
        Logistic::try_new(x.clone(), &[1, 0], 0.0),
        Err(Error::LabelNotSign { index: 1, label: 0 })
    ));
    assert_eq!(name(Logistic::try_new(x.clone(), &[1, -1], -1.0)), "penalty");
    assert!(matches!(Logistic::try_new(x * f64::NAN, &[1, -1], 0.0), Err(Error::FeatureNotFinite { .. })));
    assert!(matches!(Logistic::try_new(DMatrix::zeros(0, 1), &[], 0.0), Err(Error::Empty { .. })));
}

/// The large loss comes once per period and outweighs the small ones.
#[test]
fn the_sequences_of_reddi_have_a_positive_mean_slope() {
    let theorem = ReddiSequence::theorem(3.0);
    assert_eq!([1, 2, 3, 4].map(|t| theorem.slope(t)), [3.0, -1.0, -1.0, 3.0]);
    let experiment = ReddiSequence::experiment();
    let mean = (1..=101).map(|t| experiment.slope(t)).sum::<f64>() / 101.0;
    assert!((experiment.mean_slope() - mean).abs() < 1e-12 && mean > 0.0);
}
