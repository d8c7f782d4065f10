//! Back-propagation against central differences, for many shapes and values.
use layers::assert_close;
use nalgebra::SVector;
use optim::nielsen::{Example, Gradient, Layer, Network};
use proptest::prelude::*;

/// A network and a few examples with these numbers.
fn problem<const I: usize, const H: usize, const O: usize>(
    numbers: &[f64],
    examples: usize,
) -> (Network<I, H, O>, Vec<Example<I, O>>) {
    let mut numbers = numbers.iter().copied().cycle();
    let mut next = || numbers.next().expect("a cycle of at least one number");
    let mut network =
        Network::from_layers(Layer::from_fn(|_, _| 0.0, |_| 0.0), Layer::from_fn(|_, _| 0.0, |_| 0.0));
    network.parameters_mut().for_each(|value| *value = next());
    let example =
        |_| Example { x: SVector::from_fn(|_, _| next()), y: SVector::from_fn(|_, _| next().abs().min(1.0)) };
    let data = (0..examples).map(example).collect();
    (network, data)
}

fn check<const I: usize, const H: usize, const O: usize>(numbers: &[f64], examples: usize) {
    let (network, data) = problem::<I, H, O>(numbers, examples);
    let mut sum = Gradient::zeros();
    data.iter().for_each(|example| network.backprop(example, &mut sum));
    let got: Vec<f64> = sum.parameters().map(|g| g / data.len() as f64).collect();
    let want: Vec<f64> = (0..got.len())
        .map(|index| {
            let cost = |h: f64| {
                let mut moved = network.clone();
                *moved.parameters_mut().nth(index).expect("index of a parameter") += h;
                moved.cost(&data).unwrap()
            };
            let at = *network.parameters().nth(index).expect("index of a parameter");
            let h = 6e-6 * at.abs().max(1.0);
            (cost(h) - cost(-h)) / (2.0 * h)
        })
        .collect();
    // Truncation h²|C'''|/6 and rounding ε C/h are both below 5e-11 here; observed 2e-11.
    assert_close!(got, want, 1e-6, 2e-10, "{I}-{H}-{O}, {examples} examples");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn backprop_is_the_derivative_of_the_cost(
        numbers in prop::collection::vec(-2.0..2.0_f64, 61),
        examples in 1..4_usize,
        shape in 0..5,
    ) {
        match shape {
            0 => check::<1, 1, 1>(&numbers, examples),
            1 => check::<2, 2, 1>(&numbers, examples),
            2 => check::<3, 5, 2>(&numbers, examples),
            3 => check::<6, 1, 4>(&numbers, examples),
            _ => check::<1, 7, 3>(&numbers, examples),
        }
    }
}
