//! Which windows slide over a plane, as types and as numbers.
use crate::Error;
use crate::shape::{CeilWindow, PoolWindow, Rounding, Taps};
use dfdx::prelude::Dim;

/// Windows over planes of `H` rows and `W` columns: [`Floor`], [`Ceil`] or [`Sliding`].
pub trait Windows<H: Dim, W: Dim>: Copy {
    /// Rows of the result.
    type Rows: Dim;
    /// Columns of the result.
    type Cols: Dim;
    /// The rules for rows and columns.
    fn taps(self) -> [Taps; 2];
    /// Rows and columns of the result.
    ///
    /// # Errors
    /// Those of [`Taps::pool_positions`].
    fn outputs(self, rows: H, cols: W) -> Result<(Self::Rows, Self::Cols), Error>;
}

macro_rules! square {
    ($(#[$doc:meta])* $name:ident, $axis:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name<const K: usize, const S: usize, const P: usize = 0, const L: usize = 1>;

        impl<const K: usize, const S: usize, const P: usize, const L: usize, H, W> Windows<H, W> for $name<K, S, P, L>
        where
            H: $axis<K, S, P, L>,
            W: $axis<K, S, P, L>,
        {
            type Rows = H::Out;
            type Cols = W::Out;
            fn taps(self) -> [Taps; 2] {
                [Taps { kernel: K, stride: S, padding: P, dilation: L }; 2]
            }
            fn outputs(self, rows: H, cols: W) -> Result<(H::Out, W::Out), Error> {
                Ok((rows.$method()?, cols.$method()?))
            }
        }
    };
}

square!(
    /// Square windows of `K` × `K` taps, stride `S`, padding `P` and dilation `L`; what does not fill a window at the end
    /// of an axis is left out.
    Floor, PoolWindow, try_pool_window
);
square!(
    /// Square windows as [`Floor`], with one more at the end of an axis where something is left: see [`Rounding::Up`].
    Ceil, CeilWindow, try_ceil_window
);

/// Windows known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// The rule for rows.
    pub rows: Taps,
    /// The rule for columns.
    pub cols: Taps,
    /// What happens at the end of an axis.
    pub rounding: Rounding,
}

impl Sliding {
    /// One rule for both axes, rounded down.
    pub const fn square(taps: Taps) -> Self {
        Self { rows: taps, cols: taps, rounding: Rounding::Down }
    }
}

impl<H: Dim, W: Dim> Windows<H, W> for Sliding {
    type Rows = usize;
    type Cols = usize;
    fn taps(self) -> [Taps; 2] {
        [self.rows, self.cols]
    }
    fn outputs(self, rows: H, cols: W) -> Result<(usize, usize), Error> {
        let positions = |taps: Taps, extent| taps.pool_positions(extent, self.rounding);
        Ok((positions(self.rows, rows.size())?, positions(self.cols, cols.size())?))
    }
}
