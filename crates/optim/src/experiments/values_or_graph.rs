//! What a gradient that can be differentiated again costs: numbers kept at once, as values and as a graph.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured, Plot,
    Seed, Table,
};
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_two, slope};
use crate::autodiff::tensor::{GradMode, Tape};

/// Chains of layers of several lengths.
#[derive(Debug)]
pub struct ValuesOrGraph;

/// What may vary in [`ValuesOrGraph`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ValuesOrGraphConfig {
    /// Weights, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Units of a layer
    #[arg(long)]
    pub width: usize,
}

impl Default for ValuesOrGraphConfig {
    fn default() -> Self {
        Self { seeds: 3, width: 20 }
    }
}

impl ExperimentConfig for ValuesOrGraphConfig {
    fn quick() -> Self {
        Self { seeds: 2, width: 8 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        if !(2..=100).contains(&self.width) {
            let value = self.width.to_string();
            return Err(lab::Error::Config { field: "width", rule: "2 to 100", value });
        }
        Ok(self)
    }
}

/// What [`ValuesOrGraph`] measured; numbers kept are counted, and the same for all weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValuesOrGraphReport {
    /// Layers.
    pub lengths: Vec<usize>,
    /// Numbers kept by the pass forwards.
    pub forward: Vec<f64>,
    /// Most numbers kept beyond that by the gradient as values.
    pub values: Vec<f64>,
    /// And as a graph.
    pub graph: Vec<f64>,
    /// Largest difference of the two gradients.
    pub difference: f64,
    /// Exponent of the numbers kept with the length, as values.
    pub values_exponent: f64,
    /// And as a graph.
    pub graph_exponent: f64,
    /// As text.
    pub table: Table,
}

const LENGTHS: [usize; 5] = [10, 20, 40, 80, 160];

/// Numbers kept forwards and beyond that, and the gradient, of a chain h ↦ tanh(W h) with a W of its own in each layer.
fn chain(
    length: usize,
    width: usize,
    mode: GradMode,
    seed: Seed,
) -> Result<(f64, f64, Vec<f64>), crate::Error> {
    let mut rng = seed.key("weights").rng();
    let mut draw = |rows: usize, columns: usize| {
        DMatrix::from_fn(rows, columns, |_, _| rng.sample::<f64, _>(StandardNormal) / (width as f64).sqrt())
    };
    let tape = Tape::new();
    let mut h = tape.input(draw(width, width));
    let start = h;
    for _ in 0..length {
        let w = tape.constant(draw(width, width));
        h = w.matmul(h).tanh();
    }
    let end = h.sum();
    let forward = tape.peak() as f64;
    let gradient = tape.grad(end, &[start], mode)?[0].value();
    Ok((forward, tape.peak() as f64 - forward, gradient.as_slice().to_vec()))
}

impl Experiment for ValuesOrGraph {
    type Config = ValuesOrGraphConfig;
    type Report = ValuesOrGraphReport;
    const ABOUT: About = About {
        name: "values-or-graph",
        lecture: 4,
        paper: "Griewank & Walther (2008), Evaluating derivatives; Goodfellow et al. (2016), section 6.5.5, on the two ways to \
                return a derivative",
        claim: "A gradient as values keeps as many numbers beyond the pass forwards for 10 layers as for 160; as a graph it keeps \
                a number of them that grows with the layers; both are the same to the last bit",
        sources: &[
            include_str!("values_or_graph.rs"),
            include_str!("../autodiff/tensor.rs"),
            include_str!("../autodiff/tensor/derivative.rs"),
            include_str!("../autodiff/tensor/op.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let seeds = lab.seeds(config.seeds);
        let (mut forward, mut values, mut graph, mut difference) =
            (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
        for (done, &length) in LENGTHS.iter().enumerate() {
            lab.progress("lengths", done as u64, LENGTHS.len() as u64, None)?;
            for (nth, &seed) in seeds.iter().enumerate() {
                let run = |mode| chain(length, config.width, mode, seed).map_err(lab::Error::unit);
                let (kept, as_values, a) = run(GradMode::Values)?;
                let (_, as_graph, b) = run(GradMode::Graph)?;
                difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(difference, f64::max);
                if nth == 0 {
                    forward.push(kept);
                    values.push(as_values);
                    graph.push(as_graph);
                }
            }
        }
        lab.progress("lengths", LENGTHS.len() as u64, LENGTHS.len() as u64, None)?;
        let exponent = |kept: &[f64]| {
            slope(
                &LENGTHS.iter().zip(kept).map(|(&n, kept)| ((n as f64).ln(), kept.ln())).collect::<Vec<_>>(),
            )
        };
        let mut table =
            Table::new(["layers", "kept forwards", "gradient as values: more", "as a graph: more"]);
        for (i, length) in LENGTHS.iter().enumerate() {
            table.row([
                length.to_string(),
                forward[i].to_string(),
                values[i].to_string(),
                graph[i].to_string(),
            ]);
        }
        Ok(ValuesOrGraphReport {
            lengths: LENGTHS.to_vec(),
            values_exponent: exponent(&values),
            graph_exponent: exponent(&graph),
            forward,
            values,
            graph,
            difference,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        vec![
            Check::new(
                "values-are-constant",
                "exponent of the numbers that a gradient as values keeps beyond the pass forwards, with the layers",
                Measured::exact(report.values_exponent),
                Bound::Within(-0.05, 0.05),
                BoundSource::Paper,
            )
            .baseline("as a graph", report.graph_exponent)
            .reason_if_failed("a derivative that is kept after its last use"),
            Check::new(
                "a-graph-is-linear",
                "the same exponent as a graph",
                Measured::exact(report.graph_exponent),
                Bound::Within(0.9, 1.1),
                BoundSource::Paper,
            )
            .baseline("as values", report.values_exponent)
            .reason_if_failed("a gradient that recomputes what it needs"),
            Check::new(
                "same-bits",
                "largest difference of the two gradients",
                Measured::exact(report.difference),
                Bound::Within(0.0, 0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("two rules for one derivative"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let points = |kept: &[f64]| {
            report.lengths.iter().zip(kept).map(|(&length, &kept)| (length as f64, kept)).collect::<Vec<_>>()
        };
        vec![Figure::new(
            "kept",
            "A gradient that is a graph costs memory for every layer, one that is a value does not. Numbers kept at once beyond \
             those of the pass forwards, against the layers of a chain; counted, and those of the pass forwards beside them.",
            "Three lines on logarithmic axes over 10 to 160 layers. The one of the gradient as values is level; those of the \
             graph and of the pass forwards rise with slope one.",
            Plot::new(Axis::logarithmic("layers"), Axis::logarithmic("numbers kept"))
                .line(Line::new("graph", points(&report.graph)))
                .line(Line::new("forwards", points(&report.forward)))
                .line(Line::new("values", points(&report.values))),
        )]
    }
}
