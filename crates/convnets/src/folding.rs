//! A batch normalisation for nothing: put into the weights of the convolution before it.
//!
//! In evaluation a normalisation is $y = \gamma (z - \mu)/\sqrt{v + \epsilon} + \beta$, and $z = w * x + b$ is linear in
//! its weights. With $s = \gamma/\sqrt{v + \epsilon}$, for each map,
//!
//! $$ y = (s w) * x + \bigl(\beta + s (b - \mu)\bigr). $$
//!
//! A network that is only used loses a layer and a pass over each map; its answers differ by rounding.
//! **Not** in training: there $\mu$ and $v$ are those of the batch, which depend on $w$.
//! **Source**: Ioffe & Szegedy (2015), Batch normalization, arXiv 1502.03167, section 3.1.
use kernels::{Device, Real};
use layers::activation::Activation;
use layers::builders;
use layers::convolution::{BiasOption, Biased, Grouping};
use layers::modules::{BatchNorm2D, RectConv2D};
use layers::prelude::*;

/// One convolution that does what `convolution` and then `norm` do in evaluation, the activation of `norm` included.
///
/// # Examples
/// ```
/// use convnets::folding::fold;
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut two = dev.build_module::<(UnbiasedConv2D<1, 4, 3>, BatchNorm2D<4, Relu>), f64>();
/// let x: Tensor<Rank4<8, 1, 6, 6>, f64, _> = dev.sample_normal();
/// two.forward_mut(x.clone()); // statistics that are not 0 and 1
/// let one = fold(&two.0, &two.1)?;
/// let (apart, folded) = (two.forward(x.clone()).as_vec(), one.forward(x).as_vec());
/// assert!(apart.iter().zip(&folded).all(|(a, b)| (a - b).abs() < 1e-14));
/// # Ok::<(), dfdx::prelude::CpuError>(())
/// ```
///
/// # Errors
/// The device's error.
pub fn fold<const I: usize, const O: usize, const KH: usize, const KW: usize, Y, X, E, D, A, B, G>(
    convolution: &RectConv2D<I, O, KH, KW, Y, X, E, D, Identity, B, G>,
    norm: &BatchNorm2D<O, E, D, A>,
) -> Result<RectConv2D<I, O, KH, KW, Y, X, E, D, A, Biased, G>, D::Err>
where
    E: Real,
    D: Device<E>,
    A: Activation,
    B: BiasOption,
    G: Grouping<I>,
    builders::RectConv2D<I, O, KH, KW, Y, X, A, Biased, G>:
        BuildOnDevice<D, E, Built = RectConv2D<I, O, KH, KW, Y, X, E, D, A, Biased, G>>,
{
    let device = convolution.weight.device();
    let mut folded = <builders::RectConv2D<I, O, KH, KW, Y, X, A, Biased, G>>::try_build_on_device(device)?;
    let variances = norm.running_var.as_vec();
    let scales: Vec<E> = (norm.weight.as_vec().into_iter().zip(variances))
        .map(|(gain, variance)| gain / (variance + E::of(norm.epsilon)).sqrt())
        .collect();
    let mut weights = convolution.weight.as_vec();
    let taps = weights.len() / O;
    for (kernel, scale) in weights.chunks_exact_mut(taps.max(1)).zip(&scales) {
        kernel.iter_mut().for_each(|weight| *weight *= *scale);
    }
    let mut offsets = norm.bias.as_vec();
    let before = B::operand::<O, E, D>(&convolution.bias).map_or(vec![E::zero(); O], |bias| bias.as_vec());
    let means = norm.running_mean.as_vec();
    for (((offset, before), mean), scale) in offsets.iter_mut().zip(before).zip(means).zip(&scales) {
        *offset += *scale * (before - mean);
    }
    folded.weight.copy_from(&weights);
    folded.bias.copy_from(&offsets);
    folded.activation = norm.activation;
    Ok(folded)
}
