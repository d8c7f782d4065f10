//! What every loss says about one vote: its value, its derivative, and how loud it is where the network errs most.

use dfdx::prelude::{
    AsArray, Backward, Cpu, CpuError, HasShape, OwnedTape, Rank0, SumTo, Tensor, TensorFrom, TensorFromVec,
    Trace,
};
use kernels::{
    AbsoluteError, BceWithLogits, ClassLoss, Classes, DistributionLoss, Focal, Hinge, Huber, LogCosh,
    PairLoss, PoissonNll, Quantile, SmoothL1, SquaredError, SquaredHinge, try_activate,
    try_class_loss_per_sample, try_distribution_loss_per_sample, try_gaussian_nll_mean, try_loss_per_sample,
};
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Frame, Frames, Lab,
    Line, Measured, Plot, Slider, Table,
};
use serde::{Deserialize, Serialize};

use super::at_least_two;

/// Values and derivatives of the crate's losses, measured on its tape.
#[derive(Debug)]
pub struct LossShapes;

/// What may vary in [`LossShapes`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct LossShapesConfig {
    /// Points of each curve, at least 2
    #[arg(long)]
    pub points: usize,
}

impl Default for LossShapesConfig {
    fn default() -> Self {
        Self { points: 65 }
    }
}

impl ExperimentConfig for LossShapesConfig {
    fn quick() -> Self {
        Self { points: 33 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("points", self.points)?;
        Ok(self)
    }
}

/// What [`LossShapes`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LossShapesReport {
    /// Where the curves of losses of votes are drawn.
    pub votes: Vec<f64>,
    /// Where the curves of losses of errors are drawn.
    pub errors: Vec<f64>,
    /// The losses, in the order of their families.
    pub losses: Vec<Shape>,
    /// Largest difference of a derivative of the tape from the slope of the values, relative to 1 + its size.
    pub off_slope: f64,
    /// Where the derivative of the smoothed loss is 0, less the closed form.
    pub off_gap: f64,
    /// The same as text.
    pub table: Table,
}

/// One loss.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shape {
    /// What it belongs to.
    pub family: String,
    /// Its name.
    pub name: String,
    /// Its value at each vote or error.
    pub values: Vec<f64>,
    /// Its derivative there.
    pub slopes: Vec<f64>,
    /// Largest size of the derivative up to the mistake [`FAR`].
    pub loudest: f64,
    /// Size of the derivative there over that at half of it.
    pub growth: f64,
    /// What the loss does where the mistake grows.
    pub hearing: Hearing,
}

/// What a loss does where the mistake grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Hearing {
    /// Its derivative grows with the mistake.
    Growing,
    /// Its derivative tends to a constant that is not 0.
    Level,
    /// Its derivative tends to 0: it does not hear the worst mistakes.
    Deaf,
}

impl Hearing {
    fn of(growth: f64) -> Self {
        match growth {
            growth if growth > 1.5 => Self::Growing,
            growth if growth > 0.5 => Self::Level,
            _ => Self::Deaf,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Growing => "grows",
            Self::Level => "stays",
            Self::Deaf => "goes to 0",
        }
    }
}

/// A mistake beyond all curves: a vote or an error of this size on the wrong side.
const FAR: f64 = 20.0;
/// Ends of the curves.
const VOTES: f64 = 8.0;
const ERRORS: f64 = 4.0;
/// Classes of the losses of labels; all votes but the first are 0.
const CLASSES: usize = 10;
/// Label smoothing.
const SMOOTHING: f64 = 0.1;
/// What the losses of distributions want: the share of the first of two classes.
const SHARE: f64 = 0.8;
/// Count of the Poisson loss.
const COUNT: f64 = 2.0;
/// Distance to a kink below which slopes are not compared, and step of the comparison.
const NEAR: f64 = 1e-3;
const STEP: f64 = 1e-5;

/// A loss as a function of one number.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Half the squared error of a sigmoid, target 1.
    Quadratic,
    /// Cross-entropy of a vote, target 1.
    Binary,
    /// Focal loss of a vote, target 1, with weight 1.
    Focal,
    Hinge,
    SquaredHinge,
    /// A loss of ten votes, as a function of the first one, which is the right one.
    Class(ClassLoss),
    /// A loss of two votes against a distribution.
    Shares(DistributionLoss),
    Squared,
    Absolute,
    Huber(f64),
    SmoothL1(f64),
    LogCosh,
    Quantile(f64),
    /// As a function of the log-rate.
    Poisson,
    /// As a function of the log-variance, for an error of 1.
    Gaussian,
}

const CROSS_ENTROPY: Kind = Kind::Class(ClassLoss::CrossEntropy { label_smoothing: 0.0 });
const GENERALISED: Kind = Kind::Class(ClassLoss::GeneralisedCrossEntropy { q: 0.7 });
const SMOOTHED: Kind = Kind::Class(ClassLoss::CrossEntropy { label_smoothing: SMOOTHING });
const SYMMETRIC: Kind =
    Kind::Class(ClassLoss::SymmetricCrossEntropy { alpha: 0.1, beta: 1.0, log_zero: -4.0 });

/// Families of losses of votes: the mistakes lie on the left.
const OF_VOTES: [(&str, &[(&str, Kind)]); 6] = [
    (
        "four kinds",
        &[
            ("squared hinge", Kind::SquaredHinge),
            ("hinge", Kind::Hinge),
            ("cross-entropy", Kind::Binary),
            ("quadratic cost", Kind::Quadratic),
        ],
    ),
    ("two classes", &[("cross-entropy", Kind::Binary), ("focal, γ = 2", Kind::Focal)]),
    (
        "margins, ten classes",
        &[
            ("multi-margin", Kind::Class(ClassLoss::MultiMargin { margin: 1.0 })),
            ("Crammer–Singer", Kind::Class(ClassLoss::CrammerSinger { margin: 1.0 })),
        ],
    ),
    (
        "ten classes",
        &[
            ("log-likelihood", CROSS_ENTROPY),
            ("smoothed, ε = 0.1", SMOOTHED),
            ("confidence penalty, ½", Kind::Class(ClassLoss::ConfidencePenalty { beta: 0.5 })),
        ],
    ),
    (
        "wrong labels",
        &[
            ("log-likelihood", CROSS_ENTROPY),
            ("symmetric", SYMMETRIC),
            ("generalised, q = 0.7", GENERALISED),
            ("absolute error", Kind::Class(ClassLoss::AbsoluteError)),
        ],
    ),
    (
        "distributions",
        &[
            ("KL(q, p)", Kind::Shares(DistributionLoss::KlForward)),
            ("KL(p, q)", Kind::Shares(DistributionLoss::KlReverse)),
            ("Jensen–Shannon", Kind::Shares(DistributionLoss::JensenShannon)),
        ],
    ),
];

/// Families of losses of numbers.
const OF_ERRORS: [(&str, &[(&str, Kind)]); 3] = [
    (
        "errors",
        &[
            ("squared", Kind::Squared),
            ("absolute", Kind::Absolute),
            ("Huber, δ = 1", Kind::Huber(1.0)),
            ("log-cosh", Kind::LogCosh),
        ],
    ),
    ("other errors", &[("smooth L1, β = ½", Kind::SmoothL1(0.5)), ("quantile 0.8", Kind::Quantile(0.8))]),
    (
        "likelihoods",
        &[("Poisson, count 2, by log-rate", Kind::Poisson), ("Gaussian, by log-variance", Kind::Gaussian)],
    ),
];

impl Kind {
    /// Value and derivative at each of `x`, as the crate computes them.
    fn at(self, x: &[f64]) -> Result<(Vec<f64>, Vec<f64>), lab::Error> {
        let dev = Cpu::default();
        let given = dev.tensor_from_vec(x.to_vec(), (x.len(),));
        let pairs = |loss: Tensor<(usize,), f64, Cpu, _>| {
            let values = loss.as_vec();
            (values, loss.sum::<Rank0, _>().backward().get(&given).as_vec())
        };
        macro_rules! pair {
            ($loss:expr, $target:expr) => {
                pairs(pair($loss, &given, $target)?)
            };
        }
        Ok(match self {
            Self::Quadratic => {
                let outputs = try_activate(given.leaky_trace(), kernels::Sigmoid).map_err(device)?;
                let target = dev.tensor_from_vec(vec![1.0; x.len()], (x.len(),));
                pairs(try_loss_per_sample(outputs, target, SquaredError).map_err(device)? * 0.5)
            }
            Self::Binary => pair!(BceWithLogits::default(), 1.0),
            Self::Focal => pair!(Focal { gamma: 2.0, alpha: 1.0 }, 1.0),
            Self::Hinge => pair!(Hinge, 1.0),
            Self::SquaredHinge => pair!(SquaredHinge, 1.0),
            Self::Squared => pair!(SquaredError, 0.0),
            Self::Absolute => pair!(AbsoluteError, 0.0),
            Self::Huber(delta) => pair!(Huber(delta), 0.0),
            Self::SmoothL1(beta) => pair!(SmoothL1(beta), 0.0),
            Self::LogCosh => pair!(LogCosh, 0.0),
            Self::Quantile(level) => pair!(Quantile(level), 0.0),
            Self::Poisson => pair!(PoissonNll, COUNT),
            Self::Class(loss) => {
                let votes = x.iter().flat_map(|&x| (0..CLASSES).map(move |k| if k == 0 { x } else { 0.0 }));
                let votes = dev.tensor_from_vec(votes.collect::<Vec<_>>(), (x.len(), CLASSES));
                let labels = vec![0; x.len()];
                let loss = try_class_loss_per_sample(votes.leaky_trace(), &labels, loss, Classes::default())
                    .map_err(lab::Error::unit)?;
                let values = loss.as_vec();
                (values, first_of(loss.sum::<Rank0, _>().backward().get(&votes).as_vec(), CLASSES))
            }
            Self::Shares(loss) => {
                let two = |first: &dyn Fn(f64) -> [f64; 2]| {
                    let rows = x.iter().flat_map(|&x| first(x)).collect::<Vec<_>>();
                    dev.tensor_from_vec(rows, (x.len(), 2_usize))
                };
                let (votes, wanted) = (two(&|x| [x, 0.0]), two(&|_| [SHARE, 1.0 - SHARE]));
                let loss =
                    try_distribution_loss_per_sample(votes.leaky_trace(), &wanted, loss).map_err(device)?;
                let values = loss.as_vec();
                (values, first_of(loss.sum::<Rank0, _>().backward().get(&votes).as_vec(), 2))
            }
            Self::Gaussian => {
                let (mut values, mut slopes) = (Vec::new(), Vec::new());
                for &x in x {
                    let [mean, log_var, target] = [1.0, x, 0.0].map(|value| dev.tensor([value]));
                    let loss = try_gaussian_nll_mean(mean.leaky_trace(), log_var.leaky_trace(), &target)
                        .map_err(device)?;
                    values.push(loss.array());
                    slopes.push(loss.backward().get(&log_var).array()[0]);
                }
                (values, slopes)
            }
        })
    }

    /// Where the derivative, or its own slope, jumps.
    fn kinks(self) -> &'static [f64] {
        match self {
            Self::Hinge | Self::SquaredHinge => &[1.0],
            Self::Class(ClassLoss::MultiMargin { .. } | ClassLoss::CrammerSinger { .. }) => &[1.0],
            Self::Absolute | Self::Quantile(_) => &[0.0],
            Self::Huber(_) => &[-1.0, 1.0],
            Self::SmoothL1(_) => &[-0.5, 0.5],
            _ => &[],
        }
    }
}

/// The loss of each of `x` and one target.
fn pair(
    loss: impl PairLoss,
    x: &Tensor<(usize,), f64, Cpu>,
    target: f64,
) -> Result<Tensor<(usize,), f64, Cpu, OwnedTape<f64, Cpu>>, lab::Error> {
    let count = x.shape().0;
    let target = Cpu::default().tensor_from_vec(vec![target; count], (count,));
    try_loss_per_sample(x.leaky_trace(), target, loss).map_err(device)
}

fn device(error: CpuError) -> lab::Error {
    lab::Error::unit(layers::params::DeviceError::new(error))
}

/// The first of each row.
fn first_of(values: Vec<f64>, columns: usize) -> Vec<f64> {
    values.into_iter().step_by(columns).collect()
}

/// `count` points from `-end` to `end`.
fn points(end: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| end * (2.0 * i as f64 / (count - 1) as f64 - 1.0)).collect()
}

/// Where curves are drawn: [`points`], and one place on either side of 0 and of 1, so that a derivative that jumps there is
/// drawn with a jump.
fn drawn(end: f64, count: usize) -> Vec<f64> {
    let beside = [0.0, 1.0].into_iter().flat_map(|kink: f64| [kink - 2.0 * NEAR, kink + 2.0 * NEAR]);
    let mut places: Vec<f64> = points(end, count).into_iter().chain(beside).collect();
    places.sort_by(f64::total_cmp);
    places
}

impl Experiment for LossShapes {
    type Config = LossShapesConfig;
    type Report = LossShapesReport;
    const ABOUT: About = About {
        name: "loss-shapes",
        lecture: 5,
        paper: "Nielsen (2015), ch. 3; Zhang & Sabuncu (2018); Huber (1964)",
        claim: "Where the mistake grows, the derivative of a loss grows, stays or goes to 0; two losses that resist \
                wrong labels, and the quadratic cost of a sigmoid, do not hear the worst mistakes",
        sources: &[include_str!("loss_shapes.rs")],
    };

    fn run(config: &Self::Config, _: &mut Lab) -> Result<Self::Report, lab::Error> {
        let (votes, errors) = (drawn(VOTES, config.points), drawn(ERRORS, config.points));
        let (mut losses, mut off_slope) = (Vec::new(), 0.0_f64);
        let mut table = Table::new(["loss", "largest derivative", "derivative, as the mistake grows"]);
        // The mistakes of a vote lie on the left, those of a number on both sides.
        let of_votes = OF_VOTES.into_iter().map(|family| (family, &votes, &[-FAR][..]));
        let of_errors = OF_ERRORS.into_iter().map(|family| (family, &errors, &[-FAR, FAR][..]));
        for ((family, members), x, sides) in of_votes.chain(of_errors) {
            for &(name, kind) in members {
                let (values, slopes) = kind.at(x)?;
                off_slope = off_slope.max(compare(kind, x, &slopes)?);
                // The loudest place within reach, on a grid of its own so that it does not depend on the curves.
                let (_, heard) = kind.at(&points(FAR, 4001))?;
                let loudest = heard.iter().fold(0.0_f64, |loudest, slope| loudest.max(slope.abs()));
                let mut growth = 0.0_f64;
                for far in sides {
                    let (_, ends) = kind.at(&[*far, 0.5 * far])?;
                    // A derivative of 0 has no ratio: it is not heard at all.
                    growth = growth.max(if ends[1] == 0.0 { 0.0 } else { (ends[0] / ends[1]).abs() });
                }
                let hearing = Hearing::of(growth);
                if !losses.iter().any(|shape: &Shape| shape.name == name) {
                    let loudest = match hearing {
                        Hearing::Growing => "no bound".to_owned(),
                        _ => format!("{loudest:.3}"),
                    };
                    table.row([name.to_owned(), loudest, hearing.name().to_owned()]);
                }
                let (family, name) = (family.to_owned(), name.to_owned());
                losses.push(Shape { family, name, values, slopes, loudest, growth, hearing });
            }
        }
        Ok(LossShapesReport {
            off_gap: (flat_place(SMOOTHED, 0.0, VOTES)? - gap(CLASSES, SMOOTHING)).abs(),
            votes,
            errors,
            losses,
            off_slope,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let of = |name: &str| report.losses.iter().find(|shape| shape.name == name);
        let (Some(squared), Some(cross_entropy)) = (of("squared"), of("cross-entropy")) else {
            return Vec::new();
        };
        let worst = |names: &[&str], value: fn(&Shape) -> f64| {
            let values = names.iter().map(|name| of(name).map_or(f64::NAN, value));
            values.fold(0.0, |worst, value| if value <= worst { worst } else { value })
        };
        let level = [
            "cross-entropy",
            "focal, γ = 2",
            "hinge",
            "log-likelihood",
            "smoothed, ε = 0.1",
            "symmetric",
            "absolute",
            "Huber, δ = 1",
            "log-cosh",
            "smooth L1, β = ½",
        ];
        let deaf = ["quadratic cost", "generalised, q = 0.7", "absolute error"];
        // The largest |p^q (p - 1)| is at p = q / (1 + q), the largest a (1 - a)² at a = 1/3, that of 2 p (1 - p) at ½.
        let suprema = [
            ("cross-entropy", 1.0),
            ("hinge", 1.0),
            ("log-likelihood", 1.0),
            ("Huber, δ = 1", 1.0),
            ("log-cosh", 1.0),
            ("quantile 0.8", 0.8),
            ("quadratic cost", 4.0 / 27.0),
            ("absolute error", 0.5),
            ("generalised, q = 0.7", 0.7_f64.powf(0.7) / 1.7_f64.powf(1.7)),
        ];
        let off =
            suprema.iter().map(|(name, most)| (of(name).map_or(f64::NAN, |s| s.loudest) / most - 1.0).abs());
        let off = off.fold(0.0, |worst, value| if value <= worst { worst } else { value });
        vec![
            Check::new(
                "derivatives-are-slopes",
                "largest difference of a derivative on the tape from the slope of the values, relative",
                Measured::exact(report.off_slope),
                Bound::AtMost(1e-6),
                BoundSource::Paper,
            )
            .reason_if_failed("a backward pass that does not belong to its forward pass"),
            Check::new(
                "squares-grow",
                "derivative of the squared error twice as far from the target, over that at half of it",
                Measured::exact(squared.growth),
                Bound::Within(2.0 - 1e-9, 2.0 + 1e-9),
                BoundSource::Paper,
            )
            .baseline("cross-entropy", cross_entropy.growth)
            .reason_if_failed("a term that is no square"),
            Check::new(
                "most-losses-stay",
                "cross-entropies, hinge, Huber's and absolute errors: largest change of the derivative from a mistake of \
                 10 to one of 20, relative",
                Measured::exact(worst(&level, |shape| (shape.growth - 1.0).abs())),
                Bound::AtMost(1e-3), // the focal loss still has 2 p ln p = 9e-4 at 10
                BoundSource::Paper,
            )
            .baseline("squared error", squared.growth - 1.0)
            .reason_if_failed("a loss that saturates"),
            Check::new(
                "robust-losses-go-deaf",
                "quadratic cost of a sigmoid, generalised cross-entropy, absolute error of probabilities: largest \
                 derivative at a mistake of 20 over that at 10",
                Measured::exact(worst(&deaf, |shape| shape.growth)),
                Bound::AtMost(1e-2), // the slowest is p^0.7: exp(-7)
                BoundSource::Paper,
            )
            .baseline("cross-entropy", cross_entropy.growth)
            .reason_if_failed("a derivative that does not have the factor of the probability"),
            Check::new(
                "as-loud-as-the-closed-forms",
                "largest derivative of nine bounded losses less its closed form, relative",
                Measured::exact(off),
                Bound::AtMost(1e-4), // a grid of 0.01 misses a maximum by at most its curvature times 0.005²/2
                BoundSource::Paper,
            )
            .reason_if_failed("another scale of the loss, such as a mean in place of a sum"),
            Check::new(
                "smoothing-has-a-best-vote",
                "vote at which the smoothed loss of ten classes is least, less ln((1 − ε) C/ε + 1)",
                Measured::exact(report.off_gap),
                Bound::AtMost(1e-9),
                BoundSource::Paper,
            )
            .reason_if_failed("a uniform share that leaves the right class out"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let families = |names: &[&str], x: &[f64], label: &str, range: f64, (values, slopes): Ranges| {
            Frames::over(Slider::new("family", names.to_vec()), |index| {
                let empty = |title: &str, (low, high): (f64, f64)| {
                    Plot::new(Axis::linear(label).range(-range, range), Axis::linear("").range(low, high))
                        .title(title)
                };
                let mut panels = vec![empty("loss", values), empty("derivative", slopes)];
                for shape in report.losses.iter().filter(|shape| shape.family == names[index]) {
                    for (panel, y) in panels.iter_mut().zip([&shape.values, &shape.slopes]) {
                        let axis = panel.y.range.unwrap_or((f64::MIN, f64::MAX));
                        let shown = x.iter().copied().zip(y.iter().copied());
                        let shown = shown.filter(|&(_, y)| y >= axis.0 && y <= axis.1);
                        *panel = panel.clone().line(Line::new(&shape.name, shown));
                    }
                }
                let words = |shape: &Shape| format!("{} {}", shape.name, shape.hearing.name());
                let members = report.losses.iter().filter(|shape| shape.family == names[index]);
                let heard = members.map(words).collect::<Vec<_>>().join(", ");
                Frame::new(Body::Panels { panels, columns: 1 })
                    .note(format!("The derivative where the mistake grows: {heard}."))
            })
            .still([0])
        };
        vec![
            Figure::new(
                "votes",
                "The worse the mistake, the more a squared hinge hears of it, and the less the quadratic cost does; hinge \
                 and cross-entropy hear all large mistakes alike. Value of each loss and its derivative by the vote of the \
                 right class, all other votes 0; mistakes lie on the left. Move the slider for the other families.",
                "Two panels over a vote from -8 to 8. In the upper one four curves fall to 0 at the right: one steeply, two \
                 straight, one that is flat on both sides. In the lower one are their slopes: one falls ever further to the \
                 left, two are at -1 there, one has a small dip in the middle and is 0 on both sides.",
                families(
                    &OF_VOTES.map(|family| family.0),
                    &report.votes,
                    "vote of the right class",
                    VOTES,
                    ((0.0, 8.0), (-3.0, 1.0)),
                ),
            ),
            Figure::new(
                "errors",
                "The square hears an outlier in proportion to its error, the others no more than a small one. Value of each \
                 loss of a number and its derivative by the error, or by what the network says in its place: the logarithm \
                 of a rate, of a variance. Move the slider for the other families.",
                "Two panels over an error from -4 to 4. In the upper one a parabola and three curves that become straight \
                 lines. In the lower one their slopes: a steep straight line, a step, and two curves that level off at -1 \
                 and 1.",
                families(
                    &OF_ERRORS.map(|family| family.0),
                    &report.errors,
                    "error, log-rate or log-variance",
                    ERRORS,
                    ((-1.0, 8.0), (-3.0, 3.0)),
                ),
            ),
        ]
    }
}

/// Ranges of values and of derivatives.
type Ranges = ((f64, f64), (f64, f64));

/// Largest difference of `slopes` from central differences of the values, relative to 1 + their size.
fn compare(kind: Kind, x: &[f64], slopes: &[f64]) -> Result<f64, lab::Error> {
    let moved = |by: f64| kind.at(&x.iter().map(|x| x + by).collect::<Vec<_>>());
    let ((above, _), (below, _)) = (moved(STEP)?, moved(-STEP)?);
    let is_smooth = |x: f64| kind.kinks().iter().all(|kink| (x - kink).abs() > NEAR);
    let each = x.iter().zip(slopes).zip(above.iter().zip(&below)).filter(|((x, _), _)| is_smooth(**x));
    Ok(each.fold(0.0, |worst: f64, ((_, slope), (above, below))| {
        let off = ((above - below) / (2.0 * STEP) - slope).abs() / (1.0 + slope.abs());
        if off <= worst { worst } else { off }
    }))
}

/// Where the derivative changes its sign between two places, by bisection.
fn flat_place(kind: Kind, mut low: f64, mut high: f64) -> Result<f64, lab::Error> {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if kind.at(&[middle])?.1[0] < 0.0 { low = middle } else { high = middle }
    }
    Ok(0.5 * (low + high))
}

/// The vote of the right class at which softmax gives what smoothing asks for, all other votes 0.
fn gap(classes: usize, smoothing: f64) -> f64 {
    (classes as f64 * (1.0 - smoothing) / smoothing + 1.0).ln()
}
