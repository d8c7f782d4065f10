//! Small statements of the textbooks that the lectures build on, each with its numbers.
use dfdx::prelude::*;
use kernels::random::Key;
use layers::{assert_close, modules};
use nalgebra::{DMatrix, SVector, dmatrix};
use optim::learning::{Estimator, LinearRegression, estimators::Gaussian};
use optim::perceptron::{MaxEpochs, Perceptron};
use rand::Rng;

/// Goodfellow et al. (2016), section 6.1: two rectifiers solve exclusive or, and least squares answers ½ to everything.
#[test]
fn exclusive_or_by_hand_and_by_least_squares() {
    let dev = Cpu::default();
    let mut hidden: modules::Linear<2, 2, f64, Cpu, modules::Relu> = BuildModule::build(&dev);
    let mut output: modules::Linear<2, 1, f64, Cpu> = BuildModule::build(&dev);
    hidden.weight = dev.tensor([[1.0, 1.0], [1.0, 1.0]]);
    hidden.bias = dev.tensor([0.0, -1.0]);
    output.weight = dev.tensor([[1.0, -2.0]]);
    output.bias = dev.tensor([0.0]);
    let x = dev.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    assert_eq!(output.forward(hidden.forward(x)).array(), [[0.0], [1.0], [1.0], [0.0]]);
    let x = dmatrix![0.0, 0.0; 0.0, 1.0; 1.0, 0.0; 1.0, 1.0];
    let fit = LinearRegression::default().fit(&x, &dmatrix![0.0; 1.0; 1.0; 0.0]).unwrap();
    assert_close!(fit.weights.as_slice().to_vec(), vec![0.0, 0.0], 0.0, 1e-14);
    assert_close!(fit.intercept, vec![0.5], 1e-14);
}

/// Maxout of two linear functions is the rectifier, the absolute value and the leaky rectifier, for the right weights.
#[test]
fn maxout_contains_the_rectifiers() {
    let dev = Cpu::default();
    let x = dev.tensor([[-2.0_f64], [-0.5], [0.0], [1.5]]);
    for (slopes, want) in [
        ([1.0, 0.0], [0.0, 0.0, 0.0, 1.5]),
        ([1.0, -1.0], [2.0, 0.5, 0.0, 1.5]),
        ([1.0, 0.01], [-0.02, -0.005, 0.0, 1.5]),
    ] {
        let mut linear: modules::Linear<1, 2, f64, Cpu> = BuildModule::build(&dev);
        linear.weight = dev.tensor([[slopes[0]], [slopes[1]]]);
        linear.bias = dev.tensor([0.0, 0.0]);
        let y = modules::Maxout::<2, 1>.forward(linear.forward(x.clone()));
        assert_close!(y.as_vec(), want, 1e-15, 1e-15);
    }
}

/// Nielsen (2015), chapter 3: of 1000 inputs half are 1 and the rest 0. With all weights and the bias from N(0, 1) the vote
/// has the deviation √501 = 22.38; with weights from N(0, 1/1000) it is √(3/2) = 1.2247.
#[test]
fn nielsens_votes_are_wide_or_narrow() {
    for (deviation, want) in [(1.0, 501_f64.sqrt()), (1000_f64.powf(-0.5), 1.5_f64.sqrt())] {
        let draws = 4000;
        let mut rng = Key::new(8).rng();
        let normal = |rng: &mut _| Rng::sample::<f64, _>(rng, rand_distr::StandardNormal);
        let squares: f64 = (0..draws)
            .map(|_| {
                let vote: f64 =
                    (0..500).map(|_| deviation * normal(&mut rng)).sum::<f64>() + normal(&mut rng);
                vote * vote
            })
            .sum();
        let measured = (squares / f64::from(draws)).sqrt();
        // A variance from n normal numbers has the relative standard error √(2/n); the deviation half of it.
        assert!(
            (measured / want - 1.0).abs() < 4.0 * (0.5 / f64::from(draws)).sqrt(),
            "{measured} against {want}"
        );
    }
}

/// A plane in d dimensions shatters d + 1 points in general position and no d + 2: of N points it separates
/// 2 Σ_{k ≤ d} C(N − 1, k) labellings (Cover 1965).
#[test]
fn planes_shatter_one_point_more_than_their_dimension() {
    fn count<const D: usize>(n: usize) -> usize {
        let mut rng = Key::new(12).rng();
        let draw = |rng: &mut _| Rng::sample::<f64, _>(rng, rand_distr::StandardNormal);
        let x: Vec<SVector<f64, D>> = (0..n).map(|_| SVector::from_fn(|_, _| draw(&mut rng))).collect();
        let separates = |labels: &usize| {
            let labels: Vec<i8> = (0..n).map(|i| if labels >> i & 1 == 1 { 1 } else { -1 }).collect();
            Perceptron::fit(&x, &labels, MaxEpochs(20_000)).is_ok()
        };
        (0..1 << n).filter(separates).count()
    }
    let choose = |n: usize, k: usize| (1..=k).fold(1, |c, i| c * (n + 1).saturating_sub(i) / i);
    let cover = |n: usize, d: usize| 2 * (0..=d).map(|k| choose(n - 1, k)).sum::<usize>();
    for n in 1..=5 {
        assert_eq!(count::<1>(n), cover(n, 1), "{n} points on a line");
        assert_eq!(count::<2>(n), cover(n, 2), "{n} points in a plane");
        assert_eq!(count::<3>(n), cover(n, 3), "{n} points in space");
    }
    assert_eq!([cover(3, 2), cover(4, 2), cover(5, 3)], [8, 14, 30]);
}

/// No estimator without bias varies less than 1/(m I): counting all heads does as little, looking at the first throw alone
/// has no bias either and varies more. All samples, weighted by their probability.
#[test]
fn counting_heads_attains_the_bound_of_cramer_and_rao() {
    use optim::learning::estimators::Bernoulli;
    for (m, p) in [(1, 0.5), (3, 0.2), (9, 0.7)] {
        let (mut bias, mut variance, mut of_first, mut total) = (0.0, 0.0, 0.0, 0.0);
        for sample in 0..1_u32 << m {
            let heads = u64::from(sample.count_ones());
            let weight = f64::powi(p, heads as i32) * f64::powi(1.0 - p, m - heads as i32);
            let estimate = Bernoulli::new(heads, m as u64).unwrap().mle();
            total += weight;
            bias += weight * (estimate - p);
            variance += weight * (estimate - p).powi(2);
            of_first += weight * (f64::from(sample & 1) - p).powi(2);
        }
        // I(p) = E[(x/p − (1 − x)/(1 − p))²].
        let information = p * (1.0 / p).powi(2) + (1.0 - p) * (1.0 / (1.0 - p)).powi(2);
        assert_close!([total, variance], [1.0, 1.0 / (f64::from(m) * information)], 1e-12);
        assert!(bias.abs() < 1e-14 && of_first >= variance * (1.0 - 1e-12));
        assert!(m == 1 || of_first > 2.0 * variance);
    }
}

/// The variance with divisor m is too small by (m − 1)/m, also on real numbers: resamples of the progression of diabetes.
#[test]
fn the_variance_of_small_samples_of_patients_is_too_small() {
    let all = datasets::diabetes().targets().to_vec();
    let variance = Gaussian::new(&all).unwrap().mle().variance;
    let mut rng = Key::new(9).rng();
    for m in [2, 5, 10] {
        let draws = 20_000;
        let ratios: Vec<f64> = (0..draws)
            .map(|_| {
                let sample: Vec<f64> = (0..m).map(|_| all[rng.gen_range(0..all.len())]).collect();
                Gaussian::new(&sample).unwrap().mle().variance / variance
            })
            .collect();
        let mean = ratios.iter().sum::<f64>() / f64::from(draws);
        let spread = ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / f64::from(draws - 1);
        let want = (m - 1) as f64 / m as f64;
        assert!((mean - want).abs() < 3.0 * (spread / f64::from(draws)).sqrt(), "{m}: {mean} against {want}");
    }
}

/// Goodfellow et al. (2016), section 8.2.5: many factors W make powers of its eigenvalues, which vanish or explode.
#[test]
fn powers_of_a_matrix_are_powers_of_its_eigenvalues() {
    let vectors = dmatrix![1.0, 1.0; 1.0, -2.0];
    let inverse = vectors.clone().try_inverse().unwrap();
    let with = |values: [f64; 2]| &vectors * DMatrix::from_diagonal(&values.to_vec().into()) * &inverse;
    let w = with([1.1, 0.9]);
    let mut power = DMatrix::identity(2, 2);
    (0..60).for_each(|_| power = &power * &w);
    let want = with([1.1_f64.powi(60), 0.9_f64.powi(60)]);
    assert!((&power - &want).amax() < 1e-11 * want.amax());
    let growth = (&power * dmatrix![1.0; 1.0]).norm() / 2_f64.sqrt();
    let decay = (&power * dmatrix![1.0; -2.0]).norm() / 5_f64.sqrt();
    assert_close!([growth, decay], [1.1_f64.powi(60), 0.9_f64.powi(60)], 1e-6);
}
