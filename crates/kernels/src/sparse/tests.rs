//! Laws of patterns, samplers and searches, and what the table cannot say of single operations.
use super::*;
use crate::random::Key;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;

fn cases() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..ProptestConfig::default() }
}

/// Edges of a graph on up to `nodes` nodes, in any order, with repetitions.
fn graphs(nodes: u32) -> impl Strategy<Value = (u32, Vec<(u32, u32)>)> {
    (1..nodes).prop_flat_map(|n| (Just(n), prop::collection::vec((0..n, 0..n), 0..60)))
}

/// Floats near 1, exactly representable products.
fn ring(n: u32) -> Pattern {
    Pattern::try_undirected(n as usize, &(0..n).map(|i| (i, (i + 1) % n)).collect::<Vec<_>>()).unwrap()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_pattern_is_the_set_of_its_edges((n, edges) in graphs(12)) {
        let pattern = Pattern::try_from_edges(n as usize, n as usize, &edges).unwrap();
        let set: BTreeSet<_> = edges.iter().copied().collect();
        prop_assert!(pattern.entries().eq(set.iter().copied()));
        let again = Pattern::try_new(n as usize, n as usize, pattern.starts().to_vec(), pattern.columns().to_vec());
        prop_assert_eq!(again.unwrap().len(), set.len());
        let transposed: BTreeSet<_> = set.iter().map(|&(a, b)| (b, a)).collect();
        prop_assert!(pattern.transposed().entries().eq(transposed.iter().copied()));
        prop_assert_eq!(pattern.is_symmetric(), set == transposed);
        let looped: BTreeSet<_> = set.iter().copied().chain((0..n).map(|i| (i, i))).collect();
        prop_assert!(pattern.with_self_loops().entries().eq(looped.iter().copied()));
        let both: BTreeSet<_> = set.union(&transposed).copied().collect();
        prop_assert!(Pattern::try_undirected(n as usize, &edges).unwrap().entries().eq(both.iter().copied()));
    }

    #[test]
    fn a_matrix_is_the_sum_of_its_edges((n, edges) in graphs(10), own in -4..4_i32) {
        let size = n as usize;
        let weighted: Vec<_> = edges.iter().zip(1..).map(|(&(a, b), w)| (a, b, f64::from(w))).collect();
        let a = Csr::try_from_edges(size, size, &weighted).unwrap();
        let mut dense = vec![0.0; size * size];
        for &(i, j, w) in &weighted {
            dense[i as usize * size + j as usize] += w;
        }
        prop_assert_eq!(a.to_dense(), dense.clone());
        let sums: Vec<f64> = dense.chunks(size).map(|row| row.iter().sum()).collect();
        prop_assert_eq!(a.row_sums(), sums);
        let t = a.transposed().to_dense();
        prop_assert!((0..size * size).all(|k| t[k] == dense[k % size * size + k / size]));
        let looped = a.with_self_loops(f64::from(own)).to_dense();
        let diagonal = |k: usize| f64::from(own) * f64::from(u8::from(k.is_multiple_of(size + 1)));
        prop_assert!((0..size * size).all(|k| looped[k] == dense[k] + diagonal(k)));
        let scales: Vec<f64> = (0..n).map(|i| f64::from(i) - 2.0).collect();
        let scaled = a.try_scaled(&scales, &scales).unwrap().to_dense();
        prop_assert!((0..size * size).all(|k| scaled[k] == scales[k / size] * dense[k] * scales[k % size]));
    }

    /// Relabelling the nodes relabels the result.
    #[test]
    fn products_are_equivariant_under_permutations((n, edges) in graphs(9), seed in any::<u64>()) {
        let size = n as usize;
        let order = Key::new(seed).permutation(size);
        let device = Cpu::default();
        let x = Key::new(seed).fold(1).normal::<_, f64, _>(&device, (size, 5_usize));
        let relabelled: Vec<_> =
            edges.iter().map(|&(a, b)| (order[a as usize] as u32, order[b as usize] as u32)).collect();
        let a = Csr::<f64>::ones(Pattern::try_from_edges(size, size, &edges).unwrap());
        let b = Csr::<f64>::ones(Pattern::try_from_edges(size, size, &relabelled).unwrap());
        let index = RowIndex::try_new(size, &order.iter().map(|&i| i as u32).collect::<Vec<_>>()).unwrap();
        let moved = scatter_add_rows(x.clone(), &index);
        let (want, got) = (spmm(&a, x), gather_rows(spmm(&b, moved), &index));
        for (want, got) in want.as_vec().into_iter().zip(got.as_vec()) {
            prop_assert!((want - got).abs() <= 1e-12);
        }
    }

    #[test]
    fn sampled_neighbourhoods_are_of_the_graph((n, edges) in graphs(14), fan_out in 1_usize..6, seed in any::<u64>()) {
        let graph = Pattern::try_from_edges(n as usize, n as usize, &edges).unwrap();
        let targets: Vec<u32> = (0..n).step_by(2).collect();
        for replace in [Replace::Always, Replace::IfShort, Replace::Never] {
            let sampler = NeighbourSampler::new(vec![fan_out, 2], replace);
            let blocks = sampler.draw(&graph, &targets, Key::new(seed)).unwrap();
            prop_assert_eq!(&blocks[1].sources[..blocks[1].targets], &targets[..]);
            prop_assert_eq!(&blocks[0].sources[..blocks[0].targets], &blocks[1].sources[..]);
            for (block, fan_out) in blocks.iter().rev().zip([fan_out, 2]) {
                let distinct: BTreeSet<_> = block.sources.iter().collect();
                prop_assert_eq!(distinct.len(), block.sources.len());
                for target in 0..block.targets {
                    let all = graph.row(block.sources[target] as usize);
                    let drawn = block.pattern.row(target);
                    prop_assert!(drawn.iter().all(|&j| all.contains(&block.sources[j as usize])));
                    let from = block.pattern.starts()[target];
                    let count: u32 = block.counts[from..from + drawn.len()].iter().sum();
                    let want = match replace {
                        Replace::Never => all.len().min(fan_out),
                        _ if all.is_empty() => 0,
                        _ => fan_out,
                    };
                    prop_assert_eq!(count as usize, want, "{:?}", replace);
                    if replace != Replace::Always && all.len() >= fan_out {
                        prop_assert_eq!(drawn.len(), fan_out);
                    }
                }
                let sums = block.mean::<f64>().row_sums();
                prop_assert!(sums.iter().all(|&s| s == 0.0 || (s - 1.0).abs() < 1e-12));
            }
            let again = sampler.draw(&graph, &targets, Key::new(seed)).unwrap();
            prop_assert_eq!(&again[0].sources, &blocks[0].sources);
        }
    }

    /// Nearest neighbours and pairs within a radius, against all distances.
    #[test]
    fn searches_are_exhaustive(n in 1_usize..40, features in 1_usize..6, k in 0_usize..5, r in 0.1..2.5_f64, seed in any::<u64>()) {
        prop_assume!(k < n);
        let mut points = vec![0.0_f64; n * features];
        Key::new(seed).fill_normal(&mut points);
        // Some points at the same place, some on a grid where distances tie.
        for x in points.iter_mut().step_by(2) {
            *x = x.round();
        }
        let squared = |i: usize, j: usize| -> f64 {
            (0..features).map(|f| (points[i * features + f] - points[j * features + f]).powi(2)).sum()
        };
        let near = knn_graph(&points, features, k).unwrap();
        for i in 0..n {
            let mut others: Vec<usize> = (0..n).filter(|&j| j != i).collect();
            others.sort_by(|&a, &b| squared(i, a).total_cmp(&squared(i, b)));
            let farthest = near.row(i).iter().map(|&j| squared(i, j as usize)).fold(0.0, f64::max);
            prop_assert!(k == 0 || (farthest - squared(i, others[k - 1])).abs() <= 1e-12);
            prop_assert_eq!(near.row(i).len(), k);
            prop_assert!(!near.row(i).contains(&(i as u32)));
        }
        let within = radius_graph(&points, features, r).unwrap();
        prop_assert!(within.is_symmetric());
        for i in 0..n {
            for j in 0..n {
                let is_near = i != j && squared(i, j) <= r * r;
                let is_border = (squared(i, j) - r * r).abs() < 1e-12;
                prop_assert!(is_border || is_near == within.row(i).contains(&(j as u32)), "{} {}", i, j);
            }
        }
    }
}

/// Equal distances: lower indices win.
#[test]
fn ties_go_to_the_lower_index() {
    let square = [0.0_f32, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let near = knn_graph(&square, 2, 1).unwrap();
    assert_eq!(near.columns(), [1, 0, 0, 1]);
    assert_eq!(radius_graph(&square, 2, 1.0).unwrap().columns(), [1, 2, 0, 3, 0, 3, 1, 2]);
}

/// Cells far from the origin, and coordinates that no cell number reaches.
#[test]
fn a_radius_search_works_far_out() {
    for far in [0.0, 1e6, 1e12, 1e18, 1e300] {
        let points = [far, far + 0.5, -far - 1.0, 2.0 * far + 7.0];
        let pattern = radius_graph(&points, 1, 0.75_f64).unwrap();
        for i in 0..4_usize {
            for j in 0..4_usize {
                let want = i != j && (points[i] - points[j]).abs() <= 0.75;
                assert_eq!(pattern.row(i).contains(&(j as u32)), want, "{far}: {i} {j}");
            }
        }
    }
}

#[test]
fn extrema_take_the_first_row_and_the_slow_twins_agree() {
    let device = Cpu::default();
    let x = device.tensor([[1.0_f64, -2.0], [3.0, -2.0], [3.0, -5.0], [f64::NAN, 0.0], [4.0, 0.0]]);
    let segments = Segments::from_lengths(&[3, 0, 2]);
    let largest = segment_max(x.leaky_trace(), &segments);
    let values = largest.as_vec();
    assert_eq!(values[..4], [3.0, -2.0, 0.0, 0.0]);
    assert!(values[4].is_nan() && values[5] == 0.0, "{values:?}");
    let weights = device.tensor_from_vec(vec![1.0, 10.0, 100.0, 100.0, 0.0, 7.0], (3, Const::<2>));
    let gradient = (largest * weights.clone()).sum::<Rank0, _>().backward().get(&x).array();
    assert_eq!(gradient, [[0.0, 10.0], [1.0, 0.0], [0.0, 0.0], [0.0, 7.0], [0.0, 0.0]]);
    let smallest = segment_min(x.leaky_trace(), &segments);
    assert_eq!(smallest.as_vec()[..2], [1.0, -5.0]);
    let gradient = (smallest * weights).sum::<Rank0, _>().backward().get(&x).array();
    assert_eq!(gradient[..3], [[1.0, 0.0], [0.0, 0.0], [0.0, 10.0]]);
}

#[test]
fn softmax_and_log_sum_exp_keep_extreme_scores() {
    let x = Cpu::default().tensor([[1e30_f32], [1e30], [f32::NEG_INFINITY], [f32::NEG_INFINITY], [5.0]]);
    let y = segment_softmax(x.clone(), &Segments::from_lengths(&[2, 0, 1, 2])).as_vec();
    assert_eq!((y[0], y[1], y[3], y[4]), (0.5, 0.5, 0.0, 1.0));
    assert!(y[2].is_nan(), "the softmax of −∞ alone does not exist");
    let l = segment_log_sum_exp(x, &Segments::from_lengths(&[2, 0, 1, 2])).as_vec();
    assert_eq!(l, [1e30, f32::NEG_INFINITY, f32::NEG_INFINITY, 5.0]);
}

#[test]
fn no_points_have_no_neighbours() {
    assert_eq!(knn_graph::<f32>(&[], 2, 0).unwrap().len(), 0);
    assert_eq!(radius_graph::<f32>(&[], 2, 1.0).unwrap().len(), 0);
}

/// Attention of a tensor to itself: one tensor as both operands.
#[test]
fn a_tensor_used_twice_collects_both_gradients() {
    let device = Cpu::default();
    let pattern = ring(5);
    let x = Key::new(1).normal::<_, f64, _>(&device, (5_usize, Const::<3>));
    let scores = |x: &Tensor<(usize, Const<3>), f64, Cpu>| {
        let x = x.leaky_trace();
        sddmm(&pattern, x.with_empty_tape(), x).square().sum::<Rank0, _>()
    };
    let gradient = scores(&x).backward().get(&x).as_vec();
    for element in 0..15 {
        let moved = |h: f64| {
            let mut y = x.as_vec();
            y[element] += h;
            scores(&device.tensor_from_vec(y, (5, Const))).array()
        };
        let want = (moved(6e-6) - moved(-6e-6)) / 1.2e-5;
        assert!((gradient[element] - want).abs() < 1e-7 * want.abs().max(1.0), "{element}");
    }
}

/// χ² of counts against probabilities.
fn chi_squared(counts: &[u32], probabilities: &[f64]) -> f64 {
    let n: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    counts.iter().zip(probabilities).map(|(&c, p)| (f64::from(c) - n * p).powi(2) / (n * p)).sum()
}

#[test]
fn long_walks_visit_nodes_in_proportion_to_degree() {
    // A triangle with a tail: connected and not bipartite.
    let graph = Pattern::try_undirected(4_usize, &[(0, 1), (1, 2), (2, 0), (2, 3)]).unwrap();
    // Far-apart steps of many walks, so that visits are nearly independent.
    let walks = RandomWalks::default().with_length(40).draw(&graph, &vec![0; 5000], Key::new(3)).unwrap();
    let mut counts = [0_u32; 4];
    for walk in walks.chunks(41) {
        counts[walk[40] as usize] += 1;
        assert!(walk.windows(2).all(|edge| graph.row(edge[0] as usize).contains(&edge[1])));
    }
    let chi = chi_squared(&counts, &[2.0 / 8.0, 2.0 / 8.0, 3.0 / 8.0, 1.0 / 8.0]);
    assert!(chi < 16.27, "χ² = {chi} with 3 degrees of freedom; the 99.9 % quantile is 16.27");
}

/// From node 0 to 1; then back to 0 has weight 1/p, the common neighbour 2 weight 1, node 3 weight 1/q.
#[test]
fn biased_walks_follow_node2vec() {
    let graph = Pattern::try_undirected(4_usize, &[(0, 1), (0, 2), (1, 2), (1, 3)]).unwrap();
    let walks = RandomWalks::default().with_length(2).with_bias(0.5, 4.0);
    let drawn = walks.draw(&graph, &vec![0; 20_000], Key::new(4)).unwrap();
    let mut counts = [0_u32; 3];
    for walk in drawn.chunks(3).filter(|walk| walk[1] == 1) {
        counts[[0, 2, 3].iter().position(|&node| node == walk[2]).unwrap()] += 1;
    }
    let whole = 2.0 + 1.0 + 0.25;
    let chi = chi_squared(&counts, &[2.0 / whole, 1.0 / whole, 0.25 / whole]);
    assert!(chi < 13.82, "χ² = {chi} with 2 degrees of freedom; the 99.9 % quantile is 13.82");
}

#[test]
fn walks_restart_and_stay_and_do_not_depend_on_threads() {
    let graph = Pattern::try_undirected(50_usize, &(0..48).map(|i| (i, i + 1)).collect::<Vec<_>>()).unwrap();
    let walks = RandomWalks::default().with_length(1).with_restart(0.25);
    let drawn = walks.draw(&graph, &vec![0; 8000], Key::new(5)).unwrap();
    let restarts = drawn.chunks(2).filter(|walk| walk[1] == 0).count() as u32;
    let chi = chi_squared(&[restarts, 8000 - restarts], &[0.25, 0.75]);
    assert!(chi < 10.83, "χ² = {chi} with 1 degree of freedom; the 99.9 % quantile is 10.83");
    assert_eq!(RandomWalks::default().draw(&graph, &[49], Key::new(6)).unwrap(), [49; 6], "an isolated node");
    let starts: Vec<u32> = (0..3000).map(|i| i % 50).collect();
    let run = |threads| {
        crate::pool::with_threads(threads, || {
            RandomWalks::default().draw(&graph, &starts, Key::new(7)).unwrap()
        })
    };
    assert!(run(1) == run(2) && run(1) == run(7));
}

#[test]
fn alias_tables_draw_by_weight() {
    let weights: Vec<f64> = (0..20).map(|degree| f64::from(degree).powf(0.75)).collect();
    let table = AliasTable::try_new(&weights).unwrap();
    let mut rng = Key::new(8).rng();
    let mut counts = [0_u32; 20];
    for _ in 0..40_000 {
        counts[table.draw(&mut rng) as usize] += 1;
    }
    assert_eq!(counts[0], 0, "weight 0 is never drawn");
    let sum: f64 = weights.iter().sum();
    let chi = chi_squared(&counts[1..], &weights[1..].iter().map(|w| w / sum).collect::<Vec<_>>());
    assert!(chi < 42.31, "χ² = {chi} with 18 degrees of freedom; the 99.9 % quantile is 42.31");
}

/// The mean over sampled neighbours is unbiased; its variance is what the theory of sampling says.
#[test]
fn sampled_means_are_unbiased() {
    let n = 11_usize;
    let star = Pattern::try_undirected(n, &(1..n as u32).map(|i| (0, i)).collect::<Vec<_>>()).unwrap();
    let value = |node: u32| f64::from(node * node);
    let (degree, fan_out, draws) = (10.0, 4_usize, 20_000);
    let mean = (1..n as u32).map(value).sum::<f64>() / degree;
    let variance = (1..n as u32).map(|i| (value(i) - mean).powi(2)).sum::<f64>() / degree;
    for (replace, factor) in [(Replace::Always, 1.0), (Replace::Never, (degree - 4.0) / (degree - 1.0))] {
        let sampler = NeighbourSampler::new(vec![fan_out], replace);
        let means: Vec<f64> = (0..draws)
            .map(|i| {
                let block = &sampler.draw(&star, &[0], Key::new(9).fold(i)).unwrap()[0];
                let weights = block.mean::<f64>();
                block
                    .pattern
                    .row(0)
                    .iter()
                    .zip(weights.weights())
                    .map(|(&j, w)| w * value(block.sources[j as usize]))
                    .sum()
            })
            .collect();
        let average = means.iter().sum::<f64>() / draws as f64;
        let want = variance / fan_out as f64 * factor;
        assert!(
            (average - mean).abs() < 4.0 * (want / draws as f64).sqrt(),
            "{replace:?}: {average} instead of {mean}"
        );
        let spread = means.iter().map(|m| (m - average).powi(2)).sum::<f64>() / draws as f64;
        assert!((spread / want - 1.0).abs() < 0.05, "{replace:?}: variance {spread} instead of {want}");
    }
}

#[test]
fn broken_parts_are_refused_by_rule() {
    let parts = |starts: &[usize], columns: &[u32]| {
        Pattern::try_new(2_usize, 3_usize, starts.to_vec(), columns.to_vec()).unwrap_err().to_string()
    };
    assert_eq!(
        parts(&[0, 1], &[0]),
        "2 starts were given for 2 rows; give one for each row and the number of entries at the end"
    );
    assert!(parts(&[1, 1, 1], &[0]).starts_with("row 0 starts at 1"));
    assert!(parts(&[0, 2, 1], &[0]).starts_with("row 1 starts at 2"));
    assert!(parts(&[0, 1, 2], &[0]).starts_with("row 2 starts at 2"));
    assert_eq!(parts(&[0, 1, 2], &[0, 3]), "row 1 has an entry in column 3 of 3; columns count from 0");
    assert!(parts(&[0, 2, 2], &[1, 0]).starts_with("the columns of row 0 do not increase"));
    assert!(parts(&[0, 2, 2], &[1, 1]).starts_with("the columns of row 0 do not increase"));
    let edge = |a, b| Pattern::try_from_edges(2_usize, 3_usize, &[(a, b)]).unwrap_err();
    assert!(matches!(edge(2, 0), SparseError::RowOutOfRange { index: 0, row: 2, rows: 2 }));
    assert!(matches!(edge(0, 3), SparseError::ColumnOutOfRange { row: 0, column: 3, columns: 3 }));
    let pattern = ring(4);
    assert!(matches!(
        Csr::try_new(pattern.clone(), vec![1.0_f32]).unwrap_err(),
        SparseError::WeightCount { weights: 1, entries: 8 }
    ));
    assert!(matches!(
        Csr::try_new(pattern.clone(), vec![f32::NAN; 8]).unwrap_err(),
        SparseError::NonFiniteWeight { entry: 0, .. }
    ));
    let ones = Csr::<f32>::ones(pattern.clone());
    assert!(matches!(
        ones.try_scaled(&[1.0; 3], &[1.0; 4]).unwrap_err(),
        SparseError::ScaleLength { scales: 3, size: 4 }
    ));
    for starts in [vec![], vec![1, 2], vec![0, 2, 1]] {
        assert!(Segments::try_new(starts).is_err());
    }
}

#[test]
fn broken_requests_are_refused_by_rule() {
    let graph = ring(4);
    let walks = RandomWalks::default();
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = walks.with_bias(value, 1.0).draw(&graph, &[0], Key::new(1)).unwrap_err();
        assert!(matches!(error, SparseError::WalkParameter { parameter: "return_parameter", .. }));
    }
    for value in [-0.1, 1.0, f64::NAN] {
        assert!(walks.with_restart(value).draw(&graph, &[0], Key::new(1)).is_err());
    }
    assert!(matches!(
        walks.draw(&graph, &[0, 4], Key::new(1)).unwrap_err(),
        SparseError::RowOutOfRange { index: 1, row: 4, rows: 4 }
    ));
    let sampler = NeighbourSampler::new(vec![2], Replace::Never);
    assert!(matches!(
        sampler.draw(&graph, &[1, 1], Key::new(1)).unwrap_err(),
        SparseError::RepeatedTarget { node: 1 }
    ));
    for weights in [&[][..], &[0.0, 0.0], &[1.0, -1.0], &[f64::NAN], &[f64::INFINITY]] {
        assert!(AliasTable::try_new(weights).is_err(), "{weights:?}");
    }
    assert!(matches!(
        knn_graph(&[0.0_f32; 5], 2, 1).unwrap_err(),
        SparseError::PointLength { elements: 5, features: 2 }
    ));
    assert!(matches!(
        knn_graph(&[0.0_f32; 4], 2, 2).unwrap_err(),
        SparseError::TooFewPoints { neighbours: 2, points: 2 }
    ));
    assert!(matches!(
        radius_graph(&[0.0, 0.0, f32::NAN, 0.0], 2, 1.0).unwrap_err(),
        SparseError::NonFinitePoint { point: 1 }
    ));
    for radius in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(matches!(
            radius_graph(&[0.0; 4], 2, radius).unwrap_err(),
            SparseError::RadiusOutOfRange { .. }
        ));
    }
}
