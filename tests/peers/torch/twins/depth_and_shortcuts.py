"""One to thirty-two layers with and without shortcuts, and two layers against eight of the same size."""

from common import accuracy, config, descend, F, he, mnist, network, over, record, torch

SETTINGS = config("depth-and-shortcuts")
WIDTH, DEPTH, SEEDS = 48, 16, 8  # three say little about a distribution with a long tail
FEW = SETTINGS["seeds"]  # at other depths


class Skip(torch.nn.Module):
    """a + s·relu(W a + b)"""

    def __init__(self, layer, scale):
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, a):
        return a + self.scale * F.relu(self.layer(a))


def deep(has_shortcuts, depth=DEPTH):
    layers = [torch.nn.Linear(784, WIDTH)] + [torch.nn.Linear(WIDTH, WIDTH) for _ in range(depth)]
    layers.append(torch.nn.Linear(WIDTH, 10))
    for layer in layers:
        he(layer)
    first, *middle, last = layers
    if has_shortcuts:
        middle = [Skip(layer, depth**-0.5) for layer in middle]
    else:
        middle = [torch.nn.Sequential(layer, torch.nn.ReLU()) for layer in middle]
    return torch.nn.Sequential(first, torch.nn.ReLU(), *middle, last)


def run(seed, make, epochs):
    (x, y), test = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = make()
    descend(net, x, y, seed, epochs, rate=0.02)
    return accuracy(net, *test)


def gradient_ratio(seed, has_shortcuts, depth):
    """Norm of the gradient by the first square layer over that by the last one, before training."""
    (x, y), _ = mnist(SETTINGS["train_images"], SETTINGS["test_images"])
    torch.manual_seed(seed)
    net = deep(has_shortcuts, depth)
    F.cross_entropy(net(x[:200]), y[:200]).backward()
    square = [p.grad.norm().item() for p in net.parameters() if p.shape == (WIDTH, WIDTH)]
    return square[0] / square[-1]


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
    for depth in (1, 4, 32):
        for name, has_shortcuts in (("plain", False), ("residual", True)):
            accuracies = [run(seed, lambda: deep(has_shortcuts, depth), epochs) for seed in range(FEW)]
            values[f"{name}_{depth}"] = over(accuracies)
    for name, has_shortcuts in (("plain", False), ("residual", True)):
        values[f"{name}_ratio_32"] = over(gradient_ratio(seed, has_shortcuts, 32) for seed in range(FEW))
    record(__file__, values)
