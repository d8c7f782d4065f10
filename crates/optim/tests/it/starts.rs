//! Lectures 5 and 7: sparse starts, Fixup, both sides of a rectifier.
use kernels::random::Key;
use layers::prelude::*;
use layers::{assert_close, params};
use optim::Error;
use optim::architecture::crelu::CRelu;
use optim::architecture::fixup::{self, branch_scale, builder::FixupBlock};
use optim::sparse_start::sparse;

/// Exactly so many weights for each unit, everywhere alike, of the variance asked for; the same for the same key.
#[test]
fn sparse_starts_have_few_weights_in_every_unit() {
    type Net = (Linear<40, 300, Tanh>, Linear<300, 200>, Linear<200, 3>);
    let dev = Cpu::default();
    let draw = |key| {
        let mut net = dev.build_module::<Net, f64>();
        sparse(&mut net, 15, 0.8, Key::new(key)).unwrap();
        net
    };
    let net = draw(1);
    let mut squares = (0.0, 0);
    for (weights, inputs) in
        [(net.0.weight.as_vec(), 40), (net.1.weight.as_vec(), 300), (net.2.weight.as_vec(), 200)]
    {
        for unit in weights.chunks(inputs) {
            let drawn: Vec<f64> = unit.iter().copied().filter(|w| *w != 0.0).collect();
            assert_eq!(drawn.len(), 15);
            squares = (squares.0 + drawn.iter().map(|w| w * w).sum::<f64>(), squares.1 + 15);
        }
    }
    let variance = squares.0 / f64::from(squares.1);
    assert!((variance / 0.64 - 1.0).abs() < 4.0 * (2.0 / f64::from(squares.1)).sqrt(), "{variance}");
    // Each input is read by about 300 · 15/40 units: no place is preferred.
    for input in 0..40 {
        let readers =
            net.0.weight.as_vec().iter().skip(input).step_by(40).filter(|w| **w != 0.0).count() as f64;
        let share: f64 = 15.0 / 40.0;
        assert!(
            (readers - 300.0 * share).abs() < 5.0 * (300.0 * share * (1.0 - share)).sqrt(),
            "{input}: {readers}"
        );
    }
    assert!(net.0.bias.as_vec().iter().chain(&net.2.bias.as_vec()).all(|b| *b == 0.0));
    assert_eq!(params::flatten(&draw(1)), params::flatten(&net));
    assert_ne!(params::flatten(&draw(2)), params::flatten(&net));
    // A unit with fewer inputs gets them all.
    let mut narrow = dev.build_module::<Linear<4, 5>, f64>();
    sparse(&mut narrow, 15, 1.0, Key::new(3)).unwrap();
    assert!(narrow.weight.as_vec().iter().all(|w| *w != 0.0));
    let refused = sparse(&mut narrow, 0, 1.0, Key::new(0));
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "incoming", .. })));
    let refused = sparse(&mut narrow, 1, f64::NAN, Key::new(0));
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "deviation", .. })));
}

/// Tensors of one shape differ, signs are as likely, windows are filled over all channels, biases become 0, and what is not
/// trained stays.
#[test]
fn sparse_starts_differ_from_tensor_to_tensor() {
    type Net = (Conv2D<8, 40, 3>, BatchNorm2D<40>, Conv2D<40, 6, 3>);
    let dev = Cpu::default();
    let mut net = dev.build_module::<Net, f64>();
    params::visit_mut(&mut net, |_, values: &mut [f64]| values.fill(3.0)).unwrap();
    sparse(&mut net, 15, 1.0, Key::new(4)).unwrap();
    for (weights, inputs) in [(net.0.weight.as_vec(), 72), (net.2.weight.as_vec(), 360)] {
        assert!(weights.chunks(inputs).all(|unit| unit.iter().filter(|w| **w != 0.0).count() == 15));
    }
    // Of the first layer's 600 numbers each has the mean 0 and the deviation 1.
    let mean = net.0.weight.as_vec().iter().sum::<f64>() / 600.0;
    assert!(mean.abs() < 4.0 / 600.0_f64.sqrt(), "{mean}");
    let places = |channels: std::ops::Range<usize>| {
        let weights = net.0.weight.as_vec();
        (0..weights.len()).filter(|&i| weights[i] != 0.0 && channels.contains(&(i % 72 / 9))).count()
    };
    assert!(places(0..4) > 200 && places(4..8) > 200, "{} {}", places(0..4), places(4..8));
    assert!(net.0.bias.as_vec().iter().chain(&net.2.bias.as_vec()).all(|b| *b == 0.0));
    assert_eq!(net.1.running_var.as_vec(), [3.0; 40]);

    let mut twins = dev.build_module::<(Linear<30, 20>, Linear<30, 20>), f64>();
    sparse(&mut twins, 15, 1.0, Key::new(5)).unwrap();
    assert_ne!(twins.0.weight.as_vec(), twins.1.weight.as_vec());
}

type Block = FixupBlock<Linear<8, 8>, Linear<8, 8>>;
type Deep<const L: usize> = ((Linear<4, 8>, Relu), Repeated<Block, L>, Linear<8, 3>);

/// How far one small step of descent moves a function that reads what the blocks give, per unit of the rate; the branches'
/// first weights times `factor`.
fn movement<const L: usize>(factor: f64) -> f64 {
    let dev = Cpu::default();
    let mut net = dev.build_module::<Deep<L>, f64>();
    assert_eq!(fixup::draw(&mut net, "2", Key::new(7)).unwrap(), L);
    for block in &mut net.1.modules {
        kernels::flat_mut(&mut block.first.weight).iter_mut().for_each(|w| *w *= factor);
    }
    let x: Tensor<Rank2<16, 4>, f64, _> = Key::new(8).normal(&dev, Rank2::<16, 4>::default());
    let target: Tensor<Rank2<16, 8>, f64, _> = Key::new(9).normal(&dev, Rank2::<16, 8>::default());
    let states = net.0.forward(x);
    let before = net.1.forward(states.clone());
    let mut gradients = (net.1.forward(states.leaky_trace()) - target).square().mean::<Rank0, _>().backward();
    // The weights W₂ alone: at this start nothing else of a branch has a gradient but biases.
    let rate = 1e-4;
    for block in &mut net.1.modules {
        let gradient = gradients.get_or_alloc_mut(&block.second.weight).unwrap().to_vec();
        let weights = kernels::flat_mut(&mut block.second.weight).iter_mut();
        weights.zip(gradient).for_each(|(w, g)| *w -= rate * g);
    }
    let moved = (net.1.forward(states) - before).square().sum::<Rank0, _>().array();
    moved.sqrt() / rate
}

/// At the start every block is the identity. One step moves the function as far at any depth; without the scale of the
/// branches, as many times farther as there are branches.
#[test]
fn fixup_moves_as_far_at_any_depth() {
    let [shallow, deep] = [movement::<2>(1.0), movement::<32>(1.0)];
    assert!((0.5..2.0).contains(&(deep / shallow)), "{shallow} {deep}");
    let unscaled = movement::<32>(32.0_f64.sqrt());
    assert!(unscaled / deep > 8.0, "{deep} {unscaled}");
    assert_close!(branch_scale(16, 2).unwrap(), 0.25, 1e-15);
    assert_close!(branch_scale(16, 3).unwrap(), 0.5, 1e-15);
    assert!(matches!(branch_scale(0, 2), Err(Error::InvalidHyper { name: "branches", .. })));
    assert!(matches!(branch_scale(4, 1), Err(Error::InvalidHyper { name: "layers", .. })));
}

#[test]
fn fixup_starts_as_its_table_says() {
    let dev = Cpu::default();
    let mut net = dev.build_module::<Deep<64>, f64>();
    let names = params::names(&net);
    assert!(names.contains(&"1.0.before_activation".to_owned()), "{names:?}");
    fixup::draw(&mut net, "2", Key::new(7)).unwrap();
    let square = |w: &[f64]| w.iter().map(|w| w * w).sum::<f64>() / w.len() as f64;
    let first: Vec<f64> = net.1.modules.iter().flat_map(|block| block.first.weight.as_vec()).collect();
    let want = 2.0 / 8.0 / 64.0; // He's variance over L
    assert!((square(&first) / want - 1.0).abs() < 4.0 * (2.0 / first.len() as f64).sqrt());
    assert!(square(&net.0.0.weight.as_vec()) > 0.2, "layers outside of a branch are not scaled");
    assert!(params::flatten(&net.2).iter().all(|w| *w == 0.0));
    for block in &net.1.modules {
        assert!(block.second.weight.as_vec().iter().all(|w| *w == 0.0) && block.scale.array() == 1.0);
    }
    let refused = fixup::draw(&mut net, "3", Key::new(0));
    assert!(matches!(refused, Err(Error::Empty { .. })));
    let mut plain = dev.build_module::<Linear<4, 5>, f64>();
    let refused = fixup::draw(&mut plain, "weight", Key::new(0));
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "branches", .. })));
}

/// The fan is that of the inputs, in a branch and outside of it; a name that begins as the classifier's is another layer's;
/// and whatever a model was before, it starts as the table says.
#[test]
fn fixup_draws_by_fan_in_and_whole_names() {
    type Wide = FixupBlock<Linear<8, 200>, Linear<200, 8>>;
    type Net = (Linear<16, 8>, Repeated<Wide, 4>, (Linear<8, 300, Relu>, Repeated<Linear<300, 300>, 12>));
    let dev = Cpu::default();
    let mut net = dev.build_module::<Net, f64>();
    params::visit_mut(&mut net, |_, values: &mut [f64]| values.fill(7.0)).unwrap();
    assert_eq!(fixup::draw(&mut net, "2.1.1", Key::new(3)).unwrap(), 4);
    let close = |weights: &[f64], want: f64| {
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        let error = 4.0 * (2.0 / weights.len() as f64).sqrt();
        assert!((variance / want - 1.0).abs() < error, "{variance}, want {want}");
    };
    let first: Vec<f64> = net.1.modules.iter().flat_map(|block| block.first.weight.as_vec()).collect();
    close(&first, 2.0 / 8.0 / 4.0);
    close(&net.2.0.weight.as_vec(), 2.0 / 8.0);
    let hidden = &net.2.1.modules;
    assert!(hidden[1].weight.as_vec().iter().all(|w| *w == 0.0)); // the classifier
    for other in [0, 10, 11] {
        close(&hidden[other].weight.as_vec(), 2.0 / 300.0);
    }
    params::visit(&net, |parameter, values: &[f64]| {
        let want = if parameter.name.ends_with(".scale") { 1.0 } else { 0.0 };
        assert!(parameter.ndim() > 1 || values.iter().all(|v| *v == want), "{}", parameter.name);
    });
}

/// All nine tensors of a block, away from the start: gradients are differences, and the value that of the formula.
#[test]
fn a_block_of_fixup_is_its_formula() {
    let dev = Cpu::default();
    let mut block = dev.build_module::<FixupBlock<Linear<2, 3>, Linear<3, 2>>, f64>();
    let count = params::count(&block);
    let mut flat = vec![0.0; count];
    Key::new(4).fill_normal(&mut flat);
    params::unflatten(&mut block, &flat).unwrap();
    let x = dev.tensor([[0.7, -0.4], [1.5, 0.2], [0.1, 2.0]]);
    let loss = |flat: &[f64]| {
        let mut moved = block.clone();
        params::unflatten(&mut moved, flat).unwrap();
        moved.forward(x.clone()).square().mean::<Rank0, _>().array()
    };
    let mut gradients = block.forward(x.leaky_trace()).square().mean::<Rank0, _>().backward();
    let analytic = params::flatten_gradients(&block, &mut gradients).unwrap();
    assert!(analytic.iter().any(|g| g.abs() > 1e-3));
    for (i, analytic) in analytic.into_iter().enumerate() {
        let at = |h: f64| {
            let mut moved = flat.clone();
            moved[i] += h;
            loss(&moved)
        };
        assert_close!(analytic, (at(1e-6) - at(-1e-6)) / 2e-6, 1e-5, 1e-8, "number {i} of {count}");
    }
    // By hand.
    let (w1, c1) = (block.first.weight.array(), block.first.bias.array());
    let (w2, c2) = (block.second.weight.array(), block.second.bias.array());
    let [b1, b2, b3, b4] =
        [&block.before_first, &block.before_activation, &block.before_second, &block.after]
            .map(|b| b.array());
    let mut rectified = 0;
    for x in [[0.7, -0.4], [-3.0, 0.2], [0.1, -4.0], [-5.0, -6.0]] {
        let h: [f64; 3] = std::array::from_fn(|j| {
            let vote: f64 = (0..2).map(|i| w1[j][i] * (x[i] + b1)).sum::<f64>() + c1[j];
            (vote + b2).max(0.0) + b3
        });
        let y: [f64; 2] = std::array::from_fn(|o| {
            let change: f64 = (0..3).map(|j| w2[o][j] * h[j]).sum::<f64>() + c2[o];
            (block.scale.array() * change + b4 + x[o]).max(0.0)
        });
        rectified += y.iter().filter(|y| **y == 0.0).count();
        assert_close!(block.forward(dev.tensor([x])).array()[0], y, 1e-13, 1e-14, "{x:?}");
    }
    assert!((1..8).contains(&rectified), "of eight numbers {rectified} are cut off");
}

/// Both halves together are the input again, and as long; on images the channels double.
#[test]
fn both_sides_of_a_rectifier_lose_nothing() {
    let dev = Cpu::default();
    let crelu = dev.build_module::<CRelu, f64>();
    let x: Tensor<Rank4<2, 3, 4, 5>, f64, _> = Key::new(5).normal(&dev, Default::default());
    let y: Tensor<Rank4<2, 6, 4, 5>, f64, _, _> = crelu.forward(x.leaky_trace());
    let (values, input) = (y.as_vec(), x.as_vec());
    assert!(values.iter().all(|y| *y >= 0.0));
    let place = |i: usize| i / 60 * 120 + i % 60; // the same channel of the first half
    for (i, x) in input.iter().enumerate() {
        assert_eq!(values[place(i)] - values[place(i) + 60], *x);
    }
    let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    assert_close!(square(&values), square(&input), 1e-14);
    // Of the squared length the gradient is that of the input's, 2 x: half of it through each side.
    let gradients = y.square().sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&x).as_vec(), input.iter().map(|x| 2.0 * x).collect::<Vec<_>>(), 1e-14);
}
