//! The architectures of the course, counted: parameters, multiply-adds, memory.

use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Body, Line, Plot, Table};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::architecture::draw::{Drawing, Part};
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
    /// Networks whose accuracy others have published, in the order of their MACs.
    pub published: Vec<Published>,
    /// One block of each family.
    pub families: Vec<Family>,
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

/// A network that others have trained.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Multiply-adds of a forward pass, counted here.
    pub macs: u64,
    /// Share of the validation images of ImageNet whose class it names first, percent: published, not ours.
    pub accuracy: f64,
}

/// A block of a family, drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Family {
    /// Name of the family.
    pub name: String,
    /// Size of what comes in.
    pub input: String,
    /// Size of what goes out.
    pub output: String,
    /// Parameters of the block.
    pub parameters: u64,
    /// Its multiply-adds for one example.
    pub macs: u64,
    /// Its boxes and wires.
    pub drawing: Drawing,
}

/// Errors in percent of the first answer on ImageNet, one crop of 224 × 224 pixels, as the documentation of torchvision 0.10
/// lists them (page "torchvision.models") for the weights that it offers.
const PUBLISHED_ERRORS: [(&str, f64); 13] = [
    ("AlexNet", 43.45),
    ("VGG-11", 30.98),
    ("VGG-16", 28.41),
    ("GoogLeNet", 30.22),
    ("ResNet-18", 30.24),
    ("ResNet-34", 26.70),
    ("ResNet-50", 23.85),
    ("ResNet-101", 22.63),
    ("DenseNet-121", 25.35),
    ("SqueezeNet 1.0", 41.90),
    ("MobileNet-V2", 28.12),
    ("ResNeXt-50 32×4d", 22.38),
    ("Wide ResNet-50-2", 21.49),
];

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
            include_str!("../architecture/draw.rs"),
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
        let published = |&(name, error): &(&str, f64)| {
            let macs = find(name)?.macs;
            Some(Published { name: name.to_owned(), macs, accuracy: 100.0 - error })
        };
        let mut published: Vec<Published> = PUBLISHED_ERRORS.iter().filter_map(published).collect();
        published.sort_by_key(|network| network.macs);
        let family = |network: &crate::architecture::count::Network| {
            let (cost, output) = (network.cost()?, network.output()?);
            Ok(Family {
                name: network.name.to_owned(),
                input: network.input.to_string(),
                output: output.to_string(),
                parameters: cost.parameters,
                macs: cost.macs,
                drawing: Drawing::of(network)?,
            })
        };
        let families = zoo::families().iter().map(family).collect::<Result<_, crate::Error>>();
        Ok(ArchitectureAtlasReport {
            batch: config.batch,
            equal,
            compared,
            separable_gain: of("ResNet-50", |n| n.macs) / of("MobileNet-V2", |n| n.macs),
            activation_share: activations / of("ResNet-50", |n| n.training_bytes),
            first_dense_share: f64::from(first_dense) / of("VGG-16", |n| n.parameters),
            published,
            families: families.map_err(lab::Error::unit)?,
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
        let costs = Figure::new(
            "costs",
            "Weights and work are two different costs: AlexNet has more weights than ResNet-101 and needs an eleventh \
             of its work. Parameters and multiply-adds of one example, both axes logarithmic, for \
             every architecture that the course names.",
            "Scatter plot with logarithmic axes. Points rise from LeNet-5 at the lower left to VGG-16 and GPT-2 at the \
             upper right, with a spread of more than a hundred in work at the same number of weights; U-Net is high for \
             its size, AlexNet low.",
            plot,
        );
        vec![costs, accuracy_figure(report), blocks_figure(report)]
    }
}

fn accuracy_figure(report: &ArchitectureAtlasReport) -> Figure {
    let point = |network: &Published| (network.macs as f64, network.accuracy);
    let mut plot = Plot::new(
        Axis::logarithmic("multiply-adds for one image, counted here").range(1e8, 4e10),
        Axis::linear("top-1 accuracy on ImageNet, published, %").range(52.0, 82.0),
    )
    .scatter("", report.published.iter().map(point));
    // To the side where its neighbours are not: a factor to the right, points of accuracy upwards.
    let labels = [
        ("MobileNet-V2", "MobileNet-V2", 1.0, 0.8),
        ("AlexNet", "AlexNet", 1.0, -1.9),
        ("SqueezeNet 1.0", "SqueezeNet", 1.0, 0.8),
        ("GoogLeNet", "GoogLeNet", 0.8, 0.8),
        ("ResNet-18", "ResNet-18", 1.2, -1.9),
        ("DenseNet-121", "DenseNet-121", 0.75, 0.8),
        ("ResNet-34", "ResNet-34", 1.15, -1.9),
        ("ResNet-50", "ResNet-50", 1.65, -0.4),
        ("ResNeXt-50 32×4d", "ResNeXt-50", 0.58, 0.1),
        ("VGG-11", "VGG-11", 1.0, 0.8),
        ("ResNet-101", "ResNet-101", 1.7, -0.4),
        ("Wide ResNet-50-2", "Wide ResNet-50-2", 1.0, 0.8),
        ("VGG-16", "VGG-16", 1.0, 0.8),
    ];
    for (name, shown, right, up) in labels {
        if let Some(network) = report.published.iter().find(|network| network.name == name) {
            let (x, y) = point(network);
            plot = plot.text(shown, (x * right, y + up));
        }
    }
    Figure::new(
        "accuracy",
        "Design buys more than work: MobileNet-V2 makes a fiftieth of the multiply-adds of VGG-16 for the same accuracy. \
         Across, multiply-adds of one image, counted here from the descriptions; upwards, the share of ImageNet's validation \
         images whose class the first answer names, as torchvision's documentation lists it. The heights are published \
         numbers of others and not ours.",
        "Scatter plot of thirteen networks. AlexNet and SqueezeNet lie lowest; MobileNet-V2 lies at the left at the height of \
         VGG-16, which is farthest to the right; networks with shortcuts form the upper edge.",
        plot,
    )
}

/// A count in thousands or millions, with two digits or more.
fn short(count: u64) -> String {
    match count {
        1_000_000.. => format!("{} M", significant(count as f64 / 1e6)),
        1000.. => format!("{} K", significant(count as f64 / 1e3)),
        _ => count.to_string(),
    }
}

/// A panel for each family: boxes with their words, wires, sizes at both ends.
fn blocks_figure(report: &ArchitectureAtlasReport) -> Figure {
    // Pixels of a panel inside, nearly, and of letters.
    const WIDTH: f64 = 280.0;
    const HEIGHT: f64 = 205.0;
    const LETTER: f64 = 8.6;
    let panel = |family: &Family| {
        let Drawing { parts, path, ends, columns, rows } = &family.drawing;
        let (column, row) = (WIDTH / *columns as f64, HEIGHT / *rows as f64);
        let mut plot =
            Plot::new(Axis::categories("", vec![""; *columns]), Axis::categories("", vec![""; *rows]))
                .title(format!("{}: {} / {}", family.name, short(family.parameters), short(family.macs)))
                .line(Line::new("", path.iter().copied()));
        let base = 5.0 / row; // letters stand on their place
        for Part { words, at: (x, y), .. } in parts {
            let Some((first, rest)) = words.split_first() else { continue };
            let fits = |line: &str| line.chars().count() as f64 * LETTER < 0.85 * column;
            let line = words.join(", ");
            // Below the first word as many of the others as have room: the last ones say least.
            let mut kept = rest.len();
            while kept > 0 && !fits(&rest[..kept].join(", ")) {
                kept -= 1;
            }
            plot = if fits(&line) {
                plot.text(line, (*x, y + base))
            } else if row > 36.0 && kept > 0 {
                let half = 8.0 / row;
                plot.text(first, (*x, y + base - half)).text(rest[..kept].join(", "), (*x, y + base + half))
            } else {
                // One line, with as many of the words as have room.
                let mut kept = words.len();
                while kept > 1 && !fits(&words[..kept].join(", ")) {
                    kept -= 1;
                }
                plot.text(words[..kept].join(", "), (*x, y + base))
            };
        }
        let [top, bottom] = ends;
        plot.text(family.input.clone(), (top.0, top.1 + base))
            .text(family.output.clone(), (bottom.0, bottom.1 + base))
    };
    Figure::new(
        "blocks",
        "Eight families differ in what runs side by side and in what goes around. One block of each, drawn from the \
         description that is counted: what comes in above, what goes out below, its parameters / multiply-adds of one \
         example behind its name. 3×3, 64 is a window and its channels, 784×30 a matrix, φ an element-wise function, left \
         out where a box is narrow. The state of a recurrent layer flows back to its gates.",
        "Eight small diagrams of boxes and wires. Boxes in a row below each other: fully connected, convolutional. With a wire \
         around them: residual, separable, attention. A wire around each of two parts: dense. Four branches side by side: \
         inception; four gates with a wire from the state back to them: recurrent.",
        Body::Panels { panels: report.families.iter().map(panel).collect(), columns: 2 },
    )
}
