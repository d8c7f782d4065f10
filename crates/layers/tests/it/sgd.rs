//! Our gradient descent: PyTorch's trajectories, exact resume, refusals.
use dfdx::prelude::*;
use layers::testing::Golden;
use layers::{
    Checkpoint, Momentum, Sgd, SgdConfig, Slot, Step, StepError, StepState, assert_close, builders, params,
};
use proptest::prelude::*;

type Net = (builders::Linear<3, 4, builders::Tanh>, builders::Linear<4, 2>);
type Built<E> = <Net as BuildOnDevice<Cpu, E>>::Built;
const NESTEROV: SgdConfig =
    SgdConfig { learning_rate: 0.05, momentum: Momentum::Nesterov(0.9), weight_decay: 0.01 };

fn gradients<E: kernels::Real>(model: &Built<E>, x: &Tensor<Rank2<5, 3>, E, Cpu>) -> Gradients<E, Cpu>
where
    Cpu: kernels::Device<E>,
{
    kernels::mse_mean(model.forward(x.leaky_trace()), x.device().ones()).backward()
}

#[test]
fn trajectories_are_those_of_pytorch() {
    let golden = Golden::open(crate::golden("trajectories_quadratic.json"));
    let dev = Cpu::default();
    let matrix: Tensor<Rank2<4, 4>, f64, _> = dev.tensor(golden.numbers("A"));
    let b: Tensor<Rank1<4>, f64, _> = dev.tensor(golden.numbers("b"));
    let start: Tensor<Rank1<4>, f64, _> = dev.tensor(golden.numbers("x0"));
    let mut runs = 0;
    for run in golden.keys("runs") {
        // The other rules are compared in the crate `optim`.
        if !run.starts_with("sgd") {
            golden.skip(&format!("runs/{run}"));
            continue;
        }
        let mut config = SgdConfig::default();
        let mut coefficient = None;
        let mut is_nesterov = false;
        let mut dampening = 0.0;
        for name in golden.keys(&format!("runs/{run}/params")) {
            let value = golden.value(&format!("runs/{run}/params/{name}"));
            match name {
                "lr" => config.learning_rate = value.as_f64().unwrap(),
                "momentum" => coefficient = value.as_f64(),
                "dampening" => dampening = value.as_f64().unwrap(),
                "nesterov" => is_nesterov = value.as_bool().unwrap(),
                "weight_decay" => config.weight_decay = value.as_f64().unwrap(),
                other => panic!("{run}: unknown parameter {other}"),
            }
        }
        config.momentum = match coefficient {
            None => Momentum::None,
            Some(coefficient) if is_nesterov => Momentum::Nesterov(coefficient),
            Some(coefficient) if dampening > 0.0 => Momentum::Dampened { coefficient, dampening },
            Some(coefficient) => Momentum::HeavyBall(coefficient),
        };
        let mut x = start.clone();
        let mut optimizer = Sgd::try_new(&x, config).unwrap();
        let (mut positions, mut values) = (Vec::new(), Vec::new());
        for _ in 0..=50 {
            let ax = x.leaky_trace().matmul(matrix.clone());
            let objective = (ax * x.clone()).sum() * 0.5 - (x.leaky_trace() * b.clone()).sum();
            positions.extend(x.array());
            values.push(objective.array());
            optimizer.step(&mut x, &mut objective.backward()).unwrap();
        }
        assert_eq!(optimizer.steps(), 51);
        // The inputs have 13 digits; observed 1.4e-12 of the largest coordinate.
        assert_close!(positions, golden.numbers(&format!("runs/{run}/x")), 1e-11, 0.0, "{run}");
        assert_close!(values, golden.numbers(&format!("runs/{run}/f")), 1e-11, 0.0, "{run}");
        runs += 1;
    }
    assert_eq!(runs, 5, "plain, heavy ball, dampened, Nesterov, weight decay");
    ["source", "problem", "formula", "eigenvalues", "minimiser"].iter().for_each(|about| golden.skip(about));
    golden.finish();
}

/// 40 steps at once, and 40 steps with a stop in the middle: state through `store`, model with new tensor ids.
fn resume_is_exact<E: kernels::Real>(config: SgdConfig, store: impl Fn(&StepState) -> StepState)
where
    Cpu: kernels::Device<E>,
    rand_distr::StandardNormal: rand_distr::Distribution<E>,
{
    let dev = Cpu::seed_from_u64(5);
    let mut whole: Built<E> = BuildModule::build(&dev);
    let x = dev.sample_normal();
    let mut optimizer = Sgd::try_new(&whole, config).unwrap();
    let mut resumed = None;
    for step in 0..40 {
        if step == 20 {
            let mut model: Built<E> = BuildModule::build(&dev);
            params::unflatten(&mut model, &params::flatten(&whole)).unwrap();
            let mut other = Sgd::try_new(&model, SgdConfig { learning_rate: 9.0, ..config }).unwrap();
            other.load_state(&store(&optimizer.state().unwrap())).unwrap();
            assert_eq!((other.steps(), other.learning_rate()), (20, 0.025));
            resumed = Some((model, other));
        }
        optimizer.set_learning_rate(0.05 / (1.0 + step.min(1) as f64)).unwrap();
        let mut at_whole = gradients(&whole, &x);
        optimizer.step(&mut whole, &mut at_whole).unwrap();
        if let Some((model, optimizer)) = &mut resumed {
            let mut gradients = gradients(model, &x);
            optimizer.step(model, &mut gradients).unwrap();
        }
    }
    let (model, resumed) = resumed.unwrap();
    assert_eq!(params::flatten(&model), params::flatten(&whole), "{config:?}");
    assert_eq!(resumed.state().unwrap(), optimizer.state().unwrap());
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let through_json =
        |state: &StepState| serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let through_file = |state: &StepState| {
        let path = folder.path().join("state.safetensors");
        let mut checkpoint = Checkpoint::default();
        checkpoint.insert_state("deep.down", state);
        checkpoint.write(&path).unwrap();
        Checkpoint::read(&path).unwrap().state("deep.down").unwrap()
    };
    for momentum in [Momentum::None, Momentum::HeavyBall(0.9), Momentum::Nesterov(0.8)] {
        let config = SgdConfig { momentum, ..NESTEROV };
        resume_is_exact::<f64>(config, through_json);
        resume_is_exact::<f32>(config, through_file);
        resume_is_exact::<f64>(config, through_file);
    }
}

#[test]
fn it_equals_the_optimiser_of_dfdx() {
    use dfdx::optim::{Momentum as M, Optimizer, Sgd as Theirs, SgdConfig as Config, WeightDecay};
    let dev = Cpu::seed_from_u64(6);
    let (mut ours, x) = (dev.build_module::<Net, f64>(), dev.sample_normal());
    let mut theirs = ours.clone();
    let mut optimizer = Sgd::try_new(&ours, NESTEROV).unwrap();
    let config =
        Config { lr: 0.05, momentum: Some(M::Nesterov(0.9)), weight_decay: Some(WeightDecay::L2(0.01)) };
    let mut reference = Theirs::new(&theirs, config);
    for _ in 0..20 {
        let (mut a, b) = (gradients(&ours, &x), gradients(&theirs, &x));
        optimizer.step(&mut ours, &mut a).unwrap();
        reference.update(&mut theirs, &b).unwrap();
    }
    assert_close!(params::flatten(&ours), params::flatten(&theirs), 1e-14); // observed 2e-16
}

#[test]
fn an_error_changes_neither_model_nor_state() {
    let dev = Cpu::seed_from_u64(7);
    let mut model = dev.build_module::<Net, f64>();
    let x: Tensor<Rank2<5, 3>, f64, _> = dev.sample_normal();
    let mut optimizer = Sgd::try_new(&model, NESTEROV).unwrap();
    let mut all = gradients(&model, &x);
    optimizer.step(&mut model, &mut all).unwrap();
    let (weights, state) = (params::flatten(&model), optimizer.state().unwrap());

    let mut only_first = model.0.forward(x.leaky_trace()).square().mean().backward();
    let error = optimizer.step(&mut model, &mut only_first).unwrap_err();
    assert_eq!(error, StepError::Unused { names: vec!["1.weight".into(), "1.bias".into()] });
    assert_eq!(
        error.to_string(),
        "every trainable parameter needs a gradient, got none for [\"1.weight\", \"1.bias\"]; let the loss depend on \
         them, or trace with gradients from alloc_grads to count them as zero"
    );
    assert_eq!((params::flatten(&model), optimizer.state().unwrap()), (weights.clone(), state.clone()));

    let damage: [(&str, fn(&mut StepState)); 9] = [
        ("rule", |s| s.rule = "adam".into()),
        ("momentum", |s| *s.hyperparameters.get_mut("momentum").unwrap() = 0.8),
        ("extra hyperparameter", |s| _ = s.hyperparameters.insert("beta".into(), 0.1)),
        ("learning rate", |s| s.learning_rate = f64::NAN),
        ("name", |s| s.slots[2].key.parameter = "2.weight".into()),
        ("shape", |s| s.slots[0].key.shape = vec![3, 4]),
        ("too few slots", |s| _ = s.slots.pop()),
        ("too many slots", |s| s.slots.push(Slot::default())),
        ("values", |s| _ = s.slots[1].values.pop()),
    ];
    for (what, damage) in damage {
        let mut damaged = state.clone();
        damage(&mut damaged);
        damaged.slots.iter_mut().for_each(|slot| slot.values.fill(1.0));
        let error = optimizer.load_state(&damaged).expect_err(what);
        let fits = match what {
            "rule" => matches!(error, StepError::RuleMismatch { .. }),
            "learning rate" => matches!(error, StepError::Hyperparameter { name: "learning_rate", .. }),
            "momentum" | "extra hyperparameter" => matches!(error, StepError::HyperparameterMismatch { .. }),
            "name" => matches!(error, StepError::SlotMismatch { position: 2, .. }),
            "shape" => matches!(error, StepError::SlotMismatch { position: 0, .. }),
            "too few slots" => matches!(error, StepError::SlotMismatch { position: 3, got: None, .. }),
            "too many slots" => matches!(error, StepError::SlotMismatch { position: 4, expected: None, .. }),
            _ => matches!(error, StepError::SlotValues { expected: 4, got: 3, .. }),
        };
        assert!(fits, "{what}: {error:?}");
        assert_eq!(optimizer.state().unwrap(), state, "{what}");
    }

    let single: Built<f32> = BuildModule::build(&dev);
    let mut in_f32 = Sgd::try_new(&single, NESTEROV).unwrap();
    assert!(
        matches!(in_f32.load_state(&state), Err(StepError::SlotValues { .. })),
        "f64 bits do not fit in f32"
    );
}

#[test]
fn hyperparameters_out_of_range_are_refused() {
    let model = Cpu::default().tensor([1.0_f64]);
    let refused = |config: SgdConfig| match Sgd::try_new(&model, config) {
        Err(StepError::Hyperparameter { name, .. }) => name,
        other => panic!("{config:?} gave {other:?}"),
    };
    for wrong in [f64::NAN, f64::INFINITY, -1e-9] {
        assert_eq!(refused(SgdConfig { learning_rate: wrong, ..NESTEROV }), "learning_rate");
        assert_eq!(refused(SgdConfig { weight_decay: wrong, ..NESTEROV }), "weight_decay");
        assert_eq!(refused(SgdConfig { momentum: Momentum::HeavyBall(wrong), ..NESTEROV }), "momentum");
    }
    assert_eq!(refused(SgdConfig { momentum: Momentum::Nesterov(1.0), ..NESTEROV }), "momentum");
    let error = Sgd::try_new(&model, SgdConfig { learning_rate: -0.5, ..NESTEROV }).unwrap_err();
    assert_eq!(error.to_string(), "learning_rate must be finite and above 0, got -0.5");
    assert_eq!(refused(SgdConfig { learning_rate: 0.0, ..NESTEROV }), "learning_rate");
    assert_eq!(refused(SgdConfig { momentum: Momentum::Nesterov(0.0), ..NESTEROV }), "momentum");
    let mut optimizer =
        Sgd::try_new(&model, SgdConfig { momentum: Momentum::HeavyBall(0.0), ..NESTEROV }).unwrap();
    optimizer.set_learning_rate(0.0).unwrap(); // where a schedule ends
}

proptest! {
    #[test]
    fn splitting_a_parameter_does_not_change_the_trajectory(
        start in prop::array::uniform4(-2.0..2.0_f64), scale in prop::array::uniform4(0.1..2.0_f64),
    ) {
        let dev = Cpu::default();
        let mut one = dev.tensor(start);
        let mut two = (dev.tensor([start[0]]), dev.tensor([start[1], start[2], start[3]]));
        let (s, s0, s1) = (dev.tensor(scale), dev.tensor([scale[0]]), dev.tensor([scale[1], scale[2], scale[3]]));
        let (mut a, mut b) = (Sgd::try_new(&one, NESTEROV).unwrap(), Sgd::try_new(&two, NESTEROV).unwrap());
        for _ in 0..10 {
            let mut g = (one.leaky_trace().square() * s.clone()).sum().backward();
            let parts = (two.0.leaky_trace().square() * s0.clone()).sum() + (two.1.leaky_trace().square() * s1.clone()).sum();
            let mut h = parts.backward();
            a.step(&mut one, &mut g).unwrap();
            b.step(&mut two, &mut h).unwrap();
        }
        prop_assert_eq!(params::flatten(&one), params::flatten(&two));
    }
}
