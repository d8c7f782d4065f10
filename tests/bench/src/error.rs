//! Why a benchmark could not be taken.
use std::path::PathBuf;

/// Why a benchmark could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// A word of the command line selects no case.
    #[error("there is no case `{word}`; `cargo xtask bench --list` names them")]
    UnknownCase {
        /// The word.
        word: String,
    },
    /// A side does not start.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The side.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A side does not answer any more.
    #[error("{name} did not answer `{command}`: {source}; what it wrote is in target/bench/{name}.log")]
    Silent {
        /// The side.
        name: &'static str,
        /// What it was told.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// A side answers otherwise than the protocol says.
    #[error("{name} answered `{command}` with `{answer}`; what it wrote is in target/bench/{name}.log")]
    Answer {
        /// The side.
        name: &'static str,
        /// What it was told.
        command: String,
        /// What it said.
        answer: String,
    },
    /// A program that prepares a peer failed.
    #[error("cannot prepare {name}: `{program}` {how}; leave it out with --peers")]
    Prepare {
        /// The peer.
        name: &'static str,
        /// What was run.
        program: String,
        /// What happened.
        how: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// 2 for bad use, 1 for the rest.
    pub(crate) fn code(&self) -> u8 {
        if matches!(self, Self::UnknownCase { .. }) { 2 } else { 1 }
    }
}
