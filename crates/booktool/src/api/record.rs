//! `booktool api`: writes the index of items, or compares it with documentation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{DOCUMENT, Documentation, Index, Missing, Name, document, documented, index, suggestion, target};
use crate::error::{Error, Fault, Faults, Place};
use crate::outcome::Outcome;

/// `booktool api` documents the crates and writes the index; `booktool api --check` compares the index and every link of
/// the book with what `cargo doc` has written last, and counts each item as one check.
///
/// # Errors
/// When cargo fails, when a chapter names an item that does not exist, or when the index cannot be read or written.
pub fn run(check: bool) -> Result<Option<Outcome>, Error> {
    let (root, target) = (crate::root(), target());
    let names = crate::preprocess::items(&root)?;
    if check {
        let folder = target.join("doc");
        let documentation = open(&folder, "cargo doc --workspace --no-deps")?;
        return Ok(Some(compare(&names, &Index::read(&root)?, &documentation)));
    }
    let status = document(&target).stdin(Stdio::null()).status().map_err(Error::Cargo)?;
    if !status.success() {
        return Err(Error::Documentation { command: DOCUMENT.to_owned() });
    }
    let index = record(&names, &open(&documented(&target), "cargo xtask book api")?)?;
    let path = root.join(index::FILE);
    std::fs::write(&path, index.text()).map_err(|source| Error::Write { path, source })?;
    Ok(None)
}

fn open(folder: &Path, command: &str) -> Result<Documentation, Error> {
    let missing = || Error::NoDocumentation { path: folder.to_owned(), command: command.to_owned() };
    Documentation::open(PathBuf::from(folder)).ok_or_else(missing)
}

/// The index of the items that chapters name.
///
/// # Errors
/// [`Error::Faults`] with every item that is not there.
pub fn record(names: &[(Place, String)], documentation: &Documentation) -> Result<Index, Error> {
    let mut faults = Faults::default();
    let mut found = Vec::new();
    for (place, name) in names {
        match look_up(name, documentation) {
            Ok(page) => found.push((name.clone(), page)),
            Err(fault) => faults.add(place, fault),
        }
    }
    if faults.0.is_empty() { Ok(found.into_iter().collect()) } else { Err(Error::Faults(faults)) }
}

/// One check per item: it has a page, and the index knows that page; an entry that no chapter needs fails.
pub fn compare(names: &[(Place, String)], index: &Index, documentation: &Documentation) -> Outcome {
    const REMEDY: &str = "run `cargo xtask book api` and commit book/api.tsv";
    let mut outcome = Outcome::default();
    let mut seen = BTreeSet::new();
    for (place, name) in names {
        if !seen.insert(name) {
            continue;
        }
        let fault = match (look_up(name, documentation), index.page(name)) {
            (Err(fault), _) => Some(fault.to_string()),
            (Ok(_), None) => Some(format!("`{name}` is not in book/api.tsv; {REMEDY}")),
            (Ok(page), Some(known)) => (page != known)
                .then(|| format!("book/api.tsv has `{name}` at `{known}`, rustdoc at `{page}`; {REMEDY}")),
        };
        outcome.record(fault.map(|fault| format!("{place}: {fault}")));
    }
    for name in index.names().filter(|&name| !seen.iter().any(|used| *used == name)) {
        outcome.record([format!("book/api.tsv has `{name}`, which no chapter links; {REMEDY}")]);
    }
    outcome
}

fn look_up(written: &str, documentation: &Documentation) -> Result<String, Fault> {
    let name = Name::parse(written).ok_or_else(|| Fault::ItemName { name: written.to_owned() })?;
    documentation.find(&name).map_err(|missing| match missing {
        Missing::Unknown => {
            let hint = suggestion(&name, &documentation.similar(&name));
            Fault::UnknownItem { name: written.to_owned(), hint }
        }
        Missing::Ambiguous(kinds) => Fault::ambiguous(written, &kinds),
    })
}
