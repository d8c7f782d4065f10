//! The published networks in numbers: what they cost, how large a picture they take, and what a paper's table says.

use crate::counts::{NETWORKS, UNET};
use crate::inception::{
    self, Inception3a, Inception3b, Inception4a, Inception4b, Inception4c, Inception4d, Inception4e,
    Inception5a, Inception5b,
};
use crate::lenet;
use crate::resnet::ResNet50;
use crate::unet::{self, UNet};
use crate::vgg::{Block2, Block3};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Frame, Frames, Lab,
    Measured, Plot, Slider, Table,
};
use layers::builders::{
    Conv2D, Flatten, GroupedConv2D, Identity, Linear, MaxPool2D as Pool2D, Relu, UnbiasedConv2D,
};
use layers::convolution::Unbiased;
use layers::plan::Totals;
use layers::{Plan, Planned};
use serde::{Deserialize, Serialize};

/// Parameters, multiply-adds and memory of networks that nobody has to build for it.
#[derive(Debug)]
pub struct NetworkAtlas;

/// What may vary in [`NetworkAtlas`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct NetworkAtlasConfig {
    /// Megabytes of activations that an image may take, forward only
    #[arg(long)]
    pub megabytes: u64,
}

impl Default for NetworkAtlasConfig {
    fn default() -> Self {
        Self { megabytes: 2000 }
    }
}

impl ExperimentConfig for NetworkAtlasConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.megabytes > 0 {
            return Ok(self);
        }
        let (field, rule) = ("megabytes", "at least 1");
        Err(lab::Error::Config { field, rule, value: self.megabytes.to_string() })
    }
}

/// What [`NetworkAtlas`] counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkAtlasReport {
    /// Connections of LeNet-5 as its paper counts them.
    pub lenet_connections: u64,
    /// The same layer by layer, read from its type.
    pub lenet: Table,
    /// Parameters of AlexNet, one tower.
    pub alexnet: u64,
    /// Multiply-adds of a depthwise and a pointwise layer over those of a 3 × 3 convolution from 64 to 128 maps.
    pub separable: f64,
    /// Multiply-adds of module 3a over those of one 5 × 5 layer with as many maps out.
    pub over_wide: f64,
    /// Activations of VGG-16's first two layers in f32, bytes.
    pub first_two_layers: u64,
    /// Memory of activations: megabytes in f32 at the published size, and the largest image within the limit.
    pub memory: Table,
    /// The layers of GoogLeNet's first module, branch by branch, read from its type.
    pub module: Table,
    /// GoogLeNet's Table 1 beside what its widths give.
    pub googlenet: Table,
    /// The largest difference of the table's multiply-adds from the widths', module 5a left out, in percent.
    pub operations_off: f64,
    /// The largest difference of the table's parameters from the widths', in percent, in the reading that fits best: a
    /// thousand or 1024 to a K, with the biases or without.
    pub parameters_off: f64,
    /// The published networks that the figure shows: name, parameters, multiply-adds, activations.
    pub atlas: Vec<(String, u64, u64, u64)>,
    /// U-Net on 572 × 572 pixels.
    pub unet: Spent,
    /// The same networks and U-Net, stage by stage.
    pub stages: Vec<NetworkStages>,
    /// What is spent where, as text: shares of parameters and of multiply-adds.
    pub shares: Table,
}

/// Parameters and multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spent {
    /// Trainable numbers.
    pub parameters: u64,
    /// For one image.
    pub macs: u64,
}

/// A network by how often its maps were halved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkStages {
    /// Its name.
    pub name: String,
    /// What the layers of each of [`STAGES`] cost.
    pub stages: [Spent; STAGES.len()],
}

/// The side of the maps that a layer gives, over the picture's, rounded; `dense` are single pixels. Of U-Net a stage is a
/// level, down and up together.
pub const STAGES: [&str; 7] = ["1", "1/2", "1/4", "1/8", "1/16", "1/32", "dense"];

impl NetworkStages {
    /// Groups the layers of a plan.
    fn of(name: &str, plan: Plan, input: [usize; 3]) -> Result<Self, lab::Error> {
        let mut stages = [Spent::default(); STAGES.len()];
        let dense = STAGES.len() - 1;
        let rows = plan.rows(input).map_err(lab::Error::unit)?;
        let levels_down = |path: &str| path.matches("inner").count();
        let has_levels = rows.iter().any(|row| levels_down(&row.path) > 0);
        for row in rows {
            let stage = match row.cost.output[1] {
                _ if has_levels => levels_down(&row.path),
                1 => dense,
                side => (input[1] as f64 / side as f64).log2().round() as usize,
            };
            let stage = &mut stages[stage.min(dense)];
            stage.parameters += row.cost.params;
            stage.macs += row.cost.macs;
        }
        Ok(Self { name: name.to_owned(), stages })
    }

    fn total(&self) -> Spent {
        self.stages.iter().fold(Spent::default(), |total, stage| Spent {
            parameters: total.parameters + stage.parameters,
            macs: total.macs + stage.macs,
        })
    }

    /// Shares of one stage, in percent.
    fn shares(&self, stage: Spent) -> [f64; 2] {
        let total = self.total();
        let percent = |part: u64, all: u64| 100.0 * part as f64 / all as f64;
        [percent(stage.parameters, total.parameters), percent(stage.macs, total.macs)]
    }
}

/// AlexNet in one tower, whose widths torchvision has: the jump from 1998 to 2012.
type AlexNet = (
    (Conv2D<3, 64, 11, 4, 2, 1, Relu>, Pool2D<3, 2>),
    (Conv2D<64, 192, 5, 1, 2, 1, Relu>, Pool2D<3, 2>),
    (
        Conv2D<192, 384, 3, 1, 1, 1, Relu>,
        Conv2D<384, 256, 3, 1, 1, 1, Relu>,
        Conv2D<256, 256, 3, 1, 1, 1, Relu>,
    ),
    (Pool2D<3, 2>, Flatten),
    (Linear<9216, 4096, Relu>, Linear<4096, 4096, Relu>, Linear<4096, 1000>),
);
const ALEXNET: Totals = AlexNet::PLAN.totals_of([3, 224, 224]);
const _: () = assert!(ALEXNET.params == 61_100_840);

/// VGG-16 without its dense layers, which take 224 pixels only.
type VggMaps = (Block2<3, 64>, Block2<64, 128>, Block3<128, 256>, Block3<256, 512>, Block3<512, 512>);

/// Bytes of an activation.
const F32: u64 = 4;
/// Bytes of the input and of all activations of one image of `size` × `size` pixels, if it fits.
fn memory(plan: Plan, channels: usize, size: usize) -> Option<u64> {
    let rows = plan.rows([channels, size, size]).ok()?;
    let activations: u64 = rows.iter().map(|row| row.cost.activations).sum();
    Some(F32 * (activations + (channels * size * size) as u64))
}

/// A row of the table of memory: the network, its published size, and the largest of `sizes` within `limit` bytes.
fn memory_row(
    name: &str,
    plan: Plan,
    (channels, published): (usize, usize),
    sizes: impl Iterator<Item = usize>,
    limit: u64,
) -> [String; 4] {
    let megabytes = memory(plan, channels, published).unwrap_or(0) as f64 / 1e6;
    let fits = |size: &usize| memory(plan, channels, *size).is_some_and(|bytes| bytes <= limit);
    let largest = sizes.take_while(fits).last().unwrap_or(0);
    [
        name.to_owned(),
        format!("{published} × {published}"),
        format!("{megabytes:.0} MB"),
        format!("{largest} × {largest}"),
    ]
}

/// The layers of a module on `input`: branch, window, maps in and out, costs.
fn branches(plan: Plan, input: [usize; 3]) -> Result<Table, lab::Error> {
    let mut table = Table::new(["branch", "layer", "maps", "parameters", "multiply-adds (M)"]);
    for row in plan.rows(input).map_err(lab::Error::unit)? {
        let branch = row.path.split('.').nth(1).and_then(|place| place.parse::<usize>().ok());
        let (layer, maps) = match row.plan {
            Plan::Convolution { from, to, taps: [y, x], .. } => {
                (format!("{} × {} convolution", y.kernel, x.kernel), format!("{from} → {to}"))
            }
            Plan::Pool { taps: [y, x], .. } => {
                (format!("{} × {} maximum", y.kernel, x.kernel), row.cost.output[0].to_string())
            }
            other => (format!("{other:?}"), row.cost.output[0].to_string()),
        };
        table.row([
            branch.map_or_else(|| row.path.clone(), |place| (place + 1).to_string()),
            layer,
            maps,
            row.cost.params.to_string(),
            format!("{:.1}", row.cost.macs as f64 / 1e6),
        ]);
    }
    let all = plan.totals_of(input);
    table.row([
        "all".to_owned(),
        "side by side".to_owned(),
        format!("{} → {}", input[0], all.output[0]),
        all.params.to_string(),
        format!("{:.1}", all.macs as f64 / 1e6),
    ]);
    Ok(table)
}

/// GoogLeNet's modules: name, plan, maps and pixels in, and what its Table 1 prints, thousands of parameters and millions
/// of multiply-adds.
const MODULES: [(&str, Plan, usize, usize, u64, u64); 9] = [
    ("3a", Inception3a::PLAN, 192, 28, 159, 128),
    ("3b", Inception3b::PLAN, 256, 28, 380, 304),
    ("4a", Inception4a::PLAN, 480, 14, 364, 73),
    ("4b", Inception4b::PLAN, 512, 14, 437, 88),
    ("4c", Inception4c::PLAN, 512, 14, 463, 100),
    ("4d", Inception4d::PLAN, 512, 14, 580, 119),
    ("4e", Inception4e::PLAN, 528, 14, 840, 170),
    ("5a", Inception5a::PLAN, 832, 7, 1072, 54),
    ("5b", Inception5b::PLAN, 832, 7, 1388, 71),
];

/// What rounding to whole thousands can change in the smallest entry of the column of parameters, 159 K, in percent.
const ROUNDING: f64 = 0.32;

/// Biases of a layer.
fn biases(layer: Plan) -> usize {
    match layer {
        Plan::Convolution { to, is_biased: true, .. } => to,
        _ => 0,
    }
}

/// Networks of the atlas that the figure shows, and what it calls them.
const DRAWN: [(&str, &str); 7] = [
    ("lenet5", "LeNet 5"),
    ("vgg16", "VGG 16"),
    ("googlenet_paper", "GoogLeNet"),
    ("inception_v3", "Inception v3"),
    ("resnet18", "ResNet 18"),
    ("resnet50", "ResNet 50"),
    ("resnet152", "ResNet 152"),
];

impl Experiment for NetworkAtlas {
    type Config = NetworkAtlasConfig;
    type Report = NetworkAtlasReport;
    const ABOUT: About = About {
        name: "network-atlas",
        lecture: 14,
        paper: "LeCun et al. (1998); Krizhevsky et al. (2012); Simonyan & Zisserman (2015); Szegedy et al. (2015); He et al. \
                (2016); Ronneberger et al. (2015)",
        claim: "The types of the networks have the numbers that their papers print, but for the parameters of GoogLeNet's \
                modules, which do not follow from its widths",
        sources: &[
            include_str!("atlas.rs"),
            include_str!("../counts.rs"),
            include_str!("../inception.rs"),
            include_str!("../lenet.rs"),
            include_str!("../resnet.rs"),
            include_str!("../unet.rs"),
            include_str!("../vgg.rs"),
        ],
    };

    fn run(config: &Self::Config, _lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let limit = 1_000_000 * config.megabytes;
        let macs = |cost: Totals| cost.macs as f64;
        let published = |name: &'static str| {
            let network = NETWORKS.iter().find(|network| network.name == name);
            network.map(|network| network.cost).ok_or(lab::Error::Config {
                field: "network",
                rule: "a name of the atlas",
                value: name.to_owned(),
            })
        };
        let module = [192, 28, 28];
        let over_wide = macs(Inception3a::PLAN.totals_of(module))
            / macs(UnbiasedConv2D::<192, 256, 5, 1, 2>::PLAN.totals_of(module));
        let first_two = <(Conv2D<3, 64, 3, 1, 1>, Conv2D<64, 64, 3, 1, 1>)>::PLAN.totals_of([3, 224, 224]);
        type Depthwise = GroupedConv2D<64, 64, 3, 64, 1, 1, 1, Identity, Unbiased>;
        let of_pixels = |plan: Plan| macs(plan.totals_of([64, 28, 28]));
        let separable = of_pixels(<(Depthwise, UnbiasedConv2D<64, 128, 1>)>::PLAN)
            / of_pixels(UnbiasedConv2D::<64, 128, 3, 1, 1>::PLAN);
        let mut memory = Table::new(["network", "published size", "activations", "largest within the limit"]);
        memory.row(memory_row("VGG-16, convolutions", VggMaps::PLAN, (3, 224), (1..).map(|i| 32 * i), limit));
        memory.row(memory_row("ResNet-50", <ResNet50>::PLAN, (3, 224), (1..).map(|i| 32 * i), limit));
        let valid = (0..).map(|i| 4 + unet::margin(4) + 16 * i);
        memory.row(memory_row("U-Net", <UNet>::PLAN, (1, 572), valid, limit));
        let mut printed =
            Table::new(["module", "parameters (K)", "printed (K)", "multiply-adds (M)", "printed (M)"]);
        let (mut operations_off, mut readings) = (0.0_f64, [0.0_f64; 4]);
        for (name, plan, maps, side, params, ops) in MODULES {
            let cost = plan.totals_of([maps, side, side]);
            let off = |counted: f64, printed: u64| 100.0 * (printed as f64 / counted - 1.0).abs();
            let rows = plan.rows([maps, side, side]).map_err(lab::Error::unit)?;
            let biases: usize = rows.iter().map(|row| biases(row.plan)).sum();
            let [all, weights] = [cost.params as f64, cost.params as f64 - biases as f64];
            let counted = [all / 1000.0, all / 1024.0, weights / 1000.0, weights / 1024.0];
            for (reading, counted) in readings.iter_mut().zip(counted) {
                *reading = reading.max(off(counted, params));
            }
            if name != "5a" {
                operations_off = operations_off.max(off(macs(cost) / 1e6, ops));
            }
            printed.row([
                name.to_owned(),
                format!("{:.1}", cost.params as f64 / 1024.0),
                params.to_string(),
                format!("{:.1}", macs(cost) / 1e6),
                ops.to_string(),
            ]);
        }
        let stem = inception::Conv::<3, 64, 7, 2, 3>::PLAN.totals_of([3, 224, 224]);
        printed.row([
            "first layer".to_owned(),
            format!("{:.1}", stem.params as f64 / 1024.0),
            "2.7".to_owned(),
            format!("{:.1}", macs(stem) / 1e6),
            "34".to_owned(),
        ]);
        let mut atlas = Vec::new();
        for (name, shown) in DRAWN {
            let Totals { params, macs, activations, .. } = published(name)?;
            atlas.push((shown.to_owned(), params, macs, activations));
        }
        atlas.insert(1, ("AlexNet".to_owned(), ALEXNET.params, ALEXNET.macs, ALEXNET.activations));
        let mut stages = Vec::new();
        for (name, shown) in DRAWN {
            let found = NETWORKS.iter().find(|network| network.name == name);
            if let Some(network) = found {
                stages.push(NetworkStages::of(shown, network.plan, network.input)?);
            }
        }
        stages.insert(1, NetworkStages::of("AlexNet", AlexNet::PLAN, [3, 224, 224])?);
        stages.push(NetworkStages::of("U-Net", UNET.plan, UNET.input)?);
        let unet = Spent { parameters: UNET.cost.params, macs: UNET.cost.macs };
        let layers = lenet::layers().map_err(lab::Error::unit)?;
        let mut by_layer = Table::new(["layer", "trainable numbers", "connections"]);
        for layer in &layers {
            by_layer.row([
                layer.name.to_owned(),
                layer.parameters.to_string(),
                layer.connections.to_string(),
            ]);
        }
        let sum = |of: fn(&lenet::Layer) -> u64| layers.iter().map(of).sum::<u64>();
        let connections = sum(|layer| layer.connections);
        by_layer.row(["all".to_owned(), sum(|layer| layer.parameters).to_string(), connections.to_string()]);
        Ok(NetworkAtlasReport {
            lenet_connections: connections,
            lenet: by_layer,
            alexnet: ALEXNET.params,
            separable,
            over_wide,
            first_two_layers: F32 * first_two.activations,
            module: branches(Inception3a::PLAN, module)?,
            memory,
            googlenet: printed,
            operations_off,
            parameters_off: readings.into_iter().fold(f64::INFINITY, f64::min),
            atlas,
            unet,
            shares: shares_table(&stages),
            stages,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let exact =
            |id: &'static str, claim: &'static str, value: f64, bound: Bound, reason: &'static str| {
                Check::new(id, claim, Measured::exact(value), bound, BoundSource::Paper)
                    .reason_if_failed(reason)
            };
        vec![
            exact(
                "lenet-connections",
                "connections of LeNet-5; the paper says 340,908",
                report.lenet_connections as f64,
                Bound::Within(340_908.0, 340_908.0),
                "the layers have other widths",
            ),
            exact(
                "separable-is-cheap",
                "multiply-adds of a depthwise and a pointwise layer over those of a 3 × 3 convolution from 64 to 128 maps, \
                 minus 1/128 + 1/9",
                report.separable - (1.0 / 128.0 + 1.0 / 9.0),
                Bound::Within(-1e-12, 1e-12),
                "the layers have other widths",
            ),
            exact(
                "googlenet-operations",
                "largest difference of GoogLeNet's printed multiply-adds from those of its widths, all modules but 5a, in \
                 percent",
                report.operations_off,
                Bound::AtMost(1.0),
                "the widths are not those of the paper",
            ),
            exact(
                "googlenet-parameters",
                "largest difference of GoogLeNet's printed parameters from those of its widths, in percent, in the reading \
                 that fits best: the bound is what rounding to whole thousands explains",
                report.parameters_off,
                Bound::AtLeast(ROUNDING),
                "the column follows from the widths",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![atlas_figure(report), stages_figure(report)]
    }
}

/// Stage by stage: its share of the network's parameters, and of its multiply-adds.
fn shares_table(networks: &[NetworkStages]) -> Table {
    let [a, b, c, d, e, f, g] = STAGES;
    let mut table = Table::new(["network", "share of", a, b, c, d, e, f, g]);
    for network in networks {
        for (which, of) in ["parameters", "multiply-adds"].into_iter().enumerate() {
            let name = if which == 0 { network.name.as_str() } else { "" };
            let [a, b, c, d, e, f, g] = network.stages.map(|stage| match network.shares(stage)[which] {
                0.0 => "–".to_owned(),
                share => format!("{share:.1} %"),
            });
            table.row([name.to_owned(), of.to_owned(), a, b, c, d, e, f, g]);
        }
    }
    table
}

fn stages_figure(report: &NetworkAtlasReport) -> Figure {
    let names: Vec<&str> = report.stages.iter().map(|network| network.name.as_str()).collect();
    let shown = names.iter().position(|name| *name == "VGG 16").unwrap_or(0);
    let frame = |i: usize| {
        let network: &NetworkStages = &report.stages[i];
        let bars = |which: usize| network.stages.map(|stage| (network.shares(stage)[which], 0.0));
        let Spent { parameters, macs } = network.total();
        let plot = Plot::new(
            Axis::categories("side of the maps that a layer gives, over the picture's", STAGES),
            Axis::linear("share of the network (%)").range(0.0, 100.0),
        )
        .bars("parameters", bars(0))
        .bars("multiply-adds", bars(1));
        let (parameters, macs) = (parameters as f64 / 1e6, macs as f64 / 1e6);
        Frame::new(plot)
            .note(format!("In all {parameters:.2} million parameters and {macs:.0} million multiply-adds."))
    };
    Figure::new(
        "stages",
        "Weights lie deeper in a network than work. Shares of a network's parameters and multiply-adds by the size of the \
         maps that its layers give; of U-Net by level, down and up together.",
        "Pairs of bars for maps of the picture's size down to a thirty-second of it, and for dense layers. Of VGG-16 the bar of \
         the dense layers' parameters reaches ninety percent and that of their multiply-adds is hardly to be seen; the \
         multiply-adds lie in the maps of the picture's size to an eighth of it.",
        Frames::over(Slider::new("network", names.clone()), frame).still([shown]),
    )
}

fn atlas_figure(report: &NetworkAtlasReport) -> Figure {
    // Below each other: names of eight networks do not fit side by side.
    let names = report.atlas.iter().map(|network| network.0.as_str());
    let dots = |value: fn(&(String, u64, u64, u64)) -> u64| {
        let networks = report.atlas.iter().enumerate();
        networks.map(move |(i, network)| (value(network) as f64 / 1e6, i as f64)).collect::<Vec<_>>()
    };
    Figure::new(
        "atlas",
        "Weights fell, work did not. Parameters, multiply-adds and activations of one image of published networks, in \
         millions, counted from their types. Inception v3 reads 299 × 299 pixels, LeNet-5 32 × 32, all others 224 × 224.",
        "Eight rows, one for each network, with three marks each on a logarithmic axis. Parameters rise from 0.06 million for LeNet-5 to 138 \
         for VGG-16 and fall to between 7 and 60; multiply-adds rise to 15,470 for VGG-16 and stay above 1,500.",
        Plot::new(Axis::logarithmic("millions"), Axis::categories("", names))
            .scatter("parameters", dots(|network| network.1))
            .scatter("multiply-adds", dots(|network| network.2))
            .scatter("activations", dots(|network| network.3)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is lost between the stages, and they come in the order of the layers.
    #[test]
    fn stages_add_up_to_their_network() {
        for network in NETWORKS {
            let stages = NetworkStages::of(network.name, network.plan, network.input).unwrap();
            let Totals { params, macs, .. } = network.cost;
            assert_eq!(stages.total(), Spent { parameters: params, macs }, "{}", network.name);
        }
        let unet = NetworkStages::of("U-Net", UNET.plan, UNET.input).unwrap();
        assert_eq!(unet.total().macs, UNET.cost.macs);
        // The paper's levels, from its widths: two layers down, two up, what brings the maps up, and the last layer.
        let up = [32_832, 131_200, 524_544, 2_097_664];
        let both = [37_568 + 110_720 + 130, 221_440 + 442_624, 885_248 + 1_769_984, 3_539_968 + 7_078_912];
        let mut expected = [both[0], both[1], both[2], both[3], 14_157_824, 0, 0];
        // A transposed convolution belongs to the level that it leaves.
        up.into_iter().enumerate().for_each(|(level, params)| expected[level + 1] += params);
        assert_eq!(unet.stages.map(|stage| stage.parameters), expected);
        let vgg = NetworkStages::of("VGG", <crate::vgg::Vgg16>::PLAN, [3, 224, 224]).unwrap();
        assert_eq!(vgg.stages[6], Spent { parameters: 123_642_856, macs: 123_633_664 });
        assert_eq!(vgg.stages[0].parameters, 64 * (27 + 1) + 64 * (9 * 64 + 1));
        assert_eq!(vgg.stages[5], Spent::default());
    }
}
