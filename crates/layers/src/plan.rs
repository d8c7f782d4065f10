//! What a network on images costs, layer by layer: known to the compiler from its type, without a weight in memory.
//!
//! The multiply-adds of a convolution depend on the size of its image, which its type does not hold. So a network's type
//! gives its [`Plan`], a constant, and the plan is asked about an image: [`Plan::totals`] is a `const fn`, so a published
//! count can be a compile-time assertion even where the weights would take gigabytes.
//!
//! $$ \text{MACs of a convolution} = O\,\frac{C}{G}\,K_h K_w\,H' W' $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $C$, $O$, $G$ | `from`, `to`, `groups` | channels in and out, groups |
//! | $K_h$, $K_w$ | [`Taps`] | taps of the window |
//! | $H'$, $W'$ | [`Totals::output`] | size of the output |
//!
//! **What counts**: `macs` are the multiply-adds of convolutions and linear layers, batch of one, biases not counted, as
//! the literature's "FLOPs" mostly are; `params` all trainable numbers; `activations` the elements of the outputs of
//! convolutions, linear layers and pooling, those that backward needs beside the input.
//!
//! **The other count**, `operations`, takes a multiply-add as two operations (1 MAC = 2 FLOP) and adds what MACs leave
//! out: one for a bias, one per parameter of a normalisation, which evaluates as a gain and an offset, one per position of
//! a pooling window, one for each further term of a sum, one for an activation, whatever its function; each per element
//! of the output. Copies are free. Not counted, since no plan holds them: response and instance normalisation, the
//! statistics of group normalisation, factors of scaled sums, and activations that a block applies to its own sum.
//! **Sequences** of convolutions are maps of height 1: `[C, 1, L]`.
//! **Use it** for counts, tables, receptive fields. **Not** for recurrence and attention: [`Cost`](crate::Cost) counts
//! those per position.
//!
//! # Examples
//! ```
//! use layers::{Planned, plan::Totals, prelude::*};
//! type Net = (Conv2D<1, 6, 5>, Tanh, AvgPool2D<2, 2>, Flatten, Linear<1176, 10>);
//! const COST: Totals = Net::PLAN.totals_of([1, 32, 32]);
//! const _: () = assert!(COST.params == 6 * 26 + 1176 * 10 + 10);
//! assert_eq!((COST.macs, COST.output), (6 * 25 * 28 * 28 + 11_760, [10, 1, 1]));
//! ```
use crate::activation::Activation;
use crate::convolution::{BiasOption, Flatten, Grouping, Steps};
use crate::{convolution, dropout, linear, modules, normalisation, resampling};
use dfdx::nn::modules as nn;
use dfdx::prelude::{Dtype, Storage};
use kernels::ActivationKind;
pub use kernels::shape::{Rounding, Taps};
use std::fmt::{self, Display};

/// Channels, height and width of one sample; features are channels of one pixel.
pub type Map = [usize; 3];

/// What a pooling window gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The largest of its positions.
    Max,
    /// The mean of its positions, those of the padding included.
    Average,
}

/// What a network is made of, as a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Plan {
    /// A convolution.
    Convolution {
        /// Input channels.
        from: usize,
        /// Output channels.
        to: usize,
        /// Window along the height and the width.
        taps: [Taps; 2],
        /// Groups of channels that do not see each other.
        groups: usize,
        /// Whether each output channel has a bias.
        is_biased: bool,
        /// What the outputs go through.
        activation: ActivationKind,
    },
    /// A transposed convolution, with a bias.
    Transposed {
        /// Input channels.
        from: usize,
        /// Output channels.
        to: usize,
        /// Groups of channels that do not see each other.
        groups: usize,
        /// Window along the height and the width.
        taps: [Taps; 2],
        /// Positions added at the end of both.
        output_padding: [usize; 2],
        /// What the outputs go through.
        activation: ActivationKind,
    },
    /// A fully connected layer.
    Linear {
        /// Input features.
        from: usize,
        /// Output features.
        to: usize,
        /// Whether each output has a bias.
        is_biased: bool,
        /// What the outputs go through.
        activation: ActivationKind,
    },
    /// Windows that pool.
    Pool {
        /// Window along the height and the width.
        taps: [Taps; 2],
        /// What happens to positions that fill no window.
        rounding: Rounding,
        /// What a window gives.
        reduction: Reduction,
    },
    /// Means over windows of whatever size gives this many.
    Adaptive {
        /// Rows and columns of the output.
        to: [usize; 2],
    },
    /// One number per plane.
    Global,
    /// One or more parameters per channel, nothing changes its place: normalisations, LeNet's gains.
    PerChannel {
        /// Channels.
        channels: usize,
        /// Trainable numbers of each.
        params: usize,
        /// What the outputs go through.
        activation: ActivationKind,
    },
    /// Channels become features.
    Flatten,
    /// A border around each map.
    Pad {
        /// Positions added above, below, left and right.
        sides: [usize; 4],
    },
    /// Every pixel becomes `factor[0]` × `factor[1]`.
    Upsample {
        /// Enlargement along the height and the width.
        factor: [usize; 2],
    },
    /// Every `step`-th pixel, and channels of zeros added behind: the residual shortcut without parameters.
    Subsample {
        /// Step along both axes.
        step: usize,
        /// Channels of zeros.
        extra: usize,
    },
    /// Parameters that no rule above covers, as constants of the type; the map keeps its shape unless `to` says.
    Other {
        /// Trainable numbers.
        params: usize,
        /// Multiply-adds per pixel of the output.
        macs_per_pixel: usize,
        /// Window along both axes.
        taps: Taps,
        /// Output channels.
        to: usize,
    },
    /// An activation between layers, element by element.
    Activation(ActivationKind),
    /// Element by element, at no cost that counts.
    Pointwise,
    /// One after the other.
    Chain(&'static [Plan]),
    /// A part with a name, as in a checkpoint.
    Named(&'static str, &'static Plan),
    /// The same part several times, each with weights of its own.
    Repeat(&'static Plan, usize),
    /// All see the input; their channels are put behind each other.
    Branches(&'static [Plan]),
    /// All see the input; their outputs, of one shape, are added up.
    Sum(&'static [Plan]),
    /// The middle of the input, cut to the size of the part's output, with that output's channels behind it: U-Net's.
    Skip(&'static Plan),
}

/// A type that knows what it is made of.
///
/// Descriptions (what `build_module` takes) and built modules have the same plan.
#[diagnostic::on_unimplemented(
    message = "the plan of `{Self}` is not known from its type",
    note = "`Planned` holds for convolutions, pooling, normalisation, activations, linear layers, and for tuples, \
            `Residual`, `Repeated` and `Concat` of them"
)]
pub trait Planned {
    /// The parts.
    const PLAN: Plan;
}

/// What one sample costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Trainable parameters.
    pub params: u64,
    /// Multiply-adds of convolutions and linear layers in one forward pass of one sample.
    pub macs: u64,
    /// Floating-point operations of that pass, a multiply-add as two, with biases, normalisation, pooling, sums and
    /// activations; see the [module](self).
    pub operations: u64,
    /// Elements of the outputs of convolutions, linear layers and pooling.
    pub activations: u64,
    /// Shape of the output.
    pub output: Map,
}

/// Why a plan does not fit a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// A layer for another number of channels.
    #[error(
        "the layer takes {expected} channels, got {found}; change the layer before it or this one's first size"
    )]
    Channels {
        /// Channels of the layer.
        expected: usize,
        /// Channels of the map.
        found: usize,
    },
    /// A fully connected layer on a map that has pixels.
    #[error("a fully connected layer takes one pixel, got {rows} x {cols}; flatten or pool before it")]
    Pixels {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// A window, a crop or a shortcut that is larger than the map.
    #[error("input {rows}x{cols} smaller than kernel {high}x{wide}; pad by at least {pad}")]
    Window {
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
        /// Span of the window along the height.
        high: usize,
        /// Span of the window along the width.
        wide: usize,
        /// Positions that are missing on each side.
        pad: usize,
    },
    /// Parts side by side with outputs that do not fit together.
    #[error(
        "branches must give maps of one size, got {first:?} and {other:?} (channels, rows, columns); pad or stride them alike"
    )]
    Branches {
        /// Output of the first.
        first: Map,
        /// Output of another.
        other: Map,
    },
}

/// A [`Misfit`] and the layer that it happens in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {misfit}")]
pub struct PlanError {
    /// Path name of the layer, as in a checkpoint.
    pub path: String,
    /// The rule that is broken.
    #[source]
    pub misfit: Misfit,
}

/// One layer of a network, for tables and charts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// Path name of the layer, as in a checkpoint.
    pub path: String,
    /// The layer.
    pub plan: Plan,
    /// What it costs.
    pub cost: Totals,
}

const NONE: Totals = Totals { params: 0, macs: 0, operations: 0, activations: 0, output: [0; 3] };

/// Operations per element.
const fn applied(activation: ActivationKind) -> usize {
    !matches!(activation, ActivationKind::Identity) as usize
}

/// Number of windows, rounded down; none where not even one fits. [`Taps::positions`] with all errors as none, since a
/// constant cannot use `?`.
const fn positions(taps: Taps, extent: usize) -> Option<usize> {
    if taps.kernel == 0 || taps.stride == 0 || taps.dilation == 0 {
        return None;
    }
    match (extent + 2 * taps.padding).checked_sub((taps.kernel - 1) * taps.dilation + 1) {
        Some(room) => Some(room / taps.stride + 1),
        None => None,
    }
}

/// [`Taps::pool_positions`] as a constant.
const fn pooled(taps: Taps, extent: usize, rounding: Rounding) -> Option<usize> {
    if taps.padding > taps.kernel / 2 {
        return None;
    }
    match (positions(taps, extent + taps.stride.saturating_sub(1)), rounding) {
        (_, Rounding::Down) => positions(taps, extent),
        (Some(windows), Rounding::Up) => {
            let beyond = (windows - 1) * taps.stride >= extent + taps.padding;
            Some(if beyond { windows - 1 } else { windows })
        }
        (None, Rounding::Up) => None,
    }
}

/// [`Taps::transposed`] as a constant.
const fn raised(taps: Taps, extent: usize, output_padding: usize) -> Option<usize> {
    if extent == 0 || taps.kernel == 0 || taps.stride == 0 || taps.dilation == 0 {
        return None;
    }
    let full = (extent - 1) * taps.stride + (taps.kernel - 1) * taps.dilation + 1 + output_padding;
    match full.checked_sub(2 * taps.padding) {
        Some(0) | None => None,
        length => length,
    }
}

const fn elements([channels, rows, cols]: Map) -> u64 {
    (channels * rows * cols) as u64
}

/// Positions in all windows of an adaptive pooling along one axis.
const fn adaptive(extent: usize, outputs: usize) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < outputs {
        sum += ((i + 1) * extent).div_ceil(outputs) - i * extent / outputs;
        i += 1;
    }
    sum
}

const fn span(taps: Taps) -> usize {
    taps.kernel.saturating_sub(1) * taps.dilation + 1
}

const fn misfit([_, rows, cols]: Map, [y, x]: [Taps; 2]) -> Misfit {
    let (high, wide) = (span(y), span(x));
    let (down, across) = (high.saturating_sub(rows), wide.saturating_sub(cols));
    let most = if down > across { down } else { across };
    Misfit::Window { rows, cols, high, wide, pad: most.div_ceil(2) }
}

impl Plan {
    /// What the network costs on one sample of shape `input`.
    ///
    /// # Errors
    /// [`Misfit`] of the first layer that the map does not fit; [`rows`](Self::rows) says which.
    pub const fn totals(&self, input: Map) -> Result<Totals, Misfit> {
        match *self {
            Self::Chain(parts) => {
                let mut sum = Totals { output: input, ..NONE };
                let mut i = 0;
                while i < parts.len() {
                    match parts[i].totals(sum.output) {
                        Ok(part) => sum = sum.then(part),
                        Err(misfit) => return Err(misfit),
                    }
                    i += 1;
                }
                Ok(sum)
            }
            Self::Repeat(part, n) => {
                let mut sum = Totals { output: input, ..NONE };
                let mut i = 0;
                while i < n {
                    match part.totals(sum.output) {
                        Ok(part) => sum = sum.then(part),
                        Err(misfit) => return Err(misfit),
                    }
                    i += 1;
                }
                Ok(sum)
            }
            Self::Named(_, part) => part.totals(input),
            Self::Branches(parts) | Self::Sum(parts) => {
                let adds = matches!(self, Self::Sum(_));
                let mut sum = Totals { output: [0; 3], ..NONE };
                let mut i = 0;
                while i < parts.len() {
                    let part = match parts[i].totals(input) {
                        Ok(part) => part,
                        Err(misfit) => return Err(misfit),
                    };
                    let (first, other) = (sum.output, part.output);
                    if i > 0
                        && (first[1] != other[1] || first[2] != other[2] || (adds && first[0] != other[0]))
                    {
                        return Err(Misfit::Branches { first, other });
                    }
                    let channels = if adds { other[0] } else { first[0] + other[0] };
                    sum = sum.then(part);
                    if adds && i > 0 {
                        sum.operations += elements(other);
                    }
                    sum.output = [channels, other[1], other[2]];
                    i += 1;
                }
                Ok(sum)
            }
            Self::Skip(part) => match part.totals(input) {
                Ok(sum) => {
                    let [channels, rows, cols] = sum.output;
                    if rows > input[1] || cols > input[2] {
                        return Err(Misfit::Branches { first: input, other: sum.output });
                    }
                    Ok(Totals { output: [input[0] + channels, rows, cols], ..sum })
                }
                misfit => misfit,
            },
            leaf => leaf.leaf(input),
        }
    }

    /// [`totals`](Self::totals) where the map is known to fit.
    ///
    /// # Panics
    /// When it does not; in a constant this is a compile error.
    pub const fn totals_of(&self, input: Map) -> Totals {
        match self.totals(input) {
            Ok(totals) => totals,
            Err(Misfit::Channels { .. }) => panic!("a layer takes another number of channels"),
            Err(Misfit::Pixels { .. }) => panic!("a fully connected layer takes one pixel"),
            Err(Misfit::Window { .. }) => panic!("a window is larger than its padded map"),
            Err(Misfit::Branches { .. }) => panic!("branches must give maps of one size"),
        }
    }

    /// A layer without parts.
    const fn leaf(&self, input: Map) -> Result<Totals, Misfit> {
        let [channels, rows, cols] = input;
        let mut cost = Totals { output: input, ..NONE };
        match *self {
            Self::Convolution { from, to, taps, groups, is_biased, activation } => {
                if channels != from {
                    return Err(Misfit::Channels { expected: from, found: channels });
                }
                let (Some(h), Some(w)) = (positions(taps[0], rows), positions(taps[1], cols)) else {
                    return Err(misfit(input, taps));
                };
                let weights = to * (from / groups) * taps[0].kernel * taps[1].kernel;
                cost.output = [to, h, w];
                cost.params = (weights + if is_biased { to } else { 0 }) as u64;
                cost.macs = (weights * h * w) as u64;
                cost.activations = (to * h * w) as u64;
                let more = is_biased as usize + applied(activation);
                cost.operations = 2 * cost.macs + more as u64 * cost.activations;
            }
            Self::Transposed { from, to, groups, taps, output_padding, activation } => {
                if channels != from {
                    return Err(Misfit::Channels { expected: from, found: channels });
                }
                let (Some(h), Some(w)) =
                    (raised(taps[0], rows, output_padding[0]), raised(taps[1], cols, output_padding[1]))
                else {
                    return Err(misfit(input, taps));
                };
                let weights = from * (to / groups) * taps[0].kernel * taps[1].kernel;
                cost.output = [to, h, w];
                cost.params = (weights + to) as u64;
                cost.macs = (weights * rows * cols) as u64;
                cost.activations = (to * h * w) as u64;
                cost.operations = 2 * cost.macs + (1 + applied(activation)) as u64 * cost.activations;
            }
            Self::Linear { from, to, is_biased, activation } => {
                if channels != from {
                    return Err(Misfit::Channels { expected: from, found: channels });
                }
                if rows != 1 || cols != 1 {
                    return Err(Misfit::Pixels { rows, cols });
                }
                cost.output = [to, 1, 1];
                cost.params = (from * to + if is_biased { to } else { 0 }) as u64;
                cost.macs = (from * to) as u64;
                cost.activations = to as u64;
                let more = is_biased as usize + applied(activation);
                cost.operations = 2 * cost.macs + more as u64 * cost.activations;
            }
            Self::Pool { taps, rounding, .. } => {
                let (Some(h), Some(w)) = (pooled(taps[0], rows, rounding), pooled(taps[1], cols, rounding))
                else {
                    return Err(misfit(input, taps));
                };
                cost.output = [channels, h, w];
                cost.activations = (channels * h * w) as u64;
                cost.operations = (taps[0].kernel * taps[1].kernel) as u64 * cost.activations;
            }
            Self::Adaptive { to: [h, w] } => {
                cost.output = [channels, h, w];
                cost.activations = (channels * h * w) as u64;
                cost.operations = (channels * adaptive(rows, h) * adaptive(cols, w)) as u64;
            }
            Self::Global => {
                cost.output = [channels, 1, 1];
                cost.activations = channels as u64;
                cost.operations = elements(input);
            }
            Self::PerChannel { channels: expected, params, activation } => {
                if channels != expected {
                    return Err(Misfit::Channels { expected, found: channels });
                }
                cost.params = (channels * params) as u64;
                cost.operations = (params + applied(activation)) as u64 * elements(input);
            }
            Self::Activation(activation) => cost.operations = applied(activation) as u64 * elements(input),
            Self::Flatten => cost.output = [channels * rows * cols, 1, 1],
            Self::Pad { sides: [top, bottom, left, right] } => {
                cost.output = [channels, top + rows + bottom, left + cols + right];
            }
            Self::Upsample { factor } => {
                let [h, w] = [rows * factor[0], cols * factor[1]];
                cost.output = [channels, h, w];
                cost.activations = (channels * h * w) as u64;
            }
            Self::Subsample { step, extra } => {
                if step == 0 {
                    return Err(misfit(input, [square(1, 0, 0, 1); 2]));
                }
                cost.output = [channels + extra, rows.div_ceil(step), cols.div_ceil(step)];
            }
            Self::Other { params, macs_per_pixel, taps, to } => {
                let (Some(h), Some(w)) = (positions(taps, rows), positions(taps, cols)) else {
                    return Err(misfit(input, [taps; 2]));
                };
                cost.output = [to, h, w];
                cost.params = params as u64;
                cost.macs = (macs_per_pixel * h * w) as u64;
                cost.operations = 2 * cost.macs;
                cost.activations = (to * h * w) as u64;
            }
            _ => {}
        }
        Ok(cost)
    }

    /// Every layer in order with its path name and cost: branches and repeated parts one after the other. What has no
    /// parameters and moves nothing (activations between layers, sums, dropout) is left out; its operations are in
    /// [`totals`](Self::totals) only.
    ///
    /// # Errors
    /// The first layer that the map does not fit, by name.
    pub fn rows(&self, input: Map) -> Result<Vec<Row>, PlanError> {
        let mut rows = Vec::new();
        self.walk(String::new(), input, &mut rows)?;
        Ok(rows)
    }

    fn walk(&self, path: String, input: Map, rows: &mut Vec<Row>) -> Result<Map, PlanError> {
        let child =
            |name: &dyn Display| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        let named = |part: &Self, i: usize| match part {
            Self::Named(..) => path.clone(),
            _ => child(&i),
        };
        match *self {
            Self::Chain(parts) => {
                let parts = parts.iter().enumerate();
                parts.into_iter().try_fold(input, |map, (i, part)| part.walk(named(part, i), map, rows))
            }
            Self::Repeat(part, n) => (0..n).try_fold(input, |map, i| part.walk(child(&i), map, rows)),
            Self::Named(name, part) => part.walk(child(&name), input, rows),
            Self::Branches(parts) | Self::Sum(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    part.walk(named(part, i), input, rows)?;
                }
                let totals = self.totals(input).map_err(|misfit| PlanError { path, misfit })?;
                Ok(totals.output)
            }
            Self::Skip(part) => {
                part.walk(named(part, 0), input, rows)?;
                let totals = self.totals(input).map_err(|misfit| PlanError { path, misfit })?;
                Ok(totals.output)
            }
            Self::Pointwise | Self::Activation(_) => Ok(input),
            leaf => {
                let cost = leaf.leaf(input).map_err(|misfit| PlanError { path: path.clone(), misfit })?;
                rows.push(Row { path, plan: leaf, cost });
                Ok(cost.output)
            }
        }
    }
}

impl Totals {
    /// Both costs; the output is the second's.
    const fn then(self, next: Self) -> Self {
        Self {
            params: self.params + next.params,
            macs: self.macs + next.macs,
            operations: self.operations + next.operations,
            activations: self.activations + next.activations,
            output: next.output,
        }
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [c, h, w] = self.output;
        write!(f, "{} parameters, {} multiply-adds, output {c} x {h} x {w}", self.params, self.macs)
    }
}

/// The plan of a type, of its description and of its built module.
macro_rules! planned {
    ($([$($generics:tt)*] $name:ty: $plan:expr;)*) => { $(
        impl<$($generics)*> Planned for $name {
            const PLAN: Plan = $plan;
        }
    )* };
}

const fn square(kernel: usize, stride: usize, padding: usize, dilation: usize) -> Taps {
    Taps { kernel, stride, padding, dilation }
}

/// The window of a sequence, which is a map of height 1.
const fn line(kernel: usize, stride: usize, padding: usize, dilation: usize) -> [Taps; 2] {
    [Taps::new(1), square(kernel, stride, padding, dilation)]
}

/// A border whose type says how wide it is.
pub trait Margins {
    /// Positions that it adds above, below, left and right.
    const SIDES: [usize; 4];
}

macro_rules! margins {
    ($($border:ident)*) => { $(
        impl<const TOP: usize, const BOTTOM: usize, const LEFT: usize, const RIGHT: usize> Margins
            for resampling::$border<TOP, BOTTOM, LEFT, RIGHT>
        {
            const SIDES: [usize; 4] = [TOP, BOTTOM, LEFT, RIGHT];
        }
    )* };
}
margins!(Zeros Reflection Replication Circular);

macro_rules! convolutions {
    ($([$($more:tt)*] $name:ident<$($extra:ident),*>;)*) => { $(
        impl<
            const I: usize, const O: usize, const KH: usize, const KW: usize, const SY: usize, const PY: usize,
            const LY: usize, const SX: usize, const PX: usize, const LX: usize, $($more)* A: Activation,
            B: BiasOption, G: Grouping<I>,
        > Planned for $name<I, O, KH, KW, Steps<SY, PY, LY>, Steps<SX, PX, LX>, $($extra,)* A, B, G>
        {
            const PLAN: Plan = Plan::Convolution {
                from: I,
                to: O,
                taps: [square(KH, SY, PY, LY), square(KW, SX, PX, LX)],
                groups: G::COUNT,
                is_biased: B::EXISTS,
                activation: A::KIND,
            };
        }
    )* };
}
use convolution::RectConv2D as Built;
use convolution::builder::RectConv2D as Described;
convolutions! {
    [] Described<>;
    [E: Dtype, D: Storage<E>,] Built<E, D>;
}

planned! {
    [const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize, const Q: usize,
        A: Activation, G: Grouping<O>] convolution::builder::ConvTranspose2D<I, O, K, S, P, L, Q, A, G>:
        Plan::Transposed {
            from: I, to: O, groups: G::COUNT, taps: [square(K, S, P, L); 2], output_padding: [Q; 2],
            activation: A::KIND
        };
    [const I: usize, const O: usize, const K: usize, E: Dtype, D: Storage<E>, const S: usize, const P: usize,
        const L: usize, const Q: usize, A: Activation, G: Grouping<O>]
        modules::ConvTranspose2D<I, O, K, E, D, S, P, L, Q, A, G>:
        Plan::Transposed {
            from: I, to: O, groups: G::COUNT, taps: [square(K, S, P, L); 2], output_padding: [Q; 2],
            activation: A::KIND
        };
    [const I: usize, const O: usize, A: Activation] linear::builder::Linear<I, O, A>:
        Plan::Linear { from: I, to: O, is_biased: true, activation: A::KIND };
    [const I: usize, const O: usize, E: Dtype, D: Storage<E>, A: Activation] modules::Linear<I, O, E, D, A>:
        Plan::Linear { from: I, to: O, is_biased: true, activation: A::KIND };
    [const C: usize, A: Activation] normalisation::builder::BatchNorm<C, A>:
        Plan::PerChannel { channels: C, params: 2, activation: A::KIND };
    [const C: usize, E: Dtype, D: Storage<E>, A: Activation] modules::BatchNorm<C, E, D, A>:
        Plan::PerChannel { channels: C, params: 2, activation: A::KIND };
    [const C: usize, const G: usize] normalisation::builder::GroupNorm<C, G>:
        Plan::PerChannel { channels: C, params: 2, activation: ActivationKind::Identity };
    [const C: usize, const G: usize, E: Dtype, D: Storage<E>] modules::GroupNorm<C, G, E, D>:
        Plan::PerChannel { channels: C, params: 2, activation: ActivationKind::Identity };
    [const K: usize, const S: usize, const P: usize, const L: usize] modules::MaxPool2D<K, S, P, L>:
        Plan::Pool { taps: [square(K, S, P, L); 2], rounding: Rounding::Down, reduction: Reduction::Max };
    [const K: usize, const S: usize, const P: usize, const L: usize] modules::MaxPool2DCeil<K, S, P, L>:
        Plan::Pool { taps: [square(K, S, P, L); 2], rounding: Rounding::Up, reduction: Reduction::Max };
    [const K: usize, const S: usize, const P: usize] modules::AvgPool2D<K, S, P>:
        Plan::Pool { taps: [square(K, S, P, 1); 2], rounding: Rounding::Down, reduction: Reduction::Average };
    [const K: usize, const S: usize, const P: usize] modules::AvgPool2DCeil<K, S, P>:
        Plan::Pool { taps: [square(K, S, P, 1); 2], rounding: Rounding::Up, reduction: Reduction::Average };
    [const O: usize, const P: usize] modules::AdaptiveAvgPool2D<O, P>: Plan::Adaptive { to: [O, P] };
    [] modules::GlobalAvgPool: Plan::Global;
    [] modules::GlobalMaxPool: Plan::Global;
    [] Flatten: Plan::Flatten;
    [const R: usize, I] modules::Upsample<R, I>: Plan::Upsample { factor: [R; 2] };
    [const R: usize, I] modules::Upsample1D<R, I>: Plan::Upsample { factor: [1, R] };
    [const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize, const Q: usize,
        A: Activation, G: Grouping<O>] convolution::builder::ConvTranspose1D<I, O, K, S, P, L, Q, A, G>:
        Plan::Transposed {
            from: I, to: O, groups: G::COUNT, taps: line(K, S, P, L), output_padding: [0, Q],
            activation: A::KIND
        };
    [const I: usize, const O: usize, const K: usize, E: Dtype, D: Storage<E>, const S: usize, const P: usize,
        const L: usize, const Q: usize, A: Activation, G: Grouping<O>]
        modules::ConvTranspose1D<I, O, K, E, D, S, P, L, Q, A, G>:
        Plan::Transposed {
            from: I, to: O, groups: G::COUNT, taps: line(K, S, P, L), output_padding: [0, Q],
            activation: A::KIND
        };
    [const I: usize, const O: usize, const K: usize, const S: usize, const P: usize, const L: usize,
        A: Activation, B: BiasOption, G: Grouping<I>] convolution::builder::Conv1D<I, O, K, S, P, L, A, B, G>:
        Plan::Convolution { from: I, to: O, taps: line(K, S, P, L), groups: G::COUNT, is_biased: B::EXISTS,
            activation: A::KIND };
    [const I: usize, const O: usize, const K: usize, E: Dtype, D: Storage<E>, const S: usize, const P: usize,
        const L: usize, A: Activation, B: BiasOption, G: Grouping<I>] modules::Conv1D<I, O, K, E, D, S, P, L, A, B, G>:
        Plan::Convolution { from: I, to: O, taps: line(K, S, P, L), groups: G::COUNT, is_biased: B::EXISTS,
            activation: A::KIND };
    [const K: usize, const S: usize, const P: usize, const L: usize] modules::MaxPool1D<K, S, P, L>:
        Plan::Pool { taps: line(K, S, P, L), rounding: Rounding::Down, reduction: Reduction::Max };
    [const K: usize, const S: usize, const P: usize, const L: usize] modules::MaxPool1DCeil<K, S, P, L>:
        Plan::Pool { taps: line(K, S, P, L), rounding: Rounding::Up, reduction: Reduction::Max };
    [const K: usize, const S: usize, const P: usize] modules::AvgPool1D<K, S, P>:
        Plan::Pool { taps: line(K, S, P, 1), rounding: Rounding::Down, reduction: Reduction::Average };
    [const K: usize, const S: usize, const P: usize] modules::AvgPool1DCeil<K, S, P>:
        Plan::Pool { taps: line(K, S, P, 1), rounding: Rounding::Up, reduction: Reduction::Average };
    [const O: usize] modules::AdaptiveAvgPool1D<O>: Plan::Adaptive { to: [1, O] };
    [P: Margins] modules::Pad1D<P>: Plan::Pad { sides: P::SIDES };
    [P: Margins] modules::Pad2D<P>: Plan::Pad { sides: P::SIDES };
    [F: Planned] nn::Residual<F>: Plan::Sum(&[F::PLAN, Plan::Pointwise]);
    [F: Planned, const N: usize] nn::Repeated<F, N>: Plan::Repeat(&F::PLAN, N);
}

macro_rules! pointwise {
    ($($module:ty)*) => { $(
        impl Planned for $module {
            const PLAN: Plan = Plan::Pointwise;
        }
    )* };
}
pointwise!(() dropout::Dropout dropout::FeatureDropout modules::Identity modules::LocalResponseNorm
    modules::InstanceNorm2D);

macro_rules! activations {
    ($($module:ty: $kind:expr;)*) => { $(
        impl Planned for $module {
            const PLAN: Plan = Plan::Activation($kind);
        }
    )* };
}
activations! {
    modules::Relu: modules::Relu::KIND;
    modules::LeakyRelu: ActivationKind::LeakyRelu(0.01); // what it is built with
    modules::Sigmoid: modules::Sigmoid::KIND;
    modules::Tanh: modules::Tanh::KIND;
    modules::LecunTanh: modules::LecunTanh::KIND;
    modules::Gelu: modules::Gelu::KIND;
    modules::Silu: modules::Silu::KIND;
    modules::Softplus: modules::Softplus::KIND;
    modules::Relu6: modules::Relu6::KIND;
    modules::Elu: ActivationKind::Elu(1.0);
    modules::Selu: modules::Selu::KIND;
    modules::Mish: modules::Mish::KIND;
    modules::HardSwish: modules::HardSwish::KIND;
    nn::ReLU: ActivationKind::Relu;
    nn::Sigmoid: ActivationKind::Sigmoid;
    nn::Tanh: ActivationKind::Tanh;
}

macro_rules! tuples {
    ($($module:ident)+) => {
        impl<$($module: Planned),+> Planned for ($($module,)+) {
            const PLAN: Plan = Plan::Chain(&[$($module::PLAN),+]);
        }
        impl<$($module: Planned),+> Planned for resampling::Concat<($($module,)+)> {
            const PLAN: Plan = Plan::Chain(&[Plan::Branches(&[$($module::PLAN),+])]); // a chain: its field is `0`
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C F);
tuples!(A B C F G);
tuples!(A B C F G H);
