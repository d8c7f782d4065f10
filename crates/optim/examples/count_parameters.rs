//! What will my network cost? Parameters, multiply-adds, memory and receptive field, before anything is built.
//!
//!     cargo run -p optim --example count_parameters
//!     cargo run -p optim --example count_parameters -- ResNet-50 --batch 32 --slots 1
//!     cargo run -p optim --example count_parameters -- --mlp 784,512,512,10
use clap::Parser;
use optim::architecture::count::{Cost, Network};
use optim::architecture::zoo;
use std::process::ExitCode;

#[macro_use]
mod support;

/// Counts a network of the zoo, one of fully connected layers, or all.
#[derive(Parser)]
struct Flags {
    /// A name as the list without arguments writes it; case does not matter [default: all]
    #[arg(conflicts_with = "mlp")]
    network: Option<String>,
    /// Widths of a fully connected network, from the inputs to the outputs
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    mlp: Option<Vec<u32>>,
    /// Examples in a batch, for the memory of training
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Numbers that the optimiser keeps for each weight: 0 for plain SGD, 1 with momentum, 2 for Adam
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=8))]
    slots: u8,
}

fn chosen(flags: &Flags) -> Result<Vec<Network>, String> {
    if let Some(widths) = &flags.mlp {
        if widths.len() < 2 {
            return Err(format!("--mlp needs at least 2 widths and got {}: inputs,…,outputs", widths.len()));
        }
        let widths: Vec<usize> = widths.iter().map(|&width| width as usize).collect();
        return Ok(vec![zoo::mlp("MLP", &widths)]);
    }
    let all = zoo::all();
    let Some(wanted) = &flags.network else { return Ok(all) };
    let names: Vec<&str> = all.iter().map(|network| network.name).collect();
    let unknown = format!("no network is called `{wanted}`; there are {}", names.join("; "));
    let found = all.into_iter().find(|network| network.name.eq_ignore_ascii_case(wanted));
    found.map(|network| vec![network]).ok_or(unknown)
}

fn row(network: &Network, cost: &Cost, flags: &Flags) -> String {
    let megabytes = cost.training_bytes(flags.batch.into(), flags.slots.into()) as f64 / 1e6;
    let field = if cost.receptive_field > 0 { cost.receptive_field.to_string() } else { "-".into() };
    let Cost { parameters, macs, weight_layers, .. } = cost;
    let input = network.input.to_string();
    format!(
        "{:<22} {input:>15} {parameters:>12} {macs:>15} {weight_layers:>7} {field:>6} {megabytes:>10.1}",
        network.name
    )
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let networks = match chosen(&flags) {
        Ok(networks) => networks,
        Err(text) => {
            eprintln!("error: {text}");
            return ExitCode::from(2);
        }
    };
    println!(
        "{:<22} {:>15} {:>12} {:>15} {:>7} {:>6} {:>10}",
        "network", "input", "parameters", "multiply-adds", "layers", "sees", "MB to train"
    );
    for network in &networks {
        match network.cost() {
            Ok(cost) => println!("{}", row(network, &cost, &flags)),
            Err(error) => {
                eprintln!("error: {}: {error}", network.name);
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "\nmultiply-adds: forward, one example; sees: side of the square of pixels behind one output;\n\
         MB to train: weights, gradients, {} numbers of the optimiser for each and the outputs of all layers, batch {}, f32",
        flags.slots, flags.batch
    );
    ExitCode::SUCCESS
}
