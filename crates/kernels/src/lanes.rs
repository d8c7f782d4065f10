//! Vectors for loops whose accumulators must stay in registers, where the compiler does not keep an array of them.
//!
//! `pulp` has a vector type per instruction set; [`Lanes`] gives them one name for `f32` and `f64`. Loads and stores
//! are copies of byte arrays that compile to one instruction: nothing here is `unsafe`.
use crate::simd::{Level, level};
use pulp::bytemuck::{Pod, bytes_of, cast_slice, cast_slice_mut, pod_read_unaligned};
pub use pulp::{Simd, WithSimd};

/// An element type with vectors.
pub trait Lanes: Pod {
    /// Some elements side by side.
    type Vector<S: Simd>: Pod;
    /// Elements of the longest vector of any instruction set. Sums that keep so many partial results have the same
    /// bits on all of them.
    const LONGEST: usize;

    /// `x` in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// a b + c, rounded once.
    fn multiply_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;

    /// Elements of a vector.
    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Vector<S>>() / size_of::<Self>()
    }
    /// The first elements of `from`.
    #[inline(always)]
    fn load<S: Simd>(from: &[Self]) -> Self::Vector<S> {
        pod_read_unaligned(cast_slice::<Self, u8>(&from[..Self::lanes::<S>()]))
    }
    /// Writes the first elements of `to`.
    #[inline(always)]
    fn store<S: Simd>(vector: Self::Vector<S>, to: &mut [Self]) {
        cast_slice_mut::<Self, u8>(&mut to[..Self::lanes::<S>()]).copy_from_slice(bytes_of(&vector));
    }
}

macro_rules! lanes {
    ($type:ty, $vector:ident, $longest:literal, $splat:ident, $mul_add:ident) => {
        impl Lanes for $type {
            type Vector<S: Simd> = S::$vector;
            const LONGEST: usize = $longest;
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
lanes!(f32, f32s, 16, splat_f32s, mul_add_f32s);
lanes!(f64, f64s, 8, splat_f64s, mul_add_f64s);

/// Runs a body with the vectors of the best instruction set.
pub fn dispatch<B: WithSimd>(body: B) -> B::Output {
    dispatch_at(level(), body)
}

/// Runs a body with the vectors of `wanted`, or of the best instruction set below it.
pub fn dispatch_at<B: WithSimd>(wanted: Level, body: B) -> B::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if wanted >= Level::V4
            && let Some(simd) = pulp::x86::V4::try_new()
        {
            return Simd::vectorize(simd, body);
        }
        if wanted >= Level::V3
            && let Some(simd) = pulp::x86::V3::try_new()
        {
            return Simd::vectorize(simd, body);
        }
        Simd::vectorize(pulp::Scalar, body)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = wanted;
        pulp::Arch::new().dispatch(body)
    }
}
