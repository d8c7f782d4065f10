//! Images of another size or with a border, channels into pixels, and branches side by side, as modules.
//!
//! | module | input → output | kernel |
//! |---|---|---|
//! | [`Upsample`] | `(B, C, H, W)` → `(B, C, H R, W R)` | [`kernels::resize_nearest`], [`kernels::resize_bilinear`] |
//! | [`Upsample1D`] | `(B, C, L)` → `(B, C, L R)` | the same, of an image of height 1 |
//! | [`Pad2D`] | `(B, C, H, W)` → zeros, reflection, replication or the other side around it | [`kernels::resampling::pad2d`] |
//! | [`Pad1D`] | `(B, C, L)` → the same of a sequence | [`kernels::resampling::pad1d`] |
//! | [`PixelShuffle`] | `(B, C R², H, W)` → `(B, C, H R, W R)` | [`kernels::pixel_shuffle`] |
//! | [`PixelUnshuffle`] | its inverse | [`kernels::pixel_unshuffle`] |
//! | [`PixelShuffle1D`], [`PixelUnshuffle1D`] | `(B, C R, L)` ↔ `(B, C, L R)` | [`kernels::pixel_shuffle1d`], [`kernels::pixel_unshuffle1d`] |
//! | [`Concat`] | `x` → the channels of all branches of `x` | [`kernels::resampling::Channels`] |
//!
//! **Errors**: run-time sizes that do not fit panic with the message of [`kernels::Error`], since a module in a tuple of
//! dfdx can return a device's error only; the kernels return it.
use crate::normalisation::device_error;
use crate::pooling::{as_image, bare, linear_map};
use crate::{Along, Cost, Dual};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildOnDevice, Module, ModuleMut, NonMutableModule, ZeroSizedModule};
use dfdx::prelude::{Const, Dim, Dtype, HasShape, Tape, Tensor, WithEmptyTape};
use kernels::resampling::{Border, Channels, Shuffled, Unshuffled};
pub use kernels::resampling::{Bordered, Circular, Filling, Reflection, Replication, Zeros};
use kernels::shape::{Over, Plus, Times};
use kernels::{Corners, Device, Real};
use std::marker::PhantomData;

/// How [`Upsample`] and [`Upsample1D`] fill in: [`Nearest`], [`Bilinear`] or [`BilinearAligned`].
pub trait Interpolation: Copy + Default + std::fmt::Debug + 'static {
    /// Where neighbours lie; none for the nearest.
    const CORNERS: Option<Corners>;
}

/// The nearest pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nearest;
/// Between two pixels per axis, as [`Corners::Edges`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bilinear;
/// Between two pixels per axis, as [`Corners::Centres`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BilinearAligned;

impl Interpolation for Nearest {
    const CORNERS: Option<Corners> = None;
}
impl Interpolation for Bilinear {
    const CORNERS: Option<Corners> = Some(Corners::Edges);
}
impl Interpolation for BilinearAligned {
    const CORNERS: Option<Corners> = Some(Corners::Centres);
}

/// Images `R` times as high and wide.
///
/// # Examples
/// ```
/// use layers::{prelude::*, resampling::Bilinear};
/// let dev = Cpu::default();
/// let x = dev.zeros::<Rank4<2, 3, 7, 7>>();
/// let nearest: Tensor<Rank4<2, 3, 14, 14>, f32, _> = Upsample::<2>::default().forward(x.clone());
/// let bilinear: Tensor<Rank4<2, 3, 28, 28>, f32, _> = Upsample::<4, Bilinear>::default().forward(x);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upsample<const R: usize, I = Nearest>(PhantomData<I>);
/// Sequences `R` times as long; [`Bilinear`] and [`BilinearAligned`] are linear here, since their height is 1.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 3.0]]]);
/// let y: Tensor<Rank3<1, 1, 4>, f32, _> = Upsample1D::<2>::default().forward(x);
/// assert_eq!(y.array(), [[[1.0, 1.0, 3.0, 3.0]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upsample1D<const R: usize, I = Nearest>(PhantomData<I>);
/// Each group of `R`² channels becomes squares of `R` × `R` pixels.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y: Tensor<Rank4<2, 3, 14, 14>, f32, _> = PixelShuffle::<2>.forward(dev.zeros::<Rank4<2, 12, 7, 7>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelShuffle<const R: usize>;
/// Squares of `R` × `R` pixels become `R`² channels.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let y: Tensor<Rank4<2, 12, 7, 7>, f32, _> = PixelUnshuffle::<2>.forward(dev.zeros::<Rank4<2, 3, 14, 14>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelUnshuffle<const R: usize>;
/// Each group of `R` channels of a sequence becomes `R` positions.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 3.0], [2.0, 4.0]]]);
/// let y: Tensor<Rank3<1, 1, 4>, f32, _> = PixelShuffle1D::<2>.forward(x);
/// assert_eq!(y.array(), [[[1.0, 2.0, 3.0, 4.0]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelShuffle1D<const R: usize>;
/// `R` positions of a sequence become `R` channels.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let x = Cpu::default().tensor([[[1.0_f32, 2.0, 3.0, 4.0]]]);
/// let y: Tensor<Rank3<1, 2, 2>, f32, _> = PixelUnshuffle1D::<2>.forward(x);
/// assert_eq!(y.array(), [[[1.0, 3.0], [2.0, 4.0]]]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelUnshuffle1D<const R: usize>;

/// Images with a border: [`Zeros`], [`Reflection`], [`Replication`] or [`Circular`] with the rows above and below, the
/// columns left and right as parameters, or [`Bordered`] with numbers.
///
/// # Examples
/// ```
/// use layers::{prelude::*, resampling::Reflection};
/// let dev = Cpu::seed_from_u64(0);
/// type Mirrored = (Pad2D<Reflection<1, 1, 1, 1>>, Conv2D<3, 8, 3>); // keeps the size
/// let y: Tensor<Rank4<2, 8, 9, 7>, f32, _> =
///     dev.build_module::<Mirrored, f32>().forward(dev.zeros::<Rank4<2, 3, 9, 7>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pad2D<P> {
    /// What is added.
    pub border: P,
}
/// Sequences with a border, which adds no rows: as [`Pad2D`].
///
/// # Examples
/// ```
/// use layers::{prelude::*, resampling::Zeros};
/// let dev = Cpu::seed_from_u64(0);
/// type Causal = (Pad1D<Zeros<0, 0, 4, 0>>, Conv1D<1, 1, 3, 1, 0, 2>); // sees t, t − 2, t − 4
/// let causal = dev.build_module::<Causal, f64>();
/// let mut series = dev.sample_normal::<Rank3<1, 1, 8>>();
/// let before = causal.forward(series.clone()).array()[0][0];
/// series[[0, 0, 5]] += 1.0; // changes nothing before
/// assert_eq!(causal.forward(series).array()[0][0][..5], before[..5]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pad1D<P> {
    /// What is added.
    pub border: P,
}

bare!(
    [P: Clone + Default] Pad2D<P>,
    [P: Clone + Default] Pad1D<P>,
    [const R: usize, I: Interpolation] Upsample<R, I>,
    [const R: usize, I: Interpolation] Upsample1D<R, I>,
    [const R: usize] PixelShuffle<R>,
    [const R: usize] PixelUnshuffle<R>,
    [const R: usize] PixelShuffle1D<R>,
    [const R: usize] PixelUnshuffle1D<R>
);
linear_map!(
    [const R: usize, I: Interpolation,] Upsample<R, I>,
    (B, C, H, W) -> (B, C, <H as Times<Const<R>>>::Out, <W as Times<Const<R>>>::Out),
    [H: Times<Const<R>>, W: Times<Const<R>>,],
    |_s, x| {
        let (_, _, h, w) = *x.shape();
        h.try_times(Const::<R>).and_then(|rows| w.try_times(Const::<R>).map(|cols| (rows, cols))).and_then(
            |(rows, cols)| match I::CORNERS {
                None => kernels::try_resize_nearest(x, rows, cols),
                Some(corners) => kernels::try_resize_bilinear(x, rows, cols, corners),
            },
        )
    }
);
linear_map!(
    [const R: usize, I: Interpolation,] Upsample1D<R, I>,
    (B, C, L) -> (B, C, <L as Times<Const<R>>>::Out),
    [L: Times<Const<R>>,],
    |_s, x| {
        let length = x.shape().2.try_times(Const::<R>);
        length.and_then(|length| as_image(x, |x| match I::CORNERS {
            None => kernels::try_resize_nearest(x, Const::<1>, length),
            Some(corners) => kernels::try_resize_bilinear(x, Const::<1>, length, corners),
        }))
    }
);
linear_map!(
    [P,] Pad2D<P>,
    (B, C, H, W) -> (B, C, <P as Border<H, W>>::Rows, <P as Border<H, W>>::Cols),
    [P: Border<H, W>,],
    |s, x| kernels::resampling::try_pad2d(x, s.border)
);
linear_map!(
    [P,] Pad1D<P>,
    (B, C, L) -> (B, C, <P as Border<Const<1>, L>>::Cols),
    [P: Border<Const<1>, L>,],
    |s, x| kernels::resampling::try_pad1d(x, s.border)
);
linear_map!(
    [const R: usize,] PixelShuffle<R>,
    (B, C, H, W) -> (B, Shuffled<C, Const<R>>, <H as Times<Const<R>>>::Out, <W as Times<Const<R>>>::Out),
    [C: Over<Const<R>, Out: Over<Const<R>>>, H: Times<Const<R>>, W: Times<Const<R>>,],
    |_s, x| kernels::try_pixel_shuffle(x, Const::<R>)
);
linear_map!(
    [const R: usize,] PixelUnshuffle<R>,
    (B, C, H, W) -> (B, Unshuffled<C, Const<R>>, <H as Over<Const<R>>>::Out, <W as Over<Const<R>>>::Out),
    [C: Times<Const<R>, Out: Times<Const<R>>>, H: Over<Const<R>>, W: Over<Const<R>>,],
    |_s, x| kernels::try_pixel_unshuffle(x, Const::<R>)
);
linear_map!(
    [const R: usize,] PixelShuffle1D<R>,
    (B, C, L) -> (B, <C as Over<Const<R>>>::Out, <L as Times<Const<R>>>::Out),
    [C: Over<Const<R>>, L: Times<Const<R>>,],
    |_s, x| kernels::try_pixel_shuffle1d(x, Const::<R>)
);
linear_map!(
    [const R: usize,] PixelUnshuffle1D<R>,
    (B, C, L) -> (B, <C as Times<Const<R>>>::Out, <L as Over<Const<R>>>::Out),
    [C: Times<Const<R>>, L: Over<Const<R>>,],
    |_s, x| kernels::try_pixel_unshuffle1d(x, Const::<R>)
);

/// A batch that can wait until all are there whose channels are to stand behind its own.
pub trait Joint: Sized {
    /// The batch and those that have come so far.
    type Waiting;
    /// The device's error.
    type Error: std::fmt::Debug;
    /// The first of several batches.
    ///
    /// # Errors
    /// The device's error.
    fn try_wait(self) -> Result<Self::Waiting, Self::Error>;
    /// All that have come, as one batch; each is copied once.
    ///
    /// # Errors
    /// The device's error.
    fn try_concat(waiting: Self::Waiting) -> Result<Self, Self::Error>;
}

/// Two batches whose channels can stand behind each other.
#[diagnostic::on_unimplemented(
    message = "the channels of `{Rhs}` cannot be put behind those of `{Self}`",
    note = "branches of a `Concat` must give the same batch size, height and width"
)]
pub trait JoinChannels<Rhs>: Joint {
    /// Both.
    type Joined: Joint<Error = <Self as Joint>::Error>;
    /// The channels of `rhs` behind those that wait.
    ///
    /// # Errors
    /// The device's error.
    fn try_push(
        waiting: Self::Waiting,
        rhs: Rhs,
    ) -> Result<<Self::Joined as Joint>::Waiting, <Self as Joint>::Error>;
    /// The channels of `rhs` behind those of `self`.
    ///
    /// # Errors
    /// The device's error.
    fn try_join(self, rhs: Rhs) -> Result<Self::Joined, <Self as Joint>::Error> {
        Self::Joined::try_concat(Self::try_push(self.try_wait()?, rhs)?)
    }
}

macro_rules! join {
    ($($axis:ident)*) => {
        impl<B: Dim, C: Dim, $($axis: Dim,)* E: Real, D: Device<E>, T: Tape<E, D>> Joint
            for Tensor<(B, C, $($axis,)*), E, D, T>
        {
            type Waiting = Channels<(B, C, $($axis,)*), E, D, T>;
            type Error = D::Err;
            fn try_wait(self) -> Result<Self::Waiting, D::Err> {
                Channels::try_new(self).map_err(device_error::<D, E>)
            }
            fn try_concat(waiting: Self::Waiting) -> Result<Self, D::Err> {
                waiting.try_concat().map_err(device_error::<D, E>)
            }
        }

        impl<B: Dim, C: Plus<K>, K: Dim, $($axis: Dim,)* E: Real, D: Device<E>, T: Tape<E, D>>
            JoinChannels<Tensor<(B, K, $($axis,)*), E, D, T>> for Tensor<(B, C, $($axis,)*), E, D, T>
        {
            type Joined = Tensor<(B, C::Out, $($axis,)*), E, D, T>;
            fn try_push(
                waiting: Self::Waiting,
                rhs: Tensor<(B, K, $($axis,)*), E, D, T>,
            ) -> Result<<Self::Joined as Joint>::Waiting, D::Err> {
                waiting.try_push::<K, T>(rhs).map_err(device_error::<D, E>)
            }
        }

        impl<B: Dim, C: Dim, $($axis: Dim,)* E: Real, D: Device<E>, T: Tape<E, D>> Joint
            for Dual<(B, C, $($axis,)*), E, D, T>
        {
            type Waiting = [Channels<(B, C, $($axis,)*), E, D, T>; 2];
            type Error = D::Err;
            fn try_wait(self) -> Result<Self::Waiting, D::Err> {
                let (x, dx) = self.split();
                Ok([x.try_wait()?, dx.try_wait()?])
            }
            fn try_concat([x, dx]: Self::Waiting) -> Result<Self, D::Err> {
                Ok(Dual::join(Tensor::try_concat(x)?, Tensor::try_concat(dx)?))
            }
        }

        impl<B: Dim, C: Plus<K>, K: Dim, $($axis: Dim,)* E: Real, D: Device<E>, T: Tape<E, D>>
            JoinChannels<Dual<(B, K, $($axis,)*), E, D, T>> for Dual<(B, C, $($axis,)*), E, D, T>
        {
            type Joined = Dual<(B, C::Out, $($axis,)*), E, D, T>;
            fn try_push(
                [x, dx]: Self::Waiting,
                rhs: Dual<(B, K, $($axis,)*), E, D, T>,
            ) -> Result<<Self::Joined as Joint>::Waiting, D::Err> {
                let (y, dy) = rhs.split();
                let push = <Tensor<(B, C, $($axis,)*), E, D, T> as JoinChannels<_>>::try_push;
                Ok([push(x, y)?, push(dx, dy)?])
            }
        }
    };
}
join!();
join!(L);
join!(H W);

/// Branches of one input whose outputs' channels are put behind each other: the Inception module's four, or a U-Net's
/// copy and what comes back from below (`Concat<(Identity, Deeper)>`). Two to six branches.
///
/// # Examples
/// ```
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// type Branches = Concat<(Identity, MaxPool2D<3, 1, 1>, (MaxPool2D<5, 1, 2>, Relu))>;
/// let module = dev.build_module::<Branches, f32>();
/// let y: Tensor<Rank4<2, 12, 7, 7>, f32, _> = module.forward(dev.zeros::<Rank4<2, 4, 7, 7>>());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concat<F>(pub F);

impl<F: BuildOnDevice<D, E>, E: Dtype, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for Concat<F> {
    type Built = Concat<F::Built>;
}

impl<F: TensorCollection<E, D>, E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D> for Concat<F> {
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = Concat<F::To<E2, D2>>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(Self::module("0", |s| &s.0, |s| &mut s.0), Concat)
    }
}

impl<F: Cost> Cost for Concat<F> {
    const PARAMS: usize = F::PARAMS;
    const MACS: usize = F::MACS;
}

/// What branch after branch has been joined to.
type Both<A, B> = <A as JoinChannels<B>>::Joined;

/// All branches but the first get the input with an empty tape; joining merges the tapes. `$so_far` is what the
/// branches before `$branch` would be together; they wait until the last is there.
macro_rules! concat {
    ($trait:ident $method:ident ($($reference:tt)+) $first:ident $($branch:ident: $so_far:ty),+ => $out:ty) => {
        impl<X, $first, $($branch),+> $trait<X> for Concat<($first, $($branch),+)>
        where
            X: WithEmptyTape,
            $first: $trait<X>,
            $($branch: $trait<X, Error = $first::Error>,)+
            $($so_far: JoinChannels<$branch::Output, Error = $first::Error>,)+
        {
            type Output = $out;
            type Error = $first::Error;
            #[allow(non_snake_case)]
            fn $method($($reference)+ self, x: X) -> Result<Self::Output, Self::Error> {
                let ($first, $($branch),+) = $($reference)+ self.0;
                $(let $branch = $branch.$method(x.with_empty_tape())?;)+
                let waiting = $first.$method(x)?.try_wait()?;
                $(let waiting = <$so_far as JoinChannels<$branch::Output>>::try_push(waiting, $branch)?;)+
                <$out as Joint>::try_concat(waiting)
            }
        }
    };
}

concat!(Module try_forward (&) A B: A::Output => Both<A::Output, B::Output>);
concat!(ModuleMut try_forward_mut (&mut) A B: A::Output => Both<A::Output, B::Output>);
concat!(Module try_forward (&) A B: A::Output, C: Both<A::Output, B::Output> => Both<Both<A::Output, B::Output>, C::Output>);
concat!(ModuleMut try_forward_mut (&mut) A B: A::Output, C: Both<A::Output, B::Output> => Both<Both<A::Output, B::Output>, C::Output>);
concat!(Module try_forward (&) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output> => Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>);
concat!(ModuleMut try_forward_mut (&mut) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output> => Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>);
concat!(Module try_forward (&) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output> => Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>);
concat!(ModuleMut try_forward_mut (&mut) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output> => Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>);
concat!(Module try_forward (&) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, H: Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output> => Both<Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>, H::Output>);
concat!(ModuleMut try_forward_mut (&mut) A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, H: Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output> => Both<Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>, H::Output>);

macro_rules! concat_along {
    ($first:ident $($branch:ident: $so_far:ty),+; [$($index:tt)+] => $out:ty) => {
        impl<X, $first, $($branch),+> Along<X> for Concat<($first, $($branch),+)>
        where
            X: WithEmptyTape,
            $first: Along<X>,
            $($branch: Along<X, Error = $first::Error>,)+
            $($so_far: JoinChannels<$branch::Output, Error = $first::Error>,)+
        {
            type Output = $out;
            type Error = $first::Error;
            #[allow(non_snake_case)]
            fn try_along(&self, direction: &Self, x: X) -> Result<Self::Output, Self::Error> {
                $(let $branch = self.0.$index.try_along(&direction.0.$index, x.with_empty_tape())?;)+
                let waiting = self.0.0.try_along(&direction.0.0, x)?.try_wait()?;
                $(let waiting = <$so_far as JoinChannels<$branch::Output>>::try_push(waiting, $branch)?;)+
                <$out as Joint>::try_concat(waiting)
            }
        }
    };
}

concat_along!(A B: A::Output; [1] => Both<A::Output, B::Output>);
concat_along!(A B: A::Output, C: Both<A::Output, B::Output>; [1 2] => Both<Both<A::Output, B::Output>, C::Output>);
concat_along!(A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>; [1 2 3] => Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>);
concat_along!(A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>; [1 2 3 4] => Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>);
concat_along!(A B: A::Output, C: Both<A::Output, B::Output>, F: Both<Both<A::Output, B::Output>, C::Output>, G: Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, H: Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>; [1 2 3 4 5] => Both<Both<Both<Both<Both<A::Output, B::Output>, C::Output>, F::Output>, G::Output>, H::Output>);
