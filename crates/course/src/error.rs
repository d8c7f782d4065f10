//! Why a command ended early, and with which exit code.
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

impl Error {
    /// 0 for help, 1 for a failure, 2 for bad use, 130 after an interruption.
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(error) => error.exit_code().try_into().unwrap_or(2),
            Self::Outside { .. } => 2,
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
