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
    /// A file that no page needs cannot be removed from the rendered book.
    #[error(
        "cannot remove {path} from the rendered book; remove that folder, the next command renders it anew"
    )]
    Remove {
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
    /// A result file is not what `lab` writes.
    #[error("{path} is no whole result file; `cargo xtask run {name}` writes it anew")]
    Result {
        /// The file.
        path: PathBuf,
        /// The experiment.
        name: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A file of a peer is not what its program writes.
    #[error("{path} is no whole file of a peer; its program in tests/peers writes it anew")]
    Peer {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A result file records the short run of the tests.
    #[error(
        "{path} records a quick run, which proves nothing; `cargo xtask run {name}` records the full one"
    )]
    QuickResult {
        /// The file.
        path: PathBuf,
        /// The experiment.
        name: String,
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
    /// cargo cannot be started.
    #[error("cannot start cargo; put it on the path, or set CARGO to it")]
    Cargo(#[source] std::io::Error),
    /// The listings failed while their output was being recorded.
    #[error("the listings did not run, so nothing was recorded for those that failed; repair them first")]
    Bless,
    /// A file that the tool writes cannot be written.
    #[error("cannot write {path}; make room, or give it the right to write there")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line of the index of items has another form.
    #[error("book/api.tsv:{line} is not an item, a tab and its page; run `cargo xtask book api`")]
    ApiLine {
        /// Line, counted from 1.
        line: usize,
    },
    /// No documentation to look items up in.
    #[error("{path} holds no documentation; `{command}` writes it")]
    NoDocumentation {
        /// The folder.
        path: PathBuf,
        /// What writes it.
        command: String,
    },
    /// cargo could not document the crates.
    #[error("the documentation of the crates was not built; repair what `{command}` reports")]
    Documentation {
        /// The command that failed.
        command: String,
    },
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
    /// `{{name …}}` without its end.
    #[error("`{{{{{name}` has no `}}}}` on its line; close it there, or write `\\{{{{` to show the braces")]
    OpenDirective {
        /// The name as written.
        name: String,
    },
    /// A directive that has to name something and does not.
    #[error("`{{{{{name}}}}}` does not say of what; write `{{{{{name} NAME}}}}`")]
    NoArgument {
        /// The directive.
        name: String,
    },
    /// `{{name …}}` with an unknown name.
    #[error("no directive `{name}`; did you mean `{nearest}`?")]
    UnknownDirective {
        /// The name as written.
        name: String,
        /// The known name that looks most like it.
        nearest: String,
    },
    /// A directive or figure inside a paragraph that makes blocks.
    #[error("`{{{{{directive} …}}}}` fills lines of its own; put blank lines around it")]
    NotAlone {
        /// Its name.
        directive: String,
    },
    /// The chapter of a lecture has another number in the summary.
    #[error(
        "lecture {lecture} is {sidebar} in the sidebar; list a draft `- [Title]()` for each lecture before it"
    )]
    Sidebar {
        /// Number in the name of the file.
        lecture: u32,
        /// What the summary makes of it.
        sidebar: String,
    },
    /// A directive names a result file that does not exist.
    #[error("no result `{name}`{hint}; `cargo xtask run {name}` records it")]
    NoResult {
        /// The name as written.
        name: String,
        /// The recorded name that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// A directive names a file of a peer that does not exist.
    #[error(
        "no numbers of a peer for `{name}`{hint}; a program of tests/peers writes book/peers/{name}.json"
    )]
    NoPeer {
        /// The name as written.
        name: String,
        /// The recorded name that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// A path leads nowhere in its result file.
    #[error("`{path}` has no `{key}`; there is {has}")]
    NoKey {
        /// The whole path.
        path: String,
        /// The first key that does not exist.
        key: String,
        /// The keys that exist there.
        has: String,
    },
    /// A format for numbers on something else.
    #[error("`{path}` is {value}, not a number; drop the format or name another field")]
    NotANumber {
        /// The path.
        path: String,
        /// The value as JSON.
        value: String,
    },
    /// What follows the colon of a result is no format.
    #[error(
        "`{format}` is no format; `.3` gives three decimals, `%1` percent with one, `MB1` megabytes, `e1` a power of ten"
    )]
    Format {
        /// The format as written.
        format: String,
    },
    /// A number with many digits and no format.
    #[error("`{path}` is {value}: append a format with as many digits as its spread allows, such as `:.3`")]
    NoFormat {
        /// The path.
        path: String,
        /// All its digits.
        value: String,
    },
    /// A path that ends at a list or an object.
    #[error("`{path}` is a list or an object; name a number or a word in it, or use `{{{{table …}}}}`")]
    NotAValue {
        /// The path.
        path: String,
    },
    /// `{{table …}}` on something else.
    #[error("`{path}` is no table; a report holds it as `columns` and `rows` of equal length")]
    NotATable {
        /// The path.
        path: String,
    },
    /// `{{exercise …}}` names a file that does not exist.
    #[error("no file book/{path}; an exercise is one Rust file with task, solution and test")]
    NoExercise {
        /// The file below `book/`.
        path: String,
    },
    /// An exercise without title.
    #[error("an exercise begins with `//! # Title`, then its text")]
    ExerciseTitle,
    /// An exercise without solution or without its text.
    #[error("an exercise has `pub mod solution {{` with a solution that says why, in lines of `//!`")]
    NoSolution,
    /// An anchor without end.
    #[error("the anchor `{anchor}` is not closed; write `// ANCHOR_END: {anchor}` below it")]
    OpenAnchor {
        /// Its name.
        anchor: String,
    },
    /// An included file that cannot be read.
    #[error("`{path}` cannot be included: {reason}; the path is relative to the chapter's file")]
    NoInclude {
        /// The file as written.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// An included anchor without code.
    #[error(
        "`{path}` has no code at the anchor `{anchor}`{hint}; write `// ANCHOR: {anchor}` above the code"
    )]
    NoAnchor {
        /// The file as written.
        path: String,
        /// The anchor as written.
        anchor: String,
        /// The anchor that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// The lectures are not numbered in order.
    #[error("lecture {number} stands where lecture {expected} belongs; number them from 1 without a gap")]
    LectureNumber {
        /// As written.
        number: u32,
        /// As it should be.
        expected: u32,
    },
    /// A lecture whose chapter is not part of the book.
    #[error(
        "the chapter `{chapter}` of lecture {number} is not in SUMMARY.md; list it there or remove the field"
    )]
    LectureChapter {
        /// The lecture.
        number: u32,
        /// The file.
        chapter: String,
    },
    /// A chapter of the book whose lecture is listed as not built.
    #[error(
        "lecture {number} has the chapter `{chapter}` in SUMMARY.md and counts as not built; \
         add `chapter = \"{chapter}\"`"
    )]
    LectureUnlinked {
        /// The lecture.
        number: u32,
        /// The file.
        chapter: String,
    },
    /// A figure without a useful alternative text.
    #[error(
        "the alternative text of `{path}` needs at least {minimum} characters; say what is in the picture"
    )]
    ShortAlt {
        /// The file.
        path: String,
        /// Least number of characters.
        minimum: usize,
    },
    /// A figure without caption.
    #[error("`{path}` has no caption; write `![what is in it]({path} \"What to see. How it was made.\")`")]
    NoCaption {
        /// The file.
        path: String,
    },
    /// A figure whose file does not exist.
    #[error("no file `{path}`; `cargo xtask figures` draws the figures of recorded results")]
    NoFigure {
        /// The file.
        path: String,
    },
    /// A file that is no SVG.
    #[error("`{path}` is no SVG with width and height; draw it with `cargo xtask figures`")]
    NotSvg {
        /// The file.
        path: String,
    },
    /// An interactive figure whose description is broken.
    #[error("`{path}` does not say what its sliders are; draw it with `cargo xtask figures`")]
    Sliders {
        /// The file.
        path: String,
    },
    /// A file that is no PNG.
    #[error("`{path}` is no PNG; draw it with `cargo xtask figures`")]
    NotPng {
        /// The file.
        path: String,
    },
    /// A colour that is not in the table of the page.
    #[error("`{path}` has the colour {colour}, which does not follow the theme; use the palette of `lab`")]
    Colour {
        /// The file.
        path: String,
        /// The colour as written.
        colour: String,
    },
    /// A figure that two places show.
    #[error("the figure `{id}` is shown twice; refer to it with `{{{{figure {id}}}}}`")]
    DuplicateFigure {
        /// Stem of its file.
        id: String,
    },
    /// A reference to a figure that no page shows.
    #[error("no figure `{id}`{hint}; a page shows it by its file `figures/{id}.svg` or `.png`")]
    UnknownFigure {
        /// As written.
        id: String,
        /// The known one that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// A citation of a work that is not in the list.
    #[error("no work `{key}` in references.toml{hint}; add it there")]
    UnknownKey {
        /// As written.
        key: String,
        /// The known key that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// A citation in a book without a list of works.
    #[error("the citation has nowhere to lead; write `{{{{references}}}}` on one page of the book")]
    NoReferencesPage,
    /// A key that occurs twice.
    #[error("two works have the key `{key}`; give one of them a letter")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A work that no chapter cites.
    #[error("no chapter cites `{key}`; cite it as `[@{key}]` or remove the entry")]
    Uncited {
        /// The key.
        key: String,
    },
    /// An arXiv identifier of neither form.
    #[error(
        "the arXiv identifier `{id}` has no known form; write `1312.6114` or `math/0309136`, without version"
    )]
    Arxiv {
        /// As written.
        id: String,
    },
    /// A DOI that does not begin with `10.`.
    #[error("the DOI `{doi}` has no known form; write `10.…/…` without the address of a resolver")]
    Doi {
        /// As written.
        doi: String,
    },
    /// What a chapter writes after `api:` is no path.
    #[error(
        "`{name}` is no path of an item; write `api:krate::module::Item`, with `()` behind a function, \
         `!` behind a macro, `mod@` before a module where two things share the path"
    )]
    ItemName {
        /// As written.
        name: String,
    },
    /// A link to an item that is not in the form `[text](api:path)`.
    #[error("the link to `{name}` has another form; write [`Item`](api:{name}), which every code host shows")]
    ItemForm {
        /// As written.
        name: String,
    },
    /// An item that the documentation does not have.
    #[error(
        "no item `{name}` in the documentation of the crates{hint}; if it is new, run `cargo xtask book api`"
    )]
    UnknownItem {
        /// As written.
        name: String,
        /// The known item that was probably meant, as a question; empty when there is none.
        hint: String,
    },
    /// A path that several things share.
    #[error(
        "`{name}` is a {kinds}; write `{name}()` for the function, `{name}!` for the macro, or `mod@{name}` for the module"
    )]
    AmbiguousItem {
        /// As written.
        name: String,
        /// Their kinds, joined by "and a".
        kinds: String,
    },
    /// A link to an item in a book without a list of items.
    #[error("the link to an item has nowhere to lead; write `{{{{api}}}}` in src/api/index.md")]
    NoItemsPage,
    /// A formula that does not convert.
    #[error("`{tex}` is no TeX that we know: {reason}; the macros are listed in booktool's `maths.rs`")]
    Tex {
        /// The formula on one line.
        tex: String,
        /// What the converter says.
        reason: String,
    },
    /// A reference to an equation that does not exist.
    #[error(
        "no equation has the label `{label}`{hint}; write `\\label{{{label}}}` in a numbered environment"
    )]
    UnknownLabel {
        /// As written.
        label: String,
        /// The known label that looks like it, as a question; empty when none does.
        hint: String,
    },
    /// A label that occurs twice.
    #[error("two equations have the label `{label}`; labels are unique over the whole book")]
    DuplicateLabel {
        /// The label.
        label: String,
    },
}

impl Fault {
    /// Several things have the path `name`.
    pub fn ambiguous(name: &str, kinds: &[String]) -> Self {
        Self::AmbiguousItem { name: name.to_owned(), kinds: kinds.join(" and a ") }
    }
}

/// The candidate with the smallest edit distance to `word`; `""` when there is none.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> &'a str {
    candidates.into_iter().min_by_key(|candidate| distance(word, candidate)).unwrap_or("")
}

/// ` (did you mean …?)` when a candidate looks like `word`, else nothing.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(word, candidates);
    let alike = !near.is_empty() && distance(word, near) <= word.chars().count().div_ceil(3);
    if alike { format!(" (did you mean `{near}`?)") } else { String::new() }
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
        assert_eq!(hint("polyak1946", ["novikoff1962", "polyak1964"]), " (did you mean `polyak1964`?)");
        assert_eq!(hint("xor", ["nielsen-digits"]), "");
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
