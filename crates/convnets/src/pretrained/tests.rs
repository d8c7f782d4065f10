//! The stated scores are counted again; files that do not fit are refused; the frame is MNIST's.
use super::*;
use datasets::{Images, fashion, mnist};
use layers::params;

type Built = <LeNet as BuildOnDevice<Cpu, f32>>::Built;

fn right(network: Pretrained, images: &Images<1, 28, 28>) -> usize {
    let dev = Cpu::default();
    let model: Built = network.build(&dev).unwrap();
    let rows: Vec<usize> = (0..images.len()).collect();
    let mut right = 0;
    for part in rows.chunks(500) {
        let x: Tensor<(usize, Const<1>, Const<28>, Const<28>), f32, _> = images.batch(part, &dev);
        let logits = model.forward(x).as_vec();
        for (logits, &row) in logits.chunks_exact(10).zip(part) {
            let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            right += usize::from(best == Some(images.label(row)));
        }
    }
    right
}

#[test]
fn the_stated_scores_are_those_of_the_test_images() {
    for (network, test) in [
        (Pretrained::Mnist, mnist().front_back(8000, 2000).unwrap().test),
        (Pretrained::Fashion, fashion().test),
    ] {
        let score = network.score();
        assert_eq!((right(network, &test), test.len()), (score.right, score.of), "{}", network.name());
    }
    assert_eq!(Pretrained::Mnist.classes()[..], mnist().class_names()[..]);
    assert_eq!(Pretrained::Fashion.classes()[..], fashion().train.class_names()[..]);
}

#[test]
fn rounding_errs_by_half_a_step_and_keeps_biases_and_zeros() {
    let dev = Cpu::seed_from_u64(5);
    let mut model = dev.build_module::<(Linear<4, 3>, Linear<3, 2>), f32>();
    model.0.weight = dev.tensor([[1.0, -0.5, 0.25, 0.0], [0.0; 4], [1e-3, -1e-3, 5e-4, 1e-6]]);
    let bytes = rounding::save(&model, "a test").unwrap();
    assert_eq!(bytes, rounding::save(&model, "a test").unwrap());
    let mut copy = dev.build_module::<(Linear<4, 3>, Linear<3, 2>), f32>();
    rounding::load(&mut copy, &bytes).unwrap();
    assert_eq!(copy.0.bias.array(), model.0.bias.array());
    let (a, b) = (model.0.weight.array(), copy.0.weight.array());
    for (row, (a, b)) in a.iter().zip(&b).enumerate() {
        let step = a.iter().fold(0.0_f32, |m, w| m.max(w.abs())) / 127.0;
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 0.50001 * step, "row {row}: {a} became {b}, a step is {step}");
        }
    }
    assert_eq!((b[0][0], b[0][3], b[1]), (1.0, 0.0, [0.0; 4])); // the largest weight is exact
    assert!(Pretrained::Mnist.bytes().len() < 65_000, "{}", Pretrained::Mnist.bytes().len());
}

#[test]
fn files_that_do_not_fit_are_refused_and_leave_the_model_as_it_is() {
    let dev = Cpu::seed_from_u64(5);
    let small = dev.build_module::<(Linear<4, 3>,), f32>();
    let bytes = rounding::save(&small, "").unwrap();
    let refused = |bytes: &[u8]| {
        let mut model = dev.build_module::<(Linear<4, 3>, Linear<3, 2>), f32>();
        let before = params::flatten(&model);
        let error = rounding::load(&mut model, bytes).unwrap_err();
        assert_eq!(params::flatten(&model), before);
        error
    };
    assert!(matches!(refused(&bytes), Error::Missing { name } if name == "1.weight.scale"));
    for end in 0..bytes.len() {
        assert!(matches!(refused(&bytes[..end]), Error::Format(_)), "{end} bytes");
    }
    let mut other = dev.build_module::<(Linear<3, 3>,), f32>();
    let error = rounding::load(&mut other, &bytes).unwrap_err().to_string();
    assert!(error.contains("`0.weight` must be I8 [3, 3], the file has I8 [3, 4]"), "{error}");
    let mut none = dev.build_module::<(Tanh,), f32>();
    assert!(
        matches!(rounding::load::<_, f32, Cpu>(&mut none, &bytes), Err(Error::Unknown { name }) if name == "0.bias")
    );
    // The numbers of one tensor after the other: biases and scales are in the file as they are here.
    let bias = small.0.bias.array()[1].to_le_bytes();
    let mut broken = bytes.clone();
    let at = broken.windows(4).rposition(|four| four == bias).unwrap();
    broken[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = rounding::load(&mut small.clone(), &broken).unwrap_err();
    assert!(matches!(error, Error::NotFinite { ref name, index: 1, .. } if name == "0.bias"), "{error}");
    let mut infinite = small.clone();
    infinite.0.bias = dev.tensor([0.0, f32::INFINITY, 0.0]);
    let error = rounding::save(&infinite, "").unwrap_err();
    assert!(matches!(error, Error::NotFinite { ref name, index: 1, .. } if name == "0.bias"), "{error}");
}

/// Centre of mass of a frame, and the sides of the box around its ink.
fn place(frame: &[[f32; FRAME]; FRAME]) -> ([f64; 2], [f64; 2]) {
    let (mut mass, mut centre) = (0.0, [0.0; 2]);
    let (mut low, mut high) = ([FRAME; 2], [0; 2]);
    for (y, row) in frame.iter().enumerate() {
        for (x, &value) in row.iter().enumerate().filter(|(_, value)| **value > 1e-6) {
            mass += f64::from(value);
            for (axis, at) in [x, y].into_iter().enumerate() {
                centre[axis] += f64::from(value) * (at as f64 + 0.5);
                low[axis] = low[axis].min(at);
                high[axis] = high[axis].max(at + 1);
            }
        }
    }
    (centre.map(|sum| sum / mass), [0, 1].map(|axis| (high[axis] - low[axis]) as f64))
}

#[test]
fn a_digit_of_any_size_and_place_gets_twenty_pixels_around_the_middle() {
    for (width, height, left, top, across, down) in
        [(300, 200, 250, 3, 40, 160), (9, 9, 0, 0, 2, 5), (50, 80, 4, 60, 44, 7), (1, 1000, 0, 2, 1, 900)]
    {
        let mut levels = vec![10; width * height];
        for y in top..top + down {
            levels[y * width + left..][..across].fill(210);
        }
        let Ok(frame) = Picture::new(width, height, levels).unwrap().fit() else {
            panic!("{width} x {height}")
        };
        let (centre, sides) = place(&frame);
        assert!(centre.iter().all(|c| (c - 14.0).abs() < 1e-5), "{centre:?}");
        let longer = sides[0].max(sides[1]);
        assert_eq!(longer, 20.0, "{sides:?}");
        let mass: f64 = frame.as_flattened().iter().map(|&v| f64::from(v)).sum();
        let want = (across * down) as f64 * (20.0 / across.max(down) as f64).powi(2);
        assert!((mass / want - 1.0).abs() < 1e-6, "{mass} {want}");
    }
}

#[test]
fn mnist_is_in_its_frame_already() {
    // Whole pixels there, fractions here: the network's answers stay, but for a few.
    let test = mnist().front_back(8000, 2000).unwrap().test;
    let dev = Cpu::default();
    let model: Built = Pretrained::Mnist.build(&dev).unwrap();
    let right = (0..200).filter(|&i| {
        let frame = Picture::new(FRAME, FRAME, test.pixels(i).to_vec()).unwrap().fit().unwrap();
        let logits = model.forward(dev.tensor(frame).reshape::<Rank4<1, 1, 28, 28>>()).array()[0];
        (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])) == Some(test.label(i))
    });
    assert!(right.count() >= 190);
}

#[test]
fn pictures_without_a_digit_are_refused() {
    assert!(matches!(Picture::new(0, 5, vec![]), Err(Error::Size { width: 0, height: 5 })));
    assert!(matches!(Picture::new(usize::MAX, 2, vec![]), Err(Error::Size { .. })));
    assert!(matches!(Picture::new(5000, 5000, vec![]), Err(Error::Size { .. })));
    assert!(matches!(Picture::new(2, 2, vec![0; 3]), Err(Error::Levels { got: 3, .. })));
    let grey = Picture::new(4, 4, vec![90; 16]).unwrap();
    assert!(matches!(grey.fit(), Err(Error::Empty { level: 90 })));
    let dot = Picture::new(1, 1, vec![255]).unwrap();
    assert!(dot.is_dark_on_light() && !dot.light_on_dark().is_dark_on_light());
}

/// What the book's page computes with is this crate's: `cargo xtask run pretrained-lenet` writes it again.
#[test]
fn the_book_has_the_weights_and_answers_of_this_crate() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../book/results/pretrained-lenet.json");
    let text = std::fs::read_to_string(path).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(&text).unwrap();
    let report = &recorded["report"];
    let decode = |key: &str| {
        let text = report[key].as_str().unwrap();
        let value = |letter: u8| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let letters: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
        let bytes = letters.chunks(4).flat_map(|part| {
            let word = part.iter().enumerate().fold(0_u32, |w, (i, &v)| w | u32::from(v) << (18 - 6 * i));
            word.to_be_bytes()[1..part.len()].to_vec()
        });
        bytes.collect::<Vec<u8>>()
    };
    assert!(decode("network") == Pretrained::Mnist.bytes(), "the page has other weights");
    let test = mnist().front_back(8000, 2000).unwrap().test;
    let digits = decode("digits");
    assert_eq!(digits.len(), 100 * FRAME * FRAME);
    let dev = Cpu::default();
    let model: Built = Pretrained::Mnist.build(&dev).unwrap();
    for (i, levels) in digits.chunks_exact(FRAME * FRAME).enumerate() {
        assert_eq!(levels, test.pixels(i));
        let x: Tensor<Rank4<1, 1, FRAME, FRAME>, f32, _> = test.batch(&[i], &dev);
        let logits = model.forward(x).array()[0];
        for (k, logit) in logits.iter().enumerate() {
            let want = report["logits"][i][k].as_f64().unwrap();
            assert!(
                (f64::from(*logit) - want).abs() < 1e-4,
                "digit {i}, class {k}: {logit}, recorded {want}"
            );
        }
    }
}
