//! How networks are put together beyond tuples: sums, scaled sums, skips, auxiliary heads.
//!
//! dfdx's `Residual` adds an input to what became of it; the networks of this crate also project the input
//! ([`Block`]), shrink what is added ([`ScaledResidual`]), cut the input to size ([`Skip`]) and look at what lies between
//! ([`WithHeads`]). All take any input that their parts take: tensors with and without a tape, duals.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildOnDevice, Module, ModuleMut, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{
    Const, Dim, Dtype, HasShape, PutTape, ReshapeTo, Shape, Tape, Tensor, TryAdd, TryMul, WithEmptyTape,
};
use kernels::shape::{Plus, PoolWindow};
use kernels::{Device, Real};
use layers::activation::Activation;
use layers::modules::MaxPool2D;
use layers::plan::{Plan, Planned};
use layers::resampling::JoinChannels;
use std::marker::PhantomData;

/// A struct of modules: built part by part, its tensors' names are the fields'.
macro_rules! structure {
    ($(#[$doc:meta])* $name:ident [$($tag:ident),*] { $($(#[$field_doc:meta])* $field:ident: $F:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name<$($F,)+ $($tag),*> {
            $($(#[$field_doc])* pub $field: $F,)+
            tag: PhantomData<($($tag,)*)>,
        }

        impl<E: Dtype, D: dfdx::prelude::Device<E>, $($F: BuildOnDevice<D, E>,)+ $($tag),*> BuildOnDevice<D, E>
            for $name<$($F,)+ $($tag),*>
        {
            type Built = $name<$($F::Built,)+ $($tag),*>;
        }

        impl<E: Dtype, D: dfdx::prelude::Device<E>, $($F: TensorCollection<E, D>,)+ $($tag),*> TensorCollection<E, D>
            for $name<$($F,)+ $($tag),*>
        {
            type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = $name<$($F::To<E2, D2>,)+ $($tag),*>;
            fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
                visitor: &mut V,
            ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
                visitor.visit_fields(
                    ($(Self::module(stringify!($field), |s| &s.$field, |s| &mut s.$field),)+),
                    |($($field,)+)| $name { $($field,)+ tag: PhantomData },
                )
            }
        }
    };
}

structure! {
    /// $y = \varphi(F(x) + S(x))$: the residual block, He et al. (2015), eq. 1 and 2.
    ///
    /// $S$ is [`Identity`](layers::modules::Identity) where the shape stays, else a projection or [`ZeroPad`].
    ///
    /// # Examples
    /// ```
    /// use convnets::blocks::Block;
    /// use layers::prelude::*;
    /// type Basic = Block<(UnbiasedConv2D<4, 4, 3, 1, 1>, BatchNorm2D<4>), Identity, Relu>;
    /// let block = Cpu::default().build_module::<Basic, f32>();
    /// let y: Tensor<Rank4<2, 4, 8, 8>, f32, _> = block.forward(Cpu::default().zeros::<Rank4<2, 4, 8, 8>>());
    /// ```
    Block [] {
        /// $F$.
        branch: F,
        /// $S$.
        shortcut: S,
        /// $\varphi$.
        activation: A
    }
}

impl<F: Planned, S: Planned, A: Activation> Planned for Block<F, S, A> {
    const PLAN: Plan = Plan::Sum(&[Plan::Named("branch", &F::PLAN), Plan::Named("shortcut", &S::PLAN)]);
}

macro_rules! block {
    ($trait:ident $method:ident ($($reference:tt)+)) => {
        impl<X, Y, F, S, A> $trait<X> for Block<F, S, A>
        where
            X: WithEmptyTape,
            Y: TryAdd<Y>,
            F: $trait<X, Output = Y, Error = Y::Err>,
            S: $trait<X, Output = Y, Error = Y::Err>,
            A: $trait<Y, Error = Y::Err>,
        {
            type Output = A::Output;
            type Error = F::Error;
            fn $method($($reference)+ self, x: X) -> Result<A::Output, F::Error> {
                let branch = self.branch.$method(x.with_empty_tape())?;
                let sum = branch.try_add(self.shortcut.$method(x)?)?;
                self.activation.$method(sum)
            }
        }
    };
}
block!(Module try_forward (&));
block!(ModuleMut try_forward_mut (&mut));

/// How much of the branch a [`ScaledResidual`] adds.
pub trait Scale: Copy + Default + std::fmt::Debug + 'static {
    /// The factor.
    const FACTOR: f64;
}

/// What can be added up and multiplied by a number.
pub trait Scaled: TryAdd<Self> + Sized {
    /// `factor` times this.
    ///
    /// # Errors
    /// The device's error.
    fn try_scaled(self, factor: f64) -> Result<Self, Self::Err>;
}
impl<S: Shape, E: Real, D: Device<E>, T: Tape<E, D>> Scaled for Tensor<S, E, D, T> {
    fn try_scaled(self, factor: f64) -> Result<Self, D::Err> {
        self.try_mul(E::of(factor))
    }
}

/// The factor `PERCENT` / 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percent<const PERCENT: usize>;
impl<const PERCENT: usize> Scale for Percent<PERCENT> {
    const FACTOR: f64 = PERCENT as f64 / 100.0;
}

structure! {
    /// $y = \varphi(x + s F(x))$: Inception-ResNet's block, Szegedy et al. (2016), section 3.3, which found 0.1 to 0.3
    /// to keep wide networks from dying.
    ScaledResidual [N] {
        /// $F$, whose last layer is linear.
        branch: F,
        /// $\varphi$.
        activation: A
    }
}

impl<F: Planned, A: Activation, N> Planned for ScaledResidual<F, A, N> {
    const PLAN: Plan = Plan::Sum(&[Plan::Pointwise, Plan::Named("branch", &F::PLAN)]);
}

macro_rules! scaled {
    ($trait:ident $method:ident ($($reference:tt)+)) => {
        impl<X, F, A, N: Scale> $trait<X> for ScaledResidual<F, A, N>
        where
            X: WithEmptyTape + Scaled,
            F: $trait<X, Output = X, Error = X::Err>,
            A: $trait<X, Error = X::Err>,
        {
            type Output = A::Output;
            type Error = X::Err;
            fn $method($($reference)+ self, x: X) -> Result<A::Output, X::Err> {
                let branch = self.branch.$method(x.with_empty_tape())?.try_scaled(N::FACTOR)?;
                self.activation.$method(branch.try_add(x)?)
            }
        }
    };
}
scaled!(Module try_forward (&));
scaled!(ModuleMut try_forward_mut (&mut));

/// He et al.'s shortcut without parameters (option A): every `S`-th pixel, and `Z` channels of zeros behind.
///
/// **Deviation**: the paper does not say where the zeros go; here they come after the copied channels, as in
/// fb.resnet.torch. Another widely copied port pads both sides: the same count, another order of channels.
///
/// # Examples
/// ```
/// use convnets::blocks::ZeroPad;
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let x = dev.ones::<Rank4<1, 2, 4, 4>>();
/// let y: Tensor<Rank4<1, 3, 2, 2>, f32, _> = ZeroPad::<2, 1>.forward(x);
/// assert_eq!(y.array(), [[[[1.0; 2]; 2], [[1.0; 2]; 2], [[0.0; 2]; 2]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZeroPad<const S: usize, const Z: usize>;
impl<const S: usize, const Z: usize> ZeroSizedModule for ZeroPad<S, Z> {}
impl<const S: usize, const Z: usize> NonMutableModule for ZeroPad<S, Z> {}
impl<const S: usize, const Z: usize> Planned for ZeroPad<S, Z> {
    const PLAN: Plan = Plan::Subsample { step: S, extra: Z };
}

impl<N, C, H, W, E, D, T, const S: usize, const Z: usize> Module<Tensor<(N, C, H, W), E, D, T>>
    for ZeroPad<S, Z>
where
    N: Dim,
    C: Plus<Const<Z>>,
    H: PoolWindow<1, S>,
    W: PoolWindow<1, S>,
    E: Real,
    D: Device<E>,
    T: Tape<E, D>,
    MaxPool2D<1, S>: Module<
            Tensor<(N, C, H, W), E, D, T>,
            Output = Tensor<(N, C, <H as PoolWindow<1, S>>::Out, <W as PoolWindow<1, S>>::Out), E, D, T>,
            Error = D::Err,
        >,
{
    type Output = Tensor<(N, C::Out, <H as PoolWindow<1, S>>::Out, <W as PoolWindow<1, S>>::Out), E, D, T>;
    type Error = D::Err;
    fn try_forward(&self, x: Tensor<(N, C, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
        let picked = MaxPool2D::<1, S>.try_forward(x)?;
        let (n, _, rows, cols) = *picked.shape();
        let zeros = picked.device().try_zeros_like(&(n, Const::<Z>, rows, cols))?;
        picked.try_join(zeros.put_tape(T::default()))
    }
}

structure! {
    /// The channels of the input's middle, cut to the size of what `inner` makes of it, with those of `inner` behind:
    /// U-Net's skip.
    ///
    /// The crop starts at ⌊(height − height of `inner`) / 2⌋, and so for the width.
    Skip [] {
        /// What happens below.
        inner: F
    }
}

impl<F: Planned> Planned for Skip<F> {
    const PLAN: Plan = Plan::Skip(&Plan::Named("inner", &F::PLAN));
}

/// A tensor whose middle can be cut to the shape of another's.
pub trait CropTo<Like>: Sized {
    /// The middle.
    type Cropped;
    /// The device's error.
    type Error: std::fmt::Debug;
    /// The middle, as high and wide as `like`.
    ///
    /// # Errors
    /// The device's error.
    ///
    /// # Panics
    /// When `like` is higher or wider.
    fn try_crop(self, like: &Like) -> Result<Self::Cropped, Self::Error>;
}

impl<N: Dim, C: Dim, K: Dim, H: Dim, W: Dim, OH: Dim, OW: Dim, E: Real, D: Device<E>, T: Tape<E, D>>
    CropTo<Tensor<(N, K, OH, OW), E, D, T>> for Tensor<(N, C, H, W), E, D, T>
{
    type Cropped = Tensor<(N, C, OH, OW), E, D, T>;
    type Error = D::Err;
    fn try_crop(self, like: &Tensor<(N, K, OH, OW), E, D, T>) -> Result<Self::Cropped, D::Err> {
        let ((n, c, h, w), (_, _, high, wide)) = (*self.shape(), *like.shape());
        let sizes = (n.size(), c.size(), h.size(), w.size());
        let (rows, cols) = (high.size(), wide.size());
        assert!(rows <= sizes.2 && cols <= sizes.3, "a skip is cut, not enlarged");
        let (top, left) = ((sizes.2 - rows) / 2, (sizes.3 - cols) / 2);
        let window = (0..sizes.0, 0..sizes.1, top..top + rows, left..left + cols);
        self.try_reshape_like(&sizes)?.try_slice(window)?.try_reshape_like(&(n, c, high, wide))
    }
}

macro_rules! skip {
    ($trait:ident $method:ident ($($reference:tt)+)) => {
        impl<X, F> $trait<X> for Skip<F>
        where
            X: WithEmptyTape,
            F: $trait<X>,
            X: CropTo<F::Output, Error = F::Error>,
            X::Cropped: JoinChannels<F::Output, Error = F::Error>,
        {
            type Output = <X::Cropped as JoinChannels<F::Output>>::Joined;
            type Error = F::Error;
            fn $method($($reference)+ self, x: X) -> Result<Self::Output, F::Error> {
                let inner = self.inner.$method(x.with_empty_tape())?;
                x.try_crop(&inner)?.try_join(inner)
            }
        }
    };
}
skip!(Module try_forward (&));
skip!(ModuleMut try_forward_mut (&mut));

structure! {
    /// A network with two auxiliary classifiers, on what lies between its thirds: GoogLeNet.
    ///
    /// Evaluation gives the network's output; training gives (output, first head's, second head's).
    /// The output carries the tape of the trunk: a loss of the heads alone would not train it, add them to the output's.
    WithHeads [] {
        /// From the image to the first head.
        early: A,
        /// From there to the second head.
        middle: B,
        /// From there to the output.
        late: C,
        /// The first head.
        aux1: F,
        /// The second head.
        aux2: G
    }
}

/// Without the heads, as in evaluation; their plans are those of their types.
impl<A: Planned, B: Planned, C: Planned, F, G> Planned for WithHeads<A, B, C, F, G> {
    const PLAN: Plan = Plan::Chain(&[
        Plan::Named("early", &A::PLAN),
        Plan::Named("middle", &B::PLAN),
        Plan::Named("late", &C::PLAN),
    ]);
}

impl<X, A, B, C, F, G> Module<X> for WithHeads<A, B, C, F, G>
where
    A: Module<X>,
    B: Module<A::Output, Error = A::Error>,
    C: Module<B::Output, Error = A::Error>,
{
    type Output = C::Output;
    type Error = A::Error;
    fn try_forward(&self, x: X) -> Result<C::Output, A::Error> {
        self.late.try_forward(self.middle.try_forward(self.early.try_forward(x)?)?)
    }
}

impl<X, A, B, C, F, G> ModuleMut<X> for WithHeads<A, B, C, F, G>
where
    A: ModuleMut<X>,
    A::Output: WithEmptyTape,
    B: ModuleMut<A::Output, Error = A::Error>,
    B::Output: WithEmptyTape,
    C: ModuleMut<B::Output, Error = A::Error>,
    F: ModuleMut<A::Output, Error = A::Error>,
    G: ModuleMut<B::Output, Error = A::Error>,
{
    type Output = (C::Output, F::Output, G::Output);
    type Error = A::Error;
    fn try_forward_mut(&mut self, x: X) -> Result<Self::Output, A::Error> {
        let early = self.early.try_forward_mut(x)?;
        let aux1 = self.aux1.try_forward_mut(early.with_empty_tape())?;
        let middle = self.middle.try_forward_mut(early)?;
        let aux2 = self.aux2.try_forward_mut(middle.with_empty_tape())?;
        Ok((self.late.try_forward_mut(middle)?, aux1, aux2))
    }
}
