//! Real digits, random labels, random inputs: what the same network does with each.

use kernels::ActivationKind;
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use layers::params;
use layers::prelude::*;
use serde::{Deserialize, Serialize};

use super::digit_nets::{CLASSES, Digits, Net, Plan, accuracy, cross_entropy, he_net, train};
use super::{Data, at_least_one};
use crate::chain::library_default;
use crate::regularize::memorization::{
    Lass, Run, critical_sample_ratio, direct_sensitivity, gaussian_inputs, gini, randomize_labels,
    unrolled_sensitivity,
};

/// A network memorises real data, random labels and random inputs.
#[derive(Debug)]
pub struct Memorisation;

/// What may vary in [`Memorisation`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct MemorisationConfig {
    /// Runs of each kind, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Training images
    #[arg(long)]
    pub images: usize,
    /// Hidden units of both layers
    #[arg(long)]
    pub hidden: usize,
    /// Epochs over which sensitivities are averaged
    #[arg(long)]
    pub epochs: usize,
    /// Most epochs until everything is fitted
    #[arg(long)]
    pub max_epochs: usize,
    /// Updates of the runs that are differentiated as a whole
    #[arg(long)]
    pub unrolled_steps: usize,
}

impl Default for MemorisationConfig {
    fn default() -> Self {
        Self { seeds: 3, images: 1000, hidden: 256, epochs: 20, max_epochs: 120, unrolled_steps: 300 }
    }
}

impl ExperimentConfig for MemorisationConfig {
    fn quick() -> Self {
        Self { seeds: 2, images: 200, hidden: 48, epochs: 10, max_epochs: 60, unrolled_steps: 24 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        if self.seeds < 2 {
            let value = self.seeds.to_string();
            return Err(lab::Error::Config { field: "seeds", rule: "at least 2, to have a spread", value });
        }
        at_least_one("hidden", self.hidden)?;
        at_least_one("epochs", self.epochs)?;
        for (field, value, least) in [
            ("images", self.images, 100),
            ("max_epochs", self.max_epochs, self.epochs),
            ("unrolled_steps", self.unrolled_steps, 12),
        ] {
            if value < least {
                let value = value.to_string();
                return Err(lab::Error::Config { field, rule: "large enough (see the defaults)", value });
            }
        }
        Ok(self)
    }
}

/// What [`Memorisation`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemorisationReport {
    /// Training images.
    pub images: usize,
    /// Runs of each kind.
    pub seeds: usize,
    /// Hidden units of both layers.
    pub hidden: usize,
    /// Whether runs were long enough for the bounds of the unrolled sensitivity.
    pub is_full: bool,
    /// Real data, random labels, random inputs.
    pub kinds: Vec<Kind>,
    /// Epochs to fit random labels over epochs to fit real data, seed by seed.
    pub slower: Measured,
    /// Gini coefficient of the unrolled sensitivity: the real data.
    pub unrolled_real: Measured,
    /// The larger one of the two kinds of noise.
    pub unrolled_noise: Measured,
    /// Box and steps of the critical samples.
    pub radius: f64,
    /// Passes after which critical samples were searched.
    pub searched_after: Vec<usize>,
    /// All of it as a table.
    pub table: Table,
}

/// One kind of data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kind {
    /// What it is.
    pub name: String,
    /// Epochs until every training image is read as labelled, over seeds.
    pub epochs_to_fit: Measured,
    /// Accuracy on the training images after the first epoch, percent, over seeds.
    pub first_epoch: Measured,
    /// Gini coefficient of the direct sensitivity, averaged over the epochs, over seeds.
    pub gini: Measured,
    /// Share of critical samples, over seeds.
    pub critical: Measured,
    /// The same for a network that started from a library's smaller weights.
    pub critical_small: Measured,
    /// Gini coefficient of the sensitivity through the updates, over seeds.
    pub unrolled: Measured,
    /// Gini coefficient of the direct sensitivity after each pass alone, over seeds.
    pub gini_by_pass: Vec<Measured>,
    /// Share of critical samples after each of the passes that the report lists, over seeds.
    pub critical_by_pass: Vec<Measured>,
    /// Sensitivities of the images of the first seed over their mean, in ascending order, at most 100 of them.
    pub sorted: Vec<f64>,
    /// Training accuracy by epoch of the first seed, percent.
    pub accuracy: Vec<f64>,
}

/// Half the side of the box of critical samples, on the scale of pixels in \[0, 1\].
const RADIUS: f64 = 0.02;
/// Samples whose neighbourhood is searched.
const SEARCHED: usize = 300;
/// Images and side of the images for unrolled runs: 28 × 28 pixels, averaged two by two.
const SMALL: usize = 14 * 14;

impl Experiment for Memorisation {
    type Config = MemorisationConfig;
    type Report = MemorisationReport;
    const ABOUT: About = About {
        name: "memorisation",
        lecture: 6,
        paper: "Arpit et al. (2017), A closer look at memorization in deep networks",
        claim: "On real digits few examples carry most of the loss's sensitivity and few lie near a boundary; on noise \
                the sensitivity is spread over more of them and more lie near one, and it takes longer to fit random labels",
        sources: &[
            include_str!("memorisation.rs"),
            include_str!("digit_nets.rs"),
            include_str!("../regularize/memorization.rs"),
            include_str!("../chain.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (real, _) = Digits::split(Data::Mnist, config.images, 1000)?;
        let seeds = lab.seeds(config.seeds);
        let names = ["real data", "random labels", "random inputs"];
        let mut runs: Vec<Vec<One>> = names.iter().map(|_| Vec::new()).collect();
        for (done, &seed) in seeds.iter().enumerate() {
            for (which, runs) in runs.iter_mut().enumerate() {
                lab.progress("runs", (3 * done + which) as u64, 3 * seeds.len() as u64, None)?;
                runs.push(one(config, &kind(&real, which, seed.key("noise")), seed)?);
            }
        }
        let kinds: Vec<Kind> = names
            .iter()
            .zip(&runs)
            .map(|(name, runs)| {
                let over =
                    |value: fn(&One) -> f64| Measured::over(&runs.iter().map(value).collect::<Vec<_>>());
                Kind {
                    name: (*name).to_owned(),
                    epochs_to_fit: over(|run| run.epochs_to_fit as f64),
                    first_epoch: over(|run| run.accuracy[0]),
                    gini: over(|run| run.gini),
                    critical: over(|run| run.critical),
                    critical_small: over(|run| run.critical_small),
                    unrolled: over(|run| run.unrolled),
                    gini_by_pass: by_pass(runs, |run| &run.gini_by_pass),
                    critical_by_pass: by_pass(runs, |run| &run.critical_by_pass),
                    sorted: runs[0].sorted.clone(),
                    accuracy: runs[0].accuracy.clone(),
                }
            })
            .collect();
        let slower: Vec<f64> = runs[0]
            .iter()
            .zip(&runs[1])
            .map(|(real, random)| random.epochs_to_fit as f64 / real.epochs_to_fit as f64)
            .collect();
        let mut table = Table::new([
            "data",
            "epochs to fit",
            "accuracy after 1 epoch, %",
            "Gini, direct",
            "Gini, through the updates",
            "critical samples",
            "from smaller weights",
        ]);
        for kind in &kinds {
            table.row([
                kind.name.clone(),
                kind.epochs_to_fit.to_string(),
                kind.first_epoch.to_string(),
                kind.gini.to_string(),
                kind.unrolled.to_string(),
                kind.critical.to_string(),
                kind.critical_small.to_string(),
            ]);
        }
        let noisier = if kinds[1].unrolled.mean > kinds[2].unrolled.mean { 1 } else { 2 };
        Ok(MemorisationReport {
            images: real.len(),
            seeds: seeds.len(),
            hidden: config.hidden,
            is_full: config.unrolled_steps >= 300,
            slower: Measured::over(&slower),
            unrolled_real: kinds[0].unrolled,
            unrolled_noise: kinds[noisier].unrolled,
            radius: RADIUS,
            searched_after: searched_after(config.epochs),
            kinds,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [real, labels, inputs] = &report.kinds[..] else { return Vec::new() };
        let noisier = if labels.gini.mean > inputs.gini.mean { labels } else { inputs };
        let calmer = if labels.critical.mean < inputs.critical.mean { labels } else { inputs };
        let fewer = labels.critical_small.mean < inputs.critical_small.mean;
        let calmer_small = if fewer { labels } else { inputs };
        if !report.is_full {
            let gap = Measured { mean: real.gini.mean - noisier.gini.mean, ..real.gini };
            return vec![
                Check::new(
                    "few-real-images-matter",
                    "Gini coefficient of the direct loss sensitivity: real data less noise, short runs",
                    gap,
                    Bound::AtLeast(0.1),
                    BoundSource::Pilot,
                )
                .baseline("noise", noisier.gini.mean),
                Check::new(
                    "random-labels-take-longer",
                    "epochs until every image is fitted: random labels over real data, few images",
                    report.slower,
                    Bound::AtLeast(1.3),
                    BoundSource::Pilot,
                ),
            ];
        }
        vec![
            // Pilot in PyTorch, 784-512-512-10: 0.598 ± 0.021, 0.196 ± 0.009, 0.195 ± 0.002.
            Check::new(
                "few-real-images-matter",
                "Gini coefficient of the direct loss sensitivity on real data",
                real.gini,
                Bound::AtLeast(0.45),
                BoundSource::Pilot,
            )
            .baseline("random labels", labels.gini.mean)
            .reason_if_failed("before anything is learnt all images matter alike: too few epochs"),
            Check::new(
                "all-noise-matters",
                "the same on the kind of noise where it is larger",
                noisier.gini,
                Bound::AtMost(0.28),
                BoundSource::Pilot,
            )
            .baseline("real data", real.gini.mean)
            .reason_if_failed("late in training only the images that are not yet fitted matter"),
            Check::new(
                "random-labels-take-longer",
                "epochs until every image is fitted: random labels over real data",
                report.slower,
                Bound::AtLeast(2.5),
                BoundSource::Pilot,
            )
            .baseline("random inputs over real data", inputs.epochs_to_fit.mean / real.epochs_to_fit.mean)
            .reason_if_failed("a learning rate so large that even real data are not fitted"),
            // Pilot in PyTorch, 784-256-256-10: 0.067 ± 0.021, 0.368 ± 0.039, 0.617 ± 0.026.
            Check::new(
                "real-images-are-far-from-boundaries",
                "share of critical samples of real data",
                real.critical,
                Bound::AtMost(0.16),
                BoundSource::Pilot,
            )
            .baseline("the kind of noise with fewer", calmer.critical.mean)
            .reason_if_failed("a box that is too large makes every sample critical"),
            Check::new(
                "noise-is-near-boundaries",
                "share of critical samples of the kind of noise with fewer",
                calmer.critical,
                Bound::AtLeast(0.16),
                BoundSource::Pilot,
            )
            .baseline("real data", real.critical.mean)
            .reason_if_failed("He's start, where the pilot had a library's smaller weights"),
            Check::new(
                "noise-is-near-boundaries-from-smaller-weights",
                "the same from weights of a sixth of the variance",
                calmer_small.critical_small,
                Bound::AtLeast(0.16),
                BoundSource::Pilot,
            )
            .baseline("real data", real.critical_small.mean)
            .reason_if_failed("a box that is too small makes none critical"),
            // Pilot in PyTorch, 10 seeds: 0.363 ± 0.025, 0.156 ± 0.012, 0.171 ± 0.022. Short runs separate badly.
            Check::new(
                "few-real-images-matter-through-the-updates",
                "Gini coefficient of the loss sensitivity through the updates, real data",
                report.unrolled_real,
                Bound::AtLeast(0.28),
                BoundSource::Pilot,
            )
            .baseline("the larger of the two kinds of noise", report.unrolled_noise.mean)
            .reason_if_failed("full batches or fewer than 100 updates separate badly"),
            Check::new(
                "all-noise-matters-through-the-updates",
                "the same, the larger of the two kinds of noise",
                report.unrolled_noise,
                Bound::AtMost(0.25),
                BoundSource::Pilot,
            )
            .baseline("real data", report.unrolled_real.mean)
            .reason_if_failed("full batches or fewer than 100 updates separate badly"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![fit_figure(report), passes_figure(report), sensitivity_figure(report)]
    }
}

/// Training data of one kind.
fn kind(real: &Digits, which: usize, key: Key) -> Digits {
    let mut set = real.clone();
    match which {
        1 => set.labels = randomize_labels(&real.labels, CLASSES, 1.0, &mut key.rng()),
        2 => set.x = gaussian_inputs(&real.x, &mut key.rng()),
        _ => {}
    }
    set
}

/// What one run gives.
struct One {
    epochs_to_fit: usize,
    accuracy: Vec<f64>,
    gini: f64,
    critical: f64,
    critical_small: f64,
    unrolled: f64,
    gini_by_pass: Vec<f64>,
    critical_by_pass: Vec<f64>,
    sorted: Vec<f64>,
}

/// The search is dear: passes after which it is made, powers of two and the last.
fn searched_after(epochs: usize) -> Vec<usize> {
    (0..).map(|k| 1 << k).take_while(|&pass| pass < epochs).chain([epochs]).collect()
}

/// What was measured after each pass, over the runs.
fn by_pass(runs: &[One], values: fn(&One) -> &Vec<f64>) -> Vec<Measured> {
    let passes = runs.first().map_or(0, |run| values(run).len());
    let at = |pass: usize| runs.iter().map(|run| values(run)[pass]).collect::<Vec<_>>();
    (0..passes).map(|pass| Measured::over(&at(pass))).collect()
}

fn one(config: &MemorisationConfig, set: &Digits, seed: lab::Seed) -> Result<One, lab::Error> {
    let plan =
        Plan { epochs: config.max_epochs, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };
    let widths = [set.features, config.hidden, config.hidden, CLASSES];
    let mut net = he_net(&widths, ActivationKind::Relu, seed.key("weights"))?;
    let mut sgd = plan.optimizer(&net)?;
    let (mut accuracies, mut sum, mut fitted) = (Vec::new(), vec![0.0; set.len()], None);
    let (mut gini_by_pass, mut critical_by_pass) = (Vec::new(), Vec::new());
    let searched = searched_after(config.epochs);
    let step = |net: &mut Net, draw: super::digit_nets::Draw| cross_entropy(net, set, &draw.rows);
    train(&mut net, &mut sgd, set.len(), plan, seed.key("order"), step, |epoch, net, _| {
        let share = accuracy(net, set)?;
        accuracies.push(share);
        if share >= 100.0 && fitted.is_none() {
            fitted = Some(epoch);
        }
        if epoch <= config.epochs {
            let direct = direct_sensitivity(net, &set.whole(), &set.labels).map_err(lab::Error::unit)?;
            gini_by_pass.push(gini(&direct).map_err(lab::Error::unit)?);
            if searched.contains(&epoch) {
                critical_by_pass.push(near_boundaries(net, set, seed)?);
            }
            sum.iter_mut().zip(direct).for_each(|(sum, g)| *sum += g);
        }
        Ok(epoch < config.epochs || fitted.is_none())
    })?;
    let mean = sum.iter().sum::<f64>() / sum.len() as f64;
    let mut sorted: Vec<f64> = sum.iter().map(|g| g / mean).collect();
    sorted.sort_by(f64::total_cmp);
    let every = sorted.len().div_ceil(100);
    Ok(One {
        epochs_to_fit: fitted.unwrap_or(config.max_epochs),
        accuracy: accuracies,
        gini: gini(&sum).map_err(lab::Error::unit)?,
        critical: near_boundaries(&net, set, seed)?,
        critical_small: near_boundaries(&from_small_weights(config, set, seed)?, set, seed)?,
        unrolled: unrolled(config, set, seed)?,
        gini_by_pass,
        critical_by_pass,
        sorted: sorted.into_iter().step_by(every).collect(),
    })
}

/// The same network from weights of a sixth of He's variance, trained as long.
fn from_small_weights(config: &MemorisationConfig, set: &Digits, seed: lab::Seed) -> Result<Net, lab::Error> {
    let plan =
        Plan { epochs: config.max_epochs, batch: 50, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0 };
    let widths = [set.features, config.hidden, config.hidden, CLASSES];
    let mut net =
        Net::new(&Cpu::default(), &widths, ActivationKind::Relu, library_default, seed.key("weights"))
            .map_err(lab::Error::unit)?;
    let mut sgd = plan.optimizer(&net)?;
    let step = |net: &mut Net, draw: super::digit_nets::Draw| cross_entropy(net, set, &draw.rows);
    train(&mut net, &mut sgd, set.len(), plan, seed.key("order"), step, |epoch, net, _| {
        Ok(epoch < config.epochs || accuracy(net, set)? < 100.0)
    })?;
    Ok(net)
}

/// Share of critical samples among the first images.
fn near_boundaries(net: &Net, set: &Digits, seed: lab::Seed) -> Result<f64, lab::Error> {
    let searched = SEARCHED.min(set.len());
    let (x, _) = set.batch(&(0..searched).collect::<Vec<_>>());
    let lass = Lass { radius: RADIUS, alpha: RADIUS / 5.0, beta: RADIUS / 10.0, iterations: 30 };
    critical_sample_ratio(net, &x, lass, seed.key("search")).map_err(lab::Error::unit)
}

/// Gini coefficient of the sensitivity through all updates of a small network on small images.
fn unrolled(config: &MemorisationConfig, set: &Digits, seed: lab::Seed) -> Result<f64, lab::Error> {
    type Small = (Linear<SMALL, 16, Relu>, Linear<16, 16, Relu>, Linear<16, CLASSES>);
    let images = set.len().min(500);
    let x: Vec<f64> = (0..images).flat_map(|i| halved(set.row(i))).collect();
    let mut net = Cpu::default().build_module::<Small, f64>();
    let deviation = |p: &params::Parameter| match p.shape[..] {
        [_, inputs] => (2.0 / inputs as f64).sqrt(),
        _ => 0.0,
    };
    layers::init::normal(&mut net, deviation, seed.key("small weights")).map_err(lab::Error::unit)?;
    let order = seed.key("small order");
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for epoch in 0.. {
        if batches.len() >= config.unrolled_steps {
            break;
        }
        batches.extend(order.fold(epoch).permutation(images).chunks(50).map(<[usize]>::to_vec));
    }
    batches.truncate(config.unrolled_steps);
    let run = Run::<SMALL> { x: &x, labels: &set.labels[..images], batches: &batches, learning_rate: 0.2 };
    let at: Vec<usize> = (1..=12).map(|k| k * config.unrolled_steps / 12).collect();
    let sensitivity = unrolled_sensitivity(&net, run, &at).map_err(lab::Error::unit)?;
    gini(&sensitivity).map_err(lab::Error::unit)
}

/// 28 × 28 pixels as 14 × 14 means.
fn halved(image: &[f32]) -> Vec<f64> {
    let at = |y: usize, x: usize| f64::from(image[28 * y + x]);
    let mean = |y: usize, x: usize| (at(y, x) + at(y + 1, x) + at(y, x + 1) + at(y + 1, x + 1)) / 4.0;
    (0..14).flat_map(|y| (0..14).map(move |x| (2 * y, 2 * x))).map(|(y, x)| mean(y, x)).collect()
}

fn fit_figure(report: &MemorisationReport) -> Figure {
    let mut plot = Plot::new(Axis::linear("epoch"), Axis::linear("training accuracy, %").range(0.0, 100.0));
    for kind in &report.kinds {
        let points = kind.accuracy.iter().enumerate().map(|(i, &value)| ((i + 1) as f64, value));
        plot = plot.line(Line::new(kind.name.clone(), points));
    }
    Figure::new(
        "fit",
        format!(
            "The network fits everything, but random labels last. Percent of the {} training images read as labelled, \
             by epoch, first of {} seeds; two hidden layers of {} units.",
            report.images, report.seeds, report.hidden
        ),
        "Three curves rise to 100 per cent. The one for real data starts highest and that for random labels lowest; random \
         inputs arrive as early as real data, random labels take several times as long.",
        plot,
    )
}

fn passes_figure(report: &MemorisationReport) -> Figure {
    let panel = |title: &str, passes: &[usize], values: fn(&Kind) -> &Vec<Measured>| {
        let empty = Plot::new(Axis::linear("passes"), Axis::linear("").range(0.0, 1.0)).title(title);
        report.kinds.iter().fold(empty, |plot, kind| {
            let measured = values(kind);
            let points = passes.iter().zip(measured).map(|(&pass, m)| (pass as f64, m.mean));
            let band = measured.iter().map(|m| (m.mean - m.sd, m.mean + m.sd));
            plot.line(Line::new(kind.name.clone(), points).band(band))
        })
    };
    let all: Vec<usize> = (1..=report.kinds[0].gini_by_pass.len()).collect();
    Figure::new(
        "passes",
        format!(
            "On real digits a few examples soon hold most of the sensitivity; and descent pushes boundaries away from all \
             images that it fits, from those with random labels last. Gini coefficient of the direct sensitivity after each pass alone, and share of critical samples among the \
             training images; mean and one standard deviation of {} seeds.",
            report.seeds
        ),
        "Two panels over the passes, each with three curves. Above, the Gini coefficient of real data is the highest throughout; \
         that of random inputs rises for some passes and falls again, that of random labels rises to the end. Below, the \
         shares of critical samples fall; that of random labels stays highest.",
        lab::Body::Panels {
            panels: vec![
                panel("Gini coefficient", &all, |kind| &kind.gini_by_pass),
                panel("critical samples", &report.searched_after, |kind| &kind.critical_by_pass),
            ],
            columns: 1,
        },
    )
}

fn sensitivity_figure(report: &MemorisationReport) -> Figure {
    let mut plot = Plot::new(
        Axis::linear("training images, in order of their sensitivity, %"),
        Axis::logarithmic("sensitivity over its mean"),
    );
    for kind in &report.kinds {
        let n = kind.sorted.len() as f64;
        let points =
            kind.sorted.iter().enumerate().map(|(i, &value)| (100.0 * (i + 1) as f64 / n, value.max(1e-3)));
        plot = plot.line(Line::new(kind.name.clone(), points));
    }
    Figure::new(
        "sensitivity",
        format!(
            "On real digits a few examples matter much and most little; on noise they differ far less. Size of the \
             derivative of each image's own loss by its pixels, summed over the epochs, over the mean of all images, in \
             ascending order; {} images, first of {} seeds.",
            report.images, report.seeds
        ),
        "Three rising curves on a logarithmic axis. The two for noise stay within a factor of five of 1. The one for real \
         data starts more than a hundred times lower and ends several times higher.",
        plot,
    )
}
