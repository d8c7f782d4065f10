//! Continuation: where following the minimum of a blurred function finds the lowest point, and where it hides it.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::continuation::{Blur, follow};
use crate::descent::Descent;
use crate::problems::{Problem, Rastrigin, StyblinskiTang};

/// Continuation and as many steps of descents from new starts, on three functions.
#[derive(Debug)]
pub struct BlurredCost;

/// What may vary in [`BlurredCost`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct BlurredCostConfig {
    /// Sets of starts, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Starts in each set
    #[arg(long)]
    pub starts: usize,
    /// Steps of each stage
    #[arg(long)]
    pub steps: usize,
}

impl Default for BlurredCostConfig {
    fn default() -> Self {
        Self { seeds: 5, starts: 20, steps: 1500 }
    }
}

impl ExperimentConfig for BlurredCostConfig {
    fn quick() -> Self {
        Self { seeds: 2, starts: 3, steps: 1500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("starts", self.starts)?;
        at_least_one("steps", self.steps)?;
        Ok(self)
    }
}

/// What [`BlurredCost`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlurredCostReport {
    /// Numbers in a point.
    pub dimensions: Vec<usize>,
    /// Rastrigin's function: share of the starts from which continuation finds the lowest point, by dimension.
    pub waves: Vec<Measured>,
    /// The same for the best of as many descents as there are stages, from new starts.
    pub waves_restarts: Vec<Measured>,
    /// Styblinski and Tang's function in the largest dimension: continuation, restarts.
    pub quartic: Vec<Measured>,
    /// A narrow well beside a wide one, in two dimensions: continuation, restarts.
    pub narrow: Vec<Measured>,
    /// As text.
    pub table: Table,
}

const DIMENSIONS: [usize; 4] = [1, 2, 5, 10];
/// σ of the stages.
const SIGMAS: [f64; 6] = [1.0, 0.4, 0.3, 0.2, 0.1, 0.0];
/// The same for functions whose dips are wider.
const WIDE: [f64; 6] = [3.0, 2.0, 1.5, 1.0, 0.5, 0.0];
/// Starts have coordinates between ± this.
const BOX: f64 = 5.0;

/// A wide well at 0 and a deeper, narrow one at (3, 3): −e^{−|x|²/2s²} − 2 e^{−|x − a|²/2r²} + |x|²/100.
struct TwoWells;

impl TwoWells {
    const CENTRE: [f64; 2] = [3.0, 3.0];
    const WIDTHS: [f64; 2] = [2.0, 0.3];
    const DEPTHS: [f64; 2] = [1.0, 2.0];

    /// The mean of −h e^{−|x − a|²/2s²} over noise is a well with s² + σ² for s² and (s²/(s² + σ²)) of the depth.
    fn blurred(sigma: f64, x: &[f64]) -> (f64, Vec<f64>) {
        let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
        let mut value = (square(x) + 2.0 * sigma * sigma) / 100.0;
        let mut slope: Vec<f64> = x.iter().map(|x| x / 50.0).collect();
        for (well, centre) in [[0.0, 0.0], Self::CENTRE].iter().enumerate() {
            let width = Self::WIDTHS[well].powi(2);
            let wider = width + sigma * sigma;
            let off: Vec<f64> = x.iter().zip(centre).map(|(x, a)| x - a).collect();
            let depth = Self::DEPTHS[well] * width / wider * (-0.5 * square(&off) / wider).exp();
            value -= depth;
            slope.iter_mut().zip(&off).for_each(|(g, off)| *g += depth * off / wider);
        }
        (value, slope)
    }
}

/// Shares of the starts from which continuation ends below `goal`, and the best of as many descents from new starts.
fn shares(
    blurred: impl Fn(f64, &[f64]) -> (f64, Vec<f64>),
    dimension: usize,
    sigmas: &[f64],
    rate: f64,
    goal: f64,
    config: &BlurredCostConfig,
    seed: Seed,
) -> Result<[f64; 2], crate::Error> {
    let mut rng = seed.key("starts").fold(dimension as u64).rng();
    let mut start = || (0..dimension).map(|_| rng.gen_range(-BOX..BOX)).collect::<Vec<f64>>();
    let descent = Descent::gradient(rate);
    let end = |stages: &[f64], start: &[f64]| -> Result<f64, crate::Error> {
        let reached = follow(|sigma, x| Ok(blurred(sigma, x)), stages, descent, config.steps, start)?;
        Ok(blurred(0.0, &reached[reached.len() - 1]).0)
    };
    let mut found = [0.0; 2];
    for _ in 0..config.starts {
        if end(sigmas, &start())? < goal {
            found[0] += 1.0 / config.starts as f64;
        }
        let mut best = f64::INFINITY;
        for _ in sigmas {
            best = best.min(end(&[0.0], &start())?);
        }
        if best < goal {
            found[1] += 1.0 / config.starts as f64;
        }
    }
    Ok(found)
}

impl Experiment for BlurredCost {
    type Config = BlurredCostConfig;
    type Report = BlurredCostReport;
    const ABOUT: About = About {
        name: "blurred-cost",
        lecture: 8,
        paper: "Goodfellow et al. (2016), Deep learning, section 8.7.6; Mobahi & Fisher (2015), A theoretical analysis of \
                optimization by Gaussian continuation",
        claim: "In a bowl full of dips continuation finds the lowest of up to 10¹⁰ minima from every start, as many steps from \
                new starts none; a narrow well it does not find, and new starts find it sometimes",
        sources: &[
            include_str!("blurred_cost.rs"),
            include_str!("../continuation.rs"),
            include_str!("../descent.rs"),
            include_str!("../problems.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let total = (DIMENSIONS.len() + 2) as u64;
        let both =
            |one: &dyn Fn(Seed) -> Result<[f64; 2], crate::Error>| -> Result<[Measured; 2], lab::Error> {
                let runs = seeds.iter().map(|&seed| one(seed)).collect::<Result<Vec<_>, _>>();
                let runs = runs.map_err(lab::Error::unit)?;
                Ok([0, 1]
                    .map(|way: usize| Measured::over(&runs.iter().map(|run| run[way]).collect::<Vec<_>>())))
            };
        let (mut waves, mut waves_restarts) = (Vec::new(), Vec::new());
        for (done, &dimension) in DIMENSIONS.iter().enumerate() {
            lab.progress("functions", done as u64, total, None)?;
            let problem = Rastrigin { dimension };
            let [found, restarts] = both(&|seed| {
                shares(|sigma, x| problem.blurred(sigma, x), dimension, &SIGMAS, 0.002, 1e-6, config, seed)
            })?;
            waves.push(found);
            waves_restarts.push(restarts);
        }
        let dimension = DIMENSIONS[DIMENSIONS.len() - 1];
        lab.progress("functions", total - 2, total, None)?;
        let problem = StyblinskiTang { dimension };
        let least = problem.minimiser().map_or(f64::NEG_INFINITY, |x| problem.value(&x));
        let quartic = both(&|seed| {
            shares(|sigma, x| problem.blurred(sigma, x), dimension, &WIDE, 0.005, least + 1e-3, config, seed)
        })?;
        lab.progress("functions", total - 1, total, None)?;
        let narrow = both(&|seed| shares(TwoWells::blurred, 2, &WIDE, 0.05, -1.5, config, seed))?;
        lab.progress("functions", total, total, None)?;
        let mut table = Table::new(["function", "continuation, %", "as many steps from new starts, %"]);
        let percent = |m: &Measured| format!("{:.0} ± {:.0}", 100.0 * m.mean, 100.0 * m.sd);
        for ((dimension, found), restarts) in DIMENSIONS.iter().zip(&waves).zip(&waves_restarts) {
            table.row([format!("Rastrigin, dimension {dimension}"), percent(found), percent(restarts)]);
        }
        let name = format!("Styblinski and Tang, dimension {dimension}");
        table.row([name, percent(&quartic[0]), percent(&quartic[1])]);
        table.row(["narrow well beside a wide one".into(), percent(&narrow[0]), percent(&narrow[1])]);
        Ok(BlurredCostReport {
            dimensions: DIMENSIONS.to_vec(),
            waves,
            waves_restarts,
            quartic: quartic.to_vec(),
            narrow: narrow.to_vec(),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let last = report.waves.len() - 1;
        vec![
            Check::new(
                "bowl-of-dips",
                "share of the starts from which continuation finds the lowest point of Rastrigin's function in 10 dimensions",
                report.waves[last],
                Bound::AtLeast(0.99),
                BoundSource::Paper, // the blurred function has one minimum, at the lowest point
            )
            .baseline("new starts", report.waves_restarts[last].mean)
            .reason_if_failed("a first stage that is not blurred enough"),
            Check::new(
                "restarts-are-lost",
                "the same for as many steps of descent from new starts",
                report.waves_restarts[last],
                Bound::AtMost(0.01), // 6 descents among 10 or more dips in each of 10 directions
                BoundSource::Paper,
            )
            .baseline("in one dimension", report.waves_restarts[0].mean)
            .reason_if_failed("a box of starts that is smaller than a dip"),
            Check::new(
                "quartic",
                "share of the starts from which continuation finds the lowest of 1024 minima of a quartic function",
                report.quartic[0],
                Bound::AtLeast(0.99),
                BoundSource::Paper, // blurred with σ > √(16/6) it has one minimum, on the side of the lowest
            )
            .baseline("new starts", report.quartic[1].mean)
            .reason_if_failed("a step that is too long for a blurred quartic"),
            Check::new(
                "a-narrow-well-is-hidden",
                "share of the starts from which continuation finds a narrow well that is lower than a wide one",
                report.narrow[0],
                Bound::AtMost(0.05),
                BoundSource::Paper,
            )
            .baseline("new starts", report.narrow[1].mean)
            .reason_if_failed("a well that is still there at the first blur"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let problem = Rastrigin { dimension: 1 };
        let mut plot = Plot::new(Axis::linear("x").range(-4.0, 4.0), Axis::linear("value").range(0.0, 40.0));
        for sigma in [0.0, 0.2, 0.3, 1.0] {
            let at = |x: f64| problem.blurred(sigma, &[x]).0;
            let points = (0..=320).map(|i| f64::from(i) / 40.0 - 4.0).map(|x| (x, at(x)));
            plot = plot.line(Line::new(format!("σ = {sigma}"), points));
        }
        vec![Figure::new(
            "blur",
            format!(
                "Blurring fills the dips and leaves the bowl. Rastrigin's function in one dimension and its means over Gaussian \
                 noise of three sizes, closed form; from {} % of the starts in 10 dimensions the lowest point is found.",
                (100.0 * report.waves[report.waves.len() - 1].mean).round()
            ),
            "Four curves. The one without blur has a deep dip at every whole number; with more blur the waves become flatter until \
             a smooth bowl is left.",
            plot,
        )]
    }
}
