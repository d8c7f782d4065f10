//! Which page of the crates' documentation describes an item.
//!
//! A chapter links an item as `api:optim::perceptron::Perceptron` ([`Name`]). Its page stands in `book/api.tsv`
//! ([`Index`]), which `booktool api` writes from what rustdoc has written ([`Documentation`]). An item that is not in
//! the index yet is looked up in documentation that happens to be built, so that a new link works at once.

mod documentation;
mod index;
mod name;
mod record;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use documentation::{Documentation, Missing};
pub use index::Index;
pub use name::Name;
pub use record::run;

use crate::error::{Error, Fault, hint};

/// The folder below cargo's own that `booktool` documents into: a lock of its own, so that whoever runs an experiment
/// meanwhile does not wait, and none of the workspace's tools among the crates.
const FOLDER: &str = "api";

/// The pages of all items that a chapter may link.
#[derive(Debug)]
pub struct Known {
    index: Index,
    built: Vec<Documentation>,
}

impl Known {
    /// The index of the book in `root`, and what is documented below `target`.
    ///
    /// # Errors
    /// When the index cannot be read or does not follow its format.
    pub fn read(root: &Path, target: &Path) -> Result<Self, Error> {
        let built = [documented(target), target.join("doc")].into_iter().filter_map(Documentation::open);
        Ok(Self { index: Index::read(root)?, built: built.collect() })
    }

    /// The page of an item, with its anchor, below the folder of the documentation.
    ///
    /// # Errors
    /// [`Fault::ItemName`], [`Fault::UnknownItem`] and [`Fault::AmbiguousItem`].
    pub fn page(&self, written: &str) -> Result<String, Fault> {
        let name = Name::parse(written).ok_or_else(|| Fault::ItemName { name: written.to_owned() })?;
        if let Some(page) = self.index.page(written) {
            return Ok(page.to_owned());
        }
        let mut similar: Vec<String> = self.index.names().map(str::to_owned).collect();
        for documentation in &self.built {
            match documentation.find(&name) {
                Ok(page) => return Ok(page),
                Err(Missing::Ambiguous(kinds)) => {
                    return Err(Fault::ambiguous(written, &kinds));
                }
                Err(Missing::Unknown) => similar.extend(documentation.similar(&name)),
            }
        }
        Err(Fault::UnknownItem { name: written.to_owned(), hint: suggestion(&name, &similar) })
    }
}

/// ` (did you mean …?)`: the item of the same last name that lies nearest, else one with a similar path.
fn suggestion(name: &Name, similar: &[String]) -> String {
    let path = name.path();
    let last = name.segments().last().map_or("", String::as_str);
    let namesakes = similar.iter().map(String::as_str).filter(|known| {
        Name::parse(known).is_some_and(|known| known.segments().last().is_some_and(|s| s == last))
    });
    match crate::error::nearest(&path, namesakes) {
        "" => hint(&path, similar.iter().map(String::as_str)),
        namesake => format!(" (did you mean `{namesake}`?)"),
    }
}

/// The folder that cargo builds into: it wrote the mark, and this program lies below it.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| crate::root().with_file_name("target"), Path::to_owned)
}

/// Where [`document`] writes.
pub fn documented(target: &Path) -> PathBuf {
    target.join(FOLDER).join("doc")
}

/// The command that documents the course's crates, which are the default members of the workspace, as a person types it.
pub const DOCUMENT: &str = "cargo doc --no-deps";

/// The same command, with `target` as the folder.
pub fn document(target: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(DOCUMENT.split(' ').skip(1))
        .args(["--color", "never", "--target-dir"])
        .arg(target.join(FOLDER));
    command.current_dir(crate::root().with_file_name(""));
    command
}

#[cfg(test)]
mod tests;
