//! Least squares in a ball on patients: the multiplier, projected steps, and what a little more room is worth.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::at_least_two;
use crate::learning::linear::Intercept;
use crate::learning::{Estimator, Predict, Ridge, column};
use crate::second_order::constrained::{by_multiplier, by_projection};

/// The same bound by its multiplier and by projection.
#[derive(Debug)]
pub struct PriceOfABound;

/// What may vary in [`PriceOfABound`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct PriceOfABoundConfig {
    /// Draws of the patients, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Patients in each draw, 50 to 400; the others judge
    #[arg(long)]
    pub patients: usize,
}

impl Default for PriceOfABoundConfig {
    fn default() -> Self {
        Self { seeds: 10, patients: 100 }
    }
}

impl ExperimentConfig for PriceOfABoundConfig {
    fn quick() -> Self {
        Self { seeds: 2, patients: 100 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        if !(50..=400).contains(&self.patients) {
            let value = self.patients.to_string();
            return Err(lab::Error::Config { field: "patients", rule: "50 to 400", value });
        }
        Ok(self)
    }
}

/// What [`PriceOfABound`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PriceOfABoundReport {
    /// Radii as shares of the length of the least-squares solution.
    pub shares: Vec<f64>,
    /// Multiplier per patient, by radius.
    pub multipliers: Vec<Measured>,
    /// Projected steps, by radius.
    pub steps: Vec<Measured>,
    /// Bisections, by radius.
    pub bisections: Vec<Measured>,
    /// Mean squared error on the other patients over that of least squares, by radius.
    pub errors: Vec<Measured>,
    /// Largest distance of the two answers, over the radius.
    pub apart: f64,
    /// Largest distance of the first from ridge regression with its multiplier, over the radius.
    pub from_ridge: f64,
    /// Largest relative difference of what a little more room gains from the radius times the multiplier.
    pub price_error: f64,
    /// As text.
    pub table: Table,
}

const SHARES: [f64; 5] = [0.1, 0.3, 0.5, 0.8, 1.2];
const TOLERANCE: f64 = 1e-13;
const MAX_STEPS: usize = 2_000_000;

/// Measurements and targets in the units of the first `n` patients of a random order: theirs, and those of the others.
fn draw(n: usize, seed: Seed) -> [(DMatrix<f64>, DVector<f64>); 2] {
    let data = datasets::diabetes();
    let order = seed.key("patients").permutation(data.len());
    let features = data.features();
    let width = features.num_columns() + 1; // the target last
    let all = DMatrix::from_fn(data.len(), width, |i, j| match j < width - 1 {
        true => features.row(order[i])[j],
        false => data.targets()[order[i]],
    });
    let mut all = all;
    for mut values in all.column_iter_mut() {
        let own = values.rows(0, n);
        let (mean, sd) = (own.mean(), own.variance().sqrt());
        values.apply(|value| *value = (*value - mean) / sd);
    }
    let part = |from: usize, count: usize| {
        let rows = all.rows(from, count);
        (rows.columns(0, width - 1).into_owned(), rows.column(width - 1).into_owned())
    };
    [part(0, n), part(n, data.len() - n)]
}

/// Of one radius.
struct Point {
    multiplier: f64,
    bisections: f64,
    steps: f64,
    error: f64,
    apart: f64,
    from_ridge: f64,
    price_error: f64,
}

fn points(patients: usize, seed: Seed) -> Result<Vec<Point>, crate::Error> {
    let [(a, b), (new_a, new_b)] = draw(patients, seed);
    let free = by_multiplier(&a, &b, 1e6)?.x;
    let error = |x: &DVector<f64>| (&new_a * x - &new_b).norm_squared() / new_b.len() as f64;
    let half = |x: &DVector<f64>| 0.5 * (&a * x - &b).norm_squared();
    let mut points = Vec::new();
    for share in SHARES {
        let radius = share * free.norm();
        let exact = by_multiplier(&a, &b, radius)?;
        let projected = by_projection(&a, &b, radius, TOLERANCE, MAX_STEPS)?;
        let ridge = Ridge::new(exact.multiplier).intercept(Intercept::Zero).fit(&a, &column(b.as_slice()))?;
        let identity = DMatrix::identity(a.ncols(), a.ncols());
        let weights = ridge.predict(&identity)?.column(0).into_owned();
        let little = 1e-4 * radius;
        let gain = half(&by_multiplier(&a, &b, radius - little)?.x)
            - half(&by_multiplier(&a, &b, radius + little)?.x);
        let price = exact.multiplier * radius;
        let off = (gain / (2.0 * little) - price).abs();
        points.push(Point {
            multiplier: exact.multiplier / a.nrows() as f64,
            bisections: exact.iterations as f64,
            steps: projected.iterations as f64,
            error: error(&exact.x) / error(&free),
            apart: (&exact.x - &projected.x).norm() / radius,
            from_ridge: (&exact.x - weights).norm() / radius,
            price_error: if price > 0.0 { off / price } else { off },
        });
    }
    Ok(points)
}

impl Experiment for PriceOfABound {
    type Config = PriceOfABoundConfig;
    type Report = PriceOfABoundReport;
    const ABOUT: About = About {
        name: "price-of-a-bound",
        lecture: 8,
        paper: "Goodfellow et al. (2016), Deep learning, sections 4.4 and 4.5; Karush (1939), Kuhn & Tucker (1951)",
        claim: "On 100 patients multiplier and projection find the same weights in a ball, those of ridge regression; the multiplier \
                is the price of the bound, and half of the free length predicts new patients no worse",
        sources: &[include_str!("price_of_a_bound.rs"), include_str!("../second_order/constrained.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("draws", done as u64, seeds.len() as u64, None)?;
            all.push(points(config.patients, seed).map_err(lab::Error::unit)?);
        }
        lab.progress("draws", seeds.len() as u64, seeds.len() as u64, None)?;
        let over = |of: fn(&Point) -> f64| -> Vec<Measured> {
            let at = |r: usize| Measured::over(&all.iter().map(|points| of(&points[r])).collect::<Vec<_>>());
            (0..SHARES.len()).map(at).collect()
        };
        let worst = |of: fn(&Point) -> f64| all.iter().flatten().map(of).fold(0.0, f64::max);
        let (multipliers, steps) = (over(|p| p.multiplier), over(|p| p.steps));
        let (bisections, errors) = (over(|p| p.bisections), over(|p| p.error));
        let mut table = Table::new([
            "radius, share of the free length",
            "multiplier per patient",
            "bisections",
            "projected steps",
            "error on others over that of least squares",
        ]);
        for r in 0..SHARES.len() {
            table.row([
                SHARES[r].to_string(),
                format!("{:.3} ± {:.3}", multipliers[r].mean, multipliers[r].sd),
                format!("{:.0}", bisections[r].mean),
                format!("{:.0}", steps[r].mean),
                format!("{:.2} ± {:.2}", errors[r].mean, errors[r].sd),
            ]);
        }
        Ok(PriceOfABoundReport {
            shares: SHARES.to_vec(),
            multipliers,
            steps,
            bisections,
            errors,
            apart: worst(|p| p.apart),
            from_ridge: worst(|p| p.from_ridge),
            price_error: worst(|p| p.price_error),
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let last = report.shares.len() - 1;
        vec![
            Check::new(
                "same-answer",
                "largest distance of the answers by multiplier and by projection, as a share of the radius",
                Measured::exact(report.apart),
                Bound::AtMost(1e-9), // the unit's tolerance
                BoundSource::Paper,
            )
            .reason_if_failed("a tolerance too large for the condition of these measurements"),
            Check::new(
                "is-ridge",
                "largest distance from ridge regression with that multiplier, as a share of the radius",
                Measured::exact(report.from_ridge),
                Bound::AtMost(1e-9),
                BoundSource::Paper,
            )
            .reason_if_failed("a penalty beside the mean of the squares and not beside their sum"),
            Check::new(
                "multiplier-is-the-price",
                "largest relative difference of the gain per length of more room from radius times multiplier",
                Measured::exact(report.price_error),
                Bound::AtMost(1e-3),
                BoundSource::Paper,
            )
            .reason_if_failed("a factor of two: another form of the constraint"),
            Check::new(
                "no-price-inside",
                "multiplier where the free solution fits into the ball",
                report.multipliers[last],
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .baseline("half of the free length", report.multipliers[2].mean)
            .reason_if_failed("a bisection that never returns 0"),
            Check::new(
                "half-the-length",
                "error on other patients with half of the free length, over that of least squares",
                report.errors[2],
                Bound::AtMost(1.1), // 0.96 ± 0.04
                BoundSource::Pilot,
            )
            .baseline("a tenth of the length", report.errors[0].mean)
            .reason_if_failed("patients for whom all measurements matter"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |values: &[Measured]| {
            report.shares.iter().zip(values).map(|(&share, m)| (share, m.mean)).collect::<Vec<_>>()
        };
        let band =
            |values: &[Measured]| values.iter().map(|m| (m.mean - m.sd, m.mean + m.sd)).collect::<Vec<_>>();
        vec![Figure::new(
            "errors",
            format!(
                "A ball of half the radius costs nothing here, and a small one does. Mean squared error on patients that were \
                 not fitted, over that of least squares without a bound, against the radius; mean and one standard deviation of \
                 {} draws of the patients.",
                report.errors[0].n
            ),
            "A curve with a band over the radius. It begins high at a tenth of the free length, falls below 1 and comes back to 1 \
             where the bound no longer binds.",
            Plot::new(
                Axis::linear("radius, share of the free length"),
                Axis::linear("error over that of least squares"),
            )
            .line(Line::new("in a ball", points(&report.errors)).band(band(&report.errors)))
            .horizontal("least squares", 1.0),
        )]
    }
}
