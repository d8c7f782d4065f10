"""Rectifiers that no training image switches on, after plain descent at large learning rates."""

from common import config, descend, mnist, network, over, record, torch

SETTINGS = config("dying-relu")


def run(seed, rate):
    (x, y), _ = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = network([784, 100, 100, 10])
    descend(net, x, y, seed, 2, rate=rate, momentum=0)
    with torch.no_grad():
        first = net[1](net[0](x))
        second = net[3](net[2](first))
    return 100 * torch.cat([(a <= 0).all(0) for a in (first, second)]).float().mean().item()


if __name__ == "__main__":
    rates = {"dead_at_half": 0.5, "dead_at_1": 1.0, "dead_at_2": 2.0}
    seeds = range(SETTINGS["seeds"])
    record(__file__, {name: over(run(seed, rate) for seed in seeds) for name, rate in rates.items()})
