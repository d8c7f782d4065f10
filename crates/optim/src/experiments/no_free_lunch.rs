//! No free lunch: over all labellings every learner is wrong on half of what it has not seen.
use lab::{About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured};
use lab::{Plot, Table};
use serde::{Deserialize, Serialize};

use super::refused;
use crate::learning::no_free_lunch::{
    Learner, MAX_POINTS, anti_majority, enumerate, majority, memoriser, nearest_neighbour, perceptron,
};

/// Five learners on every labelling of a few points.
#[derive(Debug)]
pub struct NoFreeLunch;

/// What may vary in [`NoFreeLunch`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct NoFreeLunchConfig {
    /// Points, at least 3; every other one is shown
    #[arg(long)]
    pub points: usize,
}

impl Default for NoFreeLunchConfig {
    fn default() -> Self {
        Self { points: 6 }
    }
}

impl ExperimentConfig for NoFreeLunchConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        if !(3..=MAX_POINTS.min(12)).contains(&self.points) {
            let value = self.points.to_string();
            return Err(lab::Error::Config { field: "points", rule: "between 3 and 12", value });
        }
        Ok(self)
    }
}

/// What [`NoFreeLunch`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NoFreeLunchReport {
    /// Points, and how many of them are shown.
    pub points: usize,
    /// See `points`.
    pub shown: usize,
    /// Labellings.
    pub labellings: usize,
    /// Labellings that change from one class to the other at most once along the line.
    pub simple: usize,
    /// Each learner.
    pub learners: Vec<Outcome>,
    /// As text.
    pub table: Table,
}

/// Errors of one learner on the points that it was not shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Mean over all labellings.
    pub all: f64,
    /// Mean over the simple labellings.
    pub simple: f64,
    /// Labellings on which it gets everything right.
    pub perfect: usize,
    /// Labellings on which it gets everything wrong.
    pub hopeless: usize,
}

fn is_simple(labels: usize, n: usize) -> bool {
    (1..n).filter(|i| (labels >> i ^ labels >> (i - 1)) & 1 == 1).count() <= 1
}

impl Experiment for NoFreeLunch {
    type Config = NoFreeLunchConfig;
    type Report = NoFreeLunchReport;
    const ABOUT: About = About {
        name: "no-free-lunch",
        lecture: 2,
        paper: "Wolpert (1996), The lack of a priori distinctions between learning algorithms",
        claim: "Averaged over all labellings of six points, five learners are each wrong on exactly half of the points \
                that they were not shown; over the labellings with one change at most, one of them is wrong on a sixth",
        sources: &[include_str!("no_free_lunch.rs"), include_str!("../learning/no_free_lunch.rs")],
    };

    fn run(config: &Self::Config, _: &mut Lab) -> Result<Self::Report, lab::Error> {
        let train: Vec<usize> = (0..config.points).step_by(2).collect();
        let learners: [(&str, Learner<'_>); 5] = [
            ("majority", &majority),
            ("anti-majority", &anti_majority),
            ("nearest neighbour", &nearest_neighbour),
            ("memoriser", &memoriser),
            ("perceptron", &perceptron),
        ];
        let simple: Vec<usize> = (0..1 << config.points).filter(|&l| is_simple(l, config.points)).collect();
        let outcome = |(name, learner): (&str, Learner<'_>)| {
            let errors = enumerate(learner, config.points, &train).map_err(refused)?;
            Ok(Outcome {
                name: name.to_string(),
                all: errors.iter().sum::<f64>() / errors.len() as f64,
                simple: simple.iter().map(|&l| errors[l]).sum::<f64>() / simple.len() as f64,
                perfect: errors.iter().filter(|e| **e == 0.0).count(),
                hopeless: errors.iter().filter(|e| **e == 1.0).count(),
            })
        };
        let learners = learners.into_iter().map(outcome).collect::<Result<Vec<_>, lab::Error>>()?;
        let mut table =
            Table::new(["learner", "all labellings", "simple ones", "all right on", "all wrong on"]);
        for learner in &learners {
            let Outcome { name, all, simple, perfect, hopeless } = learner;
            let (all, simple) = (format!("{all:.3}"), format!("{simple:.3}"));
            table.row([name.clone(), all, simple, perfect.to_string(), hopeless.to_string()]);
        }
        Ok(NoFreeLunchReport {
            points: config.points,
            shown: train.len(),
            labellings: 1 << config.points,
            simple: simple.len(),
            learners,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let off = report.learners.iter().map(|learner| (learner.all - 0.5).abs()).fold(0.0, f64::max);
        let best = report.learners.iter().map(|learner| learner.simple).fold(1.0, f64::min);
        vec![
            Check::new(
                "half",
                "largest distance from ½ of a learner's error over all labellings",
                Measured::exact(off),
                Bound::AtMost(1e-12),
                BoundSource::Paper,
            )
            .reason_if_failed("a learner that does not repeat its answers, or that sees hidden labels"),
            Check::new(
                "structure",
                "smallest error of a learner over labellings with at most one change",
                Measured::exact(best),
                Bound::AtMost(0.2),
                BoundSource::Paper,
            )
            .baseline("over all labellings", 0.5)
            .reason_if_failed("other points are shown"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let names = report.learners.iter().map(|learner| learner.name.clone());
        let heights = |value: fn(&Outcome) -> f64| report.learners.iter().map(move |l| (value(l), 0.0));
        vec![Figure::new(
            "errors",
            format!(
                "All learners are equal until you say which labellings occur. Share of the {} unseen of {} points that \
                 each learner gets wrong, averaged over all {} labellings and over the {} that change at most once.",
                report.points - report.shown,
                report.points,
                report.labellings,
                report.simple
            ),
            "Pairs of bars for five learners. The first bar of every pair has the height one half. The second bars differ: \
             nearest neighbour and perceptron are lowest, anti-majority highest.",
            Plot::new(
                Axis::categories("", names),
                Axis::linear("share of unseen points wrong").range(0.0, 1.0),
            )
            .bars("all labellings", heights(|l| l.all))
            .bars("at most one change", heights(|l| l.simple))
            .horizontal("½", 0.5),
        )]
    }
}
