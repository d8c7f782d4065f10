//! Inception: windows of several sizes side by side, made affordable by 1×1 convolutions.
//!
//! | type | paper | parameters | MACs |
//! |---|---|---|---|
//! | [`GoogLeNet`] | v1 | 6,998,552; with both heads 13,378,280 | 1.58·10⁹ at 224 |
//! | [`GoogLeNetTorchvision`] | v1 with batch normalisation, a 3×3 in place of the 5×5 | 6,624,904 / 13,004,888 | 1,498,376,192 at 224 |
//! | [`InceptionV3`] | v3 | 23,834,568; with its head 27,161,264 | 5,713,216,096 at 299 |
//! | [`InceptionV4`] | v4 | 42,679,816 | 12,253,974,624 at 299 |
//! | [`InceptionResNetV1`] | Inception-ResNet-v1 | 22,756,328 | 6,206,361,696 at 299 |
//! | [`InceptionResNetV2`] | Inception-ResNet-v2 as released | 55,843,464 | 13,155,794,016 at 299 |
//!
//! **Papers**: Szegedy et al. (2014), Going deeper with convolutions, arXiv 1409.4842 (v1); (2015) Rethinking the
//! Inception architecture, arXiv 1512.00567 (v2, v3: 5×5 → two 3×3, n×n → 1×n and n×1, pooling and stride side by side,
//! label smoothing); (2016) Inception-v4, Inception-ResNet, arXiv 1602.07261.
//! **Deviations**: v1's Table 1 gives its stem 2.7K parameters, a separable convolution's; ours is the plain 7×7 of the
//! Caffe model. v3 has the widths of TF-slim and torchvision, which text and figures of the paper contradict in places.
//! Inception-ResNet-v2 is the released network: another stem, 10 / 20 / 10 blocks, one more convolution than the paper's;
//! Inception-ResNet-v1 was never released by its authors and is the paper's, with the released v2's factors of the sums
//! (the paper: 0.1 to 0.3). Means of windows count the padding, as torchvision's v3 does; TF-slim's do not.
//! Layers with batch normalisation, GoogLeNet's as torchvision has it and v3 are those of [`slim`](crate::slim), ε =
//! 1e-3 included.
use crate::blocks::{Percent, ScaledResidual, WithHeads};
use crate::wide::{AnyChannels, Channels};
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
/// v4, figure 4, on `I` = 4 `O` channels: `O` in each branch, two of them reduced to `R` first.
pub type InceptionA4<const I: usize = 384, const R: usize = 64, const O: usize = 96> = Concat<(
    ConvBn<I, O, 1>,
    (ConvBn<I, R, 1>, ConvBn<R, O, 3, 1, 1>),
    (ConvBn<I, R, 1>, ConvBn<R, O, 3, 1, 1>, ConvBn<O, O, 3, 1, 1>),
    (AvgPool2D<3, 1, 1>, ConvBn<I, O, 1>),
)>;
/// The reduction from 35×35 to 17×17 of v4 and both Inception-ResNets, figure 7 with its widths k, l, m, n.
pub type Reduction<const I: usize, const K: usize, const L: usize, const M: usize, const N: usize> = Concat<
    (ConvBn<I, N, 3, 2>, (ConvBn<I, K, 1>, ConvBn<K, L, 3, 1, 1>, ConvBn<L, M, 3, 2>), MaxPool2D<3, 2>),
>;
/// v4, figure 5: `A` of 1×1; `R`, `M`, `N` of rows and columns of 7, once and twice; `G` after pooling.
pub type InceptionB4<
    const I: usize = 1024,
    const A: usize = 384,
    const R: usize = 192,
    const M: usize = 224,
    const N: usize = 256,
    const G: usize = 128,
> = Concat<(
    ConvBn<I, A, 1>,
    (ConvBn<I, R, 1>, Row<R, M, 7, 3>, Column<M, N, 7, 3>),
    (ConvBn<I, R, 1>, Column<R, R, 7, 3>, Row<R, M, 7, 3>, Column<M, M, 7, 3>, Row<M, N, 7, 3>),
    (AvgPool2D<3, 1, 1>, ConvBn<I, G, 1>),
)>;
/// v4, figure 8: from 17×17 to 8×8, `A` and `C` channels beside the input's.
pub type ReductionB4<
    const I: usize = 1024,
    const A: usize = 192,
    const B: usize = 256,
    const C: usize = 320,
> = Concat<(
    (ConvBn<I, A, 1>, ConvBn<A, A, 3, 2>),
    (ConvBn<I, B, 1>, Row<B, B, 7, 3>, Column<B, C, 7, 3>, ConvBn<C, C, 3, 2>),
    MaxPool2D<3, 2>,
)>;
/// v4, figure 6, on `I` = 6 `A` channels: `A` in each of six ends.
pub type InceptionC4<
    const I: usize = 1536,
    const A: usize = 256,
    const R: usize = 384,
    const M: usize = 448,
    const N: usize = 512,
> = (
    Concat<(
        (ConvBn<I, A, 1>, AnyChannels),
        (ConvBn<I, R, 1>, Concat<(Row<R, A, 3, 1>, Column<R, A, 3, 1>)>),
        (ConvBn<I, R, 1>, Column<R, M, 3, 1>, Row<M, N, 3, 1>, Concat<(Row<N, A, 3, 1>, Column<N, A, 3, 1>)>),
        (AvgPool2D<3, 1, 1>, ConvBn<I, A, 1>),
    )>,
    Channels<I>,
);
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
/// What an Inception-ResNet's block A adds to `I` channels, figures 10 and 16: `A` channels of 1×1 and of 3×3, `N` of two
/// 3×3 over `M`; `J` = 2 `A` + `N` in all.
pub type BranchesA<const I: usize, const A: usize, const M: usize, const N: usize, const J: usize> = (
    Concat<(
        ConvBn<I, A, 1>,
        (ConvBn<I, A, 1>, ConvBn<A, A, 3, 1, 1>),
        (ConvBn<I, A, 1>, ConvBn<A, M, 3, 1, 1>, ConvBn<M, N, 3, 1, 1>),
    )>,
    Linear1<J, I>,
);
/// Block B, figures 11 and 17: `A` channels of 1×1; `R` reduced to, `M` of a row of 7, `N` of a column; `J` = `A` + `N`.
pub type BranchesB<
    const I: usize,
    const A: usize,
    const R: usize,
    const M: usize,
    const N: usize,
    const J: usize,
> = (Concat<(ConvBn<I, A, 1>, (ConvBn<I, R, 1>, Row<R, M, 7, 3>, Column<M, N, 7, 3>))>, Linear1<J, I>);
/// Block C, figures 13 and 19: `A` channels of 1×1; `A` reduced to, `M` of a row of 3, `N` of a column; `J` = `A` + `N`.
pub type BranchesC<const I: usize, const A: usize, const M: usize, const N: usize, const J: usize> =
    (Concat<(ConvBn<I, A, 1>, (ConvBn<I, A, 1>, Row<A, M, 3, 1>, Column<M, N, 3, 1>))>, Linear1<J, I>);
/// The reduction from 17×17 to 8×8 of both Inception-ResNets, figures 12 and 18: three branches reduced to `R`, with `A`,
/// `B` and `C` channels beside the input's; `O` in all.
pub type ResidualReduction<
    const I: usize,
    const R: usize,
    const A: usize,
    const B: usize,
    const C: usize,
    const O: usize,
> = (
    Concat<(
        (ConvBn<I, R, 1>, ConvBn<R, A, 3, 2>, AnyChannels),
        (ConvBn<I, R, 1>, ConvBn<R, B, 3, 2>),
        (ConvBn<I, R, 1>, ConvBn<R, B, 3, 1, 1>, ConvBn<B, C, 3, 2>),
        MaxPool2D<3, 2>,
    )>,
    Channels<O>,
);

/// Inception-ResNet-v1's block A, scaled by 0.17 as the released v2's.
pub type ResidualA1 = ScaledResidual<BranchesA<256, 32, 32, 32, 96>, Relu, Percent<17>>;
/// Inception-ResNet-v1's block B, scaled by 0.10.
pub type ResidualB1 = ScaledResidual<BranchesB<896, 128, 128, 128, 128, 256>, Relu, Percent<10>>;
/// Inception-ResNet-v1's block C, scaled by 0.20.
pub type ResidualC1 = ScaledResidual<BranchesC<1792, 192, 192, 192, 384>, Relu, Percent<20>>;
/// Inception-ResNet-v1's stem, figure 14: 299×299 pixels become 256 maps of 35×35.
pub type StemResidual1 = (
    (ConvBn<3, 32, 3, 2>, ConvBn<32, 32, 3>, ConvBn<32, 64, 3, 1, 1>, MaxPool2D<3, 2>),
    (ConvBn<64, 80, 1>, ConvBn<80, 192, 3>, ConvBn<192, 256, 3, 2>),
);
/// Inception-ResNet-v1, figure 15.
pub type InceptionResNetV1<const K: usize = 1000> = (
    StemResidual1,
    (Repeated<ResidualA1, 5>, Reduction<256, 192, 192, 256, 384>),
    (Repeated<ResidualB1, 10>, ResidualReduction<896, 256, 384, 256, 256, 1792>),
    Repeated<ResidualC1, 5>,
    (GlobalAvgPool, Dropout, Linear<1792, K>),
);

/// Inception-ResNet-v2's block A, scaled by 0.17.
pub type ResidualA = ScaledResidual<BranchesA<320, 32, 48, 64, 128>, Relu, Percent<17>>;
/// Inception-ResNet-v2's block B, scaled by 0.10.
pub type ResidualB = ScaledResidual<BranchesB<1088, 192, 128, 160, 192, 384>, Relu, Percent<10>>;
type BranchC = BranchesC<2080, 192, 224, 256, 448>;
/// Inception-ResNet-v2's block C, scaled by 0.20.
pub type ResidualC = ScaledResidual<BranchC, Relu, Percent<20>>;
/// The module before the first block of Inception-ResNet-v2: v3's A with more of 1×1.
pub type InceptionA2 = Concat<(
    ConvBn<192, 96, 1>,
    (ConvBn<192, 48, 1>, ConvBn<48, 64, 5, 1, 2>),
    (ConvBn<192, 64, 1>, ConvBn<64, 96, 3, 1, 1>, ConvBn<96, 96, 3, 1, 1>),
    (AvgPool2D<3, 1, 1>, ConvBn<192, 64, 1>),
)>;
/// Inception-ResNet-v2 as released.
pub type InceptionResNetV2<const K: usize = 1000> = (
    (StemV3, InceptionA2),
    (Repeated<ResidualA, 10>, Reduction<320, 256, 256, 384, 384>),
    (Repeated<ResidualB, 20>, ResidualReduction<1088, 256, 384, 288, 320, 2080>),
    (Repeated<ResidualC, 9>, ScaledResidual<BranchC, Identity, Percent<100>>, ConvBn<2080, 1536, 1>),
    (GlobalAvgPool, Dropout, Linear<1536, K>),
);
