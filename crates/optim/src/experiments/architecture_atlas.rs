//! The architectures of the course, counted: parameters, multiply-adds, memory.

use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Table};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::architecture::zoo;

/// Counts every network of [`zoo`].
#[derive(Debug)]
pub struct ArchitectureAtlas;

/// What may vary in [`ArchitectureAtlas`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ArchitectureAtlasConfig {
    /// Examples in a minibatch, for the memory
    #[arg(long)]
    pub batch: u64,
}

impl Default for ArchitectureAtlasConfig {
    fn default() -> Self {
        Self { batch: 128 }
    }
}

impl ExperimentConfig for ArchitectureAtlasConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_one("batch", self.batch as usize)?;
        Ok(self)
    }
}

/// What [`ArchitectureAtlas`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ArchitectureAtlasReport {
    /// Examples in a minibatch.
    pub batch: u64,
    /// The networks, in the order of their parameters.
    pub networks: Vec<Counted>,
    /// Counts of torchvision, parameters and MACs, that ours equal, of all that were compared.
    pub equal: usize,
    /// Compared.
    pub compared: usize,
    /// MACs of ResNet-50 over those of MobileNet-V2.
    pub separable_gain: f64,
    /// Share of activations in the memory that trains ResNet-50 with Adam.
    pub activation_share: f64,
    /// Share of the parameters of VGG-16 that its first fully connected layer has.
    pub first_dense_share: f64,
    /// All of it as text.
    pub table: Table,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counted {
    /// Its name.
    pub name: String,
    /// Size of one example.
    pub input: String,
    /// Parameters.
    pub parameters: u64,
    /// Multiply-adds of a forward pass.
    pub macs: u64,
    /// Outputs of all layers.
    pub elements: u64,
    /// Side of what one output can see, in pixels; 0 where there are no images.
    pub receptive_field: usize,
    /// Bytes to train a minibatch with Adam.
    pub training_bytes: u64,
}

/// Parameters and MACs as torchvision's models have them (0.29, counted by hooks).
const TORCHVISION: [(&str, u64, u64); 11] = [
    ("AlexNet", 61_100_840, 714_188_480),
    ("VGG-16", 138_357_544, 15_470_264_320),
    ("GoogLeNet", 6_624_904, 1_498_376_192),
    ("ResNet-18", 11_689_512, 1_814_073_344),
    ("ResNet-50", 25_557_032, 4_089_184_256),
    ("ResNet-101", 44_549_160, 7_801_405_440),
    ("DenseNet-121", 7_978_856, 2_834_161_664),
    ("SqueezeNet 1.0", 1_248_424, 818_924_576),
    ("MobileNet-V2", 3_504_872, 300_774_272),
    ("ResNeXt-50 32×4d", 25_028_904, 4_230_479_872),
    ("LeNet-5", 61_706, 416_520),
];

/// Whole from 100 on, and else two digits that count: a small network costs little, not nothing.
fn significant(value: f64) -> String {
    let decimals = if value >= 100.0 || value == 0.0 { 0.0 } else { (1.0 - value.log10().floor()).max(0.0) };
    format!("{value:.0$}", decimals as usize)
}

impl Experiment for ArchitectureAtlas {
    type Config = ArchitectureAtlasConfig;
    type Report = ArchitectureAtlasReport;
    const ABOUT: About = About {
        name: "architecture-atlas",
        lecture: 7,
        paper: "Simonyan & Zisserman (2015); He et al. (2016); Sandler et al. (2018); Vaswani et al. (2017)",
        claim: "Arithmetic on a description gives exactly the parameters and multiply-adds of the models as they are used",
        sources: &[
            include_str!("architecture_atlas.rs"),
            include_str!("../architecture/count.rs"),
            include_str!("../architecture/zoo.rs"),
        ],
    };

    fn run(config: &Self::Config, _lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let mut networks = Vec::new();
        for network in zoo::all() {
            let cost = network.cost().map_err(lab::Error::unit)?;
            networks.push(Counted {
                name: network.name.to_owned(),
                input: network.input.to_string(),
                parameters: cost.parameters,
                macs: cost.macs,
                elements: cost.elements,
                receptive_field: cost.receptive_field,
                training_bytes: cost.training_bytes(config.batch, 2),
            });
        }
        networks.sort_by_key(|network| network.parameters);
        let find = |name: &str| networks.iter().find(|network| network.name == name);
        let (mut equal, mut compared) = (0, 0);
        for (name, parameters, macs) in TORCHVISION {
            compared += 2;
            if let Some(network) = find(name) {
                equal += usize::from(network.parameters == parameters) + usize::from(network.macs == macs);
            }
        }
        let of = |name: &str, value: fn(&Counted) -> u64| find(name).map_or(f64::NAN, |n| value(n) as f64);
        let activations = 4.0 * of("ResNet-50", |n| n.elements) * config.batch as f64;
        let mut table = Table::new([
            "network",
            "input",
            "parameters",
            "MACs, millions",
            "outputs, thousands",
            "receptive field",
            "MB to train",
        ]);
        for network in &networks {
            let field = match network.receptive_field {
                0 => "–".to_owned(),
                side => side.to_string(),
            };
            table.row([
                network.name.clone(),
                network.input.clone(),
                network.parameters.to_string(),
                significant(network.macs as f64 / 1e6),
                significant(network.elements as f64 / 1e3),
                field,
                significant(network.training_bytes as f64 / 1e6),
            ]);
        }
        let first_dense = 512 * 7 * 7 * 4096 + 4096;
        Ok(ArchitectureAtlasReport {
            batch: config.batch,
            equal,
            compared,
            separable_gain: of("ResNet-50", |n| n.macs) / of("MobileNet-V2", |n| n.macs),
            activation_share: activations / of("ResNet-50", |n| n.training_bytes),
            first_dense_share: f64::from(first_dense) / of("VGG-16", |n| n.parameters),
            networks,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        vec![
            Check::new(
                "counts-are-exact",
                "parameters and multiply-adds that equal torchvision's, as a share of those compared",
                Measured::exact(report.equal as f64 / report.compared as f64),
                Bound::Within(1.0, 1.0),
                BoundSource::Paper,
            )
            .reason_if_failed("another variant of an architecture than torchvision's"),
            Check::new(
                "separable-convolutions-save",
                "multiply-adds of ResNet-50 over those of MobileNet-V2",
                Measured::exact(report.separable_gain),
                Bound::AtLeast(13.0),
                BoundSource::Paper,
            )
            .reason_if_failed("an error in the count of groups"),
            Check::new(
                "outputs-fill-the-memory",
                "share of the layers' outputs in the memory that trains ResNet-50 with Adam",
                Measured::exact(report.activation_share),
                Bound::AtLeast(0.95),
                BoundSource::Paper,
            )
            .baseline("share of weights, gradients and moments", 1.0 - report.activation_share)
            .reason_if_failed("a small minibatch"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let group = |is_image: bool| {
            let chosen = report.networks.iter().filter(move |n| (n.receptive_field > 0) == is_image);
            chosen.map(|n| (n.parameters as f64, n.macs as f64)).collect::<Vec<_>>()
        };
        let mut plot = Plot::new(
            Axis::logarithmic("parameters").range(1e4, 1e9),
            Axis::logarithmic("multiply-adds for one example").range(1e4, 1e12),
        )
        .scatter("images", group(true))
        .scatter("others", group(false));
        // Above or below its point, and to the side where its neighbours are not: factors on both axes.
        let labels = [
            ("LeNet-5", 1.0, 1.8),
            ("MobileNet-V2", 1.5, 0.25),
            ("ResNet-50", 0.45, 1.8),
            ("VGG-16", 2.3, 0.8),
            ("AlexNet", 1.0, 0.25),
            ("U-Net", 0.8, 1.8),
            ("GPT-2 small", 1.0, 2.2),
        ];
        for (name, right, up) in labels {
            if let Some(n) = report.networks.iter().find(|network| network.name == name) {
                plot = plot.text(name, (n.parameters as f64 * right, n.macs as f64 * up));
            }
        }
        vec![Figure::new(
            "costs",
            "Weights and work are two different costs: AlexNet and ResNet-101 have nearly as many weights, and one needs \
             eleven times the work of the other. Parameters and multiply-adds of one example, both axes logarithmic, for \
             every architecture that the course names.",
            "Scatter plot with logarithmic axes. Points rise from LeNet-5 at the lower left to VGG-16 and GPT-2 at the \
             upper right, with a spread of more than a hundred in work at the same number of weights; U-Net is high for \
             its size, AlexNet low.",
            plot,
        )]
    }
}
