//! Layers on graphs: PyTorch Geometric's values and gradients, second order, and the laws of graphs.
use kernels::random::Key;
use kernels::sparse::{Csr, Segments, SparseError};
use layers::graph::{Grouped, OnGraph};
use layers::prelude::*;
use layers::testing::{Golden, gradient_check};
use layers::{Along, Cost, Dual, assert_close, params};
use proptest::prelude::*;

const NODES: usize = 7;
type Graph = Csr<f64, Const<NODES>, Const<NODES>>;
type Nodes<const F: usize, T = NoneTape> = Tensor<Rank2<NODES, F>, f64, Cpu, T>;
type Moving<'a, const F: usize> =
    OnGraph<'a, Dual<Rank2<NODES, F>, f64, Cpu, OwnedTape<f64, Cpu>>, f64, Const<NODES>>;

fn golden() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/graph_layers.json"))
}

/// Every edge of the file in both directions.
fn directed(golden: &Golden) -> Vec<(u32, u32)> {
    let edges = golden.value("edges").as_array().unwrap().iter();
    let end = |edge: &serde_json::Value, i: usize| edge[i].as_u64().unwrap() as u32;
    edges.flat_map(|edge| [(end(edge, 0), end(edge, 1)), (end(edge, 1), end(edge, 0))]).collect()
}

fn adjacency(edges: &[(u32, u32)]) -> Graph {
    let weighted: Vec<_> = edges.iter().map(|&(a, b)| (a, b, 1.0)).collect();
    Csr::try_from_edges(Const, Const, &weighted).unwrap()
}

/// D̃^−½ (A + 1) D̃^−½.
fn renormalised(adjacency: &Graph) -> Graph {
    let looped = adjacency.with_self_loops(1.0);
    let scale: Vec<f64> = looped.row_sums().iter().map(|sum| sum.sqrt().recip()).collect();
    looped.try_scaled(&scale, &scale).unwrap()
}

/// D⁻¹ A; a node without neighbours receives nothing.
fn mean(adjacency: &Graph) -> Graph {
    let scale: Vec<f64> =
        adjacency.row_sums().iter().map(|&sum| if sum > 0.0 { sum.recip() } else { 0.0 }).collect();
    adjacency.try_scaled(&scale, &[1.0; NODES]).unwrap()
}

/// One run of the golden file on a graph.
fn matches_reference<const O: usize, L>(golden: &Golden, name: &str, graph: &Graph)
where
    L: BuildOnDevice<Cpu, f64>,
    L::Built: for<'a> Module<
            OnGraph<'a, Nodes<3, OwnedTape<f64, Cpu>>, f64, Const<NODES>>,
            Output = OnGraph<'a, Nodes<O, OwnedTape<f64, Cpu>>, f64, Const<NODES>>,
        >,
{
    let dev = Cpu::default();
    let at = |field: &str| golden.numbers(&format!("runs/{name}/{field}"));
    let mut layer = dev.build_module::<L, f64>();
    params::unflatten(&mut layer, &at("weights")).unwrap();
    let x: Nodes<3> = dev.tensor(golden.numbers("x"));
    let y = layer.forward(OnGraph { x: x.leaky_trace(), graph }).x;
    assert_close!(y.as_vec(), at("y"), 1e-13, 1e-14, "{name}: y");
    let gy: Nodes<O> = dev.tensor(at("gy"));
    let mut gradients = (y * gy).sum().backward();
    assert_close!(gradients.get(&x).as_vec(), at("gx"), 1e-13, 1e-14, "{name}: gx");
    let gw = params::flatten_gradients(&layer, &mut gradients).unwrap();
    assert_close!(gw, at("gw"), 1e-13, 1e-14, "{name}: gw");
}

#[test]
fn values_and_gradients_are_those_of_pytorch_geometric() {
    let golden = golden();
    let sum = adjacency(&directed(&golden));
    let (gcn, mean) = (renormalised(&sum), mean(&sum));
    matches_reference::<2, GraphConvolution<3, 2>>(&golden, "gcn_narrowing", &gcn);
    matches_reference::<5, GraphConvolution<3, 5>>(&golden, "gcn_widening", &gcn);
    matches_reference::<2, NeighbourConvolution<3, 2>>(&golden, "sage_narrowing", &mean);
    matches_reference::<5, NeighbourConvolution<3, 5>>(&golden, "sage_widening", &mean);
    matches_reference::<2, NeighbourConvolution<3, 2>>(&golden, "sage_sum", &sum);

    let x: Nodes<3> = Cpu::default().tensor(golden.numbers("x"));
    let lengths: Vec<usize> = golden.numbers("group_lengths").iter().map(|&length| length as usize).collect();
    let segments = Segments::from_lengths(&lengths);
    let grouped = || Grouped { x: x.clone(), segments: &segments };
    for (name, y) in [
        ("sum", SumReadout.forward(grouped())),
        ("mean", MeanReadout.forward(grouped())),
        ("max", MaxReadout.forward(grouped())),
    ] {
        assert_close!(y.as_vec(), golden.numbers(&format!("runs/readout_{name}/y")), 1e-14, 1e-15, "{name}");
    }
    golden.finish();
}

/// The tangent against a difference of values, and the gradient of a loss of the tangent alone by weights and features;
/// first for moving features (and by how they move), then for moving weights.
fn second_order_is_exact<N>(name: &str)
where
    N: BuildOnDevice<Cpu, f64>,
    N::Built: TensorCollection<f64, Cpu>
        + Clone
        + for<'a> Module<
            OnGraph<'a, Nodes<3>, f64, Const<NODES>>,
            Output = OnGraph<'a, Nodes<2>, f64, Const<NODES>>,
        > + for<'a> Module<Moving<'a, 3>, Output = Moving<'a, 2>>
        + for<'a> Along<Moving<'a, 3>, Output = Moving<'a, 2>>,
{
    const H: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(5);
    let graph = &renormalised(&adjacency(&directed(&golden_edges())));
    let (net, direction) = (dev.build_module::<N, f64>(), dev.build_module::<N, f64>());
    let (x, v): (Nodes<3>, Nodes<3>) = (dev.sample_normal(), dev.sample_normal());

    let tangent = |net: &N::Built, x: &Nodes<3>, v: &Nodes<3>| {
        net.forward(OnGraph { x: Dual::new(x.leaky_trace(), v.clone()), graph }).x.tangent()
    };
    let moved = |h: f64| net.forward(OnGraph { x: x.clone() + v.clone() * h, graph }).x;
    assert_close!(tangent(&net, &x, &v), (moved(H) - moved(-H)) / (2.0 * H), 1e-8, 1e-9, "{name}");
    let all = (net.clone(), x.clone(), v);
    gradient_check(&all, |(net, x, v)| tangent(net, x, v).square().mean()).assert(1e-7);

    let tangent = |net: &N::Built, direction: &N::Built, x: &Nodes<3>| {
        net.along(direction, OnGraph { x: Dual::constant(x.leaky_trace()), graph }).x.tangent()
    };
    let moved = |h: f64| {
        let (mut at, along) = (params::flatten(&net), params::flatten(&direction));
        at.iter_mut().zip(&along).for_each(|(w, d)| *w += h * d);
        let mut net = net.clone();
        params::unflatten(&mut net, &at).unwrap();
        net.forward(OnGraph { x: x.clone(), graph }).x
    };
    let difference = (moved(H) - moved(-H)) / (2.0 * H);
    assert_close!(tangent(&net, &direction, &x), difference, 1e-8, 1e-9, "{name}, weights");
    gradient_check(&(net.clone(), x), |(net, x)| tangent(net, &direction, x).square().mean()).assert(1e-7);
}

/// The file read for its edges only.
fn golden_edges() -> Golden {
    let golden = golden();
    golden.skip("");
    golden
}

#[test]
fn tangents_and_their_gradients_are_exact() {
    second_order_is_exact::<(
        GraphConvolution<3, 4, Tanh>,
        PerNode<(Linear<4, 3>, Sigmoid)>,
        GraphConvolution<3, 2>,
    )>("convolutions");
    second_order_is_exact::<(NeighbourConvolution<3, 4, Softplus>, NeighbourConvolution<4, 2, Tanh>)>(
        "neighbours",
    );
}

#[test]
fn readouts_move_with_their_rows() {
    let dev = Cpu::default();
    let (x, v): (Nodes<3>, Nodes<3>) =
        (Key::new(1).normal(&dev, Default::default()), Key::new(2).normal(&dev, Default::default()));
    let segments = Segments::from_lengths(&[3, 0, 4]);
    let dual = || Grouped { x: Dual::new(x.leaky_trace(), v.clone()), segments: &segments };
    let of = |x: &Nodes<3>| Grouped { x: x.clone(), segments: &segments };
    // Linear ones move by their value at the direction.
    assert_close!(SumReadout.forward(dual()).tangent(), SumReadout.forward(of(&v)), 1e-14, 1e-15);
    assert_close!(MeanReadout.forward(dual()).tangent(), MeanReadout.forward(of(&v)), 1e-14, 1e-15);
    let moved = MaxReadout.forward(of(&(x.clone() + v.clone() * 1e-7)));
    let tangent = MaxReadout.forward(dual()).tangent();
    assert_close!(tangent, (moved - MaxReadout.forward(of(&x))) * 1e7, 1e-6, 1e-7);
}

#[test]
fn gradients_are_those_of_differences_without_the_gradient_of_the_features() {
    let dev = Cpu::seed_from_u64(3);
    let graph = &mean(&adjacency(&directed(&golden_edges())));
    type Net = (GraphConvolution<3, 5, Tanh>, NeighbourConvolution<5, 2, Tanh>);
    let mut net = dev.build_module::<Net, f64>();
    net.0.input_gradient = InputGradient::Skipped;
    let x: Nodes<3> = dev.sample_normal();
    let loss = |net: &<Net as BuildOnDevice<Cpu, f64>>::Built| {
        net.forward(OnGraph { x: x.leaky_trace(), graph }).x.square().mean()
    };
    gradient_check(&net, loss).assert(1e-8);
    let mut gradients = loss(&net).backward();
    gradients.try_alloc_for(&x).unwrap();
    assert_eq!(gradients.get(&x).array(), [[0.0; 3]; NODES], "nobody asked for the gradient of the features");
}

#[test]
fn sampled_nodes_are_rows_of_the_whole_graph() {
    let dev = Cpu::seed_from_u64(4);
    let graph = mean(&adjacency(&directed(&golden_edges())));
    let x: Nodes<3> = dev.sample_normal();
    let rows = [3_u32, 0, 6];
    let entries: Vec<_> = (0..)
        .zip(rows)
        .flat_map(|(i, row)| {
            let starts = graph.pattern().starts();
            (starts[row as usize]..starts[row as usize + 1]).map(move |e| (i, e))
        })
        .map(|(i, e)| (i, graph.pattern().columns()[e], graph.weights()[e]))
        .collect();
    let block = Csr::try_from_edges(Const::<3>, Const::<NODES>, &entries).unwrap();
    let own: Tensor<Rank2<3, 3>, f64, Cpu> = x.clone().gather(dev.tensor(rows.map(|row| row as usize)));

    let layer = dev.build_module::<NeighbourConvolution<3, 2, Relu>, f64>();
    let all = layer.forward(OnGraph { x: x.clone(), graph: &graph }).x.array();
    let some = layer.try_run(own, x.clone(), &block).unwrap();
    assert_close!(some.as_vec(), rows.map(|row| all[row as usize]).concat(), 1e-14, 1e-15);
    let layer = dev.build_module::<GraphConvolution<3, 4>, f64>();
    let all = layer.forward(OnGraph { x: x.clone(), graph: &graph }).x.array();
    let some = layer.try_run(x, &block).unwrap();
    assert_close!(some.as_vec(), rows.map(|row| all[row as usize]).concat(), 1e-14, 1e-15);
}

#[test]
fn sizes_that_do_not_fit_are_typed_errors() {
    let dev = Cpu::seed_from_u64(0);
    let layer = dev.build_module::<NeighbourConvolution<3, 2>, f64>();
    let rows = |n: usize| dev.zeros_like(&(n, Const::<3>));
    let block = Csr::try_from_edges(2, 4, &[(0, 3, 1.0)]).unwrap();
    let error = layer.try_run(rows(3), rows(4), &block).unwrap_err();
    assert!(
        matches!(error, SparseError::LengthMismatch { operand: "own features", length: 3, expected: 2 }),
        "{error}"
    );
    assert!(matches!(
        layer.try_run(rows(2), rows(5), &block),
        Err(SparseError::LengthMismatch { length: 5, expected: 4, .. })
    ));
    let layer = dev.build_module::<GraphConvolution<3, 4>, f64>();
    assert!(matches!(
        layer.try_run(rows(5), &block),
        Err(SparseError::LengthMismatch { length: 5, expected: 4, .. })
    ));
}

#[test]
fn models_train_count_and_name_their_tensors() {
    type Net = (GraphConvolution<3, 4, Relu>, PerNode<Dropout>, GraphConvolution<4, 2>);
    assert_eq!((Net::PARAMS, Net::MACS), (3 * 4 + 4 + 4 * 2 + 2, 3 * 4 + 4 * 2));
    assert_eq!((NeighbourConvolution::<3, 4>::PARAMS, NeighbourConvolution::<3, 4>::MACS), (28, 24));
    let dev = Cpu::seed_from_u64(6);
    let mut net = dev.build_module::<Net, f64>();
    assert_eq!(params::names(&net), ["0.weight", "0.bias", "2.weight", "2.bias"]);
    assert_eq!(params::count(&net), Net::PARAMS);
    let bound = (6.0_f64 / 7.0).sqrt();
    assert!(net.0.weight.as_vec().iter().all(|w| w.abs() <= bound) && net.0.bias.array() == [0.0; 4]);

    let graph = renormalised(&adjacency(&directed(&golden_edges())));
    let x: Nodes<3> = dev.ones();
    let calm = net.forward(OnGraph { x: x.clone(), graph: &graph }).x.array();
    let noisy = net.forward_mut(OnGraph { x: x.leaky_trace(), graph: &graph }).x.array();
    assert_eq!(net.forward(OnGraph { x, graph: &graph }).x.array(), calm);
    assert_ne!(noisy, calm, "dropout of half of the features, in training only");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// New names for the nodes change their order in the result and nothing else, to rounding; and the result is that of
    /// dense matrices.
    #[test]
    fn results_follow_the_names_of_the_nodes(
        edges in prop::collection::btree_set((0..NODES as u32, 0..NODES as u32), 0..30),
        seed in 0..u64::MAX,
    ) {
        let edges: Vec<_> = edges.into_iter().collect();
        let dev = Cpu::seed_from_u64(seed);
        let names = Key::new(seed).permutation(NODES);
        let renamed: Vec<_> = edges.iter().map(|&(a, b)| (names[a as usize] as u32, names[b as usize] as u32)).collect();
        let (graph, other) = (mean(&adjacency(&edges)), mean(&adjacency(&renamed)));
        let x: Nodes<3> = dev.sample_normal();
        let mut moved = vec![[0.0; 3]; NODES];
        x.array().iter().zip(&names).for_each(|(row, &name)| moved[name] = *row);
        let moved: Nodes<3> = dev.tensor(<[[f64; 3]; NODES]>::try_from(moved).unwrap());

        let net = dev.build_module::<(NeighbourConvolution<3, 5, Tanh>, GraphConvolution<5, 2>), f64>();
        let y = net.forward(OnGraph { x: x.clone(), graph: &graph }).x;
        let renamed = net.forward(OnGraph { x: moved, graph: &other }).x.array();
        for (row, &name) in y.array().iter().zip(&names) {
            assert_close!(&row[..], &renamed[name][..], 1e-12, 1e-13);
        }

        let dense: Tensor<Rank2<NODES, NODES>, f64, _> = dev.tensor(graph.to_dense());
        let (first, second) = (&net.0, &net.1);
        let affine = |rows: Nodes<5>, bias: &Tensor<Rank1<5>, f64, Cpu>| rows + bias.clone().broadcast();
        let near = dense.clone().matmul(x.clone()).matmul(first.weight_near.clone().permute());
        let h = affine(x.matmul(first.weight_self.clone().permute()) + near, &first.bias).tanh();
        let want = dense.matmul(h).matmul(second.weight.clone().permute()) + second.bias.clone().broadcast();
        assert_close!(y, want, 1e-12, 1e-13);
    }
}
