//! Inception: windows of several sizes side by side, made affordable by 1×1 convolutions.
//!
//! | type | paper | parameters | MACs |
//! |---|---|---|---|
//! | [`GoogLeNet`] | v1 | 6,998,552; with both heads 13,378,280 | 1.58·10⁹ at 224 |
//! | [`GoogLeNetTorchvision`] | v1 with batch normalisation, a 3×3 in place of the 5×5 | 6,624,904 / 13,004,888 | 1,498,376,192 at 224 |
//! | [`InceptionV3`] | v3 | 23,834,568; with its head 27,161,264 | 5,713,216,096 at 299 |
//! | [`InceptionV4`] | v4 | 42,679,816 | in [`counts`](crate::counts), at 299 |
//! | [`InceptionResNetV2`] | Inception-ResNet-v2 as released | 55,843,464 | in [`counts`](crate::counts), at 299 |
//!
//! **Papers**: Szegedy et al. (2014), Going deeper with convolutions, arXiv 1409.4842 (v1); (2015) Rethinking the
//! Inception architecture, arXiv 1512.00567 (v2, v3: 5×5 → two 3×3, n×n → 1×n and n×1, pooling and stride side by side,
//! label smoothing); (2016) Inception-v4, Inception-ResNet, arXiv 1602.07261.
//! **Deviations**: v1's Table 1 gives its stem 2.7K parameters, a separable convolution's; ours is the plain 7×7 of the
//! Caffe model. v3 has the widths of TF-slim and torchvision, which text and figures of the paper contradict in places.
//! Inception-ResNet-v2 is the released network: another stem, 10 / 20 / 10 blocks, one more convolution than the paper's.
//! Layers with batch normalisation, GoogLeNet's as torchvision has it and v3 are those of [`slim`](crate::slim), ε =
//! 1e-3 included.
use crate::blocks::{Percent, ScaledResidual, WithHeads};
use kernels::LocalResponse;
use layers::dropout::Dropout;
use layers::normalisation::LocalResponseNorm;
use layers::prelude::*;

pub use crate::slim::{
    AuxHeadV3, Column, ConvBn, GoogLeNet as GoogLeNetTorchvision, Inception as InceptionBn, InceptionA,
    InceptionB, InceptionC, InceptionV3, ReductionA, ReductionB, Row, StemV3,
};

/// A convolution and a ReLU, as in v1.
pub type Conv<const I: usize, const O: usize, const K: usize, const S: usize = 1, const P: usize = 0> =
    Conv2D<I, O, K, S, P, 1, Relu>;

/// The module of v1 on `I` channels: `A` of 1×1; `B` reduced to, `C` of 3×3; `D` reduced to, `F` of 5×5; `G` after
/// pooling.
// ANCHOR: module
pub type Inception<
    const I: usize,
    const A: usize,
    const B: usize,
    const C: usize,
    const D: usize,
    const F: usize,
    const G: usize,
> = Concat<(
    Conv<I, A, 1>,
    (Conv<I, B, 1>, Conv<B, C, 3, 1, 1>),
    (Conv<I, D, 1>, Conv<D, F, 5, 1, 2>),
    (MaxPool2D<3, 1, 1>, Conv<I, G, 1>),
)>;
// ANCHOR_END: module

/// The same without the 1×1 reductions: the "naive" module of the paper's figure 2a. Its pooling passes all channels on.
pub type NaiveInception<const I: usize, const A: usize, const C: usize, const F: usize> =
    Concat<(Conv<I, A, 1>, Conv<I, C, 3, 1, 1>, Conv<I, F, 5, 1, 2>, MaxPool2D<3, 1, 1>)>;

/// The modules of v1 by name.
pub type Inception3a = Inception<192, 64, 96, 128, 16, 32, 32>;
/// See [`Inception3a`].
pub type Inception3b = Inception<256, 128, 128, 192, 32, 96, 64>;
/// See [`Inception3a`].
pub type Inception4a = Inception<480, 192, 96, 208, 16, 48, 64>;
/// See [`Inception3a`].
pub type Inception4b = Inception<512, 160, 112, 224, 24, 64, 64>;
/// See [`Inception3a`].
pub type Inception4c = Inception<512, 128, 128, 256, 24, 64, 64>;
/// See [`Inception3a`].
pub type Inception4d = Inception<512, 112, 144, 288, 32, 64, 64>;
/// See [`Inception3a`].
pub type Inception4e = Inception<528, 256, 160, 320, 32, 128, 128>;
/// See [`Inception3a`].
pub type Inception5a = Inception<832, 256, 160, 320, 32, 128, 128>;
/// See [`Inception3a`].
pub type Inception5b = Inception<832, 384, 192, 384, 48, 128, 128>;

/// The stem of v1: 224×224 pixels become 28×28.
pub type Stem = (
    (Conv<3, 64, 7, 2, 3>, MaxPool2DCeil<3, 2>, LocalResponseNorm),
    (Conv<64, 64, 1>, Conv<64, 192, 3, 1, 1>, LocalResponseNorm, MaxPool2DCeil<3, 2>),
);
/// An auxiliary classifier on `I` maps of 14×14.
pub type AuxHead<const I: usize, const K: usize> =
    (AvgPool2D<5, 3>, Conv<I, 128, 1>, Flatten, Linear<2048, 1024, Relu>, Dropout, Linear<1024, K>);

/// GoogLeNet, Inception v1, as the paper has it. [`Module`] gives logits; [`ModuleMut`] logits and those of both heads.
///
/// What its types do not hold are fields of the built model: the response normalisation's constants are the Caffe
/// model's after `model.early.0.0.2.config = CAFFE_RESPONSE` and the same for `model.early.0.1.2` ([`CAFFE_RESPONSE`]),
/// the dropout rates 0.4 before the last layer and 0.7 in the heads.
pub type GoogLeNet<const K: usize = 1000> = WithHeads<
    (Stem, (Inception3a, Inception3b, MaxPool2DCeil<3, 2>), Inception4a),
    (Inception4b, Inception4c, Inception4d),
    (
        (Inception4e, MaxPool2DCeil<3, 2>),
        (Inception5a, Inception5b),
        (GlobalAvgPool, Dropout, Linear<1024, K>),
    ),
    AuxHead<512, K>,
    AuxHead<528, K>,
>;

/// The response normalisation of the Caffe GoogLeNet.
pub const CAFFE_RESPONSE: LocalResponse = LocalResponse::averaged(5, 1.0, 1e-4, 0.75);

/// v4's stem: 299×299 pixels become 384 maps of 35×35.
pub type StemV4 = (
    (ConvBn<3, 32, 3, 2>, ConvBn<32, 32, 3>, ConvBn<32, 64, 3, 1, 1>),
    Concat<(MaxPool2D<3, 2>, ConvBn<64, 96, 3, 2>)>,
    Concat<(
        (ConvBn<160, 64, 1>, ConvBn<64, 96, 3>),
        (ConvBn<160, 64, 1>, Row<64, 64, 7, 3>, Column<64, 64, 7, 3>, ConvBn<64, 96, 3>),
    )>,
    Concat<(ConvBn<192, 192, 3, 2>, MaxPool2D<3, 2>)>,
);
/// v4, figure 4.
pub type InceptionA4 = Concat<(
    ConvBn<384, 96, 1>,
    (ConvBn<384, 64, 1>, ConvBn<64, 96, 3, 1, 1>),
    (ConvBn<384, 64, 1>, ConvBn<64, 96, 3, 1, 1>, ConvBn<96, 96, 3, 1, 1>),
    (AvgPool2D<3, 1, 1>, ConvBn<384, 96, 1>),
)>;
/// The reduction from 35×35 to 17×17 of v4 and both Inception-ResNets, figure 7 with its widths k, l, m, n.
pub type Reduction<const I: usize, const K: usize, const L: usize, const M: usize, const N: usize> = Concat<
    (ConvBn<I, N, 3, 2>, (ConvBn<I, K, 1>, ConvBn<K, L, 3, 1, 1>, ConvBn<L, M, 3, 2>), MaxPool2D<3, 2>),
>;
/// v4, figure 5.
pub type InceptionB4 = Concat<(
    ConvBn<1024, 384, 1>,
    (ConvBn<1024, 192, 1>, Row<192, 224, 7, 3>, Column<224, 256, 7, 3>),
    (
        ConvBn<1024, 192, 1>,
        Column<192, 192, 7, 3>,
        Row<192, 224, 7, 3>,
        Column<224, 224, 7, 3>,
        Row<224, 256, 7, 3>,
    ),
    (AvgPool2D<3, 1, 1>, ConvBn<1024, 128, 1>),
)>;
/// v4, figure 8.
pub type ReductionB4 = Concat<(
    (ConvBn<1024, 192, 1>, ConvBn<192, 192, 3, 2>),
    (ConvBn<1024, 256, 1>, Row<256, 256, 7, 3>, Column<256, 320, 7, 3>, ConvBn<320, 320, 3, 2>),
    MaxPool2D<3, 2>,
)>;
/// v4, figure 6.
pub type InceptionC4 = Concat<(
    ConvBn<1536, 256, 1>,
    (ConvBn<1536, 384, 1>, Concat<(Row<384, 256, 3, 1>, Column<384, 256, 3, 1>)>),
    (
        ConvBn<1536, 384, 1>,
        Column<384, 448, 3, 1>,
        Row<448, 512, 3, 1>,
        Concat<(Row<512, 256, 3, 1>, Column<512, 256, 3, 1>)>,
    ),
    (AvgPool2D<3, 1, 1>, ConvBn<1536, 256, 1>),
)>;
/// Inception v4.
pub type InceptionV4<const K: usize = 1000> = (
    StemV4,
    (Repeated<InceptionA4, 4>, Reduction<384, 192, 224, 256, 384>),
    (Repeated<InceptionB4, 7>, ReductionB4),
    Repeated<InceptionC4, 3>,
    (GlobalAvgPool, Dropout, Linear<1536, K>),
);

/// The linear 1×1 convolution of a residual block, with a bias and without normalisation.
type Linear1<const I: usize, const O: usize> = Conv2D<I, O, 1>;
/// Inception-ResNet's block A, scaled by 0.17.
pub type ResidualA = ScaledResidual<
    (
        Concat<(
            ConvBn<320, 32, 1>,
            (ConvBn<320, 32, 1>, ConvBn<32, 32, 3, 1, 1>),
            (ConvBn<320, 32, 1>, ConvBn<32, 48, 3, 1, 1>, ConvBn<48, 64, 3, 1, 1>),
        )>,
        Linear1<128, 320>,
    ),
    Relu,
    Percent<17>,
>;
/// Inception-ResNet's block B, scaled by 0.10.
pub type ResidualB = ScaledResidual<
    (
        Concat<(ConvBn<1088, 192, 1>, (ConvBn<1088, 128, 1>, Row<128, 160, 7, 3>, Column<160, 192, 7, 3>))>,
        Linear1<384, 1088>,
    ),
    Relu,
    Percent<10>,
>;
type BranchC = (
    Concat<(ConvBn<2080, 192, 1>, (ConvBn<2080, 192, 1>, Row<192, 224, 3, 1>, Column<224, 256, 3, 1>))>,
    Linear1<448, 2080>,
);
/// Inception-ResNet's block C, scaled by 0.20.
pub type ResidualC = ScaledResidual<BranchC, Relu, Percent<20>>;
/// Inception-ResNet-v2 as released.
pub type InceptionResNetV2<const K: usize = 1000> = (
    (
        StemV3,
        Concat<(
            ConvBn<192, 96, 1>,
            (ConvBn<192, 48, 1>, ConvBn<48, 64, 5, 1, 2>),
            (ConvBn<192, 64, 1>, ConvBn<64, 96, 3, 1, 1>, ConvBn<96, 96, 3, 1, 1>),
            (AvgPool2D<3, 1, 1>, ConvBn<192, 64, 1>),
        )>,
    ),
    (Repeated<ResidualA, 10>, Reduction<320, 256, 256, 384, 384>),
    (
        Repeated<ResidualB, 20>,
        Concat<(
            (ConvBn<1088, 256, 1>, ConvBn<256, 384, 3, 2>),
            (ConvBn<1088, 256, 1>, ConvBn<256, 288, 3, 2>),
            (ConvBn<1088, 256, 1>, ConvBn<256, 288, 3, 1, 1>, ConvBn<288, 320, 3, 2>),
            MaxPool2D<3, 2>,
        )>,
    ),
    (Repeated<ResidualC, 9>, ScaledResidual<BranchC, Identity, Percent<100>>, ConvBn<2080, 1536, 1>),
    (GlobalAvgPool, Dropout, Linear<1536, K>),
);
