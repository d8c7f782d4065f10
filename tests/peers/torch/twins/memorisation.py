"""Real digits, random labels and random inputs, from two starts: who matters, and who lies near a boundary."""

from common import accuracy, config, cross_entropy, descend, F, he, mnist, network, over, record, torch

SETTINGS = config("memorisation")
RADIUS, SEARCHED = 0.02, 300


def critical_share(net, x):
    """Share of the images in whose box a noisy walk along the gradient's sign meets another answer."""
    own, at, found = net(x).argmax(1), x.clone(), torch.zeros(len(x), dtype=torch.bool)
    for _ in range(30):
        at.requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(net, at, own), at)
        step = at.detach() + RADIUS / 5 * gradient.sign() + RADIUS / 10 * torch.randn_like(x)
        at = torch.where(found[:, None], at.detach(), step.clamp(x - RADIUS, x + RADIUS))
        with torch.no_grad():
            found |= net(at).argmax(1) != own
    return found.float().mean().item()


def sensitivity(net, x, y):
    """Size of the derivative of each image's own loss by its pixels."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(net(x), y, reduction="sum"), x)
    return gradient.abs().sum(1)


def gini(values):
    values, n = values.double().sort().values, len(values)
    return ((2 * torch.arange(1, n + 1) - n - 1) * values).sum().item() / (n * values.sum().item())


def run(seed, kind, start):
    (x, y), _ = mnist(SETTINGS["images"], 1)
    torch.manual_seed(seed)
    if kind == "labels":
        y = torch.randint(10, y.shape)
    elif kind == "inputs":
        x = x.mean() + x.std() * torch.randn_like(x)
    net = network([784, SETTINGS["hidden"], SETTINGS["hidden"], 10], start=start)
    total, fitted = torch.zeros(len(x)), []

    def after(epoch, _):
        if accuracy(net, x, y) >= 100:
            fitted.append(epoch)
        if epoch <= SETTINGS["epochs"]:
            total.add_(sensitivity(net, x, y))
        return epoch < SETTINGS["epochs"] or not fitted

    descend(net, x, y, seed, SETTINGS["max_epochs"], after=after)
    return gini(total), critical_share(net, x[:SEARCHED])


if __name__ == "__main__":
    values = {}
    for start_name, start in [("he", he), ("default", None)]:
        for kind in ["real", "labels", "inputs"]:
            runs = [run(seed, kind, start) for seed in range(SETTINGS["seeds"])]
            values[f"gini_{kind}_{start_name}"] = over(gini for gini, _ in runs)
            values[f"critical_{kind}_{start_name}"] = over(critical for _, critical in runs)
    record(__file__, values)
