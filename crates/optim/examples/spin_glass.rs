//! How deep do the minima of a spin glass lie, and do they gather as it grows? Descends from many starts.
//!
//!     cargo run --release -p optim --example spin_glass -- --spins 20 --starts 20 --seed 1
use clap::Parser;
use optim::landscape::complexity::Complexity;
use optim::landscape::spin_glass::{DescendConfig, Hamiltonian};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::process::ExitCode;

#[macro_use]
mod support;

/// Draws a spherical spin glass of degree 3 and descends on the sphere.
#[derive(Parser)]
struct Flags {
    /// Weights of the polynomial; memory and time of a step grow with their cube
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(3..=200))]
    spins: u16,
    /// Descents, each from a random point
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    starts: u16,
    /// Of the polynomial and of the starts
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

const DEGREE: usize = 3;
/// Height of the longest bar.
const BAR: f64 = 40.0;

fn run(flags: &Flags) -> Result<(), optim::Error> {
    let mut rng = StdRng::seed_from_u64(flags.seed);
    let glass = Hamiltonian::<DEGREE>::sample(flags.spins.into(), &mut rng)?;
    let mut energies = Vec::new();
    let (mut minima, mut open) = (0, 0);
    for _ in 0..flags.starts {
        let start = glass.start(&mut rng);
        let end = glass.descend(&start, DescendConfig::default())?;
        minima += usize::from(end.index == 0);
        open += usize::from(end.gradient_norm > DescendConfig::default().tolerance);
        energies.push(end.energy_per_spin);
    }
    energies.sort_by(f64::total_cmp);
    let n = energies.len() as f64;
    let mean = energies.iter().sum::<f64>() / n;
    let deviation = (energies.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / n).sqrt();
    let (low, width) = (energies[0], (energies[energies.len() - 1] - energies[0]).max(1e-9) / 10.0);
    println!(
        "energy per spin of {} descents, {minima} end in a minimum, {open} are not at rest yet",
        flags.starts
    );
    for bin in 0..10 {
        let from = low + width * f64::from(bin);
        let here = |e: &&f64| ((**e - low) / width).min(9.0) as i32 == bin;
        let count = energies.iter().filter(here).count();
        println!("{from:8.4} {count:5} {}", "#".repeat((BAR * count as f64 / n).ceil() as usize));
    }
    let theory = Complexity::try_new(DEGREE)?;
    println!(
        "\nmean {mean:.4}, standard deviation {deviation:.4}; as the spins grow minima gather between -E0 = {:.4}\n\
         and -Einf = {:.4}",
        -theory.e_k(0),
        -theory.e_inf()
    );
    Ok(())
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
