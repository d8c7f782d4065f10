//! Weights under torchvision's names, read and written as safetensors.
//!
//! | network | our name | torchvision's |
//! |---|---|---|
//! | ResNet | `0.0.weight`, `0.1.bias` | `conv1.weight`, `bn1.bias` |
//! | | `2.0.branch.2.weight` | `layer2.0.conv2.weight` |
//! | | `2.1.0.branch.1.running_mean` | `layer2.1.bn1.running_mean` |
//! | | `2.0.shortcut.1.weight` | `layer2.0.downsample.1.weight` |
//! | | `5.1.weight` | `fc.weight` |
//! | VGG | `0.1.0.weight` | `features.5.weight`: activations and pooling count |
//! | | `1.2.0.bias` | `classifier.3.bias` |
//! | GoogLeNet | `early.1.0.0.1.0.0.weight` | `inception3a.branch2.0.conv.weight` |
//! | | `aux1.3.bias` | `aux1.fc1.bias` |
//! | Inception v3 | `1.0.0.2.1.1.norm.running_var` | `Mixed_5b.branch3x3dbl_2.bn.running_var` |
//! | | `aux.4.weight` | `AuxLogits.fc.weight` |
//! | LeNet-5 | `1.0.weight` | `conv2.weight`: torchvision has none, these are the names of PyTorch's tutorial |
//! | | `2.1.bias` | `fc1.bias` |
//!
//! Shapes and orders of axes are the same, `[out, in, rows, columns]` and `[out, in]`. PyTorch's own files are pickles,
//! which run code when they are read; convert them once, in Python:
//!
//! ```text
//! from torchvision.models import resnet18, ResNet18_Weights
//! from safetensors.torch import save_file
//! state = resnet18(weights=ResNet18_Weights.DEFAULT).state_dict()
//! save_file(state, "resnet18.safetensors")
//! ```
//!
//! **What a file is for** stands in its header when [`save`] wrote it: the network's name, this crate's version, a hash of
//! names and shapes ([`Origin`]). A file that does not fit is then refused as "written for ResNet-50 with 1000 outputs",
//! with the first difference as the error's source; files without it, as PyTorch's, are refused with the difference alone.
//!
//! **Auxiliary heads** are for training only, and torchvision's files come with and without them. [`load`] skips those of
//! the file that the model does not have, and leaves those of the model as they are where the file has none.
//! What dropout draws next is neither written nor read: PyTorch has one generator for all.
//!
//! **Types**: weights of F16, BF16, F32 and F64 become those of the model, whatever it is built with; the number of batches
//! that a normalisation has seen is I64, as PyTorch has it, and F64 is read too. A tensor of another type is an error
//! ([`LoadError::Type`]).
use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::{Cpu, TensorFrom};
use kernels::{Device, Real};
use layers::{Checkpoint, CheckpointError, params};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::Path;

mod file;

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// [`resnet::BasicResNet`](crate::resnet::BasicResNet), [`BottleneckResNet`](crate::resnet::BottleneckResNet) and
    /// [`ResNext50`](crate::resnet::ResNext50), or any network of their structure.
    ResNet,
    /// The networks of [`vgg`](crate::vgg), with or without batch normalisation.
    Vgg,
    /// [`slim::GoogLeNet`](crate::slim::GoogLeNet), or any network of its structure.
    GoogLeNet,
    /// [`slim::InceptionV3`](crate::slim::InceptionV3),
    /// [`InceptionV3WithHead`](crate::slim::InceptionV3WithHead), or any network of their structure.
    InceptionV3,
    /// [`lenet::LeNet5`](crate::lenet::LeNet5) and [`LeNet5Padded`](crate::lenet::LeNet5Padded), under the names of
    /// PyTorch's tutorial: `conv1`, `conv2`, `fc1`, `fc2`, `fc3`.
    LeNet,
}

impl Layout {
    /// torchvision's name of each of a model's tensors, by ours; a name that the layout does not know stays as it is.
    ///
    /// ```
    /// use convnets::torchvision::Layout;
    /// let names = Layout::Vgg.keys(["0.0.0.weight", "0.0.1.weight", "0.1.0.weight", "1.1.0.weight"]);
    /// assert_eq!(names["0.1.0.weight"], "features.5.weight");
    /// ```
    pub fn keys<'a>(self, names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
        let names: Vec<&str> = names.into_iter().collect();
        let mut convolutions = BTreeMap::new(); // of each block of VGG
        let mut slots = 2; // a convolution and its activation, or a normalisation between
        if self == Self::Vgg {
            for name in &names {
                if let ["0", block, layer, ref rest @ ..] = name.split('.').collect::<Vec<_>>()[..] {
                    let (Ok(block), Ok(layer)) = (block.parse::<usize>(), layer.parse::<usize>()) else {
                        continue;
                    };
                    let deepest = convolutions.entry(block).or_insert(0);
                    *deepest = layer.max(*deepest);
                    slots = slots.max(1 + rest.len());
                }
            }
        }
        let before =
            |block: usize| convolutions.range(..block).map(|(_, last)| (last + 1) * slots + 1).sum::<usize>();
        let key = |name: &str| {
            match self {
                Self::ResNet => resnet(name),
                Self::Vgg => vgg(name, slots, before),
                Self::GoogLeNet => googlenet(name),
                Self::InceptionV3 => inception_v3(name),
                Self::LeNet => lenet(name),
            }
            .unwrap_or_else(|| name.to_owned())
        };
        names.into_iter().map(|name| (name.to_owned(), key(name))).collect()
    }

    /// The network that a file of this layout is of, by its torchvision's names and shapes.
    fn network(self, file: &Checkpoint) -> String {
        let shape = |name: &str| file.shape(name).unwrap_or_default();
        let is_counted = |name: &&str| {
            name.ends_with("weight")
                && shape(name).len() > 1
                && !name.contains("downsample")
                && !self.is_head(name)
        };
        let layers = file.names().filter(is_counted).count();
        let is_last = |name: &&str| {
            is_counted(name)
                && (["fc.weight", "fc3.weight"].contains(name) || name.starts_with("classifier."))
        };
        let outputs = file.names().filter(is_last).last().and_then(|name| shape(name).first());
        let has_norm = file.names().any(|name| name.ends_with("running_mean"));
        let name = match self {
            Self::ResNet => format!("ResNet-{layers}"),
            Self::Vgg if has_norm => format!("VGG-{layers} with batch normalisation"),
            Self::Vgg => format!("VGG-{layers}"),
            Self::GoogLeNet => "GoogLeNet".to_owned(),
            Self::InceptionV3 => "Inception v3".to_owned(),
            Self::LeNet => format!("LeNet-{layers}"),
        };
        match outputs {
            Some(outputs) => format!("{name}, {outputs} outputs"),
            None => name,
        }
    }

    fn is_head(self, key: &str) -> bool {
        self.heads().iter().any(|head| key.starts_with(head))
    }

    /// How the names of auxiliary heads begin.
    const fn heads(self) -> &'static [&'static str] {
        match self {
            Self::ResNet | Self::Vgg | Self::LeNet => &[],
            Self::GoogLeNet => &["aux1.", "aux2."],
            Self::InceptionV3 => &["AuxLogits."],
        }
    }
}

fn lenet(name: &str) -> Option<String> {
    let (path, tensor) = name.rsplit_once('.')?;
    let layer = match path {
        "0.0" => "conv1",
        "1.0" => "conv2",
        "2.1" => "fc1",
        "2.2" => "fc2",
        "2.3" => "fc3",
        _ => return None,
    };
    Some(format!("{layer}.{tensor}"))
}

fn resnet(name: &str) -> Option<String> {
    let (path, tensor) = name.rsplit_once('.')?;
    let key = match path.split('.').collect::<Vec<_>>()[..] {
        ["0", "0"] => "conv1".to_owned(),
        ["0", "1"] => "bn1".to_owned(),
        ["5", "1"] => "fc".to_owned(),
        [stage, "0", part, ref inner @ ..] => format!("layer{stage}.0.{}", block(part, inner)?),
        [stage, "1", more, part, ref inner @ ..] => {
            format!("layer{stage}.{}.{}", more.parse::<usize>().ok()? + 1, block(part, inner)?)
        }
        _ => return None,
    };
    Some(format!("{key}.{tensor}"))
}

/// A layer of a block: a branch of four, or of three pairs, or the two of a projection.
fn block(part: &str, inner: &[&str]) -> Option<String> {
    let name = |is_norm: bool, i: usize| format!("{}{}", if is_norm { "bn" } else { "conv" }, i + 1);
    match (part, inner) {
        ("shortcut", [layer]) => Some(format!("downsample.{layer}")),
        ("branch", [layer]) => number(layer).map(|layer| name(layer % 2 == 1, layer / 2)),
        ("branch", [pair, layer]) => Some(name(number(layer)? == 1, number(pair)?)),
        _ => None,
    }
}

fn vgg(name: &str, slots: usize, before: impl Fn(usize) -> usize) -> Option<String> {
    let (path, tensor) = name.rsplit_once('.')?;
    let parts: Vec<&str> = path.split('.').collect();
    match parts[..] {
        ["0", block, layer] => {
            Some(format!("features.{}.{tensor}", before(number(block)?) + slots * number(layer)?))
        }
        ["0", block, layer, which] => {
            let first = before(number(block)?) + slots * number(layer)?;
            Some(format!("features.{}.{tensor}", first + number(which)?))
        }
        // A linear layer, its activation and its dropout.
        ["1", layer] | ["1", layer, "0"] => Some(format!("classifier.{}.{tensor}", 3 * (number(layer)? - 1))),
        _ => None,
    }
}

/// A layer of an Inception network at its last two parts: `0.weight` is the convolution's, `1.norm.bias` the
/// normalisation's.
fn conv_bn(layer: &str, rest: &[&str]) -> Option<String> {
    match rest {
        ["0", tensor] => Some(format!("{layer}.conv.{tensor}")),
        ["1", "norm", tensor] => Some(format!("{layer}.bn.{tensor}")),
        _ => None,
    }
}

fn googlenet(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let module = |module: &str, inner: &[&str]| {
        let ["0", branch, rest @ ..] = inner else { return None };
        let branch = format!("{module}.branch{}", number(branch)? + 1);
        match rest {
            // A branch that is one layer, or a layer of a branch.
            ["0", _] | ["1", "norm", _] => conv_bn(&branch, rest),
            [layer, rest @ ..] => conv_bn(&format!("{branch}.{layer}"), rest),
            [] => None,
        }
    };
    match parts[..] {
        ["early", "0", "0", "0", ref rest @ ..] => conv_bn("conv1", rest),
        ["early", "0", "1", layer, ref rest @ ..] => conv_bn(&format!("conv{}", number(layer)? + 2), rest),
        ["early", "1", "0", ref inner @ ..] => module("inception3a", inner),
        ["early", "1", "1", ref inner @ ..] => module("inception3b", inner),
        ["early", "2", ref inner @ ..] => module("inception4a", inner),
        ["middle", "0", ref inner @ ..] => module("inception4b", inner),
        ["middle", "1", ref inner @ ..] => module("inception4c", inner),
        ["middle", "2", ref inner @ ..] => module("inception4d", inner),
        ["late", "0", "0", ref inner @ ..] => module("inception4e", inner),
        ["late", "1", "0", ref inner @ ..] => module("inception5a", inner),
        ["late", "1", "1", ref inner @ ..] => module("inception5b", inner),
        ["late", "2", "2", tensor] => Some(format!("fc.{tensor}")),
        [head @ ("aux1" | "aux2"), "1", ref rest @ ..] => conv_bn(&format!("{head}.conv"), rest),
        [head @ ("aux1" | "aux2"), "3", tensor] => Some(format!("{head}.fc1.{tensor}")),
        [head @ ("aux1" | "aux2"), "5", tensor] => Some(format!("{head}.fc2.{tensor}")),
        _ => None,
    }
}

// Branches of v3's modules; a branch that only pools has no name.
const GRID: [&str; 3] = ["branch3x3", "branch3x3dbl", ""];
const SMALL: [&str; 3] = ["branch3x3", "branch7x7x3", ""];
const A: [&str; 4] = ["branch1x1", "branch5x5", "branch3x3dbl", "branch_pool"];
const B: [&str; 4] = ["branch1x1", "branch7x7", "branch7x7dbl", "branch_pool"];
const C: [&str; 4] = ["branch1x1", "branch3x3", "branch3x3dbl", "branch_pool"];

fn inception_v3(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('.').collect();
    // With the head, the first three parts are those before it.
    let (stage, inner) = match parts[..] {
        ["early", stage, ref inner @ ..] => (stage, inner),
        ["late", "0", ref inner @ ..] => ("3", inner),
        ["late", "1", ref inner @ ..] => ("4", inner),
        ["aux", layer @ ("1" | "2"), ref rest @ ..] => {
            return conv_bn(&format!("AuxLogits.conv{}", number(layer)? - 1), rest);
        }
        ["aux", "4", tensor] => return Some(format!("AuxLogits.fc.{tensor}")),
        [stage, ref inner @ ..] => (stage, inner),
        [] => return None,
    };
    match (stage, inner) {
        ("0", ["0", layer, rest @ ..]) => {
            conv_bn(["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"].get(number(layer)?)?, rest)
        }
        ("0", ["1", layer, rest @ ..]) => {
            conv_bn(["Conv2d_3b_1x1", "Conv2d_4a_3x3"].get(number(layer)?)?, rest)
        }
        ("1", [module, inner @ ..]) => mixed(["5b", "5c", "5d"].get(number(module)?)?, &A, inner),
        ("2", ["0", inner @ ..]) => mixed("6a", &GRID, inner),
        ("2", ["1", inner @ ..]) => mixed("6b", &B, inner),
        ("2", ["2", module, inner @ ..]) => mixed(["6c", "6d"].get(number(module)?)?, &B, inner),
        ("2", ["3", inner @ ..]) => mixed("6e", &B, inner),
        ("3", ["0", inner @ ..]) => mixed("7a", &SMALL, inner),
        ("3", ["1", "0", inner @ ..]) => mixed("7b", &C, inner),
        ("3", ["2", "0", inner @ ..]) => mixed("7c", &C, inner),
        ("4", ["2", tensor]) => Some(format!("fc.{tensor}")),
        _ => None,
    }
}

/// A layer of a module of v3: branches of one layer have the bare name, others count from 1, and two layers side by side
/// are a and b.
fn mixed(module: &str, branches: &[&str], inner: &[&str]) -> Option<String> {
    let ["0", branch, path @ ..] = inner else { return None };
    let branch = *branches.get(number(branch)?)?;
    let end = if path.contains(&"norm") { path.len().checked_sub(3)? } else { path.len().checked_sub(2)? };
    let (layer, rest) = path.split_at(end);
    let place = match layer {
        [] => String::new(),
        ["0"] if branch == "branch1x1" => String::new(),
        ["1"] if branch == "branch_pool" => String::new(),
        [layer] => format!("_{}", number(layer)? + 1),
        [layer, "0", side] => format!("_{}{}", number(layer)? + 1, ["a", "b"].get(number(side)?)?),
        _ => return None,
    };
    conv_bn(&format!("Mixed_{module}.{branch}{place}"), rest)
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok()
}

/// Whether a name is of what a dropout module draws next, which torchvision's files do not have.
fn is_noise(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.starts_with("noise_"))
}

/// Which network a file was written for, as its header says.
///
/// ```
/// use convnets::torchvision::Origin;
/// let text = "convnets 0.1.0: ResNet-18, 10 outputs; shapes 00000000000000ff";
/// let origin: Origin = text.parse()?;
/// assert_eq!((origin.network.as_str(), origin.shapes), ("ResNet-18, 10 outputs", 255));
/// assert_eq!(origin.to_string(), text);
/// # Ok::<(), convnets::torchvision::NoOrigin>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Version of this crate that wrote the file.
    pub version: String,
    /// Name of the network with its depth and its number of outputs.
    pub network: String,
    /// Hash (FNV-1a, 64 bits) of the names and shapes of all tensors, auxiliary heads left out.
    pub shapes: u64,
}

/// A header that does not say which network its file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form `convnets VERSION: NETWORK; shapes HASH`")]
pub struct NoOrigin;

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, network, shapes } = self;
        write!(f, "convnets {version}: {network}; shapes {shapes:016x}")
    }
}

impl std::str::FromStr for Origin {
    type Err = NoOrigin;
    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let (version, rest) =
            text.strip_prefix("convnets ").and_then(|rest| rest.split_once(": ")).ok_or(NoOrigin)?;
        let (network, shapes) = rest.rsplit_once("; shapes ").ok_or(NoOrigin)?;
        if text.contains(char::is_control) {
            return Err(NoOrigin); // it would break the line of an error
        }
        let shapes = u64::from_str_radix(shapes, 16).map_err(|_| NoOrigin)?;
        Ok(Self { version: version.to_owned(), network: network.to_owned(), shapes })
    }
}

impl Origin {
    /// Of tensors that have torchvision's names.
    fn of(file: &Checkpoint, layout: Layout) -> Self {
        let mut shapes = 0xcbf2_9ce4_8422_2325_u64;
        for name in file.names().filter(|name| !layout.is_head(name)) {
            let line = format!("{name} {:?}\n", file.shape(name).unwrap_or_default());
            for byte in line.bytes() {
                shapes = (shapes ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), network: layout.network(file), shapes }
    }
}

/// Writes all tensors of a model under torchvision's names, atomically, and in the header which network it is.
///
/// # Errors
/// [`CheckpointError::Io`].
pub fn save<M, E, D>(model: &M, layout: Layout, path: impl AsRef<Path>) -> Result<(), CheckpointError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut ours = Checkpoint::default();
    ours.insert_model("", model);
    ours.retain(|name| !is_noise(name));
    let keys = layout.keys(ours.names());
    let mut file = ours.renamed(|name| keys[name].clone());
    file.set_about(Origin::of(&file, layout).to_string());
    file::write::<E>(&file, path.as_ref())
}

/// Why a file was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not there, is damaged, or does not fit.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// A tensor of the network has a type that weights do not have.
    #[error(
        "`{name}` holds {got}, weights are F16, BF16, F32 or F64; in Python write `tensor.float()` in its place and save \
         the file again"
    )]
    Type {
        /// Name of the tensor.
        name: String,
        /// Its type, as safetensors writes it.
        got: String,
    },
}

/// Reads a file with torchvision's names into a model; its numbers are converted to the model's type.
///
/// # Errors
/// Any [`CheckpointError`] as [`LoadError::File`], with torchvision's name of the tensor;
/// [`CheckpointError::WrittenFor`] where the file does not fit and its header names another network;
/// [`LoadError::Type`] for a tensor that holds no weights. The model is unchanged except after
/// [`CheckpointError::Device`].
pub fn load<M, E, D>(model: &mut M, layout: Layout, path: impl AsRef<Path>) -> Result<(), LoadError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let mut file = file::read(path.as_ref())?;
    let mut ours = Checkpoint::default();
    ours.insert_model("", model);
    let keys = layout.keys(ours.names());
    let has_head = |head: &str| keys.values().any(|key| key.starts_with(head));
    let mut left: Vec<&str> = Vec::new(); // heads that stay as they are
    for head in layout.heads() {
        if !has_head(head) {
            file.tensors.retain(|key, _| !key.starts_with(head));
        } else if !file.tensors.keys().any(|key| key.starts_with(head)) {
            left.push(head);
        }
    }
    // Tensors in the model's order, then its counts.
    let parameters: Vec<String> = params::list(model).into_iter().map(|parameter| parameter.name).collect();
    let listed: BTreeSet<&str> = parameters.iter().map(String::as_str).collect();
    let counts = keys.keys().map(String::as_str).filter(|name| !listed.contains(name));
    let is_wanted = |name: &&str| {
        !is_noise(name) && keys.get(*name).is_some_and(|key| !left.iter().any(|head| key.starts_with(head)))
    };
    let wanted: Vec<&str> = parameters.iter().map(String::as_str).chain(counts).filter(is_wanted).collect();
    if let Err(error) = fits(&wanted, &keys, &ours, &file) {
        let origin = file.about.as_deref().and_then(|about| about.parse::<Origin>().ok());
        ours.retain(|name| !is_noise(name));
        let model = Origin::of(&ours.renamed(|name| keys[name].clone()), layout);
        return Err(match origin {
            Some(origin) if origin.shapes != model.shapes => {
                let (written_for, model) = (origin.network, model.network);
                CheckpointError::WrittenFor { written_for, model, source: Box::new(error) }.into()
            }
            _ => error.into(),
        });
    }
    let mut values = BTreeMap::new();
    for name in wanted {
        let key = &keys[name];
        let is_count = !listed.contains(name);
        let numbers = file.tensors[key].values(key, is_count)?;
        if is_count {
            let number = numbers.first().copied().unwrap_or(f64::NAN); // one: its shape fits
            ours.insert_model(name, &Cpu::default().tensor(number));
        } else {
            values.insert(name, numbers);
        }
    }
    // The counts first: one that fits no integer is refused, and nothing has changed.
    ours.load_model("", model).map_err(|mut error| {
        if let CheckpointError::Content { name, .. } = &mut error
            && let Some(key) = keys.get(name)
        {
            name.clone_from(key);
        }
        error
    })?;
    params::visit_mut(model, |parameter, ours: &mut [E]| {
        if let Some(theirs) = values.get(parameter.name.as_str()) {
            ours.iter_mut().zip(*theirs).for_each(|(ours, theirs)| *ours = E::of(*theirs));
        }
    })
    .map_err(CheckpointError::from)?;
    Ok(())
}

/// The first difference between the names and shapes that a model wants and those of a file.
fn fits(
    wanted: &[&str],
    keys: &BTreeMap<String, String>,
    ours: &Checkpoint,
    file: &file::Weights,
) -> Result<(), CheckpointError> {
    for name in wanted {
        let (key, expected) = (&keys[*name], ours.shape(name)?);
        let found = file.tensors.get(key).ok_or_else(|| CheckpointError::Missing { name: key.clone() })?;
        if found.shape != expected {
            let (expected, got) = (expected.to_vec(), found.shape.clone());
            return Err(CheckpointError::Shape { name: key.clone(), expected, got });
        }
    }
    let wanted: BTreeSet<&str> = wanted.iter().map(|name| keys[*name].as_str()).collect();
    match file.tensors.keys().find(|key| !wanted.contains(key.as_str())) {
        Some(key) => Err(CheckpointError::Unexpected { name: key.clone() }),
        None => Ok(()),
    }
}
