//! dfdx's optimisers behind `Step`.
use dfdx::optim::{Adam, AdamConfig, Optimizer, RMSprop, Sgd, SgdConfig};
use dfdx::prelude::*;
use layers::{Step, StepError, params};

type Net = (Linear<3, 4>, Tanh, Linear<4, 2>);
type Built = <Net as BuildOnDevice<Cpu, f64>>::Built;

fn gradients(model: &Built, x: &Tensor<Rank2<5, 3>, f64, Cpu>) -> Gradients<f64, Cpu> {
    model.forward(x.leaky_trace()).square().mean().backward()
}

/// Both ways from the same start, five steps, compared bit for bit.
fn same_as_dfdx<O: Step<Built, f64, Cpu> + Optimizer<Built, Cpu, f64>>(make: impl Fn(&Built) -> O) {
    let dev = Cpu::seed_from_u64(3);
    let start = dev.build_module::<Net, f64>();
    let x = dev.sample_normal();
    let (mut by_step, mut by_dfdx) = (start.clone(), start.clone());
    let (mut step, mut update) = (make(&by_step), make(&by_dfdx));
    for _ in 0..5 {
        let (mut a, b) = (gradients(&by_step, &x), gradients(&by_dfdx, &x));
        step.step(&mut by_step, &mut a).unwrap();
        update.update(&mut by_dfdx, &b).unwrap();
    }
    assert_ne!(params::flatten(&by_step), params::flatten(&start));
    assert_eq!(params::flatten(&by_step), params::flatten(&by_dfdx));
}

#[test]
fn dfdx_optimisers_do_the_same_behind_step() {
    let momentum = Some(dfdx::optim::Momentum::Nesterov(0.9));
    same_as_dfdx(|m| Sgd::new(m, SgdConfig { lr: 0.1, momentum, weight_decay: None }));
    same_as_dfdx(|m| Adam::new(m, AdamConfig::default()));
    same_as_dfdx(|m| RMSprop::new(m, Default::default()));
}

#[test]
fn unused_parameters_are_named_before_anything_is_changed() {
    let dev = Cpu::seed_from_u64(3);
    let mut model = dev.build_module::<Net, f64>();
    let before = params::flatten(&model);
    let x: Tensor<Rank2<5, 3>, f64, _> = dev.sample_normal();
    let mut optimizer = Sgd::new(&model, SgdConfig { lr: 0.1, ..Default::default() });
    let mut only_first = model.0.forward(x.leaky_trace()).square().mean().backward();
    let error = optimizer.step(&mut model, &mut only_first).unwrap_err();
    assert_eq!(error, StepError::Unused { names: vec!["2.weight".into(), "2.bias".into()] });
    assert_eq!(params::flatten(&model), before);

    // The missing gradients are zeros now, and the ones that were there are intact: going on is a decision.
    let want = model.0.forward(x.leaky_trace()).square().mean().backward().get(&model.0.weight).array();
    assert_eq!(only_first.get(&model.0.weight).array(), want);
    optimizer.step(&mut model, &mut only_first).unwrap();
    assert_eq!(params::flatten(&model)[16..], before[16..]);
    assert_ne!(params::flatten(&model)[..16], before[..16]);
}

#[test]
fn scalars_and_allocated_gradients_are_not_taken_for_missing() {
    let dev = Cpu::default();
    let mut model = (dev.tensor(1.0_f64), dev.tensor([2.0_f64]), dev.tensor([3.0_f64, 4.0]));
    let mut optimizer = Sgd::new(&model, SgdConfig { lr: 0.5, ..Default::default() });
    let missing = |names: &[&str]| StepError::Unused { names: names.iter().map(|n| n.to_string()).collect() };
    let mut first = model.0.leaky_trace().square().backward();
    let error = optimizer.step(&mut model, &mut first).unwrap_err();
    assert_eq!(error, missing(&["1", "2"]));
    let mut last = model.2.leaky_trace().sum().backward();
    let error = optimizer.step(&mut model, &mut last).unwrap_err();
    assert_eq!(error, missing(&["0", "1"]));

    let gradients = model.alloc_grads();
    let mut gradients = model.0.trace(gradients).square().backward();
    optimizer.step(&mut model, &mut gradients).unwrap();
    assert_eq!((model.0.array(), model.1.array(), model.2.array()), (0.0, [2.0], [3.0, 4.0]));
    // The same buffers serve the next step.
    model.zero_grads(&mut gradients);
    let mut gradients = model.2.trace(gradients).sum().backward();
    optimizer.step(&mut model, &mut gradients).unwrap();
    assert_eq!((model.0.array(), model.1.array(), model.2.array()), (0.0, [2.0], [2.5, 3.5]));
}

#[test]
fn gradients_that_dfdx_dropped_are_missing() {
    let dev = Cpu::default();
    let mut model = (dev.tensor([1.0_f64]), dev.tensor([2.0_f64, 3.0]));
    // `alloc_grads` of a part: the backward pass computes the gradient of the other part, then drops it.
    let traced = model.0.trace(model.0.alloc_grads());
    let mut gradients = (traced.sum() + model.1.leaky_trace().sum()).backward();
    let mut optimizer = Sgd::new(&model, SgdConfig { lr: 0.5, ..Default::default() });
    let error = optimizer.step(&mut model, &mut gradients).unwrap_err();
    assert_eq!(error, StepError::Unused { names: vec!["1".into()] });
    assert_eq!(gradients.get(&model.0).array(), [1.0]);
}

#[test]
fn a_learning_rate_that_is_negative_or_not_finite_is_refused() {
    let model = Cpu::default().build_module::<Net, f64>();
    let mut optimizer = Adam::new(&model, AdamConfig::default());
    let optimizer: &mut dyn Step<Built, f64, Cpu> = &mut optimizer;
    for wrong in [-0.1, f64::NAN, f64::INFINITY] {
        let error = optimizer.set_learning_rate(wrong).unwrap_err();
        assert!(matches!(error, StepError::Hyperparameter { name: "learning_rate", .. }), "{error}");
        assert_eq!(optimizer.learning_rate(), 1e-3);
    }
    optimizer.set_learning_rate(0.25).unwrap();
    assert_eq!(optimizer.learning_rate(), 0.25);
}

#[test]
fn dfdx_optimisers_say_that_their_state_is_private() {
    let model = Cpu::default().build_module::<Net, f64>();
    let mut optimizer = Adam::new(&model, AdamConfig::default());
    let private = |e: &StepError| matches!(e, StepError::StateIsPrivate { optimizer: "Adam", .. });
    assert!(private(&Step::<Built, _, _>::state(&optimizer).unwrap_err()));
    assert!(private(&Step::<Built, _, _>::load_state(&mut optimizer, &Default::default()).unwrap_err()));
}
