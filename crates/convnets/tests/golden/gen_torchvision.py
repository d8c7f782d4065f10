"""Names and shapes of torchvision's networks, what its Inception modules compute, what its preprocessing makes of pictures.

Usage: gen_torchvision.py OUT_DIR

Names are those of models on the meta device: no weight is allocated. Modules are evaluated in f64 with weights from sines.
"""
import importlib
import json
import sys

import numpy as np
import torch
import torchvision
import torchvision.models as M
import torchvision.transforms.functional as F
from PIL import Image

# The names of these modules are functions of `torchvision.models` too.
googlenet = importlib.import_module("torchvision.models.googlenet")
inception = importlib.import_module("torchvision.models.inception")

NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def layers(model):
    """{layer: channels} for a normalisation, {layer: {tensor: shape}} for all others."""
    found = {}
    for key, value in model.state_dict().items():
        layer, tensor = key.rsplit(".", 1)
        found.setdefault(layer, {})[tensor] = list(value.shape)
    for layer, tensors in found.items():
        if list(tensors) == NORM:
            assert tensors["num_batches_tracked"] == [] and len({tuple(tensors[t]) for t in NORM[:4]}) == 1
            found[layer] = tensors["weight"][0]
    return found


def fill(module):
    """Trainable tensor t in order, element k (both from 0): gains 1 + 0.1 b, other vectors 0.05 b, all else
    sqrt(2 / fan in) b with b = sin(0.7 (k + 1) + 1.3 (t + 1)); running means 0.05 sin(k), variances 1 + 0.1 cos(k)."""
    with torch.no_grad():
        for t, (name, p) in enumerate(module.named_parameters()):
            k = torch.arange(p.numel(), dtype=torch.float64)
            b = torch.sin(0.7 * (k + 1) + 1.3 * (t + 1)).reshape(p.shape)
            if p.ndim > 1:
                p.copy_((2 / (p.numel() / p.shape[0])) ** 0.5 * b)
            else:
                p.copy_(1 + 0.1 * b if name.endswith("weight") else 0.05 * b)
        for name, buffer in module.named_buffers():
            k = torch.arange(buffer.numel(), dtype=torch.float64)
            if name.endswith("mean"):
                buffer.copy_(0.05 * torch.sin(k))
            if name.endswith("var"):
                buffer.copy_(1 + 0.1 * torch.cos(k))


def evaluate(module, channels, side):
    """Norm and every 41st element of the output for pixels sin(0.11 (k + 1)^1.1)."""
    module = module.double().eval()
    fill(module)
    k = torch.arange(channels * side * side, dtype=torch.float64)
    x = torch.sin(0.11 * (k + 1) ** 1.1).reshape(1, channels, side, side)
    with torch.no_grad():
        y = module(x)
    return {
        "input": [channels, side],
        "shape": list(y.shape),
        "norm": float("%.14g" % y.norm()),
        "every_41st": [float("%.12g" % v) for v in y.flatten()[::41]],
    }


def preprocess(weights, height, width, undo=False):
    """Sums of the levels of each channel after resize and crop, every 1009th level and every 1009th value, of the picture
    (7 row^2 + 13 column (channel + 1) + row column) mod 256. `undo`: with the network's own `transform_input`."""
    row, column = np.mgrid[0:height, 0:width]
    planes = [(7 * row * row + 13 * column * (c + 1) + row * column) % 256 for c in range(3)]
    picture = Image.fromarray(np.stack(planes, -1).astype(np.uint8))
    preset = weights.transforms()
    cropped = F.center_crop(F.resize(picture, preset.resize_size, interpolation=preset.interpolation), preset.crop_size)
    levels = np.asarray(cropped).transpose(2, 0, 1)
    values = preset(picture).double()
    if undo:
        values = (values * torch.tensor(preset.std).view(3, 1, 1) + torch.tensor(preset.mean).view(3, 1, 1) - 0.5) / 0.5
    return {
        "height": height,
        "width": width,
        "short_side": preset.resize_size[0],
        "crop": preset.crop_size[0],
        "sums": [int(plane.astype(int).sum()) for plane in levels],
        "every_1009th": [int(v) for v in levels.flatten()[::1009]],
        "values": [float("%.8g" % v) for v in values.flatten()[::1009]],
    }


def main(out):
    names = {}
    with torch.device("meta"):
        for name in ["vgg16", "vgg16_bn", "resnet18", "resnet50", "resnext50_32x4d", "googlenet", "inception_v3"]:
            heads = {"aux_logits": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
            names[name] = layers(getattr(M, name)(weights=None, **heads))
    torch.manual_seed(0)
    modules = {
        "googlenet_inception": evaluate(googlenet.Inception(4, 2, 2, 3, 1, 2, 1), 4, 7),
        "googlenet_aux": evaluate(googlenet.InceptionAux(6, 5), 6, 9),
        "inception_a": evaluate(inception.InceptionA(192, 32), 192, 5),
        "reduction_a": evaluate(inception.InceptionB(288), 288, 7),
        "inception_b": evaluate(inception.InceptionC(768, 128), 768, 5),
        "reduction_b": evaluate(inception.InceptionD(768), 768, 5),
        "inception_c": evaluate(inception.InceptionE(1280), 1280, 3),
        "inception_aux": evaluate(inception.InceptionAux(768, 5), 768, 17),
    }
    first = M.ResNet18_Weights.IMAGENET1K_V1
    pictures = {
        "smaller": preprocess(first, 300, 400),
        "odd": preprocess(first, 517, 331),
        "larger": preprocess(first, 48, 64),
        "fitting": preprocess(first, 256, 261),
        "square": preprocess(first, 256, 256),
        "second_weights": preprocess(M.ResNet50_Weights.IMAGENET1K_V2, 281, 373),
        "googlenet": preprocess(M.GoogLeNet_Weights.IMAGENET1K_V1, 401, 300, undo=True),
        "inception_v3": preprocess(M.Inception_V3_Weights.IMAGENET1K_V1, 399, 500, undo=True),
    }
    with open(f"{out}/torchvision.json", "w") as file:
        source = f"torchvision {torchvision.__version__}, torch {torch.__version__}"
        golden = {"source": source, "norm": NORM, "layers": names, "modules": modules, "preprocess": pictures}
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main(sys.argv[1])
