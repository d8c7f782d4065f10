//! Inner loops of noise, compiled in this crate for both element types.
use super::Noise;
use crate::Real;
use crate::random::{BATCH, Key, batch, normals, threshold};
use crate::simd::{Body, simd};

/// The loops, for f32 and f64.
pub trait NoisePasses: Sized {
    /// `y = s x + t` for elements from `start` of the whole on, a multiple of [`BATCH`].
    fn noise(noise: Noise, key: Key, start: usize, x: &[Self], y: &mut [Self]);

    /// `gx += s gy`, with the factors of the same positions.
    fn noise_back(noise: Noise, key: Key, start: usize, gy: &[Self], gx: &mut [Self]);
}

/// Scales and shifts of one batch.
#[inline(always)]
fn draw<E: Real>(noise: Noise, key: Key, number: u64, scales: &mut [E; BATCH], shifts: &mut [E; BATCH]) {
    let words = batch(key, number);
    match noise {
        Noise::Either { rate, kept, dropped, .. } => {
            let threshold = threshold(rate);
            let ([scale, shift], dropped) = (kept.map(E::of), E::of(dropped));
            for i in 0..BATCH {
                let is_kept = words[i] >> 8 >= threshold;
                scales[i] = if is_kept { scale } else { E::zero() };
                shifts[i] = if is_kept { shift } else { dropped };
            }
        }
        Noise::Factor { deviation } => {
            normals(words, scales);
            let deviation = E::of(deviation);
            for i in 0..BATCH {
                scales[i] = scales[i].mul_add(deviation, E::ONE);
                shifts[i] = E::zero();
            }
        }
        Noise::Term { deviation } => {
            normals(words, shifts);
            let deviation = E::of(deviation);
            for i in 0..BATCH {
                scales[i] = E::ONE;
                shifts[i] *= deviation;
            }
        }
    }
}

struct Apply<'a, E> {
    noise: Noise,
    key: Key,
    start: usize,
    input: &'a [E],
    output: &'a mut [E],
    is_forward: bool,
}

impl<E: Real> Body for Apply<'_, E> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (mut scales, mut shifts) = ([E::zero(); BATCH], [E::zero(); BATCH]);
        let batches = self.input.chunks(BATCH).zip(self.output.chunks_mut(BATCH));
        for (number, (x, y)) in ((self.start / BATCH) as u64..).zip(batches) {
            draw(self.noise, self.key, number, &mut scales, &mut shifts);
            if self.is_forward {
                for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&scales).zip(&shifts) {
                    *y = scale.mul_add(*x, *shift);
                }
            } else {
                for ((gx, gy), scale) in y.iter_mut().zip(x).zip(&scales) {
                    *gx = scale.mul_add(*gy, *gx);
                }
            }
        }
    }
}

macro_rules! passes {
    ($type:ty) => {
        impl NoisePasses for $type {
            fn noise(noise: Noise, key: Key, start: usize, x: &[$type], y: &mut [$type]) {
                simd(Apply { noise, key, start, input: x, output: y, is_forward: true })
            }

            fn noise_back(noise: Noise, key: Key, start: usize, gy: &[$type], gx: &mut [$type]) {
                simd(Apply { noise, key, start, input: gy, output: gx, is_forward: false })
            }
        }
    };
}
passes!(f32);
passes!(f64);
