//! What is drawn from a graph: walks, sampled neighbourhoods, and a table that draws by weight.
//!
//! **Papers**: Perozzi et al. (2014), DeepWalk, arXiv 1403.6652; Grover & Leskovec (2016), node2vec, arXiv 1607.00653
//! (biased walks); Hamilton et al. (2017), GraphSAGE, arXiv 1706.02216, algorithm 2 (sampled neighbourhoods);
//! Vose (1991), A linear algorithm for generating random numbers with a given distribution (alias table).
use super::{Csr, Pattern, SparseError};
use crate::random::Key;
use crate::{Real, pool};
use dfdx::prelude::Dim;
use rand::{Rng, RngCore};
use std::collections::HashMap;

/// How walks on a graph are drawn. A walk goes from a node to one of its neighbours, all equally likely unless the
/// parameters of node2vec bias it; a node without neighbours holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RandomWalks {
    /// Steps of each walk; default 5, the length that GraphSAGE uses.
    pub length: usize,
    /// p of node2vec, > 0: returning to the node before has weight 1/p; default 1.
    pub return_parameter: f64,
    /// q of node2vec, > 0: going to a node that is no neighbour of the one before has weight 1/q; default 1.
    pub in_out_parameter: f64,
    /// Probability in \[0, 1) that a step goes back to the start instead, as in PinSage's visit counts; default 0.
    pub restart: f64,
}

impl Default for RandomWalks {
    fn default() -> Self {
        Self { length: 5, return_parameter: 1.0, in_out_parameter: 1.0, restart: 0.0 }
    }
}

impl RandomWalks {
    /// Walks of another length.
    pub fn with_length(self, length: usize) -> Self {
        Self { length, ..self }
    }

    /// Walks biased as node2vec's.
    pub fn with_bias(self, return_parameter: f64, in_out_parameter: f64) -> Self {
        Self { return_parameter, in_out_parameter, ..self }
    }

    /// Walks that restart.
    pub fn with_restart(self, restart: f64) -> Self {
        Self { restart, ..self }
    }

    /// One walk from each start: `starts.len()` rows of `length + 1` nodes, the start first. Walk i depends on
    /// `key.fold(i)` alone.
    ///
    /// ```
    /// use kernels::{random::Key, sparse::{Pattern, RandomWalks}};
    /// let path = Pattern::try_undirected(2_usize, &[(0, 1)]).unwrap();
    /// let walks = RandomWalks::default().with_length(3).draw(&path, &[0], Key::new(1)).unwrap();
    /// assert_eq!(walks, [0, 1, 0, 1]);
    /// ```
    ///
    /// **Complexity**: O(length) expected for each walk; a biased step is drawn by rejection, max(1/p, 1, 1/q) tries
    /// over min(1/p, 1, 1/q) at worst, and looks for an edge by bisection.
    ///
    /// # Errors
    /// [`SparseError::WalkParameter`], [`SparseError::RestartOutOfRange`], and [`SparseError::RowOutOfRange`] for a
    /// start that is no node.
    pub fn draw<N: Dim>(
        &self,
        graph: &Pattern<N, N>,
        starts: &[u32],
        key: Key,
    ) -> Result<Vec<u32>, SparseError> {
        for (parameter, value) in
            [("return_parameter", self.return_parameter), ("in_out_parameter", self.in_out_parameter)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(SparseError::WalkParameter { parameter, value });
            }
        }
        if !(self.restart >= 0.0 && self.restart < 1.0) {
            return Err(SparseError::RestartOutOfRange { value: self.restart });
        }
        check_nodes(graph, starts)?;
        let row = self.length + 1;
        let mut walks = vec![0; starts.len() * row];
        let walks_of_part = (4096 / row).max(1);
        pool::chunks_mut(&mut walks, walks_of_part * row, |from, walks| {
            for (walk, number) in walks.chunks_exact_mut(row).zip(from / row..) {
                self.walk(graph, starts[number], key.fold(number as u64).rng(), walk);
            }
        });
        Ok(walks)
    }

    fn walk<N: Dim>(&self, graph: &Pattern<N, N>, start: u32, mut rng: impl RngCore, walk: &mut [u32]) {
        walk[0] = start;
        let (back, out) = (self.return_parameter.recip(), self.in_out_parameter.recip());
        let largest = back.max(out).max(1.0);
        let is_biased = back != 1.0 || out != 1.0;
        for step in 1..walk.len() {
            let here = walk[step - 1];
            let neighbours = graph.row(here as usize);
            if self.restart > 0.0 && rng.r#gen::<f64>() < self.restart {
                walk[step] = start;
                continue;
            }
            if neighbours.is_empty() {
                walk[step] = here;
                continue;
            }
            walk[step] = loop {
                let next = neighbours[rng.gen_range(0..neighbours.len())];
                if !is_biased || step == 1 {
                    break next;
                }
                let before = walk[step - 2];
                let weight = if next == before {
                    back
                } else if graph.row(before as usize).binary_search(&next).is_ok() {
                    1.0
                } else {
                    out
                };
                if rng.r#gen::<f64>() * largest < weight {
                    break next;
                }
            };
        }
    }
}

fn check_nodes<N: Dim>(graph: &Pattern<N, N>, nodes: &[u32]) -> Result<(), SparseError> {
    let rows = graph.rows().size();
    match nodes.iter().position(|&node| node as usize >= rows) {
        Some(index) => Err(SparseError::RowOutOfRange { index, row: nodes[index], rows }),
        None => Ok(()),
    }
}

/// Whether a neighbour may be drawn twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Always draw with replacement.
    Always,
    /// Draw with replacement only at nodes with fewer neighbours than asked for: what the paper of GraphSAGE does.
    IfShort,
    /// Never: such nodes give all their neighbours.
    Never,
}

/// Draws, layer by layer, some of the neighbours of the nodes of a batch: the cost of a batch is the product of the
/// fan-outs, whatever the size of the graph.
///
/// ```
/// use kernels::{random::Key, sparse::{NeighbourSampler, Pattern, Replace}};
/// let star = Pattern::try_undirected(5_usize, &[(0, 1), (0, 2), (0, 3), (0, 4)]).unwrap();
/// let sampler = NeighbourSampler::new(vec![2], Replace::Never);
/// let blocks = sampler.draw(&star, &[0], Key::new(7)).unwrap();
/// assert_eq!((blocks[0].sources.len(), blocks[0].pattern.len()), (3, 2)); // the node and two of its neighbours
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourSampler {
    fan_outs: Vec<usize>,
    replace: Replace,
}

/// One layer of a sampled batch: who is computed, from whom.
#[derive(Clone, Debug)]
pub struct Block {
    /// Node of each source; the first [`targets`](Self::targets) are the nodes that this layer computes.
    pub sources: Vec<u32>,
    /// Number of nodes that this layer computes.
    pub targets: usize,
    /// `(targets, sources)`: who was drawn.
    pub pattern: Pattern,
    /// How often each entry of the pattern was drawn.
    pub counts: Vec<u32>,
}

impl Block {
    /// The matrix that averages over what was drawn for each target, repetitions counted; a row of nobody is 0.
    pub fn mean<E: Real>(&self) -> Csr<E> {
        let starts = self.pattern.starts();
        let mut weights = Vec::with_capacity(self.counts.len());
        for row in 0..self.targets {
            let counts = &self.counts[starts[row]..starts[row + 1]];
            let scale = f64::from(counts.iter().sum::<u32>()).recip();
            weights.extend(counts.iter().map(|&count| E::of(f64::from(count) * scale)));
        }
        Csr::try_new(self.pattern.clone(), weights).expect("one finite weight for each entry")
    }
}

impl NeighbourSampler {
    /// A sampler of `fan_outs[k]` neighbours for each node of layer k, counted from the batch outwards.
    pub fn new(fan_outs: Vec<usize>, replace: Replace) -> Self {
        Self { fan_outs, replace }
    }

    /// Blocks from the outermost layer to the one whose targets are `targets`; a network folds over them. What is
    /// drawn for a node in a layer depends on `key`, layer and node alone.
    ///
    /// **Complexity**: O(batch · Π fan-outs) time and memory, whatever the size of the graph.
    ///
    /// # Errors
    /// [`SparseError::RowOutOfRange`] for a target that is no node, [`SparseError::RepeatedTarget`].
    pub fn draw<N: Dim>(
        &self,
        graph: &Pattern<N, N>,
        targets: &[u32],
        key: Key,
    ) -> Result<Vec<Block>, SparseError> {
        check_nodes(graph, targets)?;
        let mut blocks = Vec::with_capacity(self.fan_outs.len());
        let mut nodes = targets.to_vec();
        for (layer, &fan_out) in self.fan_outs.iter().enumerate() {
            let block = self.layer(graph, nodes, fan_out, key.fold(layer as u64))?;
            nodes = block.sources.clone();
            blocks.push(block);
        }
        blocks.reverse();
        Ok(blocks)
    }

    fn layer<N: Dim>(
        &self,
        graph: &Pattern<N, N>,
        mut sources: Vec<u32>,
        fan_out: usize,
        key: Key,
    ) -> Result<Block, SparseError> {
        let targets = sources.len();
        let mut places: HashMap<u32, u32> = HashMap::with_capacity(targets * (fan_out + 1));
        for (place, &node) in sources.iter().enumerate() {
            if places.insert(node, place as u32).is_some() {
                return Err(SparseError::RepeatedTarget { node });
            }
        }
        let (mut starts, mut columns, mut counts) = (vec![0], Vec::new(), Vec::new());
        let mut drawn = Vec::new();
        for target in 0..targets {
            let node = sources[target];
            self.neighbours(graph.row(node as usize), fan_out, key.fold(u64::from(node)), &mut drawn);
            for neighbour in &mut drawn {
                let next = sources.len() as u32;
                let place = *places.entry(*neighbour).or_insert(next);
                if place == next {
                    sources.push(*neighbour);
                }
                *neighbour = place;
            }
            drawn.sort_unstable();
            for same in drawn.chunk_by(|a, b| a == b) {
                columns.push(same[0]);
                counts.push(same.len() as u32);
            }
            starts.push(columns.len());
        }
        let pattern = Pattern::try_new(targets, sources.len(), starts, columns)?;
        Ok(Block { sources, targets, pattern, counts })
    }

    fn neighbours(&self, all: &[u32], fan_out: usize, key: Key, drawn: &mut Vec<u32>) {
        drawn.clear();
        if all.is_empty() {
            return;
        }
        let mut rng = key.rng();
        let is_short = all.len() <= fan_out;
        if self.replace == Replace::Always || (self.replace == Replace::IfShort && all.len() < fan_out) {
            drawn.extend((0..fan_out).map(|_| all[rng.gen_range(0..all.len())]));
        } else if is_short {
            drawn.extend_from_slice(all);
        } else {
            // Floyd's draw without replacement: places below `last`, each set of them equally likely.
            for last in all.len() - fan_out..all.len() {
                let place = rng.gen_range(0..=last) as u32;
                drawn.push(if drawn.contains(&place) { last as u32 } else { place });
            }
            for place in drawn {
                *place = all[*place as usize];
            }
        }
    }
}

/// Draws an index with probability proportional to its weight in constant time.
///
/// ```
/// use kernels::{random::Key, sparse::AliasTable};
/// let table = AliasTable::try_new(&[0.0, 3.0]).unwrap();
/// assert_eq!(table.draw(&mut Key::new(1).rng()), 1);
/// ```
///
/// **Complexity**: O(n) to build, O(1) a draw.
#[derive(Clone, Debug)]
pub struct AliasTable {
    /// Probability that column i gives i, and what it gives else.
    columns: Vec<(f64, u32)>,
}

impl AliasTable {
    /// A table of weights, finite and not negative.
    ///
    /// # Errors
    /// [`SparseError::TableWeight`] for a weight that is not, or when all are 0 or there is none;
    /// [`SparseError::TooLarge`].
    pub fn try_new(weights: &[f64]) -> Result<Self, SparseError> {
        if weights.len() > u32::MAX as usize {
            return Err(SparseError::TooLarge { size: weights.len() });
        }
        if let Some(index) = weights.iter().position(|&w| !(w >= 0.0 && w.is_finite())) {
            return Err(SparseError::TableWeight { index, weight: weights[index] });
        }
        let sum: f64 = weights.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(SparseError::TableWeight {
                index: 0,
                weight: weights.first().copied().unwrap_or(0.0),
            });
        }
        let n = weights.len();
        let mut columns: Vec<(f64, u32)> =
            weights.iter().zip(0..).map(|(w, i)| (w / sum * n as f64, i)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| columns[i].0 < 1.0);
        while let (Some(&less), Some(&more)) = (small.last(), large.last()) {
            small.pop();
            columns[less].1 = more as u32;
            columns[more].0 -= 1.0 - columns[less].0;
            if columns[more].0 < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        // What rounding left over is certain.
        for i in small.into_iter().chain(large) {
            columns[i].0 = if weights[i] > 0.0 { 1.0 } else { columns[i].0 };
        }
        Ok(Self { columns })
    }

    /// One index.
    pub fn draw(&self, rng: &mut impl RngCore) -> u32 {
        let column = rng.gen_range(0..self.columns.len());
        let (probability, alias) = self.columns[column];
        if rng.r#gen::<f64>() < probability { column as u32 } else { alias }
    }
}
