//! Preprocessing against torchvision's on Pillow pictures, to the last bit, and what is refused.
use convnets::preprocess::{ImagePreprocess, PreprocessError};
use layers::testing::Golden;

/// The golden pictures: a ramp, a ripple and a product, modulo 256.
fn picture(height: usize, width: usize) -> Vec<u8> {
    let level = |i: usize| {
        let (row, column, channel) = (i / 3 / width, i / 3 % width, i % 3);
        ((7 * row * row + 13 * column * (channel + 1) + row * column) % 256) as u8
    };
    (0..height * width * 3).map(level).collect()
}

fn agrees<const S: usize>(golden: &Golden, case: &str, preprocess: ImagePreprocess<S>) {
    let number = |key: &str| golden.number(&format!("preprocess/{case}/{key}")) as usize;
    let (height, width) = (number("height"), number("width"));
    assert_eq!((number("crop"), number("short_side")), (S, preprocess.short_side));
    let rgb = picture(height, width);
    let levels = preprocess.crop(height, width, &rgb).unwrap();
    let sums = levels.chunks(S * S).map(|plane| plane.iter().map(|&level| f64::from(level)).sum::<f64>());
    let numbers = |key: &str| golden.numbers(&format!("preprocess/{case}/{key}"));
    assert_eq!(sums.collect::<Vec<_>>(), numbers("sums"), "{case}");
    let some = levels.iter().step_by(1009).map(|&level| f64::from(level)).collect::<Vec<_>>();
    assert_eq!(some, numbers("every_1009th"), "{case}");
    let values: Vec<f32> = preprocess.apply(height, width, &rgb).unwrap();
    let some = values.iter().step_by(1009).map(|&value| f64::from(value));
    for (value, expected) in some.zip(numbers("values")) {
        assert!((value - expected).abs() < 2e-7, "{case}: {value}, torchvision {expected}");
    }
}

#[test]
fn pictures_become_what_torchvision_makes_of_them() {
    let golden = Golden::open(crate::golden("torchvision.json"));
    for case in golden.keys("preprocess") {
        match case {
            "inception_v3" => agrees(&golden, case, ImagePreprocess::INCEPTION_V3),
            "googlenet" => agrees(&golden, case, ImagePreprocess::GOOGLENET),
            "second_weights" => agrees(&golden, case, ImagePreprocess::IMAGENET_V2),
            _ => agrees(&golden, case, ImagePreprocess::IMAGENET),
        }
    }
    assert_eq!(golden.keys("preprocess").len(), 8);
    golden.skip("");
    golden.finish();
}

/// Long and thin pictures cost what the crop covers, not what resizing would make of them.
#[test]
fn extreme_shapes_are_cheap() {
    for (height, width) in [(200_000, 1), (1, 200_000)] {
        let crop = ImagePreprocess::IMAGENET.crop(height, width, &vec![77; height * width * 3]).unwrap();
        assert!(crop.iter().all(|&level| level == 77));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let preprocess = ImagePreprocess::IMAGENET;
    let refused = |height, width, bytes: &[u8]| preprocess.apply::<f32>(height, width, bytes).unwrap_err();
    assert_eq!(refused(0, 4, &[]), PreprocessError::Empty { width: 4, height: 0 });
    assert_eq!(refused(2, 2, &[0; 16]), PreprocessError::Length { width: 2, height: 2, got: 16 });
    assert!(matches!(refused(usize::MAX, 2, &[0; 6]), PreprocessError::Length { .. }));
    let small = ImagePreprocess::<224> { short_side: 223, ..preprocess };
    let error = small.apply::<f32>(2, 2, &[0; 12]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the short side must have 224 to 65536 pixels for a crop of 224, at least 1, got 223"
    );
    assert!(ImagePreprocess::<224> { short_side: 1 << 17, ..preprocess }.check().is_err());
    let none = ImagePreprocess::<0> { short_side: 5, mean: [0.0; 3], deviation: [1.0; 3] };
    assert!(matches!(none.check(), Err(PreprocessError::ShortSide { .. })));
    for (mean, deviation) in [(f32::NAN, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, f32::NAN)] {
        let wrong =
            ImagePreprocess::<224> { mean: [0.0, mean, 0.0], deviation: [1.0, deviation, 1.0], ..preprocess };
        assert!(matches!(wrong.check(), Err(PreprocessError::Moments { channel: 1, .. })));
    }
}
