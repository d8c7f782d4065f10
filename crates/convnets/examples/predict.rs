//! What is on this PNG? A digit by default, clothes with `--network fashion`.
//!
//! ```console
//! $ cargo run -p convnets --features pretrained --example predict -- digit.png
//! ```
//! The picture must be 28 × 28, light on dark; with `--fit` a digit of any size on any ground is put into MNIST's frame
//! first. Exit code 2 for bad use, 1 for a picture that cannot be read.
use convnets::pretrained::{self, FRAME, Picture, Pretrained};
use layers::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "support/png_file.rs"]
mod png_file;
#[macro_use]
#[path = "support/print.rs"]
mod support;

const USAGE: &str = "predict [--fit] [--network mnist|fashion] FILE.png";
const HELP: &str = "\
What is on this PNG? A digit by default, clothes with --network fashion

Usage: predict [--fit] [--network mnist|fashion] FILE.png

Options:
      --fit           Put a digit of any size on any ground into MNIST's frame first
      --network NAME  mnist reads digits, fashion tells clothes apart [default: mnist]
  -h, --help          Print help";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("name a picture: {USAGE}")]
    NoPicture,
    #[error("unknown option `{name}`; use it as {USAGE}")]
    Option { name: String },
    #[error("there is no network `{name}`; choose mnist (digits) or fashion (clothes)")]
    Network { name: String },
    #[error("name one picture, got `{first}` and `{second}`")]
    TwoPictures { first: PathBuf, second: PathBuf },
    #[error(transparent)]
    Png(#[from] png_file::PngError),
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
    if std::env::args_os().skip(1).any(|word| word == "--help" || word == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
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
            _ if word.starts_with('-') => return Err(Error::Option { name: word.into_owned() }),
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

/// A PNG of any colour type as levels of grey.
fn read(path: &Path) -> Result<Picture, Error> {
    let png = png_file::read(path)?;
    // Luma of ITU-R BT.601 in thousandths.
    let grey = |[red, green, blue]: [u8; 3]| {
        ((299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue) + 500) / 1000) as u8
    };
    Picture::new(png.width, png.height, png.pixels().map(grey).collect())
        .map_err(|source| Error::Predict { path: path.to_owned(), source })
}
