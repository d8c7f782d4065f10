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
    """Weights of a model from the counter, uniform in +-1/sqrt(fan in); scales one, biases zero.

    Every tensor has a seed, in order. A layer with the attribute `packed` holds that many layers of ours, row by row.
    """
    seed = first_seed
    for module in model.modules():
        parts = getattr(module, "packed", 1)
        for name, p in module.named_parameters(recurse=False):
            if p.dim() > 1:
                rows = p.shape[0] // parts
                bound = 1.0 / math.sqrt(p.numel() // p.shape[0])
                for part in range(parts):
                    # Between two weights of ours lies a bias.
                    p[part * rows : (part + 1) * rows] = uniform(seed + 2 * part, rows, *p.shape[1:], bound=bound)
                seed += 2 * parts - 1
            else:
                p.fill_(1.0 if name == "weight" else 0.0)
                seed += 1
    return model


def fingerprint(name, t):
    """Two numbers that change with any element: the root mean square, and the angle to a fixed random direction."""
    t = t.detach().to(torch.float64).reshape(-1)
    square = torch.dot(t, t).item()
    direction = uniform(999, t.numel()).to(torch.float64)
    size = math.sqrt(square) or 1.0
    return {f"{name}.rms": math.sqrt(square / t.numel()), f"{name}.angle": torch.dot(t, direction).item() / size}
