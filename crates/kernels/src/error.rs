//! What can go wrong beside the device: labels that do not fit the logits, windows that do not fit an axis.
use std::any::Any;
use std::fmt;

/// Failure of an operation that checks values, or of the device underneath.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One label per row of logits is needed.
    #[error("{labels} labels were given for {rows} rows of logits; give one label per row")]
    LabelCount {
        /// Number of labels given.
        labels: usize,
        /// Number of rows of the logits.
        rows: usize,
    },
    /// A class index is too large.
    #[error("label {label} at index {index} is not one of {classes} classes; labels count from 0")]
    LabelOutOfRange {
        /// Position in the slice of labels.
        index: usize,
        /// The offending label.
        label: usize,
        /// Number of classes, the last axis of the logits.
        classes: usize,
    },
    /// Weights of classes are one per class, or none.
    #[error("{weights} class weights were given for {classes} classes; give one per class, or none")]
    ClassWeightCount {
        /// Number of weights given.
        weights: usize,
        /// Number of classes, the last axis of the logits.
        classes: usize,
    },
    /// A class weight is negative or not a number.
    #[error(
        "the weight of class {class} must be finite and at least 0, got {weight}; 0 leaves the class out"
    )]
    ClassWeight {
        /// The class.
        class: usize,
        /// Its weight.
        weight: f64,
    },
    /// A setting of a loss is outside of its range.
    #[error("{name} of the loss must be {rule}, got {value}")]
    LossSetting {
        /// Name of the field.
        name: &'static str,
        /// The legal range, and a usual choice.
        rule: &'static str,
        /// The value given.
        value: f64,
    },
    /// A target of a binary cross-entropy is no probability.
    #[error(
        "target {index} must be a probability in [0, 1], got {value}; divide masks by their largest value"
    )]
    Probability {
        /// Position in the tensor, row by row.
        index: usize,
        /// The value given.
        value: f64,
    },
    /// The largest of no elements is asked for.
    #[error(
        "axis {axis} has no elements, so none of them is the largest or smallest; reduce an axis of at least one"
    )]
    EmptyAxis {
        /// The axis.
        axis: usize,
    },
    /// A tensor of the model is permuted or broadcast.
    #[error("trainable tensor {tensor} of the model is permuted or broadcast; call contiguous() on it first")]
    NotRowMajor {
        /// Position among the trainable tensors, from 0.
        tensor: usize,
    },
    /// A gradient is not that of the tensor.
    #[error(
        "the gradient of trainable tensor {tensor} has {gradient} elements but the tensor has {weights}; \
         use the gradients of this model's backward pass"
    )]
    GradientLength {
        /// Position among the trainable tensors, from 0.
        tensor: usize,
        /// Number of elements of the gradient.
        gradient: usize,
        /// Number of elements of the tensor.
        weights: usize,
    },
    /// A backward pass begins from a gradient of another tensor.
    #[error(
        "the gradient to begin from has {upstream} elements, the tensor has {elements}; give one number for each \
         element of the tensor"
    )]
    UpstreamLength {
        /// Number of elements of the gradient.
        upstream: usize,
        /// Number of elements of the tensor.
        elements: usize,
    },
    /// One tensor has two names.
    #[error("the model visits one tensor twice; a step would change it twice, so give each tensor one name")]
    VisitedTwice,
    /// What a rule remembers belongs to another tensor.
    #[error(
        "slot {slot} of trainable tensor {tensor} has {slot_len} elements but the tensor has {weights}; \
         start it with that length"
    )]
    SlotLength {
        /// Position among the trainable tensors, from 0.
        tensor: usize,
        /// Position of the slot.
        slot: usize,
        /// Number of elements of the slot.
        slot_len: usize,
        /// Number of elements of the tensor.
        weights: usize,
    },
    /// The heads of attention must share the columns equally.
    #[error("{heads} heads cannot share {features} columns equally; the number of heads must divide it")]
    Heads {
        /// Number of heads.
        heads: usize,
        /// Columns to share.
        features: usize,
    },
    /// A mask has one entry per pair that it speaks of.
    #[error(
        "a mask of {length} entries was given where {expected} are needed; keys take B·K, pairs take Q·K"
    )]
    MaskLength {
        /// Entries of the mask.
        length: usize,
        /// Entries needed.
        expected: usize,
    },
    /// Causal queries are the last of the keys.
    #[error("causal attention of {queries} queries to {keys} keys: the queries must be the last of the keys")]
    CausalQueries {
        /// Number of queries.
        queries: usize,
        /// Number of keys.
        keys: usize,
    },
    /// A softmax over no key has no value.
    #[error("query {query} of sequence {sequence} has no key that it may use; leave it at least one")]
    NothingToAttend {
        /// The sequence, counted from 0.
        sequence: usize,
        /// The first such query, counted from 0.
        query: usize,
    },
    /// A table of relative positions must reach as far as the sequence.
    #[error(
        "the table of relative positions has {rows} rows but {needed} are needed: one per distance, and an odd number unless attention is causal"
    )]
    RelativeRows {
        /// Rows of the table.
        rows: usize,
        /// Smallest number of rows.
        needed: usize,
    },
    /// A table of relative biases has one column per head.
    #[error("the relative bias has {columns} columns for {heads} heads; give it one per head")]
    RelativeBiasColumns {
        /// Columns of the table.
        columns: usize,
        /// Number of heads.
        heads: usize,
    },
    /// Two run-time sizes that must agree do not.
    #[error("{what} must agree, got {left} and {right}")]
    SequenceShapes {
        /// Which sizes.
        what: &'static str,
        /// The first.
        left: usize,
        /// The second.
        right: usize,
    },
    /// A cache does not grow.
    #[error(
        "{new} positions do not fit into a cache that holds {len} of {capacity}; make it larger or truncate it"
    )]
    CacheFull {
        /// Positions that fit.
        capacity: usize,
        /// Positions in it.
        len: usize,
        /// Positions to be added.
        new: usize,
    },
    /// One length per sequence is needed.
    #[error("{lengths} lengths were given for {sequences} sequences; give one per sequence")]
    LengthCount {
        /// Number of lengths.
        lengths: usize,
        /// Number of sequences.
        sequences: usize,
    },
    /// A sequence cannot be longer than its padded batch.
    #[error("length {length} of sequence {sequence} exceeds the {positions} positions of the batch")]
    LengthOutOfRange {
        /// The sequence, counted from 0.
        sequence: usize,
        /// Its length.
        length: usize,
        /// Positions of the batch.
        positions: usize,
    },
    /// Only the LSTM has a cell and peepholes.
    #[error("an initial cell or peepholes were given to a recurrence without a cell; only the LSTM has one")]
    NoCell,
    /// A leaky unit mixes old and new.
    #[error("the leak must lie in (0, 1], got {leak}; 1 is the plain recurrent network")]
    LeakOutOfRange {
        /// The offending value.
        leak: f64,
    },
    /// A row index is too large.
    #[error("index {index} at position {position} is not one of {rows} rows; rows count from 0")]
    IndexOutOfRange {
        /// Where the index stands.
        position: usize,
        /// The offending index.
        index: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A row must have as many elements as are asked for.
    #[error("the {k} largest of {columns} elements were asked for; k must not exceed the number of columns")]
    TopK {
        /// Number of elements asked for.
        k: usize,
        /// Elements of a row.
        columns: usize,
    },
    /// Positions act on pairs of columns.
    #[error("positions act on pairs of columns, but there are {columns}; use an even number")]
    OddColumns {
        /// Columns, of one head where there are heads.
        columns: usize,
    },
    /// A window needs at least one tap, and a step of at least 1 between taps and between windows.
    #[error("kernel, stride and dilation must be at least 1, got {kernel}, {stride} and {dilation}")]
    EmptyWindow {
        /// Number of taps.
        kernel: usize,
        /// Steps between windows.
        stride: usize,
        /// Steps between taps.
        dilation: usize,
    },
    /// Not one window fits the axis.
    #[error(
        "a window that spans {span} positions does not fit an axis of {extent} padded by {padding} on both sides; \
         pad by at least {}", span.saturating_sub(*extent).div_ceil(2)
    )]
    WindowTooLong {
        /// Length of the axis.
        extent: usize,
        /// Positions added on each side.
        padding: usize,
        /// dilation · (kernel − 1) + 1.
        span: usize,
    },
    /// A pooling window would lie in the padding alone.
    #[error("a pooling window of {kernel} may be padded by at most {}, got {padding}", kernel / 2)]
    PoolPadding {
        /// Positions added on each side.
        padding: usize,
        /// Number of taps.
        kernel: usize,
    },
    /// The output padding of a transposed convolution only says which of several lengths is meant.
    #[error(
        "output padding {output_padding} must be less than the stride {stride} or the dilation {dilation}; it chooses \
         between the lengths that a convolution maps to the same one"
    )]
    OutputPadding {
        /// Positions added at the end.
        output_padding: usize,
        /// Steps between windows.
        stride: usize,
        /// Steps between taps.
        dilation: usize,
    },
    /// A transposed convolution without output.
    #[error(
        "the transposed convolution has {full} positions, of which a padding of {padding} on both sides leaves none"
    )]
    TransposedEmpty {
        /// Length without padding; 0 for an empty axis.
        full: usize,
        /// Positions taken away on each side.
        padding: usize,
    },
    /// Channels must be divisible by groups.
    #[error("{size} cannot be divided into {divisor} equal parts; take a divisor of {size}")]
    Indivisible {
        /// What is divided.
        size: usize,
        /// Number of parts.
        divisor: usize,
    },
    /// Reflection has no positions left to mirror.
    #[error(
        "reflection padding of {padding} must be less than the axis of {extent}; pad with zeros or replicate"
    )]
    Reflection {
        /// Length of the axis.
        extent: usize,
        /// The larger of the two paddings.
        padding: usize,
    },
    /// A circle has no positions left to show.
    #[error(
        "circular padding of {padding} must be at most the axis of {extent}; pad with zeros or replicate"
    )]
    Wrap {
        /// Length of the axis.
        extent: usize,
        /// The larger of the two paddings.
        padding: usize,
    },
    /// An axis of 0 has no first and no last position.
    #[error("an axis of 0 has nothing to replicate; pad with zeros")]
    Replication,
    /// Nothing would be left of a cropped axis.
    #[error("a crop of {before} and {after} positions leaves nothing of an axis of {extent}; crop less")]
    Crop {
        /// Length of the axis.
        extent: usize,
        /// Positions cut at the start.
        before: usize,
        /// Positions cut at the end.
        after: usize,
    },
    /// Two axes that must agree, known only at run time.
    #[error("the {axis} of the input is {found} but must be {expected}; give an input of that size")]
    AxisLength {
        /// Which axis.
        axis: &'static str,
        /// What the operation needs.
        expected: usize,
        /// What it got.
        found: usize,
    },
    /// A size that no memory holds.
    #[error("a size does not fit in `usize`; check padding, stride and dilation")]
    SizeOverflow,
    /// Two shapes have no matrix product.
    #[error(
        "a product of shapes {left:?} and {right:?} does not exist; columns of the first must equal rows of the second, \
         and batches each other"
    )]
    ProductSizes {
        /// Lengths of the left operand's axes.
        left: Vec<usize>,
        /// Lengths of the right operand's axes.
        right: Vec<usize>,
    },
    /// Points of different spaces have no distance.
    #[error(
        "points with {left} features have no distance from points with {right}; both sets need the same features"
    )]
    FeatureCount {
        /// Features of the first set.
        left: usize,
        /// Features of the second set.
        right: usize,
    },
    /// A share of elements to drop is no share.
    #[error(
        "the rate of dropout must lie in [0, 1), got {rate}; 0 drops nothing, 0.5 is usual for hidden layers"
    )]
    DropoutRate {
        /// The rate given.
        rate: f64,
    },
    /// A standard deviation is negative or not finite.
    #[error("the standard deviation of noise must be finite and at least 0, got {deviation}")]
    NoiseDeviation {
        /// The deviation given.
        deviation: f64,
    },
    /// Statistics of a single value say nothing.
    #[error(
        "{count} values per mean cannot be normalised by their own variance; give at least 2, or use running statistics"
    )]
    BatchTooSmall {
        /// Number of values that share a mean.
        count: usize,
    },
    /// ε must be a number that a variance can be increased by.
    #[error("epsilon must be finite and at least 0, got {value}; 1e-5 is usual")]
    Epsilon {
        /// The offending value.
        value: f64,
    },
    /// The base of local response normalisation's power must be positive.
    #[error(
        "local response normalisation needs k > 0 and alpha >= 0, got k = {k} and alpha = {alpha}; 1 and 1e-4 are usual"
    )]
    LocalResponse {
        /// The constant.
        k: f64,
        /// The factor of the sum of squares.
        alpha: f64,
    },
    /// A resampled axis must keep a position.
    #[error("an axis of {extent} cannot be resampled to 0 positions; ask for at least 1")]
    NoOutputs {
        /// Length of the axis before.
        extent: usize,
    },
    /// Pooling indices belong to other maps.
    #[error(
        "the {indices} pooling indices do not belong to maps of {elements} elements; take those of the same pooling"
    )]
    IndexCount {
        /// Number of indices.
        indices: usize,
        /// Number of elements that they were to be used for.
        elements: usize,
    },
    /// The device could not allocate or compute.
    #[error("the device failed; use a smaller batch if it ran out of memory")]
    Device(#[source] DeviceError),
}

/// The error of whichever device ran the operation, `CpuError` or `CudaError`.
///
/// dfdx's errors do not implement [`std::error::Error`]; this type does, keeps the original and prints it.
pub struct DeviceError(Box<dyn Source>);

/// What dfdx promises of a device's error, plus what an error needs to cross threads.
trait Source: fmt::Debug + fmt::Display + Send + Sync + Any {}
impl<T: fmt::Debug + fmt::Display + Send + Sync + 'static> Source for T {}

impl DeviceError {
    /// Wraps the error of a device.
    ///
    /// ```
    /// let error = kernels::DeviceError::new(dfdx::tensor::CpuError::OutOfMemory);
    /// assert_eq!(error.to_string(), "CpuError::OutOfMemory");
    /// ```
    pub fn new(error: impl fmt::Debug + fmt::Display + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl Error {
    /// The device's own error again, for a module of dfdx, which can return nothing else.
    ///
    /// ```
    /// use dfdx::tensor::CpuError;
    /// use kernels::{DeviceError, Error};
    /// let error = Error::Device(DeviceError::new(CpuError::OutOfMemory));
    /// assert!(matches!(error.into_device(), Ok(CpuError::OutOfMemory)));
    /// assert!(Error::SizeOverflow.into_device::<CpuError>().is_err());
    /// ```
    ///
    /// # Errors
    /// The same error when it is not that of such a device.
    pub fn into_device<D: 'static>(self) -> Result<D, Self> {
        let Self::Device(DeviceError(source)) = self else { return Err(self) };
        if (&*source as &dyn Any).is::<D>() {
            let source: Box<dyn Any> = source;
            return Ok(*source.downcast().expect("asked one line above"));
        }
        Err(Self::Device(DeviceError(source)))
    }
}

impl fmt::Debug for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for DeviceError {}

impl Error {
    pub(crate) fn device(error: impl fmt::Debug + fmt::Display + Send + Sync + 'static) -> Self {
        Self::Device(DeviceError::new(error))
    }
}
