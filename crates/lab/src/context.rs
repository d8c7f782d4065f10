//! What an experiment holds while it runs.
use crate::metrics::Metrics;
use crate::progress::{Progress, Reporter};
use crate::{Device, Error, atomic, interrupt};
use kernels::random::Key;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One independent repetition of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seed(u64);

impl Seed {
    /// The number: for results, for `datasets::Batches`, for `Cpu::seed_from_u64`.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The random stream of one purpose, such as `"noise"`; purposes do not disturb each other.
    pub fn key(self, purpose: &str) -> Key {
        let hash = Sha256::digest(purpose.as_bytes());
        let word = hash[..8].iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        Key::new(self.0).fold(word)
    }
}

impl From<u64> for Seed {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// When a trainer writes a checkpoint, beside the end of training and a stop that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointEvery {
    /// When this much time has passed since the last one; which bits come out does not depend on it.
    Time(Duration),
    /// After this many steps.
    Steps(u64),
}

impl Default for CheckpointEvery {
    fn default() -> Self {
        Self::Time(Duration::from_secs(5))
    }
}

/// How a [`Lab`] is set up.
#[derive(Debug, Clone, Default)]
pub struct LabOptions {
    /// Name of the experiment, also of its folder in `runs`.
    pub name: String,
    /// The first seed.
    pub seed: u64,
    /// Where to compute.
    pub device: Device,
    /// How progress is shown.
    pub progress: Progress,
    /// Folder for metrics and checkpoints; without it neither is written.
    pub runs: Option<PathBuf>,
    /// What must agree between a checkpoint and the run that goes on from it.
    pub identity: Value,
    /// Forget earlier checkpoints.
    pub starts_afresh: bool,
    /// When to write checkpoints.
    pub checkpoint_every: CheckpointEvery,
    /// What to type to go on after an interruption.
    pub command: String,
}

/// Seeds, device, progress, metrics and checkpoints of one run.
///
/// # Examples
/// ```
/// let mut lab = lab::Lab::quiet();
/// for seed in lab.seeds(3) {
///     let noise = seed.key("noise"); // the same stream in every run
///     lab.progress("all seeds", seed.value() + 1, 3, None)?;
///     # let _ = noise;
/// }
/// # Ok::<(), lab::Error>(())
/// ```
#[derive(Debug)]
pub struct Lab {
    options: LabOptions,
    seeds: Vec<u64>,
    reporter: Reporter,
    folder: Option<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    metrics: Metrics,
    _lock: File,
}

impl Lab {
    /// A lab that prints and writes nothing, for tests and examples; seeds count from 0.
    pub fn quiet() -> Self {
        let options = LabOptions::default();
        Self {
            reporter: Reporter::new(options.progress, &options.name),
            options,
            seeds: Vec::new(),
            folder: None,
        }
    }

    /// A lab as the command line sets it up. A folder with checkpoints of the same run is continued.
    ///
    /// # Errors
    /// [`Error::Write`] when the folder cannot be used, [`Error::Busy`] when another process runs there.
    pub fn open(options: LabOptions) -> Result<Self, Error> {
        let folder = match &options.runs {
            Some(runs) => Some(Folder::open(runs.join(&options.name), options.starts_afresh)?),
            None => None,
        };
        let reporter = Reporter::new(options.progress, &options.name);
        Ok(Self { options, seeds: Vec::new(), reporter, folder })
    }

    /// Where to compute.
    pub fn device(&self) -> Device {
        self.options.device
    }

    /// The next `count` seeds, counted from `--seed`; the result file lists them.
    pub fn seeds(&mut self, count: usize) -> Vec<Seed> {
        let seeds: Vec<u64> = (0..count as u64).map(|i| self.options.seed.wrapping_add(i)).collect();
        for &seed in &seeds {
            if !self.seeds.contains(&seed) {
                self.seeds.push(seed);
            }
        }
        seeds.into_iter().map(Seed).collect()
    }

    /// The random stream of one purpose in an experiment that runs once, with the first seed.
    pub fn key(&mut self, purpose: &str) -> Key {
        self.seeds(1)[0].key(purpose)
    }

    /// The seeds used so far, in order of first use.
    pub fn seeds_used(&self) -> &[u64] {
        &self.seeds
    }

    /// Says that `done` of `total` parts of the piece of work called `part` are finished.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when the reader asked for a stop, so that a loop that reports can be stopped.
    pub fn progress(&mut self, part: &str, done: u64, total: u64, loss: Option<f64>) -> Result<(), Error> {
        self.show(part, done, total, loss);
        if self.is_interrupted() { Err(self.interrupted()) } else { Ok(()) }
    }

    /// Progress of a loop that looks for interruptions by itself.
    pub(crate) fn show(&mut self, part: &str, done: u64, total: u64, loss: Option<f64>) {
        self.reporter.report(part, done, total, loss);
    }

    /// Writes one line of `metrics.jsonl`; steps of a part count upwards.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn record(&mut self, part: &str, step: u64, values: &[(&str, f64)]) -> Result<(), Error> {
        match &mut self.folder {
            Some(folder) => folder.metrics.record(part, step, values),
            None => Ok(()),
        }
    }

    /// Whether the reader asked for a stop.
    pub fn is_interrupted(&self) -> bool {
        interrupt::requested()
    }

    /// The error with which an interrupted run ends; it says how to go on.
    pub(crate) fn interrupted(&self) -> Error {
        let kept = self.folder.as_ref().filter(|folder| folder.has_checkpoints());
        Error::Interrupted {
            command: self.options.command.clone(),
            kept: kept.map(|folder| folder.path.clone()),
        }
    }

    /// Where the checkpoint of `part` lies, when checkpoints are kept.
    pub(crate) fn checkpoint(&self, part: &str) -> Option<PathBuf> {
        let stem: String = part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.folder.as_ref().map(|folder| folder.path.join(format!("{stem}.{CHECKPOINT}")))
    }

    pub(crate) fn checkpoint_every(&self) -> CheckpointEvery {
        self.options.checkpoint_every
    }

    pub(crate) fn identity(&self) -> &Value {
        &self.options.identity
    }

    pub(crate) fn say(&mut self, sentence: &str) {
        self.reporter.say(sentence);
    }

    /// Hands the metrics to the system.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.folder.as_mut().map_or(Ok(()), |folder| folder.metrics.flush())
    }

    /// Ends the run: metrics stay, checkpoints have served.
    ///
    /// # Errors
    /// [`Error::Write`] when the disk refuses.
    pub fn finish(mut self) -> Result<(), Error> {
        self.reporter.finish();
        self.flush()?;
        self.folder.as_ref().map_or(Ok(()), Folder::remove_checkpoints)
    }
}

/// Takes the lock, or finds that another run has it for longer than a moment.
///
/// A process that is being started holds a copy of every lock of the one that starts it until it has become another
/// program, which close-on-exec cannot shorten: a lock that was given back just now may seem taken.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    const MOMENT: Duration = Duration::from_millis(500);
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if started.elapsed() < MOMENT => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

const CHECKPOINT: &str = "safetensors";

impl Folder {
    fn open(path: PathBuf, starts_afresh: bool) -> Result<Self, Error> {
        fs::create_dir_all(&path).map_err(|source| atomic::write_error(&path, source))?;
        let lock = path.join("lock");
        let file = File::create(&lock).map_err(|source| atomic::write_error(&lock, source))?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(atomic::write_error(&lock, source)),
        }
        if starts_afresh {
            remove_checkpoints(&path)?;
        }
        let metrics = Metrics::open(&path, has_checkpoints(&path))?;
        Ok(Self { path, metrics, _lock: file })
    }

    fn has_checkpoints(&self) -> bool {
        has_checkpoints(&self.path)
    }

    fn remove_checkpoints(&self) -> Result<(), Error> {
        remove_checkpoints(&self.path)
    }
}

fn checkpoints(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == CHECKPOINT))
}

fn has_checkpoints(folder: &Path) -> bool {
    checkpoints(folder).next().is_some()
}

fn remove_checkpoints(folder: &Path) -> Result<(), Error> {
    checkpoints(folder)
        .try_for_each(|path| fs::remove_file(&path).map_err(|source| atomic::write_error(&path, source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_count_from_the_first_and_are_listed_once() {
        let mut lab = Lab::open(LabOptions { seed: 7, ..LabOptions::default() }).unwrap();
        assert_eq!(lab.seeds(2), [Seed(7), Seed(8)]);
        assert_eq!(lab.seeds(3), [Seed(7), Seed(8), Seed(9)]);
        assert_eq!(lab.seeds_used(), [7, 8, 9]);
    }

    #[test]
    fn a_second_process_is_refused() {
        let runs = tempfile::tempdir().unwrap();
        let options =
            LabOptions { name: "digits".into(), runs: Some(runs.path().into()), ..LabOptions::default() };
        let first = Lab::open(options.clone()).unwrap();
        assert!(matches!(Lab::open(options.clone()), Err(Error::Busy { .. })));
        drop(first);
        Lab::open(options).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn processes_that_start_meanwhile_do_not_make_a_free_folder_look_busy() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let runs = tempfile::tempdir().unwrap();
        let options = LabOptions { runs: Some(runs.path().into()), ..LabOptions::default() };
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(std::process::Command::new("true").status().unwrap().success());
                }
            });
            let opened: Vec<_> = (0..300).map(|_| Lab::open(options.clone()).map(drop)).collect();
            is_over.store(true, Ordering::Relaxed);
            assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        });
    }
}
