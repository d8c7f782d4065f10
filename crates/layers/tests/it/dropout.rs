//! Noise layers: training and evaluation with any tape, keys that are saved, tangents.
use dfdx::nn::modules as nn;
use kernels::random::Key;
use layers::dropout::{NoiseKey, reseed};
use layers::prelude::*;
use layers::{Dual, assert_close, params};

type Net = (Linear<6, 8, Tanh>, Dropout, (Linear<8, 8, Tanh>, GaussianDropout), Linear<8, 3>, AlphaDropout);
type NetBuilt = <Net as BuildOnDevice<Cpu, f64>>::Built;
type Batch = Tensor<Rank2<5, 6>, f64, Cpu>;

fn net() -> (NetBuilt, Batch) {
    let dev = Cpu::seed_from_u64(3);
    let mut model = dev.build_module::<Net, f64>();
    reseed(&mut model, Key::new(4)).unwrap();
    (model, dev.sample_normal())
}

#[test]
fn evaluation_is_the_identity_and_training_is_not_with_and_without_a_tape() {
    let (mut model, x) = net();
    let (before, keys) = (params::flatten(&model), (model.1.noise_key, model.4.noise_key));
    let plain = model.forward(x.clone()).array();
    assert_eq!(model.forward(x.leaky_trace()).array(), plain);
    assert_eq!((model.1.noise_key, model.4.noise_key), keys, "evaluation draws nothing");
    let mut twin = model.clone();
    let taped = model.forward_mut(x.leaky_trace()).array();
    assert_eq!(twin.forward_mut(x.clone()).array(), taped, "the tape changes no mask");
    assert_ne!(taped, plain);
    assert_ne!(model.forward_mut(x).array(), taped, "the next call has another mask");
    assert_eq!(model.1.noise_key.calls(), 2);
    assert_eq!(params::flatten(&model), before);
}

#[test]
fn every_layer_has_a_key_of_its_own() {
    let (model, _) = net();
    let keys = [model.1.noise_key.key(), model.2.1.noise_key.key(), model.4.noise_key.key()];
    assert!(keys.iter().all(Option::is_some));
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
    let (again, _) = net();
    assert_eq!(again.4.noise_key, model.4.noise_key);
}

/// Without a key, the device's generator gives one, once; a clone of the device's seed gives it again.
#[test]
fn a_layer_without_a_key_draws_one_from_the_device() {
    let run = |seed| {
        let dev = Cpu::seed_from_u64(seed);
        let mut layer = Dropout::new(0.5);
        let ones: Tensor<Rank1<64>, f32, Cpu> = dev.ones();
        assert_eq!(layer.noise_key, NoiseKey::default());
        let y = layer.forward_mut(ones.clone()).array();
        let key = layer.noise_key.key().unwrap();
        assert_ne!(layer.forward_mut(ones.clone()).array(), y);
        assert_eq!(layer.noise_key.key(), Some(key));
        let known = kernels::dropout(ones, 0.5, key.fold(1)).array();
        assert_eq!(y, known, "call n draws from key.fold(n)");
        y
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_checkpoint_continues_with_the_same_masks() {
    let (mut model, x) = net();
    model.forward_mut(x.clone());
    let saved = model.clone();
    let path = std::env::temp_dir().join(format!("layers-dropout-{}.safetensors", std::process::id()));
    layers::save(&model, &path).unwrap();
    let (mut other, _) = net();
    reseed(&mut other, Key::new(99)).unwrap();
    layers::load(&mut other, &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((other.1.clone(), other.2.1.clone(), other.4.clone()), (saved.1, saved.2.1, saved.4));
    assert_eq!(other.forward_mut(x.clone()).array(), model.forward_mut(x).array());
}

#[test]
fn features_fall_together_and_noise_is_added() {
    let dev = Cpu::default();
    let mut layer = FeatureDropout::new(0.4).with_key(Key::new(1));
    let ones: Tensor<Rank3<4, 10, 7>, f32, Cpu> = dev.ones();
    let y = layer.forward_mut(ones).as_vec();
    let (mut dropped, scale) = (0, 1.0_f32 / 0.6);
    for feature in y.chunks(7) {
        assert!(feature.iter().all(|y| *y == feature[0]));
        assert!(feature[0] == 0.0 || (feature[0] - scale).abs() < 1e-6);
        dropped += usize::from(feature[0] == 0.0);
    }
    assert!((dropped as f64 - 16.0).abs() < 4.0 * (40.0 * 0.24_f64).sqrt(), "{dropped} of 40");
    let mut layer = GaussianNoise::new(0.5).with_key(Key::new(2));
    let x = dev.ones::<Rank1<4000>>() * 100.0_f64;
    let y = layer.forward_mut(x.leaky_trace());
    let variance = y.as_vec().iter().map(|y| (y - 100.0).powi(2)).sum::<f64>() / 4000.0;
    assert!((variance / 0.25 - 1.0).abs() < 4.0 * (2.0_f64 / 4000.0).sqrt(), "{variance}");
    assert_eq!(y.sum().backward().get(&x).array(), [1.0; 4000]);
}

/// The training pass with the keys of `model`, which stay as they are.
fn train(model: &NetBuilt, x: Dual<Rank2<5, 6>, f64, Cpu, OwnedTape<f64, Cpu>>) -> DualOut {
    model.clone().forward_mut(x)
}
type DualOut = Dual<Rank2<5, 3>, f64, Cpu, OwnedTape<f64, Cpu>>;

/// Value, tangent and the gradient of a loss of the tangent alone, against finite differences with the same masks.
#[test]
fn tangents_meet_the_same_masks() {
    let (model, x) = net();
    let v: Batch = Key::new(8).normal(&Cpu::default(), Default::default());
    let value = |x: &Batch| model.clone().forward_mut(x.clone()).as_vec();
    let dual = train(&model, Dual::new(x.leaky_trace(), v.clone()));
    assert_eq!(dual.with_empty_tape().value().as_vec(), value(&x));
    let tangent = dual.tangent();
    let h = 1e-5;
    let (up, down) = (value(&(x.clone() + v.clone() * h)), value(&(x.clone() - v.clone() * h)));
    for (tangent, (up, down)) in tangent.as_vec().into_iter().zip(up.into_iter().zip(down)) {
        assert_close!(tangent, (up - down) / (2.0 * h), 1e-8, 1e-9);
    }
    let loss = |model: &NetBuilt| {
        let tangent = train(model, Dual::new(x.leaky_trace(), v.clone())).tangent();
        tangent.square().sum::<Rank0, _>()
    };
    let mut gradients = loss(&model).backward();
    let gradient = params::flatten_gradients(&model, &mut gradients).unwrap();
    let weights = params::flatten(&model);
    for element in (0..weights.len()).step_by(7) {
        let moved = |h: f64| {
            let (mut model, mut weights) = (model.clone(), weights.clone());
            weights[element] += h;
            params::unflatten(&mut model, &weights).unwrap();
            loss(&model).array()
        };
        assert_close!(gradient[element], (moved(h) - moved(-h)) / (2.0 * h), 1e-6, 1e-7, "element {element}");
    }
}

#[test]
fn layers_refuse_parameters_out_of_range_and_cost_nothing() {
    assert!(matches!(Dropout::try_new(1.0), Err(kernels::Error::DropoutRate { rate: 1.0 })));
    assert!(FeatureDropout::try_new(f64::NAN).is_err() && AlphaDropout::try_new(-0.1).is_err());
    assert!(GaussianDropout::try_new(2.0).is_err() && GaussianNoise::try_new(-1.0).is_err());
    assert_eq!(Dropout::default(), Dropout::new(0.5));
    assert_eq!(<(Dropout, GaussianNoise) as layers::Cost>::PARAMS, 0);
    // As dfdx's: the same rate by default.
    assert_eq!(Dropout::default().rate(), f64::from(nn::Dropout::default().p));
}
