//! Noise on `Cpu`: drawn in forward, and drawn again in backward.
use super::{Noise, NoiseDevice};
use crate::Real;
use crate::bridge::{buffer, flat};
use crate::cpu::{Out, part};
use crate::gradient::{Sum, expect};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::chunks_mut;
use crate::random::Key;
use dfdx::prelude::*;
use std::mem::take;

/// `y = s x + t` and `gx += s gy` for part `start..` of the whole: `span` neighbours share one draw.
fn apply<E: Real>(noise: Noise, key: Key, start: usize, input: &[E], output: &mut [E], is_forward: bool) {
    match noise {
        Noise::Either { rate, kept, dropped, span } if span > 1 => {
            let spans = input.chunks_exact(span).zip(output.chunks_exact_mut(span));
            for (feature, (x, y)) in ((start / span) as u64..).zip(spans) {
                let [scale, shift] = if key.keeps(rate, feature) { kept } else { [0.0, dropped] }.map(E::of);
                for (y, x) in y.iter_mut().zip(x) {
                    *y = *x * scale + if is_forward { shift } else { *y };
                }
            }
        }
        _ if is_forward => E::noise(noise, key, start, input, output),
        _ => E::noise_back(noise, key, start, input, output),
    }
}

fn noise<S: Shape, E: Real, T: Tape<E, Cpu>>(
    x: Tensor<S, E, Cpu, T>,
    noise: Noise,
    key: Key,
) -> Out<S, E, T> {
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let chunk = match noise {
        Noise::Either { span, .. } if span > 1 => rows_per_part(span) * span,
        _ => CHUNK, // whole batches of the generator
    };
    let mut y = buffer(x.device(), x.shape().num_elements())?;
    chunks_mut(&mut y, chunk, |start, y| apply(noise, key, start, part(flat(&x), start, y), y, true));
    let y = x.device().try_tensor_from_vec(y, *x.shape())?;
    let (of_x, ghost, device) = (x.ghost(), y.ghost(), x.device().clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        Sum::new(&device, grads.get_or_alloc_mut(&of_x)?, gy.len())?
            .add(chunk, |start, gx| apply(noise, key, start, part(&gy, start, gx), gx, false));
        **grads.get_or_alloc_mut(&ghost)? = gy;
        Ok(())
    });
    Ok(y.put_tape(expect(&x, tape)?))
}

/// For each element type by itself: with a type parameter, the bound on dfdx's `Device` hides what `Cpu` stores.
macro_rules! fused {
    ($E:ty) => {
        impl NoiseDevice<$E> for Cpu {
            fn noise<S: Shape, T: Tape<$E, Cpu>>(
                x: Tensor<S, $E, Cpu, T>,
                kind: Noise,
                key: Key,
            ) -> Out<S, $E, T> {
                noise(x, kind, key)
            }
        }
    };
}
fused!(f32);
fused!(f64);
