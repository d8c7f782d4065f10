//! Novikoff's bound on real digits: two features to look at, all pixels to count.

mod figures;

use datasets::{Images, digits, mnist};
use lab::{About, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab};
use lab::{Measured, Seed, Table};
use nalgebra::{SVector, vector};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Data, at_least_one, vectors};
use crate::perceptron::{MarginConfig, MaxEpochs, Perceptron, hard_margin};

/// Rosenblatt's rule on every pair of digits, in several orders, beside $(R/\gamma)^2$.
#[derive(Debug)]
pub struct PerceptronBound;

/// What may vary in [`PerceptronBound`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct PerceptronBoundConfig {
    /// Images whose 45 pairs of classes are separated
    #[arg(long)]
    pub data: Data,
    /// Orders of the examples, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Largest accepted gap between the bounds of the margin, relative, in (0, 1)
    #[arg(long)]
    pub tolerance: f64,
    /// Most passes of Rosenblatt's rule
    #[arg(long)]
    pub max_epochs: usize,
    /// Passes over the control with shuffled labels
    #[arg(long)]
    pub control_epochs: usize,
}

impl Default for PerceptronBoundConfig {
    fn default() -> Self {
        Self { data: Data::Mnist, seeds: 3, tolerance: 0.02, max_epochs: 1000, control_epochs: 100 }
    }
}

impl ExperimentConfig for PerceptronBoundConfig {
    fn quick() -> Self {
        Self { data: Data::Digits, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            let value = self.tolerance.to_string();
            return Err(lab::Error::Config { field: "tolerance", rule: "in (0, 1); 0.02 is enough", value });
        }
        at_least_one("max_epochs", self.max_epochs)?;
        at_least_one("control_epochs", self.control_epochs)?;
        Ok(self)
    }
}

/// What [`PerceptronBound`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PerceptronBoundReport {
    /// Zeros and ones in two features, few enough to draw.
    pub plane: Plane,
    /// The same with more images, which no line separates.
    pub crowded: Crowded,
    /// Zeros and ones in all pixels, mistake by mistake.
    pub sum: Sum,
    /// All pairs of digits, all pixels.
    pub pairs: Vec<Pair>,
    /// Largest mistakes / bound over all pairs, per order.
    pub largest_share: Vec<f64>,
    /// Rank correlation over the pairs between bound and mistakes, per order.
    pub rank_correlation: Vec<f64>,
    /// The same between number of images and mistakes.
    pub rank_correlation_images: Vec<f64>,
    /// Zeros against ones with true and with shuffled labels, pass by pass, in the first order.
    pub control: Control,
    /// Mistakes / bound of the shuffled labels after all passes, per order.
    pub control_share: Vec<f64>,
    /// The easiest and the hardest pairs.
    pub table: Table,
}

/// A training small enough to be drawn: points in two features and the line after each mistake.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plane {
    /// Standardised ink and ink in the middle of each image.
    pub points: Vec<[f64; 2]>,
    /// −1 for a zero, +1 for a one.
    pub labels: Vec<i8>,
    /// The points that were mistakes, in order.
    pub mistakes: Vec<usize>,
    /// Passes, the last one without a mistake included.
    pub epochs: usize,
    /// `[w1, w2, b]` after each mistake.
    pub lines: Vec<[f64; 3]>,
    /// `[w1, w2, b]` of the line of largest margin.
    pub best: [f64; 3],
    /// R, with the constant feature.
    pub radius: f64,
    /// The margin of `best`.
    pub margin: f64,
    /// (R/γ)².
    pub bound: f64,
}

/// What happened on the points that no line separates.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Crowded {
    /// Number of points.
    pub points: usize,
    /// Passes made.
    pub epochs: usize,
    /// Mistakes made in them.
    pub mistakes: usize,
    /// Mistakes of each of the last ten passes.
    pub last_passes: Vec<usize>,
}

/// The pictures that made the weights, in the order of the mistakes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sum {
    /// Zeros and ones among the first pictures.
    pub images: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Level of full ink.
    pub max_level: u8,
    /// The pictures that got a wrong vote.
    pub mistakes: Vec<Wrong>,
}

/// A picture that got a wrong vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Wrong {
    /// +1 for a zero, which is then added to the weights, −1 for a one, which is subtracted.
    pub label: i8,
    /// Its vote before.
    pub vote: f64,
    /// The pixels, from 0 to `max_level`, row by row.
    pub pixels: Vec<u8>,
}

/// Two classes of digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pair {
    /// The digit labelled −1.
    pub low: usize,
    /// The digit labelled +1.
    pub high: usize,
    /// Images of both.
    pub images: usize,
    /// R.
    pub radius: f64,
    /// Margin of the plane found.
    pub margin: f64,
    /// No plane has a larger margin.
    pub margin_at_most: f64,
    /// (R/γ)².
    pub bound: f64,
    /// Mistakes until the first pass without one, per order.
    pub mistakes: Vec<usize>,
    /// Passes, per order.
    pub epochs: Vec<usize>,
}

/// Mistakes made so far after each pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Control {
    /// (R/γ)² of the true labels.
    pub bound: f64,
    /// With the true labels, until the first pass without a mistake.
    pub true_labels: Vec<usize>,
    /// With shuffled labels.
    pub shuffled_labels: Vec<usize>,
}

const PICTURES: usize = 1000; // among them the zeros and ones of `sum`
const POINTS: usize = 20; // the first 20 zeros and ones, which a line separates; 30 are not
/// Points of the set that no line separates.
pub const MORE_POINTS: usize = 30;

impl Experiment for PerceptronBound {
    type Config = PerceptronBoundConfig;
    type Report = PerceptronBoundReport;
    const ABOUT: About = About {
        name: "perceptron-bound",
        lecture: 1,
        paper: "Rosenblatt (1958), The perceptron; Novikoff (1962), On convergence proofs on perceptrons",
        claim: "On each of the 45 pairs of digits and in every order tried, Rosenblatt's rule makes at most (R/γ)² mistakes",
        sources: &[
            include_str!("mod.rs"),
            include_str!("figures.rs"),
            include_str!("../../perceptron/mod.rs"),
            include_str!("../../perceptron/margin.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        match config.data {
            Data::Mnist => {
                let train = mnist().front_back(8000, 2000).map_err(lab::Error::unit)?.train;
                measure::<784, 28, 28>(&train, config, lab)
            }
            Data::Digits => measure::<64, 8, 8>(&digits().by_writer().train, config, lab),
        }
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        vec![
            Check::new(
                "bound-holds",
                "mistakes divided by (R/γ)² stay at or below 1 on the worst of the 45 pairs",
                Measured::over(&report.largest_share),
                Bound::AtMost(1.0),
                BoundSource::Paper,
            )
            .reason_if_failed("the theorem leaves no room: an error in the margin or in the rule"),
            Check::new(
                "margin-orders-pairs",
                "pairs with a larger (R/γ)² cost more mistakes: rank correlation over the 45 pairs",
                Measured::over(&report.rank_correlation),
                Bound::AtLeast(0.85),
                BoundSource::Pilot,
            )
            .baseline("number of images", Measured::over(&report.rank_correlation_images).mean)
            .reason_if_failed("the bound is about the worst order; the order drawn may matter more than the margin"),
            Check::new(
                "control-breaks-bound",
                "with shuffled labels, which no plane separates, zeros against ones exceed the bound of the true labels",
                Measured::over(&report.control_share),
                Bound::AtLeast(1.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("the shuffled labels may be separable when there are fewer images than pixels"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        figures::all(report)
    }
}

fn measure<const N: usize, const H: usize, const W: usize>(
    images: &Images<1, H, W>,
    config: &PerceptronBoundConfig,
    lab: &mut Lab,
) -> Result<PerceptronBoundReport, lab::Error> {
    let seeds = lab.seeds(config.seeds);
    let plane = plane()?;
    let crowded = crowded(config.max_epochs)?;
    let sum = sum()?;
    let classes: Vec<Vec<SVector<f64, N>>> = (0..10)
        .map(|class| vectors(&images.select((0..images.len()).filter(|&i| images.label(i) == class))))
        .collect();
    let mut pairs = Vec::new();
    for high in 1..10 {
        for low in 0..high {
            lab.progress("pairs of digits", pairs.len() as u64, 45, None)?;
            pairs.push(pair(low, high, &classes, config, &seeds)?);
        }
    }
    lab.progress("pairs of digits", 45, 45, None)?;
    let of_seed = |s: usize| pairs.iter().map(move |pair| pair.mistakes[s] as f64);
    let bounds: Vec<f64> = pairs.iter().map(|pair| pair.bound).collect();
    let counts: Vec<f64> = pairs.iter().map(|pair| pair.images as f64).collect();
    let correlation = |with: &[f64], s: usize| rank_correlation(with, &of_seed(s).collect::<Vec<_>>());
    let shares = |s: usize| of_seed(s).zip(&bounds).map(|(mistakes, bound)| mistakes / bound);
    let bound = pairs[0].bound; // zeros against ones
    let controls =
        seeds.iter().map(|&seed| control(&classes, bound, config, seed)).collect::<Result<Vec<_>, _>>()?;
    let share =
        |control: &Control| control.shuffled_labels.last().map_or(0.0, |&mistakes| mistakes as f64 / bound);
    Ok(PerceptronBoundReport {
        largest_share: (0..seeds.len()).map(|s| shares(s).fold(0.0, f64::max)).collect(),
        rank_correlation: (0..seeds.len()).map(|s| correlation(&bounds, s)).collect(),
        rank_correlation_images: (0..seeds.len()).map(|s| correlation(&counts, s)).collect(),
        control_share: controls.iter().map(share).collect(),
        control: controls.into_iter().next().expect("check() demands at least two seeds"),
        table: table(&pairs),
        plane,
        crowded,
        sum,
        pairs,
    })
}

/// The first `n` zeros and ones of MNIST in two standardised features: all ink, and ink in the middle 6 × 6.
fn two_features(n: usize) -> (Vec<SVector<f64, 2>>, Vec<i8>) {
    let images = mnist();
    let chosen: Vec<usize> = (0..images.len()).filter(|&i| images.label(i) < 2).take(n).collect();
    let features = |i: usize| {
        let [image] = images.unit(i);
        let ink: f64 = image.as_flattened().iter().map(|&v| f64::from(v)).sum();
        let middle: f64 = image[11..17].iter().flat_map(|row| &row[11..17]).map(|&v| f64::from(v)).sum();
        vector![ink, middle]
    };
    let raw: Vec<SVector<f64, 2>> = chosen.iter().map(|&i| features(i)).collect();
    let mean = raw.iter().sum::<SVector<f64, 2>>() / n as f64;
    let variance = raw.iter().map(|x| (x - mean).map(|d| d * d)).sum::<SVector<f64, 2>>() / n as f64;
    let standardised = raw.iter().map(|x| (x - mean).zip_map(&variance, |d, variance| d / variance.sqrt()));
    let labels = chosen.iter().map(|&i| if images.label(i) == 1 { 1 } else { -1 });
    (standardised.collect(), labels.collect())
}

fn plane() -> Result<Plane, lab::Error> {
    let (x, labels) = two_features(POINTS);
    let fit = Perceptron::fit(&x, &labels, MaxEpochs(1000)).map_err(lab::Error::unit)?;
    let margin = hard_margin(&x, &labels, MarginConfig::default()).map_err(lab::Error::unit)?;
    let line = |p: &Perceptron<2>| [p.weights[0], p.weights[1], p.bias];
    Ok(Plane {
        points: x.iter().map(|x| [x[0], x[1]]).collect(),
        lines: fit.replay(&x, &labels).map_err(lab::Error::unit)?.iter().map(line).collect(),
        mistakes: fit.mistakes,
        epochs: fit.epochs,
        best: line(&margin.plane),
        radius: margin.radius,
        margin: margin.lower,
        bound: margin.novikoff_bound(),
        labels,
    })
}

fn crowded(max_epochs: usize) -> Result<Crowded, lab::Error> {
    let (x, labels) = two_features(MORE_POINTS);
    let fit = Perceptron::train(&x, &labels, MaxEpochs(max_epochs)).map_err(lab::Error::unit)?;
    let last = fit.mistakes_per_epoch.iter().rev().take(10).rev();
    Ok(Crowded {
        points: MORE_POINTS,
        epochs: fit.epochs,
        mistakes: fit.mistakes.len(),
        last_passes: last.copied().collect(),
    })
}

/// Zeros against ones in all pixels, among the first [`PICTURES`] of MNIST in file order.
fn sum() -> Result<Sum, lab::Error> {
    let images = mnist();
    let chosen: Vec<usize> = (0..PICTURES).filter(|&i| images.label(i) < 2).collect();
    let x: Vec<SVector<f64, 784>> = vectors(&images.select(chosen.iter().copied()));
    let labels: Vec<i8> = chosen.iter().map(|&i| if images.label(i) == 0 { 1 } else { -1 }).collect();
    let fit = Perceptron::fit(&x, &labels, MaxEpochs(100)).map_err(lab::Error::unit)?;
    let after = fit.replay(&x, &labels).map_err(lab::Error::unit)?;
    let before = std::iter::once(None).chain(after.iter().map(Some));
    let wrong = |(&i, before): (&usize, Option<&Perceptron<784>>)| Wrong {
        label: labels[i],
        vote: before.map_or(0.0, |perceptron| perceptron.score(&x[i])),
        pixels: images.pixels(chosen[i]).to_vec(),
    };
    Ok(Sum {
        images: x.len(),
        width: 28,
        max_level: images.max_level(),
        mistakes: fit.mistakes.iter().zip(before).map(wrong).collect(),
    })
}

/// The images of two classes and their labels, one class after the other.
fn labelled<const N: usize>(
    low: usize,
    high: usize,
    classes: &[Vec<SVector<f64, N>>],
) -> (Vec<SVector<f64, N>>, Vec<i8>) {
    let x = classes[low].iter().chain(&classes[high]).copied().collect();
    let labels = classes[low].iter().map(|_| -1).chain(classes[high].iter().map(|_| 1)).collect();
    (x, labels)
}

fn shuffled<T: Copy>(data: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|&i| data[i]).collect()
}

fn pair<const N: usize>(
    low: usize,
    high: usize,
    classes: &[Vec<SVector<f64, N>>],
    config: &PerceptronBoundConfig,
    seeds: &[Seed],
) -> Result<Pair, lab::Error> {
    let (x, labels) = labelled(low, high, classes);
    let accuracy = MarginConfig::default().tolerance_rel(config.tolerance);
    let margin = hard_margin(&x, &labels, accuracy).map_err(lab::Error::unit)?;
    let (mut mistakes, mut epochs) = (Vec::new(), Vec::new());
    for seed in seeds {
        let order = seed.key("order").fold((10 * low + high) as u64).permutation(x.len());
        let fit =
            Perceptron::fit(&shuffled(&x, &order), &shuffled(&labels, &order), MaxEpochs(config.max_epochs));
        let fit = fit.map_err(lab::Error::unit)?;
        mistakes.push(fit.mistakes.len());
        epochs.push(fit.epochs);
    }
    Ok(Pair {
        low,
        high,
        images: x.len(),
        radius: margin.radius,
        margin: margin.lower,
        margin_at_most: margin.upper,
        bound: margin.novikoff_bound(),
        mistakes,
        epochs,
    })
}

fn control<const N: usize>(
    classes: &[Vec<SVector<f64, N>>],
    bound: f64,
    config: &PerceptronBoundConfig,
    seed: Seed,
) -> Result<Control, lab::Error> {
    let (x, labels) = labelled(0, 1, classes);
    let order = seed.key("order").fold(1).permutation(x.len());
    let (x, labels) = (shuffled(&x, &order), shuffled(&labels, &order));
    let mut wrong = labels.clone();
    wrong.shuffle(&mut seed.key("labels").rng());
    let so_far = |labels: &[i8]| -> Result<Vec<usize>, crate::Error> {
        let fit = Perceptron::train(&x, labels, MaxEpochs(config.control_epochs))?;
        let add = |sum: &mut usize, &mistakes: &usize| {
            *sum += mistakes;
            Some(*sum)
        };
        Ok(fit.mistakes_per_epoch.iter().scan(0, add).collect())
    };
    Ok(Control {
        bound,
        true_labels: so_far(&labels).map_err(lab::Error::unit)?,
        shuffled_labels: so_far(&wrong).map_err(lab::Error::unit)?,
    })
}

/// Spearman's rank correlation; ties get the mean of their ranks.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        let rank = |v: &f64| {
            let below = values.iter().filter(|other| *other < v).count();
            let equal = values.iter().filter(|other| *other == v).count();
            below as f64 + (equal as f64 - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let sum = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    sum(&a, &b) / (sum(&a, &a) * sum(&b, &b)).sqrt()
}

fn table(pairs: &[Pair]) -> Table {
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    let mut table = Table::new(["pair", "images", "R", "γ", "(R/γ)²", "mistakes", "passes"]);
    let ends = sorted.iter().take(3).chain(sorted.iter().rev().take(3).rev());
    for pair in ends {
        let range = |values: &[usize]| {
            let (low, high) = (values.iter().min(), values.iter().max());
            low.zip(high).map_or(String::new(), |(low, high)| match low == high {
                true => low.to_string(),
                false => format!("{low} to {high}"),
            })
        };
        table.row([
            format!("{} and {}", pair.low, pair.high),
            pair.images.to_string(),
            format!("{:.1}", pair.radius),
            format!("{:.2}", pair.margin),
            format!("{:.0}", pair.bound),
            range(&pair.mistakes),
            range(&pair.epochs),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_has_its_closed_forms() {
        assert_eq!(rank_correlation(&[1.0, 5.0, 9.0], &[2.0, 2.5, 100.0]), 1.0);
        assert_eq!(rank_correlation(&[1.0, 5.0, 9.0], &[3.0, 2.0, 1.0]), -1.0);
        // 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 0, 1, 1, 0
        assert!((rank_correlation(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]) - 0.8).abs() < 1e-15);
    }
}
