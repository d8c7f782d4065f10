//! What chapter 3 of Nielsen's book adds to the network of chapter 1: costs, penalties, momentum, a rate that is halved.
use std::ops::ControlFlow;

use layers::assert_close;
use nalgebra::{DMatrix, DVector, SVector, vector};
use optim::Error;
use optim::nielsen::{Cost, Decay, DescentConfig, Example, Halving, Layer, Network, SgdConfig, sigmoid};
use optim::second_order::newton_step;
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

type Small = Network<3, 4, 2>;

fn problem(seed: u64, examples: usize) -> (Small, Vec<Example<3, 2>>) {
    let key = kernels::random::Key::new(seed);
    let network = Small::new(&mut key.fold(0).rng());
    let mut numbers = vec![0.0_f64; 5 * examples];
    key.fold(1).fill_normal(&mut numbers);
    let example = |row: &[f64]| Example {
        x: SVector::from_column_slice(&row[..3]),
        y: SVector::from_fn(|j, _| sigmoid(row[3 + j])),
    };
    (network, numbers.chunks(5).map(example).collect())
}

fn go_on<const I: usize, const H: usize, const O: usize>(
    _: optim::nielsen::Descended<'_, I, H, O>,
) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn flat(network: &Small) -> Vec<f64> {
    network.parameters().copied().collect()
}

/// One step with all examples at the rate `rate`.
fn stepped(
    network: &Small,
    data: &[Example<3, 2>],
    config: DescentConfig,
    epochs: usize,
    rate: f64,
) -> Small {
    let mut network = network.clone();
    let sgd = SgdConfig::default().epochs(epochs).batch_size(data.len()).learning_rate(rate);
    network.descend(data, &[], config.sgd(sgd), &mut StdRng::seed_from_u64(0), go_on).unwrap();
    network
}

const COSTS: [Cost; 2] = [Cost::Quadratic, Cost::CrossEntropy];
const DECAYS: [Decay; 3] = [Decay::None, Decay::L1(0.7), Decay::L2(1.3)];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The derivative of every cost with every penalty, against central differences; no weight of the start is near 0, where
    /// |w| has none. Observed: 2e-10.
    #[test]
    fn gradients_of_all_costs_are_differences(seed: u64, examples in 1..5_usize) {
        let (network, data) = problem(seed, examples);
        prop_assume!(network.parameters().all(|w| w.abs() > 1e-3));
        for (cost, decay) in COSTS.into_iter().flat_map(|cost| DECAYS.map(|decay| (cost, decay))) {
            let got = network.gradient_of(&data, examples, cost, decay).unwrap();
            let got: Vec<f64> = got.parameters().copied().collect();
            let want: Vec<f64> = (0..got.len()).map(|index| {
                let at = |h: f64| {
                    let mut moved = network.clone();
                    *moved.parameters_mut().nth(index).unwrap() += h;
                    moved.cost_of(&data, cost, decay).unwrap()
                };
                (at(6e-6) - at(-6e-6)) / 1.2e-5
            }).collect();
            assert_close!(got, want, 1e-8, 1e-9, "{cost:?}, {decay:?}");
        }
    }
}

/// Nothing that chapter 3 adds: the steps of chapter 1, and its cost. With a part of the examples in each minibatch, too.
#[test]
fn the_default_is_the_descent_of_chapter_one() {
    let (start, data) = problem(1, 7);
    for batch in [2, 7] {
        let sgd = SgdConfig::default().epochs(6).batch_size(batch).learning_rate(0.8);
        let (mut old, mut new) = (start.clone(), start.clone());
        old.sgd(&data, sgd, &mut StdRng::seed_from_u64(5), |_| ControlFlow::Continue(())).unwrap();
        let config = DescentConfig::default().sgd(sgd);
        let rates = new.descend(&data, &[], config, &mut StdRng::seed_from_u64(5), go_on).unwrap();
        assert_eq!(rates, [0.8; 6]);
        assert_close!(flat(&new), flat(&old), 1e-14, 0.0, "minibatches of {batch}");
        let cost = new.cost_of(&data, Cost::Quadratic, Decay::None).unwrap();
        assert_close!(cost, old.cost(&data).unwrap(), 1e-13);
    }
}

/// A step that is asked for nothing by the examples, since every target is the answer: L2 multiplies each weight by
/// 1 − ηλ/n, L1 takes ηλ/n off its size, and leaves one at 0 there. Biases keep their bits. And n counts the training set.
#[test]
fn penalties_shrink_weights_and_no_biases() {
    let (mut network, mut data) = problem(2, 5);
    *network.parameters_mut().next().unwrap() = 0.0; // a weight of the first layer
    data.iter_mut().for_each(|e| e.y = network.feedforward(&e.x));
    let (rate, lambda, n) = (0.4, 0.6, 5.0);
    for cost in COSTS {
        let after =
            |decay| stepped(&network, &data, DescentConfig::default().cost(cost).decay(decay), 1, rate);
        assert_eq!(after(Decay::None), network);
        let (ridge, lasso) = (after(Decay::L2(lambda)), after(Decay::L1(lambda)));
        let weights = |network: &Small| -> Vec<f64> {
            network.hidden().weights().iter().chain(network.output().weights()).copied().collect()
        };
        let start = weights(&network);
        let shrunk: Vec<f64> = start.iter().map(|w| (1.0 - rate * lambda / n) * w).collect();
        assert_close!(weights(&ridge), shrunk, 1e-15, 0.0, "{cost:?}");
        let sign = |w: f64| if w == 0.0 { 0.0 } else { w.signum() };
        let moved: Vec<f64> = start.iter().map(|&w| w - rate * lambda / n * sign(w)).collect();
        assert_close!(weights(&lasso), moved, 1e-15, 0.0, "{cost:?}");
        assert_eq!(weights(&lasso)[0], 0.0);
        for network_after in [ridge, lasso] {
            assert_eq!(network_after.hidden().biases(), network.hidden().biases());
            assert_eq!(network_after.output().biases(), network.output().biases());
        }
    }
    // A minibatch of one of five examples still divides by five.
    let one = network.gradient_of(&data[..1], 5, Cost::Quadratic, Decay::L2(lambda)).unwrap();
    let last = network.output().weights()[(1, 3)];
    assert_close!(one.output().weights()[(1, 3)], lambda / n * last, 1e-15);
}

/// The error of an output neuron under cross-entropy has no slope of the sigmoid; under the quadratic cost it has.
#[test]
fn a_certain_error_teaches_under_cross_entropy_alone() {
    let (votes, y) = (vector![30.0, -40.0, 800.0], vector![0.0, 1.0, 0.0]);
    let a = votes.map(sigmoid);
    assert_close!(Cost::CrossEntropy.delta(&a, &y).as_slice(), [1.0, -1.0, 1.0], 1e-12);
    assert!(Cost::Quadratic.delta(&a, &y).amax() < 1e-12);
    // ln(1 + e^z) of the size of a wrong vote, where ln(1 − σ(z)) is −∞.
    assert_close!(Cost::CrossEntropy.value(&votes, &y), 870.0, 1e-12);
    assert_close!(Cost::CrossEntropy.value(&vector![0.0], &vector![0.3]), 2.0_f64.ln(), 1e-15);
}

/// v ← μv − η∇C, w ← w + v, written out once more beside it.
#[test]
fn momentum_adds_up_the_gradients() {
    let (start, data) = problem(3, 4);
    let (cost, decay, mu, rate) = (Cost::CrossEntropy, Decay::L2(0.5), 0.7, 0.3);
    let config = DescentConfig::default().cost(cost).decay(decay).momentum(mu);
    let (mut network, mut velocity) = (start.clone(), vec![0.0; start.parameters().count()]);
    for steps in 1..=4 {
        let gradient = network.gradient_of(&data, 4, cost, decay).unwrap();
        for ((w, v), g) in network.parameters_mut().zip(&mut velocity).zip(gradient.parameters()) {
            *v = mu * *v - rate * g;
            *w += *v;
        }
        assert_close!(
            flat(&stepped(&start, &data, config, steps, rate)),
            flat(&network),
            1e-14,
            0.0,
            "{steps}"
        );
    }
}

/// An accuracy that never changes: ten epochs without progress after the first, seven times over, and the end at a 128th of the
/// first rate. Progress within ten starts the count again.
#[test]
fn the_rate_is_halved_until_a_128th() {
    // One class for everything: held-out examples are all right, from the first epoch on.
    let data = [Example { x: vector![0.0], y: vector![1.0] }];
    let run = |epochs: usize, halving: Halving| {
        let mut network = Network::<1, 1, 1>::new(&mut StdRng::seed_from_u64(0));
        let sgd = SgdConfig::default().epochs(epochs).learning_rate(0.5);
        let config = DescentConfig::default().sgd(sgd).halving(halving);
        network.descend(&data, &data, config, &mut StdRng::seed_from_u64(1), go_on).unwrap()
    };
    let rates = run(1000, Halving::default());
    let want: Vec<f64> = (0..7).flat_map(|k| [0.5_f64.powi(k + 1); 10]).collect();
    assert_eq!(rates[1..], want, "the first epoch is progress, from nothing");
    assert_eq!(rates[0], 0.5);
    assert_eq!(run(1000, Halving { patience: 3, smallest: 0.25 }), [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    assert_eq!(run(15, Halving::default()).len(), 15, "epochs are an upper bound");

    // Class 1 of two must become the larger output; until then the held-out example is misread.
    let held_out = [Example { x: vector![1.0], y: vector![0.0, 1.0] }];
    let mut network = Network::<1, 1, 2>::from_layers(
        Layer::from_fn(|_, _| 0.0, |_| 0.0),
        Layer::from_fn(|_, _| 0.0, |j| if j == 0 { 0.4 } else { -0.4 }),
    );
    let sgd = SgdConfig::default().epochs(1000).learning_rate(0.5);
    let config = DescentConfig::default().sgd(sgd).halving(Halving { patience: 6, smallest: 0.25 });
    let mut first_right = None;
    let rates = network
        .descend(&held_out, &held_out, config, &mut StdRng::seed_from_u64(1), |epoch| {
            let is_right = epoch.network.evaluate(&held_out).unwrap() == 1.0;
            first_right = first_right.or(is_right.then_some(epoch.number));
            ControlFlow::Continue(())
        })
        .unwrap();
    let first_right = first_right.unwrap();
    assert!((2..=6).contains(&first_right), "{first_right}");
    assert_eq!(rates.len(), first_right + 12);
    assert_eq!(rates.iter().filter(|&&rate| rate == 0.5).count(), first_right + 6);
}

/// *Hessian technique*: Δw = −ηH⁻¹∇C on the output neuron of a network whose hidden layer is kept. With cross-entropy and L2
/// its cost is convex, and a few steps with η = 1 find the minimum that thousands of small ones approach.
#[test]
fn the_hessian_technique_needs_few_steps() {
    let (network, data) = problem(4, 12);
    let hidden: Vec<SVector<f64, 4>> = data.iter().map(|e| network.hidden().forward(&e.x)).collect();
    let targets: Vec<f64> = data.iter().map(|e| e.y[0]).collect();
    let (lambda, n) = (0.6, 12.0);
    let derivatives = |w: &DVector<f64>| {
        let (mut gradient, mut hessian) = (w * (lambda / n), DMatrix::identity(5, 5) * (lambda / n));
        (gradient[4], hessian[(4, 4)]) = (0.0, 0.0); // no penalty on the bias
        for (a, y) in hidden.iter().zip(&targets) {
            let input = DVector::from_iterator(5, a.iter().copied().chain([1.0]));
            let output = sigmoid(w.dot(&input));
            gradient += &input * ((output - y) / n);
            hessian += &input * input.transpose() * (output * (1.0 - output) / n);
        }
        (gradient, hessian)
    };
    let mut w = DVector::zeros(5);
    let mut steps = 0;
    while derivatives(&w).0.amax() > 1e-12 {
        let (gradient, hessian) = derivatives(&w);
        w += newton_step(&gradient, &hessian, optim::second_order::NewtonKind::Plain).unwrap();
        steps += 1;
    }
    assert!(steps <= 6, "{steps}");

    // The same neuron as a network whose hidden layer hands its inputs on: its own gradient vanishes there.
    let alone =
        Network::<3, 4, 1>::from_layers(network.hidden().clone(), Layer::from_fn(|_, k| w[k], |_| w[4]));
    let data: Vec<Example<3, 1>> = data.iter().map(|e| Example { x: e.x, y: vector![e.y[0]] }).collect();
    let gradient = alone.gradient_of(&data, 12, Cost::CrossEntropy, Decay::L2(lambda)).unwrap();
    assert!(gradient.output().parameters().all(|g| g.abs() < 1e-12), "{:?}", gradient.output());
    // Plain descent on that neuron, at a rate that is stable, is far away after ten times as many steps.
    let mut slow = DVector::zeros(5);
    for _ in 0..10 * steps {
        slow -= derivatives(&slow).0;
    }
    let off = (slow - &w).amax();
    assert!(off > 1e-3, "{off:e}");
}

#[test]
fn settings_of_chapter_three_are_checked() {
    let name = |config: DescentConfig| match config.check().unwrap_err() {
        Error::InvalidHyper { name, .. } => name,
        other => panic!("{other}"),
    };
    let config = DescentConfig::default();
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(name(config.decay(Decay::L1(wrong))), "decay");
        assert_eq!(name(config.decay(Decay::L2(wrong))), "decay");
    }
    for wrong in [-0.1, 1.0, f64::NAN] {
        assert_eq!(name(config.momentum(wrong)), "momentum");
        assert_eq!(name(config.halving(Halving { smallest: wrong, ..Default::default() })), "smallest");
    }
    assert_eq!(name(config.halving(Halving { patience: 0, ..Default::default() })), "patience");
    assert_eq!(name(config.sgd(SgdConfig::default().epochs(0))), "epochs");
    // Nothing to decide by, and nothing to learn from.
    let (mut network, data) = problem(5, 2);
    let mut rng = StdRng::seed_from_u64(0);
    let halved = config.halving(Halving::default());
    assert!(matches!(network.descend(&data, &[], halved, &mut rng, go_on), Err(Error::Empty { .. })));
    assert!(matches!(network.descend(&[], &data, config, &mut rng, go_on), Err(Error::Empty { .. })));
    assert!(matches!(network.gradient_of(&[], 1, Cost::Quadratic, Decay::None), Err(Error::Empty { .. })));
    let huge = config.sgd(SgdConfig::default().learning_rate(1e308)).decay(Decay::L2(1e10));
    let before = data.clone();
    let overflow = network.descend(&data, &[], huge, &mut rng, go_on);
    assert!(matches!(overflow, Err(Error::NonFinite { .. })), "{overflow:?}");
    assert_eq!(before, data);
}
