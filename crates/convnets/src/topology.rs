//! Whether a segmentation has as many parts and holes as the truth.
//!
//! $$ \lvert c(A) - c(B)\rvert + \lvert h(A) - h(B)\rvert $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $c$ | [`TopologyError::components`] | connected components of the cells, neighbours in a row or column |
//! | $h$ | [`TopologyError::holes`] | components of the background that no path leads out of, diagonals included |
//!
//! Two cells that merge over a bridge of one pixel change it by 1, the intersection over union by next to nothing.
//! **Not** the warping error of the U-Net paper (Jain et al. 2010), which moves borders first and counts where the topology
//! must change: this only compares numbers, so a merger here and a split there cancel. [`matched`](crate::segmentation::metrics::matched) sees both.
//! **Source**: Kong & Rosenfeld (1989), Digital topology, for the pair of connectivities.
use crate::segmentation::metrics::Connectivity;
use crate::segmentation::{Grid, SegmentationError};

/// By how much two segmentations differ in their numbers of parts and of holes.
///
/// # Examples
/// ```
/// use convnets::segmentation::Grid;
/// use convnets::topology::TopologyError;
/// let row = |cells: [u8; 5]| Grid::try_new(1, 5, cells.map(|cell| cell > 0).to_vec());
/// let error = TopologyError::between(&row([1, 1, 0, 1, 1])?, &row([1, 1, 1, 1, 1])?)?;
/// assert_eq!((error.components, error.holes, error.total()), (1, 0, 1)); // a merger
/// # Ok::<(), convnets::segmentation::SegmentationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopologyError {
    /// Difference of the numbers of connected components.
    pub components: usize,
    /// Difference of the numbers of holes.
    pub holes: usize,
}

impl TopologyError {
    /// The error of `found` where the cells are `truth`.
    ///
    /// # Errors
    /// [`SegmentationError::Sizes`] when the pictures differ in size.
    pub fn between(truth: &Grid<bool>, found: &Grid<bool>) -> Result<Self, SegmentationError> {
        let (first, second) = ((truth.height, truth.width), (found.height, found.width));
        if first != second {
            return Err(SegmentationError::Sizes { first, second });
        }
        let [truth, found] = [truth, found].map(|grid| (components(grid), holes(grid)));
        Ok(Self { components: truth.0.abs_diff(found.0), holes: truth.1.abs_diff(found.1) })
    }

    /// Their sum: one number to rank by.
    pub const fn total(self) -> usize {
        self.components + self.holes
    }
}

/// Connected components of the cells; pixels that only touch at a corner are apart.
pub fn components(is_cell: &Grid<bool>) -> usize {
    parts(is_cell, true, Connectivity::Four).count()
}

/// Holes: components of the background that do not reach the border of the picture. A diagonal gap is a way out.
///
/// ```
/// use convnets::segmentation::Grid;
/// let ring = [1, 1, 1, 1, 0, 1, 1, 1, 1].map(|cell| cell > 0).to_vec();
/// assert_eq!(convnets::topology::holes(&Grid::try_new(3, 3, ring)?), 1);
/// # Ok::<(), convnets::segmentation::SegmentationError>(())
/// ```
pub fn holes(is_cell: &Grid<bool>) -> usize {
    parts(is_cell, false, Connectivity::Eight).filter(|reaches_border| !reaches_border).count()
}

/// For each component of pixels that are `of`, whether it reaches the border.
fn parts(grid: &Grid<bool>, of: bool, connectivity: Connectivity) -> impl Iterator<Item = bool> {
    let (height, width) = (grid.height as i64, grid.width as i64);
    let mut seen = grid.map(|value| value != of).values;
    (0..seen.len()).filter_map(move |start| {
        if std::mem::replace(&mut seen[start], true) {
            return None;
        }
        let (mut open, mut reaches_border) = (vec![start as i64], false);
        while let Some(pixel) = open.pop() {
            let (row, column) = (pixel / width, pixel % width);
            for (down, across) in (-1..=1).flat_map(|down| (-1..=1).map(move |across| (down, across))) {
                let (y, x) = (row + down, column + across);
                let touches = connectivity == Connectivity::Eight || down == 0 || across == 0;
                if !(0..height).contains(&y) || !(0..width).contains(&x) {
                    reaches_border = true;
                } else if touches && !std::mem::replace(&mut seen[(y * width + x) as usize], true) {
                    open.push(y * width + x);
                }
            }
        }
        Some(reaches_border)
    })
}
