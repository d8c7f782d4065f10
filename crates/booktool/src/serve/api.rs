//! The documentation of the crates beside the book, built while the book is served.
//!
//! A request below `/api/` is answered from what rustdoc has written once cargo is done; before that, and when it failed,
//! by a page in the frame of the book that says so. The pages are read from the disk when they are asked for, but only
//! names that stood in rustdoc's folder can be.
use super::server::Live;
use super::site::Site;
use crate::api::DOCUMENT;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Where the documentation lies beside the book.
pub const FOLDER: &str = "/api";
/// Path of the state, asked for by the page that waits.
pub const STATE: &str = "/__api";
/// Lines of cargo's errors that are shown; the command shows all.
const SHOWN: usize = 40;
/// What the page that waits does.
const WAITING: &str = include_str!("waiting.html");
/// Words that cargo begins a line about its progress with.
const PROGRESS: &[&str] = &[
    "Updating",
    "Locking",
    "Adding",
    "Downloading",
    "Downloaded",
    "Blocking",
    "Compiling",
    "Checking",
    "Documenting",
    "Finished",
    "Generated",
];

/// How far the documentation is.
#[derive(Debug, Clone, Default)]
pub enum State {
    /// Nobody builds it.
    #[default]
    Off,
    /// cargo is at work.
    Building {
        /// Lines about its progress so far.
        steps: usize,
        /// The last of them.
        now: String,
    },
    /// It can be read.
    Ready(Arc<Site>),
    /// cargo failed.
    Failed {
        /// The first lines of its errors.
        errors: String,
    },
}

impl State {
    /// `{"state":…,"steps":…,"now":…}`.
    pub fn json(&self) -> String {
        let (state, steps, now) = match self {
            Self::Off => ("off", 0, ""),
            Self::Building { steps, now } => ("building", *steps, now.as_str()),
            Self::Ready(_) => ("ready", 0, ""),
            Self::Failed { .. } => ("failed", 0, ""),
        };
        json!({ "state": state, "steps": steps, "now": now }).to_string()
    }

    /// The page for a request while there is no documentation: title and content.
    fn notice(&self) -> (&'static str, String) {
        match self {
            Self::Off => (
                "The documentation of the crates is not served",
                format!(
                    "<p>This server was started with <code>--no-api</code>. <code>cargo xtask serve</code> without that \
                     flag builds the documentation in the background; <code>{DOCUMENT}</code> builds it by hand, \
                     into <code>target/doc</code>.</p>"
                ),
            ),
            Self::Building { .. } => (
                "The documentation of the crates is being built",
                format!(
                    "<p>This takes some minutes the first time, and seconds later. The page that you asked for opens here \
                     by itself; the book can be read meanwhile.</p>\n<p id=\"progress\" role=\"status\">cargo is \
                     starting.</p>\n<p>If the build fails, the errors stand here and in the terminal of \
                     <code>cargo xtask serve</code>; <code>{DOCUMENT}</code> shows all of them.</p>\n{WAITING}"
                ),
            ),
            Self::Failed { errors } => (
                "The documentation of the crates could not be built",
                format!(
                    "<p>The book is not affected. cargo said:</p>\n<pre><code class=\"nohighlight\">{}</code></pre>\n\
                     <p><code>{DOCUMENT}</code> shows all of it. When that passes, start <code>cargo xtask serve</code> \
                     again.</p>",
                    escape(errors)
                ),
            ),
            Self::Ready(_) => ("", String::new()),
        }
    }

    /// The notice in the frame of the book's page for what is missing.
    pub fn page(&self, frame: Option<String>) -> String {
        let (title, content) = self.notice();
        let main = format!("<main>\n<h1>{title}</h1>\n{content}\n</main>");
        let frame = frame.unwrap_or_else(|| "<!DOCTYPE html><title></title><main></main>".to_owned());
        let page = replaced(&frame, "<title>", "</title>", &format!("<title>{title}</title>"));
        let refresh = match self {
            // Without JavaScript the browser asks again by itself.
            Self::Building { .. } => {
                "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript></head>"
            }
            _ => "</head>",
        };
        replaced(&page, "<main>", "</main>", &main).replacen("</head>", refresh, 1)
    }
}

/// `text` with what stands from `begin` to `end`, both included, replaced; unchanged where they are not.
fn replaced(text: &str, begin: &str, end: &str, by: &str) -> String {
    let range = text.find(begin).and_then(|from| Some((from, from + text[from..].find(end)? + end.len())));
    range.map_or_else(|| text.to_owned(), |(from, to)| format!("{}{by}{}", &text[..from], &text[to..]))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Runs `command`, which documents into `folder`, and tells `live` how far it is; returns when it has ended.
///
/// cargo's own lines stay away from the terminal: one line says that it is done, or the first of its errors stand there.
pub fn build(mut command: Command, folder: &Path, live: &Live) {
    let start = Instant::now();
    live.document(State::Building { steps: 0, now: String::new() });
    // In the group of this process: Ctrl-C in the terminal ends both.
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut lines = Vec::new();
    let mut steps = 0;
    let ended = child.and_then(|mut child| {
        for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n')) {
            let line = line?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            match progress(&line) {
                Some(now) => {
                    steps += 1;
                    live.document(State::Building { steps, now });
                }
                None => lines.push(line),
            }
        }
        child.wait()
    });
    let built = match ended {
        Ok(status) if status.success() => Site::list(folder).map_err(|error| format!("{error:#}")),
        Ok(_) => Err(errors(&lines)),
        Err(error) => Err(format!("cargo cannot be started: {error}")),
    };
    match built {
        Ok(site) => {
            eprintln!("api: documentation built in {:.0} s", start.elapsed().as_secs_f64());
            live.document(State::Ready(Arc::new(site)));
        }
        Err(errors) => {
            eprintln!("api: the documentation was not built, the book goes on\n{errors}");
            live.document(State::Failed { errors });
        }
    }
}

/// cargo's line about its progress, without the folder of the crate.
fn progress(line: &str) -> Option<String> {
    let line = line.trim_start();
    let word = line.split(' ').next()?;
    PROGRESS.contains(&word).then(|| line.split(" (/").next().unwrap_or(line).to_owned())
}

/// From the first error on, as many lines as are shown.
fn errors(lines: &[String]) -> String {
    let first = lines.iter().position(|line| line.starts_with("error")).unwrap_or(0);
    let shown = &lines[first..];
    let mut text = shown[..shown.len().min(SHOWN)].join("\n");
    if shown.len() > SHOWN {
        text += &format!("\n… and {} lines more", shown.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests;
