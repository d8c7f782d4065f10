//! Short training runs on MNIST, which several experiments of lecture 8 share.

use datasets::{Batches, Images, Split, mnist};
use dfdx::nn::TensorCollection;
use lab::Seed;
use layers::prelude::*;
use layers::{Schedule, Step, StepError};

/// One hidden layer of 64.
pub(super) type Shallow = (Linear<784, 64, Relu>, Linear<64, 10>);
/// Two hidden layers of 64.
pub(super) type Deep = (Linear<784, 64, Relu>, Linear<64, 64, Relu>, Linear<64, 10>);
/// [`Shallow`] in memory.
pub(super) type ShallowModel = <Shallow as BuildOnDevice<Cpu, f32>>::Built;

type Pixels<T> = Tensor<(usize, Const<784>), f32, Cpu, T>;
type Logits<T> = Tensor<(usize, Const<10>), f32, Cpu, T>;
type Tape = OwnedTape<f32, Cpu>;

/// What these runs ask of a model.
pub(super) trait Reader:
    TensorCollection<f32, Cpu>
    + Module<Pixels<Tape>, Output = Logits<Tape>>
    + Module<Pixels<NoneTape>, Output = Logits<NoneTape>>
{
}
impl<M> Reader for M where
    M: TensorCollection<f32, Cpu>
        + Module<Pixels<Tape>, Output = Logits<Tape>>
        + Module<Pixels<NoneTape>, Output = Logits<NoneTape>>
{
}

/// Images in a minibatch.
const BATCH: usize = 64;
/// Images to be judged by.
const TEST: usize = 2000;

/// The last 2000 digits to judge by and `train` others to learn from.
pub(super) fn data(train: usize) -> Result<Split<Images<1, 28, 28>>, lab::Error> {
    mnist().front_back(train, TEST).map_err(lab::Error::unit)
}

/// Steps of `epochs` passes over `images`.
pub(super) fn steps(images: &Images<1, 28, 28>, epochs: u64) -> u64 {
    epochs * images.len().div_ceil(BATCH) as u64
}

/// Trains for `epochs` passes with the rate of `schedule`, or the optimiser's own; the loss of each step, or nothing when
/// a gradient or the loss was not finite.
pub(super) fn train<M: Reader>(
    model: &mut M,
    optimizer: &mut dyn Step<M, f32, Cpu>,
    images: &Images<1, 28, 28>,
    epochs: u64,
    seed: Seed,
    schedule: Option<&dyn Schedule>,
) -> Result<Option<Vec<f64>>, lab::Error> {
    let dev = Cpu::default();
    let batches = Batches::new(images.len(), BATCH, seed.value());
    let mut losses = Vec::new();
    for batch in (0..epochs).flat_map(|epoch| batches.epoch(epoch)) {
        if let Some(schedule) = schedule {
            let rate = schedule.learning_rate(losses.len() as u64);
            optimizer.set_learning_rate(rate).map_err(lab::Error::unit)?;
        }
        let x: Pixels<NoneTape> = images.flat_batch(&batch, &dev);
        let loss = kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &images.batch_labels(&batch));
        let value = f64::from(loss.array());
        match optimizer.step(model, &mut loss.backward()) {
            _ if !value.is_finite() => return Ok(None),
            Err(StepError::NotFinite { .. }) => return Ok(None),
            result => result.map_err(lab::Error::unit)?,
        };
        losses.push(value);
    }
    Ok(Some(losses))
}

/// Mean loss and share of the images that are read, whole set at once.
pub(super) fn measure<M: Reader>(model: &M, images: &Images<1, 28, 28>) -> (f64, f64) {
    let dev = Cpu::default();
    let rows: Vec<usize> = (0..images.len()).collect();
    let labels = images.labels();
    let x: Pixels<NoneTape> = images.flat_batch(&rows, &dev);
    let logits: Logits<NoneTape> = model.forward(x);
    let scores = logits.as_vec();
    let read = scores.chunks_exact(10).zip(&labels).filter(|(scores, label)| {
        let best = (0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        best == Some(**label)
    });
    let accuracy = read.count() as f64 / labels.len() as f64;
    (f64::from(kernels::cross_entropy_mean(logits, &labels).array()), accuracy)
}

/// Means of `width` neighbours, to draw a noisy curve; each with the number of the last step that it covers.
pub(super) fn smoothed(losses: &[f64], width: usize) -> Vec<f64> {
    losses.chunks(width).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
}
