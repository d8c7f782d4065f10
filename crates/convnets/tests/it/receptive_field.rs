//! Receptive fields against the layer-by-layer table, and against where gradients arrive.
use crate::original::{ResNet101Original, ResNet152Original};
use convnets::receptive_field::{Axis, ReceptiveField};
use convnets::{inception, lenet, resnet, unet, vgg};
use layers::convolution::Steps;
use layers::plan::{Plan, Planned, Taps};
use layers::prelude::*;
use layers::resampling::{Bilinear, Zeros};
use layers::testing::Golden;
use layers::{assert_close, params};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn layer_by_layer() {
    let golden = Golden::open(crate::golden("paper_counts_receptive_fields.json"));
    for name in golden.keys("receptive_fields") {
        let path = format!("receptive_fields/{name}");
        let layers = golden.value(&format!("{path}/layers")).as_array().unwrap();
        let expected =
            golden.value(&format!("{path}/after_each_[name,rf,jump,start_center]")).as_array().unwrap();
        let mut field = ReceptiveField::PIXEL;
        for (layer, expected) in layers.iter().zip(expected) {
            let size = |i: usize| layer[i].as_u64().unwrap() as usize;
            field = field.after_taps(Taps {
                kernel: size(1),
                stride: size(2),
                padding: size(3),
                dilation: size(4),
            });
            let numbers = [1, 2, 3].map(|i| expected[i].as_f64().unwrap());
            assert_eq!([field.size, field.jump, field.centre], numbers, "{name} {layer}");
        }
        assert_eq!(layers.len(), expected.len());
    }
    golden.skip("");
    golden.finish();
}

/// A border and the padding of a window move the field alike.
#[test]
fn borders_move_the_field() {
    type Bordered = (Pad2D<Zeros<2, 2, 1, 1>>, RectConv2D<1, 1, 5, 3, Steps<2>, Steps<2>>);
    type Padded = (RectConv2D<1, 1, 5, 3, Steps<2, 2>, Steps<2, 1>>,);
    for axis in [Axis::Rows, Axis::Columns] {
        let [one, other] =
            [Bordered::PLAN, Padded::PLAN].map(|plan| ReceptiveField::PIXEL.after(&plan, axis));
        assert_eq!(one, other, "{axis:?}");
    }
    assert_eq!(ReceptiveField::of::<Padded>().centre, 0.5);
}

/// The first parts of a network's plan, without its head.
fn features(plan: Plan, parts: usize) -> ReceptiveField {
    let Plan::Chain(all) = plan else { panic!("a chain of parts") };
    all[..parts].iter().fold(ReceptiveField::PIXEL, |field, part| field.after(part, Axis::Rows))
}

#[test]
fn networks_see_what_their_papers_say() {
    let size = |plan, parts| (features(plan, parts).size, features(plan, parts).jump);
    assert_eq!(size(resnet::ResNet18::<1000>::PLAN, 5), (435.0, 32.0));
    assert_eq!(size(resnet::ResNet34::<1000>::PLAN, 5), (899.0, 32.0));
    assert_eq!(size(resnet::ResNet50::<1000>::PLAN, 5), (427.0, 32.0));
    assert_eq!(size(resnet::ResNet101::<1000>::PLAN, 5), (971.0, 32.0));
    assert_eq!(size(resnet::ResNet152::<1000>::PLAN, 5), (1451.0, 32.0));
    // The paper's strides, in the first 1×1, see more.
    assert_eq!(size(resnet::ResNet50Original::<1000>::PLAN, 5), (483.0, 32.0));
    assert_eq!(size(ResNet101Original::PLAN, 5), (1027.0, 32.0));
    assert_eq!(size(ResNet152Original::PLAN, 5), (1507.0, 32.0));
    type Dilated =
        (Conv2D<1, 1, 3>, Conv2D<1, 1, 3, 1, 0, 2>, Conv2D<1, 1, 3, 1, 0, 4>, Conv2D<1, 1, 3, 1, 0, 8>);
    assert_eq!(ReceptiveField::of::<Dilated>().size, 31.0);
    assert_eq!(size(vgg::Vgg16::<1000>::PLAN, 1), (212.0, 32.0));
    assert_eq!(features(<lenet::LeNet5>::PLAN, 2).after_taps(Taps::new(5)).size, 32.0);
    let Plan::Chain([early, middle, Plan::Named(_, Plan::Chain([reduction, last, _]))]) =
        inception::GoogLeNet::<1000>::PLAN
    else {
        panic!("three parts, the last with a head");
    };
    let parts = [early, middle, reduction, last];
    let field = parts.iter().fold(ReceptiveField::PIXEL, |field, part| field.after(part, Axis::Rows));
    assert_eq!(field.size, 715.0);
    assert_eq!(ReceptiveField::of::<resnet::ResNet18>().size, f64::INFINITY);
}

/// Rows of the image from which the gradient of the output at `position` is not zero, with positive weights and no
/// activation.
fn support<M>(side: usize, position: usize) -> Vec<i64>
where
    M: Planned + BuildOnDevice<Cpu, f64>,
    M::Built: Module<
            Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu, OwnedTape<f64, Cpu>>,
            Output = Tensor<(Const<1>, Const<1>, usize, usize), f64, Cpu, OwnedTape<f64, Cpu>>,
        > + TensorCollection<f64, Cpu>,
{
    let dev = Cpu::seed_from_u64(7);
    let mut net = dev.build_module::<M, f64>();
    params::visit_mut(&mut net, |_, values: &mut [f64]| {
        values.iter_mut().for_each(|value| *value = 0.1 + value.abs());
    })
    .unwrap();
    let x = dev.ones_like(&(Const::<1>, Const::<1>, side, side));
    let y = net.try_forward(x.leaky_trace()).ok().unwrap();
    let (_, _, rows, cols) = *y.shape();
    let mut one = vec![0.0; rows * cols];
    one[position * cols + cols / 2] = 1.0;
    let mut mask = dev.zeros_like(&(Const::<1>, Const::<1>, rows, cols));
    mask.copy_from(&one);
    let gradient = (y * mask).sum::<Rank0, _>().backward().get(&x).as_vec();
    let row = |at: usize| gradient[at * side..][..side].iter().any(|g| *g != 0.0);
    (0..side).filter(|at| row(*at)).map(|at| at as i64).collect()
}

/// The pixels of an axis that reach `position` behind windows, tap by tap, in an image without an end.
fn reached(windows: &[Taps], position: i64) -> BTreeSet<i64> {
    windows.iter().rev().fold(BTreeSet::from([position]), |outputs, taps| {
        let first = |output: i64| output * taps.stride as i64 - taps.padding as i64;
        let tap =
            move |output: i64| (0..taps.kernel).map(move |tap| first(output) + (tap * taps.dilation) as i64);
        outputs.into_iter().flat_map(tap).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// Up to five windows of any size, stride, padding and dilation: the first and the last pixel are those that a walk from
    /// tap to tap finds, and neighbouring outputs lie a jump apart.
    #[test]
    fn fields_end_where_a_walk_ends(
        windows in prop::collection::vec((1..6_usize, 1..4_usize, 0..4_usize, 1..4_usize), 1..6),
        position in 0..20_usize,
    ) {
        let windows: Vec<Taps> = windows
            .into_iter()
            .map(|(kernel, stride, padding, dilation)| Taps { kernel, stride, padding, dilation })
            .collect();
        let field = windows.iter().fold(ReceptiveField::PIXEL, |field, taps| field.after_taps(*taps));
        let seen = reached(&windows, position as i64);
        let ends = (*seen.first().unwrap(), *seen.last().unwrap());
        prop_assert_eq!(field.pixels(position), ends);
        prop_assert_eq!(field.size as i64, ends.1 - ends.0 + 1);
        let next = *reached(&windows, position as i64 + 1).first().unwrap();
        prop_assert_eq!(field.jump as i64, next - ends.0);
    }
}

/// What the calculator says of the same, within the image.
fn within<M: Planned>(side: usize, position: usize) -> (i64, i64) {
    let (first, last) = ReceptiveField::of::<M>().pixels(position);
    (first.max(0), last.min(side as i64 - 1))
}

/// The gradient of one output is not zero on exactly the pixels of its field.
#[test]
fn gradients_arrive_in_the_whole_field_and_nowhere_else() {
    macro_rules! exact {
        ($module:ty, $positions:expr) => {
            for position in $positions {
                let (seen, (first, last)) =
                    (support::<$module>(41, position), within::<$module>(41, position));
                let expected: Vec<i64> = (first..=last).collect();
                assert_eq!(seen, expected, "{} at {position}", stringify!($module));
            }
        };
    }
    type Strided = (Conv2D<1, 2, 3, 2, 1>, Conv2D<2, 2, 5, 1, 2>, Conv2D<2, 1, 3, 2>);
    type Pooled = (Conv2D<1, 3, 5>, AvgPool2D<3, 2, 1>, Conv2D<3, 1, 3, 1, 1>);
    type Wide = (Conv2D<1, 1, 3, 1, 1>, Conv2D<1, 1, 3, 1, 2, 2>, Conv2D<1, 1, 3, 1, 4, 4>);
    type Branched = (Concat<(Conv2D<1, 1, 1>, Conv2D<1, 1, 5, 1, 2>)>, Conv2D<2, 1, 3, 2, 1>);
    exact!(Strided, [0, 3, 6]);
    exact!(Pooled, [0, 3, 6]);
    exact!(Wide, [0, 3, 6]);
    exact!(Branched, [0, 3, 6]);
    // Maps that grow: all phases of a step.
    type Two = (Conv2D<1, 1, 3>, ConvTranspose2D<1, 1, 2, 2>);
    type Three = (ConvTranspose2D<1, 1, 3, 2>, Conv2D<1, 1, 2>);
    type Five = (Conv2D<1, 1, 3, 1, 1>, ConvTranspose2D<1, 1, 5, 3, 1>, Conv2D<1, 1, 3, 1, 1>);
    type Smooth = (Conv2D<1, 1, 3>, Upsample<2, Bilinear>, Conv2D<1, 1, 2>);
    type Thirds = (Upsample<3, Bilinear>, Conv2D<1, 1, 4>);
    exact!(Two, 0..12);
    exact!(Three, 20..32);
    exact!(Five, 30..42);
    exact!(Smooth, 10..22);
    exact!(Thirds, 20..32);
}

/// Where maps grow after they have shrunk, and where the nearest pixel is repeated, no output sees beyond its field, and
/// none sees more pixels than its size says.
#[test]
fn enlargements_see_at_most_their_field() {
    macro_rules! at_most {
        ($module:ty, $positions:expr) => {
            for position in $positions {
                let (seen, (first, last)) =
                    (support::<$module>(44, position), within::<$module>(44, position));
                let name = stringify!($module);
                assert!(first <= seen[0] && seen[seen.len() - 1] <= last, "{name} at {position}: {seen:?}");
                assert!(seen.len() as f64 <= ReceptiveField::of::<$module>().size, "{name} at {position}");
            }
        };
    }
    type Nearest = (Upsample<2>, Conv2D<1, 1, 2>);
    type NearestThirds = (Conv2D<1, 1, 3, 2>, Upsample<3>, Conv2D<1, 1, 3>);
    type Hourglass = (Conv2D<1, 1, 3, 2>, ConvTranspose2D<1, 1, 4, 2, 1>, Conv2D<1, 1, 3>);
    type OneLevel = unet::Level<1, 1, 2, unet::Bottom<1, 2>>;
    at_most!(Nearest, 0..12);
    at_most!(NearestThirds, 10..22);
    at_most!(Hourglass, 10..22);
    at_most!(OneLevel, 0..4);
}

/// The effective field (Luo et al. 2016): ten 3×3 layers of equal weights give the tenfold convolution of a box with
/// itself, variance 10 (9 − 1)/12 along each axis, although 21 pixels are seen.
#[test]
fn the_effective_field_is_far_narrower() {
    type Ten = Repeated<UnbiasedConv2D<1, 1, 3>, 10>;
    let dev = Cpu::default();
    let mut net = dev.build_module::<Ten, f64>();
    params::visit_mut(&mut net, |_, values: &mut [f64]| values.fill(1.0 / 9.0)).unwrap();
    let x = dev.ones_like(&(Const::<1>, Const::<1>, 21_usize, 21_usize));
    let y = net.forward(x.leaky_trace());
    assert_eq!((y.shape().2, ReceptiveField::of::<Ten>().size), (1, 21.0));
    let map = y.sum::<Rank0, _>().backward().get(&x).as_vec();
    let moment = |power: i32| -> f64 {
        map.iter().enumerate().map(|(at, g)| g * ((at / 21) as f64 - 10.0).powi(power)).sum()
    };
    assert_close!([moment(0), moment(2)].to_vec(), vec![1.0, 10.0 * 8.0 / 12.0], 1e-12);
}
