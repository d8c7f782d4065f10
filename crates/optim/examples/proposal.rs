//! What does a complete project proposal look like? Prints one, or says what is missing.
//!
//! `cargo run -p optim --example proposal -- --epochs 200 --macs-per-second 2e9`
use clap::Parser;
use optim::architecture::proposal::Proposal;
use optim::architecture::zoo;

#[macro_use]
mod support;

/// Prints a whole project proposal with what it costs, or says what it lacks.
#[derive(Parser)]
struct Flags {
    /// Passes over the data in all runs together
    #[arg(long, default_value_t = 200)]
    epochs: u64,
    /// Multiply-adds in a second, as measured
    #[arg(long, default_value_t = 2e9, allow_negative_numbers = true)]
    macs_per_second: f64,
    /// What has to be beaten
    #[arg(long, default_value = "the averaged perceptron, accuracy 0.90 on the same split")]
    baseline: String,
    /// Which result would prove the proposal wrong
    #[arg(long, default_value = "accuracy at least 0.97 on the test set, mean of 5 seeds")]
    prediction: String,
}

fn main() -> std::process::ExitCode {
    let flags = Flags::parse();
    let proposal = Proposal {
        title: "Does LeNet-5 read digits better than a vote of pixels?".into(),
        question: "How many of the misread digits are due to shifts, which a convolution forgives?".into(),
        data: "MNIST, 10,000 images embedded in the crate datasets; licence as stated there.".into(),
        split: "7000 train, 1000 choose, 2000 test once.".into(),
        metric: "accuracy on the test images".into(),
        baseline: flags.baseline,
        prediction: flags.prediction,
        model: Some(zoo::lenet5()),
        examples: 7000,
        epochs: flags.epochs,
        batch: 64,
        macs_per_second: flags.macs_per_second,
        risks: vec!["7000 images are few: if it overfits, shift them".into()],
        ablations: vec!["without pooling".into(), "with the images shuffled pixel by pixel".into()],
    };
    match proposal.render() {
        Ok(text) => {
            println!("{}", text.trim_end());
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
