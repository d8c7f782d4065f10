//! The book's tool: `booktool build | serve | check | bless | listings`, and `preprocess` for plain mdBook.
//!
//! | command | does |
//! |---|---|
//! | `build` | renders `book/` into `target/book` and prints that path |
//! | `serve [--port N] [--open]` | builds, then serves the book on loopback with live reload |
//! | `check` | builds, then follows every link and looks at every page in a browser |
//! | `bless` | runs the listings and writes what they print into the chapters |
//! | `listings` | prints how many listings `cargo test --doc -p book` must run |
//! | `preprocess`, `preprocess supports RENDERER` | mdBook's preprocessor protocol |
//!
//! Exit code 0: done; 1: the book has a fault, each one on standard error; 2: bad use.
#![forbid(unsafe_code)]

mod browser;
mod error;
mod links;
mod outcome;
mod preprocess;
mod serve;
mod webdriver;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mdbook_driver::MDBook;
use mdbook_preprocessor::Preprocessor;

pub use error::Error;
use preprocess::Course;

/// Every command, for the message about an unknown one.
const COMMANDS: &[&str] = &["build", "serve", "check", "bless", "listings", "preprocess"];

/// Bytes that a site may have: figures and fonts grow unnoticed.
const SITE_LIMIT: u64 = 15_000_000;

/// Commands that are planned but not part of the tool.
const LATER: &[&str] = &["pdf", "epub"];

/// The folder that holds `book.toml`.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book")
}

/// Renders the book of this workspace and returns the folder of the site.
///
/// # Errors
/// Every fault that the preprocessor finds in a chapter, mdBook's own errors, and a site above 15 MB.
pub fn build() -> Result<PathBuf, Error> {
    let site = build_in(&root())?;
    match size(&site)? {
        bytes if bytes > SITE_LIMIT => Err(Error::TooLarge { bytes, limit: SITE_LIMIT }),
        _ => Ok(site),
    }
}

/// Renders the book whose `book.toml` lies in `root`.
fn build_in(root: &Path) -> Result<PathBuf, Error> {
    let mut book = MDBook::load(root).map_err(Error::from_mdbook)?;
    book.with_preprocessor(Course);
    book.build().map_err(Error::from_mdbook)?;
    Ok(book.build_dir_for("html"))
}

/// Bytes of all files below `folder`.
fn size(folder: &Path) -> Result<u64, Error> {
    let read = |source| Error::Read { path: folder.to_owned(), source };
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let meta = entry.metadata().map_err(read)?;
        bytes += if meta.is_dir() { size(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
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
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> anyhow::Result<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", ..] => match serve::run(&args[1..]) {
            Err(error) if error.downcast_ref().is_some_and(serve::Error::is_usage) => {
                eprintln!("{error}");
                return Ok(ExitCode::from(2));
            }
            served => served?,
        },
        ["check"] => return check(),
        ["build"] => println!("{}", build()?.display()),
        ["bless"] => bless()?,
        ["listings"] => println!("{}", listings(&root())?),
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
        [name, ..] if LATER.contains(&name) => {
            eprintln!(
                "booktool {name}: comes in a later version; the page print.html of the site prints the whole book"
            );
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
            eprintln!("usage: booktool {}", COMMANDS.join(" | "));
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Renders the book, then checks its links and looks at every page in a browser; the last line on standard output is the summary.
fn check() -> anyhow::Result<ExitCode> {
    let folder = build()?;
    let outcome = links::check(&folder)?.merge(browser::check(&folder)?);
    for line in &outcome.skipped {
        eprintln!("skipped: {line}");
    }
    for line in &outcome.failed {
        eprintln!("failed: {line}");
    }
    println!("{outcome}");
    Ok(if outcome.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
