//! The server by real sockets.
use super::super::watch;
use super::*;
use anyhow::{Result, ensure};
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

const START: &str = "<!DOCTYPE html><p>start</p>";

/// A folder `book` beside a file that must never be served.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let book = folder.path().join("book");
    fs::create_dir_all(book.join("part")).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    for (name, text) in [
        ("index.html", START),
        ("404.html", "<p>no such page</p>"),
        ("part/index.html", "part"),
        ("ä b.css", "p {}"),
    ] {
        fs::write(book.join(name), text).unwrap();
    }
    folder
}

pub fn server(book: &Path, reload: Reload) -> (SocketAddr, Arc<Live>) {
    let live = Arc::new(Live::new(Site::load(book).unwrap(), reload));
    let listener = super::super::listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    start(listener, Arc::clone(&live));
    (address, live)
}

/// Sends bytes, returns head and body of the answer.
fn send(address: SocketAddr, request: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
}

pub fn get(address: SocketAddr, target: &str) -> (String, Vec<u8>) {
    send(address, format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
}

fn length(head: &str) -> usize {
    let value = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).expect("a length");
    value.parse().unwrap()
}

#[test]
fn pages_carry_the_script_and_an_exact_length() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::On);
    let (head, body) = get(address, "/");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"), "{head}");
    assert_eq!(body, format!("{START}{RELOAD}").as_bytes());
    assert_eq!(length(&head), body.len());

    let (head, body) = get(address, "/%C3%A4%20b.css?x");
    assert!(head.contains("Content-Type: text/css"), "{head}");
    assert_eq!((body.as_slice(), length(&head)), (&b"p {}"[..], 4));

    let (head, body) = send(address, b"HEAD / HTTP/1.1\r\n\r\n");
    assert_eq!((body.len(), length(&head)), (0, START.len() + RELOAD.len()));
}

#[test]
fn without_reload_pages_are_byte_for_byte_the_files() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    assert_eq!(get(address, "/index.html").1, START.as_bytes());
    assert!(get(address, VERSION).0.starts_with("HTTP/1.1 404"));
}

#[test]
fn folders_redirect_and_missing_pages_show_the_page_of_the_book() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    let (head, _) = get(address, "/part");
    assert!(head.starts_with("HTTP/1.1 301") && head.contains("\r\nLocation: /part/\r\n"), "{head}");
    assert_eq!(get(address, "/part/").1, b"part");
    let (head, body) = get(address, "/no-such");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert_eq!(body, b"<p>no such page</p>");
}

#[test]
fn no_spelling_of_a_path_leaves_the_folder() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    let absolute = folder.path().join("secret.txt").display().to_string();
    let spellings = [
        "/../secret.txt",
        "/part/../../secret.txt",
        "/./../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/secret.txt",
        "/index.html%00.css",
        "/index.html/../../secret.txt",
        "http://127.0.0.1/../secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/C:/secret.txt",
        "../secret.txt",
        "/~/secret.txt",
        &absolute,
        &format!("/{absolute}"),
    ];
    for target in spellings {
        let (head, body) = get(address, target);
        assert!(head.starts_with("HTTP/1.1 404") || head.starts_with("HTTP/1.1 400"), "{target}: {head}");
        assert!(!body.windows(6).any(|w| w == b"secret"), "{target}");
    }
}

#[test]
fn bad_requests_get_an_answer_and_the_server_goes_on() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    let big = format!("GET / HTTP/1.1\r\n{}", "X-Padding: 0123456789\r\n".repeat(20_000));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    for (request, status) in [
        (&b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"[..], "405"),
        (b"DELETE /index.html HTTP/1.1\r\n\r\n", "405"),
        (b"GET / HTTP/3\r\n\r\n", "505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", "400"),
        (big.as_bytes(), "431"),
        (long.as_bytes(), "414"),
    ] {
        let (head, _) = send(address, request);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(head.contains("\r\nAllow: GET, HEAD\r\n"), status == "405", "{head}");
    }
    // A client that hangs up before or in the middle of its request.
    drop(TcpStream::connect(address).unwrap());
    TcpStream::connect(address).unwrap().write_all(b"GET /").unwrap();
    assert_eq!(get(address, "/").1, START.as_bytes());
}

#[test]
fn slow_clients_do_not_block_others() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET / HT").unwrap();
            stream
        })
        .collect();
    let begin = Instant::now();
    assert_eq!(get(address, "/").1, START.as_bytes());
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    drop(slow);
}

#[test]
fn too_many_clients_are_told_so_and_leave_their_places() {
    let folder = folder();
    let (address, _) = server(&folder.path().join("book"), Reload::Off);
    let crowd: Vec<_> = (0..MAX_CLIENTS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let (head, _) = get(address, "/");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    drop(crowd);
    let begin = Instant::now();
    while !get(address, "/").0.starts_with("HTTP/1.1 200") {
        assert!(begin.elapsed() < Duration::from_secs(5), "the places are never given back");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The answer of the version path, once `done` is true for it.
fn version(address: SocketAddr, done: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let begin = Instant::now();
    loop {
        let value = serde_json::from_slice(&get(address, VERSION).1).unwrap();
        if done(&value) {
            return value;
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{value}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_change_raises_the_version_and_a_failed_build_keeps_the_last_good_book() {
    let folder = folder();
    let book = folder.path().join("book");
    let (address, live) = server(&book, Reload::On);
    assert_eq!(version(address, |_| true)["version"], 1);
    // Whole at once: a file that is written in place can be seen while it is empty.
    let save = |text: &str| {
        let new = folder.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, book.join("index.html")).unwrap();
    };
    thread::spawn({
        let mut files = watch::Files::new(vec![book.clone()]);
        let book = book.clone();
        let build = move || -> Result<Site> {
            let text = fs::read_to_string(book.join("index.html"))?;
            assert!(!text.contains("panic"), "on purpose");
            ensure!(!text.contains("wrong"), "lecture-01.md: unknown command `\\wrong`");
            Site::load(&book)
        };
        move || watch::follow(&live, &mut files, Duration::from_millis(20), build)
    });

    save("second");
    let second = version(address, |v| v["version"] == 2);
    assert!(second["error"].is_null(), "{second}");
    assert!(get(address, "/").1.starts_with(b"second"));

    for (text, message) in [("wrong!", "unknown command `\\wrong`"), ("panic!!", "the build panicked")] {
        save(text);
        let failed = version(address, |v| v["error"].as_str().is_some_and(|e| e.contains(message)));
        assert_eq!(failed["version"], 2);
        assert!(get(address, "/").1.starts_with(b"second"), "the last good book stays");
    }

    save("repaired");
    let repaired = version(address, |v| v["version"] == 3);
    assert!(repaired["error"].is_null(), "{repaired}");
    assert!(get(address, "/").1.starts_with(b"repaired"));
}
