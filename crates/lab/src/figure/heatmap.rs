//! A matrix as cells whose strength follows their number, the number written inside.
use super::svg::{Anchor, GRID, LEADING, SERIES, Svg, TEXT, text_width};
use super::{Emphasis, FigureError, Heatmap};

const WIDTH: f64 = 640.0;
const LARGEST_CELL: f64 = 46.0;
/// The strongest fill that leaves black and white ink readable on it.
const STRONGEST: f64 = 0.62;

/// The matrix.
pub(super) fn draw(map: &Heatmap) -> Result<Svg, FigureError> {
    let (rows, columns) = (map.rows.len(), map.columns.len());
    let is_whole = map.values.len() == rows && map.values.iter().all(|row| row.len() == columns);
    if !is_whole || rows == 0 || columns == 0 {
        return Err(FigureError::Matrix { rows, columns });
    }
    if let Some(&value) = map.values.iter().flatten().find(|value| !value.is_finite()) {
        return Err(FigureError::NotFinite { name: map.row_label.clone(), value });
    }
    let names = map.rows.iter().map(|name| text_width(name)).fold(0.0, f64::max);
    let left = LEADING + 16.0 + names;
    let cell = ((WIDTH - left - 8.0) / columns as f64).min(LARGEST_CELL);
    let height = cell.min(40.0);
    let top = 2.0 * LEADING + 12.0;
    // The drawing is as wide as its cells, so that letters keep their size on the page.
    let width = left + cell * columns as f64 + 8.0;
    let mut svg = Svg::new(width, top + height * rows as f64 + 8.0);
    svg.words((left + cell * columns as f64 / 2.0, LEADING), Anchor::Middle, &map.column_label, &[]);
    svg.words_upwards((TEXT, top + height * rows as f64 / 2.0), &map.row_label);
    for (j, name) in map.columns.iter().enumerate() {
        svg.words((left + cell * (j as f64 + 0.5), top - 7.0), Anchor::Middle, name, &[]);
    }
    let strength = Strength::of(map);
    for (i, name) in map.rows.iter().enumerate() {
        let y = top + height * i as f64;
        svg.words((left - 7.0, y + height / 2.0 + TEXT * 0.35), Anchor::End, name, &[]);
        for (j, &value) in map.values[i].iter().enumerate() {
            let x = left + cell * j as f64;
            let (colour, opacity) = strength.fill(i, j, value);
            let opacity = format!("{:.2}", opacity * STRONGEST);
            let style = [("fill", colour), ("fill-opacity", opacity.as_str()), ("stroke", GRID)];
            svg.rectangle((x, y), (cell, height), &style);
            let faint = if value == 0.0 { "0.5" } else { "" };
            let text = format!("{value:.*}", map.decimals).replace('-', "−");
            let at = (x + cell / 2.0, y + height / 2.0 + TEXT * 0.35);
            svg.words(at, Anchor::Middle, &text, &[("fill-opacity", faint)]);
        }
    }
    Ok(svg)
}

/// The largest magnitudes that cells are compared with.
struct Strength {
    emphasis: Emphasis,
    diagonal: f64,
    other: f64,
}

impl Strength {
    fn of(map: &Heatmap) -> Self {
        let (mut diagonal, mut other) = (0.0_f64, 0.0_f64);
        for (i, row) in map.values.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let place =
                    if i == j && map.emphasis == Emphasis::Errors { &mut diagonal } else { &mut other };
                *place = place.max(value.abs());
            }
        }
        Self { emphasis: map.emphasis, diagonal, other }
    }

    /// Colour and strength in [0, 1] of a cell.
    fn fill(&self, i: usize, j: usize, value: f64) -> (&'static str, f64) {
        let part = |most: f64| if most > 0.0 { value.abs() / most } else { 0.0 };
        match self.emphasis {
            Emphasis::Errors if i == j => (SERIES[0], part(self.diagonal)),
            Emphasis::Errors => (SERIES[1], part(self.other)),
            Emphasis::Sign if value < 0.0 => (SERIES[0], part(self.other)),
            Emphasis::Sign => (SERIES[1], part(self.other)),
        }
    }
}
