//! Exclusive or: out of reach for one perceptron, learnt by a hidden layer of two, most of the time.

use std::ops::ControlFlow;

use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Ramp, Raster, Table, Tile};
use nalgebra::{SVector, vector};
use serde::{Deserialize, Serialize};

use super::{at_least_one, refused};
use crate::nielsen::{Example, Network, SgdConfig};
use crate::perceptron::{MaxEpochs, Perceptron};

/// A perceptron and many 2-2-1 networks learn exclusive or.
#[derive(Debug)]
pub struct Xor;

/// What may vary in [`Xor`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct XorConfig {
    /// Networks, each with its own start, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Gradient steps, each on all four examples
    #[arg(long)]
    pub epochs: usize,
    /// Learning rate of the networks
    #[arg(long)]
    pub learning_rate: f64,
    /// Passes of the perceptron
    #[arg(long)]
    pub perceptron_epochs: usize,
}

impl Default for XorConfig {
    fn default() -> Self {
        Self { seeds: 500, epochs: 5000, learning_rate: 3.0, perceptron_epochs: 5000 }
    }
}

impl ExperimentConfig for XorConfig {
    fn quick() -> Self {
        Self { seeds: 100, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("perceptron_epochs", self.perceptron_epochs)?;
        sgd_config(&self).check().map_err(refused)?;
        Ok(self)
    }
}

fn sgd_config(config: &XorConfig) -> SgdConfig {
    SgdConfig::default().epochs(config.epochs).batch_size(4).learning_rate(config.learning_rate)
}

/// What [`Xor`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct XorReport {
    /// Rosenblatt's rule on the four examples.
    pub perceptron: PerceptronRun,
    /// Whether the default number of networks was trained.
    pub is_full: bool,
    /// Networks trained.
    pub networks: usize,
    /// Networks whose four outputs are all within 0.1 of their targets at the end.
    pub solved: usize,
    /// `solved / networks`.
    pub solved_share: f64,
    /// Of the first ten networks.
    pub solved_of_first_ten: usize,
    /// Networks that solve it before any training, by luck.
    pub solved_untrained: usize,
    /// Step at which half of the networks that solve it have done so.
    pub median_steps: usize,
    /// How many networks ended at which cost, to three decimals, most frequent first.
    pub end_costs: Vec<EndCost>,
    /// The same as text.
    pub table: Table,
    /// Share of networks that have solved it by each of `steps`.
    pub solved_by: Vec<f64>,
    /// Steps of `solved_by` and of the curves.
    pub steps: Vec<usize>,
    /// The first network that solves it.
    pub success: Option<Run>,
    /// The first that does not.
    pub failure: Option<Run>,
}

/// Rosenblatt's rule on exclusive or.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerceptronRun {
    /// Passes made, none without a mistake.
    pub epochs: usize,
    /// Mistakes made.
    pub mistakes: usize,
    /// Largest share of the four examples that the plane had right after any mistake.
    pub best_accuracy: f64,
    /// After how many mistakes the weights and the bias were zero again, if they ever were.
    pub cycle: Option<usize>,
}

/// Networks that ended at the same cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndCost {
    /// The cost, to three decimals.
    pub cost: f64,
    /// How many.
    pub networks: usize,
    /// Outputs of one of them for 00, 01, 10, 11.
    pub outputs: [f64; 4],
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Cost at each of the report's `steps`.
    pub cost: Vec<f64>,
    /// Outputs on a [`GRID`] × [`GRID`] grid over \[0, 1\]², top row first, to three decimals.
    pub map: Vec<f64>,
}

/// An output is right if it is this close to its target.
pub const NEAR: f64 = 0.1;
/// Points along each side of the map.
pub const GRID: usize = 48;

fn examples() -> [Example<2, 1>; 4] {
    [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
        .map(|[a, b, y]| Example { x: vector![a, b], y: vector![y] })
}

fn outputs(network: &Network<2, 2, 1>) -> [f64; 4] {
    examples().map(|example| network.feedforward(&example.x)[0])
}

fn is_solved(network: &Network<2, 2, 1>) -> bool {
    outputs(network).iter().zip(examples()).all(|(output, example)| (output - example.y[0]).abs() < NEAR)
}

impl Experiment for Xor {
    type Config = XorConfig;
    type Report = XorReport;
    const ABOUT: About = About {
        name: "xor",
        lecture: 1,
        paper: "Minsky & Papert (1969), Perceptrons; Rumelhart, Hinton & Williams (1986), Learning representations by \
                back-propagating errors",
        claim: "One perceptron never learns exclusive or; a network with two hidden neurons does within 5000 steps from \
                at least 62 % of its random starts",
        sources: &[
            include_str!("xor.rs"),
            include_str!("../nielsen.rs"),
            include_str!("../perceptron/mod.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let perceptron = perceptron(config.perceptron_epochs).map_err(lab::Error::unit)?;
        let every = config.epochs.div_ceil(100);
        let steps: Vec<usize> = (0..=config.epochs).step_by(every).collect();
        let seeds = lab.seeds(config.seeds);
        let mut networks = Vec::new();
        for (done, seed) in seeds.iter().enumerate() {
            lab.progress("networks", done as u64, seeds.len() as u64, None)?;
            networks.push(train(config, *seed, every).map_err(lab::Error::unit)?);
        }
        lab.progress("networks", seeds.len() as u64, seeds.len() as u64, None)?;
        let mut first_steps: Vec<usize> = networks.iter().filter_map(|n| n.solved_at).collect();
        first_steps.sort_unstable();
        let solved = networks.iter().filter(|n| n.is_solved).count();
        let run = |solved: bool| {
            let (seed, network) = seeds.iter().zip(&networks).find(|(_, n)| n.is_solved == solved)?;
            Some(Run { seed: seed.value(), cost: network.cost.clone(), map: map(&network.network) })
        };
        let by = |step: usize| first_steps.partition_point(|&at| at <= step) as f64 / networks.len() as f64;
        let end_costs = end_costs(&networks);
        Ok(XorReport {
            perceptron,
            is_full: config.seeds >= XorConfig::default().seeds,
            networks: networks.len(),
            solved,
            solved_share: solved as f64 / networks.len() as f64,
            solved_of_first_ten: networks.iter().take(10).filter(|n| n.is_solved).count(),
            solved_untrained: networks.iter().filter(|n| n.solved_at == Some(0)).count(),
            median_steps: first_steps.get(first_steps.len() / 2).copied().unwrap_or(config.epochs),
            table: table(&end_costs),
            end_costs,
            solved_by: steps.iter().map(|&step| by(step)).collect(),
            success: run(true),
            failure: run(false),
            steps,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let share = |count: usize| {
            let p = count as f64 / report.networks as f64;
            let n = report.networks;
            Measured { mean: p, sd: (p * (1.0 - p) * n as f64 / (n - 1) as f64).sqrt(), n }
        };
        let mut checks = vec![
            // Pilot: 151 of 200 networks with seeds 1000 to 1199 (0.755); minus 3 standard errors of 100 networks.
            Check::new(
                "network-learns",
                "share of random starts from which the 2-2-1 network brings all four outputs within 0.1 of their targets",
                share(report.solved),
                Bound::AtLeast(0.62),
                BoundSource::Pilot,
            )
            .baseline("one perceptron", 0.0)
            .reason_if_failed("a start decides whether gradient descent ends in a flat region with one output wrong"),
            Check::new(
                "perceptron-fails",
                "the largest share of the four examples that the perceptron ever had right",
                Measured::exact(report.perceptron.best_accuracy),
                Bound::AtMost(0.75),
                BoundSource::Paper,
            )
            .reason_if_failed("no line separates the four points: an error in the rule or in the data"),
            Check::new(
                "untrained-control",
                "share of networks that compute exclusive or before training",
                share(report.solved_untrained),
                Bound::AtMost(0.01),
                BoundSource::Pilot,
            )
            .reason_if_failed("the measure of success is too weak"),
        ];
        if report.is_full {
            // The course's plan asked for 8 of 10 seeds before anybody had counted.
            checks.push(
                Check::new(
                    "eight-of-ten",
                    "share of random starts from which the network learns it, as the plan of the course had it",
                    share(report.solved),
                    Bound::AtLeast(0.8),
                    BoundSource::Guess,
                )
                .baseline("share of the first ten starts alone", report.solved_of_first_ten as f64 / 10.0)
                .reason_if_failed(
                    "among ten starts eight are often solved by chance; most of the others end where two outputs are one half",
                ),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut figures = vec![solved_figure(report)];
        figures.extend(map_figure(report));
        figures
    }
}

fn perceptron(epochs: usize) -> Result<PerceptronRun, crate::Error> {
    let x: Vec<SVector<f64, 2>> = examples().iter().map(|example| example.x).collect();
    let labels = examples().map(|example| if example.y[0] > 0.5 { 1 } else { -1 });
    let fit = Perceptron::train(&x, &labels, MaxEpochs(epochs))?;
    let planes = fit.replay(&x, &labels)?;
    let mut best_accuracy = 0.0_f64;
    for plane in &planes {
        best_accuracy = best_accuracy.max(plane.accuracy(&x, &labels)?);
    }
    let cycle = planes.iter().position(|plane| *plane == Perceptron::zeros()).map(|index| index + 1);
    Ok(PerceptronRun { epochs: fit.epochs, mistakes: fit.mistakes.len(), best_accuracy, cycle })
}

struct Trained {
    network: Network<2, 2, 1>,
    is_solved: bool,
    solved_at: Option<usize>,
    cost: Vec<f64>,
}

fn train(config: &XorConfig, seed: lab::Seed, every: usize) -> Result<Trained, crate::Error> {
    let data = examples();
    let mut network = Network::new(&mut seed.key("weights").rng());
    let mut cost = vec![network.cost(&data)?];
    let mut solved_at = is_solved(&network).then_some(0);
    network.sgd(&data, sgd_config(config), &mut seed.key("order").rng(), |epoch| {
        if solved_at.is_none() && is_solved(epoch.network) {
            solved_at = Some(epoch.number);
        }
        if epoch.number % every == 0 {
            cost.extend(epoch.network.cost(&data)); // the data are four finite examples: never an error
        }
        ControlFlow::Continue(())
    })?;
    Ok(Trained { is_solved: is_solved(&network), network, solved_at, cost })
}

fn map(network: &Network<2, 2, 1>) -> Vec<f64> {
    let at = |i: usize| i as f64 / (GRID - 1) as f64;
    let rows = (0..GRID).rev().map(at); // top row first
    let output = |x: f64, y: f64| (network.feedforward(&vector![x, y])[0] * 1e3).round() / 1e3;
    rows.flat_map(|y| (0..GRID).map(move |i| output(at(i), y))).collect()
}

fn end_costs(networks: &[Trained]) -> Vec<EndCost> {
    let mut ends: Vec<EndCost> = Vec::new();
    for trained in networks {
        let cost = trained.cost.last().map_or(0.0, |cost| (cost * 1e3).round() / 1e3);
        match ends.iter_mut().find(|end| end.cost == cost) {
            Some(end) => end.networks += 1,
            None => ends.push(EndCost { cost, networks: 1, outputs: outputs(&trained.network) }),
        }
    }
    ends.sort_by_key(|end| std::cmp::Reverse(end.networks));
    ends
}

fn table(ends: &[EndCost]) -> Table {
    let mut table = Table::new(["final cost", "networks", "output for 00", "01", "10", "11"]);
    for end in ends {
        let [a, b, c, d] = end.outputs.map(|output| format!("{output:.2}"));
        table.row([format!("{:.3}", end.cost), end.networks.to_string(), a, b, c, d]);
    }
    table
}

fn solved_figure(report: &XorReport) -> Figure {
    let points = report.steps.iter().zip(&report.solved_by).map(|(&step, &share)| (step as f64, share));
    Figure::new(
        "solved",
        format!(
            "Two hidden neurons learn exclusive or from {} of {} random starts; where they have not after a few \
             thousand steps, they hardly ever do. Share of networks with all four outputs within 0.1 of their targets, \
             against gradient steps on all four examples.",
            report.solved, report.networks
        ),
        "A curve that rises steeply during the first thousand steps and then stays level at about three quarters; a \
         horizontal line at zero for the perceptron.",
        Plot::new(
            Axis::linear("gradient steps"),
            Axis::linear("share of networks that solve it").range(0.0, 1.0),
        )
        .line(Line::new("2-2-1 network", points))
        .horizontal("one perceptron", 0.0),
    )
}

fn map_figure(report: &XorReport) -> Option<Figure> {
    let (success, failure) = (report.success.as_ref()?, report.failure.as_ref()?);
    let tile =
        |run: &Run, caption: &str| Tile::new(GRID, &run.map).caption(format!("seed {}: {caption}", run.seed));
    Some(Figure::new(
        "maps",
        format!(
            "Two hidden neurons cut the square twice, when they find the cuts. Output of the network over the unit \
             square, white = 0, black = 1; its corners are the four examples, 00 at the lower left. Left: seed {}, \
             solved. Right: seed {}, stuck.",
            success.seed, failure.seed
        ),
        "Two squares in shades of grey. In the left one a dark diagonal band holds two opposite corners, the other two \
         are light. In the right one the band is missing and at least one corner has the wrong shade.",
        Raster {
            tiles: vec![tile(success, "solved"), tile(failure, "stuck")],
            columns: 2,
            ramp: Ramp::Ink { low: 0.0, high: 1.0 },
        },
    ))
}
