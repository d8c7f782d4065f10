//! The background build, by real processes and sockets.
use super::super::Reload;
use super::super::server::tests::{get, server};
use super::*;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What mdBook writes for a missing page.
const FRAME: &str = "<!DOCTYPE html><html><head><title>Page not found</title></head><body><nav>chapters</nav>\
    <main><h1>Page not found</h1></main></body></html>";

/// A rendered book and, beside it, a folder that is to hold documentation.
fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (book, doc) = (folder.path().join("book"), folder.path().join("doc"));
    fs::create_dir_all(book.join("api")).unwrap();
    fs::write(book.join("index.html"), "start").unwrap();
    fs::write(book.join("404.html"), FRAME).unwrap();
    fs::write(book.join("api/index.html"), "the list of items").unwrap();
    fs::create_dir_all(doc.join("votes")).unwrap();
    fs::write(folder.path().join("secret.html"), "secret").unwrap();
    (folder, book, doc)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// Waits for something that another thread does.
fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_waits_for_the_build_and_is_then_answered_from_it() {
    let (folder, book, doc) = folders();
    let (address, live) = server(&book, Reload::On);
    let page = |path: &str| {
        let (head, body) = get(address, path);
        (status(&head).to_owned(), String::from_utf8(body).unwrap())
    };
    let state = || page(STATE).1;
    assert_eq!(state(), r#"{"state":"off","steps":0,"now":""}"#);

    // The build goes on when this test lets it.
    let gate = folder.path().join("gate");
    let script = format!(
        "echo '    Checking dfdx v0.13.0' >&2; echo ' Documenting votes v0.1.0 (/somewhere/votes)' >&2; \
         for i in $(seq 1000); do [ -e '{0}' ] && break; sleep 0.02; done; echo page > '{1}/votes/struct.Vote.html'; \
         echo list > '{1}/votes/index.html'",
        gate.display(),
        doc.display()
    );
    let (ended, end) = mpsc::channel();
    thread::spawn({
        let (live, doc) = (Arc::clone(&live), doc.clone());
        move || {
            build(shell(&script), &doc, &live);
            ended.send(()).unwrap();
        }
    });
    until("cargo's progress is not shown", || {
        state().contains("\"steps\":2,\"now\":\"Documenting votes v0.1.0\"")
    });
    let (code, waiting) = page("/api/votes/struct.Vote.html");
    assert_eq!(code, "503");
    for part in [
        "<nav>chapters</nav>",
        "<h1>The documentation of the crates is being built</h1>",
        "<title>The documentation of the crates is being built</title>",
        "some minutes the first time",
        "<code>cargo doc --no-deps</code>",
        "fetch('/__api')",
        "http-equiv=\"refresh\"",
    ] {
        assert!(waiting.contains(part), "no {part} in {waiting}");
    }
    assert!(!waiting.contains("Page not found"), "{waiting}");
    // The book is there all the time.
    assert!(page("/").1.starts_with("start") && page("/api/").1.starts_with("the list of items"));

    fs::write(gate, "").unwrap();
    end.recv_timeout(Duration::from_secs(20)).expect("the build ends");
    assert!(state().contains("\"ready\""), "{}", state());
    // As rustdoc wrote them: without the book's script.
    assert_eq!(page("/api/votes/struct.Vote.html"), ("200".into(), "page\n".into()));
    assert_eq!(page("/api/votes/").1, "list\n");
    let (head, _) = get(address, "/api/votes");
    assert!(head.contains("\r\nLocation: /api/votes/\r\n"), "{head}");
    assert!(page("/api/").1.starts_with("the list of items"));
    let (code, missing) = page("/api/votes/struct.Gone.html");
    assert!(code == "404" && missing.contains("Page not found"), "{code} {missing}");
    for path in
        ["/api/../secret.html", "/api/%2e%2e/secret.html", "/api//secret.html", "/api/..%2fsecret.html"]
    {
        let (code, text) = page(path);
        assert!(code == "404" && !text.contains("secret"), "{path}: {code} {text}");
    }
}

#[test]
fn a_failed_build_is_said_and_the_book_goes_on() {
    let (_folder, book, doc) = folders();
    let (address, live) = server(&book, Reload::Off);
    for (command, wanted) in [
        (
            shell(
                "echo '    Checking a v0.1.0' >&2; echo 'warning: w' >&2; echo 'error[E0425]: no `Vec<x>`' >&2; exit 101",
            ),
            "<code class=\"nohighlight\">error[E0425]: no `Vec&lt;x&gt;`</code>",
        ),
        (
            shell("for i in $(seq 100); do echo error $i >&2; done; exit 101"),
            "error 40\n… and 60 lines more</code>",
        ),
        (Command::new("no-such-cargo"), "cargo cannot be started: "),
    ] {
        build(command, &doc, &live);
        let (head, body) = get(address, "/api/votes/index.html");
        let body = String::from_utf8(body).unwrap();
        assert_eq!(status(&head), "500", "{wanted}");
        assert!(body.contains("<h1>The documentation of the crates could not be built</h1>"), "{body}");
        assert!(
            body.contains(wanted) && body.contains("cargo doc --no-deps</code>"),
            "no {wanted} in {body}"
        );
        assert!(!body.contains("http-equiv"), "a page that has nothing to wait for: {body}");
        assert_eq!(get(address, "/").1, b"start");
        assert!(String::from_utf8(get(address, STATE).1).unwrap().contains("\"failed\""));
    }
    // A build that says that all went well and wrote nothing.
    build(shell("true"), &doc.join("nowhere"), &live);
    assert_eq!(status(&get(address, "/api/votes/index.html").0), "500");
}

#[test]
fn without_a_build_the_page_says_what_builds_it() {
    let (_folder, book, _) = folders();
    let (address, _) = server(&book, Reload::Off);
    let (head, body) = get(address, "/api/votes/struct.Vote.html");
    let body = String::from_utf8(body).unwrap();
    assert_eq!(status(&head), "404");
    assert!(
        body.contains("without that flag") && body.contains("<code>cargo doc --no-deps</code>"),
        "{body}"
    );
    // A book without a page for what is missing.
    fs::remove_file(book.join("404.html")).unwrap();
    let (address, _) = server(&book, Reload::Off);
    assert!(String::from_utf8(get(address, "/api/x").1).unwrap().contains("<h1>The documentation"));
    // Other paths that begin alike are none of its business.
    assert_eq!(status(&get(address, "/apiary").0), "404");
    assert!(!String::from_utf8(get(address, "/apiary").1).unwrap().contains("documentation"));
}
