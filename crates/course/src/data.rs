//! `course data`.
use crate::text::Text;
use crate::{Error, FAILED, OK};
use clap::ArgMatches;
use datasets::catalogue::{DISK_SETS, DiskSet};
use datasets::store::{Checked, Downloader, State, Store, disk_set};
use datasets::{DataError, registry};
use std::io::Write;
use std::path::PathBuf;

/// Describes sets, fetches or imports those on disk, recomputes checksums.
pub(crate) fn data(matches: &ArgMatches, out: &mut dyn Write) -> Result<u8, Error> {
    let (command, matches) = matches.subcommand().expect("clap requires one of the subcommands below");
    let folder = matches.get_one::<PathBuf>("data-dir").map(PathBuf::as_path);
    let set = || disk_set(matches.get_one::<String>("name").expect("clap requires it"));
    match command {
        "list" => list(Store::open(folder), out),
        "path" => {
            writeln!(out, "{}", Store::open(folder)?.root().display())?;
            Ok(OK)
        }
        "verify" => verify(matches.get_one::<String>("name"), Store::open(folder), out),
        "fetch" => {
            let (set, store) = (set()?, Store::open(folder)?);
            let mut say = |line: &str| eprintln!("{}: {line}", set.name);
            let files = match matches.get_one::<String>("from") {
                Some(base) => store.fetch_from(set, base, &Downloader::find()?, &mut say)?,
                None if set.can_be_fetched() => store.fetch(set, &Downloader::find()?, &mut say)?,
                None => return Err(DataError::NotFetchable { name: set.name, by_hand: set.by_hand }.into()),
            };
            written(set, &files, out)
        }
        "import" => {
            let path = matches.get_one::<PathBuf>("path").expect("clap requires it");
            let set = set()?;
            let files = Store::open(folder)?.import(set, path)?;
            written(set, &files, out)
        }
        _ => unreachable!("clap knows the subcommands above only"),
    }
}

/// Every embedded set, then every set on disk with the state of its files.
fn list(store: Result<Store, DataError>, out: &mut dyn Write) -> Result<u8, Error> {
    for description in registry::descriptions() {
        writeln!(out, "{description}\n")?;
    }
    match &store {
        Ok(store) => writeln!(out, "On disk, in {}:\n", store.root().display())?,
        Err(error) => writeln!(out, "On disk: {error}\n")?,
    }
    for set in DISK_SETS {
        writeln!(out, "{}: {}", set.name, set.title)?;
        let states = store.as_ref().map(|store| store.states(set)).unwrap_or_default();
        for (file, state) in states {
            let state = match state {
                State::Checked(path) => format!("checked, {}", path.display()),
                State::Unchecked(path) => format!("not checked yet, {}", path.display()),
                State::Absent if set.can_be_fetched() => {
                    format!("absent, `cargo xtask data fetch {}`", set.name)
                }
                State::Absent => {
                    format!("absent; {}, then `cargo xtask data import {} FOLDER`", set.by_hand, set.name)
                }
            };
            writeln!(out, "  file      {file}: {state}")?;
        }
        if let Some(split) = set.split {
            writeln!(
                out,
                "  split     {}: {} train, {} test; {}",
                split.name, split.train, split.test, split.note
            )?;
        }
        writeln!(out, "  licence   {}\n  citation  {}\n", set.licence, set.citation)?;
    }
    writeln!(out, "sets: {} embedded, {} on disk", registry::descriptions().len(), DISK_SETS.len())?;
    Ok(OK)
}

/// Recomputes the checksums of the embedded files and of those on disk, or of one set.
fn verify(name: Option<&String>, store: Result<Store, DataError>, out: &mut dyn Write) -> Result<u8, Error> {
    let mut table = Text::new([("file", 34), ("bytes", 10), ("sha256", 64), ("state", 60)]);
    let (mut ok, mut failed) = (0, 0);
    // `mnist` is embedded in part and on disk in full: the name means the full one, as everywhere in `data`.
    let embedded = name.filter(|name| disk_set(name).is_err()).and_then(|name| registry::describe(name));
    if name.is_none() || embedded.is_some() {
        let files: Vec<_> = match embedded {
            Some(set) => set.files.clone(),
            None => registry::registry().iter().collect(),
        };
        for file in files {
            let state = match file.verify() {
                Ok(()) => {
                    ok += 1;
                    "ok".to_string()
                }
                Err(error) => {
                    failed += 1;
                    error.to_string()
                }
            };
            table.row([file.file.clone(), file.size.to_string(), file.sha256.clone(), state]);
        }
    }
    let sets: Vec<&DiskSet> = match (name, embedded) {
        (Some(_), Some(_)) => Vec::new(),
        (Some(name), None) => vec![disk_set(name)?],
        (None, _) => DISK_SETS.iter().collect(),
    };
    let is_asked_for = !sets.is_empty() && name.is_some();
    if let Some(store) = if is_asked_for { Some(store?) } else { store.ok() } {
        for set in sets {
            match store.verify(set) {
                Ok(files) if files.is_empty() && is_asked_for => {
                    let file = set.files[0].name;
                    return Err(store.file(set, file).expect_err("no file is there").into());
                }
                Ok(files) => {
                    ok += files.len();
                    for Checked { path, bytes, sha256 } in files {
                        table.row([path.display().to_string(), bytes.to_string(), sha256, "ok".into()]);
                    }
                }
                Err(error) => {
                    failed += 1;
                    table.row([set.name.to_string(), String::new(), String::new(), error.to_string()]);
                }
            }
        }
    }
    table.write(out)?;
    writeln!(out, "files: {ok} as recorded, {failed} not")?;
    Ok(if failed > 0 { FAILED } else { OK })
}

/// What a fetch or an import left behind.
fn written(set: &DiskSet, files: &[Checked], out: &mut dyn Write) -> Result<u8, Error> {
    for Checked { path, bytes, sha256 } in files {
        writeln!(out, "{} ({bytes} bytes, sha256 {sha256})", path.display())?;
    }
    writeln!(out, "{}: {} of {} files, checked", set.name, files.len(), set.files.len())?;
    Ok(OK)
}
