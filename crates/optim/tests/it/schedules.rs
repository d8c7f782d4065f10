//! Schedules: PyTorch's sequences, random access, ranges, and what is refused.
use layers::testing::Golden;
use layers::{Schedule, assert_close};
use optim::Error;
use optim::schedules::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn open() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/schedules.json"))
}

#[test]
fn sequences_are_those_of_pytorch() {
    let golden = open();
    let base = golden.number("base_lr");
    let steps = golden.number("steps") as u64;
    for run in golden.keys("runs") {
        let get = |name: &str| golden.number(&format!("runs/{run}/params/{name}"));
        let count = |name: &str| get(name) as u64;
        let flag = |name: &str| golden.value(&format!("runs/{run}/params/{name}")).as_bool().unwrap();
        let text = |name: &str| golden.text(&format!("runs/{run}/params/{name}")).to_owned();
        let mut momentum = None;
        let schedule: Box<dyn Schedule> = match run {
            "step" => {
                Box::new(StepDecay { base, every: count("step_size"), factor: get("gamma") }.check().unwrap())
            }
            "multistep" => {
                let milestones = golden.numbers(&format!("runs/{run}/params/milestones"));
                let milestones = milestones.into_iter().map(|m| m as u64).collect();
                Box::new(MultiStep { base, milestones, factor: get("gamma") }.check().unwrap())
            }
            "exponential" => Box::new(Exponential { base, factor: get("gamma") }.check().unwrap()),
            "constant" => {
                Box::new(Hold { base, factor: get("factor"), steps: count("total_iters") }.check().unwrap())
            }
            "linear" => {
                let (start_factor, end_factor) = (get("start_factor"), get("end_factor"));
                Box::new(
                    Linear { base, start_factor, end_factor, steps: count("total_iters") }.check().unwrap(),
                )
            }
            "polynomial" => Box::new(
                Polynomial { base, steps: count("total_iters"), power: get("power") }.check().unwrap(),
            ),
            "cosine" => {
                Box::new(Cosine { base, steps: count("T_max"), minimum: get("eta_min") }.check().unwrap())
            }
            "sgdr" => {
                let (period, growth) = (count("T_0"), count("T_mult"));
                Box::new(Sgdr { base, period, growth, minimum: get("eta_min") }.check().unwrap())
            }
            "one_cycle" | "one_cycle_linear" => {
                let mut cycle = OneCycle {
                    largest: get("max_lr"),
                    steps: count("total_steps"),
                    rise: get("pct_start"),
                    ..Default::default()
                };
                if run == "one_cycle_linear" {
                    assert_eq!(text("anneal_strategy"), "linear");
                    cycle.anneal = Anneal::Linear;
                    cycle.start_divisor = get("div_factor");
                    cycle.end_divisor = get("final_div_factor");
                    cycle.is_three_phase = flag("three_phase");
                }
                let cycle = cycle.check().unwrap();
                momentum = Some((0..steps).map(|t| cycle.momentum(t)).collect::<Vec<_>>());
                Box::new(cycle)
            }
            "cyclic_triangular" | "cyclic_triangular2" | "cyclic_exp_range" => {
                let gamma = get("gamma");
                let triangles = match text("mode").as_str() {
                    "triangular" => Triangles::Equal,
                    "triangular2" => Triangles::Halving,
                    _ => Triangles::Exponential(gamma),
                };
                assert!(!flag("cycle_momentum"));
                let (base, largest, up) = (get("base_lr"), get("max_lr"), count("step_size_up"));
                Box::new(Cyclic { base, largest, up, down: up, triangles }.check().unwrap())
            }
            "plateau" => {
                assert_eq!(text("mode"), "min");
                let config = PlateauConfig {
                    base,
                    factor: get("factor"),
                    patience: count("patience"),
                    threshold: get("threshold"),
                    cooldown: count("cooldown"),
                    minimum: get("min_lr"),
                };
                let mut plateau = Plateau::try_new(config).unwrap();
                let mut rates = vec![plateau.learning_rate()];
                rates.extend(golden.numbers("runs/plateau/metric").iter().map(|&m| plateau.observe(m)));
                Box::new(move |step: u64| rates[step as usize])
            }
            "warmup_cosine" => {
                let (warmup, total) = (count("warmup"), count("total"));
                let then = Cosine { base, steps: total - warmup, minimum: 0.0 };
                let start_factor = get("start_factor");
                // The same as a sequence of two schedules.
                let rise = Linear { base, start_factor, end_factor: 1.0, steps: warmup };
                let sequence = Sequence::default().then(warmup, rise).then(1, then.clone()).check().unwrap();
                let schedule = Warmup { steps: warmup, start_factor, then }.check().unwrap();
                for t in 0..2 * total {
                    assert_eq!(schedule.learning_rate(t), sequence.learning_rate(t), "step {t}");
                }
                Box::new(schedule)
            }
            "noam" => {
                assert_eq!(text("factor_of"), "base_lr");
                let (width, warmup) = (count("d_model"), count("warmup"));
                let noam = Noam { factor: base, width, warmup }.check().unwrap();
                let largest = noam.learning_rate(warmup - 1);
                let same = InverseSqrt { base: largest, warmup }.check().unwrap();
                for t in 0..100 {
                    assert_close!(noam.learning_rate(t), same.learning_rate(t), 1e-14);
                }
                Box::new(noam)
            }
            "inverse_time" => {
                assert_eq!(text("formula"), "base/(1+0.3 t)");
                Box::new(InverseTime { base, decay: 0.3 }.check().unwrap())
            }
            other => panic!("no schedule for the run {other}"),
        };
        // Any order gives the same: nothing is remembered.
        let mut rates: Vec<f64> = (0..steps).rev().map(|t| schedule.learning_rate(t)).collect();
        rates.reverse();
        assert_close!(rates, golden.numbers(&format!("runs/{run}/lr")), 1e-12, 0.0, "{run}");
        if let Some(momentum) = momentum {
            assert_close!(momentum, golden.numbers(&format!("runs/{run}/momentum")), 1e-12, 0.0, "{run}");
        }
    }
    golden.skip("source");
    golden.skip("note");
    golden.finish();
}

#[test]
fn the_textbook_line_meets_both_ends() {
    let line = Goodfellow { start: 0.5, end: 0.005, steps: 100 }.check().unwrap();
    assert_eq!([0, 50, 100, 1000].map(|t| line.learning_rate(t)), [0.5, 0.2525, 0.005, 0.005]);
}

#[test]
fn empty_schedules_and_values_out_of_range_are_refused() {
    fn name<S: std::fmt::Debug>(checked: Result<S, Error>) -> &'static str {
        match checked {
            Err(Error::InvalidHyper { name, .. }) => name,
            Err(Error::EmptySchedule { .. }) => "empty",
            other => panic!("{other:?}"),
        }
    }
    for wrong in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert_eq!(name(Exponential { base: wrong, factor: 0.9 }.check()), "base");
        assert_eq!(name(Cosine { base: wrong, steps: 3, minimum: 0.0 }.check()), "base");
        assert_eq!(name(Plateau::try_new(PlateauConfig { base: wrong, ..Default::default() })), "base");
        assert_eq!(name(OneCycle { largest: wrong, ..Default::default() }.check()), "largest");
    }
    assert_eq!(name(Exponential { base: 0.1, factor: 1.5 }.check()), "factor");
    assert_eq!(name(StepDecay { base: 0.1, every: 0, factor: 0.5 }.check()), "empty");
    assert_eq!(name(MultiStep { base: 0.1, milestones: vec![], factor: 0.5 }.check()), "empty");
    assert_eq!(name(MultiStep { base: 0.1, milestones: vec![3, 3], factor: 0.5 }.check()), "milestones");
    assert_eq!(name(Cosine { base: 0.1, steps: 0, minimum: 0.0 }.check()), "empty");
    assert_eq!(name(Sgdr { base: 0.1, period: 0, growth: 1, minimum: 0.0 }.check()), "empty");
    assert_eq!(name(Warmup { steps: 0, start_factor: 0.1, then: 0.1 }.check()), "empty");
    assert_eq!(name(Warmup { steps: 3, start_factor: -0.1, then: 0.1 }.check()), "start_factor");
    assert_eq!(name(Sequence::default().check()), "empty");
    assert_eq!(name(Sequence::default().then(0, 0.1).then(1, 0.1).check()), "empty");
    assert_eq!(name(OneCycle { steps: 1, ..Default::default() }.check()), "empty");
    assert_eq!(name(OneCycle { rise: 1.0, ..Default::default() }.check()), "rise");
    assert_eq!(name(OneCycle { momentum: [0.9, 1.0], ..Default::default() }.check()), "momentum");
    let error = Sequence::default().check().unwrap_err();
    assert_eq!(error.to_string(), "Sequence needs at least one step, got none; a constant rate is a number");
    assert!(Sequence::default().learning_rate(0).is_nan(), "which every optimiser refuses");
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(2026), failure_persistence: None, cases: 64, ..Default::default()
    })]

    #[test]
    fn rates_stay_between_their_ends(
        base in 1e-3..1.0_f64, share in 0.0..1.0_f64, steps in 2_u64..50, growth in 1_u64..4, t in 0_u64..400,
    ) {
        let minimum = share * base;
        let cosine = Cosine { base, steps, minimum }.check().unwrap();
        let sgdr = Sgdr { base, period: steps, growth, minimum }.check().unwrap();
        let cyclic = Cyclic { base: minimum, largest: base, up: steps, down: growth, triangles: Triangles::Halving };
        let cyclic = cyclic.check().unwrap();
        for rate in [cosine.learning_rate(t), sgdr.learning_rate(t), cyclic.learning_rate(t)] {
            prop_assert!(rate >= minimum * (1.0 - 1e-12) && rate <= base * (1.0 + 1e-12), "{rate}");
        }
        // Restarts come where the sum of the periods says.
        let mut start = 0;
        let mut period = steps;
        for _ in 0..3 {
            prop_assert!((sgdr.learning_rate(start) / base - 1.0).abs() < 1e-12);
            if start > 0 {
                prop_assert!(sgdr.learning_rate(start - 1) < base);
            }
            start += period;
            period *= growth;
        }
    }

    /// Where one part ends the next begins, a warm-up meets what follows, and asking twice or backwards changes nothing.
    #[test]
    fn parts_meet_and_remember_nothing(base in 1e-3..1.0_f64, steps in 2_u64..40, share in 0.0..0.9_f64, more in 1_u64..30) {
        let cosine = || Cosine { base, steps, minimum: share * base }.check().unwrap();
        let warm = Warmup { steps, start_factor: share, then: cosine() }.check().unwrap();
        prop_assert!((warm.learning_rate(steps) / base - 1.0).abs() < 1e-12);
        let last = base - warm.learning_rate(steps - 1);
        prop_assert!((last - (1.0 - share) * base / steps as f64).abs() < 1e-12, "one equal step below the top");
        let parts = Sequence::default().then(steps, cosine()).then(more, 0.5 * base).then(1, cosine()).check().unwrap();
        let want = |t: u64| {
            if t < steps {
                cosine().learning_rate(t)
            } else if t < steps + more {
                0.5 * base
            } else {
                cosine().learning_rate(t - steps - more)
            }
        };
        for t in (0..2 * steps + more + 3).rev() {
            prop_assert_eq!(parts.learning_rate(t), want(t), "step {}", t);
        }
    }
}

/// After an explosion the loss falls back, more steeply than it ever did on the way down; the suggestion must not be there.
#[test]
fn the_range_test_looks_before_the_explosion() {
    use dfdx::prelude::{Cpu, Gradients, Rank1, Tensor, ZerosTensor};
    use layers::{Sgd, SgdConfig};
    use optim::range_test::{RangeTestConfig, range_test};

    let losses = [2.3, 2.3, 2.2, 1.9, 1.8, 6.0, 2.4, 2.3];
    let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
    let mut sgd = Sgd::try_new(&w, SgdConfig::default()).unwrap();
    let config = RangeTestConfig { first: 1e-7, last: 1.0, steps: 8, smoothing: 0.0, stop_factor: 4.0 };
    let scripted = |w: &Tensor<Rank1<1>, f64, Cpu>, step: u64| {
        let mut gradients = Gradients::leaky();
        gradients.get_or_alloc_mut(w).unwrap();
        Ok((losses[step as usize], gradients))
    };
    let found = range_test(&mut w, &mut sgd, scripted, config).unwrap();
    assert_eq!(found.losses, losses);
    assert_eq!(found.divergence, None);
    // From 2.2 to 1.9, after the third step of rates that grow tenfold from 1e-7.
    assert!((found.suggestion / 1e-5 - 1.0).abs() < 1e-9, "{}", found.suggestion);
}
