//! From a configuration to a judged result file.
use crate::result::{self, Judged, ResultFile, Unstable};
use crate::{
    About, Check, CheckpointEvery, Device, Error, Experiment, ExperimentConfig, Figure, Lab, LabOptions,
    Progress,
};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Instant;

/// How an experiment is run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Whether this is the short run for tests; stands in the result.
    pub quick: bool,
    /// The first seed.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
    /// How progress is shown.
    pub progress: Progress,
    /// Folder of the result file.
    pub results: PathBuf,
    /// Folder of metrics and checkpoints.
    pub runs: PathBuf,
    /// Forget earlier checkpoints.
    pub starts_afresh: bool,
    /// When to write checkpoints.
    pub checkpoint_every: CheckpointEvery,
    /// What gives this result again on any machine; stands in the result file.
    pub command: String,
    /// What goes on after an interruption, with the folders of this machine.
    pub resume: String,
}

/// Runs `X`, judges it and writes its result file; checkpoints are removed then, metrics stay.
///
/// # Errors
/// What the configuration, the method, its data or the file system refuse. Nothing is written then but
/// metrics and checkpoints.
pub fn run<X: Experiment>(config: X::Config, options: &RunOptions) -> Result<ResultFile, Error> {
    let about = &X::ABOUT;
    if options.device == Device::Cuda && cfg!(not(feature = "cuda")) {
        return Err(Error::NoCuda);
    }
    if !X::DEVICES.contains(&options.device) {
        return Err(Error::Device { experiment: about.name, device: options.device, supported: X::DEVICES });
    }
    let config = config.check()?;
    let config_value = to_value(&config);
    let mut lab = open(about, &config_value, options)?;
    let started = Instant::now();
    let report = X::run(&config, &mut lab)?;
    let wall_seconds = started.elapsed().as_secs_f64();
    let report_value = to_value(&report);
    // NaN becomes null in JSON: reading it back here refuses it before anything is written.
    serde_json::from_value::<X::Report>(report_value.clone())
        .map_err(|source| Error::Report { experiment: about.name, source })?;
    let checks = X::checks(&report);
    checks.iter().try_for_each(|check| decided(about.name, check))?;
    let figures = X::figures(&report);
    let outcome = Outcome { config: config_value, report: report_value, checks, figures, wall_seconds };
    close(about, outcome, lab, options)
}

/// The lab of an experiment. This and [`close`] are compiled once for all experiments.
fn open(about: &About, config: &Value, options: &RunOptions) -> Result<Lab, Error> {
    Lab::open(LabOptions {
        name: about.name.into(),
        seed: options.seed,
        device: options.device,
        progress: options.progress,
        runs: Some(options.runs.clone()),
        identity: serde_json::json!({
            "experiment": about.name,
            "config": config,
            "device": format!("{:?}", options.device),
            "sources_sha256": result::sources_sha256(about),
        }),
        starts_afresh: options.starts_afresh,
        checkpoint_every: options.checkpoint_every,
        command: options.resume.clone(),
    })
}

/// What an experiment has given.
struct Outcome {
    config: Value,
    report: Value,
    checks: Vec<Check>,
    figures: Vec<Figure>,
    wall_seconds: f64,
}

/// Judges the outcome and writes the result file.
fn close(about: &About, outcome: Outcome, lab: Lab, options: &RunOptions) -> Result<ResultFile, Error> {
    let Outcome { config, report, checks, figures, wall_seconds } = outcome;
    let result = ResultFile {
        format: ResultFile::FORMAT,
        name: about.name.into(),
        lecture: about.lecture,
        paper: about.paper.into(),
        claim: about.claim.into(),
        command: options.command.clone(),
        quick: options.quick,
        seeds: lab.seeds_used().to_vec(),
        config,
        report,
        checks: checks.into_iter().map(|check| Judged { holds: check.holds(), check }).collect(),
        figures: figures.iter().map(|figure| figure.file_name(about.name)).collect(),
        sources_sha256: result::sources_sha256(about),
        versions: result::versions(),
        unstable: Unstable { wall_seconds, commit: result::commit(), machine: result::machine() },
    };
    result.write(&options.results)?;
    lab.finish()?;
    Ok(result)
}

/// Refuses a check whose numbers are not finite: JSON could not hold them and no reader could judge them.
fn decided(experiment: &'static str, check: &Check) -> Result<(), Error> {
    let baseline = check.baseline.as_ref().map(|baseline| baseline.value);
    let numbers = [check.measured.mean, check.measured.sd].into_iter().chain(baseline);
    match numbers.into_iter().find(|number| !number.is_finite()) {
        Some(value) => Err(Error::Undecided { experiment, check: check.id.clone(), value }),
        None => Ok(()),
    }
}

pub(crate) fn to_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("configurations and reports are structs with string keys")
}
