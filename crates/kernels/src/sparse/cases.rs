//! Rows of the table for the sparse operations. Their slow twins are products of dense matrices of dfdx.
use super::{
    Csr, Pattern, Reduction, RowIndex, Segments, SparseDevice, SparseError, gather_rows, scatter_add_rows,
    sddmm, segment_reduce, segment_softmax, spmm, spmm_weighted, try_gather_rows, try_scatter_add_rows,
    try_sddmm, try_segment_reduce, try_segment_softmax, try_spmm, try_spmm_weighted,
};
use crate::Real;
use crate::random::Key;
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, CpuCase, Everything, Flat, Input, Numbers, Spec, VisitCpu, flat};
use dfdx::prelude::*;

/// Every method of [`SparseDevice`].
pub const OPERATIONS: &Operations = &[
    ("spmm", &["spmm"]),
    ("spmm_weighted", &["spmm_weighted"]),
    ("sddmm", &["sddmm"]),
    ("gather_rows", &["gather_rows"]),
    ("scatter_add_rows", &["scatter_add_rows"]),
    (
        "segment_reduce",
        &[
            "segment_reduce",
            "segment_sum",
            "segment_mean",
            "segment_max",
            "segment_min",
            "segment_log_sum_exp",
        ],
    ),
    ("segment_softmax", &["segment_softmax"]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Spmm,
    SpmmWeighted,
    Sddmm,
    Gather,
    ScatterAdd,
    Reduce(Reduction),
    Softmax,
}

const OPS: [Op; 11] = [
    Op::Spmm,
    Op::SpmmWeighted,
    Op::Sddmm,
    Op::Gather,
    Op::ScatterAdd,
    Op::Reduce(Reduction::Sum),
    Op::Reduce(Reduction::Mean),
    Op::Reduce(Reduction::Max),
    Op::Reduce(Reduction::Min),
    Op::Reduce(Reduction::LogSumExp),
    Op::Softmax,
];

/// An operation on a random pattern.
#[derive(Clone, Copy, Debug)]
struct OnGraph {
    op: Op,
    rows: usize,
    cols: usize,
    edges: usize,
    features: usize,
}

impl OnGraph {
    /// Some rows have many entries, some none; edges may repeat in the list.
    fn pattern(self) -> Pattern {
        let mut u = vec![0.0_f64; 2 * self.edges];
        Key::new(99).fold(self.rows as u64).fill_uniform(&mut u);
        let edges: Vec<_> = u
            .chunks_exact(2)
            .map(|u| ((u[0] * u[0] * self.rows as f64) as u32, (u[1] * self.cols as f64) as u32))
            .collect();
        Pattern::try_from_edges(self.rows, self.cols, &edges).unwrap()
    }

    fn csr<E: Real>(self) -> Csr<E> {
        let pattern = self.pattern();
        let weights = (0..pattern.len()).map(|k| E::of((k as f64 * 0.7).cos())).collect();
        Csr::try_new(pattern, weights).unwrap()
    }

    fn index(self) -> RowIndex {
        let rows: Vec<u32> = (0..self.rows).map(|i| ((i * i + 3 * i) % self.cols) as u32).collect();
        RowIndex::try_new(self.cols, &rows).unwrap()
    }

    /// The rows of the pattern; for ln Σ eˣ, which is −∞ for no row, segments that hold something.
    fn segments(self) -> Segments {
        match self.op {
            Op::Reduce(Reduction::LogSumExp) => {
                Segments::from_lengths(&(0..self.rows).map(|i| i % 4 + 1).collect::<Vec<_>>())
            }
            _ => self.pattern().segments(),
        }
    }
}

/// Rows of a dense matrix as a tensor.
fn matrix<E: Real>(rows: usize, cols: usize, at: impl Fn(usize, usize) -> E) -> Tensor<(usize, usize), E, Cpu>
where
    Cpu: Everything<E>,
{
    let elements = (0..rows * cols).map(|i| at(i / cols, i % cols)).collect();
    Cpu::default().tensor_from_vec(elements, (rows, cols))
}

/// The matrix that selects rows.
fn selection<E: Real>(index: &RowIndex) -> Tensor<(usize, usize), E, Cpu>
where
    Cpu: Everything<E>,
{
    let cols = index.selection.cols();
    matrix(
        index.indices().len(),
        cols,
        |i, j| if index.indices()[i] as usize == j { E::ONE } else { E::zero() },
    )
}

impl Case for OnGraph {
    fn operation(self) -> &'static str {
        match self.op {
            Op::Spmm => "spmm",
            Op::SpmmWeighted => "spmm_weighted",
            Op::Sddmm => "sddmm",
            Op::Gather => "gather_rows",
            Op::ScatterAdd => "scatter_add_rows",
            Op::Reduce(_) => "segment_reduce",
            Op::Softmax => "segment_softmax",
        }
    }

    fn inputs(self) -> Vec<Spec> {
        let Self { op, rows, cols, features, .. } = self;
        match op {
            Op::Spmm | Op::Gather => vec![Spec::new([cols, features])],
            Op::SpmmWeighted => vec![Spec::new([self.pattern().len()]), Spec::new([cols, features])],
            Op::Sddmm => vec![Spec::new([rows, features]), Spec::new([cols, features])],
            Op::ScatterAdd => vec![Spec::new([rows, features])],
            // Rows that repeat would tie.
            Op::Reduce(Reduction::Max | Reduction::Min) => {
                vec![Spec::new([self.segments().values(), features]).holding(Numbers::Distinct).pinned()]
            }
            Op::Reduce(_) | Op::Softmax => vec![Spec::new([self.segments().values(), features])],
        }
    }

    fn is_linear(self) -> bool {
        !matches!(self.op, Op::Softmax | Op::Reduce(Reduction::Max | Reduction::Min | Reduction::LogSumExp))
    }

    /// The slow twins of the reductions with a maximum are in the tests of the family.
    fn is_composed(self) -> bool {
        !matches!(self.op, Op::Reduce(Reduction::Max | Reduction::Min))
    }
}

impl CpuCase for OnGraph {
    fn run<B: Body, E: Real, T: Tape<E, Cpu>>(self, x: &[Input<E>]) -> Flat<E, T>
    where
        Cpu: Everything<E>,
    {
        let features = self.features;
        let first = || x[0].taped::<_, T>((x[0].shape[0], features));
        let pattern = self.pattern();
        match self.op {
            Op::Spmm if B::IS_FUSED => flat(Cpu::spmm(&self.csr(), first()).unwrap()),
            Op::Spmm => {
                let a = Cpu::default().tensor_from_vec(self.csr::<E>().to_dense(), (self.rows, self.cols));
                flat(a.retaped::<T>().matmul(first().contiguous()))
            }
            Op::SpmmWeighted => {
                let weights = x[0].taped::<_, T>((x[0].shape[0],));
                let x = x[1].taped::<_, T>((self.cols, features));
                if B::IS_FUSED {
                    return flat(Cpu::spmm_weighted(&pattern, weights, x).unwrap());
                }
                // Entry by entry: rows of x times weights, added by the matrix that knows each entry's row.
                let of_entry: Vec<(u32, u32)> = pattern.entries().collect();
                let one = |is| if is { E::ONE } else { E::zero() };
                let take = matrix(of_entry.len(), self.cols, |k, j| one(of_entry[k].1 as usize == j));
                let add = matrix(self.rows, of_entry.len(), |i, k| one(of_entry[k].0 as usize == i));
                let taken = take.retaped::<T>().matmul(x.contiguous());
                let shape = *taken.shape();
                let weights = weights.contiguous().broadcast_like::<_, Axis<1>>(&shape);
                flat(add.retaped::<T>().matmul(taken * weights))
            }
            Op::Sddmm => {
                let k = x[1].taped::<_, T>((self.cols, features));
                if B::IS_FUSED {
                    return flat(Cpu::sddmm(&pattern, first(), k).unwrap());
                }
                let all = first().contiguous().matmul(k.contiguous().permute::<_, Axes2<1, 0>>());
                let places: Vec<usize> =
                    pattern.entries().map(|(i, j)| i as usize * self.cols + j as usize).collect();
                let one = |is| if is { E::ONE } else { E::zero() };
                let pick = matrix(places.len(), self.rows * self.cols, |k, at| one(places[k] == at));
                flat(pick.retaped::<T>().matmul(all.reshape_like(&(self.rows * self.cols, 1))))
            }
            Op::Gather if B::IS_FUSED => flat(Cpu::gather_rows(first(), &self.index()).unwrap()),
            Op::Gather => flat(selection(&self.index()).retaped::<T>().matmul(first().contiguous())),
            Op::ScatterAdd if B::IS_FUSED => flat(Cpu::scatter_add_rows(first(), &self.index()).unwrap()),
            Op::ScatterAdd => {
                let back = selection(&self.index()).permute::<_, Axes2<1, 0>>().contiguous();
                flat(back.retaped::<T>().matmul(first().contiguous()))
            }
            Op::Reduce(reduction) if B::IS_FUSED => {
                flat(Cpu::segment_reduce(first(), &self.segments(), reduction).unwrap())
            }
            Op::Softmax if B::IS_FUSED => flat(Cpu::segment_softmax(first(), &self.segments()).unwrap()),
            Op::Reduce(_) | Op::Softmax => {
                let (x, segments) = (first().contiguous(), self.segments());
                let starts = segments.starts().to_vec();
                let holds = |i: usize, k: usize| (starts[i]..starts[i + 1]).contains(&k);
                let length = |i: usize| E::of((starts[i + 1] - starts[i]) as f64);
                let add = |scale: fn(E) -> E| {
                    matrix(segments.len(), segments.values(), |i, k| {
                        if holds(i, k) { scale(length(i)) } else { E::zero() }
                    })
                    .retaped::<T>()
                };
                let sums = |x| add(|_| E::ONE).matmul(x);
                match self.op {
                    Op::Reduce(Reduction::Sum) => flat(sums(x)),
                    Op::Reduce(Reduction::Mean) => flat(add(|n| E::ONE / n).matmul(x)),
                    Op::Reduce(_) => flat(sums(x.exp()).ln()),
                    _ => {
                        let e = x.exp();
                        let total = sums(e.with_empty_tape());
                        let spread = matrix(segments.values(), segments.len(), |k, i| {
                            if holds(i, k) { E::ONE } else { E::zero() }
                        });
                        let total = spread.retaped::<T>().matmul(total);
                        flat(e / total)
                    }
                }
            }
        }
    }
}

/// Small cases.
pub fn cases(visit: &mut impl VisitCpu) {
    for op in OPS {
        for (rows, cols, edges, features) in [(1, 1, 1, 1), (3, 4, 7, 3), (6, 5, 12, 8), (9, 7, 40, 85)] {
            visit.visit(OnGraph { op, rows, cols, edges, features });
        }
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl VisitCpu) {
    for op in OPS {
        visit.visit(OnGraph { op, rows: 900, cols: 700, edges: 9000, features: 9 });
    }
}

/// No rows, no columns, no entries, no features; operands of other lengths.
pub fn hostile(hostile: &mut Hostile) {
    for (m, n, f) in [(0, 3, 2), (2, 3, 2), (2, 0, 2), (2, 3, 0)] {
        let pattern = Pattern::try_from_edges(m, n, &[]).unwrap();
        let (x, q, none) = (zeros((n, f)), zeros((m, f)), zeros((0,)));
        let y = spmm(&Csr::ones(pattern.clone()), x.leaky_trace());
        hostile.empty("spmm", y, &[m, f], 0.0, &[&x]);
        let y = spmm_weighted(&pattern, none.leaky_trace(), x.leaky_trace());
        hostile.empty("spmm_weighted", y, &[m, f], 0.0, &[&none, &x]);
        hostile.empty("sddmm", sddmm(&pattern, q.leaky_trace(), x.leaky_trace()), &[0], 0.0, &[&q, &x]);
        let nobody = RowIndex::try_new(n, &[]).unwrap();
        hostile.empty("gather_rows", gather_rows(x.leaky_trace(), &nobody), &[0, f], 0.0, &[&x]);
        let z = zeros((0, f));
        hostile.empty("scatter_add_rows", scatter_add_rows(z.leaky_trace(), &nobody), &[n, f], 0.0, &[&z]);
    }
    // Entries whose rows have no features.
    let pattern = Pattern::try_from_edges(2, 3, &[(0, 1), (1, 2)]).unwrap();
    let (narrow, q) = (zeros((3, 0)), zeros((2, 0)));
    let y = spmm(&Csr::ones(pattern.clone()), narrow.leaky_trace());
    hostile.empty("spmm", y, &[2, 0], 0.0, &[&narrow]);
    hostile.empty("sddmm", sddmm(&pattern, q.leaky_trace(), narrow.leaky_trace()), &[2], 0.0, &[&q, &narrow]);
    for (lengths, features) in [(&[][..], 2), (&[0, 0], 2), (&[2, 1], 0)] {
        let segments = Segments::from_lengths(lengths);
        let x = zeros((segments.values(), features));
        macro_rules! reductions {
            ($($name:ident $reduction:ident $value:expr;)*) => { $(
                let shape = [lengths.len(), features];
                let y = segment_reduce(x.leaky_trace(), &segments, Reduction::$reduction);
                hostile.empty("segment_reduce", y, &shape, $value, &[&x]);
                let y = super::$name(x.leaky_trace(), &segments);
                hostile.empty(stringify!($name), y, &shape, $value, &[&x]);
            )* };
        }
        reductions! {
            segment_sum Sum 0.0;
            segment_mean Mean 0.0;
            segment_max Max 0.0;
            segment_min Min 0.0;
            segment_log_sum_exp LogSumExp f64::NEG_INFINITY;
        }
        let y = segment_softmax(x.leaky_trace(), &segments);
        hostile.empty("segment_softmax", y, &[segments.values(), features], 0.0, &[&x]);
    }

    let pattern = Pattern::try_undirected(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]).unwrap();
    let (ones, x) = (Csr::ones(pattern.clone()), zeros((3, 2)));
    let (index, pair) = (RowIndex::try_new(4, &[3]).unwrap(), Segments::from_lengths(&[2]));
    let weighted = |weights, rows| try_spmm_weighted(&pattern, zeros((weights,)), zeros((rows, 2)));
    refuses! { hostile:
        "spmm", try_spmm(&ones, x.clone())
            => SparseError::LengthMismatch { length: 3, expected: 4, .. }, [3, 4];
        "spmm_weighted", weighted(7, 4) => SparseError::WeightCount { weights: 7, entries: 8 }, [7, 8];
        "spmm_weighted", weighted(8, 3) => SparseError::LengthMismatch { length: 3, expected: 4, .. }, [3, 4];
        "sddmm", try_sddmm(&pattern, x.clone(), zeros((4, 2)))
            => SparseError::LengthMismatch { length: 3, expected: 4, .. }, ["left", 3, 4];
        "sddmm", try_sddmm(&pattern, zeros((4, 2)), x.clone())
            => SparseError::LengthMismatch { length: 3, expected: 4, .. }, ["right", 3, 4];
        "sddmm", try_sddmm(&pattern, zeros((4, 2)), zeros((4, 5)))
            => SparseError::LengthMismatch { length: 5, expected: 2, .. }, [5, 2];
        "gather_rows", try_gather_rows(x.clone(), &index)
            => SparseError::LengthMismatch { length: 3, expected: 4, .. }, [3, 4];
        "gather_rows", RowIndex::try_new(4, &[4])
            => SparseError::ColumnOutOfRange { column: 4, columns: 4, .. }, [4];
        "scatter_add_rows", try_scatter_add_rows(x.clone(), &index)
            => SparseError::LengthMismatch { length: 3, expected: 1, .. }, [3, 1];
        "segment_reduce", try_segment_reduce(x.clone(), &pair, Reduction::Sum)
            => SparseError::LengthMismatch { length: 3, expected: 2, .. }, [3, 2];
        "segment_softmax", try_segment_softmax(x.clone(), &pair)
            => SparseError::LengthMismatch { length: 3, expected: 2, .. }, [3, 2];
    }
    macro_rules! panics {
        ($($name:ident)*) => { $(
            hostile.panics(stringify!($name), || super::$name(x.clone(), &pair), &[&3, &2]);
        )* };
    }
    panics!(segment_sum segment_mean segment_max segment_min segment_log_sum_exp);
}
