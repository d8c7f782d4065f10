//! MNIST with fewer pixels in three parts, and runs that report each pass: what comparisons of update rules share.
use std::ops::Range;

use datasets::{Images, mnist};
use dfdx::prelude::{AsArray, Backward, Cpu, Trace};
use kernels::cross_entropy_mean;
use lab::{Measured, Seed};
use layers::{Step, StepError};

use super::digit_nets::Digits;
use super::typed_runs::{Reader, measure, rows};

/// Pixels of a small image, 7 × 7.
pub(super) const PIXELS: usize = 49;
/// Images in a minibatch.
pub(super) const BATCH: usize = 50;

/// Images to learn from, to choose settings by, and to judge by.
pub(super) struct Parts {
    pub(super) train: Digits,
    pub(super) validation: Digits,
    pub(super) test: Digits,
}

impl Parts {
    /// Of images of `side` × `side` pixels, a divisor of 28.
    pub(super) fn new(side: usize, train: usize, validation: usize, test: usize) -> Result<Self, lab::Error> {
        let split = mnist().front_back(train + validation, test)?;
        let front = |range: Range<usize>| pooled(side, &split.train.select(range));
        Ok(Self {
            train: front(0..train),
            validation: front(train..train + validation),
            test: pooled(side, &split.test),
        })
    }
}

/// Means over squares of pixels.
fn pooled(side: usize, images: &Images<1, 28, 28>) -> Digits {
    let width = 28 / side;
    let image = |i: usize| {
        let [image] = images.unit(i);
        let mean = |place: usize| {
            let (row, column) = (width * (place / side), width * (place % side));
            let square = image[row..row + width].iter().flat_map(|line| &line[column..column + width]);
            square.sum::<f32>() / (width * width) as f32
        };
        (0..side * side).map(mean).collect::<Vec<f32>>()
    };
    let x = (0..images.len()).flat_map(image).collect();
    Digits { x, labels: images.labels(), features: side * side }
}

/// Where a run stands after a pass.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    /// Mean cross-entropy of the images to learn from.
    pub(super) loss: f64,
    /// Percent of the validation images that are read.
    pub(super) validation: f64,
    /// Percent of the test images that are read.
    pub(super) test: f64,
}

/// Trains for `epochs` passes with `before` called ahead of each step, counted from 0; where it stands after each, or nothing
/// when a loss or a gradient was not finite.
pub(super) fn train<const N: usize, M: Reader<N>, O: Step<M, f32, Cpu> + ?Sized>(
    model: &mut M,
    optimizer: &mut O,
    parts: &Parts,
    epochs: usize,
    seed: Seed,
    mut before: impl FnMut(u64, &mut O) -> Result<(), lab::Error>,
) -> Result<Option<Vec<Pass>>, lab::Error> {
    let order = seed.key("order");
    let (mut passes, mut step) = (Vec::with_capacity(epochs), 0);
    for epoch in 0..epochs as u64 {
        for which in order.fold(epoch).permutation(parts.train.len()).chunks(BATCH) {
            before(step, optimizer)?;
            step += 1;
            let (x, labels) = rows::<N>(&parts.train, which);
            let loss = cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
            if !loss.array().is_finite() {
                return Ok(None);
            }
            match optimizer.step(model, &mut loss.backward()) {
                Err(StepError::NotFinite { .. }) => return Ok(None),
                result => result.map_err(lab::Error::unit)?,
            };
        }
        let loss = measure(model, &parts.train).0;
        let (validation, test) = (measure(model, &parts.validation).1, measure(model, &parts.test).1);
        passes.push(Pass { loss, validation, test });
    }
    Ok(passes.iter().all(|pass| pass.loss.is_finite()).then_some(passes))
}

/// `f` of each pair, over seeds.
pub(super) fn paired(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Measured {
    Measured::over(&a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect::<Vec<_>>())
}
