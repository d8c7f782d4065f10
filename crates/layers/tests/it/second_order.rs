//! Every layer in one table: its tangent against a difference of values, and the gradient of a loss of the tangent alone
//! against differences, by weights, input and direction.
//!
//! A layer that `layers::modules` exports and that has no row here is noticed: [`every_layer_has_a_row`].
use layers::prelude::*;
use layers::resampling::{Reflection, Replication};
use layers::testing::gradient_check;
use layers::transformer::PreNorm;
use layers::{Dual, assert_close};
use std::collections::BTreeSet;

type Real64<S> = Tensor<S, f64, Cpu>;
type Moving<S> = Dual<S, f64, Cpu, OwnedTape<f64, Cpu>>;

/// Features, sequences and images.
type Rows = Rank2<4, 6>;
type Line = Rank3<2, 4, 7>;
type Image = Rank4<2, 4, 6, 5>;
type Pairs = Rank3<2, 4, 6>;
type Halves = Rank4<2, 4, 6, 4>;

/// Which numbers a layer takes.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    Any,
    Positive,
}

fn second_order_is_exact<M, S, O>(name: &str, layer: &M, numbers: Numbers)
where
    S: ConstShape,
    O: Shape,
    M: TensorCollection<f64, Cpu>
        + Clone
        + Module<Real64<S>, Output = Real64<O>>
        + Module<Moving<S>, Output = Moving<O>>,
{
    const H: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(31);
    let (x, v): (Real64<S>, Real64<S>) = (dev.sample_normal(), dev.sample_normal());
    let x = if numbers == Numbers::Positive { x.abs() + 0.5 } else { x };
    let dual = layer.forward(Dual::new(x.leaky_trace(), v.clone()));
    assert_close!(dual.with_empty_tape().value(), layer.forward(x.clone()), 1e-12, 1e-13, "value of {name}");
    let moved = |h: f64| layer.forward(x.clone() + v.clone() * h);
    assert_close!(dual.tangent(), (moved(H) - moved(-H)) / (2.0 * H), 1e-8, 1e-8, "tangent of {name}");
    let report = gradient_check(&(layer.clone(), x, v), |(layer, x, v)| {
        layer.forward(Dual::new(x.leaky_trace(), v.clone())).tangent().square().mean()
    });
    assert!(report.relative_error <= 1e-6, "{name}: {report:?}");
}

/// `Layer: Shape`, with `Positive` where the layer takes no other numbers.
macro_rules! table {
    ($($layer:ty: $shape:ty $(, $numbers:ident)?;)*) => {
        /// The layers that the table holds.
        const ROWS: &[&str] = &[$(stringify!($layer)),*];

        #[test]
        fn tangents_of_all_layers_are_exact() {
            let dev = Cpu::seed_from_u64(30);
            $(
                let layer = dev.build_module::<$layer, f64>();
                let numbers = *[Numbers::Any $(, Numbers::$numbers)?].last().unwrap();
                second_order_is_exact::<_, $shape, _>(stringify!($layer), &layer, numbers);
            )*
        }
    };
}
table! {
    Identity: Rows;
    Abs: Rows;
    Celu: Rows;
    Cos: Rows;
    Elu: Rows;
    Erf: Rows;
    Exp: Rows;
    Expm1: Rows;
    Gelu: Rows;
    GeluTanh: Rows;
    HardSigmoid: Rows;
    HardSwish: Rows;
    HardTanh: Rows;
    LeakyRelu: Rows;
    LecunTanh: Rows;
    Ln: Rows, Positive;
    Ln1p: Rows, Positive;
    LogSigmoid: Rows;
    LogSoftmax: Rows;
    Mish: Rows;
    Relu: Rows;
    Relu6: Rows;
    ReluSquared: Rows;
    Selu: Rows;
    Sigmoid: Rows;
    Silu: Rows;
    Sin: Rows;
    Softmax: Rows;
    Softplus: Rows;
    SoftplusBeta: Rows;
    Softsign: Rows;
    Sqrt: Rows, Positive;
    Squareplus: Rows;
    Swish: Rows;
    Tanh: Rows;
    PRelu: Rows;
    Linear<6, 3, Tanh>: Rows;
    Glu<6, 3, Sigmoid>: Rows;
    Maxout<6, 2>: Rows;
    AlphaDropout: Rows;
    Dropout: Rows;
    FeatureDropout: Image;
    GaussianDropout: Rows;
    GaussianNoise: Rows;
    Conv1D<4, 3, 3, 2, 1, 1, Gelu>: Line;
    GroupedConv1D<4, 6, 3, 2>: Line;
    UnbiasedConv1D<4, 2, 3>: Line;
    ConvTranspose1D<4, 3, 3, 2, 1>: Line;
    GroupedConvTranspose1D<4, 6, 3, 2>: Line;
    Conv2D<4, 3, 3, 2, 1, 1, Tanh>: Image;
    GroupedConv2D<4, 6, 3, 2>: Image;
    UnbiasedConv2D<4, 2, 3>: Image;
    RectConv2D<4, 2, 1, 3>: Image;
    ConvTranspose2D<4, 3, 3, 2, 1>: Image;
    GroupedConvTranspose2D<4, 6, 3, 2>: Image;
    Flatten: Image;
    BatchNorm<6>: Rows;
    BatchNorm1D<4>: Line;
    BatchNorm2D<4>: Image;
    GroupNorm<4, 2>: Image;
    InstanceNorm2D: Image;
    LayerNorm1D<6>: Rows;
    LocalResponseNorm: Image;
    RMSNorm<6>: Rows;
    AdaptiveAvgPool1D<3>: Line;
    AdaptiveAvgPool2D<3, 2>: Image;
    AvgPool1D<2, 2>: Line;
    AvgPool1DCeil<2, 2>: Line;
    AvgPool2D<2, 2>: Image;
    AvgPool2DCeil<2, 2>: Image;
    GlobalAvgPool: Image;
    GlobalMaxPool: Image;
    MaxPool1D<2, 2>: Line;
    MaxPool1DCeil<2, 2>: Line;
    MaxPool2D<2, 2>: Image;
    MaxPool2DCeil<2, 2>: Image;
    PixelShuffle<2>: Image;
    PixelShuffle1D<2>: Line;
    PixelUnshuffle<2>: Halves;
    PixelUnshuffle1D<7>: Line;
    Upsample<2>: Image;
    Upsample1D<2>: Line;
    Pad1D<Replication<0, 0, 2, 1>>: Line;
    Pad2D<Reflection<2, 0, 1, 3>>: Image;
    WeightNorm<Linear<6, 3>, 3>: Rows;
    SpectralNorm<Linear<6, 3, Tanh>, 3>: Rows;
    Concat<(Linear<6, 2>, (Linear<6, 3>, Tanh))>: Rows;
    LearnedPositions<9, 7>: Line;
    SinusoidalPositions: Pairs;
    Rnn<7, 2>: Line;
    Lstm<7, 2>: Line;
    PeepholeLstm<7, 2>: Line;
    Gru<7, 2>: Line;
    Bidirectional<Gru<7, 2>, 4>: Line;
    MultiHeadAttention<6, 2>: Pairs;
    TransformerEncoderBlock<6, 2, 3, PreNorm, Gelu>: Pairs;
}

#[test]
fn tangents_of_layers_with_settings_are_exact() {
    let clamp = Clamp { low: -0.7, high: 0.9 };
    second_order_is_exact::<_, Rows, _>("Clamp", &clamp, Numbers::Any);
    second_order_is_exact::<_, Rows, _>("Power", &Power(2.5), Numbers::Positive);
}

/// Layers whose input or output is more than a tensor, with the test that says the same of them.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("Clamp", include_str!("second_order.rs"), "tangents_of_layers_with_settings_are_exact"),
    ("Power", include_str!("second_order.rs"), "tangents_of_layers_with_settings_are_exact"),
    ("TransformerDecoderBlock", include_str!("sequence.rs"), "tangents_of_decoder_blocks_are_exact"),
    ("GraphConvolution", include_str!("graph.rs"), "tangents_and_their_gradients_are_exact"),
    ("NeighbourConvolution", include_str!("graph.rs"), "tangents_and_their_gradients_are_exact"),
    ("PerNode", include_str!("graph.rs"), "tangents_and_their_gradients_are_exact"),
    ("MeanReadout", include_str!("graph.rs"), "readouts_move_with_their_rows"),
    ("SumReadout", include_str!("graph.rs"), "readouts_move_with_their_rows"),
    ("MaxReadout", include_str!("graph.rs"), "readouts_move_with_their_rows"),
    ("IndexedMaxPool2D", include_str!("pooling.rs"), "pooling_is_exact"),
    ("MaxUnpool2D", include_str!("pooling.rs"), "pooling_is_exact"),
];

/// Layers that have no tangent: their input is an index.
const DISCRETE: &[&str] = &["Embedding"];

#[test]
fn every_layer_has_a_row() {
    let library = include_str!("../../src/lib.rs");
    let (_, modules) = library.split_once("pub mod modules {").expect("the module of the layers");
    let (modules, _) = modules.split_once("\n}").expect("its end");
    let exported: BTreeSet<&str> = modules
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with(char::is_uppercase) && word.len() > 1 && *word != "The")
        .collect();
    let rows = ROWS.iter().map(|row| row.split(['<', ' ']).next().expect("a name"));
    let seen: BTreeSet<&str> =
        rows.chain(ELSEWHERE.iter().map(|(name, ..)| *name)).chain(DISCRETE.iter().copied()).collect();
    assert_eq!(exported, seen);
    for (name, source, test) in ELSEWHERE {
        let (_, rest) =
            source.split_once(&format!("fn {test}()")).unwrap_or_else(|| panic!("no test {test}"));
        let (body, _) = rest.split_once("\n}").expect("an end");
        assert!(body.contains(name), "{test} does not speak of {name}");
    }
}
