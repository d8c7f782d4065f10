//! Laws that hold for all inputs.
use nalgebra::SVector;
use optim::nielsen::{Example, Gradient, Layer, Network};
use optim::perceptron::MulticlassPerceptron;
use optim::perceptron::{
    AveragedPerceptron, MarginConfig, MaxEpochs, Perceptron, hard_margin, novikoff_bound,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Smallest distance from the plane of the points that [`separable`] makes.
const MARGIN: f64 = 0.05;

/// Points of \[-1, 1\]^D on either side of a random plane, none nearer than [`MARGIN`] to it in the space with
/// the constant feature.
fn separable<const D: usize>(n: usize, seed: u64) -> (Vec<SVector<f64, D>>, Vec<i8>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let direction = SVector::<f64, D>::from_fn(|_, _| rng.gen_range(-1.0..1.0));
    let bias = rng.gen_range(-0.5..0.5_f64);
    let length = (direction.norm_squared() + bias * bias).sqrt();
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    while x.len() < n {
        let point = SVector::from_fn(|_, _| rng.gen_range(-1.0..1.0));
        let distance = (direction.dot(&point) + bias) / length;
        if distance.abs() > MARGIN {
            labels.push(if distance > 0.0 { 1 } else { -1 });
            x.push(point);
        }
    }
    (x, labels)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Novikoff's theorem, with the margin that the data were made with and with the measured one, for the given
    /// order and for another one.
    #[test]
    fn perceptron_separates_within_the_bound(n in 1..60_usize, seed: u64) {
        let (x, labels) = separable::<3>(n, seed);
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed ^ 1));
        let margin = hard_margin(&x, &labels, MarginConfig::default().tolerance_rel(1e-3)).unwrap();
        prop_assert!(margin.upper >= MARGIN, "the best margin {} is below that of a known plane", margin.upper);
        let shuffled: (Vec<_>, Vec<_>) = order.iter().map(|&i| (x[i], labels[i])).unzip();
        for (x, labels) in [(&x, &labels), (&shuffled.0, &shuffled.1)] {
            let fit = Perceptron::fit(x, labels, MaxEpochs(100_000)).unwrap();
            prop_assert_eq!(fit.perceptron.accuracy(x, labels).unwrap(), 1.0);
            let mistakes = fit.mistakes.len() as f64 * (1.0 - 1e-12); // one example has R = γ and one mistake
            prop_assert!(mistakes <= margin.novikoff_bound(), "{mistakes} > {}", margin.novikoff_bound());
            prop_assert!(mistakes <= novikoff_bound(margin.radius, MARGIN));
        }
    }

    /// The plane returned has the margin it claims, and no plane of many tried has more than the upper bound.
    #[test]
    fn margin_bounds_hold_for_every_plane(n in 1..40_usize, seed: u64) {
        let (x, labels) = separable::<2>(n, seed);
        let margin = hard_margin(&x, &labels, MarginConfig::default()).unwrap();
        let of = |plane: &Perceptron<2>| {
            let length = (plane.weights.norm_squared() + plane.bias * plane.bias).sqrt();
            let scores = x.iter().zip(&labels).map(|(x, &label)| f64::from(label) * plane.score(x) / length);
            scores.fold(f64::INFINITY, f64::min)
        };
        prop_assert!((of(&margin.plane) - margin.lower).abs() < 1e-12);
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let mut nudge = || rng.gen_range(-0.1..0.1);
            let plane = Perceptron::new(
                [margin.plane.weights[0] + nudge(), margin.plane.weights[1] + nudge()],
                margin.plane.bias + nudge(),
            );
            prop_assert!(of(&plane) <= margin.upper * (1.0 + 1e-12), "{} > {}", of(&plane), margin.upper);
        }
    }

    /// The record is the training: the weights are the sum of the mistakes, and each entry was a mistake.
    #[test]
    fn replay_repeats_the_training(n in 1..40_usize, seed: u64) {
        let (x, labels) = separable::<3>(n, seed);
        let fit = Perceptron::train(&x, &labels, MaxEpochs(3)).unwrap();
        let planes = fit.replay(&x, &labels).unwrap();
        prop_assert_eq!(planes.len(), fit.mistakes.len());
        prop_assert_eq!(planes.last(), Some(&fit.perceptron));
        let mut before = Perceptron::zeros();
        for (&i, after) in fit.mistakes.iter().zip(&planes) {
            prop_assert!(f64::from(labels[i]) * before.score(&x[i]) <= 0.0);
            before = after.clone();
        }
    }

    /// The lazy form against the running sum over all examples, on labels that no plane separates.
    #[test]
    fn lazy_average_is_the_mean_of_all_planes(n in 1..40_usize, epochs in 1..4_usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let x: Vec<SVector<f64, 3>> = (0..n).map(|_| SVector::from_fn(|_, _| rng.gen_range(-1.0..1.0))).collect();
        let labels: Vec<i8> = (0..n).map(|_| if rng.r#gen() { 1 } else { -1 }).collect();
        let (mut w, mut b, mut sum_w, mut sum_b) = (SVector::<f64, 3>::zeros(), 0.0, SVector::<f64, 3>::zeros(), 0.0);
        for _ in 0..epochs {
            for (x, &label) in x.iter().zip(&labels) {
                let y = f64::from(label);
                if y * (w.dot(x) + b) <= 0.0 {
                    (w, b) = (w + x * y, b + y);
                }
                (sum_w, sum_b) = (sum_w + w, sum_b + b);
            }
        }
        let seen = (n * epochs) as f64;
        let model = AveragedPerceptron::train(&x, &labels, MaxEpochs(epochs)).unwrap();
        prop_assert_eq!(model.last(), &Perceptron { weights: w, bias: b });
        let mean = model.mean();
        prop_assert!((mean.weights - sum_w / seen).norm() < 1e-12, "{:?} != {:?}", mean, sum_w / seen);
        prop_assert!((mean.bias - sum_b / seen).abs() < 1e-12);
    }

    /// Two classes: the multiclass rule is the binary one with both planes moving, so w₁ − w₀ makes the same
    /// decisions as the binary perceptron with twice its weights. Its mean is checked against a running sum.
    #[test]
    fn multiclass_with_two_classes_is_the_binary_perceptron(n in 1..40_usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let x: Vec<SVector<f64, 3>> = (0..n).map(|_| SVector::from_fn(|_, _| rng.gen_range(-1.0..1.0))).collect();
        let labels: Vec<usize> = (0..n).map(|_| rng.gen_range(0..2)).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut StdRng::seed_from_u64(seed));
        let (mut w, mut sum) = (Perceptron::<3>::zeros(), SVector::<f64, 3>::zeros());
        for &i in &order {
            // A tie goes to class 0 here, and is a mistake there: only class 0 at the start differs.
            let y = if labels[i] == 1 { 1.0 } else { -1.0 };
            if w.predict(&x[i]) != y as i8 {
                w.weights += x[i] * y;
                w.bias += y;
            }
            sum += w.weights;
        }
        let mut model = MulticlassPerceptron::<3, 2>::default();
        model.epoch(&x, &labels, &mut StdRng::seed_from_u64(seed)).unwrap();
        let last = model.last().classes();
        prop_assert!((last[1].weights - w.weights).norm() < 1e-12 && (last[0].weights + w.weights).norm() < 1e-12);
        prop_assert_eq!((last[1].bias, last[0].bias), (w.bias, -w.bias));
        let mean = model.mean();
        prop_assert!((mean.classes()[1].weights - sum / n as f64).norm() < 1e-12);
    }

    #[test]
    fn duplicate_examples_scale_the_gradient(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let network = Network::<3, 4, 2>::new(&mut rng);
        let example = Example { x: SVector::from_fn(|_, _| rng.r#gen()), y: SVector::from_fn(|_, _| rng.r#gen()) };
        let (mut once, mut thrice) = (Gradient::zeros(), Gradient::zeros());
        network.backprop(&example, &mut once);
        (0..3).for_each(|_| network.backprop(&example, &mut thrice));
        for (index, (one, three)) in once.parameters().zip(thrice.parameters()).enumerate() {
            prop_assert!((3.0 * one - three).abs() <= 1e-15, "parameter {index}: 3 * {one} != {three}");
        }
        // and leaves the step of a minibatch, a mean, where it was
        let (mut single, mut triple) = (network.clone(), network);
        single.update_mini_batch([&example], 3.0).unwrap();
        triple.update_mini_batch([&example; 3], 3.0).unwrap();
        for (index, (one, three)) in single.parameters().zip(triple.parameters()).enumerate() {
            prop_assert!((one - three).abs() <= 1e-14, "parameter {index}: {one} != {three}");
        }
    }

    /// Hidden neurons have no order: permuting rows of W¹, b¹ and columns of W² changes no output.
    #[test]
    fn hidden_neurons_may_change_places(seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let network = Network::<3, 6, 4>::new(&mut rng);
        let mut order = [0, 1, 2, 3, 4, 5];
        order.shuffle(&mut rng);
        let (hidden, output) = (network.hidden(), network.output());
        let permuted = Network::from_layers(
            Layer::<3, 6>::from_fn(|j, k| hidden.weights()[(order[j], k)], |j| hidden.biases()[order[j]]),
            Layer::<6, 4>::from_fn(|j, k| output.weights()[(j, order[k])], |j| output.biases()[j]),
        );
        let data: Vec<_> = (0..20)
            .map(|i| Example::labelled(SVector::from_fn(|_, _| rng.r#gen()), i % 4).unwrap())
            .collect();
        for example in &data {
            let difference = network.feedforward(&example.x) - permuted.feedforward(&example.x);
            prop_assert!(difference.amax() < 1e-14, "{difference}");
        }
        prop_assert_eq!(network.confusion(&data).unwrap(), permuted.confusion(&data).unwrap());
    }
}
