//! Images and places that units like best, against what is known of simple networks and against a search.
use convnets::explain::ExplainError;
use convnets::features::{Ascent, Contrast, FeatureError, maximise, mosaic, strongest};
use kernels::random::Key;
use layers::prelude::*;

type Picture = Tensor<(Const<1>, Const<2>, usize, usize), f64, Cpu>;
const SHAPE: (Const<1>, Const<2>, usize, usize) = (Const, Const, 6, 5);

fn pictures(dev: &Cpu, n: usize) -> Vec<Picture> {
    (0..n).map(|_| dev.sample_like(&SHAPE, rand_distr::StandardNormal)).collect()
}

/// Steps along the gradient of a small rate never lose.
#[test]
fn ascent_climbs() {
    type Net = (Conv2D<2, 4, 3, 1, 1, 1, Tanh>, GlobalAvgPool, Linear<4, 3>);
    let dev = Cpu::seed_from_u64(1);
    let net = dev.build_module::<Net, f64>();
    let start = pictures(&dev, 1).remove(0);
    for class in 0..3 {
        let found = maximise(&net, &start, class, ascent()).unwrap();
        assert_eq!(found.objective.len(), 31);
        assert!(found.objective.windows(2).all(|two| two[1] > two[0]), "{:?}", found.objective);
        // What is reported is what the image has.
        let x = found.image;
        let value = net.forward(x.clone()).as_vec()[class] - 0.1 * x.square().sum::<Rank0, _>().array();
        assert_eq!(found.objective[30], value);
    }
}

fn ascent() -> Ascent {
    Ascent { steps: 30, learning_rate: 0.05, decay: 0.1, jitter: 0, key: Key::new(3) }
}

/// With jitter a linear network's one step adds its weights, moved by at most the jitter.
#[test]
fn jitter_moves_and_moves_back() {
    let dev = Cpu::seed_from_u64(2);
    // A window as large as the image has a weight for every pixel.
    type Net = (Conv2D<2, 3, 5>, Flatten, Linear<3, 3>);
    let net = dev.build_module::<Net, f64>();
    let start: Tensor<Rank4<1, 2, 5, 5>, f64, Cpu> = dev.zeros();
    let slopes = convnets::explain::gradient(&net, &start, 1).unwrap().as_vec();
    let mut moves = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let one = Ascent { steps: 1, learning_rate: 1.0, decay: 0.0, jitter: 1, key: Key::new(seed) };
        let image = maximise(&net, &start, 1, one).unwrap().image.as_vec();
        let is_moved_by = |down: i64, across: i64| {
            (0..50).all(|i| {
                let (plane, row, column) = (i / 25, i / 5 % 5, i % 5);
                let from = (row + down).rem_euclid(5) * 5 + (column + across).rem_euclid(5);
                image[i as usize] == slopes[(plane * 25 + from) as usize]
            })
        };
        let found: Vec<(i64, i64)> = (-2..=2)
            .flat_map(|down| (-2..=2).map(move |across| (down, across)))
            .filter(|&(down, across)| is_moved_by(down, across))
            .collect();
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        assert!(found[0].0.abs() <= 1 && found[0].1.abs() <= 1, "seed {seed}: {found:?}");
        moves.insert(found[0]);
    }
    assert_eq!(moves.len(), 9); // all of them occur
}

/// One step on a linear network is its weights less twice the decay times the pixels; every step has a jitter of its own.
#[test]
fn steps_shrink_the_image_and_draw_anew() {
    let dev = Cpu::seed_from_u64(6);
    type Net = (Conv2D<2, 3, 5>, Flatten, Linear<3, 3>);
    let net = dev.build_module::<Net, f64>();
    let start: Tensor<Rank4<1, 2, 5, 5>, f64, Cpu> = dev.sample_normal();
    let slopes = convnets::explain::gradient(&net, &start, 1).unwrap().as_vec();
    let one = Ascent { steps: 1, learning_rate: 0.1, decay: 0.4, jitter: 0, key: Key::new(1) };
    let image = maximise(&net, &start, 1, one).unwrap().image.as_vec();
    for ((image, slope), pixel) in image.iter().zip(&slopes).zip(start.as_vec()) {
        layers::assert_close!(*image, pixel + 0.1 * (slope - 2.0 * 0.4 * pixel), 1e-13, 1e-14);
    }
    // Two steps without decay add the weights twice, moved alike in one of nine runs.
    let black: Tensor<Rank4<1, 2, 5, 5>, f64, Cpu> = dev.zeros();
    let run = |steps, seed| {
        let ascent = Ascent { steps, learning_rate: 1.0, decay: 0.0, jitter: 1, key: Key::new(seed) };
        maximise(&net, &black, 1, ascent).unwrap().image.as_vec()
    };
    let is_twice = |seed: &u64| run(2, *seed).iter().zip(run(1, *seed)).all(|(two, one)| *two == 2.0 * one);
    let alike = (0..90).filter(is_twice).count() as f64;
    let error = (90.0_f64 * (1.0 / 9.0) * (8.0 / 9.0)).sqrt();
    assert!((alike - 10.0).abs() < 4.0 * error, "{alike} of 90 runs");
}

/// A place that is not a number is no place; an image without any other is not listed.
#[test]
fn what_is_not_a_number_is_not_seen() {
    let dev = Cpu::default();
    let image = |values: [f64; 4]| {
        let mut x = dev.zeros_like(&(Const::<1>, Const::<1>, 2_usize, 2_usize));
        x.copy_from(&values);
        x
    };
    let images = [image([f64::NAN; 4]), image([f64::NAN, 1.0, 3.0, f64::NAN]), image([2.0, 0.0, 0.0, 0.0])];
    let best = &strongest(&Identity, images, 3).unwrap()[0];
    let found: Vec<_> = best.iter().map(|seen| (seen.image, seen.position, seen.activation)).collect();
    assert_eq!(found, [(1, (1, 0), 3.0), (2, (0, 0), 2.0)]);
}

/// The strongest places of every channel against a search over all images and pixels.
#[test]
fn the_strongest_images_are_those_of_the_search() {
    let dev = Cpu::seed_from_u64(4);
    let net = dev.build_module::<(Conv2D<2, 3, 3>, Relu), f64>();
    let mut images = pictures(&dev, 8);
    images.push(images[5].clone()); // a tie: the earlier one comes first
    let best = strongest(&net, images.clone(), 4).unwrap();
    assert_eq!(best.len(), 3);
    for (channel, best) in best.iter().enumerate() {
        let mut all: Vec<(f64, usize, usize)> = Vec::new();
        for (image, x) in images.iter().enumerate() {
            let maps = net.forward(x.clone()).as_vec();
            let map = &maps[channel * 12..][..12];
            let most = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            all.push((most, image, map.iter().position(|&value| value == most).unwrap()));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let found: Vec<_> = best
            .iter()
            .map(|seen| (seen.activation, seen.image, seen.position.0 * 3 + seen.position.1))
            .collect();
        assert_eq!(found, all[..4], "channel {channel}");
    }
    assert_eq!(strongest(&net, images[..2].to_vec(), 9).unwrap()[0].len(), 2);
    assert!(strongest(&net, Vec::<Picture>::new(), 9).unwrap().is_empty());
}

#[test]
fn a_mosaic_cuts_nothing_off() {
    let filters = [[1.0, -2.0, 0.5, 0.0], [0.1, 0.2, -0.1, 0.0], [0.0; 4]].concat();
    let shared = mosaic(&filters, (2, 2), 2, Contrast::Shared).unwrap();
    let each = mosaic(&filters, (2, 2), 2, Contrast::Each).unwrap();
    assert_eq!((shared.height, shared.width), (5, 5));
    // The first filter is the strongest; its neighbour is faint beside it and full by itself.
    assert_eq!(shared.values[..5], [192, 1, 0, 134, 141]);
    assert_eq!(each.values[..5], [192, 1, 0, 192, 255]);
    assert_eq!(shared.values[15..], [128, 128, 0, 0, 0, 128, 128, 0, 0, 0]); // an empty filter, no fourth
    assert!(mosaic::<f32>(&[], (2, 2), 3, Contrast::Shared).unwrap().values.is_empty());
}

#[test]
fn wrong_requests_are_refused() {
    let dev = Cpu::seed_from_u64(5);
    let net = dev.build_module::<(Conv2D<2, 4, 3, 1, 1, 1, Tanh>, GlobalAvgPool, Linear<4, 3>), f64>();
    let start = pictures(&dev, 1).remove(0);
    let refused = |ascent| maximise(&net, &start, 0, ascent).unwrap_err();
    assert_eq!(refused(Ascent { steps: 0, ..ascent() }), FeatureError::Zero { what: "steps" });
    assert_eq!(
        refused(Ascent { learning_rate: -1.0, ..ascent() }).to_string(),
        "learning_rate must be above 0, got -1"
    );
    assert!(matches!(refused(Ascent { decay: f64::NAN, ..ascent() }), FeatureError::Range { .. }));
    assert!(matches!(refused(Ascent { jitter: 6, ..ascent() }), FeatureError::Range { .. }));
    let error = maximise(&net, &start, 3, ascent()).unwrap_err();
    assert_eq!(error, ExplainError::Class { class: 3, classes: 3 }.into());
    assert_eq!(strongest(&Relu, vec![start], 0).unwrap_err(), FeatureError::Zero { what: "count" });
    for (weights, size) in [(&[1.0; 5][..], (2, 2)), (&[f64::NAN; 4][..], (2, 2))] {
        let error = mosaic(weights, size, 1, Contrast::Each).unwrap_err();
        assert!(matches!(error, FeatureError::Filters { rows: 2, cols: 2, .. }));
    }
    assert!(matches!(
        mosaic(&[1.0_f64], (1, 1), 0, Contrast::Each),
        Err(FeatureError::Zero { what: "across" })
    ));
}
