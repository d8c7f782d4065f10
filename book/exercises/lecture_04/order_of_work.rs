//! # The order decides the memory
//!
//! *In code.* Sixteen numbers are squared and added in pairs, the sums in pairs, and so on to one. Any order in which
//! a node comes after its inputs gives the same result. How many values are alive at once, if each is dropped after
//! its last use? Write the count for any graph and order; count a new value before its inputs are dropped. Then find
//! an order for the sixteen numbers that needs 6 instead of 17.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Most values alive at once; `inputs[node]` are the nodes that `node` reads.
    pub fn peak(inputs: &[Vec<usize>], order: &[usize]) -> usize {
        todo!("when is the value of a node of {} no longer needed?", inputs.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Count how often each node is read, and drop it when the last reader is done. Level by level all sixteen are
    //! alive before the first sum; depth first, each level of the tree keeps one finished half while the other is
    //! being computed: $d + 2$ values for $2^d$ leaves.
    //!
    //! The usual mistake is to drop a value after its *first* use. A shortcut around three layers reads its input
    //! again much later: the count comes out too small, or, in a program, the value is gone.

    // ANCHOR: solution
    /// Most values alive at once; `inputs[node]` are the nodes that `node` reads.
    pub fn peak(inputs: &[Vec<usize>], order: &[usize]) -> usize {
        let mut readers = vec![0; inputs.len()];
        inputs.iter().flatten().for_each(|&input| readers[input] += 1);
        let (mut alive, mut peak) = (0, 0);
        for &node in order {
            alive += 1;
            peak = peak.max(alive);
            for &input in &inputs[node] {
                readers[input] -= 1;
                alive -= usize::from(readers[input] == 0);
            }
        }
        peak
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use nalgebra::dmatrix;
    use optim::autodiff::graph::ComputationGraph;
    use optim::autodiff::tensor::Tape;

    /// Sums in pairs over 16 leaves: the inputs of each node, level by level.
    fn tree() -> Vec<Vec<usize>> {
        let pairs = (0..15).map(|i| vec![2 * i, 2 * i + 1]);
        (0..16).map(|_| Vec::new()).chain(pairs).collect()
    }

    fn depth_first(inputs: &[Vec<usize>], node: usize, order: &mut Vec<usize>) {
        inputs[node].iter().for_each(|&input| depth_first(inputs, input, order));
        order.push(node);
    }

    fn check(peak: fn(&[Vec<usize>], &[usize]) -> usize) {
        let around = [vec![], vec![0], vec![1], vec![2], vec![3, 0]]; // a shortcut around three layers
        assert_eq!(peak(&around, &[0, 1, 2, 3, 4]), 3, "the shortcut");
        let tree = tree();
        assert_eq!(peak(&tree, &(0..31).collect::<Vec<_>>()), 17, "level by level");
        let mut order = Vec::new();
        depth_first(&tree, 30, &mut order);
        assert_eq!(peak(&tree, &order), 6, "depth first");
        // A graph of the tape in the order in which the crate computes it.
        let tape = Tape::new();
        let x = tape.input(dmatrix![0.3]);
        let y = (x.sin() * x.exp() + x.tanh()) * (x.sin() + x);
        let graph = ComputationGraph::from_tape(&tape, y, &[]);
        let nodes = graph.topological_order().unwrap();
        let mut inputs = vec![Vec::new(); nodes.iter().map(|node| node.index() + 1).max().unwrap()];
        for node in &nodes {
            graph.graph().neighbors(*node).for_each(|reader| inputs[reader.index()].push(node.index()));
        }
        let order: Vec<usize> = nodes.iter().map(|node| node.index()).collect();
        assert_eq!(peak(&inputs, &order), graph.peak_memory().unwrap(), "a graph of the tape");
    }

    #[test]
    fn solution_counts_as_the_crate_does() {
        check(super::solution::peak);
    }

    #[test]
    #[should_panic = "no longer needed"]
    fn task_is_open() {
        check(super::task::peak);
    }

    #[test]
    #[should_panic = "the shortcut"]
    fn a_value_may_be_read_again() {
        check(|inputs, order| {
            let mut is_alive = vec![false; inputs.len()];
            let mut peak = 0;
            for &node in order {
                is_alive[node] = true;
                peak = peak.max(is_alive.iter().filter(|alive| **alive).count());
                inputs[node].iter().for_each(|&input| is_alive[input] = false);
            }
            peak
        });
    }
}
