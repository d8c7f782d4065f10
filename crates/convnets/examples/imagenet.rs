//! What is on this photograph? ResNet-18 with torchvision's weights says: the five likeliest of ImageNet's 1,000 classes.
//!
//! ```console
//! $ cargo run --release -p convnets --example imagenet -- resnet18.safetensors photo.png
//! ```
//! The documentation of `convnets::torchvision` shows the four lines of Python that write the weights; the environment
//! variable `CONVNETS_RESNET18` may name their file once for all pictures. With `--classes FILE`, a text with the name of
//! one class per line, names are printed in place of numbers. Exit code 2 for bad use, 1 for a file that cannot be used.
use convnets::preprocess::{ImagePreprocess, PreprocessError};
use convnets::resnet::ResNet18;
use convnets::torchvision::{self, Layout};
use layers::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[path = "support/png_file.rs"]
mod png_file;
#[macro_use]
#[path = "support/print.rs"]
mod support;

const CLASSES: usize = 1000;
/// Names the weights for all pictures.
const VARIABLE: &str = "CONVNETS_RESNET18";
const USAGE: &str = "imagenet [--classes NAMES.txt] [WEIGHTS.safetensors] PHOTO.png";
const HELP: &str = "\
What is on this photograph? The five likeliest of ImageNet's 1,000 classes, by ResNet-18 with torchvision's weights

Usage: imagenet [--classes NAMES.txt] [WEIGHTS.safetensors] PHOTO.png

Without WEIGHTS.safetensors the environment variable CONVNETS_RESNET18 names the file of the weights.

Options:
      --classes FILE  Names of the classes, one a line, to print in place of numbers
  -h, --help          Print help";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("name a picture, and weights before it: {USAGE}")]
    Usage,
    #[error("unknown option `{name}`; use it as {USAGE}")]
    Option { name: String },
    #[error("no weights: name their file before the picture, or set {VARIABLE} to its path")]
    NoWeights,
    #[error(transparent)]
    Png(#[from] png_file::PngError),
    #[error(transparent)]
    Weights(#[from] torchvision::LoadError),
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    #[error("{path} cannot be read as text; check the path and the permissions")]
    Names { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} must have {CLASSES} lines, one class in each, it has {lines}; take the list of ImageNet's classes"
    )]
    Count { path: PathBuf, lines: usize },
}

struct Task {
    weights: PathBuf,
    picture: PathBuf,
    classes: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args_os().skip(1).any(|word| word == "--help" || word == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let result = task(std::env::args_os().skip(1)).map_err(|error| (error, 2));
    match result.and_then(|task| classify(&task).map_err(|error| (error, 1))) {
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
    let (mut files, mut classes) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match &*argument.to_string_lossy() {
            "--classes" => classes = Some(arguments.next().ok_or(Error::Usage)?.into()),
            name if name.starts_with('-') => return Err(Error::Option { name: name.to_owned() }),
            _ => files.push(PathBuf::from(argument)),
        }
    }
    if files.len() == 1 {
        let weights = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).ok_or(Error::NoWeights)?;
        files.insert(0, weights.into());
    }
    let [weights, picture] = <[PathBuf; 2]>::try_from(files).map_err(|_| Error::Usage)?;
    Ok(Task { weights, picture, classes })
}

fn classify(task: &Task) -> Result<(), Error> {
    let names = task.classes.as_deref().map(names).transpose()?;
    let png = png_file::read(&task.picture)?;
    let rgb: Vec<u8> = png.pixels().flatten().collect();
    let pixels = ImagePreprocess::IMAGENET.apply::<f32>(png.height, png.width, &rgb)?;

    let dev = Cpu::default();
    let mut model = dev.build_module::<ResNet18<CLASSES>, f32>();
    torchvision::load(&mut model, Layout::ResNet, &task.weights)?;
    // Sizes of the run: types of known sizes take longer to compile.
    let x = dev.tensor_from_vec(pixels, (1_usize, Const::<3>, 224_usize, 224_usize));
    let probabilities = model.forward(x).softmax::<Axis<1>>().as_vec();
    let mut order: Vec<usize> = (0..CLASSES).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    for class in order.into_iter().take(5) {
        let name = names.as_ref().map_or_else(|| format!("class {class}"), |names| names[class].clone());
        println!("{:>6.2} %  {name}", 100.0 * probabilities[class]);
    }
    Ok(())
}

fn names(path: &Path) -> Result<Vec<String>, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Names { path: path.to_owned(), source })?;
    let names: Vec<String> = text.lines().map(str::to_owned).collect();
    match names.len() {
        CLASSES => Ok(names),
        lines => Err(Error::Count { path: path.to_owned(), lines }),
    }
}
