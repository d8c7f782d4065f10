//! Every rule of lecture 8: whole trajectories of the reference, the invariances that tell rules apart, exact resume, and
//! what is refused.
use dfdx::shapes::*;
use dfdx::tensor::*;
use dfdx::tensor_ops::{Backward, SumTo};
use layers::testing::Golden;
use layers::{Step, StepError, StepReport, StepState, assert_close, params};
use optim::optimizers::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Vector<const N: usize> = Tensor<Rank1<N>, f64, Cpu>;

/// An optimiser of any rule for one vector.
type Dynamic<M> = Box<dyn Stepper<M>>;

/// What the tests need of an optimiser beside [`Step`].
trait Stepper<M>: Step<M, f64, Cpu> {
    fn evaluation(&self, model: &M) -> M;
}
impl<R: Rule, M: dfdx::nn::TensorCollection<f64, Cpu> + Clone> Stepper<M> for Optim<R, M, f64, Cpu> {
    fn evaluation(&self, model: &M) -> M {
        Optim::evaluation(self, model).unwrap()
    }
}

fn boxed<R: Rule + 'static, M>(model: &M, rule: R) -> Dynamic<M>
where
    M: dfdx::nn::TensorCollection<f64, Cpu> + Clone + 'static,
{
    Box::new(Optim::try_new(model, rule).unwrap())
}

/// One step along a gradient that is given.
fn step<M: Stepped>(
    optimizer: &mut Dynamic<M>,
    x: &mut M,
    gradient: &[f64],
) -> Result<StepReport, StepError> {
    let mut gradients = Gradients::leaky();
    x.fill(&mut gradients, gradient);
    optimizer.step(x, &mut gradients)
}

/// A model that is one tensor.
trait Stepped: Sized {
    fn fill(&self, gradients: &mut Gradients<f64, Cpu>, gradient: &[f64]);
}
impl<S: ConstShape> Stepped for Tensor<S, f64, Cpu> {
    fn fill(&self, gradients: &mut Gradients<f64, Cpu>, gradient: &[f64]) {
        gradients.get_or_alloc_mut(self).unwrap().copy_from_slice(gradient);
    }
}

fn golden(name: &str) -> Golden {
    Golden::open(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// The problems of the golden files.
enum Problem {
    Quadratic { a: Vec<f64>, b: Vec<f64> },
    Rosenbrock,
    Logistic { x: Vec<f64>, y: Vec<f64>, l2: f64 },
}

impl Problem {
    fn open(name: &str, golden: &Golden) -> Self {
        match name {
            "quadratic" => Self::Quadratic { a: golden.numbers("A"), b: golden.numbers("b") },
            "rosenbrock" => Self::Rosenbrock,
            "logistic" => {
                Self::Logistic { x: golden.numbers("X"), y: golden.numbers("y"), l2: golden.number("l2") }
            }
            other => panic!("unknown problem {other}"),
        }
    }

    fn gradient(&self, w: &[f64]) -> Vec<f64> {
        let n = w.len();
        match self {
            Self::Quadratic { a, b } => {
                (0..n).map(|i| (0..n).map(|j| a[n * i + j] * w[j]).sum::<f64>() - b[i]).collect()
            }
            Self::Rosenbrock => {
                let r = w[1] - w[0] * w[0];
                vec![-400.0 * w[0] * r - 2.0 * (1.0 - w[0]), 200.0 * r]
            }
            Self::Logistic { x, y, l2 } => {
                let mut gradient: Vec<f64> = w.iter().map(|w| l2 * w).collect();
                let count = y.len() as f64;
                for (row, y) in x.chunks(n).zip(y) {
                    let z: f64 = row.iter().zip(w).map(|(x, w)| x * w).sum();
                    let error = (1.0 / (1.0 + (-z).exp()) - y) / count;
                    gradient.iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                }
                gradient
            }
        }
    }
}

/// Hyperparameters of one run; every one must be read.
struct Given<'a> {
    golden: &'a Golden,
    path: String,
}
impl Given<'_> {
    fn get(&self, name: &str, otherwise: f64) -> f64 {
        let path = format!("{}/{name}", self.path);
        if !self.golden.has(&path) {
            return otherwise;
        }
        match self.golden.value(&path) {
            serde_json::Value::Bool(yes) => f64::from(u8::from(*yes)),
            value => value.as_f64().unwrap(),
        }
    }
    fn list<const N: usize>(&self, name: &str, otherwise: [f64; N]) -> [f64; N] {
        let path = format!("{}/{name}", self.path);
        if self.golden.has(&path) { self.golden.numbers(&path).try_into().unwrap() } else { otherwise }
    }
}

/// The optimiser of a run of `trajectories_<problem>.json`; `None` for L-BFGS, which has its own test.
fn torch_rule<const N: usize>(run: &str, given: &Given<'_>, x: &Vector<N>) -> Option<Dynamic<Vector<N>>> {
    let learning_rate = given.get("lr", f64::NAN);
    let decay = given.get("weight_decay", 0.0);
    let weight_decay = match given.get("decoupled_weight_decay", 0.0) == 1.0 || run.starts_with("adamw") {
        true => WeightDecay::Decoupled(decay),
        false => WeightDecay::Coupled(decay),
    };
    let [beta1, beta2] = given.list("betas", [0.9, 0.999]);
    let epsilon = |otherwise| given.get("eps", otherwise);
    Some(match run {
        _ if run.starts_with("sgd") => {
            let (coefficient, dampening) = (given.get("momentum", 0.0), given.get("dampening", 0.0));
            let momentum = match (coefficient, given.get("nesterov", 0.0)) {
                (0.0, _) => Momentum::None,
                (_, 1.0) => Momentum::Nesterov(coefficient),
                _ if dampening > 0.0 => Momentum::Dampened { coefficient, dampening },
                _ => Momentum::HeavyBall(coefficient),
            };
            boxed(x, SgdConfig { learning_rate, momentum, weight_decay: decay })
        }
        _ if run.starts_with("adagrad") => {
            let (rate_decay, initial) =
                (given.get("lr_decay", 0.0), given.get("initial_accumulator_value", 0.0));
            boxed(
                x,
                AdaGradConfig { learning_rate, rate_decay, initial, epsilon: epsilon(1e-10), weight_decay },
            )
        }
        "adadelta" => {
            let rho = given.get("rho", 0.9);
            boxed(x, AdadeltaConfig { learning_rate, rho, epsilon: epsilon(1e-6), weight_decay })
        }
        _ if run.starts_with("rmsprop") => boxed(
            x,
            RmsPropConfig {
                learning_rate,
                alpha: given.get("alpha", 0.99),
                epsilon: epsilon(1e-8),
                momentum: given.get("momentum", 0.0),
                is_centred: given.get("centered", 0.0) == 1.0,
                weight_decay: decay,
                variant: RmsPropVariant::Torch,
            },
        ),
        "rprop" => boxed(x, RpropConfig { learning_rate, ..Default::default() }),
        "adam" | "adam_l2" => {
            boxed(x, AdamConfig { learning_rate, beta1, beta2, epsilon: epsilon(1e-8), weight_decay: decay })
        }
        "adamw" => boxed(
            x,
            AdamWConfig {
                learning_rate,
                beta1,
                beta2,
                epsilon: epsilon(1e-8),
                weight_decay: decay,
                decay_base: None,
            },
        ),
        "amsgrad" | "adamw_amsgrad" => {
            assert_eq!(given.get("amsgrad", 0.0), 1.0);
            let variant = AmsGradVariant::Torch;
            boxed(
                x,
                AmsGradConfig { learning_rate, beta1, beta2, epsilon: epsilon(1e-8), variant, weight_decay },
            )
        }
        "adamax" => {
            boxed(x, AdamaxConfig { learning_rate, beta1, beta2, epsilon: epsilon(1e-8), weight_decay })
        }
        "nadam" | "nadam_decoupled" => boxed(
            x,
            NAdamConfig { learning_rate, beta1, beta2, epsilon: epsilon(1e-8), psi: 4e-3, weight_decay },
        ),
        "radam" | "radam_fast" => {
            boxed(x, RAdamConfig { learning_rate, beta1, beta2, weight_decay, ..Default::default() })
        }
        "asgd" => {
            let (lambda, alpha, start) =
                (given.get("lambd", 1e-4), given.get("alpha", 0.75), given.get("t0", 1e6));
            boxed(x, AsgdConfig { learning_rate, lambda, alpha, start, weight_decay })
        }
        _ if run.starts_with("lbfgs") => return None,
        other => panic!("no rule for the run {other}"),
    })
}

/// 50 steps; every iterate, to 1e-9 of the largest coordinate.
fn follow_torch<const N: usize>(problem: &str) {
    let golden = golden(&format!("trajectories_{problem}.json"));
    let function = Problem::open(problem, &golden);
    let start = golden.numbers("x0");
    for run in golden.keys("runs") {
        let path = format!("runs/{run}");
        let given = Given { golden: &golden, path: format!("{path}/params") };
        let mut x: Vector<N> = Cpu::default().tensor(start.clone());
        let Some(mut optimizer) = torch_rule(run, &given, &x) else {
            golden.skip(&path); // `second_order::lbfgs_follows_pytorch`
            continue;
        };
        let mut positions = x.as_vec();
        for _ in 0..50 {
            let gradient = function.gradient(&x.as_vec());
            step(&mut optimizer, &mut x, &gradient).unwrap();
            positions.extend(x.as_vec());
        }
        assert_close!(positions, golden.numbers(&format!("{path}/x")), 1e-9, 0.0, "{problem}: {run}");
        golden.skip(&format!("{path}/f")); // the objective of the same points
        if run == "asgd" {
            let average = optimizer.evaluation(&x).as_vec();
            assert_close!(average, golden.numbers(&format!("{path}/averaged_x")), 1e-9, 0.0, "{problem}");
        }
    }
    for about in golden.keys("").into_iter().filter(|key| *key != "runs" && *key != "x0") {
        if !matches!(about, "A" | "b" | "X" | "y" | "l2") {
            golden.skip(about);
        }
    }
    golden.finish();
}

#[test]
fn trajectories_are_those_of_pytorch() {
    follow_torch::<4>("quadratic");
    follow_torch::<2>("rosenbrock");
    follow_torch::<3>("logistic");
}

/// The optimiser of a run of `trajectories_extra.json`.
fn extra_rule<const N: usize>(run: &str, given: &Given<'_>, x: &Vector<N>) -> Dynamic<Vector<N>> {
    let learning_rate = given.get("lr", f64::NAN);
    let decay = given.get("weight_decay", 0.0);
    let none = WeightDecay::Coupled(0.0);
    let [beta1, beta2] = if run == "aggmo" { [0.0; 2] } else { given.list("betas", [0.9, 0.999]) };
    match run {
        "adabelief" => {
            let (epsilon, epsilon_square) = (given.get("eps", 1e-16), given.get("eps_root", 1e-16));
            boxed(
                x,
                AdaBeliefConfig { learning_rate, beta1, beta2, epsilon, epsilon_square, weight_decay: none },
            )
        }
        "lion" => {
            let weight_decay = WeightDecay::Decoupled(decay);
            boxed(x, LionConfig { learning_rate, beta1, beta2, weight_decay })
        }
        "yogi" => {
            let (epsilon, initial) = (given.get("eps", f64::NAN), given.get("initial_accumulator", f64::NAN));
            boxed(x, YogiConfig { learning_rate, beta1, beta2, epsilon, initial, weight_decay: none })
        }
        "lamb" => {
            let (epsilon, weight_decay) = (given.get("eps", f64::NAN), WeightDecay::InRule(decay));
            boxed(x, LambConfig { learning_rate, beta1, beta2, epsilon, weight_decay, ..Default::default() })
        }
        "lars" => {
            let (momentum, trust) =
                (given.get("momentum", f64::NAN), given.get("trust_coefficient", f64::NAN));
            boxed(x, LarsConfig { learning_rate, momentum, trust, weight_decay: WeightDecay::Coupled(decay) })
        }
        "lookahead_sgd" | "lookahead_adam" => {
            let lookahead =
                Lookahead { every: given.get("k", f64::NAN) as u64, share: given.get("alpha", f64::NAN) };
            if run == "lookahead_adam" {
                let rule = AdamConfig { learning_rate, ..Default::default() };
                Box::new(Optim::try_new(x, rule).unwrap().lookahead(lookahead).unwrap())
            } else {
                let momentum = Momentum::HeavyBall(0.9);
                let rule = SgdConfig { learning_rate, momentum, weight_decay: 0.0 };
                Box::new(Optim::try_new(x, rule).unwrap().lookahead(lookahead).unwrap())
            }
        }
        "amsgrad_optax" => {
            let variant = AmsGradVariant::Corrected;
            boxed(x, AmsGradConfig { learning_rate, beta1, beta2, variant, ..Default::default() })
        }
        "adabound" => {
            let (final_rate, gamma) = (given.get("final_lr", f64::NAN), given.get("gamma", f64::NAN));
            let epsilon = given.get("eps", f64::NAN);
            let config = AdaBoundConfig {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                final_rate,
                gamma,
                ..Default::default()
            };
            boxed(x, config)
        }
        "aggmo" => {
            let [beta1, beta2, beta3] = given.list("betas", [f64::NAN; 3]);
            boxed(x, AggMoConfig { learning_rate, beta1, beta2, beta3, weight_decay: none })
        }
        "qhm" => {
            let (beta, nu) = (given.get("beta", f64::NAN), given.get("nu", f64::NAN));
            boxed(x, QhmConfig { learning_rate, beta, nu, weight_decay: none })
        }
        "nesterov_agd" => boxed(x, NesterovAgdConfig { learning_rate, weight_decay: none }),
        "polyak_ruppert_sgd" => {
            let rule = SgdConfig { learning_rate, ..Default::default() };
            let average = Average::Uniform { from: 1, every: 1 };
            Box::new(Optim::try_new(x, rule).unwrap().average(average).unwrap())
        }
        "schedule_free_sgd" => {
            let beta = given.get("momentum", f64::NAN);
            boxed(x, ScheduleFreeSgdConfig { learning_rate, beta, warmup: 0.0, weight_decay: none })
        }
        "schedule_free_adamw" => {
            let (warmup, weight_decay) = (given.get("warmup_steps", 0.0), WeightDecay::InRule(decay));
            let epsilon = 1e-8;
            boxed(x, ScheduleFreeAdamWConfig { learning_rate, beta1, beta2, epsilon, warmup, weight_decay })
        }
        other => panic!("no rule for the run {other}"),
    }
}

fn follow_extra<const N: usize>(golden: &Golden, problem: &str) {
    let file = self::golden(&format!("trajectories_{problem}.json"));
    let function = Problem::open(problem, &file);
    let start = golden.numbers(&format!("x0/{problem}"));
    for key in file.keys("").into_iter().filter(|key| !matches!(*key, "A" | "b" | "X" | "y" | "l2")) {
        file.skip(key); // compared by `trajectories_are_those_of_pytorch`
    }
    file.finish();
    for run in golden.keys("runs") {
        let path = format!("runs/{run}/{problem}");
        if !golden.has(&path) {
            assert_eq!((run, problem), ("adabound", "rosenbrock"), "the one run that the file leaves out");
            continue;
        }
        let given = Given { golden, path: format!("{path}/params") };
        let mut x: Vector<N> = Cpu::default().tensor(start.clone());
        let mut optimizer = extra_rule(run, &given, &x);
        let (mut trained, mut evaluated) = (Vec::new(), Vec::new());
        for t in 1..=50 {
            let gradient = function.gradient(&x.as_vec());
            step(&mut optimizer, &mut x, &gradient).unwrap();
            if t % 5 == 0 {
                trained.extend(x.as_vec());
                evaluated.extend(optimizer.evaluation(&x).as_vec());
            }
        }
        let want = |key: &str| golden.numbers(&format!("{path}/{key}"));
        let context = format!("{run} on {problem}");
        match run {
            "polyak_ruppert_sgd" => {
                assert_close!(x.as_vec(), want("last"), 1e-9, 0.0, "{context}");
                assert_close!(evaluated[9 * N..].to_vec(), want("average"), 1e-9, 0.0, "{context}");
                continue;
            }
            "schedule_free_sgd" | "schedule_free_adamw" => {
                assert_close!(trained, want("y"), 1e-9, 0.0, "{context}");
                assert_close!(evaluated, want("x"), 1e-9, 0.0, "{context}");
            }
            "nesterov_agd" => assert_close!(evaluated, want("x"), 1e-9, 0.0, "{context}"),
            _ => assert_close!(trained, want("x"), 1e-9, 0.0, "{context}"),
        }
        let steps: Vec<f64> = (1..=10).map(|i| f64::from(5 * i)).collect();
        assert_eq!(want("at_steps"), steps);
        for text in ["note", "trust_ratio", "inner"] {
            if golden.has(&format!("{path}/params/{text}")) {
                golden.skip(&format!("{path}/params/{text}"));
            }
        }
    }
}

#[test]
fn trajectories_beyond_pytorch_are_those_of_the_references() {
    let golden = golden("trajectories_extra.json");
    follow_extra::<4>(&golden, "quadratic");
    follow_extra::<2>(&golden, "rosenbrock");
    follow_extra::<3>(&golden, "logistic");
    golden.skip("source");
    golden.skip("problems_in");
    golden.finish();
}

/// Twelve steps on ½|H (W − T)|².
#[test]
fn matrix_trajectories_are_those_of_pytorch() {
    type Matrix = Tensor<Rank2<5, 3>, f64, Cpu>;
    let golden = golden("trajectories_matrix.json");
    let [h, target] = ["H", "T"].map(|key| golden.numbers(key));
    let (h, target) =
        (nalgebra::DMatrix::from_row_slice(7, 5, &h), nalgebra::DMatrix::from_row_slice(5, 3, &target));
    for run in golden.keys("runs") {
        let path = format!("runs/{run}");
        let given = Given { golden: &golden, path: format!("{path}/params") };
        let mut w: Matrix = Cpu::default().tensor(golden.numbers("W0"));
        let learning_rate = given.get("lr", f64::NAN);
        let weight_decay = WeightDecay::Decoupled(given.get("weight_decay", 0.0));
        let mut optimizer: Dynamic<Matrix> = match run {
            "adafactor" | "adafactor_decay" => {
                let (decay_power, clip) = (given.get("beta2_decay", -0.8), given.get("d", 1.0));
                boxed(
                    &w,
                    AdafactorConfig { learning_rate, decay_power, clip, weight_decay, ..Default::default() },
                )
            }
            "muon" | "muon_plain_rms" => {
                let scale = match golden.has(&format!("{path}/params/adjust_lr_fn")) {
                    true if golden.text(&format!("{path}/params/adjust_lr_fn")) == "match_rms_adamw" => {
                        MuonScale::MatchRms
                    }
                    _ => MuonScale::Original,
                };
                let momentum = given.get("momentum", 0.95);
                let is_nesterov = given.get("nesterov", 1.0) == 1.0;
                boxed(
                    &w,
                    MuonConfig {
                        learning_rate,
                        momentum,
                        is_nesterov,
                        scale,
                        weight_decay,
                        ..Default::default()
                    },
                )
            }
            "sparse_adam" => boxed(&w, SparseAdamConfig { learning_rate, ..Default::default() }),
            other => panic!("no rule for the run {other}"),
        };
        let mut positions = Vec::new();
        for t in 0..12 {
            let at = nalgebra::DMatrix::from_row_slice(5, 3, &w.as_vec());
            let gradient = h.transpose() * &h * (at - &target);
            let mut gradient = gradient.transpose().as_slice().to_vec(); // row-major
            if run == "sparse_adam" {
                let rows = golden.numbers(&format!("{path}/rows/{t}"));
                for (i, row) in gradient.chunks_mut(3).enumerate() {
                    if !rows.contains(&(i as f64)) {
                        row.fill(0.0);
                    }
                }
            }
            step(&mut optimizer, &mut w, &gradient).unwrap();
            positions.extend(w.as_vec());
        }
        // PyTorch iterates Muon in bfloat16.
        let tolerance = if run.starts_with("muon") { 2e-2 } else { 1e-9 };
        assert_close!(positions, golden.numbers(&format!("{path}/W")), tolerance, 0.0, "{run}");
        if golden.has(&format!("{path}/note")) {
            golden.skip(&format!("{path}/note"));
        }
    }
    golden.skip("source");
    golden.skip("formula");
    golden.finish();
}

/// Adam converges to the worst point, AMSGrad to the best (Reddi et al. 2018, section 3).
#[test]
fn the_counterexample_of_reddi_is_reproduced() {
    let golden = golden("second_order.json");
    let c = golden.number("reddi_counterexample/C");
    let beta2 = 1.0 / (1.0 + c * c);
    for (key, is_amsgrad) in [("adam", false), ("amsgrad", true)] {
        let mut x: Vector<1> = Cpu::default().zeros();
        let constraint = Constraint::Interval(-1.0, 1.0);
        let variant = AmsGradVariant::Paper;
        let config = AmsGradConfig {
            learning_rate: 0.5,
            beta1: 0.0,
            beta2,
            epsilon: 0.0,
            variant,
            ..Default::default()
        };
        let mut amsgrad = Optim::try_new(&x, config).unwrap().constraint(constraint).unwrap();
        // Adam without bias correction is RMSprop with ε = 0.
        let config = RmsPropConfig { learning_rate: 0.5, alpha: beta2, epsilon: 0.0, ..Default::default() };
        let mut adam = Optim::try_new(&x, config).unwrap().constraint(constraint).unwrap();
        let mut positions = Vec::new();
        for t in 1..=2000 {
            let rate = 0.5 / f64::from(t).sqrt();
            let mut gradients = Gradients::leaky();
            x.fill(&mut gradients, &[if t % 3 == 1 { c } else { -1.0 }]);
            if is_amsgrad {
                amsgrad.set_learning_rate(rate).unwrap();
                amsgrad.step(&mut x, &mut gradients).unwrap();
            } else {
                adam.set_learning_rate(rate).unwrap();
                adam.step(&mut x, &mut gradients).unwrap();
            }
            if t % 200 == 0 {
                positions.extend(x.array());
            }
        }
        assert_close!(positions, golden.numbers(&format!("reddi_counterexample/{key}")), 1e-9, 0.0, "{key}");
    }
    golden.keys("").into_iter().filter(|key| *key != "reddi_counterexample").for_each(|key| golden.skip(key));
    golden.skip("reddi_counterexample/note");
    golden.finish();
}

/// All rules for a vector, with ε = 0 where the rule allows it, without decay.
fn rules<const N: usize>(x: &Vector<N>, learning_rate: f64) -> Vec<(&'static str, Dynamic<Vector<N>>)> {
    let none = WeightDecay::Coupled(0.0);
    let (beta1, beta2, epsilon) = (0.9, 0.99, 0.0);
    macro_rules! adam_like {
        ($config:ident) => {
            boxed(x, $config { learning_rate, beta1, beta2, epsilon, ..Default::default() })
        };
    }
    let sgd = |momentum| boxed(x, SgdConfig { learning_rate, momentum, weight_decay: 0.0 });
    vec![
        ("sgd", sgd(Momentum::None)),
        ("heavy ball", sgd(Momentum::HeavyBall(0.9))),
        ("nesterov", sgd(Momentum::Nesterov(0.9))),
        ("sutskever", sgd(Momentum::Sutskever(0.9))),
        ("dampened", sgd(Momentum::Dampened { coefficient: 0.9, dampening: 0.5 })),
        ("nesterov_agd", boxed(x, NesterovAgdConfig { learning_rate, weight_decay: none })),
        ("asgd", boxed(x, AsgdConfig { learning_rate, lambda: 0.0, start: 0.0, ..Default::default() })),
        ("qhm", boxed(x, QhmConfig { learning_rate, beta: 0.9, ..Default::default() })),
        ("aggmo", boxed(x, AggMoConfig { learning_rate, ..Default::default() })),
        ("schedule_free_sgd", boxed(x, ScheduleFreeSgdConfig { learning_rate, ..Default::default() })),
        ("adagrad", boxed(x, AdaGradConfig { learning_rate, epsilon, ..Default::default() })),
        ("adadelta", boxed(x, AdadeltaConfig { learning_rate, ..Default::default() })),
        ("rmsprop", boxed(x, RmsPropConfig { learning_rate, epsilon, ..Default::default() })),
        ("adam", adam_like!(AdamConfig)),
        (
            "adamw",
            boxed(
                x,
                AdamWConfig { learning_rate, beta1, beta2, epsilon, weight_decay: 0.0, decay_base: None },
            ),
        ),
        ("amsgrad", adam_like!(AmsGradConfig)),
        ("adamax", adam_like!(AdamaxConfig)),
        ("nadam", adam_like!(NAdamConfig)),
        (
            "radam",
            boxed(
                x,
                RAdamConfig {
                    learning_rate,
                    beta1,
                    beta2,
                    epsilon,
                    cold_start: ColdStart::Still,
                    ..Default::default()
                },
            ),
        ),
        (
            "yogi",
            boxed(x, YogiConfig { learning_rate, beta1, beta2, epsilon, initial: 0.0, weight_decay: none }),
        ),
        (
            "adabelief",
            boxed(x, AdaBeliefConfig { learning_rate, epsilon, epsilon_square: 0.0, ..Default::default() }),
        ),
        (
            "adabound",
            boxed(x, AdaBoundConfig { learning_rate, final_rate: 0.01, gamma: 1.0, ..Default::default() }),
        ),
        ("lion", boxed(x, LionConfig { learning_rate, ..Default::default() })),
        ("rprop", boxed(x, RpropConfig { learning_rate, ..Default::default() })),
        ("lars", boxed(x, LarsConfig { learning_rate, trust: 0.1, ..Default::default() })),
        (
            "lamb",
            boxed(
                x,
                LambConfig {
                    learning_rate,
                    epsilon,
                    weight_decay: WeightDecay::InRule(0.0),
                    ..Default::default()
                },
            ),
        ),
        (
            "schedule_free_adamw",
            boxed(x, ScheduleFreeAdamWConfig { learning_rate, epsilon, ..Default::default() }),
        ),
        ("adafactor", boxed(x, AdafactorConfig { learning_rate, ..Default::default() })),
        ("shampoo", boxed(x, ShampooConfig { learning_rate, ..Default::default() })),
        ("sparse_adam", adam_like!(SparseAdamConfig)),
    ]
}

/// Rules whose steps do not depend on the scale of the gradient.
const SCALE_FREE: [&str; 17] = [
    "adagrad",
    "rmsprop",
    "adam",
    "adamw",
    "amsgrad",
    "adamax",
    "nadam",
    "radam",
    "yogi",
    "adabelief",
    "lion",
    "rprop",
    "lars",
    "lamb",
    "schedule_free_adamw",
    "adafactor",
    "sparse_adam",
];
/// Rules whose steps turn with the coordinates.
const ROTATION_FREE: [&str; 11] = [
    "sgd",
    "heavy ball",
    "nesterov",
    "sutskever",
    "dampened",
    "nesterov_agd",
    "asgd",
    "qhm",
    "aggmo",
    "schedule_free_sgd",
    "lars",
];

/// Ten steps on ½ Σ λᵢ xᵢ², its gradient multiplied by `scale`.
fn descend(optimizer: &mut Dynamic<Vector<2>>, start: [f64; 2], scale: f64, turn: f64) -> Vec<f64> {
    let rotate = |v: [f64; 2], angle: f64| {
        [v[0] * angle.cos() - v[1] * angle.sin(), v[0] * angle.sin() + v[1] * angle.cos()]
    };
    let mut x: Vector<2> = Cpu::default().tensor(rotate(start, turn));
    let mut positions = Vec::new();
    for _ in 0..10 {
        let at = rotate(x.array(), -turn);
        let gradient = rotate([scale * at[0], scale * 3.0 * at[1]], turn);
        step(optimizer, &mut x, &gradient).unwrap();
        positions.extend(rotate(x.array(), -turn));
    }
    positions
}

fn difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(2026),
        failure_persistence: None,
        cases: 64,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn scaled_gradients_change_only_the_rules_that_should(
        start in prop::array::uniform2(0.5..2.0_f64), scale in prop::sample::select(vec![0.01, 7.0, 1000.0]),
    ) {
        let x: Vector<2> = Cpu::default().tensor(start);
        for ((name, mut one), (_, mut other)) in rules(&x, 0.01).into_iter().zip(rules(&x, 0.01)) {
            // With ε = 0 Adadelta does not move, and Shampoo's ε is not scaled.
            if ["adadelta", "shampoo"].contains(&name) { continue }
            let off = difference(&descend(&mut one, start, 1.0, 0.0), &descend(&mut other, start, scale, 0.0));
            if SCALE_FREE.contains(&name) {
                prop_assert!(off <= 1e-8, "{name}: {off:e}");
            } else {
                prop_assert!(off > 1e-5, "{name} ignores the scale of its gradients");
            }
        }
    }

    #[test]
    fn rotations_change_only_the_rules_that_should(
        start in prop::array::uniform2(0.5..2.0_f64), turn in 0.3..1.2_f64,
    ) {
        let x: Vector<2> = Cpu::default().tensor(start);
        let turned: Vector<2> = Cpu::default().tensor([
            start[0] * turn.cos() - start[1] * turn.sin(), start[0] * turn.sin() + start[1] * turn.cos(),
        ]);
        for ((name, mut one), (_, mut other)) in rules(&x, 0.02).into_iter().zip(rules(&turned, 0.02)) {
            let off = difference(&descend(&mut one, start, 1.0, 0.0), &descend(&mut other, start, 1.0, turn));
            if ROTATION_FREE.contains(&name) || ["adabound", "shampoo"].contains(&name) {
                // AdaBound is SGD where its bounds have closed; Shampoo of a vector is a full matrix.
                prop_assert!(name == "adabound" || off <= 1e-9, "{name}: {off:e}");
            } else if name == "radam" {
                // Still in its cold start.
            } else {
                prop_assert!(off > 1e-9, "{name} does not see its coordinates");
            }
        }
    }

    /// No first-order rule is blind to other units of one coordinate: x = T z with T = diag(1, 3).
    #[test]
    fn every_rule_sees_other_units(start in prop::array::uniform2(0.5..2.0_f64)) {
        let x: Vector<2> = Cpu::default().tensor(start);
        let other: Vector<2> = Cpu::default().tensor([start[0], start[1] / 3.0]);
        for ((name, mut one), (_, mut two)) in rules(&x, 0.02).into_iter().zip(rules(&other, 0.02)) {
            let (mut x, mut z) = (x.clone(), other.clone());
            for _ in 0..10 {
                let at = x.array();
                step(&mut one, &mut x, &[at[0], 3.0 * at[1]]).unwrap();
                let at = [z.array()[0], 3.0 * z.array()[1]];
                step(&mut two, &mut z, &[at[0], 3.0 * (3.0 * at[1])]).unwrap(); // Tᵀ ∇f(T z)
            }
            let off = difference(&x.array(), &[z.array()[0], 3.0 * z.array()[1]]);
            prop_assert!(off > 1e-6, "{name} does not see the units: {off:e}");
        }
    }

    /// A tensor that is c times as long, on the same function of x/c, goes c times the way under LAMB and no decay.
    #[test]
    fn lamb_goes_as_far_as_its_tensor_is_long(
        start in prop::array::uniform2(0.5..2.0_f64), factor in prop::sample::select(vec![0.25, 3.0, 40.0]),
    ) {
        let config = LambConfig {
            learning_rate: 0.05, epsilon: 0.0, weight_decay: WeightDecay::InRule(0.0), ..Default::default()
        };
        let (mut x, mut scaled): (Vector<2>, Vector<2>) =
            (Cpu::default().tensor(start), Cpu::default().tensor(start.map(|x| factor * x)));
        let (mut one, mut two) = (boxed(&x, config), boxed(&scaled, config));
        let adam = AdamConfig { learning_rate: 0.05, epsilon: 0.0, ..Default::default() };
        let (mut plain, mut stretched) = (x.clone(), scaled.clone());
        let (mut three, mut four) = (boxed(&plain, adam), boxed(&stretched, adam));
        for _ in 0..10 {
            let gradient = |x: [f64; 2], c: f64| [x[0] / c / c, 3.0 * x[1] / c / c];
            let at = x.array();
            step(&mut one, &mut x, &gradient(at, 1.0)).unwrap();
            let at = scaled.array();
            step(&mut two, &mut scaled, &gradient(at, factor)).unwrap();
            let at = plain.array();
            step(&mut three, &mut plain, &gradient(at, 1.0)).unwrap();
            let at = stretched.array();
            step(&mut four, &mut stretched, &gradient(at, factor)).unwrap();
        }
        prop_assert!(difference(&scaled.array().map(|x| x / factor), &x.array()) < 1e-12);
        prop_assert!(difference(&stretched.array().map(|x| x / factor), &plain.array()) > 1e-3, "Adam does not");
    }

    #[test]
    fn a_sign_flip_of_one_coordinate_commutes(start in prop::array::uniform2(0.5..2.0_f64)) {
        let flipped = [start[0], -start[1]];
        let (x, y): (Vector<2>, Vector<2>) = (Cpu::default().tensor(start), Cpu::default().tensor(flipped));
        for ((name, mut one), (_, mut other)) in rules(&x, 0.02).into_iter().zip(rules(&y, 0.02)) {
            let (a, mut b) = (descend(&mut one, start, 1.0, 0.0), descend(&mut other, flipped, 1.0, 0.0));
            b.iter_mut().skip(1).step_by(2).for_each(|b| *b = -*b);
            // Shampoo's eigenvectors are found by rotations that round differently.
            let tolerance = if name == "shampoo" { 1e-12 } else { 0.0 };
            prop_assert!(difference(&a, &b) <= tolerance, "{name}: {:e}", difference(&a, &b));
        }
    }

    #[test]
    fn nothing_moves_without_a_gradient(start in prop::array::uniform2(-2.0..2.0_f64)) {
        let x: Vector<2> = Cpu::default().tensor(start);
        for (name, mut optimizer) in rules(&x, 0.1) {
            let mut moved = x.clone();
            step(&mut optimizer, &mut moved, &[0.0, 0.0]).unwrap();
            // (1 - β) w + β w rounds.
            let tolerance = if name.starts_with("schedule_free") { 1e-15 } else { 0.0 };
            prop_assert!(difference(&moved.array(), &start) <= tolerance, "{name}");
        }
    }

    /// With ε = 0 the first bias-corrected step is the learning rate in every coordinate.
    #[test]
    fn the_first_step_of_adam_is_the_learning_rate(gradient in prop::array::uniform2(0.01..100.0_f64)) {
        let x: Vector<2> = Cpu::default().zeros();
        let first = |name: &str| {
            let mut optimizer = rules(&x, 0.1).into_iter().find(|rule| rule.0 == name).unwrap().1;
            let mut moved = x.clone();
            step(&mut optimizer, &mut moved, &gradient).unwrap();
            moved.array()
        };
        for name in ["adam", "adamw", "amsgrad"] {
            first(name).iter().for_each(|x| assert!((x + 0.1).abs() < 1e-15, "{name}: {x}"));
        }
        first("rmsprop").iter().for_each(|x| assert!((x + 0.1 / 0.01_f64.sqrt()).abs() < 1e-13, "rmsprop: {x}"));
    }

    /// |Δ| ≤ η (1−β₁)/(1−β₁ᵗ) √[(1−β₂ᵗ)/(1−β₂) · (1−(β₁²/β₂)ᵗ)/(1−β₁²/β₂)] for every sequence (Cauchy–Schwarz).
    #[test]
    fn steps_of_adam_obey_the_exact_bound(gradients in prop::collection::vec(-10.0..10.0_f64, 1..60)) {
        let (beta1, beta2) = (0.9_f64, 0.99_f64);
        let mut x: Vector<1> = Cpu::default().zeros();
        let mut optimizer = boxed(&x, AdamConfig { learning_rate: 1.0, beta1, beta2, epsilon: 0.0, weight_decay: 0.0 });
        for (i, gradient) in gradients.into_iter().enumerate() {
            let (before, t) = (x.array()[0], (i + 1) as i32);
            step(&mut optimizer, &mut x, &[gradient]).unwrap();
            let ratio = beta1 * beta1 / beta2;
            let bound = (1.0 - beta1) / (1.0 - beta1.powi(t))
                * ((1.0 - beta2.powi(t)) / (1.0 - beta2) * (1.0 - ratio.powi(t)) / (1.0 - ratio)).sqrt();
            prop_assert!((x.array()[0] - before).abs() <= bound * (1.0 + 1e-12));
        }
    }
}

/// Gradients that grow as (β₂/β₁)ⁱ attain the exact bound on a step of Adam; with the defaults of the paper it tends to
/// 7.270 learning rates, above the (1 − β₁)/√(1 − β₂) = 3.162 that the paper states, from some 300 steps on.
#[test]
fn growing_gradients_attain_the_exact_bound_of_adam() {
    let (beta1, beta2) = (0.9_f64, 0.999_f64);
    let ratio = beta1 * beta1 / beta2;
    let bound = |t: i32| {
        (1.0 - beta1) / (1.0 - beta1.powi(t))
            * ((1.0 - beta2.powi(t)) / (1.0 - beta2) * (1.0 - ratio.powi(t)) / (1.0 - ratio)).sqrt()
    };
    let stated = (1.0 - beta1) / (1.0 - beta2).sqrt();
    for (steps, above) in [(200, false), (300, true), (3000, true)] {
        let mut x: Vector<1> = Cpu::default().zeros();
        let config = AdamConfig { learning_rate: 1.0, beta1, beta2, epsilon: 0.0, weight_decay: 0.0 };
        let (mut optimizer, mut last) = (boxed(&x, config), 0.0);
        for i in 1..=steps {
            let before = x.array()[0];
            step(&mut optimizer, &mut x, &[(beta2 / beta1).powi(i - steps)]).unwrap(); // 1 in the end
            last = before - x.array()[0];
        }
        assert_close!(last, bound(steps), 1e-9);
        assert_eq!(last > stated, above, "{last} after {steps} steps");
    }
    assert_close!(bound(200), 3.0961, 1e-4);
    assert_close!(bound(100_000), 7.270, 1e-4);
}

/// 40 steps at once, and 40 steps with a save, a load into a fresh optimiser of a rebuilt model, and the rest: same bits.
#[test]
fn every_rule_resumes_with_the_same_bits() {
    let start = [1.3, -0.4];
    let x: Vector<2> = Cpu::default().tensor(start);
    let gradient = |x: &Vector<2>| [x.array()[0] + 0.1, 3.0 * x.array()[1]];
    for ((name, mut whole), (_, mut fresh)) in rules(&x, 0.05).into_iter().zip(rules(&x, 0.05)) {
        let (mut a, mut b) = (x.clone(), None);
        for t in 0..40 {
            if t == 20 {
                let saved = serde_json::to_string(&whole.state().unwrap()).unwrap();
                let saved: StepState = serde_json::from_str(&saved).unwrap();
                fresh.load_state(&saved).unwrap();
                b = Some(Cpu::default().tensor(a.array())); // new tensor id
            }
            let g = gradient(&a);
            step(&mut whole, &mut a, &g).unwrap();
            if let Some(b) = &mut b {
                let g = gradient(b);
                step(&mut fresh, b, &g).unwrap();
            }
        }
        let b = b.unwrap();
        assert_eq!(a.array(), b.array(), "{name}");
        assert_eq!(whole.state().unwrap(), fresh.state().unwrap(), "{name}");
        assert_eq!(whole.evaluation(&a).array(), fresh.evaluation(&b).array(), "{name}");
    }
}

/// A NaN in one gradient: nothing is changed, the parameter and the step are named; a state of another rule likewise.
#[test]
fn every_rule_refuses_what_is_broken_and_stays_as_it_was() {
    let x: Vector<2> = Cpu::default().tensor([1.0, 2.0]);
    let foreign = boxed(&x, LionConfig { learning_rate: 0.5, ..Default::default() }).state().unwrap();
    for (name, mut optimizer) in rules(&x, 0.05) {
        let mut w = x.clone();
        step(&mut optimizer, &mut w, &[0.5, -0.5]).unwrap();
        let (before, state) = (w.array(), optimizer.state().unwrap());
        for broken in [f64::NAN, f64::INFINITY] {
            let error = step(&mut optimizer, &mut w, &[0.5, broken]).unwrap_err();
            assert_eq!(error, StepError::NotFinite { parameter: String::new(), step: 2 }, "{name}");
            assert_eq!((w.array(), optimizer.state().unwrap()), (before, state.clone()), "{name}");
        }
        let mut unused = Gradients::leaky();
        let error = optimizer.step(&mut w, &mut unused).unwrap_err();
        assert!(matches!(error, StepError::Unused { .. }), "{name}: {error}");
        if name != "lion" {
            let error = optimizer.load_state(&foreign).unwrap_err();
            assert!(
                matches!(&error, StepError::RuleMismatch { got, .. } if got == "lion"),
                "{name}: {error}"
            );
        }
        let mut truncated = state.clone();
        truncated.slots.push(Default::default());
        let error = optimizer.load_state(&truncated).unwrap_err();
        assert!(matches!(error, StepError::SlotMismatch { .. }), "{name}: {error}");
        assert_eq!(optimizer.state().unwrap(), state, "{name}");
        for wrong in [f64::NAN, -0.1, f64::INFINITY] {
            assert!(optimizer.set_learning_rate(wrong).is_err(), "{name}");
        }
    }
}

#[test]
fn every_hyperparameter_has_its_range() {
    let x: Vector<2> = Cpu::default().zeros();
    fn refused<R: Rule>(x: &Vector<2>, rule: R) -> &'static str {
        match Optim::<R, _, f64, Cpu>::try_new(x, rule.clone()) {
            Err(StepError::Hyperparameter { name, .. }) => name,
            other => panic!("{rule:?} gave {:?}", other.map(drop)),
        }
    }
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(&x, AdamConfig { learning_rate: wrong, ..Default::default() }), "learning_rate");
        assert_eq!(refused(&x, LionConfig { learning_rate: wrong, ..Default::default() }), "learning_rate");
        assert_eq!(refused(&x, SgdConfig { learning_rate: wrong, ..Default::default() }), "learning_rate");
    }
    for wrong in [1.0, -0.1, f64::NAN] {
        assert_eq!(refused(&x, AdamConfig { beta1: wrong, ..Default::default() }), "beta1");
        assert_eq!(refused(&x, AdamWConfig { beta2: wrong, ..Default::default() }), "beta2");
        assert_eq!(refused(&x, RmsPropConfig { alpha: wrong, ..Default::default() }), "alpha");
        assert_eq!(refused(&x, AdadeltaConfig { rho: wrong, ..Default::default() }), "rho");
        assert_eq!(refused(&x, NAdamConfig { beta2: wrong, ..Default::default() }), "beta2");
        assert_eq!(refused(&x, LambConfig { beta1: wrong, ..Default::default() }), "beta1");
    }
    assert_eq!(refused(&x, AdamConfig { epsilon: -1e-8, ..Default::default() }), "epsilon");
    assert_eq!(refused(&x, RpropConfig { grow: 1.0, ..Default::default() }), "grow");
    // Below 4 the rectification is the root of a negative number; at 4 every step is finite.
    for wrong in [3.9, 0.0, -5.0, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(&x, RAdamConfig { threshold: wrong, ..Default::default() }), "threshold");
    }
    let rule = RAdamConfig { threshold: 3.9, ..Default::default() };
    let error = Optim::<_, _, f64, Cpu>::try_new(&x, rule).map(drop).unwrap_err().to_string();
    assert_eq!(error, "threshold must be finite and at least 4 (5 in PyTorch, 4 in the paper), got 3.9");
    let mut from_four = boxed(&x, RAdamConfig { threshold: 4.0, beta2: 0.9, ..Default::default() });
    let mut w = x.clone();
    for _ in 0..50 {
        step(&mut from_four, &mut w, &[0.5, -0.5]).unwrap();
    }
    assert!(w.array().iter().all(|w| w.is_finite()), "{:?}", w.array());
    assert_eq!(refused(&x, AdafactorConfig { decay_power: 0.8, ..Default::default() }), "decay_power");
    let misplaced = LionConfig { weight_decay: WeightDecay::InRule(0.1), ..Default::default() };
    assert_eq!(refused(&x, misplaced), "weight_decay");
    let misplaced = LambConfig { weight_decay: WeightDecay::Coupled(0.1), ..Default::default() };
    assert_eq!(refused(&x, misplaced), "weight_decay");
    let error = Optim::<_, _, f64, Cpu>::try_new(&x, MuonConfig::default()).unwrap_err();
    assert!(matches!(error, StepError::ParameterShape { rule: "muon", .. }), "{error}");
}

/// An optimiser keeps its moments by name and shape, not by the tensor's identity: a model that is built again goes on with
/// them. One of another shape is another type, and does not compile.
#[test]
fn a_model_built_again_goes_on_with_the_moments() {
    let make = || Cpu::default().tensor([1.0, 1.0]);
    let (mut model, mut again): (Vector<2>, Vector<2>) = (make(), make());
    let config = SgdConfig { momentum: Momentum::HeavyBall(0.5), ..Default::default() };
    let mut momentum = boxed(&model, config);
    step(&mut momentum, &mut model, &[1.0, 1.0]).unwrap();
    step(&mut momentum, &mut again, &[1.0, 1.0]).unwrap();
    let rate = config.learning_rate;
    assert_close!(again.array(), [1.0 - 1.5 * rate; 2], 1e-15);
}

/// f(QW) for orthogonal Q: Shampoo and Muon turn with it from the left.
#[test]
fn matrix_rules_turn_with_the_rows() {
    type Matrix = Tensor<Rank2<3, 2>, f64, Cpu>;
    let (sin, cos) = 0.7_f64.sin_cos();
    let q = nalgebra::matrix![cos, -sin, 0.0; sin, cos, 0.0; 0.0, 0.0, 1.0];
    let start = nalgebra::matrix![0.3, -1.2; 0.8, 0.1; -0.5, 0.9];
    let curvature = nalgebra::matrix![2.0, 0.3, 0.0; 0.3, 1.0, 0.2; 0.0, 0.2, 0.5];
    let row_major = |m: nalgebra::SMatrix<f64, 3, 2>| m.transpose().as_slice().to_vec();
    let run = |rule: &dyn Fn(&Matrix) -> Dynamic<Matrix>, q: nalgebra::SMatrix<f64, 3, 3>| {
        let mut w: Matrix = Cpu::default().tensor(row_major(q * start));
        let mut optimizer = rule(&w);
        for _ in 0..8 {
            let at = nalgebra::SMatrix::<f64, 3, 2>::from_row_slice(&w.as_vec());
            let gradient = q * curvature * q.transpose() * at;
            step(&mut optimizer, &mut w, &row_major(gradient)).unwrap();
        }
        q.transpose() * nalgebra::SMatrix::<f64, 3, 2>::from_row_slice(&w.as_vec())
    };
    let rules: [(&str, &dyn Fn(&Matrix) -> Dynamic<Matrix>, bool); 3] = [
        ("shampoo", &|w| boxed(w, ShampooConfig::default()), true),
        (
            "muon",
            &|w| {
                boxed(
                    w,
                    MuonConfig {
                        learning_rate: 0.1,
                        weight_decay: WeightDecay::Decoupled(0.0),
                        ..Default::default()
                    },
                )
            },
            true,
        ),
        ("adam", &|w| boxed(w, AdamConfig { learning_rate: 0.1, ..Default::default() }), false),
    ];
    for (name, rule, turns) in rules {
        let off = (run(rule, nalgebra::SMatrix::identity()) - run(rule, q)).amax();
        assert_eq!(off < 1e-10, turns, "{name}: {off:e}");
    }
}

/// Groups, clipping, lookahead and averages on a network, in f32, where parts of two optimisers must agree.
#[test]
fn wrappers_keep_their_laws() {
    let run = |make: &dyn Fn(&Vector<2>) -> Dynamic<Vector<2>>| {
        let mut x: Vector<2> = Cpu::default().tensor([1.0, -2.0]);
        let mut optimizer = make(&x);
        for _ in 0..12 {
            let gradient = [x.array()[0], 4.0 * x.array()[1]];
            step(&mut optimizer, &mut x, &gradient).unwrap();
        }
        (x.array(), optimizer.evaluation(&x).array())
    };
    let config = SgdConfig { learning_rate: 0.1, momentum: Momentum::HeavyBall(0.5), weight_decay: 0.0 };
    let plain = run(&|x| boxed(x, config));
    let whole = Lookahead { every: 1, share: 1.0 };
    let ahead = run(&|x| Box::new(Optim::try_new(x, config).unwrap().lookahead(whole).unwrap()));
    assert!(difference(&ahead.0, &plain.0) < 1e-15); // w + (v - w) rounds
    let last = Average::Uniform { from: 12, every: 1 };
    let (at, average) = run(&|x| Box::new(Optim::try_new(x, config).unwrap().average(last).unwrap()));
    assert_eq!(at, plain.0);
    assert!(difference(&average, &at) < 1e-15, "the average of one snapshot");
    // Schedule-free with β = 0 trains at z, which is gradient descent, and x is the mean of z.
    let free = ScheduleFreeSgdConfig { learning_rate: 0.1, beta: 0.0, ..Default::default() };
    let (z, mean) = run(&|x| boxed(x, free));
    let sgd = SgdConfig { learning_rate: 0.1, ..Default::default() };
    let every = Average::Uniform { from: 1, every: 1 };
    let (want, want_mean) = run(&|x| Box::new(Optim::try_new(x, sgd).unwrap().average(every).unwrap()));
    assert!(difference(&z, &want) < 1e-15 && difference(&mean, &want_mean) < 1e-15);
    // Sutskever's form is the heavy ball while the rate stays.
    let sutskever = SgdConfig { momentum: Momentum::Sutskever(0.5), ..config };
    assert!(difference(&run(&|x| boxed(x, sutskever)).0, &plain.0) < 1e-14);
    // AdamW in the paper's form decays by λ alone.
    let paper =
        AdamWConfig { learning_rate: 0.1, weight_decay: 0.03, decay_base: Some(0.1), ..Default::default() };
    let torch = AdamWConfig { weight_decay: 0.3, decay_base: None, ..paper };
    assert!(difference(&run(&|x| boxed(x, paper)).0, &run(&|x| boxed(x, torch)).0) < 1e-14);
}

/// dfdx's RMSprop is the variant of TensorFlow; its Adam is ours.
#[test]
fn dfdx_has_adam_and_the_rmsprop_of_tensorflow() {
    use dfdx::optim::Optimizer;
    let start: Vector<2> = Cpu::default().tensor([1.0, -2.0]);
    let (mut ours, mut theirs) = (start.clone(), start.clone());
    let config = RmsPropConfig {
        learning_rate: 0.05,
        alpha: 0.9,
        momentum: 0.0,
        variant: RmsPropVariant::Tf,
        ..Default::default()
    };
    let mut optimizer = Optim::try_new(&ours, config).unwrap();
    let reference = dfdx::optim::RMSpropConfig { lr: 0.05, alpha: 0.9, eps: 1e-8, ..Default::default() };
    let mut reference = dfdx::optim::RMSprop::new(&theirs, reference);
    for _ in 0..20 {
        let mut gradients = ours.leaky_trace().square().sum().backward();
        optimizer.step(&mut ours, &mut gradients).unwrap();
        let gradients = theirs.leaky_trace().square().sum().backward();
        reference.update(&mut theirs, &gradients).unwrap();
    }
    assert_close!(ours.array(), theirs.array(), 1e-12);
    let (mut ours, mut theirs) = (start.clone(), start);
    let mut optimizer =
        Optim::try_new(&ours, AdamConfig { learning_rate: 0.05, ..Default::default() }).unwrap();
    let mut reference =
        dfdx::optim::Adam::new(&theirs, dfdx::optim::AdamConfig { lr: 0.05, ..Default::default() });
    for _ in 0..20 {
        let mut gradients = ours.leaky_trace().square().sum().backward();
        optimizer.step(&mut ours, &mut gradients).unwrap();
        let gradients = theirs.leaky_trace().square().sum().backward();
        reference.update(&mut theirs, &gradients).unwrap();
    }
    assert_close!(ours.array(), theirs.array(), 1e-12);
    assert_eq!(params::count(&ours), 2);
}
