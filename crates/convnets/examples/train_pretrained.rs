//! Trains the networks of `convnets::pretrained` and writes their files: the same bytes each time.
//!
//! ```console
//! $ cargo run --release -p convnets --features experiments --example train_pretrained
//! ```
//! With `--validate` a part of the training images is kept out, read at the end, and nothing is written: for choosing a
//! recipe.
use convnets::pretrained::{Pretrained, rounding, training};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let validates = std::env::args().any(|argument| argument == "--validate");
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
