//! He et al.'s figures 1 and 7, scaled down: deeper plain networks train worse, and this is not overfitting; what each
//! layer adds.

use super::at_least;
use super::clothes::{Reader, Standard, device, reader, train};
use crate::resnet::{self, SmallPlainNet, SmallPreActivationNet, SmallResNet};
use datasets::Batches;
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Backward, Cpu, DeviceBuildExt, Trace};
use kernels::random::Key;
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Table, Trainer,
};
use layers::init::{self, Fan, Init, gain};
use layers::{Momentum, Sgd, SgdConfig, params};
use serde::{Deserialize, Serialize};

/// Plain and residual networks of 20 and 56 layers.
#[derive(Debug)]
pub struct ResidualDegradation;

/// What may vary in [`ResidualDegradation`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ResidualDegradationConfig {
    /// Trainings of each network, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Learning rate after the warm-up
    #[arg(long)]
    pub learning_rate: f64,
}

impl Default for ResidualDegradationConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 12, images: 1000, learning_rate: 0.1 }
    }
}

impl ExperimentConfig for ResidualDegradationConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 1, images: 20, ..Self::default() }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        Ok(self)
    }
}

/// What [`ResidualDegradation`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResidualDegradationReport {
    /// Whether images and epochs are enough for claims about losses.
    pub is_full: bool,
    /// Plain 20, plain 56, residual 20, residual 56, residual 56 whose branches start at 0, pre-activation 56.
    pub networks: Vec<Depth>,
    /// Gradients before the first step: plain 20, plain 56, residual 56.
    pub starts: Vec<Start>,
    /// The networks as text.
    pub table: Table,
}

/// What comes back through a network before its first step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Start {
    /// Its name.
    pub name: String,
    /// Norm of the gradient of the first convolution over that of the last, logarithm to base 10, one per seed.
    pub growth: Vec<f64>,
    /// Mean over seeds.
    pub mean_growth: f64,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Depth {
    /// Its name.
    pub name: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Mean training loss of each epoch, one list per seed, nats.
    pub losses: Vec<Vec<f64>>,
    /// Training loss of the last epoch, mean over seeds.
    pub loss: f64,
    /// Test accuracy, mean over seeds.
    pub accuracy: f64,
    /// The same, one per seed.
    pub accuracies: Vec<f64>,
    /// Standard deviation of each layer's responses after training, from the image on, one list per seed.
    pub responses: Vec<Vec<f64>>,
}

impl Depth {
    /// Training losses of the last epoch.
    pub(super) fn last(&self) -> Vec<f64> {
        self.losses.iter().filter_map(|losses| losses.last().copied()).collect()
    }

    /// The mean of the layers' responses, one per seed.
    fn response(&self) -> Vec<f64> {
        self.responses.iter().map(|layers| Measured::over(layers).mean).collect()
    }
}

/// Networks whose normalisations come after their convolutions.
const RESPONDING: usize = 5;

/// `a` minus `b`, seed by seed.
pub(super) fn difference(a: &[f64], b: &[f64]) -> Measured {
    Measured::over(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// How networks are trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    pub(super) seeds: usize,
    pub(super) epochs: u64,
    pub(super) learning_rate: f64,
    /// Whether the branches start at 0.
    pub(super) starts_flat: bool,
}

pub(super) type Plain<const MORE: usize> = SmallPlainNet<6, 12, 24, MORE>;
pub(super) type Residual<const MORE: usize> = SmallResNet<6, 12, 24, MORE>;
reader!(Plain<2>, 14_usize, [0 1 2 3 4]);
reader!(Plain<8>, 14_usize, [0 1 2 3 4]);
reader!(Residual<2>, 14_usize, [0 1 2 3 4]);
reader!(Residual<8>, 14_usize, [0 1 2 3 4]);
type PreActivated = SmallPreActivationNet<6, 12, 24, 8>;
reader!(PreActivated, 14_usize, [0 1 2 3 4 5]);

/// Images of a step.
const BATCH: usize = 100;

/// How much larger the gradient of the first convolution is than that of the last, on the first images.
fn start<N: Reader>(name: &str, seeds: usize, data: &Standard, lab: &mut Lab) -> Result<Start, lab::Error> {
    let rows: Vec<usize> = (0..BATCH.min(data.images.len())).collect();
    let mut growth = Vec::with_capacity(seeds);
    for seed in lab.seeds(seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        he(&mut model, seed.key("weights")).map_err(lab::Error::unit)?;
        let logits = N::learn(&mut model, data.batch(&rows, (0, 0)).leaky_trace()).map_err(device)?;
        let loss = kernels::try_cross_entropy_mean(logits, &data.images.batch_labels(&rows))
            .map_err(lab::Error::unit)?;
        let flat = params::flatten_gradients(&model, &mut loss.backward()).map_err(lab::Error::unit)?;
        let (mut norms, mut rest) = (Vec::new(), &flat[..]);
        for parameter in params::list(&model).into_iter().filter(|parameter| parameter.is_trainable) {
            let (gradient, tail) = rest.split_at(parameter.numel());
            rest = tail;
            if parameter.ndim() == 4 {
                norms.push(gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt());
            }
        }
        growth.push((norms[0] / norms[norms.len() - 1]).log10());
    }
    let mean_growth = Measured::over(&growth).mean;
    Ok(Start { name: name.to_owned(), growth, mean_growth })
}

/// Training losses and test accuracies of every seed.
pub(super) fn depth<N: Reader>(
    name: &str,
    recipe: Recipe,
    data: &[Standard; 2],
    lab: &mut Lab,
) -> Result<Depth, lab::Error> {
    let (mut losses, mut accuracies, mut responses, mut parameters) = (vec![], vec![], vec![], 0);
    for seed in lab.seeds(recipe.seeds) {
        let mut model = Cpu::seed_from_u64(seed.value()).build_module::<N, f32>();
        he(&mut model, seed.key("weights")).map_err(lab::Error::unit)?;
        if recipe.starts_flat {
            resnet::zero_last_gains(&mut model).map_err(lab::Error::unit)?;
        }
        let sgd = SgdConfig {
            learning_rate: recipe.learning_rate,
            momentum: Momentum::HeavyBall(0.9),
            weight_decay: 1e-4,
        };
        let mut sgd = Sgd::try_new(&model, sgd)?;
        let batches = Batches::new(data[0].images.len(), BATCH, seed.value());
        let (total, rate) = (batches.len() as u64 * recipe.epochs, recipe.learning_rate);
        // Ten steps of warm-up; a tenth of the rate after 60 %, a hundredth after 85 %.
        let schedule = move |step: u64| {
            let warm = ((step + 1) as f64 / 10.0).min(1.0);
            let falls = [60, 85].iter().filter(|percent| step * 100 >= total * **percent).count();
            rate * warm * 0.1_f64.powi(falls as i32)
        };
        let trainer = Trainer::new(format!("{name}, seed {seed}"), recipe.epochs, batches, seed.key("steps"));
        losses.push(train::<N>(lab, trainer.schedule(schedule), &mut model, &mut sgd, &data[0])?);
        accuracies.push(data[1].accuracy::<N>(&model, (0, 0))?);
        responses.push(resnet::response_deviations(&model));
        parameters = params::count(&model);
    }
    let accuracy = Measured::over(&accuracies).mean;
    let mut depth =
        Depth { name: name.to_owned(), parameters, losses, loss: 0.0, accuracy, accuracies, responses };
    depth.loss = Measured::over(&depth.last()).mean;
    Ok(depth)
}

/// He's start for convolutions, by their outputs; linear layers keep theirs.
fn he<M: TensorCollection<f32, Cpu>>(model: &mut M, key: Key) -> Result<(), layers::params::DeviceError> {
    let convolution = |parameter: &params::Parameter| match parameter.ndim() {
        4 => Init::he_normal(parameter, Fan::Out, gain::RELU),
        _ => Init::Keep,
    };
    init::draw(model, convolution, key)
}

impl Experiment for ResidualDegradation {
    type Config = ResidualDegradationConfig;
    type Report = ResidualDegradationReport;
    const ABOUT: About = About {
        name: "residual-degradation",
        lecture: 14,
        paper: "He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition, figures 1, 6 and 7, and Identity \
                mappings in deep residual networks; Goyal et al. (2017), Accurate, large minibatch SGD, section 5.1",
        claim: "After 12 epochs the training loss of a plain network of 56 layers is at least 0.5 above that of 20 \
                layers, and that of a residual network of 56 layers at least 0.8 below the plain one's",
        sources: &[
            include_str!("degradation.rs"),
            include_str!("clothes.rs"),
            include_str!("../resnet.rs"),
            include_str!("../blocks.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test).each_ref().map(Standard::halved);
        let recipe = Recipe {
            seeds: config.seeds,
            epochs: config.epochs,
            learning_rate: config.learning_rate,
            starts_flat: false,
        };
        let flat = Recipe { starts_flat: true, ..recipe };
        let starts = vec![
            start::<Plain<2>>("plain 20", config.seeds, &data[0], lab)?,
            start::<Plain<8>>("plain 56", config.seeds, &data[0], lab)?,
            start::<Residual<8>>("residual 56", config.seeds, &data[0], lab)?,
        ];
        let networks = vec![
            depth::<Plain<2>>("plain 20", recipe, &data, lab)?,
            depth::<Plain<8>>("plain 56", recipe, &data, lab)?,
            depth::<Residual<2>>("residual 20", recipe, &data, lab)?,
            depth::<Residual<8>>("residual 56", recipe, &data, lab)?,
            depth::<Residual<8>>("residual 56, branches from 0", flat, &data, lab)?,
            depth::<PreActivated>("pre-activation 56", recipe, &data, lab)?,
        ];
        let mut table = Table::new([
            "network",
            "parameters",
            "training loss, last epoch",
            "test accuracy",
            "response of a layer",
        ]);
        for (i, network) in networks.iter().enumerate() {
            table.row([
                network.name.clone(),
                network.parameters.to_string(),
                format!("{:.3}", network.loss),
                format!("{:.3}", network.accuracy),
                // A normalisation before its convolution says what comes in: no response.
                if i < RESPONDING {
                    format!("{:.3}", Measured::over(&network.response()).mean)
                } else {
                    "–".to_owned()
                },
            ]);
        }
        let full = ResidualDegradationConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images;
        Ok(ResidualDegradationReport { is_full, networks, starts, table })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let [plain20, plain56, residual20, residual56, flat56, before56] = &report.networks[..] else {
            return Vec::new();
        };
        let [from20, from56, around56] = &report.starts[..] else { return Vec::new() };
        let losses = |a: &Depth, b: &Depth| difference(&a.last(), &b.last());
        let responses = |a: &Depth, b: &Depth| difference(&a.response(), &b.response());
        let response = |network: &Depth| Measured::over(&network.response()).mean;
        let extra = residual56.parameters as f64 - plain56.parameters as f64;
        let mut checks = vec![
            Check::new(
                "twins",
                "parameters of the residual network of 56 layers minus those of the plain one",
                Measured::exact(extra),
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("shortcuts with parameters"),
        ];
        let before_training = [
            // Pilot of the quick version, seeds 100 to 102: 2.44 ± 0.22 and 2.43 ± 0.10; three standard deviations below.
            Check::new(
                "plain-gradients-grow-with-depth",
                "before the first step, gradient of the first convolution over that of the last, logarithm to base 10: plain \
                 of 56 layers minus plain of 20",
                difference(&from56.growth, &from20.growth),
                Bound::AtLeast(1.7),
                BoundSource::Pilot,
            )
            .baseline("plain 20", from20.mean_growth)
            .reason_if_failed("batch normalisation alone keeps gradients of one size"),
            Check::new(
                "shortcuts-stop-the-growth",
                "the same: plain minus residual, 56 layers",
                difference(&from56.growth, &around56.growth),
                Bound::AtLeast(2.1),
                BoundSource::Pilot,
            )
            .baseline("residual 56", around56.mean_growth)
            .reason_if_failed("the rectifier after the sum stands in the way of the identity"),
        ];
        if !report.is_full {
            checks.extend(before_training);
            return checks;
        }
        checks.extend([
            Check::new(
                "degradation",
                "training loss of the plain network of 56 layers minus that of 20 layers",
                losses(plain56, plain20),
                Bound::AtLeast(0.5),
                BoundSource::Pilot,
            )
            .baseline("plain 20", plain20.loss)
            .reason_if_failed("too few epochs for the shallow network to pull away"),
            Check::new(
                "residual-helps-deep",
                "training loss of the residual network of 56 layers minus that of the plain one",
                losses(residual56, plain56),
                Bound::AtMost(-0.8),
                BoundSource::Pilot,
            )
            .baseline("plain 56", plain56.loss)
            .reason_if_failed("too few epochs"),
            Check::new(
                "residual-helps-shallow",
                "training loss of the residual network of 20 layers minus that of the plain one",
                losses(residual20, plain20),
                Bound::AtMost(-0.2),
                BoundSource::Pilot,
            )
            .baseline("plain 20", plain20.loss)
            .reason_if_failed("too few epochs"),
            Check::new(
                "flat-start-helps-deep",
                "training loss of the residual network of 56 layers whose branches start at 0 minus that of the one whose do \
                 not",
                losses(flat56, residual56),
                Bound::AtMost(0.0),
                BoundSource::Text,
            )
            .baseline("residual 56", residual56.loss)
            .reason_if_failed("Goyal et al. judge by the validation error of 50 layers after many steps; a block that starts as its shortcut \
                 learns its first convolution a step later"),
            Check::new(
                "residual-responses-are-smaller",
                "standard deviation of a layer's responses, mean over layers: residual minus plain, 56 layers",
                responses(residual56, plain56),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .baseline("plain 56", response(plain56))
            .reason_if_failed("120 steps are too few for the gains to leave 1, where all of them start"),
            Check::new(
                "deeper-responses-are-smaller",
                "the same: residual of 56 layers minus residual of 20",
                responses(residual56, residual20),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .baseline("residual 20", response(residual20))
            .reason_if_failed("120 steps are too few for the gains to leave 1, where all of them start"),
            Check::new(
                "pre-activation-fits-better",
                "training loss of the pre-activation network of 56 layers minus that of the residual one",
                losses(before56, residual56),
                Bound::AtMost(0.0),
                BoundSource::Text,
            )
            .baseline("residual 56", residual56.loss)
            .reason_if_failed("the paper sees a lower training loss at 1001 layers; at 110 and 164 it is a little higher in the end, and the \
                 test error lower"),
        ]);
        checks.extend(before_training);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |network: &Depth, runs: &[Vec<f64>]| {
            let places: Vec<f64> = (1..=runs[0].len()).map(|place| place as f64).collect();
            Line::over_seeds(network.name.clone(), &places, runs)
        };
        let loss = Plot::new(Axis::linear("epoch"), Axis::linear("training loss (nats)"));
        let response = Plot::new(
            Axis::linear("layer, from the image"),
            Axis::linear("standard deviation of the responses"),
        );
        let trained = &report.networks[..report.networks.len().min(4)];
        let loss_figure = Figure::new(
            "loss",
            "Depth hurts a plain network and hardly hurts a residual one. Training loss of networks of 20 and 56 layers \
             with the same layers and parameters, with and without shortcuts; mean and standard deviation over seeds. It is the \
             training loss: a network that overfits would have a smaller one.",
            "Four curves that fall. The plain network of 56 layers stays highest, the plain one of 20 layers far below \
             it; both residual networks lie lower, the one of 20 layers lowest.",
            trained.iter().map(|network| line(network, &network.losses)).fold(loss, Plot::line),
        );
        let response_figure = Figure::new(
            "responses",
            "What each layer says after training. Standard deviation of what leaves each layer's normalisation, before a sum \
             or a rectifier, from the image on; mean and standard deviation over seeds. Every layer starts at 1.",
            "Four curves over the layers of the networks, two over 19 and two over 55, all of which begin near one.",
            trained.iter().map(|network| line(network, &network.responses)).fold(response, Plot::line),
        );
        vec![loss_figure, response_figure]
    }
}
