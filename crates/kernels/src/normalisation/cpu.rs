//! The fused bodies of the normalisations.
use super::passes::{Blocks, COLUMNS, Lines, Standard};
use super::{Channel, Grouping, LocalResponse, NormalisationDevice, Volume};
use crate::bridge::{buffer, flat, recycle};
use crate::cpu::{Out, part};
use crate::gradient::{Sum, expect};
use crate::loops::{CHUNK, rows_per_part};
use crate::pool::{chunks_mut, chunks_mut2};
use crate::{ActivationKind, Device, Real};
use dfdx::prelude::*;
use std::mem::take;

/// Factor of negative numbers, for the activations that are part of the pass.
fn slope(kind: ActivationKind) -> Option<f64> {
    match kind {
        ActivationKind::Identity => Some(1.0),
        ActivationKind::Relu => Some(0.0),
        ActivationKind::LeakyRelu(slope) => Some(slope),
        _ => None,
    }
}

/// Channels per part of a reduction over everything else.
fn channels_per_part([samples, _, inner]: [usize; 3]) -> usize {
    if inner == 1 { COLUMNS } else { (CHUNK / (samples * inner).max(1)).max(1) }
}

/// Elements per part of a map: whole rows of channels or whole segments.
fn elements_per_part([_, channels, inner]: [usize; 3]) -> usize {
    let row = if inner == 1 { channels } else { inner }.max(1);
    rows_per_part(row) * row
}

/// First segment of the part that starts at an element.
fn segment(start: usize, inner: usize) -> usize {
    if inner == 1 { 0 } else { start / inner }
}

/// What the channels' moments come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    /// The batch: backward goes through them.
    Batch,
    /// Somewhere else: constants.
    Outside,
}

/// m, r, e of x̂ per channel, and m, a, c of the affine map behind each other.
fn lines<E: Real>(
    standards: &[Standard<E>],
    weight: &[E],
    bias: &[E],
    device: &Cpu,
) -> Result<Vec<E>, CpuError> {
    let channels = standards.len();
    let mut lines = buffer(device, 3 * channels)?;
    for (i, ((standard, &w), &b)) in standards.iter().zip(weight).zip(bias).enumerate() {
        lines[i] = standard.mean;
        lines[channels + i] = standard.scale * w;
        lines[2 * channels + i] = standard.offset * w + b;
    }
    Ok(lines)
}

fn view<E: Real>(lines: &[E], slope: E) -> Lines<'_, E> {
    let channels = lines.len() / 3;
    let [mean, scale, offset] = [0, 1, 2].map(|i| &lines[i * channels..(i + 1) * channels]);
    Lines { mean, scale, offset, slope }
}

/// y = φ(w x̂ + b) with x̂ from `standards`.
fn normalise<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Volume, E, Cpu>,
    mut tape: T,
    [weight, bias]: [Channel<E, Cpu>; 2],
    standards: Vec<Standard<E>>,
    from: From,
    slope: f64,
) -> Out<Volume, E, T> {
    let device = x.device().clone();
    let shape = x.shape().concrete();
    let [samples, channels, inner] = shape;
    let slope = E::of(slope);
    let chunk = elements_per_part(shape);
    let map = lines(&standards, flat(&weight), flat(&bias), &device)?;
    let mut y = buffer(&device, samples * channels * inner)?;
    chunks_mut(&mut y, chunk, |start, y| {
        E::map(inner, segment(start, inner), view(&map, slope), part(flat(&x), start, y), y)
    });
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    if !T::OWNS_TAPE {
        recycle(&device, map);
        return Ok(y.put_tape(tape));
    }
    let (ghost, of_x) = (y.ghost(), x.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let mut sums = buffer(&device, 2 * channels)?;
        let per_part = channels_per_part(shape);
        chunks_mut(&mut sums, 2 * per_part, |start, sums| {
            E::channel_gradients(shape, start / 2, view(&map, slope), &standards, flat(&x), &gy, sums)
        });
        let gb = grads.get_or_alloc_mut(&bias)?;
        gb.iter_mut().zip(sums.chunks_exact(2)).for_each(|(gb, sums)| *gb += sums[0]);
        let gw = grads.get_or_alloc_mut(&weight)?;
        gw.iter_mut().zip(sums.chunks_exact(2)).for_each(|(gw, sums)| *gw += sums[1]);
        // a (g − mean g − x̂ mean (g x̂)) = a g + p (x − m) + q
        let mut shares = buffer(&device, 2 * channels)?;
        let per_element = if from == From::Batch { -1.0 / (samples * inner) as f64 } else { 0.0 };
        let (ps, qs) = shares.split_at_mut(channels);
        for (i, (p, q)) in ps.iter_mut().zip(qs).enumerate() {
            let factor = view(&map, slope).scale[i] * E::of(per_element);
            let Standard { scale, offset, .. } = standards[i];
            *p = factor * sums[2 * i + 1] * scale;
            *q = factor * (sums[2 * i] + offset * sums[2 * i + 1]);
        }
        let shares_of = [&shares[..channels], &shares[channels..]];
        Sum::new(&device, grads.get_or_alloc_mut(&x)?, gy.len())?.add(chunk, |start, gx| {
            let (x, gy) = (part(flat(&x), start, gx), part(&gy, start, gx));
            E::map_back(inner, segment(start, inner), view(&map, slope), shares_of, x, gy, gx)
        });
        **grads.get_or_alloc_mut(&ghost)? = gy;
        for buffer in [sums, shares, map] {
            recycle(&device, buffer);
        }
        Ok(())
    });
    Ok(y.put_tape(expect(&of_x, tape)?))
}

/// The output, and mean and variance.
type Normed<E, T> = Result<(Tensor<Volume, E, Cpu, T>, [Channel<E, Cpu>; 2]), CpuError>;

fn batch_norm<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Volume, E, Cpu, T>,
    weight: Channel<E, Cpu>,
    bias: Channel<E, Cpu>,
    epsilon: f64,
    slope: f64,
) -> Normed<E, T> {
    let (x, tape) = x.split_tape();
    let device = x.device().clone();
    let shape = x.shape().concrete();
    let channels = shape[1];
    let mut moments = buffer(&device, 3 * channels)?;
    chunks_mut(&mut moments, 3 * channels_per_part(shape), |start, out| {
        E::channel_moments(shape, start / 3, flat(&x), out)
    });
    let (mut mean, mut variance) = (buffer(&device, channels)?, buffer(&device, channels)?);
    let mut standards = Vec::with_capacity(channels);
    for (i, moments) in moments.chunks_exact(3).enumerate() {
        (mean[i], variance[i]) = (moments[0] + moments[1], moments[2]);
        let scale = (moments[2] + E::of(epsilon)).sqrt().recip();
        standards.push(Standard { mean: moments[0], scale, offset: -moments[1] * scale });
    }
    recycle(&device, moments);
    let mean = device.try_tensor_from_vec(mean, (channels,))?;
    let variance = device.try_tensor_from_vec(variance, (channels,))?;
    let y = normalise(x, tape, [weight, bias], standards, From::Batch, slope)?;
    Ok((y, [mean, variance]))
}

fn batch_norm_with<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Volume, E, Cpu, T>,
    weight: Channel<E, Cpu>,
    bias: Channel<E, Cpu>,
    [mean, variance]: [Channel<E, Cpu>; 2],
    epsilon: f64,
    slope: f64,
) -> Out<Volume, E, T> {
    let (x, tape) = x.split_tape();
    let standards = flat(&mean).iter().zip(flat(&variance)).map(|(&mean, &variance)| Standard {
        mean,
        scale: (variance + E::of(epsilon)).sqrt().recip(),
        offset: E::zero(),
    });
    normalise(x, tape, [weight, bias], standards.collect(), From::Outside, slope)
}

fn group_norm<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Volume, E, Cpu, T>,
    weight: Channel<E, Cpu>,
    bias: Channel<E, Cpu>,
    grouping: Grouping,
) -> Out<Volume, E, T> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let [samples, channels, inner] = x.shape().concrete();
    let elements = samples * channels * inner;
    let length = (channels / grouping.groups.max(1) * inner).max(1);
    fn blocks<'a, E: Real>(
        grouping: Grouping,
        (length, inner): (usize, usize),
        weight: &'a Channel<E, Cpu>,
        bias: &'a Channel<E, Cpu>,
    ) -> Blocks<'a, E> {
        let (epsilon, is_centred) = (E::of(grouping.epsilon), grouping.is_centred);
        Blocks { length, inner, weight: flat(weight), bias: flat(bias), epsilon, is_centred }
    }
    let per_part = rows_per_part(length);
    let chunk = per_part * length;
    let (mut y, mut kept) = (buffer(&device, elements)?, buffer(&device, 3 * (elements / length))?);
    chunks_mut2((&mut y, chunk), (&mut kept, 3 * per_part), |start, y, kept| {
        let blocks = blocks(grouping, (length, inner), &weight, &bias);
        E::standardise(blocks, start / length, part(flat(&x), start, y), y, kept)
    });
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    if !T::OWNS_TAPE {
        recycle(&device, kept);
        return Ok(y.put_tape(tape));
    }
    let (ghost, of_x) = (y.ghost(), x.clone());
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let parts = elements.div_ceil(chunk);
        let mut sums = buffer(&device, parts * 2 * channels)?;
        let gx = Sum::new(&device, grads.get_or_alloc_mut(&x)?, elements)?;
        gx.add_with(chunk, (&mut sums, (2 * channels).max(1)), |start, gx, sums| {
            let first = start / length;
            let kept = &kept[3 * first..3 * (first + gx.len() / length)];
            let inputs = [part(flat(&x), start, gx), part(&gy, start, gx)];
            let blocks = blocks(grouping, (length, inner), &weight, &bias);
            E::standardise_back(blocks, first, kept, inputs, gx, sums)
        });
        let gw = grads.get_or_alloc_mut(&weight)?;
        for sums in sums.chunks_exact(2 * channels.max(1)) {
            E::add_to(&sums[..channels], gw);
        }
        let gb = grads.get_or_alloc_mut(&bias)?;
        for sums in sums.chunks_exact(2 * channels.max(1)) {
            E::add_to(&sums[channels..], gb);
        }
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, sums);
        recycle(&device, kept);
        Ok(())
    });
    Ok(y.put_tape(expect(&of_x, tape)?))
}

fn local_response_norm<E: Real, T: Tape<E, Cpu>>(
    x: Tensor<Volume, E, Cpu, T>,
    config: LocalResponse,
) -> Out<Volume, E, T> {
    let (x, mut tape) = x.split_tape();
    let device = x.device().clone();
    let [_, channels, inner] = x.shape().concrete();
    let sample = (channels * inner).max(1);
    let chunk = rows_per_part(sample) * sample;
    let elements = x.shape().num_elements();
    let (mut y, mut u) = (buffer(&device, elements)?, buffer(&device, elements)?);
    chunks_mut2((&mut y, chunk), (&mut u, chunk), |start, y, u| {
        E::respond(config, [channels, inner], part(flat(&x), start, y), y, u)
    });
    let y = device.try_tensor_from_vec(y, *x.shape())?;
    if !T::OWNS_TAPE {
        recycle(&device, u);
        return Ok(y.put_tape(tape));
    }
    let ghost = y.ghost();
    tape.add_backward_op(move |grads| {
        let gy = take(&mut **grads.get_or_alloc_mut(&ghost)?);
        let mut shares = buffer(&device, elements.div_ceil(chunk) * sample)?;
        chunks_mut2((grads.get_or_alloc_mut(&x)?, chunk), (&mut shares, sample), |start, gx, shares| {
            let inputs = [part(flat(&x), start, gx), part(&u, start, gx), part(&gy, start, gx)];
            E::respond_back(config, [channels, inner], inputs, gx, shares)
        });
        **grads.get_or_alloc_mut(&ghost)? = gy;
        recycle(&device, shares);
        recycle(&device, u);
        Ok(())
    });
    Ok(y.put_tape(tape))
}

macro_rules! fused {
    ($E:ty) => {
        impl NormalisationDevice<$E> for Cpu {
            fn batch_norm<T: Tape<$E, Cpu>>(
                x: Tensor<Volume, $E, Cpu, T>,
                weight: Channel<$E, Cpu>,
                bias: Channel<$E, Cpu>,
                epsilon: f64,
                kind: ActivationKind,
            ) -> Normed<$E, T> {
                if let Some(slope) = slope(kind) {
                    return batch_norm(x, weight, bias, epsilon, slope);
                }
                let (y, moments) = batch_norm(x, weight, bias, epsilon, 1.0)?;
                Ok((<Cpu as Device<$E>>::activate(y, kind)?, moments))
            }
            fn batch_norm_with<T: Tape<$E, Cpu>>(
                x: Tensor<Volume, $E, Cpu, T>,
                weight: Channel<$E, Cpu>,
                bias: Channel<$E, Cpu>,
                moments: [Channel<$E, Cpu>; 2],
                epsilon: f64,
                kind: ActivationKind,
            ) -> Out<Volume, $E, T> {
                if let Some(slope) = slope(kind) {
                    return batch_norm_with(x, weight, bias, moments, epsilon, slope);
                }
                let y = batch_norm_with(x, weight, bias, moments, epsilon, 1.0)?;
                <Cpu as Device<$E>>::activate(y, kind)
            }
            fn group_norm<T: Tape<$E, Cpu>>(
                x: Tensor<Volume, $E, Cpu, T>,
                weight: Channel<$E, Cpu>,
                bias: Channel<$E, Cpu>,
                grouping: Grouping,
            ) -> Out<Volume, $E, T> {
                group_norm(x, weight, bias, grouping)
            }
            fn local_response_norm<T: Tape<$E, Cpu>>(
                x: Tensor<Volume, $E, Cpu, T>,
                config: LocalResponse,
            ) -> Out<Volume, $E, T> {
                local_response_norm(x, config)
            }
        }
    };
}

fused!(f32);
fused!(f64);
