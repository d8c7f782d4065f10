//! Lecture 6: weights that are tied to each other, and weights that several tasks share.
use layers::prelude::*;
use layers::{assert_close, params};
use optim::Error;
use optim::autodiff::gradcheck::GradCheck;
use optim::regularize::multitask::{MultiTask, joint};
use optim::regularize::tying::distance;
use proptest::prelude::*;

type Net = (Linear<3, 4>, Tanh, Linear<4, 2>);

fn flat_gradients<M: TensorCollection<f64, Cpu>>(model: &M, gradients: &mut Gradients<f64, Cpu>) -> Vec<f64> {
    params::flatten_gradients(model, gradients).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The penalty is the squared distance of the flat weights, and its gradients, opposite for the two, the derivative.
    #[test]
    fn the_distance_of_two_models_is_that_of_their_weights(seed: u64, factor in 0.0..3.0_f64) {
        let dev = Cpu::seed_from_u64(seed);
        let [a, b] = [(); 2].map(|()| dev.build_module::<Net, f64>());
        let (w, other) = (params::flatten(&a), params::flatten(&b));
        let want: f64 = w.iter().zip(&other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() * factor;
        let apart = distance(&a, &b, factor).unwrap();
        assert_close!(apart.array(), want, 1e-13, 1e-15);
        let mut gradients = apart.backward();
        let (by_a, by_b) = (flat_gradients(&a, &mut gradients), flat_gradients(&b, &mut gradients));
        let opposite: Vec<f64> = by_b.iter().map(|g| -g).collect();
        prop_assert_eq!(&by_a, &opposite);
        let value = |w: &[f64]| {
            let mut moved = a.clone();
            params::unflatten(&mut moved, w).unwrap();
            distance(&moved, &b, factor).unwrap().array()
        };
        let report = GradCheck::default().run(value, &w, &by_a).unwrap();
        prop_assert!(report.error < 1e-8, "{report:?}");
        prop_assert_eq!(distance(&a, &a, factor).unwrap().array(), 0.0);
    }

    /// The trunk's gradient is the weighted sum of what each task alone would give it; each head's is its own task's.
    #[test]
    fn a_shared_trunk_hears_every_task(seed: u64, weights in prop::array::uniform2(0.1..3.0_f64)) {
        let dev = Cpu::seed_from_u64(seed);
        let net = dev.build_module::<MultiTask<(Linear<3, 5>, Tanh), (Linear<5, 2>, Linear<5, 1>)>, f64>();
        let x: Tensor<Rank2<6, 3>, f64, _> = dev.sample_normal();
        let first: Tensor<Rank2<6, 2>, f64, _> = dev.sample_normal();
        let second: Tensor<Rank2<6, 1>, f64, _> = dev.sample_normal();
        let (one, two) = net.forward(x.leaky_trace());
        let losses = [mse_loss(one, first.clone()), mse_loss(two, second.clone())];
        let values = losses.each_ref().map(|loss| loss.array());
        let loss = joint(losses, weights).unwrap();
        assert_close!(loss.array(), weights[0] * values[0] + weights[1] * values[1], 1e-14);
        let mut gradients = loss.backward();
        let together = flat_gradients(&net.0, &mut gradients);
        let (left, right) = &net.1.0;
        let heads = [flat_gradients(left, &mut gradients), flat_gradients(right, &mut gradients)];

        // Each task in a network of its own, with the same weights.
        let (trunk, (a, b)) = (&net.0, &net.1.0);
        let mut alone_a = mse_loss(a.forward(trunk.forward(x.leaky_trace())), first).backward();
        let mut alone_b = mse_loss(b.forward(trunk.forward(x.leaky_trace())), second).backward();
        let of_a = flat_gradients(trunk, &mut alone_a);
        let of_b = flat_gradients(trunk, &mut alone_b);
        let want: Vec<f64> = of_a.iter().zip(&of_b).map(|(a, b)| weights[0] * a + weights[1] * b).collect();
        assert_close!(together, want, 1e-12, 1e-14);
        prop_assert!(of_a.iter().zip(&of_b).any(|(a, b)| (a - b).abs() > 1e-3), "two tasks, not one twice");
        let scaled = |g: Vec<f64>, weight: f64| g.into_iter().map(|g| g * weight).collect::<Vec<_>>();
        assert_close!(heads[0], scaled(flat_gradients(a, &mut alone_a), weights[0]), 1e-12, 1e-14);
        assert_close!(heads[1], scaled(flat_gradients(b, &mut alone_b), weights[1]), 1e-12, 1e-14);
    }
}

/// A clone shares the id of its original: used twice, the original's gradient is the sum over both uses, by closed form.
#[test]
fn a_clone_is_the_same_parameter() {
    let dev = Cpu::seed_from_u64(3);
    let encoder = dev.build_module::<Linear<3, 2>, f64>();
    let twin = encoder.clone();
    let (x, y): (Tensor<Rank1<3>, f64, _>, Tensor<Rank1<3>, f64, _>) =
        (dev.sample_normal(), dev.sample_normal());
    let (one, two) = (encoder.forward(x.leaky_trace()), twin.forward(y.leaky_trace()));
    let gradients = (one.square().sum::<Rank0, _>() + two.square().sum()).backward();
    let outputs = [encoder.forward(x.clone()).array(), encoder.forward(y.clone()).array()];
    let got = gradients.get(&encoder.weight).array();
    for (i, row) in got.iter().enumerate() {
        let want: Vec<f64> =
            (0..3).map(|j| 2.0 * (outputs[0][i] * x.array()[j] + outputs[1][i] * y.array()[j])).collect();
        assert_close!(row.to_vec(), want, 1e-14);
    }
    assert_eq!(gradients.get(&twin.weight).array(), got);
}

#[test]
fn ties_that_do_not_fit_are_typed_errors() {
    let dev = Cpu::default();
    let net = dev.build_module::<Net, f64>();
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(distance(&net, &net, factor), Err(Error::InvalidHyper { name: "factor", .. })));
    }
    let none: [Tensor<Rank0, f64, Cpu, OwnedTape<f64, Cpu>>; 0] = [];
    assert!(matches!(joint(none, []), Err(Error::Empty { .. })));
    for weight in [-1.0, f64::NAN] {
        let loss: Tensor<Rank0, f64, _> = dev.zeros();
        assert!(matches!(joint([loss.leaky_trace()], [weight]), Err(Error::InvalidHyper { .. })));
    }
}
