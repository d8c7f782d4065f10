//! The normalisations composed of dfdx operations.
use super::{Channel, Grouping, LocalResponse, Volume};
use crate::{ActivationKind, Device, Real, RowMajor};
use dfdx::prelude::*;

type Out<E, D, T> = Result<Tensor<Volume, E, D, T>, <D as HasErr>::Err>;

/// w x + b per channel.
fn affine<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
    weight: Channel<E, D>,
    bias: Channel<E, D>,
) -> Out<E, D, T> {
    let shape = *x.shape();
    let weight = weight.retaped::<T>().try_broadcast_like::<_, Axes2<0, 2>>(&shape)?;
    let bias = bias.retaped::<T>().try_broadcast_like::<_, Axes2<0, 2>>(&shape)?;
    x.try_mul(weight)?.try_add(bias)
}

/// Mean over samples and positions.
fn channel_mean<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
) -> Result<Tensor<(usize,), E, D, T>, D::Err> {
    let (samples, _, inner) = *x.shape();
    x.try_sum::<(usize,), Axes2<0, 2>>()?.try_div(E::of((samples * inner) as f64))
}

#[allow(clippy::type_complexity)]
pub fn batch_norm<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
    weight: Channel<E, D>,
    bias: Channel<E, D>,
    epsilon: f64,
    kind: ActivationKind,
) -> Result<(Tensor<Volume, E, D, T>, [Channel<E, D>; 2]), D::Err> {
    let shape = *x.shape();
    let mean = channel_mean(x.with_empty_tape())?;
    let fixed_mean = mean.retaped::<NoneTape>();
    let centred = x.try_sub(mean.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)?;
    let variance = channel_mean(centred.with_empty_tape().try_square()?)?;
    let fixed_variance = variance.retaped::<NoneTape>();
    let scale = variance.try_add(E::of(epsilon))?.try_sqrt()?.try_recip()?;
    let standard = centred.try_mul(scale.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)?;
    let y = D::activate(affine(standard, weight, bias)?, kind)?;
    Ok((y, [fixed_mean, fixed_variance]))
}

pub fn batch_norm_with<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
    weight: Channel<E, D>,
    bias: Channel<E, D>,
    [mean, variance]: [Channel<E, D>; 2],
    epsilon: f64,
    kind: ActivationKind,
) -> Out<E, D, T> {
    let shape = *x.shape();
    let scale = variance.try_add(E::of(epsilon))?.try_sqrt()?.try_recip()?;
    let centred = x.try_sub(mean.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)?;
    let standard = centred.try_mul(scale.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)?;
    D::activate(affine(standard, weight, bias)?, kind)
}

pub fn group_norm<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
    weight: Channel<E, D>,
    bias: Channel<E, D>,
    grouping: Grouping,
) -> Out<E, D, T> {
    let shape = *x.shape();
    let blocks = (shape.0 * grouping.groups, (shape.1 / grouping.groups.max(1)) * shape.2);
    let count = E::of(blocks.1 as f64);
    let mean = |x: Tensor<(usize, usize), E, D, T>| x.try_sum::<(usize,), Axis<1>>()?.try_div(count);
    let x = x.try_reshaped(&blocks)?;
    let centred = match grouping.is_centred {
        true => {
            let mean = mean(x.with_empty_tape())?.try_broadcast_like::<_, Axis<1>>(&blocks)?;
            x.try_sub(mean)?
        }
        false => x,
    };
    let variance = mean(centred.with_empty_tape().try_square()?)?;
    let scale = variance.try_add(E::of(grouping.epsilon))?.try_sqrt()?.try_recip()?;
    let standard = centred.try_mul(scale.try_broadcast_like::<_, Axis<1>>(&blocks)?)?;
    affine(standard.try_reshaped(&shape)?, weight, bias)
}

/// The sum over neighbouring channels is a product with a band of ones.
pub fn local_response_norm<E: Real, D: Device<E>, T: Tape<E, D>>(
    x: Tensor<Volume, E, D, T>,
    config: LocalResponse,
) -> Out<E, D, T> {
    let (samples, channels, inner) = *x.shape();
    let (before, after) = (config.size / 2, (config.size - 1) / 2);
    let mut band = vec![E::zero(); channels * channels];
    for channel in 0..channels {
        for near in channel.saturating_sub(before)..(channel + after + 1).min(channels) {
            band[near * channels + channel] = E::of(config.alpha);
        }
    }
    let band = x.device().try_tensor_from_vec(band, (channels, channels))?;
    let squares = x.with_empty_tape().try_square()?.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?;
    let rows = squares.try_reshaped(&(samples * inner, channels))?;
    let sums = rows.try_matmul(band)?.try_reshaped(&(samples, inner, channels))?;
    let base = sums.try_permute::<Volume, Axes3<0, 2, 1>>()?.try_add(E::of(config.k))?;
    x.try_mul(base.try_ln()?.try_mul(E::of(-config.beta))?.try_exp()?)
}
