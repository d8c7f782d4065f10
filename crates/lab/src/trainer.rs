//! The training loop: batches, loss, backward pass, step, evaluation, checkpoint.
use crate::{CheckpointEvery, Error, Lab, finite, stored};
use datasets::Batches;
use datasets::batches::{BatchSize, Rows};
use dfdx::nn::ZeroGrads;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Backward, Gradients, OwnedTape, Rank0, Tensor};
use kernels::random::Key;
use kernels::{Device, Real};
use layers::params::{self, DeviceError};
use layers::{Checkpoint, CheckpointError, Schedule, Step, StepError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Instant;

/// Steps after which the device's cache is emptied. A batch comes from the data and not from the cache, but enters it when
/// its tensor is dropped: without this a run would keep every batch that it has seen.
const STEPS_PER_TIDYING: u64 = 64;

/// What a [`Trainer`] minimises and watches. A closure with the signature of [`loss`](Self::loss) is one.
pub trait Objective<M, E: Real, D: Device<E>, B: BatchSize = usize> {
    /// The loss of one batch, a mean over its rows, on the tape that begins with `gradients`: trace the input
    /// with `x.traced(gradients)`. `key` is the random stream of this step, for dropout and noise.
    ///
    /// # Errors
    /// What the model, the data or the device refuse.
    fn loss(
        &mut self,
        model: &mut M,
        batch: &B::Batch,
        key: Key,
        gradients: Gradients<E, D>,
    ) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, Error>;

    /// Named numbers at the end of an epoch, such as the accuracy on validation rows; none by default.
    ///
    /// # Errors
    /// What the model, the data or the device refuse.
    fn evaluate(&mut self, _model: &M, _epoch: u64) -> Result<Vec<(&'static str, f64)>, Error> {
        Ok(Vec::new())
    }
}

impl<F, M, E: Real, D: Device<E>, B: BatchSize> Objective<M, E, D, B> for F
where
    F: FnMut(&mut M, &B::Batch, Key, Gradients<E, D>) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, Error>,
{
    fn loss(
        &mut self,
        model: &mut M,
        batch: &B::Batch,
        key: Key,
        gradients: Gradients<E, D>,
    ) -> Result<Tensor<Rank0, E, D, OwnedTape<E, D>>, Error> {
        self(model, batch, key, gradients)
    }
}

/// One epoch of a [`History`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1: the number of passes behind this record.
    pub epoch: u64,
    /// Mean loss over the rows of the epoch, each measured before the step that it caused.
    pub loss: f64,
    /// What [`Objective::evaluate`] returned.
    pub metrics: BTreeMap<String, f64>,
}

/// What happened during training, epoch by epoch, interruptions or not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// The values of one metric over the epochs that have it.
    pub fn metric(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().filter_map(|record| record.metrics.get(name).copied()).collect()
    }
}

/// The training loop: one for every model and optimiser. It keeps four promises:
/// - **Resume is bit-equal.** A run that was killed and started again ends with the same bits as one that was not:
///   the order of rows depends on (seed, epoch), random numbers on (key, step), and a checkpoint holds weights,
///   optimiser state and counters. What draws from the device's own generator, as dfdx's dropout does, breaks this:
///   draw from the key that [`Objective::loss`] is given.
/// - **A checkpoint is whole.** A new one replaces the old one only when it is complete.
/// - **NaN stops at once**, with the step and the path name of the first tensor that is not finite.
/// - **A stop that was asked for** (Ctrl-C) writes a checkpoint first and says how to go on.
///
/// # Examples
/// ```
/// use datasets::Batches;
/// use dfdx::prelude::*;
/// use lab::{Lab, Trainer};
/// use layers::{Sgd, SgdConfig};
///
/// let mut lab = Lab::quiet();
/// let seed = lab.seeds(1)[0];
/// let dev = Cpu::seed_from_u64(seed.value());
/// let mut model = dev.build_module::<Linear<1, 1>, f32>();
/// let mut optimizer = Sgd::try_new(&model, SgdConfig { learning_rate: 0.3, ..SgdConfig::default() })?;
/// let x: Vec<f32> = (0..32).map(|i| i as f32 / 32.0).collect();
///
/// let history = Trainer::new("line", 40, Batches::new(32, 8, seed.value()), seed.key("steps")).run(
///     &mut lab,
///     &mut model,
///     &mut optimizer,
///     &mut |model: &mut dfdx::nn::modules::Linear<1, 1, f32, Cpu>, batch: &Vec<usize>, _key, gradients| {
///         let rows: Vec<f32> = batch.iter().map(|&i| x[i]).collect();
///         let rows = dev.tensor_from_vec(rows, (batch.len(), Const::<1>));
///         let target = rows.clone() * 2.0 - 1.0;
///         let output = model.forward_mut(rows.traced(gradients));
///         Ok((output - target).square().mean())
///     },
/// )?;
/// assert!(history.epochs[39].loss < 1e-4);
/// # Ok::<(), lab::Error>(())
/// ```
pub struct Trainer<'a, B: BatchSize = usize> {
    part: String,
    epochs: u64,
    batches: Batches<B>,
    key: Key,
    schedule: Option<Box<dyn Schedule + 'a>>,
    unused: Unused,
}

/// What to do about trainable tensors that do not influence the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unused {
    /// Refuse at the first step, naming them: their tape was cut by mistake.
    #[default]
    Refuse,
    /// Count their gradients as zero: they are frozen on purpose.
    CountAsZero,
}

impl<'a, B: BatchSize> Trainer<'a, B> {
    /// Trains for `epochs` passes over `batches`; `key` is the root of the random streams of the steps. `part` names
    /// progress, metrics and the checkpoint, and is unique within an experiment: `"network, seed 3"`.
    pub fn new(part: impl Into<String>, epochs: u64, batches: Batches<B>, key: Key) -> Self {
        Self { part: part.into(), epochs, batches, key, schedule: None, unused: Unused::default() }
    }

    /// Sets the learning rate of each step, counted from 0.
    #[must_use]
    pub fn schedule(self, schedule: impl Schedule + 'a) -> Self {
        Self { schedule: Some(Box::new(schedule)), ..self }
    }

    /// What to do about trainable tensors that do not influence the loss.
    #[must_use]
    pub fn unused(self, unused: Unused) -> Self {
        Self { unused, ..self }
    }

    /// Trains `model`, from the checkpoint of this part if the lab has one. Turns on the buffer cache of the device.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::GradientNotFinite`], [`Error::Interrupted`], [`Error::NoBatches`], [`Error::Step`]; [`Error::BrokenCheckpoint`] and
    /// [`Error::ForeignCheckpoint`] when an earlier checkpoint does not fit; what `objective` and the disk refuse.
    pub fn run<M, E, D>(
        self,
        lab: &mut Lab,
        model: &mut M,
        optimizer: &mut impl Step<M, E, D>,
        objective: &mut impl Objective<M, E, D, B>,
    ) -> Result<History, Error>
    where
        M: TensorCollection<E, D> + ZeroGrads<E, D>,
        E: Real,
        D: Device<E>,
    {
        if self.batches.is_empty() {
            return Err(Error::NoBatches { part: self.part });
        }
        let mut state = State::default();
        let mut store = Store::open(lab, &self);
        if let Some(found) = store.read(model, optimizer)? {
            lab.say(&format!("{} goes on from step {} of its checkpoint", self.part, found.step));
            state = found;
        }
        let per_epoch = self.batches.len() as u64;
        let total = self.epochs * per_epoch;
        let mut gradients = match self.unused {
            // Without an entry for every tensor the optimiser sees at the first step which ones are not reached.
            Unused::Refuse => Gradients::leaky(),
            Unused::CountAsZero => model.alloc_grads(),
        };
        let mut is_first = self.unused == Unused::Refuse;
        let (mut has_cache, mut untidied) = (false, 0);
        while state.epoch < self.epochs {
            for batch in self.batches.epoch(state.epoch).skip(state.batch as usize) {
                if let Some(schedule) = &self.schedule {
                    optimizer.set_learning_rate(schedule.learning_rate(state.step))?;
                }
                let loss = objective.loss(model, &batch, self.key.fold(state.step), gradients)?;
                if !has_cache {
                    // The first loss shows the device; from now on it uses its buffers again.
                    loss.device().try_enable_cache().map_err(DeviceError::new).map_err(StepError::from)?;
                    has_cache = true;
                }
                untidied += 1;
                if untidied == STEPS_PER_TIDYING {
                    loss.device().try_empty_cache().map_err(DeviceError::new).map_err(StepError::from)?;
                    untidied = 0;
                }
                let value = loss.as_vec()[0].as_f64();
                let (part, step) = (self.part.as_str(), state.step);
                if !value.is_finite() {
                    let (tensor, what) = (params::first_not_finite(model), "loss");
                    return Err(Error::NotFinite { part: part.into(), step, what, value, tensor });
                }
                gradients = loss.try_backward().map_err(DeviceError::new).map_err(StepError::from)?;
                // The search gives zeros to tensors without a gradient, which the first step must not see.
                let mut first = is_first.then(|| gradients.clone());
                let searched = first.as_mut().unwrap_or(&mut gradients);
                let tensor = finite::first_gradient_not_finite(model, searched).map_err(StepError::from)?;
                if let Some(tensor) = tensor {
                    return Err(Error::GradientNotFinite { part: part.into(), step, tensor, loss: value });
                }
                optimizer.step(model, &mut gradients)?;
                if is_first {
                    (gradients, is_first) = (model.alloc_grads(), false);
                } else {
                    model.zero_grads(&mut gradients);
                }
                let rows = batch.rows().len() as f64;
                state.step += 1;
                state.batch += 1;
                state.loss += value * rows;
                state.rows += rows;
                lab.record(&self.part, state.step, &[("loss", value)])?;
                if lab.is_interrupted() {
                    store.write(lab, model, optimizer, &state)?;
                    return Err(lab.interrupted());
                }
                if store.is_due(state.step) {
                    store.write(lab, model, optimizer, &state)?;
                }
                lab.show(&self.part, state.step, total, Some(value));
            }
            self.end_epoch(lab, model, objective, &mut state)?;
        }
        store.write(lab, model, optimizer, &state)?;
        Ok(state.history)
    }

    fn end_epoch<M, E: Real, D: Device<E>>(
        &self,
        lab: &mut Lab,
        model: &M,
        objective: &mut impl Objective<M, E, D, B>,
        state: &mut State,
    ) -> Result<(), Error> {
        let metrics = objective.evaluate(model, state.epoch)?;
        if let Some(&(name, value)) = metrics.iter().find(|(_, value)| !value.is_finite()) {
            let (part, step) = (self.part.clone(), state.step);
            return Err(Error::NotFinite { part, step, what: name, value, tensor: None });
        }
        let loss = state.loss / state.rows.max(1.0);
        let mut line = vec![("epoch", (state.epoch + 1) as f64), ("epoch_loss", loss)];
        line.extend(&metrics);
        lab.record(&self.part, state.step, &line)?;
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        state.history.epochs.push(EpochRecord { epoch: state.epoch + 1, loss, metrics });
        (state.epoch, state.batch, state.loss, state.rows) = (state.epoch + 1, 0, 0.0, 0.0);
        Ok(())
    }
}

impl<B: BatchSize + Debug> Debug for Trainer<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { part, epochs, batches, key, schedule: _, unused } = self;
        let mut all = f.debug_struct("Trainer");
        all.field("part", part).field("epochs", epochs).field("batches", batches);
        all.field("key", key).field("unused", unused).finish_non_exhaustive()
    }
}

/// How far training is; with weights and optimiser all that a resumed run needs.
#[derive(Debug, Clone, Default)]
struct State {
    /// Epochs that are finished.
    epoch: u64,
    /// Batches of the next epoch that are finished.
    batch: u64,
    /// Steps of all epochs.
    step: u64,
    /// Sum of losses over the rows of the unfinished epoch.
    loss: f64,
    /// Rows behind that sum.
    rows: f64,
    history: History,
}

/// The checkpoint of one part.
struct Store {
    path: Option<PathBuf>,
    identity: Value,
    every: CheckpointEvery,
    last_time: Instant,
    last_step: u64,
}

impl Store {
    fn open<B: BatchSize>(lab: &Lab, trainer: &Trainer<'_, B>) -> Self {
        let identity = serde_json::json!({
            "run": lab.identity(),
            "part": trainer.part,
            "epochs": trainer.epochs,
            "batches": format!("{:?}", trainer.batches),
            "key": format!("{:032x}", trainer.key.to_bits()),
        });
        Self {
            path: lab.checkpoint(&trainer.part),
            identity,
            every: lab.checkpoint_every(),
            last_time: Instant::now(),
            last_step: 0,
        }
    }

    fn is_due(&self, step: u64) -> bool {
        match self.every {
            CheckpointEvery::Time(interval) => self.last_time.elapsed() >= interval,
            CheckpointEvery::Steps(steps) => step - self.last_step >= steps,
        }
    }

    /// Puts model and optimiser into the state of the checkpoint, if there is one.
    fn read<M, E, D>(
        &mut self,
        model: &mut M,
        optimizer: &mut impl Step<M, E, D>,
    ) -> Result<Option<State>, Error>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
    {
        let Some(path) = self.path.as_deref() else { return Ok(None) };
        let Some(checkpoint) = stored::read(path, &self.identity)? else { return Ok(None) };
        let broken = |source| stored::broken(path, source);
        let damaged = |name: &str, expected| CheckpointError::Content { name: name.into(), expected };
        let progress = checkpoint.integers(PROGRESS).map_err(broken)?;
        let &[epoch, batch, step] = &progress[..] else {
            return Err(broken(damaged(PROGRESS, "epoch, batch and step")));
        };
        let running = checkpoint.numbers(RUNNING).map_err(broken)?;
        let &[loss, rows] = &running[..] else { return Err(broken(damaged(RUNNING, "loss and rows"))) };
        let history = stored::json(&checkpoint, HISTORY, "a record per epoch").map_err(broken)?;
        let state = checkpoint.state(OPTIMIZER).map_err(broken)?;
        checkpoint.load_model(MODEL, model).map_err(broken)?;
        optimizer
            .load_state(&state)
            .map_err(|source| Error::ForeignState { path: path.to_path_buf(), source: Box::new(source) })?;
        self.last_step = step;
        Ok(Some(State { epoch, batch, step, loss, rows, history }))
    }

    /// Writes the checkpoint, and the metrics before it, so that a resumed run finds both at the same step.
    fn write<M, E, D>(
        &mut self,
        lab: &mut Lab,
        model: &M,
        optimizer: &impl Step<M, E, D>,
        state: &State,
    ) -> Result<(), Error>
    where
        M: TensorCollection<E, D>,
        E: Real,
        D: Device<E>,
    {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let optimizer = match optimizer.state() {
            Ok(state) => state,
            Err(error @ StepError::StateIsPrivate { .. }) => {
                lab.say(&format!("no checkpoints: {error}"));
                self.path = None;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        lab.flush()?;
        let mut checkpoint = Checkpoint::default();
        checkpoint.insert_model(MODEL, model);
        checkpoint.insert_state(OPTIMIZER, &optimizer);
        checkpoint.insert_integers(PROGRESS, &[state.epoch, state.batch, state.step]);
        checkpoint.insert_numbers(RUNNING, &[state.loss, state.rows]);
        let history =
            serde_json::to_string(&state.history).expect("a history has string keys and finite numbers");
        checkpoint.insert_text(HISTORY, &history);
        stored::write(&path, &self.identity, checkpoint)?;
        (self.last_time, self.last_step) = (Instant::now(), state.step);
        Ok(())
    }
}

const MODEL: &str = "model";
const OPTIMIZER: &str = "optimizer";
const PROGRESS: &str = "progress";
const RUNNING: &str = "running";
const HISTORY: &str = "history";
