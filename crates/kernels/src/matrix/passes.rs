//! Inner loops of squared distances, compiled in this crate for both element types.
use crate::Real;
use crate::simd::{Body, simd};

/// Columns of a tile: eight accumulators of 256 bits, which stay in registers while the features go by.
const fn tile<E>() -> usize {
    256 / size_of::<E>()
}

/// The loops, for f32 and f64.
pub trait MatrixPasses: Sized {
    /// Columns that are computed together.
    const TILE: usize;

    /// The points `y`, `(points, features)` with these strides, in tiles: `[tile][feature][column]`, zeros behind the
    /// last point.
    fn pack(y: &[Self], strides: [usize; 2], points: usize, features: usize, packed: &mut [Self]);

    /// `out[i][j]` = squared distance of row `i` of `x` to packed point `j`, for `j` from the tile `first` on; what lies
    /// before is left alone. `out` has `points` columns.
    fn squared_distances(
        x: &[Self],
        features: usize,
        packed: &[Self],
        points: usize,
        first: usize,
        out: &mut [Self],
    );
}

struct Distances<'a, E, const TILE: usize> {
    x: &'a [E],
    features: usize,
    packed: &'a [E],
    points: usize,
    first: usize,
    out: &'a mut [E],
}

impl<E: Real, const TILE: usize> Body for Distances<'_, E, TILE> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let tiles = self.packed.chunks_exact(self.features * TILE).enumerate().skip(self.first);
        for (tile, packed) in tiles {
            let columns = tile * TILE..((tile + 1) * TILE).min(self.points);
            let rows = self.x.chunks_exact(self.features).zip(self.out.chunks_exact_mut(self.points));
            for (x, out) in rows {
                let mut sums = [E::zero(); TILE];
                for (&x, y) in x.iter().zip(packed.as_chunks::<TILE>().0) {
                    for lane in 0..TILE {
                        let difference = x - y[lane];
                        sums[lane] = difference.mul_add(difference, sums[lane]);
                    }
                }
                out[columns.clone()].copy_from_slice(&sums[..columns.len()]);
            }
        }
    }
}

macro_rules! passes {
    ($type:ty) => {
        impl MatrixPasses for $type {
            const TILE: usize = tile::<$type>();

            fn pack(y: &[$type], strides: [usize; 2], points: usize, features: usize, packed: &mut [$type]) {
                let tiles = packed.chunks_exact_mut(features * Self::TILE).enumerate();
                for (tile, packed) in tiles {
                    for (feature, row) in packed.chunks_exact_mut(Self::TILE).enumerate() {
                        for (lane, packed) in row.iter_mut().enumerate() {
                            let point = tile * Self::TILE + lane;
                            let at = point * strides[0] + feature * strides[1];
                            *packed = if point < points { y[at] } else { 0.0 };
                        }
                    }
                }
            }

            fn squared_distances(
                x: &[$type],
                features: usize,
                packed: &[$type],
                points: usize,
                first: usize,
                out: &mut [$type],
            ) {
                simd(Distances::<$type, { tile::<$type>() }> { x, features, packed, points, first, out })
            }
        }
    };
}
passes!(f32);
passes!(f64);
