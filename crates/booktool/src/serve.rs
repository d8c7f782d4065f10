//! `booktool serve`: the book on 127.0.0.1, rebuilt and reloaded when a file changes.
//!
//! The server answers from a copy of the rendered book in memory ([`Site`]). A rebuild swaps the copy when it is
//! complete, so a page is never half old and half new, and a failed build changes nothing but a banner on the page.
//! Only names that stood in the output folder can be asked for, so no spelling of a path leads out of it.
//!
//! The documentation of the crates is built in the background once the server is up ([`api`]); the links to items, which
//! in the rendered book lead to its list of items, are served as links into it.
mod api;
mod http;
mod server;
mod site;
mod watch;

pub use http::percent_decode;
pub use server::{Live, Reload, start};
pub use site::Site;

use crate::api::Known;
use crate::preprocess::lead_on;
use anyhow::{Context, Result};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Port of `serve` without `--port`; mdBook's own server uses the same.
const DEFAULT_PORT: u16 = 3000;
/// Time between two looks at the files of the book.
const WATCH_PAUSE: Duration = Duration::from_millis(400);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word that `serve` does not know.
    #[error("serve does not know `{word}`; it takes --port N, --open, --no-api and --help")]
    UnknownWord {
        /// The word as typed.
        word: String,
    },
    /// `--port` without a port number.
    #[error("--port takes a number from 0 (any free port) to 65535, got `{value}`")]
    BadPort {
        /// The value as typed, empty when there is none.
        value: String,
    },
    /// Another program listens on the port.
    #[error("port {port} is in use; choose another with --port N, or --port 0 for any free one")]
    PortInUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The system does not give us the port.
    #[error("port {port} cannot be opened; choose one above 1023 with --port N")]
    PortRefused {
        /// The port that was asked for.
        port: u16,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the command line is at fault (exit code 2) and not the machine (exit code 1).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownWord { .. } | Self::BadPort { .. })
    }
}

/// What `--help` prints.
const HELP: &str = "\
Builds the book, serves it on 127.0.0.1 and rebuilds it when a file changes; builds the
documentation of the crates in the background and serves it beside the book

Usage: cargo xtask serve [--port N] [--open] [--no-api]

Options:
      --port N  Port of the server; 0 takes any free one [default: 3000]
      --open    Show the start page in your browser
      --no-api  Build no documentation; links to items lead to the book's list of them
  -h, --help    Print help";

/// The flags of `serve`.
#[derive(Debug, PartialEq, Eq)]
struct Flags {
    port: u16,
    open: bool,
    api: bool,
}

fn parse(args: &[String]) -> Result<Flags, Error> {
    let mut flags = Flags { port: DEFAULT_PORT, open: false, api: true };
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let port = match word {
            "--open" => {
                flags.open = true;
                continue;
            }
            "--no-api" => {
                flags.api = false;
                continue;
            }
            "--port" => words.next().unwrap_or_default(),
            _ => word.strip_prefix("--port=").ok_or_else(|| Error::UnknownWord { word: word.into() })?,
        };
        flags.port = port.parse().map_err(|_| Error::BadPort { value: port.into() })?;
    }
    Ok(flags)
}

/// A listener on 127.0.0.1; `port` 0 takes any free one.
///
/// # Errors
/// [`Error::PortInUse`] and [`Error::PortRefused`].
pub fn listen(port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::PortInUse { port },
        _ => Error::PortRefused { port, source },
    })
}

/// Builds the book, serves it on 127.0.0.1 and rebuilds it after each change, until the process is ended.
///
/// `args`: `--port N` (default 3000; 0 takes any free port), `--open` (shows the page in the user's browser), `--no-api`
/// (no documentation of the crates), or `--help`.
///
/// # Errors
/// [`Error`] for a bad flag or an occupied port, and the book's own error when its first build fails.
/// Later builds may fail: the last good book stays, with the error in the terminal and on the page.
pub fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|word| word == "--help" || word == "-h") {
        writeln!(std::io::stdout(), "{HELP}").ok();
        return Ok(());
    }
    let flags = parse(args)?;
    // The port is taken before the build: who has to choose another one learns it at once.
    let listener = listen(flags.port)?;
    let address = listener.local_addr().context("the address of the server")?;
    let mut files = watch::Files::new(watched());
    let live = Arc::new(Live::new(book(flags.api)?, Reload::On));
    start(listener, Arc::clone(&live));

    let url = format!("http://{address}/");
    // A closed pipe on standard output is no reason to stop serving.
    writeln!(std::io::stdout(), "book: {url} (pages reload after a change; Ctrl-C ends)").ok();
    if flags.open {
        open(&url);
    }
    if flags.api {
        document(&live);
    }
    watch::follow(&live, &mut files, WATCH_PAUSE, || book(flags.api))
}

/// Renders the book; with `api` its links to items lead into the documentation.
fn book(api: bool) -> Result<Site> {
    let mut site = Site::load(&crate::build()?.folder)?;
    if api {
        let known = Known::read(&crate::root(), &crate::api::target())?;
        site.edit(|page| lead_on(page, |item| known.page(item).ok()));
    }
    Ok(site)
}

/// Builds the documentation of the crates in a thread of its own.
fn document(live: &Arc<Live>) {
    let target = crate::api::target();
    let (command, folder) = (crate::api::document(&target), crate::api::documented(&target));
    eprintln!("api: cargo builds the documentation of the crates in the background; it opens under /api/");
    let live = Arc::clone(live);
    std::thread::spawn(move || api::build(command, &folder, &live));
}

/// The folders whose files the rendered book depends on.
fn watched() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    vec![top.join("book"), top.join("crates")]
}

/// Shows `url` in the user's browser; where that fails the address on the terminal is enough.
fn open(url: &str) {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(target_os = "windows") {
        Command::new("explorer")
    } else {
        Command::new("xdg-open")
    };
    if let Err(error) = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        eprintln!("book: no browser could be started ({error}); open {url} by hand");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_are_read_in_both_spellings() {
        assert_eq!(parse(&[]).unwrap(), Flags { port: 3000, open: false, api: true });
        assert_eq!(parse(&words("--open --port 8080")).unwrap(), Flags { port: 8080, open: true, api: true });
        assert_eq!(parse(&words("--no-api --port=0")).unwrap(), Flags { port: 0, open: false, api: false });
    }

    #[test]
    fn bad_flags_are_usage_errors_that_name_the_word_and_the_remedy() {
        for (line, part) in [
            ("--prot 1", "`--prot`; it takes --port N, --open"),
            ("8080", "`8080`"),
            ("--port", "got ``"),
            ("--port 65536", "from 0 (any free port) to 65535, got `65536`"),
            ("--port=-1", "got `-1`"),
            ("--port x --open", "got `x`"),
        ] {
            let error = parse(&words(line)).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn an_occupied_port_names_the_flag_in_one_line() {
        let first = listen(0).unwrap();
        let port = first.local_addr().unwrap().port();
        let error = listen(port).unwrap_err();
        assert!(!error.is_usage());
        assert_eq!(
            error.to_string(),
            format!("port {port} is in use; choose another with --port N, or --port 0 for any free one")
        );
    }

    #[test]
    fn the_server_is_reachable_from_this_machine_only() {
        assert!(listen(0).unwrap().local_addr().unwrap().ip().is_loopback());
    }
}
