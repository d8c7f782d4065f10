//! burn's side of the benchmark, on its backend Flex: what each case computes stands in `../torch`.
//!
//! Only what burn expresses as its users would: layers of `burn::nn`, its functions and its optimisers.
#![forbid(unsafe_code)]

mod operations;

use bench_protocol::data::{labels, uniform, weights};
use bench_protocol::{Case, Side, serve};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::{relu, tanh};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::hint::black_box;

fn main() -> std::io::Result<()> {
    let steps: [(&str, fn(&str) -> Case); 4] =
        [("mlp", |_| mlp()), ("mlp-small", |_| mlp_small()), ("lenet", |_| lenet()), ("vae", |_| vae())];
    let cases: Vec<(String, fn(&str) -> Case)> =
        steps.into_iter().chain(operations::CASES).map(|(name, make)| (name.to_owned(), make)).collect();
    let threads = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let side = Side { name: "burn", version: "0.22.1", threads, cases: &cases };
    serve(side, std::io::stdin().lock(), std::io::stdout().lock())
}

/// A tensor of stream `seed`.
fn stream<const D: usize>(seed: u32, shape: [usize; D], bound: f64, device: &Device) -> Tensor<D> {
    let values = uniform(seed, shape.iter().product(), bound);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Elements in row-major order.
fn elements<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data_as::<f64>().try_to_vec().expect("they were made f64")
}

/// A layer from stream `seed`; burn keeps weights as (inputs, outputs).
fn linear(inputs: usize, outputs: usize, seed: u32, device: &Device) -> Linear {
    let weight = TensorData::new(weights(seed, &[outputs, inputs]), [outputs, inputs]);
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = Param::from_tensor(Tensor::<2>::from_data(weight, device).transpose());
    layer.bias = Some(Param::from_tensor(Tensor::zeros([outputs], device)));
    layer
}

fn conv(channels: [usize; 2], padding: PaddingConfig2d, seed: u32, device: &Device) -> Conv2d {
    let [inputs, outputs] = channels;
    let shape = [outputs, inputs, 5, 5];
    let mut layer = Conv2dConfig::new(channels, [5, 5]).with_padding(padding).init(device);
    layer.weight =
        Param::from_tensor(Tensor::from_data(TensorData::new(weights(seed, &shape), shape), device));
    layer.bias = Some(Param::from_tensor(Tensor::zeros([outputs], device)));
    layer
}

fn adam() -> ModuleOptimizer {
    AdamConfig::new().with_epsilon(1e-8).init()
}

fn training<M: Module + 'static>(
    model: M,
    mut optimizer: ModuleOptimizer,
    learning_rate: f64,
    loss: impl Fn(&M) -> Tensor<1> + 'static,
) -> Case {
    let mut model = Some(model);
    let mut step = move || {
        let before = model.take().expect("it is put back below");
        let value = loss(&before);
        let gradients = GradientsParams::from_grads(value.backward(), &before);
        model = Some(optimizer.step(learning_rate, before, gradients));
        value
    };
    let losses: Vec<f64> = (0..4).map(|_| elements(step())[0]).collect();
    let values = vec![("loss".to_owned(), losses[0]), ("gain".to_owned(), losses[0] - losses[3])];
    Case { values, run: Box::new(move || drop(black_box(step()))) }
}

fn classes(seed: u32, n: usize, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = labels(seed, n, 10).into_iter().map(|label| label as i32).collect();
    Tensor::from_data(TensorData::new(labels, [n]), device)
}

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
    third: Linear,
}

impl Mlp {
    fn new(sizes: [usize; 4], device: &Device) -> Self {
        let layer = |i: usize| linear(sizes[i], sizes[i + 1], 100 + 2 * i as u32, device);
        Self { first: layer(0), second: layer(1), third: layer(2) }
    }

    fn forward(&self, x: Tensor<2>, activation: fn(Tensor<2>) -> Tensor<2>) -> Tensor<2> {
        let h = activation(self.first.forward(x));
        self.third.forward(activation(self.second.forward(h)))
    }
}

fn mlp() -> Case {
    let device = Device::flex().autodiff();
    let (x, y) = (stream(1, [128, 784], 1.0, &device), classes(2, 128, &device));
    let loss = CrossEntropyLossConfig::new().init(&device);
    training(Mlp::new([784, 512, 512, 10], &device), adam(), 1e-3, move |model| {
        loss.forward(model.forward(x.clone(), relu), y.clone())
    })
}

fn mlp_small() -> Case {
    let device = Device::flex().autodiff();
    let x = stream(1, [64, 2], 1.0, &device);
    let y: Vec<i32> = labels(2, 64, 2).into_iter().map(|label| label as i32).collect();
    let y: Tensor<1, Int> = Tensor::from_data(TensorData::new(y, [64]), &device);
    let loss = CrossEntropyLossConfig::new().init(&device);
    training(Mlp::new([2, 64, 64, 2], &device), adam(), 1e-3, move |model| {
        loss.forward(model.forward(x.clone(), tanh), y.clone())
    })
}

#[derive(Module, Debug)]
struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    head: Mlp,
}

fn lenet() -> Case {
    let device = Device::flex().autodiff();
    let head = Mlp {
        first: linear(400, 120, 104, &device),
        second: linear(120, 84, 106, &device),
        third: linear(84, 10, 108, &device),
    };
    let model = LeNet {
        conv1: conv([1, 6], PaddingConfig2d::Explicit(2, 2, 2, 2), 100, &device),
        conv2: conv([6, 16], PaddingConfig2d::Valid, 102, &device),
        head,
    };
    let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let (x, y) = (stream(1, [64, 1, 28, 28], 1.0, &device), classes(2, 64, &device));
    let loss = CrossEntropyLossConfig::new().init(&device);
    training(model, optimizer, 0.01, move |model| {
        let h = pool.forward(relu(model.conv1.forward(x.clone())));
        let h: Tensor<2> = pool.forward(relu(model.conv2.forward(h))).flatten(1, 3);
        loss.forward(model.head.forward(h, relu), y.clone())
    })
}

#[derive(Module, Debug)]
struct Vae {
    encoder: Linear,
    mean: Linear,
    log_var: Linear,
    decoder: Linear,
    logits: Linear,
}

fn vae() -> Case {
    let device = Device::flex().autodiff();
    let model = Vae {
        encoder: linear(784, 400, 100, &device),
        mean: linear(400, 20, 102, &device),
        log_var: linear(400, 20, 104, &device),
        decoder: linear(20, 400, 106, &device),
        logits: linear(400, 784, 108, &device),
    };
    let (x, noise) = (stream(1, [128, 784], 1.0, &device).abs(), stream(2, [128, 20], 1.7, &device));
    training(model, adam(), 1e-3, move |model| {
        let h = relu(model.encoder.forward(x.clone()));
        let (mean, log_var) = (model.mean.forward(h.clone()), model.log_var.forward(h));
        let z = mean.clone() + noise.clone() * (log_var.clone() * 0.5).exp();
        let logits = model.logits.forward(relu(model.decoder.forward(z)));
        // log(1 + eˡ) − l x, stable: max(l, 0) + log(1 + e^−|l|)
        let soft = relu(logits.clone()) + logits.clone().abs().neg().exp().log1p();
        let reconstruction = (soft - logits * x.clone()).sum() / 128.0;
        let kl = (mean.square() + log_var.clone().exp() - log_var - 1.0).sum() * (0.5 / 128.0);
        reconstruction + kl
    })
}
