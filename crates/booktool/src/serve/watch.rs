//! Rebuilds the book when one of its files changes.
use super::server::Live;
use super::site::Site;
use anyhow::Result;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The files below some folders, remembered by path, size and time of change.
#[derive(Debug)]
pub struct Files {
    folders: Vec<PathBuf>,
    seen: u64,
}

impl Files {
    /// Remembers the files as they are now.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let seen = digest(&folders);
        Self { folders, seen }
    }

    /// Whether a file was added, removed or written since the last call.
    pub fn changed(&mut self) -> bool {
        let now = digest(&self.folders);
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn digest(folders: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for folder in folders {
        walk(folder, &mut hasher);
    }
    hasher.finish()
}

/// Files that vanish or cannot be read between two calls count as absent.
fn walk(folder: &Path, hasher: &mut DefaultHasher) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        // Build output, version control, and the swap files of editors.
        if name == "target"
            || name.as_encoded_bytes().starts_with(b".")
            || name.as_encoded_bytes().ends_with(b"~")
        {
            continue;
        }
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            walk(&entry.path(), hasher);
        } else {
            (entry.path(), data.len(), data.modified().ok()).hash(hasher);
        }
    }
}

/// Rebuilds and publishes after each change, looking every `pause`; never returns.
pub fn follow(live: &Live, files: &mut Files, pause: Duration, build: impl Fn() -> Result<Site>) -> ! {
    loop {
        thread::sleep(pause);
        if !files.changed() {
            continue;
        }
        // An editor that saves ten files is one change.
        while {
            thread::sleep(pause / 4);
            files.changed()
        } {}
        let start = Instant::now();
        let built = catch_unwind(AssertUnwindSafe(&build))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the build panicked; the terminal shows where")))
            .map_err(|error| format!("{error:#}"));
        match &built {
            Ok(_) => eprintln!("book: rebuilt in {:.1} s", start.elapsed().as_secs_f64()),
            Err(error) => eprintln!("book: the build failed, the last good book stays\n{error}"),
        }
        live.publish(built);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("src")).unwrap();
        fs::write(at("src/a.md"), "a").unwrap();
        let mut files = Files::new(vec![folder.path().into()]);
        assert!(!files.changed());

        let mut step = |what: &str, change: &dyn Fn(), want: bool| {
            change();
            assert_eq!(files.changed(), want, "{what}");
            assert!(!files.changed(), "{what}, second look");
        };
        step("written", &|| fs::write(at("src/a.md"), "ab").unwrap(), true);
        step(
            "same size, other time",
            &|| {
                let file = fs::File::options().write(true).open(at("src/a.md")).unwrap();
                file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            },
            true,
        );
        step("added", &|| fs::write(at("src/b.md"), "").unwrap(), true);
        step("renamed", &|| fs::rename(at("src/b.md"), at("src/c.md")).unwrap(), true);
        step("removed", &|| fs::remove_file(at("src/c.md")).unwrap(), true);
        step(
            "build output",
            &|| {
                fs::create_dir(at("target")).unwrap();
                fs::write(at("target/x"), "").unwrap();
            },
            false,
        );
        step("swap file", &|| fs::write(at("src/.a.md.swp"), "").unwrap(), false);
    }
}
