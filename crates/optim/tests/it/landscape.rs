//! The spherical spin glass and its complexity: values from `golden/landscape.json`, laws, and minima that can be computed.
use layers::{assert_close, testing::Golden};
use nalgebra::DMatrix;
use optim::Error;
use optim::landscape::complexity::Complexity;
use optim::landscape::spin_glass::{DescendConfig, Hamiltonian};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, SeedableRng, rngs::StdRng};

fn golden() -> Golden {
    Golden::open(format!("{}/tests/golden/landscape.json", env!("CARGO_MANIFEST_DIR")))
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn energies_and_complexities_are_those_of_scipy() {
    let golden = golden();
    golden.skip("source");
    golden.skip("note");
    let w = golden.numbers("w");
    let three = Hamiltonian::<3>::from_couplings(5, golden.numbers("J3")).unwrap();
    let (energy, gradient) = three.evaluate(&w);
    assert_close!(vec![energy], vec![golden.number("H3")], 1e-12);
    assert_close!(gradient, golden.numbers("H3_gradient"), 1e-12);
    assert_close!(three.riemannian_gradient(&w), golden.numbers("H3_riemannian_gradient"), 1e-12);
    let two = Hamiltonian::<2>::from_couplings(5, golden.numbers("J2")).unwrap();
    assert_close!(vec![two.evaluate(&w).0], vec![golden.number("H2")], 1e-12);
    // The critical values of a quadratic form on the sphere are its eigenvalues times √Λ: descent finds the lowest.
    let lowest = golden.numbers("H2_critical_values")[0];
    let found = two.descend(&w, DescendConfig::default()).unwrap();
    assert_close!(vec![5.0 * found.energy_per_spin], vec![lowest], 1e-12);

    for layers in golden.keys("complexity") {
        let at = |key: &str| format!("complexity/{layers}/{key}");
        let complexity = Complexity::try_new(layers.parse().unwrap()).unwrap();
        assert_close!(vec![complexity.e_inf()], vec![golden.number(&at("E_inf"))], 1e-13);
        for k in golden.keys(&at("E_k")) {
            let want = golden.number(&at(&format!("E_k/{k}")));
            assert_close!(vec![complexity.e_k(k.parse().unwrap())], vec![want], 1e-11);
        }
        let u = golden.numbers(&at("u"));
        let of = |f: &dyn Fn(f64) -> f64| u.iter().map(|&u| f(u)).collect::<Vec<_>>();
        assert_close!(of(&|u| complexity.theta(u)), golden.numbers(&at("theta")), 1e-9, 1e-12, "Θ");
        assert_close!(of(&|u| complexity.theta_k(0, u)), golden.numbers(&at("theta_0")), 1e-9, 1e-12, "Θ₀");
        assert_close!(of(&|u| complexity.theta_k(1, u)), golden.numbers(&at("theta_1")), 1e-9, 1e-12, "Θ₁");
        assert_close!(vec![complexity.rate(-2.0)], vec![golden.number(&at("rate_I_at_minus_2"))], 1e-12);
        // And by Simpson's rule on the integral, with z = E∞ + s² so that the root is smooth.
        let edge = complexity.e_inf();
        let (n, end) = (2000, (2.0 - edge).sqrt());
        let f = |s: f64| 2.0 * s * s * (s * s + 2.0 * edge).sqrt();
        let weight = |i: usize| if i == 0 || i == n { 1.0 } else { [2.0, 4.0][i % 2] };
        let sum: f64 = (0..=n).map(|i| weight(i) * f(end * i as f64 / n as f64)).sum();
        let integral = 2.0 / (edge * edge) * sum * end / (3.0 * n as f64);
        assert_close!(vec![complexity.rate(-2.0)], vec![integral], 1e-9);
        golden.number(&at("rate_I_at_minus_2_by_quadrature"));
    }
    golden.finish();
}

/// Θ and Θ_k have no jump at −E∞, Θ_k falls with the index, and the E_k fall towards E∞.
#[test]
fn complexities_are_continuous_and_ordered() {
    for layers in [3, 4, 7, 20] {
        let complexity = Complexity::try_new(layers).unwrap();
        let edge = -complexity.e_inf();
        assert!((complexity.theta(edge - 1e-12) - complexity.theta(edge + 1e-12)).abs() < 1e-9);
        assert!((complexity.theta_k(2, edge - 1e-12) - complexity.theta_k(2, edge + 1e-12)).abs() < 1e-9);
        for k in 0..6 {
            assert!(complexity.theta_k(k, edge - 0.1) > complexity.theta_k(k + 1, edge - 0.1));
            assert!(complexity.e_k(k) > complexity.e_k(k + 1) && complexity.e_k(k + 1) > complexity.e_inf());
            assert!(complexity.theta_k(k, -complexity.e_k(k)).abs() < 1e-12);
        }
    }
    assert!(matches!(Complexity::try_new(2), Err(Error::InvalidHyper { name: "layers", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(8), ..ProptestConfig::default() })]

    /// The polynomial has degree H, its gradient satisfies Euler's identity and is the difference quotient, and the
    /// gradient along the sphere is orthogonal to the point.
    #[test]
    fn laws_of_the_polynomial(seed: u64, factor in 0.3..3.0_f64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let glass = Hamiltonian::<4>::sample(5, &mut rng).unwrap();
        let w = glass.start(&mut rng);
        prop_assert!((w.iter().map(|w| w * w).sum::<f64>() - 5.0).abs() < 1e-12);
        let (energy, gradient) = glass.evaluate(&w);
        let scaled: Vec<f64> = w.iter().map(|w| w * factor).collect();
        prop_assert!((glass.evaluate(&scaled).0 - factor.powi(4) * energy).abs() < 1e-10 * (1.0 + energy.abs()) * 81.0);
        let radial: f64 = w.iter().zip(&gradient).map(|(w, g)| w * g).sum();
        prop_assert!((radial - 4.0 * energy).abs() < 1e-10, "{radial} and {energy}");
        let tangent = glass.riemannian_gradient(&w);
        prop_assert!(w.iter().zip(&tangent).map(|(w, g)| w * g).sum::<f64>().abs() < 1e-10);
        for i in 0..5 {
            let moved = |by: f64| {
                let mut w = w.clone();
                w[i] += by;
                glass.evaluate(&w).0
            };
            let quotient = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            prop_assert!((quotient - gradient[i]).abs() < 1e-6 * (1.0 + quotient.abs()));
        }
    }

    /// Against the sum as it is written, H nested loops over couplings that are not symmetric.
    #[test]
    fn the_contraction_is_the_nested_sum(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let couplings: Vec<f64> = (0..27).map(|_| rng.gen_range(-1.0..1.0)).collect();
        let w: Vec<f64> = (0..3).map(|_| rng.gen_range(-1.0..1.0)).collect();
        let mut sum = 0.0;
        for i in 0..3 {
            for j in 0..3 {
                for k in 0..3 {
                    sum += couplings[9 * i + 3 * j + k] * w[i] * w[j] * w[k];
                }
            }
        }
        let glass = Hamiltonian::<3>::from_couplings(3, couplings).unwrap();
        prop_assert!((glass.evaluate(&w).0 - sum / 3.0).abs() < 1e-14);
    }

    /// Second derivatives along the sphere are those of the energy along great circles.
    #[test]
    fn curvature_is_that_of_great_circles(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let glass = Hamiltonian::<3>::sample(6, &mut rng).unwrap();
        let w = glass.start(&mut rng);
        let along = glass.start(&mut rng);
        let radial: f64 = w.iter().zip(&along).map(|(a, b)| a * b).sum::<f64>() / 6.0;
        let tangent: Vec<f64> = along.iter().zip(&w).map(|(v, w)| v - radial * w).collect();
        let length = tangent.iter().map(|v| v * v).sum::<f64>().sqrt();
        let unit: Vec<f64> = tangent.iter().map(|v| v / length).collect();
        let at = |t: f64| {
            let (sine, cosine) = (t / 6_f64.sqrt()).sin_cos(); // arc length t on a sphere of radius √6
            let point: Vec<f64> = w.iter().zip(&unit).map(|(w, v)| cosine * w + sine * 6_f64.sqrt() * v).collect();
            glass.evaluate(&point).0
        };
        let quotient = (at(1e-3) - 2.0 * at(0.0) + at(-1e-3)) / 1e-6;
        let unit = nalgebra::DVector::from_vec(unit);
        let curvature = (glass.riemannian_hessian(&w) * &unit).dot(&unit);
        prop_assert!((quotient - curvature).abs() < 1e-4 * (1.0 + curvature.abs()), "{quotient} and {curvature}");
    }
}

/// With two layers every descent ends in the lowest eigenvector: 20 of 20 starts.
#[test]
fn two_layers_have_one_valley() {
    let mut rng = StdRng::seed_from_u64(1);
    let couplings: Vec<f64> = (0..400).map(|_| rng.gen_range(-1.7..1.7)).collect();
    let matrix = DMatrix::from_row_slice(20, 20, &couplings);
    let lowest = ((&matrix + matrix.transpose()) * 0.5).symmetric_eigenvalues().min() * 20_f64.sqrt();
    let glass = Hamiltonian::<2>::from_couplings(20, couplings).unwrap();
    for start in 0..20 {
        let found = glass.descend(&glass.start(&mut rng), DescendConfig::default()).unwrap();
        assert!((20.0 * found.energy_per_spin - lowest).abs() < 1e-6, "start {start}: {found:?}");
        assert!(found.index == 0 && found.gradient_norm <= 1e-8, "{found:?}");
    }
}

/// Three layers: a descent ends where the gradient vanishes and the Hessian is positive; a start near it comes back.
#[test]
fn descent_ends_in_minima() {
    let mut rng = StdRng::seed_from_u64(2);
    let glass = Hamiltonian::<3>::sample(16, &mut rng).unwrap();
    for _ in 0..10 {
        let found = glass.descend(&glass.start(&mut rng), DescendConfig::default()).unwrap();
        assert!(found.gradient_norm <= 1e-8 && found.index == 0, "{found:?}");
        let near: Vec<f64> = found.w.iter().map(|w| w + 1e-4 * rng.gen_range(-1.0..1.0)).collect();
        let again = glass.descend(&near, DescendConfig::default()).unwrap();
        assert!(difference(&found.w, &again.w) < 1e-5, "{found:?} and {again:?}");
    }
}

#[test]
fn models_that_do_not_fit_are_refused() {
    let mut rng = StdRng::seed_from_u64(0);
    assert!(matches!(Hamiltonian::<3>::sample(1, &mut rng), Err(Error::InvalidHyper { name: "spins", .. })));
    let huge = Hamiltonian::<8>::sample(1000, &mut rng);
    assert!(matches!(huge, Err(Error::TooManyCouplings { spins: 1000, layers: 8, .. })));
    let short = Hamiltonian::<2>::from_couplings(3, vec![0.0; 8]);
    assert!(matches!(short, Err(Error::InvalidHyper { name: "couplings", .. })));
    let broken = Hamiltonian::<2>::from_couplings(2, vec![0.0, f64::NAN, 0.0, 0.0]);
    assert!(matches!(broken, Err(Error::InvalidHyper { name: "couplings", .. })));
    let glass = Hamiltonian::<2>::sample(3, &mut rng).unwrap();
    for start in [vec![0.0; 3], vec![1.0; 2], vec![f64::NAN; 3]] {
        let refused = glass.descend(&start, DescendConfig::default());
        assert!(matches!(refused, Err(Error::InvalidHyper { name: "start", .. })), "{start:?}");
    }
    let config = DescendConfig { tolerance: 0.0, ..Default::default() };
    assert!(glass.descend(&[1.0; 3], config).is_err());
}

/// Hidden units may change places, odd ones their signs: all copies of a small network compute the same and are different
/// vectors, as many as the formula says. A sign that is flipped under ReLU changes the function.
#[test]
fn copies_of_a_network_are_counted() {
    use dfdx::prelude::{Cpu, Module, Tensor};
    use kernels::{Activation, random::Key};
    use optim::chain::{Chain, glorot};
    use optim::landscape::symmetry::{flip_unit, log10_copies, permute_units};
    let dev = Cpu::default();
    let net = Chain::<f64, Cpu>::new(&dev, &[3, 3, 2, 2], kernels::Tanh, glorot, Key::new(5)).unwrap();
    let mut net = net;
    for layer in &mut net.layers {
        Key::new(6).fill_normal(kernels::flat_mut(&mut layer.bias));
    }
    let x: Tensor<(usize, usize), f64, Cpu> = Key::new(7).normal(&dev, (4, 3));
    let y = net.forward(x.clone()).as_vec();
    let mut copies = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for second in [[0, 1], [1, 0]] {
            for signs in 0..32_usize {
                let mut copy = net.clone();
                permute_units(&mut copy, 0, &order).unwrap();
                permute_units(&mut copy, 1, &second).unwrap();
                for unit in (0..5).filter(|unit| signs >> unit & 1 == 1) {
                    let (layer, unit) = if unit < 3 { (0, unit) } else { (1, unit - 3) };
                    flip_unit(&mut copy, layer, unit).unwrap();
                }
                assert_close!(copy.forward(x.clone()).as_vec(), y.clone(), 1e-12, 1e-13);
                let flat = copy.layers.iter().flat_map(|l| [l.weight.as_vec(), l.bias.as_vec()].concat());
                copies.push(flat.map(f64::to_bits).collect::<Vec<_>>());
            }
        }
    }
    let all = copies.len();
    copies.sort();
    copies.dedup();
    assert_eq!(copies.len(), all, "two copies are the same vector");
    assert_close!(log10_copies(&[3, 2], kernels::Tanh.kind()), (all as f64).log10(), 1e-12);
    assert_close!(log10_copies(&[3, 2], kernels::Relu.kind()), 12_f64.log10(), 1e-12);
    net.activation = kernels::Relu.kind();
    let y = net.forward(x.clone()).as_vec();
    let mut copy = net.clone();
    permute_units(&mut copy, 0, &[2, 0, 1]).unwrap();
    assert_close!(copy.forward(x.clone()).as_vec(), y.clone(), 1e-12, 1e-13);
    flip_unit(&mut copy, 0, 1).unwrap();
    assert!(difference(&copy.forward(x).as_vec(), &y) > 1e-3);
    assert!(matches!(permute_units(&mut copy, 0, &[0, 0, 1]), Err(Error::Dimension { .. })));
    assert!(matches!(permute_units(&mut copy, 2, &[0, 1]), Err(Error::Dimension { .. })));
    assert!(matches!(flip_unit(&mut copy, 1, 2), Err(Error::Dimension { .. })));
}
