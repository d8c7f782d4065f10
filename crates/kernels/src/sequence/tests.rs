//! What the laws of the table do not say: exact zeros, the cache, extreme numbers.
use super::attention::attention;
use super::recurrent::rnn;
use super::*;
use crate::random::Key;

type Sequence<const C: usize, E> = Tensor<(usize, usize, Const<C>), E, Cpu>;

fn normal<const C: usize>(seed: u64, batch: usize, positions: usize) -> Sequence<C, f64> {
    Key::new(seed).normal(&Cpu::default(), (batch, positions, Const))
}

/// A masked key has weight exactly 0: what it holds, even NaN, does not matter to the weights of the others.
#[test]
fn masked_weights_are_exactly_zero_and_rows_sum_to_one() {
    let x = normal::<4>(1, 2, 70);
    let mask = Mask::causal().lengths(&[70, 30], 70);
    let p = attention_weights(&x, &x, &Attention::new(2).mask(mask)).as_vec();
    for (row, p) in p.chunks(70).enumerate() {
        let (sequence, query) = (row / 140, row % 70);
        let used = (query + 1).min([70, 30][sequence]);
        assert!(p[used..].iter().all(|&p| p == 0.0) && p[..used].iter().all(|&p| p > 0.0), "row {row}");
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-14, "row {row}");
    }
}

#[test]
fn large_logits_stay_finite() {
    for scale in [1e4, 1e-4] {
        let x = normal::<4>(1, 1, 5) * scale;
        let y = attention(x.leaky_trace(), x.retaped(), normal::<4>(2, 1, 5).retaped(), &Attention::new(1));
        assert!(y.as_vec().iter().all(|y| y.is_finite()));
        assert!(y.square().sum().backward().get(&x).as_vec().iter().all(|g| g.is_finite()));
    }
}

/// The tape's gradients of one tensor that is query, key and value at once.
#[test]
fn one_tensor_as_all_operands_collects_three_gradients() {
    let x = normal::<4>(1, 2, 3);
    let (q, k, v) = (x.clone() * 1.0, x.clone() * 1.0, x.clone() * 1.0);
    let options = Attention::new(2);
    let one = attention(x.leaky_trace(), x.retaped(), x.retaped(), &options).square().sum().backward();
    let three = attention(q.leaky_trace(), k.retaped(), v.retaped(), &options).square().sum().backward();
    let sum = (three.get(&q) + three.get(&k) + three.get(&v)).as_vec();
    for (one, sum) in one.get(&x).as_vec().iter().zip(sum) {
        assert!((one - sum).abs() < 1e-13, "{one} instead of {sum}");
    }
}

/// Decoding in pieces gives the rows of the whole, with relative positions and lengths, and nothing fits twice.
#[test]
fn a_cache_gives_the_rows_of_the_whole_sequence() {
    let (q, k, v) = (normal::<4>(1, 2, 9), normal::<4>(2, 2, 9), normal::<4>(3, 2, 9));
    let table = Key::new(4).normal(&Cpu::default(), (12, Const));
    let options = Attention::new(2).relative_keys(&table);
    let whole = attention(q.clone(), k.clone(), v.clone(), &options.clone().mask(Mask::causal()));
    let part = |x: &Sequence<4, f64>, from: usize, to: usize| -> Sequence<4, f64> {
        let x = x.as_vec();
        let rows = (0..2).flat_map(|b| x[(b * 9 + from) * 4..(b * 9 + to) * 4].to_vec());
        Cpu::default().tensor_from_vec(rows.collect(), (2, to - from, Const))
    };
    let mut cache = KvCache::new(2, 9);
    for (from, to) in [(0, 1), (1, 4), (4, 5), (5, 9)] {
        cache.try_append(&part(&k, from, to), &part(&v, from, to)).unwrap();
        let y = cache.try_attend(&part(&q, from, to), &options).unwrap().as_vec();
        for (y, want) in y.iter().zip(part(&whole, from, to).as_vec()) {
            assert!((y - want).abs() < 1e-13, "positions {from} to {to}: {y} instead of {want}");
        }
    }
    let before = cache.clone();
    let full = cache.try_append(&part(&k, 0, 1), &part(&v, 0, 1));
    assert!(matches!(full, Err(Error::CacheFull { capacity: 9, len: 9, new: 1 })));
    assert!(cache == before && !cache.is_empty());
    cache.truncate(5);
    cache.try_append(&part(&k, 5, 6), &part(&v, 5, 6)).unwrap();
    let again = cache.try_attend(&part(&q, 5, 6), &options).unwrap().as_vec();
    assert!(again.iter().zip(part(&whole, 5, 6).as_vec()).all(|(y, want)| (y - want).abs() < 1e-13));
}

/// Padding is not read: with lengths, what stands behind them may be anything finite.
#[test]
fn padding_changes_no_state_and_gets_no_gradient() {
    let device = Cpu::default();
    let draw = |i| Key::new(7).fold(i);
    let (input, hidden) =
        (draw(0).normal(&device, Rank3::<1, 2, 3>::default()), draw(1).normal(&device, Rank3::default()));
    let (bias_input, bias_hidden) =
        (draw(2).normal(&device, Rank2::default()), draw(3).normal(&device, Rank2::default()));
    let weights = RecurrentWeights {
        input: &input,
        hidden: &hidden,
        bias_input: &bias_input,
        bias_hidden: &bias_hidden,
    };
    for direction in [Direction::Forward, Direction::Reverse] {
        let run = |x: &Sequence<3, f64>, lengths: &[usize]| {
            let options = Recurrence { lengths: Some(lengths), direction, ..Default::default() };
            rnn::<_, _, 3, 2, _, _, _>(x.leaky_trace(), RnnActivation::Tanh, 1.0, &weights, &options)
        };
        let padded = normal::<3>(8, 2, 5);
        let both = run(&padded, &[5, 3]);
        let x = padded.as_vec();
        let alone: Sequence<3, f64> = device.tensor_from_vec(x[15..24].to_vec(), (1, 3, Const));
        let one = run(&alone, &[3]);
        let y = both.y.as_vec();
        assert_eq!(y[10..16], one.y.as_vec());
        assert_eq!(y[16..], [0.0; 4]);
        assert_eq!(both.hidden.as_vec()[2..], one.hidden.as_vec());
        let gradient = both.y.square().sum().backward().get(&padded).as_vec();
        let of_one = one.y.square().sum().backward().get(&alone).as_vec();
        assert_eq!((&gradient[15..24], &gradient[24..]), (&of_one[..], &[0.0; 6][..]));
    }
}

/// The rotary property: a shift of both positions changes no product.
#[test]
fn rotated_products_depend_on_the_distance_alone() {
    let (q, k) = (normal::<8>(1, 1, 1), normal::<8>(2, 1, 1));
    let product = |t: usize, s: usize| -> f64 {
        let q = position::rotary(q.clone(), 2, t, position::BASE);
        let k = position::rotary(k.clone(), 2, s, position::BASE);
        (q * k).sum::<Rank0, _>().array()
    };
    for (t, s, shift) in [(0, 0, 5), (3, 1, 40), (1, 9, 1000)] {
        let (here, there) = (product(t, s), product(t + shift, s + shift));
        assert!((here - there).abs() < 1e-11, "{here} and {there}");
    }
    assert!((product(0, 0) - product(0, 1)).abs() > 1e-3, "but on the distance it does");
}

#[test]
fn nan_is_never_among_the_largest() {
    let x = Cpu::default().tensor([[f64::NAN, 1.0, f64::NEG_INFINITY, 2.0, f64::NAN]]);
    assert_eq!(top_k(x, 4).indices, [3, 1, 2, 0]);
}
