"""Modules of Inception v4 and of both Inception-ResNets on weights of sines, in evaluation.

Usage: gen_inception.py OUT_DIR

PyTorch alone: the modules are written here from the figures of Szegedy et al. (2016) and, for Inception-ResNet-v2, from the
widths of the released network; torchvision has none of them. Weights and input are those of gen_torchvision.py.
"""
import json
import sys

import torch
from torch import nn


class Layer(nn.Module):
    """A convolution without bias, a normalisation with epsilon 1e-3, a ReLU."""

    def __init__(self, i, o, k, s=1, p=0):
        super().__init__()
        self.conv = nn.Conv2d(i, o, k, s, p, bias=False)
        self.bn = nn.BatchNorm2d(o, eps=1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


def chain(i, *layers):
    """Layers (o, k, s, p) one after the other."""
    built = []
    for layer in layers:
        if isinstance(layer, nn.Module):
            built.append(layer)
            continue
        built.append(Layer(i, *layer))
        i = layer[0]
    return nn.Sequential(*built)


class Beside(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


class Residual(nn.Module):
    """x + scale (1x1 of the branches), a ReLU behind unless it is the last block."""

    def __init__(self, i, inner, branches, scale, is_last=False):
        super().__init__()
        self.branches = branches
        self.linear = nn.Conv2d(inner, i, 1)
        self.scale, self.is_last = scale, is_last

    def forward(self, x):
        y = x + self.scale * self.linear(self.branches(x))
        return y if self.is_last else torch.relu(y)


def same(o, k):
    return (o, k, 1, k // 2)


def row(o, k):
    return (o, (1, k), 1, (0, k // 2))


def column(o, k):
    return (o, (k, 1), 1, (k // 2, 0))


def half(o):
    return (o, 3, 2)


def mean():
    return nn.AvgPool2d(3, 1, 1)


def pool():
    return nn.MaxPool2d(3, 2)


def stem_v4():
    return nn.Sequential(
        chain(3, half(32), (32, 3), same(64, 3)),
        Beside(pool(), Layer(64, *half(96))),
        Beside(chain(160, (64, 1), (96, 3)), chain(160, (64, 1), row(64, 7), column(64, 7), (96, 3))),
        Beside(Layer(192, *half(192)), pool()),
    )


def inception_a4():
    return Beside(
        chain(384, (96, 1)),
        chain(384, (64, 1), same(96, 3)),
        chain(384, (64, 1), same(96, 3), same(96, 3)),
        chain(384, mean(), (96, 1)),
    )


def inception_b4():
    return Beside(
        chain(1024, (384, 1)),
        chain(1024, (192, 1), row(224, 7), column(256, 7)),
        chain(1024, (192, 1), column(192, 7), row(224, 7), column(224, 7), row(256, 7)),
        chain(1024, mean(), (128, 1)),
    )


def reduction_b4():
    return Beside(
        chain(1024, (192, 1), half(192)), chain(1024, (256, 1), row(256, 7), column(320, 7), half(320)), pool()
    )


def inception_c4():
    def ends(i):
        return Beside(Layer(i, *row(256, 3)), Layer(i, *column(256, 3)))

    return Beside(
        chain(1536, (256, 1)),
        chain(1536, (384, 1), ends(384)),
        chain(1536, (384, 1), column(448, 3), row(512, 3), ends(512)),
        chain(1536, mean(), (256, 1)),
    )


def reduction(i, k, l, m, n):
    return Beside(chain(i, half(n)), chain(i, (k, 1), same(l, 3), half(m)), pool())


def residual_reduction(i, a, b, c):
    return Beside(
        chain(i, (256, 1), half(a)), chain(i, (256, 1), half(b)), chain(i, (256, 1), same(b, 3), half(c)), pool()
    )


def residual_a(i, m, n):
    branches = Beside(
        chain(i, (32, 1)), chain(i, (32, 1), same(32, 3)), chain(i, (32, 1), same(m, 3), same(n, 3))
    )
    return Residual(i, 64 + n, branches, 0.17)


def residual_b(i, a, r, m, n):
    return Residual(i, a + n, Beside(chain(i, (a, 1)), chain(i, (r, 1), row(m, 7), column(n, 7))), 0.10)


def residual_c(i, m, n, scale=0.20, is_last=False):
    branches = Beside(chain(i, (192, 1)), chain(i, (192, 1), row(m, 3), column(n, 3)))
    return Residual(i, 192 + n, branches, scale, is_last)


def stem_residual_1():
    return chain(3, half(32), (32, 3), same(64, 3), pool(), (80, 1), (192, 3), half(256))


def inception_a2():
    return Beside(
        chain(192, (96, 1)),
        chain(192, (48, 1), same(64, 5)),
        chain(192, (64, 1), same(96, 3), same(96, 3)),
        chain(192, mean(), (64, 1)),
    )


def fill(module):
    """As in gen_torchvision.py."""
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
    """As in gen_torchvision.py."""
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


def main(out):
    modules = {
        "stem_v4": evaluate(stem_v4(), 3, 59),
        "inception_a4": evaluate(inception_a4(), 384, 5),
        "reduction_a4": evaluate(reduction(384, 192, 224, 256, 384), 384, 7),
        "inception_b4": evaluate(inception_b4(), 1024, 5),
        "reduction_b4": evaluate(reduction_b4(), 1024, 5),
        "inception_c4": evaluate(inception_c4(), 1536, 3),
        "stem_residual_1": evaluate(stem_residual_1(), 3, 75),
        "residual_a1": evaluate(residual_a(256, 32, 32), 256, 5),
        "reduction_a1": evaluate(reduction(256, 192, 192, 256, 384), 256, 7),
        "residual_b1": evaluate(residual_b(896, 128, 128, 128, 128), 896, 5),
        "reduction_b1": evaluate(residual_reduction(896, 384, 256, 256), 896, 5),
        "residual_c1": evaluate(residual_c(1792, 192, 192), 1792, 3),
        "inception_a2": evaluate(inception_a2(), 192, 5),
        "residual_a2": evaluate(residual_a(320, 48, 64), 320, 5),
        "reduction_a2": evaluate(reduction(320, 256, 256, 384, 384), 320, 7),
        "residual_b2": evaluate(residual_b(1088, 192, 128, 160, 192), 1088, 5),
        "reduction_b2": evaluate(residual_reduction(1088, 384, 288, 320), 1088, 5),
        "residual_c2": evaluate(residual_c(2080, 224, 256), 2080, 3),
        "residual_c2_last": evaluate(residual_c(2080, 224, 256, 1.0, True), 2080, 3),
    }
    with open(f"{out}/inception.json", "w") as file:
        json.dump({"source": f"torch {torch.__version__}", "modules": modules}, file, separators=(",", ":"))
        file.write("\n")


main(sys.argv[1])
