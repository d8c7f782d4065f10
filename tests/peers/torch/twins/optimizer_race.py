"""Five of the rules, each with its best learning rate."""

from common import config, cross_entropy, mnist, network, over, record, torch

SETTINGS = config("optimizer-race")
RULES = {
    "sgd": (torch.optim.SGD, {}, [1.0, 0.3, 3.0, 0.1]),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}, [0.1, 0.03, 0.3, 0.01]),
    "adam": (torch.optim.Adam, {}, [0.01, 3e-3, 0.03, 1e-3]),
    "nadam": (torch.optim.NAdam, {}, [3e-3, 0.01, 1e-3, 0.03]),
    "radam": (torch.optim.RAdam, {}, [0.01, 3e-3, 0.03, 1e-3]),
}


def run(seed, rule, options, rate):
    (x, y), _ = mnist(SETTINGS["images"], 2000)
    torch.manual_seed(seed)
    net = network([784, 64, 10])
    optimizer = rule(net.parameters(), lr=rate, foreach=False, **options)
    order = torch.Generator().manual_seed(1000 + seed)
    for _ in range(SETTINGS["epochs"]):
        for rows in torch.randperm(len(x), generator=order).split(64):
            loss = cross_entropy(net, x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return cross_entropy(net, x, y).item()


if __name__ == "__main__":
    seeds, values = range(SETTINGS["seeds"]), {}
    for name, (rule, options, rates) in RULES.items():
        losses = [over(run(seed, rule, options, rate) for seed in seeds) for rate in rates[: SETTINGS["rates"]]]
        values[name] = min(losses, key=lambda loss: loss["mean"])
    record(__file__, values)
