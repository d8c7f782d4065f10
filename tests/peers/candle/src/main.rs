//! candle's side of the benchmark, on the processor: what each case computes stands in `../torch`.
//!
//! Only what candle expresses as its users would. Its SGD has no momentum, which is written here with its operations;
//! its AdamW without decay is Adam.
#![forbid(unsafe_code)]

use bench_protocol::data::{fingerprint, labels, uniform, weights};
use bench_protocol::{Case, Side, serve};
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::loss::cross_entropy;
use candle_nn::{AdamW, Conv2d, Conv2dConfig, Linear, Module, Optimizer, ParamsAdamW};
use std::hint::black_box;

fn main() -> std::io::Result<()> {
    let cases: [(&str, fn(&str) -> Case); 16] = [
        ("mlp", |_| mlp().unwrap()),
        ("mlp-small", |_| mlp_small().unwrap()),
        ("lenet", |_| lenet().unwrap()),
        ("vae", |_| vae().unwrap()),
        ("exp/10k", |_| forward(4.0, &[10_000], |x| x.exp()).unwrap()),
        ("exp/1m", |_| forward(4.0, &[1_000_000], |x| x.exp()).unwrap()),
        ("sum-all/10k", |_| forward(1.0, &[10_000], |x| x.sum_all()).unwrap()),
        ("sum-all/1m", |_| forward(1.0, &[1_000_000], |x| x.sum_all()).unwrap()),
        ("sum-rows/100x100", |_| forward(1.0, &[100, 100], |x| x.sum(0)).unwrap()),
        ("sum-rows/1000x1000", |_| forward(1.0, &[1000, 1000], |x| x.sum(0)).unwrap()),
        ("argmax/100x100", |_| forward(1.0, &[100, 100], |x| x.argmax(1)).unwrap()),
        ("argmax/1000x1000", |_| forward(1.0, &[1000, 1000], |x| x.argmax(1)).unwrap()),
        ("matmul/128", |_| matmul(128).unwrap()),
        ("matmul/512", |_| matmul(512).unwrap()),
        ("batch/64", |_| growth(64, 64).unwrap()),
        ("width/1024", |_| growth(64, 1024).unwrap()),
    ];
    let cases = cases.map(|(name, prepare)| (name.to_owned(), prepare));
    let threads = candle_core::utils::get_num_threads();
    let side = Side { name: "candle", version: "0.11.1", threads, cases: &cases };
    serve(side, std::io::stdin().lock(), std::io::stdout().lock())
}

/// A tensor of stream `seed`.
fn stream(seed: u32, shape: &[usize], bound: f64) -> Result<Tensor> {
    Tensor::from_vec(uniform(seed, shape.iter().product(), bound), shape, &Device::Cpu)
}

/// Elements in row-major order.
fn elements(x: &Tensor) -> Result<Vec<f64>> {
    x.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1()
}

fn forward(bound: f64, shape: &[usize], f: impl Fn(&Tensor) -> Result<Tensor> + 'static) -> Result<Case> {
    let x = stream(1, shape, bound)?;
    let values = fingerprint("y", elements(&f(&x)?)?);
    Ok(Case { values, run: Box::new(move || drop(black_box(f(&x).unwrap()))) })
}

fn matmul(n: usize) -> Result<Case> {
    let y = stream(2, &[n, n], 1.0)?;
    forward(1.0, &[n, n], move |x| x.matmul(&y))
}

/// Parameters in the order in which they are made; weights from the streams 100, 101, …, biases zero.
#[derive(Default)]
struct Parameters(Vec<Var>);

impl Parameters {
    fn weight(&mut self, shape: &[usize]) -> Result<Tensor> {
        let seed = 100 + self.0.len() as u32;
        self.0.push(Var::from_vec(weights(seed, shape), shape, &Device::Cpu)?);
        Ok(self.0[self.0.len() - 1].as_tensor().clone())
    }

    fn bias(&mut self, n: usize) -> Result<Tensor> {
        self.0.push(Var::zeros(n, candle_core::DType::F32, &Device::Cpu)?);
        Ok(self.0[self.0.len() - 1].as_tensor().clone())
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Result<Linear> {
        Ok(Linear::new(self.weight(&[outputs, inputs])?, Some(self.bias(outputs)?)))
    }

    fn conv(&mut self, inputs: usize, outputs: usize, padding: usize) -> Result<Conv2d> {
        let config = Conv2dConfig { padding, ..Default::default() };
        Ok(Conv2d::new(self.weight(&[outputs, inputs, 5, 5])?, Some(self.bias(outputs)?), config))
    }
}

fn adam(parameters: Parameters) -> Result<impl FnMut(&GradStore) -> Result<()>> {
    let params = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() };
    let mut adam = AdamW::new(parameters.0, params)?;
    Ok(move |gradients: &GradStore| adam.step(gradients))
}

fn momentum(parameters: Parameters) -> Result<impl FnMut(&GradStore) -> Result<()>> {
    let mut velocities = parameters.0.iter().map(|p| p.zeros_like()).collect::<Result<Vec<_>>>()?;
    Ok(move |gradients: &GradStore| {
        for (parameter, velocity) in parameters.0.iter().zip(&mut velocities) {
            let gradient = gradients.get(parameter).expect("every parameter is used");
            *velocity = ((&*velocity * 0.9)? + gradient)?;
            parameter.set(&(parameter.as_tensor() - (&*velocity * 0.01)?)?)?;
        }
        Ok(())
    })
}

fn training(
    mut update: impl FnMut(&GradStore) -> Result<()> + 'static,
    loss: impl Fn() -> Result<Tensor> + 'static,
) -> Result<Case> {
    let mut step = move || -> Result<Tensor> {
        let value = loss()?;
        update(&value.backward()?)?;
        Ok(value)
    };
    let losses: Vec<f64> = (0..4).map(|_| Ok(elements(&step()?)?[0])).collect::<Result<_>>()?;
    let values = vec![("loss".to_owned(), losses[0]), ("gain".to_owned(), losses[0] - losses[3])];
    Ok(Case { values, run: Box::new(move || drop(black_box(step().unwrap()))) })
}

fn classes(seed: u32, n: usize, classes: usize) -> Result<Tensor> {
    let labels: Vec<u32> = labels(seed, n, classes).into_iter().map(|label| label as u32).collect();
    Tensor::from_vec(labels, n, &Device::Cpu)
}

fn mlp() -> Result<Case> {
    let mut p = Parameters::default();
    let (a, b, c) = (p.linear(784, 512)?, p.linear(512, 512)?, p.linear(512, 10)?);
    let (x, y) = (stream(1, &[128, 784], 1.0)?, classes(2, 128, 10)?);
    training(adam(p)?, move || {
        let h = b.forward(&a.forward(&x)?.relu()?)?.relu()?;
        cross_entropy(&c.forward(&h)?, &y)
    })
}

fn mlp_small() -> Result<Case> {
    let mut p = Parameters::default();
    let (a, b, c) = (p.linear(2, 64)?, p.linear(64, 64)?, p.linear(64, 2)?);
    let (x, y) = (stream(1, &[64, 2], 1.0)?, classes(2, 64, 2)?);
    training(adam(p)?, move || {
        let h = b.forward(&a.forward(&x)?.tanh()?)?.tanh()?;
        cross_entropy(&c.forward(&h)?, &y)
    })
}

/// The largest of each 2 × 2 block, with its gradient.
///
/// candle 0.11.1 multiplies the gradient of a maximum by the mean of the mask where it means to divide by its sum, so a
/// quarter of it arrives: four times the result less three times the same as a constant mends that.
fn max_pool(x: &Tensor) -> Result<Tensor> {
    let y = x.max_pool2d(2)?;
    (&y * 4.0)? - (y.detach() * 3.0)?
}

fn lenet() -> Result<Case> {
    let mut p = Parameters::default();
    let (conv1, conv2) = (p.conv(1, 6, 2)?, p.conv(6, 16, 0)?);
    let (a, b, c) = (p.linear(400, 120)?, p.linear(120, 84)?, p.linear(84, 10)?);
    let (x, y) = (stream(1, &[64, 1, 28, 28], 1.0)?, classes(2, 64, 10)?);
    training(momentum(p)?, move || {
        let h = max_pool(&conv1.forward(&x)?.relu()?)?;
        let h = max_pool(&conv2.forward(&h)?.relu()?)?.flatten_from(1)?;
        let h = b.forward(&a.forward(&h)?.relu()?)?.relu()?;
        cross_entropy(&c.forward(&h)?, &y)
    })
}

fn vae() -> Result<Case> {
    let mut p = Parameters::default();
    let (encoder, mean, log_var) = (p.linear(784, 400)?, p.linear(400, 20)?, p.linear(400, 20)?);
    let (decoder, logits) = (p.linear(20, 400)?, p.linear(400, 784)?);
    let (x, noise) = (stream(1, &[128, 784], 1.0)?.abs()?, stream(2, &[128, 20], 1.7)?);
    training(adam(p)?, move || {
        let h = encoder.forward(&x)?.relu()?;
        let (mean, log_var) = (mean.forward(&h)?, log_var.forward(&h)?);
        let z = (&mean + (&noise * (&log_var * 0.5)?.exp()?)?)?;
        let logits = logits.forward(&decoder.forward(&z)?.relu()?)?;
        // log(1 + eˡ) − l x, stable: max(l, 0) + log(1 + e^−|l|)
        let soft = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        let reconstruction = ((soft - (&logits * &x)?)?.sum_all()? / 128.0)?;
        let kl = (((mean.sqr()? + log_var.exp()?)? - log_var)? - 1.0)?.sum_all()?;
        reconstruction + (kl * (0.5 / 128.0))?
    })
}

fn growth(batch: usize, width: usize) -> Result<Case> {
    let mut p = Parameters::default();
    let (a, b) = (p.linear(width, width)?, p.linear(width, 1)?);
    let x = stream(1, &[batch, width], 1.0)?;
    let first = p.0[0].clone();
    let compute = move || -> Result<(Tensor, GradStore)> {
        let loss = b.forward(&a.forward(&x)?.tanh()?)?.sqr()?.mean_all()?;
        let gradients = loss.backward()?;
        Ok((loss, gradients))
    };
    let (loss, gradients) = compute()?;
    let mut values = vec![("loss".to_owned(), elements(&loss)?[0])];
    values.extend(fingerprint("d0", elements(gradients.get(&first).expect("it is used"))?));
    Ok(Case { values, run: Box::new(move || drop(black_box(compute().unwrap()))) })
}
