//! The quadratic cost is slow where a neuron is wrong and certain; cross-entropy is not; better starts help as well.

use dfdx::prelude::{Backward, Cpu, Module, Rank0, SumTo, TensorFromVec, Trace};
use kernels::{ActivationKind, SquaredError, activate, bce_with_logits_mean, loss_mean};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Frame, Frames, Plot, Slider, Table};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Draw, Loss, Net, Plan, accuracy, train};
use super::{Data, at_least_one};
use crate::mean_field::moments;
use crate::nielsen::Cost;
use crate::saturation::Neuron;

/// One neuron, and a network on digits, with both costs.
#[derive(Debug)]
pub struct LearningSlowdown;

/// What may vary in [`LearningSlowdown`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LearningSlowdownConfig {
    /// Runs of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for LearningSlowdownConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 15, train_images: 2000, test_images: 5000 }
    }
}

impl ExperimentConfig for LearningSlowdownConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, train_images: 500, test_images: 500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`LearningSlowdown`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LearningSlowdownReport {
    /// Output of the neuron after each epoch: cost, start and curve.
    pub neurons: Vec<NeuronRun>,
    /// How much the first 100 epochs lower the output from the certain start: quadratic cost.
    pub quadratic_fall: f64,
    /// Cross-entropy, same learning rate.
    pub cross_entropy_fall: f64,
    /// The networks: cost and start.
    pub networks: Vec<NetworkRun>,
    /// Whether the networks trained for the epochs that the bounds are for.
    pub is_full: bool,
    /// Test accuracy after the first epoch, cross-entropy less quadratic cost, both from N(0, 1), in points.
    pub cost_gain: Measured,
    /// Test accuracy at the end under the quadratic cost, scaled start less N(0, 1), in points.
    pub start_gain: Measured,
    /// The networks as a table.
    pub table: Table,
}

/// One neuron.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NeuronRun {
    /// Cost and start.
    pub name: String,
    /// Output before and after each epoch.
    pub outputs: Vec<f64>,
}

/// Networks with one cost and one start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NetworkRun {
    /// Cost, learning rate and start.
    pub name: String,
    /// Test accuracy in percent after each epoch, per seed.
    pub accuracy: Vec<Vec<f64>>,
    /// After the first epoch, over seeds.
    pub first: Measured,
    /// After the last.
    pub last: Measured,
}

/// Learning rate of the neuron, as in the book.
const NEURON_RATE: f64 = 0.15;
/// Epochs of the neuron.
const NEURON_EPOCHS: usize = 300;

impl Experiment for LearningSlowdown {
    type Config = LearningSlowdownConfig;
    type Report = LearningSlowdownReport;
    const ABOUT: About = About {
        name: "learning-slowdown",
        lecture: 5,
        paper: "Nielsen (2015), Neural Networks and Deep Learning, ch. 3",
        claim: "A sigmoid neuron that is wrong and certain hardly learns under the quadratic cost and learns at once \
                under cross-entropy; a scaled start repairs the same fault",
        sources: &[
            include_str!("learning_slowdown.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../saturation.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let mut neurons = Vec::new();
        for (cost, name) in [(Cost::Quadratic, "quadratic"), (Cost::CrossEntropy, "cross-entropy")] {
            for (weight, bias, start) in [(0.6, 0.9, "mild"), (2.0, 2.0, "certain")] {
                let outputs = Neuron { weight, bias }
                    .train(cost, NEURON_RATE, NEURON_EPOCHS)
                    .map_err(lab::Error::unit)?;
                neurons.push(NeuronRun { name: format!("{name}, {start}"), outputs });
            }
        }
        let fall = |run: &NeuronRun| run.outputs[0] - run.outputs[100];
        let (train_set, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let kinds = [
            (Cost::Quadratic, 3.0, false, "quadratic, N(0, 1)"),
            (Cost::Quadratic, 3.0, true, "quadratic, scaled"),
            (Cost::CrossEntropy, 0.5, false, "cross-entropy, N(0, 1)"),
            (Cost::CrossEntropy, 0.5, true, "cross-entropy, scaled"),
        ];
        let mut networks = Vec::new();
        for (done, (cost, rate, is_scaled, name)) in kinds.into_iter().enumerate() {
            let mut curves = Vec::new();
            for (run, &seed) in seeds.iter().enumerate() {
                let done = (done * seeds.len() + run) as u64;
                lab.progress("networks", done, (kinds.len() * seeds.len()) as u64, None)?;
                curves.push(network(config, &train_set, &test, (cost, rate, is_scaled), seed)?);
            }
            let at = |index: usize| Measured::over(&curves.iter().map(|c| c[index]).collect::<Vec<_>>());
            networks.push(NetworkRun {
                name: name.to_owned(),
                first: at(0),
                last: at(config.epochs - 1),
                accuracy: curves,
            });
        }
        let gain = |better: usize, worse: usize, at: usize| {
            let pairs = networks[better].accuracy.iter().zip(&networks[worse].accuracy);
            Measured::over(&pairs.map(|(better, worse)| better[at] - worse[at]).collect::<Vec<_>>())
        };
        let (cost_gain, start_gain) = (gain(2, 0, 0), gain(1, 0, config.epochs - 1));
        let mut table = Table::new(["cost and start", "after epoch 1, %", "after the last epoch, %"]);
        for network in &networks {
            table.row([network.name.clone(), network.first.to_string(), network.last.to_string()]);
        }
        Ok(LearningSlowdownReport {
            quadratic_fall: fall(&neurons[1]),
            cross_entropy_fall: fall(&neurons[3]),
            neurons,
            networks,
            is_full: config.epochs >= 15 && config.train_images >= 2000,
            cost_gain,
            start_gain,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let mut checks = vec![
            Check::new(
                "certain-neuron-is-stuck",
                "fall of the output in 100 epochs from the certain start under the quadratic cost",
                Measured::exact(report.quadratic_fall),
                Bound::AtMost(0.15),
                BoundSource::Paper,
            )
            .baseline("cross-entropy", report.cross_entropy_fall)
            .reason_if_failed("an error in the slope of the sigmoid"),
            Check::new(
                "cross-entropy-is-not",
                "fall of the output in 100 epochs from the certain start under cross-entropy, same learning rate",
                Measured::exact(report.cross_entropy_fall),
                Bound::AtLeast(0.9),
                BoundSource::Paper,
            )
            .baseline("quadratic cost", report.quadratic_fall)
            .reason_if_failed("the slope of the sigmoid has not cancelled"),
        ];
        if report.is_full {
            // Pilot in PyTorch, 3 seeds: 78.1 ± 0.8 against 30.3 ± 4.3 after epoch 1; 92.0 ± 0.2 against 60.2 ± 12 after
            // epoch 15; 85.6 ± 1.2.
            checks.push(
                Check::new(
                    "cross-entropy-learns-sooner",
                    "test accuracy after one epoch from N(0, 1): cross-entropy less quadratic cost, in points",
                    report.cost_gain,
                    Bound::AtLeast(25.0),
                    BoundSource::Pilot,
                )
                .baseline("quadratic cost, %", report.networks[0].first.mean)
                .reason_if_failed("few updates in an epoch"),
            );
            checks.push(
                Check::new(
                    "a-scaled-start-helps-too",
                    "test accuracy at the end under the quadratic cost: scaled start less N(0, 1), in points",
                    report.start_gain,
                    Bound::AtLeast(15.0),
                    BoundSource::Pilot,
                )
                .baseline("N(0, 1), %", report.networks[0].last.mean)
                .reason_if_failed("with many more epochs the saturated outputs recover one by one"),
            );
            checks.push(
                Check::new(
                    "both-together",
                    "test accuracy after one epoch with cross-entropy and a scaled start, in percent",
                    report.networks[3].first,
                    Bound::AtLeast(80.0),
                    BoundSource::Pilot,
                )
                .baseline("quadratic cost, N(0, 1)", report.networks[0].first.mean)
                .reason_if_failed("a learning rate that does not fit the cost"),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut neurons = Plot::new(Axis::linear("epoch"), Axis::linear("output").range(0.0, 1.0));
        for run in &report.neurons {
            let points = run.outputs.iter().enumerate().map(|(epoch, &output)| (epoch as f64, output));
            neurons = neurons.line(Line::new(run.name.clone(), points));
        }
        vec![
            Figure::new(
                "neuron",
                format!(
                    "Wrong and certain, the neuron under the quadratic cost wastes its first 150 epochs; under \
                     cross-entropy the more wrong it is the faster it learns. Output of one sigmoid neuron that should \
                     answer 0, for two starts and two costs, learning rate {NEURON_RATE}."
                ),
                "Four falling curves. Both for cross-entropy drop below 0.1 within 50 epochs. For the quadratic cost the \
                 one from a mild start falls slowly, and the one from the certain start stays near 1 for 150 epochs and \
                 falls only then.",
                neurons,
            ),
            saturation_figure(),
            starts_figure(),
            activations_figure(),
        ]
    }
}

fn network(
    config: &LearningSlowdownConfig,
    train_set: &Digits,
    test: &Digits,
    (cost, learning_rate, is_scaled): (Cost, f64, bool),
    seed: lab::Seed,
) -> Result<Vec<f64>, lab::Error> {
    let plan = Plan { epochs: config.epochs, batch: 10, learning_rate, momentum: 0.0, weight_decay: 0.0 };
    let deviation = |inputs: usize, _| if is_scaled { (inputs as f64).powf(-0.5) } else { 1.0 };
    let widths = [train_set.features, 100, CLASSES];
    let mut net = Net::new(&Cpu::default(), &widths, ActivationKind::Sigmoid, deviation, seed.key("weights"))
        .map_err(lab::Error::unit)?;
    // Nielsen draws the biases too.
    for (l, layer) in net.layers.iter_mut().enumerate() {
        seed.key("biases").fold(l as u64).fill_normal(kernels::flat_mut(&mut layer.bias));
    }
    let mut sgd = plan.optimizer(&net)?;
    let mut curve = Vec::new();
    let step = |net: &mut Net, draw: Draw| Ok(loss(net, train_set, cost, &draw.rows));
    train(&mut net, &mut sgd, train_set.len(), plan, seed.key("order"), step, |_, net, _| {
        curve.push(accuracy(net, test)?);
        Ok(true)
    })?;
    Ok(curve)
}

// ANCHOR: loss
/// Ten sigmoid outputs against a one-hot target: sums over outputs, mean over the minibatch.
fn loss(net: &Net, set: &Digits, cost: Cost, rows: &[usize]) -> Loss {
    let (x, labels) = set.batch(rows);
    let one_hot = labels.iter().flat_map(|&label| (0..CLASSES).map(move |class| f32::from(class == label)));
    let targets = Cpu::default().tensor_from_vec(one_hot.collect::<Vec<f32>>(), (labels.len(), CLASSES));
    let votes = net.forward(x.leaky_trace());
    match cost {
        Cost::Quadratic => {
            let outputs = activate(votes, kernels::Sigmoid);
            loss_mean(outputs, targets, SquaredError) * (0.5 * CLASSES as f32)
        }
        Cost::CrossEntropy => bce_with_logits_mean(votes, &targets) * CLASSES as f32,
    }
}
// ANCHOR_END: loss

/// Nielsen's example: a thousand inputs, half of them on.
fn starts_figure() -> Figure {
    let density = |variance: f64| {
        let at = move |z: f64| (-0.5 * z * z / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
        (-240..=240).map(move |i| f64::from(i) / 4.0).map(move |z| (z, at(z)))
    };
    Figure::new(
        "starts",
        "With weights from N(0, 1) nearly every vote falls where the sigmoid is flat; with the variance divided by the \
         number of inputs it falls where the slope is. Density of the first votes of a unit with 1,000 inputs, half of \
         them on and the others off, and a bias from N(0, 1).",
        "Two bell curves over the vote from -60 to 60. One is wide and so low that it hardly leaves the axis; the other is \
         a narrow peak between -4 and 4.",
        Plot::new(Axis::linear("vote z").range(-60.0, 60.0), Axis::linear("density"))
            .line(Line::new("weights N(0, 1)", density(501.0)))
            .line(Line::new("weights N(0, 1/1000)", density(1.5))),
    )
}

fn saturation_figure() -> Figure {
    let at = |i: i32| f64::from(i) / 10.0;
    let a = |z: f64| crate::nielsen::sigmoid(z);
    let curve = |f: fn(f64) -> f64| (-60..=60).map(at).map(|z| (z, f(a(z)))).collect::<Vec<_>>();
    Figure::new(
        "slopes",
        "The error of a neuron is what its cost says about its vote: under cross-entropy it grows with the mistake, under \
         the quadratic cost it vanishes where the mistake is largest. Derivative of both costs by the vote of a sigmoid \
         neuron whose target is 0.",
        "Two curves over the vote from -6 to 6. One rises from 0 to 1 like a step. The other rises to a hump of 0.15 near \
         1 and falls back to 0.",
        Plot::new(
            Axis::linear("vote z (target 0, so a large z is a mistake)"),
            Axis::linear("derivative of the cost by z").range(0.0, 1.0),
        )
        .line(Line::new("cross-entropy: a", curve(|a| a)))
        .line(Line::new("quadratic: a²(1 − a)", curve(|a| a * a * (1.0 - a)))),
    )
}

/// Activations, their slopes and the votes that meet them, over two sliders.
fn activations_figure() -> Figure {
    let kinds = [
        ("sigmoid", ActivationKind::Sigmoid),
        ("tanh", ActivationKind::Tanh),
        ("ReLU", ActivationKind::Relu),
        ("leaky ReLU", ActivationKind::LeakyRelu(0.1)),
        ("GELU", ActivationKind::Gelu),
        ("SiLU", ActivationKind::Silu),
    ];
    let deviations = [0.25, 0.5, 1.0, 2.0, 4.0];
    let z: Vec<f64> = (-48..=48).map(|i| f64::from(i) / 8.0).collect();
    let of = |values: Vec<f64>| z.iter().copied().zip(values).collect::<Vec<_>>();
    let votes = || Cpu::default().tensor_from_vec(z.clone(), (z.len(),));
    let frame = |kind: usize, deviation: usize| {
        let (name, activation) = kinds[kind];
        let deviation: f64 = deviations[deviation];
        let density = z.iter().map(|z| (-0.5 * (z / deviation).powi(2)).exp()).collect();
        let z = votes();
        let slopes = kernels::activation_slope(z.leaky_trace(), activation);
        let slope = slopes.as_vec();
        let curvature = slopes.sum::<Rank0, _>().backward().get(&z).as_vec();
        let plot = Plot::new(Axis::linear("vote z").range(-6.0, 6.0), Axis::linear("").range(-1.1, 2.0))
            .line(Line::new("votes", of(density)))
            .line(Line::new("activation", of(activate(z, activation).as_vec())))
            .line(Line::new("slope", of(slope)))
            .line(Line::new("curvature", of(curvature)));
        let [mean, second, slope] = moments(activation, deviation * deviation)
            .map_or([f64::NAN; 3], |moments| [moments.mean, moments.second, moments.slope]);
        Frame::new(plot).note(format!(
            "{name}, votes of standard deviation {deviation}: mean {mean:.3}, mean square {second:.3}, mean squared slope \
             {slope:.3}; after ten layers {:.1e}.",
            slope.powi(10)
        ))
    };
    let names = Slider::new("activation", kinds.map(|(name, _)| name));
    Figure::new(
        "activations",
        "Learning stops where the votes lie on flat ground: move the sliders until the slope under the votes is gone. An \
         activation, its slope, the slope of that, and the density of Gaussian votes (height 1 at 0). The note says what is left of a squared \
         gradient on average, after one layer and after ten, before the weights multiply it.",
        "Four curves over the vote from -6 to 6: a bell curve of the votes, the activation, its slope and its curvature. For \
         the sigmoid the slope is a low hump, at most a quarter, and with wide votes most of the bell lies outside of it.",
        Frames::over_two(names, Slider::new("deviation of the votes", deviations), frame).still([0, 3]),
    )
}
