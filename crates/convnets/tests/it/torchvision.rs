//! Names and shapes of torchvision's networks, files that go there and back, and what its Inception modules compute.
use crate::numbers;
use convnets::blocks::WithHeads;
use convnets::lenet::{LeNet5, LeNet5Padded};
use convnets::resnet::{self, Basic, BasicProjected, BottleneckProjected, Head};
use convnets::slim::{self, AuxHead, AuxHeadV3, ConvBn, Inception};
use convnets::torchvision::{Layout, LoadError, NoOrigin, Origin, load, save};
use convnets::vgg::{self, Block1, Block2};
use convnets::wide::{AnyChannels, Channels, WithHead};
use layers::plan::{Map, Plan, Planned};
use layers::prelude::*;
use layers::testing::Golden;
use layers::{Checkpoint, CheckpointError, params};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype as Type, TensorView};
use std::collections::{BTreeMap, BTreeSet};

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
    let origin: Origin = file.about().unwrap().parse().unwrap();
    assert_eq!(origin.network, "ResNet-18, 10 outputs");
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

    // Another network: the header says which, the difference is beneath, with torchvision's name.
    let mut wide = Cpu::default().build_module::<(Stage<4, 8>, Stage<8, 16>), f32>();
    let error = load(&mut wide, Layout::ResNet, &path).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("this file was written for ResNet-18, 10 outputs, not for ResNet-8;"), "{said}");
    let difference = std::error::Error::source(&error).unwrap().to_string();
    assert!(difference.contains("`layer0.0.conv1.weight`"), "{difference}");
    let mut foreign = file.clone();
    foreign.set_about("by hand");
    foreign.write(&path).unwrap();
    assert!(matches!(
        load(&mut wide, Layout::ResNet, &path),
        Err(LoadError::File(CheckpointError::Missing { .. }))
    ));
    for damaged in [
        "",
        "convnets 0.1.0",
        "convnets 0.1.0: net",
        "convnets 1: net; shapes 1g",
        "convnets 1: a\nb; shapes 1",
    ] {
        assert_eq!(damaged.parse::<Origin>(), Err(NoOrigin), "{damaged}");
    }
    let shorter = file.renamed(|name| name.replace("layer3.0.conv2", "layer3.0.conv9"));
    shorter.write(&path).unwrap();
    let error = load(&mut other, Layout::ResNet, &path).unwrap_err();
    assert!(error.to_string().contains("`layer3.0.conv2.weight`"), "{error}");
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..1000]).unwrap();
    assert!(matches!(
        load(&mut other, Layout::ResNet, &path),
        Err(LoadError::File(CheckpointError::Format { .. }))
    ));
    golden.skip("");
    golden.finish();
}

/// A safetensors file by hand: name, type, shape and bytes of each tensor.
fn by_hand(path: &std::path::Path, tensors: &[(&str, Type, &[usize], Vec<u8>)]) {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn bytes<const N: usize, T: Copy>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|value| of(*value)).collect()
}

/// The bits of a number in 16 bits that has few digits: binary16's and bfloat16's.
fn halves(value: f64) -> (u16, u16) {
    let bits = (value as f32).to_bits();
    assert_eq!(bits << 19, 0, "{value} has no more than ten digits");
    let (sign, exponent, fraction) = (bits >> 31, (bits >> 23 & 255) as i32 - 127, bits >> 13 & 1023);
    assert!((-14..16).contains(&exponent) || value == 0.0, "{value} is normal");
    let exponent = if value == 0.0 { 0 } else { (exponent + 15) as u32 };
    ((sign << 15 | exponent << 10 | fraction) as u16, (bits >> 16) as u16)
}

/// Weights of all types of numbers, into models of both: a count of int64 is read, kept and written again.
#[test]
fn numbers_of_all_types_are_converted() {
    type Net = ((UnbiasedConv2D<1, 2, 1>, BatchNorm2D<2>),);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let values = [0.5, -1.75, 3.0, 0.015625, -0.0, 96.0, 1.5, 2.5, -40.0, 0.25];
    let of_type = |dtype: Type, values: &[f64]| match dtype {
        Type::F16 => bytes(values, |value| halves(value).0.to_le_bytes()),
        Type::BF16 => bytes(values, |value| halves(value).1.to_le_bytes()),
        Type::F32 => bytes(values, |value| (value as f32).to_le_bytes()),
        _ => bytes(values, f64::to_le_bytes),
    };
    let count = |n: i64| ("bn1.num_batches_tracked", Type::I64, &[][..], n.to_le_bytes().to_vec());
    let write = |dtype: Type, count| {
        let part = |range: std::ops::Range<usize>| of_type(dtype, &values[range]);
        by_hand(
            &path,
            &[
                ("conv1.weight", dtype, &[2, 1, 1, 1], part(0..2)),
                ("bn1.weight", dtype, &[2], part(2..4)),
                ("bn1.bias", dtype, &[2], part(4..6)),
                ("bn1.running_mean", dtype, &[2], part(6..8)),
                ("bn1.running_var", dtype, &[2], part(8..10)),
                count,
            ],
        );
    };
    macro_rules! loads {
        ($E:ty, $dtype:expr, $own:expr) => {{
            write($dtype, count(1 << 40));
            let mut net = Cpu::seed_from_u64(1).build_module::<Net, $E>();
            load(&mut net, Layout::ResNet, &path).unwrap();
            let norm = &net.0.1;
            let parts = [&norm.weight, &norm.bias, &norm.running_mean, &norm.running_var];
            let found = parts.iter().fold(net.0.0.weight.as_vec(), |all, part| [all, part.as_vec()].concat());
            let expected: Vec<$E> = values.iter().map(|value| *value as $E).collect();
            assert_eq!((found, norm.num_batches_tracked), (expected, 1 << 40), "{:?}", $dtype);
            // Written again, the types are torchvision's: the model's, and int64.
            save(&net, Layout::ResNet, &path).unwrap();
            let written = std::fs::read(&path).unwrap();
            let file = SafeTensors::deserialize(&written).unwrap();
            for (name, view) in file.iter() {
                let is_count = name.ends_with("num_batches_tracked");
                assert_eq!(view.dtype(), if is_count { Type::I64 } else { $own }, "{name}");
                assert!(!is_count || (view.shape().is_empty() && view.data() == (1_i64 << 40).to_le_bytes()));
            }
        }};
    }
    for dtype in [Type::F16, Type::BF16, Type::F32, Type::F64] {
        loads!(f32, dtype, Type::F32);
        loads!(f64, dtype, Type::F64);
    }
    // As earlier versions of this crate wrote the count.
    let as_f64 = ("bn1.num_batches_tracked", Type::F64, &[][..], 7.0_f64.to_le_bytes().to_vec());
    write(Type::F32, as_f64);
    let mut net = Cpu::seed_from_u64(2).build_module::<Net, f32>();
    load(&mut net, Layout::ResNet, &path).unwrap();
    assert_eq!(net.0.1.num_batches_tracked, 7);
    // A number that single precision rounds.
    write(Type::F32, count(0));
    let mut file = std::fs::read(&path).unwrap();
    let third = [1.0 / 3.0, 1e300].map(f64::to_le_bytes).concat();
    by_hand(&path, &[("conv1.weight", Type::F64, &[2, 1, 1, 1], third)]);
    type Alone = ((UnbiasedConv2D<1, 2, 1>,),);
    let mut alone = Cpu::default().build_module::<Alone, f32>();
    load(&mut alone, Layout::ResNet, &path).unwrap();
    assert_eq!(alone.0.0.weight.as_vec(), [1.0 / 3.0, f32::INFINITY]);

    // Other types are refused, with the tensor, the type and what to do; the model stays as it is.
    let before = numbers(&net);
    let others =
        [(Type::I64, 8), (Type::I32, 4), (Type::U8, 1), (Type::BOOL, 1), (Type::I8, 1), (Type::F8_E4M3, 1)];
    for (dtype, size) in others {
        let two = |name: &'static str| (name, Type::F32, &[2][..], vec![0; 8]);
        let mut tensors = ["bn1.weight", "bn1.running_mean", "bn1.running_var"].map(two).to_vec();
        tensors.push(("conv1.weight", Type::F32, &[2, 1, 1, 1], vec![0; 8]));
        tensors.extend([count(1), ("bn1.bias", dtype, &[2], vec![0; 2 * size])]);
        by_hand(&path, &tensors);
        let error = load(&mut net, Layout::ResNet, &path).unwrap_err();
        let LoadError::Type { name, got } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), got), ("bn1.bias", &dtype.to_string()));
        let said = format!(
            "`bn1.bias` holds {dtype}, weights are F16, BF16, F32 or F64; in Python write `tensor.float()` in its place and \
             save the file again"
        );
        assert_eq!(error.to_string(), said);
        assert_eq!(numbers(&net), before);
    }
    // Unless the network does not have the tensor: then that is what is wrong with it.
    file.splice(0..8, [255; 8]);
    std::fs::write(&path, file).unwrap();
    assert!(matches!(
        load(&mut net, Layout::ResNet, &path),
        Err(LoadError::File(CheckpointError::Format { .. }))
    ));
    by_hand(
        &path,
        &[("epoch", Type::I64, &[1], vec![0; 8]), ("conv1.weight", Type::F32, &[2, 1, 1, 1], vec![0; 8])],
    );
    let error = load(&mut alone, Layout::ResNet, &path).unwrap_err();
    let LoadError::File(CheckpointError::Unexpected { name }) = &error else { panic!("{error}") };
    assert_eq!(name, "epoch");
    // A count that no integer holds, and a count where a weight is wanted.
    for count in [f64::NAN, 1e300] {
        write(Type::F32, ("bn1.num_batches_tracked", Type::F64, &[][..], count.to_le_bytes().to_vec()));
        let error = load(&mut net, Layout::ResNet, &path).unwrap_err();
        let LoadError::File(CheckpointError::Content { name, .. }) = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), numbers(&net)), ("bn1.num_batches_tracked", before.clone()));
    }
}

/// LeNet-5 under the names of PyTorch's tutorial; its first dense layer reads maps, rows, columns, as `flatten` does.
#[test]
fn lenet_has_the_names_of_the_tutorial() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lenet.safetensors");
    let dev = Cpu::seed_from_u64(6);
    let model = dev.build_module::<LeNet5, f32>();
    save(&model, Layout::LeNet, &path).unwrap();
    let file = Checkpoint::read(&path).unwrap();
    let shapes: Vec<(&str, &[usize])> = file.names().map(|name| (name, file.shape(name).unwrap())).collect();
    let expected: [(&str, &[usize]); 10] = [
        ("conv1.bias", &[6]),
        ("conv1.weight", &[6, 1, 5, 5]),
        ("conv2.bias", &[16]),
        ("conv2.weight", &[16, 6, 5, 5]),
        ("fc1.bias", &[120]),
        ("fc1.weight", &[120, 400]),
        ("fc2.bias", &[84]),
        ("fc2.weight", &[84, 120]),
        ("fc3.bias", &[10]),
        ("fc3.weight", &[10, 84]),
    ];
    assert_eq!(shapes, expected);
    let origin: Origin = file.about().unwrap().parse().unwrap();
    assert_eq!(origin.network, "LeNet-5, 10 outputs");
    let mut padded = dev.build_module::<LeNet5Padded<Relu, MaxPool2D<2, 2>>, f32>();
    load(&mut padded, Layout::LeNet, &path).unwrap();
    assert_eq!(params::flatten(&padded), params::flatten(&model));
    // A file of another network says so.
    let narrow = dev.build_module::<Narrow, f32>();
    save(&narrow, Layout::ResNet, &path).unwrap();
    let error = load(&mut padded, Layout::LeNet, &path).unwrap_err().to_string();
    assert!(error.starts_with("this file was written for ResNet-18, 10 outputs, not for LeNet-5"), "{error}");
    // Pixel (row, column) of map c is number 25 c + 5 row + column of the dense layer's input.
    let maps: Tensor<Rank4<1, 16, 5, 5>, f32, _> = dev.sample_normal();
    assert_eq!(Flatten.forward(maps.clone()).as_vec(), maps.as_vec());
}

type Tensors = BTreeMap<String, Vec<usize>>;

/// Names and shapes of what a plan's layers hold, under torchvision's names: nothing is allocated.
fn tensors(layout: Layout, plan: Plan, prefix: &str, input: Map) -> Tensors {
    let mut ours = Tensors::new();
    for row in plan.rows(input).unwrap() {
        let mut tensor = |name: &str, shape: &[usize]| {
            let name = format!("{prefix}{}.{name}", row.path);
            assert!(ours.insert(name, shape.to_vec()).is_none(), "{}", row.path);
        };
        match row.plan {
            Plan::Convolution { from, to, taps: [rows, columns], groups, is_biased, .. } => {
                tensor("weight", &[to, from / groups, rows.kernel, columns.kernel]);
                if is_biased {
                    tensor("bias", &[to]);
                }
            }
            Plan::Linear { from, to, .. } => {
                tensor("weight", &[to, from]);
                tensor("bias", &[to]);
            }
            Plan::PerChannel { channels, .. } => {
                for name in ["weight", "bias", "running_mean", "running_var"] {
                    tensor(name, &[channels]);
                }
                tensor("num_batches_tracked", &[]);
            }
            _ => {}
        }
    }
    let keys = layout.keys(ours.keys().map(String::as_str));
    let theirs: Tensors = ours.into_iter().map(|(name, shape)| (keys[&name].clone(), shape)).collect();
    assert_eq!(theirs.len(), keys.len(), "two tensors have one name");
    theirs
}

/// The same of torchvision's model.
fn published(golden: &Golden, model: &str) -> Tensors {
    let layers = golden.value("layers")[model].as_object().unwrap();
    let norm = golden.value("norm").as_array().unwrap();
    let mut tensors = Tensors::new();
    for (layer, content) in layers {
        if let Some(channels) = content.as_u64() {
            for name in norm {
                let name = name.as_str().unwrap();
                let shape = if name == "num_batches_tracked" { vec![] } else { vec![channels as usize] };
                tensors.insert(format!("{layer}.{name}"), shape);
            }
            continue;
        }
        for (name, shape) in content.as_object().unwrap() {
            let shape = shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize);
            tensors.insert(format!("{layer}.{name}"), shape.collect());
        }
    }
    tensors
}

#[test]
fn full_size_networks_have_torchvisions_names_and_shapes() {
    let golden = Golden::open(crate::golden("torchvision.json"));
    const IMAGENET: Map = [3, 224, 224];
    let check = |model: &str, ours: Tensors| assert_eq!(ours, published(&golden, model), "{model}");
    let plain = |model: &str, layout, plan| check(model, tensors(layout, plan, "", IMAGENET));
    plain("vgg16", Layout::Vgg, vgg::Vgg16::<1000>::PLAN);
    plain("vgg16_bn", Layout::Vgg, vgg::Vgg16Bn::<1000>::PLAN);
    plain("resnet18", Layout::ResNet, resnet::ResNet18::<1000>::PLAN);
    plain("resnet50", Layout::ResNet, resnet::ResNet50::<1000>::PLAN);
    plain("resnext50_32x4d", Layout::ResNet, resnet::ResNext50::<1000>::PLAN);

    // Auxiliary heads are no part of the plan, since evaluation does not run them.
    let layout = Layout::GoogLeNet;
    let mut googlenet = tensors(layout, slim::GoogLeNet::<1000>::PLAN, "", IMAGENET);
    googlenet.extend(tensors(layout, AuxHead::<512, 1000>::PLAN, "aux1.", [512, 14, 14]));
    googlenet.extend(tensors(layout, AuxHead::<528, 1000>::PLAN, "aux2.", [528, 14, 14]));
    check("googlenet", googlenet);
    const AT_299: Map = [3, 299, 299];
    let layout = Layout::InceptionV3;
    let head = tensors(layout, AuxHeadV3::<1000>::PLAN, "aux.", [768, 17, 17]);
    for plan in [slim::InceptionV3::<1000>::PLAN, slim::InceptionV3WithHead::<1000>::PLAN] {
        let mut v3 = tensors(layout, plan, "", AT_299);
        v3.extend(head.clone());
        check("inception_v3", v3);
    }
    golden.skip("");
    golden.finish();

    // All networks of which the number of entries and the first and last names are known.
    let golden = Golden::open(crate::golden("published_counts.json"));
    let check = |model: &str, layout, plan| {
        let ours = tensors(layout, plan, "", IMAGENET);
        let at = |key: &str| format!("models/{model}/{key}");
        assert_eq!(ours.len() as f64, golden.number(&at("state_dict_entries")), "{model}");
        for key in ["first_names", "last_names"] {
            for name in golden.value(&at(key)).as_array().unwrap() {
                assert!(ours.contains_key(name.as_str().unwrap()), "{model}: {name}");
            }
        }
    };
    check("vgg11", Layout::Vgg, vgg::Vgg11::<1000>::PLAN);
    check("vgg13", Layout::Vgg, vgg::Vgg13::<1000>::PLAN);
    check("vgg16", Layout::Vgg, vgg::Vgg16::<1000>::PLAN);
    check("vgg16_bn", Layout::Vgg, vgg::Vgg16Bn::<1000>::PLAN);
    check("vgg19", Layout::Vgg, vgg::Vgg19::<1000>::PLAN);
    check("resnet18", Layout::ResNet, resnet::ResNet18::<1000>::PLAN);
    check("resnet34", Layout::ResNet, resnet::ResNet34::<1000>::PLAN);
    check("resnet50", Layout::ResNet, resnet::ResNet50::<1000>::PLAN);
    check("resnet101", Layout::ResNet, resnet::ResNet101::<1000>::PLAN);
    check("resnet152", Layout::ResNet, resnet::ResNet152::<1000>::PLAN);
    check("resnext50_32x4d", Layout::ResNet, resnet::ResNext50::<1000>::PLAN);
    golden.skip("");
    golden.finish();
}

/// The places of another network's layers, by hand.
#[test]
fn activations_and_pooling_count() {
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

type N = Inception<4, 1, 1, 1, 1, 1, 1>;
type NarrowStem = (
    (ConvBn<3, 2, 7, 2, 3>, MaxPool2DCeil<3, 2>),
    (ConvBn<2, 2, 1>, ConvBn<2, 4, 3, 1, 1>, MaxPool2DCeil<3, 2>),
);
type NarrowAux =
    (AdaptiveAvgPool2D<4, 4>, ConvBn<4, 2, 1>, Flatten, Linear<32, 6, Relu>, Dropout, Linear<6, 5>);
/// GoogLeNet's structure.
type NarrowGoogLeNet = WithHeads<
    (NarrowStem, (N, N, MaxPool2DCeil<3, 2>), N),
    (N, N, N),
    ((N, MaxPool2DCeil<2, 2>), (N, N), (GlobalAvgPool, Dropout, Linear<4, 5>)),
    NarrowAux,
    NarrowAux,
>;

type C1 = ConvBn<4, 1, 1>;
type A = Concat<(C1, (C1, C1), (C1, C1, C1), (AvgPool2D<3, 1, 1>, C1))>;
type B = Concat<(C1, (C1, C1, C1), (C1, C1, C1, C1, C1), (AvgPool2D<3, 1, 1>, C1))>;
type Sides = Concat<(C1, C1)>;
type C = (Concat<((C1, AnyChannels), (C1, Sides), (C1, C1, Sides), (AvgPool2D<3, 1, 1>, C1))>, Channels<4>);
type Early = (((C1, C1, C1, MaxPool2D<3, 2>), (C1, C1, MaxPool2D<3, 2>)), (A, A, A), Middle);
type Middle = (Concat<(C1, (C1, C1, C1), MaxPool2D<3, 2>)>, B, Repeated<B, 2>, B);
type Deep = (Concat<((C1, C1), (C1, C1, C1, C1), MaxPool2D<3, 2>)>, C, C);
type Last = (GlobalAvgPool, Dropout, Linear<4, 5>);
/// Inception v3's structure with its head and without.
type NarrowWithHead = WithHead<Early, (Deep, Last), (AvgPool2D<5, 3>, C1, C1, GlobalAvgPool, Linear<1, 5>)>;
type NarrowV3 = (((C1, C1, C1, MaxPool2D<3, 2>), (C1, C1, MaxPool2D<3, 2>)), (A, A, A), Middle, Deep, Last);

#[test]
fn inception_networks_go_there_and_back_with_and_without_heads() {
    let golden = Golden::open(crate::golden("torchvision.json"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let dev = Cpu::seed_from_u64(1);
    let entries = |model| published(&golden, model).into_keys().collect::<BTreeSet<_>>();
    let in_file = || Checkpoint::read(&path).unwrap().names().map(str::to_owned).collect::<BTreeSet<_>>();

    let model = dev.build_module::<NarrowGoogLeNet, f32>();
    save(&model, Layout::GoogLeNet, &path).unwrap();
    assert_eq!(in_file(), entries("googlenet"));
    let mut other = dev.build_module::<NarrowGoogLeNet, f32>();
    load(&mut other, Layout::GoogLeNet, &path).unwrap();
    assert_eq!(numbers(&other), numbers(&model));
    // A file without heads, as `googlenet(weights=..)` has: those of the model stay.
    let mut headless = Checkpoint::read(&path).unwrap();
    headless.retain(|key| !key.starts_with("aux"));
    headless.write(&path).unwrap();
    let mut other = dev.build_module::<NarrowGoogLeNet, f32>();
    let heads = (params::flatten(&other.aux1), params::flatten(&other.aux2));
    load(&mut other, Layout::GoogLeNet, &path).unwrap();
    assert_eq!((params::flatten(&other.aux1), params::flatten(&other.aux2)), heads);
    assert_eq!(params::flatten(&other.late), params::flatten(&model.late));

    let trained = dev.build_module::<NarrowWithHead, f32>();
    save(&trained, Layout::InceptionV3, &path).unwrap();
    assert_eq!(in_file(), entries("inception_v3"));
    let mut other = dev.build_module::<NarrowWithHead, f32>();
    load(&mut other, Layout::InceptionV3, &path).unwrap();
    assert_eq!(numbers(&other), numbers(&trained));
    // The network without the head takes the rest of the file.
    let mut evaluated = dev.build_module::<NarrowV3, f32>();
    load(&mut evaluated, Layout::InceptionV3, &path).unwrap();
    assert_eq!(params::flatten(&evaluated.3), params::flatten(&trained.late.0));
    // Half a head is none.
    let mut half = Checkpoint::read(&path).unwrap();
    half.retain(|key| key != "AuxLogits.fc.bias");
    half.write(&path).unwrap();
    let error = load(&mut other, Layout::InceptionV3, &path).unwrap_err();
    let LoadError::File(CheckpointError::Missing { name }) = &error else { panic!("{error}") };
    assert_eq!(name, "AuxLogits.fc.bias");
    assert_eq!(numbers(&other), numbers(&trained));
    golden.skip("");
    golden.finish();
}

/// The hash in the header: FNV-1a of names and shapes in order, without heads; so names count, and heads do not.
#[test]
fn headers_hash_names_and_shapes_without_heads() {
    let fnv = |lines: &[&str]| {
        let bytes = lines.iter().flat_map(|line| line.bytes().chain(*b"\n"));
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    assert_eq!(fnv(&[]), 0xcbf2_9ce4_8422_2325);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let dev = Cpu::seed_from_u64(4);
    let origin = || -> Origin { Checkpoint::read(&path).unwrap().about().unwrap().parse().unwrap() };
    // Two layers of one shape: only their names tell them apart.
    type Stem = ((UnbiasedConv2D<3, 2, 3>, BatchNorm2D<2>),);
    save(&dev.build_module::<Stem, f32>(), Layout::ResNet, &path).unwrap();
    let shapes = [
        "bn1.bias [2]",
        "bn1.num_batches_tracked []",
        "bn1.running_mean [2]",
        "bn1.running_var [2]",
        "bn1.weight [2]",
        "conv1.weight [2, 3, 3, 3]",
    ];
    assert_eq!((origin().shapes, origin().network), (fnv(&shapes), "ResNet-1".to_owned()));
    save(&dev.build_module::<Stem, f32>(), Layout::Vgg, &path).unwrap();
    assert_ne!(origin().shapes, fnv(&shapes), "the same shapes under other names");
    type Normed = ((Conv2D<1, 2, 3, 1, 1>, BatchNorm2D<2, Relu>), MaxPool2D<2, 2>);
    type SmallVgg = ((Normed,), (Flatten, Linear<8, 3>));
    save(&dev.build_module::<SmallVgg, f32>(), Layout::Vgg, &path).unwrap();
    assert_eq!(origin().network, "VGG-2 with batch normalisation, 3 outputs");

    // With its head and without, v3 is one network: the file of one is no other network's for the other.
    save(&dev.build_module::<NarrowWithHead, f32>(), Layout::InceptionV3, &path).unwrap();
    let with_head = origin();
    save(&dev.build_module::<NarrowV3, f32>(), Layout::InceptionV3, &path).unwrap();
    assert_eq!((with_head.network.as_str(), &with_head), ("Inception v3, 5 outputs", &origin()));
    let model = dev.build_module::<NarrowGoogLeNet, f32>();
    save(&model, Layout::GoogLeNet, &path).unwrap();
    let file = Checkpoint::read(&path).unwrap();
    let lines: Vec<String> = file
        .names()
        .filter(|name| !name.starts_with("aux"))
        .map(|name| format!("{name} {:?}", file.shape(name).unwrap()))
        .collect();
    assert_eq!(origin().shapes, fnv(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(origin().network, "GoogLeNet, 5 outputs");
}

/// What torchvision has no name for: the state of dropout stays out of its files, our names are none of theirs.
#[test]
fn files_have_torchvisions_tensors_and_no_others() {
    // `0.weight` is no name of VGG's and stays.
    type Net = (Conv2D<1, 2, 3>, (Identity, (Linear<2, 2, Relu>, Dropout), Linear<2, 2>));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let dev = Cpu::seed_from_u64(3);
    let model = dev.build_module::<Net, f32>();
    save(&model, Layout::Vgg, &path).unwrap();
    let mut file = Checkpoint::read(&path).unwrap();
    let names = ["0.bias", "0.weight", "classifier.0.bias", "classifier.0.weight", "classifier.3.bias"];
    assert!(file.names().eq(names.into_iter().chain(["classifier.3.weight"])));
    assert!(file.about().is_some_and(|about| about.contains(": VGG-3, 2 outputs;")), "{:?}", file.about());
    let mut other = dev.build_module::<Net, f32>();
    load(&mut other, Layout::Vgg, &path).unwrap();
    assert_eq!(params::flatten(&other), params::flatten(&model));

    for (name, numbers) in [("1.1.0.bias", &[1.0, 2.0][..]), ("1.1.1.noise_calls", &[3.0])] {
        file.insert_numbers(name, numbers);
        file.write(&path).unwrap();
        let error = load(&mut other, Layout::Vgg, &path).unwrap_err();
        let LoadError::File(CheckpointError::Unexpected { name: found }) = &error else { panic!("{error}") };
        assert_eq!(found, name);
        file.retain(|key| key != name);
    }
}

/// Every kind of module, on torchvision's weights: orders of branches, padding, strides, pooling, ε.
#[test]
fn inception_modules_compute_what_torchvisions_do() {
    let golden = Golden::open(crate::golden("torchvision.json"));
    module_agrees!(golden, "googlenet_inception", Inception<4, 2, 2, 3, 1, 2, 1>, 4);
    module_agrees!(golden, "googlenet_aux", AuxHead<6, 5>, 6);
    module_agrees!(golden, "inception_a", slim::InceptionA<192, 32>, 192);
    module_agrees!(golden, "reduction_a", slim::ReductionA, 288);
    module_agrees!(golden, "inception_b", slim::InceptionB<128>, 768);
    module_agrees!(golden, "reduction_b", slim::ReductionB, 768);
    module_agrees!(golden, "inception_c", slim::InceptionC<1280>, 1280);
    module_agrees!(golden, "inception_aux", AuxHeadV3<5>, 768);
    golden.skip("networks"); // in tests of their own
    golden.skip("preprocess");
    golden.skip("source");
    golden.skip("norm");
    golden.skip("layers");
    golden.finish();
}
