//! A network without its normalisations answers as it did.
use convnets::folding::fold;
use convnets::resnet::{Basic, Head};
use layers::convolution::{Steps, Unbiased};
use layers::params;
use layers::prelude::*;
use proptest::prelude::*;

/// A stem, a residual block, a head: three normalisations, one of them before a sum.
type Small = ((UnbiasedConv2D<2, 4, 3, 1, 1>, BatchNorm2D<4, Relu>), Basic<4>, Head<4, 3>);

/// Gains of both signs, offsets, means, and variances of a tenth to four, which is what trained networks have.
fn statistics<E: kernels::Real>(name: &str, draw: f64) -> Option<E> {
    match name.rsplit('.').next() {
        Some("running_var") => Some(E::of(0.1 + 3.9 * draw)),
        Some("running_mean") => Some(E::of(4.0 * draw - 2.0)),
        _ => None,
    }
}

/// Largest distance between the logits of the network and of the same without normalisations, over the largest logit.
macro_rules! distance {
    ($E:ty, $seed:expr) => {{
        let dev = Cpu::seed_from_u64($seed);
        let mut net = dev.build_module::<Small, $E>();
        let key = kernels::random::Key::new($seed);
        let mut tensor = 0;
        params::visit_mut(&mut net, |parameter, values: &mut [$E]| {
            let mut draws = vec![0.0_f64; values.len()];
            tensor += 1;
            key.fold(tensor).fill_uniform(&mut draws);
            for (value, draw) in values.iter_mut().zip(draws) {
                *value = match statistics(&parameter.name, draw) {
                    Some(statistic) => statistic,
                    None if parameter.ndim() == 1 => (3.0 * draw - 1.5) as $E,
                    None => *value,
                };
            }
        })
        .unwrap();
        let x: Tensor<_, $E, _> =
            dev.sample_like(&(3_usize, Const::<2>, 7_usize, 6_usize), rand_distr::StandardNormal);
        let (stem, block) = (fold(&net.0.0, &net.0.1).unwrap(), &net.1.branch);
        let (first, second) = (fold(&block.0, &block.1).unwrap(), fold(&block.2, &block.3).unwrap());
        let maps = stem.forward(x.clone());
        let branch = second.forward(first.forward(maps.clone()));
        let folded = net.2.forward((branch + maps).relu()).as_vec();
        let apart = net.2.forward(net.1.forward(net.0.forward(x))).as_vec();
        let largest = apart.iter().fold(1.0, |most: $E, logit| most.max(logit.abs()));
        let distances = apart.iter().zip(&folded).map(|(a, b)| (a - b).abs());
        f64::from(distances.fold(0.0, <$E>::max) / largest)
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    /// Seen: 4e-16 and 3e-7.
    #[test]
    fn folded_networks_answer_the_same(seed in any::<u64>()) {
        let distance = distance!(f64, seed);
        prop_assert!(distance < 1e-13, "{distance:e} in f64");
        let distance = distance!(f32, seed);
        prop_assert!(distance < 1e-5, "{distance:e} in f32");
    }
}

/// A convolution with a bias, as VGG's, with groups, with rows that are no columns, and another ε.
#[test]
fn all_convolutions_fold() {
    let dev = Cpu::seed_from_u64(3);
    let x: Tensor<_, f64, _> = dev.sample_like(&(2, Const::<4>, 6, 5), rand_distr::StandardNormal);
    macro_rules! folds {
        ($layer:ty) => {{
            let mut two = dev.build_module::<($layer, BatchNorm2D<6, Tanh>), f64>();
            two.1.epsilon = 0.5;
            two.forward_mut(x.clone() * 3.0);
            two.1.weight.copy_from(&[0.5, -2.0, 1.0, 1.5, 0.1, 1.0]);
            two.1.bias.copy_from(&[1.0, 0.0, -0.7, 0.2, 0.0, -1.0]);
            let one = fold(&two.0, &two.1).unwrap();
            layers::assert_close!(
                one.forward(x.clone()).as_vec(),
                two.forward(x.clone()).as_vec(),
                1e-12,
                1e-14
            );
        }};
    }
    folds!(Conv2D<4, 6, 3, 2, 1>);
    folds!(GroupedConv2D<4, 6, 3, 2, 1, 1>);
    folds!(RectConv2D<4, 6, 1, 3, Steps, Steps<1, 1>, Identity, Unbiased>);
}
