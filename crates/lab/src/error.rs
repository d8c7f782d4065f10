//! The one error type of this crate.
use std::path::PathBuf;

/// What can go wrong while an experiment runs or a result is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field of a configuration is out of its range.
    #[error("{field} must be {rule}, got {value}")]
    Config {
        /// Name of the field, as on the command line.
        field: &'static str,
        /// What it must be, with the usual choice.
        rule: &'static str,
        /// What it was.
        value: String,
    },
    /// A flag of the command line does not fit its field.
    #[cfg(feature = "cli")]
    #[error(transparent)]
    Arguments(clap::Error),
    /// A file or folder could not be written; nothing was left half written.
    #[error("cannot write {}: {source}; {remedy}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What helps.
        remedy: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}; {remedy}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What helps.
        remedy: String,
    },
    /// A result file is not what this experiment writes.
    #[error("{} is not a whole result: {problem}; {remedy}", path.display())]
    BrokenResult {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What helps.
        remedy: String,
    },
    /// A report holds a value that JSON cannot, such as NaN, or its fields do not read back.
    #[error("the report of `{experiment}` does not read back: {source}; report finite numbers only")]
    Report {
        /// Name of the experiment.
        experiment: &'static str,
        /// What serde said, with the field's type.
        source: serde_json::Error,
    },
    /// A claim is decided by a number that is not finite.
    #[error("check `{check}` of `{experiment}` must be decided by finite numbers, got {value}")]
    Undecided {
        /// Name of the experiment.
        experiment: &'static str,
        /// Name of the check.
        check: String,
        /// The number.
        value: f64,
    },
    /// A figure cannot be drawn.
    #[error("figure {file}: {source}")]
    Figure {
        /// Name of its file.
        file: String,
        /// Why.
        source: crate::FigureError,
    },
    /// The experiment has no path for this device.
    #[error("`{experiment}` cannot run on {device:?}, only on {supported:?}; choose another --device")]
    Device {
        /// Name of the experiment.
        experiment: &'static str,
        /// What was asked for.
        device: crate::Device,
        /// What it can use.
        supported: &'static [crate::Device],
    },
    /// This binary was built without CUDA.
    #[error("--device cuda needs a build with the feature: `cargo run -p course --features cuda -- …`")]
    NoCuda,
    /// Another process runs the same experiment.
    #[error("{} is in use by another run; wait for it, or name another folder by --runs", path.display())]
    Busy {
        /// The folder of metrics and checkpoints.
        path: PathBuf,
    },
    /// The reader asked for a stop.
    #[error("interrupted; {}", going_on(command, kept))]
    Interrupted {
        /// What to type to go on.
        command: String,
        /// Folder with the checkpoints, if training had begun.
        kept: Option<PathBuf>,
    },
    /// A loss or a metric is NaN or infinite.
    #[error(
        "{what} became {value} at step {step} of {part}{}; lower the learning rate or clip gradients",
        first(tensor)
    )]
    NotFinite {
        /// Name of the training.
        part: String,
        /// Step, counted from 0.
        step: u64,
        /// `loss` or the name of a metric.
        what: &'static str,
        /// Its value.
        value: f64,
        /// Path name of the first tensor of the model that holds such a value, if one does.
        tensor: Option<String>,
    },
    /// A gradient is NaN or infinite; the model is as it was before the step.
    #[error(
        "the gradient of `{tensor}` is not finite at step {step} of {part}, where the loss is {loss}; lower the \
         learning rate or clip gradients"
    )]
    GradientNotFinite {
        /// Name of the training.
        part: String,
        /// Step, counted from 0.
        step: u64,
        /// Path name of the first tensor with such a gradient.
        tensor: String,
        /// The loss of the step, which is finite.
        loss: f64,
    },
    /// An epoch has no batch.
    #[error("{part} needs at least one batch an epoch; give more rows or a smaller batch")]
    NoBatches {
        /// Name of the training.
        part: String,
    },
    /// The optimiser refused a step or a learning rate.
    #[error(transparent)]
    Step(Box<layers::StepError>),
    /// A checkpoint is damaged or belongs to another model.
    #[error("cannot go on from {}: {source}; `--fresh` starts again without it", path.display())]
    BrokenCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<layers::CheckpointError>,
    },
    /// A checkpoint belongs to another optimiser.
    #[error("cannot go on from {}: {source}; `--fresh` starts again without it", path.display())]
    ForeignState {
        /// The checkpoint.
        path: PathBuf,
        /// What differs.
        source: Box<layers::StepError>,
    },
    /// A checkpoint was written by a run with other settings or sources.
    #[error(
        "cannot go on from {}: it was written with {field} = {found}, this run has {expected}; take the same \
         settings, or start again without it by `--fresh`",
        path.display()
    )]
    ForeignCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What differs, such as `run.config.epochs`.
        field: String,
        /// Its value in the checkpoint.
        found: Box<serde_json::Value>,
        /// Its value in this run.
        expected: Box<serde_json::Value>,
    },
    /// An error of the experiment's own unit.
    #[error(transparent)]
    Unit(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps the error of a unit, a data set or a device.
    pub fn unit(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unit(source.into())
    }

    /// Whether other arguments would have helped: a command line ends with code 2 then.
    pub fn is_bad_use(&self) -> bool {
        #[cfg(feature = "cli")]
        if matches!(self, Self::Arguments(_)) {
            return true;
        }
        matches!(self, Self::Config { .. } | Self::Device { .. } | Self::NoCuda)
    }
}

impl From<layers::StepError> for Error {
    fn from(error: layers::StepError) -> Self {
        Self::Step(Box::new(error))
    }
}

impl From<datasets::DataError> for Error {
    fn from(error: datasets::DataError) -> Self {
        Self::unit(error)
    }
}

fn first(tensor: &Option<String>) -> String {
    tensor.as_ref().map_or(String::new(), |name| format!(", first in `{name}`"))
}

fn going_on(command: &str, kept: &Option<PathBuf>) -> String {
    match kept {
        Some(folder) => format!("`{command}` goes on from the checkpoint in {}", folder.display()),
        None => format!("nothing was kept, `{command}` starts again"),
    }
}
