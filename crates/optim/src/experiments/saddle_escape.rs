//! A small kick leaves a saddle, in a number of steps that grows like the logarithm of the dimension.

use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
};
use serde::{Deserialize, Serialize};

use super::{at_least_one, refused};
use crate::descent::{Descent, PerturbedConfig, perturbed};
use crate::problems::{Problem, Saddle};

/// Gradient descent with and without a kick, started at a saddle of many dimensions.
#[derive(Debug)]
pub struct SaddleEscape;

/// What may vary in [`SaddleEscape`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SaddleEscapeConfig {
    /// Dimensions 4, 16, 64, ...: how many powers of 4, at least 3
    #[arg(long)]
    pub powers: usize,
    /// Random kicks per dimension, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Step size, below 2
    #[arg(long)]
    pub learning_rate: f64,
    /// Length of the kick
    #[arg(long)]
    pub radius: f64,
}

impl Default for SaddleEscapeConfig {
    fn default() -> Self {
        Self { powers: 6, seeds: 200, learning_rate: 0.1, radius: 1e-3 }
    }
}

impl ExperimentConfig for SaddleEscapeConfig {
    fn quick() -> Self {
        Self { powers: 4, seeds: 100, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_one("powers", self.powers.saturating_sub(2))?;
        at_least_one("seeds", self.seeds.saturating_sub(1))?;
        settings(&self).check().map_err(refused)?;
        Ok(self)
    }
}

fn settings(config: &SaddleEscapeConfig) -> PerturbedConfig {
    let SaddleEscapeConfig { learning_rate, radius, .. } = *config;
    // Enough for the slowest of the kicks: the fall begins after ln(0.5 √d / r) / ln(1 + η) steps.
    PerturbedConfig { learning_rate, radius, wait: 400, max_steps: 2000, ..PerturbedConfig::default() }
}

/// What [`SaddleEscape`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaddleEscapeReport {
    /// Dimensions.
    pub dimensions: Vec<f64>,
    /// Steps after the kick until the value has fallen by half of what there is to fall, mean over the kicks.
    pub steps: Vec<Measured>,
    /// Slope of the mean steps against the natural logarithm of the dimension, one per group of kicks.
    pub slopes: Vec<f64>,
    /// The slope by theory, $\frac1{2\ln(1+\eta)}$.
    pub predicted_slope: f64,
    /// Share of the kicked runs that ended at a minimum.
    pub escaped: f64,
    /// Runs in all.
    pub runs: usize,
    /// How far plain gradient descent moved from the saddle in 2000 steps.
    pub plain_distance: f64,
    /// Value against step for one run in each dimension.
    pub histories: Vec<Vec<f64>>,
}

impl Experiment for SaddleEscape {
    type Config = SaddleEscapeConfig;
    type Report = SaddleEscapeReport;
    const ABOUT: About = About {
        name: "saddle-escape",
        lecture: 8,
        paper: "Jin, Ge, Netrapalli, Kakade & Jordan (2017), How to escape saddle points efficiently; Goodfellow et al. \
                (2016), section 8.2",
        claim: "Gradient descent that starts on a saddle stays there; with a kick it leaves every time, in a number of \
                steps that grows by 1/(2 ln(1 + η)) per unit of the logarithm of the dimension",
        sources: &[
            include_str!("saddle_escape.rs"),
            include_str!("../descent.rs"),
            include_str!("../problems.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let dimensions: Vec<usize> = (1..=config.powers).map(|power| 4_usize.pow(power as u32)).collect();
        let seeds = lab.seeds(config.seeds);
        let (mut all, mut histories, mut escaped) = (Vec::new(), Vec::new(), 0);
        for (done, &dimension) in dimensions.iter().enumerate() {
            lab.progress("dimensions", done as u64, dimensions.len() as u64, None)?;
            let saddle = Saddle { dimension };
            let mut steps = Vec::new();
            for seed in &seeds {
                let mut rng = seed.key("kick").fold(dimension as u64).rng();
                let run = perturbed(saddle.objective(), &saddle.start(), settings(config), &mut rng)
                    .map_err(lab::Error::unit)?;
                let fallen = run.history.iter().position(|&value| value < -0.125); // half of -1/4
                steps.push(fallen.unwrap_or(run.history.len()) as f64);
                escaped += usize::from(run.value < -0.25 + 1e-6 && run.has_settled);
                if steps.len() == 1 {
                    histories.push(run.history[..run.history.len().min(200)].to_vec());
                }
            }
            all.push(steps);
        }
        lab.progress("dimensions", dimensions.len() as u64, dimensions.len() as u64, None)?;
        let saddle = Saddle { dimension: dimensions[0] };
        let plain = Descent::gradient(config.learning_rate)
            .run(saddle.objective(), &saddle.start(), 2000, |_| false)
            .map_err(lab::Error::unit)?;
        let end = &plain.points[plain.steps()];
        let runs = dimensions.len() * seeds.len();
        let dimensions: Vec<f64> = dimensions.iter().map(|&d| d as f64).collect();
        // Ten groups of kicks give ten slopes, and with them a spread.
        let groups = 10.min(seeds.len());
        let slope = |group: usize| {
            let mean = |steps: &Vec<f64>| {
                let group: Vec<f64> = steps.iter().skip(group).step_by(groups).copied().collect();
                Measured::over(&group).mean
            };
            slope(&dimensions, &all.iter().map(mean).collect::<Vec<_>>())
        };
        Ok(SaddleEscapeReport {
            steps: all.iter().map(|steps| Measured::over(steps)).collect(),
            slopes: (0..groups).map(slope).collect(),
            predicted_slope: 0.5 / config.learning_rate.ln_1p(),
            escaped: escaped as f64 / runs as f64,
            runs,
            plain_distance: crate::second_order::norm(end),
            histories,
            dimensions,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let share = Measured { mean: report.escaped, sd: 0.0, n: report.runs };
        let relative: Vec<f64> = report.slopes.iter().map(|slope| slope / report.predicted_slope).collect();
        vec![
            Check::new(
                "kick-escapes",
                "share of kicked runs that end at a minimum",
                share,
                Bound::AtLeast(1.0),
                BoundSource::Paper,
            )
            .baseline("without a kick", 0.0)
            .reason_if_failed("a wait that is too short for the kick to grow"),
            Check::new(
                "saddle-holds",
                "how far gradient descent without a kick moves in 2000 steps from the saddle",
                Measured::exact(report.plain_distance),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a start that is not on the saddle"),
            Check::new(
                "logarithm-of-dimension",
                "growth of the steps per unit of ln d, as a multiple of 1/(2 ln(1 + η))",
                Measured::over(&relative),
                Bound::Within(0.7, 1.3),
                BoundSource::Paper,
            )
            .reason_if_failed(
                "too few kicks: the logarithm of a random component has a spread of more than 1",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |(d, history): (&f64, &Vec<f64>)| {
            Line::new(format!("d = {d}"), history.iter().enumerate().map(|(t, &value)| (t as f64, value)))
        };
        let shown = [0, report.dimensions.len() / 2, report.dimensions.len() - 1];
        let mut plot =
            Plot::new(Axis::linear("step after the kick").range(0.0, 200.0), Axis::linear("value"))
                .horizontal("no kick", 0.0);
        for index in shown {
            plot = plot.line(line((&report.dimensions[index], &report.histories[index])));
        }
        let means = report.dimensions.iter().zip(&report.steps);
        let steps = Line::new("steps to fall", means.clone().map(|(&d, steps)| (d, steps.mean)))
            .band(means.map(|(_, steps)| (steps.mean - steps.sd, steps.mean + steps.sd)));
        vec![
            Figure::new(
                "histories",
                "A saddle looks like a minimum for a long time before the value falls. Value against step after a \
                 kick of length 0.001 for three dimensions; without a kick it stays at 0 for ever.",
                "Three curves that lie flat at 0 for sixty to ninety steps and then drop within forty to -0.25, the \
                 more dimensions the later; a dotted line stays at 0.",
                plot,
            ),
            Figure::new(
                "steps",
                format!(
                    "The time to leave a saddle grows like the logarithm of the dimension: sixteen times the \
                     dimensions cost about the same few steps more, wherever one starts. Steps from the kick until \
                     half of the fall, mean and one standard deviation of {} kicks; the slope is {:.2} per unit of \
                     ln d, {:.2} by theory.",
                    report.steps[0].n,
                    Measured::over(&report.slopes).mean,
                    report.predicted_slope
                ),
                "A line that rises straight on a logarithmic axis of dimensions, from about 81 steps to about 118, \
                 with a band of about twelve steps on either side.",
                Plot::new(Axis::logarithmic("dimensions d"), Axis::linear("steps")).line(steps),
            ),
        ]
    }
}

/// Slope of `y` against ln x by least squares.
fn slope(x: &[f64], y: &[f64]) -> f64 {
    let x: Vec<f64> = x.iter().map(|x| x.ln()).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(&x), mean(y));
    let covariance: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    covariance / x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>()
}
