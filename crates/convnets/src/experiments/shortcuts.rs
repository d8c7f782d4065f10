//! He et al.'s options A, B and C: what a shortcut does where the shape changes, and elsewhere.

use super::at_least;
use super::clothes::{Standard, reader};
use super::degradation::{Depth, Plain, Recipe, Residual, depth, difference};
use crate::resnet::{SmallResNetB, SmallResNetC};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use serde::{Deserialize, Serialize};

/// Residual networks of 20 layers with zeros, with projections, and with projections everywhere.
#[derive(Debug)]
pub struct ShortcutOptions;

/// What may vary in [`ShortcutOptions`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ShortcutOptionsConfig {
    /// Trainings of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Learning rate after the warm-up
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for ShortcutOptionsConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 12, images: 1000, learning_rate: 0.1 }
    }
}

impl ExperimentConfig for ShortcutOptionsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, images: 20, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        Ok(self)
    }
}

/// What [`ShortcutOptions`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShortcutOptionsReport {
    /// Whether images and epochs are enough for claims about losses.
    pub is_full: bool,
    /// No shortcuts, options A, B, C.
    pub networks: Vec<Depth>,
    /// The same as text.
    pub table: Table,
}

type OptionB = SmallResNetB<6, 12, 24, 2>;
type OptionC = SmallResNetC<6, 12, 24, 2>;
reader!(OptionB, 14_usize, [0 1 2 3 4]);
reader!(OptionC, 14_usize, [0 1 2 3 4]);

impl Experiment for ShortcutOptions {
    type Config = ShortcutOptionsConfig;
    type Report = ShortcutOptionsReport;
    const ABOUT: About = About {
        name: "shortcut-options",
        lecture: 14,
        paper: "He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition, section 4.1 and table 3",
        claim: "With zeros or with projections where the shape changes, the training loss of 20 layers falls at least 0.27 below that \
                without shortcuts",
        sources: &[
            include_str!("shortcuts.rs"),
            include_str!("degradation.rs"),
            include_str!("clothes.rs"),
            include_str!("../resnet.rs"),
            include_str!("../blocks.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test).each_ref().map(Standard::halved);
        let recipe = Recipe {
            seeds: config.seeds,
            epochs: config.epochs,
            learning_rate: config.learning_rate,
            starts_flat: false,
        };
        let networks = vec![
            depth::<Plain<2>>("no shortcuts", recipe, &data, lab)?,
            depth::<Residual<2>>("A: zeros", recipe, &data, lab)?,
            depth::<OptionB>("B: projections where the shape changes", recipe, &data, lab)?,
            depth::<OptionC>("C: projections everywhere", recipe, &data, lab)?,
        ];
        let mut table = Table::new(["shortcuts", "parameters", "training loss, last epoch", "test accuracy"]);
        for network in &networks {
            let over = |values: &[f64]| {
                let measured = Measured::over(values);
                format!("{:.3} ± {:.3}", measured.mean, measured.sd)
            };
            table.row([
                network.name.clone(),
                network.parameters.to_string(),
                over(&network.last()),
                over(&network.accuracies),
            ]);
        }
        let full = ShortcutOptionsConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images;
        Ok(ShortcutOptionsReport { is_full, networks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [plain, a, b, c] = &report.networks[..] else { return Vec::new() };
        // Two projections from 6 to 12 and from 12 to 24 maps, each with a gain and an offset for each map.
        const PROJECTIONS: f64 = (6 * 12 + 2 * 12 + 12 * 24 + 2 * 24) as f64;
        let mut checks = vec![
            Check::new(
                "projections-are-cheap",
                "parameters that projections where the shape changes add",
                Measured::exact(b.parameters as f64 - a.parameters as f64),
                Bound::Within(PROJECTIONS, PROJECTIONS),
                BoundSource::Paper,
            )
            .baseline("projections everywhere", c.parameters as f64 - a.parameters as f64)
            .reason_if_failed("the projections have wider windows"),
        ];
        if !report.is_full {
            return checks;
        }
        let worse: Vec<f64> = a.last().iter().zip(b.last()).map(|(a, b)| a.max(b)).collect();
        checks.extend([
            Check::new(
                "both-help",
                "training loss of the worse of A and B minus that without shortcuts, same seeds",
                difference(&worse, &plain.last()),
                // Pilot, seeds 100 to 102: -0.417 ± 0.049; three standard deviations above.
                Bound::AtMost(-0.27),
                BoundSource::Pilot,
            )
            .baseline("no shortcuts", plain.loss)
            .reason_if_failed("too few epochs"),
            Check::new(
                "b-beats-a",
                "training loss with projections where the shape changes minus that with zeros, same seeds",
                difference(&b.last(), &a.last()),
                Bound::AtMost(0.0),
                BoundSource::Text,
            )
            .baseline("A", a.loss)
            .reason_if_failed("the paper compares validation errors of 34 layers; three trainings of twelve epochs spread by more than the \
                 options differ"),
            Check::new(
                "c-beats-b",
                "training loss with projections everywhere minus that with projections where the shape changes, same seeds",
                difference(&c.last(), &b.last()),
                Bound::AtMost(0.0),
                BoundSource::Text,
            )
            .baseline("B", b.loss)
            .reason_if_failed("the paper compares validation errors of 34 layers; a projection at random is no identity: what passes a block \
                 is mixed before anything is learnt"),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = ["none", "A", "B", "C"];
        let dots =
            report.networks.iter().enumerate().flat_map(|(column, network)| {
                network.last().into_iter().map(move |loss| (column as f64, loss))
            });
        vec![Figure::new(
            "loss",
            "Keep the identity where you can. Training loss of residual networks of 20 layers after the last epoch, one dot \
             per training: without shortcuts, with zeros for the maps that are added (A), with projections where the shape \
             changes (B), with projections everywhere (C).",
            "Four columns of dots. Those without shortcuts lie high; those of A and B lie lowest, those of C between.",
            Plot::new(Axis::categories("shortcuts", names), Axis::linear("training loss (nats)"))
                .scatter("trainings", dots.collect::<Vec<_>>()),
        )]
    }
}
