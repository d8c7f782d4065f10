//! What minimises without a gradient, or hands gradients on, against derivatives of the tape: no slope where a method
//! ends, and the promised one elsewhere.
use dfdx::prelude::{
    AsArray, Backward, Cpu, Gradients, HasShape, MeanTo, Rank0, Rank1, SumTo, Tensor, TensorFrom,
    TensorFromVec, Trace,
};
use kernels::Tanh;
use kernels::random::Key;
use layers::{Sgd, SgdConfig, assert_close};
use nalgebra::{DMatrix, dmatrix};
use optim::autodiff::gradcheck::gradcheck;
use optim::autodiff::tensor::{Var, hessian, vjp};
use optim::calibration::temperature;
use optim::chain::{Chain, glorot};
use optim::landscape::symmetry::{flip_unit, permute_units};
use optim::learning::bayes::WeightDistribution;
use optim::learning::estimators::{Bernoulli, Beta, Gaussian};
use optim::learning::kernel::{Kernel, KernelRidge};
use optim::learning::kmeans::KMeans;
use optim::learning::pca::Pca;
use optim::learning::polynomial::{Basis, Polynomial, features};
use optim::learning::{Estimator, Predict, column};
use optim::loss_scale::{DynamicLossScale, LossScaleConfig};
use optim::master_copy::MasterCopy;
use optim::optimizers::AsDfdx;
use optim::regularize::cut_mix::{Patch, cut_mix};
use optim::sgd::gradient_noise::covariance;
use optim::sgd::{FiniteSum, LeastSquares};
use rand::{Rng, SeedableRng, rngs::StdRng};

fn drawn(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = StdRng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.gen_range(-1.0..1.0))
}

/// A function on the tape, of any tape's variables.
fn on_tape<F: for<'t> Fn(&[Var<'t>]) -> Var<'t>>(f: F) -> F {
    f
}

/// The derivatives of a number with respect to a matrix.
fn slope(f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>, at: &DMatrix<f64>) -> DMatrix<f64> {
    let (_, mut slopes) = vjp(f, std::slice::from_ref(at), &dmatrix![1.0]).unwrap();
    slopes.swap_remove(0)
}

/// No slope at `at`, and a slope beside it.
fn assert_flat(f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>, at: &DMatrix<f64>, name: &str) {
    let here = slope(&f, at).amax();
    let beside = slope(&f, &at.map(|x| x + 0.1)).amax();
    assert!(here < 1e-9 * (1.0 + beside), "{name}: a slope of {here} at its end"); // observed 1e-13
    assert!(beside > 1e-3, "{name}: flat everywhere");
}

#[test]
fn polynomials_end_where_their_error_is_flat() {
    let (x, y) = (drawn(12, 1, 1), drawn(12, 1, 2));
    for (basis, alpha) in [(Basis::Legendre, 0.0), (Basis::Legendre, 0.7), (Basis::Powers, 0.3)] {
        let fit = Polynomial::new(3).alpha(alpha).basis(basis).fit(&x, &y).unwrap();
        let inputs = features(&x, 3, basis).unwrap().insert_column(0, 1.0);
        let objective = on_tape(|w| {
            let tape = w[0].tape();
            let missed = tape.constant(inputs.clone()).matmul(w[0]) - tape.constant(y.clone());
            missed.powi(2).sum() + w[0].rows(1, 3).powi(2).sum().scale(alpha)
        });
        assert_flat(objective, &column(&fit.coefficients()), "a polynomial");
    }
}

#[test]
fn likelihoods_are_flat_at_their_estimates() {
    let x = drawn(9, 1, 3);
    let found = Gaussian::new(x.as_slice()).unwrap().mle();
    let gaussian = on_tape(|p| {
        let (mean, variance) = (p[0].rows(0, 1), p[0].rows(1, 1));
        let off = p[0].tape().constant(x.clone()) - mean.repeat_rows(9);
        variance.ln().scale(4.5) + off.powi(2).sum() / variance.scale(2.0)
    });
    assert_flat(gaussian, &column(&[found.mean, found.variance]), "a Gaussian");
    // Seven heads of ten, alone and with a prior.
    let throws = Bernoulli::new(7, 10).unwrap();
    let prior = Beta { a: 3.0, b: 2.5 };
    let coin = |heads: f64, tails: f64| {
        on_tape(move |p| (p[0].ln().scale(heads) + p[0].scale(-1.0).shift(1.0).ln().scale(tails)).scale(-1.0))
    };
    assert_flat(coin(7.0, 3.0), &dmatrix![throws.mle()], "a coin");
    assert_flat(coin(9.0, 4.5), &dmatrix![throws.map(prior).unwrap()], "a coin with a prior");
}

/// The information of Cramér and Rao's bound, twice: the mean square of the score, and the mean curvature of −ln p.
#[test]
fn the_information_is_the_square_of_the_score_and_a_curvature() {
    for p in [0.2, 0.5, 0.9] {
        let at = dmatrix![p];
        let (mut mean, mut square, mut curvature) = (0.0, 0.0, 0.0);
        for (throw, chance) in [(1.0, p), (0.0, 1.0 - p)] {
            let log =
                on_tape(|v| v[0].ln().scale(throw) + v[0].scale(-1.0).shift(1.0).ln().scale(1.0 - throw));
            let score = slope(log, &at)[(0, 0)];
            mean += chance * score;
            square += chance * score * score;
            curvature -= chance * hessian(log, std::slice::from_ref(&at)).unwrap()[(0, 0)];
        }
        // One throw: the share of heads is the throw, with variance p(1 − p).
        let variance = [0, 1].map(|heads| {
            let chance = if heads == 1 { p } else { 1.0 - p };
            chance * (Bernoulli::new(heads, 1).unwrap().mle() - p).powi(2)
        });
        assert!(mean.abs() < 1e-14);
        assert_close!([square, curvature], [1.0 / (variance[0] + variance[1]); 2], 1e-12, 0.0, "p = {p}");
    }
}

#[test]
fn a_posterior_is_the_minimum_and_the_curvature_of_its_logarithm() {
    let (x, y) = (drawn(8, 3, 4), drawn(8, 1, 5));
    let (variance, noise) = (2.0, 0.3);
    let posterior = WeightDistribution::prior(3, variance, noise).unwrap().after(&x, y.as_slice()).unwrap();
    let energy = on_tape(|w| {
        let tape = w[0].tape();
        let missed = tape.constant(x.clone()).matmul(w[0]) - tape.constant(y.clone());
        missed.powi(2).sum().scale(0.5 / noise) + w[0].powi(2).sum().scale(0.5 / variance)
    });
    let mean = column(posterior.mean().unwrap().as_slice());
    assert_flat(energy, &mean, "a posterior");
    let curvature = hessian(energy, &[mean]).unwrap();
    let product = curvature * posterior.covariance().unwrap();
    assert_close!(product.as_slice(), DMatrix::<f64>::identity(3, 3).as_slice(), 1e-12, 1e-13);
}

#[test]
fn kernels_components_and_centres_end_where_their_error_is_flat() {
    let (x, y) = (drawn(7, 3, 6), drawn(7, 1, 7));
    let learner = KernelRidge { kernel: Kernel::Gaussian { length: 0.8 }, alpha: 0.4 };
    let gram = learner.kernel.matrix(&x, &x);
    let fitted = learner.fit(&x, &y).unwrap().predict(&x).unwrap();
    let coefficients = gram.clone().lu().solve(&fitted).unwrap();
    let kernel_ridge = on_tape(|a| {
        let tape = a[0].tape();
        let f = tape.constant(gram.clone()).matmul(a[0]);
        (f - tape.constant(y.clone())).powi(2).sum() + (f * a[0]).sum().scale(0.4)
    });
    assert_flat(kernel_ridge, &coefficients, "kernel ridge");

    let mean = x.row_mean();
    let centred = DMatrix::from_fn(7, 3, |i, j| x[(i, j)] - mean[j]);
    // What a direction of any length leaves out of the squares.
    let left_out = on_tape(|d| {
        let along = d[0].tape().constant(centred.clone()).matmul(d[0]).powi(2).sum();
        (along / d[0].powi(2).sum()).scale(-1.0)
    });
    let first = Pca::<1>::fit(&x).unwrap();
    assert_flat(left_out, first.directions(), "a principal direction");

    let points =
        DMatrix::from_fn(12, 2, |i, j| 3.0 * (i % 3) as f64 * (j as f64 - 0.4) + 0.2 * (i as f64).sin());
    let found = KMeans::new(3).fit(&points, &mut StdRng::seed_from_u64(8)).unwrap();
    let spread = on_tape(|c| {
        let own = c[0].gather(&found.clusters);
        (c[0].tape().constant(points.clone()) - own).powi(2).sum()
    });
    assert_flat(spread, &found.centres, "centres");
}

#[test]
fn the_noise_of_gradients_is_that_of_the_tapes() {
    let (x, y, w) = (drawn(10, 3, 9), drawn(10, 1, 10), drawn(3, 1, 11));
    let problem = LeastSquares::new(x.clone(), y.as_slice().to_vec(), 0.5).unwrap();
    let of = |i: usize| {
        let row = DMatrix::from_fn(1, 3, |_, j| x[(i, j)]);
        slope(|w| w[0].tape().constant(row.clone()).matmul(w[0]).shift(-y[i]).powi(2).scale(0.5), &w)
    };
    let all: Vec<DMatrix<f64>> = (0..10).map(of).collect();
    let mean = all.iter().sum::<DMatrix<f64>>() / 10.0;
    assert_close!(problem.gradient(w.as_slice()), mean.as_slice(), 1e-13);
    let want = all.iter().map(|g| (g - &mean) * (g - &mean).transpose()).sum::<DMatrix<f64>>() / 10.0;
    assert_close!(covariance(&problem, w.as_slice()).as_slice(), want.as_slice(), 1e-12, 1e-15);
}

#[test]
fn the_best_temperature_is_where_the_loss_is_flat() {
    let logits = drawn(40, 3, 12) * 4.0;
    let rows: Vec<f64> = logits.transpose().as_slice().to_vec();
    // Every fifth label is not the largest vote.
    let largest = |i: usize| logits.row(i).transpose().imax();
    let labels: Vec<usize> = (0..40).map(|i| (largest(i) + usize::from(i % 5 == 0)) % 3).collect();
    let found = temperature(&rows, 3, &labels).unwrap();
    let one_hot = DMatrix::from_fn(40, 3, |i, k| if labels[i] == k { 1.0 } else { 0.0 });
    let loss = on_tape(|t| {
        let tape = t[0].tape();
        let z = tape.constant(logits.clone()) / t[0].repeat_rows(40).repeat_columns(3);
        z.log_sum_exp().sum() - (z * tape.constant(one_hot.clone())).sum()
    });
    assert_flat(loss, &dmatrix![found], "the temperature");
}

#[test]
fn pasted_pictures_pull_towards_both_labels() {
    let dev = Cpu::default();
    let x = dev.tensor_from_vec(drawn(3, 16, 13).as_slice().to_vec(), (3, 16));
    let (labels, partner) = ([0, 2, 1], [1, 2, 0]);
    let patch = Patch { top: 1, left: 0, rows: 2, columns: 3 };
    let mixed = cut_mix(&x, (4, 4), &labels, 3, &partner, patch).unwrap();
    let votes = drawn(3, 3, 14);
    let of = |targets: &DMatrix<f64>| {
        let loss =
            on_tape(|z| z[0].log_sum_exp().sum() - (z[0] * z[0].tape().constant(targets.clone())).sum());
        slope(loss, &votes)
    };
    let alone = |labels: &[usize]| of(&DMatrix::from_fn(3, 3, |i, k| if labels[i] == k { 1.0 } else { 0.0 }));
    let others: Vec<usize> = partner.iter().map(|&i| labels[i]).collect();
    let share = 1.0 - 6.0 / 16.0;
    let want = alone(&labels) * share + alone(&others) * (1.0 - share);
    let got = of(&DMatrix::from_row_slice(3, 3, &mixed.targets.as_vec()));
    assert_close!(got.as_slice(), want.as_slice(), 1e-13, 1e-15);
}

/// A scale, a copy with more digits, and dfdx's trait around an optimiser of rate 1: the weights move by the gradient.
#[test]
fn wrapped_steps_are_the_gradient() {
    let start = [0.7, -1.2];
    let loss = |w: &[f64]| w[0].powi(3) * w[1] + (w[0] * w[1]).sin();
    let on_tape = |w: &Tensor<Rank1<2>, f64, Cpu>| {
        let entry = |unit: [f64; 2]| {
            let unit: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor(unit);
            (w.leaky_trace() * unit).sum::<Rank0, _>()
        };
        let (a, b) = ([1.0, 0.0], [0.0, 1.0]);
        entry(a).powi(3) * entry(b) + (entry(a) * entry(b)).sin()
    };
    let rule = SgdConfig { learning_rate: 1.0, ..Default::default() };
    let check = |name: &str, from: [f64; 2], to: Vec<f64>| {
        let moved: Vec<f64> = from.iter().zip(to).map(|(from, to)| from - to).collect();
        let report = gradcheck(loss, &from, &moved).unwrap();
        assert!(report.error < 1e-8, "{name}: {report:?}"); // observed 1e-10
    };

    let mut w: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor(start);
    let mut sgd = Sgd::try_new(&w, rule).unwrap();
    let mut scale = DynamicLossScale::try_new(LossScaleConfig::default()).unwrap();
    let mut gradients = (on_tape(&w) * scale.scale()).backward();
    scale.step(&mut sgd, &mut w, &mut gradients).unwrap().expect("no overflow");
    check("a loss scale", start, w.as_vec());

    let mut w: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor(start);
    let mut sgd = Sgd::try_new(&w, rule).unwrap();
    let mut master = MasterCopy::try_new(&mut w, 7).unwrap();
    let (rounded, exact) = (w.array(), master.exact().to_vec());
    let mut gradients = on_tape(&w).backward();
    master.step(&mut sgd, &mut w, &mut gradients).unwrap();
    let moved: Vec<f64> =
        exact.iter().zip(master.exact()).zip(rounded).map(|((a, b), r)| r - (a - b)).collect();
    check("a master copy", rounded, moved);

    let mut w: Tensor<Rank1<2>, f64, Cpu> = Cpu::default().tensor(start);
    let mut dressed = AsDfdx::new(Sgd::try_new(&w, rule).unwrap());
    let gradients: Gradients<f64, Cpu> = on_tape(&w).backward();
    dfdx::optim::Optimizer::update(&mut dressed, &mut w, &gradients).unwrap();
    check("dfdx's trait", start, w.as_vec());
}

/// Units that change places or signs take their gradients with them.
#[test]
fn gradients_move_with_their_units() {
    let dev = Cpu::default();
    let chain: Chain<f64, Cpu> = Chain::new(&dev, &[3, 4, 5, 2], Tanh, glorot, Key::new(15)).unwrap();
    let x = dev.tensor_from_vec(drawn(6, 3, 16).as_slice().to_vec(), (6, 3));
    let gradient = |chain: &Chain<f64, Cpu>| {
        let votes = chain.try_forward_with(x.leaky_trace(), |_, a| Ok(a)).unwrap();
        let gradients = votes.sin().mean().backward();
        let mut slopes = chain.clone();
        for (slope, layer) in slopes.layers.iter_mut().zip(&chain.layers) {
            slope.weight.copy_from(&gradients.get(&layer.weight).as_vec());
            slope.bias.copy_from(&gradients.get(&layer.bias).as_vec());
        }
        slopes
    };
    let change = |chain: &mut Chain<f64, Cpu>| {
        permute_units(chain, 0, &[2, 0, 3, 1]).unwrap();
        permute_units(chain, 1, &[4, 3, 0, 1, 2]).unwrap();
        flip_unit(chain, 0, 1).unwrap();
        flip_unit(chain, 1, 4).unwrap();
    };
    let mut moved = chain.clone();
    change(&mut moved);
    let mut want = gradient(&chain);
    change(&mut want);
    for (got, want) in gradient(&moved).layers.iter().zip(&want.layers) {
        assert_eq!(got.weight.shape(), want.weight.shape());
        assert_close!(got.weight.as_vec(), want.weight.as_vec(), 1e-12, 1e-15);
        assert_close!(got.bias.as_vec(), want.bias.as_vec(), 1e-12, 1e-15);
    }
}
