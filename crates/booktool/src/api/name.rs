//! What a chapter writes to link an item.

use std::fmt;

/// `crate::module::Item`, with rustdoc's marks where two things share the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    segments: Vec<String>,
    sort: Sort,
}

/// Which of several things of one path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// `path`: whatever has the path.
    Any,
    /// `path()`: a function or a method.
    Function,
    /// `path!`: a macro.
    Macro,
    /// `mod@path`: a module.
    Module,
}

impl Name {
    /// `None` when the text is no path.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, sort) = if let Some(path) = text.strip_suffix("()") {
            (path, Sort::Function)
        } else if let Some(path) = text.strip_suffix('!') {
            (path, Sort::Macro)
        } else if let Some(path) = text.strip_prefix("mod@") {
            (path, Sort::Module)
        } else {
            (text, Sort::Any)
        };
        let segments: Vec<String> = path.split("::").map(str::to_owned).collect();
        segments.iter().all(|segment| is_identifier(segment)).then_some(Self { segments, sort })
    }

    /// From the crate to the item.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The path without marks.
    pub fn path(&self) -> String {
        self.segments.join("::")
    }

    /// Whether something of rustdoc's `kind` (`struct`, `fn`, `method`, …) is meant.
    pub fn fits(&self, kind: &str) -> bool {
        match self.sort {
            Sort::Any => true,
            Sort::Function => matches!(kind, "fn" | "method" | "tymethod"),
            Sort::Macro => matches!(kind, "macro" | "derive" | "attr"),
            Sort::Module => kind == "mod",
        }
    }

    /// The module that the item lies in, and the item as one says it there: `Perceptron::train` of a method. A module
    /// that is named itself, and a crate, lie in no other.
    pub fn shelf(&self) -> (String, String) {
        let is_type = |segment: &String| segment.starts_with(|c: char| c.is_ascii_uppercase());
        let count = self.segments.len();
        let own = match self.segments.iter().position(is_type) {
            Some(first) => first.min(count - 1),
            None => count - 1,
        };
        (self.segments[..own].join("::"), self.segments[own..].join("::"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        match self.sort {
            Sort::Any => write!(f, "{path}"),
            Sort::Function => write!(f, "{path}()"),
            Sort::Macro => write!(f, "{path}!"),
            Sort::Module => write!(f, "mod@{path}"),
        }
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
