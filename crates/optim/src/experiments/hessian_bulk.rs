//! The Hessian of a trained network: a few large eigenvalues, their number beside that of the classes, and a heap at 0.
use datasets::digits;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::autodiff::hvp::{Sizes, second_order};
use crate::autodiff::spectrum::lanczos;

/// Networks that read three, five and ten digits.
#[derive(Debug)]
pub struct HessianBulk;

/// What may vary in [`HessianBulk`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct HessianBulkConfig {
    /// Starts for each number of classes, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Images of the loss, 50 to 1000
    #[arg(long)]
    pub images: usize,
    /// Steps of training
    #[arg(long)]
    pub steps: usize,
    /// Products with the Hessian for a spectrum, at least 30
    #[arg(long)]
    pub products: usize,
}

impl Default for HessianBulkConfig {
    fn default() -> Self {
        Self { seeds: 8, images: 500, steps: 40, products: 80 }
    }
}

impl ExperimentConfig for HessianBulkConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 60, steps: 20, products: 30 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("steps", self.steps)?;
        let refuse =
            |field, rule, value: usize| Err(lab::Error::Config { field, rule, value: value.to_string() });
        if !(50..=1000).contains(&self.images) {
            return refuse("images", "50 to 1000", self.images);
        }
        if self.products < 30 {
            return refuse("products", "at least 30", self.products);
        }
        Ok(self)
    }
}

/// What [`HessianBulk`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HessianBulkReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// By number of classes.
    pub spectra: Vec<Spectra>,
    /// The same as text.
    pub table: Table,
}

/// Networks with one number of classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spectra {
    /// Classes.
    pub classes: usize,
    /// Weights.
    pub weights: usize,
    /// Training loss, over starts.
    pub loss: Measured,
    /// Eigenvalues above the widest gap, as a ratio, among the first 20, by start.
    pub outliers: Vec<f64>,
    /// How many times the one above the gap is as large as the one below, over starts.
    pub gap: Measured,
    /// Estimated share of the eigenvalues that are smaller than a hundredth of the largest in size, over starts.
    pub bulk: Measured,
    /// Most negative eigenvalue over the largest, over starts.
    pub negative: Measured,
    /// The largest eigenvalues, largest first, by start.
    pub largest: Vec<Vec<f64>>,
    /// The same before training.
    pub largest_before: Vec<Vec<f64>>,
}

const CLASSES: [usize; 3] = [3, 5, 10];
const HIDDEN: usize = 20;
const RATE: f64 = 0.3;
const MOMENTUM: f64 = 0.9;
/// Eigenvalues that are kept.
const KEPT: usize = 20;
/// Random vectors for the density.
const VECTORS: u64 = 4;

struct Network {
    sizes: Sizes,
    x: DMatrix<f64>,
    labels: Vec<usize>,
}

impl Network {
    fn new(classes: usize, images: usize) -> Self {
        let digits = digits();
        let rows: Vec<usize> =
            (0..digits.len()).filter(|&i| digits.label(i) < classes).take(images).collect();
        let x = DMatrix::from_fn(rows.len(), 64, |i, j| f64::from(digits.pixels(rows[i])[j]) / 16.0);
        let labels = rows.iter().map(|&i| digits.label(i)).collect();
        Self { sizes: Sizes { inputs: 64, hidden: HIDDEN, outputs: classes }, x, labels }
    }

    /// Weights of deviation 1/√64 and 1/√20, biases 0.
    fn start(&self, seed: Seed) -> Vec<f64> {
        let mut rng = seed.key("weights").rng();
        let first = 64 * HIDDEN;
        let second = first + HIDDEN..first + HIDDEN + HIDDEN * self.sizes.outputs;
        let scale = |i: usize| match i {
            i if i < first => 1.0 / 8.0,
            i if second.contains(&i) => 1.0 / (HIDDEN as f64).sqrt(),
            _ => 0.0,
        };
        (0..self.sizes.parameters()).map(|i| scale(i) * rng.sample::<f64, _>(StandardNormal)).collect()
    }

    /// Descends with a heavy ball on all images; the loss at the end.
    fn train(&self, w: &mut [f64], steps: usize) -> Result<f64, crate::Error> {
        let mut velocity = vec![0.0; w.len()];
        for _ in 0..steps {
            let gradient = second_order(self.sizes, w, &velocity, &self.x, &self.labels)?.gradient;
            for ((w, v), g) in w.iter_mut().zip(&mut velocity).zip(gradient) {
                *v = MOMENTUM * *v - RATE * g;
                *w += *v;
            }
        }
        Ok(second_order(self.sizes, w, &velocity, &self.x, &self.labels)?.loss)
    }

    fn spectrum(
        &self,
        w: &[f64],
        products: usize,
        start: &[f64],
    ) -> Result<crate::autodiff::spectrum::Spectrum, crate::Error> {
        let product = |v: &[f64]| Ok(second_order(self.sizes, w, v, &self.x, &self.labels)?.hessian_vector);
        lanczos(product, start, products)
    }
}

/// One trained network.
struct Found {
    loss: f64,
    largest: Vec<f64>,
    largest_before: Vec<f64>,
    bulk: f64,
    negative: f64,
}

fn find(network: &Network, config: &HessianBulkConfig, seed: Seed) -> Result<Found, crate::Error> {
    let mut w = network.start(seed);
    let vector = |which: u64| {
        let mut rng = seed.key("vector").fold(which).rng();
        (0..w.len()).map(|_| rng.sample(StandardNormal)).collect::<Vec<f64>>()
    };
    let vectors: Vec<Vec<f64>> = (0..VECTORS).map(vector).collect();
    let top = |values: &[f64]| values.iter().rev().take(KEPT).copied().collect::<Vec<f64>>();
    let largest_before = top(&network.spectrum(&w, config.products, &vectors[0])?.values);
    let loss = network.train(&mut w, config.steps)?;
    let spectra = vectors.iter().map(|start| network.spectrum(&w, config.products, start));
    let spectra = spectra.collect::<Result<Vec<_>, _>>()?;
    let values = &spectra[0].values;
    let (least, most) = (values[0], values[values.len() - 1]);
    let small = |s: &crate::autodiff::spectrum::Spectrum| {
        s.values.iter().zip(&s.weights).filter(|(v, _)| v.abs() < 0.01 * most).map(|(_, w)| w).sum::<f64>()
    };
    let bulk = spectra.iter().map(small).sum::<f64>() / spectra.len() as f64;
    Ok(Found { loss, largest: top(values), largest_before, bulk, negative: least / most })
}

/// How many values stand above the widest gap, and how wide it is, as a ratio of neighbours.
fn widest_gap(largest: &[f64]) -> (usize, f64) {
    let ratios = largest.windows(2).take_while(|pair| pair[1] > 0.0).map(|pair| pair[0] / pair[1]);
    ratios.enumerate().fold((0, 0.0), |best, (i, ratio)| if ratio > best.1 { (i + 1, ratio) } else { best })
}

impl Experiment for HessianBulk {
    type Config = HessianBulkConfig;
    type Report = HessianBulkReport;
    const ABOUT: About = About {
        name: "hessian-bulk",
        lecture: 4,
        paper: "Sagun et al. (2018), Empirical analysis of the Hessian of over-parametrized neural networks; Lanczos (1950)",
        claim: "Nine tenths of the eigenvalues of a trained network's Hessian are smaller than a hundredth of the largest, and \
                with more classes more of them stand apart, yet fewer than the classes less one",
        sources: &[
            include_str!("hessian_bulk.rs"),
            include_str!("../autodiff/spectrum.rs"),
            include_str!("../autodiff/hvp.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let mut spectra = Vec::new();
        for (done, &classes) in CLASSES.iter().enumerate() {
            lab.progress("classes", done as u64, CLASSES.len() as u64, None)?;
            let network = Network::new(classes, config.images);
            let found = seeds.iter().map(|&seed| find(&network, config, seed)).collect::<Result<Vec<_>, _>>();
            let found = found.map_err(lab::Error::unit)?;
            let over = |of: &dyn Fn(&Found) -> f64| Measured::over(&found.iter().map(of).collect::<Vec<_>>());
            spectra.push(Spectra {
                classes,
                weights: network.sizes.parameters(),
                loss: over(&|f| f.loss),
                outliers: found.iter().map(|f| widest_gap(&f.largest).0 as f64).collect(),
                gap: over(&|f| widest_gap(&f.largest).1),
                bulk: over(&|f| f.bulk),
                negative: over(&|f| f.negative),
                largest: found.iter().map(|f| f.largest.clone()).collect(),
                largest_before: found.iter().map(|f| f.largest_before.clone()).collect(),
            });
        }
        lab.progress("classes", CLASSES.len() as u64, CLASSES.len() as u64, None)?;
        let mut table = Table::new([
            "classes",
            "loss",
            "eigenvalues above the widest gap",
            "its width",
            "smaller than 1 % of the largest, %",
            "most negative over largest",
        ]);
        for s in &spectra {
            let outliers = Measured::over(&s.outliers);
            table.row([
                s.classes.to_string(),
                format!("{:.3}", s.loss.mean),
                format!("{:.1} ± {:.1}", outliers.mean, outliers.sd),
                format!("{:.1}", s.gap.mean),
                format!("{:.1} ± {:.1}", 100.0 * s.bulk.mean, 100.0 * s.bulk.sd),
                format!("{:.3}", s.negative.mean),
            ]);
        }
        Ok(HessianBulkReport {
            is_full: config.images >= 500 && config.steps >= 40 && config.products >= 80,
            spectra,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let least = report.spectra.iter().map(|s| s.bulk.mean).fold(1.0, f64::min);
        let mut checks = vec![
            Check::new(
                "bulk",
                "share of the eigenvalues smaller than a hundredth of the largest in size, the least over the numbers of classes",
                Measured::exact(least),
                Bound::AtLeast(if report.is_full { 0.9 } else { 0.5 }), // 0.955 ± 0.011
                BoundSource::Pilot,
            )
            .reason_if_failed("a network with fewer weights than the images pin down"),
        ];
        if report.is_full {
            for s in &report.spectra {
                let classes = s.classes as f64;
                checks.push(
                    Check::new(
                        format!("outliers-{}", s.classes),
                        format!("eigenvalues above the widest gap with {} classes", s.classes),
                        Measured::over(&s.outliers),
                        Bound::Within(classes - 2.0, classes),
                        BoundSource::Text,
                    )
                    .baseline("before training", {
                        let before = s.largest_before.iter().map(|values| widest_gap(values).0 as f64);
                        Measured::over(&before.collect::<Vec<_>>()).mean
                    })
                    .reason_if_failed(
                        "in some starts the widest gap lies among the large ones, which fall more evenly with more classes",
                    ),
                );
            }
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let mut plot = Plot::new(
            Axis::linear("rank"),
            Axis::logarithmic("eigenvalue over the largest").range(1e-4, 1.5),
        );
        for s in &report.spectra {
            let n = s.largest.len() as f64;
            let at = |i: usize| {
                (s.largest.iter().map(|values| (values[i] / values[0]).max(1e-6).ln()).sum::<f64>() / n).exp()
            };
            let points = (0..KEPT.min(s.largest[0].len())).map(|i| (i as f64 + 1.0, at(i)));
            plot =
                plot.line(Line::new(format!("{} classes", s.classes), points.filter(|point| point.1 > 1e-4)));
        }
        vec![Figure::new(
            "eigenvalues",
            format!(
                "A few directions are steep, and their number grows with that of the classes. The twenty largest eigenvalues of the \
                 Hessian after training, over the largest, by Lanczos' method; geometric mean over {} starts.",
                report.spectra[0].loss.n
            ),
            "Three falling curves on a logarithmic axis over the rank from 1 to 20, for three, five and ten classes; with more \
             classes the curve stays high for longer.",
            plot,
        )]
    }
}
