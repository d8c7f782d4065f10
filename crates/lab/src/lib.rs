//! How an experiment runs: `Experiment`, `Trainer`, seeds, checkpoints, reports, figures.
#![forbid(unsafe_code)]
