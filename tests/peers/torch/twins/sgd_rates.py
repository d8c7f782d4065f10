"""Linear regression on patients, one patient per step: where schedules end, how fast, and how high a plateau is."""

import math

from common import ROOT, config, over, record, torch

SETTINGS = config("sgd-rates")
POINTS, RATES = 200, [0.0025, 0.02]


def standard(column):
    return (column - column.mean(0)) / column.std(0, correction=0)


LINES = (ROOT / "crates/datasets/data/diabetes.tsv").read_text().splitlines()
ROWS = torch.tensor([[float(cell) for cell in line.split("\t")[1:]] for line in LINES[1:]], dtype=torch.double)
X, Y = standard(ROWS[:, :-1]), standard(ROWS[:, -1])
N, D = X.shape
H = X.T @ X / N
LEAST = torch.linalg.solve(H, X.T @ Y / N)
VALUES = torch.linalg.eigvalsh(H)
MU, L = VALUES[0].item(), VALUES[-1].item()
CURVATURE = (X * X).sum(1).max().item()


def excess(w):
    """½ (w − w*)ᵀH(w − w*) of each row."""
    off = w - LEAST
    return ((off @ H) * off).sum(1) / 2


def drawn(generator, steps, runs):
    """Rows of patients for `steps` steps of all runs, a block at a time."""
    for first in range(0, steps, 10_000):
        yield from torch.randint(N, (min(10_000, steps - first), runs), generator=generator)


def descend(rate, steps, start, seed, see):
    """All runs at once; `see(t, w)` after each step, t from 1."""
    w, generator = start.clone(), torch.Generator().manual_seed(seed)
    for t, rows in enumerate(drawn(generator, steps, len(start))):
        x = X[rows]
        w -= rate(t) * ((x * w).sum(1) - Y[rows]).unsqueeze(1) * x
        see(t + 1, w)
    return w


def curves(rate, seed):
    """Excess of the iterates and of their mean at every 200th part, (points, runs)."""
    every, runs = SETTINGS["steps"] // POINTS, SETTINGS["seeds"]
    mean, last, averaged = torch.zeros(runs, D, dtype=torch.double), [], []

    def see(t, w):
        mean.add_(w)
        if t % every == 0:
            last.append(excess(w))
            averaged.append(excess(mean / t))

    descend(rate, SETTINGS["steps"], torch.zeros(runs, D, dtype=torch.double), seed, see)
    return torch.stack(last), torch.stack(averaged)


def end(curve):
    return over(curve[-POINTS // 10 :].mean(0).tolist())


def slope(curve):
    """Of log mean excess against log step over the second half."""
    t = torch.arange(POINTS // 2 + 1, POINTS + 1, dtype=torch.double).log()
    e = curve[POINTS // 2 :].mean(1).log()
    return over([(((t - t.mean()) * (e - e.mean())).sum() / ((t - t.mean()) ** 2).sum()).item()])


def plateau(rate):
    """Mean excess over the second half of long runs that start at the minimum, over the rate."""
    steps, sums = SETTINGS["stationary_steps"], torch.zeros(3, dtype=torch.double)

    def see(t, w):
        if t > steps // 2 and t % 10 == 0:
            sums.add_(excess(w))

    descend(lambda t: rate, steps, LEAST.expand(3, D), 7, see)
    return over((sums / (steps // 20) / rate).tolist())


def race():
    """Gradients of single patients to an excess of 0.01: all patients a step, and one a step at the rate 0.01."""
    w, full = torch.zeros(1, D, dtype=torch.double), 0
    while excess(w) >= 1e-2:
        w, full = w - (w @ H - X.T @ Y / N) / L, full + N
    reached = torch.full((SETTINGS["seeds"],), math.inf, dtype=torch.double)

    def see(t, w):
        reached[(excess(w) < 1e-2) & reached.isinf()] = t

    descend(lambda t: 0.01, 10_000, torch.zeros(SETTINGS["seeds"], D, dtype=torch.double), 9, see)
    return [full / steps for steps in reached.tolist()]


if __name__ == "__main__":
    constant, of_constant = curves(lambda t: 0.005, 1)
    inverse, _ = curves(lambda t: 1 / MU / (t + CURVATURE / MU), 2)
    root, of_root = curves(lambda t: 0.05 / math.sqrt(t + 25), 3)
    values = {
        "constant": end(constant),
        "constant_averaged": end(of_constant),
        "inverse": end(inverse),
        "inverse_slope": slope(inverse),
        "root": end(root),
        "root_averaged": end(of_root),
        "plateau_least": plateau(RATES[0]),
        "plateau_most": plateau(RATES[1]),
        "cheaper": over(race()),
    }
    record(__file__, values)
