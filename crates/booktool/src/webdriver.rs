//! A small WebDriver client (W3C WebDriver, level 2): the nine calls that the browser test needs, without an async runtime.
//!
//! A [`Driver`] owns a `chromedriver` process, the browser that it starts and a folder for their files; all three are
//! gone when it is dropped, also when the browser hangs. Every call has a time limit.
use serde_json::{Value, json};
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Name of the driver's executable, in Debian's package `chromium-driver` and in Chrome's own distribution.
const EXECUTABLE: &str = "chromedriver";
/// Longest time until the driver accepts connections and the browser has started.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Time that the driver has for its own answer after the browser's time is over.
const GRACE: Duration = Duration::from_secs(5);
/// Largest reply in bytes: the screenshot of a long page is a few megabytes.
const MAX_REPLY: usize = 256 << 20;

/// No window, no first-run pages, and no traffic of the browser's own: any name but this machine's is unknown.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// Why the browser did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no driver on this machine.
    #[error(
        "`{EXECUTABLE}` is not installed; on Debian: apt-get install --no-install-recommends chromium chromium-driver"
    )]
    NotInstalled,
    /// The driver does not start.
    #[error("`{EXECUTABLE}` does not start; run it by hand to see why")]
    Start {
        /// What the system says.
        source: io::Error,
    },
    /// The driver or the browser does not answer.
    #[error("no answer to {command} within {seconds} s; the page or the browser hangs")]
    Silent {
        /// Path of the call.
        command: String,
        /// The time limit.
        seconds: u64,
    },
    /// The connection to the driver broke, or its reply is no reply of a driver.
    #[error("bad reply to {command}: {source}; do the versions of {EXECUTABLE} and browser agree?")]
    Reply {
        /// Path of the call.
        command: String,
        /// What was wrong.
        source: io::Error,
    },
    /// The driver reports an error.
    #[error("{command}: {message}")]
    Refused {
        /// Path of the call.
        command: String,
        /// First line of the driver's message.
        message: String,
    },
}

/// A running browser.
#[derive(Debug)]
pub struct Driver {
    process: Child,
    port: u16,
    /// Empty before the session, then `/ID`.
    session: String,
    /// Process id of the browser, for the case that it does not end by itself.
    browser: Option<u64>,
    /// For everything that the driver and the browser write.
    folder: PathBuf,
    limit: Duration,
}

impl Driver {
    /// Starts a browser in which no page load and no script may take longer than `limit`.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] without driver or browser, others when they do not start in time.
    pub fn start(limit: Duration) -> Result<Self, Error> {
        // Two browsers of one process, as in tests, must not share a folder.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("booktool-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(|source| Error::Start { source })?;

        // The port is free again when the listener is dropped; who takes it in between makes the start fail.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|source| Error::Start { source })?
            .port();
        let process = Command::new(EXECUTABLE)
            .arg(format!("--port={port}"))
            .env("TMPDIR", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| {
                fs::remove_dir(&folder).ok();
                match source.kind() {
                    ErrorKind::NotFound => Error::NotInstalled,
                    _ => Error::Start { source },
                }
            })?;
        let mut driver =
            Self { process, port, session: String::new(), browser: None, folder, limit: START_LIMIT };
        driver.wait()?;
        driver.begin(limit)?;
        Ok(driver)
    }

    /// Waits until the driver accepts connections.
    fn wait(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
                Ok(_) => return Ok(()),
                Err(source) if begin.elapsed() > START_LIMIT => return Err(Error::Start { source }),
                Err(source) => {
                    if !matches!(self.process.try_wait(), Ok(None)) {
                        return Err(Error::Start { source });
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn begin(&mut self, limit: Duration) -> Result<(), Error> {
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": FLAGS },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let session = self.call("POST", "", capabilities).map_err(|error| match error {
            // The driver is there, the browser is not.
            Error::Refused { message, .. } if message.contains("binary") => Error::NotInstalled,
            other => other,
        })?;
        self.browser = session["capabilities"]["goog:processID"].as_u64();
        self.session = format!("/{}", session["sessionId"].as_str().unwrap_or_default());
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.call("POST", "/timeouts", json!({ "pageLoad": milliseconds, "script": milliseconds }))?;
        self.limit = limit;
        Ok(())
    }

    /// Process id of the browser, 0 when the driver does not tell it.
    #[cfg(test)]
    pub fn process(&self) -> u64 {
        self.browser.unwrap_or_default()
    }

    /// Kills the driver, as a crash of it would.
    #[cfg(test)]
    pub fn lose(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("the driver ran");
    }

    /// Loads a page and waits for its `load` event.
    pub fn open(&self, url: &str) -> Result<(), Error> {
        self.call("POST", "/url", json!({ "url": url })).map(drop)
    }

    /// The address of the page, after redirects and clicks.
    pub fn url(&self) -> Result<String, Error> {
        Ok(self.call("GET", "/url", Value::Null)?.as_str().unwrap_or_default().to_owned())
    }

    /// Runs the body of a function, with `arguments`, and waits when it returns a promise.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Result<Value, Error> {
        self.call("POST", "/execute/sync", json!({ "script": script, "args": arguments }))
    }

    /// Presses and releases a key of the keyboard; special keys have code points of their own in the standard.
    pub fn press(&self, key: char) -> Result<(), Error> {
        let strokes = [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] });
        self.call("POST", "/actions", actions).map(drop)
    }

    /// Messages of the page on the console since the last call: level and text.
    pub fn console(&self) -> Result<Vec<(String, String)>, Error> {
        let log = self.call("POST", "/se/log", json!({ "type": "browser" }))?;
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let entries = log.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(entries.iter().map(|entry| (text(entry, "level"), text(entry, "message"))).collect())
    }

    /// Sets the size of the page's view in CSS pixels; a window cannot be as narrow as a telephone.
    pub fn resize(&self, width: u32, height: u32) -> Result<(), Error> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).map(drop)
    }

    /// Runs a script in every page before its own ones.
    pub fn prepend(&self, script: &str) -> Result<(), Error> {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).map(drop)
    }

    /// Whether the pages that are opened from now on may run their scripts; those of [`run`](Self::run) always do.
    pub fn allow_scripts(&self, are_allowed: bool) -> Result<(), Error> {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !are_allowed })).map(drop)
    }

    /// A PNG of the page from `top` on, `width` × `height` CSS pixels, also beyond the view.
    pub fn screenshot(&self, top: u32, width: u32, height: u32) -> Result<Vec<u8>, Error> {
        let clip = json!({ "x": 0, "y": top, "width": width, "height": height, "scale": 1 });
        let command = "Page.captureScreenshot";
        let options = json!({ "captureBeyondViewport": true, "optimizeForSpeed": true, "clip": clip });
        let image = self.devtools(command, options)?;
        image["data"].as_str().and_then(decode_base64).ok_or_else(|| Error::Reply {
            command: command.into(),
            source: io::Error::new(ErrorKind::InvalidData, "no base64 image"),
        })
    }

    fn devtools(&self, command: &str, parameters: Value) -> Result<Value, Error> {
        self.call("POST", "/goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    /// One request to the driver; returns the `value` of its reply.
    fn call(&self, method: &str, path: &str, body: Value) -> Result<Value, Error> {
        let command = if path.is_empty() { "/session" } else { path };
        let limit = self.limit + GRACE;
        let reply = self.exchange(method, path, &body, limit).map_err(|source| match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Error::Silent { command: command.into(), seconds: limit.as_secs() }
            }
            _ => Error::Reply { command: command.into(), source },
        })?;
        let bad = |source: serde_json::Error| Error::Reply { command: command.into(), source: source.into() };
        let value = serde_json::from_slice::<Value>(&reply).map_err(bad)?["value"].take();
        if value.get("error").is_some() {
            let message = value["message"].as_str().unwrap_or_default();
            let message = message.lines().next().unwrap_or_default().to_owned();
            return Err(Error::Refused { command: command.into(), message });
        }
        Ok(value)
    }

    /// The driver keeps the connection open whatever it is asked, so that the reply ends by its length.
    fn exchange(&self, method: &str, path: &str, body: &Value, limit: Duration) -> io::Result<Vec<u8>> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        write!(
            stream,
            "{method} /session{}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
            self.session,
            body.len()
        )?;
        let mut reader = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            line.clear();
        }
        if length > MAX_REPLY {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("a reply of {length} bytes")));
        }
        let mut reply = vec![0; length];
        reader.read_exact(&mut reply)?;
        Ok(reply)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.limit = Duration::ZERO; // a healthy browser ends within the grace of a call
        let is_healthy = !self.session.is_empty() && self.call("DELETE", "", Value::Null).is_ok();
        if let (false, Some(process)) = (is_healthy, self.browser) {
            // Its own children end with it.
            Command::new("kill").args(["-KILL", &process.to_string()]).status().ok();
        }
        self.process.kill().ok();
        self.process.wait().ok();
        // The last processes of the browser may still write.
        for _ in 0..20 {
            match fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != ErrorKind::NotFound => thread::sleep(Duration::from_millis(50)),
                _ => break,
            }
        }
    }
}

/// RFC 4648, with padding; `None` for any other character or a wrong length.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in text.as_bytes().chunks(4) {
        let padding = group.iter().rev().take_while(|&&byte| byte == b'=').count();
        if group.len() < 4 || padding > 2 {
            return None;
        }
        let mut bits = 0u32;
        for &byte in &group[..4 - padding] {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * padding;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_decodes_the_vectors_of_the_standard() {
        for (text, want) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(decode_base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for bad in ["Z", "Zg=", "Zm9v!mFy", "====", "Zm 9"] {
            assert_eq!(decode_base64(bad), None, "{bad}");
        }
    }
}
