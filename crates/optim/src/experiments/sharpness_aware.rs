//! Sharpness-aware minimisation against SGD with as many gradients: digits with right and with wrong labels.
use dfdx::prelude::{AsArray, Backward, Const, Cpu, DeviceBuildExt, Module, Tensor, TensorFromVec, Trace};
use kernels::cross_entropy_mean;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Plot, Seed,
    Table,
};
use layers::modules::Relu;
use layers::prelude::{BuildOnDevice, Linear};
use layers::{Along, Dual, Momentum, Sgd, SgdConfig, Step, StepError, hessian_vector_product, params};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits};
use super::pooled::{BATCH, Parts, paired};
use super::typed_runs::{measure, rows};
use super::{at_least_one, at_least_two};
use crate::autodiff::spectrum::lanczos;
use crate::second_order::{Sam, SamConfig};

/// SAM and SGD on the same images.
#[derive(Debug)]
pub struct SharpnessAware;

/// What may vary in [`SharpnessAware`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SharpnessAwareConfig {
    /// Starts, orders and wrong labels, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes of SGD; SAM, with two gradients in a step, makes half as many
    #[arg(long)]
    pub epochs: usize,
    /// Radii and rates to choose from, 1 to 3 of each
    #[arg(long)]
    pub settings: usize,
    /// Images to learn from
    #[arg(long)]
    pub images: usize,
}

impl Default for SharpnessAwareConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 80, settings: 3, images: 1000 }
    }
}

impl ExperimentConfig for SharpnessAwareConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 20, settings: 1, images: 300 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_two("epochs", self.epochs)?;
        at_least_one("images", self.images)?;
        if !(1..=3).contains(&self.settings) || self.images > 6000 {
            let (field, rule, value) = match self.images > 6000 {
                true => ("images", "at most 6000", self.images),
                false => ("settings", "1 to 3", self.settings),
            };
            return Err(lab::Error::Config { field, rule, value: value.to_string() });
        }
        Ok(self)
    }
}

/// What [`SharpnessAware`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SharpnessAwareReport {
    /// Whether the runs are as long as the bounds are for.
    pub is_full: bool,
    /// SGD, SAM on right labels; SGD, SAM on labels of which some are wrong.
    pub runs: Vec<Found>,
    /// Share of the labels that are wrong in the last two.
    pub wrong: f64,
    /// The same as text.
    pub table: Table,
}

/// One method on one set of labels, with the settings that read most validation images.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Found {
    /// In words.
    pub name: String,
    /// η.
    pub learning_rate: f64,
    /// ρ, 0 for SGD.
    pub radius: f64,
    /// Percent of the test images that are misread, by seed.
    pub errors: Vec<f64>,
    /// Largest eigenvalue of the Hessian of the training loss, by seed.
    pub curvature: Vec<f64>,
    /// How much the training loss rises at a distance of 0.2 uphill, by seed.
    pub rise: Vec<f64>,
}

/// Images to choose settings by.
const VALIDATION: usize = 1000;
/// Images to judge by.
const TEST: usize = 3000;
/// Share of the labels that another digit replaces.
const WRONG: f64 = 0.4;
const RATES: [f64; 3] = [0.1, 0.03, 0.3];
const RADII: [f64; 3] = [0.2, 0.05, 0.5];
/// Distance at which the rise of the loss is measured.
const PROBE: f64 = 0.2;
/// Products with the Hessian for its largest eigenvalue.
const PRODUCTS: usize = 20;

/// Images of 14 × 14.
const PIXELS: usize = 196;
type Net = (Linear<PIXELS, 100, Relu>, Linear<100, CLASSES>);
type Model = <Net as BuildOnDevice<Cpu, f32>>::Built;
type Pixels = Tensor<(usize, Const<PIXELS>), f32, Cpu>;

/// The images with some labels replaced by one of the nine others.
fn with_wrong_labels(set: &Digits, share: f64, seed: Seed) -> Digits {
    let mut rng = seed.key("labels").rng();
    let labels = set.labels.iter().map(|&label| match rng.gen_range(0.0..1.0) < share {
        true => (label + rng.gen_range(1..CLASSES)) % CLASSES,
        false => label,
    });
    Digits { labels: labels.collect(), ..set.clone() }
}

/// Trains with SGD or, for a radius above 0, with SAM; whether all gradients were finite.
fn fit(
    model: &mut Model,
    set: &Digits,
    rate: f64,
    radius: f64,
    epochs: usize,
    seed: Seed,
) -> Result<bool, lab::Error> {
    let config = SgdConfig { learning_rate: rate, momentum: Momentum::HeavyBall(0.9), weight_decay: 0.0 };
    let mut sgd = Sgd::try_new(&*model, config).map_err(lab::Error::unit)?;
    let mut sam = match radius > 0.0 {
        true => {
            let sgd = Sgd::try_new(&*model, config).map_err(lab::Error::unit)?;
            Some(Sam::try_new(sgd, SamConfig { radius }).map_err(super::refused)?)
        }
        false => None,
    };
    let order = seed.key("order");
    let epochs = if sam.is_some() { epochs / 2 } else { epochs };
    for epoch in 0..epochs as u64 {
        for which in order.fold(epoch).permutation(set.len()).chunks(BATCH) {
            let (x, labels) = rows::<PIXELS>(set, which);
            let gradients =
                |model: &Model| Ok(cross_entropy_mean(model.forward(x.leaky_trace()), &labels).backward());
            let report = match &mut sam {
                Some(sam) => sam.step(model, gradients),
                None => gradients(model).and_then(|mut gradients| sgd.step(model, &mut gradients)),
            };
            match report {
                Err(StepError::NotFinite { .. }) => return Ok(false),
                report => report.map_err(lab::Error::unit)?,
            };
        }
    }
    Ok(measure(model, set).0.is_finite())
}

/// Largest eigenvalue of the Hessian of the training loss.
fn curvature(model: &Model, set: &Digits, seed: Seed) -> Result<f64, crate::Error> {
    let (x, labels) = all(set);
    let mut rng = seed.key("probe").rng();
    let start: Vec<f64> = (0..params::count(model)).map(|_| rng.sample(StandardNormal)).collect();
    let product = |v: &[f64]| {
        let v: Vec<f32> = v.iter().map(|&v| v as f32).collect();
        let product = hessian_vector_product(model, &v, |model, direction| {
            model.along(direction, Dual::constant(x.leaky_trace())).cross_entropy_mean(&labels)
        })?;
        Ok(product.into_iter().map(f64::from).collect())
    };
    let values = lanczos(product, &start, PRODUCTS)?.values;
    Ok(values[values.len() - 1])
}

/// How much the training loss rises at a distance of [`PROBE`] along its gradient.
fn rise(model: &Model, set: &Digits) -> Result<f64, crate::Error> {
    let (x, labels) = all(set);
    let loss = cross_entropy_mean(model.forward(x.leaky_trace()), &labels);
    let here = f64::from(loss.array());
    let mut gradients = loss.backward();
    let gradient = params::flatten_gradients(model, &mut gradients).map_err(StepError::Device)?;
    let norm = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { (PROBE / norm) as f32 } else { 0.0 };
    let moved: Vec<f32> = params::flatten(model).iter().zip(&gradient).map(|(w, g)| w + scale * g).collect();
    let mut uphill = model.clone();
    params::unflatten(&mut uphill, &moved)?;
    Ok(f64::from(cross_entropy_mean(uphill.forward(x), &labels).array()) - here)
}

fn all(set: &Digits) -> (Pixels, Vec<usize>) {
    (Cpu::default().tensor_from_vec(set.x.clone(), (set.len(), Const)), set.labels.clone())
}

impl Experiment for SharpnessAware {
    type Config = SharpnessAwareConfig;
    type Report = SharpnessAwareReport;
    const ABOUT: About = About {
        name: "sharpness-aware",
        lecture: 8,
        paper: "Foret et al. (2021), Sharpness-aware minimization for efficiently improving generalization",
        claim: "With as many gradients as SGD, SAM misreads fewer digits; with 40 % wrong labels at least eight points fewer, where the \
                training loss has at most 0.6 times the largest curvature",
        sources: &[
            include_str!("sharpness_aware.rs"),
            include_str!("pooled.rs"),
            include_str!("typed_runs.rs"),
            include_str!("../second_order/model.rs"),
            include_str!("../autodiff/spectrum.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let parts = Parts::new(14, config.images, VALIDATION, TEST)?;
        let seeds = lab.seeds(config.seeds);
        let mut runs = Vec::new();
        for (done, (labels, is_sam)) in
            [("right", false), ("right", true), ("wrong", false), ("wrong", true)].into_iter().enumerate()
        {
            lab.progress("runs", done as u64, 4, None)?;
            let share = if labels == "wrong" { WRONG } else { 0.0 };
            let name = format!("{}, {labels} labels", if is_sam { "SAM" } else { "SGD" });
            let found = lab.once(&name, |_| best(&name, share, is_sam, config, &parts, &seeds))?;
            runs.push(found);
        }
        lab.progress("runs", 4, 4, None)?;
        let mut table = Table::new([
            "labels and method",
            "rate",
            "radius",
            "test error, %",
            "largest curvature",
            "rise of the loss uphill",
        ]);
        for found in &runs {
            let [error, curvature, rise] =
                [&found.errors, &found.curvature, &found.rise].map(|values| Measured::over(values));
            table.row([
                found.name.clone(),
                found.learning_rate.to_string(),
                if found.radius > 0.0 { found.radius.to_string() } else { "–".into() },
                format!("{:.2} ± {:.2}", error.mean, error.sd),
                format!("{:.2} ± {:.2}", curvature.mean, curvature.sd),
                format!("{:.3} ± {:.3}", rise.mean, rise.sd),
            ]);
        }
        Ok(SharpnessAwareReport {
            is_full: config.epochs >= 80 && config.settings == 3 && config.images >= 1000,
            wrong: WRONG,
            runs,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [sgd, sam, sgd_wrong, sam_wrong] = [0, 1, 2, 3].map(|index: usize| &report.runs[index]);
        let gain = |a: &Found, b: &Found| paired(&a.errors, &b.errors, |a, b| a - b);
        let ratio = |a: &[f64], b: &[f64]| paired(a, b, |a, b| a / b);
        let mut checks = vec![
            Check::new(
                "learns",
                "percent of the test digits that SAM misreads, right labels",
                Measured::over(&sam.errors),
                Bound::AtMost(if report.is_full { 11.0 } else { 75.0 }), // on seeds 100 to 104: 10.0 ± 0.3
                BoundSource::Pilot,
            )
            .baseline("guessing", 90.0)
            .reason_if_failed("a radius in which nothing can be learnt"),
        ];
        if report.is_full {
            checks.extend([
                Check::new(
                    "wrong-labels",
                    "percent misread by SGD less that by SAM, 40 % of the labels wrong, in points",
                    gain(sgd_wrong, sam_wrong),
                    Bound::AtLeast(8.0), // 17.4 ± 1.9
                    BoundSource::Pilot,
                )
                .baseline("SGD, % misread", Measured::over(&sgd_wrong.errors).mean)
                .reason_if_failed("too few passes to learn wrong labels by heart"),
                Check::new(
                    "flatter",
                    "largest curvature of the training loss where SAM ends, over that where SGD ends, wrong labels",
                    ratio(&sam_wrong.curvature, &sgd_wrong.curvature),
                    Bound::AtMost(0.6), // 0.35 ± 0.05
                    BoundSource::Pilot,
                )
                .baseline("SGD", 1.0)
                .reason_if_failed("training that is so far advanced that both losses are flat"),
                Check::new(
                    "fewer-errors",
                    "percent misread by SGD less that by SAM, right labels, in points",
                    gain(sgd, sam),
                    Bound::AtLeast(0.0),
                    BoundSource::Paper,
                )
                .baseline("SGD, % misread", Measured::over(&sgd.errors).mean)
                .reason_if_failed("digits that a network of this size reads as well as it can, and half as many steps"),
            ]);
        }
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let errors = |index: usize| {
            let error = Measured::over(&report.runs[index].errors);
            (error.mean, error.sd)
        };
        vec![Figure::new(
            "errors",
            format!(
                "A step towards flat regions pays most where there is something wrong to be learnt. Percent of {TEST} test digits \
                 misread after as many gradients, mean and one standard deviation of {} seeds; rate and radius chosen on \
                 {VALIDATION} validation digits.",
                report.runs[0].errors.len()
            ),
            "Two pairs of bars, right labels and 40 % wrong labels, SGD beside SAM. The bars on the right are higher, and the \
             one of SAM is lower than that of SGD.",
            Plot::new(
                Axis::categories("", ["right labels", "40 % wrong labels"]),
                Axis::linear("test error, %"),
            )
            .bars("SGD", [errors(0), errors(2)])
            .bars("SAM", [errors(1), errors(3)]),
        )]
    }
}

fn best(
    name: &str,
    share: f64,
    is_sam: bool,
    config: &SharpnessAwareConfig,
    parts: &Parts,
    seeds: &[Seed],
) -> Result<Found, lab::Error> {
    let radii: &[f64] = if is_sam { &RADII[..config.settings] } else { &[0.0] };
    let mut best: Option<(f64, [f64; 2], Vec<Model>)> = None;
    for &learning_rate in &RATES[..config.settings] {
        for &radius in radii {
            let (mut validation, mut models) = (0.0, Vec::new());
            for &seed in seeds {
                let set = with_wrong_labels(&parts.train, share, seed);
                let mut model = Cpu::seed_from_u64(seed.value()).build_module::<Net, f32>();
                if !fit(&mut model, &set, learning_rate, radius, config.epochs, seed)? {
                    break;
                }
                validation += measure(&model, &parts.validation).1;
                models.push(model);
            }
            if models.len() == seeds.len() && best.as_ref().is_none_or(|(most, ..)| validation > *most) {
                best = Some((validation, [learning_rate, radius], models));
            }
        }
    }
    let none = || {
        let (method, distance) = ("SGD", f64::INFINITY);
        lab::Error::unit(crate::Error::Diverged { method, step: 0, distance, learning_rate: RATES[0] })
    };
    let (_, [learning_rate, radius], models) = best.ok_or_else(none)?;
    let mut found = Found {
        name: name.to_string(),
        learning_rate,
        radius,
        errors: models.iter().map(|model| 100.0 - measure(model, &parts.test).1).collect(),
        curvature: Vec::new(),
        rise: Vec::new(),
    };
    for (model, &seed) in models.iter().zip(seeds) {
        let set = with_wrong_labels(&parts.train, share, seed);
        found.curvature.push(curvature(model, &set, seed).map_err(lab::Error::unit)?);
        found.rise.push(rise(model, &set).map_err(lab::Error::unit)?);
    }
    Ok(found)
}
