//! Does depth pay when residual networks train five times as long?

use super::at_least;
use super::clothes::Standard;
use super::degradation::{Depth, Recipe, Residual, depth, difference};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table,
};
use serde::{Deserialize, Serialize};

/// Residual networks of 20 and 56 layers, sixty epochs each.
#[derive(Debug)]
pub struct ResidualPatience;

/// What may vary in [`ResidualPatience`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ResidualPatienceConfig {
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

impl Default for ResidualPatienceConfig {
    fn default() -> Self {
        Self { seeds: 2, epochs: 60, images: 1000, learning_rate: 0.1 }
    }
}

impl ExperimentConfig for ResidualPatienceConfig {
    fn quick() -> Self {
        Self { epochs: 12, images: 20, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        Ok(self)
    }
}

/// What [`ResidualPatience`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResidualPatienceReport {
    /// Whether images and epochs are enough for claims about depth.
    pub is_full: bool,
    /// Residual 20, residual 56.
    pub networks: Vec<Depth>,
    /// The same as text.
    pub table: Table,
}

impl Experiment for ResidualPatience {
    type Config = ResidualPatienceConfig;
    type Report = ResidualPatienceReport;
    const ABOUT: About = About {
        name: "residual-patience",
        lecture: 14,
        paper: "He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition, figure 6 and table 6",
        claim: "After 60 epochs on 1,000 images a residual network of 56 layers has a training loss no higher, and a test \
                accuracy no lower, than one of 20 layers",
        sources: &[
            include_str!("patience.rs"),
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
            depth::<Residual<2>>("residual 20", recipe, &data, lab)?,
            depth::<Residual<8>>("residual 56", recipe, &data, lab)?,
        ];
        let mut table = Table::new(["network", "parameters", "training loss, last epoch", "test accuracy"]);
        for network in &networks {
            let over = |values: &[f64]| {
                let measured = Measured::over(values);
                format!("{:.4} ± {:.4}", measured.mean, measured.sd)
            };
            table.row([
                network.name.clone(),
                network.parameters.to_string(),
                over(&network.last()),
                over(&network.accuracies),
            ]);
        }
        let full = ResidualPatienceConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images;
        Ok(ResidualPatienceReport { is_full, networks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [shallow, deep] = &report.networks[..] else { return Vec::new() };
        let first: Vec<f64> = deep.losses.iter().filter_map(|losses| losses.first().copied()).collect();
        let mut checks = vec![
            // Pilot of the quick version, seeds 100 to 104: -1.68 ± 0.32; three standard deviations above. Sixty epochs have further
            // to fall.
            Check::new(
                "deep-learns",
                "training loss of the residual network of 56 layers, last epoch minus first",
                difference(&deep.last(), &first),
                Bound::AtMost(-0.7),
                BoundSource::Pilot,
            )
            .baseline("residual 20, last epoch", shallow.loss)
            .reason_if_failed("fewer images or epochs than those of the quick version"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "depth-fits-better",
                    "training loss of 56 layers minus that of 20 after the last epoch, same seeds",
                    difference(&deep.last(), &shallow.last()),
                    Bound::AtMost(0.0),
                    BoundSource::Paper,
                )
                .baseline("residual 20", shallow.loss)
                .reason_if_failed("the paper trains 160 epochs on fifty times as many images, with four times as many maps"),
                Check::new(
                    "depth-reads-better",
                    "test accuracy of 56 layers minus that of 20, same seeds",
                    difference(&deep.accuracies, &shallow.accuracies),
                    Bound::AtLeast(0.0),
                    BoundSource::Paper,
                )
                .baseline("residual 20", shallow.accuracy)
                .reason_if_failed("a thousand images of 14 × 14 pixels are fitted by 20 layers already: what depth could add is not \
                     in them"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |network: &Depth| {
            let epochs: Vec<f64> = (1..=network.losses[0].len()).map(|epoch| epoch as f64).collect();
            Line::over_seeds(network.name.clone(), &epochs, &network.losses)
        };
        let plot = Plot::new(Axis::linear("epoch"), Axis::logarithmic("training loss (nats)"));
        vec![Figure::new(
            "loss",
            "Patience closes what depth had opened. Training loss of residual networks of 20 and of 56 layers over sixty \
             epochs, the learning rate a tenth from epoch 37 and a hundredth from epoch 52; mean and standard deviation \
             over seeds.",
            "Two curves that fall on a logarithmic axis, that of 56 layers above that of 20, with a step down where the \
             learning rate falls.",
            report.networks.iter().map(line).fold(plot, Plot::line),
        )]
    }
}
