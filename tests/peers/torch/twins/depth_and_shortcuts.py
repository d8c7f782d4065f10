"""Sixteen layers with and without shortcuts, and two layers against eight of the same size."""

from common import accuracy, config, descend, F, he, mnist, network, over, record, torch

SETTINGS = config("depth-and-shortcuts")
WIDTH, DEPTH, SEEDS = 48, 16, 8  # three say little about a distribution with a long tail


class Skip(torch.nn.Module):
    """a + s·relu(W a + b)"""

    def __init__(self, layer, scale):
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, a):
        return a + self.scale * F.relu(self.layer(a))


def deep(has_shortcuts):
    layers = [torch.nn.Linear(784, WIDTH)] + [torch.nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)]
    layers.append(torch.nn.Linear(WIDTH, 10))
    for layer in layers:
        he(layer)
    first, *middle, last = layers
    if has_shortcuts:
        middle = [Skip(layer, DEPTH**-0.5) for layer in middle]
    else:
        middle = [torch.nn.Sequential(layer, torch.nn.ReLU()) for layer in middle]
    return torch.nn.Sequential(first, torch.nn.ReLU(), *middle, last)


def run(seed, make, epochs):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = make()
    descend(net, x, y, seed, epochs, rate=0.02)
    return accuracy(net, *test)


if __name__ == "__main__":
    epochs = SETTINGS["epochs"]
    plain = [run(seed, lambda: deep(False), epochs) for seed in range(SEEDS)]
    residual = [run(seed, lambda: deep(True), epochs) for seed in range(SEEDS)]
    two = [run(seed, lambda: network([784, 110, 110, 10], start=he), epochs * 3 // 2) for seed in range(SEEDS)]
    eight = [run(seed, lambda: network([784] + [77] * 8 + [10], start=he), epochs * 3 // 2) for seed in range(SEEDS)]
    values = {
        "plain": over(plain),
        "residual": over(residual),
        "residual_worst": over([min(residual)]),
        "residual_best": over([max(residual)]),
        "shallow_gain": over(a - b for a, b in zip(two, eight)),
    }
    record(__file__, values)
