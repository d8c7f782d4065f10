//! The gradient of a long chain in little memory.
use lab::{
    About, Axis, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
};
use lab::{Plot, Table};
use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::refused;
use crate::autodiff::checkpoint::{ChainGradient, ChainStep, Plan, gradient, optimal_steps};

/// A chain of tanh layers reversed with few states.
#[derive(Debug)]
pub struct Checkpointing;

/// What may vary in [`Checkpointing`].
#[derive(Clone, Debug, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct CheckpointingConfig {
    /// Layers of the chain, at least 4
    #[arg(long)]
    pub layers: usize,
}

impl Default for CheckpointingConfig {
    fn default() -> Self {
        Self { layers: 256 }
    }
}

impl ExperimentConfig for CheckpointingConfig {
    fn quick() -> Self {
        Self::default()
    }

    fn check(self) -> Result<Self, lab::Error> {
        if !(4..=4096).contains(&self.layers) {
            let value = self.layers.to_string();
            return Err(lab::Error::Config { field: "layers", rule: "between 4 and 4096", value });
        }
        Ok(self)
    }
}

/// Neurons of a layer.
const WIDTH: usize = 8;
/// Checkpoints of the optimal plan.
const CHECKPOINTS: [usize; 9] = [1, 2, 3, 4, 6, 8, 12, 16, 31];

/// What [`Checkpointing`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckpointingReport {
    /// Layers of the chain.
    pub layers: usize,
    /// √layers, rounded.
    pub root: usize,
    /// Uniform segments.
    pub uniform: Vec<Cost>,
    /// Optimal checkpoints.
    pub optimal: Vec<Cost>,
    /// Largest difference of any derivative from that of keeping everything, over all plans.
    pub difference: f64,
    /// Largest difference of the forward steps of an optimal plan from the formula.
    pub off_formula: f64,
    /// As text.
    pub table: Table,
}

/// What a plan cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// Segments or checkpoints.
    pub setting: usize,
    /// Most states kept at once.
    pub peak_states: usize,
    /// Forward steps.
    pub forward_steps: usize,
}

/// tanh(Wx).
struct TanhLayer([[f64; WIDTH]; WIDTH]);

impl ChainStep for TanhLayer {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        self.0.iter().map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>().tanh()).collect()
    }

    fn backward(&self, x: &[f64], upstream: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let delta: Vec<f64> = self.forward(x).iter().zip(upstream).map(|(y, u)| u * (1.0 - y * y)).collect();
        let to_input = |j: usize| self.0.iter().zip(&delta).map(|(row, d)| row[j] * d).sum::<f64>();
        let to_weights = delta.iter().flat_map(|d| x.iter().map(move |x| d * x));
        ((0..WIDTH).map(to_input).collect(), to_weights.collect())
    }
}

impl Experiment for Checkpointing {
    type Config = CheckpointingConfig;
    type Report = CheckpointingReport;
    const ABOUT: About = About {
        name: "checkpointing",
        lecture: 4,
        paper: "Chen et al. (2016), Training deep nets with sublinear memory cost; Griewank & Walther (2000), Revolve",
        claim: "With 16 segments a chain of 256 layers is reversed with at most 34 states instead of 257 and at most twice \
                the forward steps; placed optimally, as many states need fewer steps; not one bit of the gradient changes",
        sources: &[include_str!("checkpointing.rs"), include_str!("../autodiff/checkpoint.rs")],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let mut rng = lab.key("weights").rng();
        let mut weight = || 1.2 * rng.sample::<f64, _>(StandardNormal) / (WIDTH as f64).sqrt();
        let steps: Vec<TanhLayer> = (0..config.layers)
            .map(|_| TanhLayer([(); WIDTH].map(|()| [(); WIDTH].map(|()| weight()))))
            .collect();
        let run = |plan| gradient(&steps, &[0.5; WIDTH], <[f64]>::to_vec, plan).map_err(refused);
        let plain = run(Plan::KeepAll)?;
        let mut difference = 0.0_f64;
        let mut cost = |setting, got: ChainGradient| {
            let pairs = got.start.iter().zip(&plain.start);
            let pairs = pairs.chain(got.parameters.iter().flatten().zip(plain.parameters.iter().flatten()));
            difference = pairs.map(|(a, b)| (a - b).abs()).fold(difference, f64::max);
            Cost { setting, peak_states: got.peak_states, forward_steps: got.forward_steps }
        };
        let root = (config.layers as f64).sqrt().round() as usize;
        let powers = std::iter::successors(Some(1), |s| Some(2 * s)).take_while(|&s| s <= config.layers);
        let mut segments: Vec<usize> = powers.chain([root]).collect();
        segments.sort_unstable();
        segments.dedup();
        let (mut uniform, mut optimal) = (Vec::new(), Vec::new());
        for segments in segments {
            uniform.push(cost(segments, run(Plan::Uniform { segments })?));
        }
        for checkpoints in CHECKPOINTS {
            optimal.push(cost(checkpoints, run(Plan::Optimal { checkpoints })?));
        }
        let off = |cost: &Cost| {
            (cost.forward_steps as f64 - optimal_steps(config.layers, cost.setting) as f64).abs()
        };
        let mut table = Table::new(["plan", "states kept", "forward steps"]);
        table.row(["keep all".into(), plain.peak_states.to_string(), plain.forward_steps.to_string()]);
        let rows = uniform.iter().map(|c| ("segment", c)).chain(optimal.iter().map(|c| ("checkpoint", c)));
        for (name, Cost { setting, peak_states, forward_steps }) in rows {
            let s = if *setting == 1 { "" } else { "s" };
            table.row([format!("{setting} {name}{s}"), peak_states.to_string(), forward_steps.to_string()]);
        }
        let off_formula = optimal.iter().map(off).fold(0.0, f64::max);
        Ok(CheckpointingReport {
            layers: config.layers,
            root,
            uniform,
            optimal,
            difference,
            off_formula,
            table,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let at_root = report.uniform.iter().find(|cost| cost.setting == report.root);
        let of =
            |value: fn(&Cost) -> usize| Measured::exact(at_root.map_or(f64::NAN, |cost| value(cost) as f64));
        let within = |memory: usize| report.optimal.iter().filter(move |cost| cost.peak_states <= memory);
        let as_much = at_root.map_or(0, |cost| cost.peak_states);
        let fewest = within(as_much).map(|cost| cost.forward_steps).min().unwrap_or(usize::MAX);
        vec![
            Check::new(
                "memory",
                "most states kept with √n segments, over 2√n + 2",
                Measured::exact(of(|c| c.peak_states).mean / (2.0 * (report.layers as f64).sqrt() + 2.0)),
                Bound::AtMost(1.0),
                BoundSource::Paper,
            )
            .baseline("keep all", (report.layers + 1) as f64 / (2.0 * (report.layers as f64).sqrt() + 2.0))
            .reason_if_failed("a segment that keeps its states too long"),
            Check::new(
                "time",
                "forward steps with √n segments over those of keeping all",
                Measured::exact(of(|c| c.forward_steps).mean / report.layers as f64),
                Bound::AtMost(2.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a segment that is computed more than twice"),
            Check::new(
                "optimal-formula",
                "largest difference of the optimal plan's forward steps from the binomial formula",
                Measured::exact(report.off_formula),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("an error in the table of splits"),
            Check::new(
                "optimal-wins",
                "forward steps of the optimal plan over uniform segments, with at most as many states",
                Measured::exact(fewest as f64 / of(|c| c.forward_steps).mean),
                Bound::AtMost(1.0),
                BoundSource::Paper,
            )
            .reason_if_failed("no optimal plan with that memory was run"),
            Check::new(
                "same-bits",
                "largest difference of a derivative from that of keeping all, over all plans",
                Measured::exact(report.difference),
                Bound::AtMost(0.0),
                BoundSource::Paper,
            )
            .reason_if_failed("a state that is not computed as it was the first time"),
        ]
    }

    fn figures(report: &Self::Report) -> Vec<Figure> {
        let line = |name: &str, costs: &[Cost]| {
            let mut points: Vec<(f64, f64)> = costs
                .iter()
                .map(|cost| (cost.peak_states as f64, cost.forward_steps as f64 / report.layers as f64))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
            Line::new(name, points)
        };
        vec![Figure::new(
            "pareto",
            format!(
                "A little recomputation saves most of the memory. Forward steps per layer against the states kept at once, \
                 chain of {} layers: uniform segments and optimally placed checkpoints; keeping everything is the point \
                 at the lower right.",
                report.layers
            ),
            "Two curves on a logarithmic horizontal axis that meet at thirty-two states. The optimal one enters at the \
             top, at twelve steps per layer and between two and three states, and falls steeply to there; the uniform \
             one goes on from nearly two steps to one, where everything is kept.",
            Plot::new(
                Axis::logarithmic("states kept at once").range(2.0, (report.layers * 2) as f64),
                Axis::linear("forward steps per layer").range(0.0, 12.0),
            )
            .line(line("uniform", &report.uniform))
            .line(line("optimal", &report.optimal))
            .scatter("keep all", [((report.layers + 1) as f64, 1.0)]),
        )]
    }
}
