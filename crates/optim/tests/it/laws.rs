//! Laws over random inputs that belong to no single file: how tensors are cut, clipping, averages, masks, mixing.
use dfdx::shapes::Rank1;
use dfdx::tensor::{AsArray, Cpu, Gradients, Tensor, TensorFrom, TensorFromVec};
use layers::{Step, assert_close};
use nalgebra::DMatrix;
use optim::Error;
use optim::optimizers::*;
use optim::regularize::dropout_theory::{expected_loss_enumerated, plain_loss, regularizer, strength};
use optim::regularize::{mixup, noise::max_norm};
use optim::sgd::averaging::{Averaging, RunningAverage};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Vector<const N: usize> = Tensor<Rank1<N>, f64, Cpu>;

fn cases() -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(2027);
    ProptestConfig { rng_seed, failure_persistence: None, cases: 64, ..ProptestConfig::default() }
}

/// Four numbers as one tensor, and as two of two, along the same gradients; what they are afterwards.
fn cut(rule: impl Rule, start: [f64; 4], gradients: &[[f64; 4]]) -> [[f64; 4]; 2] {
    let dev = Cpu::default();
    let mut whole: Vector<4> = dev.tensor(start);
    let mut halves: (Vector<2>, Vector<2>) =
        (dev.tensor([start[0], start[1]]), dev.tensor([start[2], start[3]]));
    let mut one = Optim::try_new(&whole, rule.clone()).unwrap();
    let mut two = Optim::try_new(&halves, rule).unwrap();
    for g in gradients {
        let mut of_whole = Gradients::leaky();
        of_whole.get_or_alloc_mut(&whole).unwrap().copy_from_slice(g);
        one.step(&mut whole, &mut of_whole).unwrap();
        let mut of_halves = Gradients::leaky();
        of_halves.get_or_alloc_mut(&halves.0).unwrap().copy_from_slice(&g[..2]);
        of_halves.get_or_alloc_mut(&halves.1).unwrap().copy_from_slice(&g[2..]);
        two.step(&mut halves, &mut of_halves).unwrap();
    }
    let ([a, b], [c, d]) = (halves.0.array(), halves.1.array());
    [whole.array(), [a, b, c, d]]
}

/// What a clipped step of gradient descent with the rate 1 takes away from 0.
fn clipped(clip: Clip, gradient: [f64; 3]) -> [f64; 3] {
    let mut x: Vector<3> = Cpu::default().tensor([0.0; 3]);
    let config = SgdConfig { learning_rate: 1.0, ..SgdConfig::default() };
    let mut sgd = Optim::try_new(&x, config).unwrap().clip(clip).unwrap();
    let mut gradients = Gradients::leaky();
    gradients.get_or_alloc_mut(&x).unwrap().copy_from_slice(&gradient);
    sgd.step(&mut x, &mut gradients).unwrap();
    x.array().map(|x| -x)
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

proptest! {
    #![proptest_config(cases())]

    /// Element-wise rules do not see where a tensor ends, nor the order of its elements; rules with a norm, a matrix or a mean
    /// per tensor do.
    #[test]
    fn a_parameter_in_two_parts_takes_the_same_steps(
        start in prop::array::uniform4(0.5..2.0_f64),
        gradients in prop::collection::vec(prop::array::uniform4(-3.0..3.0_f64), 2..6),
    ) {
        // The halves must differ, or a rule that looks at them has nothing to see.
        let halves_differ = |x: &[f64; 4]| (length(&x[..2]) - length(&x[2..])).abs() > 0.05;
        prop_assume!(halves_differ(&start) && gradients.iter().all(halves_differ));
        // An odd number of them, or steps of one length, Lion's, can end where they began.
        let gradients = gradients[..(gradients.len() - 1) / 2 * 2 + 1].to_vec();
        let order = [2, 0, 3, 1];
        let moved = |x: &[f64; 4]| order.map(|i| x[i]);
        let permuted: Vec<[f64; 4]> = gradients.iter().map(moved).collect();
        macro_rules! element_wise {
            ($($rule:expr,)*) => {$(
                let rule = $rule;
                let [whole, halves] = cut(rule, start, &gradients);
                prop_assert_eq!(whole, halves, "{:?}", rule);
                let [other, _] = cut(rule, moved(&start), &permuted);
                prop_assert_eq!(moved(&whole), other, "{:?}", rule);
                prop_assert!(whole != start, "{:?} does not move", rule);
            )*};
        }
        element_wise! {
            SgdConfig::default(),
            SgdConfig { momentum: Momentum::HeavyBall(0.9), ..SgdConfig::default() },
            SgdConfig { momentum: Momentum::Nesterov(0.9), ..SgdConfig::default() },
            SgdConfig { momentum: Momentum::Sutskever(0.9), ..SgdConfig::default() },
            SgdConfig { momentum: Momentum::Dampened { coefficient: 0.9, dampening: 0.5 }, ..SgdConfig::default() },
            NesterovAgdConfig::default(),
            AsgdConfig::default(),
            AsgdConfig { start: 0.0, ..AsgdConfig::default() },
            QhmConfig::default(),
            AggMoConfig::default(),
            ScheduleFreeSgdConfig::default(),
            ScheduleFreeAdamWConfig::default(),
            AdaGradConfig::default(),
            AdadeltaConfig::default(),
            RmsPropConfig::default(),
            RmsPropConfig { momentum: 0.9, is_centred: true, ..RmsPropConfig::default() },
            RmsPropConfig { variant: RmsPropVariant::Tf, ..RmsPropConfig::default() },
            AdamConfig::default(),
            AdamWConfig::default(),
            AmsGradConfig::default(),
            AmsGradConfig { variant: AmsGradVariant::Paper, ..AmsGradConfig::default() },
            AmsGradConfig { variant: AmsGradVariant::Corrected, ..AmsGradConfig::default() },
            AdamaxConfig::default(),
            NAdamConfig::default(),
            RAdamConfig::default(),
            RAdamConfig { beta2: 0.9, threshold: 4.0, ..RAdamConfig::default() }, // rectified after a few steps
            YogiConfig::default(),
            AdaBeliefConfig::default(),
            AdaBoundConfig::default(),
            LionConfig::default(),
            RpropConfig::default(),
            SparseAdamConfig::default(), // rows of a vector are its elements
        }
        // Not element-wise: LARS and LAMB by the norms of a tensor, Adafactor by its mean square, Shampoo by its matrices.
        // Muon takes matrices alone.
        macro_rules! by_tensor {
            ($($rule:expr,)*) => {$(
                let [whole, halves] = cut($rule, start, &gradients);
                let off = whole.iter().zip(halves).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                prop_assert!(off > 1e-9, "{:?} does not see where a tensor ends: {}", $rule, off);
            )*};
        }
        by_tensor! {
            LarsConfig::default(),
            LambConfig { learning_rate: 0.1, ..LambConfig::default() },
            AdafactorConfig::default(),
            ShampooConfig::default(),
        }
    }

    /// Clipping by norm bounds the length, keeps the direction, and leaves alone what is short enough.
    #[test]
    fn clipping_bounds_the_length_and_keeps_the_direction(
        gradient in prop::array::uniform3(-5.0..5.0_f64), bound in 0.1..8.0_f64,
    ) {
        prop_assume!(length(&gradient) > 1e-3);
        for clip in [Clip::Norm(bound), Clip::GlobalNorm(bound)] {
            let got = clipped(clip, gradient);
            prop_assert!((length(&got) - length(&gradient).min(bound)).abs() < 1e-12 * (1.0 + bound));
            let cosine = got.iter().zip(gradient).map(|(a, b)| a * b).sum::<f64>()
                / (length(&got) * length(&gradient));
            prop_assert!((cosine - 1.0).abs() < 1e-12);
            assert_close!(clipped(clip, got), got, 1e-12, 1e-15, "again changes nothing");
        }
        let got = clipped(Clip::Value(bound), gradient);
        prop_assert_eq!(got, gradient.map(|g| g.clamp(-bound, bound)));
    }

    /// On a parabola descent is x ← ρx, and the mean of T iterates is the sum of a geometric series.
    #[test]
    fn the_mean_of_a_linear_recursion_is_a_geometric_sum(
        ratio in -0.99..0.99_f64, start in -5.0..5.0_f64, steps in 1_u64..200,
    ) {
        let mut mean = RunningAverage::new(Averaging::Polyak { start: 1 }, 1).unwrap();
        let mut x = start;
        for step in 1..=steps {
            x *= ratio;
            mean.see(step, &[x]);
        }
        let sum = start * ratio * (1.0 - ratio.powi(steps as i32)) / (1.0 - ratio);
        prop_assert!((mean.mean()[0] - sum / steps as f64).abs() < 1e-12);
    }

    /// All masks of a linear network, one by one, against the closed form of dropout's regulariser.
    #[test]
    fn the_mean_over_masks_is_the_closed_form(seed: u64, units in 1..7_usize, keep in 0.1..1.0_f64) {
        let key = kernels::random::Key::new(seed);
        let matrix = |which: u64, rows: usize, columns: usize| {
            let mut values = vec![0.0_f64; rows * columns];
            key.fold(which).fill_normal(&mut values);
            DMatrix::from_vec(rows, columns, values)
        };
        let (u, v, m, c) = (matrix(0, 3, units), matrix(1, 4, units), matrix(2, 3, 4), matrix(3, 4, 4));
        let covariance = c.tr_mul(&c);
        for covariance in [None, Some(&covariance)] {
            let closed = plain_loss(&m, &u, &v, covariance) + regularizer(&u, &v, keep, covariance).unwrap();
            let enumerated = expected_loss_enumerated(&m, &u, &v, keep, covariance).unwrap();
            prop_assert!((closed / enumerated - 1.0).abs() < 1e-11, "{closed} is not {enumerated}");
        }
    }

    /// All of row i and nothing of its partner is row i; half of each does not care who is whose partner.
    #[test]
    fn mixing_with_the_whole_share_changes_nothing(values in prop::collection::vec(-2.0..2.0_f64, 6)) {
        let x: Tensor<(usize, usize), f64, Cpu> = Cpu::default().tensor_from_vec(values, (3, 2));
        let (labels, partner) = ([0, 1, 2], [2, 0, 1]);
        let whole = mixup::mix(&x, &labels, 3, &partner, 1.0).unwrap();
        prop_assert_eq!(whole.x.as_vec(), x.as_vec());
        prop_assert_eq!(whole.targets.as_vec(), vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let nothing = mixup::mix(&x, &labels, 3, &partner, 0.0).unwrap();
        let moved: Vec<f64> = partner.iter().flat_map(|&p| x.as_vec()[2 * p..2 * p + 2].to_vec()).collect();
        prop_assert_eq!(nothing.x.as_vec(), moved);
    }

    /// Projection onto a ball: twice is once, and two points never end farther apart than they were.
    #[test]
    fn max_norm_is_a_projection(
        a in prop::array::uniform4(-5.0..5.0_f64), b in prop::array::uniform4(-5.0..5.0_f64), limit in 0.1..6.0_f64,
    ) {
        let project = |mut w: [f64; 4]| {
            max_norm(&mut w, 4, limit).unwrap();
            w
        };
        let (pa, pb) = (project(a), project(b));
        prop_assert!(length(&pa) <= limit * (1.0 + 1e-12));
        assert_close!(project(pa), pa, 1e-12, 1e-15);
        let apart = |x: [f64; 4], y: [f64; 4]| length(&[0, 1, 2, 3].map(|i| x[i] - y[i]));
        prop_assert!(apart(pa, pb) <= apart(a, b) * (1.0 + 1e-12));
    }
}

/// A keep probability outside of (0, 1] and more masks than can be gone through are told, not computed.
#[test]
fn masks_that_cannot_be_enumerated_are_refused() {
    let name = |error: Error| match error {
        Error::InvalidHyper { name, .. } => name,
        other => panic!("{other}"),
    };
    for keep in [0.0, -0.1, 1.1, f64::NAN] {
        name(strength(keep).unwrap_err());
    }
    let (u, v) = (DMatrix::from_element(2, 17, 1.0), DMatrix::from_element(3, 17, 1.0));
    let m = DMatrix::zeros(2, 3);
    assert_eq!(name(expected_loss_enumerated(&m, &u, &v, 0.5, None).unwrap_err()), "hidden units");
    assert!(regularizer(&u, &v, 0.5, None).is_ok(), "the closed form needs no masks");
}
