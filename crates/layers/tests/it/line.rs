//! Layers of sequences `(B, C, L)`, borders, and what acts along the last axis: PyTorch's values, tangents, gradients,
//! directions of weights, files, plans.
use crate::pooling::is_exact_to;
use kernels::CountPadding;
use layers::convolution::Unbiased;
use layers::prelude::*;
use layers::resampling::{Bilinear, BilinearAligned, Circular, Reflection, Replication, Zeros};
use layers::testing::{Golden, gradient_check};
use layers::{Along, Dual, Planned, assert_close, load, params, save, summary};

type Traced<S> = Tensor<S, f64, Cpu, OwnedTape<f64, Cpu>>;

#[test]
fn layers_of_sequences_and_borders_are_those_of_pytorch() {
    /// One run of the file.
    fn agrees<S: ConstShape, O: ConstShape, M>(golden: &Golden, run: &str, module: &M)
    where
        M: TensorCollection<f64, Cpu> + Clone + Module<Traced<S>, Output = Traced<O>>,
    {
        let numbers = |what: &str| golden.numbers(&format!("runs/{run}/{what}"));
        let dev = Cpu::default();
        let mut module = module.clone();
        params::unflatten(&mut module, &numbers("weights")).unwrap();
        let x: Tensor<S, f64, Cpu> = dev.tensor(numbers("x"));
        let y = module.forward(x.leaky_trace());
        let lengths: Vec<f64> = y.shape().concrete().into_iter().map(|length| length as f64).collect();
        assert_eq!(lengths, numbers("y_shape"), "{run}");
        assert_close!(y.as_vec(), numbers("y"), 1e-13, 1e-14, "{run}"); // the file has 15 digits
        let weighted = y * dev.tensor_from_vec(numbers("gy"), O::default());
        let gradients = weighted.sum::<Rank0, _>().backward();
        assert_close!(gradients.get(&x).as_vec(), numbers("gx"), 1e-13, 1e-14, "gradient of {run}");
    }
    let golden = Golden::open(crate::golden("line.json"));
    macro_rules! agrees {
        ($($run:literal: $module:ty, $in:ty => $out:ty;)*) => {$(
            let module = Cpu::default().build_module::<$module, f64>();
            agrees::<$in, $out, _>(&golden, $run, &module);
        )*};
    }
    type Line = Rank3<2, 4, 9>;
    type Image = Rank4<2, 1, 3, 4>;
    agrees! {
        "strided": Conv1D<4, 3, 3, 2, 2, 2, Tanh>, Line => Rank3<2, 3, 5>;
        "grouped": GroupedConv1D<4, 6, 3, 2, 1, 1>, Line => Rank3<2, 6, 9>;
        "depthwise": GroupedConv1D<4, 4, 5, 4, 1, 0, 1, Identity, Unbiased>, Line => Rank3<2, 4, 5>;
        "reflected": (Pad1D<Reflection<0, 0, 2, 1>>, Conv1D<4, 3, 4>), Line => Rank3<2, 3, 9>;
        "replicated": (Pad1D<Replication<0, 0, 0, 3>>, Conv1D<4, 3, 4>), Line => Rank3<2, 3, 9>;
        "circular": (Pad1D<Circular<0, 0, 3, 0>>, Conv1D<4, 3, 4>), Line => Rank3<2, 3, 9>;
        "raised": ConvTranspose1D<4, 3, 3, 3, 1, 2, 2>, Line => Rank3<2, 3, 29>;
        "max": MaxPool1D<3, 2, 1, 2>, Line => Rank3<2, 4, 4>;
        "max_ceil": MaxPool1DCeil<2, 2>, Line => Rank3<2, 4, 5>;
        "avg": AvgPool1D<3, 2, 1>, Line => Rank3<2, 4, 5>;
        "avg_ceil": AvgPool1DCeil<2, 2>, Line => Rank3<2, 4, 5>;
        "adaptive": AdaptiveAvgPool1D<4>, Line => Rank3<2, 4, 4>;
        "global_avg": GlobalAvgPool, Line => Rank2<2, 4>;
        "global_max": GlobalMaxPool, Line => Rank2<2, 4>;
        "nearest": Upsample1D<3>, Line => Rank3<2, 4, 27>;
        "linear": Upsample1D<2, Bilinear>, Line => Rank3<2, 4, 18>;
        "aligned": Upsample1D<2, BilinearAligned>, Line => Rank3<2, 4, 18>;
        "zeros": Pad2D<Zeros<2, 0, 3, 1>>, Image => Rank4<2, 1, 5, 8>;
        "reflection": Pad2D<Reflection<2, 0, 3, 1>>, Image => Rank4<2, 1, 5, 8>;
        "replication": Pad2D<Replication<2, 0, 3, 1>>, Image => Rank4<2, 1, 5, 8>;
        "circle": Pad2D<Circular<2, 0, 3, 1>>, Image => Rank4<2, 1, 5, 8>;
        "softmax": Softmax, Rank2<3, 5> => Rank2<3, 5>;
        "log_softmax": LogSoftmax, Rank2<3, 5> => Rank2<3, 5>;
        "raised_grouped": GroupedConvTranspose1D<4, 6, 3, 2, 2, 1, 1, 1>, Line => Rank3<2, 6, 18>;
        "raised_depthwise": GroupedConvTranspose1D<4, 4, 2, 4, 2>, Line => Rank3<2, 4, 18>;
        "raised_maps": GroupedConvTranspose2D<4, 6, 3, 2, 2, 1, 2, 1, Sigmoid>, Rank4<2, 4, 3, 4> => Rank4<2, 6, 8, 10>;
        "shuffled": PixelShuffle1D<2>, Line => Rank3<2, 2, 18>;
        "unshuffled": PixelUnshuffle1D<3>, Line => Rank3<2, 12, 3>;
        "unpooled": (IndexedMaxPool2D<2, 2>, MaxUnpool2D), Rank4<2, 3, 5, 6> => Rank4<2, 3, 5, 6>;
    }
    let excluded = AvgPool1D::<3, 2, 1> { count: CountPadding::Excluded };
    agrees::<Line, Rank3<2, 4, 5>, _>(&golden, "avg_excluded", &excluded);
    golden.skip("source");
    golden.finish();
}

/// All that acts on sequences, twelve positions down to five.
type Net = (
    (Pad1D<Reflection<0, 0, 2, 1>>, GroupedConv1D<4, 6, 3, 2, 1, 1, 1, Tanh>, MaxPool1D<3, 2, 1>),
    (GroupedConvTranspose1D<6, 3, 3, 3, 2, 1, 1, 1, Sigmoid>, AvgPool1DCeil<3, 2>, Upsample1D<2, Bilinear>),
    (UnbiasedConv1D<3, 3, 2, 2, 0, 2>, AdaptiveAvgPool1D<5>, Flatten, Linear<15, 2>),
);
type Batch = Tensor<Rank3<2, 4, 12>, f64, Cpu>;

/// Gradients and tangents of the whole, and the derivative along a direction in weight space.
#[test]
fn a_network_on_sequences_is_exact() {
    const H: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(1);
    let (net, direction) = (dev.build_module::<Net, f64>(), dev.build_module::<Net, f64>());
    is_exact_to(1e-6, &net, || -> Batch { dev.sample_normal() });
    let x: Batch = dev.sample_normal();
    let (w, dw) = (params::flatten(&net), params::flatten(&direction));
    let at = |h: f64| {
        let mut net = net.clone();
        let weights: Vec<f64> = w.iter().zip(&dw).map(|(w, dw)| w + h * dw).collect();
        params::unflatten(&mut net, &weights).unwrap();
        net.forward(x.clone())
    };
    let tangent = net.along(&direction, Dual::constant(x.leaky_trace())).tangent();
    assert_close!(tangent, (at(H) - at(-H)) / (2.0 * H), 1e-8, 1e-9);
    gradient_check(&net, |net| {
        net.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean()
    })
    .assert(1e-6);
}

#[test]
fn pooling_the_whole_sequence_has_its_tangent() {
    let dev = Cpu::seed_from_u64(2);
    let both = Concat((GlobalAvgPool, (GlobalMaxPool, Softmax)));
    is_exact_to(1e-6, &both, || -> Batch { dev.sample_normal() });
}

/// Value, first and second derivative in closed form.
#[test]
fn elementary_functions_are_modules() {
    let (e, cube, clamp) = (0.3_f64.exp(), 0.3_f64.powi(3), Clamp { low: 0.0, high: 2.0 });
    let dev = Cpu::default();
    type Point = Dual<Rank1<1>, f64, Cpu, OwnedTape<f64, Cpu>>;
    let cases: [(&str, &dyn Fn(Point) -> Point, f64, [f64; 3]); 5] = [
        ("expm1", &|x| Expm1.forward(x), 0.3, [e - 1.0, e, e]),
        ("ln1p", &|x| Ln1p.forward(x), 0.3, [1.3_f64.ln(), 1.0 / 1.3, -1.0 / 1.69]),
        ("power", &|x| Power(3.0).forward(x), 0.3, [cube, 3.0 * 0.09, 6.0 * 0.3]),
        ("clamp inside", &|x| clamp.forward(x), 0.3, [0.3, 1.0, 0.0]),
        ("clamp outside", &|x| clamp.forward(x), 2.5, [2.0, 0.0, 0.0]),
    ];
    for (name, module, at, [value, slope, curvature]) in cases {
        let x = dev.tensor([at]);
        let y = module(Dual::new(x.leaky_trace(), dev.tensor([1.0])));
        assert_close!(y.with_empty_tape().value().array()[0], value, 1e-14, 0.0, "{name}");
        let dy = y.tangent();
        assert_close!(dy.array()[0], slope, 1e-14, 0.0, "slope of {name}");
        let mut gradients = dy.sum::<Rank0, _>().backward();
        gradients.try_alloc_for(&x).unwrap();
        assert_close!(gradients.get(&x).array()[0], curvature, 1e-13, 1e-15, "curvature of {name}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("numbers.safetensors");
    let mut model = (dev.build_module::<Linear<1, 1>, f64>(), Power(0.5), clamp);
    save(&model, &path).unwrap();
    (model.1, model.2) = Default::default();
    load(&mut model, &path).unwrap();
    assert_eq!((model.1, model.2), (Power(0.5), clamp));
}

#[test]
fn names_start_files_and_plan() {
    let dev = Cpu::seed_from_u64(3);
    let mut net = dev.build_module::<Net, f32>();
    let names = ["0.1.weight", "0.1.bias", "1.0.weight", "1.0.bias", "2.0.weight", "2.3.weight", "2.3.bias"];
    assert_eq!(params::names(&net), names);
    assert!(summary(&net).to_string().contains("0.1.weight  (6, 2, 3)        36"));
    // Uniform within one by the root of a row's elements; dozens of draws come near the bound.
    let largest = |values: Vec<f32>| values.into_iter().fold(0.0, |a: f32, v| a.max(v.abs()));
    for (values, row) in [
        (net.0.1.weight.as_vec(), 6.0_f32),
        (net.0.1.bias.as_vec(), 6.0),
        (net.1.0.weight.as_vec(), 3.0), // a row of one output channel of its group
        (net.2.0.weight.as_vec(), 6.0),
    ] {
        let ratio = largest(values) * row.sqrt();
        assert!((0.5..=1.0).contains(&ratio), "{ratio} of the bound for rows of {row}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    save(&net, &path).unwrap();
    let before = params::flatten(&net);
    net.reset_params();
    assert_ne!(params::flatten(&net), before);
    load(&mut net, &path).unwrap();
    assert_eq!(params::flatten(&net), before);
    // A sequence is a map of height 1.
    type Trunk = (
        (Pad1D<Reflection<0, 0, 2, 1>>, GroupedConv1D<4, 6, 3, 2, 1, 1, 1, Tanh>, MaxPool1D<3, 2, 1>),
        (
            GroupedConvTranspose1D<6, 3, 3, 3, 2, 1, 1, 1, Sigmoid>,
            AvgPool1DCeil<3, 2>,
            Upsample1D<2, Bilinear>,
        ),
    );
    let totals = Trunk::PLAN.totals([4, 1, 12]).unwrap();
    assert_eq!(totals.output, [3, 1, 16]);
    assert_eq!(totals.params as usize, params::count(&net.0) + params::count(&net.1));
    assert_eq!(totals.macs, 6 * 2 * 3 * 15 + 6 * 3 * 8);
    let built = <modules::Conv1D<4, 6, 3, f32, Cpu> as Planned>::PLAN;
    assert_eq!(built, Conv1D::<4, 6, 3>::PLAN);
}

#[test]
fn a_weight_of_a_sequence_can_be_normalised_and_its_data_skipped() {
    let dev = Cpu::seed_from_u64(4);
    let mut layer = dev.build_module::<WeightNorm<Conv1D<4, 3, 3>, 3>, f64>();
    layer.keep_lengths().unwrap();
    let x: Batch = dev.sample_normal();
    assert_close!(layer.forward(x.clone()), layer.module.forward(x.clone()), 1e-13);
    let mut layer = layer.module;
    let gradients = |layer: &modules::Conv1D<4, 3, 3, f64, Cpu>| {
        let mut gradients = layer.forward(x.leaky_trace()).square().sum().backward();
        gradients.try_alloc_for(&x).unwrap(); // zeros where nothing arrived
        (gradients.get(&layer.weight).as_vec(), gradients.get(&x).as_vec())
    };
    let (weight, input) = gradients(&layer);
    layer.input_gradient = InputGradient::Skipped;
    let (same, none) = gradients(&layer);
    assert_eq!(weight, same);
    assert!(input.iter().any(|g| *g != 0.0) && none.iter().all(|g| *g == 0.0));
}

/// Sequences of a length known at run time, and one that is too short.
#[test]
#[should_panic(expected = "a window that spans 5 positions does not fit an axis of 4")]
fn run_time_lengths() {
    let dev = Cpu::default();
    let series =
        |length| -> Tensor<(usize, Const<1>, usize), f64, Cpu> { dev.zeros_like(&(3, Const, length)) };
    let layer = dev.build_module::<(Conv1D<1, 2, 5>, MaxPool1D<2, 2>, Upsample1D<2>), f64>();
    assert_eq!(*layer.forward(series(9)).shape(), (3, Const::<2>, 4));
    layer.forward(series(4));
}
