//! Which maps explain the network, and which only the image: deletion and the test of Adebayo et al.

use super::clothes::{Logits, Reader, Standard, Tape, device, reader, train_in_one_cycle};
use super::{at_least, enlarged, rounded, scaled};
use crate::explain::{self, Cover, GuidedRelu, Traced, rank_correlation};
use dfdx::prelude::{BuildOnDevice, Const, Cpu, DeviceBuildExt, Module, NoneTape, Tensor, ZerosTensor};
use kernels::random::Key;
use lab::{
    About, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Measured, Ramp, Raster,
    Table,
};
use layers::builders::{AdaptiveAvgPool2D, Conv2D, Flatten, Linear, MaxPool2D, Relu};
use layers::params;
use serde::{Deserialize, Serialize};

/// Explanations of a LeNet that reads clothes.
#[derive(Debug)]
pub struct SaliencyMaps;

/// What may vary in [`SaliencyMaps`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct SaliencyMapsConfig {
    /// Networks, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Passes over the training images
    #[arg(long)]
    pub epochs: u64,
    /// Training images, from the first
    #[arg(long)]
    pub images: usize,
    /// Test images that are explained, from the first
    #[arg(long)]
    pub explained: usize,
}

impl Default for SaliencyMapsConfig {
    fn default() -> Self {
        Self { seeds: 3, epochs: 20, images: 1000, explained: 100 }
    }
}

impl ExperimentConfig for SaliencyMapsConfig {
    fn quick() -> Self {
        Self { seeds: 2, epochs: 2, images: 100, explained: 4 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least("seeds", self.seeds, 2)?;
        at_least("epochs", self.epochs as usize, 1)?;
        at_least("images", self.images, 1)?;
        at_least("explained", self.explained, 4)?;
        Ok(self)
    }
}

/// What [`SaliencyMaps`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SaliencyMapsReport {
    /// Whether images and epochs are enough for claims about a trained network.
    pub is_full: bool,
    /// One per seed.
    pub networks: Vec<Explained>,
    /// Rank correlations as text.
    pub table: Table,
    /// Four images and their maps by the first network.
    pub panels: Vec<Panel>,
}

/// One network.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Explained {
    /// Share of the test images that it reads.
    pub accuracy: f64,
    /// Sum of integrated gradients of 50 steps minus what the logit gains from the mean image, over the larger of that
    /// gain and 1; mean over four images.
    pub incomplete: f64,
    /// Mean loss of the class's probability when the tenth of the pixels with the largest |gradient × input| is set to
    /// the mean of all.
    pub deleted: f64,
    /// The same for random tenths, mean of five draws.
    pub random: f64,
    /// Their difference over its standard error across images.
    pub deletion_z: f64,
    /// Mean rank correlation of the gradient's magnitude before and after the last layer is drawn anew.
    pub gradient_last: f64,
    /// The same when all layers are drawn anew.
    pub gradient_all: f64,
    /// Guided backpropagation, last layer drawn anew.
    pub guided_last: f64,
    /// Guided backpropagation, all layers drawn anew.
    pub guided_all: f64,
    /// Grad-CAM, last layer drawn anew.
    pub cam_last: f64,
    /// Grad-CAM, all layers drawn anew.
    pub cam_all: f64,
}

/// An image and its maps, 28 × 28, of the class that the network reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panel {
    /// The image.
    pub image: Vec<f64>,
    /// |gradient|.
    pub gradient: Vec<f64>,
    /// |guided backpropagation|.
    pub guided: Vec<f64>,
    /// Grad-CAM, at the size of the image.
    pub cam: Vec<f64>,
    /// |integrated gradients| from the mean image.
    pub path: Vec<f64>,
    /// Loss of the logit when a square of 5 × 5 is covered, 12 × 12 positions.
    pub occlusion: Vec<f64>,
    /// |gradient| after the last layer was drawn anew.
    pub gradient_last: Vec<f64>,
    /// |guided backpropagation| after the last layer was drawn anew.
    pub guided_last: Vec<f64>,
}

/// Down to 16 maps of 10 × 10.
type Features<A> = (Conv2D<1, 6, 5, 1, 2>, A, MaxPool2D<2, 2>, Conv2D<6, 16, 5>, A);
/// From there to the logits. The adaptive pooling keeps 5 × 5 as it is, and tells the compiler that it is 5 × 5.
type Head<A> = (MaxPool2D<2, 2>, AdaptiveAvgPool2D<5, 5>, Flatten, Linear<400, 120>, A, Linear<120, 10>);
/// LeNet-5 whose activations are modules of their own.
type Open<A> = (Features<A>, Head<A>);
type Net<A> = <Open<A> as BuildOnDevice<Cpu, f32>>::Built;
reader!(Open<Relu>, 28_usize, [0 1]);

type Image = explain::Image<Const<1>, usize, usize, f32, Cpu>;
type Recorded = Traced<Const<1>, usize, usize, f32, Cpu>;

/// The network as one module, so that the compiler looks at its parts once.
struct Whole<'a>(&'a Net<Relu>);
/// The same for guided backpropagation.
struct Guided<'a>(&'a Net<GuidedRelu>);
macro_rules! whole {
    ($($name:ident: $x:ty => $tape:ty;)+) => { $(
        impl Module<$x> for $name<'_> {
            type Output = Tensor<(Const<1>, Const<10>), f32, Cpu, $tape>;
            type Error = dfdx::prelude::CpuError;
            fn try_forward(&self, x: $x) -> Result<Self::Output, Self::Error> {
                self.0.1.try_forward(self.0.0.try_forward(x)?)
            }
        }
    )+ };
}
whole! {
    Whole: Recorded => Tape;
    Guided: Recorded => Tape;
    Whole: Image => NoneTape;
}

fn magnitude(map: Image) -> Vec<f64> {
    map.as_vec().into_iter().map(|value| f64::from(value.abs())).collect()
}

/// A network with the weights of another.
fn guided(net: &Net<Relu>) -> Result<Net<GuidedRelu>, lab::Error> {
    let mut guided = Cpu::default().build_module::<Open<GuidedRelu>, f32>();
    params::unflatten(&mut guided, &params::flatten(net)).map_err(lab::Error::unit)?;
    Ok(guided)
}

/// The network with layers drawn anew: the tensors whose names begin so, uniform as a linear layer's start.
fn drawn_anew(net: &Net<Relu>, start: &str, key: Key) -> Result<Net<Relu>, lab::Error> {
    let (mut fresh, mut tensor) = (net.clone(), 0);
    params::visit_mut(&mut fresh, |parameter, values: &mut [f32]| {
        tensor += 1;
        if parameter.name.starts_with(start) {
            let is_bias = parameter.ndim() == 1;
            let bound =
                if is_bias { 0.1 } else { (values.len() as f32 / parameter.shape[0] as f32).sqrt().recip() };
            key.fold(tensor).fill_uniform(values);
            values.iter_mut().for_each(|value| *value = bound * (2.0 * *value - 1.0));
        }
    })
    .map_err(lab::Error::unit)?;
    Ok(fresh)
}

/// |gradient|, |guided|, Grad-CAM of one network on one image.
fn maps(
    net: &Net<Relu>,
    guided: &Net<GuidedRelu>,
    image: &Image,
    class: usize,
) -> Result<[Vec<f64>; 3], lab::Error> {
    let gradient = explain::gradient(&Whole(net), image, class).map_err(lab::Error::unit)?;
    let guided = explain::gradient(&Guided(guided), image, class).map_err(lab::Error::unit)?;
    let cam = explain::grad_cam(&net.0, &net.1, image, class).map_err(lab::Error::unit)?;
    Ok([magnitude(gradient), magnitude(guided), cam.upsampled.into_iter().map(f64::from).collect()])
}

fn image(pixels: &[f32]) -> Image {
    let mut x = Cpu::default().zeros_like(&(Const, Const, 28, 28));
    x.copy_from(pixels);
    x
}

/// Probabilities of `class` for variants of an image.
fn probabilities(net: &Net<Relu>, variants: &[Vec<f32>], class: usize) -> Result<Vec<f64>, lab::Error> {
    let mut batch = Cpu::default().zeros_like(&(variants.len(), Const, 28, 28));
    batch.copy_from(&variants.concat());
    let logits: Logits = Open::<Relu>::read(net, batch).map_err(device)?;
    let probability = |row: &[f32]| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = row.iter().map(|z| f64::from(z - largest).exp()).collect();
        powers[class] / powers.iter().sum::<f64>()
    };
    Ok(logits.as_vec().chunks(10).map(probability).collect())
}

/// Loss of probability by deleting the most important tenth, and by deleting random tenths.
fn deletion(
    net: &Net<Relu>,
    pixels: &[f32],
    gradient: &[f64],
    class: usize,
    key: Key,
) -> Result<[f64; 2], lab::Error> {
    const DRAWS: u64 = 5;
    let tenth = pixels.len() / 10;
    let mut order: Vec<usize> = (0..pixels.len()).collect();
    let importance = |at: usize| gradient[at] * f64::from(pixels[at].abs());
    order.sort_by(|a, b| importance(*b).total_cmp(&importance(*a)));
    let without = |chosen: &[usize]| {
        let mut left = pixels.to_vec();
        chosen.iter().for_each(|at| left[*at] = 0.0); // the mean of standardised pixels
        left
    };
    let mut variants = vec![pixels.to_vec(), without(&order[..tenth])];
    for draw in 0..DRAWS {
        let permutation = key.fold(draw).permutation(pixels.len());
        variants.push(without(&permutation.into_iter().take(tenth).collect::<Vec<usize>>()));
    }
    let p = probabilities(net, &variants, class)?;
    Ok([p[0] - p[1], p[0] - p[2..].iter().sum::<f64>() / DRAWS as f64])
}

impl Experiment for SaliencyMaps {
    type Config = SaliencyMapsConfig;
    type Report = SaliencyMapsReport;
    const ABOUT: About = About {
        name: "saliency-maps",
        lecture: 14,
        paper: "Simonyan, Vedaldi & Zisserman (2014); Springenberg et al. (2015); Selvaraju et al. (2017); Adebayo et \
                al. (2018)",
        claim: "Gradients point at pixels that the answer needs, and change when the last layer is drawn anew; guided \
                backpropagation changes less",
        sources: &[include_str!("saliency.rs"), include_str!("clothes.rs"), include_str!("../explain.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let split = datasets::fashion();
        let rows = config.images.min(split.train.len());
        let data = Standard::both(&split.train.select(0..rows), &split.test);
        let count = config.explained.min(split.test.len());
        let (mut networks, mut panels) = (Vec::new(), Vec::new());
        for seed in lab.seeds(config.seeds) {
            let mut net = Cpu::seed_from_u64(seed.value()).build_module::<Open<Relu>, f32>();
            train_in_one_cycle::<Open<Relu>>(
                lab,
                "LeNet-5",
                seed,
                &mut net,
                &data[0],
                (config.epochs, 4e-3),
            )?;
            let answers = data[1].answers::<Open<Relu>>(&net, (0, 0))?;
            let last = drawn_anew(&net, "1.5", seed.key("last layer"))?;
            let all = drawn_anew(&net, "", seed.key("all layers"))?;
            let opened = [guided(&net)?, guided(&last)?, guided(&all)?];
            let mut correlations: [Vec<f64>; 6] = Default::default();
            let (mut deleted, mut random, mut incomplete) = (vec![], vec![], vec![]);
            for (i, &class) in answers.iter().enumerate().take(count) {
                let x = image(data[1].image(i));
                let trained = maps(&net, &opened[0], &x, class)?;
                let others = [maps(&last, &opened[1], &x, class)?, maps(&all, &opened[2], &x, class)?];
                for (method, map) in trained.iter().enumerate() {
                    for (which, other) in others.iter().enumerate() {
                        let correlation = rank_correlation(map, &other[method]);
                        if correlation.is_finite() {
                            correlations[2 * method + which].push(correlation); // a map of zeros has no ranks
                        }
                    }
                }
                let key = seed.key("random pixels").fold(i as u64);
                let [most, some] = deletion(&net, data[1].image(i), &trained[0], class, key)?;
                if i < 4 {
                    incomplete.push(gap_of_the_path(&net, &x, class)?);
                }
                deleted.push(most);
                random.push(some);
                if networks.is_empty() && panels.len() < 4 {
                    panels.push(panel(&net, &x, class, trained, &others[0])?);
                }
                lab.progress(&format!("maps, seed {seed}"), i as u64 + 1, count as u64, None)?;
            }
            let difference: Vec<f64> = deleted.iter().zip(&random).map(|(a, b)| a - b).collect();
            let spread = Measured::over(&difference);
            let mean = |values: &[f64]| Measured::over(values).mean;
            let [gradient_last, gradient_all, guided_last, guided_all, cam_last, cam_all] =
                correlations.each_ref().map(|values| mean(values));
            networks.push(Explained {
                accuracy: data[1].accuracy::<Open<Relu>>(&net, (0, 0))?,
                incomplete: mean(&incomplete),
                deleted: mean(&deleted),
                random: mean(&random),
                deletion_z: spread.mean / (spread.sd / (count as f64).sqrt()).max(f64::MIN_POSITIVE),
                gradient_last,
                gradient_all,
                guided_last,
                guided_all,
                cam_last,
                cam_all,
            });
        }
        let full = SaliencyMapsConfig::default();
        let is_full = config.epochs >= full.epochs && rows >= full.images && count >= full.explained;
        Ok(SaliencyMapsReport { is_full, table: table(&networks), networks, panels })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let over = |f: &dyn Fn(&Explained) -> f64| {
            Measured::over(&report.networks.iter().map(f).collect::<Vec<_>>())
        };
        let mut checks = vec![
            Check::new(
                "completeness",
                "sum of integrated gradients minus the gain of the logit, over the gain",
                over(&|n| n.incomplete),
                Bound::AtMost(0.05),
                BoundSource::Paper,
            )
            .reason_if_failed("too few steps along the path"),
        ];
        if !report.is_full {
            return checks;
        }
        // Pilot, seeds 100 to 104: 0.272 ± 0.045, 9.4 ± 1.2, 0.374 ± 0.022, 0.416 ± 0.021; three standard deviations of it.
        checks.extend([
            Check::new(
                "deletion",
                "probability lost with the tenth of the pixels of largest |gradient × input|, minus that with a random \
                 tenth",
                over(&|n| n.deleted - n.random),
                Bound::AtLeast(0.13),
                BoundSource::Pilot,
            )
            .baseline("random pixels", over(&|n| n.random).mean)
            .reason_if_failed("the network reads shapes that survive the loss of single pixels"),
            Check::new(
                "deletion-is-no-accident",
                "that difference over its standard error across images",
                over(&|n| n.deletion_z),
                Bound::AtLeast(5.5),
                BoundSource::Pilot,
            )
            .reason_if_failed("too few images"),
            Check::new(
                "gradient-depends-on-weights",
                "rank correlation of the gradient's map before and after the last layer is drawn anew",
                over(&|n| n.gradient_last),
                Bound::AtMost(0.44),
                BoundSource::Pilot,
            )
            .baseline("guided backpropagation", over(&|n| n.guided_last).mean)
            .reason_if_failed("both maps are large where the image is not constant"),
            Check::new(
                "guided-depends-less",
                "rank correlation of guided backpropagation's map, last layer drawn anew, minus that of the gradient's",
                over(&|n| n.guided_last - n.gradient_last),
                Bound::AtLeast(0.35),
                BoundSource::Pilot,
            )
            .baseline("gradient", over(&|n| n.gradient_last).mean)
            .reason_if_failed("with two convolutions few edges are lost on the way"),
        ]);
        checks
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let maps = |names: &[&str], of: &dyn Fn(&Panel) -> Vec<&Vec<f64>>| Raster {
            tiles: report
                .panels
                .iter()
                .flat_map(|panel| of(panel).into_iter().zip(names).collect::<Vec<_>>())
                .map(|(map, name)| scaled(28, &enlarged(map)).caption(*name))
                .collect(),
            columns: names.len(),
            ramp: Ramp::Ink { low: 0.0, high: 1.0 },
        };
        vec![
            Figure::new(
                "maps",
                "Five answers to the question why. Four test images, and what counts for a LeNet's answer by the \
                 gradient, by guided backpropagation, by Grad-CAM on the last maps, by integrated gradients from the \
                 mean image, and by covering squares of 5 × 5 pixels. Dark is much; each map has its own scale.",
                "Four rows of six pictures: an image of clothes, a speckled map, a map with sharp outlines of the clothes, \
                 a smooth map with a few large spots, a speckled map within the outline, and a coarse map of squares.",
                maps(&["image", "slope", "guided", "cam", "path", "cover"], &|p| {
                    vec![&p.image, &p.gradient, &p.guided, &p.cam, &p.path, &p.occlusion]
                }),
            ),
            Figure::new(
                "sanity",
                "A map that survives the loss of the last layer does not explain the answer. Gradient and guided \
                 backpropagation before and after the last layer of the same LeNet was drawn anew, for the same class. \
                 Dark is much; each map has its own scale.",
                "Four rows of five pictures: an image of clothes, two speckled maps that differ, and two maps with the \
                 outlines of the clothes that resemble each other.",
                maps(&["image", "slope", "redrawn", "guided", "redrawn"], &|p| {
                    vec![&p.image, &p.gradient, &p.gradient_last, &p.guided, &p.guided_last]
                }),
            ),
        ]
    }
}

/// How far the sum of integrated gradients misses what the logit gains on the way from the mean image.
fn gap_of_the_path(net: &Net<Relu>, x: &Image, class: usize) -> Result<f64, lab::Error> {
    let (whole, mean) = (Whole(net), image(&[0.0; 784]));
    let path = explain::integrated_gradients(&whole, x, &mean, class, 50).map_err(lab::Error::unit)?;
    let logit = |x: &Image| -> Result<f64, lab::Error> {
        Ok(f64::from(whole.try_forward(x.clone()).map_err(device)?.as_vec()[class]))
    };
    let gain: f64 = logit(x)? - logit(&mean)?;
    let sum: f64 = path.as_vec().into_iter().map(f64::from).sum();
    Ok((sum - gain).abs() / gain.abs().max(1.0))
}

fn panel(
    net: &Net<Relu>,
    x: &Image,
    class: usize,
    [gradient, guided, cam]: [Vec<f64>; 3],
    [gradient_last, guided_last, _]: &[Vec<f64>; 3],
) -> Result<Panel, lab::Error> {
    let mean = image(&[0.0; 784]);
    let whole = Whole(net);
    let path = explain::integrated_gradients(&whole, x, &mean, class, 20).map_err(lab::Error::unit)?;
    let cover = Cover { window: 5, stride: 2, fill: 0.0 };
    let occlusion = explain::occlusion(&whole, x, class, cover).map_err(lab::Error::unit)?;
    let small = |map: &[f64]| {
        let largest = map.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        rounded(map.iter().map(|value| (value / largest) as f32))
    };
    Ok(Panel {
        image: rounded(x.as_vec()),
        gradient: small(&gradient),
        guided: small(&guided),
        cam: small(&cam),
        path: small(&magnitude(path)),
        occlusion: rounded(occlusion.concat()),
        gradient_last: small(gradient_last),
        guided_last: small(guided_last),
    })
}

fn table(networks: &[Explained]) -> Table {
    let mut table = Table::new(["map", "last layer drawn anew", "all layers drawn anew"]);
    let mut row = |name: &str, last: fn(&Explained) -> f64, all: fn(&Explained) -> f64| {
        let over = |f: fn(&Explained) -> f64| {
            let measured = Measured::over(&networks.iter().map(f).collect::<Vec<_>>());
            format!("{:.2} ± {:.2}", measured.mean, measured.sd)
        };
        table.row([name.to_owned(), over(last), over(all)]);
    };
    row("gradient", |n| n.gradient_last, |n| n.gradient_all);
    row("guided backpropagation", |n| n.guided_last, |n| n.guided_all);
    row("Grad-CAM", |n| n.cam_last, |n| n.cam_all);
    table
}
