//! A tape as a graph: order of evaluation, depth, memory, simplification, picture.
//!
//! Nodes are operations, an edge leads from an input to its user and carries the position of the argument. The graph is a
//! petgraph `StableDiGraph`, so removing nodes leaves the names of the others alone.
//!
//! **Property**: every edge points forwards in the order; simplification keeps the value; the text for Graphviz parses
//! back to as many nodes and edges. **Cross-check**: petgraph's own `toposort`.
use super::tensor::{Op, Tape, Var};
use crate::Error;
use nalgebra::DMatrix;
use petgraph::Direction::{Incoming, Outgoing};
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef, IntoEdgeReferences};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// An operation and the value that it had on the tape.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What it computes.
    pub op: Op,
    /// Its value.
    pub value: Rc<DMatrix<f64>>,
    /// A name for pictures; inputs can be given one.
    pub label: Option<String>,
}

/// Operations that lead to one result.
#[derive(Clone, Debug)]
pub struct ComputationGraph {
    graph: StableDiGraph<Operation, usize>,
    output: NodeIndex,
}

impl ComputationGraph {
    /// Everything that `output` depends on; what is on the tape beside it is left out.
    pub fn from_tape(tape: &Tape, output: Var<'_>, names: &[(Var<'_>, &str)]) -> Self {
        let nodes = tape.nodes();
        let mut needed = vec![false; output.index() + 1];
        needed[output.index()] = true;
        let mut stack = vec![output.index()];
        while let Some(index) = stack.pop() {
            for &input in &nodes[index].inputs {
                if !needed[input] {
                    needed[input] = true;
                    stack.push(input);
                }
            }
        }
        let mut graph = StableDiGraph::new();
        let mut at: Vec<Option<NodeIndex>> = vec![None; output.index() + 1];
        for index in (0..=output.index()).filter(|&index| needed[index]) {
            let node = &nodes[index];
            let name =
                names.iter().find(|(var, _)| var.index() == index).map(|(_, name)| (*name).to_string());
            let new =
                graph.add_node(Operation { op: node.op, value: Rc::clone(&node.value.matrix), label: name });
            for (position, &input) in node.inputs.iter().enumerate() {
                graph.add_edge(at[input].expect("inputs come before their users"), new, position);
            }
            at[index] = Some(new);
        }
        let output = at[output.index()].expect("the output is needed");
        Self { graph, output }
    }

    /// The petgraph graph.
    pub fn graph(&self) -> &StableDiGraph<Operation, usize> {
        &self.graph
    }

    /// The result.
    pub fn output(&self) -> NodeIndex {
        self.output
    }

    /// Inputs of a node in the order of its arguments.
    fn inputs(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let mut inputs: Vec<_> =
            self.graph.edges_directed(node, Incoming).map(|edge| (*edge.weight(), edge.source())).collect();
        inputs.sort_unstable();
        inputs.into_iter().map(|(_, input)| input).collect()
    }

    /// An order in which every node comes after its inputs (Kahn 1962): take away what waits for nothing, again and again.
    /// Time O(nodes + edges).
    ///
    /// # Errors
    /// [`Error::Cycle`] when some nodes wait for each other.
    pub fn topological_order(&self) -> Result<Vec<NodeIndex>, Error> {
        order(&self.graph)
    }

    /// Operations on the longest way from an input to the result.
    ///
    /// # Errors
    /// As [`topological_order`](Self::topological_order).
    pub fn depth(&self) -> Result<usize, Error> {
        Ok(self.levels()?[&self.output])
    }

    /// For each node, the operations on the longest way to it; 0 for inputs.
    fn levels(&self) -> Result<HashMap<NodeIndex, usize>, Error> {
        let mut levels: HashMap<NodeIndex, usize> = HashMap::new();
        for node in self.topological_order()? {
            let level = self.inputs(node).iter().map(|input| levels[input] + 1).max().unwrap_or(0);
            levels.insert(node, level);
        }
        Ok(levels)
    }

    /// Most numbers that are alive at once when the nodes are computed in topological order and each value is dropped
    /// after its last use.
    ///
    /// # Errors
    /// As [`topological_order`](Self::topological_order).
    pub fn peak_memory(&self) -> Result<usize, Error> {
        let mut users: HashMap<NodeIndex, usize> =
            self.graph.node_indices().map(|n| (n, self.graph.edges_directed(n, Outgoing).count())).collect();
        let size = |node: NodeIndex| self.graph[node].value.len();
        let (mut alive, mut peak) = (0, 0);
        for node in self.topological_order()? {
            alive += size(node);
            peak = peak.max(alive);
            for input in self.inputs(node) {
                let left = users.get_mut(&input).expect("every node was counted");
                *left -= 1;
                if *left == 0 {
                    alive -= size(input);
                }
            }
        }
        Ok(peak)
    }

    /// Computes the result again, with other values for the inputs, in the order of their appearance on the tape.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of inputs, and as [`topological_order`](Self::topological_order).
    pub fn evaluate(&self, inputs: &[DMatrix<f64>]) -> Result<DMatrix<f64>, Error> {
        let mut given = inputs.iter();
        let want = self.graph.node_weights().filter(|operation| operation.op == Op::Input).count();
        if want != inputs.len() {
            return Err(Error::Dimension { what: "inputs of the graph", got: inputs.len(), want });
        }
        let mut values: HashMap<NodeIndex, Rc<DMatrix<f64>>> = HashMap::new();
        let mut sources: Vec<NodeIndex> = self.graph.node_indices().collect();
        sources.sort_unstable();
        for node in sources.into_iter().filter(|&node| self.graph[node].op == Op::Input) {
            values.insert(node, Rc::new(given.next().expect("counted above").clone()));
        }
        for node in self.topological_order()? {
            if values.contains_key(&node) {
                continue;
            }
            let operation = &self.graph[node];
            let value = if operation.op == Op::Constant {
                Rc::clone(&operation.value)
            } else {
                let inputs = self.inputs(node);
                let read: Vec<&DMatrix<f64>> = inputs.iter().map(|input| &*values[input]).collect();
                Rc::new(operation.op.forward(&read))
            };
            values.insert(node, value);
        }
        Ok(values[&self.output].as_ref().clone())
    }

    /// The same function with fewer nodes: operations on constants become constants, equal operations on equal inputs
    /// become one, and what nothing reads goes. Inputs stay.
    ///
    /// # Errors
    /// As [`topological_order`](Self::topological_order).
    pub fn simplify(&self) -> Result<Self, Error> {
        let mut simple = self.clone();
        let mut seen: HashMap<(String, Vec<NodeIndex>), NodeIndex> = HashMap::new();
        for node in self.topological_order()? {
            let inputs = simple.inputs(node);
            let is_constant = |input: &NodeIndex| simple.graph[*input].op == Op::Constant;
            if !inputs.is_empty() && inputs.iter().all(is_constant) {
                simple.graph[node].op = Op::Constant;
                let edges: Vec<_> =
                    simple.graph.edges_directed(node, Incoming).map(|edge| edge.id()).collect();
                for edge in edges {
                    simple.graph.remove_edge(edge);
                }
            }
            let operation = &simple.graph[node];
            let key = match operation.op {
                Op::Input => continue,
                // Equal bits, so that -0 and 0 stay apart.
                Op::Constant => {
                    let bits: Vec<u64> = operation.value.iter().map(|x| x.to_bits()).collect();
                    (format!("{:?} {bits:?}", operation.value.shape()), Vec::new())
                }
                op => (format!("{op:?}"), simple.inputs(node)),
            };
            let Some(&twin) = seen.get(&key) else {
                seen.insert(key, node);
                continue;
            };
            let users: Vec<(NodeIndex, usize)> = simple
                .graph
                .edges_directed(node, Outgoing)
                .map(|edge| (edge.target(), *edge.weight()))
                .collect();
            for (user, position) in users {
                simple.graph.add_edge(twin, user, position);
            }
            if simple.output == node {
                simple.output = twin;
            }
            simple.graph.remove_node(node);
        }
        simple.remove_dead();
        Ok(simple)
    }

    fn remove_dead(&mut self) {
        let is_dead = |graph: &StableDiGraph<Operation, usize>, output, node: NodeIndex| {
            node != output
                && graph[node].op != Op::Input
                && graph.edges_directed(node, Outgoing).next().is_none()
        };
        let mut waiting: VecDeque<NodeIndex> =
            self.graph.node_indices().filter(|&node| is_dead(&self.graph, self.output, node)).collect();
        while let Some(node) = waiting.pop_front() {
            let inputs = self.inputs(node);
            self.graph.remove_node(node);
            let dead = |input: &NodeIndex| {
                self.graph.contains_node(*input) && is_dead(&self.graph, self.output, *input)
            };
            waiting.extend(inputs.into_iter().filter(dead));
        }
    }

    /// The graph in the language of Graphviz, inputs left and the result right.
    pub fn to_dot(&self) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut text = String::from("digraph {\n  rankdir=LR;\n");
        let mut nodes: Vec<NodeIndex> = self.graph.node_indices().collect();
        nodes.sort_unstable();
        for node in nodes {
            text += &format!("  n{} [label=\"{}\"];\n", node.index(), quoted(&self.label(node)));
        }
        let mut edges: Vec<_> = self
            .graph
            .edge_references()
            .map(|e| (e.source().index(), e.target().index(), *e.weight()))
            .collect();
        edges.sort_unstable();
        for (source, target, position) in edges {
            text += &format!("  n{source} -> n{target} [taillabel=\"{position}\"];\n");
        }
        text + "}\n"
    }

    /// Name and value, or the shape where there is more than one number.
    pub fn label(&self, node: NodeIndex) -> String {
        let operation = &self.graph[node];
        let name = operation.label.clone().unwrap_or_else(|| operation.op.name());
        match operation.value.shape() {
            (1, 1) => format!("{name}\n{:.3}", operation.value[(0, 0)]),
            (rows, columns) => format!("{name}\n{rows} × {columns}"),
        }
    }

    /// A place for each node: its level from the left, and a height that keeps edges short (three sweeps of the mean
    /// height of the neighbours, Sugiyama et al. 1981).
    ///
    /// # Errors
    /// As [`topological_order`](Self::topological_order).
    pub fn layout(&self) -> Result<Vec<(NodeIndex, (f64, f64))>, Error> {
        let levels = self.levels()?;
        let order = self.topological_order()?;
        let deepest = levels.values().copied().max().unwrap_or(0);
        let mut columns: Vec<Vec<NodeIndex>> = vec![Vec::new(); deepest + 1];
        order.iter().for_each(|node| columns[levels[node]].push(*node));
        let spread = |column: &[NodeIndex], heights: &mut HashMap<NodeIndex, f64>| {
            for (row, &node) in column.iter().enumerate() {
                heights.insert(node, row as f64 - (column.len() - 1) as f64 / 2.0);
            }
        };
        let mut heights = HashMap::new();
        columns.iter().for_each(|column| spread(column, &mut heights));
        for _ in 0..3 {
            for column in &mut columns {
                let mean = |node: &NodeIndex| {
                    let near: Vec<f64> =
                        self.graph.neighbors_undirected(*node).map(|n| heights[&n]).collect();
                    near.iter().sum::<f64>() / near.len().max(1) as f64
                };
                column.sort_by(|a, b| mean(a).total_cmp(&mean(b)).then(a.cmp(b)));
                spread(column, &mut heights);
            }
        }
        Ok(order.into_iter().map(|node| (node, (levels[&node] as f64, heights[&node]))).collect())
    }
}

// ANCHOR: kahn
/// Kahn's algorithm on any graph of operations.
pub(super) fn order<N>(graph: &StableDiGraph<N, usize>) -> Result<Vec<NodeIndex>, Error> {
    let mut waits_for: HashMap<NodeIndex, usize> =
        graph.node_indices().map(|node| (node, graph.edges_directed(node, Incoming).count())).collect();
    let mut ready: VecDeque<NodeIndex> = graph.node_indices().filter(|node| waits_for[node] == 0).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(node) = ready.pop_front() {
        order.push(node);
        for edge in graph.edges_directed(node, Outgoing) {
            let left = waits_for.get_mut(&edge.target()).expect("every node was counted");
            *left -= 1;
            if *left == 0 {
                ready.push_back(edge.target());
            }
        }
    }
    match graph.node_count() - order.len() {
        0 => Ok(order),
        nodes => Err(Error::Cycle { nodes }),
    }
}
// ANCHOR_END: kahn

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_an_error() {
        let mut graph: StableDiGraph<(), usize> = StableDiGraph::new();
        let [a, b, c] = [(); 3].map(|()| graph.add_node(()));
        graph.extend_with_edges([(a, b, 0), (b, c, 0)]);
        assert_eq!(order(&graph).unwrap(), [a, b, c]);
        graph.add_edge(c, b, 1);
        assert!(matches!(order(&graph), Err(Error::Cycle { nodes: 2 })));
    }
}
