//! Do auxiliary classifiers bring gradients to the bottom of a deep network, and does it matter?

use super::at_least;
use super::clothes::{Batch, Logits, Reader, Standard, Tape, cycle, device};
use crate::blocks::WithHeads;
use crate::inception::{Conv, Inception};
use datasets::Batches;
use dfdx::nn::builders::Repeated;
use dfdx::prelude::{
    Backward, BuildOnDevice, Cpu, CpuError, DeviceBuildExt, Gradients, Module, ModuleMut, Rank0, Tensor,
    Trace, TryAdd, TryMul, WithEmptyTape,
};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
    Trainer,
};
use layers::builders::{AdaptiveAvgPool2D, Flatten, GlobalAvgPool, Linear, MaxPool2DCeil, Relu};
use layers::dropout::{Dropout, reseed};
use layers::init::{self, Fan, Init, gain};
use layers::{Adam, AdamConfig, params};
use serde::{Deserialize, Serialize};

/// A small GoogLeNet of nine modules with and without its two heads.
#[derive(Debug)]
pub struct AuxiliaryHeads;

/// What may vary in [`AuxiliaryHeads`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct AuxiliaryHeadsConfig {
    /// Networks whose gradient is measured before training, at least 2
    #[arg(long)]
    pub starts: usize,
    /// Trainings with and without heads, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Largest learning rate of the cycle
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for AuxiliaryHeadsConfig {
    fn default() -> Self {
        Self { starts: 20, seeds: 3, epochs: 12, images: 1000, learning_rate: 4e-3 }
    }
}

impl ExperimentConfig for AuxiliaryHeadsConfig {
    fn quick() -> Self {
        Self { starts: 4, seeds: 2, epochs: 1, images: 50, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("starts", self.starts, 2)?;
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        Ok(self)
    }
}

/// What [`AuxiliaryHeads`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuxiliaryHeadsReport {
    /// Whether images and epochs are enough for claims about accuracies.
    pub is_full: bool,
    /// Trainable parameters without and with the heads.
    pub parameters: [usize; 2],
    /// Before training: small weights, then He's.
    pub starts: Vec<Start>,
    /// Test accuracy of each seed without heads.
    pub plain: Vec<f64>,
    /// Test accuracy of each seed with heads.
    pub headed: Vec<f64>,
    /// Gradients and accuracies as text.
    pub table: Table,
}

/// One way to draw the first weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Start {
    /// Its name.
    pub name: String,
    /// Norm of the gradient of the first convolution without heads, one per network.
    pub plain: Vec<f64>,
    /// The same with both heads' losses, each times [`SHARE`].
    pub headed: Vec<f64>,
    /// Mean of the second over the first.
    pub ratio: f64,
}

/// How much each head's loss counts (GoogLeNet, section 5).
pub const SHARE: f32 = 0.3;
/// GoogLeNet drops this much in its heads.
const DROPPED: f64 = 0.7;

/// Module 4b at a sixteenth of its width. All nine modules are this one: 32 maps in, 32 out.
type Part = Inception<32, 10, 7, 14, 2, 4, 4>;
type Early = (Conv<1, 32, 3, 1, 1>, MaxPool2DCeil<3, 2>, Repeated<Part, 2>, MaxPool2DCeil<3, 2>, Part);
type Middle = Repeated<Part, 3>;
type Late = (Part, MaxPool2DCeil<3, 2>, Repeated<Part, 2>, GlobalAvgPool, Linear<32, 10>);
type Head = (AdaptiveAvgPool2D<3, 3>, Conv<32, 8, 1>, Flatten, Linear<72, 64, Relu>, Dropout, Linear<64, 10>);
type MiniGoogLeNet = WithHeads<Early, Middle, Late, Head, Head>;
type Loss = Tensor<Rank0, f32, Cpu, Tape>;
type Net = <MiniGoogLeNet as BuildOnDevice<Cpu, f32>>::Built;

/// Runs `$x` through the named parts with `$method`, part by part.
macro_rules! through {
    ($method:ident, $x:expr, $($parts:expr),+) => {{
        let x = $x;
        $(let x = $parts.$method(x)?;)+
        x
    }};
}

impl Reader for MiniGoogLeNet {
    type Net = Net;
    fn read(net: &Net, x: Batch) -> Result<Logits, CpuError> {
        let (early, late) = (&net.early, &net.late);
        let x = through!(try_forward, x, early.0, early.1, early.2, early.3, early.4, net.middle);
        Ok(through!(try_forward, x, late.0, late.1, late.2, late.3, late.4))
    }
    fn learn(net: &mut Net, x: Batch<Tape>) -> Result<Logits<Tape>, CpuError> {
        let [output, ..] = learn_with_heads(net, x)?;
        Ok(output)
    }
}

/// The output and what both heads say.
fn learn_with_heads(net: &mut Net, x: Batch<Tape>) -> Result<[Logits<Tape>; 3], CpuError> {
    let (early, late) = (&mut net.early, &mut net.late);
    let (first, second) = (&mut net.aux1, &mut net.aux2);
    let x = through!(try_forward_mut, x, early.0, early.1, early.2, early.3, early.4);
    let branch = x.with_empty_tape();
    let first = through!(try_forward_mut, branch, first.0, first.1, first.2, first.3, first.4, first.5);
    let x = net.middle.try_forward_mut(x)?;
    let branch = x.with_empty_tape();
    let second =
        through!(try_forward_mut, branch, second.0, second.1, second.2, second.3, second.4, second.5);
    Ok([through!(try_forward_mut, x, late.0, late.1, late.2, late.3, late.4), first, second])
}

/// The loss of a batch. Heads whose loss counts nothing have gradients of 0, and the trunk has none from them.
fn loss(net: &mut Net, x: Batch<Tape>, labels: &[usize], share: f32) -> Result<Loss, lab::Error> {
    let entropy = |logits| kernels::try_cross_entropy_mean(logits, labels).map_err(lab::Error::unit);
    let [output, first, second] = learn_with_heads(net, x).map_err(device)?;
    let (first, second) = (entropy(first)?, entropy(second)?);
    let heads = first.try_add(second).and_then(|sum| sum.try_mul(share)).map_err(device)?;
    entropy(output)?.try_add(heads).map_err(device)
}

/// Small weights: what a linear layer keeps the size of, and a rectifier halves. He's: what keeps it behind rectifiers.
const STARTS: [(&str, f64); 2] = [("small weights", gain::LINEAR), ("He's weights", gain::RELU)];

fn drawn(seed: lab::Seed, gain: f64) -> Result<Net, lab::Error> {
    let mut net = Cpu::seed_from_u64(seed.value()).build_module::<MiniGoogLeNet, f32>();
    let start = |parameter: &params::Parameter| match parameter.ndim() {
        1 => Init::Constant(0.0),
        _ => Init::he_normal(parameter, Fan::In, gain),
    };
    init::draw(&mut net, start, seed.key("weights")).map_err(lab::Error::unit)?;
    net.aux1.4 = Dropout::new(DROPPED);
    net.aux2.4 = Dropout::new(DROPPED);
    reseed(&mut net, seed.key("dropout")).map_err(lab::Error::unit)?;
    Ok(net)
}

fn start(name: &str, gain: f64, count: usize, data: &Standard, lab: &mut Lab) -> Result<Start, lab::Error> {
    const BATCH: usize = 100;
    let rows: Vec<usize> = (0..BATCH.min(data.images.len())).collect();
    let labels = data.images.batch_labels(&rows);
    let mut norms = [vec![], vec![]];
    for (i, seed) in lab.seeds(count).into_iter().enumerate() {
        for (norms, share) in norms.iter_mut().zip([0.0, SHARE]) {
            let mut net = drawn(seed, gain)?;
            let loss = loss(&mut net, data.batch(&rows, (0, 0)).leaky_trace(), &labels, share)?;
            let gradients = loss.backward();
            let bottom = gradients.get(&net.early.0.weight).as_vec();
            norms.push(bottom.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt());
        }
        lab.progress(name, i as u64 + 1, count as u64, None)?;
    }
    let [plain, headed] = norms;
    let ratios: Vec<f64> = plain.iter().zip(&headed).map(|(plain, headed)| headed / plain).collect();
    Ok(Start { name: name.to_owned(), plain, headed, ratio: Measured::over(&ratios).mean })
}

/// Test accuracy after training.
fn trained(
    share: f32,
    seed: lab::Seed,
    config: &AuxiliaryHeadsConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<f64, lab::Error> {
    const BATCH: usize = 50;
    let mut net = drawn(seed, gain::RELU)?;
    let mut adam = Adam::try_new(&net, AdamConfig::default())?;
    let batches = Batches::new(data[0].images.len(), BATCH, seed.value());
    let cycle = cycle(config.learning_rate, batches.len() * config.epochs as usize)?;
    let mut objective = |net: &mut Net, rows: &Vec<usize>, _: Key, gradients: Gradients<f32, Cpu>| {
        let x = data[0].batch(rows, (0, 0)).traced(gradients);
        loss(net, x, &data[0].images.batch_labels(rows), share)
    };
    let name = if share > 0.0 { "with heads" } else { "without heads" };
    Trainer::new(format!("{name}, seed {seed}"), config.epochs, batches, seed.key("steps"))
        .schedule(cycle)
        .run(lab, &mut net, &mut adam, &mut objective)?;
    data[1].accuracy::<MiniGoogLeNet>(&net, (0, 0))
}

impl Experiment for AuxiliaryHeads {
    type Config = AuxiliaryHeadsConfig;
    type Report = AuxiliaryHeadsReport;
    const ABOUT: About = About {
        name: "auxiliary-heads",
        lecture: 14,
        paper: "Szegedy et al. (2015), Going deeper with convolutions, section 5; Szegedy et al. (2016), Rethinking the \
                Inception architecture, section 4",
        claim: "GoogLeNet's auxiliary heads raise the gradient at the bottom, most where the start lets it vanish",
        sources: &[
            include_str!("heads.rs"),
            include_str!("clothes.rs"),
            include_str!("../inception.rs"),
            include_str!("../blocks.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test);
        let mut starts = Vec::new();
        for (name, gain) in STARTS {
            starts.push(start(name, gain, config.starts, &data[0], lab)?);
        }
        let (mut plain, mut headed) = (vec![], vec![]);
        for seed in lab.seeds(config.seeds) {
            plain.push(trained(0.0, seed, config, &data, lab)?);
            headed.push(trained(SHARE, seed, config, &data, lab)?);
        }
        let net = Cpu::default().build_module::<MiniGoogLeNet, f32>();
        let trunk = params::count(&net.early) + params::count(&net.middle) + params::count(&net.late);
        let full = AuxiliaryHeadsConfig::default();
        Ok(AuxiliaryHeadsReport {
            is_full: config.epochs >= full.epochs && rows >= full.images,
            parameters: [trunk, params::count(&net)],
            table: table(&starts, &plain, &headed),
            starts,
            plain,
            headed,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [small, he] = &report.starts[..] else { return Vec::new() };
        let ratios = |start: &Start| {
            let pairs = start.plain.iter().zip(&start.headed);
            Measured::over(&pairs.map(|(plain, headed)| headed / plain).collect::<Vec<_>>())
        };
        let mut checks = vec![
            Check::new(
                "heads-carry-gradients",
                "gradient of the first convolution with heads over that without, small weights",
                ratios(small),
                Bound::AtLeast(1.0),
                BoundSource::Paper,
            )
            .baseline("He's weights", he.ratio)
            .reason_if_failed("the gradient of the last loss arrives at the bottom by itself"),
            Check::new(
                "starts-carry-them-too",
                "that ratio with small weights over that with He's",
                Measured::exact(small.ratio / he.ratio),
                Bound::AtLeast(1.0),
                BoundSource::Paper,
            )
            .baseline("He's weights", he.ratio)
            .reason_if_failed("nine modules lose the gradient with this start too"),
        ];
        if report.is_full {
            let pairs = report.headed.iter().zip(&report.plain);
            let gains: Vec<f64> = pairs.map(|(headed, plain)| headed - plain).collect();
            checks.push(
                Check::new(
                    "heads-and-accuracy",
                    "test accuracy with heads minus that without, same seeds",
                    Measured::over(&gains),
                    Bound::AtLeast(0.0),
                    BoundSource::Paper,
                )
                .baseline("without heads", Measured::over(&report.plain).mean)
                .reason_if_failed(
                    "1,000 images: He's start trains nine modules without help, and the heads pull the lower ones towards \
                     answers of their own",
                ),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let name = |start: &Start, heads: &str| format!("{}, {heads}", start.name);
        let columns: Vec<(String, &Vec<f64>)> = report
            .starts
            .iter()
            .flat_map(|s| [(name(s, "no heads"), &s.plain), (name(s, "heads"), &s.headed)])
            .collect();
        let dots = columns.iter().enumerate();
        let dots: Vec<(f64, f64)> =
            dots.flat_map(|(i, (_, norms))| norms.iter().map(move |norm| (i as f64, *norm))).collect();
        vec![Figure::new(
            "gradient",
            "A head near the bottom replaces a start that keeps the signal. Norm of the gradient of the first convolution \
             before training, one dot per network of nine modules: with weights that halve the signal at every rectifier, \
             and with He's.",
            "Four columns of dots on a logarithmic axis: small weights without heads lie lowest, with heads ten times \
             higher; He's weights lie hundreds of times higher than both, with heads a little higher still.",
            Plot::new(
                Axis::categories("weights, loss", columns.iter().map(|(name, _)| name.clone())),
                Axis::logarithmic("norm of the gradient at the bottom"),
            )
            .scatter("networks", dots),
        )]
    }
}

fn table(starts: &[Start], plain: &[f64], headed: &[f64]) -> Table {
    let mut table = Table::new(["", "without heads", "with heads"]);
    for start in starts {
        let norm = |norms: &[f64]| {
            let measured = Measured::over(norms);
            format!("{:.1e} ± {:.0e}", measured.mean, measured.sd)
        };
        table.row([
            format!("gradient at the bottom, {}", start.name),
            norm(&start.plain),
            norm(&start.headed),
        ]);
    }
    let accuracy = |values: &[f64]| {
        let measured = Measured::over(values);
        format!("{:.3} ± {:.3}", measured.mean, measured.sd)
    };
    table.row(["test accuracy, He's weights".to_owned(), accuracy(plain), accuracy(headed)]);
    table
}
