//! The bound of Cramér and Rao: who attains it, who stays above, and who gets below, since it is for estimators that are
//! right on average whatever the truth is.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Seed,
    Table,
};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::learning::estimators::{Bernoulli, Beta, Gaussian};

/// Six estimators on simulated samples.
#[derive(Debug)]
pub struct LeastVariance;

/// What may vary in [`LeastVariance`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LeastVarianceConfig {
    /// Repetitions, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Samples in each
    #[arg(long)]
    pub samples: usize,
    /// Numbers in a sample, at least 2
    #[arg(long)]
    pub numbers: usize,
}

impl Default for LeastVarianceConfig {
    fn default() -> Self {
        Self { seeds: 5, samples: 100_000, numbers: 15 }
    }
}

impl ExperimentConfig for LeastVarianceConfig {
    fn quick() -> Self {
        Self { seeds: 2, samples: 40_000, numbers: 15 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("samples", self.samples)?;
        at_least_two("numbers", self.numbers)?;
        Ok(self)
    }
}

/// What [`LeastVariance`] measured; all squared errors are over the bound 1/(m I).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeastVarianceReport {
    /// Numbers in a sample, m.
    pub numbers: usize,
    /// Mean and median for the centre, both variances, both shares of heads.
    pub estimators: Vec<Judged>,
    /// As text.
    pub table: Table,
}

/// One estimator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Judged {
    /// In words.
    pub name: String,
    /// Mean error, in units of the root of the bound, over repetitions.
    pub bias: Measured,
    /// Mean squared error over the bound, over repetitions.
    pub error: Measured,
}

const NAMES: [&str; 6] = [
    "mean",
    "median",
    "variance, divisor m − 1",
    "variance, divisor m",
    "share of heads",
    "share, uniform prior",
];
/// Chance of heads.
const HEADS: f64 = 0.5;

/// Errors of all estimators on one sample, and their bounds, in the order of the names.
fn errors(m: usize, rng: &mut impl Rng) -> Result<[f64; 6], crate::Error> {
    let mut x: Vec<f64> = (0..m).map(|_| rng.sample(StandardNormal)).collect();
    let normal = Gaussian::new(&x)?;
    let heads = (0..m).filter(|_| rng.gen_bool(HEADS)).count() as u64;
    let coin = Bernoulli::new(heads, m as u64)?;
    x.sort_by(f64::total_cmp);
    let median = 0.5 * (x[(m - 1) / 2] + x[m / 2]);
    let prior = Beta { a: 1.0, b: 1.0 };
    Ok([
        normal.mle().mean,
        median,
        normal.unbiased_variance()? - 1.0,
        normal.mle().variance - 1.0,
        coin.mle() - HEADS,
        coin.posterior(prior)?.mean() - HEADS,
    ])
}

/// 1/(m I): σ²/m, 2σ⁴/m, θ(1 − θ)/m.
fn bounds(m: usize) -> [f64; 6] {
    [1.0, 1.0, 2.0, 2.0, HEADS * (1.0 - HEADS), HEADS * (1.0 - HEADS)].map(|variance| variance / m as f64)
}

fn simulate(config: &LeastVarianceConfig, seed: Seed) -> Result<[(f64, f64); 6], crate::Error> {
    let mut rng = seed.key("samples").rng();
    let mut sums = [(0.0, 0.0); 6];
    for _ in 0..config.samples {
        for (sum, error) in sums.iter_mut().zip(errors(config.numbers, &mut rng)?) {
            *sum = (sum.0 + error, sum.1 + error * error);
        }
    }
    let n = config.samples as f64;
    let bounds = bounds(config.numbers);
    Ok(std::array::from_fn(|i| (sums[i].0 / n / bounds[i].sqrt(), sums[i].1 / n / bounds[i])))
}

impl Experiment for LeastVariance {
    type Config = LeastVarianceConfig;
    type Report = LeastVarianceReport;
    const ABOUT: About = About {
        name: "least-variance",
        lecture: 2,
        paper: "Rao (1945), Information and the accuracy attainable in the estimation of statistical parameters; Cramér (1946)",
        claim: "The mean and the share of heads attain the bound of Cramér and Rao, the median and the unbiased variance stay above \
                it, and the variance with divisor m and a share with a prior get below: it is for estimators that are right on \
                average whatever the truth is",
        sources: &[include_str!("least_variance.rs"), include_str!("../learning/estimators.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            all.push(simulate(config, seed).map_err(lab::Error::unit)?);
        }
        lab.progress("repetitions", seeds.len() as u64, seeds.len() as u64, None)?;
        let over =
            |of: &dyn Fn(&[(f64, f64); 6]) -> f64| Measured::over(&all.iter().map(of).collect::<Vec<_>>());
        let judged = |i: usize| Judged {
            name: NAMES[i].to_string(),
            bias: over(&|run| run[i].0),
            error: over(&|run| run[i].1),
        };
        let estimators: Vec<Judged> = (0..NAMES.len()).map(judged).collect();
        let mut table =
            Table::new(["estimator", "bias over the root of the bound", "squared error over the bound"]);
        for judged in &estimators {
            table.row([
                judged.name.clone(),
                format!("{:.3}", judged.bias.mean + 0.0),
                format!("{:.3} ± {:.3}", judged.error.mean, judged.error.sd),
            ]);
        }
        Ok(LeastVarianceReport { numbers: config.numbers, estimators, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let m = report.numbers as f64;
        let error = |index: usize| report.estimators[index].error;
        let near = |want: f64| Bound::Within(want * 0.97, want * 1.03); // four standard errors of 2 × 40,000 samples: 3 %
        let name = |index: usize| format!("mean squared error of the {} over the bound", NAMES[index]);
        vec![
            Check::new("mean", name(0), error(0), near(1.0), BoundSource::Paper)
                .baseline("median", error(1).mean)
                .reason_if_failed("samples of another variance"),
            Check::new("median", name(1), error(1), Bound::AtLeast(1.3), BoundSource::Paper) // π/2 for large samples
                .baseline("mean", error(0).mean)
                .reason_if_failed("samples with longer tails, for which the median is better"),
            Check::new("unbiased-variance", name(2), error(2), near(m / (m - 1.0)), BoundSource::Paper)
                .baseline("bound", 1.0)
                .reason_if_failed("another divisor"),
            Check::new(
                "biased-variance",
                name(3),
                error(3),
                near((2.0 * m - 1.0) / (2.0 * m)),
                BoundSource::Paper,
            )
            .baseline("divisor m − 1", error(2).mean)
            .reason_if_failed("another divisor"),
            Check::new("heads", name(4), error(4), near(1.0), BoundSource::Paper)
                .baseline("uniform prior", error(5).mean)
                .reason_if_failed("throws that are not independent"),
            Check::new("prior", name(5), error(5), near((m / (m + 2.0)).powi(2)), BoundSource::Paper)
                .baseline("without a prior", error(4).mean)
                .reason_if_failed("a coin far from the middle, where the prior is wrong"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names: Vec<String> = report.estimators.iter().map(|judged| judged.name.clone()).collect();
        let heights = report.estimators.iter().map(|judged| (judged.error.mean, judged.error.sd));
        vec![Figure::new(
            "errors",
            format!(
                "Two estimators attain the bound, two stay above it, and two get below, since it is not theirs: one is wrong on \
                 average, the other for every coin but the fair one of this experiment. Mean squared error over the bound of \
                 Cramér and Rao, samples of {} numbers; mean and one standard deviation of {} repetitions.",
                report.numbers, report.estimators[0].error.n
            ),
            "Six bars beside a line at one. The bars of the mean and of the share of heads reach the line, those of the median and \
             of the unbiased variance stand above it, the other two below.",
            Plot::new(
                Axis::categories("", names),
                Axis::linear("squared error over the bound").range(0.0, 1.7),
            )
            .bars("", heights)
            .horizontal("bound", 1.0),
        )]
    }
}
