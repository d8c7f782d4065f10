//! Labellings that a plane can give, counted: points from a normal distribution and digits, beside Cover's number.
use datasets::digits;
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::{DMatrix, SVector};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::learning::Pca;
use crate::perceptron::{MaxEpochs, Perceptron};

/// All labellings of few points, and random labellings of more.
#[derive(Debug)]
pub struct CountedLabellings;

/// What may vary in [`CountedLabellings`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct CountedLabellingsConfig {
    /// Sets of points, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Most points whose labellings are all tried, 4 to 7
    #[arg(long)]
    pub points: usize,
    /// Random labellings of larger sets
    #[arg(long)]
    pub labellings: usize,
}

impl Default for CountedLabellingsConfig {
    fn default() -> Self {
        Self { seeds: 5, points: 6, labellings: 60 }
    }
}

impl ExperimentConfig for CountedLabellingsConfig {
    fn quick() -> Self {
        Self { seeds: 2, points: 4, labellings: 20 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("labellings", self.labellings)?;
        if !(4..=7).contains(&self.points) {
            let value = self.points.to_string();
            return Err(lab::Error::Config { field: "points", rule: "4 to 7", value });
        }
        Ok(self)
    }
}

/// What [`CountedLabellings`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CountedLabellingsReport {
    /// Dimensions of the small sets.
    pub dimensions: Vec<usize>,
    /// Labellings found over Cover's number, `[dimension][points − 1]`, normal points, over seeds.
    pub normal: Vec<Vec<Measured>>,
    /// The same for digits along their principal components.
    pub real: Vec<Vec<Measured>>,
    /// Points on one line in the plane: labellings found over Cover's number for the plane, at most points.
    pub on_a_line: Measured,
    /// Largest number of points that are shattered, by dimension, over all sets.
    pub shattered: Vec<usize>,
    /// Points of the large sets, over the number of weights and the bias.
    pub loads: Vec<f64>,
    /// Share of random labellings that a plane in five dimensions gives, by load: as Cover has it.
    pub theory: Vec<f64>,
    /// Normal points, over seeds.
    pub share_normal: Vec<Measured>,
    /// Digits, over seeds.
    pub share_real: Vec<Measured>,
    /// Largest distance of either from theory.
    pub worst_distance: f64,
    /// Random labellings for each share, over all sets.
    pub tried: usize,
    /// As text.
    pub table: Table,
}

/// Passes after which a labelling counts as not to be had.
const PASSES: usize = 20_000;
/// And for the larger sets.
const FEWER: usize = 3000;
/// Components of the large sets.
const LARGE: usize = 5;
const SIZES: [usize; 6] = [4, 6, 9, 12, 15, 18];

/// 2 Σ_{k ≤ d} C(n − 1, k): labellings of n points in general position in d dimensions.
fn cover(n: usize, d: usize) -> f64 {
    let choose = |k: usize| (1..=k).fold(1.0, |c, i| c * (n as f64 - i as f64) / i as f64);
    2.0 * (0..=d.min(n - 1)).map(choose).sum::<f64>()
}

fn separates<const D: usize>(points: &[SVector<f64, D>], labels: u64, passes: usize) -> bool {
    let labels: Vec<i8> = (0..points.len()).map(|i| if labels >> i & 1 == 1 { 1 } else { -1 }).collect();
    Perceptron::fit(points, &labels, MaxEpochs(passes)).is_ok()
}

fn count<const D: usize>(points: &[SVector<f64, D>]) -> usize {
    // A labelling and its opposite are found by opposite planes.
    2 * (0..1_u64 << (points.len() - 1)).filter(|&labels| separates(points, labels, PASSES)).count()
}

fn normal<const D: usize>(n: usize, key: Key) -> Vec<SVector<f64, D>> {
    let mut rng = key.rng();
    (0..n).map(|_| SVector::from_fn(|_, _| rng.sample(StandardNormal))).collect()
}

/// Different digits along the first `D` principal components, in units of their deviation.
fn real<const D: usize>(n: usize, components: &DMatrix<f64>, key: Key) -> Vec<SVector<f64, D>> {
    let rows = key.permutation(components.nrows());
    let scale = |j: usize| components.column(j).variance().sqrt();
    let scales: [f64; D] = std::array::from_fn(scale);
    rows[..n].iter().map(|&i| SVector::from_fn(|j, _| components[(i, j)] / scales[j])).collect()
}

/// Labellings found over Cover's number, for 1, 2, … points.
fn shares<const D: usize>(points: &[SVector<f64, D>]) -> Vec<f64> {
    (1..=points.len()).map(|n| count(&points[..n]) as f64 / cover(n, D)).collect()
}

/// Share of random labellings that a plane gives, by size.
fn random_shares(points: &[SVector<f64, LARGE>], labellings: usize, key: Key) -> Vec<f64> {
    let mut rng = key.rng();
    let share = |&n: &usize| {
        let found = (0..labellings).filter(|_| separates(&points[..n], rng.r#gen(), FEWER)).count();
        found as f64 / labellings as f64
    };
    SIZES.iter().map(share).collect()
}

/// One set of points.
struct Counts {
    normal: [Vec<f64>; 3],
    real: [Vec<f64>; 3],
    on_a_line: f64,
    share_normal: Vec<f64>,
    share_real: Vec<f64>,
}

fn measure(config: &CountedLabellingsConfig, components: &DMatrix<f64>, seed: Seed) -> Counts {
    let n = config.points;
    let (one, two) = (seed.key("normal"), seed.key("digits"));
    let line: Vec<SVector<f64, 2>> =
        normal::<1>(n, seed.key("line")).iter().map(|x| SVector::from([x[0], 2.0 * x[0] + 1.0])).collect();
    let most = SIZES[SIZES.len() - 1];
    Counts {
        normal: [shares(&normal::<1>(n, one)), shares(&normal::<2>(n, one)), shares(&normal::<3>(n, one))],
        real: [
            shares(&real::<1>(n, components, two)),
            shares(&real::<2>(n, components, two)),
            shares(&real::<3>(n, components, two)),
        ],
        on_a_line: count(&line) as f64 / cover(n, 2),
        share_normal: random_shares(&normal(most, one.fold(1)), config.labellings, one.fold(2)),
        share_real: random_shares(&real(most, components, two.fold(1)), config.labellings, two.fold(2)),
    }
}

impl Experiment for CountedLabellings {
    type Config = CountedLabellingsConfig;
    type Report = CountedLabellingsReport;
    const ABOUT: About = About {
        name: "counted-labellings",
        lecture: 2,
        paper: "Cover (1965), Geometrical and statistical properties of systems of linear inequalities; Vapnik & Chervonenkis \
                (1971)",
        claim: "Of normal points and of digits a plane in d dimensions separates as many labellings as Cover counts: all of d + 1 \
                points, not all of d + 2, and half of twice as many as it has weights",
        sources: &[
            include_str!("counted_labellings.rs"),
            include_str!("../perceptron/mod.rs"),
            include_str!("../learning/pca.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let images = digits();
        let pixels = DMatrix::from_fn(images.len(), 64, |i, j| f64::from(images.pixels(i)[j]) / 16.0);
        let pca = Pca::<LARGE>::fit(&pixels).map_err(lab::Error::unit)?;
        let components = pca.transform(&pixels).map_err(lab::Error::unit)?;
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("sets", done as u64, seeds.len() as u64, None)?;
            all.push(measure(config, &components, seed));
        }
        lab.progress("sets", seeds.len() as u64, seeds.len() as u64, None)?;
        let over = |of: &dyn Fn(&Counts) -> f64| Measured::over(&all.iter().map(of).collect::<Vec<_>>());
        let by_size = |of: &dyn Fn(&Counts) -> &[Vec<f64>; 3]| -> Vec<Vec<Measured>> {
            (0..3).map(|d| (0..config.points).map(|n| over(&|set| of(set)[d][n])).collect()).collect()
        };
        let (normal, real) = (by_size(&|set| &set.normal), by_size(&|set| &set.real));
        // Shattered: all 2ⁿ labellings, in any of the sets.
        let all_found = |set: &Counts, d: usize, n: usize| {
            [&set.normal, &set.real]
                .iter()
                .any(|shares| shares[d][n - 1] * cover(n, d + 1) >= (1_u64 << n) as f64 - 0.5)
        };
        let shattered = (0..3)
            .map(|d| {
                (1..=config.points).rev().find(|&n| all.iter().any(|set| all_found(set, d, n))).unwrap_or(0)
            })
            .collect();
        let theory: Vec<f64> = SIZES.iter().map(|&n| cover(n, LARGE) / 2_f64.powi(n as i32)).collect();
        let large = 0..SIZES.len();
        let share_normal: Vec<Measured> = large.clone().map(|i| over(&|set| set.share_normal[i])).collect();
        let share_real: Vec<Measured> = large.map(|i| over(&|set| set.share_real[i])).collect();
        let off = |shares: &[Measured]| {
            shares.iter().zip(&theory).map(|(share, theory)| (share.mean - theory).abs()).fold(0.0, f64::max)
        };
        let mut table = Table::new(["points", "Cover, %", "normal points, %", "digits, %"]);
        for (i, n) in SIZES.iter().enumerate() {
            let percent = |m: &Measured| format!("{:.0} ± {:.0}", 100.0 * m.mean, 100.0 * m.sd);
            table.row([
                n.to_string(),
                format!("{:.0}", 100.0 * theory[i]),
                percent(&share_normal[i]),
                percent(&share_real[i]),
            ]);
        }
        Ok(CountedLabellingsReport {
            dimensions: vec![1, 2, 3],
            worst_distance: off(&share_normal).max(off(&share_real)),
            tried: config.labellings * seeds.len(),
            on_a_line: over(&|set| set.on_a_line),
            normal,
            real,
            shattered,
            loads: SIZES.iter().map(|&n| n as f64 / (LARGE + 1) as f64).collect(),
            theory,
            share_normal,
            share_real,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let least = |shares: &[Vec<Measured>]| shares.iter().flatten().map(|m| m.mean).fold(1.0, f64::min);
        let most = |shares: &[Vec<Measured>]| shares.iter().flatten().map(|m| m.mean).fold(0.0, f64::max);
        let dimension = |d: usize| report.shattered[d] as f64 - (d + 2) as f64;
        let off = (0..3).map(dimension).map(f64::abs).fold(0.0, f64::max);
        vec![
            Check::new(
                "growth-is-covers",
                "labellings found over Cover's number: the least over dimensions and numbers of points",
                Measured::exact(least(&report.normal).min(least(&report.real))),
                Bound::AtLeast(0.97), // the search gives up after 20,000 passes: a thin margin may be missed
                BoundSource::Paper,
            )
            .baseline("points on one line", report.on_a_line.mean)
            .reason_if_failed("digits that do not lie in general position"),
            Check::new(
                "none-beyond",
                "and the most",
                Measured::exact(most(&report.normal).max(most(&report.real))),
                Bound::AtMost(1.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a search that calls a labelling separated which is not"),
            Check::new(
                "vc-dimension",
                "largest distance of the number of points that are shattered from d + 1, for d of 1 to 3",
                Measured::exact(off),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a search that gives up too early"),
            Check::new(
                "capacity",
                "largest distance of the share of random labellings that are found from Cover's, five dimensions",
                Measured::exact(report.worst_distance),
                // Four standard errors of a share near one half.
                Bound::AtMost(2.0 / (report.tried as f64).sqrt()),
                BoundSource::Paper,
            )
            .baseline("all labellings", 1.0 - report.theory[report.theory.len() - 1])
            .reason_if_failed("too few labellings, or too few passes near the capacity"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |shares: &[Measured]| {
            report.loads.iter().zip(shares).map(|(&load, m)| (load, m.mean)).collect::<Vec<_>>()
        };
        let band = |shares: &[Measured]| {
            shares.iter().map(|m| ((m.mean - m.sd).max(0.0), (m.mean + m.sd).min(1.0))).collect::<Vec<_>>()
        };
        vec![Figure::new(
            "capacity",
            format!(
                "A plane can be made to fit twice as many random labels as it has weights, half of the time, and digits are no \
                 different from noise. Share of random labellings that a plane in {LARGE} dimensions separates, against points \
                 per weight; mean and one standard deviation of {} sets, and Cover's share.",
                report.on_a_line.n
            ),
            "Three falling curves that lie on each other, from one at a load below one through one half at a load of two to \
             below a tenth at three.",
            Plot::new(
                Axis::linear("points per weight"),
                Axis::linear("share of the labellings").range(0.0, 1.0),
            )
            .line(Line::new("digits", points(&report.share_real)).band(band(&report.share_real)))
            .line(Line::new("normal", points(&report.share_normal)).band(band(&report.share_normal)))
            .line(Line::new("Cover", report.loads.iter().copied().zip(report.theory.iter().copied()))),
        )]
    }
}
