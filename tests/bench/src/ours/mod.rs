//! Our side: every case of the benchmark on the public API of `kernels`, `layers` and `optim`.
//!
//! What a case computes, its sizes, seeds and hyperparameters stand in its twin of the same name in
//! `tests/peers/torch/`; the values of both are compared before they are timed.
mod growth;
mod operations;
mod plain;
mod steps;
mod updates;
mod ways;

use crate::sides::{OURS, Way};
use bench_protocol::{Case, Side, data};
use dfdx::prelude::*;
use layers::params;
use std::cell::RefCell;
use std::sync::OnceLock;

/// Prepares a case.
type Prepare = fn(&str) -> Case;

/// A tensor of single precision on the processor.
type Array<S> = Tensor<S, f32, Cpu>;
/// The same with a tape.
type Taped<S> = Tensor<S, f32, Cpu, OwnedTape<f32, Cpu>>;

/// Every case by its name.
fn cases() -> Vec<(String, Prepare)> {
    let lists = [steps::cases(), operations::cases(), updates::cases(), growth::cases(), ways::cases(None)];
    lists.into_iter().flatten().map(|(name, prepare)| (name.to_owned(), prepare)).collect()
}

/// The names of all cases.
pub(crate) fn names() -> Vec<String> {
    cases().into_iter().map(|(name, _)| name).collect()
}

/// Serves them, or those of another way, on standard input and output.
pub(crate) fn serve(way: Option<Way>) -> std::io::Result<()> {
    let named = |(name, prepare): (&str, Prepare)| (name.to_owned(), prepare);
    let cases = if way.is_some() { ways::cases(way).into_iter().map(named).collect() } else { cases() };
    let (name, version) = (way.map_or(OURS, Way::name), env!("CARGO_PKG_VERSION"));
    let side = Side { name, version, threads: kernels::pool::threads(), cases: &cases };
    bench_protocol::serve(side, std::io::stdin().lock(), std::io::stdout().lock())
}

/// The processor, with dfdx's cache of buffers: without it every step allocates afresh.
fn device() -> Cpu {
    static DEVICE: OnceLock<Cpu> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let device = Cpu::default();
            device.enable_cache();
            device
        })
        .clone()
}

/// Stream `seed` in ±`bound` as a tensor.
fn uniform<S: Shape>(seed: u32, shape: S, bound: f64) -> Array<S> {
    device().tensor_from_vec(data::uniform(seed, shape.num_elements(), bound), shape)
}

/// Stream `seed` as a weight, in ±1/√(fan in).
fn weight<S: Shape>(seed: u32, shape: S) -> Array<S> {
    let axes: Vec<usize> = shape.concrete().into_iter().collect();
    device().tensor_from_vec(data::weights(seed, &axes), shape)
}

/// Elements of a tensor for its fingerprint.
fn elements<S: Shape, T>(x: &Tensor<S, f32, Cpu, T>) -> impl Iterator<Item = f64> {
    kernels::flat(x).iter().map(|&x| f64::from(x))
}

/// Fills a model's trainable tensors as the other side does: weights from the streams `first_seed`, `first_seed + 1`,
/// … in the order of the tensors, biases zero; scales of normalisations are one already.
fn fill<M: TensorCollection<f32, Cpu>>(mut model: M, first_seed: u32) -> M {
    let mut seeds = first_seed..;
    params::visit_mut(&mut model, |parameter, values| {
        if !parameter.is_trainable {
            return;
        }
        let seed = seeds.next().unwrap_or_default();
        if parameter.name.contains("bias") {
            values.fill(0.0);
        } else if parameter.ndim() > 1 {
            // A recurrent layer keeps its gates apart, (gates, hidden, inputs); the other side has (gates · hidden, inputs).
            let is_recurrent = ["weight_ih", "weight_hh"].iter().any(|name| parameter.name.ends_with(name));
            let axes = if is_recurrent { &parameter.shape[1..] } else { &parameter.shape[..] };
            let fan_in: usize = axes[1..].iter().product();
            values.copy_from_slice(&data::uniform(seed, values.len(), (fan_in as f64).sqrt().recip()));
        }
    })
    .expect("tensors of a new model lie in memory row by row");
    model
}

/// The gradient from which a backward pass begins, as `upstream` of PyTorch's `y.backward(upstream)`: handed over and
/// back without a copy, as there.
struct Upstream(RefCell<Vec<f32>>);

impl Upstream {
    fn new(elements: Vec<f32>) -> Self {
        Self(RefCell::new(elements))
    }

    /// Stream 9 in the shape of a result, or one for a scalar.
    fn of<S: Shape, T>(y: &Tensor<S, f32, Cpu, T>) -> Self {
        let n = y.shape().num_elements();
        Self::new(if S::NUM_DIMS == 0 { vec![1.0] } else { data::uniform(9, n, 1.0) })
    }

    /// The backward pass of `y`.
    fn backward<S: Shape>(&self, y: Taped<S>) -> Gradients<f32, Cpu> {
        let of_y = y.retaped::<NoneTape>();
        let mut gradients = kernels::backward_from(y, self.0.take());
        let lent = gradients.get_or_alloc_mut(&of_y).expect("it is there since the first operation");
        self.0.replace(std::mem::take(&mut **lent));
        gradients
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{Group, STEPS, UPDATES, WAYS};

    #[test]
    fn names_are_known_to_the_tables_and_stand_once() {
        let mut names = names();
        assert!(names.iter().all(|name| Group::of(name) != Group::Steps || STEPS.contains(&name.as_str())));
        let is_there = |rule: &str| {
            names.iter().any(|name| name.split_once('/').is_some_and(|(family, _)| family == rule))
        };
        assert!(UPDATES.iter().all(|rule| is_there(rule)));
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    /// What the tables say of each way is what the sides have, and all ways of a case find the same numbers.
    #[test]
    fn ways_are_described_and_agree() {
        let sides = [None].into_iter().chain(Way::ALL.map(Some));
        let sides: Vec<_> = sides.map(|way| (way.map_or(OURS, Way::name), ways::cases(way))).collect();
        let described = |side: &str, case: &str| WAYS.iter().any(|way| (way.side, way.case) == (side, case));
        let all: usize = sides.iter().map(|(_, cases)| cases.len()).sum();
        assert!(sides.iter().all(|(side, cases)| cases.iter().all(|(case, _)| described(side, case))));
        assert_eq!(all, WAYS.len());
        for (case, prepare) in &sides[0].1 {
            let ours = prepare(case).values;
            for (side, cases) in &sides[1..] {
                for (_, prepare) in cases.iter().filter(|(name, _)| name == case) {
                    let other = prepare(case).values;
                    assert_eq!(crate::worker::difference(&ours, &other, 1e-9), None, "{side} of {case}");
                }
            }
        }
    }

    #[test]
    fn upstream_gradients_arrive() {
        let x = device().tensor([[1.0_f32, -2.0], [3.0, 0.5]]);
        let upstream = Upstream::new(vec![1.0, 10.0, 100.0, 1000.0]);
        for _ in 0..2 {
            let gradients = upstream.backward(x.leaky_trace().square());
            assert_eq!(gradients.get(&x).array(), [[2.0, -40.0], [600.0, 1000.0]]);
        }
    }

    #[test]
    fn models_are_filled_in_order() {
        use layers::prelude::*;
        let model = fill(device().build_module::<(Linear<3, 2>, Tanh, Linear<2, 1>), f32>(), 100);
        assert_eq!(kernels::flat(&model.0.weight), data::weights(100, &[2, 3]));
        assert_eq!(kernels::flat(&model.2.weight), data::weights(102, &[1, 2]));
        assert_eq!(model.0.bias.array(), [0.0; 2]);
    }
}
