//! Reads the pages that rustdoc has written.
//!
//! From a crate's first page on, each page of a module is read for what it lists: items and modules by the names of their
//! files (`struct.Adam.html`, `sgd/index.html`), re-exports by their `id`. Files are found by the lists alone, since
//! rustdoc leaves the pages of items behind that are no more. The names of files and ids are what other documentation
//! links to, and have changed little in ten years; nothing else of a page is looked at.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Name;
use crate::links::{Token, join, parent, tokens};

/// Kinds of ids that name a part of an item, in the order in which one of them is taken.
const PARTS: &[&str] =
    &["method", "tymethod", "variant", "structfield", "associatedconstant", "associatedtype"];

/// A folder that rustdoc has written.
#[derive(Debug)]
pub struct Documentation {
    folder: PathBuf,
    modules: RefCell<BTreeMap<String, Rc<Module>>>,
}

/// Why an item has no page.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing has that path.
    Unknown,
    /// Several things do: their kinds.
    Ambiguous(Vec<String>),
}

/// What the page of a module lists.
#[derive(Debug, Default)]
struct Module {
    entries: Vec<Entry>,
    /// Pages of modules whose items this one has as well.
    globs: Vec<String>,
}

/// An item of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    /// As rustdoc names files: `struct`, `fn`, …, and `mod`.
    kind: String,
    page: String,
}

impl Documentation {
    /// `None` when nothing is documented there.
    pub fn open(folder: PathBuf) -> Option<Self> {
        let documentation = Self { folder, modules: RefCell::default() };
        (!documentation.crates().is_empty()).then_some(documentation)
    }

    /// The crates that are documented.
    pub fn crates(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().join("all.html").is_file());
        let mut names: Vec<String> =
            folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The page of an item below the folder, with its anchor if it is a part of another item.
    ///
    /// # Errors
    /// [`Missing`] when no item, or more than one, has the name.
    pub fn find(&self, name: &Name) -> Result<String, Missing> {
        let (first, rest) = name.segments().split_first().ok_or(Missing::Unknown)?;
        let start = format!("{first}/index.html");
        if !self.folder.join(&start).is_file() || first.contains(['.', '/']) {
            return Err(Missing::Unknown);
        }
        let mut here = Entry { name: first.clone(), kind: "mod".into(), page: start };
        for (i, segment) in rest.iter().enumerate() {
            let is_last = i + 1 == rest.len();
            if here.kind != "mod" {
                return if is_last { self.part(&here.page, segment, name) } else { Err(Missing::Unknown) };
            }
            let mut found = self.entries(&here.page, segment);
            // Before the last one only modules and types have something inside.
            found.retain(|entry| if is_last { name.fits(&entry.kind) } else { holds(&entry.kind) });
            found.sort_by(|a, b| (&a.kind, &a.page).cmp(&(&b.kind, &b.page)));
            found.dedup();
            here = match found.len() {
                0 => return Err(Missing::Unknown),
                1 => found.remove(0),
                _ => {
                    return Err(Missing::Ambiguous(
                        found.into_iter().map(|entry| said(&entry.kind)).collect(),
                    ));
                }
            };
        }
        if !name.fits(&here.kind) || !self.folder.join(&here.page).is_file() {
            return Err(Missing::Unknown);
        }
        Ok(here.page)
    }

    /// Paths that may have been meant: every item of the crate, the parts of the item that the name begins with, or the
    /// crates.
    pub fn similar(&self, name: &Name) -> Vec<String> {
        let segments = name.segments();
        let mut paths = Vec::new();
        if let Some(before) = segments.len().checked_sub(1).filter(|&before| before > 0)
            && let Some(item) = Name::parse(&segments[..before].join("::"))
            && let Ok(page) = self.find(&item)
        {
            let parts = self.ids(&page).into_iter().filter_map(|id| {
                let (kind, part) = id.split_once('.')?;
                PARTS.contains(&kind).then(|| part.to_owned())
            });
            paths.extend(parts.map(|part| format!("{}::{part}", item.path())));
        }
        let crates = self.crates();
        if crates.contains(&segments[0]) {
            paths.extend(self.items(&segments[0]));
        } else {
            let rest = segments[1..].iter().map(|segment| format!("::{segment}")).collect::<String>();
            let renamed = crates.iter().map(|known| format!("{known}{rest}"));
            paths.extend(
                renamed.filter(|path| Name::parse(path).is_some_and(|name| self.find(&name).is_ok())),
            );
            paths.extend(crates.iter().flat_map(|known| self.items(known)));
        }
        paths.retain(|path| Name::parse(path).is_some());
        paths
    }

    /// Every item of a crate: its page `all.html`.
    fn items(&self, name: &str) -> Vec<String> {
        let page = format!("{name}/all.html");
        links(&self.text(&page))
            .filter_map(|href| {
                file(&href).map(|(folder, _, item)| (folder.replace('/', "::"), item.to_owned()))
            })
            .map(|(modules, item)| format!("{name}::{modules}{item}"))
            .collect()
    }

    /// A method, variant or field of the item on `page`.
    fn part(&self, page: &str, part: &str, name: &Name) -> Result<String, Missing> {
        let ids = self.ids(page);
        let kinds = PARTS.iter().filter(|kind| name.fits(kind));
        let id = kinds.map(|kind| format!("{kind}.{part}")).find(|id| ids.contains(id));
        id.map(|id| format!("{page}#{id}")).ok_or(Missing::Unknown)
    }

    fn ids(&self, page: &str) -> BTreeSet<String> {
        let tags = tokens(&self.text(page)).into_iter().filter_map(|token| match token {
            Token::Open(tag) => tag.attributes.into_iter().find(|(name, _)| name == "id"),
            _ => None,
        });
        tags.map(|(_, id)| id).collect()
    }

    /// What the module on `page` has of that name, by itself or through a glob.
    fn entries(&self, page: &str, name: &str) -> Vec<Entry> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![page.to_owned()];
        while let Some(page) = open.pop() {
            if !seen.insert(page.clone()) {
                continue;
            }
            let module = self.module(&page);
            let own: Vec<Entry> = module.entries.iter().filter(|entry| entry.name == name).cloned().collect();
            // An item of a module hides what a glob would bring.
            if own.is_empty() {
                open.extend(module.globs.iter().cloned());
            }
            found.extend(own);
        }
        found
    }

    fn module(&self, page: &str) -> Rc<Module> {
        if let Some(module) = self.modules.borrow().get(page) {
            return Rc::clone(module);
        }
        let module = Rc::new(Module::read(page, &self.text(page)));
        self.modules.borrow_mut().insert(page.to_owned(), Rc::clone(&module));
        module
    }

    /// A page that cannot be read lists nothing.
    fn text(&self, page: &str) -> String {
        let path: &Path = page.as_ref();
        std::fs::read_to_string(self.folder.join(path)).unwrap_or_default()
    }
}

impl Module {
    /// Every entry of a list of items is a `dt`: its last link leads to the item, its `id` names a re-export.
    fn read(page: &str, text: &str) -> Self {
        let mut module = Self::default();
        let mut open: Option<Row> = None;
        for token in tokens(text) {
            match (token, &mut open) {
                (Token::Open(tag), _) if tag.name == "dt" => {
                    let id = tag.attributes.into_iter().find(|(name, _)| name == "id");
                    open = Some(Row { id: id.map(|(_, id)| id), ..Row::default() });
                }
                (Token::Open(tag), Some(row)) if tag.name == "a" => {
                    row.link =
                        tag.attributes.into_iter().find(|(name, _)| name == "href").map(|(_, href)| href);
                }
                (Token::Text(text), Some(row)) => row.text.push_str(&text),
                (Token::Close(name), Some(_)) if name == "dt" => {
                    if let Some(row) = open.take() {
                        module.add(page, row);
                    }
                }
                _ => {}
            }
        }
        module
    }

    fn add(&mut self, page: &str, row: Row) {
        let Some(target) = row.link.and_then(|href| join(&parent(page), &href)) else { return };
        let Some((_, kind, item)) = file(&target) else { return };
        let renamed = row.id.as_deref().and_then(|id| id.strip_prefix("reexport."));
        // Two re-exports of one name have the ids `reexport.mnist` and `reexport.mnist-1`.
        let name = renamed.map_or(item, |id| id.split('-').next().unwrap_or(id)).to_owned();
        if renamed.is_none() && row.text.trim_end().trim_end_matches(';').ends_with("::*") {
            self.globs.push(target);
            return;
        }
        let kind = kind.to_owned();
        self.entries.push(Entry { name, kind, page: target });
    }
}

/// A `dt` of a list.
#[derive(Debug, Default)]
struct Row {
    id: Option<String>,
    link: Option<String>,
    text: String,
}

/// Folder, kind and name of the item on a page, by its file: `a/b/struct.C.html`, `a/b/index.html`.
fn file(page: &str) -> Option<(&str, &str, &str)> {
    let at = page.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, file) = page.split_at(at);
    if file == "index.html" {
        let module = folder.trim_end_matches('/');
        let at = module.rfind('/').map_or(0, |slash| slash + 1);
        return Some((&module[..at], "mod", &module[at..]));
    }
    let (kind, name) = file.strip_suffix(".html")?.split_once('.')?;
    Some((folder, kind, name))
}

fn links(text: &str) -> impl Iterator<Item = String> {
    let tags = tokens(text).into_iter().filter_map(|token| match token {
        Token::Open(tag) if tag.name == "a" => tag.attributes.into_iter().find(|(name, _)| name == "href"),
        _ => None,
    });
    tags.map(|(_, href)| href)
}

/// Whether items of this kind have something inside that a path names.
fn holds(kind: &str) -> bool {
    matches!(kind, "mod" | "struct" | "enum" | "union" | "trait" | "type" | "primitive")
}

/// A kind in words, for a fault.
fn said(kind: &str) -> String {
    let word = match kind {
        "mod" => "module",
        "fn" => "function",
        other => other,
    };
    word.to_owned()
}
