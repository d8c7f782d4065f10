//! The book's tool: `booktool build | serve | check | bless | listings`, and `preprocess` for plain mdBook.
//!
//! | command | does |
//! |---|---|
//! | `build` | renders `book/` into `target/book` and prints that path |
//! | `serve [--port N] [--open] [--no-api]` | builds, then serves the book on loopback with live reload, and the crates' documentation |
//! | `check` | builds, then follows every link and looks at every page in a browser |
//! | `api` | documents the crates and writes `book/api.tsv`, the page of every item that a chapter links |
//! | `api --check` | compares that file, and every link to an item, with what `cargo doc` has written |
//! | `bless` | runs the listings and writes what they print into the chapters |
//! | `listings` | prints how many listings `cargo test --doc -p book` must run |
//! | `preprocess`, `preprocess supports RENDERER` | mdBook's preprocessor protocol |
//!
//! Exit code 0: done; 1: the book has a fault, each one on standard error; 2: bad use.
#![forbid(unsafe_code)]

mod api;
mod browser;
mod error;
mod links;
mod outcome;
mod preprocess;
mod serve;
mod webdriver;

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

use mdbook_driver::MDBook;
use mdbook_preprocessor::Preprocessor;

pub use error::Error;
use outcome::Outcome;
use preprocess::Course;

/// Every command, for the message about an unknown one.
const COMMANDS: &[&str] = &["build", "serve", "check", "api", "bless", "listings", "preprocess"];

/// Bytes that a site may have: figures and fonts grow unnoticed.
const SITE_LIMIT: u64 = 15_000_000;

/// The page that repeats all others, for those who print the whole book.
const REPEATS: &str = "print.html";

/// Where the drawings lie, in the sources and in the site.
const FIGURES: &str = "figures";

/// What `--help` prints.
const HELP: &str = "\
The book: renders it, serves it, checks it

Usage: cargo xtask book [build | check | api | bless], cargo xtask serve

Commands:
  build       Render book/ into target/book and print that path
  serve       Render it and serve it on this machine; its flags: cargo xtask serve --help
  check       Render it, follow every link, look at every page in a browser
  api         Look up the documentation's page of every item that a chapter links: book/api.tsv
              (--check compares with what `cargo doc --workspace --no-deps` has written)
  bless       Run the listings and write what they print into the chapters
  listings    Print how many listings the tests must run
  preprocess  mdBook's preprocessor protocol, for plain `mdbook build book`";

/// The folder that holds `book.toml`.
pub fn root() -> PathBuf {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    house.expect("this crate lies two folders below the root").join("book")
}

/// A rendered site, which no other build replaces as long as this value lives.
#[derive(Debug)]
pub struct Built {
    /// The folder of the site.
    pub folder: PathBuf,
    _turn: Option<File>,
}

/// Renders the book of this workspace.
///
/// # Errors
/// Every fault that the preprocessor finds in a chapter, mdBook's own errors, and a site above 15 MB.
pub fn build() -> Result<Built, Error> {
    let _turn = turn(&root().with_file_name("target"));
    let folder = build_in(&root())?;
    match size(&folder)? {
        bytes if bytes > SITE_LIMIT => Err(Error::TooLarge { bytes, limit: SITE_LIMIT }),
        _ => Ok(Built { folder, _turn }),
    }
}

/// Waits until no other process renders the book: two at once delete each other's files. `None` where the file
/// system knows no locks, and there everybody goes on.
fn turn(target: &Path) -> Option<File> {
    std::fs::create_dir_all(target).ok()?;
    let file = File::create(target.join("book.lock")).ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("another command renders or checks the book: waiting for it");
            file.lock().ok().map(|()| file)
        }
        Err(TryLockError::Error(_)) => None,
    }
}

/// Renders the book whose `book.toml` lies in `root`.
fn build_in(root: &Path) -> Result<PathBuf, Error> {
    let mut book = MDBook::load(root).map_err(Error::from_mdbook)?;
    book.with_preprocessor(Course);
    book.build().map_err(Error::from_mdbook)?;
    let folder = book.build_dir_for("html");
    drop_inlined(&folder)?;
    Ok(folder)
}

/// Removes the drawings that stand inside of the pages: mdBook copies every file of the sources, and no page loads
/// these.
fn drop_inlined(folder: &Path) -> Result<(), Error> {
    let figures = folder.join(FIGURES);
    if !figures.is_dir() {
        return Ok(());
    }
    let mut pages = String::new();
    for path in below(folder)?.iter().filter(|path| path.extension().is_some_and(|e| e == "html")) {
        pages +=
            &std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?;
    }
    for path in below(&figures)?.iter().filter(|path| path.extension().is_some_and(|e| e == "svg")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !pages.contains(&format!("{FIGURES}/{name}")) {
            std::fs::remove_file(path).map_err(|source| Error::Remove { path: path.clone(), source })?;
        }
    }
    Ok(())
}

/// Bytes of all files below `folder`.
fn size(folder: &Path) -> Result<u64, Error> {
    let bytes = |path: PathBuf| match path.metadata() {
        Ok(meta) => Ok(meta.len()),
        Err(source) => Err(Error::Read { path, source }),
    };
    below(folder)?.into_iter().map(bytes).sum()
}

/// All files below `folder`.
fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.is_dir() {
            files.extend(below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// How many listings the chapters have that rustdoc must run: code of a crate is tested in its crate.
fn listings(root: &Path) -> Result<usize, Error> {
    let book = MDBook::load(root).map_err(Error::from_mdbook)?.book;
    Ok(preprocess::chapters(&book).map(|chapter| preprocess::listings(&chapter.content)).sum())
}

/// Runs the listings with `BLESS` set, so that each writes what it prints into its chapter.
fn bless() -> Result<(), Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--doc", "-p", "book"])
        .current_dir(root())
        .env("BLESS", "1")
        // The flags of every other run of the listings, so that nothing is compiled twice.
        .env("RUSTDOCFLAGS", "-Copt-level=1")
        .status()
        .map_err(Error::Cargo)?;
    if status.success() { Ok(()) } else { Err(Error::Bless) }
}

fn main() -> ExitCode {
    // A word that is not Unicode is no command and no flag, and the message shows it.
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match run(&args) {
        Ok(code) => code,
        // Whoever closed the pipe has read enough.
        Err(error) if error.downcast_ref().is_some_and(is_closed_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// A line on standard output.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to standard output")
}

fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["help" | "--help" | "-h"] => say(HELP)?,
        [name, "--help" | "-h"] if name != "serve" && COMMANDS.contains(&name) => say(HELP)?,
        ["serve", ..] => match serve::run(&args[1..]) {
            Err(error) if error.downcast_ref().is_some_and(serve::Error::is_usage) => {
                eprintln!("{error}");
                return Ok(ExitCode::from(2));
            }
            served => served?,
        },
        ["check"] => {
            let built = build()?;
            return report(&links::check(&built.folder)?.merge(browser::check(&built.folder)?));
        }
        ["api"] => _ = api::run(false)?,
        ["api", "--check"] => return report(&api::run(true)?.unwrap_or_default()),
        ["build"] => {
            let site = build()?.folder;
            // The short form of the path, where the system knows one.
            say(site.canonicalize().unwrap_or(site).display())?;
        }
        ["bless"] => bless()?,
        ["listings"] => say(listings(&root())?)?,
        ["preprocess", "supports", renderer] => {
            return Ok(if Course.supports_renderer(renderer)? {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        ["preprocess"] => {
            // Standard output belongs to the protocol: nothing else may be printed there.
            let (context, book) = mdbook_preprocessor::parse_input(std::io::stdin().lock())?;
            let book = Course.run(&context, book)?;
            serde_json::to_writer(std::io::stdout().lock(), &book)?;
        }
        [name @ ("pdf" | "epub"), ..] => {
            eprintln!("booktool makes no {name}; the page print.html of the site prints the whole book");
            return Ok(ExitCode::from(2));
        }
        [name, ..] if COMMANDS.contains(&name) => {
            eprintln!(
                "booktool {name}: these arguments do not fit; the commands are {}",
                COMMANDS.join(", ")
            );
            return Ok(ExitCode::from(2));
        }
        [name, ..] => {
            let nearest = error::nearest(name, COMMANDS.iter().copied());
            eprintln!("booktool: no command `{name}`; did you mean `{}`?", nearest);
            return Ok(ExitCode::from(2));
        }
        [] => {
            eprintln!("{HELP}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a check found; the last line on standard output is the summary.
fn report(outcome: &Outcome) -> anyhow::Result<ExitCode> {
    for line in &outcome.skipped {
        eprintln!("skipped: {line}");
    }
    for line in &outcome.failed {
        eprintln!("failed: {line}");
    }
    say(outcome)?;
    Ok(if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The book of `tests/fixtures`, with the configuration and the theme of the real one, in a folder of its own.
    pub fn fixture() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/book"), &folder.path().join("book"));
        copy(&root().join("theme"), &folder.path().join("book/theme"));
        copy(&root().join("src/fonts"), &folder.path().join("book/src/fonts"));
        std::fs::copy(root().join("book.toml"), folder.path().join("book/book.toml")).unwrap();
        folder
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy(&path, &target);
            } else {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }

    /// Every file below a folder with its bytes.
    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
        found
    }

    /// Changes a file of the fixture, then builds; the text of the error.
    fn broken(file: &str, from: &str, to: &str) -> String {
        let folder = fixture();
        let path = folder.path().join("book").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = build_in(&folder.path().join("book")).expect_err("the fault went unnoticed");
        assert!(matches!(error, Error::Faults(_)), "{error}");
        error.to_string()
    }

    #[test]
    fn everything_that_a_chapter_may_use_is_rendered() {
        let folder = fixture();
        let site = build_in(&folder.path().join("book")).unwrap();
        let page = |name: &str| std::fs::read_to_string(site.join(name)).unwrap();
        let lecture = page("lecture-01.html");
        for wanted in [
            // numbers, in text and formula
            "reads\n93.5\u{202f}% of the digits; 8 passes",
            "<mi>η</mi><mo>=</mo><mn>3</mn>",
            // an equation of another chapter, two pages later in the numbers of its lecture
            "<a href=\"lecture-02/momentum.html#eq-momentum\">(2.3)</a>",
            "id=\"eq-vote\"><mtext>(1.1)</mtext>",
            // figures
            "<a href=\"#fig-digits-loss\">Figure\u{a0}1.1</a>",
            "<title>The loss of the network falls from 4 to 1 in eight passes</title>",
            "<strong>Figure 1.1.</strong> The loss falls to a\nquarter. <strong>Mean</strong>",
            "stroke=\"var(--c1)\"",
            "width=\"320\" height=\"72\"",
            // code, citations, verdicts, tables, exercises
            "<pre><code class=\"language-rust\">/// The byte with its two lowest bits swapped.\npub fn swap(byte: u8)",
            "href=\"references.html#rosenblatt1958\">Rosenblatt 1958</a>",
            "<span class=\"verdict fails\">✗ fails</span>",
            "<th style=\"text-align: right\">read as 4</th>",
            "Exercise 1.1. Swap two bits",
            "href=\"api/index.html#votes::digits()\" title=\"votes::digits()\" data-in=\"votes\"><code>digits</code></a></td>",
            "<summary>Solution</summary>",
        ] {
            assert!(lecture.contains(wanted), "lecture 1 lacks {wanted}");
        }
        assert!(page("references.html").contains("href=\"lecture-02/momentum.html#cite-polyak1964-1\""));
        let momentum = page("lecture-02/momentum.html");
        for wanted in [
            "<figure class=\"plot frames\" id=\"fig-digits-descent\">",
            "<g data-frame=\"8\">",
            "<label><span>learning rate</span><input type=\"range\"",
            "<script src=\"../theme/course.js\">",
            "href=\"../api/index.html#votes::Walk::twice()\"",
        ] {
            assert!(momentum.contains(wanted), "lecture 2 lacks {wanted}");
        }
        let items = page("api/index.html");
        for wanted in [
            "id=\"votes::Verdict\" href=\"../api/index.html#votes::Verdict\"><code>Verdict</code></a>",
            "href=\"../lecture-02/momentum.html#item-",
        ] {
            assert!(items.contains(wanted), "the list of items lacks {wanted}");
        }
        assert!(page("index.html").contains("readable, 1 of 2 claims hold"));
        assert!(page("claims.html").contains("<strong>2 listed, 1 hold, 1 do not.</strong>"));
        // Nothing is left for the reader that was meant for the tool.
        for name in
            ["index.html", "lecture-01.html", "lecture-02.html", "lecture-02/momentum.html", "print.html"]
        {
            let page = page(name);
            for left in ["{{", "[@", "\\eqref", "$$", "merror", "??"] {
                let main = page.split("<main>").nth(1).unwrap().split("</main>").next().unwrap();
                assert!(!main.contains(left), "{name} shows {left}");
            }
        }
    }

    #[test]
    fn every_link_of_a_rendered_book_leads_somewhere() {
        let folder = fixture();
        let site = build_in(&folder.path().join("book")).unwrap();
        let outcome = links::check(&site).unwrap();
        assert!(outcome.passed > 8 && outcome.failed.is_empty(), "{outcome:?}");
    }

    #[test]
    fn building_twice_gives_the_same_bytes() {
        let (first, second) = (fixture(), fixture());
        let sites = [&first, &second].map(|folder| build_in(&folder.path().join("book")).unwrap());
        let [a, b] = sites.map(|site| {
            let all = files(&site).into_iter();
            all.map(|(path, bytes)| (path.strip_prefix(&site).unwrap().to_owned(), bytes))
                .collect::<BTreeMap<_, _>>()
        });
        assert!(a.len() > 10 && a.keys().eq(b.keys()));
        for (path, bytes) in &a {
            assert!(*bytes == b[path], "{} differs", path.display());
        }
    }

    #[test]
    fn a_fault_of_any_pass_fails_the_build() {
        let loss = "![The loss of the network falls from 4 to 1 in eight passes](figures/digits-loss.svg";
        for (file, from, to, wanted) in [
            ("src/lecture-01.md", "\\norm{x_t}", "\\nrm{x_t}", "src/lecture-01.md:26: `"),
            ("src/lecture-01.md", "\\eqref{vote}", "\\eqref{vot}", "src/lecture-01.md:5: no equation"),
            (
                "src/lecture-01.md",
                "digits.config.epochs",
                "digits.config.epoch",
                "src/lecture-01.md:6: `digits",
            ),
            ("src/lecture-01.md", "{{checks digits}}", "{{checks digit}}", "src/lecture-01.md:51: no result"),
            (
                "src/lecture-01.md",
                "{{figure digits-loss}}",
                "{{figure loss}}",
                "src/lecture-01.md:15: no figure",
            ),
            ("src/lecture-01.md", loss, "![The loss](figures/digits-loss.svg", "at least 15 characters"),
            (
                "src/lecture-01.md",
                "{{exercise lecture_01/swap_bits",
                "{{exercise lecture_01/swap",
                "book/exercises/lecture_01/swap.rs",
            ),
            ("src/lecture-02/momentum.md", "[@polyak1964]", "Polyak", "references.toml:19: no chapter cites"),
            (
                "src/lecture-02/momentum.md",
                "[@polyak1964]",
                "[@polyak64]",
                "momentum.md:3: no work `polyak64`",
            ),
            (
                "exercises/lecture_01/swap_bits.rs",
                "[@minsky1969]",
                "[@mins]",
                "swap_bits.rs:3: no work `mins`",
            ),
            ("src/figures/digits-loss.svg", "#0072b2", "#0072b3", "the colour #0072b3"),
            (
                "src/lecture-01.md",
                "swap_bits.rs:solution",
                "swap_bits.rs:answer",
                "lecture-01.md:46: `../exercises",
            ),
            (
                "src/lecture-01.md",
                "api:votes::Verdict",
                "api:votes::Verdikt",
                "(did you mean `votes::Verdict`?)",
            ),
            ("src/api/index.md", "{{api}}", "", "lecture-01.md:72: the link to an item has nowhere to lead"),
            ("lectures.toml", "number = 3", "number = 4", "lecture 4 stands where lecture 3 belongs"),
            (
                "lectures.toml",
                "chapter = \"lecture-02.md\"\n",
                "",
                "lecture 2 has the chapter `lecture-02.md` in SUMMARY.md and counts as not built",
            ),
            ("src/SUMMARY.md", "- [Can weighted votes read?](lecture-01.md)\n", "", "lecture 2 is number 1"),
        ] {
            let error = broken(file, from, to);
            assert!(error.contains(wanted), "{to}: {error}");
        }
    }

    #[test]
    fn files_of_the_stylesheet_exist() {
        let folder = fixture();
        let site = build_in(&folder.path().join("book")).unwrap();
        let style = files(&site.join("theme"))
            .into_iter()
            .find(|(path, _)| path.extension().is_some_and(|extension| extension == "css"));
        let text = String::from_utf8(style.unwrap().1).unwrap();
        let urls: Vec<&str> =
            text.split("url(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(!urls.is_empty());
        for url in urls {
            assert!(site.join("theme").join(url).is_file(), "{url} leads nowhere");
        }
    }

    #[test]
    fn a_broken_summary_and_a_missing_book_are_errors() {
        let folder = fixture();
        let book = folder.path().join("book");
        std::fs::remove_file(book.join("src/lecture-02.md")).unwrap();
        assert!(matches!(build_in(&book), Err(Error::MdBook(_))));
        assert!(matches!(build_in(&folder.path().join("no-book")), Err(Error::MdBook(_))));
    }

    #[test]
    fn the_preprocessor_serves_html_only() {
        let exit =
            |words: &[&str]| run(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>()).unwrap();
        assert_eq!(exit(&["preprocess", "supports", "html"]), ExitCode::SUCCESS);
        assert_eq!(exit(&["preprocess", "supports", "epub"]), ExitCode::FAILURE);
        for bad in [&["biuld"][..], &[], &["build", "now"], &["pdf"], &["preprocess", "supports"]] {
            assert_eq!(exit(bad), ExitCode::from(2), "{bad:?}");
        }
        for help in [&["--help"][..], &["help"], &["check", "-h"]] {
            assert_eq!(exit(help), ExitCode::SUCCESS, "{help:?}");
        }
    }

    #[test]
    fn one_render_waits_for_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let first = turn(folder.path()).expect("temporary folders know locks");
        let second = File::create(folder.path().join("book.lock")).unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(first);
        assert!(second.try_lock().is_ok());
    }

    #[test]
    fn the_site_is_weighed_with_all_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("a"), [0; 70]).unwrap();
        std::fs::write(folder.path().join("inner/b"), [0; 7]).unwrap();
        assert_eq!(size(folder.path()).unwrap(), 77);
    }

    #[test]
    fn drawings_that_stand_in_the_pages_are_not_kept_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path(FIGURES)).unwrap();
        for name in ["figures/inline.svg", "figures/linked.svg", "figures/photo.png"] {
            std::fs::write(path(name), "<svg/>").unwrap();
        }
        std::fs::write(path("page.html"), "<svg></svg><a href=\"../figures/linked.svg\">").unwrap();
        drop_inlined(folder.path()).unwrap();
        let left = below(&path(FIGURES)).unwrap().into_iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(left, [path("figures/linked.svg"), path("figures/photo.png")].into());
        // Nothing to do for a book without figures.
        std::fs::remove_dir_all(path(FIGURES)).unwrap();
        drop_inlined(folder.path()).unwrap();
    }
}
