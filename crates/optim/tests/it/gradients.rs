//! Back-propagation by hand against central differences and against dfdx's tape, for many shapes and values.
use layers::prelude::*;
use layers::{assert_close, params};
use nalgebra::SVector;
use optim::nielsen::{Example, Gradient, Layer, Network, quadratic_cost};
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

/// The outputs, the cost and every derivative are those of the dfdx module with the same weights.
fn check_against_tape<const I: usize, const H: usize, const O: usize>(numbers: &[f64], examples: usize) {
    let (network, data) = problem::<I, H, O>(numbers, examples);
    let mut sum = Gradient::zeros();
    data.iter().for_each(|example| network.backprop(example, &mut sum));

    let dev = Cpu::default();
    let model = network.to_model::<f64, _>(&dev).unwrap();
    assert_eq!(Network::from_model(&model), network);
    let x: Vec<f64> = data.iter().flat_map(|example| example.x.iter().copied()).collect();
    let y: Vec<f64> = data.iter().flat_map(|example| example.y.iter().copied()).collect();
    let x = dev.tensor_from_vec(x, (examples, Const::<I>));
    let y = dev.tensor_from_vec(y, (examples, Const::<O>));
    let outputs = model.forward(x.leaky_trace());
    let by_hand: Vec<f64> = data.iter().flat_map(|e| network.feedforward(&e.x).as_slice().to_vec()).collect();
    assert_close!(outputs.as_vec(), by_hand, 1e-14);
    let cost = quadratic_cost(outputs, y).unwrap();
    assert_close!(cost.array(), network.cost(&data).unwrap(), 1e-14);
    let mut gradients = cost.backward();
    let want = params::flatten_gradients(&model, &mut gradients).unwrap();
    let mut got = Vec::new(); // row by row, as dfdx stores a weight
    let mut push = |weights: Vec<f64>, biases: &[f64]| {
        got.extend(weights.iter().chain(biases).map(|derivative| derivative / examples as f64));
    };
    push(sum.hidden().weights().transpose().as_slice().to_vec(), sum.hidden().biases().as_slice());
    push(sum.output().weights().transpose().as_slice().to_vec(), sum.output().biases().as_slice());
    assert_close!(got, want, 1e-13, 1e-16, "{I}-{H}-{O}, {examples} examples"); // observed 4e-16
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

    #[test]
    fn backprop_is_the_gradient_of_the_tape(
        numbers in prop::collection::vec(-2.0..2.0_f64, 61),
        examples in 1..4_usize,
        shape in 0..5,
    ) {
        match shape {
            0 => check_against_tape::<1, 1, 1>(&numbers, examples),
            1 => check_against_tape::<2, 2, 1>(&numbers, examples),
            2 => check_against_tape::<3, 5, 2>(&numbers, examples),
            3 => check_against_tape::<6, 1, 4>(&numbers, examples),
            _ => check_against_tape::<1, 7, 3>(&numbers, examples),
        }
    }
}
