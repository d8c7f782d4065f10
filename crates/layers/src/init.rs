//! Initialisation of a whole model from one key.
//!
//! dfdx's own initialisation (`build_module`, `reset_params`) draws from the device's generator, whose state cannot be
//! saved or compared. A [`Key`] gives every tensor numbers of its own: the values of one do not depend on the sizes of
//! the others or on the number of threads.
//!
//! $$ \sigma = \frac{g}{\sqrt{\text{fan}}}, \qquad \text{uniform: } \pm\sqrt3\,\sigma $$
//!
//! | scheme | fan | gain $g$ | for | paper |
//! |---|---|---|---|---|
//! | [`Init::lecun_normal`] | in | 1 | sigmoid-like units, [SELU](crate::modules::Selu) | LeCun et al. (1998), Efficient BackProp; Klambauer et al. (2017) |
//! | [`Init::glorot_normal`], [`Init::glorot_uniform`] | mean of both | of the activation | tanh | Glorot & Bengio (2010) |
//! | [`Init::he_normal`], [`Init::he_uniform`] | [`Fan::In`] or [`Fan::Out`] | $\sqrt2$ | ReLU | He et al. (2015), arXiv 1502.01852 |
//! | [`Init::Orthogonal`] | none | of the activation | deep linear and recurrent | Saxe et al. (2014), arXiv 1312.6120 |
//! | [`Init::DeltaOrthogonal`] | none | of the activation | deep plain convolutions | Xiao et al. (2018), arXiv 1806.05393, algorithm 1 |
//!
//! A weight `(O, I, K, K)` has fan in $I K^2$ and fan out $O K^2$, as PyTorch defines them; for a transposed convolution
//! `(I, O, K, K)` the names are exchanged there, and so here.
//!
//! # Examples
//! ```
//! use kernels::random::Key;
//! use layers::init::{self, Fan, Init, gain};
//! use layers::prelude::*;
//! type Net = (Conv2D<1, 8, 3, 1, 1, 1, Relu>, Flatten, Linear<6272, 10>);
//! let mut model = Cpu::default().build_module::<Net, f32>();
//! // He's for what a ReLU follows, zeros for biases.
//! init::draw(&mut model, |p| match p.ndim() {
//!     1 => Init::Constant(0.0),
//!     _ => Init::he_normal(p, Fan::In, gain::RELU),
//! }, Key::new(1))?;
//! assert_eq!(model.0.bias.array(), [0.0; 8]);
//! # Ok::<(), layers::params::DeviceError>(())
//! ```
use crate::params::{self, DeviceError, Parameter};
use dfdx::nn::tensor_collection::TensorCollection;
use kernels::random::Key;
use kernels::{Device, Real};

/// Standard deviation of the normal distribution cut at two of its own standard deviations.
const CUT_AT_TWO: f64 = 0.879_625_661_034_239_8;

/// By how much an activation shrinks the signal, undone: what the weights' standard deviation is multiplied by.
pub mod gain {
    /// No activation.
    pub const LINEAR: f64 = 1.0;
    /// The sigmoid, as PyTorch has it.
    pub const SIGMOID: f64 = 1.0;
    /// The hyperbolic tangent: 5/3.
    pub const TANH: f64 = 5.0 / 3.0;
    /// The rectifier: it halves the mean square.
    pub const RELU: f64 = std::f64::consts::SQRT_2;
    /// SELU, as PyTorch has it: 3/4.
    pub const SELU: f64 = 0.75;

    /// The rectifier with a slope for negative inputs: $\sqrt{2 / (1 + a^2)}$.
    ///
    /// ```
    /// assert_eq!(layers::init::gain::leaky_relu(1.0), 1.0);
    /// ```
    pub fn leaky_relu(slope: f64) -> f64 {
        (2.0 / (1.0 + slope * slope)).sqrt()
    }
}

/// Which number of connections the standard deviation is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// Inputs of an output: keeps the size of signals on the way forward.
    In,
    /// Outputs of an input: keeps the size of gradients on the way back.
    Out,
    /// The mean of both, Glorot's compromise.
    Mean,
}

impl Fan {
    /// The number of connections of a weight `(O, I, ...)`.
    ///
    /// ```
    /// use layers::{init::Fan, params, prelude::*};
    /// let model = Cpu::default().build_module::<Conv2D<3, 64, 7>, f32>();
    /// let weight = &params::list(&model)[0];
    /// assert_eq!((Fan::In.of(weight), Fan::Out.of(weight)), (147.0, 3136.0));
    /// ```
    ///
    /// # Panics
    /// For a vector or a scalar, which has no fan: [`Init::Constant`] or [`Init::Keep`] is for those.
    pub fn of(self, parameter: &Parameter) -> f64 {
        let [rows, cols, window @ ..] = &parameter.shape[..] else {
            panic!(
                "{} has {} axes: only weights of two or more have a fan",
                parameter.name,
                parameter.ndim()
            );
        };
        let taps: usize = window.iter().product();
        let (fan_in, fan_out) = ((cols * taps) as f64, (rows * taps) as f64);
        match self {
            Self::In => fan_in,
            Self::Out => fan_out,
            Self::Mean => 0.5 * (fan_in + fan_out),
        }
    }
}

/// What a tensor is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// What it holds already.
    Keep,
    /// One number.
    Constant(f64),
    /// N(0, `standard_deviation`²).
    Normal {
        /// σ.
        standard_deviation: f64,
    },
    /// Uniform in ± `bound`.
    Uniform {
        /// Largest absolute value.
        bound: f64,
    },
    /// A normal distribution without its tails beyond two standard deviations, widened so that what is drawn has
    /// `standard_deviation` (TensorFlow's variance scaling; PyTorch's `trunc_normal_` is not widened).
    TruncatedNormal {
        /// σ of what is drawn.
        standard_deviation: f64,
    },
    /// The first axis against all others is a matrix with orthogonal rows or columns, whichever are fewer, of length
    /// `gain`; uniform among those (Haar).
    Orthogonal {
        /// Length of the rows or columns.
        gain: f64,
    },
    /// Zero but for the middle tap of each window (the later one of two), where channels against channels are
    /// [`Orthogonal`](Self::Orthogonal): with as many channels out as in, a convolution that keeps the size keeps every
    /// length too, through any depth. The paper asks for at least as many channels out as in; with fewer, the rows are
    /// orthogonal in place of the columns. A weight without a window is orthogonal as it is.
    ///
    /// ```
    /// use kernels::random::Key;
    /// use layers::init::{self, Init};
    /// use layers::prelude::*;
    /// let mut model = Cpu::default().build_module::<Conv2D<8, 8, 3, 1, 1>, f64>();
    /// let delta = |p: &layers::params::Parameter| match p.ndim() {
    ///     1 => Init::Constant(0.0),
    ///     _ => Init::DeltaOrthogonal { gain: 1.0 },
    /// };
    /// init::draw(&mut model, delta, Key::new(1))?;
    /// let x = Key::new(2).normal::<Rank4<1, 8, 5, 5>, f64, _>(model.bias.device(), Default::default());
    /// let y = model.forward(x.clone());
    /// let square = |x: Tensor<_, f64, Cpu>| x.square().sum::<Rank0, _>().array();
    /// assert!((square(y) / square(x) - 1.0).abs() < 1e-12);
    /// # Ok::<(), layers::params::DeviceError>(())
    /// ```
    DeltaOrthogonal {
        /// Length of the rows or columns.
        gain: f64,
    },
}

impl Init {
    /// N(0, 1 / fan in).
    pub fn lecun_normal(parameter: &Parameter) -> Self {
        Self::Normal { standard_deviation: deviation(parameter, Fan::In, gain::LINEAR) }
    }
    /// Uniform with variance 1 / fan in.
    pub fn lecun_uniform(parameter: &Parameter) -> Self {
        Self::Uniform { bound: 3.0_f64.sqrt() * deviation(parameter, Fan::In, gain::LINEAR) }
    }
    /// N(0, 2 `gain`² / (fan in + fan out)).
    pub fn glorot_normal(parameter: &Parameter, gain: f64) -> Self {
        Self::Normal { standard_deviation: deviation(parameter, Fan::Mean, gain) }
    }
    /// Uniform with variance 2 `gain`² / (fan in + fan out).
    pub fn glorot_uniform(parameter: &Parameter, gain: f64) -> Self {
        Self::Uniform { bound: 3.0_f64.sqrt() * deviation(parameter, Fan::Mean, gain) }
    }
    /// N(0, `gain`² / fan), with [`gain::RELU`] or [`gain::leaky_relu`].
    pub fn he_normal(parameter: &Parameter, fan: Fan, gain: f64) -> Self {
        Self::Normal { standard_deviation: deviation(parameter, fan, gain) }
    }
    /// Uniform with variance `gain`² / fan.
    pub fn he_uniform(parameter: &Parameter, fan: Fan, gain: f64) -> Self {
        Self::Uniform { bound: 3.0_f64.sqrt() * deviation(parameter, fan, gain) }
    }
}

fn deviation(parameter: &Parameter, fan: Fan, gain: f64) -> f64 {
    gain / fan.of(parameter).sqrt()
}

/// Fills every trainable tensor with what `init` says for it.
///
/// The values depend on the key and on the tensor's position among the trainable ones.
///
/// # Errors
/// The device's error when a tensor cannot be written.
pub fn draw<M, E, D>(model: &mut M, init: impl Fn(&Parameter) -> Init, key: Key) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut position = 0;
    params::visit_mut(model, |parameter, values: &mut [E]| {
        if parameter.is_trainable {
            fill(init(parameter), parameter, values, key.fold(position));
            position += 1;
        }
    })
}

fn fill<E: Real>(init: Init, parameter: &Parameter, values: &mut [E], key: Key) {
    match init {
        Init::Keep => {}
        Init::Constant(constant) => values.fill(E::of(constant)),
        Init::Normal { standard_deviation } => {
            key.fill_normal(values);
            scale(values, standard_deviation);
        }
        Init::Uniform { bound } => {
            key.fill_uniform(values); // in [0, 1)
            values.iter_mut().for_each(|value| *value = E::of(bound) * (*value + *value - E::one()));
        }
        Init::TruncatedNormal { standard_deviation } => {
            let two = E::of(2.0);
            key.fill_normal(values);
            let (mut again, mut round) = (vec![E::zero(); values.len()], 0);
            while values.iter().any(|value| value.abs() > two) {
                round += 1;
                key.fold(round).fill_normal(&mut again);
                let outside = values.iter_mut().zip(&again).filter(|(value, _)| value.abs() > two);
                outside.for_each(|(value, new)| *value = *new);
            }
            scale(values, standard_deviation / CUT_AT_TWO);
        }
        Init::Orthogonal { gain } => {
            let rows = parameter.shape.first().copied().unwrap_or(1);
            orthogonal(values, rows, gain, key);
        }
        Init::DeltaOrthogonal { gain } => {
            let [rows, cols, window @ ..] = &parameter.shape[..] else {
                return fill(Init::Orthogonal { gain }, parameter, values, key);
            };
            let mut matrix = vec![E::zero(); rows * cols];
            orthogonal(&mut matrix, *rows, gain, key);
            let taps: usize = window.iter().product();
            let middle = window.iter().fold(0, |at, length| at * length + length / 2);
            values.fill(E::zero());
            for (taps, element) in values.chunks_exact_mut(taps.max(1)).zip(matrix) {
                taps[middle] = element;
            }
        }
    }
}

fn scale<E: Real>(values: &mut [E], by: f64) {
    values.iter_mut().for_each(|value| *value *= E::of(by));
}

/// Gram–Schmidt, twice, on vectors of normal numbers: the factor R has a positive diagonal then, so Q is Haar.
fn orthogonal<E: Real>(values: &mut [E], rows: usize, gain: f64, key: Key) {
    let cols = values.len().checked_div(rows).unwrap_or(0);
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut vectors = vec![0.0_f64; count * length];
    key.fill_normal(&mut vectors);
    for i in 0..count {
        let (before, rest) = vectors.split_at_mut(i * length);
        let vector = &mut rest[..length];
        for _ in 0..2 {
            for other in before.chunks(length) {
                let dot: f64 = other.iter().zip(&*vector).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= dot * o);
            }
            let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|v| *v /= norm);
        }
    }
    for (at, value) in values.iter_mut().enumerate() {
        let (row, col) = (at / cols, at % cols);
        let element = if rows <= cols { row * length + col } else { col * length + row };
        *value = E::of(gain * vectors[element]);
    }
}

/// Draws every trainable element from a normal distribution with mean 0 and the standard deviation that
/// `standard_deviation` gives for its tensor.
///
/// # Examples
/// Nielsen's first network (chapter 1) starts all weights and biases from N(0, 1); chapter 3 divides the weights by the
/// square root of the number of inputs:
/// ```
/// use kernels::random::Key;
/// use layers::{init, params, prelude::*};
/// let mut model = Cpu::default().build_module::<(Linear<784, 30, Sigmoid>, Linear<30, 10, Sigmoid>), f32>();
/// init::normal(&mut model, |_| 1.0, Key::new(1))?;
/// init::normal(&mut model, |p| if p.ndim() == 2 { (p.shape[1] as f64).powf(-0.5) } else { 1.0 }, Key::new(1))?;
/// # let mean_square = params::flatten(&model.0.weight).iter().map(|w| f64::from(w * w)).sum::<f64>() / 23520.0;
/// # assert!((mean_square * 784.0 - 1.0).abs() < 4.0 * (2.0_f64 / 23520.0).sqrt()); // four standard errors
/// # Ok::<(), params::DeviceError>(())
/// ```
///
/// # Errors
/// The device's error when a tensor cannot be written.
pub fn normal<M, E, D>(
    model: &mut M,
    standard_deviation: impl Fn(&Parameter) -> f64,
    key: Key,
) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    draw(model, |parameter| Init::Normal { standard_deviation: standard_deviation(parameter) }, key)
}
