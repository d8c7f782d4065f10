//! The ladder of clothes on all of Fashion-MNIST, for who has it: do windows win with sixty times as many images?

use super::at_least;
use super::clothes::{Reader, Standard, train_in_one_cycle};
use super::ladder::{Dense, LeNetRelu, labelled, support_vectors};
use datasets::{Images, Split, Store, on_disk};
use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use layers::dropout::reseed;
use layers::params;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A dense network and LeNet-5 read Fashion-MNIST in full.
#[derive(Debug)]
pub struct FullFashionLadder;

/// What may vary in [`FullFashionLadder`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct FullFashionLadderConfig {
    /// Trainings of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Test images, from the first
    #[arg(long)]
    pub test_images: usize,
    /// Training images of the support vector machines, from the first: their time grows with the square
    #[arg(long)]
    pub opponent_images: usize,
    /// Largest learning rate of the cycle
    #[arg(long)]
    pub learning_rate: f64,
    /// Whether to read the full set from disk, or the part that is embedded
    #[arg(long)]
    pub on_disk: bool,
    /// The folder of data sets, if it is not the one that `cargo xtask data path` says
    #[arg(long)]
    #[serde(skip)] // where a machine keeps its data is no part of a result
    pub data_dir: Option<PathBuf>,
}

impl Default for FullFashionLadderConfig {
    fn default() -> Self {
        Self {
            seeds: 2,
            epochs: 1,
            images: 60_000,
            test_images: 10_000,
            opponent_images: 5000,
            learning_rate: 4e-3,
            on_disk: true,
            data_dir: None,
        }
    }
}

impl ExperimentConfig for FullFashionLadderConfig {
    fn quick() -> Self {
        Self {
            epochs: 4,
            images: 60,
            test_images: 60,
            opponent_images: 60,
            on_disk: false,
            ..Self::default()
        }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        at_least("test_images", self.test_images, 1)?;
        at_least("opponent_images", self.opponent_images, 1)?;
        Ok(self)
    }
}

/// What [`FullFashionLadder`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullFashionLadderReport {
    /// Whether all images were read.
    pub is_full: bool,
    /// Training images of the networks, of the support vector machines, and test images.
    pub images: [usize; 3],
    /// Test accuracy of support vector machines as in the ladder of a thousand images.
    pub support_vectors: f64,
    /// Dense, LeNet.
    pub networks: Vec<Reading>,
    /// The same as text.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reading {
    /// Its name.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Test accuracy of each seed.
    pub accuracies: Vec<f64>,
    /// Their mean.
    pub accuracy: f64,
}

/// The full set, or the part that is embedded.
fn clothes(config: &FullFashionLadderConfig) -> Result<Split<Images<1, 28, 28>>, lab::Error> {
    if !config.on_disk {
        return Ok(datasets::fashion());
    }
    let store = Store::open(config.data_dir.as_deref())?;
    Ok(on_disk::fashion_mnist(&store)?)
}

fn reading<N: Reader>(
    name: &str,
    config: &FullFashionLadderConfig,
    [train, test]: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Reading, lab::Error> {
    let (mut accuracies, mut parameters) = (vec![], 0);
    for seed in lab.seeds(config.seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        reseed(&mut model, seed.key("dropout")).map_err(lab::Error::unit)?;
        train_in_one_cycle::<N>(lab, name, seed, &mut model, train, (config.epochs, config.learning_rate))?;
        accuracies.push(test.accuracy::<N>(&model, (0, 0))?);
        parameters = params::count(&model);
    }
    let accuracy = Measured::over(&accuracies).mean;
    Ok(Reading { name: name.to_owned(), parameters, accuracies, accuracy })
}

impl Experiment for FullFashionLadder {
    type Config = FullFashionLadderConfig;
    type Report = FullFashionLadderReport;
    const ABOUT: About = About {
        name: "fashion-ladder-full",
        lecture: 14,
        paper: "Xiao, Rasul & Vollgraf (2017), Fashion-MNIST; LeCun et al. (1998), Gradient-based learning applied to document \
                recognition",
        claim: "After one pass over all 60,000 images of Fashion-MNIST, which have to be fetched, LeNet-5 reads more of 10,000 \
                unseen images than a dense network with more parameters",
        sources: &[
            include_str!("full_ladder.rs"),
            include_str!("ladder.rs"),
            include_str!("clothes.rs"),
            include_str!("../lenet.rs"),
            include_str!("../support_vectors.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = clothes(config)?;
        let first = |rows: usize| split.train.select(0..rows.min(split.train.len()));
        let (train, few) = (first(config.images), first(config.opponent_images));
        let test = split.test.select(0..config.test_images.min(split.test.len()));
        let images = [train.len(), few.len(), test.len()];
        let [few, unseen] = Standard::both(&few, &test);
        let support_vectors = support_vectors(labelled(&few), labelled(&unseen))?;
        let data = Standard::both(&train, &test);
        let networks = vec![
            reading::<Dense>("dense 784-128-10", config, &data, lab)?,
            reading::<LeNetRelu>("LeNet-5, ReLU, max", config, &data, lab)?,
        ];
        let full = FullFashionLadderConfig::default();
        let is_full = config.on_disk && config.epochs >= full.epochs && images[0] >= full.images;
        let mut table = Table::new(["method", "parameters", "training images", "test accuracy"]);
        table.row(["support vector machines", "–", &images[1].to_string(), &format!("{support_vectors:.4}")]);
        for network in &networks {
            table.row([
                network.name.clone(),
                network.parameters.to_string(),
                images[0].to_string(),
                format!("{:.4} ± {:.4}", network.accuracy, Measured::over(&network.accuracies).sd),
            ]);
        }
        Ok(FullFashionLadderReport { is_full, images, support_vectors, networks, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [dense, lenet] = &report.networks[..] else { return Vec::new() };
        if !report.is_full {
            // Pilot of the quick version, seeds 100 to 104: 0.517 ± 0.065; three standard deviations below.
            return vec![
                Check::new(
                    "dense-learns-in-few-steps",
                    "share of the test images that the dense network reads after a few steps; a guess reads a tenth",
                    Measured::over(&dense.accuracies),
                    Bound::AtLeast(0.32),
                    BoundSource::Pilot,
                )
                .baseline("support vector machines", report.support_vectors)
                .reason_if_failed("fewer images or epochs than those of the quick version"),
            ];
        }
        let gain = |a: &Reading, b: &Reading| {
            let pairs = a.accuracies.iter().zip(&b.accuracies);
            Measured::over(&pairs.map(|(a, b)| a - b).collect::<Vec<_>>())
        };
        let above = lenet.accuracies.iter().map(|accuracy| accuracy - report.support_vectors);
        vec![
            Check::new(
                "lenet-beats-dense",
                "accuracy of LeNet-5 minus that of the dense network, same seeds",
                gain(lenet, dense),
                Bound::AtLeast(0.0),
                BoundSource::Paper,
            )
            .baseline("dense", dense.accuracy)
            .reason_if_failed("one pass is too short for its dense layers"),
            Check::new(
                "lenet-beats-support-vectors",
                "accuracy of LeNet-5 minus that of support vector machines on a part of the images",
                Measured::over(&above.collect::<Vec<_>>()),
                Bound::AtLeast(0.0),
                BoundSource::Paper,
            )
            .baseline("support vector machines", report.support_vectors)
            .reason_if_failed("one pass is too short"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names: Vec<String> = report.networks.iter().map(|network| network.name.clone()).collect();
        let dots = report.networks.iter().enumerate();
        let dots = dots.flat_map(|(i, network)| network.accuracies.iter().map(move |a| (i as f64, *a)));
        let [images, few, test] = report.images;
        vec![Figure::new(
            "accuracy",
            format!(
                "Windows still win. One dot per training on {images} images of Fashion-MNIST; the line is \
                 support vector machines on the first {few}. The standard error of an accuracy of 0.9 from {test} images \
                 is {:.3}.",
                (0.09 / test as f64).sqrt()
            ),
            "Two columns of dots, the dense network's and LeNet-5's, and a horizontal line.",
            Plot::new(Axis::categories("network", names), Axis::linear("test accuracy"))
                .scatter("trainings", dots.collect::<Vec<_>>())
                .horizontal("support vector machines", report.support_vectors),
        )]
    }
}
