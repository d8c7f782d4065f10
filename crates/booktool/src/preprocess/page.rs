//! A chapter on its way through the passes: its text, and for each line the place that it came from.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::error::Place;

/// The Markdown of mdBook 0.5, and maths on top.
pub const MARKDOWN: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_HEADING_ATTRIBUTES)
    .union(Options::ENABLE_DEFINITION_LIST)
    .union(Options::ENABLE_GFM)
    .union(Options::ENABLE_MATH);

/// A chapter. Passes replace parts of its text; faults are reported where the author wrote them.
#[derive(Debug, Clone)]
pub struct Page {
    /// Title in the summary.
    pub name: String,
    /// File below `src`.
    pub path: PathBuf,
    /// Number of the lecture that the page belongs to: `lecture-08/adam.md` has 8.
    pub lecture: Option<u32>,
    /// Markdown.
    pub text: String,
    /// One place per line of `text`.
    places: Vec<Place>,
}

/// A part of a page and what takes its place.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Bytes of the page.
    pub range: Range<usize>,
    /// The new text.
    pub text: String,
    /// Where each line of the new text comes from; empty when it comes from the line that it replaces.
    pub places: Vec<Place>,
}

impl Edit {
    /// Replaces `range` by text that the replaced line stands for.
    pub fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into(), places: Vec::new() }
    }
}

impl Page {
    /// A page as its author wrote it in `src/PATH`.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let file: Arc<str> = format!("src/{}", slashes(&path)).into();
        let lines = text.matches('\n').count() + 1;
        let places = (1..=lines).map(|line| Place { file: file.clone(), line }).collect();
        Self { name: name.into(), lecture: lecture(&path), path, text, places }
    }

    /// What stands before the point in the page's numbers: its lecture, or, for a page beside the lectures, the first
    /// letter of its file: `8` in `lecture-08/adam.md`, `S` in `speed.md`.
    pub fn chapter(&self) -> String {
        let letter = || self.path.to_string_lossy().chars().take(1).flat_map(char::to_uppercase).collect();
        self.lecture.map_or_else(letter, |lecture| lecture.to_string())
    }

    /// Where the byte `offset` of the text was written.
    pub fn place(&self, offset: usize) -> &Place {
        &self.places[self.text[..offset].matches('\n').count()]
    }

    /// The line that holds the byte `offset`, without its line break.
    pub fn line(&self, offset: usize) -> &str {
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at);
        &self.text[start..end]
    }

    /// Replaces parts that do not overlap, given in order.
    pub fn apply(&mut self, edits: Vec<Edit>) {
        if edits.is_empty() {
            return;
        }
        let mut text = String::with_capacity(self.text.len());
        let mut places = vec![self.places[0].clone()];
        let (mut at, mut line) = (0, 0);
        for edit in edits {
            self.keep(at..edit.range.start, &mut line, &mut text, &mut places);
            text.push_str(&edit.text);
            if let (Some(first), Some(last)) = (edit.places.first(), places.last_mut()) {
                *last = first.clone();
            }
            for i in 1..=edit.text.matches('\n').count() {
                places.push(edit.places.get(i).unwrap_or(&self.places[line]).clone());
            }
            line += self.text[edit.range.clone()].matches('\n').count();
            at = edit.range.end;
        }
        self.keep(at..self.text.len(), &mut line, &mut text, &mut places);
        self.text = text;
        self.places = places;
    }

    /// Copies a part that no edit touches.
    fn keep(&self, range: Range<usize>, line: &mut usize, text: &mut String, places: &mut Vec<Place>) {
        let part = &self.text[range];
        text.push_str(part);
        for _ in part.matches('\n') {
            *line += 1;
            places.push(self.places[*line].clone());
        }
    }

    /// Parser events with their bytes.
    pub fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, MARKDOWN).into_offset_iter()
    }

    /// Bytes of code (spans and blocks) and of formulas, in order.
    pub fn verbatim(&self) -> Verbatim {
        let mut verbatim = Verbatim::default();
        for (event, range) in self.events() {
            match event {
                Event::Code(_) | Event::Start(Tag::CodeBlock(_)) => verbatim.code.push(range),
                Event::InlineMath(_) | Event::DisplayMath(_) => verbatim.maths.push(range),
                _ => {}
            }
        }
        verbatim
    }

    /// Headings of level 2 and deeper as (byte, plain text), in order.
    pub fn headings(&self) -> Vec<(usize, String)> {
        let mut headings = Vec::new();
        let mut open: Option<(usize, String)> = None;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::Heading { level, .. }) if level > HeadingLevel::H1 => {
                    open = Some((range.start, String::new()));
                }
                Event::End(TagEnd::Heading(_)) => headings.extend(open.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, heading)) = &mut open {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        headings
    }

    /// A link from this page to `fragment` of the page `target`; only the fragment when they are the same.
    pub fn link(&self, target: &Path, fragment: &str) -> String {
        if target == self.path {
            return format!("#{fragment}");
        }
        let up = "../".repeat(self.path.components().count() - 1);
        format!("{up}{}#{fragment}", slashes(target))
    }

    /// The page's folder relative to `src`, for paths that the author wrote relative to the page.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// Bytes of a page that passes must not read as text.
#[derive(Debug, Clone, Default)]
pub struct Verbatim {
    /// Code spans and blocks.
    code: Vec<Range<usize>>,
    /// Inline and displayed formulas.
    maths: Vec<Range<usize>>,
}

impl Verbatim {
    /// Whether the byte lies in code.
    pub fn is_code(&self, offset: usize) -> bool {
        self.code.iter().any(|range| range.contains(&offset))
    }

    /// Whether the byte lies in a formula.
    pub fn is_maths(&self, offset: usize) -> bool {
        self.maths.iter().any(|range| range.contains(&offset))
    }
}

/// The number in `lecture-08.md` or `lecture-08/adam.md`.
fn lecture(path: &Path) -> Option<u32> {
    let first = path.components().next()?.as_os_str().to_str()?;
    first.trim_end_matches(".md").strip_prefix("lecture-")?.parse().ok()
}

/// A path with `/` on every system.
pub fn slashes(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(page: &Page) -> Vec<(String, usize)> {
        let starts = std::iter::once(0).chain(page.text.match_indices('\n').map(|(at, _)| at + 1));
        starts.map(|at| (page.line(at).to_owned(), page.place(at).line)).collect()
    }

    #[test]
    fn lines_remember_where_they_were_written() {
        let mut page = Page::new("A", "a.md", "one\ntwo x three\nfour\nfive\n");
        let at = page.text.find('x').unwrap();
        let four = page.text.find("four").unwrap();
        page.apply(vec![Edit::new(at..at + 1, "p\nq\nr"), Edit::new(four..four + 9, "4+5")]);
        let expected = [("one", 1), ("two p", 2), ("q", 2), ("r three", 2), ("4+5", 3), ("", 5)];
        assert_eq!(lines_of(&page), expected.map(|(line, n)| (line.to_owned(), n)));
        // a second pass over the result still knows the first lines
        let five = page.text.find("4+5").unwrap();
        page.apply(vec![Edit::new(five..five + 3, "")]);
        assert_eq!(page.place(five).line, 3);
    }

    #[test]
    fn inserted_files_bring_their_own_places() {
        let mut page = Page::new("A", "a.md", "one\n@\ntwo\n");
        let other = |line| Place { file: "exercises/x.rs".into(), line };
        page.apply(vec![Edit { range: 4..5, text: "p\nq".into(), places: vec![other(7), other(9)] }]);
        assert_eq!(page.place(page.text.find('p').unwrap()), &other(7));
        assert_eq!(page.place(page.text.find('q').unwrap()), &other(9));
        assert_eq!(page.place(page.text.find("two").unwrap()).to_string(), "book/src/a.md:3");
    }

    #[test]
    fn code_and_formulas_are_told_from_text() {
        let page = Page::new("A", "a.md", "text `code` $x$\n\n```rust\nblock\n```\n\n    indented\n");
        let verbatim = page.verbatim();
        let at = |word: &str| page.text.find(word).unwrap();
        for word in ["code", "block", "indented"] {
            assert!(verbatim.is_code(at(word)), "{word}");
        }
        assert!(!verbatim.is_code(at("text")) && !verbatim.is_code(at("x$")));
        assert!(verbatim.is_maths(at("x$")) && !verbatim.is_maths(at("text")));
    }

    #[test]
    fn links_lead_from_folder_to_folder() {
        let page = Page::new("Adam", "lecture-08/adam.md", "");
        assert_eq!(page.lecture, Some(8));
        assert_eq!(page.link(Path::new("references.md"), "x"), "../references.md#x");
        assert_eq!(page.link(Path::new("lecture-08/adam.md"), "x"), "#x");
        assert_eq!(page.chapter(), "8");
        let page = Page::new("R", "references.md", "");
        assert_eq!((page.lecture, page.chapter().as_str()), (None, "R"));
    }
}
