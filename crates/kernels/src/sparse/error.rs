//! What can be wrong with a sparse matrix or its operands.
use crate::DeviceError;

/// Failure of an operation on sparse matrices or graphs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SparseError {
    /// Compressed rows need one start for each row and one more.
    #[error(
        "{starts} starts were given for {rows} rows; give one for each row and the number of entries at the end"
    )]
    StartsLength {
        /// Number of starts given.
        starts: usize,
        /// Number of rows.
        rows: usize,
    },
    /// The starts of rows must not fall, begin at 0 and end at the number of entries.
    #[error(
        "row {row} starts at {start}; starts begin at 0, never fall and end at the number of entries, {entries}"
    )]
    StartsNotMonotone {
        /// The row whose start is wrong.
        row: usize,
        /// Its start.
        start: usize,
        /// Number of entries.
        entries: usize,
    },
    /// An entry lies below the last row.
    #[error("edge {index} lies in row {row} of a matrix with {rows} rows; rows count from 0")]
    RowOutOfRange {
        /// Place in the list of edges.
        index: usize,
        /// The offending row.
        row: u32,
        /// Number of rows.
        rows: usize,
    },
    /// An entry lies beyond the last column.
    #[error("row {row} has an entry in column {column} of {columns}; columns count from 0")]
    ColumnOutOfRange {
        /// The row of the entry.
        row: usize,
        /// The offending column.
        column: u32,
        /// Number of columns.
        columns: usize,
    },
    /// Columns must increase within a row.
    #[error(
        "the columns of row {row} do not increase; sort them and merge repeated ones, as `try_from_edges` does"
    )]
    UnsortedColumns {
        /// The offending row.
        row: usize,
    },
    /// One weight for each entry is needed.
    #[error("{weights} weights were given for {entries} entries; give one for each")]
    WeightCount {
        /// Number of weights given.
        weights: usize,
        /// Number of entries.
        entries: usize,
    },
    /// Weights are finite.
    #[error("the weight of entry {entry} is {weight}; weights must be finite, an isolated node has degree 0")]
    NonFiniteWeight {
        /// Place of the entry.
        entry: usize,
        /// The offending weight.
        weight: f64,
    },
    /// One scale for each row or column is needed.
    #[error("{scales} scales were given for {size} rows or columns; give one for each")]
    ScaleLength {
        /// Number of scales given.
        scales: usize,
        /// Number of rows or columns.
        size: usize,
    },
    /// Indices are 32-bit numbers.
    #[error("a sparse matrix of size {size} is too large; rows, columns and entries are at most 4294967295")]
    TooLarge {
        /// The largest of rows, columns and entries.
        size: usize,
    },
    /// Two operands must agree in a length.
    #[error("the {operand} has {length} rows where the sparse operand has {expected}; they must be equal")]
    LengthMismatch {
        /// Which operand.
        operand: &'static str,
        /// Its length.
        length: usize,
        /// The length of the sparse operand.
        expected: usize,
    },
    /// The nodes of a batch are different.
    #[error("node {node} is twice in the batch; list each target once")]
    RepeatedTarget {
        /// The repeated node.
        node: u32,
    },
    /// The coordinates of points come in whole points.
    #[error("{elements} coordinates do not make points of {features} coordinates; give a multiple")]
    PointLength {
        /// Number of coordinates given.
        elements: usize,
        /// Coordinates of a point.
        features: usize,
    },
    /// Points are finite.
    #[error("point {point} has a coordinate that is not finite; distances to it do not exist")]
    NonFinitePoint {
        /// The offending point.
        point: usize,
    },
    /// A point has fewer neighbours than asked for.
    #[error(
        "{neighbours} neighbours were asked for among {points} points; a point is not its own neighbour, ask for fewer"
    )]
    TooFewPoints {
        /// Number of neighbours asked for.
        neighbours: usize,
        /// Number of points.
        points: usize,
    },
    /// A radius is positive and finite.
    #[error("the radius must be positive and finite, got {radius}")]
    RadiusOutOfRange {
        /// The offending radius.
        radius: f64,
    },
    /// A parameter of a walk is positive and finite.
    #[error("{parameter} must be positive and finite, got {value}; 1 leaves walks unbiased")]
    WalkParameter {
        /// Name of the parameter.
        parameter: &'static str,
        /// The offending value.
        value: f64,
    },
    /// A probability lies in \[0, 1).
    #[error("the restart probability must lie in [0, 1), got {value}; 0 never restarts")]
    RestartOutOfRange {
        /// The offending value.
        value: f64,
    },
    /// Weights of a table to draw from.
    #[error("weight {index} of the table is {weight}; weights must be finite, not negative, and not all 0")]
    TableWeight {
        /// Place of the weight.
        index: usize,
        /// The offending weight.
        weight: f64,
    },
    /// The device could not allocate or compute.
    #[error("the device failed; use a smaller graph if it ran out of memory")]
    Device(#[source] DeviceError),
}

impl SparseError {
    pub(crate) fn device(error: impl std::fmt::Debug + std::fmt::Display + Send + Sync + 'static) -> Self {
        Self::Device(DeviceError::new(error))
    }
}
