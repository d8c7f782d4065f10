//! Does an auxiliary head help a small GoogLeNet that is normalised?

use super::at_least;
use super::clothes::{Batch, Logits, Reader, Standard, Tape, cycle, device, reader, train_in_one_cycle};
use super::heads::SHARE;
use crate::inception::{ConvBn, InceptionBn};
use datasets::Batches;
use datasets::baseline::{Baseline, NearestNeighbours};
use dfdx::prelude::{
    AsArray, BuildOnDevice, Cpu, CpuError, DeviceBuildExt, Gradients, Module, ModuleMut, Trace, TryAdd,
    TryMul, WithEmptyTape,
};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
    Trainer,
};
use layers::builders::{AdaptiveAvgPool2D, Flatten, GlobalAvgPool, Linear, MaxPool2DCeil, Relu};
use layers::dropout::{Dropout, reseed};
use layers::{Adam, AdamConfig, params};
use serde::{Deserialize, Serialize};

/// A GoogLeNet of three modules with batch normalisation, trained with a head on its first module and without.
#[derive(Debug)]
pub struct NormalisedHeads;

/// What may vary in [`NormalisedHeads`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct NormalisedHeadsConfig {
    /// Trainings with and without the head, at least 2
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

impl Default for NormalisedHeadsConfig {
    fn default() -> Self {
        Self { seeds: 5, epochs: 20, images: 1000, test_images: 400, learning_rate: 4e-3 }
    }
}

impl ExperimentConfig for NormalisedHeadsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 3, images: 150, test_images: 60, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        at_least("test_images", self.test_images, 1)?;
        Ok(self)
    }
}

/// What [`NormalisedHeads`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NormalisedHeadsReport {
    /// Whether images and epochs are enough for claims about accuracies.
    pub is_full: bool,
    /// Trainable parameters without and with the head.
    pub parameters: [usize; 2],
    /// Test accuracy of five nearest neighbours on pixels.
    pub neighbours: f64,
    /// The network without head, one per seed.
    pub plain: Vec<Answers>,
    /// The network that was trained with the head, one per seed.
    pub headed: Vec<Answers>,
    /// What the head itself answers, one per seed.
    pub head: Vec<Answers>,
    /// Training loss with the head, both parts of it: mean of the first epoch and of the last, one per seed, nats.
    pub losses: Vec<[f64; 2]>,
    /// The same as text.
    pub table: Table,
}

/// How well one output reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Answers {
    /// Share of the training images.
    pub train_accuracy: f64,
    /// Share of the test images.
    pub accuracy: f64,
    /// Cross-entropy of the test images, nats.
    pub cross_entropy: f64,
}

/// Three modules on maps of 14 × 14, 7 × 7 and 7 × 7.
type Trunk = (
    (ConvBn<1, 16, 3, 1, 1>, MaxPool2DCeil<3, 2>),
    InceptionBn<16, 8, 8, 16, 4, 8, 8>,
    MaxPool2DCeil<3, 2>,
    InceptionBn<40, 12, 12, 20, 4, 8, 8>,
    InceptionBn<48, 16, 12, 24, 6, 12, 12>,
    (GlobalAvgPool, Dropout, Linear<64, 10>),
);
reader!(Trunk, 28_usize, [0 1 2 3 4 5]);
/// On the 40 maps of the first module.
type Head =
    (AdaptiveAvgPool2D<4, 4>, ConvBn<40, 16, 1>, Flatten, Linear<256, 64, Relu>, Dropout, Linear<64, 10>);
type Net = <Trunk as Reader>::Net;
type NetHead = <Head as BuildOnDevice<Cpu, f32>>::Built;

/// What GoogLeNet drops before its last layer and in its heads.
const DROPPED: [f64; 2] = [0.4, 0.7];

fn trunk(seed: lab::Seed) -> Result<Net, lab::Error> {
    let mut net = Cpu::seed_from_u64(seed.value()).build_module::<Trunk, f32>();
    net.5.1 = Dropout::new(DROPPED[0]);
    reseed(&mut net, seed.key("dropout")).map_err(lab::Error::unit)?;
    Ok(net)
}

fn head(seed: lab::Seed) -> Result<NetHead, lab::Error> {
    // A seed of its own: the trunk starts as it does without head.
    let start = seed.key("head").rng().below(u64::MAX);
    let mut head = Cpu::seed_from_u64(start).build_module::<Head, f32>();
    head.4 = Dropout::new(DROPPED[1]);
    reseed(&mut head, seed.key("head's dropout")).map_err(lab::Error::unit)?;
    Ok(head)
}

/// The output and what the head says, in training.
fn learn((net, head): &mut (Net, NetHead), x: Batch<Tape>) -> Result<[Logits<Tape>; 2], CpuError> {
    let first = net.1.try_forward_mut(net.0.try_forward_mut(x)?)?;
    let branch = head.1.try_forward_mut(head.0.try_forward_mut(first.with_empty_tape())?)?;
    let branch = head.3.try_forward_mut(head.2.try_forward_mut(branch)?)?;
    let branch = head.5.try_forward_mut(head.4.try_forward_mut(branch)?)?;
    let third = net.4.try_forward_mut(net.3.try_forward_mut(net.2.try_forward_mut(first)?)?)?;
    Ok([net.5.try_forward_mut(third)?, branch])
}

/// What the head says in use.
fn ask_head((net, head): &(Net, NetHead), x: Batch) -> Result<Logits, CpuError> {
    let pooled = head.0.try_forward(net.1.try_forward(net.0.try_forward(x)?)?)?;
    let features = head.3.try_forward(head.2.try_forward(head.1.try_forward(pooled)?)?)?;
    head.5.try_forward(head.4.try_forward(features)?)
}

/// Trained by the output's loss alone.
fn without_head(
    seed: lab::Seed,
    config: &NormalisedHeadsConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Net, lab::Error> {
    let mut net = trunk(seed)?;
    let plan = (config.epochs, config.learning_rate);
    train_in_one_cycle::<Trunk>(lab, "without head", seed, &mut net, &data[0], plan)?;
    Ok(net)
}

/// The same start, batches and steps, with a share of the head's loss in addition; and the loss of each epoch.
fn with_head(
    seed: lab::Seed,
    config: &NormalisedHeadsConfig,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<((Net, NetHead), Vec<f64>), lab::Error> {
    const BATCH: usize = 50;
    let mut both = (trunk(seed)?, head(seed)?);
    let mut adam = Adam::try_new(&both, AdamConfig::default())?;
    let batches = Batches::new(data[0].images.len(), BATCH, seed.value());
    let cycle = cycle(config.learning_rate, batches.len() * config.epochs as usize)?;
    let mut objective =
        |both: &mut (Net, NetHead), rows: &Vec<usize>, _: Key, gradients: Gradients<f32, Cpu>| {
            let labels = data[0].images.batch_labels(rows);
            let [output, head] =
                learn(both, data[0].batch(rows, (0, 0)).traced(gradients)).map_err(device)?;
            let entropy = |logits| kernels::try_cross_entropy_mean(logits, &labels).map_err(lab::Error::unit);
            let share = entropy(head)?.try_mul(SHARE).map_err(device)?;
            entropy(output)?.try_add(share).map_err(device)
        };
    let history = Trainer::new(format!("with head, seed {seed}"), config.epochs, batches, seed.key("steps"))
        .schedule(cycle)
        .run(lab, &mut both, &mut adam, &mut objective)?;
    Ok((both, history.epochs.iter().map(|epoch| epoch.loss).collect()))
}

/// Share that is read right, and cross-entropy.
fn read(data: &Standard, ask: &impl Fn(Batch) -> Result<Logits, CpuError>) -> Result<(f64, f64), lab::Error> {
    let rows: Vec<usize> = (0..data.images.len()).collect();
    let (mut right, mut entropy) = (0, 0.0);
    for rows in rows.chunks(100) {
        let labels = data.images.batch_labels(rows);
        let logits = ask(data.batch(rows, (0, 0))).map_err(device)?;
        let best =
            |row: &[f32]| (0..10).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        let answers: Vec<usize> = logits.as_vec().chunks(10).map(best).collect();
        right += answers.iter().zip(&labels).filter(|(answer, label)| answer == label).count();
        let mean = kernels::try_cross_entropy_mean(logits, &labels).map_err(lab::Error::unit)?;
        entropy += f64::from(mean.array()) * rows.len() as f64;
    }
    let n = data.images.len() as f64;
    Ok((right as f64 / n, entropy / n))
}

fn answers(
    [train, test]: &[Standard; 2],
    ask: impl Fn(Batch) -> Result<Logits, CpuError>,
) -> Result<Answers, lab::Error> {
    let (accuracy, cross_entropy) = read(test, &ask)?;
    Ok(Answers { train_accuracy: read(train, &ask)?.0, accuracy, cross_entropy })
}

/// One number of each training.
fn each(answers: &[Answers], of: fn(&Answers) -> f64) -> Vec<f64> {
    answers.iter().map(of).collect()
}

impl Experiment for NormalisedHeads {
    type Config = NormalisedHeadsConfig;
    type Report = NormalisedHeadsReport;
    const ABOUT: About = About {
        name: "normalised-heads",
        lecture: 14,
        paper: "Szegedy et al. (2016), Rethinking the Inception architecture for computer vision, section 4",
        claim: "A head on the first of three normalised modules acts as a regulariser",
        sources: &[
            include_str!("normalised.rs"),
            include_str!("heads.rs"),
            include_str!("clothes.rs"),
            include_str!("../slim.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let tested = config.test_images.min(split.test.len());
        let (first, test) = (split.train.select(0..rows), split.test.select(0..tested));
        let neighbours = NearestNeighbours::fit(&first, 5)?.accuracy(&test);
        let data = Standard::both(&first, &test);
        let (mut plain, mut headed, mut heads, mut losses) = (vec![], vec![], vec![], vec![]);
        let mut parameters = [0; 2];
        for seed in lab.seeds(config.seeds) {
            let net = without_head(seed, config, &data, lab)?;
            plain.push(answers(&data, |x| Trunk::read(&net, x))?);
            let (both, loss) = with_head(seed, config, &data, lab)?;
            headed.push(answers(&data, |x| Trunk::read(&both.0, x))?);
            heads.push(answers(&data, |x| ask_head(&both, x))?);
            parameters = [params::count(&net), params::count(&both)];
            losses.extend(loss.first().zip(loss.last()).map(|(first, last)| [*first, *last]));
        }
        let full = NormalisedHeadsConfig::default();
        Ok(NormalisedHeadsReport {
            is_full: config.epochs >= full.epochs && rows >= full.images && tested >= full.test_images,
            parameters,
            neighbours,
            table: table(parameters, neighbours, [&plain, &headed, &heads]),
            plain,
            headed,
            head: heads,
            losses,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let difference = |of: fn(&Answers) -> f64| {
            let pairs = report.headed.iter().zip(&report.plain);
            Measured::over(&pairs.map(|(headed, plain)| of(headed) - of(plain)).collect::<Vec<_>>())
        };
        let mean = |of: fn(&Answers) -> f64| Measured::over(&each(&report.plain, of)).mean;
        if !report.is_full {
            // Not the accuracy: after nine steps the running means of the normalisation are those of other weights.
            // Pilot, seeds 100 to 104: 0.872 ± 0.012.
            let left = |[first, last]: &[f64; 2]| last / first;
            return vec![
                Check::new(
                    "learns-with-a-head",
                    "training loss with the head in the last epoch over that in the first",
                    Measured::over(&report.losses.iter().map(left).collect::<Vec<_>>()),
                    Bound::AtMost(0.91),
                    BoundSource::Pilot,
                )
                .baseline("no learning", 1.0)
                .reason_if_failed("fewer images or epochs than those of the quick version"),
            ];
        }
        vec![
            // A number alone would say little: the neighbours have one too.
            Check::new(
                "three-modules-read",
                "test accuracy of the network without head minus that of five nearest neighbours",
                Measured::over(
                    &report.plain.iter().map(|a| a.accuracy - report.neighbours).collect::<Vec<_>>(),
                ),
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("five nearest neighbours", report.neighbours)
            .reason_if_failed("fewer images or epochs than those of the full version"),
            Check::new(
                "a-head-helps",
                "test accuracy with the head minus that without, same seeds",
                difference(|a| a.accuracy),
                Bound::AtLeast(0.0),
                BoundSource::Text,
            )
            .baseline("without head", mean(|a| a.accuracy))
            .reason_if_failed(
                "with 1,000 images and 20 epochs the gain, if any, is below what trainings differ by",
            ),
            Check::new(
                "a-head-regularises",
                "cross-entropy of unseen images with the head minus that without, nats, same seeds",
                difference(|a| a.cross_entropy),
                Bound::AtMost(0.0),
                BoundSource::Text,
            )
            .baseline("without head", mean(|a| a.cross_entropy))
            .reason_if_failed("dropout and normalisation regularise this network already"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let columns = [("without", &report.plain), ("with head", &report.headed), ("the head", &report.head)];
        let dots = columns.iter().enumerate().flat_map(|(i, (_, answers))| {
            answers.iter().map(move |answers| (i as f64, answers.accuracy)).collect::<Vec<_>>()
        });
        vec![Figure::new(
            "accuracy",
            "What a head changes, beside what a seed changes. Test accuracy of a GoogLeNet of three normalised modules, one \
             dot per training: without a head, with one on its first module, and of that head itself; the line is five \
             nearest neighbours on pixels.",
            "Three columns of dots, one for each output, and a horizontal line.",
            Plot::new(
                Axis::categories("network", columns.iter().map(|(name, _)| (*name).to_owned())),
                Axis::linear("test accuracy"),
            )
            .scatter("trainings", dots.collect::<Vec<_>>())
            .horizontal("five nearest neighbours", report.neighbours),
        )]
    }
}

fn table(parameters: [usize; 2], neighbours: f64, [plain, headed, head]: [&Vec<Answers>; 3]) -> Table {
    let mut table = Table::new([
        "output",
        "parameters in training",
        "training accuracy",
        "test accuracy",
        "cross-entropy of the test images (nats)",
    ]);
    table.row(["five nearest neighbours", "–", "–", &format!("{neighbours:.3}"), "–"]);
    let named = [
        ("network, without head", parameters[0], plain),
        ("network, with head", parameters[1], headed),
        ("the head itself", parameters[1], head),
    ];
    for (name, parameters, answers) in named {
        let over = |of: fn(&Answers) -> f64| {
            let measured = Measured::over(&each(answers, of));
            format!("{:.3} ± {:.3}", measured.mean, measured.sd)
        };
        table.row([
            name.to_owned(),
            parameters.to_string(),
            over(|a| a.train_accuracy),
            over(|a| a.accuracy),
            over(|a| a.cross_entropy),
        ]);
    }
    table
}
