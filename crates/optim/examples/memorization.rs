//! Does my network learn a rule or learn by heart? Trains it on digits, on digits with drawn labels, and on noise.
//!
//!     cargo run --release -p optim --example memorization -- --digits 300 --epochs 30 --seed 1
use clap::Parser;
use datasets::{Batches, digits};
use kernels::Relu;
use kernels::random::Key;
use layers::prelude::*;
use layers::{Momentum, SgdConfig, Step};
use optim::chain::{Chain, ChainSgd, he};
use optim::regularize::memorization::{
    Lass, answers, critical_sample_ratio, direct_sensitivity, gaussian_inputs, gini, randomize_labels,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::process::ExitCode;

#[macro_use]
mod support;

/// Trains a 64-256-10 network on three kinds of data and compares how it learns them.
#[derive(Parser)]
struct Flags {
    /// Training digits
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(50..=1000))]
    digits: u16,
    /// Passes over them
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
    /// Half the side of the box in which an example's answer is searched for a change; pixels lie in 0 to 1
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    radius: f64,
    /// First weights, order of the digits, noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const FEATURES: usize = 64;
const CLASSES: usize = 10;

fn run(flags: &Flags) -> Result<(), optim::Error> {
    let train = digits().by_writer().train;
    let rows: Vec<usize> = (0..usize::from(flags.digits)).collect();
    let real: Tensor<(usize, Const<FEATURES>), f32, _> = train.flat_batch(&rows, &Cpu::default());
    let real = real.as_vec();
    let labels = train.batch_labels(&rows);
    let mut rng = StdRng::seed_from_u64(flags.seed);
    let drawn = randomize_labels(&labels, CLASSES, 1.0, &mut rng);
    let noise = gaussian_inputs(&real, &mut rng);
    println!("{:<14} {:>8} {:>8} {:>8} {:>9}", "data", "pass 1", "last", "Gini", "critical");
    for (name, x, y) in
        [("digits", &real, &labels), ("drawn labels", &real, &drawn), ("noise", &noise, &labels)]
    {
        let [first, last, gini, critical] = learn(flags, x, y)?;
        println!(
            "{name:<14} {:>7.1}% {:>7.1}% {gini:>8.3} {:>8.1}%",
            1e2 * first,
            1e2 * last,
            1e2 * critical
        );
    }
    println!(
        "\npass 1, last: training examples learnt; Gini: near 0 if every example matters alike, near 1 if few do;\n\
         critical: examples whose answer changes within {} of them",
        flags.radius
    );
    Ok(())
}

/// Accuracy after the first and the last pass, Gini coefficient of the sensitivities, critical sample ratio.
fn learn(flags: &Flags, x: &[f32], labels: &[usize]) -> Result<[f64; 4], optim::Error> {
    let (device, n) = (Cpu::default(), labels.len());
    let key = Key::new(flags.seed);
    let mut net = Chain::<f32, Cpu>::new(&device, &[FEATURES, 256, CLASSES], Relu, he, key.fold(0))?;
    let config =
        SgdConfig { learning_rate: 0.05, momentum: Momentum::HeavyBall(0.9), ..SgdConfig::default() };
    let mut sgd = ChainSgd::try_new(&net, config)?;
    let batches = Batches::new(n, 20, flags.seed);
    let all = device.tensor_from_vec(x.to_vec(), (n, FEATURES));
    let learnt = |net: &Chain<f32, Cpu>| -> Result<f64, optim::Error> {
        let right = answers(net, &all)?.iter().zip(labels).filter(|(answer, label)| answer == label).count();
        Ok(right as f64 / n as f64)
    };
    let mut first = None;
    for epoch in 0..u64::from(flags.epochs) {
        for rows in batches.epoch(epoch) {
            let values: Vec<f32> =
                rows.iter().flat_map(|&row| &x[row * FEATURES..][..FEATURES]).copied().collect();
            let batch = device.tensor_from_vec(values, (rows.len(), FEATURES));
            let wanted: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
            let loss = kernels::cross_entropy_mean(net.forward(batch.leaky_trace()), &wanted);
            sgd.step(&mut net, &mut loss.backward())?;
        }
        first = Some(first.map_or_else(|| learnt(&net), Ok)?);
    }
    let last = learnt(&net)?;
    let gini = gini(&direct_sensitivity(&net, &all, labels)?)?;
    let radius = flags.radius;
    let lass = Lass { radius, alpha: radius / 5.0, beta: radius / 10.0, iterations: 30 };
    let critical = critical_sample_ratio(&net, &all, lass, key.fold(1))?;
    Ok([first.unwrap_or(last), last, gini, critical])
}

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
