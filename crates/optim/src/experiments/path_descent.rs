//! Path-SGD does not see how a network's weights are scaled; plain descent does, and pays.

use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use layers::prelude::*;
use layers::{losses, params};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::digit_nets::Digits;
use super::{Data, at_least_one};
use crate::regularize::path_norm::PathSgd;

/// The same function, written with balanced and with unbalanced weights, is trained by both methods.
#[derive(Debug)]
pub struct PathDescent;

/// What may vary in [`PathDescent`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct PathDescentConfig {
    /// Starts, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Gradient steps of each run
    #[arg(long)]
    pub steps: usize,
}

impl Default for PathDescentConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 400 }
    }
}

impl ExperimentConfig for PathDescentConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 20 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("steps", self.steps)?;
        Ok(self)
    }
}

/// Learning rates of the grid.
const RATES: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// What [`PathDescent`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PathDescentReport {
    /// Learning rates tried.
    pub rates: Vec<f64>,
    /// Mean training loss after the last step for each rate; `None` where it diverged.
    pub curves: Vec<Curve>,
    /// Largest relative difference between the outputs of the two starts after training by Path-SGD, over seeds.
    pub path_difference: Measured,
    /// The same for plain descent at the same learning rate, at which it does not diverge.
    pub sgd_difference: Measured,
    /// Best rate of plain descent from the balanced start over that from the unbalanced one.
    pub rate_ratio: f64,
    /// The same for Path-SGD.
    pub path_rate_ratio: f64,
    /// Best rate and loss of each.
    pub table: Table,
}

/// One method from one start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Curve {
    /// Method and start.
    pub name: String,
    /// Final loss for each rate, over seeds.
    pub losses: Vec<Option<Measured>>,
    /// Position of the rate with the smallest loss.
    pub best: usize,
}

type Net = (UnbiasedLinear<64, 100>, Relu, UnbiasedLinear<100, 100>, Relu, UnbiasedLinear<100, 10>);
type Built = <Net as BuildOnDevice<Cpu, f64>>::Built;
type X = Tensor<(usize, Const<64>), f64, Cpu>;

/// Images of a minibatch.
const BATCH: usize = 50;

impl Experiment for PathDescent {
    type Config = PathDescentConfig;
    type Report = PathDescentReport;
    const ABOUT: About = About {
        name: "path-descent",
        lecture: 6,
        paper: "Neyshabur, Salakhutdinov & Srebro (2015), Path-SGD",
        claim: "Path-SGD finds the same function from balanced and from unbalanced weights; the best learning rate of \
                plain descent falls at least tenfold",
        sources: &[include_str!("path_descent.rs"), include_str!("../regularize/path_norm.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, _) = Digits::split(Data::Digits, 1000, 500)?;
        let seeds = lab.seeds(config.seeds);
        let methods = [("SGD", false), ("Path-SGD", true)];
        let starts = ["balanced", "unbalanced"];
        // losses[method][start][rate][seed]
        let mut losses = vec![vec![vec![Vec::new(); RATES.len()]; 2]; 2];
        let mut differences = [Vec::new(), Vec::new()];
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("starts", done as u64, seeds.len() as u64, None)?;
            let balanced = start(seed.key("weights"))?;
            let unbalanced = unbalance(&balanced, seed.key("factors"))?;
            for (method, &(_, is_path)) in methods.iter().enumerate() {
                for (index, &rate) in RATES.iter().enumerate() {
                    let mut outputs = Vec::new();
                    for (which, from) in [&balanced, &unbalanced].into_iter().enumerate() {
                        let (loss, output) =
                            descend(from, &train, rate, is_path, config.steps, seed.key("order"))?;
                        losses[method][which][index].push(loss);
                        outputs.push(output);
                    }
                    let at = if is_path { 0.1 } else { 0.01 };
                    if rate == at {
                        differences[method].push(relative_difference(&outputs[0], &outputs[1]));
                    }
                }
            }
        }
        let mut curves = Vec::new();
        for (method, (name, _)) in methods.iter().enumerate() {
            for (which, start) in starts.iter().enumerate() {
                let losses: Vec<Option<Measured>> = losses[method][which].iter().map(|l| finite(l)).collect();
                let value = |i: &usize| losses[*i].as_ref().map_or(f64::INFINITY, |m| m.mean);
                let best = (0..RATES.len()).min_by(|a, b| value(a).total_cmp(&value(b))).unwrap_or(0);
                curves.push(Curve { name: format!("{name}, {start}"), losses, best });
            }
        }
        let best = |curve: &Curve| RATES[curve.best];
        let mut table = Table::new(["method and start", "best learning rate", "training loss there"]);
        for curve in &curves {
            let loss =
                curve.losses[curve.best].as_ref().map_or_else(|| "diverges".into(), ToString::to_string);
            table.row([curve.name.clone(), best(curve).to_string(), loss]);
        }
        Ok(PathDescentReport {
            rates: RATES.to_vec(),
            path_difference: Measured::over(&differences[1]),
            sgd_difference: Measured::over(&differences[0]),
            rate_ratio: best(&curves[0]) / best(&curves[1]),
            path_rate_ratio: best(&curves[2]) / best(&curves[3]),
            curves,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        vec![
            Check::new(
                "same-function",
                "largest relative difference of the outputs after Path-SGD from the two starts, in f64",
                report.path_difference,
                Bound::AtMost(1e-9),
                BoundSource::Paper,
            )
            .baseline("plain descent", report.sgd_difference.mean)
            .reason_if_failed("an edge's factor is wrong, or rounding grows along a long run"),
            Check::new(
                "plain-descent-needs-smaller-steps",
                "best learning rate of plain descent from the balanced start over that from the unbalanced one",
                Measured::exact(report.rate_ratio),
                Bound::AtLeast(9.9),
                BoundSource::Pilot,
            )
            .baseline("Path-SGD", report.path_rate_ratio)
            .reason_if_failed("the factors between units may be too equal to matter"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |curve: &Curve| -> Vec<(f64, f64)> {
            let point =
                |(rate, loss): (&f64, &Option<Measured>)| loss.as_ref().map(|loss| (*rate, loss.mean));
            report.rates.iter().zip(&curve.losses).filter_map(point).collect()
        };
        let mut plot = Plot::new(
            Axis::logarithmic("learning rate"),
            Axis::logarithmic("training loss after the last step, nats"),
        );
        for curve in report.curves.iter().take(3) {
            let name = if curve.name.starts_with("Path") { "Path-SGD, both" } else { &curve.name };
            plot = plot.line(Line::new(name, points(curve)));
        }
        vec![Figure::new(
            "rates",
            format!(
                "Unbalanced weights cost plain descent a factor of {:.0} in its learning rate, and Path-SGD nothing: \
                 its two curves are one. Training loss of a 64-100-100-10 network on 1000 small digits against the \
                 learning rate, mean of {} seeds; both starts compute the same function; points that diverge are left \
                 out.",
                report.rate_ratio, report.path_difference.n
            ),
            "Three curves over the learning rate, both axes logarithmic. Two of them fall to the right until a rate near \
             0.3, behind which that of plain descent rises steeply. The third, plain descent from unbalanced weights, turns \
             far to the left and higher, and rises to the loss of a guess.",
            plot,
        )]
    }
}

/// The mean, if all are finite and below the loss of a guess times ten.
fn finite(losses: &[f64]) -> Option<Measured> {
    losses.iter().all(|loss| loss.is_finite() && *loss < 23.0).then(|| Measured::over(losses))
}

fn relative_difference(one: &[f64], other: &[f64]) -> f64 {
    let scale = one.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    one.iter().zip(other).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs() / scale))
}

fn start(key: Key) -> Result<Built, lab::Error> {
    let mut net = Cpu::default().build_module::<Net, f64>();
    layers::init::normal(&mut net, |p| (2.0 / p.shape[1] as f64).sqrt(), key).map_err(lab::Error::unit)?;
    Ok(net)
}

// ANCHOR: unbalance
/// The same function with each hidden unit's weights multiplied on entering by $c = e^{1.5 z}$ and divided on leaving.
fn unbalance(net: &Built, key: Key) -> Result<Built, lab::Error> {
    let mut rng = key.rng();
    let mut factors: Vec<Vec<f64>> = vec![vec![1.0; 64]];
    for _ in 0..2 {
        factors.push((0..100).map(|_| (1.5 * rng.sample::<f64, _>(StandardNormal)).exp()).collect());
    }
    factors.push(vec![1.0; 10]);
    let (mut moved, mut layer) = (net.clone(), 0);
    params::visit_mut(&mut moved, |parameter, weights: &mut [f64]| {
        let inputs = parameter.shape[1];
        for (i, w) in weights.iter_mut().enumerate() {
            *w *= factors[layer + 1][i / inputs] / factors[layer][i % inputs];
        }
        layer += 1;
    })
    .map_err(lab::Error::unit)?;
    Ok(moved)
}
// ANCHOR_END: unbalance

/// Final training loss and outputs on the first images.
fn descend(
    from: &Built,
    train: &Digits,
    rate: f64,
    is_path: bool,
    steps: usize,
    order: Key,
) -> Result<(f64, Vec<f64>), lab::Error> {
    let mut net = from.clone();
    let mut optimizer: Box<dyn Step<Built, f64, Cpu>> = if is_path {
        Box::new(PathSgd::try_new(&net, rate).map_err(lab::Error::unit)?)
    } else {
        Box::new(Sgd::try_new(&net, SgdConfig { learning_rate: rate, ..Default::default() })?)
    };
    let x = |rows: &[usize]| -> (X, Vec<usize>) {
        let values = rows.iter().flat_map(|&i| train.row(i)).map(|&v| f64::from(v)).collect();
        let labels = rows.iter().map(|&i| train.labels[i]).collect();
        (Cpu::default().tensor_from_vec(values, (rows.len(), Const::<64>)), labels)
    };
    for step in 0..steps {
        let rows: Vec<usize> = order.fold(step as u64).permutation(train.len())[..BATCH].to_vec();
        let (x, labels) = x(&rows);
        let loss = losses::cross_entropy_mean(net.forward(x.leaky_trace()), &labels);
        if !loss.array().is_finite() {
            return Ok((f64::INFINITY, vec![f64::INFINITY; 1]));
        }
        optimizer.step(&mut net, &mut loss.backward())?;
    }
    let (x, labels) = x(&(0..train.len()).collect::<Vec<_>>());
    let output = net.forward(x);
    let loss = losses::cross_entropy_mean(output.clone(), &labels).array();
    Ok((loss, output.as_vec()))
}
