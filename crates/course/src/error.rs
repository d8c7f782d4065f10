//! Why a command ended early, and with which exit code.
use clap::error::{ContextKind, ContextValue};
use datasets::DataError;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line is wrong, or help was asked for.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// `run` of an experiment that does not exist.
    #[error("there is no experiment '{name}'; {}", where_to_look(nearest))]
    UnknownExperiment {
        /// The name as typed.
        name: String,
        /// The name that looks like it.
        nearest: Option<String>,
    },
    /// A flag of a run, and nothing to run.
    #[error(
        "`{flag}` is for a run, and no experiment is chosen; name one, or choose by --unit U or --missing"
    )]
    NothingToRun {
        /// The first flag that was typed.
        flag: String,
    },
    /// An experiment by name, and others by a flag.
    #[error("`{flag}` chooses experiments, and '{name}' is named as well; leave one of them out")]
    ChosenTwice {
        /// The name as typed.
        name: String,
        /// The flag that chooses.
        flag: &'static str,
    },
    /// The current folder is outside of the course.
    #[error("{} is not inside of the course's folder (with book/ and crates/); go there first", folder.display())]
    Outside {
        /// The current folder.
        folder: PathBuf,
    },
    /// An experiment, a result or a figure.
    #[error(transparent)]
    Lab(#[from] lab::Error),
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Standard output does not take what is written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// What to do about a name that does not exist.
fn where_to_look(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or("`cargo xtask run` lists them".into(), |near| format!("did you mean '{near}'?"))
}

impl Error {
    /// What clap refused, in the words of a reader: to them an experiment is no subcommand.
    pub(crate) fn of_run(error: clap::Error) -> Self {
        let word = |kind| match error.get(kind) {
            Some(ContextValue::String(word)) => Some(word.clone()),
            // in ascending order of likeness
            Some(ContextValue::Strings(words)) => words.last().cloned(),
            _ => None,
        };
        match (error.kind(), word(ContextKind::InvalidSubcommand)) {
            (clap::error::ErrorKind::InvalidSubcommand, Some(name)) => {
                Self::UnknownExperiment { name, nearest: word(ContextKind::SuggestedSubcommand) }
            }
            _ => Self::Usage(error),
        }
    }

    /// 0 for help, 1 for a failure, 2 for bad use, 130 after an interruption.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(error) => error.exit_code().try_into().unwrap_or(2),
            Self::Outside { .. }
            | Self::UnknownExperiment { .. }
            | Self::NothingToRun { .. }
            | Self::ChosenTwice { .. } => 2,
            Self::Lab(lab::Error::Interrupted { .. }) => 130,
            Self::Lab(error) if error.is_bad_use() => 2,
            Self::Data(
                DataError::UnknownSet { .. } | DataError::NotFetchable { .. } | DataError::Mirror { .. },
            ) => 2,
            // Whoever closed the pipe has read enough.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Self::Lab(_) | Self::Data(_) | Self::Output(_) => 1,
        }
    }

    /// Writes the message for the reader, help to standard output.
    ///
    /// # Errors
    /// When `stderr` does not take it.
    pub fn report(&self, stderr: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Usage(error) => error.print(),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            _ => writeln!(stderr, "error: {self}"),
        }
    }
}
