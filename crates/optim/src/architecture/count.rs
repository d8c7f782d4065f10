//! Parameters, multiply-adds, memory and receptive field of an architecture, by arithmetic.
//!
//! | layer | parameters | multiply-adds (MACs) |
//! |---|---|---|
//! | dense | $n_\text{in} n_\text{out}\ (+\ n_\text{out})$ | $n_\text{in} n_\text{out}$ |
//! | convolution | $k^2 \frac{C_\text{in}}{g} C_\text{out}\ (+\ C_\text{out})$ | weights × $H_\text{out} W_\text{out}$ |
//! | normalisation | $2 C$ | 0 |
//! | recurrent, $g$ gates | $g h (i + h)\ +\ 2 g h$ (PyTorch has two bias vectors) | $g h (i + h)$ per step |
//! | attention, width $d$ | $4 d^2 + 4 d$ | $4 T d^2 + 2 T^2 d$ |
//! | embedding | $V d$ | 0 |
//! | flow of a differential equation, $n$ evaluations of $f$ | those of $f$, once | $n$ times those of $f$ |
//!
//! $$ H_\text{out} = \Bigl\lfloor \frac{H + 2p - d(k - 1) - 1}{s} \Bigr\rfloor + 1, \qquad
//!    r_l = r_{l-1} + d (k - 1) \prod_{i < l} s_i $$
//!
//! One MAC is two FLOPs; biases and element-wise functions are not counted, as usual in the literature. *Elements* are
//! the outputs of all layers, what a backward pass keeps if nothing is computed twice or in place.
//!
//! **Use it** before you build. **Not** for a model that is built already: [`layers::params::count`], and
//! [`layers::Cost`] at compile time.
//! **Check**: torchvision's models, counted by hooks (`golden/counts.json`): all numbers equal.
use std::fmt::{self, Display};

use crate::Error;

/// What flows between two layers, without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Channels, height, width.
    Image(usize, usize, usize),
    /// Tokens (or time steps, or nodes) and features of each.
    Tokens(usize, usize),
    /// Features.
    Vector(usize),
}

impl Size {
    /// Number of elements.
    pub fn elements(self) -> usize {
        match self {
            Self::Image(c, h, w) => c * h * w,
            Self::Tokens(tokens, features) => tokens * features,
            Self::Vector(features) => features,
        }
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(c, h, w) => write!(f, "{c} × {h} × {w}"),
            Self::Tokens(tokens, features) => write!(f, "{tokens} × {features}"),
            Self::Vector(features) => write!(f, "{features}"),
        }
    }
}

/// A square window that slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Taps along each side, $k$.
    pub kernel: usize,
    /// $s$.
    pub stride: usize,
    /// Zeros added on each side, $p$.
    pub padding: usize,
    /// Whether the last, incomplete window counts.
    pub ceil: bool,
}

impl Window {
    /// A window of this kernel and stride, padded by this much.
    pub fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { kernel, stride, padding, ceil: false }
    }

    // ANCHOR: window
    /// Length of the output for an input of length `extent`; none when no window fits.
    pub fn output(self, extent: usize) -> Option<usize> {
        let room = (extent + 2 * self.padding).checked_sub(self.kernel)?;
        let steps = room / self.stride.max(1);
        let incomplete = self.ceil && room % self.stride.max(1) > 0;
        // PyTorch: a last window that starts in the padding on the right does not count.
        let starts_inside = (steps + 1) * self.stride < extent + self.padding;
        Some(steps + 1 + usize::from(incomplete && starts_inside))
    }
    // ANCHOR_END: window
}

/// One layer, or several side by side.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Convolution of images.
    Conv {
        /// Output channels.
        out: usize,
        /// The window.
        window: Window,
        /// Groups of channels, $g$.
        groups: usize,
        /// Whether it has biases.
        bias: bool,
    },
    /// Transposed convolution with stride = kernel, which enlarges an image by that factor.
    Upconv {
        /// Output channels.
        out: usize,
        /// Kernel and stride.
        factor: usize,
    },
    /// Batch or layer normalisation: a scale and a shift for each channel or feature.
    Norm,
    /// An element-wise function with an output of its own.
    Activation,
    /// An element-wise function that overwrites its input: nothing to keep.
    InPlace,
    /// Max or average over a window.
    Pool(Window),
    /// Average down to this height and width.
    AdaptivePool(usize, usize),
    /// The same with no output of its own in the count: a mean computed on the way.
    GlobalMean,
    /// An image as a vector.
    Flatten,
    /// A fully connected layer, on the features of each token where there are tokens.
    Dense {
        /// Outputs.
        out: usize,
        /// Whether it has biases.
        bias: bool,
    },
    /// A lookup of a vector for each token.
    Embedding {
        /// Different tokens.
        vocabulary: usize,
        /// Features.
        features: usize,
    },
    /// A learned vector for each position, added.
    Positions {
        /// Longest sequence.
        longest: usize,
    },
    /// A learned vector for each kind of token, added.
    Segments {
        /// Number of kinds.
        kinds: usize,
    },
    /// A recurrent layer: 1 gate for a plain one, 3 for GRU, 4 for LSTM.
    Recurrent {
        /// Hidden features.
        hidden: usize,
        /// Gates, counting the candidate.
        gates: usize,
    },
    /// Multi-head self-attention with biases; the number of heads changes nothing that is counted.
    Attention,
    /// Messages along edges: a dense layer per node and a sum over neighbours.
    GraphConv {
        /// Output features.
        out: usize,
        /// Edges, both directions and loops counted.
        edges: usize,
    },
    /// The time, as one more channel or feature.
    Time,
    /// The flow of a differential equation: the same layers evaluated again and again by a solver. What is kept is the end:
    /// the way back is solved anew.
    Flow {
        /// The right-hand side, from a size to the same size.
        field: Vec<Layer>,
        /// Evaluations of it on the way forward.
        evaluations: usize,
    },
    /// Branches whose outputs are added.
    Add(Vec<Vec<Layer>>),
    /// Branches whose outputs are concatenated along the channels.
    Concat(Vec<Vec<Layer>>),
}

/// What a network costs for one example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Trainable parameters.
    pub parameters: u64,
    /// Multiply-adds of a forward pass.
    pub macs: u64,
    /// Outputs of all layers.
    pub elements: u64,
    /// Layers with weights for products.
    pub weight_layers: usize,
    /// Side of the square of input pixels that one output can see; 0 where there are no images.
    pub receptive_field: usize,
}

impl Cost {
    // ANCHOR: memory
    /// Bytes to train a batch in f32: parameters, gradients and `slots` numbers of the optimiser for each (plain SGD 0,
    /// momentum 1, Adam 2), and the elements of all examples.
    pub fn training_bytes(&self, batch: u64, slots: u64) -> u64 {
        let numbers = self.parameters.saturating_mul(slots.saturating_add(2));
        numbers.saturating_add(self.elements.saturating_mul(batch)).saturating_mul(4)
    }

    /// FLOPs of a training step: forward, and twice as much backward.
    pub fn training_flops(&self, batch: u64) -> u64 {
        self.macs.saturating_mul(3 * 2).saturating_mul(batch)
    }
    // ANCHOR_END: memory
}

/// An architecture: its name, what goes in, its layers.
#[derive(Clone, Debug)]
pub struct Network {
    /// As its authors call it.
    pub name: &'static str,
    /// Size of one example.
    pub input: Size,
    /// From the input to the output.
    pub layers: Vec<Layer>,
}

/// A walk's running state.
#[derive(Clone, Copy)]
struct At {
    size: Size,
    field: usize,
    jump: usize,
}

impl Network {
    /// Parameters, MACs, elements and receptive field.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] for the first layer that cannot read what it gets.
    pub fn cost(&self) -> Result<Cost, Error> {
        self.walk().map(|(cost, _)| cost)
    }

    /// Size of the output.
    ///
    /// # Errors
    /// As [`cost`](Self::cost).
    pub fn output(&self) -> Result<Size, Error> {
        self.walk().map(|(_, at)| at.size)
    }

    fn walk(&self) -> Result<(Cost, At), Error> {
        let mut cost = Cost::default();
        let is_image = matches!(self.input, Size::Image(..));
        let start = At { size: self.input, field: usize::from(is_image), jump: 1 };
        let at = walk(&self.layers, start, &mut cost)?;
        cost.receptive_field = at.field;
        Ok((cost, at))
    }
}

fn walk(layers: &[Layer], start: At, cost: &mut Cost) -> Result<At, Error> {
    layers.iter().try_fold(start, |at, layer| step(layer, at, cost))
}

// ANCHOR: step
fn step(layer: &Layer, mut at: At, cost: &mut Cost) -> Result<At, Error> {
    let refuse = |at: &At| Error::DoesNotFit { layer: format!("{layer:?}"), input: at.size.to_string() };
    let mut weights = |parameters: usize, biases: usize, positions: usize| {
        cost.parameters += (parameters + biases) as u64;
        cost.macs += (parameters * positions) as u64;
        cost.weight_layers += 1;
    };
    let keeps = match (layer, at.size) {
        (&Layer::Conv { out, window, groups, bias }, Size::Image(c, h, w)) => {
            let (Some(h), Some(w)) = (window.output(h), window.output(w)) else { return Err(refuse(&at)) };
            if groups == 0 || c % groups > 0 || out % groups > 0 {
                return Err(refuse(&at));
            }
            let taps = window.kernel * window.kernel;
            weights(taps * c / groups * out, if bias { out } else { 0 }, h * w);
            at = slide(at, window, Size::Image(out, h, w));
            true
        }
        // ANCHOR_END: step
        (&Layer::Upconv { out, factor }, Size::Image(c, h, w)) => {
            weights(factor * factor * c * out, 0, h * w);
            cost.parameters += out as u64;
            at.size = Size::Image(out, h * factor, w * factor);
            at.jump = (at.jump / factor.max(1)).max(1);
            true
        }
        (Layer::Norm, size) => {
            let channels = match size {
                Size::Image(c, ..) => c,
                Size::Tokens(_, features) | Size::Vector(features) => features,
            };
            cost.parameters += 2 * channels as u64;
            true
        }
        (Layer::Activation, _) => true,
        (Layer::InPlace, _) => false,
        (&Layer::Pool(window), Size::Image(c, h, w)) => {
            let (Some(h), Some(w)) = (window.output(h), window.output(w)) else { return Err(refuse(&at)) };
            at = slide(at, window, Size::Image(c, h, w));
            true
        }
        (&Layer::AdaptivePool(height, width), Size::Image(c, h, w)) => {
            if height == 0 || width == 0 {
                return Err(refuse(&at));
            }
            at.field += (widest_part(h, height).max(widest_part(w, width)) - 1) * at.jump;
            at.jump *= h.div_ceil(height).max(w.div_ceil(width));
            at.size = Size::Image(c, height, width);
            true
        }
        (Layer::GlobalMean, Size::Image(c, h, w)) => {
            at.field += (h.max(w) - 1) * at.jump;
            at.size = Size::Vector(c);
            false
        }
        (Layer::GlobalMean, Size::Tokens(_, features)) => {
            at.size = Size::Vector(features);
            false
        }
        (Layer::Flatten, size) => {
            if let Size::Image(_, h, w) = size {
                at.field += (h.max(w) - 1) * at.jump;
            }
            at.size = Size::Vector(size.elements());
            false
        }
        (&Layer::Dense { out, bias }, size) => {
            let (positions, inputs) = match size {
                Size::Vector(features) => (1, features),
                Size::Tokens(tokens, features) => (tokens, features),
                Size::Image(..) => return Err(refuse(&at)),
            };
            weights(inputs * out, if bias { out } else { 0 }, positions);
            at.size = if let Size::Tokens(tokens, _) = size {
                Size::Tokens(tokens, out)
            } else {
                Size::Vector(out)
            };
            true
        }
        (&Layer::Embedding { vocabulary, features }, Size::Vector(tokens)) => {
            cost.parameters += (vocabulary * features) as u64;
            at.size = Size::Tokens(tokens, features);
            true
        }
        (&Layer::Positions { longest }, Size::Tokens(tokens, features)) => {
            if tokens > longest {
                return Err(refuse(&at));
            }
            cost.parameters += (longest * features) as u64;
            false
        }
        (&Layer::Segments { kinds }, Size::Tokens(_, features)) => {
            cost.parameters += (kinds * features) as u64;
            false
        }
        (&Layer::Recurrent { hidden, gates }, Size::Tokens(tokens, features)) => {
            weights(gates * hidden * (features + hidden), 2 * gates * hidden, tokens);
            at.size = Size::Tokens(tokens, hidden);
            true
        }
        (Layer::Attention, Size::Tokens(tokens, d)) => {
            weights(4 * d * d, 4 * d, tokens);
            cost.macs += (2 * tokens * tokens * d) as u64;
            true
        }
        (&Layer::GraphConv { out, edges }, Size::Tokens(nodes, features)) => {
            weights(features * out, out, nodes);
            cost.macs += (edges * out) as u64;
            at.size = Size::Tokens(nodes, out);
            true
        }
        (Layer::Time, size) => {
            at.size = match size {
                Size::Image(c, h, w) => Size::Image(c + 1, h, w),
                Size::Tokens(tokens, features) => Size::Tokens(tokens, features + 1),
                Size::Vector(features) => Size::Vector(features + 1),
            };
            false
        }
        (Layer::Flow { field, evaluations }, size) => {
            let mut once = Cost::default();
            let end = walk(field, at, &mut once)?;
            if end.size != size || *evaluations == 0 {
                return Err(refuse(&end));
            }
            cost.parameters += once.parameters;
            cost.macs += once.macs * *evaluations as u64;
            cost.weight_layers += once.weight_layers;
            at.field += *evaluations * (end.field - at.field);
            true
        }
        (Layer::Add(branches), _) => {
            let ends = ends(branches, at, cost)?;
            if ends.iter().any(|end| end.size != ends[0].size) {
                return Err(refuse(&ends[ends.len() - 1]));
            }
            at = At { size: ends[0].size, ..widest(&ends) };
            false
        }
        (Layer::Concat(branches), _) => {
            let ends = ends(branches, at, cost)?;
            let mut channels = 0;
            let Size::Image(_, height, width) = ends[0].size else { return Err(refuse(&ends[0])) };
            for end in &ends {
                match end.size {
                    Size::Image(c, h, w) if (h, w) == (height, width) => channels += c,
                    _ => return Err(refuse(end)),
                }
            }
            at = At { size: Size::Image(channels, height, width), ..widest(&ends) };
            false
        }
        _ => return Err(refuse(&at)),
    };
    if keeps {
        cost.elements += at.size.elements() as u64;
    }
    Ok(at)
}

/// The state after a window has slid.
fn slide(at: At, window: Window, size: Size) -> At {
    At { size, field: at.field + (window.kernel - 1) * at.jump, jump: at.jump * window.stride }
}

/// The widest of the `parts` that an adaptive pool cuts a side into; they overlap where they do not fit.
fn widest_part(side: usize, parts: usize) -> usize {
    (0..parts).map(|i| ((i + 1) * side).div_ceil(parts) - i * side / parts).max().unwrap_or(1).max(1)
}

fn ends(branches: &[Vec<Layer>], at: At, cost: &mut Cost) -> Result<Vec<At>, Error> {
    if branches.is_empty() {
        return Err(Error::Empty { what: "Layer::Add and Layer::Concat (branches)" });
    }
    branches.iter().map(|branch| walk(branch, at, cost)).collect()
}

/// The largest receptive field among the branches.
fn widest(ends: &[At]) -> At {
    ends.iter().copied().max_by_key(|end| end.field).unwrap_or(ends[0])
}
