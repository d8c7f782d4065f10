//! What an optimiser remembers: where it lies, what becomes of it when the precision changes, that a range test gives it
//! back, and what an average of the weights does not remember.
use std::collections::BTreeSet;

use dfdx::nn::ToDtype;
use layers::normalisation::recalibrate;
use layers::prelude::*;
use layers::{StepError, StepState, assert_close, params};
use optim::Error;
use optim::optimizers::*;
use optim::range_test::{RangeTest, RangeTestConfig, range_test};

type Plan = (Linear<3, 4>, Tanh, Linear<4, 2>);
type Single = <Plan as BuildOnDevice<Cpu, f32>>::Built;
type Double = <Plan as BuildOnDevice<Cpu, f64>>::Built;

/// Calls `$function($argument, rule)` for every rule that takes tensors of any shape.
macro_rules! every_rule {
    ($function:ident, $argument:expr) => {
        for momentum in [
            Momentum::None,
            Momentum::HeavyBall(0.9),
            Momentum::Nesterov(0.9),
            Momentum::Sutskever(0.9),
            Momentum::Dampened { coefficient: 0.9, dampening: 0.5 },
        ] {
            $function($argument, SgdConfig { learning_rate: 0.05, momentum, weight_decay: 0.01 });
        }
        $function($argument, NesterovAgdConfig::default());
        $function($argument, AsgdConfig { start: 0.0, ..Default::default() });
        $function($argument, QhmConfig::default());
        $function($argument, AggMoConfig { learning_rate: 0.01, ..Default::default() });
        $function($argument, ScheduleFreeSgdConfig { learning_rate: 0.05, ..Default::default() });
        $function($argument, ScheduleFreeAdamWConfig::default());
        $function($argument, AdaGradConfig::default());
        $function($argument, AdadeltaConfig::default());
        for is_centred in [false, true] {
            $function($argument, RmsPropConfig { momentum: 0.9, is_centred, ..Default::default() });
        }
        $function($argument, AdamConfig::default());
        $function($argument, AdamWConfig::default());
        for variant in [AmsGradVariant::Torch, AmsGradVariant::Paper, AmsGradVariant::Corrected] {
            $function($argument, AmsGradConfig { variant, ..Default::default() });
        }
        $function($argument, AdamaxConfig::default());
        $function($argument, NAdamConfig::default());
        $function($argument, RAdamConfig { beta2: 0.9, ..Default::default() });
        $function($argument, YogiConfig::default());
        $function($argument, AdaBeliefConfig::default());
        $function($argument, AdaBoundConfig::default());
        $function($argument, LionConfig::default());
        $function($argument, RpropConfig::default());
        $function($argument, LarsConfig::default());
        $function($argument, LambConfig::default());
        $function($argument, AdafactorConfig::default());
        $function($argument, ShampooConfig::default());
        $function($argument, SparseAdamConfig::default());
    };
}

/// A rule of this crate that does not stand in the table above would escape the tests of this file: its name is looked up in
/// the sources, as `Adamax, "adamax", Coupled(0.0),`.
#[test]
fn the_table_has_every_rule() {
    fn note<R: Rule>(names: &mut BTreeSet<&'static str>, _: R) {
        names.insert(R::NAME);
    }
    let mut names = BTreeSet::from([MuonConfig::NAME]); // for matrices alone: a test of its own
    every_rule!(note, &mut names);
    let sources = [
        include_str!("../../src/optimizers/adaptive.rs"),
        include_str!("../../src/optimizers/layerwise.rs"),
        include_str!("../../src/optimizers/matrix.rs"),
        include_str!("../../src/optimizers/momentum.rs"),
        include_str!("../../src/optimizers/schedule_free.rs"),
        include_str!("../../src/optimizers/sign.rs"),
    ];
    let mut found = 0;
    for source in sources {
        let mut here = 0;
        for line in source.lines().filter(|line| line.starts_with("    ") && line.ends_with("),")) {
            let words: Vec<&str> = line.trim().split(", ").collect();
            if let [_, name, _] = words[..]
                && let Some(name) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'))
            {
                here += 1;
                assert!(names.contains(name), "the rule `{name}` is not in the table");
            }
        }
        assert_eq!(here, source.matches("\nrule! {").count(), "one name for each rule");
        found += here;
    }
    let elsewhere = ["adam", "adamw", "rmsprop", "sgd"]; // in `layers`
    assert!(elsewhere.iter().all(|name| names.contains(name)));
    assert_eq!(found + elsewhere.len(), names.len());
}

fn batch(dev: &Cpu) -> Tensor<Rank2<8, 3>, f32, Cpu> {
    dev.sample_normal()
}

/// A step of an optimiser in single precision along the gradient of the mean square of the outputs.
fn step<R: Rule>(
    model: &mut Single,
    optimizer: &mut Optim<R, Single, f32, Cpu>,
    x: &Tensor<Rank2<8, 3>, f32, Cpu>,
) {
    let mut gradients = (model.forward(x.leaky_trace()) - 1.0).square().mean().backward();
    optimizer.step(model, &mut gradients).unwrap();
}

/// Every path of a model that changes its precision: there and back with the same optimiser, whose state does not care that
/// every tensor is a new one; into double precision by saving and loading; and back into single, which is refused as long
/// as a number would be rounded.
fn change_precision<R: Rule>(dev: &Cpu, rule: R) {
    let name = format!("{rule:?}");
    let x = batch(dev);
    let mut model: Single = dev.build_module::<Plan, f32>();
    let mut optimizer = Optim::try_new(&model, rule.clone()).unwrap();
    for _ in 0..6 {
        step(&mut model, &mut optimizer, &x);
    }

    let saved = optimizer.state().unwrap();
    let mut double: Double = model.to_dtype();
    let mut in_double = Optim::<R, Double, f64, Cpu>::try_new(&double, rule.clone()).unwrap();
    in_double.load_state(&saved).unwrap();
    assert_eq!(in_double.state().unwrap(), saved, "{name}: f64 holds every f32");

    let mut moved: Single = double.clone().to_dtype();
    let mut same = optimizer.clone();
    let mut of_the_old = model.forward(x.leaky_trace()).square().mean().backward();
    let unknown = same.step(&mut moved, &mut of_the_old);
    assert!(matches!(unknown, Err(StepError::Unused { .. })), "{name}: every tensor is a new one");
    for _ in 0..6 {
        step(&mut model, &mut optimizer, &x);
        step(&mut moved, &mut same, &x);
    }
    assert_eq!(params::flatten(&moved), params::flatten(&model), "{name}: there and back");
    assert_eq!(same.state().unwrap(), optimizer.state().unwrap(), "{name}: there and back");

    let wide = x.clone().to_dtype::<f64>();
    for _ in 0..6 {
        let mut gradients = (double.forward(wide.leaky_trace()) - 1.0).square().mean().backward();
        in_double.step(&mut double, &mut gradients).unwrap();
    }
    let rounded: Vec<f64> = params::flatten(&model).into_iter().map(f64::from).collect();
    assert_close!(params::flatten(&double), rounded, 1e-3, 0.0, "{name}: the same steps in more digits");

    let fine = in_double.state().unwrap();
    let before = optimizer.state().unwrap();
    let loaded = optimizer.load_state(&fine);
    if fine.slots.iter().any(|slot| !slot.key.parameter.is_empty()) {
        assert!(matches!(loaded, Err(StepError::SlotValues { .. })), "{name}: {loaded:?}");
        assert_eq!(optimizer.state().unwrap(), before, "{name}: refused and changed");
    } else {
        loaded.unwrap(); // plain descent: nothing to round
    }
    let mut rounded: StepState = fine;
    for slot in rounded.slots.iter_mut().filter(|slot| !slot.key.parameter.is_empty()) {
        slot.values.iter_mut().for_each(|value| *value = f64::from(*value as f32));
    }
    optimizer.load_state(&rounded).unwrap();
    assert_eq!(optimizer.state().unwrap(), rounded, "{name}: what the user has rounded is taken");
}

#[test]
fn every_rule_keeps_its_state_when_the_precision_changes() {
    let dev = Cpu::seed_from_u64(11);
    every_rule!(change_precision, &dev);
}

/// Tensors of every number of axes.
type Shapes = (
    Tensor<Rank0, f64, Cpu>,
    Tensor<Rank1<5>, f64, Cpu>,
    Tensor<Rank2<3, 4>, f64, Cpu>,
    Tensor<Rank3<2, 3, 2>, f64, Cpu>,
    Tensor<Rank4<2, 1, 3, 2>, f64, Cpu>,
);

/// Where each slot of an optimiser lies, and how many numbers it holds.
fn places<R: Rule, M: TensorCollection<f64, Cpu>>(
    optimizer: &Optim<R, M, f64, Cpu>,
) -> Vec<(*const f64, usize)> {
    let slots = optimizer.rule().slots();
    let of = |parameter: &params::Parameter| {
        let slots =
            slots.iter().map(|spec| optimizer.slot(spec.name, &parameter.name).expect("a slot on the host"));
        slots.map(|slot| (slot.as_ptr(), slot.len())).collect::<Vec<_>>()
    };
    optimizer.parameters().iter().flat_map(of).collect()
}

/// Ten steps move no slot and make none; [`Step::load_state`] puts new memory in their place, which the comparison must see.
fn stays<R: Rule, M: TensorCollection<f64, Cpu> + Clone>(
    model: &M,
    rule: R,
    mut gradients: impl FnMut(&M) -> Gradients<f64, Cpu>,
) {
    let name = format!("{rule:?}");
    let mut model = model.clone();
    let mut optimizer = Optim::try_new(&model, rule).unwrap();
    let mut first = gradients(&model);
    optimizer.step(&mut model, &mut first).unwrap();
    let before = places(&optimizer);
    assert_eq!(before.len(), optimizer.parameters().len() * optimizer.rule().slots().len());
    for _ in 0..9 {
        let mut gradients = gradients(&model);
        optimizer.step(&mut model, &mut gradients).unwrap();
    }
    assert_eq!(places(&optimizer), before, "{name}");
    optimizer.load_state(&optimizer.state().unwrap()).unwrap();
    let has_saved = optimizer.rule().slots().iter().any(|slot| slot.is_saved);
    assert_eq!(places(&optimizer) == before, !has_saved, "{name}: another place goes unseen");
}

fn stays_for_tensors<R: Rule>(model: &Shapes, rule: R) {
    let mut time = 0.0;
    let gradients = move |(a, b, c, d, e): &Shapes| {
        let mut all = Gradients::leaky();
        time += 1.0;
        macro_rules! fill {
            ($($tensor:ident),*) => {$(
                let gradient = all.get_or_alloc_mut($tensor).unwrap();
                gradient.iter_mut().enumerate().for_each(|(i, g)| *g = (time + i as f64).sin());
            )*};
        }
        fill!(a, b, c, d, e);
        all
    };
    stays(model, rule, gradients);
}

type Block = (Linear<3, 4>, Residual<(Linear<4, 4>, Tanh)>, LayerNorm1D<4>, TransformerEncoderBlock<4, 2, 8>);
type Blocks = <Block as BuildOnDevice<Cpu, f64>>::Built;

fn stays_for_blocks<R: Rule>((model, x): (&Blocks, &Tensor<Rank3<2, 3, 3>, f64, Cpu>), rule: R) {
    stays(model, rule, |model| (model.forward(x.leaky_trace()) - 1.0).square().mean().backward());
}

#[test]
fn no_rule_moves_its_state_or_makes_more_of_it() {
    let dev = Cpu::seed_from_u64(12);
    let shapes: Shapes = (
        dev.sample_normal(),
        dev.sample_normal(),
        dev.sample_normal(),
        dev.sample_normal(),
        dev.sample_normal(),
    );
    every_rule!(stays_for_tensors, &shapes);
    let blocks: Blocks = dev.build_module::<Block, f64>();
    let x = dev.sample_normal();
    every_rule!(stays_for_blocks, (&blocks, &x));
    let matrix: Tensor<Rank2<3, 4>, f64, Cpu> = dev.sample_normal();
    stays(&matrix, MuonConfig::default(), |w| (w.leaky_trace() - 1.0).square().mean().backward());
}

type Normed = <(Linear<3, 6>, BatchNorm1D<6>, Tanh, Linear<6, 2>) as BuildOnDevice<Cpu, f64>>::Built;

/// All numbers of a model, those that are not trained too.
fn everything(model: &Normed) -> Vec<u64> {
    let mut bits = Vec::new();
    params::visit(model, |_, values: &[f64]| bits.extend(values.iter().map(|value| value.to_bits())));
    bits
}

/// An average of weights has the running statistics of the weights that were trained last, which are not its own, until they
/// are taken anew; then they are the plain means over the batches of the mean and of the variance (divisor n − 1) of what the
/// averaged layer before gives. Training sees nothing of it.
#[test]
fn averaged_weights_need_statistics_of_their_own() {
    fn check<R: Rule>(average: Option<Average>, rule: R) {
        let name = format!("{average:?}, {}", R::NAME);
        let dev = Cpu::seed_from_u64(13);
        let mut model: Normed = dev.build_module::<(Linear<3, 6>, BatchNorm1D<6>, Tanh, Linear<6, 2>), f64>();
        let batches: Vec<Tensor<Rank2<16, 3>, f64, Cpu>> = (0..6).map(|_| dev.sample_normal()).collect();
        let mut optimizer = Optim::try_new(&model, rule).unwrap();
        if let Some(average) = average {
            optimizer = optimizer.average(average).unwrap();
        }
        for _ in 0..5 {
            for x in &batches {
                let loss = (model.forward_mut(x.leaky_trace()) - 1.0).square().mean();
                optimizer.step(&mut model, &mut loss.backward()).unwrap();
            }
        }
        let trained = everything(&model);
        let mut averaged = optimizer.evaluation(&model).unwrap();
        let old = [averaged.1.running_mean.array(), averaged.1.running_var.array()];
        assert_eq!(
            old,
            [model.1.running_mean.array(), model.1.running_var.array()],
            "{name}: those of training"
        );
        let logits_before = averaged.forward(batches[0].clone()).array();

        recalibrate(&mut averaged, |model| batches.iter().for_each(|x| drop(model.forward_mut(x.clone()))));
        let [mut mean, mut variance] = [[0.0; 6]; 2];
        for x in &batches {
            let votes = averaged.0.forward(x.clone()).array();
            for unit in 0..6 {
                let column = votes.map(|row| row[unit]);
                let m = column.iter().sum::<f64>() / 16.0;
                mean[unit] += m / 6.0;
                variance[unit] += column.iter().map(|v| (v - m).powi(2)).sum::<f64>() / 15.0 / 6.0;
            }
        }
        assert_close!(averaged.1.running_mean.array(), mean, 1e-12, 0.0, "{name}");
        assert_close!(averaged.1.running_var.array(), variance, 1e-12, 0.0, "{name}");
        let furthest = |a: &[[f64; 2]; 16], b: &[[f64; 2]; 16]| {
            let pairs = a.as_flattened().iter().zip(b.as_flattened());
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let moved = furthest(&averaged.forward(batches[0].clone()).array(), &logits_before);
        assert!(moved > 1e-3, "{name}: the answers were as good without: {moved:e}");
        assert_eq!(everything(&model), trained, "{name}: training has seen it");
    }
    let sgd = SgdConfig { learning_rate: 0.1, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    check(Some(Average::Uniform { from: 12, every: 6 }), sgd);
    check(Some(Average::Exponential { decay: 0.9 }), sgd);
    check(None, ScheduleFreeSgdConfig { learning_rate: 0.5, ..Default::default() });
    check(None, AsgdConfig { learning_rate: 0.1, start: 3.0, ..Default::default() });
}

/// Ten steps, a range test that ends as `last` and `fails` say, ten steps more: every bit is that of twenty steps, whether the
/// sweep comes to its end, breaks or is refused.
fn put_back<R: Rule>((model, x): (&Normed, &Tensor<Rank2<16, 3>, f64, Cpu>), rule: R) {
    let name = format!("{rule:?}");
    let make = || {
        let optimizer = Optim::try_new(model, rule.clone()).unwrap();
        let ahead = optimizer.lookahead(Lookahead { every: 3, share: 0.5 }).unwrap();
        ahead.average(Average::Exponential { decay: 0.9 }).unwrap()
    };
    let train = |model: &mut Normed, optimizer: &mut Optim<R, Normed, f64, Cpu>| {
        for _ in 0..10 {
            let loss = (model.forward_mut(x.leaky_trace()) - 1.0).square().mean();
            optimizer.step(model, &mut loss.backward()).unwrap();
        }
    };
    let (mut plain, mut tested) = (model.clone(), model.clone());
    let (mut plain_optimizer, mut optimizer) = (make(), make());
    train(&mut plain, &mut plain_optimizer);
    train(&mut tested, &mut optimizer);
    type Ends = fn(&Result<RangeTest, Error>) -> bool;
    let ways: [(f64, u64, Ends); 3] = [
        (1e-2, u64::MAX, |found| found.is_ok()), // to its end, unless the rule has momentum of a larger rate
        (1e200, u64::MAX, |found| found.is_ok()),
        (1e-2, 7, |found| matches!(found, Err(Error::Step(StepError::VisitedTwice)))),
    ];
    for (last, fails, is_expected) in ways {
        let (before, state) = (everything(&tested), optimizer.state().unwrap());
        let mut visited = 0;
        let loss = |model: &Normed, step: u64| {
            visited += usize::from(everything(model) != before);
            if step == fails {
                return Err(StepError::VisitedTwice); // any error will do
            }
            let loss = (model.forward(x.leaky_trace()) - 1.0).square().mean::<Rank0, _>();
            Ok((loss.array(), loss.backward()))
        };
        let config = RangeTestConfig { first: 1e-5, last, steps: 30, ..Default::default() };
        let found = range_test(&mut tested, &mut optimizer, loss, config);
        assert!(is_expected(&found), "{name}, up to {last:e}: {found:?}");
        assert!(visited > 0, "{name}: the sweep moves the weights, else this tests nothing");
        assert_eq!(everything(&tested), before, "{name}, up to {last:e}");
        assert_eq!(optimizer.state().unwrap(), state, "{name}, up to {last:e}");
    }
    train(&mut plain, &mut plain_optimizer);
    train(&mut tested, &mut optimizer);
    assert_eq!(everything(&tested), everything(&plain), "{name}: it goes on as if nothing had been");
    assert_eq!(optimizer.state().unwrap(), plain_optimizer.state().unwrap(), "{name}");
}

#[test]
fn a_range_test_puts_model_and_optimiser_back() {
    let dev = Cpu::seed_from_u64(14);
    let model: Normed = dev.build_module::<(Linear<3, 6>, BatchNorm1D<6>, Tanh, Linear<6, 2>), f64>();
    let x = dev.sample_normal();
    every_rule!(put_back, (&model, &x));
}
