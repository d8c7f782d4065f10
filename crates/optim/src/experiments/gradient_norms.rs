//! Training does not end where the gradient vanishes: the length of the gradient while the loss falls.

use dfdx::prelude::{AsArray, Backward, Cpu, Gradients, Module};
use kernels::{ActivationKind, cross_entropy_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use layers::Step;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Net, Plan, cross_entropy, he_net};
use super::{Data, at_least_two};
use crate::chain::Dense;

/// Loss and gradient of a network along its training.
#[derive(Debug)]
pub struct GradientNorms;

/// What may vary in [`GradientNorms`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct GradientNormsConfig {
    /// Runs, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images, at least 2
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with, at least 50
    #[arg(long)]
    pub train_images: usize,
}

impl Default for GradientNormsConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 20, train_images: 4000 }
    }
}

impl ExperimentConfig for GradientNormsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 5, train_images: 500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_two("epochs", self.epochs)?;
        if self.train_images < BATCH {
            let value = self.train_images.to_string();
            return Err(lab::Error::Config { field: "train_images", rule: "at least 50", value });
        }
        Ok(self)
    }
}

/// What [`GradientNorms`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GradientNormsReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Training loss before the first and after each pass, nats, over seeds.
    pub losses: Vec<Measured>,
    /// Length of the gradient over all images, at the same times.
    pub full: Vec<Measured>,
    /// Mean length of the gradients of the minibatches of each pass.
    pub noisy: Vec<Measured>,
    /// Loss at the end over that before the first step.
    pub loss_left: Measured,
    /// Mean gradient of a minibatch in the last pass over that in the first.
    pub last_over_first: Measured,
    /// Longest mean gradient of a pass over that of the first pass.
    pub rise: Measured,
    /// Length of the gradient over all images at the end over that before the first step.
    pub full_left: Measured,
    /// Mean gradient of a minibatch over the gradient of all images, last pass.
    pub noise: Measured,
    /// Rises of the loss between neighbouring ones of 21 points on the straight line from start to end, over seeds.
    pub bumps: Measured,
    /// As text.
    pub table: Table,
}

const BATCH: usize = 50;
const HIDDEN: usize = 64;
/// Parts of the straight line from the start to the end.
const PARTS: usize = 20;

impl Experiment for GradientNorms {
    type Config = GradientNormsConfig;
    type Report = GradientNormsReport;
    const ABOUT: About = About {
        name: "gradient-norms",
        lecture: 8,
        paper: "Goodfellow, Bengio & Courville (2016), Deep learning, section 8.2 and figure 8.1; Goodfellow, Vinyals & Saxe \
                (2015), Qualitatively characterizing neural network optimization problems",
        claim: "While the loss falls to a twentieth, the gradients of minibatches keep a third of their length or more; on the \
                straight line from start to end the loss only falls",
        sources: &[
            include_str!("gradient_norms.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (set, _) = Digits::split(Data::Mnist, config.train_images, 100)?;
        let seeds = lab.seeds(config.seeds);
        let mut runs = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("runs", done as u64, seeds.len() as u64, None)?;
            runs.push(follow(config, &set, seed)?);
        }
        let over = |value: &dyn Fn(&Run) -> f64| Measured::over(&runs.iter().map(value).collect::<Vec<_>>());
        let by_time = |values: fn(&Run) -> &Vec<f64>| -> Vec<Measured> {
            (0..values(&runs[0]).len()).map(|k| over(&|run| values(run)[k])).collect()
        };
        let end = config.epochs;
        let (losses, full, noisy) =
            (by_time(|run| &run.losses), by_time(|run| &run.full), by_time(|run| &run.noisy));
        let mut table =
            Table::new(["passes", "training loss", "|gradient|, all images", "|gradient|, minibatches"]);
        for epoch in [1, end.div_ceil(4), end.div_ceil(2), end] {
            let cells = [&losses[epoch], &full[epoch], &noisy[epoch - 1]].map(ToString::to_string);
            let [a, b, c] = cells;
            table.row([epoch.to_string(), a, b, c]);
        }
        Ok(GradientNormsReport {
            is_full: config.epochs >= 20 && config.train_images >= 4000,
            loss_left: over(&|run| run.losses[end] / run.losses[0]),
            last_over_first: over(&|run| run.noisy[end - 1] / run.noisy[0]),
            rise: over(&|run| run.noisy.iter().copied().fold(0.0, f64::max) / run.noisy[0]),
            full_left: over(&|run| run.full[end] / run.full[0]),
            noise: over(&|run| run.noisy[end - 1] / run.full[end]),
            bumps: over(&|run| run.bumps as f64),
            losses,
            full,
            noisy,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        // Pilot on seeds 100 to 104: loss 0.033 ± 0.003, minibatches 0.47 of their first gradients, no rise on the line.
        let mut checks = vec![
            Check::new(
                "nothing-in-the-way",
                "rises of the loss along the straight line from start to end, in 20 parts",
                report.bumps,
                Bound::AtMost(0.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("a rate so large that the run leaves the valley that it started in"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "loss-falls",
                    "training loss at the end over that before the first step",
                    report.loss_left,
                    Bound::AtMost(0.05),
                    BoundSource::Pilot,
                )
                .reason_if_failed("too few passes"),
                Check::new(
                    "gradients-do-not-fall-with-it",
                    "mean gradient of a minibatch in the last pass over that in the first",
                    report.last_over_first,
                    Bound::AtLeast(0.35),
                    BoundSource::Pilot,
                )
                .baseline("loss at the end over that at the start", report.loss_left.mean)
                .reason_if_failed("a network that fits all images exactly"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |name: &str, first: usize, values: &[Measured]| {
            Line::new(name, values.iter().enumerate().map(|(k, m)| ((k + first) as f64, m.mean)))
        };
        vec![Figure::new(
            "lengths",
            "The gradients of minibatches shrink far less than the loss. Training loss and length of the gradient \
             after each pass, for all images together and for minibatches of 50 on average; mean over seeds.",
            "Three curves over the passes on a logarithmic axis. The loss falls most; the gradient of all images falls less; \
             the mean gradient of minibatches falls least and stays far above the others.",
            Plot::new(Axis::linear("passes"), Axis::logarithmic("loss, nats; length of the gradient"))
                .line(line("gradient, minibatch", 1, &report.noisy))
                .line(line("gradient, all images", 0, &report.full))
                .line(line("training loss", 0, &report.losses)),
        )]
    }
}

/// One training.
struct Run {
    losses: Vec<f64>,
    full: Vec<f64>,
    noisy: Vec<f64>,
    bumps: usize,
}

// ANCHOR: follow
fn follow(config: &GradientNormsConfig, set: &Digits, seed: lab::Seed) -> Result<Run, lab::Error> {
    let mut net = he_net(&[set.features, HIDDEN, CLASSES], ActivationKind::Relu, seed.key("weights"))?;
    let start = net.clone();
    let all: Vec<usize> = (0..set.len()).collect();
    let plan = Plan { epochs: 1, batch: BATCH, learning_rate: 0.1, momentum: 0.0, weight_decay: 0.0 };
    let mut sgd = plan.optimizer(&net)?;
    let mut run = Run { losses: Vec::new(), full: Vec::new(), noisy: Vec::new(), bumps: 0 };
    for epoch in 0..=config.epochs {
        let whole = cross_entropy(&net, set, &all)?;
        run.losses.push(f64::from(whole.array()));
        run.full.push(length(&net, &whole.backward()));
        if epoch == config.epochs {
            break;
        }
        let order = seed.key("order").fold(epoch as u64).permutation(set.len());
        let mut lengths = Vec::new();
        for rows in order.chunks_exact(BATCH) {
            let mut gradients = cross_entropy(&net, set, rows)?.backward();
            lengths.push(length(&net, &gradients));
            sgd.step(&mut net, &mut gradients)?;
        }
        run.noisy.push(Measured::over(&lengths).mean);
    }
    let line: Vec<f64> = (0..=PARTS).map(|k| between(&start, &net, k as f64 / PARTS as f64, set)).collect();
    run.bumps = line.windows(2).filter(|pair| pair[1] > pair[0]).count();
    Ok(run)
}

/// Length of the gradient by all weights and biases together.
fn length(net: &Net, gradients: &Gradients<f32, Cpu>) -> f64 {
    let squares = |values: Vec<f32>| values.into_iter().map(|g| f64::from(g).powi(2)).sum::<f64>();
    let layer = |layer: &Dense<f32, Cpu>| {
        squares(gradients.get(&layer.weight).as_vec()) + squares(gradients.get(&layer.bias).as_vec())
    };
    net.layers.iter().map(layer).sum::<f64>().sqrt()
}
// ANCHOR_END: follow

/// Loss at the point that has gone `share` of the straight way from `start` to `end`.
fn between(start: &Net, end: &Net, share: f64, set: &Digits) -> f64 {
    let mut net = start.clone();
    let mixed = |a: Vec<f32>, b: Vec<f32>| -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a + share as f32 * (b - a)).collect()
    };
    for (layer, last) in net.layers.iter_mut().zip(&end.layers) {
        layer.weight.copy_from(&mixed(layer.weight.as_vec(), last.weight.as_vec()));
        layer.bias.copy_from(&mixed(layer.bias.as_vec(), last.bias.as_vec()));
    }
    f64::from(cross_entropy_mean(net.forward(set.whole()), &set.labels).array())
}
