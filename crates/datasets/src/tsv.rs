//! TSV, the format of the course's tables: UTF-8, tab-separated, one header line, no quoting.
//!
//! Each line ends with one line feed, also the last (so a file that was cut off is noticed); no field holds a tab,
//! a line feed or a carriage return. The reader is told the column names and refuses any others.
//!
//! Reading takes at most nine bytes of memory for each byte of the file: the text and one offset per field.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::tsv::Table;
//! let table = Table::parse(Path::new("hare.tsv"), b"year\thare\n1900\t30\n1901\t47.2\n", &["year", "hare"])?;
//! assert_eq!(table.text(1, "year")?, "1901");
//! assert_eq!(table.numbers("hare")?, [30.0, 47.2]);
//! let error = Table::parse(Path::new("hare.tsv"), b"year\thare\n1900\n", &["year", "hare"]).unwrap_err();
//! assert_eq!(error.to_string(), "hare.tsv, line 2: each line must have 2 fields, found 1; \
//!                                complete the line, and remove tabs inside fields");
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{At, DataError, RowLabel, Rule, shown};
use crate::gzip;

/// A table of text fields with named columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    file: PathBuf,
    columns: Vec<String>,
    text: String,
    ends: Vec<usize>, // of each field of the header and the rows; a field begins one byte after the last one's end
}

impl Table {
    /// Reads a file, unpacking it when its name ends in `.gz`; at most [`gzip::DEFAULT_LIMIT`] bytes.
    ///
    /// # Errors
    /// [`DataError::Absent`], [`DataError::Io`], or [`DataError::Format`] as [`parse`](Self::parse).
    pub fn read(path: &Path, columns: &[&str]) -> Result<Self, DataError> {
        Self::parse(path, &gzip::read_file(path, gzip::DEFAULT_LIMIT)?, columns)
    }

    /// Parses the content of a file, whose header must be `columns`, in this order. `file` is named in errors.
    ///
    /// # Errors
    /// [`DataError::Format`] with the line, the column where there is one, and one of the TSV rules of [`Rule`].
    pub fn parse(file: &Path, content: &[u8], columns: &[&str]) -> Result<Self, DataError> {
        let fail = |at: At, rule: Rule, found: String| Err(DataError::format(file, at, rule, found));
        let text = match std::str::from_utf8(content) {
            Ok(text) => text,
            Err(error) => {
                let byte = content[error.valid_up_to()];
                return fail(
                    place(&content[..error.valid_up_to()], columns),
                    Rule::Utf8,
                    format!("byte 0x{byte:02x}"),
                );
            }
        };
        if let Some(at) = text.find('\r') {
            return fail(place(&content[..at], columns), Rule::CarriageReturn, "\"\\r\"".to_owned());
        }
        if !text.ends_with('\n') {
            let line = text.rsplit('\n').next().unwrap_or_default(); // `rsplit` yields at least one piece
            return fail(At::Line(text.matches('\n').count() + 1), Rule::LastLine, shown(line));
        }
        let mut ends =
            Vec::with_capacity(content.iter().filter(|&&byte| byte == b'\t' || byte == b'\n').count());
        let mut start = 0;
        for (i, line) in text.split_terminator('\n').enumerate() {
            if i == 0 && !line.split('\t').eq(columns.iter().copied()) {
                let expected = columns.iter().map(|&name| name.to_owned()).collect();
                return fail(At::Line(1), Rule::Header { expected }, shown(line));
            }
            let fields = line.split('\t').count();
            if fields != columns.len() {
                return fail(
                    At::Line(i + 1),
                    Rule::FieldCount { columns: columns.len() },
                    fields.to_string(),
                );
            }
            for field in line.split('\t') {
                ends.push(start + field.len());
                start += field.len() + 1;
            }
        }
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Ok(Table { file: file.to_owned(), columns, text: text.to_owned(), ends })
    }

    /// Number of rows, without the header.
    pub fn len(&self) -> usize {
        self.ends.len() / self.columns.len() - 1
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column names, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The fields of row `row`, in order.
    ///
    /// # Panics
    /// When `row` is not below [`len`](Self::len); so do all methods that take a row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = &str> + '_ {
        assert!(row < self.len(), "row {row} of {}", self.len());
        (0..self.columns.len()).map(move |column| self.field(row, column))
    }

    /// The field in row `row` and column `column`.
    ///
    /// # Errors
    /// [`DataError::NoColumn`].
    pub fn text(&self, row: usize, column: &str) -> Result<&str, DataError> {
        Ok(self.field(row, self.position(column)?))
    }

    /// A column of text.
    ///
    /// # Errors
    /// [`DataError::NoColumn`].
    pub fn texts(&self, column: &str) -> Result<Vec<&str>, DataError> {
        let position = self.position(column)?;
        Ok((0..self.len()).map(|row| self.field(row, position)).collect())
    }

    /// A column of finite numbers.
    ///
    /// # Errors
    /// [`DataError::NoColumn`], or [`DataError::Format`] with [`Rule::Number`] or [`Rule::Finite`].
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, DataError> {
        let position = self.position(column)?;
        let number = |row| {
            let field = self.field(row, position);
            match field.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(number),
                Ok(_) => Err(self.error(row, position, Rule::Finite)),
                Err(_) => Err(self.error(row, position, Rule::Number)),
            }
        };
        (0..self.len()).map(number).collect()
    }

    /// A column of whole numbers of the type asked for (`u8`, `usize`, `i64` …).
    ///
    /// # Errors
    /// [`DataError::NoColumn`], or [`DataError::Format`] with [`Rule::Integer`].
    pub fn integers<I: FromStr<Err = std::num::ParseIntError>>(
        &self,
        column: &str,
    ) -> Result<Vec<I>, DataError> {
        let position = self.position(column)?;
        let integer =
            |row| self.field(row, position).parse().map_err(|_| self.error(row, position, Rule::Integer));
        (0..self.len()).map(integer).collect()
    }

    /// A column of anything that `parse` makes of a field, or of the rule that the field breaks.
    ///
    /// # Errors
    /// [`DataError::NoColumn`], or [`DataError::Format`] with the first rule that `parse` returned.
    pub fn parsed<T>(
        &self,
        column: &str,
        parse: impl Fn(&str) -> Result<T, Rule>,
    ) -> Result<Vec<T>, DataError> {
        let position = self.position(column)?;
        let value = |row| parse(self.field(row, position)).map_err(|rule| self.error(row, position, rule));
        (0..self.len()).map(value).collect()
    }

    fn position(&self, column: &str) -> Result<usize, DataError> {
        self.columns
            .iter()
            .position(|name| name == column)
            .ok_or_else(|| DataError::NoColumn { column: column.to_owned(), columns: self.columns.clone() })
    }

    fn field(&self, row: usize, column: usize) -> &str {
        let i = (row + 1) * self.columns.len() + column; // the header is stored as the first row
        &self.text[self.ends[i - 1] + 1..self.ends[i]]
    }

    fn error(&self, row: usize, column: usize, rule: Rule) -> DataError {
        let at = At::Field { line: row + 2, column: self.columns[column].clone() };
        DataError::format(&self.file, at, rule, shown(self.field(row, column)))
    }
}

/// The content of a file with these columns and rows.
///
/// # Errors
/// [`DataError::RowLength`] or [`DataError::FieldNotStorable`].
pub fn encode<R, F>(columns: &[&str], rows: impl IntoIterator<Item = R>) -> Result<String, DataError>
where
    R: AsRef<[F]>,
    F: AsRef<str>,
{
    let mut text = String::new();
    push_line(&mut text, RowLabel::Header, columns, columns)?;
    for (i, row) in rows.into_iter().enumerate() {
        let row = row.as_ref();
        if row.len() != columns.len() {
            return Err(DataError::RowLength { row: i, columns: columns.len(), fields: row.len() });
        }
        push_line(&mut text, RowLabel::Row(i), columns, row)?;
    }
    Ok(text)
}

/// Writes a file, packed when its name ends in `.gz`. A failed write leaves what was there before.
///
/// # Errors
/// Those of [`encode`], or [`DataError::Io`] when the system refuses.
pub fn write<R, F>(path: &Path, columns: &[&str], rows: impl IntoIterator<Item = R>) -> Result<(), DataError>
where
    R: AsRef<[F]>,
    F: AsRef<str>,
{
    gzip::write_file(path, encode(columns, rows)?.as_bytes())
}

fn push_line(
    text: &mut String,
    row: RowLabel,
    columns: &[&str],
    fields: &[impl AsRef<str>],
) -> Result<(), DataError> {
    for (i, (field, column)) in fields.iter().zip(columns).enumerate() {
        let field = field.as_ref();
        if field.contains(['\t', '\n', '\r']) {
            return Err(DataError::FieldNotStorable {
                row,
                column: (*column).to_owned(),
                found: shown(field),
            });
        }
        if i > 0 {
            text.push('\t');
        }
        text.push_str(field);
    }
    text.push('\n');
    Ok(())
}

/// Where the text goes on after `before`: a line, and the column when the header has a name for it.
fn place(before: &[u8], columns: &[&str]) -> At {
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let fields = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    match columns.get(fields.iter().filter(|&&byte| byte == b'\t').count()) {
        Some(column) if line > 1 => At::Field { line, column: (*column).to_owned() },
        _ => At::Line(line),
    }
}
