//! Training runs of dfdx models on digits, with minibatches of any size and layers that train otherwise than they read.

use dfdx::nn::TensorCollection;
use dfdx::prelude::{
    AsArray, Backward, Const, Cpu, Module, ModuleMut, NoneTape, OwnedTape, Tensor, TensorFromVec, Trace,
};
use kernels::cross_entropy_mean;
use lab::Seed;
use layers::{Step, StepError};

use super::digit_nets::{CLASSES, Digits, percent_equal};

/// Images of `N` pixels, or votes for `N` classes.
pub(super) type Rows<const N: usize, T = NoneTape> = Tensor<(usize, Const<N>), f32, Cpu, T>;
type Tape = OwnedTape<f32, Cpu>;

/// What these runs ask of a model that reads `N` pixels.
pub(super) trait Reader<const N: usize>:
    TensorCollection<f32, Cpu>
    + ModuleMut<Rows<N, Tape>, Output = Rows<CLASSES, Tape>>
    + Module<Rows<N>, Output = Rows<CLASSES>>
{
}
impl<const N: usize, M> Reader<N> for M where
    M: TensorCollection<f32, Cpu>
        + ModuleMut<Rows<N, Tape>, Output = Rows<CLASSES, Tape>>
        + Module<Rows<N>, Output = Rows<CLASSES>>
{
}

/// The rows of these images, and their classes.
pub(super) fn rows<const N: usize>(set: &Digits, which: &[usize]) -> (Rows<N>, Vec<usize>) {
    let values = which.iter().flat_map(|&i| set.row(i)).copied().collect::<Vec<f32>>();
    let labels = which.iter().map(|&i| set.labels[i]).collect();
    (Cpu::default().tensor_from_vec(values, (which.len(), Const)), labels)
}

/// Makes `steps` steps on minibatches of `batch` images, shuffled in each pass;
/// whether all losses and gradients were finite. It stops at the first that is not.
pub(super) fn fit<const N: usize, M: Reader<N>>(
    model: &mut M,
    optimizer: &mut dyn Step<M, f32, Cpu>,
    set: &Digits,
    batch: usize,
    steps: usize,
    seed: Seed,
) -> Result<bool, lab::Error> {
    let order = seed.key("order");
    let batches = (1_u64..).flat_map(|epoch| {
        let images = order.fold(epoch).permutation(set.len());
        images.chunks(batch.min(set.len())).map(<[usize]>::to_vec).collect::<Vec<_>>()
    });
    for which in batches.take(steps) {
        let (x, labels) = rows::<N>(set, &which);
        let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
        if !loss.array().is_finite() {
            return Ok(false);
        }
        match optimizer.step(model, &mut loss.backward()) {
            Err(StepError::NotFinite { .. }) => return Ok(false),
            result => result.map_err(lab::Error::unit)?,
        };
    }
    Ok(true)
}

/// Steps of `epochs` passes over `set`, the last batch of a pass shorter than the others.
pub(super) fn steps(set: &Digits, batch: usize, epochs: usize) -> usize {
    epochs * set.len().div_ceil(batch)
}

/// Mean cross-entropy and percent of the images that are read right, in evaluation mode.
pub(super) fn measure<const N: usize, M: Reader<N>>(model: &M, set: &Digits) -> (f64, f64) {
    let (x, labels) = rows::<N>(set, &(0..set.len()).collect::<Vec<_>>());
    let votes = model.forward(x);
    let scores = votes.as_vec();
    let largest = |row: &[f32]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let read: Vec<usize> = scores.chunks(CLASSES).map(largest).collect();
    (f64::from(cross_entropy_mean(votes, &labels).array()), percent_equal(&read, &labels))
}
