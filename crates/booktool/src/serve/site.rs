//! The rendered book in memory.
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of rendered pages, by their path with `/` between the parts: a complete copy, or their names alone.
#[derive(Debug, Default)]
pub struct Site {
    files: BTreeMap<String, File>,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
enum File {
    /// In memory.
    Kept(Arc<[u8]>),
    /// On the disk, where they are read when they are asked for.
    Named(PathBuf),
}

impl File {
    /// `None` when the file is no more.
    fn bytes(&self) -> Option<Arc<[u8]>> {
        match self {
            Self::Kept(bytes) => Some(Arc::clone(bytes)),
            Self::Named(path) => fs::read(path).ok().map(Into::into),
        }
    }
}

/// What a decoded request path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A file: its media type and its bytes.
    File(&'static str, Arc<[u8]>),
    /// A folder that was asked for without its final `/`: the path of its page.
    Folder(String),
    /// Nothing of that name.
    Nothing,
}

impl Site {
    /// Reads every regular file below `folder`; symbolic links are left out.
    ///
    /// # Errors
    /// When a folder or file cannot be read, with its path.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut site = Self::default();
        site.read(folder, "", &|path| {
            let bytes = fs::read(&path).with_context(|| format!("file {}", path.display()))?;
            Ok(File::Kept(bytes.into()))
        })?;
        Ok(site)
    }

    /// The names of the same files, which stay on the disk: for what is large and hardly read.
    ///
    /// # Errors
    /// When a folder cannot be read, with its path.
    pub fn list(folder: &Path) -> Result<Self> {
        let mut site = Self::default();
        site.read(folder, "", &|path| Ok(File::Named(path)))?;
        Ok(site)
    }

    fn read(&mut self, folder: &Path, prefix: &str, take: &dyn Fn(PathBuf) -> Result<File>) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))? {
            let entry = entry.with_context(|| format!("folder {}", folder.display()))?;
            let path = entry.path();
            // A name that is not UTF-8 cannot stand in a link.
            let Some(name) = entry.file_name().to_str().map(|n| format!("{prefix}{n}")) else { continue };
            let kind = entry.file_type().with_context(|| format!("file {}", path.display()))?;
            if kind.is_dir() {
                self.read(&path, &format!("{name}/"), take)?;
            } else if kind.is_file() {
                self.files.insert(name, take(path)?);
            }
        }
        Ok(())
    }

    /// Every file name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The text of the file called `name`; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, name: &str) -> Option<String> {
        self.files.get(name)?.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Changes the text of every page.
    pub fn edit(&mut self, edit: impl Fn(&str) -> String) {
        for (_, file) in self.files.iter_mut().filter(|(name, _)| name.ends_with(".html")) {
            if let Some(text) = file.bytes().as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
                *file = File::Kept(edit(text).into_bytes().into());
            }
        }
    }

    /// Looks a decoded request path up, `/` and `/folder/` meaning their `index.html`.
    ///
    /// The path is only ever compared with the names of [`Site::load`]: `..`, a second `/`, a backslash or NUL are
    /// in no name, so that they are never found.
    pub fn find(&self, path: &str) -> Found {
        let Some(name) = path.strip_prefix('/') else { return Found::Nothing };
        let page = match name {
            "" => "index.html".to_owned(),
            folder if folder.ends_with('/') => format!("{folder}index.html"),
            file => file.to_owned(),
        };
        if let Some(file) = self.files.get(&page) {
            return file.bytes().map_or(Found::Nothing, |bytes| Found::File(media_type(&page), bytes));
        }
        if !page.is_empty() && self.files.contains_key(&format!("{page}/index.html")) {
            return Found::Folder(format!("/{page}/"));
        }
        Found::Nothing
    }
}

/// Media type by the file's extension.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, e)| e);
    match extension.to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "otf" => "font/otf",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "epub" => "application/epub+zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_folder_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let book = folder.path().join("book");
        fs::create_dir_all(book.join("part")).unwrap();
        fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        fs::write(book.join("index.html"), "start").unwrap();
        fs::write(book.join("part/index.html"), "part").unwrap();
        fs::write(book.join("part/a.PNG"), [0, 159]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("secret.txt"), book.join("link.txt")).unwrap();

        let site = Site::load(&book).unwrap();
        assert_eq!(site.names().collect::<Vec<_>>(), ["index.html", "part/a.PNG", "part/index.html"]);
        let html = "text/html; charset=utf-8";
        assert_eq!(site.find("/"), Found::File(html, Arc::from(&b"start"[..])));
        assert_eq!(site.find("/part/"), Found::File(html, Arc::from(&b"part"[..])));
        assert_eq!(site.find("/part"), Found::Folder("/part/".into()));
        assert_eq!(site.find("/part/a.PNG"), Found::File("image/png", Arc::from(&[0, 159][..])));
        for path in
            ["", "index.html", "//index.html", "/../secret.txt", "/part/../index.html", "/link.txt", "/no"]
        {
            assert_eq!(site.find(path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn a_missing_folder_is_an_error_with_its_path() {
        let error = Site::load(Path::new("no/such/book")).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/book"), "{error:#}");
    }
}
