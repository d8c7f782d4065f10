//! Lecture 7: every count of `golden/counts.json` of `layers` (torchvision, made by `gen_counts.py` there), laws of the
//! arithmetic.
use dfdx::prelude::*;
use kernels::random::Key;
use layers::prelude::{Linear, Tanh};
use layers::testing::Golden;
use layers::{assert_close, modules, params};
use optim::Error;
use optim::architecture::blocks::{self, builder};
use optim::architecture::count::{Layer, Network, Size, Window};
use optim::architecture::draw::{Drawing, Part};
use optim::architecture::proposal::Proposal;
use optim::architecture::skip::{Shortcut, SkipChain};
use optim::architecture::zoo;
use optim::chain::{Chain, he};
use proptest::prelude::*;

/// Networks of the file that no lecture of the course names.
const NOT_NAMED: [&str; 3] = ["shufflenet_v2_x1_0", "mnasnet1_0", "efficientnet_b0"];

fn network(name: &str) -> Network {
    match name {
        "alexnet" => zoo::alexnet(),
        "vgg11" => zoo::vgg(true),
        "vgg16" => zoo::vgg(false),
        "googlenet" => zoo::googlenet(),
        "resnet18" => zoo::resnet("", [2, 2, 2, 2]),
        "resnet34" => zoo::resnet("", [3, 4, 6, 3]),
        "resnet50" => zoo::resnet_bottleneck("", [3, 4, 6, 3], 1, 64),
        "resnet101" => zoo::resnet_bottleneck("", [3, 4, 23, 3], 1, 64),
        "resnext50_32x4d" => zoo::resnet_bottleneck("", [3, 4, 6, 3], 32, 4),
        "wide_resnet50_2" => zoo::resnet_bottleneck("", [3, 4, 6, 3], 1, 128),
        "densenet121" => zoo::densenet121(),
        "squeezenet1_0" => zoo::squeezenet(),
        "mobilenet_v2" => zoo::mobilenet_v2(),
        "lenet5_fully_connected_c3" => zoo::lenet5(),
        "mlp_784_30_10" => zoo::mlp("", &[784, 30, 10]),
        "mlp_784_100_10" => zoo::mlp("", &[784, 100, 10]),
        "mlp_784_512_512_10" => zoo::mlp("", &[784, 512, 512, 10]),
        "rnn_64_128" => zoo::recurrent("", 64, 128, 1, 1),
        "gru_64_128" => zoo::recurrent("", 64, 128, 3, 1),
        "lstm_64_128" => zoo::recurrent("", 64, 128, 4, 1),
        "transformer_encoder_layer_128_4_512" => zoo::transformer_encoder_layer(128, 512, 10),
        other => panic!("{other} is not known"),
    }
}

#[test]
fn counts_are_torchvisions() {
    // The counts that `layers` is tested with.
    let golden = Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../layers/tests/golden/counts.json"));
    golden.skip("source");
    golden.skip("input");
    for name in golden.keys("models").iter().map(ToString::to_string).collect::<Vec<_>>() {
        let at = |key: &str| format!("models/{name}/{key}");
        if NOT_NAMED.contains(&name.as_str()) {
            golden.skip(&format!("models/{name}"));
            continue;
        }
        let cost = network(&name).cost().unwrap();
        assert_eq!(cost.parameters as f64, golden.number(&at("parameters")), "{name}");
        for (key, value) in [("macs", cost.macs), ("weight_layers", cost.weight_layers as u64)] {
            if golden.has(&at(key)) {
                assert_eq!(value as f64, golden.number(&at(key)), "{key} of {name}");
            }
        }
        if golden.has(&at("activation_elements")) {
            // PyTorch's module Flatten counts as a layer in LeNet, though it copies nothing.
            let flatten = if name.starts_with("lenet") { 400 } else { 0 };
            assert_eq!((cost.elements + flatten) as f64, golden.number(&at("activation_elements")), "{name}");
        }
        for key in ["note", "input"] {
            if golden.has(&at(key)) {
                golden.skip(&at(key));
            }
        }
    }
    golden.skip("closed_forms/gpt2_small/vocab");
    golden.skip("closed_forms/gpt2_small/context");
    golden.skip("closed_forms/gpt2_small/d");
    golden.skip("closed_forms/gpt2_small/layers");
    for (name, network) in [("gpt2_small", zoo::gpt2_small()), ("bert_base", zoo::bert_base())] {
        let want = golden.number(&format!("closed_forms/{name}/parameters"));
        assert_eq!(network.cost().unwrap().parameters as f64, want, "{name}");
    }
    golden.finish();
}

/// The description, the type and the built model count the same.
#[test]
fn three_counts_agree() {
    type Reader =
        (layers::builders::Linear<784, 30, layers::modules::Sigmoid>, layers::builders::Linear<30, 10>);
    const _: () = assert!(<Reader as layers::Cost>::PARAMS == 23_860);
    let described = zoo::mlp("reader", &[784, 30, 10]).cost().unwrap();
    let built = Cpu::default().build_module::<Reader, f32>();
    assert_eq!(described.parameters as usize, <Reader as layers::Cost>::PARAMS);
    assert_eq!(described.macs as usize, <Reader as layers::Cost>::MACS);
    assert_eq!(described.parameters as usize, params::count(&built));
    assert_eq!(described.training_bytes(128, 2), 4 * (4 * 23_860 + 128 * 70));
    assert_eq!(described.training_flops(128), 6 * 128 * 23_820);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Windows are counted by sliding them.
    #[test]
    fn windows_are_counted_by_sliding(extent in 1_usize..40, kernel in 1_usize..8, stride in 1_usize..5, padding in 0_usize..4) {
        let padded = extent + 2 * padding;
        let starts = (0..padded).step_by(stride).filter(|start| start + kernel <= padded).count();
        let got = Window::new(kernel, stride, padding).output(extent);
        prop_assert_eq!(got.unwrap_or(0), starts);
    }

    /// A channel-wise and a 1 × 1 convolution cost 1/C + 1/k² of a full one.
    #[test]
    fn separable_convolutions(channels in 1_usize..40, out in 1_usize..40, half in 0_usize..4, side in 1_usize..30) {
        let kernel = 2 * half + 1;
        let conv = |out, kernel: usize, groups| Layer::Conv {
            out, window: Window::new(kernel, 1, kernel / 2), groups, bias: false,
        };
        let macs = |layers| Network { name: "", input: Size::Image(channels, side, side), layers }.cost().unwrap().macs;
        let ratio = macs(vec![conv(channels, kernel, channels), conv(out, 1, 1)]) as f64 / macs(vec![conv(out, kernel, 1)]) as f64;
        let want = 1.0 / out as f64 + 1.0 / (kernel * kernel) as f64;
        prop_assert!((ratio / want - 1.0).abs() < 1e-12);
    }
}

/// What the type counts, what the description counts and what the built model has, for shapes of one, two and three layers.
#[test]
fn types_descriptions_and_models_count_the_same() {
    macro_rules! compare {
        ($([$($width:literal),+]: $net:ty;)*) => {$(
            let described = zoo::mlp("", &[$($width),+]).cost().unwrap();
            let built = Cpu::default().build_module::<$net, f32>();
            let name = stringify!($net);
            assert_eq!(described.parameters as usize, <$net as layers::Cost>::PARAMS, "{name}");
            assert_eq!(described.macs as usize, <$net as layers::Cost>::MACS, "{name}");
            assert_eq!(params::count(&built), <$net as layers::Cost>::PARAMS, "{name}");
            assert_eq!(built.num_trainable_params(), params::count(&built), "{name}");
        )*};
    }
    compare! {
        [1, 1]: (Linear<1, 1>,);
        [5, 1]: (Linear<5, 1>,);
        [3, 8, 2]: (Linear<3, 8, Tanh>, Linear<8, 2>);
        [7, 1, 7]: (Linear<7, 1, Tanh>, Linear<1, 7>);
        [2, 3, 5, 7]: (Linear<2, 3, Tanh>, Linear<3, 5, Tanh>, Linear<5, 7>);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A convolution is counted tap by tap: one multiply-add for each output, each channel of its group, each tap, those on
    /// the padding included, as every library counts.
    #[test]
    fn convolutions_are_counted_tap_by_tap(
        groups in 1_usize..4, inputs in 1_usize..4, outputs in 1_usize..4, side in 1_usize..9,
        kernel in 1_usize..4, stride in 1_usize..3, padding in 0_usize..3, bias: bool,
    ) {
        prop_assume!(side + 2 * padding >= kernel);
        let (c, out) = (groups * inputs, groups * outputs);
        let layers = vec![Layer::Conv { out, window: Window::new(kernel, stride, padding), groups, bias }];
        let cost = Network { name: "", input: Size::Image(c, side, side), layers }.cost().unwrap();
        let (mut macs, mut elements, mut weights) = (0, 0, std::collections::HashSet::new());
        let starts = || (0..=side + 2 * padding - kernel).step_by(stride);
        for _position in starts().flat_map(|y| starts().map(move |x| (y, x))) {
            for o in 0..out {
                elements += 1;
                for i in (0..c).filter(|i| i / inputs == o / outputs) {
                    for tap in 0..kernel * kernel {
                        macs += 1;
                        weights.insert((o, i, tap));
                    }
                }
            }
        }
        let biases = if bias { out } else { 0 };
        prop_assert_eq!((cost.macs, cost.elements, cost.parameters as usize), (macs, elements, weights.len() + biases));
    }
}

/// An adaptive pool that changes nothing widens nothing; one to a single position sees the whole map.
#[test]
fn an_adaptive_pool_widens_the_field_by_its_windows() {
    let field = |network: Network| network.cost().unwrap().receptive_field;
    // The maps in front of the flattening: 7 × 7 positions 32 pixels apart that see 212, and 6 × 6 that see 195.
    assert_eq!(field(zoo::vgg(false)), 212 + 6 * 32);
    assert_eq!(field(zoo::alexnet()), 195 + 5 * 32);
    assert_eq!(field(zoo::resnet("ResNet-18", [2, 2, 2, 2])), 435 + 6 * 32);
    let pool =
        |to| Network { name: "", input: Size::Image(1, 10, 10), layers: vec![Layer::AdaptivePool(to, to)] };
    assert_eq!([10, 5, 4, 1].map(|to| field(pool(to))), [1, 2, 3, 10]);
    let none = pool(0).cost();
    assert!(matches!(none, Err(Error::DoesNotFit { .. })), "{none:?}");
}

/// The receptive field, by moving one pixel at a time: an all-ones network of two convolutions and a pool.
#[test]
fn receptive_field_is_what_a_pixel_can_reach() {
    let layers = vec![
        Layer::Conv { out: 1, window: Window::new(3, 2, 0), groups: 1, bias: false },
        Layer::Pool(Window::new(2, 2, 0)),
        Layer::Conv { out: 1, window: Window::new(3, 1, 0), groups: 1, bias: false },
    ];
    let field = Network { name: "", input: Size::Image(1, 40, 40), layers }.cost().unwrap().receptive_field;
    // Output 0 reads positions 0..=2 of the pool, those 0..=5 of the first convolution, those pixels 0..=12.
    let reaches = |first: usize| {
        let pool: Vec<usize> = (0..3).map(|i| first + i).collect();
        let conv: Vec<usize> = pool.iter().flat_map(|i| [2 * i, 2 * i + 1]).collect();
        let pixels: Vec<usize> = conv.iter().flat_map(|i| (0..3).map(move |k| 2 * i + k)).collect();
        pixels.iter().max().unwrap() - pixels.iter().min().unwrap() + 1
    };
    assert_eq!(field, reaches(0));
    assert_eq!(field, 13);
}

/// Without a shortcut the chain itself; with one, its gradient is that of the formula.
#[test]
fn shortcuts() {
    let dev = Cpu::default();
    let chain = Chain::<f64, Cpu>::new(&dev, &[3, 4, 4, 4, 2], kernels::Tanh, he, Key::new(1)).unwrap();
    let x: Tensor<(usize, usize), f64, Cpu> = Key::new(2).normal(&dev, (5, 3));
    let plain = SkipChain { chain: chain.clone(), shortcut: Shortcut::None };
    assert_eq!(plain.forward(x.clone()).as_vec(), chain.forward(x.clone()).as_vec());
    let residual = SkipChain { chain: chain.clone(), shortcut: Shortcut::Add(0.5) };
    let matrices = chain.matrices();
    let by_hand: Vec<f64> = x
        .as_vec()
        .chunks(3)
        .flat_map(|x| {
            let mut a = (&matrices[0] * nalgebra::DVector::from_column_slice(x)).map(f64::tanh);
            for w in &matrices[1..3] {
                a = &a + (w * &a).map(f64::tanh) * 0.5;
            }
            (&matrices[3] * a).as_slice().to_vec()
        })
        .collect();
    assert_close!(residual.forward(x.clone()).as_vec(), by_hand, 1e-12);
    let loss = |net: &SkipChain<f64, Cpu>| net.forward(x.leaky_trace()).square().mean::<Rank0, _>();
    let gradients = loss(&residual).backward();
    for l in 0..4 {
        for (i, got) in gradients.get(&residual.chain.layers[l].weight).as_vec().into_iter().enumerate() {
            let at = |h: f64| {
                let mut net = residual.clone();
                kernels::flat_mut(&mut net.chain.layers[l].weight)[i] += h;
                loss(&net).array()
            };
            assert_close!(got, (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6, 1e-9);
        }
    }
}

/// The boxes of a drawing cost together what the description costs, the path goes around each of them and along to the
/// output, and no box lies on another.
#[test]
fn drawings_show_what_is_counted() {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    for network in zoo::families().into_iter().chain(zoo::all()) {
        let name = network.name;
        let (cost, drawing) = (network.cost().unwrap(), Drawing::of(&network).unwrap());
        let sum = |of: fn(&Part) -> u64| drawing.parts.iter().map(of).sum::<u64>();
        let drawn = (sum(|part| part.parameters), sum(|part| part.macs));
        assert_eq!(drawn, (cost.parameters, cost.macs), "{name}");
        let (columns, rows) = (drawing.columns as f64, drawing.rows as f64);
        let inside = |&(x, y): &(f64, f64)| (-0.5..columns - 0.5).contains(&x) && (0.0..rows).contains(&y);
        assert!(drawing.path.iter().all(inside), "{name}: the path leaves the drawing");
        let on_path = |x: f64, y: f64| drawing.path.iter().any(|&(a, b)| near(a, x) && near(b, y));
        for (i, part) in drawing.parts.iter().enumerate() {
            let (x, y) = part.at;
            let corners = [(-0.45, -0.4), (-0.45, 0.4), (0.45, 0.4), (0.45, -0.4)];
            assert!(corners.iter().all(|(dx, dy)| on_path(x + dx, y + dy)), "{name}: {:?}", part.words);
            let is_on = |other: &Part| (x - other.at.0).abs() < 0.9 && (y - other.at.1).abs() < 0.8;
            assert!(!drawing.parts[..i].iter().any(is_on), "{name}: {:?} lies on another box", part.words);
        }
        let (&(x, y), [top, bottom]) = (drawing.path.last().unwrap(), drawing.ends);
        assert!(near(x, bottom.0) && near(y, bottom.1 - 0.4) && near(bottom.1, rows - 1.0), "{name}");
        assert!(on_path(top.0, 0.4), "{name}");
    }
    let words = |network: &Network| {
        Drawing::of(network).unwrap().parts.into_iter().map(|part| part.words.join(", ")).collect::<Vec<_>>()
    };
    let families = zoo::families();
    assert_eq!(words(&families[2]), ["3×3, 64, norm, φ", "3×3, 64, norm", "add, φ"]);
    let gates = ["in, 192×128", "forget, 192×128", "new, 192×128", "out, 192×128", "state, 128"];
    assert_eq!(words(&families[6]), gates);
    let square = |name: &str| format!("{name}, 128×128");
    let attention = [square("queries"), square("keys"), "softmax, q·k".into(), square("values")];
    assert_eq!(words(&families[7])[..4], attention);
    let broken = Network { name: "", input: Size::Vector(3), layers: vec![Layer::Attention] };
    assert!(matches!(Drawing::of(&broken), Err(Error::DoesNotFit { .. })));
}

/// A flow has the weights of its right-hand side once, makes its products each time, and keeps the end alone.
#[test]
fn a_flow_costs_products_and_no_memory() {
    let conv = |out| Layer::Conv { out, window: Window::new(3, 1, 1), groups: 1, bias: true };
    let flow = |evaluations| {
        let field = vec![conv(8), Layer::Activation, Layer::Time, conv(3), Layer::Activation];
        let layers = vec![Layer::Flow { field, evaluations }];
        Network { name: "", input: Size::Image(3, 5, 5), layers }.cost().unwrap()
    };
    let (once, often) = (flow(1), flow(7));
    assert_eq!(once.parameters, (9 * 3 * 8 + 8 + 9 * 9 * 3 + 3) as u64); // the second reads the time as well
    assert_eq!((often.parameters, often.weight_layers), (once.parameters, once.weight_layers));
    assert_eq!((once.macs, often.macs), (25 * (216 + 243), 7 * once.macs));
    assert_eq!((once.elements, often.elements), (75, 75));
    assert_eq!((once.receptive_field, often.receptive_field), (5, 29));
}

#[test]
fn what_does_not_fit_is_refused() {
    let cost = |layers| Network { name: "", input: Size::Image(3, 4, 4), layers }.cost();
    let conv = |kernel, groups| Layer::Conv { out: 4, window: Window::new(kernel, 1, 0), groups, bias: true };
    for layers in [
        vec![conv(5, 1)],
        vec![conv(1, 2)],
        vec![Layer::Dense { out: 1, bias: true }],
        vec![Layer::Attention],
        vec![Layer::Add(vec![vec![conv(1, 1)], vec![]])],
        vec![Layer::Concat(vec![vec![conv(3, 1)], vec![]])],
        vec![Layer::Flow { field: vec![conv(1, 1)], evaluations: 2 }], // four channels from three
        vec![Layer::Flow { field: vec![], evaluations: 0 }],
    ] {
        assert!(matches!(cost(layers.clone()), Err(Error::DoesNotFit { .. })), "{layers:?}");
    }
    assert!(matches!(cost(vec![Layer::Add(vec![])]), Err(Error::Empty { .. })));
}

#[test]
fn vague_proposals_are_refused() {
    let mut proposal = Proposal {
        title: "t".into(),
        question: "q?".into(),
        data: "d".into(),
        split: "s".into(),
        metric: "m".into(),
        baseline: "b".into(),
        prediction: "accuracy at least 0.9".into(),
        model: Some(zoo::lenet5()),
        examples: 100,
        epochs: 3,
        batch: 10,
        macs_per_second: 1e9,
        ..Proposal::default()
    };
    let text = proposal.render().unwrap();
    assert!(text.contains("61706 parameters") && text.contains("## Ablations"), "{text}");
    assert_close!(proposal.hours(&zoo::lenet5()).unwrap(), 3.0 * 416_520.0 * 300.0 / 1e9 / 3600.0, 1e-12);
    let endless = Proposal { examples: u64::MAX, epochs: u64::MAX, batch: u64::MAX, ..proposal.clone() };
    assert!(endless.render().unwrap().contains("passes in all runs")); // no product of them overflows
    let missing = |proposal: &Proposal| match proposal.render() {
        Err(Error::Incomplete { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    for (change, field) in [
        ((|p: &mut Proposal| p.baseline = " ".into()) as fn(&mut Proposal), "a baseline"),
        (|p| p.metric.clear(), "a metric"),
        (|p| p.prediction = "it will be good".into(), "a threshold in the prediction"),
        (|p| p.model = None, "a model"),
        (|p| p.epochs = 0, "a budget"),
    ] {
        let mut broken = proposal.clone();
        change(&mut broken);
        assert_eq!(missing(&broken), field);
    }
    proposal.macs_per_second = f64::NAN;
    assert_eq!(missing(&proposal), "a budget");
    // A budget beyond all machines is a number of hours, not an overflow.
    let endless =
        Proposal { epochs: u64::MAX, examples: u64::MAX, batch: u64::MAX, macs_per_second: 1.0, ..proposal };
    assert!(endless.hours(&zoo::lenet5()).unwrap() > 1e40);
    assert!(endless.render().unwrap().contains("hours"));
}

type Blocks = (
    blocks::ReZero<modules::Linear<4, 4, f64, Cpu, modules::Tanh>, f64, Cpu>,
    blocks::Highway<modules::Linear<4, 4, f64, Cpu, modules::Tanh>, 4, f64, Cpu>,
);

/// The formulas by hand, gradients by differences, names, and what both are at the start.
#[test]
fn blocks_go_around_their_branch() {
    type Described = (builder::ReZero<Linear<4, 4, Tanh>>, builder::Highway<Linear<4, 4, Tanh>, 4>);
    let dev = Cpu::seed_from_u64(1);
    let mut net: Blocks = dev.build_module::<Described, f64>();
    let names = params::names(&net);
    assert_eq!(names[..3], ["0.branch.weight", "0.branch.bias", "0.scale"]);
    assert_eq!(names[3..], ["1.branch.weight", "1.branch.bias", "1.gate.weight", "1.gate.bias"]);
    let x: Tensor<(usize, Const<4>), f64, Cpu> = Key::new(7).normal(&dev, (3, Const::<4>));
    assert_eq!(net.0.forward(x.clone()).as_vec(), x.as_vec(), "ReZero starts as the identity");
    net.0.scale = dev.tensor(0.7);
    let affine = |weight: &[f64], bias: &[f64], x: &[f64]| -> Vec<f64> {
        (0..4).map(|o| bias[o] + (0..4).map(|i| weight[4 * o + i] * x[i]).sum::<f64>()).collect()
    };
    let (re, high) = (&net.0, &net.1);
    let by_hand: Vec<f64> = x
        .as_vec()
        .chunks(4)
        .flat_map(|x| {
            let f = affine(&re.branch.weight.as_vec(), &re.branch.bias.as_vec(), x);
            let x: Vec<f64> = x.iter().zip(f).map(|(x, f)| x + 0.7 * f.tanh()).collect();
            let f = affine(&high.branch.weight.as_vec(), &high.branch.bias.as_vec(), &x);
            let g = affine(&high.gate.weight.as_vec(), &high.gate.bias.as_vec(), &x);
            let y = x.iter().zip(f).zip(g).map(|((x, f), g)| {
                let g = 1.0 / (1.0 + (-g).exp());
                g * f.tanh() + (1.0 - g) * x
            });
            y.collect::<Vec<_>>()
        })
        .collect();
    assert_close!(net.forward(x.clone()).as_vec(), by_hand, 1e-12);
    layers::testing::gradient_check(&net, |net| net.forward(x.leaky_trace()).square().mean::<Rank0, _>())
        .assert(1e-6);
    net.reset_params();
    assert_eq!(net.0.scale.array(), 0.0);
}

/// A dense block keeps what it got, bit by bit, and appends; its size is that of the description that DenseNet-121 is made
/// of; gradients by differences.
#[test]
fn dense_blocks_append() {
    type Units = (builder::DenseUnit<3, 2>, builder::DenseUnit<5, 2>, builder::DenseUnit<7, 2>);
    let dev = Cpu::seed_from_u64(2);
    let net = dev.build_module::<Units, f64>();
    let x: Tensor<(usize, Const<3>), f64, Cpu> = Key::new(1).normal(&dev, (4, Const::<3>));
    let y = net.forward(x.clone());
    assert_eq!(y.shape().concrete(), [4, 9]);
    let first = &net.0.0.1;
    let (weight, bias) = (first.weight.as_vec(), first.bias.as_vec());
    for (x, y) in x.as_vec().chunks(3).zip(y.as_vec().chunks(9)) {
        assert_eq!(x, &y[..3], "what came in goes on");
        let rows = weight.chunks(3).zip(&bias);
        let new = rows.map(|(row, b)| (b + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).max(0.0));
        assert_close!(y[3..5].to_vec(), new.collect::<Vec<f64>>(), 1e-12, 1e-15);
    }
    layers::testing::gradient_check(&net, |net| net.forward(x.leaky_trace()).square().mean::<Rank0, _>())
        .assert(1e-6);

    type Images = (builder::DenseLayer<4, 8, 2>, builder::DenseLayer<6, 8, 2>, builder::Transition<8, 4>);
    let grown = |inner: usize, growth: usize| {
        let convolution = |out, kernel, padding| Layer::Conv {
            out,
            window: Window::new(kernel, 1, padding),
            groups: 1,
            bias: false,
        };
        let branch = vec![
            Layer::Norm,
            Layer::Activation,
            convolution(inner, 1, 0),
            Layer::Norm,
            Layer::Activation,
            convolution(growth, 3, 1),
        ];
        Layer::Concat(vec![vec![], branch])
    };
    let convolution = Layer::Conv { out: 4, window: Window::new(1, 1, 0), groups: 1, bias: false };
    let described = Network {
        name: "dense block",
        input: Size::Image(4, 6, 6),
        layers: vec![
            grown(8, 2),
            grown(8, 2),
            Layer::Norm,
            Layer::Activation,
            convolution,
            Layer::Pool(Window::new(2, 2, 0)),
        ],
    };
    let images = dev.build_module::<Images, f32>();
    assert_eq!(params::count(&images) as u64, described.cost().unwrap().parameters);
    let x: Tensor<(usize, Const<4>, Const<6>, Const<6>), f32, Cpu> =
        Key::new(3).normal(&dev, (2, Const::<4>, Const::<6>, Const::<6>));
    let y = images.0.forward(x.clone());
    assert_eq!(y.as_vec()[..4 * 36], x.as_vec()[..4 * 36]);
    assert_eq!(images.forward(x).shape().concrete(), [2, 4, 3, 3]);
}
