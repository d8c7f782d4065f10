//! From a configuration to a judged result file.
use crate::result::{self, Judged, ResultFile, Unstable};
use crate::{Check, CheckpointEvery, Device, Error, Experiment, ExperimentConfig, Lab, LabOptions, Progress};
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
    if options.device == Device::Cuda && cfg!(not(feature = "cuda")) {
        return Err(Error::NoCuda);
    }
    if !X::DEVICES.contains(&options.device) {
        return Err(Error::Device {
            experiment: X::ABOUT.name,
            device: options.device,
            supported: X::DEVICES,
        });
    }
    let config = config.check()?;
    let sources_sha256 = result::sources_sha256(&X::ABOUT);
    let mut lab = Lab::open(LabOptions {
        name: X::ABOUT.name.into(),
        seed: options.seed,
        device: options.device,
        progress: options.progress,
        runs: Some(options.runs.clone()),
        identity: serde_json::json!({
            "experiment": X::ABOUT.name,
            "config": to_value(&config),
            "device": format!("{:?}", options.device),
            "sources_sha256": sources_sha256,
        }),
        starts_afresh: options.starts_afresh,
        checkpoint_every: options.checkpoint_every,
        command: options.resume.clone(),
    })?;
    let started = Instant::now();
    let report = X::run(&config, &mut lab)?;
    let wall_seconds = started.elapsed().as_secs_f64();
    let report_value = to_value(&report);
    // NaN becomes null in JSON: reading it back here refuses it before anything is written.
    serde_json::from_value::<X::Report>(report_value.clone())
        .map_err(|source| Error::Report { experiment: X::ABOUT.name, source })?;
    let checks = X::checks(&report);
    checks.iter().try_for_each(|check| decided(X::ABOUT.name, check))?;
    let result = ResultFile {
        format: ResultFile::FORMAT,
        name: X::ABOUT.name.into(),
        lecture: X::ABOUT.lecture,
        paper: X::ABOUT.paper.into(),
        claim: X::ABOUT.claim.into(),
        command: options.command.clone(),
        quick: options.quick,
        seeds: lab.seeds_used().to_vec(),
        config: to_value(&config),
        report: report_value,
        checks: checks.into_iter().map(|check| Judged { holds: check.holds(), check }).collect(),
        figures: X::figures(&report).iter().map(|figure| figure.file_name(X::ABOUT.name)).collect(),
        sources_sha256,
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
