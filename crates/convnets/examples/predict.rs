//! What is on this PNG? A digit by default, clothes with `--network fashion`.
//!
//! ```console
//! $ cargo run -p convnets --features pretrained --example predict -- digit.png
//! ```
//! The picture must be 28 × 28, light on dark; with `--fit` a digit of any size on any ground is put into MNIST's frame
//! first. Exit code 2 for bad use, 1 for a picture that cannot be read.
use convnets::pretrained::{self, FRAME, MAX_PIXELS, Picture, Pretrained};
use layers::prelude::*;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("name a picture: predict [--fit] [--network mnist|fashion] FILE.png")]
    NoPicture,
    #[error("unknown option `{name}`; there are --fit and --network mnist|fashion")]
    Option { name: String },
    #[error("there is no network `{name}`; choose mnist (digits) or fashion (clothes)")]
    Network { name: String },
    #[error("name one picture, got `{first}` and `{second}`")]
    TwoPictures { first: PathBuf, second: PathBuf },
    #[error("{path} cannot be opened; check the path and the permissions")]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "{path} is no PNG: it begins with {found}, a PNG begins with 89 50 4e 47 0d 0a 1a 0a; convert it to PNG first"
    )]
    NotPng { path: PathBuf, found: String },
    #[error("{path} ends before its picture does; copy or download it again")]
    Truncated { path: PathBuf },
    #[error("{path} is damaged; write the PNG again")]
    Damaged { path: PathBuf, source: png::DecodingError },
    #[error(
        "{path} says that it has {width} x {height} pixels, the limit is {MAX_PIXELS} in all; make it smaller"
    )]
    Huge { path: PathBuf, width: u32, height: u32 },
    #[error(
        "{path} has {width} x {height} pixels, the network takes {FRAME} x {FRAME}; with --fit the ink is scaled to 20 \
         pixels and its centre of mass put into the middle"
    )]
    Size { path: PathBuf, width: usize, height: usize },
    #[error("{path}: no prediction")]
    Predict { path: PathBuf, source: pretrained::Error },
}

struct Task {
    path: PathBuf,
    network: Pretrained,
    fits: bool,
}

fn main() -> ExitCode {
    let result = task(std::env::args_os().skip(1)).map_err(|error| (error, 2));
    match result.and_then(|task| predict(&task).map_err(|error| (error, 1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, code)) => {
            let mut line = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                line += &format!(": {cause}");
                source = cause.source();
            }
            eprintln!("{line}");
            ExitCode::from(code)
        }
    }
}

fn task(mut arguments: impl Iterator<Item = OsString>) -> Result<Task, Error> {
    let (mut path, mut network, mut fits) = (None, Pretrained::Mnist, false);
    while let Some(argument) = arguments.next() {
        // A path need not be Unicode; an option that is none is unknown.
        let word = argument.to_string_lossy();
        match &*word {
            "--fit" => fits = true,
            "--network" => {
                let name = arguments.next().unwrap_or_default().to_string_lossy().into_owned();
                let known = Pretrained::ALL.into_iter().find(|network| network.name() == name);
                network = known.ok_or(Error::Network { name })?;
            }
            _ if word.starts_with("--") => return Err(Error::Option { name: word.into_owned() }),
            _ => match path {
                Some(first) => return Err(Error::TwoPictures { first, second: argument.into() }),
                None => path = Some(PathBuf::from(argument)),
            },
        }
    }
    Ok(Task { path: path.ok_or(Error::NoPicture)?, network, fits })
}

fn predict(task: &Task) -> Result<(), Error> {
    let path = task.path.clone();
    let picture = read(&task.path)?;
    let (width, height) = (picture.width(), picture.height());
    let failed = |source| Error::Predict { path: task.path.clone(), source };
    let frame = if task.fits {
        picture.light_on_dark().fit().map_err(failed)?
    } else if (width, height) == (FRAME, FRAME) {
        if picture.is_dark_on_light() {
            eprintln!("note: the ground is light, the network was trained on light ink; --fit inverts it");
        }
        let mut frame = [[0.0; FRAME]; FRAME];
        for (value, &level) in frame.as_flattened_mut().iter_mut().zip(picture.levels()) {
            *value = f32::from(level) / 255.0;
        }
        frame
    } else {
        return Err(Error::Size { path, width, height });
    };
    let dev = Cpu::default();
    let model = task.network.build(&dev).map_err(failed)?;
    let x = dev.tensor(frame).reshape::<Rank4<1, 1, FRAME, FRAME>>();
    let probabilities = model.forward(x).softmax::<Axis<1>>().array()[0];
    let mut order: Vec<usize> = (0..10).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let classes = task.network.classes();
    println!("{}", classes[order[0]]);
    for class in order {
        println!("{:>6.2} %  {}", 100.0 * probabilities[class], classes[class]);
    }
    Ok(())
}

/// A PNG of any colour type as levels of grey. What is transparent shows white paper.
fn read(path: &Path) -> Result<Picture, Error> {
    let owned = || path.to_owned();
    let opened = |source| Error::Open { path: owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(opened)?);
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head).map_err(opened)?;
    if head != *b"\x89PNG\r\n\x1a\n" {
        let bytes: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = if bytes.is_empty() { "nothing".to_owned() } else { bytes.join(" ") };
        return Err(Error::NotPng { path: owned(), found });
    }
    file.rewind().map_err(opened)?;
    let damaged = |source| match source {
        png::DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Truncated { path: owned() }
        }
        source => Error::Damaged { path: owned(), source },
    };
    // 16 bytes a pixel, the widest type: what the header asks for is looked at before anything is allocated for it.
    let limits = png::Limits { bytes: 16 * MAX_PIXELS };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = (header.width, header.height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS as u64 {
        return Err(Error::Huge { path: owned(), width, height });
    }
    let mut reader = decoder.read_info().map_err(damaged)?;
    let size = reader.output_buffer_size().ok_or(Error::Huge { path: owned(), width, height })?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(damaged)?;
    let channels = info.color_type.samples();
    let level = |pixel: &[u8]| {
        let (alpha, colours) = match pixel {
            [colours @ .., alpha] if channels % 2 == 0 => (u32::from(*alpha), colours),
            colours => (255, colours),
        };
        // Luma of ITU-R BT.601 in thousandths.
        let grey = match *colours {
            [red, green, blue] => {
                (299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000
            }
            _ => u32::from(colours[0]),
        };
        ((alpha * grey + (255 - alpha) * 255 + 127) / 255) as u8
    };
    let levels = bytes[..info.buffer_size()].chunks_exact(channels).map(level).collect();
    Picture::new(width as usize, height as usize, levels)
        .map_err(|source| Error::Predict { path: owned(), source })
}
