//! Searches for hyperparameters: how many trials, where, and who is kept.
use optim::Error;
use optim::search::{Axis, evaluate, grid, random, successive_halving};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};

#[test]
fn a_grid_has_its_ends_and_all_combinations() {
    let axes = [Axis::LogUniform { low: 1e-4, high: 1.0 }, Axis::Uniform { low: -1.0, high: 3.0 }];
    let points = grid(&axes, &[3, 2]).unwrap();
    let want = [[1e-4, -1.0], [1e-4, 3.0], [1e-2, -1.0], [1e-2, 3.0], [1.0, -1.0], [1.0, 3.0]];
    assert_eq!(points.len(), want.len());
    for (point, want) in points.iter().zip(want) {
        layers::assert_close!(point.clone(), want.to_vec(), 1e-12);
    }
    layers::assert_close!(grid(&axes, &[1, 1]).unwrap()[0].clone(), vec![1e-2, 1.0], 1e-12); // the middle of each axis
}

/// Of a logarithmic axis every decade gets its share: 4000 draws from five decades, within four standard errors.
#[test]
fn logarithmic_draws_share_the_decades() {
    let axes = [Axis::LogUniform { low: 1e-4, high: 10.0 }, Axis::Uniform { low: 0.0, high: 1.0 }];
    let points = random(&axes, 4000, &mut StdRng::seed_from_u64(1)).unwrap();
    let mut decades = [0.0; 5];
    points.iter().for_each(|point| decades[(point[0].log10() + 4.0).floor().clamp(0.0, 4.0) as usize] += 1.0);
    let error = (4000.0 * 0.2 * 0.8_f64).sqrt();
    assert!(decades.iter().all(|count| (count - 800.0_f64).abs() < 4.0 * error), "{decades:?}");
    let mean = points.iter().map(|point| point[1]).sum::<f64>() / 4000.0;
    assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / 4000.0_f64).sqrt(), "{mean}");
    // The two coordinates are drawn apart.
    let covariance: f64 =
        points.iter().map(|point| (point[0].log10() + 1.5) * (point[1] - 0.5)).sum::<f64>() / 4000.0;
    assert!(covariance.abs() < 4.0 * (25.0 / 12.0 / 12.0 / 4000.0_f64).sqrt(), "{covariance}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each round has a share of the last one and as much more to spend, the best go on, and no loss is skipped.
    #[test]
    fn halving_keeps_the_best(losses in prop::collection::vec(0.0..1.0_f64, 1..60), eta in 2_usize..5) {
        let points: Vec<Vec<f64>> = losses.iter().map(|&loss| vec![loss]).collect();
        let mut seen = vec![];
        let rounds = successive_halving(points, 2, eta, |point, budget| {
            seen.push(budget);
            point[0]
        }).unwrap();
        for pair in rounds.windows(2) {
            prop_assert_eq!(pair[1].trials.len(), (pair[0].trials.len() / eta).max(1));
            prop_assert_eq!(pair[1].budget, eta * pair[0].budget);
            let worst_kept = pair[1].trials.iter().map(|trial| trial.loss).fold(0.0, f64::max);
            let kept = pair[1].trials.len();
            prop_assert!(pair[0].trials[kept..].iter().all(|trial| trial.loss >= worst_kept));
        }
        let last = &rounds[rounds.len() - 1];
        prop_assert_eq!(last.trials.len(), 1);
        prop_assert_eq!(last.best().loss, losses.iter().copied().fold(1.0, f64::min));
        prop_assert_eq!(seen.len(), rounds.iter().map(|round| round.trials.len()).sum::<usize>());
    }
}

#[test]
fn broken_trials_lose_and_broken_searches_are_refused() {
    let points = vec![vec![1.0], vec![2.0], vec![3.0]];
    let round = evaluate(points, 5, |point, budget| if point[0] < 3.0 { f64::NAN } else { budget as f64 });
    assert_eq!((round.as_ref().unwrap().best().point[0], round.unwrap().best().loss), (3.0, 5.0));
    let axis = [Axis::LogUniform { low: 0.0, high: 1.0 }];
    let low = random(&axis, 1, &mut StdRng::seed_from_u64(0));
    assert!(matches!(low, Err(Error::InvalidHyper { name: "low", .. })));
    let axis = [Axis::Uniform { low: 1.0, high: f64::NAN }];
    assert!(matches!(grid(&axis, &[2]), Err(Error::InvalidHyper { name: "high", .. })));
    let axis = [Axis::Uniform { low: 0.0, high: 1.0 }];
    assert!(matches!(grid(&axis, &[0]), Err(Error::InvalidHyper { name: "values", .. })));
    assert!(matches!(grid(&axis, &[2, 2]), Err(Error::LengthMismatch { examples: 1, labels: 2 })));
    assert!(matches!(evaluate(vec![], 1, |_, _| 0.0), Err(Error::Empty { .. })));
    let halve = |budget, eta| successive_halving(vec![vec![0.0]], budget, eta, |_, _| 0.0);
    assert!(matches!(halve(0, 3), Err(Error::InvalidHyper { name: "budget", .. })));
    assert!(matches!(halve(1, 1), Err(Error::InvalidHyper { name: "eta", .. })));
}
