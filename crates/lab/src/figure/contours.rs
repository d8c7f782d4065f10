//! Lines of equal value of a function of two variables.
use std::collections::BTreeMap;

/// Cells of the grid in each direction: a line is straight inside of a cell.
const CELLS: usize = 120;

/// The lines on which `f` has each of the values `levels`, for [`Plot::faint`](super::Plot::faint).
///
/// Marching squares (Lorensen and Cline 1987, in the plane) on a grid of 120 by 120 cells: `f` is taken to be linear
/// along the edges of cells, so what is smaller than a cell is lost. A line that does not leave the rectangle ends
/// where it began. Cells where `f` is not finite have no lines.
///
/// # Examples
/// ```
/// use lab::{Axis, Plot, contours};
/// let bowl = contours((-2.0, 2.0), (-1.0, 1.0), &[0.5, 2.0, 5.0], |x, y| x * x + 4.0 * y * y);
/// assert_eq!(bowl.len(), 6); // the frame cuts the outermost line into four
/// let plot = Plot::new(Axis::linear("x"), Axis::linear("y")).faint(bowl);
/// assert_eq!(plot.marks.len(), 1);
/// ```
///
/// # Complexity
/// 14,641 evaluations of `f`, and O(points of the lines · log) for each level.
pub fn contours(
    x: (f64, f64),
    y: (f64, f64),
    levels: &[f64],
    f: impl Fn(f64, f64) -> f64,
) -> Vec<Vec<(f64, f64)>> {
    let along = |(low, high): (f64, f64), i: usize| low + (high - low) * i as f64 / CELLS as f64;
    let corner = |i: usize, j: usize| (along(x, i), along(y, j));
    let values: Vec<Vec<f64>> = (0..=CELLS)
        .map(|j| {
            (0..=CELLS)
                .map(|i| {
                    let (x, y) = corner(i, j);
                    f(x, y)
                })
                .collect()
        })
        .collect();
    levels.iter().flat_map(|&level| lines_at(level, &values, &corner)).collect()
}

/// An edge of the grid: its left or lower corner, and whether it goes up.
type Edge = (usize, usize, bool);

fn lines_at(
    level: f64,
    values: &[Vec<f64>],
    corner: &impl Fn(usize, usize) -> (f64, f64),
) -> Vec<Vec<(f64, f64)>> {
    let mut neighbours: BTreeMap<Edge, Vec<Edge>> = BTreeMap::new();
    for j in 0..CELLS {
        for i in 0..CELLS {
            let corners = [values[j][i], values[j][i + 1], values[j + 1][i + 1], values[j + 1][i]];
            if corners.iter().any(|value| !value.is_finite()) {
                continue;
            }
            let edges = [(i, j, false), (i + 1, j, true), (i, j + 1, false), (i, j, true)];
            let is_above = corners.map(|value| value >= level);
            let crossed: Vec<Edge> =
                (0..4).filter(|&k| is_above[k] != is_above[(k + 1) % 4]).map(|k| edges[k]).collect();
            // A saddle: the middle says which corners belong together.
            let middle_is_above = corners.iter().sum::<f64>() / 4.0 >= level;
            let pairs = match crossed[..] {
                [a, b] => vec![(a, b)],
                [a, b, c, d] if middle_is_above == is_above[0] => vec![(a, b), (c, d)],
                [a, b, c, d] => vec![(d, a), (b, c)],
                _ => Vec::new(),
            };
            for (a, b) in pairs {
                neighbours.entry(a).or_default().push(b);
                neighbours.entry(b).or_default().push(a);
            }
        }
    }
    let place = |(i, j, goes_up): Edge| {
        let (k, l) = if goes_up { (i, j + 1) } else { (i + 1, j) };
        let ((x, y), (to_x, to_y)) = (corner(i, j), corner(k, l));
        let part = (level - values[j][i]) / (values[l][k] - values[j][i]);
        (x + part * (to_x - x), y + part * (to_y - y))
    };
    // First the lines that end at the frame, from one end; what remains is closed.
    let ends: Vec<Edge> =
        neighbours.iter().filter(|(_, next)| next.len() == 1).map(|(edge, _)| *edge).collect();
    let mut lines = Vec::new();
    for start in ends {
        lines.extend(walk(start, &mut neighbours));
    }
    while let Some(&start) = neighbours.keys().next() {
        lines.extend(walk(start, &mut neighbours).map(|mut line| {
            line.push(start);
            line
        }));
    }
    lines.into_iter().map(|line| line.into_iter().map(place).collect()).collect()
}

/// Takes the line that begins at `start` out of the map.
fn walk(start: Edge, neighbours: &mut BTreeMap<Edge, Vec<Edge>>) -> Option<Vec<Edge>> {
    let mut next = neighbours.remove(&start)?;
    let mut line = vec![start];
    while let Some(edge) = next.into_iter().find(|edge| neighbours.contains_key(edge)) {
        line.push(edge);
        next = neighbours.remove(&edge).unwrap_or_default();
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_closed_and_round() {
        let lines = contours((-2.0, 2.0), (-2.0, 2.0), &[0.25, 1.0], |x, y| x * x + y * y);
        assert_eq!(lines.len(), 2);
        for (line, radius) in lines.iter().zip([0.5, 1.0]) {
            assert_eq!(line.first(), line.last());
            // Linear along an edge of 0.033: at most 0.033² / (8 · 0.5) inside of the circle.
            let worst = line.iter().map(|(x, y)| (x.hypot(*y) - radius).abs()).fold(0.0, f64::max);
            assert!(worst < 3e-4, "radius {radius}: {worst}");
            let length: f64 =
                line.windows(2).map(|pair| (pair[0].0 - pair[1].0).hypot(pair[0].1 - pair[1].1)).sum();
            let round = std::f64::consts::TAU * radius;
            assert!((length - round).abs() < 0.01 * round, "{length} around radius {radius}");
        }
    }

    #[test]
    fn a_plane_has_straight_lines_from_edge_to_edge() {
        let lines = contours((0.0, 1.0), (0.0, 1.0), &[0.3, 5.0], |x, _| x);
        assert_eq!(lines.len(), 1, "the level 5 is outside");
        assert_eq!(lines[0].len(), CELLS + 1);
        assert!(lines[0].iter().all(|point| (point.0 - 0.3).abs() < 1e-12));
    }

    #[test]
    fn both_sides_of_a_saddle_stay_apart() {
        for (level, sign) in [(1e-4, 1.0), (-1e-4, -1.0)] {
            let lines = contours((-1.0, 1.01), (-1.0, 1.01), &[level], |x, y| x * y);
            assert_eq!(lines.len(), 2, "level {level}");
            for line in lines {
                let side = line[0].0.signum();
                assert!(line.iter().all(|&(x, y)| x * side >= 0.0 && y * side * sign >= 0.0), "{line:?}");
            }
        }
    }

    #[test]
    fn cells_without_a_value_have_no_lines() {
        let lines = contours((-1.0, 1.0), (-1.0, 1.0), &[0.5], |x, y| if x < 0.0 { f64::NAN } else { x + y });
        assert!(!lines.is_empty() && lines.iter().flatten().all(|&(x, y)| x >= 0.0 && y.is_finite()));
    }
}
