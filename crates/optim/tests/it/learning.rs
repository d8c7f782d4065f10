//! Lecture 2: values of numpy and scikit-learn, closed forms and laws of the methods in `optim::learning`.
use layers::{assert_close, testing::Golden};
use nalgebra::{DMatrix, DVector, dmatrix};
use optim::Error;
use optim::learning::bayes::WeightDistribution;
use optim::learning::bias_variance::decompose;
use optim::learning::estimators::{Bernoulli, Beta, Gaussian, Normal};
use optim::learning::kernel::Kernel;
use optim::learning::linear::Intercept;
use optim::learning::polynomial::{Basis, features};
use optim::learning::validation::{GridSearch, error_rate, folds, mse, r2};
use optim::learning::{
    DecisionTree, Estimator, KMeans, KernelRidge, Lasso, LinearRegression, Neighbours, Pca, Polynomial,
    Predict, Ridge, Standardized, classes, column, cross_validate, dimension, no_free_lunch, one_hot, ridge,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

fn normal(n: usize, f: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(n, f, |_, _| rng.sample(StandardNormal))
}

/// The keys of lecture 2 in `classical.json`.
pub fn golden(golden: &Golden) {
    let x = DMatrix::from_row_slice(20, 3, &golden.numbers("X"));
    let y = column(&golden.numbers("y"));
    least_squares(golden, &x, &y);
    polynomials(golden);
    bias_and_covariance_of_ridge(golden, &x);
    let number = |key: &str| golden.number(&format!("estimators/{key}"));
    let gaussian = Gaussian::new(y.as_slice()).unwrap();
    assert_close!(gaussian.mle().mean, number("sample_mean"), 1e-12);
    assert_close!(gaussian.mle().variance, number("biased_variance"), 1e-12);
    assert_close!(gaussian.unbiased_variance().unwrap(), number("unbiased_variance"), 1e-12);
    let posterior = gaussian.posterior(1.0, Normal { mean: 0.0, variance: 0.5 }).unwrap();
    assert_close!(posterior.mean, number("map_gaussian_mean_prior_var_0_5_noise_1"), 1e-12);
    let coin = Bernoulli::new(number("bernoulli/heads") as u64, number("bernoulli/n") as u64).unwrap();
    let prior = Beta { a: 2.0, b: 3.0 };
    assert_close!(coin.mle(), number("bernoulli/mle"), 1e-12);
    assert_close!(coin.map(prior).unwrap(), number("bernoulli/map_beta_2_3"), 1e-12);
    assert_close!(coin.posterior(prior).unwrap().mean(), number("bernoulli/posterior_mean_beta_2_3"), 1e-12);
}

fn least_squares(golden: &Golden, x: &DMatrix<f64>, y: &DMatrix<f64>) {
    let key = |key: &str| format!("least_squares/{key}");
    let fit = LinearRegression { intercept: Intercept::Zero }.fit(x, y).unwrap();
    assert_close!(fit.weights.as_slice(), golden.numbers(&key("w")), 1e-12);
    assert_close!((fit.predict(x).unwrap() - y).norm_squared(), golden.number(&key("rss")), 1e-12);
    for alpha in golden.keys(&key("ridge")) {
        let fit = Ridge::new(alpha.parse().unwrap()).intercept(Intercept::Zero).fit(x, y).unwrap();
        assert_close!(fit.weights.as_slice(), golden.numbers(&key(&format!("ridge/{alpha}"))), 1e-12);
    }
    let fit = Ridge::new(1.0).fit(x, y).unwrap();
    assert_close!(fit.weights.as_slice(), golden.numbers(&key("ridge_intercept_alpha1/coef")), 1e-12);
    assert_close!(fit.intercept, [golden.number(&key("ridge_intercept_alpha1/intercept"))], 1e-11);
    for alpha in golden.keys(&key("lasso")) {
        let fit = Lasso::new(alpha.parse().unwrap()).intercept(Intercept::Zero).fit(x, y).unwrap();
        let want = golden.numbers(&key(&format!("lasso/{alpha}")));
        assert_close!(fit.weights.as_slice(), want, 1e-9, 0.0, "alpha {alpha}");
        let zeros = |w: &[f64]| w.iter().map(|w| *w == 0.0).collect::<Vec<_>>();
        assert_eq!(zeros(fit.weights.as_slice()), zeros(&want), "exact zeros at alpha {alpha}");
    }
    let hat = ridge::hat_matrix(x, 1.0).unwrap();
    assert_close!(hat.trace(), golden.number(&key("hat_trace_ridge1")), 1e-12);
    let left_out = ridge::leave_one_out(x, &y.column(0).into_owned(), 1.0).unwrap();
    assert_close!(left_out, golden.number(&key("loocv_ridge1")), 1e-12);
}

fn polynomials(golden: &Golden) {
    let (x, y) = (column(&golden.numbers("polynomial/x")), column(&golden.numbers("polynomial/y")));
    for degree in golden.keys("polynomial/coef") {
        let learner = Polynomial::new(degree.parse().unwrap()).basis(Basis::Powers);
        let fit = learner.fit(&x, &y).unwrap();
        let want = golden.numbers(&format!("polynomial/coef/{degree}"));
        assert_close!(fit.coefficients(), want, 1e-10, 0.0, "degree {degree}"); // observed 3e-12 at degree 8
        let legendre = Polynomial::new(degree.parse().unwrap()).fit(&x, &y).unwrap();
        let grid = column(&[-0.9, -0.33, 0.1, 0.77]);
        assert_close!(
            legendre.predict(&grid).unwrap().as_slice(),
            fit.predict(&grid).unwrap().as_slice(),
            1e-10,
            0.0,
            "{degree}"
        );
        let path = format!("polynomial/train_rss/{degree}");
        if golden.has(&path) {
            assert_close!((fit.predict(&x).unwrap() - &y).norm_squared(), golden.number(&path), 1e-5);
        }
    }
}

/// The closed form, and 20 000 simulated data sets within 4 standard errors of it.
fn bias_and_covariance_of_ridge(golden: &Golden, x: &DMatrix<f64>) {
    let key = |key: &str| format!("ridge_bias_variance/{key}");
    golden.skip(&key("note"));
    let truth = DVector::from_vec(golden.numbers(&key("w_true")));
    let noise = golden.number(&key("s2"));
    let error = ridge::ridge_error(x, &truth, noise, 1.0).unwrap();
    assert_close!(error.bias.as_slice(), golden.numbers(&key("bias")), 1e-12);
    assert_close!(error.covariance.diagonal().as_slice(), golden.numbers(&key("variance")), 1e-12);
    let mse = error.bias.norm_squared() + error.covariance.trace();
    assert_close!(mse, golden.number(&key("mse_trace")), 1e-12);

    const RUNS: usize = 20_000;
    let mut rng = StdRng::seed_from_u64(0);
    let clean = x * &truth;
    // One column of targets per run: all runs are one fit.
    let y = DMatrix::from_fn(20, RUNS, |i, _| clean[i] + noise.sqrt() * rng.sample::<f64, _>(StandardNormal));
    let fit = Ridge::new(1.0).intercept(Intercept::Zero).fit(x, &y).unwrap();
    for feature in 0..3 {
        let row = fit.weights.row(feature);
        let (bias, variance) = (row.mean() - truth[feature], row.variance());
        let want = error.covariance[(feature, feature)];
        let standard_error = (want / RUNS as f64).sqrt();
        let off = (bias - error.bias[feature]) / standard_error;
        assert!(off.abs() < 4.0, "bias of weight {feature} is {off} standard errors off");
        let off = (variance / want - 1.0) / (2.0 / RUNS as f64).sqrt();
        assert!(off.abs() < 4.0, "variance of weight {feature} is {off} standard errors off");
    }
}

#[test]
fn fewer_examples_than_features_give_the_shortest_solution() {
    let mut rng = StdRng::seed_from_u64(1);
    let (x, y) = (normal(4, 7, &mut rng), normal(4, 1, &mut rng));
    let fit = LinearRegression { intercept: Intercept::Zero }.fit(&x, &y).unwrap();
    assert_eq!(fit.rank, 4);
    assert_close!(fit.predict(&x).unwrap().as_slice(), y.as_slice(), 1e-12);
    // The shortest solution is a combination of the examples: X'(XX')⁻¹y.
    let want = x.transpose() * (&x * x.transpose()).cholesky().unwrap().solve(&y);
    assert_close!(fit.weights.as_slice(), want.as_slice(), 1e-11);
    let twice = x.select_columns(&[0, 0, 1]);
    assert_eq!(LinearRegression::default().fit(&twice, &y).unwrap().rank, 2);
}

#[test]
fn trees_and_neighbours_repeat_distinct_examples() {
    let mut rng = StdRng::seed_from_u64(2);
    let (x, y) = (normal(40, 3, &mut rng), normal(40, 2, &mut rng));
    let tree = DecisionTree::new(usize::MAX).fit(&x, &y).unwrap();
    assert_eq!((tree.predict(&x).unwrap() - &y).amax(), 0.0);
    assert_eq!(tree.leaves(), 40);
    let nearest = Neighbours { k: 1 }.fit(&x, &y).unwrap();
    assert_eq!((nearest.predict(&x).unwrap() - &y).amax(), 0.0);
    let all = Neighbours { k: 40 }.fit(&x, &y).unwrap().predict(&x).unwrap();
    assert_close!(all.row(17).transpose().as_slice(), y.row_mean().transpose().as_slice(), 1e-14);
    let mut last = f64::INFINITY;
    for depth in 0..8 {
        let error = mse(&DecisionTree::new(depth).fit(&x, &y).unwrap().predict(&x).unwrap(), &y);
        assert!(error <= last, "depth {depth}: {error} after {last}");
        last = error;
    }
    // A large common offset changes no question: the squares of targets must not cancel.
    let shifted = DecisionTree::new(3).fit(&x, &y.add_scalar(1e9)).unwrap().predict(&x).unwrap();
    let plain = DecisionTree::new(3).fit(&x, &y).unwrap().predict(&x).unwrap();
    assert_close!(shifted.add_scalar(-1e9).as_slice(), plain.as_slice(), 0.0, 1e-6);
    let coarse = DecisionTree { max_depth: 9, min_leaf: 15 }.fit(&x, &y).unwrap();
    assert!(coarse.leaves() <= 2, "two leaves of 15 fill 40 examples");
}

#[test]
fn the_tree_asks_the_question_that_separates() {
    let x = dmatrix![0.0, 5.0; 1.0, 4.0; 2.0, 5.0; 3.0, 4.0];
    let y = one_hot(&[0, 0, 1, 1], 2).unwrap();
    let tree = DecisionTree::new(1).fit(&x, &y).unwrap();
    // Halfway between 1 and 2 in the first feature; the second one separates nothing.
    let near = tree.predict(&dmatrix![1.49, 4.0; 1.51, 4.0]).unwrap();
    assert_eq!(classes(&near), [0, 1]);
    assert_eq!(error_rate(&tree.predict(&x).unwrap(), &y), 0.0);
}

#[test]
fn principal_components_leave_out_the_least() {
    let mut rng = StdRng::seed_from_u64(3);
    let x = normal(30, 5, &mut rng) * normal(5, 5, &mut rng);
    let pca = Pca::<2>::fit(&x).unwrap();
    assert_close!((pca.directions().tr_mul(pca.directions())).as_slice(), [1.0, 0.0, 0.0, 1.0], 1e-12);
    let z = pca.transform(&x).unwrap();
    let covariance = z.tr_mul(&z) / 29.0;
    assert_close!([covariance[(0, 0)], covariance[(1, 1)]], &pca.variances()[..2], 1e-12);
    assert_close!(covariance[(0, 1)], 0.0, 0.0, 1e-12 * pca.variances()[0]);
    let lost = (pca.reconstruct(&z).unwrap() - &x).norm_squared() / 29.0;
    assert_close!(lost, pca.variances()[2..].iter().sum::<f64>(), 1e-12);
}

#[test]
fn every_learner_is_wrong_on_half_of_the_unseen_points() {
    use no_free_lunch::{anti_majority, enumerate, majority, memoriser, nearest_neighbour, perceptron};
    let learners: [no_free_lunch::Learner<'_>; 5] =
        [&majority, &anti_majority, &nearest_neighbour, &memoriser, &perceptron];
    for train in [&[0, 2, 4][..], &[5], &[0, 1, 2, 3, 4]] {
        for learner in learners {
            let errors = enumerate(learner, 6, train).unwrap();
            assert_eq!(errors.len(), 64);
            assert_close!(errors.iter().sum::<f64>() / 64.0, 0.5, 1e-14);
            assert!(
                errors.iter().any(|e| *e < 0.5) && errors.iter().any(|e| *e > 0.5),
                "some win, some lose"
            );
        }
    }
    assert!(enumerate(&majority, 21, &[]).is_err());
    assert!(enumerate(&majority, 3, &[0, 1, 2]).is_err());
    assert!(enumerate(&majority, 3, &[3]).is_err());
}

#[test]
fn distances_lose_their_contrast() {
    // 0, 1, 3: contrasts (3-1)/1, (2-1)/1, (3-2)/2.
    assert_close!(dimension::contrast(&column(&[0.0, 1.0, 3.0])).unwrap(), 3.5 / 3.0, 1e-15);
    assert_close!(dimension::edge_length(0.125, 3).unwrap(), 0.5, 1e-15);
    assert!(dimension::edge_length(-0.1, 3).is_err() && dimension::edge_length(0.5, 0).is_err());
    assert!(dimension::contrast(&column(&[1.0])).is_err());
    assert!(dimension::contrast(&column(&[1.0, 1.0])).is_err());
}

/// All samples of size m from {0, 1} weigh the same: the mean of the biased variance is (m-1)/m · 1/4 exactly.
#[test]
fn the_variance_of_a_sample_is_too_small_by_one_part_in_its_size() {
    for m in 2..=10 {
        let sample = |bits: usize| (0..m).map(|i| (bits >> i & 1) as f64).collect::<Vec<_>>();
        let all: Vec<Gaussian> = (0..1 << m).map(|bits| Gaussian::new(&sample(bits)).unwrap()).collect();
        let mean = |f: &dyn Fn(&Gaussian) -> f64| all.iter().map(f).sum::<f64>() / all.len() as f64;
        assert_close!(mean(&|g| g.mle().variance), 0.25 * (m - 1) as f64 / m as f64, 1e-13);
        assert_close!(mean(&|g| g.unbiased_variance().unwrap()), 0.25, 1e-13);
    }
}

#[test]
fn posteriors_follow_conjugacy() {
    let posterior = Bernoulli::new(2, 3).unwrap().posterior(Beta { a: 1.0, b: 1.0 }).unwrap();
    assert_eq!(posterior, Beta { a: 3.0, b: 2.0 });
    assert_close!(posterior.variance(), 0.04, 1e-14);
    assert!(Bernoulli::new(4, 3).is_err() && Bernoulli::new(0, 0).is_err());
    let flat = Beta { a: 1.0, b: 1.0 };
    assert_close!(Bernoulli::new(2, 3).unwrap().map(flat).unwrap(), 2.0 / 3.0, 1e-15);
    assert!(Bernoulli::new(0, 3).unwrap().map(Beta { a: 0.5, b: 1.0 }).is_err());
    assert!(Gaussian::new(&[1.0]).unwrap().unbiased_variance().is_err());
    assert!(Gaussian::new(&[]).is_err() && Gaussian::new(&[f64::NAN]).is_err());
}

#[test]
fn grid_search_chooses_inside_and_standardising_does_not_leak() {
    let mut rng = StdRng::seed_from_u64(4);
    let x = normal(40, 8, &mut rng);
    let y = x.columns(0, 1) * 2.0 + normal(40, 1, &mut rng) * 0.1;
    let candidates: Vec<_> = [1e6, 0.1, 1e3].map(|alpha| Standardized(Ridge::new(alpha))).to_vec();
    let search = GridSearch { candidates, folds: 5, metric: mse, seed: 0 };
    assert_eq!(search.choose(&x, &y).unwrap(), 1);
    let empty = GridSearch { candidates: Vec::<Ridge>::new(), folds: 5, metric: mse, seed: 0 };
    assert!(matches!(empty.fit(&x, &y), Err(Error::Empty { .. })));

    // An outlier among the new inputs does not change what the others are predicted to be.
    let fit = Standardized(Ridge::new(1.0)).fit(&x, &y).unwrap();
    let mut moved = x.clone();
    moved.set_row(0, &DMatrix::from_element(1, 8, 1e6).row(0));
    let (before, after) = (fit.predict(&x).unwrap(), fit.predict(&moved).unwrap());
    assert_eq!(before.rows(1, 39), after.rows(1, 39));
    // Units do not matter.
    let rescaled = Standardized(Ridge::new(1.0)).fit(&(&x * 1e3), &y).unwrap();
    assert_close!(rescaled.predict(&(&x * 1e3)).unwrap().as_slice(), before.as_slice(), 1e-12);
    assert_close!(r2(&y, &y), 1.0, 1e-15);
    assert_close!(r2(&DMatrix::from_element(40, 1, y.mean()), &y), 0.0, 0.0, 1e-14);
}

#[test]
fn bad_data_are_refused() {
    let (x, y) = (dmatrix![1.0; 2.0; 3.0], column(&[1.0, 2.0, 3.0]));
    let none = DMatrix::zeros(0, 1);
    let fit = LinearRegression::default();
    assert!(matches!(fit.fit(&none, &none), Err(Error::Empty { .. })));
    assert!(matches!(fit.fit(&x, &column(&[1.0])), Err(Error::LengthMismatch { examples: 3, labels: 1 })));
    let bad = dmatrix![1.0; f64::NAN; 3.0];
    assert!(matches!(fit.fit(&bad, &y), Err(Error::FeatureNotFinite { example: 1, feature: 0, .. })));
    assert!(matches!(fit.fit(&x, &bad), Err(Error::TargetNotFinite { example: 1, output: 0, .. })));
    let wide = dmatrix![1.0, 2.0];
    assert!(matches!(fit.fit(&x, &y).unwrap().predict(&wide), Err(Error::Dimension { got: 2, want: 1, .. })));
    for alpha in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Ridge::new(alpha).fit(&x, &y), Err(Error::InvalidHyper { name: "alpha", .. })));
        assert!(matches!(Lasso::new(alpha).fit(&x, &y), Err(Error::InvalidHyper { name: "alpha", .. })));
    }
    assert!(matches!(
        Polynomial::new(2).fit(&dmatrix![1.0, 2.0], &column(&[1.0])),
        Err(Error::Dimension { .. })
    ));
    for k in [0, 4] {
        assert!(matches!(Neighbours { k }.fit(&x, &y), Err(Error::InvalidHyper { name: "k", .. })));
        assert!(KMeans::new(k).fit(&x, &mut StdRng::seed_from_u64(0)).is_err());
    }
    assert!(matches!(one_hot(&[0, 2], 2), Err(Error::LabelOutOfRange { index: 1, label: 2, classes: 2 })));
    assert!(
        folds(3, 4, &mut StdRng::seed_from_u64(0)).is_err()
            && folds(3, 1, &mut StdRng::seed_from_u64(0)).is_err()
    );
    assert!(Pca::<2>::fit(&x).is_err() && Pca::<1>::fit(&x.rows(0, 1).into_owned()).is_err());
    let length = |length| KernelRidge { kernel: Kernel::Gaussian { length }, alpha: 1.0 };
    assert!(length(0.0).fit(&x, &y).is_err() && length(1.0).fit(&x, &y).is_ok());
    // Two equal examples and no penalty: the kernel matrix has no inverse.
    let twice = KernelRidge { kernel: Kernel::Linear, alpha: 0.0 };
    assert!(matches!(twice.fit(&dmatrix![0.0; 0.0], &column(&[1.0, 2.0])), Err(Error::Singular { .. })));
    let impatient = Lasso { max_passes: 1, ..Lasso::new(0.01) };
    let correlated = dmatrix![1.0, 1.01; 2.0, 2.0; 3.0, 3.1];
    assert!(matches!(impatient.fit(&correlated, &y), Err(Error::NotConverged { passes: 1, .. })));
    assert!(WeightDistribution::prior(2, 0.0, 1.0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ridge_solves_its_normal_equations(n in 2..12_usize, f in 1..6_usize, log in -3.0..3.0_f64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (x, y, alpha) = (normal(n, f, &mut rng), normal(n, 2, &mut rng), log.exp());
        let zero = Ridge::new(alpha).intercept(Intercept::Zero);
        let fit = zero.fit(&x, &y).unwrap();
        let residual = x.tr_mul(&(&x * &fit.weights - &y)) + &fit.weights * alpha;
        prop_assert!(residual.amax() < 1e-9 * (1.0 + x.norm_squared()), "{residual}");
        // The same as least squares with sqrt(alpha) I below the examples.
        let below = DMatrix::identity(f, f) * alpha.sqrt();
        let augmented = DMatrix::from_fn(n + f, f, |i, j| if i < n { x[(i, j)] } else { below[(i - n, j)] });
        let targets = DMatrix::from_fn(n + f, 2, |i, j| if i < n { y[(i, j)] } else { 0.0 });
        let ols = LinearRegression { intercept: Intercept::Zero }.fit(&augmented, &targets).unwrap();
        assert_close!(fit.weights.as_slice(), ols.weights.as_slice(), 1e-9, 1e-12);
        // And as kernel ridge with the linear kernel.
        let kernel = KernelRidge { kernel: Kernel::Linear, alpha }.fit(&x, &y).unwrap();
        assert_close!(kernel.predict(&x).unwrap().as_slice(), fit.predict(&x).unwrap().as_slice(), 1e-8, 1e-10);
        // A larger penalty gives shorter weights and a larger training error.
        let more = Ridge::new(2.0 * alpha).intercept(Intercept::Zero).fit(&x, &y).unwrap();
        prop_assert!(more.weights.norm() <= fit.weights.norm() * (1.0 + 1e-12));
        let rss = |weights: &DMatrix<f64>| (&x * weights - &y).norm_squared();
        prop_assert!(rss(&more.weights) >= rss(&fit.weights) * (1.0 - 1e-12));
    }

    #[test]
    fn leaving_one_out_needs_no_refit(n in 3..12_usize, log in -2.0..2.0_f64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (x, y, alpha) = (normal(n, 2, &mut rng), normal(n, 1, &mut rng), log.exp());
        let learner = Ridge::new(alpha).intercept(Intercept::Zero);
        let report = cross_validate(&learner, &x, &y, n, mse, &mut rng).unwrap();
        assert_close!(ridge::leave_one_out(&x, &y.column(0).into_owned(), alpha).unwrap(), report.mean, 1e-9);
    }

    #[test]
    fn lasso_meets_the_conditions_of_its_optimum(n in 2..15_usize, f in 1..8_usize, log in -4.0..0.5_f64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (x, y, alpha) = (normal(n, f, &mut rng), normal(n, 1, &mut rng), log.exp());
        let fit = Lasso::new(alpha).fit(&x, &y).unwrap();
        let residual = &y - fit.predict(&x).unwrap();
        prop_assert!(residual.sum().abs() < 1e-9 * n as f64, "the constant term is not penalised");
        let centred = DMatrix::from_fn(n, f, |i, j| x[(i, j)] - x.column(j).mean());
        let slope = centred.tr_mul(&residual) / n as f64;
        for (slope, w) in slope.iter().zip(fit.weights.iter()) {
            let off = if *w == 0.0 { slope.abs() - alpha } else { (slope - alpha * w.signum()).abs() };
            prop_assert!(off <= 1e-9 * x.norm().max(1.0) * y.norm().max(1.0), "slope {slope}, weight {w}, alpha {alpha}");
        }
    }

    #[test]
    fn folds_cover_everything_once(n in 2..60_usize, k in 2..10_usize, seed: u64) {
        let k = k.min(n);
        let parts = folds(n, k, &mut StdRng::seed_from_u64(seed)).unwrap();
        let mut all: Vec<usize> = parts.iter().flatten().copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..n).collect::<Vec<_>>());
        let sizes = parts.iter().map(Vec::len);
        prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        prop_assert_eq!(parts.len(), k);
    }

    /// The parts of the error add up, whatever the learner, the sample and the number of runs.
    #[test]
    fn bias_variance_and_noise_are_the_error(degree in 0..4_usize, runs in 1..9_usize, noise in 0.0..2.0_f64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let grid = column(&[-0.8, -0.1, 0.5]);
        let sample = |_| (normal(8, 1, &mut rng), normal(8, 1, &mut rng));
        let parts = decompose(&Polynomial::new(degree), sample, &grid, &[0.3, -1.0, 2.0], noise, runs).unwrap();
        assert_close!(parts.bias2 + parts.variance + parts.noise, parts.total, 1e-10);
        prop_assert!(runs > 1 || parts.variance == 0.0);
        prop_assert_eq!(parts.predictions.len(), runs);
    }

    /// Batch by batch or all at once; the mean is ridge regression; knowledge only grows.
    #[test]
    fn the_posterior_is_the_next_prior(n in 2..10_usize, prior in 0.1..4.0_f64, noise in 0.1..4.0_f64, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (x, y) = (normal(n, 3, &mut rng), normal(n, 1, &mut rng));
        let start = WeightDistribution::prior(3, prior, noise).unwrap();
        let batch = start.after(&x, y.as_slice()).unwrap();
        let first = start.after(&x.rows(0, 1).into_owned(), &y.as_slice()[..1]).unwrap();
        let both = first.after(&x.rows(1, n - 1).into_owned(), &y.as_slice()[1..]).unwrap();
        assert_close!(both.mean().unwrap().as_slice(), batch.mean().unwrap().as_slice(), 1e-9);
        assert_close!(both.covariance().unwrap().as_slice(), batch.covariance().unwrap().as_slice(), 1e-9);
        let ridge = Ridge::new(noise / prior).intercept(Intercept::Zero).fit(&x, &y).unwrap();
        assert_close!(batch.mean().unwrap().as_slice(), ridge.weights.as_slice(), 1e-9, 1e-13);
        let grid = normal(4, 3, &mut rng);
        let before = start.predict(&grid).unwrap();
        for (after, before) in batch.predict(&grid).unwrap().iter().zip(before) {
            prop_assert!(after.variance <= before.variance * (1.0 + 1e-12) && after.variance >= noise);
        }
    }

    #[test]
    fn kernels_are_inner_products(n in 1..9_usize, power in 1..4_u16, length in 0.2..3.0_f64, seed: u64) {
        let x = normal(n, 3, &mut StdRng::seed_from_u64(seed));
        for kernel in [Kernel::Linear, Kernel::Polynomial { power }, Kernel::Gaussian { length }] {
            let gram = kernel.matrix(&x, &x);
            assert_close!(gram.as_slice(), gram.transpose().as_slice(), 1e-14);
            let least = gram.symmetric_eigenvalues().min();
            prop_assert!(least >= -1e-11 * gram.trace(), "{kernel:?}: {least}");
        }
    }

    #[test]
    fn clustering_never_gets_worse(n in 3..40_usize, k in 1..6_usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let x = normal(n, 2, &mut rng);
        let fit = KMeans::new(k.min(n)).fit(&x, &mut rng).unwrap();
        prop_assert!(fit.cost.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-12)), "{:?}", fit.cost);
        prop_assert!(fit.converged);
        prop_assert_eq!(fit.assign(&x).unwrap(), fit.clusters.clone());
        for c in 0..k.min(n) {
            let members: Vec<usize> = (0..n).filter(|&i| fit.clusters[i] == c).collect();
            let mean = x.select_rows(&members).row_mean();
            prop_assert!((mean - fit.centres.row(c)).amax() < 1e-12);
        }
    }
}

/// ∫P_iP_j over [-1, 1] is 0 for i ≠ j and 2/(2j + 1) for i = j; a grid of midpoints integrates it.
#[test]
fn legendre_polynomials_are_orthogonal() {
    const POINTS: usize = 20_000;
    let x = column(&(0..POINTS).map(|i| (2.0 * i as f64 + 1.0) / POINTS as f64 - 1.0).collect::<Vec<_>>());
    let p = features(&x, 5, Basis::Legendre).unwrap();
    let gram = p.tr_mul(&p) * (2.0 / POINTS as f64);
    let want = DMatrix::from_fn(5, 5, |i, j| if i == j { 2.0 / (2.0 * (i + 1) as f64 + 1.0) } else { 0.0 });
    assert_close!(gram.as_slice(), want.as_slice(), 1e-7);
}

/// Descent on dfdx's tape ends at the closed form; on the tutorial's six rows as printed there it leaves every bound, and
/// one step is the formula.
#[test]
fn descent_finds_the_least_squares_solution() {
    use optim::learning::linear::SgdFit;
    let x = normal(40, 3, &mut StdRng::seed_from_u64(4));
    let y = DMatrix::from_fn(40, 2, |i, o| x[(i, o)] - 0.5 * x[(i, 2)] + 0.3 + 0.1 * (i as f64).cos());
    let exact = LinearRegression::default().fit(&x, &y).unwrap();
    let config = SgdFit { learning_rate: 0.5, epochs: 600, batch: 40 };
    let key = kernels::random::Key::new(3);
    let found = LinearRegression::default().fit_sgd(&x, &y, config, key).unwrap();
    assert_close!(found.weights.as_slice().to_vec(), exact.weights.as_slice().to_vec(), 1e-9, 1e-10);
    assert_close!(found.intercept, exact.intercept, 1e-9);
    let through_zero = LinearRegression { intercept: Intercept::Zero };
    let found = through_zero.fit_sgd(&x, &y, config, key).unwrap();
    let exact = through_zero.fit(&x, &y).unwrap();
    assert_close!(found.weights.as_slice().to_vec(), exact.weights.as_slice().to_vec(), 1e-9, 1e-10);
    assert_eq!(found.intercept, [0.0, 0.0]);
    // One example, one step from 0: 2 η y x.
    let one = SgdFit { learning_rate: 0.1, epochs: 1, batch: 1 };
    let (row, target) = (DMatrix::from_row_slice(1, 2, &[3.0, -1.0]), DMatrix::from_element(1, 1, 2.0));
    let found = LinearRegression::default().fit_sgd(&row, &target, one, key).unwrap();
    assert_close!(found.weights.as_slice().to_vec(), vec![1.2, -0.4], 1e-14);
    assert_close!(found.intercept, vec![0.4], 1e-14);
    // Single examples land near; the printed rate of the tutorial does not.
    let blog = DMatrix::from_row_slice(6, 2, &[4.0, 1.0, 2.0, 8.0, 1.0, 0.0, 3.0, 2.0, 1.0, 4.0, 6.0, 7.0]);
    let y = DMatrix::from_row_slice(6, 1, &[2.0, -14.0, 1.0, -1.0, -7.0, -8.0]);
    let run = |learning_rate| {
        LinearRegression::default().fit_sgd(&blog, &y, SgdFit { learning_rate, epochs: 300, batch: 1 }, key)
    };
    match run(0.05) {
        Err(Error::Unstable { safe, learning_rate, .. }) => {
            assert_close!(safe, 1.0 / 86.0, 1e-12);
            assert_close!(learning_rate, 0.05, 1e-15);
        }
        other => panic!("{other:?}"),
    }
    assert_close!(run(0.01).unwrap().weights.as_slice().to_vec(), vec![1.0, -2.0], 1e-3);
    let refused = |config: SgdFit| LinearRegression::default().fit_sgd(&blog, &y, config, key);
    let none = SgdFit { epochs: 0, ..SgdFit::default() };
    assert!(matches!(refused(none), Err(Error::InvalidHyper { name: "epochs", .. })));
    let none = SgdFit { batch: 0, ..SgdFit::default() };
    assert!(matches!(refused(none), Err(Error::InvalidHyper { name: "batch", .. })));
    let nan = SgdFit { learning_rate: f64::NAN, ..SgdFit::default() };
    assert!(matches!(refused(nan), Err(Error::Step(_))));
}
