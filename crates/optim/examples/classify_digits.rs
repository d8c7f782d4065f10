//! Which digits can a small network read? Trains Nielsen's network on digits, shows its mistakes, keeps its weights.
//!
//! `cargo run -p optim --example classify_digits -- --epochs 30 --out network.safetensors`
use std::{ops::ControlFlow, path::PathBuf, process::ExitCode};

use clap::Parser;
use datasets::{Images, digits};
use kernels::random::Key;
use nalgebra::SVector;
use optim::nielsen::{Example, Network, SgdConfig};

#[macro_use]
mod support;

/// Trains a 64-30-10 network on handwritten digits of 8 × 8 pixels; the test digits come from other writers.
#[derive(Parser)]
struct Arguments {
    /// Start and order of the examples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Passes over the 1,437 training digits
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Step size
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Weights to begin with: a file that an earlier run wrote
    #[arg(long)]
    weights: Option<PathBuf>,
    /// File for the weights
    #[arg(long)]
    out: Option<PathBuf>,
}

fn examples(images: &Images<1, 8, 8>) -> Result<Vec<Example<64, 10>>, optim::Error> {
    let pixels = |i| images.pixels(i).iter().map(|&level| f64::from(level) / f64::from(images.max_level()));
    (0..images.len()).map(|i| Example::labelled(SVector::from_iterator(pixels(i)), images.label(i))).collect()
}

fn run(arguments: &Arguments) -> Result<(), optim::Error> {
    let split = digits().by_writer();
    let (train, test) = (examples(&split.train)?, examples(&split.test)?);
    let key = Key::new(arguments.seed);
    let mut network = match &arguments.weights {
        Some(path) => Network::<64, 30, 10>::load(path)?,
        None => Network::new(&mut key.fold(0).rng()),
    };
    let config =
        SgdConfig::default().epochs(arguments.epochs as usize).learning_rate(arguments.learning_rate);
    network.sgd(&train, config, &mut key.fold(1).rng(), |epoch| {
        let accuracy = epoch.network.evaluate(&test).unwrap_or(f64::NAN); // the test digits are finite and not none
        println!("epoch {:2}: reads {:.1} % of {} test digits", epoch.number, 100.0 * accuracy, test.len());
        ControlFlow::Continue(())
    })?;
    println!("\ntrue digit, and how often it is read as 0 to 9:");
    for (digit, row) in network.confusion(&test)?.counts().iter().enumerate() {
        println!("{digit}: {}", row.map(|count| format!("{count:3}")).join(" "));
    }
    if let Some(path) = &arguments.out {
        network.save(path)?;
        println!("\nweights written to {}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
            eprintln!("error: {error}{cause}");
            ExitCode::FAILURE
        }
    }
}
