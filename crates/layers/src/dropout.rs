//! Noise layers: dropout of elements and features, alpha dropout, Gaussian dropout, Gaussian noise.
//!
//! Formulas and papers stand in [`kernels::dropout`](mod@kernels::dropout). [`Module`] is evaluation, the identity; [`ModuleMut`] is training,
//! with or without a tape (dfdx's layer allows training only with a tape and evaluation only without, so neither Monte
//! Carlo dropout nor gradients in evaluation compile).
//!
//! **Which**: [`Dropout`] between fully connected layers, [`FeatureDropout`] after convolutions, [`AlphaDropout`] in SELU
//! networks, [`GaussianDropout`] where a smooth factor is wanted, [`GaussianNoise`] on inputs, as a penalty on the
//! gradient there.
//!
//! **Keys.** The noise of training call `n` is a function of the layer's key and `n`, so a checkpoint, which holds both,
//! continues with the same masks. Give each layer its key with [`reseed`], one line for a whole model. A layer without
//! one draws it from the device's generator at its first training call, as dfdx's layer does at every call.
use crate::Dual;
use crate::params::DeviceError;
use dfdx::nn::tensor_collection::{
    ModuleVisitor, RecursiveWalker, ScalarOptions, TensorCollection, TensorOptions, TensorVisitor,
    ViewTensorMut, ViewTensorName,
};
use dfdx::nn::{BuildOnDevice, Module, ModuleMut};
use dfdx::prelude::{Dtype, Shape, Tape, Tensor};
use kernels::dropout::{Noise, feature_span, try_noise};
use kernels::random::Key;
use kernels::{Device, Error, Real};

/// Where the noise of a layer comes from: a key, and how many training calls have drawn from it.
///
/// It is saved with the model, as the scalars `noise_key_0` to `noise_key_3`, `noise_is_seeded` and `noise_calls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseKey {
    words: [u32; 4],
    is_seeded: u8,
    calls: u64,
}

impl From<Key> for NoiseKey {
    fn from(key: Key) -> Self {
        let word = |i: u32| (key.to_bits() >> (32 * i)) as u32;
        Self { words: [0, 1, 2, 3].map(word), is_seeded: 1, calls: 0 }
    }
}

impl NoiseKey {
    /// The key, if there is one yet.
    pub fn key(&self) -> Option<Key> {
        let bits = self.words.iter().rev().fold(0, |bits, &word| bits << 32 | u128::from(word));
        (self.is_seeded == 1).then_some(Key::from_bits(bits))
    }

    /// Training calls so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The key of the next training call.
    fn advance<E: Dtype, D: dfdx::prelude::Device<E>>(&mut self, device: &D) -> Key {
        let key = self.key().unwrap_or_else(|| {
            let key = Key::new(device.random_u64());
            *self = key.into();
            key
        });
        self.calls += 1;
        key.fold(self.calls)
    }
}

/// Gives every noise layer of a model a key of its own, folded from `key` by its position, and starts its calls at 0.
///
/// # Examples
/// ```
/// use kernels::random::Key;
/// use layers::{dropout::reseed, prelude::*};
/// let dev = Cpu::default();
/// let mut model = dev.build_module::<(Linear<4, 8, Relu>, Dropout, Linear<8, 2>), f32>();
/// let x = dev.ones::<Rank2<3, 4>>();
/// let mut run = |seed| {
///     reseed(&mut model, Key::new(seed))?;
///     Ok::<_, layers::params::DeviceError>(model.forward_mut(x.clone()).array())
/// };
/// assert_eq!(run(1)?, run(1)?);
/// assert_ne!(run(1)?, run(2)?);
/// # Ok::<(), layers::params::DeviceError>(())
/// ```
///
/// # Errors
/// The device's error; no device of dfdx 0.13 has one here.
pub fn reseed<M, E, D>(model: &mut M, key: Key) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Dtype,
    D: dfdx::prelude::Device<E>,
{
    let mut reseed = Reseed { key, layers: 0, next: NoiseKey::default() };
    M::iter_tensors(&mut RecursiveWalker { m: (model, String::new()), f: &mut reseed })
        .map(|_| ())
        .map_err(DeviceError::new)
}

struct Reseed {
    key: Key,
    layers: u64,
    next: NoiseKey,
}

impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorVisitor<E, D> for Reseed {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;
    fn visit<S: Shape>(
        &mut self,
        _options: TensorOptions<S, E, D>,
        _tensor: (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        Ok(None)
    }
    fn visit_scalar<N: num_traits::NumCast>(
        &mut self,
        _options: ScalarOptions<N>,
        (scalar, name): (&mut N, String),
    ) -> Result<Option<N>, D::Err> {
        let field = name.rsplit('.').next().unwrap_or_default();
        if field == NAMES[0] {
            self.next = self.key.fold(self.layers).into();
            self.layers += 1;
        }
        let value = match NAMES.iter().position(|&name| name == field) {
            Some(word @ 0..4) => N::from(self.next.words[word]),
            Some(4) => N::from(self.next.is_seeded),
            Some(_) => N::from(self.next.calls),
            None => None,
        };
        if let Some(value) = value {
            *scalar = value;
        }
        Ok(None)
    }
}

/// The scalars of a [`NoiseKey`], in the order of its fields.
const NAMES: [&str; 6] =
    ["noise_key_0", "noise_key_1", "noise_key_2", "noise_key_3", "noise_is_seeded", "noise_calls"];

macro_rules! noise_layers {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $(#[$parameter_doc:meta])*
            $parameter:ident = $default:literal
        } $error:literal $noise:expr;
    )*) => {$(
        $(#[$doc])*
        ///
        /// Checkpoints hold the key and the number of training calls, not the parameter. `reset_params`, and dfdx's
        /// `to_dtype` and `to_device`, make a new layer with the default parameter and no key.
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $parameter: f64,
            /// Where the noise comes from.
            pub noise_key: NoiseKey,
        }

        impl $name {
            /// A layer with this parameter and no key yet.
            ///
            /// # Panics
            /// When the parameter is out of range; [`try_new`](Self::try_new) returns the error.
            pub fn new($parameter: f64) -> Self {
                Self::try_new($parameter).unwrap()
            }

            /// Fallible twin of [`new`](Self::new).
            ///
            /// # Errors
            #[doc = $error]
            pub fn try_new($parameter: f64) -> Result<Self, Error> {
                Self::checked($parameter, 1)?;
                Ok(Self { $parameter, noise_key: NoiseKey::default() })
            }

            /// The same layer with this key.
            pub fn with_key(self, key: Key) -> Self {
                Self { noise_key: key.into(), ..self }
            }

            $(#[$parameter_doc])*
            pub fn $parameter(&self) -> f64 {
                self.$parameter
            }

            fn checked(parameter: f64, span: usize) -> Result<Noise, Error> {
                let noise: fn(f64, usize) -> Result<Noise, Error> = $noise;
                noise(parameter, span)
            }

            fn noise<S: Shape>(&self, shape: &S) -> Noise {
                Self::checked(self.$parameter, feature_span(shape)).expect("the constructor has checked it")
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $parameter: $default, noise_key: NoiseKey::default() }
            }
        }

        impl<E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for $name {
            type Built = Self;
        }

        impl<E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for $name {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Self;
            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                macro_rules! word {
                    ($i:literal) => {
                        <Self as TensorCollection<E, D>>::scalar(
                            NAMES[$i],
                            |s| &s.noise_key.words[$i],
                            |s| &mut s.noise_key.words[$i],
                            ScalarOptions::from_default(0_u32),
                        )
                    };
                }
                let is_seeded = <Self as TensorCollection<E, D>>::scalar(
                    NAMES[4],
                    |s| &s.noise_key.is_seeded,
                    |s| &mut s.noise_key.is_seeded,
                    ScalarOptions::from_default(0_u8),
                );
                let calls = <Self as TensorCollection<E, D>>::scalar(
                    NAMES[5],
                    |s| &s.noise_key.calls,
                    |s| &mut s.noise_key.calls,
                    ScalarOptions::from_default(0_u64),
                );
                visitor.visit_fields(
                    (word!(0), word!(1), word!(2), word!(3), is_seeded, calls),
                    |(a, b, c, d, is_seeded, calls)| Self {
                        noise_key: NoiseKey { words: [a, b, c, d], is_seeded, calls },
                        ..Self::default()
                    },
                )
            }
        }

        /// Evaluation: the identity.
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                Ok(x)
            }
        }

        /// Training: noise from the next key.
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> ModuleMut<Tensor<S, E, D, T>> for $name {
            type Output = Tensor<S, E, D, T>;
            type Error = D::Err;
            fn try_forward_mut(&mut self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
                use dfdx::prelude::HasShape;
                let key = self.noise_key.advance::<E, D>(x.device());
                let noise = self.noise(x.shape());
                try_noise(x, noise, key)
            }
        }

        /// Evaluation: the identity.
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Module<Dual<S, E, D, T>> for $name {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                Ok(x)
            }
        }

        /// Training: the tangent meets the same factors as the value.
        impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> ModuleMut<Dual<S, E, D, T>> for $name {
            type Output = Dual<S, E, D, T>;
            type Error = D::Err;
            fn try_forward_mut(&mut self, x: Dual<S, E, D, T>) -> Result<Self::Output, D::Err> {
                use dfdx::prelude::HasShape;
                let (x, dx) = x.split();
                let key = self.noise_key.advance::<E, D>(x.device());
                let noise = self.noise(x.shape());
                let tangent = try_noise(dx, noise.linear_part(), key)?;
                Ok(Dual::join(try_noise(x, noise, key)?, tangent))
            }
        }
    )*};
}

noise_layers! {
    /// Sets elements to 0 with probability `rate` and scales the others by `1 / (1 - rate)`; built with the rate 0.5.
    ///
    /// # Examples
    /// ```
    /// use kernels::random::Key;
    /// use layers::prelude::*;
    /// let dev = Cpu::default();
    /// let mut model = dev.build_module::<(Linear<4, 8, Relu>, Dropout, Linear<8, 2>), f32>();
    /// model.1 = Dropout::new(0.2).with_key(Key::new(7));
    /// let x = dev.ones::<Rank2<3, 4>>();
    /// let (first, second) = (model.forward_mut(x.clone()).array(), model.forward_mut(x.clone()).array());
    /// assert_ne!(first, second); // training: another mask at each call
    /// assert_eq!(model.forward(x.clone()).array(), model.forward(x).array()); // evaluation: none
    /// ```
    Dropout {
        /// Probability of 0, in \[0, 1).
        rate = 0.5
    } "[`Error::DropoutRate`] when `rate` does not lie in \\[0, 1)." |rate, _| Noise::dropout(rate);
    /// Dropout of whole features: of `(B, C, L)` or `(B, C, H, W)` all positions of a channel at once; built with the
    /// rate 0.5.
    FeatureDropout {
        /// Probability of 0, in \[0, 1).
        rate = 0.5
    } "[`Error::DropoutRate`] when `rate` does not lie in \\[0, 1)." Noise::feature_dropout;
    /// Dropout for SELU networks, which keeps mean 0 and variance 1; built with the rate 0.5 (the paper uses 0.05 to
    /// 0.1).
    AlphaDropout {
        /// Probability of SELU's lower limit, in \[0, 1).
        rate = 0.5
    } "[`Error::DropoutRate`] when `rate` does not lie in \\[0, 1)." |rate, _| Noise::alpha_dropout(rate);
    /// Factors from a normal distribution of mean 1 and variance `rate / (1 - rate)`; built with the rate 0.5.
    GaussianDropout {
        /// The rate of the [`Dropout`] whose factors have the same variance, in \[0, 1).
        rate = 0.5
    } "[`Error::DropoutRate`] when `rate` does not lie in \\[0, 1)." |rate, _| Noise::gaussian_dropout(rate);
    /// Adds normal noise of mean 0; built with the standard deviation 0.1.
    GaussianNoise {
        /// Standard deviation, finite and at least 0, in units of the input.
        deviation = 0.1
    } "[`Error::NoiseDeviation`] when `deviation` is negative or not finite." |deviation, _| Noise::gaussian(deviation);
}
