//! What can be wrong with the book: each fault names the rule, the value and the remedy.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the book was not rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The chapters, exercises, results or tables of the book break rules.
    #[error("{0}")]
    Faults(Faults),
    /// A file of the book cannot be read.
    #[error("cannot read {path}; it belongs to the book, restore it from git")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A TOML file of the book does not parse or lacks a field.
    #[error("{path} does not follow its format (the comment at its head describes it)")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The site is larger than a reader should have to fetch.
    #[error(
        "the site has {bytes} bytes, the limit is {limit}; \
         shrink the largest files (figures of 40 kB, no unused font)"
    )]
    TooLarge {
        /// Bytes of all files of the site.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The listings failed while their output was being recorded.
    #[error("the listings did not run, so nothing was recorded for those that failed; repair them first")]
    Bless,
    /// mdBook's own errors.
    #[error(transparent)]
    MdBook(anyhow::Error),
}

impl Error {
    /// Recovers our own error from mdBook's untyped one.
    pub fn from_mdbook(error: anyhow::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::MdBook)
    }
}

/// A line of a file of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path below `book/`.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "book/{}:{}", self.file, self.line)
    }
}

/// All faults that one run found, in the order of the book.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<(Place, Fault)>);

impl Faults {
    /// Notes a fault and goes on, so that one run shows all of them.
    pub fn add(&mut self, place: &Place, fault: Fault) {
        self.0.push((place.clone(), fault));
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in &self.0 {
            writeln!(f, "{place}: {fault}")?;
        }
        let s = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the book has {} fault{s}", self.0.len())
    }
}

/// A rule that a line of the book breaks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// `{{name …}}` with an unknown name.
    #[error("no directive `{name}`; did you mean `{nearest}`?")]
    UnknownDirective {
        /// The name as written.
        name: String,
        /// The known name that looks most like it.
        nearest: String,
    },
}

/// The candidate with the smallest edit distance to `word`; `""` when there is none.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> &'a str {
    candidates.into_iter().min_by_key(|candidate| distance(word, candidate)).unwrap_or("")
}

/// Levenshtein distance; time and memory O(|a|·|b|) and O(|b|).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        for (a, b, d) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("serve", "sevre", 2)] {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
    }

    #[test]
    fn a_typing_error_finds_its_command() {
        assert_eq!(nearest("biuld", ["serve", "build", "bless"]), "build");
        assert_eq!(nearest("x", [""; 0]), "");
    }

    #[test]
    fn faults_name_file_line_and_number() {
        let mut faults = Faults::default();
        let place = Place { file: "src/a.md".into(), line: 7 };
        let fault = Fault::UnknownDirective { name: "tabel".into(), nearest: "table".into() };
        faults.add(&place, fault);
        assert_eq!(
            Error::Faults(faults).to_string(),
            "book/src/a.md:7: no directive `tabel`; did you mean `table`?\nthe book has 1 fault"
        );
    }
}
