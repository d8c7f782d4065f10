"""Dropout in a linear network: how unequal the products of a unit's two norms remain."""

from common import config, idx, over, record, torch

SETTINGS = config("dropout-equalises")
INPUTS, UNITS, KEEP = 16, 20, 0.5


def whitened_digits():
    """The small digits on their first principal components, each with variance 1: (n, 16)."""
    x = idx("digits-images").reshape(-1, 64).double() / 16
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    return x @ (vectors[:, -INPUTS:] / values[-INPUTS:].sqrt())


def run(seed, keep):
    torch.manual_seed(seed)
    x = whitened_digits()
    target = torch.diag(2 - 1.9 * torch.arange(INPUTS, dtype=torch.double) / (INPUTS - 1))
    # uneven: units start with very different norms
    scale = 0.5 * 0.25 * (0.7 * torch.randn(UNITS, dtype=torch.double)).exp()
    u = (torch.randn(INPUTS, UNITS, dtype=torch.double) * scale).requires_grad_()
    v = (torch.randn(INPUTS, UNITS, dtype=torch.double) * scale).requires_grad_()
    optimizer = torch.optim.SGD([u, v], 1.0)
    for step in range(1, SETTINGS["steps"] + 1):
        batch = x[torch.randint(len(x), (SETTINGS["batch"],))]
        mask = (torch.rand(len(batch), UNITS) < keep).double() / keep
        error = ((batch @ v) * mask) @ u.T - batch @ target
        loss = error.square().sum(1).mean()
        optimizer.param_groups[0]["lr"] = 0.015 * 0.03 ** (step / SETTINGS["steps"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        products = u.norm(dim=0) * v.norm(dim=0)
    return (products.std(correction=0) / products.mean()).item()


if __name__ == "__main__":
    seeds = range(SETTINGS["seeds"])
    values = {"spread": over(run(seed, KEEP) for seed in seeds)}
    values["spread_without"] = over(run(seed, 1.0) for seed in seeds)
    record(__file__, values)
