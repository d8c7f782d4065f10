//! dfdx modules made of kernels, exact second order with [`Dual`], losses, the [`Step`] trait and what models share.
//!
//! | I need | here |
//! |---|---|
//! | a fully connected layer, fused with its activation | [`modules::Linear`], built from [`builders::Linear`] |
//! | tokens, recurrent layers, attention, Transformer blocks | [`embedding`], [`recurrent`], [`attention`], [`transformer`] |
//! | convolutions of images and sequences, transposed too, flattening | [`convolution`] |
//! | layers on graphs, readouts | [`graph`] |
//! | activation functions as modules | [`activation`] |
//! | dropout and noise, by key | [`dropout`] |
//! | batch, layer, group, instance, RMS, response, spectral and weight normalisation | [`normalisation`] |
//! | max, average, adaptive and global pooling | [`pooling`] |
//! | upsampling, padding, pixel shuffle, branches side by side | [`resampling`] |
//! | a loss | [`losses`] |
//! | gradient penalties, Hessian-vector products, Jacobian traces | [`dual`] |
//! | an optimiser | [`Sgd`], [`Adam`], [`AdamW`], [`RmsProp`]; all others are in the crate `optim` |
//! | parameter groups, clipping, averages of the weights | [`optimizer`] |
//! | an optimiser of your own | [`rule`] |
//! | the interface of optimisers and their saved state | [`step`] |
//! | weights drawn from one key | [`init`] |
//! | path names, flat vectors, groups of a model's tensors | [`params`] |
//! | what a model costs | [`Cost`], [`summary`] |
//! | what a network on images costs, layer by layer, before it is built | [`plan`] |
//! | files that survive a crash and refuse damage | [`checkpoint`] |
//! | a gradient checker, `assert_close!`, golden files (feature `testing`) | `testing` |
//!
//! Shapes are batch first, features last: `(B, F)`, `(B, T, F)`. [`Module`](dfdx::nn::Module) is evaluation and
//! [`ModuleMut`](dfdx::nn::ModuleMut) training, each with and without a tape. The names of dfdx and ours together, ours
//! first, are in the [`prelude`].
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod activation;
pub mod adam;
pub mod attention;
pub mod checkpoint;
pub mod convolution;
mod cost;
mod dfdx_optimizers;
pub mod dropout;
pub mod dual;
pub mod embedding;
pub mod gated;
pub mod graph;
pub mod init;
pub mod linear;
pub mod losses;
pub mod normalisation;
pub mod optimizer;
pub mod params;
pub mod plan;
pub mod pooling;
pub mod prelu;
pub mod recurrent;
pub mod resampling;
pub mod rmsprop;
pub mod rule;
pub mod sgd;
pub mod step;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transformer;

pub use adam::{Adam, AdamConfig, AdamW, AdamWConfig};
pub use checkpoint::{Checkpoint, CheckpointError, load, save};
pub use cost::{Cost, Summary, summary};
pub use dual::{
    Along, Dual, gradient_penalty, hessian_vector_product, hutchinson_trace, input_gradient,
    input_gradient_norm, jacobian_trace,
};
pub use kernels::InputGradient;
pub use optimizer::Optim;
pub use plan::{Plan, Planned};
pub use rmsprop::{RmsProp, RmsPropConfig};
pub use rule::Rule;
pub use sgd::{Momentum, Sgd, SgdConfig};
pub use step::{Schedule, Slot, SlotKey, Step, StepError, StepReport, StepState};

pub mod modules {
    //! The layers themselves, with dtype and device.
    pub use crate::activation::{
        Abs, Celu, Clamp, Cos, Elu, Erf, Exp, Expm1, Gelu, GeluTanh, HardSigmoid, HardSwish, HardTanh,
        Identity, LeakyRelu, LecunTanh, Ln, Ln1p, LogSigmoid, LogSoftmax, Mish, Power, Relu, Relu6,
        ReluSquared, Selu, Sigmoid, Silu, Sin, Softmax, Softplus, SoftplusBeta, Softsign, Sqrt, Squareplus,
        Swish, Tanh,
    };
    pub use crate::attention::MultiHeadAttention;
    pub use crate::convolution::{
        Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, Flatten, GroupedConv1D, GroupedConv2D,
        GroupedConvTranspose1D, GroupedConvTranspose2D, RectConv2D, UnbiasedConv1D, UnbiasedConv2D,
    };
    pub use crate::dropout::{AlphaDropout, Dropout, FeatureDropout, GaussianDropout, GaussianNoise};
    pub use crate::embedding::{Embedding, LearnedPositions, SinusoidalPositions};
    pub use crate::gated::{Glu, Maxout};
    pub use crate::graph::{
        GraphConvolution, MaxReadout, MeanReadout, NeighbourConvolution, PerNode, SumReadout,
    };
    pub use crate::linear::Linear;
    pub use crate::normalisation::{
        BatchNorm, BatchNorm1D, BatchNorm2D, GroupNorm, InstanceNorm2D, LayerNorm1D, LocalResponseNorm,
        RMSNorm, SpectralNorm, WeightNorm,
    };
    pub use crate::pooling::{
        AdaptiveAvgPool1D, AdaptiveAvgPool2D, AvgPool1D, AvgPool1DCeil, AvgPool2D, AvgPool2DCeil,
        GlobalAvgPool, GlobalMaxPool, IndexedMaxPool2D, MaxPool1D, MaxPool1DCeil, MaxPool2D, MaxPool2DCeil,
        MaxUnpool2D,
    };
    pub use crate::prelu::PRelu;
    pub use crate::recurrent::{Bidirectional, Gru, Lstm, PeepholeLstm, Rnn};
    pub use crate::resampling::{
        Concat, Pad1D, Pad2D, PixelShuffle, PixelShuffle1D, PixelUnshuffle, PixelUnshuffle1D, Upsample,
        Upsample1D,
    };
    pub use crate::transformer::{TransformerDecoderBlock, TransformerEncoderBlock};
}

pub mod builders {
    //! Descriptions of layers, without dtype and device: what `build_module` takes.
    pub use crate::activation::{
        Abs, Celu, Clamp, Cos, Elu, Erf, Exp, Expm1, Gelu, GeluTanh, HardSigmoid, HardSwish, HardTanh,
        Identity, LeakyRelu, LecunTanh, Ln, Ln1p, LogSigmoid, LogSoftmax, Mish, Power, Relu, Relu6,
        ReluSquared, Selu, Sigmoid, Silu, Sin, Softmax, Softplus, SoftplusBeta, Softsign, Sqrt, Squareplus,
        Swish, Tanh,
    };
    pub use crate::attention::builder::MultiHeadAttention;
    pub use crate::convolution::Flatten;
    pub use crate::convolution::builder::{
        Conv1D, Conv2D, ConvTranspose1D, ConvTranspose2D, GroupedConv1D, GroupedConv2D,
        GroupedConvTranspose1D, GroupedConvTranspose2D, RectConv2D, UnbiasedConv1D, UnbiasedConv2D,
    };
    pub use crate::dropout::{AlphaDropout, Dropout, FeatureDropout, GaussianDropout, GaussianNoise};
    pub use crate::embedding::SinusoidalPositions;
    pub use crate::embedding::builder::{Embedding, LearnedPositions};
    pub use crate::gated::{Glu, Maxout};
    pub use crate::graph::builder::{GraphConvolution, NeighbourConvolution};
    pub use crate::graph::{MaxReadout, MeanReadout, PerNode, SumReadout};
    pub use crate::linear::builder::Linear;
    pub use crate::normalisation::builder::{
        BatchNorm, BatchNorm1D, BatchNorm2D, GroupNorm, LayerNorm1D, RMSNorm, SpectralNorm, WeightNorm,
    };
    pub use crate::normalisation::{InstanceNorm2D, LocalResponseNorm};
    pub use crate::pooling::{
        AdaptiveAvgPool1D, AdaptiveAvgPool2D, AvgPool1D, AvgPool1DCeil, AvgPool2D, AvgPool2DCeil,
        GlobalAvgPool, GlobalMaxPool, IndexedMaxPool2D, MaxPool1D, MaxPool1DCeil, MaxPool2D, MaxPool2DCeil,
        MaxUnpool2D,
    };
    pub use crate::prelu::builder::PRelu;
    pub use crate::recurrent::builder::{Bidirectional, Gru, Lstm, PeepholeLstm, Rnn};
    pub use crate::resampling::{
        Concat, Pad1D, Pad2D, PixelShuffle, PixelShuffle1D, PixelUnshuffle, PixelUnshuffle1D, Upsample,
        Upsample1D,
    };
    pub use crate::transformer::builder::{TransformerDecoderBlock, TransformerEncoderBlock};
}

pub mod prelude {
    //! dfdx's prelude without what this crate replaces: `use layers::prelude::*` instead of `use dfdx::prelude::*`.
    //!
    //! Ours are `Linear`, dropout, normalisation, pooling, resampling, the sequence layers and the activations (`Exp`,
    //! `Ln`, `Sin`, `Cos`, `Sqrt`, `Abs`, `Softmax` and `LogSoftmax` among them); dfdx's `ReLU`, `LeakyReLU`, `GeLU`, `FastGeLU` and `AccurateGeLU`
    //! are left out, and so are its optimiser configurations (`SgdConfig`, `AdamConfig`, ..., in `dfdx::optim`).
    pub use crate::builders::*;
    pub use crate::{
        Adam, AdamConfig, AdamW, AdamWConfig, Momentum, RmsProp, RmsPropConfig, Sgd, SgdConfig, Step,
    };
    pub use crate::{builders, modules};
    pub use dfdx::losses::*;
    pub use dfdx::nn::builders::{
        AddInto, Bias2D, DropoutOneIn, GeneralizedResidual, MinPoolGlobal, PReLU, PReLU1D, Repeated, Reshape,
        Residual, SplitInto, Square, UnbiasedLinear,
    };
    pub use dfdx::nn::*;
    pub use dfdx::optim::prelude::*;
    pub use dfdx::shapes::*;
    pub use dfdx::tensor::*;
    pub use dfdx::tensor_ops::*;
    pub use kernels::InputGradient;
}
