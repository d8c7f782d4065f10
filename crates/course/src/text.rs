//! Tables for a terminal.
use std::io::{self, Write};

/// A table whose cells are broken at spaces into the width of their column.
pub(crate) struct Text<const N: usize> {
    widest: [usize; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Text<N> {
    /// A table with these headings and the largest widths of its columns.
    pub(crate) fn new(columns: [(&str, usize); N]) -> Self {
        Self {
            widest: columns.map(|(_, widest)| widest),
            rows: vec![columns.map(|(name, _)| name.to_string())],
        }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Writes heading, rule and rows, two spaces between columns.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<[Vec<String>; N]> =
            self.rows.iter().map(|row| std::array::from_fn(|i| broken(&row[i], self.widest[i]))).collect();
        let width = |i: usize| rows.iter().flat_map(|row| &row[i]).map(|line| line.chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|i| width(i).unwrap_or(0));
        for (at, row) in rows.iter().enumerate() {
            for line in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
                let cells: Vec<String> = (0..N)
                    .map(|i| {
                        let text = row[i].get(line).map_or("", String::as_str);
                        format!("{text}{}", " ".repeat(widths[i] - text.chars().count()))
                    })
                    .collect();
                writeln!(out, "{}", cells.join("  ").trim_end())?;
            }
            if at == 0 {
                writeln!(out, "{}", widths.map(|width| "─".repeat(width)).join("  "))?;
            }
        }
        Ok(())
    }
}

/// `text` in lines of at most `width` characters where spaces allow it.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_broken_and_columns_aligned() {
        let mut table = Text::new([("name", 10), ("claim", 12)]);
        table.row(["a".into(), "at least 86 % of digits".into()]);
        table.row(["bé".into(), String::new()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let want = "name  claim\n────  ───────────\na     at least 86\n      % of digits\nbé\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
