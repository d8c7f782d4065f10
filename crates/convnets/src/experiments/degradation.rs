//! He et al.'s figure 1, scaled down: deeper plain networks train worse, and this is not overfitting.

use super::at_least;
use super::clothes::{Reader, Standard, reader, train};
use crate::resnet::{SmallPlainNet, SmallResNet};
use datasets::Batches;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Cpu, DeviceBuildExt};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table, Trainer,
};
use layers::init::{self, Fan, Init, gain};
use layers::{Momentum, Sgd, SgdConfig, params};
use serde::{Deserialize, Serialize};

/// Plain and residual networks of 20 and 56 layers.
#[derive(Debug)]
pub struct ResidualDegradation;

/// What may vary in [`ResidualDegradation`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ResidualDegradationConfig {
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

impl Default for ResidualDegradationConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 12, images: 1000, learning_rate: 0.1 }
    }
}

impl ExperimentConfig for ResidualDegradationConfig {
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

/// What [`ResidualDegradation`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResidualDegradationReport {
    /// Whether images and epochs are enough for claims about losses.
    pub is_full: bool,
    /// Plain 20, plain 56, residual 20, residual 56.
    pub networks: Vec<Depth>,
    /// The same as text.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Depth {
    /// Its name.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Mean training loss of each epoch, one list per seed, nats.
    pub losses: Vec<Vec<f64>>,
    /// Training loss of the last epoch, mean over seeds.
    pub loss: f64,
    /// Test accuracy, mean over seeds.
    pub accuracy: f64,
}

type Plain<const MORE: usize> = SmallPlainNet<6, 12, 24, MORE>;
type Residual<const MORE: usize> = SmallResNet<6, 12, 24, MORE>;
reader!(Plain<2>, 14_usize, [0 1 2 3 4]);
reader!(Plain<8>, 14_usize, [0 1 2 3 4]);
reader!(Residual<2>, 14_usize, [0 1 2 3 4]);
reader!(Residual<8>, 14_usize, [0 1 2 3 4]);

/// Training losses and test accuracies of every seed.
fn depth<N: Reader>(
    name: &str,
    config: &ResidualDegradationConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Depth, lab::Error> {
    const BATCH: usize = 100;
    let (mut losses, mut accuracies, mut parameters) = (vec![], vec![], 0);
    for seed in lab.seeds(config.seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        he(&mut model, seed.key("weights")).map_err(lab::Error::unit)?;
        let sgd = SgdConfig {
            learning_rate: config.learning_rate,
            momentum: Momentum::HeavyBall(0.9),
            weight_decay: 1e-4,
        };
        let mut sgd = Sgd::try_new(&model, sgd)?;
        let batches = Batches::new(data[0].images.len(), BATCH, seed.value());
        let (total, rate) = (batches.len() as u64 * config.epochs, config.learning_rate);
        // Ten steps of warm-up; a tenth of the rate after 60 %, a hundredth after 85 %.
        let schedule = move |step: u64| {
            let warm = ((step + 1) as f64 / 10.0).min(1.0);
            let falls = [60, 85].iter().filter(|percent| step * 100 >= total * **percent).count();
            rate * warm * 0.1_f64.powi(falls as i32)
        };
        let trainer = Trainer::new(format!("{name}, seed {seed}"), config.epochs, batches, seed.key("steps"));
        losses.push(train::<N>(lab, trainer.schedule(schedule), &mut model, &mut sgd, &data[0])?);
        accuracies.push(data[1].accuracy::<N>(&model, (0, 0))?);
        parameters = params::count(&model);
    }
    let last: Vec<f64> = losses.iter().filter_map(|losses| losses.last().copied()).collect();
    let (loss, accuracy) = (Measured::over(&last).mean, Measured::over(&accuracies).mean);
    Ok(Depth { name: name.to_owned(), parameters, losses, loss, accuracy })
}

/// He's start for convolutions, by their outputs; linear layers keep theirs.
fn he<M: TensorCollection<f32, Cpu>>(model: &mut M, key: Key) -> Result<(), layers::params::DeviceError> {
    let convolution = |parameter: &params::Parameter| match parameter.ndim() {
        4 => Init::he_normal(parameter, Fan::Out, gain::RELU),
        _ => Init::Keep,
    };
    init::draw(model, convolution, key)
}

impl Experiment for ResidualDegradation {
    type Config = ResidualDegradationConfig;
    type Report = ResidualDegradationReport;
    const ABOUT: About = About {
        name: "residual-degradation",
        lecture: 14,
        paper: "He, Zhang, Ren & Sun (2015), Deep residual learning for image recognition, figures 1 and 6",
        claim: "After 12 epochs the training loss of a plain network of 56 layers is at least 0.5 above that of 20 \
                layers, and that of a residual network of 56 layers at least 0.8 below the plain one's",
        sources: &[
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
        let networks = vec![
            depth::<Plain<2>>("plain 20", config, &data, lab)?,
            depth::<Plain<8>>("plain 56", config, &data, lab)?,
            depth::<Residual<2>>("residual 20", config, &data, lab)?,
            depth::<Residual<8>>("residual 56", config, &data, lab)?,
        ];
        let mut table = Table::new(["network", "parameters", "training loss, last epoch", "test accuracy"]);
        for network in &networks {
            table.row([
                network.name.clone(),
                network.parameters.to_string(),
                format!("{:.3}", network.loss),
                format!("{:.3}", network.accuracy),
            ]);
        }
        let full = ResidualDegradationConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images;
        Ok(ResidualDegradationReport { is_full, networks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [plain20, plain56, residual20, residual56] = &report.networks[..] else { return Vec::new() };
        let last = |network: &Depth| -> Vec<f64> {
            network.losses.iter().filter_map(|losses| losses.last().copied()).collect()
        };
        let difference = |a: &Depth, b: &Depth| {
            let pairs = last(a).into_iter().zip(last(b));
            Measured::over(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
        };
        let extra = residual56.parameters as f64 - plain56.parameters as f64;
        let mut checks = vec![
            Check::new(
                "twins",
                "parameters of the residual network of 56 layers minus those of the plain one",
                Measured::exact(extra),
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("shortcuts with parameters"),
        ];
        if !report.is_full {
            return checks;
        }
        checks.extend([
            Check::new(
                "degradation",
                "training loss of the plain network of 56 layers minus that of 20 layers",
                difference(plain56, plain20),
                Bound::AtLeast(0.5),
                BoundSource::Pilot,
            )
            .baseline("plain 20", plain20.loss)
            .reason_if_failed("too few epochs for the shallow network to pull away"),
            Check::new(
                "residual-helps-deep",
                "training loss of the residual network of 56 layers minus that of the plain one",
                difference(residual56, plain56),
                Bound::AtMost(-0.8),
                BoundSource::Pilot,
            )
            .baseline("plain 56", plain56.loss)
            .reason_if_failed("too few epochs"),
            Check::new(
                "residual-helps-shallow",
                "training loss of the residual network of 20 layers minus that of the plain one",
                difference(residual20, plain20),
                Bound::AtMost(-0.2),
                BoundSource::Pilot,
            )
            .baseline("plain 20", plain20.loss)
            .reason_if_failed("too few epochs"),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |network: &Depth| {
            let epochs: Vec<f64> = (1..=network.losses[0].len()).map(|epoch| epoch as f64).collect();
            Line::over_seeds(network.name.clone(), &epochs, &network.losses)
        };
        let plot = Plot::new(Axis::linear("epoch"), Axis::linear("training loss (nats)"));
        vec![Figure::new(
            "loss",
            "Depth hurts a plain network and hardly hurts a residual one. Training loss of networks of 20 and 56 layers \
             with the same layers and parameters, with and without shortcuts; mean and range over seeds. It is the \
             training loss: a network that overfits would have a smaller one.",
            "Four curves that fall. The plain network of 56 layers stays highest, the plain one of 20 layers far below \
             it; both residual networks lie lower, the one of 20 layers lowest.",
            report.networks.iter().map(line).fold(plot, Plot::line),
        )]
    }
}
