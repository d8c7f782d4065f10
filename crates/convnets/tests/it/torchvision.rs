//! Names of torchvision's files: the first and last of the published networks, the whole list of ResNet-18, and files.
use convnets::resnet::{self, Basic, BasicProjected, BottleneckProjected, Head};
use convnets::torchvision::{Layout, load, save};
use convnets::vgg::{Block1, Block2};
use layers::plan::{Map, Plan, Planned};
use layers::prelude::*;
use layers::testing::Golden;
use layers::{CheckpointError, params};
use std::collections::BTreeSet;

/// ResNet-18 with a sixteenth of the channels.
type Stage<const I: usize, const O: usize> = (BasicProjected<I, O, 2>, Repeated<Basic<O>, 1>);
type Narrow = (
    (UnbiasedConv2D<3, 4, 7, 2, 3>, BatchNorm2D<4, Relu>, MaxPool2D<3, 2, 1>),
    (Basic<4>, Repeated<Basic<4>, 1>),
    Stage<4, 8>,
    Stage<8, 16>,
    Stage<16, 32>,
    Head<32, 10>,
);

#[test]
fn resnet_18_has_torchvisions_entries() {
    let golden = Golden::open(crate::golden("published_counts.json"));
    let model = Cpu::default().build_module::<Narrow, f32>();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet18.safetensors");
    save(&model, Layout::ResNet, &path).unwrap();
    let file = layers::Checkpoint::read(&path).unwrap();
    let found: BTreeSet<String> = file.names().map(str::to_owned).collect();

    let norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"];
    let mut expected: BTreeSet<String> =
        ["conv1.weight", "fc.weight", "fc.bias"].map(str::to_owned).into_iter().collect();
    let mut layer = |conv: String, bn: String| {
        expected.insert(format!("{conv}.weight"));
        expected.extend(norm.map(|tensor| format!("{bn}.{tensor}")));
    };
    layer("conv1".into(), "bn1".into());
    for stage in 1..=4 {
        for block in 0..2 {
            for i in 1..=2 {
                layer(format!("layer{stage}.{block}.conv{i}"), format!("layer{stage}.{block}.bn{i}"));
            }
        }
        if stage > 1 {
            layer(format!("layer{stage}.0.downsample.0"), format!("layer{stage}.0.downsample.1"));
        }
    }
    assert_eq!(found, expected);
    assert_eq!(found.len() as f64, golden.number("models/resnet18/state_dict_entries"));

    let mut other = Cpu::seed_from_u64(9).build_module::<Narrow, f32>();
    assert_ne!(params::flatten(&model), params::flatten(&other));
    load(&mut other, Layout::ResNet, &path).unwrap();
    assert_eq!(params::flatten(&model), params::flatten(&other));

    // Another network: the error has torchvision's name.
    let mut wide = Cpu::default().build_module::<(Stage<4, 8>, Stage<8, 16>), f32>();
    assert!(matches!(load(&mut wide, Layout::ResNet, &path), Err(CheckpointError::Missing { .. })));
    let shorter = file.renamed(|name| name.replace("layer3.0.conv2", "layer3.0.conv9"));
    shorter.write(&path).unwrap();
    let error = load(&mut other, Layout::ResNet, &path).unwrap_err();
    assert!(error.to_string().contains("`layer3.0.conv2.weight`"), "{error}");
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..1000]).unwrap();
    assert!(matches!(load(&mut other, Layout::ResNet, &path), Err(CheckpointError::Format { .. })));
    golden.skip("");
    golden.finish();
}

/// Keys of the layers' weights, from the plan: nothing is allocated.
fn weights(layout: Layout, plan: Plan, input: Map) -> Vec<String> {
    let rows = plan.rows(input).unwrap();
    let with_weights = rows.iter().filter(|row| row.cost.params > 0);
    let names: Vec<String> = with_weights.map(|row| format!("{}.weight", row.path)).collect();
    let keys = layout.keys(names.iter().map(String::as_str));
    names.iter().map(|name| keys[name].clone()).collect()
}

#[test]
fn large_networks_begin_and_end_as_torchvisions() {
    let golden = Golden::open(crate::golden("published_counts.json"));
    let text = |path: String| golden.text(&path).to_owned();
    let check = |model: &str, keys: &[String], first: &[usize], last: usize| {
        for (i, position) in first.iter().enumerate() {
            assert_eq!(keys[i], text(format!("models/{model}/first_names/{position}")), "{model}");
        }
        assert_eq!(keys[keys.len() - 1], text(format!("models/{model}/last_names/{last}")), "{model}");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{model}: names are unique");
    };
    const IMAGENET: Map = [3, 224, 224];
    let resnet50 = weights(Layout::ResNet, resnet::ResNet50::<1000>::PLAN, IMAGENET);
    check("resnet50", &resnet50, &[0, 1, 6, 7], 2);
    assert!(resnet50.contains(&"layer3.5.conv3.weight".to_owned()));
    check("vgg16", &weights(Layout::Vgg, convnets::vgg::Vgg16::<1000>::PLAN, IMAGENET), &[0, 2, 4, 6], 2);
    let normed = weights(Layout::Vgg, convnets::vgg::Vgg16Bn::<1000>::PLAN, IMAGENET);
    check("vgg16_bn", &normed, &[0, 2, 7], 2);
    golden.skip("");
    golden.finish();
}

/// The places of VGG-16's convolutions and of another network's, by hand.
#[test]
fn activations_and_pooling_count() {
    const IMAGENET: Map = [3, 224, 224];
    let keys = weights(Layout::Vgg, convnets::vgg::Vgg16::<1000>::PLAN, IMAGENET);
    let places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28].map(|i| format!("features.{i}.weight"));
    assert_eq!(keys[..13], places);
    assert_eq!(keys[13..], [0, 3, 6].map(|i| format!("classifier.{i}.weight")));
    type Small = ((Block1<1, 2>, Block2<2, 4>), (Flatten, Linear<4, 3>));
    let small = Cpu::default().build_module::<Small, f32>();
    let names = params::names(&small);
    let keys = Layout::Vgg.keys(names.iter().map(String::as_str));
    assert_eq!(keys["0.1.1.bias"], "features.5.bias");
    // A bottleneck's pairs.
    type Pairs = BottleneckProjected<4, 2, 8, 2>;
    let names = params::names(&Cpu::default().build_module::<(Identity, Pairs), f32>());
    assert!(names.iter().any(|name| name == "1.branch.2.0.weight"), "{names:?}");
}
