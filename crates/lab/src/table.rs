//! A table that the book prints as it is.
use serde::{Deserialize, Serialize};

/// Rows of text under column names; a field of a report, shown by `{{table NAME.report.FIELD}}`.
///
/// Numbers are formatted by whoever fills the table, with as many digits as their spread allows.
///
/// # Examples
/// ```
/// let mut table = lab::Table::new(["method", "test accuracy"]);
/// table.row(["nearest class mean", "0.801"]);
/// assert_eq!(table.rows.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Column names, left to right.
    pub columns: Vec<String>,
    /// Cells row by row, each row as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { columns: columns.map(String::from).to_vec(), rows: Vec::new() }
    }

    /// Appends a row.
    ///
    /// # Panics
    /// When the row does not have one cell per column: the call is wrong, not its data.
    pub fn row<S: Into<String>, const N: usize>(&mut self, cells: [S; N]) -> &mut Self {
        assert_eq!(N, self.columns.len(), "a row needs one cell per column");
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }
}
