//! Inception networks as torchvision has them: they load its weights and run.
//!
//! | type | parameters | with heads | multiply-adds |
//! |---|---|---|---|
//! | [`GoogLeNet`] | 6,624,904 | 13,004,888 | 1,498,376,192 at 224 |
//! | [`InceptionV3`], [`InceptionV3WithHead`] | 23,834,568 | 27,161,264 | 5,713,216,096 at 299 |
//!
//! [`inception`](crate::inception) has the networks of the papers, for counting, for pictures and for networks of one's
//! own, made of the layers here from v3 on; two things make the published weights work:
//!
//! - **ε of batch normalisation is 1e-3** ([`SlimNorm`]), TF-slim's value, which no paper prints. With the usual 1e-5
//!   channels of small variance come out up to ten times as large, and no file says so.
//! - **Sums of channels** that the compiler does not calculate with (320 + 768 = 1,088, … in v3's last modules) are made
//!   at run time and checked: [`wide`](crate::wide).
//!
//! **Papers**: Szegedy et al. (2014), arXiv 1409.4842; (2015), arXiv 1512.00567. **Deviations** of torchvision, all kept:
//! batch normalisation in GoogLeNet, a 3×3 in its branch that is 5×5 in the paper, its heads pool to 4×4; v3 has the
//! widths of TF-slim.
use crate::blocks::WithHeads;
use crate::wide::{AnyChannels, Channels, WithHead};
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorCollection};
use dfdx::nn::{BuildModule, BuildOnDevice};
use dfdx::prelude::{Dtype, Storage};
use kernels::Real;
use layers::convolution::{Steps, Unbiased};
use layers::dropout::Dropout;
use layers::plan::{Plan, Planned};
use layers::prelude::*;

/// ε of the batch normalisation of all Inception networks, inside the root: TF-slim's and torchvision's, a hundred times
/// that of other networks.
pub const EPSILON: f64 = 1e-3;

/// Builds a [`BuiltSlimNorm`]: batch normalisation of `C` channels with ε = [`EPSILON`], and a ReLU.
///
/// # Examples
/// ```
/// use convnets::slim::{EPSILON, SlimNorm};
/// use layers::prelude::*;
/// let dev = Cpu::default();
/// let layer = dev.build_module::<SlimNorm<1>, f64>();
/// let y = layer.forward(dev.ones::<Rank4<1, 1, 2, 2>>()); // running statistics 0 and 1
/// assert_eq!(y.array(), [[[[1.0 / (1.0 + EPSILON).sqrt(); 2]; 2]]]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SlimNorm<const C: usize>;

/// Batch normalisation whose ε is [`EPSILON`] wherever it is built or copied to, and a ReLU.
#[derive(Clone, Debug)]
pub struct BuiltSlimNorm<const C: usize, E: Dtype, D: Storage<E>> {
    /// The normalisation.
    pub norm: modules::BatchNorm2D<C, E, D, Relu>,
}

impl<const C: usize> Planned for SlimNorm<C> {
    const PLAN: Plan = Plan::Chain(&[Plan::Named("norm", &<BatchNorm2D<C, Relu>>::PLAN)]);
}
impl<const C: usize, E: Dtype, D: Storage<E>> Planned for BuiltSlimNorm<C, E, D> {
    const PLAN: Plan = SlimNorm::<C>::PLAN;
}
impl<const C: usize, E: Real, D: dfdx::prelude::Device<E>> BuildOnDevice<D, E> for SlimNorm<C> {
    type Built = BuiltSlimNorm<C, E, D>;
    fn try_build_on_device(device: &D) -> Result<Self::Built, D::Err> {
        Self::Built::try_build(device)
    }
}
impl<const C: usize, E: Dtype, D: dfdx::prelude::Device<E>> TensorCollection<E, D>
    for BuiltSlimNorm<C, E, D>
{
    type To<E2: Dtype, D2: dfdx::prelude::Device<E2>> = BuiltSlimNorm<C, E2, D2>;
    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(Self::module("norm", |s| &s.norm, |s| &mut s.norm), |mut norm| {
            norm.epsilon = EPSILON;
            BuiltSlimNorm { norm }
        })
    }
}
impl<X, const C: usize, E: Dtype, D: Storage<E>> Module<X> for BuiltSlimNorm<C, E, D>
where
    modules::BatchNorm2D<C, E, D, Relu>: Module<X>,
{
    type Output = <modules::BatchNorm2D<C, E, D, Relu> as Module<X>>::Output;
    type Error = <modules::BatchNorm2D<C, E, D, Relu> as Module<X>>::Error;
    fn try_forward(&self, x: X) -> Result<Self::Output, Self::Error> {
        self.norm.try_forward(x)
    }
}
impl<X, const C: usize, E: Dtype, D: Storage<E>> ModuleMut<X> for BuiltSlimNorm<C, E, D>
where
    modules::BatchNorm2D<C, E, D, Relu>: ModuleMut<X>,
{
    type Output = <modules::BatchNorm2D<C, E, D, Relu> as ModuleMut<X>>::Output;
    type Error = <modules::BatchNorm2D<C, E, D, Relu> as ModuleMut<X>>::Error;
    fn try_forward_mut(&mut self, x: X) -> Result<Self::Output, Self::Error> {
        self.norm.try_forward_mut(x)
    }
}

/// A convolution without bias, batch normalisation and a ReLU: a layer of all networks here.
pub type ConvBn<const I: usize, const O: usize, const K: usize, const S: usize = 1, const P: usize = 0> =
    (UnbiasedConv2D<I, O, K, S, P>, SlimNorm<O>);
/// A 1×`K` layer that keeps the size (`P` = (`K` − 1)/2).
pub type Row<const I: usize, const O: usize, const K: usize, const P: usize> =
    (RectConv2D<I, O, 1, K, Steps, Steps<1, P>, Identity, Unbiased>, SlimNorm<O>);
/// A `K`×1 layer that keeps the size.
pub type Column<const I: usize, const O: usize, const K: usize, const P: usize> =
    (RectConv2D<I, O, K, 1, Steps<1, P>, Steps, Identity, Unbiased>, SlimNorm<O>);

/// torchvision's module: batch normalisation everywhere, and a 3×3 in the branch that is 5×5 in the paper.
pub type Inception<
    const I: usize,
    const A: usize,
    const B: usize,
    const C: usize,
    const D: usize,
    const F: usize,
    const G: usize,
> = Concat<(
    ConvBn<I, A, 1>,
    (ConvBn<I, B, 1>, ConvBn<B, C, 3, 1, 1>),
    (ConvBn<I, D, 1>, ConvBn<D, F, 3, 1, 1>),
    (MaxPool2DCeil<3, 1, 1>, ConvBn<I, G, 1>),
)>;
type Stem = (
    (ConvBn<3, 64, 7, 2, 3>, MaxPool2DCeil<3, 2>),
    (ConvBn<64, 64, 1>, ConvBn<64, 192, 3, 1, 1>, MaxPool2DCeil<3, 2>),
);
/// torchvision's auxiliary classifier on `I` maps, which it pools to 4×4.
pub type AuxHead<const I: usize, const K: usize> =
    (AdaptiveAvgPool2D<4, 4>, ConvBn<I, 128, 1>, Flatten, Linear<2048, 1024, Relu>, Dropout, Linear<1024, K>);
/// GoogLeNet, which loads weights by [`Layout::GoogLeNet`](crate::torchvision::Layout::GoogLeNet).
pub type GoogLeNet<const K: usize = 1000> = WithHeads<
    (
        Stem,
        (
            Inception<192, 64, 96, 128, 16, 32, 32>,
            Inception<256, 128, 128, 192, 32, 96, 64>,
            MaxPool2DCeil<3, 2>,
        ),
        Inception<480, 192, 96, 208, 16, 48, 64>,
    ),
    (
        Inception<512, 160, 112, 224, 24, 64, 64>,
        Inception<512, 128, 128, 256, 24, 64, 64>,
        Inception<512, 112, 144, 288, 32, 64, 64>,
    ),
    (
        (Inception<528, 256, 160, 320, 32, 128, 128>, MaxPool2DCeil<2, 2>),
        (Inception<832, 256, 160, 320, 32, 128, 128>, Inception<832, 384, 192, 384, 48, 128, 128>),
        (GlobalAvgPool, Dropout, Linear<1024, K>),
    ),
    AuxHead<512, K>,
    AuxHead<528, K>,
>;

/// v3, figure 5: two 3×3 in place of a 5×5 beside a 5×5; `G` channels after pooling.
pub type InceptionA<const I: usize, const G: usize> = Concat<(
    ConvBn<I, 64, 1>,
    (ConvBn<I, 48, 1>, ConvBn<48, 64, 5, 1, 2>),
    (ConvBn<I, 64, 1>, ConvBn<64, 96, 3, 1, 1>, ConvBn<96, 96, 3, 1, 1>),
    (AvgPool2D<3, 1, 1>, ConvBn<I, G, 1>),
)>;
/// v3: 35×35 to 17×17, stride and pooling side by side (figure 10).
pub type ReductionA = Concat<(
    ConvBn<288, 384, 3, 2>,
    (ConvBn<288, 64, 1>, ConvBn<64, 96, 3, 1, 1>, ConvBn<96, 96, 3, 2>),
    MaxPool2D<3, 2>,
)>;
/// v3, figure 6: 1×7 and 7×1 in place of 7×7, on `C` channels.
pub type InceptionB<const C: usize> = Concat<(
    ConvBn<768, 192, 1>,
    (ConvBn<768, C, 1>, Row<C, C, 7, 3>, Column<C, 192, 7, 3>),
    (ConvBn<768, C, 1>, Column<C, C, 7, 3>, Row<C, C, 7, 3>, Column<C, C, 7, 3>, Row<C, 192, 7, 3>),
    (AvgPool2D<3, 1, 1>, ConvBn<768, 192, 1>),
)>;
/// v3: 17×17 to 8×8.
pub type ReductionB = Concat<(
    (ConvBn<768, 192, 1>, ConvBn<192, 320, 3, 2>),
    (ConvBn<768, 192, 1>, Row<192, 192, 7, 3>, Column<192, 192, 7, 3>, ConvBn<192, 192, 3, 2>),
    MaxPool2D<3, 2>,
)>;
/// v3, figure 7: 1×3 and 3×1 side by side.
pub type InceptionC<const I: usize> = (
    Concat<(
        (ConvBn<I, 320, 1>, AnyChannels),
        (ConvBn<I, 384, 1>, Concat<(Row<384, 384, 3, 1>, Column<384, 384, 3, 1>)>),
        (ConvBn<I, 448, 1>, ConvBn<448, 384, 3, 1, 1>, Concat<(Row<384, 384, 3, 1>, Column<384, 384, 3, 1>)>),
        (AvgPool2D<3, 1, 1>, ConvBn<I, 192, 1>),
    )>,
    Channels<2048>,
);
/// v3 and Inception-ResNet: 299×299 pixels become 192 maps of 35×35.
pub type StemV3 = (
    (ConvBn<3, 32, 3, 2>, ConvBn<32, 32, 3>, ConvBn<32, 64, 3, 1, 1>, MaxPool2D<3, 2>),
    (ConvBn<64, 80, 1>, ConvBn<80, 192, 3>, MaxPool2D<3, 2>),
);
/// v3's auxiliary classifier on 17×17 maps, with batch normalisation.
pub type AuxHeadV3<const K: usize> =
    (AvgPool2D<5, 3>, ConvBn<768, 128, 1>, ConvBn<128, 768, 5>, GlobalAvgPool, Linear<768, K>);
/// v3's modules on maps of 35×35, 17×17 and 8×8, and its classifier.
type At35 = (InceptionA<192, 32>, InceptionA<256, 64>, InceptionA<288, 64>);
type At17 = (ReductionA, InceptionB<128>, Repeated<InceptionB<160>, 2>, InceptionB<192>);
type At8 = (ReductionB, InceptionC<1280>, InceptionC<2048>);
type Classifier<const K: usize> = (GlobalAvgPool, Dropout, Linear<2048, K>);
/// Inception v3 without its auxiliary head ([`AuxHeadV3`]). It loads weights by
/// [`Layout::InceptionV3`](crate::torchvision::Layout::InceptionV3).
pub type InceptionV3<const K: usize = 1000> = (StemV3, At35, At17, At8, Classifier<K>);
/// [`InceptionV3`] with its auxiliary head, for training: [`ModuleMut`] gives logits and the head's.
pub type InceptionV3WithHead<const K: usize = 1000> =
    WithHead<(StemV3, At35, At17), (At8, Classifier<K>), AuxHeadV3<K>>;

/// The published sizes, with and without heads.
const _: () = {
    const fn params<M: Planned>(input: layers::plan::Map) -> u64 {
        M::PLAN.totals_of(input).params
    }
    let googlenet = GoogLeNet::<1000>::PLAN.totals_of([3, 224, 224]);
    let heads = params::<AuxHead<512, 1000>>([512, 14, 14]) + params::<AuxHead<528, 1000>>([528, 14, 14]);
    assert!(googlenet.params == 6_624_904 && googlenet.macs == 1_498_376_192);
    assert!(googlenet.params + heads == 13_004_888);
    let v3 = InceptionV3::<1000>::PLAN.totals_of([3, 299, 299]);
    assert!(v3.params == 23_834_568 && v3.macs == 5_713_216_096);
    assert!(v3.params + params::<AuxHeadV3<1000>>([768, 17, 17]) == 27_161_264);
    assert!(params::<InceptionV3WithHead<1000>>([3, 299, 299]) == v3.params);
};
