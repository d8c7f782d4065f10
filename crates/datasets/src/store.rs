//! The folder of data that a user fetched: what is there, is it right, and how it gets there.
//!
//! `ROOT/NAME/` holds the files of set NAME under their publisher's names, and `manifest.tsv` with size, checksum and
//! modification time of each when it was last checked. `ROOT` is [`data_dir`]'s.
//!
//! - Nothing is downloaded unless a person asks for it ([`Store::fetch`], or [`Store::fetch_from`] a mirror), and then by
//!   the system's `curl` or `wget`.
//! - A file appears under its name only whole and checked: it is written as `.part-NAME` and renamed. An interrupted
//!   download is gone on with by the next.
//! - One process at a time writes to a set; another gets [`DataError::Locked`], which names the first.
//! - A file is hashed again when its size or time differs from the manifest; one that is wrong stays where it is and
//!   is not used ([`DataError::Checksum`]).
//! - There is no silent way from a full set to an embedded part of it: what is absent is [`DataError::Absent`].
//!
//! # Examples
//! ```
//! use datasets::catalogue::CIFAR_10;
//! use datasets::store::Store;
//! let store = Store::at("no such folder");
//! let error = store.file(&CIFAR_10, "cifar-10-binary.tar.gz").unwrap_err();
//! assert!(error.to_string().ends_with("type `cargo xtask data fetch cifar-10`"));
//! ```
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::catalogue::{DISK_SETS, DiskFile, DiskSet, Identity};
use crate::data_dir::data_dir;
use crate::error::DataError;
use crate::gzip;
use crate::md5::Md5;
use crate::tsv::{self, Table};

/// Columns of a manifest.
const COLUMNS: [&str; 4] = ["file", "bytes", "sha256", "when"];
/// What a packed file may unpack to while it is hashed, for one byte of it: the most that deflate reaches.
const LARGEST_RATIO: u64 = 1040;

/// The set of this name on disk.
///
/// # Errors
/// [`DataError::UnknownSet`], with the names that there are.
pub fn disk_set(name: &str) -> Result<&'static DiskSet, DataError> {
    let known = || DISK_SETS.iter().map(|set| set.name).collect();
    let found = DISK_SETS.iter().find(|set| set.name == name);
    found.ok_or_else(|| DataError::UnknownSet { name: name.to_owned(), known: known() })
}

/// A folder of data. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Checked, and not changed since.
    Checked(PathBuf),
    /// There, but not checked since it changed.
    Unchecked(PathBuf),
    /// In none of the places.
    Absent,
}

/// A file that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where it lies.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// sha256, of the unpacked content where that is the file's [`Identity`].
    pub sha256: String,
}

impl Store {
    /// The store in the folder that [`data_dir`] finds; it need not exist.
    ///
    /// # Errors
    /// [`DataError::NoDataDirectory`].
    pub fn open(explicit: Option<&Path>) -> Result<Self, DataError> {
        Ok(Store { root: data_dir(explicit)? })
    }

    /// The store in `root`, which need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Store { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a set.
    pub fn folder(&self, set: &DiskSet) -> PathBuf {
        self.root.join(set.name)
    }

    /// What is known of each file of `set`, without reading it.
    pub fn states(&self, set: &DiskSet) -> Vec<(&'static str, State)> {
        let manifest = self.manifest(set).unwrap_or_default(); // a broken one knows nothing; `file` reports it
        let state =
            |file: &DiskFile| match self.places(set, file.name).into_iter().find(|path| path.is_file()) {
                None => State::Absent,
                Some(path) => match entry(&manifest, file.name) {
                    Some(known) if fingerprint(&path).is_ok_and(|now| now == (known.bytes, known.when)) => {
                        State::Checked(path)
                    }
                    _ => State::Unchecked(path),
                },
            };
        set.files.iter().map(|file| (file.name, state(file))).collect()
    }

    /// The path of a file of `set` whose content is right.
    ///
    /// It is looked for in the store, then where an operating system's package puts it; it is hashed unless the manifest
    /// knows it with this size and time.
    ///
    /// # Errors
    /// [`DataError::Absent`], [`DataError::Checksum`], [`DataError::Length`], [`DataError::Io`], [`DataError::Format`]
    /// for a broken manifest or packing.
    ///
    /// # Panics
    /// When `set` has no file of this name.
    pub fn file(&self, set: &DiskSet, name: &str) -> Result<PathBuf, DataError> {
        let file = set.files.iter().find(|file| file.name == name).expect("a file of the set");
        let places = self.places(set, name);
        let Some(path) = places.iter().find(|path| path.is_file()) else {
            return Err(absent(set, name, places));
        };
        let manifest = self.manifest(set)?;
        let known = entry(&manifest, name);
        let now = fingerprint(path).map_err(|source| DataError::read(path, source))?;
        if known.is_some_and(|known| (known.bytes, known.when) == now) {
            return Ok(path.clone());
        }
        let checked = check(path, file, known.map(|known| known.sha256.as_str()))?;
        // A folder that is read-only keeps no manifest: then the file is hashed each time.
        if path.starts_with(&self.root) {
            let _ = self.record(set, file, &checked);
        }
        Ok(path.clone())
    }

    /// Hashes every file of `set` that is there, whatever the manifest says; the files that are absent are left out.
    ///
    /// # Errors
    /// As [`file`](Self::file), for the first file that is not right.
    pub fn verify(&self, set: &DiskSet) -> Result<Vec<Checked>, DataError> {
        let manifest = self.manifest(set)?;
        let mut all = Vec::new();
        for file in set.files {
            if let Some(path) = self.places(set, file.name).into_iter().find(|path| path.is_file()) {
                all.push(check(&path, file, entry(&manifest, file.name).map(|known| known.sha256.as_str()))?);
            }
        }
        Ok(all)
    }

    /// Downloads the files of `set` that are not there yet, by `downloader`; `say` is told what happens.
    ///
    /// # Errors
    /// [`DataError::NotFetchable`], [`DataError::Locked`], [`DataError::Download`], [`DataError::Checksum`],
    /// [`DataError::Length`], [`DataError::Io`].
    pub fn fetch(
        &self,
        set: &DiskSet,
        downloader: &Downloader,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Checked>, DataError> {
        if !set.can_be_fetched() {
            return Err(DataError::NotFetchable { name: set.name, by_hand: set.by_hand });
        }
        let urls = |file: &DiskFile| file.urls.iter().map(|&url| url.to_owned()).collect();
        self.fetch_by(set, &urls, downloader, say)
    }

    /// As [`fetch`](Self::fetch), from a mirror: each file is taken from `base/NAME` with its publisher's name, and must
    /// be the same file. A set whose publisher has no address can be fetched from there too.
    ///
    /// # Errors
    /// [`DataError::Mirror`] when `base` is no web address, and those of [`fetch`](Self::fetch) but `NotFetchable`.
    pub fn fetch_from(
        &self,
        set: &DiskSet,
        base: &str,
        downloader: &Downloader,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Checked>, DataError> {
        let host = ["http://", "https://"].iter().find_map(|scheme| base.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || base.contains(char::is_whitespace)) {
            return Err(DataError::Mirror { base: base.to_owned() });
        }
        let base = base.trim_end_matches('/');
        self.fetch_by(set, &|file| vec![format!("{base}/{}", file.name)], downloader, say)
    }

    /// Downloads what is not there yet from the first of a file's `urls` that gives it.
    fn fetch_by(
        &self,
        set: &DiskSet,
        urls: &dyn Fn(&DiskFile) -> Vec<String>,
        downloader: &Downloader,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Checked>, DataError> {
        let _lock = self.lock(set)?;
        let mut all = Vec::new();
        for file in set.files {
            let path = self.folder(set).join(file.name);
            if path.is_file() {
                let manifest = self.manifest(set)?;
                let checked =
                    check(&path, file, entry(&manifest, file.name).map(|known| known.sha256.as_str()))?;
                say(&format!("{} is there", file.name));
                self.record(set, file, &checked)?;
                all.push(checked);
                continue;
            }
            let part = self.folder(set).join(format!(".part-{}", file.name));
            download(file, &urls(file), &part, downloader, say)?;
            all.push(self.take_in(set, file, &part, &path)?);
        }
        Ok(all)
    }

    /// Copies files of `set` from `path`, a file or a folder that holds some of them, after checking each.
    ///
    /// # Errors
    /// [`DataError::NotOfSet`] when there is none, [`DataError::Locked`], [`DataError::Checksum`],
    /// [`DataError::Length`], [`DataError::Io`]; files copied before the error stay.
    pub fn import(&self, set: &DiskSet, path: &Path) -> Result<Vec<Checked>, DataError> {
        let metadata = fs::metadata(path).map_err(|source| DataError::read(path, source))?;
        let found: Vec<(&DiskFile, PathBuf)> = set
            .files
            .iter()
            .filter_map(|file| {
                let from = if metadata.is_dir() { path.join(file.name) } else { path.to_owned() };
                (from.is_file() && from.file_name().is_some_and(|name| name == file.name))
                    .then_some((file, from))
            })
            .collect();
        if found.is_empty() {
            let files = set.files.iter().map(|file| file.name).collect();
            return Err(DataError::NotOfSet { path: path.to_owned(), set: set.name, files });
        }
        let _lock = self.lock(set)?;
        let mut all = Vec::new();
        for (file, from) in found {
            let part = self.folder(set).join(format!(".part-{}", file.name));
            let copied = fs::copy(&from, &part).map_err(|source| {
                let _ = fs::remove_file(&part); // the first error is the one to report
                DataError::write(&part, source)
            });
            copied?;
            let taken = self.take_in(set, file, &part, &self.folder(set).join(file.name));
            all.push(taken.map_err(|error| error.about(&part, &from))?);
        }
        Ok(all)
    }

    /// Checks a part, gives it its name and records it; a part that is wrong is removed.
    fn take_in(
        &self,
        set: &DiskSet,
        file: &DiskFile,
        part: &Path,
        path: &Path,
    ) -> Result<Checked, DataError> {
        let manifest = self.manifest(set)?;
        let known = entry(&manifest, file.name).map(|known| known.sha256.as_str());
        let checked = check(part, file, known).inspect_err(|_| {
            let _ = fs::remove_file(part); // the first error is the one to report
        })?;
        fs::rename(part, path).map_err(|source| DataError::write(path, source))?;
        let checked = Checked { path: path.to_owned(), ..checked };
        self.record(set, file, &checked)?;
        Ok(checked)
    }

    /// Where a file is looked for, in order.
    fn places(&self, set: &DiskSet, name: &str) -> Vec<PathBuf> {
        let system = set.system.iter().map(|folder| Path::new(folder).join(name));
        std::iter::once(self.folder(set).join(name)).chain(system).collect()
    }

    fn manifest(&self, set: &DiskSet) -> Result<Vec<Entry>, DataError> {
        let path = self.folder(set).join("manifest.tsv");
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let table = Table::read(&path, &COLUMNS)?;
        let (bytes, when) = (table.integers("bytes")?, table.integers("when")?);
        let entry = |((i, file), sha256): ((usize, &str), &str)| Entry {
            file: file.to_owned(),
            bytes: bytes[i],
            sha256: sha256.to_owned(),
            when: when[i],
        };
        Ok(table.texts("file")?.into_iter().enumerate().zip(table.texts("sha256")?).map(entry).collect())
    }

    /// Writes what was checked into the manifest.
    fn record(&self, set: &DiskSet, file: &DiskFile, checked: &Checked) -> Result<(), DataError> {
        let path = self.folder(set).join("manifest.tsv");
        let (bytes, when) =
            fingerprint(&checked.path).map_err(|source| DataError::read(&checked.path, source))?;
        let mut entries = self.manifest(set)?;
        entries.retain(|entry| entry.file != file.name);
        entries.push(Entry { file: file.name.to_owned(), bytes, sha256: checked.sha256.clone(), when });
        let rows = entries.into_iter().map(|e| [e.file, e.bytes.to_string(), e.sha256, e.when.to_string()]);
        tsv::write(&path, &COLUMNS, rows)
    }

    /// The right to write to the folder of `set`, as long as the value lives; the system ends it with the process.
    fn lock(&self, set: &DiskSet) -> Result<Turn, DataError> {
        let folder = self.folder(set);
        fs::create_dir_all(&folder).map_err(|source| DataError::write(&folder, source))?;
        let path = folder.join(".lock");
        let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(|source| DataError::write(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder); // who it is only helps the message
                return Err(DataError::Locked {
                    set: set.name,
                    holder: holder.trim().to_owned(),
                    lock: path,
                });
            }
            Err(TryLockError::Error(source)) => return Err(DataError::write(&path, source)),
        }
        let mut turn = Turn(file);
        let file = &mut turn.0;
        let write = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {}", std::process::id()));
        write.map_err(|source| DataError::write(&path, source))?;
        Ok(turn)
    }
}

/// The right to write to a folder, given back when the value is dropped.
///
/// Closing the file is not enough: another thread may just be starting a program, whose process has a copy of the file
/// until it runs that program, and the lock would live as long.
#[derive(Debug)]
struct Turn(File);

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.0.unlock(); // what cannot be unlocked ends with the process
    }
}

/// A line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    file: String,
    bytes: u64,
    sha256: String,
    when: u64, // nanoseconds since 1970
}

fn entry<'a>(manifest: &'a [Entry], file: &str) -> Option<&'a Entry> {
    manifest.iter().find(|entry| entry.file == file)
}

/// Length and modification time.
fn fingerprint(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((metadata.len(), since.as_nanos() as u64))
}

fn absent(set: &DiskSet, name: &str, looked_in: Vec<PathBuf>) -> DataError {
    let remedy = match set.can_be_fetched() {
        true => format!("type `cargo xtask data fetch {}`", set.name),
        false => format!("{}, then type `cargo xtask data import {} FOLDER`", set.by_hand, set.name),
    };
    DataError::Absent { name: name.to_owned(), looked_in, remedy }
}

/// Compares a file with what identifies it; `seen` is the sum of its first import, which counts where nothing else is
/// published.
fn check(path: &Path, file: &DiskFile, seen: Option<&str>) -> Result<Checked, DataError> {
    let bytes = fs::metadata(path).map_err(|source| DataError::read(path, source))?.len();
    if let Some(expected) = file.bytes.filter(|&expected| expected != bytes) {
        return Err(DataError::Length { file: path.to_owned(), expected, found: bytes });
    }
    let unpacks = matches!(file.identity, Identity::Unpacked(_)) && gzip::is_packed(path);
    let sums = sums(path, unpacks, bytes)?;
    let (expected, found) = match file.identity {
        Identity::Unpacked(sha256) | Identity::Packed(sha256) => (sha256, &sums.sha256),
        Identity::Md5(md5) => (md5, &sums.md5),
        Identity::FirstSeen => (seen.unwrap_or(&sums.sha256), &sums.sha256),
    };
    if expected != *found {
        return Err(DataError::Checksum {
            file: path.to_owned(),
            expected: expected.to_owned(),
            found: found.clone(),
        });
    }
    Ok(Checked { path: path.to_owned(), bytes, sha256: sums.sha256 })
}

struct Sums {
    sha256: String,
    md5: String,
}

/// Sums of a file, or of what it unpacks to, read in pieces.
fn sums(path: &Path, unpacks: bool, bytes: u64) -> Result<Sums, DataError> {
    let file = File::open(path).map_err(|source| DataError::read(path, source))?;
    let mut stream: Box<dyn Read> = if unpacks {
        Box::new(MultiGzDecoder::new(file).take(bytes.saturating_mul(LARGEST_RATIO)))
    } else {
        Box::new(file)
    };
    let (mut sha256, mut md5) = (Sha256::new(), Md5::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                sha256.update(&buffer[..n]);
                md5.update(&buffer[..n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if unpacks => {
                let rule = crate::error::Rule::Gzip;
                return Err(DataError::format(path, crate::error::At::Byte(0), rule, format!("\"{error}\"")));
            }
            Err(source) => return Err(DataError::read(path, source)),
        }
    }
    let sha256 = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Sums { sha256, md5: md5.finish() })
}

/// The program that downloads: `curl` or `wget`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloader {
    /// `curl` at this path, or by this name.
    Curl(PathBuf),
    /// `wget` at this path, or by this name.
    Wget(PathBuf),
}

impl Downloader {
    /// The first that runs on this machine.
    ///
    /// # Errors
    /// [`DataError::NoDownloader`] when neither does.
    pub fn find() -> Result<Self, DataError> {
        let runs =
            |program: &str| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
        if runs("curl") {
            Ok(Downloader::Curl("curl".into()))
        } else if runs("wget") {
            Ok(Downloader::Wget("wget".into()))
        } else {
            Err(DataError::NoDownloader)
        }
    }

    /// The command that goes on writing `url` to `part`. It gives up on a server that does not answer for half a minute,
    /// or sends nothing for a whole one.
    fn command(&self, url: &str, part: &Path) -> Command {
        match self {
            Downloader::Curl(program) => {
                let mut command = Command::new(program);
                command.args([
                    "--fail",
                    "--location",
                    "--silent",
                    "--show-error",
                    "--connect-timeout",
                    "30",
                    "--speed-limit",
                    "1",
                    "--speed-time",
                    "60",
                    "--continue-at",
                    "-",
                    "--output",
                ]);
                command.arg(part).arg(url);
                command
            }
            Downloader::Wget(program) => {
                let mut command = Command::new(program);
                let quietly = ["--no-verbose", "--tries=1", "--connect-timeout=30", "--read-timeout=60"];
                command.args(quietly).args(["--continue", "--output-document"]).arg(part).arg(url);
                command
            }
        }
    }
}

/// Downloads a file from the first address that gives it; what an interrupted run left is gone on with, and fetched from
/// its beginning when that fails.
fn download(
    file: &DiskFile,
    urls: &[String],
    part: &Path,
    downloader: &Downloader,
    say: &mut dyn FnMut(&str),
) -> Result<(), DataError> {
    if part.is_file() && check(part, file, None).is_ok() && !matches!(file.identity, Identity::FirstSeen) {
        return Ok(()); // it was whole, and only its new name was missing
    }
    let mut last = None;
    for url in urls {
        for _ in 0..2 {
            let goes_on = part.is_file();
            say(&format!("{} {url}", if goes_on { "goes on with" } else { "fetches" }));
            match run(downloader.command(url, part), url) {
                Ok(()) if part.is_file() => return Ok(()),
                Ok(()) => {
                    last = Some(DataError::Download { url: url.clone(), why: "it wrote no file".to_owned() })
                }
                Err(error) => last = Some(error),
            }
            if !goes_on {
                break;
            }
            let _ = fs::remove_file(part); // if it stays, the second try says so
        }
    }
    Err(last.expect("a file that is fetched has an address"))
}

fn run(mut command: Command, url: &str) -> Result<(), DataError> {
    let failed = |why: String| Err(DataError::Download { url: url.to_owned(), why });
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return failed(error.to_string()),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    match said.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => failed(line.trim().to_owned()),
        None => failed(output.status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_although_a_starting_process_has_a_copy_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let (store, set) = (Store::at(folder.path()), &DISK_SETS[0]);
        let turn = store.lock(set).unwrap();
        assert!(matches!(store.lock(set), Err(DataError::Locked { .. })));
        let copy = turn.0.try_clone().unwrap();
        drop(turn);
        store.lock(set).unwrap();
        drop(copy);
    }
}
