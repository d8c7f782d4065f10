//! Of all solutions that fit the data, adaptive rules find one that calls every new point positive.

use dfdx::prelude::{AsArray, Cpu, Gradients, Rank1, Tensor, ZerosTensor};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Table,
};
use layers::params::DeviceError;
use layers::{Step, StepError};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::optimizers::{AdaGradConfig, AdamConfig, Optim, RmsPropConfig, Rule, SgdConfig};

/// Least squares with more features than examples, from zero, by four update rules and in closed form.
#[derive(Debug)]
pub struct AdaptiveGeneralisation;

/// What may vary in [`AdaptiveGeneralisation`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct AdaptiveGeneralisationConfig {
    /// Steps of each adaptive rule, at least 1000; gradient descent makes twice as many
    #[arg(long)]
    pub steps: usize,
}

impl Default for AdaptiveGeneralisationConfig {
    fn default() -> Self {
        Self { steps: 3000 }
    }
}

impl ExperimentConfig for AdaptiveGeneralisationConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_one("steps", self.steps / 1000)?;
        Ok(self)
    }
}

/// What [`AdaptiveGeneralisation`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AdaptiveGeneralisationReport {
    /// Adam, AdaGrad, RMSprop, gradient descent, least norm.
    pub solutions: Vec<Solution>,
    /// The same as text.
    pub table: Table,
}

/// Weights that fit all examples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Solution {
    /// How they were found.
    pub name: String,
    /// Largest error on the examples.
    pub error: f64,
    /// Score of a new point with label +1.
    pub positive: f64,
    /// Score of a new point with label −1.
    pub negative: f64,
}

/// Examples, and how many of them are positive.
const EXAMPLES: usize = 64;
/// See [`EXAMPLES`].
const POSITIVE: usize = 40;
/// The label, two constants, and five private features for each example.
const FEATURES: usize = 3 + 5 * EXAMPLES;

type Weights = Tensor<Rank1<FEATURES>, f64, Cpu>;

fn problem() -> (DMatrix<f64>, DVector<f64>) {
    let y = DVector::from_fn(EXAMPLES, |i, _| if i < POSITIVE { 1.0 } else { -1.0 });
    let mut x = DMatrix::zeros(EXAMPLES, FEATURES);
    for i in 0..EXAMPLES {
        x[(i, 0)] = y[i];
        x[(i, 1)] = 1.0;
        x[(i, 2)] = 1.0;
        let own = if y[i] > 0.0 { 1 } else { 5 };
        (0..own).for_each(|k| x[(i, 3 + 5 * i + k)] = 1.0);
    }
    (x, y)
}

impl Experiment for AdaptiveGeneralisation {
    type Config = AdaptiveGeneralisationConfig;
    type Report = AdaptiveGeneralisationReport;
    const ABOUT: About = About {
        name: "adaptive-generalisation",
        lecture: 8,
        paper: "Wilson, Roelofs, Stern, Srebro & Recht (2017), The marginal value of adaptive gradient methods in machine \
                learning",
        claim: "On data where gradient descent classifies every new point correctly, Adam, AdaGrad and RMSprop fit the \
                same examples exactly and call every new point positive",
        sources: &[include_str!("adaptive_generalisation.rs"), include_str!("../optimizers/adaptive.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (x, y) = problem();
        lab.progress("solutions", 0, 5, None)?;
        let epsilon = 1e-30; // as good as 0, and 0 / ε is 0 for features that no example has
        let adam = AdamConfig { learning_rate: 0.01, epsilon, ..Default::default() };
        let ada_grad = AdaGradConfig { learning_rate: 0.1, epsilon, ..Default::default() };
        let rms_prop = RmsPropConfig { learning_rate: 0.01, epsilon, ..Default::default() };
        let descent = SgdConfig { learning_rate: 0.25, ..Default::default() };
        let found = [
            ("Adam", descend(adam, &x, &y, config.steps)),
            ("AdaGrad", descend(ada_grad, &x, &y, config.steps)),
            ("RMSprop", descend(rms_prop, &x, &y, config.steps)),
            ("gradient descent", descend(descent, &x, &y, 2 * config.steps)),
        ];
        lab.progress("solutions", 4, 5, None)?;
        let mut solutions = Vec::new();
        for (name, w) in found {
            solutions.push(judge(name, &w.map_err(lab::Error::unit)?, &x, &y));
        }
        // Least norm: w = Xᵀ(XXᵀ)⁻¹y; the private features make the rows independent.
        let gram = (&x * x.transpose()).cholesky();
        let gram = gram.ok_or(lab::Error::unit(crate::Error::Singular { what: "the Gram matrix" }))?;
        solutions.push(judge("least norm", &x.tr_mul(&gram.solve(&y)), &x, &y));
        lab.progress("solutions", 5, 5, None)?;
        Ok(AdaptiveGeneralisationReport { table: table(&solutions), solutions })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let adaptive = &report.solutions[..3];
        let (descent, least) = (&report.solutions[3], &report.solutions[4]);
        let most = |f: fn(&Solution) -> f64| report.solutions.iter().map(f).fold(0.0, f64::max);
        vec![
            Check::new(
                "adaptive-calls-negatives-positive",
                "score that adaptive rules give to a new point with label -1, the least of three rules",
                Measured::exact(adaptive.iter().map(|s| s.negative).fold(f64::INFINITY, f64::min)),
                Bound::Within(0.25 - 1e-6, 0.25 + 1e-6),
                BoundSource::Paper,
            )
            .baseline("gradient descent", descent.negative)
            .reason_if_failed("too few steps, or an ε that is not small"),
            Check::new(
                "descent-is-right",
                "score that gradient descent gives to the same point",
                Measured::exact(descent.negative),
                Bound::AtMost(-0.9),
                BoundSource::Paper,
            )
            .baseline("least norm", least.negative)
            .reason_if_failed("too few steps for the flattest direction"),
            Check::new(
                "all-fit",
                "largest error of any solution on any of the examples",
                Measured::exact(most(|s| s.error)),
                Bound::AtMost(1e-6),
                BoundSource::Paper,
            )
            .reason_if_failed("too few steps"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.solutions.iter().map(|solution| solution.name.clone());
        let plot = Plot::new(Axis::categories("", names), Axis::linear("score of a new point"))
            .bars("label +1", report.solutions.iter().map(|s| (s.positive, 0.0)))
            .bars("label −1", report.solutions.iter().map(|s| (s.negative, 0.0)));
        vec![Figure::new(
            "scores",
            format!(
                "All five solutions fit the {EXAMPLES} examples exactly, and the three adaptive ones call every new point \
                 positive. Scores of new points of either label; the sign of the score is the answer."
            ),
            "Pairs of bars. For Adam, AdaGrad and RMSprop both are positive, 0.75 and 0.25; for gradient descent and the \
             solution of least norm one is near +1 and the other near -0.9.",
            plot,
        )]
    }
}

/// Weights after `steps` full-gradient steps from 0 on the mean squared error / 2.
fn descend<R: Rule>(
    rule: R,
    x: &DMatrix<f64>,
    y: &DVector<f64>,
    steps: usize,
) -> Result<DVector<f64>, StepError> {
    let mut w: Weights = Cpu::default().zeros();
    let mut optimizer = Optim::try_new(&w, rule)?;
    let mut gradients = Gradients::leaky();
    for _ in 0..steps {
        let residual = x * DVector::from_row_slice(&w.array()) - y;
        let gradient = x.tr_mul(&residual) / EXAMPLES as f64;
        gradients.get_or_alloc_mut(&w).map_err(DeviceError::new)?.copy_from_slice(gradient.as_slice());
        optimizer.step(&mut w, &mut gradients)?;
    }
    Ok(DVector::from_row_slice(&w.array()))
}

fn judge(name: &str, w: &DVector<f64>, x: &DMatrix<f64>, y: &DVector<f64>) -> Solution {
    let error = (x * w - y).amax();
    // A new point has private features that no example has, whose weights are 0.
    let (positive, negative) = (w[0] + w[1] + w[2], -w[0] + w[1] + w[2]);
    Solution { name: name.to_string(), error, positive, negative }
}

fn table(solutions: &[Solution]) -> Table {
    let mut table = Table::new(["solution", "error on examples", "new point, +1", "new point, -1"]);
    for s in solutions {
        let score = |score: f64| format!("{score:.4}");
        table.row([s.name.clone(), format!("{:.0e}", s.error), score(s.positive), score(s.negative)]);
    }
    table
}
