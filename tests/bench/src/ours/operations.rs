//! Single operations; `tests/peers/torch/operations.py` says what each computes.
use super::{Array, Prepare, Taped, Upstream, elements, uniform, weight};
use bench_protocol::data::{fingerprint, labels};
use bench_protocol::{Case, data};
use dfdx::prelude::*;
use kernels::convolution::{Convolution, OutputPadding, Steps, conv_transpose2d, conv2d};
use kernels::sparse::{Csr, Pattern};
use kernels::{Correction, Gelu, InputGradient, Relu, Tanh};
use layers::Step;
use std::hint::black_box;

/// Name and preparation of each.
pub(super) fn cases() -> Vec<(&'static str, Prepare)> {
    vec![
        ("exp/10k", |_| exp(10_000)),
        ("exp/1m", |_| exp(1_000_000)),
        ("tanh/10k", |_| activation(10_000, Tanh)),
        ("tanh/1m", |_| activation(1_000_000, Tanh)),
        ("gelu/10k", |_| activation(10_000, Gelu)),
        ("gelu/1m", |_| activation(1_000_000, Gelu)),
        ("sum-all/10k", |_| sum_all(10_000)),
        ("sum-all/1m", |_| sum_all(1_000_000)),
        ("bce-with-logits/10k", |_| bce_with_logits(10_000)),
        ("bce-with-logits/1m", |_| bce_with_logits(1_000_000)),
        ("add-row/100x100", |_| add_row(100, 100)),
        ("add-row/1000x1000", |_| add_row(1000, 1000)),
        ("sum-rows/100x100", |_| sum_rows(100, 100)),
        ("sum-rows/1000x1000", |_| sum_rows(1000, 1000)),
        ("variance/100x100", |_| variance(100, 100)),
        ("variance/1000x1000", |_| variance(1000, 1000)),
        ("logsumexp/100x100", |_| logsumexp(100, 100)),
        ("logsumexp/1000x1000", |_| logsumexp(1000, 1000)),
        ("argmax/100x100", |_| argmax(100, 100)),
        ("argmax/1000x1000", |_| argmax(1000, 1000)),
        ("softmax/2048x64", |_| softmax(2048, 64)),
        ("softmax/1000x1000", |_| softmax(1000, 1000)),
        ("cross-entropy/128x10", |_| cross_entropy(128, 10)),
        ("cross-entropy/1024x1000", |_| cross_entropy(1024, 1000)),
        ("matmul/128", |_| matmul(128)),
        ("matmul/512", |_| matmul(512)),
        ("matmul-batched/32x64x32x64", |_| matmul_batched([32, 64, 32, 64])),
        ("matmul-batched/128x64x64x64", |_| matmul_batched([128, 64, 64, 64])),
        ("squared-distances/128x16", |_| squared_distances(128, 16)),
        ("squared-distances/1024x64", |_| squared_distances(1024, 64)),
        ("linear-relu/128x784x512", |_| linear_relu::<784, 512>(128)),
        ("linear-relu/2048x128x512", |_| linear_relu::<128, 512>(2048)),
        ("conv3x3/32x16x32x32", |_| convolution::<3, 1, 1, 1>([32, 16, 32], 16)),
        ("conv3x3/32x64x8x8", |_| convolution::<3, 1, 1, 1>([32, 64, 8], 64)),
        ("conv3x3-stride2/32x16x32x32", |_| convolution::<3, 2, 1, 1>([32, 16, 32], 32)),
        ("conv3x3-stride2/32x32x16x16", |_| convolution::<3, 2, 1, 1>([32, 32, 16], 64)),
        ("conv1x1/32x16x32x32", |_| convolution::<1, 1, 0, 1>([32, 16, 32], 16)),
        ("conv1x1/32x64x16x16", |_| convolution::<1, 1, 0, 1>([32, 64, 16], 64)),
        ("conv5x5/64x1x28x28", |_| convolution::<5, 1, 2, 1>([64, 1, 28], 6)),
        ("conv5x5/64x6x14x14", |_| convolution::<5, 1, 0, 1>([64, 6, 14], 16)),
        ("conv3x3-depthwise/32x32x16x16", |_| convolution::<3, 1, 1, 32>([32, 32, 16], 32)),
        ("conv3x3-depthwise/32x64x32x32", |_| convolution::<3, 1, 1, 64>([32, 64, 32], 64)),
        ("conv2x2-transposed/4x64x16x16", |_| transposed_convolution::<2, 2>([4, 64, 16], 32)),
        ("conv2x2-transposed/4x32x32x32", |_| transposed_convolution::<2, 2>([4, 32, 32], 16)),
        ("max-pool/32x16x32x32", |_| max_pool([32, 16, 32, 32])),
        ("max-pool/32x64x16x16", |_| max_pool([32, 64, 16, 16])),
        ("batch-norm-relu/32x16x32x32", |_| batch_norm_relu([32, 16, 32, 32])),
        ("batch-norm-relu/32x64x8x8", |_| batch_norm_relu([32, 64, 8, 8])),
        ("layer-norm/128x512", |_| layer_norm(128, 512)),
        ("layer-norm/2048x128", |_| layer_norm(2048, 128)),
        ("adam/10k", |_| adam::<10_000>()),
        ("adam/1m", |_| adam::<1_000_000>()),
        ("spmm/1000000x64", |_| spmm::<64>(100_000)),
    ]
}

/// Times `compute` without a tape.
pub(super) fn forward<S: Shape>(compute: impl Fn() -> Array<S> + 'static) -> Case {
    let values = fingerprint("y", elements(&compute()));
    Case { values, run: Box::new(move || drop(black_box(compute()))) }
}

/// Times `compute(&leaves)` and its backward pass from the upstream gradient of stream 9.
pub(super) fn both<L: Leaves, S: Shape>(leaves: L, compute: impl Fn(&L) -> Taped<S> + 'static) -> Case {
    let y = compute(&leaves);
    let mut values = fingerprint("y", elements(&y));
    let upstream = Upstream::of(&y);
    values.extend(leaves.fingerprints(&upstream.backward(y)));
    Case { values, run: Box::new(move || drop(black_box(upstream.backward(compute(&leaves))))) }
}

/// Tensors whose gradients a case computes.
pub(super) trait Leaves: 'static {
    /// Fingerprints `d0`, `d1`, … of their gradients.
    fn fingerprints(&self, gradients: &Gradients<f32, Cpu>) -> Vec<(String, f64)>;
}

macro_rules! leaves {
    ($($shape:ident $index:tt),*) => {
        impl<$($shape: Shape),*> Leaves for ($(Array<$shape>,)*) {
            fn fingerprints(&self, gradients: &Gradients<f32, Cpu>) -> Vec<(String, f64)> {
                let each = [$(fingerprint(concat!("d", $index), elements(&gradients.get(&self.$index)))),*];
                each.concat()
            }
        }
    };
}
leaves!(A 0);
leaves!(A 0, B 1);
leaves!(A 0, B 1, C 2);

fn activation(n: usize, function: impl kernels::Activation + 'static) -> Case {
    both((uniform(1, (n,), 4.0),), move |(x,)| kernels::activate(x.leaky_trace(), function))
}

fn exp(n: usize) -> Case {
    let x = uniform(1, (n,), 4.0);
    forward(move || kernels::exp(x.clone()))
}

fn add_row(rows: usize, cols: usize) -> Case {
    both((uniform(1, (rows, cols), 1.0), uniform(2, (cols,), 1.0)), |(x, row)| {
        kernels::add_along(x.leaky_trace(), row.leaky_trace(), Axis::<0>)
    })
}

fn sum_rows(rows: usize, cols: usize) -> Case {
    let x = uniform(1, (rows, cols), 1.0);
    forward(move || kernels::sum_along(x.clone(), Axis::<0>))
}

fn variance(rows: usize, cols: usize) -> Case {
    let x = uniform(1, (rows, cols), 1.0);
    forward(move || kernels::var_along(x.clone(), Axis::<1>, Correction::Population))
}

fn logsumexp(rows: usize, cols: usize) -> Case {
    both((uniform(1, (rows, cols), 4.0),), |(x,)| kernels::logsumexp_along(x.leaky_trace(), Axis::<1>))
}

fn argmax(rows: usize, cols: usize) -> Case {
    let x = uniform(1, (rows, cols), 1.0);
    let values = fingerprint("y", kernels::argmax_along(&x, Axis::<1>).into_iter().map(|i| i as f64));
    Case { values, run: Box::new(move || drop(black_box(kernels::argmax_along(&x, Axis::<1>)))) }
}

fn sum_all(n: usize) -> Case {
    let x = uniform(1, (n,), 1.0);
    forward(move || kernels::sum_all(x.clone()))
}

fn bce_with_logits(n: usize) -> Case {
    let probs = data::uniform(2, n, 1.0).into_iter().map(f32::abs).collect();
    let probs = super::device().tensor_from_vec(probs, (n,));
    both((uniform(1, (n,), 4.0),), move |(x,)| kernels::bce_with_logits_mean(x.leaky_trace(), &probs))
}

fn softmax(rows: usize, cols: usize) -> Case {
    both((uniform(1, (rows, cols), 4.0),), |(x,)| kernels::softmax(x.leaky_trace()))
}

fn cross_entropy(rows: usize, classes: usize) -> Case {
    let labels = labels(2, rows, classes);
    both((uniform(1, (rows, classes), 4.0),), move |(x,)| {
        kernels::cross_entropy_mean(x.leaky_trace(), &labels)
    })
}

fn matmul(n: usize) -> Case {
    let (x, y) = (uniform(1, (n, n), 1.0), uniform(2, (n, n), 1.0));
    forward(move || kernels::matmul(x.clone(), y.clone()))
}

fn matmul_batched([b, m, k, n]: [usize; 4]) -> Case {
    both((uniform(1, (b, m, k), 1.0), uniform(2, (b, k, n), 1.0)), |(x, y)| {
        kernels::matmul(x.leaky_trace(), y.leaky_trace())
    })
}

fn squared_distances(n: usize, features: usize) -> Case {
    both((uniform(1, (n, features), 1.0), uniform(2, (n, features), 1.0)), |(x, y)| {
        kernels::squared_distances(x.leaky_trace(), y.leaky_trace())
    })
}

fn linear_relu<const I: usize, const O: usize>(batch: usize) -> Case {
    let shape = (batch, Const::<I>);
    let leaves =
        (uniform(1, shape, 1.0), weight(2, Rank2::<O, I>::default()), uniform(3, Rank1::<O>::default(), 0.1));
    both(leaves, |(x, w, b)| kernels::linear(x.leaky_trace(), w, b, Relu, InputGradient::Needed))
}

fn spmm<const F: usize>(nodes: usize) -> Case {
    let matrix = random_graph(nodes, 10);
    both((uniform(4, (nodes, Const::<F>), 1.0),), move |(x,)| kernels::sparse::spmm(&matrix, x.leaky_trace()))
}

/// A random graph with `degree` weighted neighbours a node, one in each of as many equal parts of the nodes.
pub(super) fn random_graph(nodes: usize, degree: usize) -> Csr<f32> {
    let part = nodes / degree;
    let near = labels(2, degree * nodes, part).into_iter().enumerate();
    let columns = near.map(|(i, column)| ((i % degree) * part + column) as u32).collect();
    let starts = (0..=nodes).map(|row| degree * row).collect();
    let pattern = Pattern::try_new(nodes, nodes, starts, columns).expect("columns rise in each row");
    Csr::try_new(pattern, data::uniform(3, degree * nodes, 1.0)).expect("one weight for each entry")
}

/// Batch, channels and extent of the input; output channels.
fn convolution<const K: usize, const S: usize, const P: usize, const G: usize>(
    [b, c, extent]: [usize; 3],
    outputs: usize,
) -> Case {
    let leaves = (
        uniform(1, (b, c, extent, extent), 1.0),
        weight(2, (outputs, c / G, Const::<K>, Const::<K>)),
        uniform(3, (outputs,), 0.1),
    );
    let convolution = Convolution::square(Steps::<S, P>).in_groups::<G>();
    both(leaves, move |(x, w, b)| conv2d(x.leaky_trace(), w, Some(b), convolution))
}

/// The same upwards.
fn transposed_convolution<const K: usize, const S: usize>(
    [b, c, extent]: [usize; 3],
    outputs: usize,
) -> Case {
    let leaves = (
        uniform(1, (b, c, extent, extent), 1.0),
        weight(2, (c, outputs, Const::<K>, Const::<K>)),
        uniform(3, (outputs,), 0.1),
    );
    let up = Convolution::square(Steps::<S>);
    both(leaves, move |(x, w, b)| conv_transpose2d(x.leaky_trace(), w, Some(b), up, OutputPadding::<0, 0>))
}

fn max_pool([b, c, h, w]: [usize; 4]) -> Case {
    both((uniform(1, (b, c, h, w), 1.0),), |(x,)| {
        kernels::max_pool2d(x.leaky_trace(), kernels::pooling::Floor::<2, 2>).output
    })
}

/// ε of PyTorch's normalisations.
const EPSILON: f64 = 1e-5;

fn batch_norm_relu([b, c, h, w]: [usize; 4]) -> Case {
    let leaves = (uniform(1, (b, c, h, w), 1.0), uniform(2, (c,), 1.0), uniform(3, (c,), 1.0));
    both(leaves, |(x, w, b)| kernels::batch_norm(x.leaky_trace(), w, b, EPSILON, Relu).output)
}

fn layer_norm(rows: usize, cols: usize) -> Case {
    let leaves = (uniform(1, (rows, cols), 1.0), uniform(2, (cols,), 1.0), uniform(3, (cols,), 1.0));
    both(leaves, |(x, w, b)| kernels::layer_norm(x.leaky_trace(), w, b, EPSILON))
}

fn adam<const N: usize>() -> Case {
    let mut parameter = uniform(1, Rank1::<N>::default(), 1.0);
    let gradient = Upstream::new(data::uniform(2, N, 1.0));
    let mut optimizer =
        layers::Adam::<_, f32, Cpu>::try_new(&parameter, Default::default()).expect("the defaults are legal");
    let mut gradients = gradient.backward(parameter.leaky_trace() * 1.0);
    for _ in 0..3 {
        optimizer.step(&mut parameter, &mut gradients).expect("the parameter is the optimiser's own");
    }
    let values = fingerprint("p", elements(&parameter));
    let step = move || _ = optimizer.step(&mut parameter, &mut gradients).expect("it was possible before");
    Case { values, run: Box::new(step) }
}
