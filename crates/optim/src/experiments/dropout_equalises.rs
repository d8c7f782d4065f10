//! Dropout in a linear network: equal units, pruned rank, and singular values that a formula predicts.

use datasets::digits;
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use nalgebra::{DMatrix, DVector};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::landscape::critical::Critical;
use crate::regularize::dropout_theory::{equalize, optimum, strength, tied_optimum, unit_products};
use crate::regularize::tied_landscape::{benign_below, critical_points, loss};

/// A linear network learns a linear map of real digits, with and without dropout.
#[derive(Debug)]
pub struct DropoutEqualises;

/// What may vary in [`DropoutEqualises`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct DropoutEqualisesConfig {
    /// Runs, each with its own start and masks, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Gradient steps
    #[arg(long)]
    pub steps: usize,
    /// Images in a minibatch
    #[arg(long)]
    pub batch: usize,
}

impl Default for DropoutEqualisesConfig {
    fn default() -> Self {
        Self { seeds: 3, steps: 12_000, batch: 64 }
    }
}

impl ExperimentConfig for DropoutEqualisesConfig {
    fn quick() -> Self {
        Self { seeds: 2, steps: 2500, batch: 64 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("steps", self.steps)?;
        at_least_one("batch", self.batch)?;
        Ok(self)
    }
}

/// What [`DropoutEqualises`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DropoutEqualisesReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// $\theta$, the probability to keep a unit.
    pub keep: f64,
    /// Hidden units.
    pub units: usize,
    /// $\rho$ of the closed form.
    pub predicted_rank: usize,
    /// $\tau$ of the closed form.
    pub threshold: f64,
    /// Singular values of the map that is learnt.
    pub target: Vec<f64>,
    /// Singular values of the best product under dropout, by the closed form.
    pub predicted: Vec<f64>,
    /// Singular values of the product that training with dropout reached, per seed.
    pub learnt: Vec<Vec<f64>>,
    /// Rank of the product, singular values above 0.02, over seeds.
    pub rank: Measured,
    /// Largest distance of a learnt singular value from the closed form, over seeds.
    pub distance: Measured,
    /// Coefficient of variation of the units' products of norms with dropout, over seeds.
    pub spread: Measured,
    /// The same without dropout.
    pub spread_without: Measured,
    /// At the start.
    pub spread_at_start: Measured,
    /// Products of norms of all units of the first seed, in descending order: with dropout.
    pub products: Vec<f64>,
    /// Without dropout.
    pub products_without: Vec<f64>,
    /// Steps at which the spread was recorded.
    pub recorded: Vec<usize>,
    /// Spread with dropout at these steps, per seed.
    pub spread_curves: Vec<Vec<f64>>,
    /// Without.
    pub spread_curves_without: Vec<Vec<f64>>,
    /// Largest difference between the products of norms that the rotation in closed form makes equal.
    pub equalized_gap: f64,
    /// The surface of one number, 1, and two tied units for each probability in `SURFACES`.
    pub surfaces: Vec<Surface>,
    /// The paper's bound on $\lambda$ for two tied units that learn the two largest variances of the digits.
    pub benign_below: f64,
    /// These units at each share of the bound in `SHARES`.
    pub benign: Vec<Benign>,
    /// The first singular values side by side.
    pub table: Table,
}

/// All critical points of two tied units with four weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Benign {
    /// $\lambda$ over the paper's bound.
    pub share: f64,
    /// How many points.
    pub points: usize,
    /// How many of them are minima.
    pub minima: usize,
    /// How far the highest minimum lies above the best value by the closed form, relative to the value of no units at all.
    pub excess: f64,
    /// Smallest eigenvalue of the Hessian, the largest over the points that are no minima, relative to the largest variance.
    pub way_down: f64,
}

/// Critical points of a tied network with two weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Surface {
    /// $\theta$.
    pub keep: f64,
    /// $\lambda$.
    pub lambda: f64,
    /// $(u_1, u_2)$ of each minimum.
    pub minima: Vec<(f64, f64)>,
    /// Of each saddle.
    pub saddles: Vec<(f64, f64)>,
    /// Of each maximum.
    pub maxima: Vec<(f64, f64)>,
    /// How far the highest minimum lies above the best value by the closed form.
    pub excess: f64,
}

/// Dimensions of the whitened digits.
const INPUTS: usize = 16;
/// Hidden units, more than dimensions.
const UNITS: usize = 20;
/// Probability to keep a unit.
const KEEP: f64 = 0.5;
/// Probabilities to keep a unit for which the surface of two weights is looked at.
const SURFACES: [f64; 2] = [0.5, 0.25];
/// Shares of the paper's bound on the strength at which all critical points on real data are looked for.
const SHARES: [f64; 3] = [0.25, 0.5, 0.9];
/// A singular value below this counts as pruned.
const ZERO: f64 = 0.02;

impl Experiment for DropoutEqualises {
    type Config = DropoutEqualisesConfig;
    type Report = DropoutEqualisesReport;
    const ABOUT: About = About {
        name: "dropout-equalises",
        lecture: 6,
        paper: "Mianjy, Arora & Vidal (2018), On the implicit bias of dropout",
        claim: "Dropout makes all hidden units of a linear network equally important and prunes its rank to the value \
                that the closed form predicts",
        sources: &[
            include_str!("dropout_equalises.rs"),
            include_str!("../linalg.rs"),
            include_str!("../regularize/dropout_theory.rs"),
            include_str!("../regularize/tied_landscape.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (inputs, variances) = whitened_digits();
        let variances = DMatrix::from_diagonal(&DVector::from_column_slice(&variances[..2]));
        let sigma = DVector::from_fn(INPUTS, |j, _| 2.0 - 1.9 * j as f64 / (INPUTS - 1) as f64);
        let m = DMatrix::from_diagonal(&sigma);
        let lambda = strength(KEEP).map_err(lab::Error::unit)?;
        let best = optimum(&m, lambda, UNITS).map_err(lab::Error::unit)?;
        let seeds = lab.seeds(config.seeds);
        let mut runs = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("runs", done as u64, seeds.len() as u64, None)?;
            runs.push([KEEP, 1.0].map(|keep| train(&m, &inputs, keep, config, seed)));
        }
        lab.progress("runs", seeds.len() as u64, seeds.len() as u64, None)?;
        let over =
            |value: &dyn Fn(&[Run; 2]) -> f64| Measured::over(&runs.iter().map(value).collect::<Vec<f64>>());
        let learnt: Vec<Vec<f64>> = runs.iter().map(|[with, _]| with.singular_values()).collect();
        let distance = |learnt: &Vec<f64>| {
            learnt.iter().zip(&best.singular_values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let rank = |values: &Vec<f64>| values.iter().filter(|&&value| value > ZERO).count() as f64;
        let [first, first_without] = &runs[0];
        let (u, v) = equalize(&first_without.u, &first_without.v);
        let equal = unit_products(&u, &v);
        let curves = |which: usize| runs.iter().map(|run| run[which].spread.clone()).collect();
        let mut table = Table::new(["", "1st", "2nd", "3rd", "12th", "13th"]);
        let row = |name: &str, values: &[f64]| {
            let [a, b, c, d, e] = [0, 1, 2, 11, 12].map(|j| format!("{:.3}", values[j]));
            [name.to_owned(), a, b, c, d, e]
        };
        table.row(row("map to learn", sigma.as_slice()));
        table.row(row("closed form", &best.singular_values));
        table.row(row("learnt with dropout", &learnt[0]));
        table.row(row("learnt without", &first_without.singular_values()));
        Ok(DropoutEqualisesReport {
            is_full: config.steps >= 12_000,
            keep: KEEP,
            units: UNITS,
            predicted_rank: best.rank,
            threshold: best.threshold,
            target: sigma.as_slice().to_vec(),
            predicted: best.singular_values.clone(),
            rank: Measured::over(&learnt.iter().map(rank).collect::<Vec<_>>()),
            distance: Measured::over(&learnt.iter().map(distance).collect::<Vec<_>>()),
            learnt,
            spread: over(&|[with, _]| with.last_spread()),
            spread_without: over(&|[_, without]| without.last_spread()),
            spread_at_start: over(&|[with, _]| with.spread[0]),
            products: descending(unit_products(&first.u, &first.v)),
            products_without: descending(unit_products(&first_without.u, &first_without.v)),
            recorded: first.recorded.clone(),
            spread_curves: curves(0),
            spread_curves_without: curves(1),
            equalized_gap: equal.iter().fold(0.0_f64, |gap, p| gap.max((p - equal[0]).abs())),
            benign_below: benign_below(&variances, 2).map_err(lab::Error::unit)?,
            benign: SHARES
                .map(|share| benign(&variances, share))
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(lab::Error::unit)?,
            surfaces: SURFACES
                .map(surface)
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(lab::Error::unit)?,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [spread, rank, distance] = if report.is_full { [0.02, 0.0, 0.02] } else { [0.15, 3.0, 0.2] };
        vec![
            // Pilot in numpy, 3 seeds: 0.0060 ± 0.0010 with dropout, 0.436 ± 0.049 without.
            Check::new(
                "units-become-equal",
                "coefficient of variation of the units' products of norms after training with dropout",
                report.spread,
                Bound::AtMost(spread),
                BoundSource::Pilot,
            )
            .baseline("without dropout", report.spread_without.mean)
            .reason_if_failed("too few steps, or a learning rate whose noise keeps the units apart"),
            Check::new(
                "unequal-without-dropout",
                "coefficient of variation of the units' products of norms after the same training without dropout",
                report.spread_without,
                Bound::AtLeast(0.2),
                BoundSource::Pilot,
            )
            .baseline("at the start", report.spread_at_start.mean)
            .reason_if_failed("weight decay or another symmetric penalty equalises too"),
            Check::new(
                "rank-as-predicted",
                "rank of the product after training with dropout, less the predicted rank",
                Measured { mean: report.rank.mean - report.predicted_rank as f64, ..report.rank },
                Bound::Within(-rank, rank),
                BoundSource::Paper,
            )
            .baseline("rank of the map that is learnt", report.target.len() as f64)
            .reason_if_failed("a singular value near the threshold needs more steps to vanish"),
            Check::new(
                "singular-values-as-predicted",
                "largest distance of a singular value of the product from the closed form",
                report.distance,
                Bound::AtMost(distance),
                BoundSource::Pilot,
            )
            .baseline("distance of the closed form from the map itself", report.threshold)
            .reason_if_failed("the noise of masks and minibatches moves the product at a large learning rate"),
            Check::new(
                "rotation-in-closed-form",
                "largest difference between two units' products of norms after the rotation of the proof",
                Measured::exact(report.equalized_gap),
                Bound::AtMost(1e-9),
                BoundSource::Paper,
            )
            .reason_if_failed("an error in the rotation"),
            Check::new(
                "minima-are-global",
                "height of the highest minimum of two tied units on the digits above the best value, relative",
                Measured::exact(report.benign.iter().map(|benign| benign.excess).fold(0.0, f64::max)),
                Bound::AtMost(1e-9),
                BoundSource::Paper, // for every strength below its bound
            )
            .reason_if_failed("a point that the search counted as a minimum and is none"),
            Check::new(
                "saddles-lead-down",
                "smallest curvature at the critical points that are no minima, the largest of these, relative",
                Measured::exact(report.benign.iter().map(|benign| benign.way_down).fold(f64::MIN, f64::max)),
                Bound::AtMost(-1e-6), // "strict": below 0 by more than the search can be off
                BoundSource::Paper,
            )
            .reason_if_failed("a saddle so flat that second derivatives do not see it"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![values_figure(report), spread_figure(report), surface_figure(report)]
    }
}

/// One network.
struct Run {
    u: DMatrix<f64>,
    v: DMatrix<f64>,
    recorded: Vec<usize>,
    spread: Vec<f64>,
}

impl Run {
    fn singular_values(&self) -> Vec<f64> {
        let product = &self.u * self.v.transpose();
        descending(product.singular_values().iter().copied().collect())
    }

    fn last_spread(&self) -> f64 {
        self.spread[self.spread.len() - 1]
    }
}

fn descending(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// One number, two tied units, each kept with probability `keep`.
fn surface(keep: f64) -> Result<Surface, crate::Error> {
    let (m, lambda) = (DMatrix::from_element(1, 1, 1.0), strength(keep)?);
    let points = critical_points(&m, lambda, 2, 9)?;
    let best = tied_optimum(&m, lambda, 2)?.value;
    let of = |belongs: &dyn Fn(Critical) -> bool| -> Vec<(f64, f64)> {
        let points = points.iter().filter(|point| belongs(point.kind));
        points.map(|point| (point.u[0], point.u[1])).collect()
    };
    let is_minimum = |kind| kind == Critical::Minimum;
    let minima = points.iter().filter(|point| is_minimum(point.kind));
    Ok(Surface {
        keep,
        lambda,
        excess: minima.map(|point| point.value - best).fold(0.0, f64::max),
        minima: of(&is_minimum),
        saddles: of(&|kind| matches!(kind, Critical::Saddle { .. })),
        maxima: of(&|kind| kind == Critical::Maximum),
    })
}

/// Two tied units that learn this matrix, at a share of the paper's bound.
fn benign(m: &DMatrix<f64>, share: f64) -> Result<Benign, crate::Error> {
    let lambda = share * benign_below(m, 2)?;
    let points = critical_points(m, lambda, 2, 5)?;
    let best = tied_optimum(m, lambda, 2)?.value;
    let (minima, others): (Vec<_>, Vec<_>) = points.iter().partition(|point| point.kind == Critical::Minimum);
    let above = |value: f64| (value - best) / m.norm_squared();
    Ok(Benign {
        share,
        points: points.len(),
        minima: minima.len(),
        excess: minima.iter().map(|point| above(point.value)).fold(0.0, f64::max),
        way_down: others.iter().map(|point| point.least_curvature / m.amax()).fold(f64::MIN, f64::max),
    })
}

/// Standard deviation over mean of the units' products of norms.
fn spread(u: &DMatrix<f64>, v: &DMatrix<f64>) -> f64 {
    let products = unit_products(u, v);
    let mean = products.iter().sum::<f64>() / products.len() as f64;
    let variance = products.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / products.len() as f64;
    variance.sqrt() / mean
}

/// The digits projected on their first principal components, each scaled to variance 1: one column per image. And the variances
/// of all components before that, the largest first.
fn whitened_digits() -> (DMatrix<f64>, Vec<f64>) {
    let images = digits();
    let mut x = DMatrix::zeros(64, images.len());
    for i in 0..images.len() {
        x.column_mut(i).copy_from_slice(&images.unit_values::<f64>(i).collect::<Vec<_>>());
    }
    let mean = x.column_mean();
    x.column_iter_mut().for_each(|mut column| column -= &mean);
    let eigen = (&x * x.transpose() / images.len() as f64).symmetric_eigen();
    let mut order: Vec<usize> = (0..64).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let rows: Vec<_> = order[..INPUTS]
        .iter()
        .map(|&j| (eigen.eigenvectors.column(j) / eigen.eigenvalues[j].sqrt()).transpose())
        .collect();
    let variances = order.iter().map(|&j| eigen.eigenvalues[j]).collect();
    (DMatrix::from_rows(&rows) * x, variances)
}

// ANCHOR: train
/// Descends on the squared error with a mask for each image; the learning rate falls to 3 %, so that the noise of
/// masks does not hide where the path leads.
fn train(
    m: &DMatrix<f64>,
    inputs: &DMatrix<f64>,
    keep: f64,
    config: &DropoutEqualisesConfig,
    seed: lab::Seed,
) -> Run {
    let mut rng = seed.key("weights").rng();
    // Deliberately uneven: units start with very different norms.
    let scale: Vec<f64> =
        (0..UNITS).map(|_| 0.25 * (0.7 * rng.sample::<f64, _>(StandardNormal)).exp()).collect();
    let mut draw = |_, unit: usize| 0.5 * scale[unit] * rng.sample::<f64, _>(StandardNormal);
    let (mut u, mut v) = (DMatrix::from_fn(INPUTS, UNITS, &mut draw), DMatrix::from_fn(INPUTS, UNITS, draw));
    let mut rng = seed.key("order and masks").rng();
    let every = config.steps.div_ceil(80);
    let (mut recorded, mut curve) = (vec![0], vec![spread(&u, &v)]);
    for step in 1..=config.steps {
        let columns: Vec<usize> = (0..config.batch).map(|_| rng.gen_range(0..inputs.ncols())).collect();
        let x = inputs.select_columns(&columns);
        let mask = DMatrix::from_fn(UNITS, config.batch, |_, _| {
            if keep >= 1.0 || rng.r#gen::<f64>() < keep { 1.0 / keep } else { 0.0 }
        });
        let hidden = (v.transpose() * &x).component_mul(&mask);
        let error = &u * &hidden - m * &x;
        let progress = step as f64 / config.steps as f64;
        let rate = 0.015 * 0.03_f64.powf(progress) * 2.0 / config.batch as f64;
        let by_hidden = (u.transpose() * &error).component_mul(&mask);
        u -= &error * hidden.transpose() * rate;
        v -= &x * by_hidden.transpose() * rate;
        if step % every == 0 || step == config.steps {
            recorded.push(step);
            curve.push(spread(&u, &v));
        }
    }
    Run { u, v, recorded, spread: curve }
}
// ANCHOR_END: train

fn values_figure(report: &DropoutEqualisesReport) -> Figure {
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(j, &value)| ((j + 1) as f64, value)).collect()
    };
    Figure::new(
        "values",
        format!(
            "Dropout subtracts the same amount from every singular value and prunes those that are smaller: a formula \
             says by how much. Singular values of the map to be learnt (line), of the best product under dropout by \
             the closed form (line) and of the product that gradient descent with random masks reached (points, {} \
             seeds); {} hidden units, each kept with probability {}.",
            report.learnt.len(),
            report.units,
            report.keep
        ),
        "Sixteen singular values in descending order. An upper straight line falls from 2 to 0.1. A parallel line lies \
         about 0.5 below it and reaches zero at the thirteenth; the points lie on the lower line.",
        Plot::new(
            Axis::linear("number of the singular value").range(1.0, 16.0),
            Axis::linear("singular value").range(0.0, 2.1),
        )
        .line(Line::new("map to learn", points(&report.target)))
        .line(Line::new("closed form", points(&report.predicted)))
        .scatter("learnt with dropout", report.learnt.iter().flat_map(|values| points(values))),
    )
}

fn spread_figure(report: &DropoutEqualisesReport) -> Figure {
    let steps: Vec<f64> = report.recorded.iter().map(|&step| step as f64).collect();
    Figure::new(
        "spread",
        format!(
            "With dropout all hidden units become equally important; without it descent makes them less unequal at \
             first, and then no more. Standard deviation over mean of the products of a unit's two norms during \
             training, mean and one standard deviation of {} seeds.",
            report.learnt.len()
        ),
        "Two curves over the gradient steps on a logarithmic axis. Both fall at once from above 1; then one stays \
         near a half, and the other goes on falling, by more than a hundred in all.",
        Plot::new(
            Axis::linear("gradient steps"),
            Axis::logarithmic("spread of the units' products of norms"),
        )
        .line(Line::over_seeds("without dropout", &steps, &report.spread_curves_without))
        .line(Line::over_seeds("with dropout", &steps, &report.spread_curves)),
    )
}

/// Where the name of one of these points stands: that with the least `key`, and `above` it.
fn lowest(points: &[(f64, f64)], key: impl Fn((f64, f64)) -> f64, above: f64) -> (f64, f64) {
    let first = points.iter().copied().min_by(|&a, &b| key(a).total_cmp(&key(b))).unwrap_or_default();
    (first.0, first.1 + above)
}

fn surface_figure(report: &DropoutEqualisesReport) -> Figure {
    let reach = (-1.3, 1.3);
    let levels: Vec<f64> = (1..=12).map(|i| 0.12 * f64::from(i)).collect();
    let panel = |title: String, lambda: f64| {
        let m = DMatrix::from_element(1, 1, 1.0);
        let axis = |label: &str| Axis::linear(label).range(reach.0, reach.1);
        let height = |x: f64, y: f64| loss(&m, &DMatrix::from_row_slice(1, 2, &[x, y]), lambda);
        Plot::new(axis("first weight"), axis("second weight"))
            .title(title)
            .faint(lab::contours(reach, reach, &levels, height))
    };
    let points = |surface: &Surface| {
        panel(format!("θ = {}", surface.keep), surface.lambda)
            .scatter("", surface.minima.iter().copied())
            .scatter("", surface.saddles.iter().copied())
            .scatter("", surface.maxima.iter().copied())
            .text("minimum", lowest(&surface.minima, |(x, y)| y - x, -0.28))
            .text("saddle", lowest(&surface.saddles, |(_, y)| -y, 0.14))
            .text("maximum", lowest(&surface.maxima, |_| 0.0, 0.14))
    };
    let panels =
        std::iter::once(panel("no dropout".to_owned(), 0.0)).chain(report.surfaces.iter().map(points));
    Figure::new(
        "surface",
        "Dropout breaks a circle of equally good networks into four points, and leaves no other minimum. Lines of equal \
         loss of a tied network with one number to learn, 1, and two units; every critical point for two probabilities θ \
         to keep a unit. All minima have two equal units and the same loss.",
        "Three maps. Without dropout the lines of equal loss are circles around the middle. With dropout \
         four minima lie on the diagonals, four saddles on the axes and a maximum in the middle; with more dropout all of \
         them lie nearer to it.",
        Body::Panels { panels: panels.collect(), columns: 2 },
    )
}
