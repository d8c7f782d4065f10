//! Rectifiers die at a large learning rate, and leaky ones do not; but neither of the two networks learns there.

use kernels::ActivationKind;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use serde::{Deserialize, Serialize};

use dfdx::prelude::Cpu;

use super::digit_nets::{CLASSES, Digits, Net, Plan, accuracy, train_plainly};
use super::{Data, at_least_one};
use crate::chain::library_default;

/// Small networks trained at growing learning rates.
#[derive(Debug)]
pub struct DyingRelu;

/// What may vary in [`DyingRelu`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct DyingReluConfig {
    /// Runs of each learning rate, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to train with, in two passes
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for DyingReluConfig {
    fn default() -> Self {
        Self { seeds: 5, train_images: 4000, test_images: 5000 }
    }
}

impl ExperimentConfig for DyingReluConfig {
    fn quick() -> Self {
        Self { seeds: 2, train_images: 700, test_images: 200 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`DyingRelu`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DyingReluReport {
    /// Learning rates.
    pub rates: Vec<f64>,
    /// ReLU, leaky ReLU and SiLU at each rate.
    pub activations: Vec<Row>,
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// All of it as text.
    pub table: Table,
}

/// One activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Percent of hidden units that are not above 0 for any training image, by rate, over seeds.
    pub dead: Vec<Measured>,
    /// Test accuracy in percent, by rate, over seeds.
    pub accuracy: Vec<Measured>,
}

/// Learning rates, the last one far too large.
const RATES: [f64; 4] = [0.1, 0.5, 1.0, 2.0];

impl Experiment for DyingRelu {
    type Config = DyingReluConfig;
    type Report = DyingReluReport;
    const ABOUT: About = About {
        name: "dying-relu",
        lecture: 5,
        paper: "Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models",
        claim: "At a learning rate of 2 most rectifiers are dead and the network is at chance; with leaky ones, which always \
                pass some gradient, it is at chance as well",
        sources: &[include_str!("dying_relu.rs"), include_str!("digit_nets.rs"), include_str!("../chain.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let kinds = [
            ("ReLU", ActivationKind::Relu),
            ("leaky ReLU", ActivationKind::LeakyRelu(0.01)),
            ("SiLU", ActivationKind::Silu),
        ];
        let mut activations = Vec::new();
        let mut table = Table::new(["activation", "learning rate", "units never on, %", "test accuracy, %"]);
        for (done, (name, activation)) in kinds.into_iter().enumerate() {
            let (mut dead, mut right) = (Vec::new(), Vec::new());
            for (index, rate) in RATES.into_iter().enumerate() {
                let done = (done * RATES.len() + index) as u64;
                lab.progress("learning rates", done, (kinds.len() * RATES.len()) as u64, None)?;
                let (mut shares, mut accuracies) = (Vec::new(), Vec::new());
                for &seed in &seeds {
                    let widths = [train.features, 100, 100, CLASSES];
                    let key = seed.key("weights");
                    let mut net = Net::new(&Cpu::default(), &widths, activation, library_default, key)
                        .map_err(lab::Error::unit)?;
                    let plan =
                        Plan { epochs: 2, batch: 50, learning_rate: rate, momentum: 0.0, weight_decay: 0.0 };
                    train_plainly(&mut net, &train, plan, seed.key("order"))?;
                    shares.push(dead_share(&net, &train)?);
                    accuracies.push(accuracy(&net, &test)?);
                }
                dead.push(Measured::over(&shares));
                right.push(Measured::over(&accuracies));
                table.row([name.into(), rate.to_string(), dead[index].to_string(), right[index].to_string()]);
            }
            activations.push(Row { name: name.to_owned(), dead, accuracy: right });
        }
        Ok(DyingReluReport {
            is_full: config.train_images >= 4000,
            rates: RATES.to_vec(),
            activations,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [relu, leaky, _] = &report.activations[..] else { return Vec::new() };
        // Pilot in PyTorch, 3 seeds: 2.0 ± 0.5 % dead at 0.1, 87 ± 4 % at 2; leaky 0 % dead and 10.5 % right at 2.
        vec![
            Check::new(
                "rectifiers-die",
                "percent of rectifiers that no training image switches on after training at a learning rate of 2",
                relu.dead[3],
                Bound::AtLeast(if report.is_full { 60.0 } else { 30.0 }),
                BoundSource::Pilot,
            )
            .baseline("at 0.1", relu.dead[0].mean)
            .reason_if_failed("few updates at the large rate"),
            Check::new(
                "and-live-at-a-small-rate",
                "the same at a learning rate of 0.1",
                relu.dead[0],
                Bound::AtMost(if report.is_full { 6.0 } else { 15.0 }),
                BoundSource::Pilot,
            )
            .baseline("at 2", relu.dead[3].mean)
            .reason_if_failed("units that are dead at the start"),
            Check::new(
                "leaky-is-alive-and-at-chance",
                "test accuracy of the leaky network at a learning rate of 2, in percent",
                leaky.accuracy[3],
                Bound::AtMost(25.0),
                BoundSource::Pilot,
            )
            .baseline("ReLU at 2", relu.accuracy[3].mean)
            .reason_if_failed("with a luckier start the leaky network may survive the first steps"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let panel = |title: &str, value: fn(&Row) -> &Vec<Measured>| {
            let mut plot = Plot::new(Axis::logarithmic("learning rate"), Axis::linear("%").range(0.0, 100.0))
                .title(title);
            for row in &report.activations[..2] {
                let points = report.rates.iter().zip(value(row)).map(|(&rate, m)| (rate, m.mean));
                plot = plot.line(Line::new(row.name.clone(), points));
            }
            plot
        };
        vec![Figure::new(
            "rates",
            format!(
                "Units that are never on are a symptom, a rate that is too large is the disease: leaky rectifiers still \
                 pass a hundredth of the gradient there, and do not learn either. Percent of hidden units that no training image switches on, and test accuracy, \
                 against the learning rate; mean of {} seeds.",
                report.activations[0].dead[0].n
            ),
            "Two panels over the learning rate. Left: units that are never on, near 0 for both at small rates, nearly all \
             at 2. Right: accuracy, high for both at small rates, near 10 per cent for both \
             at 2.",
            lab::Body::Panels {
                panels: vec![
                    panel("units never on", |row| &row.dead),
                    panel("accuracy", |row| &row.accuracy),
                ],
                columns: 2,
            },
        )]
    }
}

// ANCHOR: dead
/// Percent of the hidden units whose vote is not above 0 for any image.
fn dead_share(net: &Net, set: &Digits) -> Result<f64, lab::Error> {
    let (mut dead, mut units) = (0, 0);
    net.try_forward_with(set.whole(), |_, a| {
        let width = dfdx::prelude::HasShape::shape(&a).1;
        let mut lives = vec![false; width];
        for row in a.as_vec().chunks(width) {
            lives.iter_mut().zip(row).for_each(|(lives, &a)| *lives |= a > 0.0);
        }
        dead += lives.iter().filter(|lives| !**lives).count();
        units += width;
        Ok(a)
    })
    .map_err(|error| lab::Error::unit(layers::params::DeviceError::new(error)))?;
    Ok(100.0 * dead as f64 / units as f64)
}
// ANCHOR_END: dead
