//! Digits as flat arrays and training runs of fully connected networks: what the experiments of lectures 5 to 7 share.
use datasets::{Images, digits, mnist};
use dfdx::prelude::{AsArray, Backward, Cpu, OwnedTape, Rank0, Tensor, TensorFromVec, Trace};
use kernels::random::Key;
use kernels::{ActivationKind, cross_entropy_mean};
use layers::{Momentum, SgdConfig, Step};

use super::Data;
use crate::chain::{Batch, Chain, ChainSgd};
use crate::regularize::memorization::answers;

/// The network that these experiments train.
pub(super) type Net = Chain<f32, Cpu>;
/// A loss with its tape.
pub(super) type Loss = Tensor<Rank0, f32, Cpu, OwnedTape<f32, Cpu>>;

/// Images as rows of numbers in \[0, 1\], and their classes.
#[derive(Clone)]
pub(super) struct Digits {
    pub(super) x: Vec<f32>,
    pub(super) labels: Vec<usize>,
    pub(super) features: usize,
}

/// Classes of both sets of digits.
pub(super) const CLASSES: usize = 10;

impl Digits {
    fn of<const H: usize, const W: usize>(images: &Images<1, H, W>) -> Self {
        let x = (0..images.len()).flat_map(|i| images.unit_values::<f32>(i)).collect();
        Self { x, labels: images.labels(), features: H * W }
    }

    /// `train` images to learn from and `test` others.
    pub(super) fn split(data: Data, train: usize, test: usize) -> Result<(Self, Self), lab::Error> {
        match data {
            Data::Mnist => {
                let split = mnist().front_back(train, test)?;
                Ok((Self::of(&split.train), Self::of(&split.test)))
            }
            Data::Digits => {
                let split = digits().permuted(0).front_back(train, test)?;
                Ok((Self::of(&split.train), Self::of(&split.test)))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Height and width of an image.
    pub(super) fn size(&self) -> (usize, usize) {
        let side = self.features.isqrt();
        (side, side)
    }

    pub(super) fn row(&self, i: usize) -> &[f32] {
        &self.x[i * self.features..(i + 1) * self.features]
    }

    /// The rows as a batch, with their labels.
    pub(super) fn batch(&self, rows: &[usize]) -> (Batch<f32, Cpu>, Vec<usize>) {
        let x: Vec<f32> = rows.iter().flat_map(|&i| self.row(i)).copied().collect();
        let labels = rows.iter().map(|&i| self.labels[i]).collect();
        (tensor(x, (rows.len(), self.features)), labels)
    }

    /// All rows.
    pub(super) fn whole(&self) -> Batch<f32, Cpu> {
        tensor(self.x.clone(), (self.len(), self.features))
    }
}

pub(super) fn tensor(values: Vec<f32>, shape: (usize, usize)) -> Batch<f32, Cpu> {
    Cpu::default().tensor_from_vec(values, shape)
}

/// How a run descends.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) epochs: usize,
    pub(super) batch: usize,
    pub(super) learning_rate: f64,
    pub(super) momentum: f64,
    pub(super) weight_decay: f64,
}

impl Plan {
    pub(super) fn optimizer(&self, net: &Net) -> Result<ChainSgd<f32>, lab::Error> {
        let momentum = if self.momentum > 0.0 { Momentum::HeavyBall(self.momentum) } else { Momentum::None };
        let config =
            SgdConfig { learning_rate: self.learning_rate, momentum, weight_decay: self.weight_decay };
        ChainSgd::try_new(net, config).map_err(lab::Error::unit)
    }
}

/// Makes a network with these widths and He's weights.
pub(super) fn he_net(widths: &[usize], activation: ActivationKind, key: Key) -> Result<Net, lab::Error> {
    Net::new(&Cpu::default(), widths, activation, crate::chain::he, key).map_err(lab::Error::unit)
}

/// One batch of a run.
pub(super) struct Draw {
    /// Which images.
    pub(super) rows: Vec<usize>,
    /// For whatever is drawn in this step.
    pub(super) key: Key,
}

/// Trains by minibatches, shuffled in each epoch; `loss` sees the network and the draw, `after` each epoch's end and says
/// whether to go on.
pub(super) fn train<M, S: Step<M, f32, Cpu>>(
    model: &mut M,
    optimizer: &mut S,
    images: usize,
    plan: Plan,
    key: Key,
    mut loss: impl FnMut(&mut M, Draw) -> Result<Loss, lab::Error>,
    mut after: impl FnMut(usize, &M, f64) -> Result<bool, lab::Error>,
) -> Result<(), lab::Error> {
    for epoch in 1..=plan.epochs {
        let order = key.fold(epoch as u64).permutation(images);
        let (mut total, mut steps) = (0.0, 0);
        for (step, rows) in order.chunks(plan.batch).enumerate() {
            let draw = Draw { rows: rows.to_vec(), key: key.fold(epoch as u64).fold(1 + step as u64) };
            let value = loss(model, draw)?;
            total += f64::from(value.array());
            steps += 1;
            optimizer.step(model, &mut value.backward())?;
        }
        if !after(epoch, model, total / f64::from(steps))? {
            break;
        }
    }
    Ok(())
}

/// [`train`] with cross-entropy on the images as they are.
pub(super) fn train_plainly(net: &mut Net, set: &Digits, plan: Plan, key: Key) -> Result<(), lab::Error> {
    let mut sgd = plan.optimizer(net)?;
    train(
        net,
        &mut sgd,
        set.len(),
        plan,
        key,
        |net, draw| cross_entropy(net, set, &draw.rows),
        |_, _, _| Ok(true),
    )
}

/// The mean cross-entropy of these images.
pub(super) fn cross_entropy(net: &Net, set: &Digits, rows: &[usize]) -> Result<Loss, lab::Error> {
    let (x, labels) = set.batch(rows);
    Ok(cross_entropy_mean(dfdx::nn::Module::forward(net, x.leaky_trace()), &labels))
}

/// Percent of the images that the network reads right.
pub(super) fn accuracy(net: &Net, set: &Digits) -> Result<f64, lab::Error> {
    let read = answers(net, &set.whole()).map_err(lab::Error::unit)?;
    Ok(percent_equal(&read, &set.labels))
}

pub(super) fn percent_equal(read: &[usize], labels: &[usize]) -> f64 {
    let right = read.iter().zip(labels).filter(|(read, label)| read == label).count();
    100.0 * right as f64 / labels.len() as f64
}
