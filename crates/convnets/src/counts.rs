//! The published sizes of the networks, asserted when this crate is compiled. No weight is allocated.
//!
//! Parameters and multiply-adds (convolutions and linear layers, one image, no auxiliary heads) are torchvision's where
//! it has the network, else recomputed from the papers' tables.
use crate::{inception, lenet, resnet, unet, vgg};
use layers::plan::{Map, Plan, Planned, Totals};

/// A network with its published size.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Network {
    /// Its name; torchvision's where it has the network.
    pub name: &'static str,
    /// The image that the counts are for.
    pub input: Map,
    /// What it is made of.
    pub plan: Plan,
    /// What it costs on `input`.
    pub cost: Totals,
}

const fn network<M: Planned>(name: &'static str, input: Map) -> Network {
    Network { name, input, plan: M::PLAN, cost: M::PLAN.totals_of(input) }
}

const IMAGENET: Map = [3, 224, 224];
const INCEPTION: Map = [3, 299, 299];

/// The networks of this crate at their published sizes: an atlas.
///
/// # Examples
/// ```
/// use convnets::counts::NETWORKS;
/// let cost = |name| NETWORKS.iter().find(|network| network.name == name).unwrap().cost;
/// assert!(cost("resnet152").macs < cost("vgg16").macs); // He et al.: eight times as deep, and cheaper
/// assert_eq!(cost("vgg16").params / cost("googlenet_paper").params, 19);
/// ```
pub const NETWORKS: [Network; 18] = [
    network::<lenet::LeNet5>("lenet5", [1, 32, 32]),
    network::<lenet::LeNet1998>("lenet5_1998", [1, 32, 32]),
    network::<vgg::Vgg11>("vgg11", IMAGENET),
    network::<vgg::Vgg13>("vgg13", IMAGENET),
    network::<vgg::Vgg16>("vgg16", IMAGENET),
    network::<vgg::Vgg16Bn>("vgg16_bn", IMAGENET),
    network::<vgg::Vgg19>("vgg19", IMAGENET),
    network::<inception::GoogLeNet>("googlenet_paper", IMAGENET),
    network::<inception::GoogLeNetTorchvision>("googlenet", IMAGENET),
    network::<inception::InceptionV3>("inception_v3", INCEPTION),
    network::<inception::InceptionV4>("inception_v4", INCEPTION),
    network::<inception::InceptionResNetV2>("inception_resnet_v2", INCEPTION),
    network::<resnet::ResNet18>("resnet18", IMAGENET),
    network::<resnet::ResNet34>("resnet34", IMAGENET),
    network::<resnet::ResNet50>("resnet50", IMAGENET),
    network::<resnet::ResNet101>("resnet101", IMAGENET),
    network::<resnet::ResNet152>("resnet152", IMAGENET),
    network::<resnet::ResNext50>("resnext50_32x4d", IMAGENET),
];

/// U-Net is apart: its input is 572×572 and its output a map.
pub const UNET: Network = network::<unet::UNet>("unet", [1, 572, 572]);

/// Parameters of `M` on `input`, at compile time.
const fn params<M: Planned>(input: Map) -> u64 {
    M::PLAN.totals_of(input).params
}

const PARAMS: [u64; 18] = [
    61_706,
    60_000,
    132_863_336,
    133_047_848,
    138_357_544,
    138_365_992,
    143_667_240,
    6_998_552,
    6_624_904,
    23_834_568,
    42_679_816,
    55_843_464,
    11_689_512,
    21_797_672,
    25_557_032,
    44_549_160,
    60_192_808,
    25_028_904,
];
const _: () = {
    let mut i = 0;
    while i < NETWORKS.len() {
        assert!(NETWORKS[i].cost.params == PARAMS[i]);
        i += 1;
    }
};

/// Multiply-adds that torchvision's modules do.
const _: () = {
    assert!(NETWORKS[4].cost.macs == 15_470_264_320);
    assert!(NETWORKS[8].cost.macs == 1_498_376_192);
    assert!(NETWORKS[9].cost.macs == 5_713_216_096);
    assert!(NETWORKS[12].cost.macs == 1_814_073_344);
    assert!(NETWORKS[14].cost.macs == 4_089_184_256);
    assert!(NETWORKS[16].cost.macs == 11_513_626_624);
};

/// Auxiliary heads: parts of the published counts that evaluation does not run.
const _: () = {
    assert!(params::<inception::AuxHead<512, 1000>>([512, 14, 14]) == 3_188_840);
    assert!(params::<inception::AuxHead<528, 1000>>([528, 14, 14]) == 3_190_888);
    assert!(23_834_568 + params::<inception::AuxHeadV3<1000>>([768, 17, 17]) == 27_161_264);
};

/// The CIFAR family, options A, B and C.
const _: () = {
    const CIFAR: Map = [3, 32, 32];
    assert!(params::<resnet::CifarResNet<2>>(CIFAR) == 269_722);
    assert!(params::<resnet::CifarResNet<4>>(CIFAR) == 464_154);
    assert!(params::<resnet::CifarResNet<6>>(CIFAR) == 658_586);
    assert!(params::<resnet::CifarResNet<8>>(CIFAR) == 853_018);
    assert!(params::<resnet::CifarResNet<17>>(CIFAR) == 1_727_962);
    assert!(params::<resnet::CifarResNet<199>>(CIFAR) == 19_421_274);
    assert!(params::<resnet::CifarResNetB<2>>(CIFAR) == 272_474);
    assert!(params::<resnet::CifarResNetC<2>>(CIFAR) == 283_962);
    assert!(params::<resnet::SmallResNet<6, 12, 24, 2>>([1, 14, 14]) == 38_404);
    assert!(params::<resnet::SmallPlainNet<6, 12, 24, 8>>([1, 14, 14]) == 121_060);
};

/// Nielsen's networks, VGG's memory, U-Net.
const _: () = {
    assert!(params::<layers::builders::Conv2D<1, 20, 5>>([1, 28, 28]) == 520);
    assert!(params::<layers::builders::Linear<784, 30>>([784, 1, 1]) == 23_550);
    assert!(params::<vgg::VggMini>([1, 28, 28]) == 32_250);
    // The input, and the outputs of convolutions, pooling and linear layers: 61 MB in f32.
    assert!(NETWORKS[4].cost.activations + 3 * 224 * 224 == 15_237_608);
    assert!(UNET.cost.params == 31_030_658);
    assert!(UNET.cost.output[1] == 388 && UNET.cost.output[0] == 2);
    assert!(params::<unet::UNet<1, 1>>([1, 572, 572]) == 31_030_593);
    assert!(params::<unet::UNet<3, 2>>([3, 572, 572]) == 31_031_810);
    assert!(params::<unet::SmallUNet>([1, 104, 104]) == 29_330);
};
