"""Inputs and weights that every worker can make alike: a counter, hashed; and short fingerprints of what comes out."""

import math

import torch


def hashed(seed, n):
    """n integers in [0, 2^32), int64: the counter seed * 0x9E3779B1 + i through Wellons' 32-bit mixer."""
    x = (torch.arange(n, dtype=torch.int64) + seed * 0x9E3779B1) & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x21F0AAAD) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0xD35A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


def uniform(seed, *shape, bound=1.0):
    """f32 in [-bound, bound): 24 bits of the hash, exact in f32, times the bound."""
    unit = (hashed(seed, math.prod(shape)) >> 8).to(torch.float32) / 2.0**23 - 1.0
    return (unit * torch.tensor(bound, dtype=torch.float32)).reshape(shape)


def labels(seed, n, classes):
    """n integers in [0, classes)."""
    return (hashed(seed, n) >> 8) % classes


@torch.no_grad()
def fill(model, first_seed=100):
    """Weights of a model from the counter, uniform in +-1/sqrt(fan in); scales one, biases zero."""
    for k, (name, p) in enumerate(model.named_parameters()):
        if p.dim() > 1:
            p.copy_(uniform(first_seed + k, *p.shape, bound=1.0 / math.sqrt(p.numel() // p.shape[0])))
        elif name.endswith("weight"):
            p.fill_(1.0)
        else:
            p.zero_()
    return model


def fingerprint(name, t):
    """Two numbers that change with any element: the root mean square, and the angle to a fixed random direction."""
    t = t.detach().to(torch.float64).reshape(-1)
    square = torch.dot(t, t).item()
    direction = uniform(999, t.numel()).to(torch.float64)
    size = math.sqrt(square) or 1.0
    return {f"{name}.rms": math.sqrt(square / t.numel()), f"{name}.angle": torch.dot(t, direction).item() / size}
