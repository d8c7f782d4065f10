//! How an experiment runs: one [`Experiment`] is one falsifiable claim about one method.
//!
//! | you want to | use |
//! |---|---|
//! | state a claim and measure it | [`Experiment`], [`About`], [`Check`], [`Measured`], [`Bound`] |
//! | train a model, with checkpoints and bit-equal resume | [`Trainer`], [`Objective`] |
//! | draw seeds, report progress, keep metrics | [`Lab`], [`Seed`] |
//! | show what came out | [`Figure`], [`Plot`], [`Heatmap`], [`Raster`], [`Frames`], [`Table`] |
//! | list experiments for the command line | [`Entry`], [`entry`] |
//!
//! What a run finds is written to `book/results/NAME.json`; figures, tables and numbers of the book
//! are read from that file and from nowhere else.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod atomic;
mod check;
mod context;
#[cfg(feature = "cli")]
mod entry;
mod error;
mod execute;
mod experiment;
pub mod figure;
mod finite;
pub mod interrupt;
mod metrics;
mod progress;
mod result;
mod stored;
mod table;
mod trainer;

pub use check::{Baseline, Bound, BoundSource, Check, Measured};
pub use context::{CheckpointEvery, Lab, LabOptions, Seed};
#[cfg(feature = "cli")]
pub use entry::{Entry, entry};
pub use error::Error;
pub use execute::{RunOptions, run};
pub use experiment::{About, Device, Experiment, ExperimentConfig};
pub use figure::{
    Axis, Body, Emphasis, Figure, FigureError, Frame, Frames, Heatmap, Line, Mark, Plot, Ramp, Raster,
    Slider, Tile, contours,
};
pub use progress::Progress;
pub use result::{Judged, ResultFile, Unstable};
pub use table::Table;
pub use trainer::{EpochRecord, History, Objective, Trainer, Unused};

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;
