//! CSV as RFC 4180 defines it: commas, optional quotes, one header line.
//!
//! A field in quotes may hold commas, line ends and, doubled, quotes. Lines end with a line feed, with or without a
//! carriage return before it; the last may lack it. All lines have as many fields as the header. The course's own
//! tables are [TSV](crate::tsv); this reader is for tables that others publish.
//!
//! Reading takes one copy of the file and one string for each field.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::csv::Csv;
//! let text = b"smiles,name,log_s\r\nCCO,\"ethanol, pure\",1.1\r\n";
//! let table = Csv::parse(Path::new("esol.csv"), text)?;
//! assert_eq!(table.texts("name")?, ["ethanol, pure"]);
//! assert_eq!(table.numbers("log_s")?, [1.1]);
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::path::{Path, PathBuf};

use crate::error::{At, DataError, Rule, shown};
use crate::gzip;

/// A table of text fields whose columns have the names of its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    file: PathBuf,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    lines: Vec<usize>, // on which each row begins
}

impl Csv {
    /// Reads a file, unpacking it when its name ends in `.gz`; at most [`gzip::DEFAULT_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`DataError::Absent`], [`DataError::Io`], or [`DataError::Format`] as [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::parse(path, &gzip::read_file(path, gzip::DEFAULT_LIMIT)?)
    }

    /// Parses the content of a file. `file` is named in errors.
    ///
    /// # Errors
    /// [`DataError::Format`] with the line and [`Rule::Utf8`], [`Rule::Quote`], [`Rule::HeaderLine`] or
    /// [`Rule::FieldCount`].
    pub fn parse(file: &Path, content: &[u8]) -> Result<Self, DataError> {
        let fail = |line, rule, found: String| Err(DataError::format(file, At::Line(line), rule, found));
        let text = match std::str::from_utf8(content) {
            Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
            Err(error) => {
                let before = &content[..error.valid_up_to()];
                let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
                return fail(line, Rule::Utf8, format!("byte 0x{:02x}", content[error.valid_up_to()]));
            }
        };
        let (mut records, mut lines) = (Vec::new(), Vec::new());
        let (mut rest, mut line) = (text, 1);
        while !rest.is_empty() {
            lines.push(line);
            let mut record = Vec::new();
            loop {
                let (field, after) = match field(rest) {
                    Some(parts) => parts,
                    None => return fail(line, Rule::Quote, shown(rest)),
                };
                line += field.matches('\n').count();
                record.push(field);
                match after.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => {
                        let end = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n'));
                        rest = match end {
                            Some(next) => next,
                            None if after.is_empty() => after,
                            None => return fail(line, Rule::Quote, shown(after)),
                        };
                        line += 1;
                        break;
                    }
                }
            }
            records.push(record);
        }
        let mut records = records.into_iter();
        let Some(columns) = records.next() else {
            return fail(1, Rule::HeaderLine, "no line".to_owned());
        };
        if let Some(name) =
            columns.iter().enumerate().find_map(|(i, name)| columns[..i].contains(name).then_some(name))
        {
            return fail(1, Rule::HeaderLine, shown(name));
        }
        let rows: Vec<Vec<String>> = records.collect();
        lines.remove(0);
        for (row, &line) in rows.iter().zip(&lines) {
            if row.len() != columns.len() {
                return fail(line, Rule::FieldCount { columns: columns.len() }, row.len().to_string());
            }
        }
        Ok(Csv { file: file.to_owned(), columns, rows, lines })
    }

    /// Number of rows, without the header.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The column names, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// A column of text.
    ///
    /// # Errors
    /// [`DataError::NoColumn`].
    pub fn texts(&self, column: &str) -> Result<Vec<&str>, DataError> {
        let position = self.position(column)?;
        Ok(self.rows.iter().map(|row| row[position].as_str()).collect())
    }

    /// A column of finite numbers.
    ///
    /// # Errors
    /// [`DataError::NoColumn`], or [`DataError::Format`] with [`Rule::Number`] or [`Rule::Finite`].
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, DataError> {
        let position = self.position(column)?;
        let number = |(row, &line): (&Vec<String>, &usize)| {
            let field = row[position].as_str();
            let rule = match field.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => return Ok(number),
                Ok(_) => Rule::Finite,
                Err(_) => Rule::Number,
            };
            let at = At::Field { line, column: column.to_owned() };
            Err(DataError::format(&self.file, at, rule, shown(field)))
        };
        self.rows.iter().zip(&self.lines).map(number).collect()
    }

    fn position(&self, column: &str) -> Result<usize, DataError> {
        let found = self.columns.iter().position(|name| name == column);
        found.ok_or_else(|| DataError::NoColumn { column: column.to_owned(), columns: self.columns.clone() })
    }
}

/// The first field of `rest` and what follows it; `None` when its quotes are not closed or stand inside of it.
fn field(rest: &str) -> Option<(String, &str)> {
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        let end = if rest[end..].starts_with('\n') && rest[..end].ends_with('\r') { end - 1 } else { end };
        let plain = &rest[..end];
        return (!plain.contains('"')).then(|| (plain.to_owned(), &rest[end..]));
    };
    let mut field = String::new();
    loop {
        let (before, after) = quoted.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                quoted = next;
            }
            None => return Some((field, after)),
        }
    }
}

/// The content of a file with these columns and rows; fields are quoted where they must be.
///
/// # Errors
/// [`DataError::RowLength`].
pub fn encode<R, F>(columns: &[&str], rows: impl IntoIterator<Item = R>) -> Result<String, DataError>
where
    R: AsRef<[F]>,
    F: AsRef<str>,
{
    let mut text = String::new();
    push_line(&mut text, columns);
    for (i, row) in rows.into_iter().enumerate() {
        let row = row.as_ref();
        if row.len() != columns.len() {
            return Err(DataError::RowLength { row: i, columns: columns.len(), fields: row.len() });
        }
        push_line(&mut text, row);
    }
    Ok(text)
}

fn push_line(text: &mut String, fields: &[impl AsRef<str>]) {
    for (i, field) in fields.iter().enumerate() {
        let field = field.as_ref();
        if i > 0 {
            text.push(',');
        }
        // An empty field alone on a line would be an empty line; a byte-order mark would be taken for the file's.
        if field.contains(['"', ',', '\n', '\r', '\u{FEFF}']) || fields.len() == 1 && field.is_empty() {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push_str("\r\n");
}
