//! The error of this crate: one variant per rule, with the values that broke it.

/// What was wrong with the data, the configuration or the run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to learn from, or nothing to measure on.
    #[error("{what} needs at least one example, got none; check the split or the filter that made the data")]
    Empty {
        /// The function that was called.
        what: &'static str,
    },
    /// Examples and labels do not pair up.
    #[error("{examples} examples came with {labels} labels; give exactly one label for each example")]
    LengthMismatch {
        /// Number of examples.
        examples: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A binary label is neither −1 nor +1.
    #[error("label {index} is {label}; two-class labels must be -1 or +1")]
    LabelNotSign {
        /// Position in the labels, from 0.
        index: usize,
        /// The label found there.
        label: i8,
    },
    /// A class label does not exist.
    #[error("label {index} is {label} but there are {classes} classes; class labels count from 0")]
    LabelOutOfRange {
        /// Position in the labels, from 0.
        index: usize,
        /// The label found there.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// An input is NaN or infinite.
    #[error("feature {feature} of example {example} is {value}; clean the data, no rule can learn from it")]
    FeatureNotFinite {
        /// Position of the example, from 0.
        example: usize,
        /// Position of the feature, from 0.
        feature: usize,
        /// The value found there.
        value: f64,
    },
    /// No hyperplane was found that separates the two classes.
    #[error(
        "no separating hyperplane after {passes} passes, {wrong} examples still on the wrong side; \
         the classes may overlap (use AveragedPerceptron or a network) or the limit is too small for their margin"
    )]
    NotSeparable {
        /// Passes made over the data.
        passes: usize,
        /// Examples that the last hyperplane gets wrong.
        wrong: usize,
    },
    /// A separating hyperplane was found, but not the best one to the accuracy asked for.
    #[error(
        "after {passes} passes the largest margin is known only to lie between {lower} and {upper}; \
         raise max_passes or tolerance_rel"
    )]
    GapTooWide {
        /// Passes made over the data.
        passes: usize,
        /// Margin of the plane found.
        lower: f64,
        /// No plane has a larger margin.
        upper: f64,
    },
    /// A target is NaN or infinite.
    #[error(
        "output {output} of the target of example {example} is {value}; clean the data, nothing can be fitted to it"
    )]
    TargetNotFinite {
        /// Position of the example, from 0.
        example: usize,
        /// Position of the output, from 0.
        output: usize,
        /// The value found there.
        value: f64,
    },
    /// Data have another width than what was fitted.
    #[error("got {got} {what}, want {want}; give the columns that the examples had")]
    Dimension {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there must be.
        want: usize,
    },
    /// Stochastic descent left every bound.
    #[error(
        "a weight became {value:e} in step {step} at learning rate {learning_rate}; a constant rate below {safe:.3e}, \
         2 over the largest curvature of one example, cannot diverge"
    )]
    Unstable {
        /// Step, from 1.
        step: u64,
        /// The weight.
        value: f64,
        /// Rate of that step.
        learning_rate: f64,
        /// A rate that is sufficient, not necessary.
        safe: f64,
    },
    /// A variable was recorded on another tape than the one that is asked.
    #[error("variable {index} belongs to another tape; put its value on this one as a constant")]
    ForeignVariable {
        /// Number of the variable on its own tape.
        index: usize,
    },
    /// Two matrices do not fit each other.
    #[error("{what} has shape {got:?}, want {want:?}; transpose it, or repeat its rows or columns")]
    Shape {
        /// The matrix, and what for.
        what: &'static str,
        /// (rows, columns) that it has.
        got: (usize, usize),
        /// (rows, columns) that fit.
        want: (usize, usize),
    },
    /// A gradient was asked for of more than one number.
    #[error(
        "a gradient belongs to a single number, not to a matrix of shape {shape:?}; sum it, or weight its entries with \
         `vjp`"
    )]
    NotANumber {
        /// (rows, columns) of what was to be differentiated.
        shape: (usize, usize),
    },
    /// A power has no finite value or derivative.
    #[error(
        "entry ({row}, {column}), {base} to the power {exponent}, has no finite value and derivative; keep the base above 0 \
         (shift it), or take a whole exponent with `powi`"
    )]
    Power {
        /// Row of the entry.
        row: usize,
        /// Its column.
        column: usize,
        /// What is raised.
        base: f64,
        /// To which power.
        exponent: f64,
    },
    /// Operations wait for each other.
    #[error("{nodes} operations wait for each other in a circle; a computation must not use its own result")]
    Cycle {
        /// How many.
        nodes: usize,
    },
    /// An iteration did not reach its tolerance.
    #[error(
        "{what} is still {residual:e} away from a solution after {passes} passes, allowed {tolerance:e}; raise its limit or its tolerance"
    )]
    NotConverged {
        /// The method.
        what: &'static str,
        /// Passes made.
        passes: usize,
        /// By how much the conditions of a solution fail.
        residual: f64,
        /// By how much they may.
        tolerance: f64,
    },
    /// A hyper-parameter is outside of its range.
    #[error("{name} must be {rule}, got {value}")]
    InvalidHyper {
        /// Name of the field or argument.
        name: &'static str,
        /// The legal range, and a usual choice.
        rule: &'static str,
        /// The value given.
        value: f64,
    },
    /// A schedule has no steps.
    #[error("{what} needs at least one step, got none; a constant rate is a number")]
    EmptySchedule {
        /// The schedule, and the part of it.
        what: &'static str,
    },
    /// A linear system has no solution.
    #[error("{what} has no inverse; use a damped or saddle-free step")]
    Singular {
        /// The matrix.
        what: &'static str,
    },
    /// An optimiser refused a step, a setting or a state.
    #[error(transparent)]
    Step(#[from] layers::StepError),
    /// A flat vector does not fit a model.
    #[error(transparent)]
    Params(#[from] layers::params::ParamsError),
    /// A parameter became NaN or infinite.
    #[error("{path} became {value} in step {step}; lower learning_rate or scale the inputs")]
    NonFinite {
        /// Path name of the parameter.
        path: &'static str,
        /// Update, counted from 1, after which it was found.
        step: u64,
        /// The first such value.
        value: f64,
    },
    /// A matrix has an entry that is NaN or infinite.
    #[error("{what} must be finite; the point that it was taken at may have diverged, lower learning_rate")]
    NotFiniteMatrix {
        /// The matrix.
        what: &'static str,
    },
    /// The value or the point left every bound.
    #[error(
        "{method} diverged: |x| is {distance} after {step} steps; lower learning_rate (now {learning_rate})"
    )]
    Diverged {
        /// The method.
        method: &'static str,
        /// Steps made.
        step: usize,
        /// Length of the point.
        distance: f64,
        /// The rate of the run.
        learning_rate: f64,
    },
    /// The couplings of a spin glass do not fit into memory.
    #[error(
        "{spins} spins in {layers} layers have spins^layers couplings, more than {limit} bytes; take fewer spins"
    )]
    TooManyCouplings {
        /// Weights of the model.
        spins: usize,
        /// Its degree.
        layers: usize,
        /// Memory that they may take.
        limit: u128,
    },
    /// A file of weights could not be written, read or used.
    #[error(transparent)]
    Checkpoint(#[from] layers::CheckpointError),
    /// The device has no memory.
    #[error(transparent)]
    Device(#[from] layers::params::DeviceError),
    /// A matrix is not one of a quadratic form without negative values.
    #[error("{what} must be symmetric without negative eigenvalues: {reason}; give a covariance or M M^T")]
    NotPositive {
        /// The matrix.
        what: &'static str,
        /// Which of the two is broken.
        reason: &'static str,
    },
    /// Two weight matrices do not follow each other.
    #[error(
        "layer {layer} reads {inputs} values but the layer before it gives {outputs}; pass a chain of layers"
    )]
    NotAChain {
        /// Position of the second of the two, from 0.
        layer: usize,
        /// Outputs of the first.
        outputs: usize,
        /// Inputs of the second.
        inputs: usize,
    },
    /// A tensor of a model does not belong to a fully connected layer.
    #[error("{path} has shape {shape:?}; only models of fully connected layers have a path norm here")]
    NotDense {
        /// Path name of the tensor.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor of a model has more than two axes.
    #[error("{path} has shape {shape:?}, and the tape holds matrices; put its parts on the tape one by one")]
    NotAMatrix {
        /// Path name of the tensor.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An operation refused its operands.
    #[error(transparent)]
    Kernel(#[from] kernels::Error),
    /// A layer of a description cannot read what comes before it.
    #[error("{layer} cannot read an input of {input}; check channels, groups and window sizes")]
    DoesNotFit {
        /// The layer.
        layer: String,
        /// Size of what it gets.
        input: String,
    },
    /// A project proposal is not complete.
    #[error("the proposal lacks {field}: {remedy}")]
    Incomplete {
        /// What is missing.
        field: &'static str,
        /// What to write.
        remedy: &'static str,
    },
}
