//! Golden files: values from an independent implementation, each of which a test must use.
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A JSON file of reference values that fails the test when it has a value that nobody read.
///
/// A value is addressed by its path of keys and list indices, as `runs/sgd/x/3`. Reading a path marks everything below
/// it; [`finish`](Self::finish), or dropping the reader, panics with the paths that were never read. So a run that was
/// added to the file cannot be skipped silently; one that is not this test's business is named with
/// [`skip`](Self::skip).
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("area.json");
/// # std::fs::write(&path, r#"{ "source": "numpy 2.1", "sides": [3.0, 4.0], "area": 12.0 }"#)?;
/// use layers::{assert_close, testing::Golden};
/// let golden = Golden::open(&path);
/// let sides = golden.numbers("sides");
/// assert_close!(sides[0] * sides[1], golden.number("area"), 1e-15);
/// golden.skip("source"); // provenance
/// golden.finish();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Golden {
    path: PathBuf,
    root: Value,
    /// Paths that were read or skipped; each covers everything below it.
    read: RefCell<BTreeSet<String>>,
}

impl Golden {
    /// Reads a golden file.
    ///
    /// # Panics
    /// When the file cannot be read or is not JSON.
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_path_buf();
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("golden file {} cannot be read: {error}", path.display()));
        let root = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("golden file {} is not JSON: {error}", path.display()));
        Self { path, root, read: RefCell::default() }
    }

    /// The value at `path`, whatever it is; marks it as read.
    ///
    /// # Panics
    /// When there is nothing at `path`.
    #[track_caller]
    pub fn value(&self, path: &str) -> &Value {
        let value =
            self.find(path).unwrap_or_else(|| panic!("{} has no value at `{path}`", self.path.display()));
        self.read.borrow_mut().insert(path.to_owned());
        value
    }

    /// The number at `path`.
    ///
    /// # Panics
    /// When there is no number at `path`.
    #[track_caller]
    pub fn number(&self, path: &str) -> f64 {
        self.value(path)
            .as_f64()
            .unwrap_or_else(|| panic!("{}: `{path}` is not a number", self.path.display()))
    }

    /// All numbers at `path` in order, lists of lists one after the other (row-major).
    ///
    /// # Panics
    /// When `path` holds anything but numbers and lists.
    #[track_caller]
    pub fn numbers(&self, path: &str) -> Vec<f64> {
        fn collect(value: &Value, numbers: &mut Vec<f64>) -> Option<()> {
            match value {
                Value::Array(list) => list.iter().try_for_each(|value| collect(value, numbers)),
                value => value.as_f64().map(|number| numbers.push(number)),
            }
        }
        let mut numbers = Vec::new();
        collect(self.value(path), &mut numbers)
            .unwrap_or_else(|| panic!("{}: `{path}` holds more than numbers", self.path.display()));
        numbers
    }

    /// The text at `path`.
    ///
    /// # Panics
    /// When there is no text at `path`.
    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        self.value(path).as_str().unwrap_or_else(|| panic!("{}: `{path}` is not a text", self.path.display()))
    }

    /// Keys of the object at `path` (the whole file for an empty path), in the file's order; marks nothing as read.
    ///
    /// # Panics
    /// When there is no object at `path`.
    #[track_caller]
    pub fn keys(&self, path: &str) -> Vec<&str> {
        let object = self.find(path).and_then(Value::as_object);
        let object = object.unwrap_or_else(|| panic!("{}: `{path}` is not an object", self.path.display()));
        object.keys().map(String::as_str).collect()
    }

    /// Whether there is a value at `path`; marks nothing as read.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Declares that a value is not this test's business; say why in a comment.
    ///
    /// # Panics
    /// When there is nothing at `path`: a skip that is no longer needed must go.
    #[track_caller]
    pub fn skip(&self, path: &str) {
        self.value(path);
    }

    /// Ends the test.
    ///
    /// # Panics
    /// When values were never read; the message lists them.
    #[track_caller]
    pub fn finish(self) {
        self.check();
        std::mem::forget(self);
    }

    fn find(&self, path: &str) -> Option<&Value> {
        path.split('/').filter(|key| !key.is_empty()).try_fold(&self.root, |value, key| match value {
            Value::Array(list) => list.get(key.parse::<usize>().ok()?),
            value => value.get(key),
        })
    }

    #[track_caller]
    fn check(&self) {
        let mut unread = Vec::new();
        self.unread(&self.root, String::new(), &mut unread);
        assert!(
            unread.is_empty(),
            "{} holds values that no test reads: {unread:?}; read them, or skip them with a reason",
            self.path.display()
        );
    }

    /// Collects the shortest paths below which nothing was read.
    fn unread(&self, value: &Value, path: String, unread: &mut Vec<String>) {
        let read = self.read.borrow();
        if read.contains(&path) {
            return;
        }
        let below = format!("{path}/");
        let touched =
            path.is_empty() || read.range(below.clone()..).next().is_some_and(|p| p.starts_with(&below));
        if !touched {
            return unread.push(path);
        }
        let child = |key: &dyn std::fmt::Display| {
            if path.is_empty() { key.to_string() } else { format!("{path}/{key}") }
        };
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(key, value)| self.unread(value, child(key), unread))
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, value)| self.unread(value, child(&i), unread))
            }
            _ => unread.push(path),
        }
    }
}

impl Drop for Golden {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}
