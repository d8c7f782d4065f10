//! Recurrent layers over a whole padded batch in one operation: plain, LSTM and GRU.
//!
//! | cell | equations, with $a^x_k = W_k x_t + b^x_k$ and $a^h_k = U_k h_{t-1} + b^h_k$ for gate $k$ |
//! |---|---|
//! | [`rnn`] | $h_t = (1 - \alpha) h_{t-1} + \alpha\,\varphi(a^x + a^h)$ with $\varphi$ tanh or ReLU |
//! | [`lstm`] | $i = \sigma(a^x_0 + a^h_0 + p_0 c_{t-1})$, $f = \sigma(a^x_1 + a^h_1 + p_1 c_{t-1})$, $g = \tanh(a^x_2 + a^h_2)$, $c_t = f c_{t-1} + i g$, $o = \sigma(a^x_3 + a^h_3 + p_2 c_t)$, $h_t = o \tanh c_t$ |
//! | [`gru`] | $r = \sigma(a^x_0 + a^h_0)$, $z = \sigma(a^x_1 + a^h_1)$, $n = \tanh(a^x_2 + r a^h_2)$, $h_t = (1 - z) n + z h_{t-1}$ |
//!
//! | symbol | code | shape |
//! |---|---|---|
//! | $x$ | `x` | `(B, T, I)` |
//! | $W, U$ | [`RecurrentWeights::input`], [`RecurrentWeights::hidden`] | `(G, H, I)`, `(G, H, H)`: PyTorch's `(G H, I)`, row by row |
//! | $b^x, b^h$ | [`RecurrentWeights::bias_input`], [`RecurrentWeights::bias_hidden`] | `(G, H)` |
//! | $p$ | `peepholes` | `(3, H)`: of i, f, o |
//! | $\alpha$ | `leak` | 1: the plain network; smaller: a leaky unit |
//! | $h_t$ | [`RecurrentOutput::y`] | `(B, T, H)` |
//!
//! The order of the gates (i, f, g, o and r, z, n) and the two biases are PyTorch's. Only their sum matters, except for
//! $n$ of the GRU, whose $b^h$ stands inside the product with $r$.
//!
//! **Papers**: Elman (1990); Hochreiter & Schmidhuber (1997) with the forget gate of Gers, Schmidhuber & Cummins (2000) and
//! the peepholes of Gers, Schraudolph & Schmidhuber (2002); Cho et al. (2014), arXiv 1406.1078. **Deviation**: Cho's
//! GRU applies $r$ to $h_{t-1}$ before the product; this is the variant of PyTorch and cuDNN, with one product a step.
//!
//! **Lengths.** Beyond its length a sequence gives 0 and keeps its state; the final state is the one at its last valid
//! position. [`Direction::Reverse`] begins at the last valid position of each sequence. Padding is read by the input
//! product only, so it must be finite.
//!
//! **Complexity**: $G H (I + H)$ multiplications per position forward, twice that backward. The product with $x$ is one
//! for all positions; then groups of 8 sequences run in parallel, each through all its positions. **Memory** for backward:
//! $(G + 1) H$ numbers per position, $(G + 2) H$ for the LSTM.
use super::SequenceDevice;
use crate::{Error, InputGradient, Real};
use dfdx::prelude::*;

/// From which end a sequence is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From position 0.
    #[default]
    Forward,
    /// From the last valid position of each sequence.
    Reverse,
}

/// $\varphi$ of a plain recurrent network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RnnActivation {
    /// $\tanh a$.
    #[default]
    Tanh,
    /// $\max(a, 0)$.
    Relu,
}

/// Which recurrence runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CellKind {
    /// One gate.
    Rnn {
        /// $\varphi$.
        activation: RnnActivation,
        /// $\alpha$ in (0, 1\].
        leak: f64,
    },
    /// Four gates: i, f, g, o.
    Lstm,
    /// Three gates: r, z, n.
    Gru,
}

/// The weights of a recurrence with `G` gates.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentWeights<'a, const G: usize, const I: usize, const H: usize, E: Real, D: Storage<E>> {
    /// $W$.
    pub input: &'a Tensor<Rank3<G, H, I>, E, D>,
    /// $U$.
    pub hidden: &'a Tensor<Rank3<G, H, H>, E, D>,
    /// $b^x$.
    pub bias_input: &'a Tensor<Rank2<G, H>, E, D>,
    /// $b^h$.
    pub bias_hidden: &'a Tensor<Rank2<G, H>, E, D>,
}

/// How a recurrence runs: lengths, direction, initial states.
///
/// Initial states are zeros unless given; gradients are those of a leaf, so a state that another recorded operation
/// made passes them on when `x` carries the tape of that operation.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence<'a, B: Dim, const H: usize, E: Real, D: Storage<E>> {
    /// Valid positions of each sequence; default all.
    pub lengths: Option<&'a [usize]>,
    /// Default forward.
    pub direction: Direction,
    /// $h_0$.
    pub hidden: Option<&'a Tensor<(B, Const<H>), E, D>>,
    /// $c_0$, of the LSTM only.
    pub cell: Option<&'a Tensor<(B, Const<H>), E, D>>,
    /// Peephole weights, of the LSTM only.
    pub peepholes: Option<&'a Tensor<Rank2<3, H>, E, D>>,
    /// Whether backward computes the gradient of `x`; a first layer that reads data does not need it.
    pub input_gradient: InputGradient,
}

impl<B: Dim, const H: usize, E: Real, D: Storage<E>> Default for Recurrence<'_, B, H, E, D> {
    fn default() -> Self {
        Self {
            lengths: None,
            direction: Direction::Forward,
            hidden: None,
            cell: None,
            peepholes: None,
            input_gradient: InputGradient::Needed,
        }
    }
}

impl<B: Dim, const H: usize, E: Real, D: Storage<E>> Recurrence<'_, B, H, E, D> {
    fn check(&self, batch: usize, positions: usize) -> Result<(), Error> {
        if let Some(lengths) = self.lengths {
            if lengths.len() != batch {
                return Err(Error::LengthCount { lengths: lengths.len(), sequences: batch });
            }
            if let Some((sequence, &length)) = lengths.iter().enumerate().find(|(_, l)| **l > positions) {
                return Err(Error::LengthOutOfRange { sequence, length, positions });
            }
        }
        for state in [self.hidden, self.cell].into_iter().flatten() {
            let right = state.shape().0.size();
            if right != batch {
                return Err(Error::SequenceShapes {
                    what: "sequences of x and the initial state",
                    left: batch,
                    right,
                });
            }
        }
        Ok(())
    }
}

/// All states and the final ones. The tape is with `y`; a loss of a final state needs it:
/// `let (y, tape) = output.y.split_tape(); let h = output.hidden.put_tape(tape);`.
#[derive(Clone, Debug)]
pub struct RecurrentOutput<B: Dim, S: Dim, const H: usize, E: Real, D: Storage<E>, T> {
    /// $h_t$ at each position, 0 beyond the length.
    pub y: Tensor<(B, S, Const<H>), E, D, T>,
    /// $h$ after the last position read; gradients pass through it.
    pub hidden: Tensor<(B, Const<H>), E, D>,
    /// $c$ after the last position read; zeros for cells without one.
    pub cell: Tensor<(B, Const<H>), E, D>,
}

type Weights<'a, const G: usize, const I: usize, const H: usize, E, D> = RecurrentWeights<'a, G, I, H, E, D>;

fn run<
    const G: usize,
    B: Dim,
    S: Dim,
    const I: usize,
    const H: usize,
    E: Real,
    D: SequenceDevice<E>,
    T: Tape<E, D>,
>(
    x: Tensor<(B, S, Const<I>), E, D, T>,
    kind: CellKind,
    weights: &Weights<'_, G, I, H, E, D>,
    options: &Recurrence<'_, B, H, E, D>,
) -> Result<RecurrentOutput<B, S, H, E, D, T>, Error> {
    let [batch, positions, _] = x.shape().concrete();
    options.check(batch, positions)?;
    let is_lstm = kind == CellKind::Lstm;
    if !is_lstm && (options.cell.is_some() || options.peepholes.is_some()) {
        return Err(Error::NoCell);
    }
    D::recurrent(x, kind, weights, options)
}

macro_rules! recurrences {
    ($($(#[$doc:meta])* $name:ident $try_name:ident $gates:literal ($($more:ident: $type:ty),*) $kind:expr, $check:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("On the errors of [`", stringify!($try_name), "`].")]
        pub fn $name<B: Dim, S: Dim, const I: usize, const H: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
            x: Tensor<(B, S, Const<I>), E, D, T>,
            $($more: $type,)*
            weights: &RecurrentWeights<'_, $gates, I, H, E, D>,
            options: &Recurrence<'_, B, H, E, D>,
        ) -> RecurrentOutput<B, S, H, E, D, T> {
            $try_name(x, $($more,)* weights, options).unwrap_or_else(|error| panic!("{error}"))
        }

        #[doc = concat!("Fallible twin of [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// [`Error::LengthCount`], [`Error::LengthOutOfRange`], [`Error::SequenceShapes`] for another number of initial
        /// states, [`Error::NoCell`] for options of the LSTM elsewhere, [`Error::LeakOutOfRange`], and the device's
        /// error.
        pub fn $try_name<B: Dim, S: Dim, const I: usize, const H: usize, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>(
            x: Tensor<(B, S, Const<I>), E, D, T>,
            $($more: $type,)*
            weights: &RecurrentWeights<'_, $gates, I, H, E, D>,
            options: &Recurrence<'_, B, H, E, D>,
        ) -> Result<RecurrentOutput<B, S, H, E, D, T>, Error> {
            $check
            run(x, $kind, weights, options)
        }
    )*};
}

recurrences! {
    /// The plain recurrent network; see the [module](self).
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// use kernels::sequence::{Recurrence, RecurrentWeights, RnnActivation, recurrent::rnn};
    /// let device = Cpu::default();
    /// let (one, zero) = (device.tensor([[[1.0_f64]]]), device.tensor([[0.0]]));
    /// let weights =
    ///     RecurrentWeights { input: &one, hidden: &one, bias_input: &zero, bias_hidden: &zero };
    /// let x = device.tensor([[[1.0], [2.0], [3.0]]]);
    /// let sums = rnn(x, RnnActivation::Relu, 1.0, &weights, &Recurrence::default());
    /// assert_eq!((sums.y.array(), sums.hidden.array()), ([[[1.0], [3.0], [6.0]]], [[6.0]]));
    /// ```
    rnn try_rnn 1 (activation: RnnActivation, leak: f64) CellKind::Rnn { activation, leak },
        if !(leak > 0.0 && leak <= 1.0) {
            return Err(Error::LeakOutOfRange { leak });
        };

    /// The LSTM with forget gate, with or without peepholes; see the [module](self).
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// use kernels::sequence::{Recurrence, RecurrentWeights, recurrent::lstm};
    /// let device = Cpu::default();
    /// let (input, hidden) = (device.zeros::<Rank3<4, 1, 2>>(), device.zeros::<Rank3<4, 1, 1>>());
    /// let bias = device.tensor([[0.0_f64], [100.0], [0.0], [0.0]]); // the forget gate is open: c keeps its value
    /// let none = device.zeros::<Rank2<4, 1>>();
    /// let weights =
    ///     RecurrentWeights { input: &input, hidden: &hidden, bias_input: &bias, bias_hidden: &none };
    /// let c = device.tensor([[0.7]]);
    /// let options = Recurrence { cell: Some(&c), ..Default::default() };
    /// let x = device.zeros::<Rank3<1, 50, 2>>();
    /// assert_eq!(lstm(x, &weights, &options).cell.array(), [[0.7]]);
    /// ```
    lstm try_lstm 4 () CellKind::Lstm, {};

    /// The gated recurrent unit; see the [module](self).
    ///
    /// ```
    /// use dfdx::prelude::*;
    /// use kernels::sequence::{Recurrence, RecurrentWeights, recurrent::gru};
    /// let device = Cpu::default();
    /// let (input, hidden) = (device.zeros::<Rank3<3, 1, 2>>(), device.zeros::<Rank3<3, 1, 1>>());
    /// let bias = device.zeros::<Rank2<3, 1>>();
    /// let weights =
    ///     RecurrentWeights { input: &input, hidden: &hidden, bias_input: &bias, bias_hidden: &bias };
    /// let h = device.tensor([[8.0_f64]]);
    /// let options = Recurrence { hidden: Some(&h), ..Default::default() };
    /// let y = gru(device.zeros::<Rank3<1, 3, 2>>(), &weights, &options).y;
    /// assert_eq!(y.array(), [[[4.0], [2.0], [1.0]]]); // z = 1/2 of the old, the new is 0
    /// ```
    gru try_gru 3 () CellKind::Gru, {};
}
