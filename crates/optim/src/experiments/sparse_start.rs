//! Ten layers from a start in which every unit listens to fifteen others, beside dense starts.

use dfdx::prelude::{Cpu, DeviceBuildExt};
use kernels::ActivationKind;
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Seed, Table};
use layers::params;
use layers::prelude::{Linear, Repeated};
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Net, Plan, accuracy, train_plainly};
use super::{Data, at_least_one, at_least_two};
use crate::chain::{glorot, he};
use crate::sparse_start::sparse;

/// Sparse and dense starts of deep networks.
#[derive(Debug)]
pub struct SparseStart;

/// What may vary in [`SparseStart`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SparseStartConfig {
    /// Runs of each start, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to train with, in two passes
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for SparseStartConfig {
    fn default() -> Self {
        Self { seeds: 3, train_images: 4000, test_images: 5000 }
    }
}

impl ExperimentConfig for SparseStartConfig {
    fn quick() -> Self {
        Self { seeds: 2, train_images: 150, test_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`SparseStart`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SparseStartReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Layers of weights.
    pub depth: usize,
    /// Units of a hidden layer.
    pub width: usize,
    /// Weights of each unit that are not zero.
    pub incoming: usize,
    /// One activation and one start each.
    pub starts: Vec<StartedNet>,
    /// How alike units are from Glorot's start less how alike they are from the sparse one, tanh, by seed.
    pub differ: Measured,
    /// Percent of outputs at an end of the range from the dense start that is as loud less that from the sparse one, tanh, by
    /// seed.
    pub unsaturated: Measured,
    /// All of it as a table.
    pub table: Table,
}

/// One activation and one start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartedNet {
    /// The activation.
    pub activation: String,
    /// The start.
    pub start: String,
    /// How alike two units of the last hidden layer are before training: size of their correlation over images, mean over
    /// pairs, over seeds.
    pub alike: Measured,
    /// Percent of the outputs of that layer which lie in the outer twentieth of the range at either end, over seeds.
    pub saturated: Measured,
    /// Test accuracy in percent, over seeds.
    pub accuracy: Measured,
}

/// Layers of weights, and units of each hidden layer: those of `start-at-depth`.
const DEPTH: usize = 10;
const WIDTH: usize = 100;
/// Weights of a unit, the paper's number.
const INCOMING: usize = 15;
/// The paper's bias of tanh.
const TANH_BIAS: f32 = 0.5;

#[derive(Clone, Copy)]
enum Start {
    /// Fifteen weights of this deviation, and this bias.
    Sparse(f64, f32),
    /// All weights, with the variance of the vote of fifteen of this deviation.
    AsLoud(f64),
    Glorot,
    He,
}

/// Places of the starts of tanh.
const SPARSE: usize = 0;
const LOUD: usize = 1;
const GLOROT: usize = 2;

fn starts() -> [(&'static str, ActivationKind, &'static str, Start); 8] {
    let (tanh, sigmoid, relu) = (ActivationKind::Tanh, ActivationKind::Sigmoid, ActivationKind::Relu);
    let he = (2.0 / INCOMING as f64).sqrt();
    [
        ("tanh", tanh, "sparse", Start::Sparse(1.0, TANH_BIAS)),
        ("tanh", tanh, "dense, as loud", Start::AsLoud(1.0)),
        ("tanh", tanh, "Glorot", Start::Glorot),
        ("sigmoid", sigmoid, "sparse", Start::Sparse(1.0, 0.0)),
        ("sigmoid", sigmoid, "dense, as loud", Start::AsLoud(1.0)),
        ("sigmoid", sigmoid, "Glorot", Start::Glorot),
        ("ReLU", relu, "sparse, He's scale", Start::Sparse(he, 0.0)),
        ("ReLU", relu, "He", Start::He),
    ]
}

impl Experiment for SparseStart {
    type Config = SparseStartConfig;
    type Report = SparseStartReport;
    const ABOUT: About = About {
        name: "sparse-start",
        lecture: 5,
        paper: "Martens (2010), Deep learning via Hessian-free optimization",
        claim: "Tanh units that listen to fifteen others differ more at depth than those of a small dense start",
        sources: &[
            include_str!("sparse_start.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../sparse_start.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let (mut rows, mut by_seed) = (Vec::new(), Vec::new());
        for (activation, kind, name, start) in starts() {
            lab.progress("starts", rows.len() as u64, 8, None)?;
            let (mut alike, mut saturated, mut right) = (Vec::new(), Vec::new(), Vec::new());
            for &seed in &seeds {
                let mut net = started(kind, start, train.features, seed)?;
                let outputs = last_hidden(&net, &train)?;
                alike.push(likeness(&outputs));
                saturated.push(100.0 * at_the_ends(kind, &outputs));
                let plan =
                    Plan { epochs: 2, batch: 50, learning_rate: 0.02, momentum: 0.9, weight_decay: 0.0 };
                train_plainly(&mut net, &train, plan, seed.key("order"))?;
                right.push(accuracy(&net, &test)?);
            }
            rows.push(StartedNet {
                activation: activation.to_owned(),
                start: name.to_owned(),
                alike: Measured::over(&alike),
                saturated: Measured::over(&saturated),
                accuracy: Measured::over(&right),
            });
            by_seed.push((alike, saturated));
        }
        let mut table = Table::new([
            "activation",
            "start",
            "how alike two units are",
            "outputs at an end, %",
            "test accuracy, %",
        ]);
        for row in &rows {
            table.row([
                row.activation.clone(),
                row.start.clone(),
                row.alike.to_string(),
                row.saturated.to_string(),
                row.accuracy.to_string(),
            ]);
        }
        let less =
            |a: &[f64], b: &[f64]| Measured::over(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
        Ok(SparseStartReport {
            differ: less(&by_seed[GLOROT].0, &by_seed[SPARSE].0),
            unsaturated: less(&by_seed[LOUD].1, &by_seed[SPARSE].1),
            is_full: config.train_images >= 4000,
            depth: DEPTH,
            width: WIDTH,
            incoming: INCOMING,
            starts: rows,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [_, loud, glorot, ..] = &report.starts[..] else { return Vec::new() };
        let mut checks = vec![
            Check::new(
                "sparse-units-differ",
                "how alike two units of the last hidden layer of ten are, tanh: Glorot's start less the sparse one",
                report.differ,
                Bound::AtLeast(0.0), // the paper: they differ more than units of small dense weights
                BoundSource::Paper,
            )
            .baseline("Glorot's start", glorot.alike.mean)
            .reason_if_failed("few images, or a bias that moves all units together"),
        ];
        if report.is_full {
            checks.push(
                Check::new(
                    "sparse-units-are-unsaturated",
                    "percent of the last hidden outputs at an end of the range, tanh: a dense start as loud less the sparse one",
                    report.unsaturated,
                    Bound::AtLeast(0.0), // the paper: less saturated than units of dense weights as large
                    BoundSource::Paper,
                )
                .baseline("dense weights, as loud, %", loud.saturated.mean)
                .reason_if_failed("fifteen weights of deviation 1 are as loud as many small ones, in the mean over units")
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.starts.iter().map(|row| format!("{}: {}", row.activation, row.start));
        let bars = report.starts.iter().map(|row| (row.accuracy.mean, row.accuracy.sd));
        vec![Figure::new(
            "accuracy",
            format!(
                "Which starts ten layers learn from in two passes. Test accuracy in percent, {} units in each hidden layer, mean \
                 and one standard deviation of {} seeds; a sparse unit has {} weights that are not zero.",
                report.width, report.starts[0].accuracy.n, report.incoming
            ),
            "Horizontal bars, one for each activation and start: three of tanh, three of sigmoid, two of ReLU, from 0 to 100 \
             per cent; chance is at 10.",
            Plot::new(Axis::linear("test accuracy, %").range(0.0, 100.0), Axis::categories("", names))
                .bars("accuracy", bars),
        )]
    }
}

type Deep = (Linear<784, WIDTH>, Repeated<Linear<WIDTH, WIDTH>, 8>, Linear<WIDTH, CLASSES>);

/// A network with this start.
fn started(activation: ActivationKind, start: Start, features: usize, seed: Seed) -> Result<Net, lab::Error> {
    let key = seed.key("weights");
    let mut widths = vec![features];
    widths.extend([WIDTH; DEPTH - 1]);
    widths.push(CLASSES);
    let dense = |deviation: &dyn Fn(usize, usize) -> f64| {
        Net::new(&Cpu::default(), &widths, activation, deviation, key).map_err(lab::Error::unit)
    };
    let (deviation, bias) = match start {
        Start::Glorot => return dense(&glorot),
        Start::He => return dense(&he),
        Start::AsLoud(deviation) => {
            return dense(&|inputs, _| deviation * (INCOMING as f64 / inputs as f64).sqrt());
        }
        Start::Sparse(deviation, bias) => (deviation, bias),
    };
    // ANCHOR: sparse
    let mut model = Cpu::default().build_module::<Deep, f32>();
    sparse(&mut model, INCOMING, deviation, key).map_err(lab::Error::unit)?;
    // ANCHOR_END: sparse
    let mut net = dense(&he)?;
    let mut weights = net.layers.iter_mut().map(|layer| &mut layer.weight);
    params::visit(&model, |p, values: &[f32]| {
        if p.ndim() == 2
            && let Some(weight) = weights.next()
        {
            weight.copy_from(values);
        }
    });
    for layer in &mut net.layers[..DEPTH - 1] {
        kernels::flat_mut(&mut layer.bias).fill(bias);
    }
    Ok(net)
}

/// Outputs of the last hidden layer for two hundred images, unit by unit.
fn last_hidden(net: &Net, set: &Digits) -> Result<Vec<Vec<f64>>, lab::Error> {
    let (x, _) = set.batch(&(0..set.len().min(200)).collect::<Vec<_>>());
    let mut last = Vec::new();
    net.try_forward_with(x, |l, a| {
        if l + 2 == DEPTH {
            last = a.as_vec();
        }
        Ok(a)
    })
    .map_err(|error| lab::Error::unit(params::DeviceError::new(error)))?;
    Ok((0..WIDTH).map(|j| last.iter().skip(j).step_by(WIDTH).map(|&a| f64::from(a)).collect()).collect())
}

// ANCHOR: alike
/// Size of the correlation of two units over images, mean over pairs of units that vary at all.
fn likeness(units: &[Vec<f64>]) -> f64 {
    let centred = units.iter().filter_map(|unit| {
        let mean = unit.iter().sum::<f64>() / unit.len() as f64;
        let unit: Vec<f64> = unit.iter().map(|a| a - mean).collect();
        let length = unit.iter().map(|a| a * a).sum::<f64>().sqrt();
        (length > 0.0).then(|| unit.iter().map(|a| a / length).collect::<Vec<f64>>())
    });
    let units: Vec<Vec<f64>> = centred.collect();
    let (mut sum, mut pairs) = (0.0, 0);
    for (i, a) in units.iter().enumerate() {
        for b in &units[..i] {
            sum += a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>().abs();
            pairs += 1;
        }
    }
    sum / f64::from(pairs.max(1))
}
// ANCHOR_END: alike

/// Share of the outputs in the outer twentieth of the activation's range at either end; 0 for a rectifier, which has none.
fn at_the_ends(activation: ActivationKind, units: &[Vec<f64>]) -> f64 {
    let (low, high) = match activation {
        ActivationKind::Tanh => (-0.9, 0.9),
        ActivationKind::Sigmoid => (0.05, 0.95),
        _ => return 0.0,
    };
    let outputs: Vec<f64> = units.iter().flatten().copied().collect();
    outputs.iter().filter(|&&a| a < low || a > high).count() as f64 / outputs.len() as f64
}

#[cfg(test)]
mod tests {
    use super::likeness;

    #[test]
    fn opposite_units_are_alike_and_independent_ones_are_not() {
        let a = vec![1.0, 2.0, 3.0, 4.0];
        let opposite = a.iter().map(|a| 7.0 - 2.0 * a).collect::<Vec<_>>();
        assert!((likeness(&[a.clone(), opposite]) - 1.0).abs() < 1e-12);
        assert!(likeness(&[a.clone(), vec![1.0, -1.0, -1.0, 1.0]]).abs() < 1e-12);
        assert!(likeness(&[a, vec![2.0; 4]]).abs() < 1e-12, "a unit that never varies is left out");
    }
}
