//! The loops of arithmetic between two tensors of one shape.
use super::Arithmetic;
use crate::Real;
use crate::simd::{Body, simd};

/// z = f(x, y).
struct Pairs<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real, F: Fn(E, E) -> E> Body for Pairs<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(f, x, y, z) = self;
        for ((z, &x), &y) in z.iter_mut().zip(x).zip(y) {
            *z = f(x, y);
        }
    }
}

/// g = f(old g, gz, a).
struct Share<'a, E, F>(F, &'a [E], &'a [E], &'a mut [E]);
impl<E: Real, F: Fn(E, E, E) -> E> Body for Share<'_, E, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(f, gz, a, g) = self;
        for ((g, &gz), &a) in g.iter_mut().zip(gz).zip(a) {
            *g = f(*g, gz, a);
        }
    }
}

/// The loops of one part, compiled in this crate for both element types.
pub trait PairPasses: Sized {
    /// z = x ∘ y.
    fn pairs(arithmetic: Arithmetic, x: &[Self], y: &[Self], z: &mut [Self]);
    /// g += gz ∂z/∂x, with y.
    fn share_of_first(arithmetic: Arithmetic, gz: &[Self], y: &[Self], g: &mut [Self]);
    /// g += gz ∂z/∂y, with x and y.
    fn share_of_second(arithmetic: Arithmetic, gz: &[Self], x: &[Self], y: &[Self], g: &mut [Self]);
}

macro_rules! pair_passes {
    ($type:ty) => {
        impl PairPasses for $type {
            fn pairs(arithmetic: Arithmetic, x: &[Self], y: &[Self], z: &mut [Self]) {
                match arithmetic {
                    Arithmetic::Add => simd(Pairs(|x, y| x + y, x, y, z)),
                    Arithmetic::Sub => simd(Pairs(|x, y| x - y, x, y, z)),
                    Arithmetic::Mul => simd(Pairs(|x, y| x * y, x, y, z)),
                    Arithmetic::Div => simd(Pairs(|x, y| x / y, x, y, z)),
                }
            }
            fn share_of_first(arithmetic: Arithmetic, gz: &[Self], y: &[Self], g: &mut [Self]) {
                match arithmetic {
                    Arithmetic::Add | Arithmetic::Sub => simd(Share(|g, gz, _| g + gz, gz, y, g)),
                    Arithmetic::Mul => simd(Share(|g, gz, y| Self::mul_add(gz, y, g), gz, y, g)),
                    Arithmetic::Div => simd(Share(|g, gz, y| g + gz / y, gz, y, g)),
                }
            }
            fn share_of_second(arithmetic: Arithmetic, gz: &[Self], x: &[Self], y: &[Self], g: &mut [Self]) {
                match arithmetic {
                    Arithmetic::Add => simd(Share(|g, gz, _| g + gz, gz, x, g)),
                    Arithmetic::Sub => simd(Share(|g, gz, _| g - gz, gz, x, g)),
                    Arithmetic::Mul => simd(Share(|g, gz, x| Self::mul_add(gz, x, g), gz, x, g)),
                    Arithmetic::Div => {
                        let mut slope = [0.0; 256];
                        let parts =
                            g.chunks_mut(256).zip(gz.chunks(256)).zip(x.chunks(256)).zip(y.chunks(256));
                        for (((g, gz), x), y) in parts {
                            let slope = &mut slope[..x.len()];
                            simd(Pairs(|x: Self, y: Self| -(x / y) / y, x, y, slope));
                            simd(Share(|g, gz, slope| Self::mul_add(gz, slope, g), gz, slope, g));
                        }
                    }
                }
            }
        }
    };
}
pair_passes!(f32);
pair_passes!(f64);
