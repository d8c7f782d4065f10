//! Lecture 4: laws of computational graphs and of checkpointing.
use layers::assert_close;
use nalgebra::DMatrix;
use optim::Error;
use optim::autodiff::checkpoint::{self, ChainStep, Plan, optimal_steps};
use optim::autodiff::dual::gradient;
use optim::autodiff::gradcheck::gradcheck;
use optim::autodiff::graph::ComputationGraph;
use optim::autodiff::tensor::{Tape, Var};
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

use crate::autodiff::{OPERATIONS, graph_and_kink, random_graph, random_tensors};

/// What a picture in Graphviz's language says: the label of each node, and (from, to, which argument) of each edge.
type Drawn = (Vec<(usize, String)>, Vec<(usize, usize, usize)>);

/// Reads the language that `to_dot` writes; anything else is a failure.
fn parse_dot(text: &str) -> Drawn {
    let node = |text: &str| text.strip_prefix('n').unwrap().parse::<usize>().unwrap();
    let body = text.strip_prefix("digraph {\n  rankdir=LR;\n").unwrap().strip_suffix("}\n").unwrap();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for line in body.lines() {
        let line = line.trim().strip_suffix("\"];").unwrap();
        if let Some((ends, position)) = line.split_once(" [taillabel=\"") {
            let (from, to) = ends.split_once(" -> ").unwrap();
            edges.push((node(from), node(to), position.parse().unwrap()));
            continue;
        }
        let (name, quoted) = line.split_once(" [label=\"").unwrap();
        let (mut label, mut characters) = (String::new(), quoted.chars());
        while let Some(c) = characters.next() {
            assert_ne!(c, '"', "a quote ends the label: {line}");
            label.push(match c {
                '\\' => match characters.next().unwrap() {
                    'n' => '\n',
                    other => other,
                },
                c => c,
            });
        }
        nodes.push((node(name), label));
    }
    (nodes, edges)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any graph and for the graph of its gradient: an order in which every edge points forwards, as petgraph finds one
    /// too; a simplification that computes the same, at another point as well; a picture that can be read back. And the
    /// gradient costs at most five times the function.
    #[test]
    fn graphs_of_values_and_of_gradients_keep_their_laws(
        x in prop::array::uniform3(-1.5..1.5_f64), other in prop::array::uniform3(-1.5..1.5_f64),
        choices in prop::collection::vec((0..OPERATIONS, any::<u16>(), any::<u16>()), 3..25),
    ) {
        prop_assume!(graph_and_kink(&x, &choices).1 > 0.0); // at a tie every graph may choose
        let number = |x: f64| DMatrix::from_element(1, 1, x);
        let at = |x: [f64; 3]| {
            let tape = Tape::new();
            let vars = x.map(|x| tape.input(number(x)));
            let y = random_tensors(&vars, &choices);
            let gradient = tape.gradient(y, &vars);
            [y, gradient[0], gradient[1], gradient[2]].map(|v| v.number())
        };
        let (value, [a, b, c]) = gradient(|x| random_graph(&x, &choices), x); // dual numbers
        assert_close!(at(x), [value, a, b, c], 1e-11, 1e-12);
        let tape = Tape::new();
        let vars = x.map(|x| tape.input(number(x)));
        let y = random_tensors(&vars, &choices);
        let forward = tape.cost();
        let slopes = tape.gradient(y, &vars);
        let backward = tape.cost() - forward;
        prop_assert!(backward <= 5 * forward, "{backward} after {forward}");
        let names = [(vars[0], "a \\ and \"b\""), (vars[1], "line\nfeed"), (vars[2], "z")];
        for (i, result) in [y, slopes[0], slopes[1], slopes[2]].into_iter().enumerate() {
            let graph = ComputationGraph::from_tape(&tape, result, &names);
            let simple = graph.simplify().unwrap();
            prop_assert!(simple.graph().node_count() <= graph.graph().node_count());
            for graph in [graph, simple] {
                let order = graph.topological_order().unwrap();
                prop_assert_eq!(order.len(), graph.graph().node_count());
                prop_assert_eq!(petgraph::algo::toposort(graph.graph(), None).unwrap().len(), order.len());
                let place = |node| order.iter().position(|n| *n == node).unwrap();
                let ends = |edge| graph.graph().edge_endpoints(edge).unwrap();
                prop_assert!(graph.graph().edge_indices().map(ends).all(|(from, to)| place(from) < place(to)));
                // A result need not depend on every input, and the graph has those that it does depend on.
                let label = |n: petgraph::graph::NodeIndex| graph.graph()[n].label.clone();
                let of = |name: String| names.iter().position(|(_, known)| *known == name).unwrap();
                let read: Vec<usize> = graph.graph().node_indices().filter_map(label).map(of).collect();
                for point in [x, other] {
                    let inputs: Vec<_> = read.iter().map(|&i| number(point[i])).collect();
                    let value = graph.evaluate(&inputs).unwrap()[0];
                    assert_close!(value, at(point)[i], 1e-12, 1e-14, "result {i}");
                }
                let (nodes, mut edges) = parse_dot(&graph.to_dot());
                let mut want: Vec<_> = graph.graph().node_indices().map(|n| (n.index(), graph.label(n))).collect();
                want.sort();
                prop_assert_eq!(nodes, want);
                let mut want: Vec<_> = graph
                    .graph()
                    .edge_indices()
                    .map(|e| (ends(e).0.index(), ends(e).1.index(), graph.graph()[e]))
                    .collect();
                want.sort_unstable();
                edges.sort_unstable();
                prop_assert_eq!(edges, want);
            }
        }
    }
}

#[test]
fn graphs_are_ordered_simplified_and_drawn() {
    let tape = Tape::new();
    let [x, y] = [0.5, -2.0].map(|x| tape.input(DMatrix::from_element(1, 1, x)));
    let _dead = x.exp();
    let two = tape.constant(DMatrix::from_element(1, 1, 2.0));
    let four = two * two; // foldable
    let result = (x * y).sin() * four + (x * y).sin(); // the same sine twice
    let graph = ComputationGraph::from_tape(&tape, result, &[(x, "x"), (y, "the \"y\"")]);
    assert_eq!(graph.graph().node_count(), tape.len() - 1, "the dead branch is left out");
    for graph in [graph.clone(), graph.simplify().unwrap()] {
        let order = graph.topological_order().unwrap();
        let place = |node| order.iter().position(|n| *n == node).unwrap();
        for edge in graph.graph().edge_indices() {
            let (from, to) = graph.graph().edge_endpoints(edge).unwrap();
            assert!(place(from) < place(to));
        }
        assert_eq!(petgraph::algo::toposort(graph.graph(), None).unwrap().len(), order.len());
        let inputs = [0.3, 1.7].map(|x| DMatrix::from_element(1, 1, x));
        let value = graph.evaluate(&inputs).unwrap()[(0, 0)];
        assert_close!(value, 5.0 * (0.3_f64 * 1.7).sin(), 1e-15);
        assert!(matches!(graph.evaluate(&inputs[..1]), Err(Error::Dimension { got: 1, want: 2, .. })));
        // The text parses back.
        let dot = graph.to_dot();
        let edges = dot.lines().filter(|line| line.contains("->")).count();
        let nodes = dot.lines().filter(|line| line.contains("[label=")).count();
        assert_eq!((nodes, edges), (graph.graph().node_count(), graph.graph().edge_count()));
        assert!(dot.contains("the \\\"y\\\""), "quotes are escaped: {dot}");
        let places = graph.layout().unwrap();
        assert_eq!(places.len(), nodes);
        for (i, a) in places.iter().enumerate() {
            assert!(places[..i].iter().all(|b| a.1 != b.1), "two nodes in one place");
        }
    }
    // x, y, x·y, sin, the constant four, the product, the sum: one each.
    let simple = graph.simplify().unwrap();
    assert_eq!(simple.graph().node_count(), 7);
    assert_eq!(simple.depth().unwrap(), 4);
    assert!(simple.peak_memory().unwrap() <= graph.peak_memory().unwrap());
}

/// Operations that differ in the order of their arguments are two operations: of a pair in both orders neither goes.
#[test]
fn simplification_keeps_the_order_of_arguments() {
    let tape = Tape::new();
    let [a, b] = [3.0, 5.0].map(|x| tape.input(DMatrix::from_row_slice(2, 2, &[x, 1.0, 0.5, -x])));
    type Pair<'t> = fn(Var<'t>, Var<'t>) -> Var<'t>;
    let pairs: [(Pair<'_>, Pair<'_>); 4] = [
        (|a, b| a - b, |a, b| b - a),
        (|a, b| a / b, |a, b| b / a),
        (|a, b| a.matmul(b), |a, b| b.matmul(a)),
        (|a, b| a.stack(b), |a, b| b.stack(a)),
    ];
    for (i, (one, other)) in pairs.into_iter().enumerate() {
        let result = (one(a, b).sin() * other(a, b)).sum();
        let twice = (one(a, b).sin() * one(a, b)).sum();
        let graph = ComputationGraph::from_tape(&tape, result, &[]).simplify().unwrap();
        assert_eq!(graph.graph().node_count(), 2 + 2 + 4, "pair {i}"); // inputs, the pair, sine, product, two sums
        let inputs = [a, b].map(|x| x.value().as_ref().clone());
        assert_close!(graph.evaluate(&inputs).unwrap()[0], result.number(), 1e-15, 0.0, "pair {i}");
        let one = ComputationGraph::from_tape(&tape, twice, &[]).simplify().unwrap();
        assert_eq!(one.graph().node_count(), 2 + 1 + 4, "pair {i}: the same operation twice is one");
        assert!((result.number() - twice.number()).abs() > 0.1, "pair {i}");
    }
}

/// tanh(w x + b) on a vector of two, parameters w (2 × 2) and b.
struct Layer {
    w: [[f64; 2]; 2],
    b: [f64; 2],
}

impl ChainStep for Layer {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        (0..2).map(|i| (self.w[i][0] * x[0] + self.w[i][1] * x[1] + self.b[i]).tanh()).collect()
    }

    fn backward(&self, x: &[f64], up: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let y = self.forward(x);
        let d: Vec<f64> = (0..2).map(|i| up[i] * (1.0 - y[i] * y[i])).collect();
        let dx = (0..2).map(|j| self.w[0][j] * d[0] + self.w[1][j] * d[1]).collect();
        (dx, vec![d[0] * x[0], d[0] * x[1], d[1] * x[0], d[1] * x[1], d[0], d[1]])
    }
}

fn chain(n: usize) -> Vec<Layer> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut number = || rng.sample::<f64, _>(StandardNormal);
    (0..n)
        .map(|_| Layer { w: [[number(), number()], [number(), number()]], b: [number(), number()] })
        .collect()
}

#[test]
fn checkpoints_change_the_cost_and_not_one_bit() {
    let loss = |end: &[f64]| vec![end[0], 2.0 * end[1]];
    for n in [1, 2, 7, 100] {
        let steps = chain(n);
        let start = [0.3, -0.4];
        let plain = checkpoint::gradient(&steps, &start, loss, Plan::KeepAll).unwrap();
        assert_eq!((plain.forward_steps, plain.peak_states), (n, n + 1));
        let value = |start: &[f64]| {
            let end = steps.iter().fold(start.to_vec(), |state, step| step.forward(&state));
            0.5 * end[0] * end[0] + end[1] * end[1]
        };
        assert!(gradcheck(value, &start, &plain.start).unwrap().error < 1e-8);
        for segments in [1, 2, 10].into_iter().filter(|&s| s <= n) {
            let got = checkpoint::gradient(&steps, &start, loss, Plan::Uniform { segments }).unwrap();
            assert_eq!((&got.start, &got.parameters), (&plain.start, &plain.parameters));
            assert!(got.forward_steps <= 2 * n && got.peak_states <= segments + n.div_ceil(segments) + 1);
        }
        for checkpoints in [1, 2, 3, 8] {
            let got = checkpoint::gradient(&steps, &start, loss, Plan::Optimal { checkpoints }).unwrap();
            assert_eq!((&got.start, &got.parameters), (&plain.start, &plain.parameters));
            assert_eq!(
                got.forward_steps,
                optimal_steps(n, checkpoints),
                "{n} steps, {checkpoints} checkpoints"
            );
            assert!(got.peak_states <= checkpoints + 1);
        }
    }
    // 10 segments of 10: 9 segments without keeping, then each once more but for its last step, the last to its end.
    let got = checkpoint::gradient(&chain(100), &[0.3, -0.4], loss, Plan::Uniform { segments: 10 }).unwrap();
    assert_eq!(got.forward_steps, 90 + 9 * 9 + 10);
    for plan in
        [Plan::Uniform { segments: 0 }, Plan::Uniform { segments: 3 }, Plan::Optimal { checkpoints: 0 }]
    {
        let refused = checkpoint::gradient(&chain(2), &[0.0, 0.0], loss, plan);
        assert!(matches!(refused, Err(Error::InvalidHyper { .. })), "{plan:?}");
    }
    let none: [Layer; 0] = [];
    assert!(matches!(checkpoint::gradient(&none, &[], loss, Plan::KeepAll), Err(Error::Empty { .. })));
}
