//! Positions added around images, and what they show.
//!
//! | type | what the added positions show | least axis |
//! |---|---|---|
//! | [`Zeros`] | 0 | any |
//! | [`Replication`] | the nearest position of the axis | 1 |
//! | [`Reflection`] | the axis mirrored at its first and last position, which are not repeated | padding + 1 |
//! | [`Circular`] | the axis from its other end | padding |
//!
//! Their parameters are rows added above and below, columns added left and right; [`Bordered`] holds all of it as
//! numbers.
use super::resize_shape;
use crate::shape::{Pad, Reflect, Wrap, padded, reflected, wrapped};
use crate::{Device, Error, Real, RowMajor};
use dfdx::prelude::*;

/// What added positions show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filling {
    /// See [`Zeros`].
    #[default]
    Zeros,
    /// See [`Replication`].
    Replication,
    /// See [`Reflection`].
    Reflection,
    /// See [`Circular`].
    Circular,
}

/// One axis that is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its length.
    pub extent: usize,
    /// Positions added before it.
    pub before: usize,
    /// Positions added behind it.
    pub after: usize,
}

impl Edge {
    /// Length with what is added.
    pub fn padded(self) -> usize {
        self.extent + self.before + self.after
    }
}

impl Filling {
    /// Length of a padded axis.
    ///
    /// # Errors
    /// [`Error::Reflection`], [`Error::Wrap`], [`Error::Replication`] and [`Error::SizeOverflow`].
    pub fn padded(self, Edge { extent, before, after }: Edge) -> Result<usize, Error> {
        match self {
            Self::Replication if extent == 0 => Err(Error::Replication),
            Self::Zeros | Self::Replication => padded(extent, before, after),
            Self::Reflection => reflected(extent, before, after),
            Self::Circular => wrapped(extent, before, after),
        }
    }

    /// The position of the axis that position `i` of the padded axis shows; none shows a zero.
    pub fn shown(self, Edge { extent, before, .. }: Edge, i: usize) -> Option<usize> {
        if (before..before + extent).contains(&i) {
            return Some(i - before);
        }
        match self {
            Self::Zeros => None,
            Self::Replication => Some(i.saturating_sub(before).min(extent - 1)),
            Self::Reflection if i < before => Some(before - i),
            Self::Reflection => Some(2 * (extent - 1) - (i - before)),
            Self::Circular => Some((i + extent - before) % extent),
        }
    }
}

/// What is added around planes of `H` rows and `W` columns: [`Zeros`], [`Replication`], [`Reflection`], [`Circular`] or
/// [`Bordered`].
pub trait Border<H: Dim, W: Dim>: Copy {
    /// Rows of the result.
    type Rows: Dim;
    /// Columns of the result.
    type Cols: Dim;
    /// What the added positions show.
    fn filling(self) -> Filling;
    /// Positions added above, below, left and right.
    fn sides(self) -> [usize; 4];
    /// Rows and columns of the result.
    ///
    /// # Errors
    /// Those of [`Filling::padded`].
    fn outputs(self, rows: H, cols: W) -> Result<(Self::Rows, Self::Cols), Error>;
}

macro_rules! border {
    ($(#[$doc:meta])* $name:ident, $axis:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const TOP: usize, const BOTTOM: usize, const LEFT: usize, const RIGHT: usize>;

        impl<const TOP: usize, const BOTTOM: usize, const LEFT: usize, const RIGHT: usize, H, W> Border<H, W>
            for $name<TOP, BOTTOM, LEFT, RIGHT>
        where
            H: $axis<TOP, BOTTOM>,
            W: $axis<LEFT, RIGHT>,
        {
            type Rows = H::Out;
            type Cols = W::Out;
            fn filling(self) -> Filling {
                Filling::$name
            }
            fn sides(self) -> [usize; 4] {
                [TOP, BOTTOM, LEFT, RIGHT]
            }
            fn outputs(self, rows: H, cols: W) -> Result<(H::Out, W::Out), Error> {
                Ok((rows.$method()?, cols.$method()?))
            }
        }
    };
}

border!(
    /// Zeros all around.
    Zeros, Pad, try_pad
);
border!(
    /// The outermost pixels, repeated.
    Replication, Pad, try_pad
);
border!(
    /// The image mirrored at its outermost pixels, each padding less than the axis: `c b` before `a b c`.
    Reflection, Reflect, try_reflect
);
border!(
    /// The image from its other side, as on a torus, each padding at most the axis: `b c` before `a b c`.
    Circular, Wrap, try_wrap
);

/// A border known at run time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bordered {
    /// What the added positions show.
    pub filling: Filling,
    /// Rows added above and below.
    pub rows: [usize; 2],
    /// Columns added left and right.
    pub cols: [usize; 2],
}

impl<H: Dim, W: Dim> Border<H, W> for Bordered {
    type Rows = usize;
    type Cols = usize;
    fn filling(self) -> Filling {
        self.filling
    }
    fn sides(self) -> [usize; 4] {
        let ([top, bottom], [left, right]) = (self.rows, self.cols);
        [top, bottom, left, right]
    }
    fn outputs(self, rows: H, cols: W) -> Result<(usize, usize), Error> {
        let [rows, cols] = [(rows.size(), self.rows), (cols.size(), self.cols)]
            .map(|(extent, [before, after])| self.filling.padded(Edge { extent, before, after }));
        Ok((rows?, cols?))
    }
}

/// Images with a border.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::resampling::{Reflection, Zeros, pad2d};
/// let x = Cpu::default().tensor([[[[1.0_f32, 2.0, 3.0]]]]);
/// let mirrored: Tensor<Rank4<1, 1, 1, 6>, f32, _> = pad2d(x.clone(), Reflection::<0, 0, 2, 1>);
/// assert_eq!(mirrored.array(), [[[[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]]]);
/// let framed = pad2d(x, Zeros::<0, 1, 1, 0>);
/// assert_eq!(framed.array(), [[[[0.0, 1.0, 2.0, 3.0], [0.0; 4]]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pad2d`].
#[allow(clippy::type_complexity)]
pub fn pad2d<B: Dim, C: Dim, H: Dim, W: Dim, P: Border<H, W>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    border: P,
) -> Tensor<(B, C, P::Rows, P::Cols), E, D, T> {
    try_pad2d(x, border).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pad2d`].
///
/// # Errors
/// For axes that are a `usize`: those of [`Filling::padded`]. And the device's error.
#[allow(clippy::type_complexity)]
pub fn try_pad2d<B: Dim, C: Dim, H: Dim, W: Dim, P: Border<H, W>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, H, W), E, D, T>,
    border: P,
) -> Result<Tensor<(B, C, P::Rows, P::Cols), E, D, T>, Error> {
    let (.., height, width) = *x.shape();
    let shape = border.outputs(height, width)?;
    let [top, bottom, left, right] = border.sides();
    let edges = [(height.size(), top, bottom), (width.size(), left, right)];
    let edges = edges.map(|(extent, before, after)| Edge { extent, before, after });
    // A type cannot say of a constant axis of 0 that it has nothing to repeat.
    border.filling().padded(edges[0])?;
    border.filling().padded(edges[1])?;
    resize_shape(x, shape, |planes| D::pad(planes, border.filling(), edges))
}

/// Sequences `(B, C, L)` with a border: `border` adds no rows.
///
/// ```
/// use dfdx::prelude::*;
/// use kernels::resampling::{Replication, pad1d};
/// let x = Cpu::default().tensor([[[1.0_f32, 2.0, 3.0]]]);
/// let held: Tensor<Rank3<1, 1, 5>, f32, _> = pad1d(x, Replication::<0, 0, 2, 0>);
/// assert_eq!(held.array(), [[[1.0, 1.0, 1.0, 2.0, 3.0]]]);
/// ```
///
/// # Panics
/// On the errors of [`try_pad1d`].
pub fn pad1d<B: Dim, C: Dim, L: Dim, P: Border<Const<1>, L>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    border: P,
) -> Tensor<(B, C, P::Cols), E, D, T> {
    try_pad1d(x, border).unwrap_or_else(|error| panic!("{error}"))
}

/// Fallible twin of [`pad1d`].
///
/// # Errors
/// Those of [`try_pad2d`], and [`Error::AxisLength`] for a border that adds rows.
pub fn try_pad1d<B: Dim, C: Dim, L: Dim, P: Border<Const<1>, L>, E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<(B, C, L), E, D, T>,
    border: P,
) -> Result<Tensor<(B, C, P::Cols), E, D, T>, Error> {
    let (batch, channels, length) = *x.shape();
    let (rows, cols) = border.outputs(Const, length)?;
    if rows.size() != 1 {
        return Err(Error::AxisLength { axis: "rows of a sequence", expected: 1, found: rows.size() });
    }
    let image = x.try_reshaped(&(batch, channels, Const::<1>, length)).map_err(Error::device)?;
    try_pad2d(image, border)?.try_reshaped(&(batch, channels, cols)).map_err(Error::device)
}
