//! Lectures 6 and 8: the critical points of a tied network with dropout, blurred costs, the same matrix many times.
use kernels::random::Key;
use layers::assert_close;
use nalgebra::{Complex, DMatrix, dmatrix};
use optim::Error;
use optim::autodiff::gradcheck::{Directions, GradCheck};
use optim::autodiff::tensor::Tape;
use optim::continuation::{Blur, follow, sampled};
use optim::descent::Descent;
use optim::landscape::critical::Critical;
use optim::landscape::recurrence::factors;
use optim::problems::{Problem, Rastrigin, StyblinskiTang};
use optim::regularize::dropout_theory::tied_optimum;
use optim::regularize::tied_landscape::{Point, benign_below, critical_points, gradient, hessian, loss};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

fn normal(rows: usize, columns: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

fn index(point: &Point) -> usize {
    match point.kind {
        Critical::Minimum => 0,
        Critical::Saddle { index } => index,
        Critical::Maximum => point.u.len(),
        Critical::Degenerate { .. } => panic!("{point:?}"),
    }
}

/// How many points there are of each value and index, in order of the values.
fn census(points: &[Point]) -> Vec<(f64, usize, usize)> {
    let mut groups: Vec<(f64, usize, usize)> = Vec::new();
    for point in points {
        match groups.iter_mut().find(|(value, i, _)| (value - point.value).abs() < 1e-9 && *i == index(point))
        {
            Some(group) => group.2 += 1,
            None => groups.push((point.value, index(point), 1)),
        }
    }
    groups
}

/// What the paper says of all of them: no minimum is above the best value, every saddle has a way down. And that they are
/// all: their signs add up to 1.
fn is_benign(points: &[Point], best: f64) {
    for point in points {
        match point.kind {
            Critical::Minimum => {
                assert!((point.value - best).abs() < 1e-10 * (1.0 + best), "{point:?} {best}")
            }
            _ => assert!(point.least_curvature < -1e-3, "{point:?}"),
        }
    }
    let signs: i32 = points.iter().map(|point| if index(point).is_multiple_of(2) { 1 } else { -1 }).sum();
    assert_eq!(signs, 1, "{} points", points.len());
}

/// One number and two units: nine points in closed form, for any strength.
#[test]
fn two_units_for_one_number_have_nine_critical_points() {
    for (m, lambda) in [(1.0, 0.6), (1.0, 2.0), (2.5, 0.1)] {
        let matrix = dmatrix![m];
        let points = critical_points(&matrix, lambda, 2, 9).unwrap();
        let best = tied_optimum(&matrix, lambda, 2).unwrap();
        is_benign(&points, best.value);
        // Both units: u² = m/(2 + λ) each; one alone: m/(1 + λ); none. At each, m² less what the point explains.
        let want =
            [(m * m * lambda / (2.0 + lambda), 0, 4), (m * m * lambda / (1.0 + lambda), 1, 4), (m * m, 2, 1)];
        for (got, want) in census(&points).into_iter().zip(want) {
            assert_close!(got.0, want.0, 1e-12);
            assert_eq!((got.1, got.2), (want.1, want.2));
        }
        for point in points.iter().filter(|point| point.kind == Critical::Minimum) {
            assert_close!([point.u[0].powi(2), point.u[1].powi(2)], [m / (2.0 + lambda); 2], 1e-12);
            assert_close!(point.u[0].powi(2), best.unit_product, 1e-12);
        }
    }
    // Two numbers, one unit: the unit points along one eigenvector, up the larger or over the smaller.
    let points = critical_points(&dmatrix![2.0, 0.0; 0.0, 1.0], 0.5, 1, 9).unwrap();
    let census = census(&points);
    assert_eq!(census.iter().map(|c| (c.1, c.2)).collect::<Vec<_>>(), [(0, 2), (1, 2), (2, 1)]);
    assert_close!(census.iter().map(|c| c.0).collect::<Vec<_>>(), [7.0 / 3.0, 13.0 / 3.0, 5.0], 1e-12);
}

/// Two numbers, two units: below the bound of the paper and above it. Beyond the bound the best product has rank one, eight
/// minima have become four, and those are still global.
#[test]
fn below_the_bound_all_minima_are_global_and_saddles_lead_down() {
    let m = dmatrix![2.0, 0.0; 0.0, 1.0];
    let bound = benign_below(&m, 2).unwrap();
    assert_close!(bound, 2.0, 1e-12);
    // Counts and values of the same search written in numpy.
    for (lambda, count, minima, lowest) in
        [(0.5, 33, 8, 1.5), (1.9, 33, 8, 2.948_275_86), (2.5, 25, 4, 3.222_222_22)]
    {
        let points = critical_points(&m, lambda, 2, 5).unwrap();
        let best = tied_optimum(&m, lambda, 2).unwrap();
        assert_eq!(best.rank, if lambda < bound { 2 } else { 1 }, "{lambda}");
        is_benign(&points, best.value);
        assert_eq!(points.len(), count, "{lambda}");
        assert_eq!(points.iter().filter(|point| point.kind == Critical::Minimum).count(), minima, "{lambda}");
        assert_close!(points[0].value, lowest, 1e-8);
    }
    assert_close!(benign_below(&dmatrix![1.0, 0.0; 0.0, 0.1], 2).unwrap(), 2.0 / 9.0, 1e-12);
    assert_eq!(benign_below(&DMatrix::identity(3, 3), 2).unwrap(), f64::INFINITY);
    assert_eq!(benign_below(&dmatrix![1.0], 2).unwrap(), 0.0);
    let refused = |lambda, units, grid| match critical_points(&m, lambda, units, grid) {
        Err(Error::InvalidHyper { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!([refused(0.0, 1, 5), refused(-1.0, 1, 5), refused(f64::NAN, 1, 5)], ["lambda"; 3]);
    assert_eq!([refused(1.0, 3, 5), refused(1.0, 1, 1)], ["weights", "grid"]);
    let refused = critical_points(&dmatrix![1.0, 0.0; 0.0, -1.0], 1.0, 1, 5);
    assert!(matches!(refused, Err(Error::NotPositive { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Gradient and Hessian are derivatives of the loss; a point that is found has no gradient; and for any two matrices
    /// below the bound the statement of the paper holds.
    #[test]
    fn tied_surfaces_have_their_derivatives(seed: u64, d in 1..4_usize, r in 1..4_usize, lambda in 0.01..2.0_f64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let half = normal(d, d, &mut rng);
        let (m, u) = (&half * half.transpose(), normal(d, r, &mut rng));
        let from = |x: &[f64]| DMatrix::from_column_slice(d, r, x);
        let check = GradCheck::default();
        let report = check.run(|x| loss(&m, &from(x), lambda), u.as_slice(), gradient(&m, &u, lambda).as_slice());
        prop_assert!(report.as_ref().unwrap().error < 1e-6, "{report:?}");
        let v = normal(d, r, &mut rng);
        let product = hessian(&m, &u, lambda) * DMatrix::from_column_slice(d * r, 1, v.as_slice());
        let report = check.run(|x| gradient(&m, &from(x), lambda).dot(&v), u.as_slice(), product.as_slice());
        prop_assert!(report.as_ref().unwrap().error < 1e-6, "{report:?}");
    }

    #[test]
    fn random_tied_surfaces_are_benign_below_the_bound(
        larger in 0.5..3.0_f64, ratio in 0.2..0.9_f64, turn in 0.0..3.0_f64, share in 0.2..0.9_f64,
    ) {
        let turned = dmatrix![turn.cos(), -turn.sin(); turn.sin(), turn.cos()];
        let m = &turned * dmatrix![larger, 0.0; 0.0, ratio * larger] * turned.transpose();
        let lambda = share * benign_below(&m, 2).unwrap();
        let points = critical_points(&m, lambda, 2, 5).unwrap();
        let best = tied_optimum(&m, lambda, 2).unwrap().value;
        prop_assert!(points.iter().all(|point| gradient(&m, &point.u, lambda).amax() < 1e-11));
        is_benign(&points, best);
        prop_assert!((points[0].value - best).abs() < 1e-10 * (1.0 + best), "{} {best}", points[0].value);
    }

    /// A blurred function is the mean over noise: its gradient is its derivative, it is the function at 0, and blurring
    /// twice is blurring once by the root of the sum of squares.
    #[test]
    fn blurred_functions_are_means_over_noise(
        x in prop::array::uniform2(-3.0..3.0_f64), sigma in 0.0..1.5_f64, seed: u64,
    ) {
        let (waves, wells) = (Rastrigin { dimension: 2 }, StyblinskiTang { dimension: 2 });
        let check = GradCheck { directions: Directions::Random { count: 2, seed }, ..GradCheck::default() };
        let blurs: [&dyn Fn(f64, &[f64]) -> (f64, Vec<f64>); 2] =
            [&|sigma, x| waves.blurred(sigma, x), &|sigma, x| wells.blurred(sigma, x)];
        let plain = [waves.value(&x), wells.value(&x)];
        let slopes = [waves.gradient(&x), wells.gradient(&x)];
        for (i, blurred) in blurs.into_iter().enumerate() {
            let (value, slope) = blurred(0.0, &x);
            assert_close!(value, plain[i], 1e-12, 1e-12);
            assert_close!(slope, slopes[i], 1e-12, 1e-10);
            let (_, slope) = blurred(sigma, &x);
            let report = check.run(|x| blurred(sigma, x).0, &x, &slope).unwrap();
            prop_assert!(report.error < 1e-6, "{report:?}");
            // Gauss–Hermite with five nodes is exact for polynomials to degree nine: the wells, blurred once more.
            if i == 1 {
                let nodes = [(0.0, 8.0 / 15.0), (1.355_626_179_974_266, 0.222_075_922_005_612_6),
                    (2.856_970_013_872_806, 0.011_257_411_327_720_68)];
                let mut mean = 0.0;
                for (a, wa) in nodes {
                    for (b, wb) in nodes {
                        for (sa, sb) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                            let half = |n: f64| if n == 0.0 { 0.5 } else { 1.0 };
                            let at = [x[0] + 0.7 * sa * a, x[1] + 0.7 * sb * b];
                            mean += wa * wb * half(a) * half(b) * blurred(sigma, &at).0;
                        }
                    }
                }
                assert_close!(mean, blurred(sigma.hypot(0.7), &x).0, 1e-9, 1e-9);
            }
        }
    }
}

/// By sampling: within four standard errors of the closed form, the same every time, and a derivative of itself.
#[test]
fn sampled_blur_is_the_closed_form_up_to_its_noise() {
    let waves = Rastrigin { dimension: 2 };
    let (x, sigma, pairs) = ([0.4, -1.2], 0.3, 20_000);
    let one =
        |key: u64, x: &[f64], pairs| sampled(waves.objective(), sigma, x, pairs, Key::new(key)).unwrap();
    let means: Vec<f64> = (0..8).map(|key| one(key, &x, pairs / 8).0).collect();
    let mean = means.iter().sum::<f64>() / 8.0;
    let deviation = (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 7.0).sqrt();
    let (want, _) = waves.blurred(sigma, &x);
    assert!((mean - want).abs() < 4.0 * deviation / 8_f64.sqrt(), "{mean} {want} ± {deviation}");
    assert!((waves.value(&x) - want).abs() > 20.0 * deviation, "blurring changes the value by much more");
    assert_eq!(one(3, &x, 10), one(3, &x, 10));
    let (_, slope) = one(3, &x, 10);
    let report = GradCheck::default().run(|x| one(3, x, 10).0, &x, &slope).unwrap();
    assert!(report.error < 1e-6, "{report:?}");
    for (sigma, pairs) in [(-1.0, 1), (f64::NAN, 1), (1.0, 0)] {
        let refused = sampled(waves.objective(), sigma, &x, pairs, Key::new(0));
        assert!(matches!(refused, Err(Error::InvalidHyper { .. })));
    }
}

/// From the same start plain descent ends in a local minimum and continuation in the global one: in closed form for two
/// functions, and by sampling.
#[test]
fn continuation_ends_where_plain_descent_does_not() {
    let waves = Rastrigin { dimension: 2 };
    let wells = StyblinskiTang { dimension: 3 };
    let sigmas = [1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0];
    let descent = Descent::gradient(0.002); // below 2/(2 + 40 π²) = 0.005, where the sharpest stage diverges
    let run = |sigmas: &[f64]| {
        follow(|sigma, x| Ok(waves.blurred(sigma, x)), sigmas, descent, 3000, &waves.start()).unwrap()
    };
    let plain = run(&[0.0]).swap_remove(0);
    let stages = run(&sigmas);
    // The dip next to (3.3, 3.3): the root of 2x + 20π sin 2πx near 3, where one term is 8.955.
    assert!(waves.gradient(&plain).iter().all(|g| g.abs() < 1e-9), "{plain:?}");
    assert_close!(plain, [2.984_855_7; 2], 1e-7);
    assert_eq!(stages.len(), sigmas.len());
    assert!(waves.value(&stages[6]) < 1e-20 && waves.value(&plain) > 17.0, "{stages:?}");

    let wide = [2.0, 1.5, 1.0, 0.5, 0.0];
    let run = |sigmas: &[f64]| {
        let blurred = |sigma: f64, x: &[f64]| Ok(wells.blurred(sigma, x));
        follow(blurred, sigmas, Descent::gradient(0.01), 3000, &[2.0; 3]).unwrap().pop().unwrap()
    };
    assert_close!(run(&[0.0]), [2.746_802_7; 3], 1e-7); // the other minimum of 2x³ − 16x + 2.5
    assert_close!(run(&wide), wells.minimiser().unwrap(), 1e-12);

    // The waves that are left of n pairs have a slope of 20π/√(2n), 0.63: three times that is less than 2|x| from the next
    // dip on, so that the bowl wins there.
    let by_draws = |sigma: f64, x: &[f64]| sampled(waves.objective(), sigma, x, 5000, Key::new(5));
    let faster = Descent::gradient(0.004);
    let found = follow(by_draws, &[1.0, 0.3, 0.1, 0.0], faster, 500, &waves.start()).unwrap().pop().unwrap();
    assert!(waves.value(&found) < 1e-12, "{found:?}");

    let refused = |sigmas: &[f64]| {
        let blurred = |sigma: f64, x: &[f64]| Ok(waves.blurred(sigma, x));
        follow(blurred, sigmas, descent, 1, &waves.start()).unwrap_err()
    };
    assert!(matches!(refused(&[]), Error::EmptySchedule { .. }));
    for sigmas in [&[1.0][..], &[0.5, 1.0, 0.0], &[f64::NAN, 0.0], &[1.0, 1.0, 0.0], &[f64::INFINITY, 0.0]] {
        assert!(matches!(refused(sigmas), Error::InvalidHyper { .. }), "{sigmas:?}");
    }
}

/// Eigenvectors of a real matrix, complex and as columns: for each eigenvalue the right singular vector of W − λI that
/// belongs to the singular value 0.
fn eigen(w: &DMatrix<f64>) -> (DMatrix<Complex<f64>>, Vec<Complex<f64>>) {
    let values: Vec<Complex<f64>> = w.complex_eigenvalues().iter().copied().collect();
    let n = w.nrows();
    let mut vectors = DMatrix::zeros(n, n);
    for (k, value) in values.iter().enumerate() {
        let shifted = w.map(Complex::from) - DMatrix::identity(n, n) * *value;
        let svd = shifted.svd(false, true);
        let last = (0..n).min_by(|a, b| svd.singular_values[*a].total_cmp(&svd.singular_values[*b])).unwrap();
        vectors.set_column(k, &svd.v_t.unwrap().row(last).adjoint());
    }
    (vectors, values)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Goodfellow's eq. 8.11, W^t = V diag(λ)^t V⁻¹, on random matrices with pairs of complex eigenvalues; the gradient
    /// through t steps, by the tape, is (W^t)ᵀ; and the factors are what the eigendirections are stretched by.
    #[test]
    fn many_steps_of_one_recurrence_are_a_power_of_its_eigenvalues(seed: u64, t in 1..25_usize) {
        let mut rng = StdRng::seed_from_u64(seed);
        let w = normal(4, 4, &mut rng) / 2.0;
        let (v, lambda) = eigen(&w);
        let condition = {
            let singular = v.clone().singular_values();
            singular.max() / singular.min()
        };
        prop_assume!(condition < 50.0); // nearly equal eigenvalues have nearly equal vectors
        let product = (1..t).fold(w.clone(), |power, _| &power * &w);
        let diagonal = DMatrix::from_diagonal(&nalgebra::DVector::from_iterator(4, lambda.iter().map(|l| l.powi(t as i32))));
        let by_eigenvalues = &v * diagonal * v.clone().try_inverse().unwrap();
        let scale = product.amax().max(lambda.iter().map(|l| l.norm().powi(t as i32)).fold(0.0, f64::max));
        for (got, want) in by_eigenvalues.iter().zip(product.iter()) {
            prop_assert!((got - Complex::from(*want)).norm() < 1e-9 * scale, "{got} {want}");
        }
        let mut want: Vec<f64> = lambda.iter().map(|l| l.norm().powi(t as i32)).collect();
        want.sort_by(|a, b| b.total_cmp(a));
        assert_close!(factors(&w, t as i32).unwrap(), want, 1e-9, 1e-300);

        let tape = Tape::new();
        let recurrent = tape.constant(w);
        let start = tape.input(normal(4, 1, &mut rng));
        let end = (0..t).fold(start, |h, _| recurrent.matmul(h));
        let up = normal(4, 1, &mut rng);
        let back = tape.vjp(end, &[start], tape.constant(up.clone()))[0].value();
        assert_close!(back.as_slice(), (product.transpose() * &up).as_slice(), 1e-11, 1e-12 * scale);
        // No gradient is longer than the largest factor times the condition of V.
        prop_assert!(back.norm() <= want[0] * condition * up.norm() * (1.0 + 1e-9));
    }
}

#[test]
fn what_is_no_recurrence_is_refused() {
    let refused = |w: DMatrix<f64>| factors(&w, 3).unwrap_err();
    assert!(matches!(refused(DMatrix::zeros(2, 3)), Error::InvalidHyper { .. }));
    assert!(matches!(refused(DMatrix::zeros(0, 0)), Error::InvalidHyper { .. }));
    assert!(matches!(refused(dmatrix![f64::NAN]), Error::NotFiniteMatrix { .. }));
    assert_eq!(factors(&dmatrix![0.5, 7.0; 0.0, 2.0], 3).unwrap(), [8.0, 0.125]);
}
