//! Which optimiser reaches the lowest loss on my problem, each with a learning rate tuned for it?
//!
//!     cargo run --release -p optim --example compare_optimisers -- [--steps N] [--seed N]
//!
//! A small network learns a spiral. Every rule gets the same grid of learning rates, the same start and the same number
//! of steps; the table shows the best of each, and whether it lies on the edge of the grid (then widen the grid).
use layers::prelude::*;
use layers::{StepError, params};
use optim::optimizers::*;
use std::process::ExitCode;

#[macro_use]
mod support;

type Net = (Linear<2, 32, Tanh>, Linear<32, 32, Tanh>, Linear<32, 1>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;
type Points = (Tensor<Rank2<200, 2>, f32, Cpu>, Tensor<Rank2<200, 1>, f32, Cpu>);

const HELP: &str = "\
Trains a small network on two spirals with every rule and a grid of learning rates, and prints the best of each

Usage: compare_optimisers [--steps N] [--seed N]

Options:
      --steps N  Steps of each run, at least 1 [default: 300]
      --seed N   Seed of the first weights [default: 0]
  -h, --help     Print help";

const GRID: [f64; 6] = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1];

fn main() -> ExitCode {
    let (mut steps, mut seed) = (300_u64, 0_u64);
    let mut words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--help" || word == "-h" {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        let (target, least) = match word.as_str() {
            "--steps" => (&mut steps, 1),
            "--seed" => (&mut seed, 0),
            _ => {
                eprintln!("unknown option `{word}`; use it as compare_optimisers [--steps N] [--seed N]");
                return ExitCode::from(2);
            }
        };
        let value = words.next().unwrap_or_default();
        match value.parse() {
            Ok(number) if number >= least => *target = number,
            _ => {
                eprintln!("{word} takes a whole number of at least {least}, got `{value}`");
                return ExitCode::from(2);
            }
        }
    }
    match compare(steps, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(steps: u64, seed: u64) -> Result<(), StepError> {
    let device = Cpu::seed_from_u64(seed);
    let start = device.build_module::<Net, f32>();
    let points = spirals(&device);
    println!("loss after {steps} steps, {} weights", params::count(&start));
    println!("{:<22} {:>8} {:>14}", "rule", "loss", "learning rate");
    macro_rules! row {
        ($name:literal, $config:expr) => {
            let runs: Vec<(f32, f64)> = GRID
                .into_iter()
                .map(|rate| Ok((train(&start, &points, $config, rate, steps)?, rate)))
                .collect::<Result<_, StepError>>()?;
            let best =
                runs.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f32::NAN, f64::NAN));
            let edge =
                if best.1 == GRID[0] || best.1 == GRID[GRID.len() - 1] { " (edge of the grid)" } else { "" };
            println!("{:<22} {:>8.4} {:>14}{edge}", $name, best.0, best.1);
        };
    }
    row!("SGD", SgdConfig::default());
    row!("SGD, heavy ball", SgdConfig { momentum: Momentum::HeavyBall(0.9), ..Default::default() });
    row!("SGD, Nesterov", SgdConfig { momentum: Momentum::Nesterov(0.9), ..Default::default() });
    row!("AdaGrad", AdaGradConfig::default());
    row!("RMSprop", RmsPropConfig::default());
    row!("Adam", AdamConfig::default());
    row!("AMSGrad", AmsGradConfig::default());
    row!("NAdam", NAdamConfig::default());
    row!("RAdam", RAdamConfig::default());
    row!("AdaBelief", AdaBeliefConfig::default());
    row!("Lion", LionConfig::default());
    row!("schedule-free AdamW", ScheduleFreeAdamWConfig::default());
    row!("LAMB", LambConfig::default());
    row!("Shampoo", ShampooConfig::default());
    Ok(())
}

/// The loss after `steps` steps; infinite when the run breaks.
fn train<R: Rule>(
    start: &Built,
    points: &Points,
    mut rule: R,
    rate: f64,
    steps: u64,
) -> Result<f32, StepError> {
    rule.set_learning_rate(rate);
    let mut model = start.clone();
    let mut optimizer = Optim::try_new(&model, rule)?;
    for _ in 0..steps {
        let loss = kernels::mse_mean(model.forward(points.0.leaky_trace()), points.1.clone());
        match optimizer.step(&mut model, &mut loss.backward()) {
            Err(StepError::NotFinite { .. }) => return Ok(f32::INFINITY),
            result => result?,
        };
    }
    let model = optimizer.evaluation(&model)?;
    let loss = kernels::mse_mean(model.forward(points.0.clone()), points.1.clone()).array();
    Ok(if loss.is_finite() { loss } else { f32::INFINITY })
}

/// Two spirals that wind around each other, +1 and −1.
fn spirals(device: &Cpu) -> Points {
    let point = |i: usize| {
        let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let t = 0.5 + 2.0 * std::f32::consts::PI * (i / 2) as f32 / 100.0;
        ([sign * t.cos() * t / 7.0, sign * t.sin() * t / 7.0], [sign])
    };
    let (inputs, targets): (Vec<_>, Vec<_>) = (0..200).map(point).unzip();
    (device.tensor(inputs.concat()), device.tensor(targets.concat()))
}
