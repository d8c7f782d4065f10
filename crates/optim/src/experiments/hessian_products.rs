//! Hessian times vector, four ways: how exact is exact, and how good are differences?
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use layers::prelude::*;
use layers::{Along, Dual, hessian_vector_product, params};
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::autodiff::hvp::{Sizes, second_order};
use crate::autodiff::tensor::Tape;
use crate::learning::one_hot;

/// Products of a network's Hessian with random vectors.
#[derive(Debug)]
pub struct HessianProducts;

/// What may vary in [`HessianProducts`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct HessianProductsConfig {
    /// Repetitions with other weights and vectors, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Digits in the batch
    #[arg(long)]
    pub batch: usize,
}

impl Default for HessianProductsConfig {
    fn default() -> Self {
        Self { seeds: 10, batch: 100 }
    }
}

impl ExperimentConfig for HessianProductsConfig {
    fn quick() -> Self {
        Self { seeds: 2, batch: 20 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("batch", self.batch)?;
        Ok(self)
    }
}

const SIZES: Sizes = Sizes { inputs: 64, hidden: 20, outputs: 10 };
type Reader = (Linear<64, 20, Tanh>, Linear<20, 10>);
/// Steps of the central difference, as powers of ten, in units of (1 + |w|)/|v|.
const POWERS: std::ops::RangeInclusive<i32> = -10..=-1;

/// What [`HessianProducts`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HessianProductsReport {
    /// Relative difference from the product by hand: `Along` on dfdx's tape, by repetition.
    pub along: Vec<f64>,
    /// Our graph, forward over reverse.
    pub forward_over_reverse: Vec<f64>,
    /// Our graph, reverse over reverse.
    pub reverse_over_reverse: Vec<f64>,
    /// Steps of the central difference.
    pub steps: Vec<f64>,
    /// Their relative error, one list per repetition.
    pub differences: Vec<Vec<f64>>,
    /// The step with the smallest error, by repetition.
    pub best_step: Vec<f64>,
    /// The smallest error, by repetition.
    pub best_difference: Vec<f64>,
    /// As text.
    pub table: Table,
}

struct Products {
    along: f64,
    forward_over_reverse: f64,
    reverse_over_reverse: f64,
    differences: Vec<f64>,
}

impl Experiment for HessianProducts {
    type Config = HessianProductsConfig;
    type Report = HessianProductsReport;
    const ABOUT: About = About {
        name: "hessian-products",
        lecture: 4,
        paper: "Pearlmutter (1994), Fast exact multiplication by the Hessian",
        claim: "Three automatic routes to Hessian times vector agree with the one by hand to 1e-12; the best central \
                difference, with a step near 1e-5, is at least 100 times worse",
        sources: &[
            include_str!("hessian_products.rs"),
            include_str!("../autodiff/hvp.rs"),
            include_str!("../autodiff/tensor.rs"),
            include_str!("../autodiff/tensor/derivative.rs"),
            include_str!("../autodiff/tensor/op.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let mut all = Vec::new();
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("repetitions", done as u64, seeds.len() as u64, None)?;
            all.push(products(seed, config.batch).map_err(lab::Error::unit)?);
        }
        lab.progress("repetitions", seeds.len() as u64, seeds.len() as u64, None)?;
        let steps: Vec<f64> = POWERS.map(|power| 10.0_f64.powi(power)).collect();
        let best = |p: &Products| {
            let by_error = |a: &usize, b: &usize| p.differences[*a].total_cmp(&p.differences[*b]);
            (0..steps.len()).min_by(by_error).unwrap_or(0)
        };
        let over = |value: fn(&Products) -> f64| all.iter().map(value).collect::<Vec<f64>>();
        let mut report = HessianProductsReport {
            along: over(|p| p.along),
            forward_over_reverse: over(|p| p.forward_over_reverse),
            reverse_over_reverse: over(|p| p.reverse_over_reverse),
            best_step: all.iter().map(|p| steps[best(p)]).collect(),
            best_difference: all.iter().map(|p| p.differences[best(p)]).collect(),
            differences: all.iter().map(|p| p.differences.clone()).collect(),
            steps,
            table: Table::default(),
        };
        let mut table = Table::new(["route", "largest relative difference from the product by hand"]);
        for (name, values) in [
            ("`Along` on dfdx's tape", &report.along),
            ("our graph, forward over reverse", &report.forward_over_reverse),
            ("our graph, reverse over reverse", &report.reverse_over_reverse),
            ("central difference, best step", &report.best_difference),
        ] {
            table.row([name.to_string(), format!("{:.0e}", values.iter().fold(0.0_f64, |a, b| a.max(*b)))]);
        }
        report.table = table;
        Ok(report)
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let worst = |values: &[f64]| values.iter().fold(0.0_f64, |a, b| a.max(*b));
        let exact = worst(&report.forward_over_reverse).max(worst(&report.reverse_over_reverse));
        let powers: Vec<f64> = report.best_step.iter().map(|step| step.log10()).collect();
        let least = report.best_difference.iter().fold(f64::INFINITY, |a, b| a.min(*b));
        vec![
            Check::new(
                "along",
                "largest relative difference of `Along` on dfdx's tape from the product by hand",
                Measured::exact(worst(&report.along)),
                Bound::AtMost(1e-12),
                BoundSource::Paper,
            )
            .reason_if_failed("a wrong rule for a tangent"),
            Check::new(
                "graph",
                "the same for our graph, forward over reverse and reverse over reverse",
                Measured::exact(exact),
                Bound::AtMost(1e-12),
                BoundSource::Paper,
            )
            .reason_if_failed("a backward rule whose own derivative is wrong"),
            Check::new(
                "best-step",
                "decimal logarithm of the step with the smallest error",
                Measured::over(&powers),
                Bound::Within(-7.0, -3.0),
                BoundSource::Paper,
            )
            .reason_if_failed("weights of another scale"),
            Check::new(
                "exact-is-better",
                "smallest error of a difference over the largest of the exact routes",
                Measured::exact(least / exact.max(worst(&report.along))),
                Bound::AtLeast(100.0),
                BoundSource::Pilot,
            )
            .reason_if_failed("a lucky cancellation in one repetition"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |values: &dyn Fn(usize) -> f64| {
            report.steps.iter().enumerate().map(|(i, &step)| (step, values(i))).collect::<Vec<_>>()
        };
        let mean = |i: usize| {
            let logs = report.differences.iter().map(|run| run[i].ln());
            (logs.sum::<f64>() / report.differences.len() as f64).exp()
        };
        let exact = report.along.iter().sum::<f64>() / report.along.len() as f64;
        vec![Figure::new(
            "steps",
            format!(
                "Too large a step bends, too small a step drowns in rounding. Relative error of the central difference of \
                 gradients against its step, geometric mean over {} networks; the dotted line is the exact product by \
                 forward mode through dfdx's tape.",
                report.differences.len()
            ),
            "A curve in the shape of a V on logarithmic axes with its tip at a hundred thousandth, far above a dotted \
             line near the precision of the numbers.",
            Plot::new(Axis::logarithmic("step"), Axis::logarithmic("relative error").range(1e-17, 1.0))
                .line(Line::new("difference", points(&mean)))
                .horizontal("exact", exact),
        )]
    }
}

fn products(seed: Seed, batch: usize) -> Result<Products, crate::Error> {
    let dev = Cpu::seed_from_u64(seed.value());
    let model = dev.build_module::<Reader, f64>();
    let w = params::flatten(&model);
    let mut rng = seed.key("vector").rng();
    let v: Vec<f64> = (0..w.len()).map(|_| rng.sample(StandardNormal)).collect();
    let digits = datasets::digits();
    let pixels: Vec<f64> = (0..batch).flat_map(|i| digits.unit_values::<f64>(i)).collect();
    let labels: Vec<usize> = (0..batch).map(|i| digits.label(i)).collect();
    let x = DMatrix::from_row_slice(batch, 64, &pixels);
    let hand = second_order(SIZES, &w, &v, &x, &labels)?.hessian_vector;
    let scale = hand.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    let off = |got: &[f64]| got.iter().zip(&hand).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;

    let input: Tensor<(usize, Const<64>), f64, _> = dev.tensor_from_vec(pixels, (batch, Const));
    let along = hessian_vector_product(&model, &v, |model, direction| {
        model.along(direction, Dual::constant(input.leaky_trace())).cross_entropy_mean(&labels)
    })?;

    let tape = Tape::new();
    let parts = |flat: &[f64]| {
        let (w1, rest) = flat.split_at(64 * 20);
        let (b1, rest) = rest.split_at(20);
        let (w2, b2) = rest.split_at(200);
        [(20, 64, w1), (1, 20, b1), (10, 20, w2), (1, 10, b2)]
            .map(|(rows, columns, numbers)| tape.input(DMatrix::from_row_slice(rows, columns, numbers)))
    };
    let (weights, direction) = (parts(&w), parts(&v));
    let [w1, b1, w2, b2] = weights;
    let hidden = (tape.constant(x.clone()).matmul(w1.transpose()) + b1.repeat_rows(batch)).tanh();
    let logits = hidden.matmul(w2.transpose()) + b2.repeat_rows(batch);
    let loss = logits.cross_entropy(tape.constant(one_hot(&labels, 10)?));
    let flat = |parts: Vec<crate::autodiff::tensor::Var<'_>>| {
        parts.iter().flat_map(|part| part.value().transpose().as_slice().to_vec()).collect::<Vec<f64>>()
    };
    let forward = flat(tape.hessian_times(loss, &weights, &direction));
    let gradient = tape.gradient(loss, &weights);
    let zero = tape.constant(DMatrix::zeros(1, 1));
    let dot = gradient.iter().zip(direction).fold(zero, |sum, (g, d)| sum + (*g * d).sum());
    let reverse = flat(tape.gradient(dot, &weights));

    let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let unit = (1.0 + norm(&w)) / norm(&v);
    let moved = |step: f64| {
        let at: Vec<f64> = w.iter().zip(&v).map(|(w, v)| w + step * v).collect();
        second_order(SIZES, &at, &v, &x, &labels).map(|result| result.gradient)
    };
    let mut differences = Vec::new();
    for power in POWERS {
        let step = 10.0_f64.powi(power) * unit;
        let (above, below) = (moved(step)?, moved(-step)?);
        let slope: Vec<f64> = above.iter().zip(&below).map(|(a, b)| (a - b) / (2.0 * step)).collect();
        differences.push(off(&slope));
    }
    Ok(Products {
        along: off(&along),
        forward_over_reverse: off(&forward),
        reverse_over_reverse: off(&reverse),
        differences,
    })
}
