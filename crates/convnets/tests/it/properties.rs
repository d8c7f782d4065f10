//! What must hold for blocks and networks whatever the weights.
use convnets::blocks::{Block, CropTo, Percent, ScaledResidual, Skip, WithHeads, ZeroPad};
use convnets::inception::Inception;
use convnets::lenet::output::{RadialBasis, codes, likelihood_loss, posterior_loss};
use convnets::lenet::{C3, CONNECTIONS, LeNet1998, LeNet1998Whole};
use convnets::resnet::{self, Basic, BasicProjected, PreActivation, SmallResNet};
use convnets::{unet, vgg};
use layers::prelude::*;
use layers::testing::gradient_check;
use layers::{Planned, Step, assert_close, params};

type Maps<const C: usize> = Tensor<(usize, Const<C>, usize, usize), f64, Cpu>;

/// Normal pixels of sizes that the compiler does not compute with: types of known heights take minutes to compile.
fn maps<const C: usize>(dev: &Cpu, n: usize, rows: usize, cols: usize) -> Maps<C> {
    dev.sample_like(&(n, Const, rows, cols), rand_distr::StandardNormal)
}

/// Blocks whose last gain is 0 are their shortcut, so depth changes nothing.
#[test]
fn zero_gains_make_depth_vanish() {
    let dev = Cpu::seed_from_u64(1);
    let mut deep = dev.build_module::<SmallResNet<4, 8, 16, 3>, f64>();
    let mut flat = dev.build_module::<SmallResNet<4, 8, 16, 0>, f64>();
    params::unflatten(&mut flat.0, &params::flatten(&deep.0)).unwrap();
    params::unflatten(&mut flat.4, &params::flatten(&deep.4)).unwrap();
    let x = maps::<1>(&dev, 3, 12, 12);
    macro_rules! logits {
        ($net:ident) => {{
            let stem = $net.0.forward(x.clone());
            let (a, b) = (&$net.1, &$net.2);
            let second = b.1.forward(b.0.forward(a.1.forward(a.0.forward(stem))));
            $net.4.forward($net.3.1.forward($net.3.0.forward(second))).as_vec()
        }};
    }
    assert_ne!(logits!(deep), logits!(flat));
    resnet::zero_last_gains(&mut deep).unwrap();
    resnet::zero_last_gains(&mut flat).unwrap();
    assert_eq!(logits!(deep), logits!(flat));
}

/// A gain of s before the sum: S(x) + s F(x), with F of gain 1 and offset 0; no other gain moves.
#[test]
fn last_gains_scale_the_branches() {
    let dev = Cpu::seed_from_u64(8);
    let plain = dev.build_module::<(Basic<4>, BasicProjected<4, 6, 2>), f64>();
    let mut scaled = plain.clone();
    resnet::set_last_gains(&mut scaled, 0.2).unwrap();
    let x = maps::<4>(&dev, 2, 6, 6);
    let first = plain.0.branch.forward(x.clone()) * 0.2 + x.clone();
    assert_close!(scaled.0.forward(x.clone()), first.clone().relu(), 1e-13, 1e-14);
    let first = first.relu();
    let second = plain.1.branch.forward(first.clone()) * 0.2 + plain.1.shortcut.forward(first.clone());
    assert_close!(scaled.1.forward(first), second.relu(), 1e-13, 1e-14);
    params::visit(&scaled, |parameter, values: &[f64]| {
        if parameter.is_trainable && parameter.ndim() == 1 && parameter.name.ends_with("weight") {
            let want = if parameter.name.ends_with("branch.3.weight") { 0.2 } else { 1.0 };
            assert!(values.iter().all(|gain| *gain == want), "{}", parameter.name);
        }
    });
}

/// The identity path of pre-activation blocks: $x_L = x_l + \sum F$, and the loss's gradient arrives unchanged beside
/// what the branches add.
#[test]
fn pre_activation_telescopes() {
    let dev = Cpu::seed_from_u64(2);
    let net = dev.build_module::<(PreActivation<4>, PreActivation<4>, PreActivation<4>), f64>();
    let x = maps::<4>(&dev, 2, 6, 6);
    let (a, b) = (net.0.forward(x.clone()), net.0.branch.forward(x.clone()));
    let c = net.1.branch.forward(a.clone());
    let d = net.2.branch.forward(a + c.clone());
    assert_close!(net.forward(x.clone()), b + c + d + x.clone(), 1e-12, 1e-13);
    // Branches that end in zeros: the gradient of the output is that of the input, exactly.
    let mut idle = net.clone();
    params::visit_mut(&mut idle, |parameter, values: &mut [f64]| {
        if parameter.name.ends_with("branch.3.weight") {
            values.fill(0.0);
        }
    })
    .unwrap();
    let gradients = idle.forward(x.leaky_trace()).square().sum::<Rank0, _>().backward();
    assert_eq!(gradients.get(&x).as_vec(), (x * 2.0).as_vec());
}

#[test]
fn a_scale_of_zero_leaves_the_input() {
    let dev = Cpu::seed_from_u64(3);
    let x = maps::<4>(&dev, 2, 6, 6);
    let none = dev.build_module::<ScaledResidual<Conv2D<4, 4, 3, 1, 1>, Relu, Percent<0>>, f64>();
    assert_eq!(none.forward(x.clone()).as_vec(), x.clone().relu().as_vec());
    let some = dev.build_module::<ScaledResidual<Conv2D<4, 4, 3, 1, 1>, Identity, Percent<17>>, f64>();
    assert_close!(some.forward(x.clone()), some.branch.forward(x.clone()) * 0.17 + x, 1e-14, 1e-15);
}

#[test]
fn blocks_have_their_gradients() {
    let dev = Cpu::seed_from_u64(4);
    // Tensors of known shape can be checked; the blocks get them with sizes that the compiler does not compute with.
    let x: Tensor<Rank4<2, 4, 6, 6>, f64, _> = dev.sample_normal();
    let free = (2, Const::<4>, 6, 6);
    type Padded = Block<UnbiasedConv2D<4, 6, 3, 2, 1>, ZeroPad<2, 2>, Tanh>;
    let padded = dev.build_module::<Padded, f64>();
    gradient_check(&(padded, x.clone()), |(m, x)| {
        m.forward(x.leaky_trace().reshape_like(&free)).square().mean()
    })
    .assert(1e-7);
    let trained = dev.build_module::<Basic<4>, f64>();
    gradient_check(&(trained, x), |(m, x)| {
        m.clone().forward_mut(x.leaky_trace().reshape_like(&free)).square().mean()
    })
    .assert(1e-6);
    let small: Tensor<Rank4<1, 6, 6, 7>, f64, _> = dev.sample_normal();
    let c3 = dev.build_module::<C3, f64>();
    gradient_check(&(c3, small), |(m, x)| {
        m.forward(x.leaky_trace().reshape_like(&(1, Const::<6>, 6, 7))).square().mean()
    })
    .assert(1e-7);
    let level = dev.build_module::<unet::UNet2<1, 2, 4, 8, 2>, f64>();
    let pixels = maps::<1>(&dev, 1, 44, 44);
    let weights = level.0.0.clone();
    gradient_check(&weights, |first| {
        let mut net = level.clone();
        net.0.0 = first.clone();
        net.1.forward(net.0.forward(pixels.leaky_trace())).square().mean()
    })
    .assert(1e-6);
}

/// VGG's blocks as they are and with normalisation, in training: two convolutions, their ReLUs and the pooling.
#[test]
fn blocks_of_vgg_have_their_gradients() {
    macro_rules! check {
        ($block:ty) => {{
            let dev = Cpu::seed_from_u64(13);
            let block = dev.build_module::<$block, f64>();
            let x: Tensor<Rank4<2, 2, 6, 4>, f64, _> = dev.sample_normal();
            let free = (2, Const::<2>, 6, 4);
            let y = block.clone().forward_mut(x.clone().reshape_like(&free));
            assert_eq!(*y.shape(), (2, Const::<3>, 3, 2), stringify!($block));
            let scale: Tensor<_, f64, _> = dev.sample_like(y.shape(), rand_distr::StandardNormal);
            gradient_check(&(block, x), |(m, x)| {
                (m.clone().forward_mut(x.leaky_trace().reshape_like(&free)) * scale.clone()).sum::<Rank0, _>()
            })
            .assert(1e-6);
        }};
    }
    check!(vgg::Block2<2, 3>);
    check!(vgg::Block3<2, 3>);
    check!((vgg::Conv3Bn<2, 3>, vgg::Conv3Bn<3, 3>, vgg::Halve));
}

/// C3's maps do not change with the maps of S2 that they do not see.
#[test]
fn lenet_sees_what_its_table_says() {
    let dev = Cpu::seed_from_u64(5);
    let c3 = dev.build_module::<C3, f64>();
    let x = maps::<6>(&dev, 1, 5, 5);
    let before = c3.forward(x.clone()).as_vec();
    for s2 in 0..6 {
        let mut values = x.as_vec();
        values[25 * s2..][..25].iter_mut().for_each(|value| *value += 1.0);
        let mut moved = x.clone();
        moved.copy_from(&values);
        let after = c3.forward(moved).as_vec();
        for (map, sees) in CONNECTIONS.iter().enumerate() {
            assert_eq!(before[map] != after[map], sees[s2], "map {map} of C3, map {s2} of S2");
        }
    }
    // The table of the paper, row by row.
    let column = |map: usize| (0..6).filter(|s2| CONNECTIONS[map][*s2]).collect::<Vec<_>>();
    assert_eq!((column(0), column(5)), (vec![0, 1, 2], vec![0, 1, 5]));
    assert_eq!((column(6), column(9), column(11)), (vec![0, 1, 2, 3], vec![0, 3, 4, 5], vec![0, 1, 2, 5]));
    assert_eq!((column(12), column(14), column(15).len()), (vec![0, 1, 3, 4], vec![0, 2, 3, 5], 6));
    let net = dev.build_module::<LeNet1998, f64>();
    assert_eq!(params::count(&net), 60_000);
    let y: Tensor<Rank2<1, 84>, f64, _> = net.forward(dev.sample_normal::<Rank4<1, 1, 32, 32>>());
    assert!(y.as_vec().iter().all(|value| value.abs() <= 1.7159));
}

/// Heads run in training only, and their gradients reach the trunk.
#[test]
fn auxiliary_heads_train_the_trunk() {
    type Trunk = (Conv2D<1, 4, 3, 1, 1, 1, Relu>, Inception<4, 2, 2, 3, 1, 2, 1>);
    type Last = (GlobalAvgPool, Linear<8, 3>);
    let dev = Cpu::seed_from_u64(6);
    let mut net = dev.build_module::<WithHeads<Trunk, Conv2D<8, 8, 3, 1, 1>, Last, Last, Last>, f64>();
    let x = maps::<1>(&dev, 2, 7, 7);
    let (main, first, second) = net.forward_mut(x.leaky_trace());
    assert_eq!(main.as_vec(), net.forward(x).as_vec());
    // The tape of the trunk is the output's; times 0 it brings no gradient of its own.
    let heads = first.square().sum::<Rank0, _>() + second.square().sum::<Rank0, _>();
    let gradients = (main.sum::<Rank0, _>() * 0.0 + heads).backward();
    assert!(gradients.get(&net.early.0.weight).as_vec().iter().any(|g| *g != 0.0));
    assert!(gradients.get(&net.middle.weight).as_vec().iter().any(|g| *g != 0.0));
}

/// A skip is cut to the middle: odd differences leave the extra row or column below and right, and rows are not columns.
#[test]
fn skips_are_cut_to_the_middle() {
    let dev = Cpu::default();
    let numbered = |rows: usize, cols: usize| {
        let mut x: Maps<2> = dev.zeros_like(&(2, Const, rows, cols));
        x.copy_from(&(0..4 * rows * cols).map(|at| at as f64).collect::<Vec<_>>());
        x
    };
    for (rows, cols, high, wide, top, left) in
        [(7, 6, 4, 3, 1, 1), (6, 9, 6, 4, 0, 2), (5, 8, 2, 8, 1, 0), (8, 5, 3, 2, 2, 1), (3, 3, 3, 3, 0, 0)]
    {
        let (x, like) = (numbered(rows, cols), maps::<3>(&dev, 2, high, wide));
        let cut = x.try_crop(&like).unwrap();
        assert_eq!(*cut.shape(), (2, Const::<2>, high, wide));
        let places = (0..4 * high * wide).map(|at| {
            let (plane, row, col) = (at / (high * wide), at / wide % high, at % wide);
            ((plane * rows + row + top) * cols + col + left) as f64
        });
        assert_eq!(cut.as_vec(), places.collect::<Vec<_>>(), "{rows} x {cols} to {high} x {wide}");
    }
    // In a network: the middle of the input first, what happens below behind it.
    type Below = Skip<MaxPool2D<2, 2>>;
    let x = numbered(5, 6).slice((0..1, 0..2, 0..5, 0..6)).reshape_like(&(1, Const::<2>, 5, 6));
    let y = Below::default().forward(x.clone());
    let like = maps::<2>(&dev, 1, 2, 3);
    let expected =
        [x.clone().try_crop(&like).unwrap().as_vec(), MaxPool2D::<2, 2>.forward(x).as_vec()].concat();
    assert_eq!((*y.shape(), y.as_vec()), ((1, Const::<4>, 2, 3), expected));
}

/// Dropout at the end of the way down: nothing in evaluation, other masks in each training call, the right gradient.
#[test]
fn dropout_acts_at_the_bottom_in_training_only() {
    type Plain = unet::Level<1, 2, 4, unet::Bottom<2, 4>>;
    type Dropped = unet::Level<1, 2, 4, unet::BottomDropout<2, 4>>;
    let dev = Cpu::seed_from_u64(6);
    let plain = dev.build_module::<Plain, f64>();
    let mut dropped = dev.build_module::<Dropped, f64>();
    params::unflatten(&mut dropped, &params::flatten(&plain)).unwrap();
    layers::dropout::reseed(&mut dropped, kernels::random::Key::new(3)).unwrap();
    let x = maps::<1>(&dev, 1, 20, 20);
    let evaluated = plain.forward(x.clone()).as_vec();
    assert_eq!(dropped.forward(x.clone()).as_vec(), evaluated);
    let start = dropped.clone();
    let [first, second] = [0, 1].map(|_| dropped.forward_mut(x.clone()).as_vec());
    assert_ne!(first, evaluated);
    assert_ne!(first, second);
    // The skip is not dropped: with weights of 0 at the bottom only the way across is left, the same in training.
    let mut across = start.clone();
    params::visit_mut(&mut across, |parameter, values: &mut [f64]| {
        if parameter.name.starts_with("1.inner.1.") {
            values.fill(0.0);
        }
    })
    .unwrap();
    assert_eq!(across.forward_mut(x.clone()).as_vec(), across.forward(x.clone()).as_vec());
    // A clone draws the same mask again, so the loss is one function.
    gradient_check(&start, |m| m.clone().forward_mut(x.leaky_trace()).square().mean()).assert(1e-6);
    let whole = <unet::UNet>::PLAN.totals_of([1, 572, 572]);
    assert_eq!(<unet::UNetDropout>::PLAN.totals_of([1, 572, 572]), whole);
    assert_eq!(unet::SmallUNetDropout::PLAN.totals_of([1, 104, 104]).params, 29_330);
}

/// Both losses of 1998 against finite differences, and their closed forms.
#[test]
fn losses_of_1998_have_their_gradients() {
    let dev = Cpu::seed_from_u64(9);
    let state: Tensor<Rank2<3, 84>, f64, _> = dev.sample_uniform();
    let labels = [3, 0, 9];
    let layer = dev.build_module::<RadialBasis<true>, f64>();
    gradient_check(&(layer.clone(), state.clone()), |(layer, state)| {
        likelihood_loss(layer.forward(state.leaky_trace()), &labels).unwrap()
    })
    .assert(1e-7);
    let fixed = dev.build_module::<RadialBasis, f64>();
    let distances = fixed.forward(state.clone());
    // Garbage as far as the nearest drawing: farther or nearer, one of the parts of equation 9 would not count.
    let nearest = distances.as_vec().into_iter().fold(f64::INFINITY, f64::min);
    gradient_check(&(layer.clone(), state.clone()), |(layer, state)| {
        posterior_loss(layer.forward(state.leaky_trace()), &labels, nearest).unwrap()
    })
    .assert(1e-6);
    for (row, (distances, state)) in distances.as_vec().chunks(10).zip(state.as_vec().chunks(84)).enumerate()
    {
        for (digit, distance) in distances.iter().enumerate() {
            let code = &codes::<f64>()[84 * digit..][..84];
            let sum: f64 = code.iter().zip(state).map(|(w, x)| (x - w) * (x - w)).sum();
            assert_close!(*distance, sum, 1e-12, 0.0, "row {row}, digit {digit}");
        }
    }
    let mean = likelihood_loss(distances.clone(), &labels).unwrap().array();
    let flat = distances.as_vec();
    assert_close!(mean, (flat[3] + flat[10] + flat[29]) / 3.0, 1e-12);
    // Equation 9 is the cross-entropy of a softmax with an eleventh class at distance J.
    for garbage in [0.5, 70.0, 300.0] {
        let mut logits: Tensor<Rank2<3, 11>, f64, Cpu> = dev.zeros();
        let rows = flat.chunks(10).flat_map(|row| row.iter().map(|y| -y).chain([-garbage]));
        logits.copy_from(&rows.collect::<Vec<f64>>());
        let expected = kernels::cross_entropy_mean(logits, &labels).array();
        let loss = posterior_loss(distances.clone(), &labels, garbage).unwrap().array();
        assert_close!(loss, expected, 1e-12, 1e-12, "J = {garbage}");
    }
    for garbage in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = posterior_loss(distances.clone(), &labels, garbage).unwrap_err();
        assert!(error.to_string().starts_with("garbage of the loss must be above 0"), "{error}");
    }
    let error = likelihood_loss(distances.clone(), &[3, 0, 10]).unwrap_err();
    assert_eq!(error.to_string(), "label 10 at index 2 is not one of 10 classes; labels count from 0");
    assert!(matches!(
        likelihood_loss(distances, &[3]),
        Err(kernels::Error::LabelCount { labels: 1, rows: 3 })
    ));
}

/// LeNet-5 of 1998 as a whole: what is trained, what is saved, and the gradient at its first layer.
#[test]
fn lenet_of_1998_is_whole() {
    let dev = Cpu::seed_from_u64(10);
    let net = dev.build_module::<LeNet1998Whole, f64>();
    assert_eq!(params::count(&net), 60_000);
    let names = params::list(&net);
    let last = names.last().unwrap();
    assert_eq!((last.name.as_str(), last.is_trainable, &last.shape[..]), ("3.codes", false, &[10, 84][..]));
    let x = maps::<1>(&dev, 2, 32, 32).reshape_like(&(2, Const::<1>, Const::<32>, Const::<32>));
    let loss = |net: &<LeNet1998Whole as BuildOnDevice<Cpu, f64>>::Built, x| {
        posterior_loss(net.3.forward(net.2.forward(net.1.forward(net.0.forward(x)))), &[4, 7], 80.0).unwrap()
    };
    gradient_check(&net.0, |first| {
        let mut net = net.clone();
        net.0 = first.clone();
        loss(&net, x.leaky_trace())
    })
    .assert(1e-6);
    // An optimiser leaves the drawings as they are.
    let mut trained = net.clone();
    let mut sgd = layers::Sgd::try_new(&trained, layers::SgdConfig::default()).unwrap();
    let mut gradients = loss(&trained, x.leaky_trace()).backward();
    sgd.step(&mut trained, &mut gradients).unwrap();
    assert_eq!(trained.3.codes.as_vec(), codes::<f64>());
    assert_ne!(params::flatten(&trained), params::flatten(&net));
}
