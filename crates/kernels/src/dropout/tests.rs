use super::*;
use crate::flat;

fn ones<S: ConstShape, E: Real>() -> Tensor<S, E, Cpu>
where
    Cpu: Device<E>,
{
    Cpu::default().ones()
}

/// Means and variances of factors within four standard errors.
#[test]
fn factors_have_the_stated_moments() {
    const N: usize = 40_000;
    let x = ones::<Rank1<N>, f64>;
    for rate in [0.1, 0.5, 0.9] {
        let variance = rate / (1.0 - rate);
        for (name, y) in [
            ("dropout", dropout(x(), rate, Key::new(1))),
            ("gaussian", gaussian_dropout(x(), rate, Key::new(2))),
        ] {
            let y = flat(&y);
            let mean = y.iter().sum::<f64>() / N as f64;
            let off = (mean - 1.0) / (variance / N as f64).sqrt();
            assert!(off.abs() < 4.0, "{name} {rate}: mean {mean}");
            let second = y.iter().map(|y| (y - 1.0).powi(2)).sum::<f64>() / N as f64;
            // Fourth moment of dropout's factor at rate 0.9: 73 variances squared.
            assert!(
                (second / variance - 1.0).abs() < 4.0 * (75.0_f64 / N as f64).sqrt(),
                "{name} {rate}: {second}"
            );
        }
    }
    let dropped = flat(&dropout(x(), 0.9, Key::new(1))).iter().filter(|&&y| y == 0.0).count();
    let error = (0.9 * 0.1 * N as f64).sqrt();
    assert!((dropped as f64 - 0.9 * N as f64).abs() < 4.0 * error, "{dropped} dropped");
    assert_eq!(flat(&dropout(x(), 0.0, Key::new(1))), [1.0; N]);
}

/// Over the mask, exactly, for inputs of mean 0 and variance 1.
#[test]
fn alpha_dropout_restores_mean_and_variance() {
    for rate in [0.05, 0.3] {
        let keep = 1.0 - rate;
        let x: Tensor<Rank1<1000>, f64, _> = ones::<Rank1<1000>, f64>() * 2.0;
        let y = alpha_dropout(x, rate, Key::new(3));
        let values: std::collections::BTreeSet<u64> = flat(&y).iter().map(|y| y.to_bits()).collect();
        assert_eq!(values.len(), 2, "kept and dropped");
        let dropped = f64::from_bits(*values.iter().find(|&&y| f64::from_bits(y) < 0.0).unwrap());
        let kept = f64::from_bits(*values.iter().find(|&&y| f64::from_bits(y) > 0.0).unwrap());
        // y = a x + c where kept, a α' + c where dropped: two values for x = 2 give a and c.
        let a = (kept - dropped) / (2.0 - ALPHA_DROPPED);
        let c = kept - 2.0 * a;
        let mean = keep * c + rate * dropped;
        let second = keep * (a * a + c * c) + rate * dropped * dropped;
        assert!(mean.abs() < 1e-14 && (second - 1.0).abs() < 1e-14, "{rate}: {mean} {second}");
    }
}

#[test]
fn masks_are_the_same_for_both_element_types() {
    let single = dropout(ones::<Rank2<50, 70>, f32>(), 0.4, Key::new(5));
    let double = dropout(ones::<Rank2<50, 70>, f64>(), 0.4, Key::new(5));
    assert!(flat(&single).iter().zip(flat(&double)).all(|(a, b)| (*a == 0.0) == (*b == 0.0)));
    let other = dropout(ones::<Rank2<50, 70>, f64>(), 0.4, Key::new(6));
    assert_ne!(flat(&other), flat(&double));
}

#[test]
fn a_feature_lives_or_dies_as_a_whole() {
    let y = feature_dropout(ones::<Rank4<8, 16, 3, 3>, f32>(), 0.5, Key::new(7));
    let maps: Vec<&[f32]> = flat(&y).chunks(9).collect();
    assert!(maps.iter().all(|map| map.iter().all(|y| *y == map[0])));
    let dropped = maps.iter().filter(|map| map[0] == 0.0).count();
    assert!((dropped as f64 - 64.0).abs() < 4.0 * 32.0_f64.sqrt(), "{dropped} of 128");
    // With two axes there is nothing to share.
    let plain = feature_dropout(ones::<Rank2<8, 16>, f32>(), 0.5, Key::new(7));
    assert_eq!(flat(&plain), flat(&dropout(ones::<Rank2<8, 16>, f32>(), 0.5, Key::new(7))));
}
