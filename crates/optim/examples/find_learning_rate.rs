//! With which learning rate should I begin? Sweeps it over seven powers of ten on the digits, and says where the loss falls.
//!
//! `cargo run -p optim --example find_learning_rate -- --steps 200 --momentum 0.9`
use std::process::ExitCode;

use clap::Parser;
use datasets::{Batches, digits};
use layers::prelude::*;
use optim::optimizers::{Momentum, Sgd, SgdConfig};
use optim::range_test::{RangeTestConfig, range_test};

#[macro_use]
mod support;

/// Raises the learning rate from step to step while a 64-64-10 network trains, and puts the network back afterwards.
#[derive(Parser)]
struct Arguments {
    /// First weights and order of the digits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Steps of the sweep
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(2..))]
    steps: u64,
    /// Of the heavy ball, in [0, 1)
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    momentum: f64,
    /// Digits in a batch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
}

fn run(arguments: &Arguments) -> Result<(), optim::Error> {
    let train = digits().by_writer().train;
    let dev = Cpu::seed_from_u64(arguments.seed);
    let mut model = dev.build_module::<(Linear<64, 64, Relu>, Linear<64, 10>), f32>();
    let momentum = Momentum::HeavyBall(arguments.momentum);
    let mut sgd = Sgd::try_new(&model, SgdConfig { momentum, ..SgdConfig::default() })?;
    let batches = Batches::new(train.len(), usize::from(arguments.batch), arguments.seed);
    let mut batches = (0..).flat_map(|epoch| batches.epoch(epoch));
    let config = RangeTestConfig { steps: arguments.steps, ..RangeTestConfig::default() };
    let found = range_test(
        &mut model,
        &mut sgd,
        |model, _| {
            let rows = batches.next().unwrap_or_default(); // there is always a next epoch
            let x: Tensor<(usize, Const<64>), f32, _> = train.flat_batch(&rows, &dev);
            let loss =
                kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &train.batch_labels(&rows));
            Ok((f64::from(loss.array()), loss.backward()))
        },
        config,
    )?;
    let least = found.averages.iter().copied().fold(f64::INFINITY, f64::min);
    println!("learning rate   mean loss of the last steps");
    for (rate, average) in found.rates.iter().zip(&found.averages).step_by((found.rates.len() / 20).max(1)) {
        let bar = "#".repeat((20.0 * average / least.max(1e-3)).clamp(0.0, 60.0) as usize);
        println!("{rate:13.1e}   {average:7.3} {bar}");
    }
    match found.divergence {
        Some(rate) => println!("\nthe loss explodes at {rate:.2e}"),
        None => println!("\nthe loss never explodes"),
    }
    println!("it falls most steeply at {:.2e}: begin there", found.suggestion);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
