//! Banded matrices: linear maps of one axis, of which each output sees a few neighbouring inputs.
use super::{Edge, Filling};
use crate::Error;
use crate::shape::Taps;

/// A matrix `(outputs, inputs)` of which each row holds its non-zero numbers in one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    inputs: usize,
    rows: Vec<Run>,
    weights: Vec<f64>,
}

/// One row: its first input, and where its weights stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    pub start: usize,
    pub from: usize,
    pub to: usize,
}

/// How a bilinear map lays the grid of outputs over that of inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corners {
    /// Pixels are squares and the outer edges coincide: position $(i + \tfrac12)\,N/O - \tfrac12$, held inside.
    #[default]
    Edges,
    /// Pixels are points and the first and last coincide: position $i\,(N - 1)/(O - 1)$. PyTorch's `align_corners`.
    Centres,
}

/// What an average over a window that reaches into the padding is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountPadding {
    /// All positions inside the padded axis: zeros count. PyTorch's default.
    #[default]
    Included,
    /// The positions inside the axis.
    Excluded,
}

impl Band {
    fn of_rows(inputs: usize, rows: impl Iterator<Item = (usize, Vec<f64>)>) -> Self {
        let mut band = Self { inputs, rows: Vec::new(), weights: Vec::new() };
        for (start, weights) in rows {
            let from = band.weights.len();
            band.weights.extend(weights);
            band.rows.push(Run { start, from, to: band.weights.len() });
        }
        band
    }

    /// The axis as it is.
    pub(crate) fn identity(extent: usize) -> Self {
        Self::of_rows(extent, (0..extent).map(|i| (i, vec![1.0])))
    }

    /// The axis with a border.
    pub(crate) fn border(filling: Filling, edge: Edge) -> Self {
        let shown = |i| filling.shown(edge, i).map_or((0, vec![]), |position| (position, vec![1.0]));
        Self::of_rows(edge.extent, (0..edge.padded()).map(shown))
    }

    /// The mean over the whole axis.
    pub(crate) fn mean(extent: usize) -> Result<Self, Error> {
        Self::adaptive(extent, 1)
    }

    /// Means over the `outputs` windows $\lfloor iN/O \rfloor .. \lceil (i+1)N/O \rceil$, which overlap when $O$ does
    /// not divide $N$.
    pub(crate) fn adaptive(extent: usize, outputs: usize) -> Result<Self, Error> {
        not_empty(extent, outputs)?;
        Ok(Self::of_rows(
            extent,
            (0..outputs).map(|i| {
                let (start, end) = (i * extent / outputs, ((i + 1) * extent).div_ceil(outputs));
                (start, vec![1.0 / (end - start) as f64; end - start])
            }),
        ))
    }

    /// Means over `outputs` windows.
    pub(crate) fn windows(extent: usize, taps: Taps, outputs: usize, count: CountPadding) -> Self {
        let Taps { kernel, stride, padding, dilation } = taps;
        Self::of_rows(
            extent,
            (0..outputs).map(|o| {
                // Positions along the padded axis; only those inside the axis have a weight.
                let positions = (0..kernel).map(|k| o * stride + k * dilation);
                let inside = |p: &usize| (padding..padding + extent).contains(p);
                let counted = match count {
                    CountPadding::Included => positions.clone().filter(|&p| p < extent + 2 * padding).count(),
                    CountPadding::Excluded => positions.clone().filter(inside).count(),
                };
                let hits: Vec<usize> = positions.filter(inside).map(|p| p - padding).collect();
                let (Some(&first), Some(&last)) = (hits.first(), hits.last()) else { return (0, vec![]) };
                let mut weights = vec![0.0; last + 1 - first];
                hits.iter().for_each(|hit| weights[hit - first] = 1.0 / counted as f64);
                (first, weights)
            }),
        )
    }

    /// The input at $\lfloor iN/O \rfloor$.
    pub(crate) fn nearest(extent: usize, outputs: usize) -> Result<Self, Error> {
        not_empty(extent, outputs)?;
        Ok(Self::of_rows(extent, (0..outputs).map(|i| (i * extent / outputs, vec![1.0]))))
    }

    /// The two inputs around each position, weighted by nearness.
    pub(crate) fn linear(extent: usize, outputs: usize, corners: Corners) -> Result<Self, Error> {
        not_empty(extent, outputs)?;
        let (n, o) = (extent as f64, outputs as f64);
        Ok(Self::of_rows(
            extent,
            (0..outputs).map(|i| {
                let position = match corners {
                    Corners::Edges => ((i as f64 + 0.5) * n / o - 0.5).max(0.0),
                    Corners::Centres if outputs == 1 => 0.0,
                    Corners::Centres => i as f64 * (n - 1.0) / (o - 1.0),
                };
                let lower = (position as usize).min(extent - 1);
                let part = position - lower as f64;
                if lower + 1 == extent { (lower, vec![1.0]) } else { (lower, vec![1.0 - part, part]) }
            }),
        ))
    }

    /// Columns: length of the axis before.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows: length of the axis after.
    pub fn outputs(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn rows(&self) -> &[Run] {
        &self.rows
    }

    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The matrix with rows and columns exchanged. Runs begin and end in order, so it is banded too.
    pub(crate) fn transposed(&self) -> Self {
        let columns = (0..self.inputs).map(|input| {
            let sees = |run: &Run| (run.start..run.start + (run.to - run.from)).contains(&input);
            let first = self.rows.iter().position(sees).unwrap_or(0);
            let last = self.rows.iter().rposition(sees);
            let weights = last.map_or(vec![], |last| {
                let weight = |run: &Run| {
                    if sees(run) { self.weights[run.from + input - run.start] } else { 0.0 }
                };
                self.rows[first..=last].iter().map(weight).collect()
            });
            (first, weights)
        });
        Self::of_rows(self.rows.len(), columns)
    }

    /// All elements in row-major order.
    pub(crate) fn dense(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.outputs() * self.inputs];
        for (row, run) in dense.chunks_exact_mut(self.inputs.max(1)).zip(&self.rows) {
            row[run.start..run.start + (run.to - run.from)].copy_from_slice(&self.weights[run.from..run.to]);
        }
        dense
    }
}

/// Neither axis may be empty.
fn not_empty(extent: usize, outputs: usize) -> Result<(), Error> {
    match (extent, outputs) {
        (0, _) => Err(Error::WindowTooLong { extent, padding: 0, span: 1 }),
        (_, 0) => Err(Error::NoOutputs { extent }),
        _ => Ok(()),
    }
}
