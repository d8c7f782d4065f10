//! K-FAC: its factors are the Fisher matrix where they should be, its step is the large system's, and errors are told.
use dfdx::prelude::{Backward, Cpu, HasShape, Module, Tensor, TensorFromVec, Trace};
use kernels::random::Key;
use kernels::{Tanh, cross_entropy_mean};
use nalgebra::{DMatrix, DVector};
use optim::Error;
use optim::calibration::probabilities;
use optim::chain::{Chain, glorot};
use optim::second_order::kfac::{Factors, Kfac, KfacConfig, Labels, factors};

type Net = Chain<f64, Cpu>;
type Rows = Tensor<(usize, usize), f64, Cpu>;

fn net(widths: &[usize]) -> Net {
    Chain::new(&Cpu::default(), widths, Tanh, glorot, Key::new(3)).unwrap()
}

fn normal(n: usize, features: usize) -> Rows {
    Key::new(5).normal(&Cpu::default(), (n, features))
}

/// The exact Fisher matrix of each layer: gradients of −ln p(y | x), stacked by columns, over all examples and labels.
fn fisher(net: &Net, x: &Rows) -> Vec<DMatrix<f64>> {
    let (n, features) = *x.shape();
    let mut sums: Vec<DMatrix<f64>> = Vec::new();
    for row in x.as_vec().chunks(features) {
        let x = Cpu::default().tensor_from_vec(row.to_vec(), (1, features));
        let votes = net.forward(x.clone()).as_vec();
        for (label, p) in probabilities(&votes, votes.len(), 1.0).unwrap().into_iter().enumerate() {
            let gradients = cross_entropy_mean(net.forward(x.leaky_trace()), &[label]).backward();
            for (l, layer) in net.layers.iter().enumerate() {
                let (outputs, inputs) = *layer.weight.shape();
                let weight = DMatrix::from_row_slice(outputs, inputs, &gradients.get(&layer.weight).as_vec());
                let all = weight.insert_column(inputs, 0.0);
                let mut stacked = DVector::from_column_slice(all.as_slice());
                let bias = gradients.get(&layer.bias).as_vec();
                stacked.rows_mut(outputs * inputs, outputs).copy_from_slice(&bias);
                if sums.len() == l {
                    sums.push(DMatrix::zeros(stacked.len(), stacked.len()));
                }
                sums[l].ger(p / n as f64, &stacked, &stacked, 1.0);
            }
        }
    }
    sums
}

fn distance(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    (a - b).norm() / b.norm()
}

/// One example: no average of a product is replaced by a product of averages.
#[test]
fn factors_of_one_example_are_its_fisher_matrix() {
    let (net, x) = (net(&[3, 4, 3]), normal(1, 3));
    let found = factors(&net, &x, Labels::Expected).unwrap();
    for (found, exact) in found.iter().zip(fisher(&net, &x)) {
        assert!(distance(&found.block(), &exact) < 1e-12);
    }
}

/// Softmax regression at weight 0: all classes are equally likely for every input, so errors and inputs are independent, and
/// G = I/C − 11ᵀ/C². With weights they are not, and the product is only close.
#[test]
fn factors_at_weight_zero_are_a_closed_form() {
    let (mut net, x) = (net(&[3, 4]), normal(20, 3));
    let layer = &mut net.layers[0];
    layer.weight.copy_from(&[0.0; 12]);
    let found = &factors(&net, &x, Labels::Expected).unwrap()[0];
    let closed = DMatrix::identity(4, 4) / 4.0 - DMatrix::from_element(4, 4, 1.0 / 16.0);
    assert!(distance(&found.errors, &closed) < 1e-12);
    let ones = DMatrix::from_row_slice(20, 3, &x.as_vec()).insert_column(3, 1.0);
    assert!(distance(&found.inputs, &(ones.tr_mul(&ones) / 20.0)) < 1e-12);
    assert!(distance(&found.block(), &fisher(&net, &x)[0]) < 1e-12);
    let weights: Vec<f64> = (0..12).map(|i| f64::from(i % 5) - 2.0).collect();
    net.layers[0].weight.copy_from(&weights);
    let found = &factors(&net, &x, Labels::Expected).unwrap()[0];
    let off = distance(&found.block(), &fisher(&net, &x)[0]);
    assert!(off > 0.01, "with weights it is an approximation, off by {off}");
}

/// The mean over labels that the model draws is the expectation over its labels.
#[test]
fn drawn_labels_have_the_expected_errors() {
    let (net, x) = (net(&[3, 4, 3]), normal(4, 3));
    let expected = factors(&net, &x, Labels::Expected).unwrap();
    let draws = 2000;
    let mut means = [DMatrix::zeros(4, 4), DMatrix::zeros(3, 3)];
    for draw in 0..draws {
        let found = factors(&net, &x, Labels::Drawn(Key::new(draw))).unwrap();
        for (mean, found) in means.iter_mut().zip(found) {
            *mean += found.errors / draws as f64;
        }
    }
    for (mean, expected) in means.iter().zip(&expected) {
        // 8000 labels: a standard error of about 1 %.
        assert!(distance(mean, &expected.errors) < 0.05, "{mean} is not {}", expected.errors);
    }
}

/// Without damping against the solution of the large system; with it against the damped large system.
#[test]
fn the_step_is_that_of_the_large_system() {
    let square = |n: usize, from: u64| {
        let values: Rows = Key::new(from).normal(&Cpu::default(), (n + 2, n));
        let rows = DMatrix::from_row_slice(n + 2, n, &values.as_vec());
        rows.tr_mul(&rows)
    };
    let pair = Factors { inputs: square(4, 1), errors: square(3, 2) };
    let gradient = DMatrix::from_fn(3, 4, |i, j| (1 + i * 4 + j) as f64);
    let stacked = DVector::from_column_slice(gradient.as_slice());
    let plain = pair.block().lu().solve(&stacked).unwrap();
    let found = pair.precondition(&gradient, 0.0).unwrap();
    assert!((DVector::from_column_slice(found.as_slice()) - &plain).norm() < 1e-9 * plain.norm());

    let damping = 0.3_f64;
    let balance = ((pair.inputs.trace() / 4.0) / (pair.errors.trace() / 3.0)).sqrt();
    let damped = Factors {
        inputs: &pair.inputs + DMatrix::identity(4, 4) * (balance * damping.sqrt()),
        errors: &pair.errors + DMatrix::identity(3, 3) * (damping.sqrt() / balance),
    };
    let want = damped.block().lu().solve(&stacked).unwrap();
    let found = pair.precondition(&gradient, damping).unwrap();
    assert!((DVector::from_column_slice(found.as_slice()) - &want).norm() < 1e-10 * want.norm());
}

/// A step moves every weight by the scaled direction of the averaged factors, and no farther than the trust allows.
#[test]
fn a_step_goes_along_the_natural_gradient() {
    let (mut chain, x) = (net(&[3, 4, 3]), normal(6, 3));
    let labels = [0, 1, 2, 0, 1, 2];
    let config = KfacConfig { trust: 1e-4, ..KfacConfig::default() };
    let mut kfac = Kfac::try_new(config).unwrap();
    let mut averaged: Vec<Factors> = Vec::new();
    for step in 0..3_u32 {
        let before = chain.clone();
        let gradients = cross_entropy_mean(before.forward(x.leaky_trace()), &labels).backward();
        let key = Key::new(u64::from(step));
        let fresh = factors(&before, &x, Labels::Drawn(key)).unwrap();
        averaged = if averaged.is_empty() {
            fresh
        } else {
            let share = f64::from(step) / f64::from(step + 1); // below 0.95: a plain mean
            let mixed = averaged.iter().zip(&fresh).map(|(old, new)| Factors {
                inputs: &old.inputs * share + &new.inputs * (1.0 - share),
                errors: &old.errors * share + &new.errors * (1.0 - share),
            });
            mixed.collect()
        };
        let done = kfac.step(&mut chain, &x, &labels, key).unwrap();
        let mut change = 0.0;
        for ((old, new), pair) in before.layers.iter().zip(&chain.layers).zip(&averaged) {
            let (outputs, inputs) = *old.weight.shape();
            let weight = DMatrix::from_row_slice(outputs, inputs, &gradients.get(&old.weight).as_vec());
            let mut gradient = weight.insert_column(inputs, 0.0);
            gradient.set_column(inputs, &DVector::from_vec(gradients.get(&old.bias).as_vec()));
            let direction = pair.precondition(&gradient, config.damping).unwrap();
            change += direction.dot(&gradient);
            let moved = |o: usize, i: usize| {
                if i < inputs {
                    old.weight.as_vec()[o * inputs + i] - new.weight.as_vec()[o * inputs + i]
                } else {
                    old.bias.as_vec()[o] - new.bias.as_vec()[o]
                }
            };
            let moved = DMatrix::from_fn(outputs, inputs + 1, moved);
            assert!(distance(&moved, &(direction * done.scale)) < 1e-10);
        }
        assert!(done.scale < 1.0, "the trust is small enough to bind");
        assert!((done.scale.powi(2) * change / 2.0 - config.trust).abs() < 1e-12);
    }
    assert_eq!(kfac.factors().len(), 2);
}

#[test]
fn what_kfac_cannot_use_is_refused() {
    let (mut chain, x) = (net(&[3, 4, 3]), normal(2, 3));
    let bad = |change: fn(&mut KfacConfig)| {
        let mut config = KfacConfig::default();
        change(&mut config);
        match Kfac::try_new(config).unwrap_err() {
            Error::InvalidHyper { name, .. } => name,
            other => panic!("{other}"),
        }
    };
    assert_eq!(bad(|c| c.learning_rate = f64::NAN), "learning_rate");
    assert_eq!(bad(|c| c.damping = 0.0), "damping");
    assert_eq!(bad(|c| c.decay = 1.0), "decay");
    assert_eq!(bad(|c| c.trust = -1.0), "trust");
    let mut kfac = Kfac::try_new(KfacConfig::default()).unwrap();
    let key = Key::new(0);
    let before = chain.layers[0].weight.as_vec();
    let mut refuse = |x: &Rows, labels: &[usize]| kfac.step(&mut chain, x, labels, key).unwrap_err();
    assert!(matches!(refuse(&x, &[0]), Error::LengthMismatch { examples: 2, labels: 1 }));
    assert!(matches!(refuse(&x, &[0, 3]), Error::Kernel(_)));
    assert!(matches!(refuse(&normal(2, 4), &[0, 1]), Error::Dimension { got: 4, want: 3, .. }));
    assert!(matches!(refuse(&normal(0, 3), &[]), Error::Empty { .. }));
    kfac.step(&mut chain, &x, &[0, 1], key).unwrap();
    assert_ne!(chain.layers[0].weight.as_vec(), before, "the errors before left no trace, this step does");
    let mut other = net(&[3, 5, 3]);
    assert!(matches!(kfac.step(&mut other, &x, &[0, 1], key), Err(Error::Dimension { .. })));
    let pair = &kfac.factors()[0];
    let shape = pair.precondition(&DMatrix::zeros(2, 2), 0.1);
    assert!(matches!(shape, Err(Error::Shape { got: (2, 2), want: (4, 4), .. })));
    let silent = Factors { inputs: DMatrix::zeros(2, 2), errors: DMatrix::identity(2, 2) };
    assert!(matches!(silent.precondition(&DMatrix::zeros(2, 2), 0.0), Err(Error::Singular { .. })));
    assert!(silent.precondition(&DMatrix::zeros(2, 2), 0.1).is_ok(), "damped, it has an inverse");
}
