//! The same numbers in several ways: dfdx's tape with our kernels, and what the lectures build or replace by it.
//!
//! All in double precision, on the same weights and examples; what each way returns is compared before it is timed.
use super::{Prepare, device};
use crate::sides::Way;
use bench_protocol::{Case, data};
use kernels::InputGradient;
use layers::params;
use layers::prelude::*;
use nalgebra::{DMatrix, SVector};
use optim::autodiff::Number;
use optim::autodiff::dual::DualNumber;
use optim::autodiff::scalar::ScalarTape;
use optim::autodiff::tensor::Tape;
use optim::learning::one_hot;
use optim::nielsen::{Example, Layer, Network, quadratic_cost};
use std::hint::black_box;

/// Name and preparation of each case that `way` has; none is ours.
pub(super) fn cases(way: Option<Way>) -> Vec<(&'static str, Prepare)> {
    match way {
        None => vec![
            ("gradient/784-100-10", |_| gradient_by_dfdx()),
            ("chain/1m", |_| chain_on_a_tape()),
            ("minibatch/10", |_| minibatch_as_matrix(10)),
            ("minibatch/100", |_| minibatch_as_matrix(100)),
        ],
        Some(Way::Graph) => vec![("gradient/784-100-10", |_| gradient_by_graph())],
        Some(Way::Duals) => {
            vec![("gradient/784-100-10", |_| gradient_by_duals()), ("chain/1m", |_| chain_of_duals())]
        }
        Some(Way::Loop) => {
            vec![
                ("minibatch/10", |_| minibatch_in_a_loop(10)),
                ("minibatch/100", |_| minibatch_in_a_loop(100)),
            ]
        }
        Some(Way::Dfdx) => super::plain::cases(),
    }
}

/// Numbers of a stream in double precision.
fn uniform(seed: u32, n: usize, bound: f64) -> Vec<f64> {
    data::uniform(seed, n, bound).into_iter().map(f64::from).collect()
}

const BATCH: usize = 32;
const INPUTS: usize = 784;
const HIDDEN: usize = 100;
const OUTPUTS: usize = 10;

/// A network, a batch, and a direction in which all ways give the derivative, so that forward mode has one pass.
struct Reader {
    /// Weights and biases, layer by layer, weights row by row.
    flat: Vec<f64>,
    pixels: Vec<f64>,
    labels: Vec<usize>,
    direction: Vec<f64>,
}

impl Reader {
    fn new() -> Self {
        let mut flat = uniform(100, HIDDEN * INPUTS, (INPUTS as f64).sqrt().recip());
        flat.extend(uniform(101, HIDDEN, 0.1));
        flat.extend(uniform(102, OUTPUTS * HIDDEN, (HIDDEN as f64).sqrt().recip()));
        flat.extend(uniform(103, OUTPUTS, 0.1));
        let direction = uniform(3, flat.len(), 1.0);
        Self {
            flat,
            pixels: uniform(1, BATCH * INPUTS, 1.0),
            labels: data::labels(2, BATCH, OUTPUTS),
            direction,
        }
    }

    /// What is compared: the loss and its derivative along the direction.
    fn values(&self, loss: f64, gradient: &[f64]) -> Vec<(String, f64)> {
        Self::told(loss, gradient.iter().zip(&self.direction).map(|(g, d)| g * d).sum())
    }

    fn told(loss: f64, along: f64) -> Vec<(String, f64)> {
        vec![("loss".to_owned(), loss), ("along".to_owned(), along)]
    }
}

fn gradient_by_dfdx() -> Case {
    let reader = Reader::new();
    let mut model =
        device().build_module::<(Linear<INPUTS, HIDDEN, Sigmoid>, Linear<HIDDEN, OUTPUTS>), f64>();
    params::unflatten(&mut model, &reader.flat).expect("as many numbers as the model has");
    model.0.input_gradient = InputGradient::Skipped;
    let x: Tensor<(usize, Const<INPUTS>), f64, _> =
        device().tensor_from_vec(reader.pixels.clone(), (BATCH, Const));
    let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &reader.labels);
    let value = loss.array();
    let gradient = params::flatten_gradients(&model, &mut loss.backward()).expect("a gradient for all");
    let values = reader.values(value, &gradient);
    let labels = reader.labels;
    let run = move || {
        let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &labels);
        drop(black_box(loss.backward()));
    };
    Case { values, run: Box::new(run) }
}

fn gradient_by_graph() -> Case {
    let reader = Reader::new();
    let (w1, rest) = reader.flat.split_at(HIDDEN * INPUTS);
    let (b1, rest) = rest.split_at(HIDDEN);
    let (w2, b2) = rest.split_at(OUTPUTS * HIDDEN);
    let weights = [(HIDDEN, INPUTS, w1), (1, HIDDEN, b1), (OUTPUTS, HIDDEN, w2), (1, OUTPUTS, b2)]
        .map(|(rows, columns, numbers)| DMatrix::from_row_slice(rows, columns, numbers));
    let x = DMatrix::from_row_slice(BATCH, INPUTS, &reader.pixels);
    let targets = one_hot(&reader.labels, OUTPUTS).expect("labels of the classes that there are");
    let compute = move || {
        let tape = Tape::new();
        let weights = weights.clone().map(|w| tape.input(w));
        let [w1, b1, w2, b2] = weights;
        let hidden = (tape.constant(x.clone()).matmul(w1.transpose()) + b1.repeat_rows(BATCH)).sigmoid();
        let logits = hidden.matmul(w2.transpose()) + b2.repeat_rows(BATCH);
        let loss = logits.cross_entropy(tape.constant(targets.clone()));
        (loss.number(), tape.gradient(loss, &weights).into_iter().map(|g| g.value()).collect::<Vec<_>>())
    };
    let (loss, gradient) = compute();
    let gradient: Vec<f64> = gradient.iter().flat_map(|g| g.transpose().as_slice().to_vec()).collect();
    Case { values: reader.values(loss, &gradient), run: Box::new(move || drop(black_box(compute()))) }
}

/// The loss of the network on numbers of any kind.
fn loss<T: Number>(weights: &[T], pixels: &[f64], labels: &[usize]) -> T {
    let (w1, rest) = weights.split_at(HIDDEN * INPUTS);
    let (b1, rest) = rest.split_at(HIDDEN);
    let (w2, b2) = rest.split_at(OUTPUTS * HIDDEN);
    let one = T::from(1.0);
    let mut sum = T::from(0.0);
    for (x, &label) in pixels.chunks(INPUTS).zip(labels) {
        let vote = |(w, b): (&[T], &T)| w.iter().zip(x).fold(*b, |sum, (w, x)| sum + *w * T::from(*x));
        let hidden: Vec<T> = w1.chunks(INPUTS).zip(b1).map(vote).map(|z| one / (one + (-z).exp())).collect();
        let vote = |(w, b): (&[T], &T)| w.iter().zip(&hidden).fold(*b, |sum, (w, a)| sum + *w * *a);
        let logits: Vec<T> = w2.chunks(HIDDEN).zip(b2).map(vote).collect();
        let total = logits.iter().fold(T::from(0.0), |sum, z| sum + z.exp());
        sum = sum + total.ln() - logits[label];
    }
    sum / T::from(BATCH as f64)
}

fn gradient_by_duals() -> Case {
    let Reader { flat, pixels, labels, direction } = Reader::new();
    let weights: Vec<DualNumber<f64, 1>> =
        flat.iter().zip(&direction).map(|(&value, &d)| DualNumber { value, tangent: [d] }).collect();
    let compute = move || loss(&weights, &pixels, &labels);
    let found = compute();
    let values = Reader::told(found.value, found.tangent[0]);
    Case { values, run: Box::new(move || _ = black_box(compute())) }
}

/// Three operations, a third of a million times.
fn chain<T: Number>(x: T) -> T {
    (0..333_333).fold(x, |y, _| y * T::from(0.999_99) + x * T::from(2e-5))
}

fn chain_on_a_tape() -> Case {
    let mut tape = ScalarTape::new();
    let mut compute = move || {
        tape.clear();
        let x = tape.var(black_box(0.5));
        let y = chain(x);
        (y.value, tape.backward(y).wrt(x))
    };
    let (loss, along) = compute();
    Case { values: Reader::told(loss, along), run: Box::new(move || _ = black_box(compute())) }
}

fn chain_of_duals() -> Case {
    let compute = || chain(DualNumber::<f64, 1>::input(black_box(0.5), 0));
    let found = compute();
    let values = Reader::told(found.value, found.tangent[0]);
    Case { values, run: Box::new(move || _ = black_box(compute())) }
}

/// Nielsen's network and a minibatch for it.
fn nielsen(batch: usize) -> (Network<784, 30, 10>, Vec<Example<784, 10>>) {
    let numbers = uniform(100, 30 * 784 + 30 + 10 * 30 + 10, 1.0);
    let (hidden, output) = numbers.split_at(30 * 785);
    let network = Network::from_layers(
        Layer::from_fn(|j, k| hidden[784 * j + k] / 28.0, |j| hidden[30 * 784 + j]),
        Layer::from_fn(|j, k| output[30 * j + k], |j| output[300 + j]),
    );
    let pixels = uniform(1, 784 * batch, 1.0);
    let example = |(x, label): (&[f64], usize)| {
        Example::labelled(SVector::from_column_slice(x), label).expect("one of the ten classes")
    };
    (network, pixels.chunks(784).zip(data::labels(2, batch, 10)).map(example).collect())
}

/// What is compared: the cost before and after three steps.
fn costs(mut step: impl FnMut() -> f64) -> Vec<(String, f64)> {
    let costs = [step(), step(), step(), step()];
    vec![("loss".to_owned(), costs[0]), ("last".to_owned(), costs[3])]
}

fn minibatch_as_matrix(batch: usize) -> Case {
    let (network, examples) = nielsen(batch);
    let mut model = network.to_model::<f64, _>(&device()).expect("memory for a small network");
    model.0.input_gradient = InputGradient::Skipped;
    let x: Vec<f64> = examples.iter().flat_map(|e| e.x.iter().copied()).collect();
    let y: Vec<f64> = examples.iter().flat_map(|e| e.y.iter().copied()).collect();
    let x = device().tensor_from_vec(x, (batch, Const::<784>));
    let y = device().tensor_from_vec(y, (batch, Const::<10>));
    let mut sgd = Sgd::try_new(&model, SgdConfig { learning_rate: 3.0, ..SgdConfig::default() })
        .expect("a positive rate");
    let mut step = move || {
        let cost = quadratic_cost(model.forward(x.leaky_trace()), y.clone()).expect("memory for a batch");
        let value = cost.array();
        sgd.step(&mut model, &mut cost.backward()).expect("the model is the optimiser's own");
        value
    };
    Case { values: costs(&mut step), run: Box::new(move || _ = black_box(step())) }
}

fn minibatch_in_a_loop(batch: usize) -> Case {
    let (mut network, examples) = nielsen(batch);
    let values = costs(|| {
        let cost = network.cost(&examples).expect("examples are finite");
        network.update_mini_batch(&examples, 3.0).expect("a positive rate and an example");
        cost
    });
    let run = move || network.update_mini_batch(&examples, 3.0).expect("a positive rate and an example");
    Case { values, run: Box::new(run) }
}
