//! The part of HTTP/1.1 (RFC 9112) that a server of static pages needs; every connection carries one request.
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// Longest request line in bytes (RFC 9112 recommends to accept at least 8000).
pub const MAX_LINE: usize = 8 * 1024;
/// Longest request line and header section together, in bytes.
pub const MAX_HEAD: usize = 32 * 1024;

/// The methods that the server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Header and body.
    Get,
    /// Header only, as it would be for `GET`.
    Head,
}

/// A request line that was understood; the header section is skipped.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// GET or HEAD.
    pub method: Method,
    /// Absolute path, percent-decoded, without query.
    pub path: String,
}

/// Answers that the server can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// The file follows.
    Ok = 200,
    /// A folder was asked for without its final `/`.
    MovedPermanently = 301,
    /// Not a request of HTTP.
    BadRequest = 400,
    /// No such file.
    NotFound = 404,
    /// Neither GET nor HEAD.
    MethodNotAllowed = 405,
    /// The request did not arrive in time.
    RequestTimeout = 408,
    /// The request line is longer than [`MAX_LINE`].
    UriTooLong = 414,
    /// The header section is longer than [`MAX_HEAD`].
    HeaderTooLarge = 431,
    /// What should have made the file failed.
    Failed = 500,
    /// Too many clients at once, or a file that is still being made.
    Busy = 503,
    /// Not HTTP/1.0 or HTTP/1.1.
    VersionNotSupported = 505,
}

impl Status {
    /// The reason phrase of RFC 9110.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::MovedPermanently => "Moved Permanently",
            Self::BadRequest => "Bad Request",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::UriTooLong => "URI Too Long",
            Self::HeaderTooLarge => "Request Header Fields Too Large",
            Self::Failed => "Internal Server Error",
            Self::Busy => "Service Unavailable",
            Self::VersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// Reads one request head.
///
/// Returns `Ok(None)` when the client closed the connection without asking for anything.
///
/// # Errors
/// The status to answer with: the request is malformed, too long, too slow or uses another method.
pub fn read_request(stream: &mut impl Read) -> Result<Option<Request>, Status> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    let end = loop {
        match stream.read(&mut chunk) {
            Ok(0) if head.is_empty() => return Ok(None),
            Ok(0) => return Err(Status::BadRequest),
            Ok(n) => head.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(Status::RequestTimeout);
            }
            Err(_) => return Ok(None), // the connection is gone, nobody waits for an answer
        }
        let line_end = head.iter().position(|&b| b == b'\n');
        if line_end.unwrap_or(head.len()) > MAX_LINE {
            return Err(Status::UriTooLong);
        }
        if let Some(end) = head_end(&head) {
            break end;
        }
        if head.len() > MAX_HEAD {
            return Err(Status::HeaderTooLarge);
        }
    };
    if end > MAX_HEAD {
        return Err(Status::HeaderTooLarge);
    }
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    parse_line(line.strip_suffix(b"\r").unwrap_or(line)).map(Some)
}

/// Position after the empty line that ends the head; a line may end with LF alone (RFC 9112, 2.2).
fn head_end(head: &[u8]) -> Option<usize> {
    let crlf = head.windows(4).position(|w| w == b"\r\n\r\n").map(|i| i + 4);
    let lf = head.windows(2).position(|w| w == b"\n\n").map(|i| i + 2);
    crlf.into_iter().chain(lf).min()
}

/// `GET /path?query HTTP/1.1`
fn parse_line(line: &[u8]) -> Result<Request, Status> {
    let line = std::str::from_utf8(line).map_err(|_| Status::BadRequest)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Status::BadRequest);
    };
    match version {
        "HTTP/1.1" | "HTTP/1.0" => {}
        v if v.starts_with("HTTP/") => return Err(Status::VersionNotSupported),
        _ => return Err(Status::BadRequest),
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        m if !m.is_empty()
            && m.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) =>
        {
            return Err(Status::MethodNotAllowed);
        }
        _ => return Err(Status::BadRequest),
    };
    // Absolute form, http://host/path, is what a proxy would send.
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    if !path.starts_with('/') {
        return Err(Status::BadRequest);
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = percent_decode(path).ok_or(Status::BadRequest)?;
    Ok(Request { method, path })
}

/// Replaces each `%XX` by its byte, once; `None` for a lone `%` or a result that is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push(u8::try_from(16 * high + low).ok()?);
    }
    String::from_utf8(out).ok()
}

/// An answer; its length is that of `body` and `tail` together.
#[derive(Debug)]
pub struct Response {
    /// Status line.
    pub status: Status,
    /// `Content-Type`.
    pub media_type: &'static str,
    /// `Location`, for a redirect.
    pub location: Option<String>,
    /// The file.
    pub body: Arc<[u8]>,
    /// What is appended to the file, empty for none.
    pub tail: &'static str,
}

impl Response {
    /// A short page of plain text that names the status.
    pub fn plain(status: Status) -> Self {
        let text = format!("{} {}\n", status as u16, status.reason());
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            location: None,
            body: text.into_bytes().into(),
            tail: "",
        }
    }

    /// A redirect within the site.
    pub fn moved(location: String) -> Self {
        Self { location: Some(location), ..Self::plain(Status::MovedPermanently) }
    }

    /// Writes header and, unless `method` is HEAD, body.
    ///
    /// # Errors
    /// When the client is gone or does not read.
    pub fn write(&self, stream: &mut impl Write, method: Method) -> io::Result<()> {
        let mut message = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n",
            self.status as u16,
            self.status.reason(),
            self.media_type,
            self.body.len() + self.tail.len(),
        );
        if self.status == Status::MethodNotAllowed {
            message.push_str("Allow: GET, HEAD\r\n");
        }
        if let Some(location) = &self.location {
            message.push_str(&format!("Location: {}\r\n", percent_encode(location)));
        }
        message.push_str("\r\n");
        stream.write_all(message.as_bytes())?;
        if method == Method::Get {
            stream.write_all(&self.body)?;
            stream.write_all(self.tail.as_bytes())?;
        }
        stream.flush()
    }
}

/// Keeps `/` and the unreserved characters of RFC 3986: no byte can end the header line.
fn percent_encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Option<Request>, Status> {
        read_request(&mut &text[..])
    }

    fn path(target: &str) -> Result<String, Status> {
        read(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).map(|r| r.unwrap().path)
    }

    #[test]
    fn targets_are_decoded_once_and_lose_their_query() {
        assert_eq!(path("/a%20b/%C3%A4.html?x=%00#y").unwrap(), "/a b/ä.html");
        assert_eq!(path("/%252e%252e/x").unwrap(), "/%2e%2e/x");
        assert_eq!(path("http://127.0.0.1:3000/a").unwrap(), "/a");
        assert_eq!(path("http://127.0.0.1").unwrap(), "/");
        for bad in ["/%", "/%4", "/%zz", "/%+1", "/%ff", "a", "*", "https://x/", "", "/a b"] {
            assert_eq!(path(bad), Err(Status::BadRequest), "{bad}");
        }
    }

    #[test]
    fn each_malformed_request_has_its_status() {
        let long_line = [b"GET /", vec![b'a'; MAX_LINE].as_slice()].concat();
        let long_head = [b"GET / HTTP/1.1\r\n", b"X: y\r\n".repeat(MAX_HEAD / 6).as_slice()].concat();
        let ends_late = [&long_head[..], b"\r\n"].concat();
        for (text, want) in [
            (&b"POST / HTTP/1.1\r\n\r\n"[..], Status::MethodNotAllowed),
            (b"get / HTTP/1.1\r\n\r\n", Status::MethodNotAllowed),
            (b" / HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"G{T / HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"GET / HTTP/2.0\r\n\r\n", Status::VersionNotSupported),
            (b"GET / FTP/1.0\r\n\r\n", Status::BadRequest),
            (b"GET /\r\n\r\n", Status::BadRequest),
            (b"\r\n\r\n", Status::BadRequest),
            (b"\xff\xfe / HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"GET / HTTP/1.1\r\nHost: x\r\n", Status::BadRequest),
            (&long_line, Status::UriTooLong),
            (&long_head, Status::HeaderTooLarge),
            (&ends_late, Status::HeaderTooLarge),
        ] {
            assert_eq!(read(text), Err(want), "{:?}", String::from_utf8_lossy(&text[..text.len().min(40)]));
        }
        assert_eq!(read(b""), Ok(None));
        assert_eq!(
            read(b"HEAD / HTTP/1.0\n\n"),
            Ok(Some(Request { method: Method::Head, path: "/".into() }))
        );
    }

    /// Every request with one byte changed, cut off or doubled gets an answer, and never a panic.
    #[test]
    fn damaged_requests_are_answered() {
        let good = b"GET /a%20b?c HTTP/1.1\r\nHost: x\r\n\r\n";
        for i in 0..good.len() {
            for byte in 0..=255 {
                let mut damaged = good.to_vec();
                damaged[i] = byte;
                if let Ok(Some(request)) = read(&damaged) {
                    assert!(request.path.starts_with('/'), "{damaged:?}");
                }
            }
            assert_eq!(read(&good[..i]), if i == 0 { Ok(None) } else { Err(Status::BadRequest) });
        }
    }

    #[test]
    fn the_length_counts_the_tail_and_head_has_no_body() {
        let response = Response { body: Arc::from(&b"ab"[..]), tail: "é", ..Response::plain(Status::Ok) };
        let (mut get, mut head) = (vec![], vec![]);
        response.write(&mut get, Method::Get).unwrap();
        response.write(&mut head, Method::Head).unwrap();
        let get = String::from_utf8(get).unwrap();
        assert!(get.contains("\r\nContent-Length: 4\r\n") && get.ends_with("\r\n\r\nabé"), "{get}");
        assert_eq!(get.strip_suffix("abé").unwrap().as_bytes(), head);
    }

    #[test]
    fn a_redirect_cannot_add_header_lines() {
        let location = Some("/a\r\nSet-Cookie: x/".into());
        let response = Response { location, ..Response::plain(Status::MovedPermanently) };
        let mut out = vec![];
        response.write(&mut out, Method::Get).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("\r\nLocation: /a%0D%0ASet-Cookie%3A%20x/\r\n"));
    }
}
