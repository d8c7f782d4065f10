//! Accepts connections and answers them from a [`Live`] book.
use super::api::{self, State};
use super::http::{Method, Response, Status, read_request};
use super::site::{Found, Site};
use serde_json::json;
use std::io::{self, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// Longest time from the connection to the end of the request, and between two bytes that the client reads.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections at a time; a page of the book needs about twenty files.
const MAX_CLIENTS: usize = 128;
/// Bytes that are still read after a refused request, so that the answer is not lost with the connection.
const LEFTOVER: u64 = 256 * 1024;
/// Path of the version, asked for by [`RELOAD`].
const VERSION: &str = "/__version";
/// Script that is appended to every page.
const RELOAD: &str = include_str!("reload.html");

/// Whether pages watch for a newer version of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// A script is appended to every page.
    On,
    /// Pages are served as they are.
    Off,
}

/// The book that is being served; a rebuild replaces it while requests are answered.
#[derive(Debug)]
pub struct Live {
    reload: Reload,
    edition: RwLock<Edition>,
    /// The documentation of the crates.
    api: RwLock<State>,
}

#[derive(Debug)]
struct Edition {
    site: Arc<Site>,
    version: u64,
    error: Option<String>,
}

impl Live {
    /// Version 1 of the book.
    pub fn new(site: Site, reload: Reload) -> Self {
        let edition = Edition { site: Arc::new(site), version: 1, error: None };
        Self { reload, edition: RwLock::new(edition), api: RwLock::default() }
    }

    /// How far the documentation of the crates is from now on.
    pub fn document(&self, state: State) {
        *self.api.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn api(&self) -> State {
        self.api.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next version of the book, or why there is none: then the last good one stays.
    pub fn publish(&self, built: Result<Site, String>) {
        let mut edition = self.edition.write().unwrap_or_else(PoisonError::into_inner);
        match built {
            Ok(site) => {
                *edition = Edition { site: Arc::new(site), version: edition.version + 1, error: None };
            }
            Err(error) => edition.error = Some(error),
        }
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.edition.read().unwrap_or_else(PoisonError::into_inner).site)
    }

    /// `{"run":…,"version":…,"error":…}`; `run` tells a restarted server from the one before.
    fn version(&self) -> String {
        let edition = self.edition.read().unwrap_or_else(PoisonError::into_inner);
        json!({ "run": std::process::id(), "version": edition.version, "error": edition.error }).to_string()
    }

    fn answer(&self, path: &str) -> Response {
        if self.reload == Reload::On && path == VERSION {
            let body = self.version().into_bytes().into();
            return Response { media_type: "application/json", body, ..Response::plain(Status::Ok) };
        }
        if path == api::STATE {
            let body = self.api().json().into_bytes().into();
            return Response { media_type: "application/json", body, ..Response::plain(Status::Ok) };
        }
        let site = self.site();
        let (status, media_type, body) = match site.find(path) {
            Found::File(media_type, body) => (Status::Ok, media_type, body),
            Found::Folder(location) => return Response::moved(location),
            Found::Nothing if path.strip_prefix(api::FOLDER).is_some_and(|rest| rest.starts_with('/')) => {
                match self.document_at(&path[api::FOLDER.len()..], &site) {
                    Ok(response) => return response,
                    Err((status, page)) => (status, "text/html; charset=utf-8", page.into_bytes().into()),
                }
            }
            // mdBook writes a page for this case.
            Found::Nothing => match site.find("/404.html") {
                Found::File(media_type, body) => (Status::NotFound, media_type, body),
                _ => return Response::plain(Status::NotFound),
            },
        };
        self.with_reload(status, media_type, body)
    }

    /// A file of the documentation, or the status and the page of the book for a file that is not there.
    fn document_at(&self, path: &str, site: &Site) -> Result<Response, (Status, String)> {
        let state = self.api();
        let status = match &state {
            State::Ready(documentation) => match documentation.find(path) {
                Found::File(media_type, body) => {
                    return Ok(Response { media_type, body, ..Response::plain(Status::Ok) });
                }
                Found::Folder(location) => return Ok(Response::moved(format!("{}{location}", api::FOLDER))),
                Found::Nothing => {
                    let page = site.text("404.html");
                    return page.map_or_else(
                        || Ok(Response::plain(Status::NotFound)),
                        |p| Err((Status::NotFound, p)),
                    );
                }
            },
            State::Off => Status::NotFound,
            State::Building { .. } => Status::Busy,
            State::Failed { .. } => Status::Failed,
        };
        Err((status, state.page(site.text("404.html"))))
    }

    fn with_reload(&self, status: Status, media_type: &'static str, body: Arc<[u8]>) -> Response {
        let is_page = media_type.starts_with("text/html");
        let tail = if is_page && self.reload == Reload::On { RELOAD } else { "" };
        Response { status, media_type, location: None, body, tail }
    }
}

/// Answers connections in threads of their own, for as long as the process lives.
pub fn start(listener: TcpListener, live: Arc<Live>) {
    thread::spawn(move || {
        let clients = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of file handles, or the client left early: neither is a reason to stop or to spin.
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let live = Arc::clone(&live);
            let seat = Seat::take(&clients);
            // Where no thread can be had, the connection is closed and the client may try again.
            let _ = thread::Builder::new().spawn(move || serve(stream, &live, seat));
        }
    });
}

/// Counts a connection from its acceptance to its end.
struct Seat {
    clients: Arc<AtomicUsize>,
    is_free: bool,
}

impl Seat {
    fn take(clients: &Arc<AtomicUsize>) -> Self {
        let is_free = clients.fetch_add(1, Ordering::Relaxed) < MAX_CLIENTS;
        Self { clients: Arc::clone(clients), is_free }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers one request. Whatever goes wrong with the connection concerns this client alone.
fn serve(mut stream: TcpStream, live: &Live, seat: Seat) {
    let request = if seat.is_free {
        read_request(&mut Patient { stream: &stream, until: Instant::now() + PATIENCE })
    } else {
        Err(Status::Busy)
    };
    let (response, method) = match request {
        Ok(Some(request)) => (live.answer(&request.path), request.method),
        Ok(None) => return,
        Err(status) => (Response::plain(status), Method::Get),
    };
    let sent = stream.set_write_timeout(Some(PATIENCE)).and_then(|()| response.write(&mut stream, method));
    if sent.is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        // Closing with unread bytes would reset the connection before the client has read the answer.
        let until = Instant::now() + Duration::from_secs(2);
        let _ = io::copy(&mut Patient { stream: &stream, until }.take(LEFTOVER), &mut io::sink());
    }
}

/// Reads from a connection until a point in time, however slowly the bytes come.
struct Patient<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}

#[cfg(test)]
pub mod tests;
