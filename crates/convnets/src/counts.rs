//! The published sizes of the networks, asserted when this crate is compiled. No weight is allocated.
//!
//! Parameters and multiply-adds (convolutions and linear layers, one image, no auxiliary heads) are torchvision's where
//! it has the network, else counted from the papers' tables by a program of its own, `tests/golden/gen_counts.py`.
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

/// Parameters and multiply-adds of `M` on `input`, at compile time.
const fn both<M: Planned>(input: Map) -> (u64, u64) {
    let Totals { params, macs, .. } = M::PLAN.totals_of(input);
    (params, macs)
}

const fn are((params, macs): (u64, u64), (expected_params, expected_macs): (u64, u64)) -> bool {
    params == expected_params && macs == expected_macs
}

/// Parameters and multiply-adds of [`NETWORKS`], in order.
///
/// Of torchvision's definitions, except for those marked: they are of `gen_counts.py`. The parameters of v4 and of
/// Inception-ResNet-v2 are those of TF-slim's released networks too.
const PUBLISHED: [(u64, u64); 18] = [
    (61_706, 416_520), // gen_counts.py
    (60_000, 325_680), // gen_counts.py
    (132_863_336, 7_609_090_048),
    (133_047_848, 11_308_466_176),
    (138_357_544, 15_470_264_320),
    (138_365_992, 15_470_264_320),
    (143_667_240, 19_632_062_464),
    (6_998_552, 1_582_671_872), // gen_counts.py
    (6_624_904, 1_498_376_192),
    (23_834_568, 5_713_216_096),
    (42_679_816, 12_253_974_624), // gen_counts.py
    (55_843_464, 13_155_794_016), // gen_counts.py
    (11_689_512, 1_814_073_344),
    (21_797_672, 3_663_761_408),
    (25_557_032, 4_089_184_256),
    (44_549_160, 7_801_405_440),
    (60_192_808, 11_513_626_624),
    (25_028_904, 4_230_479_872),
];
const _: () = {
    let mut i = 0;
    while i < NETWORKS.len() {
        let Totals { params, macs, .. } = NETWORKS[i].cost;
        assert!(are((params, macs), PUBLISHED[i]));
        i += 1;
    }
};

/// What torchvision does not have, of `gen_counts.py`: the paper's strides and Inception-ResNet-v1.
const _: () = {
    assert!(are(both::<resnet::ResNet50Original>(IMAGENET), (25_557_032, 3_857_973_248)));
    assert!(are(both::<inception::InceptionResNetV1>(INCEPTION), (22_756_328, 6_206_361_696)));
};

/// Auxiliary heads: parts of the published counts that evaluation does not run.
const _: () = {
    assert!(params::<inception::AuxHead<512, 1000>>([512, 14, 14]) == 3_188_840);
    assert!(params::<inception::AuxHead<528, 1000>>([528, 14, 14]) == 3_190_888);
    assert!(23_834_568 + params::<inception::AuxHeadV3<1000>>([768, 17, 17]) == 27_161_264);
};

/// The CIFAR family of 20 to 1202 layers, options A, B and C: parameters of the paper's widths with those of batch
/// normalisation, multiply-adds of `gen_counts.py`.
const _: () = {
    const CIFAR: Map = [3, 32, 32];
    assert!(are(both::<resnet::CifarResNet<2>>(CIFAR), (269_722, 40_551_040)));
    assert!(are(both::<resnet::CifarResNet<4>>(CIFAR), (464_154, 68_862_592)));
    assert!(are(both::<resnet::CifarResNet<6>>(CIFAR), (658_586, 97_174_144)));
    assert!(are(both::<resnet::CifarResNet<8>>(CIFAR), (853_018, 125_485_696)));
    assert!(are(both::<resnet::CifarResNet<17>>(CIFAR), (1_727_962, 252_887_680)));
    assert!(are(both::<resnet::CifarResNet<199>>(CIFAR), (19_421_274, 2_829_238_912)));
    assert!(are(both::<resnet::CifarResNetB<2>>(CIFAR), (272_474, 40_813_184)));
    assert!(are(both::<resnet::CifarResNetB<4>>(CIFAR), (466_906, 69_124_736)));
    assert!(are(both::<resnet::CifarResNetB<6>>(CIFAR), (661_338, 97_436_288)));
    assert!(are(both::<resnet::CifarResNetB<8>>(CIFAR), (855_770, 125_747_840)));
    assert!(are(both::<resnet::CifarResNetB<17>>(CIFAR), (1_730_714, 253_149_824)));
    assert!(are(both::<resnet::CifarResNetB<199>>(CIFAR), (19_424_026, 2_829_501_056)));
    assert!(are(both::<resnet::CifarResNetC<2>>(CIFAR), (283_962, 42_648_192)));
    assert!(are(both::<resnet::CifarResNetC<4>>(CIFAR), (489_594, 72_532_608)));
    assert!(are(both::<resnet::CifarResNetC<6>>(CIFAR), (695_226, 102_417_024)));
    assert!(are(both::<resnet::CifarResNetC<8>>(CIFAR), (900_858, 132_301_440)));
    assert!(are(both::<resnet::CifarResNetC<17>>(CIFAR), (1_826_202, 266_781_312)));
    assert!(are(both::<resnet::CifarResNetC<199>>(CIFAR), (20_538_714, 2_986_263_168)));
    assert!(are(both::<resnet::SmallResNet<6, 12, 24, 2>>([1, 14, 14]), (38_404, 1_197_312)));
    assert!(are(both::<resnet::SmallPlainNet<6, 12, 24, 8>>([1, 14, 14]), (121_060, 3_716_736)));
};

/// Nielsen's networks, VGG's memory, U-Net.
const _: () = {
    assert!(params::<layers::builders::Conv2D<1, 20, 5>>([1, 28, 28]) == 520);
    assert!(params::<layers::builders::Linear<784, 30>>([784, 1, 1]) == 23_550);
    assert!(are(both::<vgg::VggMini>([1, 28, 28]), (32_250, 4_644_416)));
    // The input, and the outputs of convolutions, pooling and linear layers: 61 MB in f32.
    assert!(NETWORKS[4].cost.activations + 3 * 224 * 224 == 15_237_608);
    assert!(are((UNET.cost.params, UNET.cost.macs), (31_030_658, 150_428_424_448)));
    assert!(UNET.cost.output[1] == 388 && UNET.cost.output[0] == 2);
    assert!(are(both::<unet::UNet<1, 1>>([1, 572, 572]), (31_030_593, 150_418_789_632)));
    assert!(are(both::<unet::UNet<3, 2>>([3, 572, 572]), (31_031_810, 150_802_709_248)));
    assert!(are(both::<unet::SmallUNet>([1, 104, 104]), (29_330, 36_807_200)));
};
