//! The counted networks against torchvision's and against the papers' tables; what the compiler asserted stands in
//! `convnets::counts`.
use crate::original::{ResNet101Original, ResNet152Original};
use convnets::counts::{NETWORKS, UNET};
use convnets::inception::{Conv, Inception3a, NaiveInception};
use convnets::{inception, lenet, resnet, unet, vgg};
use layers::Planned;
use layers::plan::Totals;
use layers::prelude::*;
use layers::testing::Golden;
use std::collections::BTreeMap;

fn cost(name: &str) -> Totals {
    NETWORKS.iter().find(|network| network.name == name).unwrap_or_else(|| panic!("no {name}")).cost
}

#[test]
fn torchvision_counts_the_same() {
    let golden = Golden::open(crate::golden("published_counts.json"));
    let mut compared = 0;
    for name in golden.keys("models") {
        let path = format!("models/{name}");
        let Some(network) = NETWORKS.iter().find(|network| network.name == name) else {
            golden.skip(&path); // alexnet, densenet, mobilenet, squeezenet: not in this crate
            continue;
        };
        let number = |key: &str| golden.number(&format!("{path}/{key}")) as u64;
        assert_eq!(network.cost.params, number("params_without_aux"), "{name}");
        let macs = number("macs_batch1_eval/conv") + number("macs_batch1_eval/linear");
        assert_eq!(network.cost.macs, macs, "{name}");
        assert_eq!(network.input[1] as u64, number("input"), "{name}");
        golden.skip(&path); // names of tensors, buffers
        compared += 1;
    }
    assert_eq!(compared, 13);
    golden.skip("source");
    golden.finish();
}

/// Parameters, multiply-adds and outputs against a program that has each network written down once more, layer by layer;
/// what the compiler asserts are the same numbers.
#[test]
fn a_program_of_its_own_counts_the_same() {
    let golden = Golden::open(crate::golden("counts.json"));
    let mut ours: BTreeMap<String, Totals> =
        NETWORKS.iter().map(|network| (network.name.to_owned(), network.cost)).collect();
    let (at_224, at_299, at_32) = ([3, 224, 224], [3, 299, 299], [3, 32, 32]);
    let mut more = |name: &str, plan: layers::Plan, input| {
        assert!(ours.insert(name.to_owned(), plan.totals_of(input)).is_none(), "{name}");
    };
    more("inception_resnet_v1", <inception::InceptionResNetV1>::PLAN, at_299);
    more("resnet50_original", <resnet::ResNet50Original>::PLAN, at_224);
    more("resnet101_original", ResNet101Original::PLAN, at_224);
    more("resnet152_original", ResNet152Original::PLAN, at_224);
    more("unet", <unet::UNet>::PLAN, [1, 572, 572]);
    more("unet_one_class", unet::UNet::<1, 1>::PLAN, [1, 572, 572]);
    more("unet_colour", unet::UNet::<3, 2>::PLAN, [3, 572, 572]);
    more("small_unet", unet::SmallUNet::PLAN, [1, 104, 104]);
    more("vgg_mini", <vgg::VggMini>::PLAN, [1, 28, 28]);
    more("small_resnet_20", <resnet::SmallResNet<6, 12, 24, 2>>::PLAN, [1, 14, 14]);
    more("small_resnet_56", <resnet::SmallResNet<6, 12, 24, 8>>::PLAN, [1, 14, 14]);
    macro_rules! cifar {
        ($($more:literal)+) => {$(
            let depth = 6 * ($more + 1) + 2;
            more(&format!("cifar_A_{depth}"), <resnet::CifarResNet<$more>>::PLAN, at_32);
            more(&format!("cifar_B_{depth}"), <resnet::CifarResNetB<$more>>::PLAN, at_32);
            more(&format!("cifar_C_{depth}"), <resnet::CifarResNetC<$more>>::PLAN, at_32);
        )+};
    }
    cifar!(2 4 6 8 17 199);
    for name in golden.keys("networks") {
        let cost = ours.remove(name).unwrap_or_else(|| panic!("no {name}"));
        let number = |key: &str| golden.number(&format!("networks/{name}/{key}")) as u64;
        assert_eq!((cost.params, cost.macs), (number("params"), number("macs")), "{name}");
        let [channels, rows, _] = cost.output;
        let output = golden.numbers(&format!("networks/{name}/output"));
        assert_eq!(vec![channels as f64, rows as f64], output, "{name}");
    }
    // With normalisation everywhere, so torchvision's: compared with its own counts.
    assert_eq!(ours.into_keys().collect::<Vec<_>>(), ["googlenet", "inception_v3"]);
    golden.skip("source");
    golden.finish();
}

#[test]
fn stages_of_googlenet_unet_and_lenet() {
    let golden = Golden::open(crate::golden("paper_counts_receptive_fields.json"));
    let stage =
        |name: &str| golden.number(&format!("googlenet_paper_table1_with_biases/per_stage/{name}")) as u64;
    let modules = [
        ("conv1", Conv::<3, 64, 7, 2, 3>::PLAN, 3),
        ("conv2_reduce", Conv::<64, 64, 1>::PLAN, 64),
        ("conv2", Conv::<64, 192, 3, 1, 1>::PLAN, 64),
        ("inception_3a", inception::Inception3a::PLAN, 192),
        ("inception_3b", inception::Inception3b::PLAN, 256),
        ("inception_4a", inception::Inception4a::PLAN, 480),
        ("inception_4b", inception::Inception4b::PLAN, 512),
        ("inception_4c", inception::Inception4c::PLAN, 512),
        ("inception_4d", inception::Inception4d::PLAN, 512),
        ("inception_4e", inception::Inception4e::PLAN, 528),
        ("inception_5a", inception::Inception5a::PLAN, 832),
        ("inception_5b", inception::Inception5b::PLAN, 832),
    ];
    for (name, plan, channels) in modules {
        assert_eq!(plan.totals_of([channels, 28, 28]).params, stage(name), "{name}");
    }
    assert_eq!(Linear::<1024, 1000>::PLAN.totals_of([1024, 1, 1]).params, stage("fc"));
    // The paper's column of operations follows from the widths; only 5a does not (54 M there).
    let macs = |plan: layers::Plan, map| plan.totals_of(map).macs as f64 / 1e6;
    let ours = [
        macs(inception::Inception3a::PLAN, [192, 28, 28]),
        macs(inception::Inception4c::PLAN, [512, 14, 14]),
        macs(inception::Inception5a::PLAN, [832, 7, 7]),
    ];
    assert_eq!(ours.map(f64::round), [128.0, 100.0, 51.0]);
    golden.skip("googlenet_paper_table1_with_biases"); // totals: asserted by the compiler

    let rows = UNET.plan.rows(UNET.input).unwrap();
    let found: Vec<u64> = rows.iter().map(|row| row.cost.params).filter(|params| *params > 0).collect();
    let per = |name: &str| golden.number(&format!("unet_1998_style_valid_in1_out2/per_stage/{name}")) as u64;
    let two = |i: usize| found[i] + found[i + 1];
    assert_eq!(found.len(), 23); // the paper's 23 convolutional layers
    for (level, i) in [(0, 0), (1, 2), (2, 4), (3, 6)] {
        assert_eq!(two(i), per(&format!("down{level}")));
    }
    assert_eq!(two(8), per("bottom"));
    for (level, i) in [(3, 10), (2, 13), (1, 16), (0, 19)] {
        assert_eq!((found[i], two(i + 1)), (per(&format!("upconv{level}")), per(&format!("up{level}"))));
    }
    assert_eq!(found[22], per("out"));

    let rows = lenet::LeNet1998::PLAN.rows([1, 32, 32]).unwrap();
    let found: Vec<f64> =
        rows.iter().map(|row| row.cost.params as f64).filter(|params| *params > 0.0).collect();
    let layers = ["C1", "S2", "C3", "S4", "C5", "F6"];
    assert_eq!(found, layers.map(|name| golden.number(&format!("lenet5/paper_1998/{name}"))));
    // What the paper prints for each layer of the whole network, its output of 840 connections included.
    let whole: Vec<(&str, u64, u64)> = lenet::layers()
        .unwrap()
        .iter()
        .map(|layer| (layer.name, layer.parameters, layer.connections))
        .collect();
    assert_eq!(
        whole,
        [
            ("C1", 156, 122_304),
            ("S2", 12, 5_880),
            ("C3", 1_516, 151_600),
            ("S4", 32, 2_000),
            ("C5", 48_120, 48_120),
            ("F6", 10_164, 10_164),
            ("output", 0, 840),
        ]
    );
    golden.skip(""); // totals, asserted by the compiler; receptive fields, in their own test
    golden.finish();
}

/// Operations of VGG-16, one by one: each multiply-add is two, each output of a layer has a bias, all but the last go
/// through a ReLU, each pooled pixel is the largest of four.
#[test]
fn operations_of_vgg_16_add_up() {
    let (convolved, pooled, dense) = (13_547_520, 1_530_368, 4096 + 4096 + 1000);
    let vgg = cost("vgg16");
    assert_eq!(vgg.activations, convolved + pooled + dense);
    assert_eq!(vgg.operations, 2 * vgg.macs + 2 * (convolved + dense) - 1000 + 4 * pooled);
    // What the other count adds is small, and smallest where windows are large.
    let more = |name| cost(name).operations as f64 / (2 * cost(name).macs) as f64 - 1.0;
    assert!(more("vgg16") < 0.002 && more("resnet50") > 2.0 * more("vgg16") && more("resnet50") < 0.02);
}

/// What the papers argue with.
#[test]
fn arguments_in_numbers() {
    // Simonyan & Zisserman: three 3×3 against one 7×7.
    type Three = (UnbiasedConv2D<8, 8, 3>, UnbiasedConv2D<8, 8, 3>, UnbiasedConv2D<8, 8, 3>);
    let (three, one) =
        (Three::PLAN.totals_of([8, 32, 32]), UnbiasedConv2D::<8, 8, 7>::PLAN.totals_of([8, 32, 32]));
    assert_eq!((three.params, one.params, three.output), (27 * 64, 49 * 64, one.output));
    // Szegedy et al.: the reductions of module 3a.
    type Naive = NaiveInception<192, 64, 128, 32>;
    let (naive, reduced) = (Naive::PLAN.totals_of([192, 28, 28]), Inception3a::PLAN.totals_of([192, 28, 28]));
    assert_eq!((naive.output[0], reduced.output[0]), (416, 256)); // pooling passes its 192 channels on
    assert_eq!((naive.macs, reduced.macs), (303_464_448, 128_049_152));
    // Howard et al.: depthwise and pointwise against a full 3×3, 64 to 128 channels: 1/128 + 1/9.
    type Separable = (GroupedConv2D<64, 64, 3, 64, 1, 1>, Conv2D<64, 128, 1>);
    let ratio = Separable::PLAN.totals_of([64, 28, 28]).macs as f64
        / Conv2D::<64, 128, 3, 1, 1>::PLAN.totals_of([64, 28, 28]).macs as f64;
    assert!((ratio - (1.0 / 128.0 + 1.0 / 9.0)).abs() < 1e-15);
    // He et al.: the paper's 3.8·10⁹ has the stride in the first 1×1.
    let original = convnets::resnet::ResNet50Original::<1000>::PLAN.totals_of([3, 224, 224]);
    assert_eq!((original.params, original.macs / 10_000_000), (cost("resnet50").params, 385));
    assert!(cost("resnet152").macs < cost("vgg16").macs);
    // VGG-16: memory is early, weights are late.
    let rows = vgg::Vgg16::<1000>::PLAN.rows([3, 224, 224]).unwrap();
    let fc6 = rows.iter().map(|row| row.cost.params).max().unwrap();
    assert_eq!(fc6, 102_764_544);
    assert_eq!(rows[0].cost.activations + rows[1].cost.activations, 2 * 64 * 224 * 224);
    // Nielsen's networks.
    let params = |plan: layers::Plan| plan.totals_of([1, 28, 28]).params;
    assert_eq!(params(lenet::NielsenDense::PLAN), 79_510);
    assert_eq!(params(lenet::NielsenOne::PLAN), 520 + 288_100 + 1_010);
    assert_eq!(params(<lenet::NielsenTwo>::PLAN), 520 + 20_040 + 64_100 + 1_010);
    assert_eq!(params(lenet::NielsenDropout::PLAN), 520 + 20_040 + 641_000 + 1_001_000 + 10_010);
}
