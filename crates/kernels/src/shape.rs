//! How long an axis becomes: windows that slide, transposed windows, padding, sums, products and quotients of sizes.
//!
//! Each rule stands here twice. As arithmetic on numbers, with a typed error for what is impossible ([`Taps`] and the
//! functions of this module); and as a trait on the axes of dfdx, which gives a `Const` for a `Const`, so that a shape
//! that does not fit is refused by the compiler, and a `usize` for a `usize`, checked when it runs.
//!
//! $$ \text{convolution: } O = \Bigl\lfloor \frac{N + 2P - L(K-1) - 1}{S} \Bigr\rfloor + 1 \qquad
//!    \text{transposed: } O = (N-1) S - 2P + L(K-1) + Q + 1 $$
//!
//! | symbol | code | meaning |
//! |---|---|---|
//! | $N$, $O$ | `extent`, `Out` | length of the axis before and after |
//! | $K$ | `kernel`, `K` | taps of the window, at least 1 |
//! | $S$ | `stride`, `S` | steps between two windows, at least 1 |
//! | $P$ | `padding`, `P` | positions added before and after the axis |
//! | $L$ | `dilation`, `L` | steps between two taps, at least 1 |
//! | $Q$ | `output_padding`, `Q` | positions added at the end of a transposed window's output, below $\max(S, L)$ |
//!
//! **Source**: Dumoulin & Visin (2016), A guide to convolution arithmetic for deep learning, arXiv 1603.07285; the
//! rules of rejection and of the ceiling mode are PyTorch's, and 221 rows computed by it are compared in the tests.
//!
//! **Sizes that the compiler calculates with**: to 1024 and powers of two; as results, all to 4096, multiples of 64 to
//! 16,384 and of 512 to 65,536. An axis of another size is a `usize`.
use crate::Error;
use dfdx::shapes::{Const, Dim};

mod algebra;
use algebra::{
    CeilPositions, Cut, Dividend, Known, PoolPositions, Positions, Reflectable, ToDim, Un, UpPositions,
    Wrappable,
};
use std::ops::{Add, Mul};
use typenum::{Prod, Sum};

/// The taps of a window along one axis, as numbers.
///
/// ```
/// use kernels::shape::{Rounding, Taps};
/// let three = Taps { kernel: 3, stride: 2, padding: 1, dilation: 1 };
/// assert_eq!(three.positions(28)?, 14);
/// assert_eq!(three.pool_positions(28, Rounding::Up)?, 15);
/// assert_eq!(three.transposed(14, 1)?, 28);
/// let error = Taps { padding: 0, ..three }.positions(2).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "a window that spans 3 positions does not fit an axis of 2 padded by 0 on both sides; pad by at least 1"
/// );
/// # Ok::<(), kernels::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// $K$, at least 1.
    pub kernel: usize,
    /// $S$, at least 1.
    pub stride: usize,
    /// $P$, on both sides.
    pub padding: usize,
    /// $L$, at least 1.
    pub dilation: usize,
}

/// What a pooling window does with positions at the end that do not fill it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// It leaves them out.
    #[default]
    Down,
    /// It covers them with one more window that reaches beyond the padding, unless that window would start beyond the
    /// axis and its left padding.
    Up,
}

impl Taps {
    /// Taps side by side, step 1, no padding.
    ///
    /// ```
    /// use kernels::shape::Taps;
    /// assert_eq!(Taps::new(5).positions(28).unwrap(), 24);
    /// ```
    pub const fn new(kernel: usize) -> Self {
        Self { kernel, stride: 1, padding: 0, dilation: 1 }
    }

    /// $L(K-1) + 1$: positions from the first tap to the last.
    ///
    /// # Errors
    /// [`Error::EmptyWindow`] when kernel, stride or dilation is 0, [`Error::SizeOverflow`].
    pub fn span(self) -> Result<usize, Error> {
        let Self { kernel, stride, dilation, .. } = self;
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Error::EmptyWindow { kernel, stride, dilation });
        }
        checked((kernel - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1)))
    }

    /// Number of windows of a convolution over an axis of `extent`.
    ///
    /// # Errors
    /// [`Error::WindowTooLong`] when not even one fits, and those of [`span`](Self::span).
    pub fn positions(self, extent: usize) -> Result<usize, Error> {
        let (span, padding) = (self.span()?, self.padding);
        let padded = checked(padding.checked_mul(2).and_then(|both| both.checked_add(extent)))?;
        match padded.checked_sub(span) {
            Some(room) => Ok(room / self.stride + 1),
            None => Err(Error::WindowTooLong { extent, padding, span }),
        }
    }

    /// Number of windows of a pooling over an axis of `extent`.
    ///
    /// # Errors
    /// [`Error::PoolPadding`] when a window could lie in the padding alone, and those of
    /// [`positions`](Self::positions).
    pub fn pool_positions(self, extent: usize, rounding: Rounding) -> Result<usize, Error> {
        let (span, Self { kernel, stride, padding, .. }) = (self.span()?, self);
        if padding > kernel / 2 {
            return Err(Error::PoolPadding { padding, kernel });
        }
        if rounding == Rounding::Down {
            return self.positions(extent);
        }
        let padded = checked(padding.checked_mul(2).and_then(|both| both.checked_add(extent)))?;
        match checked(padded.checked_add(stride - 1))?.checked_sub(span) {
            Some(room) => {
                let windows = room / stride;
                Ok(if windows * stride >= extent + padding { windows } else { windows + 1 })
            }
            None => Err(Error::WindowTooLong { extent, padding, span }),
        }
    }

    /// Length of the output of a transposed convolution over an axis of `extent`.
    ///
    /// # Errors
    /// [`Error::OutputPadding`] when it is not below stride or dilation, [`Error::TransposedEmpty`] when the padding
    /// removes everything, and those of [`span`](Self::span).
    pub fn transposed(self, extent: usize, output_padding: usize) -> Result<usize, Error> {
        let (span, Self { stride, padding, dilation, .. }) = (self.span()?, self);
        if output_padding >= stride.max(dilation) {
            return Err(Error::OutputPadding { output_padding, stride, dilation });
        }
        if extent == 0 {
            return Err(Error::TransposedEmpty { full: 0, padding });
        }
        let full =
            checked((|| (extent - 1).checked_mul(stride)?.checked_add(span)?.checked_add(output_padding))())?;
        match full.checked_sub(checked(padding.checked_mul(2))?) {
            Some(length) if length > 0 => Ok(length),
            _ => Err(Error::TransposedEmpty { full, padding }),
        }
    }
}

/// The padding with which a convolution of step 1 keeps the length of its axis: $L(K-1)/2$.
///
/// ```
/// use kernels::shape::same_padding;
/// const P: usize = same_padding(3, 2);
/// assert_eq!(P, 2);
/// ```
///
/// # Panics
/// When the kernel is even and the dilation odd: no padding on both sides then keeps the length. In a constant this is
/// a compile error.
pub const fn same_padding(kernel: usize, dilation: usize) -> usize {
    assert!(kernel > 0, "a window needs at least one tap");
    let both = (kernel - 1) * dilation;
    assert!(
        both.is_multiple_of(2),
        "an even kernel with an odd dilation has no padding that keeps the length"
    );
    both / 2
}

fn checked(size: Option<usize>) -> Result<usize, Error> {
    size.ok_or(Error::SizeOverflow)
}

/// `size / divisor` where that leaves no rest: groups of channels, pixel shuffle.
///
/// # Errors
/// [`Error::Indivisible`].
pub fn divided(size: usize, divisor: usize) -> Result<usize, Error> {
    match size.checked_rem(divisor) {
        Some(0) => Ok(size / divisor),
        _ => Err(Error::Indivisible { size, divisor }),
    }
}

/// Length of an axis of `extent` with `before` and `after` positions added by reflection, which has no more than
/// `extent - 1` different positions to give on a side.
///
/// # Errors
/// [`Error::Reflection`] and [`Error::SizeOverflow`].
pub fn reflected(extent: usize, before: usize, after: usize) -> Result<usize, Error> {
    let padding = before.max(after);
    if padding >= extent {
        return Err(Error::Reflection { extent, padding });
    }
    padded(extent, before, after)
}

/// Length of an axis of `extent` with `before` and `after` positions added from its other end.
///
/// # Errors
/// [`Error::Wrap`] when a side needs more than `extent`, and [`Error::SizeOverflow`].
pub fn wrapped(extent: usize, before: usize, after: usize) -> Result<usize, Error> {
    let padding = before.max(after);
    if padding > extent {
        return Err(Error::Wrap { extent, padding });
    }
    padded(extent, before, after)
}

/// Length of an axis of `extent` with `before` and `after` positions added.
///
/// # Errors
/// [`Error::SizeOverflow`].
pub fn padded(extent: usize, before: usize, after: usize) -> Result<usize, Error> {
    checked(extent.checked_add(before).and_then(|sum| sum.checked_add(after)))
}

/// Length of an axis of `extent` without its first `before` and last `after` positions.
///
/// # Errors
/// [`Error::Crop`] when nothing is left.
pub fn cropped(extent: usize, before: usize, after: usize) -> Result<usize, Error> {
    match before.checked_add(after).and_then(|both| extent.checked_sub(both)) {
        Some(left) if left > 0 => Ok(left),
        _ => Err(Error::Crop { extent, before, after }),
    }
}

/// An axis over which the window of a convolution slides: `K` taps, step `S`, padding `P` on both sides, dilation `L`.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Window;
/// fn halved<H: Window<3, 2, 1>>(h: H) -> H::Out {
///     h.try_window().unwrap()
/// }
/// let Const::<14> = halved(Const::<28>); // the compiler's 14
/// assert_eq!(halved(28), 14);
/// ```
#[diagnostic::on_unimplemented(
    message = "a window of {K} taps (stride {S}, padding {P}, dilation {L}) does not fit the axis `{Self}`",
    note = "the rule: extent + 2 padding >= dilation (kernel - 1) + 1, with kernel, stride and dilation at least 1",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Window<const K: usize, const S: usize = 1, const P: usize = 0, const L: usize = 1>: Dim {
    /// The axis of the windows.
    type Out: Dim;
    /// Their number.
    ///
    /// # Errors
    /// Those of [`Taps::positions`]; none for a `Const`.
    fn try_window(&self) -> Result<Self::Out, Error>;
}

impl<const K: usize, const S: usize, const P: usize, const L: usize> Window<K, S, P, L> for usize {
    type Out = usize;
    fn try_window(&self) -> Result<usize, Error> {
        Taps { kernel: K, stride: S, padding: P, dilation: L }.positions(*self)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const K: usize, const S: usize, const P: usize, const L: usize> Window<K, S, P, L>
    for Const<N>
where
    Const<N>: Known,
    Const<K>: Known,
    Const<S>: Known,
    Const<P>: Known,
    Const<L>: Known,
    Un<N>: Positions<Un<K>, Un<S>, Un<P>, Un<L>, Out: ToDim>,
{
    type Out = <<Un<N> as Positions<Un<K>, Un<S>, Un<P>, Un<L>>>::Out as ToDim>::Dim;
    fn try_window(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis over which the window of a pooling slides: as [`Window`], but padded by at most half the kernel.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::PoolWindow;
/// let Const::<112> = PoolWindow::<2, 2>::try_pool_window(&Const::<224>)?;
/// assert_eq!(PoolWindow::<2, 2>::try_pool_window(&225_usize)?, 112);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a pooling window of {K} taps (stride {S}, padding {P}, dilation {L}) does not fit the axis `{Self}`",
    note = "the rule: extent + 2 padding >= dilation (kernel - 1) + 1 and padding <= kernel / 2, with kernel, stride and dilation at least 1",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait PoolWindow<const K: usize, const S: usize = 1, const P: usize = 0, const L: usize = 1>:
    Dim
{
    /// The axis of the windows.
    type Out: Dim;
    /// Their number.
    ///
    /// # Errors
    /// Those of [`Taps::pool_positions`]; none for a `Const`.
    fn try_pool_window(&self) -> Result<Self::Out, Error>;
}

impl<const K: usize, const S: usize, const P: usize, const L: usize> PoolWindow<K, S, P, L> for usize {
    type Out = usize;
    fn try_pool_window(&self) -> Result<usize, Error> {
        Taps { kernel: K, stride: S, padding: P, dilation: L }.pool_positions(*self, Rounding::Down)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const K: usize, const S: usize, const P: usize, const L: usize> PoolWindow<K, S, P, L>
    for Const<N>
where
    Const<N>: Known,
    Const<K>: Known,
    Const<S>: Known,
    Const<P>: Known,
    Const<L>: Known,
    Un<N>: PoolPositions<Un<K>, Un<S>, Un<P>, Un<L>, Out: ToDim>,
{
    type Out = <<Un<N> as PoolPositions<Un<K>, Un<S>, Un<P>, Un<L>>>::Out as ToDim>::Dim;
    fn try_pool_window(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis that pooling windows cover to the end, see [`Rounding::Up`].
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::CeilWindow;
/// let Const::<56> = CeilWindow::<3, 2>::try_ceil_window(&Const::<112>)?; // GoogLeNet; 55 when rounded down
/// assert_eq!(CeilWindow::<3, 2>::try_ceil_window(&112_usize)?, 56);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "pooling windows of {K} taps (stride {S}, padding {P}, dilation {L}) do not cover the axis `{Self}`",
    note = "the rule: extent + 2 padding + stride > dilation (kernel - 1) + 1 and padding <= kernel / 2, with kernel, stride and dilation at least 1",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait CeilWindow<const K: usize, const S: usize = 1, const P: usize = 0, const L: usize = 1>:
    Dim
{
    /// The axis of the windows.
    type Out: Dim;
    /// Their number.
    ///
    /// # Errors
    /// Those of [`Taps::pool_positions`]; none for a `Const`.
    fn try_ceil_window(&self) -> Result<Self::Out, Error>;
}

impl<const K: usize, const S: usize, const P: usize, const L: usize> CeilWindow<K, S, P, L> for usize {
    type Out = usize;
    fn try_ceil_window(&self) -> Result<usize, Error> {
        Taps { kernel: K, stride: S, padding: P, dilation: L }.pool_positions(*self, Rounding::Up)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const K: usize, const S: usize, const P: usize, const L: usize> CeilWindow<K, S, P, L>
    for Const<N>
where
    Const<N>: Known,
    Const<K>: Known,
    Const<S>: Known,
    Const<P>: Known,
    Const<L>: Known,
    Un<N>: CeilPositions<Un<K>, Un<S>, Un<P>, Un<L>, Out: ToDim>,
{
    type Out = <<Un<N> as CeilPositions<Un<K>, Un<S>, Un<P>, Un<L>>>::Out as ToDim>::Dim;
    fn try_ceil_window(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis that a transposed convolution makes longer: `K` taps, step `S`, padding `P`, dilation `L`, and `Q` more
/// positions at the end.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::UpWindow;
/// let Const::<28> = UpWindow::<2, 2>::try_up_window(&Const::<14>)?;
/// let Const::<28> = UpWindow::<3, 2, 1, 1, 1>::try_up_window(&Const::<14>)?;
/// assert_eq!(UpWindow::<3, 2, 1>::try_up_window(&14_usize)?, 27);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a transposed window of {K} taps (stride {S}, padding {P}, dilation {L}, output padding {Q}) does not fit the axis `{Self}`",
    note = "the rule: output padding < max(stride, dilation), and (extent - 1) stride + dilation (kernel - 1) + output padding + 1 > 2 padding, with extent, kernel, stride and dilation at least 1",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait UpWindow<
    const K: usize,
    const S: usize = 1,
    const P: usize = 0,
    const L: usize = 1,
    const Q: usize = 0,
>: Dim
{
    /// The longer axis.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// Those of [`Taps::transposed`]; none for a `Const`.
    fn try_up_window(&self) -> Result<Self::Out, Error>;
}

impl<const K: usize, const S: usize, const P: usize, const L: usize, const Q: usize> UpWindow<K, S, P, L, Q>
    for usize
{
    type Out = usize;
    fn try_up_window(&self) -> Result<usize, Error> {
        Taps { kernel: K, stride: S, padding: P, dilation: L }.transposed(*self, Q)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const K: usize, const S: usize, const P: usize, const L: usize, const Q: usize>
    UpWindow<K, S, P, L, Q> for Const<N>
where
    Const<N>: Known,
    Const<K>: Known,
    Const<S>: Known,
    Const<P>: Known,
    Const<L>: Known,
    Const<Q>: Known,
    Un<N>: UpPositions<Un<K>, Un<S>, Un<P>, Un<L>, Un<Q>, Out: ToDim>,
{
    type Out = <<Un<N> as UpPositions<Un<K>, Un<S>, Un<P>, Un<L>, Un<Q>>>::Out as ToDim>::Dim;
    fn try_up_window(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis with `BEFORE` and `AFTER` positions added.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Pad;
/// let Const::<32> = Pad::<2, 2>::try_pad(&Const::<28>)?;
/// assert_eq!(Pad::<0, 1>::try_pad(&28_usize)?, 29);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the axis `{Self}` cannot be padded by {BEFORE} and {AFTER} positions",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Pad<const BEFORE: usize, const AFTER: usize>: Dim {
    /// The longer axis.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// Those of [`padded`]; none for a `Const`.
    fn try_pad(&self) -> Result<Self::Out, Error>;
}

impl<const BEFORE: usize, const AFTER: usize> Pad<BEFORE, AFTER> for usize {
    type Out = usize;
    fn try_pad(&self) -> Result<usize, Error> {
        padded(*self, BEFORE, AFTER)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const BEFORE: usize, const AFTER: usize> Pad<BEFORE, AFTER> for Const<N>
where
    Const<N>: Known,
    Const<BEFORE>: Known,
    Const<AFTER>: Known,
    Un<N>: Add<Un<BEFORE>>,
    Sum<Un<N>, Un<BEFORE>>: Add<Un<AFTER>>,
    Sum<Sum<Un<N>, Un<BEFORE>>, Un<AFTER>>: ToDim,
{
    type Out = <Sum<Sum<Un<N>, Un<BEFORE>>, Un<AFTER>> as ToDim>::Dim;
    fn try_pad(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis with `BEFORE` and `AFTER` positions added by reflection: both must be less than its length.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Reflect;
/// let Const::<6> = Reflect::<2, 1>::try_reflect(&Const::<3>)?;
/// assert!(Reflect::<3, 1>::try_reflect(&3_usize).is_err());
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the axis `{Self}` cannot be padded by {BEFORE} and {AFTER} reflected positions",
    note = "the rule: padding < extent on each side, because the edge itself is not repeated",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Reflect<const BEFORE: usize, const AFTER: usize>: Dim {
    /// The longer axis.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// Those of [`reflected`]; none for a `Const`.
    fn try_reflect(&self) -> Result<Self::Out, Error>;
}

impl<const BEFORE: usize, const AFTER: usize> Reflect<BEFORE, AFTER> for usize {
    type Out = usize;
    fn try_reflect(&self) -> Result<usize, Error> {
        reflected(*self, BEFORE, AFTER)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const BEFORE: usize, const AFTER: usize> Reflect<BEFORE, AFTER> for Const<N>
where
    Const<N>: Known,
    Const<BEFORE>: Known,
    Const<AFTER>: Known,
    Un<N>: Reflectable<Un<BEFORE>, Un<AFTER>, Out: ToDim>,
{
    type Out = <<Un<N> as Reflectable<Un<BEFORE>, Un<AFTER>>>::Out as ToDim>::Dim;
    fn try_reflect(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis with `BEFORE` and `AFTER` positions added from its other end: both at most its length.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Wrap;
/// let Const::<7> = Wrap::<3, 1>::try_wrap(&Const::<3>)?;
/// assert!(Wrap::<4, 1>::try_wrap(&3_usize).is_err());
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the axis `{Self}` cannot be padded by {BEFORE} and {AFTER} positions of its other end",
    note = "the rule: padding <= extent on each side",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Wrap<const BEFORE: usize, const AFTER: usize>: Dim {
    /// The longer axis.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// Those of [`wrapped`]; none for a `Const`.
    fn try_wrap(&self) -> Result<Self::Out, Error>;
}

impl<const BEFORE: usize, const AFTER: usize> Wrap<BEFORE, AFTER> for usize {
    type Out = usize;
    fn try_wrap(&self) -> Result<usize, Error> {
        wrapped(*self, BEFORE, AFTER)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const BEFORE: usize, const AFTER: usize> Wrap<BEFORE, AFTER> for Const<N>
where
    Const<N>: Known,
    Const<BEFORE>: Known,
    Const<AFTER>: Known,
    Un<N>: Wrappable<Un<BEFORE>, Un<AFTER>, Out: ToDim>,
{
    type Out = <<Un<N> as Wrappable<Un<BEFORE>, Un<AFTER>>>::Out as ToDim>::Dim;
    fn try_wrap(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// An axis without its first `BEFORE` and last `AFTER` positions; at least one must be left.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Crop;
/// let Const::<56> = Crop::<4, 4>::try_crop(&Const::<64>)?;
/// assert!(Crop::<4, 4>::try_crop(&8_usize).is_err());
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the axis `{Self}` cannot be cropped by {BEFORE} and {AFTER} positions",
    note = "the rule: what is cut at both ends is less than the extent",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Crop<const BEFORE: usize, const AFTER: usize>: Dim {
    /// The shorter axis.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// Those of [`cropped`]; none for a `Const`.
    fn try_crop(&self) -> Result<Self::Out, Error>;
}

impl<const BEFORE: usize, const AFTER: usize> Crop<BEFORE, AFTER> for usize {
    type Out = usize;
    fn try_crop(&self) -> Result<usize, Error> {
        cropped(*self, BEFORE, AFTER)
    }
}

#[diagnostic::do_not_recommend]
impl<const N: usize, const BEFORE: usize, const AFTER: usize> Crop<BEFORE, AFTER> for Const<N>
where
    Const<N>: Known,
    Const<BEFORE>: Known,
    Const<AFTER>: Known,
    Un<N>: Cut<Un<BEFORE>, Un<AFTER>, Out: ToDim>,
{
    type Out = <<Un<N> as Cut<Un<BEFORE>, Un<AFTER>>>::Out as ToDim>::Dim;
    fn try_crop(&self) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// A binary rule where one of the axes, or both, is a `usize`.
macro_rules! at_run_time {
    ($rule:ident, $method:ident, |$this:ident, $rhs:ident| $length:expr) => {
        at_run_time!($rule, $method, |$this, $rhs| $length, [] usize, usize);
        at_run_time!($rule, $method, |$this, $rhs| $length, [const N: usize] Const<N>, usize);
        at_run_time!($rule, $method, |$this, $rhs| $length, [const M: usize] usize, Const<M>);
    };
    ($rule:ident, $method:ident, |$this:ident, $rhs:ident| $length:expr, [$($generic:tt)*] $lhs:ty, $of:ty) => {
        impl<$($generic)*> $rule<$of> for $lhs {
            type Out = usize;
            fn $method(&self, $rhs: $of) -> Result<usize, Error> {
                let $this = self;
                $length
            }
        }
    };
}

/// The sum of two axes: channels after a concatenation.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Plus;
/// let Const::<96> = Const::<64>.try_plus(Const::<32>)?;
/// assert_eq!(Const::<64>.try_plus(32_usize)?, 96);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the sum of the axes `{Self}` and `{Rhs}` is unknown",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Plus<Rhs: Dim>: Dim {
    /// The sum.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// [`Error::SizeOverflow`]; none for two `Const`.
    fn try_plus(&self, rhs: Rhs) -> Result<Self::Out, Error>;
}

at_run_time!(Plus, try_plus, |this, rhs| checked(this.size().checked_add(rhs.size())));

#[diagnostic::do_not_recommend]
impl<const N: usize, const M: usize> Plus<Const<M>> for Const<N>
where
    Const<N>: Known,
    Const<M>: Known,
    Un<N>: Add<Un<M>>,
    Sum<Un<N>, Un<M>>: ToDim,
{
    type Out = <Sum<Un<N>, Un<M>> as ToDim>::Dim;
    fn try_plus(&self, _: Const<M>) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// The product of two axes: flattening, upsampling, channels of a depthwise convolution.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Times;
/// let Const::<400> = Const::<16>.try_times(Const::<5>)?.try_times(Const::<5>)?;
/// assert_eq!(Const::<16>.try_times(25_usize)?, 400);
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the product of the axes `{Self}` and `{Rhs}` is unknown",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Times<Rhs: Dim>: Dim {
    /// The product.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// [`Error::SizeOverflow`]; none for two `Const`.
    fn try_times(&self, rhs: Rhs) -> Result<Self::Out, Error>;
}

at_run_time!(Times, try_times, |this, rhs| checked(this.size().checked_mul(rhs.size())));

#[diagnostic::do_not_recommend]
impl<const N: usize, const M: usize> Times<Const<M>> for Const<N>
where
    Const<N>: Known,
    Const<M>: Known,
    Un<N>: Mul<Un<M>>,
    Prod<Un<N>, Un<M>>: ToDim,
{
    type Out = <Prod<Un<N>, Un<M>> as ToDim>::Dim;
    fn try_times(&self, _: Const<M>) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

/// The exact quotient of two axes: channels per group, pixel shuffle.
///
/// ```
/// use dfdx::shapes::Const;
/// use kernels::shape::Over;
/// let Const::<16> = Const::<64>.try_over(Const::<4>)?;
/// assert!(64.try_over(Const::<5>).is_err());
/// # Ok::<(), kernels::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "the axis `{Self}` cannot be divided into `{Rhs}` equal parts",
    note = "the rule: channels are divisible by groups, and by the square of the factor of a pixel shuffle",
    note = "sizes are at most 1024 or a power of two, and results at most 4096, or multiples of 64 to 16384 and \
            of 512 to 65536; an axis of another size is a `usize`"
)]
pub trait Over<Rhs: Dim>: Dim {
    /// The quotient.
    type Out: Dim;
    /// Its length.
    ///
    /// # Errors
    /// [`Error::Indivisible`]; none for two `Const`.
    fn try_over(&self, rhs: Rhs) -> Result<Self::Out, Error>;
}

at_run_time!(Over, try_over, |this, rhs| divided(this.size(), rhs.size()));

#[diagnostic::do_not_recommend]
impl<const N: usize, const M: usize> Over<Const<M>> for Const<N>
where
    Const<N>: Known,
    Const<M>: Known,
    Un<N>: Dividend<Un<M>, Out: ToDim>,
{
    type Out = <<Un<N> as Dividend<Un<M>>>::Out as ToDim>::Dim;
    fn try_over(&self, _: Const<M>) -> Result<Self::Out, Error> {
        Ok(Default::default())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
