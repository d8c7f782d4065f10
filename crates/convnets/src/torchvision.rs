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
//! **Preprocessing is part of the model**: RGB in \[0, 1\], the short side resized to 256, the middle 224 × 224, each
//! channel less its mean (0.485, 0.456, 0.406) and over its deviation (0.229, 0.224, 0.225).
//! **Deviation**: the number of batches that a normalisation has seen is written as f64, where PyTorch has i64; both are
//! read, and PyTorch's `load_state_dict` converts.
use dfdx::nn::tensor_collection::TensorCollection;
use kernels::{Device, Real};
use layers::{Checkpoint, CheckpointError};
use std::collections::BTreeMap;
use std::path::Path;

/// Whose names a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// [`resnet::BasicResNet`](crate::resnet::BasicResNet), [`BottleneckResNet`](crate::resnet::BottleneckResNet) and
    /// [`ResNext50`](crate::resnet::ResNext50), or any network of their structure.
    ResNet,
    /// The networks of [`vgg`](crate::vgg), with or without batch normalisation.
    Vgg,
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
            }
            .unwrap_or_else(|| name.to_owned())
        };
        names.into_iter().map(|name| (name.to_owned(), key(name))).collect()
    }
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
    let number = |text: &str| text.parse::<usize>().ok();
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
    let number = |text: &str| text.parse::<usize>().ok();
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

/// Writes all tensors of a model under torchvision's names, atomically.
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
    let keys = layout.keys(ours.names());
    ours.renamed(|name| keys[name].clone()).write(path)
}

/// Reads a file with torchvision's names into a model.
///
/// # Errors
/// Any [`CheckpointError`], with torchvision's name of the tensor; the model is unchanged except after
/// [`CheckpointError::Device`].
pub fn load<M, E, D>(model: &mut M, layout: Layout, path: impl AsRef<Path>) -> Result<(), CheckpointError>
where
    M: TensorCollection<E, D>,
    E: Real,
    D: Device<E>,
{
    let file = Checkpoint::read(path)?;
    let mut ours = Checkpoint::default();
    ours.insert_model("", model);
    let keys = layout.keys(ours.names());
    let names: BTreeMap<&str, &str> = keys.iter().map(|(ours, theirs)| (&theirs[..], &ours[..])).collect();
    let renamed =
        file.renamed(|key| names.get(key).map_or_else(|| key.to_owned(), |name| (*name).to_owned()));
    renamed.load_model("", model).map_err(|mut error| {
        use CheckpointError::{Content, Dtype, Missing, Shape, Unexpected};
        if let Missing { name }
        | Unexpected { name }
        | Shape { name, .. }
        | Dtype { name, .. }
        | Content { name, .. } = &mut error
            && let Some(key) = keys.get(name)
        {
            name.clone_from(key);
        }
        error
    })
}
