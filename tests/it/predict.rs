//! The example that reads a PNG: right answers for good pictures of any kind, one clear line for each broken one.
use crate::support::{binary, crc32, output, text};
use std::path::{Path, PathBuf};

/// Runs the example; its output and exit code.
fn predict(arguments: &[&str]) -> (String, i32) {
    text(&output(binary("predict").args(arguments)))
}

/// A stroke from top to bottom, in the middle third: a one.
fn is_ink(width: usize, height: usize, i: usize) -> bool {
    let (x, y) = (i % width, i / width);
    (width * 5 / 11..=width * 6 / 11).contains(&x) && (height / 6..height * 5 / 6).contains(&y)
}

/// Writes a PNG whose ground and ink are `pixels`, and returns its path.
fn write(
    folder: &Path,
    name: &str,
    size: (u32, u32),
    kind: (png::ColorType, png::BitDepth),
    pixels: [&[u8]; 2],
) -> PathBuf {
    let path = folder.join(name);
    let file = std::fs::File::create(&path).expect("a writable file");
    let mut encoder = png::Encoder::new(file, size.0, size.1);
    encoder.set_color(kind.0);
    encoder.set_depth(kind.1);
    if kind.0 == png::ColorType::Indexed {
        encoder.set_palette(vec![255, 255, 255, 20, 20, 60]);
    }
    let (width, height) = (size.0 as usize, size.1 as usize);
    let data: Vec<u8> = match kind.1 {
        // Eight pixels in a byte, rows padded.
        png::BitDepth::One => (0..height)
            .flat_map(|y| (0..width.div_ceil(8)).map(move |byte| (y, byte)))
            .map(|(y, byte)| {
                (0..8).fold(0, |bits, bit| {
                    let x = byte * 8 + bit;
                    let ink = x < width && is_ink(width, height, y * width + x);
                    bits << 1 | pixels[usize::from(ink)][0]
                })
            })
            .collect(),
        _ => {
            (0..width * height).flat_map(|i| pixels[usize::from(is_ink(width, height, i))]).copied().collect()
        }
    };
    encoder.write_header().expect("a header").write_image_data(&data).expect("pixels");
    path
}

fn reads_one(arguments: &[&str], path: &Path) {
    let path = path.display().to_string();
    let (said, code) = predict(&[arguments, &[&path]].concat());
    assert_eq!((said.lines().next(), code), (Some("1"), 0), "{path}: {said}");
    assert_eq!(said.lines().count(), 11, "{said}");
    let shares =
        said.lines().skip(1).map(|line| line.trim().split(' ').next().unwrap_or_default().parse::<f64>());
    let sum: f64 = shares.map(|share| share.expect("a probability")).sum();
    assert!((sum - 100.0).abs() < 0.1, "{said}");
}

#[test]
fn every_colour_type_is_read() {
    use png::{BitDepth, ColorType};
    let folder = tempfile::tempdir().expect("a folder for pictures");
    let folder = folder.path();
    let frame = write(folder, "frame.png", (28, 28), (ColorType::Grayscale, BitDepth::Eight), [&[0], &[255]]);
    reads_one(&[], &frame);
    let kinds: [(&str, (ColorType, BitDepth), [&[u8]; 2]); 6] = [
        ("paper.png", (ColorType::Grayscale, BitDepth::Eight), [&[250], &[10]]),
        ("bits.png", (ColorType::Grayscale, BitDepth::One), [&[1], &[0]]),
        ("palette.png", (ColorType::Indexed, BitDepth::One), [&[0], &[1]]),
        ("rgb.png", (ColorType::Rgb, BitDepth::Eight), [&[255, 240, 220], &[10, 40, 120]]),
        ("clear.png", (ColorType::Rgba, BitDepth::Eight), [&[0, 0, 0, 0], &[0, 0, 0, 255]]),
        (
            "deep.png",
            (ColorType::GrayscaleAlpha, BitDepth::Sixteen),
            [&[0, 0, 255, 255], &[255, 0, 255, 255]],
        ),
    ];
    for (name, kind, pixels) in kinds {
        reads_one(&["--fit"], &write(folder, name, (150, 110), kind, pixels));
    }
    let path = frame.display().to_string();
    let (said, code) = predict(&["--network", "fashion", &path]);
    assert_eq!((said.lines().count(), code), (11, 0), "{said}");
    assert!(said.contains("Ankle boot"), "{said}");
}

#[test]
fn broken_files_and_slips_are_one_clear_line_each() {
    let folder = tempfile::tempdir().expect("a folder for pictures");
    let folder = folder.path();
    let grey = (png::ColorType::Grayscale, png::BitDepth::Eight);
    let good = write(folder, "good.png", (28, 28), grey, [&[0], &[255]]);
    let wide = write(folder, "wide.png", (64, 20), grey, [&[0], &[255]]);
    let blank = write(folder, "blank.png", (64, 20), grey, [&[7], &[7]]);
    let bytes = std::fs::read(&good).expect("a file");
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("a writable file");
        folder.join(name).display().to_string()
    };
    // The header of a picture of 60,000 x 60,000 pixels, with its checksum, and nothing else that is true.
    let mut huge = bytes.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let sum = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&sum.to_be_bytes());
    let mut flipped = bytes.clone();
    let end = flipped.len();
    flipped[end - 20] ^= 0xff;
    let [good, wide, blank] = [good, wide, blank].map(|path| path.display().to_string());
    let missing = folder.join("missing.png").display().to_string();
    let cases: &[(&[&str], i32, &[&str])] = &[
        (&[], 2, &["name a picture", "FILE.png"]),
        (&["--fitt", &good], 2, &["`--fitt`", "--fit"]),
        (&["-v", &good], 2, &["`-v`", "predict [--fit]"]),
        (&["--network", "cifar", &good], 2, &["`cifar`", "mnist", "fashion"]),
        (&["--network"], 2, &["choose mnist"]),
        (&[&good, &wide], 2, &["one picture"]),
        (&[&missing], 1, &["cannot be opened", "No such file"]),
        (&[&folder.display().to_string()], 1, &["cannot be opened"]),
        (&[&file("empty.png", b"")], 1, &["no PNG", "nothing"]),
        (&[&file("text.png", b"seven")], 1, &["no PNG", "73 65 76 65 6e"]),
        (&[&file("photo.png", b"\xff\xd8\xff\xe0\x00\x10JFIF")], 1, &["no PNG", "ff d8 ff", "convert"]),
        (&[&file("head.png", &bytes[..8])], 1, &["ends before"]),
        (&[&file("half.png", &bytes[..bytes.len() / 2])], 1, &["ends before", "copy"]),
        (&[&file("flipped.png", &flipped)], 1, &["damaged"]),
        (&[&file("huge.png", &huge)], 1, &["60000 x 60000", "the limit is 16777216"]),
        (&[&wide], 1, &["64 x 20", "28 x 28", "--fit"]),
        (&["--fit", &blank], 1, &["every pixel has level 7"]),
    ];
    for (arguments, code, parts) in cases {
        let (said, got) = predict(arguments);
        assert_eq!((got, said.lines().count()), (*code, 1), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        for part in *parts {
            assert!(said.contains(part), "{arguments:?}: no `{part}` in {said}");
        }
    }
    // Cut anywhere, it ends in an error or, where only the end mark is lost, in an answer.
    for end in (8..bytes.len()).step_by(7) {
        let (said, got) = predict(&[&file("cut.png", &bytes[..end])]);
        assert!(
            (got == 1 && said.lines().count() == 1) || (got == 0 && end + 12 >= bytes.len()),
            "{end}: {said}"
        );
    }
}

#[test]
fn help_is_no_mistake() {
    for words in [&["--help"][..], &["-h"], &["--fit", "--help"]] {
        let (said, code) = predict(words);
        assert!(code == 0 && said.contains("Usage: predict"), "{code}: {said}");
    }
}
