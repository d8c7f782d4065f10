//! Files that are either whole or absent.
use crate::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes `bytes` to `path`: temporary file in the same folder, synchronised, renamed. A reader sees the old
/// file or the new one, also after a power cut; a failure leaves the old one and no temporary file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes).map_err(|source| write_error(path, source))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    fs::create_dir_all(folder)?;
    let temporary = Temporary(folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id())));
    let mut file = File::create(&temporary.0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary.0, path)?;
    // The rename itself is on disk only when its folder is; not every file system can open a folder.
    File::open(folder).and_then(|folder| folder.sync_all()).or(Ok(()))
}

/// Removes the file when it goes out of scope; after a successful rename there is nothing left to remove.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The error of writing `path`, with the remedy that fits its cause.
pub(crate) fn write_error(path: &Path, source: io::Error) -> Error {
    let remedy = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space, or name a folder on another disk (--out for results, --runs for checkpoints)"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable, or name another (--out for results, --runs for checkpoints)"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
            "a file stands where a folder is needed or the other way round: move it, or name another folder \
             (--out for results, --runs for checkpoints)"
        }
        _ => "name another folder (--out for results, --runs for checkpoints)",
    };
    Error::Write { path: path.to_path_buf(), source, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/result.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn failure_keeps_the_old_file_and_names_path_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        fs::create_dir(&path).unwrap(); // renaming a file onto a folder fails after the temporary is written
        fs::write(path.join("inside"), b"old").unwrap();
        let error = write(&path, b"new").unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("--out"), "{error}");
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_one_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results");
        fs::write(&file, b"").unwrap();
        let error = write(&file.join("x.json"), b"new").unwrap_err().to_string();
        assert!(error.contains("a file stands where a folder is needed"), "{error}");
    }
}
