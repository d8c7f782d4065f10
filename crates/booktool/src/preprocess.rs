//! The course's preprocessor: from the author's Markdown to what mdBook renders.

use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

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

    fn run(&self, _context: &PreprocessorContext, book: Book) -> anyhow::Result<Book> {
        Ok(book)
    }
}
