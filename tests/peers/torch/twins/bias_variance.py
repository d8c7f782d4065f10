"""Polynomials on a noisy sine: bias and variance by degree, and with a penalty on degree 9."""

from common import config, over, record, torch

SETTINGS = config("bias-variance")
DEGREES, PENALTIES = [1, 3, 5, 9], [0.1, 1.0]
SETS, EXAMPLES = SETTINGS["sets"], SETTINGS["examples"]
GRID = torch.linspace(-1, 1, 101, dtype=torch.double)
TRUTH = torch.sin(torch.pi * GRID)


def legendre(x, degree):
    """P_0 to P_degree along a new last axis."""
    columns = [torch.ones_like(x), x]
    for j in range(1, degree):
        columns.append(((2 * j + 1) * x * columns[j] - j * columns[j - 1]) / (j + 1))
    return torch.stack(columns[: degree + 1], -1)


def parts(fits):
    """Squared bias and variance of the fits at the grid, (sets, grid)."""
    mean = fits.mean(0)
    return ((mean - TRUTH) ** 2).mean().item(), ((fits - mean) ** 2).mean().item()


def run(seed):
    torch.manual_seed(seed)
    x = 2 * torch.rand(SETS, EXAMPLES, dtype=torch.double) - 1
    y = torch.sin(torch.pi * x) + SETTINGS["noise"] * torch.randn_like(x)
    found = {}
    for degree in DEGREES:
        w = torch.linalg.lstsq(legendre(x, degree), y.unsqueeze(-1), driver="gelsd").solution
        fits = (legendre(GRID, degree) @ w).squeeze(-1)
        found[f"bias_{degree}"], found[f"variance_{degree}"] = parts(fits)
        left = (legendre(x, degree) @ w).squeeze(-1) - y
        found[f"train_{degree}"] = (left**2).mean().item()
    for name, penalty in zip(["tenth", "one"], PENALTIES):
        a = legendre(x, 9)
        diagonal = penalty * torch.eye(10, dtype=torch.double)
        diagonal[0, 0] = 0  # the constant is free
        w = torch.linalg.solve(a.mT @ a + diagonal, a.mT @ y.unsqueeze(-1))
        found[f"ridge_{name}_bias"], found[f"ridge_{name}_variance"] = parts((legendre(GRID, 9) @ w).squeeze(-1))
    return found


if __name__ == "__main__":
    runs = [run(seed) for seed in range(SETTINGS["seeds"])]
    record(__file__, {name: over(found[name] for found in runs) for name in runs[0]})
