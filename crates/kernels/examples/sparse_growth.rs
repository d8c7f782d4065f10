//! Do the sparse operations stay linear in the number of edges, up to 10⁷?
//!
//! ```text
//! cargo run --release -p kernels --example sparse_growth
//! ```
//! Random graphs with ten neighbours a node, 10⁴ to 10⁷ edges, 64 features a node. Each line is one operation: the
//! milliseconds of the median of some calls at each size, and the slope of their logarithms over the last decade, where
//! the features of neither graph fit into a cache: 1 is linear. The operations are what a layer of attention on a graph
//! asks for: rows sorted, transposed, multiplied with the backward pass, a score for each edge, scores normalised over
//! the neighbours. Needs 2 GB of memory.
mod support;

use dfdx::prelude::*;
use kernels::random::Key;
use kernels::sparse::{Csr, Pattern, sddmm, segment_softmax, spmm};
use std::hint::black_box;
use std::time::Instant;

const EDGES: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const DEGREE: usize = 10;
const FEATURES: usize = 64;

type Rows = Tensor<(usize, Const<FEATURES>), f32, Cpu>;

/// The median of an odd number of calls, in milliseconds.
fn time(calls: usize, mut f: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[calls / 2]
}

/// Edges of a random graph: node by node, so that only the neighbours are in disorder.
fn draw(edges: usize) -> Vec<(u32, u32)> {
    let nodes = edges / DEGREE;
    let mut drawn = vec![0.0_f32; edges];
    Key::new(1).fold(edges as u64).fill_uniform(&mut drawn);
    let end = |i: usize| ((drawn[i] * nodes as f32) as usize).min(nodes - 1) as u32;
    (0..edges).map(|i| ((i / DEGREE) as u32, end(i))).collect()
}

/// Milliseconds of each operation at one size.
fn measure(device: &Cpu, edges: usize) -> Vec<(&'static str, f64)> {
    let (nodes, list) = (edges / DEGREE, draw(edges));
    let calls = if edges >= 1_000_000 { 3 } else { 9 };
    let graph = Pattern::try_from_edges(nodes, nodes, &list).expect("both ends are nodes");
    let construct = time(calls, || drop(black_box(Pattern::try_from_edges(nodes, nodes, &list))));
    let transpose = time(calls, || {
        // A clone shares the transpose that it has; a graph built anew has none.
        let fresh = Pattern::try_new(nodes, nodes, graph.starts().to_vec(), graph.columns().to_vec());
        drop(black_box(fresh.expect("it was a graph before").transposed()))
    });
    drop(list);
    let adjacency = Csr::<f32>::ones(graph.clone());
    let x: Rows = Key::new(2).normal(device, (nodes, Const));
    let forward = time(calls, || drop(black_box(spmm(&adjacency, x.clone()))));
    let both =
        time(calls, || drop(black_box(kernels::sum_all(spmm(&adjacency, x.leaky_trace())).backward())));
    let scored = time(calls, || drop(black_box(sddmm(&graph, x.clone(), x.clone()))));
    let segments = graph.segments();
    let scores: Tensor<(usize, Const<1>), f32, _> = Key::new(3).normal(device, (graph.len(), Const));
    let normalised = time(calls, || drop(black_box(segment_softmax(scores.clone(), &segments))));
    vec![
        ("rows sorted", construct),
        ("copied, transposed", transpose),
        ("spmm", forward),
        ("spmm, backward", both),
        ("sddmm", scored),
        ("segment_softmax", normalised),
    ]
}

fn main() {
    support::no_arguments(include_str!("sparse_growth.rs"));
    let device = Cpu::default();
    device.enable_cache();
    let all = EDGES.map(|edges| {
        let found = measure(&device, edges);
        device.empty_cache();
        found
    });
    println!("{:<20}{:>12}{:>12}{:>12}{:>12}{:>8}", "edges", EDGES[0], EDGES[1], EDGES[2], EDGES[3], "slope");
    for (i, (name, _)) in all[0].iter().enumerate() {
        let times = [0, 1, 2, 3].map(|size: usize| all[size][i].1);
        let slope = (times[3] / times[2]).log10();
        println!(
            "{name:<20}{:>12.3}{:>12.3}{:>12.2}{:>12.1}{slope:>8.2}",
            times[0], times[1], times[2], times[3]
        );
    }
}
