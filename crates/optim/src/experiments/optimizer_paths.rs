//! Eight update rules on two surfaces that can be drawn.

use dfdx::prelude::{AsArray, Cpu, Gradients, Rank1, Tensor, TensorFrom};
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Frame, Frames, Lab,
    Line, Measured, Plot, Slider, Table,
};
use layers::params::DeviceError;
use layers::{Step, StepError};
use serde::{Deserialize, Serialize};

use super::at_least_one;
use crate::optimizers::*;
use crate::problems::{Problem, Ravine, Rosenbrock};

/// Paths of update rules on a ravine and in Rosenbrock's valley.
#[derive(Debug)]
pub struct OptimizerPaths;

/// What may vary in [`OptimizerPaths`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct OptimizerPathsConfig {
    /// Steps of each rule, at least 50
    #[arg(long)]
    pub steps: usize,
    /// Radians by which the ravine is turned that is compared with a straight one
    #[arg(long)]
    pub angle: f64,
    /// Its condition number, above 1
    #[arg(long)]
    pub condition: f64,
}

impl Default for OptimizerPathsConfig {
    fn default() -> Self {
        Self { steps: 150, angle: 0.5, condition: 50.0 }
    }
}

impl ExperimentConfig for OptimizerPathsConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_one("steps", self.steps / 50)?;
        for (field, rule, value, holds) in [
            ("angle", "a finite number", self.angle, self.angle.is_finite()),
            (
                "condition",
                "finite and above 1",
                self.condition,
                self.condition > 1.0 && self.condition.is_finite(),
            ),
        ] {
            if !holds {
                return Err(lab::Error::Config { field, rule, value: value.to_string() });
            }
        }
        Ok(self)
    }
}

/// What [`OptimizerPaths`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OptimizerPathsReport {
    /// Rules on the ravine, each with the best learning rate of a grid.
    pub ravine: Vec<Walk>,
    /// The same in Rosenbrock's valley.
    pub valley: Vec<Walk>,
    /// Values at the end as text.
    pub table: Table,
    /// Loss of Adam after the same steps on a ravine along the axes, as a multiple of that on the turned one.
    pub adam_turned: f64,
    /// The same for momentum.
    pub momentum_turned: f64,
    /// Heavy ball, Nesterov's method and Adam for each learning rate and each momentum, the momentum fastest.
    pub race: Vec<Vec<Walk>>,
}

/// One rule on one surface.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Walk {
    /// The rule.
    pub name: String,
    /// The learning rate.
    pub learning_rate: f64,
    /// Points, to four decimals.
    pub points: Vec<[f64; 2]>,
    /// The value at the last point.
    pub value: f64,
}

const RAVINE: Ravine = Ravine { condition: 50.0, angle: 0.5 };
const VALLEY: Rosenbrock = Rosenbrock { dimension: 2 };
/// Powers of 10 to the quarter: learning rates from 1e-4 to 3.2.
const GRID: std::ops::RangeInclusive<i32> = -16..=2;

type Point = Tensor<Rank1<2>, f64, Cpu>;

/// Learning rates and momenta of the interactive figure. The limit of gradient descent is 2 / 50.
const RATES: [f64; 7] = [0.003, 0.01, 0.02, 0.035, 0.05, 0.1, 0.3];
/// See [`RATES`].
const MOMENTA: [f64; 5] = [0.0, 0.5, 0.8, 0.9, 0.95];
/// Steps in the interactive figure.
const RACE_STEPS: usize = 60;
/// Half the width of the picture: a path ends where it leaves it.
const EDGE: f64 = 3.0;

/// Points and end of one rule; nothing when it goes far away.
fn walk<R: Rule, P: Problem>(
    name: &str,
    rule: R,
    learning_rate: f64,
    problem: &P,
    steps: usize,
) -> Result<Option<Walk>, StepError> {
    let walk = path(name, rule, learning_rate, problem, steps, 10.0)?;
    Ok(walk.filter(|walk| walk.points.len() == steps + 1))
}

/// The points until a coordinate reaches `edge`.
fn path<R: Rule, P: Problem>(
    name: &str,
    mut rule: R,
    learning_rate: f64,
    problem: &P,
    steps: usize,
    edge: f64,
) -> Result<Option<Walk>, StepError> {
    rule.set_learning_rate(learning_rate);
    let start = problem.start();
    let mut x: Point = Cpu::default().tensor([start[0], start[1]]);
    let mut optimizer = Optim::try_new(&x, rule)?;
    let mut gradients = Gradients::leaky();
    let round = |x: f64| (x * 1e4).round() / 1e4;
    let mut points = vec![[round(start[0]), round(start[1])]];
    for _ in 0..steps {
        let gradient = problem.gradient(&x.array());
        gradients.get_or_alloc_mut(&x).map_err(DeviceError::new)?.copy_from_slice(&gradient);
        match optimizer.step(&mut x, &mut gradients) {
            Err(StepError::NotFinite { .. }) => return Ok(None),
            result => result?,
        };
        if x.array().iter().any(|x| x.is_nan() || x.abs() >= edge) {
            break;
        }
        points.push(x.array().map(round));
    }
    let value = problem.value(&x.array());
    Ok(Some(Walk { name: name.to_string(), learning_rate, points, value }))
}

/// Three rules with the same two numbers.
fn race(learning_rate: f64, momentum: f64) -> Result<Vec<Walk>, StepError> {
    let sgd = |momentum| SgdConfig { momentum, ..SgdConfig::default() };
    let nesterov = if momentum > 0.0 { Momentum::Nesterov(momentum) } else { Momentum::None };
    let adam = AdamConfig { beta1: momentum, ..AdamConfig::default() };
    let (steps, edge) = (RACE_STEPS, EDGE);
    let walks = [
        path("heavy ball", sgd(Momentum::HeavyBall(momentum)), learning_rate, &RAVINE, steps, edge)?,
        path("Nesterov", sgd(nesterov), learning_rate, &RAVINE, steps, edge)?,
        path("Adam", adam, learning_rate, &RAVINE, steps, edge)?,
    ];
    Ok(walks.into_iter().flatten().collect())
}

/// The rule with the learning rate of the grid that ends lowest.
fn best<R: Rule, P: Problem>(name: &str, rule: R, problem: &P, steps: usize) -> Result<Walk, StepError> {
    let mut best: Option<Walk> = None;
    for power in GRID {
        let rate = 10.0_f64.powf(f64::from(power) / 4.0);
        if let Some(found) = walk(name, rule.clone(), rate, problem, steps)?
            && best.as_ref().is_none_or(|best| found.value < best.value)
        {
            best = Some(found);
        }
    }
    best.ok_or(StepError::Hyperparameter {
        name: "learning_rate",
        range: "small enough to stay",
        value: 1e-4,
    })
}

fn all<P: Problem>(problem: &P, steps: usize) -> Result<Vec<Walk>, StepError> {
    let momentum = |momentum| SgdConfig { momentum, ..SgdConfig::default() };
    Ok(vec![
        best("gradient descent", SgdConfig::default(), problem, steps)?,
        best("momentum", momentum(Momentum::HeavyBall(0.9)), problem, steps)?,
        best("Nesterov", momentum(Momentum::Nesterov(0.9)), problem, steps)?,
        best("AdaGrad", AdaGradConfig::default(), problem, steps)?,
        best("RMSprop", RmsPropConfig::default(), problem, steps)?,
        best("Adam", AdamConfig::default(), problem, steps)?,
        best("Lion", LionConfig::default(), problem, steps)?,
        best("Rprop", RpropConfig::default(), problem, steps)?,
    ])
}

impl Experiment for OptimizerPaths {
    type Config = OptimizerPathsConfig;
    type Report = OptimizerPathsReport;
    const ABOUT: About = About {
        name: "optimizer-paths",
        lecture: 8,
        paper: "Goodfellow et al. (2016), sections 8.3 and 8.5",
        claim: "Rules that treat each coordinate by itself see the axes: turning a ravine changes the end value of Adam by a \
                factor of at least 1.6, up or down, and that of momentum not at all",
        sources: &[
            include_str!("optimizer_paths.rs"),
            include_str!("../problems.rs"),
            include_str!("../optimizers/adaptive.rs"),
            include_str!("../optimizers/sign.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        lab.progress("surfaces", 0, 3, None)?;
        let ravine = all(&RAVINE, config.steps).map_err(lab::Error::unit)?;
        lab.progress("surfaces", 1, 3, None)?;
        let valley = all(&VALLEY, config.steps).map_err(lab::Error::unit)?;
        lab.progress("surfaces", 2, 3, None)?;
        // The same start in the coordinates of each ravine.
        let (angle, condition) = (config.angle, config.condition);
        let [turned, straight] = [angle, 0.0].map(|angle| Ravine { condition, angle });
        let heavy_ball = SgdConfig { momentum: Momentum::HeavyBall(0.9), ..SgdConfig::default() };
        let ends = |turned: Walk, straight: Walk| turned.value / straight.value.max(f64::MIN_POSITIVE);
        let adam_turned = ends(
            best("Adam", AdamConfig::default(), &turned, SHORT).map_err(lab::Error::unit)?,
            best("Adam", AdamConfig::default(), &straight, SHORT).map_err(lab::Error::unit)?,
        );
        let momentum_turned = ends(
            best("momentum", heavy_ball, &turned, SHORT).map_err(lab::Error::unit)?,
            best("momentum", heavy_ball, &straight, SHORT).map_err(lab::Error::unit)?,
        );
        let mut all_races = Vec::new();
        for rate in RATES {
            for momentum in MOMENTA {
                all_races.push(race(rate, momentum).map_err(lab::Error::unit)?);
            }
        }
        lab.progress("surfaces", 3, 3, None)?;
        Ok(OptimizerPathsReport {
            race: all_races,
            table: table(&ravine, &valley),
            adam_turned,
            momentum_turned,
            ravine,
            valley,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        vec![
            Check::new(
                "momentum-turns",
                "end value of momentum on the turned ravine as a multiple of that on the straight one",
                Measured::exact(report.momentum_turned),
                Bound::Within(1.0 - 1e-6, 1.0 + 1e-6),
                BoundSource::Paper,
            )
            .reason_if_failed("a rule that looks at single coordinates"),
            Check::new(
                "adam-does-not",
                "natural logarithm of the same ratio for Adam, its size: turning helps or hurts, but it matters",
                Measured::exact(report.adam_turned.ln().abs()),
                // Ravines of other angles and condition numbers: 1.9, 2.3 and 3.1 for 0.3 and 50, 0.8 and 20, 0.4 and 100.
                Bound::AtLeast(0.5),
                BoundSource::Pilot,
            )
            .baseline("momentum", report.momentum_turned.ln().abs())
            .reason_if_failed("a learning rate so small that Adam follows the gradient's direction anyway"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let ravine = |walk: &Walk| {
            Plot::new(Axis::linear("").range(-2.6, 1.2), Axis::linear("").range(-1.6, 1.0))
                .title(&walk.name)
                .faint(ellipses())
                .line(Line::new("", walk.points.iter().map(|p| (p[0], p[1]))))
        };
        let (across, up) = ((-1.8, 2.5), (-1.3, 3.0));
        let heights = lab::contours(across, up, &[0.5, 5.0, 50.0, 300.0], |x, y| VALLEY.value(&[x, y]));
        let valley = |walk: &Walk| {
            Plot::new(Axis::linear("").range(across.0, across.1), Axis::linear("").range(up.0, up.1))
                .title(&walk.name)
                .faint(heights.iter().cloned())
                .line(Line::new("", walk.points.iter().map(|p| (p[0], p[1]))))
        };
        let steps = report.ravine[0].points.len() - 1;
        let race = |rate: usize, momentum: usize| {
            let walks = &report.race[rate * MOMENTA.len() + momentum];
            let mut plot = Plot::new(
                Axis::linear("x").range(-EDGE, EDGE),
                Axis::linear("y").range(-0.6 * EDGE, 0.6 * EDGE),
            )
            .faint(ellipses());
            let mut ends = Vec::new();
            for walk in walks {
                plot = plot.line(Line::new(&walk.name, walk.points.iter().map(|p| (p[0], p[1]))));
                let has_left = walk.points.len() <= RACE_STEPS;
                ends.push(if has_left {
                    let steps = walk.points.len();
                    format!("{} leaves after {steps} step{}", walk.name, if steps == 1 { "" } else { "s" })
                } else {
                    format!("{} ends at height {:.1e}", walk.name, walk.value)
                });
            }
            Frame::new(plot).note(format!("{}.", ends.join("; ")))
        };
        vec![
            Figure::new(
                "race",
                format!(
                    "Move the learning rate and the momentum, and see who arrives and who leaves. Paths of {RACE_STEPS} \
                     steps on a ravine with condition number {}; a path ends where it leaves the picture. Without \
                     momentum descent leaves above a rate of {}; with momentum it stays somewhat longer; Adam moves by \
                     about the rate per step, and so needs a larger one.",
                    RAVINE.condition,
                    2.0 / RAVINE.condition
                ),
                "A map of slanted ellipses with three paths from the left: heavy ball swings around the centre, Nesterov's method \
                 runs into it along the floor, Adam has covered a part of the way.",
                Frames::over_two(Slider::new("learning rate", RATES), Slider::new("momentum", MOMENTA), race)
                    .still([2, 3]),
            ),
            Figure::new(
                "ravine",
                format!(
                    "Eight answers to the same ravine. Paths of {steps} steps from the same start, condition number {}, \
                     each rule with the learning rate of a grid that ends lowest; thin: equal height.",
                    RAVINE.condition
                ),
                "Eight panels with the same slanted ellipses. Gradient descent, AdaGrad and RMSprop zigzag across \
                 the floor a few times and then run along it to the centre; momentum and Adam swing into the centre \
                 in wide waves; Nesterov's method bends onto the floor and runs along it, past the centre and back; \
                 Lion moves in diagonal steps of equal size; Rprop jumps to and fro on a diagonal and then follows \
                 the floor.",
                Body::Panels { panels: report.ravine.iter().map(ravine).collect(), columns: 4 },
            ),
            Figure::new(
                "valley",
                format!(
                    "Where the floor bends, the rate that ends lowest may begin with a leap: AdaGrad, RMSprop and \
                     Adam leave the floor far behind, and gradient descent cuts the bend off. Paths of {steps} \
                     steps from (-1.2, 1) in Rosenbrock's valley, whose lowest point is (1, 1), each rule with the \
                     learning rate of a grid that ends lowest; thin: equal height."
                ),
                "Eight panels with the same valley in the form of a horseshoe and a path in each from the upper \
                 left. Lion runs down into the bend and along the floor to the right, Rprop stays in the bend; gradient descent, \
                 AdaGrad, RMSprop and Adam begin with a long straight leap.",
                Body::Panels { panels: report.valley.iter().map(valley).collect(), columns: 4 },
            ),
        ]
    }
}

/// Steps of the comparison of turned and straight ravines: before rounding is all that is left.
const SHORT: usize = 50;

fn table(ravine: &[Walk], valley: &[Walk]) -> Table {
    let mut table = Table::new(["rule", "rate, ravine", "value", "rate, valley", "value "]);
    for (a, b) in ravine.iter().zip(valley) {
        let rate = |walk: &Walk| format!("{:.2e}", walk.learning_rate);
        let value = |walk: &Walk| format!("{:.1e}", walk.value);
        table.row([a.name.clone(), rate(a), value(a), rate(b), value(b)]);
    }
    table
}

/// Ellipses on which the ravine has four values.
fn ellipses() -> impl Iterator<Item = Vec<(f64, f64)>> {
    let (sine, cosine) = RAVINE.angle.sin_cos();
    [0.05, 0.4, 1.2, 2.6].into_iter().map(move |value| {
        let (long, short) = (f64::sqrt(2.0 * value), f64::sqrt(2.0 * value / RAVINE.condition));
        let points = (0..=72).map(|i| (f64::from(i) * std::f64::consts::TAU / 72.0).sin_cos());
        let turned = points.map(|(b, a)| {
            let (u, v) = (long * a, short * b);
            (u * cosine - v * sine, u * sine + v * cosine)
        });
        turned.collect()
    })
}
