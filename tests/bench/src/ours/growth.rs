//! A network of one hidden layer, attention, and a product with a sparse matrix, at growing sizes.
use super::operations::{both, forward, random_graph};
use super::{Prepare, device, elements, fill, uniform};
use bench_protocol::{Case, data::fingerprint};
use kernels::InputGradient;
use kernels::sequence::{Attention, Mask, attention::attention};
use layers::prelude::*;
use std::hint::black_box;

/// Name and preparation of each.
pub(super) fn cases() -> Vec<(&'static str, Prepare)> {
    vec![
        ("batch/1", |_| growth::<64>(1)),
        ("batch/4", |_| growth::<64>(4)),
        ("batch/16", |_| growth::<64>(16)),
        ("batch/64", |_| growth::<64>(64)),
        ("batch/256", |_| growth::<64>(256)),
        ("batch/1024", |_| growth::<64>(1024)),
        ("batch/4096", |_| growth::<64>(4096)),
        ("width/16", |_| growth::<16>(64)),
        ("width/64", |_| growth::<64>(64)),
        ("width/256", |_| growth::<256>(64)),
        ("width/1024", |_| growth::<1024>(64)),
        ("width/4096", |_| growth::<4096>(64)),
        ("attention/16", |_| causal(16)),
        ("attention/64", |_| causal(64)),
        ("attention/256", |_| causal(256)),
        ("attention/1024", |_| causal(1024)),
        ("attention/4096", |_| causal(4096)),
        ("edges/10000", |_| edges(1_000, 10)),
        ("edges/100000", |_| edges(10_000, 10)),
        ("edges/1000000", |_| edges(100_000, 10)),
        ("edges/10000000", |_| edges(1_000_000, 10)),
        ("density/1000000", |_| edges(1_000_000, 1)),
        ("density/2000000", |_| edges(1_000_000, 2)),
        ("density/4000000", |_| edges(1_000_000, 4)),
        ("density/8000000", |_| edges(1_000_000, 8)),
    ]
}

fn growth<const W: usize>(batch: usize) -> Case {
    let mut model = fill(device().build_module::<(Linear<W, W, Tanh>, Linear<W, 1>), f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let x = uniform(1, (batch, Const::<W>), 1.0);
    let zero = device().zeros_like(&(batch, Const::<1>));
    let compute = move || {
        let loss = kernels::mse_mean(model.forward(x.leaky_trace()), zero.clone());
        (loss.array(), loss.backward(), model.0.weight.clone())
    };
    let (loss, gradients, weight) = compute();
    let mut values = vec![("loss".to_owned(), f64::from(loss))];
    values.extend(fingerprint("d0", elements(&gradients.get(&weight))));
    Case { values, run: Box::new(move || drop(black_box(compute()))) }
}

fn edges(nodes: usize, degree: usize) -> Case {
    let (matrix, x) = (random_graph(nodes, degree), uniform(4, (nodes, Const::<16>), 1.0));
    forward(move || kernels::sparse::spmm(&matrix, x.clone()))
}

fn causal(length: usize) -> Case {
    let shape = (Const::<1>, length, Const::<128>);
    let options = Attention::new(4).mask(Mask::causal());
    both([1, 2, 3].map(|seed| uniform(seed, shape, 1.0)).into(), move |(q, k, v)| {
        attention(q.leaky_trace(), k.leaky_trace(), v.leaky_trace(), &options)
    })
}
