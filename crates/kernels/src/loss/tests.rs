//! Laws of single losses, and extreme inputs.
use super::*;
use crate::random::Key;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Matrix = Tensor<(usize, usize), f64, Cpu>;

const CE: ClassLoss = ClassLoss::CrossEntropy { label_smoothing: 0.0 };
const ALL: [ClassLoss; 9] = [
    CE,
    ClassLoss::CrossEntropy { label_smoothing: 0.1 },
    ClassLoss::Focal { gamma: 2.0 },
    ClassLoss::GeneralisedCrossEntropy { q: 0.7 },
    ClassLoss::AbsoluteError,
    ClassLoss::SymmetricCrossEntropy { alpha: 0.1, beta: 1.0, log_zero: -4.0 },
    ClassLoss::ConfidencePenalty { beta: 0.1 },
    ClassLoss::MultiMargin { margin: 1.0 },
    ClassLoss::CrammerSinger { margin: 1.0 },
];

fn draw(seed: u64, rows: usize, cols: usize) -> Matrix {
    Key::new(seed).normal(&Cpu::default(), (rows, cols))
}

fn distribution(seed: u64, rows: usize, cols: usize) -> Matrix {
    crate::softmax(draw(seed, rows, cols))
}

fn per_sample(logits: &Matrix, labels: &[usize], loss: ClassLoss) -> Vec<f64> {
    class_loss_per_sample(logits.clone(), labels, loss, Classes::default()).as_vec()
}

fn against(logits: &Matrix, q: &Matrix, loss: DistributionLoss) -> Vec<f64> {
    distribution_loss_per_sample(logits.clone(), q, loss).as_vec()
}

#[track_caller]
fn close(got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "[{i}]: {got} instead of {want}");
    }
}

fn cases() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// Cross-entropy is the divergence plus the entropy of the target; divergences are not negative, and 0 only for
    /// equal distributions; Jensen–Shannon is symmetric and at most ln 2.
    #[test]
    fn divergences_keep_their_laws(rows in 1_usize..6, cols in 2_usize..9, seed in any::<u64>()) {
        use DistributionLoss::{CrossEntropy, JensenShannon, KlForward, KlReverse};
        let (logits, q) = (draw(seed, rows, cols) * 3.0, distribution(seed ^ 1, rows, cols));
        let entropy: Vec<f64> = q.as_vec().chunks(cols).map(|q| -q.iter().map(|q| q * q.ln()).sum::<f64>()).collect();
        let (ce, kl) = (against(&logits, &q, CrossEntropy), against(&logits, &q, KlForward));
        close(&ce, &kl.iter().zip(&entropy).map(|(kl, h)| kl + h).collect::<Vec<_>>(), 1e-13);
        let (p, ln_q) = (crate::softmax(logits.clone()), q.clone().ln());
        close(&against(&logits, &q, KlReverse), &against(&ln_q, &p, KlForward), 1e-12);
        let js = against(&logits, &q, JensenShannon);
        close(&js, &against(&ln_q, &p, JensenShannon), 1e-13);
        for x in kl.iter().chain(&js) {
            prop_assert!(*x >= -1e-15, "{x}");
        }
        prop_assert!(js.iter().all(|x| *x <= 2.0_f64.ln()));
        for loss in [KlForward, KlReverse, JensenShannon] {
            close(&against(&ln_q, &q, loss), &vec![0.0; rows], 1e-14);
        }
    }

    /// A shift of all logits of a row changes no loss, a permutation of the classes permutes labels, the mean over a
    /// batch is that of its rows, and every gradient has rows that sum to 0.
    #[test]
    fn losses_of_classes_keep_their_laws(rows in 1_usize..6, cols in 2_usize..9, shift in -20.0..20.0_f64, seed in any::<u64>()) {
        let logits = draw(seed, rows, cols);
        let labels: Vec<usize> = (0..rows).map(|row| (row * 5 + seed as usize % 7) % cols).collect();
        let turned: Vec<f64> = logits.as_vec().chunks(cols).flat_map(|row| row.iter().rev().copied()).collect();
        let turned = Cpu::default().tensor_from_vec(turned, (rows, cols));
        let turned_labels: Vec<usize> = labels.iter().map(|label| cols - 1 - label).collect();
        for loss in ALL {
            let want = per_sample(&logits, &labels, loss);
            close(&per_sample(&(logits.clone() + shift), &labels, loss), &want, 1e-13);
            close(&per_sample(&turned, &turned_labels, loss), &want, 1e-13);
            let mean = class_loss_mean(logits.leaky_trace(), &labels, loss, Classes::default());
            close(&[mean.array()], &[want.iter().sum::<f64>() / rows as f64], 1e-14);
            for row in mean.backward().get(&logits).as_vec().chunks(cols) {
                prop_assert!(row.iter().sum::<f64>().abs() <= 1e-14, "{loss:?}: {row:?}");
            }
        }
    }

    /// The ends of each family of losses.
    #[test]
    fn losses_meet_at_their_ends(rows in 1_usize..6, cols in 2_usize..9, seed in any::<u64>()) {
        let logits = draw(seed, rows, cols) * 2.0;
        let labels: Vec<usize> = (0..rows).map(|row| row % cols).collect();
        let ce = per_sample(&logits, &labels, CE);
        let like = |loss| per_sample(&logits, &labels, loss);
        close(&like(ClassLoss::Focal { gamma: 0.0 }), &ce, 1e-14);
        close(&like(ClassLoss::GeneralisedCrossEntropy { q: 1e-7 }), &ce, 1e-5);
        let half: Vec<f64> = like(ClassLoss::AbsoluteError).iter().map(|x| x / 2.0).collect();
        close(&like(ClassLoss::GeneralisedCrossEntropy { q: 1.0 }), &half, 1e-14);
        close(&like(ClassLoss::ConfidencePenalty { beta: 0.0 }), &ce, 1e-14);
        close(&like(ClassLoss::SymmetricCrossEntropy { alpha: 1.0, beta: 0.0, log_zero: -4.0 }), &ce, 1e-14);
        close(&[class_loss_mean(logits.clone(), &labels, CE, Classes::default()).array()],
              &[cross_entropy_mean(logits.clone(), &labels).array()], 1e-14);
        let t = distribution(seed ^ 2, rows, cols);
        let pair = |loss: PairKind| Cpu::pair_each(logits.clone(), t.clone(), loss).unwrap().as_vec();
        let bce = pair(PairKind::BceWithLogits { positive_weight: 1.0 });
        let focal: Vec<f64> = pair(PairKind::Focal { gamma: 0.0, alpha: 0.5 }).iter().map(|x| 2.0 * x).collect();
        close(&focal, &bce, 1e-14);
        let huber: Vec<f64> = pair(PairKind::Huber(0.3)).iter().map(|x| x / 0.3).collect();
        close(&pair(PairKind::SmoothL1(0.3)), &huber, 1e-14);
        // Two classes with logits (0, x) are a Bernoulli variable.
        let x = logits.as_vec();
        let two: Vec<f64> = x.iter().flat_map(|&x| [0.0, x]).collect();
        let two = Cpu::default().tensor_from_vec(two, (x.len(), 2));
        let ones = Cpu::default().ones_like(&(x.len(), 1)).reshape_like(&(x.len(), 1));
        let single = Cpu::default().tensor_from_vec(x.clone(), (x.len(), 1));
        close(&per_sample(&two, &vec![1; x.len()], CE),
              &loss_per_sample(single, ones, BceWithLogits::default()).as_vec(), 1e-14);
    }
}

/// ±1000 and ±10⁴ in both types: finite values and gradients.
#[test]
fn extreme_logits_are_finite() {
    fn check<E: Real>()
    where
        Cpu: Device<E>,
    {
        let device = Cpu::default();
        let rows: Vec<f64> = vec![1e3, -1e3, 0.0, -800.0, 800.0, 800.0, 1e4, -1e4, 1e-40, 0.0, 0.0, 0.0];
        let x = device.tensor_from_vec(rows.iter().map(|&x| E::of(x)).collect(), (4, 3));
        let finite = |name: &str, loss: Tensor<Rank0, E, Cpu, OwnedTape<E, Cpu>>| {
            assert!(loss.array().is_finite(), "{name}: {}", loss.array());
            let gradient = loss.backward().get(&x).as_vec();
            assert!(gradient.iter().all(|g| g.is_finite()), "gradient of {name}: {gradient:?}");
        };
        for loss in ALL {
            for labels in [[1, 0, 1, 2], [0, 1, 0, 0]] {
                finite(
                    &format!("{loss:?}"),
                    class_loss_mean(x.leaky_trace(), &labels, loss, Classes::default()),
                );
            }
        }
        let q = device.tensor_from_vec([0.0, 1.0, 0.0].repeat(4).into_iter().map(E::of).collect(), (4, 3));
        use DistributionLoss::{CrossEntropy, JensenShannon, KlForward};
        for loss in [CrossEntropy, KlForward, JensenShannon] {
            finite(&format!("{loss:?}"), distribution_loss_mean(x.leaky_trace(), &q, loss));
        }
        let pairs = [
            PairKind::Squared,
            PairKind::Absolute,
            PairKind::Huber(0.7),
            PairKind::SmoothL1(0.7),
            PairKind::LogCosh,
            PairKind::Quantile(0.9),
            PairKind::BceWithLogits { positive_weight: 2.0 },
            PairKind::Focal { gamma: 2.0, alpha: 0.25 },
            PairKind::Hinge,
            PairKind::SquaredHinge,
            PairKind::KlDiv,
        ];
        for kind in pairs {
            finite(&format!("{kind:?}"), Cpu::pair_total(x.leaky_trace(), q.clone(), kind, 1.0).unwrap());
        }
    }
    check::<f32>();
    check::<f64>();
}

/// The mean divides by the weights used, an ignored row has no gradient, and 0/0 stays visible.
#[test]
fn weights_and_ignored_labels_count_as_documented() {
    let logits = draw(5, 4, 3);
    let options = Classes { weights: &[0.5, 2.0, 1.0], ignored: Some(9) };
    let labels = [1, 9, 0, 1];
    let losses = per_sample(&logits, &[1, 0, 0, 1], CE);
    let mean = class_loss_mean(logits.leaky_trace(), &labels, CE, options);
    let want = (2.0 * losses[0] + 0.5 * losses[2] + 2.0 * losses[3]) / 4.5;
    close(&[mean.array()], &[want], 1e-14);
    let gradient = mean.backward().get(&logits).as_vec();
    assert_eq!(gradient[3..6], [0.0; 3]);
    assert!(gradient[..3].iter().all(|g| *g != 0.0));
    assert!(class_loss_mean(logits.clone(), &[9; 4], CE, options).array().is_nan());
    assert_eq!(class_loss_sum(logits, &[9; 4], CE, options).array(), 0.0);
}

/// Pairs that belong together are drawn together, others pushed to the margin; closed forms.
#[test]
fn losses_of_vectors_have_their_closed_forms() {
    let device = Cpu::default();
    let (x, y) = (
        device.tensor([[0.0_f64, 0.0], [0.0, 0.0], [1.0, 1.0]]),
        device.tensor([[3.0, 4.0], [0.3, 0.4], [1.0, 9.0]]),
    );
    let loss = contrastive_per_sample(x.leaky_trace(), y, &[true, false, false], 1.0);
    close(&loss.as_vec(), &[12.5, 0.125, 0.0], 1e-15);
    let gradient = loss.sum::<Rank0, _>().backward().get(&x).array();
    close(&gradient.concat(), &[-3.0, -4.0, 0.3, 0.4, 0.0, 0.0], 1e-15);
}
