//! The single operations, as `../torch/operations.py` has them.
//!
//! burn starts a backward pass at a sum. An operation whose result is no scalar is therefore multiplied with the
//! upstream gradient and summed before it goes back: that is how its users give one. The two passes over the result
//! count on burn's side, so only operations that take many times as long (products, convolutions) go both ways here.

use crate::{adam as rule, elements, stream};
use bench_protocol::Case;
use bench_protocol::data::{fingerprint, labels, uniform, weights};
use burn::module::{Module, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::module::{conv_transpose2d, conv2d, linear};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::hint::black_box;

/// Name and maker of each case.
pub const CASES: [(&str, fn(&str) -> Case); 32] = [
    ("exp/10k", |_| forward(4.0, [10_000], |x: Tensor<1>| x.exp())),
    ("exp/1m", |_| forward(4.0, [1_000_000], |x: Tensor<1>| x.exp())),
    ("sum-all/10k", |_| forward(1.0, [10_000], |x: Tensor<1>| x.sum())),
    ("sum-all/1m", |_| forward(1.0, [1_000_000], |x: Tensor<1>| x.sum())),
    ("sum-rows/100x100", |_| forward(1.0, [100, 100], |x: Tensor<2>| x.sum_dim(0))),
    ("sum-rows/1000x1000", |_| forward(1.0, [1000, 1000], |x: Tensor<2>| x.sum_dim(0))),
    ("variance/100x100", |_| forward(1.0, [100, 100], |x: Tensor<2>| x.var_bias(1))),
    ("variance/1000x1000", |_| forward(1.0, [1000, 1000], |x: Tensor<2>| x.var_bias(1))),
    ("argmax/100x100", |_| argmax(100)),
    ("argmax/1000x1000", |_| argmax(1000)),
    ("cross-entropy/128x10", |_| cross_entropy(128, 10)),
    ("cross-entropy/1024x1000", |_| cross_entropy(1024, 1000)),
    ("matmul/128", |_| matmul(128)),
    ("matmul/512", |_| matmul(512)),
    ("matmul-batched/32x64x32x64", |_| matmul_batched(32, [64, 32, 64])),
    ("matmul-batched/128x64x64x64", |_| matmul_batched(128, [64, 64, 64])),
    ("linear-relu/128x784x512", |_| linear_relu(128, 784, 512)),
    ("linear-relu/2048x128x512", |_| linear_relu(2048, 128, 512)),
    ("conv3x3/32x16x32x32", |_| conv([32, 16, 32, 32], [16, 16, 3, 3], [1, 1, 1])),
    ("conv3x3/32x64x8x8", |_| conv([32, 64, 8, 8], [64, 64, 3, 3], [1, 1, 1])),
    ("conv3x3-stride2/32x16x32x32", |_| conv([32, 16, 32, 32], [32, 16, 3, 3], [2, 1, 1])),
    ("conv3x3-stride2/32x32x16x16", |_| conv([32, 32, 16, 16], [64, 32, 3, 3], [2, 1, 1])),
    ("conv1x1/32x16x32x32", |_| conv([32, 16, 32, 32], [16, 16, 1, 1], [1, 0, 1])),
    ("conv1x1/32x64x16x16", |_| conv([32, 64, 16, 16], [64, 64, 1, 1], [1, 0, 1])),
    ("conv5x5/64x1x28x28", |_| conv([64, 1, 28, 28], [6, 1, 5, 5], [1, 2, 1])),
    ("conv5x5/64x6x14x14", |_| conv([64, 6, 14, 14], [16, 6, 5, 5], [1, 0, 1])),
    ("conv3x3-depthwise/32x32x16x16", |_| conv([32, 32, 16, 16], [32, 1, 3, 3], [1, 1, 32])),
    ("conv3x3-depthwise/32x64x32x32", |_| conv([32, 64, 32, 32], [64, 1, 3, 3], [1, 1, 64])),
    ("conv2x2-transposed/4x64x16x16", |_| conv_transposed(4, 64, 16)),
    ("conv2x2-transposed/4x32x32x32", |_| conv_transposed(4, 32, 32)),
    ("adam/10k", |_| adam(10_000)),
    ("adam/1m", |_| adam(1_000_000)),
];

fn forward<const D: usize, const O: usize>(
    bound: f64,
    shape: [usize; D],
    f: impl Fn(Tensor<D>) -> Tensor<O> + 'static,
) -> Case {
    let x = stream(1, shape, bound, &Device::flex());
    let values = fingerprint("y", elements(f(x.clone())));
    Case { values, run: Box::new(move || drop(black_box(f(x.clone())))) }
}

fn argmax(n: usize) -> Case {
    let x: Tensor<2> = stream(1, [n, n], 1.0, &Device::flex());
    let values = fingerprint("y", elements(x.clone().argmax(1).float()));
    Case { values, run: Box::new(move || drop(black_box(x.clone().argmax(1)))) }
}

fn matmul(n: usize) -> Case {
    let y = stream(2, [n, n], 1.0, &Device::flex());
    forward(1.0, [n, n], move |x: Tensor<2>| x.matmul(y.clone()))
}

/// The loss of class indices, with the gradient of the logits.
fn cross_entropy(rows: usize, classes: usize) -> Case {
    let device = Device::flex().autodiff();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let x = stream::<2>(1, [rows, classes], 4.0, &device).require_grad();
    let indices: Vec<i32> = labels(2, rows, classes).into_iter().map(|label| label as i32).collect();
    let y: Tensor<1, Int> = Tensor::from_data(TensorData::new(indices, [rows]), &device);
    let pass = move || {
        let value = loss.forward(x.clone(), y.clone());
        let gradient = x.grad(&value.backward()).expect("the logits are used");
        (value, gradient)
    };
    let (value, gradient) = pass();
    let values = [fingerprint("y", elements(value)), fingerprint("d0", elements(gradient))].concat();
    Case { values, run: Box::new(move || drop(black_box(pass()))) }
}

/// `f(x, weight, bias)` and the gradients of all three.
fn both_ways<const X: usize, const W: usize, const Y: usize>(
    x: Tensor<X>,
    weight: Tensor<W>,
    bias: Option<Tensor<1>>,
    f: impl Fn(Tensor<X>, Tensor<W>, Option<Tensor<1>>) -> Tensor<Y> + 'static,
) -> Case {
    let (x, weight, bias) = (x.require_grad(), weight.require_grad(), bias.map(Tensor::require_grad));
    let shape = f(x.clone(), weight.clone(), bias.clone()).dims();
    let upstream = stream::<Y>(9, shape, 1.0, &x.device());
    let pass = move || {
        let y = f(x.clone(), weight.clone(), bias.clone());
        let gradients = (y.clone() * upstream.clone()).sum().backward();
        let used = "every input is used";
        let bias = bias.as_ref().map(|bias| bias.grad(&gradients).expect(used));
        (y, x.grad(&gradients).expect(used), weight.grad(&gradients).expect(used), bias)
    };
    let (y, x, weight, bias) = pass();
    let mut values = fingerprint("y", elements(y));
    values.extend(fingerprint("d0", elements(x)));
    values.extend(fingerprint("d1", elements(weight)));
    values.extend(bias.map(|bias| fingerprint("d2", elements(bias))).into_iter().flatten());
    Case { values, run: Box::new(move || drop(black_box(pass()))) }
}

fn matmul_batched(batch: usize, [m, k, n]: [usize; 3]) -> Case {
    let device = Device::flex().autodiff();
    let (x, y) = (stream::<3>(1, [batch, m, k], 1.0, &device), stream::<3>(2, [batch, k, n], 1.0, &device));
    both_ways(x, y, None, |x, y, _| x.matmul(y))
}

/// Weights of stream 2, bounded by the fan in.
fn weight<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(weights(2, &shape), shape), device)
}

fn linear_relu(batch: usize, inputs: usize, outputs: usize) -> Case {
    let device = Device::flex().autodiff();
    let x = stream::<2>(1, [batch, inputs], 1.0, &device);
    let bias = stream(3, [outputs], 0.1, &device);
    both_ways(x, weight([outputs, inputs], &device), Some(bias), |x, w, b| relu(linear(x, w.transpose(), b)))
}

fn conv(input: [usize; 4], kernel: [usize; 4], [stride, padding, groups]: [usize; 3]) -> Case {
    let device = Device::flex().autodiff();
    let bias = stream(3, [kernel[0]], 0.1, &device);
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
    both_ways(stream::<4>(1, input, 1.0, &device), weight(kernel, &device), Some(bias), move |x, w, b| {
        conv2d(x, w, b, options.clone())
    })
}

fn conv_transposed(batch: usize, channels: usize, side: usize) -> Case {
    let device = Device::flex().autodiff();
    let x = stream::<4>(1, [batch, channels, side, side], 1.0, &device);
    let bias = stream(3, [channels / 2], 0.1, &device);
    both_ways(x, weight([channels, channels / 2, 2, 2], &device), Some(bias), |x, w, b| {
        conv_transpose2d(x, w, b, ConvTransposeOptions::new([2; 2], [0; 2], [0; 2], [1; 2], 1))
    })
}

#[derive(Module, Debug)]
struct Weights {
    p: Param<Tensor<1>>,
}

/// One step of Adam with a gradient that is there.
fn adam(n: usize) -> Case {
    let device = Device::flex().autodiff();
    let p = Tensor::from_data(TensorData::new(uniform(1, n, 1.0), [n]), &device);
    let mut model = Some(Weights { p: Param::from_tensor(p) });
    let gradient: Tensor<1> = stream(2, [n], 1.0, &Device::flex());
    let mut rule = rule();
    let mut step = move || {
        let before = model.take().expect("it is put back below");
        let mut gradients = GradientsParams::new();
        gradients.register(before.p.id, gradient.clone());
        let after = rule.step(1e-3, before, gradients);
        let p = after.p.val();
        model = Some(after);
        p
    };
    let p = (0..3).map(|_| step()).last().expect("three steps");
    Case { values: fingerprint("p", elements(p)), run: Box::new(move || drop(black_box(step()))) }
}
