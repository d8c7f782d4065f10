//! Noise composed of dfdx operations: scale and shift as two tensors, drawn on the host.
use super::Noise;
use crate::random::Key;
use crate::{BaseDevice, Real};
use dfdx::prelude::*;

pub fn noise<S: Shape, E: Real, D: BaseDevice<E>, T: Tape<E, D>>(
    x: Tensor<S, E, D, T>,
    noise: Noise,
    key: Key,
) -> Result<Tensor<S, E, D, T>, D::Err> {
    let (device, shape) = (x.device().clone(), *x.shape());
    let elements = shape.num_elements();
    let pairs: Vec<[f64; 2]> = match noise {
        Noise::Either { rate, kept, dropped, span } => (0..elements)
            .map(|i| if key.keeps(rate, (i / span) as u64) { kept } else { [0.0, dropped] })
            .collect(),
        Noise::Factor { deviation } => {
            (0..elements).map(|i| [1.0 + deviation * key.normal_at(i as u64), 0.0]).collect()
        }
        Noise::Term { deviation } => {
            (0..elements).map(|i| [1.0, deviation * key.normal_at(i as u64)]).collect()
        }
    };
    let tensor = |which: usize| {
        device.try_tensor_from_vec(pairs.iter().map(|pair| E::of(pair[which])).collect(), shape)
    };
    x.try_mul(tensor(0)?)?.try_add(tensor(1)?)
}
