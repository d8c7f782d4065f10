//! Residual networks: blocks that learn what to add to their input.
//!
//! $$ y = \mathrm{ReLU}\bigl(F(x; W) + S(x)\bigr) $$
//!
//! The identity in the sum gives the Jacobian $I + \partial F/\partial x$: signals and gradients pass a block even where
//! $F$ does nothing, so a deeper network can copy a shallower one. Plain networks cannot, and train worse when deeper.
//!
//! | type | blocks | parameters | MACs at 224 |
//! |---|---|---|---|
//! | [`ResNet18`] | basic, 2 2 2 2 | 11,689,512 | 1,814,073,344 |
//! | [`ResNet34`] | basic, 3 4 6 3 | 21,797,672 | 3,663,761,408 |
//! | [`ResNet50`] | bottleneck, 3 4 6 3 | 25,557,032 | 4,089,184,256 |
//! | [`ResNet101`] | bottleneck, 3 4 23 3 | 44,549,160 | 7,801,405,440 |
//! | [`ResNet152`] | bottleneck, 3 8 36 3 | 60,192,808 | 11,513,626,624 |
//! | [`ResNext50`] | bottleneck of 32 groups, 3 4 6 3 | 25,028,904 | 4,230,479,872 |
//! | [`CifarResNet`]`<N>` | basic, N N N; depth 6 N + 2 | 269,722 for N = 3 | |
//!
//! where $S$ is the identity, or where the shape changes a 1×1 convolution (option B); [`ZeroPad`] is option A.
//! **Paper**: He, Zhang, Ren & Sun (2015), Deep residual learning for image recognition, arXiv 1512.03385; the
//! pre-activation order: the same (2016), Identity mappings in deep residual networks, arXiv 1603.05027; groups: Xie et
//! al. (2017), arXiv 1611.05431. **Deviations**: a bottleneck strides in its 3×3 layer as torchvision does, the paper in
//! its first 1×1 (its 3.8·10⁹ multiply-adds for 50 layers are that; [`ResNet50Original`] has them).
use crate::blocks::{Block, ZeroPad};
use dfdx::nn::tensor_collection::TensorCollection;
use kernels::Real;
use layers::convolution::Unbiased;
use layers::params::{self, DeviceError};
use layers::prelude::*;

/// A 3×3 convolution without bias, padded to keep the size or halve it.
pub type Conv3<const I: usize, const O: usize, const S: usize = 1> = UnbiasedConv2D<I, O, 3, S, 1>;
/// A 1×1 convolution without bias.
pub type Conv1<const I: usize, const O: usize, const S: usize = 1> = UnbiasedConv2D<I, O, 1, S>;

// ANCHOR: basic
/// $F$ of a basic block: two 3×3 layers.
pub type BasicBranch<const I: usize, const O: usize, const S: usize> =
    (Conv3<I, O, S>, BatchNorm2D<O, Relu>, Conv3<O, O>, BatchNorm2D<O>);
/// A basic block whose shape stays.
pub type Basic<const C: usize> = Block<BasicBranch<C, C, 1>, Identity, Relu>;
// ANCHOR_END: basic
/// The same layers without anything added: what the paper compares with.
pub type PlainBlock<const I: usize, const O: usize, const S: usize> = (BasicBranch<I, O, S>, Relu);
/// $F$ of a bottleneck: 1×1 to `W` channels, 3×3, 1×1 to `O` = 4 `W`.
pub type BottleneckBranch<const I: usize, const W: usize, const O: usize, const S: usize> = (
    (Conv1<I, W>, BatchNorm2D<W, Relu>),
    (Conv3<W, W, S>, BatchNorm2D<W, Relu>),
    (Conv1<W, O>, BatchNorm2D<O>),
);
/// $S$ where the shape changes (option B), everywhere in option C: a 1×1 convolution.
pub type Projection<const I: usize, const O: usize, const S: usize> = (Conv1<I, O, S>, BatchNorm2D<O>);

/// A basic block with a projection.
pub type BasicProjected<const I: usize, const O: usize, const S: usize> =
    Block<BasicBranch<I, O, S>, Projection<I, O, S>, Relu>;
/// A basic block that halves the map and adds `Z` channels, without parameters in the shortcut (option A).
pub type BasicPadded<const I: usize, const O: usize, const Z: usize> =
    Block<BasicBranch<I, O, 2>, ZeroPad<2, Z>, Relu>;
/// A bottleneck whose shape stays.
pub type Bottleneck<const W: usize, const O: usize> = Block<BottleneckBranch<O, W, O, 1>, Identity, Relu>;
/// A bottleneck with a projection.
pub type BottleneckProjected<const I: usize, const W: usize, const O: usize, const S: usize> =
    Block<BottleneckBranch<I, W, O, S>, Projection<I, O, S>, Relu>;

/// 7×7 convolution and pooling: 224×224 pixels become 56×56.
pub type Stem = (UnbiasedConv2D<3, 64, 7, 2, 3>, BatchNorm2D<64, Relu>, MaxPool2D<3, 2, 1>);
/// The mean of each map, and a linear layer.
pub type Head<const C: usize, const K: usize> = (GlobalAvgPool, Linear<C, K>);

/// The ImageNet family of basic blocks: `A` to `D` blocks whose shape stays follow the first of each stage.
pub type BasicResNet<const A: usize, const B: usize, const C: usize, const D: usize, const K: usize> = (
    Stem,
    (Basic<64>, Repeated<Basic<64>, A>),
    (BasicProjected<64, 128, 2>, Repeated<Basic<128>, B>),
    (BasicProjected<128, 256, 2>, Repeated<Basic<256>, C>),
    (BasicProjected<256, 512, 2>, Repeated<Basic<512>, D>),
    Head<512, K>,
);
/// The ImageNet family of bottlenecks.
pub type BottleneckResNet<const A: usize, const B: usize, const C: usize, const D: usize, const K: usize> = (
    Stem,
    (BottleneckProjected<64, 64, 256, 1>, Repeated<Bottleneck<64, 256>, A>),
    (BottleneckProjected<256, 128, 512, 2>, Repeated<Bottleneck<128, 512>, B>),
    (BottleneckProjected<512, 256, 1024, 2>, Repeated<Bottleneck<256, 1024>, C>),
    (BottleneckProjected<1024, 512, 2048, 2>, Repeated<Bottleneck<512, 2048>, D>),
    Head<2048, K>,
);
/// 18 layers.
pub type ResNet18<const K: usize = 1000> = BasicResNet<1, 1, 1, 1, K>;
/// 34 layers.
pub type ResNet34<const K: usize = 1000> = BasicResNet<2, 3, 5, 2, K>;
/// 50 layers.
pub type ResNet50<const K: usize = 1000> = BottleneckResNet<2, 3, 5, 2, K>;
/// 101 layers.
pub type ResNet101<const K: usize = 1000> = BottleneckResNet<2, 3, 22, 2, K>;
/// 152 layers.
pub type ResNet152<const K: usize = 1000> = BottleneckResNet<2, 7, 35, 2, K>;

type OriginalBranch<const I: usize, const W: usize, const O: usize> = (
    (Conv1<I, W, 2>, BatchNorm2D<W, Relu>),
    (Conv3<W, W>, BatchNorm2D<W, Relu>),
    (Conv1<W, O>, BatchNorm2D<O>),
);
type OriginalStage<const I: usize, const W: usize, const O: usize, const N: usize> =
    (Block<OriginalBranch<I, W, O>, Projection<I, O, 2>, Relu>, Repeated<Bottleneck<W, O>, N>);
/// 50 layers as the paper strides them: in the first 1×1 of a stage.
pub type ResNet50Original<const K: usize = 1000> = (
    Stem,
    (BottleneckProjected<64, 64, 256, 1>, Repeated<Bottleneck<64, 256>, 2>),
    OriginalStage<256, 128, 512, 3>,
    OriginalStage<512, 256, 1024, 5>,
    OriginalStage<1024, 512, 2048, 2>,
    Head<2048, K>,
);

type NextBranch<const I: usize, const W: usize, const O: usize, const S: usize> = (
    (Conv1<I, W>, BatchNorm2D<W, Relu>),
    (GroupedConv2D<W, W, 3, 32, S, 1, 1, Identity, Unbiased>, BatchNorm2D<W, Relu>),
    (Conv1<W, O>, BatchNorm2D<O>),
);
type NextStage<const I: usize, const W: usize, const O: usize, const S: usize, const N: usize> = (
    Block<NextBranch<I, W, O, S>, Projection<I, O, S>, Relu>,
    Repeated<Block<NextBranch<O, W, O, 1>, Identity, Relu>, N>,
);
/// ResNeXt-50 with 32 groups of 4 channels.
pub type ResNext50<const K: usize = 1000> = (
    Stem,
    NextStage<64, 128, 256, 1, 2>,
    NextStage<256, 256, 512, 2, 3>,
    NextStage<512, 512, 1024, 2, 5>,
    NextStage<1024, 1024, 2048, 2, 2>,
    Head<2048, K>,
);

/// The CIFAR family with parameter-free shortcuts (option A): three stages of widths 16, 32, 64, each with one block and
/// `M` more, depth 6 (`M` + 1) + 2, for `I` input channels.
pub type CifarResNet<const M: usize, const I: usize = 3, const K: usize = 10> = (
    (Conv3<I, 16>, BatchNorm2D<16, Relu>),
    (Basic<16>, Repeated<Basic<16>, M>),
    (BasicPadded<16, 32, 16>, Repeated<Basic<32>, M>),
    (BasicPadded<32, 64, 32>, Repeated<Basic<64>, M>),
    Head<64, K>,
);
/// The CIFAR family with projections where the shape changes (option B).
pub type CifarResNetB<const M: usize, const I: usize = 3, const K: usize = 10> = (
    (Conv3<I, 16>, BatchNorm2D<16, Relu>),
    (Basic<16>, Repeated<Basic<16>, M>),
    (BasicProjected<16, 32, 2>, Repeated<Basic<32>, M>),
    (BasicProjected<32, 64, 2>, Repeated<Basic<64>, M>),
    Head<64, K>,
);
type StageC<const I: usize, const O: usize, const S: usize, const M: usize> =
    (BasicProjected<I, O, S>, Repeated<BasicProjected<O, O, 1>, M>);
/// The CIFAR family with projections everywhere (option C).
pub type CifarResNetC<const M: usize, const I: usize = 3, const K: usize = 10> = (
    (Conv3<I, 16>, BatchNorm2D<16, Relu>),
    StageC<16, 16, 1, M>,
    StageC<16, 32, 2, M>,
    StageC<32, 64, 2, M>,
    Head<64, K>,
);

/// A residual network of widths `A`, `B`, `C` for small grey images (`B` = 2 `A`, `C` = 2 `B`; option A).
pub type SmallResNet<const A: usize, const B: usize, const C: usize, const M: usize, const K: usize = 10> = (
    (Conv3<1, A>, BatchNorm2D<A, Relu>),
    (Basic<A>, Repeated<Basic<A>, M>),
    (BasicPadded<A, B, A>, Repeated<Basic<B>, M>),
    (BasicPadded<B, C, B>, Repeated<Basic<C>, M>),
    Head<C, K>,
);
/// [`SmallResNet`] with projections where the shape changes (option B).
pub type SmallResNetB<const A: usize, const B: usize, const C: usize, const M: usize, const K: usize = 10> = (
    (Conv3<1, A>, BatchNorm2D<A, Relu>),
    (Basic<A>, Repeated<Basic<A>, M>),
    (BasicProjected<A, B, 2>, Repeated<Basic<B>, M>),
    (BasicProjected<B, C, 2>, Repeated<Basic<C>, M>),
    Head<C, K>,
);
/// [`SmallResNet`] with projections everywhere (option C).
pub type SmallResNetC<const A: usize, const B: usize, const C: usize, const M: usize, const K: usize = 10> = (
    (Conv3<1, A>, BatchNorm2D<A, Relu>),
    StageC<A, A, 1, M>,
    StageC<A, B, 2, M>,
    StageC<B, C, 2, M>,
    Head<C, K>,
);
/// [`SmallResNet`] without shortcuts: the same layers and parameters.
pub type SmallPlainNet<const A: usize, const B: usize, const C: usize, const M: usize, const K: usize = 10> = (
    (Conv3<1, A>, BatchNorm2D<A, Relu>),
    (PlainBlock<A, A, 1>, Repeated<PlainBlock<A, A, 1>, M>),
    (PlainBlock<A, B, 2>, Repeated<PlainBlock<B, B, 1>, M>),
    (PlainBlock<B, C, 2>, Repeated<PlainBlock<C, C, 1>, M>),
    Head<C, K>,
);

/// $F$ in the pre-activation order: normalisation and ReLU come before each convolution, nothing after the sum.
pub type PreActivationBranch<const I: usize, const O: usize, const S: usize> =
    (BatchNorm2D<I, Relu>, Conv3<I, O, S>, BatchNorm2D<O, Relu>, Conv3<O, O>);
/// A pre-activation block whose shape stays: what comes in is in what goes out, unchanged.
pub type PreActivation<const C: usize> = Block<PreActivationBranch<C, C, 1>, Identity, Identity>;
/// A pre-activation block that halves the map and adds `Z` channels.
pub type PreActivationPadded<const I: usize, const O: usize, const Z: usize> =
    Block<PreActivationBranch<I, O, 2>, ZeroPad<2, Z>, Identity>;
/// [`SmallResNet`] in the pre-activation order, with a last normalisation before the pooling.
pub type SmallPreActivationNet<
    const A: usize,
    const B: usize,
    const C: usize,
    const M: usize,
    const K: usize = 10,
> = (
    Conv3<1, A>,
    (PreActivation<A>, Repeated<PreActivation<A>, M>),
    (PreActivationPadded<A, B, A>, Repeated<PreActivation<B>, M>),
    (PreActivationPadded<B, C, B>, Repeated<PreActivation<C>, M>),
    BatchNorm2D<C, Relu>,
    Head<C, K>,
);

/// Sets the gain of each block's last normalisation to 0, so that every block starts as what its shortcut does (Goyal et
/// al. 2017, arXiv 1706.02677). It changes the tensors `branch….weight` with one axis that end a branch.
///
/// # Examples
/// ```
/// use convnets::resnet::{self, Basic};
/// use layers::prelude::*;
/// let dev = Cpu::seed_from_u64(0);
/// let mut block = dev.build_module::<Repeated<Basic<4>, 3>, f32>();
/// resnet::zero_last_gains(&mut block)?;
/// let x: Tensor<Rank4<1, 4, 5, 5>, f32, _> = dev.sample_uniform(); // not negative: ReLU keeps it
/// assert_eq!(block.forward(x.clone()).as_vec(), x.as_vec());
/// # Ok::<(), layers::params::DeviceError>(())
/// ```
///
/// # Errors
/// The device's error when a tensor cannot be written.
pub fn zero_last_gains<M, E, D>(model: &mut M) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: kernels::Device<E>,
{
    set_last_gains(model, E::zero())
}

/// Sets the gain of each block's last normalisation: with the gain $s$ a block starts as $S(x) + s\,F(x)$, the scaled
/// residual of Szegedy et al. (2016), section 3.3, as a start from which training may move. [`zero_last_gains`] says which
/// tensors it changes.
///
/// # Errors
/// The device's error when a tensor cannot be written.
pub fn set_last_gains<M, E, D>(model: &mut M, gain: E) -> Result<(), DeviceError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: kernels::Device<E>,
{
    let mut last: Vec<(String, String)> = Vec::new(); // (branch, gain): a later gain of the same branch replaces it
    for parameter in params::list(model) {
        let Some(end) = parameter.name.rfind("branch.") else { continue };
        if parameter.is_trainable && parameter.ndim() == 1 && parameter.name.ends_with("weight") {
            let branch = parameter.name[..end].to_owned();
            last.retain(|(other, _)| *other != branch);
            last.push((branch, parameter.name));
        }
    }
    params::visit_mut(model, |parameter, values: &mut [E]| {
        if last.iter().any(|(_, gain)| *gain == parameter.name) {
            values.fill(gain);
        }
    })
}

/// Standard deviation of the responses of each normalised layer, from the image on: of what leaves its normalisation,
/// before a sum or a rectifier (He et al. 2015, section 4.2 and figure 7).
///
/// In training a normalisation gives channel $c$ the mean $\beta_c$ and the standard deviation $\lvert\gamma_c\rvert$,
/// whatever the convolution before it does. Over all channels of a layer that is
///
/// $$ \sigma^2 = \overline{\gamma^2} + \overline{\beta^2} - \overline{\beta}^2 , $$
///
/// so no images are needed. **Deviations**: exact where a channel's variance is large beside the `eps` of its
/// normalisation. Complexity: O(parameters).
pub fn response_deviations<M, E, D>(model: &M) -> Vec<f64>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: kernels::Device<E>,
{
    let mean = |values: &[E], of: fn(f64) -> f64| {
        values.iter().map(|value| of(value.as_f64())).sum::<f64>() / values.len() as f64
    };
    let (mut deviations, mut gains) = (Vec::new(), None);
    params::visit(model, |parameter, values: &[E]| {
        if parameter.ndim() != 1 || !parameter.is_trainable {
            return;
        }
        if let Some(layer) = parameter.name.strip_suffix(".weight") {
            gains = Some((layer.to_owned(), mean(values, |gain| gain * gain)));
        } else if let Some((layer, squares)) = gains.take()
            && parameter.name.strip_suffix(".bias") == Some(layer.as_str())
        {
            let offset = mean(values, |offset| offset);
            let variance = squares + mean(values, |offset| offset * offset) - offset * offset;
            deviations.push(variance.max(0.0).sqrt());
        }
    });
    deviations
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A training pass has the deviations that gains and offsets promise, layer by layer.
    #[test]
    fn responses_are_what_gains_and_offsets_make_them() {
        let dev = Cpu::seed_from_u64(3);
        let mut layer = dev.build_module::<(Conv3<2, 3>, BatchNorm2D<3>), f64>();
        params::visit_mut(&mut layer, |parameter, values: &mut [f64]| match parameter.name.as_str() {
            "1.weight" => values.copy_from_slice(&[0.5, -2.0, 1.0]),
            "1.bias" => values.copy_from_slice(&[1.0, 0.0, -0.7]),
            _ => {}
        })
        .unwrap();
        let shape = (4_usize, Const::<2>, 9_usize, 9_usize);
        let x: Tensor<_, f64, _> = dev.sample_like(&shape, rand_distr::StandardNormal);
        let responses = layer.forward_mut(x).as_vec();
        let n = responses.len() as f64;
        let mean = responses.iter().sum::<f64>() / n;
        let want = (responses.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n).sqrt();
        let got = response_deviations(&layer);
        assert_eq!(got.len(), 1, "{got:?}");
        // Off by eps = 1e-5 over the variance, about 0.3: seen 2e-5.
        assert!((got[0] / want - 1.0).abs() < 2e-4, "got {}, want {want}", got[0]);
    }
}
