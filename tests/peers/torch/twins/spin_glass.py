"""Heights per weight at which descents on the spherical spin glass with 80 weights end."""

from common import config, over, record, torch

SETTINGS = config("spin-glass")
SPINS = 10 << (SETTINGS["sizes"] - 1)


def heights(seed):
    """All starts of one polynomial at once: steps against the gradient along the sphere until it is short."""
    torch.manual_seed(seed)
    x = torch.randn(SPINS, SPINS, SPINS, dtype=torch.double)
    x = (x + x.permute(1, 2, 0) + x.permute(2, 0, 1)) / 3
    x = ((x + x.transpose(1, 2)) / 2 / SPINS).reshape(SPINS * SPINS, SPINS)
    to_sphere = lambda w: w * (SPINS**0.5 / w.norm(dim=0))
    w = to_sphere(torch.randn(SPINS, SETTINGS["starts"], dtype=torch.double))
    for _ in range(20_000):
        gradient = 3 * torch.einsum("ijb,jb->ib", (x @ w).reshape(SPINS, SPINS, -1), w)
        energy = (gradient * w).sum(0) / 3
        along = gradient - w * ((gradient * w).sum(0) / SPINS)
        if along.norm(dim=0).max() < 1e-6:
            break
        w = to_sphere(w - 0.08 * along)
    else:
        raise SystemExit(f"seed {seed}: a gradient of {along.norm(dim=0).max():.1e} is left")
    return (energy / SPINS).tolist()


if __name__ == "__main__":
    ends = [height for seed in range(SETTINGS["disorders"]) for height in heights(seed)]
    record(__file__, {"height": over(ends)})
