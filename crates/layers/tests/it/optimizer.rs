//! What an optimiser does around its rule: groups, clipping, policies, constraints, averages, and their saved state.
use dfdx::prelude::*;
use layers::optimizer::{Average, Clip, Constraint, Group, Lookahead, NonFinite, Unused};
use layers::{
    Adam, AdamConfig, AdamW, AdamWConfig, Momentum, Optim, Sgd, SgdConfig, Step, StepError, StepState,
};
use layers::{assert_close, builders, params};

type Net = (builders::Linear<3, 4, builders::Tanh>, builders::Linear<4, 2>);
type Built<E> = <Net as BuildOnDevice<Cpu, E>>::Built;

fn setup<E: kernels::Real>() -> (Built<E>, Tensor<Rank2<5, 3>, E, Cpu>)
where
    Cpu: kernels::Device<E>,
    rand_distr::StandardNormal: rand_distr::Distribution<E>,
{
    let dev = Cpu::seed_from_u64(11);
    (BuildModule::build(&dev), dev.sample_normal())
}

fn gradients<E: kernels::Real>(model: &Built<E>, x: &Tensor<Rank2<5, 3>, E, Cpu>) -> Gradients<E, Cpu>
where
    Cpu: kernels::Device<E>,
{
    kernels::mse_mean(model.forward(x.leaky_trace()), x.device().ones()).backward()
}

const SGD: SgdConfig = SgdConfig { learning_rate: 0.1, momentum: Momentum::None, weight_decay: 0.0 };

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The change of the flat weights in one step.
fn change<R: layers::Rule>(mut optimizer: Optim<R, Built<f64>, f64, Cpu>) -> Vec<f64> {
    let (mut model, x) = setup::<f64>();
    let before = params::flatten(&model);
    let mut all = gradients(&model, &x);
    optimizer.step(&mut model, &mut all).unwrap();
    params::flatten(&model).iter().zip(&before).map(|(now, before)| now - before).collect()
}

fn flat_gradient() -> Vec<f64> {
    let (model, x) = setup::<f64>();
    params::flatten_gradients(&model, &mut gradients(&model, &x)).unwrap()
}

#[test]
fn groups_have_their_own_rate_and_decay() {
    let (model, _) = setup::<f64>();
    let weights = params::flatten(&model);
    let g = flat_gradient();
    let config = SgdConfig { weight_decay: 0.5, ..SGD };
    let optimizer = Sgd::try_new(&model, config)
        .unwrap()
        .group(|p| p.ndim() == 1, Group { weight_decay: Some(0.0), ..Default::default() })
        .unwrap()
        // The bias of the second layer is taken already: first match wins.
        .group(|p| p.name.starts_with("1."), Group { learning_rate_scale: 0.0, ..Default::default() })
        .unwrap();
    let moved = change(optimizer);
    for i in 0..weights.len() {
        // 12 + 4 of layer 0, then 8 weights and 2 biases of layer 1.
        let want = match i {
            0..12 => -0.1 * (g[i] + 0.5 * weights[i]),
            12..16 | 24.. => -0.1 * g[i],
            _ => 0.0,
        };
        assert_close!(moved[i], want, 1e-12, 1e-15, "element {i}");
    }
    let twice = Sgd::<_, f64, Cpu>::try_new(&model, SGD).unwrap().group(|_| true, Group::default()).unwrap();
    let error = twice.group(|_| true, Group::default()).unwrap_err();
    assert_eq!(error, StepError::EmptyGroup { free: vec![] });
    let error =
        Sgd::<_, f64, Cpu>::try_new(&model, SGD).unwrap().group(|_| false, Group::default()).unwrap_err();
    assert!(matches!(&error, StepError::EmptyGroup { free } if free.len() == 4), "{error}");
    let wrong = Group { weight_decay: Some(f64::NAN), ..Default::default() };
    let error = Sgd::<_, f64, Cpu>::try_new(&model, SGD).unwrap().group(|_| true, wrong).unwrap_err();
    assert!(matches!(error, StepError::Hyperparameter { name: "weight_decay", .. }));
}

#[test]
fn clipping_bounds_the_gradient_and_keeps_its_direction() {
    let (model, _) = setup::<f64>();
    let g = flat_gradient();
    let with = |clip| change(Sgd::try_new(&model, SGD).unwrap().clip(clip).unwrap());
    let half = norm(&g) / 2.0;
    for (moved, g) in with(Clip::GlobalNorm(half)).iter().zip(&g) {
        assert_close!(*moved, -0.05 * g, 1e-12, 1e-16);
    }
    assert_close!(with(Clip::GlobalNorm(3.0 * half)), change(Sgd::try_new(&model, SGD).unwrap()), 1e-15);
    let moved = with(Clip::Norm(1e-3));
    for part in [0..12, 12..16, 16..24, 24..26] {
        assert_close!(norm(&moved[part]), 1e-4, 1e-10);
    }
    for (moved, g) in with(Clip::Value(0.01)).iter().zip(&g) {
        assert_close!(*moved, -0.1 * g.clamp(-0.01, 0.01), 1e-12, 1e-17);
    }
    let moved = with(Clip::Adaptive { ratio: 1e-3, floor: 1e-3 });
    let weights = params::flatten(&model);
    for row in 0..4 {
        let row = 3 * row..3 * row + 3;
        let bound = 1e-3 * norm(&weights[row.clone()]).max(1e-3);
        assert_close!(norm(&moved[row.clone()]), 0.1 * norm(&g[row]).min(bound), 1e-10);
    }
    for wrong in [0.0, -1.0, f64::NAN] {
        let error = Sgd::<_, f64, Cpu>::try_new(&model, SGD).unwrap().clip(Clip::Norm(wrong)).unwrap_err();
        assert!(matches!(error, StepError::Hyperparameter { name: "clip", .. }));
    }
}

#[test]
fn reports_tell_the_norms() {
    let (mut model, x) = setup::<f64>();
    let mut optimizer = Sgd::try_new(&model, SGD).unwrap().clip(Clip::GlobalNorm(0.1)).unwrap().track_norms();
    let g = norm(&flat_gradient());
    let mut all = gradients(&model, &x);
    let report = optimizer.step(&mut model, &mut all).unwrap();
    assert!(report.is_clipped && !report.is_skipped);
    assert_close!(report.gradient_norm.unwrap(), g, 1e-12);
    assert_close!(report.update_norm.unwrap(), 0.01, 1e-12);
    assert_close!(report.parameter_norm.unwrap(), norm(&params::flatten(&model)), 1e-12);
}

#[test]
fn unused_parameters_are_refused_skipped_or_zero() {
    let (start, x) = setup::<f64>();
    let momentum = SgdConfig { momentum: Momentum::HeavyBall(0.9), weight_decay: 0.1, ..SGD };
    let run = |unused| {
        let mut model = start.clone();
        let mut optimizer = Sgd::try_new(&model, momentum).unwrap().unused(unused);
        let mut all = gradients(&model, &x);
        optimizer.step(&mut model, &mut all).unwrap();
        let after_one = params::flatten(&model)[16..].to_vec();
        let mut first = model.0.forward(x.leaky_trace()).square().mean().backward();
        let result = optimizer.step(&mut model, &mut first);
        (result, after_one, params::flatten(&model)[16..].to_vec(), optimizer.steps())
    };
    let (result, before, after, steps) = run(Unused::Refuse);
    assert_eq!(result.unwrap_err(), StepError::Unused { names: vec!["1.weight".into(), "1.bias".into()] });
    assert_eq!((before, steps), (after, 1));
    let (result, before, after, steps) = run(Unused::Skip);
    result.unwrap();
    assert_eq!((before, steps), (after, 2));
    let (result, before, after, _) = run(Unused::Zero);
    result.unwrap();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "momentum and decay go on");
}

#[test]
fn gradients_that_are_not_finite_are_refused_or_skipped() {
    let (mut model, x) = setup::<f32>();
    let before = params::flatten(&model);
    let mut broken = gradients(&model, &x);
    broken.get_or_alloc_mut(&model.1.weight).unwrap()[5] = f32::NAN;
    let mut optimizer = Adam::try_new(&model, AdamConfig::default()).unwrap();
    let error = optimizer.step(&mut model, &mut broken.clone()).unwrap_err();
    assert_eq!(error, StepError::NotFinite { parameter: "1.weight".into(), step: 1 });
    assert_eq!(
        error.to_string(),
        "the gradient of `1.weight` is not finite in step 1; lower learning_rate, clip gradients, or look for NaN in the \
         batch and its labels"
    );
    let mut optimizer = optimizer.non_finite(NonFinite::Skip);
    let report = optimizer.step(&mut model, &mut broken.clone()).unwrap();
    assert!(report.is_skipped);
    assert_eq!((params::flatten(&model), optimizer.steps()), (before, 0));
    let mut optimizer = optimizer.non_finite(NonFinite::Ignore);
    assert!(!optimizer.step(&mut model, &mut broken).unwrap().is_skipped);
    assert_eq!(params::first_not_finite(&model).as_deref(), Some("1.weight"));
    // Large and finite: its square overflows f64, and it is no NaN.
    let mut w = Cpu::default().tensor([1.0_f64]);
    let mut large = Gradients::leaky();
    large.get_or_alloc_mut(&w).unwrap()[0] = 1e200;
    Sgd::try_new(&w, SgdConfig { learning_rate: 1e-200, ..SGD }).unwrap().step(&mut w, &mut large).unwrap();
    assert_close!(w.array()[0], 0.0, 0.0, 1e-12);
}

#[test]
fn constraints_hold_after_every_step() {
    let (mut model, x) = setup::<f64>();
    let config = SgdConfig { learning_rate: 3.0, ..SGD };
    let mut optimizer = Sgd::try_new(&model, config).unwrap().constraint(Constraint::MaxNorm(0.3)).unwrap();
    let free = Sgd::try_new(&model, config).unwrap();
    let bias_moves = change(free)[12..16].to_vec();
    let bias = params::flatten(&model)[12..16].to_vec();
    let mut all = gradients(&model, &x);
    optimizer.step(&mut model, &mut all).unwrap();
    let flat = params::flatten(&model);
    for row in flat[..12].chunks(3).chain(flat[16..24].chunks(4)) {
        assert!(norm(row) <= 0.3 * (1.0 + 1e-14), "{row:?}");
    }
    for i in 0..4 {
        assert_close!(flat[12 + i], bias[i] + bias_moves[i], 1e-14);
    }
    let mut optimizer =
        Sgd::try_new(&model, config).unwrap().constraint(Constraint::Interval(-0.01, 0.02)).unwrap();
    let mut all = gradients(&model, &x);
    optimizer.step(&mut model, &mut all).unwrap();
    assert!(params::flatten(&model).iter().all(|w| (-0.01..=0.02).contains(w)));
    for wrong in
        [Constraint::MaxNorm(0.0), Constraint::Interval(1.0, 0.0), Constraint::Interval(f64::NAN, 0.0)]
    {
        assert!(Sgd::<_, f64, Cpu>::try_new(&model, SGD).unwrap().constraint(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn averages_are_those_of_the_visited_weights() {
    for average in [Average::Exponential { decay: 0.7 }, Average::Uniform { from: 3, every: 2 }] {
        let (mut model, x) = setup::<f64>();
        let mut optimizer = Sgd::try_new(&model, SGD).unwrap().average(average).unwrap();
        let mut visited = vec![params::flatten(&model)];
        for _ in 0..8 {
            let mut all = gradients(&model, &x);
            optimizer.step(&mut model, &mut all).unwrap();
            visited.push(params::flatten(&model));
        }
        let got = params::flatten(&optimizer.evaluation(&model).unwrap());
        for (i, got) in got.iter().enumerate() {
            let want = match average {
                Average::Exponential { decay } => {
                    visited[1..].iter().fold(visited[0][i], |a, w| decay * a + (1.0 - decay) * w[i])
                }
                Average::Uniform { .. } => {
                    [3, 5, 7].iter().map(|&t: &usize| visited[t][i]).sum::<f64>() / 3.0
                }
            };
            assert_close!(*got, want, 1e-13, 1e-15, "{average:?}");
        }
        assert_eq!(params::flatten(&model), visited[8], "training does not see the average");
    }
}

/// Everything at once, stopped and resumed in the middle through JSON.
#[test]
fn a_resumed_run_with_everything_has_the_same_bits() {
    fn make(model: &Built<f32>) -> AdamW<Built<f32>, f32, Cpu> {
        AdamW::try_new(model, AdamWConfig { learning_rate: 0.02, ..Default::default() })
            .unwrap()
            .group(|p| p.ndim() == 1, Group { weight_decay: Some(0.0), ..Default::default() })
            .unwrap()
            .clip(Clip::GlobalNorm(0.5))
            .unwrap()
            .lookahead(Lookahead { every: 3, share: 0.5 })
            .unwrap()
            .average(Average::Exponential { decay: 0.9 })
            .unwrap()
    }
    let (mut model, x) = setup::<f32>();
    let mut optimizer = make(&model);
    let mut resumed = None;
    for step in 0..20 {
        if step == 0 || step == 10 {
            let saved = serde_json::to_string(&optimizer.state().unwrap()).unwrap();
            let saved: StepState = serde_json::from_str(&saved).unwrap();
            let mut other: Built<f32> = BuildModule::build(&Cpu::default());
            params::unflatten(&mut other, &params::flatten(&model)).unwrap();
            let mut fresh = make(&other);
            fresh.load_state(&saved).unwrap();
            resumed = Some((other, fresh));
        }
        let mut all = gradients(&model, &x);
        optimizer.step(&mut model, &mut all).unwrap();
        let (model, optimizer) = resumed.as_mut().unwrap();
        let mut all = gradients(model, &x);
        optimizer.step(model, &mut all).unwrap();
    }
    let (other, fresh) = resumed.unwrap();
    assert_eq!(params::flatten(&model), params::flatten(&other));
    let [a, b] =
        [optimizer.evaluation(&model), fresh.evaluation(&other)].map(|m| params::flatten(&m.unwrap()));
    assert_eq!(a, b);
    assert_eq!(optimizer.state().unwrap(), fresh.state().unwrap());
    // Made without the average, the state does not fit.
    let mut plain = AdamW::try_new(&model, AdamWConfig::default()).unwrap();
    let error = plain.load_state(&optimizer.state().unwrap()).unwrap_err();
    assert!(matches!(error, StepError::HyperparameterMismatch { .. }), "{error}");
}

/// Threads, and one tensor cut into several runs.
#[test]
fn steps_have_the_same_bits_for_any_number_of_threads() {
    type Wide = builders::Linear<300, 200>;
    let run = |threads| {
        kernels::pool::with_threads(threads, || {
            let dev = Cpu::seed_from_u64(5);
            let mut model: <Wide as BuildOnDevice<Cpu, f32>>::Built = BuildModule::build(&dev);
            let x: Tensor<Rank2<4, 300>, f32, _> = dev.sample_normal();
            let mut optimizer =
                AdamW::try_new(&model, AdamWConfig::default()).unwrap().clip(Clip::GlobalNorm(0.1)).unwrap();
            for _ in 0..3 {
                let mut all = model.forward(x.leaky_trace()).square().mean().backward();
                optimizer.step(&mut model, &mut all).unwrap();
            }
            params::flatten(&model)
        })
    };
    let want = run(1);
    assert!(run(2) == want && run(7) == want);
}

#[test]
fn rules_are_changed_between_steps_within_their_ranges() {
    let (model, _) = setup::<f64>();
    let mut optimizer =
        Sgd::<_, f64, Cpu>::try_new(&model, SgdConfig { momentum: Momentum::HeavyBall(0.9), ..SGD }).unwrap();
    optimizer.change_rule(|rule| rule.momentum = Momentum::HeavyBall(0.5)).unwrap();
    assert_eq!(optimizer.rule().momentum, Momentum::HeavyBall(0.5));
    let error = optimizer.change_rule(|rule| rule.momentum = Momentum::HeavyBall(1.0)).unwrap_err();
    assert!(matches!(error, StepError::Hyperparameter { name: "momentum", .. }));
    assert_eq!(optimizer.rule().momentum, Momentum::HeavyBall(0.5));
}
