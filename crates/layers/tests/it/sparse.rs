//! Tangents of the sparse operations: against differences of values, and the gradient of a loss of the tangent alone.
use kernels::random::Key;
use kernels::sparse::{Csr, Pattern, RowIndex, Segments};
use layers::prelude::*;
use layers::testing::gradient_check;
use layers::{Dual, assert_close};

type Rows<const N: usize, T = NoneTape> = Tensor<Rank2<N, 3>, f64, Cpu, T>;
type Moving<const N: usize> = Dual<Rank2<N, 3>, f64, Cpu, OwnedTape<f64, Cpu>>;
type Flat = Tensor<(usize,), f64, Cpu>;
type FlatDual = Dual<(usize,), f64, Cpu, OwnedTape<f64, Cpu>>;

fn graph() -> Pattern<Const<5>, Const<5>> {
    Pattern::try_from_edges(Const, Const, &[(0, 1), (1, 0), (1, 2), (1, 4), (3, 3), (4, 0)]).unwrap()
}

fn flat<S: Shape>(y: Dual<S, f64, Cpu, OwnedTape<f64, Cpu>>) -> FlatDual {
    let n = (y.shape().num_elements(),);
    let (value, tangent) = y.split();
    Dual::join(value.reshape_like(&n), tangent.reshape_like(&n))
}

/// `of(x)` along `v`.
fn tangent_is_exact<const N: usize>(name: &str, of: impl Fn(Moving<N>) -> FlatDual) {
    const H: f64 = 6e-6;
    let dev = Cpu::default();
    let x: Rows<N> = Key::new(1).normal(&dev, Default::default());
    let v: Rows<N> = Key::new(2).normal(&dev, Default::default());
    let tangent = of(Dual::new(x.leaky_trace(), v.clone())).tangent();
    let moved = |h: f64| -> Flat {
        let at = x.clone() + v.clone() * h;
        of(Dual::new(at.leaky_trace(), dev.zeros_like(&v))).value().split_tape().0
    };
    assert_close!(tangent, (moved(H) - moved(-H)) / (2.0 * H), 1e-8, 1e-9, "{name}");
    gradient_check(&(x, v), |(x, v)| of(Dual::new(x.leaky_trace(), v.clone())).tangent().square().mean())
        .assert(1e-7);
}

#[test]
fn tangents_of_products_are_exact() {
    let a = Csr::try_new(graph(), vec![0.5, -1.0, 2.0, 0.25, 3.0, -0.75]).unwrap();
    tangent_is_exact::<5>("spmm", |x| flat(x.try_spmm(&a).unwrap()));
    let pattern = graph();
    // Scores of a node for itself and others, then a sum weighted by them: both operands move.
    tangent_is_exact::<5>("sddmm, spmm_weighted", |x| {
        let scores = x.with_empty_tape().try_sddmm(&pattern, x.with_empty_tape()).unwrap();
        flat(x.try_spmm_weighted(&pattern, scores).unwrap())
    });
}

#[test]
fn tangents_of_selections_and_segments_are_exact() {
    let index = RowIndex::try_new(Const::<4>, &[3, 0, 3, 1, 0]).unwrap();
    tangent_is_exact::<4>("gather_rows", |x| flat(x.try_gather_rows(&index).unwrap()));
    tangent_is_exact::<5>("scatter_add_rows", |x| flat(x.try_scatter_add_rows(&index).unwrap()));
    let segments = Segments::from_lengths(&[2, 0, 3]);
    tangent_is_exact::<5>("segment_sum", |x| flat(x.try_segment_sum(&segments).unwrap()));
    tangent_is_exact::<5>("segment_mean", |x| flat(x.try_segment_mean(&segments).unwrap()));
    tangent_is_exact::<5>("segment_softmax", |x| flat(x.try_segment_softmax(&segments).unwrap()));
    tangent_is_exact::<5>("segment_max", |x| flat(x.try_segment_max(&segments).unwrap()));
    tangent_is_exact::<5>("segment_min", |x| flat(x.try_segment_min(&segments).unwrap()));
    let full = Segments::from_lengths(&[2, 3]);
    tangent_is_exact::<5>("segment_log_sum_exp", |x| flat(x.try_segment_log_sum_exp(&full).unwrap()));
}

/// The largest and the smallest of equals are the first of them, and an empty segment stands still.
#[test]
fn tangents_of_extremes_are_those_of_the_first_of_equals() {
    let dev = Cpu::default();
    let x = dev.tensor([[1.0_f64], [4.0], [4.0], [2.0]]);
    let moving = || Dual::new(x.leaky_trace(), dev.tensor([[1.0], [10.0], [100.0], [1000.0]]));
    let segments = Segments::from_lengths(&[3, 0, 1]);
    assert_eq!(moving().try_segment_max(&segments).unwrap().tangent().as_vec(), [10.0, 0.0, 1000.0]);
    assert_eq!(moving().try_segment_min(&segments).unwrap().tangent().as_vec(), [1.0, 0.0, 1000.0]);
}
