//! Initial weights that look at the data, and orthogonal ones for a [`Chain`].
//!
//! For dfdx models all rules by size (LeCun, Glorot, He, orthogonal, truncated) are in `layers::init`. Here is LSUV: make
//! the weights of each layer orthogonal, then divide them by the standard deviation of the layer's votes on a batch,
//! until the variance is 1 within a tolerance; layer by layer from the input.
//!
//! **Papers**: Saxe, McClelland & Ganguli (2014), arXiv 1312.6120; Mishkin & Matas (2016), All you need is a good init,
//! arXiv 1511.06422 (tolerance 0.1, at most 10 rounds).
use dfdx::prelude::{Cpu, HasShape, TensorFromVec};
use kernels::Real;
use kernels::random::Key;
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;

use crate::Error;
use crate::chain::{Batch, Chain};

/// A matrix with orthogonal rows or columns, whichever are fewer, of length `gain`; uniform among those (Haar): the
/// columns of Q are multiplied by the signs of R's diagonal.
pub fn orthogonal(rows: usize, columns: usize, gain: f64, key: Key) -> DMatrix<f64> {
    let (tall, short) = (rows.max(columns), rows.min(columns));
    let mut rng = key.rng();
    let qr = DMatrix::from_fn(tall, short, |_, _| rng.sample::<f64, _>(StandardNormal)).qr();
    let (mut q, r) = (qr.q(), qr.r());
    for j in 0..short {
        let sign = if r[(j, j)] < 0.0 { -gain } else { gain };
        q.column_mut(j).scale_mut(sign);
    }
    if rows >= columns { q } else { q.transpose() }
}

/// Replaces the weights of each layer by orthogonal ones of this gain.
pub fn orthogonalise<E: Real>(chain: &mut Chain<E, Cpu>, gain: f64, key: Key) {
    for (l, layer) in chain.layers.iter_mut().enumerate() {
        let (rows, columns) = *layer.weight.shape();
        let q = orthogonal(rows, columns, gain, key.fold(l as u64)).transpose(); // its columns are our rows
        let values: Vec<E> = q.iter().map(|&value| E::of(value)).collect();
        layer.weight = Cpu::default().tensor_from_vec(values, (rows, columns));
    }
}

// ANCHOR: lsuv
/// LSUV: orthogonal weights, then each layer's votes on `x` to variance 1 ± `tolerance`. Returns the variances reached.
///
/// # Errors
/// [`Error::InvalidHyper`] unless `tolerance` is finite and above 0; [`Error::NonFinite`] when a layer's votes do not
/// vary at all; [`Error::Device`].
pub fn lsuv<E: Real>(
    chain: &mut Chain<E, Cpu>,
    x: &Batch<E, Cpu>,
    tolerance: f64,
    key: Key,
) -> Result<Vec<f64>, Error>
where
    Cpu: kernels::Device<E>,
{
    if !(tolerance.is_finite() && tolerance > 0.0) {
        return Err(Error::InvalidHyper { name: "tolerance", rule: "finite and above 0", value: tolerance });
    }
    orthogonalise(chain, 1.0, key);
    let mut reached = Vec::new();
    for l in 0..chain.layers.len() {
        let mut variance = vote_variance(chain, x, l)?;
        for _ in 0..10 {
            if (variance - 1.0).abs() < tolerance {
                break;
            }
            if variance == 0.0 || !variance.is_finite() {
                return Err(Error::NonFinite {
                    path: "variance of the votes",
                    step: l as u64,
                    value: variance,
                });
            }
            let scale = E::of(variance.sqrt());
            kernels::flat_mut(&mut chain.layers[l].weight).iter_mut().for_each(|w| *w /= scale);
            variance = vote_variance(chain, x, l)?;
        }
        reached.push(variance);
    }
    Ok(reached)
}
// ANCHOR_END: lsuv

/// Variance of the votes of layer `l` over units and rows.
fn vote_variance<E: Real>(chain: &Chain<E, Cpu>, x: &Batch<E, Cpu>, l: usize) -> Result<f64, Error>
where
    Cpu: kernels::Device<E>,
{
    let until = Chain { layers: chain.layers[..=l].to_vec(), activation: chain.activation };
    let votes = dfdx::nn::Module::try_forward(&until, x.clone()).map_err(layers::params::DeviceError::new)?;
    let votes: Vec<f64> = votes.as_vec().into_iter().map(Real::as_f64).collect();
    let mean = votes.iter().sum::<f64>() / votes.len() as f64;
    Ok(votes.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / votes.len() as f64)
}
