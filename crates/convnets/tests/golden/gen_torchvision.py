"""Names and shapes of torchvision's networks, what they and their modules compute, what its preprocessing makes of pictures.

Usage: gen_torchvision.py OUT_DIR

Names are those of models on the meta device: no weight is allocated. Modules are evaluated in f64 with weights from sines,
whole networks in f64 with weights from a hash of torchvision's names.
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
vgg = importlib.import_module("torchvision.models.vgg")

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


def draws(name, n):
    """n numbers in [0, 1): FNV-1a of the name, a Weyl sequence from there, the finaliser of MurmurHash3."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = (h + np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)]:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    return torch.from_numpy(x.astype(np.float64) / 2**32)


def network(model, rows, columns, parts):
    """Norm and every `step`-th number of the outputs of `parts` and of the logits, in evaluation. Weights are uniform with the
    variance 2 / fan in, gains and variances lie in [3/4, 5/4), biases and means in [-0.1, 0.1), pixels in [-1, 1)."""
    model = model.double().eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            u = draws(name, value.numel()).reshape(value.shape)
            if value.ndim > 1:
                value.copy_((6 / (value.numel() / value.shape[0])) ** 0.5 * (2 * u - 1))
            elif name.endswith(("weight", "running_var")):
                value.copy_(0.75 + 0.5 * u)
            else:
                value.copy_(0.2 * (u - 0.5))
    found = {}

    def keep(name, y):
        step = max(1, y.numel() // 7)
        found[name] = {
            "shape": list(y.shape),
            "norm": float("%.13g" % y.norm()),
            "step": step,
            "some": [float("%.12g" % v) for v in y.flatten()[::step]],
        }

    for part in parts:
        model.get_submodule(part).register_forward_hook(lambda _, __, y, part=part: keep(part, y))
    x = 2 * draws("pixels", 3 * rows * columns).reshape(1, 3, rows, columns) - 1
    with torch.no_grad():
        keep("logits", model(x))
    return {"rows": rows, "columns": columns, "outputs": found}


def narrow_vgg16():
    """VGG-16 with a sixteenth of its channels, whose first dense layer takes maps of 2 x 3."""
    pool = "M"
    widths = [4, 4, pool, 8, 8, pool, 16, 16, 16, pool, 32, 32, 32, pool, 32, 32, 32, pool]
    model = vgg.VGG(vgg.make_layers(widths), num_classes=10, init_weights=False)
    model.avgpool = torch.nn.Identity()
    for layer, sizes in [(0, (32 * 2 * 3, 64)), (3, (64, 64)), (6, (64, 10))]:
        model.classifier[layer] = torch.nn.Linear(*sizes)
    return model


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
    small = {"weights": None, "num_classes": 10}
    headless = {**small, "aux_logits": False, "init_weights": False}
    networks = {
        "vgg16": network(narrow_vgg16(), 64, 96, [f"features.{layer}" for layer in (4, 9, 16, 23, 30)]),
        "resnet18": network(M.resnet18(**small), 64, 96, ["layer1", "layer2", "layer3", "layer4"]),
        "googlenet": network(
            M.googlenet(**headless),
            64,
            96,
            ["conv3", "inception3b", "inception4a", "inception4d", "inception4e", "inception5b"],
        ),
        "inception_v3": network(
            M.inception_v3(**headless),
            107,
            75,
            ["Conv2d_4a_3x3", "Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c"],
        ),
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
        golden = {"source": source, "norm": NORM, "layers": names, "modules": modules}
        golden |= {"networks": networks, "preprocess": pictures}
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main(sys.argv[1])
