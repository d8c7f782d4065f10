//! Kernel ridge, a tree, principal components and k-means on digits, each beside the simplest thing that does its job.
use datasets::digits;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Seed,
    Table,
};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::at_least_two;
use super::pooled::paired;
use crate::learning::kernel::Kernel;
use crate::learning::validation::error_rate;
use crate::learning::{
    DecisionTree, Estimator, KMeans, KernelRidge, Neighbours, Pca, Predict, Ridge, one_hot, rows,
};

/// Learners without a network.
#[derive(Debug)]
pub struct ClassicalLearners;

/// What may vary in [`ClassicalLearners`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ClassicalLearnersConfig {
    /// Splits of the images, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images to learn from, 100 to 800
    #[arg(long)]
    pub images: usize,
}

impl Default for ClassicalLearnersConfig {
    fn default() -> Self {
        Self { seeds: 5, images: 500 }
    }
}

impl ExperimentConfig for ClassicalLearnersConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 150 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        if !(100..=800).contains(&self.images) {
            let value = self.images.to_string();
            return Err(lab::Error::Config { field: "images", rule: "100 to 800", value });
        }
        Ok(self)
    }
}

/// What [`ClassicalLearners`] measured: percent of the test images that are read wrong, by split.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassicalLearnersReport {
    /// Whether the bounds are for as many images.
    pub is_full: bool,
    /// In the order of the table.
    pub learners: Vec<Learner>,
    /// As text.
    pub table: Table,
}

/// One learner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Learner {
    /// In words.
    pub name: String,
    /// Percent of the test images that are read wrong, by split.
    pub errors: Vec<f64>,
    /// The settings that validation chose, by split.
    pub settings: Vec<f64>,
}

const VALIDATION: usize = 300;
const TEST: usize = 600;
/// Components and pixels.
const KEPT: usize = 10;
const LENGTHS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
const ALPHAS: [f64; 4] = [0.1, 1.0, 10.0, 100.0];
const DEPTHS: [f64; 5] = [1.0, 3.0, 6.0, 10.0, 30.0];

const NAMES: [&str; 9] = [
    "kernel ridge, Gaussian",
    "ridge on pixels",
    "decision tree",
    "one question",
    "1 neighbour, 64 pixels",
    "1 neighbour, 10 components",
    "1 neighbour, 10 pixels",
    "10 clusters, named by their majority",
    "most frequent digit",
];

struct Part {
    x: DMatrix<f64>,
    y: DMatrix<f64>,
    labels: Vec<usize>,
}

/// Error in percent and setting of each learner, in the order of the names.
fn judge(config: &ClassicalLearnersConfig, seed: Seed) -> Result<Vec<(f64, f64)>, crate::Error> {
    let images = digits();
    let order = seed.key("images").permutation(images.len());
    let part = |from: usize, count: usize| -> Result<Part, crate::Error> {
        let which = &order[from..from + count];
        let x = DMatrix::from_fn(count, 64, |i, j| f64::from(images.pixels(which[i])[j]) / 16.0);
        let labels: Vec<usize> = which.iter().map(|&i| images.label(i)).collect();
        Ok(Part { x, y: one_hot(&labels, 10)?, labels })
    };
    let n = config.images;
    let (train, validation, test) = (part(0, n)?, part(n, VALIDATION)?, part(n + VALIDATION, TEST)?);
    let error = |fitted: &dyn Predict, part: &Part| -> Result<f64, crate::Error> {
        Ok(100.0 * error_rate(&fitted.predict(&part.x)?, &part.y))
    };
    // The setting with the fewest errors on validation images, the first of several.
    let best = |settings: &[f64],
                fit: &dyn Fn(f64) -> Result<Box<dyn Predict>, crate::Error>|
     -> Result<(f64, f64), crate::Error> {
        let mut found = (f64::INFINITY, 0.0, 0.0);
        for &setting in settings {
            let fitted = fit(setting)?;
            let wrong = error(&*fitted, &validation)?;
            if wrong < found.0 {
                found = (wrong, error(&*fitted, &test)?, setting);
            }
        }
        Ok((found.1, found.2))
    };
    let kernel = |length| -> Result<Box<dyn Predict>, crate::Error> {
        let learner = KernelRidge { kernel: Kernel::Gaussian { length }, alpha: 1e-3 };
        Ok(Box::new(learner.fit(&train.x, &train.y)?))
    };
    let ridge = |alpha| -> Result<Box<dyn Predict>, crate::Error> {
        Ok(Box::new(Ridge::new(alpha).fit(&train.x, &train.y)?))
    };
    let tree = |depth: f64| -> Result<Box<dyn Predict>, crate::Error> {
        Ok(Box::new(DecisionTree::new(depth as usize).fit(&train.x, &train.y)?))
    };
    let nearest = |from: &DMatrix<f64>, to: &DMatrix<f64>| -> Result<(f64, f64), crate::Error> {
        let fitted = Neighbours { k: 1 }.fit(from, &train.y)?;
        Ok((100.0 * error_rate(&fitted.predict(to)?, &test.y), 1.0))
    };
    let pca = Pca::<KEPT>::fit(&train.x)?;
    let pixels = &seed.key("pixels").permutation(64)[..KEPT];
    let chosen = |x: &DMatrix<f64>| x.select_columns(pixels);
    Ok(vec![
        best(&LENGTHS, &kernel)?,
        best(&ALPHAS, &ridge)?,
        best(&DEPTHS, &tree)?,
        best(&DEPTHS[..1], &tree)?,
        nearest(&train.x, &test.x)?,
        nearest(&pca.transform(&train.x)?, &pca.transform(&test.x)?)?,
        nearest(&chosen(&train.x), &chosen(&test.x))?,
        (clusters(&train, &test, seed)?, 10.0),
        (error(&DecisionTree::new(0).fit(&train.x, &train.y)?, &test)?, 0.0),
    ])
}

/// Percent read wrong by ten clusters, made without labels and named by the majority of their images.
fn clusters(train: &Part, test: &Part, seed: Seed) -> Result<f64, crate::Error> {
    let fit = KMeans::new(10).fit(&train.x, &mut seed.key("clusters").rng())?;
    let mut votes = [[0_usize; 10]; 10];
    for (&cluster, &label) in fit.clusters.iter().zip(&train.labels) {
        votes[cluster][label] += 1;
    }
    let name = |cluster: usize| (0..10).max_by_key(|&label| votes[cluster][label]).unwrap_or(0);
    let found = fit.assign(&rows(&test.x, &(0..test.labels.len()).collect::<Vec<_>>()))?;
    let wrong = found.iter().zip(&test.labels).filter(|(cluster, label)| name(**cluster) != **label).count();
    Ok(100.0 * wrong as f64 / test.labels.len() as f64)
}

impl Experiment for ClassicalLearners {
    type Config = ClassicalLearnersConfig;
    type Report = ClassicalLearnersReport;
    const ABOUT: About = About {
        name: "classical-learners",
        lecture: 2,
        paper: "Goodfellow et al. (2016), Deep learning, sections 5.7 and 5.8; Boser, Guyon & Vapnik (1992); Breiman et al. (1984); \
                Arthur & Vassilvitskii (2007)",
        claim: "On 600 new digits a Gaussian kernel halves the errors of ridge on pixels, a tree errs less than one question and \
                more than one neighbour, 10 components serve a neighbour nearly as well as 64 pixels, and clusters without labels \
                read more than half",
        sources: &[
            include_str!("classical_learners.rs"),
            include_str!("../learning/kernel.rs"),
            include_str!("../learning/tree.rs"),
            include_str!("../learning/pca.rs"),
            include_str!("../learning/kmeans.rs"),
            include_str!("../learning/neighbours.rs"),
            include_str!("../learning/ridge.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("splits", done as u64, seeds.len() as u64, None)?;
            all.push(judge(config, seed).map_err(lab::Error::unit)?);
        }
        lab.progress("splits", seeds.len() as u64, seeds.len() as u64, None)?;
        let learner = |(index, name): (usize, &&str)| Learner {
            name: name.to_string(),
            errors: all.iter().map(|split| split[index].0).collect(),
            settings: all.iter().map(|split| split[index].1).collect(),
        };
        let learners: Vec<Learner> = NAMES.iter().enumerate().map(learner).collect();
        let mut table = Table::new(["learner", "test error, %"]);
        for learner in &learners {
            let Measured { mean, sd, .. } = Measured::over(&learner.errors);
            table.row([learner.name.clone(), format!("{mean:.1} ± {sd:.1}")]);
        }
        Ok(ClassicalLearnersReport { is_full: config.images >= 500, learners, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let errors = |index: usize| &report.learners[index].errors[..];
        let mean = |index: usize| Measured::over(errors(index)).mean;
        let less = |a: usize, b: usize| paired(errors(a), errors(b), |a, b| a - b);
        let share = |a: usize, b: usize| paired(errors(a), errors(b), |a, b| a / b);
        let mut checks = vec![
            Check::new(
                "clusters",
                "percent of new digits that ten clusters, made without labels, read right",
                paired(errors(7), errors(7), |a, _| 100.0 - a),
                Bound::AtLeast(50.0), // 74 ± 4
                BoundSource::Pilot,
            )
            .baseline("most frequent digit", 100.0 - mean(8))
            .reason_if_failed("a start in which two clusters share one digit"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "kernel",
                    "errors of kernel ridge as a multiple of those of ridge on pixels",
                    share(0, 1),
                    Bound::AtMost(0.5), // 0.22 ± 0.10
                    BoundSource::Pilot,
                )
                .baseline("ridge on pixels, %", mean(1))
                .reason_if_failed("digits that a plane in the space of pixels separates"),
                Check::new(
                    "tree-learns",
                    "errors of one question less those of a tree of a chosen depth, in points",
                    less(3, 2),
                    Bound::AtLeast(40.0), // 61 ± 5
                    BoundSource::Pilot,
                )
                .baseline("one question, %", mean(3))
                .reason_if_failed("too few images for a second question"),
                Check::new(
                    "tree-is-behind",
                    "errors of the tree less those of one neighbour, in points",
                    less(2, 4),
                    Bound::AtLeast(9.0), // 19 ± 3
                    BoundSource::Pilot,
                )
                .baseline("1 neighbour, %", mean(4))
                .reason_if_failed("features that mean something one by one, unlike pixels"),
                Check::new(
                    "components-are-enough",
                    "errors of one neighbour on 10 components less those on 64 pixels, in points",
                    less(5, 4),
                    Bound::AtMost(3.0), // 0.9 ± 0.4, one digit in six hundred is 0.17
                    BoundSource::Pilot,
                )
                .baseline("64 pixels, %", mean(4))
                .reason_if_failed("digits that differ in what varies little"),
                Check::new(
                    "components-before-pixels",
                    "errors of one neighbour on 10 pixels drawn at random less those on 10 components, in points",
                    less(6, 5),
                    Bound::AtLeast(18.0), // 36 ± 6
                    BoundSource::Pilot,
                )
                .baseline("10 pixels, %", mean(6))
                .reason_if_failed("a lucky draw of the pixels"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let shown = [0, 1, 2, 4, 5, 6, 7];
        let short = ["kernel", "ridge", "tree", "1-NN", "1-NN, 10 PC", "1-NN, 10 px", "clusters"];
        let heights = shown.map(|index: usize| {
            let error = Measured::over(&report.learners[index].errors);
            (error.mean, error.sd)
        });
        vec![Figure::new(
            "errors",
            format!(
                "Of those that see labels, who compares whole pictures reads best and who asks for single pixels reads badly. \
                 Percent of {TEST} new digits that are read wrong, mean and one standard deviation of {} splits; lengths, \
                 penalties and depths chosen on {VALIDATION} others.",
                report.learners[0].errors.len()
            ),
            "Seven bars with whiskers. Those of the kernel and of one neighbour are the lowest; neighbours on ten components \
             and ridge follow; tree, clusters and neighbours on ten pixels are many times as high.",
            Plot::new(Axis::categories("", short), Axis::linear("test error, %")).bars("", heights),
        )]
    }
}
