//! VGG: nothing but 3×3 convolutions and 2×2 pooling, deep.
//!
//! **The argument**: three 3×3 layers see 7×7 pixels with $27 C^2$ weights where one 7×7 layer has $49 C^2$, and are
//! three times as nonlinear.
//!
//! | type | paper's column | parameters | MACs at 224 |
//! |---|---|---|---|
//! | [`Vgg11`] | A | 132,863,336 | 7,609,090,048 |
//! | [`Vgg13`] | B | 133,047,848 | 11,308,466,176 |
//! | [`Vgg16`] | D | 138,357,544 | 15,470,264,320 |
//! | [`Vgg19`] | E | 143,667,240 | 19,632,062,464 |
//! | [`Vgg16Bn`] | D with batch normalisation | 138,365,992 | 15,470,264,320 |
//!
//! **Paper**: Simonyan & Zisserman (2015), Very deep convolutional networks for large-scale image recognition, arXiv
//! 1409.1556. **Deviations**: none in the layers; the paper has no batch normalisation, torchvision's variant is here too.
use layers::dropout::Dropout;
use layers::prelude::*;

/// A 3×3 convolution that keeps the size, and a ReLU.
pub type Conv3<const I: usize, const O: usize> = Conv2D<I, O, 3, 1, 1, 1, Relu>;
/// [`Conv3`] with batch normalisation before the ReLU; the convolution keeps its bias, as torchvision's.
pub type Conv3Bn<const I: usize, const O: usize> = (Conv2D<I, O, 3, 1, 1>, BatchNorm2D<O, Relu>);
/// Halves height and width.
pub type Halve = MaxPool2D<2, 2>;

/// One, two, three or four layers of one width, then half the size.
pub type Block1<const I: usize, const O: usize> = (Conv3<I, O>, Halve);
/// See [`Block1`].
pub type Block2<const I: usize, const O: usize> = (Conv3<I, O>, Conv3<O, O>, Halve);
/// See [`Block1`].
pub type Block3<const I: usize, const O: usize> = (Conv3<I, O>, Conv3<O, O>, Conv3<O, O>, Halve);
/// See [`Block1`].
pub type Block4<const I: usize, const O: usize> = (Conv3<I, O>, Conv3<O, O>, Conv3<O, O>, Conv3<O, O>, Halve);

/// Two fully connected layers with dropout ½ and the output, on 512 maps of 7×7: nine tenths of all parameters.
pub type Classifier<const K: usize> =
    (Flatten, (Linear<25088, 4096, Relu>, Dropout), (Linear<4096, 4096, Relu>, Dropout), Linear<4096, K>);

/// Column A.
pub type Vgg11<const K: usize = 1000> =
    ((Block1<3, 64>, Block1<64, 128>, Block2<128, 256>, Block2<256, 512>, Block2<512, 512>), Classifier<K>);
/// Column B.
pub type Vgg13<const K: usize = 1000> =
    ((Block2<3, 64>, Block2<64, 128>, Block2<128, 256>, Block2<256, 512>, Block2<512, 512>), Classifier<K>);
/// Column D.
pub type Vgg16<const K: usize = 1000> =
    ((Block2<3, 64>, Block2<64, 128>, Block3<128, 256>, Block3<256, 512>, Block3<512, 512>), Classifier<K>);
/// Column E.
pub type Vgg19<const K: usize = 1000> =
    ((Block2<3, 64>, Block2<64, 128>, Block4<128, 256>, Block4<256, 512>, Block4<512, 512>), Classifier<K>);

type Two<const I: usize, const O: usize> = (Conv3Bn<I, O>, Conv3Bn<O, O>, Halve);
type Three<const I: usize, const O: usize> = (Conv3Bn<I, O>, Conv3Bn<O, O>, Conv3Bn<O, O>, Halve);
/// Column D with batch normalisation.
pub type Vgg16Bn<const K: usize = 1000> =
    ((Two<3, 64>, Two<64, 128>, Three<128, 256>, Three<256, 512>, Three<512, 512>), Classifier<K>);

/// The idea at the size of 28×28 pixels: widths 16 and 32, batch normalisation, dropout ½; 32,250 parameters.
pub type VggMini<const K: usize = 10> = (
    (Conv3Bn<1, 16>, Conv3Bn<16, 16>, Halve),
    (Conv3Bn<16, 32>, Conv3Bn<32, 32>, Halve),
    (Flatten, Dropout, Linear<1568, K>),
);
