//! The command line that knows every experiment of the course.
//!
//! | command | does |
//! |---|---|
//! | `list` | every experiment with lecture, paper, claim and the state of its result |
//! | `run [NAME]` | runs one experiment, or those of `--unit U`, or those that are `--missing` |
//! | `claims` | every claim with our number and whether it holds |
//! | `figures [NAME]` | draws the figures again from the recorded results |
//! | `results` | what is recorded; `--check` reruns the quick versions and judges them |
//! | `data list`, `fetch`, `import`, `verify`, `path` | the data sets, embedded and on disk, and their checksums |
//!
//! A reader types `cargo xtask` before each of them (`cargo xtask run` alone is `list`), so usage texts do as well.
//!
//! Exit code 0: done. 1: a run, a claim or a file failed. 2: bad use. 130: interrupted, the checkpoint is kept.
//! Messages and progress go to standard error, tables to standard output.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod claims;
mod command_line;
mod data;
mod error;
mod figures;
mod house;
mod list;
mod overview;
mod results;
mod run;
mod text;

pub use error::Error;
pub use overview::{DatasetsOverview, OverviewConfig, OverviewReport};

use house::House;
use lab::Entry;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

/// The experiments of one crate of lectures.
#[derive(Debug)]
pub struct Unit {
    /// Name of the crate.
    pub name: &'static str,
    /// What it lists.
    pub experiments: Vec<Entry>,
}

/// Every unit of the course that is built, in the order of lectures.
pub fn units() -> Vec<Unit> {
    vec![
        Unit { name: "datasets", experiments: vec![lab::entry::<DatasetsOverview>()] },
        Unit { name: "optim", experiments: optim::experiments::experiments() },
        Unit { name: "convnets", experiments: convnets::experiments::experiments() },
    ]
}

/// Does what `arguments` ask for, on standard output, and returns the exit code.
pub fn main(units: &[Unit], arguments: &[OsString]) -> u8 {
    let mut out = std::io::stdout().lock();
    let folder = std::env::current_dir().map_err(Error::Output);
    let done = folder.and_then(|folder| execute(units, &folder, arguments, &mut out)).and_then(|code| {
        out.flush().map_err(Error::Output)?;
        Ok(code)
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            // A message that cannot be written has nobody to read it.
            let _ = error.report(&mut std::io::stderr());
            error.code()
        }
    }
}

/// Does what `arguments` (without the program's name) ask for, in the course that `folder` lies in, and writes
/// tables to `out`.
///
/// # Errors
/// [`Error`], which knows its exit code.
pub fn execute(
    units: &[Unit],
    folder: &Path,
    arguments: &[OsString],
    out: &mut dyn Write,
) -> Result<u8, Error> {
    let program = [OsString::from("course")];
    let is_run = arguments.first().is_some_and(|word| word == "run");
    let matches = command_line::command(units)
        .try_get_matches_from(program.iter().chain(arguments))
        .map_err(|error| if is_run { Error::of_run(error) } else { Error::Usage(error) })?;
    let house = || House::find(folder);
    match matches.subcommand() {
        Some(("list", _)) => list::list(units, &house()?, out),
        Some(("run", matches)) => run::run(units, &house()?, matches, out),
        Some(("claims", matches)) => claims::claims(units, &house()?, matches, out),
        Some(("figures", matches)) => figures::figures(units, &house()?, matches, out),
        Some(("results", matches)) => results::results(units, &house()?, matches, out),
        Some(("data", matches)) => data::data(matches, out),
        _ => unreachable!("clap requires one of the subcommands above"),
    }
}

/// Done.
pub(crate) const OK: u8 = 0;
/// A run, a claim or a file failed.
pub(crate) const FAILED: u8 = 1;
