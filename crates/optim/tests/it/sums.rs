//! Sums of many terms, and the decay of runs that restart.
use layers::prelude::*;
use layers::{Schedule, assert_close};
use optim::Error;
use optim::optimizers::{AdamW, AdamWConfig, WarmRestarts, normalised_decay};
use optim::schedules::Sgdr;
use optim::summation::CompensatedSum;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against whole numbers, whose sums are exact: right to the last bit where the sum of the absolute values is not more
    /// than 2^40 times the sum, however the terms are ordered or parted.
    #[test]
    fn sums_are_exact_where_plain_ones_are_not(
        terms in prop::collection::vec((any::<i32>(), 0..60_u32), 1..400), cut in any::<prop::sample::Index>(),
    ) {
        let whole: Vec<i128> = terms.iter().map(|&(m, shift)| i128::from(m) << shift).collect();
        let exact: i128 = whole.iter().sum();
        let absolute: f64 = whole.iter().map(|w| w.abs() as f64).sum();
        let floats: Vec<f64> = whole.iter().map(|w| *w as f64).collect(); // exact: 32 bits each
        let u = f64::EPSILON / 2.0;
        let bound = 2.0 * u * (exact as f64).abs() + 2.0 * (floats.len() as f64 * u).powi(2) * absolute;
        let error = |sum: &CompensatedSum| {
            // The total is a double, and doubles of this size are whole numbers or halves: compare exactly.
            let total = sum.total();
            (total as i128 - exact) as f64 + total.fract()
        };
        let forwards = CompensatedSum::from_iter(floats.iter().copied());
        prop_assert!(error(&forwards).abs() <= bound, "{} off, {bound} allowed", error(&forwards));
        let backwards = CompensatedSum::from_iter(floats.iter().rev().copied());
        prop_assert!(error(&backwards).abs() <= bound);
        let (head, tail) = floats.split_at(cut.index(floats.len()));
        let mut parts = CompensatedSum::from_iter(head.iter().copied());
        parts.merge(&CompensatedSum::from_iter(tail.iter().copied()));
        prop_assert!(error(&parts).abs() <= bound);
        prop_assert_eq!(parts.count(), floats.len() as u64);
    }

    /// The paper's formula over the epochs of a period is the norm over the root of its steps.
    #[test]
    fn decay_fits_the_length_of_a_period(norm in 0.0..0.1_f64, batch in 1_usize..200, batches in 1_usize..50,
        first in 1_u64..30, growth in 1_u64..4, steps in prop::collection::vec(0..5000_u64, 8)) {
        let cosines = Sgdr { base: 0.01, period: first, growth, minimum: 0.0 };
        let restarts = WarmRestarts::try_new(cosines, norm).unwrap();
        for step in steps {
            let (mut start, mut period) = (0, first);
            while step >= start + period {
                start += period;
                period *= growth;
            }
            let epochs = period as f64 / batches as f64;
            let want = normalised_decay(norm, batch, batch * batches, epochs).unwrap();
            assert_close!(restarts.weight_decay(step), want, 1e-12, 1e-300, "step {step}");
        }
    }
}

/// A million losses of 0.1: the plain sum in the same precision is wrong in the fifth digit after the point, this one is not.
#[test]
fn a_million_losses_are_a_million_times_their_size() {
    let n = 1_000_000;
    let losses = || std::iter::repeat_n(0.1, n);
    let sum = CompensatedSum::from_iter(losses());
    assert!((sum.total() - 1e5).abs() < 2e-11, "{:e}", sum.total() - 1e5);
    assert!((losses().sum::<f64>() - 1e5).abs() > 1e-7, "then there would be nothing to do here");
    assert_close!(sum.mean(), 0.1, 1e-15);
    let mut empty = CompensatedSum::new();
    assert!(empty.total() == 0.0 && empty.mean().is_nan());
    empty.extend([f64::INFINITY, 1.0]);
    assert_eq!(empty.total(), f64::INFINITY);
    empty.add(f64::NEG_INFINITY);
    assert!(empty.total().is_nan());
}

/// With gradients of 0 only the decay acts: over two periods a weight shrinks by the product of 1 − λᵢ ηₜ/η₀.
#[test]
fn restarts_set_rate_and_decay_of_every_step() {
    let cosines = Sgdr { base: 0.02, period: 4, growth: 2, minimum: 0.002 };
    let restarts = WarmRestarts::try_new(cosines.clone(), 0.3).unwrap();
    let dev = Cpu::default();
    let mut w = dev.tensor([1.0_f64, -3.0]);
    let config = AdamWConfig { decay_base: Some(0.02), ..Default::default() };
    let mut adam = AdamW::try_new(&w, config).unwrap();
    let mut want = 1.0;
    for step in 0..12 {
        restarts.set(step, &mut adam).unwrap();
        let mut gradients = (w.leaky_trace() * 0.0).sum().backward();
        adam.step(&mut w, &mut gradients).unwrap();
        let lambda = if step < 4 { 0.3 / 2.0 } else { 0.3 / 8.0_f64.sqrt() };
        want *= 1.0 - lambda * cosines.learning_rate(step) / 0.02;
        assert_close!(w.array(), [want, -3.0 * want], 1e-13, 0.0, "step {step}");
    }
    assert!(want < 0.5);
    for (cosines, norm, name) in [
        (Sgdr { base: 0.0, ..cosines.clone() }, 0.1, "base"),
        (cosines.clone(), -0.1, "norm"),
        (cosines.clone(), f64::NAN, "norm"),
        (cosines.clone(), f64::INFINITY, "norm"),
    ] {
        let refused = WarmRestarts::try_new(cosines, norm);
        assert!(matches!(refused, Err(Error::InvalidHyper { name: n, .. }) if n == name), "{refused:?}");
    }
    let refused = WarmRestarts::try_new(Sgdr { period: 0, ..cosines }, 0.1);
    assert!(matches!(refused, Err(Error::EmptySchedule { .. })));
    for (batch, examples, epochs) in [(0, 10, 1.0), (1, 0, 1.0), (1, 10, 0.0), (1, 10, f64::INFINITY)] {
        assert!(matches!(normalised_decay(0.1, batch, examples, epochs), Err(Error::InvalidHyper { .. })));
    }
}
