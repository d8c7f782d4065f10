use super::*;
use crate::random::Key;

fn normal<S: ConstShape>(seed: u64) -> Tensor<S, f64, Cpu> {
    Key::new(seed).normal(&Cpu::default(), S::default())
}

/// Attention heads, permuted: they are read in place, and the gradient arrives in the layout of the leaf.
#[test]
fn heads_inside_rows_are_multiplied_where_they_are() {
    let (q, k) = (normal::<Rank4<2, 5, 3, 4>>(1), normal::<Rank4<2, 6, 3, 4>>(2)); // (B, T, heads, F)
    let w = normal::<Rank4<2, 3, 5, 6>>(3);
    let heads = q.leaky_trace().permute::<Rank4<2, 3, 5, 4>, Axes4<0, 2, 1, 3>>();
    let keys = k.clone().permute::<Rank4<2, 3, 4, 6>, Axes4<0, 2, 3, 1>>();
    let scores = matmul(heads, keys);
    let (qs, ks, ws, got) = (q.array(), k.array(), w.array(), scores.array());
    let gradient = (scores * w).sum::<Rank0, _>().backward();
    let (gq, gk) = (gradient.get(&q).array(), gradient.get(&k).array());
    for b in 0..2 {
        for head in 0..3 {
            for i in 0..5 {
                for j in 0..6 {
                    let want: f64 = (0..4).map(|f| qs[b][i][head][f] * ks[b][j][head][f]).sum();
                    assert!((got[b][head][i][j] - want).abs() < 1e-14);
                }
                for f in 0..4 {
                    let want: f64 = (0..6).map(|j| ws[b][head][i][j] * ks[b][j][head][f]).sum();
                    assert!((gq[b][i][head][f] - want).abs() < 1e-14);
                }
            }
            for j in 0..6 {
                for f in 0..4 {
                    let want: f64 = (0..5).map(|i| ws[b][head][i][j] * qs[b][i][head][f]).sum();
                    assert!((gk[b][j][head][f] - want).abs() < 1e-14);
                }
            }
        }
    }
}

#[test]
fn gram_of_columns_is_the_gram_matrix_of_the_transposed() {
    let x = normal::<Rank2<70, 60>>(4);
    let w = normal::<Rank2<60, 60>>(5);
    let loss =
        |gram: Tensor<Rank2<60, 60>, f64, Cpu, OwnedTape<f64, Cpu>>| (gram * w.clone()).sum::<Rank0, _>();
    let columns = gram_columns(x.leaky_trace());
    let got = columns.array();
    let mirrored =
        |(i, row): (usize, &[f64; 60])| row.iter().zip(&got).all(|(x, row)| x.to_bits() == row[i].to_bits());
    assert!(got.iter().enumerate().all(mirrored));
    let transposed = x.clone().permute::<Rank2<60, 70>, Axes2<1, 0>>();
    let product = matmul(transposed.leaky_trace(), x.clone());
    let far = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far(&columns.as_vec(), &product.as_vec()) < 1e-12);
    let (ours, theirs) = (loss(columns).backward().get(&x), loss(product).backward().get(&x));
    assert!(far(&ours.as_vec(), &theirs.as_vec()) < 1e-12);
}

/// Points near each other and far from the origin: the form with a product would lose every digit here.
#[test]
fn distances_are_exact_where_products_cancel() {
    let device = Cpu::default();
    let points: Vec<f32> = (0..150 * 3).map(|i| 4096.0 + (i * 37 % 64) as f32 / 64.0).collect();
    let x: Tensor<(usize, Const<3>), f32, _> = device.tensor_from_vec(points.clone(), (150, Const));
    let within = pairwise_squared_distances(x.clone()).as_vec();
    let between = squared_distances(x.clone(), x).as_vec();
    assert_eq!(within, between);
    for (i, a) in points.chunks(3).enumerate() {
        for (j, b) in points.chunks(3).enumerate() {
            let want: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
            assert_eq!(within[i * 150 + j], want, "({i}, {j})"); // multiples of 2⁻¹²: no rounding
        }
    }
}

#[test]
fn equal_points_have_distance_zero_and_a_finite_gradient() {
    let device = Cpu::default();
    let x = device.tensor([[0.1_f32, 1e20], [0.1, 1e20], [1e-30, -0.0]]);
    let d = pairwise_squared_distances(x.leaky_trace());
    let values = d.array();
    assert_eq!([values[0][0], values[1][1], values[2][2], values[0][1]], [0.0; 4]);
    assert_eq!(values[0][2], f32::INFINITY, "an overflow stays an overflow");
    let y = device.tensor([[0.1_f32, -0.7], [0.1, -0.7], [0.2, 0.3]]);
    let d = squared_distances(y.leaky_trace(), y.clone());
    let g = d.sum().backward().get(&y).array();
    // Rows that are equal have equal gradients: 2 · 2 (2 · difference to the third).
    assert_eq!(g[0], g[1]);
    assert!((g[0][0] + 0.4).abs() < 1e-6 && (g[0][1] + 4.0).abs() < 1e-5, "{g:?}");
}
