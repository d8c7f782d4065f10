"""Losses on labels of which four in ten are drawn again."""

from common import accuracy, config, cross_entropy, descend, he, mnist, network, over, record, torch

SETTINGS = config("label-noise")
SHARE = 0.4
SEEDS = 8  # ours has three; the absolute error spreads widely


def of_label(net, x, y):
    """The probability of each image's label."""
    return net(x).softmax(1).gather(1, y[:, None])


LOSSES = {
    "cross_entropy": cross_entropy,
    "generalised": lambda net, x, y: ((1 - of_label(net, x, y) ** 0.7) / 0.7).mean(),
    # the sum over classes of |p - one-hot| is 2 (1 - p)
    "absolute_doubled": lambda net, x, y: 2 * (2 * (1 - of_label(net, x, y))).mean(),
    "absolute_quadrupled": lambda net, x, y: 4 * (2 * (1 - of_label(net, x, y))).mean(),
}


def run(seed, loss):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    y = torch.where(torch.rand(len(y)) < SHARE, torch.randint(10, (len(y),)), y)
    net = network([784, SETTINGS["hidden"], 10], start=he)
    descend(net, x, y, seed, SETTINGS["epochs"], loss=loss)
    return accuracy(net, *test)


if __name__ == "__main__":
    record(__file__, {name: over(run(seed, loss) for seed in range(SEEDS)) for name, loss in LOSSES.items()})
