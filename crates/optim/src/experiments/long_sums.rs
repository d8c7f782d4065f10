//! Eight million losses, added in four ways.

use datasets::mnist;
use dfdx::prelude::{AsArray, Cpu, TensorFromVec};
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::summation::CompensatedSum;

/// Sums of real losses against the exact sum.
#[derive(Debug)]
pub struct LongSums;

/// What may vary in [`LongSums`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LongSumsConfig {
    /// Random orders of the terms, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images whose pixels give the terms, 784 each
    #[arg(long)]
    pub images: usize,
}

impl Default for LongSumsConfig {
    fn default() -> Self {
        Self { seeds: 3, images: 10_000 }
    }
}

impl ExperimentConfig for LongSumsConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 300 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("images", self.images)?;
        if self.images > 10_000 {
            let value = self.images.to_string();
            return Err(lab::Error::Config { field: "images", rule: "at most 10000", value });
        }
        Ok(self)
    }
}

/// What [`LongSums`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LongSumsReport {
    /// Whether the sums are as long as the bounds of a pilot are for.
    pub is_full: bool,
    /// All terms.
    pub terms: usize,
    /// Their sum, from whole numbers.
    pub total: f64,
    /// Numbers of terms after which errors were taken.
    pub counts: Vec<usize>,
    /// The ways of adding.
    pub ways: Vec<Adding>,
    /// Error of the plain sum in single precision over that of the tree, all terms, over orders.
    pub tree_gain: Measured,
    /// Error of the plain sum in double precision over that of the compensated one, all terms, over orders.
    pub compensation_gain: Measured,
    /// Errors as a table.
    pub table: Table,
}

/// One way of adding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adding {
    /// Order and precision.
    pub name: String,
    /// Relative errors at the counts, largest over orders.
    pub errors: Vec<f64>,
    /// Relative error of the whole sum, over orders.
    pub last: Measured,
    /// The largest error over its bound, over all counts and orders.
    pub of_bound: f64,
}

/// Terms are multiples of 2^-SCALE, and so are all their sums here: whole numbers add without an error.
const SCALE: i32 = 90;
/// Units in the last place: half of the distance of two numbers near 1.
const SINGLE: f64 = f32::EPSILON as f64 / 2.0;
const DOUBLE: f64 = f64::EPSILON / 2.0;
/// The kernel adds parts of so many terms, so many at a time, and the parts' sums one after the other at worst.
const PART: f64 = 16.0 * 1024.0;
const LANES: f64 = 32.0;

impl Experiment for LongSums {
    type Config = LongSumsConfig;
    type Report = LongSumsReport;
    const ABOUT: About = About {
        name: "long-sums",
        lecture: 5,
        paper: "Neumaier (1974); Higham (2002), Accuracy and stability of numerical algorithms, chapter 4",
        claim: "The error of a compensated sum of eight million losses stays below two roundings; that of a plain sum grows with \
                the number of terms",
        sources: &[include_str!("long_sums.rs"), include_str!("../summation.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let terms = losses(config.images);
        let counts = counts(terms.len());
        let seeds = lab.seeds(config.seeds);
        let mut orders = Vec::new();
        for (done, seed) in seeds.iter().enumerate() {
            lab.progress("orders", done as u64, seeds.len() as u64, None)?;
            let order = seed.key("order").permutation(terms.len());
            orders.push(errors(&order.iter().map(|&i| terms[i]).collect::<Vec<_>>(), &counts));
        }
        let names = ["one by one, f32", "tree, f32", "one by one, f64", "compensated, f64"];
        // Terms are positive: the sum of absolute values is the sum itself, and relative errors have these bounds.
        let bound = |way: usize, n: f64| match way {
            0 => n * SINGLE,
            1 => tree_depth(n) * SINGLE,
            2 => n * DOUBLE,
            _ => 2.0 * DOUBLE + 2.0 * (n * DOUBLE).powi(2),
        };
        let ways: Vec<Adding> = names
            .into_iter()
            .enumerate()
            .map(|(way, name)| {
                let at = |count: usize| orders.iter().map(move |order: &Vec<[f64; 4]>| order[count][way]);
                let largest = |count: usize| at(count).fold(0.0, f64::max);
                let errors: Vec<f64> = (0..counts.len()).map(largest).collect();
                let shares = errors.iter().zip(&counts).map(|(error, &n)| error / bound(way, n as f64));
                Adding {
                    name: name.to_owned(),
                    last: Measured::over(&at(counts.len() - 1).collect::<Vec<_>>()),
                    of_bound: shares.fold(0.0, f64::max),
                    errors,
                }
            })
            .collect();
        let over = |a: usize, b: usize| {
            let last = orders.iter().map(|order| order[counts.len() - 1]);
            // A sum that is right to the last bit of all has an error of less than one rounding, not of nothing.
            let least = [SINGLE, SINGLE, DOUBLE, DOUBLE][b] / 2.0;
            Measured::over(&last.map(|errors| errors[a] / errors[b].max(least)).collect::<Vec<_>>())
        };
        let mut table = Table::new(["", "relative error", "largest share of its bound"]);
        for way in &ways {
            let share = format!("{:.2e}", way.of_bound);
            table.row([way.name.clone(), format!("{:.1e}", way.last.mean), share]);
        }
        Ok(LongSumsReport {
            is_full: config.images >= 10_000,
            terms: terms.len(),
            total: terms.iter().map(|&term| scaled(term)).sum::<i128>() as f64 * 2.0_f64.powi(-SCALE),
            counts: counts.clone(),
            tree_gain: over(0, 1),
            compensation_gain: over(2, 3),
            ways,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [plain, tree, double, compensated] = &report.ways[..] else { return Vec::new() };
        let mut checks = vec![
            Check::new(
                "compensated-within-two-roundings",
                "error of a compensated sum over 2u + 2(nu)², u = 2⁻⁵³, the largest over all lengths and orders",
                Measured::exact(compensated.of_bound),
                Bound::AtMost(1.0),
                BoundSource::Paper, // Higham (2002), section 4.3
            )
            .baseline("one by one in double precision, all terms, over the same bound", double.last.mean / (2.0 * DOUBLE))
            .reason_if_failed("a compiler that takes (s - t) + x for x - (t - s)"),
            Check::new(
                "plain-within-n-roundings",
                "error of the sum one by one in single precision over nu, u = 2⁻²⁴, the largest over lengths and orders",
                Measured::exact(plain.of_bound),
                Bound::AtMost(1.0),
                BoundSource::Paper, // the same, section 4.2
            )
            .baseline("error of the kernel's tree, all terms, over the same bound", {
                tree.last.mean / (report.terms as f64 * SINGLE)
            })
            .reason_if_failed("an error in the exact sum"),
            Check::new(
                "tree-within-its-depth",
                "error of the kernel's tree in single precision over its depth times u, the largest over lengths and orders",
                Measured::exact(tree.of_bound),
                Bound::AtMost(1.0),
                BoundSource::Paper, // the same: a term takes part in as many additions as the tree is deep
            )
            .baseline("one by one, all terms, over the depth for all of them", {
                plain.last.mean / (tree_depth(report.terms as f64) * SINGLE)
            })
            .reason_if_failed("parts of the kernel that are longer than this experiment knows"),
        ];
        if report.is_full {
            checks.push(
                Check::new(
                    "plain-sums-lose-digits",
                    "error of all terms one by one in single precision over that of the kernel's tree",
                    report.tree_gain,
                    Bound::AtLeast(2e4), // pilot on orders 100 to 102: (2.5 ± 0.7)e5
                    BoundSource::Pilot,
                )
                .baseline("no gain", 1.0)
                .reason_if_failed("roundings of a plain sum that cancel"),
            );
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut plot = Plot::new(Axis::logarithmic("terms"), Axis::logarithmic("largest relative error"));
        for way in &report.ways {
            // A logarithmic axis has no zero: what is right to the last bit is drawn at the size of its rounding.
            let least = if way.name.ends_with("f32") { SINGLE } else { DOUBLE } / 64.0;
            let points =
                report.counts.iter().zip(&way.errors).map(|(&n, &error)| (n as f64, error.max(least)));
            plot = plot.line(Line::new(way.name.clone(), points));
        }
        vec![Figure::new(
            "errors",
            format!(
                "A plain sum gets worse with its length, a compensated one does not. Largest relative error over {} random \
                 orders of the losses of single pixels of digits, against the number of terms.",
                report.ways[0].last.n
            ),
            "Four curves on logarithmic axes. The two of plain sums rise with the number of terms, the one of single precision to \
             near a hundredth; that of the tree lies level, and so does the compensated one, at the bottom.",
            plot,
        )]
    }
}

/// Cross-entropies in nats of each pixel and the mean of its place, image by image: what an auto-encoder pays that has
/// learnt the mean picture.
fn losses(images: usize) -> Vec<f64> {
    let digits = mnist().select(0..images);
    let rows: Vec<Vec<f64>> = (0..images).map(|i| digits.unit_values::<f64>(i).collect()).collect();
    let mean = |pixel: usize| rows.iter().map(|row| row[pixel]).sum::<f64>() / images as f64;
    // A pixel that is black in all images costs something all the same, as it would a network.
    let means: Vec<f64> = (0..rows[0].len()).map(|pixel| mean(pixel).clamp(1e-4, 1.0 - 1e-4)).collect();
    let loss = |x: f64, m: f64| -(x * m.ln() + (1.0 - x) * (1.0 - m).ln());
    rows.iter().flat_map(|row| row.iter().zip(&means).map(|(&x, &m)| loss(x, m))).collect()
}

/// Powers of two from 64 on, and the whole.
fn counts(terms: usize) -> Vec<usize> {
    let mut counts: Vec<usize> = (6..).map(|k| 1 << k).take_while(|&n| n < terms).collect();
    counts.push(terms);
    counts
}

/// The number times 2^SCALE, exactly.
fn scaled(x: f64) -> i128 {
    (x * 2.0_f64.powi(SCALE)) as i128
}

/// Additions that a term takes part in, at most: those of its part, and those of the parts.
fn tree_depth(n: f64) -> f64 {
    n.min(PART) / LANES + LANES + (n / PART).ceil()
}

// ANCHOR: errors
/// Relative errors after each count: one by one and by the kernel's tree in single precision, one by one and compensated in
/// double precision.
fn errors(terms: &[f64], counts: &[usize]) -> Vec<[f64; 4]> {
    let singles: Vec<f32> = terms.iter().map(|&term| term as f32).collect();
    let (mut single, mut double, mut compensated) = (0.0_f32, 0.0_f64, CompensatedSum::new());
    let (mut exact_single, mut exact_double, mut from) = (0_i128, 0_i128, 0);
    let mut all = Vec::new();
    for &count in counts {
        for (&term, &rounded) in terms[from..count].iter().zip(&singles[from..count]) {
            single += rounded;
            double += term;
            compensated.add(term);
            exact_single += scaled(f64::from(rounded));
            exact_double += scaled(term);
        }
        from = count;
        let tree = Cpu::default().tensor_from_vec(singles[..count].to_vec(), (count,));
        let tree: f32 = kernels::sum_all(tree).array();
        let off = |sum: f64, exact: i128| ((scaled(sum) - exact) as f64 / exact as f64).abs();
        all.push([
            off(f64::from(single), exact_single),
            off(f64::from(tree), exact_single),
            off(double, exact_double),
            off(compensated.total(), exact_double),
        ]);
    }
    all
}
// ANCHOR_END: errors

#[cfg(test)]
mod tests {
    use super::{counts, errors, losses, scaled};

    #[test]
    fn terms_are_whole_numbers_of_the_scale() {
        let terms = losses(20);
        assert!(terms.iter().all(|&t| t > 0.0 && scaled(t) as f64 * 2.0_f64.powi(-super::SCALE) == t));
        assert_eq!(counts(200), [64, 128, 200]);
    }

    /// Two to the 24th ones and one more: the plain sum in single precision stands still.
    #[test]
    fn a_sum_that_stands_still_is_seen() {
        let mut terms = vec![1.0; 3];
        terms[0] = 16_777_216.0;
        let [single, _, double, compensated] = errors(&terms, &[3])[0];
        assert!((single - 2.0 / 16_777_218.0).abs() < 1e-12, "{single}");
        assert_eq!((double, compensated), (0.0, 0.0));
    }
}
