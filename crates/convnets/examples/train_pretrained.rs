//! Trains the networks of `convnets::pretrained` and writes their files: the same bytes each time.
//!
//! ```console
//! $ cargo run --release -p convnets --features experiments --example train_pretrained
//! ```
//! With `--validate` a part of the training images is kept out, read at the end, and nothing is written: for choosing a
//! recipe.
use convnets::pretrained::{Pretrained, rounding, training};
use std::path::Path;
use std::process::ExitCode;

#[macro_use]
#[path = "support/print.rs"]
mod support;

const HELP: &str = "\
Trains the networks of convnets::pretrained and writes their files

Usage: train_pretrained [--validate]

Options:
      --validate  Keep a part of the training images out, read it at the end, and write nothing
  -h, --help      Print help";

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let validates = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--validate"] => true,
        ["--help" | "-h", ..] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("`{}`: train_pretrained takes --validate or nothing", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match run(validates) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                line += &format!(": {cause}");
                source = cause.source();
            }
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

fn run(validates: bool) -> Result<(), Box<dyn std::error::Error>> {
    for network in Pretrained::ALL {
        let recipe = training::Recipe::of(network);
        let data = if validates { training::data_for_choosing(network)? } else { training::data(network)? };
        let begin = std::time::Instant::now();
        let model = training::train(&data.train, &recipe, |epoch, loss| {
            eprintln!("{} {epoch}/{}: loss {loss:.4}", network.name(), recipe.epochs);
            Ok(())
        })?;
        let seconds = begin.elapsed().as_secs_f64();
        if validates {
            let right = training::right(&model, &data.validation);
            println!("{}: {right} of {} validated, {seconds:.0} s", network.name(), data.validation.len());
            continue;
        }
        let about = format!(
            "LeNet-5 with ReLU and max pooling: {} images of {}, {} epochs, seed {}",
            data.train.len(),
            network.name(),
            recipe.epochs,
            recipe.seed
        );
        let file = format!("weights/{}-lenet.safetensors", network.name());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let before = training::right(&model, &data.test);
        std::fs::write(&path, rounding::save(&model, &about)?)?;
        let mut rounded = model;
        rounding::load(&mut rounded, &std::fs::read(&path)?)?;
        let after = training::right(&rounded, &data.test);
        println!(
            "{}: {after} of {} right, {before} before rounding, {seconds:.0} s, {}",
            network.name(),
            data.test.len(),
            path.display()
        );
    }
    Ok(())
}
