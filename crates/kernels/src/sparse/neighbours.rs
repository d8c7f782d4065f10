//! Graphs from points: nearest neighbours, and all pairs within a radius.
use super::{Pattern, SparseError};
use crate::simd::{Body, simd};
use crate::{Real, pool};
use std::collections::HashMap;

/// Points of a part of a search.
const PART: usize = 32;
/// Coordinates up to which a radius search cuts space into cells.
const CELLS: usize = 3;

/// Entry (i, j) for each of the `k` points j nearest to point i, itself left out: row i holds k columns. Of two equally
/// near points the one with the lower index counts as nearer. The pattern is not symmetric in general.
///
/// `points` holds one point after the other, `features` coordinates each.
///
/// ```
/// let line = kernels::sparse::knn_graph(&[0.0_f32, 1.0, 3.0, 3.5], 1, 1).unwrap();
/// assert_eq!(line.columns(), [1, 0, 3, 2]);
/// ```
///
/// **Complexity**: O(n² · features) time, O(n) memory for each thread beside the points and the result; exact.
///
/// # Errors
/// [`SparseError::PointLength`], [`SparseError::NonFinitePoint`], [`SparseError::TooFewPoints`] unless k < n, and
/// [`SparseError::TooLarge`].
pub fn knn_graph<E: Real>(points: &[E], features: usize, k: usize) -> Result<Pattern, SparseError> {
    let n = check_points(points, features)?;
    if k > 0 && k >= n {
        return Err(SparseError::TooFewPoints { neighbours: k, points: n });
    }
    let transposed = transpose(points, features, n);
    let mut columns = vec![0_u32; n * k];
    pool::chunks_mut(&mut columns, (PART * k).max(1), |start, columns| {
        let mut distances = vec![E::zero(); n];
        let mut order: Vec<u32> = Vec::with_capacity(n);
        for (columns, point) in columns.chunks_exact_mut(k).zip(start / k..) {
            E::distances(&points[point * features..][..features], &transposed, &mut distances);
            order.clear();
            order.extend((0..n as u32).filter(|&j| j as usize != point));
            let nearer = |&a: &u32, &b: &u32| {
                let (x, y) = (distances[a as usize], distances[b as usize]);
                x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(&b))
            };
            if k < order.len() {
                order.select_nth_unstable_by(k - 1, nearer);
            }
            columns.copy_from_slice(&order[..k]);
            columns.sort_unstable();
        }
    });
    Pattern::try_new(n, n, (0..=n).map(|row| row * k).collect(), columns)
}

/// Entry (i, j) for all points i ≠ j at a distance of at most `radius`: a symmetric pattern.
///
/// `points` holds one point after the other, `features` coordinates each.
///
/// ```
/// let line = kernels::sparse::radius_graph(&[0.0_f32, 1.0, 3.0], 1, 2.0).unwrap();
/// assert_eq!(line.row(1), [0, 2]);
/// ```
///
/// **Complexity**: O(n + pairs of points in adjacent cells) with up to three coordinates, O(n²) with more; exact.
///
/// # Errors
/// [`SparseError::PointLength`], [`SparseError::NonFinitePoint`], [`SparseError::RadiusOutOfRange`] and
/// [`SparseError::TooLarge`].
pub fn radius_graph<E: Real>(points: &[E], features: usize, radius: E) -> Result<Pattern, SparseError> {
    let n = check_points(points, features)?;
    if !(radius > E::zero() && radius.is_finite()) {
        return Err(SparseError::RadiusOutOfRange { radius: radius.as_f64() });
    }
    let point = |i: usize| &points[i * features..][..features];
    let is_near = |i: usize, j: usize| distance(point(i), point(j)) <= radius * radius;
    let cells =
        if features <= CELLS { Some(Cells::new(points, features, 1.0001 * radius.as_f64())) } else { None };
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); n];
    pool::chunks_mut(&mut rows, PART, |start, rows| {
        for (row, i) in rows.iter_mut().zip(start..) {
            match &cells {
                Some(cells) => {
                    cells.around(point(i), |j| {
                        if j as usize != i && is_near(i, j as usize) {
                            row.push(j);
                        }
                    });
                    row.sort_unstable();
                }
                None => row.extend((0..n as u32).filter(|&j| j as usize != i && is_near(i, j as usize))),
            }
        }
    });
    let mut starts = vec![0];
    for row in &rows {
        starts.push(starts[starts.len() - 1] + row.len());
    }
    Pattern::try_new(n, n, starts, rows.concat())
}

fn check_points<E: Real>(points: &[E], features: usize) -> Result<usize, SparseError> {
    if features == 0 || !points.len().is_multiple_of(features) {
        return Err(SparseError::PointLength { elements: points.len(), features });
    }
    match points.iter().position(|x| !x.is_finite()) {
        Some(element) => Err(SparseError::NonFinitePoint { point: element / features }),
        None => Ok(points.len() / features),
    }
}

fn distance<E: Real>(x: &[E], y: &[E]) -> E {
    x.iter().zip(y).fold(E::zero(), |sum, (&x, &y)| sum + (x - y) * (x - y))
}

/// Space cut into cubes with edges a little longer than the radius, so that neighbours lie in adjacent cubes even when
/// a quotient is rounded across a border.
struct Cells {
    edge: f64,
    members: HashMap<[i64; CELLS], Vec<u32>>,
}

impl Cells {
    fn new<E: Real>(points: &[E], features: usize, edge: f64) -> Self {
        let mut members: HashMap<[i64; CELLS], Vec<u32>> = HashMap::new();
        for (i, point) in points.chunks_exact(features).enumerate() {
            members.entry(Self::cell(point, edge)).or_default().push(i as u32);
        }
        Self { edge, members }
    }

    /// Points so far out that rounding reaches the margin share the last cell; their neighbours are there too.
    fn cell<E: Real>(point: &[E], edge: f64) -> [i64; CELLS] {
        let mut cell = [0; CELLS];
        for (cell, x) in cell.iter_mut().zip(point) {
            *cell = (x.as_f64() / edge).floor().clamp(-1e11, 1e11) as i64;
        }
        cell
    }

    /// Every point of the cell of `point` and of those around it.
    fn around<E: Real>(&self, point: &[E], mut visit: impl FnMut(u32)) {
        let own = Self::cell(point, self.edge);
        let mut offsets = [[0; CELLS]; 27];
        let count = 3_usize.pow(point.len() as u32);
        for (number, offset) in offsets.iter_mut().take(count).enumerate() {
            let mut rest = number;
            for offset in offset.iter_mut().take(point.len()) {
                *offset = (rest % 3) as i64 - 1;
                rest /= 3;
            }
        }
        for offset in &offsets[..count] {
            let mut cell = own;
            for (cell, offset) in cell.iter_mut().zip(offset) {
                *cell += offset;
            }
            if let Some(members) = self.members.get(&cell) {
                members.iter().copied().for_each(&mut visit);
            }
        }
    }
}

/// Coordinates first: `(features, n)`.
fn transpose<E: Real>(points: &[E], features: usize, n: usize) -> Vec<E> {
    (0..features).flat_map(|f| (0..n).map(move |i| points[i * features + f])).collect()
}

/// Squared distances of one point from all.
pub trait Distances: Sized {
    /// `transposed` holds the coordinates of all points, coordinate after coordinate.
    fn distances(point: &[Self], transposed: &[Self], out: &mut [Self]);
}

struct FromAll<'a, E>(&'a [E], &'a [E], &'a mut [E]);
impl<E: Real> Body for FromAll<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(point, transposed, out) = self;
        out.fill(E::zero());
        for (&x, all) in point.iter().zip(transposed.chunks_exact(out.len())) {
            for (out, &y) in out.iter_mut().zip(all) {
                let d = x - y;
                *out = d.mul_add(d, *out);
            }
        }
    }
}

impl Distances for f32 {
    fn distances(point: &[f32], transposed: &[f32], out: &mut [f32]) {
        simd(FromAll(point, transposed, out))
    }
}
impl Distances for f64 {
    fn distances(point: &[f64], transposed: &[f64], out: &mut [f64]) {
        simd(FromAll(point, transposed, out))
    }
}
