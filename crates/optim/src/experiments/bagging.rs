//! Means of models that differ by their starts or by the examples that they have seen, and the formula for their error.

use dfdx::prelude::Module;
use kernels::ActivationKind;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Plan, he_net, percent_equal, train_plainly};
use super::{Data, at_least_one, at_least_two};
use crate::learning::{DecisionTree, Estimator, Predict, one_hot};
use crate::regularize::ensemble::{ErrorMoments, bootstrap};

/// Networks with other starts, networks with resamples, trees with resamples: how much better is their mean?
#[derive(Debug)]
pub struct Bagging;

/// What may vary in [`Bagging`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct BaggingConfig {
    /// Ensembles of each kind, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Models of an ensemble, even and at least 4
    #[arg(long)]
    pub members: usize,
    /// Passes of a network over its training images
    #[arg(long)]
    pub epochs: usize,
    /// Images to train with
    #[arg(long)]
    pub train_images: usize,
    /// Images to test with
    #[arg(long)]
    pub test_images: usize,
}

impl Default for BaggingConfig {
    fn default() -> Self {
        Self { seeds: 4, members: 10, epochs: 40, train_images: 500, test_images: 5000 }
    }
}

impl ExperimentConfig for BaggingConfig {
    fn quick() -> Self {
        Self { seeds: 2, members: 4, epochs: 8, train_images: 100, test_images: 500 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        if self.members < 4 || !self.members.is_multiple_of(2) {
            let (rule, value) =
                ("even and at least 4, to predict one half by the other", self.members.to_string());
            return Err(lab::Error::Config { field: "members", rule, value });
        }
        at_least_one("epochs", self.epochs)?;
        at_least_one("train_images", self.train_images)?;
        at_least_one("test_images", self.test_images)?;
        Ok(self)
    }
}

/// What [`Bagging`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BaggingReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// Images to train with.
    pub train_images: usize,
    /// Images to test with.
    pub test_images: usize,
    /// Models of an ensemble.
    pub members: usize,
    /// Share of the training images that a resample holds, over resamples of networks.
    pub seen: Measured,
    /// Networks with other starts, networks with resamples and other starts, trees with resamples.
    pub kinds: Vec<Ensemble>,
    /// Percent of the test images that one tree reads wrong which has seen all training images.
    pub tree: f64,
    /// Test error of one network that has seen all images less that of the mean of networks with resamples, in points.
    pub bagged_networks_over_one: Measured,
    /// Test error of the mean of networks with resamples less that with other starts alone, in points.
    pub starts_over_resamples: Measured,
    /// Test error of one tree that has seen all images less that of the mean of trees with resamples, in points.
    pub bagged_trees_over_one: Measured,
    /// The kinds as a table.
    pub table: Table,
}

/// One kind of ensemble. Errors of votes are squared distances of the shares of the classes from the label, 1 and nine
/// zeros, mean over test images.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ensemble {
    /// What its members are, and what makes them differ.
    pub name: String,
    /// Percent of the test images that a member reads wrong, mean over members, over seeds.
    pub one: Measured,
    /// The same of the mean of all members' votes.
    pub together: Measured,
    /// The first less the second, in points, seed by seed.
    pub gain: Measured,
    /// $v$, over seeds.
    pub variance: Measured,
    /// $c$, over seeds.
    pub covariance: Measured,
    /// Squared error of the mean of the first so many members, from 1 on, over seeds.
    pub squared: Vec<Measured>,
    /// What the formula says, with $v$ and $c$ of all members, mean over seeds.
    pub formula: Vec<f64>,
    /// How far, in percent, the squared error of the mean of the second half of the members is from what the formula makes of
    /// $v$ and $c$ of the first half, over seeds.
    pub off: Measured,
    /// The same with $c = 0$.
    pub off_if_independent: Measured,
}

const HIDDEN: usize = 128;
const NAMES: [&str; 3] = ["networks, other starts", "networks, resamples", "trees, resamples"];

/// Votes of models: for each member the shares of the classes, image by image.
type Votes = Vec<Vec<f64>>;

impl Experiment for Bagging {
    type Config = BaggingConfig;
    type Report = BaggingReport;
    const ABOUT: About = About {
        name: "bagging",
        lecture: 6,
        paper: "Breiman (1996), Bagging predictors; Goodfellow, Bengio & Courville (2016), section 7.11",
        claim: "What the errors of five models have in common predicts the error of the mean of five others; resamples \
                help trees much, and networks less than other starts do",
        sources: &[
            include_str!("bagging.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../learning/tree.rs"),
            include_str!("../regularize/ensemble.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (train, test) = Digits::split(Data::Mnist, config.train_images, config.test_images)?;
        let seeds = lab.seeds(config.seeds);
        let mut ones: [Vec<One>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        let mut seen = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            let mut votes: [Votes; 3] = [Vec::new(), Vec::new(), Vec::new()];
            for member in 0..config.members {
                let (done, all) = (done * config.members + member, seeds.len() * config.members);
                lab.progress("members", done as u64, all as u64, None)?;
                let rows = bootstrap(train.len(), &mut seed.key("rows").fold(member as u64).rng());
                let resample = part(&train, &rows);
                seen.push(share_of_distinct(rows));
                votes[0].push(network(config, &train, &test, seed, member)?);
                votes[1].push(network(config, &resample, &test, seed, member)?);
                votes[2].push(tree(&resample, &test)?);
            }
            for (ones, votes) in ones.iter_mut().zip(&votes) {
                ones.push(judge(votes, &test.labels)?);
            }
        }
        let alone = percent_wrong(&tree(&train, &test)?, &test.labels);
        let kinds: Vec<Ensemble> =
            NAMES.into_iter().zip(&ones).map(|(name, ones)| ensemble(name, ones)).collect();
        let paired = |f: &dyn Fn(usize) -> f64| Measured::over(&(0..seeds.len()).map(f).collect::<Vec<_>>());
        let table = table(&kinds, alone, config.members);
        Ok(BaggingReport {
            is_full: config.train_images >= 500 && config.epochs >= 40 && config.members >= 10,
            train_images: train.len(),
            test_images: test.len(),
            members: config.members,
            seen: Measured::over(&seen),
            tree: alone,
            bagged_networks_over_one: paired(&|i| ones[0][i].one - ones[1][i].together),
            starts_over_resamples: paired(&|i| ones[1][i].together - ones[0][i].together),
            bagged_trees_over_one: paired(&|i| alone - ones[2][i].together),
            kinds,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let Some(worst) = report.kinds.iter().max_by(|a, b| a.off.mean.total_cmp(&b.off.mean)) else {
            return Vec::new();
        };
        let formula = Check::new(
            "formula-predicts-new-members",
            "squared error of the mean of one half of the models, its distance in percent from what the formula makes of v \
             and c of the other half; the kind of models with the largest",
            worst.off,
            // Pilot, seeds 100 to 102: 3.7 ± 4.0, of trees; of networks 1.0 ± 0.7 and 1.8 ± 0.9.
            Bound::AtMost(if report.is_full { 16.0 } else { 25.0 }),
            BoundSource::Pilot,
        )
        .baseline("the same with independent errors, c = 0", worst.off_if_independent.mean)
        .reason_if_failed("few models: v and c of one half are not those of the other");
        if !report.is_full {
            return vec![formula];
        }
        vec![
            formula,
            Check::new(
                "resamples-help-trees",
                "test error of one tree less that of the mean of trees with resamples, in points",
                report.bagged_trees_over_one,
                Bound::AtLeast(12.0), // pilot, seeds 100 to 102: 14.31 ± 0.66
                BoundSource::Pilot,
            )
            .baseline("one tree that has seen all images, %", report.tree)
            .reason_if_failed("leaves with many examples: such trees hardly depend on single ones"),
            Check::new(
                "starts-over-resamples",
                "test error of the mean of networks: with resamples less with other starts alone, in points",
                report.starts_over_resamples,
                Bound::AtLeast(0.25), // pilot, seeds 100 to 102: 0.56 ± 0.10
                BoundSource::Pilot,
            )
            .baseline("networks with resamples, %", report.kinds[1].together.mean)
            .reason_if_failed(
                "the difference is no larger than what it changes by from seed to seed, and the pilot had three",
            ),
            Check::new(
                "resamples-help-networks",
                "test error of one network less that of the mean of networks with resamples, in points",
                report.bagged_networks_over_one,
                Bound::AtLeast(0.0), // the paper counts networks among the methods that resamples change enough
                BoundSource::Text,
            )
            .baseline("one network that has seen all images, %", report.kinds[0].one.mean)
            .reason_if_failed(
                "on few images a member loses more by the third of them that its resample lacks than the mean gains",
            ),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let k = |i: usize| (i + 1) as f64;
        let measured = report.kinds.iter().flat_map(|kind| {
            kind.squared.iter().enumerate().map(move |(i, squared)| (k(i), squared.mean)).collect::<Vec<_>>()
        });
        let plot = Plot::new(Axis::linear("models in the mean"), Axis::linear("squared error of the shares"));
        let plot = report.kinds.iter().fold(plot, |plot, kind| {
            let points = kind.formula.iter().enumerate().map(|(i, &squared)| (k(i), squared));
            plot.line(Line::new(kind.name.clone(), points))
        });
        vec![Figure::new(
            "squared",
            format!(
                "The mean of trees gains much, that of networks little: it falls to what the errors have in common. Squared \
                 distance of the classes' shares from the label, mean over {} test images, against the number of models; \
                 points measured with the first so many of {} models, lines by the formula, mean of {} seeds.",
                report.test_images, report.members, report.kinds[0].one.n
            ),
            "Three falling curves that flatten, with points on them. That of trees with resamples starts far above the others \
             and falls to less than half. Those of networks are low: with other starts nearly level, with resamples a little \
             higher at first and as low at the end.",
            plot.scatter("measured", measured),
        )]
    }
}

/// One ensemble.
struct One {
    one: f64,
    together: f64,
    moments: ErrorMoments,
    squared: Vec<f64>,
    formula: Vec<f64>,
    off: f64,
    off_if_independent: f64,
}

/// Some of the images, one or more times each.
fn part(set: &Digits, rows: &[usize]) -> Digits {
    let x = rows.iter().flat_map(|&i| set.row(i)).copied().collect();
    Digits { x, labels: rows.iter().map(|&i| set.labels[i]).collect(), features: set.features }
}

fn share_of_distinct(mut rows: Vec<usize>) -> f64 {
    let n = rows.len() as f64;
    rows.sort_unstable();
    rows.dedup();
    rows.len() as f64 / n
}

/// Shares of the classes by a network; the same member has the same start whatever it is trained with.
fn network(
    config: &BaggingConfig,
    set: &Digits,
    test: &Digits,
    seed: Seed,
    member: usize,
) -> Result<Vec<f64>, lab::Error> {
    let key = |name| seed.key(name).fold(member as u64);
    let mut net = he_net(&[set.features, HIDDEN, CLASSES], ActivationKind::Relu, key("weights"))?;
    let plan =
        Plan { epochs: config.epochs, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };
    train_plainly(&mut net, set, plan, key("order"))?;
    let shares = kernels::softmax(net.forward(test.whole())).as_vec();
    Ok(shares.into_iter().map(f64::from).collect())
}

/// Shares of the classes by a tree that asks until every leaf has examples of one class.
fn tree(set: &Digits, test: &Digits) -> Result<Vec<f64>, lab::Error> {
    let targets = one_hot(&set.labels, CLASSES).map_err(lab::Error::unit)?;
    let fit = DecisionTree::new(usize::MAX).fit(&halved(set), &targets).map_err(lab::Error::unit)?;
    let shares = fit.predict(&halved(test)).map_err(lab::Error::unit)?;
    Ok(shares.transpose().as_slice().to_vec()) // stored by columns: image by image
}

/// Means over squares of 2 × 2 pixels, one image a row: a quarter of the questions that a tree has to try.
fn halved(set: &Digits) -> DMatrix<f64> {
    let (height, width) = set.size();
    let columns = width / 2;
    DMatrix::from_fn(set.len(), height / 2 * columns, |i, place| {
        let (row, column) = (2 * (place / columns), 2 * (place % columns));
        let pixel = |(down, right): (usize, usize)| set.row(i)[(row + down) * width + column + right];
        f64::from([(0, 0), (0, 1), (1, 0), (1, 1)].map(pixel).iter().sum::<f32>()) / 4.0
    })
}

fn percent_wrong(shares: &[f64], labels: &[usize]) -> f64 {
    let largest = |row: &[f64]| (0..CLASSES).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let read: Vec<usize> = shares.chunks(CLASSES).map(largest).collect();
    100.0 - percent_equal(&read, labels)
}

// ANCHOR: judge
/// What the votes of one ensemble are worth, together and alone.
fn judge(votes: &[Vec<f64>], labels: &[usize]) -> Result<One, lab::Error> {
    let label = |place: usize| f64::from(u8::from(labels[place / CLASSES] == place % CLASSES));
    let error = |votes: &Vec<f64>| -> Vec<f64> {
        votes.iter().enumerate().map(|(place, share)| share - label(place)).collect()
    };
    let errors: Vec<Vec<f64>> = votes.iter().map(error).collect();
    let (first, second) = errors.split_at(errors.len() / 2);
    let all = ErrorMoments::of(&errors).map_err(lab::Error::unit)?;
    let half = ErrorMoments::of(first).map_err(lab::Error::unit)?;
    let means = |models: &[Vec<f64>]| per_image(mean_square(&mean(models)));
    let formula = |k: usize| all.of_mean(k).map(per_image).map_err(lab::Error::unit);
    let measured = means(second);
    let off = |predicted: f64| 100.0 * (measured / per_image(predicted) - 1.0).abs();
    Ok(One {
        one: votes.iter().map(|votes| percent_wrong(votes, labels)).sum::<f64>() / votes.len() as f64,
        together: percent_wrong(&mean(votes), labels),
        moments: all,
        squared: (1..=errors.len()).map(|k| means(&errors[..k])).collect(),
        formula: (1..=errors.len()).map(formula).collect::<Result<_, _>>()?,
        off: off(half.of_mean(second.len()).map_err(lab::Error::unit)?),
        off_if_independent: off(half.variance / second.len() as f64),
    })
}
// ANCHOR_END: judge

/// From the mean over images and classes to the sum over classes.
fn per_image(square: f64) -> f64 {
    square * CLASSES as f64
}

fn mean(models: &[Vec<f64>]) -> Vec<f64> {
    let at = |i: usize| models.iter().map(|model| model[i]).sum::<f64>() / models.len() as f64;
    (0..models[0].len()).map(at).collect()
}

fn mean_square(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64
}

fn ensemble(name: &str, ones: &[One]) -> Ensemble {
    let over = |f: &dyn Fn(&One) -> f64| Measured::over(&ones.iter().map(f).collect::<Vec<_>>());
    let sizes = 0..ones[0].squared.len();
    Ensemble {
        name: name.to_owned(),
        one: over(&|one| one.one),
        together: over(&|one| one.together),
        gain: over(&|one| one.one - one.together),
        variance: over(&|one| per_image(one.moments.variance)),
        covariance: over(&|one| per_image(one.moments.covariance)),
        squared: sizes.clone().map(|k| over(&|one| one.squared[k])).collect(),
        formula: sizes.map(|k| over(&|one| one.formula[k]).mean).collect(),
        off: over(&|one| one.off),
        off_if_independent: over(&|one| one.off_if_independent),
    }
}

fn table(kinds: &[Ensemble], tree: f64, members: usize) -> Table {
    let together = format!("of the mean of {members}, %");
    let mut table =
        Table::new(["models", "test error of one, %", &together, "squared error of one, v", "in common, c"]);
    for kind in kinds {
        table.row([
            kind.name.clone(),
            kind.one.to_string(),
            kind.together.to_string(),
            kind.variance.to_string(),
            kind.covariance.to_string(),
        ]);
    }
    let (dash, tree) = (|| "–".to_owned(), Measured::exact(tree).to_string());
    table.row(["one tree, all images".to_owned(), tree, dash(), dash(), dash()]);
    table
}
