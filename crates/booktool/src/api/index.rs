//! `book/api.tsv`: the page of every item that the book links.

use std::collections::BTreeMap;
use std::path::Path;

use super::Name;
use crate::error::Error;

/// The file, below the book's root.
pub const FILE: &str = "api.tsv";

/// What stands above the items.
const HEAD: &str = "# The page of every item that the book links; `cargo xtask book api` writes this file.\n";

/// Pages by the item as chapters write it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Index {
    pages: BTreeMap<String, String>,
}

impl Index {
    /// Reads `root/api.tsv`; a book without that file has no items.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not `item TAB page`.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Read { path, source }),
        };
        let mut pages = BTreeMap::new();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let entry =
                line.split_once('\t').filter(|(name, page)| Name::parse(name).is_some() && is_page(page));
            let Some((name, page)) = entry else { return Err(Error::ApiLine { line: i + 1 }) };
            pages.insert(name.to_owned(), page.to_owned());
        }
        Ok(Self { pages })
    }

    /// The page of an item, as it is written in a chapter.
    pub fn page(&self, name: &str) -> Option<&str> {
        self.pages.get(name).map(String::as_str)
    }

    /// All items.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pages.keys().map(String::as_str)
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let lines = self.pages.iter().map(|(name, page)| format!("{name}\t{page}\n"));
        HEAD.to_owned() + &lines.collect::<String>()
    }
}

impl FromIterator<(String, String)> for Index {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Self {
        Self { pages: entries.into_iter().collect() }
    }
}

/// A path of rustdoc's below its folder, which may stand in a link as it is.
fn is_page(page: &str) -> bool {
    let (file, _) = page.split_once('#').unwrap_or((page, ""));
    file.ends_with(".html")
        && !page.starts_with('/')
        && page.split('/').all(|part| !part.is_empty() && part != "..")
        && page.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/#".contains(&byte))
}
