//! What a gradient costs: forward against reverse mode in counted operations, our tape against dfdx's.
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Seed, Table};
use layers::params;
use layers::prelude::*;
use nalgebra::DMatrix;
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{at_least_one, at_least_two};
use crate::autodiff::graph::ComputationGraph;
use crate::autodiff::tensor::{Tape, Var};
use crate::learning::one_hot;

/// Jacobians in both modes, and the gradient of a network that reads digits.
#[derive(Debug)]
pub struct ReverseMode;

/// What may vary in [`ReverseMode`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct ReverseModeConfig {
    /// Repetitions with other weights, at least 2
    #[arg(long)]
    pub seeds: usize,
    /// Digits in the batch of the network
    #[arg(long)]
    pub batch: usize,
    /// Largest number of inputs and outputs of a Jacobian, at least 16
    #[arg(long)]
    pub largest: usize,
}

impl Default for ReverseModeConfig {
    fn default() -> Self {
        Self { seeds: 5, batch: 32, largest: 256 }
    }
}

impl ExperimentConfig for ReverseModeConfig {
    fn quick() -> Self {
        Self { seeds: 2, batch: 8, largest: 64 }
    }

    fn check(self) -> Result<Self, lab::Error> {
        at_least_two("seeds", self.seeds)?;
        at_least_one("batch", self.batch)?;
        if !(16..=1024).contains(&self.largest) {
            let value = self.largest.to_string();
            return Err(lab::Error::Config { field: "largest", rule: "between 16 and 1024", value });
        }
        Ok(self)
    }
}

/// Hidden neurons of the function whose Jacobian is taken.
const HIDDEN: usize = 16;
/// The number of outputs at which the crossing is drawn.
const DRAWN_OUTPUTS: usize = 16;
type Reader = (Linear<784, 100, Sigmoid>, Linear<100, 10>);

/// What [`ReverseMode`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReverseModeReport {
    /// Parameters of the network.
    pub parameters: usize,
    /// Scalar operations of its loss.
    pub loss_operations: u64,
    /// Scalar operations of the gradient alone.
    pub gradient_operations: u64,
    /// The second over the first.
    pub gradient_over_loss: f64,
    /// Largest difference between our gradient and dfdx's, over the largest entry, by repetition.
    pub difference_from_dfdx: Vec<f64>,
    /// Jacobians.
    pub jacobians: Vec<Jacobian>,
    /// As text.
    pub table: Table,
    /// The graph of x·y + sin x · exp z − y/(1 + z²).
    pub graph: DrawnGraph,
}

/// Scalar operations of one Jacobian.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Jacobian {
    /// Inputs n.
    pub inputs: usize,
    /// Outputs m.
    pub outputs: usize,
    /// Forward mode, one pass for each input.
    pub forward: u64,
    /// Reverse mode, one pass for each output.
    pub reverse: u64,
    /// Largest difference between the two.
    pub difference: f64,
}

/// A graph with a place for each node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrawnGraph {
    /// Name, value, derivative of the result by it.
    pub nodes: Vec<(String, f64, f64)>,
    /// Level from the left and height.
    pub places: Vec<(f64, f64)>,
    /// Pairs of numbers of nodes.
    pub edges: Vec<(usize, usize)>,
    /// The same for Graphviz.
    pub dot: String,
}

impl Experiment for ReverseMode {
    type Config = ReverseModeConfig;
    type Report = ReverseModeReport;
    const ABOUT: About = About {
        name: "reverse-mode",
        lecture: 4,
        paper: "Baur & Strassen (1983), The complexity of partial derivatives; Griewank & Walther (2008), Evaluating \
                derivatives",
        claim: "The gradient with respect to 79,510 weights costs at most five times the loss and agrees with dfdx to \
                1e-12; for a Jacobian forward mode is cheaper with fewer inputs, reverse mode with fewer outputs",
        sources: &[
            include_str!("reverse_mode.rs"),
            include_str!("../autodiff/tensor.rs"),
            include_str!("../autodiff/tensor/derivative.rs"),
            include_str!("../autodiff/tensor/op.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let sizes: Vec<usize> =
            std::iter::successors(Some(2), |n| Some(2 * n)).take_while(|&n| n <= config.largest).collect();
        let seeds = lab.seeds(config.seeds);
        let mut difference_from_dfdx = Vec::new();
        let (mut loss_operations, mut gradient_operations, mut parameters) = (0, 0, 0);
        for (done, &seed) in seeds.iter().enumerate() {
            lab.progress("networks", done as u64, seeds.len() as u64, None)?;
            let measured = network(seed, config.batch).map_err(lab::Error::unit)?;
            (parameters, loss_operations, gradient_operations) = (measured.0, measured.1, measured.2);
            difference_from_dfdx.push(measured.3);
        }
        lab.progress("networks", seeds.len() as u64, seeds.len() as u64, None)?;
        let mut jacobians = Vec::new();
        for &inputs in &sizes {
            for &outputs in &sizes {
                jacobians.push(jacobian(seeds[0], inputs, outputs));
            }
        }
        let mut table = Table::new(["inputs n", "outputs m", "forward", "reverse", "forward / reverse"]);
        for j in &jacobians {
            let ends = [2, DRAWN_OUTPUTS, config.largest];
            if ends.contains(&j.inputs) && ends.contains(&j.outputs) {
                let ratio = j.forward as f64 / j.reverse as f64;
                let [n, m] = [j.inputs, j.outputs].map(|count| count.to_string());
                let [forward, reverse] = [j.forward, j.reverse].map(|count| count.to_string());
                table.row([n, m, forward, reverse, format!("{ratio:.3}")]);
            }
        }
        Ok(ReverseModeReport {
            parameters,
            loss_operations,
            gradient_operations,
            gradient_over_loss: gradient_operations as f64 / loss_operations as f64,
            difference_from_dfdx,
            jacobians,
            table,
            graph: graph().map_err(lab::Error::unit)?,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let largest = report.jacobians.iter().map(|j| j.inputs).max().unwrap_or(2);
        let ratio = |inputs: usize, outputs: usize| {
            let found = report.jacobians.iter().find(|j| (j.inputs, j.outputs) == (inputs, outputs));
            found.map_or(f64::NAN, |j| j.forward as f64 / j.reverse as f64)
        };
        let difference = report.jacobians.iter().map(|j| j.difference).fold(0.0, f64::max);
        vec![
            Check::new(
                "cheap-gradient",
                "scalar operations of the gradient over those of the loss, 784-100-10 network",
                Measured::exact(report.gradient_over_loss),
                Bound::AtMost(5.0),
                BoundSource::Paper,
            )
            .baseline("differences, one loss per weight", report.parameters as f64)
            .reason_if_failed("a backward rule that repeats the forward pass"),
            Check::new(
                "agrees-with-dfdx",
                "largest difference between our gradient and dfdx's, over the largest entry",
                Measured::over(&report.difference_from_dfdx),
                Bound::AtMost(1e-12),
                BoundSource::Paper,
            )
            .reason_if_failed("a wrong backward rule in one of the two"),
            Check::new(
                "reverse-for-few-outputs",
                "operations of forward over reverse mode, most inputs, 2 outputs",
                Measured::exact(ratio(largest, 2)),
                Bound::AtLeast(5.0),
                BoundSource::Paper,
            )
            .reason_if_failed("shared work that the counter misses"),
            Check::new(
                "forward-for-few-inputs",
                "operations of reverse over forward mode, 2 inputs, most outputs",
                Measured::exact(1.0 / ratio(2, largest)),
                Bound::AtLeast(5.0),
                BoundSource::Paper,
            )
            .reason_if_failed("shared work that the counter misses"),
            Check::new(
                "crossing",
                "operations of forward over reverse mode with 16 inputs and 16 outputs",
                Measured::exact(ratio(DRAWN_OUTPUTS, DRAWN_OUTPUTS)),
                Bound::Within(0.5, 2.0),
                BoundSource::Paper,
            )
            .reason_if_failed("one of the two modes does work that it need not"),
            Check::new(
                "modes-agree",
                "largest difference between the Jacobians of the two modes",
                Measured::exact(difference),
                Bound::AtMost(1e-12),
                BoundSource::Paper,
            )
            .reason_if_failed("a wrong rule in one of the two modes"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        vec![graph_figure(&report.graph), crossing_figure(report)]
    }
}

fn normal(rows: usize, columns: usize, rng: &mut impl Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.sample::<f64, _>(StandardNormal))
}

/// Parameters, operations of loss and of gradient, relative difference from dfdx.
fn network(seed: Seed, batch: usize) -> Result<(usize, u64, u64, f64), crate::Error> {
    let dev = Cpu::seed_from_u64(seed.value());
    let model = dev.build_module::<Reader, f64>();
    let digits = datasets::mnist();
    let pixels: Vec<f64> = (0..batch).flat_map(|i| digits.unit_values::<f64>(i)).collect();
    let labels: Vec<usize> = (0..batch).map(|i| digits.label(i)).collect();
    let targets = one_hot(&labels, 10)?;
    let flat = params::flatten(&model);
    let (w1, rest) = flat.split_at(784 * 100);
    let (b1, rest) = rest.split_at(100);
    let (w2, b2) = rest.split_at(1000);

    let tape = Tape::new();
    let weights = [(100, 784, w1), (1, 100, b1), (10, 100, w2), (1, 10, b2)]
        .map(|(rows, columns, numbers)| tape.input(DMatrix::from_row_slice(rows, columns, numbers)));
    let [w1, b1, w2, b2] = weights;
    let x = tape.constant(DMatrix::from_row_slice(batch, 784, &pixels));
    let hidden = (x.matmul(w1.transpose()) + b1.repeat_rows(batch)).sigmoid();
    let logits = hidden.matmul(w2.transpose()) + b2.repeat_rows(batch);
    let loss = logits.cross_entropy(tape.constant(targets.clone()));
    let loss_operations = tape.cost();
    let gradient = tape.gradient(loss, &weights);
    let gradient_operations = tape.cost() - loss_operations;

    let x: Tensor<(usize, Const<784>), f64, _> = dev.tensor_from_vec(pixels, (batch, Const));
    let rows = targets.transpose().as_slice().to_vec();
    let y: Tensor<(usize, Const<10>), f64, _> = dev.tensor_from_vec(rows, (batch, Const));
    let theirs = cross_entropy_with_logits_loss(model.forward(x.leaky_trace()), y);
    let theirs = params::flatten_gradients(&model, &mut theirs.backward())?;
    let ours = gradient.iter().flat_map(|g| g.value().transpose().as_slice().to_vec());
    let (mut scale, mut difference) = (0.0_f64, 0.0_f64);
    for (ours, theirs) in ours.zip(&theirs) {
        scale = scale.max(theirs.abs());
        difference = difference.max((ours - theirs).abs());
    }
    Ok((flat.len(), loss_operations, gradient_operations, difference / scale))
}

/// The Jacobian of tanh(W₂ tanh(W₁ x)) in both modes.
fn jacobian(seed: Seed, inputs: usize, outputs: usize) -> Jacobian {
    let mut rng = seed.key("jacobian").fold((inputs * 2048 + outputs) as u64).rng();
    let tape = Tape::new();
    let x = tape.input(normal(inputs, 1, &mut rng));
    let w1 = tape.constant(normal(HIDDEN, inputs, &mut rng) / (inputs as f64).sqrt());
    let w2 = tape.constant(normal(outputs, HIDDEN, &mut rng) / (HIDDEN as f64).sqrt());
    let y = w2.matmul(w1.matmul(x).tanh()).tanh();
    let unit = |n: usize, i: usize| tape.constant(DMatrix::from_fn(n, 1, |k, _| f64::from(u8::from(k == i))));
    let start = tape.cost();
    let columns: Vec<_> =
        (0..inputs).map(|i| tape.directional(y, &[x], &[unit(inputs, i)]).value()).collect();
    let forward = tape.cost() - start;
    let rows: Vec<_> = (0..outputs).map(|j| tape.vjp(y, &[x], unit(outputs, j))[0].value()).collect();
    let reverse = tape.cost() - start - forward;
    let cells = (0..inputs).flat_map(|i| (0..outputs).map(move |j| (i, j)));
    let difference = cells.map(|(i, j)| (columns[i][(j, 0)] - rows[j][(i, 0)]).abs()).fold(0.0, f64::max);
    Jacobian { inputs, outputs, forward, reverse, difference }
}

fn graph() -> Result<DrawnGraph, crate::Error> {
    let tape = Tape::new();
    // The point of the golden file.
    let [x, y, z] = [1.033, 0.798, 0.552].map(|value| tape.input(DMatrix::from_element(1, 1, value)));
    let result = x * y + x.sin() * z.exp() - y / (z * z).shift(1.0);
    let graph = ComputationGraph::from_tape(&tape, result, &[(x, "x"), (y, "y"), (z, "z")]);
    let all: Vec<Var<'_>> = tape.variables().into_iter().take(result.index() + 1).collect();
    let adjoints = tape.gradient(result, &all);
    let layout = graph.layout()?;
    let place = |node| layout.iter().position(|(n, _)| *n == node).unwrap_or(0);
    let edges = graph.graph().edge_indices().filter_map(|edge| graph.graph().edge_endpoints(edge));
    let node = |node: petgraph::graph::NodeIndex| {
        let operation = &graph.graph()[node];
        let name = operation.label.clone().unwrap_or_else(|| operation.op.name());
        (name, operation.value[(0, 0)], adjoints[node.index()].number())
    };
    Ok(DrawnGraph {
        nodes: layout.iter().map(|(n, _)| node(*n)).collect(),
        places: layout.iter().map(|(_, place)| *place).collect(),
        edges: edges.map(|(from, to)| (place(from), place(to))).collect(),
        dot: graph.to_dot(),
    })
}

/// Two decimals, with a minus sign and not a hyphen.
fn signed(value: f64) -> String {
    format!("{value:.2}").replace('-', "−")
}

fn graph_figure(graph: &DrawnGraph) -> Figure {
    let levels = graph.places.iter().map(|place| place.0 as usize).max().unwrap_or(0);
    let lowest = graph.places.iter().map(|place| place.1).fold(0.0, f64::min);
    let rows = graph.places.iter().map(|place| place.1 - lowest).fold(0.0, f64::max) as usize + 1;
    let down = |(x, y): (f64, f64)| (x, y - lowest);
    let names = (0..=levels).map(|level| if level == 0 { "inputs".into() } else { level.to_string() });
    let mut plot = Plot::new(
        Axis::categories("operations on the longest way from an input", names),
        Axis::categories("", vec![""; rows]),
    )
    .faint(graph.edges.iter().map(|(from, to)| [*from, *to].map(|node| down(graph.places[node])).to_vec()))
    .scatter("", graph.places.iter().copied().map(down));
    for ((name, value, adjoint), place) in graph.nodes.iter().zip(&graph.places) {
        let (x, y) = down(*place);
        plot = plot
            .text(format!("{name}: {}", signed(*value)), (x, y - 0.2))
            .text(format!("∂ {}", signed(*adjoint)), (x, y + 0.33));
    }
    Figure::new(
        "graph",
        "Values go from left to right, blame goes back. The graph of x·y + sin x · exp z − y/(1 + z²): above each node its \
         operation and its value, below it the derivative of the result with respect to it. Drawn from our own graph by \
         our own layout.",
        "A graph in levels from left to right. Three inputs x, y and z at the left; products, sine, exponential, quotient, \
         two sums and a difference; one result at the right whose derivative is 1. Each node has two numbers.",
        Body::Plot(plot),
    )
}

fn crossing_figure(report: &ReverseModeReport) -> Figure {
    let drawn: Vec<&Jacobian> = report.jacobians.iter().filter(|j| j.outputs == DRAWN_OUTPUTS).collect();
    let line = |name: &str, value: fn(&Jacobian) -> u64| {
        Line::new(name, drawn.iter().map(|j| (j.inputs as f64, value(j) as f64)))
    };
    Figure::new(
        "crossing",
        "Forward mode pays for inputs, reverse mode for outputs. Scalar operations of the Jacobian of a function with one \
         hidden layer and 16 outputs, against the number of inputs: the two cross where there are as many inputs as \
         outputs.",
        "Two rising lines on logarithmic axes that cross at 16 inputs; forward mode is lower on the left and steeper.",
        Plot::new(Axis::logarithmic("inputs n"), Axis::logarithmic("scalar operations"))
            .line(line("forward", |j| j.forward))
            .line(line("reverse", |j| j.reverse))
            .vertical("n = m", DRAWN_OUTPUTS as f64),
    )
}
