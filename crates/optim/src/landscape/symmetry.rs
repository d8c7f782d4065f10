//! How many weight vectors are the same network: hidden units may change places, and odd ones may change signs.
//!
//! $$ \prod_l n_l!\;2^{n_l} $$
//!
//! for hidden layers of $n_l$ units with an odd activation ($\tanh$); without the powers of 2 for others. Every minimum of
//! a network is one of so many, all equally deep: that a surface has many minima says nothing against it.
//!
//! **Source**: Goodfellow et al. (2016), section 8.2.2; Chen, Lu & Hecht-Nielsen (1993), On the geometry of feedforward
//! neural network error surfaces.
use dfdx::prelude::{AsArray, Cpu, HasShape, TensorFrom};
use kernels::{ActivationKind, Device, Real};

use crate::Error;
use crate::chain::Chain;

/// Whether $\varphi(-z) = -\varphi(z)$.
fn is_odd(activation: ActivationKind) -> bool {
    let at = kernels::activate(Cpu::default().tensor([-1.7_f64, -0.3, 0.3, 1.7]), activation).array();
    (at[0] + at[3]).abs() < 1e-12 && (at[1] + at[2]).abs() < 1e-12
}

// ANCHOR: count
/// Logarithm to base 10 of the number of weight vectors that compute the function of a chain with these hidden widths.
///
/// ```
/// use kernels::{ActivationKind, Activation, Relu, Tanh};
/// use optim::landscape::symmetry::log10_copies;
/// assert!((10_f64.powf(log10_copies(&[2], Tanh.kind())) - 8.0).abs() < 1e-9); // 2! · 2²
/// assert!((log10_copies(&[100], Relu.kind()) - 157.97).abs() < 0.01); // 100!
/// ```
pub fn log10_copies(hidden: &[usize], activation: ActivationKind) -> f64 {
    let signs = if is_odd(activation) { 2.0_f64.log10() } else { 0.0 };
    let places = |n: usize| (1..=n).map(|i| (i as f64).log10()).sum::<f64>();
    hidden.iter().map(|&n| places(n) + n as f64 * signs).sum()
}
// ANCHOR_END: count

fn hidden<E: Real, D: Device<E>>(chain: &Chain<E, D>, layer: usize) -> Result<usize, Error> {
    let count = chain.layers.len() - 1;
    if layer >= count {
        return Err(Error::Dimension {
            what: "hidden layers before the one that is changed",
            got: layer,
            want: count,
        });
    }
    Ok(chain.layers[layer].weight.shape().0)
}

/// Puts unit `order[i]` of hidden layer `layer` in place `i`, with the weights on both of its sides.
///
/// # Errors
/// [`Error::Dimension`] without such a layer or unless `order` names each unit once.
pub fn permute_units<E: Real, D: Device<E>>(
    chain: &mut Chain<E, D>,
    layer: usize,
    order: &[usize],
) -> Result<(), Error> {
    let units = hidden(chain, layer)?;
    let mut seen = order.to_vec();
    seen.sort_unstable();
    if !seen.iter().copied().eq(0..units) {
        return Err(Error::Dimension { what: "different units in an order", got: order.len(), want: units });
    }
    let (_, inputs) = *chain.layers[layer].weight.shape();
    let (weight, bias) = (chain.layers[layer].weight.as_vec(), chain.layers[layer].bias.as_vec());
    let rows: Vec<E> = order.iter().flat_map(|&u| weight[u * inputs..(u + 1) * inputs].to_vec()).collect();
    chain.layers[layer].weight.copy_from(&rows);
    chain.layers[layer].bias.copy_from(&order.iter().map(|&u| bias[u]).collect::<Vec<E>>());
    let next = chain.layers[layer + 1].weight.as_vec();
    let columns: Vec<E> =
        next.chunks(units).flat_map(|row| order.iter().map(|&u| row[u]).collect::<Vec<_>>()).collect();
    chain.layers[layer + 1].weight.copy_from(&columns);
    Ok(())
}

/// Changes the sign of everything that enters and leaves a unit of hidden layer `layer`: the same function if the
/// activation is odd.
///
/// # Errors
/// [`Error::Dimension`] without such a layer or unit.
pub fn flip_unit<E: Real, D: Device<E>>(
    chain: &mut Chain<E, D>,
    layer: usize,
    unit: usize,
) -> Result<(), Error> {
    let units = hidden(chain, layer)?;
    if unit >= units {
        return Err(Error::Dimension {
            what: "units before the one that is changed",
            got: unit,
            want: units,
        });
    }
    let (_, inputs) = *chain.layers[layer].weight.shape();
    let mut weight = chain.layers[layer].weight.as_vec();
    weight[unit * inputs..(unit + 1) * inputs].iter_mut().for_each(|w| *w = -*w);
    chain.layers[layer].weight.copy_from(&weight);
    let mut bias = chain.layers[layer].bias.as_vec();
    bias[unit] = -bias[unit];
    chain.layers[layer].bias.copy_from(&bias);
    let mut next = chain.layers[layer + 1].weight.as_vec();
    next.chunks_mut(units).for_each(|row| row[unit] = -row[unit]);
    chain.layers[layer + 1].weight.copy_from(&next);
    Ok(())
}
