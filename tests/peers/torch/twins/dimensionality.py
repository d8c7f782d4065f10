"""Distances, nearest neighbours on digits with features of noise, and one neighbour's error, as the dimension grows."""

import math

from common import config, idx, over, record, torch

SETTINGS = config("dimensionality")
TRAIN = 1437  # of 1797 digits, as in our split
PIXELS, LABELS = idx("digits-images").reshape(-1, 64).double() / 16, idx("digits-labels").long()


def contrast(d):
    """Mean over all points of (farthest − nearest)/nearest."""
    distances = torch.cdist(*[torch.rand(SETTINGS["points"], d, dtype=torch.double)] * 2)
    most = distances.max(1).values
    least = distances.fill_diagonal_(math.inf).min(1).values
    return ((most - least) / least).mean().item()


def read(noise):
    """Share of the test digits that five neighbours read."""
    x = torch.cat([PIXELS, torch.rand(len(PIXELS), noise, dtype=torch.double)], 1)
    order = torch.randperm(len(x))
    train, test = order[:TRAIN], order[TRAIN:]
    near = torch.cdist(x[test], x[train]).topk(5, largest=False).indices
    return (LABELS[train][near].mode(1).values == LABELS[test]).double().mean().item()


def slope(d):
    """Of log error against log examples, one neighbour, |x|² without noise."""
    target = lambda x: (x * x).sum(1)
    queries, points, n = torch.rand(500, d, dtype=torch.double), [], 100
    while n <= SETTINGS["examples"]:
        x = torch.rand(n, d, dtype=torch.double)
        answer = target(x)[torch.cdist(queries, x).argmin(1)]
        points.append((math.log(n), math.log(((answer - target(queries)) ** 2).mean().item())))
        n *= 2
    xs, ys = torch.tensor(points, dtype=torch.double).T
    return (((xs - xs.mean()) * (ys - ys.mean())).sum() / ((xs - xs.mean()) ** 2).sum()).item()


if __name__ == "__main__":
    found = []
    for seed in range(SETTINGS["seeds"]):
        torch.manual_seed(seed)
        found.append(
            {f"contrast_{d}": contrast(d) for d in (2, 10, 500)}
            | {f"noise_{noise}": read(noise) for noise in (0, 1024)}
            | {f"slope_{d}": slope(d) for d in (1, 8)}
        )
    record(__file__, {name: over(run[name] for run in found) for name in found[0]})
