//! The course's preprocessor: from the author's Markdown to what mdBook renders.
//!
//! The passes run in this order over the whole book, because each may read what the one before it wrote:
//! exercises (files into the page), directives (numbers, tables and lists into the text, formulas and captions),
//! figures, citations, links to items of the crates, the lists of works and items, formulas, included code. A fault does
//! not stop a pass, so that one run shows all.

mod citations;
mod directive;
mod exercises;
mod figures;
mod frames;
mod includes;
mod items;
mod lectures;
mod listing;
mod maths;
mod number;
mod page;
mod peers;
mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mdbook_driver::MDBook;
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use crate::api::{self, Known};
use crate::error::{Error, Fault, Faults, Place};
use citations::Works;
use figures::Figures;
use items::Items;
pub use items::lead_on;
use lectures::Lectures;
use page::{Edit, Page};
use peers::Peers;
use results::Results;

/// The preprocessor `course` of `book.toml`.
#[derive(Debug, Clone, Copy)]
pub struct Course;

impl Preprocessor for Course {
    fn name(&self) -> &str {
        "course"
    }

    fn supports_renderer(&self, renderer: &str) -> anyhow::Result<bool> {
        Ok(renderer == "html")
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> anyhow::Result<Book> {
        let mut pages = pages(&book);
        expand(
            &mut pages,
            &context.root,
            &context.root.join(&context.config.book.src),
            check_numbers(&book),
        )?;
        // By path: mdBook visits the chapters below another before it here, and after it in `pages`.
        let mut texts: BTreeMap<_, _> = pages.into_iter().map(|page| (page.path, page.text)).collect();
        book.for_each_chapter_mut(|chapter| {
            if let Some(text) = chapter.path.as_ref().and_then(|path| texts.remove(path)) {
                chapter.content = text;
            }
        });
        Ok(book)
    }
}

/// The chapters with a file, in the order of the book.
fn pages(book: &Book) -> Vec<Page> {
    chapters(book)
        .filter_map(|chapter| Some(Page::new(&chapter.name, chapter.path.as_ref()?, &chapter.content)))
        .collect()
}

/// The chapters of a book, drafts included.
pub fn chapters(book: &Book) -> impl Iterator<Item = &Chapter> {
    book.iter().filter_map(|item| match item {
        BookItem::Chapter(chapter) => Some(chapter),
        _ => None,
    })
}

/// Every item of a crate that the book in `root` links, with its place, in the order of the book.
///
/// # Errors
/// When the book cannot be read.
pub fn items(root: &Path) -> Result<Vec<(Place, String)>, Error> {
    let book = MDBook::load(root).map_err(Error::from_mdbook)?;
    let (mut pages, sources) = (pages(&book.book), root.join(&book.config.book.src));
    let mut figures = Figures::default();
    // What else is wrong with the book is said when it is rendered.
    let faults = &mut Faults::default();
    for page in &mut pages {
        exercises::expand(page, root, &mut 0, faults);
        figures.set(page, &sources, &mut 0, faults);
    }
    Ok(pages.iter().flat_map(items::names).collect())
}

/// How many blocks of Rust a chapter has, those without an include.
pub fn listings(chapter: &str) -> usize {
    let mut events = Parser::new_ext(chapter, page::MARKDOWN);
    let mut count = 0;
    while let Some(event) = events.next() {
        if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) = event
            && info.split(',').next() == Some("rust")
        {
            let is_include = matches!(events.next(), Some(Event::Text(text)) if text.trim_start().starts_with("{{#include"));
            count += usize::from(!is_include);
        }
    }
    count
}

/// Figures and equations carry the lecture's number; the sidebar must show the same.
fn check_numbers(book: &Book) -> Faults {
    let mut faults = Faults::default();
    for chapter in chapters(book) {
        let Some(path) = &chapter.path else { continue };
        let Some(lecture) = Page::new("", path, "").lecture else { continue };
        let sidebar = chapter.number.as_ref().and_then(|number| number.first().copied());
        if sidebar != Some(lecture) {
            let place = Place { file: "src/SUMMARY.md".into(), line: 1 };
            let sidebar = sidebar.map_or("not numbered".to_owned(), |n| format!("number {n}"));
            faults.add(&place, Fault::Sidebar { lecture, sidebar });
        }
    }
    faults
}

/// Runs every pass.
///
/// # Errors
/// [`Error::Faults`] with all faults of all pages, or the file that could not be read.
fn expand(pages: &mut [Page], root: &Path, sources: &Path, mut faults: Faults) -> Result<(), Error> {
    let (results, peers) = (Results::read(root)?, Peers::read(root)?);
    let lectures = Lectures::read(root)?;
    let mut works = Works::read(root)?;
    lectures.check(&pages.iter().map(|page| page.path.clone()).collect::<BTreeSet<_>>(), &mut faults);

    let mut exercises: BTreeMap<Option<u32>, u32> = BTreeMap::new();
    for page in pages.iter_mut() {
        exercises::expand(page, root, exercises.entry(page.lecture).or_default(), &mut faults);
    }
    let mut list_of_works = None;
    for page in pages.iter_mut() {
        if fill(page, &results, &peers, &lectures, &mut faults) {
            list_of_works = Some(page.path.clone());
        }
    }
    let mut figures = Figures::default();
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for page in pages.iter_mut() {
        figures.set(page, sources, numbers.entry(page.chapter()).or_default(), &mut faults);
    }
    for page in pages.iter_mut() {
        figures.refer(page, &mut faults);
        works.cite(page, list_of_works.as_deref(), &mut faults);
    }
    for page in pages.iter_mut() {
        works.list(page);
    }
    let known = Known::read(root, &api::target())?;
    let has_list = pages.iter().any(items::is_list);
    let mut items = Items::default();
    for page in pages.iter_mut() {
        items.link(page, &known, has_list, &mut faults);
    }
    for page in pages.iter_mut() {
        items.list(page);
    }
    works.check(&mut faults);
    maths::render(pages, &mut faults);
    for page in pages.iter_mut() {
        includes::expand(page, sources, &mut faults);
    }
    if faults.0.is_empty() { Ok(()) } else { Err(Error::Faults(faults)) }
}

/// Replaces the directives that need nothing but files; says whether the page lists the works.
fn fill(page: &mut Page, results: &Results, peers: &Peers, lectures: &Lectures, faults: &mut Faults) -> bool {
    let mut edits = Vec::new();
    let mut lists_works = false;
    for found in directive::find(page, faults) {
        let text = match found.name.as_str() {
            "result" => results.value(&found.argument, found.in_maths),
            "peer" => peers.value(&found.argument, found.in_maths),
            "table" => results.table(&found.argument),
            "checks" => results.checks(&found.argument),
            "claims" => Ok(results.claims()),
            "lectures" => Ok(lectures.render(results)),
            "references" => {
                lists_works = true;
                continue;
            }
            // `figure` is resolved when all figures have numbers, `api` when all items are linked; a broken `exercise` has been reported.
            _ => continue,
        };
        match text {
            Ok(text) => edits.push(Edit::new(found.range, text)),
            Err(fault) => faults.add(page.place(found.range.start), fault),
        }
    }
    page.apply(edits);
    lists_works
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_are_the_rust_blocks_without_includes() {
        let chapter = "```rust\nlet x = 1;\n```\n\n```rust,should_panic\npanic!();\n```\n\n\
            ```rust\n{{#include ../../x.rs:step}}\n```\n\n```text\n```rust\n```\n\n```text,id\nrust\n```\n\n\
            <details>\n\n```rust\n// the include comes later\n{{#include x}}\n```\n\n</details>\n";
        assert_eq!(listings(chapter), 3);
    }
}
