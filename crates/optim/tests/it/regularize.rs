//! Lecture 6: golden values (`golden/regularisation.json`), closed forms, finite differences, laws.
use dfdx::prelude::*;
use kernels::random::Key;
use layers::testing::Golden;
use layers::{Step, assert_close, modules, params};
use nalgebra::{DMatrix, DVector, dmatrix};
use optim::Error;
use optim::chain::{Chain, ChainSgd, he};
use optim::regularize::adversarial::{Pgd, fgsm, input_gradient, pgd};
use optim::regularize::augment::{Augment, Cutout, Elastic, Rotate, Shift};
use optim::regularize::dropout::{linear_regression_with_dropout, monte_carlo};
use optim::regularize::dropout_theory::{
    equalize, expected_loss_enumerated, optimum, plain_loss, regularizer, tied_optimum, unit_products,
};
use optim::regularize::early_stop::{Better, EarlyStopping};
use optim::regularize::ensemble::{self, ErrorMoments};
use optim::regularize::memorization::{
    Lass, Run, critical_sample_ratio, direct_sensitivity, unrolled_sensitivity,
};
use optim::regularize::mixup;
use optim::regularize::noise::{disturb_labels, max_norm, with_noisy_weights};
use optim::regularize::path_norm::{PathSgd, balance, path_gammas, path_norm, rescale};
use optim::regularize::penalty::{Filter, Penalty};
use optim::regularize::tangent::tangent_penalty;
use proptest::prelude::*;
use rand::Rng;
use rand_distr::StandardNormal;

fn golden() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/regularisation.json"))
}

fn matrix(golden: &Golden, path: &str, columns: usize) -> DMatrix<f64> {
    let numbers = golden.numbers(path);
    DMatrix::from_row_slice(numbers.len() / columns, columns, &numbers)
}

fn normal_matrix(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = Key::new(seed).rng();
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

/// Every block of the file is read; a block that nobody reads fails the test.
#[test]
fn golden_values_agree() {
    let golden = golden();
    dropout_linear(&golden);
    dropout_optimum(&golden);
    early_stopping(&golden);
    batch_norm(&golden);
    path_norms(&golden);
    input_space(&golden);
    golden.skip("source");
    golden.finish();
}

fn dropout_linear(golden: &Golden) {
    let at = |key: &str| format!("dropout_linear/{key}");
    let (u, v) = (matrix(golden, &at("U"), 3), matrix(golden, &at("V"), 3));
    let (m, c) = (matrix(golden, &at("M"), 4), matrix(golden, &at("C"), 4));
    let keep = golden.number(&at("theta"));
    let lambda = golden.number(&at("lambda_"));
    golden.skip(&at("note"));
    assert_close!((1.0 - keep) / keep, lambda, 1e-12);
    let plain = plain_loss(&m, &u, &v, None);
    assert_close!(plain, golden.number(&at("plain_loss_isotropic")), 1e-12);
    for (covariance, name) in [(None, "isotropic"), (Some(&c), "C")] {
        let penalty = regularizer(&u, &v, keep, covariance).unwrap();
        assert_close!(penalty, golden.number(&at(&format!("regulariser_{name}"))), 1e-12);
        let expected = expected_loss_enumerated(&m, &u, &v, keep, covariance).unwrap();
        assert_close!(expected, golden.number(&at(&format!("expected_loss_{name}"))), 1e-12);
        assert_close!(plain_loss(&m, &u, &v, covariance) + penalty, expected, 1e-12);
    }
}

fn dropout_optimum(golden: &Golden) {
    golden.skip("dropout_optimum/note");
    for width in golden.keys("dropout_optimum/by_width").iter().map(ToString::to_string).collect::<Vec<_>>() {
        let at = |key: &str| format!("dropout_optimum/by_width/{width}/{key}");
        let sigma = golden.numbers(&at("singular_values_M"));
        let units: usize = width.parse().unwrap();
        let m = DMatrix::from_diagonal(&DVector::from_vec(sigma));
        // lambda is not in the file: the threshold and the shrunk values determine it.
        let (threshold, rank) = (golden.number(&at("threshold")), golden.number(&at("rho")) as usize);
        let kappa = m.diagonal().iter().take(rank).sum::<f64>() / rank as f64;
        let lambda = threshold * units as f64 / (rank as f64 * (kappa - threshold));
        let best = optimum(&m, lambda, units).unwrap();
        assert_eq!(best.rank, rank, "width {width}");
        assert_close!(lambda, 2.0 / 3.0, 1e-9); // the same for all widths
        assert_close!(best.threshold, threshold, 1e-9);
        assert_close!(best.singular_values, golden.numbers(&at("shrunk")), 1e-9, 1e-9);
        assert_close!(best.value, golden.number(&at("optimum_closed_form")), 1e-9);
        assert_close!(best.value, golden.number(&at("optimum_numeric")), 1e-7); // eight digits are stored
        let products = golden.numbers(&at("numeric_products_of_norms"));
        assert_close!(vec![best.unit_product; products.len()], products, 1e-5); // five digits
        let tied = tied_optimum(&m, lambda, units).unwrap();
        assert_close!(tied.value, best.value, 1e-12);
    }
}

fn early_stopping(golden: &Golden) {
    let at = |key: &str| format!("early_stopping/{key}");
    let (h, w_star) = (golden.numbers(&at("eigenvalues")), golden.numbers(&at("w_star")));
    let (step, tau) = (golden.number(&at("step")), golden.number(&at("tau")) as u32);
    let alpha = golden.number(&at("alpha_first_order"));
    assert_close!(1.0 / (step * f64::from(tau)), alpha, 1e-12);
    let each = |f: &dyn Fn(Filter, f64) -> f64| -> Vec<f64> {
        h.iter().zip(&w_star).map(|(&curvature, &w)| f(Filter { curvature }, w)).collect()
    };
    assert_close!(each(&|f, w| w * f.left_by_early_stop(step, tau)), golden.numbers(&at("w_tau")), 1e-12);
    assert_close!(each(&|f, w| w * f.left_by_l2(alpha)), golden.numbers(&at("w_l2")), 1e-12);
    // The last is (1 - 0.5)^40 of a number near 1: only the relative error of the power matters.
    let exact = each(&|f, _| f.equivalent_l2(step, tau));
    assert_close!(exact, golden.numbers(&at("alpha_exact_per_direction")), 1e-9);
    // The factor found leaves what stopping leaves; by plain gradient descent on the quadratic as well.
    for (i, &curvature) in h.iter().enumerate() {
        let mut w = 0.0;
        for _ in 0..tau {
            w -= step * curvature * (w - w_star[i]);
        }
        assert_close!(w, w_star[i] * Filter { curvature }.left_by_l2(exact[i]), 1e-9);
    }
}

fn batch_norm(golden: &Golden) {
    let at = |key: &str| format!("batch_norm/{key}");
    golden.skip(&at("note"));
    let dev = Cpu::default();
    let x = golden.numbers(&at("x"));
    let rows = x.len() / 3;
    let x = dev.tensor_from_vec(x, (rows, Const::<3>));
    let mut layer: modules::BatchNorm1D<3, f64, Cpu> = BuildModule::build(&dev);
    layer.weight = dev.tensor_from_vec(golden.numbers(&at("gamma")), (Const::<3>,));
    layer.bias = dev.tensor_from_vec(golden.numbers(&at("beta")), (Const::<3>,));
    assert_close!(golden.number(&at("eps")), 1e-5, 0.0);
    assert_close!(golden.number(&at("momentum")), 0.1, 0.0);
    let y = layer.forward_mut(x.leaky_trace());
    assert_close!(y.as_vec(), golden.numbers(&at("y")), 1e-10);
    let upstream = dev.tensor_from_vec(golden.numbers(&at("upstream")), (rows, Const::<3>));
    let gradients = (y * upstream).sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&x).as_vec(), golden.numbers(&at("dx")), 1e-9, 1e-12);
    assert_close!(gradients.get(&layer.weight).as_vec(), golden.numbers(&at("dgamma")), 1e-10);
    assert_close!(gradients.get(&layer.bias).as_vec(), golden.numbers(&at("dbeta")), 1e-10);
    assert_close!(layer.running_mean.as_vec(), golden.numbers(&at("running_mean")), 1e-10);
    assert_close!(layer.running_var.as_vec(), golden.numbers(&at("running_var")), 1e-10);
    assert_close!(layer.forward(x).as_vec(), golden.numbers(&at("y_eval")), 1e-10);
}

fn path_norms(golden: &Golden) {
    golden.skip("path_norm/note");
    let shapes = [3, 4, 2];
    let read = |block: &str| -> Vec<DMatrix<f64>> {
        let each =
            |(l, &columns): (usize, &usize)| matrix(golden, &format!("path_norm/{block}/{l}"), columns);
        shapes.iter().enumerate().map(each).collect()
    };
    let weights = read("weights");
    assert_close!(path_norm(&weights, 1.0).unwrap(), golden.number("path_norm/phi1"), 1e-12);
    assert_close!(path_norm(&weights, 2.0).unwrap(), golden.number("path_norm/phi2"), 1e-12);
    for (got, want) in path_gammas(&weights).unwrap().iter().zip(read("path_sgd_gamma_p2")) {
        assert_close!(got.as_slice().to_vec(), want.as_slice().to_vec(), 1e-12);
    }
}

type Small = (modules::Linear<3, 4, f64, Cpu, layers::modules::Tanh>, modules::Linear<4, 3, f64, Cpu>);

fn input_space(golden: &Golden) {
    let at = |key: &str| format!("input_space/{key}");
    let dev = Cpu::default();
    let mut model: Small = (BuildModule::build(&dev), BuildModule::build(&dev));
    let flat: Vec<f64> = ["W1", "b1", "W2", "b2"].iter().flat_map(|key| golden.numbers(&at(key))).collect();
    params::unflatten(&mut model, &flat).unwrap();
    let x = golden.numbers(&at("x"));
    let rows = x.len() / 3;
    let x = dev.tensor_from_vec(x, (rows, Const::<3>));
    let labels: Vec<usize> = golden.numbers(&at("labels")).into_iter().map(|label| label as usize).collect();

    let (loss, gradient) = input_gradient(&model, &x, &labels).unwrap();
    assert_close!(loss, golden.number(&at("loss")), 1e-10);
    assert_close!(gradient, golden.numbers(&at("grad_x")), 1e-9, 1e-12);
    let attacked = fgsm(&model, &x, &labels, 0.1).unwrap();
    assert_close!(attacked.as_vec(), golden.numbers(&at("fgsm_0_1")), 1e-12);
    let (attacked, _) = input_gradient(&model, &attacked, &labels).unwrap();
    assert_close!(attacked, golden.number(&at("fgsm_loss")), 1e-10);
    let settings = Pgd { epsilon: 0.1, step: 0.03, steps: 5 };
    let attacked = pgd(&model, &x, &labels, settings).unwrap();
    assert_close!(attacked.as_vec(), golden.numbers(&at("pgd_5x0_03_box0_1")), 1e-12);
    assert_close!(
        direct_sensitivity(&model, &x, &labels).unwrap(),
        golden.numbers(&at("gradient_l1_per_sample_of_own_loss")),
        1e-9
    );

    let partner: Vec<usize> = golden.numbers(&at("mixup/perm")).into_iter().map(|i| i as usize).collect();
    let dynamic: Tensor<(usize, usize), f64, Cpu> = dev.tensor_from_vec(x.as_vec(), (rows, 3));
    let share = golden.number(&at("mixup/lambda_"));
    let mixed = mixup::mix(&dynamic, &labels, 3, &partner, share).unwrap();
    let mixed_x = dev.tensor_from_vec(mixed.x.as_vec(), (rows, Const::<3>));
    let targets = dev.tensor_from_vec(mixed.targets.as_vec(), (rows, Const::<3>));
    let output = model.forward(mixed_x);
    let loss = kernels::distribution_loss_mean(output, &targets, kernels::DistributionLoss::CrossEntropy);
    assert_close!(loss.array(), golden.number(&at("mixup/loss")), 1e-10);

    let directions = dev.tensor_from_vec(golden.numbers(&at("tangents")), (rows, Const::<3>));
    let slope = model.forward(layers::Dual::new(x.clone(), directions.clone())).tangent();
    assert_close!(slope.as_vec(), golden.numbers(&at("tangent_jvp")), 1e-10);
    let penalty = tangent_penalty(&model, &x, directions.clone()).unwrap();
    assert_close!(penalty.array(), golden.number(&at("tangent_penalty")), 1e-10);
    // Its gradient by the weights, against central differences.
    layers::testing::gradient_check(&model, |model| tangent_penalty(model, &x, directions.clone()).unwrap())
        .assert(1e-7);
    let mut frobenius = vec![0.0; rows];
    for axis in 0..3 {
        let unit: Vec<f64> = (0..3 * rows).map(|i| f64::from(u8::from(i % 3 == axis))).collect();
        let unit = dev.tensor_from_vec(unit, (rows, Const::<3>));
        let slope = model.forward(layers::Dual::new(x.clone(), unit)).tangent().as_vec();
        frobenius
            .iter_mut()
            .zip(slope.chunks(3))
            .for_each(|(sum, j)| *sum += j.iter().map(|j| j * j).sum::<f64>());
    }
    assert_close!(frobenius.clone(), golden.numbers(&at("jacobian_frobenius_sq")), 1e-9);
    noise_is_tikhonov(&model, &x, &frobenius);
}

/// Bishop (1995): small input noise adds σ² |J|² to the mean squared error of the outputs around themselves.
fn noise_is_tikhonov(model: &Small, x: &Tensor<(usize, Const<3>), f64, Cpu>, frobenius: &[f64]) {
    let (sigma, draws) = (0.01, 2000);
    let clean = model.forward(x.clone()).as_vec();
    let mut sum = 0.0;
    for draw in 0..draws {
        let noisy = kernels::gaussian_noise(x.clone(), sigma, Key::new(3).fold(draw));
        let output = model.forward(noisy).as_vec();
        sum += output.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    }
    let measured = sum / draws as f64;
    let predicted = sigma * sigma * frobenius.iter().sum::<f64>();
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} against {predicted:e}");
}

/// Unit by unit with masks drawn: the mean over masks is the enumerated one, within four standard errors.
#[test]
fn drawn_masks_have_the_enumerated_mean() {
    let (u, v, m) = (normal_matrix(3, 4, 1), normal_matrix(2, 4, 2), normal_matrix(3, 2, 3));
    let keep = 0.7;
    let want = expected_loss_enumerated(&m, &u, &v, keep, None).unwrap();
    let mut rng = Key::new(4).rng();
    let losses: Vec<f64> = (0..4000)
        .map(|_| {
            let masked = DMatrix::from_fn(3, 4, |_, _| 0.0) + &u;
            let keeps: Vec<f64> =
                (0..4).map(|_| if rng.r#gen::<f64>() < keep { 1.0 / keep } else { 0.0 }).collect();
            let masked = DMatrix::from_fn(3, 4, |i, j| masked[(i, j)] * keeps[j]);
            (&m - masked * v.transpose()).norm_squared()
        })
        .collect();
    let mean = losses.iter().sum::<f64>() / 4000.0;
    let variance = losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 3999.0;
    assert!((mean - want).abs() < 4.0 * (variance / 4000.0).sqrt(), "{mean} against {want}");
}

/// No factorisation that random search with gradient descent finds beats the closed form, and the equalised one
/// attains it.
#[test]
fn the_closed_form_is_attained_and_not_beaten() {
    let m = normal_matrix(4, 3, 5);
    let (lambda, units) = (0.4, 5);
    let best = optimum(&m, lambda, units).unwrap();
    let keep = 1.0 / (1.0 + lambda);
    let objective = |u: &DMatrix<f64>, v: &DMatrix<f64>| {
        plain_loss(&m, u, v, None) + regularizer(u, v, keep, None).unwrap()
    };
    let svd = best.product.clone().svd(true, true);
    let root = DMatrix::from_diagonal(&svd.singular_values.map(f64::sqrt));
    let pad = |side: DMatrix<f64>| side.resize_horizontally(units, 0.0);
    let (u, v) = (pad(svd.u.unwrap() * &root), pad(svd.v_t.unwrap().transpose() * root));
    assert!(objective(&u, &v) > best.value + 1e-3, "the balanced start is not yet equal");
    let (u, v) = equalize(&u, &v);
    assert_close!(objective(&u, &v), best.value, 1e-9);
    assert_close!(unit_products(&u, &v), vec![best.unit_product; units], 1e-9);
    for seed in 0..5 {
        let (mut u, mut v) = (normal_matrix(4, units, 10 + seed), normal_matrix(3, units, 20 + seed));
        for _ in 0..4000 {
            let error = &u * v.transpose() - &m;
            let by = |own: &DMatrix<f64>, other: &DMatrix<f64>, data: DMatrix<f64>| {
                let mut g = data * 2.0;
                for i in 0..units {
                    let pull = 2.0 * lambda * other.column(i).norm_squared();
                    g.column_mut(i).axpy(pull, &own.column(i), 1.0);
                }
                g
            };
            let (du, dv) = (by(&u, &v, &error * &v), by(&v, &u, error.transpose() * &u));
            u -= du * 0.02;
            v -= dv * 0.02;
        }
        let found = objective(&u, &v);
        assert!(found >= best.value - 1e-9 && found < best.value + 1e-3, "{found} against {}", best.value);
    }
}

/// A product of rank 2 in which the decomposition of the whole is wrong by a thousandth.
#[test]
fn equalising_keeps_a_product_of_small_rank() {
    for (rows, columns, seed) in [(5, 4, 592), (3, 4, 41), (3, 4, 858)] {
        let (u, v) = (normal_matrix(rows, 2, seed), normal_matrix(columns, 2, seed + 5000));
        let (p, q) = equalize(&u, &v);
        assert!((&p * q.transpose() - &u * v.transpose()).amax() < 1e-12, "{rows} x {columns}, seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equalising_keeps_the_product_and_equals_the_units(
        rows in 1_usize..6, columns in 1_usize..6, units in 1_usize..7, seed in 0_u64..1000,
    ) {
        let (u, v) = (normal_matrix(rows, units, seed), normal_matrix(columns, units, seed + 5000));
        let (p, q) = equalize(&u, &v);
        let product = &u * v.transpose();
        prop_assert!((&p * q.transpose() - &product).amax() < 1e-9 * (1.0 + product.amax()));
        let products = unit_products(&p, &q);
        let nuclear = product.singular_values().sum();
        for value in products {
            prop_assert!((value - nuclear / units as f64).abs() < 1e-9 * (1.0 + nuclear));
        }
    }

    #[test]
    fn path_norm_is_a_sum_over_paths_that_rescaling_keeps(
        a in 1_usize..4, b in 1_usize..5, c in 1_usize..4, d in 1_usize..3, seed in 0_u64..1000, factor in 0.01_f64..100.0,
    ) {
        let mut weights =
            [normal_matrix(b, a, seed), normal_matrix(c, b, seed + 1), normal_matrix(d, c, seed + 2)];
        for p in [1.0, 2.0, 3.5] {
            let mut sum = 0.0;
            for i in 0..a { for j in 0..b { for k in 0..c { for l in 0..d {
                sum += (weights[0][(j, i)] * weights[1][(k, j)] * weights[2][(l, k)]).abs().powf(p);
            }}}}
            prop_assert!((path_norm(&weights, p).unwrap() / sum.powf(1.0 / p) - 1.0).abs() < 1e-10);
        }
        let before = path_norm(&weights, 2.0).unwrap();
        rescale(&mut weights, 1, 0, factor);
        rescale(&mut weights, 2, c - 1, 1.0 / factor);
        prop_assert!((path_norm(&weights, 2.0).unwrap() / before - 1.0).abs() < 1e-10);
        // Euler: phi_2² has each edge's w² gamma once per layer.
        let gammas = path_gammas(&weights).unwrap();
        for (w, gamma) in weights.iter().zip(&gammas) {
            let sum: f64 = w.iter().zip(gamma).map(|(w, g)| w * w * g).sum();
            prop_assert!((sum / before.powi(2) - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn balancing_is_the_least_square_norm(seed in 0_u64..1000, factor in 0.2_f64..5.0) {
        let mut weights = [normal_matrix(4, 3, seed), normal_matrix(2, 4, seed + 1)];
        let function = weights[1].clone() * weights[0].map(f64::abs); // not the network: any function of both
        balance(&mut weights).unwrap();
        let size = |w: &[DMatrix<f64>]| w.iter().map(|w| w.norm_squared()).sum::<f64>();
        let least = size(&weights);
        for unit in 0..4 {
            let mut other = weights.clone();
            rescale(&mut other, 1, unit, factor);
            prop_assert!(size(&other) >= least - 1e-9);
            let equal = weights[0].row(unit).norm() - weights[1].column(unit).norm();
            prop_assert!(equal.abs() < 1e-9);
        }
        prop_assert!((weights[1].clone() * weights[0].map(f64::abs) - function).amax() < 1e-9);
    }

    #[test]
    fn proximal_steps_minimise_and_do_not_expand(
        w in prop::collection::vec(-3.0_f64..3.0, 6), other in prop::collection::vec(-3.0_f64..3.0, 6),
        step in 0.0_f64..1.5, l1 in 0.0_f64..2.0, l2 in 0.0_f64..2.0,
    ) {
        for penalty in [
            Penalty::L1(l1), Penalty::L2(l2), Penalty::ElasticNet { l1, l2 },
            Penalty::GroupLasso { factor: l1, group: 4 },
        ] {
            let (mut p, mut q) = (w.clone(), other.clone());
            penalty.prox(&mut p, step).unwrap();
            penalty.prox(&mut q, step).unwrap();
            let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            prop_assert!(distance(&p, &q) <= distance(&w, &other) + 1e-12);
            let objective = |x: &[f64]| 0.5 * distance(x, &w) + step * penalty.value(x).unwrap();
            let least = objective(&p);
            for i in 0..6 {
                for move_by in [-0.01, 0.01, -1e-4, 1e-4] {
                    let mut moved = p.clone();
                    moved[i] += move_by;
                    prop_assert!(objective(&moved) >= least - 1e-12, "{penalty:?}");
                }
            }
        }
    }
}

/// L1 by its subgradient leaves small weights, by its proximal operator it leaves none; the closed form says which.
#[test]
fn only_the_proximal_step_gives_zeros() {
    let (h, w_star) = ([1.0, 2.0, 0.5, 4.0], [1.0, -0.1, 0.3, 0.02]);
    let (alpha, step) = (0.2, 0.1);
    let (mut soft, mut sub) = ([0.5; 4], [0.5; 4]);
    for _ in 0..2000 {
        let mut slope = [0.0; 4];
        (0..4).for_each(|i| slope[i] = h[i] * (sub[i] - w_star[i]));
        Penalty::L1(alpha).add_gradient(&sub.clone(), &mut slope).unwrap();
        (0..4).for_each(|i| sub[i] -= step * slope[i]);
        (0..4).for_each(|i| soft[i] -= step * h[i] * (soft[i] - w_star[i]));
        Penalty::L1(alpha).prox(&mut soft, step).unwrap();
    }
    let want: Vec<f64> =
        h.iter().zip(w_star).map(|(h, w): (&f64, f64)| w.signum() * (w.abs() - alpha / h).max(0.0)).collect();
    assert_close!(soft.to_vec(), want, 1e-12, 1e-12);
    assert_eq!(soft.iter().filter(|w| **w == 0.0).count(), 3);
    assert!(sub.iter().all(|w| *w != 0.0), "{sub:?}");
}

/// Without momentum an L2 term and a decay of the weights are the same run; with momentum they are not.
#[test]
fn decay_is_an_l2_penalty_only_without_momentum() {
    let run = |momentum: f64, decay: bool| {
        let (mut w, mut velocity, rate, lambda) = (1.0_f64, 0.0, 0.1, 0.3);
        for _ in 0..50 {
            let slope = 2.0 * (w - 3.0) + if decay { 0.0 } else { lambda * w };
            velocity = momentum * velocity + slope;
            w = w * if decay { 1.0 - rate * lambda } else { 1.0 } - rate * velocity;
        }
        w
    };
    assert_close!(run(0.0, false), run(0.0, true), 1e-12);
    assert!((run(0.9, false) - run(0.9, true)).abs() > 1e-3);
}

/// Dropping inputs of a linear model, all masks enumerated: its minimiser is the ridge solution.
#[test]
fn dropout_on_inputs_is_ridge() {
    let (x, y) = (normal_matrix(12, 3, 7), normal_matrix(12, 1, 8).column(0).clone_owned());
    let keep = 0.6;
    let w = linear_regression_with_dropout(&x, &y, keep).unwrap();
    let expected = |w: &DVector<f64>| {
        let mut sum = 0.0;
        for mask in 0_u32..8 {
            let kept = mask.count_ones() as i32;
            let masked = DVector::from_fn(3, |i, _| if mask >> i & 1 == 1 { w[i] / keep } else { 0.0 });
            sum += keep.powi(kept) * (1.0_f64 - keep).powi(3 - kept) * (&y - &x * masked).norm_squared();
        }
        sum
    };
    let least = expected(&w);
    for i in 0..3 {
        let h = 1e-4;
        let moved = |by: f64| expected(&(&w + DVector::from_fn(3, |j, _| if i == j { by } else { 0.0 })));
        assert!(((moved(h) - moved(-h)) / (2.0 * h)).abs() < 1e-6 * least.max(1.0));
        assert!(moved(0.1) > least && moved(-0.1) > least);
    }
    let ridge = linear_regression_with_dropout(&x, &y, 1.0).unwrap();
    assert_close!((x.transpose() * (&y - &x * ridge)).as_slice().to_vec(), vec![0.0; 3], 0.0, 1e-10);
}

/// Path-SGD from two writings of the same function stays the same function; plain descent does not.
#[test]
fn path_descent_does_not_see_scales() {
    type Net = (UnbiasedLinear<5, 6>, layers::modules::Relu, UnbiasedLinear<6, 2>);
    let dev = Cpu::default();
    let mut one = dev.build_module::<Net, f64>();
    layers::init::normal(&mut one, |_| 0.6, Key::new(1)).unwrap();
    let mut other = one.clone();
    let mut flat = params::flatten(&other);
    for unit in 0..6 {
        let factor = [0.1, 10.0, 3.0, 0.5, 1.0, 20.0][unit];
        flat[unit * 5..(unit + 1) * 5].iter_mut().for_each(|w| *w *= factor);
        (0..2).for_each(|row| flat[30 + row * 6 + unit] /= factor);
    }
    params::unflatten(&mut other, &flat).unwrap();
    let x: Tensor<Rank2<9, 5>, f64, _> = Key::new(2).normal(&dev, Rank2::<9, 5>::default());
    let labels = [0, 1, 0, 1, 1, 0, 1, 0, 0];
    let run = |from: &<Net as BuildOnDevice<Cpu, f64>>::Built, step: &mut dyn Step<_, f64, Cpu>| {
        let mut net = from.clone();
        for _ in 0..30 {
            let loss = layers::losses::cross_entropy_mean(net.forward(x.leaky_trace()), &labels);
            step.step(&mut net, &mut loss.backward()).unwrap();
        }
        net.forward(x.clone()).as_vec()
    };
    let path = |net| PathSgd::try_new(net, 0.05).unwrap();
    let sgd = |net| {
        let config = layers::SgdConfig { learning_rate: 0.02, ..Default::default() };
        layers::Sgd::try_new(net, config).unwrap()
    };
    let start = one.forward(x.clone()).as_vec();
    let (a, b) = (run(&one, &mut path(&one)), run(&other, &mut path(&other)));
    assert_close!(a.clone(), b, 1e-10, 1e-12);
    assert!(a.iter().zip(&start).any(|(a, b)| (a - b).abs() > 1e-2), "it did not move");
    let (a, b) = (run(&one, &mut sgd(&one)), run(&other, &mut sgd(&other)));
    assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-3), "plain descent should see scales");
}

/// The gradient through all updates against central differences of the whole run.
#[test]
fn unrolled_gradient_is_the_derivative_of_the_run() {
    type Net = (layers::builders::Linear<4, 3, layers::modules::Tanh>, layers::builders::Linear<3, 2>);
    let dev = Cpu::default();
    let mut net = dev.build_module::<Net, f64>();
    layers::init::normal(&mut net, |_| 0.7, Key::new(5)).unwrap();
    let mut x = vec![0.0; 6 * 4];
    Key::new(6).fill_normal(&mut x);
    let labels = [0, 1, 1, 0, 1, 0];
    let batches = [vec![0, 1, 2], vec![3, 4, 5], vec![0, 3, 4], vec![1, 2, 5]];
    let run = Run::<4> { x: &x, labels: &labels, batches: &batches, learning_rate: 0.5 };
    let got = unrolled_sensitivity(&net, run, &[4]).unwrap();
    // By hand: train with one input moved, evaluate the mean loss on the inputs as they were.
    let loss_after = |moved: &[f64]| {
        let mut model = net.clone();
        let tensor = |x: &[f64], rows: &[usize]| {
            let values = rows.iter().flat_map(|&r| &x[4 * r..4 * r + 4]).copied().collect();
            dev.tensor_from_vec(values, (rows.len(), Const::<4>))
        };
        let pick = |rows: &[usize]| rows.iter().map(|&r| labels[r]).collect::<Vec<_>>();
        let config = layers::SgdConfig { learning_rate: 0.5, ..Default::default() };
        let mut sgd = layers::Sgd::try_new(&model, config).unwrap();
        for rows in &batches {
            let output = model.forward(tensor(moved, rows).leaky_trace());
            let loss = layers::losses::cross_entropy_mean(output, &pick(rows));
            sgd.step(&mut model, &mut loss.backward()).unwrap();
        }
        let all = [0, 1, 2, 3, 4, 5];
        layers::losses::cross_entropy_mean(model.forward(tensor(&x, &all)), &labels).array()
    };
    for (sample, got) in got.iter().enumerate() {
        let by_trying: f64 = (0..4)
            .map(|i| {
                let h = 1e-5;
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x[4 * sample + i] += by;
                    loss_after(&x)
                };
                ((moved(h) - moved(-h)) / (2.0 * h)).abs()
            })
            .sum();
        assert_close!(*got, by_trying, 1e-6, 1e-9, "sample {sample}");
    }
}

/// For a linear classifier of two classes the distance to the boundary is known: |w·x + b| / |w|₁. LASS finds exactly
/// the samples that are closer than the box.
#[test]
fn critical_samples_of_a_linear_classifier() {
    let dev = Cpu::default();
    let mut net = Chain::<f32, Cpu>::new(&dev, &[3, 2], kernels::Identity, |_, _| 0.0, Key::new(0)).unwrap();
    net.layers[0].weight = dev.tensor_from_vec(vec![1.0, -2.0, 0.5, 0.0, 0.0, 0.0], (2, 3));
    let x: Tensor<(usize, usize), f32, Cpu> = Key::new(1).normal(&dev, (200, 3));
    let distance = |p: &[f32]| (p[0] - 2.0 * p[1] + 0.5 * p[2]).abs() / 3.5;
    let mut last = 0.0;
    for radius in [0.05, 0.2, 0.5, 1.0] {
        let lass = Lass { radius, alpha: radius / 2.0, beta: 0.0, iterations: 10 };
        let got = critical_sample_ratio(&net, &x, lass, Key::new(2)).unwrap();
        let want = x.as_vec().chunks(3).filter(|p| distance(p) < radius as f32).count() as f64 / 200.0;
        assert_close!(got, want, 1e-12);
        assert!(got >= last && want > 0.0);
        last = got;
    }
}

/// A chain learns, its gradient is that of the loss, and a saved optimiser goes on with the same bits.
#[test]
fn chain_gradient_and_state() {
    let dev = Cpu::default();
    let net = Chain::<f64, Cpu>::new(&dev, &[3, 5, 4, 2], kernels::Tanh, he, Key::new(3)).unwrap();
    assert_eq!(net.parameters(), 3 * 5 + 5 + 5 * 4 + 4 + 4 * 2 + 2);
    let x: Tensor<(usize, usize), f64, Cpu> = Key::new(4).normal(&dev, (6, 3));
    let labels = [0, 1, 1, 0, 1, 0];
    let loss = |net: &Chain<f64, Cpu>| kernels::cross_entropy_mean(net.forward(x.leaky_trace()), &labels);
    let gradients = loss(&net).backward();
    for l in 0..3 {
        let analytic = gradients.get(&net.layers[l].weight).as_vec();
        for (i, analytic) in analytic.into_iter().enumerate() {
            let at = |h: f64| {
                let mut net = net.clone();
                kernels::flat_mut(&mut net.layers[l].weight)[i] += h;
                loss(&net).array()
            };
            assert_close!(analytic, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6, 1e-9, "layer {l}, weight {i}");
        }
    }
    let config = layers::SgdConfig {
        learning_rate: 0.1,
        momentum: layers::Momentum::HeavyBall(0.9),
        ..Default::default()
    };
    let (mut a, mut sgd) = (net.clone(), ChainSgd::try_new(&net, config).unwrap());
    let mut gradients = loss(&a).backward();
    sgd.step(&mut a, &mut gradients).unwrap();
    let (mut b, mut resumed) = (a.clone(), ChainSgd::try_new(&a, config).unwrap());
    type Dyn = dyn Step<Chain<f64, Cpu>, f64, Cpu>;
    let state = |sgd: &Dyn| sgd.state().unwrap();
    let load = |sgd: &mut Dyn, state: &layers::StepState| sgd.load_state(state);
    load(&mut resumed, &state(&sgd)).unwrap();
    for _ in 0..3 {
        let (mut for_a, mut for_b) = (loss(&a).backward(), loss(&b).backward());
        sgd.step(&mut a, &mut for_a).unwrap();
        resumed.step(&mut b, &mut for_b).unwrap();
    }
    assert_eq!(a.forward(x.clone()).as_vec(), b.forward(x.clone()).as_vec());
    let other = layers::StepState { rule: "adam".into(), ..state(&sgd) };
    assert!(load(&mut resumed, &other).is_err());
}

#[test]
fn images_are_moved_as_asked() {
    let mut image = vec![0.0_f32; 25];
    (image[12], image[13]) = (1.0, 0.5); // the middle and its right neighbour
    let mut rng = Key::new(1).rng();
    for _ in 0..20 {
        let moved = Shift { max: 2 }.apply(&image, (5, 5), &mut rng);
        let at = moved.iter().position(|&p| p == 1.0).unwrap();
        assert!(at / 5 <= 4 && moved.iter().sum::<f32>() <= 1.5);
        let (down, right) = ((at / 5) as isize - 2, (at % 5) as isize - 2);
        if right < 2 {
            assert_eq!(moved[((2 + down) * 5 + 3 + right) as usize], 0.5);
        }
    }
    let turned = Rotate { max_degrees: 0.0 }.apply(&image, (5, 5), &mut rng);
    assert_close!(turned, image.clone(), 1e-6, 1e-6);
    let still = Elastic { alpha: 0.0, sigma: 1.0 }.apply(&image, (5, 5), &mut rng);
    assert_close!(still, image.clone(), 1e-6, 1e-6);
    let smooth = Elastic { alpha: 2.0, sigma: 1.0 }.apply(&vec![1.0; 100], (10, 10), &mut rng);
    assert!(smooth[33..37].iter().all(|&p| (p - 1.0).abs() < 1e-5), "the inside of a plain image stays");
    let cut = Cutout { side: 2 }.apply(&[1.0; 25], (5, 5), &mut rng);
    let blank = cut.iter().filter(|&&p| p == 0.0).count();
    assert!((1..=4).contains(&blank), "{blank} pixels");
}

#[test]
fn means_of_models() {
    // Errors with variance 1 and covariance 0.3, as a common part and own parts.
    let mut rng = Key::new(9).rng();
    let (k, draws) = (4, 20_000);
    let squares: f64 = (0..draws)
        .map(|_| {
            let common = 0.3_f64.sqrt() * rng.sample::<f64, _>(StandardNormal);
            let own = |_| common + 0.7_f64.sqrt() * rng.sample::<f64, _>(StandardNormal);
            ((0..k).map(own).sum::<f64>() / k as f64).powi(2)
        })
        .sum();
    let want = ensemble::variance_of_mean(k, 1.0, 0.3).unwrap();
    let error = want * (2.0 / draws as f64).sqrt();
    assert!((squares / draws as f64 - want).abs() < 4.0 * error);
    // Measured moments: the mean of all models is an identity, that of three of six holds on average over all twenty choices.
    let errors: Vec<Vec<f64>> =
        (0..6).map(|_| (0..50).map(|_| 0.4 + rng.sample::<f64, _>(StandardNormal)).collect()).collect();
    let moments = ErrorMoments::of(&errors).unwrap();
    let square_of_mean = |which: &[usize]| {
        let at = |i: usize| which.iter().map(|&model| errors[model][i]).sum::<f64>() / which.len() as f64;
        (0..50).map(|i| at(i).powi(2)).sum::<f64>() / 50.0
    };
    assert_close!(moments.of_mean(6).unwrap(), square_of_mean(&[0, 1, 2, 3, 4, 5]), 1e-13);
    let threes = (0..6).flat_map(|a| (0..a).flat_map(move |b| (0..b).map(move |c| [a, b, c])));
    let squares: Vec<f64> = threes.map(|which| square_of_mean(&which)).collect();
    assert_eq!(squares.len(), 20);
    assert_close!(moments.of_mean(3).unwrap(), squares.iter().sum::<f64>() / 20.0, 1e-13);
    let equal = ErrorMoments::of(&vec![errors[0].clone(); 3]).unwrap();
    assert_close!(equal.of_mean(1000).unwrap(), equal.variance, 1e-13); // equal models: nothing is gained
    let chosen = ensemble::bootstrap(10_000, &mut rng);
    let mut distinct = chosen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!((distinct.len() as f64 / 1e4 - (1.0 - (-1.0_f64).exp())).abs() < 0.02);
    let (mean, deviation) = monte_carlo(400, |_| vec![2.0, rng.sample(StandardNormal)]).unwrap();
    assert_eq!((mean[0], deviation[0]), (2.0, 0.0));
    assert!((deviation[1] - 1.0).abs() < 4.0 / (800.0_f64).sqrt());
}

#[test]
fn bad_values_are_refused() {
    let m = dmatrix![1.0, 0.0; 0.0, 2.0];
    let hyper = |error: Error| matches!(error, Error::InvalidHyper { .. });
    assert!(hyper(regularizer(&m, &m, 0.0, None).unwrap_err()));
    assert!(hyper(regularizer(&m, &m, f64::NAN, None).unwrap_err()));
    let wide = DMatrix::<f64>::zeros(2, 17);
    assert!(hyper(expected_loss_enumerated(&m, &wide, &wide, 0.5, None).unwrap_err()));
    assert!(hyper(optimum(&m, -1.0, 2).unwrap_err()));
    assert!(hyper(optimum(&m, 1.0, 0).unwrap_err()));
    assert!(matches!(tied_optimum(&dmatrix![1.0, 2.0; 0.0, 1.0], 1.0, 2), Err(Error::NotPositive { .. })));
    assert!(matches!(tied_optimum(&dmatrix![-1.0], 1.0, 2), Err(Error::NotPositive { .. })));
    assert!(matches!(path_norm(&[], 2.0), Err(Error::Empty { .. })));
    assert!(hyper(path_norm(std::slice::from_ref(&m), 0.5).unwrap_err()));
    let chain = path_norm(&[m.clone(), DMatrix::zeros(2, 3)], 2.0);
    assert!(matches!(chain, Err(Error::NotAChain { layer: 1, outputs: 2, inputs: 3 })));
    assert!(hyper(Penalty::L1(-1.0).value(&[1.0]).unwrap_err()));
    assert!(hyper(Penalty::GroupLasso { factor: 1.0, group: 0 }.value(&[1.0]).unwrap_err()));
    assert!(hyper(Penalty::L2(1.0).prox(&mut [1.0], f64::NAN).unwrap_err()));
    assert!(hyper(EarlyStopping::try_new(Better::Lower, 0, 0.0).unwrap_err()));
    assert!(hyper(mixup::share(0.0, &mut Key::new(0).rng()).unwrap_err()));
    assert!(hyper(ensemble::variance_of_mean(0, 1.0, 0.0).unwrap_err()));
    assert!(hyper(ErrorMoments::of(&[vec![1.0]]).unwrap_err()));
    assert!(matches!(ErrorMoments::of(&[vec![], vec![]]), Err(Error::Empty { .. })));
    let ragged = ErrorMoments::of(&[vec![1.0], vec![1.0, 2.0]]);
    assert!(matches!(ragged, Err(Error::Dimension { got: 2, want: 1, .. })));
    assert!(hyper(monte_carlo(1, |_| vec![]).unwrap_err()));
    let dev = Cpu::default();
    assert!(matches!(
        Chain::<f32, Cpu>::new(&dev, &[3], kernels::Relu, he, Key::new(0)),
        Err(Error::Empty { .. })
    ));
    assert!(hyper(Chain::<f32, Cpu>::new(&dev, &[3, 0], kernels::Relu, he, Key::new(0)).unwrap_err()));
    let x: Tensor<(usize, usize), f64, Cpu> = dev.tensor_from_vec(vec![0.0; 4], (2, 2));
    assert!(matches!(mixup::mix(&x, &[0, 5], 2, &[1, 0], 0.5), Err(Error::LabelOutOfRange { index: 1, .. })));
    assert!(matches!(mixup::mix(&x, &[0], 2, &[1, 0], 0.5), Err(Error::LengthMismatch { .. })));
    let mut stopping = EarlyStopping::try_new(Better::Higher, 3, 0.01).unwrap();
    let _ = [0.5, f64::NAN, 0.505, 0.52].map(|value| stopping.observe(value));
    assert_eq!((stopping.best_epoch(), stopping.best()), (Some(4), Some(0.52)));
}

/// Weight noise: the mean squared change of the outputs is σ² times the squared derivative by the weights, within a tenth;
/// and the gradient of the noisy copy makes a step of the model, because the ids are the same.
#[test]
fn noise_on_weights_is_a_penalty_on_their_gradient() {
    let dev = Cpu::default();
    let mut model: Small = (BuildModule::build(&dev), BuildModule::build(&dev));
    model.reset_params();
    let x: Tensor<(usize, Const<3>), f64, Cpu> = Key::new(31).normal(&dev, (4, Const::<3>));
    let clean = model.forward(x.clone()).as_vec();
    let mut squares = 0.0;
    for output in 0..clean.len() {
        let mut one = vec![0.0; clean.len()];
        one[output] = 1.0;
        let one = dev.tensor_from_vec(one, (4, Const::<3>));
        let mut gradients = (model.forward(x.leaky_trace()) * one).sum::<Rank0, _>().backward();
        let gradient = params::flatten_gradients(&model, &mut gradients).unwrap();
        squares += gradient.iter().map(|g| g * g).sum::<f64>();
    }
    let (sigma, draws) = (0.01, 1500);
    let measured = (0..draws)
        .map(|draw| {
            let noisy = with_noisy_weights(&model, sigma, Key::new(32).fold(draw)).unwrap();
            let output = noisy.forward(x.clone()).as_vec();
            output.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
        })
        .sum::<f64>()
        / draws as f64;
    let predicted = sigma * sigma * squares;
    assert!((measured / predicted - 1.0).abs() < 0.1, "{measured:e} against {predicted:e}");
    assert_eq!(model.forward(x.clone()).as_vec(), clean, "the model itself is untouched");

    let noisy = with_noisy_weights(&model, 0.1, Key::new(33)).unwrap();
    let loss = |model: &Small| model.forward(x.leaky_trace()).square().mean::<Rank0, _>();
    let got = params::flatten_gradients(&model, &mut loss(&noisy).backward()).unwrap();
    let want = params::flatten_gradients(&noisy, &mut loss(&noisy).backward()).unwrap();
    assert_eq!(got, want);
    assert!(want.iter().any(|g| *g != 0.0));
    let refused = with_noisy_weights(&model, f64::NAN, Key::new(0));
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "deviation", .. })));
}

/// The mean of the loss over disturbed labels *is* label smoothing: labels enter cross-entropy linearly. And drawn labels
/// have the frequencies that this uses.
#[test]
fn noise_on_labels_is_label_smoothing() {
    let dev = Cpu::default();
    let (classes, share) = (4, 0.3);
    let logits: Tensor<(usize, Const<4>), f64, Cpu> = Key::new(41).normal(&dev, (1, Const::<4>));
    let of = |label: usize| kernels::cross_entropy_mean(logits.clone(), &[label]).array();
    let mean = (0..classes)
        .map(|label| (share / classes as f64 + if label == 2 { 1.0 - share } else { 0.0 }) * of(label))
        .sum::<f64>();
    let smoothed = kernels::ClassLoss::CrossEntropy { label_smoothing: share };
    let smoothed = kernels::class_loss_mean(logits.clone(), &[2], smoothed, kernels::Classes::default());
    assert_close!(mean, smoothed.array(), 1e-12);
    let drawn = disturb_labels(&vec![2; 8000], classes, share, &mut Key::new(42).rng()).unwrap();
    for (label, want) in [(0, 0.075), (2, 0.775)] {
        let got = drawn.iter().filter(|&&l| l == label).count() as f64 / 8000.0;
        assert!((got - want).abs() < 4.0 * (want * (1.0 - want) / 8000.0_f64).sqrt(), "{label}: {got}");
    }
    assert_eq!(disturb_labels(&[1, 0], 2, 0.0, &mut Key::new(0).rng()).unwrap(), [1, 0]);
    let refused = disturb_labels(&[0], 2, 1.5, &mut Key::new(0).rng());
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "share", .. })));
    assert!(matches!(disturb_labels(&[0], 0, 0.1, &mut Key::new(0).rng()), Err(Error::Empty { .. })));
}

/// Only rows that are too long are shortened, to the limit and in their direction; again changes nothing.
#[test]
fn max_norm_shortens_long_rows_only() {
    let mut w = [3.0, 4.0, 0.3, 0.4, 0.0, 0.0, -6.0, 8.0];
    assert_eq!(max_norm(&mut w, 2, 1.0).unwrap(), 2);
    assert_close!(w, [0.6, 0.8, 0.3, 0.4, 0.0, 0.0, -0.6, 0.8], 1e-15);
    let before = w;
    assert!(max_norm(&mut w, 2, 1.0 + 1e-12).unwrap() == 0 && w == before);
    assert!(matches!(max_norm(&mut w, 2, 0.0), Err(Error::InvalidHyper { name: "limit", .. })));
    assert!(matches!(max_norm(&mut w, 0, 1.0), Err(Error::InvalidHyper { name: "width", .. })));
}

/// Before a batch norm the length of a unit's weights means nothing: the output stays under rescaling, the gradient is
/// orthogonal to the weights, and shrinks as they grow (an effective learning rate ∝ 1/|w|²).
#[test]
fn batch_norm_does_not_see_the_length_of_weights() {
    let dev = Cpu::seed_from_u64(3);
    type Net = (modules::Linear<5, 4, f64, Cpu>, modules::BatchNorm1D<4, f64, Cpu, layers::modules::Tanh>);
    let mut net: Net = (BuildModule::build(&dev), BuildModule::build(&dev));
    net.1.epsilon = 0.0;
    let x: Tensor<(usize, Const<5>), f64, Cpu> = Key::new(51).normal(&dev, (16, Const::<5>));
    let target: Tensor<(usize, Const<4>), f64, Cpu> = Key::new(52).normal(&dev, (16, Const::<4>));
    let run = |net: &Net| {
        let mut net = net.clone();
        let y = net.forward_mut(x.leaky_trace());
        let values = y.as_vec();
        let gradients = ((y - target.clone()).square()).mean::<Rank0, _>().backward();
        (values, gradients.get(&net.0.weight).as_vec(), gradients.get(&net.0.bias).as_vec())
    };
    let (y, gradient, by_bias) = run(&net);
    let w = net.0.weight.as_vec();
    for (w, g) in w.chunks(5).zip(gradient.chunks(5)) {
        let (dot, size): (f64, f64) =
            (w.iter().zip(g).map(|(w, g)| w * g).sum(), g.iter().map(|g| g * g).sum::<f64>().sqrt());
        assert!(size > 1e-3 && dot.abs() < 1e-12, "{dot:e}");
    }
    assert!(by_bias.iter().all(|g| g.abs() < 1e-12), "a bias before batch norm has no effect: {by_bias:?}");
    kernels::flat_mut(&mut net.0.weight).iter_mut().for_each(|w| *w *= 10.0);
    let (scaled_y, scaled_gradient, _) = run(&net);
    assert_close!(scaled_y, y, 1e-10, 1e-12);
    assert_close!(scaled_gradient, gradient.iter().map(|g| g / 10.0).collect::<Vec<_>>(), 1e-9, 1e-13);
}

/// An equal value is no improvement, so that a metric that stands still runs out of patience.
#[test]
fn standing_still_is_not_getting_better() {
    use optim::regularize::early_stop::Verdict;
    let mut stopping = EarlyStopping::try_new(Better::Lower, 2, 0.0).unwrap();
    let verdicts = [1.0, 1.0, 1.0].map(|value| stopping.observe(value));
    assert_eq!(verdicts, [Verdict::Best, Verdict::Continue, Verdict::Stop]);
    assert_eq!(stopping.best_epoch(), Some(1));
}

/// Beta(α, α) has the mean ½ and the variance 1/(4 (2α + 1)).
#[test]
fn mixing_shares_have_the_moments_of_their_distribution() {
    let mut rng = Key::new(61).rng();
    for alpha in [0.4, 2.0] {
        let n = 4000;
        let shares: Vec<f64> = (0..n).map(|_| mixup::share(alpha, &mut rng).unwrap()).collect();
        let mean = shares.iter().sum::<f64>() / f64::from(n);
        let want = 0.25 / (2.0 * alpha + 1.0);
        assert!((mean - 0.5).abs() < 4.0 * (want / f64::from(n)).sqrt(), "{alpha}: {mean}");
        let variance = shares.iter().map(|s| (s - 0.5).powi(2)).sum::<f64>() / f64::from(n);
        assert!((variance / want - 1.0).abs() < 0.1, "{alpha}: {variance} against {want}");
    }
}

/// One step is w − η (g + λ w): a decay of λ takes away η λ w more than none, for every weight and bias.
#[test]
fn the_decay_of_a_chain_shrinks_its_weights() {
    let dev = Cpu::default();
    let mut net = Chain::<f64, Cpu>::new(&dev, &[3, 4, 2], kernels::Tanh, he, Key::new(71)).unwrap();
    for layer in &mut net.layers {
        Key::new(72).fill_normal(kernels::flat_mut(&mut layer.bias));
    }
    let x: Tensor<(usize, usize), f64, Cpu> = Key::new(73).normal(&dev, (5, 3));
    let after = |weight_decay: f64| {
        let config = layers::SgdConfig { learning_rate: 0.3, weight_decay, ..Default::default() };
        let mut stepped = net.clone();
        let mut sgd = ChainSgd::try_new(&net, config).unwrap();
        let loss = kernels::cross_entropy_mean(stepped.forward(x.leaky_trace()), &[0, 1, 1, 0, 0]);
        sgd.step(&mut stepped, &mut loss.backward()).unwrap();
        stepped.layers.iter().flat_map(|l| [l.weight.as_vec(), l.bias.as_vec()].concat()).collect::<Vec<_>>()
    };
    let start = net.layers.iter().flat_map(|l| [l.weight.as_vec(), l.bias.as_vec()].concat());
    let less: Vec<f64> = after(0.0).iter().zip(after(0.2)).map(|(a, b)| a - b).collect();
    assert_close!(less, start.map(|w| 0.3 * 0.2 * w).collect::<Vec<_>>(), 1e-12, 1e-15);
}
