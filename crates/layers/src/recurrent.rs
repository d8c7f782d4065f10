//! Recurrent layers: plain, LSTM (with and without peepholes), GRU, in one or both directions.
//!
//! Equations, symbols, lengths and papers stand in [`kernels::sequence::recurrent`]; each layer runs a whole padded
//! batch, `(B, T, I)` → `(B, T, H)`, in one operation. Tensors have PyTorch's names and order of gates, with the axis of
//! the gates apart: `weight_ih` is `(G, H, I)` where PyTorch has `(G H, I)`, in the same order of elements.
//!
//! | I want | write |
//! |---|---|
//! | all states of a batch of equal lengths | `layer.forward(x)` |
//! | lengths, initial states, the reverse direction, final states | [`Recurrent::try_run`] |
//! | several layers | a tuple: `(Lstm<I, H>, Dropout, Lstm<H, H>)`, dropout between layers, not on the recurrent path |
//! | several layers of padded sequences | the same with [`Padded`] as input |
//! | both directions | [`Bidirectional`] |
//!
//! **Initialisation**: uniform in $[-1/\sqrt H, 1/\sqrt H]$, as PyTorch. A forget gate that starts open lets an LSTM
//! remember from the first step (Jozefowicz, Zaremba & Sutskever 2015): [`Lstm::set_forget_bias`].
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection, TensorOptions};
use dfdx::nn::{BuildModule, BuildOnDevice, Module, NonMutableModule};
use dfdx::prelude::{
    Axis, Const, Dim, Dtype, HasShape, PutTape, Rank2, Rank3, ReshapeTo, SplitTape, Storage, Tape, Tensor,
    TryConcatAlong,
};
use kernels::sequence::{
    Direction, Recurrence, RecurrentOutput, RecurrentWeights, RnnActivation, SequenceDevice, try_gru,
    try_lstm, try_rnn,
};
use kernels::{Error, InputGradient, Real};
use rand_distr::Uniform;

/// Descriptions of recurrent layers, for `build_module`.
pub mod builder {
    /// Builds a [`Rnn`](super::Rnn) from `I` features to `H` hidden units.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Rnn<const I: usize, const H: usize>;
    /// Builds an [`Lstm`](super::Lstm) from `I` features to `H` hidden units.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Lstm<const I: usize, const H: usize>;
    /// Builds a [`PeepholeLstm`](super::PeepholeLstm) from `I` features to `H` hidden units.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct PeepholeLstm<const I: usize, const H: usize>;
    /// Builds a [`Gru`](super::Gru) from `I` features to `H` hidden units.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Gru<const I: usize, const H: usize>;
    /// Builds a [`Bidirectional`](super::Bidirectional) layer of two `R` with `O` outputs, twice those of `R`.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Bidirectional<R, const O: usize>(std::marker::PhantomData<R>);
}

/// A layer that runs a recurrence over sequences of `I` features with `H` hidden units.
pub trait Recurrent<const I: usize, const H: usize, E: Real, D: SequenceDevice<E>> {
    /// All states and the final ones, with lengths, direction and initial states; see [`Recurrence`].
    ///
    /// # Errors
    /// Those of [`kernels::sequence::recurrent::try_lstm`].
    fn try_run<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        x: Tensor<(B, S, Const<I>), E, D, T>,
        options: &Recurrence<'_, B, H, E, D>,
    ) -> Result<RecurrentOutput<B, S, H, E, D, T>, Error>;

    /// [`try_run`](Self::try_run), panicking on its errors.
    ///
    /// # Panics
    /// On the errors of [`try_run`](Self::try_run).
    fn run<B: Dim, S: Dim, T: Tape<E, D>>(
        &self,
        x: Tensor<(B, S, Const<I>), E, D, T>,
        options: &Recurrence<'_, B, H, E, D>,
    ) -> RecurrentOutput<B, S, H, E, D, T> {
        self.try_run(x, options).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A batch of sequences of different lengths, padded to the longest: what goes through a tuple of recurrent layers.
///
/// # Examples
/// ```
/// use layers::{prelude::*, recurrent::Padded};
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<(Lstm<3, 4>, Gru<4, 2>), f32>();
/// let x: Tensor<(usize, usize, Const<3>), f32, _> = dev.zeros_like(&(2, 5, Const));
/// let y = model.forward(Padded { x, lengths: vec![5, 2] });
/// assert_eq!(y.x.as_vec()[10 + 2 * 2..], [0.0; 6]); // nothing after the second position
/// ```
#[derive(Clone, Debug)]
pub struct Padded<X> {
    /// The batch, `(B, T, F)`.
    pub x: X,
    /// Valid positions of each sequence.
    pub lengths: Vec<usize>,
}

/// The default initialisation of a layer with `hidden` units.
fn uniform<E: Real>(hidden: usize) -> Uniform<E> {
    let bound = E::one() / E::of(hidden as f64).sqrt();
    Uniform::new(-bound, bound)
}

macro_rules! recurrent {
    ($(
        $(#[$doc:meta])*
        $name:ident, $gates:literal {
            $($(#[$tensor_doc:meta])* $tensor:ident: $shape:ty,)*
        } [$($(#[$option_doc:meta])* $option:ident: $option_type:ty = $default:expr),*]
        |$layer:ident, $x:ident, $weights:ident, $options:ident| $run:expr;
    )*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// The forward pass, when the device fails; [`try_run`](Recurrent::try_run) returns the error.
        #[derive(Clone, Debug)]
        pub struct $name<const I: usize, const H: usize, E: Dtype, D: Storage<E>> {
            /// $W$, one matrix per gate.
            pub weight_ih: Tensor<Rank3<$gates, H, I>, E, D>,
            /// $U$, one matrix per gate.
            pub weight_hh: Tensor<Rank3<$gates, H, H>, E, D>,
            /// $b^x$.
            pub bias_ih: Tensor<Rank2<$gates, H>, E, D>,
            /// $b^h$.
            pub bias_hh: Tensor<Rank2<$gates, H>, E, D>,
            $($(#[$tensor_doc])* pub $tensor: Tensor<$shape, E, D>,)*
            $($(#[$option_doc])* pub $option: $option_type,)*
            /// Whether backward computes the gradient of the input; see [`Linear`](crate::modules::Linear).
            pub input_gradient: InputGradient,
        }

        impl<const I: usize, const H: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
            for builder::$name<I, H>
        {
            type Built = $name<I, H, E, D>;
            fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
                Self::Built::try_build(device)
            }
        }

        impl<const I: usize, const H: usize, E: Real, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
            for $name<I, H, E, D>
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<I, H, E2, D2>;

            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                recurrent!(@visit visitor, $name, H, [weight_ih weight_hh bias_ih bias_hh $($tensor)*], [$($option = $default),*])
            }
        }

        impl<const I: usize, const H: usize, E: Dtype, D: Storage<E>> NonMutableModule for $name<I, H, E, D> {}

        impl<const I: usize, const H: usize, E: Real, D: SequenceDevice<E>> Recurrent<I, H, E, D>
            for $name<I, H, E, D>
        {
            fn try_run<B: Dim, S: Dim, T: Tape<E, D>>(
                &self,
                $x: Tensor<(B, S, Const<I>), E, D, T>,
                options: &Recurrence<'_, B, H, E, D>,
            ) -> Result<RecurrentOutput<B, S, H, E, D, T>, Error> {
                let $layer = self;
                let $weights = &RecurrentWeights {
                    input: &self.weight_ih,
                    hidden: &self.weight_hh,
                    bias_input: &self.bias_ih,
                    bias_hidden: &self.bias_hh,
                };
                let input_gradient = match self.input_gradient {
                    InputGradient::Skipped => InputGradient::Skipped,
                    InputGradient::Needed => options.input_gradient,
                };
                let $options = Recurrence { input_gradient, ..*options };
                $run
            }
        }

        impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
            Module<Tensor<(B, S, Const<I>), E, D, T>> for $name<I, H, E, D>
        {
            type Output = Tensor<(B, S, Const<H>), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
                Ok(self.run(x, &Recurrence::default()).y)
            }
        }

        impl<const I: usize, const H: usize, B: Dim, S: Dim, E: Real, D: SequenceDevice<E>, T: Tape<E, D>>
            Module<Padded<Tensor<(B, S, Const<I>), E, D, T>>> for $name<I, H, E, D>
        {
            type Output = Padded<Tensor<(B, S, Const<H>), E, D, T>>;
            type Error = D::Err;
            fn try_forward(
                &self,
                Padded { x, lengths }: Padded<Tensor<(B, S, Const<I>), E, D, T>>,
            ) -> Result<Self::Output, D::Err> {
                let y = self.run(x, &Recurrence { lengths: Some(&lengths), ..Default::default() }).y;
                Ok(Padded { x: y, lengths })
            }
        }

        impl<const I: usize, const H: usize, const O: usize, B: Dim, S: Dim, E, D, T>
            Module<Tensor<(B, S, Const<I>), E, D, T>> for Bidirectional<$name<I, H, E, D>, O>
        where
            E: Real,
            D: SequenceDevice<E>,
            T: Tape<E, D>,
        {
            type Output = Tensor<(B, S, Const<O>), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(B, S, Const<I>), E, D, T>) -> Result<Self::Output, D::Err> {
                Ok(self.try_run(x, None).unwrap_or_else(|error| panic!("{error}")))
            }
        }

        impl<const I: usize, const H: usize, const O: usize, B: Dim, S: Dim, E, D, T>
            Module<Padded<Tensor<(B, S, Const<I>), E, D, T>>> for Bidirectional<$name<I, H, E, D>, O>
        where
            E: Real,
            D: SequenceDevice<E>,
            T: Tape<E, D>,
        {
            type Output = Padded<Tensor<(B, S, Const<O>), E, D, T>>;
            type Error = D::Err;
            fn try_forward(
                &self,
                Padded { x, lengths }: Padded<Tensor<(B, S, Const<I>), E, D, T>>,
            ) -> Result<Self::Output, D::Err> {
                let y = self.try_run(x, Some(&lengths)).unwrap_or_else(|error| panic!("{error}"));
                Ok(Padded { x: y, lengths })
            }
        }
    )*};
    (@visit $visitor:ident, $name:ident, $hidden:ident, [$($tensor:ident)*], [$($option:ident = $default:expr),*]) => {
        $visitor.visit_fields(
            ($(Self::tensor(
                stringify!($tensor),
                |s| &s.$tensor,
                |s| &mut s.$tensor,
                TensorOptions::reset_with(|tensor| tensor.try_fill_with_distr(uniform($hidden))),
            ),)*),
            |($($tensor,)*)| $name {
                $($tensor,)*
                $($option: $default,)*
                input_gradient: InputGradient::Needed,
            },
        )
    };
}

recurrent! {
    /// The plain recurrent network of Elman (1990), with tanh unless changed.
    ///
    /// # Examples
    /// ```
    /// use layers::prelude::*;
    /// let dev = Cpu::seed_from_u64(0);
    /// let model = dev.build_module::<(Rnn<3, 5>, Linear<5, 2>), f32>();
    /// let y: Tensor<Rank3<4, 7, 2>, f32, _> = model.forward(dev.sample_normal::<Rank3<4, 7, 3>>());
    /// ```
    Rnn, 1 {} [
        /// $\varphi$; building and dfdx's `to_dtype` set tanh.
        activation: RnnActivation = RnnActivation::Tanh,
        /// $\alpha$ of a leaky unit; 1 is the plain network, which building and `to_dtype` set.
        leak: f64 = 1.0
    ] |layer, x, weights, options| try_rnn(x, layer.activation, layer.leak, weights, &options);

    /// The LSTM with forget gate; gates in the order i, f, g, o.
    ///
    /// # Examples
    /// ```
    /// use layers::{Cost, prelude::*, recurrent::Recurrent};
    /// use kernels::sequence::{Direction, Recurrence};
    /// let dev = Cpu::seed_from_u64(0);
    /// let layer = dev.build_module::<Lstm<3, 5>, f32>();
    /// let x: Tensor<Rank3<2, 7, 3>, f32, _> = dev.sample_normal();
    /// let options = Recurrence { lengths: Some(&[7, 4]), direction: Direction::Reverse, ..Default::default() };
    /// let output = layer.run(x, &options);
    /// assert_eq!(output.y.array()[1][0], output.hidden.array()[1]); // the last position read is the first
    /// assert_eq!(Lstm::<64, 128>::PARAMS, 99_328);
    /// ```
    Lstm, 4 {} [] |_layer, x, weights, options| try_lstm(x, weights, &options);

    /// The LSTM whose gates also see the cell (Gers, Schraudolph & Schmidhuber 2002).
    PeepholeLstm, 4 {
        /// $p$, of i, f and o.
        peepholes: Rank2<3, H>,
    } [] |layer, x, weights, options| {
        let options = Recurrence { peepholes: Some(&layer.peepholes), ..options };
        try_lstm(x, weights, &options)
    };

    /// The gated recurrent unit in PyTorch's form; gates in the order r, z, n.
    ///
    /// # Examples
    /// ```
    /// use layers::{Cost, prelude::*};
    /// assert_eq!((Gru::<64, 128>::PARAMS, Gru::<64, 128>::MACS), (74_496, 3 * 128 * (64 + 128)));
    /// ```
    Gru, 3 {} [] |_layer, x, weights, options| try_gru(x, weights, &options);
}

impl<const I: usize, const H: usize, E: Real, D: dfdx::prelude::Device<E>> Lstm<I, H, E, D> {
    /// Sets the bias of the forget gate: `bias_ih` to `value`, `bias_hh` to 0, so that their *sum* is `value`.
    ///
    /// # Panics
    /// When the device fails.
    pub fn set_forget_bias(&mut self, value: f64) {
        for (bias, value) in [(&mut self.bias_ih, value), (&mut self.bias_hh, 0.0)] {
            let mut values = bias.as_vec();
            values[H..2 * H].fill(E::of(value));
            bias.copy_from(&values);
        }
    }
}

/// Two layers, one in each direction, outputs side by side: `(B, T, I)` → `(B, T, O)` with `O` = 2 H.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// type Model = (Bidirectional<Lstm<3, 4>, 8>, Bidirectional<Lstm<8, 4>, 8>);
/// let model = dev.build_module::<Model, f32>();
/// let y: Tensor<(usize, usize, Const<8>), f32, _> = model.forward(dev.zeros_like(&(2, 5, Const::<3>)));
/// ```
/// The number of outputs is checked by the compiler:
/// ```compile_fail
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let model = dev.build_module::<Bidirectional<Lstm<3, 4>, 9>, f32>();
/// let y: Tensor<Rank3<2, 5, 9>, f32, _> = model.forward(dev.zeros::<Rank3<2, 5, 3>>());
/// ```
#[derive(Clone, Debug)]
pub struct Bidirectional<R, const O: usize> {
    /// Reads from the first position.
    pub forward: R,
    /// Reads from the last valid position.
    pub reverse: R,
}

impl<R: BuildOnDevice<D, E>, const O: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E>
    for builder::Bidirectional<R, O>
where
    R::Built: TensorCollection<E, D>,
    Bidirectional<R::Built, O>: BuildModule<D, E>,
{
    type Built = Bidirectional<R::Built, O>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}

impl<R: TensorCollection<E, D>, const O: usize, E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for Bidirectional<R, O>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Bidirectional<R::To<E2, D2>, O>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::module("forward", |s| &s.forward, |s| &mut s.forward),
                Self::module("reverse", |s| &s.reverse, |s| &mut s.reverse),
            ),
            |(forward, reverse)| Bidirectional { forward, reverse },
        )
    }
}

impl<R, const O: usize> NonMutableModule for Bidirectional<R, O> {}

impl<R, const O: usize> Bidirectional<R, O> {
    /// Both directions, side by side.
    ///
    /// # Errors
    /// Those of [`Recurrent::try_run`].
    pub fn try_run<const I: usize, const H: usize, B: Dim, S: Dim, E, D, T>(
        &self,
        x: Tensor<(B, S, Const<I>), E, D, T>,
        lengths: Option<&[usize]>,
    ) -> Result<Tensor<(B, S, Const<O>), E, D, T>, Error>
    where
        R: Recurrent<I, H, E, D>,
        E: Real,
        D: SequenceDevice<E>,
        T: Tape<E, D>,
    {
        const {
            assert!(O == 2 * H, "a bidirectional layer has twice the outputs of each direction");
        }
        let (x, tape) = x.split_tape();
        let shape = (x.shape().0, x.shape().1, Const::<O>);
        let flat = (shape.0.size(), shape.1.size(), H);
        let forward = Recurrence { lengths, ..Default::default() };
        let reverse = Recurrence { direction: Direction::Reverse, ..forward };
        let ahead = self.forward.try_run(x.clone().put_tape(tape), &forward)?.y;
        let back = self.reverse.try_run(x.put_tape(T::default()), &reverse)?.y;
        let join = || {
            let (ahead, back) = (ahead.try_reshape_like(&flat)?, back.try_reshape_like(&flat)?);
            (ahead, back).try_concat_along(Axis::<2>)?.try_reshape_like(&shape)
        };
        join().map_err(|error: D::Err| Error::Device(kernels::DeviceError::new(error)))
    }
}
