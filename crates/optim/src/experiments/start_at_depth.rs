//! Ten layers train or do not, and the scale of the first random weights decides.

use dfdx::prelude::{Backward, Cpu, Module, Trace};
use kernels::ActivationKind;
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Net, Plan, accuracy, train_plainly};
use super::{Data, at_least_one};
use crate::chain::{Batch, Chain, glorot, he, library_default};
use crate::init::orthogonalise;
use crate::mean_field::MeanField;

/// Deep networks from different starts.
#[derive(Debug)]
pub struct StartAtDepth;

/// What may vary in [`StartAtDepth`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct StartAtDepthConfig {
    /// Runs of each start, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to train with, in two passes
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
    /// Random networks whose signals are averaged
    #[arg(long)]
    pub networks: usize,
}

impl Default for StartAtDepthConfig {
    fn default() -> Self {
        Self { seeds: 3, train_images: 4000, test_images: 5000, networks: 20 }
    }
}

impl ExperimentConfig for StartAtDepthConfig {
    fn quick() -> Self {
        Self { seeds: 2, train_images: 150, test_images: 200, networks: 4 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        at_least_one("networks", self.networks)?;
        Ok(self)
    }
}

/// What [`StartAtDepth`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAtDepthReport {
    /// Layers of weights.
    pub depth: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Accuracy by activation and start.
    pub runs: Vec<StartRun>,
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Mean square of the votes by layer, measured, ReLU with He's weights.
    pub signal_he: Vec<f64>,
    /// The same for the library's default.
    pub signal_default: Vec<f64>,
    /// Mean field, He.
    pub theory_he: Vec<f64>,
    /// Mean field, default.
    pub theory_default: Vec<f64>,
    /// Largest relative distance of measured and predicted mean squares with He's weights.
    pub off_he: f64,
    /// With the default.
    pub off_default: f64,
    /// Mean square of the derivative of a random sum of the last votes by the votes of a layer, He's weights.
    pub gradient_he: Vec<f64>,
    /// The same for the default.
    pub gradient_default: Vec<f64>,
    /// Mean field: $\chi$ to the number of layers behind, He.
    pub gradient_theory_he: Vec<f64>,
    /// Default.
    pub gradient_theory_default: Vec<f64>,
    /// Largest relative distance of measured and predicted mean squares of gradients with He's weights.
    pub off_gradient_he: f64,
    /// With the default.
    pub off_gradient_default: f64,
    /// Accuracies as a table.
    pub table: Table,
}

/// One activation and one start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartRun {
    /// The activation.
    pub activation: String,
    /// The start.
    pub start: String,
    /// Test accuracy in percent, over seeds.
    pub accuracy: Measured,
}

/// Layers of weights, and units of each hidden layer.
const DEPTH: usize = 10;
const WIDTH: usize = 100;
/// Units of the random networks whose signals are compared with the limit of many.
const WIDE: usize = 400;
/// Images whose gradients are averaged in each of these networks, one at a time.
const IMAGES: usize = 3;

#[derive(Clone, Copy)]
enum Start {
    Default,
    Glorot,
    He,
    Orthogonal,
}

impl Experiment for StartAtDepth {
    type Config = StartAtDepthConfig;
    type Report = StartAtDepthReport;
    const ABOUT: About = About {
        name: "start-at-depth",
        lecture: 5,
        paper: "Glorot & Bengio (2010); He et al. (2015); Poole et al. (2016)",
        claim: "A rectifier network of ten layers trains from He's weights and not from a library's default; the mean \
                field predicts both signals",
        sources: &[
            include_str!("start_at_depth.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../mean_field.rs"),
            include_str!("../init.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train_set, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let starts = [
            ("default", Start::Default),
            ("Glorot", Start::Glorot),
            ("He", Start::He),
            ("orthogonal", Start::Orthogonal),
        ];
        let activations = [
            ("ReLU", ActivationKind::Relu),
            ("tanh", ActivationKind::Tanh),
            ("sigmoid", ActivationKind::Sigmoid),
        ];
        let mut runs = Vec::new();
        for (name, activation) in activations {
            for (start_name, start) in starts {
                if name == "sigmoid" && start_name != "Glorot" {
                    continue; // one row: Glorot's start does not train it in this budget
                }
                lab.progress("starts", runs.len() as u64, 9, None)?;
                let mut accuracies = Vec::new();
                for &seed in &seeds {
                    let mut net = network(train_set.features, activation, start, seed)?;
                    let plan =
                        Plan { epochs: 2, batch: 50, learning_rate: 0.02, momentum: 0.9, weight_decay: 0.0 };
                    train_plainly(&mut net, &train_set, plan, seed.key("order"))?;
                    accuracies.push(accuracy(&net, &test)?);
                }
                runs.push(StartRun {
                    activation: name.to_owned(),
                    start: start_name.to_owned(),
                    accuracy: Measured::over(&accuracies),
                });
            }
        }
        let key = lab.key("signals");
        let signal_he = signals(&train_set, config.networks, he, false, key)?;
        let signal_default = signals(&train_set, config.networks, library_default, true, key)?;
        let field = |weight_variance: f64, bias_variance: f64, first: f64| {
            let field = MeanField { activation: kernels::Relu, weight_variance, bias_variance };
            field.depth(first, DEPTH).map_err(lab::Error::unit)
        };
        let theory_he = field(2.0, 0.0, signal_he[0])?;
        let theory_default = field(1.0 / 3.0, 1.0 / (3.0 * WIDE as f64), signal_default[0])?;
        let key = lab.key("gradients");
        let gradient_he = gradients(&train_set, config.networks, he, false, key)?;
        let gradient_default = gradients(&train_set, config.networks, library_default, true, key)?;
        let back = |weight_variance: f64| {
            let field = MeanField { activation: kernels::Relu, weight_variance, bias_variance: 0.0 };
            let chi = field.chi(1.0).map_err(lab::Error::unit)?; // a rectifier's does not depend on the signal
            Ok::<Vec<f64>, lab::Error>((1..=DEPTH).map(|l| chi.powi((DEPTH - l) as i32)).collect())
        };
        let (gradient_theory_he, gradient_theory_default) = (back(2.0)?, back(1.0 / 3.0)?);
        let off = |measured: &[f64], theory: &[f64]| {
            let each = measured.iter().zip(theory).map(|(m, t)| (m / t - 1.0).abs());
            each.fold(0.0, f64::max)
        };
        let mut table = Table::new(["activation", "start", "test accuracy, %"]);
        for run in &runs {
            table.row([run.activation.clone(), run.start.clone(), run.accuracy.to_string()]);
        }
        Ok(StartAtDepthReport {
            depth: DEPTH,
            width: WIDTH,
            is_full: config.train_images >= 4000,
            runs,
            off_he: off(&signal_he, &theory_he),
            off_default: off(&signal_default, &theory_default),
            off_gradient_he: off(&gradient_he, &gradient_theory_he),
            off_gradient_default: off(&gradient_default, &gradient_theory_default),
            gradient_he,
            gradient_default,
            gradient_theory_he,
            gradient_theory_default,
            signal_he,
            signal_default,
            theory_he,
            theory_default,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let of = |activation: &str, start: &str| {
            let found = report.runs.iter().find(|run| run.activation == activation && run.start == start);
            found.map_or_else(|| Measured::exact(f64::NAN), |run| run.accuracy)
        };
        let mut checks = vec![
            // 20 networks of width 400: the mean square of a layer strays by sqrt(5 / (400 · 20)) = 2.5 % a layer.
            Check::new(
                "he-keeps-the-signal",
                "largest relative distance of the mean square of the votes from the mean field, He's weights",
                Measured::exact(report.off_he),
                Bound::AtMost(if report.is_full { 0.1 } else { 0.25 }),
                BoundSource::Pilot,
            )
            .baseline("left of the signal after ten layers of the default", {
                report.signal_default[DEPTH - 1] / report.signal_default[0]
            })
            .reason_if_failed("few networks, or narrow ones"),
            Check::new(
                "default-loses-it",
                "the same for the library's default, U(±1/√n) for weights and biases",
                Measured::exact(report.off_default),
                Bound::AtMost(if report.is_full { 0.15 } else { 0.3 }),
                BoundSource::Pilot,
            )
            .baseline("left of the signal after ten layers", {
                report.signal_default[DEPTH - 1] / report.signal_default[0]
            })
            .reason_if_failed("few networks, or narrow ones"),
            // These networks are drawn once, with the first seed. Pilot with 100: 0.030 and 0.045; the quick version with 100 and
            // with 200: 0.09 and 0.10.
            Check::new(
                "he-keeps-the-gradient",
                "largest relative distance of the mean squared gradient of a layer's votes from the mean field, He's weights",
                Measured::exact(report.off_gradient_he),
                Bound::AtMost(if report.is_full { 0.1 } else { 0.25 }),
                BoundSource::Pilot,
            )
            .baseline("left of the squared gradient at the first layer with the default", report.gradient_default[0])
            .reason_if_failed("few networks, or narrow ones"),
            Check::new(
                "default-loses-the-gradient",
                "the same for the library's default",
                Measured::exact(report.off_gradient_default),
                Bound::AtMost(if report.is_full { 0.15 } else { 0.25 }),
                BoundSource::Pilot,
            )
            .baseline("left of the squared gradient at the first layer", report.gradient_default[0])
            .reason_if_failed("few networks, or narrow ones"),
        ];
        if report.is_full {
            // Pilot in PyTorch, 3 seeds: ReLU default 10.6 ± 1.0, Glorot 79.5 ± 3.3, He 87.3 ± 2.0, orthogonal 87.2 ± 2.1;
            // tanh Glorot 89.6 ± 0.5; sigmoid 9.8 for every start.
            for (id, claim, value, bound, baseline) in [
                (
                    "he-trains",
                    "test accuracy of ten ReLU layers from He's weights, in percent",
                    of("ReLU", "He"),
                    Bound::AtLeast(78.0),
                    of("ReLU", "default"),
                ),
                (
                    "default-does-not",
                    "test accuracy of ten ReLU layers from the library's default, in percent",
                    of("ReLU", "default"),
                    Bound::AtMost(25.0),
                    of("ReLU", "He"),
                ),
                (
                    "glorot-trains-tanh",
                    "test accuracy of ten tanh layers from Glorot's weights, in percent",
                    of("tanh", "Glorot"),
                    Bound::AtLeast(86.0),
                    of("tanh", "default"),
                ),
                (
                    "sigmoid-does-not-train",
                    "test accuracy of ten sigmoid layers in the same budget, in percent",
                    of("sigmoid", "Glorot"),
                    Bound::AtMost(20.0),
                    of("tanh", "Glorot"),
                ),
            ] {
                checks.push(
                    Check::new(id, claim, value, bound, BoundSource::Pilot)
                        .baseline("the other one", baseline.mean)
                        .reason_if_failed(
                            "another budget: more epochs rescue bad starts, fewer fail good ones",
                        ),
                );
            }
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |values: &[f64]| -> Vec<(f64, f64)> {
            values.iter().enumerate().map(|(l, &value)| ((l + 1) as f64, value)).collect()
        };
        vec![
            Figure::new(
                "signal",
                format!(
                    "He's weights carry the signal through ten layers, a library's default loses it, at first \
                 by a factor of about five per layer, until only the biases are left. Mean square of the votes by layer in \
                 random ReLU networks \
                 {WIDE} wide on real digits (points) and the mean field (lines)."
                ),
                "Two sets of points with lines through them on a logarithmic axis. One is level. The other falls by more than \
             thirty and levels off.",
                Plot::new(
                    Axis::linear("layer").range(1.0, 10.0),
                    Axis::logarithmic("mean square of the votes"),
                )
                .line(Line::new("He, mean field", points(&report.theory_he)))
                .line(Line::new("default, mean field", points(&report.theory_default)))
                .scatter("He, measured", points(&report.signal_he))
                .scatter("default, measured", points(&report.signal_default)),
            ),
            Figure::new(
                "gradient",
                format!(
                    "On the way back He's weights carry the gradient to the first layer; of the default's a sixth is left by each \
                 layer, to the end. Mean square of the derivative of a random sum of the last votes by the votes of a layer, random \
                 ReLU networks {WIDE} wide on real digits (points), and the mean field (lines)."
                ),
                "Two sets of points with lines through them on a logarithmic axis. One is level at one. The other falls in a straight \
             line from one at layer ten to ten to the minus seven at layer one.",
                Plot::new(
                    Axis::linear("layer").range(1.0, 10.0),
                    Axis::logarithmic("mean square of the gradient"),
                )
                .line(Line::new("He, mean field", points(&report.gradient_theory_he)))
                .line(Line::new("default, mean field", points(&report.gradient_theory_default)))
                .scatter("He, measured", points(&report.gradient_he))
                .scatter("default, measured", points(&report.gradient_default)),
            ),
        ]
    }
}

fn widths(features: usize, hidden: usize) -> Vec<usize> {
    let mut widths = vec![features];
    widths.extend([hidden; DEPTH - 1]);
    widths.push(CLASSES);
    widths
}

fn network(
    features: usize,
    activation: ActivationKind,
    start: Start,
    seed: lab::Seed,
) -> Result<Net, lab::Error> {
    let deviation = match start {
        Start::Default => library_default,
        Start::Glorot => glorot,
        Start::He | Start::Orthogonal => he,
    };
    let key = seed.key("weights");
    let mut net = Net::new(&Cpu::default(), &widths(features, WIDTH), activation, deviation, key)
        .map_err(lab::Error::unit)?;
    match start {
        Start::Default => draw_biases(&mut net, key.fold(100)),
        Start::Orthogonal => {
            let gain = if activation == ActivationKind::Relu { 2.0_f64.sqrt() } else { 1.0 };
            orthogonalise(&mut net, gain, key);
        }
        Start::Glorot | Start::He => {}
    }
    Ok(net)
}

/// A random network whose ten layers all have so many units that the mean field describes it.
fn wide(
    features: usize,
    deviation: fn(usize, usize) -> f64,
    has_biases: bool,
    key: Key,
) -> Result<Net, lab::Error> {
    let widths: Vec<usize> = [features].into_iter().chain([WIDE; DEPTH]).collect();
    let mut net =
        Net::new(&Cpu::default(), &widths, kernels::Relu, deviation, key).map_err(lab::Error::unit)?;
    if has_biases {
        draw_biases(&mut net, key.fold(100));
    }
    Ok(net)
}

/// The default draws biases as it draws weights.
fn draw_biases(net: &mut Net, key: Key) {
    for (l, layer) in net.layers.iter_mut().enumerate() {
        let deviation = library_default(dfdx::prelude::HasShape::shape(&layer.weight).1, 0) as f32;
        let bias = kernels::flat_mut(&mut layer.bias);
        key.fold(l as u64).fill_normal(bias);
        bias.iter_mut().for_each(|b| *b *= deviation);
    }
}

// ANCHOR: signals
/// Mean square of the votes of each layer, over images and random networks.
fn signals(
    set: &Digits,
    networks: usize,
    deviation: fn(usize, usize) -> f64,
    has_biases: bool,
    key: Key,
) -> Result<Vec<f64>, lab::Error> {
    let (x, _) = set.batch(&(0..50).collect::<Vec<_>>());
    let mut sums = vec![0.0; DEPTH];
    for number in 0..networks as u64 {
        let net = wide(set.features, deviation, has_biases, key.fold(number))?;
        for (l, sum) in sums.iter_mut().enumerate() {
            let until = Chain { layers: net.layers[..=l].to_vec(), activation: net.activation };
            let votes = until.forward(x.clone()).as_vec();
            let square = votes.iter().map(|v| f64::from(v * v)).sum::<f64>() / votes.len() as f64;
            *sum += square / networks as f64;
        }
    }
    Ok(sums)
}
// ANCHOR_END: signals

// ANCHOR: gradients
/// Mean square of the derivative by the votes of each layer of a sum of the last votes with random factors of variance 1, over
/// images and random networks.
fn gradients(
    set: &Digits,
    networks: usize,
    deviation: fn(usize, usize) -> f64,
    has_biases: bool,
    key: Key,
) -> Result<Vec<f64>, lab::Error> {
    let mut sums = vec![0.0; DEPTH];
    for number in 0..networks as u64 {
        let net = wide(set.features, deviation, has_biases, key.fold(number))?;
        for image in 0..IMAGES {
            let (x, _) = set.batch(&[image]);
            let factors: Batch<f32, Cpu> =
                key.fold(number).fold(200 + image as u64).normal(&Cpu::default(), (1, WIDE));
            let gradients = kernels::sum_all(net.forward(x.leaky_trace()) * factors).backward();
            for (sum, layer) in sums.iter_mut().zip(&net.layers) {
                // For a single image the derivative by a bias is that by the vote.
                let slopes = gradients.get(&layer.bias).as_vec();
                let square = slopes.iter().map(|g| f64::from(g * g)).sum::<f64>() / slopes.len() as f64;
                *sum += square / (networks * IMAGES) as f64;
            }
        }
    }
    Ok(sums)
}
// ANCHOR_END: gradients
