//! May a 5 × 5 window be taken apart? Two of 3 × 3, or a row and a column of five, in one network.

use super::at_least;
use super::clothes::{Reader, Standard, reader, train_in_one_cycle};
use crate::slim::{Column, ConvBn, Row};
use crate::vgg::Halve;
use dfdx::prelude::{Cpu, DeviceBuildExt};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use layers::builders::{Flatten, Linear};
use layers::dropout::{Dropout, reseed};
use layers::params;
use layers::plan::Planned;
use serde::{Deserialize, Serialize};

/// Networks that differ in how they look at 5 × 5 pixels read clothes.
#[derive(Debug)]
pub struct FactorisedWindows;

/// What may vary in [`FactorisedWindows`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct FactorisedWindowsConfig {
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
    /// Largest learning rate of the cycle
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for FactorisedWindowsConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 6, images: 500, test_images: 400, learning_rate: 4e-3 }
    }
}

impl ExperimentConfig for FactorisedWindowsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, images: 50, test_images: 20, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        at_least("test_images", self.test_images, 1)?;
        Ok(self)
    }
}

/// `A` looks at 16 maps and gives 16, `B` looks at 32 and gives 32; all else is the same.
type Framed<A, B> =
    ((ConvBn<1, 16, 3, 1, 1>, A, Halve), (ConvBn<16, 32, 1>, B, Halve), (Flatten, Dropout, Linear<1568, 10>));
/// 25 weights for each pair of maps.
type Whole<const C: usize> = ConvBn<C, C, 5, 1, 2>;
/// 9: what a narrow window does alone.
type Narrow<const C: usize> = ConvBn<C, C, 3, 1, 1>;
/// 18.
type Threes<const C: usize> = (ConvBn<C, C, 3, 1, 1>, ConvBn<C, C, 3, 1, 1>);
/// 10.
type Strips<const C: usize> = (Row<C, C, 5, 2>, Column<C, C, 5, 2>);
type WithWhole = Framed<Whole<16>, Whole<32>>;
type WithNarrow = Framed<Narrow<16>, Narrow<32>>;
type WithThrees = Framed<Threes<16>, Threes<32>>;
type WithStrips = Framed<Strips<16>, Strips<32>>;
reader!(WithWhole, Const::<28>, [0 1 2]);
reader!(WithNarrow, Const::<28>, [0 1 2]);
reader!(WithThrees, Const::<28>, [0 1 2]);
reader!(WithStrips, Const::<28>, [0 1 2]);

/// What [`FactorisedWindows`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FactorisedWindowsReport {
    /// Whether images and epochs are enough for claims about accuracies.
    pub is_full: bool,
    /// Whole windows, two of 3 × 3, rows and columns, one of 3 × 3.
    pub networks: Vec<Windows>,
    /// The same as text.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Windows {
    /// Its name.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Multiply-adds of one image.
    pub macs: u64,
    /// Multiply-adds of the windows alone.
    pub window_macs: u64,
    /// Test accuracy of each seed.
    pub accuracies: Vec<f64>,
    /// Their mean.
    pub accuracy: f64,
}

fn trained<N: Reader, A: Planned, B: Planned>(
    name: &str,
    config: &FactorisedWindowsConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Windows, lab::Error> {
    let [first, second] = [A::PLAN.totals_of([16, 28, 28]), B::PLAN.totals_of([32, 14, 14])];
    let mut windows = Windows {
        name: name.to_owned(),
        parameters: 0,
        macs: N::PLAN.totals_of([1, 28, 28]).macs,
        window_macs: first.macs + second.macs,
        accuracies: vec![],
        accuracy: 0.0,
    };
    for seed in lab.seeds(config.seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        reseed(&mut model, seed.key("dropout")).map_err(lab::Error::unit)?;
        let plan = (config.epochs, config.learning_rate);
        train_in_one_cycle::<N>(lab, name, seed, &mut model, &data[0], plan)?;
        windows.accuracies.push(data[1].accuracy::<N>(&model, (0, 0))?);
        windows.parameters = params::count(&model);
    }
    windows.accuracy = Measured::over(&windows.accuracies).mean;
    Ok(windows)
}

impl Experiment for FactorisedWindows {
    type Config = FactorisedWindowsConfig;
    type Report = FactorisedWindowsReport;
    const ABOUT: About = About {
        name: "factorised-windows",
        lecture: 14,
        paper: "Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, section 3",
        claim: "Two windows of 3 × 3, or a row and a column of five, read clothes as one of 5 × 5 does, with 18 or 10 of its \
                25 multiplications",
        sources: &[include_str!("factors.rs"), include_str!("clothes.rs"), include_str!("../slim.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let tested = config.test_images.min(split.test.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test.select(0..tested));
        let networks = vec![
            trained::<WithWhole, Whole<16>, Whole<32>>("5 × 5", config, &data, lab)?,
            trained::<WithThrees, Threes<16>, Threes<32>>("3 × 3, twice", config, &data, lab)?,
            trained::<WithStrips, Strips<16>, Strips<32>>("1 × 5 and 5 × 1", config, &data, lab)?,
            trained::<WithNarrow, Narrow<16>, Narrow<32>>("3 × 3", config, &data, lab)?,
        ];
        let full = FactorisedWindowsConfig::default();
        Ok(FactorisedWindowsReport {
            is_full: config.epochs >= full.epochs && rows >= full.images && tested >= full.test_images,
            table: table(&networks),
            networks,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [whole, threes, strips, _] = &report.networks[..] else { return Vec::new() };
        let cost = |id, claim, windows: &Windows, parts: f64| {
            let measured = Measured::exact((25 * windows.window_macs) as f64 / whole.window_macs as f64);
            Check::new(id, claim, measured, Bound::Within(parts, parts), BoundSource::Paper)
                .reason_if_failed("the windows are not those of the paper")
        };
        let mut checks = vec![
            cost(
                "threes-are-cheaper",
                "multiply-adds of two windows of 3 × 3, where one of 5 × 5 has 25, equal widths",
                threes,
                18.0,
            ),
            cost(
                "strips-are-cheaper",
                "multiply-adds of a row and a column of five, where one window of 5 × 5 has 25, equal widths",
                strips,
                10.0,
            ),
        ];
        if !report.is_full {
            return checks;
        }
        let kept = |id, claim, windows: &Windows| {
            let pairs = windows.accuracies.iter().zip(&whole.accuracies);
            let gains = Measured::over(&pairs.map(|(apart, whole)| apart - whole).collect::<Vec<_>>());
            Check::new(id, claim, gains, Bound::AtLeast(0.0), BoundSource::Paper)
                .baseline("5 × 5", whole.accuracy)
                .reason_if_failed(
                    "one image is 0.0025, and three trainings of the same network differ by more than what windows may cost",
                )
        };
        checks.extend([
            kept(
                "threes-read-as-well",
                "test accuracy with two windows of 3 × 3 minus that with one of 5 × 5, same seeds",
                threes,
            ),
            kept(
                "strips-read-as-well",
                "test accuracy with a row and a column of five minus that with a window of 5 × 5, same seeds",
                strips,
            ),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.networks.iter().map(|windows| windows.name.as_str());
        let dots = report.networks.iter().enumerate();
        let dots: Vec<(f64, f64)> = dots
            .flat_map(|(i, windows)| windows.accuracies.iter().map(move |accuracy| (i as f64, *accuracy)))
            .collect();
        vec![Figure::new(
            "accuracy",
            "Windows that differ much in cost differ little in what they read. Test accuracy of networks that look at 5 × 5 \
             pixels in three ways, and of one that looks at 3 × 3, one dot per training; one image of the 400 is 0.0025, and \
             the standard error of an accuracy of 0.8 from 400 images is 0.02.",
            "Four columns of dots, one for each way to look at 5 × 5 pixels and one for a window of 3 × 3.",
            Plot::new(Axis::categories("windows", names), Axis::linear("test accuracy"))
                .scatter("trainings", dots),
        )]
    }
}

fn table(networks: &[Windows]) -> Table {
    let mut table =
        Table::new(["windows", "parameters", "multiply-adds", "of these in the windows", "test accuracy"]);
    for windows in networks {
        let accuracy = Measured::over(&windows.accuracies);
        table.row([
            windows.name.clone(),
            windows.parameters.to_string(),
            windows.macs.to_string(),
            windows.window_macs.to_string(),
            format!("{:.3} ± {:.3}", accuracy.mean, accuracy.sd),
        ]);
    }
    table
}
