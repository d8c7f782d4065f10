//! What Inception networks of v3 and later need beyond [`blocks`](crate::blocks): sums of many channels, one auxiliary head.
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildOnDevice, Module, ModuleMut, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Const, Dim, Dtype, HasShape, ReshapeTo, Tape, Tensor, WithEmptyTape};
use kernels::{Device, Real};
use layers::plan::{Plan, Planned};

/// Channels as a number of the run: the compiler adds up numbers to 1,024 and powers of two, and a
/// [`Concat`](layers::modules::Concat) of more goes through this in its first branch, and through [`Channels`] behind.
///
/// # Examples
/// ```
/// use convnets::wide::{AnyChannels, Channels};
/// use layers::prelude::*;
/// // 1,088 and 768 are more than the compiler adds.
/// type Wide = (Concat<((Conv2D<3, 320, 1>, AnyChannels), Conv2D<3, 768, 1>, Conv2D<3, 768, 1>)>, Channels<1856>);
/// let dev = Cpu::default();
/// let model = dev.build_module::<Wide, f32>();
/// let y: Tensor<Rank4<1, 1856, 2, 2>, f32, _> = model.forward(dev.zeros::<Rank4<1, 3, 2, 2>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnyChannels;
/// Channels that are `C`, known to the compiler again; see [`AnyChannels`].
///
/// # Panics
/// `forward` panics when there are more or fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channels<const C: usize>;

macro_rules! channels {
    ([$($generic:tt)*] $name:ty: $Out:ty, |$c:ident| $channels:expr) => {
        impl<$($generic)*> ZeroSizedModule for $name {}
        impl<$($generic)*> NonMutableModule for $name {}
        impl<$($generic)*> Planned for $name {
            const PLAN: Plan = Plan::Pointwise;
        }
        impl<N: Dim, I: Dim, H: Dim, W: Dim, E: Real, D: Device<E>, T: Tape<E, D>, $($generic)*>
            Module<Tensor<(N, I, H, W), E, D, T>> for $name
        {
            type Output = Tensor<(N, $Out, H, W), E, D, T>;
            type Error = D::Err;
            fn try_forward(&self, x: Tensor<(N, I, H, W), E, D, T>) -> Result<Self::Output, D::Err> {
                let (n, $c, h, w) = *x.shape();
                x.try_reshape_like(&(n, $channels, h, w))
            }
        }
    };
}
channels!([] AnyChannels: usize, |c| c.size());
channels!([const C: usize] Channels<C>: Const<C>, |c| {
    assert_eq!(c.size(), C, "channels of the maps, channels that the network declares");
    Const
});

/// A network with one auxiliary classifier, on what lies between its parts: Inception v3 in training.
///
/// Evaluation gives the network's output; training gives (output, head's). The output carries the tape of the trunk: a
/// loss of the head alone would not train it, add it to the output's.
#[derive(Clone, Debug, Default)]
pub struct WithHead<A, B, F> {
    /// From the image to the head.
    pub early: A,
    /// From there to the output.
    pub late: B,
    /// The head.
    pub aux: F,
}

impl<E: Dtype, D: dfdx::prelude::Device<E>, A, B, F> BuildOnDevice<D, E> for WithHead<A, B, F>
where
    A: BuildOnDevice<D, E>,
    B: BuildOnDevice<D, E>,
    F: BuildOnDevice<D, E>,
{
    type Built = WithHead<A::Built, B::Built, F::Built>;
}

impl<E: Dtype, D: dfdx::prelude::Device<E>, A, B, F> TensorCollection<E, D> for WithHead<A, B, F>
where
    A: TensorCollection<E, D>,
    B: TensorCollection<E, D>,
    F: TensorCollection<E, D>,
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = WithHead<A::To<E2, D2>, B::To<E2, D2>, F::To<E2, D2>>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::module("early", |s| &s.early, |s| &mut s.early),
                Self::module("late", |s| &s.late, |s| &mut s.late),
                Self::module("aux", |s| &s.aux, |s| &mut s.aux),
            ),
            |(early, late, aux)| WithHead { early, late, aux },
        )
    }
}

/// Without the head, as in evaluation.
impl<A: Planned, B: Planned, F> Planned for WithHead<A, B, F> {
    const PLAN: Plan = Plan::Chain(&[Plan::Named("early", &A::PLAN), Plan::Named("late", &B::PLAN)]);
}

impl<X, A, B, F> Module<X> for WithHead<A, B, F>
where
    A: Module<X>,
    B: Module<A::Output, Error = A::Error>,
{
    type Output = B::Output;
    type Error = A::Error;
    fn try_forward(&self, x: X) -> Result<B::Output, A::Error> {
        self.late.try_forward(self.early.try_forward(x)?)
    }
}

impl<X, A, B, F> ModuleMut<X> for WithHead<A, B, F>
where
    A: ModuleMut<X>,
    A::Output: WithEmptyTape,
    B: ModuleMut<A::Output, Error = A::Error>,
    F: ModuleMut<A::Output, Error = A::Error>,
{
    type Output = (B::Output, F::Output);
    type Error = A::Error;
    fn try_forward_mut(&mut self, x: X) -> Result<Self::Output, A::Error> {
        let early = self.early.try_forward_mut(x)?;
        let aux = self.aux.try_forward_mut(early.with_empty_tape())?;
        Ok((self.late.try_forward_mut(early)?, aux))
    }
}
