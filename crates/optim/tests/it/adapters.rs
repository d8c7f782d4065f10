//! A rule behind dfdx's trait, and the loss scale: both must change nothing but the interface.
use dfdx::optim::Optimizer;
use dfdx::prelude::*;
use layers::{Step, StepError, params};
use optim::Error;
use optim::loss_scale::{DynamicLossScale, LossScaleConfig};
use optim::optimizers::{AdamConfig, AsDfdx, Optim};

type Point = Tensor<Rank1<3>, f32, Cpu>;

fn start() -> Point {
    Cpu::default().tensor([1.0, -2.0, 0.5])
}

fn gradients(x: &Point, scale: f32) -> Gradients<f32, Cpu> {
    ((x.leaky_trace().square() * x.clone()).sum() * scale).backward()
}

#[test]
fn behind_dfdxs_trait_a_rule_makes_the_same_steps() {
    let (mut ours, mut theirs) = (start(), start());
    let mut optimizer = Optim::try_new(&ours, AdamConfig::default()).unwrap();
    let mut adapter = AsDfdx::new(Optim::try_new(&theirs, AdamConfig::default()).unwrap());
    for step in 1..=10 {
        let mut own = gradients(&ours, 1.0);
        optimizer.step(&mut ours, &mut own).unwrap();
        let lent = gradients(&theirs, 1.0);
        adapter.update(&mut theirs, &lent).unwrap();
        assert_eq!(ours.array(), theirs.array(), "step {step}");
        assert!(adapter.refused().is_none());
    }
    let before = theirs.array();
    let broken = gradients(&theirs, f32::NAN);
    assert!(adapter.update(&mut theirs, &broken).is_err());
    assert!(
        matches!(adapter.refused(), Some(StepError::NotFinite { step: 11, .. })),
        "{:?}",
        adapter.refused()
    );
    assert_eq!(theirs.array(), before);
    let lent = gradients(&theirs, 1.0);
    adapter.update(&mut theirs, &lent).unwrap();
    assert!(adapter.refused().is_none());
}

/// Powers of two divide out exactly; an overflow halves the scale, leaves the model alone, and is not fatal.
#[test]
fn a_loss_scale_changes_nothing_and_survives_overflow() {
    let (mut plain, mut scaled) = (start(), start());
    let mut optimizer = Optim::try_new(&plain, AdamConfig::default()).unwrap();
    let mut twin = Optim::try_new(&scaled, AdamConfig::default()).unwrap();
    let config = LossScaleConfig { interval: 3, ..Default::default() };
    let mut scale = DynamicLossScale::try_new(config).unwrap();
    let mut scales = Vec::new();
    for step in 0..8 {
        let mut own = gradients(&plain, 1.0);
        optimizer.step(&mut plain, &mut own).unwrap();
        if step == 4 {
            let before = params::flatten(&scaled);
            let mut overflowing = gradients(&scaled, f32::INFINITY);
            let skipped = scale.step(&mut twin, &mut scaled, &mut overflowing).unwrap();
            assert!(skipped.is_none());
            assert_eq!(params::flatten(&scaled), before);
        }
        let factor = scale.scale() as f32;
        let mut larger = gradients(&scaled, factor);
        assert!(scale.step(&mut twin, &mut scaled, &mut larger).unwrap().is_some());
        scales.push(scale.scale() / 65_536.0);
        assert_eq!(plain.array(), scaled.array(), "step {step}");
    }
    // Doubled after three good steps, halved by the overflow in the fifth, which also starts the count again.
    assert_eq!(scales, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
}

/// Every number of half precision, decoded from its 16 bits, is its own rounding; halfway to the next the even one is taken,
/// nearer than that the nearer one, and what is too large or nothing is infinite or nothing.
#[test]
fn rounding_to_half_precision_is_that_of_all_its_numbers() {
    use optim::master_copy::round_to_half;
    let decode = |bits: u16| {
        let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
        match exponent {
            0 => mantissa * 2_f64.powi(-24),
            31 => 65_536.0, // where the next number would be
            _ => (1.0 + mantissa / 1024.0) * 2_f64.powi(exponent - 15),
        }
    };
    for bits in 0..0x7c00_u16 {
        let (here, next) = (decode(bits), decode(bits + 1));
        assert_eq!(round_to_half(here).to_bits(), here.to_bits(), "{bits:#x}");
        let (half, above) = (0.5 * (here + next), if bits + 1 == 0x7c00 { f64::INFINITY } else { next });
        let even = if bits % 2 == 0 { here } else { above };
        for (value, want) in [(half, even), (half.next_down(), here), (half.next_up(), above)] {
            assert_eq!(round_to_half(value), want, "{value:e} beside {bits:#x}");
            assert_eq!(round_to_half(-value), -want, "{value:e} beside {bits:#x}");
        }
    }
    assert!(round_to_half(f64::NAN).is_nan() && round_to_half(f64::NEG_INFINITY) == f64::NEG_INFINITY);
}

/// Gradients of a thousand millionth are nothing in half precision: no step. With the loss scaled they arrive to three
/// digits; and a scale that overflows the format is halved until it does not.
#[test]
fn a_loss_scale_saves_gradients_that_half_precision_loses() {
    use optim::master_copy::round_to_half;
    use optim::optimizers::{Sgd, SgdConfig};
    let slopes: Point = Cpu::default().tensor([1.0e-9, -2.0e-9, 1.5e-9]);
    let run = |initial: f64| {
        let mut x = start();
        let mut sgd = Sgd::try_new(&x, SgdConfig { learning_rate: 1e8, ..Default::default() }).unwrap();
        let mut scale = DynamicLossScale::try_new(LossScaleConfig { initial, ..Default::default() }).unwrap();
        let mut skipped = 0;
        loop {
            let loss = (x.leaky_trace() * slopes.clone()).sum() * scale.scale() as f32;
            let mut gradients = loss.backward();
            for gradient in gradients.get_or_alloc_mut(&x).unwrap().iter_mut() {
                *gradient = round_to_half(f64::from(*gradient)) as f32;
            }
            if scale.step(&mut sgd, &mut x, &mut gradients).unwrap().is_some() {
                let moved: Vec<f32> = x.array().iter().zip(start().array()).map(|(x, s)| x - s).collect();
                return (moved, skipped, scale.scale());
            }
            skipped += 1;
        }
    };
    assert_eq!(run(1.0), (vec![0.0; 3], 0, 1.0));
    let exact = [-0.1_f32, 0.2, -0.15];
    for (initial, skips) in [(65_536.0, 0), (2_f64.powi(50), 6)] {
        let (moved, skipped, _) = run(initial);
        assert_eq!(skipped, skips, "2e-9 of 2^44 is below 65 504, of 2^45 above");
        layers::assert_close!(moved, exact, 1e-3);
    }
}

#[test]
fn settings_of_the_loss_scale_are_checked() {
    let name = |config| match DynamicLossScale::try_new(config).unwrap_err() {
        Error::InvalidHyper { name, .. } => name,
        other => panic!("{other}"),
    };
    let config = LossScaleConfig::default();
    assert_eq!(name(LossScaleConfig { initial: 0.0, ..config }), "initial");
    assert_eq!(name(LossScaleConfig { interval: 0, ..config }), "interval");
    assert_eq!(name(LossScaleConfig { growth: 1.0, ..config }), "growth");
    assert_eq!(name(LossScaleConfig { backoff: f64::NAN, ..config }), "backoff");
}

/// With as many bits as the format has, the steps are the optimiser's, bit for bit; with 7 the model holds bfloat16 numbers
/// and still follows, where rounding after each step stands still.
#[test]
fn a_master_copy_keeps_small_steps() {
    use layers::modules;
    use layers::prelude::{Linear, Tanh};
    use optim::master_copy::{MasterCopy, round_to_bits};
    use optim::optimizers::Adam;
    let dev = Cpu::seed_from_u64(5);
    let start = dev.build_module::<(Linear<3, 5, Tanh>, Linear<5, 2>), f32>();
    let x: Tensor<Rank2<8, 3>, f32, _> = dev.sample_normal();
    type Net = (modules::Linear<3, 5, f32, Cpu, Tanh>, modules::Linear<5, 2, f32, Cpu>);
    let loss = |model: &Net| model.forward(x.leaky_trace()).square().mean::<Rank0, _>();
    let config = AdamConfig { learning_rate: 1e-4, ..Default::default() };
    let [mut plain, mut full, mut coarse, mut lost] = [(); 4].map(|()| start.clone());
    let mut optimizers = [(); 4].map(|()| Adam::try_new(&start, config).unwrap());
    let mut masters =
        [MasterCopy::try_new(&mut full, 23).unwrap(), MasterCopy::try_new(&mut coarse, 7).unwrap()];
    let round = |model: &mut Net| {
        let flat: Vec<f32> =
            params::flatten(model).iter().map(|&w| round_to_bits(f64::from(w), 7) as f32).collect();
        params::unflatten(model, &flat).unwrap();
    };
    round(&mut lost);
    let before = params::flatten(&lost);
    for _ in 0..30 {
        let mut gradients = loss(&plain).backward();
        optimizers[0].step(&mut plain, &mut gradients).unwrap();
        let mut gradients = loss(&full).backward();
        masters[0].step(&mut optimizers[1], &mut full, &mut gradients).unwrap();
        let mut gradients = loss(&coarse).backward();
        masters[1].step(&mut optimizers[2], &mut coarse, &mut gradients).unwrap();
        let mut gradients = loss(&lost).backward();
        optimizers[3].step(&mut lost, &mut gradients).unwrap();
        round(&mut lost);
    }
    assert_eq!(params::flatten(&plain), params::flatten(&full));
    let (exact, held) = (masters[1].exact(), params::flatten(&coarse));
    assert!(held.iter().all(|w| w.to_bits() & 0xffff == 0), "not a bfloat16");
    for ((exact, held), plain) in exact.iter().zip(&held).zip(params::flatten(&plain)) {
        assert!((exact - held).abs() <= held.abs() / 256.0, "{held} is not {exact} rounded");
        assert!((exact - plain).abs() < 1e-3, "{exact} has lost its way to {plain}");
    }
    // Steps of 1e-4 are lost by every weight above 0.05: half of its last digit is more.
    let moved = params::flatten(&lost).iter().zip(&before).filter(|(a, b)| a != b && b.abs() > 0.06).count();
    let follows = held.iter().zip(&before).filter(|(a, b)| a != b && b.abs() > 0.06).count();
    assert!(moved == 0 && follows > 10, "{moved} moved, {follows} follow");
    let refused = MasterCopy::try_new(&mut plain, 0);
    assert!(matches!(refused, Err(Error::InvalidHyper { name: "bits", .. })));
}
