//! What an experiment is.
use crate::{Check, Error, Figure, Lab};
use serde::{Serialize, de::DeserializeOwned};

/// Who an experiment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Kebab case, the stem of result and figure files, such as `nielsen-digits`.
    pub name: &'static str,
    /// Lecture 1 to 26.
    pub lecture: u8,
    /// Authors, year, title.
    pub paper: &'static str,
    /// The claim in one sentence that a number can refute.
    pub claim: &'static str,
    /// `include_str!` of the files that the result depends on; their hash marks a result as stale.
    pub sources: &'static [&'static str],
}

/// Where an experiment computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The first CUDA card; needs a build with feature `cuda`.
    Cuda,
}

/// Command-line arguments where feature `cli` is on, nothing otherwise.
#[cfg(feature = "cli")]
pub trait Arguments: clap::Args {}
#[cfg(feature = "cli")]
impl<T: clap::Args> Arguments for T {}
/// Command-line arguments where feature `cli` is on, nothing otherwise.
#[cfg(not(feature = "cli"))]
pub trait Arguments {}
#[cfg(not(feature = "cli"))]
impl<T> Arguments for T {}

/// Everything that a reader may vary about an experiment.
///
/// Derive `clap::Args`, write `#[arg(long)]` on each field and no default there: [`Default`] is the full
/// run, [`quick`](Self::quick) the one for tests, and flags change single fields of either. Help shows both.
pub trait ExperimentConfig: Arguments + Default + Serialize + DeserializeOwned {
    /// The same experiment in seconds, for tests.
    fn quick() -> Self;

    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`Error::Config`] with field, rule and value.
    fn check(self) -> Result<Self, Error>;
}

/// One falsifiable claim: how it is measured, what decides it, what is drawn.
pub trait Experiment {
    /// What a reader may vary.
    type Config: ExperimentConfig;
    /// Everything that figures, tables and text need; finite numbers only.
    type Report: Serialize + DeserializeOwned;
    /// Name, lecture, paper, claim.
    const ABOUT: About;
    /// Where it can compute.
    const DEVICES: &'static [Device] = &[Device::Cpu];

    /// Measures.
    ///
    /// # Errors
    /// What the method, its data or the file system refuse.
    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, Error>;

    /// The claims, decided from the report alone.
    fn checks(report: &Self::Report) -> Vec<Check>;

    /// The figures, drawn from the report alone.
    fn figures(report: &Self::Report) -> Vec<Figure>;
}
