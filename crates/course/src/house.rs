//! Where things lie.
use crate::Error;
use std::path::{Path, PathBuf};

/// The workspace, found from a folder upwards.
#[derive(Debug)]
pub(crate) struct House(PathBuf);

impl House {
    pub(crate) fn find(folder: &Path) -> Result<Self, Error> {
        let is_root = |folder: &&Path| folder.join("book").is_dir() && folder.join("crates").is_dir();
        match folder.ancestors().find(is_root) {
            Some(root) => Ok(Self(root.to_path_buf())),
            None => Err(Error::Outside { folder: folder.to_path_buf() }),
        }
    }

    /// Recorded results, committed.
    pub(crate) fn results(&self) -> PathBuf {
        self.0.join("book/results")
    }

    /// Figures of the recorded results, committed.
    pub(crate) fn figures(&self) -> PathBuf {
        self.0.join("book/src/figures")
    }

    /// Metrics and checkpoints of full runs.
    pub(crate) fn runs(&self) -> PathBuf {
        self.0.join("target/runs")
    }

    /// Everything that quick runs write, so that they never touch a recorded result.
    pub(crate) fn quick(&self) -> PathBuf {
        self.0.join("target/quick")
    }

    /// A path as a reader in the workspace's root would type it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.0).unwrap_or(path).display().to_string()
    }
}
